import { type Backend, ok } from "../ipc/backend";
import type { Invite, InviteOptions, Network, NetworkKind } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** The saved networks, the active one, and its invites. */
export class Networks {
  readonly list: Remote<Network[]>;
  readonly invites: Remote<Invite[]>;
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<Network[]>([], () => ok(backend.commands.networkList()));
    this.invites = new Remote<Invite[]>([], () =>
      this.active ? ok(backend.commands.inviteList()) : Promise.resolve([]),
    );
  }

  get active(): Network | undefined {
    return this.list.value.find((network) => network.active);
  }

  find(id: string | undefined): Network | undefined {
    return this.list.value.find((network) => network.id === id);
  }

  /** Reads the networks, then the invites of the active one. */
  refresh = async (): Promise<void> => {
    await this.list.refresh();
    await this.invites.refresh();
  };

  async create(name: string, kind: NetworkKind): Promise<Network> {
    const made = await ok(this.#backend.commands.networkCreate(name.trim(), kind));
    await this.refresh();
    return made;
  }

  async use(id: string): Promise<void> {
    await ok(this.#backend.commands.networkUse(id));
    await this.refresh();
  }

  async leave(): Promise<void> {
    await ok(this.#backend.commands.networkLeave());
    await this.refresh();
  }

  async forget(id: string): Promise<void> {
    await ok(this.#backend.commands.networkForget(id));
    await this.refresh();
  }

  async rename(id: string, name: string): Promise<void> {
    await ok(this.#backend.commands.networkRename(id, name.trim()));
    await this.list.refresh();
  }

  async invite(options: Partial<InviteOptions> = {}): Promise<Invite> {
    const all: InviteOptions = { approved: false, role: null, uses: null, expires_in_s: null, ...options };
    const invite = await ok(this.#backend.commands.inviteCreate(all));
    await this.invites.refresh();
    return invite;
  }

  async revoke(id: string): Promise<void> {
    await ok(this.#backend.commands.inviteRevoke(id));
    await this.invites.refresh();
  }
}
