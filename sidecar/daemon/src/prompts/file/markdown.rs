//! Prompts as Markdown, to read and edit by hand.
//!
//! ```text
//! ---
//! id: review
//! label: Review a change
//! variables: [{"name":"diff","label":"The change"}]
//! suggested_tools: ["shell"]
//! user_text: "Please review:\n{{diff}}"
//! ---
//!
//! You review changes. {{diff}}
//!
//! ---
//! id: next
//! label: ...
//! ```
//!
//! A prompt begins at a line `---` above a line that begins with `id:` or `label:`; its head ends at the next `---`, and
//! what follows is its text. A head has one field a line. A value is text up to the end of the line, or JSON where it
//! begins with `"`, `[` or `{`; what this writes is YAML as well, so that editors understand it. One empty line below the
//! head, and the line ends in front of the next prompt or the end of the file, belong to the form and not to the text. A
//! line of the text that would begin a prompt is written with a backslash in front; where backslashes stand in front
//! already, one more.

use serde_json::{Map, Value};

use super::{Entry, MAX_PROMPTS, entry};
use crate::prompts::error::FileError;
use crate::prompts::text::{PromptId, PromptText};
use crate::text::quotable;

/// Opens and closes a head.
const MARK: &str = "---";

/// A line of the file and its number, from 1.
type Line<'a> = (usize, &'a str);

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, FileError> {
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() };
    // The last line end closes a line; it does not open another one.
    let lines: Vec<Line<'_>> = (1..).zip(text.strip_suffix('\n').unwrap_or(&text).split('\n')).collect();
    let first = lines.iter().position(|(_, line)| !line.trim().is_empty()).ok_or(FileError::Empty)?;
    let mut rest = &lines[first..];
    if !begins(rest) {
        let problem = "a prompt begins with a line --- and below it a line such as \"label: Name\"".to_owned();
        return Err(FileError::Markdown { line: rest[0].0, problem });
    }
    let mut entries = Vec::new();
    while !rest.is_empty() {
        if entries.len() == MAX_PROMPTS {
            return Err(FileError::TooMany { most: MAX_PROMPTS });
        }
        let (fields, below) = head(rest)?;
        let end = (0..below.len()).find(|at| begins(&below[*at..])).unwrap_or(below.len());
        let (body, next) = below.split_at(end);
        let mut fields = fields;
        fields.insert("body".to_owned(), Value::from(read_body(body, next.is_empty())));
        entries.push(entry(entries.len() + 1, fields)?);
        rest = next;
    }
    Ok(entries)
}

/// Whether a prompt begins at the first of these lines.
fn begins(lines: &[Line<'_>]) -> bool {
    lines.first().is_some_and(|(_, line)| line.trim_end() == MARK)
        && lines.get(1).is_some_and(|(_, line)| is_first(line))
}

/// Whether a line may be the first of a head.
fn is_first(line: &str) -> bool {
    line.starts_with("id:") || line.starts_with("label:")
}

/// The fields of a head that begins at the first line, and the lines below it.
fn head<'a, 'b>(lines: &'b [Line<'a>]) -> Result<(Map<String, Value>, &'b [Line<'a>]), FileError> {
    let mut fields = Map::new();
    for (at, (number, line)) in lines.iter().enumerate().skip(1) {
        if line.trim_end() == MARK {
            return Ok((fields, &lines[at + 1..]));
        }
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |problem: String| FileError::Markdown { line: *number, problem };
        let (name, value) = field(line).map_err(wrong)?;
        if name == "body" {
            return Err(wrong("the text of a prompt stands below its head, not in it".to_owned()));
        }
        if fields.insert(name.clone(), value).is_some() {
            return Err(wrong(format!("\"{}\" is given twice", quotable(&name))));
        }
    }
    let line = lines.first().map_or(1, |(number, _)| *number);
    Err(FileError::Markdown { line, problem: "the head that begins here has no closing line ---".to_owned() })
}

/// One line of a head.
fn field(line: &str) -> Result<(String, Value), String> {
    let expected = || format!("\"{}\" is no field; write for example \"label: Name\"", quotable(line));
    let (name, rest) = if line.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(line).into_iter::<String>();
        let name = names.next().and_then(Result::ok).ok_or_else(expected)?;
        (name, &line[names.byte_offset()..])
    } else {
        let (name, _) = line.split_once(':').filter(|(name, _)| is_plain_name(name)).ok_or_else(expected)?;
        (name.to_owned(), &line[name.len()..])
    };
    let value = rest.trim_start().strip_prefix(':').ok_or_else(expected)?.trim();
    let broken = |_| format!("the value of \"{}\" is not whole JSON", quotable(&name));
    let value = match value.chars().next() {
        Some('"' | '[' | '{') => serde_json::from_str(value).map_err(broken)?,
        _ if is_text(&name) => Value::from(value),
        // A field of a later version: a number, a truth, nothing, or plain text.
        _ => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
    };
    Ok((name, value))
}

/// Whether a field is text, whatever it looks like.
fn is_text(name: &str) -> bool {
    matches!(name, "id" | "label" | "user_text")
}

/// The text of a prompt from the lines below its head.
fn read_body(lines: &[Line<'_>], last: bool) -> String {
    let mut texts: Vec<&str> = Vec::with_capacity(lines.len());
    for (at, (_, line)) in lines.iter().enumerate() {
        let next = lines.get(at + 1).map(|(_, line)| *line);
        let escaped = line.starts_with('\\') && is_marked(line, next);
        texts.push(if escaped { &line[1..] } else { line });
    }
    if texts.first().is_some_and(|line| line.is_empty()) {
        texts.remove(0);
    }
    // In front of another prompt stands an empty line; hand-written files may do without.
    if !last && texts.last().is_some_and(|line| line.is_empty()) {
        texts.pop();
    }
    texts.join("\n")
}

/// Whether a line of a text, with the next one, could be taken for the beginning of a prompt, backslashes aside.
fn is_marked(line: &str, next: Option<&str>) -> bool {
    line.trim_start_matches('\\').trim_end() == MARK && next.is_some_and(is_first)
}

pub(super) fn write<'a>(entries: impl Iterator<Item = (&'a PromptId, &'a PromptText)>) -> String {
    let mut file = String::new();
    for (id, text) in entries {
        if !file.is_empty() {
            file.push('\n');
        }
        write_one(&mut file, id, text);
    }
    file
}

fn write_one(file: &mut String, id: &PromptId, text: &PromptText) {
    let mut fields = text.to_fields();
    fields.remove("body");
    fields.insert("id".to_owned(), Value::from(id.as_str()));
    file.push_str("---\n");
    // What people look for comes first; a head must begin with its id or label.
    for name in ["id", "label", "variables", "suggested_tools", "user_text"] {
        if let Some(value) = fields.remove(name) {
            write_field(file, name, &value);
        }
    }
    fields.iter().for_each(|(name, value)| write_field(file, name, value));
    file.push_str("---\n\n");
    let mut lines = text.body.split('\n').peekable();
    while let Some(line) = lines.next() {
        if is_marked(line, lines.peek().copied()) {
            file.push('\\');
        }
        file.push_str(line);
        file.push('\n');
    }
}

fn write_field(file: &mut String, name: &str, value: &Value) {
    let plain = value.as_str().filter(|text| is_text(name) && is_plain(text));
    let value = plain.map_or_else(|| value.to_string(), str::to_owned);
    let name = if is_plain_name(name) { name.to_owned() } else { Value::from(name).to_string() };
    file.push_str(&format!("{name}: {value}\n"));
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// Whether a text reads the same without quotes, also in YAML.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    text.starts_with(char::is_alphabetic)
        && text.chars().all(plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !WORDS.contains(&text.to_lowercase().as_str())
}
