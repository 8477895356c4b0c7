//! The frames of a knock, their order numbers and their limits.
//!
//! Postcard numbers variants by their order here: never reorder, only append.

use std::net::SocketAddr;

use iroh::Signature;
use serde::{Deserialize, Serialize};

use crate::proto::{
    code::{Commitment, Nonce},
    ids::{DeviceId, InviteId, NetworkId},
};

/// Protocol that strangers speak; the only one they are let into.
pub const KNOCK_ALPN: &[u8] = b"myownmesh/knock/1";
/// Version told in `Hello`: devices of different versions show different codes, so they do not knock at each other.
pub const KNOCK_PROTOCOL: u16 = 2;

/// Most bytes of the first frame, `Hello`.
pub const HELLO_LIMIT: usize = 4 * 1024;
/// Most bytes of every later frame from the guest.
pub const GUEST_LIMIT: usize = 64;
/// Most bytes of a frame from the host. `Admitted` needs them: some 16,000 records; the rest follows by reconciliation.
pub const HOST_LIMIT: usize = 4 * 1024 * 1024;
/// Most addresses a device tells of itself or of one peer.
pub const MAX_ADDRESSES: usize = 16;
/// Longest reason a person can give, in characters.
pub const MAX_REASON_CHARS: usize = 280;

/// The claim to be let in by a pre-approved invite, or just the invite that led here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteClaim {
    /// Which invite.
    pub id: InviteId,
    /// For a pre-approved one, the proof of holding its secret.
    pub proof: Option<Signature>,
}

/// What a guest says of itself. Everything in it is the guest's own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`KNOCK_PROTOCOL`] of the guest.
    pub protocol: u16,
    /// Version of its app.
    pub app_version: String,
    /// The network it wants to join.
    pub network: NetworkId,
    /// Its name, not yet cleaned.
    pub device_name: String,
    /// Its operating system, not yet cleaned.
    pub os: String,
    /// Fixes its nonce.
    pub commitment: Commitment,
    /// The invite it comes with.
    pub invite: Option<InviteClaim>,
    /// Where it can be reached once it is a member.
    pub addresses: Vec<SocketAddr>,
}

/// Frames from the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one short-lived value per knock")]
pub enum GuestFrame {
    /// The first.
    Hello(Hello),
    /// The nonce that was committed to.
    Reveal {
        /// The guest's nonce.
        nonce: Nonce,
    },
    /// The guest gave up.
    Withdraw,
    /// In place of a `Hello`: this device was a member, and is refused; by which record?
    Why {
        /// The network.
        network: NetworkId,
    },
}

/// Why a knock was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenyKind {
    /// A person said no.
    Denied,
    /// The codes on the screens differ.
    CodesDiffer,
    /// The host does not have this network active.
    WrongNetwork,
    /// The host may not admit anybody.
    CannotAdmit,
    /// The guest broke the protocol.
    Protocol,
    /// The guest's version is too old or too new.
    Version,
}

/// Why a pre-approved invite did not admit, so that a person is asked instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum InviteProblem {
    /// The host does not know it (yet).
    #[error("the other device does not know this invite, so somebody there has to approve")]
    Unknown,
    /// It was revoked, or its maker may no longer admit.
    #[error("this invite was revoked, so somebody there has to approve")]
    Revoked,
    /// It is out of date.
    #[error("this invite has expired, so somebody there has to approve")]
    Expired,
    /// It has admitted as many devices as it may.
    #[error("this invite is used up, so somebody there has to approve")]
    UsedUp,
    /// The proof is not of its secret.
    #[error("this invite is not genuine, so somebody there has to approve")]
    BadProof,
    /// It gives a role that the host may not give.
    #[error("the other device may not give this invite's role, so somebody has to approve")]
    NotHere,
}

/// Where a member was last reachable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddress {
    /// The member.
    pub device: DeviceId,
    /// Its addresses, at most [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// Its relay.
    pub relay: Option<String>,
}

/// What a newcomer gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The network's records, each in its canonical bytes.
    pub records: Vec<Vec<u8>>,
    /// Where its members are.
    pub peers: Vec<PeerAddress>,
}

/// Frames from the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostFrame {
    /// Answers a `Hello`.
    Challenge {
        /// The host's nonce.
        nonce: Nonce,
        /// The host's name, as its screen shows it.
        device_name: String,
    },
    /// The knock is on the host's screen.
    Waiting {
        /// For how long, in milliseconds. A duration, so that the two clocks need not agree.
        expires_in_ms: u64,
        /// Why the invite did not admit at once.
        invite: Option<InviteProblem>,
    },
    /// The guest is a member now.
    Admitted(Bundle),
    /// It is not.
    Denied {
        /// Why.
        kind: DenyKind,
        /// In the host's words, to be cleaned before it is shown.
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Expired,
    /// Not now.
    Busy {
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// Answers a `Why`: the records that ended the membership, in their canonical bytes.
    Removed {
        /// The removals, the latest last.
        records: Vec<Vec<u8>>,
    },
}
