//! One answer, and who drives it: its reader, or, while that is lost, a task of its own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Response, header};
use myownmesh_mesh::LinkLoss;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::log::Log;
use super::pace::Pace;
use super::work::{Step, Steps};
use super::{ANSWER, HEARTBEAT, Listed, PATIENCE, SOON};
use crate::api::ApiError;
use crate::api::relay::event;
use crate::api::side::Side;

/// Somebody wants to read on.
pub(super) struct Visit {
    /// The number of the last event that it has.
    pub(super) after: u64,
    /// Tells of its link.
    pub(super) loss: LinkLoss,
    /// None when what follows `after` is gone.
    pub(super) reply: oneshot::Sender<Option<Reading>>,
}

/// One answer.
pub(super) struct Answer {
    log: Log,
    /// None once it is done.
    work: Option<Steps>,
    visitors: mpsc::Receiver<Visit>,
    listed: Listed,
    /// The question was answered with something.
    begun: bool,
}

/// What a reader is told.
enum Told {
    /// There will be a stream.
    Begins,
    /// Events, or a comment.
    Bytes(Bytes),
    /// An answer that is no stream.
    Whole(Response<Body>),
    /// It came to nothing.
    Failed(ApiError),
}

impl Answer {
    /// An answer that nothing is known of yet; its log counts towards `stock`.
    pub(super) fn new(stock: Arc<AtomicUsize>, work: Steps, visitors: mpsc::Receiver<Visit>, listed: Listed) -> Self {
        Self { log: Log::new(stock), work: Some(work), visitors, listed, begun: false }
    }

    /// What is told behind event `next`, and the number of the event after it; none at the end.
    fn poll_told(&mut self, next: &mut u64, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        loop {
            if let Some(event) = self.log.get(*next) {
                *next += 1;
                return Poll::Ready(Some(Told::Bytes(event.clone())));
            }
            // All was handed out, so there always is room for more.
            self.log.make_room(*next);
            let Some(work) = &mut self.work else { return Poll::Ready(None) };
            match ready!(work.poll_next_unpin(cx)) {
                None => self.work = None,
                Some(step) => {
                    if let Some(told) = self.take(step) {
                        return Poll::Ready(Some(told));
                    }
                }
            }
        }
    }

    /// Takes what the work tells; gives what is not kept.
    fn take(&mut self, step: Step) -> Option<Told> {
        match step {
            Step::Begins if !self.begun => return Some(Told::Begins),
            Step::Begins => {}
            Step::Waits(side) => return Some(Told::Bytes(side.to_bytes())),
            Step::Events(events) => self.log.push(&events),
            Step::Whole(response) if !self.begun => return Some(Told::Whole(response)),
            // The stream has begun: what can be said in it is that it came to nothing.
            Step::Whole(response) => self.log.push(&event(&ApiError::refused(response.status()))),
            Step::Failed(error) if !self.begun => return Some(Told::Failed(error)),
            Step::Failed(error) => self.log.push(&event(&error)),
        }
        None
    }

    /// Hands it to a visitor; gives it back when the visitor cannot have it.
    fn hand_over(mut self, Visit { after, loss, reply }: Visit) -> Option<Self> {
        let Some(next) = after.checked_add(1).filter(|next| self.log.reaches(*next)) else {
            // Who asked may be gone.
            let _ = reply.send(None);
            return Some(self);
        };
        // The visitor has what is before.
        self.log.forget_before(next);
        self.listed.set_heard(false);
        self.begun = true;
        match reply.send(Some(Reading::new(self, next, loss))) {
            Ok(()) => None,
            Err(reading) => reading.and_then(Reading::into_answer),
        }
    }

    /// Goes on without a reader, as far as the log has room, and waits for one. What the work holds of an engine and of a
    /// place among the lent ones goes with its end.
    async fn wait(self) {
        let (mut answer, mut until) = (self, Instant::now() + PATIENCE);
        loop {
            let room = answer.log.has_room();
            tokio::select! {
                biased;
                visit = answer.visitors.recv() => match visit.map(|visit| answer.hand_over(visit)) {
                    Some(Some(stays)) => answer = stays,
                    Some(None) | None => return,
                },
                step = next(&mut answer.work), if room && answer.work.is_some() => {
                    if let Some(step) = step {
                        // There is nobody to be told what is not kept.
                        drop(answer.take(step));
                    } else {
                        (answer.work, until) = (None, Instant::now() + PATIENCE);
                    }
                }
                () = sleep_until(until) => return,
            }
        }
    }
}

async fn next(work: &mut Option<Steps>) -> Option<Step> {
    work.as_mut()?.next().await
}

/// A reader: the body of an HTTP answer.
pub(super) struct Reading {
    /// None when it was handed to another reader.
    answer: Option<Answer>,
    /// The number of the event that comes next.
    next: u64,
    /// What was told before the body was asked.
    ahead: Option<Bytes>,
    loss: LinkLoss,
    pace: Pace,
    told_at: Instant,
    silence: Pin<Box<Sleep>>,
    complete: bool,
}

impl Reading {
    /// A reader of the events from `next` on.
    pub(super) fn new(answer: Answer, next: u64, loss: LinkLoss) -> Self {
        let now = Instant::now();
        let silence = Box::pin(sleep_until(now + HEARTBEAT));
        Self {
            answer: Some(answer),
            next,
            ahead: None,
            loss,
            pace: Pace::new(),
            told_at: now,
            silence,
            complete: false,
        }
    }

    /// Answers the question: with a stream as soon as there is something to tell or the engine has begun one, or with what it
    /// came to.
    pub(super) async fn begin(mut self, id: &str) -> Result<Response<Body>, ApiError> {
        let mut told = poll_fn(|cx| self.poll_told(cx)).await;
        if matches!(told, Some(Told::Begins)) {
            // The first word comes along if it comes soon. Until a later one, the other side has the beginning to read.
            told = timeout(SOON, poll_fn(|cx| self.poll_told(cx))).await.unwrap_or(Some(Told::Begins));
        }
        self.ahead = match told {
            Some(Told::Begins) => None,
            Some(Told::Bytes(bytes)) => Some(bytes),
            Some(Told::Whole(response)) => return Ok(response),
            Some(Told::Failed(error)) => return Err(error),
            None => return Err(ApiError::broke_off()),
        };
        if let Some(answer) = &mut self.answer {
            answer.begun = true;
        }
        Ok(self.into_response(id))
    }

    /// As the body of an answer.
    pub(super) fn into_response(self, id: &str) -> Response<Body> {
        let mut response = Response::new(Body::from_stream(self));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(ANSWER, id);
        }
        response
    }

    fn into_answer(mut self) -> Option<Answer> {
        self.answer.take()
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
        // Whoever comes next takes the place of this one.
        if let Poll::Ready(Some(visit)) = answer.visitors.poll_recv(cx) {
            self.answer = self.answer.take().and_then(|answer| answer.hand_over(visit));
            return self.poll_told(cx);
        }
        ready!(self.pace.poll_ready(cx));
        if let Poll::Ready(told) = answer.poll_told(&mut self.next, cx) {
            self.told_at = Instant::now();
            self.pace.send();
            return Poll::Ready(told);
        }
        self.pace.rest();
        // The clock is set anew only when it rings: nearly always something was told meanwhile.
        while self.silence.as_mut().poll(cx).is_ready() {
            let (now, due) = (Instant::now(), self.told_at + HEARTBEAT);
            if now >= due {
                self.told_at = now;
                self.silence.as_mut().reset(now + HEARTBEAT);
                return Poll::Ready(Some(Told::Bytes(Side::Heartbeat.to_bytes())));
            }
            self.silence.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl Stream for Reading {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(Ok(ahead)));
        }
        Poll::Ready(match ready!(self.poll_told(cx)) {
            Some(Told::Bytes(bytes)) => Some(Ok(bytes)),
            // The others come only before the stream begins.
            Some(Told::Begins | Told::Whole(_) | Told::Failed(_)) | None => {
                self.complete = self.answer.is_some();
                None
            }
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        answer.listed.set_heard(self.complete);
        // Whoever never heard a word does not know that there is something to come back for.
        let may_come_back = if self.complete { !answer.log.is_crowded() } else { answer.begun && self.loss.happened() };
        // Without a runtime the daemon has ended.
        if let Some(runtime) = Handle::try_current().ok().filter(|_| may_come_back) {
            runtime.spawn(answer.wait());
        }
    }
}
