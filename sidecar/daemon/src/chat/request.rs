//! Checks a question and makes the OpenAI request of it.

use bytes::Bytes;
use myownmesh_compute::OpenAiPath;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Author, ChatRequest, Message};
use serde_json::{Map, Value, json};

use crate::api::{ApiError, MAX_BODY, Question};

/// Tells what is wrong with a request, if anything.
pub(super) fn check(request: &ChatRequest) -> Result<(), ControlError> {
    let invalid = |message: &str| Err(ControlError::new(ErrorCode::InvalidArgument, message));
    if request.continue_message.is_some() {
        if !request.prompt.is_empty() {
            return invalid("An answer is continued without another question: leave the question empty.");
        }
        if request.conversation.is_none() || request.replace_from.is_some() {
            return invalid(
                "Only an answer of a conversation can be continued: name the conversation, and replace nothing.",
            );
        }
    } else if request.prompt.trim().is_empty() {
        return invalid("The question is empty. Write something to ask.");
    }
    if request.prompt.len() + request.system.as_deref().map_or(0, str::len) > MAX_BODY / 2 {
        return Err(ControlError::new(ErrorCode::TooLarge, "The question is larger than 16 MB. Ask with less text."));
    }
    if request.temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return invalid("The temperature must lie between 0 and 2.");
    }
    if request.max_tokens == Some(0) {
        return invalid("An answer needs at least one token: raise the limit.");
    }
    if request.replace_from.is_some() && request.conversation.is_none() {
        return invalid("Only a message of a conversation can be replaced: name the conversation.");
    }
    Ok(())
}

/// The request for `model`; `begun` is the answer that it goes on with.
pub(super) fn question(
    request: &ChatRequest,
    history: &[Message],
    begun: Option<&Message>,
    model: &str,
) -> Result<Question, ApiError> {
    let mut messages: Vec<Value> = Vec::with_capacity(history.len() + 2);
    let mut say = |role: &str, text: &str| messages.push(json!({ "role": role, "content": text }));
    if let Some(system) = request.system.as_deref().filter(|text| !text.trim().is_empty()) {
        say("system", system);
    }
    for message in history {
        match message.author {
            Author::Person => say("user", &message.text),
            // An answer that failed before its first word says nothing.
            Author::Model if message.text.is_empty() => {}
            Author::Model => say("assistant", &message.text),
        }
    }
    let known = begun.map(|begun| begun.text.clone()).unwrap_or_default();
    match begun {
        None => say("user", &request.prompt),
        // Before its first word there is nothing to go on with: the question stands alone.
        Some(_) if known.is_empty() => {}
        Some(_) => say("assistant", &known),
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages.into());
    body.insert("stream".to_owned(), true.into());
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    if begun.is_some_and(|begun| begun.thinking.is_some()) && !known.is_empty() {
        // It has thought; templates that let a model think refuse a begun answer otherwise.
        body.insert("chat_template_kwargs".to_owned(), json!({ "enable_thinking": false }));
    }
    if let Some(tokens) = request.max_tokens {
        body.insert("max_tokens".to_owned(), tokens.into());
    }
    if let Some(temperature) = request.temperature {
        // Written as a person did: 0.7, not 0.699999988079071.
        let shortest: f64 = temperature.to_string().parse().unwrap_or_default();
        body.insert("temperature".to_owned(), shortest.into());
    }
    let body = Bytes::from(Value::Object(body).to_string());
    if body.len() > MAX_BODY {
        return Err(ApiError::new(
            ErrorCode::TooLarge,
            "This conversation has grown over 32 MB. Begin a new one for this question.",
        ));
    }
    let mut question = Question::parse(OpenAiPath::ChatCompletions, body)?;
    question.known = known;
    Ok(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(prompt: &str) -> ChatRequest {
        ChatRequest { prompt: prompt.to_owned(), ..ChatRequest::default() }
    }

    fn said(author: Author, text: &str) -> Message {
        Message { id: String::new(), author, text: text.to_owned(), thinking: None, at: 0, answer: None }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            asked(" \n"),
            ChatRequest { temperature: Some(2.1), ..asked("x") },
            ChatRequest { temperature: Some(f32::NAN), ..asked("x") },
            ChatRequest { max_tokens: Some(0), ..asked("x") },
            ChatRequest { replace_from: Some("m".to_owned()), ..asked("x") },
            ChatRequest { continue_message: Some("m".to_owned()), ..asked("") },
            ChatRequest {
                continue_message: Some("m".to_owned()),
                conversation: Some("c".to_owned()),
                ..asked("and more")
            },
        ] {
            assert_eq!(check(&bad).expect_err("refused").code, ErrorCode::InvalidArgument, "{bad:?}");
        }
        assert_eq!(check(&asked(&"x".repeat(MAX_BODY))).expect_err("refused").code, ErrorCode::TooLarge);
        check(&asked("hello")).expect("fine");
    }

    #[test]
    fn a_conversation_becomes_messages() {
        let history = [said(Author::Person, "one"), said(Author::Model, "1"), said(Author::Model, "")];
        let request = ChatRequest {
            system: Some("Be brief.".to_owned()),
            temperature: Some(0.7),
            max_tokens: Some(9),
            ..asked("two")
        };
        let question = question(&request, &history, None, "m").expect("made");
        let body: Value = serde_json::from_slice(&question.body_for("other")).expect("json");
        assert_eq!(
            body,
            json!({
                "model": "other",
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "one"},
                    {"role": "assistant", "content": "1"},
                    {"role": "user", "content": "two"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true},
                "max_tokens": 9,
                "temperature": 0.7,
            })
        );
    }
}
