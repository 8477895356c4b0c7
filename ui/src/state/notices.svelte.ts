export interface Notice {
  id: number;
  text: string;
}

const STAYS_MS = 6000;

/** Short notes about what happened elsewhere. What the person did here needs none. */
export class Notices {
  list = $state.raw<Notice[]>([]);
  #next = 1;

  add(text: string): void {
    const notice = { id: this.#next++, text };
    this.list = [...this.list, notice].slice(-3);
    setTimeout(() => this.dismiss(notice.id), STAYS_MS);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }
}
