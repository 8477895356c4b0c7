//! Keys appear in no log, no argument and no sentence.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{AnswerEvent, EngineSpec};

use crate::harness::story::{ask, question};
use crate::harness::{Mock, Place, cli, cli_with_input, process};

const KEY: &str = "sk-test-5ecretKEY-0123456789";

#[tokio::test]
async fn the_key_of_an_engine_stays_secret() {
    let mock = Mock::indiscreet().await;
    let desk = Place::new("Desk").variable("MYOWNMESH_LOG", "trace").variable("RUST_LOG", "trace");
    let host = desk.start().await;
    let added = cli_with_input(&desk, ["engine", "add", &mock.url, "--key-stdin"], format!("{KEY}\n").as_bytes()).await;
    assert_eq!(added.code, 0, "{added:?}");
    let mut told = format!("{}{}", added.out, added.err);

    // The engine repeats the key in its refusal, as careless ones do.
    let answer = ask(&host, question("local", "parrot")).await;
    match answer.last() {
        Some(AnswerEvent::Error { message, .. }) => told += message,
        other => panic!("it refuses every question: {other:?}"),
    }
    for arguments in
        [&["engines"][..], &["status"], &["doctor"], &["models"], &["--json", "engines"], &["--json", "status"]]
    {
        let output = desk.command().args(arguments).output().await.expect("it can be started");
        told += &String::from_utf8_lossy(&output.stdout);
        told += &String::from_utf8_lossy(&output.stderr);
    }
    told += &process::command_line(host.pid());
    process::children(host.pid()).iter().for_each(|child| told += &child.command);
    told += &desk.logs();
    assert!(!told.contains(KEY), "the key was told: {}", around(&told, KEY));

    // It is kept, and only where secrets are kept.
    let identity = std::fs::read_to_string(desk.file("secrets/identity.key")).expect("the key is in a file here");
    host.terminate().await;
    let host = desk.start().await;
    assert_eq!(host.control.engine_list().await.expect("a list").len(), 1);
    for entry in std::fs::read_dir(desk.home()).expect("a home").flatten().filter(|entry| entry.path().is_file()) {
        let bytes = std::fs::read(entry.path()).expect("it can be read");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(KEY), "it lies in {}", entry.path().display());
        assert!(!text.contains(identity.trim()), "the identity lies in {}", entry.path().display());
    }
    assert!(!desk.logs().contains(KEY) && !desk.logs().contains(identity.trim()));
}

#[tokio::test]
async fn the_keys_of_the_built_in_engine_are_in_no_argument() {
    let host = Place::new("Desk").model("chain").variable("MYOWNMESH_LOG", "trace").start().await;
    ask(&host, question("local", "chain")).await;
    let engines = process::engines(host.pid());
    let environment = std::fs::read(format!("/proc/{}/environ", engines[0].pid)).expect("ours");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let key = environment.split('\0').find_map(|pair| pair.strip_prefix("LLAMA_API_KEY=")).expect("it has a key");
    assert!(key.len() >= 32, "a key nobody guesses");
    assert!(!engines[0].command.contains(key));
    assert!(!host.place.logs().contains(key), "the key is in the log");
}

#[tokio::test]
async fn a_key_is_one_line_of_text() {
    let desk = Place::new("Desk");
    let _host = desk.start().await;
    for bad in [&b""[..], b"  \n", b"one\ntwo", b"\xff\xfe", &[b'k'; 20_000]] {
        let refused = cli_with_input(&desk, ["engine", "add", "http://127.0.0.1:1", "--key-stdin"], bad).await;
        assert_eq!((refused.code, refused.json()["error"]["code"].as_str()), (1, Some("invalid_argument")));
    }
}

#[tokio::test]
async fn a_refusal_does_not_repeat_the_key() {
    let host = Place::new("Desk").start().await;
    let url = format!("http://user:{KEY}@127.0.0.1:1/v1");
    let error = host.control.engine_add(EngineSpec { url: url.clone(), kind: None, key: None }).await;
    let message = error.expect_err("a URL with a password is refused").to_string();
    assert!(!message.contains(KEY), "{message}");
    let output = cli(&host.place, ["engine", "add", &url]).await;
    assert!(!output.err.contains(KEY), "{output:?}");
    assert!(!host.place.logs().contains(KEY));
}

fn around<'a>(text: &'a str, what: &str) -> &'a str {
    let Some(at) = text.find(what) else { return "" };
    let (mut from, mut to) = (at.saturating_sub(120), (at + 120).min(text.len()));
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    &text[from..to]
}
