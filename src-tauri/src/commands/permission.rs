//! What tools may do, and what members may do here.

use myownmesh_control::types::{
    Limits, MemberScope, MemberScopes, Permission, PermissionProposal, PermissionTrust, Rule,
};

delegate! { documents:
    /// What holds for each tool on this device, and why.
    permission_list() -> Vec<Permission>;
    /// Sets the rule of a tool, here and for the network. `limits` stay as they are when not given.
    permission_set(tool: String, rule: Rule, limits: Option<Limits>) -> Permission;
    /// What holds for one tool on this device, and why.
    permission_explain(tool: String) -> Permission;
    /// Looser rules of other devices that wait for a person here.
    permission_proposals() -> Vec<PermissionProposal>;
    /// Lets a proposal hold on this device.
    permission_accept(id: String) -> Permission;
    /// Keeps what holds on this device; the proposal is not shown again.
    permission_decline(id: String) -> Permission;
    /// Says whether looser rules of a member apply here without asking, from now on.
    permission_trust(device: String, on: bool) -> PermissionTrust;
    /// Whom a person here trusts with that, of the other members.
    permission_trusted() -> Vec<PermissionTrust>;
    /// What a member may do on this device.
    scope_show(device: String) -> MemberScopes;
    /// Says whether a member may do something on this device.
    scope_set(device: String, scope: MemberScope, on: bool) -> MemberScopes;
}
