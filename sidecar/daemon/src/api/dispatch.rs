//! Runs a question where a route leads: an engine of this device, or the same route on another device.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use myownmesh_compute::{ComputeError, EngineKind, EngineResponse, ModelState, OpenAiPath};
use myownmesh_control::error::ErrorCode;
use myownmesh_mesh::{DeviceId, Mesh, MeshError};
use tokio::time::timeout;

use super::body::Question;
use super::borrowed::{self, Borrowed};
use super::leave::Leave;
use super::lent::ANSWER;
use super::onward::{Begun, Find, Onward, Source};
use super::prefill::Prefill;
use super::relay::{self, Held};
use super::side::Side;
use super::switched::Bond;
use super::tally::{Direction, Tally};
use super::{Api, ApiError, requests, wants, whole};
use crate::ledger::RequestName;
use crate::route::Route;

/// How often it is looked whether the model is still being loaded.
pub(super) const LOOK: Duration = Duration::from_millis(900);

/// Told before each attempt, so that a person sees where it is tried.
pub(super) type Attempt<'a> = &'a mut (dyn FnMut(&Route) + Send);

impl Api {
    /// Asks the candidates in turn until one takes the question; errors of the last one count. A stream goes on with
    /// others that `find` finds when that one fails in the middle.
    pub(crate) async fn ask(
        &self,
        routes: &[Route],
        find: &Find,
        path: OpenAiPath,
        question: &Question,
        attempt: Attempt<'_>,
    ) -> Result<Response<Body>, ApiError> {
        let mut refused =
            ApiError::new(ErrorCode::NoModel, "There is no model to ask. Add an engine or connect a device.");
        for route in routes {
            attempt(route);
            requests::tried(route);
            match self.ask_one(route, path, question).await {
                Err(error) if error.worth_another() => {
                    tracing::info!(device = %route.device.short(), %error, "the next candidate is asked");
                    refused = error;
                }
                Err(error) => return Err(error),
                Ok(Err(whole)) => return Ok(whole),
                Ok(Ok(now)) => return Ok(Onward::new(self, path, question, find.clone(), now).into_response()),
            }
        }
        Err(refused)
    }

    /// Asks one candidate: a stream that has begun, or an answer that is none.
    pub(super) async fn ask_one(
        &self,
        route: &Route,
        path: OpenAiPath,
        question: &Question,
    ) -> Result<Result<Begun, Response<Body>>, ApiError> {
        let body = question.body_for(&route.model);
        let asked = if route.this_device {
            self.ask_engine(path, &route.model, question.stream, body).await?
        } else {
            self.ask_there(route, path, question.stream, body).await?
        };
        Ok(match asked {
            Asked::Whole(response) => Err(response),
            Asked::Stream(mut source) => {
                let first = source.first().await?;
                Ok(Begun { route: route.clone(), source, first })
            }
        })
    }

    /// Asks an engine of this device for a program of this device.
    async fn ask_engine(&self, path: OpenAiPath, model: &str, stream: bool, body: Bytes) -> Result<Asked, ApiError> {
        let own = Some(self.lending.own());
        if !stream && self.is_llama(model) {
            return self.ask_here(path, model, body, None, Held { own, ..Held::default() }).await.map(Asked::Whole);
        }
        self.check(model, &body)?;
        let meter = self.meter_here(path, model, body.len());
        let (body, prefill) = self.with_prefill(path, model, body);
        let held = Held { own, meter, prefill, ..Held::default() };
        let (compute, name) = (self.compute.clone(), model.to_owned());
        let mut forwarded = async move { compute.forward(path, &name, body).await }.boxed();
        let answer = loop {
            match timeout(LOOK, &mut forwarded).await {
                Ok(answer) => break answer?,
                Err(_) if self.loading(model).is_some() => {
                    return Ok(Asked::Stream(Source::Loading(loaded(forwarded, held).boxed())));
                }
                Err(_) => {}
            }
        };
        if answer.status.is_success() && relay::is_stream(&answer.headers) {
            return Ok(Asked::Stream(Source::Here(events(answer, held))));
        }
        let pieces = answer.body.map_err(ApiError::from).boxed();
        relay::answer(answer.status, &answer.headers, pieces, held).await.map(Asked::Whole)
    }

    /// A request for a stream that asks to be told how far the question is read, where the engine knows how.
    fn with_prefill(&self, path: OpenAiPath, model: &str, body: Bytes) -> (Bytes, Prefill) {
        if path == OpenAiPath::ChatCompletions && self.is_llama(model) {
            return Prefill::ask(body);
        }
        (body, Prefill::default())
    }

    /// Whether a model runs in a llama-server.
    fn is_llama(&self, model: &str) -> bool {
        let snapshot = self.compute.snapshot();
        let engine = snapshot.model(model).and_then(|model| snapshot.engine(&model.engine));
        engine.is_some_and(|engine| engine.kind == EngineKind::LlamaServer)
    }

    /// How far a model of this device is loaded, while it is being loaded.
    pub(super) fn loading(&self, model: &str) -> Option<Side> {
        let snapshot = self.compute.snapshot();
        let model = snapshot.model(model).filter(|model| model.state == ModelState::Loading)?;
        Some(Side::Loading { percent: model.percent })
    }

    /// Refuses what the model's engine is known to leave out.
    fn check(&self, model: &str, body: &[u8]) -> Result<(), ApiError> {
        let snapshot = self.compute.snapshot();
        let engine = snapshot.model(model).and_then(|model| snapshot.engine(&model.engine));
        engine.map_or(Ok(()), |engine| wants::check(engine.kind, body))
    }

    /// Asks an engine of this device. The answer to a member lasts as long as its leave.
    pub(super) async fn ask_here(
        &self,
        path: OpenAiPath,
        model: &str,
        body: Bytes,
        leave: Option<Leave>,
        mut held: Held,
    ) -> Result<Response<Body>, ApiError> {
        if let Some(tally) = &mut held.tally {
            tally.starts();
        }
        self.check(model, &body)?;
        let held = Held { meter: self.meter_here(path, model, body.len()), ..held };
        let stream = if self.is_llama(model) { whole::as_stream(path, &body) } else { None };
        let put_together = stream.is_some();
        let (body, prefill) =
            stream.map_or_else(|| self.with_prefill(path, model, body), |body| (body, Prefill::default()));
        let held = Held { prefill, ..held };
        let asked = self.compute.forward(path, model, body);
        let mut answer = match &leave {
            None => asked.await?,
            Some(leave) => tokio::select! {
                biased;
                error = leave.ended() => return Err(error),
                answer = asked => answer?,
            },
        };
        let pieces = answer.body.map_err(ApiError::from).boxed();
        let pieces = match leave {
            None => pieces,
            Some(leave) => leave.hold(pieces),
        };
        if put_together && answer.status.is_success() {
            answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return relay::answer(answer.status, &answer.headers, whole::together(pieces), held).await;
        }
        relay::answer(answer.status, &answer.headers, pieces, held).await
    }

    async fn ask_there(&self, route: &Route, path: OpenAiPath, stream: bool, body: Bytes) -> Result<Asked, ApiError> {
        let mesh = self.mesh.get().ok_or_else(|| {
            ApiError::new(ErrorCode::Unreachable, "This device is still starting. Try again in a moment.")
        })?;
        let mut bond = Bond::to(route, mesh);
        let device = (route.device, route.device_name.clone());
        let request = RequestName::fresh();
        let mut tally = Tally::begin(self.activity.clone(), bond.network(), Direction::Borrowed, device, &route.model)
            .in_ledger(&self.ledger, request.clone());
        let mut meter = self.meter_there(path, route, body.len());
        // One name for both: what was kept of it, and what was counted.
        let id = stream.then(|| request.as_str().to_owned());
        let (parts, body) = tokio::select! {
            biased;
            answer = post(mesh, route.device, path, (id.as_deref(), &request), body) => answer?.into_parts(),
            error = bond.ended() => return Err(error),
        };
        if parts.status.is_success() && relay::is_stream(&parts.headers) {
            tally.head(parts.status);
            if let Some(meter) = &mut meter {
                meter.head(parts.status);
            }
            let id = id.filter(|id| parts.headers.get(ANSWER).is_some_and(|kept| kept.as_bytes() == id.as_bytes()));
            let borrowed = Borrowed::new(mesh, route.device, bond, id, (tally, meter), Body::new(body));
            return Ok(Asked::Stream(Source::There(Box::new(borrowed))));
        }
        let pieces = bond.hold(body.into_data_stream().boxed());
        let held = Held { tally: Some(tally), meter, ..Held::default() };
        if matches!(parts.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::FORBIDDEN) {
            // It may be busy, or does not serve this device: another one can be asked, so its words are read here.
            let answer = relay::answer(parts.status, &parts.headers, pieces, held).await?;
            let body = axum::body::to_bytes(answer.into_body(), 64 * 1024).await.unwrap_or_default();
            return Err(ApiError::from_answer(parts.status, &body));
        }
        relay::answer(parts.status, &parts.headers, pieces, held).await.map(Asked::Whole)
    }
}

/// The events of an engine's answer.
fn events(answer: EngineResponse, mut held: Held) -> BoxStream<'static, Result<Bytes, ApiError>> {
    if let Some(meter) = &mut held.meter {
        meter.head(answer.status);
    }
    relay::events(answer.body.map_err(ApiError::from).boxed(), held).boxed()
}

/// The same, of an engine that has to load the model first.
async fn loaded(
    forwarded: impl Future<Output = Result<EngineResponse, ComputeError>>,
    held: Held,
) -> Result<BoxStream<'static, Result<Bytes, ApiError>>, ApiError> {
    let answer = forwarded.await?;
    if answer.status.is_success() && relay::is_stream(&answer.headers) {
        return Ok(events(answer, held));
    }
    let pieces = answer.body.map_err(ApiError::from).boxed();
    let whole = relay::answer(answer.status, &answer.headers, pieces, held).await?;
    let body = axum::body::to_bytes(whole.into_body(), 64 * 1024).await.unwrap_or_default();
    Err(ApiError::from_answer(answer.status, &body))
}

/// How a candidate answers.
enum Asked {
    /// With a stream.
    Stream(Source),
    /// With anything else.
    Whole(Response<Body>),
}

/// Sends a question to another device, and once more if the connection is lost before the answer begins: a device that
/// changes its address or wakes up loses one that looks alive. Nothing of the first attempt runs on, or the second one
/// reads it.
async fn post(
    mesh: &Mesh,
    device: DeviceId,
    path: OpenAiPath,
    (id, name): (Option<&str>, &RequestName),
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    match mesh.request(device, borrowed::ask(path, id, name, &body)?).await {
        Err(MeshError::Lost(reason)) => {
            tracing::info!(device = %device.short(), reason, "asked once more");
            Ok(mesh.request(device, borrowed::ask(path, id, name, &body)?).await?)
        }
        answer => Ok(answer?),
    }
}
