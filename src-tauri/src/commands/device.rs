//! The devices of the active network, this one included.

use myownmesh_control::types::{Accepting, DeviceSummary, Role};

delegate! {
    /// The members of the active network, this device first.
    device_list() -> Vec<DeviceSummary>;
    /// One member.
    device_show(device: String) -> DeviceSummary;
    /// Removes a member.
    device_remove(device: String) -> ();
    /// Changes a member's role.
    device_role(device: String, role: Role) -> DeviceSummary;
    /// Renames this device.
    device_name(name: String) -> DeviceSummary;
    /// Sets this device's lending policy on the active network.
    accepting_set(accepting: Accepting) -> Accepting;
}
