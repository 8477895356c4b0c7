//! What devices show each other: titles of conversations, if somebody wants that, and what they can do.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{Accepting, Capabilities, Event, ModelState, ShownConversation};

use crate::harness::shared::{family, let_in, says, write};
use crate::harness::story::{found, online};
use crate::harness::{Daemon, Place, Watch, cli, cli_json, ok};

async fn conversations(device: &Daemon, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let id = device.control.conversation_create().await.expect("made").id;
        device.control.conversation_rename(id.clone(), format!("Talk {n}")).await.expect("renamed");
        ids.push(id);
    }
    ids
}

/// Waits until `device` sees conversations of `other` that are as `fits` wants.
async fn shown(device: &Daemon, other: &Daemon, fits: impl Fn(&[ShownConversation]) -> bool) -> Vec<ShownConversation> {
    device
        .until("the catalogue", async |control| {
            let mut list = control.catalogue().await.expect("a catalogue").conversations;
            list.retain(|one| one.device_id == other.id());
            fits(&list).then_some(list)
        })
        .await
}

/// How many records of a device's catalogue were written until now: each is told once where it is written, in the order
/// of the records. A prompt written last marks the end.
async fn records(events: &mut Watch, device: &Daemon, mark: &str) -> usize {
    let mut count = 0;
    write(device, mark, "The end of what is counted").await;
    events
        .until("the end", |event| {
            count += usize::from(event == Event::CatalogueChanged);
            (event == Event::PromptsChanged).then_some(())
        })
        .await;
    count
}

#[tokio::test]
async fn titles_are_shown_only_when_somebody_says_so() {
    let devices = family(["Desk", "Lap"]).await;
    let [desk, lap] = &devices[..] else { panic!("two") };
    let ids = conversations(lap, 3).await;
    let before = ok(&desk.place, ["catalogue"]).await;
    assert_eq!((before["showing"].as_bool(), before["conversations"].as_array().map(Vec::len)), (Some(false), Some(0)));
    lap.control.conversation_private(ids[1].clone(), true).await.expect("hidden");
    let on = ok(&lap.place, ["catalogue", "on"]).await;
    assert_eq!(on["showing"], true);
    let list = shown(desk, lap, |list| list.len() == 2).await;
    assert_eq!(list.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["Talk 2", "Talk 0"]);
    assert!(list.iter().all(|one| one.device_name == "Lap" && one.folder.is_none()));
    ok(&lap.place, ["conversation", "private", &ids[1], "off"]).await;
    ok(&lap.place, ["conversation", "move", &ids[0], &ids[1], "--folder", "Work"]).await;
    shown(desk, lap, |list| list.len() == 3 && list.iter().filter(|one| one.folder.is_some()).count() == 2).await;
    lap.control.conversation_delete(ids[0].clone()).await.expect("deleted");
    shown(desk, lap, |list| list.len() == 2).await;
    let plain = cli(&desk.place, ["catalogue"]).await.out;
    assert!(
        plain.contains("Talk 1") && plain.contains("Work") && plain.contains("not shown to the network"),
        "{plain}"
    );

    // Kept across a restart; and off takes everything back.
    let mut events = desk.watch().await;
    ok(&lap.place, ["catalogue", "off"]).await;
    shown(desk, lap, <[_]>::is_empty).await;
    events.until("the event", |event| (event == Event::CatalogueChanged).then_some(())).await;
    assert_eq!(ok(&lap.place, ["catalogue"]).await["showing"], false);
}

#[tokio::test]
async fn what_is_shown_survives_a_restart_and_stays_in_its_network() {
    let (desk, lap_place) = (Place::new("Desk").start().await, Place::new("Lap"));
    let lap = lap_place.start().await;
    found(&lap, "Home").await;
    conversations(&lap, 2).await;
    lap.control.catalogue_show(true).await.expect("shown");
    shown(&lap, &lap, |list| list.len() == 2).await;
    lap.terminate().await;
    let lap = lap_place.start().await;
    assert!(lap.control.catalogue().await.expect("a catalogue").showing);
    shown(&lap, &lap, |list| list.len() == 2).await;
    found(&lap, "Office").await;
    let_in(&lap, &desk).await;
    conversations(&lap, 1).await;
    let office = lap.control.catalogue().await.expect("a catalogue");
    assert!(!office.showing && office.conversations.is_empty(), "{office:?}");
    lap.control.catalogue_show(true).await.expect("shown");
    let list = shown(&desk, &lap, |list| !list.is_empty()).await;
    assert_eq!(list.len(), 1, "what belongs to Home stays there: {list:?}");
}

#[tokio::test]
async fn moving_many_conversations_makes_two_records_at_most() {
    let devices = family(["Desk", "Lap"]).await;
    let [desk, lap] = &devices[..] else { panic!("two") };
    let ids = conversations(lap, 20).await;
    lap.control.catalogue_show(true).await.expect("shown");
    let filed = |folder: &'static str| {
        move |list: &[ShownConversation]| {
            list.len() == 20 && list.iter().all(|one| one.folder.as_deref() == Some(folder))
        }
    };
    shown(desk, lap, |list| list.len() == 20).await;

    let mut events = lap.watch().await;
    lap.control.conversation_move(ids.clone(), Some("At once".to_owned())).await.expect("moved");
    shown(desk, lap, filed("At once")).await;
    let count = records(&mut events, lap, "first").await;
    assert!((1..=2).contains(&count), "{count} records for one move of twenty");

    for id in &ids {
        lap.control.conversation_move(vec![id.clone()], Some("One by one".to_owned())).await.expect("moved");
    }
    shown(desk, lap, filed("One by one")).await;
    let count = records(&mut events, lap, "second").await;
    assert!((1..=2).contains(&count), "{count} records for twenty moves of one");

    let mut half = ids;
    half.push("nowhere".to_owned());
    assert!(lap.control.conversation_move(half, None).await.is_err());
    shown(desk, lap, filed("One by one")).await;
    assert_eq!(records(&mut events, lap, "third").await, 0, "a refused move is no news");
}

/// Waits until `device` has heard from `other` what it can do, and that is as `fits` wants.
async fn capable(device: &Daemon, other: &Daemon, fits: impl Fn(&Capabilities) -> bool) -> Capabilities {
    device
        .until("the capabilities", async |control| {
            let list = control.capability_list().await.expect("a list");
            list.into_iter().find(|one| one.device_id == other.id() && fits(one))
        })
        .await
}

#[tokio::test]
async fn each_device_knows_what_the_others_can_do() {
    let desk_place = Place::new("Desk").model("chain");
    let (desk, lap) = (desk_place.start().await, Place::new("Lap").start().await);
    found(&desk, "Home").await;
    let_in(&desk, &lap).await;
    let told = capable(&lap, &desk, |one| one.engines.iter().any(|engine| !engine.models.is_empty())).await;
    let engine = &told.engines[0];
    assert_eq!((engine.id.as_str(), engine.models[0].id.as_str()), ("builtin", "chain"));
    assert_eq!(engine.models[0].state, ModelState::Available);
    assert!(engine.models[0].context_length.is_some() && engine.models[0].size_bytes.is_some(), "{engine:?}");
    assert_eq!(told.app_version, myownmesh_control::VERSION);
    assert!(told.difference.is_none() && told.features.iter().any(|name| name == "prompts"), "{told:?}");
    let hardware = told.hardware.as_ref().expect("told");
    assert!(hardware.memory_bytes > 0 && hardware.cpu.threads > 0 && hardware.readings.is_none(), "{hardware:?}");

    desk.control.accepting_set(Accepting::Busy).await.expect("set");
    let busy = capable(&lap, &desk, |one| one.accepting == Accepting::Busy).await;
    let list = ok(&lap.place, ["capabilities"]).await;
    assert_eq!((list[0]["this_device"].as_bool(), list[0]["device_name"].as_str()), (Some(true), Some("Lap")));
    let plain = cli(&lap.place, ["capabilities"]).await.out;
    assert!(plain.contains("Lap (this device)") && plain.contains("chain") && plain.contains("nobody else"), "{plain}");

    // Kept while the device is away.
    desk.terminate().await;
    let away = lap.control.capability_list().await.expect("a list");
    assert!(away.contains(&busy), "{away:?}");
    // A restart is no news, nor is a model that is loaded to answer.
    let desk = desk_place.start().await;
    online(&lap, &desk).await;
    let answer = cli_json(&desk_place, ["chat", "Hello", "--via", "local", "--model", "chain"]).await;
    assert_eq!(answer.lines().last().expect("an answer")["type"], "done", "{answer:?}");
    write(&desk, "mark", "Written after all of that").await;
    says(&lap, "mark", Some("Written after all of that")).await;
    assert_eq!(capable(&lap, &desk, |_| true).await, busy, "not even its time is another");
}
