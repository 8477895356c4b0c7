//! The ledger: what was lent and borrowed, by whom, when, which model, how many tokens, how long. Never a word of it.
//!
//! Whoever asks names its request, so both devices know the same rows. The device that lent is the authority: the other
//! one asks it for what it counted ([`Ledger::open`], [`Ledger::agree`]) and takes that over; then both count the same.
//! An actor writes what is told; it never keeps anybody waiting.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use myownmesh_control::types::{Event, Usage, UsageDirection};
use myownmesh_mesh::{DeviceId, NetworkId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::Events;
use crate::lending::Lending;
use crate::store::{Store, StoreError};
use crate::text::{now_ms, random_id};

/// What may wait to be written.
const INBOX: usize = 4096;
/// Most rows that are written together, and that one device is asked for at once.
pub(crate) const MOST: usize = 256;
/// What comes within this time is written together.
const GATHER: Duration = Duration::from_millis(50);
/// Lengths of a name of a request.
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// The name of a request, given by whoever asks; in the header of the question.
pub(crate) const REQUEST: HeaderName = HeaderName::from_static("x-myownmesh-request");

/// Names a request for both devices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RequestName(String);

impl RequestName {
    /// A new one.
    pub(crate) fn fresh() -> Self {
        Self(random_id())
    }

    /// The one a question carries; one of our own where it carries none that can be used.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(&REQUEST).and_then(|value| value.to_str().ok());
        given.and_then(|text| Self::try_from(text.to_owned()).ok()).unwrap_or_else(Self::fresh)
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that names no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a request is 16 to 64 letters, digits and hyphens")]
pub(crate) struct NoName;

impl TryFrom<String> for RequestName {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if NAME_LENGTH.contains(&text.len()) && text.bytes().all(plain) { Ok(Self(text)) } else { Err(NoName) }
    }
}

/// A request that ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Who used whose.
    pub(crate) direction: UsageDirection,
    /// The network.
    pub(crate) network: Option<NetworkId>,
    /// The other device, and its name.
    pub(crate) device: (DeviceId, String),
    /// The request.
    pub(crate) request: RequestName,
    /// The model.
    pub(crate) model: String,
    /// How much it was.
    pub(crate) amount: Amount,
    /// Whether it is known that it was served. What is not counts only once the other device says so.
    pub(crate) sure: bool,
}

/// How much was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amount {
    /// Tokens of the answer.
    pub(crate) tokens: u64,
    /// Tokens of the question, where they were told.
    pub(crate) prompt: u64,
    /// Seconds of the answer, waiting left out.
    pub(crate) seconds: f64,
}

impl Amount {
    /// Whether it can be: numbers of another device are not believed blindly.
    fn is_plausible(&self) -> bool {
        const MOST_TOKENS: u64 = 1 << 40;
        const MOST_SECONDS: f64 = 366.0 * 24.0 * 60.0 * 60.0;
        self.tokens <= MOST_TOKENS && self.prompt <= MOST_TOKENS && (0.0..=MOST_SECONDS).contains(&self.seconds)
    }
}

/// What a device that lent counted for one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// The request.
    pub(crate) request: RequestName,
    /// How much.
    #[serde(flatten)]
    pub(crate) amount: Amount,
}

enum Message {
    Ended(i64, Box<Entry>),
    Forget(NetworkId, oneshot::Sender<Result<(), StoreError>>),
    Flush(oneshot::Sender<()>),
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Ledger {
    store: Store,
    lending: Lending,
    events: Events,
    inbox: mpsc::Sender<Message>,
    /// Rises with everything borrowed.
    borrowed: Arc<watch::Sender<u64>>,
    tasks: TaskTracker,
}

impl Ledger {
    /// Deletes what is too old, counts what was lent today, and starts to write. `stop` ends it after what was told by
    /// then is written.
    pub(crate) async fn start(
        store: Store,
        lending: Lending,
        events: Events,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let midnight = lending.midnight();
        let today = store
            .call(move |connection| {
                rows::prune(connection, now_ms())?;
                rows::lent_since(connection, midnight)
            })
            .await?;
        for (network, device, tokens) in today {
            lending.count(network, device, tokens);
        }
        let (inbox, messages) = mpsc::channel(INBOX);
        let borrowed = Arc::new(watch::Sender::new(0));
        let tasks = TaskTracker::new();
        let writer = Writer {
            store: store.clone(),
            events: events.clone(),
            messages,
            borrowed: Arc::clone(&borrowed),
            waiting: Vec::new(),
        };
        tasks.spawn(writer.run(stop));
        Ok(Self { store, lending, events, inbox, borrowed, tasks })
    }

    /// Writes it down, some time soon; what was lent counts at once. Never waits.
    pub(crate) fn tell(&self, entry: Entry) {
        if let (UsageDirection::Lent, Some(network)) = (entry.direction, entry.network) {
            self.lending.count(network, entry.device.0, entry.amount.tokens);
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(Message::Ended(now_ms(), Box::new(entry)))
        {
            tracing::warn!("so much was lent and borrowed at once that some of it is missing in the ledger");
        }
    }

    /// What was lent and borrowed since then on a network; with no network, on all.
    pub(crate) async fn usage(&self, network: Option<NetworkId>, since: i64) -> Result<Usage, StoreError> {
        self.written().await;
        self.store.call(move |connection| rows::usage(connection, network, since)).await
    }

    /// What this device counted of what it lent to `device`, for these requests; it counts as agreed from now on.
    pub(crate) async fn lent_to(
        &self,
        network: NetworkId,
        device: DeviceId,
        requests: Vec<RequestName>,
    ) -> Result<Vec<Counted>, StoreError> {
        self.written().await;
        let (counted, news) =
            self.store.call(move |connection| rows::lent_to(connection, network, device, &requests)).await?;
        if news {
            self.events.push(Event::UsageChanged);
        }
        Ok(counted)
    }

    /// What was borrowed on a network and not agreed on yet, by the device that lent; the newest of each.
    pub(crate) async fn open(&self, network: NetworkId) -> Result<BTreeMap<DeviceId, Vec<RequestName>>, StoreError> {
        self.store.call(move |connection| rows::open(connection, network, now_ms())).await
    }

    /// Takes over what `device` counted.
    pub(crate) async fn agree(&self, device: DeviceId, counted: Vec<Counted>) -> Result<(), StoreError> {
        let plausible: Vec<Counted> = counted.into_iter().filter(|row| row.amount.is_plausible()).take(MOST).collect();
        if self.store.call(move |connection| rows::agree(connection, device, &plausible)).await? {
            self.events.push(Event::UsageChanged);
        }
        Ok(())
    }

    /// Changes with everything that was borrowed.
    pub(crate) fn borrowed(&self) -> watch::Receiver<u64> {
        self.borrowed.subscribe()
    }

    /// Deletes everything of a network that this device forgets.
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

    /// What has ended before the question belongs into the answer.
    async fn written(&self) {
        let (reply, written) = oneshot::channel();
        if self.inbox.send(Message::Flush(reply)).await.is_ok() {
            // A writer that ended meanwhile has written everything.
            let _ = written.await;
        }
    }
}

/// The actor behind [`Ledger`].
struct Writer {
    store: Store,
    events: Events,
    messages: mpsc::Receiver<Message>,
    borrowed: Arc<watch::Sender<u64>>,
    waiting: Vec<(i64, Entry)>,
}

impl Writer {
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
        let until = tokio::time::Instant::now() + GATHER;
        while self.waiting.len() < MOST && !stop.is_cancelled() {
            match tokio::time::timeout_at(until, self.messages.recv()).await {
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
            Message::Ended(at, entry) => {
                self.waiting.push((at, *entry));
                false
            }
            Message::Forget(network, reply) => {
                self.waiting.retain(|(_, entry)| entry.network != Some(network));
                self.write().await;
                let done = self.store.call(move |connection| rows::forget_network(connection, network)).await;
                self.events.push(Event::UsageChanged);
                // Who asked may be gone; here and below.
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

    async fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.waiting);
        let borrowed = entries.iter().any(|(_, entry)| entry.direction == UsageDirection::Borrowed);
        match self.store.call(move |connection| rows::write(connection, &entries, now_ms())).await {
            Ok(()) => {
                self.events.push(Event::UsageChanged);
                if borrowed {
                    self.borrowed.send_modify(|count| *count += 1);
                }
            }
            Err(error) => tracing::warn!(%error, "what was lent and borrowed could not be written"),
        }
    }
}

#[cfg(test)]
mod tests;
