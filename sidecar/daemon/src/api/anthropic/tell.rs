//! Answers in Anthropic's words: a message of blocks, or the events that build one. No IO.

use serde_json::{Value, json};

use super::super::ApiError;
use super::super::edge::{Teller, event};
use super::super::reply::{Calls, Finish, Piece, Usage};
use super::super::shape::Shape;
use crate::text::random_id;

/// The block that is being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    /// A tool call, by its place among all.
    Call(usize),
}

/// Tells one answer.
pub(super) struct Telling {
    id: String,
    model: String,
    open: Option<Open>,
    /// Blocks begun so far.
    blocks: u64,
    calls: Calls,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// Events with text, where the engine does not count.
    pieces: u64,
}

impl Telling {
    /// An answer of `model`.
    pub(super) fn new(model: String) -> Self {
        Self {
            id: format!("msg_{}", random_id()),
            model,
            open: None,
            blocks: 0,
            calls: Calls::default(),
            finish: None,
            usage: None,
            pieces: 0,
        }
    }

    /// The whole answer as one message.
    pub(super) fn whole(mut self, piece: &Piece) -> Result<Value, ApiError> {
        let mut content = Vec::new();
        if !piece.thinking.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": piece.thinking, "signature": "" }));
        }
        if !piece.text.is_empty() {
            content.push(json!({ "type": "text", "text": piece.text }));
        }
        for call in &piece.calls {
            self.calls.take(call)?;
        }
        for call in self.calls.all() {
            content.push(json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.input()? }));
        }
        self.finish = piece.finish;
        self.usage = piece.usage;
        let mut message = self.message();
        message["content"] = content.into();
        message["stop_reason"] = self.stop_reason().into();
        message["usage"] = self.counted();
        Ok(message)
    }

    fn message(&self) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 0, "output_tokens": 0 },
        })
    }

    fn stop_reason(&self) -> &'static str {
        match self.finish {
            Some(Finish::Length) => "max_tokens",
            Some(Finish::Filter) => "refusal",
            _ if !self.calls.all().is_empty() => "tool_use",
            // Engines do not tell whether it was a stop sequence.
            _ => "end_turn",
        }
    }

    fn counted(&self) -> Value {
        let usage = self.usage.unwrap_or_default();
        let output = if self.usage.is_some() { usage.completion_tokens } else { self.pieces };
        // Anthropic counts what came from a cache by itself.
        let cached = usage.cached().min(usage.prompt_tokens);
        json!({
            "input_tokens": usage.prompt_tokens - cached, "output_tokens": output,
            "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0,
        })
    }

    /// Ends the open block if it is another one, and begins `wanted`.
    fn turn_to(&mut self, wanted: Open, begin: &Value, text: &mut String) {
        if self.open == Some(wanted) {
            return;
        }
        self.close(text);
        let start = json!({ "type": "content_block_start", "index": self.blocks, "content_block": begin });
        text.push_str(&event("content_block_start", &start));
        self.open = Some(wanted);
        self.blocks += 1;
    }

    fn close(&mut self, text: &mut String) {
        if self.open.take().is_some() {
            let stop = json!({ "type": "content_block_stop", "index": self.blocks - 1 });
            text.push_str(&event("content_block_stop", &stop));
        }
    }

    fn delta(&self, delta: &Value, text: &mut String) {
        let data = json!({ "type": "content_block_delta", "index": self.blocks.saturating_sub(1), "delta": delta });
        text.push_str(&event("content_block_delta", &data));
    }
}

impl Teller for Telling {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn begin(&mut self) -> String {
        let start = json!({ "type": "message_start", "message": self.message() });
        event("message_start", &start) + &event("ping", &json!({ "type": "ping" }))
    }

    fn piece(&mut self, piece: Piece) -> Result<String, ApiError> {
        let mut text = String::new();
        self.finish = piece.finish.or(self.finish);
        self.usage = piece.usage.or(self.usage);
        if !piece.thinking.is_empty() {
            let begin = json!({ "type": "thinking", "thinking": "", "signature": "" });
            self.turn_to(Open::Thinking, &begin, &mut text);
            self.delta(&json!({ "type": "thinking_delta", "thinking": piece.thinking }), &mut text);
            self.pieces += 1;
        }
        if !piece.text.is_empty() {
            self.turn_to(Open::Text, &json!({ "type": "text", "text": "" }), &mut text);
            self.delta(&json!({ "type": "text_delta", "text": piece.text }), &mut text);
            self.pieces += 1;
        }
        for part in &piece.calls {
            let grown = self.calls.take(part)?;
            let open = Open::Call(grown.at);
            if !grown.new && self.open != Some(open) {
                return Err(ApiError::bad_answer("it goes back to a tool call that had ended"));
            }
            let call = &self.calls.all()[grown.at];
            let begin = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
            self.turn_to(open, &begin, &mut text);
            if !part.arguments.is_empty() {
                self.delta(&json!({ "type": "input_json_delta", "partial_json": part.arguments }), &mut text);
            }
        }
        Ok(text)
    }

    fn end(&mut self) -> Result<String, ApiError> {
        let mut text = String::new();
        self.close(&mut text);
        let delta = json!({
            "type": "message_delta", "delta": { "stop_reason": self.stop_reason(), "stop_sequence": null },
            "usage": self.counted(),
        });
        text.push_str(&event("message_delta", &delta));
        text.push_str(&event("message_stop", &json!({ "type": "message_stop" })));
        Ok(text)
    }

    fn failed(&mut self, error: &ApiError) -> String {
        event("error", &Shape::Anthropic.json(error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sse;

    fn piece(value: Value) -> Piece {
        Piece::read(value.to_string().as_bytes()).expect("a chunk")
    }

    fn delta(delta: Value) -> Piece {
        piece(json!({"choices": [{"delta": delta}]}))
    }

    /// The types of the events, deltas by their own.
    fn kinds(text: &str) -> Vec<String> {
        let data = sse::data(text.as_bytes());
        let values = data.iter().map(|data| serde_json::from_str::<Value>(data).expect("JSON"));
        values
            .map(|value| value["delta"]["type"].as_str().or(value["type"].as_str()).unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn a_stream_is_told_block_by_block() {
        let mut telling = Telling::new("m".to_owned());
        let mut text = telling.begin();
        for part in [
            delta(json!({"role": "assistant", "content": null})),
            delta(json!({"reasoning_content": "Hm"})),
            delta(json!({"content": "So"})),
            delta(json!({"content": " be it"})),
            delta(json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]})),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\":1}"}}]})),
            piece(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})),
            piece(json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4,
                         "prompt_tokens_details": {"cached_tokens": 3}}})),
        ] {
            text.push_str(&telling.piece(part).expect("fine"));
        }
        text.push_str(&telling.end().expect("fine"));
        assert_eq!(
            kinds(&text),
            [
                "message_start",
                "ping",
                "content_block_start",
                "thinking_delta",
                "content_block_stop",
                "content_block_start",
                "text_delta",
                "text_delta",
                "content_block_stop",
                "content_block_start",
                "input_json_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ]
        );
        for line in text.lines().filter(|line| line.starts_with("event: ")) {
            assert!(text.contains(&format!("\"type\":\"{}\"", &line[7..])));
        }
        let last = sse::data(text.as_bytes()).into_iter().rev().nth(1).expect("the delta");
        let last: Value = serde_json::from_str(&last).expect("JSON");
        assert_eq!(last["delta"]["stop_reason"], "tool_use");
        assert_eq!((&last["usage"]["input_tokens"], &last["usage"]["output_tokens"]), (&json!(2), &json!(4)));
        assert_eq!(kinds(&telling.failed(&ApiError::broke_off())), ["error"]);
    }

    #[test]
    fn a_whole_answer_is_one_message() {
        let told = piece(json!({
            "choices": [{"message": {"content": "Hi", "tool_calls": [
                {"id": "t", "function": {"name": "f", "arguments": "{\"x\":1}"}}]}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 3},
        }));
        let message = Telling::new("m".to_owned()).whole(&told).expect("fine");
        let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}});
        assert_eq!(message["content"], json!([{"type": "text", "text": "Hi"}, call]));
        assert_eq!((&message["stop_reason"], &message["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(3)));
        assert_eq!((&message["type"], &message["model"]), (&json!("message"), &json!("m")));
    }

    /// Any order of words, thoughts and parts of calls.
    fn deltas() -> impl Strategy<Value = Vec<Value>> {
        let delta = prop_oneof![
            ".{0,6}".prop_map(|text| json!({"content": text})),
            ".{0,6}".prop_map(|text| json!({"reasoning_content": text})),
            (0_u64..3, ".{0,6}").prop_map(|(index, text)| {
                json!({"tool_calls": [{"index": index, "id": "t", "function": {"name": "f", "arguments": text}}]})
            }),
        ];
        prop::collection::vec(delta, 0..12)
    }

    proptest! {
        #[test]
        fn every_block_that_begins_ends_before_the_next(deltas in deltas()) {
            let mut telling = Telling::new("m".to_owned());
            let mut text = telling.begin();
            let told = deltas.into_iter().try_for_each(|one| {
                text.push_str(&telling.piece(delta(one))?);
                Ok::<_, ApiError>(())
            });
            match told.and_then(|()| telling.end()) {
                Ok(end) => text.push_str(&end),
                Err(error) => text.push_str(&telling.failed(&error)),
            }
            let (mut open, mut next) = (None, 0);
            let data = sse::data(text.as_bytes());
            for event in data.iter().map(|data| serde_json::from_str::<Value>(data).expect("JSON")) {
                match event["type"].as_str().unwrap_or_default() {
                    "content_block_start" => {
                        prop_assert_eq!((open, event["index"].as_u64()), (None, Some(next)));
                        open = Some(next);
                        next += 1;
                    }
                    "content_block_delta" => prop_assert_eq!(open, event["index"].as_u64()),
                    "content_block_stop" => prop_assert_eq!(open.take(), event["index"].as_u64()),
                    "message_stop" => prop_assert_eq!(open, None),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn calls_that_interleave_are_an_error() {
        let mut telling = Telling::new("m".to_owned());
        let call = |index: u64| delta(json!({"tool_calls": [{"index": index, "function": {"arguments": "{"}}]}));
        telling.piece(call(0)).expect("the first");
        telling.piece(call(1)).expect("the second");
        assert!(telling.piece(call(0)).is_err(), "its block has ended");
    }
}
