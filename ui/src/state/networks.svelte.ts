import { type Backend, ok, orNone } from "../ipc/backend";
import type { Invite, InviteOptions, Network, NetworkKind, Relay, SettingsPatch } from "../ipc/bindings";
import { Remote } from "./remote.svelte";

/** Half a day: an invite that ends sooner is not worth handing out again. */
const FRESH_MS = 12 * 3_600_000;

/** The saved networks, the active one, its invites and its relays. */
export class Networks {
  readonly list: Remote<Network[]>;
  readonly invites: Remote<Invite[]>;
  readonly relays: Remote<Relay[]>;
  /** Network that is being switched to. */
  switching = $state<string>();
  #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.list = new Remote<Network[]>([], () => ok(backend.commands.networkList()));
    this.invites = new Remote<Invite[]>([], () =>
      this.active ? orNone(backend.commands.inviteList(), "no_network", []) : Promise.resolve([]),
    );
    this.relays = new Remote<Relay[]>([], () => orNone(backend.commands.relayList(), "no_network", []));
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
    this.switching = id;
    try {
      await ok(this.#backend.commands.networkUse(id));
      await this.refresh();
    } finally {
      // A second switch may have begun meanwhile; its name then stays.
      if (this.switching === id) this.switching = undefined;
    }
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

  async setKind(id: string, kind: NetworkKind): Promise<void> {
    await ok(this.#backend.commands.networkKind(id, kind));
    await this.list.refresh();
  }

  /** Changes how the devices of a network reach each other; what is not given stays. */
  async set(id: string, patch: SettingsPatch): Promise<void> {
    const all = { relays: null, lookup: null, mdns: null, announce: null, air_gapped: null, ...patch };
    await ok(this.#backend.commands.networkSettings(id, all));
    await Promise.all([this.list.refresh(), this.relays.refresh()]);
  }

  /** An invite that only finds the network: the one in use where it is still good for a while, else a new one. */
  async plainInvite(): Promise<Invite> {
    await this.invites.refresh();
    const fresh = Date.now() + FRESH_MS;
    const known = this.invites.value.find(
      (one) => !one.approved && !one.revoked && one.invite !== null && one.expires_at > fresh,
    );
    return known ?? this.invite();
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
