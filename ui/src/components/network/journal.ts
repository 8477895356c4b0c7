/** The activities as a file. */
import type { ActivityEntry } from "../../ipc/bindings";

export const asJson = (entries: ActivityEntry[]): string =>
  `${JSON.stringify(
    entries.map((entry) => ({ ...entry, at: new Date(entry.at).toISOString() })),
    null,
    2,
  )}\n`;

/** One line for each, oldest last: time, kind, device, what happened. */
export const asText = (entries: ActivityEntry[]): string =>
  entries
    .map((entry) => [new Date(entry.at).toISOString(), entry.kind, entry.device_name ?? "-", entry.text])
    .map((parts) => `${parts.join("\t")}\n`)
    .join("");
