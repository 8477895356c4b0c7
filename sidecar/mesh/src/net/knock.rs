//! Strangers at the door: drives [`Host`](crate::proto::knock::Host) over the knock protocol.
//!
//! The knocks at other members, and what those decide about the ones here, are in [`sharing`].
//!
//! An actor of its own, so that nothing a stranger does can hold the mesh's actor up. It follows the roster, publishes
//! the knocks that wait, carries decisions out, and asks the mesh's actor only to write an admission.

mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{Connection, VarInt};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::sharing::Waiter;
use super::close::CloseCode;
use super::links::LinkTable;
use super::refusals::{Attempt, Refusals};
use super::wire::{self, FrameReader, WireError};
use crate::actor::{Admitted, Command, KnockCommand, Reply};
use crate::api::{KnockInfo, KnockOutcome, MemberInfo, MeshEvent};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::proto::code::Nonce;
use crate::proto::fold::Membership;
use crate::proto::ids::{DeviceId, KnockId};
use crate::proto::knock::message::{GUEST_LIMIT, HELLO_LIMIT, HOST_LIMIT};
use crate::proto::knock::{
    Board, Bundle, ConnId, Decide, DecideError, Decision, DenyKind, EndReason, GuestFrame, Host, HostEffect, HostEvent,
    HostFrame, HostLimits, HostSetup, PassedLimits, PassedOn, Verdict,
};
use crate::proto::name::DeviceName;
use crate::roster::{Roster, RosterWatch};

/// A guest opens its stream, and takes a frame, within this time.
const STEP: Duration = Duration::from_secs(10);
/// How long the last frame may take to arrive before the connection is closed.
const LINGER: Duration = Duration::from_secs(3);
/// Most knock connections at once, waiting ones included.
const MAX_CONNECTIONS: usize = 128;
/// Most of these from one address.
const MAX_PER_ADDRESS: usize = 24;
/// Frames that may wait to be sent to one guest.
const OUTBOX: usize = 4;
/// Events that may wait.
const INBOX: usize = 256;
/// What a stranger's connection may make this device buffer, in bytes.
const WINDOW: u32 = 64 * 1024;

/// Handle to the actor.
#[derive(Clone)]
pub(crate) struct Knocks {
    inbox: mpsc::Sender<Event>,
    waiting: watch::Receiver<Arc<Vec<KnockInfo>>>,
}

/// What the actor is given once.
pub(crate) struct Setup {
    pub(crate) me: DeviceId,
    pub(crate) name: DeviceName,
    pub(crate) roster: RosterWatch,
    pub(crate) mesh: mpsc::Sender<Command>,
    pub(crate) events: broadcast::Sender<MeshEvent>,
    pub(crate) refusals: Refusals,
    /// The links to other members that may admit.
    pub(crate) table: watch::Receiver<Arc<LinkTable>>,
    pub(crate) stop: CancellationToken,
}

type Decided = oneshot::Sender<Result<Option<MemberInfo>, MeshError>>;

enum Event {
    Incoming(Connection, Option<IpAddr>),
    Guest(HostEvent),
    Decide(KnockId, Decision, Decided),
    /// A linked member tells what waits at it.
    Board(DeviceId, Board, Reply<()>),
    /// A linked member has decided about a knock here.
    DecideFor(DeviceId, Decide, Reply<Verdict>),
    Named(DeviceName),
}

impl Knocks {
    /// Starts the actor; the future ends after `stop` was cancelled and every guest was told.
    pub(crate) fn start(setup: Setup) -> (Self, impl Future<Output = ()> + Send) {
        let (inbox, events) = mpsc::channel(INBOX);
        let (waiting, watching) = watch::channel(Arc::default());
        let host = Host::new(HostSetup { me: setup.me, name: setup.name.clone(), limits: HostLimits::default() });
        let actor = Actor {
            host,
            roster: Arc::default(),
            guests: BTreeMap::new(),
            next: 0,
            deciding: BTreeMap::new(),
            passed: PassedOn::new(setup.me, PassedLimits::default()),
            boards: watch::Sender::new(Arc::default()),
            board_seq: u64::try_from(now_ms()).unwrap_or(0),
            sharing: BTreeMap::new(),
            answering: BTreeSet::new(),
            elsewhere: JoinSet::new(),
            talks: JoinSet::new(),
            admissions: JoinSet::new(),
            inbox: inbox.clone(),
            events,
            waiting,
            setup,
        };
        (Self { inbox, waiting: watching }, actor.run())
    }

    /// The knocks that wait for a person, oldest first.
    pub(crate) fn waiting(&self) -> watch::Receiver<Arc<Vec<KnockInfo>>> {
        self.waiting.clone()
    }

    /// A connection on the knock protocol.
    pub(crate) async fn incoming(&self, connection: Connection, address: Option<IpAddr>) {
        let _ = self.inbox.send(Event::Incoming(connection, address)).await;
    }

    /// Carries a person's decision out; for an approval, answers with the new member.
    pub(crate) async fn decide(&self, knock: KnockId, decision: Decision) -> Result<Option<MemberInfo>, MeshError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Event::Decide(knock, decision, reply)).await.map_err(|_| MeshError::Stopped)?;
        answer.await.map_err(|_| MeshError::Stopped)?
    }

    /// This device has a new name.
    pub(crate) async fn named(&self, name: DeviceName) {
        let _ = self.inbox.send(Event::Named(name)).await;
    }
}

/// One connection, as the actor sees it.
struct Guest {
    device: DeviceId,
    address: Option<IpAddr>,
    outbox: mpsc::Sender<HostFrame>,
}

/// A finished request to the mesh's actor.
struct Admission {
    conn: ConnId,
    knock: Option<KnockId>,
    outcome: Result<(Bundle, Option<MemberInfo>), MeshError>,
}

struct Actor {
    setup: Setup,
    host: Host,
    roster: Arc<Roster>,
    guests: BTreeMap<ConnId, Guest>,
    next: u64,
    /// Whoever decided and waits for the admission to be written.
    deciding: BTreeMap<KnockId, Waiter>,
    /// Knocks at other members.
    passed: PassedOn,
    /// What other members are told of the knocks here, and how often that changed.
    boards: watch::Sender<Arc<Board>>,
    board_seq: u64,
    /// The tasks that tell them, by link.
    sharing: BTreeMap<DeviceId, (usize, AbortOnDropHandle<()>)>,
    /// Knocks at other members that are being answered from here.
    answering: BTreeSet<KnockId>,
    elsewhere: JoinSet<KnockId>,
    talks: JoinSet<ConnId>,
    admissions: JoinSet<Admission>,
    inbox: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    waiting: watch::Sender<Arc<Vec<KnockInfo>>>,
}

impl Actor {
    async fn run(mut self) {
        let stop = self.setup.stop.clone();
        self.follow_roster();
        loop {
            let due = self.host.deadline().into_iter().chain(self.passed.deadline()).min().map(|at| {
                let wait = u64::try_from(at.saturating_sub(now_ms())).unwrap_or(0);
                Duration::from_millis(wait)
            });
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = self.setup.roster.changed() => self.follow_roster(),
                Ok(()) = self.setup.table.changed() => self.follow_links(),
                Some(answered) = self.elsewhere.join_next(), if !self.elsewhere.is_empty() => if let Ok(knock) = answered {
                    self.answering.remove(&knock);
                },
                Some(done) = self.admissions.join_next(), if !self.admissions.is_empty() => match done {
                    Ok(admission) => self.admission_done(admission),
                    Err(error) => tracing::error!(%error, "an admission's task failed"),
                },
                Some(ended) = self.talks.join_next(), if !self.talks.is_empty() => if let Ok(conn) = ended {
                    self.guests.remove(&conn);
                    self.drive(HostEvent::Closed { conn });
                },
                Some(event) = self.events.recv() => self.event(event),
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => self.tick(),
            }
            self.publish();
        }
        let effects = self.host.stop();
        self.carry_out(effects);
        self.guests.clear();
        let farewells = async { while self.talks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_millis(300), farewells).await;
    }

    fn follow_roster(&mut self) {
        let roster = self.setup.roster.borrow_and_update().clone();
        if roster.network != self.roster.network {
            let effects = self.host.stop();
            self.carry_out(effects);
            self.end_passed();
        }
        self.roster = roster;
        if !self.may_admit() {
            self.end_passed();
        }
        self.follow_links();
    }

    /// Whether this device may answer knocks.
    fn may_admit(&self) -> bool {
        self.roster.membership.as_ref().is_some_and(|membership| membership.may_admit(self.setup.me))
    }

    fn tick(&mut self) {
        self.drive(HostEvent::Tick);
        let effects = self.passed.tick(now_ms());
        self.carry_out_passed(effects);
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Incoming(connection, address) => self.admit_talk(connection, address),
            Event::Guest(event) => self.drive(event),
            Event::Decide(knock, decision, reply) => self.decide(knock, decision, reply),
            Event::Board(from, board, reply) => self.board(from, board, reply),
            Event::DecideFor(by, decide, reply) => self.decide_for(by, decide, reply),
            Event::Named(name) => self.host.rename(name),
        }
    }

    fn admit_talk(&mut self, connection: Connection, address: Option<IpAddr>) {
        let neighbours = self.guests.values().filter(|guest| guest.address == address).count();
        if self.roster.membership.is_none() {
            return CloseCode::OtherNetwork.close(&connection);
        }
        if self.talks.len() >= MAX_CONNECTIONS || neighbours >= MAX_PER_ADDRESS {
            return CloseCode::Busy.close(&connection);
        }
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
        connection.set_receive_window(VarInt::from_u32(WINDOW));
        self.next += 1;
        let conn = ConnId(self.next);
        let device = DeviceId::from(connection.remote_id());
        let (outbox, frames) = mpsc::channel(OUTBOX);
        self.guests.insert(conn, Guest { device, address, outbox });
        self.talks.spawn(talk(conn, connection, frames, self.inbox.clone(), self.setup.refusals.clone()));
        self.drive(HostEvent::Connected { conn, device, address, nonce: Nonce(rand::random()) });
    }

    fn decide(&mut self, knock: KnockId, decision: Decision, reply: Decided) {
        let Some(membership) = self.roster.membership.clone() else {
            let _ = reply.send(Err(MeshError::NoNetwork));
            return;
        };
        let approves = matches!(decision, Decision::Approve { .. });
        match self.host.decide(knock, decision.clone(), &membership) {
            Err(DecideError::Gone) => self.decide_elsewhere(knock, decision, &membership, reply),
            Err(error) => drop(reply.send(Err(sharing::refusal(error, &membership)))),
            Ok(effects) => {
                if approves {
                    self.deciding.insert(knock, Waiter::Here(reply));
                    self.carry_out(effects);
                } else {
                    self.carry_out(effects);
                    let _ = reply.send(Ok(None));
                }
            }
        }
    }

    fn drive(&mut self, event: HostEvent) {
        if let Some(membership) = self.roster.membership.clone() {
            self.drive_with(event, &membership);
        }
    }

    fn drive_with(&mut self, event: HostEvent, membership: &Membership) {
        let effects = self.host.handle(event, now_ms(), membership);
        for effect in &effects {
            if let HostEffect::Send { conn, frame } = effect
                && let (Some(attempt), Some(guest)) = (attempt(frame), self.guests.get(conn))
            {
                self.setup.refusals.tell(guest.device, attempt);
            }
        }
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<HostEffect>) {
        for effect in effects {
            match effect {
                HostEffect::Send { conn, frame } => {
                    if let Some(guest) = self.guests.get(&conn) {
                        // The protocol never has this many frames unsent; a guest that does not read is cut off.
                        let _ = guest.outbox.try_send(frame);
                    }
                }
                HostEffect::Close { conn } => drop(self.guests.remove(&conn)),
                HostEffect::Arrived(knock) => {
                    tracing::info!(device = %knock.device.short(), "a device knocks");
                    self.refresh_board();
                    if self.may_admit() {
                        let info = self.info(&knock);
                        self.publish();
                        // Nobody listening is fine.
                        let _ = self.setup.events.send(MeshEvent::KnockArrived(info));
                    }
                }
                HostEffect::Ended { knock, reason, by } => self.ended(knock, reason, by),
                HostEffect::Admit { knock, role, via, signed } => {
                    let (conn, id) = (knock.conn, knock.id);
                    let mesh = self.setup.mesh.clone();
                    self.admissions.spawn(async move {
                        let knock = Box::new(knock);
                        let outcome = ask(&mesh, |reply| match signed {
                            Some(record) => KnockCommand::AdmitSigned { knock, record, reply },
                            None => KnockCommand::Admit { knock, role, via, reply },
                        })
                        .await;
                        let outcome = outcome.map(|Admitted { bundle, member }| (bundle, Some(member)));
                        Admission { conn, knock: Some(id), outcome }
                    });
                }
                HostEffect::TellRemoval { conn, device } => {
                    let mesh = self.setup.mesh.clone();
                    self.admissions.spawn(async move {
                        let outcome = ask(&mesh, |reply| KnockCommand::RemovalsOf { device, reply }).await;
                        let bundle = |records| (Bundle { records, peers: Vec::new() }, None);
                        Admission { conn, knock: None, outcome: outcome.map(bundle) }
                    });
                }
                HostEffect::Resend { conn, device } => {
                    let mesh = self.setup.mesh.clone();
                    self.admissions.spawn(async move {
                        let outcome = ask(&mesh, |reply| KnockCommand::BundleFor { device, reply }).await;
                        Admission { conn, knock: None, outcome: outcome.map(|bundle| (bundle, None)) }
                    });
                }
            }
        }
    }

    fn admission_done(&mut self, Admission { conn, knock, outcome }: Admission) {
        let reply = knock.and_then(|knock| self.deciding.remove(&knock));
        let (event, answer) = match outcome {
            Ok((bundle, member)) => (HostEvent::Bundle { conn, bundle }, Ok(member)),
            Err(error) => {
                tracing::warn!(%error, "an admission failed");
                (HostEvent::AdmitFailed { conn }, Err(error))
            }
        };
        self.drive(event);
        if let Some(waiter) = reply {
            waiter.answer(answer);
        }
    }

    fn ended(&mut self, knock: KnockId, reason: EndReason, by: Option<DeviceId>) {
        self.refresh_board();
        let outcome = match reason {
            EndReason::Admitted => KnockOutcome::Approved,
            EndReason::Denied => KnockOutcome::Denied,
            EndReason::Expired => KnockOutcome::Expired,
            EndReason::Withdrawn | EndReason::Replaced | EndReason::Faulty | EndReason::Failed | EndReason::Stopped => {
                KnockOutcome::Withdrawn
            }
        };
        let shown = self.waiting.borrow().iter().find(|info| info.id == knock).cloned();
        // A pre-approved knock was never shown.
        if let Some(info) = shown {
            self.publish();
            let decided_by = by.and_then(|by| self.member_name(by));
            let ended = MeshEvent::KnockEnded { id: knock, device_name: info.device_name, outcome, decided_by };
            let _ = self.setup.events.send(ended);
        }
    }

    fn info(&self, knock: &crate::proto::knock::PendingKnock) -> KnockInfo {
        let network = self.roster.membership.as_ref().map(|membership| membership.network);
        KnockInfo {
            id: knock.id,
            network: network.unwrap_or(crate::proto::ids::NetworkId::from_bytes([0; 32])),
            device_id: knock.device,
            device_name: knock.name.clone(),
            resembles: knock.resembles.clone(),
            os: knock.os.clone(),
            code: knock.code,
            at: knock.at,
            expires_at: knock.expires_at,
            via: None,
        }
    }

    fn publish(&self) {
        let mut infos = Vec::new();
        if self.may_admit() {
            infos.extend(self.host.shown().into_iter().map(|knock| self.info(knock)));
            let here: BTreeSet<DeviceId> = infos.iter().map(|info| info.device_id).collect();
            let others = self.passed.knocks().into_iter().filter(|knock| !here.contains(&knock.device));
            infos.extend(others.map(|knock| self.passed_info(knock)));
            infos.truncate(HostLimits::default().pending);
        }
        infos.sort_by_key(|info| info.at);
        infos.dedup_by_key(|info| info.id);
        self.waiting.send_if_modified(|waiting| {
            let changed = **waiting != infos;
            if changed {
                *waiting = Arc::new(infos);
            }
            changed
        });
    }
}

/// What it was that this frame refuses; `None` where a person said no.
fn attempt(frame: &HostFrame) -> Option<Attempt> {
    match frame {
        HostFrame::Denied { kind: DenyKind::Protocol, .. } => Some(Attempt::KnockFault),
        HostFrame::Denied { kind: DenyKind::WrongNetwork, .. } => Some(Attempt::KnockElsewhere),
        HostFrame::Busy { .. } => Some(Attempt::KnockFlood),
        _ => None,
    }
}

async fn ask<T, C: Into<Command>>(
    mesh: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<Result<T, MeshError>>) -> C,
) -> Result<T, MeshError> {
    let (reply, answer) = oneshot::channel();
    mesh.send(command(reply).into()).await.map_err(|_| MeshError::Stopped)?;
    answer.await.map_err(|_| MeshError::Stopped)?
}

/// Reads and writes one guest's stream until the actor drops `frames` or the guest is gone.
async fn talk(
    conn: ConnId,
    connection: Connection,
    mut frames: mpsc::Receiver<HostFrame>,
    actor: mpsc::Sender<Event>,
    refusals: Refusals,
) -> ConnId {
    let Ok(Ok((mut send, recv))) = tokio::time::timeout(STEP, connection.accept_bi()).await else {
        if connection.close_reason().is_none() {
            refusals.tell(connection.remote_id().into(), Attempt::Silent);
        }
        CloseCode::TooSlow.close(&connection);
        return conn;
    };
    let mut reader = FrameReader::new(recv, HELLO_LIMIT);
    let mut reading = true;
    loop {
        tokio::select! {
            biased;
            frame = frames.recv() => {
                let Some(frame) = frame else { break };
                let written = tokio::time::timeout(STEP, wire::write(&mut send, &frame, HOST_LIMIT)).await;
                if !matches!(written, Ok(Ok(()))) {
                    break;
                }
            }
            frame = reader.next::<GuestFrame>(), if reading => {
                let event = match frame {
                    Ok(frame) => HostEvent::Frame { conn, frame },
                    Err(WireError::Broken(error)) => {
                        tracing::info!(%error, "a knock broke the protocol");
                        HostEvent::Broken { conn, error }
                    }
                    Err(WireError::Ended | WireError::Lost(_)) => HostEvent::Closed { conn },
                };
                reading = matches!(event, HostEvent::Frame { .. });
                reader.set_limit(GUEST_LIMIT);
                if actor.send(Event::Guest(event)).await.is_err() {
                    break;
                }
            }
            _ = connection.closed() => break,
        }
    }
    let stopped = send.stopped();
    if send.finish().is_ok() {
        let _ = tokio::time::timeout(LINGER, stopped).await;
    }
    CloseCode::Done.close(&connection);
    conn
}
