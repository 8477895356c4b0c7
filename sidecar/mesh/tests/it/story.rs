//! The life of a network.

use std::time::Instant;

use myownmesh_mesh::{
    Code, DenyKind, ErrorKind, InviteOptions, InviteProblem, JoinStep, KnockOutcome, LinkState, MeshError, MeshEvent,
    NetworkKind, NetworkName, Role,
};
use serde_json::json;

use super::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn found_invite_knock_compare_approve_and_ask_both_ways() {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    let mut events = host.mesh.events();
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();

    assert_eq!(step(&mut progress).await, JoinStep::Finding { network: NetworkName::parse("Home").unwrap() });
    let JoinStep::Connected { device_name } = step(&mut progress).await else { panic!("not connected") };
    assert_eq!(device_name.as_str(), "Attic");
    let JoinStep::Knocking { code, expires_at, invite } = step(&mut progress).await else { panic!("not knocking") };
    assert!(invite.is_none());
    let knock = host.knock().await;
    assert_eq!((knock.code, knock.device_id, knock.device_name.as_str()), (code, guest.id(), "Laptop"));
    assert!((knock.expires_at - expires_at).abs() < 5_000, "both sides show the same deadline");
    assert!(guest.mesh.snapshot().networks.is_empty(), "a stranger has nothing until it is approved");

    let decided = Instant::now();
    let member = host.mesh.approve(knock.id, Role::Member, Some(code)).await.unwrap();
    assert_eq!((member.device_id, member.role), (guest.id(), Role::Member));
    let JoinStep::Joined { network } = step(&mut progress).await else { panic!("not joined") };
    assert_eq!((network.name.as_str(), network.members, network.role), ("Home", 2, Some(Role::Member)));
    assert!(progress.next().await.is_none(), "a join ends once");
    println!("decision to active: {:?}", decided.elapsed());

    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
    assert_eq!(host.text(guest.id(), "/who").await.unwrap(), "Attic Owner");
    println!("decision to first answers both ways: {:?}", decided.elapsed());
    host.until(|picture| picture.knocks.is_empty()).await;

    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    assert!(matches!(&seen[0], MeshEvent::KnockArrived(arrived) if arrived.code == code), "{seen:?}");
    assert!(seen.iter().any(|event| matches!(event, MeshEvent::KnockEnded { outcome: KnockOutcome::Approved, .. })));
    assert!(
        seen.iter().any(|event| matches!(event, MeshEvent::MemberAdded { device_id, .. } if *device_id == guest.id()))
    );
    host.mesh.shutdown().await;
    guest.mesh.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_reaches_the_other_screen_with_its_reason() {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    let invite = host.invite().await;
    let mut progress = guest.mesh.join(invite.clone()).await.unwrap();
    until_knocking(&mut progress).await;
    host.deny(DenyKind::Denied, Some("not\u{202E} today")).await;
    let failed = last(&mut progress).await;
    assert_eq!(failed, JoinStep::Failed(MeshError::Denied { reason: Some("not today".to_owned()) }));
    host.until(|picture| picture.knocks.is_empty()).await;

    // The key has to wait a second before its next knock.
    let JoinStep::Failed(error) = last(&mut guest.mesh.join(invite).await.unwrap()).await else { panic!("joined") };
    assert_eq!(error.kind(), ErrorKind::RateLimited);

    let other = Device::start("Phone", 3).await;
    let mut progress = other.mesh.join(host.invite().await).await.unwrap();
    until_knocking(&mut progress).await;
    host.deny(DenyKind::CodesDiffer, None).await;
    assert_eq!(last(&mut progress).await, JoinStep::Failed(MeshError::CodesDiffer));
    assert!(other.mesh.snapshot().networks.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_approves_nobody_and_the_knock_stays() {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    let code = until_knocking(&mut progress).await;
    let knock = host.knock().await;
    let wrong: Code = if code.compact() == "K7M2XQ" { "K7M2XR" } else { "K7M2XQ" }.parse().unwrap();
    let error = host.mesh.approve(knock.id, Role::Member, Some(wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CodeMismatch);
    assert_eq!(host.mesh.snapshot().members.len(), 1);
    host.mesh.approve(knock.id, Role::Member, Some(code)).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    let gone = host.mesh.approve(knock.id, Role::Member, None).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_knock_that_is_withdrawn_leaves_the_screen() {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    until_knocking(&mut progress).await;
    host.knock().await;
    progress.cancel();
    assert_eq!(last(&mut progress).await, JoinStep::Failed(MeshError::Cancelled));
    host.until(|picture| picture.knocks.is_empty()).await;

    // Dropping the progress does the same.
    let other = Device::start("Phone", 3).await;
    let mut progress = other.mesh.join(host.invite().await).await.unwrap();
    until_knocking(&mut progress).await;
    host.knock().await;
    drop(progress);
    host.until(|picture| picture.knocks.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_device_is_back_without_being_asked_and_at_once() {
    let (host, guest) = pair().await;
    let (host_id, guest_id) = (host.id(), guest.id());
    for round in 0..3 {
        let guest_is_down = Instant::now();
        guest.mesh.shutdown().await;
        assert!(guest_is_down.elapsed().as_secs() < 2, "shutdown took {:?}", guest_is_down.elapsed());
        host.until(|picture| matches!(picture.member(guest_id).unwrap().link, LinkState::Away { .. })).await;
        if round == 2 {
            break;
        }
    }
    let began = Instant::now();
    let guest = guest.restart().await;
    assert_eq!(guest.text(host_id, "/who").await.unwrap(), "Laptop Member");
    let took = began.elapsed();
    println!("start of a known device to its first answer: {took:?}");
    assert!(took.as_millis() < 1000, "took {took:?}");

    // The other way round: the founder restarts and asks the guest.
    let began = Instant::now();
    let host = host.restart().await;
    assert_eq!(host.text(guest_id, "/who").await.unwrap(), "Attic Owner");
    println!("restart of the founder to its first answer: {:?}", began.elapsed());
    guest.until_linked(&[host_id]).await;

    // Both at once: each one's port is that of its last run.
    let (host, guest) = tokio::join!(host.restart(), guest.restart());
    let began = Instant::now();
    let (a, b) = tokio::join!(host.text(guest_id, "/who"), guest.text(host_id, "/who"));
    assert_eq!((a.unwrap().as_str(), b.unwrap().as_str()), ("Attic Owner", "Laptop Member"));
    println!("both restarted to first answers: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_newcomer_is_linked_with_everybody() {
    let (host, guest) = pair().await;
    let third = Device::start("Phone", 3).await;
    // The guest may admit too: the network is open.
    let began = Instant::now();
    join(&guest, &third).await;
    third.until_linked(&[host.id(), guest.id()]).await;
    host.until_linked(&[third.id(), guest.id()]).await;
    guest.until_linked(&[third.id(), host.id()]).await;
    println!("invite to all three linked: {:?}", began.elapsed());
    assert_eq!(host.text(third.id(), "/who").await.unwrap(), "Attic Owner");
    assert_eq!(third.text(host.id(), "/who").await.unwrap(), "Phone Member");
    for device in [&host, &guest, &third] {
        let picture = device.mesh.snapshot();
        assert_eq!(picture.members.len(), 3);
        assert!(picture.members[0].this_device);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_reaches_members_within_a_second_and_newcomers_on_connect() {
    let (host, guest) = pair().await;
    let models = |count: u32| json!({ "models": count });
    for count in 0..5 {
        let began = Instant::now();
        host.mesh.publish_card(models(count)).await.unwrap();
        let shown = |card: Option<&serde_json::Value>| card == Some(&models(count));
        guest.until(|picture| shown(picture.member(host.id()).unwrap().card.as_deref())).await;
        let took = began.elapsed();
        println!("card change seen after {took:?}");
        assert!(took.as_millis() < 1000, "took {took:?}");
    }
    let third = Device::start("Phone", 3).await;
    join(&host, &third).await;
    third.until(|picture| picture.member(host.id()).unwrap().card.is_some()).await;

    // It is still there while the other device is away, and after a restart.
    let guest = guest.restart().await;
    guest.until(|picture| picture.member(host.id()).unwrap().card.as_deref() == Some(&models(4))).await;

    let large = json!("x".repeat(64 * 1024));
    assert_eq!(host.mesh.publish_card(large).await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_cuts_streams_at_once_and_the_device_learns_of_it() {
    let (host, mut guest) = pair().await;
    let third = Device::start("Phone", 3).await;
    join(&host, &third).await;
    third.until_linked(&[guest.id()]).await;
    // The guest serves the third device, and asks it, while it is removed by the first.
    let mut answer = guest.get(third.id(), "/endless").await.unwrap();
    let mut body = answer.body_mut();
    assert!(http_body_util::BodyExt::frame(&mut body).await.unwrap().is_ok());

    let began = Instant::now();
    host.mesh.remove_device(guest.id()).await.unwrap();
    let cut = tokio::time::timeout(PATIENCE, http_body_util::BodyExt::frame(&mut body)).await.unwrap();
    assert!(cut.is_none_or(|frame| frame.is_err()), "the stream is cut");
    println!("removal to cut stream on another member: {:?}", began.elapsed());
    assert!(began.elapsed().as_millis() < 1000);
    guest.until(|picture| picture.networks[0].role.is_none()).await;
    println!("removal to known by the removed: {:?}", began.elapsed());
    third.until(|picture| picture.members.len() == 2).await;
    assert_eq!(guest.get(host.id(), "/who").await.unwrap_err().kind(), ErrorKind::NotMember);
    assert_eq!(host.get(guest.id(), "/who").await.unwrap_err().kind(), ErrorKind::NotMember);

    // A restart does not help, and a new knock does.
    guest = guest.restart().await;
    assert_eq!(guest.get(host.id(), "/who").await.unwrap_err().kind(), ErrorKind::NotMember);
    join(&host, &guest).await;
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_made_while_a_member_was_away_arrive_when_it_is_back() {
    let (host, guest) = pair().await;
    guest.mesh.shutdown().await;
    let network = host.mesh.snapshot().active.unwrap();
    host.mesh.rename_network(network, NetworkName::parse("House").unwrap()).await.unwrap();
    let third = Device::start("Phone", 3).await;
    join(&host, &third).await;
    third.mesh.rename_device(myownmesh_mesh::DeviceName::parse("Tablet").unwrap()).await.unwrap();
    let guest = guest.restart().await;
    let renamed = |member: &myownmesh_mesh::MemberInfo| member.name.as_str() == "Tablet";
    guest.until(|picture| picture.networks[0].name.as_str() == "House" && picture.members.iter().any(renamed)).await;
    // It learned of the third device from the first, which told where it is, or was dialled by it.
    guest.until_linked(&[third.id(), host.id()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_approved_invite_admits_as_often_as_it_says() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let options = InviteOptions { approved: true, uses: Some(1), ..InviteOptions::default() };
    let made = host.mesh.create_invite(options).await.unwrap();
    assert_eq!(made.uses_left, Some(1));
    let guest = Device::start("Laptop", 2).await;
    let mut progress = guest.mesh.join(made.link.parse().unwrap()).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    assert_eq!(host.mesh.invites().await.unwrap()[0].uses_left, Some(0));

    // Used up: it falls back to a knock, and says why.
    let other = Device::start("Phone", 3).await;
    let mut progress = other.mesh.join(made.link.parse().unwrap()).await.unwrap();
    let why = loop {
        if let JoinStep::Knocking { invite, .. } = step(&mut progress).await {
            break invite;
        }
    };
    assert!(why.is_some());
}

/// Why a pre-approved invite did not admit the device that shows a code now.
async fn problem(progress: &mut myownmesh_mesh::JoinProgress) -> Option<InviteProblem> {
    loop {
        match step(progress).await {
            JoinStep::Finding { .. } | JoinStep::Connected { .. } => {}
            JoinStep::Knocking { invite, .. } => return invite,
            other => panic!("expected a knock, not {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_approved_invite_that_is_over_falls_back_to_a_knock_and_says_why() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let approved = InviteOptions { approved: true, ..InviteOptions::default() };
    let revoked = host.mesh.create_invite(approved.clone()).await.unwrap();
    host.mesh.revoke_invite(revoked.id).await.unwrap();
    let soon = InviteOptions { expires_in: Some(std::time::Duration::from_secs(1)), ..approved.clone() };
    let expired = host.mesh.create_invite(soon).await.unwrap();
    let link: myownmesh_mesh::Invite = expired.link.parse().unwrap();
    while link.check_current(now_ms()).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let used_up = host.mesh.create_invite(approved).await.unwrap();
    let first = Device::start("First", 9).await;
    let mut progress = first.mesh.join(used_up.link.parse().unwrap()).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    let over = [
        (revoked, InviteProblem::Revoked, 10),
        (expired, InviteProblem::Expired, 11),
        (used_up, InviteProblem::UsedUp, 12),
    ];
    for (invite, why, seed) in over {
        let guest = Device::start("Phone", seed).await;
        let mut progress = guest.mesh.join(invite.link.parse().unwrap()).await.unwrap();
        assert_eq!(problem(&mut progress).await, Some(why));
        let knock = host.knock().await;
        host.mesh.approve(knock.id, Role::Member, None).await.unwrap();
        assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }), "a person can still admit");
        host.until(|picture| picture.knocks.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_approved_invite_is_honoured_by_others_while_its_maker_is_away() {
    let (host, guest) = pair().await;
    let (host_id, guest_id) = (host.id(), guest.id());
    let options = InviteOptions { approved: true, uses: Some(2), ..InviteOptions::default() };
    let made = host.mesh.create_invite(options).await.unwrap();
    let invite: myownmesh_mesh::Invite = made.link.parse().unwrap();
    assert_eq!(invite.payload().others.len(), 1, "it names the other member");
    let network = invite.payload().network;
    let known = |decision: &myownmesh_mesh::DecisionInfo| matches!(decision.what, myownmesh_mesh::DecisionKind::Invited { invite, .. } if invite == made.id);
    while !guest.mesh.decisions(network).await.unwrap().iter().any(known) {
        tokio::task::yield_now().await;
    }
    host.mesh.shutdown().await;

    let third = Device::start("Phone", 3).await;
    let began = Instant::now();
    let mut progress = third.mesh.join(invite.clone()).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    println!("joined by another member after {:?}", began.elapsed());
    third.until_linked(&[guest_id]).await;
    let host = host.restart().await;
    host.until_linked(&[third.id(), guest_id]).await;
    assert_eq!(host.mesh.invites().await.unwrap()[0].uses_left, Some(1));

    // The maker has another network active: the invite still leads in.
    host.mesh.create_network(NetworkName::parse("Office").unwrap(), NetworkKind::Open).await.unwrap();
    let fourth = Device::start("Tablet", 4).await;
    let mut progress = fourth.mesh.join(invite).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Joined { .. }));
    assert!(fourth.mesh.snapshot().member(host_id).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn invites_that_do_not_work_say_why() {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    assert_eq!(host.mesh.create_invite(InviteOptions::default()).await.unwrap_err().kind(), ErrorKind::NoNetwork);
    host.found("Home").await;
    let soon = InviteOptions { expires_in: Some(std::time::Duration::from_secs(1)), ..InviteOptions::default() };
    let made = host.mesh.create_invite(soon).await.unwrap();
    let invite: myownmesh_mesh::Invite = made.link.parse().unwrap();
    while invite.check_current(now_ms()).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(guest.mesh.join(invite).await.unwrap_err().kind(), ErrorKind::InviteExpired);

    let mut tampered = made.link.clone();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.insert(tampered.len() - 20, last);
    let error = MeshError::from(tampered.parse::<myownmesh_mesh::Invite>().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidInvite);
    assert_eq!(host.mesh.join(host.invite().await).await.unwrap_err().kind(), ErrorKind::InvalidInvite);

    // The host has another network active now.
    let invite = host.invite().await;
    host.mesh.create_network(NetworkName::parse("Office").unwrap(), NetworkKind::Open).await.unwrap();
    let JoinStep::Failed(error) = super::support::last(&mut guest.mesh.join(invite).await.unwrap()).await else {
        panic!("joined")
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInvite);
    let bad = InviteOptions { uses: Some(3), ..InviteOptions::default() };
    assert_eq!(host.mesh.create_invite(bad).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_closes_the_links_and_coming_back_opens_them() {
    let (host, guest) = pair().await;
    let network = guest.mesh.snapshot().active.unwrap();
    guest.mesh.leave_network().await.unwrap();
    let away = host.until(|picture| matches!(picture.member(guest.id()).unwrap().link, LinkState::Away { .. })).await;
    assert!(!away.member(guest.id()).unwrap().link.reason().is_empty());
    assert_eq!(guest.get(host.id(), "/who").await.unwrap_err().kind(), ErrorKind::NotMember);
    assert!(guest.mesh.snapshot().members.is_empty());

    let began = Instant::now();
    guest.mesh.use_network(network).await.unwrap();
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
    println!("switch to first answer: {:?}", began.elapsed());

    guest.mesh.forget_network(network).await.unwrap();
    assert!(guest.mesh.snapshot().networks.is_empty());
    assert_eq!(guest.mesh.use_network(network).await.unwrap_err().kind(), ErrorKind::NotFound);
    // It has left for the others as well, so the way back is a knock.
    host.until(|picture| picture.members.len() == 1).await;
    join(&host, &guest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_the_stage_that_fails() {
    let (host, guest) = pair().await;
    let report = host.mesh.probe(guest.id()).await;
    assert!(
        report.found.ok && report.reachable.unwrap().ok && report.direct.unwrap().ok && report.admitted.unwrap().ok
    );
    let stranger = Device::start("Phone", 3).await;
    let report = host.mesh.probe(stranger.id()).await;
    assert!(!report.found.ok && report.reachable.is_none());
    guest.mesh.shutdown().await;
    let report = host.mesh.probe(guest.id()).await;
    let reachable = report.reachable.unwrap();
    assert!(report.found.ok && !reachable.ok && reachable.fix.is_some(), "{reachable:?}");
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
