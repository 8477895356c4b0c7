//! `POST /mesh/v1/ledger`: a member asks what was counted of the requests it made here. It gets its own and nothing else,
//! whatever it names.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{Api, ApiError, Caller, edge};
use crate::ledger::{Counted, MOST, RequestName};

/// Where it is asked.
pub(crate) const LEDGER: &str = "/mesh/v1/ledger";

/// What a member asks for.
#[derive(Deserialize)]
pub(super) struct Asked {
    requests: Vec<RequestName>,
}

/// What it is told: those of them that were served.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What was counted.
    pub(crate) counted: Vec<Counted>,
}

/// Answers it.
pub(super) async fn lent(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Told>, ApiError> {
    let Caller::Member(asker) = caller else {
        super::body::discard(&headers, body).await;
        return Err(ApiError::no_route());
    };
    let Asked { requests } = edge::read(&headers, body).await?;
    if requests.len() > MOST {
        return Err(ApiError::invalid("requests", format!("At most {MOST} requests are told at once. Ask for fewer.")));
    }
    let counted = api.ledger.lent_to(asker.network, asker.device_id, requests).await?;
    Ok(Json(Told { counted }))
}
