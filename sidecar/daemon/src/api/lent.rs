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
mod pace;
mod work;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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
/// Most answers of one device that it had all of, kept only for the case that their last words were lost on the way.
const HEARD: usize = 256;
/// How long the beginning of a stream waits for its first word, to go along with it.
pub(super) const SOON: Duration = Duration::from_millis(5);
/// Lengths of an id.
const ID_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// A device in a network.
type Member = (NetworkId, DeviceId);

type Visits = mpsc::Sender<Visit>;

/// The answers that run or wait; clones share them.
#[derive(Clone, Default)]
pub(super) struct Lent {
    /// Changed and looked at in one short step without waiting.
    list: Arc<watch::Sender<List>>,
    /// Bytes that all logs hold.
    stock: Arc<AtomicUsize>,
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
        checked(id)?;
        let member = (asker.network, asker.device_id);
        let (visits, visitors) = mpsc::channel(4);
        let mut entered = Entered::Full;
        self.list.send_modify(|list| entered = list.enter(member, id, visits));
        match entered {
            Entered::New(number) => {
                let listed = Listed { list: self.list.clone(), member, id: id.to_owned(), number };
                let answer = Answer::new(self.stock.clone(), work()?, visitors, listed);
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
        checked(id)?;
        let after = match headers.get(LAST_EVENT) {
            None => 0,
            Some(value) => value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
                ApiError::new(ErrorCode::InvalidArgument, "Last-Event-ID is the number of an event of the answer.")
            })?,
        };
        let visits = self.list.borrow().find((asker.network, asker.device_id), id).ok_or_else(gone)?;
        visit(&visits, after, loss).await.map(|reading| reading.into_response(id))
    }
}

fn checked(id: &str) -> Result<(), ApiError> {
    if ID_LENGTH.contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::InvalidArgument, "The id of an answer is 16 to 64 letters, digits and hyphens."))
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
    members: HashMap<Member, Answers>,
    /// How many there were.
    number: u64,
}

/// The answers of one member.
#[derive(Default)]
struct Answers {
    by_id: HashMap<String, Kept>,
    /// Those that a reader had all of, the oldest first; some may be gone or be read again since.
    heard: VecDeque<(String, u64)>,
}

/// What is known of an answer from outside. Its owner lets go of an answer that nobody can find any more.
struct Kept {
    visits: Visits,
    /// A reader had all of it.
    heard: bool,
    /// Which one of all it is.
    number: u64,
}

/// What becomes of an id that is asked for.
enum Entered {
    /// It is a new answer, of this number.
    New(u64),
    /// It runs already.
    Running(Visits),
    /// The asker has too many.
    Full,
}

impl List {
    fn find(&self, member: Member, id: &str) -> Option<Visits> {
        self.members.get(&member)?.by_id.get(id).map(|kept| kept.visits.clone())
    }

    fn enter(&mut self, member: Member, id: &str, visits: Visits) -> Entered {
        if let Some(visits) = self.find(member, id) {
            return Entered::Running(visits);
        }
        let answers = self.members.entry(member).or_default();
        if answers.by_id.len() >= MOST && !answers.forget_oldest() {
            return Entered::Full;
        }
        self.number += 1;
        answers.by_id.insert(id.to_owned(), Kept { visits, heard: false, number: self.number });
        Entered::New(self.number)
    }
}

impl Answers {
    /// The answer of this id, unless it is another one by now.
    fn get(&mut self, id: &str, number: u64) -> Option<&mut Kept> {
        self.by_id.get_mut(id).filter(|kept| kept.number == number)
    }

    /// Lets go of the oldest one that was heard; false when there is none.
    fn forget_oldest(&mut self) -> bool {
        while let Some((id, number)) = self.heard.pop_front() {
            if self.get(&id, number).is_some_and(|kept| kept.heard) {
                self.by_id.remove(&id);
                return true;
            }
        }
        false
    }
}

/// An answer's place in the list, from its beginning to its end.
struct Listed {
    list: Arc<watch::Sender<List>>,
    member: Member,
    id: String,
    number: u64,
}

impl Listed {
    /// Whether a reader had all of it.
    fn set_heard(&self, heard: bool) {
        self.alter(|answers| {
            let Some(kept) = answers.get(&self.id, self.number) else { return };
            if std::mem::replace(&mut kept.heard, heard) || !heard {
                return;
            }
            answers.heard.push_back((self.id.clone(), self.number));
            if answers.heard.len() > HEARD {
                answers.forget_oldest();
            }
        });
    }

    fn alter(&self, change: impl FnOnce(&mut Answers)) {
        self.list.send_modify(|list| {
            if let Some(answers) = list.members.get_mut(&self.member) {
                change(answers);
                if answers.by_id.is_empty() {
                    list.members.remove(&self.member);
                }
            }
        });
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.alter(|answers| {
            if answers.get(&self.id, self.number).is_some() {
                answers.by_id.remove(&self.id);
            }
        });
    }
}

#[cfg(test)]
mod tests;
