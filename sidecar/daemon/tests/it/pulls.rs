//! Ollama's models: on the shelf, in memory, fetched and deleted through its own API.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Ollama, Place, Running, cli_json, ok, refused};

const MODEL: &str = "llama3.2:1b";

/// A device with this Ollama.
async fn with(ollama: &Ollama) -> (Place, crate::harness::Daemon) {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    ok(&desk, ["engine", "add", &ollama.url]).await;
    (desk, host)
}

fn kept(shelf: &Value) -> Vec<(&str, &str)> {
    let models = shelf["models"].as_array().expect("a list");
    models.iter().map(|model| (model["id"].as_str().expect("an id"), model["state"].as_str().expect("one"))).collect()
}

#[tokio::test]
async fn models_of_ollama_are_on_the_shelf_and_do_as_they_are_told() {
    let ollama = Ollama::with(["llama3.2:1b", "other:latest"]).await;
    let (desk, _host) = with(&ollama).await;
    let shelf = ok(&desk, ["model", "list"]).await;
    assert_eq!(kept(&shelf), [(MODEL, "available"), ("other:latest", "available")]);
    assert!(shelf["models"][0]["path"].is_null() && shelf["models"][0]["size_bytes"].as_u64() > Some(1_000_000_000));
    assert_eq!(ok(&desk, ["model", "load", MODEL]).await["state"], "ready");
    assert!(ollama.has_loaded(MODEL));
    assert_eq!(ok(&desk, ["model", "unload", MODEL]).await["state"], "available");
    assert!(!ollama.has_loaded(MODEL));
    assert_eq!(ok(&desk, ["model", "pin", MODEL]).await["pinned"], true);
    assert!(ok(&desk, ["model", "rm", MODEL]).await["freed_bytes"].as_u64() > Some(1_000_000_000));
    assert_eq!(kept(&ok(&desk, ["model", "list"]).await), [("other:latest", "available")]);
}

#[tokio::test]
async fn ollama_fetches_a_model_with_progress_like_any_other() {
    let ollama = Ollama::with([]).await;
    let (desk, _host) = with(&ollama).await;
    ollama.hold_after(4);
    let mut get = Running::start(&desk, ["model", "get", MODEL, "--from", "ollama"]);
    let half = loop {
        let line = get.line().await;
        assert_eq!((line["type"].as_str(), line["source"].as_str()), (Some("progress"), Some("ollama")), "{line}");
        if line["bytes"].as_u64() > Some(600_000_000) {
            break line;
        }
    };
    assert!(half["total"].as_u64() > half["bytes"].as_u64(), "{half}");
    // It shows while it comes.
    assert_eq!(kept(&ok(&desk, ["model", "list"]).await), [(MODEL, "downloading")]);
    let (code, message) = refused(&desk, ["model", "load", MODEL]).await;
    assert_eq!(code, "conflict", "{message}");
    // Ctrl-C ends it in Ollama as well.
    get.signal(Signal::INT);
    while get.line().await["type"] != "paused" {}
    assert_eq!(get.end().await, 130);
    ollama.left(1).await;

    ollama.hold_after(usize::MAX);
    let output = cli_json(&desk, ["model", "get", MODEL, "--from", "ollama"]).await;
    let last = output.lines().pop().expect("lines");
    assert_eq!((last["type"].as_str(), last["model"].as_str()), (Some("done"), Some(MODEL)), "{output:?}");
    assert_eq!(last["sha256"], crate::harness::DIGEST);
    assert_eq!(kept(&ok(&desk, ["model", "list"]).await), [(MODEL, "available")]);
}

#[tokio::test]
async fn what_ollama_cannot_fetch_says_why() {
    let ollama = Ollama::with([]).await;
    let (desk, _host) = with(&ollama).await;
    let (code, message) = refused(&desk, ["model", "get", "nothing:7b", "--from", "ollama"]).await;
    assert_eq!(code, "engine_failed", "{message}");
    assert!(message.contains("file does not exist"), "{message}");
    let alone = Place::new("Alone");
    let _host = alone.start().await;
    let (code, message) = refused(&alone, ["model", "get", MODEL, "--from", "ollama"]).await;
    assert!(code == "not_found" && message.contains("Ollama"), "{code}: {message}");
}
