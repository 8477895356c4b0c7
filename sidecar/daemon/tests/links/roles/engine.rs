//! An engine that talks for ever, slowly enough that the test and not the processor decides what happens. It tells when
//! an answer starts and when nobody listens any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::json;

/// Where it listens; each node has a loopback device of its own.
pub(super) const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
/// Between two words.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves until killed.
pub(super) async fn serve(address: SocketAddr) {
    let models = || async { Json(json!({"object": "list", "data": [{"id": "talk", "object": "model"}]})) };
    let router =
        Router::new().route("/v1/models", get(models)).route("/v1/chat/completions", post(|| async { talk() }));
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

fn talk() -> Response {
    println!("start");
    let words = stream::unfold(Answer, |answer| async {
        tokio::time::sleep(PAUSE).await;
        let word = json!({"object": "chat.completion.chunk", "model": "talk",
            "choices": [{"index": 0, "delta": {"content": "so "}, "finish_reason": null}]});
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("data: {word}\n\n"))), answer))
    });
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(Body::from_stream(words)).expect("a response")
}
