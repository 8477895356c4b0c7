//! A device that speaks QUIC to a daemon and follows none of its rules.

use std::net::SocketAddr;

use iroh::endpoint::{Connection, PortmapperConfig, presets};
use iroh::{Endpoint, EndpointAddr, RelayMode, SecretKey};

use super::{Daemon, in_time};

/// What only members may open.
pub(crate) const MESH: &[u8] = b"myownmesh/1";
/// What a stranger may open.
pub(crate) const KNOCK: &[u8] = b"myownmesh/knock/1";

/// A bare iroh endpoint with some key.
pub(crate) struct Stranger(Endpoint);

impl Stranger {
    /// One with a key of its own.
    pub(crate) async fn new() -> Self {
        Self::with_key(rand::random()).await
    }

    /// One with this key, which may be another device's.
    pub(crate) async fn with_key(key: [u8; 32]) -> Self {
        let builder = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&key))
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .expect("an address");
        Self(builder.bind().await.expect("an endpoint"))
    }

    /// Connects to a daemon; `None` when it is refused.
    pub(crate) async fn connect(&self, daemon: &Daemon, protocol: &[u8]) -> Option<Connection> {
        let id = daemon.id().parse().expect("a device id is an endpoint id");
        let listen: SocketAddr = daemon.ready["listen"][0].as_str().expect("it listens").parse().expect("an address");
        let address = EndpointAddr::new(id).with_ip_addr(listen);
        in_time("a connection or a refusal", self.0.connect(address, protocol)).await.ok()
    }

    /// Opens a stream, sends `bytes`, and gives what comes back until the other side is done with us.
    ///
    /// A refusal may race the end of the handshake, so the connection may look open for a moment.
    pub(crate) async fn send(connection: &Connection, bytes: &[u8]) -> Vec<u8> {
        let exchange = async {
            let Ok((mut send, mut receive)) = connection.open_bi().await else { return Vec::new() };
            if send.write_all(bytes).await.is_err() {
                return Vec::new();
            }
            // What ends it does not matter, only what was told before.
            let mut told = Vec::new();
            while let Ok(Some(chunk)) = receive.read_chunk(64 * 1024).await {
                told.extend_from_slice(&chunk);
            }
            told
        };
        in_time("the end of the stream", exchange).await
    }
}
