import { type Backend, ok, orNone } from "../ipc/backend";
import type { Limits, Permission, PermissionProposal, PermissionTrust, Rule } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** From careful to careless. */
export const RULES: Rule[] = ["deny", "ask", "allow"];

/** What tools may do on this device, what others propose, and whose proposals need no question. */
export class Permissions {
  readonly list: Remote<Permission[]>;
  readonly proposals: Remote<PermissionProposal[]>;
  readonly trusted: Remote<PermissionTrust[]>;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    const { commands } = backend;
    this.list = new Remote<Permission[]>([], () => orNone(commands.permissionList(), "no_network", []));
    this.proposals = new Remote<PermissionProposal[]>([], () =>
      orNone(commands.permissionProposals(), "no_network", []),
    );
    this.trusted = new Remote<PermissionTrust[]>([], () =>
      orNone(commands.permissionTrusted(), "no_network", []),
    );
  }

  /** How many looser rules wait for a person here. */
  get waiting(): number {
    return this.proposals.value.length;
  }

  /** Names of tools that a prompt may suggest: those with a rule. */
  get tools(): string[] {
    return this.list.value.map((one) => one.tool);
  }

  refresh = async (): Promise<void> => {
    await Promise.all([this.list.refresh(), this.proposals.refresh(), this.trusted.refresh()]);
  };

  /** Sets the rule of a tool, here and for the network; its limits stay where none are given. */
  async set(tool: string, rule: Rule, limits: Limits | null = null): Promise<void> {
    await ok(this.#backend.commands.permissionSet(tool, rule, limits));
    await this.refresh();
  }

  async accept(id: string): Promise<void> {
    await ok(this.#backend.commands.permissionAccept(id));
    await this.refresh();
  }

  async decline(id: string): Promise<void> {
    await ok(this.#backend.commands.permissionDecline(id));
    await this.refresh();
  }

  async trust(device: string, on: boolean): Promise<void> {
    await ok(this.#backend.commands.permissionTrust(device, on));
    await this.refresh();
  }
}
