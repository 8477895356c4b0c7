//! Requests to `/v1/responses` in the words of chat completions. No IO.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::ApiError;
use super::super::edge::{Ignored, Translated, streamed};

/// Body of `/v1/responses` and of `/v1/responses/input_tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponsesAsk {
    pub(super) model: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    pub(super) instructions: Option<String>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(default)]
    pub(super) temperature: Option<f64>,
    #[serde(default)]
    pub(super) top_p: Option<f64>,
    #[serde(default)]
    top_logprobs: Option<u8>,
    #[serde(default)]
    pub(super) tools: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    pub(super) tool_choice: Option<Value>,
    #[serde(default)]
    pub(super) parallel_tool_calls: Option<bool>,
    #[serde(default)]
    pub(super) text: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) reasoning: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) metadata: Option<Value>,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    include: Option<Vec<String>>,
    #[serde(default)]
    store: Option<bool>,
    #[serde(default)]
    truncation: Option<String>,
    // Hints that change no answer here.
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    safety_identifier: Option<Value>,
    #[serde(default)]
    prompt_cache_key: Option<Value>,
    #[serde(default)]
    prompt_cache_retention: Option<Value>,
    // What needs answers that are kept, or OpenAI's own servers.
    #[serde(default)]
    previous_response_id: Option<String>,
    #[serde(default)]
    conversation: Option<Value>,
    #[serde(default)]
    background: Option<bool>,
    #[serde(default)]
    prompt: Option<Value>,
    #[serde(default)]
    max_tool_calls: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_obfuscation: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    Message { role: String, content: Content },
    FunctionCall { call_id: String, name: String, arguments: String },
    FunctionCallOutput { call_id: String, output: Content },
    Reasoning { content: Option<Vec<Value>>, summary: Option<Vec<Value>> },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    // Read in a second step: an error inside of an untagged enum tells nothing.
    Parts(Vec<Value>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    #[serde(alias = "output_text", alias = "text")]
    InputText {
        text: String,
    },
    Refusal {
        refusal: String,
    },
    InputImage {
        image_url: Option<String>,
        detail: Option<String>,
    },
}

/// A question for an engine that is to be answered.
pub(super) fn response(asked: &ResponsesAsk) -> Result<Translated, ApiError> {
    let stream = asked.stream == Some(true);
    let (mut body, mut ignored) = question(asked)?;
    match asked.max_output_tokens {
        Some(0) => {
            let why = "An answer needs at least one token: raise max_output_tokens.";
            return Err(ApiError::invalid("max_output_tokens", why));
        }
        Some(most) => {
            body.insert("max_tokens".to_owned(), most.into());
        }
        None => {}
    }
    streamed(&mut body);
    let wants_logprobs = includes(asked, &mut ignored)?;
    if wants_logprobs || asked.top_logprobs.is_some_and(|most| most > 0) {
        body.insert("logprobs".to_owned(), true.into());
        body.insert("top_logprobs".to_owned(), asked.top_logprobs.unwrap_or_default().into());
    }
    Ok(Translated { body, stream, ignored })
}

/// The question alone, whose tokens may be counted.
pub(super) fn question(asked: &ResponsesAsk) -> Result<(Map<String, Value>, Vec<Ignored>), ApiError> {
    refuse(asked)?;
    let mut said = Vec::new();
    if let Some(instructions) = asked.instructions.as_ref().filter(|text| !text.is_empty()) {
        said.push(json!({ "role": "system", "content": instructions }));
    }
    input(&asked.input, &mut said)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), asked.model.clone().into());
    body.insert("messages".to_owned(), said.into());
    let mut set = |name: &str, value: Option<Value>| value.and_then(|value| body.insert(name.to_owned(), value));
    set("temperature", asked.temperature.map(Value::from));
    set("top_p", asked.top_p.map(Value::from));
    set("parallel_tool_calls", asked.parallel_tool_calls.map(Value::from));
    set("user", asked.user.clone().map(Value::from));
    if let Some(tools) = asked.tools.as_ref().filter(|tools| !tools.is_empty()) {
        body.insert("tools".to_owned(), tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?.into());
    }
    if let Some(choice) = asked.tool_choice.as_ref().filter(|choice| !choice.is_null()) {
        body.insert("tool_choice".to_owned(), tool_choice(choice)?);
    }
    if let Some(format) = asked.text.as_ref().and_then(|text| text.get("format")) {
        response_format(format, &mut body)?;
    }
    if let Some(effort) =
        asked.reasoning.as_ref().and_then(|reasoning| reasoning.get("effort")).filter(|e| !e.is_null())
    {
        body.insert("reasoning_effort".to_owned(), effort.clone());
    }
    Ok((body, ignored(asked)))
}

fn refuse(asked: &ResponsesAsk) -> Result<(), ApiError> {
    let refused: [(bool, &'static str, &str); 5] = [
        (
            asked.previous_response_id.is_some(),
            "previous_response_id",
            "Answers are not kept here, so none can be continued by its id. Send the earlier items in input.",
        ),
        (
            asked.conversation.as_ref().is_some_and(|value| !value.is_null()),
            "conversation",
            "Conversations are not kept for this API. Send the earlier items in input.",
        ),
        (
            asked.background == Some(true),
            "background",
            "An answer is not made in the background here. Leave background out, and use stream.",
        ),
        (
            asked.prompt.as_ref().is_some_and(|value| !value.is_null()),
            "prompt",
            "Stored prompts exist on OpenAI's servers only. Send their text as instructions.",
        ),
        (
            asked.truncation.as_deref() == Some("auto"),
            "truncation",
            "A conversation that is too long is refused, never cut. Leave truncation out, and send less.",
        ),
    ];
    match refused.into_iter().find(|(refused, ..)| *refused) {
        Some((_, param, why)) => Err(ApiError::invalid(param, why)),
        None => Ok(()),
    }
}

fn ignored(asked: &ResponsesAsk) -> Vec<Ignored> {
    let given = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    let summary = asked.reasoning.as_ref().and_then(|reasoning| reasoning.get("summary"));
    let verbosity = asked.text.as_ref().and_then(|text| text.get("verbosity"));
    let obfuscated = asked.stream_options.as_ref().is_some_and(|options| options.include_obfuscation == Some(true));
    let elsewhere = "it concerns OpenAI's own servers";
    [
        (asked.store == Some(true), "store", "answers are not kept"),
        (asked.service_tier.is_some(), "service_tier", elsewhere),
        (given(&asked.safety_identifier), "safety_identifier", elsewhere),
        (given(&asked.prompt_cache_key), "prompt_cache_key", "an engine remembers what it has read by itself"),
        (given(&asked.prompt_cache_retention), "prompt_cache_retention", elsewhere),
        (asked.max_tool_calls.is_some(), "max_tool_calls", "no tool is called here"),
        (summary.is_some_and(|value| !value.is_null()), "reasoning.summary", "thinking is told as it is"),
        (verbosity.is_some_and(|value| !value.is_null()), "text.verbosity", "models here have no such setting"),
        (obfuscated, "stream_options.include_obfuscation", "nothing leaves your devices in the clear"),
    ]
    .into_iter()
    .filter(|(has, ..)| *has)
    .map(|(_, name, why)| (name, why))
    .collect()
}

/// What is to be told besides the text; true for how likely each token was.
fn includes(asked: &ResponsesAsk, ignored: &mut Vec<Ignored>) -> Result<bool, ApiError> {
    let mut logprobs = false;
    for wanted in asked.include.iter().flatten() {
        match wanted.as_str() {
            "message.output_text.logprobs" => logprobs = true,
            "reasoning.encrypted_content" => ignored.push(("include", "thinking is told as it is")),
            other => {
                let other = crate::text::quotable(other);
                let why = format!("\"{other}\" cannot be included: there is no such thing here. Leave it out.");
                return Err(ApiError::invalid("include", why));
            }
        }
    }
    Ok(logprobs)
}

fn input(input: &Value, said: &mut Vec<Value>) -> Result<(), ApiError> {
    let items = match input {
        Value::String(text) if !text.is_empty() => {
            said.push(json!({ "role": "user", "content": text }));
            return Ok(());
        }
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(ApiError::invalid("input", "The request has no input. Send some text, or a list of items.")),
    };
    let mut thinking: Option<String> = None;
    for value in items {
        match item(value)? {
            Item::Reasoning { content, summary } => {
                let texts = content.iter().chain(&summary).flatten().filter_map(|part| part["text"].as_str());
                thinking.get_or_insert_default().extend(texts);
            }
            Item::Message { role, content } => {
                let role = match role.as_str() {
                    "developer" | "system" => "system",
                    "user" | "assistant" => role.as_str(),
                    other => {
                        let other = crate::text::quotable(other);
                        let why = format!("There is no role \"{other}\". Use user, assistant, system or developer.");
                        return Err(ApiError::invalid("input", why));
                    }
                };
                let mut message = json!({ "role": role, "content": parts(content, role == "assistant")? });
                think(&mut message, thinking.take().filter(|_| role == "assistant"));
                said.push(message);
            }
            Item::FunctionCall { call_id, name, arguments } => {
                let function = json!({ "name": name, "arguments": arguments });
                let call = json!({ "id": call_id, "type": "function", "function": function });
                add_call(call, thinking.take(), said);
            }
            Item::FunctionCallOutput { call_id, output } => {
                let content = parts(output, true)?;
                said.push(json!({ "role": "tool", "tool_call_id": call_id, "content": content }));
            }
        }
    }
    Ok(())
}

/// Adds a tool call: those after a message of the assistant, or after each other, are of one message.
fn add_call(call: Value, thinking: Option<String>, said: &mut Vec<Value>) {
    let last = said.last_mut().filter(|last| last["role"] == "assistant");
    match last.map(|last| &mut last["tool_calls"]) {
        Some(Value::Array(calls)) => calls.push(call),
        Some(none) => *none = json!([call]),
        None => {
            let mut message = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
            think(&mut message, thinking);
            said.push(message);
        }
    }
}

fn think(message: &mut Value, thinking: Option<String>) {
    if let Some(thinking) = thinking.filter(|text| !text.is_empty()) {
        message["reasoning_content"] = thinking.into();
    }
}

fn item(value: &Value) -> Result<Item, ApiError> {
    let read = match value.get("type") {
        // Messages may leave their type out.
        None if value.is_object() => {
            let mut named = value.clone();
            named["type"] = "message".into();
            Item::deserialize(&named)
        }
        _ => Item::deserialize(value),
    };
    read.map_err(|error| {
        let kind = crate::text::quotable(value["type"].as_str().unwrap_or("message"));
        let why = format!("An item of type \"{kind}\" cannot be read: {error}. Correct it or leave it out.");
        ApiError::invalid("input", why)
    })
}

/// The content of a message: one text where it is text only, which every engine takes.
fn parts(content: Content, text_only: bool) -> Result<Value, ApiError> {
    let values = match content {
        Content::Text(text) => return Ok(text.into()),
        Content::Parts(values) => values,
    };
    let (mut made, mut plain) = (Vec::with_capacity(values.len()), true);
    let mut texts = String::new();
    for value in values {
        let kind = crate::text::quotable(value["type"].as_str().unwrap_or_default());
        let part = Part::deserialize(value).map_err(|error| {
            let why = format!("A part of type \"{kind}\" cannot be read: {error}. Send text, or images as image_url.");
            ApiError::invalid("input", why)
        })?;
        match part {
            Part::InputText { text } | Part::Refusal { refusal: text } => {
                texts.push_str(&text);
                made.push(json!({ "type": "text", "text": text }));
            }
            Part::InputImage { image_url: Some(url), detail } if !text_only => {
                plain = false;
                let mut image = json!({ "url": url });
                if let Some(detail) = detail {
                    image["detail"] = detail.into();
                }
                made.push(json!({ "type": "image_url", "image_url": image }));
            }
            Part::InputImage { .. } => {
                let why = "Images are sent by the user, as image_url: files are not kept here.";
                return Err(ApiError::invalid("input", why));
            }
        }
    }
    Ok(if plain { texts.into() } else { made.into() })
}

fn tool(tool: &Map<String, Value>) -> Result<Value, ApiError> {
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind != "function" {
        let kind = crate::text::quotable(kind);
        let why = format!("The tool \"{kind}\" runs on OpenAI's servers only. Send a tool of type function instead.");
        return Err(ApiError::invalid("tools", why));
    }
    let mut function = tool.clone();
    function.remove("type");
    if !function.get("name").is_some_and(Value::is_string) {
        return Err(ApiError::invalid("tools", "A tool of type function needs a name."));
    }
    function.retain(|_, value| !value.is_null());
    Ok(json!({ "type": "function", "function": function }))
}

fn tool_choice(choice: &Value) -> Result<Value, ApiError> {
    match (choice.as_str(), choice["type"].as_str(), choice["name"].as_str()) {
        (Some("auto" | "none" | "required"), ..) => Ok(choice.clone()),
        (None, Some("function"), Some(name)) => Ok(json!({ "type": "function", "function": { "name": name } })),
        _ => {
            let why = "tool_choice is auto, none, required, or names one tool of type function.";
            Err(ApiError::invalid("tool_choice", why))
        }
    }
}

fn response_format(format: &Value, body: &mut Map<String, Value>) -> Result<(), ApiError> {
    let wanted = match format["type"].as_str() {
        Some("text") => return Ok(()),
        Some("json_object") => json!({ "type": "json_object" }),
        Some("json_schema") => {
            let mut schema = format.clone();
            if let Value::Object(fields) = &mut schema {
                fields.remove("type");
            }
            json!({ "type": "json_schema", "json_schema": schema })
        }
        _ if format.is_null() => return Ok(()),
        _ => return Err(ApiError::invalid("text", "text.format has the type text, json_object or json_schema.")),
    };
    body.insert("response_format".to_owned(), wanted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(value: Value) -> Result<Translated, ApiError> {
        let asked = ResponsesAsk::deserialize(value).map_err(|error| ApiError::not_json(&error.to_string()))?;
        response(&asked)
    }

    #[test]
    fn items_become_messages() {
        let asked = json!({
            "model": "m", "instructions": "Be brief.", "stream": true, "max_output_tokens": 9, "store": true,
            "include": ["message.output_text.logprobs"], "top_logprobs": 2, "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": null}],
            "tool_choice": {"type": "function", "name": "f"},
            "input": [
                {"role": "developer", "content": "D"},
                {"role": "user", "content": [{"type": "input_text", "text": "Look"},
                                             {"type": "input_image", "image_url": "data:x", "detail": "low"}]},
                {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "1"},
                {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So", "annotations": []}]},
            ],
        });
        let translated = ask(asked).expect("fine");
        assert_eq!(translated.ignored, [("store", "answers are not kept")]);
        let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        assert_eq!(
            Value::Object(translated.body),
            json!({
                "model": "m", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 9,
                "logprobs": true, "top_logprobs": 2, "reasoning_effort": "low",
                "response_format": {"type": "json_schema", "json_schema": {
                    "name": "n", "schema": {"type": "object"}, "strict": true}},
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "system", "content": "D"},
                    {"role": "user", "content": [
                        {"type": "text", "text": "Look"},
                        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]},
                    {"role": "assistant", "content": "", "reasoning_content": "Hm", "tool_calls": [call("a"), call("b")]},
                    {"role": "tool", "tool_call_id": "a", "content": "1"},
                    {"role": "tool", "tool_call_id": "b", "content": "2"},
                    {"role": "assistant", "content": "So"},
                ],
            })
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let with = |name: &str, value: Value| {
            let mut asked = json!({"model": "m", "input": "x"});
            asked[name] = value;
            ask(asked)
        };
        for (name, value) in [
            ("previous_response_id", json!("resp_1")),
            ("conversation", json!({"id": "c"})),
            ("background", json!(true)),
            ("prompt", json!({"id": "p"})),
            ("truncation", json!("auto")),
            ("include", json!(["web_search_call.results"])),
            ("max_output_tokens", json!(0)),
            ("input", json!([])),
            ("input", Value::Null),
            ("input", json!([{"type": "item_reference", "id": "i"}])),
            ("input", json!([{"role": "narrator", "content": "x"}])),
            ("input", json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}])),
            ("input", json!([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}])),
            ("input", json!([7])),
            ("tools", json!([{"type": "web_search"}])),
            ("tools", json!([{"type": "function"}])),
            ("tool_choice", json!("maybe")),
            ("tool_choice", json!({"type": "file_search"})),
            ("text", json!({"format": {"type": "xml"}})),
        ] {
            let error = with(name, value.clone()).expect_err("refused");
            assert_eq!(error.to_json()["error"]["param"], name, "{value}");
            assert!(error.to_string().ends_with('.'), "{error}");
        }
        assert!(with("surprise", json!(1)).expect_err("refused").to_string().contains("surprise"));
        assert!(with("text", json!({"format": {"type": "text"}, "verbosity": null})).expect("fine").ignored.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall(kind in "[a-z_]{0,12}", text in any::<String>(), number in any::<i64>()) {
            let items = json!([
                {"type": kind, "role": text, "content": text}, {"type": "function_call", "call_id": text, "name": text, "arguments": text},
                {"type": "function_call_output", "call_id": number, "output": text},
                {"role": "user", "content": [{"type": kind, "text": text}]},
            ]);
            for item in items.as_array().into_iter().flatten() {
                let _ = ask(json!({"model": text, "input": [item], "max_output_tokens": number}));
            }
        }
    }
}
