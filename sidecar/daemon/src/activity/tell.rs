//! Events of the mesh as activities, in plain language.

use std::collections::HashSet;

use myownmesh_control::types::ActivityKind;
use myownmesh_mesh::{
    DecisionInfo, DecisionKind, DeviceId, KnockInfo, KnockOutcome, MeshEvent, MeshSnapshot, NetworkId,
};

use super::Told;
use crate::convert::{self, Names};

/// Puts events into words, one after the other: some make sense only with what came before.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    active: Option<NetworkId>,
    /// Devices whose arrival was told, and whose loss has still to be.
    connected: HashSet<DeviceId>,
}

impl Teller {
    /// Begins with this picture.
    pub(crate) fn new(mesh: &MeshSnapshot) -> Self {
        Self { active: mesh.active, connected: HashSet::new() }
    }

    /// Whether the decisions of the active network tell more about this event.
    pub(crate) fn wants_decisions(event: &MeshEvent) -> bool {
        matches!(
            event,
            MeshEvent::MemberAdded { .. } | MeshEvent::MemberRemoved { .. } | MeshEvent::RemovalAcknowledged { .. }
        )
    }

    /// The event as an activity; `None` when there is nothing to tell of it. `decisions` are those of the active
    /// network, newest first, where [`wants_decisions`](Self::wants_decisions).
    pub(crate) fn tell(&mut self, event: &MeshEvent, mesh: &MeshSnapshot, decisions: &[DecisionInfo]) -> Option<Told> {
        use ActivityKind as Kind;
        let told = |kind, text: String| Told::new(self.active, kind, text);
        Some(match event {
            MeshEvent::KnockArrived(knock) => arrived(knock, mesh),
            MeshEvent::KnockEnded { device_name, outcome, decided_by, .. } => {
                let by = decided_by.as_ref().map_or_else(String::new, |name| format!(" by {name}"));
                let end = match outcome {
                    KnockOutcome::Approved => format!("was approved{by}"),
                    KnockOutcome::Denied => format!("was denied{by}"),
                    KnockOutcome::Withdrawn => "was withdrawn, or its connection was lost".to_owned(),
                    KnockOutcome::Expired => "expired: nobody answered in time".to_owned(),
                };
                let mut told = told(Kind::Knock, format!("The knock of {device_name} {end}."));
                // The event names the device only; a list of names still finds it.
                told.device = mesh
                    .members
                    .iter()
                    .find(|member| member.name == *device_name)
                    .map(|member| (member.device_id, member.name.to_string()));
                told
            }
            MeshEvent::Device { device_id, name, state } => {
                let text = if state.is_online() {
                    self.connected.insert(*device_id).then(|| format!("{name} is here. {}", state.reason()))?
                } else {
                    self.connected.remove(device_id).then(|| format!("{name} is gone. {}", state.reason()))?
                };
                Told::new(self.active, Kind::Connection, text).about(*device_id, name.to_string())
            }
            MeshEvent::MemberAdded { device_id, name } => {
                let how = |decision: &&DecisionInfo| matches!(&decision.what, DecisionKind::Admitted { device, .. } if device == device_id);
                let text = sentence(decisions, how).unwrap_or_else(|| format!("{name} is a member now."));
                told(Kind::Member, text).about(*device_id, name.to_string())
            }
            MeshEvent::MemberRemoved { device_id, name } => {
                let how = |decision: &&DecisionInfo| match &decision.what {
                    DecisionKind::Removed { device, .. } => device == device_id,
                    DecisionKind::Left => decision.author == *device_id,
                    _ => false,
                };
                self.connected.remove(device_id);
                let text = sentence(decisions, how).unwrap_or_else(|| format!("{name} is no member any more."));
                Told::new(self.active, Kind::Member, text).about(*device_id, name.to_string())
            }
            MeshEvent::NetworkChanged { active } => return self.switched(*active, mesh),
            MeshEvent::Decided(decision) => decided(self.active, decision, mesh),
            MeshEvent::RemovalAcknowledged { device_id, by, by_name } => {
                let mut names = Names::of(mesh);
                names.learn(decisions);
                let text = format!("{by_name} has cut {} off.", names.of_device(*device_id));
                told(Kind::Member, text).about(*by, by_name.to_string())
            }
            MeshEvent::Refused { device_id, name, what } => {
                let mut told = told(Kind::Security, what.clone());
                told.device = device_id.map(|id| (id, name.as_ref().map_or_else(|| id.short(), ToString::to_string)));
                told
            }
            // Cards change with every model that loads; what is lent is told when it is used.
            _ => return None,
        })
    }

    fn switched(&mut self, active: Option<NetworkId>, mesh: &MeshSnapshot) -> Option<Told> {
        let before = std::mem::replace(&mut self.active, active);
        self.connected.clear();
        let name = |id: NetworkId| mesh.networks.iter().find(|network| network.id == id).map(|it| it.name.to_string());
        match (before, active) {
            (before, Some(now)) if before != Some(now) => {
                let text = format!("{} is the active network now.", name(now)?);
                Some(Told::new(active, ActivityKind::Network, text))
            }
            (Some(before), None) => {
                let text = format!("This device let go of {}; no network is active.", name(before)?);
                Some(Told::new(Some(before), ActivityKind::Network, text))
            }
            _ => None,
        }
    }
}

fn arrived(knock: &KnockInfo, mesh: &MeshSnapshot) -> Told {
    let network = mesh.networks.iter().find(|network| network.id == knock.network);
    let place = network.map_or_else(|| "a network".to_owned(), |network| network.name.to_string());
    let via = knock.via.as_ref().map_or_else(String::new, |name| format!(", at {name}"));
    let mut text = format!("{} ({}) knocks at {place}{via}.", knock.device_name, knock.os);
    if let Some(resembles) = &knock.resembles {
        text.push_str(&format!(" Its name resembles that of {resembles}."));
    }
    Told::new(Some(knock.network), ActivityKind::Knock, text).about(knock.device_id, knock.device_name.to_string())
}

/// The newest counting decision that fits, as a sentence.
fn sentence(decisions: &[DecisionInfo], fits: impl Fn(&&DecisionInfo) -> bool) -> Option<String> {
    let mut names = Names::default();
    names.learn(decisions);
    let found = decisions.iter().filter(|decision| decision.void.is_none()).find(fits)?;
    Some(convert::decision(found, &names).text)
}

fn decided(network: Option<NetworkId>, decision: &DecisionInfo, mesh: &MeshSnapshot) -> Told {
    let kind = match decision.what {
        DecisionKind::Admitted { .. }
        | DecisionKind::Removed { .. }
        | DecisionKind::Left
        | DecisionKind::Role { .. } => ActivityKind::Member,
        DecisionKind::Invited { .. } | DecisionKind::Revoked(_) => ActivityKind::Invite,
        DecisionKind::Equivocated { .. } => ActivityKind::Security,
        DecisionKind::Founded(_)
        | DecisionKind::Renamed(_)
        | DecisionKind::Kind(_)
        | DecisionKind::Settings(_)
        | DecisionKind::Unknown(_) => ActivityKind::Network,
    };
    let told = convert::decision(decision, &Names::of(mesh));
    Told::new(network, kind, told.text).about(decision.author, told.author)
}

#[cfg(test)]
mod tests {
    use myownmesh_mesh::{DeviceName, LinkState, PathKind, Role};

    use super::*;

    fn name(text: &str) -> DeviceName {
        DeviceName::parse(text).expect("a name")
    }

    fn device(n: u8) -> DeviceId {
        DeviceId::of_secret(&[n; 32])
    }

    fn mesh() -> MeshSnapshot {
        MeshSnapshot {
            device_id: device(1),
            device_name: name("Desk"),
            listen: vec![],
            networks: vec![],
            active: Some(NetworkId::from_bytes([5; 32])),
            members: vec![],
            knocks: vec![],
            nearby: vec![],
            relays: vec![],
        }
    }

    fn state(online: bool) -> MeshEvent {
        let state = if online {
            LinkState::Online { path: PathKind::Direct, rtt_ms: 1.0, since: 0 }
        } else {
            LinkState::Connecting { attempt: 1, reason: "It does not answer.".to_owned() }
        };
        MeshEvent::Device { device_id: device(2), name: name("Lap"), state }
    }

    #[test]
    fn devices_come_and_go_once() {
        let mesh = mesh();
        let mut teller = Teller::new(&mesh);
        let mut texts = Vec::new();
        for online in [false, true, true, false, false, true] {
            texts.extend(teller.tell(&state(online), &mesh, &[]).map(|told| told.text));
        }
        assert_eq!(
            texts,
            [
                "Lap is here. Connected directly.",
                "Lap is gone. It does not answer.",
                "Lap is here. Connected directly."
            ]
        );
    }

    #[test]
    fn a_new_member_is_told_with_who_admitted_it() {
        let mesh = mesh();
        let mut teller = Teller::new(&mesh);
        let event = MeshEvent::MemberAdded { device_id: device(2), name: name("Lap") };
        assert!(Teller::wants_decisions(&event));
        let what = DecisionKind::Admitted { device: device(2), name: name("Lap"), role: Role::Member, invited: false };
        let admitted = DecisionInfo {
            id: "1".to_owned(),
            at: 1,
            author: device(3),
            author_name: Some(name("Pad")),
            what,
            void: None,
            removal: None,
        };
        let told = teller.tell(&event, &mesh, std::slice::from_ref(&admitted)).expect("told");
        assert_eq!(told.text, "Pad admitted Lap as member.");
        assert_eq!(told.network, mesh.active);
        let void = DecisionInfo { void: Some("it may not".to_owned()), ..admitted };
        let told = teller.tell(&event, &mesh, &[void]).expect("told");
        assert_eq!(told.text, "Lap is a member now.", "what does not count admitted nobody");
    }

    #[test]
    fn a_refusal_names_whom_it_can() {
        let mesh = mesh();
        let mut teller = Teller::new(&mesh);
        let refused =
            |id| MeshEvent::Refused { device_id: id, name: None, what: "A stranger asked as a member.".to_owned() };
        let told = teller.tell(&refused(Some(device(9))), &mesh, &[]).expect("told");
        assert_eq!((told.kind, told.device), (ActivityKind::Security, Some((device(9), device(9).short()))));
        assert_eq!(teller.tell(&refused(None), &mesh, &[]).expect("told").device, None);
    }
}
