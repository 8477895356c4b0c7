//! The ledger: what was lent and borrowed, by whom, when, which model, how many tokens, how long. Never a word of it.
//!
//! Whoever asks names its request, so both devices know the same rows. The device that lent is the authority: the other
//! one asks it for what it counted ([`Ledger::open`], [`Ledger::agree`]) and takes that over; then both count the same.
//! Telling it something never keeps anybody waiting.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use myownmesh_control::types::{Event, Usage, UsageDirection};
use myownmesh_mesh::{DeviceId, NetworkId};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::lending::Lending;
use crate::store::{Later, Rows, Store, StoreError};
use crate::text::{now_ms, random_id};

/// Most rows that are written together, and that one device is asked for at once.
pub(crate) const MOST: usize = 256;
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

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Ledger {
    store: Store,
    lending: Lending,
    events: Events,
    kept: Later<Kept>,
    /// Rises with everything borrowed.
    borrowed: Arc<watch::Sender<u64>>,
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
        let borrowed = Arc::new(watch::Sender::new(0));
        let kept = Kept { events: events.clone(), borrowed: Arc::clone(&borrowed) };
        let kept = Later::start(store.clone(), kept, stop);
        Ok(Self { store, lending, events, kept, borrowed })
    }

    /// Writes it down, some time soon; what was lent counts at once. Never waits.
    pub(crate) fn tell(&self, entry: Entry) {
        if let (UsageDirection::Lent, Some(network)) = (entry.direction, entry.network) {
            self.lending.count(network, entry.device.0, entry.amount.tokens);
        }
        self.kept.tell(entry);
    }

    /// What was lent and borrowed since then on a network; with no network, on all.
    pub(crate) async fn usage(&self, network: Option<NetworkId>, since: i64) -> Result<Usage, StoreError> {
        // What has ended before the question belongs into the answer.
        self.kept.written().await;
        self.store.call(move |connection| rows::usage(connection, network, since)).await
    }

    /// What this device counted of what it lent to `device`, for these requests; it counts as agreed from now on.
    pub(crate) async fn lent_to(
        &self,
        network: NetworkId,
        device: DeviceId,
        requests: Vec<RequestName>,
    ) -> Result<Vec<Counted>, StoreError> {
        // What has ended before the question belongs into the answer.
        self.kept.written().await;
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
        self.kept.forget_network(network).await
    }

    /// Waits until everything is written; call it after the stop.
    pub(crate) async fn ended(&self) {
        self.kept.ended().await;
    }
}

/// Entries as rows.
struct Kept {
    events: Events,
    borrowed: Arc<watch::Sender<u64>>,
}

impl Rows for Kept {
    type Row = Entry;
    const GATHER: Duration = Duration::from_millis(50);
    const MOST: usize = MOST;
    const WHAT: &'static str = "what was lent and borrowed";

    fn network(entry: &Entry) -> Option<NetworkId> {
        entry.network
    }

    fn write(connection: &mut Connection, entries: &[(i64, Entry)], now: i64) -> Result<(), StoreError> {
        rows::write(connection, entries, now)
    }

    fn forget(connection: &Connection, network: NetworkId) -> Result<(), StoreError> {
        rows::forget_network(connection, network)
    }

    fn lost(&self, count: u64) -> Option<Entry> {
        tracing::warn!(count, "so much was lent and borrowed at once that some of it is missing in the ledger");
        None
    }

    fn changed(&self, written: &[(i64, Entry)]) {
        self.events.push(Event::UsageChanged);
        if written.iter().any(|(_, entry)| entry.direction == UsageDirection::Borrowed) {
            self.borrowed.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests;
