//! An engine that counts for ever, or as far as it is asked to, slowly enough that the test and not the processor decides
//! what happens. It tells when an answer starts and when nobody listens any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};

/// Where it listens; each node has a loopback device of its own.
pub(super) const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
/// Between two words.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves until killed.
pub(super) async fn serve(address: SocketAddr) {
    let models = || async { Json(json!({"object": "list", "data": [{"id": "talk", "object": "model"}]})) };
    let router = Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(|question: Json<Value>| async move { talk(&question) }));
    let listener = tokio::net::TcpListener::bind(address).await.expect("a port");
    println!("ready");
    axum::serve(listener, router).await.expect("it serves");
}

/// Tells the end of an answer, however it comes.
struct Answer;

impl Drop for Answer {
    fn drop(&mut self) {
        println!("end");
    }
}

fn talk(question: &Value) -> Response {
    println!("start");
    let most = question["max_tokens"].as_u64().unwrap_or(u64::MAX);
    let words = stream::unfold((0, Answer), move |(said, answer)| async move {
        tokio::time::sleep(PAUSE).await;
        let chunk = |delta: Value, finish: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "model": "talk", "choices": [choice]}))
        };
        let events = match said {
            _ if said < most => chunk(json!({ "content": word(said) }), Value::Null),
            _ if said == most => chunk(json!({}), json!("length")) + "data: [DONE]\n\n",
            _ => return None,
        };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(events)), (said + 1, answer)))
    });
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(Body::from_stream(words)).expect("a response")
}

/// What it says after so many words.
pub(crate) fn word(said: u64) -> String {
    format!("{said} ")
}
