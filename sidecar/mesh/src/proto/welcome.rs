//! The first frames on a mesh connection (ALPN [`MESH_ALPN`]).
//!
//! A refused QUIC handshake can look like a success to the side that dialled, so both sides say explicitly where they
//! stand before anything else: the dialler opens a bi-stream and sends a [`Greeting`], the other answers with one. Only
//! a `Welcome` from both, for the same network, makes a link.

use serde::{Deserialize, Serialize};

use super::ids::NetworkId;

/// Protocol that members speak; the number changes with an incompatible wire.
pub const MESH_ALPN: &[u8] = b"myownmesh/1";
/// Version told in the welcome, for what changes compatibly.
pub const PROTOCOL: u16 = 1;
/// Most bytes of a greeting.
pub const GREETING_LIMIT: usize = 1024;

/// How a side introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u16,
    /// Version of the sender's app, to show.
    pub app_version: String,
    /// The network that this link is for.
    pub network: NetworkId,
    /// What the sender calls itself, to show; clean it first.
    pub device_name: String,
}

/// Why a link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The dialler was never admitted.
    #[error("this device is not a member of the network: knock first")]
    NotMember,
    /// It was, and was removed.
    #[error("this device was removed from the network: knock again to come back")]
    Removed,
    /// The other device has another network active.
    #[error("the other device is not in this network now")]
    OtherNetwork,
    /// The protocols do not fit.
    #[error(
        "the two devices run versions that do not understand each other: update the older one (it speaks {spoken})"
    )]
    Version {
        /// What the refusing side speaks.
        spoken: u16,
    },
    /// It is shutting down or has too many links.
    #[error("the other device is busy: it will be tried again")]
    Busy,
}

/// The first frame from each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// Go on.
    Welcome(Welcome),
    /// Go away, and why.
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::frame::{self, FrameDecoder};

    #[test]
    fn the_welcome_has_golden_bytes() {
        let greeting = Greeting::Welcome(Welcome {
            protocol: PROTOCOL,
            app_version: "0.1.0".into(),
            network: NetworkId::from_bytes([0xaa; 32]),
            device_name: "Attic".into(),
        });
        let bytes = frame::encode(&greeting, GREETING_LIMIT).expect("fits");
        let mut golden = vec![0, 0, 0, 46, 0, 1, 5];
        golden.extend(b"0.1.0");
        golden.extend([0xaa; 32]);
        golden.push(5);
        golden.extend(b"Attic");
        assert_eq!(bytes, golden);
        let mut decoder = FrameDecoder::new(GREETING_LIMIT);
        decoder.push(&bytes).expect("within the limit");
        assert_eq!(decoder.next(), Ok(Some(greeting)));
    }

    #[test]
    fn refusals_have_golden_bytes() {
        let golden: [(Refusal, &[u8]); 5] = [
            (Refusal::NotMember, &[0, 0, 0, 2, 1, 0]),
            (Refusal::Removed, &[0, 0, 0, 2, 1, 1]),
            (Refusal::OtherNetwork, &[0, 0, 0, 2, 1, 2]),
            (Refusal::Version { spoken: 1 }, &[0, 0, 0, 3, 1, 3, 1]),
            (Refusal::Busy, &[0, 0, 0, 2, 1, 4]),
        ];
        for (refusal, bytes) in golden {
            assert_eq!(frame::encode(&Greeting::Refused(refusal), GREETING_LIMIT).expect("fits"), bytes);
        }
    }
}
