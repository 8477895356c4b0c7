//! How documents keep themselves in step.

use myownmesh_control::types::{Capabilities, Catalogue, SyncStatus};

delegate! { documents:
    /// The gossip switch of the active network and how far each member is.
    sync_status() -> SyncStatus;
    /// Turns the gossip of the active network on or off, on this device.
    sync_set(on: bool) -> SyncStatus;
    /// What the members say they can do, this device first.
    capability_list() -> Vec<Capabilities>;
    /// The conversations that members show.
    catalogue() -> Catalogue;
    /// Says whether this device shows the titles of its conversations to the active network.
    catalogue_show(on: bool) -> Catalogue;
}
