//! Anthropic's requests in OpenAI's words. No IO.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::ApiError;
use super::super::edge::{Ignored, Translated, streamed};

/// Body of `/v1/messages`, and, without `max_tokens`, of `/v1/messages/count_tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessagesAsk {
    pub(super) model: String,
    #[serde(default)]
    max_tokens: Option<u64>,
    messages: Vec<Message>,
    #[serde(default)]
    system: Option<Text>,
    #[serde(default)]
    stop_sequences: Option<Vec<String>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    top_k: Option<u64>,
    #[serde(default)]
    tools: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    tool_choice: Option<ToolChoice>,
    #[serde(default)]
    thinking: Option<Thinking>,
    #[serde(default)]
    output_config: Option<OutputConfig>,
    // Hints that change no answer here.
    #[serde(default, rename = "metadata")]
    _metadata: Option<Value>,
    #[serde(default, rename = "cache_control")]
    _cache_control: Option<Value>,
    #[serde(default)]
    service_tier: Option<Value>,
    #[serde(default)]
    inference_geo: Option<Value>,
    #[serde(default)]
    context_management: Option<Value>,
    // What only Anthropic's own servers can do.
    #[serde(default)]
    container: Option<Value>,
    #[serde(default)]
    mcp_servers: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: Role,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    System,
}

/// A text, or blocks.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    // Read in a second step: an error inside of an untagged enum tells nothing.
    Blocks(Vec<Value>),
}

/// A text, or blocks of text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Blocks(Vec<Value>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text { text: String },
    Image { source: Source },
    Document { source: Source },
    ToolUse { id: String, name: String, input: Value },
    ToolResult { tool_use_id: String, content: Option<Content>, is_error: Option<bool> },
    Thinking { thinking: String },
    RedactedThinking {},
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source {
    Base64 { media_type: String, data: String },
    Url { url: String },
    Text { data: String },
}

#[derive(Debug, Deserialize)]
struct ToolChoice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
    budget_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct OutputConfig {
    effort: Option<String>,
    format: Option<OutputFormat>,
}

#[derive(Debug, Deserialize)]
struct OutputFormat {
    #[serde(rename = "type")]
    kind: String,
    schema: Option<Value>,
}

/// A question for an engine that is to be answered.
pub(super) fn messages(asked: MessagesAsk) -> Result<Translated, ApiError> {
    let Some(most) = asked.max_tokens.filter(|most| *most > 0) else {
        let why = "max_tokens is missing or 0. Say how many tokens the answer may have at most.";
        return Err(ApiError::invalid("max_tokens", why));
    };
    let stream = asked.stream == Some(true);
    let (mut body, ignored) = question(asked)?;
    body.insert("max_tokens".to_owned(), most.into());
    streamed(&mut body);
    Ok(Translated { body, stream, ignored })
}

/// The question alone, whose tokens are to be counted.
pub(super) fn question(asked: MessagesAsk) -> Result<(Map<String, Value>, Vec<Ignored>), ApiError> {
    let mut ignored = Vec::new();
    refuse(&asked)?;
    let mut said = Vec::new();
    if let Some(system) = asked.system {
        let text = match system {
            Text::One(text) => text,
            Text::Blocks(blocks) => plain(blocks, "system")?,
        };
        if !text.is_empty() {
            said.push(json!({ "role": "system", "content": text }));
        }
    }
    for message in asked.messages {
        match (message.role, message.content) {
            (Role::User, content) => user(content, &mut said)?,
            (Role::Assistant, content) => said.push(assistant(content, &mut ignored)?),
            (Role::System, Content::Text(text)) => said.push(json!({ "role": "system", "content": text })),
            (Role::System, Content::Blocks(blocks)) => {
                said.push(json!({ "role": "system", "content": plain(blocks, "messages")? }));
            }
        }
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), asked.model.into());
    body.insert("messages".to_owned(), said.into());
    let mut set = |name: &str, value: Option<Value>| value.and_then(|value| body.insert(name.to_owned(), value));
    set("temperature", asked.temperature.map(Value::from));
    set("top_p", asked.top_p.map(Value::from));
    set("top_k", asked.top_k.map(Value::from));
    set("stop", asked.stop_sequences.filter(|stops| !stops.is_empty()).map(Value::from));
    if let Some(tools) = asked.tools.filter(|tools| !tools.is_empty()) {
        body.insert("tools".to_owned(), tools.into_iter().map(tool).collect::<Result<Vec<_>, _>>()?.into());
    }
    if let Some(choice) = asked.tool_choice {
        tool_choice(choice, &mut body)?;
    }
    if let Some(thinking) = asked.thinking {
        let on = thinking.kind != "disabled";
        body.insert("chat_template_kwargs".to_owned(), json!({ "enable_thinking": on }));
        if thinking.budget_tokens.is_some() {
            ignored.push(("thinking.budget_tokens", "the model decides how long it thinks, within max_tokens"));
        }
    }
    if let Some(config) = asked.output_config {
        output(config, &mut body)?;
    }
    for (name, value) in [
        ("service_tier", &asked.service_tier),
        ("inference_geo", &asked.inference_geo),
        ("context_management", &asked.context_management),
    ] {
        if value.as_ref().is_some_and(|value| !value.is_null()) {
            ignored.push((name, "it concerns Anthropic's own servers"));
        }
    }
    Ok((body, ignored))
}

fn refuse(asked: &MessagesAsk) -> Result<(), ApiError> {
    if asked.messages.is_empty() {
        return Err(ApiError::invalid("messages", "The request has no messages. Send at least one of the user."));
    }
    if asked.container.as_ref().is_some_and(|value| !value.is_null()) {
        let why = "Containers exist on Anthropic's servers only. Leave container out.";
        return Err(ApiError::invalid("container", why));
    }
    if asked.mcp_servers.as_ref().is_some_and(|servers| !servers.is_empty()) {
        let why = "No MCP servers are called for a request here. Call them yourself and send their tools.";
        return Err(ApiError::invalid("mcp_servers", why));
    }
    Ok(())
}

fn block(value: Value) -> Result<Block, ApiError> {
    let kind = crate::text::quotable(value["type"].as_str().unwrap_or_default());
    Block::deserialize(value).map_err(|error| {
        ApiError::invalid(
            "messages",
            format!("A block of type \"{kind}\" cannot be read: {error}. Correct it or leave it out."),
        )
    })
}

/// Blocks that must be text.
fn plain(blocks: Vec<Value>, param: &'static str) -> Result<String, ApiError> {
    let mut texts = Vec::with_capacity(blocks.len());
    for value in blocks {
        match block(value)? {
            Block::Text { text } => texts.push(text),
            _ => return Err(ApiError::invalid(param, "Only blocks of text can stand here. Leave the others out.")),
        }
    }
    Ok(texts.join("\n\n"))
}

/// What a user says. Results of tools become messages of their own, before what follows them.
fn user(content: Content, said: &mut Vec<Value>) -> Result<(), ApiError> {
    let blocks = match content {
        Content::Text(text) => {
            said.push(json!({ "role": "user", "content": text }));
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    let mut parts = Vec::new();
    for value in blocks {
        match block(value)? {
            Block::ToolResult { tool_use_id, content, is_error } => {
                let (text, images) = result(content)?;
                // OpenAI has no mark for it; the model has to know.
                let text = if is_error == Some(true) { format!("Error: {text}") } else { text };
                said.push(json!({ "role": "tool", "tool_call_id": tool_use_id, "content": text }));
                parts.extend(images);
            }
            other => parts.push(part(other)?),
        }
    }
    match parts.as_slice() {
        [] => {}
        // One text is sent as a text: not every engine takes parts.
        [only] if only["type"] == "text" => said.push(json!({ "role": "user", "content": only["text"] })),
        _ => said.push(json!({ "role": "user", "content": parts })),
    }
    Ok(())
}

/// The text of a tool's result, and its images, which only users may send.
fn result(content: Option<Content>) -> Result<(String, Vec<Value>), ApiError> {
    let blocks = match content {
        None => return Ok((String::new(), Vec::new())),
        Some(Content::Text(text)) => return Ok((text, Vec::new())),
        Some(Content::Blocks(blocks)) => blocks,
    };
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for value in blocks {
        match block(value)? {
            Block::Text { text } => texts.push(text),
            other => images.push(part(other)?),
        }
    }
    Ok((texts.join("\n\n"), images))
}

fn part(block: Block) -> Result<Value, ApiError> {
    let url = |url: String| json!({ "type": "image_url", "image_url": { "url": url } });
    match block {
        Block::Text { text } | Block::Document { source: Source::Text { data: text } } => {
            Ok(json!({ "type": "text", "text": text }))
        }
        Block::Image { source: Source::Base64 { media_type, data } } => {
            let known = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&media_type.as_str());
            if !known {
                let why = "An image is neither PNG, JPEG, GIF nor WebP. Convert it first.";
                return Err(ApiError::invalid("messages", why));
            }
            Ok(url(format!("data:{media_type};base64,{data}")))
        }
        Block::Image { source: Source::Url { url: link } } => Ok(url(link)),
        Block::Image { .. } | Block::Document { .. } => Err(ApiError::invalid(
            "messages",
            "A document can only be sent as text here. Take the text out of it, or send its pages as images.",
        )),
        _ => {
            Err(ApiError::invalid("messages", "A block stands where it cannot. Tools are used by the assistant alone."))
        }
    }
}

fn assistant(content: Content, ignored: &mut Vec<Ignored>) -> Result<Value, ApiError> {
    let blocks = match content {
        Content::Text(text) => return Ok(json!({ "role": "assistant", "content": text })),
        Content::Blocks(blocks) => blocks,
    };
    let (mut texts, mut thoughts, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for value in blocks {
        match block(value)? {
            Block::Text { text } => texts.push(text),
            Block::Thinking { thinking } => thoughts.push(thinking),
            Block::RedactedThinking {} => {
                ignored.push(("redacted_thinking", "only Anthropic's own servers can read it"));
            }
            Block::ToolUse { id, name, input } => {
                let function = json!({ "name": name, "arguments": input.to_string() });
                calls.push(json!({ "id": id, "type": "function", "function": function }));
            }
            _ => {
                let why = "The assistant says text, thinks and uses tools; nothing else can stand in its messages.";
                return Err(ApiError::invalid("messages", why));
            }
        }
    }
    let mut said = json!({ "role": "assistant", "content": texts.concat() });
    if !thoughts.is_empty() {
        said["reasoning_content"] = thoughts.concat().into();
    }
    if !calls.is_empty() {
        said["tool_calls"] = calls.into();
    }
    Ok(said)
}

fn tool(mut tool: Map<String, Value>) -> Result<Value, ApiError> {
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
    if kind != "custom" {
        let kind = crate::text::quotable(kind);
        let why =
            format!("The tool {kind} runs on Anthropic's servers only. Send a tool with an input_schema instead.");
        return Err(ApiError::invalid("tools", why));
    }
    let name = tool.remove("name").filter(Value::is_string);
    let schema = tool.remove("input_schema").filter(Value::is_object);
    let (Some(name), Some(parameters)) = (name, schema) else {
        return Err(ApiError::invalid("tools", "A tool needs a name and an input_schema, which is an object."));
    };
    let mut function = json!({ "name": name, "parameters": parameters });
    for field in ["description", "strict"] {
        if let Some(value) = tool.remove(field) {
            function[field] = value;
        }
    }
    Ok(json!({ "type": "function", "function": function }))
}

fn tool_choice(choice: ToolChoice, body: &mut Map<String, Value>) -> Result<(), ApiError> {
    let wanted = match (choice.kind.as_str(), choice.name) {
        ("auto", _) => "auto".into(),
        ("any", _) => "required".into(),
        ("none", _) => "none".into(),
        ("tool", Some(name)) => json!({ "type": "function", "function": { "name": name } }),
        _ => {
            let why = "tool_choice has the type auto, any, none, or tool with the name of one.";
            return Err(ApiError::invalid("tool_choice", why));
        }
    };
    body.insert("tool_choice".to_owned(), wanted);
    if choice.disable_parallel_tool_use == Some(true) {
        body.insert("parallel_tool_calls".to_owned(), false.into());
    }
    Ok(())
}

fn output(config: OutputConfig, body: &mut Map<String, Value>) -> Result<(), ApiError> {
    if let Some(effort) = config.effort {
        let known = match effort.as_str() {
            "low" | "medium" | "high" => effort,
            "xhigh" | "max" => "high".to_owned(),
            _ => return Err(ApiError::invalid("output_config", "effort is low, medium, high, xhigh or max.")),
        };
        body.insert("reasoning_effort".to_owned(), known.into());
    }
    match config.format {
        None => {}
        Some(OutputFormat { kind, schema: Some(schema) }) if kind == "json_schema" => {
            let named = json!({ "name": "answer", "strict": true, "schema": schema });
            body.insert("response_format".to_owned(), json!({ "type": "json_schema", "json_schema": named }));
        }
        Some(_) => return Err(ApiError::invalid("output_config", "format has the type json_schema and a schema.")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(value: Value) -> Result<Translated, ApiError> {
        let asked = MessagesAsk::deserialize(value);
        messages(asked.map_err(|error| ApiError::not_json(&error.to_string()))?)
    }

    #[test]
    fn a_conversation_with_tools_becomes_openai_s() {
        let asked = json!({
            "model": "m", "max_tokens": 9, "stream": true, "temperature": 0.5, "top_k": 4, "stop_sequences": ["a"],
            "metadata": {"user_id": "u"}, "service_tier": "auto",
            "system": [{"type": "text", "text": "One.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Two."}],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": ""}, {"type": "text", "text": "So"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": [
                        {"type": "text", "text": "gone"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}]},
                    {"type": "text", "text": "And now?"}]},
            ],
        });
        let translated = ask(asked).expect("fine");
        let ignored: Vec<_> = translated.ignored.iter().map(|(name, _)| *name).collect();
        assert_eq!(ignored, ["thinking.budget_tokens", "service_tier"]);
        assert!(translated.stream);
        assert_eq!(
            Value::Object(translated.body),
            json!({
                "model": "m", "max_tokens": 9, "stream": true, "stream_options": {"include_usage": true},
                "temperature": 0.5, "top_k": 4, "stop": ["a"],
                "chat_template_kwargs": {"enable_thinking": true},
                "tools": [{"type": "function", "function": {
                    "name": "f", "description": "d", "parameters": {"type": "object"}}}],
                "tool_choice": "required", "parallel_tool_calls": false,
                "messages": [
                    {"role": "system", "content": "One.\n\nTwo."},
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "So", "reasoning_content": "Hm", "tool_calls": [
                        {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
                    {"role": "tool", "tool_call_id": "t", "content": "Error: gone"},
                    {"role": "user", "content": [
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                        {"type": "text", "text": "And now?"}]},
                ],
            })
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let with = |name: &str, value: Value| {
            let mut asked = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]});
            asked[name] = value;
            ask(asked)
        };
        let said = |role: &str, block: Value| json!([{"role": role, "content": [block]}]);
        let pdf =
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}});
        for (name, value) in [
            ("max_tokens", json!(0)),
            ("max_tokens", Value::Null),
            ("messages", json!([])),
            ("messages", said("user", json!({"type": "hologram"}))),
            ("messages", said("user", json!({"type": "text"}))),
            ("messages", said("user", json!(7))),
            ("messages", said("user", pdf)),
            ("messages", said("user", json!({"type": "tool_use", "id": "a", "name": "f", "input": {}}))),
            ("messages", said("assistant", json!({"type": "tool_result", "tool_use_id": "a"}))),
            ("system", json!([{"type": "image", "source": {"type": "url", "url": "x"}}])),
            ("tools", json!([{"type": "web_search_20250305", "name": "web_search"}])),
            ("tools", json!([{"name": "f"}])),
            ("tool_choice", json!({"type": "tool"})),
            ("tool_choice", json!({"type": "maybe"})),
            ("output_config", json!({"effort": "none of it"})),
            ("output_config", json!({"format": {"type": "xml"}})),
            ("container", json!("c")),
            ("mcp_servers", json!([{"url": "x"}])),
        ] {
            let error = with(name, value.clone()).expect_err("refused");
            assert_eq!(error.to_json()["error"]["param"], name, "{value}");
            assert!(error.to_string().ends_with('.'), "{error}");
        }
        let text = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "T"}});
        let translated = with("messages", said("user", text)).expect("fine");
        assert_eq!(translated.body["messages"], json!([{"role": "user", "content": "T"}]));
        for unknown in ["surprise", "n"] {
            let error = with(unknown, json!(1)).expect_err("refused");
            assert!(error.to_string().contains(unknown), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall(
            kind in "[a-z_]{0,12}", text in any::<String>(), role in prop::sample::select(vec!["user", "assistant", "system"]),
            number in any::<i64>(),
        ) {
            let blocks = json!([{"type": kind, "text": text}, {"type": "text", "text": text}, {"type": "tool_use", "id": text, "name": text, "input": number}]);
            let _ = ask(json!({"model": text, "max_tokens": number, "messages": [{"role": role, "content": blocks}]}));
        }
    }
}
