//! What changes of the list come to.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn kept(id: &str, order: f64) -> Kept {
    let mut text = PromptText::default();
    text.apply(draft(&format!("Label {id}"), &format!("Text {id}"))).expect("fine");
    Kept { id: named(id), text, order, author: DeviceId::of_secret(&[1; 32]), at: 0 }
}

fn named(id: &str) -> PromptId {
    PromptId::parse(id).expect("an id")
}

fn draft(label: &str, body: &str) -> PromptDraft {
    PromptDraft { label: Some(label.to_owned()), body: Some(body.to_owned()), ..PromptDraft::default() }
}

fn list() -> PromptList {
    PromptList::new(vec![kept("c", 3.0), kept("a", 1.0), kept("b", 2.0)])
}

/// The list after a plan was carried out.
fn after(list: &PromptList, plan: Plan) -> PromptList {
    let mut prompts = list.0.clone();
    for (id, text, order) in plan.writes {
        prompts.retain(|kept| kept.id != id);
        prompts.push(Kept { id, text, order, author: DeviceId::of_secret(&[2; 32]), at: 1 });
    }
    PromptList::new(prompts)
}

fn ids(list: &PromptList) -> Vec<&str> {
    list.0.iter().map(|kept| kept.id.as_str()).collect()
}

#[test]
fn a_new_prompt_comes_last_under_an_id_of_its_own() {
    let list = list();
    let (id, plan) = list.set(draft("Review this", "Do it.")).expect("made");
    assert!(id.as_str().starts_with("review-this-"), "{id}");
    assert_eq!(ids(&after(&list, plan)), ["a", "b", "c", id.as_str()]);
    let (other, _) = list.set(draft("Review this", "Do it.")).expect("made");
    assert_ne!(id, other, "two devices that do not hear each other would mean one prompt");
    let (id, plan) = list.set(PromptDraft { id: Some("mine".to_owned()), ..draft("A", "b") }).expect("made");
    assert_eq!((id.as_str(), plan.writes.len()), ("mine", 1));
}

#[test]
fn a_new_prompt_needs_label_and_text() {
    for (label, body) in [(None, Some("b")), (Some("A"), None), (None, None)] {
        let draft = PromptDraft {
            id: Some("new".to_owned()),
            label: label.map(str::to_owned),
            body: body.map(str::to_owned),
            ..PromptDraft::default()
        };
        assert!(matches!(list().set(draft), Err(PromptError::Incomplete(id)) if id == "new"));
    }
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let same = PromptDraft { id: Some("a".to_owned()), ..draft("Label a", "Text a") };
    assert_eq!(list().set(same).expect("fine").1, Plan::default());
    let other = PromptDraft { id: Some("a".to_owned()), label: Some("B".to_owned()), ..PromptDraft::default() };
    let (_, plan) = list().set(other).expect("fine");
    assert_eq!(plan.writes.len(), 1);
    assert_eq!((plan.writes[0].1.body.as_str(), plan.writes[0].2.to_bits()), ("Text a", 1.0_f64.to_bits()));
}

#[test]
fn prompts_move_and_copies_stand_below() {
    let list = list();
    for (id, before, expected) in [
        ("c", Some("a"), ["c", "a", "b"]),
        ("a", None, ["b", "c", "a"]),
        ("a", Some("c"), ["b", "a", "c"]),
        ("b", Some("b"), ["a", "b", "c"]),
        ("a", Some("b"), ["a", "b", "c"]),
    ] {
        let plan = list.put_before(&named(id), before.map(named).as_ref()).expect("moved");
        assert!(plan.writes.len() <= 1, "{plan:?}");
        assert_eq!(ids(&after(&list, plan)), expected, "{id} before {before:?}");
    }
    assert!(matches!(list.put_before(&named("x"), None), Err(PromptError::NotFound(_))));
    assert!(matches!(list.put_before(&named("a"), Some(&named("x"))), Err(PromptError::NotFound(_))));
    let (copy, plan) = list.duplicate(&named("a")).expect("copied");
    assert_eq!(plan.writes[0].1.label, "Label a (copy)");
    assert_eq!(ids(&after(&list, plan)), ["a", copy.as_str(), "b", "c"]);
}

#[test]
fn equal_places_are_ordered_by_id_and_can_be_told_apart_again() {
    let list = PromptList::new(vec![kept("b", 1.0), kept("a", 1.0), kept("c", 1.0)]);
    assert_eq!(ids(&list), ["a", "b", "c"]);
    let plan = list.put_before(&named("c"), Some(&named("b"))).expect("moved");
    assert_eq!(ids(&after(&list, plan)), ["a", "c", "b"]);
}

#[test]
fn a_search_looks_at_label_and_text() {
    let found = |text: &str| list().search(Some(text)).len();
    assert_eq!((found("LABEL B"), found("text"), found(" "), found("nowhere")), (1, 3, 3, 0));
    assert_eq!(list().search(None).len(), 3);
    assert_eq!(list().chosen(&[named("c"), named("a")]).expect("there").len(), 2);
    assert!(list().chosen(&[named("a"), named("x")]).is_err());
}

#[test]
fn a_restored_prompt_keeps_its_place_while_it_is_there() {
    let text = kept("a", 0.0).text;
    assert_eq!(list().restore(&named("a"), text.clone(), 9.0), Plan::default());
    let plan = list().restore(&named("b"), text.clone(), 9.0);
    assert_eq!(ids(&after(&list(), plan)), ["a", "b", "c"]);
    let plan = list().restore(&named("gone"), text, 1.5);
    assert_eq!(ids(&after(&list(), plan)), ["a", "gone", "b", "c"]);
}

#[test]
fn an_import_adds_changes_and_leaves_alone() {
    let mut list = list();
    list.0[0].text.rest.insert("later".to_owned(), json!(1));
    let text = |label: &str, body: &str| {
        let mut text = PromptText::default();
        text.apply(draft(label, body)).expect("fine");
        text
    };
    let file = vec![
        (named("y"), text("Y", "new")),
        (named("a"), text("Label a", "Text a")),
        (named("b"), text("Label b", "other")),
        (named("x"), text("X", "new")),
    ];
    let import = list.import(file.clone());
    assert_eq!((import.added, import.changed, import.unchanged), (vec![named("y"), named("x")], vec![named("b")], 1));
    let list = after(&list, import.plan);
    assert_eq!(ids(&list), ["a", "b", "c", "y", "x"]);
    let again = list.import(file);
    assert_eq!((again.plan, again.unchanged), (Plan::default(), 4));
}

proptest! {
    #[test]
    fn any_moves_keep_everything_and_end_where_they_should(
        moves in prop::collection::vec((0..6_usize, prop::option::of(0..6_usize)), 1..60)
    ) {
        let mut list = PromptList::new("abcdef".chars().map(|c| kept(&c.to_string(), 1.0)).collect());
        for (which, before) in moves {
            let id = list.0[which].id.clone();
            let before = before.map(|at| list.0[at].id.clone());
            let plan = list.put_before(&id, before.as_ref()).expect("they are there");
            let mut expected: Vec<String> = ids(&list).into_iter().filter(|other| *other != id.as_str()).map(str::to_owned).collect();
            let at = match &before {
                Some(before) if *before == id => which,
                Some(before) => expected.iter().position(|other| other == before.as_str()).expect("there"),
                None => expected.len(),
            };
            expected.insert(at, id.to_string());
            list = after(&list, plan);
            prop_assert_eq!(ids(&list), expected);
        }
    }

    #[test]
    fn imports_at_the_end_come_in_the_order_of_the_file(orders in prop::collection::vec(-1e9..=1e9_f64, 0..6), count in 1..6_usize) {
        let list = PromptList::new(orders.iter().enumerate().map(|(n, order)| kept(&format!("k{n}"), *order)).collect());
        let file: Vec<_> = (0..count).map(|n| (named(&format!("new{n}")), kept("x", 0.0).text)).collect();
        let list = after(&list, list.import(file).plan);
        let new: Vec<_> = ids(&list).into_iter().skip(orders.len()).collect();
        let expected: Vec<_> = (0..count).map(|n| format!("new{n}")).collect();
        prop_assert_eq!(new, expected);
    }
}
