//! Networks.

use myownmesh_control::types::{Decision, NearbyDevice, Network, NetworkKind, Relay, SettingsPatch};

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
    /// Changes who may admit. Owners may.
    network_kind(network: String, kind: NetworkKind) -> Network;
    /// Changes how the devices of a network find and reach each other, at once and for all members. Owners may.
    network_settings(network: String, patch: SettingsPatch) -> Network;
    /// The governing decisions of a network, newest first; of the active one when `network` is not given.
    decision_list(network: Option<String>) -> Vec<Decision>;
    /// Devices that announce themselves on the local network.
    nearby_list() -> Vec<NearbyDevice>;
    /// Starts joining the network that a nearby device announces; follow it as a join.
    nearby_join(device: String) -> String;
    /// The relays in use.
    relay_list() -> Vec<Relay>;
}
