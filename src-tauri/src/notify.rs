//! A system notification when a device knocks and the person looks elsewhere. A click on it brings the window up with the
//! card of that knock; it goes away when the knock is answered, here or on another member.

use std::collections::HashMap;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Event, Knock};
use serde::{Deserialize, Serialize};
use specta::Type;
use tauri::AppHandle;
use tauri_plugin_notification::{ActionPerformed, NotificationExt};
use tauri_specta::Event as _;
use tokio::sync::Notify;

use crate::daemon::Daemon;
use crate::streams::{self, Events, Source};
use crate::window;

/// Most notifications at a time. Whoever floods the door with knocks does not cover the screen as well.
const MAX_SHOWN: usize = 3;

/// Under this name a notification carries the id of its knock.
const KNOCK: &str = "knock";

/// The notification of a knock was clicked: open its card, if it still waits.
#[derive(Clone, Debug, Serialize, Deserialize, Type, tauri_specta::Event)]
pub struct OpenedKnock {
    /// Id of the knock.
    pub id: String,
}

/// Watches the knocks of whichever daemon is attached, for as long as the app runs.
pub fn watch_knocks(app: AppHandle, daemon: Daemon) {
    let opener = app.clone();
    let clicks = app.notification().on_action(move |action| open(&opener, action));
    if let Err(error) = clicks {
        tracing::warn!("a click on a notification will not open the window: {error}");
    }
    tauri::async_runtime::spawn(async move {
        let mut clients = daemon.clients();
        let mut told = Told::default();
        while clients.changed().await.is_ok() {
            let client = clients.borrow_and_update().clone();
            let Some(client) = client else { continue };
            tokio::select! {
                () = follow(&app, &client, &mut told) => {}
                _ = client.on_disconnect() => {}
            }
        }
    });
}

fn open(app: &AppHandle, action: &ActionPerformed) {
    window::show(app);
    let knock = action.notification().and_then(|notification| notification.extra().get(KNOCK)?.as_str());
    if let Some(id) = knock
        && let Err(error) = (OpenedKnock { id: id.to_owned() }).emit(app)
    {
        tracing::warn!("the window was not told which knock to open: {error}");
    }
}

/// Keeps the notifications in line with the knocks, until the daemon is lost. What waits is asked for anew at each change:
/// an event may be old news, when the line was cut or another member has answered meanwhile.
async fn follow(app: &AppHandle, client: &ControlClient, told: &mut Told) {
    let subscription = match Events.subscribe(client, 0).await {
        Ok(subscription) => subscription,
        Err(error) => {
            tracing::warn!("knocks will not be announced: {error}");
            return;
        }
    };
    let changed = Notify::new();
    changed.notify_one();
    let watching = streams::pump(client, &Events, subscription, 0, |item| {
        if concerns_knocks(&item.event) {
            changed.notify_one();
        }
        true
    });
    let telling = async {
        loop {
            changed.notified().await;
            match waiting(client).await {
                Ok(knocks) => told.update(&knocks, window::is_focused(app)).into_iter().for_each(|step| step.take(app)),
                Err(error) => tracing::warn!("the knocks could not be read: {error}"),
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = telling => {}
    }
}

/// Whether after this event other knocks may be waiting.
fn concerns_knocks(event: &Event) -> bool {
    matches!(event, Event::Knock { .. } | Event::KnockEnded { .. } | Event::NetworksChanged | Event::Missed)
}

async fn waiting(client: &ControlClient) -> Result<Vec<Knock>, ControlError> {
    match client.knock_list().await.map_err(ControlError::from) {
        Err(error) if error.code == ErrorCode::NoNetwork => Ok(Vec::new()),
        answer => answer,
    }
}

/// The knocks that are known, and those that lie on the desktop.
#[derive(Default)]
struct Told {
    /// Each with the number of its notification; `None` when the person saw the card, or the desktop was full.
    known: HashMap<String, Option<i32>>,
    last: i32,
}

/// Something to do on the desktop.
#[derive(Debug, PartialEq)]
enum Step {
    Announce(i32, Box<Knock>),
    Withdraw(i32),
}

impl Told {
    /// What to do now that `waiting` are the knocks without an answer. `looking`: the person sees the window.
    fn update(&mut self, waiting: &[Knock], looking: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        self.known.retain(|id, shown| {
            let waits = waiting.iter().any(|knock| knock.id == *id);
            if !waits {
                steps.extend(shown.map(Step::Withdraw));
            }
            waits
        });
        let mut room = MAX_SHOWN.saturating_sub(self.known.values().flatten().count());
        for knock in waiting {
            if self.known.contains_key(&knock.id) {
                continue;
            }
            let shown = (!looking && room > 0).then(|| {
                room -= 1;
                self.last = self.last.wrapping_add(1);
                steps.push(Step::Announce(self.last, Box::new(knock.clone())));
                self.last
            });
            self.known.insert(knock.id.clone(), shown);
        }
        steps
    }
}

impl Step {
    fn take(self, app: &AppHandle) {
        match self {
            Self::Announce(number, knock) => announce(app, number, &knock),
            // It waits for the notification server.
            Self::Withdraw(number) => {
                let app = app.clone();
                tauri::async_runtime::spawn_blocking(move || {
                    if let Err(error) = app.notification().remove_active(vec![number]) {
                        tracing::warn!("a notification of a knock that ended stays: {error}");
                    }
                });
            }
        }
    }
}

fn announce(app: &AppHandle, number: i32, knock: &Knock) {
    let shown = app
        .notification()
        .builder()
        .id(number)
        .title(format!("{} wants to join {}", knock.device_name, knock.network))
        .body("Open MyOwnLLM to compare the code and answer.")
        .extra(KNOCK, &knock.id)
        .show();
    if let Err(error) = shown {
        tracing::warn!("a knock could not be announced: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knocks(ids: &[&str]) -> Vec<Knock> {
        let knock = |id: &&str| Knock {
            id: (*id).to_owned(),
            network: "home".into(),
            device_id: "d".into(),
            device_name: "Desk".into(),
            resembles: None,
            os: "linux".into(),
            code: "ABC234".into(),
            at: 0,
            expires_at: 300,
            via: None,
        };
        ids.iter().map(knock).collect()
    }

    fn announced(steps: &[Step]) -> Vec<&str> {
        let announced = steps.iter().filter_map(|step| match step {
            Step::Announce(_, knock) => Some(knock.id.as_str()),
            Step::Withdraw(_) => None,
        });
        announced.collect()
    }

    #[test]
    fn each_knock_is_announced_once_and_withdrawn_when_it_ends() {
        let mut told = Told::default();
        assert_eq!(announced(&told.update(&knocks(&["a"]), false)), ["a"]);
        assert_eq!(announced(&told.update(&knocks(&["a", "b"]), false)), ["b"]);
        assert_eq!(told.update(&knocks(&["b"]), false), [Step::Withdraw(1)]);
        assert_eq!(told.update(&[], true), [Step::Withdraw(2)]);
        assert_eq!(announced(&told.update(&knocks(&["a"]), false)), ["a"]);
    }

    #[test]
    fn a_knock_that_the_person_sees_is_never_announced() {
        let mut told = Told::default();
        assert_eq!(told.update(&knocks(&["a"]), true), []);
        assert_eq!(announced(&told.update(&knocks(&["a", "b"]), false)), ["b"]);
        assert_eq!(told.update(&knocks(&["b"]), false), []);
    }

    #[test]
    fn a_flood_of_knocks_does_not_cover_the_screen() {
        let mut told = Told::default();
        let ids: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(told.update(&knocks(&ids), false).len(), MAX_SHOWN);
        assert_eq!(told.update(&knocks(&ids[1..]), false), [Step::Withdraw(1)]);
        assert_eq!(announced(&told.update(&knocks(&[&ids[1..], &["new"]].concat()), false)), ["new"]);
        assert_eq!(told.update(&[], false).len(), MAX_SHOWN);
        assert!(told.known.is_empty());
    }
}
