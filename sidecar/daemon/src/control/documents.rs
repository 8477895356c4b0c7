//! The second half of the contract, answered: what the devices of a network keep in step. Each request is one line of
//! delegation to the file of its area.

use jsonrpsee::core::async_trait;
use myownmesh_control::api::documents::DocumentsApiServer;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{
    Capabilities, Catalogue, Limits, MemberScope, MemberScopes, Permission, PermissionProposal, PermissionTrust,
    Prompt, PromptDraft, PromptExport, PromptFormat, PromptImport, PromptVersion, Rule, SyncStatus,
};

use super::{Control, permissions, prompts, sync};

#[async_trait]
impl DocumentsApiServer for Control {
    async fn prompt_list(&self, search: Option<String>) -> Result<Vec<Prompt>, ControlError> {
        prompts::list(&self.daemon, search).await
    }

    async fn prompt_show(&self, id: String) -> Result<Prompt, ControlError> {
        prompts::show(&self.daemon, &id).await
    }

    async fn prompt_set(&self, draft: PromptDraft) -> Result<Prompt, ControlError> {
        prompts::set(&self.daemon, draft).await
    }

    async fn prompt_duplicate(&self, id: String) -> Result<Prompt, ControlError> {
        prompts::duplicate(&self.daemon, &id).await
    }

    async fn prompt_move(&self, id: String, before: Option<String>) -> Result<Prompt, ControlError> {
        prompts::put_before(&self.daemon, &id, before.as_deref()).await
    }

    async fn prompt_delete(&self, id: String) -> Result<(), ControlError> {
        prompts::delete(&self.daemon, &id).await
    }

    async fn prompt_history(&self, id: String) -> Result<Vec<PromptVersion>, ControlError> {
        prompts::history(&self.daemon, &id).await
    }

    async fn prompt_restore(&self, id: String, version: Option<String>) -> Result<Prompt, ControlError> {
        prompts::restore(&self.daemon, &id, version.as_deref()).await
    }

    async fn prompt_import(&self, text: String, format: PromptFormat) -> Result<PromptImport, ControlError> {
        prompts::import(&self.daemon, text, format).await
    }

    async fn prompt_export(&self, ids: Vec<String>, format: PromptFormat) -> Result<PromptExport, ControlError> {
        prompts::export(&self.daemon, &ids, format).await
    }

    async fn permission_list(&self) -> Result<Vec<Permission>, ControlError> {
        permissions::permission_list(&self.daemon).await
    }

    async fn permission_set(
        &self,
        tool: String,
        rule: Rule,
        limits: Option<Limits>,
    ) -> Result<Permission, ControlError> {
        permissions::permission_set(&self.daemon, tool, rule, limits).await
    }

    async fn permission_explain(&self, tool: String) -> Result<Permission, ControlError> {
        permissions::permission_explain(&self.daemon, tool).await
    }

    async fn permission_proposals(&self) -> Result<Vec<PermissionProposal>, ControlError> {
        permissions::permission_proposals(&self.daemon).await
    }

    async fn permission_accept(&self, id: String) -> Result<Permission, ControlError> {
        permissions::permission_accept(&self.daemon, id).await
    }

    async fn permission_decline(&self, id: String) -> Result<Permission, ControlError> {
        permissions::permission_decline(&self.daemon, id).await
    }

    async fn permission_trust(&self, device: String, on: bool) -> Result<PermissionTrust, ControlError> {
        permissions::permission_trust(&self.daemon, device, on).await
    }

    async fn permission_trusted(&self) -> Result<Vec<PermissionTrust>, ControlError> {
        permissions::permission_trusted(&self.daemon).await
    }

    async fn scope_show(&self, device: String) -> Result<MemberScopes, ControlError> {
        permissions::scope_show(&self.daemon, device).await
    }

    async fn scope_set(&self, device: String, scope: MemberScope, on: bool) -> Result<MemberScopes, ControlError> {
        permissions::scope_set(&self.daemon, device, scope, on).await
    }

    async fn sync_status(&self) -> Result<SyncStatus, ControlError> {
        sync::status(&self.daemon).await
    }

    async fn sync_set(&self, on: bool) -> Result<SyncStatus, ControlError> {
        sync::set(&self.daemon, on).await
    }

    async fn capability_list(&self) -> Result<Vec<Capabilities>, ControlError> {
        sync::capabilities(&self.daemon).await
    }

    async fn catalogue(&self) -> Result<Catalogue, ControlError> {
        sync::catalogue(&self.daemon).await
    }

    async fn catalogue_show(&self, on: bool) -> Result<Catalogue, ControlError> {
        sync::show(&self.daemon, on).await
    }
}
