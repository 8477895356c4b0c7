//! Streamed answers that outlive the device or the engine that gives them. When one is gone, silent or has crashed, the
//! next best candidate goes on from the text so far, and the stream says so ([`Side::Seam`]). Whoever chose a device
//! stays with it: candidates are found by the very rule that found the first.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};
use http::{HeaderValue, Response, header};
use myownmesh_compute::{OpenAiPath, Purpose};
use myownmesh_control::types::Seam;
use myownmesh_mesh::DeviceId;
use tokio::time::timeout;

use super::body::Question;
use super::borrowed::{Borrowed, Piece};
use super::joint::Joint;
use super::lent::SOON;
use super::relay;
use super::side::Side;
use super::sofar::{GoingOn, SoFar};
use super::{Api, ApiError};
use crate::route::{Offer, Route, RouteError};
use crate::text::listed;

/// Most seams of one answer.
const MAX_SEAMS: usize = 3;
/// How many models an error names that could go on.
const NAMED: usize = 3;

/// The rule by which candidates are found.
pub(crate) type Find = Arc<dyn Fn(&[Offer]) -> Result<Vec<Route>, RouteError> + Send + Sync>;

/// Where the events of an answer come from.
pub(super) enum Source {
    /// An engine of this device.
    Here(BoxStream<'static, Result<Bytes, ApiError>>),
    /// An engine of this device that loads the model first.
    Loading(BoxFuture<'static, Result<BoxStream<'static, Result<Bytes, ApiError>>, ApiError>>),
    /// Another device.
    There(Box<Borrowed>),
}

impl Source {
    async fn next(&mut self) -> Option<Result<Piece, ApiError>> {
        if let Self::Loading(loaded) = self {
            match loaded.await {
                Ok(events) => *self = Self::Here(events),
                Err(error) => return Some(Err(error)),
            }
        }
        match self {
            Self::Here(events) => events.next().await.map(|events| events.map(of_here)),
            Self::There(borrowed) => borrowed.next().await,
            Self::Loading(_) => None,
        }
    }

    /// The first piece, where it is worth waiting for before the question is answered with anything: an error that
    /// another device tells at once instead of its first word is a refusal.
    pub(super) async fn first(&mut self) -> Result<Option<Piece>, ApiError> {
        match self {
            Self::Here(_) => Ok(None),
            Self::Loading(_) => Ok(Some(Piece::Side(Side::Loading { percent: None }))),
            Self::There(borrowed) => timeout(SOON, borrowed.next()).await.map_or(Ok(None), Option::transpose),
        }
    }
}

/// What an engine of this device tells.
fn of_here(events: Bytes) -> Piece {
    Side::read(&events).map_or_else(|| Piece::Events(events), Piece::Side)
}

/// A source that has begun.
pub(super) struct Begun {
    /// Where it runs.
    pub(super) route: Route,
    /// What it tells.
    pub(super) source: Source,
    /// What it has told already.
    pub(super) first: Option<Piece>,
}

/// One answer on its way to whoever asked.
pub(super) struct Onward {
    api: Api,
    path: OpenAiPath,
    question: Question,
    find: Find,
    now: Begun,
    sofar: SoFar,
    /// Where the part that comes now meets the one before.
    joint: Option<Joint>,
    seams: usize,
    /// Devices that have failed.
    failed: Vec<DeviceId>,
    /// A device whose engine crashed was tried once more.
    again: bool,
    ended: bool,
}

impl Onward {
    /// The answer that has begun so.
    pub(super) fn new(api: &Api, path: OpenAiPath, question: &Question, find: Find, now: Begun) -> Self {
        let known = question.known.clone();
        Self {
            api: api.clone(),
            path,
            question: question.clone(),
            find,
            now,
            sofar: SoFar::default(),
            joint: (!known.is_empty()).then(|| Joint::new(known, false)),
            seams: 0,
            failed: Vec::new(),
            again: false,
            ended: false,
        }
    }

    /// As the answer to a request. Whoever drops it ends the work.
    pub(super) fn into_response(self) -> Response<Body> {
        let events = unfold(self, |mut onward| async move {
            let bytes = onward.next().await?;
            Some((Ok::<_, Infallible>(bytes), onward))
        });
        let mut response = Response::new(Body::from_stream(events));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let piece = match self.now.first.take() {
                Some(piece) => Some(Ok(piece)),
                None => self.now.source.next().await,
            };
            match piece {
                Some(Ok(Piece::Events(events))) => match self.join(events) {
                    Ok(events) if events.is_empty() => {}
                    Ok(events) => {
                        self.sofar.add(&events);
                        return Some(events);
                    }
                    Err(error) => return Some(self.fail(error)),
                },
                Some(Ok(Piece::Side(side))) => return Some(side.to_bytes()),
                Some(Ok(Piece::Silent)) => {
                    let told = self.go_on(None).await;
                    return Some(told.unwrap_or_else(|| Side::Reconnecting.to_bytes()));
                }
                Some(Err(error)) => {
                    let told = self.go_on(Some(&error)).await;
                    return Some(told.unwrap_or_else(|| self.fail(error)));
                }
                None => self.ended = true,
            }
        }
        None
    }

    fn join(&mut self, events: Bytes) -> Result<Bytes, ApiError> {
        match &mut self.joint {
            Some(joint) if !joint.is_passed() => joint.pass(&events),
            _ => Ok(events),
        }
    }

    /// The last words of an answer that cannot go on.
    fn fail(&mut self, error: ApiError) -> Bytes {
        self.ended = true;
        let known = !matches!(self.sofar.going_on(), GoingOn::Afresh | GoingOn::Never);
        let others = if known && error.may_go_on() { self.others() } else { Vec::new() };
        if others.is_empty() {
            return relay::event(&error);
        }
        let hint = format!(" Or continue it with {}.", listed(&others, NAMED));
        relay::event(&error.with_hint(&hint))
    }

    /// Models that are there now and could go on.
    fn others(&self) -> Vec<String> {
        let offers = self.api.offers();
        let there = offers.iter().filter(|offer| offer.rtt_ms.is_some() && !self.failed.contains(&offer.device));
        let usable = there.flat_map(|offer| {
            let chats = offer.models.iter().filter(|model| model.usable() && model.purpose == Purpose::Chat);
            chats.map(|model| format!("{} on {}", model.id, offer.name))
        });
        usable.collect()
    }

    /// Has another candidate go on; gives what the stream says of it. Without `error` the device is silent and may come
    /// back.
    async fn go_on(&mut self, error: Option<&ApiError>) -> Option<Bytes> {
        if self.seams == MAX_SEAMS || error.is_some_and(|error| !error.may_go_on()) {
            return None;
        }
        let (question, text) = match self.sofar.going_on() {
            GoingOn::Finished if error.is_some() => {
                self.ended = true;
                return Some(Bytes::from_static(b"data: [DONE]\n\n"));
            }
            GoingOn::Finished | GoingOn::Never => return None,
            GoingOn::Afresh => (self.question.clone(), String::new()),
            GoingOn::From { text, thought, tokens } => {
                (self.question.continued(self.path, &text, thought, tokens)?, text)
            }
        };
        let lost = self.now.route.clone();
        if !self.failed.contains(&lost.device) {
            self.failed.push(lost.device);
        }
        let reason = error.map_or_else(|| silent(&lost.device_name), first_sentence);
        for route in self.candidates(error).await {
            tracing::info!(device = %route.device.short(), reason, "another device goes on");
            let asked = self.api.ask_one(&route, self.path, &question).await;
            let Ok(Ok(now)) = asked else {
                self.failed.push(route.device);
                continue;
            };
            self.seams += 1;
            self.joint = Some(Joint::new(question.known.clone(), true));
            if text.is_empty() {
                self.joint = Some(Joint::new(question.known.clone(), self.sofar.begun()));
            }
            self.now = now;
            let seam = Seam {
                at: u32::try_from(text.len()).unwrap_or(u32::MAX),
                device_id: route.device.to_string(),
                device_name: route.device_name,
                model: route.model,
                reason,
            };
            return Some(Side::Seam(seam).to_bytes());
        }
        None
    }

    /// Who may go on: the others that have the same model, best first; after them, once, the device whose engine crashed.
    async fn candidates(&mut self, error: Option<&ApiError>) -> Vec<Route> {
        let model = self.now.route.model.clone();
        let find = self.find.clone();
        // A silent device may come back any moment: others are not waited for.
        let found = match error {
            Some(_) => self.api.routes(|offers| find(offers)).await,
            None => find(&self.api.offers()),
        };
        let mut found = found.unwrap_or_default();
        found.retain(|route| route.model == model && !self.failed.contains(&route.device));
        if error.is_some_and(ApiError::is_crash) && !std::mem::replace(&mut self.again, true) {
            found.push(self.now.route.clone());
        }
        found
    }
}

fn silent(name: &str) -> String {
    format!("{name} has fallen silent.")
}

/// What happened, without what could be done about it.
fn first_sentence(error: &ApiError) -> String {
    let text = error.to_string();
    text.split_inclusive(". ").next().map_or_else(String::new, |sentence| sentence.trim_end().to_owned())
}
