//! The built-in engine: answers, embeddings, models that come and go, models that do not load.

use std::fs;

use futures_util::future::join_all;
use http::StatusCode;
use myownmesh_compute::{
    BuiltinConfig, Compute, ComputeConfig, DEMO_MODEL, EngineId, EngineState, ErrorKind, ModelState, OpenAiPath,
    Purpose,
};

use crate::support::{Home, SENTENCE, ask, fixture, json_of, open_stream, seen, soon, text_of, words_in};

#[tokio::test]
async fn a_model_is_listed_loaded_on_demand_and_answers_exactly() {
    let home = Home::with(&["chain.gguf"]).await;
    let before = home.compute.snapshot();
    assert_eq!(before.engines[0].state, EngineState::Idle);
    assert_eq!(before.engines[0].models, ["chain"]);
    assert_eq!(before.models[0].state, ModelState::Available);
    assert_eq!(before.models[0].context_length, Some(2048));
    assert_eq!(before.models[0].size_bytes, Some(fs::metadata(fixture("chain.gguf")).expect("a file").len()));

    assert_eq!(ask(&home.compute, "chain").await.expect("an answer"), SENTENCE);
    let after = seen(&home.compute, |now| now.models[0].state == ModelState::Ready).await;
    assert_eq!(after.engines[0].state, EngineState::Ready);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn a_streamed_answer_comes_in_pieces_without_the_engines_own_headers() {
    let home = Home::with(&["chain.gguf"]).await;
    let answer = open_stream(&home.compute, "chain").await.expect("a stream");
    assert_eq!((answer.status, answer.model.as_str()), (StatusCode::OK, "chain"));
    assert_eq!(answer.engine, EngineId::builtin());
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(answer.headers.len(), 1, "no CORS headers and the like: {:?}", answer.headers);
    let (words, ended) = words_in(&text_of(answer).await.expect("all of it"));
    assert_eq!((words.as_str(), ended), (SENTENCE, true));
    home.compute.shutdown().await;
}

#[tokio::test]
async fn what_the_engine_refuses_is_handed_on() {
    let home = Home::with(&["chain.gguf"]).await;
    let body = r#"{"model":"chain"}"#.into();
    let answer = soon(home.compute.forward(OpenAiPath::ChatCompletions, "chain", body)).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(json_of(answer).await.expect("a body")["error"]["message"].is_string());
    home.compute.shutdown().await;
}

/// llama-server says keep-alive after a streamed answer and closes: a reused connection fails in a quarter of all runs.
#[tokio::test]
async fn a_hundred_streams_in_a_row_do_not_trip_over_connections_that_close() {
    let home = Home::with(&["chain.gguf"]).await;
    for round in 0..100 {
        let answer = open_stream(&home.compute, "chain").await.unwrap_or_else(|error| panic!("{round}: {error}"));
        let text = text_of(answer).await.unwrap_or_else(|error| panic!("{round}: {error}"));
        assert_eq!(words_in(&text).0, SENTENCE);
    }
    home.compute.shutdown().await;
}

#[tokio::test]
async fn an_embedding_model_makes_vectors_and_nothing_else() {
    let home = Home::with(&["chain.gguf", "embed.gguf"]).await;
    assert_eq!(home.compute.snapshot().model("embed").expect("listed").purpose, Purpose::Embedding);
    let body = || r#"{"model":"embed","input":["one","two"]}"#.into();
    let answer = soon(home.compute.forward(OpenAiPath::Embeddings, "embed", body())).await.expect("vectors");
    let value = json_of(answer).await.expect("a body");
    assert_eq!(value["data"][1]["embedding"].as_array().expect("numbers").len(), 32);

    let error = soon(home.compute.forward(OpenAiPath::Embeddings, "chain", body())).await.expect_err("a chat model");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = ask(&home.compute, "embed").await.expect_err("an embedding model");
    assert!(error.to_string().contains("is an embedding model: it cannot answer"), "{error}");
    home.compute.shutdown().await;
}

#[tokio::test]
async fn an_unknown_model_is_named_in_the_error() {
    let home = Home::with(&[]).await;
    let error = ask(&home.compute, "nothing").await.expect_err("no such model");
    assert_eq!(error.kind(), ErrorKind::ModelNotFound);
    assert!(error.to_string().contains("\"nothing\""), "{error}");
    home.compute.shutdown().await;
}

#[tokio::test]
async fn a_file_that_is_no_model_fails_with_the_engines_own_words_until_it_is_replaced() {
    let home = Home::with(&[]).await;
    let whole = fs::read(fixture("chain.gguf")).expect("a model");
    for (content, words) in [(&b"this is not a model"[..], "magic"), (&whole[..5_000], "failed to")] {
        fs::write(home.model_path("bad.gguf"), content).expect("written");
        soon(home.compute.refresh()).await;
        // All who wait are told, and whoever comes later is told at once.
        let asked = join_all((0..3).map(|_| ask(&home.compute, "bad"))).await;
        for error in asked.into_iter().map(|answer| answer.expect_err("no model")) {
            assert_eq!(error.kind(), ErrorKind::ModelFailed);
            assert!(error.to_string().contains(words), "{error}");
        }
        let snapshot = home.compute.snapshot();
        let model = snapshot.model("bad").expect("listed");
        assert_eq!(model.state, ModelState::Failed);
        assert!(model.reason.as_ref().is_some_and(|reason| reason.contains(words)), "{model:?}");
    }
    fs::write(home.model_path("bad.gguf"), whole).expect("written");
    soon(home.compute.refresh()).await;
    assert_eq!(ask(&home.compute, "bad").await.expect("a model now"), SENTENCE);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn models_come_and_go_with_their_files() {
    let home = Home::with(&[]).await;
    assert_eq!(home.compute.snapshot().engines[0].reason.as_deref(), Some("There is no model on this device."));
    fs::copy(fixture("chain.gguf"), home.model_path("late.gguf")).expect("copied");
    // Nobody asks: the folder is read every few seconds.
    seen(&home.compute, |snapshot| snapshot.model("late").is_some()).await;
    assert_eq!(ask(&home.compute, "late").await.expect("an answer"), SENTENCE);
    fs::remove_file(home.model_path("late.gguf")).expect("removed");
    seen(&home.compute, |snapshot| snapshot.model("late").is_none()).await;
    let error = ask(&home.compute, "late").await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::ModelNotFound);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn the_demo_model_is_labelled_and_comes_last() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("models")).expect("made");
    fs::copy(fixture("chain.gguf"), folder.path().join("models/zebra.gguf")).expect("copied");
    let builtin = BuiltinConfig {
        model_dirs: vec![folder.path().join("models")],
        demo_model: Some(fixture("chain.gguf")),
        threads: Some(1),
        run_dir: folder.path().join("run"),
        ..BuiltinConfig::default()
    };
    let config = ComputeConfig { builtin: Some(builtin), ..ComputeConfig::default() };
    let compute = Compute::start(config).await.expect("started");
    let models: Vec<_> = compute.snapshot().models.iter().map(|model| (model.id.clone(), model.demo)).collect();
    assert_eq!(models, [("zebra".to_owned(), false), (DEMO_MODEL.to_owned(), true)]);
    assert_eq!(ask(&compute, DEMO_MODEL).await.expect("an answer"), SENTENCE);
    compute.shutdown().await;
}

#[tokio::test]
async fn without_a_binary_the_engine_is_failed_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let builtin = BuiltinConfig {
        binary: Some(folder.path().join("no-such-server")),
        demo_model: Some(fixture("chain.gguf")),
        run_dir: folder.path().join("run"),
        ..BuiltinConfig::default()
    };
    let config = ComputeConfig { builtin: Some(builtin), ..ComputeConfig::default() };
    let compute = Compute::start(config).await.expect("no reason not to start");
    assert_eq!(compute.snapshot().engines[0].state, EngineState::Failed);
    assert_eq!(compute.snapshot().models[0].state, ModelState::Failed);
    for error in [
        ask(&compute, DEMO_MODEL).await.expect_err("nothing to run"),
        soon(compute.test_engine(EngineId::builtin())).await.expect_err("nothing to run"),
    ] {
        assert_eq!(error.kind(), ErrorKind::EngineFailed);
        assert!(error.to_string().contains("npm run engine"), "{error}");
    }
    let error = soon(compute.remove_engine(EngineId::builtin())).await.expect_err("it stays");
    assert!(error.to_string().contains("--no-builtin-engine"), "{error}");
    compute.shutdown().await;
}

#[tokio::test]
async fn a_run_folder_that_cannot_be_made_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "in the way").expect("written");
    let builtin = BuiltinConfig { run_dir: folder.path().join("file/run"), ..BuiltinConfig::default() };
    let config = ComputeConfig { builtin: Some(builtin), ..ComputeConfig::default() };
    let error = Compute::start(config).await.expect_err("a file is no folder");
    assert!(error.to_string().contains("file/run"), "{error}");
}

#[tokio::test]
async fn after_shutdown_requests_say_so() {
    let home = Home::with(&["chain.gguf"]).await;
    let other = home.compute.clone();
    home.compute.clone().shutdown().await;
    assert_eq!(ask(&other, "chain").await.expect_err("it is over").kind(), ErrorKind::Stopping);
    other.shutdown().await;
}
