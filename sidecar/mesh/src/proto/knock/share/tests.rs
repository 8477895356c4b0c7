//! What a member makes of the boards of others, honest and not; and the bytes of what is said.

use iroh::SecretKey;

use super::*;
use crate::proto::{
    fold::fold,
    hlc::Hlc,
    name::NetworkName,
    record::{Admit, Genesis, NetworkKind},
};

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

/// Device 0, Cellar, founded; 1, Attic, and 2, Desk, are plain members.
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
    let admit = |seq, n, called| {
        let (role, via) = (Role::Member, Via::Knock);
        let admit = Admit { device: id(n), name: name(called), os: "linux".into(), role, via };
        Record::sign(&secret(0), network, seq, Hlc::at(seq), Body::Admit(admit)).expect("a record")
    };
    let (attic, desk) = (admit(2, 1, "Attic"), admit(3, 2, "Desk"));
    fold(network, &[genesis, attic, desk]).expect("a network")
}

fn told(device: u16) -> BoardKnock {
    BoardKnock {
        device: id(device),
        device_name: format!("Phone {device}"),
        os: "linux".into(),
        host_nonce: Nonce([1; 32]),
        guest_nonce: Nonce([2; 32]),
        expires_in_ms: 300_000,
    }
}

fn board(seq: u64, devices: &[u16]) -> Board {
    Board { seq, waiting: devices.iter().map(|device| told(*device)).collect(), ended: vec![] }
}

/// Device 0 looks at the boards of others.
struct World {
    passed: PassedOn,
    membership: Membership,
    here: BTreeSet<DeviceId>,
    now: Millis,
}

impl World {
    fn new() -> Self {
        let passed = PassedOn::new(id(0), PassedLimits::default());
        Self { passed, membership: membership(NetworkKind::Open), here: BTreeSet::new(), now: 1000 }
    }

    fn board(&mut self, host: u16, board: Board) -> Vec<PassedEffect> {
        self.passed.board(id(host), board, &self.here, self.now, &self.membership).expect("a board")
    }

    fn shown(&self) -> Vec<DeviceId> {
        self.passed.knocks().iter().map(|knock| knock.device).collect()
    }
}

fn arrived(effects: &[PassedEffect]) -> Vec<&PassedKnock> {
    let mut knocks = Vec::new();
    for effect in effects {
        if let PassedEffect::Arrived(knock) = effect {
            knocks.push(knock);
        }
    }
    knocks
}

#[test]
fn a_knock_elsewhere_is_shown_with_the_code_of_its_host() {
    let mut world = World::new();
    let effects = world.board(1, board(1, &[5]));
    let transcript = Transcript {
        network: world.membership.network,
        host: id(1),
        guest: id(5),
        host_nonce: Nonce([1; 32]),
        guest_nonce: Nonce([2; 32]),
    };
    let [knock] = arrived(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((knock.id, knock.code, knock.host), (transcript.knock_id(), transcript.code(), id(1)));
    assert_eq!((knock.name.as_str(), knock.expires_at), ("Phone 5", 301_000));
    assert_eq!(world.passed.get(knock.id), Some(knock));
    assert_eq!(world.board(1, board(1, &[])), [], "the same board again says nothing new");
    assert_eq!(world.board(1, board(2, &[5])), []);
}

#[test]
fn it_ends_with_who_decided() {
    let mut world = World::new();
    world.board(1, board(1, &[5, 6, 7]));
    let knocks: Vec<PassedKnock> = world.passed.knocks().into_iter().cloned().collect();
    let find = |device| knocks.iter().find(|knock| knock.device == id(device)).expect("shown").clone();
    let (five, six, seven) = (find(5), find(6), find(7));
    let end = |knock: &PassedKnock, outcome, by| BoardEnd { id: knock.id, outcome, by };
    let ended = vec![end(&five, Outcome::Approved, Some(id(2))), end(&six, Outcome::Denied, Some(id(66)))];
    let effects = world.board(1, Board { seq: 2, waiting: vec![], ended });
    let expected = |knock, outcome, by| PassedEffect::Ended { knock, outcome, by };
    assert_eq!(effects.len(), 3);
    assert!(effects.contains(&expected(five, Outcome::Approved, Some(id(2)))));
    assert!(effects.contains(&expected(six, Outcome::Denied, None)), "a stranger decides nothing");
    assert!(effects.contains(&expected(seven, Outcome::Withdrawn, None)));
    assert_eq!(world.shown(), []);
    assert_eq!(world.passed.ended(knocks[0].id).map(|end| end.id), Some(knocks[0].id), "and that is remembered");
}

#[test]
fn a_host_that_goes_away_takes_its_knocks_along() {
    let mut world = World::new();
    world.board(1, board(1, &[5]));
    world.board(2, board(1, &[6]));
    assert_eq!(world.passed.links(&BTreeSet::from([id(2)])), [], "the link may be seen after the board");
    assert_eq!(world.passed.links(&BTreeSet::from([id(1), id(2)])), []);
    let effects = world.passed.links(&BTreeSet::from([id(2)]));
    assert!(matches!(&effects[..], [PassedEffect::Ended { outcome: Outcome::Withdrawn, by: None, .. }]));
    assert_eq!(world.shown(), [id(6)]);
    // Back again, with a clock that was set back meanwhile.
    assert_eq!(arrived(&world.board(1, board(1, &[5]))).len(), 1);
    assert_eq!(world.passed.stop().len(), 2);
}

#[test]
fn it_expires_here_as_well() {
    let mut world = World::new();
    let long = BoardKnock { expires_in_ms: u64::MAX, ..told(5) };
    world.board(1, Board { seq: 1, waiting: vec![long], ended: vec![] });
    assert_eq!(world.passed.deadline(), Some(301_000), "no host makes it wait for ever");
    assert_eq!(world.passed.tick(300_999), []);
    let effects = world.passed.tick(301_000);
    assert!(matches!(&effects[..], [PassedEffect::Ended { outcome: Outcome::Expired, .. }]));
    assert_eq!(world.passed.deadline(), None);
}

#[test]
fn what_cannot_be_shown_is_not() {
    let mut world = World::new();
    let hidden = BoardKnock { device_name: "\u{202E}\u{200B}".into(), ..told(5) };
    let looks_alike = BoardKnock { device_name: "\u{410}ttic\n".into(), os: "lin\u{0}ux".into(), ..told(6) };
    let waiting = vec![hidden, looks_alike, told(0), told(1), told(2)];
    let effects = world.board(1, Board { seq: 1, waiting, ended: vec![] });
    let [knock] = arrived(&effects)[..] else { panic!("neither nameless ones nor members: {effects:?}") };
    assert_eq!((knock.name.as_str(), knock.os.as_str()), ("\u{410}ttic", "linux"));
    assert_eq!(knock.resembles, Some(name("Attic")));
    let endless: Vec<u16> = (100..=100 + u16::try_from(MAX_ON_BOARD).expect("small")).collect();
    let refused = world.passed.board(id(2), board(1, &endless), &world.here, world.now, &world.membership);
    assert_eq!(refused, Err(BoardError::TooLong));
}

#[test]
fn who_may_not_admit_is_shown_nothing() {
    let mut world = World::new();
    world.passed = PassedOn::new(id(1), PassedLimits::default());
    assert_eq!(arrived(&world.board(2, board(1, &[5]))).len(), 1);
    let stranger = world.passed.board(id(66), board(1, &[5]), &world.here, world.now, &world.membership);
    assert_eq!(stranger, Err(BoardError::NotMine), "nor is the board of a stranger looked at");
    let closed = membership(NetworkKind::Closed);
    let refused = world.passed.board(id(2), board(2, &[5, 6]), &world.here, world.now, &closed);
    assert_eq!(refused, Err(BoardError::NotMine));
    assert_eq!(world.passed.stop().len(), 1);
}

#[test]
fn one_device_has_one_card() {
    let mut world = World::new();
    world.here.insert(id(4));
    world.board(1, board(1, &[4, 5]));
    assert_eq!(world.shown(), [id(5)], "the knock at this device is shown already");
    assert_eq!(world.board(2, board(1, &[5])), []);
    let knock = world.passed.knocks()[0].clone();
    assert_eq!(knock.host, id(1), "a later board does not take an earlier one's place");
    // Once the first has ended, the other is shown when its board comes again.
    world.board(1, board(2, &[]));
    assert_eq!(arrived(&world.board(2, board(2, &[5]))).len(), 1);
}

#[test]
fn a_lying_member_fills_only_its_share_of_the_screen_and_only_so_fast() {
    let mut world = World::new();
    let limits = PassedLimits::default();
    let many: Vec<u16> = (100..120).collect();
    let effects = world.board(1, board(1, &many));
    assert_eq!(arrived(&effects).len(), limits.per_host);
    assert!(effects.contains(&PassedEffect::TooMany(id(1))));
    assert_eq!(arrived(&world.board(2, board(1, &[5]))).len(), 1, "there is room for the others");
    // Taking them away and telling of new ones makes it no faster.
    let mut cards = limits.per_host;
    for round in 1..100u16 {
        world.board(1, board(u64::from(round) * 2, &[]));
        let fresh: Vec<u16> = (1000 + round * 8..1008 + round * 8).collect();
        cards += arrived(&world.board(1, board(u64::from(round) * 2 + 1, &fresh))).len();
        assert!(world.passed.knocks().len() <= limits.per_host + 1);
    }
    assert_eq!(cards, usize::try_from(limits.per_minute).expect("small"));
    world.now += MINUTE_MS;
    assert_eq!(arrived(&world.board(1, board(1000, &[7]))).len(), 1, "a minute later it is heard again");
    // However many lie, the screen holds no more, those at this device included.
    world.passed = PassedOn::new(id(0), PassedLimits { per_host: 32, per_minute: 100, ..limits });
    world.here = (200..210).map(id).collect();
    let full: Vec<u16> = (300..332).collect();
    world.board(1, board(1, &full));
    assert_eq!(world.shown().len(), limits.shown - 10);
    assert_eq!(arrived(&world.board(2, board(1, &[5]))).len(), 0);
}

#[test]
fn what_is_said_has_golden_bytes() {
    let pack = |board: &Board| postcard::to_stdvec(board).expect("bytes");
    let device = id(5);
    let end = BoardEnd { id: KnockId::from_bytes([6; 8]), outcome: Outcome::Denied, by: Some(device) };
    let sent = Board { seq: 300, waiting: vec![told(5)], ended: vec![end] };
    let mut golden = vec![0xac, 2, 1];
    golden.extend(device.as_bytes());
    golden.extend([7]);
    golden.extend(b"Phone 5");
    golden.extend([5]);
    golden.extend(b"linux");
    golden.extend([1; 32]);
    golden.extend([2; 32]);
    golden.extend([0xe0, 0xa7, 0x12, 1]);
    golden.extend([6; 8]);
    golden.extend([1, 1]);
    golden.extend(device.as_bytes());
    assert_eq!(pack(&sent), golden);
    assert_eq!(postcard::from_bytes::<Board>(&golden), Ok(sent));

    let approve = Decide::Approve { id: KnockId::from_bytes([6; 8]), record: vec![1, 2] };
    let deny = Decide::Deny { id: KnockId::from_bytes([6; 8]), kind: DenyKind::CodesDiffer, reason: Some("x".into()) };
    let decides: [(Decide, Vec<u8>); 2] =
        [(approve, [&[0][..], &[6; 8], &[2, 1, 2]].concat()), (deny, [&[1][..], &[6; 8], &[1, 1, 1, b'x']].concat())];
    for (decide, bytes) in decides {
        assert_eq!(postcard::to_stdvec(&decide).expect("bytes"), bytes);
        assert_eq!(postcard::from_bytes::<Decide>(&bytes), Ok(decide));
    }
    let by = [&[1, 1][..], device.as_bytes(), &[1]].concat();
    let verdicts: [(Verdict, Vec<u8>); 5] = [
        (Verdict::Done, vec![0]),
        (Verdict::Decided { by: Some(device), approved: true }, by),
        (Verdict::Gone, vec![2]),
        (Verdict::MayNot, vec![3]),
        (Verdict::Failed, vec![4]),
    ];
    for (verdict, bytes) in verdicts {
        assert_eq!(postcard::to_stdvec(&verdict).expect("bytes"), bytes);
    }
}

#[test]
fn the_largest_honest_board_and_decision_fit_their_limits() {
    let long = BoardKnock { device_name: "\u{10400}".repeat(64), os: "\u{10400}".repeat(MAX_OS_CHARS), ..told(5) };
    let end = BoardEnd { id: KnockId::from_bytes([6; 8]), outcome: Outcome::Denied, by: Some(id(1)) };
    let full = Board { seq: u64::MAX, waiting: vec![long; MAX_ON_BOARD], ended: vec![end; MAX_ENDED] };
    assert!(postcard::to_stdvec(&full).expect("bytes").len() <= BOARD_LIMIT);
    let approve = Decide::Approve { id: KnockId::from_bytes([6; 8]), record: vec![1; MAX_RECORD_BYTES] };
    assert!(postcard::to_stdvec(&approve).expect("bytes").len() <= DECIDE_LIMIT);
}
