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
    /// The last answer of that conversation, which ended early: it is gone on with from its text so far, and `prompt`
    /// is empty.
    #[serde(default)]
    pub continue_message: Option<String>,
    /// How a device is chosen where `via` is `auto`.
    #[serde(default)]
    pub policy: RoutePolicy,
    /// What the model is for, where none is named; chat when not given.
    #[serde(default)]
    pub purpose: Option<RoutePurpose>,
}

/// How a device is chosen for a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct RoutePolicy {
    /// Whose devices come first; whichever answers soonest when not given.
    #[serde(default)]
    pub prefer: Option<RoutePreference>,
    /// Only devices with a graphics processor.
    #[serde(default)]
    pub require_gpu: bool,
    /// Only devices with a neural processor.
    #[serde(default)]
    pub require_npu: bool,
    /// Only models whose name begins with this family, for example `qwen3`.
    #[serde(default)]
    pub family: Option<String>,
}

/// Whose devices come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum RoutePreference {
    /// This device, as long as it can answer.
    Here,
    /// Others, as long as one of them can.
    Others,
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum RoutePurpose {
    /// Talking.
    Chat,
    /// Writing programs.
    Code,
    /// Making a long text short.
    Summarise,
    /// Looking at pictures.
    Vision,
    /// Turning text into vectors.
    Embeddings,
}

/// Where a question would run, without running it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RoutePlan {
    /// The best candidate.
    pub chosen: PlannedRoute,
    /// The others, best first, then those that cannot answer, each with why not.
    pub alternatives: Vec<PlannedRoute>,
}

/// A device and a model that could answer, and what that would be like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[expect(clippy::struct_excessive_bools, reason = "plain data: each is a fact of its own")]
pub struct PlannedRoute {
    /// The device.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Whether it is this one.
    pub this_device: bool,
    /// The model, as that device names it; empty where the device has none that would do.
    pub model: String,
    /// Whether it is the demo model.
    pub demo: bool,
    /// Whether it can answer at all.
    pub usable: bool,
    /// Predicted time to the first word.
    pub first_token_ms: Option<f64>,
    /// Predicted time to the end of the answer.
    pub total_ms: Option<f64>,
    /// Memory that the model takes there, in bytes, when known.
    pub memory_bytes: Option<u64>,
    /// Requests that go first.
    pub queue: u32,
    /// Whether the model is loaded.
    pub loaded: bool,
    /// Why it was chosen, comes later, or cannot answer. A sentence.
    pub reason: String,
}

/// One of several answers to the same question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FanOutAnswer {
    /// Id of the answer; follow it with `answer_events`.
    pub id: String,
    /// Device that is asked.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Whether it is this one.
    pub this_device: bool,
    /// Model that is asked.
    pub model: String,
}

/// What an answer waits for before its next word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum WaitState {
    /// For others that go first.
    Queued,
    /// For the model to be loaded.
    Loading,
    /// For the question to be read by the model.
    Prefill,
    /// For the link to the device.
    Reconnecting,
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
        /// Predicted time to the first word, where there is a prediction.
        predicted_first_token_ms: Option<f64>,
        /// Predicted time to the end, where there is a prediction.
        predicted_total_ms: Option<f64>,
    },
    /// It waits for something before its next word.
    Waiting {
        /// For what.
        state: WaitState,
        /// How many requests go first; of `queued`.
        position: Option<u32>,
        /// How far it is, 0 to 100; of `loading` and `prefill`, where that is known.
        percent: Option<u8>,
        /// How long it may take, in milliseconds, where that is known.
        wait_ms: Option<u64>,
    },
    /// What follows comes from another device, or from another attempt on the same one: it goes on from the text so far.
    Seam {
        /// The seam.
        #[serde(flatten)]
        seam: Seam,
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
        /// From sending the question to the end.
        total_ms: f64,
        /// What was predicted for the time to the first text.
        predicted_first_token_ms: Option<f64>,
        /// What was predicted for the time to the end.
        predicted_total_ms: Option<f64>,
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

/// Where an answer changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Seam {
    /// How much of the text came before it, in bytes of UTF-8.
    pub at: u32,
    /// Device that goes on.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Model that goes on.
    pub model: String,
    /// What happened to the one before, as a sentence.
    pub reason: String,
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
