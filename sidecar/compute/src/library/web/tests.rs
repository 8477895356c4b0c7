use axum::Router;
use axum::http::HeaderMap as Headers;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

/// A server on loopback that plays a hub with a public name.
async fn public_hub(router: Router) -> (Web, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let base = Url::parse(&format!("http://hub.example.org:{}/", address.port())).expect("an address");
    (Web::pinned(base.clone(), address), base)
}

async fn get_it(web: &Web, url: &Url) -> Result<Response, HubError> {
    web.ask(Method::GET, url, &HeaderMap::new(), |_| true).await
}

#[tokio::test]
async fn a_public_hub_cannot_lead_inside() {
    for to in
        ["http://127.0.0.1:1/", "http://localhost:1/", "http://10.0.0.1/", "http://169.254.169.254/", "http://[::1]:1/"]
    {
        let (web, base) = public_hub(Router::new().fallback(move || async move { Redirect::temporary(to) })).await;
        let error = get_it(&web, &base).await.expect_err(to);
        assert!(matches!(error, HubError::Elsewhere { .. }), "{to}: {error}");
        assert!(error.to_string().contains("not a public address"), "{error}");
        assert!(!error.is_passing(), "trying again does not help");
    }
}

#[tokio::test]
async fn a_hub_may_lead_to_itself_but_not_in_circles() {
    let router = Router::new()
        .route("/a", get(|| async { Redirect::temporary("/b") }))
        .route("/b", get(|| async { "here" }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/mute", get(|| async { (StatusCode::FOUND, "nowhere") }))
        .route("/file", get(|| async { Redirect::temporary("file:///etc/passwd") }))
        .route("/secret", get(|| async { Redirect::temporary("http://me:hunter2@hub.example.org/") }));
    let (web, base) = public_hub(router).await;
    let at = |path| base.join(path).expect("a path");
    let answer = get_it(&web, &at("a")).await.expect("it leads to /b");
    assert_eq!(web.body(answer).text(10).await.as_deref(), Ok("here"));
    assert!(matches!(get_it(&web, &at("round")).await, Err(HubError::Circle { .. })));
    assert!(matches!(get_it(&web, &at("mute")).await, Err(HubError::Nonsense { .. })));
    assert!(matches!(get_it(&web, &at("file")).await, Err(HubError::Insecure { .. })));
    let error = get_it(&web, &at("secret")).await.expect_err("a password").to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_key_is_shown_to_its_own_host_only() {
    let tell = |headers: Headers| async move {
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("none").to_owned()
    };
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let elsewhere = format!("http://{}/told", other.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(other, Router::new().fallback(tell)).await });
    let own = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = Url::parse(&format!("http://{}/", own.local_addr().expect("bound"))).expect("an address");
    let router = Router::new()
        .route("/told", get(tell))
        .route("/away", get(move || async move { Redirect::temporary(&elsewhere) }));
    tokio::spawn(async move { axum::serve(own, router).await });
    let web = Web::new(base.clone(), Some(Secret::parse("hf_key").expect("a key")), Patience::default());
    for (path, told) in [("told", "Bearer hf_key"), ("away", "none")] {
        let answer = get_it(&web, &base.join(path).expect("a path")).await.expect("an answer");
        assert_eq!(web.body(answer).text(100).await.as_deref(), Ok(told), "{path}");
    }
}

#[tokio::test]
async fn statuses_become_sentences() {
    let router = Router::new().fallback(|uri: axum::http::Uri| async move {
        let status: u16 = uri.path().trim_start_matches('/').parse().unwrap_or(200);
        (
            [("retry-after", "7"), ("content-encoding", "gzip")],
            StatusCode::from_u16(status).expect("a status").into_response(),
        )
            .into_response()
    });
    let (web, base) = public_hub(router).await;
    for (status, sentence, passing) in [
        (401, "only to those it knows", false),
        (403, "only to those it knows", false),
        (404, "has no tiny.gguf", false),
        (418, "answers with status 418", false),
        (429, "Try again in 7 s", true),
        (500, "has trouble (status 500)", true),
        (503, "Try again in 7 s", true),
        (200, "compresses what it sends", false),
    ] {
        let answer = get_it(&web, &base.join(&status.to_string()).expect("a path")).await.expect("an answer");
        let error = check(&answer, "tiny.gguf").expect_err("refused");
        assert!(error.to_string().contains(sentence), "{status}: {error}");
        assert_eq!(error.is_passing(), passing, "{status}");
    }
}

#[tokio::test]
async fn nobody_and_somebody_who_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let base = Url::parse(&format!("http://{address}/")).expect("an address");
    // It accepts, as the system does for it, and never answers.
    let patience = Patience { head: Duration::from_millis(200), piece: Duration::from_millis(200) };
    let error = get_it(&Web::new(base.clone(), None, patience), &base).await.expect_err("silence");
    assert!(matches!(error, HubError::Silent { .. }) && error.is_passing(), "{error}");
    drop(listener);
    let error = get_it(&Web::new(base.clone(), None, patience), &base).await.expect_err("nobody");
    assert!(matches!(error, HubError::Unreachable { .. }) && error.to_string().contains("refused"), "{error}");
    let name = Url::parse("http://no-such-host.invalid/").expect("an address");
    let error = get_it(&Web::new(name.clone(), None, Patience::default()), &name).await.expect_err("no such name");
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_text_without_end_is_cut_off() {
    let endless = || async {
        let piece = Bytes::from(vec![b' '; 1 << 16]);
        axum::body::Body::from_stream(futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
    };
    let (web, base) = public_hub(Router::new().fallback(endless)).await;
    let answer = get_it(&web, &base).await.expect("an answer");
    let error = web.body(answer).text(1 << 20).await.expect_err("too much");
    assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
}
