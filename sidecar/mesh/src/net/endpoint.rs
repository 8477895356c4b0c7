//! The iroh endpoint: bound where the caller says, silent towards servers unless a setting names one, and closed to
//! strangers on the mesh protocol before a single byte of theirs is read.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{
    AfterHandshakeOutcome, Builder, Connection, EndpointHooks, IdleTimeout, PortmapperConfig, QuicTransportConfig,
    Side, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, NetReportConfig, RelayMap, RelayMode, RelayUrl, SecretKey, TransportAddr};
use tokio::sync::watch;

use super::close::CloseCode;
use super::hello::Places;
use super::outlet::Outlet;
use super::reach::Ways;
use super::refusals::{Attempt, Refusals};
use crate::error::MeshError;
use crate::proto::ids::DeviceId;
use crate::proto::knock::KNOCK_ALPN;
use crate::proto::welcome::MESH_ALPN;
use crate::roster::RosterWatch;

/// Streams a member may have open at once; QUIC's default of about 100 is too few for many chats at once.
const MAX_STREAMS: u32 = 1024;
/// A live path is never silent for longer than this.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A peer silent for this long is gone. Noticing takes up to a second more.
const IDLE: Duration = Duration::from_secs(5);
/// A path silent for this long is given up for another one.
const PATH_IDLE: Duration = Duration::from_secs(3);

/// How often, and how far apart, the ports of the last run are tried.
const REUSE_TRIES: u32 = 8;
const REUSE_PAUSE: Duration = Duration::from_millis(50);

/// Refuses whoever is not in the roster on [`MESH_ALPN`], right after the handshake.
#[derive(Debug, Clone)]
pub(crate) struct MembersOnly {
    roster: RosterWatch,
    /// Members of networks that are not active.
    elsewhere: watch::Receiver<Arc<BTreeSet<DeviceId>>>,
    refusals: Refusals,
}

impl MembersOnly {
    /// Lets in who is in `roster`, asks who is `elsewhere` to come later, and tells `refusals` of everybody else.
    pub(crate) fn new(
        roster: RosterWatch,
        elsewhere: watch::Receiver<Arc<BTreeSet<DeviceId>>>,
        refusals: Refusals,
    ) -> Self {
        Self { roster, elsewhere, refusals }
    }
}

impl EndpointHooks for MembersOnly {
    async fn after_handshake<'a>(&'a self, connection: &'a Connection) -> AfterHandshakeOutcome {
        if connection.side() == Side::Client || connection.alpn() == KNOCK_ALPN {
            return AfterHandshakeOutcome::Accept;
        }
        let device = DeviceId::from(connection.remote_id());
        if connection.alpn() == MESH_ALPN && self.roster.borrow().members.contains_key(&device) {
            return AfterHandshakeOutcome::Accept;
        }
        let code = if connection.alpn() == MESH_ALPN && self.elsewhere.borrow().contains(&device) {
            // No stranger: it has not switched along.
            if self.roster.borrow().network.is_some() { CloseCode::OtherNetwork } else { CloseCode::Left }
        } else {
            self.refusals.tell(device, Attempt::NotMember);
            CloseCode::NotMember
        };
        AfterHandshakeOutcome::Reject { error_code: code.code(), reason: code.text().as_bytes().to_vec() }
    }
}

/// What an endpoint is made of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) secret: [u8; 32],
    /// The way to servers.
    pub(crate) outlet: Outlet,
    /// Who may open the mesh protocol.
    pub(crate) door: MembersOnly,
}

/// Binds the endpoint. `last` are the sockets of the last run (IPv4, IPv6): their ports are tried first where `listen`
/// says port 0, so that devices which know the old addresses still find this one.
pub(crate) async fn bind(setup: Setup, listen: &[SocketAddr], last: &[SocketAddr]) -> Result<Endpoint, MeshError> {
    let listen = if listen.is_empty() { any_interface() } else { listen.to_vec() };
    let reuse = with_last_ports(&listen, last);
    if reuse != listen {
        for _ in 0..REUSE_TRIES {
            match bind_at(setup.clone(), &reuse).await {
                Ok(endpoint) => return Ok(endpoint),
                // A run that ended a moment ago may not have let go of its sockets yet.
                Err(MeshError::PortInUse(_)) => tokio::time::sleep(REUSE_PAUSE).await,
                Err(_) => break,
            }
        }
        tracing::info!("the ports of the last run are taken; taking free ones");
    }
    bind_at(setup, &listen).await
}

async fn bind_at(setup: Setup, listen: &[SocketAddr]) -> Result<Endpoint, MeshError> {
    let Setup { secret, outlet, door } = setup;
    let mut report = NetReportConfig::minimal();
    // How the nearest relay is found where UDP does not reach one.
    report.https_probes = true;
    let mut builder = Builder::new(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&secret))
        .alpns(vec![MESH_ALPN.to_vec(), KNOCK_ALPN.to_vec()])
        // Without relays, and able to take some later.
        .relay_mode(RelayMode::Custom(RelayMap::empty()))
        .proxy_url(outlet.url().clone().into())
        .net_report_config(report)
        .portmapper_config(PortmapperConfig::Disabled)
        .transport_config(transport())
        .hooks(door)
        .clear_ip_transports();
    for addr in listen {
        builder = builder.bind_addr(*addr).map_err(|_| {
            MeshError::InvalidArgument(
                "Give at most one listen address for IPv4 and one for IPv6, for example `--listen 0.0.0.0:4433`."
                    .to_owned(),
            )
        })?;
    }
    builder.bind().await.map_err(|error| bind_error(&error, listen))
}

fn bind_error(error: &iroh::endpoint::BindError, listen: &[SocketAddr]) -> MeshError {
    use iroh::endpoint::BindError;
    if let BindError::Sockets { source, .. } | BindError::CreateQuicEndpoint { source, .. } = error
        && source.kind() == std::io::ErrorKind::AddrInUse
        && let Some(addr) = listen.iter().find(|addr| addr.port() != 0)
    {
        return MeshError::PortInUse(*addr);
    }
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    MeshError::Bind(cause)
}

/// Fewer acknowledgements (`ack_frequency_config`) would save a fifth of the CPU of a single stream, but noq-proto 1.4.0 then
/// panics where its frame meets a full packet, for example when a path is cut.
fn transport() -> QuicTransportConfig {
    let idle = IdleTimeout::from(VarInt::from_u32(u32::try_from(IDLE.as_millis()).unwrap_or(8_000)));
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE)
        .max_idle_timeout(Some(idle))
        .build()
}

fn any_interface() -> Vec<SocketAddr> {
    vec![
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0)),
    ]
}

/// `listen` with port 0 replaced by the port of the last run on the same address.
fn with_last_ports(listen: &[SocketAddr], last: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut listen = listen.to_vec();
    for addr in listen.iter_mut().filter(|addr| addr.port() == 0) {
        if let Some(known) = last.iter().find(|known| known.ip() == addr.ip()) {
            addr.set_port(known.port());
        }
    }
    listen
}

/// Where others can find this endpoint now, as far as they may know: told to members and written into invites.
pub(crate) fn own_places(endpoint: &Endpoint, ways: &Ways) -> Places {
    ways.fit(&Places::of(endpoint.addr().addrs))
}

/// The address to dial `device` at: its places, and through each of `relays`, since it may have moved to another one.
pub(crate) fn dial_addr(device: DeviceId, places: &Places, relays: &[RelayUrl]) -> EndpointAddr {
    let relays = relays.iter().cloned().map(TransportAddr::Relay);
    EndpointAddr::from_parts(device.into(), places.transport_addrs().into_iter().chain(relays))
}

/// Whether an address belongs to the local network: loopback, link-local, and the private ranges of RFC 1918 and
/// RFC 4193.
pub(crate) fn is_local(addr: &SocketAddr) -> bool {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_port_zero_takes_the_port_of_the_last_run() {
        let listen = [addr("127.0.0.1:0"), addr("[::1]:4000")];
        let last = [addr("127.0.0.1:5000"), addr("[::1]:6000")];
        assert_eq!(with_last_ports(&listen, &last), [addr("127.0.0.1:5000"), addr("[::1]:4000")]);
        assert_eq!(with_last_ports(&listen, &[addr("10.0.0.1:5000")]), listen);
    }

    #[test]
    fn an_air_gap_lets_local_addresses_through_only() {
        let local = ["127.0.0.1:1", "10.1.2.3:1", "172.16.0.1:1", "192.168.1.1:1", "169.254.1.1:1", "[::1]:1"];
        let local = local.iter().chain(&["[fe80::1]:1", "[fd00::1]:1", "[::ffff:10.0.0.1]:1"]);
        assert!(local.clone().all(|text| is_local(&addr(text))));
        let far = ["8.8.8.8:1", "172.32.0.1:1", "100.64.0.1:1", "[2001:db8::1]:1", "[::ffff:8.8.8.8]:1"];
        assert!(!far.iter().any(|text| is_local(&addr(text))));
    }
}
