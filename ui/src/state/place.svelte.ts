/** Sections of the settings, in the order of their navigation. */
export const SECTIONS = [
  "general",
  "networks",
  "devices",
  "engines",
  "prompts",
  "permissions",
  "lending",
  "usage",
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

/** Pages of the models, in the order of their navigation. */
export const MODEL_PAGES = ["here", "catalogue", "others"] as const;
export type ModelPage = (typeof MODEL_PAGES)[number];

const PAGES = [...PARTS, ...PROMPT_PARTS];
/** A page of whatever the settings show. */
export type Page = Part | PromptPart;

export type View =
  | { name: "chat"; conversation: string | undefined }
  | { name: "compare" }
  | { name: "models"; page: ModelPage }
  | { name: "doctor"; device: string | undefined }
  | { name: "settings"; section: Section; item: string | undefined; part?: Page | undefined };

/** The view that an address names; the chat for anything unknown. */
export function parse(hash: string): View {
  const [name, first, item, page] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  if (name === "settings") {
    const section = SECTIONS.find((one) => one === first) ?? "general";
    return { name, section, item, part: PAGES.find((one) => one === page) };
  }
  if (name === "compare") return { name };
  if (name === "models") return { name, page: MODEL_PAGES.find((one) => one === first) ?? "here" };
  if (name === "doctor") return { name, device: first };
  return { name: "chat", conversation: first === "" ? undefined : first };
}

function partsOf(view: View): (string | undefined)[] {
  switch (view.name) {
    case "chat":
      return ["chat", view.conversation];
    case "doctor":
      return ["doctor", view.device];
    case "compare":
      return ["compare"];
    case "models":
      return ["models", view.page];
    case "settings":
      return ["settings", view.section, view.item, view.part];
  }
}

/** The address of a view. */
export function format(view: View): string {
  return `#/${partsOf(view)
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

  compare(): void {
    this.go({ name: "compare" });
  }

  models(page: ModelPage = "here"): void {
    this.go({ name: "models", page });
  }

  doctor(device?: string): void {
    this.dialog = undefined;
    this.go({ name: "doctor", device });
  }
}
