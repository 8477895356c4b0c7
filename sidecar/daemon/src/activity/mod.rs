//! What happened in the networks of this device, kept for people to read later: who came and went, who decided what,
//! what was lent and borrowed, and what was refused. Never what was said.
//!
//! [`Activity`] is a handle that never waits: whoever has something to tell puts it into a bounded inbox and goes on.
//! An actor writes what has gathered in one transaction, so neither a chat nor a flood of strangers waits for the disk.
//! Each kind has a share of its own of what is kept, so nobody can push the rest out by making noise; the mesh counts
//! refusals that repeat before they come here.
//!
//! `tell` puts events of the mesh into sentences, `rows` holds the SQL.

mod rows;
mod tell;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use myownmesh_control::types::{ActivityEntry, ActivityFilter, ActivityKind, Event};
use myownmesh_mesh::{DeviceId, NetworkId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::Events;
use crate::store::{Store, StoreError};
use crate::text::now_ms;

pub(crate) use self::tell::Teller;

/// What may wait to be written; a burst beyond it is counted instead.
const INBOX: usize = 4096;
/// What comes within this time is written together, and told to screens as one change.
const GATHER: Duration = Duration::from_millis(100);
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

enum Message {
    Told(i64, Told),
    /// This network is saved here again: what is told of it counts.
    Joined(NetworkId),
    Forget(NetworkId, oneshot::Sender<Result<(), StoreError>>),
    Flush(oneshot::Sender<()>),
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Activity {
    store: Store,
    inbox: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
    tasks: TaskTracker,
}

impl Activity {
    /// Deletes what is too old and starts to keep what is told. `stop` ends it after what was told by then is written.
    pub(crate) async fn start(store: Store, events: Events, stop: CancellationToken) -> Result<Self, StoreError> {
        store.call(|connection| rows::prune(connection, now_ms())).await?;
        let (inbox, messages) = mpsc::channel(INBOX);
        let (lost, tasks) = (Arc::new(AtomicU64::new(0)), TaskTracker::new());
        let keeper = Keeper {
            store: store.clone(),
            events,
            messages,
            lost: Arc::clone(&lost),
            waiting: Vec::new(),
            forgotten: HashSet::new(),
        };
        tasks.spawn(keeper.run(stop));
        Ok(Self { store, inbox, lost, tasks })
    }

    /// Keeps it, some time soon. Never waits.
    pub(crate) fn tell(&self, told: Told) {
        self.send(Message::Told(now_ms(), told));
    }

    /// Things told of this network count, even if it was forgotten before.
    pub(crate) fn joined(&self, network: NetworkId) {
        self.send(Message::Joined(network));
    }

    fn send(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(message) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was kept, newest first: of `network` and of none; with no network, of all.
    pub(crate) async fn list(
        &self,
        network: Option<NetworkId>,
        device: Option<DeviceId>,
        filter: ActivityFilter,
    ) -> Result<Vec<ActivityEntry>, StoreError> {
        // What has happened before the question belongs into the answer.
        let (reply, written) = oneshot::channel();
        if self.inbox.send(Message::Flush(reply)).await.is_ok() {
            // A keeper that ended meanwhile has written everything.
            let _ = written.await;
        }
        let (network, device) = (network.map(|id| id.to_string()), device.map(|id| id.to_string()));
        self.store.call(move |connection| rows::list(connection, network.as_deref(), device.as_deref(), &filter)).await
    }

    /// Deletes everything kept of a network that this device forgets, and takes nothing more of it.
    pub(crate) async fn forget_network(&self, network: NetworkId) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.inbox.send(Message::Forget(network, reply)).await.map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until everything is written; call it after the stop.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The actor behind [`Activity`].
struct Keeper {
    store: Store,
    events: Events,
    messages: mpsc::Receiver<Message>,
    lost: Arc<AtomicU64>,
    waiting: Vec<(i64, Told)>,
    forgotten: HashSet<NetworkId>,
}

impl Keeper {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = self.messages.recv() => message,
            };
            let Some(message) = message else { break };
            if !self.take(message).await {
                self.gather(&stop).await;
            }
            self.write().await;
        }
        self.messages.close();
        while let Some(message) = self.messages.recv().await {
            self.take(message).await;
        }
        self.write().await;
    }

    /// Takes what follows closely.
    async fn gather(&mut self, stop: &CancellationToken) {
        let until = Instant::now() + GATHER;
        while self.waiting.len() < INBOX && !stop.is_cancelled() {
            match timeout_at(until, self.messages.recv()).await {
                Ok(Some(message)) => {
                    if self.take(message).await {
                        return;
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Takes a message; tells whether somebody waited for it, so that gathering ends.
    async fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Told(at, told) => {
                self.add(at, told);
                false
            }
            Message::Joined(network) => {
                self.forgotten.remove(&network);
                false
            }
            Message::Forget(network, reply) => {
                self.forgotten.insert(network);
                self.waiting.retain(|(_, told)| told.network != Some(network));
                self.write().await;
                let id = network.to_string();
                let done = self.store.call(move |connection| rows::forget_network(connection, &id)).await;
                self.events.push(Event::ActivityChanged);
                // Who asked may be gone.
                let _ = reply.send(done);
                true
            }
            Message::Flush(reply) => {
                self.write().await;
                let _ = reply.send(());
                true
            }
        }
    }

    fn add(&mut self, at: i64, told: Told) {
        if told.network.is_none_or(|network| !self.forgotten.contains(&network)) {
            self.waiting.push((at, told));
        }
    }

    async fn write(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("So much happened at once that {lost} activities were not kept.");
            self.waiting.push((now_ms(), Told::new(None, ActivityKind::Security, text)));
        }
        if self.waiting.is_empty() {
            return;
        }
        let told = std::mem::take(&mut self.waiting);
        match self.store.call(move |connection| rows::write(connection, &told, now_ms())).await {
            Ok(()) => self.events.push(Event::ActivityChanged),
            Err(error) => tracing::warn!(%error, "activities could not be kept"),
        }
    }
}

#[cfg(test)]
mod tests;
