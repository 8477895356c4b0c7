//! What a device lends: turns, its owner's first, pauses, limits, and a ledger that both sides agree on.

use std::ops::ControlFlow;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::lending::LendingApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{
    Accepting, AnswerEvent, EngineSpec, Event, Lending, LendingHours, LendingRules, UsageDirection, UsageRow, WaitState,
};
use serde_json::{Value, json};

use crate::harness::story::{self, ask, offers, question, read_on};
use crate::harness::{Daemon, Engine, Place, SENTENCE, follow, ok, refused};

/// Waits until lending at `host` is as `expected`.
async fn lent(host: &Daemon, what: &str, expected: impl Fn(&Lending) -> bool) -> Lending {
    host.until(what, async |control| Some(control.lend_show().await.expect("shown")).filter(&expected)).await
}

fn names(lending: &Lending) -> (Vec<&str>, Vec<&str>) {
    (
        lending.running.iter().map(|request| &*request.device_name).collect(),
        lending.waiting.iter().map(|request| &*request.device_name).collect(),
    )
}

/// How an answer ended early.
async fn end_of(device: &Daemon, answer: String) -> (ErrorCode, String) {
    let items = device.control.answer_events(answer, 0).await.expect("it can be followed");
    follow(items, |item| match item.event {
        AnswerEvent::Error { code, message } => ControlFlow::Break((code, message)),
        AnswerEvent::Done { finish_reason, .. } => panic!("done with {finish_reason}"),
        _ => ControlFlow::Continue(()),
    })
    .await
}

/// Asks Desk, and reads on.
async fn waits(device: &Daemon) -> String {
    let answer = device.control.chat_start(question("Desk", "endless")).await.expect("it can be asked");
    story::keep_reading(device, &answer).await;
    answer
}

/// Waits until whoever waits is told that so many go first.
async fn told(device: &Daemon, answer: &str, first: u32) {
    let items = device.control.answer_events(answer.to_owned(), 0).await.expect("it can be followed");
    follow(items, |item| match item.event {
        AnswerEvent::Waiting { state: WaitState::Queued, position: Some(ahead), .. } if ahead == first => {
            ControlFlow::Break(())
        }
        AnswerEvent::Delta { .. } | AnswerEvent::Error { .. } => panic!("it waits no longer: {:?}", item.event),
        _ => ControlFlow::Continue(()),
    })
    .await;
}

/// Waits for the first words of an answer that has begun.
async fn speaks(device: &Daemon, answer: &str) {
    let items = device.control.answer_events(answer.to_owned(), 0).await.expect("it can be followed");
    follow(items, |item| match item.event {
        AnswerEvent::Delta { .. } => ControlFlow::Break(()),
        AnswerEvent::Error { message, .. } => panic!("no answer: {message}"),
        _ => ControlFlow::Continue(()),
    })
    .await;
}

/// A host whose engine answers for ever, twice at once, and lends one place.
async fn host(engine: &Engine) -> Daemon {
    let desk = Place::new("Desk").start().await;
    let spec = EngineSpec { url: engine.url.clone(), kind: None, key: None };
    desk.control.engine_add(spec).await.expect("it answers");
    desk
}

async fn one_place(desk: &Daemon) {
    let rules = LendingRules { concurrent: Some(1), ..LendingRules::default() };
    desk.control.lend_set(rules).await.expect("set");
}

#[tokio::test]
async fn guests_take_turns_and_the_owner_goes_first() {
    let engine = Engine::start("endless").await;
    let (desk, lap, pad) = (host(&engine).await, Place::new("Lap").start().await, Place::new("Pad").start().await);
    story::pair(&desk, &lap).await;
    story::admit(&desk, &pad).await;
    one_place(&desk).await;
    for guest in [&lap, &pad] {
        offers(guest, &desk, "endless").await;
    }
    let first = read_on(&lap, question("Desk", "endless")).await;
    let (second, third) = (waits(&pad).await, waits(&lap).await);
    let shown = lent(&desk, "two that wait", |lending| lending.waiting.len() == 2).await;
    assert_eq!(names(&shown), (vec!["Lap"], vec!["Pad", "Lap"]), "Pad had nothing yet");
    told(&pad, &second, 0).await;
    told(&lap, &third, 1).await;
    // The owner waits for nobody, and who waits is held back meanwhile.
    let own = read_on(&desk, question("local", "endless")).await;
    lap.control.answer_stop(first).await.expect("it can be stopped");
    let shown = lent(&desk, "a free place", |lending| lending.running.is_empty()).await;
    assert_eq!(names(&shown).1, ["Pad", "Lap"], "nobody is served before the owner's request has ended");
    desk.control.answer_stop(own).await.expect("it can be stopped");
    speaks(&pad, &second).await;
    pad.control.answer_stop(second).await.expect("it can be stopped");
    speaks(&lap, &third).await;
    let shown = ok(&desk.place, ["lend", "show"]).await;
    assert_eq!(shown["running"][0]["device_name"], "Lap");
    lap.control.answer_stop(third).await.expect("it can be stopped");
    lent(&desk, "nobody left", |lending| lending.running.is_empty() && lending.waiting.is_empty()).await;
}

#[tokio::test]
async fn a_pause_cuts_with_its_reason_and_outlives_a_restart() {
    let engine = Engine::start("endless").await;
    let (desk, lap) = (host(&engine).await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "endless").await;
    let answer = read_on(&lap, question("Desk", "endless")).await;
    let paused = ok(&desk.place, ["lend", "pause"]).await;
    assert_eq!((&paused["paused"], &paused["until"]), (&json!(true), &Value::Null));
    assert_eq!(paused["running"].as_array().map(Vec::len), Some(1), "it may end");
    ok(&desk.place, ["lend", "pause", "1h", "--now"]).await;
    let (code, message) = end_of(&lap, answer).await;
    let expected = "Desk has paused lending, which ended this answer. Choose another device, or ask its owner.";
    assert_eq!((code, &*message), (ErrorCode::Busy, expected));
    assert_eq!(refused(&lap.place, ["chat", "Hello", "--via", "Desk"]).await.0, "busy");

    let place = desk.place.clone();
    desk.terminate().await;
    let desk = place.start().await;
    let shown = ok(&desk.place, ["lend", "show"]).await;
    let minutes = (shown["until"].as_i64().expect("a time") - now_ms()) / 60_000;
    assert!(shown["paused"] == true && (50..=60).contains(&minutes), "{shown}");
    assert!(shown["closed"].as_str().is_some_and(|text| text.starts_with("Lending is paused for ")), "{shown}");
    let resumed = ok(&desk.place, ["lend", "resume"]).await;
    assert_eq!((&resumed["paused"], &resumed["closed"]), (&json!(false), &Value::Null));
    lap.until("Desk lending again", async |control| {
        let devices = control.device_list().await.expect("listed");
        devices.into_iter().find(|device| device.name == "Desk" && device.accepting == Accepting::Available)
    })
    .await;
    let answer = read_on(&lap, question("Desk", "endless")).await;
    lap.control.answer_stop(answer).await.expect("it can be stopped");
    // A short one ends by itself.
    ok(&desk.place, ["lend", "pause", "1s"]).await;
    lent(&desk, "the end of the pause", |lending| lending.pause.is_none() && lending.closed.is_none()).await;
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

async fn rows(control: &ControlClient, direction: UsageDirection) -> Vec<UsageRow> {
    let rows = control.usage(None).await.expect("read").rows;
    rows.into_iter().filter(|row| row.direction == direction).collect()
}

/// Waits until both sides count so many requests and agree on them.
async fn agreed(host: &Daemon, guest: &Daemon, requests: u64) -> [UsageRow; 2] {
    let mut found = Vec::new();
    for (device, direction) in [(host, UsageDirection::Lent), (guest, UsageDirection::Borrowed)] {
        let row = device
            .until(&format!("{requests} requests agreed on"), async |control| {
                let rows = rows(control, direction).await;
                let sum: u64 = rows.iter().map(|row| row.requests).sum();
                (sum == requests && rows.iter().all(|row| row.agreed)).then(|| rows.into_iter().next()).flatten()
            })
            .await;
        found.push(row);
    }
    found.try_into().expect("two")
}

#[tokio::test]
async fn both_sides_count_the_same_however_an_answer_ends() {
    let engine = Engine::start("endless").await;
    let (desk, lap) = (host(&engine).await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "endless").await;
    let mut short = question("Desk", "endless");
    short.max_tokens = Some(20);
    let done = ask(&lap, short).await;
    assert!(matches!(done.last(), Some(AnswerEvent::Done { .. })), "{done:?}");
    let [lent, borrowed] = agreed(&desk, &lap, 1).await;
    assert_eq!((lent.tokens, borrowed.tokens), (20, 20));
    let cancelled = read_on(&lap, question("Desk", "endless")).await;
    lap.control.answer_stop(cancelled).await.expect("it can be stopped");
    agreed(&desk, &lap, 2).await;
    let cut = read_on(&lap, question("Desk", "endless")).await;
    desk.control.lend_pause(None, true).await.expect("paused");
    end_of(&lap, cut).await;
    let [lent, borrowed] = agreed(&desk, &lap, 3).await;
    assert!(lent.tokens > 20 && lent.seconds > 0.0, "{lent:?}");
    assert_eq!(
        (lent.tokens, lent.seconds.to_bits(), &*lent.model),
        (borrowed.tokens, borrowed.seconds.to_bits(), &*borrowed.model)
    );
    assert_eq!((&*lent.device_name, &*borrowed.device_name), ("Lap", "Desk"));
    let usage = ok(&lap.place, ["usage", "--since", "7d"]).await;
    assert_eq!((&usage["borrowed"]["requests"], &usage["lent"]["requests"]), (&json!(3), &json!(0)));
    let row = &usage["rows"][0];
    for key in ["direction", "device_id", "model", "requests", "tokens", "seconds"] {
        assert!(!row[key].is_null(), "{key} is missing: {row}");
    }
}

#[tokio::test]
async fn the_tokens_of_a_day_are_a_limit() {
    let (desk, lap) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    let mut news = desk.watch().await;
    let shown = ok(&desk.place, ["lend", "member", "Lap", "--tokens-per-day", "5"]).await;
    news.until("the new rule", |event| (event == Event::LendingChanged).then_some(())).await;
    assert_eq!(shown["members"][0]["tokens_per_day"], 5);
    let events = ask(&lap, question("Desk", "chain")).await;
    assert!(matches!(events.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{events:?}");
    news.until("the answer being counted", |event| (event == Event::UsageChanged).then_some(())).await;
    desk.until("the answer in the ledger", async |control| rows(control, UsageDirection::Lent).await.pop()).await;
    let (code, message) = refused(&lap.place, ["chat", "Hello", "--via", "Desk"]).await;
    assert_eq!(code, "busy");
    assert!(
        message.starts_with("This device has used the 5 tokens that Desk lends it in a day. Ask again"),
        "{message}"
    );
    // It is kept over a restart, and lifted by the person there.
    let place = desk.place.clone();
    desk.terminate().await;
    let desk = place.start().await;
    offers(&lap, &desk, "chain").await;
    assert_eq!(refused(&lap.place, ["chat", "Hello", "--via", "Desk"]).await.0, "busy");
    ok(&desk.place, ["lend", "member", "Lap", "--no-limits"]).await;
    let events = ask(&lap, question("Desk", "chain")).await;
    assert!(matches!(events.last(), Some(AnswerEvent::Done { .. })), "{events:?}");
    // A model that is not lent is not offered.
    ok(&desk.place, ["lend", "set", "--model", "other"]).await;
    lap.until("nothing being offered", async |control| {
        let models = control.model_list().await.expect("listed");
        models.iter().all(|model| model.device != desk.id()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn outside_its_hours_a_device_says_when_it_lends() {
    let desk = Place::new("Desk").model("chain").variable("TZ", "UTC").start().await;
    let lap = Place::new("Lap").start().await;
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    let minute = u16::try_from(now_ms().div_euclid(60_000).rem_euclid(24 * 60)).expect("of a day");
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    // Whatever the time is, closed for the next hours.
    let hours = LendingHours { from: (minute + 300) % 1440, to: (minute + 600) % 1440 };
    let (from, to) = (clock(hours.from), clock(hours.to));
    let shown = ok(&desk.place, ["lend", "set", "--hours", &format!("{from}-{to}")]).await;
    assert_eq!(shown["closed"], format!("This device lends from {from} to {to}."));
    lap.until("Desk being known as closed", async |control| {
        let devices = control.device_list().await.expect("listed");
        devices.into_iter().find(|device| device.name == "Desk" && device.accepting == Accepting::Busy)
    })
    .await;
    let (code, message) = refused(&lap.place, ["chat", "Hello", "--via", "Desk"]).await;
    let expected = format!("Desk lends from {from} to {to}. Ask again then, or choose another device.");
    assert_eq!((&*code, &*message), ("busy", &*expected));
    ok(&desk.place, ["lend", "set", "--no-hours"]).await;
    let events = ask(&lap, question("Desk", "chain")).await;
    assert!(matches!(events.last(), Some(AnswerEvent::Done { .. })), "{events:?}");
}

#[tokio::test]
async fn whoever_gives_up_waiting_used_nothing() {
    let engine = Engine::start("endless").await;
    let (desk, lap) = (host(&engine).await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    one_place(&desk).await;
    offers(&lap, &desk, "endless").await;
    let served = read_on(&lap, question("Desk", "endless")).await;
    let waiting = waits(&lap).await;
    told(&lap, &waiting, 0).await;
    lap.control.answer_stop(waiting).await.expect("it can be stopped");
    lent(&desk, "nobody waiting", |lending| lending.waiting.is_empty()).await;
    lap.control.answer_stop(served).await.expect("it can be stopped");
    agreed(&desk, &lap, 1).await;
}
