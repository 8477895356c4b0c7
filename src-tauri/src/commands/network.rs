//! Networks.

use myownmesh_control::types::{Network, NetworkKind};

delegate! {
    /// Founds a network and makes it the active one.
    network_create(name: String, kind: NetworkKind) -> Network;
    /// The saved networks.
    network_list() -> Vec<Network>;
    /// One network, by name or id; the active one when `network` is not given.
    network_show(network: Option<String>) -> Network;
    /// Makes a saved network the active one.
    network_use(network: String) -> Network;
    /// Leaves the active network: it stays saved, this device stays a member, and nothing is active.
    network_leave() -> ();
    /// Ends this device's membership in a network and deletes what it kept of it.
    network_forget(network: String) -> ();
    /// Renames a network for all its members.
    network_rename(network: String, name: String) -> Network;
}
