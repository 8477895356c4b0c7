//! Through a relay, straight, and from one to the other; relays that vanish.

use std::time::Instant;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{DeviceState, NetworkSettings, PathKind, SettingsPatch};

use crate::harness::story::{self, online, question};
use crate::harness::{Place, SENTENCE};
use crate::net::Net;
use crate::roles::Player;
use crate::steps::{Diary, answered, path, seen};

/// A home whose daemon uses the relay from the start.
fn relayed(net: &Net, node: usize, name: &str, relay: &str) -> Place {
    let mut place = net.place(node, name);
    place.discovery = ["--relay", relay, "--no-mdns"].map(str::to_owned).to_vec();
    place
}

/// The whole ladder: relay only, straight when it can be, the relay gone and not missed, everything gone, the relay back.
pub(crate) async fn a_relay_carries_until_there_is_a_straight_path() {
    let net = Net::new(3);
    let (relay, url) = Player::relay(&net, 2).await;
    net.link(0, 1).cut();
    let (desk, lap) = (relayed(&net, 0, "Desk", &url).model("chain"), relayed(&net, 1, "Lap", &url));
    let (desk, lap) = tokio::join!(desk.start(), lap.start());
    story::pair(&desk, &lap).await;
    path(&desk, &lap, PathKind::Relay).await;
    path(&lap, &desk, PathKind::Relay).await;
    story::offers(&lap, &desk, "chain").await;
    assert_eq!(answered(&lap, question("Desk", "chain")).await, SENTENCE);

    net.link(0, 1).mend();
    let mended = Instant::now();
    path(&desk, &lap, PathKind::Direct).await;
    path(&lap, &desk, PathKind::Direct).await;
    println!("straight {:?} after it became possible", mended.elapsed());

    // Without the relay nothing changes, for nothing went through it.
    let mut diary = Diary::open(&lap).await;
    relay.kill().await;
    for _ in 0..20 {
        assert_eq!(answered(&lap, question("Desk", "chain")).await, SENTENCE);
    }
    assert!(!diary.so_far().await.iter().any(|event| Diary::tells(event, desk.id(), DeviceState::Away)));
    assert_eq!(seen(&lap, &desk).await.path, Some(PathKind::Direct));

    net.link(0, 1).cut();
    let (_, reason) = diary.state(desk.id(), DeviceState::Away).await;
    println!("away: {reason}");
    assert!(reason.ends_with('.'), "not a sentence: {reason:?}");

    let (_relay, again) = Player::relay(&net, 2).await;
    assert_eq!(again, url);
    let back = Instant::now();
    online(&lap, &desk).await;
    path(&desk, &lap, PathKind::Relay).await;
    println!("online {:?} after the relay came back", back.elapsed());
    net.assert_closed();
}

/// An owner gives the network a relay; the members use it at once, and keep it when they restart.
pub(crate) async fn a_relay_of_the_network_is_used_by_its_members() {
    let net = Net::new(3);
    let (_relay, url) = Player::relay(&net, 2).await;
    let (desk, lap) = (free(&net, 0, "Desk"), free(&net, 1, "Lap"));
    let (desk, lap) = tokio::join!(desk.start(), lap.start());
    story::pair(&desk, &lap).await;
    let patch = SettingsPatch { relays: Some(vec![url.clone()]), ..SettingsPatch::default() };
    desk.control.network_settings("Home".to_owned(), patch).await.expect("its owner may");
    for daemon in [&desk, &lap] {
        daemon
            .until("the relay being used", async |control| {
                let relays = control.relay_list().await.ok()?;
                relays.iter().any(|relay| relay.state == myownmesh_control::types::RelayState::Connected).then_some(())
            })
            .await;
    }
    let settings = lap.control.network_show(None).await.expect("a network").settings;
    assert_eq!(settings, NetworkSettings { relays: vec![url], ..settings.clone() });
    net.link(0, 1).cut();
    path(&desk, &lap, PathKind::Relay).await;
    path(&lap, &desk, PathKind::Relay).await;
    let place = lap.place.clone();
    lap.terminate().await;
    let lap = place.start().await;
    path(&lap, &desk, PathKind::Relay).await;
    // One switch, and nothing beyond the local network is used.
    let patch = SettingsPatch { air_gapped: Some(true), ..SettingsPatch::default() };
    desk.control.network_settings("Home".to_owned(), patch).await.expect("its owner may");
    story::state(&desk, &lap, DeviceState::Away).await;
    net.assert_closed();
}

/// A home whose daemon is told nothing about finding others but not to use multicast.
fn free(net: &Net, node: usize, name: &str) -> Place {
    let mut place = net.place(node, name);
    place.discovery = vec!["--no-mdns".to_owned()];
    place
}
