//! `GET /v1/models`: for programs of this device everything that can be reached, for members what is here.

use axum::Json;
use axum::extract::{Path, State};
use myownmesh_control::types::MemberScope;
use serde::Serialize;

use super::{Api, ApiError, Caller};
use crate::devices;
use crate::route::{Offer, RouteError};

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

/// All models.
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<ModelList>, ApiError> {
    may_see(&api, &caller)?;
    Ok(Json(ModelList { object: "list", data: entries(&api.offers(), &caller) }))
}

/// One model.
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ModelEntry>, ApiError> {
    may_see(&api, &caller)?;
    let entries = entries(&api.offers(), &caller);
    if let Some(entry) = entries.iter().find(|entry| entry.id == id) {
        return Ok(Json(entry.clone()));
    }
    let known = entries.into_iter().map(|entry| entry.id).collect();
    Err(RouteError::UnknownModel { model: crate::text::quotable(&id), known }.into())
}

fn may_see(api: &Api, caller: &Caller) -> Result<(), ApiError> {
    match caller {
        Caller::Local => Ok(()),
        Caller::Member(asker) => api.leave(asker, MemberScope::Models).map(drop),
    }
}

fn entries(offers: &[Offer], caller: &Caller) -> Vec<ModelEntry> {
    let everything = matches!(caller, Caller::Local);
    let names = || offers.iter().map(|offer| (offer.device, offer.name.as_str()));
    let mut entries = Vec::new();
    for offer in offers.iter().filter(|offer| offer.this_device || (everything && offer.rtt_ms.is_some())) {
        let label = devices::label(names(), offer.device, &offer.name);
        let mut seen = Vec::new();
        for model in offer.models.iter().filter(|model| model.usable()) {
            if seen.contains(&&model.id) {
                continue;
            }
            seen.push(&model.id);
            let id = if offer.this_device { model.id.clone() } else { format!("{label}/{}", model.id) };
            entries.push(ModelEntry { id, object: "model", created: 0, owned_by: offer.name.clone() });
        }
    }
    entries
}
