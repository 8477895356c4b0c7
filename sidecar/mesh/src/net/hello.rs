//! What two members tell each other on the first stream of a connection, after the greetings of
//! [`welcome`](crate::proto::welcome): how to find each other later, and which of two connections stays.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use iroh::{RelayUrl, TransportAddr};
use serde::{Deserialize, Serialize};

use crate::proto::knock::message::MAX_ADDRESSES;

/// Most bytes of an [`Introduction`].
pub(crate) const INTRODUCTION_LIMIT: usize = 4 * 1024;
/// Most bytes of a [`Control`].
pub(crate) const CONTROL_LIMIT: usize = 4 * 1024;
/// Longest relay URL that is kept.
const MAX_RELAY_BYTES: usize = 256;

/// The second frame of each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    /// Random number of this run of the program: a connection of an earlier run is dead.
    pub(crate) run: u64,
    /// Where the sender can be reached.
    pub(crate) places: Places,
}

/// Later frames: about replacing this connection by another, see [`link`](super::link), and about having moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Control {
    /// Begin no new requests here.
    Retire,
    /// Agreed.
    Retired {
        /// How many requests the sender began on this connection.
        opened: u64,
    },
    /// The sender can be reached elsewhere from now on.
    Moved {
        /// Where; takes the place of what it told before.
        places: Places,
    },
}

/// Where a device can be reached: addresses and relays, bounded, without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    addresses: Vec<SocketAddr>,
    relay: Option<String>,
}

impl Places {
    /// Of these the usable ones, at most [`MAX_ADDRESSES`].
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>, relay: Option<String>) -> Self {
        let usable = |addr: &SocketAddr| addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast();
        let mut seen = BTreeSet::new();
        let addresses =
            addresses.into_iter().filter(|addr| usable(addr) && seen.insert(*addr)).take(MAX_ADDRESSES).collect();
        let relay = relay.filter(|url| url.len() <= MAX_RELAY_BYTES && url.parse::<RelayUrl>().is_ok());
        Self { addresses, relay }
    }

    /// What an endpoint knows of itself.
    pub(crate) fn of(addrs: impl IntoIterator<Item = TransportAddr>) -> Self {
        let mut relay = None;
        let mut addresses = Vec::new();
        for addr in addrs {
            match addr {
                TransportAddr::Ip(addr) => addresses.push(addr),
                TransportAddr::Relay(url) => relay = Some(url.to_string()),
                _ => {}
            }
        }
        Self::new(addresses, relay)
    }

    /// As told by another device: bounded and checked again.
    pub(crate) fn checked(self) -> Self {
        Self::new(self.addresses, self.relay)
    }

    /// These and, behind them, `older` ones while there is room.
    pub(crate) fn merged(&self, older: &Self) -> Self {
        let addresses = self.addresses.iter().chain(&older.addresses).copied();
        Self::new(addresses, self.relay.clone().or_else(|| older.relay.clone()))
    }

    /// Of these the addresses and the relay that satisfy the conditions.
    pub(crate) fn only(&self, address: impl Fn(&SocketAddr) -> bool, relay: impl Fn(&RelayUrl) -> bool) -> Self {
        let url = |text: &&String| text.parse::<RelayUrl>().is_ok_and(|url| relay(&url));
        Self {
            addresses: self.addresses.iter().copied().filter(address).collect(),
            relay: self.relay.as_ref().filter(url).cloned(),
        }
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.relay.is_none()
    }

    /// The addresses.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The relay.
    pub(crate) fn relay(&self) -> Option<&str> {
        self.relay.as_deref()
    }

    /// As iroh wants them.
    pub(crate) fn transport_addrs(&self) -> Vec<TransportAddr> {
        let relay = self.relay.as_ref().and_then(|url| url.parse::<RelayUrl>().ok()).map(TransportAddr::Relay);
        self.addresses.iter().copied().map(TransportAddr::Ip).chain(relay).collect()
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> =
            self.addresses.iter().map(ToString::to_string).chain(self.relay.iter().cloned()).collect();
        f.write_str(&if all.is_empty() { "no known address".to_owned() } else { all.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::frame;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_introduction_has_golden_bytes() {
        let places = Places::new([addr("127.0.0.1:4433")], None);
        let bytes = frame::encode(&Introduction { run: 300, places }, INTRODUCTION_LIMIT).expect("fits");
        assert_eq!(bytes, [0, 0, 0, 11, 0xac, 2, 1, 0, 127, 0, 0, 1, 0xd1, 0x22, 0]);
    }

    #[test]
    fn control_frames_have_golden_bytes() {
        assert_eq!(frame::encode(&Control::Retire, CONTROL_LIMIT).expect("fits"), [0, 0, 0, 1, 0]);
        assert_eq!(frame::encode(&Control::Retired { opened: 5 }, CONTROL_LIMIT).expect("fits"), [0, 0, 0, 2, 1, 5]);
        let places = Places::new([addr("127.0.0.1:4433")], None);
        let moved = frame::encode(&Control::Moved { places }, CONTROL_LIMIT).expect("fits");
        assert_eq!(moved, [0, 0, 0, 10, 2, 1, 0, 127, 0, 0, 1, 0xd1, 0x22, 0]);
    }

    #[test]
    fn what_another_device_tells_is_bounded_and_checked() {
        let many = (1..=200).map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let useless = [addr("0.0.0.0:1"), addr("10.0.0.1:0"), addr("224.0.0.1:5")];
        let told = Places { addresses: useless.into_iter().chain(many).collect(), relay: Some("no url".into()) };
        let kept = told.checked();
        assert_eq!(kept.addresses().len(), MAX_ADDRESSES);
        assert_eq!(kept.addresses()[0], addr("10.0.0.1:1"));
        assert_eq!(kept.relay(), None);
    }

    #[test]
    fn newer_places_come_first() {
        let old = Places::new([addr("10.0.0.1:1"), addr("10.0.0.1:2")], Some("https://relay.example".into()));
        let new = Places::new([addr("10.0.0.1:2")], None);
        let merged = new.merged(&old);
        assert_eq!(merged.addresses(), [addr("10.0.0.1:2"), addr("10.0.0.1:1")]);
        assert!(merged.relay().is_some());
    }
}
