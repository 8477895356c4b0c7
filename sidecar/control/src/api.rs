//! The control contract: every request the app and the command line can make.
//!
//! Parameters are passed by name. Streams are resumable: `*_start` returns an id, `*_events(id, after)` delivers every
//! item with `seq > after` and then what follows, `*_stop(id)` ends the work. The last item of a stream is always
//! explicit (`done`, `error`, `joined`, `failed`), so a closed subscription without one means "subscribe again".

use jsonrpsee::core::SubscriptionResult;
use jsonrpsee::proc_macros::rpc;

use crate::error::ControlError;
use crate::types::{
    Accepting, ActivityEntry, ActivityFilter, AnswerItem, ApiKey, ApiRequest, ChatRequest, Connection, Conversation,
    ConversationSummary, Decision, DenyKind, DeviceSummary, DoctorReport, Engine, EngineSpec, EventItem, FanOutAnswer,
    Hardware, Invite, InviteOptions, JoinItem, KeyScope, Knock, LocalApi, Model, NearbyDevice, Network, NetworkKind,
    NewApiKey, Relay, Removal, Role, RoutePlan, SettingsPatch, Status,
};

pub mod documents;
pub mod lending;
pub mod library;

/// The requests. The trait generates `ControlApiServer` for the daemon and `ControlApiClient` for everyone else.
#[rpc(server, client)]
pub trait ControlApi {
    /// The daemon's state in one answer.
    #[method(name = "status", param_kind = map)]
    async fn status(&self) -> Result<Status, ControlError>;

    /// Asks the daemon to finish and exit. Answers before it does.
    #[method(name = "daemon_stop", param_kind = map)]
    async fn daemon_stop(&self) -> Result<(), ControlError>;

    /// Everything that happens, from the first event after `after` (0: only what happens from now on).
    #[subscription(name = "events_subscribe" => "events_item", unsubscribe = "events_unsubscribe", item = EventItem, param_kind = map)]
    async fn events(&self, after: u64) -> SubscriptionResult;

    /// Founds a network and makes it the active one.
    #[method(name = "network_create", param_kind = map)]
    async fn network_create(&self, name: String, kind: NetworkKind) -> Result<Network, ControlError>;

    /// The saved networks.
    #[method(name = "network_list", param_kind = map)]
    async fn network_list(&self) -> Result<Vec<Network>, ControlError>;

    /// One network, by name or id; the active one when `network` is not given.
    #[method(name = "network_show", param_kind = map)]
    async fn network_show(&self, network: Option<String>) -> Result<Network, ControlError>;

    /// Makes a saved network the active one.
    #[method(name = "network_use", param_kind = map)]
    async fn network_use(&self, network: String) -> Result<Network, ControlError>;

    /// Leaves the active network: it stays saved, this device stays a member, and nothing is active.
    #[method(name = "network_leave", param_kind = map)]
    async fn network_leave(&self) -> Result<(), ControlError>;

    /// Ends this device's membership in a network and deletes what it kept of it.
    #[method(name = "network_forget", param_kind = map)]
    async fn network_forget(&self, network: String) -> Result<(), ControlError>;

    /// Renames a network for all its members.
    #[method(name = "network_rename", param_kind = map)]
    async fn network_rename(&self, network: String, name: String) -> Result<Network, ControlError>;

    /// Changes who may admit. Owners may.
    #[method(name = "network_kind", param_kind = map)]
    async fn network_kind(&self, network: String, kind: NetworkKind) -> Result<Network, ControlError>;

    /// Changes how the devices of a network find and reach each other, at once and for all members. Owners may.
    #[method(name = "network_settings", param_kind = map)]
    async fn network_settings(&self, network: String, patch: SettingsPatch) -> Result<Network, ControlError>;

    /// The governing decisions of a network, newest first, those that do not count included; of the active one when
    /// `network` is not given.
    #[method(name = "decision_list", param_kind = map)]
    async fn decision_list(&self, network: Option<String>) -> Result<Vec<Decision>, ControlError>;

    /// Devices that announce themselves on the local network.
    #[method(name = "nearby_list", param_kind = map)]
    async fn nearby_list(&self) -> Result<Vec<NearbyDevice>, ControlError>;

    /// Starts joining the network that a nearby device announces; follow it with `join_events`.
    #[method(name = "nearby_join", param_kind = map)]
    async fn nearby_join(&self, device: String) -> Result<String, ControlError>;

    /// The relays in use.
    #[method(name = "relay_list", param_kind = map)]
    async fn relay_list(&self) -> Result<Vec<Relay>, ControlError>;

    /// What flows between this device and each linked member, now.
    #[method(name = "connection_list", param_kind = map)]
    async fn connection_list(&self) -> Result<Vec<Connection>, ControlError>;

    /// What happened in the networks of this device, newest first.
    #[method(name = "activity_list", param_kind = map)]
    async fn activity_list(&self, filter: ActivityFilter) -> Result<Vec<ActivityEntry>, ControlError>;

    /// Makes an invite to the active network.
    #[method(name = "invite_create", param_kind = map)]
    async fn invite_create(&self, options: InviteOptions) -> Result<Invite, ControlError>;

    /// The invites of the active network that still work.
    #[method(name = "invite_list", param_kind = map)]
    async fn invite_list(&self) -> Result<Vec<Invite>, ControlError>;

    /// Ends an invite.
    #[method(name = "invite_revoke", param_kind = map)]
    async fn invite_revoke(&self, id: String) -> Result<Invite, ControlError>;

    /// Starts joining by an invite; follow it with `join_events`.
    #[method(name = "join_start", param_kind = map)]
    async fn join_start(&self, invite: String) -> Result<String, ControlError>;

    /// The steps of a join, resumable.
    #[subscription(name = "join_subscribe" => "join_item", unsubscribe = "join_unsubscribe", item = JoinItem, param_kind = map)]
    async fn join_events(&self, id: String, after: u64) -> SubscriptionResult;

    /// Withdraws a knock.
    #[method(name = "join_stop", param_kind = map)]
    async fn join_stop(&self, id: String) -> Result<(), ControlError>;

    /// Knocks that wait for a decision.
    #[method(name = "knock_list", param_kind = map)]
    async fn knock_list(&self) -> Result<Vec<Knock>, ControlError>;

    /// Admits a knocking device. `code`, when given, must equal the knock's.
    #[method(name = "knock_approve", param_kind = map)]
    async fn knock_approve(
        &self,
        id: String,
        role: Option<Role>,
        code: Option<String>,
    ) -> Result<DeviceSummary, ControlError>;

    /// Turns a knocking device down.
    #[method(name = "knock_deny", param_kind = map)]
    async fn knock_deny(&self, id: String, kind: DenyKind, reason: Option<String>) -> Result<(), ControlError>;

    /// The members of the active network, this device first.
    #[method(name = "device_list", param_kind = map)]
    async fn device_list(&self) -> Result<Vec<DeviceSummary>, ControlError>;

    /// One member.
    #[method(name = "device_show", param_kind = map)]
    async fn device_show(&self, device: String) -> Result<DeviceSummary, ControlError>;

    /// Removes a member, and tells who has confirmed it within a second.
    #[method(name = "device_remove", param_kind = map)]
    async fn device_remove(&self, device: String) -> Result<Removal, ControlError>;

    /// Changes a member's role.
    #[method(name = "device_role", param_kind = map)]
    async fn device_role(&self, device: String, role: Role) -> Result<DeviceSummary, ControlError>;

    /// Renames this device.
    #[method(name = "device_name", param_kind = map)]
    async fn device_name(&self, name: String) -> Result<DeviceSummary, ControlError>;

    /// Sets this device's lending policy on the active network.
    #[method(name = "accepting_set", param_kind = map)]
    async fn accepting_set(&self, accepting: Accepting) -> Result<Accepting, ControlError>;

    /// Local compute backends.
    #[method(name = "engine_list", param_kind = map)]
    async fn engine_list(&self) -> Result<Vec<Engine>, ControlError>;

    /// Adds an engine after asking it who it is.
    #[method(name = "engine_add", param_kind = map)]
    async fn engine_add(&self, spec: EngineSpec) -> Result<Engine, ControlError>;

    /// Removes an engine.
    #[method(name = "engine_remove", param_kind = map)]
    async fn engine_remove(&self, id: String) -> Result<(), ControlError>;

    /// Asks an engine again and tells what it says.
    #[method(name = "engine_test", param_kind = map)]
    async fn engine_test(&self, id: String) -> Result<Engine, ControlError>;

    /// Every model reachable now, here and on peers.
    #[method(name = "model_list", param_kind = map)]
    async fn model_list(&self) -> Result<Vec<Model>, ControlError>;

    /// Asks a question; follow the answer with `answer_events`.
    #[method(name = "chat_start", param_kind = map)]
    async fn chat_start(&self, request: ChatRequest) -> Result<String, ControlError>;

    /// Where a question would run, and where else, without running it.
    #[method(name = "chat_plan", param_kind = map)]
    async fn chat_plan(&self, request: ChatRequest) -> Result<RoutePlan, ControlError>;

    /// Asks the best `count` devices the same question, each once; follow each answer with `answer_events`. Nothing is
    /// kept in a conversation.
    #[method(name = "chat_fan_out", param_kind = map)]
    async fn chat_fan_out(&self, request: ChatRequest, count: u32) -> Result<Vec<FanOutAnswer>, ControlError>;

    /// The events of an answer, resumable.
    #[subscription(name = "answer_subscribe" => "answer_item", unsubscribe = "answer_unsubscribe", item = AnswerItem, param_kind = map)]
    async fn answer_events(&self, id: String, after: u64) -> SubscriptionResult;

    /// Cancels an answer where it runs; what was written stays.
    #[method(name = "answer_stop", param_kind = map)]
    async fn answer_stop(&self, id: String) -> Result<(), ControlError>;

    /// Conversations of the active network, newest first. `search` filters by title and text.
    #[method(name = "conversation_list", param_kind = map)]
    async fn conversation_list(&self, search: Option<String>) -> Result<Vec<ConversationSummary>, ControlError>;

    /// Makes an empty conversation.
    #[method(name = "conversation_create", param_kind = map)]
    async fn conversation_create(&self) -> Result<ConversationSummary, ControlError>;

    /// One conversation with its messages.
    #[method(name = "conversation_open", param_kind = map)]
    async fn conversation_open(&self, id: String) -> Result<Conversation, ControlError>;

    /// Renames a conversation.
    #[method(name = "conversation_rename", param_kind = map)]
    async fn conversation_rename(&self, id: String, title: String) -> Result<ConversationSummary, ControlError>;

    /// Deletes a conversation; `conversation_restore` brings it back within 30 days.
    #[method(name = "conversation_delete", param_kind = map)]
    async fn conversation_delete(&self, id: String) -> Result<(), ControlError>;

    /// Undoes a deletion.
    #[method(name = "conversation_restore", param_kind = map)]
    async fn conversation_restore(&self, id: String) -> Result<ConversationSummary, ControlError>;

    /// Puts conversations into a folder, or out of all folders.
    #[method(name = "conversation_move", param_kind = map)]
    async fn conversation_move(
        &self,
        ids: Vec<String>,
        folder: Option<String>,
    ) -> Result<Vec<ConversationSummary>, ControlError>;

    /// Keeps a conversation out of what this device shows its network, or lets it in again.
    #[method(name = "conversation_private", param_kind = map)]
    async fn conversation_private(&self, id: String, on: bool) -> Result<ConversationSummary, ControlError>;

    /// What this device is made of.
    #[method(name = "hardware", param_kind = map)]
    async fn hardware(&self) -> Result<Hardware, ControlError>;

    /// Runs the staged checks: on this device, against a member, or (given an invite's link) against the network it
    /// leads to.
    #[method(name = "doctor", param_kind = map)]
    async fn doctor(&self, device: Option<String>) -> Result<DoctorReport, ControlError>;

    /// How programs reach this device's models.
    #[method(name = "local_api", param_kind = map)]
    async fn local_api(&self) -> Result<LocalApi, ControlError>;

    /// The newest requests at the local API, those that run first.
    #[method(name = "api_request_list", param_kind = map)]
    async fn api_request_list(&self) -> Result<Vec<ApiRequest>, ControlError>;

    /// Makes a key for the local API, for everything when `scopes` is not given; its secret is told this once.
    #[method(name = "key_create", param_kind = map)]
    async fn key_create(&self, name: String, scopes: Option<Vec<KeyScope>>) -> Result<NewApiKey, ControlError>;

    /// The keys for the local API, the oldest first.
    #[method(name = "key_list", param_kind = map)]
    async fn key_list(&self) -> Result<Vec<ApiKey>, ControlError>;

    /// Ends a key for the local API at once.
    #[method(name = "key_revoke", param_kind = map)]
    async fn key_revoke(&self, name: String) -> Result<ApiKey, ControlError>;
}
