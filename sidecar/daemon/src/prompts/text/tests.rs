//! What the parts of a prompt may be, and what is made of documents of other devices.

use serde_json::json;

use super::*;

fn draft(label: &str, body: &str) -> PromptDraft {
    PromptDraft { label: Some(label.to_owned()), body: Some(body.to_owned()), ..PromptDraft::default() }
}

fn made(draft: PromptDraft) -> Result<PromptText, PromptError> {
    let mut text = PromptText::default();
    text.apply(draft)?;
    Ok(text)
}

fn bytes(value: Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[test]
fn ids_are_plain_and_come_from_labels() {
    for good in ["a", "A.b-c_9", " trimmed ", &"x".repeat(64)] {
        PromptId::parse(good).expect(good);
    }
    for bad in ["", " ", "a b", "ü", "a/b", "\u{202e}a", &"x".repeat(65)] {
        let error = PromptId::parse(bad).expect_err(bad);
        assert!(matches!(error, PromptError::BadId(_)), "{error}");
    }
    assert_eq!(PromptId::of_label("Review a Change!").as_str(), "review-a-change");
    assert_eq!(PromptId::of_label("書斎").as_str(), "prompt");
    let long = PromptId::of_label(&"word ".repeat(24));
    PromptId::parse(long.with("abcdef").as_str()).expect("still an id");
    PromptId::parse(PromptId::parse(&"x".repeat(64)).expect("an id").with("abcdef").as_str()).expect("still an id");
}

#[test]
fn labels_are_cleaned_and_bounded() {
    assert_eq!(label(" A\u{202e}b\t\n c\u{0} ").expect("a label"), "Ab c");
    assert_eq!(label(&"ü".repeat(120)).expect("a label").chars().count(), 120);
    for bad in ["", " \u{200b}\n", &"x".repeat(121), &"x".repeat(1 << 20)] {
        assert!(matches!(label(bad), Err(PromptError::BadLabel)));
    }
    assert_eq!(label_of_copy("Review"), "Review (copy)");
    assert_eq!(label_of_copy(&"x".repeat(120)).chars().count(), 120);
}

#[test]
fn texts_are_bounded_and_hold_no_commands() {
    assert_eq!(made(draft("A", "one\r\ntwo\rthree\tx")).expect("fine").body, "one\ntwo\nthree\tx");
    let largest = made(draft("A", &"\"".repeat(MAX_BODY))).expect("64 KiB, whatever they are");
    assert!(write(&largest, 1.5).len() <= MAX_VALUE_BYTES);
    assert!(matches!(made(draft("A", &"x".repeat(MAX_BODY + 1))), Err(PromptError::TooLong { most: MAX_BODY, .. })));
    for bad in ["\u{1b}[2J", "a\u{0}", "\u{9b}x", "\u{7f}"] {
        let error = made(draft("A", bad)).expect_err(bad);
        assert!(matches!(error, PromptError::ControlCharacter { .. }), "{error}");
    }
    for empty in ["", " \n\t"] {
        assert!(matches!(made(draft("A", empty)), Err(PromptError::NoBody)));
    }
    let mut large = draft("A", &"\"".repeat(MAX_BODY));
    large.user_text = Some("\"".repeat(MAX_USER_TEXT));
    assert!(matches!(made(large), Err(PromptError::TooLarge { .. })));
}

#[test]
fn tools_are_named_without_spaces() {
    let with = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        made(PromptDraft { suggested_tools: Some(names), ..draft("A", "b") })
    };
    let tools = with(&["shell", " mcp:files/read ", "shell"]).expect("fine").suggested_tools;
    assert_eq!(tools, ["shell", "mcp:files/read"]);
    for bad in ["", "a b", "\u{202e}x", &"x".repeat(201)] {
        assert!(matches!(with(&[bad]), Err(PromptError::BadTool(_))), "{bad:?}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(with(&many), Err(PromptError::TooManyTools(33))));
}

#[test]
fn an_edit_changes_what_it_gives_and_nothing_else() {
    let given = json!({
        "label": "A", "body": "Do {{x}}.", "order": 4, "suggested_tools": ["shell"], "user_text": "Go",
        "variables": [{"name": "x", "label": "What", "later": 1}], "pinned": {"by": "a later version"}
    });
    let (before, order) = read(&bytes(given)).expect("a prompt");
    let mut text = before.clone();
    text.apply(PromptDraft { label: Some("B".to_owned()), ..PromptDraft::default() }).expect("fine");
    assert_eq!(text, PromptText { label: "B".to_owned(), ..before.clone() });
    text.apply(PromptDraft {
        body: Some("Do {{y}}.".to_owned()),
        user_text: Some(String::new()),
        ..PromptDraft::default()
    })
    .expect("fine");
    assert_eq!(text.user_text, None);
    assert_eq!(text.variables.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(text.rest, before.rest);
    assert_eq!(read(&write(&text, order)), Some((text, 4.0)));
}

#[test]
fn a_document_of_another_device_is_read_with_caution() {
    let hostile = json!({
        "label": "\u{202e}Evil\u{7}", "body": "<script>\u{1b}[2J</script>\u{0}", "order": 1e300,
        "variables": [{"name": "a"}, {"name": "a"}, "b", {"name": "c d"}], "suggested_tools": ["ok", "no no", 3],
        "user_text": 5, "id": "other"
    });
    let (text, order) = read(&bytes(hostile)).expect("a prompt");
    assert_eq!((text.label.as_str(), text.body.as_str()), ("Evil", "<script>[2J</script>"));
    assert_eq!((text.variables.len(), text.suggested_tools.len()), (1, 1));
    assert!(text.user_text.is_none() && text.rest.is_empty());
    assert_eq!(order.to_bits(), FARTHEST.to_bits());
    for nothing in [
        json!(null),
        json!([]),
        json!({}),
        json!({"label": "A"}),
        json!({"label": 1, "body": "b"}),
        json!({"label": "A", "body": ["b"]}),
        json!({"label": "\u{200b}", "body": "b"}),
        json!({"label": "A", "body": " \u{0} "}),
        json!({"label": "A", "body": "x".repeat(MAX_BODY + 1)}),
    ] {
        assert_eq!(read(&bytes(nothing.clone())), None, "{nothing}");
    }
    for garbage in [
        &b""[..],
        b"\xff\xfe",
        b"{\"label\":\"A\",\"body\":\"b\",\"order\":1e999}",
        b"{\"label\":\"A\"",
        &[b'['; 100_000],
    ] {
        assert_eq!(read(garbage), None);
    }
    let plain = read(&bytes(json!({"label": "A", "body": "b"}))).expect("an old one");
    assert_eq!(plain.1.to_bits(), 0.0_f64.to_bits());
}
