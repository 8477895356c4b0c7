//! Ollama's API, for programs that speak nothing else. Its requests become OpenAI's here, at the edge, so that they reach
//! every model: on this device and at peers, whatever engine has it.
//!
//! `ask` translates requests, `tell` answers, `listing` models; none of them does any IO.

mod ask;
mod listing;
mod tell;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{any, delete, get, post};
use axum::{Json, Router};
use http::{HeaderMap, Response};
use myownmesh_compute::{OpenAiPath, Purpose};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::tell::{Form, Telling};
use super::edge::{self, Translated};
use super::models::{find, reachable};
use super::reply::Usage;
use super::{Api, ApiError, Caller, refuse, stamp};
use crate::planner::Size;
use crate::route::{self, Offer, Route, RouteError};

/// The version of Ollama whose API this is; clients look at it before they use what is newer.
const VERSION: &str = "0.12.6";
/// What Ollama adds to a name without a tag.
const LATEST: &str = ":latest";

/// The routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        // What its clients look at to see whether somebody is there.
        .route("/", get(async || "MyOwnLLM is running"))
        .route("/api/version", get(version))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(loaded))
        .route("/api/show", post(show))
        .route("/api/chat", post(chat))
        .route("/api/generate", post(generate))
        .route("/api/embed", post(embed))
        .route("/api/embeddings", post(embed_one))
        .route("/api/pull", post(not_offered))
        .route("/api/push", post(not_offered))
        .route("/api/create", post(not_offered))
        .route("/api/copy", post(not_offered))
        .route("/api/delete", delete(not_offered))
        .route("/api/blobs/{digest}", any(not_offered))
}

async fn not_offered(headers: HeaderMap, body: Body) -> ApiError {
    let why = || {
        ApiError::not_offered(
            "Models are not made, fetched or deleted through this API. Use the app or `myownmesh model`, then ask again.",
        )
    };
    refuse(headers, body, why).await
}

async fn version() -> Json<Value> {
    Json(json!({ "version": VERSION, "myownllm": myownmesh_control::VERSION }))
}

async fn tags(State(api): State<Api>) -> Json<Value> {
    Json(listing::tags(&reachable(&api.offers(), &Caller::Local)))
}

async fn loaded(State(api): State<Api>) -> Json<Value> {
    Json(listing::loaded(&reachable(&api.offers(), &Caller::Local)))
}

async fn show(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Json<Value>, ApiError> {
    let asked: ask::ShowAsk = edge::read(&headers, body).await?;
    let offers = api.offers();
    let models = reachable(&offers, &Caller::Local);
    let found = find(&models, &asked.model);
    let found = found.or_else(|error| find(&models, asked.model.strip_suffix(LATEST).ok_or(error)?));
    Ok(Json(listing::show(found?)))
}

async fn chat(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked_at = Instant::now();
    let asked: ask::ChatAsk = edge::read(&headers, body).await?;
    let model = asked.model.clone();
    if asked.messages.as_ref().is_none_or(Vec::is_empty) {
        return warm(&api, Form::Chat, &model, asked.keep_alive.as_ref()).await;
    }
    let telling = Telling::new(Form::Chat, model, asked_at);
    answer(&api, OpenAiPath::ChatCompletions, ask::chat(asked)?, telling).await
}

async fn generate(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked_at = Instant::now();
    let asked: ask::GenerateAsk = edge::read(&headers, body).await?;
    let model = asked.model.clone();
    if asked.prompt.as_ref().is_none_or(String::is_empty) {
        return warm(&api, Form::Generate, &model, asked.keep_alive.as_ref()).await;
    }
    let (translated, raw) = ask::generate(asked)?;
    let path = if raw { OpenAiPath::Completions } else { OpenAiPath::ChatCompletions };
    answer(&api, path, translated, Telling::new(Form::Generate, model, asked_at)).await
}

async fn answer(
    api: &Api,
    path: OpenAiPath,
    translated: Translated,
    telling: Telling,
) -> Result<Response<Body>, ApiError> {
    let response = edge::ask(api, path, translated.body, by_name).await?;
    let mut response = if translated.stream {
        edge::tell(response, telling).await
    } else {
        Json(telling.whole(edge::collected(response).await?)?).into_response()
    };
    edge::note(&mut response, &translated.ignored);
    Ok(response)
}

/// A question without words: Ollama's way to have a model loaded before it is needed, or unloaded.
async fn warm(api: &Api, form: Form, model: &str, keep_alive: Option<&Value>) -> Result<Response<Body>, ApiError> {
    let unload =
        keep_alive.is_some_and(|value| matches!(value.as_str(), Some("0" | "0s")) || value.as_f64() == Some(0.0));
    let routes = api.routes(|offers| by_name(model, Purpose::Chat, Size::default(), offers)).await?;
    if unload {
        let [Route { this_device: true, model: own, .. }, ..] = routes.as_slice() else {
            return Err(ApiError::not_offered(
                "A model of another device is unloaded by that device, when it is idle or the memory is needed.",
            ));
        };
        api.compute.unload(own).await?;
        return Ok(Json(told(form, model, "unload")).into_response());
    }
    if let [Route { this_device: true, model, .. }, ..] = routes.as_slice() {
        api.compute.load(model).await?;
    } else {
        // Counting a word takes a loaded model and no more; an engine that cannot count has loaded it all the same.
        let mut body = Map::new();
        body.insert("model".to_owned(), model.into());
        body.insert("messages".to_owned(), json!([{ "role": "user", "content": "Hello" }]));
        match edge::ask(api, OpenAiPath::InputTokens, body, by_name).await {
            Err(error) if !error.no_such_path() => return Err(error),
            _ => {}
        }
    }
    Ok(Json(told(form, model, "load")).into_response())
}

/// The answer to a question without words.
fn told(form: Form, model: &str, reason: &str) -> Value {
    let mut told = json!({ "model": model, "created_at": stamp::now(), "done": true, "done_reason": reason });
    match form {
        Form::Chat => told["message"] = json!({ "role": "assistant", "content": "" }),
        Form::Generate => told["response"] = "".into(),
    }
    told
}

/// Vectors as an engine writes them, digit for digit.
#[derive(Deserialize)]
struct Embedded {
    data: Vec<Vector>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Box<RawValue>,
}

async fn vectors(api: &Api, translated: Translated) -> Result<Embedded, ApiError> {
    let response = edge::ask(api, OpenAiPath::Embeddings, translated.body, by_name).await?;
    let bytes = edge::whole(response).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_answer(&error.to_string()))
}

async fn embed(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked_at = Instant::now();
    let asked: ask::EmbedAsk = edge::read(&headers, body).await?;
    let model = asked.model.clone();
    let translated = ask::embed(asked)?;
    let ignored = translated.ignored.clone();
    let embedded = vectors(&api, translated).await?;
    let vectors: Vec<&str> = embedded.data.iter().map(|vector| vector.embedding.get()).collect();
    let took = u64::try_from(asked_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
    // Written by hand so that millions of digits are not read and written again.
    let text = format!(
        "{{\"model\":{},\"embeddings\":[{}],\"total_duration\":{took},\"load_duration\":0,\"prompt_eval_count\":{}}}",
        Value::from(model),
        vectors.join(","),
        embedded.usage.unwrap_or_default().prompt_tokens,
    );
    let mut response = json_text(text);
    edge::note(&mut response, &ignored);
    Ok(response)
}

async fn embed_one(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response<Body>, ApiError> {
    let asked: ask::EmbedAsk = edge::read(&headers, body).await?;
    let embedded = vectors(&api, ask::embed(asked)?).await?;
    let first = embedded.data.first().ok_or_else(|| ApiError::bad_answer("it has no vector"))?;
    Ok(json_text(format!("{{\"embedding\":{}}}", first.embedding.get())))
}

fn json_text(text: String) -> Response<Body> {
    ([(http::header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A model by its name, with or without the tag that Ollama's clients may add.
fn by_name(name: &str, purpose: Purpose, size: Size, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    match (route::resolve_id(name, purpose, size, offers), name.strip_suffix(LATEST)) {
        (Err(RouteError::UnknownModel { .. } | RouteError::NotThere { .. }), Some(plain)) => {
            route::resolve_id(plain, purpose, size, offers)
        }
        (found, _) => found,
    }
}
