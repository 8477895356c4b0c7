//! How documents keep themselves in step: the switch, how far each device is, what devices can do and show.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::{Accepting, DeviceId, EngineKind, EngineState, Hardware, ModelState};

/// The documents of the active network and how far each device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct SyncStatus {
    /// Name of the network.
    pub network: String,
    /// Id of the network.
    pub network_id: String,
    /// Whether documents of this network leave and enter this device.
    pub auto_gossip: bool,
    /// How many records the documents are made of, deletions included.
    pub records: u32,
    /// Their size.
    pub bytes: u64,
    /// Most bytes that the documents of a network may have.
    pub limit_bytes: u64,
    /// The other members.
    pub devices: Vec<DeviceSync>,
}

/// How far one member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DeviceSync {
    /// The member.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Whether it is connected now.
    pub online: bool,
    /// How it compares.
    pub state: SyncState,
    /// How many records of this device it has not got yet.
    pub behind: u32,
    /// The state as a sentence.
    pub reason: String,
}

/// How the documents of a member compare with those here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// The same, as far as is known.
    Equal,
    /// It lacks records that are here.
    Behind,
    /// Being compared.
    Comparing,
    /// Switched off there, or here.
    Off,
    /// Its version knows no documents.
    Unsupported,
    /// Not met since this device joined.
    Unknown,
}

/// What a device says it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Capabilities {
    /// The device.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Whether it is the device that answers.
    pub this_device: bool,
    /// When it last said so, by its clock.
    pub updated_at: i64,
    /// Version of its app.
    pub app_version: String,
    /// Number of the protocol it speaks with other devices.
    pub protocol: u32,
    /// Names of what it understands.
    pub features: Vec<String>,
    /// What it is made of; `null` where it does not tell.
    pub hardware: Option<Hardware>,
    /// Its engines and their models.
    pub engines: Vec<EngineCapability>,
    /// Whether it turns speech into text.
    pub transcription: bool,
    /// Whether it has a microphone; `null` where the system does not tell.
    pub microphone: Option<bool>,
    /// Its lending policy.
    pub accepting: Accepting,
    /// How its version differs from the one here, as a sentence; `null` where it does not.
    pub difference: Option<String>,
}

/// An engine of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct EngineCapability {
    /// Id of the engine there.
    pub id: String,
    /// What it speaks.
    pub kind: EngineKind,
    /// Whether it works.
    pub state: EngineState,
    /// Its models.
    pub models: Vec<ModelCapability>,
}

/// A model of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModelCapability {
    /// Its id there.
    pub id: String,
    /// Whether it can answer.
    pub state: ModelState,
    /// Tokens of context, when known.
    pub context_length: Option<u32>,
    /// Size of its weights, when known.
    pub size_bytes: Option<u64>,
}

/// A conversation that a device shows the network: never its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ShownConversation {
    /// The device that has it.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Id of the conversation there.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Folder it lies in; `null` for none.
    pub folder: Option<String>,
    /// When it last changed.
    pub updated_at: i64,
    /// Size of its text.
    pub size_bytes: u64,
}

/// What this device shows the network of its conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Catalogue {
    /// Whether this device shows the titles of its conversations to the active network.
    pub showing: bool,
    /// What members show, and this device if it does; newest first.
    pub conversations: Vec<ShownConversation>,
}
