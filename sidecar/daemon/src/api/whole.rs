//! Answers in one piece from llama-server: it is asked for a stream, which is put together here. llama-server does not
//! notice that nobody waits any more for an answer that is no stream, and would go on to its end.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::once;
use http::StatusCode;
use myownmesh_compute::OpenAiPath;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ApiError;
use super::relay::Pieces;
use crate::sse::{self, Cutter};

/// Largest answer that is put together, in bytes.
const MAX_ANSWER: usize = 128 * 1024 * 1024;

#[derive(Deserialize)]
struct Streamed {
    #[serde(default)]
    stream: Option<bool>,
}

/// The same request as one for a stream; none where it is one, or its path has none.
pub(super) fn as_stream(path: OpenAiPath, body: &Bytes) -> Option<Bytes> {
    match path {
        OpenAiPath::ChatCompletions | OpenAiPath::Completions => {}
        OpenAiPath::Embeddings | OpenAiPath::InputTokens => return None,
    }
    let asked: Streamed = serde_json::from_slice(body).ok()?;
    if asked.stream == Some(true) {
        return None;
    }
    let mut request: Map<String, Value> = serde_json::from_slice(body).ok()?;
    request.insert("stream".to_owned(), true.into());
    request.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    Some(Bytes::from(Value::Object(request).to_string()))
}

/// A stream's pieces as one piece: the answer that would have come without a stream.
pub(super) fn together(pieces: Pieces) -> Pieces {
    once(put_together(pieces)).boxed()
}

async fn put_together(mut pieces: Pieces) -> Result<Bytes, ApiError> {
    let (mut whole, mut cutter, mut size) = (Whole::default(), Cutter::default(), 0_usize);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size = size.saturating_add(piece.len());
        if size > MAX_ANSWER {
            return Err(ApiError::bad_answer("it is larger than 128 MB"));
        }
        let events = cutter.push(piece).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
        for data in sse::data(&events) {
            if data.trim_end() == sse::DONE {
                return Ok(Bytes::from(whole.finish().to_string()));
            }
            whole.add(&data)?;
        }
    }
    Err(ApiError::broke_off())
}

/// An answer as far as it has come. Fields that this program knows nothing of are kept as they come.
#[derive(Default)]
struct Whole {
    head: Map<String, Value>,
    choices: Vec<Map<String, Value>>,
}

impl Whole {
    fn add(&mut self, data: &str) -> Result<(), ApiError> {
        let chunk: Value = serde_json::from_str(data).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
        let Value::Object(chunk) = chunk else { return Err(ApiError::bad_answer("an event is no object")) };
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(ApiError::from_answer(StatusCode::BAD_GATEWAY, data.as_bytes()));
        }
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("choices", Value::Array(choices)) => choices.into_iter().for_each(|choice| self.choice(choice)),
                ("object", _) | (_, Value::Null) => {}
                (_, value) => {
                    self.head.insert(name, value);
                }
            }
        }
        Ok(())
    }

    fn choice(&mut self, choice: Value) {
        let Value::Object(choice) = choice else { return };
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
        let known = self.choices.iter().position(|known| known["index"] == index);
        let at = known.unwrap_or_else(|| {
            self.choices
                .push(Map::from_iter([("index".to_owned(), index.into()), ("finish_reason".to_owned(), Value::Null)]));
            self.choices.len() - 1
        });
        let whole = &mut self.choices[at];
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("index", _) | (_, Value::Null) => {}
                ("delta", value) => append(whole.entry("message").or_insert_with(|| json!({})), value),
                ("finish_reason", value) => {
                    whole.insert(name, value);
                }
                (_, value) => append(whole.entry(name).or_insert(Value::Null), value),
            }
        }
    }

    fn finish(mut self) -> Value {
        self.choices.sort_by_key(|choice| choice["index"].as_u64());
        let mut object = "text_completion";
        for message in self.choices.iter_mut().filter_map(|choice| choice.get_mut("message")?.as_object_mut()) {
            object = "chat.completion";
            let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
            let calls_tools = calls.is_some();
            // Places order the parts of a stream; a whole answer has none.
            calls.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|call| {
                call.remove("index");
            });
            message.entry("role").or_insert_with(|| "assistant".into());
            let silent = message.get("content").is_none_or(|content| content == "");
            if silent {
                message.insert("content".to_owned(), if calls_tools { Value::Null } else { "".into() });
            }
        }
        self.head.insert("object".to_owned(), object.into());
        self.head.insert("choices".to_owned(), self.choices.into_iter().map(Value::Object).collect());
        Value::Object(self.head)
    }
}

/// Adds what comes next: texts grow, objects are filled, lists go on. A list whose items carry an `index` is filled by
/// it; what says who speaks, which call or which type it is comes whole.
fn append(whole: &mut Value, next: Value) {
    match (whole, next) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Object(whole), Value::Object(next)) => {
            for (name, value) in next {
                match name.as_str() {
                    "role" | "id" | "type" | "index" if !value.is_null() => {
                        whole.insert(name, value);
                    }
                    _ => append(whole.entry(name).or_insert(Value::Null), value),
                }
            }
        }
        (Value::Array(whole), Value::Array(next)) => {
            for item in next {
                let index = item.get("index").cloned();
                match whole.iter_mut().find(|known| index.is_some() && known.get("index") == index.as_ref()) {
                    Some(known) => append(known, item),
                    None => whole.push(item),
                }
            }
        }
        (whole, next) => *whole = next,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn whole(chunks: Vec<Value>) -> Result<Value, ApiError> {
        let events: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from(format!("data: {chunk}\n\n")))).collect();
        let end = stream::iter([Ok(Bytes::from_static(b"data: [DONE]\n\n"))]);
        let mut pieces = together(stream::iter(events).chain(end).boxed());
        let only = pieces.next().await.expect("one piece")?;
        assert!(pieces.next().await.is_none());
        Ok(serde_json::from_slice(&only).expect("JSON"))
    }

    #[test]
    fn only_what_is_no_stream_becomes_one() {
        let asked = |body: Value| as_stream(OpenAiPath::ChatCompletions, &Bytes::from(body.to_string()));
        let made = asked(json!({"model": "m", "messages": [], "seed": 3})).expect("no stream");
        assert_eq!(
            serde_json::from_slice::<Value>(&made).expect("JSON"),
            json!({"model": "m", "messages": [], "seed": 3, "stream": true, "stream_options": {"include_usage": true}})
        );
        assert!(asked(json!({"stream": false})).is_some() && asked(json!({"stream": null})).is_some());
        assert_eq!(asked(json!({"stream": true})), None);
        assert_eq!(as_stream(OpenAiPath::Embeddings, &Bytes::from_static(b"{}")), None);
        assert_eq!(as_stream(OpenAiPath::ChatCompletions, &Bytes::from_static(b"nonsense")), None);
    }

    #[tokio::test]
    async fn a_chat_is_put_together() {
        let head =
            |choices: Value| json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "choices": choices});
        let told = whole(vec![
            head(json!([{"index": 0, "delta": {"role": "assistant", "content": null}, "finish_reason": null}])),
            head(
                json!([{"index": 0, "delta": {"reasoning_content": "Hm"}, "logprobs": {"content": [{"token": "H"}]}}]),
            ),
            head(json!([{"index": 0, "delta": {"content": "He"}, "logprobs": {"content": [{"token": "e"}]}}])),
            head(json!([{"index": 0, "delta": {"content": "llo"}}])),
            head(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
            json!({"id": "x", "choices": [], "usage": {"completion_tokens": 2}, "timings": {"prompt_ms": 1.5}}),
        ]);
        assert_eq!(
            told.await.expect("whole"),
            json!({
                "id": "x", "object": "chat.completion", "created": 1,
                "choices": [{
                    "index": 0,
                    "message": {"role": "assistant", "content": "Hello", "reasoning_content": "Hm"},
                    "logprobs": {"content": [{"token": "H"}, {"token": "e"}]},
                    "finish_reason": "stop",
                }],
                "usage": {"completion_tokens": 2}, "timings": {"prompt_ms": 1.5},
            })
        );
    }

    #[tokio::test]
    async fn tool_calls_and_several_choices_find_their_places() {
        let call = |index: u32, delta: Value| json!({"choices": [{"index": index, "delta": {"tool_calls": [delta]}}]});
        let told = whole(vec![
            call(1, json!({"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": ""}})),
            call(1, json!({"index": 1, "id": "b", "type": "function", "function": {"name": "go", "arguments": "{}"}})),
            call(1, json!({"index": 0, "function": {"arguments": "{\"at\":"}})),
            call(1, json!({"index": 0, "function": {"arguments": "1}"}})),
            json!({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}),
            json!({"choices": [{"index": 1, "delta": {}, "finish_reason": "tool_calls"}]}),
        ]);
        let told = told.await.expect("whole");
        assert_eq!(told["choices"][0]["message"], json!({"role": "assistant", "content": "Hi"}));
        assert_eq!(
            told["choices"][1]["message"],
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                {"id": "b", "type": "function", "function": {"name": "go", "arguments": "{}"}},
            ]})
        );
        assert_eq!(told["choices"][1]["finish_reason"], "tool_calls");
    }

    #[tokio::test]
    async fn plain_text_is_put_together() {
        let told = whole(vec![
            json!({"object": "text_completion", "choices": [{"index": 0, "text": "a", "finish_reason": null}]}),
            json!({"object": "text_completion", "choices": [{"index": 0, "text": "b", "finish_reason": "length"}]}),
        ]);
        let choices = json!([{"index": 0, "text": "ab", "finish_reason": "length"}]);
        assert_eq!(told.await.expect("whole"), json!({"object": "text_completion", "choices": choices}));
    }

    #[tokio::test]
    async fn what_breaks_is_an_error() {
        let error = whole(vec![json!({"error": {"message": "It died.", "code": "engine_failed"}})]).await;
        assert!(error.expect_err("an error").to_string().contains("It died."));
        let cut = together(stream::iter([Ok(Bytes::from_static(b"data: {\"choices\":[]}\n\n"))]).boxed());
        let ended = cut.collect::<Vec<_>>().await;
        assert_eq!(ended, [Err(ApiError::broke_off())]);
    }
}
