//! Knocks that a lying member passes on, and decisions that it may not make.

use myownmesh_mesh::proto::code::Nonce;
use myownmesh_mesh::proto::hlc::MAX_AHEAD_MS;
use myownmesh_mesh::proto::knock::share::{BOARD_LIMIT, MAX_ON_BOARD};
use myownmesh_mesh::proto::knock::{Board, BoardEnd, BoardKnock, Decide, DenyKind, HostFrame, Outcome, Verdict};
use myownmesh_mesh::proto::record::{Admit, Body, Via};
use myownmesh_mesh::{DeviceId, DeviceName, KnockId, KnockInfo, NetworkKind, Role};

use super::liar::*;

const BOARD: &str = "/mesh/v1/knocks";
const DECIDE: &str = "/mesh/v1/knocks/decide";

fn invented(number: u8, name: &str) -> BoardKnock {
    BoardKnock {
        device: DeviceId::of_secret(&[number; 32]),
        device_name: name.to_owned(),
        os: "Linux".to_owned(),
        host_nonce: Nonce([number; 32]),
        guest_nonce: Nonce([number; 32]),
        expires_in_ms: u64::MAX,
    }
}

async fn tell(link: &Linked, board: &Board) -> Option<u16> {
    link.post(BOARD, &postcard::to_stdvec(board).unwrap()).await.map(|(status, _)| status)
}

async fn decide(link: &Linked, decide: &Decide) -> Verdict {
    let (status, answer) = link.post(DECIDE, &postcard::to_stdvec(decide).unwrap()).await.unwrap();
    assert_eq!(status, 200);
    postcard::from_bytes(&answer).unwrap()
}

fn admit(device: DeviceId, name: &str, role: Role) -> Body {
    let (name, os) = (DeviceName::parse(name).unwrap(), "Linux".to_owned());
    Body::Admit(Admit { device, name, os, role, via: Via::Knock })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_member_fills_only_its_share_of_the_screen() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let board = |seq: u8, of: usize| Board {
        seq: u64::from(seq),
        waiting: (100..250).cycle().skip(usize::from(seq) * of).take(of).map(|at| invented(at, "Phone")).collect(),
        ended: Vec::new(),
    };
    // Board after board of devices that never knocked.
    for seq in 1..20 {
        assert_eq!(tell(&link, &board(seq, 32)).await, Some(204));
        assert!(scene.host.mesh.snapshot().knocks.len() <= 8, "one member fills a quarter of the screen at most");
    }
    scene.told(scene.liar.id(), "too often").await;
    let arrived = scene.heard_knocks();
    assert!(arrived <= 12, "{arrived} were told in a minute");
    // Whoever looks sees through whom they came.
    let via = |knock: &KnockInfo| knock.via.as_ref().is_some_and(|via| via.as_str() == "Laptop");
    assert!(scene.host.mesh.snapshot().knocks.iter().all(via));

    // Too many on one board, too large a board, and no board: not looked at.
    assert_eq!(tell(&link, &board(30, MAX_ON_BOARD + 1)).await, Some(400));
    scene.told(scene.liar.id(), "that members never send").await;
    assert_eq!(link.post(BOARD, &vec![0; BOARD_LIMIT + 1]).await.map(|(status, _)| status), Some(413));
    assert_eq!(link.post(BOARD, &[0xff; 64]).await.map(|(status, _)| status), Some(400));
    // An honest device still gets on the screen, and its end leaves it.
    let guest = Liar::new(60).await;
    let (knocking, answer) = guest.knock_through(&scene.host, "Tablet", None).await;
    assert!(matches!(answer, HostFrame::Waiting { .. }));
    scene.host.until(|it| it.knocks.iter().any(|knock| knock.device_id == guest.id() && knock.via.is_none())).await;
    knocking.connection.close(0_u32.into(), b"");
    // What was invented goes with its inventor's link.
    link.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_on_knock_cannot_pose_as_another() {
    let scene = Scene::new().await;
    // Somebody really knocks at the victim.
    let guest = Liar::new(60).await;
    let (knocking, _) = guest.knock_through(&scene.host, "Tablet", None).await;
    let real = scene.host.knock().await;
    let link = scene.link().await;
    let waiting = vec![
        // The same device, again: there is one card, the one of the real knock.
        BoardKnock { device: guest.id(), ..invented(100, "Tablet") },
        // Members do not knock, the victim itself least of all.
        BoardKnock { device: scene.honest.id(), ..invented(101, "Desk") },
        BoardKnock { device: scene.host.id(), ..invented(102, "Attic") },
        // A name that cannot be shown, and one that is taken for a member's.
        invented(103, "\u{202E}\u{200B}"),
        invented(104, "\u{0410}ttic"),
    ];
    // It says that the real knock has ended, and who ended it.
    let ended = vec![BoardEnd { id: real.id, outcome: Outcome::Denied, by: Some(scene.host.id()) }];
    assert_eq!(tell(&link, &Board { seq: 5, waiting, ended }).await, Some(204));
    let shown = scene.host.until(|picture| picture.knocks.len() == 2).await;
    assert_eq!(shown.knocks.iter().filter(|knock| knock.device_id == guest.id()).count(), 1);
    assert!(shown.knocks.contains(&real), "the real one is as it was");
    let alike = shown.knocks.iter().find(|knock| knock.id != real.id).unwrap();
    assert_eq!(alike.resembles.as_ref().map(DeviceName::as_str), Some("Attic"));
    assert_eq!(alike.via.as_ref().map(DeviceName::as_str), Some("Laptop"));
    assert!(alike.expires_at <= alike.at + 5 * 60_000, "and it is not shown for ever");
    // A board of before is not believed again.
    assert_eq!(
        tell(&link, &Board { seq: 4, waiting: vec![invented(105, "Late")], ended: Vec::new() }).await,
        Some(204)
    );
    assert_eq!(scene.host.mesh.snapshot().knocks.len(), 2);
    link.connection.close(0_u32.into(), b"");
    knocking.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_a_knock_for_others() {
    let mut scene = Scene::of(NetworkKind::Closed).await;
    let guest = Liar::new(60).await;
    let (mut knocking, _) = guest.knock_through(&scene.host, "Tablet", None).await;
    let knock = scene.host.knock().await;
    let link = scene.link().await;
    let seq = scene.next_seq();
    let approve = |record: Vec<u8>| Decide::Approve { id: knock.id, record };
    let signed = |by: &Liar, device, role| by.record(scene.network, seq, now(), admit(device, "Tablet", role));

    // A plain member of a closed network: with its own signature, as an owner's word, and for itself.
    for (device, role) in [(guest.id(), Role::Member), (guest.id(), Role::Owner), (scene.liar.id(), Role::Owner)] {
        let record = signed(&scene.liar, device, role).as_bytes().to_vec();
        assert_eq!(decide(&link, &approve(record)).await, Verdict::MayNot);
    }
    // With the guest's own signature, with a broken one, with none.
    let mut broken = signed(&scene.liar, guest.id(), Role::Member).as_bytes().to_vec();
    broken[60] ^= 1;
    for record in [signed(&guest, guest.id(), Role::Member).as_bytes().to_vec(), broken, Vec::new()] {
        assert_eq!(decide(&link, &approve(record)).await, Verdict::MayNot);
    }
    // Nor may it say no in the others' place.
    let deny = Decide::Deny { id: knock.id, kind: DenyKind::Denied, reason: Some("Go away".into()) };
    assert_eq!(decide(&link, &deny).await, Verdict::MayNot);
    let elsewhere = Decide::Deny { id: KnockId::from_bytes([9; 8]), kind: DenyKind::Denied, reason: None };
    assert_eq!(decide(&link, &elsewhere).await, Verdict::Gone);
    scene.told(scene.liar.id(), "may not make").await;
    // A board is not for a device that may not answer: what it is told of knocks is nothing.
    assert_eq!(scene.host.mesh.snapshot().knocks.len(), 1, "it still waits");
    assert!(!believed(&scene.host, scene.network).is_member(guest.id()));
    scene.host.mesh.deny(knock.id, myownmesh_mesh::DenyKind::Denied, None).await.unwrap();
    assert!(matches!(knocking.answer().await, HostFrame::Denied { .. }));
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_may_admit_cannot_bend_an_approval() {
    let scene = Scene::new().await;
    let guest = Liar::new(60).await;
    let (knocking, _) = guest.knock_through(&scene.host, "Tablet", None).await;
    let knock = scene.host.knock().await;
    let link = scene.link().await;
    let seq = scene.next_seq();
    let accomplice = DeviceId::of_secret(&[61; 32]);
    let attempts = [
        (now(), admit(guest.id(), "Tablet", Role::Owner)),
        (now(), admit(guest.id(), "Attic", Role::Member)),
        (now(), admit(accomplice, "Tablet", Role::Member)),
        (now() + MAX_AHEAD_MS + 60_000, admit(guest.id(), "Tablet", Role::Member)),
        (now(), Body::Leave),
    ];
    for (at, body) in attempts {
        let record = scene.liar.record(scene.network, seq, at, body.clone()).as_bytes().to_vec();
        let verdict = decide(&link, &Decide::Approve { id: knock.id, record }).await;
        assert!(matches!(verdict, Verdict::MayNot | Verdict::Failed), "{verdict:?} for {body:?} at {at}");
    }
    let members = believed(&scene.host, scene.network).members;
    assert!(!members.contains_key(&guest.id()) && !members.contains_key(&accomplice));
    scene.host.until(|picture| picture.knocks.len() == 1).await;
    knocking.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}
