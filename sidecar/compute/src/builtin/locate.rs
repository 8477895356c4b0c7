//! Finds the `llama-server` to run: `$MYOWNLLM_LLAMA_SERVER`, then `PATH`, then the user's cache, where
//! `npm run engine` puts the one it builds. The script looks in the same places in the same order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder in the cache that belongs to this version; `scripts/engine/pin.json` has the same numbers.
const PINNED: &str = "llama-server-0.3.36-r1";
const BINARY: &str = if cfg!(windows) { "llama-server.exe" } else { "llama-server" };

/// The binary, or why there is none.
///
/// # Errors
/// A clause that says where it was looked for.
pub(crate) fn locate(configured: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    if let Some(path) = configured {
        return if is_executable(path) {
            absolute(path)
        } else {
            Err(format!("{} is not an executable file", path.display()))
        };
    }
    if let Some(given) = env("MYOWNLLM_LLAMA_SERVER").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(given);
        return if is_executable(&path) {
            absolute(&path)
        } else {
            Err(format!("MYOWNLLM_LLAMA_SERVER names {}, which is not an executable file", path.display()))
        };
    }
    let on_path = env("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = std::env::split_paths(&on_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(BINARY))
        .collect();
    candidates.extend(cache_folder(&env).map(|cache| cache.join("myownllm/engine").join(PINNED).join(BINARY)));
    candidates
        .into_iter()
        .find(|path| is_executable(path))
        .ok_or_else(|| "There is no llama-server on PATH or in the cache of this user".to_owned())
}

/// Children run in a folder of their own, where a relative path would mean something else.
fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{} cannot be used ({error})", path.display()))
}

fn cache_folder(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || env("HOME").map(PathBuf::from);
    if cfg!(windows) {
        return env("LOCALAPPDATA").map(PathBuf::from);
    }
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library/Caches"));
    }
    env("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home().map(|home| home.join(".cache")))
}

fn is_executable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    {
        path.is_file()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn executable(path: &Path) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, "#!/bin/sh\n").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
    }

    fn with(vars: &HashMap<&str, PathBuf>, configured: Option<&Path>) -> Result<PathBuf, String> {
        locate(configured, |name| vars.get(name).map(|path| path.clone().into_os_string()))
    }

    #[test]
    fn looks_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let cached = folder.path().join("cache/myownllm/engine").join(PINNED).join(BINARY);
        let on_path = folder.path().join("bin").join(BINARY);
        let given = folder.path().join("mine/server");
        let mut vars =
            HashMap::from([("XDG_CACHE_HOME", folder.path().join("cache")), ("PATH", folder.path().join("bin"))]);
        assert!(with(&vars, None).expect_err("nothing there").contains("no llama-server"));
        if cfg!(target_os = "linux") {
            executable(&cached);
            assert_eq!(with(&vars, None), Ok(cached));
        }
        executable(&on_path);
        assert_eq!(with(&vars, None), Ok(on_path.clone()));
        vars.insert("MYOWNLLM_LLAMA_SERVER", given.clone());
        assert!(with(&vars, None).expect_err("not there").contains("MYOWNLLM_LLAMA_SERVER names"));
        executable(&given);
        assert_eq!(with(&vars, None), Ok(given.clone()));
        assert_eq!(with(&vars, Some(&on_path)), Ok(on_path.clone()));
        fs::set_permissions(&on_path, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(with(&vars, Some(&on_path)).expect_err("no right").contains("not an executable file"));
    }

    #[test]
    fn the_script_pins_the_same_build() {
        let pin: serde_json::Value =
            serde_json::from_str(include_str!("../../../../scripts/engine/pin.json")).expect("JSON");
        let version = pin["version"].as_str().expect("a version");
        let recipe = pin["recipe"].as_u64().expect("a number");
        assert_eq!(PINNED, format!("llama-server-{version}-r{recipe}"));
    }
}
