//! A built-in engine in a temporary folder, and readers of answers.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use myownmesh_compute::{
    BuiltinConfig, Compute, ComputeConfig, ComputeError, ComputeSnapshot, EngineResponse, EngineSpec, EngineState,
    EngineUrl, OpenAiPath,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What `chain.gguf` always answers.
pub(crate) const SENTENCE: &str = "Hello from a tiny model on this device, which always says the same sentence.";
/// Longest time anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A built-in engine with models of its own.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) compute: Compute,
}

impl Home {
    /// Starts with copies of the named test models.
    pub(crate) async fn with(models: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("models")).expect("made");
        for name in models {
            std::fs::copy(fixture(name), folder.path().join("models").join(name)).expect("copied");
        }
        let compute = start_in(folder.path()).await;
        Self { folder, compute }
    }

    /// Starts with models that are copies of the named test models, and what `change` makes of the usual settings.
    pub(crate) async fn tuned(models: &[(&str, &str)], change: impl FnOnce(&mut BuiltinConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("models")).expect("made");
        for (name, of) in models {
            let file = folder.path().join("models").join(format!("{name}.gguf"));
            std::fs::copy(fixture(&format!("{of}.gguf")), file).expect("copied");
        }
        let mut builtin = builtin_in(folder.path());
        change(&mut builtin);
        Self { compute: start(builtin).await, folder }
    }

    pub(crate) fn model_path(&self, name: &str) -> PathBuf {
        self.folder.path().join("models").join(name)
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }
}

/// A built-in engine with the models and run folder below `folder`.
pub(crate) async fn start_in(folder: &Path) -> Compute {
    start(builtin_in(folder)).await
}

fn builtin_in(folder: &Path) -> BuiltinConfig {
    BuiltinConfig {
        model_dirs: vec![folder.join("models")],
        threads: Some(1),
        run_dir: folder.join("run"),
        ..BuiltinConfig::default()
    }
}

async fn start(builtin: BuiltinConfig) -> Compute {
    let compute = Compute::start(ComputeConfig { builtin: Some(builtin), ..ComputeConfig::default() }).await;
    let compute = compute.expect("a built-in engine");
    let engine = compute.snapshot().engines[0].clone();
    assert_ne!(
        engine.state,
        EngineState::Failed,
        "these tests need llama-server: {}",
        engine.reason.unwrap_or_default()
    );
    compute
}

/// No engine at all.
pub(crate) async fn bare() -> Compute {
    Compute::start(ComputeConfig::default()).await.expect("nothing to go wrong")
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

pub(crate) fn spec(url: &str) -> EngineSpec {
    EngineSpec::from_url(EngineUrl::parse(url).expect("an address"))
}

/// Fails the test when `work` takes longer than anything should.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("within the limit")
}

/// Waits until readers see what `wanted` looks for.
pub(crate) async fn seen(compute: &Compute, wanted: impl FnMut(&Arc<ComputeSnapshot>) -> bool) -> Arc<ComputeSnapshot> {
    let mut watch = compute.watch();
    soon(watch.wait_for(wanted)).await.expect("the actor lives").clone()
}

fn chat_body(model: &str, stream: bool, limit: Option<u32>) -> Bytes {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }], "stream": stream });
    if let Some(limit) = limit {
        body["max_tokens"] = json!(limit);
    }
    body.to_string().into()
}

/// Asks `model` and returns with the head of a streamed answer.
pub(crate) async fn open_stream(compute: &Compute, model: &str) -> Result<EngineResponse, ComputeError> {
    soon(compute.forward(OpenAiPath::ChatCompletions, model, chat_body(model, true, None))).await
}

/// Asks `model` and returns the whole answer, which is not streamed.
pub(crate) async fn ask(compute: &Compute, model: &str) -> Result<String, ComputeError> {
    let answer = soon(compute.forward(OpenAiPath::ChatCompletions, model, chat_body(model, false, Some(50)))).await?;
    let value = json_of(answer).await?;
    Ok(value["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned())
}

/// The whole body as JSON.
pub(crate) async fn json_of(answer: EngineResponse) -> Result<Value, ComputeError> {
    Ok(serde_json::from_str(&text_of(answer).await?).expect("JSON"))
}

/// The whole body as text.
pub(crate) async fn text_of(mut answer: EngineResponse) -> Result<String, ComputeError> {
    let mut body = Vec::new();
    while let Some(piece) = soon(answer.body.next()).await {
        body.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(body).expect("text"))
}

/// The words in a streamed answer, put together; and whether it was ended as it should be.
pub(crate) fn words_in(events: &str) -> (String, bool) {
    let mut words = String::new();
    for event in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if let Ok(value) = serde_json::from_str::<Value>(event) {
            words.push_str(value["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        }
    }
    (words, events.trim_end().ends_with("data: [DONE]"))
}
