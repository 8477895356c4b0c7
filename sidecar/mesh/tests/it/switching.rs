//! One active network, many saved: switching, leaving for good, joining meanwhile, in any order.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use myownmesh_mesh::{
    Collection, DecisionKind, DeviceId, DocumentEdit, DocumentId, ErrorKind, InviteOptions, JoinStep, LinkState,
    MeshEvent, MeshSnapshot, NetworkId, NetworkKind, NetworkName, Role,
};

use super::support::*;

/// Laptop is a member of Home, with Attic, and of Office, with Desk. Office is active.
async fn commuter() -> (Device, Device, Device, NetworkId, NetworkId) {
    let (home, laptop) = pair().await;
    let at_home = laptop.mesh.snapshot().active.unwrap();
    let office = Device::start("Desk", 3).await;
    office.found("Office").await;
    join(&office, &laptop).await;
    let at_office = laptop.mesh.snapshot().active.unwrap();
    (laptop, home, office, at_home, at_office)
}

/// Whether the picture is that of `network`, linked with `other`, and of no other.
fn is_at(picture: &MeshSnapshot, network: NetworkId, other: DeviceId) -> bool {
    picture.active == Some(network)
        && picture.networks.iter().all(|info| info.active == (info.id == network))
        && picture.members.len() == 2
        && picture.member(other).is_some_and(|member| member.link.is_online())
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_back_and_forth_at_once_ends_where_it_was_last_asked_to() {
    let (laptop, home, office, at_home, at_office) = commuter().await;
    for _ in 0..5 {
        let mesh = &laptop.mesh;
        let (a, b, c, d) = tokio::join!(
            mesh.use_network(at_home),
            mesh.use_network(at_office),
            mesh.use_network(at_office),
            mesh.use_network(at_home)
        );
        assert!(a.unwrap().active && b.unwrap().active && c.unwrap().active && d.unwrap().active);
        laptop.until(|picture| is_at(picture, at_home, home.id())).await;
        assert_eq!(laptop.text(home.id(), "/who").await.unwrap(), "Laptop Member");
        assert_eq!(laptop.get(office.id(), "/who").await.unwrap_err().kind(), ErrorKind::NotMember);
        let began = Instant::now();
        laptop.mesh.use_network(at_office).await.unwrap();
        let switched = began.elapsed();
        assert!(switched < Duration::from_millis(500), "took {switched:?}");
        laptop.until(|picture| is_at(picture, at_office, office.id())).await;
        println!("switched after {switched:?}, linked there after {:?}", began.elapsed());
    }
    // The others see it come and go, and why.
    let away = home.until(|picture| matches!(picture.member(laptop.id()).unwrap().link, LinkState::Away { .. })).await;
    assert!(!away.member(laptop.id()).unwrap().link.reason().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_flight_ends_when_either_side_switches() {
    let (mut laptop, _home, mut office, at_home, at_office) = commuter().await;
    let mut asked = laptop.get(office.id(), "/endless").await.unwrap().into_body();
    let mut served = office.get(laptop.id(), "/endless").await.unwrap().into_body();
    assert!(asked.frame().await.unwrap().is_ok() && served.frame().await.unwrap().is_ok());
    let mut told = office.mesh.events();
    let began = Instant::now();
    laptop.mesh.use_network(at_home).await.unwrap();
    for body in [&mut asked, &mut served] {
        let cut = tokio::time::timeout(PATIENCE, body.frame()).await.expect("cut");
        assert!(cut.is_none_or(|frame| frame.is_err()));
    }
    for device in [&mut laptop, &mut office] {
        let dropped = tokio::time::timeout(PATIENCE, device.dropped.recv()).await.expect("dropped");
        assert_eq!(dropped, Some("endless"), "no handler goes on working");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
    // An event, not a picture: a moment later office has knocked again and knows which network is active there instead.
    let reason = tokio::time::timeout(PATIENCE, async {
        loop {
            if let MeshEvent::Device { device_id, state, .. } = told.recv().await.unwrap()
                && device_id == laptop.id()
            {
                break state.reason();
            }
        }
    });
    let reason = reason.await.expect("told");
    assert!(reason.contains("left the network"), "{reason}");
    laptop.mesh.use_network(at_office).await.unwrap();
    assert_eq!(laptop.text(office.id(), "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_ends_after_a_switch_is_saved_and_active() {
    let home = Device::start("Attic", 1).await;
    home.found("Home").await;
    let laptop = Device::start("Laptop", 2).await;
    laptop.found("Notes").await;
    let notes = laptop.mesh.snapshot().active.unwrap();
    let mut progress = laptop.mesh.join(home.invite().await).await.unwrap();
    let code = until_knocking(&mut progress).await;
    // Meanwhile the person goes elsewhere, and elsewhere again, and deletes that.
    laptop.found("Office").await;
    let office = laptop.mesh.snapshot().active.unwrap();
    laptop.mesh.use_network(notes).await.unwrap();
    laptop.mesh.forget_network(office).await.unwrap();
    assert_eq!(laptop.mesh.snapshot().networks.len(), 1, "nothing of a network that did not let it in yet");
    let knock = home.knock().await;
    home.mesh.approve(knock.id, Role::Member, Some(code)).await.unwrap();
    let JoinStep::Joined { network } = last(&mut progress).await else { panic!("not joined") };
    assert!(network.active);
    laptop.until(|picture| is_at(picture, network.id, home.id())).await;
    let saved: Vec<String> = laptop.mesh.snapshot().networks.iter().map(|info| info.name.to_string()).collect();
    assert_eq!(saved, ["Home", "Notes"]);
    // A cold start finds it the same.
    let laptop = laptop.restart().await;
    laptop.until(|picture| is_at(picture, network.id, home.id())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_and_switches_at_once_leave_no_half_joined_network() {
    let (laptop, home, office, at_home, at_office) = commuter().await;
    let garden = Device::start("Shed", 4).await;
    garden.found("Garden").await;
    let options = InviteOptions { approved: true, ..InviteOptions::default() };
    let invite = garden.mesh.create_invite(options).await.unwrap().link.parse().unwrap();
    let mut progress = laptop.mesh.join(invite).await.unwrap();
    let ending = async {
        let JoinStep::Joined { network } = last(&mut progress).await else { panic!("not joined") };
        network.id
    };
    let switching = async {
        for _ in 0..10 {
            laptop.mesh.use_network(at_home).await.unwrap();
            laptop.mesh.use_network(at_office).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (at_garden, ()) = tokio::join!(ending, switching);
    for (network, other) in [(at_garden, &garden), (at_home, &home), (at_office, &office)] {
        laptop.mesh.use_network(network).await.unwrap();
        laptop.until(|picture| is_at(picture, network, other.id())).await;
        assert_eq!(laptop.text(other.id(), "/who").await.unwrap(), "Laptop Member");
    }
    assert_eq!(laptop.mesh.snapshot().networks.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_away_from_and_to_a_network_nobody_answers_in_works() {
    let (laptop, home, office, at_home, at_office) = commuter().await;
    home.mesh.shutdown().await;
    let began = Instant::now();
    laptop.mesh.use_network(at_home).await.unwrap();
    laptop.mesh.use_network(at_office).await.unwrap();
    laptop.mesh.use_network(at_home).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1_500), "took {:?}", began.elapsed());
    let alone = laptop.mesh.snapshot();
    assert!(alone.members.len() == 2 && !alone.member(home.id()).unwrap().link.is_online());
    let home = home.restart().await;
    laptop.until(|picture| is_at(picture, at_home, home.id())).await;
    laptop.mesh.use_network(at_office).await.unwrap();
    laptop.until(|picture| is_at(picture, at_office, office.id())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_a_network_ends_the_membership_for_the_others() {
    let (laptop, home, office, at_home, at_office) = commuter().await;
    // The active one.
    laptop.mesh.forget_network(at_office).await.unwrap();
    let picture = laptop.mesh.snapshot();
    assert_eq!((picture.active, picture.networks.len(), picture.members.len()), (None, 1, 0));
    office.until(|picture| picture.members.len() == 1).await;
    let decisions = office.mesh.decisions(at_office).await.unwrap();
    assert_eq!((&decisions[0].what, decisions[0].author), (&DecisionKind::Left, laptop.id()));
    // One that is not active.
    laptop.found("Notes").await;
    laptop.mesh.forget_network(at_home).await.unwrap();
    home.until(|picture| picture.members.len() == 1).await;
    let kept: Vec<String> = laptop.mesh.snapshot().networks.iter().map(|info| info.name.to_string()).collect();
    assert_eq!(kept, ["Notes"]);
    // Both are gone for good, also after a restart, and a way back is a knock.
    let laptop = laptop.restart().await;
    assert_eq!(laptop.mesh.use_network(at_home).await.unwrap_err().kind(), ErrorKind::NotFound);
    join(&home, &laptop).await;
    assert_eq!(laptop.text(home.id(), "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_names_another_before_it_forgets() {
    let (host, guest) = pair().await;
    let network = host.mesh.snapshot().active.unwrap();
    let refused = host.mesh.forget_network(network).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("Name another one first"), "{refused}");
    assert_eq!(host.mesh.snapshot().active, Some(network), "nothing has changed");
    host.mesh.set_role(guest.id(), Role::Owner).await.unwrap();
    guest.until(|picture| picture.networks[0].role == Some(Role::Owner)).await;
    host.mesh.forget_network(network).await.unwrap();
    guest.until(|picture| picture.members.len() == 1).await;
    // Who is left alone just deletes it, and so does whoever was removed.
    guest.mesh.forget_network(network).await.unwrap();
    assert!(guest.mesh.snapshot().networks.is_empty());

    host.mesh.create_network(NetworkName::parse("Office").unwrap(), NetworkKind::Closed).await.unwrap();
    join(&host, &guest).await;
    host.mesh.remove_device(guest.id()).await.unwrap();
    let removed = guest.until(|picture| picture.networks[0].removed.is_some()).await;
    guest.mesh.forget_network(removed.networks[0].id).await.unwrap();
    assert!(guest.mesh.snapshot().networks.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_waits_a_second_at_most_for_members_that_are_away() {
    let (host, guest) = pair().await;
    let network = guest.mesh.snapshot().active.unwrap();
    host.mesh.shutdown().await;
    let began = Instant::now();
    let forgetting = guest.mesh.forget_network(network);
    let (done, ()) = tokio::join!(forgetting, async {
        // The picture does not wait.
        guest.until(|picture| picture.networks.is_empty()).await;
        guest.found("Notes").await;
    });
    done.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1_800), "took {:?}", began.elapsed());
    assert_eq!(guest.mesh.snapshot().networks.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_worked_out_from_one_network_is_not_written_into_another() {
    let laptop = Device::start("Laptop", 1).await;
    laptop.found("Home").await;
    let at_home = laptop.mesh.snapshot().active.unwrap();
    laptop.found("Office").await;
    let at_office = laptop.mesh.snapshot().active.unwrap();
    let (prompts, id) = (Collection::parse("prompts").unwrap(), DocumentId::parse("a").unwrap());
    let edit = || vec![DocumentEdit { collection: prompts.clone(), own: false, id: id.clone(), value: Some(vec![1]) }];

    let refused = laptop.mesh.write_documents_in(at_home, edit()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(laptop.mesh.documents_in(at_home, &prompts).await.unwrap_err().kind(), ErrorKind::Conflict);
    let refused = laptop.mesh.document_history_in(at_home, &prompts, None, &id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(laptop.mesh.documents(&prompts).await.unwrap().is_empty(), "nothing was written");

    laptop.mesh.write_documents_in(at_office, edit()).await.unwrap();
    assert_eq!(laptop.mesh.documents_in(at_office, &prompts).await.unwrap().len(), 1);
    laptop.mesh.use_network(at_home).await.unwrap();
    assert!(laptop.mesh.documents_in(at_home, &prompts).await.unwrap().is_empty());
}
