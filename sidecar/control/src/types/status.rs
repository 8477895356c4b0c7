//! What a person sees of the daemon at a glance.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::{DeviceId, DeviceSummary, Engine};

/// The daemon's state in one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Status {
    /// Version of the daemon, for example `0.1.0`.
    pub version: String,
    /// Number of the control contract it speaks, see [`crate::CONTROL_PROTOCOL`].
    pub protocol: u32,
    /// This device's id: its iroh endpoint id in hexadecimal.
    pub device_id: DeviceId,
    /// This device's name as others see it.
    pub device_name: String,
    /// Operating system as others see it, for example `Linux`.
    pub os: String,
    /// Where the identity key is kept.
    pub identity_store: IdentityStore,
    /// Base URL of the local OpenAI-compatible API, for example `http://127.0.0.1:1473/v1`.
    pub api: String,
    /// Addresses other devices can reach this one at, `IP:PORT`.
    pub listen: Vec<String>,
    /// Name of the active network.
    pub network: Option<String>,
    /// Id of the active network.
    pub network_id: Option<String>,
    /// The status pill.
    pub phase: Phase,
    /// Why it is in this phase, as a sentence.
    pub reason: String,
    /// The other members of the active network.
    pub peers: Vec<DeviceSummary>,
    /// Local compute backends.
    pub engines: Vec<Engine>,
    /// How many knocks wait for a decision here.
    pub knocks: u32,
    /// Things a person should know, for example that a damaged file was set aside. Sentences.
    pub warnings: Vec<String>,
}

/// Where a secret lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum IdentityStore {
    /// The operating system's keychain.
    Keychain,
    /// A file that only this user can read (mode 0600).
    File,
}

/// The phase of this device in its active network. `off` is known only to those outside: no daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No daemon runs.
    Off,
    /// The daemon is starting.
    Starting,
    /// No network is active.
    NoNetwork,
    /// Active network, and no other member exists yet.
    Alone,
    /// Other members exist and the first is being reached.
    Connecting,
    /// At least one other member is connected.
    Online,
    /// Other members exist and none can be reached, or something here is broken; the reason says what.
    Trouble,
}
