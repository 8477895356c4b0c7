//! The desktop shell: the window, its plugins, and the typed way from the UI to the daemon.
//!
//! It holds no domain state. [`daemon`] finds, starts, checks and stops the `myownmesh` daemon; [`commands`] hands each
//! request of the UI to it; [`streams`] forwards its subscriptions; [`notify`] tells a person who looks elsewhere that
//! a device knocks; [`tray`] pauses lending without the window; [`links`] opens invites that were clicked outside;
//! [`bindings`] writes the types down for the UI.

pub mod bindings;
pub mod commands;
pub mod daemon;
pub mod links;
pub mod notify;
pub mod save;
pub mod streams;
pub mod tray;
mod window;

use std::io::IsTerminal;
use std::process::ExitCode;

use myownmesh_control::home::{HOME_VARIABLE, Home};
use tauri::webview::PageLoadEvent;
use tauri::{AppHandle, Context, Manager, RunEvent, Wry};
use tauri_plugin_window_state::StateFlags;
use tauri_specta::Event;

use daemon::Daemon;
use links::Links;

/// Opens the app and returns when it has ended.
pub fn run(context: Context<Wry>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,myownllm_shell=info")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match build(context) {
        Ok(app) => {
            app.run(on_event);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("The window could not be opened: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(context: Context<Wry>) -> tauri::Result<tauri::App> {
    let bindings = bindings::builder();
    tauri::Builder::default()
        // Before the next, which hands it the link of a second start.
        .plugin(tauri_plugin_deep_link::init())
        .plugin(single_instance(&context))
        .plugin(tauri_plugin_window_state::Builder::new().with_state_flags(remembered()).build())
        .plugin(tauri_plugin_shell::init())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
        .manage(Links::default())
        .invoke_handler(bindings.invoke_handler())
        .on_page_load(|webview, page| {
            if page.event() == PageLoadEvent::Started {
                streams::stop_all(webview);
                webview.state::<Links>().page_left();
            }
        })
        .setup(move |app| {
            bindings.mount_events(app);
            let handle = app.handle().clone();
            let home = match Home::find(None) {
                Ok(home) => home,
                Err(error) => {
                    window::give_up(&handle, &error.to_string());
                    return Ok(());
                }
            };
            let announce = handle.clone();
            let daemon = Daemon::supervise(home, daemon::find::launcher(handle.clone()), move |state| {
                if let Err(error) = state.emit(&announce) {
                    tracing::warn!("the window was not told about the daemon: {error}");
                }
            });
            links::watch(&handle);
            notify::watch_knocks(handle.clone(), daemon.clone());
            tray::watch(&handle, daemon.clone());
            app.manage(daemon);
            window::quit_on_signals(handle);
            Ok(())
        })
        .build(context)
}

/// Size and place come back at the next start; whether it was hidden does not, it would look as if nothing started.
fn remembered() -> StateFlags {
    StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED
}

/// One window per home: a second start of the same home shows the first window, and hands it its link.
fn single_instance(context: &Context<Wry>) -> tauri::plugin::TauriPlugin<Wry> {
    let mut name = context.config().identifier.clone();
    if let Some(home) = std::env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()) {
        name.push_str(&window::name_suffix(&home));
    }
    tauri_plugin_single_instance::Builder::new().dbus_id(name).callback(|app, _, _| window::show(app)).build()
}

/// The one ordered way out: the daemon that we started ends first, then the app.
fn on_event(app: &AppHandle, event: RunEvent) {
    if let RunEvent::ExitRequested { api, code, .. } = event {
        let Some(daemon) = app.try_state::<Daemon>().map(|daemon| daemon.inner().clone()) else { return };
        if daemon.is_shut_down() {
            return;
        }
        api.prevent_exit();
        let app = app.clone();
        tauri::async_runtime::spawn(async move {
            daemon.shutdown().await;
            app.exit(code.unwrap_or(0));
        });
    }
}
