//! Web pages that try what only local programs may do: from another origin, with a foreign `Host`, by DNS rebinding.

use crate::harness::{Daemon, Place, raw, web};

fn request(path: &str, host: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\n\r\n")
}

fn status(line: &str) -> u16 {
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {line:?}"))
}

/// `IP:PORT` and path with the token of the bridge.
fn bridge(daemon: &Daemon) -> (String, String) {
    let url = daemon.ready["bridge"].as_str().expect("a bridge was asked for");
    let rest = url.trim_start_matches("ws://");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    (address.to_owned(), format!("/{path}"))
}

const UPGRADE: &str =
    "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn upgrade(path: &str, host: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{UPGRADE}{headers}connection: Upgrade\r\n\r\n")
}

#[tokio::test]
async fn a_foreign_host_is_refused_by_the_api() {
    let desk = Place::new("Desk").start().await;
    let address = desk.api_address();
    let port = address.rsplit_once(':').expect("a port").1;
    for good in [address, &format!("localhost:{port}"), &format!("[::1]:{port}")] {
        assert_eq!(status(&raw(address, &request("/v1/models", good, "")).await), 200, "{good}");
    }
    // What a page sees after its own name was pointed at 127.0.0.1.
    for bad in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example", "localhost.evil.example", ""]
    {
        assert_eq!(status(&raw(address, &request("/v1/models", bad, "")).await), 403, "{bad}");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_by_the_api() {
    let desk = Place::new("Desk").start().await;
    let (address, models) = (desk.api_address(), "/v1/models");
    for bad in [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "file://",
        "http://localhost.evil.example:1473",
    ] {
        let line = raw(address, &request(models, address, &format!("origin: {bad}\r\n"))).await;
        assert_eq!(status(&line), 403, "{bad}");
    }
    let preflight = format!(
        "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\norigin: https://evil.example\r\n\
         access-control-request-method: POST\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(status(&raw(address, &preflight).await), 403);
    let open = web().get(format!("{}/models", desk.api())).send().await.expect("an answer");
    assert!(open.headers().get("access-control-allow-origin").is_none(), "no page is invited");
}

#[tokio::test]
async fn the_bridge_wants_its_token_and_a_local_page() {
    let desk = Place::new("Desk").with(["--bridge-port", "0"]).start().await;
    let (address, path) = bridge(&desk);
    let local = format!("origin: http://{address}\r\n");
    assert_eq!(status(&raw(&address, &upgrade(&path, &address, &local)).await), 101, "its own page may");
    let bare = path.split('?').next().expect("a path");
    let mut wrong = path.clone();
    let last = wrong.pop().expect("a token");
    wrong.push(if last == '0' { '1' } else { '0' });
    for bad in [bare, &wrong, "/", &format!("{bare}?token=")] {
        let code = status(&raw(&address, &upgrade(bad, &address, &local)).await);
        assert!(code == 401 || code == 403, "{code} for {bad}");
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
        let line = raw(&address, &upgrade(&path, &address, &format!("origin: {origin}\r\n"))).await;
        assert_eq!(status(&line), 403, "{origin}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example"] {
        assert_eq!(status(&raw(&address, &upgrade(&path, host, &local)).await), 403, "{host}");
    }
}

#[tokio::test]
async fn there_is_no_bridge_unless_asked_for() {
    let desk = Place::new("Desk").start().await;
    assert!(desk.ready.get("bridge").is_none(), "{}", desk.ready);
    let line = raw(desk.api_address(), &upgrade("/", desk.api_address(), "")).await;
    assert_ne!(status(&line), 101);
}
