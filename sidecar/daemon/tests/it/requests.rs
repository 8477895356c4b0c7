//! The local API as its owner sees it: who asks what, what keys are for, and clients that leave.

use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{ApiKind, ApiRequest, EngineSpec};
use serde_json::{Value, json};

use crate::harness::story::{self, offers};
use crate::harness::{Daemon, Engine, Place, api_error, ok, web};

/// The promise for cancelling, wherever the work runs.
const CANCEL: Duration = Duration::from_millis(500);

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
}

async fn newest(daemon: &Daemon) -> ApiRequest {
    daemon.control.api_request_list().await.expect("a list").into_iter().next().expect("a request")
}

#[tokio::test]
async fn requests_are_listed_with_where_they_went_and_never_a_word() {
    let (host, guest) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "chain").await;
    let made = ok(&guest.place, ["key", "create", "editor"]).await;
    let api = guest.control.local_api().await.expect("told");
    assert_eq!((api.openai_url.as_str(), api.key_required, api.beyond_loopback), (guest.api(), false, false));
    let asked =
        web().post(format!("{}/api/chat", api.base_url)).bearer_auth(made["secret"].as_str().expect("told once"));
    let told: Value = serde_json::from_str(
        &asked
            .json(&json!({"model": "chain", "stream": false, "messages": [{"role": "user", "content": "Secretly"}]}))
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text"),
    )
    .expect("JSON");
    let listed = newest(&guest).await;
    assert_eq!(
        (listed.api, listed.path.as_str(), listed.key.as_deref()),
        (ApiKind::Ollama, "/api/chat", Some("editor"))
    );
    assert_eq!((listed.model.as_deref(), listed.device_name.as_deref()), (Some("chain"), Some("Desk")));
    assert_eq!((listed.status, listed.tokens), (Some(200), told["eval_count"].as_u64()));
    assert!(listed.ms.is_some() && listed.tokens > Some(1), "{listed:?}");
    let refused = web().post(format!("{}/chat/completions", guest.api())).json(&chat("gpt-9")).send().await;
    assert_eq!(refused.expect("an answer").status(), 404);
    let listed = newest(&guest).await;
    assert_eq!((listed.api, listed.status, listed.device_name.as_deref()), (ApiKind::OpenAi, Some(404), None));
    let all = serde_json::to_string(&guest.control.api_request_list().await.expect("a list")).expect("JSON");
    assert!(!all.contains("Secretly") && !all.contains(made["secret"].as_str().expect("told once")), "{all}");
}

#[tokio::test]
async fn a_key_opens_only_what_it_is_for() {
    let desk = Place::new("Desk").model("chain").start().await;
    let made = ok(&desk.place, ["key", "create", "lister", "--for", "models,embeddings"]).await;
    assert_eq!(made["scopes"], json!(["embeddings", "models"]));
    let secret = made["secret"].as_str().expect("told once");
    let models = web().get(format!("{}/models", desk.api())).bearer_auth(secret).send().await.expect("an answer");
    assert_eq!(models.status(), 200);
    let asked = web().post(format!("{}/chat/completions", desk.api())).bearer_auth(secret).json(&chat("chain"));
    let (status, _, message) = api_error(asked.send().await.expect("an answer")).await;
    assert_eq!(status, 403);
    assert!(message.contains("asking models"), "{message}");
    let listed = ok(&desk.place, ["key", "list"]).await;
    assert_eq!(listed[0]["scopes"], json!(["embeddings", "models"]));
    let nothing = desk.control.key_create("nothing".to_owned(), Some(Vec::new())).await.map_err(ControlError::from);
    assert_eq!(nothing.expect_err("it would open nothing").code, ErrorCode::InvalidArgument);
}

/// A client asks without a stream and leaves.
async fn asks_and_leaves(daemon: &Daemon, model: &str, engine: &Engine) {
    let request = web().post(format!("{}/chat/completions", daemon.api())).json(&chat(model));
    let asking = tokio::spawn(request.send());
    engine.until_busy(true, Duration::from_secs(10)).await;
    asking.abort();
    engine.until_busy(false, CANCEL).await;
}

#[tokio::test]
async fn a_client_without_a_stream_that_leaves_stops_the_engine_too() {
    let engine = Engine::start("endless").await;
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    let spec = EngineSpec { url: engine.url.clone(), kind: None, key: None };
    host.control.engine_add(spec).await.expect("it answers");
    asks_and_leaves(&host, "endless", &engine).await;
    story::pair(&host, &guest).await;
    offers(&guest, &host, "endless").await;
    asks_and_leaves(&guest, "endless", &engine).await;
}

#[tokio::test]
async fn an_answer_without_a_stream_says_what_one_with_it_says() {
    let desk = Place::new("Desk").model("chain").start().await;
    let url = format!("{}/chat/completions", desk.api());
    let mut body = chat("chain");
    body["logprobs"] = true.into();
    let text = web().post(&url).json(&body).send().await.expect("an answer").text().await.expect("text");
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["message"]["content"], crate::harness::SENTENCE, "{whole}");
    assert_eq!(whole["choices"][0]["message"]["role"], "assistant");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let tokens = whole["usage"]["completion_tokens"].as_u64().expect("usage");
    let likely = whole["choices"][0]["logprobs"]["content"].as_array().map(Vec::len);
    assert!(likely.is_some_and(|count| count as u64 >= tokens - 1), "{whole}");
}
