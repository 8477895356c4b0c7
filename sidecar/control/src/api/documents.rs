//! The requests about documents: what the devices of a network keep in step. A trait of its own, at the same socket.

use jsonrpsee::proc_macros::rpc;

use crate::error::ControlError;
use crate::types::{
    Capabilities, Catalogue, Limits, MemberScope, MemberScopes, Permission, PermissionProposal, PermissionTrust,
    Prompt, PromptDraft, PromptExport, PromptFormat, PromptImport, PromptVersion, Rule, SyncStatus,
};

/// Prompts, permissions, capabilities and catalogues of the active network. The trait generates `DocumentsApiServer` for
/// the daemon and `DocumentsApiClient` for everyone else.
#[rpc(server, client)]
pub trait DocumentsApi {
    /// The prompts in their order. `search` filters by label and text.
    #[method(name = "prompt_list", param_kind = map)]
    async fn prompt_list(&self, search: Option<String>) -> Result<Vec<Prompt>, ControlError>;

    /// One prompt.
    #[method(name = "prompt_show", param_kind = map)]
    async fn prompt_show(&self, id: String) -> Result<Prompt, ControlError>;

    /// Makes a prompt or changes one.
    #[method(name = "prompt_set", param_kind = map)]
    async fn prompt_set(&self, draft: PromptDraft) -> Result<Prompt, ControlError>;

    /// Makes a copy of a prompt, right below it.
    #[method(name = "prompt_duplicate", param_kind = map)]
    async fn prompt_duplicate(&self, id: String) -> Result<Prompt, ControlError>;

    /// Moves a prompt in front of another one; to the end when `before` is not given.
    #[method(name = "prompt_move", param_kind = map)]
    async fn prompt_move(&self, id: String, before: Option<String>) -> Result<Prompt, ControlError>;

    /// Deletes a prompt everywhere; `prompt_restore` brings it back.
    #[method(name = "prompt_delete", param_kind = map)]
    async fn prompt_delete(&self, id: String) -> Result<(), ControlError>;

    /// What a prompt said, newest first: the present version and those that were replaced or lost against another.
    #[method(name = "prompt_history", param_kind = map)]
    async fn prompt_history(&self, id: String) -> Result<Vec<PromptVersion>, ControlError>;

    /// Brings an earlier version back, as a new one; the newest with text when `version` is not given.
    #[method(name = "prompt_restore", param_kind = map)]
    async fn prompt_restore(&self, id: String, version: Option<String>) -> Result<Prompt, ControlError>;

    /// Takes prompts from the text of a file, as a whole or not at all.
    #[method(name = "prompt_import", param_kind = map)]
    async fn prompt_import(&self, text: String, format: PromptFormat) -> Result<PromptImport, ControlError>;

    /// Writes prompts as the text of a file; all of them when `ids` is empty.
    #[method(name = "prompt_export", param_kind = map)]
    async fn prompt_export(&self, ids: Vec<String>, format: PromptFormat) -> Result<PromptExport, ControlError>;

    /// What holds for each tool on this device, and why.
    #[method(name = "permission_list", param_kind = map)]
    async fn permission_list(&self) -> Result<Vec<Permission>, ControlError>;

    /// Sets the rule of a tool, here and for the network. `limits` stay as they are when not given.
    #[method(name = "permission_set", param_kind = map)]
    async fn permission_set(
        &self,
        tool: String,
        rule: Rule,
        limits: Option<Limits>,
    ) -> Result<Permission, ControlError>;

    /// What holds for one tool on this device, and why.
    #[method(name = "permission_explain", param_kind = map)]
    async fn permission_explain(&self, tool: String) -> Result<Permission, ControlError>;

    /// Looser rules of other devices that wait for a person here.
    #[method(name = "permission_proposals", param_kind = map)]
    async fn permission_proposals(&self) -> Result<Vec<PermissionProposal>, ControlError>;

    /// Lets a proposal hold on this device.
    #[method(name = "permission_accept", param_kind = map)]
    async fn permission_accept(&self, id: String) -> Result<Permission, ControlError>;

    /// Keeps what holds on this device; the proposal is not shown again.
    #[method(name = "permission_decline", param_kind = map)]
    async fn permission_decline(&self, id: String) -> Result<Permission, ControlError>;

    /// Says whether looser rules of a member apply here without asking, from now on.
    #[method(name = "permission_trust", param_kind = map)]
    async fn permission_trust(&self, device: String, on: bool) -> Result<PermissionTrust, ControlError>;

    /// Whom a person here trusts with that, of the other members.
    #[method(name = "permission_trusted", param_kind = map)]
    async fn permission_trusted(&self) -> Result<Vec<PermissionTrust>, ControlError>;

    /// What a member may do on this device.
    #[method(name = "scope_show", param_kind = map)]
    async fn scope_show(&self, device: String) -> Result<MemberScopes, ControlError>;

    /// Says whether a member may do something on this device.
    #[method(name = "scope_set", param_kind = map)]
    async fn scope_set(&self, device: String, scope: MemberScope, on: bool) -> Result<MemberScopes, ControlError>;

    /// The gossip switch of the active network and how far each member is.
    #[method(name = "sync_status", param_kind = map)]
    async fn sync_status(&self) -> Result<SyncStatus, ControlError>;

    /// Turns the gossip of the active network on or off, on this device.
    #[method(name = "sync_set", param_kind = map)]
    async fn sync_set(&self, on: bool) -> Result<SyncStatus, ControlError>;

    /// What the members say they can do, this device first.
    #[method(name = "capability_list", param_kind = map)]
    async fn capability_list(&self) -> Result<Vec<Capabilities>, ControlError>;

    /// The conversations that members show.
    #[method(name = "catalogue", param_kind = map)]
    async fn catalogue(&self) -> Result<Catalogue, ControlError>;

    /// Says whether this device shows the titles of its conversations to the active network.
    #[method(name = "catalogue_show", param_kind = map)]
    async fn catalogue_show(&self, on: bool) -> Result<Catalogue, ControlError>;
}
