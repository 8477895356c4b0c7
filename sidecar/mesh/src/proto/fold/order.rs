//! The order in which records are judged.
//!
//! The plain order is by hybrid logical clock, then author, each author's records by number. Clocks can be lied about,
//! though, and a removed device could sign records that claim to be older than its removal. So a record that takes
//! power from a device (a **cut**: a removal, a lowered role, the closing of the network) names the last record of that
//! device that it honours, and a later-numbered record of that device **waits** until the cut has been judged.
//!
//! A cut makes others wait only while it *stands*: its author has the power for it at that moment, and no standing cut
//! cuts it off in turn. Two owners can cut each other off without having seen the other's cut; in such a ring the
//! more senior owner's stands. Seniority is decided by earlier records and cannot be back-dated, a clock can.

use std::collections::{BTreeMap, BTreeSet};

use super::{Equivocation, Membership, Void};
use crate::proto::{
    hlc::Hlc,
    ids::{DeviceId, NetworkId, RecordId},
    record::{Body, NetworkKind, Record, Role},
};

/// A record's place in the plain order.
type Place = (Hlc, DeviceId, u64);

fn place(record: &Record) -> Place {
    (record.hlc(), record.author(), record.seq())
}

pub(super) fn run<'a>(network: NetworkId, records: impl IntoIterator<Item = &'a Record>) -> Option<Membership> {
    let mine: BTreeMap<_, _> =
        records.into_iter().filter(|record| record.network() == network).map(|record| (record.id(), record)).collect();
    let genesis_id = RecordId::from_bytes(*network.as_bytes());
    let first = mine.get(&genesis_id)?;
    let Body::Genesis(genesis) = first.body() else { return None };
    let mut membership = Membership::founded(first, genesis);
    let chains = chains(&mut membership, mine.into_values());
    Walk::new(chains).run(&mut membership);
    Some(membership)
}

/// Each author's records by number, without those that its own numbering contradicts.
fn chains<'a>(membership: &mut Membership, records: impl Iterator<Item = &'a Record>) -> Vec<Vec<&'a Record>> {
    let mut by_author: BTreeMap<DeviceId, BTreeMap<(u64, Hlc, _), &Record>> = BTreeMap::new();
    for record in records {
        let chain = by_author.entry(record.author()).or_default();
        chain.insert((record.seq(), record.hlc(), record.id()), record);
    }
    let mut chains = Vec::with_capacity(by_author.len());
    for (author, sorted) in by_author {
        let mut chain: Vec<&Record> = Vec::with_capacity(sorted.len());
        let mut kept: Option<&Record> = None;
        let mut latest: Option<Hlc> = None;
        for record in sorted.into_values() {
            if let Some(kept) = kept.filter(|kept| kept.seq() == record.seq()) {
                let (kept, dropped) = (kept.id(), record.id());
                membership.equivocations.push(Equivocation { author, seq: record.seq(), kept, dropped });
                membership.void.insert(dropped, Void::Equivocation);
                continue;
            }
            kept = Some(record);
            if latest.is_some_and(|latest| record.hlc() <= latest) {
                membership.void.insert(record.id(), Void::BackDated);
                continue;
            }
            latest = Some(record.hlc());
            if !membership.counted.contains(&record.id()) {
                chain.push(record);
            }
        }
        if let Some(last) = kept {
            membership.heads.insert(author, last.seq());
        }
        chain.reverse();
        chains.push(chain);
    }
    chains
}

/// The walk over all chains.
struct Walk<'a> {
    /// What is left of each author's records, the next one last.
    chains: Vec<Vec<&'a Record>>,
    /// The next record of each author that has one, by place.
    heads: BTreeMap<Place, usize>,
    /// Cuts not judged yet, by place.
    cuts: BTreeMap<Place, &'a Record>,
    /// All cuts that name a device, by that device.
    against: BTreeMap<DeviceId, Vec<&'a Record>>,
    /// All records that close the network: cuts against every plain member.
    closings: Vec<&'a Record>,
    /// Places of the cuts that stand now.
    standing: BTreeSet<Place>,
}

impl<'a> Walk<'a> {
    fn new(chains: Vec<Vec<&'a Record>>) -> Self {
        let mut walk = Self {
            heads: BTreeMap::new(),
            cuts: BTreeMap::new(),
            against: BTreeMap::new(),
            closings: Vec::new(),
            standing: BTreeSet::new(),
            chains: Vec::new(),
        };
        for (author, chain) in chains.iter().enumerate() {
            if let Some(head) = chain.last() {
                walk.heads.insert(place(head), author);
            }
            chain.iter().for_each(|record| walk.index(record));
        }
        walk.chains = chains;
        walk
    }

    fn index(&mut self, record: &'a Record) {
        let against = match record.body() {
            Body::Remove(remove) => Some(remove.device),
            Body::Leave => Some(record.author()),
            Body::Role(set) => Some(set.device),
            Body::Policy(policy) if policy.kind == NetworkKind::Closed => {
                self.closings.push(record);
                None
            }
            _ => return,
        };
        self.cuts.insert(place(record), record);
        if let Some(device) = against {
            self.against.entry(device).or_default().push(record);
        }
    }

    /// The cuts that name `device`, judged ones included.
    fn cuts_against(&self, device: DeviceId) -> &[&'a Record] {
        self.against.get(&device).map_or(&[], Vec::as_slice)
    }

    fn run(mut self, membership: &mut Membership) {
        self.weigh(membership);
        while let Some((place, author)) = self.next(membership) {
            self.heads.remove(&place);
            let Some(record) = self.chains[author].pop() else { continue };
            if let Some(head) = self.chains[author].last() {
                self.heads.insert(self::place(head), author);
            }
            let was_cut = self.cuts.remove(&place).is_some();
            let outcome = membership.apply(record);
            let changed_power = outcome.is_ok()
                && matches!(
                    record.body(),
                    Body::Admit(_) | Body::Remove(_) | Body::Leave | Body::Role(_) | Body::Policy(_)
                );
            match outcome {
                Ok(()) => drop(membership.counted.insert(record.id())),
                Err(void) => drop(membership.void.insert(record.id(), void)),
            }
            if was_cut || changed_power {
                self.weigh(membership);
            }
        }
    }

    /// The earliest record that need not wait. Should all wait for each other, the earliest of all.
    fn next(&self, membership: &Membership) -> Option<(Place, usize)> {
        let free = self.heads.iter().find(|(place, author)| {
            let head = self.chains[**author].last();
            head.is_some_and(|head| !self.waits(membership, **place, head))
        });
        free.or_else(|| self.heads.first_key_value()).map(|(place, author)| (*place, *author))
    }

    /// Whether this record has to be judged later: a standing cut at a later place does not honour it, or it is a cut
    /// that lost to a standing one in a ring.
    fn waits(&self, membership: &Membership, here: Place, record: &Record) -> bool {
        let (_, author, seq) = here;
        let mut relevant = self.cuts_against(author).iter().chain(&self.closings);
        let cut_off = relevant.any(|cut| {
            place(cut) > here
                && cut.author() != author
                && self.standing.contains(&place(cut))
                && honoured(membership, cut, author).is_some_and(|last| last < seq)
        });
        let lost = || {
            self.cuts.contains_key(&here)
                && !self.standing.contains(&here)
                && has_power(membership, record)
                && self
                    .standing
                    .iter()
                    .filter_map(|cut| self.cuts.get(cut))
                    .any(|cut| cuts_off(membership, record, cut))
        };
        cut_off || lost()
    }

    /// Finds out which cuts stand, given the membership now.
    fn weigh(&mut self, membership: &Membership) {
        let powerful = self.cuts.iter().filter(|(_, cut)| has_power(membership, cut));
        // Almost always nobody tries to cut the author off.
        let (contested, free): (Vec<_>, Vec<_>) =
            powerful.partition(|(_, cut)| !self.cuts_against(cut.author()).is_empty());
        let mut standing: BTreeSet<Place> = free.into_iter().map(|(place, _)| *place).collect();
        let mut undecided: BTreeMap<Place, &Record> =
            contested.into_iter().map(|(place, cut)| (*place, *cut)).collect();
        undecided.retain(|_, cut| {
            let mut opponents = self.cuts_against(cut.author()).iter();
            !opponents.any(|other| standing.contains(&place(other)) && cuts_off(membership, other, cut))
        });
        while !undecided.is_empty() {
            let opposed = |cut: &Record| {
                let mut opponents = self.cuts_against(cut.author()).iter();
                opponents.any(|other| undecided.contains_key(&place(other)) && cuts_off(membership, other, cut))
            };
            let unopposed = undecided.iter().find(|(_, cut)| !opposed(cut));
            // In a ring the cut of the most senior author stands.
            let chosen = unopposed.or_else(|| {
                undecided.iter().min_by_key(|(place, cut)| {
                    let author = membership.members.get(&cut.author());
                    (author.map(|author| (std::cmp::Reverse(author.role), author.standing)), **place)
                })
            });
            let Some((&chosen_place, &chosen)) = chosen else { break };
            undecided.remove(&chosen_place);
            let loses = |cut| cuts_off(membership, chosen, cut) || cuts_off(membership, cut, chosen);
            undecided.retain(|_, cut| !loses(cut));
            standing.insert(chosen_place);
        }
        self.standing = standing;
    }
}

/// Whether `cut`, if it stands, leaves `other` without effect.
fn cuts_off(membership: &Membership, cut: &Record, other: &Record) -> bool {
    let target = other.author();
    if place(cut) == place(other) || honoured(membership, cut, target).is_none_or(|last| other.seq() <= last) {
        return false;
    }
    let left = match cut.body() {
        Body::Role(set) => Some(set.role),
        Body::Policy(_) => membership.role(target),
        _ => None,
    };
    !suffices(membership, left, other)
}

/// The last record of `device` that `cut` honours; `None` when it takes nothing from that device.
fn honoured(membership: &Membership, cut: &Record, device: DeviceId) -> Option<u64> {
    match cut.body() {
        Body::Remove(remove) if remove.device == device => Some(remove.last_seq),
        Body::Leave if cut.author() == device => Some(cut.seq()),
        Body::Role(set) if set.device == device && membership.role(device) > Some(set.role) => {
            // On oneself it takes effect right where it stands.
            let own = if cut.author() == device { cut.seq() } else { 0 };
            Some(set.last_seq.max(own))
        }
        Body::Policy(policy)
            if policy.kind == NetworkKind::Closed
                && membership.kind == NetworkKind::Open
                && membership.role(device) == Some(Role::Member) =>
        {
            let listed = policy.honours.binary_search_by_key(&device, |(device, _)| *device);
            Some(listed.map_or(0, |at| policy.honours[at].1))
        }
        _ => None,
    }
}

/// Whether the author of `record` has the power for it now.
fn has_power(membership: &Membership, record: &Record) -> bool {
    let author = record.author();
    match record.body() {
        Body::Remove(remove) => membership.may_remove(author, remove.device).is_ok(),
        // A plain member has no power that its leaving could take.
        Body::Leave => membership.role(author) > Some(Role::Member) && membership.may_leave(author).is_ok(),
        // Whether an owner remains is judged at its place; here it is about power.
        Body::Role(_) | Body::Policy(_) => membership.may_govern(author),
        _ => false,
    }
}

/// Whether a device left with `role` could still write the cut `record`.
fn suffices(membership: &Membership, role: Option<Role>, record: &Record) -> bool {
    match record.body() {
        Body::Leave => role.is_some(),
        Body::Remove(remove) => match role {
            Some(Role::Owner) => true,
            Some(Role::Manager) => membership.role(remove.device) == Some(Role::Member),
            _ => false,
        },
        _ => role == Some(Role::Owner),
    }
}
