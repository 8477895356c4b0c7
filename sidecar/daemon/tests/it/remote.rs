//! Answers from another device.

use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Accepting, AnswerEvent, ChatRequest, WaitState};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::story::{self, ask, endless_pair, first_words, offers, question};
use crate::harness::{Engine, Place, Running, SENTENCE, Stream, api_error, refused, web};

/// The promise for cancelling, wherever the work runs.
const CANCEL: Duration = Duration::from_millis(500);
/// The promise for a model to show up on the other devices.
const SHOW_UP: Duration = Duration::from_secs(1);

fn done(events: &[AnswerEvent]) -> &str {
    match events.last() {
        Some(AnswerEvent::Done { text, .. }) => text,
        other => panic!("no answer: {other:?}"),
    }
}

#[tokio::test]
async fn every_way_to_name_a_route_answers() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    for via in ["auto", "Desk", host.id(), &host.id()[..10]] {
        let events = ask(&guest, question(via, "chain")).await;
        assert_eq!(done(&events), SENTENCE, "via {via}");
        assert!(
            matches!(&events[0], AnswerEvent::Route { device_id, this_device: false, .. } if device_id == host.id())
        );
    }
    assert_eq!(done(&ask(&host, question("local", "chain")).await), SENTENCE);
    let (code, message) = refused(&guest.place, ["chat", "Hello", "--via", "local"]).await;
    assert!(code == "no_model" || code == "model_not_found", "{code}: {message}");
    let (code, _) = refused(&guest.place, ["chat", "Hello", "--via", "Nobody"]).await;
    assert_eq!(code, "not_found");
    let (code, _) = refused(&guest.place, ["chat", "Hello", "--model", "gpt-9"]).await;
    assert_eq!(code, "model_not_found");
}

#[tokio::test]
async fn the_local_api_reaches_a_peer_by_every_name() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    let models = web().get(format!("{}/models", guest.api())).send().await.expect("an answer");
    let models: Value = serde_json::from_str(&models.text().await.expect("text")).expect("JSON");
    let ids: Vec<&str> =
        models["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(ids.contains(&"Desk/chain"), "{ids:?}");
    for model in ["chain", "Desk/chain", &format!("{}/chain", host.id())] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        let url = format!("{}/chat/completions", guest.api());
        let whole = web().post(&url).json(&body).send().await.expect("an answer");
        let whole: Value = serde_json::from_str(&whole.text().await.expect("text")).expect("JSON");
        assert_eq!(whole["choices"][0]["message"]["content"], SENTENCE, "{model}: {whole}");
        let mut body = body;
        body["stream"] = true.into();
        let stream = web().post(&url).json(&body).send().await.expect("an answer");
        assert_eq!(Stream::new(stream).text().await, SENTENCE, "{model}");
    }
}

#[tokio::test]
async fn embeddings_come_from_a_peer() {
    let (host, guest) = (Place::new("Desk").model("embed").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "embed").await;
    let body = json!({"model": "Desk/embed", "input": "Hello"});
    let answer = web().post(format!("{}/embeddings", guest.api())).json(&body).send().await.expect("an answer");
    let answer: Value = serde_json::from_str(&answer.text().await.expect("text")).expect("JSON");
    assert_eq!(answer["data"][0]["embedding"].as_array().map(Vec::len), Some(32), "{answer}");
}

#[tokio::test]
async fn stopping_an_answer_stops_the_engine_of_the_peer() {
    let (engine, _host, guest) = endless_pair().await;
    let answer = first_words(&guest, question("Desk", "endless")).await;
    engine.until_busy(true, CANCEL).await;
    guest.control.answer_stop(answer).await.expect("it can be stopped");
    engine.until_busy(false, CANCEL).await;
}

#[tokio::test]
async fn ctrl_c_stops_the_engine_of_the_peer() {
    let (engine, _host, guest) = endless_pair().await;
    let mut chat = Running::start(&guest.place, ["chat", "Count", "--via", "Desk", "--model", "endless"]);
    assert_eq!(chat.line().await["type"], "route");
    assert_eq!(chat.line().await["type"], "delta");
    chat.signal(Signal::INT);
    engine.until_busy(false, CANCEL).await;
    assert_eq!(chat.end().await, 130);
}

#[tokio::test]
async fn an_api_client_that_leaves_stops_the_engine_of_the_peer() {
    let (engine, _host, guest) = endless_pair().await;
    let body = json!({"model": "Desk/endless", "stream": true, "messages": [{"role": "user", "content": "Count"}]});
    let url = format!("{}/chat/completions", guest.api());
    let mut stream = Stream::new(web().post(url).json(&body).send().await.expect("an answer"));
    stream.next().await.expect("it streams");
    engine.until_busy(true, CANCEL).await;
    drop(stream);
    engine.until_busy(false, CANCEL).await;
}

#[tokio::test]
async fn an_api_client_that_leaves_stops_the_local_engine() {
    let engine = Engine::start("endless").await;
    let host = Place::new("Desk").with(["--engine", &engine.url]).start().await;
    offers(&host, &host, "endless").await;
    let body = json!({"model": "endless", "stream": true, "messages": [{"role": "user", "content": "Count"}]});
    let url = format!("{}/chat/completions", host.api());
    let mut stream = Stream::new(web().post(url).json(&body).send().await.expect("an answer"));
    stream.next().await.expect("it streams");
    engine.until_busy(true, CANCEL).await;
    drop(stream);
    engine.until_busy(false, CANCEL).await;
}

#[tokio::test]
async fn an_asker_that_shuts_down_stops_the_engine() {
    let (engine, _host, guest) = endless_pair().await;
    first_words(&guest, question("Desk", "endless")).await;
    guest.terminate().await;
    engine.until_busy(false, CANCEL).await;
}

/// A killed process says nothing, but its system does: nobody has the port any more.
#[tokio::test]
async fn an_asker_that_is_killed_stops_the_engine() {
    let (engine, _host, guest) = endless_pair().await;
    first_words(&guest, question("Desk", "endless")).await;
    guest.kill().await;
    engine.until_busy(false, CANCEL).await;
}

/// It may come back; whoever does not want to wait stops the answer and keeps its text.
#[tokio::test]
async fn a_lender_that_is_killed_is_waited_for() {
    let (_engine, host, guest) = endless_pair().await;
    let answer = first_words(&guest, question("Desk", "endless")).await;
    host.kill().await;
    let items = guest.control.answer_events(answer.clone(), 0).await.expect("it can be followed");
    crate::harness::follow(items, |item| match item.event {
        AnswerEvent::Waiting { state: WaitState::Reconnecting, .. } => std::ops::ControlFlow::Break(()),
        AnswerEvent::Done { .. } | AnswerEvent::Error { .. } => panic!("it ended: {item:?}"),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .await;
    guest.control.answer_stop(answer.clone()).await.expect("it can be stopped");
    let items = guest.control.answer_events(answer, 0).await.expect("it can be followed");
    let text = crate::harness::follow(items, |item| match item.event {
        AnswerEvent::Done { text, finish_reason, .. } if finish_reason == "cancelled" => {
            std::ops::ControlFlow::Break(text)
        }
        AnswerEvent::Done { .. } | AnswerEvent::Error { .. } => panic!("it ended otherwise: {item:?}"),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .await;
    assert!(!text.is_empty());
}

#[tokio::test]
async fn a_new_model_shows_up_on_the_others_within_a_second() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    let mut events = guest.watch().await;
    host.place.add_model("embed");
    host.control.engine_test("builtin".to_owned()).await.expect("it looks at its folder");
    let changed = Instant::now();
    offers(&guest, &host, "embed").await;
    assert!(changed.elapsed() < SHOW_UP, "it took {:?}", changed.elapsed());
    events.until("the event", |event| (event == myownmesh_control::types::Event::ModelsChanged).then_some(())).await;

    std::fs::remove_file(host.place.file("models/embed.gguf")).expect("it can be removed");
    host.control.engine_test("builtin".to_owned()).await.expect("it looks at its folder");
    let changed = Instant::now();
    guest
        .until("its end", async |control| {
            let models = control.model_list().await.expect("a list");
            models.iter().all(|model| model.id != "embed").then_some(())
        })
        .await;
    assert!(changed.elapsed() < SHOW_UP, "it took {:?}", changed.elapsed());
}

#[tokio::test]
async fn a_busy_device_lends_nothing_and_says_so() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    host.control.accepting_set(Accepting::Busy).await.expect("it can be set");
    guest
        .until("busy being known", async |control| {
            let devices = control.device_list().await.expect("a list");
            devices.iter().any(|device| device.accepting == Accepting::Busy).then_some(())
        })
        .await;
    let (code, message) = refused(&guest.place, ["chat", "Hello", "--via", "Desk"]).await;
    assert_eq!(code, "busy", "{message}");
    let body = json!({"model": "Desk/chain", "messages": [{"role": "user", "content": "Hello"}]});
    let answer = web().post(format!("{}/chat/completions", guest.api())).json(&body).send().await.expect("an answer");
    let (status, code, message) = api_error(answer).await;
    assert_eq!((status, &*code), (503, "busy"), "{message}");
    assert_eq!(done(&ask(&host, question("local", "chain")).await), SENTENCE, "its own person is served");
    host.control.accepting_set(Accepting::Available).await.expect("it can be set");
    guest
        .until("the answer", async |_| {
            let answer = crate::harness::cli_json(&guest.place, ["chat", "Hello", "--via", "Desk"]).await;
            (answer.code == 0).then_some(())
        })
        .await;
}

#[tokio::test]
async fn whoever_asks_much_is_told_how_far_the_question_is_read() {
    let (_engine, host, guest) = endless_pair().await;
    // About fifteen thousand tokens: llama-server reads some two thousand at once, and tells after each.
    let many = " one two three four five".repeat(3000);
    for (daemon, via) in [(&guest, "Desk"), (&host, "local")] {
        // Each begins differently: what the engine still knows is not read again.
        let prompt = format!("{via}{many}");
        let request = ChatRequest { prompt, max_tokens: Some(3), ..question(via, "endless") };
        let events = ask(daemon, request).await;
        let told: Vec<u8> = events
            .iter()
            .filter_map(|event| match event {
                AnswerEvent::Waiting { state: WaitState::Prefill, percent, .. } => *percent,
                _ => None,
            })
            .collect();
        assert!(!told.is_empty() && told.is_sorted() && told.iter().all(|percent| *percent < 100), "{via}: {told:?}");
        assert_eq!(done(&events), " one two three", "and the words are the engine's");
    }
}
