//! Relays and lookup servers, real ones on loopback: paths that only a relay makes possible, and settings that change
//! while everything runs.

use std::net::SocketAddr;
use std::sync::Arc;

use iroh_relay::server::{Access, AccessControl, ClientRequest, ConnectionId, RelayConfig, Server, ServerConfig};
use myownmesh_mesh::{LinkState, MeshEvent, NetworkId, PathKind, ProbeCause, RelayState, SettingsPatch};
use tokio::sync::watch;

use super::support::*;

/// Addresses of different families: two devices on these can never reach each other directly.
const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

/// Lets everybody in, or nobody, and counts those who are connected.
#[derive(Debug, Clone)]
struct Door {
    open: bool,
    connected: watch::Sender<usize>,
}

impl Door {
    fn new(open: bool) -> Self {
        Self { open, connected: watch::Sender::new(0) }
    }

    async fn until(&self, count: usize) {
        let mut connected = self.connected.subscribe();
        let waiting = connected.wait_for(|now| *now == count);
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{} are connected", *self.connected.borrow());
    }
}

impl AccessControl for Door {
    async fn on_connect(&self, _request: &ClientRequest) -> Access {
        if !self.open {
            return Access::Deny { reason: Some("not\non the list".to_owned()) };
        }
        self.connected.send_modify(|count| *count += 1);
        Access::Allow
    }

    fn on_disconnect(&self, _endpoint: iroh::EndpointId, _connection: ConnectionId) {
        self.connected.send_modify(|count| *count -= 1);
    }
}

struct Relay {
    server: Server,
    door: Door,
    url: String,
}

impl Relay {
    async fn start(door: Door, addr: &str) -> Self {
        let mut relay = RelayConfig::new(addr.parse::<SocketAddr>().unwrap());
        relay.access = Arc::new(door.clone());
        let mut config = ServerConfig::default();
        config.relay = Some(relay);
        let server = Server::spawn(config).await.unwrap();
        let url = format!("http://{}/", server.http_addr().unwrap());
        Self { server, door, url }
    }

    async fn open() -> Self {
        Self::start(Door::new(true), "127.0.0.1:0").await
    }

    async fn stop(self) -> SocketAddr {
        let addr = self.server.http_addr().unwrap();
        self.server.shutdown().await.unwrap();
        addr
    }
}

fn relays(urls: &[&str]) -> SettingsPatch {
    SettingsPatch { relays: Some(urls.iter().map(ToString::to_string).collect()), ..SettingsPatch::default() }
}

fn active(device: &Device) -> NetworkId {
    device.mesh.snapshot().active.unwrap()
}

async fn set(device: &Device, patch: SettingsPatch) {
    device.mesh.set_network_settings(active(device), patch).await.unwrap();
}

async fn until_relay(device: &Device, url: &str, state: RelayState) -> String {
    let fits = |relay: &&myownmesh_mesh::RelayInfo| relay.url == url && relay.state == state;
    let picture = device.until(|picture| picture.relays.iter().any(|relay| fits(&relay))).await;
    picture.relays.iter().find(fits).unwrap().reason.clone()
}

fn path(device: &Device, other: &Device) -> Option<PathKind> {
    match device.mesh.snapshot().member(other.id())?.link {
        LinkState::Online { path, .. } => Some(path),
        _ => None,
    }
}

/// Two members that reach each other only through a relay of their network.
async fn relayed_pair() -> (Relay, Device, Device) {
    let relay = Relay::open().await;
    let host = Device::start_with("Attic", 1, |config| config.listen = vec![V4.parse().unwrap()]).await;
    let guest = Device::start_with("Laptop", 2, |config| config.listen = vec![V6.parse().unwrap()]).await;
    host.found("Home").await;
    set(&host, relays(&[&relay.url])).await;
    until_relay(&host, &relay.url, RelayState::Connected).await;
    join(&host, &guest).await;
    until_relay(&guest, &relay.url, RelayState::Connected).await;
    (relay, host, guest)
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_cannot_meet_use_a_relay_until_it_dies_and_when_it_is_back() {
    let (relay, host, guest) = relayed_pair().await;
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
    assert_eq!((path(&host, &guest), path(&guest, &host)), (Some(PathKind::Relay), Some(PathKind::Relay)));
    let connection = guest.mesh.connections().await.pop().unwrap();
    assert_eq!(
        (connection.device_id, connection.path, connection.address),
        (host.id(), PathKind::Relay, relay.url.clone())
    );
    assert!(connection.sent_bytes > 0 && connection.received_bytes > 0);
    let report = guest.mesh.probe(host.id()).await;
    assert_eq!(report.direct.unwrap().cause, Some(ProbeCause::Relayed));
    assert!(report.reachable.unwrap().ok && report.admitted.unwrap().ok);

    let url = relay.url.clone();
    let addr = relay.stop().await;
    let reason = until_relay(&host, &url, RelayState::Failed).await;
    assert!(reason.contains("does not answer"), "{reason}");
    guest.until(|picture| matches!(picture.member(host.id()).unwrap().link, LinkState::Away { .. })).await;
    until_relay(&guest, &url, RelayState::Failed).await;
    let report = guest.mesh.probe(host.id()).await;
    assert_eq!(report.reachable.unwrap().cause, Some(ProbeCause::RelayRefused));

    let relay = Relay::start(Door::new(true), &addr.to_string()).await;
    until_relay(&host, &relay.url, RelayState::Connected).await;
    guest.until_linked(&[host.id()]).await;
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_made_through_a_relay_goes_direct_when_it_can() {
    let relay = Relay::open().await;
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    set(&host, relays(&[&relay.url])).await;
    until_relay(&host, &relay.url, RelayState::Connected).await;
    // An invite that knows nothing but the relay.
    let mut payload = host.invite().await.payload().clone();
    assert_eq!(payload.relays, std::slice::from_ref(&relay.url));
    payload.addresses.clear();
    let invite = myownmesh_mesh::Invite::sign(&iroh::SecretKey::from_bytes(&[1; 32]), payload).unwrap();
    let mut progress = guest.mesh.join(invite).await.unwrap();
    let code = until_knocking(&mut progress).await;
    host.mesh.approve(host.knock().await.id, myownmesh_mesh::Role::Member, Some(code)).await.unwrap();
    last(&mut progress).await;
    let direct = |picture: &myownmesh_mesh::MeshSnapshot| {
        picture.member(host.id()).is_some_and(|it| matches!(it.link, LinkState::Online { path: PathKind::Direct, .. }))
    };
    guest.until(direct).await;
    // The relay is not needed any more.
    relay.stop().await;
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_move_from_one_relay_to_another_and_stay_members() {
    let (one, host, guest) = relayed_pair().await;
    let two = Relay::open().await;
    let mut events = guest.mesh.events();
    set(&host, relays(&[&two.url])).await;
    for device in [&host, &guest] {
        until_relay(device, &two.url, RelayState::Connected).await;
        assert_eq!(device.mesh.snapshot().relays.len(), 1, "the old one is not shown any more");
    }
    let moved = async {
        loop {
            let connections = guest.mesh.connections().await;
            if connections.iter().any(|it| it.device_id == host.id() && it.address == two.url) {
                break;
            }
            // One that is under way while the link moves may be lost; the next one is not.
            let _ = guest.text(host.id(), "/who").await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("the link moves to the new relay");
    // The old relay is let go of.
    one.door.until(0).await;
    one.stop().await;
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, MeshEvent::NetworkChanged { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_refuses_says_so() {
    let relay = Relay::start(Door::new(false), "127.0.0.1:0").await;
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    set(&host, relays(&[&relay.url])).await;
    let reason = until_relay(&host, &relay.url, RelayState::Failed).await;
    assert!(reason.contains("refuses this device (not on the list)"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_air_gap_and_another_network_let_go_of_the_relay_at_once() {
    let relay = Relay::open().await;
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let home = active(&host);
    set(&host, relays(&[&relay.url])).await;
    until_relay(&host, &relay.url, RelayState::Connected).await;
    relay.door.until(1).await;

    set(&host, SettingsPatch { air_gapped: Some(true), ..SettingsPatch::default() }).await;
    relay.door.until(0).await;
    host.until(|picture| picture.relays.is_empty()).await;
    assert!(host.invite().await.payload().relays.is_empty(), "an invite names no relay that is not used");
    set(&host, SettingsPatch { air_gapped: Some(false), ..SettingsPatch::default() }).await;
    until_relay(&host, &relay.url, RelayState::Connected).await;
    relay.door.until(1).await;

    host.found("Work").await;
    relay.door.until(0).await;
    host.until(|picture| picture.relays.is_empty()).await;
    host.mesh.use_network(home).await.unwrap();
    until_relay(&host, &relay.url, RelayState::Connected).await;
    host.mesh.leave_network().await.unwrap();
    relay.door.until(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_of_its_own_is_used_beside_those_of_the_network() {
    let (own, other) = (Relay::open().await, Relay::open().await);
    let url = own.url.parse().unwrap();
    let host = Device::start_with("Attic", 1, |config| config.relay = Some(url)).await;
    host.found("Home").await;
    until_relay(&host, &own.url, RelayState::Connected).await;
    set(&host, relays(&[&other.url])).await;
    let both = host.until(|picture| picture.relays.len() == 2).await;
    assert_eq!(both.relays.iter().map(|relay| relay.own).collect::<Vec<_>>(), [false, true]);
    host.until(|picture| {
        let states: Vec<RelayState> = picture.relays.iter().map(|relay| relay.state).collect();
        states.contains(&RelayState::Connected) && states.contains(&RelayState::Standby)
    })
    .await;
}
