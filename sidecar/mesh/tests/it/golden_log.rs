//! A log written by an early version folds to what it meant then. See `tests/fixtures/README.md`.
//!
//! The file: records one after the other, each with its length before it (32 bits, big-endian).

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use iroh::SecretKey;
use myownmesh_mesh::proto::fold::{Membership, fold};
use myownmesh_mesh::proto::hlc::Hlc;
use myownmesh_mesh::proto::invite::InviteSecret;
use myownmesh_mesh::proto::record::{
    Admit, Body, DeviceInfo, Genesis, InviteGrant, Policy, Record, Remove, Rename, RevokeInvite, SetRole, Via,
};
use myownmesh_mesh::{DeviceId, DeviceName, NetworkId, NetworkKind, NetworkName, NetworkSettings, Role};
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> DeviceId {
    secret(n).public().into()
}

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).unwrap()
}

/// Writes the log with keys and clocks that are always the same.
struct Writer {
    network: NetworkId,
    records: Vec<Record>,
    seqs: [u64; 8],
    at: u64,
}

impl Writer {
    fn say(&mut self, author: u8, body: Body) {
        self.at += 60_000;
        self.say_at(author, self.at, body);
    }

    fn say_at(&mut self, author: u8, ms: u64, body: Body) {
        let seq = &mut self.seqs[usize::from(author)];
        *seq += 1;
        let hlc = Hlc { ms, counter: u32::from(author) };
        self.records.push(Record::sign(&secret(author), self.network, *seq, hlc, body).unwrap());
    }

    fn admit(&mut self, author: u8, device: u8, text: &str, role: Role, via: Via) {
        self.say(author, Body::Admit(Admit { device: id(device), name: name(text), os: "linux".into(), role, via }));
    }
}

fn log() -> Vec<Record> {
    let start = 1_790_000_000_000;
    let genesis = Genesis {
        name: NetworkName::parse("Haus").unwrap(),
        kind: NetworkKind::Open,
        founder_name: name("Attic"),
        founder_os: "linux".into(),
        nonce: [9; 16],
    };
    let first = Record::found(&secret(1), Hlc::at(start), genesis).unwrap();
    let network = first.network();
    let mut log = Writer { network, records: vec![first], seqs: [0, 1, 0, 0, 0, 0, 0, 0], at: start };
    log.admit(1, 2, "Laptop", Role::Owner, Via::Knock);
    log.admit(2, 3, "Phone", Role::Member, Via::Knock);
    log.say(3, Body::DeviceInfo(DeviceInfo { name: name("Phone of Bö"), os: "android".into() }));
    let invite = InviteSecret::from_bytes([5; 16]);
    let grant = |key, uses| InviteGrant { key, role: Role::Member, uses, expires_at: 1_800_000_000_000 };
    log.say(1, Body::Invite(grant(invite.key(), 2)));
    let proof = invite.prove(network, id(4));
    log.admit(3, 4, "Tablet", Role::Member, Via::Invite { id: invite.id(), proof });
    log.say(1, Body::Role(SetRole { device: id(3), role: Role::Manager, last_seq: 0 }));
    log.say(2, Body::Rename(Rename { name: NetworkName::parse("Haus am See").unwrap() }));
    log.say(1, Body::RevokeInvite(RevokeInvite { id: invite.id() }));
    log.say(1, Body::Policy(Policy { kind: NetworkKind::Closed, honours: vec![(id(4), 0)] }));
    let settings = NetworkSettings {
        relays: vec!["https://relay.example/".into()],
        lookup: Some("https://pkarr.example/".into()),
        mdns: true,
        announce: true,
        air_gapped: false,
    };
    log.say(2, Body::Settings(settings));
    log.say(4, Body::Unknown { kind: 4_000, payload: vec![1, 2, 3] });
    // None of these counts: no authority, an invite that was revoked, a second record of one number, a stranger's.
    log.say(4, Body::Rename(Rename { name: NetworkName::parse("Mine").unwrap() }));
    let proof = invite.prove(network, id(5));
    log.admit(1, 5, "Late", Role::Member, Via::Invite { id: invite.id(), proof });
    log.seqs[3] -= 1;
    log.say(3, Body::DeviceInfo(DeviceInfo { name: name("Two"), os: "android".into() }));
    log.say(6, Body::Leave);
    // A removal, and what the removed device back-dates.
    let until = log.seqs[4];
    log.say(3, Body::Remove(Remove { device: id(4), last_seq: until }));
    log.say_at(4, start + 61, Body::DeviceInfo(DeviceInfo { name: name("Ghost"), os: "linux".into() }));
    log.admit(1, 5, "Desktop", Role::Member, Via::Knock);
    log.say(5, Body::Leave);
    log.records
}

fn encode(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        let record = record.as_bytes();
        bytes.extend_from_slice(&u32::try_from(record.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(record);
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (record, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        records.push(Record::decode(record).unwrap());
        bytes = rest;
    }
    records
}

/// A membership in plain words, without what only this version computes.
fn words(membership: &Membership) -> Value {
    let members = membership.members.iter().map(|(device, member)| {
        json!({ "device": device.to_string(), "name": member.name.as_str(), "os": member.os, "role": member.role,
            "by": member.admitted_by.to_string(), "at": member.admitted_at.ms, "standing": member.standing })
    });
    let former = membership.former.iter().map(|(device, former)| {
        json!({ "device": device.to_string(), "name": former.name.as_str(), "by": former.by.to_string(), "at": former.ended_at.ms })
    });
    let invites = membership.invites.iter().map(|(invite, state)| {
        let used: Vec<String> = state.used_by.iter().map(ToString::to_string).collect();
        json!({ "id": invite.to_string(), "by": state.inviter.to_string(), "used": used, "revoked": state.revoked })
    });
    let void = membership.void.iter().map(|(record, why)| json!([record.to_string(), format!("{why:?}")]));
    json!({
        "network": membership.network.to_string(), "name": membership.name.as_str(), "kind": membership.kind,
        "founder": membership.founder.to_string(), "settings": membership.settings,
        "members": members.collect::<Vec<_>>(), "former": former.collect::<Vec<_>>(),
        "invites": invites.collect::<Vec<_>>(), "void": void.collect::<Vec<_>>(),
        "equivocations": membership.equivocations.iter().map(|it| json!([it.author.to_string(), it.seq, it.kept.to_string()])).collect::<Vec<_>>(),
        "counted": membership.counted.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

#[test]
fn the_first_log_still_means_what_it_meant() {
    let records = decode(&std::fs::read(fixture("log-v1.bin")).unwrap());
    let expected: Value = serde_json::from_slice(&std::fs::read(fixture("log-v1.json")).unwrap()).unwrap();
    let network = records[0].network();
    for turned in 0..records.len() {
        let mut order: Vec<&Record> = records.iter().collect();
        order.rotate_left(turned);
        if turned % 2 == 1 {
            order.reverse();
        }
        assert_eq!(words(&fold(network, order).unwrap()), expected);
    }
}

#[test]
fn the_first_log_holds_every_kind_of_its_time() {
    let records = decode(&std::fs::read(fixture("log-v1.bin")).unwrap());
    let kinds: BTreeSet<u16> = records.iter().map(|record| record.body().kind()).collect();
    assert_eq!(kinds, (1..=11).chain([4_000]).collect());
    let membership = fold(records[0].network(), &records).unwrap();
    let reasons: BTreeSet<String> = membership.void.values().map(|why| format!("{why:?}")).collect();
    assert!(reasons.len() >= 4, "{reasons:?}");
}

/// Writes the files when they are not there; never over those that are.
#[test]
#[ignore = "writes into the source tree; see tests/fixtures/README.md"]
fn write_the_first_log() {
    let records = log();
    let membership = fold(records[0].network(), &records).unwrap();
    let json = serde_json::to_vec_pretty(&words(&membership)).unwrap();
    for (name, bytes) in [("log-v1.bin", encode(&records)), ("log-v1.json", json)] {
        let mut file = std::fs::File::create_new(fixture(name))
            .expect("a fixture that is there is never written over: delete it yourself if you know why");
        file.write_all(&bytes).unwrap();
    }
}
