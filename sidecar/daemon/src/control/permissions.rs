//! What tools may do on this device, and what members may do here.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{
    ActivityKind, Event, Limits, MemberScope, MemberScopes, Permission, PermissionProposal, PermissionTrust, Rule,
};
use myownmesh_mesh::{DeviceId, NetworkId};

use super::networks;
use crate::activity::Told;
use crate::convert::OrControl;
use crate::daemon::Daemon;
use crate::scopes;

pub(super) async fn permission_list(daemon: &Daemon) -> Result<Vec<Permission>, ControlError> {
    daemon.permissions.list().await.or_control()
}

pub(super) async fn permission_set(
    daemon: &Daemon,
    tool: String,
    rule: Rule,
    limits: Option<Limits>,
) -> Result<Permission, ControlError> {
    daemon.permissions.set(tool, rule, limits).await.or_control()
}

pub(super) async fn permission_explain(daemon: &Daemon, tool: String) -> Result<Permission, ControlError> {
    daemon.permissions.explain(tool).await.or_control()
}

pub(super) async fn permission_proposals(daemon: &Daemon) -> Result<Vec<PermissionProposal>, ControlError> {
    daemon.permissions.proposals().await.or_control()
}

pub(super) async fn permission_accept(daemon: &Daemon, id: String) -> Result<Permission, ControlError> {
    daemon.permissions.answer(id, true).await.or_control()
}

pub(super) async fn permission_decline(daemon: &Daemon, id: String) -> Result<Permission, ControlError> {
    daemon.permissions.answer(id, false).await.or_control()
}

pub(super) async fn permission_trust(
    daemon: &Daemon,
    device: String,
    on: bool,
) -> Result<PermissionTrust, ControlError> {
    networks::active(&daemon.picture())?;
    daemon.permissions.trust(daemon.find_device(&device)?, on).await.or_control()
}

pub(super) async fn permission_trusted(daemon: &Daemon) -> Result<Vec<PermissionTrust>, ControlError> {
    daemon.permissions.trusted().await.or_control()
}

#[expect(clippy::unused_async, reason = "asked like all others of its trait")]
pub(super) async fn scope_show(daemon: &Daemon, device: String) -> Result<MemberScopes, ControlError> {
    let (network, device, device_name) = member(daemon, &device)?;
    Ok(MemberScopes { device_id: device.to_string(), device_name, scopes: daemon.scopes.of(network, device) })
}

pub(super) async fn scope_set(
    daemon: &Daemon,
    device: String,
    scope: MemberScope,
    on: bool,
) -> Result<MemberScopes, ControlError> {
    let (network, device, device_name) = member(daemon, &device)?;
    if daemon.scopes.allow(network, device, scope) != on {
        daemon.scopes.set(network, device, scope, on).await.or_control()?;
        daemon.events.push(Event::PermissionsChanged);
        let (switch, what) = (if on { "on" } else { "off" }, scopes::what(scope));
        let text = format!("This device turned {switch} {what} for {device_name}.");
        daemon.activity.tell(Told::new(Some(network), ActivityKind::Security, text).about(device, device_name.clone()));
    }
    Ok(MemberScopes { device_id: device.to_string(), device_name, scopes: daemon.scopes.of(network, device) })
}

/// The other member of the active network that `text` names.
fn member(daemon: &Daemon, text: &str) -> Result<(NetworkId, DeviceId, String), ControlError> {
    let mesh = daemon.picture();
    let network = networks::active(&mesh)?.id;
    let device = daemon.find_device(text)?;
    if device == mesh.device_id {
        let message = "This device may always do everything on itself. Name another device.";
        return Err(ControlError::new(ErrorCode::InvalidArgument, message));
    }
    let name = mesh.member(device).map_or_else(|| device.short(), |member| member.name.to_string());
    Ok((network, device, name))
}
