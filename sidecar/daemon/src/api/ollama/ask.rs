//! Ollama's requests in OpenAI's words. No IO.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::ApiError;
use super::super::edge::{Ignored, Translated, streamed};

/// Options of Ollama that engines know by the same name.
const SAME: [&str; 11] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
    "repeat_last_n",
    "mirostat_eta",
    "mirostat_tau",
];

/// Options that say how Ollama itself runs a model.
const OF_THE_ENGINE: [&str; 16] = [
    "num_ctx",
    "num_keep",
    "num_batch",
    "num_gpu",
    "num_thread",
    "num_gqa",
    "main_gpu",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mmap",
    "use_mlock",
    "numa",
    "rope_frequency_base",
    "rope_frequency_scale",
];

/// Body of `/api/chat`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChatAsk {
    pub(super) model: String,
    #[serde(default)]
    pub(super) messages: Option<Vec<Message>>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    format: Option<Value>,
    #[serde(default)]
    options: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    pub(super) keep_alive: Option<Value>,
    #[serde(default)]
    think: Option<Think>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<u8>,
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    shift: Option<bool>,
}

/// Body of `/api/generate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerateAsk {
    pub(super) model: String,
    #[serde(default)]
    pub(super) prompt: Option<String>,
    #[serde(default)]
    suffix: Option<String>,
    #[serde(default)]
    images: Option<Vec<String>>,
    #[serde(default)]
    system: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    context: Option<Vec<Value>>,
    #[serde(default)]
    raw: Option<bool>,
    #[serde(default)]
    format: Option<Value>,
    #[serde(default)]
    options: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    pub(super) keep_alive: Option<Value>,
    #[serde(default)]
    think: Option<Think>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    top_logprobs: Option<u8>,
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    shift: Option<bool>,
}

/// Body of `/api/embed`, and of the older `/api/embeddings`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmbedAsk {
    pub(super) model: String,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    dimensions: Option<u32>,
    #[serde(default)]
    options: Option<Map<String, Value>>,
    #[serde(default, rename = "keep_alive")]
    _keep_alive: Option<Value>,
}

/// Body of `/api/show`.
#[derive(Debug, Deserialize)]
pub(super) struct ShowAsk {
    #[serde(alias = "name")]
    pub(super) model: String,
}

/// One message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    role: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    images: Option<Vec<String>>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
    #[serde(default)]
    tool_name: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default)]
    id: Option<String>,
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Option<Value>,
}

/// Whether the model may think first, and how much.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Think {
    Switch(bool),
    Level(String),
}

/// The settings that chat and generate have in common.
struct Settings {
    options: Option<Map<String, Value>>,
    format: Option<Value>,
    think: Option<Think>,
    logprobs: Option<bool>,
    top_logprobs: Option<u8>,
    truncate: Option<bool>,
    shift: Option<bool>,
}

/// A chat request for an engine.
pub(super) fn chat(asked: ChatAsk) -> Result<Translated, ApiError> {
    let mut body = Map::new();
    body.insert("model".to_owned(), asked.model.into());
    body.insert("messages".to_owned(), messages(asked.messages.unwrap_or_default())?.into());
    if let Some(tools) = asked.tools.filter(|tools| !tools.is_empty()) {
        body.insert("tools".to_owned(), tools.into());
    }
    let settings = Settings {
        options: asked.options,
        format: asked.format,
        think: asked.think,
        logprobs: asked.logprobs,
        top_logprobs: asked.top_logprobs,
        truncate: asked.truncate,
        shift: asked.shift,
    };
    finish(body, settings, asked.stream)
}

/// A generate request for an engine: as a chat of one question, or with `raw` as plain text to go on with. Tells which.
pub(super) fn generate(asked: GenerateAsk) -> Result<(Translated, bool), ApiError> {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&asked.template) {
        let why = "A template of the request's own cannot be used: each model has its own. Leave template out, or send \
                   the finished text with raw: true.";
        return Err(ApiError::invalid("template", why));
    }
    if given(&asked.suffix) {
        let why = "Text cannot be filled in before a suffix here. Leave suffix out, or use /v1/completions.";
        return Err(ApiError::invalid("suffix", why));
    }
    if asked.context.is_some_and(|context| !context.is_empty()) {
        let why = "A context of an earlier answer is not kept here. Send the earlier messages to /api/chat instead.";
        return Err(ApiError::invalid("context", why));
    }
    let raw = asked.raw == Some(true);
    let prompt = asked.prompt.unwrap_or_default();
    let images = asked.images.unwrap_or_default();
    let mut body = Map::new();
    body.insert("model".to_owned(), asked.model.into());
    if raw {
        if given(&asked.system) || !images.is_empty() {
            let why =
                "With raw: true the prompt is sent as it is, so system and images cannot be used. Leave them out.";
            return Err(ApiError::invalid("raw", why));
        }
        body.insert("prompt".to_owned(), prompt.into());
    } else {
        let mut messages = Vec::new();
        if let Some(system) = asked.system.filter(|text| !text.is_empty()) {
            messages.push(json!({ "role": "system", "content": system }));
        }
        messages.push(json!({ "role": "user", "content": content(prompt, &images)? }));
        body.insert("messages".to_owned(), messages.into());
    }
    let settings = Settings {
        options: asked.options,
        format: asked.format,
        think: asked.think,
        logprobs: asked.logprobs,
        top_logprobs: asked.top_logprobs,
        truncate: asked.truncate,
        shift: asked.shift,
    };
    Ok((finish(body, settings, asked.stream)?, raw))
}

/// An embedding request for an engine.
pub(super) fn embed(asked: EmbedAsk) -> Result<Translated, ApiError> {
    let texts = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    let input = match (asked.input, asked.prompt) {
        (Some(input), None) if input.is_string() || texts(&input) => input,
        (None, Some(prompt)) => prompt.into(),
        _ => return Err(ApiError::invalid("input", "Give input as a text or a list of texts.")),
    };
    let mut body = Map::new();
    body.insert("model".to_owned(), asked.model.into());
    body.insert("input".to_owned(), input);
    body.insert("encoding_format".to_owned(), "float".into());
    if let Some(dimensions) = asked.dimensions {
        body.insert("dimensions".to_owned(), dimensions.into());
    }
    let mut ignored = Vec::new();
    if asked.truncate == Some(true) {
        ignored.push(("truncate", "a text that is too long is refused by the engine, never cut"));
    }
    for (name, _) in asked.options.unwrap_or_default() {
        ignored.push(engine_option(&name)?);
    }
    Ok(Translated { body, stream: false, ignored })
}

fn finish(mut body: Map<String, Value>, settings: Settings, stream: Option<bool>) -> Result<Translated, ApiError> {
    let mut ignored = Vec::new();
    let stream = stream.unwrap_or(true);
    streamed(&mut body);
    options(settings.options.unwrap_or_default(), &mut body, &mut ignored)?;
    if let Some(format) = settings.format {
        response_format(format, &mut body)?;
    }
    match settings.think {
        Some(Think::Switch(on)) => {
            body.insert("chat_template_kwargs".to_owned(), json!({ "enable_thinking": on }));
        }
        Some(Think::Level(level)) if matches!(level.as_str(), "low" | "medium" | "high") => {
            body.insert("reasoning_effort".to_owned(), level.into());
        }
        Some(Think::Level(_)) => {
            return Err(ApiError::invalid("think", "think is true, false, \"low\", \"medium\" or \"high\"."));
        }
        None => {}
    }
    if settings.logprobs == Some(true) || settings.top_logprobs.is_some_and(|most| most > 0) {
        body.insert("logprobs".to_owned(), true.into());
        body.insert("top_logprobs".to_owned(), settings.top_logprobs.unwrap_or_default().into());
    }
    for (name, set) in [("truncate", settings.truncate), ("shift", settings.shift)] {
        if set == Some(true) {
            ignored.push((name, "a conversation that is too long is refused by the engine, never cut"));
        }
    }
    Ok(Translated { body, stream, ignored })
}

fn options(
    options: Map<String, Value>,
    body: &mut Map<String, Value>,
    ignored: &mut Vec<Ignored>,
) -> Result<(), ApiError> {
    for (name, value) in options {
        match (name.as_str(), &value) {
            (_, Value::Null) => {}
            (same, Value::Number(_)) if SAME.contains(&same) => {
                body.insert(name, value);
            }
            ("mirostat" | "seed", Value::Number(number)) => {
                // A negative seed means any.
                if name == "mirostat" || number.as_f64().is_some_and(|seed| seed >= 0.0) {
                    body.insert(name, value);
                }
            }
            ("num_predict", Value::Number(number)) => match number.as_i64() {
                // Below zero: as long as it takes.
                Some(..=-1) => {}
                Some(1..) => {
                    body.insert("max_tokens".to_owned(), value);
                }
                _ => return Err(ApiError::invalid("options", "num_predict is a whole number other than 0.")),
            },
            ("stop", Value::String(_)) => {
                body.insert(name, value);
            }
            ("stop", Value::Array(items)) if items.iter().all(Value::is_string) => {
                body.insert(name, value);
            }
            ("stop" | "num_predict" | "seed" | "mirostat", _) => return Err(wrong_option(&name)),
            (same, _) if SAME.contains(&same) => return Err(wrong_option(same)),
            (other, _) => ignored.push(engine_option(other)?),
        }
    }
    Ok(())
}

/// An option that only Ollama's own engine could follow; any other is refused.
fn engine_option(name: &str) -> Result<Ignored, ApiError> {
    if let Some(known) = OF_THE_ENGINE.iter().find(|known| **known == name) {
        return Ok((known, "the engine that has the model sets it when it loads the model"));
    }
    let name = crate::text::quotable(name);
    Err(ApiError::invalid("options", format!("There is no option \"{name}\" here. Leave it out.")))
}

fn wrong_option(name: &str) -> ApiError {
    ApiError::invalid(
        "options",
        format!(
            "The option {name} has a value of the wrong type. Give a number, or for stop a text or a list of texts."
        ),
    )
}

fn response_format(format: Value, body: &mut Map<String, Value>) -> Result<(), ApiError> {
    let wanted = match format {
        Value::Null => return Ok(()),
        Value::String(text) if text.is_empty() => return Ok(()),
        Value::String(text) if text == "json" => json!({ "type": "json_object" }),
        Value::Object(schema) => {
            json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": schema } })
        }
        _ => return Err(ApiError::invalid("format", "format is \"json\" or a JSON schema.")),
    };
    body.insert("response_format".to_owned(), wanted);
    Ok(())
}

fn messages(messages: Vec<Message>) -> Result<Vec<Value>, ApiError> {
    let mut made = Vec::with_capacity(messages.len());
    // Ollama's tool messages name the tool, OpenAI's the call: those that wait for their result, in order.
    let mut open: Vec<(String, String)> = Vec::new();
    for message in messages {
        let text = message.content.unwrap_or_default();
        let images = message.images.unwrap_or_default();
        match message.role.as_str() {
            "system" | "user" => made.push(json!({ "role": message.role, "content": content(text, &images)? })),
            "assistant" => {
                let mut said = Map::new();
                said.insert("role".to_owned(), "assistant".into());
                said.insert("content".to_owned(), text.into());
                if let Some(thinking) = message.thinking.filter(|text| !text.is_empty()) {
                    said.insert("reasoning_content".to_owned(), thinking.into());
                }
                let calls = message.tool_calls.unwrap_or_default();
                if !calls.is_empty() {
                    let calls: Vec<Value> = calls.into_iter().map(|call| tool_call(call, &mut open)).collect();
                    said.insert("tool_calls".to_owned(), calls.into());
                }
                made.push(said.into());
            }
            "tool" => {
                let name = message.tool_name.or(message.name);
                let id = message.tool_call_id.unwrap_or_else(|| answered(&mut open, name.as_deref()));
                made.push(json!({ "role": "tool", "tool_call_id": id, "content": text }));
            }
            other => {
                let other = crate::text::quotable(other);
                let why = format!("There is no role \"{other}\". Use system, user, assistant or tool.");
                return Err(ApiError::invalid("messages", why));
            }
        }
    }
    Ok(made)
}

fn tool_call(call: Call, open: &mut Vec<(String, String)>) -> Value {
    let id = call.id.unwrap_or_else(|| format!("call_{}", open.len()));
    open.push((id.clone(), call.function.name.clone()));
    let arguments = match call.function.arguments {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    json!({ "id": id, "type": "function", "function": { "name": call.function.name, "arguments": arguments } })
}

/// The id of the call that a tool's result answers: the first of that name, else the first.
fn answered(open: &mut [(String, String)], name: Option<&str>) -> String {
    let at = open.iter().position(|(_, called)| Some(called.as_str()) == name).unwrap_or_default();
    // Emptied, not removed: ids are made by counting.
    let Some((id, called)) = open.get_mut(at) else { return "call_0".to_owned() };
    called.clear();
    id.clone()
}

fn content(text: String, images: &[String]) -> Result<Value, ApiError> {
    if images.is_empty() {
        return Ok(text.into());
    }
    let mut parts = Vec::with_capacity(images.len() + 1);
    if !text.is_empty() {
        parts.push(json!({ "type": "text", "text": text }));
    }
    for image in images {
        let kind = image_type(image).ok_or_else(|| {
            ApiError::invalid("images", "An image is neither PNG, JPEG, GIF nor WebP in base64. Convert it first.")
        })?;
        let url = format!("data:{kind};base64,{image}");
        parts.push(json!({ "type": "image_url", "image_url": { "url": url } }));
    }
    Ok(parts.into())
}

/// The type of an image, by how its base64 begins.
fn image_type(base64: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if !base64.bytes().all(plain) {
        return None;
    }
    let types =
        [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    types.iter().find(|(start, _)| base64.starts_with(start)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chat_of(value: Value) -> Result<Translated, ApiError> {
        chat(serde_json::from_value(value).expect("the form is right"))
    }

    fn body(translated: Translated) -> Value {
        Value::Object(translated.body)
    }

    #[test]
    fn a_chat_becomes_openai_s() {
        let asked = json!({
            "model": "m", "keep_alive": "5m", "think": false, "format": {"type": "object"},
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Look", "images": ["iVBORw0KGgoAAAA="]},
                {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [
                    {"function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "g"}}]},
                {"role": "tool", "content": "2", "tool_name": "g"},
                {"role": "tool", "content": "1", "tool_name": "f"},
            ],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "options": {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "num_predict": 7, "stop": ["a"], "seed": 3,
                        "num_ctx": 4096},
        });
        let translated = chat_of(asked).expect("fine");
        assert_eq!(translated.ignored.len(), 1);
        assert_eq!(translated.ignored[0].0, "num_ctx");
        assert!(translated.stream);
        assert_eq!(
            body(translated),
            json!({
                "model": "m", "stream": true, "stream_options": {"include_usage": true},
                "chat_template_kwargs": {"enable_thinking": false},
                "response_format": {"type": "json_schema", "json_schema": {
                    "name": "answer", "strict": true, "schema": {"type": "object"}}},
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [
                        {"type": "text", "text": "Look"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAA="}}]},
                    {"role": "assistant", "content": "", "reasoning_content": "Hm", "tool_calls": [
                        {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                        {"id": "call_1", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
                    {"role": "tool", "tool_call_id": "call_0", "content": "1"},
                ],
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 7, "stop": ["a"], "seed": 3,
            })
        );
    }

    #[test]
    fn generate_is_a_chat_of_one_question_or_raw_text() {
        let ask = |value: Value| generate(serde_json::from_value(value).expect("the form is right"));
        let (chat, raw) = ask(json!({"model": "m", "prompt": "Hi", "system": "S", "stream": false})).expect("fine");
        assert!(!raw && !chat.stream);
        let said = json!([{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]);
        assert_eq!((&chat.body["messages"], &chat.body["stream"]), (&said, &json!(true)), "engines always stream");
        let (plain, raw) =
            ask(json!({"model": "m", "prompt": "Hi", "raw": true, "stream": false, "options": {"num_predict": -1}}))
                .expect("fine");
        assert!(raw);
        assert_eq!((&plain.body["prompt"], plain.body.get("max_tokens")), (&json!("Hi"), None));
        for bad in [
            json!({"model": "m", "prompt": "x", "template": "{{ .Prompt }}"}),
            json!({"model": "m", "prompt": "x", "suffix": "y"}),
            json!({"model": "m", "prompt": "x", "context": [1, 2]}),
            json!({"model": "m", "prompt": "x", "raw": true, "system": "S"}),
            json!({"model": "m", "prompt": "x", "images": ["not base64!"]}),
            json!({"model": "m", "prompt": "x", "images": ["AAAA"]}),
        ] {
            assert_eq!(ask(bad.clone()).expect_err("refused").status().as_u16(), 400, "{bad}");
        }
    }

    #[test]
    fn embeddings_take_a_text_or_several() {
        let ask = |value: Value| embed(serde_json::from_value(value).expect("the form is right"));
        let one = ask(json!({"model": "m", "prompt": "a"})).expect("fine");
        assert_eq!(body(one), json!({"model": "m", "input": "a", "encoding_format": "float"}));
        let two = ask(json!({"model": "m", "input": ["a", "b"], "truncate": true, "dimensions": 8})).expect("fine");
        assert_eq!(two.ignored[0].0, "truncate");
        let made = json!({"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 8});
        assert_eq!(body(two), made);
        for bad in [json!({"model": "m"}), json!({"model": "m", "input": 7}), json!({"model": "m", "input": [1]})] {
            assert!(ask(bad).is_err());
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let with = |name: &str, value: Value| {
            let mut asked = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
            asked[name] = value;
            chat_of(asked)
        };
        for (name, value) in [
            ("options", json!({"num_predict": 0})),
            ("options", json!({"num_predict": "many"})),
            ("options", json!({"temperature": "hot"})),
            ("options", json!({"stop": 3})),
            ("options", json!({"colour": "blue"})),
            ("format", json!("xml")),
            ("format", json!(7)),
            ("think", json!("deeply")),
            ("messages", json!([{"role": "narrator", "content": "x"}])),
        ] {
            let error = with(name, value.clone()).expect_err("refused");
            assert!(error.to_string().ends_with('.'), "{error}");
            assert_eq!(error.to_json()["error"]["param"], name, "{value}");
        }
        for harmless in [json!({"temperature": null}), json!({"num_gpu": 1}), json!({"seed": -1})] {
            assert_eq!(with("options", harmless).expect("fine").body.len(), 4);
        }
        assert!(serde_json::from_value::<ChatAsk>(json!({"model": "m", "surprise": 1})).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall(
            role in "[a-z]{0,9}", text in any::<String>(), image in "[ -~]{0,20}", name in any::<String>(),
            number in any::<f64>(),
        ) {
            let value = json!({
                "model": name, "messages": [{"role": role, "content": text, "images": [image], "tool_name": name}],
                "options": {name.clone(): number, "num_predict": number, "seed": number},
            });
            if let Ok(asked) = serde_json::from_value::<ChatAsk>(value) {
                let _ = chat(asked);
            }
        }
    }
}
