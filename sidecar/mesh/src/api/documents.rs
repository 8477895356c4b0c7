//! Documents as the mesh gives them to whoever knows what is in them.

use std::sync::Arc;

use crate::proto::Millis;
use crate::proto::document::{Collection, DocumentId};
use crate::proto::hlc::Hlc;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::record::{Body, Record};

pub use crate::proto::document::peers::Standing as SyncState;

/// A document, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its collection.
    pub collection: Collection,
    /// The device whose own document it is; `None`: everybody's.
    pub owner: Option<DeviceId>,
    /// Its id within the collection.
    pub id: DocumentId,
    /// The record that says so.
    pub record: RecordId,
    /// Who wrote it.
    pub author: DeviceId,
    /// When, on the clock that orders all records: what stands is the greatest `(hlc, author, record)`.
    pub hlc: Hlc,
    /// The value; `None` for a deletion.
    pub value: Option<Arc<[u8]>>,
}

impl Document {
    /// Of a record that carries one.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let Body::Document(entry) = record.body() else { return None };
        Some(Self {
            collection: entry.collection.clone(),
            owner: entry.own.then(|| record.author()),
            id: entry.id.clone(),
            record: record.id(),
            author: record.author(),
            hlc: record.hlc(),
            value: entry.value.as_deref().map(Arc::from),
        })
    }

    /// When it was written, by its author's clock.
    pub fn at(&self) -> Millis {
        self.hlc.millis()
    }
}

/// A write: the value of a key from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentEdit {
    /// The collection.
    pub collection: Collection,
    /// Whether the key is this device's own: nobody else can write it. Otherwise every member can, and the last wins.
    pub own: bool,
    /// The id within the collection.
    pub id: DocumentId,
    /// The value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// The gossip switch of the active network, and how far its members are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncInfo {
    /// The network.
    pub network: NetworkId,
    /// Whether documents leave and enter this device.
    pub on: bool,
    /// Records that stand, tombstones included.
    pub records: u32,
    /// Their bytes.
    pub bytes: u64,
    /// The other members, by id.
    pub devices: Vec<SyncDevice>,
}

/// How far one member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncDevice {
    /// Which.
    pub device_id: DeviceId,
    /// Whether it is linked now.
    pub online: bool,
    /// How it compares.
    pub state: SyncState,
    /// How many records of this device it lacks.
    pub behind: u32,
}
