//! What happened in the networks of this device.

use myownmesh_control::types::{ActivityEntry, ActivityFilter};

delegate! {
    /// What happened, newest first.
    activity_list(filter: ActivityFilter) -> Vec<ActivityEntry>;
}
