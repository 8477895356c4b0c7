//! What others see of the actor's state: the roster and the snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Actor, LinkState};
use crate::api::{MemberInfo, MeshSnapshot, NetworkInfo, PathKind, Removed};
use crate::decisions;
use crate::net::links::LinkView;
use crate::proto::fold::{Member, Membership};
use crate::proto::ids::DeviceId;
use crate::roster::{Roster, RosterMember};

impl Actor {
    /// Publishes who belongs to the active network, for the checks at every handshake and request.
    pub(super) fn publish_roster(&self) {
        let roster = self.active.as_ref().map_or_else(Roster::default, |ledger| {
            let membership = ledger.membership();
            let others = membership.members.iter().filter(|(device, _)| **device != self.me);
            let member = |(device, member): (&DeviceId, &Member)| {
                (*device, RosterMember { name: member.name.clone(), role: member.role })
            };
            // Whoever was removed serves nobody.
            let members = if membership.is_member(self.me) { others.map(member).collect() } else { BTreeMap::new() };
            Roster { network: Some(membership.network), members, membership: Some(membership.clone()) }
        });
        let active = roster.network;
        let elsewhere = self.kept.iter().filter(|(network, _)| Some(**network) != active);
        let elsewhere: BTreeSet<DeviceId> = elsewhere.flat_map(|(_, members)| members).copied().collect();
        self.elsewhere.send_if_modified(|published| {
            let changed = **published != elsewhere;
            if changed {
                *published = Arc::new(elsewhere);
            }
            changed
        });
        self.roster.send_if_modified(|published| {
            let changed = **published != roster;
            if changed {
                *published = Arc::new(roster);
            }
            changed
        });
    }

    /// Remembers who belongs to a network that is saved, to tell them apart from strangers while it is not active.
    pub(super) fn keep_members(&mut self, membership: &Membership) {
        let members = membership.members.keys().filter(|device| **device != self.me).copied();
        let members = if membership.is_member(self.me) { members.collect() } else { BTreeSet::new() };
        self.kept.insert(membership.network, members);
    }

    /// Publishes the picture for screens, if it changed.
    pub(super) fn publish_snapshot(&self) {
        let mut networks: Vec<NetworkInfo> = self.saved.values().cloned().collect();
        networks.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let reach = self.reach_watch.borrow().clone();
        let snapshot = MeshSnapshot {
            device_id: self.me,
            device_name: self.name.clone(),
            listen: self.endpoint.bound_sockets(),
            networks,
            active: self.active.as_ref().map(super::super::ledger::Ledger::network),
            members: self.active.as_ref().map_or_else(Vec::new, |ledger| self.members(ledger.membership())),
            knocks: self.waiting.borrow().to_vec(),
            nearby: reach.nearby.clone(),
            relays: reach.relays.clone(),
        };
        self.snapshot.send_if_modified(|published| {
            let changed = **published != snapshot;
            if changed {
                *published = Arc::new(snapshot);
            }
            changed
        });
    }

    /// Brings the entry of the active network among the saved ones up to date.
    pub(super) fn note_active(&mut self) {
        let Some(ledger) = &self.active else { return };
        let info = self.network_info(ledger.membership(), true);
        self.saved.insert(info.id, info);
    }

    /// A network as it is shown.
    pub(super) fn network_info(&self, membership: &Membership, active: bool) -> NetworkInfo {
        NetworkInfo {
            id: membership.network,
            name: membership.name.clone(),
            kind: membership.kind,
            active,
            role: membership.role(self.me),
            members: u32::try_from(membership.members.len()).unwrap_or(u32::MAX),
            founded_at: membership.founded_at(),
            settings: membership.settings.clone(),
            removed: self.removed(membership),
        }
    }

    /// How this device's membership ended, if it did.
    fn removed(&self, membership: &Membership) -> Option<Removed> {
        let former = membership.former.get(&self.me)?;
        let by = if former.by == self.me { None } else { decisions::name_of(membership, former.by) };
        Some(Removed { by, at: former.ended_at.millis() })
    }

    fn members(&self, membership: &Membership) -> Vec<MemberInfo> {
        let mut members: Vec<MemberInfo> =
            membership.members.iter().map(|(device, member)| self.member_info(*device, member)).collect();
        members.sort_by(|a, b| (!a.this_device, &a.name, a.device_id).cmp(&(!b.this_device, &b.name, b.device_id)));
        members
    }

    /// A member as it is shown.
    pub(super) fn member_info(&self, device: DeviceId, member: &Member) -> MemberInfo {
        if device == self.me {
            return MemberInfo {
                device_id: device,
                name: self.name.clone(),
                os: self.os.clone(),
                role: member.role,
                this_device: true,
                link: LinkState::Online { path: PathKind::Direct, rtt_ms: 0.0, since: self.started_at },
                card: self.card.as_ref().map(|push| Arc::new(push.card.clone())),
                version: Some(self.app_version.clone()),
                last_seen: None,
            };
        }
        let met = self.met.get(&device).cloned().unwrap_or_default();
        let unknown = || LinkState::Connecting { attempt: 1, reason: "Looking for it.".to_owned() };
        MemberInfo {
            device_id: device,
            name: member.name.clone(),
            os: member.os.clone(),
            role: member.role,
            this_device: false,
            link: self.table.get(&device).map_or_else(unknown, |LinkView { state, .. }| state.clone()),
            card: met.card.map(|(_, card)| card),
            version: met.version,
            last_seen: met.last_seen,
        }
    }
}
