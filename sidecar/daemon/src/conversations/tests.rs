//! What conversations promise, on a real database.

use super::*;

fn home() -> Scope {
    Scope("ab".repeat(32))
}

async fn fresh() -> (tempfile::TempDir, Conversations) {
    let folder = tempfile::tempdir().expect("folder");
    let conversations = reopen(&folder).await;
    (folder, conversations)
}

async fn reopen(folder: &tempfile::TempDir) -> Conversations {
    let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
    Conversations::start(store).await.expect("started")
}

fn details(finish_reason: &str) -> AnswerDetails {
    AnswerDetails {
        device_id: Some("cd".repeat(32)),
        device_name: Some("Desk".to_owned()),
        model: Some("tiny".to_owned()),
        demo: true,
        tokens: Some(3),
        first_token_ms: Some(1.5),
        tokens_per_s: None,
        finish_reason: finish_reason.to_owned(),
        error: None,
        total_ms: Some(2.5),
        predicted_first_token_ms: Some(1.0),
        predicted_total_ms: None,
        seams: Vec::new(),
    }
}

async fn ask(conversations: &Conversations, id: &str, question: &str, answer: &str) -> Draft {
    let draft = conversations.draft(home(), id.to_owned(), question.to_owned(), None).await.expect("asked");
    let written = conversations.write(draft.message.clone(), answer.to_owned(), None, details("stop"), true).await;
    written.expect("answered");
    draft
}

#[tokio::test]
async fn a_conversation_lives_its_life() {
    let (_folder, conversations) = fresh().await;
    let made = conversations.create(home()).await.expect("made");
    assert_eq!((made.title.as_str(), made.messages), ("New chat", 0));
    ask(&conversations, &made.id, "What is a knock?", "A request to join.").await;
    let second = ask(&conversations, &made.id, "And 100% of it?", "All.").await;
    assert_eq!(second.history.len(), 2);
    let open = conversations.open(home(), made.id.clone()).await.expect("open");
    assert_eq!(open.summary.title, "What is a knock?");
    assert_eq!(open.messages.len(), 4);
    assert_eq!(open.messages[1].answer, Some(details("stop")));

    for (search, hits) in [("KNOCK", 1), ("100%", 1), ("1_0", 0), ("  ", 1), ("nowhere", 0)] {
        let found = conversations.list(home(), Some(search.to_owned())).await.expect("searched");
        assert_eq!(found.len(), hits, "{search}");
    }
    let renamed = conversations.rename(home(), made.id.clone(), " Knocks\n".to_owned()).await.expect("renamed");
    assert_eq!(renamed.title, "Knocks");
    ask(&conversations, &made.id, "More?", "No.").await;
    assert_eq!(conversations.open(home(), made.id.clone()).await.expect("open").summary.title, "Knocks");
    let refused = conversations.rename(home(), made.id.clone(), " \n ".to_owned()).await;
    assert!(matches!(refused, Err(ConversationError::BadTitle)));

    conversations.delete(home(), made.id.clone()).await.expect("deleted");
    assert!(conversations.list(home(), None).await.expect("list").is_empty());
    assert!(matches!(conversations.open(home(), made.id.clone()).await, Err(ConversationError::NotFound)));
    assert_eq!(conversations.restore(home(), made.id).await.expect("restored").messages, 6);
}

#[tokio::test]
async fn networks_do_not_see_each_other() {
    let (_folder, conversations) = fresh().await;
    let made = conversations.create(home()).await.expect("made");
    let loose = conversations.create(Scope(String::new())).await.expect("made");
    let other = Scope("99".repeat(32));
    let listed = conversations.list(other.clone(), None).await.expect("list");
    assert_eq!(listed.iter().map(|c| &c.id).collect::<Vec<_>>(), [&loose.id]);
    assert!(matches!(conversations.open(other.clone(), made.id.clone()).await, Err(ConversationError::NotFound)));
    assert!(matches!(conversations.delete(other, made.id).await, Err(ConversationError::NotFound)));
    conversations.forget_network(home().0).await.expect("forgotten");
    assert_eq!(conversations.list(home(), None).await.expect("list").len(), 1);
}

#[tokio::test]
async fn a_question_can_be_replaced() {
    let (_folder, conversations) = fresh().await;
    let id = conversations.create(home()).await.expect("made").id;
    ask(&conversations, &id, "one", "1").await;
    ask(&conversations, &id, "two", "2").await;
    let third = conversations.open(home(), id.clone()).await.expect("open").messages[2].id.clone();
    let draft = conversations.draft(home(), id.clone(), "zwei".to_owned(), Some(third)).await.expect("replaced");
    assert_eq!(draft.history.len(), 2);
    let texts: Vec<_> = conversations.open(home(), id.clone()).await.expect("open").messages;
    assert_eq!(texts.iter().map(|m| m.text.as_str()).collect::<Vec<_>>(), ["one", "1", "zwei", ""]);
    let busy = conversations.draft(home(), id.clone(), "three".to_owned(), None).await;
    assert!(matches!(busy, Err(ConversationError::Answering)));
    let text = conversations.write(draft.message, "2".to_owned(), None, details("stop"), true).await;
    text.expect("written");
    let gone = conversations.draft(home(), id, "x".to_owned(), Some("nowhere".to_owned())).await;
    assert!(matches!(gone, Err(ConversationError::NoMessage)));
}

#[tokio::test]
async fn what_a_crash_interrupts_is_kept_and_marked() {
    let (folder, conversations) = fresh().await;
    let id = conversations.create(home()).await.expect("made").id;
    let draft = conversations.draft(home(), id.clone(), "Tell me".to_owned(), None).await.expect("asked");
    let write = conversations.write(draft.message, "Once upon".to_owned(), None, details(ANSWERING), false).await;
    write.expect("written");
    drop(conversations);
    let conversations = reopen(&folder).await;
    let message = conversations.open(home(), id).await.expect("open").messages.remove(1);
    assert_eq!(message.text, "Once upon");
    assert_eq!(message.answer.expect("details").finish_reason, "interrupted");
}

#[tokio::test]
async fn old_deletions_are_purged() {
    let (folder, conversations) = fresh().await;
    let id = conversations.create(home()).await.expect("made").id;
    conversations.delete(home(), id.clone()).await.expect("deleted");
    let gone = id.clone();
    conversations
        .run(move |c| Ok(c.execute("UPDATE conversations SET deleted_at = 5 WHERE id = ?1", [gone])?))
        .await
        .expect("aged");
    drop(conversations);
    let conversations = reopen(&folder).await;
    assert!(matches!(conversations.restore(home(), id).await, Err(ConversationError::NotFound)));
}

#[tokio::test]
async fn conversations_are_moved_all_or_none() {
    let (_folder, conversations) = fresh().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(conversations.create(home()).await.expect("made").id);
    }
    let before = conversations.list(home(), None).await.expect("list");
    let moved = conversations.put_into(home(), ids.clone(), Some(" Work\u{202e}\n ".to_owned())).await.expect("moved");
    assert_eq!(moved.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ids);
    assert!(moved.iter().all(|one| one.folder.as_deref() == Some("Work")));
    let after = conversations.list(home(), None).await.expect("list");
    let times = |list: &[ConversationSummary]| list.iter().map(|one| one.updated_at).collect::<Vec<_>>();
    assert_eq!(times(&before), times(&after), "a move is no change of a conversation");

    let mut half = ids.clone();
    half.insert(1, "nowhere".to_owned());
    let refused = conversations.put_into(home(), half, None).await;
    assert!(matches!(refused, Err(ConversationError::NotFound)));
    let kept = conversations.list(home(), None).await.expect("list");
    assert!(kept.iter().all(|one| one.folder.is_some()), "nothing of a refused move happened: {kept:?}");
    let elsewhere = conversations.put_into(Scope("99".repeat(32)), ids.clone(), None).await;
    assert!(matches!(elsewhere, Err(ConversationError::NotFound)));
    for bad in ["", " \u{200b}", &"x".repeat(81), &"x".repeat(1 << 20)] {
        let refused = conversations.put_into(home(), ids.clone(), Some(bad.to_owned())).await;
        assert!(matches!(refused, Err(ConversationError::BadFolder)));
    }
    for count in [0, MOVED_MAX + 1] {
        let refused = conversations.put_into(home(), vec![ids[0].clone(); count], None).await;
        assert!(matches!(refused, Err(ConversationError::BadCount)));
    }
    conversations.put_into(home(), ids, None).await.expect("moved out");
    assert!(conversations.list(home(), None).await.expect("list").iter().all(|one| one.folder.is_none()));
}

#[tokio::test]
async fn what_is_private_deleted_or_of_no_network_is_not_shown() {
    let (_folder, conversations) = fresh().await;
    let Scope(network) = home();
    let shown = conversations.create(home()).await.expect("made").id;
    ask(&conversations, &shown, "Grüße?", "Ja.").await;
    let hidden = conversations.create(home()).await.expect("made").id;
    let gone = conversations.create(home()).await.expect("made").id;
    conversations.create(Scope(String::new())).await.expect("made");
    assert!(conversations.set_private(home(), hidden.clone(), true).await.expect("hidden").private);
    conversations.delete(home(), gone).await.expect("deleted");
    let (list, all) = conversations.showable(network.clone(), 10).await.expect("listed");
    assert_eq!(all, 1);
    assert_eq!((list[0].id.as_str(), list[0].title.as_str(), list[0].bytes), (shown.as_str(), "Grüße?", 11));
    conversations.set_private(home(), hidden, false).await.expect("let in");
    let (list, all) = conversations.showable(network, 1).await.expect("listed");
    assert_eq!((list.len(), all), (1, 2));
    assert!(conversations.showable("99".repeat(32), 9).await.expect("listed").0.is_empty());
}

#[tokio::test]
async fn whoever_shows_conversations_hears_of_changes() {
    let (_folder, conversations) = fresh().await;
    let mut changes = conversations.watch();
    let mut changed = move || {
        let changed = changes.has_changed().expect("it lives");
        changes.mark_unchanged();
        changed
    };
    let id = conversations.create(home()).await.expect("made").id;
    assert!(changed());
    let draft = conversations.draft(home(), id.clone(), "Hello".to_owned(), None).await.expect("asked");
    assert!(changed());
    let write = |complete| conversations.write(draft.message.clone(), "Hi".to_owned(), None, details("stop"), complete);
    write(false).await.expect("written");
    assert!(!changed(), "an answer that is being written shows at its end");
    write(true).await.expect("written");
    assert!(changed());
    conversations.list(home(), None).await.expect("list");
    assert!(!changed());
}

#[tokio::test]
async fn an_answer_that_ended_early_goes_on() {
    let (_folder, conversations) = fresh().await;
    let made = conversations.create(home()).await.expect("made").id;
    let write = async |message: &str, text: &str, reason: &str, complete| {
        let details = details(reason);
        conversations.write(message.to_owned(), text.to_owned(), None, details, complete).await.expect("written");
    };
    let reopen = async |message: &str| conversations.reopen(home(), made.clone(), message.to_owned()).await;
    let whole = ask(&conversations, &made, "One?", "One.").await;
    assert!(matches!(reopen(&whole.message).await, Err(ConversationError::NotContinued)), "it is complete");
    let draft = conversations.draft(home(), made.clone(), "Two?".to_owned(), None).await.expect("asked");
    write(&draft.message, "Two", ANSWERING, false).await;
    assert!(matches!(reopen(&draft.message).await, Err(ConversationError::Answering)));
    write(&draft.message, "Two", "failed", true).await;
    assert!(matches!(reopen(&whole.message).await, Err(ConversationError::NotContinued)), "it is not the last");
    assert!(matches!(reopen("nothing").await, Err(ConversationError::NoMessage)));
    let open = conversations.open(home(), made.clone()).await.expect("open");
    assert!(matches!(reopen(&open.messages[2].id).await, Err(ConversationError::NotContinued)), "a question");
    let again = reopen(&draft.message).await.expect("it ended early");
    assert_eq!((again.message.as_str(), again.history.len()), (draft.message.as_str(), 3));
    assert_eq!(again.begun.map(|begun| begun.text).as_deref(), Some("Two"));
    write(&draft.message, "Two, of course.", "stop", true).await;
    let open = conversations.open(home(), made.clone()).await.expect("open");
    assert_eq!(open.messages.len(), 4, "it went on in the same message");
    assert_eq!(open.messages[3].text, "Two, of course.");
}
