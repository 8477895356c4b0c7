//! Ollama's API, Anthropic's, and OpenAI's responses, against a real engine here and through a peer. What official
//! clients see of them is tested with those (`npm test -- clients`).

use std::time::Duration;

use futures_util::StreamExt;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::ModelState;
use serde_json::{Value, json};

use crate::harness::story::{self, endless_pair, offers};
use crate::harness::{Daemon, Place, SENTENCE, in_time, web};

/// The promise for cancelling, wherever the work runs.
const CANCEL: Duration = Duration::from_millis(500);

/// Where each API is asked, what for, and where the text is in its whole answer.
fn questions(model: &str, stream: bool) -> [(&'static str, Value, &'static str); 4] {
    let said = json!([{"role": "user", "content": "Hello"}]);
    [
        ("/api/chat", json!({"model": model, "messages": said, "stream": stream}), "/message/content"),
        ("/api/generate", json!({"model": model, "prompt": "Hello", "stream": stream}), "/response"),
        (
            "/v1/messages",
            json!({"model": model, "messages": said, "stream": stream, "max_tokens": 100_000}),
            "/content/0/text",
        ),
        ("/v1/responses", json!({"model": model, "input": "Hello", "stream": stream}), "/output/0/content/0/text"),
    ]
}

async fn post(daemon: &Daemon, path: &str, body: &Value) -> reqwest::Response {
    let url = format!("http://{}{path}", daemon.api_address());
    in_time("an answer", web().post(url).json(body).send()).await.expect("an answer")
}

async fn json_of(response: reqwest::Response) -> Value {
    let text = response.text().await.expect("text");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[tokio::test]
async fn each_api_answers_here_and_through_a_peer() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    for (daemon, model) in [(&host, "chain"), (&guest, "Desk/chain"), (&guest, "myownllm")] {
        for (path, body, text) in questions(model, false) {
            let answer = json_of(post(daemon, path, &body).await).await;
            assert_eq!(answer.pointer(text), Some(&json!(SENTENCE)), "{path} {model}: {answer}");
        }
        let counted = json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]});
        let counted = json_of(post(daemon, "/v1/messages/count_tokens", &counted).await).await;
        assert_eq!(counted["input_tokens"], 20, "{model}: {counted}");
    }
}

#[tokio::test]
async fn what_has_no_effect_is_said() {
    let host = Place::new("Desk").model("chain").start().await;
    offers(&host, &host, "chain").await;
    let said = json!([{"role": "user", "content": "Hello"}]);
    let body = json!({"model": "chain", "messages": said, "stream": false, "options": {"num_ctx": 4096}});
    let answer = post(&host, "/api/chat", &body).await;
    let note = answer.headers()["x-myownllm-ignored"].to_str().expect("text").to_owned();
    assert!(note.starts_with("num_ctx: the engine"), "{note}");
}

#[tokio::test]
async fn leaving_a_stream_of_any_api_stops_the_engine_of_the_peer() {
    let (engine, _host, guest) = endless_pair().await;
    for (path, body, _) in questions("Desk/endless", true) {
        let mut stream = post(&guest, path, &body).await.bytes_stream();
        in_time("the first words", stream.next()).await.expect("it streams").expect("bytes");
        engine.until_busy(true, CANCEL).await;
        drop(stream);
        engine.until_busy(false, CANCEL).await;
    }
}

#[tokio::test]
async fn leaving_an_answer_that_is_no_stream_stops_the_engine_of_the_peer() {
    let (engine, _host, guest) = endless_pair().await;
    for (path, body, _) in questions("Desk/endless", false) {
        let url = format!("http://{}{path}", guest.api_address());
        let asking =
            tokio::spawn(async move { web().post(url).json(&body).send().await.map(|answer| answer.status()) });
        engine.until_busy(true, Duration::from_secs(10)).await;
        asking.abort();
        engine.until_busy(false, CANCEL).await;
    }
}

#[tokio::test]
async fn ollamas_way_to_load_and_unload_works_here_and_is_refused_for_others() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    for (keep_alive, reason) in [("5m", "load"), ("0", "unload")] {
        let told =
            json_of(post(&host, "/api/generate", &json!({"model": "chain", "keep_alive": keep_alive})).await).await;
        assert_eq!((&told["done"], &told["done_reason"]), (&json!(true), &json!(reason)), "{told}");
        let ready =
            host.control.model_list().await.expect("a list").iter().any(|model| model.state == ModelState::Ready);
        assert_eq!(ready, reason == "load");
    }
    let refused = post(&guest, "/api/chat", &json!({"model": "chain", "messages": [], "keep_alive": 0})).await;
    assert_eq!(refused.status(), 501);
}
