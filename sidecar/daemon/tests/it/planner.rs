//! Where questions run, told before they are asked.

use std::ops::ControlFlow;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{AnswerEvent, ChatRequest, EngineSpec, RoutePlan, RoutePolicy, RoutePreference};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::story::{self, ask, offers, question};
use crate::harness::{Daemon, Engine, Place, Running, SENTENCE, cli, cli_json, follow, ok, refused};

fn plain(prompt: &str) -> ChatRequest {
    ChatRequest { prompt: prompt.to_owned(), ..ChatRequest::default() }
}

/// Who answered, and what was predicted and took: first word and whole.
fn told(events: &[AnswerEvent]) -> (String, [Option<f64>; 4]) {
    match events.last() {
        Some(AnswerEvent::Done {
            device_id,
            predicted_first_token_ms,
            predicted_total_ms,
            first_token_ms,
            total_ms,
            ..
        }) => (device_id.clone(), [*predicted_first_token_ms, *predicted_total_ms, *first_token_ms, Some(*total_ms)]),
        other => panic!("no answer: {other:?}"),
    }
}

/// A host and two guests in one network.
async fn three(host: Place, first: Place, second: Place) -> [Daemon; 3] {
    let (host, first, second) = (host.start().await, first.start().await, second.start().await);
    story::pair(&host, &first).await;
    story::admit(&host, &second).await;
    story::online(&first, &second).await;
    story::online(&second, &first).await;
    [host, first, second]
}

#[tokio::test]
async fn the_plan_names_the_device_that_then_answers() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    let plan = ok(&guest.place, ["chat", "Hello", "--plan"]).await;
    assert_eq!(plan["chosen"]["device_id"], host.id(), "{plan}");
    assert_eq!(plan["chosen"]["model"], "chain");
    for number in ["first_token_ms", "total_ms", "memory_bytes"] {
        assert!(plan["chosen"][number].as_f64().is_some_and(|value| value > 0.0), "{number}: {plan}");
    }
    assert_eq!(plan["chosen"]["queue"], 0);
    assert!(plan["chosen"]["reason"].as_str().is_some_and(|reason| reason.ends_with('.')), "{plan}");
    let others = plan["alternatives"].as_array().expect("a list");
    let why = |device: &str| {
        let one = others.iter().find(|one| one["device_id"] == device).unwrap_or_else(|| panic!("{device}: {plan}"));
        (one["usable"].clone(), one["reason"].as_str().expect("a sentence").to_owned())
    };
    assert_eq!(why(guest.id()), (Value::from(false), "It has no model for this purpose.".to_owned()));
    assert!(why(host.id()).1.starts_with("It is the demo"), "its own model comes first: {plan}");

    let events = ask(&guest, plain("Hello")).await;
    let (device, [predicted_first, predicted_all, first, all]) = told(&events);
    assert_eq!(plan["chosen"]["device_id"], device.as_str());
    assert!(predicted_first < predicted_all && first < all, "{events:?}");
    assert!(
        matches!(&events[0], AnswerEvent::Route { predicted_first_token_ms, .. } if *predicted_first_token_ms == predicted_first)
    );

    let table = cli(&guest.place, ["chat", "Hello", "--plan"]).await;
    assert!(table.out.starts_with("DEVICE") && table.out.contains("Desk") && table.out.contains("chain"), "{table:?}");
    let answer = cli(&guest.place, ["chat", "Hello"]).await;
    assert!(answer.err.contains("predicted"), "{answer:?}");

    for (flag, value) in [("--require", "npu"), ("--family", "qwen3"), ("--purpose", "vision")] {
        let (code, message) = refused(&guest.place, ["chat", "Hello", flag, value]).await;
        assert_eq!(code, "no_model", "{flag}: {message}");
        assert!(message.starts_with("Nothing that can be reached now has what was asked for"), "{message}");
        let (code, _) = refused(&guest.place, ["chat", "Hello", "--plan", flag, value]).await;
        assert_eq!(code, "no_model", "{flag}");
    }
    let (code, message) = refused(&guest.place, ["chat", "Hello", "--purpose", "embeddings"]).await;
    assert_eq!(code, "invalid_argument", "{message}");
}

#[tokio::test]
async fn preference_turns_the_route() {
    let (host, guest) =
        (Place::new("Desk").model("chain").start().await, Place::new("Lap").model("chain").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    offers(&guest, &guest, "chain").await;
    for (prefer, device) in [(RoutePreference::Here, guest.id()), (RoutePreference::Others, host.id())] {
        let policy = RoutePolicy { prefer: Some(prefer), ..RoutePolicy::default() };
        let request = ChatRequest { policy, ..plain("Hello") };
        let plan: RoutePlan = guest.control.chat_plan(request.clone()).await.expect("a plan");
        assert_eq!(plan.chosen.device_id, device, "{plan:?}");
        assert_eq!(told(&ask(&guest, request).await).0, device);
    }
}

#[tokio::test]
async fn three_devices_answer_at_once() {
    let daemons =
        three(Place::new("Desk").model("chain"), Place::new("Lap").model("chain"), Place::new("Board").model("chain"))
            .await;
    let [host, guest, other] = &daemons;
    for device in &daemons {
        offers(guest, device, "chain").await;
    }
    let output = cli_json(&guest.place, ["chat", "Hello", "--fan-out", "3"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    let lines = output.lines();
    assert!(lines.iter().all(|line| line["device_id"].is_string()), "{lines:?}");
    let mut answered: Vec<&str> = lines
        .iter()
        .filter(|line| line["type"] == "done")
        .map(|line| {
            assert_eq!(line["text"], SENTENCE, "{line}");
            line["device_id"].as_str().expect("an id")
        })
        .collect();
    answered.sort_unstable();
    let mut all = [host.id(), guest.id(), other.id()];
    all.sort_unstable();
    assert_eq!(answered, all);
    assert!(guest.control.conversation_list(None).await.expect("a list").is_empty(), "nothing is kept");

    let blocks = cli(&guest.place, ["chat", "Hello", "--fan-out", "2"]).await;
    assert_eq!(blocks.out.matches(SENTENCE).count(), 2, "{blocks:?}");
    assert_eq!(blocks.out.matches(" in all").count(), 2, "{blocks:?}");
    let many = guest.control.chat_fan_out(plain("Hello"), 9).await.expect_err("too many");
    assert!(many.to_string().contains("eight"), "{many}");
}

#[tokio::test]
async fn ctrl_c_stops_every_answer_of_a_fan_out() {
    let engines = [Engine::start("endless").await, Engine::start("endless").await];
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    for (daemon, engine) in [(&host, &engines[0]), (&guest, &engines[1])] {
        let spec = EngineSpec { url: engine.url.clone(), kind: None, key: None };
        daemon.control.engine_add(spec).await.expect("it answers");
    }
    story::pair(&host, &guest).await;
    offers(&guest, &host, "endless").await;
    let mut chat = Running::start(&guest.place, ["chat", "Count", "--fan-out", "2", "--model", "endless"]);
    // Its output is read until both speak: a full pipe would hold it up.
    let mut speaking = std::collections::BTreeSet::new();
    while speaking.len() < 2 {
        let line = chat.line().await;
        if line["type"] == "delta" {
            speaking.insert(line["device_id"].as_str().expect("an id").to_owned());
        }
    }
    chat.signal(Signal::INT);
    assert_eq!(chat.end().await, 130);
    for engine in &engines {
        engine.until_busy(false, crate::harness::LIMIT).await;
    }
}

/// Both devices call their model by the same name; the slow one's is thirty times larger.
#[tokio::test]
async fn a_slow_device_loses_to_a_fast_one_and_a_restart_forgets_nothing() {
    let (slow, fast) = (Place::new("Slow").builtin(), Place::new("Fast").builtin());
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo/myownllm-demo.gguf");
    for (place, file) in
        [(&slow, models.into()), (&fast, crate::harness::fixture("chain").to_string_lossy().into_owned())]
    {
        std::fs::create_dir_all(place.file("models")).expect("a folder");
        std::fs::copy(file, place.file("models/same.gguf")).expect("a model");
    }
    let [asker, slow, fast] = three(Place::new("Asker"), slow, fast).await;
    offers(&asker, &slow, "same").await;
    offers(&asker, &fast, "same").await;
    let prompt = "What can this app do for me, and which devices take part? ".repeat(12);
    let request = |via: &str| ChatRequest { prompt: prompt.clone(), max_tokens: Some(16), ..question(via, "same") };
    for _ in 0..4 {
        for via in ["Slow", "Fast"] {
            told(&ask(&asker, request(via)).await);
        }
    }
    let settled = async |asker: &Daemon| {
        let plan = asker.control.chat_plan(request("auto")).await.expect("a plan");
        let other = plan.alternatives.iter().find(|route| route.device_id == slow.id()).expect("it is named").clone();
        (plan.chosen, other)
    };
    let (chosen, other) = settled(&asker).await;
    assert_eq!(chosen.device_id, fast.id(), "{chosen:?} {other:?}");
    assert!(chosen.total_ms < other.total_ms, "{chosen:?} {other:?}");
    assert!(other.reason.starts_with("It is later: about "), "{other:?}");
    assert!(!chosen.reason.contains("Estimated") && !other.reason.contains("Estimated"), "{chosen:?} {other:?}");
    assert_eq!(told(&ask(&asker, request("auto")).await).0, fast.id());

    let place = asker.place.clone();
    asker.terminate().await;
    let asker = place.start().await;
    offers(&asker, &slow, "same").await;
    offers(&asker, &fast, "same").await;
    let (chosen, other) = settled(&asker).await;
    assert_eq!(chosen.device_id, fast.id(), "{chosen:?} {other:?}");
    assert!(!chosen.reason.contains("Estimated") && !other.reason.contains("Estimated"), "{chosen:?} {other:?}");
}

#[tokio::test]
async fn a_fan_out_is_followed_like_any_answer() {
    let host = Place::new("Desk").model("chain").start().await;
    offers(&host, &host, "chain").await;
    let answers = host.control.chat_fan_out(plain("Hello"), 4).await.expect("asked");
    assert_eq!(answers.len(), 1, "one device answers once: {answers:?}");
    assert_eq!((answers[0].device_id.as_str(), answers[0].model.as_str()), (host.id(), "chain"));
    let items = host.control.answer_events(answers[0].id.clone(), 0).await.expect("it can be followed");
    let text = follow(items, |item| match item.event {
        AnswerEvent::Done { text, .. } => ControlFlow::Break(text),
        AnswerEvent::Error { message, .. } => panic!("{message}"),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(text.await, SENTENCE);
}
