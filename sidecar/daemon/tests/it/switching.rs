//! One active network, many saved: what a switch ends, what it leaves alone, and that it leaves nothing behind.

use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{ActivityFilter, AnswerEvent, ChatRequest, InviteOptions, Phase};

use crate::harness::story::{self, first_words, found, invite, knock, knock_of, offers, online, outcome, question};
use crate::harness::{Daemon, Place, SENTENCE, in_time, ok, process};

/// The promise for a switch.
const SWITCH: Duration = Duration::from_millis(500);

async fn switch(daemon: &Daemon, network: &str) -> Duration {
    let asked = Instant::now();
    let now = daemon.control.network_use(network.to_owned()).await.expect("it is saved");
    assert!(now.active && now.name == network, "{now:?}");
    asked.elapsed()
}

/// A question whose answer is kept in a conversation of its own, so that it goes on unread.
async fn kept_question(daemon: &Daemon, via: &str) -> ChatRequest {
    let conversation = daemon.control.conversation_create().await.expect("made").id;
    ChatRequest { conversation: Some(conversation), ..question(via, "endless") }
}

/// How an answer ended. A subscription closes when its reader is slower than the model; it is then taken up again.
async fn end(daemon: &Daemon, answer: String) -> AnswerEvent {
    let mut after = 0;
    let whole = async {
        loop {
            let mut items = daemon.control.answer_events(answer.clone(), after).await.expect("it can be followed");
            while let Some(item) = items.next().await {
                let item = item.expect("an item can be read");
                after = item.seq;
                if matches!(item.event, AnswerEvent::Error { .. } | AnswerEvent::Done { .. }) {
                    return item.event;
                }
            }
        }
    };
    in_time("the end of the answer", whole).await
}

#[tokio::test]
async fn a_switch_ends_answers_of_others_and_hides_the_other_network() {
    let desk = Place::new("Desk").model("endless").start().await;
    let lap = Place::new("Lap").model("chain").model("endless").start().await;
    found(&lap, "Club").await;
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "endless").await;
    let talk = lap.control.conversation_create().await.expect("made").id;
    let mut kept = question("local", "chain");
    kept.conversation = Some(talk.clone());
    story::ask(&lap, kept).await;
    let (there, here) = tokio::join!(
        first_words(&lap, kept_question(&lap, "Desk").await),
        first_words(&lap, kept_question(&lap, "local").await)
    );
    let took = switch(&lap, "Club").await;
    println!("a switch while answers run: {took:?}");
    assert!(took < SWITCH, "{took:?}");
    let (code, message) = match end(&lap, there).await {
        AnswerEvent::Error { code, message } => (code, message),
        other => panic!("it ended as if nothing had happened: {other:?}"),
    };
    assert_eq!(code, ErrorCode::Conflict, "{message}");
    assert!(message.contains("left the network in which Desk was answering"), "{message}");

    let devices = lap.control.device_list().await.expect("a list");
    assert_eq!(devices.len(), 1, "{devices:?}");
    let models = lap.control.model_list().await.expect("a list");
    assert!(models.iter().all(|model| model.this_device), "{models:?}");
    assert!(lap.control.conversation_list(None).await.expect("a list").is_empty());
    assert!(lap.control.conversation_open(talk.clone()).await.is_err(), "not by its id either");
    assert!(lap.control.invite_list().await.expect("a list").is_empty());
    let kept = lap.control.activity_list(ActivityFilter::default()).await.expect("a list");
    assert!(kept.iter().all(|entry| !entry.text.contains("chain") && !entry.text.contains("Desk")), "{kept:?}");

    // What this device asked itself goes on.
    lap.control.answer_stop(here.clone()).await.expect("it is there");
    let here = end(&lap, here).await;
    assert!(matches!(&here, AnswerEvent::Done { finish_reason, .. } if finish_reason == "cancelled"), "not {here:?}");

    switch(&lap, "Home").await;
    assert_eq!(lap.control.conversation_open(talk).await.expect("it is back").messages[1].text, SENTENCE);
    online(&lap, &desk).await;
}

/// A hundred switches with answers running: no socket, thread or memory is left behind.
#[tokio::test]
async fn a_hundred_switches_leave_nothing_behind() {
    let desk = Place::new("Desk").model("endless").start().await;
    let lap = Place::new("Lap").model("endless").start().await;
    found(&lap, "Club").await;
    story::pair(&desk, &lap).await;
    let local = first_words(&lap, kept_question(&lap, "local").await).await;
    let (mut early, mut times) = (None, Vec::new());
    for round in 0..50 {
        times.push(switch(&lap, "Home").await);
        online(&lap, &desk).await;
        offers(&lap, &desk, "endless").await;
        let answer = first_words(&lap, question("Desk", "endless")).await;
        times.push(switch(&lap, "Club").await);
        assert!(matches!(end(&lap, answer).await, AnswerEvent::Error { .. }));
        if round == 9 {
            early = Some(process::held(lap.pid()));
        }
    }
    let (early, late) = (early.expect("measured"), process::held(lap.pid()));
    times.sort_unstable();
    println!("100 switches: median {:?}, slowest {:?}", times[50], times[99]);
    println!("after 20 switches {early:?}, after 100 {late:?}");
    assert!(times[94] < SWITCH, "95 of 100 within {:?}", times[94]);
    assert!(late.files <= early.files + 3, "{early:?}, then {late:?}");
    assert!(late.threads <= early.threads + 2, "{early:?}, then {late:?}");
    assert!(late.memory_kb <= early.memory_kb + 15_000, "{early:?}, then {late:?}");
    lap.control.answer_stop(local.clone()).await.expect("it is there");
    let local = end(&lap, local).await;
    assert!(matches!(&local, AnswerEvent::Done { finish_reason, .. } if finish_reason == "cancelled"), "not {local:?}");
}

#[tokio::test]
async fn two_quick_switches_end_in_the_last() {
    let lap = Place::new("Lap").start().await;
    for name in ["One", "Two", "Three"] {
        found(&lap, name).await;
    }
    for last in ["One", "Two", "Three", "One"] {
        let use_one = |name: &str| lap.control.network_use(name.to_owned());
        // One connection: the daemon takes up requests in the order in which they were sent.
        let (first, second, third) = tokio::join!(use_one("Two"), use_one("Three"), use_one(last));
        first.and(second).and(third).expect("all are saved");
        // Whichever was taken up last, exactly one is active, and everything agrees on it.
        let networks = lap.control.network_list().await.expect("a list");
        let active: Vec<_> = networks.iter().filter(|network| network.active).collect();
        assert_eq!(active.len(), 1, "{networks:?}");
        let status = lap.control.status().await.expect("a status");
        assert_eq!(status.network_id.as_deref(), Some(active[0].id.as_str()));
        let took = switch(&lap, last).await;
        assert!(took < SWITCH, "{took:?}");
        assert_eq!(lap.control.status().await.expect("a status").network.as_deref(), Some(last));
    }
}

#[tokio::test]
async fn a_join_that_is_approved_after_a_switch_ends_whole() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    found(&desk, "Home").await;
    found(&lap, "Club").await;
    found(&lap, "Band").await;
    let join = knock(&lap, &invite(&desk, InviteOptions::default()).await).await;
    let waiting = knock_of(&desk, &lap).await;
    // The last word counts: were the switch still under way when the approval comes, Club could win.
    switch(&lap, "Club").await;
    desk.control.knock_approve(waiting.id, None, Some(waiting.code)).await.expect("it can be approved");
    assert_eq!(outcome(&lap, &join).await.expect("it is approved"), "Home");
    online(&desk, &lap).await;
    let networks = lap.control.network_list().await.expect("a list");
    assert_eq!(networks.len(), 3, "{networks:?}");
    assert_eq!(networks.iter().filter(|network| network.active).count(), 1, "{networks:?}");
    let status = lap.control.status().await.expect("a status");
    assert_eq!((status.network.as_deref(), status.phase), (Some("Home"), Phase::Online), "{}", status.reason);
}

/// Which of the two is taken up last is open; what follows from it is not.
#[tokio::test]
async fn a_switch_in_the_moment_of_an_approval_ends_whole_either_way() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    found(&desk, "Home").await;
    found(&lap, "Club").await;
    let join = knock(&lap, &invite(&desk, InviteOptions::default()).await).await;
    let waiting = knock_of(&desk, &lap).await;
    let (switched, approved) = tokio::join!(
        lap.control.network_use("Club".to_owned()),
        desk.control.knock_approve(waiting.id, None, Some(waiting.code))
    );
    switched.expect("it is saved");
    approved.expect("it can be approved");
    assert_eq!(outcome(&lap, &join).await.expect("it is approved"), "Home");
    let networks = lap.control.network_list().await.expect("a list");
    let active: Vec<_> = networks.iter().filter(|network| network.active).map(|network| &network.name).collect();
    assert_eq!((networks.len(), active.len()), (2, 1), "{networks:?}");
    assert_eq!(lap.control.status().await.expect("a status").network.as_ref(), Some(active[0]));
    if active[0] != "Home" {
        switch(&lap, "Home").await;
    }
    online(&desk, &lap).await;
    online(&lap, &desk).await;
}

#[tokio::test]
async fn it_starts_into_the_last_one_and_forgets_the_active_one() {
    let (desk, lap_place) = (Place::new("Desk").start().await, Place::new("Lap"));
    let lap = lap_place.start().await;
    found(&lap, "Club").await;
    story::pair(&desk, &lap).await;
    lap.terminate().await;
    let lap = lap_place.start().await;
    assert_eq!(lap.control.status().await.expect("a status").network.as_deref(), Some("Home"));
    online(&lap, &desk).await;
    ok(&lap_place, ["network", "forget", "Home"]).await;
    let status = lap.control.status().await.expect("a status");
    assert_eq!((status.phase, status.network), (Phase::NoNetwork, None));
    assert_eq!(lap.control.device_list().await.expect("a list").len(), 1);
    let names: Vec<String> =
        lap.control.network_list().await.expect("a list").into_iter().map(|network| network.name).collect();
    assert_eq!(names, ["Club"]);
    // It told the others that it left.
    desk.until("its leaving", async |control| {
        (control.network_show(None).await.expect("a network").members == 1).then_some(())
    })
    .await;
    switch(&lap, "Club").await;
    lap.terminate().await;
    let lap = lap_place.start().await;
    assert_eq!(lap.control.status().await.expect("a status").network.as_deref(), Some("Club"));
}
