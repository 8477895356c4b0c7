//! The model library: open models that can be had, and how they get here.

use serde::{Deserialize, Serialize};
use specta::Type;

use crate::error::ErrorCode;

/// Models of one make in several sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelFamily {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub publisher: String,
    /// Its licence, by its usual name.
    pub licence: String,
    /// What its models are good for, the best first.
    pub purposes: Vec<ModelPurpose>,
    /// Its models.
    pub models: Vec<FamilyModel>,
}

/// What a model is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ModelPurpose {
    /// Talking.
    Chat,
    /// Writing programs.
    Code,
    /// Looking at pictures.
    Vision,
    /// Turning text into vectors.
    Embeddings,
    /// Turning speech into text.
    Speech,
}

/// A model of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FamilyModel {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its parameters, in millions.
    pub parameters_millions: u32,
    /// How many of them work on each token, in millions.
    pub active_millions: u32,
    /// Tokens it takes at once; `null` where that means nothing.
    pub context_length: Option<u32>,
    /// What can be downloaded of it.
    pub variants: Vec<ModelVariant>,
}

/// A model at one quantisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelVariant {
    /// Its id, to download it by.
    pub id: String,
    /// Its quantisation, for example `Q4_K_M`.
    pub quantisation: String,
    /// About what is downloaded, in bytes.
    pub size_bytes: u64,
    /// Memory it needs to run, in bytes.
    pub memory_bytes: u64,
    /// How well it fits this device.
    pub fit: ModelFit,
    /// Why, as a sentence.
    pub reason: String,
    /// Whether its files are in the models folder of this device.
    pub here: bool,
}

/// How well a model fits a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ModelFit {
    /// It runs fast and leaves room.
    Recommended,
    /// It runs.
    Fits,
    /// It runs, slowly or with nothing to spare.
    Tight,
    /// It cannot run here.
    TooBig,
}

/// One event of a download. A stream of these ends with `done`, `paused` or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ModelGetEvent {
    /// How far it is.
    Progress {
        /// Id of what is downloaded.
        variant: String,
        /// Where it comes from: `hub`, `ollama`, or the name of a device.
        source: String,
        /// What it does.
        state: ModelGetState,
        /// Bytes that are here.
        bytes: u64,
        /// All bytes; `null` until the hub has told.
        total: Option<u64>,
        /// Bytes a second lately.
        rate: u64,
    },
    /// It is here, verified.
    Done {
        /// Id of what was downloaded.
        variant: String,
        /// Id it is offered under; `null` when no engine of this device runs it.
        model: Option<String>,
        /// Path of its weights.
        path: String,
        /// SHA-256 of that file.
        sha256: String,
        /// All its files.
        files: Vec<ModelFile>,
        /// What to know about where it came from, as a sentence; not there when there is nothing to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[specta(optional)]
        note: Option<String>,
    },
    /// It was stopped. What has arrived stays, and the next start goes on from there.
    Paused {
        /// Bytes that are here.
        bytes: u64,
        /// All bytes; `null` when the hub has not told.
        total: Option<u64>,
    },
    /// It failed. What has arrived and is sound stays.
    Error {
        /// Stable reason.
        code: ErrorCode,
        /// What happened and what to do.
        message: String,
    },
}

/// What a download does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ModelGetState {
    /// Waiting for others to end.
    Queued,
    /// Asking the hub what the files are.
    Asking,
    /// Fetching.
    Downloading,
    /// Comparing what arrived with its hash.
    Verifying,
}

/// A file that was downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelFile {
    /// Its path on this device.
    pub path: String,
    /// Its hash.
    pub sha256: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
}

/// What was deleted of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelRemoved {
    /// Paths of the files; of an imported model, of the reference to it.
    pub files: Vec<String>,
    /// What that freed, in bytes.
    pub freed_bytes: u64,
}

/// A model that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelImported {
    /// Id it is offered under; `null` when no engine of this device runs it.
    pub model: Option<String>,
    /// Path of the reference in the models folder.
    pub path: String,
}

/// A numbered event of a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelGetItem {
    /// Position in the stream, from 1; give it as `after` to resume.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: ModelGetEvent,
}

/// The models that are kept on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelShelf {
    /// The models, the largest first.
    pub models: Vec<KeptModel>,
    /// Where downloads are kept.
    pub folder: String,
    /// What the models of that folder take, in bytes.
    pub used_bytes: u64,
    /// What is free on its disk, in bytes; `null` where that is not known.
    pub free_bytes: Option<u64>,
    /// Where the catalogue comes from.
    pub catalogue: CatalogueSource,
}

/// A model that is kept on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct KeptModel {
    /// Id it is offered under.
    pub id: String,
    /// Id of its engine.
    pub engine: String,
    /// Its variant in the catalogue; `null` for one that is not of it.
    pub variant: Option<String>,
    /// Path of its weights; `null` where the engine keeps them.
    pub path: Option<String>,
    /// What it takes on disk, in bytes, where that is known.
    pub size_bytes: Option<u64>,
    /// Whether it is a reference to a file that lies elsewhere.
    pub imported: bool,
    /// Whether it is the demo model, which cannot be deleted.
    pub demo: bool,
    /// Whether it stays: in memory when idle, and out of what is suggested for deletion.
    pub pinned: bool,
    /// Whether it is in memory.
    pub state: super::ModelState,
    /// How far it is, 0 to 100; of `loading` and `downloading`, where that is known.
    pub percent: Option<u8>,
    /// Why it failed; `null` otherwise.
    pub reason: Option<String>,
    /// When it last answered; `null` for never.
    pub last_used_at: Option<i64>,
    /// Days since then, or since it came here.
    pub unused_days: u32,
}

/// Where the catalogue of models comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct CatalogueSource {
    /// URL of one that is composed with the bundled one; `null` for none.
    pub url: Option<String>,
    /// When it was last fetched.
    pub fetched_at: Option<i64>,
    /// When it is fetched again.
    pub due_at: Option<i64>,
    /// Why the last fetch failed, as a sentence; the one before stays in use.
    pub error: Option<String>,
}
