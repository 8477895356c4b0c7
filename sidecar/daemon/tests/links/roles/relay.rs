//! A relay as people run their own: `iroh-relay` without encryption of its own, for what it carries is encrypted already.

use std::net::SocketAddr;

use iroh_relay::server::{RelayConfig, Server, ServerConfig};

/// Where it listens.
pub(super) const PORT: u16 = 3340;

/// Serves until killed.
pub(super) async fn serve(address: SocketAddr) {
    let mut config = ServerConfig::default();
    config.relay = Some(RelayConfig::new(address));
    let mut server = Server::spawn(config).await.expect("a relay can be started");
    println!("ready");
    server.join().await.expect("it runs").expect("it runs well");
}
