//! What the mesh keeps of documents: every entry that stands, a bounded history of those that do not, buried tombstones,
//! the gossip switch, and how far other members were when they were last compared with.

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Store, StoreError, last_seq, note_number};
use crate::proto::document::{Collection, DocumentId, DocumentKey, Head};
use crate::proto::hlc::Hlc;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::record::Record;

/// Earlier versions kept of a document that everybody writes.
const KEPT_SHARED: u32 = 50;
/// Earlier versions kept of a document that is its author's own.
const KEPT_OWN: u32 = 4;
/// Most bytes of earlier versions kept of a network.
const KEPT_BYTES: i64 = 20 * 1024 * 1024;

/// What an entry is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It stands.
    Standing = 0,
    /// It was superseded.
    Past = 1,
    /// A tombstone that is not offered any more.
    Buried = 2,
}

/// One step of a change, to be carried out with others in one transaction.
#[derive(Debug)]
pub(crate) enum DocumentChange {
    /// Keep a record.
    Keep(Record, Head, Place),
    /// A record that is here is something else now.
    Move(RecordId, Place),
    /// Delete a record for good.
    Delete(RecordId),
}

/// The table; part of the mesh's migrations. `arrived` rises with each record that comes.
pub(super) const TABLES: &str = "
    CREATE TABLE mesh_documents (
        arrived INTEGER PRIMARY KEY AUTOINCREMENT,
        id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
        network BLOB NOT NULL CHECK (length(network) = 32),
        place INTEGER NOT NULL CHECK (place IN (0, 1, 2)),
        collection TEXT NOT NULL,
        document TEXT NOT NULL,
        owner BLOB,
        author BLOB NOT NULL CHECK (length(author) = 32),
        seq INTEGER NOT NULL,
        time INTEGER NOT NULL,
        counter INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        size INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE INDEX mesh_documents_by_key ON mesh_documents (network, collection, document, time);
    CREATE INDEX mesh_documents_by_place ON mesh_documents (network, place, size);
    CREATE TABLE mesh_document_peers (
        network BLOB NOT NULL,
        device BLOB NOT NULL,
        seen INTEGER NOT NULL,
        PRIMARY KEY (network, device)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE mesh_networks ADD COLUMN gossip INTEGER NOT NULL DEFAULT 1;
";

impl Store {
    /// Whether documents of a network leave and enter this device.
    pub(crate) fn gossip(&self, network: NetworkId) -> Result<bool, StoreError> {
        let query = "SELECT gossip FROM mesh_networks WHERE id = ?1";
        let found: Option<bool> = self.db.query_row(query, [network.as_bytes()], |row| row.get(0)).optional()?;
        found.ok_or(StoreError::UnknownNetwork)
    }

    /// Keeps that switch.
    pub(crate) fn set_gossip(&mut self, network: NetworkId, on: bool) -> Result<(), StoreError> {
        let update = "UPDATE mesh_networks SET gossip = ?2 WHERE id = ?1";
        match self.db.execute(update, params![network.as_bytes(), on])? {
            0 => Err(StoreError::UnknownNetwork),
            _ => Ok(()),
        }
    }

    /// The entries of a network at `place`, without their values.
    pub(crate) fn document_heads(&self, network: NetworkId, place: Place) -> Result<Vec<Head>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT arrived, id, collection, document, owner, author, seq, time, counter, deleted, size
             FROM mesh_documents WHERE network = ?1 AND place = ?2",
        )?;
        let rows = query.query_map(params![network.as_bytes(), place as i64], |row| Ok(head(row)))?;
        rows.map(|row| row?).collect()
    }

    /// The highest number of each author among the entries of a network that are kept, past ones included.
    pub(crate) fn document_numbers(&self, network: NetworkId) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT author, max(seq) FROM mesh_documents WHERE network = ?1 GROUP BY author")?;
        let rows =
            query.query_map([network.as_bytes()], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?)))?;
        rows.map(|row| {
            let (author, seq) = row?;
            Ok((device(&author)?, u64::try_from(seq).unwrap_or(0)))
        })
        .collect()
    }

    /// Carries changes out, all or none. Gives back when each kept record arrived, in their order.
    pub(crate) fn change_documents(&mut self, changes: &[DocumentChange]) -> Result<Vec<u64>, StoreError> {
        let me = self.me;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let arrived = apply(&tx, me, changes)?;
        tx.commit()?;
        Ok(arrived)
    }

    /// The highest number that this device has used in a network.
    pub(crate) fn last_number(&self, network: NetworkId) -> Result<u64, StoreError> {
        last_seq(&self.db, network)
    }

    /// The record with this id in its canonical bytes, whether it stands or not: while two devices exchange what each
    /// lacks, one of them may be superseded, and belongs into the history on both.
    pub(crate) fn document_bytes(&self, network: NetworkId, id: &RecordId) -> Result<Option<Vec<u8>>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT bytes FROM mesh_documents WHERE id = ?1 AND network = ?2")?;
        Ok(query.query_row(params![id.as_bytes(), network.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// The values of a collection that stand.
    pub(crate) fn documents(&self, network: NetworkId, collection: &Collection) -> Result<Vec<Record>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT bytes FROM mesh_documents
             WHERE network = ?1 AND collection = ?2 AND place = 0 AND deleted = 0 ORDER BY document, owner",
        )?;
        let rows = query.query_map(params![network.as_bytes(), collection.as_str()], |row| row.get::<_, Vec<u8>>(0))?;
        readable(network, rows)
    }

    /// All that is kept of a key, standing, past and buried.
    pub(crate) fn document_versions(&self, network: NetworkId, key: &DocumentKey) -> Result<Vec<Record>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT bytes FROM mesh_documents
             WHERE network = ?1 AND collection = ?2 AND document = ?3 AND owner IS ?4",
        )?;
        let owner = key.owner.as_ref().map(DeviceId::as_bytes);
        let rows = query
            .query_map(params![network.as_bytes(), key.collection.as_str(), key.id.as_str(), owner], |row| {
                row.get::<_, Vec<u8>>(0)
            })?;
        readable(network, rows)
    }

    /// Deletes the history of records that do not count any more.
    pub(crate) fn delete_past_of(
        &mut self,
        network: NetworkId,
        author: DeviceId,
        after: u64,
    ) -> Result<(), StoreError> {
        let delete = "DELETE FROM mesh_documents WHERE network = ?1 AND author = ?2 AND seq > ?3 AND place = 1";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.db.execute(delete, params![network.as_bytes(), author.as_bytes(), after])?;
        Ok(())
    }

    /// Up to which arrival each member has everything.
    pub(crate) fn document_peers(&self, network: NetworkId) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT device, seen FROM mesh_document_peers WHERE network = ?1")?;
        let rows =
            query.query_map([network.as_bytes()], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?)))?;
        rows.map(|row| {
            let (peer, seen) = row?;
            Ok((device(&peer)?, u64::try_from(seen).unwrap_or(0)))
        })
        .collect()
    }

    /// Keeps that.
    pub(crate) fn set_document_peers(
        &mut self,
        network: NetworkId,
        seen: &[(DeviceId, u64)],
    ) -> Result<(), StoreError> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (device, seen) in seen {
            tx.execute(
                "INSERT INTO mesh_document_peers (network, device, seen) VALUES (?1, ?2, ?3)
                 ON CONFLICT (network, device) DO UPDATE SET seen = excluded.seen",
                params![network.as_bytes(), device.as_bytes(), i64::try_from(*seen).unwrap_or(i64::MAX)],
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Forgets how far a device is that is no member any more.
    pub(crate) fn forget_document_peer(&mut self, network: NetworkId, device: DeviceId) -> Result<(), StoreError> {
        let delete = "DELETE FROM mesh_document_peers WHERE network = ?1 AND device = ?2";
        self.db.execute(delete, params![network.as_bytes(), device.as_bytes()])?;
        Ok(())
    }
}

/// Deletes all documents of a network, with everything known of them.
pub(super) fn forget(tx: &Transaction<'_>, network: NetworkId) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM mesh_documents WHERE network = ?1", [network.as_bytes()])?;
    tx.execute("DELETE FROM mesh_document_peers WHERE network = ?1", [network.as_bytes()])?;
    Ok(())
}

/// The latest clock reading in any entry.
pub(super) fn latest_hlc(db: &rusqlite::Connection) -> rusqlite::Result<Hlc> {
    let query = "SELECT time, counter FROM mesh_documents ORDER BY time DESC, counter DESC LIMIT 1";
    let latest = db.query_row(query, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?))).optional()?;
    Ok(latest.map_or_else(Hlc::default, |(time, counter)| Hlc { ms: u64::try_from(time).unwrap_or(0), counter }))
}

fn apply(tx: &Transaction<'_>, me: DeviceId, changes: &[DocumentChange]) -> Result<Vec<u64>, StoreError> {
    let mut arrived = Vec::new();
    for change in changes {
        match change {
            DocumentChange::Keep(record, head, place) => {
                arrived.push(keep(tx, me, record, head, *place)?);
                if *place == Place::Past {
                    trim(tx, record.network(), &head.key)?;
                }
            }
            DocumentChange::Move(record, place) => {
                let update = "UPDATE mesh_documents SET place = ?2 WHERE id = ?1
                     RETURNING network, collection, document, owner";
                let moved = tx
                    .prepare_cached(update)?
                    .query_row(params![record.as_bytes(), *place as i64], |row| {
                        let key =
                            (row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, Option<[u8; 32]>>(3)?);
                        Ok((row.get::<_, [u8; 32]>(0)?, key))
                    })
                    .optional()?;
                if let Some((network, (collection, document, owner))) = moved.filter(|_| *place == Place::Past) {
                    trim(tx, NetworkId::from_bytes(network), &key(&collection, &document, owner.as_ref())?)?;
                }
            }
            DocumentChange::Delete(record) => {
                tx.prepare_cached("DELETE FROM mesh_documents WHERE id = ?1")?.execute([record.as_bytes()])?;
            }
        }
    }
    Ok(arrived)
}

fn keep(tx: &Transaction<'_>, me: DeviceId, record: &Record, head: &Head, place: Place) -> Result<u64, StoreError> {
    // One that was past, and is offered again, may stand now.
    let insert = "INSERT INTO mesh_documents
            (id, network, place, collection, document, owner, author, seq, time, counter, deleted, size, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET place = excluded.place RETURNING arrived";
    let arrived: i64 = tx.prepare_cached(insert)?.query_row(
        params![
            head.record.as_bytes(),
            record.network().as_bytes(),
            place as i64,
            head.key.collection.as_str(),
            head.key.id.as_str(),
            head.key.owner.as_ref().map(DeviceId::as_bytes),
            head.author.as_bytes(),
            i64::try_from(head.seq).unwrap_or(i64::MAX),
            i64::try_from(head.hlc.ms).unwrap_or(i64::MAX),
            head.hlc.counter,
            head.deleted,
            i64::try_from(head.size).unwrap_or(i64::MAX),
            record.as_bytes(),
        ],
        |row| row.get(0),
    )?;
    if record.author() == me {
        note_number(tx, record.network(), record.seq())?;
    }
    Ok(u64::try_from(arrived).unwrap_or(0))
}

/// Lets the oldest versions of a key go beyond what is kept, and the oldest of the network beyond its bytes.
fn trim(tx: &Transaction<'_>, network: NetworkId, key: &DocumentKey) -> Result<(), StoreError> {
    let owner = key.owner.as_ref().map(DeviceId::as_bytes);
    let most = if owner.is_some() { KEPT_OWN } else { KEPT_SHARED };
    tx.prepare_cached(
        "DELETE FROM mesh_documents WHERE arrived IN (
             SELECT arrived FROM mesh_documents
             WHERE network = ?1 AND collection = ?2 AND document = ?3 AND owner IS ?4 AND place = 1
             ORDER BY time DESC, counter DESC LIMIT -1 OFFSET ?5)",
    )?
    .execute(params![network.as_bytes(), key.collection.as_str(), key.id.as_str(), owner, most])?;
    let sum = "SELECT coalesce(sum(size), 0) FROM mesh_documents WHERE network = ?1 AND place = 1";
    let mut bytes: i64 = tx.prepare_cached(sum)?.query_row([network.as_bytes()], |row| row.get(0))?;
    while bytes > KEPT_BYTES {
        let oldest = "DELETE FROM mesh_documents WHERE arrived = (
                 SELECT min(arrived) FROM mesh_documents WHERE network = ?1 AND place = 1) RETURNING size";
        let freed: Option<i64> =
            tx.prepare_cached(oldest)?.query_row([network.as_bytes()], |row| row.get(0)).optional()?;
        let Some(freed) = freed else { break };
        bytes -= freed;
    }
    Ok(())
}

fn head(row: &rusqlite::Row<'_>) -> Result<Head, StoreError> {
    let number = |at| -> Result<u64, StoreError> { Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0)) };
    let owner = row.get::<_, Option<[u8; 32]>>(4)?;
    let size = usize::try_from(row.get::<_, i64>(10)?).unwrap_or(usize::MAX);
    Ok(Head {
        arrived: number(0)?,
        record: RecordId::from_bytes(row.get(1)?),
        key: key(&row.get::<_, String>(2)?, &row.get::<_, String>(3)?, owner.as_ref())?,
        author: device(&row.get(5)?)?,
        seq: number(6)?,
        hlc: Hlc { ms: number(7)?, counter: row.get(8)? },
        deleted: row.get(9)?,
        size,
    })
}

fn key(collection: &str, document: &str, owner: Option<&[u8; 32]>) -> Result<DocumentKey, StoreError> {
    let damaged = |_| StoreError::Corrupt("the name of a document".into());
    Ok(DocumentKey {
        collection: Collection::parse(collection).map_err(damaged)?,
        id: DocumentId::parse(document).map_err(damaged)?,
        owner: owner.map(device).transpose()?,
    })
}

fn device(bytes: &[u8; 32]) -> Result<DeviceId, StoreError> {
    DeviceId::from_bytes(bytes).map_err(|_| StoreError::Corrupt("the author of a document".into()))
}

/// The records in these rows. A damaged one is left out, and hides no other.
fn readable(
    network: NetworkId,
    rows: impl Iterator<Item = rusqlite::Result<Vec<u8>>>,
) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    for bytes in rows {
        match Record::decode_stored(network, &bytes?) {
            Ok(record) => records.push(record),
            Err(error) => tracing::warn!(%error, "a document in the database is damaged and left out"),
        }
    }
    Ok(records)
}
