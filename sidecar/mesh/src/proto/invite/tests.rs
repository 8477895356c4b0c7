//! Links that work, and the many that do not.

use proptest::prelude::*;

use super::*;

fn secret() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

fn payload() -> Payload {
    Payload {
        network: NetworkId::from_bytes([9; 32]),
        name: NetworkName::parse("Home").expect("a name"),
        inviter: secret().public().into(),
        addresses: vec!["192.168.1.20:41234".parse().expect("an address")],
        relays: vec![],
        expires_at: 1_700_000_000_000,
        id: InviteId::from_bytes([2; 8]),
        secret: None,
        others: vec![],
    }
}

fn approved() -> Payload {
    let secret = InviteSecret::from_bytes([4; 16]);
    Payload { id: secret.id(), secret: Some(secret), ..payload() }
}

fn sign(payload: Payload) -> Invite {
    Invite::sign(&secret(), payload).expect("an invite")
}

/// A link around bytes that are signed well.
fn seal(mut bytes: Vec<u8>) -> String {
    let signature = secret().sign(&signed_message(&bytes));
    bytes.extend_from_slice(&signature.to_bytes());
    format!("{INVITE_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
}

#[test]
fn links_are_golden() {
    assert_eq!(sign(payload()).link(), include_str!("golden_plain.txt").trim());
    assert_eq!(sign(approved()).link(), include_str!("golden_approved.txt").trim());
}

#[test]
fn a_link_reads_back() {
    for payload in [payload(), approved()] {
        let invite = sign(payload.clone());
        let again: Invite = invite.link().parse().expect("an invite");
        assert_eq!(again, invite);
        assert_eq!(again.payload(), &payload);
        assert_eq!(again.is_approved(), payload.secret.is_some());
    }
}

fn other(n: u8) -> PeerAddress {
    let device = SecretKey::from_bytes(&[n; 32]).public().into();
    PeerAddress { device, addresses: vec![SocketAddr::from(([192, 168, 1, n], 41_234))], relay: None }
}

#[test]
fn a_link_names_other_members_in_a_format_of_its_own() {
    let with_others = Payload { others: vec![other(3), other(4)], ..approved() };
    let invite = sign(with_others.clone());
    assert_eq!(invite.link(), include_str!("golden_others.txt").trim());
    let again: Invite = invite.link().parse().expect("an invite");
    assert_eq!(again.payload(), &with_others);
    // What is over the limits is left out, and a link that has it all the same is refused.
    let address = SocketAddr::from(([10, 0, 0, 1], 1));
    let crowded = PeerAddress { addresses: vec![address; 9], ..other(3) };
    let invite = sign(Payload { others: vec![crowded.clone(), other(4), other(5)], ..payload() });
    assert_eq!(invite.payload().others.len(), MAX_OTHERS);
    assert_eq!(invite.payload().others[0].addresses.len(), MAX_OTHER_ADDRESSES);
    let useless = PeerAddress { addresses: vec!["0.0.0.0:1".parse().expect("an address")], ..other(3) };
    for others in [vec![other(3), other(4), other(5)], vec![crowded], vec![useless], vec![]] {
        let bytes = postcard::to_extend(&(&payload(), &others), vec![VERSION_WITH_OTHERS]).expect("bytes");
        assert_eq!(seal(bytes).parse::<Invite>(), Err(InviteError::Damaged), "{others:?}");
    }
    // Nor may they hide behind the format without them.
    let bytes = postcard::to_extend(&(&payload(), &vec![other(3)]), vec![VERSION]).expect("bytes");
    assert_eq!(seal(bytes).parse::<Invite>(), Err(InviteError::Damaged));
}

#[test]
fn mail_programs_and_people_may_mangle_it_a_little() {
    let invite = sign(payload());
    let link = invite.link();
    let (head, tail) = link.split_at(60);
    for text in [
        format!("  {link}\n"),
        format!("{head}\r\n {tail}"),
        format!("{link}/"),
        link.replacen("myownllm", "MyOwnLLM", 1),
    ] {
        assert_eq!(text.parse::<Invite>(), Ok(invite.clone()), "{text}");
    }
}

#[test]
fn a_usual_invite_fits_a_qr_code_and_the_largest_one_stays_readable() {
    let address = |n: u8| SocketAddr::from(([192, 168, n, 20], 41_234));
    let v6: SocketAddr = "[2001:db8:1234:5678:9abc:def0:1234:5678]:41234".parse().expect("an address");
    let usual = Payload {
        name: NetworkName::parse("The Andersons at home").expect("a name"),
        addresses: vec![address(1), address(2), address(3), v6],
        relays: vec!["https://relay.example.org/".into()],
        ..approved()
    };
    assert!(sign(usual).link().len() < 500);
    let largest = Payload {
        name: NetworkName::parse(&"本".repeat(64)).expect("a name"),
        addresses: vec![v6; 40],
        relays: vec![format!("https://{}.org/", "r".repeat(110)); 5],
        ..approved()
    };
    let invite = sign(largest);
    assert_eq!((invite.payload().addresses.len(), invite.payload().relays.len()), (MAX_ADDRESSES, MAX_RELAYS));
    assert!(invite.link().len() < MAX_LINK_CHARS);
    assert!(invite.link().parse::<Invite>().is_ok());
}

#[test]
fn what_is_no_invite_says_what_it_is() {
    let foreign = |scheme: &str| InviteError::Foreign { scheme: scheme.into() };
    let cases = [
        ("", InviteError::NotAnInvite),
        ("hello", InviteError::NotAnInvite),
        ("K7M 2XQ", InviteError::NotAnInvite),
        ("://join/abc", InviteError::NotAnInvite),
        ("https://example.org/join", foreign("https://")),
        ("otherapp://join/AAAA", foreign("otherapp://")),
        ("myownllm://settings/models", foreign("myownllm://settings")),
        ("myownllm://", InviteError::Damaged),
        ("myownllm://join", InviteError::Damaged),
        ("myownllm://join/", InviteError::Damaged),
        ("myownllm://join/!!!!", InviteError::Damaged),
        ("myownllm://join/AA", InviteError::Damaged),
        ("myownllm://join/AQ", InviteError::Damaged),
        ("myownllm://join/Ag", InviteError::Damaged),
        ("myownllm://join/Aw", InviteError::NewerVersion(3)),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Invite>(), Err(error), "{text}");
    }
    let long = format!("{INVITE_PREFIX}{}", "A".repeat(1 << 20));
    assert_eq!(long.parse::<Invite>(), Err(InviteError::NotAnInvite));
}

#[test]
fn a_cut_link_is_damaged_wherever_it_is_cut() {
    let invite = sign(approved());
    for length in INVITE_PREFIX.len()..invite.link().len() {
        assert_eq!(invite.link()[..length].parse::<Invite>(), Err(InviteError::Damaged), "{length}");
    }
}

#[test]
fn well_signed_nonsense_is_damaged() {
    let bytes = |payload: &Payload| postcard::to_extend(payload, vec![VERSION]).expect("bytes");
    assert!(seal(bytes(&payload())).parse::<Invite>().is_ok());
    let other = SecretKey::from_bytes(&[2; 32]).public().into();
    let nonsense = [
        Payload { inviter: other, ..payload() },
        Payload { addresses: vec!["0.0.0.0:1".parse().expect("an address")], ..payload() },
        Payload { addresses: vec!["10.0.0.1:0".parse().expect("an address")], ..payload() },
        Payload { addresses: vec!["10.0.0.1:1".parse().expect("an address"); 7], ..payload() },
        Payload { relays: vec!["not a url".into()], ..payload() },
        Payload { relays: vec![format!("https://{}/", "r".repeat(200))], ..payload() },
        Payload { expires_at: 0, ..payload() },
        Payload { id: InviteId::from_bytes([1; 8]), ..approved() },
    ];
    for payload in nonsense {
        assert_eq!(seal(bytes(&payload)).parse::<Invite>(), Err(InviteError::Damaged), "{payload:?}");
    }
    let longer = [bytes(&payload()), vec![0]].concat();
    assert_eq!(seal(longer).parse::<Invite>(), Err(InviteError::Damaged));
}

#[test]
fn only_its_maker_signs_it() {
    let other = SecretKey::from_bytes(&[2; 32]);
    assert!(matches!(Invite::sign(&other, payload()), Err(InviteError::OutOfBounds(_))));
}

#[test]
fn expiry_is_a_question_of_its_own() {
    let invite = sign(payload());
    assert_eq!(invite.check_current(1_699_999_999_999), Ok(()));
    assert_eq!(invite.check_current(1_700_000_000_000), Err(InviteError::Expired));
}

#[test]
fn the_secret_stays_out_of_debug_output() {
    let invite = sign(approved());
    let shown = format!("{invite:?}");
    assert!(shown.contains("InviteSecret(..)") && !shown.contains(&invite.link()[60..90]));
}

#[test]
fn a_proof_holds_for_one_device_at_one_network() {
    let secret = InviteSecret::from_bytes([4; 16]);
    let (a, b): (DeviceId, DeviceId) =
        (self::secret().public().into(), SecretKey::from_bytes(&[2; 32]).public().into());
    let (home, work) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
    let proof = secret.prove(home, a);
    assert!(secret.key().verify(home, a, &proof));
    assert!(!secret.key().verify(home, b, &proof));
    assert!(!secret.key().verify(work, a, &proof));
    assert!(!InviteSecret::from_bytes([5; 16]).key().verify(home, a, &proof));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_random_bytes_are_an_invite(bytes in prop::collection::vec(any::<u8>(), 0..400), version: bool) {
        let mut bytes = bytes;
        if version && !bytes.is_empty() {
            bytes[0] = VERSION;
        }
        let link = format!("{INVITE_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes));
        prop_assert!(link.parse::<Invite>().is_err());
    }

    #[test]
    fn no_mutation_is_an_invite(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_-]", cut: bool) {
        let invite = sign(approved());
        let mut text: Vec<char> = invite.link().chars().collect();
        let at = INVITE_PREFIX.len() + at.index(text.len() - INVITE_PREFIX.len());
        let new = with.chars().next().expect("one");
        if cut {
            text.remove(at);
        } else {
            prop_assume!(text[at] != new);
            text[at] = new;
        }
        let text: String = text.into_iter().collect();
        prop_assert!(text.parse::<Invite>().is_err());
    }

    #[test]
    fn no_text_panics(text in "(myownllm://join/)?.{0,80}") {
        prop_assert!(text.parse::<Invite>().is_err());
    }
}
