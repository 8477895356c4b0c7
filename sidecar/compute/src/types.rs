//! The words of this crate: engines, models, and what a reader sees of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::quotable;
use crate::{ComputeError, EngineUrl};

/// The name of an engine on this device: 1 to 64 small letters, digits, dots, dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineId(String);

impl EngineId {
    /// Parses an id.
    ///
    /// # Errors
    /// [`ComputeError::InvalidId`].
    pub fn parse(text: &str) -> Result<Self, ComputeError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
            return Err(ComputeError::InvalidId { given: quotable(text) });
        }
        Ok(Self(text.to_owned()))
    }

    /// The id of the built-in engine, `builtin`.
    pub fn builtin() -> Self {
        Self("builtin".to_owned())
    }

    /// The id of the Ollama found on this device, `ollama`.
    pub fn ollama() -> Self {
        Self("ollama".to_owned())
    }

    /// The id an engine gets when the person names none: its host and port.
    pub fn for_url(url: &EngineUrl) -> Self {
        let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' };
        let text: String = url.id_text().to_lowercase().chars().map(plain).take(64).collect();
        Self(text.trim_matches('-').to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EngineId {
    type Error = ComputeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EngineId> for String {
    fn from(id: EngineId) -> Self {
        id.0
    }
}

/// A key for an engine. `Debug` hides it; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a key as a person pasted it; surrounding white space is dropped.
    ///
    /// # Errors
    /// [`ComputeError::InvalidKey`] when it is empty, longer than 4096 bytes, or cannot be sent in a header.
    pub fn parse(text: &str) -> Result<Self, ComputeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ComputeError::InvalidKey { reason: "it is empty" });
        }
        if text.len() > 4096 {
            return Err(ComputeError::InvalidKey { reason: "it is longer than 4096 characters" });
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(ComputeError::InvalidKey { reason: "it contains spaces or characters that are not ASCII" });
        }
        Ok(Self(text.to_owned()))
    }

    /// A fresh key with 256 random bits, for a child of ours.
    pub(crate) fn random() -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in rand::random::<[u8; 32]>() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The key itself, for the place that stores or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Which protocol an engine speaks besides OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EngineKind {
    /// Ollama: models from `/api/tags`, chat through its `/v1`.
    #[serde(rename = "ollama")]
    Ollama,
    /// Anything with OpenAI's HTTP API.
    #[serde(rename = "openai")]
    OpenAi,
    /// llama.cpp's server, ours or someone else's.
    #[serde(rename = "llama-server")]
    LlamaServer,
}

/// Where an engine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// Not heard from yet, or loading its first model.
    Starting,
    /// Answers.
    Ready,
    /// Does not answer, or cannot start; `reason` says why.
    Failed,
    /// The built-in engine with nothing loaded: it starts with the first request.
    Idle,
}

/// An engine as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineInfo {
    /// Its name here.
    pub id: EngineId,
    /// Its protocol; `openai` until an engine of unknown kind has answered once.
    pub kind: EngineKind,
    /// Its address; none for the built-in engine, whose addresses are its own business.
    pub url: Option<String>,
    /// Where it stands.
    pub state: EngineState,
    /// Why, when it is not ready.
    pub reason: Option<String>,
    /// The ids of its models.
    pub models: Vec<String>,
    /// Whether it is the built-in one.
    pub builtin: bool,
}

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// Here, and loaded with the first request.
    Available,
    /// On its way to a device. An engine never says so of a model; whoever downloads it does.
    Downloading,
    /// Being loaded, or about to be started again.
    Loading,
    /// Loaded.
    Ready,
    /// Cannot be loaded; `reason` says why.
    Failed,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// It answers.
    Chat,
    /// It turns text into vectors.
    Embedding,
}

/// A model as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// Its name; what a request's `model` field holds.
    pub id: String,
    /// The engine that has it.
    pub engine: EngineId,
    /// Where it stands.
    pub state: ModelState,
    /// Why, when it failed, is being started again or waits for memory.
    pub reason: Option<String>,
    /// How far loading is, 0 to 95 in steps of 5: an estimate from how fast earlier models were loaded; none before
    /// there were any.
    pub percent: Option<u8>,
    /// Tokens it can take at once, when known. For the built-in engine: what it is loaded with.
    pub context_length: Option<u32>,
    /// Its size on disk in bytes, when known.
    pub size_bytes: Option<u64>,
    /// Whether it is the demo model that comes with the app.
    pub demo: bool,
    /// What it is for.
    pub purpose: Purpose,
}

/// A model was given something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The engine it runs on.
    pub engine: EngineId,
    /// Its id.
    pub model: String,
}

/// Everything a reader can know at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ComputeSnapshot {
    /// The engines, the built-in one first.
    pub engines: Vec<EngineInfo>,
    /// Their models; the demo model last.
    pub models: Vec<ModelInfo>,
}

impl ComputeSnapshot {
    /// The engine with this id.
    pub fn engine(&self, id: &EngineId) -> Option<&EngineInfo> {
        self.engines.iter().find(|engine| engine.id == *id)
    }

    /// The model a request for `id` would use.
    pub fn model(&self, id: &str) -> Option<&ModelInfo> {
        let usable = |model: &&ModelInfo| model.id == id && model.state != ModelState::Failed;
        self.models.iter().find(usable).or_else(|| self.models.iter().find(|model| model.id == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_text() {
        assert!(EngineId::parse("ollama").is_ok());
        for bad in ["", "Ollama", "a b", "a/b", "\u{202e}x", &"a".repeat(65)] {
            assert_eq!(EngineId::parse(bad).expect_err(bad).kind().as_str(), "invalid_id");
        }
    }

    #[test]
    fn an_id_made_from_an_address_is_valid() {
        for (url, id) in [
            ("http://127.0.0.1:8080", "127.0.0.1-8080"),
            ("https://Example.org/api/v1", "example.org-443-api"),
            ("http://[::1]:9", "1--9"),
        ] {
            let made = EngineId::for_url(&EngineUrl::parse(url).expect(url));
            assert_eq!(made.as_str(), id);
            assert!(EngineId::parse(made.as_str()).is_ok());
        }
    }

    #[test]
    fn a_secret_stays_hidden() {
        let secret = Secret::parse(" hunter2\n").expect("a plain key");
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        for bad in ["", " ", "a b", "naïve", "a\u{0}b", &"k".repeat(4097)] {
            let error = Secret::parse(bad).expect_err("a bad key");
            assert_eq!(error.kind().as_str(), "invalid_key");
        }
        assert_ne!(Secret::random(), Secret::random());
        assert!(Secret::parse(Secret::random().expose()).is_ok());
    }

    #[test]
    fn kinds_have_the_names_of_the_command_line() {
        for (kind, text) in [
            (EngineKind::Ollama, "\"ollama\""),
            (EngineKind::OpenAi, "\"openai\""),
            (EngineKind::LlamaServer, "\"llama-server\""),
        ] {
            assert_eq!(serde_json::to_string(&kind).expect("a plain enum"), text);
        }
    }
}
