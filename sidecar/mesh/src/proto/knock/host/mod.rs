//! The side that is asked: a bounded, rate-limited queue of knocks.
//!
//! A stranger can make this device remember at most [`HostLimits::handshaking`] half-open knocks,
//! [`HostLimits::pending`] waiting ones, one per device key, and [`LIMITER_CAPACITY`] entries in each limiter.

mod types;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

pub use types::{ConnId, DecideError, Decision, EndReason, HostEffect, HostEvent, HostLimits, HostSetup, PendingKnock};

use super::message::{
    Bundle, DenyKind, GUEST_LIMIT, GuestFrame, HELLO_LIMIT, Hello, HostFrame, KNOCK_PROTOCOL, MAX_ADDRESSES,
    MAX_REASON_CHARS,
};
use crate::proto::{
    Millis,
    code::{Commitment, Nonce, Transcript},
    fold::Membership,
    ids::{DeviceId, KnockId},
    limits::Backoff,
    name::{DeviceName, clean_text},
    record::{MAX_OS_CHARS, Via},
};

/// Most keys, and most addresses, whose attempts are remembered.
pub const LIMITER_CAPACITY: usize = 1024;
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
    /// The driver writes the admission, or fetches the records.
    Admitting(Option<KnockId>),
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
}

impl Host {
    /// A host with an empty queue.
    pub fn new(setup: HostSetup) -> Self {
        let devices = Backoff::new(setup.limits.per_device, LIMITER_CAPACITY);
        let addresses = Backoff::new(setup.limits.per_address, LIMITER_CAPACITY);
        Self { setup, conns: BTreeMap::new(), devices, addresses }
    }

    /// Changes the name that guests are told.
    pub fn rename(&mut self, name: DeviceName) {
        self.setup.name = name;
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
        self.conns.values().filter(|conn| !matches!(conn.stage, Stage::Admitting(_))).map(|conn| conn.deadline).min()
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
            HostEvent::AdmitFailed { conn } => {
                let reason = Some("The other device could not save the approval. Knock again.".to_owned());
                self.turn_down(conn, DenyKind::CannotAdmit, reason, EndReason::Failed)
            }
            HostEvent::Tick => self.tick(now),
        }
    }

    /// Carries a person's decision out.
    pub fn decide(
        &mut self,
        id: KnockId,
        decision: Decision,
        membership: &Membership,
    ) -> Result<Vec<HostEffect>, DecideError> {
        let deciding = |conn: &Conn| matches!(conn.stage, Stage::Admitting(Some(admitting)) if admitting == id);
        if self.conns.values().any(deciding) {
            return Err(DecideError::Deciding);
        }
        let knock = self.get(id).cloned().ok_or(DecideError::Gone)?;
        match decision {
            Decision::Approve { code: Some(code), .. } if code != knock.code => Err(DecideError::CodesDiffer),
            Decision::Approve { role, .. } if !membership.may_grant(self.setup.me, role) => {
                Err(DecideError::MayNotGrant)
            }
            Decision::Approve { role, .. } => {
                if let Some(conn) = self.conns.get_mut(&knock.conn) {
                    conn.stage = Stage::Admitting(Some(id));
                }
                Ok(vec![HostEffect::Admit { knock, role, via: Via::Knock }])
            }
            Decision::Deny { kind, reason } => {
                let reason = reason.map(|text| clean_text(&text, MAX_REASON_CHARS)).filter(|text| !text.is_empty());
                Ok(self.turn_down(knock.conn, kind, reason, EndReason::Denied))
            }
        }
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
            (Stage::Challenged(hello, name), GuestFrame::Reveal { nonce }) => {
                let (hello, name) = ((**hello).clone(), name.clone());
                self.revealed(id, hello, name, nonce, now, membership)
            }
            // Too late: the admission is being written, and will be there when the guest comes back.
            (Stage::Admitting(_), GuestFrame::Withdraw) => Vec::new(),
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
            self.set_stage(id, Stage::Admitting(None));
            return vec![HostEffect::Resend { conn: id, device }];
        }
        if !membership.may_admit(self.setup.me) {
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
        };
        if let Some((invite, proof)) = hello.invite.and_then(|claim| claim.proof.map(|proof| (claim.id, proof))) {
            match membership.check_invite(self.setup.me, device, invite, &proof, now) {
                Ok(role) => {
                    self.set_stage(id, Stage::Admitting(Some(knock.id)));
                    effects.push(HostEffect::Admit { knock, role, via: Via::Invite { id: invite, proof } });
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
        let Some(Conn { device, stage: Stage::Admitting(knock), .. }) = self.conns.get(&id) else { return Vec::new() };
        let (device, knock) = (*device, *knock);
        self.conns.remove(&id);
        self.devices.forgive(&device);
        let mut effects =
            vec![HostEffect::Send { conn: id, frame: HostFrame::Admitted(bundle) }, HostEffect::Close { conn: id }];
        effects.extend(knock.map(|knock| HostEffect::Ended { knock, reason: EndReason::Admitted }));
        effects
    }

    fn closed(&mut self, id: ConnId) -> Vec<HostEffect> {
        match self.conns.get(&id) {
            // The admission is being written; it is told as admitted when that is done.
            Some(Conn { stage: Stage::Admitting(Some(_)), .. }) | None => Vec::new(),
            Some(_) => {
                let mut effects = self.forget(id, EndReason::Withdrawn);
                effects.retain(|effect| !matches!(effect, HostEffect::Close { .. }));
                effects
            }
        }
    }

    fn tick(&mut self, now: Millis) -> Vec<HostEffect> {
        let due = |conn: &Conn| conn.deadline <= now && !matches!(conn.stage, Stage::Admitting(_));
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
        let Some(conn) = self.conns.remove(&id) else { return Vec::new() };
        let knock = match conn.stage {
            Stage::Pending(knock) => Some(knock.id),
            Stage::Admitting(knock) => knock,
            Stage::Hello | Stage::Challenged(..) => None,
        };
        let mut effects = vec![HostEffect::Close { conn: id }];
        effects.extend(knock.map(|knock| HostEffect::Ended { knock, reason }));
        effects
    }

    fn pending_iter(&self) -> impl Iterator<Item = &PendingKnock> {
        self.conns.values().filter_map(|conn| match &conn.stage {
            Stage::Pending(knock) => Some(&**knock),
            _ => None,
        })
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
