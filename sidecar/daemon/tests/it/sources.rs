//! A catalogue from an address: read, kept for its time, told when it cannot be had.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{Place, ok, refused};

/// A server of one catalogue.
struct Server {
    url: String,
    /// What it answers with; none for trouble.
    text: watch::Sender<Option<String>>,
    sent: Arc<watch::Sender<usize>>,
}

fn document(model: &str, imports: &[&str]) -> String {
    let variant = json!({ "quantisation": "Q8_0", "files": [{ "name": "model.gguf", "size_bytes": 1_000_000 }] });
    json!({
        "format": 1, "name": "Ours", "ttl_hours": 24, "imports": imports,
        "families": [{
            "id": "ours", "name": "Ours", "publisher": "Us", "licence": "MIT", "purposes": ["chat"],
            "models": [{
                "id": model, "name": "Ours", "parameters_millions": 10, "context_length": 2048,
                "repo": "us/ours", "variants": [variant]
            }]
        }]
    })
    .to_string()
}

async fn serve(text: String) -> Server {
    let (text, sent) = (watch::Sender::new(Some(text)), Arc::new(watch::Sender::new(0)));
    let (answers, count) = (text.subscribe(), Arc::clone(&sent));
    let router = Router::new().fallback(move |headers: HeaderMap| {
        let (answer, count) = (answers.borrow().clone(), Arc::clone(&count));
        async move {
            let Some(text) = answer else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
            let tag = format!("\"{}\"", text.len());
            if headers.get("if-none-match").is_some_and(|given| *given == *tag) {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            count.send_modify(|sent| *sent += 1);
            ([("etag", tag)], text).into_response()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/models.json", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Server { url, text, sent }
}

fn ids(found: &Value) -> Vec<&str> {
    let families = found.as_array().expect("a list").iter();
    families.flat_map(|family| family["models"].as_array().expect("a list")).filter_map(|m| m["id"].as_str()).collect()
}

#[tokio::test]
async fn a_catalogue_from_an_address_is_composed_kept_and_read_again() {
    let server = serve(document("ours-1b", &[])).await;
    let desk = Place::new("Desk");
    let host = desk.start().await;
    let source = ok(&desk, ["model", "catalogue", &server.url]).await;
    assert_eq!((source["url"].as_str(), &source["error"]), (Some(&*server.url), &Value::Null), "{source}");
    let hours = (source["due_at"].as_i64().expect("due") - source["fetched_at"].as_i64().expect("fetched")) / 3_600_000;
    assert_eq!(hours, 24, "it says so itself");
    assert_eq!(ids(&ok(&desk, ["model", "search", "ours"]).await), ["ours-1b"]);
    assert!(ids(&ok(&desk, ["model", "search"]).await).len() > 5, "the bundled one is there as well");
    // It did not change, so it is not sent again.
    ok(&desk, ["model", "catalogue", &server.url]).await;
    assert_eq!(*server.sent.borrow(), 1);
    host.terminate().await;

    // Kept over a restart, and what cannot be read keeps what was there before.
    server.text.send_replace(None);
    let host = desk.start().await;
    host.until("the kept catalogue", async |control| {
        use myownmesh_control::api::library::LibraryApiClient as _;
        let found = control.model_search(Some("ours".to_owned())).await.expect("a search");
        (!found.is_empty()).then_some(())
    })
    .await;
    let source = ok(&desk, ["model", "catalogue", &server.url]).await;
    let error = source["error"].as_str().expect("why");
    assert!(error.contains("an older copy is used") && error.contains("status 500"), "{error}");
    assert_eq!(ids(&ok(&desk, ["model", "search", "ours"]).await), ["ours-1b"]);

    server.text.send_replace(Some(document("ours-2b", &["models.json", "http://192.168.77.77/x.json"])));
    let source = ok(&desk, ["model", "catalogue", &server.url]).await;
    let error = source["error"].as_str().expect("why");
    assert!(error.contains("circle") && error.contains("not a public address"), "{error}");
    assert_eq!(ids(&ok(&desk, ["model", "search", "ours"]).await), ["ours-2b"]);

    let source = ok(&desk, ["model", "catalogue", "none"]).await;
    assert!(source["url"].is_null() && source["error"].is_null(), "{source}");
    assert_eq!(ids(&ok(&desk, ["model", "search", "ours"]).await), Vec::<&str>::new());
    let (code, message) = refused(&desk, ["model", "catalogue", "file:///etc/passwd"]).await;
    assert_eq!(code, "invalid_argument", "{message}");
}
