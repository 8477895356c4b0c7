//! The APIs of Ollama and Anthropic, and OpenAI's responses: their errors, and answers that break.

use super::*;

/// How each API asks for one streamed answer to `word`.
fn streams(word: &str) -> [(&'static str, Value); 4] {
    let said = json!([{"role": "user", "content": word}]);
    [
        ("/api/chat", json!({"model": "org/m", "messages": said})),
        ("/api/generate", json!({"model": "org/m", "prompt": word})),
        ("/v1/messages", json!({"model": "org/m", "messages": said, "max_tokens": 9, "stream": true})),
        ("/v1/responses", json!({"model": "org/m", "input": word, "stream": true})),
    ]
}

/// The sentence of an error in the shape of the API at `path`.
fn sentence(path: &str, body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("JSON at {path}: {body}"));
    let message = if path.starts_with("/api") {
        assert!(value.as_object().is_some_and(|fields| fields.len() == 1), "{body}");
        &value["error"]
    } else {
        assert_eq!(value["type"] == "error", path.starts_with("/v1/messages"), "{body}");
        &value["error"]["message"]
    };
    let text = message.as_str().unwrap_or_else(|| panic!("a sentence at {path}: {body}"));
    assert!(text.ends_with('.'), "{text}");
    text.to_owned()
}

#[tokio::test]
async fn each_api_tells_errors_in_its_own_shape() {
    let bench = Bench::new().await;
    for (path, mut body) in streams("echo") {
        let (status, text) = bench.local(ask(Method::POST, path, "nonsense")).await;
        assert_eq!(status.as_u16(), 400);
        assert!(sentence(path, &text).contains("JSON"), "{text}");
        let (status, text) = bench.local(ask(Method::GET, path, "")).await;
        assert_eq!(status.as_u16(), 405, "{path}");
        sentence(path, &text);
        let (status, text) = bench.local(ask(Method::POST, path, vec![b' '; body::MAX_BODY + 1])).await;
        assert_eq!(status.as_u16(), 413);
        sentence(path, &text);
        body["surprise"] = 1.into();
        let (status, text) = bench.local(ask(Method::POST, path, body.to_string())).await;
        assert_eq!(status.as_u16(), 400);
        assert!(sentence(path, &text).contains("surprise"), "what is unknown is named: {text}");
        body.as_object_mut().expect("an object").remove("surprise");
        body["model"] = "gone".into();
        let (status, text) = bench.local(ask(Method::POST, path, body.to_string())).await;
        assert_eq!(status.as_u16(), 404);
        assert!(sentence(path, &text).contains("gone"), "{text}");
        let mut page = ask(Method::POST, path, "");
        page.headers_mut().insert("origin", "https://evil.example".parse().expect("a value"));
        let (status, text) = bench.local(page).await;
        assert_eq!(status.as_u16(), 403);
        sentence(path, &text);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_ends_with_an_error_in_each_api() {
    let bench = Bench::new().await;
    for (path, body) in streams("die") {
        let response = bench.app(PORT).oneshot(ask(Method::POST, path, body.to_string())).await;
        let (status, text) = bench.let_die(response.expect("infallible")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let last = text.trim_end().lines().last().expect("a line").trim_start_matches("data: ");
        if path == "/v1/responses" {
            let event: Value = serde_json::from_str(last).expect("JSON");
            assert_eq!(event["type"], "response.failed");
            sentence(path, &json!({"error": event["response"]["error"]}).to_string());
        } else {
            sentence(path, last);
        }
    }
}

#[tokio::test]
async fn a_word_is_told_before_the_next_one_is_there() {
    let bench = Bench::new().await;
    for (path, body) in streams("drip") {
        let response = bench.app(PORT).oneshot(ask(Method::POST, path, body.to_string())).await.expect("infallible");
        let mut pieces = response.into_body().into_data_stream();
        let mut text = String::new();
        // The engine says no more before it is told to: what waited for its next event would wait here for ever.
        while !text.contains("first") {
            let piece = tokio::time::timeout(Duration::from_secs(10), pieces.next()).await;
            let piece = piece.unwrap_or_else(|_| panic!("{path} keeps the first word back: {text}"));
            text.push_str(&String::from_utf8_lossy(&piece.expect("more").expect("bytes")));
        }
        assert!(!text.contains("second"), "{path}: {text}");
        bench.go.notify_one();
        while let Some(piece) = pieces.next().await {
            text.push_str(&String::from_utf8_lossy(&piece.expect("bytes")));
        }
        assert!(text.contains("second"), "{path}: {text}");
    }
}

#[tokio::test]
async fn what_only_ollama_does_is_refused() {
    let bench = Bench::new().await;
    for (method, path) in [
        (Method::POST, "/api/pull"),
        (Method::POST, "/api/push"),
        (Method::POST, "/api/create"),
        (Method::POST, "/api/copy"),
        (Method::DELETE, "/api/delete"),
        (Method::HEAD, "/api/blobs/sha256:0"),
        (Method::POST, "/api/blobs/sha256:0"),
    ] {
        let (status, text) = bench.local(ask(method.clone(), path, "{\"model\":\"m\"}")).await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED, "{method} {path}");
        if method != Method::HEAD {
            assert!(sentence(path, &text).contains("myownmesh model"), "{text}");
        }
    }
    let (status, text) = bench.local(ask(Method::GET, "/api/nothing", "")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    sentence("/api/nothing", &text);
}

#[tokio::test]
async fn models_are_listed_for_every_api() {
    let bench = Bench::new().await;
    let list = async |path: &str, header: Option<&'static str>| {
        let mut request = ask(Method::GET, path, "");
        if let Some(version) = header {
            request.headers_mut().insert("anthropic-version", version.parse().expect("a value"));
        }
        let (status, text) = bench.local(request).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let openai = list("/v1/models", None).await;
    assert_eq!((&openai["object"], &openai["data"][0]["id"]), (&json!("list"), &json!("myownllm")));
    assert_eq!(openai["data"][1]["id"], "org/m");
    let anthropic = list("/v1/models", Some("2023-06-01")).await;
    assert_eq!((&anthropic["has_more"], &anthropic["last_id"]), (&json!(false), &json!("org/m")));
    assert_eq!(list("/v1/models/org/m", Some("2023-06-01")).await["type"], "model");
    assert_eq!(list("/api/tags", None).await["models"][1]["name"], "org/m");
    assert!(list("/api/version", None).await["version"].is_string());
    let show = bench.local(ask(Method::POST, "/api/show", "{\"model\":\"org/m:latest\"}")).await;
    assert_eq!(show.0, StatusCode::OK, "{}", show.1);
}

#[tokio::test]
async fn members_are_asked_in_the_one_protocol_only() {
    let bench = Bench::new().await;
    for (path, body) in streams("echo") {
        assert_eq!(bench.member(ask(Method::POST, path, body.to_string())).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_an_engine_cannot_count_is_refused() {
    let bench = Bench::new().await;
    let body = json!({"model": "org/m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let (status, text) = bench.local(ask(Method::POST, "/v1/messages/count_tokens", body)).await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED, "{text}");
    assert!(sentence("/v1/messages", &text).contains("cannot count"), "{text}");
}

#[tokio::test]
async fn where_a_key_is_required_each_api_says_so_in_its_shape() {
    let bench = Bench::new().await;
    let store = Store::open(&bench.folder.path().join("device.sqlite")).expect("opened").0;
    let keys = Keys::start(store, true).await.expect("started");
    let made = keys.create(crate::keys::KeyName::parse("k").expect("a name"), None).await.expect("made");
    let app = bench.api.local(Door { ip: LOOPBACK, port: PORT }, keys.clone(), bench.requests.clone());
    let asked = async |path: &str, method: Method, key: Option<(&'static str, &str)>| {
        let mut request = ask(method, path, "{}");
        if let Some((header, value)) = key {
            request.headers_mut().insert(header, value.parse().expect("a value"));
        }
        told(app.clone().oneshot(request).await.expect("infallible")).await
    };
    let bearer = format!("Bearer {}", made.secret);
    for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"] {
        for wrong in [None, Some(("authorization", "Bearer none")), Some(("x-api-key", "mollm-no"))] {
            let (status, text) = asked(path, Method::POST, wrong).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(sentence(path, &text).contains("myownmesh key create"), "{text}");
        }
        assert_eq!(asked(path, Method::POST, Some(("authorization", &bearer))).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(asked("/v1/models", Method::GET, Some(("x-api-key", &made.secret))).await.0, StatusCode::OK);
    keys.revoke(crate::keys::KeyName::parse("k").expect("a name")).await.expect("revoked");
    assert_eq!(asked("/v1/models", Method::GET, Some(("x-api-key", &made.secret))).await.0, StatusCode::UNAUTHORIZED);
}
