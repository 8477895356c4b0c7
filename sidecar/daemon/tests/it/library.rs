//! Models that can be had: searching the catalogue, and downloads from a hub.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::story::{ask, question};
use crate::harness::{Hub, Place, Running, SENTENCE, cli, cli_json, ok, process, refused, stand_in};

/// The file of the smallest model of the catalogue on a hub, here, and as a model.
const ON_HUB: &str = "Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf";
const HERE: &str = "models/Qwen3-0.6B-Q8_0.gguf";
const MODEL: &str = "Qwen3-0.6B-Q8_0";
/// Its id in the catalogue.
const VARIANT: &str = "qwen3-0.6b-q8_0";
/// What is fetched again at most after a pause, in bytes.
const CHUNK: usize = 8 << 20;

/// A device that gets its models from this hub.
fn device(hub: &Hub) -> Place {
    let place = Place::new("Desk").builtin();
    std::fs::create_dir_all(place.home()).expect("the home can be made");
    std::fs::write(place.file("config.toml"), format!("hub = \"{}\"\n", hub.url)).expect("written");
    place
}

/// Checks that the model that was downloaded answers.
async fn answers(host: &crate::harness::Daemon) {
    use myownmesh_control::types::AnswerEvent;
    let answered = ask(host, question("local", MODEL)).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
}

#[tokio::test]
async fn the_catalogue_tells_what_there_is_and_how_well_it_fits() {
    let desk = Place::new("Desk");
    let _host = desk.start().await;
    let all = ok(&desk, ["model", "search"]).await;
    let families = all.as_array().expect("a list");
    assert!(families.len() > 5, "{all}");
    for family in families {
        for field in ["name", "publisher", "licence"] {
            assert!(family[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {family}");
        }
        assert!(family["purposes"].as_array().is_some_and(|purposes| !purposes.is_empty()), "{family}");
    }
    let found = ok(&desk, ["model", "search", "qwen3", "0.6b"]).await;
    let variant = &found[0]["models"][0]["variants"][0];
    assert_eq!((found.as_array().map(Vec::len), variant["id"].as_str()), (Some(1), Some(VARIANT)));
    assert_eq!(variant["here"], false);
    assert!(variant["memory_bytes"].as_u64() > variant["size_bytes"].as_u64(), "{variant}");
    let fit = variant["fit"].as_str().unwrap_or_default();
    assert!(["recommended", "fits", "tight", "too_big"].contains(&fit), "{variant}");
    assert!(variant["reason"].as_str().is_some_and(|reason| reason.ends_with('.')), "{variant}");
    assert_eq!(ok(&desk, ["model", "search", "no such model"]).await, Value::Array(vec![]));

    let plain = cli(&desk, ["model", "search", "qwen3"]).await;
    assert_eq!(plain.code, 0, "{plain:?}");
    for text in ["ID ", "DOWNLOAD", "FIT", "Qwen3 by Alibaba · Apache-2.0 · chat, code", VARIANT] {
        assert!(plain.out.contains(text), "no {text} in {}", plain.out);
    }
}

#[tokio::test]
async fn a_model_from_the_hub_is_verified_and_answers_at_once() {
    let hub = Hub::with(ON_HUB, stand_in(0)).await;
    let desk = device(&hub);
    let host = desk.start().await;
    let output = cli_json(&desk, ["model", "get", VARIANT, "--from", "hub"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    let lines = output.lines();
    let (last, before) = lines.split_last().expect("lines");
    for line in before {
        assert_eq!(line["type"], "progress", "{line}");
        assert!(line.get("bytes").is_some() && line.get("total").is_some() && line.get("rate").is_some(), "{line}");
    }
    assert!(before.iter().any(|line| line["total"].as_u64() == Some(stand_in(0).len() as u64)), "{before:?}");
    assert_eq!((last["type"].as_str(), last["sha256"].as_str()), (Some("done"), Some(&*hub.sha256)), "{last}");
    assert_eq!(last["path"].as_str(), desk.file(HERE).to_str());
    assert_eq!(last["model"], MODEL);
    assert_eq!(std::fs::read(desk.file(HERE)).expect("it is there"), stand_in(0));
    answers(&host).await;

    // It is known to be here, and not fetched a second time.
    let found = ok(&desk, ["model", "search", VARIANT]).await;
    assert_eq!(found[0]["models"][0]["variants"][0]["here"], true);
    hub.asked();
    let again = cli(&desk, ["model", "get", VARIANT]).await;
    assert_eq!((again.code, hub.asked()), (0, vec![]), "{again:?}");
    assert!(again.out.contains(&format!("{MODEL} is here")), "{again:?}");
}

#[tokio::test]
async fn a_download_pauses_and_goes_on_in_the_next_process() {
    let whole = stand_in(2 * CHUNK + 12_345);
    let hub = Hub::with(ON_HUB, whole.clone()).await;
    let desk = device(&hub);
    let host = desk.start().await;
    // The last chunk cannot be completed.
    hub.hold_beyond(2 * CHUNK + 1);
    let mut get = Running::start(&desk, ["model", "get", VARIANT]);
    let bytes = |line: &Value| line["bytes"].as_u64().expect("progress");
    while bytes(&get.line().await) < 2 * CHUNK as u64 {}
    get.signal(Signal::INT);
    let paused = loop {
        let line = get.line().await;
        if line["type"] != "progress" {
            break line;
        }
    };
    assert_eq!((paused["type"].as_str(), get.end().await), (Some("paused"), 130), "{paused}");
    assert!(!desk.file(HERE).exists(), "it has no name before it is whole");
    host.terminate().await;

    let host = desk.start().await;
    hub.asked();
    hub.hold_beyond(usize::MAX);
    let output = cli_json(&desk, ["model", "get", VARIANT]).await;
    let last = output.lines().pop().expect("lines");
    assert_eq!((last["type"].as_str(), last["sha256"].as_str()), (Some("done"), Some(&*hub.sha256)), "{output:?}");
    let asked = hub.asked();
    assert!(!asked.is_empty() && asked.iter().all(|from| *from >= CHUNK), "what was here is not fetched: {asked:?}");
    assert!(std::fs::read(desk.file(HERE)).expect("it is there") == whole, "it is the same file");
    answers(&host).await;
}

#[tokio::test]
async fn a_second_start_follows_the_first() {
    let hub = Hub::with(ON_HUB, stand_in(0)).await;
    let desk = device(&hub);
    let _host = desk.start().await;
    hub.hold_beyond(1);
    let mut first = Running::start(&desk, ["model", "get", VARIANT]);
    while first.line().await["state"] != "downloading" {}
    let mut second = Running::start(&desk, ["model", "get", "qwen3-0.6b"]);
    while second.line().await["state"] != "downloading" {}
    hub.hold_beyond(usize::MAX);
    for get in [&mut first, &mut second] {
        while get.line().await["type"] != "done" {}
    }
    assert_eq!((first.end().await, second.end().await), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_had_says_why() {
    let hub = Hub::lying(ON_HUB, stand_in(0)).await;
    let desk = device(&hub);
    let _host = desk.start().await;
    let (code, message) = refused(&desk, ["model", "get", VARIANT]).await;
    assert_eq!(code, "download_failed", "{message}");
    assert!(message.contains("SHA-256") && message.contains("thrown away"), "{message}");
    assert!(!desk.file(HERE).exists());
    let (code, message) = refused(&desk, ["model", "get", "qwen3-1.7b-q8_0"]).await;
    assert_eq!(code, "not_found", "{message}");
    assert!(message.contains("Qwen3-1.7B-Q8_0.gguf"), "{message}");
    let (code, message) = refused(&desk, ["model", "get", "nothing"]).await;
    assert_eq!(code, "not_found", "{message}");
    assert!(message.contains("model search"), "{message}");

    let noise = Hub::with(ON_HUB, b"this is no model at all".repeat(50)).await;
    let desk = device(&noise);
    let _host = desk.start().await;
    let (code, message) = refused(&desk, ["model", "get", VARIANT]).await;
    assert_eq!(code, "download_failed", "{message}");
    assert!(!desk.file(HERE).exists(), "nothing that is no model gets near an engine");
    // Another file of that name is nobody's to replace.
    std::fs::create_dir_all(desk.file("models")).expect("made");
    std::fs::write(desk.file(HERE), "mine").expect("written");
    let (code, message) = refused(&desk, ["model", "get", VARIANT]).await;
    assert_eq!(code, "conflict", "{message}");
    assert_eq!(std::fs::read(desk.file(HERE)).expect("kept"), b"mine");
}

#[tokio::test]
async fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let folder = std::env::temp_dir();
    let disk = rustix::fs::statvfs(&folder).expect("the disk tells");
    let free = disk.f_bavail * disk.f_frsize;
    // No file of more than a TiB is fetched at all, whatever the disk.
    let (size, expected) = match free + 1 {
        size if size > 1 << 40 => (size, "too_large"),
        size => (size, "disk_full"),
    };
    let hub = Hub::boasting(ON_HUB, stand_in(0), size).await;
    let desk = device(&hub);
    let _host = desk.start().await;
    let (code, message) = refused(&desk, ["model", "get", VARIANT]).await;
    assert_eq!(code, expected, "{message}");
    assert_eq!(hub.asked(), Vec::<usize>::new(), "nothing was fetched");
    let left: u64 =
        std::fs::read_dir(desk.file("models")).into_iter().flatten().flatten().map(|file| blocks(&file.path())).sum();
    assert!(left < 1 << 20, "nothing of it is on the disk: {left}");
}

/// What a file takes on the disk, in bytes.
fn blocks(file: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).map_or(0, |data| data.blocks() * 512)
}

#[tokio::test]
async fn a_key_of_the_hub_is_shown_to_it_and_to_nobody_else() {
    let hub = Hub::with(ON_HUB, stand_in(0)).await;
    hub.wants_key("hf_secret");
    let desk = device(&hub);
    let host = desk.start().await;
    let (code, message) = refused(&desk, ["model", "get", VARIANT]).await;
    assert!(code == "download_failed" && message.contains("MYOWNMESH_HUB_TOKEN"), "{code}: {message}");
    host.terminate().await;
    let desk = desk.variable("MYOWNMESH_HUB_TOKEN", "hf_secret");
    let host = desk.start().await;
    let output = cli_json(&desk, ["model", "get", VARIANT]).await;
    assert_eq!(output.lines().pop().expect("lines")["type"], "done", "{output:?}");
    answers(&host).await;
    let engine = &process::engines(host.pid())[0];
    let environment = std::fs::read(format!("/proc/{}/environ", engine.pid)).expect("it runs");
    assert!(!String::from_utf8_lossy(&environment).contains("hf_secret"), "engines do not learn it");
    assert!(!desk.logs().contains("hf_secret"), "nor the log");
}

#[tokio::test]
async fn a_model_is_deleted_and_not_offered_any_more() {
    let hub = Hub::with(ON_HUB, stand_in(0)).await;
    let desk = device(&hub);
    let host = desk.start().await;
    let output = cli_json(&desk, ["model", "get", VARIANT]).await;
    assert_eq!(output.code, 0, "{output:?}");
    // It goes from under a running engine as well.
    answers(&host).await;
    let removed = ok(&desk, ["model", "rm", VARIANT]).await;
    assert_eq!(removed["freed_bytes"].as_u64(), Some(stand_in(0).len() as u64), "{removed}");
    assert!(!desk.file(HERE).exists());
    let (code, message) = refused(&desk, ["chat", "Hello", "--model", MODEL]).await;
    assert!(code == "model_not_found" || code == "no_model", "{code}: {message}");
    let (code, message) = refused(&desk, ["model", "rm", VARIANT]).await;
    assert_eq!(code, "not_found", "{message}");
}

#[tokio::test]
async fn a_file_is_imported_where_it_lies() {
    let desk = Place::new("Desk").builtin();
    let host = desk.start().await;
    let file = desk.home().with_file_name(format!("{MODEL}.gguf"));
    std::fs::write(&file, stand_in(0)).expect("written");
    let named = file.to_str().expect("text");
    let imported = ok(&desk, ["model", "import", named]).await;
    assert_eq!(imported["model"], MODEL);
    answers(&host).await;
    let (code, message) = refused(&desk, ["model", "import", named]).await;
    assert_eq!(code, "conflict", "{message}");
    assert_eq!(ok(&desk, ["model", "rm", MODEL]).await["freed_bytes"], 0);
    assert!(file.is_file(), "only the reference goes");
    let (code, message) = refused(&desk, ["model", "import", desk.error_log().to_str().expect("text")]).await;
    assert_eq!(code, "invalid_argument", "{message}");
}
