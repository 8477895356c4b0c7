//! OpenAI's responses, over the chat completions of any engine. Stateless: nothing is kept, so nothing can be continued
//! by an id.
//!
//! `ask` translates requests, `tell` answers; neither does any IO.

mod ask;
mod tell;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{any, post};
use axum::{Json, Router};
use http::{HeaderMap, Response};
use myownmesh_compute::OpenAiPath;
use myownmesh_control::error::ErrorCode;
use serde_json::json;

use self::tell::Telling;
use super::{Api, ApiError, edge, refuse};

/// The routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/responses", post(create))
        .route("/v1/responses/input_tokens", post(count))
        .route("/v1/responses/{*id}", any(not_kept))
}

async fn not_kept(headers: HeaderMap, body: Body) -> ApiError {
    let why = || {
        let why = "Answers are not kept here, so none can be asked for by its id. Keep what the first answer told.";
        ApiError::new(ErrorCode::NotFound, why)
    };
    refuse(headers, body, why).await
}

async fn create(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked: ask::ResponsesAsk = edge::read(&headers, body).await?;
    let translated = ask::response(&asked)?;
    let telling = Telling::new(&asked);
    let response = edge::ask(&api, OpenAiPath::ChatCompletions, translated.body, edge::by_id).await?;
    let mut response = if translated.stream {
        edge::tell(response, telling).await
    } else {
        Json(telling.whole(edge::collected(response).await?)?).into_response()
    };
    edge::note(&mut response, &translated.ignored);
    Ok(response)
}

async fn count(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked: ask::ResponsesAsk = edge::read(&headers, body).await?;
    let (body, ignored) = ask::question(&asked)?;
    let counted = edge::count(&api, body).await?;
    let told = json!({ "object": "response.input_tokens", "input_tokens": counted });
    let mut response = Json(told).into_response();
    edge::note(&mut response, &ignored);
    Ok(response)
}
