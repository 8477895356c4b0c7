//! Prompts: made, changed, ordered, deleted and brought back by the command line; taken from files and written to them;
//! whatever is in them stays text.

use std::io::Write as _;

use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{EngineState, Event, PromptDraft, PromptFormat};
use serde_json::{Value, json};

use crate::harness::shared::{agreed, family, prompts, says, versions, write};
use crate::harness::story::{self, found};
use crate::harness::{Place, cli, cli_with_input, ok, refused};

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect()
}

#[tokio::test]
async fn a_prompt_lives_its_life_on_the_command_line() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    let (code, message) = refused(&desk, ["prompt", "list"]).await;
    assert_eq!(code, "no_network", "{message}");
    found(&host, "Home").await;
    assert_eq!(ok(&desk, ["prompt", "list"]).await, json!([]));
    let mut events = host.watch().await;
    let made = ok(&desk, ["prompt", "set", "review", "--label", "Review", "--body", "Review {{what}}."]).await;
    events.until("the event", |event| (event == Event::PromptsChanged).then_some(())).await;
    for (field, value) in [("id", json!("review")), ("label", json!("Review")), ("body", json!("Review {{what}}."))] {
        assert_eq!(made[field], value);
    }
    assert_eq!((made["device_id"].as_str(), made["device_name"].as_str()), (Some(host.id()), Some("Desk")));
    assert!(made["updated_at"].as_i64().is_some_and(|at| at > 0));
    assert_eq!(made["variables"], json!([{"name": "what", "label": null, "default": null}]));

    let output =
        cli_with_input(&desk, ["prompt", "set", "plan", "--label", "Plan", "--body", "-"], b"Line\r\nline").await;
    assert_eq!(output.json()["body"], "Line\nline");
    let third = ok(&desk, ["prompt", "set", "--label", "Third one", "--body", "x"]).await;
    let third = third["id"].as_str().expect("an id").to_owned();
    assert!(third.starts_with("third-one-"), "{third}");

    // What is not given stays.
    let changed = ok(&desk, ["prompt", "set", "review", "--tool", "shell", "--variable", "what=this"]).await;
    assert_eq!((changed["label"].as_str(), changed["body"].as_str()), (Some("Review"), Some("Review {{what}}.")));
    assert_eq!(changed["suggested_tools"], json!(["shell"]));
    assert_eq!(changed["variables"][0]["default"], "this");

    let copy = ok(&desk, ["prompt", "duplicate", "review"]).await["id"].as_str().expect("an id").to_owned();
    assert_eq!(ids(&ok(&desk, ["prompt", "list"]).await), ["review", &copy, "plan", &third]);
    ok(&desk, ["prompt", "move", "Plan", "--before", "review"]).await;
    ok(&desk, ["prompt", "move", &copy]).await;
    assert_eq!(ids(&ok(&desk, ["prompt", "list"]).await), ["plan", "review", &third, &copy]);
    assert_eq!(ids(&ok(&desk, ["prompt", "list", "LINE"]).await), ["plan"]);

    ok(&desk, ["prompt", "delete", "review"]).await;
    let (code, _) = refused(&desk, ["prompt", "show", "review"]).await;
    assert_eq!(code, "not_found");
    let history = ok(&desk, ["prompt", "history", "review"]).await;
    assert_eq!((history[0]["deleted"].as_bool(), history[0]["current"].as_bool()), (Some(true), Some(true)));
    assert_eq!(history.as_array().map(Vec::len), Some(3), "two texts and the deletion: {history}");
    assert_eq!(ok(&desk, ["prompt", "restore", "review"]).await["suggested_tools"], json!(["shell"]));
    let first = history[2]["version"].as_str().expect("an id")[..12].to_owned();
    assert_eq!(ok(&desk, ["prompt", "restore", "review", &first]).await["suggested_tools"], json!([]));
    assert_eq!(ids(&ok(&desk, ["prompt", "list"]).await), ["plan", "review", &third, &copy], "in its place");

    let plain = cli(&desk, ["prompt", "history", "review"]).await;
    assert!(plain.out.contains("deleted") && plain.out.contains("(now)") && plain.out.contains("Desk"), "{plain:?}");
    host.terminate().await;
    let _host = desk.start().await;
    assert_eq!(ids(&ok(&desk, ["prompt", "list"]).await), ["plan", "review", &third, &copy]);
    assert_eq!(ok(&desk, ["prompt", "history", "review"]).await.as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn what_no_prompt_can_be_is_refused_with_a_sentence() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    write(&host, "a", "Kept.").await;
    let long = "x".repeat(65_537);
    let long_label = "x".repeat(121);
    let many: String = (0..33).map(|n| format!("{{{{v{n}}}}}")).collect();
    for (arguments, code, says) in [
        (["set", "a b", "--label", "L", "--body", "x"], "invalid_argument", "cannot be the id"),
        (["set", "b", "--label", "\u{200b}", "--body", "x"], "invalid_argument", "A label needs"),
        (["set", "b", "--label", &long_label, "--body", "x"], "invalid_argument", "at most 120"),
        (["set", "b", "--label", "L", "--body", " "], "invalid_argument", "is empty"),
        (["set", "b", "--label", "L", "--body", &long], "too_large", "65536 are the most"),
        (["set", "b", "--label", "L", "--body", "\u{1b}[2J"], "invalid_argument", "U+001B"),
        (["set", "b", "--label", "L", "--body", &many], "invalid_argument", "32 are the most"),
        (["set", "b", "--label", "L", "--variable", "x y"], "invalid_argument", "give both a label and a text"),
        (["set", "a", "--variable", "x y", "--label", "L"], "invalid_argument", "name of a variable"),
        (["set", "a", "--tool", "two words", "--label", "L"], "invalid_argument", "name of a tool"),
    ] {
        let [action, id, one, two, three, four] = arguments;
        let (got, message) = refused(&desk, ["prompt", action, id, one, two, three, four]).await;
        assert!(got == code && message.contains(says), "{got}: {message}");
    }
    for (arguments, says) in
        [(["prompt", "restore", "a", "ff00ff"], "has no version"), (["prompt", "restore", "a", "zz"], "has no version")]
    {
        let (code, message) = refused(&desk, arguments).await;
        assert!(code == "not_found" && message.contains(says), "{code}: {message}");
    }
    assert_eq!(refused(&desk, ["prompt", "restore", "a"]).await.0, "conflict");
    assert_eq!(refused(&desk, ["prompt", "move", "a", "--before", "nowhere"]).await.0, "not_found");
    assert_eq!(refused(&desk, ["prompt", "history", "nothing"]).await.0, "not_found");
    let list = prompts(&host).await;
    assert!(list.len() == 1 && list[0].body == "Kept." && list[0].label == "The a", "{list:?}");
}

#[tokio::test]
async fn prompts_go_to_a_file_and_come_back() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    write(&host, "one", "First.\n---\nid: not the next one\n").await;
    let draft = PromptDraft {
        id: Some("two".to_owned()),
        user_text: Some("Go: {{x}}".to_owned()),
        ..PromptDraft { label: Some("on: off".to_owned()), body: Some("Second.".to_owned()), ..PromptDraft::default() }
    };
    host.control.prompt_set(draft).await.expect("it can be written");
    let markdown = desk.file("prompts.md");
    let file = markdown.to_str().expect("text").to_owned();
    let written = ok(&desk, ["prompt", "export", "--output", &file]).await;
    assert_eq!(written["prompts"], 2);
    let printed = cli(&desk, ["prompt", "export", "--format", "markdown"]).await;
    assert_eq!(printed.out, std::fs::read_to_string(&markdown).expect("written"), "the text itself, nothing else");
    let document = ok(&desk, ["prompt", "export", "two"]).await;
    assert_eq!((document["prompts"].as_u64(), document["file_name"].as_str()), (Some(1), Some("two.json")));
    let json = document["text"].as_str().expect("text").to_owned();

    let same = ok(&desk, ["prompt", "import", &file]).await;
    assert_eq!(same, json!({"added": [], "changed": [], "unchanged": 2}));
    let lap = Place::new("Lap");
    let other = lap.start().await;
    found(&other, "Elsewhere").await;
    let taken = cli_with_input(&lap, ["prompt", "import", "-"], json.as_bytes()).await;
    assert_eq!(taken.json()["added"], json!(["two"]));
    write(&other, "two", "Something else.").await;
    let taken = ok(&lap, ["prompt", "import", &file]).await;
    assert_eq!(taken, json!({"added": ["one"], "changed": ["two"], "unchanged": 0}));
    assert_eq!(versions(&other, "two").await[1], "Something else.", "what it said before is in its history");
    // Label and text, not only the ids: the file lost nothing on its way.
    let export = async |daemon: &crate::harness::Daemon| {
        let all = daemon.control.prompt_export(vec!["one".to_owned()], PromptFormat::Json).await.expect("written");
        let two = daemon.control.prompt_export(vec!["two".to_owned()], PromptFormat::Json).await.expect("written");
        (all.text, two.text)
    };
    assert_eq!(export(&host).await, export(&other).await);
}

#[tokio::test]
async fn a_broken_half_right_or_huge_file_is_refused_whole() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    write(&host, "a", "Kept.").await;
    // The device's own document is there; from now on nothing but prompts could add a record.
    host.until("the capabilities", async |control| {
        let told = control.capability_list().await.expect("a list");
        told.into_iter().find(|one| one.engines.iter().all(|engine| engine.state != EngineState::Starting))
    })
    .await;
    let before = host.control.sync_status().await.expect("a status").records;
    let good = json!({"id": "good", "label": "Good", "body": "Fine."});
    let file = |prompts: Value| json!({"format": "myownllm prompts", "version": 1, "prompts": prompts}).to_string();
    let whole = file(json!([good]));
    let many: Vec<Value> = (0..2001).map(|n| json!({"id": n.to_string(), "label": "L", "body": "b"})).collect();
    let full: Vec<Value> =
        (0..200).map(|n| json!({"id": n.to_string(), "label": "L", "body": "x".repeat(60_000)})).collect();
    for (name, content, code, says) in [
        ("cut.json", whole.as_bytes()[..whole.len() / 2].to_vec(), "invalid_argument", "cut off"),
        (
            "half.json",
            file(json!([good, {"label": "B"}])).into_bytes(),
            "invalid_argument",
            "Prompt 2 in the file (\"B\")",
        ),
        ("twice.json", file(json!([good, good])).into_bytes(), "invalid_argument", "the id \"good\""),
        ("many.json", file(many.into()).into_bytes(), "too_large", "2000"),
        (
            "later.json",
            whole.replace("\"version\":1", "\"version\":2").into_bytes(),
            "invalid_argument",
            "newer version",
        ),
        ("foreign.json", b"{\"prompts\": []}".to_vec(), "invalid_argument", "not a file of prompts"),
        (
            "half.md",
            b"---\nid: good\nlabel: Good\n---\nFine.\n---\nid: b\n".to_vec(),
            "invalid_argument",
            "no closing line",
        ),
        ("binary.json", vec![0xff, 0xfe, 0x00], "invalid_argument", "UTF-8"),
        ("huge.json", vec![b' '; 20_000_001], "too_large", "20 MB"),
        ("unknown", b"just text".to_vec(), "invalid_argument", "--format"),
        // Each of them may be; together they are more than one device may keep in a network.
        ("full.json", file(full.into()).into_bytes(), "too_large", "no room for it"),
    ] {
        let path = desk.file(name);
        std::fs::File::create(&path).and_then(|mut file| file.write_all(&content)).expect("written");
        let (got, message) = refused(&desk, ["prompt", "import", path.to_str().expect("text")]).await;
        assert!(got == code && message.contains(says), "{name}: {got}: {message}");
        std::fs::remove_file(&path).expect("removed");
    }
    let (code, message) = refused(&desk, ["prompt", "import", desk.file("none.json").to_str().expect("text")]).await;
    assert!(code == "invalid_argument" && message.contains("cannot be read"), "{message}");
    let list = prompts(&host).await;
    assert!(list.len() == 1 && list[0].body == "Kept.", "{list:?}");
    assert_eq!(host.control.sync_status().await.expect("a status").records, before, "nothing was half applied");
}

#[tokio::test]
async fn a_hostile_prompt_stays_text() {
    let devices = family(["Desk", "Lap"]).await;
    let [desk, lap] = &devices[..] else { panic!("two") };
    let body =
        "<script>alert(1)</script> ![x](javascript:alert(1)) {{constructor}} \u{202e}gnp.exe '; DROP TABLE x; --";
    write(desk, "evil", body).await;
    says(lap, "evil", Some(body)).await;
    let list = agreed(&devices).await;
    assert_eq!((list.len(), list[0].body.as_str()), (1, body), "not a character was interpreted on the way");
    let shown = cli(&lap.place, ["prompt", "show", "evil"]).await.out;
    assert!(shown.contains("<script>") && !shown.contains('\u{202e}'), "{shown}");
    let file =
        ok(&lap.place, ["prompt", "export", "--format", "markdown"]).await["text"].as_str().expect("text").to_owned();
    let same = cli_with_input(&lap.place, ["prompt", "import", "-"], file.as_bytes()).await;
    assert_eq!(same.json()["unchanged"], 1);
    story::online(desk, lap).await;
}
