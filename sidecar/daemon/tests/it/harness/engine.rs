//! Engines that a test controls: a real llama-server of its own, and a stand-in that misbehaves.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{LIMIT, fixture, llama_server, web};

/// A llama-server that belongs to the test, so its slots can be read.
pub(crate) struct Engine {
    /// Its base URL.
    pub(crate) url: String,
    child: Child,
}

impl Engine {
    /// Starts one with a test model and waits until it is ready.
    pub(crate) async fn start(model: &str) -> Self {
        // Between here and its start another program could take the port; then it is not ready and the test says so.
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut command = Command::new(llama_server());
        command.args([
            "--host",
            "127.0.0.1",
            "--jinja",
            "--threads",
            "1",
            "--slots",
            "--parallel",
            "2",
            "--alias",
            model,
        ]);
        command.args(["--port", &port.to_string(), "--model"]).arg(fixture(model));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let engine = Self {
            url: format!("http://127.0.0.1:{port}"),
            child: command.spawn().expect("llama-server can be started"),
        };
        let health = format!("{}/health", engine.url);
        let ready = async || web().get(&health).send().await.is_ok_and(|answer| answer.status().is_success());
        assert!(poll(LIMIT, ready).await, "llama-server was not ready");
        engine
    }

    /// Ends it and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Whether it is answering somebody.
    pub(crate) async fn busy(&self) -> bool {
        let slots = web().get(format!("{}/slots", self.url)).send().await.expect("it answers");
        let slots: Value = serde_json::from_str(&slots.text().await.expect("text")).expect("JSON");
        slots.as_array().expect("a list").iter().any(|slot| slot["is_processing"] == true)
    }

    /// Waits until it is busy or idle; fails after `limit`.
    pub(crate) async fn until_busy(&self, busy: bool, limit: Duration) {
        assert!(poll(limit, async || self.busy().await == busy).await, "busy stayed {} for {limit:?}", !busy);
    }
}

/// Whether `condition` comes true within `limit`.
async fn poll(limit: Duration, condition: impl AsyncFn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition().await {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

/// A stand-in for an engine.
pub(crate) struct Mock {
    /// Its base URL.
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl Mock {
    /// One that answers every request with a web page.
    pub(crate) async fn web_page() -> Self {
        Self::serve(|| async { Html("<!doctype html><title>Router</title><h1>Log in</h1>").into_response() }).await
    }

    /// One that accepts requests and never answers.
    pub(crate) async fn silent() -> Self {
        Self::serve(std::future::pending::<Response>).await
    }

    /// One with one model that refuses every question, repeating the key it was given, as careless engines do.
    pub(crate) async fn indiscreet() -> Self {
        let models = || async { axum::Json(serde_json::json!({"object": "list", "data": [{"id": "parrot"}]})) };
        let chat = |headers: http::HeaderMap| async move {
            let key = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            let body = serde_json::json!({"error": {"message": format!("Wrong key: {key}"), "type": "auth"}});
            (http::StatusCode::UNAUTHORIZED, axum::Json(body))
        };
        let router = Router::new()
            .route("/v1/models", axum::routing::get(models))
            .route("/v1/chat/completions", axum::routing::post(chat));
        Self::bind(router, Arc::default()).await
    }

    /// One with the model `count`, which says the words of [`COUNT`] over and over, one every [`PACE`]. It goes on with an
    /// answer that was begun, and repeats that first, as llama-server does.
    pub(crate) async fn counting() -> Self {
        let models = || async { axum::Json(json!({"object": "list", "data": [{"id": "count"}]})) };
        let chat = |axum::Json(question): axum::Json<Value>| async move { count(&question) };
        let router = Router::new()
            .route("/v1/models", axum::routing::get(models))
            .route("/v1/chat/completions", axum::routing::post(chat));
        Self::bind(router, Arc::default()).await
    }

    /// How many requests it got.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    async fn serve<F: Future<Output = Response> + Send + 'static>(
        answer: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let router = Router::new().fallback(move || {
            count.fetch_add(1, Ordering::SeqCst);
            answer()
        });
        Self::bind(router, requests).await
    }

    async fn bind(router: Router, requests: Arc<AtomicUsize>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }
}

/// What [`Mock::counting`] says, over and over.
pub(crate) const COUNT: [&str; 10] =
    [" one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];
/// Between two of its words.
const PACE: Duration = Duration::from_millis(5);

fn count(question: &Value) -> Response {
    let messages = question["messages"].as_array().expect("messages");
    let last = messages.last().expect("a message");
    let begun = last["content"].as_str().filter(|_| last["role"] == "assistant").unwrap_or_default().to_owned();
    let most = question["max_tokens"].as_u64().map_or(usize::MAX, |most| usize::try_from(most).expect("few"));
    let first = begun.split_whitespace().count();
    let words = COUNT.iter().copied().cycle().skip(first).take(most).map(str::to_owned);
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "model": "count", "choices": [choice]}))
    };
    let opening = chunk(json!({"role": "assistant", "content": null}), Value::Null);
    let repeated = (!begun.is_empty()).then(|| chunk(json!({ "content": begun }), Value::Null));
    let said = words.map(move |word| chunk(json!({ "content": word }), Value::Null));
    let end = chunk(json!({}), json!("length")) + "data: [DONE]\n\n";
    let events = std::iter::once(opening).chain(repeated).chain(said).chain(std::iter::once(end));
    let paced = futures_util::stream::iter(events).then(|event| async move {
        tokio::time::sleep(PACE).await;
        Ok::<_, std::convert::Infallible>(bytes::Bytes::from(event))
    });
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(axum::body::Body::from_stream(paced)).expect("a response")
}
