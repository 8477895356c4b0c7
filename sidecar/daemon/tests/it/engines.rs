//! Engines that die, lie, stay silent or cannot load their model.

use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{AnswerEvent, EngineState, ModelState};
use rustix::process::Signal;

use crate::harness::story::{ask, first_words, offers, question};
use crate::harness::{Engine, Mock, Place, SENTENCE, follow, ok, process, refused};

#[tokio::test]
async fn an_engine_killed_mid_answer_is_reported_and_comes_back() {
    let host = Place::new("Desk").model("endless").model("chain").start().await;
    let answer = first_words(&host, question("local", "endless")).await;
    let engines = process::engines(host.pid());
    assert_eq!(engines.len(), 1, "one child per loaded model: {engines:?}");
    process::signal(engines[0].pid, Signal::KILL);
    let items = host.control.answer_events(answer.clone(), 0).await.expect("it can be followed");
    let mut told = String::new();
    let seam = follow(items, |item| match item.event {
        AnswerEvent::Seam { seam } => std::ops::ControlFlow::Break(seam),
        AnswerEvent::Done { .. } | AnswerEvent::Error { .. } => panic!("it cannot be done"),
        AnswerEvent::Delta { text } => {
            told += &text;
            std::ops::ControlFlow::Continue(())
        }
        _ => std::ops::ControlFlow::Continue(()),
    })
    .await;
    assert!(!told.is_empty() && seam.reason.contains("killed"), "{seam:?}");
    host.control.answer_stop(answer).await.expect("it can be stopped");
    // Its successor answers the next question, too.
    first_words(&host, question("local", "endless")).await;
    let answered = ask(&host, question("local", "chain")).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
}

#[tokio::test]
async fn a_model_that_does_not_load_says_why() {
    let desk = Place::new("Desk").model("chain");
    let whole = std::fs::read(desk.file("models/chain.gguf")).expect("the model");
    std::fs::write(desk.file("models/half.gguf"), &whole[..whole.len() / 2]).expect("written");
    std::fs::write(desk.file("models/noise.gguf"), b"this is no model at all").expect("written");
    let host = desk.start().await;
    for model in ["half", "noise"] {
        let (code, message) = refused(&desk, ["chat", "Hello", "--model", model]).await;
        assert_eq!(code, "model_failed", "{message}");
        assert!(message.contains(model), "it names the model: {message}");
    }
    let models = host.control.model_list().await.expect("a list");
    let half = models.iter().find(|model| model.id == "half").expect("it is listed");
    assert!(half.state == ModelState::Failed && half.reason.is_some(), "{half:?}");
    let answered = ask(&host, question("local", "chain")).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
    assert_eq!(process::engines(host.pid()).len(), 1, "those that failed are gone");
}

#[tokio::test]
async fn engine_addresses_that_are_wrong_are_refused() {
    let desk = Place::new("Desk");
    let _host = desk.start().await;
    for url in ["not a url", "ftp://127.0.0.1", "http://", "file:///etc/passwd", "http://user:pass@127.0.0.1:1"] {
        let (code, message) = refused(&desk, ["engine", "add", url]).await;
        assert_eq!(code, "invalid_argument", "{message} for {url}");
    }
    let (code, message) = refused(&desk, ["engine", "add", "http://127.0.0.1:1"]).await;
    assert_eq!(code, "engine_unreachable", "{message}");
    let page = Mock::web_page().await;
    let (code, message) = refused(&desk, ["engine", "add", &page.url]).await;
    assert_eq!(code, "engine_bad_answer", "{message}");
    assert!(page.requests() > 0);
    let silent = Mock::silent().await;
    let started = std::time::Instant::now();
    let (code, message) = refused(&desk, ["engine", "add", &silent.url]).await;
    assert!(code == "timed_out" || code == "engine_unreachable", "{code}: {message}");
    assert!(started.elapsed() < Duration::from_secs(15), "a silent engine is given up on");
    assert_eq!(ok(&desk, ["engines"]).await.as_array().map(Vec::len), Some(0), "none of them is kept");
}

#[tokio::test]
async fn an_engine_by_url_is_kept_tested_and_removed() {
    let engine = Engine::start("chain").await;
    let desk = Place::new("Desk");
    let host = desk.start().await;
    let added = ok(&desk, ["engine", "add", &format!("{}/v1", engine.url)]).await;
    assert_eq!((added["kind"].as_str(), added["state"].as_str()), (Some("llama-server"), Some("ready")));
    let id = added["id"].as_str().expect("an id").to_owned();
    let (code, _) = refused(&desk, ["engine", "add", &engine.url]).await;
    assert_eq!(code, "conflict");
    assert_eq!(ok(&desk, ["engine", "test", &id]).await["models"][0], "chain");
    host.terminate().await;

    let host = desk.start().await;
    offers(&host, &host, "chain").await;
    let answered = ask(&host, question("local", "chain")).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
    engine.stop().await;
    let (code, message) = refused(&desk, ["engine", "test", &id]).await;
    assert_eq!(code, "engine_unreachable", "{message}");
    let engines = host.control.engine_list().await.expect("a list");
    assert!(engines[0].state == EngineState::Failed && !engines[0].reason.is_empty(), "{engines:?}");
    assert_eq!(ok(&desk, ["engine", "remove", &id]).await["id"], &*id);
    let (code, _) = refused(&desk, ["engine", "remove", &id]).await;
    assert_eq!(code, "not_found");
}

#[tokio::test]
async fn without_a_llama_server_the_daemon_says_what_to_do() {
    let desk = Place::new("Desk").model("chain").variable("MYOWNLLM_LLAMA_SERVER", "/nowhere/llama-server");
    let host = desk.start().await;
    let engines = host.control.engine_list().await.expect("a list");
    assert_eq!(engines[0].state, EngineState::Failed);
    assert!(engines[0].reason.contains("/nowhere/llama-server"), "{engines:?}");
    let (_, message) = refused(&desk, ["chat", "Hello", "--model", "chain"]).await;
    assert!(message.contains("llama-server"), "{message}");
}
