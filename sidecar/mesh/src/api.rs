//! Plain public data of the mesh: what a caller gives, and the pictures and events it gets. Times are milliseconds
//! since the Unix epoch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::MeshError;
use crate::proto::code::Code;
use crate::proto::ids::{DeviceId, InviteId, KnockId, NetworkId};
use crate::proto::knock::InviteProblem;
use crate::proto::name::{DeviceName, NetworkName};
use crate::proto::record::{NetworkKind, Role};

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
    /// A relay for devices that cannot reach each other directly. `None`: nothing contacts the internet.
    pub relay: Option<iroh::RelayUrl>,
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
    /// Knocks that wait for a person, oldest first.
    pub knocks: Vec<KnockInfo>,
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

/// An invite made on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteInfo {
    /// Short id to revoke it by.
    pub id: InviteId,
    /// The link, `myownllm://join/...`.
    pub link: String,
    /// The network it leads to.
    pub network: NetworkId,
    /// That network's name.
    pub network_name: NetworkName,
    /// Whether it also admits.
    pub approved: bool,
    /// Role of those it admits.
    pub role: Role,
    /// When it was made.
    pub created_at: i64,
    /// When it stops working.
    pub expires_at: i64,
    /// Admissions left; `None` for one that only finds the network.
    pub uses_left: Option<u32>,
    /// Whether it was revoked.
    pub revoked: bool,
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
}
