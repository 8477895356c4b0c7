import { type Backend, ok } from "../ipc/backend";
import type { DoctorCheck, DoctorReport } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** What is examined: this device, a member, or the network that an invite leads to. */
export type Target = { kind: "here" } | { kind: "device"; id: string } | { kind: "invite"; link: string };

/** The stages that each examination begins with, as the daemon names them; on this device those of each member follow. */
const STAGES: Record<Target["kind"], string[]> = {
  here: ["daemon", "engine", "network"],
  device: ["found", "reachable", "direct", "admitted", "answering"],
  invite: ["found", "reachable"],
};

/** One line of the list: a check that ran, or a stage that is awaited or was not come to. */
export interface Line {
  name: string;
  check: DoctorCheck | undefined;
  state: "waiting" | "running" | "passed" | "failed" | "skipped";
}

/** One run of the staged checks. */
export class Examination {
  readonly report: Remote<DoctorReport | undefined>;
  busy = $state(false);
  readonly target: Target;

  constructor(backend: Backend, target: Target) {
    this.target = target;
    const asked = target.kind === "here" ? null : target.kind === "device" ? target.id : target.link;
    this.report = new Remote<DoctorReport | undefined>(undefined, () => ok(backend.commands.doctor(asked)));
  }

  async run(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.report.value = undefined;
    await this.report.refresh();
    this.busy = false;
  }

  /** The list as it stands: the known stages first, then whatever else was checked. */
  get lines(): Line[] {
    const checks = this.report.value?.checks;
    const stages = STAGES[this.target.kind];
    if (!checks) {
      return stages.map((name, index) => ({
        name,
        check: undefined,
        state: !this.busy ? "skipped" : index === 0 ? "running" : "waiting",
      }));
    }
    const done = checks.map((check): Line => ({
      name: check.name,
      check,
      state: check.ok ? "passed" : "failed",
    }));
    const left = stages.filter((name) => !checks.some((check) => check.name === name));
    return [...done, ...left.map((name): Line => ({ name, check: undefined, state: "skipped" }))];
  }

  get failures(): number {
    return this.report.value?.checks.filter((check) => !check.ok).length ?? 0;
  }
}
