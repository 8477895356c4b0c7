//! Knocks and invites that were good once, or for somebody else; and names that are taken for another.

use std::time::Duration;

use myownmesh_mesh::proto::code::{Commitment, Nonce};
use myownmesh_mesh::proto::invite::Payload;
use myownmesh_mesh::proto::knock::{DenyKind, GuestFrame, Hello, HostFrame, InviteClaim, InviteProblem};
use myownmesh_mesh::{DeviceName, Invite, InviteOptions, JoinStep, NetworkId};

use super::liar::*;
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_knock_is_refused() {
    let mut scene = Scene::new().await;
    // An honest guest's frames, as somebody who sees them could keep them.
    let guest = Liar::new(60).await;
    let nonce = Nonce([3; 32]);
    let hello = guest.hello(scene.network, "Phone", nonce);
    let mut first = guest.knock(&scene.host, hello.clone()).await;
    let host_nonce = first.challenge().await;
    let code = first.code(scene.network, guest.id(), host_nonce, nonce);
    first.say(&GuestFrame::Reveal { nonce }).await;
    assert!(matches!(first.answer().await, HostFrame::Waiting { .. }));
    assert_eq!(scene.host.knock().await.code, code);
    first.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;

    // From another key they do not fit: the commitment names the guest.
    let thief = Liar::new(61).await;
    let mut replay = thief.knock(&scene.host, hello.clone()).await;
    replay.challenge().await;
    replay.say(&GuestFrame::Reveal { nonce }).await;
    assert!(is_fault(&replay.answer().await));
    scene.told(thief.id(), "in a way that the app never does").await;
    // For another network they do not fit either.
    let elsewhere = Hello { network: NetworkId::from_bytes([7; 32]), ..hello.clone() };
    let other = Liar::new(62).await;
    let mut replay = other.knock(&scene.host, elsewhere).await;
    assert!(matches!(replay.answer().await, HostFrame::Denied { kind: DenyKind::WrongNetwork, .. }));
    // Even from the same key the old code is gone: the host's nonce is fresh each time.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut again = guest.knock(&scene.host, hello).await;
    assert_ne!(again.challenge().await, host_nonce);
    again.say(&GuestFrame::Reveal { nonce }).await;
    assert!(matches!(again.answer().await, HostFrame::Waiting { .. }));
    let shown = scene.host.knock().await;
    assert_ne!(shown.code, code);
    // A person who types the old code from the first try approves nobody.
    let approved = scene.host.mesh.approve(shown.id, myownmesh_mesh::Role::Member, Some(code)).await;
    assert!(approved.is_err());
    again.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_out_of_turn_end_a_knock() {
    let scene = Scene::new().await;
    let nonce = Nonce([3; 32]);
    for seed in 60..64 {
        let liar = Liar::new(seed).await;
        let hello = || GuestFrame::Hello(liar.hello(scene.network, "Phone", nonce));
        let reveal = || GuestFrame::Reveal { nonce };
        let frames = match seed {
            60 => vec![reveal()],
            61 => vec![hello(), hello()],
            62 => vec![hello(), reveal(), reveal()],
            _ => vec![hello(), reveal(), hello()],
        };
        let mut knocking = liar.begin(&scene.host).await;
        let mut last = None;
        for frame in &frames {
            knocking.say(frame).await;
            last = knocking.try_answer().await;
        }
        assert!(last.as_ref().is_some_and(is_fault), "{seed}: {last:?}");
        assert_eq!(knocking.try_answer().await, None, "nothing comes after it");
    }
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_is_pointed_out_whatever_alphabet_it_borrows() {
    let scene = Scene::new().await;
    // Cyrillic, Greek, full width, digits for letters, spaces, an accent.
    let names = ["\u{0410}ttic", "\u{0391}ttic", "\u{FF21}ttic", "Att1c", "A t t i c", "\u{C0}ttic"];
    for (seed, name) in (100..).zip(names) {
        let liar = Liar::new(seed).await;
        let (knocking, answer) = liar.knock_through(&scene.host, name, None).await;
        assert!(matches!(answer, HostFrame::Waiting { .. }), "{name}: {answer:?}");
        let knock = scene.host.knock().await;
        assert_eq!(knock.resembles.as_ref().map(DeviceName::as_str), Some("Attic"), "{name}");
        knocking.connection.close(0_u32.into(), b"");
        scene.host.until(|picture| picture.knocks.is_empty()).await;
    }
    // A name of its own is not.
    let liar = Liar::new(120).await;
    let (knocking, _) = liar.knock_through(&scene.host, "Kitchen", None).await;
    assert_eq!(scene.host.knock().await.resembles, None);
    knocking.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}

/// Knocks with an invite's proof and tells how that ended.
async fn problem(scene: &Scene, seed: u8, invite: &Payload) -> Option<InviteProblem> {
    let liar = Liar::new(seed).await;
    let proof = invite.secret.unwrap().prove(invite.network, liar.id());
    claim(scene, &liar, InviteClaim { id: invite.id, proof: Some(proof) }).await
}

async fn claim(scene: &Scene, liar: &Liar, claim: InviteClaim) -> Option<InviteProblem> {
    let (knocking, answer) = liar.knock_through(&scene.host, "Phone", Some(claim)).await;
    let HostFrame::Waiting { invite, .. } = answer else { panic!("not a plain knock: {answer:?}") };
    // A person sees it, as any knock.
    scene.host.until(|picture| picture.knocks.iter().any(|knock| knock.device_id == liar.id())).await;
    knocking.connection.close(0_u32.into(), b"");
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    invite
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_invite_lets_nobody_in() {
    let mut scene = Scene::new().await;
    let make = async |expires_in| {
        let options = InviteOptions { approved: true, expires_in, ..InviteOptions::default() };
        let made = scene.host.mesh.create_invite(options).await.unwrap();
        made.link.parse::<Invite>().unwrap()
    };
    let (used, revoked, expired) = (make(None).await, make(None).await, make(Some(Duration::from_secs(1))).await);
    let fresh = make(None).await;
    // One device enters by the first invite.
    let guest = Device::start("Tablet", 5).await;
    let mut progress = guest.mesh.join(used.clone()).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    scene.host.mesh.revoke_invite(revoked.payload().id).await.unwrap();
    scene.host.mesh.remove_device(guest.id()).await.unwrap();
    scene.host.until(|picture| picture.member(guest.id()).is_none()).await;
    guest.mesh.shutdown().await;
    scene.look_again();

    assert_eq!(problem(&scene, 60, used.payload()).await, Some(InviteProblem::UsedUp));
    assert_eq!(problem(&scene, 61, revoked.payload()).await, Some(InviteProblem::Revoked));
    let over = i64::try_from(now()).unwrap() - expired.payload().expires_at;
    if over < 0 {
        tokio::time::sleep(Duration::from_millis(over.unsigned_abs() + 10)).await;
    }
    assert_eq!(problem(&scene, 62, expired.payload()).await, Some(InviteProblem::Expired));
    // The proof that another device made is worth nothing, nor is one for another network, nor one of a guessed secret.
    let (payload, thief) = (fresh.payload(), Liar::new(63).await);
    let stolen = payload.secret.unwrap().prove(payload.network, scene.honest.id());
    let id = payload.id;
    assert_eq!(claim(&scene, &thief, InviteClaim { id, proof: Some(stolen) }).await, Some(InviteProblem::BadProof));
    let foreign = payload.secret.unwrap().prove(NetworkId::from_bytes([7; 32]), Liar::new(64).await.id());
    let thief = Liar::new(64).await;
    assert_eq!(claim(&scene, &thief, InviteClaim { id, proof: Some(foreign) }).await, Some(InviteProblem::BadProof));
    // Who was removed does not come back by an invite, not even by one that is good for others.
    assert_eq!(problem(&scene, 5, payload).await, Some(InviteProblem::Revoked));
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commitment_to_nothing_is_worth_nothing() {
    let scene = Scene::new().await;
    // Committed as another device, as another network, to another nonce.
    let nonce = Nonce([3; 32]);
    for seed in 60..63 {
        let liar = Liar::new(seed).await;
        let commitment = match seed {
            60 => Commitment::to(scene.network, scene.honest.id(), &nonce),
            61 => Commitment::to(NetworkId::from_bytes([7; 32]), liar.id(), &nonce),
            _ => Commitment::to(scene.network, liar.id(), &Nonce([4; 32])),
        };
        let hello = Hello { commitment, ..liar.hello(scene.network, "Phone", nonce) };
        let mut knocking = liar.knock(&scene.host, hello).await;
        knocking.challenge().await;
        knocking.say(&GuestFrame::Reveal { nonce }).await;
        assert!(is_fault(&knocking.answer().await));
    }
    scene.unharmed().await;
}
