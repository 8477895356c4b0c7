//! `GET /v1/models`: for programs of this device everything that can be reached, for members what is here. In OpenAI's
//! form, or in Anthropic's for requests that name a version of its API.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use myownmesh_compute::Purpose;
use myownmesh_control::types::MemberScope;
use serde::Serialize;
use serde_json::{Value, json};

use super::shape::Shape;
use super::{Api, ApiError, Caller};
use crate::card::CardModel;
use crate::devices;
use crate::planner::Size;
use crate::route::{Offer, RouteError, VIRTUAL};

/// The list, in OpenAI's form.
#[derive(Serialize)]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<ModelEntry>,
}

/// One model, in OpenAI's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ModelEntry {
    id: String,
    object: &'static str,
    /// Seconds since the epoch; engines do not tell, so 0.
    created: i64,
    /// Name of the device that has it.
    owned_by: String,
}

/// A model that can be asked, under the id it has here.
#[derive(Clone, Debug)]
pub(super) struct Reachable<'a> {
    /// Its id: plain, `DEVICE/MODEL`, or the virtual one.
    pub(super) id: String,
    /// Name of the device that has it.
    pub(super) device: &'a str,
    /// What that device tells of it.
    pub(super) model: &'a CardModel,
}

/// All models.
pub(super) async fn list(State(api): State<Api>, caller: Caller, headers: HeaderMap) -> Result<Response, ApiError> {
    may_see(&api, &caller)?;
    let offers = api.offers();
    let models = reachable(&offers, &caller);
    if Shape::of("/v1/models", &headers) == Shape::Anthropic {
        let data: Vec<Value> = models.iter().map(|model| anthropic(&model.id)).collect();
        let (first, last) = (models.first().map(|model| &model.id), models.last().map(|model| &model.id));
        let list = json!({ "data": data, "has_more": false, "first_id": first, "last_id": last });
        return Ok(Json(list).into_response());
    }
    Ok(Json(ModelList { object: "list", data: models.iter().map(ModelEntry::from).collect() }).into_response())
}

/// One model.
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    may_see(&api, &caller)?;
    let offers = api.offers();
    let models = reachable(&offers, &caller);
    let found = find(&models, &id)?;
    if Shape::of("/v1/models", &headers) == Shape::Anthropic {
        return Ok(Json(anthropic(&found.id)).into_response());
    }
    Ok(Json(ModelEntry::from(found)).into_response())
}

fn may_see(api: &Api, caller: &Caller) -> Result<(), ApiError> {
    match caller {
        Caller::Local => Ok(()),
        Caller::Member(asker) => api.leave(asker, MemberScope::Models).map(drop),
    }
}

impl From<&Reachable<'_>> for ModelEntry {
    fn from(model: &Reachable<'_>) -> Self {
        Self { id: model.id.clone(), object: "model", created: 0, owned_by: model.device.to_owned() }
    }
}

fn anthropic(id: &str) -> Value {
    // Engines do not tell when a model was made.
    json!({ "type": "model", "id": id, "display_name": id, "created_at": super::stamp::of(0) })
}

/// The model with this id.
pub(super) fn find<'a, 'm>(models: &'m [Reachable<'a>], id: &str) -> Result<&'m Reachable<'a>, ApiError> {
    models.iter().find(|model| model.id == id).ok_or_else(|| {
        let known = models.iter().map(|model| model.id.clone()).collect();
        RouteError::UnknownModel { model: crate::text::quotable(id), known }.into()
    })
}

/// Every model that `caller` can ask, the virtual one first.
pub(super) fn reachable<'a>(offers: &'a [Offer], caller: &Caller) -> Vec<Reachable<'a>> {
    let everything = matches!(caller, Caller::Local);
    let names = || offers.iter().map(|offer| (offer.device, offer.name.as_str()));
    let mut models: Vec<Reachable<'a>> = Vec::new();
    for offer in offers.iter().filter(|offer| offer.this_device || (everything && offer.rtt_ms.is_some())) {
        let label = devices::label(names(), offer.device, &offer.name);
        let mut seen = Vec::new();
        for model in offer.models.iter().filter(|model| model.usable()) {
            if seen.contains(&&model.id) {
                continue;
            }
            seen.push(&model.id);
            let id = if offer.this_device { model.id.clone() } else { format!("{label}/{}", model.id) };
            models.push(Reachable { id, device: &offer.name, model });
        }
    }
    if everything && models.iter().all(|model| model.id != VIRTUAL) {
        // Where nothing can answer, it is not listed.
        let best = crate::route::resolve_id(VIRTUAL, Purpose::Chat, Size::default(), offers).ok();
        let route = best.as_deref().and_then(|routes| routes.first());
        let offer = route.and_then(|route| offers.iter().find(|offer| offer.device == route.device));
        let model =
            route.zip(offer).and_then(|(route, offer)| offer.models.iter().find(|model| model.id == route.model));
        if let Some((offer, model)) = offer.zip(model) {
            models.insert(0, Reachable { id: VIRTUAL.to_owned(), device: &offer.name, model });
        }
    }
    models
}
