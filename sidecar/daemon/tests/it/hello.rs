//! The first question after the first start: the demo model that comes with the app answers.

use std::path::Path;
use std::time::{Duration, Instant};

use myownmesh_control::types::AnswerEvent;

use crate::harness::story::ask;
use crate::harness::{Place, ok};

/// The promise, from starting the daemon to the whole answer.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

#[tokio::test]
async fn hello_is_answered_by_the_demo_model() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/myownllm-demo.gguf");
    let started = Instant::now();
    let host = Place::new("Desk").builtin().variable("MYOWNLLM_DEMO_MODEL", demo.to_string_lossy()).start().await;
    let request = myownmesh_control::types::ChatRequest { prompt: "hello".to_owned(), ..Default::default() };
    let answer = ask(&host, request).await;
    let took = started.elapsed();
    assert!(matches!(&answer[0], AnswerEvent::Route { demo: true, this_device: true, .. }), "{answer:?}");
    let Some(AnswerEvent::Done { text, model, .. }) = answer.last() else { panic!("no answer: {answer:?}") };
    assert!(text.contains("MyOwnLLM") && model == "myownllm-demo", "{text}");
    assert!(took < FIRST_ANSWER, "it took {took:?}");
    let models = ok(&host.place, ["models"]).await;
    assert_eq!((models[0]["id"].as_str(), models[0]["demo"].as_bool()), (Some("myownllm-demo"), Some(true)));
}
