//! The SQL of lending.

use std::collections::HashMap;
use std::hash::Hash;

use myownmesh_control::types::{Accepting, LendingPause, LendingRules, MemberRules};
use myownmesh_mesh::{DeviceId, NetworkId};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;

use super::state::Saved;
use crate::store::StoreError;

/// What is saved. A row that cannot be read is left out, with a warning in the log.
pub(super) fn read(connection: &Connection) -> Result<Saved, StoreError> {
    let mut saved = Saved::default();
    let mut statement = connection.prepare("SELECT network, accepting, rules FROM lending")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (network, accepting, rules): (String, String, Option<String>) = row?;
        let id: Option<NetworkId> = network.parse().ok();
        put(&mut saved.policies, id, parse(&accepting), &network);
        if let Some(rules) = rules {
            put(&mut saved.rules, id, serde_json::from_str(&rules).ok(), &network);
        }
    }
    let mut statement = connection.prepare("SELECT network, device, rules FROM lending_members")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (network, device, rules): (String, String, String) = row?;
        let member: Option<(NetworkId, DeviceId)> = network.parse().ok().zip(device.parse().ok());
        put(&mut saved.members, member, serde_json::from_str(&rules).ok(), &device);
    }
    let pause = "SELECT until, at_once FROM lending_pause";
    let pause = connection.query_row(pause, [], |row| Ok(LendingPause { until: row.get(0)?, at_once: row.get(1)? }));
    saved.pause = pause.optional()?;
    Ok(saved)
}

fn put<K: Eq + Hash, V>(into: &mut HashMap<K, V>, key: Option<K>, value: Option<V>, of: &str) {
    if let Some((key, value)) = key.zip(value) {
        into.insert(key, value);
    } else {
        tracing::warn!(of, "a rule of lending cannot be read and is left out");
    }
}

/// What this device's clock is ahead of UTC now, in milliseconds.
pub(super) fn clock_ahead(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(strftime('%s', 'now', 'localtime') AS INTEGER) - CAST(strftime('%s', 'now') AS INTEGER)";
    let seconds: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    // The two words for now may fall into different seconds; clocks differ by whole minutes.
    Ok((seconds + 30).div_euclid(60) * 60_000)
}

pub(super) fn set_policy(connection: &Connection, network: &str, accepting: Accepting) -> Result<(), StoreError> {
    let sql = "INSERT INTO lending (network, accepting) VALUES (?1, ?2)
               ON CONFLICT (network) DO UPDATE SET accepting = excluded.accepting";
    connection.execute(sql, [network, name(accepting)])?;
    Ok(())
}

pub(super) fn set_rules(connection: &Connection, network: &str, rules: &LendingRules) -> Result<(), StoreError> {
    let sql = "INSERT INTO lending (network, accepting, rules) VALUES (?1, ?2, ?3)
               ON CONFLICT (network) DO UPDATE SET rules = excluded.rules";
    connection.execute(sql, params![network, name(Accepting::default()), json(rules)])?;
    Ok(())
}

/// None: no rules of its own any more.
pub(super) fn set_member(
    connection: &Connection,
    network: &str,
    device: &str,
    rules: Option<&MemberRules>,
) -> Result<(), StoreError> {
    match rules {
        Some(rules) => {
            let sql = "INSERT OR REPLACE INTO lending_members (network, device, rules) VALUES (?1, ?2, ?3)";
            connection.execute(sql, params![network, device, json(rules)])?;
        }
        None => {
            connection.execute("DELETE FROM lending_members WHERE network = ?1 AND device = ?2", [network, device])?;
        }
    }
    Ok(())
}

pub(super) fn set_pause(connection: &mut Connection, pause: Option<LendingPause>) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM lending_pause", [])?;
    if let Some(LendingPause { until, at_once }) = pause {
        transaction.execute("INSERT INTO lending_pause (until, at_once) VALUES (?1, ?2)", params![until, at_once])?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn forget_network(connection: &mut Connection, network: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM lending WHERE network = ?1", [network])?;
    transaction.execute("DELETE FROM lending_members WHERE network = ?1", [network])?;
    transaction.commit()?;
    Ok(())
}

/// Plain data: it always serialises.
fn json(rules: &impl serde::Serialize) -> String {
    serde_json::to_string(rules).unwrap_or_default()
}

pub(super) fn name(accepting: Accepting) -> &'static str {
    match accepting {
        Accepting::Available => "available",
        Accepting::Limited => "limited",
        Accepting::Busy => "busy",
    }
}

pub(super) fn parse(text: &str) -> Option<Accepting> {
    let deserializer: serde::de::value::StrDeserializer<'_, ValueError> = text.into_deserializer();
    Accepting::deserialize(deserializer).ok()
}
