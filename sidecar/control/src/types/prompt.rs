//! Prompts: texts that the devices of a network share.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::DeviceId;

/// A prompt of the active network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Prompt {
    /// Its id: 1 to 64 letters, digits, dots, dashes and underscores.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// What a model is told; `{{name}}` stands for a variable.
    pub body: String,
    /// What a person fills in before it is used.
    pub variables: Vec<PromptVariable>,
    /// Tools that it works well with.
    pub suggested_tools: Vec<String>,
    /// What is put into the composer when it is picked.
    pub user_text: Option<String>,
    /// Its place in the list; the smallest comes first.
    pub order: f64,
    /// When it was last changed, by the clock of the device that changed it.
    pub updated_at: i64,
    /// Device that changed it last.
    pub device_id: DeviceId,
    /// Name of that device.
    pub device_name: String,
}

/// Something to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PromptVariable {
    /// Its name as it stands between double braces: letters, digits and underscores.
    pub name: String,
    /// What to ask a person for; the name when not given.
    pub label: Option<String>,
    /// What is filled in at first.
    pub default: Option<String>,
}

/// A prompt as it should be. What is not given stays as it is, or is empty where the prompt is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(default)]
pub struct PromptDraft {
    /// Which prompt; a new one with an id of its own when not given.
    pub id: Option<String>,
    /// What it is called. A new prompt needs it.
    pub label: Option<String>,
    /// What a model is told. A new prompt needs it.
    pub body: Option<String>,
    /// What a person fills in. Names that stand in the body and are not given are added.
    pub variables: Option<Vec<PromptVariable>>,
    /// Tools that it works well with.
    pub suggested_tools: Option<Vec<String>>,
    /// What is put into the composer; an empty text takes it away.
    pub user_text: Option<String>,
}

/// One version of a prompt, the present one included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PromptVersion {
    /// Names the version in a restore; a unique prefix will do.
    pub version: String,
    /// When it was written, by its author's clock.
    pub at: i64,
    /// Device that wrote it.
    pub device_id: DeviceId,
    /// Name of that device.
    pub device_name: String,
    /// Whether it deleted the prompt; then there is no text.
    pub deleted: bool,
    /// What it was called.
    pub label: String,
    /// What it said.
    pub body: String,
    /// Whether it is the present version.
    pub current: bool,
}

/// How prompts are written to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum PromptFormat {
    /// JSON, with everything a prompt has.
    #[default]
    Json,
    /// Markdown, to read and edit by hand.
    Markdown,
}

/// Prompts as the text of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PromptExport {
    /// A name for the file.
    pub file_name: String,
    /// Its content.
    pub text: String,
    /// How many prompts are in it.
    pub prompts: u32,
}

/// What came of an import. It is carried out as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PromptImport {
    /// Ids of prompts that are new.
    pub added: Vec<String>,
    /// Ids of prompts that were changed; what they said before is in their history.
    pub changed: Vec<String>,
    /// How many were there already, word for word.
    pub unchanged: u32,
}
