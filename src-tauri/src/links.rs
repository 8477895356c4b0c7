//! Links that open the app: `myownllm://join/...`, clicked in a browser or a mail, or given as an argument.
//!
//! The system hands a link to a new start of the app; the single-instance check passes it on to the one that runs. Either
//! way it ends here. A link that comes before the window listens waits in [`Links`] until the window asks for it; from
//! then on it goes out as [`OpenedLink`]. An invite may carry a secret that admits, so no link is ever logged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use specta::Type;
use tauri::{AppHandle, Manager};
use tauri_plugin_deep_link::DeepLinkExt;
use tauri_specta::Event;

use crate::window;

/// What every link that this app opens begins with.
const JOIN: &str = "myownllm://join/";

/// Longest link, in bytes: what the daemon takes as an invite.
const MAX_LINK_BYTES: usize = 2048;

/// A link was opened while the window listened: show the join screen with it.
///
/// No `Debug`, so that it cannot end in a log by accident.
#[derive(Clone, Serialize, Deserialize, Type, tauri_specta::Event)]
pub struct OpenedLink {
    /// The link, `myownllm://join/...`. It may carry a secret: show it, do not log it.
    pub url: String,
}

/// Why a link is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Ignored {
    #[error("it does not begin with {JOIN}")]
    Foreign,
    #[error("it is longer than {MAX_LINK_BYTES} characters, so it is no invite; ask for a new one")]
    TooLong,
    #[error("it holds nothing, or characters that no invite has; copy the whole link again")]
    Damaged,
}

/// Whether the window is there to hear of a link.
enum Page {
    /// Not yet, or it is being loaded again: the newest link waits.
    Loading(Option<String>),
    /// It listens to [`OpenedLink`] and has asked for what had come before.
    Listening,
}

/// The link that waits for the window.
pub struct Links {
    page: Mutex<Page>,
}

impl Default for Links {
    fn default() -> Self {
        Self { page: Mutex::new(Page::Loading(None)) }
    }
}

impl Links {
    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link that came before the window listened. The window listens to [`OpenedLink`] before it asks, and asks once:
    /// what comes later is an event.
    pub fn take(&self) -> Option<String> {
        match std::mem::replace(&mut *self.page(), Page::Listening) {
            Page::Loading(link) => link,
            Page::Listening => None,
        }
    }

    /// The page that listened is gone; a link that waits for the next one stays.
    pub fn page_left(&self) {
        let mut page = self.page();
        if matches!(*page, Page::Listening) {
            *page = Page::Loading(None);
        }
    }

    /// Keeps `link` for the window, or gives it back to be sent to it now.
    fn offer(&self, link: String) -> Option<String> {
        match &mut *self.page() {
            Page::Listening => Some(link),
            Page::Loading(waiting) => {
                *waiting = Some(link);
                None
            }
        }
    }
}

/// Opens the links that started the app, and those that come while it runs.
pub fn watch(app: &AppHandle) {
    let opener = app.clone();
    // First listen, then look: a link in between is then heard twice at worst, and shown once.
    app.deep_link().on_open_url(move |event| {
        window::show(&opener);
        for url in event.urls() {
            open(&opener, url.as_str());
        }
    });
    match app.deep_link().get_current() {
        Ok(urls) => urls.into_iter().flatten().for_each(|url| open(app, url.as_str())),
        Err(error) => tracing::warn!("the link that started the app could not be read: {error}"),
    }
    if cfg!(debug_assertions) {
        register(app.clone());
    }
}

fn open(app: &AppHandle, link: &str) {
    if let Err(reason) = check(link) {
        tracing::warn!("a link was not opened: {reason}");
        return;
    }
    if let Some(url) = app.state::<Links>().offer(link.to_owned())
        && let Err(error) = (OpenedLink { url }).emit(app)
    {
        tracing::warn!("the window was not told about a link: {error}");
    }
}

/// Anybody can make a link, and a web page can open it: only what can be an invite goes further. Whether it is one, the
/// daemon says.
fn check(link: &str) -> Result<(), Ignored> {
    let invite = link.strip_prefix(JOIN).ok_or(Ignored::Foreign)?;
    if link.len() > MAX_LINK_BYTES {
        return Err(Ignored::TooLong);
    }
    if invite.is_empty() || !invite.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte)) {
        return Err(Ignored::Damaged);
    }
    Ok(())
}

/// The package and the installers tell the system which links are ours. A build that nobody installed tells it itself.
#[cfg(any(target_os = "linux", windows))]
fn register(app: AppHandle) {
    // It runs other programs and waits for them.
    tauri::async_runtime::spawn_blocking(move || {
        if let Err(error) = app.deep_link().register_all() {
            tracing::info!("links will not open this build, because the system did not take it: {error}");
        }
    });
}

/// macOS learns it from the bundle alone.
#[cfg(not(any(target_os = "linux", windows)))]
fn register(_app: AppHandle) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_an_invite_is_opened() {
        assert_eq!(check("myownllm://join/AbC-_9="), Ok(()));
        for foreign in ["", "myownllm://", "myownllm://settings/x", "https://join/abc", "MYOWNLLM://join/a", "--help"] {
            assert_eq!(check(foreign), Err(Ignored::Foreign), "{foreign}");
        }
        for damaged in ["", "a b", "a/b", "a?b", "a#b", "a%20b", "<script>", "\u{202e}a", "a\n"] {
            assert_eq!(check(&format!("{JOIN}{damaged}")), Err(Ignored::Damaged), "{damaged}");
        }
        let longest = "a".repeat(MAX_LINK_BYTES - JOIN.len());
        assert_eq!(check(&format!("{JOIN}{longest}")), Ok(()));
        assert_eq!(check(&format!("{JOIN}{longest}a")), Err(Ignored::TooLong));
        assert_eq!(check(&format!("{JOIN}{}", "a".repeat(10_000_000))), Err(Ignored::TooLong));
    }

    /// The bundler's own template names the links, but forgets to take one.
    #[test]
    fn the_package_says_that_the_app_opens_these_links_and_takes_one() {
        let config: serde_json::Value = serde_json::from_str(include_str!("../tauri.conf.json")).unwrap();
        let scheme = JOIN.split_once(':').unwrap().0;
        assert_eq!(config["plugins"]["deep-link"]["desktop"]["schemes"], serde_json::json!([scheme]));
        assert_eq!(config["bundle"]["linux"]["deb"]["desktopTemplate"], "linux.desktop");
        let entry = include_str!("../linux.desktop");
        assert!(entry.contains("\nExec={{exec}} %u\n") && entry.contains("\nMimeType={{mime_type}}\n"), "{entry}");
    }

    #[test]
    fn why_a_link_was_ignored_does_not_tell_the_link() {
        for (link, ignored) in
            [("https://secret", Ignored::Foreign), ("myownllm://join/secret secret", Ignored::Damaged)]
        {
            assert_eq!(check(link), Err(ignored));
            assert!(!ignored.to_string().contains("secret"), "{ignored}");
        }
    }

    #[test]
    fn the_newest_link_waits_for_the_window() {
        let links = Links::default();
        assert_eq!(links.offer("one".into()), None);
        assert_eq!(links.offer("two".into()), None);
        links.page_left();
        assert_eq!(links.take().as_deref(), Some("two"));
        assert_eq!(links.take(), None);
    }

    #[test]
    fn a_window_that_listens_is_told_at_once_until_it_is_loaded_again() {
        let links = Links::default();
        assert_eq!(links.take(), None);
        assert_eq!(links.offer("one".into()).as_deref(), Some("one"));
        links.page_left();
        assert_eq!(links.offer("two".into()), None);
        assert_eq!(links.take().as_deref(), Some("two"));
    }
}
