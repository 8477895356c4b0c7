//! Networks, invites, knocks and joining.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::{DeviceId, Role};

/// One saved network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Network {
    /// BLAKE3 of the signed genesis record, hexadecimal.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is the active one.
    pub active: bool,
    /// This device's role in it; `null` when this device was removed.
    pub role: Option<Role>,
    /// Who may admit.
    pub kind: NetworkKind,
    /// How many devices are members, this one included.
    pub members: u32,
    /// When it was founded.
    pub founded_at: i64,
}

/// Who may admit new devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// Every member may.
    #[default]
    Open,
    /// Owners and managers may.
    Closed,
}

/// What an invite should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct InviteOptions {
    /// Whether it also admits, without a knock being answered.
    pub approved: bool,
    /// Role of those it admits; `member` when not given. Needs `approved`.
    pub role: Option<Role>,
    /// How many devices it admits; 1 when not given. Needs `approved`.
    pub uses: Option<u32>,
    /// How long it is valid, in seconds; one day when not given.
    pub expires_in_s: Option<u32>,
}

/// An invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Invite {
    /// Short id to revoke it by.
    pub id: String,
    /// The link, `myownllm://join/...`. `null` where this device did not make it.
    pub invite: Option<String>,
    /// Name of the network it leads to.
    pub network: String,
    /// Whether it also admits.
    pub approved: bool,
    /// Role of those it admits.
    pub role: Role,
    /// When it stops working.
    pub expires_at: i64,
    /// Admissions left; `null` for one that only finds the network.
    pub uses_left: Option<u32>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A request to join that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Knock {
    /// Id of the knock.
    pub id: String,
    /// Network it asks for.
    pub network: String,
    /// Device that knocks.
    pub device_id: DeviceId,
    /// Its name, cleaned of control and direction characters.
    pub device_name: String,
    /// A member whose name this one resembles; the screen warns about it.
    pub resembles: Option<String>,
    /// Operating system it told.
    pub os: String,
    /// Six characters that must equal those on the other screen.
    pub code: String,
    /// When it came.
    pub at: i64,
    /// When it will expire.
    pub expires_at: i64,
}

/// Why a person turned a knock down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum DenyKind {
    /// An ordinary no, with an optional reason.
    Denied,
    /// The codes on the screens differ: possibly somebody in the middle.
    CodesDiffer,
    /// Nobody here expected it: told to the other side as a plain no.
    Unexpected,
}

/// One step of joining, in order. A stream of these ends with `joined` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JoinEvent {
    /// Looking for a device of the network.
    Finding {
        /// Name of the network as the invite tells it.
        network: String,
    },
    /// A device of the network answered.
    Connected {
        /// Its name.
        device_name: String,
    },
    /// The knock lies on the other screen and waits for a person.
    Knocking {
        /// Six characters that must equal those on the other screen.
        code: String,
        /// When it will expire.
        expires_at: i64,
    },
    /// This device is a member and the network is active.
    Joined {
        /// Name of the network.
        network: String,
        /// Its id.
        network_id: String,
    },
    /// It ended without joining.
    Failed {
        /// Why, and what to do.
        error: crate::error::ControlError,
    },
}

/// A numbered step of joining.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct JoinItem {
    /// Position in the stream, from 1; give it as `after` to resume.
    pub seq: u64,
    /// The step.
    #[serde(flatten)]
    pub event: JoinEvent,
}
