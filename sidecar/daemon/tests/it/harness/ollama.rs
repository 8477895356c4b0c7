//! Ollama's own API as its documentation has it (`docs/api.md`), as far as it keeps models: no answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Size of the weights of what can be pulled, in bytes.
pub(crate) const WEIGHTS: u64 = 1_321_082_688;
/// Their digest.
pub(crate) const DIGEST: &str = "74701a8c35f6c8d9a4b91f3f3497643001d63e0c7a84e085bed452548fa88d45";
/// What else belongs to it.
const TEMPLATE: &str = "966de95ca8a62200913e3f8bfbf84c8494536f1b94b49166851e76644e966396";
const TEMPLATE_SIZE: u64 = 1429;

/// The double.
pub(crate) struct Ollama {
    /// Its base URL.
    pub(crate) url: String,
    state: Arc<Kept>,
}

struct Kept {
    models: watch::Sender<BTreeSet<String>>,
    loaded: watch::Sender<BTreeSet<String>>,
    /// How many steps of a pull may be told.
    gate: watch::Sender<usize>,
    /// How many pulls were left before their end.
    left: watch::Sender<usize>,
}

impl Ollama {
    /// One with these models.
    pub(crate) async fn with<const N: usize>(models: [&str; N]) -> Self {
        let state = Arc::new(Kept {
            models: watch::Sender::new(models.map(str::to_owned).into()),
            loaded: watch::Sender::default(),
            gate: watch::Sender::new(usize::MAX),
            left: watch::Sender::default(),
        });
        let router = Router::new()
            .route("/api/version", get(async || Json(json!({ "version": "0.12.6" }))))
            .route("/api/tags", get(tags))
            .route("/api/ps", get(ps))
            .route("/api/generate", post(generate))
            .route("/api/delete", delete(remove))
            .route("/api/pull", post(pull))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Lets so many steps of a pull be told and holds back the others.
    pub(crate) fn hold_after(&self, steps: usize) {
        self.state.gate.send_replace(steps);
    }

    /// Waits until so many pulls were left before their end.
    pub(crate) async fn left(&self, count: usize) {
        let mut left = self.state.left.subscribe();
        super::in_time("the end of the pull", left.wait_for(|left| *left == count)).await.expect("it lives");
    }

    /// Whether it has this model in memory.
    pub(crate) fn has_loaded(&self, model: &str) -> bool {
        self.state.loaded.borrow().contains(model)
    }
}

type Shared = State<Arc<Kept>>;

fn entry(name: &str) -> Value {
    json!({
        "name": name, "model": name, "modified_at": "2026-10-04T14:56:49.277302595-07:00",
        "size": WEIGHTS + TEMPLATE_SIZE, "digest": "baf6a787fdffd633537aa2eb51cfd54cb93ff08e28040095462bb63daf552878",
        "details": {
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": "1.2B", "quantization_level": "Q8_0"
        }
    })
}

async fn tags(State(kept): Shared) -> Json<Value> {
    Json(json!({ "models": kept.models.borrow().iter().map(|name| entry(name)).collect::<Vec<_>>() }))
}

async fn ps(State(kept): Shared) -> Json<Value> {
    let loaded = |name: &String| {
        let mut entry = entry(name);
        entry["expires_at"] = json!("2026-10-04T15:01:49.277302595-07:00");
        entry["size_vram"] = json!(0);
        entry
    };
    Json(json!({ "models": kept.loaded.borrow().iter().map(loaded).collect::<Vec<_>>() }))
}

fn missing(model: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": format!("model '{model}' not found") }))).into_response()
}

async fn generate(State(kept): Shared, Json(body): Json<Value>) -> Response {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !kept.models.borrow().contains(&model) {
        return missing(&model);
    }
    let unloads = body["keep_alive"] == 0;
    kept.loaded.send_modify(|loaded| {
        if unloads {
            loaded.remove(&model);
        } else {
            loaded.insert(model.clone());
        }
    });
    let reason = if unloads { "unload" } else { "load" };
    let told = json!({
        "model": model, "created_at": "2026-10-04T19:21:00.859088Z", "response": "", "done": true,
        "done_reason": reason
    });
    Json(told).into_response()
}

async fn remove(State(kept): Shared, Json(body): Json<Value>) -> Response {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let mut removed = false;
    kept.models.send_modify(|models| removed = models.remove(&model));
    if removed { StatusCode::OK.into_response() } else { missing(&model) }
}

/// What is told of a pull, a line each.
fn steps() -> Vec<String> {
    let layer = |digest: &str, total: u64, completed: Option<u64>| {
        let short = &digest[..12];
        match completed {
            None => format!(r#"{{"status":"pulling {short}","digest":"sha256:{digest}","total":{total}}}"#),
            Some(completed) => format!(
                r#"{{"status":"pulling {short}","digest":"sha256:{digest}","total":{total},"completed":{completed}}}"#
            ),
        }
    };
    let plain = |status: &str| format!(r#"{{"status":"{status}"}}"#);
    vec![
        plain("pulling manifest"),
        layer(DIGEST, WEIGHTS, None),
        layer(DIGEST, WEIGHTS, Some(241_970)),
        layer(DIGEST, WEIGHTS, Some(WEIGHTS / 2)),
        layer(DIGEST, WEIGHTS, Some(WEIGHTS)),
        layer(TEMPLATE, TEMPLATE_SIZE, Some(TEMPLATE_SIZE)),
        plain("verifying sha256 digest"),
        plain("writing manifest"),
        plain("success"),
    ]
}

/// Tells who left early.
struct Leaving {
    kept: Arc<Kept>,
    ended: bool,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.ended {
            self.kept.left.send_modify(|left| *left += 1);
        }
    }
}

async fn pull(State(kept): Shared, Json(body): Json<Value>) -> Response {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !model.starts_with("llama3.2") {
        // As it does: the stream begins, and its second line is the refusal.
        let told = "{\"status\":\"pulling manifest\"}\n{\"error\":\"pull model manifest: file does not exist\"}\n";
        return ([("content-type", "application/x-ndjson")], told).into_response();
    }
    let leaving = Leaving { kept: Arc::clone(&kept), ended: false };
    let told = stream::unfold((0, leaving, model), |(at, mut leaving, model)| async move {
        let steps = steps();
        let step = steps.get(at)?;
        let mut gate = leaving.kept.gate.subscribe();
        gate.wait_for(|open| at < *open).await.ok()?;
        if at + 1 == steps.len() {
            leaving.ended = true;
            leaving.kept.models.send_modify(|models| {
                models.insert(model.clone());
            });
        }
        let line = Bytes::from(format!("{step}\n"));
        Some((Ok::<_, std::io::Error>(line), (at + 1, leaving, model)))
    });
    ([("content-type", "application/x-ndjson")], Body::from_stream(told)).into_response()
}
