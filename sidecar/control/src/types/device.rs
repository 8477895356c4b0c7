//! Devices of a network and what they lend.

use serde::{Deserialize, Serialize};
use specta::Type;

/// A device's id: its iroh `EndpointId` (ed25519 public key), 64 hexadecimal digits.
pub type DeviceId = String;

/// A way to name a device in a request: its id, a unique prefix of it, or its unique name.
pub type DeviceRef = String;

/// One member of the active network, this device included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct DeviceSummary {
    /// The device's id.
    pub device_id: DeviceId,
    /// Its name, cleaned of control and direction characters.
    pub name: String,
    /// Operating system it told, for example `macOS`.
    pub os: String,
    /// Whether this is the device that answers.
    pub this_device: bool,
    /// Its role in the network.
    pub role: Role,
    /// Whether it can be reached now.
    pub state: DeviceState,
    /// Why it is in this state, as a sentence.
    pub reason: String,
    /// How it is reached; `null` while it is not.
    pub path: Option<PathKind>,
    /// Round-trip time of the chosen path.
    pub rtt_ms: Option<f64>,
    /// Ids of the models it lends.
    pub models: Vec<String>,
    /// Its lending policy.
    pub accepting: Accepting,
    /// App version it told; `null` until it was met.
    pub version: Option<String>,
    /// When it was last connected; `null` if never.
    pub last_seen: Option<i64>,
}

/// What flows between this device and one linked member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Connection {
    /// The other device.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// How it is reached.
    pub path: PathKind,
    /// The remote end of the chosen path: `IP:PORT`, or the relay's URL.
    pub address: String,
    /// Round-trip time.
    pub rtt_ms: f64,
    /// Since when.
    pub since: i64,
    /// Bytes sent on this connection so far.
    pub sent_bytes: u64,
    /// Bytes received on it so far.
    pub received_bytes: u64,
    /// Its requests that run here now.
    pub lending: u32,
    /// Requests of this device that run there now.
    pub borrowing: u32,
}

/// Role inside a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything, set roles included. The founder starts as owner.
    Owner,
    /// May admit and remove members.
    Manager,
    /// May use what the network shares.
    Member,
}

/// Whether a device can be reached now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Connected, or this device.
    Online,
    /// Being reached.
    Connecting,
    /// Not reachable.
    Away,
}

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Straight, device to device.
    Direct,
    /// Through a relay, still end-to-end encrypted.
    Relay,
}

/// Lending policy of a device on a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum Accepting {
    /// Serves whoever asks.
    #[default]
    Available,
    /// Serves one request of others at a time.
    Limited,
    /// Serves nobody else now.
    Busy,
}
