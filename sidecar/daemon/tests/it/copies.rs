//! Models from a member that has them, honest or not.

use http::StatusCode;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{AnswerEvent, DeviceSummary, ModelState, PathKind};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::story::{ask, found, offers, pair, question};
use crate::harness::{Attic, Daemon, Hub, Place, Running, SENTENCE, cli_json, ok, refused, stand_in, web};

/// The file of the smallest model of the catalogue on a hub, on a device, and as a model.
const ON_HUB: &str = "Qwen/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q8_0.gguf";
const FILE: &str = "Qwen3-0.6B-Q8_0.gguf";
const MODEL: &str = "Qwen3-0.6B-Q8_0";
/// Its id in the catalogue.
const VARIANT: &str = "qwen3-0.6b-q8_0";
/// What is fetched again at most after a break, in bytes.
const CHUNK: usize = 8 << 20;

/// A device whose hub is at this address.
fn device(name: &str, hub: &str) -> Place {
    let place = Place::new(name).builtin();
    std::fs::create_dir_all(place.home()).expect("the home can be made");
    std::fs::write(place.file("config.toml"), format!("hub = \"{hub}\"\n")).expect("written");
    place
}

/// A device whose hub cannot be reached.
fn device_alone(name: &str) -> Place {
    device(name, "http://127.0.0.1:1")
}

fn here(place: &Place) -> std::path::PathBuf {
    place.file("models").join(FILE)
}

/// Puts the stand-in into the models folder, as a person would.
fn put(place: &Place, bytes: &[u8]) {
    std::fs::create_dir_all(place.file("models")).expect("made");
    std::fs::write(here(place), bytes).expect("written");
}

/// Whose bytes a download says it fetches, without repeats.
fn sources(lines: &[Value]) -> Vec<String> {
    let fetching = lines.iter().filter(|line| line["state"] == "downloading");
    let mut sources: Vec<String> = fetching.map(|line| line["source"].as_str().expect("a source").to_owned()).collect();
    sources.dedup();
    sources
}

/// Waits until a member is near enough to be asked before the hub: on a busy machine its answers may take longer at first.
async fn near(host: &Daemon, name: &str) {
    host.until(&format!("{name} being near"), async |control| {
        let devices = control.device_list().await.expect("devices can be listed");
        let near = |device: &DeviceSummary| {
            device.path == Some(PathKind::Direct) && device.rtt_ms.is_some_and(|rtt_ms| rtt_ms < 25.0)
        };
        devices.into_iter().find(|device| device.name == name && near(device))
    })
    .await;
}

async fn answers(host: &Daemon) {
    let answered = ask(host, question("local", MODEL)).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
}

#[tokio::test]
async fn a_model_comes_from_a_member_that_has_it() {
    let (tower, desk) = (device_alone("Tower"), device_alone("Desk"));
    put(&tower, &stand_in(3 * CHUNK));
    let (at_tower, at_desk) = (tower.start().await, desk.start().await);
    pair(&at_tower, &at_desk).await;
    let output = cli_json(&desk, ["model", "get", VARIANT, "--from", "Tower"]).await;
    let lines = output.lines();
    let last = lines.last().expect("lines");
    assert_eq!((output.code, last["type"].as_str(), last["model"].as_str()), (0, Some("done"), Some(MODEL)), "{last}");
    assert_eq!(sources(&lines), ["Tower"]);
    assert!(std::fs::read(here(&desk)).expect("it is here") == stand_in(3 * CHUNK));
    // The hub is not there to say which file it is, and that is told.
    assert!(last["note"].as_str().is_some_and(|note| note.contains("only Tower vouches")), "{last}");
    answers(&at_desk).await;

    // What a person here turns off is off at once.
    ok(&tower, ["scope", "Desk", "models", "off"]).await;
    ok(&desk, ["model", "rm", VARIANT]).await;
    let (code, message) = refused(&desk, ["model", "get", VARIANT, "--from", "Tower"]).await;
    assert!(code == "not_allowed" && message.contains("Tower turned off"), "{code}: {message}");
    let (code, message) = refused(&desk, ["model", "get", VARIANT, "--from", "Desk"]).await;
    assert_eq!(code, "invalid_argument", "{message}");
    let (code, message) = refused(&desk, ["model", "get", VARIANT, "--from", "Nowhere"]).await;
    assert_eq!(code, "not_found", "{message}");
}

#[tokio::test]
async fn a_near_member_comes_before_the_hub_which_vouches_for_it() {
    let hub = Hub::with(ON_HUB, stand_in(0)).await;
    let (tower, desk) = (device_alone("Tower"), device("Desk", &hub.url));
    put(&tower, &stand_in(0));
    let (at_tower, at_desk) = (tower.start().await, desk.start().await);
    pair(&at_tower, &at_desk).await;
    offers(&at_desk, &at_tower, MODEL).await;
    near(&at_desk, "Tower").await;
    let output = cli_json(&desk, ["model", "get", VARIANT]).await;
    let lines = output.lines();
    let last = lines.last().expect("lines");
    assert_eq!((last["type"].as_str(), last["sha256"].as_str()), (Some("done"), Some(&*hub.sha256)), "{last}");
    assert!(last.get("note").is_none(), "{last}");
    assert_eq!(hub.asked(), Vec::<usize>::new(), "the hub was asked what it is, and for none of it");
    assert!(lines.iter().any(|line| line["source"] == "Tower"), "{lines:?}");
    answers(&at_desk).await;
}

#[tokio::test]
async fn a_copy_pauses_and_goes_on_in_the_next_process() {
    let whole = stand_in(2 * CHUNK + 12_345);
    let desk = device_alone("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    let attic = Attic::enter(&host, FILE, whole.clone()).await;
    // The last chunk cannot be completed.
    attic.hold_beyond(2 * CHUNK + 1);
    let mut get = Running::start(&desk, ["model", "get", VARIANT, "--from", "Attic"]);
    let bytes = |line: &Value| line["bytes"].as_u64().expect("progress");
    while bytes(&get.line().await) < 2 * CHUNK as u64 {}
    get.signal(Signal::INT);
    while get.line().await["type"] == "progress" {}
    assert_eq!(get.end().await, 130);
    assert!(!here(&desk).exists(), "it has no name before it is whole");
    host.terminate().await;

    let host = desk.start().await;
    attic.online(&host).await;
    attic.asked();
    attic.hold_beyond(usize::MAX);
    let output = cli_json(&desk, ["model", "get", VARIANT, "--from", "Attic"]).await;
    assert_eq!(output.lines().last().expect("lines")["type"], "done", "{output:?}");
    let asked = attic.asked();
    assert!(!asked.is_empty() && asked.iter().all(|from| *from >= CHUNK), "what was here is not fetched: {asked:?}");
    assert!(std::fs::read(here(&desk)).expect("it is here") == whole, "it is the same file");
    answers(&host).await;
}

#[tokio::test]
async fn a_member_that_breaks_off_is_followed_by_the_hub() {
    let whole = stand_in(3 * CHUNK);
    let hub = Hub::with(ON_HUB, whole.clone()).await;
    let desk = device("Desk", &hub.url);
    let host = desk.start().await;
    found(&host, "Home").await;
    let attic = Attic::enter(&host, FILE, whole.clone()).await;
    attic.shows(&host, MODEL).await;
    near(&host, "Attic").await;
    attic.break_at(CHUNK + CHUNK / 2);
    let output = cli_json(&desk, ["model", "get", VARIANT]).await;
    let lines = output.lines();
    assert_eq!(lines.last().expect("lines")["type"], "done", "{output:?}");
    let last = lines.iter().rfind(|line| line["type"] == "progress").expect("progress");
    assert_eq!(last["source"], "hub", "{last}");
    assert!(!attic.asked().is_empty());
    let asked = hub.asked();
    assert!(!asked.is_empty() && asked.iter().all(|from| *from >= CHUNK), "what was here is not fetched: {asked:?}");
    assert!(std::fs::read(here(&desk)).expect("it is here") == whole, "it is the same file");
}

#[tokio::test]
async fn a_member_that_lies_harms_nobody() {
    let sound = stand_in(CHUNK + 5);
    let mut other = sound.clone();
    other[CHUNK] ^= 1;
    let hub = Hub::with(ON_HUB, sound.clone()).await;
    let desk = device("Desk", &hub.url);
    let host = desk.start().await;
    found(&host, "Home").await;
    let attic = Attic::enter(&host, FILE, other).await;
    attic.shows(&host, MODEL).await;
    let entry = |name: &str, size: u64| json!({ "files": [{ "name": name, "size": size, "sha256": hub.sha256 }] });
    let size = sound.len() as u64;
    for (what, list, code) in [
        ("it sends other bytes", entry(FILE, size), "download_failed"),
        ("it has another size", entry(FILE, size - 1), "download_failed"),
        ("it has nothing", Value::Null, "not_found"),
        ("it lists a path", entry(&format!("../{FILE}"), size), "not_found"),
        ("it lists an absolute path", entry(&format!("/tmp/{FILE}"), size), "not_found"),
        ("it lists without end", json!({ "files": vec![json!("x".repeat(1000)); 200] }), "download_failed"),
        ("it lists nonsense", json!("nonsense"), "not_found"),
    ] {
        attic.lists(list);
        let (refused_with, message) = refused(&desk, ["model", "get", VARIANT, "--from", "Attic"]).await;
        assert_eq!(refused_with, code, "{what}: {message}");
        assert!(message.contains("Attic"), "{what}: it names who: {message}");
        assert!(!here(&desk).exists(), "{what}");
        let output = cli_json(&desk, ["model", "get", VARIANT]).await;
        assert_eq!(output.lines().last().expect("lines")["type"], "done", "{what}: {output:?}");
        assert!(std::fs::read(here(&desk)).expect("it is here") == sound, "{what}");
        ok(&desk, ["model", "rm", VARIANT]).await;
    }
    attic.lists(entry(FILE, size));
    attic.never_end();
    let (code, message) = refused(&desk, ["model", "get", VARIANT, "--from", "Attic"]).await;
    assert!(code == "download_failed" && message.contains("Attic"), "{code}: {message}");
    let entries: Vec<_> = std::fs::read_dir(desk.file("models")).expect("a folder").flatten().collect();
    let bytes: u64 = entries.iter().map(|entry| entry.metadata().expect("data").len()).sum();
    assert!(bytes < 2 * size, "no more than the file was written: {entries:?}");
}

#[tokio::test]
async fn members_see_what_is_on_its_way_and_ask_it_when_it_is_there() {
    let hub = Hub::with(ON_HUB, stand_in(2 * CHUNK + 12_345)).await;
    hub.hold_beyond(CHUNK + 1);
    let (desk, pad) = (device("Desk", &hub.url), Place::new("Pad"));
    let (at_desk, at_pad) = (desk.start().await, pad.start().await);
    pair(&at_desk, &at_pad).await;
    let mut get = Running::start(&desk, ["model", "get", VARIANT, "--from", "hub"]);
    let of_desk = async |control: &myownmesh_control::client::ControlClient| {
        let models = control.model_list().await.expect("models can be listed");
        models.into_iter().find(|model| model.device == at_desk.id() && model.id == MODEL)
    };
    let seen = at_pad
        .until("the model on its way", async |control| {
            of_desk(control).await.filter(|model| model.percent.is_some_and(|percent| percent >= 40))
        })
        .await;
    assert_eq!(seen.state, ModelState::Downloading);
    assert!(seen.percent.is_some_and(|percent| percent < 60 && percent % 5 == 0), "{seen:?}");
    let (code, message) = refused(&pad, ["chat", "Hello", "--via", "Desk", "--model", MODEL]).await;
    assert!(code == "model_not_found" || code == "no_model", "{code}: {message}");
    hub.hold_beyond(usize::MAX);
    while get.line().await["type"] != "done" {}
    at_pad
        .until("the model being there", async |control| {
            of_desk(control).await.filter(|model| model.state != ModelState::Downloading)
        })
        .await;
    let answered = ask(&at_pad, question("Desk", MODEL)).await;
    assert!(matches!(answered.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answered:?}");
}

#[tokio::test]
async fn members_get_files_of_the_catalogue_and_nothing_else() {
    let tower = device_alone("Tower");
    put(&tower, &stand_in(0));
    std::fs::write(tower.file("models/private.gguf"), stand_in(0)).expect("written");
    let host = tower.start().await;
    found(&host, "Home").await;
    let attic = Attic::enter(&host, FILE, Vec::new()).await;
    let models = "/mesh/v1/models";
    let (status, list) = attic.asks(&host, &format!("{models}/{VARIANT}"), None).await;
    let list: Value = serde_json::from_slice(&list).expect("JSON");
    assert_eq!((status, list["files"][0]["name"].as_str()), (StatusCode::OK, Some(FILE)), "{list}");
    let (status, bytes) = attic.asks(&host, &format!("{models}/{VARIANT}/{FILE}"), Some("bytes=5-104")).await;
    assert!(status == StatusCode::PARTIAL_CONTENT && bytes == stand_in(0)[5..105], "{status}");
    for path in [
        format!("{models}/private"),
        format!("{models}/{VARIANT}/private.gguf"),
        format!("{models}/{VARIANT}/..%2Fdevice.sqlite"),
        format!("{models}/{VARIANT}/..%2F..%2F..%2Fetc%2Fpasswd"),
        format!("{models}/{VARIANT}/%2Fetc%2Fpasswd"),
        format!("{models}/..%2F/{FILE}"),
        format!("{models}/{VARIANT}/{FILE}/"),
        format!("{models}/qwen3-1.7b-q8_0"),
    ] {
        let (status, body) = attic.asks(&host, &path, Some("bytes=0-9")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body:?}");
    }
    for range in [None, Some("bytes=0-"), Some("bytes=0-99999999999"), Some("bytes=9-5"), Some("bytes=0-1,5-6")] {
        let (status, _) = attic.asks(&host, &format!("{models}/{VARIANT}/{FILE}"), range).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{range:?}");
    }
    // Not for programs of this device: they have the files.
    let local = format!("http://{}{models}/{VARIANT}", host.api_address());
    let local = web().get(local).send().await.expect("an answer").status();
    assert_eq!(local.as_u16(), 404);
    // Nor for those who may not see its models.
    ok(&tower, ["scope", "Attic", "models", "off"]).await;
    let (status, _) = attic.asks(&host, &format!("{models}/{VARIANT}"), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
