//! Keeps the catalogue of this device: the titles of its conversations in the active network, while its person shows them
//! there; a deletion once nobody does.

use std::time::Duration;

use myownmesh_control::error::ControlError;
use myownmesh_mesh::NetworkId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{joined, joined_another};
use crate::catalogue::{self, MAX_SHOWN};
use crate::collections;
use crate::convert::OrControl;
use crate::daemon::Daemon;

/// The first of several changes is told at once. Those that follow in a row are told together, once none came for this
/// long: twenty conversations that are moved one by one make two records, not twenty.
const QUIET: Duration = Duration::from_millis(500);
/// A row of changes that does not end is told this often all the same.
const LONGEST: Duration = Duration::from_secs(5);

/// Keeps it until the mesh ends.
pub(super) async fn keep(daemon: &Daemon) {
    let mut conversations = daemon.conversations.watch();
    let (mut showing, mut mesh) = (daemon.showing.watch(), daemon.mesh.watch());
    loop {
        conversations.mark_unchanged();
        showing.mark_unchanged();
        let network = joined(&mesh.borrow_and_update());
        let mut written = false;
        if let Some(network) = network {
            match publish(daemon, network).await {
                Ok(wrote) => written = wrote,
                // It is tried again with the next change; another network is one.
                Err(error) => tracing::warn!(%error, "what is shown of conversations could not be written"),
            }
        }
        let ended = tokio::select! {
            // After a record the rest of a row passes first.
            changed = next(&mut conversations, written) => changed.is_err(),
            changed = showing.changed() => changed.is_err(),
            changed = joined_another(&mut mesh, network) => changed.is_err(),
        };
        if ended {
            return;
        }
    }
}

/// Completes when there is something new to tell: with the next change or, after a record, at the end of its row.
async fn next(conversations: &mut watch::Receiver<()>, written: bool) -> Result<(), watch::error::RecvError> {
    if !written {
        return conversations.changed().await;
    }
    let latest = Instant::now() + LONGEST;
    loop {
        let quiet = (Instant::now() + QUIET).min(latest);
        tokio::select! {
            changed = conversations.changed() => changed?,
            () = sleep_until(quiet) => return Ok(()),
        }
    }
}

/// Brings the document to what it should be; whether that took a record.
async fn publish(daemon: &Daemon, network: NetworkId) -> Result<bool, ControlError> {
    let value = if daemon.showing.to(network) {
        let (newest, all) = daemon.conversations.showable(network.to_string(), MAX_SHOWN).await.or_control()?;
        Some(catalogue::to_bytes(&newest, all))
    } else {
        None
    };
    let (collection, id) = (collections::catalogue(), collections::conversations());
    collections::keep_own(&daemon.mesh, network, collection, id, value).await.or_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_row_of_changes_is_one_and_an_endless_one_is_told_now_and_then() {
        let (changes, mut seen) = watch::channel(());
        changes.send_replace(());
        let began = Instant::now();
        next(&mut seen, false).await.expect("told");
        assert_eq!(began.elapsed(), Duration::ZERO, "the first is told at once");

        let row = async {
            for _ in 0..19 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                changes.send_replace(());
            }
        };
        let (told, ()) = tokio::join!(next(&mut seen, true), row);
        told.expect("told");
        assert_eq!(began.elapsed(), Duration::from_millis(19 * 50) + QUIET, "the rest together, at its end");

        let began = Instant::now();
        let endless = async {
            loop {
                changes.send_replace(());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            told = next(&mut seen, true) => told.expect("told"),
            () = endless => unreachable!("it is endless"),
        }
        assert_eq!(began.elapsed(), LONGEST);
    }
}
