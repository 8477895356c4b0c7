//! Conversations of the active network.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{Conversation, ConversationSummary, Event};

use super::activities::check_search;
use crate::convert::OrControl;
use crate::daemon::Daemon;

pub(super) async fn list(daemon: &Daemon, search: Option<String>) -> Result<Vec<ConversationSummary>, ControlError> {
    check_search(search.as_deref())?;
    let mut list = daemon.conversations.list(daemon.scope(), search).await.or_control()?;
    let running = daemon.answers.running().await;
    for summary in &mut list {
        summary.answering = running.get(&summary.id).cloned();
    }
    Ok(list)
}

async fn with_answer(daemon: &Daemon, mut summary: ConversationSummary) -> ConversationSummary {
    summary.answering = daemon.answers.running().await.remove(&summary.id);
    summary
}

pub(super) async fn create(daemon: &Daemon) -> Result<ConversationSummary, ControlError> {
    let made = daemon.conversations.create(daemon.scope()).await.or_control()?;
    daemon.events.push(Event::ConversationsChanged);
    Ok(made)
}

pub(super) async fn open(daemon: &Daemon, id: String) -> Result<Conversation, ControlError> {
    let mut conversation = daemon.conversations.open(daemon.scope(), id).await.or_control()?;
    conversation.summary = with_answer(daemon, conversation.summary).await;
    Ok(conversation)
}

pub(super) async fn rename(daemon: &Daemon, id: String, title: String) -> Result<ConversationSummary, ControlError> {
    let renamed = daemon.conversations.rename(daemon.scope(), id, title).await.or_control()?;
    daemon.events.push(Event::ConversationsChanged);
    Ok(with_answer(daemon, renamed).await)
}

pub(super) async fn delete(daemon: &Daemon, id: String) -> Result<(), ControlError> {
    let running = daemon.answers.running().await.remove(&id);
    daemon.conversations.delete(daemon.scope(), id).await.or_control()?;
    if let Some(answer) = running {
        daemon.answers.find(&answer).await?.cancel.cancel();
    }
    daemon.events.push(Event::ConversationsChanged);
    Ok(())
}

pub(super) async fn restore(daemon: &Daemon, id: String) -> Result<ConversationSummary, ControlError> {
    let restored = daemon.conversations.restore(daemon.scope(), id).await.or_control()?;
    daemon.events.push(Event::ConversationsChanged);
    Ok(restored)
}

pub(super) async fn put_into(
    daemon: &Daemon,
    ids: Vec<String>,
    folder: Option<String>,
) -> Result<Vec<ConversationSummary>, ControlError> {
    let mut moved = daemon.conversations.put_into(daemon.scope(), ids, folder).await.or_control()?;
    daemon.events.push(Event::ConversationsChanged);
    let running = daemon.answers.running().await;
    for summary in &mut moved {
        summary.answering = running.get(&summary.id).cloned();
    }
    Ok(moved)
}

pub(super) async fn set_private(
    daemon: &Daemon,
    id: String,
    private: bool,
) -> Result<ConversationSummary, ControlError> {
    let changed = daemon.conversations.set_private(daemon.scope(), id, private).await.or_control()?;
    daemon.events.push(Event::ConversationsChanged);
    Ok(with_answer(daemon, changed).await)
}
