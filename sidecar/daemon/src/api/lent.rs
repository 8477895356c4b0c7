//! Streamed answers to members, kept apart from the connection that asked for them.
//!
//! An answer is the work behind it (`work`) and the numbered log of its events (`log`). It has one owner at a time, and
//! whoever owns it drives it (`answer`): the body of an HTTP answer while it is read, so that a word passes from the
//! engine to the link without a task in between; a task of its own while its reader is lost. When a reader goes because
//! the other device wants no more, the work ends at once; when it goes because the link was lost, the answer waits for
//! its asker, who comes back with the number of the last event it has. Whoever owns the answer then hands it over.
//!
//! An answer is found by the network, the device and the id that this device gave it, so nobody can ask for somebody
//! else's. What waits is bounded: by bytes of one answer ([`KEEP`], [`AWAY`]) and of all ([`TOTAL`]), in number
//! ([`MOST`]), and in time ([`PATIENCE`]).

mod answer;
mod log;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderName, Response};
use myownmesh_control::error::ErrorCode;
use myownmesh_mesh::{Asker, DeviceId, LinkLoss, NetworkId};
use tokio::sync::{mpsc, oneshot, watch};

use self::answer::{Answer, Reading, Visit};
pub(super) use self::work::{Job, Steps};
use super::ApiError;

/// The id of an answer, chosen by whoever asks; both in the question and in the answer.
pub(super) const ANSWER: HeaderName = HeaderName::from_static("x-myownmesh-answer");
/// The number of the last event that a reader has.
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// Where answers are resumed.
pub(super) const ANSWERS: &str = "/mesh/v1/answers/{id}";

/// What is kept of an answer for its reader to come back, in bytes of events.
const KEEP: usize = 2 * 1024 * 1024;
/// How much more is taken from the engine while the reader is away; then the engine waits.
const AWAY: usize = 1024 * 1024;
/// As [`KEEP`] where all answers together hold more than [`TOTAL`].
const KEEP_LITTLE: usize = 64 * 1024;
/// What all answers together may hold before they hold less.
const TOTAL: usize = 64 * 1024 * 1024;
/// Most answers of one device that run or wait.
const MOST: usize = 1024;
/// How long an answer waits for its reader, and is kept after its end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Silence after which a reader is told that the answer is still under way.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The list is cleared of answers that ended when it has so many entries.
const CLEAR_AT: usize = 64;
/// Lengths of an id.
const ID_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// Whose answer it is, and its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    network: NetworkId,
    device: DeviceId,
    id: String,
}

impl Key {
    fn new(asker: &Asker, id: &str) -> Result<Self, ApiError> {
        if !ID_LENGTH.contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(ApiError::new(
                ErrorCode::InvalidArgument,
                "The id of an answer is 16 to 64 letters, digits and hyphens.",
            ));
        }
        Ok(Self { network: asker.network, device: asker.device_id, id: id.to_owned() })
    }

    fn same_asker(&self, other: &Self) -> bool {
        (self.network, self.device) == (other.network, other.device)
    }
}

/// The answers that run or wait; clones share them.
#[derive(Clone, Default)]
pub(super) struct Lent {
    /// Changed and looked at in one short step without waiting.
    list: Arc<watch::Sender<List>>,
    /// Bytes that all logs hold.
    stock: Arc<AtomicUsize>,
}

type Visits = mpsc::Sender<Visit>;

/// What is known of an answer from outside. Its owner lets go of an answer that nobody can find any more.
struct Kept {
    visits: Visits,
    /// A reader had all of it.
    heard: Arc<AtomicBool>,
    /// Which one of all it is, in order.
    number: u64,
}

/// What becomes of an id that is asked for.
enum Entered {
    /// It is a new answer.
    New,
    /// It runs already.
    Running(Visits),
    /// The asker has too many.
    Full,
}

impl Lent {
    /// Begins the answer of this id with what `work` gives. Where it runs already it is read from its beginning: an asker
    /// whose connection broke before it heard anything asks once more.
    pub(super) async fn answer(
        &self,
        asker: &Asker,
        id: &str,
        loss: LinkLoss,
        work: impl FnOnce() -> Result<Steps, ApiError>,
    ) -> Result<Response<Body>, ApiError> {
        let key = Key::new(asker, id)?;
        let (visits, visitors) = mpsc::channel(4);
        let heard = Arc::<AtomicBool>::default();
        let kept = Kept { visits, heard: heard.clone(), number: 0 };
        let mut entered = Entered::Full;
        self.list.send_modify(|list| entered = list.enter(key, kept));
        match entered {
            Entered::New => {
                let answer = Answer::new(self.stock.clone(), work()?, visitors, heard);
                Reading::new(answer, 1, loss).begin(id).await
            }
            Entered::Running(visits) => visit(&visits, 0, loss).await.map(|reading| reading.into_response(id)),
            Entered::Full => Err(ApiError::new(
                ErrorCode::Busy,
                "This device holds too many answers of that one already. Try again when some have ended.",
            )),
        }
    }

    /// Reads an answer of `asker` on.
    pub(super) async fn resume(
        &self,
        asker: &Asker,
        id: &str,
        headers: &HeaderMap,
        loss: LinkLoss,
    ) -> Result<Response<Body>, ApiError> {
        let key = Key::new(asker, id)?;
        let after = match headers.get(LAST_EVENT) {
            None => 0,
            Some(value) => value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
                ApiError::new(ErrorCode::InvalidArgument, "Last-Event-ID is the number of an event of the answer.")
            })?,
        };
        let visits = self.list.borrow().find(&key).ok_or_else(gone)?;
        visit(&visits, after, loss).await.map(|reading| reading.into_response(id))
    }
}

/// Has the answer's owner hand it over.
async fn visit(visits: &Visits, after: u64, loss: LinkLoss) -> Result<Reading, ApiError> {
    let (reply, reading) = oneshot::channel();
    visits.send(Visit { after, loss, reply }).await.map_err(|_| gone())?;
    reading.await.ok().flatten().ok_or_else(gone)
}

fn gone() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "There is no such answer any more. Ask again.")
}

/// The list of answers.
#[derive(Default)]
struct List {
    answers: HashMap<Key, Kept>,
    /// How many there were.
    number: u64,
    /// How many may be listed before those that ended are cleared away.
    clear_at: usize,
}

impl List {
    fn find(&self, key: &Key) -> Option<Visits> {
        self.answers.get(key).map(|kept| kept.visits.clone()).filter(|visits| !visits.is_closed())
    }

    fn enter(&mut self, key: Key, mut kept: Kept) -> Entered {
        if let Some(visits) = self.find(&key) {
            return Entered::Running(visits);
        }
        if self.answers.len() >= self.clear_at.max(CLEAR_AT) {
            self.answers.retain(|_, kept| !kept.visits.is_closed());
            self.clear_at = self.answers.len() * 2;
        }
        if !self.has_room(&key) {
            return Entered::Full;
        }
        self.number += 1;
        kept.number = self.number;
        self.answers.insert(key, kept);
        Entered::New
    }

    /// Whether there is room for another answer of that device: where it has as many as it may, the oldest that was heard
    /// to its end makes room, which is kept only for the case that its last words were lost on the way.
    fn has_room(&mut self, key: &Key) -> bool {
        let lives = |(other, kept): &(&Key, &Kept)| other.same_asker(key) && !kept.visits.is_closed();
        if self.answers.iter().filter(lives).count() < MOST {
            return true;
        }
        let heard = self.answers.iter().filter(lives).filter(|(_, kept)| kept.heard.load(Ordering::Relaxed));
        let oldest = heard.min_by_key(|(_, kept)| kept.number).map(|(other, _)| other.clone());
        oldest.and_then(|oldest| self.answers.remove(&oldest)).is_some()
    }
}

#[cfg(test)]
mod tests;
