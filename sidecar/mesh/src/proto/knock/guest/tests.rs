//! Every transition of the guest, on a simulated clock.

use iroh::SecretKey;

use super::*;
use crate::proto::{
    hlc::Hlc,
    name::NetworkName,
    record::{Admit, Body, Genesis, NetworkKind, Role, Via},
};

fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> DeviceId {
    secret(n).public().into()
}

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).expect("a name")
}

/// A network that device 1 founded.
fn genesis() -> Record {
    let name = NetworkName::parse("Home").expect("a name");
    let genesis = Genesis {
        name,
        kind: NetworkKind::Open,
        founder_name: self::name("Cellar"),
        founder_os: "linux".into(),
        nonce: [1; 16],
    };
    Record::found(&secret(1), Hlc::at(1), genesis).expect("a record")
}

fn admits(device: u8) -> Record {
    let admit =
        Admit { device: id(device), name: name("Attic"), os: "linux".into(), role: Role::Member, via: Via::Knock };
    Record::sign(&secret(1), genesis().network(), 2, Hlc::at(2), Body::Admit(admit)).expect("a record")
}

fn setup() -> GuestSetup {
    GuestSetup {
        me: id(2),
        name: name("Attic"),
        os: "linux".into(),
        app_version: "0.1.0".into(),
        addresses: vec![],
        host: id(1),
        network: genesis().network(),
        invite: None,
        secret: None,
        nonce: Nonce([2; 32]),
    }
}

fn challenge() -> GuestEvent {
    GuestEvent::Frame(HostFrame::Challenge { nonce: Nonce([1; 32]), device_name: "Cel\u{202E}lar".into() })
}

fn waiting() -> GuestEvent {
    GuestEvent::Frame(HostFrame::Waiting { expires_in_ms: 300_000, invite: None })
}

/// A guest that waits since time 0.
fn knocking() -> Guest {
    let (mut guest, _) = Guest::start(setup(), 0);
    guest.handle(challenge(), 0);
    guest.handle(waiting(), 0);
    guest
}

fn bundle(records: &[&Record]) -> GuestEvent {
    let records = records.iter().map(|record| record.as_bytes().to_vec()).collect();
    GuestEvent::Frame(HostFrame::Admitted(Bundle { records, peers: vec![] }))
}

fn outcome(effects: Vec<GuestEffect>) -> GuestOutcome {
    match effects.into_iter().last() {
        Some(GuestEffect::Done(outcome)) => outcome,
        other => panic!("not over: {other:?}"),
    }
}

#[test]
fn a_hello_commits_without_revealing() {
    let (guest, frame) = Guest::start(setup(), 100);
    let GuestFrame::Hello(hello) = frame else { panic!("not a hello") };
    assert_eq!(hello.commitment, Commitment::to(setup().network, id(2), &Nonce([2; 32])));
    assert_eq!((hello.device_name.as_str(), hello.invite), ("Attic", None));
    assert_eq!(guest.deadline(), Some(100 + STEP_MS));
}

#[test]
fn a_pre_approved_guest_proves_its_invite() {
    let secret = InviteSecret::from_bytes([4; 16]);
    let (_, frame) = Guest::start(GuestSetup { invite: Some(secret.id()), secret: Some(secret), ..setup() }, 0);
    let GuestFrame::Hello(Hello { invite: Some(claim), .. }) = frame else { panic!("no claim") };
    assert!(secret.key().verify(setup().network, id(2), &claim.proof.expect("a proof")));
    let (_, frame) = Guest::start(GuestSetup { invite: Some(secret.id()), ..setup() }, 0);
    let GuestFrame::Hello(Hello { invite: Some(claim), .. }) = frame else { panic!("no claim") };
    assert_eq!(claim.proof, None);
}

#[test]
fn it_reveals_after_the_challenge_and_shows_the_code_once_it_waits() {
    let (mut guest, _) = Guest::start(setup(), 0);
    let effects = guest.handle(challenge(), 50);
    assert_eq!(effects[0], GuestEffect::Connected { device_name: Some(name("Cellar")) }, "the name is cleaned");
    assert_eq!(effects[1], GuestEffect::Send(GuestFrame::Reveal { nonce: Nonce([2; 32]) }));
    let transcript = Transcript {
        network: setup().network,
        host: id(1),
        guest: id(2),
        host_nonce: Nonce([1; 32]),
        guest_nonce: Nonce([2; 32]),
    };
    let (knock, code) = (transcript.knock_id(), transcript.code());
    let expected = GuestEffect::Knocking { knock, code, expires_at: 300_060, invite: None };
    assert_eq!(guest.handle(waiting(), 60), [expected]);
}

#[test]
fn admitted_means_that_the_records_say_so() {
    let admission = match outcome(knocking().handle(bundle(&[&genesis(), &admits(2)]), 10)) {
        GuestOutcome::Admitted(admission) => admission,
        other => panic!("not admitted: {other:?}"),
    };
    assert_eq!(admission.records.len(), 2);
    assert!(admission.membership.is_member(id(2)));
    for records in [vec![], vec![genesis()], vec![admits(2)], vec![genesis(), admits(3)]] {
        let records: Vec<&Record> = records.iter().collect();
        assert_eq!(outcome(knocking().handle(bundle(&records), 10)), GuestOutcome::Faulty(HostFault::NotAdmitted));
    }
}

#[test]
fn a_bundle_with_a_forged_or_foreign_record_is_refused() {
    let mut forged = admits(2).as_bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let records = vec![genesis().as_bytes().to_vec(), forged];
    let event = GuestEvent::Frame(HostFrame::Admitted(Bundle { records, peers: vec![] }));
    let fault = HostFault::Record(RecordError::BadSignature);
    assert_eq!(outcome(knocking().handle(event, 10)), GuestOutcome::Faulty(fault));
    let foreign = Record::sign(&secret(1), NetworkId::from_bytes([8; 32]), 1, Hlc::at(1), Body::Leave);
    let foreign = foreign.expect("a record");
    let fault = HostFault::Record(RecordError::OtherNetwork);
    let effects = knocking().handle(bundle(&[&genesis(), &admits(2), &foreign]), 10);
    assert_eq!(outcome(effects), GuestOutcome::Faulty(fault));
}

#[test]
fn only_addresses_of_other_members_are_kept() {
    let peer = |n| PeerAddress { device: id(n), addresses: vec![([10, 0, 0, 1], 1).into(); 20], relay: None };
    let records = [genesis(), admits(2)].iter().map(|record| record.as_bytes().to_vec()).collect();
    let event = GuestEvent::Frame(HostFrame::Admitted(Bundle { records, peers: vec![peer(1), peer(2), peer(3)] }));
    let GuestOutcome::Admitted(admission) = outcome(knocking().handle(event, 10)) else { panic!("not admitted") };
    assert_eq!(admission.peers.len(), 1);
    assert_eq!((admission.peers[0].device, admission.peers[0].addresses.len()), (id(1), MAX_ADDRESSES));
}

#[test]
fn a_member_that_lost_its_records_gets_them_at_once() {
    let (mut guest, _) = Guest::start(setup(), 0);
    let effects = guest.handle(bundle(&[&genesis(), &admits(2)]), 10);
    assert!(matches!(outcome(effects), GuestOutcome::Admitted(_)));
}

#[test]
fn every_last_word_of_the_host_ends_it() {
    let denied =
        |reason: Option<&str>| HostFrame::Denied { kind: DenyKind::CodesDiffer, reason: reason.map(str::to_owned) };
    let kind = DenyKind::CodesDiffer;
    let cases = [
        (denied(None), GuestOutcome::Denied { kind, reason: None }),
        (denied(Some("no\u{202E}\nway")), GuestOutcome::Denied { kind, reason: Some("no way".into()) }),
        (denied(Some("\u{200B}")), GuestOutcome::Denied { kind, reason: None }),
        (HostFrame::Expired, GuestOutcome::Expired),
        (HostFrame::Busy { retry_after_ms: 5 }, GuestOutcome::Busy { retry_after_ms: 5 }),
    ];
    for (frame, expected) in cases {
        let mut guest = knocking();
        assert_eq!(guest.handle(GuestEvent::Frame(frame), 10), [GuestEffect::Done(expected)]);
        assert_eq!(guest.deadline(), None);
        assert_eq!(guest.handle(waiting(), 11), [], "nothing happens afterwards");
    }
}

#[test]
fn a_frame_out_of_turn_ends_it() {
    let fault = || GuestOutcome::Faulty(HostFault::OutOfTurn);
    let (mut guest, _) = Guest::start(setup(), 0);
    assert_eq!(outcome(guest.handle(waiting(), 1)), fault());
    let (mut guest, _) = Guest::start(setup(), 0);
    guest.handle(challenge(), 1);
    assert_eq!(outcome(guest.handle(challenge(), 2)), fault());
    assert_eq!(outcome(knocking().handle(waiting(), 1)), fault());
}

#[test]
fn broken_bytes_and_a_lost_connection_end_it() {
    let broken = GuestEvent::Broken(FrameError::Garbage);
    let fault = HostFault::Frame(FrameError::Garbage);
    assert_eq!(outcome(knocking().handle(broken, 1)), GuestOutcome::Faulty(fault));
    assert_eq!(outcome(knocking().handle(GuestEvent::Closed, 1)), GuestOutcome::Lost);
}

#[test]
fn the_person_can_give_up() {
    let effects = knocking().handle(GuestEvent::Withdraw, 1);
    let expected = [GuestEffect::Send(GuestFrame::Withdraw), GuestEffect::Done(GuestOutcome::Withdrawn)];
    assert_eq!(effects, expected);
}

#[test]
fn it_waits_as_long_as_it_was_told_and_a_little_more() {
    let mut guest = knocking();
    let deadline = guest.deadline().expect("a deadline");
    assert_eq!(deadline, 300_000 + GRACE_MS);
    assert_eq!(guest.handle(GuestEvent::Tick, deadline - 1), []);
    assert_eq!(outcome(guest.handle(GuestEvent::Tick, deadline)), GuestOutcome::Expired);
    let (mut guest, _) = Guest::start(setup(), 0);
    assert_eq!(outcome(guest.handle(GuestEvent::Tick, STEP_MS)), GuestOutcome::Lost);
    // A host cannot keep it for ever.
    let (mut guest, _) = Guest::start(setup(), 0);
    guest.handle(challenge(), 0);
    guest.handle(GuestEvent::Frame(HostFrame::Waiting { expires_in_ms: u64::MAX, invite: None }), 0);
    assert!(guest.deadline() < Some(20 * 60_000));
}
