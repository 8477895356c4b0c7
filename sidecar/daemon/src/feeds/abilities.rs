//! Keeps the capabilities that this device publishes: with every change of engines, models, lending policy or network,
//! and with nothing else.

use std::time::Duration;

use myownmesh_mesh::{MeshError, NetworkId};
use tokio::time::sleep;

use super::{joined, joined_another};
use crate::capabilities::{Abilities, Parts};
use crate::collections;
use crate::daemon::Daemon;

/// The first change is told at once; those that follow within this time are told together.
const PACE: Duration = Duration::from_secs(2);

/// Keeps them until the mesh ends.
pub(super) async fn keep(daemon: &Daemon) {
    let mut parts = Parts::read().await;
    let (mut compute, mut mesh) = (daemon.compute.watch(), daemon.mesh.watch());
    loop {
        compute.mark_unchanged();
        let network = joined(&mesh.borrow_and_update());
        let policy = daemon.lending.policy(network);
        if let Some(network) = network {
            parts.look_again().await;
            match publish(daemon, network, &parts).await {
                Ok(false) => {}
                Ok(true) => sleep(PACE).await,
                // It is tried again with the next change; another network is one.
                Err(error) => tracing::warn!(%error, "what this device can do could not be written"),
            }
        }
        let changed = tokio::select! {
            changed = compute.changed() => changed,
            () = daemon.lending.policy_changed(network, policy) => Ok(()),
            changed = joined_another(&mut mesh, network) => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Brings the document to what it should be; whether that took a record.
async fn publish(daemon: &Daemon, network: NetworkId, parts: &Parts) -> Result<bool, MeshError> {
    let (collection, id) = (collections::capabilities(), collections::device());
    let before = collections::own(&daemon.mesh, network, &collection, &id).await?;
    let before = before.and_then(|document| Abilities::read(document.value.as_deref()?));
    let accepting = daemon.lending.policy(Some(network));
    let now = Abilities::of(&daemon.compute.snapshot(), parts, accepting, before.as_ref());
    collections::keep_own(&daemon.mesh, network, collection, id, Some(now.to_bytes())).await
}
