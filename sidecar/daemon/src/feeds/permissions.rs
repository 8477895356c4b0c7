//! What changes the rules of tools: statements that arrive, members that come, go or get another role, another network.

use std::collections::BTreeMap;

use myownmesh_mesh::{DeviceId, MeshEvent, MeshSnapshot, NetworkId, NetworkKind, Role};
use tokio::sync::broadcast::error::RecvError;

use crate::collections;
use crate::daemon::Daemon;

/// Looks again whenever something has changed, until the mesh ends.
pub(super) async fn keep(daemon: &Daemon) {
    let mut events = daemon.mesh.events();
    let mut pictures = daemon.mesh.watch();
    let mut seen = None;
    loop {
        let around = Around::of(&pictures.borrow_and_update());
        if seen.as_ref() != Some(&around) {
            // Another network may be active by now; then there is a newer picture.
            if let Err(error) = daemon.permissions.look().await {
                tracing::info!(%error, "permissions could not be looked at");
            }
            seen = Some(around);
        }
        tokio::select! {
            event = events.recv() => match event {
                Ok(MeshEvent::DocumentsChanged { collections, .. })
                    if collections.contains(&collections::permissions()) => seen = None,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => seen = None,
                Err(RecvError::Closed) => return,
            },
            changed = pictures.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// What of a picture of the mesh makes a difference to rules, and to the sentences about them.
#[derive(PartialEq)]
struct Around {
    network: Option<(NetworkId, NetworkKind)>,
    members: BTreeMap<DeviceId, (Role, String)>,
}

impl Around {
    fn of(mesh: &MeshSnapshot) -> Self {
        let active = mesh.networks.iter().find(|network| Some(network.id) == mesh.active);
        Self {
            network: active.map(|network| (network.id, network.kind)),
            members: mesh.members.iter().map(|m| (m.device_id, (m.role, m.name.to_string()))).collect(),
        }
    }
}
