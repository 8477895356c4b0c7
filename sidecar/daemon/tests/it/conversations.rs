//! What is kept of questions and answers.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Author, Event};

use crate::harness::story::{self, ask, first_words, question};
use crate::harness::{Place, SENTENCE, ok, refused};

#[tokio::test]
async fn a_conversation_is_kept_renamed_deleted_and_restored() {
    let desk = Place::new("Desk").model("chain");
    let host = desk.start().await;
    story::found(&host, "Home").await;
    let id = ok(&desk, ["conversation", "create"]).await["id"].as_str().expect("an id").to_owned();
    ok_lines(&desk, ["chat", "What is this?", "--model", "chain", "--conversation", &id]).await;
    let kept = ok(&desk, ["conversation", "show", &id]).await;
    let texts: Vec<&str> =
        kept["messages"].as_array().expect("messages").iter().filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(texts, ["What is this?", SENTENCE]);
    assert_eq!(kept["summary"]["title"], "What is this?");
    ok(&desk, ["conversation", "rename", &id, "First"]).await;
    host.terminate().await;

    let host = desk.start().await;
    assert_eq!(ok(&desk, ["conversation", "list"]).await[0]["title"], "First");
    assert_eq!(ok(&desk, ["conversation", "list", "same sentence"]).await.as_array().map(Vec::len), Some(1));
    assert_eq!(ok(&desk, ["conversation", "list", "something else"]).await.as_array().map(Vec::len), Some(0));
    let mut events = host.watch().await;
    ok(&desk, ["conversation", "delete", &id]).await;
    events.until("the event", |event| (event == Event::ConversationsChanged).then_some(())).await;
    let (code, _) = refused(&desk, ["conversation", "show", &id]).await;
    assert_eq!(code, "not_found");
    ok(&desk, ["conversation", "restore", &id]).await;
    assert_eq!(ok(&desk, ["conversation", "show", &id]).await["messages"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_crash_keeps_what_was_written_and_says_so() {
    let desk = Place::new("Desk").model("endless");
    let host = desk.start().await;
    story::found(&host, "Home").await;
    let id = host.control.conversation_create().await.expect("made").id;
    let mut request = question("local", "endless");
    request.conversation = Some(id.clone());
    first_words(&host, request).await;
    host.until("the answer being kept", async |control| {
        let kept = control.conversation_open(id.clone()).await.expect("it is there");
        kept.messages.iter().any(|message| message.author == Author::Model && !message.text.is_empty()).then_some(())
    })
    .await;
    host.kill().await;
    let host = desk.start().await;
    let kept = host.control.conversation_open(id).await.expect("it is there");
    assert_eq!(kept.messages.len(), 2, "{kept:?}");
    let answer = kept.messages[1].answer.as_ref().expect("how it was made");
    assert_eq!(answer.finish_reason, "interrupted");
    assert!(kept.summary.answering.is_none());
}

#[tokio::test]
async fn a_follow_up_carries_the_whole_conversation() {
    let desk = Place::new("Desk").model("chain");
    let host = desk.start().await;
    story::found(&host, "Home").await;
    let id = host.control.conversation_create().await.expect("made").id;
    for _ in 0..2 {
        let mut request = question("local", "chain");
        request.conversation = Some(id.clone());
        ask(&host, request).await;
    }
    let kept = host.control.conversation_open(id.clone()).await.expect("it is there");
    assert_eq!(kept.messages.len(), 4);
    let mut again = question("local", "chain");
    again.prompt = "Once more".to_owned();
    again.conversation = Some(id.clone());
    again.replace_from = Some(kept.messages[2].id.clone());
    ask(&host, again).await;
    let kept = host.control.conversation_open(id).await.expect("it is there");
    let texts: Vec<&str> = kept.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["Hello", SENTENCE, "Once more", SENTENCE]);
}

async fn ok_lines<const N: usize>(place: &Place, arguments: [&str; N]) {
    let output = crate::harness::cli_json(place, arguments).await;
    assert_eq!(output.code, 0, "{output:?}");
}
