//! `conversation ...`

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::types::{Author, Conversation, ConversationSummary};

use super::args::ConversationAction;
use super::output::{Failure, Output, Style, Table, paint, printable};
use super::units::{now, relative};
use super::{Context, pick};

/// Runs a `conversation` command.
pub(super) async fn run(action: ConversationAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let out = context.out;
    match action {
        ConversationAction::List { search } => {
            let conversations = client.conversation_list(search).await?;
            out.document(&conversations[..], list)
        }
        ConversationAction::Create => {
            let conversation = client.conversation_create().await?;
            out.document(&conversation, |_, summary| summary.id.clone())
        }
        ConversationAction::Show { id } => {
            let id = find(&client, &id).await?.id;
            out.document(&client.conversation_open(id).await?, describe)
        }
        ConversationAction::Rename { id, title } => {
            let id = find(&client, &id).await?.id;
            let conversation = client.conversation_rename(id, title).await?;
            out.document(&conversation, |_, summary| format!("It is now called {}.", printable(&summary.title)))
        }
        ConversationAction::Move { ids, folder, no_folder: _ } => {
            let all = client.conversation_list(None).await?;
            let mut found = Vec::with_capacity(ids.len());
            for id in &ids {
                found.push(chosen(&all, id)?.id.clone());
            }
            let moved = client.conversation_move(found, folder).await?;
            out.document(&moved[..], moved_to)
        }
        ConversationAction::Private { id, on } => {
            let id = find(&client, &id).await?.id;
            let conversation = client.conversation_private(id, on).await?;
            out.document(&conversation, |_, summary| {
                let title = printable(&summary.title);
                if summary.private {
                    format!("{title} is kept out of the catalogue.")
                } else {
                    format!("{title} is shown when this device shows its conversations.")
                }
            })
        }
        ConversationAction::Delete { id } => {
            let conversation = find(&client, &id).await?;
            client.conversation_delete(conversation.id.clone()).await?;
            out.document(&conversation, |_, summary| {
                let ConversationSummary { id, title, .. } = summary;
                format!("{} was deleted. `myownmesh conversation restore {id}` brings it back.", printable(title))
            })
        }
        ConversationAction::Restore { id } => {
            let conversation = client.conversation_restore(id).await?;
            out.document(&conversation, |_, summary| format!("{} is back.", printable(&summary.title)))
        }
    }
}

async fn find(client: &ControlClient, id: &str) -> Result<ConversationSummary, Failure> {
    Ok(chosen(&client.conversation_list(None).await?, id)?.clone())
}

fn chosen<'a>(all: &'a [ConversationSummary], id: &str) -> Result<&'a ConversationSummary, Failure> {
    Ok(pick(all, id, |conversation| vec![&conversation.id], "conversation", "conversation list")?)
}

fn moved_to(_: Output, moved: &[ConversationSummary]) -> String {
    let count =
        if moved.len() == 1 { "1 conversation is".to_owned() } else { format!("{} conversations are", moved.len()) };
    match moved.first().and_then(|one| one.folder.as_deref()) {
        Some(folder) => format!("{count} now in {}.", printable(folder)),
        None => format!("{count} now in no folder."),
    }
}

fn list(out: Output, conversations: &[ConversationSummary]) -> String {
    if conversations.is_empty() {
        return "No conversation.".to_owned();
    }
    let mut table = Table::new(&["ID", "FOLDER", "TITLE", "MESSAGES", "CHANGED", ""]);
    for conversation in conversations {
        table.styled([
            (conversation.id.clone(), Style::Quiet),
            (conversation.folder.clone().unwrap_or_default(), Style::Quiet),
            (conversation.title.clone(), Style::Strong),
            (conversation.messages.to_string(), Style::Plain),
            (relative(conversation.updated_at, now()), Style::Plain),
            (if conversation.private { "private" } else { "" }.to_owned(), Style::Waiting),
        ]);
    }
    table.render(out.colour())
}

fn describe(out: Output, conversation: &Conversation) -> String {
    let mut blocks = vec![paint(out.colour(), Style::Strong, &printable(&conversation.summary.title))];
    for message in &conversation.messages {
        let who = match (&message.author, &message.answer) {
            (Author::Person, _) => "You".to_owned(),
            (Author::Model, Some(answer)) => {
                let model = answer.model.as_deref().unwrap_or("Model");
                let demo = if answer.demo { " (demo)" } else { "" };
                let device = answer.device_name.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
                format!("{model}{demo}{device}")
            }
            (Author::Model, None) => "Model".to_owned(),
        };
        let heading = format!("{}, {}", printable(&who), relative(message.at, now()));
        let mut text = printable(&message.text);
        if let Some(error) = message.answer.as_ref().and_then(|answer| answer.error.as_deref()) {
            text = format!("{text}\n[{}]", printable(error)).trim_start().to_owned();
        }
        blocks.push(format!("{}\n{text}", paint(out.colour(), Style::Quiet, &heading)));
    }
    blocks.join("\n\n")
}
