//! `devices`, `device ...` and `accepting`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{Accepting, DeviceState, DeviceSummary, EngineState, PathKind, Removal, Role};
use serde::Serialize;
use serde_json::json;

use super::Context;
use super::args::{AcceptingArgs, DeviceAction};
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{now, relative};

/// A device as it was, and who has heard that it was removed.
#[derive(Serialize)]
struct Removed {
    #[serde(flatten)]
    device: DeviceSummary,
    acknowledged: Vec<String>,
    waiting: Vec<String>,
}

impl Removed {
    fn sentence(&self) -> String {
        let mut text = format!("{} was removed.", self.device.name);
        if !self.acknowledged.is_empty() {
            text.push_str(&format!(" Cut off by: {}.", self.acknowledged.join(", ")));
        }
        if !self.waiting.is_empty() {
            let names = self.waiting.join(", ");
            text.push_str(&format!(" Not reached yet: {names}; they cut it off as soon as they are met again."));
        }
        printable(&text)
    }
}

/// Lists the members of the active network.
pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let devices = context.connect().await?.device_list().await?;
    context.out.document(&devices[..], members)
}

/// Runs a `device` command. Each prints the device it was about.
pub(super) async fn run(action: DeviceAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let device = match action {
        DeviceAction::Show { device } => client.device_show(device).await?,
        DeviceAction::Remove { device } => {
            let device = client.device_show(device).await?;
            let Removal { acknowledged, waiting, .. } = client.device_remove(device.device_id.clone()).await?;
            return context.out.document(&Removed { device, acknowledged, waiting }, |_, removed| removed.sentence());
        }
        DeviceAction::Role { device, role } => client.device_role(device, role).await?,
        DeviceAction::Name { name } => client.device_name(name).await?,
    };
    context.out.document(&device, describe)
}

/// Shows or sets this device's lending policy.
pub(super) async fn accepting(args: AcceptingArgs, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let accepting = match args.policy {
        Some(policy) => client.accepting_set(policy).await?,
        None => client
            .device_list()
            .await?
            .into_iter()
            .find(|device| device.this_device)
            .map(|device| device.accepting)
            .ok_or_else(|| Failure::new(ErrorCode::NoNetwork, "No network is active. Found or join one first."))?,
    };
    context.out.document(&json!({ "accepting": accepting }), |_, _| match accepting {
        Accepting::Available => "Available: this device serves every member.".to_owned(),
        Accepting::Limited => "Limited: this device serves one request of others at a time.".to_owned(),
        Accepting::Busy => "Busy: this device serves nobody else.".to_owned(),
    })
}

/// A table of members.
pub(super) fn members(out: Output, devices: &[DeviceSummary]) -> String {
    let mut table = Table::new(&["NAME", "ROLE", "STATE", "PATH", "ROUND TRIP", "ACCEPTING", "MODELS", "ID"]);
    for device in devices {
        let (state, style) = reachability(device.state);
        let own = if device.this_device { " (this device)" } else { "" };
        table.styled([
            (format!("{}{own}", device.name), Style::Strong),
            (role_word(device.role).to_owned(), Style::Plain),
            (state.to_owned(), style),
            (device.path.map_or("", path_word).to_owned(), Style::Plain),
            (round_trip(device), Style::Plain),
            (accepting_word(device.accepting).to_owned(), Style::Plain),
            (device.models.join(", "), Style::Plain),
            (device.device_id.chars().take(10).collect(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn describe(_: Output, device: &DeviceSummary) -> String {
    let (state, _) = reachability(device.state);
    let models = if device.models.is_empty() { "none".to_owned() } else { printable(&device.models.join(", ")) };
    let path = device.path.map_or_else(String::new, |path| format!(", {} {}", path_word(path), round_trip(device)));
    let seen = device.last_seen.map_or_else(|| "never".to_owned(), |at| relative(at, now()));
    format!(
        "{}{}\n\nState      {state}: {}{path}\nRole       {}\nSystem     {}\nVersion    {}\nAccepting  {}\n\
         Models     {models}\nLast seen  {seen}\nId         {}",
        printable(&device.name),
        if device.this_device { " (this device)" } else { "" },
        printable(&device.reason),
        role_word(device.role),
        printable(&device.os),
        device.version.as_deref().map_or_else(|| "not known yet".to_owned(), printable),
        accepting_word(device.accepting),
        device.device_id,
    )
}

fn round_trip(device: &DeviceSummary) -> String {
    device.rtt_ms.map_or_else(String::new, |ms| format!("{ms:.1} ms"))
}

fn reachability(state: DeviceState) -> (&'static str, Style) {
    match state {
        DeviceState::Online => ("online", Style::Good),
        DeviceState::Connecting => ("connecting", Style::Waiting),
        DeviceState::Away => ("away", Style::Quiet),
    }
}

/// The name of an engine's state and how it stands out.
pub(super) fn state_style(state: EngineState) -> (&'static str, Style) {
    match state {
        EngineState::Starting => ("starting", Style::Waiting),
        EngineState::Ready => ("ready", Style::Good),
        EngineState::Failed => ("failed", Style::Bad),
    }
}

/// The name of a role.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Manager => "manager",
        Role::Member => "member",
    }
}

/// The name of a path.
pub(super) fn path_word(path: PathKind) -> &'static str {
    match path {
        PathKind::Direct => "direct",
        PathKind::Relay => "relay",
    }
}

fn accepting_word(accepting: Accepting) -> &'static str {
    match accepting {
        Accepting::Available => "available",
        Accepting::Limited => "limited",
        Accepting::Busy => "busy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_listed_in_columns() {
        let desk = DeviceSummary {
            device_id: "0123456789abcdef".to_owned(),
            name: "Desk".to_owned(),
            os: "Linux".to_owned(),
            this_device: true,
            role: Role::Owner,
            state: DeviceState::Online,
            reason: String::new(),
            path: None,
            rtt_ms: None,
            models: vec!["chain".to_owned()],
            accepting: Accepting::Available,
            version: None,
            last_seen: None,
        };
        let lap = DeviceSummary {
            name: "Lap".to_owned(),
            this_device: false,
            role: Role::Member,
            path: Some(PathKind::Direct),
            rtt_ms: Some(0.42),
            models: Vec::new(),
            accepting: Accepting::Busy,
            ..desk.clone()
        };
        assert_eq!(
            members(Output::new(true), &[desk, lap]),
            "NAME                ROLE    STATE   PATH    ROUND TRIP  ACCEPTING  MODELS  ID\n\
             Desk (this device)  owner   online                      available  chain   0123456789\n\
             Lap                 member  online  direct  0.4 ms      busy               0123456789"
        );
    }
}
