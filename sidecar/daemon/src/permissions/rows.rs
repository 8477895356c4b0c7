//! What this device keeps of permissions, in the database.

use std::collections::BTreeMap;

use myownmesh_mesh::{DeviceId, Hlc};
use rusqlite::{Connection, params};

use super::fold::State;
use super::tool::Tool;
use crate::store::StoreError;

/// What is kept of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// By tool, those that have left the start.
    pub(super) states: BTreeMap<Tool, State>,
    /// Whom a person here trusts, and since when.
    pub(super) trusted: BTreeMap<DeviceId, Hlc>,
}

/// Reads what is kept of a network. What cannot be read counts as deny: nobody knows how strict it was.
pub(super) fn load(connection: &Connection, network: &str) -> Result<Kept, StoreError> {
    let mut kept = Kept::default();
    let mut statement = connection.prepare("SELECT tool, state FROM permissions WHERE network = ?1")?;
    let mut rows = statement.query([network])?;
    while let Some(row) = rows.next()? {
        let (tool, state): (String, String) = (row.get(0)?, row.get(1)?);
        let Ok(tool) = tool.parse::<Tool>() else {
            tracing::warn!(tool, "what was kept of an unknown tool is left out");
            continue;
        };
        let state = serde_json::from_str(&state).unwrap_or_else(|error| {
            tracing::warn!(%tool, %error, "what was kept of a tool cannot be read; it is denied until somebody sets it");
            State::lost()
        });
        kept.states.insert(tool, state);
    }
    let mut statement =
        connection.prepare("SELECT device, since_ms, since_counter FROM permission_trust WHERE network = ?1")?;
    let mut rows = statement.query([network])?;
    while let Some(row) = rows.next()? {
        let (device, ms, counter): (String, i64, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let (Ok(device), Ok(ms)) = (device.parse(), u64::try_from(ms)) {
            kept.trusted.insert(device, Hlc { ms, counter });
        } else {
            tracing::warn!(device, "trust in an unknown device is left out");
        }
    }
    Ok(kept)
}

/// Keeps states; those at the start need no row.
pub(super) fn save(connection: &mut Connection, network: &str, states: &[(Tool, State)]) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    for (tool, state) in states {
        let name = tool.to_string();
        if *state == State::start(tool) {
            transaction.execute("DELETE FROM permissions WHERE network = ?1 AND tool = ?2", params![network, name])?;
            continue;
        }
        // Plain data always serialises.
        let json = serde_json::to_string(state).unwrap_or_default();
        let sql = "INSERT INTO permissions (network, tool, state) VALUES (?1, ?2, ?3)
                   ON CONFLICT (network, tool) DO UPDATE SET state = excluded.state";
        transaction.execute(sql, params![network, name, json])?;
    }
    Ok(transaction.commit()?)
}

/// Keeps or takes back trust in a device.
pub(super) fn set_trust(
    connection: &Connection,
    network: &str,
    device: DeviceId,
    since: Option<Hlc>,
) -> Result<(), StoreError> {
    let device = device.to_string();
    let Some(since) = since else {
        connection
            .execute("DELETE FROM permission_trust WHERE network = ?1 AND device = ?2", params![network, device])?;
        return Ok(());
    };
    let sql =
        "INSERT OR REPLACE INTO permission_trust (network, device, since_ms, since_counter) VALUES (?1, ?2, ?3, ?4)";
    connection.execute(sql, params![network, device, since.millis(), since.counter])?;
    Ok(())
}

/// Deletes everything kept of a network.
pub(super) fn forget_network(connection: &mut Connection, network: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM permissions WHERE network = ?1", [network])?;
    transaction.execute("DELETE FROM permission_trust WHERE network = ?1", [network])?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn what_is_kept_reads_back_and_what_is_broken_denies() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let (read, shell) = (Tool::ReadFile, Tool::Shell);
        let lap = DeviceId::of_secret(&[2; 32]);
        let kept = store
            .call(move |connection| {
                save(connection, "home", &[(read.clone(), State::lost()), (shell.clone(), State::start(&shell))])?;
                set_trust(connection, "home", lap, Some(Hlc { ms: 7, counter: 3 }))?;
                set_trust(connection, "other", lap, Some(Hlc::at(1)))?;
                load(connection, "home")
            })
            .await
            .expect("kept");
        assert_eq!(kept.states, BTreeMap::from([(Tool::ReadFile, State::lost())]), "the start needs no row");
        assert_eq!(kept.trusted, BTreeMap::from([(lap, Hlc { ms: 7, counter: 3 })]));
        let broken = store.call(|connection| {
            connection.execute("UPDATE permissions SET state = '{\"base\":' WHERE network = 'home'", [])?;
            connection.execute("INSERT INTO permissions VALUES ('home', 'sudo', '{}')", [])?;
            connection.execute("INSERT INTO permission_trust VALUES ('home', 'nobody', -1, 0)", [])?;
            load(connection, "home")
        });
        let broken = broken.await.expect("read");
        assert_eq!(broken, kept, "a damaged row denies, an unknown name is left out");
        let forgotten = store.call(move |connection| {
            set_trust(connection, "home", lap, None)?;
            forget_network(connection, "home")?;
            Ok((load(connection, "home")?, load(connection, "other")?.trusted.len()))
        });
        assert_eq!(forgotten.await.expect("forgotten"), (Kept::default(), 1));
    }
}
