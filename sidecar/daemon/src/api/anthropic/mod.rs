//! Anthropic's API, for programs that speak nothing else. Its requests become OpenAI's here, at the edge, so that they
//! reach every model: on this device and at peers, whatever engine has it.
//!
//! `ask` translates requests, `tell` answers; neither does any IO.

mod ask;
mod tell;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, Response};
use myownmesh_compute::OpenAiPath;
use serde_json::json;

use self::tell::Telling;
use super::{Api, ApiError, edge};

/// The routes. Models are listed by the one route that all APIs share.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/v1/messages", post(messages)).route("/v1/messages/count_tokens", post(count))
}

async fn messages(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked: ask::MessagesAsk = edge::read(&headers, body).await?;
    let telling = Telling::new(asked.model.clone());
    let translated = ask::messages(asked)?;
    let response = edge::ask(&api, OpenAiPath::ChatCompletions, translated.body, edge::by_id).await?;
    let mut response = if translated.stream {
        edge::tell(response, telling).await
    } else {
        Json(telling.whole(&edge::collected(response).await?)?).into_response()
    };
    edge::note(&mut response, &translated.ignored);
    Ok(response)
}

async fn count(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked: ask::MessagesAsk = edge::read(&headers, body).await?;
    let (body, ignored) = ask::question(asked)?;
    let mut response = Json(json!({ "input_tokens": edge::count(&api, body).await? })).into_response();
    edge::note(&mut response, &ignored);
    Ok(response)
}
