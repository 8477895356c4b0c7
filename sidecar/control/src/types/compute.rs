//! Engines and models.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::DeviceId;

/// A local compute backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Engine {
    /// Id to name it by.
    pub id: String,
    /// What it speaks.
    pub kind: EngineKind,
    /// Its base URL; `null` for the built-in one.
    pub url: Option<String>,
    /// Whether it works.
    pub state: EngineState,
    /// Why it is in this state, as a sentence.
    pub reason: String,
    /// Ids of its models.
    pub models: Vec<String>,
    /// Whether this is the engine that comes with the app.
    pub builtin: bool,
}

/// What an engine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// Ollama.
    Ollama,
    /// Any OpenAI-compatible HTTP endpoint.
    #[serde(rename = "openai")]
    OpenAi,
    /// llama.cpp's server.
    LlamaServer,
}

/// Whether an engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// Being asked or started.
    Starting,
    /// Answers.
    Ready,
    /// Does not answer as it should; the reason says why.
    Failed,
}

/// An engine to add.
#[derive(Clone, Serialize, Deserialize, Type)]
pub struct EngineSpec {
    /// Base URL, with or without `/v1`.
    pub url: String,
    /// What it speaks; found out when not given.
    pub kind: Option<EngineKind>,
    /// Key it asks for. Goes to the keychain, never into a log or an error.
    pub key: Option<String>,
}

impl std::fmt::Debug for EngineSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.key.as_ref().map(|_| "[secret]");
        f.debug_struct("EngineSpec").field("url", &self.url).field("kind", &self.kind).field("key", &key).finish()
    }
}

/// A model that can be reached now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Model {
    /// Id as its device names it.
    pub id: String,
    /// Device that has it.
    pub device: DeviceId,
    /// Name of that device.
    pub device_name: String,
    /// Whether that device is this one.
    pub this_device: bool,
    /// Id of the engine on that device.
    pub engine: String,
    /// Whether it can answer.
    pub state: ModelState,
    /// Why it failed; `null` otherwise.
    pub reason: Option<String>,
    /// How far it is, 0 to 100; of `loading` and `downloading`, where that is known.
    pub percent: Option<u8>,
    /// Tokens of context; `null` when the engine does not tell.
    pub context_length: Option<u32>,
    /// Size of its weights; `null` when the engine does not tell.
    pub size_bytes: Option<u64>,
    /// Whether it is the demo model that knows only this app.
    pub demo: bool,
}

/// Whether a model can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// Not in memory; loads at the first request.
    Available,
    /// Not there yet: on its way to the device.
    Downloading,
    /// Being loaded.
    Loading,
    /// In memory.
    Ready,
    /// Could not be loaded.
    Failed,
}
