//! Plain public data of the mesh: what a caller gives, and the pictures and events it gets. Times are milliseconds
//! since the Unix epoch.

mod documents;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use self::documents::{Document, DocumentEdit, SyncDevice, SyncInfo, SyncState};
use crate::error::MeshError;
use crate::proto::code::Code;
use crate::proto::document::Collection;
use crate::proto::ids::{DeviceId, InviteId, KnockId, NetworkId};
use crate::proto::knock::InviteProblem;
use crate::proto::name::{DeviceName, NetworkName};
use crate::proto::record::{NetworkKind, Role};
use crate::proto::settings::NetworkSettings;

/// What [`crate::Mesh::start`] needs.
pub struct MeshConfig {
    /// Secret half of this device's ed25519 identity. The caller keeps it (keychain or file).
    pub secret: [u8; 32],
    /// Name other devices see.
    pub device_name: DeviceName,
    /// Operating system other devices see, for example `Linux`.
    pub os: String,
    /// Version of the app other devices see.
    pub app_version: String,
    /// UDP addresses to listen on; port 0 picks the port of the last run when it is free, else any free one.
    /// Empty: all interfaces, IPv4 and IPv6.
    pub listen: Vec<SocketAddr>,
    /// A relay used beside those of the active network's settings. `None`: only those.
    pub relay: Option<iroh::RelayUrl>,
    /// Whether this device uses multicast DNS at all; a network's settings may still turn it off.
    pub mdns: bool,
    /// A connection of its own to the device's database; the mesh owns the tables that begin with `mesh_`.
    pub database: rusqlite::Connection,
    /// What this device offers to members. Requests reach it with an [`Asker`] extension.
    pub service: axum::Router,
}

/// Request extension: which member asks. Put in by the mesh after the membership check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The device.
    pub device_id: DeviceId,
    /// Its name.
    pub name: DeviceName,
    /// Its role, as known when the request came.
    pub role: Role,
    /// The network through which it asks.
    pub network: NetworkId,
}

/// Request extension: tells whether the link to the asker was lost. Looked at when the answer is dropped before its end:
/// without a loss the asker wanted no more of it.
#[derive(Clone, Debug, Default)]
pub struct LinkLoss(Arc<AtomicBool>);

impl LinkLoss {
    /// Whether it was lost. Only ever turns true.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// It is lost; for whoever keeps the link.
    pub fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Everything a screen shows of the mesh, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshSnapshot {
    /// This device.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: DeviceName,
    /// Addresses it is bound to.
    pub listen: Vec<SocketAddr>,
    /// Saved networks, by name.
    pub networks: Vec<NetworkInfo>,
    /// The active one.
    pub active: Option<NetworkId>,
    /// Members of the active network, this device first, then by name.
    pub members: Vec<MemberInfo>,
    /// Knocks that wait for a person, oldest first; those that other members passed on included.
    pub knocks: Vec<KnockInfo>,
    /// Devices that announce themselves on the local network, by name; members of the active network included.
    pub nearby: Vec<NearbyInfo>,
    /// The relays in use, in the order they were set.
    pub relays: Vec<RelayInfo>,
}

impl MeshSnapshot {
    /// The member with this id.
    pub fn member(&self, device: DeviceId) -> Option<&MemberInfo> {
        self.members.iter().find(|member| member.device_id == device)
    }
}

/// One saved network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// BLAKE3 of its genesis record.
    pub id: NetworkId,
    /// Its name.
    pub name: NetworkName,
    /// Who may admit.
    pub kind: NetworkKind,
    /// Whether it is the active one.
    pub active: bool,
    /// This device's role; `None` when it was removed.
    pub role: Option<Role>,
    /// How many devices are members.
    pub members: u32,
    /// When it was founded.
    pub founded_at: i64,
    /// How its devices find and reach each other.
    pub settings: NetworkSettings,
    /// Who ended this device's membership, and when; `None` while it is a member.
    pub removed: Option<Removed>,
}

/// How this device's membership ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Name of the member that removed it; `None` when this device left.
    pub by: Option<DeviceName>,
    /// When.
    pub at: i64,
}

/// A device that announces itself on the local network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearbyInfo {
    /// The device.
    pub device_id: DeviceId,
    /// Its name as it says, cleaned; anybody can claim any name.
    pub name: DeviceName,
    /// The network it announces; `None` when it announces none.
    pub network: Option<NearbyNetwork>,
    /// When it was first seen in this run.
    pub since: i64,
}

/// A network that a nearby device announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearbyNetwork {
    /// Its id.
    pub id: NetworkId,
    /// Its name, as the device says.
    pub name: NetworkName,
}

/// A relay and whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayInfo {
    /// Its URL.
    pub url: String,
    /// Whether it comes from this device's own options rather than from the network's settings.
    pub own: bool,
    /// Whether it answers now.
    pub state: RelayState,
    /// The state as a sentence.
    pub reason: String,
}

/// Whether a relay can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// Connected: devices can reach this one through it.
    Connected,
    /// Known, not the one this device is connected to.
    Standby,
    /// Being reached.
    Connecting,
    /// It does not answer, or refused.
    Failed,
}

/// Changes of a network's settings; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// See [`NetworkSettings::relays`].
    pub relays: Option<Vec<String>>,
    /// See [`NetworkSettings::lookup`]; `Some(None)` turns it off.
    pub lookup: Option<Option<String>>,
    /// See [`NetworkSettings::mdns`].
    pub mdns: Option<bool>,
    /// See [`NetworkSettings::announce`].
    pub announce: Option<bool>,
    /// See [`NetworkSettings::air_gapped`].
    pub air_gapped: Option<bool>,
}

/// One governing decision: a record of the network, in words' raw material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionInfo {
    /// Id of the record, hexadecimal.
    pub id: String,
    /// When it was made, by its author's clock.
    pub at: i64,
    /// Who signed it.
    pub author: DeviceId,
    /// Its author's name, as last known.
    pub author_name: Option<DeviceName>,
    /// What was decided.
    pub what: DecisionKind,
    /// Why it does not count, as a sentence's part; `None` when it counts.
    pub void: Option<String>,
    /// For a removal: who has heard of it.
    pub removal: Option<Removal>,
}

/// What a decision says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// The network was founded under this name.
    Founded(NetworkName),
    /// A device was admitted.
    Admitted {
        /// Which.
        device: DeviceId,
        /// Its name, as approved.
        name: DeviceName,
        /// As what.
        role: Role,
        /// Whether by a pre-approved invite.
        invited: bool,
    },
    /// A device was removed.
    Removed {
        /// Which.
        device: DeviceId,
        /// Its last name.
        name: Option<DeviceName>,
    },
    /// The author left.
    Left,
    /// A role was given.
    Role {
        /// To whom.
        device: DeviceId,
        /// Its name.
        name: Option<DeviceName>,
        /// Which.
        role: Role,
    },
    /// The network was renamed.
    Renamed(NetworkName),
    /// Who may admit was changed.
    Kind(NetworkKind),
    /// How devices reach each other was changed.
    Settings(NetworkSettings),
    /// A pre-approved invite was made.
    Invited {
        /// Its id.
        invite: InviteId,
        /// The role it gives.
        role: Role,
        /// How many devices it admits.
        uses: u32,
        /// When it ends.
        expires_at: i64,
    },
    /// A pre-approved invite was revoked.
    Revoked(InviteId),
    /// The author signed two different records with one number: a lie, or a restored backup.
    Equivocated {
        /// The number.
        seq: u64,
    },
    /// Something a later version knows.
    Unknown(u16),
}

/// Who has heard of a removal, among the members that remain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Members that have confirmed it: they have cut the device off.
    pub acknowledged: Vec<DeviceId>,
    /// Members that have not; they cut it off when they are met again.
    pub waiting: Vec<DeviceId>,
}

/// What flows between this device and one linked member.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionInfo {
    /// The other device.
    pub device_id: DeviceId,
    /// How it is reached.
    pub path: PathKind,
    /// The remote address of the chosen path: `IP:PORT`, or the relay's URL.
    pub address: String,
    /// Round-trip time, in milliseconds.
    pub rtt_ms: f64,
    /// Since when.
    pub since: i64,
    /// Bytes sent on this connection so far.
    pub sent_bytes: u64,
    /// Bytes received on it so far.
    pub received_bytes: u64,
    /// Requests of the other device that run here now.
    pub lending: u32,
    /// Requests of this device that run there now.
    pub borrowing: u32,
}

/// One member of the active network.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberInfo {
    /// Its id.
    pub device_id: DeviceId,
    /// Its name.
    pub name: DeviceName,
    /// Operating system it told.
    pub os: String,
    /// Its role.
    pub role: Role,
    /// Whether it is this device.
    pub this_device: bool,
    /// Whether it can be reached now.
    pub link: LinkState,
    /// The last card it published, opaque to the mesh.
    pub card: Option<Arc<serde_json::Value>>,
    /// App version it told; `None` until it was met.
    pub version: Option<String>,
    /// When it was last connected.
    pub last_seen: Option<i64>,
}

/// Whether a member can be reached now, and why not.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkState {
    /// Connected (or this device).
    Online {
        /// How.
        path: PathKind,
        /// Round-trip time of the chosen path, in milliseconds; 0 for this device.
        rtt_ms: f64,
        /// Since when.
        since: i64,
    },
    /// Being reached.
    Connecting {
        /// Which attempt this is, from 1.
        attempt: u32,
        /// What the last attempt ended with, as a sentence.
        reason: String,
    },
    /// Not reachable; tried again now and then.
    Away {
        /// Why, as a sentence.
        reason: String,
    },
}

impl LinkState {
    /// Whether requests can be sent now.
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Online { .. })
    }

    /// The state as a sentence.
    pub fn reason(&self) -> String {
        match self {
            Self::Online { path: PathKind::Direct, .. } => "Connected directly.".to_owned(),
            Self::Online { path: PathKind::Relay, .. } => "Connected through a relay.".to_owned(),
            Self::Connecting { reason, .. } | Self::Away { reason } => reason.clone(),
        }
    }
}

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Device to device.
    Direct,
    /// Through a relay, still end-to-end encrypted.
    Relay,
}

/// A request to join that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnockInfo {
    /// Its id.
    pub id: KnockId,
    /// The network it asks for.
    pub network: NetworkId,
    /// The device that knocks.
    pub device_id: DeviceId,
    /// Its name, cleaned.
    pub device_name: DeviceName,
    /// A member whose name this one resembles.
    pub resembles: Option<DeviceName>,
    /// Operating system it told, cleaned.
    pub os: String,
    /// Six characters that must equal those on the other screen.
    pub code: Code,
    /// When it came.
    pub at: i64,
    /// When it expires.
    pub expires_at: i64,
    /// The member it was made at, which passed it on; `None` when it was made here.
    pub via: Option<DeviceName>,
}

/// What an invite should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InviteOptions {
    /// How long it works; one day when not given.
    pub expires_in: Option<Duration>,
    /// Whether it also admits, without a person being asked.
    pub approved: bool,
    /// Role of those it admits; member when not given. Needs `approved`.
    pub role: Option<Role>,
    /// How many devices it admits; 1 when not given. Needs `approved`.
    pub uses: Option<u32>,
}

/// An invite made on this device, or a pre-approved one that another member made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteInfo {
    /// Short id to revoke it by.
    pub id: InviteId,
    /// The link, `myownllm://join/...`; empty where another member made it, for only its maker knows it.
    pub link: String,
    /// The network it leads to.
    pub network: NetworkId,
    /// That network's name.
    pub network_name: NetworkName,
    /// Whether it also admits.
    pub approved: bool,
    /// Role of those it admits.
    pub role: Role,
    /// When it was made; 0 where another member made it.
    pub created_at: i64,
    /// When it stops working.
    pub expires_at: i64,
    /// Admissions left; `None` for one that only finds the network.
    pub uses_left: Option<u32>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Name of the other member that made it; `None` when this device did.
    pub by: Option<DeviceName>,
}

/// Why a person turns a knock down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyKind {
    /// An ordinary no, with an optional reason.
    Denied,
    /// The codes on the screens differ: possibly somebody in the middle.
    CodesDiffer,
    /// Nobody here expected it; the other side hears a plain no.
    Unexpected,
}

/// One step of joining. A stream of these ends with `Joined` or `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinStep {
    /// Looking for a device of the network.
    Finding {
        /// Name of the network as the invite tells it.
        network: NetworkName,
    },
    /// A device of the network answered.
    Connected {
        /// Its name.
        device_name: DeviceName,
    },
    /// The knock lies on the other screen and waits for a person.
    Knocking {
        /// Six characters that must equal those on the other screen.
        code: Code,
        /// When the knock expires.
        expires_at: i64,
        /// Why a pre-approved invite did not admit at once.
        invite: Option<InviteProblem>,
    },
    /// This device is a member and the network is active.
    Joined {
        /// The network.
        network: NetworkInfo,
    },
    /// It ended without joining.
    Failed(MeshError),
}

/// Something that happened; state itself is in [`MeshSnapshot`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MeshEvent {
    /// A knock waits for a person.
    KnockArrived(KnockInfo),
    /// A knock no longer waits.
    KnockEnded {
        /// Which.
        id: KnockId,
        /// Who knocked.
        device_name: DeviceName,
        /// How it ended.
        outcome: KnockOutcome,
        /// Who decided; `None` when nobody did, or the knocking device itself.
        decided_by: Option<DeviceName>,
    },
    /// A member's reachability changed.
    Device {
        /// Which.
        device_id: DeviceId,
        /// Its name.
        name: DeviceName,
        /// The new state.
        state: LinkState,
    },
    /// A member was added.
    MemberAdded {
        /// Which.
        device_id: DeviceId,
        /// Its name.
        name: DeviceName,
    },
    /// A member was removed.
    MemberRemoved {
        /// Which.
        device_id: DeviceId,
        /// Its name.
        name: DeviceName,
    },
    /// Another network is active, or none.
    NetworkChanged {
        /// The active one.
        active: Option<NetworkId>,
    },
    /// A member's card changed.
    CardChanged {
        /// Whose.
        device_id: DeviceId,
    },
    /// A governing record took effect: roles, names, kind, settings, invites.
    Decided(DecisionInfo),
    /// The removed device of [`DecisionKind::Removed`] was cut off by one more member.
    RemovalAcknowledged {
        /// Who was removed.
        device_id: DeviceId,
        /// Who has confirmed it.
        by: DeviceId,
        /// That member's name.
        by_name: DeviceName,
    },
    /// Documents of the active network have other values now.
    DocumentsChanged {
        /// The network.
        network: NetworkId,
        /// The collections that changed.
        collections: BTreeSet<Collection>,
    },
    /// The gossip switch, or how far members are with documents, changed.
    SyncChanged,
    /// Somebody tried what they may not, and got nothing.
    Refused {
        /// Who, where it is known.
        device_id: Option<DeviceId>,
        /// Its name, if it is or was a member.
        name: Option<DeviceName>,
        /// What was tried, as a sentence.
        what: String,
    },
}

/// How a knock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnockOutcome {
    /// It was approved.
    Approved,
    /// It was denied.
    Denied,
    /// It was withdrawn or its connection was lost.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
}

/// Why a stage of reaching a device failed. Stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeCause {
    /// No address of it is known.
    Unknown,
    /// No multicast route: devices on the local network cannot be found.
    MulticastMissing,
    /// Nothing answers at its addresses.
    NoRoute,
    /// The relay refuses or does not answer.
    RelayRefused,
    /// Another network is active there.
    WrongNetwork,
    /// It does not count this device as a member.
    NotAdmitted,
    /// The versions do not fit.
    VersionMismatch,
    /// The clocks are far apart.
    ClockOff,
    /// It is reached only through a relay.
    Relayed,
    /// The invite is over.
    InviteExpired,
}

/// Stages of reaching one device, for the doctor. A stage that could not be tried is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether an address of it is known.
    pub found: ProbeCheck,
    /// Whether it answers.
    pub reachable: Option<ProbeCheck>,
    /// Whether the path is direct.
    pub direct: Option<ProbeCheck>,
    /// Whether it counts this device as a member.
    pub admitted: Option<ProbeCheck>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeCheck {
    /// Whether it passed.
    pub ok: bool,
    /// What was seen, as a sentence.
    pub detail: String,
    /// What to do; `None` when it passed.
    pub fix: Option<String>,
    /// Why, for programs; `None` when it passed.
    pub cause: Option<ProbeCause>,
}
