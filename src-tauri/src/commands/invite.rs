//! Invites to the active network.

use myownmesh_control::types::{Invite, InviteOptions};

delegate! {
    /// Makes an invite to the active network.
    invite_create(options: InviteOptions) -> Invite;
    /// The invites of the active network that still work.
    invite_list() -> Vec<Invite>;
    /// Ends an invite.
    invite_revoke(id: String) -> Invite;
}
