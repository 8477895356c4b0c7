//! A system notification when a device knocks and the person looks elsewhere. A click on it brings the window up, where
//! the knock card waits.

use myownmesh_control::client::ControlClient;
use myownmesh_control::types::{Event, Knock};
use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt;

use crate::daemon::Daemon;
use crate::streams::{self, Events, Source};
use crate::window;

/// Watches the knocks of whichever daemon is attached, for as long as the app runs.
pub fn watch_knocks(app: AppHandle, daemon: Daemon) {
    let opener = app.clone();
    let clicks = app.notification().on_action(move |_| window::show(&opener));
    if let Err(error) = clicks {
        tracing::warn!("a click on a notification will not open the window: {error}");
    }
    tauri::async_runtime::spawn(async move {
        let mut clients = daemon.clients();
        while clients.changed().await.is_ok() {
            let client = clients.borrow_and_update().clone();
            let Some(client) = client else { continue };
            tokio::select! {
                () = follow(&app, &client) => {}
                _ = client.on_disconnect() => {}
            }
        }
    });
}

async fn follow(app: &AppHandle, client: &ControlClient) {
    let subscription = match Events.subscribe(client, 0).await {
        Ok(subscription) => subscription,
        Err(error) => {
            tracing::warn!("knocks will not be announced: {error}");
            return;
        }
    };
    streams::pump(client, &Events, subscription, 0, |item| {
        if let Event::Knock { knock } = item.event
            && !window::is_focused(app)
        {
            announce(app, &knock);
        }
        true
    })
    .await;
}

fn announce(app: &AppHandle, knock: &Knock) {
    let shown = app
        .notification()
        .builder()
        .title(format!("{} wants to join {}", knock.device_name, knock.network))
        .body("Open MyOwnLLM to compare the code and answer.")
        .show();
    if let Err(error) = shown {
        tracing::warn!("a knock could not be announced: {error}");
    }
}
