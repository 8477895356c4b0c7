//! The routes over a real listener, with an engine that does what a test wants.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request as AxumRequest;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{Method, Request, StatusCode};
use myownmesh_compute::{ComputeConfig, EngineSpec, EngineUrl};
use myownmesh_control::types::{Accepting, MemberScope};
use myownmesh_mesh::{DeviceId, DeviceName, NetworkId, Role};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tower::ServiceExt;

use super::*;
use crate::store::Store;

mod others;

const PORT: u16 = 1473;
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Bench {
    folder: TempDir,
    api: Api,
    keys: Keys,
    requests: Requests,
    /// Lets a held answer of the engine go.
    go: Arc<Notify>,
}

/// An engine with one model, `org/m`, that obeys the first message: `echo` answers with the request, `stream` in two
/// events, `drip` in one event and, when told to, another, `die` in one event and, when told to, a lost connection, `hold`
/// when told to.
async fn engine(go: Arc<Notify>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let models = get(async || Json(json!({"object": "list", "data": [{"id": "org/m", "object": "model"}]})));
    let chat = post(move |request: AxumRequest| obey(request, Arc::clone(&go)));
    let app = Router::new().route("/v1/models", models).route("/v1/chat/completions", chat.clone());
    let app = app.route("/v1/embeddings", chat);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn obey(request: AxumRequest, go: Arc<Notify>) -> Response {
    let body = to_bytes(request.into_body(), usize::MAX).await.expect("a body");
    let value: Value = serde_json::from_slice(&body).expect("json");
    let events = |items: BoxStream<'static, Result<Bytes, std::io::Error>>| {
        let body = Body::from_stream(items);
        ([("content-type", "text/event-stream"), ("access-control-allow-origin", "*")], body).into_response()
    };
    match value["messages"][0]["content"].as_str() {
        Some("stream") => {
            events(stream::iter(["data: {\"n\":1}\n\n", "data: [DONE]\n\n"].map(|text| Ok(text.into()))).boxed())
        }
        Some("drip") => {
            let rest = stream::once(async move {
                go.notified().await;
                Ok("data: {\"choices\":[{\"delta\":{\"content\":\"second\"}}]}\n\ndata: [DONE]\n\n".into())
            });
            let first = Ok("data: {\"choices\":[{\"delta\":{\"content\":\"first\"}}]}\n\n".into());
            events(stream::iter([first]).chain(rest).boxed())
        }
        Some("die") => {
            let broken = stream::once(async move {
                go.notified().await;
                Err(std::io::Error::other("died"))
            });
            events(stream::iter([Ok("data: {\"n\":1}\n\n".into())]).chain(broken).boxed())
        }
        Some("hold") => {
            go.notified().await;
            Json(json!({})).into_response()
        }
        _ => ([("content-type", "application/json")], body).into_response(),
    }
}

impl Bench {
    /// Reads an answer whose engine dies, as often as it is asked.
    async fn let_die(&self, response: Response) -> (StatusCode, String) {
        let dying = async {
            loop {
                // Later than the first event, which would be lost with the connection otherwise.
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.go.notify_one();
            }
        };
        tokio::select! {
            told = told(response) => told,
            () = dying => unreachable!("it never completes"),
        }
    }

    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let go = Arc::new(Notify::new());
        let url = EngineUrl::parse(&engine(Arc::clone(&go)).await).expect("url");
        let config = ComputeConfig { engines: vec![EngineSpec::from_url(url)], builtin: None, discover_ollama: false };
        let compute = Compute::start(config).await.expect("started");
        let mut watch = compute.watch();
        let ready = watch.wait_for(|picture| !picture.models.is_empty());
        tokio::time::timeout(Duration::from_secs(10), ready).await.expect("in time").expect("a model");
        let (events, stop) = (crate::events::Events::new(), tokio_util::sync::CancellationToken::new());
        let requests = Requests::start(events.clone(), stop.clone());
        let activity =
            crate::activity::Activity::start(store.clone(), events.clone(), stop.clone()).await.expect("started");
        let keys = Keys::start(store.clone(), false).await.expect("started");
        let lending = Lending::start(store.clone()).await.expect("started");
        let rates = crate::planner::Rates::start(store.clone(), stop.clone()).await.expect("started");
        let (_, machine) = tokio::sync::watch::channel(None);
        let ledger = Ledger::start(store.clone(), lending.clone(), events, stop).await.expect("started");
        let scopes = Scopes::start(store).await.expect("started");
        let api = Api::new(Parts { compute, lending, scopes, activity, ledger, rates, machine });
        Self { folder, api, keys, requests, go }
    }

    /// The routes for programs of this device.
    fn app(&self, port: u16) -> Router {
        self.api.local(Door { ip: LOOPBACK, port }, self.keys.clone(), self.requests.clone())
    }

    async fn local(&self, request: Request<Body>) -> (StatusCode, String) {
        told(self.app(PORT).oneshot(request).await.expect("infallible")).await
    }

    async fn member(&self, mut request: Request<Body>) -> (StatusCode, String) {
        request.extensions_mut().insert(asker());
        told(self.api.service().oneshot(request).await.expect("infallible")).await
    }
}

fn network() -> NetworkId {
    NetworkId::from_bytes([3; 32])
}

fn asker() -> Asker {
    let name = DeviceName::parse("Lap").expect("a name");
    Asker { device_id: DeviceId::of_secret(&[9; 32]), name, role: Role::Member, network: network() }
}

async fn told(response: Response) -> (StatusCode, String) {
    assert!(response.headers().get("access-control-allow-origin").is_none(), "no page is ever let in");
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

fn ask(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("host", format!("localhost:{PORT}"));
    builder.body(body.into()).expect("a request")
}

fn say(model: &str, word: &str) -> Request<Body> {
    let body = json!({"model": model, "messages": [{"role": "user", "content": word}]}).to_string();
    ask(Method::POST, "/v1/chat/completions", body)
}

fn code(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    assert!(value["error"]["message"].as_str().is_some_and(|text| text.ends_with('.')), "a sentence: {body}");
    value["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn programs_of_this_device_are_served() {
    let bench = Bench::new().await;
    let (status, body) = bench.local(ask(Method::GET, "/v1/models", "")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("\"id\":\"org/m\""), "{body}");
    let (status, _) = bench.local(ask(Method::GET, "/v1/models/org/m", "")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = bench.local(say("org/m", "echo")).await;
    assert_eq!((status, body.contains("\"model\":\"org/m\"")), (StatusCode::OK, true), "{body}");
    let named = bench.local(say("This device/org/m", "echo")).await.1;
    assert!(named.contains("\"model\":\"org/m\""), "the engine hears its own name: {named}");
    let (status, body) = bench.local(say("org/m", "stream")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "data: {\"n\":1}\n\ndata: [DONE]\n\n"));
}

#[tokio::test]
async fn an_engine_that_dies_is_heard_of() {
    let bench = Bench::new().await;
    let response = bench.app(PORT).oneshot(say("org/m", "die")).await.expect("infallible");
    let (status, body) = bench.let_die(response).await;
    assert_eq!(status, StatusCode::OK);
    let events: Vec<&str> = body.split_inclusive("\n\n").collect();
    assert_eq!(events[0], "data: {\"n\":1}\n\n");
    let error = events.last().and_then(|event| event.strip_prefix("data: ")).expect("an event").trim_end();
    assert_eq!(code(error), "engine_failed");
}

#[tokio::test]
async fn bad_requests_are_answered_with_a_sentence() {
    let bench = Bench::new().await;
    let post = |body: &str| ask(Method::POST, "/v1/chat/completions", body.to_owned());
    for (request, status, expected) in [
        (post("nonsense"), 400, "invalid_argument"),
        (post("{\"model\":\"org/m\"}"), 400, "invalid_argument"),
        (say("gone", "echo"), 404, "model_not_found"),
        (ask(Method::GET, "/v1/models/gone", ""), 404, "model_not_found"),
        (ask(Method::GET, "/v1/nothing", ""), 404, "not_found"),
        (ask(Method::GET, "/v1/chat/completions", ""), 405, "invalid_argument"),
        (ask(Method::POST, "/v1/models", ""), 405, "invalid_argument"),
        (ask(Method::POST, "/v1/embeddings", vec![b' '; body::MAX_BODY + 1]), 413, "too_large"),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let (got, body) = bench.local(request).await;
        assert_eq!((got.as_u16(), code(&body).as_str()), (status, expected), "{what}");
    }
}

#[tokio::test]
async fn web_pages_are_kept_out() {
    let bench = Bench::new().await;
    let mut rebound = say("org/m", "echo");
    rebound.headers_mut().insert("host", "evil.example:1473".parse().expect("a value"));
    let mut page = say("org/m", "echo");
    page.headers_mut().insert("origin", "https://evil.example".parse().expect("a value"));
    let preflight = ask(Method::OPTIONS, "/v1/chat/completions", "");
    for (request, status) in [(rebound, 403), (page, 403), (preflight, 405)] {
        assert_eq!(bench.local(request).await.0.as_u16(), status);
    }
}

#[tokio::test]
async fn a_request_without_a_mark_is_refused() {
    let bench = Bench::new().await;
    let response = bench.api.service().oneshot(say("org/m", "echo")).await.expect("infallible");
    let (status, body) = told(response).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::FORBIDDEN, "not_allowed"));
}

/// Waits until lending is as `expected`.
async fn lent(bench: &Bench, expected: impl Fn(&myownmesh_control::types::Lending) -> bool) {
    let mut changes = bench.api.lending.follow();
    while !expected(&bench.api.lending.show(network())) {
        assert!(changes.next().await, "lending goes on");
    }
}

#[tokio::test]
async fn members_get_what_is_here_under_the_policy() {
    let bench = Bench::new().await;
    assert_eq!(bench.member(say("org/m", "echo")).await.0, StatusCode::OK);
    let (status, body) = bench.member(say("This device/org/m", "echo")).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::NOT_FOUND, "model_not_found"), "plain names only");

    bench.api.lending.set(network(), Accepting::Limited).await.expect("set");
    let service = bench.api.service();
    let mut first = say("org/m", "hold");
    first.extensions_mut().insert(asker());
    let first = tokio::spawn(service.oneshot(first));
    lent(&bench, |lent| !lent.running.is_empty()).await;
    let mut second = say("org/m", "echo");
    second.extensions_mut().insert(asker());
    let second = tokio::spawn(bench.api.service().oneshot(second));
    lent(&bench, |lent| !lent.waiting.is_empty()).await;
    bench.go.notify_one();
    for served in [first, second] {
        assert_eq!(served.await.expect("joined").expect("infallible").status(), StatusCode::OK);
    }

    bench.api.lending.set(network(), Accepting::Busy).await.expect("set");
    let (status, body) = bench.member(say("org/m", "echo")).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    assert_eq!(bench.local(say("org/m", "echo")).await.0, StatusCode::OK, "the owner is always served");
}

#[tokio::test]
async fn members_do_what_a_person_here_lets_them() {
    let bench = Bench::new().await;
    let lap = asker().device_id;
    let set = async |scope, on| bench.api.scopes.set(network(), lap, scope, on).await.expect("set");
    let models = || ask(Method::GET, "/v1/models", "");
    set(MemberScope::Chat, false).await;
    let input = json!({"model": "org/m", "input": "x"}).to_string();
    for request in [say("org/m", "echo"), ask(Method::POST, "/v1/embeddings", input), say("org/m", "stream")] {
        let (status, body) = bench.member(request).await;
        assert_eq!((status, code(&body).as_str()), (StatusCode::FORBIDDEN, "not_allowed"), "{body}");
        assert!(body.contains("turned off asking its models for this device. Ask its owner"), "{body}");
    }
    assert_eq!(bench.member(models()).await.0, StatusCode::OK, "another scope");
    set(MemberScope::Models, false).await;
    for request in [models(), ask(Method::GET, "/v1/models/org/m", "")] {
        let (status, body) = bench.member(request).await;
        assert_eq!((status, code(&body).as_str()), (StatusCode::FORBIDDEN, "not_allowed"), "{body}");
    }
    assert_eq!(bench.local(say("org/m", "echo")).await.0, StatusCode::OK, "nobody else is meant");
    assert_eq!(bench.local(models()).await.0, StatusCode::OK);
    set(MemberScope::Chat, true).await;
    assert_eq!(bench.member(say("org/m", "echo")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_member_reads_its_own_part_of_the_ledger() {
    let bench = Bench::new().await;
    let named = |name: &'static str| {
        let mut request = say("org/m", "stream");
        request.headers_mut().insert(crate::ledger::REQUEST, http::HeaderValue::from_static(name));
        request
    };
    for name in ["name-of-request-1", "name-of-request-2"] {
        assert_eq!(bench.member(named(name)).await.0, StatusCode::OK);
    }
    let body = json!({ "requests": ["name-of-request-1", "name-of-request-2", "name-of-request-3"] }).to_string();
    let asked = |body: &str| ask(Method::POST, LEDGER, body.to_owned());
    let (status, text) = bench.member(asked(&body)).await;
    let counted: Told = serde_json::from_str(&text).expect("rows");
    assert_eq!((status, counted.counted.len()), (StatusCode::OK, 2), "{text}");
    let others = [
        Asker { device_id: DeviceId::of_secret(&[8; 32]), ..asker() },
        Asker { network: NetworkId::from_bytes([99; 32]), ..asker() },
    ];
    for other in others {
        let mut request = asked(&body);
        request.extensions_mut().insert(other);
        let (status, body) = self::told(bench.api.service().oneshot(request).await.expect("infallible")).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"counted":[]}"#), "not its own");
    }
    for odd in ["[]", r#"{"requests":["'; DROP TABLE ledger; --"]}"#, r#"{"requests":[7]}"#] {
        assert_eq!(bench.member(asked(odd)).await.0, StatusCode::BAD_REQUEST, "{odd}");
    }
    let many = json!({ "requests": vec!["name-of-request-1"; 257] }).to_string();
    assert_eq!(bench.member(asked(&many)).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(bench.local(asked(&body)).await.0, StatusCode::NOT_FOUND, "programs of this device have `usage`");
}

#[tokio::test]
async fn what_a_member_may_no_longer_do_ends_at_once() {
    let bench = Bench::new().await;
    let lap = asker().device_id;
    // Neither answer would ever end by itself: the engine is not told to go on.
    let mut streaming = say("org/m", "die");
    streaming.extensions_mut().insert(asker());
    let mut stream = bench.api.service().oneshot(streaming).await.expect("infallible").into_body().into_data_stream();
    assert_eq!(stream.next().await.expect("an event").expect("whole"), "data: {\"n\":1}\n\n");
    bench.api.scopes.set(network(), lap, MemberScope::Chat, false).await.expect("set");
    let last = stream.next().await.expect("an event").expect("whole");
    let error = std::str::from_utf8(&last).expect("text").strip_prefix("data: ").expect("an event").trim_end();
    assert_eq!(code(error), "not_allowed");
    assert!(stream.next().await.is_none(), "that was the end");
    drop(stream);

    bench.api.scopes.set(network(), lap, MemberScope::Chat, true).await.expect("set");
    bench.api.lending.set(network(), Accepting::Limited).await.expect("set");
    let mut waiting = say("org/m", "hold");
    waiting.extensions_mut().insert(asker());
    let waiting = tokio::spawn(bench.api.service().oneshot(waiting));
    // It runs as soon as it has taken the only place.
    lent(&bench, |lent| !lent.running.is_empty()).await;
    bench.api.scopes.set(network(), lap, MemberScope::Chat, false).await.expect("set");
    let (status, body) = told(waiting.await.expect("joined").expect("infallible")).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::FORBIDDEN, "not_allowed"));
}

#[tokio::test]
async fn the_listener_answers_large_uploads_before_it_closes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::new().await;
    let listener = bind(LOOPBACK, 0).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(serve(listener, bench.app(address.port()), stop.clone()));
    let mut client = tokio::net::TcpStream::connect(address).await.expect("connected");
    let length = body::MAX_BODY + 1;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).await.expect("sent");
    client.write_all(&vec![b' '; length]).await.expect("taken to the end");
    let mut answer = vec![0; 12];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 413");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("in time").expect("ended");
}
