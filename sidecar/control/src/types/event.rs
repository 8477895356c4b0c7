//! Everything that happens, as it happens.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::{DeviceState, Knock, PermissionProposal, Phase};

/// A numbered event of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventItem {
    /// Position among all events; rises across restarts of the daemon too. Give it as `after` to resume.
    pub seq: u64,
    /// When.
    pub at: i64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened. `..._changed` events carry no data: whoever shows it asks again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Events were missed (the reader was away too long): ask for everything again.
    Missed,
    /// The status pill changed.
    Phase {
        /// The phase.
        phase: Phase,
        /// Why.
        reason: String,
    },
    /// The saved networks changed.
    NetworksChanged,
    /// Members, their reachability or what they lend changed.
    DevicesChanged,
    /// One member came or went.
    Device {
        /// Its id.
        device_id: String,
        /// Its name.
        name: String,
        /// Whether it can be reached now.
        state: DeviceState,
        /// Why.
        reason: String,
    },
    /// Engines or their state changed.
    EnginesChanged,
    /// The models that can be reached changed.
    ModelsChanged,
    /// Conversations changed.
    ConversationsChanged,
    /// Invites changed.
    InvitesChanged,
    /// A device knocks.
    Knock {
        /// The knock.
        knock: Knock,
    },
    /// A knock is no longer waiting.
    KnockEnded {
        /// Its id.
        id: String,
        /// Name of the device that knocked.
        device_name: String,
        /// `approved`, `denied`, `expired` or `withdrawn`.
        outcome: String,
        /// Name of the device where it was decided; `null` when nobody decided.
        decided_by: Option<String>,
    },
    /// Devices nearby, or what they announce, changed.
    NearbyChanged,
    /// Relays or their state changed.
    RelaysChanged,
    /// A governing decision was made, or a removal was acknowledged.
    DecisionsChanged,
    /// Something was added to the activities.
    ActivityChanged,
    /// Prompts of the active network changed.
    PromptsChanged,
    /// Rules for tools, proposals, trust or what members may do here changed.
    PermissionsChanged,
    /// A looser rule of another device waits for a person here.
    Proposal {
        /// The proposal.
        proposal: PermissionProposal,
    },
    /// What devices can do changed.
    CapabilitiesChanged,
    /// The conversations that devices show changed.
    CatalogueChanged,
    /// The gossip switch, or how far a device is, changed.
    SyncChanged,
    /// Rules of lending, its pause, or what is lent now changed.
    LendingChanged,
    /// Something was lent or borrowed.
    UsageChanged,
    /// A request at the local API came, went on or ended.
    ApiRequestsChanged,
    /// The models that are kept here, or downloads, changed.
    ShelfChanged,
    /// The daemon is about to end.
    Stopping,
}
