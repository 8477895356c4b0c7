//! Keys for the local API, through the command line and across restarts.

use serde_json::Value;

use crate::harness::{Daemon, Place, api_error, ok, refused, web};

async fn models(daemon: &Daemon, key: Option<&str>) -> reqwest::Response {
    let mut request = web().get(format!("{}/models", daemon.api()));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    request.send().await.expect("an answer")
}

/// A home whose configuration says this.
fn place(config: &str) -> Place {
    let place = Place::new("Desk");
    std::fs::create_dir_all(place.home()).expect("the home can be made");
    std::fs::write(place.file("config.toml"), config).expect("it can be written");
    place
}

#[tokio::test]
async fn a_key_opens_the_api_until_it_is_revoked() {
    let place = place("api_requires_key = true\n");
    let desk = place.start().await;
    let (status, _, message) = api_error(models(&desk, None).await).await;
    assert_eq!(status, 401, "{message}");
    assert!(message.contains("myownmesh key create"), "{message}");
    let made = ok(&place, ["key", "create", "editor"]).await;
    let secret = made["secret"].as_str().expect("told once").to_owned();
    assert_eq!(models(&desk, Some(&secret)).await.status(), 200);
    assert_eq!(api_error(models(&desk, Some("mollm-wrong")).await).await.0, 401);
    let listed = ok(&place, ["key", "list"]).await;
    assert_eq!(listed[0]["name"], "editor");
    assert!(listed[0]["last_used_at"].is_i64() && listed[0]["created_at"].is_i64(), "{listed}");
    assert!(!listed.to_string().contains(&secret), "a secret is told once");
    assert_eq!(refused(&place, ["key", "create", "editor"]).await.0, "conflict");

    desk.terminate().await;
    let desk = place.start().await;
    assert_eq!(models(&desk, Some(&secret)).await.status(), 200, "it is kept");
    ok(&place, ["key", "revoke", "editor"]).await;
    assert_eq!(models(&desk, Some(&secret)).await.status(), 401);
    assert_eq!(refused(&place, ["key", "revoke", "editor"]).await.0, "not_found");
    assert_eq!(ok(&place, ["key", "list"]).await, Value::Array(Vec::new()));
    assert!(!place.logs().contains(&secret), "and never written down");
}

#[tokio::test]
async fn beyond_loopback_a_key_is_always_required() {
    let desk = Place::new("Desk").with(["--api-listen", "0.0.0.0"]).start().await;
    assert_eq!(models(&desk, None).await.status(), 401);
    assert_eq!(models(&desk, Some("none")).await.status(), 401);
    let made = ok(&desk.place, ["key", "create", "phone"]).await;
    assert_eq!(models(&desk, made["secret"].as_str()).await.status(), 200);
    let desk = Place::new("Desk").start().await;
    assert_eq!(models(&desk, None).await.status(), 200, "on loopback none is needed");
}
