//! Conversations kept by the daemon, per network.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::{DeviceId, Seam};

/// One conversation in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ConversationSummary {
    /// Its id.
    pub id: String,
    /// Its title: given by the person, else taken from the first question.
    pub title: String,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// How many messages it holds.
    pub messages: u32,
    /// Folder it lies in; `null` for none.
    pub folder: Option<String>,
    /// Whether it is kept out of what this device shows its network.
    pub private: bool,
    /// Answer that is being written into it now; follow it with `answer_events`.
    pub answering: Option<String>,
}

/// A conversation with its messages, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Conversation {
    /// The list entry.
    pub summary: ConversationSummary,
    /// Its messages.
    pub messages: Vec<Message>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Who said it.
    pub author: Author,
    /// What was said, Markdown.
    pub text: String,
    /// The model's thinking, where it told.
    pub thinking: Option<String>,
    /// When.
    pub at: i64,
    /// How the answer was made; `null` for a person's message.
    pub answer: Option<AnswerDetails>,
}

/// Who said a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The person.
    Person,
    /// The model.
    Model,
}

/// How an answer was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct AnswerDetails {
    /// Device that answered; `null` when no route was found.
    pub device_id: Option<DeviceId>,
    /// Its name at that time.
    pub device_name: Option<String>,
    /// Model that answered.
    pub model: Option<String>,
    /// Whether it was the demo model.
    pub demo: bool,
    /// Tokens of the answer.
    pub tokens: Option<u32>,
    /// From sending the question to the first text.
    pub first_token_ms: Option<f64>,
    /// Tokens per second from the first text to the end.
    pub tokens_per_s: Option<f64>,
    /// `answering` while it is written, then `stop`, `length`, `cancelled`, `failed` or `interrupted` (the daemon ended).
    pub finish_reason: String,
    /// Why it failed; `null` otherwise.
    pub error: Option<String>,
    /// From sending the question to the end.
    #[serde(default)]
    pub total_ms: Option<f64>,
    /// What was predicted for the time to the first text.
    #[serde(default)]
    pub predicted_first_token_ms: Option<f64>,
    /// What was predicted for the time to the end.
    #[serde(default)]
    pub predicted_total_ms: Option<f64>,
    /// Where it changed hands, in order.
    #[serde(default)]
    pub seams: Vec<Seam>,
}
