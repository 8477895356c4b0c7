//! An engine's chat answer, as much of it as other APIs tell: read once into plain parts, from a chunk of a stream and
//! from a whole answer alike.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ApiError;

/// Most tool calls that one answer may have.
const MAX_CALLS: usize = 128;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The model had said all, or reached a stop sequence.
    Stop,
    /// It reached the limit of tokens.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// A filter of the engine cut it.
    Filter,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    /// Tokens of the question.
    #[serde(default)]
    pub(super) prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default)]
    pub(super) completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<AnswerDetails>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct AnswerDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Tokens of the question that the engine still knew.
    pub(super) fn cached(&self) -> u64 {
        self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or_default()
    }

    /// Tokens of the answer that were thinking.
    pub(super) fn thinking(&self) -> u64 {
        self.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or_default()
    }
}

/// Times as llama-server measures them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Timings {
    /// Milliseconds for the question.
    pub(super) prompt_ms: f64,
    /// Milliseconds for the answer.
    pub(super) predicted_ms: f64,
}

/// A part of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallPiece {
    /// Which call it belongs to.
    index: u64,
    id: Option<String>,
    name: Option<String>,
    /// More of its arguments.
    pub(super) arguments: String,
}

/// A chunk of an answer, or all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    /// What the model says.
    pub(super) text: String,
    /// What it thinks.
    pub(super) thinking: String,
    /// Tools it calls.
    pub(super) calls: Vec<CallPiece>,
    /// Why it ended.
    pub(super) finish: Option<Finish>,
    /// What it cost.
    pub(super) usage: Option<Usage>,
    /// How long it took.
    pub(super) timings: Option<Timings>,
    /// How likely each token was, in OpenAI's form.
    pub(super) logprobs: Option<Value>,
}

#[derive(Deserialize)]
struct Raw {
    choices: Option<Vec<RawChoice>>,
    usage: Option<Usage>,
    timings: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct RawChoice {
    delta: Option<RawMessage>,
    message: Option<RawMessage>,
    /// Where plain text was asked for.
    text: Option<String>,
    finish_reason: Option<String>,
    logprobs: Option<RawLogprobs>,
}

#[derive(Default, Deserialize)]
struct RawMessage {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<RawCall>>,
}

#[derive(Deserialize)]
struct RawCall {
    index: Option<u64>,
    id: Option<String>,
    function: Option<RawFunction>,
}

#[derive(Deserialize)]
struct RawFunction {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct RawLogprobs {
    content: Option<Value>,
}

impl Piece {
    /// Reads a chunk or a whole answer. An error in its place is that error.
    pub(super) fn read(json: &[u8]) -> Result<Self, ApiError> {
        let raw: Raw = serde_json::from_slice(json).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
        if raw.error.is_some() {
            return Err(ApiError::from_answer(StatusCode::BAD_GATEWAY, json));
        }
        let timings = raw.timings.and_then(|value| Timings::deserialize(value).ok());
        let mut piece = Self { usage: raw.usage, timings, ..Self::default() };
        let Some(choice) = raw.choices.unwrap_or_default().into_iter().next() else { return Ok(piece) };
        let message = choice.delta.or(choice.message).unwrap_or_default();
        piece.text = message.content.or(choice.text).unwrap_or_default() + &message.refusal.unwrap_or_default();
        piece.thinking = message.reasoning_content.or(message.reasoning).unwrap_or_default();
        piece.logprobs = choice.logprobs.and_then(|logprobs| logprobs.content).filter(Value::is_array);
        piece.finish = choice.finish_reason.map(|reason| match reason.as_str() {
            "length" => Finish::Length,
            "tool_calls" | "function_call" => Finish::ToolCalls,
            "content_filter" => Finish::Filter,
            _ => Finish::Stop,
        });
        let calls = message.tool_calls.unwrap_or_default();
        piece.calls = (0..).zip(calls).map(|(place, call)| CallPiece::of(place, call)).collect();
        Ok(piece)
    }
}

impl Piece {
    /// Adds what comes next.
    pub(super) fn add(&mut self, next: Self) {
        self.text.push_str(&next.text);
        self.thinking.push_str(&next.thinking);
        self.calls.extend(next.calls);
        self.finish = next.finish.or(self.finish);
        self.usage = next.usage.or(self.usage);
        self.timings = next.timings.or(self.timings);
        match (&mut self.logprobs, next.logprobs) {
            (Some(Value::Array(all)), Some(Value::Array(more))) => all.extend(more),
            (all @ None, more) => *all = more,
            _ => {}
        }
    }
}

impl CallPiece {
    fn of(place: u64, raw: RawCall) -> Self {
        let (name, arguments) = raw.function.map_or((None, None), |function| (function.name, function.arguments));
        let arguments = match arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        Self { index: raw.index.unwrap_or(place), id: raw.id, name, arguments }
    }
}

/// A tool call as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    index: u64,
    /// Its id.
    pub(super) id: String,
    /// The tool.
    pub(super) name: String,
    /// Its arguments, JSON once it is complete.
    pub(super) arguments: String,
}

impl Call {
    /// The arguments as an object.
    pub(super) fn input(&self) -> Result<Value, ApiError> {
        if self.arguments.trim().is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        let parsed: Option<Value> = serde_json::from_str(&self.arguments).ok();
        parsed.filter(Value::is_object).ok_or_else(|| {
            let name = crate::text::quotable(&self.name);
            ApiError::bad_answer(&format!("the arguments of its call of {name} are no JSON object"))
        })
    }
}

/// The tool calls of one answer, growing.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// What a part of a call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grown {
    /// Place of the call among all.
    pub(super) at: usize,
    /// Whether it is a new one.
    pub(super) new: bool,
}

impl Calls {
    /// Takes a part in.
    pub(super) fn take(&mut self, piece: &CallPiece) -> Result<Grown, ApiError> {
        if let Some(at) = self.0.iter().position(|call| call.index == piece.index) {
            let call = &mut self.0[at];
            call.arguments.push_str(&piece.arguments);
            return Ok(Grown { at, new: false });
        }
        if self.0.len() == MAX_CALLS {
            return Err(ApiError::bad_answer(&format!("it calls more than {MAX_CALLS} tools at once")));
        }
        let id = piece.id.clone().filter(|id| !id.is_empty());
        self.0.push(Call {
            index: piece.index,
            id: id.unwrap_or_else(|| format!("call_{}", crate::text::random_id())),
            name: piece.name.clone().unwrap_or_default(),
            arguments: piece.arguments.clone(),
        });
        Ok(Grown { at: self.0.len() - 1, new: true })
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Call] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Piece {
        Piece::read(value.to_string().as_bytes()).expect("an answer")
    }

    #[test]
    fn a_chunk_and_a_whole_answer_read_alike() {
        let said = json!({"content": "Hi", "reasoning_content": "Hm", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]});
        let chunk = read(&json!({"choices": [{"delta": said, "finish_reason": "tool_calls"}]}));
        let whole = read(&json!({"choices": [{"message": said, "finish_reason": "tool_calls"}]}));
        assert_eq!(chunk, whole);
        assert_eq!((chunk.text.as_str(), chunk.thinking.as_str()), ("Hi", "Hm"));
        assert_eq!(chunk.finish, Some(Finish::ToolCalls));
        let mut calls = Calls::default();
        assert_eq!(calls.take(&chunk.calls[0]).expect("taken"), Grown { at: 0, new: true });
        assert_eq!(calls.all()[0].input().expect("json"), json!({"x": 1}));
    }

    #[test]
    fn pieces_add_up() {
        let mut all = read(&json!({"choices": [{"delta": {"content": "Hi", "tool_calls": [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}}]},
            "logprobs": {"content": [{"token": "Hi"}]}}]}));
        all.add(read(&json!({"choices": [{"delta": {"content": "!", "reasoning": "Hm", "tool_calls": [
            {"index": 0, "function": {"arguments": ":1}"}}]}, "logprobs": {"content": [{"token": "!"}]}}]})));
        all.add(read(&json!({"choices": [{"delta": {}, "finish_reason": "length"}]})));
        all.add(read(&json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})));
        assert_eq!((all.text.as_str(), all.thinking.as_str(), all.finish), ("Hi!", "Hm", Some(Finish::Length)));
        assert_eq!(all.usage.map(|usage| usage.completion_tokens), Some(2));
        assert_eq!(all.logprobs, Some(json!([{"token": "Hi"}, {"token": "!"}])));
        let mut calls = Calls::default();
        all.calls.iter().for_each(|call| {
            calls.take(call).expect("taken");
        });
        assert_eq!(calls.all()[0].input().expect("json"), json!({"x": 1}));
    }

    #[test]
    fn numbers_are_read_where_an_engine_tells_them() {
        let last = read(&json!({
            "choices": [], "timings": {"prompt_ms": 2.5, "predicted_ms": 7, "cache_n": 1},
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2},
                      "completion_tokens_details": null},
        }));
        assert_eq!(last.timings, Some(Timings { prompt_ms: 2.5, predicted_ms: 7.0 }));
        let usage = last.usage.expect("told");
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.cached(), usage.thinking()), (3, 4, 2, 0));
        assert_eq!(read(&json!({"choices": [], "timings": "soon"})).timings, None);
    }

    #[test]
    fn errors_and_nonsense_are_errors() {
        let told = Piece::read(br#"{"error":{"message":"It died.","code":"engine_failed"}}"#).expect_err("an error");
        assert_eq!(told.to_string(), "It died.");
        for bad in ["", "[]", "nonsense", "{\"choices\":3}", "{\"choices\":[{\"delta\":{\"content\":7}}]}"] {
            assert_eq!(Piece::read(bad.as_bytes()).expect_err(bad).status().as_u16(), 502, "{bad}");
        }
    }

    #[test]
    fn endless_calls_are_refused() {
        let mut calls = Calls::default();
        let piece = |index| CallPiece { index, ..CallPiece::default() };
        for index in 0..128 {
            calls.take(&piece(u64::MAX - index)).expect("one of few");
        }
        assert!(calls.take(&piece(7)).is_err());
        let broken = Call { index: 0, id: String::new(), name: "f".to_owned(), arguments: "{\"x\":".to_owned() };
        assert!(broken.input().is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Piece::read(&bytes);
        }
    }
}
