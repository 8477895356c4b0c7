//! Knocks that other members answer: shown everywhere, decided once.

use std::time::Instant;

use iroh::SecretKey;
use myownmesh_mesh::proto::code::Nonce;
use myownmesh_mesh::proto::hlc::Hlc;
use myownmesh_mesh::proto::knock::{Board, BoardKnock, Decide};
use myownmesh_mesh::proto::record::{Admit, Body, Record, Via};
use myownmesh_mesh::proto::welcome::{Greeting, PROTOCOL};
use myownmesh_mesh::{
    Code, DenyKind, DeviceId, ErrorKind, JoinStep, KnockInfo, KnockOutcome, MeshError, MeshEvent, NetworkKind,
    NetworkName, Role,
};
use tokio::sync::broadcast::Receiver;

use super::members::{INTRODUCTION, answer, ask, greeting, member, say};
use super::support::*;

/// Attic founded the network and admitted Desk and Shelf; all are linked.
async fn household() -> (Device, Device, Device) {
    let host = Device::start("Attic", 1).await;
    let desk = Device::start("Desk", 2).await;
    let shelf = Device::start("Shelf", 3).await;
    host.found("Home").await;
    join(&host, &desk).await;
    join(&host, &shelf).await;
    shelf.until_linked(&[desk.id()]).await;
    desk.until_linked(&[shelf.id()]).await;
    (host, desk, shelf)
}

/// The end of a knock: how, and who decided.
async fn ended(events: &mut Receiver<MeshEvent>) -> (KnockOutcome, Option<String>) {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await.expect("an end in time").unwrap();
        if let MeshEvent::KnockEnded { outcome, decided_by, .. } = event {
            return (outcome, decided_by.map(|name| name.to_string()));
        }
    }
}

fn via(knock: &KnockInfo) -> Option<&str> {
    knock.via.as_ref().map(myownmesh_mesh::DeviceName::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_knock_at_one_member_is_approved_by_another_and_all_see_who() {
    let (host, desk, shelf) = household().await;
    let guest = Device::start("Phone", 4).await;
    let (mut at_host, mut at_desk, mut at_shelf) = (host.mesh.events(), desk.mesh.events(), shelf.mesh.events());
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    let code = until_knocking(&mut progress).await;
    let began = Instant::now();
    let (here, there, also) = (host.knock().await, desk.knock().await, shelf.knock().await);
    println!("shown to shown everywhere: {:?}", began.elapsed());
    assert_eq!((here.code, there.code, also.code), (code, code, code), "the same code on all screens");
    assert_eq!((here.id, there.id), (there.id, also.id));
    assert_eq!((via(&here), via(&there), via(&also)), (None, Some("Attic"), Some("Attic")));
    assert_eq!((there.device_id, there.device_name.as_str(), there.os.as_str()), (guest.id(), "Phone", "Linux"));
    assert!((here.expires_at - there.expires_at).abs() < 5_000);

    let decided = Instant::now();
    let member = desk.mesh.approve(there.id, Role::Member, Some(code)).await.unwrap();
    assert_eq!((member.device_id, member.name.as_str()), (guest.id(), "Phone"));
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    println!("decision elsewhere to active: {:?}", decided.elapsed());
    for events in [&mut at_host, &mut at_desk, &mut at_shelf] {
        assert_eq!(ended(events).await, (KnockOutcome::Approved, Some("Desk".to_owned())));
    }
    for device in [&host, &desk, &shelf] {
        device.until(|picture| picture.knocks.is_empty() && picture.members.len() == 4).await;
        let decisions = device.mesh.decisions(there.network).await.unwrap();
        assert_eq!(decisions[0].author_name.as_ref().unwrap().as_str(), "Desk", "it signed");
    }
    guest.until_linked(&[host.id(), desk.id(), shelf.id()]).await;

    let late = shelf.mesh.approve(there.id, Role::Member, None).await.unwrap_err();
    assert_eq!(late, MeshError::Conflict("Desk already approved it. There is nothing left to answer.".to_owned()));
    let late = host.mesh.deny(there.id, DenyKind::Denied, None).await.unwrap_err();
    assert!(late.to_string().contains("Desk already approved"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_decisions_at_once_one_wins_and_the_others_hear_whose() {
    let (host, desk, shelf) = household().await;
    for seed in 10..15 {
        let guest = Device::start("Phone", seed).await;
        let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
        until_knocking(&mut progress).await;
        let id = host.knock().await.id;
        desk.knock().await;
        shelf.knock().await;
        let (first, second, third) = tokio::join!(
            host.mesh.approve(id, Role::Member, None),
            desk.mesh.deny(id, DenyKind::Denied, Some("not now".to_owned())),
            shelf.mesh.approve(id, Role::Member, None),
        );
        let outcomes = [first.map(drop), second, third.map(drop)];
        let won: Vec<usize> = (0..3).filter(|at| outcomes[*at].is_ok()).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(lost.kind(), ErrorKind::Conflict, "{lost}");
            let winner = ["Attic already approved", "Desk already denied", "Shelf already approved"][won[0]];
            assert!(lost.to_string().starts_with(winner), "{lost}, not {winner}");
        }
        match last(&mut progress).await {
            JoinStep::Joined { .. } => assert_ne!(won, [1]),
            JoinStep::Failed(MeshError::Denied { reason }) => {
                assert_eq!((won.as_slice(), reason.as_deref()), (&[1][..], Some("not now")));
            }
            other => panic!("{other:?}"),
        }
        for device in [&host, &desk, &shelf] {
            device.until(|picture| picture.knocks.is_empty()).await;
        }
        guest.mesh.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_member_denies_and_a_wrong_code_costs_nothing() {
    let (host, desk, _shelf) = household().await;
    let guest = Device::start("Phone", 4).await;
    let mut at_host = host.mesh.events();
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    let code = until_knocking(&mut progress).await;
    let knock = desk.knock().await;
    let wrong: Code = if code.compact() == "K7M2XQ" { "K7M2XR" } else { "K7M2XQ" }.parse().unwrap();
    let error = desk.mesh.approve(knock.id, Role::Member, Some(wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CodeMismatch);
    let error = desk.mesh.approve(knock.id, Role::Owner, Some(code)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
    assert_eq!(host.mesh.snapshot().knocks.len(), 1, "it still waits");
    desk.mesh.deny(knock.id, DenyKind::CodesDiffer, None).await.unwrap();
    assert_eq!(last(&mut progress).await, JoinStep::Failed(MeshError::CodesDiffer));
    assert_eq!(ended(&mut at_host).await, (KnockOutcome::Denied, Some("Desk".to_owned())));
    desk.until(|picture| picture.knocks.is_empty()).await;
    assert_eq!(host.mesh.snapshot().members.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_may_not_admit_passes_knocks_on_and_does_not_show_them() {
    let (host, desk, shelf) = household().await;
    let network = host.mesh.snapshot().active.unwrap();
    let invite = desk.invite().await;
    host.mesh.set_network_kind(network, NetworkKind::Closed).await.unwrap();
    for device in [&desk, &shelf] {
        device.until(|picture| picture.networks[0].kind == NetworkKind::Closed).await;
    }
    let guest = Device::start("Phone", 4).await;
    let mut progress = guest.mesh.join(invite.clone()).await.unwrap();
    let code = until_knocking(&mut progress).await;
    let knock = host.knock().await;
    assert_eq!((knock.code, via(&knock)), (code, Some("Desk")));
    assert!(desk.mesh.snapshot().knocks.is_empty() && shelf.mesh.snapshot().knocks.is_empty());
    assert_eq!(desk.mesh.approve(knock.id, Role::Member, None).await.unwrap_err().kind(), ErrorKind::NotAllowed);
    assert_eq!(shelf.mesh.approve(knock.id, Role::Member, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    host.mesh.approve(knock.id, Role::Manager, Some(code)).await.unwrap();
    let JoinStep::Joined { network: joined } = last(&mut progress).await else { panic!("not joined") };
    assert_eq!(joined.role, Some(Role::Manager));

    // A manager that is made later is asked as well.
    host.mesh.set_role(shelf.id(), Role::Manager).await.unwrap();
    shelf.until(|picture| picture.networks[0].role == Some(Role::Manager)).await;
    let other = Device::start("Tablet", 5).await;
    let mut progress = other.mesh.join(invite.clone()).await.unwrap();
    until_knocking(&mut progress).await;
    let knock = shelf.knock().await;
    shelf.mesh.approve(knock.id, Role::Member, None).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));

    // With nobody there who may admit, it is turned away at once.
    for device in [&host, &shelf, &guest] {
        device.mesh.shutdown().await;
    }
    let gone = |picture: &myownmesh_mesh::MeshSnapshot| {
        [host.id(), shelf.id(), guest.id()].iter().all(|id| !picture.member(*id).unwrap().link.is_online())
    };
    desk.until(gone).await;
    let stranger = Device::start("Watch", 6).await;
    let JoinStep::Failed(error) = last(&mut stranger.mesh.join(invite).await.unwrap()).await else { panic!("joined") };
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_later_sees_what_waits_and_a_host_that_goes_takes_it_along() {
    let (host, desk, shelf) = household().await;
    shelf.mesh.shutdown().await;
    let guest = Device::start("Phone", 4).await;
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    let code = until_knocking(&mut progress).await;
    desk.knock().await;
    let shelf = shelf.restart().await;
    let knock = shelf.knock().await;
    assert_eq!((knock.code, via(&knock)), (code, Some("Attic")));

    let (mut at_desk, mut at_shelf) = (desk.mesh.events(), shelf.mesh.events());
    host.mesh.shutdown().await;
    assert_eq!(ended(&mut at_desk).await, (KnockOutcome::Withdrawn, None));
    assert_eq!(ended(&mut at_shelf).await, (KnockOutcome::Withdrawn, None));
    assert!(desk.mesh.snapshot().knocks.is_empty());
    assert_eq!(desk.mesh.approve(knock.id, Role::Member, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(matches!(last(&mut progress).await, JoinStep::Failed(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_knock_ends_everywhere_when_it_is_withdrawn_or_the_host_switches() {
    let (host, desk, _shelf) = household().await;
    let guest = Device::start("Phone", 4).await;
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    until_knocking(&mut progress).await;
    desk.knock().await;
    let mut events = desk.mesh.events();
    progress.cancel();
    assert_eq!(ended(&mut events).await, (KnockOutcome::Withdrawn, None));
    desk.until(|picture| picture.knocks.is_empty()).await;

    let other = Device::start("Tablet", 5).await;
    let mut progress = other.mesh.join(host.invite().await).await.unwrap();
    until_knocking(&mut progress).await;
    desk.knock().await;
    host.mesh.create_network(NetworkName::parse("Office").unwrap(), NetworkKind::Open).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Failed(_)));
    desk.until(|picture| picture.knocks.is_empty()).await;
    // And who switches away sees no knocks of the other network.
    assert!(host.mesh.snapshot().knocks.is_empty());
}

/// A request by hand with this body.
fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lies_about_knocks_opens_no_door_and_fills_no_screen() {
    let (host, liar, network) = member().await;
    host.mesh.set_network_kind(network, NetworkKind::Closed).await.unwrap();
    let hello = [greeting(network, PROTOCOL), INTRODUCTION.to_vec()].concat();
    let (connection, _control, mut recv) = say(&liar, &host, &hello).await;
    assert!(matches!(answer(&mut recv).await, Greeting::Welcome(_)));
    host.until_linked(&[liar.id()]).await;
    let mut events = host.mesh.events();
    let guest = Device::start("Phone", 4).await;
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    until_knocking(&mut progress).await;
    let knock = host.knock().await;

    // It may not admit in a closed network: neither by its own word nor by one that it puts into the owner's mouth.
    let admit = |by: u8, seq| {
        let (device, name, os) = (knock.device_id, knock.device_name.clone(), knock.os.clone());
        let body = Body::Admit(Admit { device, name, os, role: Role::Member, via: Via::Knock });
        let hlc = Hlc { ms: u64::try_from(knock.at).unwrap() + 1, counter: 0 };
        Record::sign(&SecretKey::from_bytes(&[by; 32]), network, seq, hlc, body).unwrap().as_bytes().to_vec()
    };
    let mut forged = admit(1, 99);
    let last_byte = forged.len() - 1;
    forged[last_byte] ^= 1;
    let replayed = admit(1, 99);
    for record in [admit(2, 1), forged, replayed, vec![0; 100]] {
        let decide = Decide::Approve { id: knock.id, record };
        let told = ask(&connection, &post("/mesh/v1/knocks/decide", &postcard::to_stdvec(&decide).unwrap())).await;
        assert!(told.as_ref().is_some_and(|told| told.ends_with("\r\n\r\n\u{3}")), "not refused: {told:?}");
    }
    let deny = Decide::Deny { id: knock.id, kind: myownmesh_mesh::proto::knock::DenyKind::Denied, reason: None };
    let told = ask(&connection, &post("/mesh/v1/knocks/decide", &postcard::to_stdvec(&deny).unwrap())).await;
    assert!(told.is_some_and(|told| told.ends_with("\r\n\r\n\u{3}")));
    assert_eq!((host.mesh.snapshot().knocks.len(), host.mesh.snapshot().members.len()), (1, 2), "it still waits");
    let refused = loop {
        if let MeshEvent::Refused { device_id, what, .. } = events.recv().await.unwrap() {
            break (device_id, what);
        }
    };
    assert_eq!(refused.0, Some(liar.id()));
    assert!(refused.1.contains("may not make"), "{}", refused.1);

    // Invented knocks fill its share and no more, and go with it.
    let invent = |n: u8| BoardKnock {
        device: DeviceId::of_secret(&[n; 32]),
        device_name: format!("Phone {n}"),
        os: "Linux".into(),
        host_nonce: Nonce([n; 32]),
        guest_nonce: Nonce([n; 32]),
        expires_in_ms: u64::MAX,
    };
    let board = |seq, knocks: std::ops::Range<u8>| Board { seq, waiting: knocks.map(invent).collect(), ended: vec![] };
    let tell =
        async |board: &Board| ask(&connection, &post("/mesh/v1/knocks", &postcard::to_stdvec(board).unwrap())).await;
    assert!(tell(&board(1, 100..133)).await.unwrap().starts_with("HTTP/1.1 400"), "more than may wait");
    assert!(tell(&board(2, 100..130)).await.unwrap().starts_with("HTTP/1.1 204"));
    let shown = host.until(|picture| picture.knocks.len() > 1).await;
    assert_eq!(shown.knocks.iter().filter(|knock| via(knock) == Some("Laptop")).count(), 8);
    for seq in 3..40_u8 {
        tell(&board(u64::from(seq), 0..0)).await;
        tell(&board(u64::from(seq) + 100, 100 + seq..103 + seq)).await;
    }
    connection.close(0_u32.into(), b"");
    host.until(|picture| picture.knocks.len() == 1).await;
    let mut arrived = 0;
    while let Ok(event) = events.try_recv() {
        arrived += usize::from(matches!(event, MeshEvent::KnockArrived(knock) if knock.via.is_some()));
    }
    assert!(arrived <= 12, "{arrived} cards in a minute");
    host.mesh.approve(knock.id, Role::Member, None).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }), "the honest knock was not hurt");
}
