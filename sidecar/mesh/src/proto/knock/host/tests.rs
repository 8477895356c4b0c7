//! Every transition of the host, on a simulated clock, and floods.

use iroh::SecretKey;

use super::*;
use crate::proto::{
    fold::fold,
    frame::FrameError,
    hlc::Hlc,
    ids::NetworkId,
    invite::InviteSecret,
    knock::message::{InviteClaim, InviteProblem},
    name::NetworkName,
    record::{Admit, Body, Genesis, InviteGrant, NetworkKind, Record, Role},
};

const INVITE: InviteSecret = InviteSecret::from_bytes([4; 16]);
const HOME: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 20)));

fn secret(n: u16) -> SecretKey {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_bytes(&seed)
}

fn id(n: u16) -> DeviceId {
    secret(n).public().into()
}

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).expect("a name")
}

/// Device 0 founded; device 1, named Attic, is a plain member; there is an invite for one device until time 500,000.
fn membership(kind: NetworkKind) -> Membership {
    let genesis = Genesis {
        name: NetworkName::parse("Home").expect("a name"),
        kind,
        founder_name: name("Cellar"),
        founder_os: "linux".into(),
        nonce: [1; 16],
    };
    let genesis = Record::found(&secret(0), Hlc::at(1), genesis).expect("a record");
    let network = genesis.network();
    let sign = |seq, body| Record::sign(&secret(0), network, seq, Hlc::at(seq), body).expect("a record");
    let via = Via::Knock;
    let admit = Admit { device: id(1), name: name("Attic"), os: "linux".into(), role: Role::Member, via };
    let grant = InviteGrant { key: INVITE.key(), role: Role::Member, uses: 1, expires_at: 500_000 };
    fold(network, &[genesis, sign(2, Body::Admit(admit)), sign(3, Body::Invite(grant))]).expect("a network")
}

/// A host and what it needs to be driven.
struct World {
    host: Host,
    membership: Membership,
    now: Millis,
}

impl World {
    fn new() -> Self {
        Self::with(0, NetworkKind::Open, HostLimits::default())
    }

    fn with(me: u16, kind: NetworkKind, limits: HostLimits) -> Self {
        let host = Host::new(HostSetup { me: id(me), name: name("Cellar"), limits });
        Self { host, membership: membership(kind), now: 1000 }
    }

    fn handle(&mut self, event: HostEvent) -> Vec<HostEffect> {
        self.host.handle(event, self.now, &self.membership)
    }

    fn connect(&mut self, conn: u64, device: u16, address: Option<IpAddr>) -> Vec<HostEffect> {
        let nonce = Nonce([9; 32]);
        self.handle(HostEvent::Connected { conn: ConnId(conn), device: id(device), address, nonce })
    }

    fn frame(&mut self, conn: u64, frame: GuestFrame) -> Vec<HostEffect> {
        self.handle(HostEvent::Frame { conn: ConnId(conn), frame })
    }

    fn hello(&self, device: u16) -> Hello {
        let network = self.membership.network;
        Hello {
            protocol: KNOCK_PROTOCOL,
            app_version: "0.1.0".into(),
            network,
            device_name: format!("device {device}"),
            os: "linux".into(),
            commitment: Commitment::to(network, id(device), &Nonce([7; 32])),
            invite: None,
            addresses: vec![],
        }
    }

    fn reveal(&mut self, conn: u64) -> Vec<HostEffect> {
        self.frame(conn, GuestFrame::Reveal { nonce: Nonce([7; 32]) })
    }

    /// All of a guest's part with this hello.
    fn knock_with(&mut self, conn: u64, device: u16, hello: Hello) -> Vec<HostEffect> {
        let mut effects = self.connect(conn, device, HOME);
        effects.extend(self.frame(conn, GuestFrame::Hello(hello)));
        effects.extend(self.reveal(conn));
        effects
    }

    fn knock(&mut self, conn: u64, device: u16) -> PendingKnock {
        let hello = self.hello(device);
        let effects = self.knock_with(conn, device, hello);
        match effects.into_iter().last() {
            Some(HostEffect::Arrived(knock)) => knock,
            other => panic!("no knock: {other:?}"),
        }
    }

    fn decide(&mut self, knock: &PendingKnock, decision: Decision) -> Result<Vec<HostEffect>, DecideError> {
        self.host.decide(knock.id, decision, &self.membership)
    }
}

fn approve(role: Role) -> Decision {
    Decision::Approve { role, code: None }
}

fn send(conn: u64, frame: HostFrame) -> HostEffect {
    HostEffect::Send { conn: ConnId(conn), frame }
}

fn close(conn: u64) -> HostEffect {
    HostEffect::Close { conn: ConnId(conn) }
}

fn denied(conn: u64, kind: DenyKind) -> Vec<HostEffect> {
    vec![send(conn, HostFrame::Denied { kind, reason: None }), close(conn)]
}

/// Device 0, the host of most worlds, decides.
fn ended(knock: &PendingKnock, reason: EndReason) -> HostEffect {
    let by = matches!(reason, EndReason::Admitted | EndReason::Denied).then(|| id(0));
    HostEffect::Ended { knock: knock.id, reason, by }
}

fn bundle() -> Bundle {
    Bundle { records: vec![vec![1]], peers: vec![] }
}

fn busy_for(effects: &[HostEffect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        HostEffect::Send { frame: HostFrame::Busy { retry_after_ms }, .. } => Some(*retry_after_ms),
        _ => None,
    })
}

#[test]
fn a_knock_is_challenged_then_shown() {
    let mut world = World::new();
    assert_eq!(world.connect(1, 5, HOME), []);
    assert_eq!(world.host.frame_limit(ConnId(1)), HELLO_LIMIT);
    let hello = world.hello(5);
    let challenge = HostFrame::Challenge { nonce: Nonce([9; 32]), device_name: "Cellar".into() };
    assert_eq!(world.frame(1, GuestFrame::Hello(hello)), [send(1, challenge)]);
    assert_eq!(world.host.frame_limit(ConnId(1)), GUEST_LIMIT);
    let effects = world.reveal(1);
    assert_eq!(effects[0], send(1, HostFrame::Waiting { expires_in_ms: 300_000, invite: None }));
    let [_, HostEffect::Arrived(knock)] = &effects[..] else { panic!("no knock: {effects:?}") };
    let transcript = Transcript {
        network: world.membership.network,
        host: id(0),
        guest: id(5),
        host_nonce: Nonce([9; 32]),
        guest_nonce: Nonce([7; 32]),
    };
    assert_eq!((knock.id, knock.code), (transcript.knock_id(), transcript.code()));
    assert_eq!((knock.at, knock.expires_at, knock.address), (1000, 301_000, HOME));
    assert_eq!(world.host.pending(), [knock]);
}

#[test]
fn names_are_cleaned_and_look_alikes_are_marked() {
    let mut world = World::new();
    let (name, os) = ("\u{202E}\u{410}ttic\n".to_owned(), "lin\u{0}ux".to_owned());
    let hello = Hello { device_name: name, os, ..world.hello(5) };
    world.knock_with(1, 5, hello);
    let pending = world.host.pending();
    assert_eq!((pending[0].name.as_str(), pending[0].os.as_str()), ("\u{410}ttic", "linux"));
    assert_eq!(pending[0].resembles, Some(self::name("Attic")));
}

#[test]
fn an_approved_guest_is_admitted_once_that_is_written() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    let effects = world.decide(&knock, approve(Role::Manager)).expect("decided");
    assert_eq!(
        effects,
        [HostEffect::Admit { knock: knock.clone(), role: Role::Manager, via: Via::Knock, signed: None }]
    );
    assert_eq!(world.decide(&knock, approve(Role::Member)), Err(DecideError::Deciding));
    assert_eq!(world.host.pending().len(), 0);
    world.now += 600_000;
    assert_eq!(world.handle(HostEvent::Tick), [], "it does not expire while it is written");
    let effects = world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert_eq!(effects, [send(1, HostFrame::Admitted(bundle())), close(1), ended(&knock, EndReason::Admitted)]);
    assert_eq!(world.decide(&knock, approve(Role::Member)), Err(DecideError::Gone));
    assert_eq!(world.host.deadline(), None);
}

#[test]
fn a_guest_that_goes_while_it_is_written_is_admitted_all_the_same() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.decide(&knock, approve(Role::Member)).expect("decided");
    assert_eq!(world.frame(1, GuestFrame::Withdraw), []);
    assert_eq!(world.handle(HostEvent::Closed { conn: ConnId(1) }), []);
    let effects = world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert!(effects.contains(&ended(&knock, EndReason::Admitted)));
}

#[test]
fn an_admission_that_cannot_be_written_is_told() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.decide(&knock, approve(Role::Member)).expect("decided");
    let effects = world.handle(HostEvent::AdmitFailed { conn: ConnId(1) });
    assert!(matches!(&effects[0], HostEffect::Send { frame: HostFrame::Denied { reason: Some(_), .. }, .. }));
    assert_eq!(effects[1..], [close(1), ended(&knock, EndReason::Failed)]);
}

#[test]
fn a_denial_carries_its_kind_and_its_cleaned_reason() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    let reason = Some(" not\u{202E} you ".to_owned());
    let effects = world.decide(&knock, Decision::Deny { kind: DenyKind::CodesDiffer, reason }).expect("decided");
    let frame = HostFrame::Denied { kind: DenyKind::CodesDiffer, reason: Some("not you".into()) };
    assert_eq!(effects, [send(1, frame), close(1), ended(&knock, EndReason::Denied)]);
}

#[test]
fn a_wrong_code_or_too_high_a_role_leaves_the_knock_waiting() {
    let mut world = World::with(1, NetworkKind::Open, HostLimits::default());
    let knock = world.knock(1, 5);
    let other = Transcript {
        network: world.membership.network,
        host: id(0),
        guest: id(0),
        host_nonce: Nonce([0; 32]),
        guest_nonce: Nonce([0; 32]),
    };
    let with_code = |code| Decision::Approve { role: Role::Member, code: Some(code) };
    assert_eq!(world.decide(&knock, with_code(other.code())), Err(DecideError::CodesDiffer));
    assert_eq!(world.decide(&knock, approve(Role::Manager)), Err(DecideError::MayNotGrant));
    assert_eq!(world.host.pending(), [&knock]);
    assert!(world.decide(&knock, with_code(knock.code)).is_ok());
}

#[test]
fn a_false_reveal_is_turned_down() {
    let mut world = World::new();
    world.connect(1, 5, HOME);
    let hello = world.hello(5);
    world.frame(1, GuestFrame::Hello(hello));
    let effects = world.frame(1, GuestFrame::Reveal { nonce: Nonce([8; 32]) });
    assert_eq!(effects, denied(1, DenyKind::Protocol));
    assert_eq!(world.reveal(1), [], "the connection is forgotten");
}

#[test]
fn a_replayed_hello_of_another_device_does_not_get_far() {
    let mut world = World::new();
    world.connect(1, 6, HOME);
    let hello = world.hello(5);
    world.frame(1, GuestFrame::Hello(hello));
    assert_eq!(world.reveal(1), denied(1, DenyKind::Protocol));
}

#[test]
fn what_the_host_cannot_answer_is_refused_with_its_kind() {
    let refuse = |world: &mut World, hello: Hello| {
        world.connect(1, 5, None);
        world.frame(1, GuestFrame::Hello(hello))
    };
    let mut world = World::new();
    let hello = world.hello(5);
    let bad = [
        (Hello { network: NetworkId::from_bytes([0; 32]), ..hello.clone() }, DenyKind::WrongNetwork),
        (Hello { protocol: 9, ..hello.clone() }, DenyKind::Version),
        (Hello { device_name: "\u{200B}".into(), ..hello.clone() }, DenyKind::Protocol),
        (Hello { device_name: "x".repeat(3000), ..hello.clone() }, DenyKind::Protocol),
        (Hello { addresses: vec![([10, 0, 0, 1], 1).into(); 17], ..hello.clone() }, DenyKind::Protocol),
    ];
    for (hello, kind) in bad {
        assert_eq!(refuse(&mut world, hello), denied(1, kind));
    }
    let mut member_of_closed = World::with(1, NetworkKind::Closed, HostLimits::default());
    let hello = member_of_closed.hello(5);
    assert_eq!(refuse(&mut member_of_closed, hello), denied(1, DenyKind::CannotAdmit));
}

#[test]
fn frames_out_of_turn_and_broken_ones_are_turned_down() {
    let mut world = World::new();
    world.connect(1, 5, HOME);
    assert_eq!(world.reveal(1), denied(1, DenyKind::Protocol));
    let knock = world.knock(2, 6);
    let mut expected = denied(2, DenyKind::Protocol);
    expected.push(ended(&knock, EndReason::Faulty));
    assert_eq!(world.reveal(2), expected);
    world.connect(3, 7, HOME);
    let broken = HostEvent::Broken { conn: ConnId(3), error: FrameError::Garbage };
    assert_eq!(world.handle(broken), denied(3, DenyKind::Protocol));
    assert_eq!(world.frame(99, GuestFrame::Withdraw), [], "an unknown connection");
}

#[test]
fn a_guest_can_withdraw_or_vanish() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    assert_eq!(world.frame(1, GuestFrame::Withdraw), [close(1), ended(&knock, EndReason::Withdrawn)]);
    let knock = world.knock(2, 6);
    assert_eq!(world.handle(HostEvent::Closed { conn: ConnId(2) }), [ended(&knock, EndReason::Withdrawn)]);
    assert_eq!(world.host.pending().len(), 0);
}

#[test]
fn knocks_expire_after_five_minutes_and_slow_guests_after_ten_seconds() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.connect(2, 6, HOME);
    assert_eq!(world.host.deadline(), Some(11_000));
    world.now = 11_000;
    assert_eq!(world.handle(HostEvent::Tick), [send(2, HostFrame::Expired), close(2)]);
    world.now = 300_999;
    assert_eq!(world.handle(HostEvent::Tick), []);
    world.now = 301_000;
    let expected = [send(1, HostFrame::Expired), close(1), ended(&knock, EndReason::Expired)];
    assert_eq!(world.handle(HostEvent::Tick), expected);
}

#[test]
fn a_newer_knock_replaces_an_older_of_the_same_device() {
    let mut world = World::new();
    let first = world.knock(1, 5);
    world.now += 1000;
    let hello = world.hello(5);
    let effects = world.knock_with(2, 5, hello);
    assert!(effects.contains(&ended(&first, EndReason::Replaced)) && effects.contains(&close(1)));
    assert_eq!(world.host.pending().len(), 1);
    assert_eq!(world.host.pending()[0].conn, ConnId(2));
    world.connect(3, 6, HOME);
    assert_eq!(world.connect(4, 6, HOME), [close(3)], "half-open ones too");
}

#[test]
fn three_attempts_then_a_cooling_off() {
    let mut world = World::new();
    for conn in 1..=3 {
        let knock = world.knock(conn, 5);
        world.decide(&knock, Decision::Deny { kind: DenyKind::Denied, reason: None }).expect("decided");
        world.now += 5000;
    }
    assert_eq!(busy_for(&world.connect(4, 5, HOME)), Some(595_000));
    world.now += 595_000;
    world.knock(5, 5);
    assert_eq!(busy_for(&world.connect(6, 5, HOME)), Some(1_200_000), "the next one is twice as long");
}

#[test]
fn a_quick_second_attempt_has_to_wait_a_second() {
    let mut world = World::new();
    world.knock(1, 5);
    assert_eq!(busy_for(&world.connect(2, 5, HOME)), Some(1000));
}

#[test]
fn an_admission_clears_the_count() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.decide(&knock, approve(Role::Member)).expect("decided");
    world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert_eq!(busy_for(&world.connect(2, 5, HOME)), None);
}

#[test]
fn one_address_is_slowed_down_too_and_an_ipv6_site_is_one_address() {
    let mut world = World::new();
    let limits = HostLimits::default();
    for n in 0..limits.per_address.attempts {
        let address = format!("2001:db8::{n:x}").parse().ok();
        assert_eq!(busy_for(&world.connect(u64::from(n), 100 + u16::try_from(n).expect("small"), address)), None);
    }
    let same_site = "2001:db8::ffff".parse().ok();
    assert_eq!(busy_for(&world.connect(900, 900, same_site)), Some(10_000));
    let other_site = "2001:db8:0:1::1".parse().ok();
    assert_eq!(busy_for(&world.connect(901, 901, other_site)), None);
    let mapped = "::ffff:192.168.1.20".parse::<IpAddr>().expect("an address");
    assert_eq!(whole_site(mapped), HOME.expect("an address"));
}

#[test]
fn a_flood_from_a_thousand_keys_stays_bounded() {
    let mut world = World::new();
    let limits = HostLimits::default();
    let mut shown = 0;
    for n in 0..1000u16 {
        let address = Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(n))));
        let conn = u64::from(n);
        world.connect(conn, 1000 + n, address);
        let hello = world.hello(1000 + n);
        world.frame(conn, GuestFrame::Hello(hello));
        let effects = if n % 2 == 0 { world.reveal(conn) } else { vec![] };
        shown += effects.iter().filter(|effect| matches!(effect, HostEffect::Arrived(_))).count();
        assert!(world.host.pending().len() <= limits.pending);
        assert!(world.host.conns.len() <= limits.pending + limits.handshaking);
    }
    assert_eq!(shown, limits.pending, "the screen shows no more");
    assert!(world.host.devices.len() <= LIMITER_CAPACITY && world.host.addresses.len() <= LIMITER_CAPACITY);
    world.now += limits.decide_ms;
    world.handle(HostEvent::Tick);
    assert!(world.host.conns.is_empty());
    world.knock(5000, 5);
}

#[test]
fn half_open_knocks_do_not_get_in_past_the_limit() {
    let mut world = World::new();
    let limits = HostLimits::default();
    let conns = 0..u16::try_from(limits.handshaking).expect("small");
    for n in conns.clone() {
        let address = Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(n))));
        world.connect(u64::from(n), 1000 + n, address);
        let hello = world.hello(1000 + n);
        assert_eq!(world.frame(u64::from(n), GuestFrame::Hello(hello)).len(), 1, "all are challenged");
    }
    let one_more = world.connect(900, 900, HOME);
    assert_eq!(busy_for(&one_more), Some(NO_ROOM_RETRY_MS));
    let sent_away = conns.filter(|n| busy_for(&world.reveal(u64::from(*n))).is_some()).count();
    assert_eq!((world.host.pending().len(), sent_away), (limits.pending, limits.handshaking - limits.pending));
}

#[test]
fn one_address_cannot_fill_the_queue() {
    let rule = HostLimits::default().per_address;
    let limits = HostLimits {
        per_address: crate::proto::limits::BackoffRule { attempts: 1000, ..rule },
        ..HostLimits::default()
    };
    let mut world = World::with(0, NetworkKind::Open, limits);
    for n in 0..100 {
        let hello = world.hello(100 + n);
        world.knock_with(u64::from(n), 100 + n, hello);
    }
    assert_eq!(world.host.pending().len(), limits.pending_per_address);
    world.connect(500, 5, Some(Ipv4Addr::new(10, 0, 0, 9).into()));
    let hello = world.hello(5);
    world.frame(500, GuestFrame::Hello(hello));
    assert!(matches!(world.reveal(500).last(), Some(HostEffect::Arrived(_))));
}

fn claim(world: &World, device: u16, proven_for: u16) -> Hello {
    let proof = INVITE.prove(world.membership.network, id(proven_for));
    Hello { invite: Some(InviteClaim { id: INVITE.id(), proof: Some(proof) }), ..world.hello(device) }
}

#[test]
fn a_pre_approved_invite_admits_without_a_person() {
    let mut world = World::with(1, NetworkKind::Open, HostLimits::default());
    let hello = claim(&world, 5, 5);
    let effects = world.knock_with(1, 5, hello);
    let Some(HostEffect::Admit { knock, role: Role::Member, via: Via::Invite { id, .. }, .. }) = effects.last() else {
        panic!("not admitted: {effects:?}")
    };
    assert_eq!(*id, INVITE.id());
    assert!(!effects.iter().any(|effect| matches!(effect, HostEffect::Arrived(_))));
    let knock = knock.clone();
    let effects = world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert!(effects.contains(&HostEffect::Ended { knock: knock.id, reason: EndReason::Admitted, by: None }));
}

#[test]
fn an_invite_that_does_not_hold_becomes_a_knock_and_says_why() {
    let mut world = World::new();
    let hello = claim(&world, 5, 6);
    let effects = world.knock_with(1, 5, hello);
    let problem = Some(InviteProblem::BadProof);
    assert!(effects.contains(&send(1, HostFrame::Waiting { expires_in_ms: 300_000, invite: problem })));
    assert_eq!(world.host.pending()[0].invite, problem);
    world.now = 500_000;
    let hello = claim(&world, 7, 7);
    world.knock_with(2, 7, hello);
    assert_eq!(world.host.pending()[1].invite, Some(InviteProblem::Expired));
    let plain = Hello { invite: Some(InviteClaim { id: INVITE.id(), proof: None }), ..world.hello(8) };
    world.knock_with(3, 8, plain);
    assert_eq!(world.host.pending()[2].invite, None);
}

#[test]
fn a_member_that_lost_its_records_gets_them_again() {
    let mut world = World::new();
    world.connect(1, 1, HOME);
    let hello = world.hello(1);
    let effects = world.frame(1, GuestFrame::Hello(hello));
    assert_eq!(effects, [HostEffect::Resend { conn: ConnId(1), device: id(1) }]);
    let effects = world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert_eq!(effects, [send(1, HostFrame::Admitted(bundle())), close(1)]);
}

#[test]
fn leaving_the_network_ends_every_knock() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.connect(2, 6, HOME);
    let effects = world.host.stop();
    assert!(effects.contains(&ended(&knock, EndReason::Stopped)));
    assert!(effects.contains(&close(1)) && effects.contains(&close(2)));
    assert_eq!(world.host.deadline(), None);
}

#[test]
fn a_new_name_is_told_to_the_next_guest() {
    let mut world = World::new();
    world.host.rename(name("Loft"));
    world.connect(1, 5, HOME);
    let hello = world.hello(5);
    let effects = world.frame(1, GuestFrame::Hello(hello));
    let expected = HostFrame::Challenge { nonce: Nonce([9; 32]), device_name: "Loft".into() };
    assert_eq!(effects, [send(1, expected)]);
}

/// The admit record by which `by` approves `knock`.
fn signed(world: &World, by: u16, knock: &PendingKnock, role: Role) -> Record {
    let (device, name, os) = (knock.device, knock.name.clone(), knock.os.clone());
    let admit = Admit { device, name, os, role, via: Via::Knock };
    Record::sign(&secret(by), world.membership.network, 9, Hlc::at(9), Body::Admit(admit)).expect("a record")
}

fn approval_of(knock: &PendingKnock, record: &Record) -> Decide {
    Decide::Approve { id: knock.id, record: record.as_bytes().to_vec() }
}

#[test]
fn another_member_approves_by_a_record_of_its_own_and_the_first_decision_wins() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    let record = signed(&world, 1, &knock, Role::Member);
    let effects = world.host.decide_for(id(1), approval_of(&knock, &record), &world.membership).expect("decided");
    let (role, via) = (Role::Member, Via::Knock);
    assert_eq!(effects, [HostEffect::Admit { knock: knock.clone(), role, via, signed: Some(Box::new(record)) }]);
    assert_eq!(world.host.shown(), [&knock], "it stays on the screens until that is written");
    let second = Err(DecideError::Decided { by: id(1), approved: true });
    assert_eq!(world.decide(&knock, approve(Role::Member)), second);
    let effects = world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert!(effects.contains(&HostEffect::Ended { knock: knock.id, reason: EndReason::Admitted, by: Some(id(1)) }));
    assert_eq!(world.decide(&knock, Decision::Deny { kind: DenyKind::Denied, reason: None }), second);
    let board = world.host.board(3, world.now);
    assert!(board.waiting.is_empty());
    assert_eq!(board.ended, [BoardEnd { id: knock.id, outcome: Outcome::Approved, by: Some(id(1)) }]);
}

#[test]
fn a_member_that_comes_too_late_hears_who_was_first() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.decide(&knock, Decision::Deny { kind: DenyKind::Denied, reason: None }).expect("decided");
    let record = signed(&world, 1, &knock, Role::Member);
    let late = world.host.decide_for(id(1), approval_of(&knock, &record), &world.membership);
    assert_eq!(late, Err(DecideError::Decided { by: id(0), approved: false }));
    assert_eq!(world.decide(&knock, approve(Role::Member)), Err(DecideError::Gone), "one's own decision is no news");
}

#[test]
fn a_record_that_is_not_the_deciding_member_s_approval_is_refused() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    let other = PendingKnock { device: id(6), ..knock.clone() };
    let renamed = PendingKnock { name: name("Another"), ..knock.clone() };
    let of = |by, knock: &PendingKnock, role| signed(&world, by, knock, role);
    let invited = Admit {
        device: knock.device,
        name: knock.name.clone(),
        os: knock.os.clone(),
        role: Role::Member,
        via: Via::Invite { id: INVITE.id(), proof: INVITE.prove(world.membership.network, knock.device) },
    };
    let invited = Record::sign(&secret(1), world.membership.network, 9, Hlc::at(9), Body::Admit(invited));
    let network = NetworkId::from_bytes([8; 32]);
    let leave = Record::sign(&secret(1), world.membership.network, 9, Hlc::at(9), Body::Leave).expect("a record");
    let elsewhere = Record::sign(&secret(1), network, 9, Hlc::at(9), Body::Leave).expect("a record");
    let bad = [
        of(0, &knock, Role::Member),
        of(1, &other, Role::Member),
        of(1, &renamed, Role::Member),
        of(1, &knock, Role::Manager),
        invited.expect("a record"),
        leave,
        elsewhere,
    ];
    for record in bad {
        let refused = world.host.decide_for(id(1), approval_of(&knock, &record), &world.membership);
        assert_eq!(refused, Err(DecideError::MayNotGrant), "{record:?}");
    }
    let garbage = Decide::Approve { id: knock.id, record: vec![1, 2, 3] };
    assert_eq!(world.host.decide_for(id(1), garbage, &world.membership), Err(DecideError::MayNotGrant));
    let of_a_stranger = signed(&world, 7, &knock, Role::Member);
    let refused = world.host.decide_for(id(7), approval_of(&knock, &of_a_stranger), &world.membership);
    assert_eq!(refused, Err(DecideError::MayNotGrant));
    let denial = Decide::Deny { id: knock.id, kind: DenyKind::Denied, reason: None };
    assert_eq!(world.host.decide_for(id(7), denial, &world.membership), Err(DecideError::MayNotGrant));
    assert_eq!(world.host.pending(), [&knock], "it still waits");
}

#[test]
fn an_approval_of_another_member_that_does_not_hold_leaves_the_knock_waiting() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    let record = signed(&world, 1, &knock, Role::Member);
    world.host.decide_for(id(1), approval_of(&knock, &record), &world.membership).expect("decided");
    assert_eq!(world.handle(HostEvent::AdmitFailed { conn: ConnId(1) }), []);
    assert_eq!(world.host.pending(), [&knock]);
    // Unless the guest went away meanwhile.
    world.host.decide_for(id(1), approval_of(&knock, &record), &world.membership).expect("decided");
    world.handle(HostEvent::Closed { conn: ConnId(1) });
    let effects = world.handle(HostEvent::AdmitFailed { conn: ConnId(1) });
    assert!(effects.contains(&ended(&knock, EndReason::Withdrawn)));
}

#[test]
fn a_host_that_may_not_admit_takes_knocks_while_somebody_else_can_answer() {
    let mut world = World::with(1, NetworkKind::Closed, HostLimits::default());
    world.host.passes_on(true);
    let knock = world.knock(1, 5);
    assert_eq!(world.decide(&knock, approve(Role::Member)), Err(DecideError::MayNotGrant));
    let denial = Decision::Deny { kind: DenyKind::Denied, reason: None };
    assert_eq!(world.decide(&knock, denial), Err(DecideError::MayNotGrant));
    let record = signed(&world, 0, &knock, Role::Manager);
    world.host.decide_for(id(0), approval_of(&knock, &record), &world.membership).expect("an owner decides");
}

#[test]
fn the_board_tells_what_waits_and_for_how_long() {
    let mut world = World::new();
    let knock = world.knock(1, 5);
    world.now += 60_000;
    let board = world.host.board(7, world.now);
    let told = BoardKnock {
        device: id(5),
        device_name: "device 5".into(),
        os: "linux".into(),
        host_nonce: Nonce([9; 32]),
        guest_nonce: Nonce([7; 32]),
        expires_in_ms: 240_000,
    };
    assert_eq!(board, Board { seq: 7, waiting: vec![told], ended: vec![] });
    // Ended ones are remembered for a while, in bounded memory.
    world.decide(&knock, Decision::Deny { kind: DenyKind::Denied, reason: None }).expect("decided");
    for n in 0..100u16 {
        world.now += 200_000;
        let knock = world.knock(100 + u64::from(n), 100 + n);
        world.decide(&knock, Decision::Deny { kind: DenyKind::Denied, reason: None }).expect("decided");
    }
    assert_eq!(world.host.board(8, world.now).ended.len(), MAX_ENDED);
    assert!(world.host.over.len() <= MAX_OVER);
    assert_eq!(
        world.host.decide_for(
            id(1),
            Decide::Deny { id: knock.id, kind: DenyKind::Denied, reason: None },
            &world.membership
        ),
        Err(DecideError::Gone)
    );
}

#[test]
fn who_was_removed_may_know_by_which_record_and_nobody_else() {
    let mut world = World::new();
    let network = world.membership.network;
    let why = |network| GuestFrame::Why { network };
    // A stranger, a member and one that left get no answer.
    for device in [5, 1] {
        world.connect(1, device, HOME);
        assert_eq!(world.frame(1, why(network)), [close(1)]);
    }
    let former = |by| crate::proto::fold::Former { name: name("Phone"), ended_at: Hlc::at(50), by };
    world.membership.former.insert(id(6), former(id(6)));
    world.connect(1, 6, HOME);
    assert_eq!(world.frame(1, why(network)), [close(1)]);

    world.membership.former.insert(id(7), former(id(0)));
    world.connect(1, 7, HOME);
    assert_eq!(world.frame(1, why(NetworkId::from_bytes([0; 32]))), denied(1, DenyKind::WrongNetwork));
    world.connect(1, 7, HOME);
    assert_eq!(world.frame(1, why(network)), [HostEffect::TellRemoval { conn: ConnId(1), device: id(7) }]);
    let effects = world.handle(HostEvent::Bundle { conn: ConnId(1), bundle: bundle() });
    assert_eq!(effects, [send(1, HostFrame::Removed { records: bundle().records }), close(1)]);
    // It is no way around the order of a knock.
    let knock = world.knock(2, 8);
    assert_eq!(world.frame(2, why(network))[..2], denied(2, DenyKind::Protocol)[..]);
    assert_eq!(world.decide(&knock, approve(Role::Member)), Err(DecideError::Gone));
}
