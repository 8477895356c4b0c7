//! Every decoder that bytes of another device reach: random bytes, and good ones that were mutilated. Nothing panics,
//! and what still decodes is canonical: it encodes to the bytes it came from.

use iroh::SecretKey;
use myownmesh_mesh::proto::code::{Commitment, Nonce};
use myownmesh_mesh::proto::frame::{self, FrameDecoder};
use myownmesh_mesh::proto::hlc::Hlc;
use myownmesh_mesh::proto::invite::{InviteSecret, Payload};
use myownmesh_mesh::proto::knock::{Bundle, GuestFrame, Hello, HostFrame, InviteClaim, KNOCK_PROTOCOL, PeerAddress};
use myownmesh_mesh::proto::reconcile::{self, Initiator, RecordSet};
use myownmesh_mesh::proto::record::{Admit, Body, Genesis, Record, Via};
use myownmesh_mesh::proto::welcome::{GREETING_LIMIT, Greeting, PROTOCOL, Welcome};
use myownmesh_mesh::{DeviceId, DeviceName, Invite, InviteId, NetworkId, NetworkKind, NetworkName, Role};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

const LIMIT: usize = 1 << 16;
const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);

fn secret() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

fn me() -> DeviceId {
    secret().public().into()
}

fn guest_frames() -> Vec<Vec<u8>> {
    let invite = InviteSecret::from_bytes([4; 16]);
    let hello = Hello {
        protocol: KNOCK_PROTOCOL,
        app_version: "0.1.0".into(),
        network: NETWORK,
        device_name: "Attic".into(),
        os: "Linux".into(),
        commitment: Commitment::to(NETWORK, me(), &Nonce([3; 32])),
        invite: Some(InviteClaim { id: invite.id(), proof: Some(invite.prove(NETWORK, me())) }),
        addresses: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
    };
    let frames = [GuestFrame::Hello(hello), GuestFrame::Reveal { nonce: Nonce([3; 32]) }, GuestFrame::Withdraw];
    frames.iter().map(|frame| frame::encode(frame, LIMIT).unwrap()).collect()
}

fn host_frames() -> Vec<Vec<u8>> {
    let peer = PeerAddress { device: me(), addresses: Vec::new(), relay: Some("https://relay.example/".into()) };
    let bundle = Bundle { records: records().iter().map(|it| it.as_bytes().to_vec()).collect(), peers: vec![peer] };
    let frames = [
        HostFrame::Challenge { nonce: Nonce([5; 32]), device_name: "Attic".into() },
        HostFrame::Waiting { expires_in_ms: 300_000, invite: None },
        HostFrame::Admitted(bundle),
        HostFrame::Busy { retry_after_ms: 5 },
    ];
    frames.iter().map(|frame| frame::encode(frame, LIMIT).unwrap()).collect()
}

fn greetings() -> Vec<Vec<u8>> {
    let welcome =
        Welcome { protocol: PROTOCOL, app_version: "0.1.0".into(), network: NETWORK, device_name: "A".into() };
    vec![frame::encode(&Greeting::Welcome(welcome), GREETING_LIMIT).unwrap()]
}

fn records() -> Vec<Record> {
    let genesis = Genesis {
        name: NetworkName::parse("Home").unwrap(),
        kind: NetworkKind::Open,
        founder_name: DeviceName::parse("Attic").unwrap(),
        founder_os: "Linux".into(),
        nonce: [1; 16],
    };
    let founded = Record::found(&secret(), Hlc::at(1_000), genesis).unwrap();
    let admit = Admit {
        device: DeviceId::of_secret(&[2; 32]),
        name: DeviceName::parse("Laptop").unwrap(),
        os: "Linux".into(),
        role: Role::Member,
        via: Via::Knock,
    };
    let later = |seq, body| Record::sign(&secret(), founded.network(), seq, Hlc::at(1_000 + seq), body).unwrap();
    let unknown = Body::Unknown { kind: 60_000, payload: vec![1, 2, 3] };
    vec![founded.clone(), later(2, Body::Admit(admit)), later(3, unknown), later(4, Body::Leave)]
}

fn link() -> String {
    let approved = InviteSecret::from_bytes([4; 16]);
    let payload = Payload {
        network: NETWORK,
        name: NetworkName::parse("Home").unwrap(),
        inviter: me(),
        addresses: vec!["192.168.1.20:4433".parse().unwrap()],
        relays: vec!["https://relay.example/".into()],
        expires_at: 1_900_000_000_000,
        id: approved.id(),
        secret: Some(approved),
        others: Vec::new(),
    };
    assert_ne!(payload.id, InviteId::from_bytes([0; 8]));
    Invite::sign(&secret(), payload).unwrap().link().to_owned()
}

/// Something done to good bytes: flip, cut, repeat, insert, overwrite.
#[derive(Debug, Clone)]
enum Harm {
    Flip(usize, u8),
    Cut(usize),
    Double(usize, usize),
    Insert(usize, Vec<u8>),
    Overwrite(usize, Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    prop_oneof![
        (place.clone(), 1u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        place.clone().prop_map(Harm::Cut),
        (place.clone(), 1usize..40).prop_map(|(at, len)| Harm::Double(at, len)),
        (place.clone(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, more)| Harm::Insert(at, more)),
        // Lengths are numbers of seven bits each: runs of high bits make the largest.
        (place, prop::collection::vec(prop_oneof![Just(0xff), any::<u8>()], 1..12))
            .prop_map(|(at, more)| Harm::Overwrite(at, more)),
    ]
}

fn harmed(bytes: &[u8], harms: &[Harm]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for harm in harms {
        let within = |at: usize| if bytes.is_empty() { 0 } else { at % bytes.len() };
        match harm {
            Harm::Flip(at, bits) => {
                let at = within(*at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Harm::Cut(at) => bytes.truncate(within(*at)),
            Harm::Double(at, len) => {
                let at = within(*at);
                let end = (at + len).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            Harm::Insert(at, more) => {
                let at = within(*at);
                bytes.splice(at..at, more.iter().copied());
            }
            Harm::Overwrite(at, more) => {
                let at = within(*at);
                for (slot, byte) in bytes[at..].iter_mut().zip(more) {
                    *slot = *byte;
                }
            }
        }
    }
    bytes
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

fn one_of(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(samples), prop::collection::vec(harm(), 1..5)).prop_map(|(good, harms)| harmed(&good, &harms))
}

/// Feeds `bytes` to a decoder of `T`, in chunks; what comes out encodes again.
fn decode<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8], chunk: usize) {
    let mut decoder = FrameDecoder::new(LIMIT);
    for part in bytes.chunks(chunk.max(1)) {
        if decoder.push(part).is_err() {
            return;
        }
        match decoder.next::<T>() {
            Ok(Some(message)) => {
                let again = frame::encode(&message, usize::MAX).expect("what was read can be written");
                let mut decoder = FrameDecoder::new(again.len());
                decoder.push(&again).expect("its own size");
                assert_eq!(decoder.next::<T>(), Ok(Some(message)));
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
    let _ = decoder.finish();
    let _ = decoder.expect_silence();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn guest_frames_never_panic(bytes in prop_oneof![any_bytes(), one_of(guest_frames())], chunk in 1usize..64) {
        decode::<GuestFrame>(&bytes, chunk);
    }

    #[test]
    fn host_frames_never_panic(bytes in prop_oneof![any_bytes(), one_of(host_frames())], chunk in 1usize..64) {
        decode::<HostFrame>(&bytes, chunk);
    }

    #[test]
    fn greetings_never_panic(bytes in prop_oneof![any_bytes(), one_of(greetings())], chunk in 1usize..64) {
        decode::<Greeting>(&bytes, chunk);
    }

    #[test]
    fn records_never_panic_and_are_canonical(
        bytes in prop_oneof![any_bytes(), one_of(records().iter().map(|it| it.as_bytes().to_vec()).collect())],
    ) {
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.as_bytes(), bytes.as_slice());
            // Nothing here has the key, so only what was left whole still holds.
            prop_assert!(records().contains(&record));
        }
    }

    #[test]
    fn invite_links_never_panic(
        text in prop_oneof![
            any::<String>(),
            any::<String>().prop_map(|rest| format!("myownllm://join/{rest}")),
            one_of(vec![link().into_bytes()]).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ],
    ) {
        if let Ok(invite) = text.parse::<Invite>() {
            let good: Invite = link().parse().unwrap();
            prop_assert_eq!(invite.payload(), good.payload());
        }
    }

    #[test]
    fn reconciliation_messages_never_panic(
        noise in prop_oneof![any_bytes(), one_of(vec![first_message(), answer()])],
    ) {
        let set: RecordSet = records().iter().collect();
        let _ = reconcile::respond(&set, &noise);
        let (mut initiator, _) = Initiator::start(&set).unwrap();
        let _ = initiator.step(&set, &noise);
    }

    #[test]
    fn pushes_and_lists_never_panic(noise in prop_oneof![any_bytes(), one_of(host_frames())]) {
        // What the members' routes take, by the same decoder.
        let _ = postcard::from_bytes::<(Vec<Vec<u8>>, Vec<PeerAddress>)>(&noise);
        let _ = postcard::from_bytes::<Vec<myownmesh_mesh::proto::ids::RecordId>>(&noise);
    }
}

fn first_message() -> Vec<u8> {
    Initiator::start(&records().iter().take(2).collect()).unwrap().1
}

fn answer() -> Vec<u8> {
    reconcile::respond(&records().iter().collect(), &first_message()).unwrap()
}
