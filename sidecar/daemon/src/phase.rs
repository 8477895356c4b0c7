//! The status pill: one phase and one sentence, from one picture of the mesh. Pure.

use myownmesh_control::types::Phase;
use myownmesh_mesh::{LinkState, MeshSnapshot};

use crate::convert;
use crate::text::listed;

/// From this attempt on, "connecting" is no longer the honest word.
const HOPELESS: u32 = 4;

/// The phase and why.
pub(crate) fn phase(mesh: &MeshSnapshot) -> (Phase, String) {
    let active = mesh.active.and_then(|id| mesh.networks.iter().find(|network| network.id == id));
    let Some(network) = active else {
        let reason = if mesh.networks.is_empty() {
            "No network yet. Found one, or join one with an invite."
        } else {
            "No network is active. Switch to a saved one, found one, or join one with an invite."
        };
        return (Phase::NoNetwork, reason.to_owned());
    };
    let name = &network.name;
    if network.role.is_none() {
        let reason = network.removed.as_ref().map_or_else(
            || format!("This device was removed from {name}. Knock again to come back, or forget it."),
            |removed| convert::ended(name, removed),
        );
        return (Phase::Trouble, reason);
    }
    let others: Vec<_> = mesh.members.iter().filter(|member| !member.this_device).collect();
    if others.is_empty() {
        return (Phase::Alone, format!("This is the only device in {name}. Invite another one."));
    }
    let names = |wanted: fn(&LinkState) -> bool| -> Vec<String> {
        others.iter().filter(|member| wanted(&member.link)).map(|member| member.name.to_string()).collect()
    };
    let online = names(LinkState::is_online);
    if !online.is_empty() {
        let reason = if online.len() == others.len() {
            format!("Connected to {}.", listed(&online, 3))
        } else {
            format!("Connected to {} of {} devices: {}.", online.len(), others.len(), listed(&online, 3))
        };
        return (Phase::Online, reason);
    }
    let connecting = names(|link| matches!(link, LinkState::Connecting { attempt, .. } if *attempt < HOPELESS));
    if !connecting.is_empty() {
        return (Phase::Connecting, format!("Reaching {}.", listed(&connecting, 3)));
    }
    let reason = match others.as_slice() {
        [only] => format!("{} cannot be reached. {} It is tried again by itself.", only.name, only.link.reason()),
        _ => format!(
            "None of the {} other devices can be reached. {}: {} They are tried again by themselves.",
            others.len(),
            others[0].name,
            others[0].link.reason()
        ),
    };
    (Phase::Trouble, reason)
}

#[cfg(test)]
mod tests {
    use myownmesh_mesh::{
        DeviceId, DeviceName, MemberInfo, NetworkId, NetworkInfo, NetworkKind, NetworkName, PathKind, Role,
    };

    use super::*;

    fn name(text: &str) -> DeviceName {
        DeviceName::parse(text).expect("a name")
    }

    fn member(n: u8, link: LinkState) -> MemberInfo {
        MemberInfo {
            device_id: DeviceId::of_secret(&[n; 32]),
            name: name(&format!("Dev{n}")),
            os: "Linux".to_owned(),
            role: Role::Member,
            this_device: n == 1,
            link,
            card: None,
            version: None,
            last_seen: None,
        }
    }

    fn online() -> LinkState {
        LinkState::Online { path: PathKind::Direct, rtt_ms: 1.0, since: 0 }
    }

    fn connecting(attempt: u32) -> LinkState {
        LinkState::Connecting { attempt, reason: "Nobody answers.".to_owned() }
    }

    fn away() -> LinkState {
        LinkState::Away { reason: "It said goodbye.".to_owned() }
    }

    fn mesh(role: Option<Role>, others: Vec<LinkState>) -> MeshSnapshot {
        let id = NetworkId::from_bytes([5; 32]);
        let members = std::iter::once(member(1, online()))
            .chain(others.into_iter().zip(2..).map(|(link, n)| member(n, link)))
            .collect();
        MeshSnapshot {
            device_id: DeviceId::of_secret(&[1; 32]),
            device_name: name("Dev1"),
            listen: vec![],
            networks: vec![NetworkInfo {
                id,
                name: NetworkName::parse("home").expect("a name"),
                kind: NetworkKind::Open,
                active: true,
                role,
                members: 1,
                founded_at: 0,
                settings: myownmesh_mesh::NetworkSettings::default(),
                removed: None,
            }],
            active: Some(id),
            members,
            knocks: vec![],
            nearby: vec![],
            relays: vec![],
        }
    }

    #[test]
    fn every_picture_has_a_phase_and_a_reason() {
        let there = Some(Role::Owner);
        for (picture, expected, words) in [
            (mesh(None, vec![]), Phase::Trouble, "removed from home"),
            (mesh(there, vec![]), Phase::Alone, "only device in home"),
            (mesh(there, vec![online()]), Phase::Online, "Connected to Dev2."),
            (mesh(there, vec![away(), online()]), Phase::Online, "1 of 2 devices: Dev3"),
            (mesh(there, vec![connecting(1), away()]), Phase::Connecting, "Reaching Dev2."),
            (mesh(there, vec![connecting(9)]), Phase::Trouble, "Dev2 cannot be reached. Nobody answers."),
            (mesh(there, vec![away()]), Phase::Trouble, "It said goodbye."),
            (mesh(there, vec![away(), connecting(9)]), Phase::Trouble, "None of the 2 other devices"),
        ] {
            let (phase, reason) = phase(&picture);
            assert_eq!(phase, expected, "{reason}");
            assert!(reason.contains(words), "{reason}");
        }
        let mut removed = mesh(None, vec![]);
        removed.networks[0].removed = Some(myownmesh_mesh::Removed { by: Some(name("Desk")), at: 1 });
        assert!(phase(&removed).1.starts_with("Desk removed this device from home."));
        let mut none = mesh(there, vec![]);
        none.active = None;
        assert_eq!(phase(&none).0, Phase::NoNetwork);
        none.networks.clear();
        assert!(phase(&none).1.contains("Found one"));
    }
}
