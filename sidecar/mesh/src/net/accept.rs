//! The front door: takes connections, few at a time from any one place, and hands them on by protocol.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::{Connection, Incoming, IncomingAddr};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::close::CloseCode;
use super::knock::Knocks;
use super::links::Links;
use crate::proto::knock::KNOCK_ALPN;
use crate::proto::welcome::MESH_ALPN;

/// A handshake ends within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Most handshakes at once.
const MAX_HANDSHAKES: usize = 128;
/// Most handshakes at once from one address.
const MAX_PER_ADDRESS: usize = 16;
/// From this many on, whoever connects must first prove that it receives at its address.
const VALIDATE_FROM: usize = 32;

/// Accepts until `stop` is cancelled or the endpoint closes.
pub(crate) async fn run(endpoint: Endpoint, links: Links, knocks: Knocks, stop: CancellationToken) {
    let mut handshakes: JoinSet<(Option<IpAddr>, Option<Connection>)> = JoinSet::new();
    let mut per_address: HashMap<Option<IpAddr>, usize> = HashMap::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = handshakes.join_next(), if !handshakes.is_empty() => {
                let Ok((address, connection)) = done else { continue };
                if let Some(count) = per_address.get_mut(&address) {
                    *count -= 1;
                    if *count == 0 {
                        per_address.remove(&address);
                    }
                }
                if let Some(connection) = connection {
                    hand_on(connection, address, &links, &knocks).await;
                }
            }
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                let address = address_of(&incoming);
                let here = per_address.entry(address).or_default();
                if handshakes.len() >= MAX_HANDSHAKES || *here >= MAX_PER_ADDRESS {
                    tracing::debug!(?address, "refused a connection: too many handshakes");
                    incoming.refuse();
                } else if handshakes.len() >= VALIDATE_FROM && !incoming.remote_addr_validated() {
                    // Fails only for an address that was validated already.
                    let _ = incoming.retry();
                } else {
                    *here += 1;
                    handshakes.spawn(async move { (address, handshake(incoming).await) });
                }
                per_address.retain(|_, count| *count > 0);
            }
        }
    }
    handshakes.shutdown().await;
}

/// The address that limits are counted by; all of a relay's count as one.
fn address_of(incoming: &Incoming) -> Option<IpAddr> {
    match incoming.remote_addr() {
        IncomingAddr::Ip(addr) => Some(addr.ip().to_canonical()),
        _ => None,
    }
}

async fn handshake(incoming: Incoming) -> Option<Connection> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a handshake took too long");
            None
        }
    }
}

async fn hand_on(connection: Connection, address: Option<IpAddr>, links: &Links, knocks: &Knocks) {
    match connection.alpn() {
        MESH_ALPN => links.incoming(connection).await,
        KNOCK_ALPN => knocks.incoming(connection, address).await,
        _ => CloseCode::Protocol.close(&connection),
    }
}
