//! The documents of one network, without their values: which entry of each key stands, which tombstones are buried, and
//! how much there is.
//!
//! The result depends on the set of entries alone, not on the order in which they came, as long as nothing is refused
//! for being too much. Whoever keeps the values follows what [`Shelf::take`] says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DocumentKey, Head, MAX_ENTRIES, MAX_NETWORK_BYTES, Rank};
use crate::proto::Millis;
use crate::proto::hlc::Hlc;
use crate::proto::ids::{DeviceId, RecordId};
use crate::proto::reconcile::RecordSet;

/// What one author may fill of a network: half of its bytes and half of its entries, so that a member that lies leaves room
/// for the others.
const AUTHORS_PART: u64 = 2;
/// How old a tombstone is buried even if not every member has seen it: 90 days.
pub const TOMBSTONE_MS: Millis = 90 * 24 * 60 * 60 * 1000;
/// Most buried tombstones that are remembered; the oldest is forgotten first.
pub const MAX_BURIED: usize = 50_000;

/// Why there is no room for an entry. Reads as a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The network's documents are too large.
    #[error("the documents of this network fill their {} MB", MAX_NETWORK_BYTES / 1024 / 1024)]
    NetworkBytes,
    /// There are too many of them.
    #[error("this network has {MAX_ENTRIES} documents, which is the most")]
    NetworkEntries,
    /// What one device wrote is too large or too much.
    #[error("what one device wrote fills half of the network's room")]
    Author,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It stands. What stood before is superseded.
    Stands {
        /// The superseded record.
        replaced: Option<RecordId>,
    },
    /// A later one stands already.
    Superseded,
    /// A buried tombstone is later: that one stands again, so that whoever sent the entry hears of the deletion.
    Unburied {
        /// The tombstone.
        tombstone: RecordId,
    },
    /// It is here, standing or buried.
    Known,
    /// There is no room for it.
    Refused(Full),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Use {
    bytes: u64,
    entries: usize,
}

/// The entries of one network.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    heads: BTreeMap<RecordId, Head>,
    keys: BTreeMap<DocumentKey, RecordId>,
    by_arrival: BTreeMap<u64, RecordId>,
    buried: BTreeMap<DocumentKey, Head>,
    buried_ids: BTreeMap<RecordId, DocumentKey>,
    set: Arc<RecordSet>,
    total: Use,
    authors: BTreeMap<DeviceId, Use>,
    /// The highest number seen of each author.
    numbers: BTreeMap<DeviceId, u64>,
}

impl Shelf {
    /// From what was kept: entries that stand, and buried tombstones.
    pub fn load(standing: impl IntoIterator<Item = Head>, buried: impl IntoIterator<Item = Head>) -> Self {
        let mut shelf = Self::default();
        let mut set = RecordSet::default();
        for head in standing {
            set.insert_at(head.hlc, head.record);
            shelf.index(head);
        }
        shelf.set = Arc::new(set);
        for head in buried {
            shelf.note_number(&head);
            shelf.buried_ids.insert(head.record, head.key.clone());
            shelf.buried.insert(head.key.clone(), head);
        }
        shelf
    }

    /// Notes the highest numbers of authors among entries that are kept elsewhere.
    pub fn note_numbers(&mut self, numbers: impl IntoIterator<Item = (DeviceId, u64)>) {
        for (author, seq) in numbers {
            let number = self.numbers.entry(author).or_default();
            *number = (*number).max(seq);
        }
    }

    /// Judges an entry and, where it stands, puts it in its place. The caller has checked that its author counts.
    pub fn take(&mut self, head: Head) -> Outcome {
        if self.contains(&head.record) {
            return Outcome::Known;
        }
        self.note_number(&head);
        if let Some(tombstone) = self.buried.get(&head.key) {
            if tombstone.rank() > head.rank() {
                let tombstone = tombstone.clone();
                let record = tombstone.record;
                self.forget_buried(&tombstone.key);
                self.insert(tombstone);
                return Outcome::Unburied { tombstone: record };
            }
            let key = head.key.clone();
            if let Err(full) = self.room_for(&head, None) {
                return Outcome::Refused(full);
            }
            self.forget_buried(&key);
            self.insert(head);
            return Outcome::Stands { replaced: None };
        }
        let standing = self.standing(&head.key).cloned();
        if standing.as_ref().is_some_and(|standing| standing.rank() > head.rank()) {
            return Outcome::Superseded;
        }
        if let Err(full) = self.room_for(&head, standing.as_ref()) {
            return Outcome::Refused(full);
        }
        if let Some(standing) = &standing {
            self.remove(&standing.record);
        }
        self.insert(head);
        Outcome::Stands { replaced: standing.map(|standing| standing.record) }
    }

    /// Whether an entry is here, standing or buried.
    pub fn contains(&self, record: &RecordId) -> bool {
        self.heads.contains_key(record) || self.buried_ids.contains_key(record)
    }

    /// An entry that stands.
    pub fn head(&self, record: &RecordId) -> Option<&Head> {
        self.heads.get(record)
    }

    /// The entry of a key that stands, tombstones included.
    pub fn standing(&self, key: &DocumentKey) -> Option<&Head> {
        self.keys.get(key).and_then(|record| self.heads.get(record))
    }

    /// All entries that stand.
    pub fn heads(&self) -> impl Iterator<Item = &Head> {
        self.heads.values()
    }

    /// The entries that arrived after `arrived`, in that order.
    pub fn since(&self, arrived: u64) -> impl Iterator<Item = &RecordId> {
        self.by_arrival.range(arrived.saturating_add(1)..).map(|(_, record)| record)
    }

    /// When the latest entry arrived; 0 when there is none.
    pub fn last_arrival(&self) -> u64 {
        self.by_arrival.last_key_value().map_or(0, |(arrived, _)| *arrived)
    }

    /// The set for reconciliation.
    pub fn set(&self) -> &Arc<RecordSet> {
        &self.set
    }

    /// How many entries stand, tombstones included.
    pub fn len(&self) -> usize {
        self.total.entries
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total.entries == 0
    }

    /// Bytes of the records that stand.
    pub fn bytes(&self) -> u64 {
        self.total.bytes
    }

    /// The highest number seen of an author; 0 when there is none.
    pub fn number(&self, author: DeviceId) -> u64 {
        self.numbers.get(&author).copied().unwrap_or(0)
    }

    /// Stands for all values that can be seen here: equal on two devices that show the same. Tombstones are left out:
    /// devices bury them at different times.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("myownmesh documents digest v1");
        for (record, _) in self.heads.iter().filter(|(_, head)| !head.deleted) {
            hasher.update(record.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Takes out the entries whose author and number do not count any more; buried ones too. They come back in no
    /// particular order.
    pub fn retain(&mut self, counts: impl Fn(DeviceId, u64) -> bool) -> Vec<Head> {
        let gone = |heads: &mut dyn Iterator<Item = &Head>| -> Vec<Head> {
            heads.filter(|head| !counts(head.author, head.seq)).cloned().collect()
        };
        let mut taken = gone(&mut self.heads.values());
        for head in &taken {
            self.remove(&head.record);
        }
        let buried = gone(&mut self.buried.values());
        for head in &buried {
            self.forget_buried(&head.key);
        }
        taken.extend(buried);
        taken
    }

    /// Takes an entry out that stands.
    pub fn remove(&mut self, record: &RecordId) -> Option<Head> {
        let head = self.heads.remove(record)?;
        self.keys.remove(&head.key);
        self.by_arrival.remove(&head.arrived);
        Arc::make_mut(&mut self.set).remove_at(head.hlc, *record);
        let freed = |used: &mut Use| {
            used.bytes = used.bytes.saturating_sub(size_of(&head));
            used.entries = used.entries.saturating_sub(1);
        };
        freed(&mut self.total);
        if let Some(used) = self.authors.get_mut(&head.author) {
            freed(used);
        }
        Some(head)
    }

    /// Notes in which order a standing entry was stored.
    pub fn arrived(&mut self, record: &RecordId, arrived: u64) {
        if let Some(head) = self.heads.get_mut(record) {
            self.by_arrival.remove(&head.arrived);
            head.arrived = arrived;
            self.by_arrival.insert(arrived, *record);
        }
    }

    /// Buries the tombstones that need not be offered any more: all members have what arrived up to `seen_by_all`, or
    /// they are older than [`TOMBSTONE_MS`]. Those that are buried now come back first, then those that are forgotten to
    /// make room.
    pub fn bury(&mut self, seen_by_all: u64, now: Millis) -> (Vec<RecordId>, Vec<RecordId>) {
        let oldest = now.saturating_sub(TOMBSTONE_MS);
        let ripe = |head: &&Head| head.deleted && (head.arrived <= seen_by_all || head.hlc.millis() < oldest);
        let ripe: Vec<RecordId> = self.heads.values().filter(ripe).map(|head| head.record).collect();
        for record in &ripe {
            if let Some(head) = self.remove(record) {
                self.buried_ids.insert(head.record, head.key.clone());
                self.buried.insert(head.key.clone(), head);
            }
        }
        let excess = self.buried.len().saturating_sub(MAX_BURIED);
        let mut by_age: Vec<(Hlc, DocumentKey)> = Vec::new();
        if excess > 0 {
            by_age.extend(self.buried.values().map(|head| (head.hlc, head.key.clone())));
            by_age.sort();
        }
        let forgotten =
            by_age.into_iter().take(excess).filter_map(|(_, key)| self.forget_buried(&key)).map(|head| head.record);
        (ripe, forgotten.collect())
    }

    fn forget_buried(&mut self, key: &DocumentKey) -> Option<Head> {
        let head = self.buried.remove(key)?;
        self.buried_ids.remove(&head.record);
        Some(head)
    }

    /// Whether `head` fits once `replaced` is gone. Making something smaller always fits.
    fn room_for(&self, head: &Head, replaced: Option<&Head>) -> Result<(), Full> {
        let freed = |by: Option<DeviceId>| {
            let counts = replaced.filter(|replaced| by.is_none_or(|by| replaced.author == by));
            counts.map_or(Use::default(), |replaced| Use { bytes: size_of(replaced), entries: 1 })
        };
        let after = |used: Use, freed: Use| Use {
            bytes: used.bytes.saturating_sub(freed.bytes) + size_of(head),
            entries: used.entries.saturating_sub(freed.entries) + 1,
        };
        let total = after(self.total, freed(None));
        if total.bytes > MAX_NETWORK_BYTES && total.bytes > self.total.bytes {
            return Err(Full::NetworkBytes);
        }
        if total.entries > MAX_ENTRIES && total.entries > self.total.entries {
            return Err(Full::NetworkEntries);
        }
        let used = self.authors.get(&head.author).copied().unwrap_or_default();
        let authors = after(used, freed(Some(head.author)));
        let most_entries = MAX_ENTRIES / usize::try_from(AUTHORS_PART).unwrap_or(1);
        let beyond = authors.bytes > MAX_NETWORK_BYTES / AUTHORS_PART || authors.entries > most_entries;
        if beyond && (authors.bytes > used.bytes || authors.entries > used.entries) {
            return Err(Full::Author);
        }
        Ok(())
    }

    fn insert(&mut self, head: Head) {
        Arc::make_mut(&mut self.set).insert_at(head.hlc, head.record);
        self.index(head);
    }

    /// Everything but the set.
    fn index(&mut self, head: Head) {
        self.note_number(&head);
        for used in [&mut self.total, self.authors.entry(head.author).or_default()] {
            used.bytes += size_of(&head);
            used.entries += 1;
        }
        if head.arrived > 0 {
            self.by_arrival.insert(head.arrived, head.record);
        }
        self.keys.insert(head.key.clone(), head.record);
        self.heads.insert(head.record, head);
    }

    fn note_number(&mut self, head: &Head) {
        self.note_numbers([(head.author, head.seq)]);
    }

    /// The rank of whatever stands or lies buried under a key.
    pub fn rank(&self, key: &DocumentKey) -> Option<Rank> {
        self.standing(key).or_else(|| self.buried.get(key)).map(Head::rank)
    }
}

fn size_of(head: &Head) -> u64 {
    u64::try_from(head.size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
