//! What a member may do on this device.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{AnswerEvent, EngineSpec};
use serde_json::{Value, json};

use crate::harness::story::{self, ask, first_words, offers, question};
use crate::harness::{Engine, Place, SENTENCE, api_error, follow, ok, refused, web};

/// The promise for what runs to end.
const AT_ONCE: Duration = Duration::from_secs(1);

fn text(events: &[AnswerEvent]) -> &str {
    match events.last() {
        Some(AnswerEvent::Done { text, .. }) => text,
        other => panic!("no answer: {other:?}"),
    }
}

#[tokio::test]
async fn turning_chat_off_cuts_the_answer_and_refuses_the_next() {
    let engine = Engine::start("endless").await;
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    let spec = EngineSpec { url: engine.url.clone(), kind: None, key: None };
    desk.control.engine_add(spec).await.expect("it answers");
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "endless").await;
    let answer = first_words(&lap, question("Desk", "endless")).await;
    // Followed from now on: an answer that nobody reads is given up.
    let items = lap.control.answer_events(answer, 0).await.expect("it can be followed");
    let granted = ok(&desk.place, ["scope", "Lap"]).await;
    assert_eq!(granted["scopes"], json!(["chat", "files", "transcribe", "conversations", "models"]));
    let left = ok(&desk.place, ["scope", "Lap", "chat", "off"]).await;
    assert_eq!(
        (&left["device_id"], &left["scopes"]),
        (&Value::from(lap.id()), &json!(["files", "transcribe", "conversations", "models"]))
    );
    let turned_off = Instant::now();
    let end = follow(items, |item| match item.event {
        AnswerEvent::Error { code, message } => ControlFlow::Break((code, message)),
        AnswerEvent::Done { finish_reason, .. } => panic!("done with {finish_reason}"),
        _ => ControlFlow::Continue(()),
    });
    let (code, message) = end.await;
    assert!(turned_off.elapsed() < AT_ONCE, "it went on for {:?}", turned_off.elapsed());
    let expected = "Desk turned off asking its models for this device. Ask its owner to turn it on again.";
    assert_eq!((code, &*message), (ErrorCode::NotAllowed, expected));
    engine.until_busy(false, AT_ONCE).await;
    let (code, message) = refused(&lap.place, ["chat", "Hello", "--via", "Desk"]).await;
    assert_eq!((&*code, &*message), ("not_allowed", expected));
    let body = json!({"model": "Desk/endless", "messages": [{"role": "user", "content": "Hello"}]});
    let answer = web().post(format!("{}/chat/completions", lap.api())).json(&body).send().await.expect("an answer");
    assert_eq!(api_error(answer).await, (403, "not_allowed".to_owned(), expected.to_owned()));

    // It is kept, and can be turned on again.
    let place = desk.place.clone();
    desk.terminate().await;
    let desk = place.start().await;
    offers(&lap, &desk, "endless").await;
    assert_eq!(refused(&lap.place, ["chat", "Hello", "--via", "Desk"]).await.0, "not_allowed");
    ok(&desk.place, ["scope", "Lap", "chat", "on"]).await;
    let answer = first_words(&lap, question("Desk", "endless")).await;
    lap.control.answer_stop(answer).await.expect("it can be stopped");
}

#[tokio::test]
async fn a_question_goes_to_a_device_that_takes_it() {
    let (desk, pad) = (Place::new("Desk").model("chain").start().await, Place::new("Pad").model("chain").start().await);
    let lap = Place::new("Lap").start().await;
    story::pair(&desk, &lap).await;
    story::admit(&desk, &pad).await;
    for host in [&desk, &pad] {
        offers(&lap, host, "chain").await;
    }
    for (closed, open) in [(&desk, &pad), (&pad, &desk)] {
        ok(&closed.place, ["scope", "Lap", "chat", "off"]).await;
        let events = ask(&lap, question("auto", "chain")).await;
        assert_eq!(text(&events), SENTENCE);
        let mut routes = events.iter().filter_map(|event| match event {
            AnswerEvent::Route { device_id, .. } => Some(&**device_id),
            _ => None,
        });
        assert_eq!(routes.next_back(), Some(open.id()), "the one that does not refuse");
        ok(&closed.place, ["scope", "Lap", "chat", "on"]).await;
    }
}

#[tokio::test]
async fn scopes_are_about_other_members() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    let (code, message) = refused(&desk.place, ["scope", "Lap"]).await;
    assert_eq!(code, "no_network", "{message}");
    story::pair(&desk, &lap).await;
    let (code, message) = refused(&desk.place, ["scope", "Desk", "chat", "off"]).await;
    assert_eq!(code, "invalid_argument", "{message}");
    let (code, message) = refused(&desk.place, ["scope", "Nobody"]).await;
    assert_eq!(code, "not_found", "{message}");
    ok(&desk.place, ["scope", "Lap", "files", "off"]).await;
    let at_lap = ok(&lap.place, ["scope", "Desk"]).await;
    assert_eq!(at_lap["scopes"].as_array().map(Vec::len), Some(5), "what a device lets others do is its own affair");
}
