//! Governing decisions in plain language.

use std::collections::HashMap;

use myownmesh_control::types as control;
use myownmesh_mesh::{DecisionInfo, DecisionKind, DeviceId, MeshSnapshot, NetworkSettings};

use super::role;
use crate::text::{listed, sentence};

/// What devices are called. Names come from the members of the moment and from the decisions themselves, so that a
/// device that is gone is still called by its last name.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<DeviceId, String>);

impl Names {
    /// The members of the active network.
    pub(crate) fn of(mesh: &MeshSnapshot) -> Self {
        mesh.members.iter().map(|member| (member.device_id, member.name.as_str())).collect()
    }

    /// Whether the device's name is known.
    pub(crate) fn knows(&self, device: DeviceId) -> bool {
        self.0.contains_key(&device)
    }

    /// Adds what decisions tell, newest first; a name that is known stays.
    pub(crate) fn learn(&mut self, decisions: &[DecisionInfo]) {
        for decision in decisions {
            if let Some(name) = &decision.author_name {
                self.0.entry(decision.author).or_insert_with(|| name.to_string());
            }
            let subject = match &decision.what {
                DecisionKind::Admitted { device, name, .. } => Some((device, name)),
                DecisionKind::Removed { device, name: Some(name) } => Some((device, name)),
                DecisionKind::Role { device, name: Some(name), .. } => Some((device, name)),
                _ => None,
            };
            if let Some((device, name)) = subject {
                self.0.entry(*device).or_insert_with(|| name.to_string());
            }
        }
    }

    /// The device's name; its short id where none is known.
    pub(crate) fn of_device(&self, device: DeviceId) -> String {
        self.0.get(&device).cloned().unwrap_or_else(|| device.short())
    }

    /// The devices' names, in order.
    pub(crate) fn all(&self, devices: &[DeviceId]) -> Vec<String> {
        let mut names: Vec<_> = devices.iter().map(|device| self.of_device(*device)).collect();
        names.sort_by_key(|name| name.to_lowercase());
        names
    }
}

impl<'a> FromIterator<(DeviceId, &'a str)> for Names {
    fn from_iter<I: IntoIterator<Item = (DeviceId, &'a str)>>(devices: I) -> Self {
        Self(devices.into_iter().map(|(device, name)| (device, name.to_owned())).collect())
    }
}

/// A decision as people read it.
pub(crate) fn decision(decision: &DecisionInfo, names: &Names) -> control::Decision {
    let author = decision.author_name.as_ref().map_or_else(|| names.of_device(decision.author), ToString::to_string);
    let (kind, subject, text) = words(decision, &author, names);
    let removal = decision.removal.clone().unwrap_or_default();
    control::Decision {
        id: decision.id.clone(),
        at: decision.at,
        author_id: decision.author.to_string(),
        author,
        kind,
        subject_id: subject.map(|device| device.to_string()),
        text,
        counts: decision.void.is_none(),
        why_not: decision.void.as_ref().map(|reason| sentence(reason)),
        acknowledged: names.all(&removal.acknowledged),
        waiting: names.all(&removal.waiting),
    }
}

type Words = (control::DecisionKind, Option<DeviceId>, String);

fn words(decision: &DecisionInfo, author: &str, names: &Names) -> Words {
    use control::DecisionKind as Kind;
    let called = |device: &DeviceId, name: &Option<myownmesh_mesh::DeviceName>| {
        name.as_ref().map_or_else(|| names.of_device(*device), ToString::to_string)
    };
    match &decision.what {
        DecisionKind::Founded(name) => (Kind::Founded, Some(decision.author), format!("{author} founded {name}.")),
        DecisionKind::Admitted { device, name, role, invited } => {
            let how = if *invited { ", who came with an invite," } else { "" };
            (Kind::Admitted, Some(*device), format!("{author} admitted {name}{how} as {}.", role_word(*role)))
        }
        DecisionKind::Removed { device, name } => {
            (Kind::Removed, Some(*device), format!("{author} removed {}.", called(device, name)))
        }
        DecisionKind::Left => (Kind::Left, Some(decision.author), format!("{author} left.")),
        DecisionKind::Role { device, role, .. } if *device == decision.author => {
            (Kind::Role, Some(*device), format!("{author} took the role of {}.", role_word(*role)))
        }
        DecisionKind::Role { device, name, role } => {
            let text = format!("{author} made {} {}.", called(device, name), role_word(*role));
            (Kind::Role, Some(*device), text)
        }
        DecisionKind::Renamed(name) => (Kind::Renamed, None, format!("{author} renamed the network to {name}.")),
        DecisionKind::Kind(kind) => {
            let who = match super::kind(*kind) {
                control::NetworkKind::Open => "open: every member may admit devices",
                control::NetworkKind::Closed => "closed: only owners and managers admit devices",
            };
            (Kind::Kind, None, format!("{author} made the network {who}."))
        }
        DecisionKind::Settings(settings) => {
            let text = format!("{author} changed how devices reach each other: {}.", settings_words(settings));
            (Kind::Settings, None, text)
        }
        DecisionKind::Invited { invite, role, uses, .. } => {
            let devices = if *uses == 1 { "one device".to_owned() } else { format!("{uses} devices") };
            let text = format!("{author} made the invite {invite}, which admits {devices} as {}.", role_word(*role));
            (Kind::Invited, None, text)
        }
        DecisionKind::Revoked(invite) => (Kind::Revoked, None, format!("{author} revoked the invite {invite}.")),
        DecisionKind::Equivocated { seq } => {
            let text = format!(
                "{author} signed two different records with the number {seq}: it lies, or was restored from a backup. \
                 Ask its owner, and remove it if nobody can say why."
            );
            (Kind::Equivocated, Some(decision.author), text)
        }
        DecisionKind::Unknown(kind) => {
            let text = format!("{author} decided something that a newer version understands (record kind {kind}).");
            (Kind::Unknown, None, text)
        }
    }
}

/// A role as part of a sentence.
fn role_word(of: myownmesh_mesh::Role) -> &'static str {
    match role(of) {
        control::Role::Owner => "owner",
        control::Role::Manager => "manager",
        control::Role::Member => "member",
    }
}

/// Settings as part of a sentence.
fn settings_words(settings: &NetworkSettings) -> String {
    if settings.air_gapped {
        let nearby = if settings.mdns { "found nearby" } else { "not looked for nearby" };
        return format!("air-gapped, devices are {nearby}");
    }
    let relays = if settings.relays.is_empty() { "none".to_owned() } else { listed(&settings.relays, 8) };
    format!(
        "relays {relays}, lookup {}, nearby {}, announced {}",
        settings.lookup.as_deref().unwrap_or("off"),
        on_off(settings.mdns),
        on_off(settings.announce),
    )
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use myownmesh_mesh::{DeviceName, InviteId, NetworkKind, NetworkName, Removal, Role};

    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId::of_secret(&[n; 32])
    }

    fn name(text: &str) -> DeviceName {
        DeviceName::parse(text).expect("a name")
    }

    fn made(what: DecisionKind) -> DecisionInfo {
        let author_name = Some(name("Desk"));
        DecisionInfo { id: "1".into(), at: 5, author: device(1), author_name, what, void: None, removal: None }
    }

    #[test]
    fn every_decision_is_a_sentence() {
        let role = Role::Manager;
        for (what, text) in [
            (DecisionKind::Founded(NetworkName::parse("Home").expect("a name")), "Desk founded Home."),
            (
                DecisionKind::Admitted { device: device(2), name: name("Phone"), role: Role::Member, invited: false },
                "Desk admitted Phone as member.",
            ),
            (
                DecisionKind::Admitted { device: device(2), name: name("Phone"), role, invited: true },
                "Desk admitted Phone, who came with an invite, as manager.",
            ),
            (DecisionKind::Removed { device: device(2), name: Some(name("Phone")) }, "Desk removed Phone."),
            (DecisionKind::Left, "Desk left."),
            (DecisionKind::Role { device: device(2), name: Some(name("Phone")), role }, "Desk made Phone manager."),
            (DecisionKind::Role { device: device(1), name: None, role }, "Desk took the role of manager."),
            (
                DecisionKind::Kind(NetworkKind::Closed),
                "Desk made the network closed: only owners and managers admit devices.",
            ),
            (
                DecisionKind::Settings(NetworkSettings::default()),
                "Desk changed how devices reach each other: relays none, lookup off, nearby on, announced off.",
            ),
            (DecisionKind::Revoked(InviteId::from_bytes([7; 8])), "Desk revoked the invite 0707070707070707."),
        ] {
            assert_eq!(decision(&made(what), &Names::default()).text, text);
        }
        let lie = decision(&made(DecisionKind::Equivocated { seq: 9 }), &Names::default());
        assert_eq!(lie.subject_id, Some(device(1).to_string()));
        assert!(lie.text.contains("two different records with the number 9"), "{}", lie.text);
    }

    #[test]
    fn who_is_gone_keeps_its_name() {
        let admitted =
            DecisionKind::Admitted { device: device(2), name: name("Phone"), role: Role::Member, invited: false };
        let mut removed = made(DecisionKind::Removed { device: device(2), name: None });
        removed.removal = Some(Removal { acknowledged: vec![device(3)], waiting: vec![device(1)] });
        removed.void = Some("its author was removed before".to_owned());
        let decisions = [removed, made(admitted)];
        let mut names = Names::default();
        names.learn(&decisions);
        let told = decision(&decisions[0], &names);
        assert_eq!(told.text, "Desk removed Phone.");
        assert_eq!(told.acknowledged, [device(3).short()]);
        assert_eq!(told.waiting, ["Desk"]);
        assert_eq!((told.counts, told.why_not.as_deref()), (false, Some("Its author was removed before.")));
    }
}
