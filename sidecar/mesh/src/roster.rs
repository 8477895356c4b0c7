//! The membership picture that the network side checks against: who belongs to the active network right now.
//!
//! The mesh's actor publishes a new [`Roster`] by a `watch` channel whenever its fold changes; readers take an `Arc` of
//! the latest and never wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::proto::fold::Membership;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::name::DeviceName;
use crate::proto::record::Role;

/// Members of the active network. Empty, with no network, when none is active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    /// The active network.
    pub(crate) network: Option<NetworkId>,
    /// Its members except this device; empty when this device is itself no member (any more).
    pub(crate) members: BTreeMap<DeviceId, RosterMember>,
    /// Everything the records say, for those who judge knocks; `None` when no network is active.
    pub(crate) membership: Option<Arc<Membership>>,
}

/// One member, as far as a request check needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RosterMember {
    /// Its name.
    pub(crate) name: DeviceName,
    /// Its role.
    pub(crate) role: Role,
}

/// The reading end.
pub(crate) type RosterWatch = watch::Receiver<Arc<Roster>>;

impl Roster {
    /// The member `device`, if it belongs to `network` and that network is the active one.
    pub(crate) fn member_of(&self, network: NetworkId, device: DeviceId) -> Option<&RosterMember> {
        if self.network == Some(network) { self.members.get(&device) } else { None }
    }
}
