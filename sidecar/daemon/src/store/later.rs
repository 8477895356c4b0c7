//! Rows that are written a moment later, those that come together at once: whoever has one to keep never waits for the
//! disk, and neither a flood of them nor a slow disk holds anybody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use myownmesh_mesh::NetworkId;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Store, StoreError};
use crate::text::now_ms;

/// What may wait to be written; a burst beyond it is counted instead.
const INBOX: usize = 4096;

/// A kind of rows: how they are kept, and what follows.
pub(crate) trait Rows: Send + 'static {
    /// One of them.
    type Row: Send + 'static;
    /// What comes within this time is written together.
    const GATHER: Duration;
    /// Most rows that are gathered.
    const MOST: usize;
    /// What they are, for the log.
    const WHAT: &'static str;

    /// The network that a row goes with.
    fn network(row: &Self::Row) -> Option<NetworkId>;
    /// Writes rows with the times they were told at, and deletes what is too old by `now`; both in milliseconds since the
    /// Unix epoch.
    fn write(connection: &mut Connection, rows: &[(i64, Self::Row)], now: i64) -> Result<(), StoreError>;
    /// Deletes what goes with a network.
    fn forget(connection: &Connection, network: NetworkId) -> Result<(), StoreError>;
    /// So many found no room in the inbox. What is to be kept of that, if anything.
    fn lost(&self, count: u64) -> Option<Self::Row>;
    /// These were written, or some were deleted.
    fn changed(&self, written: &[(i64, Self::Row)]);
}

enum Message<Row> {
    Told(i64, Row),
    Forget(NetworkId, oneshot::Sender<Result<(), StoreError>>),
    Flush(oneshot::Sender<()>),
}

/// The handle; clones share it.
pub(crate) struct Later<R: Rows> {
    inbox: mpsc::Sender<Message<R::Row>>,
    lost: Arc<AtomicU64>,
    tasks: TaskTracker,
}

impl<R: Rows> Clone for Later<R> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), lost: Arc::clone(&self.lost), tasks: self.tasks.clone() }
    }
}

impl<R: Rows> Later<R> {
    /// Starts to write what is told. `stop` ends it after what was told by then is written.
    pub(crate) fn start(store: Store, rows: R, stop: CancellationToken) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX);
        let (lost, tasks) = (Arc::new(AtomicU64::new(0)), TaskTracker::new());
        let writer = Writer { store, rows, messages, lost: Arc::clone(&lost), waiting: Vec::new() };
        tasks.spawn(writer.run(stop));
        Self { inbox, lost, tasks }
    }

    /// Writes it, some time soon. Never waits.
    pub(crate) fn tell(&self, row: R::Row) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(Message::Told(now_ms(), row)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was told before is written.
    pub(crate) async fn written(&self) {
        let (reply, written) = oneshot::channel();
        if self.inbox.send(Message::Flush(reply)).await.is_ok() {
            // It fails only when the writer ended meanwhile, and then everything is written.
            let _ = written.await;
        }
    }

    /// Deletes everything of a network, also what was told and is not written yet.
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

/// The actor behind [`Later`].
struct Writer<R: Rows> {
    store: Store,
    rows: R,
    messages: mpsc::Receiver<Message<R::Row>>,
    lost: Arc<AtomicU64>,
    waiting: Vec<(i64, R::Row)>,
}

impl<R: Rows> Writer<R> {
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
        let until = Instant::now() + R::GATHER;
        while self.waiting.len() < R::MOST && !stop.is_cancelled() {
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
    async fn take(&mut self, message: Message<R::Row>) -> bool {
        match message {
            Message::Told(at, row) => {
                self.waiting.push((at, row));
                false
            }
            Message::Forget(network, reply) => {
                self.waiting.retain(|(_, row)| R::network(row) != Some(network));
                self.write().await;
                let done = self.store.call(move |connection| R::forget(connection, network)).await;
                self.rows.changed(&[]);
                // Who asked may be gone.
                let _ = reply.send(done);
                true
            }
            Message::Flush(reply) => {
                self.write().await;
                // Who asked may be gone.
                let _ = reply.send(());
                true
            }
        }
    }

    async fn write(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.waiting.extend(self.rows.lost(lost).map(|row| (now_ms(), row)));
        }
        if self.waiting.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.waiting);
        let written = self.store.call(move |connection| R::write(connection, &rows, now_ms()).map(|()| rows)).await;
        match written {
            Ok(rows) => self.rows.changed(&rows),
            Err(error) => tracing::warn!(%error, "{} could not be written", R::WHAT),
        }
    }
}
