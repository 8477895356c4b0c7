//! Prompts as the text of a file, to read, edit, keep and pass on. A file is checked as a whole before anything of it
//! is taken; `json` has everything a prompt has, `markdown` is for editing by hand and loses nothing either.

mod json;
mod markdown;

use std::collections::HashSet;

use myownmesh_control::types::PromptFormat;
use serde_json::{Map, Value};

use super::error::{FileError, PromptError};
use super::list::Kept;
use super::text::{PromptId, PromptText};
use crate::text::quotable;

/// Largest file that is taken, in bytes.
pub(super) const MAX_FILE: usize = 20_000_000;
/// Most prompts of one file.
pub(super) const MAX_PROMPTS: usize = 2_000;

/// A prompt of a file: its id and what it says.
type Entry = (PromptId, PromptText);

/// Reads a file.
pub(super) fn parse(text: &str, format: PromptFormat) -> Result<Vec<Entry>, FileError> {
    if text.len() > MAX_FILE {
        return Err(FileError::TooLarge { bytes: text.len(), most: MAX_FILE });
    }
    // Editors of some systems begin a file with a mark that shows nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let entries = match format {
        PromptFormat::Json => json::parse(text)?,
        PromptFormat::Markdown => markdown::parse(text)?,
    };
    let mut ids = HashSet::new();
    if let Some((id, _)) = entries.iter().find(|(id, _)| !ids.insert(id)) {
        return Err(FileError::Twice(id.to_string()));
    }
    if entries.is_empty() { Err(FileError::Empty) } else { Ok(entries) }
}

/// Writes a file.
pub(super) fn write(prompts: &[Kept], format: PromptFormat) -> String {
    let entries = prompts.iter().map(|kept| (&kept.id, &kept.text));
    match format {
        PromptFormat::Json => json::write(entries),
        PromptFormat::Markdown => markdown::write(entries),
    }
}

/// The fields of one prompt of a file, checked. `number` is its place in the file, from 1.
fn entry(number: usize, mut fields: Map<String, Value>) -> Result<Entry, FileError> {
    let name = |fields: &Map<String, Value>| {
        let given = ["label", "id"].iter().find_map(|field| fields.get(*field)?.as_str());
        given.map_or_else(|| "without a label".to_owned(), |text| format!("\"{}\"", quotable(text)))
    };
    let named = name(&fields);
    let invalid = |error: PromptError| FileError::Prompt { number, name: named.clone(), error: Box::new(error) };
    let given = match fields.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(PromptId::parse(&id).map_err(invalid)?),
        Some(other) => Some(PromptId::parse(&other.to_string()).map_err(invalid)?),
    };
    let text = PromptText::from_fields(fields).map_err(invalid)?;
    // The same label makes the same id, so that a file without ids can be edited and imported again.
    let id = given.unwrap_or_else(|| PromptId::of_label(&text.label));
    Ok((id, text))
}

#[cfg(test)]
mod tests;
