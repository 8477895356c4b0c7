//! What holds for every log: random statements by random devices at random times, honest or not.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex},
};

use iroh::Signature;
use proptest::{prelude::*, sample::Index};

use super::*;
use crate::proto::{
    invite::{InviteKey, InviteSecret},
    record::{Admit, InviteGrant},
    settings::NetworkSettings,
};

const DEVICES: u8 = 6;

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Manager), Just(Role::Owner)]
}

fn body(network: NetworkId) -> impl Strategy<Value = Body> {
    let device = 0..DEVICES;
    let last = 0u64..8;
    prop_oneof![
        4 => (device.clone(), role()).prop_map(|(device, role)| admit(device, role)),
        1 => (device.clone(), 0u8..3).prop_map(move |(device, secret)| {
            let (id, proof) = proof(network, device, secret);
            let via = Via::Invite { id, proof };
            Body::Admit(Admit { device: super::id(device), name: name("x"), os: String::new(), role: Role::Member, via })
        }),
        3 => (device.clone(), last.clone()).prop_map(|(device, last)| remove(device, last)),
        3 => (device.clone(), role(), last.clone()).prop_map(|(device, role, last)| set_role(device, role, last)),
        1 => Just(Body::Leave),
        1 => prop::collection::btree_map(device, last, 0..4).prop_map(|map| {
            close(&map.into_iter().collect::<Vec<_>>())
        }),
        1 => Just(Body::Policy(Policy { kind: NetworkKind::Open, honours: vec![] })),
        1 => "[a-z]{1,8}".prop_map(|text| Body::Rename(Rename { name: NetworkName::parse(&text).expect("a name") })),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(announce, air_gapped)| {
            Body::Settings(NetworkSettings { announce, air_gapped, ..NetworkSettings::default() })
        }),
        1 => Just(info("renamed")),
        1 => (0u8..3, role(), 1u32..3, 1i64..12_000).prop_map(|(secret, role, uses, expires_at)| {
            let key = invite_key(secret);
            Body::Invite(InviteGrant { key, role, uses, expires_at })
        }),
        1 => (0u8..3).prop_map(|secret| revoke(invite_key(secret).id())),
        1 => Just(Body::Unknown { kind: 77, payload: vec![1] }),
    ]
}

/// The public key of invite `secret`, kept as the proofs are.
fn invite_key(secret: u8) -> InviteKey {
    static KEYS: LazyLock<[InviteKey; 3]> =
        LazyLock::new(|| [0, 1, 2].map(|n| InviteSecret::from_bytes([n; 16]).key()));
    KEYS[usize::from(secret)]
}

/// That `device` holds invite `secret`. Made once each: signing is slow in a debug build.
fn proof(network: NetworkId, device: u8, secret: u8) -> (InviteId, Signature) {
    static PROOFS: Mutex<BTreeMap<(NetworkId, u8, u8), Signature>> = Mutex::new(BTreeMap::new());
    let make = || InviteSecret::from_bytes([secret; 16]).prove(network, id(device));
    let mut proofs = PROOFS.lock().expect("no test panics while it holds this");
    (invite_key(secret).id(), *proofs.entry((network, device, secret)).or_insert_with(make))
}

/// `(author, number, time, statement)`: numbers collide and times lie.
type Statement = (u8, u64, u64, Body);

fn statements(
    authors: std::ops::Range<u8>,
    network: NetworkId,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Statement>> {
    prop::collection::vec((authors, 2u64..9, 900u64..12_000, body(network)), count)
}

fn kind() -> impl Strategy<Value = NetworkKind> {
    prop_oneof![Just(NetworkKind::Open), Just(NetworkKind::Closed)]
}

fn network_of(kind: NetworkKind) -> NetworkId {
    log_of(kind).network
}

/// A fresh log; its genesis record is signed once.
fn log_of(kind: NetworkKind) -> Log {
    static LOGS: LazyLock<[Log; 2]> = LazyLock::new(|| [Log::new(NetworkKind::Open), Log::new(NetworkKind::Closed)]);
    LOGS[usize::from(kind == NetworkKind::Closed)].clone()
}

fn signed(log: &mut Log, statements: Vec<Statement>) {
    for (author, seq, ms, body) in statements {
        log.say_as(author, seq, ms, body);
    }
}

/// A log where 0 admitted 1, 2 and 3 with these roles, then random statements.
fn random_log() -> impl Strategy<Value = Log> {
    (kind(), prop::collection::vec(role(), 3))
        .prop_flat_map(|(kind, roles)| (Just(kind), Just(roles), statements(0..DEVICES, network_of(kind), 0..28)))
        .prop_map(|(kind, roles, statements)| {
            let mut log = log_of(kind);
            for (device, role) in (1..).zip(roles) {
                log.say(0, admit(device, role));
            }
            // Device 0 has used the numbers up to 4; what follows may collide with them.
            signed(&mut log, statements);
            log
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn any_order_with_any_duplicates_gives_the_same(
        log in random_log(),
        order in prop::collection::vec(any::<Index>(), 0..60),
        shuffle in any::<[u8; 8]>(),
    ) {
        let expected = log.fold();
        let mut arrived = log.records.clone();
        for index in order {
            arrived.push(index.get(&log.records).clone());
        }
        let rank = |record: &Record| *blake3::hash(&[record.id().as_bytes(), &shuffle[..]].concat()).as_bytes();
        arrived.sort_by_key(rank);
        prop_assert_eq!(fold(log.network, &arrived), Some(expected));
    }

    #[test]
    fn every_record_counts_or_is_void_and_an_owner_remains(log in random_log()) {
        let membership = log.fold();
        for record in &log.records {
            let counts = membership.counted.contains(&record.id());
            prop_assert_ne!(counts, membership.void.contains_key(&record.id()));
        }
        prop_assert!(membership.owners() > 0 || membership.members.is_empty());
        prop_assert!(membership.former.keys().all(|device| !membership.is_member(*device)));
        prop_assert!(membership.invites.values().all(|i| i.used_by.len() <= i.grant.uses as usize));
    }

    /// The owner says nothing after admitting two plain members; these and strangers may sign what they like.
    #[test]
    fn plain_members_and_strangers_gain_nothing(
        (kind, statements) in kind().prop_flat_map(|kind| (Just(kind), statements(1..DEVICES, network_of(kind), 1..40))),
    ) {
        let mut log = log_of(kind);
        log.say(0, admit(1, Role::Member));
        log.say(0, admit(2, Role::Member));
        signed(&mut log, statements);
        let membership = log.fold();
        prop_assert_eq!(membership.role(id(0)), Some(Role::Owner));
        prop_assert_eq!(membership.owners(), 1);
        prop_assert!(membership.members.iter().all(|(device, member)| *device == id(0) || member.role == Role::Member));
        prop_assert_eq!(membership.name.as_str(), "Home");
        prop_assert_eq!(&membership.settings, &NetworkSettings::default());
        prop_assert_eq!(membership.kind, kind);
        if kind == NetworkKind::Closed {
            prop_assert!(membership.members.keys().all(|device| [id(0), id(1), id(2)].contains(device)));
        }
    }

    /// A manager may admit and remove plain members, and nothing else.
    #[test]
    fn a_manager_touches_plain_members_only(statements in statements(1..2, network_of(NetworkKind::Closed), 1..30)) {
        let mut log = log_of(NetworkKind::Closed);
        log.say(0, admit(1, Role::Manager));
        log.say(0, admit(2, Role::Manager));
        signed(&mut log, statements);
        let membership = log.fold();
        prop_assert_eq!(membership.role(id(0)), Some(Role::Owner));
        prop_assert_eq!(membership.role(id(2)), Some(Role::Manager));
        prop_assert!(membership.role(id(1)) != Some(Role::Owner));
        prop_assert_eq!(membership.owners(), 1);
        prop_assert_eq!(&membership.settings, &NetworkSettings::default());
        prop_assert_eq!(membership.kind, NetworkKind::Closed);
    }

    /// The only owner removes 1 and honours nothing: whatever 1 signs, for whenever, leaves no trace.
    #[test]
    fn a_removal_leaves_no_trace_of_what_it_does_not_honour(
        role in role(),
        statements in statements(1..2, network_of(NetworkKind::Open), 0..30),
    ) {
        // The junior owner's counter-removals form a ring with this removal, and the senior's stands.
        let mut log = log_of(NetworkKind::Open);
        log.say(0, admit(1, role));
        log.say_at(0, 6000, remove(1, 0));
        let bare = log.fold();
        signed(&mut log, statements);
        let membership = log.fold();
        prop_assert_eq!(membership.members, bare.members);
        prop_assert_eq!(membership.invites, bare.invites);
        prop_assert_eq!((membership.name, membership.kind), (bare.name, bare.kind));
        prop_assert_eq!(membership.settings, bare.settings);
    }

    /// The only owner removes 1, and nobody admits it again: whatever others sign, it stays out, until an admission that
    /// counts comes after the removal; then it is in.
    #[test]
    fn a_removal_is_final_until_a_new_admission_by_somebody_who_may(
        (kind, statements) in kind().prop_flat_map(|kind| (Just(kind), statements(1..DEVICES, network_of(kind), 0..30))),
    ) {
        let mut log = log_of(kind);
        log.say(0, admit(1, Role::Member));
        let admission = log.records.last().cloned().expect("the admission");
        log.say_at(0, 13_000, remove(1, 0));
        // Replayed: it is the old one at its old place.
        log.records.push(admission);
        signed(&mut log, statements);
        prop_assert!(!log.fold().is_member(id(1)));
        log.say_at(0, 14_000, admit(1, Role::Member));
        prop_assert_eq!(log.fold().role(id(1)), Some(Role::Member));
    }
}
