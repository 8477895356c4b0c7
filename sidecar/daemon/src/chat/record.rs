//! Keeps an answer in its conversation while it comes, and how it ended.

use myownmesh_control::types::AnswerDetails;

use crate::conversations::Conversations;

/// Where an answer is kept, if anywhere.
pub(super) struct Record {
    conversations: Conversations,
    message: Option<String>,
}

impl Record {
    /// Writes into `message`; none: the answer is not kept.
    pub(super) fn new(conversations: Conversations, message: Option<String>) -> Self {
        Self { conversations, message }
    }

    /// Whether the answer is kept.
    pub(super) fn is_kept(&self) -> bool {
        self.message.is_some()
    }

    /// Writes what there is. A failure costs the record, not the answer: it is logged.
    pub(super) async fn write(&self, text: &str, thinking: Option<&str>, details: AnswerDetails, complete: bool) {
        let Some(message) = self.message.clone() else { return };
        let (text, thinking) = (text.to_owned(), thinking.map(str::to_owned));
        if let Err(error) = self.conversations.write(message, text, thinking, details, complete).await {
            tracing::warn!(%error, "an answer could not be written down");
        }
    }
}
