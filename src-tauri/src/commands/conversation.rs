//! Conversations.

use myownmesh_control::types::{Conversation, ConversationSummary};

delegate! {
    /// Conversations of the active network, newest first. `search` filters by title and text.
    conversation_list(search: Option<String>) -> Vec<ConversationSummary>;
    /// Makes an empty conversation.
    conversation_create() -> ConversationSummary;
    /// One conversation with its messages.
    conversation_open(id: String) -> Conversation;
    /// Renames a conversation.
    conversation_rename(id: String, title: String) -> ConversationSummary;
    /// Deletes a conversation; `conversation_restore` brings it back within 30 days.
    conversation_delete(id: String) -> ();
    /// Undoes a deletion.
    conversation_restore(id: String) -> ConversationSummary;
    /// Puts conversations into a folder, or out of all folders.
    conversation_move(ids: Vec<String>, folder: Option<String>) -> Vec<ConversationSummary>;
    /// Keeps a conversation out of what this device shows its network, or lets it in again.
    conversation_private(id: String, on: bool) -> ConversationSummary;
}
