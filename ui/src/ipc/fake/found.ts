/** How the invented daemon finds what a request names, and refuses what it does not know. */
import type { ControlError, ErrorCode, Network } from "../bindings";
import type { Params } from "../host";
import type { FakeDaemon } from "./daemon";

export type Method = (daemon: FakeDaemon, params: Params) => unknown;

export function refuse(code: ErrorCode, message: string): never {
  const error: ControlError = { code, message };
  throw error;
}

export function found<T>(item: T | undefined, what: string): T {
  return item ?? refuse("not_found", `There is no such ${what}.`);
}

export const network = (daemon: FakeDaemon, key: unknown): Network =>
  found(
    daemon.world.networks.find((one) => one.id === key || one.name === key),
    "network",
  );
