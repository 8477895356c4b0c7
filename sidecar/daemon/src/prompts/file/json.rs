//! Prompts as JSON: `{"format": "myownllm prompts", "version": 1, "prompts": [...]}`.

use serde_json::{Map, Value, json};

use super::{Entry, MAX_PROMPTS, entry};
use crate::prompts::error::FileError;
use crate::prompts::text::{PromptId, PromptText};

/// Names the format in a file.
const FORMAT: &str = "myownllm prompts";
/// Version of the format. Rises when an older app could misread a newer file; added fields do not raise it.
const VERSION: u64 = 1;

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, FileError> {
    let broken = |error: serde_json::Error| FileError::NotJson { line: error.line(), column: error.column() };
    let Value::Object(mut file) = serde_json::from_str(text).map_err(broken)? else {
        return Err(FileError::NotPrompts);
    };
    if file.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(FileError::NotPrompts);
    }
    match file.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(found) if found > VERSION => return Err(FileError::Newer { found, known: VERSION }),
        _ => return Err(FileError::NotPrompts),
    }
    let Some(Value::Array(prompts)) = file.remove("prompts") else { return Err(FileError::NotPrompts) };
    if prompts.len() > MAX_PROMPTS {
        return Err(FileError::TooMany { most: MAX_PROMPTS });
    }
    let numbered = (1..).zip(prompts);
    numbered
        .map(|(number, prompt)| match prompt {
            Value::Object(fields) => entry(number, fields),
            // An empty one is refused with the reason for it.
            _ => entry(number, Map::new()),
        })
        .collect()
}

pub(super) fn write<'a>(entries: impl Iterator<Item = (&'a PromptId, &'a PromptText)>) -> String {
    let prompts: Vec<Value> = entries
        .map(|(id, text)| {
            let mut fields = text.to_fields();
            fields.insert("id".to_owned(), Value::from(id.as_str()));
            Value::Object(fields)
        })
        .collect();
    let file = json!({ "format": FORMAT, "version": VERSION, "prompts": prompts });
    // Plain data with text as keys: it always serialises.
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}
