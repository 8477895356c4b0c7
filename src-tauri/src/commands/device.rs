//! The devices of the active network, this one included.

use myownmesh_control::types::{Accepting, Connection, DeviceSummary, Removal, Role};

delegate! {
    /// The members of the active network, this device first.
    device_list() -> Vec<DeviceSummary>;
    /// One member.
    device_show(device: String) -> DeviceSummary;
    /// Removes a member, and tells who has confirmed it within a second.
    device_remove(device: String) -> Removal;
    /// Changes a member's role.
    device_role(device: String, role: Role) -> DeviceSummary;
    /// Renames this device.
    device_name(name: String) -> DeviceSummary;
    /// What flows between this device and each linked member, now.
    connection_list() -> Vec<Connection>;
    /// Sets this device's lending policy on the active network.
    accepting_set(accepting: Accepting) -> Accepting;
}
