//! Reading a request's body: at most 32 MB, and looked at just enough to route it. The bytes that are forwarded are the
//! bytes that came; only the model's name may be exchanged.

use std::ops::Range;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, header};
use myownmesh_compute::OpenAiPath;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ApiError;
use crate::planner::Size;

/// Largest request body, in bytes.
pub(crate) const MAX_BODY: usize = 32 * 1024 * 1024;

/// How much of a refused body is read, and for how long, so that its sender gets to read the answer.
const DRAIN_BYTES: usize = 256 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// Reads a whole body.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let declared: Option<u64> =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let mut stream = body.into_data_stream();
    if declared.is_some_and(|length| length > MAX_BODY) {
        // Whoever waits for leave to send gets the refusal instead.
        if !headers.contains_key(header::EXPECT) {
            drain(stream).await;
        }
        return Err(ApiError::too_large());
    }
    let mut bytes = BytesMut::with_capacity(declared.unwrap_or(16 * 1024).min(1024 * 1024));
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| ApiError::not_json("it broke off"))?;
        if bytes.len() + piece.len() > MAX_BODY {
            drain(stream).await;
            return Err(ApiError::too_large());
        }
        bytes.put(piece);
    }
    Ok(bytes.freeze())
}

/// Reads a body that nobody wants, so that its sender gets to read the refusal and can use the connection again.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    if !headers.contains_key(header::EXPECT) {
        drain(body.into_data_stream()).await;
    }
}

/// Closing a connection that still receives resets it, and the answer with it.
async fn drain(mut stream: BodyDataStream) {
    let reading = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(piece)) = stream.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whoever sends longer than that finds the connection closed.
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
}

/// A request whose form is right.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    body: Bytes,
    /// Where the model's name, quotes included, is in `body`.
    at: Range<usize>,
    /// The model it names.
    pub(crate) model: String,
    /// Whether the answer is wanted as a stream.
    pub(crate) stream: bool,
    /// Text of the answer that the asker has already: the request ends with it, and it is not told once more.
    pub(crate) known: String,
}

impl Question {
    /// How large it is, for the planner.
    pub(super) fn size(&self) -> Size {
        Size { prompt_bytes: self.body.len(), max_tokens: None }
    }

    /// Looks at a body meant for `path`.
    pub(crate) fn parse(path: OpenAiPath, body: Bytes) -> Result<Self, ApiError> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(&body).map_err(|error| ApiError::not_json(&error.to_string()))?;
        let named = envelope.model.and_then(|raw| Some((raw, serde_json::from_str::<String>(raw.get()).ok()?)));
        let Some((raw, model)) = named.filter(|(_, model)| !model.is_empty()) else {
            return Err(ApiError::invalid("model", "The request names no model. GET /v1/models lists what there is."));
        };
        // `stream` must be a boolean where it is given; serde has checked that.
        let stream = envelope.stream.unwrap_or_default();
        match path {
            OpenAiPath::ChatCompletions | OpenAiPath::InputTokens => {
                let messages = envelope.messages.map(RawValue::get);
                let count = messages.and_then(|text| serde_json::from_str::<Vec<IgnoredAny>>(text).ok());
                if count.is_none_or(|messages| messages.is_empty()) {
                    return Err(ApiError::invalid(
                        "messages",
                        "The request has no messages. Send at least one, like {\"role\": \"user\", \"content\": \"Hello\"}.",
                    ));
                }
            }
            OpenAiPath::Completions => require(envelope.prompt, "prompt")?,
            OpenAiPath::Embeddings => require(envelope.input, "input")?,
        }
        let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
        let at = start..start + raw.get().len();
        Ok(Self { body, at, model, stream, known: String::new() })
    }

    /// The question that has a model go on with its answer after `text`, which took so many `tokens`; none where nobody
    /// could.
    pub(super) fn continued(&self, path: OpenAiPath, text: &str, thought: bool, tokens: u64) -> Option<Self> {
        if path != OpenAiPath::ChatCompletions {
            return None;
        }
        let mut body: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
        let plain = body.get("response_format").is_none_or(|form| form.is_null() || form["type"] == "text");
        let bound = ["grammar", "json_schema"].iter().any(|key| body.get(*key).is_some_and(|value| !value.is_null()));
        let several = body.get("n").and_then(Value::as_u64).is_some_and(|count| count > 1);
        if !plain || bound || several {
            return None;
        }
        let known = format!("{}{text}", self.known);
        let messages = body.get_mut("messages")?.as_array_mut()?;
        if !self.known.is_empty() {
            messages.pop();
        }
        messages.push(json!({ "role": "assistant", "content": known }));
        for limit in ["max_tokens", "max_completion_tokens", "n_predict"] {
            if let Some(most) = body.get(limit).and_then(Value::as_u64) {
                body.insert(limit.to_owned(), most.saturating_sub(tokens).max(1).into());
            }
        }
        if thought {
            // It has thought; templates that let a model think refuse a begun answer otherwise.
            let kwargs = body.entry("chat_template_kwargs").or_insert_with(|| json!({}));
            kwargs.as_object_mut()?.insert("enable_thinking".to_owned(), false.into());
        }
        let bytes = Bytes::from(Value::Object(body).to_string());
        let mut question = Self::parse(path, bytes).ok()?;
        question.known = known;
        Some(question)
    }

    /// The body with `model` in place of the name that came.
    pub(crate) fn body_for(&self, model: &str) -> Bytes {
        if model == self.model {
            return self.body.clone();
        }
        let name = serde_json::Value::from(model).to_string();
        let mut body = BytesMut::with_capacity(self.body.len() + name.len());
        body.put_slice(&self.body[..self.at.start]);
        body.put_slice(name.as_bytes());
        body.put_slice(&self.body[self.at.end..]);
        body.freeze()
    }
}

fn require(value: Option<&RawValue>, param: &'static str) -> Result<(), ApiError> {
    match value.map(RawValue::get) {
        None | Some("null") => Err(ApiError::invalid(param, format!("The request has no {param}. Send some text."))),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: OpenAiPath, text: &str) -> Result<Question, ApiError> {
        Question::parse(path, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn only_the_model_s_name_is_exchanged() {
        let text = r#"{ "messages":[{"role":"user","content":"model"}], "model" : "Desk\/a\"b" , "x": 1e400 }"#;
        let question = parse(OpenAiPath::ChatCompletions, text).expect("fine");
        assert_eq!(question.model, "Desk/a\"b");
        assert_eq!(question.body_for(&question.model), text);
        let changed = question.body_for("c\\ü\"");
        let expected = r#"{ "messages":[{"role":"user","content":"model"}], "model" : "c\\ü\"" , "x": 1e400 }"#;
        assert_eq!(changed, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        use OpenAiPath::{ChatCompletions as Chat, Completions, Embeddings};
        for (path, text, param) in [
            (Chat, "", None),
            (Chat, "nonsense", None),
            (Chat, "[]", None),
            (Chat, "{\"model\":\"m\"", None),
            (Chat, "\u{feff}{}", None),
            (Chat, "{\"model\":\"m\",\"model\":\"n\",\"messages\":[{}]}", None),
            (Chat, "{\"model\":\"m\",\"messages\":[{}],\"stream\":\"yes\"}", None),
            (Chat, "{\"messages\":[{}]}", Some("model")),
            (Chat, "{\"model\":\"\",\"messages\":[{}]}", Some("model")),
            (Chat, "{\"model\":7,\"messages\":[{}]}", Some("model")),
            (Chat, "{\"model\":null,\"messages\":[{}]}", Some("model")),
            (Chat, "{\"model\":\"m\"}", Some("messages")),
            (Chat, "{\"model\":\"m\",\"messages\":[]}", Some("messages")),
            (Chat, "{\"model\":\"m\",\"messages\":\"hello\"}", Some("messages")),
            (Completions, "{\"model\":\"m\"}", Some("prompt")),
            (Embeddings, "{\"model\":\"m\",\"input\":null}", Some("input")),
        ] {
            let error = parse(path, text).expect_err(text);
            let json = error.to_json();
            assert_eq!(json["error"]["param"].as_str(), param, "{text}");
            assert_eq!(json["error"]["code"], "invalid_argument");
            assert!(json["error"]["message"].as_str().is_some_and(|text| text.ends_with('.')));
        }
        assert!(parse(Completions, "{\"model\":\"m\",\"prompt\":\"x\"}").is_ok());
        assert!(parse(Embeddings, "{\"model\":\"m\",\"input\":[\"x\"]}").is_ok());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_drained() {
        let none = HeaderMap::new();
        let exact = read(&none, Body::from(vec![b' '; MAX_BODY])).await.expect("at the limit");
        assert_eq!(exact.len(), MAX_BODY);
        let error = read(&none, Body::from(vec![b' '; MAX_BODY + 1])).await.expect_err("over it");
        assert_eq!(error, ApiError::too_large());
        let mut declared = HeaderMap::new();
        declared.insert(header::CONTENT_LENGTH, (MAX_BODY + 1).into());
        assert_eq!(read(&declared, Body::empty()).await, Err(ApiError::too_large()));
    }
}
