//! Keys for the local API.

use serde::{Deserialize, Serialize};
use specta::Type;

/// A key for the local API, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ApiKey {
    /// Its name; unique on this device.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used; `null` for never.
    pub last_used_at: Option<i64>,
    /// What it may be used for.
    pub scopes: Vec<KeyScope>,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// Asking models: chats, completions, responses, messages.
    Chat,
    /// Turning text into vectors.
    Embeddings,
    /// Listing models.
    Models,
}

impl KeyScope {
    /// What it is called in JSON, in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
        }
    }
}

/// A key that was made a moment ago.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NewApiKey {
    /// Its name; unique on this device.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used; `null`, for it is new.
    pub last_used_at: Option<i64>,
    /// What it may be used for.
    pub scopes: Vec<KeyScope>,
    /// What programs send. Told this once; this device keeps only a hash of it.
    pub secret: String,
}

impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey").field("name", &self.name).field("secret", &"hidden").finish_non_exhaustive()
    }
}

/// How programs reach this device's models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct LocalApi {
    /// Base URL for clients of OpenAI, for example `http://127.0.0.1:1473/v1`.
    pub openai_url: String,
    /// Base URL for clients of Ollama and Anthropic, for example `http://127.0.0.1:1473`.
    pub base_url: String,
    /// Whether a key is required.
    pub key_required: bool,
    /// Whether it is reached from other devices of the local network too.
    pub beyond_loopback: bool,
}

/// A request of a program at the local API. Never holds a word of question or answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ApiRequest {
    /// Its number, rising.
    pub id: u64,
    /// When it came.
    pub at: i64,
    /// Whose protocol it speaks.
    pub api: ApiKind,
    /// Its path, for example `/v1/chat/completions`.
    pub path: String,
    /// Name of its key; `null` without one.
    pub key: Option<String>,
    /// Model it asked for, where it named one.
    pub model: Option<String>,
    /// Name of the device that answers; `null` until that is decided, and where none does.
    pub device_name: Option<String>,
    /// HTTP status; `null` until the answer begins.
    pub status: Option<u16>,
    /// From the request to the end of the answer; `null` while it runs.
    pub ms: Option<u64>,
    /// Tokens of the answer, where they are told.
    pub tokens: Option<u64>,
}

/// A protocol of the local API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ApiKind {
    /// OpenAI's.
    OpenAi,
    /// Ollama's.
    Ollama,
    /// Anthropic's.
    Anthropic,
}
