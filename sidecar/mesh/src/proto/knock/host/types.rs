//! What goes into and comes out of a [`Host`](super::Host), and its numbers.

use std::net::{IpAddr, SocketAddr};

use crate::proto::{
    Millis,
    code::{Code, Nonce},
    frame::FrameError,
    ids::{DeviceId, KnockId},
    knock::message::{Bundle, DenyKind, GuestFrame, HostFrame, InviteProblem},
    limits::BackoffRule,
    name::DeviceName,
    record::{Record, Role, Via},
};

/// The numbers of the queue. All times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct HostLimits {
    /// Knocks that wait for a person.
    pub pending: usize,
    /// Of these, from one address.
    pub pending_per_address: usize,
    /// Connections that have not come as far.
    pub handshaking: usize,
    /// Time for each of the guest's frames.
    pub step_ms: Millis,
    /// Time for the person.
    pub decide_ms: Millis,
    /// How often one device may knock.
    pub per_device: BackoffRule,
    /// How often one address may connect. Looser, since a household has one address.
    pub per_address: BackoffRule,
}

impl Default for HostLimits {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        Self {
            pending: 32,
            pending_per_address: 16,
            handshaking: 64,
            step_ms: 10_000,
            decide_ms: 5 * MINUTE,
            per_device: BackoffRule {
                attempts: 3,
                pause_ms: 1000,
                cooling_ms: 10 * MINUTE,
                longest_ms: 60 * MINUTE,
                forget_ms: 10 * MINUTE,
            },
            per_address: BackoffRule {
                attempts: 30,
                pause_ms: 0,
                cooling_ms: 10_000,
                longest_ms: 10 * MINUTE,
                forget_ms: MINUTE,
            },
        }
    }
}

/// A connection, as the driver numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Who is asked.
#[derive(Debug, Clone)]
pub struct HostSetup {
    /// This device.
    pub me: DeviceId,
    /// What it calls itself.
    pub name: DeviceName,
    /// The numbers.
    pub limits: HostLimits,
}

/// A knock that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKnock {
    /// Its id, the same on both devices.
    pub id: KnockId,
    /// Its connection.
    pub conn: ConnId,
    /// Who knocks.
    pub device: DeviceId,
    /// What it calls itself, cleaned.
    pub name: DeviceName,
    /// A member whose name this one could be taken for.
    pub resembles: Option<DeviceName>,
    /// Its operating system, cleaned.
    pub os: String,
    /// Version of its app, cleaned.
    pub app_version: String,
    /// The code that its screen must show.
    pub code: Code,
    /// When it came.
    pub at: Millis,
    /// When it ends.
    pub expires_at: Millis,
    /// Where it comes from; `None` through a relay.
    pub address: Option<IpAddr>,
    /// Where it says it can be reached.
    pub addresses: Vec<SocketAddr>,
    /// Why its invite did not admit it.
    pub invite: Option<InviteProblem>,
    /// This device's contribution to the code.
    pub host_nonce: Nonce,
    /// The guest's.
    pub guest_nonce: Nonce,
}

/// What happens to a host.
#[derive(Debug)]
pub enum HostEvent {
    /// Somebody opened a knock connection.
    Connected {
        /// The connection.
        conn: ConnId,
        /// Its key, as the handshake proved it.
        device: DeviceId,
        /// Its address; `None` through a relay.
        address: Option<IpAddr>,
        /// Fresh randomness.
        nonce: Nonce,
    },
    /// It sent a frame.
    Frame {
        /// The connection.
        conn: ConnId,
        /// What it sent.
        frame: GuestFrame,
    },
    /// It sent something that is no frame.
    Broken {
        /// The connection.
        conn: ConnId,
        /// What is wrong with it.
        error: FrameError,
    },
    /// It is gone.
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// What [`HostEffect::Admit`] or [`HostEffect::Resend`] asked for is done: here is what the guest gets.
    Bundle {
        /// The connection.
        conn: ConnId,
        /// The records and addresses.
        bundle: Bundle,
    },
    /// What [`HostEffect::Admit`] asked for could not be done.
    AdmitFailed {
        /// The connection.
        conn: ConnId,
    },
    /// Time passed; see [`Host::deadline`](super::Host::deadline).
    Tick,
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Let it in.
    Approve {
        /// As what.
        role: Role,
        /// The code read on the other screen, to be checked.
        code: Option<Code>,
    },
    /// Turn it down. `DenyKind::CodesDiffer` when the screens do not agree.
    Deny {
        /// Why.
        kind: DenyKind,
        /// In words.
        reason: Option<String>,
    },
}

/// Why a decision is not carried out. The knock stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// No such knock waits.
    #[error("this knock is over: it was answered, withdrawn, or nobody answered it in time")]
    Gone,
    /// It was decided and is being carried out.
    #[error("this knock is being answered already")]
    Deciding,
    /// The code given is not the knock's.
    #[error("the codes differ: do not approve; deny this knock, and try again on a network you trust")]
    CodesDiffer,
    /// This device, or the member that decides, may not give that role.
    #[error("this device may not admit others with that role: an owner can")]
    MayNotGrant,
    /// Another member was first.
    #[error("another member was first")]
    Decided {
        /// Who.
        by: DeviceId,
        /// Whether it was approved.
        approved: bool,
    },
}

/// Why a knock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// It was admitted.
    Admitted,
    /// It was turned down.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// The guest gave up or is gone.
    Withdrawn,
    /// The same device knocked again.
    Replaced,
    /// The guest broke the protocol.
    Faulty,
    /// It was approved, but the admission could not be written.
    Failed,
    /// This device left the network.
    Stopped,
}

/// What a host wants done.
#[derive(Debug, PartialEq)]
pub enum HostEffect {
    /// Send this.
    Send {
        /// The connection.
        conn: ConnId,
        /// What.
        frame: HostFrame,
    },
    /// Finish sending, then close.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// Show a knock.
    Arrived(PendingKnock),
    /// Stop showing it.
    Ended {
        /// Which.
        knock: KnockId,
        /// Why.
        reason: EndReason,
        /// The member that decided; `None` when nobody did, or an invite.
        by: Option<DeviceId>,
    },
    /// Write an admit record, or keep the one that is `signed`, then answer with [`HostEvent::Bundle`] or [`HostEvent::AdmitFailed`].
    Admit {
        /// Whom.
        knock: PendingKnock,
        /// As what.
        role: Role,
        /// By whose leave.
        via: Via,
        /// The record, when another member decided.
        signed: Option<Box<Record>>,
    },
    /// The guest was removed and asks by which records: answer with [`HostEvent::Bundle`] of these.
    TellRemoval {
        /// The connection.
        conn: ConnId,
        /// The former member.
        device: DeviceId,
    },
    /// The guest is a member that lost its records: answer with [`HostEvent::Bundle`].
    Resend {
        /// The connection.
        conn: ConnId,
        /// The member.
        device: DeviceId,
    },
}
