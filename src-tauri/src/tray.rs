//! The icon beside the clock: whether this device lends, and a way to pause that without opening the window.
//!
//! The daemon decides and remembers; this shows what it tells and hands on what a person picks. A desktop without a place
//! for such icons goes without.

use std::panic::{AssertUnwindSafe, catch_unwind};

use myownmesh_control::api::lending::LendingApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Event, Lending};
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::TrayIconBuilder;
use tauri::{AppHandle, Wry};
use tokio::sync::Notify;

use crate::daemon::Daemon;
use crate::streams::{self, Events, Source};
use crate::window;

/// The pause of "for an hour".
const HOUR_S: u32 = 3600;

/// What a person can pick, under the id of its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    Pause { seconds: Option<u32>, at_once: bool },
    Resume,
    Open,
    Quit,
}

/// The items by their ids; a pick that is not here does nothing.
const PICKS: [(&str, &str, Pick); 6] = [
    ("pause-now", "Now, ending answers", Pick::Pause { seconds: None, at_once: true }),
    ("pause-after", "After the current answer", Pick::Pause { seconds: None, at_once: false }),
    ("pause-hour", "For an hour", Pick::Pause { seconds: Some(HOUR_S), at_once: false }),
    ("resume", "Lend again", Pick::Resume),
    ("open", "Open MyOwnLLM", Pick::Open),
    ("quit", "Quit", Pick::Quit),
];

fn pick(id: &str) -> Option<Pick> {
    PICKS.iter().find(|(own, ..)| *own == id).map(|(_, _, pick)| *pick)
}

/// What the menu shows.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    line: String,
    can_pause: bool,
    can_resume: bool,
}

impl Shown {
    /// `None`: there is no daemon, or no network is active.
    fn of(lending: Option<&Lending>) -> Self {
        let Some(lending) = lending else {
            return Self { line: "Nothing is lent".to_owned(), can_pause: false, can_resume: false };
        };
        let paused = lending.pause.is_some();
        let line = match &lending.closed {
            _ if paused => "Lending is paused".to_owned(),
            Some(reason) => reason.clone(),
            None if lending.running.is_empty() => "Lending".to_owned(),
            None => format!("Lending, {} running", lending.running.len()),
        };
        Self { line, can_pause: !paused, can_resume: paused }
    }
}

/// The items that change.
#[derive(Clone)]
struct Items {
    line: MenuItem<Wry>,
    pause: Submenu<Wry>,
    resume: MenuItem<Wry>,
}

impl Items {
    fn show(&self, shown: &Shown) {
        let changes = [
            self.line.set_text(&shown.line),
            self.pause.set_enabled(shown.can_pause),
            self.resume.set_enabled(shown.can_resume),
        ];
        for change in changes {
            if let Err(error) = change {
                tracing::debug!("the icon beside the clock is out of date: {error}");
            }
        }
    }
}

/// Puts the icon up and keeps it in line with whichever daemon is attached, for as long as the app runs.
pub fn watch(app: &AppHandle, daemon: Daemon) {
    // The library behind it panics on systems that lack the one that draws such icons.
    let built = catch_unwind(AssertUnwindSafe(|| build(app, &daemon)));
    let items = match built {
        Ok(Ok(items)) => items,
        Ok(Err(error)) => return tracing::warn!("there is no icon beside the clock: {error}"),
        Err(_) => return tracing::warn!("there is no icon beside the clock: the system cannot show one"),
    };
    tauri::async_runtime::spawn(async move {
        let mut clients = daemon.clients();
        while clients.changed().await.is_ok() {
            let client = clients.borrow_and_update().clone();
            items.show(&Shown::of(None));
            let Some(client) = client else { continue };
            tokio::select! {
                () = follow(&client, &items) => {}
                _ = client.on_disconnect() => {}
            }
        }
    });
}

fn build(app: &AppHandle, daemon: &Daemon) -> tauri::Result<Items> {
    let item = |id: &str| {
        let text = PICKS.iter().find(|(own, ..)| *own == id).map_or(id, |(_, text, _)| text);
        MenuItem::with_id(app, id, text, true, None::<&str>)
    };
    let line = MenuItem::new(app, Shown::of(None).line, false, None::<&str>)?;
    let pause = Submenu::with_items(
        app,
        "Pause lending",
        false,
        &[&item("pause-now")?, &item("pause-after")?, &item("pause-hour")?],
    )?;
    let resume = item("resume")?;
    resume.set_enabled(false)?;
    let (above, below) = (PredefinedMenuItem::separator(app)?, PredefinedMenuItem::separator(app)?);
    let menu = Menu::with_items(app, &[&line, &above, &pause, &resume, &below, &item("open")?, &item("quit")?])?;
    let items = Items { line, pause, resume };
    let (daemon, shown) = (daemon.clone(), items.clone());
    let mut tray =
        TrayIconBuilder::with_id("lending").menu(&menu).tooltip("MyOwnLLM").on_menu_event(move |app, event| {
            if let Some(pick) = pick(event.id.as_ref()) {
                carry_out(app, &daemon, &shown, pick);
            }
        });
    if let Some(icon) = app.default_window_icon() {
        tray = tray.icon(icon.clone());
    }
    tray.build(app)?;
    Ok(items)
}

fn carry_out(app: &AppHandle, daemon: &Daemon, items: &Items, pick: Pick) {
    match pick {
        Pick::Open => window::show(app),
        Pick::Quit => app.exit(0),
        Pick::Pause { .. } | Pick::Resume => {
            let (daemon, items) = (daemon.clone(), items.clone());
            tauri::async_runtime::spawn(async move {
                match ask(&daemon, pick).await {
                    Ok(lending) => items.show(&Shown::of(lending.as_ref())),
                    Err(error) => {
                        tracing::warn!("lending stays as it is: {error}");
                        items.show(&Shown { line: error.message, can_pause: true, can_resume: true });
                    }
                }
            });
        }
    }
}

/// Hands on what was picked; the state afterwards, where it concerns lending.
async fn ask(daemon: &Daemon, pick: Pick) -> Result<Option<Lending>, ControlError> {
    let client = daemon.client()?;
    match pick {
        Pick::Pause { seconds, at_once } => Ok(Some(client.lend_pause(seconds, at_once).await?)),
        Pick::Resume => Ok(Some(client.lend_resume().await?)),
        Pick::Open | Pick::Quit => Ok(None),
    }
}

/// Keeps the menu in line with how lending stands, until the daemon is lost.
async fn follow(client: &ControlClient, items: &Items) {
    let subscription = match Events.subscribe(client, 0).await {
        Ok(subscription) => subscription,
        Err(error) => return tracing::warn!("the icon beside the clock will not follow lending: {error}"),
    };
    let changed = Notify::new();
    changed.notify_one();
    let watching = streams::pump(client, &Events, subscription, 0, |item| {
        if concerns_lending(&item.event) {
            changed.notify_one();
        }
        true
    });
    let telling = async {
        loop {
            changed.notified().await;
            match standing(client).await {
                Ok(lending) => items.show(&Shown::of(lending.as_ref())),
                Err(error) => tracing::warn!("how lending stands could not be read: {error}"),
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = telling => {}
    }
}

/// Whether after this event lending may stand otherwise.
fn concerns_lending(event: &Event) -> bool {
    matches!(event, Event::LendingChanged | Event::NetworksChanged | Event::Missed)
}

async fn standing(client: &ControlClient) -> Result<Option<Lending>, ControlError> {
    match client.lend_show().await.map_err(ControlError::from) {
        Err(error) if error.code == ErrorCode::NoNetwork => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::{Accepting, LendingPause, LendingRules, LentRequest};

    use super::*;

    fn lending() -> Lending {
        Lending {
            accepting: Accepting::Available,
            pause: None,
            closed: None,
            rules: LendingRules {
                concurrent: None,
                tokens_per_day: None,
                models: None,
                hours: None,
                only_idle: false,
                only_mains: false,
                owner_first: true,
                owner_stops_guests: false,
            },
            members: Vec::new(),
            running: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn shown(line: &str, can_pause: bool, can_resume: bool) -> Shown {
        Shown { line: line.to_owned(), can_pause, can_resume }
    }

    #[test]
    fn the_menu_says_how_lending_stands() {
        let request =
            LentRequest { device_id: "d".into(), device_name: "Desk".into(), model: "qwen3-8b".into(), since: 0 };
        let pause = Some(LendingPause { until: None, at_once: true });
        let closed = Some("It is outside the hours of lending.".to_owned());
        assert_eq!(Shown::of(None), shown("Nothing is lent", false, false));
        assert_eq!(Shown::of(Some(&lending())), shown("Lending", true, false));
        let busy = Lending { running: vec![request], ..lending() };
        assert_eq!(Shown::of(Some(&busy)), shown("Lending, 1 running", true, false));
        let resting = Lending { closed: closed.clone(), ..lending() };
        assert_eq!(Shown::of(Some(&resting)), shown("It is outside the hours of lending.", true, false));
        let paused = Lending { pause, closed, ..lending() };
        assert_eq!(Shown::of(Some(&paused)), shown("Lending is paused", false, true));
    }

    #[test]
    fn every_item_has_an_id_of_its_own_and_others_do_nothing() {
        for (id, _, own) in PICKS {
            assert_eq!(pick(id), Some(own));
        }
        assert_eq!(pick("pause-hour"), Some(Pick::Pause { seconds: Some(3600), at_once: false }));
        assert_eq!(pick("pause-now"), Some(Pick::Pause { seconds: None, at_once: true }));
        assert_eq!(pick("anything"), None);
    }

    #[test]
    fn lending_is_read_again_only_when_it_may_have_changed() {
        assert!(concerns_lending(&Event::LendingChanged));
        assert!(concerns_lending(&Event::Missed));
        assert!(!concerns_lending(&Event::ModelsChanged));
    }
}
