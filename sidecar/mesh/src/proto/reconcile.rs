//! Finding out which records two devices lack of each other, in a few hundred bytes when they are equal.
//!
//! Range-based set reconciliation with the negentropy protocol over `(time, id)`. One side initiates and learns what it
//! has and needs; the other only answers. A message stands for itself: between two of them either set may change; what
//! that hides is found the next time.

use std::collections::{BTreeMap, VecDeque};

use negentropy::{Bound, Error as Negentropy, Id, Item, NegentropyStorageBase};

use super::{Millis, hlc::Hlc, ids::RecordId, record::Record};

/// Where a message is cut into several rounds, in bytes.
const FRAME_LIMIT: u64 = 64 * 1024;
/// Most bytes of a message that is looked at.
pub const MESSAGE_LIMIT: usize = 128 * 1024;
/// Most rounds of one reconciliation; 200,000 differing records need about 100.
pub const MAX_ROUNDS: usize = 256;
/// Most refused ids that are remembered.
const MAX_REFUSED: usize = 4096;

/// Why a reconciliation ended early.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// A message is over [`MESSAGE_LIMIT`].
    #[error("the other device sent a reconciliation message of {0} bytes; {MESSAGE_LIMIT} are allowed")]
    TooLarge(usize),
    /// A message does not decode.
    #[error("the other device sent a reconciliation message that cannot be understood: {0}")]
    Garbage(Negentropy),
    /// It does not come to an end.
    #[error("the other device did not come to an end within {MAX_ROUNDS} rounds")]
    TooManyRounds,
}

impl From<Negentropy> for ReconcileError {
    fn from(error: Negentropy) -> Self {
        Self::Garbage(error)
    }
}

/// The ids of the records a device has, sorted by time and id.
#[derive(Debug, Clone, Default)]
pub struct RecordSet {
    items: Vec<Item>,
}

impl RecordSet {
    /// Adds a record; `false` when it was there.
    pub fn insert(&mut self, record: &Record) -> bool {
        self.insert_at(record.hlc(), record.id())
    }

    /// Adds the record of this time and id; `false` when it was there.
    pub fn insert_at(&mut self, hlc: Hlc, id: RecordId) -> bool {
        self.insert_item(item_at(hlc, id))
    }

    fn insert_item(&mut self, item: Item) -> bool {
        match self.items.binary_search(&item) {
            Ok(_) => false,
            Err(at) => {
                self.items.insert(at, item);
                true
            }
        }
    }

    /// Takes a record out; `false` when it was not there.
    pub fn remove(&mut self, record: &Record) -> bool {
        self.remove_at(record.hlc(), record.id())
    }

    /// Takes the record of this time and id out; `false` when it was not there.
    pub fn remove_at(&mut self, hlc: Hlc, id: RecordId) -> bool {
        let found = self.items.binary_search(&item_at(hlc, id));
        if let Ok(at) = found {
            self.items.remove(at);
        }
        found.is_ok()
    }

    /// Whether it holds this record.
    pub fn contains(&self, record: &Record) -> bool {
        self.items.binary_search(&item(record)).is_ok()
    }

    /// How many it holds.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<'a> FromIterator<&'a Record> for RecordSet {
    fn from_iter<I: IntoIterator<Item = &'a Record>>(records: I) -> Self {
        let mut items: Vec<Item> = records.into_iter().map(item).collect();
        items.sort_unstable();
        items.dedup();
        Self { items }
    }
}

fn item(record: &Record) -> Item {
    item_at(record.hlc(), record.id())
}

fn item_at(hlc: Hlc, id: RecordId) -> Item {
    // The greatest time stands for "no bound" in the protocol.
    let time = hlc.ms.min(u64::MAX - 1);
    Item::with_timestamp_and_id(time, Id::from_byte_array(*id.as_bytes()))
}

impl NegentropyStorageBase for RecordSet {
    fn size(&self) -> Result<usize, Negentropy> {
        Ok(self.items.len())
    }

    fn get_item(&self, at: usize) -> Result<Option<Item>, Negentropy> {
        Ok(self.items.get(at).copied())
    }

    fn iterate(
        &self,
        begin: usize,
        end: usize,
        each: &mut dyn FnMut(Item, usize) -> Result<bool, Negentropy>,
    ) -> Result<(), Negentropy> {
        let range = self.items.get(begin..end).ok_or(Negentropy::BadRange)?;
        for (item, at) in range.iter().zip(begin..) {
            if !each(*item, at)? {
                break;
            }
        }
        Ok(())
    }

    fn find_lower_bound(&self, first: usize, last: usize, value: &Bound) -> usize {
        let range = self.items.get(first..last).unwrap_or_default();
        first + range.partition_point(|item| *item < value.item)
    }
}

/// What one round told the initiator.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Records that the other side lacks.
    pub have: Vec<RecordId>,
    /// Records that this side lacks.
    pub need: Vec<RecordId>,
    /// What to send next; `None` when all is known.
    pub next: Option<Vec<u8>>,
}

/// The side that starts.
#[derive(Debug, Default)]
pub struct Initiator {
    rounds: usize,
}

impl Initiator {
    /// The first message.
    pub fn start(set: &RecordSet) -> Result<(Self, Vec<u8>), ReconcileError> {
        let message = negentropy::Negentropy::borrowed(set, FRAME_LIMIT)?.initiate()?;
        Ok((Self { rounds: 0 }, message))
    }

    /// Takes the other side's answer in.
    pub fn step(&mut self, set: &RecordSet, answer: &[u8]) -> Result<Step, ReconcileError> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(ReconcileError::TooManyRounds);
        }
        check_size(answer)?;
        let mut negentropy = negentropy::Negentropy::borrowed(set, FRAME_LIMIT)?;
        negentropy.set_initiator();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let next = negentropy.reconcile_with_ids(answer, &mut have, &mut need)?;
        Ok(Step { have: ids(have), need: ids(need), next })
    }

    /// How many answers it has taken in.
    pub fn rounds(&self) -> usize {
        self.rounds
    }
}

/// The other side's answer to a message. Keeps no state.
pub fn respond(set: &RecordSet, message: &[u8]) -> Result<Vec<u8>, ReconcileError> {
    check_size(message)?;
    Ok(negentropy::Negentropy::borrowed(set, FRAME_LIMIT)?.reconcile(message)?)
}

fn check_size(message: &[u8]) -> Result<(), ReconcileError> {
    if message.len() > MESSAGE_LIMIT { Err(ReconcileError::TooLarge(message.len())) } else { Ok(()) }
}

fn ids(found: Vec<Id>) -> Vec<RecordId> {
    found.into_iter().map(|id| RecordId::from_bytes(id.to_bytes())).collect()
}

/// Records that this device refused for reasons of its own (their clock, their author), each until some time. They are
/// not asked for again at every reconciliation, and do not keep it from its end. Bounded: the oldest is forgotten, and
/// then refused anew.
#[derive(Debug, Default)]
pub struct Refused {
    until: BTreeMap<RecordId, Millis>,
    order: VecDeque<RecordId>,
}

impl Refused {
    /// Remembers a refusal that holds until `until`.
    pub fn add(&mut self, id: RecordId, until: Millis) {
        if self.until.insert(id, until).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_REFUSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
    }

    /// Whether it is refused at `now`.
    pub fn contains(&self, id: &RecordId, now: Millis) -> bool {
        self.until.get(id).is_some_and(|until| now < *until)
    }

    /// Forgets all refusals.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Leaves out what is refused at `now`.
    pub fn filter(&self, needed: Vec<RecordId>, now: Millis) -> Vec<RecordId> {
        needed.into_iter().filter(|id| !self.contains(id, now)).collect()
    }
}

#[cfg(test)]
mod tests;
