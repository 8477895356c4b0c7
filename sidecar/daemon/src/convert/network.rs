//! Networks, the ways into them, and what is near.

use myownmesh_control::types as control;
use myownmesh_mesh as mesh;

use super::{IntoControl as _, role};
use crate::text::sentence;

/// A kind of network for the mesh.
pub(crate) fn mesh_kind(kind: control::NetworkKind) -> mesh::NetworkKind {
    match kind {
        control::NetworkKind::Open => mesh::NetworkKind::Open,
        control::NetworkKind::Closed => mesh::NetworkKind::Closed,
    }
}

/// A kind of network of the mesh.
pub(crate) fn kind(kind: mesh::NetworkKind) -> control::NetworkKind {
    match kind {
        mesh::NetworkKind::Open => control::NetworkKind::Open,
        mesh::NetworkKind::Closed => control::NetworkKind::Closed,
    }
}

/// A saved network.
pub(crate) fn network(network: &mesh::NetworkInfo) -> control::Network {
    control::Network {
        id: network.id.to_string(),
        name: network.name.to_string(),
        active: network.active,
        role: network.role.map(role),
        kind: kind(network.kind),
        members: network.members,
        founded_at: network.founded_at,
        settings: settings(&network.settings),
        ended: network.removed.as_ref().map(|removed| ended(&network.name, removed)),
    }
}

/// How this device's membership ended, as a sentence.
pub(crate) fn ended(network: &mesh::NetworkName, removed: &mesh::Removed) -> String {
    match &removed.by {
        Some(by) => format!("{by} removed this device from {network}. Knock again to come back, or forget it."),
        None => format!("This device left {network}. Knock again to come back, or forget it."),
    }
}

/// A network's settings.
pub(crate) fn settings(settings: &mesh::NetworkSettings) -> control::NetworkSettings {
    control::NetworkSettings {
        relays: settings.relays.clone(),
        lookup: settings.lookup.clone(),
        mdns: settings.mdns,
        announce: settings.announce,
        air_gapped: settings.air_gapped,
    }
}

/// Changes of a network's settings, for the mesh.
pub(crate) fn mesh_settings(patch: control::SettingsPatch) -> mesh::SettingsPatch {
    let control::SettingsPatch { relays, lookup, mdns, announce, air_gapped } = patch;
    let trimmed = |url: String| url.trim().to_owned();
    mesh::SettingsPatch {
        relays: relays.map(|urls| urls.into_iter().map(trimmed).collect()),
        // An empty text is how a program says "none" in a patch where "not given" means "as it is".
        lookup: lookup.map(|url| Some(trimmed(url)).filter(|url| !url.is_empty())),
        mdns,
        announce,
        air_gapped,
    }
}

/// A device nearby; `mesh` tells whether it is a member here.
pub(crate) fn nearby(found: &mesh::NearbyInfo, mesh: &mesh::MeshSnapshot) -> control::NearbyDevice {
    control::NearbyDevice {
        device_id: found.device_id.to_string(),
        device_name: found.name.to_string(),
        network_id: found.network.as_ref().map(|network| network.id.to_string()),
        network: found.network.as_ref().map(|network| network.name.to_string()),
        member: mesh.member(found.device_id).is_some(),
        since: found.since,
    }
}

/// A relay and its state.
pub(crate) fn relay(relay: &mesh::RelayInfo) -> control::Relay {
    control::Relay {
        url: relay.url.clone(),
        own: relay.own,
        state: match relay.state {
            mesh::RelayState::Connected => control::RelayState::Connected,
            mesh::RelayState::Standby => control::RelayState::Standby,
            mesh::RelayState::Connecting => control::RelayState::Connecting,
            mesh::RelayState::Failed => control::RelayState::Failed,
        },
        reason: relay.reason.clone(),
    }
}

/// An invite.
pub(crate) fn invite(invite: &mesh::InviteInfo) -> control::Invite {
    control::Invite {
        id: invite.id.to_string(),
        invite: Some(invite.link.clone()).filter(|link| !link.is_empty()),
        network: invite.network_name.to_string(),
        approved: invite.approved,
        role: role(invite.role),
        expires_at: invite.expires_at,
        uses_left: invite.uses_left,
        revoked: invite.revoked,
        by: invite.by.as_ref().map(ToString::to_string),
    }
}

/// A knock; `networks` tell the name of the network it asks for.
pub(crate) fn knock(knock: &mesh::KnockInfo, networks: &[mesh::NetworkInfo]) -> control::Knock {
    let network = networks.iter().find(|network| network.id == knock.network);
    control::Knock {
        id: knock.id.to_string(),
        network: network.map_or_else(|| knock.network.to_string(), |network| network.name.to_string()),
        device_id: knock.device_id.to_string(),
        device_name: knock.device_name.to_string(),
        resembles: knock.resembles.as_ref().map(ToString::to_string),
        os: knock.os.clone(),
        code: knock.code.compact(),
        at: knock.at,
        expires_at: knock.expires_at,
        via: knock.via.as_ref().map(ToString::to_string),
    }
}

/// How a knock ended.
pub(crate) fn outcome(outcome: mesh::KnockOutcome) -> &'static str {
    match outcome {
        mesh::KnockOutcome::Approved => "approved",
        mesh::KnockOutcome::Denied => "denied",
        mesh::KnockOutcome::Withdrawn => "withdrawn",
        mesh::KnockOutcome::Expired => "expired",
    }
}

/// Why a knock is turned down, for the mesh.
pub(crate) fn deny_kind(kind: control::DenyKind) -> mesh::DenyKind {
    match kind {
        control::DenyKind::Denied => mesh::DenyKind::Denied,
        control::DenyKind::CodesDiffer => mesh::DenyKind::CodesDiffer,
        control::DenyKind::Unexpected => mesh::DenyKind::Unexpected,
    }
}

/// A step of joining.
pub(crate) fn join_event(step: mesh::JoinStep) -> control::JoinEvent {
    use control::JoinEvent as Event;
    match step {
        mesh::JoinStep::Finding { network } => Event::Finding { network: network.to_string() },
        mesh::JoinStep::Connected { device_name } => Event::Connected { device_name: device_name.to_string() },
        mesh::JoinStep::Knocking { code, expires_at, invite } => {
            let invite = invite.as_ref().map(|problem| sentence(problem));
            Event::Knocking { code: code.compact(), expires_at, invite }
        }
        mesh::JoinStep::Joined { network } => {
            Event::Joined { network: network.name.to_string(), network_id: network.id.to_string() }
        }
        mesh::JoinStep::Failed(error) => Event::Failed { error: error.into_control() },
    }
}
