//! What the shell itself answers.

use myownmesh_control::error::{ControlError, ErrorCode};
use tauri::{AppHandle, Manager, State};
use tauri_plugin_dialog::DialogExt;
use tauri_plugin_shell::ShellExt;
use tokio::sync::oneshot;

use crate::daemon::{Daemon, ShellState};
use crate::links::Links;
use crate::save;

/// Whether the daemon is attached, and if not, why. Changes arrive as `shell-state`.
#[tauri::command]
#[specta::specta]
#[expect(clippy::needless_pass_by_value, reason = "Tauri hands its arguments over by value")]
pub fn shell_state(daemon: State<'_, Daemon>) -> ShellState {
    daemon.state()
}

/// Ends the daemon of this home, whoever started it, and starts the app's own. `api_port` 0 lets it pick a free port for
/// the local API, for when the usual one is taken. What follows arrives as `shell-state`.
#[tauri::command]
#[specta::specta]
pub async fn daemon_restart(daemon: State<'_, Daemon>, api_port: Option<u16>) -> Result<(), ControlError> {
    daemon.restart(api_port).await
}

/// Opens a web or mail address in the system's own program; the window itself never leaves the app.
#[tauri::command]
#[specta::specta]
#[expect(clippy::needless_pass_by_value, reason = "Tauri hands its arguments over by value")]
pub fn open_link(app: AppHandle, url: String) -> Result<(), ControlError> {
    if !is_outside_link(&url) {
        let message = "Only web and mail addresses are opened. Copy the address to open it yourself.";
        return Err(ControlError::new(ErrorCode::InvalidArgument, message));
    }
    #[expect(deprecated, reason = "its successor is a plugin of its own, for this one call")]
    app.shell().open(url, None).map_err(|error| {
        ControlError::new(ErrorCode::Internal, format!("The address could not be opened: {error}. Copy it instead."))
    })
}

/// Keeps an exported text in the downloads folder, under a name that is not taken, and tells where.
#[tauri::command]
#[specta::specta]
pub async fn save_file(app: AppHandle, name: String, text: String) -> Result<String, ControlError> {
    if text.len() > save::MAX_BYTES {
        return Err(ControlError::new(ErrorCode::TooLarge, "This is too much for one file. Narrow the filter."));
    }
    let folder =
        app.path().download_dir().or_else(|_| app.path().home_dir().map(|home| home.join("Downloads"))).map_err(
            |error| {
                let message = format!("There is no folder to keep it in: {error}. Copy the text instead.");
                ControlError::new(ErrorCode::NotFound, message)
            },
        )?;
    let kept = tauri::async_runtime::spawn_blocking(move || save::keep(&folder, &name, &text)).await;
    let path = kept.map_err(|error| error.to_string()).and_then(|kept| kept.map_err(|error| error.to_string()));
    path.map(|path| path.display().to_string()).map_err(|error| {
        let message = format!("The file could not be written: {error}. Make room or copy the text instead.");
        ControlError::new(ErrorCode::Internal, message)
    })
}

/// Lets a person pick a model's file, and tells its path; nothing where they picked none.
#[tauri::command]
#[specta::specta]
pub async fn pick_model(app: AppHandle) -> Result<Option<String>, ControlError> {
    let (picked, path) = oneshot::channel();
    app.dialog().file().add_filter("GGUF", &["gguf"]).pick_file(move |path| {
        // Nobody waits any more when the window was closed meanwhile.
        let _ = picked.send(path);
    });
    let Ok(Some(path)) = path.await else { return Ok(None) };
    let path = path.into_path().map_err(|error| {
        let message = format!("This file has no path: {error}. Copy it to this device first.");
        ControlError::new(ErrorCode::InvalidArgument, message)
    })?;
    Ok(Some(path.display().to_string()))
}

/// The `myownllm://join/...` link that opened the app before the window listened. Listen to `opened-link` first, then ask,
/// once; later links arrive as that event.
#[tauri::command]
#[specta::specta]
#[expect(clippy::needless_pass_by_value, reason = "Tauri hands its arguments over by value")]
pub fn pending_link(links: State<'_, Links>) -> Option<String> {
    links.take()
}

/// A model wrote the address: it must never start a program or read a file.
fn is_outside_link(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("https" | "http" | "mailto"))
}

#[cfg(test)]
mod tests {
    use super::is_outside_link;

    #[test]
    fn only_web_and_mail_links_leave_the_app() {
        for url in ["https://example.org/a?b#c", "HTTP://example.org", "mailto:sam@example.org"] {
            assert!(is_outside_link(url), "{url}");
        }
        for url in ["", "file:///etc/passwd", "javascript:alert(1)", "/usr/bin/true", "smb://desk/share", "-e true"] {
            assert!(!is_outside_link(url), "{url}");
        }
    }
}
