/** What mends a failed check, where a button can. */
import { t } from "../../i18n";
import type { DoctorCause, DoctorCheck } from "../../ipc/bindings";
import type { App } from "../../state/app.svelte";
import type { Target } from "../../state/doctor.svelte";

export interface Remedy {
  label: string;
  run: () => void;
}

/** The name of a stage as a person reads it; a stage that only a later daemon knows keeps its own. */
export function stageName(name: string): string {
  switch (name) {
    case "daemon":
      return t("stage.daemon");
    case "engine":
      return t("stage.engine");
    case "network":
      return t("stage.network");
    case "found":
      return t("stage.found");
    case "reachable":
      return t("stage.reachable");
    case "direct":
      return t("stage.direct");
    case "admitted":
      return t("stage.admitted");
    case "answering":
      return t("stage.answering");
    default:
      return name;
  }
}

export function remedy(app: App, target: Target, check: DoctorCheck): Remedy | undefined {
  if (check.ok || check.cause === null) return undefined;
  const { networks, place } = app;
  const active = networks.active?.id;
  const engines: Remedy = { label: t("doctor.openEngines"), run: () => place.settings("engines") };
  const relays: Remedy | undefined =
    active === undefined
      ? undefined
      : { label: t("doctor.openRelays"), run: () => place.settings("networks", active, "relays") };
  const join: Remedy = { label: t("join.knockAgain"), run: () => void (place.dialog = "join") };
  const mends: Partial<Record<DoctorCause, Remedy | undefined>> = {
    // An engine or a model that is missing on another device can only be added there.
    engine_down: target.kind === "here" ? engines : undefined,
    no_model: target.kind === "here" ? engines : undefined,
    relay_refused: relays,
    relayed: relays,
    unknown: relays,
    not_admitted: join,
    no_network: { label: t("network.join"), run: () => void (place.dialog = "join") },
    wrong_network:
      target.kind === "here"
        ? undefined
        : { label: t("doctor.openNetworks"), run: () => place.settings("networks") },
    invite_expired: { label: t("join.again"), run: () => void (place.dialog = "join") },
    version_too_old: { label: t("doctor.openAbout"), run: () => place.settings("about") },
  };
  return mends[check.cause];
}
