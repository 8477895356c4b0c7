/** A row of a list being dragged to another place, with mouse, pen or finger. */
export class Drag {
  /** Row under way. */
  id = $state<string>();
  /** Row that it would stand in front of; null at the end. */
  before = $state<string | null>(null);
  #dropped: (id: string, before: string | null) => void;

  constructor(dropped: (id: string, before: string | null) => void) {
    this.#dropped = dropped;
  }

  /** Follows the pointer from `handle` over the rows of `list`, which carry their id as `data-row`. */
  start(event: PointerEvent, id: string, list: HTMLElement): void {
    if (event.button !== 0) return;
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    const ended = new AbortController();
    const { signal } = ended;
    const end = (drop: boolean): void => {
      if (drop && this.id !== undefined) this.#dropped(this.id, this.before);
      this.id = undefined;
      ended.abort();
    };
    handle.setPointerCapture(event.pointerId);
    handle.addEventListener("pointermove", (move) => this.#over(id, list, move.clientY), { signal });
    handle.addEventListener("pointerup", () => end(true), { signal });
    handle.addEventListener("pointercancel", () => end(false), { signal });
    window.addEventListener("keydown", (key) => key.key === "Escape" && end(false), { signal });
  }

  #over(id: string, list: HTMLElement, y: number): void {
    const rows = [...list.querySelectorAll<HTMLElement>("[data-row]")];
    const below = rows.find((row) => {
      const { top, height } = row.getBoundingClientRect();
      return y < top + height / 2;
    });
    this.id = id;
    this.before = below?.dataset.row ?? null;
  }
}
