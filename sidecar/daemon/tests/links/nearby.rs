//! Devices on one local network find each other by multicast.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::SettingsPatch;

use crate::harness::story::{self, knock_of, online};
use crate::harness::{Daemon, Place, Running, ok};
use crate::net::{Net, address};
use crate::steps::gone_nearby;

/// A home that uses multicast and nothing else.
fn listening(net: &Net, node: usize, name: &str) -> Place {
    let mut place = net.place(node, name);
    place.discovery = ["--relay", "none"].map(str::to_owned).to_vec();
    place
}

/// The network that `daemon` sees `other` announce.
async fn announced(daemon: &Daemon, other: &Daemon) -> String {
    daemon
        .until("the announcement", async |control| {
            let nearby = control.nearby_list().await.ok()?;
            nearby.into_iter().find(|one| one.device_id == other.id())?.network
        })
        .await
}

pub(crate) async fn an_announced_network_is_joined_without_an_invite() {
    let net = Net::new(2);
    let (desk, lap) = (listening(&net, 0, "Desk"), listening(&net, 1, "Lap"));
    let (desk, lap) = tokio::join!(desk.start(), lap.start());
    story::found(&desk, "Home").await;
    // A network shows itself only if its owner says so.
    let quiet = ok(&lap.place, ["nearby"]).await;
    assert!(quiet.as_array().expect("a list").iter().all(|one| one["network"].is_null()), "{quiet}");
    let announce = |on| SettingsPatch { announce: Some(on), ..SettingsPatch::default() };
    desk.control.network_settings("Home".to_owned(), announce(true)).await.expect("its owner may");
    assert_eq!(announced(&lap, &desk).await, "Home");
    let nearby = ok(&lap.place, ["nearby"]).await;
    assert_eq!((&nearby[0]["device_name"], &nearby[0]["network"]), (&"Desk".into(), &"Home".into()), "{nearby}");
    let mut join = Running::start(&lap.place, ["join", "--nearby", "Desk", "--wait", "30"]);
    let waiting = knock_of(&desk, &lap).await;
    let mut line = join.line().await;
    while line["event"] != "knocking" {
        line = join.line().await;
    }
    assert_eq!(line["code"], waiting.code);
    ok(&desk.place, ["approve", &waiting.id, "--code", &waiting.code]).await;
    let line = join.line().await;
    assert_eq!((&line["event"], &line["network"]), (&"joined".into(), &"Home".into()), "{line}");
    assert_eq!(join.end().await, 0);
    online(&desk, &lap).await;
    online(&lap, &desk).await;
    desk.control.network_settings("Home".to_owned(), announce(false)).await.expect("its owner may");
    gone_nearby(&lap, &desk).await;
    net.assert_closed();
}

/// Both get other addresses while they are off, so nothing that either has kept leads to the other.
pub(crate) async fn members_find_each_other_at_new_addresses() {
    let net = Net::new(2);
    let (desk, lap) = (listening(&net, 0, "Desk"), listening(&net, 1, "Lap"));
    let (desk, lap) = tokio::join!(desk.start(), lap.start());
    story::pair(&desk, &lap).await;
    let places = (desk.place.clone(), lap.place.clone());
    tokio::join!(desk.terminate(), lap.terminate());
    for node in 0..2 {
        net.remove(node, address(node));
        net.add(node, address(node + 40));
    }
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    online(&desk, &lap).await;
    online(&lap, &desk).await;
    net.assert_closed();
}
