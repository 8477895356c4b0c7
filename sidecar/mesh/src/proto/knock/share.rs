//! Knocks passed on between members, so that any of them who may admit can answer.
//!
//! The member that is knocked at, the **host**, stays the single judge. It keeps a [`Board`] with every knock that waits,
//! and sends the whole of it to each linked member that may admit, whenever it changes. A member shows what is on the
//! boards of others ([`PassedOn`]); who decides there sends a [`Decide`] to the host and gets a [`Verdict`]. An approval
//! carries the admit record, signed by the device that decided: the host cannot invent one.
//!
//! Nothing on a board is believed beyond what the host could do anyway. The id and the code are derived here, from the
//! host's own key, so a board cannot name a code without searching for nonces that give it, which takes longer than a
//! knock waits (see [`code`](crate::proto::code)); texts are cleaned; and one member fills only its share of the screen,
//! at a bounded rate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::host::PendingKnock;
use super::message::DenyKind;
use crate::proto::{
    Millis,
    code::{Code, Nonce, Transcript},
    fold::Membership,
    ids::{DeviceId, KnockId, NetworkId},
    name::{DeviceName, clean_text},
    record::{Body, MAX_OS_CHARS, MAX_RECORD_BYTES, Record, Role, Via},
};

/// Most bytes of a [`Board`].
pub const BOARD_LIMIT: usize = 64 * 1024;
/// Most bytes of a [`Decide`].
pub const DECIDE_LIMIT: usize = MAX_RECORD_BYTES + 2 * 1024;
/// Most knocks on one board.
pub const MAX_ON_BOARD: usize = 32;
/// Most ended knocks that a board still tells of.
pub const MAX_ENDED: usize = 16;
/// Ended knocks of others that are remembered, so that whoever answers too late hears who was first.
const MAX_OVER: usize = 64;
/// The longest that a knock of another member's board is shown.
const LONGEST_MS: Millis = 5 * 60_000;
const MINUTE_MS: Millis = 60_000;

/// Everything that waits at a host, and what ended lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Rises with every change, also across restarts: an older board that arrives late is passed over.
    pub seq: u64,
    /// Knocks that wait, oldest first.
    pub waiting: Vec<BoardKnock>,
    /// Knocks that ended, the latest last.
    pub ended: Vec<BoardEnd>,
}

/// A knock on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardKnock {
    /// Who knocks.
    pub device: DeviceId,
    /// What it calls itself.
    pub device_name: String,
    /// Its operating system.
    pub os: String,
    /// The host's contribution to the code.
    pub host_nonce: Nonce,
    /// The guest's.
    pub guest_nonce: Nonce,
    /// How long it still waits. A duration, so that the two clocks need not agree.
    pub expires_in_ms: u64,
}

/// A knock that no longer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardEnd {
    /// Which.
    pub id: KnockId,
    /// How it ended.
    pub outcome: Outcome,
    /// The member that decided.
    pub by: Option<DeviceId>,
}

/// How a knock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Somebody approved it.
    Approved,
    /// Somebody denied it.
    Denied,
    /// The guest, or the host, went away.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
}

/// What a member asks a host to do with a knock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decide {
    /// Admit the guest by this record, signed by the asking member.
    Approve {
        /// Which knock.
        id: KnockId,
        /// The admit record.
        record: Vec<u8>,
    },
    /// Turn it down.
    Deny {
        /// Which knock.
        id: KnockId,
        /// Why.
        kind: DenyKind,
        /// In words.
        reason: Option<String>,
    },
}

/// What a host answers to a [`Decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is done.
    Done,
    /// Somebody else was first.
    Decided {
        /// Who, if it is a member.
        by: Option<DeviceId>,
        /// Whether it was approved.
        approved: bool,
    },
    /// No such knock waits.
    Gone,
    /// The asking member may not decide that, or its record does not hold.
    MayNot,
    /// The host could not save it; the knock still waits.
    Failed,
}

/// Who `record` admits, if it is what `by` signs to approve `knock`.
pub fn approval(record: &Record, knock: &PendingKnock, by: DeviceId) -> Option<Role> {
    let Body::Admit(admit) = record.body() else { return None };
    let fits = record.author() == by
        && admit.via == Via::Knock
        && admit.device == knock.device
        && admit.name == knock.name
        && admit.os == knock.os;
    fits.then_some(admit.role)
}

/// The numbers of a [`PassedOn`].
#[derive(Debug, Clone, Copy)]
pub struct PassedLimits {
    /// Knocks shown in all.
    pub shown: usize,
    /// Of these, from one host.
    pub per_host: usize,
    /// New ones of one host in a minute.
    pub per_minute: u32,
}

impl Default for PassedLimits {
    fn default() -> Self {
        Self { shown: 32, per_host: 8, per_minute: 12 }
    }
}

/// A knock at another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedKnock {
    /// The member that is knocked at.
    pub host: DeviceId,
    /// Its id, the same on all three devices.
    pub id: KnockId,
    /// The network it asks for.
    pub network: NetworkId,
    /// Who knocks.
    pub device: DeviceId,
    /// What it calls itself, cleaned.
    pub name: DeviceName,
    /// A member whose name this one could be taken for.
    pub resembles: Option<DeviceName>,
    /// Its operating system, cleaned.
    pub os: String,
    /// The code that its screen must show.
    pub code: Code,
    /// When it was heard of.
    pub at: Millis,
    /// When it ends.
    pub expires_at: Millis,
}

/// What a member wants done about knocks at others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassedEffect {
    /// Show a knock.
    Arrived(PassedKnock),
    /// Stop showing it.
    Ended {
        /// Which.
        knock: PassedKnock,
        /// How it ended.
        outcome: Outcome,
        /// Who decided, if it is a member that may.
        by: Option<DeviceId>,
    },
    /// This host passes more on than a screen can take; the rest is not shown.
    TooMany(DeviceId),
}

/// A knock on a board, read and not shown yet.
struct Told<'a> {
    transcript: Transcript,
    name: DeviceName,
    os: &'a str,
    left: Millis,
}

impl Told<'_> {
    fn shown(self, id: KnockId, now: Millis, membership: &Membership) -> PassedKnock {
        let device = self.transcript.guest;
        PassedKnock {
            host: self.transcript.host,
            id,
            network: self.transcript.network,
            device,
            resembles: membership.resembled(&self.name, device).map(|(_, member)| member.name.clone()),
            name: self.name,
            os: clean_text(self.os, MAX_OS_CHARS),
            code: self.transcript.code(),
            at: now,
            expires_at: now + self.left,
        }
    }
}

/// Why a board is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// No honest host sends it.
    #[error("a board with more knocks than may wait")]
    TooLong,
    /// This device may not admit, as far as it knows: it may not have heard yet that it may.
    #[error("this device may not answer knocks, as far as it has heard")]
    NotMine,
}

/// What is known of one host.
#[derive(Debug, Default)]
struct HostBoard {
    seq: u64,
    /// Whether a link to it was seen since its first board.
    linked: bool,
    knocks: BTreeMap<KnockId, PassedKnock>,
    /// When the present minute of arrivals began, and how many there were.
    minute: (Millis, u32),
}

/// The knocks at other members, for the active network.
#[derive(Debug)]
pub struct PassedOn {
    me: DeviceId,
    limits: PassedLimits,
    hosts: BTreeMap<DeviceId, HostBoard>,
    /// Knocks that were decided, the latest last.
    over: VecDeque<BoardEnd>,
}

impl PassedOn {
    /// Nothing yet.
    pub fn new(me: DeviceId, limits: PassedLimits) -> Self {
        Self { me, limits, hosts: BTreeMap::new(), over: VecDeque::new() }
    }

    /// The knocks to show, oldest first.
    pub fn knocks(&self) -> Vec<&PassedKnock> {
        let mut knocks: Vec<&PassedKnock> = self.hosts.values().flat_map(|host| host.knocks.values()).collect();
        knocks.sort_by_key(|knock| (knock.at, knock.id));
        knocks
    }

    /// One knock.
    pub fn get(&self, id: KnockId) -> Option<&PassedKnock> {
        self.hosts.values().find_map(|host| host.knocks.get(&id))
    }

    /// How a knock that was shown has ended, if it ended lately.
    pub fn ended(&self, id: KnockId) -> Option<&BoardEnd> {
        self.over.iter().rev().find(|end| end.id == id)
    }

    /// When to call [`PassedOn::tick`].
    pub fn deadline(&self) -> Option<Millis> {
        self.hosts.values().flat_map(|host| host.knocks.values()).map(|knock| knock.expires_at).min()
    }

    /// Takes the board of the linked member `host` in. `here` are devices that knock at this device itself.
    pub fn board(
        &mut self,
        host: DeviceId,
        board: Board,
        here: &BTreeSet<DeviceId>,
        now: Millis,
        membership: &Membership,
    ) -> Result<Vec<PassedEffect>, BoardError> {
        if board.waiting.len() > MAX_ON_BOARD || board.ended.len() > MAX_ENDED {
            return Err(BoardError::TooLong);
        }
        if !membership.is_member(host) || !membership.may_admit(self.me) {
            return Err(BoardError::NotMine);
        }
        let known = self.hosts.entry(host).or_default();
        if board.seq <= known.seq {
            return Ok(Vec::new());
        }
        known.seq = board.seq;
        let waiting: BTreeMap<KnockId, Told> = board
            .waiting
            .iter()
            .filter_map(|knock| self.read(host, knock, membership))
            .map(|told| (told.transcript.knock_id(), told))
            .collect();
        let mut effects = self.end_missing(host, &waiting, &board.ended, membership);
        effects.extend(self.add_new(host, waiting, here, now, membership));
        Ok(effects)
    }

    /// A knock as `host` tells it; `None` when it cannot be shown.
    fn read<'a>(&self, host: DeviceId, told: &'a BoardKnock, membership: &Membership) -> Option<Told<'a>> {
        let device = told.device;
        if device == self.me || device == host || membership.is_member(device) {
            return None;
        }
        let name = DeviceName::parse(&told.device_name).ok()?;
        let transcript = Transcript {
            network: membership.network,
            host,
            guest: device,
            host_nonce: told.host_nonce,
            guest_nonce: told.guest_nonce,
        };
        let left = Millis::try_from(told.expires_in_ms).unwrap_or(LONGEST_MS).min(LONGEST_MS);
        Some(Told { transcript, name, os: &told.os, left })
    }

    fn end_missing(
        &mut self,
        host: DeviceId,
        waiting: &BTreeMap<KnockId, Told>,
        ended: &[BoardEnd],
        membership: &Membership,
    ) -> Vec<PassedEffect> {
        let Some(known) = self.hosts.get_mut(&host) else { return Vec::new() };
        let missing: Vec<_> = known.knocks.extract_if(.., |id, _| !waiting.contains_key(id)).collect();
        let mut effects = Vec::with_capacity(missing.len());
        for (id, knock) in missing {
            let end = ended.iter().rev().find(|end| end.id == id);
            let outcome = end.map_or(Outcome::Withdrawn, |end| end.outcome);
            let by = end.and_then(|end| end.by).filter(|by| membership.may_admit(*by));
            if self.over.len() >= MAX_OVER {
                self.over.pop_front();
            }
            self.over.push_back(BoardEnd { id, outcome, by });
            effects.push(PassedEffect::Ended { knock, outcome, by });
        }
        effects
    }

    fn add_new(
        &mut self,
        host: DeviceId,
        waiting: BTreeMap<KnockId, Told>,
        here: &BTreeSet<DeviceId>,
        now: Millis,
        membership: &Membership,
    ) -> Vec<PassedEffect> {
        let mut effects = Vec::new();
        let mut too_many = false;
        for (id, told) in waiting {
            let device = told.transcript.guest;
            let shown: Vec<DeviceId> = self.knocks().iter().map(|knock| knock.device).collect();
            // One device, one card: the one that was there first, and before all the one at this device.
            if self.get(id).is_some() || shown.contains(&device) || here.contains(&device) {
                continue;
            }
            let Some(known) = self.hosts.get_mut(&host) else { break };
            if now.saturating_sub(known.minute.0) >= MINUTE_MS {
                known.minute = (now, 0);
            }
            let full = known.knocks.len() >= self.limits.per_host || shown.len() + here.len() >= self.limits.shown;
            if full || known.minute.1 >= self.limits.per_minute {
                too_many = true;
                continue;
            }
            known.minute.1 += 1;
            // Only now: a code takes some work, and a board could ask for it all the time.
            let knock = told.shown(id, now, membership);
            known.knocks.insert(id, knock.clone());
            effects.push(PassedEffect::Arrived(knock));
        }
        if too_many {
            effects.push(PassedEffect::TooMany(host));
        }
        effects
    }

    /// Tells which members are linked: the knocks at a host whose link is lost end.
    pub fn links(&mut self, linked: &BTreeSet<DeviceId>) -> Vec<PassedEffect> {
        let mut lost = Vec::new();
        for (host, known) in &mut self.hosts {
            if linked.contains(host) {
                known.linked = true;
            } else if known.linked {
                lost.push(*host);
            }
        }
        lost.into_iter().flat_map(|host| self.gone(host)).collect()
    }

    /// Ends what is past its time.
    pub fn tick(&mut self, now: Millis) -> Vec<PassedEffect> {
        let late = self.hosts.values_mut().flat_map(|host| host.knocks.extract_if(.., |_, it| it.expires_at <= now));
        late.map(|(_, knock)| PassedEffect::Ended { knock, outcome: Outcome::Expired, by: None }).collect()
    }

    /// Ends everything, since this device leaves the network or may not admit any more.
    pub fn stop(&mut self) -> Vec<PassedEffect> {
        let hosts: Vec<DeviceId> = self.hosts.keys().copied().collect();
        let effects = hosts.into_iter().flat_map(|host| self.gone(host)).collect();
        self.hosts.clear();
        effects
    }

    /// What came from `host` ends. How much it told in this minute stays: connecting anew is no way around it.
    fn gone(&mut self, host: DeviceId) -> Vec<PassedEffect> {
        let Some(known) = self.hosts.get_mut(&host) else { return Vec::new() };
        (known.seq, known.linked) = (0, false);
        std::mem::take(&mut known.knocks)
            .into_values()
            .map(|knock| PassedEffect::Ended { knock, outcome: Outcome::Withdrawn, by: None })
            .collect()
    }
}

#[cfg(test)]
mod tests;
