/** How the states of a model look and read. */
import { t } from "../../i18n";
import { duration } from "../../i18n/format";
import type { KeptModel, Model, ModelState } from "../../ipc/bindings";
import type { Get } from "../../state/get.svelte";
import type { Tone } from "../shared/Dot.svelte";

export const TONES: Record<ModelState, Tone> = {
  downloading: "working",
  available: "off",
  loading: "working",
  ready: "ok",
  failed: "trouble",
};

/** The state, with how far it is: `Loading 40 %`. */
export function stateWords({ state, percent }: Pick<KeptModel | Model, "state" | "percent">): string {
  const word = t(`model.state.${state}`);
  return percent === null ? word : t("model.percent", { state: word, percent });
}

/** Where a download comes from. */
export function sourceWords(source: string): string {
  if (source === "hub" || source === "") return t("get.hub");
  return source === "ollama" ? t("get.ollama") : t("get.fromDevice", { device: source });
}

/** What a download does, with the time left where it can be said. */
export function phaseWords(get: Get): string {
  const { left, phase } = get;
  if (phase !== "downloading") return t(`get.phase.${phase}`);
  return left === undefined ? t("get.phase.downloading") : t("get.left", { time: duration(left) });
}
