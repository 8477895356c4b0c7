//! A streamed answer of another device, as this one reads it: numbered events in, plain events out. When the link is
//! lost it is read on after the last event as soon as the device is there again; not an event is lost or doubled.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::{Request, StatusCode};
use myownmesh_compute::OpenAiPath;
use myownmesh_control::error::ErrorCode;
use myownmesh_mesh::{DeviceId, Mesh, MeshError};
use tokio::time::{Instant, Sleep, interval, sleep_until, timeout};

use super::lent::{ANSWER, ANSWERS, LAST_EVENT};
use super::side::Side;
use super::switched::Bond;
use super::tally::Tally;
use super::{ApiError, relay};
use crate::ledger::{self, RequestName};
use crate::planner::Meter;
use crate::sse::{self, Cutter};

/// Silence after which the link is doubted: the other side says something every second.
const DOUBT: Duration = Duration::from_millis(1500);
/// Silence after which the device counts as gone, if another one can go on.
const SILENT: Duration = Duration::from_millis(4500);
/// The same, where its connection has ended.
const GONE: Duration = Duration::from_secs(1);
/// How long a link is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries to hear anything from the other side, and how long each listens.
const TRY_EVERY: Duration = Duration::from_millis(300);
const TRY: Duration = Duration::from_secs(4);
/// The mesh's own route that says nothing but that the device is there.
const PING: &str = "/mesh/v1/ping";
/// At most one comment in this time is passed on.
const COMMENTS: Duration = Duration::from_millis(100);
/// Largest refusal that is read, in bytes.
const MAX_ERROR: usize = 64 * 1024;

/// What comes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Whole events.
    Events(Bytes),
    /// It waits.
    Side(Side),
    /// The device is silent for so long that another one had better go on, if there is one. Told again and again.
    Silent,
}

/// The answer.
pub(super) struct Borrowed {
    mesh: Mesh,
    device: DeviceId,
    bond: Bond,
    /// The answer's id, where the other side keeps it.
    id: Option<String>,
    tally: Tally,
    meter: Option<Meter>,
    body: BodyDataStream,
    cutter: Cutter,
    numbers: Numbers,
    /// Nothing more comes from `body`.
    lost: bool,
    done: bool,
    heard: Instant,
    commented: Option<Instant>,
    /// When a silence is told next.
    silent_at: Instant,
    /// Rings when it is time to doubt the link, or to tell a silence; at times too early, never too late.
    alarm: Pin<Box<Sleep>>,
    told_lost: bool,
    resuming: Resuming,
}

/// Where the way back to a lost answer leads; `Err(None)`: the answer is gone there.
enum Resuming {
    No,
    /// Does the device say anything?
    Seeking(BoxFuture<'static, Result<(), Option<ApiError>>>),
    /// It does, and is asked for the answer. This is not given up: for the other side that would be the end of it.
    Asking(BoxFuture<'static, Result<Option<Body>, Option<ApiError>>>),
}

impl Borrowed {
    /// The answer whose body is `body`. `id` names it where the other side can resume it.
    pub(super) fn new(
        mesh: &Mesh,
        device: DeviceId,
        bond: Bond,
        id: Option<String>,
        (tally, meter): (Tally, Option<Meter>),
        body: Body,
    ) -> Self {
        Self {
            mesh: mesh.clone(),
            device,
            bond,
            id,
            tally,
            meter,
            body: body.into_data_stream(),
            cutter: Cutter::default(),
            numbers: Numbers::default(),
            lost: false,
            done: false,
            heard: Instant::now(),
            commented: None,
            silent_at: Instant::now() + SILENT,
            alarm: Box::pin(sleep_until(Instant::now() + DOUBT)),
            told_lost: false,
            resuming: Resuming::No,
        }
    }

    /// What comes next; none after the proper end. Nothing comes after an error.
    pub(super) async fn next(&mut self) -> Option<Result<Piece, ApiError>> {
        loop {
            let resumable = self.id.is_some() && !self.done;
            let doubted = resumable && (self.lost || self.heard.elapsed() >= DOUBT);
            if doubted && matches!(self.resuming, Resuming::No) {
                let (mesh, device) = (self.mesh.clone(), self.device);
                self.resuming = Resuming::Seeking(Box::pin(async move { found(&mesh, device).await }));
                if self.lost && !std::mem::replace(&mut self.told_lost, true) {
                    return Some(Ok(Piece::Side(Side::Reconnecting)));
                }
            }
            tokio::select! {
                biased;
                piece = self.body.next(), if !self.lost => match piece {
                    Some(Ok(piece)) => {
                        self.alive();
                        if matches!(self.resuming, Resuming::Seeking(_)) {
                            self.resuming = Resuming::No;
                        }
                        match self.take(piece) {
                            Ok(None) => {}
                            Ok(Some(piece)) => return Some(Ok(piece)),
                            Err(error) => return Some(Err(error)),
                        }
                    }
                    _ if self.done => return None,
                    _ if resumable => {
                        self.lost = true;
                        self.silent_at = self.silent_at.min(Instant::now() + GONE);
                        self.set_alarm();
                    }
                    _ => return Some(Err(self.bond.cause().await)),
                },
                error = self.bond.ended() => return Some(Err(error)),
                back = self.resuming.step() => match back {
                    Ok(Back::Found) => self.resuming = self.ask_on(),
                    Ok(Back::Body(body)) => {
                        self.body = body.into_data_stream();
                        self.cutter = Cutter::default();
                        self.lost = false;
                        self.alive();
                        self.resuming = Resuming::No;
                    }
                    Ok(Back::Lost) => self.resuming = Resuming::No,
                    Err(Some(error)) => return Some(Err(error)),
                    Err(None) => return Some(Err(self.bond.forgotten())),
                },
                () = &mut self.alarm, if resumable => {
                    let silent = Instant::now() >= self.silent_at;
                    if silent && self.heard.elapsed() >= PATIENCE {
                        return Some(Err(self.bond.cause().await));
                    }
                    if silent {
                        self.silent_at = Instant::now() + SILENT;
                    }
                    self.set_alarm();
                    if silent {
                        self.told_lost = true;
                        return Some(Ok(Piece::Silent));
                    }
                }
            }
        }
    }

    /// Sets the alarm anew. Not after every word: most of the time it would be moved a thousand times before it rings.
    fn set_alarm(&mut self) {
        let doubt = self.heard + DOUBT;
        let due = if doubt > Instant::now() { doubt.min(self.silent_at) } else { self.silent_at };
        self.alarm.as_mut().reset(due);
    }

    /// Something was heard.
    fn alive(&mut self) {
        self.heard = Instant::now();
        self.silent_at = self.heard + SILENT;
        self.told_lost = false;
    }

    /// Takes what came of the body.
    fn take(&mut self, piece: Bytes) -> Result<Option<Piece>, ApiError> {
        let events = self.cutter.push(piece).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
        if events.is_empty() {
            return Ok(None);
        }
        if self.id.is_none() {
            return self.pass(events).map(Some);
        }
        let (plain, side) = self.numbers.strip(&events)?;
        if let (Some(meter), Some(side)) = (&mut self.meter, &side) {
            meter.events(&side.to_bytes());
        }
        if !plain.is_empty() {
            return self.pass(plain).map(Some);
        }
        let rested = self.commented.is_none_or(|at| at.elapsed() >= COMMENTS);
        let side = side.filter(|_| rested);
        if side.is_some() {
            self.commented = Some(Instant::now());
        }
        Ok(side.map(Piece::Side))
    }

    fn pass(&mut self, events: Bytes) -> Result<Piece, ApiError> {
        self.done |= relay::is_last(&events);
        if let Some(error) = relay::last_error(&events) {
            return Err(error);
        }
        self.tally.events(&events);
        if let Some(meter) = &mut self.meter {
            meter.events(&events);
        }
        Ok(Piece::Events(events))
    }

    /// Asks the device, which is there again, for what follows.
    fn ask_on(&self) -> Resuming {
        let (mesh, device, last) = (self.mesh.clone(), self.device, self.numbers.last);
        let path = ANSWERS.replace("{id}", self.id.as_deref().unwrap_or_default());
        Resuming::Asking(Box::pin(async move {
            let request = Request::get(path).header(LAST_EVENT, last).body(Body::empty()).map_err(|_| None)?;
            let response = match mesh.request(device, request).await {
                Ok(response) => response,
                Err(error) => {
                    tracing::debug!(device = %device.short(), %error, "not resumed yet");
                    return Ok(None);
                }
            };
            let status = response.status();
            if status == StatusCode::OK {
                tracing::info!(device = %device.short(), last, "an answer is read on");
                return Ok(Some(Body::new(response.into_body())));
            }
            let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_ERROR).await;
            let error = ApiError::from_answer(status, &body.unwrap_or_default());
            tracing::info!(device = %device.short(), %error, "an answer is not kept any more");
            Err(Some(error).filter(|_| status != StatusCode::NOT_FOUND))
        }))
    }
}

/// A step of the way back.
enum Back {
    /// The device is there.
    Found,
    /// The answer goes on.
    Body(Body),
    /// The link was lost once more.
    Lost,
}

impl Resuming {
    async fn step(&mut self) -> Result<Back, Option<ApiError>> {
        match self {
            Self::No => std::future::pending().await,
            Self::Seeking(found) => found.await.map(|()| Back::Found),
            Self::Asking(asked) => Ok(asked.await?.map_or(Back::Lost, Back::Body)),
        }
    }
}

/// Waits until the device says anything. It is asked again and again on streams of their own: what waits on a broken
/// path is sent again only after ever longer pauses, what is new goes out at once.
async fn found(mesh: &Mesh, device: DeviceId) -> Result<(), Option<ApiError>> {
    let mut tries = FuturesUnordered::new();
    let mut next = interval(TRY_EVERY);
    loop {
        tokio::select! {
            biased;
            Some(tried) = tries.next(), if !tries.is_empty() => match tried {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error @ (MeshError::NotMember | MeshError::Stopped))) => return Err(Some(error.into())),
                Ok(Err(_)) | Err(_) => {}
            },
            _ = next.tick() => {
                if let Ok(request) = Request::get(PING).body(Body::empty()) {
                    tries.push(timeout(TRY, mesh.request(device, request)));
                }
            }
        }
    }
}

/// Keeps count of the events.
#[derive(Debug, Default)]
struct Numbers {
    /// The number of the last one.
    last: u64,
}

impl Numbers {
    /// Events as an engine gave them, without those that came before; and the last comment.
    fn strip(&mut self, events: &Bytes) -> Result<(Bytes, Option<Side>), ApiError> {
        let (mut plain, mut side) = (Plain::default(), None);
        for event in sse::each(events) {
            if event.starts_with(b":") {
                side = Side::read(event).filter(Side::is_of_the_answer).or(side);
                continue;
            }
            let Some((number, at)) = number(event) else {
                return Err(ApiError::bad_answer("one of its events has no number"));
            };
            if number <= self.last {
                continue;
            }
            if self.last.checked_add(1) != Some(number) {
                return Err(ApiError::bad_answer("some of its events are missing"));
            }
            self.last = number;
            plain.add(events.slice_ref(&event[at..]));
        }
        Ok((plain.whole(), side))
    }
}

/// The number of an event, and where the event itself begins.
fn number(event: &[u8]) -> Option<(u64, usize)> {
    let rest = event.strip_prefix(b"id: ")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((number, b"id: ".len() + end + 1))
}

/// Events one after another; a single one, as nearly always, is not copied.
#[derive(Default)]
struct Plain {
    one: Option<Bytes>,
    more: BytesMut,
}

impl Plain {
    fn add(&mut self, event: Bytes) {
        if let Some(one) = self.one.take() {
            self.more.extend_from_slice(&one);
        }
        if self.more.is_empty() {
            self.one = Some(event);
        } else {
            self.more.extend_from_slice(&event);
        }
    }

    fn whole(self) -> Bytes {
        self.one.unwrap_or_else(|| self.more.freeze())
    }
}

/// A question to another device whose answer is named `id`.
pub(super) fn ask(
    path: OpenAiPath,
    id: Option<&str>,
    name: &RequestName,
    body: &Bytes,
) -> Result<Request<Body>, ApiError> {
    let mut request = Request::post(path.as_str())
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::CONTENT_LENGTH, body.len())
        .header(ledger::REQUEST, name.as_str());
    if let Some(id) = id {
        request = request.header(ANSWER, id);
    }
    request
        .body(Body::from(body.clone()))
        .map_err(|error| ApiError::new(ErrorCode::Internal, format!("The request could not be made: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(numbers: &mut Numbers, text: &str) -> Result<(String, Option<Side>), ApiError> {
        let (plain, side) = numbers.strip(&Bytes::copy_from_slice(text.as_bytes()))?;
        Ok((String::from_utf8(plain.to_vec()).expect("text"), side))
    }

    #[test]
    fn events_come_once_and_in_order() {
        let mut numbers = Numbers::default();
        let one = "id: 1\ndata: a\n\n";
        assert_eq!(strip(&mut numbers, one), Ok(("data: a\n\n".to_owned(), None)));
        assert_eq!(strip(&mut numbers, one), Ok((String::new(), None)), "it was there before");
        let more =
            format!("{one}id: 2\ndata: b\n\n{}id: 3\r\nid: 9\ndata: c\n\n", ": myownmesh {\"heartbeat\":true}\n\n");
        assert!(strip(&mut numbers, &more).is_err(), "\"3\\r\" is no number");
        let more = "id: 3\nid: 9\ndata: c\n\n: myownmesh {\"heartbeat\":true}\n\n";
        assert_eq!(strip(&mut numbers, more), Ok(("id: 9\ndata: c\n\n".to_owned(), Some(Side::Heartbeat))));
        assert_eq!(numbers.last, 3);
    }

    /// What another device sends is not to be believed.
    #[test]
    fn a_peer_that_counts_wrongly_is_not_followed() {
        for text in [
            "id: 3\ndata: a\n\n",
            "id: 18446744073709551615\ndata: a\n\n",
            "id: 99999999999999999999\ndata: a\n\n",
            "id: -1\ndata: a\n\n",
            "id:\ndata: a\n\n",
            "data: a\n\n",
            "event: x\nid: 1\ndata: a\n\n",
        ] {
            assert!(strip(&mut Numbers::default(), text).is_err(), "{text:?}");
        }
        let seam = "{\"seam\":{\"at\":1,\"device_id\":\"x\",\"device_name\":\"x\",\"model\":\"m\",\"reason\":\"r\"}}";
        for comment in [seam, "{\"reconnecting\":true}", "nonsense", ""] {
            let told = strip(&mut Numbers::default(), &format!(": myownmesh {comment}\n\n"));
            assert_eq!(told, Ok((String::new(), None)), "{comment:?} is not for a peer to say");
        }
    }

    #[test]
    fn a_flood_of_comments_comes_to_one() {
        let mut numbers = Numbers::default();
        let flood: String =
            (0..10_000).map(|ahead| format!(": myownmesh {{\"queued\":{{\"ahead\":{ahead}}}}}\n\n")).collect();
        let told = strip(&mut numbers, &flood);
        assert_eq!(told, Ok((String::new(), Some(Side::Queued { ahead: 9_999, wait_ms: None }))));
    }
}
