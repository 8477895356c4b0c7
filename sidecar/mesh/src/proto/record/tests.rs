//! Golden bytes of every kind, and everything that is no record.

use proptest::prelude::*;

use super::*;
use crate::proto::invite::InviteSecret;

/// One line per kind: its name and the record's bytes in hex. Never change a line: records live for ever.
const GOLDEN: &str = include_str!("golden.txt");

fn secret() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

fn device(n: u8) -> DeviceId {
    SecretKey::from_bytes(&[n; 32]).public().into()
}

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).expect("a name")
}

fn genesis() -> Genesis {
    Genesis {
        name: NetworkName::parse("Home").expect("a name"),
        kind: NetworkKind::Closed,
        founder_name: name("Attic"),
        founder_os: "linux".into(),
        nonce: [3; 16],
    }
}

fn network() -> NetworkId {
    NetworkId::from_bytes([9; 32])
}

fn sign(body: Body) -> Record {
    let hlc = Hlc { ms: 1_700_000_000_000, counter: 2 };
    Record::sign(&secret(), network(), 7, hlc, body).expect("a record")
}

fn one_of_each() -> Vec<(&'static str, Record)> {
    let invite = InviteSecret::from_bytes([4; 16]);
    let admit = |via| Admit { device: device(2), name: name("Büro"), os: "macos".into(), role: Role::Member, via };
    let proof = invite.prove(network(), device(2));
    vec![
        ("genesis", Record::found(&secret(), Hlc::at(1_700_000_000_000), genesis()).expect("a record")),
        ("admit_knock", sign(Body::Admit(admit(Via::Knock)))),
        ("admit_invite", sign(Body::Admit(admit(Via::Invite { id: invite.id(), proof })))),
        ("remove", sign(Body::Remove(Remove { device: device(2), last_seq: 300 }))),
        ("role", sign(Body::Role(SetRole { device: device(2), role: Role::Manager, last_seq: 0 }))),
        ("rename", sign(Body::Rename(Rename { name: NetworkName::parse("Home 2").expect("a name") }))),
        ("device_info", sign(Body::DeviceInfo(DeviceInfo { name: name("Attic 2"), os: "windows".into() }))),
        ("leave", sign(Body::Leave)),
        (
            "invite",
            sign(Body::Invite(InviteGrant {
                key: invite.key(),
                role: Role::Member,
                uses: 3,
                expires_at: 1_700_000_600_000,
            })),
        ),
        ("revoke_invite", sign(Body::RevokeInvite(RevokeInvite { id: invite.id() }))),
        (
            "policy",
            sign(Body::Policy(Policy { kind: NetworkKind::Closed, honours: vec![(device(2).min(device(3)), 5)] })),
        ),
        (
            "settings",
            sign(Body::Settings(NetworkSettings {
                relays: vec!["https://relay.example/".into(), "http://10.0.0.1:3340/".into()],
                lookup: Some("https://pkarr.example/".into()),
                mdns: true,
                announce: false,
                air_gapped: true,
            })),
        ),
        ("unknown", sign(Body::Unknown { kind: 500, payload: vec![1, 2, 3] })),
    ]
}

#[test]
fn every_kind_has_golden_bytes() {
    let now: String = one_of_each()
        .iter()
        .map(|(kind, record)| format!("{kind} {}\n", data_encoding::HEXLOWER.encode(record.as_bytes())))
        .collect();
    assert_eq!(now, GOLDEN);
}

#[test]
fn golden_bytes_read_back() {
    for (line, (kind, record)) in GOLDEN.lines().zip(one_of_each()) {
        let (name, hex) = line.split_once(' ').expect("a name and bytes");
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
        assert_eq!(name, kind);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn a_network_is_named_by_its_genesis_record() {
    let record = Record::found(&secret(), Hlc::at(5), genesis()).expect("a record");
    assert_eq!(record.network().as_bytes(), record.id().as_bytes());
    let other = Record::found(&secret(), Hlc::at(5), Genesis { nonce: [4; 16], ..genesis() }).expect("a record");
    assert_ne!(record.network(), other.network());
}

#[test]
fn the_same_statement_has_the_same_id() {
    let (a, b) = (sign(Body::Leave), sign(Body::Leave));
    assert_eq!(a.id(), b.id());
}

#[test]
fn id_and_author_can_be_told_before_anything_is_checked() {
    for (what, record) in one_of_each() {
        assert_eq!(Record::id_in(record.as_bytes()), Some(record.id()), "{what}");
        assert_eq!(Record::author_in(record.as_bytes()), Some(record.author()), "{what}");
    }
    for bytes in [&[][..], &[1], &[2; 200], &[0; 200], &[1; MAX_DOCUMENT_RECORD_BYTES + 1]] {
        assert_eq!(Record::id_in(bytes), None);
    }
    assert_eq!(Record::author_in(&[1; 64]), None);
}

#[test]
fn a_record_of_another_network_is_refused() {
    let record = sign(Body::Leave);
    assert_eq!(Record::decode_for(network(), record.as_bytes()).as_ref(), Ok(&record));
    let elsewhere = NetworkId::from_bytes([8; 32]);
    assert_eq!(Record::decode_for(elsewhere, record.as_bytes()), Err(RecordError::OtherNetwork));
}

#[test]
fn every_altered_bit_is_noticed() {
    for (kind, record) in one_of_each() {
        // All of the shortest record; of the others, whose envelopes are alike, a sample.
        let step = if kind == "leave" { 1 } else { 17 };
        for at in (0..record.as_bytes().len()).step_by(step) {
            let mut bytes = record.as_bytes().to_vec();
            bytes[at] ^= 1 << (at % 8);
            assert!(Record::decode(&bytes).is_err(), "{kind} byte {at}");
        }
    }
}

#[test]
fn cut_and_extended_records_are_refused() {
    let record = sign(Body::Rename(Rename { name: NetworkName::parse("Home").expect("a name") }));
    for length in 0..record.as_bytes().len() {
        assert!(Record::decode(&record.as_bytes()[..length]).is_err());
    }
    let longer = [record.as_bytes(), &[0]].concat();
    assert!(Record::decode(&longer).is_err());
    assert_eq!(Record::decode(&vec![1; MAX_DOCUMENT_RECORD_BYTES + 1]), Err(RecordError::TooLarge));
}

/// Signs an envelope that [`Record::sign`] would not make.
fn forge(change: impl FnOnce(&mut Envelope)) -> Vec<u8> {
    let author = secret().public().into();
    let hlc = Hlc::at(1);
    let mut envelope =
        Envelope { version: VERSION, network: network(), author, seq: 1, hlc, kind: 7, payload: Vec::new() };
    change(&mut envelope);
    seal(encode(&envelope))
}

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let signature = secret().sign(&signed_message(&bytes));
    bytes.extend_from_slice(&signature.to_bytes());
    bytes
}

#[test]
fn a_well_signed_record_must_still_be_in_bounds() {
    assert!(Record::decode(&forge(|_| {})).is_ok());
    let refused: [(Vec<u8>, RecordError); 7] = [
        (forge(|e| e.version = 2), RecordError::NewerVersion(2)),
        (forge(|e| e.version = 0), RecordError::Malformed("its format does not exist")),
        (forge(|e| e.seq = 0), RecordError::OutOfBounds("its place in the network")),
        (forge(|e| e.network = NO_NETWORK), RecordError::OutOfBounds("its place in the network")),
        (forge(|e| e.kind = 0), RecordError::Malformed("kind 0 does not exist")),
        (forge(|e| e.payload = vec![0]), RecordError::Malformed("it is longer than it says")),
        (forge(|e| e.author = device(2)), RecordError::BadSignature),
    ];
    for (bytes, error) in refused {
        assert_eq!(Record::decode(&bytes), Err(error));
    }
    let genesis_with_network = forge(|e| {
        e.kind = 1;
        e.payload = encode(&genesis());
    });
    assert!(Record::decode(&genesis_with_network).is_err());
    let late_genesis = forge(|e| {
        (e.kind, e.network, e.seq) = (1, NO_NETWORK, 2);
        e.payload = encode(&genesis());
    });
    assert!(Record::decode(&late_genesis).is_err());
}

#[test]
fn bodies_out_of_bounds_can_neither_be_made_nor_read() {
    let key = InviteSecret::from_bytes([4; 16]).key();
    let grant = InviteGrant { key, role: Role::Member, uses: 1, expires_at: 1 };
    let info = |os: &str| Body::DeviceInfo(DeviceInfo { name: name("x"), os: os.into() });
    let (low, high) = (device(2).min(device(3)), device(2).max(device(3)));
    let policy = |kind, honours| Body::Policy(Policy { kind, honours });
    let bad = [
        Body::Invite(InviteGrant { uses: 0, ..grant.clone() }),
        Body::Invite(InviteGrant { uses: MAX_INVITE_USES + 1, ..grant.clone() }),
        Body::Invite(InviteGrant { expires_at: 0, ..grant }),
        info(&"x".repeat(MAX_OS_CHARS + 1)),
        info("li\u{202E}nux"),
        policy(NetworkKind::Closed, vec![(high, 1), (low, 1)]),
        policy(NetworkKind::Closed, vec![(low, 1), (low, 1)]),
        policy(NetworkKind::Open, vec![(low, 1)]),
        Body::Unknown { kind: 11, payload: vec![] },
        Body::Settings(NetworkSettings { lookup: Some("ftp://x".into()), ..NetworkSettings::default() }),
    ];
    for body in bad {
        let error = Record::sign(&secret(), network(), 1, Hlc::at(1), body.clone()).expect_err("out of bounds");
        assert!(matches!(error, RecordError::OutOfBounds(_)), "{error}");
        if !matches!(body, Body::Unknown { .. }) {
            let bytes = forge(|e| (e.kind, e.payload) = (body.kind(), body.encode()));
            assert_eq!(Record::decode(&bytes), Err(error));
        }
    }
    let large = Body::Unknown { kind: 99, payload: vec![0; MAX_RECORD_BYTES] };
    assert_eq!(Record::sign(&secret(), network(), 1, Hlc::at(1), large), Err(RecordError::TooLarge));
}

#[test]
fn a_second_encoding_of_the_same_statement_is_refused() {
    // The number 1 as a two-byte varint: postcard would read it.
    let bytes = encode(&(VERSION, network(), device(1)));
    let tail = encode(&(Hlc::at(1), 7u16, Vec::<u8>::new()));
    let canonical = seal([&bytes[..], &[1], &tail].concat());
    let padded = seal([&bytes[..], &[0x81, 0], &tail].concat());
    assert!(Record::decode(&canonical).is_ok());
    assert_eq!(Record::decode(&padded), Err(RecordError::Malformed("it is not in canonical form")));
}

#[test]
fn an_unclean_name_in_a_record_is_refused() {
    let bytes = forge(|e| (e.kind, e.payload) = (5, encode(&"Ho\u{202E}me")));
    assert!(matches!(Record::decode(&bytes), Err(RecordError::Malformed(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_record(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Record::decode(&bytes).is_err());
    }

    #[test]
    fn unknown_kinds_survive_storing_and_relaying(kind in 12u16.., payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let record = sign(Body::Unknown { kind, payload });
        let again = Record::decode(record.as_bytes()).expect("a record");
        prop_assert_eq!(again.as_bytes(), record.as_bytes());
        prop_assert_eq!(again, record);
    }
}
