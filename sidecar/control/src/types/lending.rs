//! What this device lends to the members of its network, by which rules, and what was lent and borrowed.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::{Accepting, DeviceId};

/// How things stand with lending on the active network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Lending {
    /// The policy.
    pub accepting: Accepting,
    /// The pause, while there is one.
    pub pause: Option<LendingPause>,
    /// Why nothing is lent at this moment, as a sentence; `null` when something is.
    pub closed: Option<String>,
    /// The rules for everybody.
    pub rules: LendingRules,
    /// Rules for single members, on top of those for everybody.
    pub members: Vec<MemberRules>,
    /// What runs here for members, the oldest first.
    pub running: Vec<LentRequest>,
    /// What waits here, in the order in which it will run.
    pub waiting: Vec<LentRequest>,
}

/// A pause of lending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct LendingPause {
    /// When it ends by itself; `null`: when a person ends it.
    pub until: Option<i64>,
    /// Whether running answers were cut rather than let end.
    pub at_once: bool,
}

/// Rules for lending. What is not set is not limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[expect(clippy::struct_excessive_bools, reason = "plain data: each is a fact of its own")]
pub struct LendingRules {
    /// Most requests of members that run at once.
    pub concurrent: Option<u32>,
    /// Most tokens of answers in a day (midnight to midnight by this device's clock) for each member.
    pub tokens_per_day: Option<u64>,
    /// Ids of the models that are lent; all when not set.
    pub models: Option<Vec<String>>,
    /// When something is lent.
    pub hours: Option<LendingHours>,
    /// Only while nobody uses this device's own models, and it is not busy otherwise.
    pub only_idle: bool,
    /// Only while the device has mains power.
    pub only_mains: bool,
    /// Whether this device's own requests go before those of members that wait.
    pub owner_first: bool,
    /// Whether they also end a running answer of a member.
    pub owner_stops_guests: bool,
}

impl Default for LendingRules {
    fn default() -> Self {
        Self {
            concurrent: None,
            tokens_per_day: None,
            models: None,
            hours: None,
            only_idle: false,
            only_mains: false,
            owner_first: true,
            owner_stops_guests: false,
        }
    }
}

/// A span of each day, by this device's clock. `from` after `to` runs over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct LendingHours {
    /// First minute of it, from 0 at midnight to 1439.
    pub from: u16,
    /// First minute after it, likewise.
    pub to: u16,
}

/// Rules for one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct MemberRules {
    /// The member.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Most of its requests that run at once.
    pub concurrent: Option<u32>,
    /// Most tokens of answers in a day.
    pub tokens_per_day: Option<u64>,
    /// Ids of the models that it may use.
    pub models: Option<Vec<String>>,
    /// When it may.
    pub hours: Option<LendingHours>,
}

/// A request of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct LentRequest {
    /// Who asks.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// The model.
    pub model: String,
    /// When it came.
    pub since: i64,
}

/// What was lent and borrowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Usage {
    /// From when on it was counted.
    pub since: i64,
    /// One row for each direction, device and model, the most tokens first.
    pub rows: Vec<UsageRow>,
    /// The totals of what was lent.
    pub lent: UsageTotal,
    /// The totals of what was borrowed.
    pub borrowed: UsageTotal,
}

/// What was used of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct UsageRow {
    /// Who used whose.
    pub direction: UsageDirection,
    /// The other device.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// The model.
    pub model: String,
    /// Requests that were answered, also those that ended early.
    pub requests: u64,
    /// Tokens of the answers.
    pub tokens: u64,
    /// Seconds that the answers took, waiting left out.
    pub seconds: f64,
    /// Whether both devices count the same; false while the other one could not be asked yet.
    pub agreed: bool,
}

/// Who used whose model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum UsageDirection {
    /// The other device used this one.
    Lent,
    /// This device used the other one.
    Borrowed,
}

/// A sum of usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct UsageTotal {
    /// Requests.
    pub requests: u64,
    /// Tokens of the answers.
    pub tokens: u64,
    /// Seconds.
    pub seconds: f64,
}
