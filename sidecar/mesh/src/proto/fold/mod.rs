//! From records to membership: a pure function of the set of records.
//!
//! [`fold`] gives the same [`Membership`] for the same records in any order and with any duplicates. It walks the
//! records by hybrid logical clock and lets each one count only if its author, at that place, may say what it says.
//!
//! - [`rules`] holds who may do what.
//! - [`order`] decides the order, and makes a removal bite on what the removed device back-dates.
//! - `state` applies one record.
//!
//! The rules and their reasons in words: docs/PROTOCOL.md, "Membership".

mod order;
mod rules;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Millis,
    hlc::Hlc,
    ids::{DeviceId, InviteId, NetworkId, RecordId},
    name::{DeviceName, NetworkName},
    record::{InviteGrant, NetworkKind, Record, Role, Via},
    settings::NetworkSettings,
};

/// A member of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it calls itself, or what it was admitted as.
    pub name: DeviceName,
    /// Its operating system.
    pub os: String,
    /// What it may do.
    pub role: Role,
    /// When it was admitted.
    pub admitted_at: Hlc,
    /// Who admitted it; the founder itself for the founder.
    pub admitted_by: DeviceId,
    /// By whose leave; `None` for the founder.
    pub via: Option<Via>,
    /// Its place by seniority: the smaller of two members of one role has held it for longer.
    pub standing: u32,
}

/// A device that was a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// Its last name.
    pub name: DeviceName,
    /// When it ended.
    pub ended_at: Hlc,
    /// Who removed it; itself when it left.
    pub by: DeviceId,
}

/// One time of membership, by the numbers of its device's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The last of its records that counts; `None` while it goes on.
    pub last_seq: Option<u64>,
}

/// A pre-approved invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteState {
    /// Who made it.
    pub inviter: DeviceId,
    /// What it grants.
    pub grant: InviteGrant,
    /// Whom it admitted, in order.
    pub used_by: Vec<DeviceId>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl InviteState {
    /// How many devices it can still admit, expiry aside.
    pub fn uses_left(&self) -> u32 {
        let used = u32::try_from(self.used_by.len()).unwrap_or(u32::MAX);
        if self.revoked { 0 } else { self.grant.uses.saturating_sub(used) }
    }
}

/// A device that signed two different records with one number: a lie, or a restored backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivocation {
    /// Who.
    pub author: DeviceId,
    /// The number used twice.
    pub seq: u64,
    /// The record that stands: the earliest, then that of the smallest id.
    pub kept: RecordId,
    /// Another one.
    pub dropped: RecordId,
}

/// Why a record does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Void {
    /// Its author was no member at its place, or a removal does not honour it.
    #[error("its author was not a member")]
    NotMember,
    /// Its author may not do that.
    #[error("its author may not do that")]
    NoAuthority,
    /// It would leave the network without an owner.
    #[error("the last owner has to stay")]
    LastOwner,
    /// Its clock is not after its author's record before it.
    #[error("its time is before that of an earlier record of its author")]
    BackDated,
    /// Its author used its number for another record.
    #[error("its author used its number twice")]
    Equivocation,
    /// It admits a member, or changes a device that is none.
    #[error("it changes nothing")]
    NoEffect,
    /// The invite it names is unknown, revoked, expired or used up, or the proof is wrong.
    #[error("the invite it names does not hold")]
    Invite,
    /// A second genesis record, or one of another network.
    #[error("a network is founded once")]
    Genesis,
}

/// What a network's records amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The network.
    pub network: NetworkId,
    /// Its name.
    pub name: NetworkName,
    /// Who may admit.
    pub kind: NetworkKind,
    /// How its devices find and reach each other.
    pub settings: NetworkSettings,
    /// Who founded it.
    pub founder: DeviceId,
    /// When.
    pub founded_at: Hlc,
    /// Its members.
    pub members: BTreeMap<DeviceId, Member>,
    /// Who was a member and is none now.
    pub former: BTreeMap<DeviceId, Former>,
    /// The times at which each device was a member, in order.
    pub terms: BTreeMap<DeviceId, Vec<Term>>,
    /// Its pre-approved invites, past ones included.
    pub invites: BTreeMap<InviteId, InviteState>,
    /// Numbers that were used twice, for owners to see.
    pub equivocations: Vec<Equivocation>,
    /// The records that count, of kinds unknown here too. Everything else that is replicated folds over these.
    pub counted: BTreeSet<RecordId>,
    /// The records that do not count, and why.
    pub void: BTreeMap<RecordId, Void>,
    /// The highest number seen of each author, counted or not: what a removal written now should honour.
    pub heads: BTreeMap<DeviceId, u64>,
    /// Gives the next standing.
    next_standing: u32,
}

/// Folds the records of `network`. `None` until its genesis record is among them; records of other networks are
/// passed over.
pub fn fold<'a>(network: NetworkId, records: impl IntoIterator<Item = &'a Record>) -> Option<Membership> {
    order::run(network, records)
}

impl Membership {
    /// The role of a device, if it is a member.
    pub fn role(&self, device: DeviceId) -> Option<Role> {
        self.members.get(&device).map(|member| member.role)
    }

    /// Whether a device is a member.
    pub fn is_member(&self, device: DeviceId) -> bool {
        self.members.contains_key(&device)
    }

    /// Whether a record of `device` outside the membership's own counts by its number: it was a member, and what ended
    /// that honours the number. Numbers of the time between two memberships count with the second; a device that is a
    /// member again is trusted again.
    pub fn honours(&self, device: DeviceId, seq: u64) -> bool {
        let terms = self.terms.get(&device).map_or(&[][..], Vec::as_slice);
        terms.iter().any(|term| term.last_seq.is_none_or(|last| seq <= last))
    }

    /// When the network was founded.
    pub fn founded_at(&self) -> Millis {
        self.founded_at.millis()
    }

    /// The highest number seen of this author, 0 when there is none.
    pub fn head(&self, device: DeviceId) -> u64 {
        self.heads.get(&device).copied().unwrap_or(0)
    }

    /// What a record that closes the network should honour: everything seen of plain members.
    pub fn honours_when_closing(&self) -> Vec<(DeviceId, u64)> {
        let plain = self.members.iter().filter(|(_, member)| member.role == Role::Member);
        plain.map(|(device, _)| (*device, self.head(*device))).filter(|(_, seq)| *seq > 0).collect()
    }

    /// The member, other than `except`, whose name `name` could be taken for.
    pub fn resembled(&self, name: &DeviceName, except: DeviceId) -> Option<(DeviceId, &Member)> {
        let mut others = self.members.iter().filter(|(device, _)| **device != except);
        others.find(|(_, member)| super::name::resembles(&member.name, name)).map(|(device, member)| (*device, member))
    }
}

#[cfg(test)]
mod tests;
