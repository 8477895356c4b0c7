//! The SQL of activities.

use myownmesh_control::types::{ActivityEntry, ActivityFilter, ActivityKind};
use myownmesh_mesh::NetworkId;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{MAX_TEXT, Told};
use crate::store::StoreError;

/// How long activities are kept, in milliseconds: 90 days.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How many are listed when nobody says, and at most.
const LISTED: u32 = 100;
const MOST_LISTED: u32 = 1000;

/// How many of each kind are kept, the newest: 20,000 together.
const SHARES: [(ActivityKind, &str, u32); 7] = [
    (ActivityKind::Knock, "knock", 2_000),
    (ActivityKind::Member, "member", 3_000),
    (ActivityKind::Network, "network", 2_000),
    (ActivityKind::Invite, "invite", 1_000),
    (ActivityKind::Connection, "connection", 4_000),
    (ActivityKind::Lending, "lending", 5_000),
    (ActivityKind::Security, "security", 3_000),
];

fn name(kind: ActivityKind) -> &'static str {
    SHARES.iter().find(|(of, _, _)| *of == kind).map_or("security", |(_, name, _)| name)
}

fn parse(text: &str) -> ActivityKind {
    SHARES.iter().find(|(_, name, _)| *name == text).map_or(ActivityKind::Security, |(kind, _, _)| *kind)
}

/// Text on one line, without characters that command a terminal, and not too long.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

/// Adds what was told, and deletes what is too much by then.
pub(super) fn write(connection: &mut Connection, told: &[(i64, Told)], now: i64) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO activities (at, network, kind, device, device_name, text, folded)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (at, told) in told {
            let text = clean(&told.text);
            let device_name = told.device.as_ref().map(|(_, name)| clean(name));
            let folded = format!("{text}\n{}", device_name.as_deref().unwrap_or_default()).to_lowercase();
            statement.execute(params![
                at,
                told.network.map(|id| id.to_string()),
                name(told.kind),
                told.device.as_ref().map(|(id, _)| id.to_string()),
                device_name,
                text,
                folded,
            ])?;
        }
    }
    prune_within(&transaction, now)?;
    transaction.commit()?;
    Ok(())
}

/// Deletes what is too old or too much.
pub(super) fn prune(connection: &mut Connection, now: i64) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    prune_within(&transaction, now)?;
    transaction.commit()?;
    Ok(())
}

fn prune_within(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM activities WHERE at < ?1")?.execute([now.saturating_sub(KEPT_MS)])?;
    let mut statement = connection.prepare_cached(
        "DELETE FROM activities WHERE kind = ?1 AND id <=
           (SELECT id FROM activities WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    for (_, kind, share) in SHARES {
        statement.execute(params![kind, share])?;
    }
    Ok(())
}

pub(super) fn forget_network(connection: &Connection, network: NetworkId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM activities WHERE network = ?1", [network.to_string()])?;
    Ok(())
}

/// Newest first. `device` is the id that the filter's device means, where it is known.
pub(super) fn list(
    connection: &Connection,
    network: Option<&str>,
    device: Option<&str>,
    filter: &ActivityFilter,
) -> Result<Vec<ActivityEntry>, StoreError> {
    let mut sql = "SELECT id, at, network, kind, device, device_name, text FROM activities WHERE 1".to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, given: Vec<Value>| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.extend(given);
    };
    if let Some(network) = network {
        and("(network = ? OR network IS NULL)", vec![network.to_owned().into()]);
    }
    if !filter.kinds.is_empty() {
        // Each kind once: a request may name them over and over.
        let kinds: Vec<Value> = SHARES
            .iter()
            .filter(|(kind, _, _)| filter.kinds.contains(kind))
            .map(|(_, name, _)| (*name).to_owned().into())
            .collect();
        and(&format!("kind IN ({})", vec!["?"; kinds.len()].join(", ")), kinds);
    }
    match (device, filter.device.as_deref().map(str::trim)) {
        (Some(id), _) => and("device = ?", vec![id.to_owned().into()]),
        // A device that is gone: by the name it had, or by how its id begins.
        (None, Some(text)) => {
            let begins = format!("{}%", escape(&text.to_lowercase()));
            and(
                "(device_name = ? COLLATE NOCASE OR (length(?) >= 4 AND device LIKE ? ESCAPE '\\'))",
                vec![text.to_owned().into(), text.to_owned().into(), begins.into()],
            );
        }
        (None, None) => {}
    }
    if let Some(text) = filter.search.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        and("folded LIKE ? ESCAPE '\\'", vec![format!("%{}%", escape(&text.to_lowercase())).into()]);
    }
    if let Some(since) = filter.since {
        and("at >= ?", vec![since.into()]);
    }
    if let Some(before) = filter.before {
        and("id < ?", vec![i64::try_from(before).unwrap_or(i64::MAX).into()]);
    }
    let limit = filter.limit.unwrap_or(LISTED).min(MOST_LISTED);
    sql.push_str(&format!(" ORDER BY id DESC LIMIT {limit}"));
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), to_entry)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn to_entry(row: &Row<'_>) -> rusqlite::Result<ActivityEntry> {
    Ok(ActivityEntry {
        id: row.get::<_, i64>(0)?.unsigned_abs(),
        at: row.get(1)?,
        network_id: row.get(2)?,
        kind: parse(&row.get::<_, String>(3)?),
        device_id: row.get(4)?,
        device_name: row.get(5)?,
        text: row.get(6)?,
    })
}

/// `text` for a pattern that takes its `%` and `_` literally.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_add_up_and_every_kind_has_a_word() {
        assert_eq!(SHARES.iter().map(|(_, _, share)| share).sum::<u32>(), 20_000);
        for (kind, word, _) in SHARES {
            assert_eq!((name(kind), parse(word)), (word, kind));
            assert_eq!(serde_json::to_value(kind).expect("a word"), word);
        }
    }
}
