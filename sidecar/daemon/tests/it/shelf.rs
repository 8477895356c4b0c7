//! The shelf: what is kept on a device, what is in memory of it, and what a person says about that.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::library::LibraryApiClient;
use myownmesh_control::types::{AnswerEvent, Event, KeptModel, ModelState};

use crate::harness::story::{ask, first_words, question};
use crate::harness::{Daemon, Place, Running, SENTENCE, cli, ok, process, refused};

/// A model on the shelf of a device.
async fn kept(host: &Daemon, model: &str) -> KeptModel {
    let shelf = host.control.model_shelf().await.expect("a shelf");
    shelf.models.into_iter().find(|kept| kept.id == model).expect("it is kept")
}

/// Waits until a model of the shelf is in this state.
async fn becomes(host: &Daemon, model: &str, state: ModelState) {
    host.until(&format!("{model} being {state:?}"), async |control| {
        let shelf = control.model_shelf().await.expect("a shelf");
        shelf.models.into_iter().find(|kept| kept.id == model && kept.state == state)
    })
    .await;
}

/// A device with what config.toml says.
fn with_config(place: Place, config: &str) -> Place {
    std::fs::create_dir_all(place.home()).expect("the home can be made");
    std::fs::write(place.file("config.toml"), config).expect("written");
    place
}

#[tokio::test]
async fn the_shelf_tells_what_is_kept_and_remembers_it() {
    let desk = Place::new("Desk").model("chain").model("endless");
    let host = desk.start().await;
    let shelf = ok(&desk, ["model", "shelf"]).await;
    let bytes = |name: &str| std::fs::metadata(desk.file(&format!("models/{name}.gguf"))).expect("a file").len();
    assert_eq!(shelf["used_bytes"].as_u64(), Some(bytes("chain") + bytes("endless")), "{shelf}");
    assert!(shelf["free_bytes"].as_u64() > Some(0) && shelf["folder"].as_str() == desk.file("models").to_str());
    let chain = kept(&host, "chain").await;
    assert_eq!((chain.engine.as_str(), chain.size_bytes), ("builtin", Some(bytes("chain"))));
    assert_eq!((chain.last_used_at, chain.unused_days, chain.pinned), (None, 0, false));
    assert!(kept(&host, "myownllm-demo").await.demo);

    assert_eq!(ok(&desk, ["model", "pin", "chain"]).await["pinned"], true);
    let answered = ask(&host, question("local", "chain")).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
    host.until("the use being kept", async |control| {
        let shelf = control.model_shelf().await.expect("a shelf");
        shelf.models.into_iter().find(|kept| kept.id == "chain" && kept.last_used_at.is_some())
    })
    .await;
    let before = kept(&host, "chain").await;
    host.terminate().await;

    let host = desk.start().await;
    let after = kept(&host, "chain").await;
    assert_eq!((after.pinned, after.last_used_at), (true, before.last_used_at), "a restart forgets nothing");
    let plain = cli(&desk, ["model", "list"]).await;
    for text in ["MODEL ", "UNUSED", "used today", "pinned", "never used", "free."] {
        assert!(plain.out.contains(text), "no {text} in {}", plain.out);
    }
    assert_eq!(ok(&desk, ["model", "pin", "chain", "off"]).await["pinned"], false);
    let (code, message) = refused(&desk, ["model", "pin", "nothing"]).await;
    assert_eq!(code, "not_found", "{message}");
}

#[tokio::test]
async fn models_are_loaded_and_unloaded_as_a_person_says() {
    let desk = Place::new("Desk").model("chain").model("endless");
    let host = desk.start().await;
    let mut watch = host.watch().await;
    assert_eq!(ok(&desk, ["model", "load", "endless"]).await["state"], "ready");
    watch.until("the shelf changing", |event| matches!(event, Event::ShelfChanged).then_some(())).await;
    let answer = first_words(&host, question("local", "endless")).await;
    let mut unloading = Running::start(&desk, ["model", "unload", "endless"]);
    becomes(&host, "endless", ModelState::Available).await;
    assert_eq!(process::engines(host.pid()).len(), 1, "its answer is let end");
    host.control.answer_stop(answer).await.expect("stopped");
    assert_eq!((unloading.line().await["state"].as_str(), unloading.end().await), (Some("available"), 0));
    assert_eq!(process::engines(host.pid()).len(), 0);
    let (code, message) = refused(&desk, ["model", "load", "nothing"]).await;
    assert_eq!(code, "not_found", "{message}");
}

#[tokio::test]
async fn memory_is_for_the_model_that_is_asked() {
    let place = Place::new("Desk").model("chain").model("endless");
    // The test models need 300 MB each by the estimate.
    let desk = with_config(place, "model_memory_mb = 450\n");
    let host = desk.start().await;
    let answer = first_words(&host, question("local", "endless")).await;
    let asked = host.control.chat_start(question("local", "chain")).await.expect("it can be asked");
    becomes(&host, "chain", ModelState::Loading).await;
    let waits = kept(&host, "chain").await;
    assert!(waits.reason.as_ref().is_some_and(|reason| reason.contains("waits for memory")), "{waits:?}");
    assert_eq!(kept(&host, "endless").await.state, ModelState::Ready, "who is answering is left alone");
    host.control.answer_stop(answer).await.expect("stopped");
    let items = host.control.answer_events(asked, 0).await.expect("it can be followed");
    let text = crate::harness::follow(items, |item| match item.event {
        AnswerEvent::Done { text, .. } => std::ops::ControlFlow::Break(text),
        AnswerEvent::Error { message, .. } => panic!("{message}"),
        _ => std::ops::ControlFlow::Continue(()),
    })
    .await;
    assert_eq!(text, SENTENCE);
    becomes(&host, "endless", ModelState::Available).await;
    assert_eq!(process::engines(host.pid()).len(), 1, "one at a time");
}
