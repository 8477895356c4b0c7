//! The SQL of the ledger.

use std::collections::BTreeMap;

use myownmesh_control::types::{Usage, UsageDirection, UsageRow, UsageTotal};
use myownmesh_mesh::{DeviceId, NetworkId};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Amount, Counted, Entry, MOST, RequestName};
use crate::store::StoreError;

/// One day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;
/// How long rows are kept.
const KEPT: i64 = 400 * DAY;
/// How long the other device is asked for what is not agreed yet.
const ASKED: i64 = 7 * DAY;

fn name(direction: UsageDirection) -> &'static str {
    match direction {
        UsageDirection::Lent => "lent",
        UsageDirection::Borrowed => "borrowed",
    }
}

fn network_text(network: Option<NetworkId>) -> String {
    network.map(|id| id.to_string()).unwrap_or_default()
}

/// SQLite counts to half of what we do; nobody gets there.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Adds entries. A request that is named twice adds up: no device lowers what it used by using a name again.
pub(super) fn write(connection: &mut Connection, entries: &[(i64, Entry)], now: i64) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO ledger
               (direction, device, request, network, device_name, model, tokens, prompt, seconds, at, sure, agreed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)
             ON CONFLICT (direction, device, request) DO UPDATE SET
               tokens = tokens + excluded.tokens, prompt = prompt + excluded.prompt,
               seconds = seconds + excluded.seconds, at = excluded.at, sure = max(sure, excluded.sure), agreed = 0",
        )?;
        for (at, entry) in entries {
            statement.execute(params![
                name(entry.direction),
                entry.device.0.to_string(),
                entry.request.as_str(),
                network_text(entry.network),
                entry.device.1,
                entry.model,
                signed(entry.amount.tokens),
                signed(entry.amount.prompt),
                entry.amount.seconds,
                at,
                entry.sure,
            ])?;
        }
    }
    prune(&transaction, now)?;
    transaction.commit()?;
    Ok(())
}

/// Deletes what is too old.
pub(super) fn prune(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM ledger WHERE at < ?1")?.execute([now.saturating_sub(KEPT)])?;
    let unsure = "DELETE FROM ledger WHERE sure = 0 AND at < ?1";
    connection.prepare_cached(unsure)?.execute([now.saturating_sub(ASKED)])?;
    Ok(())
}

pub(super) fn forget_network(connection: &Connection, network: NetworkId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM ledger WHERE network = ?1", [network.to_string()])?;
    Ok(())
}

/// Tokens that each member had since then.
pub(super) fn lent_since(connection: &Connection, since: i64) -> Result<Vec<(NetworkId, DeviceId, u64)>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT network, device, sum(tokens) FROM ledger WHERE direction = 'lent' AND at >= ?1 GROUP BY network, device",
    )?;
    let rows = statement.query_map([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rows = rows.collect::<Result<Vec<(String, String, i64)>, _>>()?;
    let read = |(network, device, tokens): (String, String, i64)| {
        Some((network.parse().ok()?, device.parse().ok()?, tokens.unsigned_abs()))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

pub(super) fn usage(connection: &Connection, network: Option<NetworkId>, since: i64) -> Result<Usage, StoreError> {
    // Of a group, SQLite gives the name of the row that has the greatest time.
    let mut statement = connection.prepare_cached(
        "SELECT direction, device, device_name, model, count(*), sum(tokens), sum(seconds), min(agreed), max(at)
         FROM ledger WHERE at >= ?1 AND sure = 1 AND (?2 = '' OR network = ?2)
         GROUP BY direction, device, model ORDER BY sum(tokens) DESC, sum(seconds) DESC",
    )?;
    let rows = statement.query_map(params![since, network_text(network)], |row| {
        let direction = row.get::<_, String>(0)?;
        Ok(UsageRow {
            direction: if direction == "lent" { UsageDirection::Lent } else { UsageDirection::Borrowed },
            device_id: row.get(1)?,
            device_name: row.get(2)?,
            model: row.get(3)?,
            requests: row.get::<_, i64>(4)?.unsigned_abs(),
            tokens: row.get::<_, i64>(5)?.unsigned_abs(),
            seconds: row.get(6)?,
            agreed: row.get(7)?,
        })
    })?;
    let rows: Vec<UsageRow> = rows.collect::<Result<_, _>>()?;
    let total = |direction| {
        rows.iter().filter(|row| row.direction == direction).fold(UsageTotal::default(), |sum, row| UsageTotal {
            requests: sum.requests + row.requests,
            tokens: sum.tokens + row.tokens,
            seconds: sum.seconds + row.seconds,
        })
    };
    let (lent, borrowed) = (total(UsageDirection::Lent), total(UsageDirection::Borrowed));
    Ok(Usage { since, lent, borrowed, rows })
}

/// What was lent to a device, of these requests; and whether some of it was not agreed before.
pub(super) fn lent_to(
    connection: &mut Connection,
    network: NetworkId,
    device: DeviceId,
    requests: &[RequestName],
) -> Result<(Vec<Counted>, bool), StoreError> {
    let (network, device) = (network.to_string(), device.to_string());
    let transaction = connection.transaction()?;
    let (mut counted, mut news) = (Vec::new(), false);
    {
        let mut find = transaction.prepare_cached(
            "SELECT tokens, prompt, seconds FROM ledger
             WHERE direction = 'lent' AND device = ?1 AND request = ?2 AND network = ?3",
        )?;
        let mut mark = transaction.prepare_cached(
            "UPDATE ledger SET agreed = 1 WHERE direction = 'lent' AND device = ?1 AND request = ?2 AND agreed = 0",
        )?;
        for request in requests {
            let row = find.query_row([device.as_str(), request.as_str(), network.as_str()], |row| {
                Ok(Amount {
                    tokens: row.get::<_, i64>(0)?.unsigned_abs(),
                    prompt: row.get::<_, i64>(1)?.unsigned_abs(),
                    seconds: row.get(2)?,
                })
            });
            if let Some(amount) = row.optional()? {
                counted.push(Counted { request: request.clone(), amount });
                news |= mark.execute([device.as_str(), request.as_str()])? > 0;
            }
        }
    }
    transaction.commit()?;
    Ok((counted, news))
}

/// What was borrowed and is not agreed, by device; the newest [`MOST`] of each.
pub(super) fn open(
    connection: &Connection,
    network: NetworkId,
    now: i64,
) -> Result<BTreeMap<DeviceId, Vec<RequestName>>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT device, request FROM ledger
         WHERE direction = 'borrowed' AND agreed = 0 AND at >= ?1 AND network = ?2 ORDER BY at DESC",
    )?;
    let since = now.saturating_sub(ASKED);
    let rows = statement.query_map(params![since, network.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut open: BTreeMap<DeviceId, Vec<RequestName>> = BTreeMap::new();
    for row in rows {
        let (device, request): (String, String) = row?;
        if let (Ok(device), Ok(request)) = (device.parse(), RequestName::try_from(request)) {
            let requests = open.entry(device).or_default();
            if requests.len() < MOST {
                requests.push(request);
            }
        }
    }
    Ok(open)
}

/// Takes over what a device counted; whether that changed something.
pub(super) fn agree(connection: &mut Connection, device: DeviceId, counted: &[Counted]) -> Result<bool, StoreError> {
    let transaction = connection.transaction()?;
    let mut changed = 0;
    {
        let mut statement = transaction.prepare_cached(
            "UPDATE ledger SET tokens = ?3, prompt = ?4, seconds = ?5, sure = 1, agreed = 1
             WHERE direction = 'borrowed' AND device = ?1 AND request = ?2 AND agreed = 0",
        )?;
        for Counted { request, amount } in counted {
            changed += statement.execute(params![
                device.to_string(),
                request.as_str(),
                signed(amount.tokens),
                signed(amount.prompt),
                amount.seconds,
            ])?;
        }
    }
    transaction.commit()?;
    Ok(changed > 0)
}
