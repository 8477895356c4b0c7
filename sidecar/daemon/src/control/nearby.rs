//! What is around this device: devices that announce themselves, relays, and what flows to linked members.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Connection, NearbyDevice, Relay};

use super::invites;
use crate::convert::{self, Names, OrControl};
use crate::daemon::Daemon;
use crate::devices::{self, DeviceRefError};

pub(super) fn list(daemon: &Daemon) -> Vec<NearbyDevice> {
    let mesh = daemon.picture();
    mesh.nearby.iter().map(|found| convert::nearby(found, &mesh)).collect()
}

/// Begins to join the network that a device nearby announces; what follows is a stream, as with an invite.
pub(super) async fn join(daemon: &Daemon, device: &str) -> Result<String, ControlError> {
    let mesh = daemon.picture();
    let names = mesh.nearby.iter().map(|found| (found.device_id, found.name.as_str()));
    let device = devices::find(names, device).map_err(|error| match error {
        DeviceRefError::Unknown(name) => {
            let message = format!(
                "No device \"{name}\" announces itself here now. `myownmesh nearby` shows those that do; an invite \
                 works from anywhere."
            );
            ControlError::new(ErrorCode::NotFound, message)
        }
        ambiguous @ DeviceRefError::Ambiguous { .. } => ambiguous.into(),
    })?;
    if let Some(found) = mesh.nearby.iter().find(|found| found.device_id == device && found.network.is_none()) {
        let message = format!(
            "{} announces no network. Ask its owner for an invite, or to announce one: `myownmesh network settings \
             --announce on`.",
            found.name
        );
        return Err(ControlError::new(ErrorCode::Conflict, message));
    }
    let progress = daemon.mesh.join_nearby(device).await.or_control()?;
    Ok(invites::follow_join(daemon, progress).await)
}

pub(super) fn relays(daemon: &Daemon) -> Vec<Relay> {
    daemon.picture().relays.iter().map(convert::relay).collect()
}

pub(super) async fn connections(daemon: &Daemon) -> Vec<Connection> {
    let names = Names::of(&daemon.picture());
    let mut connections: Vec<_> = daemon
        .mesh
        .connections()
        .await
        .into_iter()
        .map(|link| Connection {
            device_name: names.of_device(link.device_id),
            device_id: link.device_id.to_string(),
            path: convert::path_kind(link.path),
            address: link.address,
            rtt_ms: link.rtt_ms,
            since: link.since,
            sent_bytes: link.sent_bytes,
            received_bytes: link.received_bytes,
            lending: link.lending,
            borrowing: link.borrowing,
        })
        .collect();
    connections.sort_by_key(|link| link.device_name.to_lowercase());
    connections
}
