//! The side that asks to be let in.

use std::net::SocketAddr;

use super::message::{
    Bundle, DenyKind, GuestFrame, Hello, HostFrame, InviteClaim, InviteProblem, KNOCK_PROTOCOL, MAX_ADDRESSES,
    MAX_REASON_CHARS, PeerAddress,
};
use crate::proto::{
    Millis,
    code::{Code, Commitment, Nonce, Transcript},
    fold::{Membership, fold},
    frame::FrameError,
    ids::{DeviceId, InviteId, KnockId, NetworkId},
    invite::InviteSecret,
    name::{DeviceName, clean_text},
    record::{Record, RecordError},
};

/// How long the host has for each step before it waits for a person.
pub const STEP_MS: Millis = 10_000;
/// How much longer than the host said the guest waits, for the last word to arrive.
const GRACE_MS: Millis = 15_000;
/// The longest wait that a host can ask for.
const LONGEST_WAIT_MS: u64 = 15 * 60_000;

/// Who asks whom for what.
#[derive(Debug, Clone)]
pub struct GuestSetup {
    /// This device.
    pub me: DeviceId,
    /// What it calls itself.
    pub name: DeviceName,
    /// Its operating system.
    pub os: String,
    /// Version of its app.
    pub app_version: String,
    /// Where it can be reached.
    pub addresses: Vec<SocketAddr>,
    /// The device it knocks at.
    pub host: DeviceId,
    /// The network it wants to join.
    pub network: NetworkId,
    /// The invite that led here.
    pub invite: Option<InviteId>,
    /// Its secret, when it is pre-approved.
    pub secret: Option<InviteSecret>,
    /// Fresh randomness.
    pub nonce: Nonce,
}

/// What happens to a guest.
#[derive(Debug)]
pub enum GuestEvent {
    /// The host sent a frame.
    Frame(HostFrame),
    /// The host sent something that is no frame.
    Broken(FrameError),
    /// The connection ended.
    Closed,
    /// The person here gave up.
    Withdraw,
    /// Time passed; see [`Guest::deadline`].
    Tick,
}

/// What a guest wants done.
#[derive(Debug, PartialEq)]
pub enum GuestEffect {
    /// Send this.
    Send(GuestFrame),
    /// Tell the person: the device was found and answers to this name.
    Connected {
        /// Its name; `None` when it told one that cannot be shown.
        device_name: Option<DeviceName>,
    },
    /// Tell the person: compare this code.
    Knocking {
        /// The knock.
        knock: KnockId,
        /// The code that the other screen must show.
        code: Code,
        /// When nobody will answer any more.
        expires_at: Millis,
        /// Why the invite did not admit.
        invite: Option<InviteProblem>,
    },
    /// It is over: close the connection.
    Done(GuestOutcome),
}

/// How it ended.
#[derive(Debug, PartialEq)]
pub enum GuestOutcome {
    /// This device is a member.
    Admitted(Box<Admission>),
    /// It was turned down.
    Denied {
        /// Why.
        kind: DenyKind,
        /// The reason a person gave, cleaned.
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Expired,
    /// Too many knocks, from here or in all.
    Busy {
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The person here gave up.
    Withdrawn,
    /// The connection was lost, or the host stopped answering.
    Lost,
    /// The host broke the protocol.
    Faulty(HostFault),
}

/// What was wrong with the host's side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostFault {
    /// Its bytes make no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame came when it should not.
    #[error("the other device answered out of turn")]
    OutOfTurn,
    /// A record it sent does not hold.
    #[error("the other device sent a network that does not hold together: {0}")]
    Record(#[from] RecordError),
    /// Its records do not make this device a member.
    #[error("the other device said that this one is a member, but its records do not say so")]
    NotAdmitted,
}

/// What a newcomer has to keep.
#[derive(Debug, PartialEq)]
pub struct Admission {
    /// The network's records, checked.
    pub records: Vec<Record>,
    /// What they amount to; this device is a member in it.
    pub membership: Membership,
    /// Where members are.
    pub peers: Vec<PeerAddress>,
}

#[derive(Debug)]
enum Stage {
    /// `Hello` is sent.
    Hello,
    /// `Reveal` is sent.
    Revealed { transcript: Transcript },
    /// A person at the host decides.
    Waiting,
    /// Over.
    Done,
}

/// A knock as the guest sees it.
#[derive(Debug)]
pub struct Guest {
    setup: GuestSetup,
    stage: Stage,
    deadline: Millis,
}

impl Guest {
    /// Starts a knock on a fresh connection; send the frame first.
    pub fn start(mut setup: GuestSetup, now: Millis) -> (Self, GuestFrame) {
        setup.addresses.truncate(MAX_ADDRESSES);
        let claim = |id| {
            let proof = setup.secret.map(|secret| secret.prove(setup.network, setup.me));
            InviteClaim { id, proof }
        };
        let hello = GuestFrame::Hello(Hello {
            protocol: KNOCK_PROTOCOL,
            app_version: setup.app_version.clone(),
            network: setup.network,
            device_name: setup.name.to_string(),
            os: setup.os.clone(),
            commitment: Commitment::to(setup.network, setup.me, &setup.nonce),
            invite: setup.invite.map(claim),
            addresses: setup.addresses.clone(),
        });
        (Self { setup, stage: Stage::Hello, deadline: now + STEP_MS }, hello)
    }

    /// When to send the next [`GuestEvent::Tick`], at the latest.
    pub fn deadline(&self) -> Option<Millis> {
        (!matches!(self.stage, Stage::Done)).then_some(self.deadline)
    }

    /// Takes an event in. Nothing happens after [`GuestEffect::Done`].
    pub fn handle(&mut self, event: GuestEvent, now: Millis) -> Vec<GuestEffect> {
        if matches!(self.stage, Stage::Done) {
            return Vec::new();
        }
        match event {
            GuestEvent::Frame(frame) => self.frame(frame, now),
            GuestEvent::Broken(error) => self.done(GuestOutcome::Faulty(error.into())),
            GuestEvent::Closed => self.done(GuestOutcome::Lost),
            GuestEvent::Withdraw => {
                let mut effects = vec![GuestEffect::Send(GuestFrame::Withdraw)];
                effects.extend(self.done(GuestOutcome::Withdrawn));
                effects
            }
            GuestEvent::Tick if now < self.deadline => Vec::new(),
            GuestEvent::Tick if matches!(self.stage, Stage::Waiting) => self.done(GuestOutcome::Expired),
            GuestEvent::Tick => self.done(GuestOutcome::Lost),
        }
    }

    fn frame(&mut self, frame: HostFrame, now: Millis) -> Vec<GuestEffect> {
        match (&self.stage, frame) {
            (Stage::Hello, HostFrame::Challenge { nonce, device_name }) => {
                let transcript = Transcript {
                    network: self.setup.network,
                    host: self.setup.host,
                    guest: self.setup.me,
                    host_nonce: nonce,
                    guest_nonce: self.setup.nonce,
                };
                self.stage = Stage::Revealed { transcript };
                self.deadline = now + STEP_MS;
                vec![
                    GuestEffect::Connected { device_name: DeviceName::parse(&device_name).ok() },
                    GuestEffect::Send(GuestFrame::Reveal { nonce: self.setup.nonce }),
                ]
            }
            (Stage::Revealed { transcript }, HostFrame::Waiting { expires_in_ms, invite }) => {
                let (code, knock) = (transcript.code(), transcript.knock_id());
                let wait = Millis::try_from(expires_in_ms.min(LONGEST_WAIT_MS)).unwrap_or(0);
                let expires_at = now + wait;
                self.stage = Stage::Waiting;
                self.deadline = expires_at + GRACE_MS;
                vec![GuestEffect::Knocking { knock, code, expires_at, invite }]
            }
            // At once after `Hello`: this device is a member already, and lost what it was given.
            (_, HostFrame::Admitted(bundle)) => {
                let outcome = match self.check(bundle) {
                    Ok(admission) => GuestOutcome::Admitted(Box::new(admission)),
                    Err(fault) => GuestOutcome::Faulty(fault),
                };
                self.done(outcome)
            }
            (_, HostFrame::Denied { kind, reason }) => {
                let reason = reason.map(|text| clean_text(&text, MAX_REASON_CHARS)).filter(|text| !text.is_empty());
                self.done(GuestOutcome::Denied { kind, reason })
            }
            (_, HostFrame::Expired) => self.done(GuestOutcome::Expired),
            (_, HostFrame::Busy { retry_after_ms }) => self.done(GuestOutcome::Busy { retry_after_ms }),
            (_, HostFrame::Challenge { .. } | HostFrame::Waiting { .. } | HostFrame::Removed { .. }) => {
                self.done(GuestOutcome::Faulty(HostFault::OutOfTurn))
            }
        }
    }

    /// Believes the host only what its records prove.
    fn check(&self, bundle: Bundle) -> Result<Admission, HostFault> {
        let mut records = Vec::with_capacity(bundle.records.len());
        for bytes in &bundle.records {
            match Record::decode_for(self.setup.network, bytes) {
                Ok(record) => records.push(record),
                // For this version it says nothing, and it cannot be checked.
                Err(RecordError::NewerVersion(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let membership = fold(self.setup.network, &records).ok_or(HostFault::NotAdmitted)?;
        if !membership.is_member(self.setup.me) {
            return Err(HostFault::NotAdmitted);
        }
        let mut peers = bundle.peers;
        peers.retain(|peer| peer.device != self.setup.me && membership.is_member(peer.device));
        for peer in &mut peers {
            peer.addresses.truncate(MAX_ADDRESSES);
        }
        Ok(Admission { records, membership, peers })
    }

    fn done(&mut self, outcome: GuestOutcome) -> Vec<GuestEffect> {
        self.stage = Stage::Done;
        vec![GuestEffect::Done(outcome)]
    }
}

#[cfg(test)]
mod tests;
