//! The command line: exit codes, and the forms of its output.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::story::{self, found, offers};
use crate::harness::{Place, Running, SENTENCE, cli, cli_json, cli_with_input, ok, refused};

#[tokio::test]
async fn without_a_daemon_every_command_exits_with_three() {
    let desk = Place::new("Desk");
    let commands = [
        &["status"][..],
        &["network", "list"],
        &["invite"],
        &["join", "myownllm://join/x"],
        &["knocks"],
        &["network", "settings"],
        &["network", "kind", "open"],
        &["network", "decisions"],
        &["nearby"],
        &["join", "--nearby", "D"],
        &["relays"],
        &["connections"],
        &["activity"],
        &["doctor", "--masked"],
        &["approve", "k"],
        &["deny", "k"],
        &["devices"],
        &["device", "name", "D"],
        &["accepting"],
        &["hardware"],
        &["engines"],
        &["engine", "test", "e"],
        &["models"],
        &["chat", "Hello"],
        &["conversation", "list"],
        &["events"],
        &["doctor"],
        &["stop"],
    ];
    for command in commands {
        let output = desk.command().arg("--json").args(command).output().await.expect("it can be started");
        assert_eq!(output.status.code(), Some(3), "{command:?}");
        let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
        assert_eq!(document["error"]["code"], "no_daemon", "{command:?}");
    }
    let plain = cli(&desk, ["status"]).await;
    assert!(plain.out.is_empty() && plain.err.contains("myownmesh serve"), "{plain:?}");
    assert!(!desk.home().exists(), "asking makes nothing");
}

#[tokio::test]
async fn wrong_usage_exits_with_two() {
    let desk = Place::new("Desk");
    for line in [
        "",
        "nonsense",
        "network",
        "join",
        "chat",
        "serve --api-port 70000",
        "accepting maybe",
        "chat x --temperature 9",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let plain = desk.command().args(&words).output().await.expect("it can be started");
        assert_eq!(plain.status.code(), Some(2), "{line}");
        assert!(plain.stdout.is_empty() && !plain.stderr.is_empty(), "{line}");
    }
    let output = cli_json(&desk, ["join"]).await;
    assert_eq!((output.code, output.json()["error"]["code"].as_str()), (2, Some("usage")));
    let help = cli(&desk, ["help", "chat"]).await;
    assert!(help.code == 0 && help.out.contains("--via") && help.out.contains("Examples:"), "{help:?}");
    let version = cli(&desk, ["--version"]).await;
    assert_eq!((version.code, version.out.trim()), (0, concat!("myownmesh ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn documents_carry_what_the_contract_names() {
    let desk = Place::new("Desk").model("chain");
    let host = desk.start().await;
    has(&host.ready, "event version device_id device_name api control listen");
    found(&host, "Home").await;
    has(&ok(&desk, ["status"]).await, "version device_id device_name api network phase reason peers engines");
    let network = ok(&desk, ["network", "show"]).await;
    has(&network, "id name active role kind members");
    has(&ok(&desk, ["network", "show", "Home"]).await, "id name active role kind members");
    has(&ok(&desk, ["network", "list"]).await[0], "id name active role kind members");
    has(&ok(&desk, ["invite"]).await, "id invite expires_at uses_left");
    has(&ok(&desk, ["invite", "list"]).await[0], "id invite expires_at uses_left");
    let device = "device_id name role state path rtt_ms models accepting version";
    has(&ok(&desk, ["devices"]).await[0], device);
    has(&ok(&desk, ["device", "show", "Desk"]).await, device);
    has(&ok(&desk, ["device", "show", &host.id()[..8]]).await, device);
    assert_eq!(ok(&desk, ["accepting"]).await["accepting"], "available");
    assert_eq!(ok(&desk, ["accepting", "limited"]).await["accepting"], "limited");
    has(&ok(&desk, ["engines"]).await[0], "id kind url state reason models");
    has(&ok(&desk, ["engine", "test", "builtin"]).await, "id kind url state reason models");
    offers(&host, &host, "chain").await;
    has(&ok(&desk, ["models"]).await[0], "id device engine state context_length size_bytes");
    let report = ok(&desk, ["doctor"]).await;
    has(&report, "checks report");
    has(&report["checks"][0], "name ok detail fix cause");
    has(&ok(&desk, ["network", "settings"]).await["settings"], "relays lookup mdns announce air_gapped");
    let decision = "id at author_id author kind subject_id text counts why_not acknowledged waiting";
    has(&ok(&desk, ["network", "decisions"]).await[0], decision);
    has(&ok(&desk, ["activity"]).await[0], "id at network_id kind device_id device_name text");
    for list in ["nearby", "relays", "connections"] {
        assert!(ok(&desk, [list]).await.as_array().is_some_and(Vec::is_empty), "{list}");
        assert_eq!(cli(&desk, [list]).await.code, 0, "{list}");
    }
    assert!(ok(&desk, ["knocks"]).await.as_array().is_some_and(Vec::is_empty));
}

#[tokio::test]
async fn the_doctor_walks_to_another_device() {
    let (desk, lap) = (Place::new("Desk").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    let report = ok(&lap.place, ["doctor", "Desk"]).await;
    let checks = report["checks"].as_array().expect("checks");
    let names: Vec<&str> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(names, ["found", "reachable", "direct", "admitted", "answering"]);
    assert!(checks.iter().all(|check| check["ok"] == true), "{report}");
    desk.terminate().await;
    let report = ok(&lap.place, ["doctor", "Desk"]).await;
    let failed = report["checks"].as_array().expect("checks").iter().find(|check| check["ok"] == false);
    let failed = failed.unwrap_or_else(|| panic!("a device that is off cannot be well: {report}"));
    assert!(failed["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{failed}");
}

#[tokio::test]
async fn events_stream_as_they_happen() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    let mut events = Running::start(&desk, ["events"]);
    // It shows what happens once it follows, and does not tell when that is: make things happen until it shows one.
    let mut first = None;
    for number in 0..100 {
        ok(&desk, ["device", "name", &format!("Desk {number}")]).await;
        first = events.line_within(Duration::from_millis(200)).await;
        if first.is_some() {
            break;
        }
    }
    let first = first.expect("an event");
    has(&first, "event seq at");
    ok(&desk, ["stop"]).await;
    loop {
        if events.line().await["event"] == "stopping" {
            break;
        }
    }
    assert_eq!(events.end().await, 0);
    host.ended().await;
}

#[tokio::test]
async fn a_question_can_come_from_standard_input() {
    let desk = Place::new("Desk").model("chain");
    let _host = desk.start().await;
    let answer = cli_with_input(&desk, ["chat", "-", "--model", "chain"], b"Hello\n").await;
    assert_eq!(answer.lines().last().expect("a line")["text"], SENTENCE);
    for bad in [&b""[..], b" \n", b"\xff\xfe"] {
        let refused = cli_with_input(&desk, ["chat", "-"], bad).await;
        assert_eq!((refused.code, refused.json()["error"]["code"].as_str()), (1, Some("invalid_argument")));
    }
    let limited = cli_json(&desk, ["chat", "Hello", "--model", "chain", "--max-tokens", "2"]).await;
    let done = limited.lines().pop().expect("a line");
    assert_eq!((done["finish_reason"].as_str(), limited.code), (Some("length"), 0), "{done}");
}

#[tokio::test]
async fn ctrl_c_cancels_an_answer() {
    let desk = Place::new("Desk").model("endless");
    let _host = desk.start().await;
    let mut chat = Running::start(&desk, ["chat", "Count", "--model", "endless"]);
    assert_eq!(chat.line().await["type"], "route");
    assert_eq!(chat.line().await["type"], "delta");
    chat.signal(Signal::INT);
    loop {
        let line = chat.line().await;
        if line["type"] != "delta" {
            assert_eq!((line["type"].as_str(), line["finish_reason"].as_str()), (Some("done"), Some("cancelled")));
            break;
        }
    }
    assert_eq!(chat.end().await, 130);
}

#[tokio::test]
async fn hostile_arguments_are_answered_with_sentences() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    let long = "x".repeat(100_000);
    for name in ["'; DROP TABLE networks; --", "../../etc/passwd", "\u{1b}[2J", "%s%n", &long] {
        let (code, message) = refused(&desk, ["device", "show", name]).await;
        assert_eq!(code, "not_found", "{message}");
        assert!(message.len() < 1_000 && !message.contains('\u{1b}'), "{message}");
        let (code, _) = refused(&desk, ["network", "use", name]).await;
        assert_eq!(code, "not_found");
        let (code, _) = refused(&desk, ["approve", name]).await;
        assert_eq!(code, "not_found");
        let (code, message) = refused(&desk, ["join", "--nearby", name]).await;
        assert_eq!(code, "not_found", "{message}");
        let (code, _) = refused(&desk, ["network", "kind", "open", name]).await;
        assert_eq!(code, "not_found");
        let (code, _) = refused(&desk, ["doctor", name]).await;
        assert!(code == "not_found" || code == "invalid_invite", "{code}");
        if name.len() < 1_000 {
            let found = ok(&desk, ["activity", "--search", name, "--device", name]).await;
            assert!(found.as_array().is_some_and(Vec::is_empty), "{found}");
        } else {
            for search in [&["activity", "--search"][..], &["activity", "--device"], &["conversation", "list"]] {
                let output =
                    desk.command().arg("--json").args(search).arg(name).output().await.expect("it can be started");
                let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
                assert_eq!(document["error"]["code"], "invalid_argument", "{search:?}");
            }
        }
        let (code, _) = refused(&desk, ["conversation", "show", name]).await;
        assert_eq!(code, "not_found");
        let (code, _) = refused(&desk, ["engine", "test", name]).await;
        assert!(code == "not_found" || code == "invalid_argument", "{code}");
    }
}

fn has(document: &Value, fields: &str) {
    for field in fields.split(' ') {
        assert!(document.get(field).is_some(), "no {field} in {document}");
    }
}
