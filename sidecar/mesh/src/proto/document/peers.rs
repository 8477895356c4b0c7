//! How far the other members are: what each of them has of the documents here.
//!
//! Members tell each other a [`State`] with every push and at its answer: whether the switch is on there, and a digest of
//! all values. When the digests are equal the other side has everything that is here; from then on each entry that comes
//! is missing there until it confirms it, or sends it itself. What a member had at that time is kept, so that what it
//! lacks is known while it is away.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use crate::proto::ids::{DeviceId, RecordId};

/// What a device says of its documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Rises with everything a device says of itself: what arrives late is not taken for news.
    pub turn: u64,
    /// Whether documents leave and enter it. When not, the digest is zero.
    pub on: bool,
    /// [`Shelf::digest`].
    pub digest: [u8; 32],
}

/// How the documents of a member compare with those here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The same, as far as is known.
    Equal,
    /// It lacks entries that are here.
    Behind,
    /// Being compared.
    Comparing,
    /// Switched off, there or here.
    Off,
    /// Its version knows no documents.
    Unsupported,
    /// Never met since this device joined.
    Unknown,
}

/// One other member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Peer {
    /// What it said last on the present link.
    said: Option<State>,
    /// It answered that it knows no such thing.
    unsupported: bool,
    /// It has everything that arrived here up to this.
    seen: Option<u64>,
    /// What it has of that which arrived later.
    has: BTreeSet<RecordId>,
    /// The switch there, as last heard.
    off: bool,
}

impl Peer {
    /// Notes that it has everything, if its last word says so. `true`: that is news.
    fn compare(&mut self, shelf: &Shelf, digest: &[u8; 32]) -> bool {
        if self.said.is_none_or(|said| !said.on || said.digest != *digest) {
            return false;
        }
        self.has.clear();
        let seen = Some(shelf.last_arrival());
        std::mem::replace(&mut self.seen, seen) != seen
    }
}

/// All other members that were heard of.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    peers: BTreeMap<DeviceId, Peer>,
    /// Whose `seen` has changed since it was last asked for.
    dirty: BTreeSet<DeviceId>,
}

impl Peers {
    /// With what was kept: up to which arrival each member has everything.
    pub fn load(seen: impl IntoIterator<Item = (DeviceId, u64)>) -> Self {
        let peer = |(device, seen)| (device, Peer { seen: Some(seen), ..Peer::default() });
        Self { peers: seen.into_iter().map(peer).collect(), dirty: BTreeSet::new() }
    }

    /// A link came or went: what was said on the old one says nothing any more.
    pub fn relinked(&mut self, device: DeviceId) {
        let peer = self.peers.entry(device).or_default();
        (peer.said, peer.unsupported) = (None, false);
    }

    /// A member said how it is; `false` when it has said something newer already.
    pub fn said(&mut self, device: DeviceId, state: State, shelf: &Shelf, digest: &[u8; 32]) -> bool {
        let peer = self.peers.entry(device).or_default();
        if peer.said.is_some_and(|said| said.turn > state.turn) {
            return false;
        }
        peer.said = Some(state);
        peer.off = !state.on;
        if peer.compare(shelf, digest) {
            self.dirty.insert(device);
        }
        true
    }

    /// The documents here have changed: those whose last word fits them now have everything.
    pub fn compare(&mut self, shelf: &Shelf, digest: &[u8; 32]) {
        for (device, peer) in &mut self.peers {
            if peer.compare(shelf, digest) {
                self.dirty.insert(*device);
            }
        }
    }

    /// A member does not know what documents are.
    pub fn unsupported(&mut self, device: DeviceId) {
        self.peers.entry(device).or_default().unsupported = true;
    }

    /// A member has confirmed these, or has sent them.
    pub fn has(&mut self, device: DeviceId, records: impl IntoIterator<Item = RecordId>) {
        self.peers.entry(device).or_default().has.extend(records);
    }

    /// Whether a member is not known to have had an entry that came here `arrived`.
    pub fn lacks(&self, device: DeviceId, record: &RecordId, arrived: u64) -> bool {
        let peer = self.peers.get(&device);
        peer.is_none_or(|peer| peer.seen.is_none_or(|seen| seen < arrived) && !peer.has.contains(record))
    }

    /// A device is no member any more.
    pub fn forget(&mut self, device: DeviceId) {
        self.peers.remove(&device);
        self.dirty.remove(&device);
    }

    /// Whether documents may be sent to a member: it said so on the present link.
    pub fn takes(&self, device: DeviceId) -> bool {
        self.peers.get(&device).and_then(|peer| peer.said).is_some_and(|said| said.on)
    }

    /// How a member compares, and how many of the entries here it lacks.
    pub fn standing(&self, device: DeviceId, linked: bool, shelf: &Shelf, digest: &[u8; 32]) -> (Standing, u32) {
        let Some(peer) = self.peers.get(&device) else { return (Standing::Unknown, 0) };
        if peer.unsupported {
            return (Standing::Unsupported, 0);
        }
        if peer.off {
            return (Standing::Off, 0);
        }
        let behind = match peer.seen {
            Some(seen) => shelf.since(seen).filter(|record| !peer.has.contains(record)).count(),
            None => 0,
        };
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        let standing = match (linked, peer.said, peer.seen) {
            (true, Some(said), _) if said.digest == *digest => Standing::Equal,
            _ if behind > 0 => Standing::Behind,
            (true, _, _) => Standing::Comparing,
            (false, _, Some(_)) => Standing::Equal,
            (false, _, None) => Standing::Unknown,
        };
        (standing, if standing == Standing::Equal { 0 } else { behind })
    }

    /// Up to which arrival all of `members` have everything; 0 when nothing is known of one of them.
    pub fn seen_by_all(&self, members: impl IntoIterator<Item = DeviceId>) -> u64 {
        let seen = |device| self.peers.get(&device).and_then(|peer| peer.seen).unwrap_or(0);
        members.into_iter().map(seen).min().unwrap_or(u64::MAX)
    }

    /// What changed since the last call, to be kept.
    pub fn take_changed(&mut self) -> Vec<(DeviceId, u64)> {
        let changed = std::mem::take(&mut self.dirty);
        changed.into_iter().filter_map(|device| Some((device, self.peers.get(&device)?.seen?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::document::{Collection, DocumentId, DocumentKey, Head};
    use crate::proto::hlc::Hlc;

    fn device(seed: u8) -> DeviceId {
        DeviceId::of_secret(&[seed; 32])
    }

    fn state(turn: u64, on: bool, digest: [u8; 32]) -> State {
        State { turn, on, digest }
    }

    fn head(n: u8) -> Head {
        let key = DocumentKey {
            collection: Collection::parse("prompts").unwrap(),
            id: DocumentId::parse(&format!("p{n}")).unwrap(),
            owner: None,
        };
        Head {
            record: RecordId::from_bytes([n; 32]),
            key,
            author: device(1),
            seq: u64::from(n),
            hlc: Hlc::at(u64::from(n)),
            size: 100,
            deleted: false,
            arrived: u64::from(n),
        }
    }

    #[test]
    fn what_a_member_never_had_is_known() {
        let mut peers = Peers::default();
        let record = RecordId::from_bytes([1; 32]);
        assert!(peers.lacks(device(1), &record, 5), "nothing is known of it");
        peers.has(device(1), [record]);
        assert!(!peers.lacks(device(1), &record, 5));
        let peers = Peers::load([(device(1), 5)]);
        assert!(!peers.lacks(device(1), &record, 5) && peers.lacks(device(1), &record, 6));
    }

    #[test]
    fn a_member_is_behind_by_what_came_since_it_was_equal() {
        let (me, other) = (device(1), device(2));
        let mut shelf = Shelf::load([head(1), head(2)], []);
        let mut peers = Peers::default();
        let standing = |peers: &Peers, shelf: &Shelf, linked| peers.standing(other, linked, shelf, &shelf.digest());
        assert_eq!(standing(&peers, &shelf, false), (Standing::Unknown, 0));
        peers.relinked(other);
        assert_eq!(standing(&peers, &shelf, true), (Standing::Comparing, 0));
        let digest = shelf.digest();
        peers.said(other, state(1, true, digest), &shelf, &digest);
        assert_eq!(standing(&peers, &shelf, true), (Standing::Equal, 0));
        assert!(peers.takes(other));
        peers.relinked(other);
        for n in 3..6 {
            shelf.take(head(n));
        }
        assert_eq!(standing(&peers, &shelf, false), (Standing::Behind, 3));
        peers.has(other, [RecordId::from_bytes([4; 32])]);
        assert_eq!(standing(&peers, &shelf, false), (Standing::Behind, 2));
        assert_eq!(peers.seen_by_all([other]), 2);
        assert_eq!(peers.seen_by_all([other, me]), 0, "nothing is known of the second");
        let kept = Peers::load(peers.take_changed());
        assert_eq!(standing(&kept, &shelf, false), (Standing::Behind, 3), "what it confirmed alone is not kept");
        let digest = shelf.digest();
        peers.said(other, state(1, true, digest), &shelf, &digest);
        assert_eq!(standing(&peers, &shelf, false), (Standing::Equal, 0));
    }

    #[test]
    fn a_member_that_switched_off_gets_nothing() {
        let other = device(2);
        let (shelf, mut peers) = (Shelf::load([head(1)], []), Peers::default());
        let digest = shelf.digest();
        peers.said(other, state(1, false, [0; 32]), &shelf, &digest);
        assert!(!peers.takes(other));
        assert_eq!(peers.standing(other, true, &shelf, &digest), (Standing::Off, 0));
        assert!(peers.said(other, state(3, true, digest), &shelf, &digest));
        assert!(!peers.said(other, state(2, false, [0; 32]), &shelf, &digest), "it arrived late");
        assert!(peers.takes(other));
        peers.relinked(other);
        peers.unsupported(other);
        assert_eq!(peers.standing(other, true, &shelf, &digest), (Standing::Unsupported, 0));
    }
}
