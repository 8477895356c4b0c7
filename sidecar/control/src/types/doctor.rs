//! The staged checks of the doctor.

use serde::{Deserialize, Serialize};
use specta::Type;

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DoctorReport {
    /// The checks, in order; a check that could not run because an earlier one failed is left out.
    pub checks: Vec<DoctorCheck>,
    /// The whole report as text, with keys, addresses and names masked: safe to paste into a bug report.
    pub report: String,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DoctorCheck {
    /// Stable name, for example `reachable`.
    pub name: String,
    /// Whether it passed.
    pub ok: bool,
    /// What was seen, as a sentence.
    pub detail: String,
    /// What to do; `null` when it passed.
    pub fix: Option<String>,
    /// Why, for programs; `null` when it passed or the cause has no name.
    pub cause: Option<DoctorCause>,
}

/// Why a check failed. Stable: screens and scripts decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum DoctorCause {
    /// No address of the device is known.
    Unknown,
    /// No multicast route: devices on the local network cannot be found.
    MulticastMissing,
    /// Nothing answers at its addresses.
    NoRoute,
    /// The relay refuses or does not answer.
    RelayRefused,
    /// It is reached only through a relay.
    Relayed,
    /// Another network is active there.
    WrongNetwork,
    /// It does not count this device as a member.
    NotAdmitted,
    /// The versions do not fit: one side is too old.
    VersionTooOld,
    /// The clocks are far apart.
    ClockOff,
    /// The invite is over.
    InviteExpired,
    /// No engine runs, so there is nothing to answer with.
    EngineDown,
    /// No model is offered.
    NoModel,
    /// No network is active here.
    NoNetwork,
}
