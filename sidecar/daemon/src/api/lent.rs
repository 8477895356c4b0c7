//! Streamed answers to members, kept apart from the connection that asked for them.
//!
//! The work runs in a task of its own and its events go into a log. The body of an HTTP answer is a *reader* of that
//! log. When it goes because the other device wants no more, the work ends at once; when it goes because the link was
//! lost, the work goes on and the answer waits for its asker, who comes back with the number of the last event it has.
//!
//! An answer is found by the network, the device and the id that this device gave it, so nobody can ask for somebody
//! else's. What waits is bounded: by bytes of one answer ([`KEEP`], [`AWAY`]) and of all ([`TOTAL`]), in number
//! ([`MOST`]), and in time ([`PATIENCE`]).

mod log;
mod work;

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use myownmesh_control::error::ErrorCode;
use myownmesh_mesh::{Asker, DeviceId, LinkLoss, NetworkId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::log::Log;
pub(super) use self::work::Job;
use super::ApiError;
use super::relay::event;
use super::side::Side;

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
/// Pieces between the log and a reader's connection.
const AHEAD: usize = 16;
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
}

/// The answers that run or wait; clones share them.
#[derive(Clone)]
pub(super) struct Lent {
    inbox: mpsc::Sender<Message>,
    /// Bytes that all logs hold.
    stock: Arc<AtomicUsize>,
}

enum Message {
    Add { key: Key, kept: Kept, reply: oneshot::Sender<bool> },
    Ended { key: Key, visits: mpsc::Sender<Visit> },
    Find { key: Key, reply: oneshot::Sender<Option<mpsc::Sender<Visit>>> },
}

/// What is known of an answer from outside.
struct Kept {
    visits: mpsc::Sender<Visit>,
    /// A reader had all of it.
    heard: Arc<AtomicBool>,
    /// It is kept no longer.
    gone: CancellationToken,
    /// Which one of all it is, in order.
    number: u64,
}

/// Somebody wants to read on.
struct Visit {
    after: u64,
    loss: LinkLoss,
    /// None when what follows `after` is gone.
    reply: oneshot::Sender<Option<Reading>>,
}

/// What the work tells.
pub(super) enum Step {
    /// It waits; told to who reads, not kept.
    Waits(Side),
    /// Whole events.
    Events(Bytes),
    /// An answer that is no stream.
    Whole(Response<Body>),
    /// It came to nothing.
    Failed(ApiError),
}

/// Where the work tells its steps; waits while the log is full.
pub(super) type Steps = mpsc::Sender<Step>;

impl Lent {
    /// Nothing yet. Needs a runtime.
    pub(super) fn start() -> Self {
        let (inbox, messages) = mpsc::channel(64);
        tokio::spawn(register(messages));
        Self { inbox, stock: Arc::default() }
    }

    /// Reads the answer of this id from its beginning, if it runs already: an asker whose connection broke before it
    /// heard anything asks once more.
    pub(super) async fn again(
        &self,
        asker: &Asker,
        id: &str,
        loss: LinkLoss,
    ) -> Result<Option<Response<Body>>, ApiError> {
        let key = Key::new(asker, id)?;
        Ok(self.visit(&key, 0, loss).await.map(|reading| stream(reading, id)))
    }

    /// Begins the answer of this id with `work`.
    pub(super) async fn begin<F>(
        &self,
        asker: &Asker,
        id: &str,
        loss: LinkLoss,
        work: impl FnOnce(Steps) -> F,
    ) -> Result<Response<Body>, ApiError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let key = Key::new(asker, id)?;
        let (visits, visitors) = mpsc::channel(4);
        let (reply, added) = oneshot::channel();
        // The register lives as long as its handles.
        let kept = Kept { visits: visits.clone(), heard: Arc::default(), gone: CancellationToken::new(), number: 0 };
        let (heard, gone) = (Arc::clone(&kept.heard), kept.gone.clone());
        let _ = self.inbox.send(Message::Add { key: key.clone(), kept, reply }).await;
        if !added.await.unwrap_or(false) {
            let message = "This device holds too many answers of that one already. Try again when some have ended.";
            return Err(ApiError::new(ErrorCode::Busy, message));
        }
        let (steps, told) = mpsc::channel(AHEAD);
        let (reader, left, reading) = connect(1, loss);
        let (head, begun) = oneshot::channel();
        let keeper = Keeper {
            log: Log::new(self.stock.clone()),
            reader: Some(reader),
            left: Some(left),
            head: Some(head),
            steps: Some(told),
            heard,
            gone,
            visitors,
            told_at: Instant::now(),
            left_at: Instant::now(),
        };
        let (work, inbox) = (AbortOnDropHandle::new(tokio::spawn(work(steps))), self.inbox.clone());
        tokio::spawn(async move {
            keeper.run(work).await;
            let _ = inbox.send(Message::Ended { key, visits }).await;
        });
        match begun.await {
            Ok(Head::Stream) => Ok(stream(reading, id)),
            Ok(Head::Whole(response)) => Ok(response),
            Ok(Head::Failed(error)) => Err(error),
            Err(_) => Err(ApiError::broke_off()),
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
        match self.visit(&key, after, loss).await {
            Some(reading) => Ok(stream(reading, id)),
            None => Err(ApiError::new(ErrorCode::NotFound, "There is no such answer any more. Ask again.")),
        }
    }

    async fn visit(&self, key: &Key, after: u64, loss: LinkLoss) -> Option<Reading> {
        let (reply, found) = oneshot::channel();
        self.inbox.send(Message::Find { key: key.clone(), reply }).await.ok()?;
        let visits = found.await.ok()??;
        let (reply, reading) = oneshot::channel();
        visits.send(Visit { after, loss, reply }).await.ok()?;
        reading.await.ok()?
    }
}

/// The list of answers.
async fn register(mut messages: mpsc::Receiver<Message>) {
    let (mut answers, mut number) = (HashMap::<Key, Kept>::new(), 0_u64);
    while let Some(message) = messages.recv().await {
        match message {
            Message::Add { key, mut kept, reply } => {
                let room = make_room(&mut answers, &key);
                if room {
                    number += 1;
                    kept.number = number;
                    answers.insert(key, kept);
                }
                let _ = reply.send(room);
            }
            // The same id may have been begun again since.
            Message::Ended { key, visits } => {
                if answers.get(&key).is_some_and(|current| current.visits.same_channel(&visits)) {
                    answers.remove(&key);
                }
            }
            // Who asked may be gone.
            Message::Find { key, reply } => drop(reply.send(answers.get(&key).map(|kept| kept.visits.clone()))),
        }
    }
}

/// Whether there is room for another answer of that device: where it has as many as it may, the oldest that was heard to
/// its end makes room, which is kept only for the case that its last words were lost on the way.
fn make_room(answers: &mut HashMap<Key, Kept>, key: &Key) -> bool {
    let same = |other: &Key| (other.network, other.device) == (key.network, key.device);
    if answers.keys().filter(|other| same(other)).count() < MOST {
        return true;
    }
    let heard = answers.iter().filter(|(other, kept)| same(other) && kept.heard.load(Ordering::Relaxed));
    let oldest = heard.min_by_key(|(_, kept)| kept.number).map(|(other, _)| other.clone());
    let Some(kept) = oldest.and_then(|oldest| answers.remove(&oldest)) else { return false };
    kept.gone.cancel();
    true
}

fn stream(reading: Reading, id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(reading));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(ANSWER, id);
    }
    response
}

/// What the question is answered with.
enum Head {
    Stream,
    Whole(Response<Body>),
    Failed(ApiError),
}

/// Why a reader left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It has everything.
    Complete,
    /// Its link was lost.
    Lost,
    /// It wants no more.
    Declined,
}

/// The log's end of a reader.
struct Reader {
    pieces: mpsc::Sender<Bytes>,
    /// The number of the event that it gets next.
    next: u64,
}

/// The connection's end of a reader: a body.
struct Reading {
    pieces: mpsc::Receiver<Bytes>,
    left: Option<oneshot::Sender<Left>>,
    loss: LinkLoss,
    complete: bool,
}

fn connect(next: u64, loss: LinkLoss) -> (Reader, oneshot::Receiver<Left>, Reading) {
    let (pieces, incoming) = mpsc::channel(AHEAD);
    let (leave, left) = oneshot::channel();
    (Reader { pieces, next }, left, Reading { pieces: incoming, left: Some(leave), loss, complete: false })
}

impl Stream for Reading {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.pieces.poll_recv(cx);
        self.complete |= matches!(piece, Poll::Ready(None));
        piece.map(|piece| piece.map(Ok))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let why = if self.complete {
            Left::Complete
        } else if self.loss.happened() {
            Left::Lost
        } else {
            Left::Declined
        };
        // Nobody listens where another reader has taken its place.
        self.left.take().map(|left| left.send(why));
    }
}

/// Keeps one answer: takes what the work tells, hands it to the reader, waits for one that was lost.
struct Keeper {
    log: Log,
    reader: Option<Reader>,
    /// Tells why the reader has left.
    left: Option<oneshot::Receiver<Left>>,
    /// Until the question is answered with something.
    head: Option<oneshot::Sender<Head>>,
    /// None once the work is done.
    steps: Option<mpsc::Receiver<Step>>,
    /// Whether a reader had all of it.
    heard: Arc<AtomicBool>,
    /// It is kept no longer.
    gone: CancellationToken,
    visitors: mpsc::Receiver<Visit>,
    /// When the reader last got something.
    told_at: Instant,
    /// When the reader left, or the work ended.
    left_at: Instant,
}

impl Keeper {
    async fn run(mut self, work: AbortOnDropHandle<()>) {
        let mut work = Some(work);
        loop {
            self.hand_on();
            let room = self.log.has_room(self.reader.as_ref().map(|reader| reader.next));
            let idle = self.reader.is_none() || self.steps.is_none();
            tokio::select! {
                biased;
                () = self.gone.cancelled() => return,
                visit = self.visitors.recv() => match visit {
                    Some(visit) => self.receive(visit),
                    None => return,
                },
                left = left(&mut self.left) => {
                    (self.reader, self.left) = (None, None);
                    self.left_at = Instant::now();
                    // Whoever never heard a word does not know that there is something to come back for.
                    self.heard.store(left == Left::Complete, Ordering::Relaxed);
                    let unheard = self.head.is_some();
                    if unheard || left == Left::Declined || (left == Left::Complete && self.log.is_crowded()) {
                        return;
                    }
                },
                () = until_ready(&self.log, self.reader.as_ref()) => {}
                step = next(&mut self.steps), if room => {
                    let Some(step) = step else {
                        self.steps = None;
                        self.left_at = Instant::now();
                        // What it holds of an engine and of a place among the lent ones goes with it.
                        drop(work.take());
                        continue;
                    };
                    if !self.take(step) {
                        return;
                    }
                }
                () = sleep_until(self.told_at + HEARTBEAT), if self.reader.is_some() && self.steps.is_some() => {
                    self.tell(&Side::Heartbeat);
                }
                () = sleep_until(self.left_at + PATIENCE), if idle => {
                    if self.reader.is_none() {
                        return;
                    }
                    // A reader that is still there after the end has what it needs, or cannot take it.
                    self.reader = None;
                }
            }
        }
    }

    /// Takes what the work tells; false when nothing more comes of it.
    fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Waits(side) => self.tell(&side),
            Step::Events(events) => {
                self.log.push(&events);
                self.answer(Head::Stream);
            }
            Step::Whole(response) if self.head.is_some() => {
                self.answer(Head::Whole(response));
                return false;
            }
            // The stream has begun: what can be said in it is that it came to nothing.
            Step::Whole(response) => {
                let error = ApiError::refused(response.status());
                self.log.push(&event(&error));
            }
            Step::Failed(error) if self.head.is_some() => {
                self.answer(Head::Failed(error));
                return false;
            }
            Step::Failed(error) => self.log.push(&event(&error)),
        }
        true
    }

    fn answer(&mut self, head: Head) {
        if let Some(reply) = self.head.take() {
            // Who asked may be gone; its reader tells.
            let _ = reply.send(head);
        }
    }

    /// Tells the reader something that is not kept; one that is slow misses it.
    fn tell(&mut self, side: &Side) {
        self.answer(Head::Stream);
        self.told_at = Instant::now();
        if let Some(reader) = &self.reader {
            let _ = reader.pieces.try_send(side.to_bytes());
        }
    }

    /// Hands on what there is, as far as the reader takes it. After the last event the body ends.
    fn hand_on(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        while let Some(event) = self.log.get(reader.next) {
            if reader.pieces.try_send(event.clone()).is_err() {
                return;
            }
            reader.next += 1;
            self.told_at = Instant::now();
        }
        if self.steps.is_none() {
            self.reader = None;
        }
    }

    /// A reader comes, in place of the one before.
    fn receive(&mut self, visit: Visit) {
        let Some(next) = visit.after.checked_add(1).filter(|next| self.log.reaches(*next)) else {
            let _ = visit.reply.send(None);
            return;
        };
        let (reader, left, reading) = connect(next, visit.loss);
        // It has what is before.
        self.log.forget_before(next);
        self.answer(Head::Stream);
        (self.reader, self.left) = (Some(reader), Some(left));
        self.told_at = Instant::now();
        let _ = visit.reply.send(Some(reading));
    }
}

async fn left(left: &mut Option<oneshot::Receiver<Left>>) -> Left {
    match left {
        Some(left) => left.await.unwrap_or(Left::Declined),
        None => std::future::pending().await,
    }
}

/// Waits until the reader takes more, if there is more for it.
async fn until_ready(log: &Log, reader: Option<&Reader>) {
    match reader.filter(|reader| log.get(reader.next).is_some()) {
        // A reader that is gone says so itself.
        Some(reader) => match reader.pieces.reserve().await {
            Ok(_room) => {}
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn next(steps: &mut Option<mpsc::Receiver<Step>>) -> Option<Step> {
    match steps {
        Some(steps) => steps.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
