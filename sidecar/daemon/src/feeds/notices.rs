//! What an owner should know while the daemon runs: members that signed two different records with one number.

use std::collections::BTreeSet;

use myownmesh_mesh::{DecisionInfo, DecisionKind, MeshEvent, MeshSnapshot, NetworkId, Role};
use tokio::sync::broadcast::error::RecvError;

use crate::convert::Names;
use crate::daemon::Daemon;

/// Keeps the notices of the active network up to date until the mesh ends.
pub(super) async fn keep(daemon: &Daemon) {
    let mut events = daemon.mesh.events();
    let mut pictures = daemon.mesh.watch();
    let mut known = None;
    loop {
        let mesh = pictures.borrow_and_update().clone();
        let of = governed(&mesh);
        if known != of {
            look(daemon, &mesh, of).await;
            known = of;
        }
        tokio::select! {
            event = events.recv() => match event {
                Ok(MeshEvent::Decided(decision)) if matches!(decision.what, DecisionKind::Equivocated { .. }) => {
                    known = None;
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => known = None,
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

/// The active network, if this device is one of its owners, and how many members it has: a removal settles a lie.
fn governed(mesh: &MeshSnapshot) -> Option<(NetworkId, u32)> {
    let active = mesh.networks.iter().find(|network| Some(network.id) == mesh.active)?;
    (active.role == Some(Role::Owner)).then_some((active.id, active.members))
}

async fn look(daemon: &Daemon, mesh: &MeshSnapshot, of: Option<(NetworkId, u32)>) {
    let decisions = match of {
        Some((network, _)) => daemon.mesh.decisions(network).await.unwrap_or_default(),
        None => Vec::new(),
    };
    daemon.notices.send_replace(notices(mesh, &decisions));
}

/// One sentence per member that lied. One that was removed since is a matter of the past.
fn notices(mesh: &MeshSnapshot, decisions: &[DecisionInfo]) -> Vec<String> {
    let mut names = Names::of(mesh);
    names.learn(decisions);
    let lied = |decision: &DecisionInfo| matches!(decision.what, DecisionKind::Equivocated { .. });
    let devices: BTreeSet<_> = decisions.iter().filter(|one| lied(one)).map(|one| one.author).collect();
    let members = devices.into_iter().filter(|device| mesh.member(*device).is_some());
    members
        .map(|device| {
            format!(
                "{} signed different records with one number: it lies, or was restored from a backup. Ask its owner, \
                 and remove it if nobody can say why.",
                names.of_device(device)
            )
        })
        .collect()
}
