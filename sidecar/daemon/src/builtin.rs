//! Where the things that come with the app are: the engine's binary, the demo model.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use myownmesh_compute::{BuiltinConfig, EngineId};

use crate::config::Config;
use crate::library::Notes;

/// Minutes that a model stays in memory that nobody asks, unless a person says otherwise.
const IDLE_MINUTES: u32 = 10;
const DEMO: &str = "myownllm-demo.gguf";
const ENGINE: &str = if cfg!(windows) { "llama-server.exe" } else { "llama-server" };

/// The built-in engine of `home`. `env` looks up environment variables.
pub(crate) fn config(home: &Path, env: impl Fn(&str) -> Option<OsString>) -> BuiltinConfig {
    let folder = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    BuiltinConfig {
        binary: bundled_engine(folder.as_deref(), &env),
        model_dirs: vec![home.join("models")],
        demo_model: demo_model(folder.as_deref(), &env),
        threads: env("MYOWNMESH_ENGINE_THREADS").and_then(|text| text.to_str()?.parse().ok()),
        run_dir: home.join("run").join("engine"),
        ..BuiltinConfig::default()
    }
}

/// The same with what a person settled about memory.
pub(crate) fn with_settings(engine: BuiltinConfig, config: &Config, notes: &Notes) -> BuiltinConfig {
    let idle = config.model_idle_minutes.unwrap_or(IDLE_MINUTES);
    BuiltinConfig {
        idle: (idle > 0).then(|| Duration::from_secs(u64::from(idle) * 60)),
        memory_bytes: config.model_memory_mb.map(|megabytes| megabytes.saturating_mul(1_000_000)),
        pinned: notes.pinned(&EngineId::builtin()),
        ..engine
    }
}

/// The engine beside the executable, unless a person names another one. Otherwise the built-in engine looks on `PATH`
/// and in the user's cache by itself.
fn bundled_engine(folder: Option<&Path>, env: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if env("MYOWNLLM_LLAMA_SERVER").is_some_and(|value| !value.is_empty()) {
        return None;
    }
    folder.map(|folder| folder.join(ENGINE)).filter(|path| path.is_file())
}

/// The demo model: the one named by `MYOWNLLM_DEMO_MODEL` (empty: none), else the installed one, else in development
/// builds the one of the source tree.
fn demo_model(folder: Option<&Path>, env: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(named) = env("MYOWNLLM_DEMO_MODEL") {
        return Some(PathBuf::from(named)).filter(|path| !path.as_os_str().is_empty());
    }
    let installed = ["../share/myownllm", "resources", "../Resources", "../lib/myownllm/resources", "."]
        .into_iter()
        .filter_map(|place| Some(folder?.join(place).join(DEMO)));
    let source =
        cfg!(debug_assertions).then(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo").join(DEMO));
    installed.chain(source).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_names_wins() {
        let folder = tempfile::tempdir().expect("folder");
        let none = |_: &str| None;
        assert_eq!(bundled_engine(Some(folder.path()), &none), None);
        let beside = folder.path().join(ENGINE);
        std::fs::write(&beside, "").expect("written");
        assert_eq!(bundled_engine(Some(folder.path()), &none), Some(beside));
        let named = |name: &str| (name == "MYOWNLLM_LLAMA_SERVER").then(|| OsString::from("/x"));
        assert_eq!(bundled_engine(Some(folder.path()), &named), None);
    }

    #[test]
    fn the_demo_model_is_found_where_it_is_installed() {
        let folder = tempfile::tempdir().expect("folder");
        let none = |_: &str| None;
        let resources = folder.path().join("resources");
        std::fs::create_dir(&resources).expect("made");
        std::fs::write(resources.join(DEMO), "").expect("written");
        assert_eq!(demo_model(Some(folder.path()), &none), Some(resources.join(DEMO)));
        let off = |name: &str| (name == "MYOWNLLM_DEMO_MODEL").then(OsString::new);
        assert_eq!(demo_model(Some(folder.path()), &off), None);
        let named = |name: &str| (name == "MYOWNLLM_DEMO_MODEL").then(|| OsString::from("/other.gguf"));
        assert_eq!(demo_model(Some(folder.path()), &named), Some(PathBuf::from("/other.gguf")));
    }
}
