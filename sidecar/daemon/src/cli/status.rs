//! `status` and `stop`.

use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{IdentityStore, Phase, Status};
use serde_json::json;

use super::Context;
use super::device::{members, state_style};
use super::output::{Failure, Output, Style, paint, printable};

/// How long `stop` waits for the daemon to close the connection. Its ordered shutdown takes less than 3 s.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Shows the daemon's state.
pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    let status = context.connect().await?.status().await?;
    context.out.document(&status, describe)
}

/// Asks the daemon to finish, and returns when it has closed its socket.
pub(super) async fn stop(context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    client.daemon_stop().await?;
    // It has promised to end; a slow end is no failure of this command.
    let _ = tokio::time::timeout(STOP_LIMIT, client.on_disconnect()).await;
    context.out.document(&json!({}), |_, _| "Stopped.".to_owned())
}

/// The name of a phase and how it stands out.
pub(super) fn phase_word(phase: Phase) -> (&'static str, Style) {
    match phase {
        Phase::Off => ("off", Style::Quiet),
        Phase::Starting => ("starting", Style::Waiting),
        Phase::NoNetwork => ("no network", Style::Quiet),
        Phase::Alone => ("alone", Style::Waiting),
        Phase::Connecting => ("connecting", Style::Waiting),
        Phase::Online => ("online", Style::Good),
        Phase::Trouble => ("trouble", Style::Bad),
    }
}

fn describe(out: Output, status: &Status) -> String {
    let (phase, style) = phase_word(status.phase);
    let store = match status.identity_store {
        IdentityStore::Keychain => "the system's keychain",
        IdentityStore::File => "a file only you can read",
    };
    let mut lines = vec![
        format!(
            "{} is {}: {}",
            paint(out.colour(), Style::Strong, &printable(&status.device_name)),
            paint(out.colour(), style, phase),
            printable(&status.reason)
        ),
        String::new(),
        format!("Network    {}", status.network.as_deref().map_or_else(|| "none".to_owned(), printable)),
        format!("Device     {} ({})", status.device_id, printable(&status.os)),
        format!("Key        in {store}"),
        format!("Local API  {}", status.api),
        format!("Listens    {}", status.listen.join(", ")),
        format!("Version    {}", status.version),
    ];
    for engine in &status.engines {
        let (state, style) = state_style(engine.state);
        let state = paint(out.colour(), style, state);
        lines.push(format!("Engine     {} {state}: {}", printable(&engine.id), printable(&engine.reason)));
    }
    if status.knocks > 0 {
        lines.push(format!("Knocks     {} waiting; `myownmesh knocks` shows them", status.knocks));
    }
    for warning in &status.warnings {
        lines.push(format!("{}    {}", paint(out.colour(), Style::Bad, "Warning"), printable(warning)));
    }
    if !status.peers.is_empty() {
        lines.push(String::new());
        lines.push(members(out, &status.peers));
    }
    lines.join("\n")
}
