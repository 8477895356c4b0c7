//! Answers as OpenAI's response objects, or the events that build one. No IO.

use serde_json::{Value, json};

use super::super::ApiError;
use super::super::edge::{Teller, event};
use super::super::reply::{Calls, Finish, Piece, Usage};
use super::ask::ResponsesAsk;
use crate::text::{now_ms, random_id};

/// The item that is being told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    Thinking(String),
    Text(String),
    /// A tool call, by its place among all.
    Call(usize),
}

/// Tells one answer.
pub(super) struct Telling {
    /// The response without output.
    frame: Value,
    /// Complete items.
    output: Vec<Value>,
    open: Option<Open>,
    /// Id of the open item.
    item: String,
    logprobs: Vec<Value>,
    calls: Calls,
    finish: Option<Finish>,
    usage: Option<Usage>,
    sequence: u64,
}

impl Telling {
    /// An answer to this request.
    pub(super) fn new(asked: &ResponsesAsk) -> Self {
        let text = asked.text.clone().map_or_else(|| json!({ "format": { "type": "text" } }), Value::Object);
        let reasoning =
            asked.reasoning.clone().map_or_else(|| json!({ "effort": null, "summary": null }), Value::Object);
        let frame = json!({
            "id": format!("resp_{}", random_id()), "object": "response", "created_at": now_ms() / 1000,
            "status": "in_progress", "background": false, "error": null, "incomplete_details": null,
            "instructions": asked.instructions, "max_output_tokens": asked.max_output_tokens, "model": asked.model,
            "output": [], "parallel_tool_calls": asked.parallel_tool_calls.unwrap_or(true),
            "previous_response_id": null, "reasoning": reasoning, "store": false, "temperature": asked.temperature,
            "text": text, "tool_choice": asked.tool_choice.clone().unwrap_or_else(|| "auto".into()),
            "tools": asked.tools.clone().unwrap_or_default(), "top_p": asked.top_p, "truncation": "disabled",
            "usage": null, "user": asked.user, "metadata": asked.metadata.clone().unwrap_or_else(|| json!({})),
        });
        Self {
            frame,
            output: Vec::new(),
            open: None,
            item: String::new(),
            logprobs: Vec::new(),
            calls: Calls::default(),
            finish: None,
            usage: None,
            sequence: 0,
        }
    }

    /// The whole answer as one response.
    pub(super) fn whole(mut self, piece: Piece) -> Result<Value, ApiError> {
        // The events of it are told to nobody.
        self.piece(piece)?;
        self.close(&mut String::new());
        Ok(self.closed())
    }

    fn event(&mut self, kind: &str, mut data: Value, text: &mut String) {
        data["type"] = kind.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        text.push_str(&event(kind, &data));
    }

    /// An event about the open item.
    fn about_item(&mut self, kind: &str, mut data: Value, text: &mut String) {
        data["item_id"] = self.item.clone().into();
        data["output_index"] = self.output.len().into();
        self.event(kind, data, text);
    }

    /// Ends the open item and begins another.
    fn turn_to(&mut self, open: Open, text: &mut String) {
        self.close(text);
        let kind = match &open {
            Open::Thinking(_) => "rs",
            Open::Text(_) => "msg",
            Open::Call(_) => "fc",
        };
        self.item = format!("{kind}_{}", random_id());
        self.open = Some(open.clone());
        let item = self.described(&open, "in_progress");
        let at = self.output.len();
        self.event("response.output_item.added", json!({ "output_index": at, "item": item }), text);
        if let Some(part) = part(&open, &[]) {
            self.about_item("response.content_part.added", json!({ "content_index": 0, "part": part }), text);
        }
    }

    /// An item as clients see it. One that is being told has no content yet.
    fn described(&self, open: &Open, status: &str) -> Value {
        let content: Vec<Value> =
            if status == "in_progress" { Vec::new() } else { part(open, &self.logprobs).into_iter().collect() };
        match open {
            Open::Thinking(_) => {
                json!({ "id": self.item, "type": "reasoning", "summary": [], "content": content, "status": status })
            }
            Open::Text(_) => {
                json!({ "id": self.item, "type": "message", "role": "assistant", "content": content, "status": status })
            }
            Open::Call(at) => {
                let call = self.calls.all().get(*at);
                let field =
                    |read: fn(&super::super::reply::Call) -> &String| call.map(read).cloned().unwrap_or_default();
                let arguments = if status == "in_progress" { String::new() } else { field(|call| &call.arguments) };
                json!({
                    "id": self.item, "type": "function_call", "call_id": field(|call| &call.id),
                    "name": field(|call| &call.name), "arguments": arguments, "status": status,
                })
            }
        }
    }

    fn close(&mut self, text: &mut String) {
        let Some(open) = self.open.take() else { return };
        let status = if self.finish == Some(Finish::Length) { "incomplete" } else { "completed" };
        let item = self.described(&open, status);
        let done = part(&open, &self.logprobs);
        match &open {
            Open::Thinking(said) => {
                let data = json!({ "content_index": 0, "text": said });
                self.about_item("response.reasoning_text.done", data, text);
            }
            Open::Text(said) => {
                let data = json!({ "content_index": 0, "text": said, "logprobs": self.logprobs });
                self.about_item("response.output_text.done", data, text);
            }
            Open::Call(_) => {
                let data = json!({ "arguments": item["arguments"], "name": item["name"] });
                self.about_item("response.function_call_arguments.done", data, text);
            }
        }
        if let Some(part) = done {
            self.about_item("response.content_part.done", json!({ "content_index": 0, "part": part }), text);
        }
        let at = self.output.len();
        self.event("response.output_item.done", json!({ "output_index": at, "item": item }), text);
        self.output.push(item);
        self.logprobs.clear();
    }

    /// The response as it is at the end.
    fn closed(&self) -> Value {
        let mut response = self.frame.clone();
        let (status, details) = match self.finish {
            Some(Finish::Length) => ("incomplete", json!({ "reason": "max_output_tokens" })),
            Some(Finish::Filter) => ("incomplete", json!({ "reason": "content_filter" })),
            _ => ("completed", Value::Null),
        };
        response["status"] = status.into();
        response["incomplete_details"] = details;
        response["output"] = self.output.clone().into();
        if let Some(usage) = self.usage {
            response["usage"] = json!({
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": { "cached_tokens": usage.cached() },
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": { "reasoning_tokens": usage.thinking() },
                "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
            });
        }
        response
    }

    fn thinks(&mut self, said: &str, text: &mut String) {
        if !matches!(self.open, Some(Open::Thinking(_))) {
            self.turn_to(Open::Thinking(String::new()), text);
        }
        if let Some(Open::Thinking(all)) = &mut self.open {
            all.push_str(said);
        }
        self.about_item("response.reasoning_text.delta", json!({ "content_index": 0, "delta": said }), text);
    }

    fn says(&mut self, said: &str, logprobs: &[Value], text: &mut String) {
        if !matches!(self.open, Some(Open::Text(_))) {
            self.turn_to(Open::Text(String::new()), text);
        }
        if let Some(Open::Text(all)) = &mut self.open {
            all.push_str(said);
        }
        self.logprobs.extend_from_slice(logprobs);
        let data = json!({ "content_index": 0, "delta": said, "logprobs": logprobs });
        self.about_item("response.output_text.delta", data, text);
    }
}

/// The one content part of an item that has any.
fn part(open: &Open, logprobs: &[Value]) -> Option<Value> {
    match open {
        Open::Thinking(text) => Some(json!({ "type": "reasoning_text", "text": text })),
        Open::Text(text) => {
            Some(json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": logprobs }))
        }
        Open::Call(_) => None,
    }
}

impl Teller for Telling {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn begin(&mut self) -> String {
        let mut text = String::new();
        for kind in ["response.created", "response.in_progress"] {
            let frame = self.frame.clone();
            self.event(kind, json!({ "response": frame }), &mut text);
        }
        text
    }

    fn piece(&mut self, piece: Piece) -> Result<String, ApiError> {
        let mut text = String::new();
        self.finish = piece.finish.or(self.finish);
        self.usage = piece.usage.or(self.usage);
        if !piece.thinking.is_empty() {
            self.thinks(&piece.thinking, &mut text);
        }
        if !piece.text.is_empty() {
            let logprobs = piece.logprobs.as_ref().and_then(Value::as_array);
            self.says(&piece.text, logprobs.map(Vec::as_slice).unwrap_or_default(), &mut text);
        }
        for part in &piece.calls {
            let grown = self.calls.take(part)?;
            let open = Open::Call(grown.at);
            if self.open.as_ref() != Some(&open) {
                if !grown.new {
                    return Err(ApiError::bad_answer("it goes back to a tool call that had ended"));
                }
                self.turn_to(open, &mut text);
            }
            if !part.arguments.is_empty() {
                let data = json!({ "delta": part.arguments });
                self.about_item("response.function_call_arguments.delta", data, &mut text);
            }
        }
        Ok(text)
    }

    fn end(&mut self) -> Result<String, ApiError> {
        let mut text = String::new();
        self.close(&mut text);
        let response = self.closed();
        let kind = if response["status"] == "completed" { "response.completed" } else { "response.incomplete" };
        self.event(kind, json!({ "response": response }), &mut text);
        Ok(text)
    }

    fn failed(&mut self, error: &ApiError) -> String {
        let mut text = String::new();
        let told = error.to_json();
        let mut response = self.closed();
        response["status"] = "failed".into();
        response["incomplete_details"] = Value::Null;
        response["error"] = json!({ "code": "server_error", "message": told["error"]["message"] });
        self.event("response.failed", json!({ "response": response }), &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize as _;

    use super::*;
    use crate::sse;

    fn asked() -> ResponsesAsk {
        ResponsesAsk::deserialize(json!({"model": "m", "input": "x", "metadata": {"k": "v"}}))
            .expect("the form is right")
    }

    fn piece(value: Value) -> Piece {
        Piece::read(value.to_string().as_bytes()).expect("a chunk")
    }

    fn delta(delta: Value) -> Piece {
        piece(json!({"choices": [{"delta": delta}]}))
    }

    fn events(text: &str) -> Vec<Value> {
        sse::data(text.as_bytes()).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect()
    }

    #[test]
    fn a_stream_builds_the_response() {
        let mut telling = Telling::new(&asked());
        let mut text = telling.begin();
        for part in [
            delta(json!({"reasoning_content": "Hm"})),
            delta(json!({"content": "So"})),
            delta(json!({"content": " be it"})),
            delta(json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"x\""}}]})),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})),
            piece(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})),
            piece(json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}})),
        ] {
            text.push_str(&telling.piece(part).expect("fine"));
        }
        text.push_str(&telling.end().expect("fine"));
        let events = events(&text);
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(
            kinds,
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.reasoning_text.delta",
                "response.reasoning_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.output_item.added",
                "response.function_call_arguments.delta",
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "response.output_item.done",
                "response.completed",
            ]
        );
        assert!(events.iter().zip(0_u64..).all(|(event, n)| event["sequence_number"] == n));
        let response = &events[20]["response"];
        assert_eq!(response["output"][1]["content"][0]["text"], "So be it");
        assert_eq!(response["output"][2]["arguments"], "{\"x\":1}");
        assert_eq!((&response["usage"]["total_tokens"], &response["store"]), (&json!(9), &json!(false)));
        for (at, event) in [(0, 2), (1, 8), (2, 15)] {
            assert_eq!(events[event]["output_index"], at);
            assert_eq!(events[event]["item"]["id"], response["output"][at]["id"]);
        }
    }

    proptest! {
        #[test]
        fn what_is_told_piece_by_piece_is_the_response(
            said in prop::collection::vec((any::<bool>(), ".{1,6}"), 0..12),
        ) {
            let mut telling = Telling::new(&asked());
            let mut text = telling.begin();
            for (thinks, word) in &said {
                let field = if *thinks { "reasoning_content" } else { "content" };
                text.push_str(&telling.piece(delta(json!({field: word}))).expect("fine"));
            }
            text.push_str(&telling.end().expect("fine"));
            let events = events(&text);
            let last = events.last().expect("the end");
            for (kind, item) in [("response.output_text.delta", "message"), ("response.reasoning_text.delta", "reasoning")] {
                let deltas: String = events.iter().filter(|event| event["type"] == kind)
                    .filter_map(|event| event["delta"].as_str()).collect();
                let items = last["response"]["output"].as_array().expect("a list").iter();
                let whole: String = items.filter(|one| one["type"] == item)
                    .filter_map(|one| one["content"][0]["text"].as_str()).collect();
                prop_assert_eq!(deltas, whole);
            }
            let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
            prop_assert_eq!(count("response.output_item.added"), count("response.output_item.done"));
        }
    }

    #[test]
    fn a_whole_answer_and_a_cut_one() {
        let told = piece(json!({
            "choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 3},
        }));
        let response = Telling::new(&asked()).whole(told).expect("fine");
        assert_eq!((&response["status"], &response["metadata"]), (&json!("incomplete"), &json!({"k": "v"})));
        assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(response["output"][0]["content"][0]["text"], "Hi");
        let mut broken = Telling::new(&asked());
        broken.piece(delta(json!({"content": "Hi"}))).expect("fine");
        let failed = events(&broken.failed(&ApiError::broke_off()));
        assert_eq!(
            (&failed[0]["type"], &failed[0]["response"]["status"]),
            (&json!("response.failed"), &json!("failed"))
        );
        assert!(failed[0]["response"]["error"]["message"].as_str().is_some_and(|text| text.ends_with('.')));
    }
}
