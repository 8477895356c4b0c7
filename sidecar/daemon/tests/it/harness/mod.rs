//! What the tests are built on: homes, daemons in their own processes, the command line, engines, and the steps people
//! take. Nothing here sleeps for a fixed time: everything waits for an event or a condition, with a deadline.

mod attic;
mod cli;
mod daemon;
mod engine;
mod hub;
mod ollama;
mod place;
pub(crate) mod process;
pub(crate) mod shared;
pub(crate) mod story;
pub(crate) mod stranger;
mod web;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::attic::Attic;
pub(crate) use self::cli::{Running, cli, cli_json, cli_with_input, ok, refused};
pub(crate) use self::daemon::{Daemon, Watch, follow};
pub(crate) use self::engine::{COUNT, Engine, Mock};
pub(crate) use self::hub::{Hub, stand_in};
pub(crate) use self::ollama::{DIGEST, Ollama};
pub(crate) use self::place::Place;
pub(crate) use self::web::{Stream, api_error, raw, web};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_myownmesh");

/// What the `chain` model always answers.
pub(crate) const SENTENCE: &str = "Hello from a tiny model on this device, which always says the same sentence.";

/// The longest anything may take on a busy machine. Where a promise names a time, the test names it too.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The result of `future`, which must come within [`LIMIT`].
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(result) => result,
        Err(_) => panic!("{what} did not come within {LIMIT:?}"),
    }
}

/// A test model.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../compute/fixtures/{name}.gguf"))
}

/// The llama-server that `npm run engine` built, or the one the environment names.
pub(crate) fn llama_server() -> PathBuf {
    if let Some(named) = std::env::var_os("MYOWNLLM_LLAMA_SERVER").filter(|value| !value.is_empty()) {
        return named.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let builds = cache.expect("a cache folder").join("myownllm/engine");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&builds)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("llama-server")))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("no llama-server in {}: run `npm run engine` first", builds.display()))
}
