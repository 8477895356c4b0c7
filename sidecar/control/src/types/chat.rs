//! Questions and answers.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::DeviceId;
use crate::error::ErrorCode;

/// A question to a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct ChatRequest {
    /// What the person says.
    pub prompt: String,
    /// `auto`, `local`, or a device: its id, a unique prefix of it, or its name. `auto` when not given.
    pub via: Option<String>,
    /// Model id; the best one on the route when not given.
    pub model: Option<String>,
    /// System message.
    pub system: Option<String>,
    /// Most tokens to answer with.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// Conversation to continue and to keep question and answer in; nothing is kept when not given.
    pub conversation: Option<String>,
    /// Message of that conversation to answer again: it and all after it are replaced by this question.
    pub replace_from: Option<String>,
}

/// One event of an answer. A stream of these ends with `done` or `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnswerEvent {
    /// Where it runs; sent before the first word.
    Route {
        /// Device that answers.
        device_id: DeviceId,
        /// Its name.
        device_name: String,
        /// Model that answers.
        model: String,
        /// Whether it is the demo model.
        demo: bool,
        /// Whether that device is this one.
        this_device: bool,
    },
    /// More text.
    Delta {
        /// The text to append.
        text: String,
    },
    /// More of the model's thinking, where it tells.
    Thinking {
        /// The text to append.
        text: String,
    },
    /// The answer is complete.
    Done {
        /// The whole text.
        text: String,
        /// Model that answered.
        model: String,
        /// Device that answered.
        device_id: DeviceId,
        /// Tokens of the answer, as the engine counted them, else the number of deltas.
        tokens: u32,
        /// From sending the question to the first text.
        first_token_ms: Option<f64>,
        /// Tokens per second from the first text to the end.
        tokens_per_s: Option<f64>,
        /// `stop`, `length`, or `cancelled`.
        finish_reason: String,
    },
    /// It ended early.
    Error {
        /// Stable reason.
        code: ErrorCode,
        /// What happened and what to do.
        message: String,
    },
}

/// A numbered event of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct AnswerItem {
    /// Position in the stream, from 1; give it as `after` to resume.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: AnswerEvent,
}
