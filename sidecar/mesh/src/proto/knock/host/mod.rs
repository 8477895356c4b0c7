//! The side that is asked: a bounded, rate-limited queue of knocks.
//!
//! A stranger can make this device remember at most [`HostLimits::handshaking`] half-open knocks,
//! [`HostLimits::pending`] waiting ones, one per device key, and [`LIMITER_CAPACITY`] entries in each limiter.

mod types;

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

pub use types::{ConnId, DecideError, Decision, EndReason, HostEffect, HostEvent, HostLimits, HostSetup, PendingKnock};

use super::message::{
    Bundle, DenyKind, GUEST_LIMIT, GuestFrame, HELLO_LIMIT, Hello, HostFrame, KNOCK_PROTOCOL, MAX_ADDRESSES,
    MAX_REASON_CHARS,
};
use super::share::{Board, BoardEnd, BoardKnock, Decide, MAX_ENDED, MAX_ON_BOARD, Outcome, approval};
use crate::proto::{
    Millis,
    code::{Commitment, Nonce, Transcript},
    fold::Membership,
    ids::{DeviceId, KnockId, NetworkId},
    limits::Backoff,
    name::{DeviceName, clean_text},
    record::{MAX_OS_CHARS, Record, Role, Via},
};

/// Most keys, and most addresses, whose attempts are remembered.
pub const LIMITER_CAPACITY: usize = 1024;
/// Knocks that ended and are remembered, so that whoever answers too late hears who was first.
const MAX_OVER: usize = 64;
/// Longest app version shown, in characters.
const MAX_VERSION_CHARS: usize = 32;
/// What a guest is told to wait when there is no room for it.
const NO_ROOM_RETRY_MS: u64 = 30_000;

#[derive(Debug)]
enum Stage {
    /// `Hello` is awaited.
    Hello,
    /// `Reveal` is awaited.
    Challenged(Box<Hello>, DeviceName),
    /// A person decides.
    Pending(Box<PendingKnock>),
    /// The driver writes the admission.
    Admitting {
        knock: Box<PendingKnock>,
        /// Who decided; `None`: an invite did.
        by: Option<DeviceId>,
        /// Whether the guest went away meanwhile.
        left: bool,
    },
    /// The driver fetches the records for a member that lost them.
    Resending,
    /// The driver fetches the records that removed a former member.
    Telling,
}

impl Stage {
    fn is_with_driver(&self) -> bool {
        matches!(self, Self::Admitting { .. } | Self::Resending | Self::Telling)
    }
}

/// A knock that is over, kept for those who answer it too late.
#[derive(Debug, Clone, Copy)]
struct Over {
    knock: KnockId,
    reason: EndReason,
    by: Option<DeviceId>,
}

#[derive(Debug)]
struct Conn {
    device: DeviceId,
    address: Option<IpAddr>,
    nonce: Nonce,
    deadline: Millis,
    stage: Stage,
}

/// The knocks at this device, for its active network.
#[derive(Debug)]
pub struct Host {
    setup: HostSetup,
    conns: BTreeMap<ConnId, Conn>,
    devices: Backoff<DeviceId>,
    addresses: Backoff<IpAddr>,
    /// Whether another member is linked that may admit.
    passes_on: bool,
    /// Knocks that ended, the latest last.
    over: VecDeque<Over>,
}

impl Host {
    /// A host with an empty queue.
    pub fn new(setup: HostSetup) -> Self {
        let devices = Backoff::new(setup.limits.per_device, LIMITER_CAPACITY);
        let addresses = Backoff::new(setup.limits.per_address, LIMITER_CAPACITY);
        Self { setup, conns: BTreeMap::new(), devices, addresses, passes_on: false, over: VecDeque::new() }
    }

    /// Changes the name that guests are told.
    pub fn rename(&mut self, name: DeviceName) {
        self.setup.name = name;
    }

    /// Whether knocks are passed on to a linked member that may admit: then a host that may not takes them as well.
    pub fn passes_on(&mut self, passes_on: bool) {
        self.passes_on = passes_on;
    }

    /// The knocks to show, oldest first: those that wait, and those whose approval is being written.
    pub fn shown(&self) -> Vec<&PendingKnock> {
        let mut knocks: Vec<&PendingKnock> = self
            .conns
            .values()
            .filter_map(|conn| match &conn.stage {
                Stage::Pending(knock) | Stage::Admitting { knock, by: Some(_), .. } => Some(&**knock),
                _ => None,
            })
            .collect();
        knocks.sort_by_key(|knock| (knock.at, knock.conn));
        knocks
    }

    /// What other members that may admit are told.
    pub fn board(&self, seq: u64, now: Millis) -> Board {
        let tell = |knock: &&PendingKnock| BoardKnock {
            device: knock.device,
            device_name: knock.name.to_string(),
            os: knock.os.clone(),
            host_nonce: knock.host_nonce,
            guest_nonce: knock.guest_nonce,
            expires_in_ms: u64::try_from(knock.expires_at.saturating_sub(now)).unwrap_or(0),
        };
        let end = |over: &Over| BoardEnd { id: over.knock, outcome: over.reason.outcome(), by: over.by };
        Board {
            seq,
            waiting: self.shown().iter().take(MAX_ON_BOARD).map(tell).collect(),
            ended: self.over.iter().rev().take(MAX_ENDED).rev().map(end).collect(),
        }
    }

    /// The knocks that wait, oldest first.
    pub fn pending(&self) -> Vec<&PendingKnock> {
        let mut knocks: Vec<&PendingKnock> = self.pending_iter().collect();
        knocks.sort_by_key(|knock| (knock.at, knock.conn));
        knocks
    }

    /// One knock that waits.
    pub fn get(&self, id: KnockId) -> Option<&PendingKnock> {
        self.pending_iter().find(|knock| knock.id == id)
    }

    /// How many bytes the next frame on this connection may have.
    pub fn frame_limit(&self, conn: ConnId) -> usize {
        match self.conns.get(&conn).map(|conn| &conn.stage) {
            Some(Stage::Hello) => HELLO_LIMIT,
            _ => GUEST_LIMIT,
        }
    }

    /// When to send the next [`HostEvent::Tick`].
    pub fn deadline(&self) -> Option<Millis> {
        self.conns.values().filter(|conn| !conn.stage.is_with_driver()).map(|conn| conn.deadline).min()
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: HostEvent, now: Millis, membership: &Membership) -> Vec<HostEffect> {
        match event {
            HostEvent::Connected { conn, device, address, nonce } => {
                self.connected(conn, device, address.map(whole_site), nonce, now)
            }
            HostEvent::Frame { conn, frame } => self.frame(conn, frame, now, membership),
            HostEvent::Broken { conn, .. } => self.turn_down(conn, DenyKind::Protocol, None, EndReason::Faulty),
            HostEvent::Closed { conn } => self.closed(conn),
            HostEvent::Bundle { conn, bundle } => self.admitted(conn, bundle),
            HostEvent::AdmitFailed { conn } => self.admit_failed(conn),
            HostEvent::Tick => self.tick(now),
        }
    }

    /// Carries a decision of the person at this device out.
    pub fn decide(
        &mut self,
        id: KnockId,
        decision: Decision,
        membership: &Membership,
    ) -> Result<Vec<HostEffect>, DecideError> {
        let me = self.setup.me;
        let knock = self.undecided(id, me)?;
        match decision {
            Decision::Approve { code: Some(code), .. } if code != knock.code => Err(DecideError::CodesDiffer),
            Decision::Approve { role, .. } if !membership.may_grant(me, role) => Err(DecideError::MayNotGrant),
            Decision::Approve { role, .. } => Ok(self.begin_admission(knock, me, role, None)),
            Decision::Deny { kind, reason } => self.deny(&knock, me, kind, reason, membership),
        }
    }

    /// Carries out what another member, `by`, decided: a denial, or an approval by the record that it signed.
    pub fn decide_for(
        &mut self,
        by: DeviceId,
        decide: Decide,
        membership: &Membership,
    ) -> Result<Vec<HostEffect>, DecideError> {
        match decide {
            Decide::Approve { id, record } => {
                let knock = self.undecided(id, by)?;
                let record = Record::decode_for(membership.network, &record).map_err(|_| DecideError::MayNotGrant)?;
                let role = approval(&record, &knock, by).ok_or(DecideError::MayNotGrant)?;
                if !membership.may_grant(by, role) {
                    return Err(DecideError::MayNotGrant);
                }
                Ok(self.begin_admission(knock, by, role, Some(Box::new(record))))
            }
            Decide::Deny { id, kind, reason } => {
                let knock = self.undecided(id, by)?;
                let kind = if kind == DenyKind::CodesDiffer { kind } else { DenyKind::Denied };
                self.deny(&knock, by, kind, reason, membership)
            }
        }
    }

    /// The knock, if it still waits for a decision; else what `asker` is to be told.
    fn undecided(&self, id: KnockId, asker: DeviceId) -> Result<PendingKnock, DecideError> {
        for conn in self.conns.values() {
            match &conn.stage {
                Stage::Pending(knock) if knock.id == id => return Ok((**knock).clone()),
                Stage::Admitting { knock, by: Some(by), .. } if knock.id == id && *by != asker => {
                    return Err(DecideError::Decided { by: *by, approved: true });
                }
                Stage::Admitting { knock, .. } if knock.id == id => return Err(DecideError::Deciding),
                _ => {}
            }
        }
        let over = self.over.iter().rev().find(|over| over.knock == id);
        match over.and_then(|over| Some((over.by.filter(|by| *by != asker)?, over.reason))) {
            Some((by, reason)) => Err(DecideError::Decided { by, approved: reason == EndReason::Admitted }),
            None => Err(DecideError::Gone),
        }
    }

    fn begin_admission(
        &mut self,
        knock: PendingKnock,
        by: DeviceId,
        role: Role,
        signed: Option<Box<Record>>,
    ) -> Vec<HostEffect> {
        let waiting = Box::new(knock.clone());
        self.set_stage(knock.conn, Stage::Admitting { knock: waiting, by: Some(by), left: false });
        vec![HostEffect::Admit { knock, role, via: Via::Knock, signed }]
    }

    fn deny(
        &mut self,
        knock: &PendingKnock,
        by: DeviceId,
        kind: DenyKind,
        reason: Option<String>,
        membership: &Membership,
    ) -> Result<Vec<HostEffect>, DecideError> {
        if !membership.may_admit(by) {
            return Err(DecideError::MayNotGrant);
        }
        let reason = reason.map(|text| clean_text(&text, MAX_REASON_CHARS)).filter(|text| !text.is_empty());
        let frame = HostFrame::Denied { kind, reason };
        let mut effects = vec![HostEffect::Send { conn: knock.conn, frame }];
        effects.extend(self.forget_by(knock.conn, EndReason::Denied, Some(by)));
        Ok(effects)
    }

    /// Ends every knock, since this device leaves the network.
    pub fn stop(&mut self) -> Vec<HostEffect> {
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        let stop = |conn| self.turn_down(conn, DenyKind::WrongNetwork, None, EndReason::Stopped);
        conns.into_iter().flat_map(stop).collect()
    }

    fn connected(
        &mut self,
        conn: ConnId,
        device: DeviceId,
        address: Option<IpAddr>,
        nonce: Nonce,
        now: Millis,
    ) -> Vec<HostEffect> {
        if let Some(wait) = self.devices.wait(&device, now) {
            return busy(conn, wait);
        }
        if let Some(address) = address
            && let Err(wait) = self.addresses.attempt(&address, now)
        {
            return busy(conn, wait);
        }
        // A half-open knock of the same device makes way; a waiting one stays until this one has come as far.
        let older = self.conns.iter().find(|(_, other)| other.device == device && other.is_handshaking());
        let mut effects = match older.map(|(id, _)| *id) {
            Some(older) => self.forget(older, EndReason::Replaced),
            None => Vec::new(),
        };
        if self.conns.values().filter(|conn| conn.is_handshaking()).count() >= self.setup.limits.handshaking {
            effects.extend(busy(conn, NO_ROOM_RETRY_MS));
            return effects;
        }
        let deadline = now + self.setup.limits.step_ms;
        self.conns.insert(conn, Conn { device, address, nonce, deadline, stage: Stage::Hello });
        effects
    }

    fn frame(&mut self, id: ConnId, frame: GuestFrame, now: Millis, membership: &Membership) -> Vec<HostEffect> {
        let Some(conn) = self.conns.get_mut(&id) else { return Vec::new() };
        match (&mut conn.stage, frame) {
            (Stage::Hello, GuestFrame::Hello(hello)) => self.hello(id, hello, now, membership),
            (Stage::Hello, GuestFrame::Why { network }) => self.why(id, network, membership),
            (Stage::Challenged(hello, name), GuestFrame::Reveal { nonce }) => {
                let (hello, name) = ((**hello).clone(), name.clone());
                self.revealed(id, hello, name, nonce, now, membership)
            }
            // Too late: the admission is being written, and will be there when the guest comes back.
            (Stage::Admitting { .. } | Stage::Resending | Stage::Telling, GuestFrame::Withdraw) => Vec::new(),
            (_, GuestFrame::Withdraw) => self.forget(id, EndReason::Withdrawn),
            _ => self.turn_down(id, DenyKind::Protocol, None, EndReason::Faulty),
        }
    }

    fn hello(&mut self, id: ConnId, hello: Hello, now: Millis, membership: &Membership) -> Vec<HostEffect> {
        let Some(device) = self.conns.get(&id).map(|conn| conn.device) else { return Vec::new() };
        let refuse = if hello.network != membership.network {
            Some(DenyKind::WrongNetwork)
        } else if hello.protocol != KNOCK_PROTOCOL {
            Some(DenyKind::Version)
        } else if hello.addresses.len() > MAX_ADDRESSES {
            Some(DenyKind::Protocol)
        } else {
            None
        };
        let name = match (refuse, DeviceName::parse(&hello.device_name)) {
            (None, Ok(name)) => name,
            (kind, _) => return self.turn_down(id, kind.unwrap_or(DenyKind::Protocol), None, EndReason::Faulty),
        };
        if membership.is_member(device) {
            self.set_stage(id, Stage::Resending);
            return vec![HostEffect::Resend { conn: id, device }];
        }
        if !membership.may_admit(self.setup.me) && !self.passes_on {
            return self.turn_down(id, DenyKind::CannotAdmit, None, EndReason::Denied);
        }
        if let Err(wait) = self.devices.attempt(&device, now) {
            return self.send_away(id, wait);
        }
        if !self.has_room(id) {
            return self.send_away(id, NO_ROOM_RETRY_MS);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return Vec::new() };
        conn.deadline = now + self.setup.limits.step_ms;
        conn.stage = Stage::Challenged(Box::new(hello), name);
        let frame = HostFrame::Challenge { nonce: conn.nonce, device_name: self.setup.name.to_string() };
        vec![HostEffect::Send { conn: id, frame }]
    }

    /// Whoever was removed may know by which record: it is told so as well when it is there at that moment.
    fn why(&mut self, id: ConnId, network: NetworkId, membership: &Membership) -> Vec<HostEffect> {
        let Some(device) = self.conns.get(&id).map(|conn| conn.device) else { return Vec::new() };
        if network != membership.network {
            return self.turn_down(id, DenyKind::WrongNetwork, None, EndReason::Faulty);
        }
        if membership.former.get(&device).is_none_or(|former| former.by == device) {
            return self.forget(id, EndReason::Withdrawn);
        }
        self.set_stage(id, Stage::Telling);
        vec![HostEffect::TellRemoval { conn: id, device }]
    }

    fn revealed(
        &mut self,
        id: ConnId,
        hello: Hello,
        name: DeviceName,
        nonce: Nonce,
        now: Millis,
        membership: &Membership,
    ) -> Vec<HostEffect> {
        let Some(conn) = self.conns.get(&id) else { return Vec::new() };
        let (device, address) = (conn.device, conn.address);
        if Commitment::to(hello.network, device, &nonce) != hello.commitment {
            return self.turn_down(id, DenyKind::Protocol, None, EndReason::Faulty);
        }
        if !self.has_room(id) {
            return self.send_away(id, NO_ROOM_RETRY_MS);
        }
        let transcript = Transcript {
            network: hello.network,
            host: self.setup.me,
            guest: device,
            host_nonce: conn.nonce,
            guest_nonce: nonce,
        };
        let older = self.pending_iter().find(|knock| knock.device == device).map(|knock| knock.conn);
        let mut effects = older.map_or_else(Vec::new, |older| self.forget(older, EndReason::Replaced));
        let mut knock = PendingKnock {
            id: transcript.knock_id(),
            conn: id,
            device,
            resembles: membership.resembled(&name, device).map(|(_, member)| member.name.clone()),
            name,
            os: clean_text(&hello.os, MAX_OS_CHARS),
            app_version: clean_text(&hello.app_version, MAX_VERSION_CHARS),
            code: transcript.code(),
            at: now,
            expires_at: now + self.setup.limits.decide_ms,
            address,
            addresses: hello.addresses,
            invite: None,
            host_nonce: transcript.host_nonce,
            guest_nonce: transcript.guest_nonce,
        };
        if let Some((invite, proof)) = hello.invite.and_then(|claim| claim.proof.map(|proof| (claim.id, proof))) {
            match membership.check_invite(self.setup.me, device, invite, &proof, now) {
                Ok(role) => {
                    let waiting = Box::new(knock.clone());
                    self.set_stage(id, Stage::Admitting { knock: waiting, by: None, left: false });
                    let via = Via::Invite { id: invite, proof };
                    effects.push(HostEffect::Admit { knock, role, via, signed: None });
                    return effects;
                }
                Err(problem) => knock.invite = Some(problem),
            }
        }
        let expires_in_ms = u64::try_from(self.setup.limits.decide_ms).unwrap_or(0);
        let frame = HostFrame::Waiting { expires_in_ms, invite: knock.invite };
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.deadline = knock.expires_at;
        }
        self.set_stage(id, Stage::Pending(Box::new(knock.clone())));
        effects.push(HostEffect::Send { conn: id, frame });
        effects.push(HostEffect::Arrived(knock));
        effects
    }

    fn admitted(&mut self, id: ConnId, bundle: Bundle) -> Vec<HostEffect> {
        let Some(conn) = self.conns.get(&id).filter(|conn| conn.stage.is_with_driver()) else { return Vec::new() };
        let by = if let Stage::Admitting { by, .. } = &conn.stage { *by } else { None };
        if matches!(conn.stage, Stage::Telling) {
            let mut effects =
                vec![HostEffect::Send { conn: id, frame: HostFrame::Removed { records: bundle.records } }];
            effects.extend(self.forget(id, EndReason::Withdrawn));
            return effects;
        }
        self.devices.forgive(&conn.device);
        let mut effects = vec![HostEffect::Send { conn: id, frame: HostFrame::Admitted(bundle) }];
        effects.extend(self.forget_by(id, EndReason::Admitted, by));
        effects
    }

    fn admit_failed(&mut self, id: ConnId) -> Vec<HostEffect> {
        match self.conns.get_mut(&id) {
            // What another member signed did not hold: that must not cost the guest its knock.
            Some(Conn { stage: stage @ Stage::Admitting { .. }, .. }) => {
                if let Stage::Admitting { knock, by, left } = stage
                    && by.is_some_and(|by| by != self.setup.me)
                {
                    if *left {
                        return self.forget(id, EndReason::Withdrawn);
                    }
                    *stage = Stage::Pending(knock.clone());
                    return Vec::new();
                }
            }
            Some(_) => {}
            None => return Vec::new(),
        }
        let reason = Some("The other device could not save the approval. Knock again.".to_owned());
        self.turn_down(id, DenyKind::CannotAdmit, reason, EndReason::Failed)
    }

    fn closed(&mut self, id: ConnId) -> Vec<HostEffect> {
        match self.conns.get_mut(&id) {
            // The admission is being written; it is told as admitted when that is done.
            Some(Conn { stage: Stage::Admitting { left, .. }, .. }) => {
                *left = true;
                Vec::new()
            }
            None => Vec::new(),
            Some(_) => {
                let mut effects = self.forget(id, EndReason::Withdrawn);
                effects.retain(|effect| !matches!(effect, HostEffect::Close { .. }));
                effects
            }
        }
    }

    fn tick(&mut self, now: Millis) -> Vec<HostEffect> {
        let due = |conn: &Conn| conn.deadline <= now && !conn.stage.is_with_driver();
        let late: Vec<ConnId> = self.conns.iter().filter(|(_, conn)| due(conn)).map(|(id, _)| *id).collect();
        let mut effects = Vec::new();
        for conn in late {
            effects.push(HostEffect::Send { conn, frame: HostFrame::Expired });
            effects.extend(self.forget(conn, EndReason::Expired));
        }
        effects
    }

    /// Whether a knock on this connection may wait; a waiting one of the same device would make way for it.
    fn has_room(&self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(&id) else { return false };
        let others = || self.pending_iter().filter(|knock| knock.device != conn.device);
        let neighbours = others().filter(|knock| knock.address.is_some() && knock.address == conn.address).count();
        others().count() < self.setup.limits.pending && neighbours < self.setup.limits.pending_per_address
    }

    fn set_stage(&mut self, id: ConnId, stage: Stage) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.stage = stage;
        }
    }

    fn send_away(&mut self, id: ConnId, retry_after_ms: u64) -> Vec<HostEffect> {
        self.conns.remove(&id);
        busy(id, retry_after_ms)
    }

    fn turn_down(&mut self, id: ConnId, kind: DenyKind, why: Option<String>, end: EndReason) -> Vec<HostEffect> {
        if !self.conns.contains_key(&id) {
            return Vec::new();
        }
        let mut effects = vec![HostEffect::Send { conn: id, frame: HostFrame::Denied { kind, reason: why } }];
        effects.extend(self.forget(id, end));
        effects
    }

    /// Drops a connection and tells whoever watches its knock.
    fn forget(&mut self, id: ConnId, reason: EndReason) -> Vec<HostEffect> {
        self.forget_by(id, reason, None)
    }

    fn forget_by(&mut self, id: ConnId, reason: EndReason, by: Option<DeviceId>) -> Vec<HostEffect> {
        let Some(conn) = self.conns.remove(&id) else { return Vec::new() };
        let mut effects = vec![HostEffect::Close { conn: id }];
        if let Stage::Pending(knock) | Stage::Admitting { knock, .. } = conn.stage {
            if self.over.len() >= MAX_OVER {
                self.over.pop_front();
            }
            self.over.push_back(Over { knock: knock.id, reason, by });
            effects.push(HostEffect::Ended { knock: knock.id, reason, by });
        }
        effects
    }

    fn pending_iter(&self) -> impl Iterator<Item = &PendingKnock> {
        self.conns.values().filter_map(|conn| match &conn.stage {
            Stage::Pending(knock) => Some(&**knock),
            _ => None,
        })
    }
}

impl EndReason {
    /// As other members are told.
    fn outcome(self) -> Outcome {
        match self {
            Self::Admitted => Outcome::Approved,
            Self::Denied => Outcome::Denied,
            Self::Expired => Outcome::Expired,
            Self::Withdrawn | Self::Replaced | Self::Faulty | Self::Failed | Self::Stopped => Outcome::Withdrawn,
        }
    }
}

impl Conn {
    fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Hello | Stage::Challenged(..))
    }
}

fn busy(conn: ConnId, retry_after_ms: u64) -> Vec<HostEffect> {
    vec![HostEffect::Send { conn, frame: HostFrame::Busy { retry_after_ms } }, HostEffect::Close { conn }]
}

/// An IPv6 customer has a /64 at least: all of it counts as one address.
fn whole_site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6 != Ipv6Addr::LOCALHOST => {
            let site = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(site))
        }
        IpAddr::V6(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
