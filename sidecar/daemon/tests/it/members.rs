//! Who is in, who sees whom, and who stays outside.

use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{AnswerEvent, DeviceState, NetworkKind};

use crate::harness::story::{self, ask, offers, online, question};
use crate::harness::stranger::{KNOCK, MESH, Stranger};
use crate::harness::{Daemon, Place, SENTENCE, ok, refused};

/// A request of the service, as a member would send it on a stream.
const REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: mesh\r\n\r\n";

#[tokio::test]
async fn three_devices_see_each_other_and_all_models() {
    let (host, second) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    let third = Place::new("Pad").model("embed").start().await;
    story::pair(&host, &second).await;
    // The newcomer was admitted by another device, and meets the second through what it learns from the first.
    story::admit(&host, &third).await;
    for (one, other) in [(&second, &third), (&third, &second), (&host, &second), (&host, &third)] {
        online(one, other).await;
    }
    for device in [&host, &second, &third] {
        offers(device, &host, "chain").await;
        offers(device, &third, "embed").await;
        let names = ok(&device.place, ["devices"]).await;
        let mut names: Vec<&str> =
            names.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Desk", "Lap", "Pad"]);
        assert_eq!(device.control.network_show(None).await.expect("a network").members, 3);
    }
    let answer = ask(&third, question("Desk", "chain")).await;
    assert!(matches!(answer.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answer:?}");
}

#[tokio::test]
async fn a_member_admits_the_next_device() {
    let (host, second) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    let third = Place::new("Pad").start().await;
    story::pair(&host, &second).await;
    story::admit(&second, &third).await;
    online(&host, &third).await;
    online(&third, &host).await;
}

#[tokio::test]
async fn in_a_closed_network_members_admit_nobody() {
    let (host, second) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    host.control.network_create("Home".to_owned(), NetworkKind::Closed).await.expect("founded");
    story::admit(&host, &second).await;
    let (code, message) = refused(&second.place, ["invite"]).await;
    assert_eq!(code, "not_allowed", "{message}");
    let (code, message) = refused(&second.place, ["device", "remove", "Desk"]).await;
    assert_eq!(code, "not_allowed", "{message}");
}

#[tokio::test]
async fn a_stranger_gets_nothing_but_the_knock() {
    let host = Place::new("Desk").model("chain").start().await;
    story::found(&host, "Home").await;
    let stranger = Stranger::new().await;
    if let Some(connection) = stranger.connect(&host, MESH).await {
        assert_eq!(Stranger::send(&connection, REQUEST).await, b"", "not a byte");
    }
    assert!(stranger.connect(&host, b"h3").await.is_none(), "there is no other protocol");
    let connection = stranger.connect(&host, KNOCK).await.expect("anybody may knock");
    let told = Stranger::send(&connection, REQUEST).await;
    assert!(!told.windows(5).any(|bytes| bytes == b"chain" || bytes == b"HTTP/"), "{told:?}");
    let devices = host.control.device_list().await.expect("a list");
    assert_eq!(devices.len(), 1, "{devices:?}");
}

#[tokio::test]
async fn a_garbled_or_oversized_knock_harms_nobody() {
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    story::found(&host, "Home").await;
    let huge = [&[0xff, 0xff, 0xff, 0xff][..], &[0; 100_000]].concat();
    let lying = [0, 0, 0, 2, 9, 9, 9, 9, 9, 9];
    let stopping = [0, 0, 0, 50, 1, 2];
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &huge, &lying, &stopping, &[0, 0, 0, 0]] {
        let stranger = Stranger::new().await;
        if let Some(connection) = stranger.connect(&host, KNOCK).await {
            let told = Stranger::send(&connection, bytes).await;
            assert!(told.len() < 1024, "{told:?}");
        }
    }
    assert!(host.control.knock_list().await.expect("a list").is_empty());
    story::admit(&host, &guest).await;
}

#[tokio::test]
async fn a_removed_device_is_cut_off_at_once() {
    let (host, guest) = (Place::new("Desk").model("endless").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "endless").await;
    let answer = story::first_words(&guest, question("Desk", "endless")).await;
    ok(&host.place, ["device", "remove", "Lap"]).await;
    let removed = Instant::now();
    let items = guest.control.answer_events(answer, 0).await.expect("it can be followed");
    crate::harness::follow(items, |item| match item.event {
        AnswerEvent::Error { .. } => std::ops::ControlFlow::Break(()),
        AnswerEvent::Done { finish_reason, .. } => panic!("done with {finish_reason}"),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .await;
    assert!(removed.elapsed() < Duration::from_secs(2), "the stream went on for {:?}", removed.elapsed());
    host.until("the member's end", async |control| {
        let devices = control.device_list().await.expect("a list");
        (devices.len() == 1).then_some(())
    })
    .await;
    let (code, message) = refused(&guest.place, ["chat", "Hello", "--via", host.id()]).await;
    assert!(["not_member", "no_network", "not_found", "unreachable"].contains(&&*code), "{code}: {message}");
}

#[tokio::test]
async fn the_key_of_a_removed_device_opens_nothing() {
    let (host, lap) = (Place::new("Desk").model("chain").start().await, Place::new("Lap"));
    let guest = lap.start().await;
    story::pair(&host, &guest).await;
    guest.terminate().await;
    let member = Stranger::with_key(key(&lap)).await;
    member.connect(&host, MESH).await.expect("with a member's key the door opens");
    ok(&host.place, ["device", "remove", "Lap"]).await;
    let removed = Stranger::with_key(key(&lap)).await;
    if let Some(connection) = removed.connect(&host, MESH).await {
        assert_eq!(Stranger::send(&connection, REQUEST).await, b"", "not a byte");
    }
    // Its own daemon, started again, is told and stops trying.
    let guest = lap.start().await;
    let (code, _) = refused(&lap, ["chat", "Hello", "--via", "Desk"]).await;
    assert!(["not_member", "no_network", "not_found", "unreachable"].contains(&&*code), "{code}");
    not_seen(&host, &guest).await;
}

#[tokio::test]
async fn leaving_and_returning_needs_no_approval() {
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    assert_eq!(ok(&guest.place, ["network", "leave"]).await["active"], false);
    story::state(&host, &guest, DeviceState::Away).await;
    assert!(ok(&guest.place, ["status"]).await["network"].is_null());
    assert_eq!(ok(&guest.place, ["network", "use", "Home"]).await["active"], true);
    online(&host, &guest).await;
    online(&guest, &host).await;
}

#[tokio::test]
async fn a_new_name_reaches_the_others() {
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    ok(&guest.place, ["device", "name", "Sofa"]).await;
    host.until("the name", async |control| {
        let devices = control.device_list().await.expect("a list");
        devices.into_iter().find(|device| device.name == "Sofa")
    })
    .await;
    assert_eq!(ok(&host.place, ["device", "show", "Sofa"]).await["device_id"], guest.id());
    ok(&host.place, ["network", "rename", "Home", "Flat"]).await;
    guest
        .until("the network's name", async |control| {
            let network = control.network_show(None).await.expect("a network");
            (network.name == "Flat").then_some(())
        })
        .await;
}

async fn not_seen(host: &Daemon, guest: &Daemon) {
    let devices = host.control.device_list().await.expect("a list");
    assert!(devices.iter().all(|device| device.device_id != guest.id()), "{devices:?}");
}

fn key(place: &Place) -> [u8; 32] {
    let text = std::fs::read_to_string(place.file("secrets/identity.key")).expect("the key is in a file here");
    data_encoding::HEXLOWER.decode(text.trim().as_bytes()).expect("hexadecimal").try_into().expect("32 bytes")
}
