import type { DeviceSummary, Model, RoutePolicy } from "../ipc/bindings";
import type { Target } from "./chat.svelte";
import type { Compute } from "./compute.svelte";
import type { Devices } from "./devices.svelte";

const KEPT = "myownllm.route";
const KEPT_POLICY = "myownllm.policy";

/** `auto`, `local`, or the id of a device. */
export type Via = string;

/** The policy as this window was last left. */
function policyBefore(): RoutePolicy {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT_POLICY) ?? "{}");
    return typeof kept === "object" && kept !== null ? kept : {};
  } catch {
    return {};
  }
}

/** What a model's name begins with, for example `qwen3` of `Qwen3-8B-Q4_K_M`. */
export const familyOf = (model: string): string => /^[a-z]+[\d.]*/i.exec(model)?.[0].toLowerCase() ?? model;

/** Where the next question goes, as the person chose it. What "automatic" means is the daemon's business. */
export class Choice {
  via = $state<Via>("auto");
  model = $state<string | null>(null);
  /** How a device is chosen where that is automatic. */
  policy = $state.raw<RoutePolicy>(policyBefore());
  #devices: Devices;
  #compute: Compute;

  constructor(devices: Devices, compute: Compute) {
    this.#devices = devices;
    this.#compute = compute;
    this.via = localStorage.getItem(KEPT) ?? "auto";
  }

  /** The device that was chosen by name; undefined for automatic and this device. */
  get device(): DeviceSummary | undefined {
    return this.via === "auto" || this.via === "local" ? undefined : this.#devices.find(this.via);
  }

  /** Whether the chosen device cannot be reached now. */
  get away(): boolean {
    return this.device !== undefined && this.device.state !== "online";
  }

  /** The models that can be picked on this route. */
  get models(): Model[] {
    return this.#compute.models.value.filter((model) => {
      if (this.via === "auto") return true;
      return this.via === "local" ? model.this_device : model.device === this.via;
    });
  }

  /** Names of the devices that may read the next message; this one is `null`. */
  get readers(): (string | null)[] {
    if (this.device) return [this.device.name];
    const able = this.models.filter(
      (model) => model.state !== "failed" && (this.model === null || model.id === this.model),
    );
    const names = new Map(able.map((model) => [model.device, model.this_device ? null : model.device_name]));
    return [...names.values()];
  }

  get target(): Target {
    return { via: this.via, model: this.model, policy: this.policy };
  }

  /** The families of models that can be reached. */
  get families(): string[] {
    const models = this.#compute.models.value.filter((model) => !model.demo && model.state !== "failed");
    return [...new Set(models.map((model) => familyOf(model.id)))].sort();
  }

  /** Changes how a device is chosen; that only means something where it is automatic. */
  prefer(change: RoutePolicy): void {
    this.policy = { ...this.policy, ...change };
    localStorage.setItem(KEPT_POLICY, JSON.stringify(this.policy));
    if (this.via !== "auto") this.choose("auto");
  }

  choose(via: Via): void {
    this.via = via;
    localStorage.setItem(KEPT, via);
    if (this.model !== null && !this.models.some((model) => model.id === this.model)) this.model = null;
  }

  /** Falls back to automatic when the chosen device is no longer a member. */
  check(): void {
    const known = this.via === "auto" || this.via === "local" || this.device !== undefined;
    if (!known && this.#devices.list.loaded) this.choose("auto");
  }
}
