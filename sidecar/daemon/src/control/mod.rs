//! The control contract, answered. Each request is one line of delegation to the file of its area.

mod activities;
#[cfg(debug_assertions)]
pub(crate) mod bridge;
mod compute;
mod conversations;
mod devices;
mod documents;
mod follow;
mod governance;
mod hardware;
pub(crate) mod invites;
mod keys;
mod lending;
mod library;
mod nearby;
mod networks;
mod permissions;
mod prompts;
pub(crate) mod socket;
mod status;
mod sync;

use std::sync::Arc;

use jsonrpsee::PendingSubscriptionSink;
use jsonrpsee::core::{SubscriptionResult, async_trait};
use myownmesh_control::api::ControlApiServer;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{
    Accepting, ActivityEntry, ActivityFilter, ApiKey, ApiRequest, ChatRequest, Connection, Conversation,
    ConversationSummary, Decision, DenyKind, DeviceSummary, DoctorReport, Engine, EngineSpec, FanOutAnswer, Hardware,
    Invite, InviteOptions, KeyScope, Knock, LocalApi, Model, NearbyDevice, Network, NetworkKind, NewApiKey, Relay,
    Removal, Role, RoutePlan, SettingsPatch, Status,
};

use crate::daemon::Daemon;
use crate::doctor;

/// The one implementation of the contract, for the socket and the bridge.
#[derive(Clone)]
pub(crate) struct Control {
    daemon: Arc<Daemon>,
}

impl Control {
    /// Answers for this daemon.
    pub(crate) fn new(daemon: Arc<Daemon>) -> Self {
        Self { daemon }
    }
}

#[async_trait]
impl ControlApiServer for Control {
    async fn status(&self) -> Result<Status, ControlError> {
        Ok(status::status(&self.daemon))
    }

    async fn daemon_stop(&self) -> Result<(), ControlError> {
        status::stop(&self.daemon);
        Ok(())
    }

    async fn events(&self, pending: PendingSubscriptionSink, after: u64) -> SubscriptionResult {
        follow::events(&self.daemon, pending, after).await
    }

    async fn network_create(&self, name: String, kind: NetworkKind) -> Result<Network, ControlError> {
        networks::create(&self.daemon, &name, kind).await
    }

    async fn network_list(&self) -> Result<Vec<Network>, ControlError> {
        Ok(networks::list(&self.daemon))
    }

    async fn network_show(&self, network: Option<String>) -> Result<Network, ControlError> {
        networks::show(&self.daemon, network.as_deref())
    }

    async fn network_use(&self, network: String) -> Result<Network, ControlError> {
        networks::use_one(&self.daemon, &network).await
    }

    async fn network_leave(&self) -> Result<(), ControlError> {
        networks::leave(&self.daemon).await
    }

    async fn network_forget(&self, network: String) -> Result<(), ControlError> {
        networks::forget(&self.daemon, &network).await
    }

    async fn network_rename(&self, network: String, name: String) -> Result<Network, ControlError> {
        networks::rename(&self.daemon, &network, &name).await
    }

    async fn network_kind(&self, network: String, kind: NetworkKind) -> Result<Network, ControlError> {
        networks::set_kind(&self.daemon, &network, kind).await
    }

    async fn network_settings(&self, network: String, patch: SettingsPatch) -> Result<Network, ControlError> {
        networks::set_settings(&self.daemon, &network, patch).await
    }

    async fn decision_list(&self, network: Option<String>) -> Result<Vec<Decision>, ControlError> {
        governance::decisions(&self.daemon, network.as_deref()).await
    }

    async fn nearby_list(&self) -> Result<Vec<NearbyDevice>, ControlError> {
        Ok(nearby::list(&self.daemon))
    }

    async fn nearby_join(&self, device: String) -> Result<String, ControlError> {
        nearby::join(&self.daemon, &device).await
    }

    async fn relay_list(&self) -> Result<Vec<Relay>, ControlError> {
        Ok(nearby::relays(&self.daemon))
    }

    async fn connection_list(&self) -> Result<Vec<Connection>, ControlError> {
        Ok(nearby::connections(&self.daemon).await)
    }

    async fn activity_list(&self, filter: ActivityFilter) -> Result<Vec<ActivityEntry>, ControlError> {
        activities::list(&self.daemon, filter).await
    }

    async fn invite_create(&self, options: InviteOptions) -> Result<Invite, ControlError> {
        invites::create(&self.daemon, options).await
    }

    async fn invite_list(&self) -> Result<Vec<Invite>, ControlError> {
        invites::list(&self.daemon).await
    }

    async fn invite_revoke(&self, id: String) -> Result<Invite, ControlError> {
        invites::revoke(&self.daemon, &id).await
    }

    async fn join_start(&self, invite: String) -> Result<String, ControlError> {
        invites::join(&self.daemon, &invite).await
    }

    async fn join_events(&self, pending: PendingSubscriptionSink, id: String, after: u64) -> SubscriptionResult {
        follow::join(&self.daemon, pending, &id, after).await
    }

    async fn join_stop(&self, id: String) -> Result<(), ControlError> {
        invites::stop_join(&self.daemon, &id).await
    }

    async fn knock_list(&self) -> Result<Vec<Knock>, ControlError> {
        Ok(invites::knocks(&self.daemon))
    }

    async fn knock_approve(
        &self,
        id: String,
        role: Option<Role>,
        code: Option<String>,
    ) -> Result<DeviceSummary, ControlError> {
        invites::approve(&self.daemon, &id, role, code.as_deref()).await
    }

    async fn knock_deny(&self, id: String, kind: DenyKind, reason: Option<String>) -> Result<(), ControlError> {
        invites::deny(&self.daemon, &id, kind, reason).await
    }

    async fn device_list(&self) -> Result<Vec<DeviceSummary>, ControlError> {
        Ok(self.daemon.devices())
    }

    async fn device_show(&self, device: String) -> Result<DeviceSummary, ControlError> {
        devices::show(&self.daemon, &device)
    }

    async fn device_remove(&self, device: String) -> Result<Removal, ControlError> {
        devices::remove(&self.daemon, &device).await
    }

    async fn device_role(&self, device: String, role: Role) -> Result<DeviceSummary, ControlError> {
        devices::set_role(&self.daemon, &device, role).await
    }

    async fn device_name(&self, name: String) -> Result<DeviceSummary, ControlError> {
        devices::rename(&self.daemon, &name).await
    }

    async fn accepting_set(&self, accepting: Accepting) -> Result<Accepting, ControlError> {
        devices::set_accepting(&self.daemon, accepting).await
    }

    async fn engine_list(&self) -> Result<Vec<Engine>, ControlError> {
        Ok(compute::engines(&self.daemon))
    }

    async fn engine_add(&self, spec: EngineSpec) -> Result<Engine, ControlError> {
        compute::add(&self.daemon, spec).await
    }

    async fn engine_remove(&self, id: String) -> Result<(), ControlError> {
        compute::remove(&self.daemon, &id).await
    }

    async fn engine_test(&self, id: String) -> Result<Engine, ControlError> {
        compute::test(&self.daemon, &id).await
    }

    async fn model_list(&self) -> Result<Vec<Model>, ControlError> {
        Ok(compute::models(&self.daemon))
    }

    async fn chat_start(&self, request: ChatRequest) -> Result<String, ControlError> {
        self.daemon.answers.start(self.daemon.scope(), request).await
    }

    async fn chat_plan(&self, request: ChatRequest) -> Result<RoutePlan, ControlError> {
        self.daemon.answers.plan(self.daemon.scope(), &request).await
    }

    async fn chat_fan_out(&self, request: ChatRequest, count: u32) -> Result<Vec<FanOutAnswer>, ControlError> {
        self.daemon.answers.fan_out(&request, count).await
    }

    async fn answer_events(&self, pending: PendingSubscriptionSink, id: String, after: u64) -> SubscriptionResult {
        follow::answer(&self.daemon, pending, &id, after).await
    }

    async fn answer_stop(&self, id: String) -> Result<(), ControlError> {
        self.daemon.answers.find(&id).await?.cancel.cancel();
        Ok(())
    }

    async fn conversation_list(&self, search: Option<String>) -> Result<Vec<ConversationSummary>, ControlError> {
        conversations::list(&self.daemon, search).await
    }

    async fn conversation_create(&self) -> Result<ConversationSummary, ControlError> {
        conversations::create(&self.daemon).await
    }

    async fn conversation_open(&self, id: String) -> Result<Conversation, ControlError> {
        conversations::open(&self.daemon, id).await
    }

    async fn conversation_rename(&self, id: String, title: String) -> Result<ConversationSummary, ControlError> {
        conversations::rename(&self.daemon, id, title).await
    }

    async fn conversation_delete(&self, id: String) -> Result<(), ControlError> {
        conversations::delete(&self.daemon, id).await
    }

    async fn conversation_restore(&self, id: String) -> Result<ConversationSummary, ControlError> {
        conversations::restore(&self.daemon, id).await
    }

    async fn hardware(&self) -> Result<Hardware, ControlError> {
        hardware::read(&self.daemon).await
    }

    async fn conversation_move(
        &self,
        ids: Vec<String>,
        folder: Option<String>,
    ) -> Result<Vec<ConversationSummary>, ControlError> {
        conversations::put_into(&self.daemon, ids, folder).await
    }

    async fn conversation_private(&self, id: String, private: bool) -> Result<ConversationSummary, ControlError> {
        conversations::set_private(&self.daemon, id, private).await
    }

    async fn doctor(&self, device: Option<String>) -> Result<DoctorReport, ControlError> {
        doctor::examine(&self.daemon, device.as_deref()).await
    }

    async fn local_api(&self) -> Result<LocalApi, ControlError> {
        Ok(keys::local_api(&self.daemon))
    }

    async fn api_request_list(&self) -> Result<Vec<ApiRequest>, ControlError> {
        Ok(self.daemon.requests.list())
    }

    async fn key_create(&self, name: String, scopes: Option<Vec<KeyScope>>) -> Result<NewApiKey, ControlError> {
        keys::create(&self.daemon, &name, scopes).await
    }

    async fn key_list(&self) -> Result<Vec<ApiKey>, ControlError> {
        Ok(self.daemon.keys.list())
    }

    async fn key_revoke(&self, name: String) -> Result<ApiKey, ControlError> {
        keys::revoke(&self.daemon, &name).await
    }
}
