//! Documents that keep themselves in step between real daemons: late joiners, flapping, edits on both sides, deletions,
//! the switch, removals, crashes; and networks that never see each other's.

use std::collections::BTreeSet;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{Event, PromptDraft, SyncState};

use crate::harness::shared::{agreed, back_in, family, gossip, let_in, prompts, says, synced, versions, write};
use crate::harness::story::{self, found, online};
use crate::harness::{Daemon, Place, cli, ok, refused};

#[tokio::test]
async fn edits_on_five_devices_end_equal() {
    let devices = family(["Desk", "Lap", "Pad", "Attic", "Phone"]).await;
    // Each writes one of its own, and all write one together.
    let writers = devices.iter().enumerate().map(async |(n, device)| {
        write(device, &format!("own-{n}"), &format!("Text {n}")).await;
        for round in 0..5 {
            write(device, "common", &format!("{n} in round {round}")).await;
        }
    });
    futures_util::future::join_all(writers).await;
    for (n, device) in devices.iter().enumerate() {
        for own in 0..devices.len() {
            says(device, &format!("own-{own}"), Some(&format!("Text {own}"))).await;
        }
        online(device, &devices[usize::from(n == 0)]).await;
    }
    let list = agreed(&devices).await;
    assert_eq!(list.len(), 6);
    for device in &devices {
        for other in devices.iter().filter(|other| other.id() != device.id()) {
            synced(device, other, SyncState::Equal).await;
        }
        let standing = list.iter().find(|prompt| prompt.id == "common").expect("it is there");
        assert_eq!(versions(device, "common").await[0], standing.body);
    }
    let status = ok(&devices[4].place, ["sync", "status"]).await;
    assert_eq!(status["auto_gossip"], true);
    for device in status["devices"].as_array().expect("a list") {
        assert_eq!((device["state"].as_str(), device["behind"].as_u64()), (Some("equal"), Some(0)), "{status}");
        assert_eq!(device["reason"], "It has everything.");
    }
    let plain = cli(&devices[4].place, ["sync", "status"]).await.out;
    assert!(plain.contains("Gossip of Home is on") && plain.contains("It has everything."), "{plain}");
}

#[tokio::test]
async fn a_late_joiner_gets_all_that_stands_and_nothing_that_was_deleted() {
    let mut devices = family(["Desk", "Lap"]).await;
    write(&devices[0], "kept", "First").await;
    write(&devices[0], "kept", "Second").await;
    write(&devices[1], "gone", "Text").await;
    says(&devices[0], "gone", Some("Text")).await;
    devices[0].control.prompt_delete("gone".to_owned()).await.expect("deleted");
    let late = Place::new("Phone").start().await;
    let_in(&devices[1], &late).await;
    says(&late, "kept", Some("Second")).await;
    devices.push(late);
    let list = agreed(&devices).await;
    assert_eq!(list.iter().map(|prompt| prompt.id.as_str()).collect::<Vec<_>>(), ["kept"]);
}

#[tokio::test]
async fn a_device_that_comes_and_goes_has_everything_each_time() {
    let devices = family(["Desk", "Lap"]).await;
    let [desk, lap] = &devices[..] else { panic!("two") };
    for round in 0..4 {
        lap.control.network_leave().await.expect("left");
        assert_eq!(refused(&lap.place, ["prompt", "list"]).await.0, "no_network");
        write(desk, "a", &format!("Round {round}")).await;
        write(desk, &format!("new-{round}"), "Text").await;
        back_in(lap, "Home", &[desk]).await;
        says(lap, "a", Some(&format!("Round {round}"))).await;
        write(lap, "b", &format!("Back in round {round}")).await;
        says(desk, "b", Some(&format!("Back in round {round}"))).await;
    }
    assert_eq!(agreed(&devices).await.len(), 6);
}

#[tokio::test]
async fn what_was_written_while_a_device_was_off_arrives_and_a_delete_stays_deleted() {
    let mut devices = family(["Desk", "Lap", "Pad"]).await;
    write(&devices[0], "a", "Before").await;
    write(&devices[0], "doomed", "Before").await;
    for device in &devices[1..] {
        says(device, "doomed", Some("Before")).await;
    }
    let lap = devices.remove(1);
    let lap_place = lap.place.clone();
    lap.terminate().await;
    write(&devices[0], "a", "After").await;
    devices[1].control.prompt_delete("doomed".to_owned()).await.expect("deleted");
    says(&devices[0], "doomed", None).await;
    devices.push(lap_place.start().await);
    for other in &devices[..2] {
        online(&devices[2], other).await;
    }
    says(&devices[2], "a", Some("After")).await;
    // It still has the old text in its own database, and the others have the deletion.
    says(&devices[2], "doomed", None).await;
    let list = agreed(&devices).await;
    assert_eq!(list.len(), 1, "nothing was resurrected: {list:?}");
    for device in &devices {
        assert_eq!(versions(device, "doomed").await[0], "", "the deletion stands");
    }
}

#[tokio::test]
async fn edits_of_one_prompt_on_two_devices_end_equal_and_lose_nothing() {
    let devices = family(["Desk", "Lap"]).await;
    let [desk, lap] = &devices[..] else { panic!("two") };
    write(desk, "p", "At first").await;
    says(lap, "p", Some("At first")).await;
    gossip(lap, false).await;
    write(lap, "p", "On the lap").await;
    write(desk, "p", "On the desk").await;
    gossip(lap, true).await;
    says(lap, "p", Some("On the desk")).await;
    let list = agreed(&devices).await;
    assert_eq!((list[0].body.as_str(), list[0].device_name.as_str()), ("On the desk", "Desk"));
    for device in &devices {
        device
            .until("the losing text in the history", async |control| {
                let history = control.prompt_history("p".to_owned()).await.expect("a history");
                history.into_iter().find(|version| version.body == "On the lap" && version.device_name == "Lap")
            })
            .await;
        assert_eq!(versions(device, "p").await, ["On the desk", "On the lap", "At first"]);
    }
    // What lost can be brought back, for all.
    let history = lap.control.prompt_history("p".to_owned()).await.expect("a history");
    lap.control.prompt_restore("p".to_owned(), Some(history[1].version.clone())).await.expect("restored");
    says(desk, "p", Some("On the lap")).await;

    // Two new prompts under one id end as one, and the other text is kept as well.
    gossip(lap, false).await;
    write(lap, "same", "The lap's idea").await;
    write(desk, "same", "The desk's idea").await;
    gossip(lap, true).await;
    says(lap, "same", Some("The desk's idea")).await;
    for device in &devices {
        device
            .until("both texts", async |control| {
                let history = control.prompt_history("same".to_owned()).await.expect("a history");
                (history.len() == 2 && history[1].body == "The lap's idea").then_some(())
            })
            .await;
    }

    // A deletion wins over an edit that came before it, wherever that was made.
    gossip(lap, false).await;
    write(lap, "p", "Too early").await;
    desk.control.prompt_delete("p".to_owned()).await.expect("deleted");
    gossip(lap, true).await;
    says(lap, "p", None).await;
    says(desk, "p", None).await;
}

#[tokio::test]
async fn off_nothing_enters_or_leaves_and_on_again_all_of_it_merges() {
    let devices = family(["Desk", "Lap", "Pad"]).await;
    let [desk, lap, pad] = &devices[..] else { panic!("three") };
    write(desk, "common", "Known to all").await;
    says(lap, "common", Some("Known to all")).await;
    says(pad, "common", Some("Known to all")).await;
    let mut told = lap.watch().await;
    let off = ok(&lap.place, ["sync", "off"]).await;
    assert_eq!(off["auto_gossip"], false);
    told.until("the event", |event| (event == Event::SyncChanged).then_some(())).await;
    for device in off["devices"].as_array().expect("a list") {
        assert_eq!((device["state"].as_str(), device["reason"].as_str()), (Some("off"), Some("Switched off here.")));
    }
    synced(desk, lap, SyncState::Off).await;
    write(desk, "desk", "Written while the lap was off, on the desk").await;
    write(lap, "lap", "Written while the lap was off, on the lap").await;
    says(pad, "desk", Some("Written while the lap was off, on the desk")).await;
    // Membership goes on: what reaches the lap later than the prompts would have proves that those were not sent.
    desk.control.network_rename("Home".to_owned(), "House".to_owned()).await.expect("renamed");
    for device in [lap, pad] {
        device
            .until("the new name", async |control| {
                let network = control.network_show(None).await.expect("a network");
                (network.name == "House").then_some(())
            })
            .await;
    }
    let here: Vec<_> = prompts(lap).await.into_iter().map(|prompt| prompt.id).collect();
    assert_eq!(here, ["common", "lap"]);
    assert!(prompts(pad).await.iter().all(|prompt| prompt.id != "lap"));
    assert!(!in_database(lap, "on the desk"), "not a byte of it came in");
    assert!(!in_database(desk, "on the lap") && !in_database(pad, "on the lap"), "not a byte of it went out");

    // The switch is kept, and each network has its own.
    let place = lap.place.clone();
    assert_eq!(ok(&place, ["sync", "status"]).await["auto_gossip"], false);
    lap.control.network_create("Own".to_owned(), myownmesh_control::types::NetworkKind::Open).await.expect("founded");
    assert_eq!(ok(&place, ["sync", "status"]).await["auto_gossip"], true);
    back_in(lap, "House", &[desk, pad]).await;
    assert_eq!(ok(&place, ["sync", "on"]).await["auto_gossip"], true);
    for device in &devices {
        says(device, "desk", Some("Written while the lap was off, on the desk")).await;
        says(device, "lap", Some("Written while the lap was off, on the lap")).await;
    }
    assert_eq!(agreed(&devices).await.len(), 3);
}

/// Whether a text stands anywhere in the database of a device, or in what was not moved into it yet.
fn in_database(device: &Daemon, text: &str) -> bool {
    ["device.sqlite", "device.sqlite-wal"].iter().any(|name| {
        let bytes = std::fs::read(device.place.file(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn what_a_removed_device_wrote_unseen_stops_counting() {
    let devices = family(["Desk", "Lap", "Pad"]).await;
    let [desk, lap, pad] = &devices[..] else { panic!("three") };
    write(desk, "p", "The desk's").await;
    write(lap, "seen", "Seen by all").await;
    for device in &devices {
        says(device, "p", Some("The desk's")).await;
        says(device, "seen", Some("Seen by all")).await;
    }
    // The desk hears nothing of what the lap writes now; the pad does.
    gossip(desk, false).await;
    synced(lap, desk, SyncState::Off).await;
    write(lap, "p", "The lap's").await;
    write(lap, "new", "The lap's").await;
    says(pad, "p", Some("The lap's")).await;
    says(pad, "new", Some("The lap's")).await;
    desk.control.device_remove(lap.id().to_owned()).await.expect("removed");
    says(pad, "p", Some("The desk's")).await;
    says(pad, "new", None).await;
    says(pad, "seen", Some("Seen by all")).await;
    gossip(desk, true).await;
    synced(desk, pad, SyncState::Equal).await;
    assert_eq!(prompts(desk).await, prompts(pad).await);
    let kept = desk.control.prompt_show("seen".to_owned()).await.expect("kept");
    assert_eq!(kept.device_name, "Lap", "who is gone is still called by its name");
}

#[tokio::test]
async fn documents_of_one_network_are_never_in_another() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    found(&desk, "Home").await;
    write(&desk, "secret", "Of the home alone").await;
    found(&desk, "Office").await;
    assert!(prompts(&desk).await.is_empty());
    let_in(&desk, &lap).await;
    write(&desk, "office", "For the office").await;
    says(&lap, "office", Some("For the office")).await;
    // Back and forth while both are linked: what is Home's stays at home.
    for _ in 0..3 {
        back_in(&desk, "Home", &[]).await;
        says(&desk, "secret", Some("Of the home alone")).await;
        write(&desk, "secret", "Of the home alone").await;
        back_in(&desk, "Office", &[&lap]).await;
    }
    synced(&desk, &lap, SyncState::Equal).await;
    assert_eq!(prompts(&lap).await.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["office"]);
    assert!(!in_database(&lap, "Of the home alone"));
    assert_eq!(refused(&desk.place, ["prompt", "history", "secret"]).await.0, "not_found");
    story::online(&lap, &desk).await;
}

#[tokio::test]
async fn a_crash_right_after_an_answer_loses_nothing_that_was_acknowledged() {
    let place = Place::new("Desk");
    let mut host = place.start().await;
    found(&host, "Home").await;
    let mut acknowledged = Vec::new();
    for life in 0..3 {
        // Several writers at once, so that the kill comes in the middle of a write.
        let control = &host.control;
        let writing = (0..4).map(async |writer| {
            for n in 0..6 {
                let id = format!("life-{life}-{writer}-{n}");
                let draft = PromptDraft {
                    id: Some(id.clone()),
                    label: Some(id.clone()),
                    body: Some("Text".to_owned()),
                    ..PromptDraft::default()
                };
                control.prompt_set(draft).await.expect("it can be written");
                if writer == 0 && n == 3 {
                    return Err(vec![id]);
                }
            }
            Ok(())
        });
        // The first that is done stops all others where they are.
        let mut seen = Vec::new();
        if let Err(ids) = futures_util::future::try_join_all(writing).await {
            seen.extend(ids);
        }
        assert_eq!(seen.len(), 1);
        acknowledged.extend((0..=3).map(|n| format!("life-{life}-0-{n}")));
        host.kill().await;
        host = place.start().await;
        let kept: BTreeSet<String> = prompts(&host).await.into_iter().map(|prompt| prompt.id).collect();
        for id in &acknowledged {
            assert!(kept.contains(id), "{id} was acknowledged and is lost: {kept:?}");
        }
    }
}
