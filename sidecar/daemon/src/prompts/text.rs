//! What a prompt says: parsed once from what a person or a file gives, and its form in a document.
//!
//! A document is a JSON object (docs/PROTOCOL.md). What a later version of the app writes into it is ignored here and
//! kept when a prompt is edited here. Documents of other devices are read with caution: what hides or commands is
//! cleaned, what makes no sense is left out.

use std::fmt;

use myownmesh_control::types::PromptDraft;
use myownmesh_mesh::proto::name::clean_text;
use myownmesh_mesh::{DocumentId, MAX_VALUE_BYTES};
use serde_json::{Map, Value};

use super::error::PromptError;
use super::variables::{self, Variable};
use crate::text::{clean_cut, quotable};

/// Longest id, in characters.
const MAX_ID: usize = 64;
/// Longest label, in characters.
pub(crate) const MAX_LABEL: usize = 120;
/// Longest text, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// Longest text for the composer, in bytes.
const MAX_USER_TEXT: usize = 16 * 1024;
/// Most variables.
pub(crate) const MAX_VARIABLES: usize = 32;
/// Most suggested tools.
pub(crate) const MAX_TOOLS: usize = 32;
/// Longest name of a tool, in bytes.
const MAX_TOOL: usize = 200;
/// Places that another device gives are brought between this and its negative, where neighbours can be told apart.
const FARTHEST: f64 = 1e9;

/// A prompt's id: 1 to 64 letters, digits, dots, dashes and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PromptId(String);

impl PromptId {
    /// An id as a person or a file gives it.
    pub(crate) fn parse(text: &str) -> Result<Self, PromptError> {
        let text = text.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if text.is_empty() || text.len() > MAX_ID || !text.chars().all(plain) {
            return Err(PromptError::BadId(quotable(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id that a label makes: its letters and digits, small, with dashes between words.
    pub(crate) fn of_label(label: &str) -> Self {
        let lower = label.to_lowercase();
        let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let mut slug: String = words.collect::<Vec<_>>().join("-").chars().take(MAX_ID - 16).collect();
        slug.truncate(slug.trim_end_matches('-').len());
        Self(if slug.is_empty() { "prompt".to_owned() } else { slug })
    }

    /// This id with something behind it; `suffix` has at most 15 characters.
    pub(super) fn with(&self, suffix: &str) -> Self {
        let kept: String = self.0.chars().take(MAX_ID - 16).collect();
        Self(format!("{kept}-{suffix}"))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of its document.
    pub(crate) fn document(&self) -> Result<DocumentId, PromptError> {
        DocumentId::parse(&self.0).map_err(|_| PromptError::BadId(self.0.clone()))
    }
}

impl fmt::Display for PromptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything a prompt says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PromptText {
    /// What it is called.
    pub(crate) label: String,
    /// What a model is told.
    pub(crate) body: String,
    /// What a person fills in before.
    pub(crate) variables: Vec<Variable>,
    /// Tools that it works well with.
    pub(crate) suggested_tools: Vec<String>,
    /// What is put into the composer.
    pub(crate) user_text: Option<String>,
    /// Fields of later versions, kept as they are.
    pub(crate) rest: Map<String, Value>,
}

impl PromptText {
    /// Makes the changes of a draft; what it does not give stays.
    pub(super) fn apply(&mut self, draft: PromptDraft) -> Result<(), PromptError> {
        let PromptDraft { id: _, label: new_label, body: new_body, variables, suggested_tools, user_text } = draft;
        let before = self.clone();
        if let Some(text) = new_label {
            self.label = label(&text)?;
        }
        if let Some(text) = new_body {
            self.body = body(&text)?;
        }
        if let Some(text) = user_text {
            self.user_text = composer_text(&text)?;
        }
        if let Some(names) = suggested_tools {
            self.suggested_tools = tools(names)?;
        }
        match variables {
            Some(given) => self.variables = variables::parse(given, &before.variables)?,
            None if self.body != before.body || self.user_text != before.user_text => {
                let texts = [self.body.as_str(), self.user_text.as_deref().unwrap_or_default()];
                variables::prune(&mut self.variables, &texts);
            }
            None => {}
        }
        self.complete()
    }

    /// What a file says of a prompt, without its id. Fields that this version does not know are taken as they are.
    pub(super) fn from_fields(mut fields: Map<String, Value>) -> Result<Self, PromptError> {
        let mut text = |field: &str| match fields.remove(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            // A number or a truth that somebody typed by hand.
            Some(other) => other.to_string(),
        };
        let (new_label, new_body, user_text) = (text("label"), text("body"), text("user_text"));
        let mut list = |field: &str| match fields.remove(field) {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) => Vec::new(),
            Some(other) => vec![other],
        };
        let (given_variables, names) = (list("variables"), list("suggested_tools"));
        let named = |name: Value| name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        let mut read = Self {
            label: label(&new_label)?,
            body: body(&new_body)?,
            variables: variables::parse_values(given_variables)?,
            suggested_tools: tools(names.into_iter().map(named).collect())?,
            user_text: composer_text(&user_text)?,
            rest: Map::new(),
        };
        // Its place comes from the order of the file, and its id stands beside it.
        fields.remove("order");
        fields.remove("id");
        read.rest = fields;
        read.complete()?;
        Ok(read)
    }

    /// Adds the variables that stand in the texts, and checks the whole.
    pub(super) fn complete(&mut self) -> Result<(), PromptError> {
        let texts = [self.body.as_str(), self.user_text.as_deref().unwrap_or_default()];
        variables::complete(&mut self.variables, &texts)?;
        let bytes = Value::Object(self.to_fields()).to_string().len() + ORDER_BYTES;
        if bytes > MAX_VALUE_BYTES {
            return Err(PromptError::TooLarge { bytes, most: MAX_VALUE_BYTES });
        }
        Ok(())
    }

    /// All fields but id and place.
    pub(super) fn to_fields(&self) -> Map<String, Value> {
        let mut fields = self.rest.clone();
        fields.insert("label".to_owned(), Value::from(self.label.as_str()));
        fields.insert("body".to_owned(), Value::from(self.body.as_str()));
        if !self.variables.is_empty() {
            fields.insert("variables".to_owned(), self.variables.iter().map(Variable::to_value).collect());
        }
        if !self.suggested_tools.is_empty() {
            fields.insert("suggested_tools".to_owned(), Value::from(self.suggested_tools.clone()));
        }
        if let Some(text) = &self.user_text {
            fields.insert("user_text".to_owned(), Value::from(text.as_str()));
        }
        fields
    }
}

/// Room for `,"order":` and a number.
const ORDER_BYTES: usize = 40;

/// The value of a document.
pub(super) fn write(text: &PromptText, order: f64) -> Vec<u8> {
    let mut fields = text.to_fields();
    fields.insert("order".to_owned(), Value::from(order));
    Value::Object(fields).to_string().into_bytes()
}

/// What a document says, and its place; `None` when it is no prompt.
pub(super) fn read(value: &[u8]) -> Option<(PromptText, f64)> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(value) else { return None };
    let mut text = |field: &str| match fields.remove(field) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let new_label = clean_cut(&text("label")?, MAX_LABEL);
    let new_body = cleaned(&text("body")?);
    let user_text = text("user_text").map(|text| cleaned(&text)).filter(|text| !text.trim().is_empty());
    if new_label.is_empty() || new_body.trim().is_empty() || new_body.len() > MAX_BODY {
        return None;
    }
    let mut list = |field: &str| match fields.remove(field) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let mut known: Vec<Variable> = Vec::new();
    for one in list("variables").into_iter().filter_map(Variable::read) {
        if known.len() < MAX_VARIABLES && known.iter().all(|other| other.name != one.name) {
            known.push(one);
        }
    }
    let names = list("suggested_tools").into_iter().filter_map(|name| Some(name.as_str()?.to_owned()));
    let suggested_tools = names.filter(|name| is_tool(name)).take(MAX_TOOLS).collect();
    let order = fields.remove("order").and_then(|order| order.as_f64()).unwrap_or_default();
    // The id is the document's; here it would only confuse.
    fields.remove("id");
    let text = PromptText {
        label: new_label,
        body: new_body,
        variables: known,
        suggested_tools,
        user_text: user_text.filter(|text| text.len() <= MAX_USER_TEXT),
        rest: fields,
    };
    Some((text, order.clamp(-FARTHEST, FARTHEST)))
}

/// A label as a person or a file gives it.
pub(super) fn label(given: &str) -> Result<String, PromptError> {
    // A bound before the work: normalising can make one character eighteen.
    if given.len() > 16 * MAX_LABEL {
        return Err(PromptError::BadLabel);
    }
    let label = clean_text(given, MAX_LABEL + 1);
    if label.is_empty() || label.chars().count() > MAX_LABEL {
        return Err(PromptError::BadLabel);
    }
    Ok(label)
}

/// The label of a copy.
pub(super) fn label_of_copy(label: &str) -> String {
    const COPY: &str = " (copy)";
    let kept: String = label.chars().take(MAX_LABEL - COPY.len()).collect();
    format!("{}{COPY}", kept.trim_end())
}

fn body(given: &str) -> Result<String, PromptError> {
    let body = checked("text of the prompt", given, MAX_BODY)?;
    if body.trim().is_empty() { Err(PromptError::NoBody) } else { Ok(body) }
}

fn composer_text(given: &str) -> Result<Option<String>, PromptError> {
    let text = checked("text for the composer", given, MAX_USER_TEXT)?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// A text of several lines as a person or a file gives it. Line ends of all systems become one.
pub(super) fn checked(what: &'static str, given: &str, most: usize) -> Result<String, PromptError> {
    let text = if given.contains('\r') { given.replace("\r\n", "\n").replace('\r', "\n") } else { given.to_owned() };
    if text.len() > most {
        return Err(PromptError::TooLong { what, bytes: text.len(), most });
    }
    match text.chars().find(|c| is_command(*c)) {
        Some(c) => Err(PromptError::ControlCharacter { what, code: c.into() }),
        None => Ok(text),
    }
}

/// A text of several lines of another device, without control characters.
pub(super) fn cleaned(given: &str) -> String {
    given.chars().filter(|c| !is_command(*c)).collect()
}

fn is_command(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

fn tools(names: Vec<String>) -> Result<Vec<String>, PromptError> {
    let mut tools: Vec<String> = Vec::new();
    for name in names {
        let name = name.trim();
        if !is_tool(name) {
            return Err(PromptError::BadTool(quotable(name)));
        }
        if !tools.iter().any(|known| known == name) {
            tools.push(name.to_owned());
        }
        if tools.len() > MAX_TOOLS {
            return Err(PromptError::TooManyTools(tools.len()));
        }
    }
    Ok(tools)
}

fn is_tool(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_TOOL
        && name.chars().all(|c| !c.is_whitespace())
        && clean_text(name, MAX_TOOL) == name
}

#[cfg(test)]
mod tests;
