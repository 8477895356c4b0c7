//! The local API given requests that are wrong.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::story::offers;
use crate::harness::{Daemon, Place, SENTENCE, Stream, api_error, web};

async fn daemon() -> Daemon {
    let host = Place::new("Desk").model("chain").start().await;
    offers(&host, &host, "chain").await;
    host
}

async fn post(host: &Daemon, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    let request = web().post(format!("{}/{path}", host.api())).header("content-type", "application/json").body(body);
    request.send().await.expect("an answer")
}

async fn still_answers(host: &Daemon) {
    let body = json!({"model": "chain", "messages": [{"role": "user", "content": "Hello"}]});
    let answer = post(host, "chat/completions", body.to_string()).await;
    let answer: Value = serde_json::from_str(&answer.text().await.expect("text")).expect("JSON");
    assert_eq!(answer["choices"][0]["message"]["content"], SENTENCE, "{answer}");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_sentence() {
    let host = daemon().await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let cases = [
        (String::new(), 400),
        ("{".to_owned(), 400),
        ("\u{0}\u{1}".to_owned(), 400),
        ("[]".to_owned(), 400),
        ("null".to_owned(), 400),
        (json!({"model": "chain"}).to_string(), 400),
        (json!({"model": "chain", "messages": []}).to_string(), 400),
        (json!({"model": "chain", "messages": "Hello"}).to_string(), 400),
        (json!({"model": 7, "messages": messages}).to_string(), 400),
        (json!({"model": "gpt-9", "messages": messages}).to_string(), 404),
        (json!({"model": "Nobody/chain", "messages": messages}).to_string(), 404),
        (json!({"model": "", "messages": messages}).to_string(), 404),
        (json!({"model": "../../etc/passwd", "messages": messages}).to_string(), 404),
        ("[".repeat(100_000), 400),
    ];
    for (body, expected) in cases {
        let shown: String = body.chars().take(60).collect();
        let (status, code, message) = api_error(post(&host, "chat/completions", body).await).await;
        assert!(status == expected || (expected == 404 && status == 400), "{status} {code}: {message} for {shown}");
        assert!(message.ends_with(['.', '?']) && message.len() < 600, "not a sentence: {message}");
    }
    let (_, code, _) =
        api_error(post(&host, "chat/completions", json!({"model": "gpt-9", "messages": messages}).to_string()).await)
            .await;
    assert_eq!(code, "model_not_found");
    let (status, _, _) = api_error(post(&host, "embeddings", json!({"model": "chain"}).to_string()).await).await;
    assert_eq!(status, 400, "no input");
    still_answers(&host).await;
}

#[tokio::test]
async fn a_request_over_32_megabytes_is_refused() {
    let host = daemon().await;
    let body = json!({"model": "chain", "messages": [{"role": "user", "content": "x".repeat(33 * 1024 * 1024)}]});
    let (status, code, message) = api_error(post(&host, "chat/completions", body.to_string()).await).await;
    assert_eq!((status, &*code), (413, "too_large"), "{message}");
    still_answers(&host).await;
}

/// Nothing announces its size: the limit must hold for what is really read.
#[tokio::test]
async fn an_endless_request_is_cut() {
    let host = daemon().await;
    let chunks = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024 * 1024])));
    let request = web().post(format!("{}/chat/completions", host.api())).header("content-type", "application/json");
    // The refusal may come before the whole body is sent, and then end the sending.
    if let Ok(answer) = request.body(reqwest::Body::wrap_stream(chunks)).send().await {
        assert_eq!(answer.status(), 413);
    }
    still_answers(&host).await;
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_refused() {
    let host = daemon().await;
    let missing = web().get(format!("{}/nothing", host.api())).send().await.expect("an answer");
    assert_eq!(api_error(missing).await.0, 404);
    let wrong = web().get(format!("{}/chat/completions", host.api())).send().await.expect("an answer");
    assert_eq!(wrong.status(), 405);
    // What members use among themselves is not for local programs.
    let root = host.api().trim_end_matches("/v1");
    let inner = web().get(format!("{root}/mesh/v1/card")).send().await.expect("an answer");
    assert_eq!(inner.status(), 404);
}

#[tokio::test]
async fn a_request_that_stops_in_the_middle_holds_nobody_up() {
    let host = daemon().await;
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(host.api_address()).await.expect("connected");
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n{\"model";
        stream.write_all(head.as_bytes()).await.expect("written");
        stuck.push(stream);
    }
    still_answers(&host).await;
    // And an end without the rest is an end.
    let mut last = stuck.pop().expect("one of them");
    last.shutdown().await.expect("closed");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), last.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection is not kept");
}

#[tokio::test]
async fn streaming_and_whole_answers_are_openais() {
    let host = daemon().await;
    let models = web().get(format!("{}/models", host.api())).send().await.expect("an answer");
    let models: Value = serde_json::from_str(&models.text().await.expect("text")).expect("JSON");
    assert_eq!((models["object"].as_str(), models["data"][0]["object"].as_str()), (Some("list"), Some("model")));
    still_answers(&host).await;
    let body = json!({"model": "chain", "stream": true, "messages": [{"role": "user", "content": "Hello"}]});
    let answer = post(&host, "chat/completions", body.to_string()).await;
    assert!(answer.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/event-stream")));
    assert_eq!(Stream::new(answer).text().await, SENTENCE);
}
