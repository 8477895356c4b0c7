//! Models in memory: who makes room for whom, who stays, and what a person may say about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::StreamExt as _;
use http::StatusCode;
use myownmesh_compute::{Compute, ComputeConfig, EngineId, ErrorKind, ModelState};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{Home, SENTENCE, ask, open_stream, seen, soon, spec};

/// Enough for one of the test models, which need 300 MB each by the estimate, and not for two.
const ROOM_FOR_ONE: u64 = 450_000_000;

fn state(compute: &Compute, model: &str) -> ModelState {
    compute.snapshot().model(model).expect("listed").state
}

/// Waits until a model is in this state.
async fn becomes(compute: &Compute, model: &str, state: ModelState) {
    seen(compute, |now| now.model(model).is_some_and(|found| found.state == state)).await;
}

#[tokio::test]
async fn the_model_that_was_idle_longest_makes_room() {
    let models = [("first", "chain"), ("second", "chain"), ("third", "chain")];
    // Two of three fit.
    let home = Home::tuned(&models, |builtin| builtin.memory_bytes = Some(750_000_000)).await;
    for model in ["first", "second", "first", "third"] {
        assert_eq!(ask(&home.compute, model).await.expect("an answer"), SENTENCE);
    }
    becomes(&home.compute, "second", ModelState::Available).await;
    assert_eq!(state(&home.compute, "first"), ModelState::Ready, "it was asked after the second");
    assert_eq!(state(&home.compute, "third"), ModelState::Ready);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn a_model_that_is_answering_is_never_taken_out_of_memory_for_another() {
    let models = [("talker", "endless"), ("other", "chain")];
    let home = Home::tuned(&models, |builtin| builtin.memory_bytes = Some(ROOM_FOR_ONE)).await;
    let mut answer = open_stream(&home.compute, "talker").await.expect("a stream");
    let asking = tokio::spawn({
        let compute = home.compute.clone();
        async move { ask(&compute, "other").await }
    });
    let waits = seen(&home.compute, |now| now.model("other").is_some_and(|model| model.reason.is_some())).await;
    let waiting = waits.model("other").expect("listed");
    assert_eq!(waiting.state, ModelState::Loading);
    assert!(waiting.reason.as_ref().is_some_and(|reason| reason.contains("waits for memory")), "{waiting:?}");
    for _ in 0..50 {
        soon(answer.body.next()).await.expect("it goes on").expect("undisturbed");
    }
    assert!(!asking.is_finished());
    drop(answer);
    assert_eq!(soon(asking).await.expect("no panic").expect("an answer"), SENTENCE);
    becomes(&home.compute, "talker", ModelState::Available).await;
    home.compute.shutdown().await;
}

#[tokio::test]
async fn who_stops_waiting_for_memory_needs_none() {
    let models = [("talker", "endless"), ("other", "chain"), ("third", "chain")];
    let home = Home::tuned(&models, |builtin| builtin.memory_bytes = Some(ROOM_FOR_ONE)).await;
    let answer = open_stream(&home.compute, "talker").await.expect("a stream");
    let asking = tokio::spawn({
        let compute = home.compute.clone();
        async move { ask(&compute, "other").await }
    });
    seen(&home.compute, |now| now.model("other").is_some_and(|model| model.reason.is_some())).await;
    asking.abort();
    assert!(asking.await.expect_err("stopped").is_cancelled());
    drop(answer);
    assert_eq!(ask(&home.compute, "third").await.expect("it is not behind the other"), SENTENCE);
    assert_eq!(state(&home.compute, "other"), ModelState::Available);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn nobody_asking_for_a_while_frees_the_memory_and_a_pinned_model_stays() {
    let models = [("kept", "chain"), ("idle", "chain"), ("talker", "endless")];
    let home = Home::tuned(&models, |builtin| {
        builtin.idle = Some(Duration::from_millis(300));
        builtin.pinned = ["kept".to_owned()].into();
    })
    .await;
    let mut answer = open_stream(&home.compute, "talker").await.expect("a stream");
    for model in ["kept", "idle"] {
        assert_eq!(ask(&home.compute, model).await.expect("an answer"), SENTENCE);
    }
    becomes(&home.compute, "idle", ModelState::Available).await;
    assert_eq!(state(&home.compute, "kept"), ModelState::Ready, "it was asked before the other");
    assert_eq!(state(&home.compute, "talker"), ModelState::Ready, "it has been answering all the time");
    soon(answer.body.next()).await.expect("it goes on").expect("undisturbed");
    drop(answer);
    becomes(&home.compute, "talker", ModelState::Available).await;
    home.compute.pin("kept", false).await.expect("it runs");
    becomes(&home.compute, "kept", ModelState::Available).await;
    // Nothing is lost: the next request loads it again.
    assert_eq!(ask(&home.compute, "idle").await.expect("an answer"), SENTENCE);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn a_person_unloads_and_answers_under_way_are_let_end() {
    let home = Home::tuned(&[("talker", "endless")], |_| ()).await;
    soon(home.compute.preload("talker", false)).await.expect("loaded");
    assert_eq!(state(&home.compute, "talker"), ModelState::Ready);
    let mut answer = open_stream(&home.compute, "talker").await.expect("a stream");
    let unloading = tokio::spawn({
        let compute = home.compute.clone();
        async move { compute.unload("talker").await }
    });
    becomes(&home.compute, "talker", ModelState::Available).await;
    for _ in 0..50 {
        soon(answer.body.next()).await.expect("it goes on").expect("undisturbed");
    }
    assert!(!unloading.is_finished());
    // Who comes meanwhile waits for its successor.
    let late = tokio::spawn({
        let compute = home.compute.clone();
        async move { open_stream(&compute, "talker").await }
    });
    becomes(&home.compute, "talker", ModelState::Loading).await;
    drop(answer);
    soon(unloading).await.expect("no panic").expect("unloaded");
    drop(soon(late).await.expect("no panic").expect("an answer"));
    soon(home.compute.unload("talker")).await.expect("unloaded");
    assert_eq!(state(&home.compute, "talker"), ModelState::Available);
    soon(home.compute.unload("talker")).await.expect("twice is fine");
    let error = soon(home.compute.unload("nothing")).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::ModelNotFound);
    home.compute.shutdown().await;
}

/// An Ollama with one model, which speaks what its documentation says of loading and deleting.
#[derive(Clone)]
struct Ollama {
    /// Whether the model is in memory, and whether it is there at all.
    loaded: watch::Sender<bool>,
    here: watch::Sender<bool>,
    stays: Arc<AtomicUsize>,
}

async fn ollama() -> (Ollama, String) {
    let double = Ollama { loaded: watch::Sender::new(false), here: watch::Sender::new(true), stays: Arc::default() };
    let entry = || json!({ "name": "llama3.2:1b", "model": "llama3.2:1b", "size": 1_321_098_329_u64, "details": {} });
    let tags = async move |State(ollama): State<Ollama>| {
        Json(json!({ "models": if *ollama.here.borrow() { vec![entry()] } else { vec![] } }))
    };
    let ps = async move |State(ollama): State<Ollama>| {
        Json(json!({ "models": if *ollama.loaded.borrow() { vec![entry()] } else { vec![] } }))
    };
    let generate = async |State(ollama): State<Ollama>, Json(body): Json<Value>| {
        if body["model"] != "llama3.2:1b" {
            return (StatusCode::NOT_FOUND, Json(json!({ "error": format!("model {} not found", body["model"]) })));
        }
        assert!(body.get("prompt").is_none(), "a prompt would make it answer");
        let unloads = body["keep_alive"] == 0;
        if body["keep_alive"] == -1 {
            ollama.stays.fetch_add(1, Ordering::SeqCst);
        }
        ollama.loaded.send_replace(!unloads);
        let reason = if unloads { "unload" } else { "load" };
        let told = json!({ "model": "llama3.2:1b", "response": "", "done": true, "done_reason": reason });
        (StatusCode::OK, Json(told))
    };
    let remove = async |State(ollama): State<Ollama>, Json(body): Json<Value>| {
        assert_eq!(body["model"], "llama3.2:1b");
        ollama.here.send_replace(false);
        StatusCode::OK
    };
    let router = Router::new()
        .route("/api/version", get(async || Json(json!({ "version": "0.12.6" }))))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(ps))
        .route("/api/generate", post(generate))
        .route("/api/delete", delete(remove))
        .with_state(double.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (double, url)
}

#[tokio::test]
async fn a_model_of_ollama_is_loaded_unloaded_and_deleted_through_its_own_api() {
    let (double, url) = ollama().await;
    let compute = Compute::start(ComputeConfig::default()).await.expect("started");
    soon(compute.add_engine(spec(&url))).await.expect("it is one");
    let model = "llama3.2:1b";
    assert_eq!(state(&compute, model), ModelState::Available);
    soon(compute.preload(model, false)).await.expect("loaded");
    assert_eq!((state(&compute, model), double.stays.load(Ordering::SeqCst)), (ModelState::Ready, 0));
    soon(compute.unload(model)).await.expect("unloaded");
    assert_eq!(state(&compute, model), ModelState::Available);
    soon(compute.preload(model, true)).await.expect("loaded");
    assert_eq!(double.stays.load(Ordering::SeqCst), 1, "a pinned one is to stay");
    assert!(soon(compute.delete(model)).await.expect("deleted"));
    assert!(compute.snapshot().model(model).is_none());
    assert!(!soon(compute.delete(model)).await.expect("it is none of its models any more"));
    assert_ne!(compute.snapshot().engines[0].id, EngineId::builtin());
    compute.shutdown().await;
}
