//! When records are sent to whom, and when two devices compare all they have.
//!
//! Three things together bring every record everywhere:
//!
//! - **Push.** A new record goes at once to every linked member. Whoever receives one passes it on to [`FANOUT`] linked
//!   members, which carries it past pairs that have no link of their own; one that takes power away to [`FANOUT_URGENT`].
//! - **Reconcile on connect.** Two devices that meet compare their sets; the smaller id begins, since one side is enough.
//!   Where many members meet a newcomer at once, each waits a little ([`STAGGER_MS`] for each of its links, at random),
//!   so that the first repairs it and the others find it equal for a few hundred bytes.
//! - **Reconcile now and then** with one random member, every [`INTERVAL_MS`] or so, and soon after a push that failed.
//!   Whatever was lost, for whatever reason, is found then.
//!
//! A push may be lost, doubled, late or in any order: nothing here relies on it. The state is small and need not
//! outlive a restart, for every link that comes back begins with a comparison.

use std::collections::BTreeMap;

use rand::Rng;

use super::{Millis, ids::DeviceId};

/// To how many linked members a received record is passed on. With four, a record reaches nearly all of a few hundred
/// devices within some hops even when its author reaches only some of them, for at most four messages a device.
pub const FANOUT: usize = 4;
/// The same for a record that takes power away, which must not wait: everybody in most networks, and in a large one
/// enough that a second hop leaves nobody out.
pub const FANOUT_URGENT: usize = 16;
/// How often a device compares its records with one random linked member, in milliseconds; a quarter more or less, so
/// that devices do not keep step. An equal comparison costs under 1 KB.
pub const INTERVAL_MS: Millis = 60_000;
/// How long after a comparison that failed it is tried again; doubles up to [`INTERVAL_MS`].
pub const RETRY_MS: Millis = 2_000;
/// After a link came up, its first comparison waits up to this long for each other link that this device has.
pub const STAGGER_MS: Millis = 25;
/// How many comparisons a device has under way at most. Each learns from those before it.
pub const AT_ONCE: usize = 4;
/// No doubling beyond this.
const MAX_DOUBLINGS: u32 = 5;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member is linked, or linked anew.
    LinkUp(DeviceId),
    /// A link was lost.
    LinkDown(DeviceId),
    /// Records were added here.
    Added {
        /// The member that sent them; `None`: they were made here.
        from: Option<DeviceId>,
        /// Whether one of them takes power away.
        urgent: bool,
    },
    /// A push did not arrive, or nobody knows whether it did.
    PushFailed(DeviceId),
    /// A comparison that this device began is over.
    ReconcileEnded {
        /// With whom.
        with: DeviceId,
        /// Whether it came to its end.
        ok: bool,
    },
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send what was just added to these members.
    Push {
        /// Linked members, without the one it came from.
        to: Vec<DeviceId>,
    },
    /// Compare all records with this member, and report [`Event::ReconcileEnded`].
    Reconcile {
        /// A linked member.
        with: DeviceId,
    },
}

/// A linked member.
#[derive(Debug, Default)]
struct Peer {
    /// When to compare with it; `None`: no need.
    due: Option<Millis>,
    /// Whether a comparison that this device began is under way.
    busy: bool,
    /// Comparisons that failed in a row.
    failures: u32,
}

/// The state: linked members and what is due with each.
#[derive(Debug)]
pub struct Spread {
    me: DeviceId,
    peers: BTreeMap<DeviceId, Peer>,
    /// When to compare with a random member; `None` while there is none.
    next: Option<Millis>,
}

impl Spread {
    /// Nobody is linked yet.
    pub fn new(me: DeviceId) -> Self {
        Self { me, peers: BTreeMap::new(), next: None }
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event, now: Millis, rng: &mut impl Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::LinkUp(device) => self.link_up(device, now, rng),
            Event::LinkDown(device) => drop(self.peers.remove(&device)),
            Event::Added { from, urgent } => {
                let to = self.audience(from, urgent, rng);
                if !to.is_empty() {
                    effects.push(Effect::Push { to });
                }
            }
            Event::PushFailed(device) => self.hasten(device, now),
            Event::ReconcileEnded { with, ok } => self.ended(with, ok, now, rng),
            Event::Tick => {}
        }
        self.keep_rhythm(now, rng);
        self.start_due(now, &mut effects);
        effects
    }

    /// When [`Event::Tick`] is to be given next; `None` while nothing is due at any time.
    pub fn deadline(&self) -> Option<Millis> {
        if self.under_way() >= AT_ONCE {
            // The end of one of them starts the next.
            return self.next;
        }
        let due = self.peers.values().filter(|peer| !peer.busy).filter_map(|peer| peer.due);
        due.chain(self.next).min()
    }

    /// The linked members.
    pub fn linked(&self) -> impl Iterator<Item = DeviceId> {
        self.peers.keys().copied()
    }

    fn under_way(&self) -> usize {
        self.peers.values().filter(|peer| peer.busy).count()
    }

    fn link_up(&mut self, device: DeviceId, now: Millis, rng: &mut impl Rng) {
        // What was under way with it ended with the old link.
        self.peers.remove(&device);
        let others = Millis::try_from(self.peers.len()).unwrap_or(0);
        let peer =
            Peer { due: (self.me < device).then(|| now + between(rng, 0, others * STAGGER_MS)), ..Peer::default() };
        self.peers.insert(device, peer);
    }

    /// Compare with this member by `at`.
    fn hasten(&mut self, device: DeviceId, at: Millis) {
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.due = Some(peer.due.map_or(at, |due| due.min(at)));
        }
    }

    fn ended(&mut self, with: DeviceId, ok: bool, now: Millis, rng: &mut impl Rng) {
        let Some(peer) = self.peers.get_mut(&with) else { return };
        peer.busy = false;
        if ok {
            peer.failures = 0;
            return;
        }
        let pause = (RETRY_MS << peer.failures.min(MAX_DOUBLINGS)).min(INTERVAL_MS);
        peer.failures = peer.failures.saturating_add(1);
        peer.due = Some(now.saturating_add(between(rng, pause / 2, pause)));
    }

    /// Who gets what was just added.
    fn audience(&self, from: Option<DeviceId>, urgent: bool, rng: &mut impl Rng) -> Vec<DeviceId> {
        let mut others: Vec<DeviceId> = self.peers.keys().copied().filter(|device| from != Some(*device)).collect();
        let fanout = if urgent { FANOUT_URGENT } else { FANOUT };
        if from.is_none() || others.len() <= fanout {
            return others;
        }
        for chosen in 0..fanout {
            let other = rng.random_range(chosen..others.len());
            others.swap(chosen, other);
        }
        others.truncate(fanout);
        others
    }

    /// Picks a random member when the time has come, and sets the next time. A wall clock that was set back does not
    /// put anything off for longer than usual.
    fn keep_rhythm(&mut self, now: Millis, rng: &mut impl Rng) {
        let latest = now.saturating_add(INTERVAL_MS + INTERVAL_MS / 4);
        for due in self.peers.values_mut().filter_map(|peer| peer.due.as_mut()).chain(self.next.as_mut()) {
            *due = (*due).min(latest);
        }
        if self.peers.is_empty() {
            self.next = None;
            return;
        }
        let soon = now.saturating_add(between(rng, INTERVAL_MS - INTERVAL_MS / 4, INTERVAL_MS + INTERVAL_MS / 4));
        if *self.next.get_or_insert(soon) > now {
            return;
        }
        self.next = Some(soon);
        let chosen = rng.random_range(0..self.peers.len());
        if let Some(peer) = self.peers.values_mut().nth(chosen) {
            peer.due = Some(peer.due.map_or(now, |due| due.min(now)));
        }
    }

    /// Begins what is due, the longest overdue first.
    fn start_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let mut room = AT_ONCE.saturating_sub(self.under_way());
        while room > 0 {
            let ready = self.peers.iter_mut().filter(|(_, peer)| !peer.busy && peer.due.is_some_and(|due| due <= now));
            let Some((with, peer)) = ready.min_by_key(|(_, peer)| peer.due) else { return };
            (peer.due, peer.busy) = (None, true);
            effects.push(Effect::Reconcile { with: *with });
            room -= 1;
        }
    }
}

/// A random time from `low` to `high`, both included.
fn between(rng: &mut impl Rng, low: Millis, high: Millis) -> Millis {
    if low >= high { low } else { rng.random_range(low..=high) }
}

#[cfg(test)]
mod tests;
