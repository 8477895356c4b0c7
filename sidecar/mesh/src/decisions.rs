//! The governing decisions of a network, told from its records: what was decided, by whom, when, and whether it counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{DecisionInfo, DecisionKind, Removal};
use crate::proto::fold::{Membership, Void};
use crate::proto::ids::{DeviceId, RecordId};
use crate::proto::name::DeviceName;
use crate::proto::record::{Body, Record, Via};

/// Who has confirmed which removal.
pub(crate) type Acknowledgements = BTreeMap<RecordId, BTreeSet<DeviceId>>;

/// All decisions, newest first, as `me` sees them.
pub(crate) fn all<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    membership: &Membership,
    acknowledged: &Acknowledgements,
    me: DeviceId,
) -> Vec<DecisionInfo> {
    let mut records: Vec<&Record> = records.into_iter().collect();
    records.sort_by_key(|record| std::cmp::Reverse((record.hlc(), record.id())));
    let tell = |record: &&Record| {
        let mut decision = decision(record, membership)?;
        if matches!(decision.what, DecisionKind::Removed { .. }) && decision.void.is_none() {
            decision.removal = Some(removal(record, membership, acknowledged, me));
        }
        Some(decision)
    };
    records.iter().filter_map(tell).collect()
}

/// One decision; `None` when the record decides nothing about the network.
pub(crate) fn decision(record: &Record, membership: &Membership) -> Option<DecisionInfo> {
    let void = membership.void.get(&record.id());
    let what = if void == Some(&Void::Equivocation) {
        DecisionKind::Equivocated { seq: record.seq() }
    } else {
        kind(record.body(), membership)?
    };
    Some(DecisionInfo {
        id: record.id().to_string(),
        at: record.hlc().millis(),
        author: record.author(),
        author_name: name_of(membership, record.author()),
        what,
        void: void.map(Void::to_string),
        removal: None,
    })
}

fn kind(body: &Body, membership: &Membership) -> Option<DecisionKind> {
    Some(match body {
        Body::Genesis(genesis) => DecisionKind::Founded(genesis.name.clone()),
        Body::Admit(admit) => DecisionKind::Admitted {
            device: admit.device,
            name: admit.name.clone(),
            role: admit.role,
            invited: matches!(admit.via, Via::Invite { .. }),
        },
        Body::Remove(remove) => {
            DecisionKind::Removed { device: remove.device, name: name_of(membership, remove.device) }
        }
        Body::Role(set) => {
            DecisionKind::Role { device: set.device, name: name_of(membership, set.device), role: set.role }
        }
        Body::Rename(rename) => DecisionKind::Renamed(rename.name.clone()),
        Body::DeviceInfo(_) | Body::Document(_) => return None,
        Body::Leave => DecisionKind::Left,
        Body::Invite(grant) => DecisionKind::Invited {
            invite: grant.key.id(),
            role: grant.role,
            uses: grant.uses,
            expires_at: grant.expires_at,
        },
        Body::RevokeInvite(revoke) => DecisionKind::Revoked(revoke.id),
        Body::Policy(policy) => DecisionKind::Kind(policy.kind),
        Body::Settings(settings) => DecisionKind::Settings(settings.clone()),
        Body::Unknown { kind, .. } => DecisionKind::Unknown(*kind),
    })
}

/// Who has confirmed the removal `record`, and who has still to. This device and the author of the record know of it by
/// themselves, and so does whoever was admitted afterwards: none of them is listed.
pub(crate) fn removal(
    record: &Record,
    membership: &Membership,
    acknowledged: &Acknowledgements,
    me: DeviceId,
) -> Removal {
    let concerned = membership
        .members
        .iter()
        .filter(|(device, member)| **device != me && **device != record.author() && member.admitted_at < record.hlc())
        .map(|(device, _)| *device);
    let confirmed = acknowledged.get(&record.id());
    let (acknowledged, waiting) =
        concerned.partition(|device| confirmed.is_some_and(|confirmed| confirmed.contains(device)));
    Removal { acknowledged, waiting }
}

/// The name of a device that is or was a member, as last known.
pub(crate) fn name_of(membership: &Membership, device: DeviceId) -> Option<DeviceName> {
    let member = membership.members.get(&device).map(|member| &member.name);
    member.or_else(|| membership.former.get(&device).map(|former| &former.name)).cloned()
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;
    use crate::proto::fold::fold;
    use crate::proto::hlc::Hlc;
    use crate::proto::ids::NetworkId;
    use crate::proto::name::NetworkName;
    use crate::proto::record::{Admit, Genesis, NetworkKind, Policy, Remove, Rename, Role};

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32])
    }

    fn id(n: u8) -> DeviceId {
        secret(n).public().into()
    }

    fn device(name: &str) -> DeviceName {
        DeviceName::parse(name).expect("a name")
    }

    fn network(name: &str) -> NetworkName {
        NetworkName::parse(name).expect("a name")
    }

    fn founded() -> Record {
        let genesis = Genesis {
            name: network("Home"),
            kind: NetworkKind::Open,
            founder_name: device("Cellar"),
            founder_os: "linux".into(),
            nonce: [1; 16],
        };
        Record::found(&secret(1), Hlc::at(1), genesis).expect("a record")
    }

    fn sign(by: u8, network: NetworkId, seq: u64, at: u64, body: Body) -> Record {
        Record::sign(&secret(by), network, seq, Hlc::at(at), body).expect("a record")
    }

    fn admit(n: u8, name: &str) -> Body {
        Body::Admit(Admit {
            device: id(n),
            name: device(name),
            os: "linux".into(),
            role: Role::Member,
            via: Via::Knock,
        })
    }

    #[test]
    fn decisions_are_told_newest_first_with_what_does_not_count() {
        let genesis = founded();
        let home = genesis.network();
        let records = [
            genesis,
            sign(1, home, 2, 20, admit(2, "Attic")),
            sign(2, home, 1, 30, Body::Rename(Rename { name: network("Mine") })),
            sign(1, home, 3, 40, Body::Policy(Policy { kind: NetworkKind::Closed, honours: vec![(id(2), 1)] })),
            sign(2, home, 2, 50, admit(3, "Phone")),
        ];
        let membership = fold(home, &records).expect("a network");
        let told = all(&records, &membership, &Acknowledgements::new(), id(1));
        let kinds: Vec<(&DecisionKind, bool)> =
            told.iter().map(|decision| (&decision.what, decision.void.is_none())).collect();
        let admitted =
            |n, name| DecisionKind::Admitted { device: id(n), name: device(name), role: Role::Member, invited: false };
        assert_eq!(
            kinds,
            [
                (&admitted(3, "Phone"), false),
                (&DecisionKind::Kind(NetworkKind::Closed), true),
                (&DecisionKind::Renamed(network("Mine")), false),
                (&admitted(2, "Attic"), true),
                (&DecisionKind::Founded(network("Home")), true),
            ]
        );
        assert_eq!(told[2].author_name, Some(device("Attic")));
        assert_eq!(told[2].void.as_deref(), Some("its author may not do that"));
    }

    #[test]
    fn a_number_used_twice_is_told_as_such() {
        let genesis = founded();
        let home = genesis.network();
        let records = [
            genesis,
            sign(1, home, 2, 20, Body::Rename(Rename { name: network("House") })),
            sign(1, home, 2, 21, Body::Rename(Rename { name: network("Hut") })),
        ];
        let membership = fold(home, &records).expect("a network");
        let told = all(&records, &membership, &Acknowledgements::new(), id(1));
        assert_eq!(told[0].what, DecisionKind::Equivocated { seq: 2 });
        assert!(told[0].void.is_some());
        assert_eq!(told[1].what, DecisionKind::Renamed(network("House")));
    }

    #[test]
    fn a_removal_waits_for_those_who_were_members_at_that_time() {
        let genesis = founded();
        let home = genesis.network();
        let remove = sign(1, home, 5, 50, Body::Remove(Remove { device: id(4), last_seq: 0 }));
        let records = [
            genesis,
            sign(1, home, 2, 20, admit(2, "Attic")),
            sign(1, home, 3, 21, admit(3, "Phone")),
            sign(1, home, 4, 22, admit(4, "Lost laptop")),
            remove.clone(),
            sign(1, home, 6, 60, admit(5, "New laptop")),
        ];
        let membership = fold(home, &records).expect("a network");
        let confirmed = Acknowledgements::from([(remove.id(), BTreeSet::from([id(2)]))]);
        let told = all(&records, &membership, &confirmed, id(1));
        let removed = told.iter().find(|decision| decision.removal.is_some()).expect("the removal");
        assert_eq!(
            removed.what,
            DecisionKind::Removed { device: id(4), name: Some(device("Lost laptop")) },
            "its name is kept"
        );
        let expected = Removal { acknowledged: vec![id(2)], waiting: vec![id(3)] };
        assert_eq!(removed.removal.as_ref(), Some(&expected));
    }
}
