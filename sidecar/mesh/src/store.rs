//! What the mesh keeps: records, networks, peers and invites, in the device's SQLite database.
//!
//! Documents have a file of their own, `documents`. All tables begin with `mesh_` and have their own version in `mesh_schema`, so that the daemon's tables and these
//! migrate without knowing of each other. Blocking: the actor that owns the store calls it off the async threads or
//! for calls this short, in place.

mod documents;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::decisions::Acknowledgements;
use crate::proto::{
    Millis,
    fold::{Membership, fold},
    hlc::Hlc,
    ids::{DeviceId, InviteId, NetworkId, RecordId},
    invite::Invite,
    knock::PeerAddress,
    name::NetworkName,
    record::{Record, RecordError},
};

pub(crate) use self::documents::{DocumentChange, Place};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// SQLite failed.
    #[error("the device's database failed ({0}): check that the disk is not full and the file can be written")]
    Sqlite(#[from] rusqlite::Error),
    /// The tables are of a later version.
    #[error("the device's database was written by a newer version of the app (mesh tables {found}): update the app")]
    NewerSchema {
        /// The version found.
        found: i64,
    },
    /// A stored value does not read back.
    #[error("the device's database is damaged: {0}")]
    Corrupt(String),
    /// A record could not be made.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing is known of this network.
    #[error("this device does not know that network")]
    UnknownNetwork,
}

/// A network this device has joined at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedNetwork {
    /// The network.
    pub(crate) id: NetworkId,
    /// The name it had last, to show before its records are folded.
    pub(crate) name: NetworkName,
    /// Whether it is the active one.
    pub(crate) active: bool,
    /// When this device joined.
    pub(crate) joined_at: Millis,
}

/// What is known of another member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SavedPeer {
    /// Where it was last.
    pub(crate) address: Option<PeerAddress>,
    /// Version of its app, when it was told.
    pub(crate) app_version: Option<String>,
    /// Its card as JSON, when it sent one.
    pub(crate) card: Option<String>,
    /// When it was last connected.
    pub(crate) last_seen: Option<Millis>,
}

/// An invite made on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedInvite {
    /// The invite, with its secret.
    pub(crate) invite: Invite,
    /// When it was made.
    pub(crate) created_at: Millis,
    /// Whether it was revoked here.
    pub(crate) revoked: bool,
}

/// Each entry brings the tables from its index to the next version. Never change one that was released.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE mesh_networks (
        id BLOB PRIMARY KEY CHECK (length(id) = 32),
        name TEXT NOT NULL,
        active INTEGER NOT NULL DEFAULT 0,
        joined_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE mesh_sequences (
        network BLOB PRIMARY KEY CHECK (length(network) = 32),
        last INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX mesh_one_active ON mesh_networks (active) WHERE active = 1;
    CREATE TABLE mesh_records (
        id BLOB PRIMARY KEY CHECK (length(id) = 32),
        network BLOB NOT NULL,
        author BLOB NOT NULL,
        seq INTEGER NOT NULL,
        time INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        received_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX mesh_records_by_time ON mesh_records (network, time, id);
    CREATE TABLE mesh_peers (
        network BLOB NOT NULL,
        device BLOB NOT NULL,
        address TEXT,
        app_version TEXT,
        card TEXT,
        last_seen INTEGER,
        PRIMARY KEY (network, device)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE mesh_invites (
        id BLOB PRIMARY KEY CHECK (length(id) = 8),
        network BLOB NOT NULL,
        link TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        revoked INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE mesh_acknowledged (
        network BLOB NOT NULL,
        record BLOB NOT NULL CHECK (length(record) = 32),
        device BLOB NOT NULL CHECK (length(device) = 32),
        at INTEGER NOT NULL,
        PRIMARY KEY (network, record, device)
    ) STRICT, WITHOUT ROWID;
",
    documents::TABLES,
];

/// The mesh's tables, on a connection of their own.
#[derive(Debug)]
pub(crate) struct Store {
    db: Connection,
    me: DeviceId,
}

impl Store {
    /// Takes a connection over and brings its `mesh_` tables up to date. `me` is this device: the numbers of its own
    /// records are kept ahead of every one seen.
    pub(crate) fn open(mut db: Connection, me: DeviceId) -> Result<Self, StoreError> {
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch("CREATE TABLE IF NOT EXISTS mesh_schema (version INTEGER NOT NULL) STRICT")?;
        let found: Option<i64> = tx.query_row("SELECT version FROM mesh_schema", [], |row| row.get(0)).optional()?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let version = found.unwrap_or(0);
        if version > known {
            return Err(StoreError::NewerSchema { found: version });
        }
        let done = usize::try_from(version).map_err(|_| StoreError::Corrupt("the version of its tables".into()))?;
        for migration in &MIGRATIONS[done..] {
            tx.execute_batch(migration)?;
        }
        match found {
            None => tx.execute("INSERT INTO mesh_schema (version) VALUES (?1)", [known])?,
            Some(_) => tx.execute("UPDATE mesh_schema SET version = ?1", [known])?,
        };
        tx.commit()?;
        Ok(Self { db, me })
    }

    // ---- networks ----------------------------------------------------------------------------------------------

    /// Keeps a network that this device has founded or joined, with its first records, in one transaction. A network
    /// that is known keeps its join time and its numbers.
    pub(crate) fn save_network(
        &mut self,
        id: NetworkId,
        name: &NetworkName,
        records: &[Record],
        now: Millis,
    ) -> Result<(), StoreError> {
        let me = self.me;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute(
            "INSERT INTO mesh_networks (id, name, joined_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            params![id.as_bytes(), name.as_str(), now],
        )?;
        for record in records.iter().filter(|record| record.network() == id) {
            insert(&tx, me, record, now)?;
        }
        tx.commit()?;
        Ok(())
    }

    /// The networks this device knows, the oldest first.
    pub(crate) fn networks(&self) -> Result<Vec<SavedNetwork>, StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT id, name, active, joined_at FROM mesh_networks ORDER BY joined_at, id")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?)))?;
        rows.map(|row| {
            let (id, name, active, joined_at): ([u8; 32], String, bool, Millis) = row?;
            let name = NetworkName::parse(&name).map_err(|_| StoreError::Corrupt("a network's name".into()))?;
            Ok(SavedNetwork { id: NetworkId::from_bytes(id), name, active, joined_at })
        })
        .collect()
    }

    /// Makes a network the active one; `None`: none is.
    pub(crate) fn set_active(&mut self, network: Option<NetworkId>) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute("UPDATE mesh_networks SET active = 0 WHERE active = 1", [])?;
        if let Some(id) = network
            && tx.execute("UPDATE mesh_networks SET active = 1 WHERE id = ?1", [id.as_bytes()])? == 0
        {
            return Err(StoreError::UnknownNetwork);
        }
        tx.commit()?;
        Ok(())
    }

    /// Keeps a network's present name.
    pub(crate) fn set_network_name(&mut self, network: NetworkId, name: &NetworkName) -> Result<(), StoreError> {
        let update = "UPDATE mesh_networks SET name = ?2 WHERE id = ?1";
        match self.db.execute(update, params![network.as_bytes(), name.as_str()])? {
            0 => Err(StoreError::UnknownNetwork),
            _ => Ok(()),
        }
    }

    /// Deletes what is known of a network. The number of this device's last record stays, in case it joins again: a
    /// number used twice would count as a lie.
    pub(crate) fn forget_network(&mut self, network: NetworkId) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = network.as_bytes();
        let known = tx.execute("DELETE FROM mesh_networks WHERE id = ?1", [id])?;
        if known == 0 {
            return Err(StoreError::UnknownNetwork);
        }
        tx.execute("DELETE FROM mesh_records WHERE network = ?1", [id])?;
        tx.execute("DELETE FROM mesh_peers WHERE network = ?1", [id])?;
        tx.execute("DELETE FROM mesh_invites WHERE network = ?1", [id])?;
        tx.execute("DELETE FROM mesh_acknowledged WHERE network = ?1", [id])?;
        documents::forget(&tx, network)?;
        tx.commit()?;
        Ok(())
    }

    // ---- records -----------------------------------------------------------------------------------------------

    /// Writes a record of this device: `make` gets its number and signs it. The number and the record are kept in one
    /// transaction, so no number is ever given to two records, whatever happens in between; send the record only
    /// after this returned.
    pub(crate) fn write(
        &mut self,
        network: NetworkId,
        now: Millis,
        make: impl FnOnce(u64) -> Result<Record, RecordError>,
    ) -> Result<Record, StoreError> {
        let me = self.me;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let record = make(last_seq(&tx, network)? + 1)?;
        insert(&tx, me, &record, now)?;
        tx.commit()?;
        Ok(record)
    }

    /// Takes the next number of this device for a record that may never be kept. A gap holds nothing up.
    pub(crate) fn spend_number(&mut self, network: NetworkId) -> Result<u64, StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let next = last_seq(&tx, network)? + 1;
        note_number(&tx, network, next)?;
        tx.commit()?;
        Ok(next)
    }

    /// Keeps records from elsewhere in one transaction; those that are new come back. The caller has judged whether they
    /// may come in.
    pub(crate) fn insert_all(&mut self, records: &[Record], now: Millis) -> Result<Vec<Record>, StoreError> {
        let me = self.me;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut added = Vec::new();
        for record in records {
            if insert(&tx, me, record, now)? {
                added.push(record.clone());
            }
        }
        tx.commit()?;
        Ok(added)
    }

    /// All records of a network, by time and id.
    pub(crate) fn records(&self, network: NetworkId) -> Result<Vec<Record>, StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT bytes FROM mesh_records WHERE network = ?1 ORDER BY time, id")?;
        let rows = query.query_map([network.as_bytes()], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|bytes| stored_record(network, &bytes?)).collect()
    }

    /// Folds what is here of a network; `None` without its genesis record.
    pub(crate) fn membership(&self, network: NetworkId) -> Result<Option<Membership>, StoreError> {
        Ok(fold(network, &self.records(network)?))
    }

    /// The latest clock reading in any record, to start this device's clock at.
    pub(crate) fn latest_hlc(&self) -> Result<Hlc, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT network, bytes FROM mesh_records WHERE time = (SELECT max(time) FROM mesh_records)",
        )?;
        let rows = query.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut latest = Hlc::default();
        for row in rows {
            let (network, bytes) = row?;
            latest = latest.max(stored_record(NetworkId::from_bytes(network), &bytes)?.hlc());
        }
        Ok(latest.max(documents::latest_hlc(&self.db)?))
    }

    // ---- removals ----------------------------------------------------------------------------------------------

    /// Keeps that a member has confirmed the removal `record`; `false` when that was known.
    pub(crate) fn acknowledge(
        &mut self,
        network: NetworkId,
        record: RecordId,
        by: DeviceId,
        at: Millis,
    ) -> Result<bool, StoreError> {
        let insert = "INSERT INTO mesh_acknowledged (network, record, device, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING";
        Ok(self.db.execute(insert, params![network.as_bytes(), record.as_bytes(), by.as_bytes(), at])? == 1)
    }

    /// Who has confirmed which removal of a network.
    pub(crate) fn acknowledgements(&self, network: NetworkId) -> Result<Acknowledgements, StoreError> {
        let mut query = self.db.prepare_cached("SELECT record, device FROM mesh_acknowledged WHERE network = ?1")?;
        let rows = query.query_map([network.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut known = Acknowledgements::new();
        for row in rows {
            let (record, device): ([u8; 32], [u8; 32]) = row?;
            let device =
                DeviceId::from_bytes(&device).map_err(|_| StoreError::Corrupt("who confirmed a removal".into()))?;
            known.entry(RecordId::from_bytes(record)).or_default().insert(device);
        }
        Ok(known)
    }

    // ---- peers -------------------------------------------------------------------------------------------------

    /// Keeps where a member is.
    pub(crate) fn set_peer_address(&mut self, network: NetworkId, address: &PeerAddress) -> Result<(), StoreError> {
        let json = serde_json::to_string(address).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.upsert_peer("address", network, address.device, &json)
    }

    /// Keeps a member's card, as JSON.
    pub(crate) fn set_peer_card(&mut self, network: NetworkId, device: DeviceId, card: &str) -> Result<(), StoreError> {
        self.upsert_peer("card", network, device, card)
    }

    /// Keeps the version of a member's app.
    pub(crate) fn set_peer_version(
        &mut self,
        network: NetworkId,
        device: DeviceId,
        version: &str,
    ) -> Result<(), StoreError> {
        self.upsert_peer("app_version", network, device, version)
    }

    /// Keeps when a member was last connected.
    pub(crate) fn set_peer_seen(&mut self, network: NetworkId, device: DeviceId, at: Millis) -> Result<(), StoreError> {
        self.upsert_peer("last_seen", network, device, at)
    }

    /// Deletes what is known of a device, once it is no member.
    pub(crate) fn forget_peer(&mut self, network: NetworkId, device: DeviceId) -> Result<(), StoreError> {
        let delete = "DELETE FROM mesh_peers WHERE network = ?1 AND device = ?2";
        self.db.execute(delete, params![network.as_bytes(), device.as_bytes()])?;
        Ok(())
    }

    /// What is known of the other members of a network.
    pub(crate) fn peers(&self, network: NetworkId) -> Result<Vec<(DeviceId, SavedPeer)>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT device, address, app_version, card, last_seen FROM mesh_peers WHERE network = ?1 ORDER BY device",
        )?;
        let rows = query.query_map([network.as_bytes()], |row| {
            let peer = (row.get::<_, Option<String>>(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((row.get::<_, [u8; 32]>(0)?, peer))
        })?;
        rows.map(|row| {
            let (device, (address, app_version, card, last_seen)) = row?;
            let damaged = |what: &str| StoreError::Corrupt(what.to_owned());
            let device = DeviceId::from_bytes(&device).map_err(|_| damaged("the id of a peer"))?;
            let address = address
                .map(|json| serde_json::from_str(&json))
                .transpose()
                .map_err(|_| damaged("the addresses of a peer"))?;
            Ok((device, SavedPeer { address, app_version, card, last_seen }))
        })
        .collect()
    }

    /// `column` is one of this module's own names, never input.
    fn upsert_peer(
        &mut self,
        column: &'static str,
        network: NetworkId,
        device: DeviceId,
        value: impl rusqlite::ToSql,
    ) -> Result<(), StoreError> {
        let upsert = format!(
            "INSERT INTO mesh_peers (network, device, {column}) VALUES (?1, ?2, ?3)
             ON CONFLICT (network, device) DO UPDATE SET {column} = excluded.{column}"
        );
        self.db.execute(&upsert, params![network.as_bytes(), device.as_bytes(), value])?;
        Ok(())
    }

    // ---- invites -----------------------------------------------------------------------------------------------

    /// Keeps an invite made here, link and secret included.
    pub(crate) fn save_invite(&mut self, invite: &Invite, now: Millis) -> Result<(), StoreError> {
        let insert = "INSERT INTO mesh_invites (id, network, link, created_at) VALUES (?1, ?2, ?3, ?4)";
        let payload = invite.payload();
        self.db.execute(insert, params![payload.id.as_bytes(), payload.network.as_bytes(), invite.link(), now])?;
        Ok(())
    }

    /// Notes that an invite made here is revoked; `false` when it is not known here.
    pub(crate) fn revoke_invite(&mut self, id: InviteId) -> Result<bool, StoreError> {
        Ok(self.db.execute("UPDATE mesh_invites SET revoked = 1 WHERE id = ?1", [id.as_bytes()])? == 1)
    }

    /// The invites made here to a network, the newest first.
    pub(crate) fn invites(&self, network: NetworkId) -> Result<Vec<SavedInvite>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT link, created_at, revoked FROM mesh_invites WHERE network = ?1 ORDER BY created_at DESC, id",
        )?;
        let rows = query.query_map([network.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Millis>(1)?, row.get::<_, bool>(2)?))
        })?;
        rows.map(|row| {
            let (link, created_at, revoked) = row?;
            let invite = link.parse().map_err(|_| StoreError::Corrupt("an invite".into()))?;
            Ok(SavedInvite { invite, created_at, revoked })
        })
        .collect()
    }
}

fn stored_record(network: NetworkId, bytes: &[u8]) -> Result<Record, StoreError> {
    Record::decode_for(network, bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn last_seq(db: &Connection, network: NetworkId) -> Result<u64, StoreError> {
    let query = "SELECT last FROM mesh_sequences WHERE network = ?1";
    let last: Option<i64> = db.query_row(query, [network.as_bytes()], |row| row.get(0)).optional()?;
    u64::try_from(last.unwrap_or(0)).map_err(|_| StoreError::Corrupt("a record number".into()))
}

/// Inserts one record. One of this device's own, wherever it comes from, moves its numbers on.
fn insert(tx: &Transaction<'_>, me: DeviceId, record: &Record, now: Millis) -> Result<bool, StoreError> {
    let stored = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let added = tx
        .prepare_cached(
            "INSERT INTO mesh_records (id, network, author, seq, time, bytes, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            record.id().as_bytes(),
            record.network().as_bytes(),
            record.author().as_bytes(),
            stored(record.seq()),
            stored(record.hlc().ms),
            record.as_bytes(),
            now
        ])?;
    if record.author() == me {
        note_number(tx, record.network(), record.seq())?;
    }
    Ok(added == 1)
}

/// Notes that this device has used a number.
fn note_number(tx: &Transaction<'_>, network: NetworkId, seq: u64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO mesh_sequences (network, last) VALUES (?1, ?2)
         ON CONFLICT (network) DO UPDATE SET last = max(last, excluded.last)",
        params![network.as_bytes(), i64::try_from(seq).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
