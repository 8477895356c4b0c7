//! Small things about the one window: showing it, its name for the single-instance check, and the way out by signal.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use tauri::{AppHandle, Manager};
use tauri_plugin_dialog::{DialogExt, MessageDialogKind};

/// Label of the window, as in `tauri.conf.json`.
pub(crate) const MAIN: &str = "main";

/// Brings the window to the front.
pub(crate) fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(MAIN) {
        // Each of these may be refused by the window manager; the others still help.
        for attempt in [window.unminimize(), window.show(), window.set_focus()] {
            if let Err(error) = attempt {
                tracing::debug!("the window could not be brought to the front: {error}");
            }
        }
    }
}

/// Says why the app cannot run at all, and ends it. Whoever started it by its icon sees no terminal.
pub(crate) fn give_up(app: &AppHandle, reason: &str) {
    tracing::error!("{reason}");
    if let Some(window) = app.get_webview_window(MAIN)
        && let Err(error) = window.hide()
    {
        tracing::debug!("the window could not be hidden: {error}");
    }
    let ending = app.clone();
    app.dialog()
        .message(reason)
        .title("MyOwnLLM cannot start")
        .kind(MessageDialogKind::Error)
        .show(move |_| ending.exit(1));
}

/// Whether the person looks at the window now.
pub(crate) fn is_focused(app: &AppHandle) -> bool {
    app.get_webview_window(MAIN).is_some_and(|window| window.is_focused().unwrap_or(false))
}

/// Distinguishes instances with different homes; letters and digits only, as D-Bus names demand.
pub(crate) fn name_suffix(home: &OsStr) -> String {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let mut suffix = String::from(".home");
    // Writing to a String cannot fail.
    let _ = write!(suffix, "{:016x}", hasher.finish());
    suffix
}

/// SIGINT (Ctrl-C in the terminal of `npm start`) and SIGTERM take the ordered way out.
#[cfg(unix)]
pub(crate) fn quit_on_signals(app: AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};

    tauri::async_runtime::spawn(async move {
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            tracing::warn!("signals cannot be watched; quit by closing the window");
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        app.exit(0);
    });
}

/// Windows ends a program by closing its window.
#[cfg(not(unix))]
pub(crate) fn quit_on_signals(_app: AppHandle) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_have_names_of_their_own() {
        let desk = name_suffix(OsStr::new("/home/sam/desk"));
        assert_ne!(desk, name_suffix(OsStr::new("/home/sam/laptop")));
        assert_eq!(desk, name_suffix(OsStr::new("/home/sam/desk")));
        assert!(desk.trim_start_matches('.').chars().all(|c| c.is_ascii_alphanumeric()), "{desk}");
    }
}
