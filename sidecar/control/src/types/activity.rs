//! What happened in the networks of this device, kept for people to read later.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::DeviceId;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ActivityEntry {
    /// Its number; rises with time.
    pub id: u64,
    /// When.
    pub at: i64,
    /// Id of the network it happened in; `null` when it concerns none.
    pub network_id: Option<String>,
    /// What it is about.
    pub kind: ActivityKind,
    /// The device it is about.
    pub device_id: Option<DeviceId>,
    /// Its name at that time.
    pub device_name: Option<String>,
    /// What happened and why, as a sentence. Never holds prompts, answers or secrets.
    pub text: String,
}

/// What an activity is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// Devices that knocked, and what became of it.
    Knock,
    /// Devices that were admitted, removed, left, renamed, or given a role.
    Member,
    /// Networks founded, joined, switched, renamed, left, and their settings.
    Network,
    /// Invites made, used up and revoked.
    Invite,
    /// Devices that came and went.
    Connection,
    /// Requests lent and borrowed: who, which model, how long. Never text.
    Lending,
    /// What was refused: strangers, forged or back-dated records, floods.
    Security,
}

/// Which activities to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(default)]
pub struct ActivityFilter {
    /// Only these kinds; all when empty.
    pub kinds: Vec<ActivityKind>,
    /// Only those about this device.
    pub device: Option<String>,
    /// Only those whose sentence or device name contains this text, whatever its case.
    pub search: Option<String>,
    /// Only those at or after this time.
    pub since: Option<i64>,
    /// Only those with a smaller number: the next page.
    pub before: Option<u64>,
    /// How many at most; 100 when not given, 1000 at most.
    pub limit: Option<u32>,
}
