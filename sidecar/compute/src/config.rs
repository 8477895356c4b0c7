//! What the daemon tells this crate at the start.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::{EngineId, EngineKind, EngineUrl, Secret};

/// The engines to begin with.
#[derive(Debug, Clone, Default)]
pub struct ComputeConfig {
    /// Engines the person added.
    pub engines: Vec<EngineSpec>,
    /// The built-in llama-server; none to go without it.
    pub builtin: Option<BuiltinConfig>,
    /// Whether to look for Ollama at `http://127.0.0.1:11434`. It is listed only while it answers.
    pub discover_ollama: bool,
}

/// The built-in engine's surroundings.
#[derive(Debug, Clone, Default)]
pub struct BuiltinConfig {
    /// The `llama-server` to run; none to look in `$MYOWNLLM_LLAMA_SERVER`, on `PATH` and in the user's cache.
    pub binary: Option<PathBuf>,
    /// Folders whose `*.gguf` files are models, named by file stem. Missing folders are empty ones.
    pub model_dirs: Vec<PathBuf>,
    /// The demo model that comes with the app; listed as [`DEMO_MODEL`](crate::DEMO_MODEL).
    pub demo_model: Option<PathBuf>,
    /// Threads per loaded model; none to let llama-server choose.
    pub threads: Option<u16>,
    /// How long a model stays in memory that nobody asks; none for as long as there is room.
    pub idle: Option<Duration>,
    /// Most memory that loaded models take together, in bytes; none for what the device can give. One model alone may
    /// take more.
    pub memory_bytes: Option<u64>,
    /// Models that stay in memory, once they are there.
    pub pinned: BTreeSet<String>,
    /// A private folder, made with mode 0700: the working directory of the children.
    pub run_dir: PathBuf,
}

/// One engine the person added.
#[derive(Debug, Clone)]
pub struct EngineSpec {
    /// Its name here.
    pub id: EngineId,
    /// Its protocol; none to find out.
    pub kind: Option<EngineKind>,
    /// Its base address.
    pub url: EngineUrl,
    /// Its key.
    pub key: Option<Secret>,
}

impl EngineSpec {
    /// An engine known by its address alone: `serve --engine URL`.
    pub fn from_url(url: EngineUrl) -> Self {
        Self { id: EngineId::for_url(&url), kind: None, url, key: None }
    }
}

/// Times that tests shorten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// How often an engine that answers is asked for its models, and model folders are read.
    pub(crate) poll: Duration,
    /// The longest pause between questions to an engine that does not answer.
    pub(crate) poll_down_max: Duration,
    /// How long an engine may take to answer a question of ours.
    pub(crate) probe: Duration,
    /// How long a model may take to load.
    pub(crate) load: Duration,
    /// How long a child may take to end by itself after SIGTERM.
    pub(crate) grace: Duration,
    /// Smallest file, in bytes, that tells how fast models are loaded: with smaller ones the start of the process counts.
    pub(crate) measured_from: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            poll_down_max: Duration::from_secs(30),
            probe: Duration::from_secs(4),
            load: Duration::from_secs(300),
            grace: Duration::from_millis(1200),
            measured_from: 100_000_000,
        }
    }
}
