//! What tools may do, and what members may do here.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::DeviceId;

/// Whether a tool may be used. Orders from careful to careless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Never.
    Deny,
    /// A person is asked each time.
    Ask,
    /// Without asking.
    Allow,
}

/// What a tool is confined to. An empty list confines nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(default)]
pub struct Limits {
    /// Folders that files must lie in; absolute paths.
    pub folders: Vec<String>,
    /// Commands that a shell may run: the first words, for example `git status`.
    pub commands: Vec<String>,
    /// Hosts that may be fetched from: `example.org`, or `*.example.org` for all below it.
    pub hosts: Vec<String>,
}

/// What holds for a tool on this device, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Permission {
    /// The tool: `read_file`, `write_file`, `shell`, `fetch_url` or `mcp:SERVER/TOOL`.
    pub tool: String,
    /// The rule that holds here.
    pub rule: Rule,
    /// What it is confined to.
    pub limits: Limits,
    /// Why, as a sentence.
    pub reason: String,
    /// Device that set it; `null` where nobody did.
    pub set_by: Option<DeviceId>,
    /// Name of that device.
    pub set_by_name: Option<String>,
    /// When it was set, by that device's clock.
    pub set_at: Option<i64>,
    /// A looser rule that waits for a person here.
    pub proposal: Option<PermissionProposal>,
}

/// A rule of another device that would loosen what holds here, and waits for a person on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PermissionProposal {
    /// Names it in accept and decline; a unique prefix will do.
    pub id: String,
    /// The tool.
    pub tool: String,
    /// The rule that is proposed.
    pub rule: Rule,
    /// What it would be confined to.
    pub limits: Limits,
    /// The rule that holds here until somebody accepts.
    pub now: Rule,
    /// Device that proposes it.
    pub device_id: DeviceId,
    /// Name of that device.
    pub device_name: String,
    /// When, by that device's clock.
    pub at: i64,
}

/// Whether looser rules of a member apply here without asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct PermissionTrust {
    /// The member.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Whether a person here trusts it with this.
    pub trusted: bool,
}

/// Something that a member may do on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum MemberScope {
    /// Ask the models of this device.
    Chat,
    /// Send and fetch files.
    Files,
    /// Have speech turned into text here.
    Transcribe,
    /// See and move conversations.
    Conversations,
    /// See which models are here, and copy them.
    Models,
}

/// What one member may do on this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct MemberScopes {
    /// The member.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// What it may do here.
    pub scopes: Vec<MemberScope>,
}
