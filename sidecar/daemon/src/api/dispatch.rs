//! Runs a question where a route leads: an engine of this device, or the same route on another device.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use myownmesh_compute::{EngineKind, OpenAiPath};
use myownmesh_control::error::ErrorCode;
use myownmesh_mesh::{DeviceId, Incoming, Mesh, MeshError};

use super::body::Question;
use super::leave::Leave;
use super::relay::{self, Held};
use super::switched::Bond;
use super::tally::{Direction, Tally};
use super::{Api, ApiError, requests, wants, whole};
use crate::route::Route;

/// Told before each attempt, so that a person sees where it is tried.
pub(super) type Attempt<'a> = &'a mut (dyn FnMut(&Route) + Send);

impl Api {
    /// Asks the candidates in turn until one takes the question; errors of the last one count.
    pub(crate) async fn ask(
        &self,
        routes: &[Route],
        path: OpenAiPath,
        question: &Question,
        attempt: Attempt<'_>,
    ) -> Result<Response<Body>, ApiError> {
        let mut refused =
            ApiError::new(ErrorCode::NoModel, "There is no model to ask. Add an engine or connect a device.");
        for route in routes {
            attempt(route);
            requests::tried(route);
            let body = question.body_for(&route.model);
            let asked = if route.this_device {
                self.ask_here(path, &route.model, body, None, Held::default()).await
            } else {
                self.ask_there(route, path, body).await
            };
            match asked {
                Err(error) if error.worth_another() => {
                    tracing::info!(device = %route.device.short(), %error, "the next candidate is asked");
                    refused = error;
                }
                other => return other,
            }
        }
        Err(refused)
    }

    /// Asks an engine of this device. The answer to a member lasts as long as its leave.
    pub(super) async fn ask_here(
        &self,
        path: OpenAiPath,
        model: &str,
        body: Bytes,
        leave: Option<Leave>,
        held: Held,
    ) -> Result<Response<Body>, ApiError> {
        let snapshot = self.compute.snapshot();
        let engine = snapshot.model(model).and_then(|model| snapshot.engine(&model.engine));
        if let Some(engine) = engine {
            wants::check(engine.kind, &body)?;
        }
        let is_llama = engine.is_some_and(|engine| engine.kind == EngineKind::LlamaServer);
        let stream = if is_llama { whole::as_stream(path, &body) } else { None };
        let put_together = stream.is_some();
        let asked = self.compute.forward(path, model, stream.unwrap_or(body));
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

    async fn ask_there(&self, route: &Route, path: OpenAiPath, body: Bytes) -> Result<Response<Body>, ApiError> {
        let mesh = self.mesh.get().ok_or_else(|| {
            ApiError::new(ErrorCode::Unreachable, "This device is still starting. Try again in a moment.")
        })?;
        let mut bond = Bond::to(route, mesh);
        let device = (route.device, route.device_name.clone());
        let tally = Tally::begin(self.activity.clone(), bond.network(), Direction::Borrowed, device, &route.model);
        let (parts, body) = tokio::select! {
            biased;
            answer = post(mesh, route.device, path, body) => answer?.into_parts(),
            error = bond.ended() => return Err(error),
        };
        let pieces = bond.hold(body.into_data_stream().boxed());
        let held = Held { permit: None, tally: Some(tally) };
        if matches!(parts.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::FORBIDDEN) {
            // It may be busy, or does not serve this device: another one can be asked, so its words are read here.
            let answer = relay::answer(parts.status, &parts.headers, pieces, held).await?;
            let body = axum::body::to_bytes(answer.into_body(), 64 * 1024).await.unwrap_or_default();
            return Err(ApiError::from_answer(parts.status, &body));
        }
        relay::answer(parts.status, &parts.headers, pieces, held).await
    }
}

/// Sends a question to another device, and once more if the connection is lost before the answer begins: a device that
/// changes its address or wakes up loses one that looks alive, and nothing of the first attempt runs on.
async fn post(mesh: &Mesh, device: DeviceId, path: OpenAiPath, body: Bytes) -> Result<Response<Incoming>, ApiError> {
    let request = || {
        Request::post(path.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .body(Body::from(body.clone()))
            .map_err(|error| ApiError::new(ErrorCode::Internal, format!("The request could not be made: {error}.")))
    };
    match mesh.request(device, request()?).await {
        Err(MeshError::Lost(reason)) => {
            tracing::info!(device = %device.short(), reason, "asked once more");
            Ok(mesh.request(device, request()?).await?)
        }
        answer => Ok(answer?),
    }
}
