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
    /// How its devices find and reach each other.
    pub settings: NetworkSettings,
    /// How this device's membership ended, as a sentence; `null` while it is a member.
    pub ended: Option<String>,
}

/// How the devices of a network find and reach each other. Owners set it for all members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NetworkSettings {
    /// Relays for devices that cannot reach each other directly, most preferred first. At most 8 `http(s)` URLs.
    pub relays: Vec<String>,
    /// A pkarr server where members publish and look up each other's addresses; `null`: nothing is published.
    pub lookup: Option<String>,
    /// Whether members find each other by multicast DNS on the local network.
    pub mdns: bool,
    /// Whether members announce the network on the local network, so that devices nearby can knock.
    pub announce: bool,
    /// One switch that overrules relays and lookup: nothing beyond the local network is contacted.
    pub air_gapped: bool,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { relays: Vec::new(), lookup: None, mdns: true, announce: false, air_gapped: false }
    }
}

/// Changes of a network's settings; what is not given stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(default)]
pub struct SettingsPatch {
    /// The new list of relays.
    pub relays: Option<Vec<String>>,
    /// The new lookup server; an empty text turns it off.
    pub lookup: Option<String>,
    /// Whether to use multicast DNS.
    pub mdns: Option<bool>,
    /// Whether to announce the network nearby.
    pub announce: Option<bool>,
    /// Whether to stay within the local network.
    pub air_gapped: Option<bool>,
}

/// A device that announces itself on the local network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NearbyDevice {
    /// The device's id.
    pub device_id: DeviceId,
    /// Its name as it says, cleaned; anybody can claim any name.
    pub device_name: String,
    /// Id of the network it announces; `null` when it announces none.
    pub network_id: Option<String>,
    /// Name of that network, as it says.
    pub network: Option<String>,
    /// Whether it is a member of the active network here.
    pub member: bool,
    /// When it was first seen since this daemon started.
    pub since: i64,
}

/// A relay and whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Relay {
    /// Its URL.
    pub url: String,
    /// Whether it comes from this device's own options rather than from the network's settings.
    pub own: bool,
    /// Whether it can be used now.
    pub state: RelayState,
    /// The state as a sentence.
    pub reason: String,
}

/// Whether a relay can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum RelayState {
    /// Connected: devices can reach this one through it.
    Connected,
    /// Known, and not the one this device is connected to.
    Standby,
    /// Being reached.
    Connecting,
    /// It does not answer, or refused.
    Failed,
}

/// One governing decision: what was decided, by whom, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Decision {
    /// Id of the signed record.
    pub id: String,
    /// When it was made, by its author's clock.
    pub at: i64,
    /// Who signed it.
    pub author_id: DeviceId,
    /// That device's name; its short id where the name is not known.
    pub author: String,
    /// What kind of decision it is.
    pub kind: DecisionKind,
    /// The device it is about.
    pub subject_id: Option<DeviceId>,
    /// What was decided, as a sentence.
    pub text: String,
    /// Whether it counts.
    pub counts: bool,
    /// Why it does not count, as a sentence.
    pub why_not: Option<String>,
    /// For a removal: names of members that have confirmed it.
    pub acknowledged: Vec<String>,
    /// For a removal: names of members that have not been met since.
    pub waiting: Vec<String>,
}

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// The network was founded.
    Founded,
    /// A device was admitted.
    Admitted,
    /// A device was removed.
    Removed,
    /// A device left.
    Left,
    /// A role was given.
    Role,
    /// The network was renamed.
    Renamed,
    /// Who may admit was changed.
    Kind,
    /// How devices reach each other was changed.
    Settings,
    /// A pre-approved invite was made.
    Invited,
    /// A pre-approved invite was revoked.
    Revoked,
    /// A device signed two different records with one number: a lie, or a restored backup.
    Equivocated,
    /// Something a later version knows.
    Unknown,
}

/// Who has heard of a removal, among the members that remain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Removal {
    /// The device that was removed.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Names of members that have cut it off.
    pub acknowledged: Vec<String>,
    /// Names of members that are away; they cut it off as soon as they are met again.
    pub waiting: Vec<String>,
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
    /// Name of the member that made it; `null` when this device did.
    pub by: Option<String>,
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
    /// Name of the member it was made at, which passed it on; `null` when it was made here.
    pub via: Option<String>,
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
        /// Why a pre-approved invite did not admit at once, as a sentence.
        invite: Option<String>,
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
