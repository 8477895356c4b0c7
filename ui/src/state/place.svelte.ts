/** Sections of the settings, in the order of their navigation. */
export const SECTIONS = [
  "general",
  "networks",
  "devices",
  "engines",
  "prompts",
  "permissions",
  "api",
  "about",
] as const;
export type Section = (typeof SECTIONS)[number];

/** Pages of one network, in the order of their navigation. */
export const PARTS = [
  "status",
  "members",
  "connections",
  "sync",
  "governance",
  "activity",
  "relays",
] as const;
export type Part = (typeof PARTS)[number];

/** Pages of one prompt. */
export const PROMPT_PARTS = ["edit", "history"] as const;
export type PromptPart = (typeof PROMPT_PARTS)[number];

const PAGES = [...PARTS, ...PROMPT_PARTS];
/** A page of whatever the settings show. */
export type Page = Part | PromptPart;

export type View =
  | { name: "chat"; conversation: string | undefined }
  | { name: "doctor"; device: string | undefined }
  | { name: "settings"; section: Section; item: string | undefined; part?: Page | undefined };

/** The view that an address names; the chat for anything unknown. */
export function parse(hash: string): View {
  const [name, first, item, page] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  if (name === "settings") {
    const section = SECTIONS.find((one) => one === first) ?? "general";
    return { name, section, item, part: PAGES.find((one) => one === page) };
  }
  if (name === "doctor") return { name, device: first };
  return { name: "chat", conversation: first === "" ? undefined : first };
}

/** The address of a view. */
export function format(view: View): string {
  const parts =
    view.name === "chat"
      ? ["chat", view.conversation]
      : view.name === "doctor"
        ? ["doctor", view.device]
        : ["settings", view.section, view.item, view.part];
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

  settings(section: Section = "general", item?: string, part?: Page): void {
    this.go({ name: "settings", section, item, part });
  }

  doctor(device?: string): void {
    this.dialog = undefined;
    this.go({ name: "doctor", device });
  }
}
