//! What this device can do for others, as one router that speaks OpenAI's HTTP API.
//!
//! It is mounted twice: on the local listener for programs of this device, and on the mesh for members of the network.
//! [`Caller`] tells which; a request that carries neither mark is refused. Members get what runs on this very device
//! and nothing further, so requests never travel in circles.
//!
//! Programs of this device may also speak Ollama's API or Anthropic's, or OpenAI's responses. Those are translated at
//! this edge (`edge`), so that engines and peers are only ever asked in the one protocol.

mod anthropic;
mod body;
mod borrowed;
mod dispatch;
mod edge;
mod error;
mod guard;
mod joint;
mod leave;
mod ledger;
mod lent;
mod listener;
mod model_files;
mod models;
mod offers;
mod ollama;
mod onward;
mod openai;
mod prefill;
mod relay;
mod reply;
mod requests;
mod responses;
mod shape;
mod side;
mod sofar;
mod stamp;
mod switched;
mod tally;
mod wants;
mod whole;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use http::HeaderMap;
use http::request::Parts as Head;
use myownmesh_compute::{Compute, ModelState, OpenAiPath};
use myownmesh_mesh::{Asker, DeviceId, Mesh};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(crate) use body::{MAX_BODY, Question};
pub(crate) use error::ApiError;
pub(crate) use guard::Door;
pub(crate) use ledger::{LEDGER, Told};
use lent::Lent;
pub(crate) use listener::{bind, serve};
pub(crate) use model_files::routes as model_files;
use offers::Cards;
pub(crate) use onward::Find;
pub(crate) use requests::Requests;
pub(crate) use side::Side;

use crate::activity::Activity;
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::lending::Lending;
use crate::planner::{Machine, Meter, Rates};
use crate::route::{Offer, Route, RouteError};
use crate::scopes::Scopes;

/// How long a request waits for a device that is just being reached.
const ARRIVAL: Duration = Duration::from_secs(3);

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// A program of this device.
    Local,
    /// A member of the network.
    Member(Box<Asker>),
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Head, _: &S) -> Result<Self, ApiError> {
        // The mesh's mark first: it is put in after the membership check and cannot come from outside.
        if let Some(asker) = parts.extensions.get::<Asker>() {
            return Ok(Self::Member(Box::new(asker.clone())));
        }
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::unknown_caller)
    }
}

/// What the routes work with; clones share it.
#[derive(Clone)]
pub(crate) struct Api {
    compute: Compute,
    lending: Lending,
    scopes: Scopes,
    activity: Activity,
    rates: Rates,
    machine: watch::Receiver<Option<Machine>>,
    ledger: Ledger,
    lent: Lent,
    cards: Cards,
    /// Set once the mesh runs; it needs the router to start.
    mesh: Arc<OnceLock<Mesh>>,
}

/// What the routes work with.
pub(crate) struct Parts {
    /// Engines and models.
    pub(crate) compute: Compute,
    /// Whom this device serves, and when.
    pub(crate) lending: Lending,
    /// What members may do here.
    pub(crate) scopes: Scopes,
    /// What happened, kept.
    pub(crate) activity: Activity,
    /// What was lent and borrowed.
    pub(crate) ledger: Ledger,
    /// How fast devices answer.
    pub(crate) rates: Rates,
    /// What this device works with.
    pub(crate) machine: watch::Receiver<Option<Machine>>,
}

impl Api {
    /// An API without peers yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { compute, lending, scopes, activity, ledger, rates, machine } = parts;
        let (lent, cards, mesh) = (Lent::default(), Cards::default(), Arc::default());
        Self { compute, lending, scopes, activity, rates, machine, ledger, lent, cards, mesh }
    }

    /// Gives it the mesh, once.
    pub(crate) fn connect(&self, mesh: Mesh) {
        // A second mesh would be a fault of ours; the first stays.
        let _ = self.mesh.set(mesh);
    }

    /// What every device offers now, this one first.
    pub(crate) fn offers(&self) -> Vec<Offer> {
        let mesh = self.mesh.get().map(Mesh::snapshot);
        let mut offers = vec![self.own_offer()];
        offers.extend(offers::others(mesh.as_deref(), &self.cards, &self.rates));
        offers
    }

    /// What this device offers.
    fn own_offer(&self) -> Offer {
        let mesh = self.mesh.get().map(Mesh::snapshot);
        offers::own(mesh.as_deref(), &self.compute.snapshot(), &self.lending, *self.machine.borrow(), &self.rates)
    }

    /// The candidates that `find` picks. Where it finds none, and a device is only just being reached (this one has
    /// started a moment ago, or the link is being made again), its arrival is waited for, at most [`ARRIVAL`].
    pub(crate) async fn routes(
        &self,
        find: impl Fn(&[Offer]) -> Result<Vec<Route>, RouteError>,
    ) -> Result<Vec<Route>, RouteError> {
        let deadline = Instant::now() + ARRIVAL;
        let mut changes = self.mesh.get().map(Mesh::watch);
        loop {
            // Marked as seen before it is looked at, so that no change falls in between.
            if let Some(changes) = &mut changes {
                changes.mark_unchanged();
            }
            let offers = self.offers();
            let found = find(&offers);
            let hope = found.is_err() && offers.iter().any(|offer| offer.arriving);
            match &mut changes {
                Some(changes) if hope => match timeout_at(deadline, changes.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return found,
                },
                _ => return found,
            }
        }
    }

    /// What times the answer of a model on this device, where answers of that kind say how fast it is.
    fn meter_here(&self, path: OpenAiPath, model: &str, request: usize) -> Option<Meter> {
        let loaded = self.compute.snapshot().model(model).is_some_and(|model| model.state == ModelState::Ready);
        self.meter(path, (self.mesh.get()?.device_id(), model.to_owned()), 0.0, loaded, request)
    }

    /// The same for a model on another device.
    fn meter_there(&self, path: OpenAiPath, route: &Route, request: usize) -> Option<Meter> {
        self.meter(path, (route.device, route.model.clone()), route.rtt_ms, route.loaded, request)
    }

    fn meter(
        &self,
        path: OpenAiPath,
        key: (DeviceId, String),
        rtt_ms: f64,
        loaded: bool,
        request: usize,
    ) -> Option<Meter> {
        matches!(path, OpenAiPath::ChatCompletions | OpenAiPath::Completions)
            .then(|| Meter::begin(self.rates.clone(), key, rtt_ms, loaded, request))
    }

    /// The routes, for the mesh to mount.
    pub(crate) fn service(&self) -> Router {
        let post_to = |path: OpenAiPath| {
            post(move |state, caller, loss, headers, body| openai::complete(path, state, caller, loss, headers, body))
        };
        Router::new()
            .route("/v1/models", get(models::list))
            .route("/v1/models/{*id}", get(models::show))
            .route(OpenAiPath::ChatCompletions.as_str(), post_to(OpenAiPath::ChatCompletions))
            .route(OpenAiPath::Completions.as_str(), post_to(OpenAiPath::Completions))
            .route(OpenAiPath::Embeddings.as_str(), post_to(OpenAiPath::Embeddings))
            .route(OpenAiPath::InputTokens.as_str(), post_to(OpenAiPath::InputTokens))
            .route(LEDGER, post(ledger::lent))
            .route(lent::ANSWERS, get(openai::resume))
            .with_state(self.clone())
    }

    /// The routes for programs of this device, which reach it at `door`.
    pub(crate) fn local(&self, door: Door, keys: Keys, requests: Requests) -> Router {
        self.service()
            .merge(ollama::routes().merge(anthropic::routes()).merge(responses::routes()).with_state(self.clone()))
            .fallback(|headers, body| refuse(headers, body, ApiError::no_route))
            .method_not_allowed_fallback(|headers, body| refuse(headers, body, ApiError::wrong_method))
            .layer(Extension(Caller::Local))
            .layer(middleware::from_fn(move |request, next| {
                let (keys, requests) = (keys.clone(), requests.clone());
                async move { Ok::<_, Infallible>(guard::check(door, &keys, &requests, request, next).await) }
            }))
            .layer(middleware::from_fn(shape::dress))
    }
}

/// Refuses a request whatever it says.
async fn refuse(headers: HeaderMap, body: Body, why: fn() -> ApiError) -> ApiError {
    body::discard(&headers, body).await;
    why()
}

#[cfg(test)]
mod tests;
