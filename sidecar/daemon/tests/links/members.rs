//! Membership over links that take their time: knocks, removals, partitions, long absences.

use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{DecisionKind, DeviceState, Event, InviteOptions, NetworkKind, Role};

use crate::harness::Daemon;
use crate::harness::story::{self, first_words, knock, knock_of, offers, online, outcome, own_code, question};
use crate::net::{Net, Quality};
use crate::roles::{Player, engine_url};
use crate::steps::{Diary, failure, gone, seen, trio, until_equal};

/// The promise for a removal: this long after it, nothing of the removed device runs anywhere.
const BITES: Duration = Duration::from_secs(1);

/// Holds the emulator to its word, and the devices to theirs.
pub(crate) async fn the_delay_of_a_link_is_what_devices_tell() {
    let net = Net::new(2);
    net.set(Quality::delay(20));
    let places = (net.place(0, "Desk"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    let rtt = seen(&lap, &desk).await.rtt_ms.expect("it is connected");
    assert!((39.0..100.0).contains(&rtt), "{rtt} ms on a link of twice 20 ms");
    net.assert_closed();
}

/// Each knocks at the first device; once that one answers, once the other that saw it.
pub(crate) async fn every_member_sees_a_knock_and_who_answered_it() {
    let net = Net::new(4);
    net.set(Quality::delay(20));
    let (desk, lap) = (net.place(0, "Desk"), net.place(1, "Lap"));
    let (pad, tab) = (net.place(2, "Pad"), net.place(3, "Tab"));
    let (desk, lap, pad, tab) = tokio::join!(desk.start(), lap.start(), pad.start(), tab.start());
    story::pair(&desk, &lap).await;
    for (guest, decider, witness) in [(&pad, &desk, &lap), (&tab, &lap, &desk)] {
        let mut diary = Diary::open(witness).await;
        let invite = story::invite(&desk, InviteOptions::default()).await;
        let join = knock(guest, &invite).await;
        let code = own_code(guest, &join).await;
        let (here, there) = (knock_of(decider, guest).await, knock_of(witness, guest).await);
        assert_eq!((&here.code, &there.code), (&code, &code));
        let passed_on = [&here, &there].map(|knock| knock.via.clone());
        assert!(passed_on.contains(&None) && passed_on.contains(&Some("Desk".to_owned())), "{passed_on:?}");
        decider.control.knock_approve(here.id, None, Some(code)).await.expect("it can be approved");
        let decided_by = diary.until("the end of the knock", |event| match event {
            Event::KnockEnded { device_name, outcome, decided_by, .. } => Some((device_name, outcome, decided_by)),
            _ => None,
        });
        let (_, (device, outcome_told, by)) = decided_by.await;
        let guest_name = guest.ready["device_name"].as_str().expect("a name");
        assert_eq!((&*device, &*outcome_told), (guest_name, "approved"));
        assert_eq!(by.as_deref(), decider.ready["device_name"].as_str());
        outcome(guest, &join).await.expect("it is approved");
        for (one, other) in [(&desk, guest), (&lap, guest), (guest, &desk), (guest, &lap)] {
            online(one, other).await;
        }
        assert!(witness.control.knock_list().await.expect("a list").is_empty());
    }
    net.assert_closed();
}

/// The removed device streams from two members, one of which only hears of the removal.
pub(crate) async fn a_removal_bites_on_every_member_within_a_second() {
    let net = Net::new(3);
    net.set(Quality::delay(20));
    let (mut first, mut second) = (Player::engine(&net, 0).await, Player::engine(&net, 1).await);
    let url = engine_url();
    let (desk, lap) = (net.place(0, "Desk").with(["--engine", &url]), net.place(1, "Lap").with(["--engine", &url]));
    let pad = net.place(2, "Pad");
    let (desk, lap, pad) = tokio::join!(desk.start(), lap.start(), pad.start());
    story::pair(&desk, &lap).await;
    story::admit(&desk, &pad).await;
    online(&pad, &lap).await;
    let mut answers = Vec::new();
    for (lender, engine) in [(&desk, &mut first), (&lap, &mut second)] {
        offers(&pad, lender, "talk").await;
        answers.push(first_words(&pad, question(lender.id(), "talk")).await);
        assert_eq!(engine.line().await, "start");
    }
    let asked = Instant::now();
    let (removal, ends, cut, forgotten) = tokio::join!(
        async { (desk.control.device_remove("Pad".to_owned()).await.expect("its owner may"), asked.elapsed()) },
        async {
            let lines = tokio::join!(first.line(), second.line());
            assert_eq!(lines, ("end".to_owned(), "end".to_owned()));
            asked.elapsed()
        },
        async {
            for answer in &answers {
                println!("the asker is told: {}", failure(&pad, answer).await);
            }
            asked.elapsed()
        },
        async {
            gone(&desk, &pad).await;
            gone(&lap, &pad).await;
            asked.elapsed()
        },
    );
    let (removal, told) = removal;
    println!(
        "removal told after {told:?}, engines idle {ends:?}, answers ended {cut:?}, gone from lists {forgotten:?}"
    );
    for (what, took) in [("telling", told), ("the engines", ends), ("the answers", cut), ("the lists", forgotten)] {
        assert!(took < BITES, "{what} took {took:?}");
    }
    assert_eq!((&*removal.device_name, &removal.acknowledged), ("Pad", &vec!["Lap".to_owned()]), "{removal:?}");
    assert!(removal.waiting.is_empty(), "{removal:?}");
    // It is told, and keeps what is its own.
    let ended = pad.until("being told", async |control| control.network_list().await.ok()?.pop()?.ended).await;
    assert!(ended.ends_with('.'), "not a sentence: {ended:?}");
    // It does not come back by itself, not even as a new process; a new knock lets it in.
    let place = pad.place.clone();
    pad.terminate().await;
    let pad = place.start().await;
    assert!(pad.control.network_list().await.expect("a list")[0].ended.is_some());
    for member in [&desk, &lap] {
        gone(member, &pad).await;
    }
    story::admit(&lap, &pad).await;
    online(&desk, &pad).await;
}

/// A member that nobody can reach hears of a removal when it is back, and the remover hears that it has.
pub(crate) async fn a_removal_reaches_a_member_that_was_cut_off() {
    let net = Net::new(3);
    net.set(Quality::delay(20));
    let [desk, lap, pad] = trio(&net).await;
    // Both are cut off, together: they still see each other.
    net.link(0, 1).cut();
    net.link(0, 2).cut();
    story::state(&desk, &lap, DeviceState::Away).await;
    story::state(&desk, &pad, DeviceState::Away).await;
    let removal = desk.control.device_remove("Pad".to_owned()).await.expect("its owner may");
    assert_eq!((removal.acknowledged, removal.waiting), (Vec::new(), vec!["Lap".to_owned()]));
    assert_eq!(seen(&lap, &pad).await.state, DeviceState::Online, "it cannot know yet");
    net.link(0, 1).mend();
    gone(&lap, &pad).await;
    let acknowledged = desk.until("the acknowledgement", async |control| {
        let decisions = control.decision_list(None).await.ok()?;
        let removal = decisions.into_iter().find(|decision| decision.kind == DecisionKind::Removed)?;
        (removal.acknowledged == ["Lap"]).then_some(removal.waiting)
    });
    assert_eq!(acknowledged.await, Vec::<String>::new());
    // The removed one hears it from whom it knows.
    pad.until("being told", async |control| control.network_list().await.ok()?.pop()?.ended).await;
    net.assert_closed();
}

/// Two that cannot reach each other at all hear of each other through the third.
pub(crate) async fn news_takes_the_way_through_the_one_between() {
    let net = Net::new(3);
    net.set(Quality::delay(10));
    let places = [net.place(0, "Desk"), net.place(1, "Lap"), net.place(2, "Pad")];
    net.link(0, 2).cut();
    let (desk, lap, pad) = tokio::join!(places[0].start(), places[1].start(), places[2].start());
    story::pair(&desk, &lap).await;
    story::admit(&lap, &pad).await;
    desk.control.network_rename("Home".to_owned(), "House".to_owned()).await.expect("its owner may");
    let renamed = Instant::now();
    until_equal(&[&pad, &desk, &lap], |view| view["name"] == "House").await;
    println!("known {:?} later", renamed.elapsed());
    // The one in between carries news, and no answers: what is shown is true.
    story::state(&desk, &pad, DeviceState::Away).await;
    assert_eq!(seen(&pad, &lap).await.state, DeviceState::Online);
    net.link(0, 2).mend();
    online(&desk, &pad).await;
    online(&pad, &desk).await;
}

/// Two and one, with contradicting edits on both sides.
pub(crate) async fn a_partition_heals_to_one_truth() {
    let net = Net::new(3);
    net.set(Quality::delay(10));
    let [desk, lap, pad] = trio(&net).await;
    desk.control.device_role("Pad".to_owned(), Role::Owner).await.expect("its owner may");
    until_equal(&[&desk, &lap, &pad], |view| view["devices"].to_string().matches("owner").count() == 2).await;
    net.links(2).for_each(crate::net::Link::cut);
    for (one, other) in [(&desk, &pad), (&lap, &pad), (&pad, &desk), (&pad, &lap)] {
        story::state(one, other, DeviceState::Away).await;
    }
    desk.control.network_rename("Home".to_owned(), "House".to_owned()).await.expect("an owner may");
    desk.control.device_role("Lap".to_owned(), Role::Manager).await.expect("an owner may");
    lap.control.device_name("Lappy".to_owned()).await.expect("everybody may");
    until_equal(&[&desk, &lap], |view| view["name"] == "House" && view["devices"].to_string().contains("Lappy")).await;
    pad.control.network_rename("Home".to_owned(), "Nest".to_owned()).await.expect("an owner may");
    pad.control.network_kind("Nest".to_owned(), NetworkKind::Closed).await.expect("an owner may");
    pad.control.device_role("Lap".to_owned(), Role::Owner).await.expect("an owner may");
    pad.control.device_name("Slate".to_owned()).await.expect("everybody may");
    net.links(2).for_each(crate::net::Link::mend);
    let mended = Instant::now();
    let view = until_equal(&[&desk, &lap, &pad], |view| {
        let devices = view["devices"].to_string();
        devices.contains("Lappy") && devices.contains("Slate") && view["kind"] == "closed"
    })
    .await;
    println!("equal {:?} after the links were mended: {view:#}", mended.elapsed());
    // The later of two edits wins where both sides had the authority.
    assert_eq!(view["name"], "Nest");
    for (one, other) in [(&desk, &pad), (&lap, &pad), (&pad, &desk), (&pad, &lap)] {
        online(one, other).await;
    }
}

/// A device that was off while the others lived on; and what it missed comes from whoever is there.
pub(crate) async fn a_device_that_was_away_for_long_ends_equal() {
    let net = Net::new(3);
    net.set(Quality::delay(10));
    let [desk, lap, pad] = trio(&net).await;
    let place = pad.place.clone();
    pad.terminate().await;
    live_on(&desk, 40).await;
    until_equal(&[&desk, &lap], |_| true).await;
    // The second has heard only half when the first goes.
    net.link(0, 1).cut();
    live_on(&desk, 40).await;
    let home = desk.place.clone();
    desk.terminate().await;
    net.link(0, 1).mend();
    let pad = place.start().await;
    let half = until_equal(&[&lap, &pad], |_| true).await;
    let desk = home.start().await;
    let whole = until_equal(&[&desk, &lap, &pad], |view| *view != half).await;
    let count = |view: &serde_json::Value| view["decisions"].as_array().map_or(0, Vec::len);
    println!("{} decisions at half, {} at the end", count(&half), count(&whole));
    assert!(count(&whole) > count(&half));
}

/// This many times four records: an invite, its end, a role, a name.
async fn live_on(daemon: &Daemon, times: usize) {
    for time in 0..times {
        let options = InviteOptions { approved: true, ..InviteOptions::default() };
        let invite = daemon.control.invite_create(options).await.expect("it may invite");
        daemon.control.invite_revoke(invite.id).await.expect("it may revoke");
        let role = if time % 2 == 0 { Role::Manager } else { Role::Member };
        daemon.control.device_role("Lap".to_owned(), role).await.expect("an owner may");
        let network = daemon.control.network_show(None).await.expect("a network");
        daemon.control.network_rename(network.id, format!("Home {time}")).await.expect("an owner may");
    }
}
