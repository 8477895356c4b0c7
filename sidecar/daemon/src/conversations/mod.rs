//! Conversations kept on this device, per network.
//!
//! [`Conversations`] is a thin handle over the store. An answer is written as it comes (`draft`), so a crash loses at
//! most what came since the last write; what was being written then is marked `interrupted` at the next start.
//! Conversations begun while no network was active belong to none and are listed with every network, but never shown to
//! one. What may be shown, and that something of it changed, is told to `catalogue`.

mod rows;

use std::time::Duration;

use myownmesh_control::types::{AnswerDetails, Conversation, ConversationSummary, Message};
use myownmesh_mesh::proto::name::clean_text;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::store::{Store, StoreError};
use crate::text::now_ms;

pub(crate) use rows::ANSWERING;

/// How long a deleted conversation can be restored.
const RESTORABLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longest title, in characters.
pub(crate) const TITLE_MAX: usize = 120;
/// Longest name of a folder, in characters.
pub(crate) const FOLDER_MAX: usize = 80;
/// Most conversations that are moved at once.
const MOVED_MAX: usize = 10_000;

/// Why a conversation could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConversationError {
    /// It is not there, or not in the active network.
    #[error("There is no such conversation in this network; it may have been deleted.")]
    NotFound,
    /// The message is not in it.
    #[error("There is no such message in this conversation; it may have been replaced.")]
    NoMessage,
    /// The message is no answer that could be gone on with.
    #[error("Only the last answer of a conversation can be continued, and only when it ended early.")]
    NotContinued,
    /// Another answer is being written into it.
    #[error("An answer is still being written into this conversation. Stop it or wait for it, then ask again.")]
    Answering,
    /// A title without text.
    #[error("A title needs at least one visible character, and at most {TITLE_MAX}.")]
    BadTitle,
    /// A folder without a name.
    #[error("The name of a folder needs at least one visible character, and at most {FOLDER_MAX}.")]
    BadFolder,
    /// Nothing to move, or too much.
    #[error("Name 1 to {MOVED_MAX} conversations to move. `myownmesh conversation list` shows them.")]
    BadCount,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for ConversationError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Which conversations are meant: those of this network (hexadecimal id), and those of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) String);

/// A question that was written down, and the empty answer below it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The message that the answer is written into.
    pub(crate) message: String,
    /// What was said before, oldest first.
    pub(crate) history: Vec<Message>,
    /// What there is of the answer already, where it goes on.
    pub(crate) begun: Option<Message>,
}

/// What may be shown of a conversation to other devices: never what was said in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Showable {
    /// Its id.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// Its folder.
    #[serde(default)]
    pub(crate) folder: Option<String>,
    /// When it last changed.
    pub(crate) updated_at: i64,
    /// Size of its text.
    pub(crate) bytes: u64,
}

/// The handle.
#[derive(Clone)]
pub(crate) struct Conversations {
    store: Store,
    /// Told whenever something changed that may be shown.
    changed: watch::Sender<()>,
}

impl Conversations {
    /// Takes stock at the start: marks what a crash interrupted, deletes what nobody restored in time.
    pub(crate) async fn start(store: Store) -> Result<Self, StoreError> {
        let before = now_ms() - i64::try_from(RESTORABLE.as_millis()).unwrap_or(i64::MAX);
        store
            .call(move |connection| {
                rows::mark_interrupted(connection)?;
                rows::purge(connection, before)
            })
            .await?;
        Ok(Self { store, changed: watch::Sender::new(()) })
    }

    /// Changes whenever something did that may be shown to others.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// [`Self::run`] for what may change something that is shown.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut rusqlite::Connection) -> Result<T, ConversationError> + Send + 'static,
    ) -> Result<T, ConversationError> {
        let done = self.run(work).await?;
        self.changed.send_replace(());
        Ok(done)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut rusqlite::Connection) -> Result<T, ConversationError> + Send + 'static,
    ) -> Result<T, ConversationError> {
        self.store.call(move |connection| Ok(work(connection))).await?
    }

    /// Newest first; `search` filters by title and text.
    pub(crate) async fn list(
        &self,
        scope: Scope,
        search: Option<String>,
    ) -> Result<Vec<ConversationSummary>, ConversationError> {
        self.run(move |connection| rows::list(connection, &scope, search.as_deref())).await
    }

    /// Makes an empty one.
    pub(crate) async fn create(&self, scope: Scope) -> Result<ConversationSummary, ConversationError> {
        self.change(move |connection| rows::create(connection, &scope, now_ms())).await
    }

    /// One with its messages.
    pub(crate) async fn open(&self, scope: Scope, id: String) -> Result<Conversation, ConversationError> {
        self.run(move |connection| {
            let summary = rows::summary(connection, &scope, &id)?;
            Ok(Conversation { summary, messages: rows::messages(connection, &id)? })
        })
        .await
    }

    /// Gives it a title.
    pub(crate) async fn rename(
        &self,
        scope: Scope,
        id: String,
        title: String,
    ) -> Result<ConversationSummary, ConversationError> {
        let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let title = title.trim().to_owned();
        if title.is_empty() || title.chars().count() > TITLE_MAX {
            return Err(ConversationError::BadTitle);
        }
        self.change(move |connection| {
            rows::rename(connection, &scope, &id, &title, now_ms())?;
            rows::summary(connection, &scope, &id)
        })
        .await
    }

    /// Puts conversations into a folder, or out of all of them: all that are named, or none.
    pub(crate) async fn put_into(
        &self,
        scope: Scope,
        ids: Vec<String>,
        folder: Option<String>,
    ) -> Result<Vec<ConversationSummary>, ConversationError> {
        if ids.is_empty() || ids.len() > MOVED_MAX {
            return Err(ConversationError::BadCount);
        }
        let folder = folder.as_deref().map(folder_name).transpose()?;
        self.change(move |connection| rows::set_folder(connection, &scope, &ids, folder.as_deref())).await
    }

    /// Keeps it out of what is shown, or lets it in again.
    pub(crate) async fn set_private(
        &self,
        scope: Scope,
        id: String,
        private: bool,
    ) -> Result<ConversationSummary, ConversationError> {
        self.change(move |connection| {
            rows::set_private(connection, &scope, &id, private)?;
            rows::summary(connection, &scope, &id)
        })
        .await
    }

    /// The newest conversations that may be shown to a network (hexadecimal id), at most `most`, and how many there are.
    pub(crate) async fn showable(
        &self,
        network: String,
        most: usize,
    ) -> Result<(Vec<Showable>, usize), ConversationError> {
        self.run(move |connection| rows::showable(connection, &network, most)).await
    }

    /// Deletes it so that [`restore`](Self::restore) can bring it back.
    pub(crate) async fn delete(&self, scope: Scope, id: String) -> Result<(), ConversationError> {
        self.change(move |connection| rows::set_deleted(connection, &scope, &id, Some(now_ms()))).await
    }

    /// Undoes a deletion.
    pub(crate) async fn restore(&self, scope: Scope, id: String) -> Result<ConversationSummary, ConversationError> {
        self.change(move |connection| {
            rows::set_deleted(connection, &scope, &id, None)?;
            rows::summary(connection, &scope, &id)
        })
        .await
    }

    /// Deletes everything kept of a network that this device forgets.
    pub(crate) async fn forget_network(&self, network: String) -> Result<(), ConversationError> {
        self.change(move |connection| rows::forget_network(connection, &network)).await
    }

    /// Writes a question down, with an empty answer below it. With `replace_from`, that message and all after it go.
    pub(crate) async fn draft(
        &self,
        scope: Scope,
        id: String,
        question: String,
        replace_from: Option<String>,
    ) -> Result<Draft, ConversationError> {
        self.change(move |connection| {
            rows::draft(connection, &scope, &id, &question, replace_from.as_deref(), now_ms())
        })
        .await
    }

    /// Opens the last answer again, which ended early, to go on with it.
    pub(crate) async fn reopen(&self, scope: Scope, id: String, message: String) -> Result<Draft, ConversationError> {
        self.change(move |connection| rows::reopen(connection, &scope, &id, &message)).await
    }

    /// Writes what came of an answer so far.
    pub(crate) async fn write(
        &self,
        message: String,
        text: String,
        thinking: Option<String>,
        details: AnswerDetails,
        complete: bool,
    ) -> Result<(), ConversationError> {
        let work = move |connection: &mut rusqlite::Connection| {
            rows::write(connection, &message, &text, thinking.as_deref(), &details, complete, now_ms())
        };
        // Of an answer that is being written only its end shows.
        if complete { self.change(work).await } else { self.run(work).await }
    }
}

/// The name of a folder, cleaned as names of devices are: others see it.
fn folder_name(given: &str) -> Result<String, ConversationError> {
    // A bound before the work: normalising can make one character eighteen.
    if given.len() > 16 * FOLDER_MAX {
        return Err(ConversationError::BadFolder);
    }
    let name = clean_text(given, FOLDER_MAX + 1);
    if name.is_empty() || name.chars().count() > FOLDER_MAX {
        return Err(ConversationError::BadFolder);
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
