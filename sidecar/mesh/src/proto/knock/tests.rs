//! Golden bytes of every knock frame.

use iroh::SecretKey;

use super::message::*;
use crate::proto::{
    code::{Commitment, Nonce},
    frame::{self, FrameDecoder},
    ids::{DeviceId, NetworkId},
    invite::InviteSecret,
};

/// One line per frame: its name and its bytes in hex, length included.
const GOLDEN: &str = include_str!("golden.txt");

fn device() -> DeviceId {
    SecretKey::from_bytes(&[1; 32]).public().into()
}

fn guest_frames() -> Vec<(&'static str, GuestFrame)> {
    let network = NetworkId::from_bytes([9; 32]);
    let secret = InviteSecret::from_bytes([4; 16]);
    let plain = Hello {
        protocol: KNOCK_PROTOCOL,
        app_version: "0.1.0".into(),
        network,
        device_name: "Attic".into(),
        os: "linux".into(),
        commitment: Commitment::to(network, device(), &Nonce([3; 32])),
        invite: None,
        addresses: vec![],
    };
    let claim = InviteClaim { id: secret.id(), proof: Some(secret.prove(network, device())) };
    let full = Hello {
        invite: Some(claim),
        addresses: vec!["192.168.1.20:41234".parse().expect("v4"), "[2001:db8::1]:41234".parse().expect("v6")],
        ..plain.clone()
    };
    vec![
        ("hello_plain", GuestFrame::Hello(plain)),
        ("hello_full", GuestFrame::Hello(full)),
        ("reveal", GuestFrame::Reveal { nonce: Nonce([3; 32]) }),
        ("withdraw", GuestFrame::Withdraw),
        ("why", GuestFrame::Why { network }),
    ]
}

fn host_frames() -> Vec<(&'static str, HostFrame)> {
    let peer = PeerAddress {
        device: device(),
        addresses: vec!["192.168.1.20:41234".parse().expect("v4")],
        relay: Some("https://relay.example.org/".into()),
    };
    let denied = |kind| HostFrame::Denied { kind, reason: None };
    vec![
        ("challenge", HostFrame::Challenge { nonce: Nonce([5; 32]), device_name: "Cellar".into() }),
        ("waiting", HostFrame::Waiting { expires_in_ms: 300_000, invite: None }),
        ("waiting_unknown", HostFrame::Waiting { expires_in_ms: 300_000, invite: Some(InviteProblem::Unknown) }),
        ("waiting_not_here", HostFrame::Waiting { expires_in_ms: 300_000, invite: Some(InviteProblem::NotHere) }),
        ("admitted", HostFrame::Admitted(Bundle { records: vec![vec![1, 2, 3]], peers: vec![peer] })),
        ("denied", HostFrame::Denied { kind: DenyKind::Denied, reason: Some("Not you".into()) }),
        ("denied_codes_differ", denied(DenyKind::CodesDiffer)),
        ("denied_wrong_network", denied(DenyKind::WrongNetwork)),
        ("denied_cannot_admit", denied(DenyKind::CannotAdmit)),
        ("denied_protocol", denied(DenyKind::Protocol)),
        ("denied_version", denied(DenyKind::Version)),
        ("expired", HostFrame::Expired),
        ("busy", HostFrame::Busy { retry_after_ms: 30_000 }),
        ("removed", HostFrame::Removed { records: vec![vec![1, 2, 3]] }),
    ]
}

#[test]
fn every_frame_has_golden_bytes() {
    let hex = |bytes: Vec<u8>| data_encoding::HEXLOWER.encode(&bytes);
    let guest = guest_frames().into_iter().map(|(name, frame)| (name, frame::encode(&frame, HELLO_LIMIT)));
    let host = host_frames().into_iter().map(|(name, frame)| (name, frame::encode(&frame, HOST_LIMIT)));
    let now: String =
        guest.chain(host).map(|(name, bytes)| format!("{name} {}\n", hex(bytes.expect("fits")))).collect();
    assert_eq!(now, GOLDEN);
}

#[test]
fn golden_bytes_read_back() {
    let bytes_of = |name: &str| {
        let line = GOLDEN.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).expect("a line");
        data_encoding::HEXLOWER.decode(line.as_bytes()).expect("hex")
    };
    let mut decoder = FrameDecoder::new(HOST_LIMIT);
    for (name, frame) in guest_frames() {
        decoder.push(&bytes_of(name)).expect("within the limit");
        assert_eq!(decoder.next(), Ok(Some(frame)), "{name}");
    }
    for (name, frame) in host_frames() {
        decoder.push(&bytes_of(name)).expect("within the limit");
        assert_eq!(decoder.next(), Ok(Some(frame)), "{name}");
    }
}

#[test]
fn later_guest_frames_fit_their_limit_and_a_hello_does_not() {
    for (name, frame) in guest_frames() {
        assert_eq!(frame::encode(&frame, GUEST_LIMIT).is_ok(), !name.starts_with("hello"), "{name}");
    }
}
