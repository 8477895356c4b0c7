//! Governing: removals and who has confirmed them, the kind, the settings, past decisions.

use std::time::{Duration, Instant};

use myownmesh_mesh::{
    DecisionKind, DeviceId, ErrorKind, MeshEvent, NetworkId, NetworkInfo, NetworkKind, NetworkName, Removal, Role,
    SettingsPatch,
};
use tokio::sync::broadcast::Receiver;

use super::support::*;

/// Attic founded the network and admitted Laptop and Phone; all are linked.
async fn three() -> (Device, Device, Device) {
    let (host, guest) = pair().await;
    let third = Device::start("Phone", 3).await;
    join(&host, &third).await;
    third.until_linked(&[guest.id()]).await;
    guest.until_linked(&[third.id()]).await;
    (host, guest, third)
}

async fn confirmation(events: &mut Receiver<MeshEvent>) -> (DeviceId, DeviceId, String) {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await.expect("a confirmation in time").unwrap();
        if let MeshEvent::RemovalAcknowledged { device_id, by, by_name } = event {
            return (device_id, by, by_name.to_string());
        }
    }
}

async fn removal_of(device: &Device, network: NetworkId) -> Removal {
    let decisions = device.mesh.decisions(network).await.unwrap();
    decisions.into_iter().find_map(|decision| decision.removal).expect("a removal")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_returns_when_everybody_online_has_cut_the_device_off() {
    let (host, guest, third) = three().await;
    let network = host.mesh.snapshot().active.unwrap();
    let mut body = guest.get(third.id(), "/endless").await.unwrap().into_body();
    assert!(http_body_util::BodyExt::frame(&mut body).await.unwrap().is_ok());

    let mut events = host.mesh.events();
    let began = Instant::now();
    let removal = host.mesh.remove_device(guest.id()).await.unwrap();
    println!("removal to confirmed by all: {:?}", began.elapsed());
    assert_eq!(removal, Removal { acknowledged: vec![third.id()], waiting: Vec::new() });
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
    assert!(third.mesh.snapshot().member(guest.id()).is_none(), "who confirmed has cut it off");
    let cut = tokio::time::timeout(PATIENCE, http_body_util::BodyExt::frame(&mut body)).await.unwrap();
    assert!(cut.is_none_or(|frame| frame.is_err()), "the stream is cut");
    assert_eq!(confirmation(&mut events).await, (guest.id(), third.id(), "Phone".to_owned()));

    // The removed device keeps what it has, and knows who removed it.
    let picture = guest.until(|picture| picture.networks[0].removed.is_some()).await;
    let info = &picture.networks[0];
    assert_eq!((info.id, info.role), (network, None));
    assert_eq!(info.removed.as_ref().unwrap().by.as_ref().map(ToString::to_string).as_deref(), Some("Attic"));
    assert_eq!(guest.mesh.remove_device(third.id()).await.unwrap_err().kind(), ErrorKind::NotMember);

    // Everybody can read it afterwards.
    assert_eq!(removal_of(&host, network).await, removal);
    let decided = third.mesh.decisions(network).await.unwrap();
    let DecisionKind::Removed { device, name } = &decided[0].what else { panic!("{decided:?}") };
    assert_eq!((*device, name.as_ref().unwrap().as_str()), (guest.id(), "Laptop"));
    assert_eq!(decided[0].author_name.as_ref().unwrap().as_str(), "Attic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_confirms_when_it_is_met_again() {
    let (host, guest, third) = three().await;
    let (guest_id, third_id) = (guest.id(), third.id());
    let network = host.mesh.snapshot().active.unwrap();
    third.mesh.shutdown().await;
    host.until(|picture| !picture.member(third_id).unwrap().link.is_online()).await;
    let mut events = host.mesh.events();
    let began = Instant::now();
    let removal = host.mesh.remove_device(guest_id).await.unwrap();
    assert_eq!(removal, Removal { acknowledged: Vec::new(), waiting: vec![third_id] });
    assert!(began.elapsed() < Duration::from_secs(1), "nobody online is waited for: {:?}", began.elapsed());

    let _third = third.restart().await;
    assert_eq!(confirmation(&mut events).await, (guest_id, third_id, "Phone".to_owned()));
    let confirmed = Removal { acknowledged: vec![third_id], waiting: Vec::new() };
    assert_eq!(removal_of(&host, network).await, confirmed);
    // It is kept, also while another network is active.
    let host = host.restart().await;
    host.found("Office").await;
    assert_eq!(removal_of(&host, network).await, confirmed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_when_it_was_removed_learns_of_it() {
    let (host, guest) = pair().await;
    let guest_id = guest.id();
    guest.mesh.shutdown().await;
    host.mesh.remove_device(guest_id).await.unwrap();
    let guest = guest.restart().await;
    let picture = guest.until(|picture| picture.networks[0].removed.is_some()).await;
    let info = &picture.networks[0];
    assert_eq!((info.role, info.active), (None, true), "it keeps what it has");
    assert_eq!(info.removed.as_ref().unwrap().by.as_ref().map(ToString::to_string).as_deref(), Some("Attic"));
    // Back by a knock, it is a member like any other.
    join(&host, &guest).await;
    assert!(guest.mesh.snapshot().networks[0].removed.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_set_the_kind_and_the_settings_for_everybody() {
    let (host, guest) = pair().await;
    let network = host.mesh.snapshot().active.unwrap();
    let mut events = guest.mesh.events();
    let info = host.mesh.set_network_kind(network, NetworkKind::Closed).await.unwrap();
    assert_eq!(info.kind, NetworkKind::Closed);
    guest.until(|picture| picture.networks[0].kind == NetworkKind::Closed).await;
    let refused = guest.mesh.create_invite(myownmesh_mesh::InviteOptions::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAllowed);
    assert_eq!(
        guest.mesh.set_network_kind(network, NetworkKind::Open).await.unwrap_err().kind(),
        ErrorKind::NotAllowed
    );

    let patch = SettingsPatch {
        relays: Some(vec!["http://10.0.0.9:3340".to_owned()]),
        announce: Some(true),
        air_gapped: Some(true),
        ..SettingsPatch::default()
    };
    let info = host.mesh.set_network_settings(network, patch.clone()).await.unwrap();
    assert_eq!(info.settings.relays, ["http://10.0.0.9:3340"]);
    assert!(info.settings.announce && info.settings.mdns && info.settings.active_relays().is_empty());
    guest.until(|picture| picture.networks[0].settings == info.settings).await;
    assert_eq!(guest.mesh.set_network_settings(network, patch).await.unwrap_err().kind(), ErrorKind::NotAllowed);
    let bad = SettingsPatch { relays: Some(vec!["nonsense".to_owned()]), ..SettingsPatch::default() };
    assert_eq!(host.mesh.set_network_settings(network, bad).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let nothing = host.mesh.decisions(network).await.unwrap().len();
    host.mesh.set_network_settings(network, SettingsPatch::default()).await.unwrap();
    host.mesh.set_network_kind(network, NetworkKind::Closed).await.unwrap();
    assert_eq!(host.mesh.decisions(network).await.unwrap().len(), nothing, "what changes nothing is no decision");

    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let MeshEvent::Decided(decision) = event {
            heard.push(decision.what);
        }
    }
    assert_eq!(heard, [DecisionKind::Kind(NetworkKind::Closed), DecisionKind::Settings(info.settings.clone())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_of_a_saved_network_are_told_while_another_is_active() {
    let (host, guest) = pair().await;
    let network = host.mesh.snapshot().active.unwrap();
    host.mesh.set_role(guest.id(), Role::Manager).await.unwrap();
    host.mesh.rename_network(network, NetworkName::parse("House").unwrap()).await.unwrap();
    // The two are pushed side by side: either can come first.
    let both = |info: &NetworkInfo| info.name.as_str() == "House" && info.role == Some(Role::Manager);
    guest.until(|picture| both(&picture.networks[0])).await;
    guest.found("Office").await;
    let kinds: Vec<String> = guest
        .mesh
        .decisions(network)
        .await
        .unwrap()
        .iter()
        .map(|decision| format!("{:?} {}", decision.what, decision.void.is_none()))
        .collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(kinds[0].starts_with("Renamed") && kinds[0].ends_with("true"), "{kinds:?}");
    assert!(kinds[1].starts_with("Role") && kinds[2].starts_with("Admitted") && kinds[3].starts_with("Founded"));
    let settings = SettingsPatch { announce: Some(true), ..SettingsPatch::default() };
    assert_eq!(guest.mesh.set_network_settings(network, settings).await.unwrap_err().kind(), ErrorKind::NotAllowed);
    let unknown = NetworkId::from_bytes([7; 32]);
    assert_eq!(guest.mesh.decisions(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
}
