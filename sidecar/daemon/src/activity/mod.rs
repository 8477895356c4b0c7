//! What happened in the networks of this device, kept for people to read later: who came and went, who decided what,
//! what was lent and borrowed, and what was refused. Never what was said.
//!
//! [`Activity`] is a handle that never waits, so neither a chat nor a flood of strangers waits for the disk. Each kind has a
//! share of its own of what is kept, so nobody can push the rest out by making noise; the mesh counts refusals that repeat
//! before they come here.
//!
//! `tell` puts events of the mesh into sentences, `rows` holds the SQL.

mod rows;
mod tell;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use myownmesh_control::types::{ActivityEntry, ActivityFilter, ActivityKind, Event};
use myownmesh_mesh::{DeviceId, NetworkId};
use rusqlite::Connection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::store::{Later, Rows, Store, StoreError};
use crate::text::now_ms;

pub(crate) use self::tell::Teller;

/// Longest sentence that is kept, in characters.
const MAX_TEXT: usize = 600;

/// Something to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The network it happened in.
    pub(crate) network: Option<NetworkId>,
    /// What it is about.
    pub(crate) kind: ActivityKind,
    /// The device it is about, and its name.
    pub(crate) device: Option<(DeviceId, String)>,
    /// What happened, as a sentence.
    pub(crate) text: String,
}

impl Told {
    /// Something of this kind.
    pub(crate) fn new(network: Option<NetworkId>, kind: ActivityKind, text: impl Into<String>) -> Self {
        Self { network, kind, device: None, text: text.into() }
    }

    /// About this device.
    pub(crate) fn about(mut self, device: DeviceId, name: impl Into<String>) -> Self {
        self.device = Some((device, name.into()));
        self
    }
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Activity {
    store: Store,
    kept: Later<Kept>,
    /// Networks that were forgotten here: what is told of them late counts no more.
    forgotten: Arc<watch::Sender<HashSet<NetworkId>>>,
}

impl Activity {
    /// Deletes what is too old and starts to keep what is told. `stop` ends it after what was told by then is written.
    pub(crate) async fn start(store: Store, events: Events, stop: CancellationToken) -> Result<Self, StoreError> {
        store.call(|connection| rows::prune(connection, now_ms())).await?;
        let kept = Later::start(store.clone(), Kept(events), stop);
        Ok(Self { store, kept, forgotten: Arc::new(watch::Sender::default()) })
    }

    /// Keeps it, some time soon. Never waits.
    pub(crate) fn tell(&self, told: Told) {
        if told.network.is_none_or(|network| !self.forgotten.borrow().contains(&network)) {
            self.kept.tell(told);
        }
    }

    /// Things told of this network count, even if it was forgotten before.
    pub(crate) fn joined(&self, network: NetworkId) {
        self.forgotten.send_if_modified(|forgotten| forgotten.remove(&network));
    }

    /// What was kept, newest first: of `network` and of none; with no network, of all.
    pub(crate) async fn list(
        &self,
        network: Option<NetworkId>,
        device: Option<DeviceId>,
        filter: ActivityFilter,
    ) -> Result<Vec<ActivityEntry>, StoreError> {
        // What has happened before the question belongs into the answer.
        self.kept.written().await;
        let (network, device) = (network.map(|id| id.to_string()), device.map(|id| id.to_string()));
        self.store.call(move |connection| rows::list(connection, network.as_deref(), device.as_deref(), &filter)).await
    }

    /// Deletes everything kept of a network that this device forgets, and takes nothing more of it.
    pub(crate) async fn forget_network(&self, network: NetworkId) -> Result<(), StoreError> {
        self.forgotten.send_if_modified(|forgotten| forgotten.insert(network));
        self.kept.forget_network(network).await
    }

    /// Waits until everything is written; call it after the stop.
    pub(crate) async fn ended(&self) {
        self.kept.ended().await;
    }
}

/// Activities as rows.
struct Kept(Events);

impl Rows for Kept {
    type Row = Told;
    const GATHER: Duration = Duration::from_millis(100);
    const MOST: usize = 4096;
    const WHAT: &'static str = "activities";

    fn network(told: &Told) -> Option<NetworkId> {
        told.network
    }

    fn write(connection: &mut Connection, told: &[(i64, Told)], now: i64) -> Result<(), StoreError> {
        rows::write(connection, told, now)
    }

    fn forget(connection: &Connection, network: NetworkId) -> Result<(), StoreError> {
        rows::forget_network(connection, network)
    }

    fn lost(&self, count: u64) -> Option<Told> {
        let text = format!("So much happened at once that {count} activities were not kept.");
        Some(Told::new(None, ActivityKind::Security, text))
    }

    fn changed(&self, _written: &[(i64, Told)]) {
        self.0.push(Event::ActivityChanged);
    }
}

#[cfg(test)]
mod tests;
