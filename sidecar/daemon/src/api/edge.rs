//! Where other APIs become OpenAI's and back: their questions are asked like any other, here or at a peer, and their
//! answers are told event by event as they come.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, Response, header};
use myownmesh_compute::{OpenAiPath, Purpose};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::body::{self, MAX_BODY, Question};
use super::relay;
use super::reply::Piece;
use super::{Api, ApiError, Find};
use crate::planner::Size;
use crate::route::{self, Offer, Route, RouteError};
use crate::sse::{self, Cutter};

/// Largest answer that is no stream, in bytes; the relay has checked it.
const MAX_ANSWER: usize = 128 * 1024 * 1024;
/// Largest error body that is read, in bytes.
const MAX_ERROR: usize = 64 * 1024;
/// Tells what of a request has no effect here, and why.
const IGNORED: &str = "x-myownllm-ignored";

/// A setting that has no effect, and why.
pub(super) type Ignored = (&'static str, &'static str);

/// A request of another API, in OpenAI's words.
#[derive(Debug)]
pub(super) struct Translated {
    /// The body for an engine. Chats are always asked for as streams: llama-server does not notice that nobody waits any
    /// more for an answer that is none.
    pub(super) body: Map<String, Value>,
    /// Whether the answer is told as a stream.
    pub(super) stream: bool,
    /// What has no effect.
    pub(super) ignored: Vec<Ignored>,
}

/// How a model's name is read.
pub(super) type Naming = fn(&str, Purpose, Size, &[Offer]) -> Result<Vec<Route>, RouteError>;

/// Reads a request's JSON.
pub(super) async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    let bytes = body::read(headers, body).await?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::not_json(&error.to_string()))
}

/// What a model is asked for at a path.
pub(super) fn purpose(path: OpenAiPath) -> Purpose {
    match path {
        OpenAiPath::Embeddings => Purpose::Embedding,
        OpenAiPath::ChatCompletions | OpenAiPath::Completions | OpenAiPath::InputTokens => Purpose::Chat,
    }
}

/// Asks; the answer is that of an engine that took the question.
pub(super) async fn ask(
    api: &Api,
    path: OpenAiPath,
    body: Map<String, Value>,
    naming: Naming,
) -> Result<Response<Body>, ApiError> {
    let bytes = Bytes::from(Value::Object(body).to_string());
    if bytes.len() > MAX_BODY {
        return Err(ApiError::too_large());
    }
    let question = Question::parse(path, bytes)?;
    let (model, size) = (question.model.clone(), question.size());
    let find: Find = Arc::new(move |offers| naming(&model, purpose(path), size, offers));
    let routes = api.routes(|offers| find(offers)).await?;
    let response = api.ask(&routes, &find, path, &question, &mut |_| {}).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), MAX_ERROR).await.unwrap_or_default();
    Err(ApiError::from_answer(status, &body))
}

/// The usual way to name a model.
pub(super) fn by_id(id: &str, purpose: Purpose, size: Size, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    route::resolve_id(id, purpose, size, offers)
}

/// The bytes of an answer that is no stream.
pub(super) async fn whole(response: Response<Body>) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(response.into_body(), MAX_ANSWER).await.map_err(|_| ApiError::broke_off())
}

/// Has the answer come as a stream.
pub(super) fn streamed(body: &mut Map<String, Value>) {
    body.insert("stream".to_owned(), true.into());
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
}

/// All of a chat answer, once it is complete.
pub(super) async fn collected(response: Response<Body>) -> Result<Piece, ApiError> {
    if !relay::is_stream(response.headers()) {
        return Piece::read(&whole(response).await?);
    }
    let (mut all, mut size) = (Piece::default(), 0_usize);
    let (mut pieces, mut cutter) = (response.into_body().into_data_stream(), Cutter::default());
    while let Some(Ok(piece)) = pieces.next().await {
        size = size.saturating_add(piece.len());
        if size > MAX_ANSWER {
            return Err(ApiError::bad_answer("it is larger than 128 MB"));
        }
        let events = cutter.push(piece).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
        for data in sse::data(&events) {
            if data.trim_end() == sse::DONE {
                return Ok(all);
            }
            all.add(Piece::read(data.as_bytes())?);
        }
    }
    Err(ApiError::broke_off())
}

/// Tells an answer in the words of another API.
pub(super) trait Teller: Send + 'static {
    /// The type of what it tells.
    const CONTENT_TYPE: &'static str;

    /// What comes before the first word.
    fn begin(&mut self) -> String;

    /// The next part.
    fn piece(&mut self, piece: Piece) -> Result<String, ApiError>;

    /// The proper end.
    fn end(&mut self) -> Result<String, ApiError>;

    /// The end of an answer that broke.
    fn failed(&mut self, error: &ApiError) -> String;
}

struct Telling<T> {
    pieces: BodyDataStream,
    cutter: Cutter,
    teller: T,
    began: bool,
    done: bool,
}

/// Tells a streamed answer as it comes. Whoever drops the response ends the work in the engine.
pub(super) async fn tell<T: Teller>(response: Response<Body>, mut teller: T) -> Response<Body> {
    let body = if relay::is_stream(response.headers()) {
        let pieces = response.into_body().into_data_stream();
        let telling = Telling { pieces, cutter: Cutter::default(), teller, began: false, done: false };
        Body::from_stream(unfold(telling, |mut telling| async move {
            let text = telling.next().await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), telling))
        }))
    } else {
        // An engine that cannot stream tells all at once.
        let mut text = teller.begin();
        let told = whole(response).await.and_then(|bytes| Ok(teller.piece(Piece::read(&bytes)?)? + &teller.end()?));
        match told {
            Ok(told) => text.push_str(&told),
            Err(error) => text.push_str(&teller.failed(&error)),
        }
        Body::from(text)
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(T::CONTENT_TYPE));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

impl<T: Teller> Telling<T> {
    /// What is told next; none at the end.
    async fn next(&mut self) -> Option<String> {
        if !self.began {
            self.began = true;
            let text = self.teller.begin();
            if !text.is_empty() {
                return Some(text);
            }
        }
        while !self.done {
            let events = match self.pieces.next().await {
                Some(Ok(piece)) => self.cutter.push(piece).map_err(|error| ApiError::bad_answer(&error.to_string())),
                Some(Err(_)) | None => Err(ApiError::broke_off()),
            };
            let mut text = String::new();
            if let Err(error) = events.and_then(|events| self.take(&events, &mut text)) {
                self.done = true;
                text.push_str(&self.teller.failed(&error));
            }
            if !text.is_empty() {
                return Some(text);
            }
        }
        None
    }

    fn take(&mut self, events: &[u8], text: &mut String) -> Result<(), ApiError> {
        for data in sse::data(events) {
            if data.trim_end() == sse::DONE {
                self.done = true;
                text.push_str(&self.teller.end()?);
                return Ok(());
            }
            text.push_str(&self.teller.piece(Piece::read(data.as_bytes())?)?);
        }
        Ok(())
    }
}

/// Says in a header what had no effect.
pub(super) fn note(response: &mut Response<Body>, ignored: &[Ignored]) {
    if ignored.is_empty() {
        return;
    }
    let notes: Vec<String> = ignored.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    if let Ok(value) = HeaderValue::from_str(&notes.join("; ")) {
        response.headers_mut().insert(IGNORED, value);
    }
}

/// A server-sent event with a name.
pub(super) fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// How many tokens a question has, by the tokenizer of the engine that would answer it.
pub(super) async fn count(api: &Api, body: Map<String, Value>) -> Result<u64, ApiError> {
    let response = ask(api, OpenAiPath::InputTokens, body, by_id).await.map_err(|error| {
        if error.no_such_path() {
            ApiError::not_offered(
                "The engine that has this model cannot count tokens without answering. Use a model that runs in \
                 llama-server, or read the usage of an answer.",
            )
        } else {
            error
        }
    })?;
    let counted: Value =
        serde_json::from_slice(&whole(response).await?).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
    counted["input_tokens"].as_u64().ok_or_else(|| ApiError::bad_answer("it has no input_tokens"))
}
