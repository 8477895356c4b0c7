//! `nearby`, `relays`, `connections`: what is around this device.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Connection, NearbyDevice, Relay, RelayState};

use super::Context;
use super::device::path_word;
use super::output::{Failure, Output, Style, Table};
use super::units::{now, relative, size};

/// Lists devices that announce themselves on the local network.
pub(super) async fn devices(context: &Context) -> Result<(), Failure> {
    let found = context.connect().await?.nearby_list().await?;
    context.out.document(&found[..], near)
}

/// Lists the relays in use.
pub(super) async fn relays(context: &Context) -> Result<(), Failure> {
    let relays = context.connect().await?.relay_list().await?;
    context.out.document(&relays[..], relay_table)
}

/// Lists what flows between this device and others.
pub(super) async fn connections(context: &Context) -> Result<(), Failure> {
    let connections = context.connect().await?.connection_list().await?;
    context.out.document(&connections[..], flows)
}

fn near(out: Output, found: &[NearbyDevice]) -> String {
    if found.is_empty() {
        return "No device announces itself on the local network. `myownmesh doctor` tells whether they could be seen."
            .to_owned();
    }
    let mut table = Table::new(&["NAME", "NETWORK", "SEEN", "", "ID"]);
    for device in found {
        table.styled([
            (device.device_name.clone(), Style::Strong),
            (device.network.clone().unwrap_or_else(|| "announces none".to_owned()), Style::Plain),
            (relative(device.since, now()), Style::Quiet),
            (if device.member { "a member here" } else { "" }.to_owned(), Style::Good),
            (device.device_id.chars().take(10).collect(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn relay_table(out: Output, relays: &[Relay]) -> String {
    if relays.is_empty() {
        return "No relay is in use: devices reach each other directly or not at all.".to_owned();
    }
    let mut table = Table::new(&["RELAY", "STATE", "SET BY", ""]);
    for relay in relays {
        let (state, style) = match relay.state {
            RelayState::Connected => ("connected", Style::Good),
            RelayState::Standby => ("standby", Style::Plain),
            RelayState::Connecting => ("connecting", Style::Waiting),
            RelayState::Failed => ("failed", Style::Bad),
        };
        table.styled([
            (relay.url.clone(), Style::Strong),
            (state.to_owned(), style),
            (if relay.own { "this device" } else { "the network" }.to_owned(), Style::Plain),
            (relay.reason.clone(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn flows(out: Output, connections: &[Connection]) -> String {
    if connections.is_empty() {
        return "No other device is connected.".to_owned();
    }
    let mut table =
        Table::new(&["DEVICE", "PATH", "ROUND TRIP", "SINCE", "SENT", "RECEIVED", "LENDING", "BORROWING", "AT"]);
    for link in connections {
        table.styled([
            (link.device_name.clone(), Style::Strong),
            (path_word(link.path).to_owned(), Style::Plain),
            (format!("{:.1} ms", link.rtt_ms), Style::Plain),
            (relative(link.since, now()), Style::Quiet),
            (size(link.sent_bytes), Style::Plain),
            (size(link.received_bytes), Style::Plain),
            (link.lending.to_string(), Style::Plain),
            (link.borrowing.to_string(), Style::Plain),
            (link.address.clone(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::PathKind;

    use super::*;

    #[test]
    fn what_is_near_is_listed_in_columns() {
        let desk = NearbyDevice {
            device_id: "0123456789abcdef".to_owned(),
            device_name: "Desk".to_owned(),
            network_id: Some("1".to_owned()),
            network: Some("Home".to_owned()),
            member: false,
            since: now(),
        };
        assert_eq!(near(Output::new(true), &[desk]), "NAME  NETWORK  SEEN    ID\nDesk  Home     now     0123456789");
        assert!(near(Output::new(true), &[]).contains("doctor"));
        let relay = Relay {
            url: "https://relay.example/".to_owned(),
            own: true,
            state: RelayState::Failed,
            reason: "It does not answer.".to_owned(),
        };
        assert_eq!(
            relay_table(Output::new(true), &[relay]),
            "RELAY                   STATE   SET BY\nhttps://relay.example/  failed  this device  It does not answer."
        );
    }

    #[test]
    fn what_flows_is_listed_in_columns() {
        let link = Connection {
            device_id: "0".repeat(64),
            device_name: "Desk".to_owned(),
            path: PathKind::Direct,
            address: "10.0.0.2:5000".to_owned(),
            rtt_ms: 0.42,
            since: now(),
            sent_bytes: 1_500,
            received_bytes: 20,
            lending: 1,
            borrowing: 0,
        };
        assert_eq!(
            flows(Output::new(true), &[link]),
            "DEVICE  PATH    ROUND TRIP  SINCE  SENT    RECEIVED  LENDING  BORROWING  AT\n\
             Desk    direct  0.4 ms      now    1.5 kB  20 B      1        0          10.0.0.2:5000"
        );
    }
}
