//! Tests that need more than the public face: the address and key of a child, shorter times, another Ollama port.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::*;
use crate::forward::Target;
use crate::{BuiltinConfig, EngineState, ErrorKind, ModelState};

fn config(folder: &TempDir, binary: Option<&Path>) -> ComputeConfig {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/endless.gguf");
    std::fs::create_dir(folder.path().join("models")).expect("made");
    std::fs::copy(fixture, folder.path().join("models/endless.gguf")).expect("copied");
    let builtin = BuiltinConfig {
        binary: binary.map(Path::to_owned),
        model_dirs: vec![folder.path().join("models")],
        demo_model: None,
        threads: Some(1),
        run_dir: folder.path().join("run"),
        ..BuiltinConfig::default()
    };
    ComputeConfig { builtin: Some(builtin), ..ComputeConfig::default() }
}

async fn endless(compute: &Compute) -> Result<EngineResponse, ComputeError> {
    let body = r#"{"model":"endless","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let work = compute.forward(OpenAiPath::ChatCompletions, "endless", body.into());
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("within the limit")
}

async fn target(compute: &Compute) -> Target {
    let route = |reply| Message::Route { model: "endless".into(), wants_embedding: false, reply: RouteReply(reply) };
    compute.ask(route).await.expect("the actor lives").expect("a model")
}

async fn is_busy(target: &Target) -> bool {
    let key = target.key.as_ref().expect("a key of ours");
    let asked = target.client.get(target.url.join("/slots")).bearer_auth(key.expose()).send().await;
    let slots: serde_json::Value = asked.expect("an answer").json().await.expect("JSON");
    slots.as_array().expect("slots").iter().any(|slot| slot["is_processing"] == true)
}

#[tokio::test]
async fn dropping_an_answer_ends_the_work_in_the_engine_within_half_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let compute = Compute::start(config(&folder, None)).await.expect("started");
    let mut answer = endless(&compute).await.expect("a stream");
    answer.body.next().await.expect("a piece").expect("a good one");
    let target = target(&compute).await;
    assert!(is_busy(&target).await);
    let begin = Instant::now();
    drop(answer);
    while is_busy(&target).await {
        assert!(begin.elapsed() < Duration::from_millis(500), "still busy");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    compute.shutdown().await;
}

#[tokio::test]
async fn a_llama_server_started_by_someone_else_is_recognised() {
    let folder = tempfile::tempdir().expect("a folder");
    let compute = Compute::start(config(&folder, None)).await.expect("started");
    drop(endless(&compute).await.expect("a stream"));
    let child = target(&compute).await;
    let other = Compute::start(ComputeConfig::default()).await.expect("started");
    let spec = EngineSpec::from_url(child.url.clone());
    let error = other.add_engine(spec.clone()).await.expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::EngineUnauthorized);
    let info = other.add_engine(EngineSpec { key: child.key.clone(), ..spec }).await.expect("the key");
    assert_eq!(info.kind, EngineKind::LlamaServer);
    let snapshot = other.snapshot();
    assert_eq!(snapshot.models[0].context_length, Some(262_144));
    assert_eq!(snapshot.models[0].state, ModelState::Ready);
    let mut answer = endless(&other).await.expect("a stream");
    answer.body.next().await.expect("a piece").expect("a good one");
    other.shutdown().await;
    compute.shutdown().await;
}

#[tokio::test]
async fn ollama_is_found_and_listed_only_while_it_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = EngineUrl::parse(&listener.local_addr().expect("bound").to_string()).expect("an address");
    let tags = || async { axum::Json(serde_json::json!({ "models": [{ "name": "llama3:latest" }] })) };
    let router = axum::Router::new().route("/api/tags", axum::routing::get(tags));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let tuning = Tuning { poll: Duration::from_millis(20), ..Tuning::default() };
    let compute = Compute::start_with(ComputeConfig::default(), Some(url), tuning).await.expect("started");
    assert!(compute.snapshot().engines.is_empty());
    let mut watch = compute.watch();
    let found = watch.wait_for(|now| !now.engines.is_empty()).await.expect("the actor lives").clone();
    assert_eq!(found.engines[0].id, EngineId::ollama());
    assert_eq!(found.engines[0].state, EngineState::Ready);
    assert_eq!(found.models[0].id, "llama3:latest");
    server.abort();
    watch.wait_for(|now| now.engines.is_empty() && now.models.is_empty()).await.expect("the actor lives");
    compute.shutdown().await;
}

#[cfg(unix)]
mod scripts {
    //! Stand-ins for a llama-server that misbehaves in ways the real one cannot be made to.

    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    fn script(folder: &TempDir, text: &str) -> PathBuf {
        let path = folder.path().join("server");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        path
    }

    #[tokio::test]
    async fn a_server_that_is_never_ready_is_ended_and_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = script(&folder, "echo loading for ever >&2; exec sleep 1000");
        let tuning = Tuning { load: Duration::from_millis(300), ..Tuning::default() };
        let compute = Compute::start_with(config(&folder, Some(&binary)), None, tuning).await.expect("started");
        let error = endless(&compute).await.expect_err("never ready");
        assert_eq!(error.kind(), ErrorKind::ModelFailed);
        let text = error.to_string();
        assert!(text.contains("was not ready after 0.3 s") && text.contains("loading for ever"), "{text}");
        compute.shutdown().await;
    }

    #[tokio::test]
    async fn a_server_that_does_not_listen_to_sigterm_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = script(&folder, "trap '' TERM; echo deaf >&2; exec sleep 1000");
        let compute = Compute::start(config(&folder, Some(&binary))).await.expect("started");
        let asking = tokio::spawn({
            let compute = compute.clone();
            async move { endless(&compute).await.map(|_| ()) }
        });
        let mut watch = compute.watch();
        watch.wait_for(|now| now.engines[0].state == EngineState::Starting).await.expect("the actor lives");
        let begin = Instant::now();
        compute.shutdown().await;
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert_eq!(asking.await.expect("no panic").expect_err("it ended").kind(), ErrorKind::Stopping);
    }

    #[tokio::test]
    async fn a_binary_that_cannot_run_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = script(&folder, "exit 0");
        std::fs::write(&binary, "#!/no/such/interpreter\n").expect("written");
        let compute = Compute::start(config(&folder, Some(&binary))).await.expect("started");
        let error = endless(&compute).await.expect_err("cannot run").to_string();
        assert!(error.contains("could not be started from") && error.contains("server"), "{error}");
        compute.shutdown().await;
    }
}
