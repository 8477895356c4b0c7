//! What may sit at an address that is not an engine at all.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use myownmesh_compute::{ComputeError, ErrorKind};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::external::{Server, serve};
use crate::support::{bare, soon, spec};

/// Tries to add what is at `url` and tells why it was refused.
async fn refusal(url: &str) -> ComputeError {
    let compute = bare().await;
    let begin = Instant::now();
    let error = soon(compute.add_engine(spec(url))).await.expect_err("no engine");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(compute.snapshot().engines.is_empty());
    compute.shutdown().await;
    error
}

async fn everywhere<H, T>(handler: H) -> Server
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    serve(Router::new().fallback(handler)).await
}

#[tokio::test]
async fn a_web_page() {
    let server = everywhere(|| async { Html("<!doctype html><title>Hello</title>") }).await;
    let error = refusal(&server.url()).await;
    assert_eq!(error.kind(), ErrorKind::EngineBadAnswer);
    assert!(error.to_string().contains("it sends a web page. Check the port"), "{error}");
}

#[tokio::test]
async fn a_web_page_that_says_it_is_something_else() {
    let server = everywhere(|| async { "<html>\u{1b}[31m" }).await;
    let error = refusal(&server.url()).await;
    assert!(error.to_string().contains("is not the expected JSON (it begins with \"<html>[31m\")"), "{error}");
}

#[tokio::test]
async fn a_redirect_in_circles() {
    let server = everywhere(|| async { Redirect::temporary("/v1/models?token=secret") }).await;
    let error = refusal(&server.url()).await;
    assert_eq!(error.kind(), ErrorKind::EngineBadAnswer);
    assert!(error.to_string().contains("it redirects to /v1/models. Use the address"), "{error}");
}

#[tokio::test]
async fn json_of_another_kind() {
    let server = everywhere(|| async { Json(json!({ "hello": "world" })) }).await;
    let error = refusal(&server.url()).await;
    assert_eq!(error.kind(), ErrorKind::EngineBadAnswer);
    assert!(error.to_string().contains("not the expected JSON"), "{error}");
}

#[tokio::test]
async fn nothing_but_errors() {
    let server = everywhere(|| async { StatusCode::INTERNAL_SERVER_ERROR }).await;
    let error = refusal(&server.url()).await;
    assert!(error.to_string().contains("answers /v1/models with status 500"), "{error}");
}

#[tokio::test]
async fn a_body_without_end() {
    let handler = || async {
        let chunk = Bytes::from(vec![b' '; 64 << 10]);
        Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone())))
    };
    let error = refusal(&everywhere(handler).await.url()).await;
    assert_eq!(error.kind(), ErrorKind::EngineBadAnswer);
    assert!(error.to_string().contains("larger than 4 MiB"), "{error}");
}

#[tokio::test]
async fn more_models_than_anybody_has() {
    let models: Vec<_> = (0..5000).map(|n| json!({ "id": format!("m{n}") })).collect();
    let list = Json(json!({ "data": models }));
    let server = serve(Router::new().route("/v1/models", get(move || async move { list }))).await;
    let compute = bare().await;
    let info = soon(compute.add_engine(spec(&server.url()))).await.expect("an engine");
    assert_eq!(info.models.len(), 2000);
    compute.shutdown().await;
}

/// Accepts connections and writes `answer`, then whatever `then` says.
async fn raw(answer: &'static [u8], keep_open: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 1024]).await;
                let _ = socket.write_all(answer).await;
                if keep_open {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_port_that_accepts_and_says_nothing() {
    let error = refusal(&raw(b"", true).await).await;
    assert_eq!(error.kind(), ErrorKind::EngineSlow);
    assert!(error.to_string().contains("did not answer within 4 s"), "{error}");
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle() {
    let url = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{", true).await;
    assert_eq!(refusal(&url).await.kind(), ErrorKind::EngineSlow);
    let url = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{", false).await;
    assert_eq!(refusal(&url).await.kind(), ErrorKind::EngineFailed);
}

#[tokio::test]
async fn something_that_does_not_speak_http() {
    let error = refusal(&raw(b"SSH-2.0-OpenSSH_9.2\r\n", false).await).await;
    assert_eq!(error.kind(), ErrorKind::EngineBadAnswer);
    assert!(error.to_string().contains("does not speak HTTP as expected"), "{error}");
}

#[tokio::test]
async fn a_port_where_nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let error = refusal(&url).await;
    assert_eq!(error.kind(), ErrorKind::EngineUnreachable);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    let error = refusal("http://no-such-host.invalid:1234").await;
    assert_eq!(error.kind(), ErrorKind::EngineUnreachable);
}

#[tokio::test]
async fn https_to_a_port_that_speaks_http() {
    let server = everywhere(|| async { "hello" }).await;
    let error = refusal(&format!("https://{}", server.address)).await;
    assert!(
        matches!(error.kind(), ErrorKind::EngineUnreachable | ErrorKind::EngineFailed),
        "{error} (the second on a system without root certificates)"
    );
}
