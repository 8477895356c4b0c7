//! Knocking: how a stranger asks to be let in (ALPN [`KNOCK_ALPN`]).
//!
//! [`message`] holds the frames, [`guest`] the side that asks, [`host`] the side that is asked and its bounded queue,
//! [`share`] what lets other members answer as well.
//! One connection is one knock on one bi-stream that the guest opens:
//!
//! ```text
//! guest                                   host
//!   Hello {commitment, name, ...}   ->          at most 4 KiB, once per device, rate-limited
//!                                   <-    Challenge {host nonce, host name}
//!   Reveal {guest nonce}            ->          must match the commitment; both derive the code
//!                                   <-    Waiting {how long}         a person decides
//!                                   <-    Admitted {records, peers} | Denied {kind, reason} | Expired
//! ```
//!
//! A former member that is refused sends `Why` in place of `Hello` and gets the record that `Removed` it.
//! `Busy` can answer a `Hello`; `Withdraw` can follow it at any time. Until `Admitted` the guest learns nothing of the
//! network but the name of the device it knocks at.

pub mod guest;
pub mod host;
pub mod message;
pub mod share;

pub use guest::{Admission, Guest, GuestEffect, GuestEvent, GuestOutcome, GuestSetup, HostFault};
pub use host::{
    ConnId, DecideError, Decision, EndReason, Host, HostEffect, HostEvent, HostLimits, HostSetup, PendingKnock,
};
pub use message::{
    Bundle, DenyKind, GuestFrame, Hello, HostFrame, InviteClaim, InviteProblem, KNOCK_ALPN, KNOCK_PROTOCOL, PeerAddress,
};
pub use share::{
    Board, BoardEnd, BoardError, BoardKnock, Decide, Outcome, PassedEffect, PassedKnock, PassedLimits, PassedOn,
    Verdict,
};

#[cfg(test)]
mod tests;
