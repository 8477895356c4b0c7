//! What can go wrong with engines and models, each as one sentence with the next step.
//!
//! Every error is cloneable (several requests may wait for one load) and free of secrets: keys never enter a variant,
//! and [`EngineUrl`](crate::EngineUrl) refuses addresses that contain one.

use std::time::Duration;

use serde::Serialize;

use crate::{EngineId, EngineUrl};

/// The stable name of an error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The address is not one an engine can have.
    InvalidUrl,
    /// The key cannot be sent in a header.
    InvalidKey,
    /// The text is not an engine id.
    InvalidId,
    /// Nothing answers at the address.
    EngineUnreachable,
    /// Something answers, but not as an engine does.
    EngineBadAnswer,
    /// Something accepts the connection but does not answer in time.
    EngineSlow,
    /// The engine asks for a key, or refuses the given one.
    EngineUnauthorized,
    /// No engine has this id.
    EngineNotFound,
    /// An engine with this id is there already.
    EngineExists,
    /// The engine stopped, could not start, or broke off an answer.
    EngineFailed,
    /// No engine here has the model.
    ModelNotFound,
    /// The model is here but cannot be loaded.
    ModelFailed,
    /// The model is here but cannot do what is asked.
    Unsupported,
    /// This process is shutting down.
    Stopping,
}

impl ErrorKind {
    /// The name as it appears in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUrl => "invalid_url",
            Self::InvalidKey => "invalid_key",
            Self::InvalidId => "invalid_id",
            Self::EngineUnreachable => "engine_unreachable",
            Self::EngineBadAnswer => "engine_bad_answer",
            Self::EngineSlow => "engine_slow",
            Self::EngineUnauthorized => "engine_unauthorized",
            Self::EngineNotFound => "engine_not_found",
            Self::EngineExists => "engine_exists",
            Self::EngineFailed => "engine_failed",
            Self::ModelNotFound => "model_not_found",
            Self::ModelFailed => "model_failed",
            Self::Unsupported => "unsupported",
            Self::Stopping => "stopping",
        }
    }
}

/// An error of this crate. `Display` is a sentence for people, [`kind`](Self::kind) the stable name for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// See [`ErrorKind::InvalidUrl`].
    #[error("\"{given}\" is not an engine address: {reason}. Write it like http://127.0.0.1:8080.")]
    InvalidUrl {
        /// The text, shortened and without control characters.
        given: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// See [`ErrorKind::InvalidKey`].
    #[error("This key cannot be used: {reason}. Copy it again from where the engine shows it.")]
    InvalidKey {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// See [`ErrorKind::InvalidId`].
    #[error("\"{given}\" is not an engine id: use 1 to 64 small letters, digits, dots, dashes and underscores.")]
    InvalidId {
        /// The text, shortened and without control characters.
        given: String,
    },
    /// See [`ErrorKind::EngineUnreachable`].
    #[error("No engine answers at {url} ({cause}). Start it there, or check the address.")]
    Unreachable {
        /// The engine's address.
        url: EngineUrl,
        /// The innermost cause, as the system words it.
        cause: String,
    },
    /// See [`ErrorKind::EngineSlow`].
    #[error(
        "{url} accepted the connection but did not answer within {} s. See whether the engine is busy or hangs, then test it again.",
        after.as_secs()
    )]
    Slow {
        /// The engine's address.
        url: EngineUrl,
        /// How long it was given.
        after: Duration,
    },
    /// See [`ErrorKind::EngineBadAnswer`].
    #[error("{url} does not answer like an engine: {what}.")]
    BadAnswer {
        /// The engine's address.
        url: EngineUrl,
        /// What came instead, and the next step.
        what: String,
    },
    /// See [`ErrorKind::EngineUnauthorized`]; no key was given.
    #[error("{url} asks for a key: add it with --key-stdin.")]
    KeyNeeded {
        /// The engine's address.
        url: EngineUrl,
    },
    /// See [`ErrorKind::EngineUnauthorized`]; the given key was refused.
    #[error("{url} refuses the given key: remove the engine and add it again with the right key on --key-stdin.")]
    KeyRefused {
        /// The engine's address.
        url: EngineUrl,
    },
    /// See [`ErrorKind::EngineNotFound`].
    #[error("There is no engine \"{id}\" here. `myownmesh engines` lists them.")]
    EngineNotFound {
        /// The id that was asked for.
        id: EngineId,
    },
    /// See [`ErrorKind::EngineExists`].
    #[error("There is already an engine \"{id}\". Remove it first to change it.")]
    EngineExists {
        /// The id that is taken.
        id: EngineId,
    },
    /// The built-in engine was asked to be removed.
    #[error("The built-in engine cannot be removed. Start the daemon with --no-builtin-engine to go without it.")]
    BuiltinStays,
    /// There is no `llama-server` to run.
    #[error("{reason}. Run `npm run engine` to build it, or set MYOWNLLM_LLAMA_SERVER to one you have.")]
    NoBinary {
        /// Where it was looked for.
        reason: String,
    },
    /// A folder or thread of the built-in engine could not be made.
    #[error("The built-in engine cannot be set up: {what} ({cause}).")]
    Setup {
        /// What was attempted.
        what: String,
        /// As the system words it.
        cause: String,
    },
    /// The engine ended in the middle of an answer.
    #[error("The engine of \"{model}\" {cause} before the answer was complete. Ask again.{}", tail_text(tail))]
    Died {
        /// The model that was answering.
        model: String,
        /// How it ended: "was killed by signal 9".
        cause: String,
        /// Its last lines on stderr that matter.
        tail: Vec<String>,
    },
    /// The connection to an engine broke in the middle of an answer.
    #[error("{url} broke off before the answer was complete ({cause}). Ask again.")]
    BrokeOff {
        /// The engine's address.
        url: EngineUrl,
        /// The innermost cause.
        cause: String,
    },
    /// See [`ErrorKind::ModelNotFound`].
    #[error("No engine on this device has a model \"{model}\". `myownmesh models` lists what is here.")]
    ModelNotFound {
        /// The model that was asked for.
        model: String,
    },
    /// See [`ErrorKind::ModelFailed`].
    #[error("The model \"{model}\" cannot be loaded: {reason}")]
    ModelFailed {
        /// The model that was asked for.
        model: String,
        /// Why, and the next step.
        reason: String,
    },
    /// A person took the model out of memory before it was loaded.
    #[error("The model \"{model}\" was taken out of memory before it was ready. Ask again to load it.")]
    Unloaded {
        /// The model that was asked for.
        model: String,
    },
    /// The engine decides by itself what is in memory.
    #[error("The engine {engine} loads and unloads \"{model}\" by itself. Ask it something, or stop it there.")]
    KeepsItself {
        /// The engine.
        engine: EngineId,
        /// The model that was asked for.
        model: String,
    },
    /// There is no Ollama to ask.
    #[error("No Ollama answers on this device. Start it, or get the model from elsewhere.")]
    NoOllama,
    /// Ollama did not do what was asked.
    #[error("Ollama at {url} refuses: {reason}.")]
    Refused {
        /// The engine's address.
        url: EngineUrl,
        /// In its words.
        reason: String,
    },
    /// See [`ErrorKind::Unsupported`].
    #[error("\"{model}\" is {is}: it cannot {asked}. Choose another model.")]
    Unsupported {
        /// The model that was asked for.
        model: String,
        /// What it is.
        is: &'static str,
        /// What was asked of it.
        asked: &'static str,
    },
    /// See [`ErrorKind::Stopping`].
    #[error("The daemon is shutting down. Ask again when it is back.")]
    Stopping,
}

impl ComputeError {
    /// The stable name of this error.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidUrl { .. } => ErrorKind::InvalidUrl,
            Self::InvalidKey { .. } => ErrorKind::InvalidKey,
            Self::InvalidId { .. } => ErrorKind::InvalidId,
            Self::Unreachable { .. } => ErrorKind::EngineUnreachable,
            Self::Slow { .. } => ErrorKind::EngineSlow,
            Self::BadAnswer { .. } => ErrorKind::EngineBadAnswer,
            Self::KeyNeeded { .. } | Self::KeyRefused { .. } => ErrorKind::EngineUnauthorized,
            Self::EngineNotFound { .. } => ErrorKind::EngineNotFound,
            Self::EngineExists { .. } => ErrorKind::EngineExists,
            Self::NoBinary { .. }
            | Self::Setup { .. }
            | Self::Died { .. }
            | Self::BrokeOff { .. }
            | Self::Refused { .. } => ErrorKind::EngineFailed,
            Self::NoOllama => ErrorKind::EngineNotFound,
            Self::ModelNotFound { .. } => ErrorKind::ModelNotFound,
            Self::ModelFailed { .. } | Self::Unloaded { .. } => ErrorKind::ModelFailed,
            Self::Unsupported { .. } | Self::KeepsItself { .. } | Self::BuiltinStays => ErrorKind::Unsupported,
            Self::Stopping => ErrorKind::Stopping,
        }
    }
}

fn tail_text(tail: &[String]) -> String {
    if tail.is_empty() {
        return String::new();
    }
    format!(" Its last lines: {}", tail.join(" | "))
}

/// Text from outside, cut to 80 characters and without control characters, fit for an error message.
pub(crate) fn quotable(text: &str) -> String {
    text.chars().filter(|c| !hides(*c)).take(80).collect()
}

/// Whether a character acts on the text around it and is not seen itself: control, direction and zero-width characters.
pub(crate) fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
