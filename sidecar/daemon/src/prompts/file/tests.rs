//! What files of prompts promise: nothing is lost on the way, and nothing is taken from a broken one.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::prompts::text::MAX_BODY;
use crate::prompts::variables::Variable;

fn fields(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("no object: {value}") };
    fields
}

fn prompt(id: &str, value: Value) -> Entry {
    (PromptId::parse(id).expect("an id"), PromptText::from_fields(fields(value)).expect("a prompt"))
}

fn pairs(entries: &[Entry]) -> impl Iterator<Item = (&PromptId, &PromptText)> {
    entries.iter().map(|(id, text)| (id, text))
}

fn round_trip(entries: &[Entry]) {
    for format in [PromptFormat::Json, PromptFormat::Markdown] {
        let file = match format {
            PromptFormat::Json => json::write(pairs(entries)),
            PromptFormat::Markdown => markdown::write(pairs(entries)),
        };
        let read = parse(&file, format).unwrap_or_else(|error| panic!("{error}\n{file}"));
        assert_eq!(read, entries, "{file}");
        // An editor of another system changes the line ends, and may put a mark in front.
        let elsewhere = format!("\u{feff}{}", file.replace('\n', "\r\n"));
        assert_eq!(parse(&elsewhere, format).expect("the same"), entries, "{file}");
    }
}

#[test]
fn a_markdown_file_looks_like_this() {
    let entries = [
        prompt(
            "review",
            json!({
                "label": "Review a change", "body": "You review changes.\n\n{{diff}}",
                "variables": [{"name": "diff", "label": "The change"}], "suggested_tools": ["shell"],
                "user_text": "Please review:\n{{diff}}", "colour": {"of": "later versions"}
            }),
        ),
        prompt("off", json!({"label": "on: off", "body": "---\nid: x\n---\n\\---\nlabel: y\n"})),
    ];
    let file = markdown::write(pairs(&entries));
    let expected = r#"---
id: review
label: Review a change
variables: [{"label":"The change","name":"diff"}]
suggested_tools: ["shell"]
user_text: "Please review:\n{{diff}}"
colour: {"of":"later versions"}
---

You review changes.

{{diff}}

---
id: "off"
label: "on: off"
---

\---
id: x
---
\\---
label: y

"#;
    assert_eq!(file, expected);
    round_trip(&entries);
}

#[test]
fn a_file_written_by_hand_is_understood() {
    let file = "\n\n---\nlabel: Kurz: ein Satz\n---\nAnswer in one sentence.\n---\n\nNo head, just a rule.\n---\nid: two\n\
                label:   Two   \nsuggested_tools: [\"read_file\"]\npriority: 3\nnote: plain words\n---\nDo {{this}}.";
    let entries = parse(file, PromptFormat::Markdown).expect("understood");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].0.as_str(), "kurz-ein-satz");
    assert_eq!(entries[0].1.body, "Answer in one sentence.\n---\n\nNo head, just a rule.");
    let two = &entries[1].1;
    assert_eq!((two.label.as_str(), two.body.as_str()), ("Two", "Do {{this}}."));
    assert_eq!(two.variables, [Variable { name: "this".to_owned(), ..Variable::default() }]);
    assert_eq!(Value::Object(two.rest.clone()), json!({"priority": 3, "note": "plain words"}));
}

#[test]
fn a_json_file_keeps_what_it_does_not_know() {
    let file = json!({
        "format": "myownllm prompts", "version": 1, "later": true,
        "prompts": [{"id": "a", "label": "A", "body": "Do it.", "order": 7, "mood": [1], "user_text": null}]
    });
    let entries = parse(&file.to_string(), PromptFormat::Json).expect("read");
    assert_eq!(entries[0].1.rest, fields(json!({"mood": [1]})));
    round_trip(&entries);
}

fn sentence(text: &str, format: PromptFormat) -> String {
    let error = parse(text, format).expect_err(text).to_string();
    assert!(error.ends_with("Nothing was imported."), "{error}");
    error
}

#[test]
fn a_json_file_that_is_broken_half_right_or_foreign_is_refused_whole() {
    let whole = json::write(pairs(&[prompt("a", json!({"label": "A", "body": "Do it."}))]));
    let half = sentence(&whole[..whole.len() / 2], PromptFormat::Json);
    assert!(half.contains("line ") && half.contains("cut off"), "{half}");
    let file = |prompts: Value| json!({"format": "myownllm prompts", "version": 1, "prompts": prompts}).to_string();
    let good = json!({"label": "A", "body": "Do it."});
    for (text, says) in [
        (String::new(), "whole JSON"),
        ("[]".to_owned(), "not a file of prompts"),
        (json!({"prompts": [good]}).to_string(), "not a file of prompts"),
        (json!({"format": "myownllm prompts", "version": 2, "prompts": []}).to_string(), "newer version"),
        (json!({"format": "myownllm prompts", "version": "1", "prompts": []}).to_string(), "not a file of prompts"),
        (file(json!({})), "not a file of prompts"),
        (file(json!([])), "no prompt in the file"),
        (file(json!([good, 7])), "Prompt 2 in the file (without a label)"),
        (file(json!([good, {"label": "B"}])), "Prompt 2 in the file (\"B\"): The text of the prompt is empty."),
        (file(json!([{"id": "no id!", "label": "B", "body": "x"}])), "cannot be the id"),
        (file(json!([{"id": "a", "label": "A", "body": "x"}, {"id": "a", "label": "B", "body": "y"}])), "the id \"a\""),
        (file(json!([{"label": "B", "body": "bell \u{7}"}])), "U+0007"),
        (file(json!([{"label": "B", "body": "x".repeat(MAX_BODY + 1)}])), "65536 are the most"),
        (file(json!([{"label": "B", "body": "x", "later": "y".repeat(140_000)}])), "as a whole"),
        (file(vec![good.clone(); MAX_PROMPTS + 1].into()), "more than 2000"),
        (" ".repeat(MAX_FILE + 1), "20000001 bytes"),
        ("[".repeat(100_000), "whole JSON"),
    ] {
        let error = sentence(&text, PromptFormat::Json);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_markdown_file_that_is_broken_or_half_right_is_refused_whole() {
    let good = "---\nid: a\nlabel: A\n---\nDo it.\n";
    for (text, says) in [
        (String::new(), "no prompt in the file"),
        ("# A heading\n\nText".to_owned(), "Line 1 of the file: a prompt begins with a line ---"),
        ("---\nLabel: A\n---\nx".to_owned(), "Line 1 of the file"),
        (format!("{good}---\nid: b\nlabel: B\n"), "Line 6 of the file: the head that begins here has no closing"),
        (format!("{good}---\nid: b\nlabel B\n---\nx"), "Line 8 of the file: \"label B\" is no field"),
        (format!("{good}---\nid: b\nlabel: B\nid: c\n---\nx"), "Line 9 of the file: \"id\" is given twice"),
        (format!("{good}---\nid: b\nvariables: [{{\n---\nx"), "the value of \"variables\" is not whole JSON"),
        (format!("{good}---\nid: b\nlabel: B\nbody: x\n---\nx"), "stands below its head"),
        (format!("{good}---\nid: b\nlabel: B\n  - name: x\n---\nx"), "is no field"),
        (
            format!("{good}---\nid: b\nlabel: B\n---\n\n"),
            "Prompt 2 in the file (\"B\"): The text of the prompt is empty.",
        ),
        (format!("{good}{good}"), "the id \"a\""),
    ] {
        let error = sentence(&text, PromptFormat::Markdown);
        assert!(error.contains(says), "{error}\n{text}");
    }
}

fn a_line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ -~\t]{0,12}",
        1 => "\\\\{0,3}---[ \t]{0,2}",
        1 => prop_oneof![Just("id: x".to_owned()), Just("label:".to_owned()), Just(String::new())],
        1 => "\\PC{0,8}",
    ]
}

fn a_text() -> impl Strategy<Value = String> {
    prop::collection::vec(a_line(), 1..8)
        .prop_map(|lines| lines.join("\n"))
        .prop_filter("empty", |t| !t.trim().is_empty())
}

fn a_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,8}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([1, {"a": "b\n"}])),
    ]
}

fn a_prompt() -> impl Strategy<Value = Entry> {
    let later = prop::collection::btree_map("[a-z:\"\n -]{0,6}", a_value(), 0..3);
    let variables =
        prop::collection::vec(("[a-z_]{1,5}", prop::option::of("[a-z]{1,9}"), prop::option::of(a_text())), 0..3);
    let tools = prop::collection::vec("[a-z_:/]{1,9}", 0..3);
    let given = ("[A-Za-z0-9._-]{1,64}", "\\PC{0,20}[a-z]\\PC{0,20}", a_text(), prop::option::of(a_text()));
    (given, variables, tools, later).prop_filter_map(
        "not valid",
        |((id, label, body, user_text), variables, tools, later)| {
            let mut value: Map<String, Value> = later.into_iter().collect();
            value.insert("label".to_owned(), label.into());
            value.insert("body".to_owned(), body.into());
            value.insert("user_text".to_owned(), user_text.into());
            value.insert("suggested_tools".to_owned(), tools.into());
            let variables = variables
                .into_iter()
                .map(|(name, label, default)| json!({"name": name, "label": label, "default": default}));
            value.insert("variables".to_owned(), variables.collect());
            Some((PromptId::parse(&id).ok()?, PromptText::from_fields(value).ok()?))
        },
    )
}

proptest! {
    #[test]
    fn every_prompt_comes_back_from_a_file_as_it_was(entries in prop::collection::vec(a_prompt(), 1..4)) {
        let mut ids = HashSet::new();
        let entries: Vec<_> = entries.into_iter().filter(|(id, _)| ids.insert(id.clone())).collect();
        round_trip(&entries);
    }

    #[test]
    fn no_text_does_harm(text in prop_oneof![".{0,200}", "(---\n|id: a\n|label: b\n|\"x\": \n|[a-z:\"\\[{]{0,5}\n){0,12}"]) {
        for format in [PromptFormat::Json, PromptFormat::Markdown] {
            if let Ok(entries) = parse(&text, format) {
                round_trip(&entries);
            }
        }
    }
}
