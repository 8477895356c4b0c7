//! Engines by address: a faithful double of Ollama, an OpenAI-compatible server that asks for a key.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use myownmesh_compute::{
    Compute, ComputeConfig, EngineId, EngineKind, EngineSpec, EngineState, ErrorKind, ModelState, Purpose, Secret,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::children::only_child_in;
use crate::support::{Home, ask, bare, fixture, open_stream, seen, soon, spec, text_of, words_in};

/// A server on loopback that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

pub(crate) async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    serve_on(listener, router)
}

fn serve_on(listener: TcpListener, router: Router) -> Server {
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            served = axum::serve(listener, router) => served.expect("served"),
            () = stopped.cancelled() => {}
        }
    });
    Server { address, _stop: stop.drop_guard() }
}

/// Ollama as its API documentation describes it: `/api/version`, `/api/tags`, and OpenAI's chat under `/v1`.
#[derive(Clone)]
struct Ollama {
    models: watch::Sender<Vec<&'static str>>,
    /// Told when a stream that never ends was given up by its reader.
    given_up: mpsc::Sender<()>,
}

fn ollama(models: &[&'static str]) -> (Router, Ollama, mpsc::Receiver<()>) {
    let (given_up, told) = mpsc::channel(1);
    let double = Ollama { models: watch::channel(models.to_vec()).0, given_up };
    let router = Router::new()
        .route("/api/version", get(|| async { Json(json!({ "version": "0.12.3" })) }))
        .route("/api/tags", get(ollama_tags))
        .route("/v1/chat/completions", post(ollama_chat))
        .with_state(double.clone());
    (router, double, told)
}

async fn ollama_tags(State(double): State<Ollama>) -> Json<Value> {
    let tag = |name: &&str| {
        let family = if name.contains("embed") { "nomic-bert" } else { "llama" };
        json!({
            "name": name, "model": name, "modified_at": "2026-10-01T12:00:00.000000001+02:00", "size": 4_661_224_676_u64,
            "digest": "365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1",
            "details": { "parent_model": "", "format": "gguf", "family": family, "families": [family],
                         "parameter_size": "8.0B", "quantization_level": "Q4_0" },
        })
    };
    let models: Vec<Value> = double.models.borrow().iter().map(tag).collect();
    Json(json!({ "models": models }))
}

async fn ollama_chat(State(double): State<Ollama>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    let model = request["model"].as_str().unwrap_or_default().to_owned();
    if !double.models.borrow().iter().any(|known| *known == model || known.strip_suffix(":latest") == Some(&model)) {
        let error = json!({ "error": { "message": format!("model \"{model}\" not found"), "type": "api_error" } });
        return (StatusCode::NOT_FOUND, Json(error)).into_response();
    }
    let event = move |text: &str| {
        let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model,
                            "choices": [{ "index": 0, "delta": { "role": "assistant", "content": text } }] });
        Ok::<_, Infallible>(Bytes::from(format!("data: {chunk}\n\n")))
    };
    let words = stream::iter(["from", " Ollama"]).map(event);
    let headers = [("content-type", "text/event-stream"), ("access-control-allow-origin", "*")];
    if request["max_tokens"].is_null() {
        // Goes on until the reader goes away.
        let guard = GivenUp(double.given_up);
        let endless = words.chain(stream::pending()).map(move |piece| {
            let _held = &guard;
            piece
        });
        return (headers, Body::from_stream(endless)).into_response();
    }
    let end = stream::iter([Ok(Bytes::from("data: [DONE]\n\n"))]);
    (headers, Body::from_stream(words.chain(end))).into_response()
}

struct GivenUp(mpsc::Sender<()>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.try_send(()).expect("one reader");
    }
}

/// A server that speaks OpenAI's API to those who know its key.
async fn keyed(key: &'static str) -> Server {
    let check = move |headers: &HeaderMap| {
        headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes() == format!("Bearer {key}").as_bytes())
    };
    let models = move |headers: HeaderMap| async move {
        if !check(&headers) {
            return (StatusCode::UNAUTHORIZED, Json(json!({ "error": { "message": "no key" } })));
        }
        let data = json!([{ "id": "gpt-mini", "object": "model", "created": 1, "owned_by": "somebody" }]);
        (StatusCode::OK, Json(json!({ "object": "list", "data": data })))
    };
    let chat = move |headers: HeaderMap| async move {
        if !check(&headers) {
            return (StatusCode::UNAUTHORIZED, Json(json!({})));
        }
        (StatusCode::OK, Json(json!({ "choices": [{ "message": { "role": "assistant", "content": "yes" } }] })))
    };
    serve(Router::new().route("/v1/models", get(models)).route("/v1/chat/completions", post(chat))).await
}

#[tokio::test]
async fn ollama_is_recognised_and_its_models_are_listed() {
    let (router, _, _) = ollama(&["llama3:latest", "nomic-embed-text:latest", "evil\u{202e}name"]);
    let server = serve(router).await;
    let compute = bare().await;
    let info = soon(compute.add_engine(spec(&server.url()))).await.expect("Ollama");
    assert_eq!((info.kind, info.state, info.builtin), (EngineKind::Ollama, EngineState::Ready, false));
    assert_eq!(info.url.as_deref(), Some(server.url().as_str()));
    assert_eq!(info.models, ["llama3:latest", "nomic-embed-text:latest"], "names that play tricks are left out");
    let snapshot = compute.snapshot();
    let model = snapshot.model("llama3:latest").expect("listed");
    assert_eq!((model.state, model.size_bytes), (ModelState::Available, Some(4_661_224_676)));
    assert_eq!(snapshot.model("nomic-embed-text:latest").expect("listed").purpose, Purpose::Embedding);
    compute.shutdown().await;
}

#[tokio::test]
async fn a_chat_through_ollama_streams_and_dropping_it_ends_the_work() {
    let (router, _, mut given_up) = ollama(&["llama3:latest"]);
    let server = serve(router).await;
    let compute = bare().await;
    soon(compute.add_engine(spec(&server.url()))).await.expect("Ollama");
    // Without the tag, as people write it.
    let mut answer = open_stream(&compute, "llama3").await.expect("a stream");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    let piece = soon(answer.body.next()).await.expect("a piece").expect("a good one");
    assert_eq!(words_in(std::str::from_utf8(&piece).expect("text")).0, "from");
    drop(answer);
    soon(given_up.recv()).await.expect("told");
    compute.shutdown().await;
}

#[tokio::test]
async fn readers_learn_of_changed_models_and_of_nothing_else() {
    let (router, double, _) = ollama(&["one"]);
    let server = serve(router).await;
    let compute = bare().await;
    soon(compute.add_engine(spec(&server.url()))).await.expect("Ollama");
    let mut watch = compute.watch();
    watch.mark_unchanged();
    soon(compute.refresh()).await;
    assert!(!watch.has_changed().expect("alive"), "the same models are no news");
    double.models.send_replace(vec!["one", "two"]);
    // Nobody asks: it is looked at every few seconds.
    seen(&compute, |snapshot| snapshot.model("two").is_some()).await;
    double.models.send_replace(vec!["two"]);
    soon(compute.refresh()).await;
    assert!(compute.snapshot().model("one").is_none());
    compute.shutdown().await;
}

#[tokio::test]
async fn an_engine_that_asks_for_a_key_gets_it_and_nobody_else_sees_it() {
    let server = keyed("hunter2").await;
    let compute = bare().await;
    let error = soon(compute.add_engine(spec(&server.url()))).await.expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::EngineUnauthorized);
    assert!(error.to_string().contains("asks for a key: add it with --key-stdin"), "{error}");

    let with = |key: &str| EngineSpec { key: Some(Secret::parse(key).expect("a key")), ..spec(&server.url()) };
    let error = soon(compute.add_engine(with("wrong-key"))).await.expect_err("wrong key");
    assert!(error.to_string().contains("refuses the given key"), "{error}");
    assert!(!error.to_string().contains("wrong-key"), "{error}");
    assert!(compute.snapshot().engines.is_empty(), "what does not answer is not added");

    let info = soon(compute.add_engine(with("hunter2"))).await.expect("the right key");
    assert_eq!((info.kind, info.models.as_slice()), (EngineKind::OpenAi, ["gpt-mini".to_owned()].as_slice()));
    assert_eq!(ask(&compute, "gpt-mini").await.expect("an answer"), "yes");
    let told = format!("{:?} {}", with("hunter2"), serde_json::to_string(&*compute.snapshot()).expect("JSON"));
    assert!(!told.contains("hunter2"), "{told}");
    compute.shutdown().await;
}

#[tokio::test]
async fn engines_are_added_once_tested_and_removed() {
    let (router, _, _) = ollama(&["one"]);
    let server = serve(router).await;
    let compute = bare().await;
    let id = soon(compute.add_engine(spec(&server.url()))).await.expect("Ollama").id;
    for again in [spec(&server.url()), EngineSpec { id: id.clone(), ..spec("127.0.0.1:9") }] {
        let error = soon(compute.add_engine(again)).await.expect_err("twice");
        assert_eq!(error.kind(), ErrorKind::EngineExists);
    }
    let own = EngineSpec { id: EngineId::builtin(), ..spec(&server.url()) };
    assert_eq!(soon(compute.add_engine(own)).await.expect_err("reserved").kind(), ErrorKind::EngineExists);

    assert_eq!(soon(compute.test_engine(id.clone())).await.expect("answers").state, EngineState::Ready);
    drop(server);
    let error = soon(compute.test_engine(id.clone())).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::EngineUnreachable);
    let snapshot = compute.snapshot();
    assert_eq!(snapshot.engines[0].state, EngineState::Failed);
    assert_eq!(snapshot.engines[0].reason, Some(error.to_string()));
    assert!(snapshot.models.is_empty());
    assert_eq!(ask(&compute, "one").await.expect_err("gone").kind(), ErrorKind::ModelNotFound);

    soon(compute.remove_engine(id.clone())).await.expect("there");
    for error in [
        soon(compute.remove_engine(id.clone())).await.expect_err("gone"),
        soon(compute.test_engine(id)).await.map(|_| ()).expect_err("gone"),
    ] {
        assert_eq!(error.kind(), ErrorKind::EngineNotFound);
    }
    assert!(compute.snapshot().engines.is_empty());
    compute.shutdown().await;
}

#[tokio::test]
async fn a_configured_engine_that_is_down_is_listed_and_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let engines = vec![spec(&address.to_string())];
    let compute = Compute::start(ComputeConfig { engines, ..ComputeConfig::default() }).await.expect("started");
    let down = seen(&compute, |now| now.engines.iter().any(|engine| engine.state == EngineState::Failed)).await;
    let reason = down.engines[0].reason.clone().expect("a reason");
    assert!(reason.contains("No engine answers at") && reason.contains("refused"), "{reason}");

    let (router, _, _) = ollama(&["one"]);
    let _server = serve_on(TcpListener::bind(address).await.expect("still free"), router);
    seen(&compute, |now| now.engines.iter().any(|engine| engine.state == EngineState::Ready)).await;
    compute.shutdown().await;
}

#[tokio::test]
async fn two_engines_with_one_id_are_refused_at_the_start() {
    let engines = vec![spec("127.0.0.1:9"), spec("127.0.0.1:9")];
    let error = Compute::start(ComputeConfig { engines, ..ComputeConfig::default() }).await.expect_err("twice");
    assert_eq!(error.kind(), ErrorKind::EngineExists);
}

#[tokio::test]
async fn an_engines_own_error_is_handed_on() {
    let (router, double, _) = ollama(&["one"]);
    let server = serve(router).await;
    let compute = bare().await;
    soon(compute.add_engine(spec(&server.url()))).await.expect("Ollama");
    // Removed in the engine, and not noticed here yet.
    double.models.send_replace(vec![]);
    let answer = open_stream(&compute, "one").await.expect("the engine's answer");
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(text_of(answer).await.expect("a body").contains("not found"));
    compute.shutdown().await;
}

#[tokio::test]
async fn an_answer_cut_short_is_an_error_and_not_an_end() {
    let go = Arc::new(Notify::new());
    let when = go.clone();
    let cut = move || async move {
        let break_off = stream::once(async move {
            when.notified().await;
            Err(std::io::Error::other("cut"))
        });
        Body::from_stream(stream::iter([Ok(Bytes::from("data: {}\n\n"))]).chain(break_off))
    };
    let router = Router::new()
        .route("/v1/models", get(|| async { Json(json!({ "data": [{ "id": "m" }] })) }))
        .route("/v1/chat/completions", post(cut));
    let server = serve(router).await;
    let compute = bare().await;
    soon(compute.add_engine(spec(&server.url()))).await.expect("an engine");
    let answer = open_stream(&compute, "m").await.expect("a stream");
    go.notify_one();
    let error = text_of(answer).await.expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::EngineFailed);
    assert!(error.to_string().contains("broke off before the answer was complete"), "{error}");
    compute.shutdown().await;
}

/// A llama-server that somebody else has started, without an end to its answers.
async fn foreign() -> (tokio::process::Child, String) {
    let home = Home::with(&["endless.gguf"]).await;
    soon(home.compute.load("endless")).await.expect("loaded");
    let binary = std::fs::read_link(format!("/proc/{}/exe", only_child_in(&home.run_dir()))).expect("a program");
    home.compute.shutdown().await;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let mut server = tokio::process::Command::new(binary);
    server.args(["--host", "127.0.0.1", "--port", &address.port().to_string(), "-t", "1", "-c", "8192", "-m"]);
    server.arg(fixture("endless.gguf")).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    (server.spawn().expect("started"), format!("http://{address}"))
}

/// A process that is stopped keeps its connections open: without a look at it, its answers would be waited for for ever.
#[tokio::test]
async fn an_engine_that_stands_still_is_given_up() {
    let (server, url) = foreign().await;
    let compute = bare().await;
    let added = soon(async {
        loop {
            if let Ok(info) = compute.add_engine(spec(&url)).await {
                break info;
            }
            tokio::task::yield_now().await;
        }
    });
    let model = added.await.models[0].clone();
    let mut answer = open_stream(&compute, &model).await.expect("a stream");
    soon(answer.body.next()).await.expect("a piece").expect("a good one");
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(server.id().expect("it runs")).expect("an id")).expect("an id");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("a process of ours");
    let stopped = Instant::now();
    let error = loop {
        if let Err(error) = soon(answer.body.next()).await.expect("an error before the end") {
            break error;
        }
    };
    eprintln!("given up after {:?}", stopped.elapsed());
    assert_eq!(error.kind(), ErrorKind::EngineSlow, "{error}");
    compute.shutdown().await;
}
