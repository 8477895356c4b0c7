//! The SQL of conversations.

use myownmesh_control::types::{AnswerDetails, Author, ConversationSummary, Message};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{ConversationError, Draft, Scope, Showable};
use crate::store::StoreError;
use crate::text::random_id;

/// `finish_reason` of an answer that is being written.
pub(crate) const ANSWERING: &str = "answering";
/// `finish_reason` of an answer that was being written when the daemon ended.
const INTERRUPTED: &str = "interrupted";

/// Title of a conversation that nothing was said in.
const UNTITLED: &str = "New chat";
/// Longest title taken from a question, in characters.
const TAKEN_TITLE: usize = 60;

const SUMMARY: &str = "SELECT c.id, c.title, c.created_at, c.updated_at,
    (SELECT count(*) FROM messages m WHERE m.conversation = c.id), c.folder, c.private FROM conversations c";

fn to_summary(row: &Row<'_>) -> rusqlite::Result<ConversationSummary> {
    Ok(ConversationSummary {
        id: row.get(0)?,
        title: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
        messages: row.get(4)?,
        folder: row.get(5)?,
        private: row.get(6)?,
        answering: None,
    })
}

pub(super) fn list(
    connection: &Connection,
    scope: &Scope,
    search: Option<&str>,
) -> Result<Vec<ConversationSummary>, ConversationError> {
    let pattern = search.map(str::trim).filter(|text| !text.is_empty()).map(like);
    let mut statement = connection.prepare_cached(&format!(
        "{SUMMARY} WHERE c.network IN (?1, '') AND c.deleted_at IS NULL
           AND (?2 IS NULL OR c.title LIKE ?2 ESCAPE '\\'
                OR EXISTS (SELECT 1 FROM messages m WHERE m.conversation = c.id AND m.text LIKE ?2 ESCAPE '\\'))
         ORDER BY c.updated_at DESC, c.id"
    ))?;
    let rows = statement.query_map(params![scope.0, pattern], to_summary)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A pattern that finds `text` anywhere, taking its `%` and `_` literally.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

pub(super) fn create(
    connection: &Connection,
    scope: &Scope,
    now: i64,
) -> Result<ConversationSummary, ConversationError> {
    let id = random_id();
    connection.execute(
        "INSERT INTO conversations (id, network, title, titled, created_at, updated_at) VALUES (?1, ?2, ?3, 0, ?4, ?4)",
        params![id, scope.0, UNTITLED, now],
    )?;
    summary(connection, scope, &id)
}

pub(super) fn summary(
    connection: &Connection,
    scope: &Scope,
    id: &str,
) -> Result<ConversationSummary, ConversationError> {
    let sql = format!("{SUMMARY} WHERE c.id = ?1 AND c.network IN (?2, '') AND c.deleted_at IS NULL");
    connection.query_row(&sql, params![id, scope.0], to_summary).optional()?.ok_or(ConversationError::NotFound)
}

pub(super) fn messages(connection: &Connection, id: &str) -> Result<Vec<Message>, ConversationError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, author, text, thinking, at, answer FROM messages WHERE conversation = ?1 ORDER BY position",
    )?;
    let rows = statement.query_map([id], to_message)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn to_message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let author: String = row.get(1)?;
    let answer: Option<String> = row.get(5)?;
    Ok(Message {
        id: row.get(0)?,
        author: if author == "model" { Author::Model } else { Author::Person },
        text: row.get(2)?,
        thinking: row.get(3)?,
        at: row.get(4)?,
        // Details that a later version wrote differently are left out rather than losing the message.
        answer: answer.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

pub(super) fn rename(
    connection: &Connection,
    scope: &Scope,
    id: &str,
    title: &str,
    now: i64,
) -> Result<(), ConversationError> {
    let changed = connection.execute(
        "UPDATE conversations SET title = ?3, titled = 1, updated_at = ?4
         WHERE id = ?1 AND network IN (?2, '') AND deleted_at IS NULL",
        params![id, scope.0, title, now],
    )?;
    found(changed)
}

/// Puts them all into a folder, or none of them.
pub(super) fn set_folder(
    connection: &mut Connection,
    scope: &Scope,
    ids: &[String],
    folder: Option<&str>,
) -> Result<Vec<ConversationSummary>, ConversationError> {
    let transaction = connection.transaction()?;
    for id in ids {
        // Where a conversation lies is no change of what it says: its time stays.
        let changed = transaction.execute(
            "UPDATE conversations SET folder = ?3 WHERE id = ?1 AND network IN (?2, '') AND deleted_at IS NULL",
            params![id, scope.0, folder],
        )?;
        found(changed)?;
    }
    let moved = ids.iter().map(|id| summary(&transaction, scope, id)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(moved)
}

pub(super) fn set_private(
    connection: &Connection,
    scope: &Scope,
    id: &str,
    private: bool,
) -> Result<(), ConversationError> {
    let changed = connection.execute(
        "UPDATE conversations SET private = ?3 WHERE id = ?1 AND network IN (?2, '') AND deleted_at IS NULL",
        params![id, scope.0, private],
    )?;
    found(changed)
}

/// What may be shown to a network: the newest of its conversations that are not private, at most `most` of them, and how
/// many there are. Conversations of no network are not shown to any.
pub(super) fn showable(
    connection: &Connection,
    network: &str,
    most: usize,
) -> Result<(Vec<Showable>, usize), ConversationError> {
    const CHOSEN: &str = "FROM conversations c WHERE c.network = ?1 AND c.deleted_at IS NULL AND NOT c.private";
    let all: i64 = connection.query_row(&format!("SELECT count(*) {CHOSEN}"), [network], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT c.id, c.title, c.folder, c.updated_at,
            (SELECT coalesce(sum(octet_length(m.text)), 0) FROM messages m WHERE m.conversation = c.id)
         {CHOSEN} ORDER BY c.updated_at DESC, c.id LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![network, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        Ok(Showable {
            id: row.get(0)?,
            title: row.get(1)?,
            folder: row.get(2)?,
            updated_at: row.get(3)?,
            bytes: u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default(),
        })
    })?;
    Ok((rows.collect::<Result<_, _>>()?, usize::try_from(all).unwrap_or_default()))
}

pub(super) fn set_deleted(
    connection: &Connection,
    scope: &Scope,
    id: &str,
    at: Option<i64>,
) -> Result<(), ConversationError> {
    let changed = connection.execute(
        "UPDATE conversations SET deleted_at = ?3 WHERE id = ?1 AND network IN (?2, '')",
        params![id, scope.0, at],
    )?;
    found(changed)
}

fn found(changed: usize) -> Result<(), ConversationError> {
    if changed == 0 { Err(ConversationError::NotFound) } else { Ok(()) }
}

pub(super) fn forget_network(connection: &Connection, network: &str) -> Result<(), ConversationError> {
    connection.execute("DELETE FROM conversations WHERE network = ?1 AND network <> ''", [network])?;
    connection.execute("DELETE FROM lending WHERE network = ?1", [network])?;
    Ok(())
}

pub(super) fn purge(connection: &Connection, deleted_before: i64) -> Result<(), StoreError> {
    connection.execute("DELETE FROM conversations WHERE deleted_at < ?1", [deleted_before])?;
    Ok(())
}

pub(super) fn mark_interrupted(connection: &mut Connection) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE messages SET writing = 0, answer = json_set(answer, '$.finish_reason', ?1) WHERE writing = 1",
        [INTERRUPTED],
    )?;
    Ok(())
}

pub(super) fn draft(
    connection: &mut Connection,
    scope: &Scope,
    id: &str,
    question: &str,
    replace_from: Option<&str>,
    now: i64,
) -> Result<Draft, ConversationError> {
    let transaction = connection.transaction()?;
    summary(&transaction, scope, id)?;
    not_answering(&transaction, id)?;
    if let Some(message) = replace_from {
        let sql = "SELECT position FROM messages WHERE conversation = ?1 AND id = ?2";
        let from: i64 = transaction
            .query_row(sql, params![id, message], |row| row.get(0))
            .optional()?
            .ok_or(ConversationError::NoMessage)?;
        transaction.execute("DELETE FROM messages WHERE conversation = ?1 AND position >= ?2", params![id, from])?;
    }
    let history = messages(&transaction, id)?;
    let sql = "SELECT coalesce(max(position), 0) + 1 FROM messages WHERE conversation = ?1";
    let position: i64 = transaction.query_row(sql, [id], |row| row.get(0))?;
    let details =
        serde_json::to_string(&pending()).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let insert = "INSERT INTO messages (id, conversation, position, author, text, at, answer, writing)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let message = random_id();
    transaction.execute(insert, params![random_id(), id, position, "person", question, now, None::<String>, false])?;
    transaction.execute(insert, params![message, id, position + 1, "model", "", now, details, true])?;
    transaction.execute(
        "UPDATE conversations SET updated_at = ?2, title = CASE WHEN titled OR ?3 THEN title ELSE ?4 END WHERE id = ?1",
        params![id, now, !history.is_empty(), title_of(question)],
    )?;
    transaction.commit()?;
    Ok(Draft { message, history, begun: None })
}

fn not_answering(connection: &Connection, id: &str) -> Result<(), ConversationError> {
    let writing: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation = ?1 AND writing = 1)",
        [id],
        |row| row.get(0),
    )?;
    if writing { Err(ConversationError::Answering) } else { Ok(()) }
}

pub(super) fn reopen(
    connection: &mut Connection,
    scope: &Scope,
    id: &str,
    message: &str,
) -> Result<Draft, ConversationError> {
    let transaction = connection.transaction()?;
    summary(&transaction, scope, id)?;
    not_answering(&transaction, id)?;
    let mut history = messages(&transaction, id)?;
    if history.iter().all(|known| known.id != message) {
        return Err(ConversationError::NoMessage);
    }
    let begun = history.pop().filter(|last| last.id == message && ended_early(last));
    let begun = begun.ok_or(ConversationError::NotContinued)?;
    transaction.execute("UPDATE messages SET writing = 1 WHERE id = ?1", [message])?;
    transaction.commit()?;
    Ok(Draft { message: message.to_owned(), history, begun: Some(begun) })
}

/// Whether it is an answer, and there may be more of it.
fn ended_early(message: &Message) -> bool {
    let reason = message.answer.as_ref().map(|answer| answer.finish_reason.as_str());
    message.author == Author::Model && reason.is_some_and(|reason| reason != "stop")
}

/// Details of an answer before anything is known of it.
fn pending() -> AnswerDetails {
    AnswerDetails { finish_reason: ANSWERING.to_owned(), ..AnswerDetails::default() }
}

/// A title from a question: its first line with words, cut at a word.
fn title_of(question: &str) -> String {
    let line = question.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(UNTITLED);
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= TAKEN_TITLE {
        return clean;
    }
    let cut: String = clean.chars().take(TAKEN_TITLE).collect();
    let at = cut.rfind(char::is_whitespace).filter(|at| *at > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut[..at].trim_end())
}

pub(super) fn write(
    connection: &mut Connection,
    message: &str,
    text: &str,
    thinking: Option<&str>,
    details: &AnswerDetails,
    complete: bool,
    now: i64,
) -> Result<(), ConversationError> {
    let details =
        serde_json::to_string(details).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let transaction = connection.transaction()?;
    let changed = transaction.execute(
        "UPDATE messages SET text = ?2, thinking = ?3, answer = ?4, writing = ?5 WHERE id = ?1",
        params![message, text, thinking, details, !complete],
    )?;
    if changed == 0 {
        return Err(ConversationError::NoMessage);
    }
    if complete {
        transaction.execute(
            "UPDATE conversations SET updated_at = ?2 WHERE id = (SELECT conversation FROM messages WHERE id = ?1)",
            params![message, now],
        )?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_cut_at_a_word() {
        assert_eq!(title_of("\n  Hello there\nmore"), "Hello there");
        assert_eq!(title_of("   "), UNTITLED);
        let long = title_of(&"word ".repeat(30));
        assert!(long.ends_with("word…") && long.chars().count() <= TAKEN_TITLE + 1, "{long}");
        assert_eq!(title_of(&"ü".repeat(200)).chars().count(), TAKEN_TITLE + 1);
    }

    #[test]
    fn a_search_takes_wildcards_literally() {
        assert_eq!(like("50%_\\"), "%50\\%\\_\\\\%");
    }
}
