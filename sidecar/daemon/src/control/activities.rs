//! What happened in the networks of this device.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{ActivityEntry, ActivityFilter};

use crate::convert::OrControl;
use crate::daemon::Daemon;

/// Longest text that is searched for, in characters; the database refuses patterns not much longer.
const MAX_SEARCH: usize = 1000;

/// Refuses a text that is too long to be searched for.
pub(super) fn check_search(text: Option<&str>) -> Result<(), ControlError> {
    if text.is_some_and(|text| text.chars().count() > MAX_SEARCH) {
        let message = format!("The text to search for is too long: {MAX_SEARCH} characters are the most.");
        return Err(ControlError::new(ErrorCode::InvalidArgument, message));
    }
    Ok(())
}

/// Of the active network and of none; while no network is active, of all: what ended can then still be read.
pub(super) async fn list(daemon: &Daemon, filter: ActivityFilter) -> Result<Vec<ActivityEntry>, ControlError> {
    check_search(filter.search.as_deref())?;
    check_search(filter.device.as_deref())?;
    // A device that is gone is no member: then the filter's text is compared with what was kept.
    let device = filter.device.as_deref().and_then(|text| daemon.find_device(text).ok());
    daemon.activity.list(daemon.picture().active, device, filter).await.or_control()
}
