//! Links that break in every ordinary way, and what people see meanwhile.

use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::DeviceState::Away;
use rustix::process::Signal;

use crate::harness::story::{self, first_words, offers, online, question};
use crate::harness::{Daemon, SENTENCE, cli_json, process};
use crate::net::{Net, Quality, address};
use crate::roles::{Player, engine_url};
use crate::steps::{Diary, answered, now, reconnect, seen, trio, waits};

/// The promise: whatever happened to a device, the others show it as away within this.
const NOTICED: i64 = 10_000;

/// Sleep and wake, as the processes see it: everything stands still, and the world has gone on meanwhile.
pub(crate) async fn a_frozen_device_shows_as_away_and_comes_back() {
    let net = Net::new(3);
    net.set(Quality::delay(10));
    let [desk, lap, mut pad] = trio(&net).await;
    let (mut first, mut second) = (Diary::open(&desk).await, Diary::open(&lap).await);
    process::signal(pad.pid(), Signal::STOP);
    let frozen = now();
    for (daemon, diary) in [(&desk, &mut first), (&lap, &mut second)] {
        let (at, reason) = diary.state(pad.id(), Away).await;
        assert!(at - frozen < NOTICED, "{} noticed after {} ms", daemon.ready["device_name"], at - frozen);
        let device = seen(daemon, &pad).await;
        assert_eq!(device.state, Away);
        assert!(reason.ends_with('.') && device.reason.ends_with('.'), "not sentences: {reason:?} {:?}", device.reason);
    }
    // What happens during the sleep is known after it.
    desk.control.network_rename("Home".to_owned(), "House".to_owned()).await.expect("its owner may");
    tokio::time::sleep(Duration::from_millis(u64::try_from(15_000 - (now() - frozen)).unwrap_or(0))).await;
    process::signal(pad.pid(), Signal::CONT);
    // The app gave the frozen daemon up as well.
    reconnect(&mut pad).await;
    for (one, other) in [(&desk, &pad), (&lap, &pad), (&pad, &desk), (&pad, &lap)] {
        online(one, other).await;
    }
    pad.until("the new name", async |control| (control.network_show(None).await.ok()?.name == "House").then_some(()))
        .await;
    net.assert_closed();
}

/// Online but silent is what nobody should have to look at. Whoever does not want to wait stops it.
pub(crate) async fn an_answer_of_a_frozen_device_says_that_it_waits() {
    let net = Net::new(2);
    net.set(Quality::delay(10));
    let mut engine = Player::engine(&net, 0).await;
    let places = (net.place(0, "Desk").with(["--engine", &engine_url()]), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "talk").await;
    let answer = first_words(&lap, question("Desk", "talk")).await;
    assert_eq!(engine.line().await, "start");
    process::signal(desk.pid(), Signal::STOP);
    let frozen = now();
    waits(&lap, &answer).await;
    let took = now() - frozen;
    println!("said after {took} ms");
    assert!(took < NOTICED, "noticed after {took} ms");
    lap.control.answer_stop(answer).await.expect("it can be stopped");
}

pub(crate) async fn a_killed_device_shows_as_away() {
    let net = Net::new(3);
    net.set(Quality::delay(10));
    let [desk, lap, pad] = trio(&net).await;
    let (mut first, mut second) = (Diary::open(&desk).await, Diary::open(&lap).await);
    let (id, place) = (pad.id().to_owned(), pad.place.clone());
    pad.kill().await;
    let killed = now();
    for diary in [&mut first, &mut second] {
        let (at, _) = diary.state(&id, Away).await;
        assert!(at - killed < NOTICED, "noticed after {} ms", at - killed);
    }
    let pad = place.start().await;
    online(&desk, &pad).await;
    online(&lap, &pad).await;
}

/// Waits until `other`, which lends `chain`, answers. A connection that was cut or moved may still be given up when it
/// looks well again, and a question with it: so it is asked until it is answered. Gives how often that was.
async fn works(daemon: &Daemon, other: &Daemon) -> usize {
    let mut asked = 0;
    daemon
        .until("an answer", async |_| {
            asked += 1;
            let answer = cli_json(&daemon.place, ["chat", "Hello", "--via", other.id()]).await;
            (answer.code == 0).then_some(())
        })
        .await;
    asked
}

pub(crate) async fn a_short_cut_heals_by_itself() {
    let net = Net::new(2);
    net.set(Quality::delay(10));
    let places = (net.place(0, "Desk").model("chain"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    net.link(0, 1).cut();
    tokio::time::sleep(Duration::from_secs(5)).await;
    net.link(0, 1).mend();
    let mended = now();
    let asked = works(&lap, &desk).await;
    println!("answered after {} ms, asked {asked} times", now() - mended);
    online(&lap, &desk).await;
    online(&desk, &lap).await;
}

/// From one Wi-Fi to another: the old address is gone, and nothing announced it.
pub(crate) async fn a_new_address_is_followed() {
    let net = Net::new(2);
    net.set(Quality::delay(10));
    let places = (net.place(0, "Desk").model("chain"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    let mut diary = Diary::open(&desk).await;
    let (old, new) = (address(1), std::net::Ipv4Addr::new(10, 87, 0, 41));
    net.remove(1, old);
    net.add(1, new);
    let changed = now();
    desk.until("the new address", async |control| {
        let connections = control.connection_list().await.ok()?;
        connections.iter().any(|one| one.address.starts_with(&new.to_string())).then_some(())
    })
    .await;
    println!("the new address was in use after {} ms; events: {:?}", now() - changed, diary.so_far().await);
    let asked = works(&lap, &desk).await;
    println!("answered after {} ms, asked {asked} times", now() - changed);
    // And back again, while the other one restarts: it finds the first by what it has kept, or is found.
    let place = desk.place.clone();
    let (_, ()) = tokio::join!(desk.terminate(), async {
        net.remove(1, new);
        net.add(1, old);
    });
    let desk = place.start().await;
    online(&desk, &lap).await;
    online(&lap, &desk).await;
}

/// A laptop that is opened before its Wi-Fi is there.
pub(crate) async fn a_device_that_starts_without_a_network_finds_it_later() {
    let net = Net::new(2);
    let (desk, lap) = (net.place(0, "Desk"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(desk.start(), lap.start());
    story::pair(&desk, &lap).await;
    let place = lap.place.clone();
    lap.terminate().await;
    net.remove(1, address(1));
    let lap = place.start().await;
    story::state(&lap, &desk, Away).await;
    assert!(seen(&lap, &desk).await.reason.ends_with('.'));
    net.add(1, address(1));
    let added = now();
    online(&lap, &desk).await;
    online(&desk, &lap).await;
    println!("online {} ms after the network was there", now() - added);
}

pub(crate) async fn an_answer_streams_over_a_bad_link() {
    let net = Net::new(2);
    let places = (net.place(0, "Desk").model("chain"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    let bad = Quality { jitter: Duration::from_millis(10), loss: 0.05, rate: Some(2e6), ..Quality::delay(50) };
    net.link(0, 1).set(bad);
    let mut diary = Diary::open(&lap).await;
    for _ in 0..10 {
        assert_eq!(answered(&lap, question("Desk", "chain")).await, SENTENCE);
    }
    let lost = diary
        .so_far()
        .await
        .into_iter()
        .find(|event| matches!(event, myownmesh_control::types::Event::Device { state: Away, .. }));
    assert_eq!(lost, None, "the link held");
    // What is shown may lag a quarter behind; see what is noise to people.
    lap.until("the round trip of the link", async |_| seen(&lap, &desk).await.rtt_ms.filter(|rtt| *rtt > 75.0)).await;
}
