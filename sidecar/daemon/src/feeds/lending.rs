//! Lending, kept in step with the clock and the machine, and its changes told to those who follow.

use std::time::Duration;

use myownmesh_control::types::Event;
use tokio::time::sleep;

use crate::daemon::Daemon;

/// The first change is told at once; those that follow within this time are told together.
const PACE: Duration = Duration::from_millis(200);

/// Keeps and tells until the daemon ends.
pub(super) async fn keep(daemon: &Daemon) {
    let mut changes = daemon.lending.follow();
    let telling = async {
        while changes.next().await {
            tracing::trace!(load = ?daemon.lending.load(), "lending changed");
            daemon.events.push(Event::LendingChanged);
            sleep(PACE).await;
        }
    };
    tokio::join!(daemon.lending.keep(), telling);
}
