import type { Backend } from "../ipc/backend";
import type { EventItem } from "../ipc/bindings";
import { t } from "../i18n";
import { proposalText } from "../i18n/tools";
import { Activity } from "./activity.svelte";
import { Chat } from "./chat.svelte";
import { Choice } from "./choice.svelte";
import { Compare } from "./compare.svelte";
import { Compute } from "./compute.svelte";
import { Connections } from "./connections.svelte";
import { Conversations } from "./conversations.svelte";
import { Devices } from "./devices.svelte";
import { Examination, type Target } from "./doctor.svelte";
import { Documents } from "./documents.svelte";
import { Governance } from "./governance.svelte";
import { Joining } from "./joining.svelte";
import { Knocks } from "./knocks.svelte";
import { Lending, Usage } from "./lending.svelte";
import { Library } from "./library.svelte";
import { LocalApi } from "./local-api.svelte";
import { Nearby } from "./nearby.svelte";
import { Networks } from "./networks.svelte";
import { Notices } from "./notices.svelte";
import { Place } from "./place.svelte";
import { Plan } from "./plan.svelte";
import { Session } from "./session.svelte";

const WELCOMED = "myownllm.welcomed";

/** All the state of the window, and the one place where the daemon's events are spread to the areas they concern. */
export class App {
  readonly session: Session;
  readonly networks: Networks;
  readonly devices: Devices;
  readonly knocks: Knocks;
  readonly joining: Joining;
  readonly compute: Compute;
  readonly library: Library;
  readonly lending: Lending;
  readonly usage: Usage;
  readonly localApi: LocalApi;
  readonly conversations: Conversations;
  readonly chat: Chat;
  readonly choice: Choice;
  readonly compare: Compare;
  readonly plan: Plan;
  readonly governance: Governance;
  readonly connections: Connections;
  readonly activity: Activity;
  readonly nearby: Nearby;
  readonly documents: Documents;
  readonly place = new Place();
  readonly notices = new Notices();
  /** Whether the first-run steps are over or were skipped. */
  welcomed = $state(localStorage.getItem(WELCOMED) !== null);
  readonly backend: Backend;
  /** Network whose conversations are shown, to notice a switch. */
  #network: string | undefined;

  constructor(backend: Backend) {
    this.backend = backend;
    this.session = new Session(backend);
    this.networks = new Networks(backend);
    this.devices = new Devices(backend);
    this.knocks = new Knocks(backend);
    this.joining = new Joining(backend, () => void this.refresh());
    this.compute = new Compute(backend);
    this.library = new Library(backend);
    this.lending = new Lending(backend);
    this.usage = new Usage(backend);
    this.localApi = new LocalApi(backend);
    this.conversations = new Conversations(backend);
    this.chat = new Chat(backend, (id) => this.place.chat(id));
    this.compare = new Compare(backend);
    this.plan = new Plan(backend);
    this.governance = new Governance(backend);
    this.connections = new Connections(backend);
    this.activity = new Activity(backend);
    this.nearby = new Nearby(backend);
    this.documents = new Documents(backend);
    this.choice = new Choice(this.devices, this.compute);
  }

  /** Whether the first-run steps should show. */
  get welcoming(): boolean {
    return !this.welcomed && this.networks.list.loaded;
  }

  start(): () => void {
    const stops = [
      this.place.start(),
      this.backend.onOpenedLink((url) => this.offer(url)),
      this.backend.onOpenedKnock((id) => this.knocks.showById(id)),
      this.session.start(
        () => void this.#attached(),
        (item) => this.#happened(item),
      ),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** Shows where to join, with an invite that was opened as a link. Nothing knocks before a person says so. */
  offer(link: string): void {
    if (this.joining.active) return;
    this.joining.reset();
    this.joining.offered = link;
    this.place.palette = false;
    this.place.dialog = "join";
  }

  examine(target: Target): Examination {
    return new Examination(this.backend, target);
  }

  finishWelcome(): void {
    localStorage.setItem(WELCOMED, "1");
    this.welcomed = true;
  }

  /** Reads everything again. */
  async refresh(): Promise<void> {
    await Promise.all([
      this.session.status.refresh(),
      this.#networksChanged(),
      this.#devicesChanged(),
      this.knocks.refresh(),
      this.nearby.list.refresh(),
      this.networks.relays.refresh(),
      this.compute.engines.refresh(),
      this.compute.models.refresh(),
      this.library.refresh(),
      this.lending.told.refresh(),
      this.conversations.list.refresh(),
      this.documents.refresh(),
    ]);
  }

  async #attached(): Promise<void> {
    await this.refresh();
    // Who already has a network has been here before, also when this window forgot it.
    if (this.networks.list.value.length > 0 && !this.welcomed) this.finishWelcome();
    this.joining.resume();
    this.chat.resume();
    this.library.resume();
    this.compare.resume();
  }

  async #networksChanged(): Promise<void> {
    await this.networks.refresh();
    const active = this.networks.active?.id;
    if (active === this.#network) return;
    const switched = this.#network !== undefined;
    this.#network = active;
    if (!switched) return;
    this.chat.reset();
    this.compare.reset();
    this.place.inspected = undefined;
    if (this.place.view.name === "chat") this.place.chat();
    this.conversations.reset();
    void this.#devicesChanged();
    void this.networks.relays.refresh();
    void this.compute.models.refresh();
    void this.knocks.refresh();
    void this.lending.told.refresh();
    this.usage.changed();
    this.documents.switched();
  }

  async #devicesChanged(): Promise<void> {
    await this.devices.list.refresh();
    this.choice.check();
    const { held } = this.chat;
    if (held !== undefined && !this.choice.away) void this.chat.send(held, this.choice.target);
  }

  #happened(item: EventItem): void {
    switch (item.event) {
      case "missed":
        void this.refresh();
        break;
      case "phase":
        this.session.setPhase(item.phase, item.reason);
        break;
      case "networks_changed":
        void this.session.status.refresh();
        void this.#networksChanged();
        break;
      case "devices_changed":
      case "device":
        void this.session.status.refresh();
        void this.#devicesChanged();
        break;
      case "engines_changed":
        void this.compute.engines.refresh();
        break;
      case "models_changed":
        void this.compute.models.refresh();
        break;
      case "lending_changed":
        void this.lending.told.refresh();
        break;
      case "usage_changed":
        this.usage.changed();
        break;
      case "api_requests_changed":
        this.localApi.changed();
        break;
      case "shelf_changed":
        void this.library.refresh();
        break;
      case "conversations_changed":
        void this.conversations.list.refresh();
        break;
      case "invites_changed":
        void this.networks.invites.refresh();
        break;
      case "knock":
        this.knocks.add(item.knock);
        break;
      case "knock_ended":
        this.#knockEnded(item);
        break;
      case "nearby_changed":
        void this.nearby.list.refresh();
        break;
      case "relays_changed":
        void this.networks.relays.refresh();
        break;
      case "decisions_changed":
        this.governance.changed();
        break;
      case "activity_changed":
        this.activity.changed();
        break;
      case "stopping":
        break; // the shell tells when it is gone
      case "proposal":
        this.notices.add(proposalText(item.proposal));
        this.documents.happened(item);
        break;
      default:
        this.documents.happened(item);
    }
  }

  #knockEnded(item: Extract<EventItem, { event: "knock_ended" }>): void {
    const here = !this.knocks.waits(item.id);
    this.knocks.end(item.id, { outcome: item.outcome, by: item.decided_by });
    if (here) return;
    const told = this.knocks.open?.id === item.id; // the open card says who decided
    if (!told && item.decided_by !== null) {
      const words = { device: item.device_name, by: item.decided_by };
      if (item.outcome === "approved") this.notices.add(t("notice.knockApproved", words));
      if (item.outcome === "denied") this.notices.add(t("notice.knockDenied", words));
    }
    if (item.outcome === "expired") this.notices.add(t("notice.knockExpired", { device: item.device_name }));
    if (item.outcome === "withdrawn")
      this.notices.add(t("notice.knockWithdrawn", { device: item.device_name }));
  }
}
