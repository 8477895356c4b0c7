//! The active network in memory: its records, the set they form for reconciliation, and what they fold to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::proto::fold::{Membership, fold};
use crate::proto::ids::{NetworkId, RecordId};
use crate::proto::quota::Shares;
use crate::proto::reconcile::RecordSet;
use crate::proto::record::Record;

/// All records of one network and their fold. Only grows.
#[derive(Clone)]
pub(crate) struct Ledger {
    records: BTreeMap<RecordId, Record>,
    set: Arc<RecordSet>,
    shares: Shares,
    membership: Arc<Membership>,
}

impl Ledger {
    /// From all stored records; `None` without the genesis record.
    pub(crate) fn new(network: NetworkId, records: Vec<Record>) -> Option<Self> {
        let membership = Arc::new(fold(network, &records)?);
        let set = Arc::new(records.iter().collect());
        let mut shares = Shares::default();
        records.iter().for_each(|record| shares.count(record));
        let records = records.into_iter().map(|record| (record.id(), record)).collect();
        Some(Self { records, set, shares, membership })
    }

    /// Adds records that were checked and stored, and folds anew. Returns what the records said before.
    pub(crate) fn add(&mut self, added: &[Record]) -> Arc<Membership> {
        for record in added {
            Arc::make_mut(&mut self.set).insert(record);
            self.shares.count(record);
            self.records.insert(record.id(), record.clone());
        }
        let before = self.membership.clone();
        if let Some(membership) = fold(before.network, self.records.values()) {
            self.membership = Arc::new(membership);
        }
        before
    }

    /// How much is kept of each author.
    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// What the records say.
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// The network.
    pub(crate) fn network(&self) -> NetworkId {
        self.membership.network
    }

    /// The set for reconciliation.
    pub(crate) fn set(&self) -> &Arc<RecordSet> {
        &self.set
    }

    /// Whether a record is here.
    pub(crate) fn contains(&self, id: &RecordId) -> bool {
        self.records.contains_key(id)
    }

    /// All records.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Canonical bytes of one record.
    pub(crate) fn bytes(&self, id: &RecordId) -> Option<&[u8]> {
        self.records.get(id).map(Record::as_bytes)
    }

    /// Canonical bytes of all records, in the order of their clocks.
    pub(crate) fn all_bytes(&self) -> Vec<Vec<u8>> {
        let mut records: Vec<&Record> = self.records.values().collect();
        records.sort_by_key(|record| (record.hlc(), record.id()));
        records.into_iter().map(|record| record.as_bytes().to_vec()).collect()
    }
}
