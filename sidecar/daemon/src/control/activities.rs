//! What happened in the networks of this device.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{ActivityEntry, ActivityFilter};

use crate::convert::OrControl;
use crate::daemon::Daemon;

/// Of the active network and of none; while no network is active, of all: what ended can then still be read.
pub(super) async fn list(daemon: &Daemon, filter: ActivityFilter) -> Result<Vec<ActivityEntry>, ControlError> {
    // A device that is gone is no member: then the filter's text is compared with what was kept.
    let device = filter.device.as_deref().and_then(|text| daemon.find_device(text).ok());
    daemon.activity.list(daemon.picture().active, device, filter).await.or_control()
}
