/** Sections of the settings, in the order of their navigation. */
export const SECTIONS = ["general", "networks", "devices", "engines", "api", "about"] as const;
export type Section = (typeof SECTIONS)[number];

export type View =
  | { name: "chat"; conversation: string | undefined }
  | { name: "settings"; section: Section; item: string | undefined };

/** The view that an address names; the chat for anything unknown. */
export function parse(hash: string): View {
  const [name, first, item] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  if (name === "settings") {
    return { name, section: SECTIONS.find((section) => section === first) ?? "general", item };
  }
  return { name: "chat", conversation: first === "" ? undefined : first };
}

/** The address of a view. */
export function format(view: View): string {
  const parts = view.name === "chat" ? ["chat", view.conversation] : ["settings", view.section, view.item];
  return `#/${parts
    .filter((part) => part !== undefined)
    .map(encodeURIComponent)
    .join("/")}`;
}

/** Where the person is. The address keeps it, so that a reloaded window opens the same place. */
export class Place {
  view = $state.raw<View>({ name: "chat", conversation: undefined });
  palette = $state(false);
  /** Dialogs that can be opened from anywhere. */
  dialog = $state<"invite" | "join" | "create">();
  /** Device whose details are open beside the view. */
  inspected = $state<string>();
  sidebar = $state(true);

  /** Reads the address, and follows it. */
  start(): () => void {
    const read = (): void => {
      this.view = parse(location.hash);
    };
    read();
    window.addEventListener("hashchange", read);
    return () => window.removeEventListener("hashchange", read);
  }

  go(view: View): void {
    this.view = view;
    const hash = format(view);
    if (location.hash !== hash) history.pushState(null, "", hash);
  }

  chat(conversation?: string): void {
    this.go({ name: "chat", conversation });
  }

  settings(section: Section = "general", item?: string): void {
    this.go({ name: "settings", section, item });
  }
}
