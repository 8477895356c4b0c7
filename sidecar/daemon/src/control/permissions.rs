//! What members may do on this device.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{ActivityKind, Event, MemberScope, MemberScopes};
use myownmesh_mesh::{DeviceId, NetworkId};

use super::networks;
use crate::activity::Told;
use crate::convert::OrControl;
use crate::daemon::Daemon;
use crate::scopes;

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
