//! The other side of the door: drives [`Guest`](crate::proto::knock::Guest) from an invite, or from a device found
//! nearby, to membership.
//!
//! An invite can name several devices of its network. All are dialled, its maker first; whoever answers first is knocked
//! at. One that has another network active, or nobody there who may admit, is passed over for the next.

use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::close::CloseCode;
use super::hello::Places;
use super::link::WelcomeError;
use super::links;
use super::reach::Reach;
use super::wire::{self, FrameReader, WireError};
use crate::actor::{Command, NetworkCommand};
use crate::api::{JoinStep, NetworkInfo};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::proto::code::Nonce;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::invite::Invite;
use crate::proto::knock::message::{HELLO_LIMIT, HOST_LIMIT};
use crate::proto::knock::{
    Admission, DenyKind, Guest, GuestEffect, GuestEvent, GuestFrame, GuestOutcome, GuestSetup, HostFrame, KNOCK_ALPN,
    PeerAddress,
};
use crate::proto::name::{DeviceName, NetworkName};

/// How often the devices of a network are tried, and for how long each time.
const TRIES: u32 = 3;
const TRY_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause between tries.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the maker of an invite is ahead of the next device it names, and that one of the next.
const HEAD_START: Duration = Duration::from_millis(250);

/// What is knocked at.
#[derive(Debug)]
pub(crate) enum Target {
    /// The network of an invite.
    Invite(Box<Invite>),
    /// A network that a device announces nearby; without an invite a person always decides.
    Nearby {
        /// The device to knock at.
        device: DeviceId,
        /// Where it is.
        places: Places,
        /// The network it announces.
        network: NetworkId,
        /// That network's name as it says.
        name: NetworkName,
    },
}

impl Target {
    /// The network to join.
    pub(crate) fn network(&self) -> NetworkId {
        match self {
            Self::Invite(invite) => invite.payload().network,
            Self::Nearby { network, .. } => *network,
        }
    }

    /// Its name, as the invite or the announcement says.
    pub(crate) fn name(&self) -> &NetworkName {
        match self {
            Self::Invite(invite) => &invite.payload().name,
            Self::Nearby { name, .. } => name,
        }
    }

    /// The devices to knock at, the most promising first.
    pub(crate) fn doors(&self) -> Vec<(DeviceId, Places)> {
        match self {
            Self::Invite(invite) => {
                let payload = invite.payload();
                let relay = payload.relays.first();
                let places = Places::new(payload.addresses.iter().copied(), relay.cloned());
                let other = |other: &PeerAddress| {
                    let relay = other.relay.as_ref().or(relay).cloned();
                    (other.device, Places::new(other.addresses.iter().copied(), relay))
                };
                std::iter::once((payload.inviter, places)).chain(payload.others.iter().map(other)).collect()
            }
            Self::Nearby { device, places, .. } => vec![(*device, places.clone())],
        }
    }

    /// Fails for an invite that can no longer do what it is for. A pre-approved one that is out of date still finds the
    /// network: it falls back to a knock.
    pub(crate) fn check_current(&self) -> Result<(), MeshError> {
        match self {
            Self::Invite(invite) if !invite.is_approved() => Ok(invite.check_current(now_ms())?),
            _ => Ok(()),
        }
    }
}

/// Who knocks, with what, and whom it tells.
pub(crate) struct Knocker {
    pub(crate) endpoint: Endpoint,
    pub(crate) me: DeviceId,
    pub(crate) name: DeviceName,
    pub(crate) os: String,
    pub(crate) app_version: String,
    pub(crate) target: Target,
    pub(crate) steps: mpsc::Sender<JoinStep>,
    pub(crate) cancel: CancellationToken,
    pub(crate) mesh: mpsc::Sender<Command>,
    pub(crate) reach: Reach,
}

/// Knocks, follows the knock to its end, and tells every step.
pub(crate) async fn run(knocker: Knocker) {
    let last = match knocker.join().await {
        Ok(network) => JoinStep::Joined { network },
        Err(error) => {
            tracing::info!(%error, "joining failed");
            JoinStep::Failed(error)
        }
    };
    knocker.tell(last).await;
}

impl Knocker {
    async fn join(&self) -> Result<NetworkInfo, MeshError> {
        self.tell(JoinStep::Finding { network: self.target.name().clone() }).await;
        let admission = self.ask_around().await?;
        let (reply, answer) = oneshot::channel();
        let adopt = NetworkCommand::Adopt { admission: Box::new(admission), reply };
        self.mesh.send(adopt.into()).await.map_err(|_| MeshError::Stopped)?;
        answer.await.map_err(|_| MeshError::Stopped)?
    }

    /// Knocks at one device after the other until one of them takes the knock.
    async fn ask_around(&self) -> Result<Admission, MeshError> {
        let mut doors = self.target.doors();
        doors.retain(|(device, _)| *device != self.me);
        // Whoever opens an invite wants its relays used, whatever the active network says.
        let _permit = self.reach.permit(doors.iter().filter_map(|(_, places)| places.relay()));
        let tried: Vec<String> = doors.iter().map(|(_, places)| places.to_string()).collect();
        // The first is the inviter's own answer, which tells most.
        let mut why = None;
        while !doors.is_empty() {
            let found = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(MeshError::Cancelled),
                found = self.find(&mut doors, &mut why) => found,
            };
            let Some((device, connection)) = found else { break };
            doors.retain(|(other, _)| *other != device);
            let (outcome, shown) = self.knock(device, connection).await;
            let passed_over = !shown
                && matches!(
                    outcome,
                    GuestOutcome::Lost
                        | GuestOutcome::Denied { kind: DenyKind::WrongNetwork | DenyKind::CannotAdmit, .. }
                );
            match judge(outcome) {
                Ok(admission) => return Ok(admission),
                Err(error) if !passed_over => return Err(error),
                Err(error) => drop(why.get_or_insert(error)),
            }
        }
        Err(why.unwrap_or_else(|| MeshError::NobodyAnswered { addresses: tried.join(", ") }))
    }

    /// The first of `doors` that answers. Those that refuse are taken out, and say `why`.
    async fn find(
        &self,
        doors: &mut Vec<(DeviceId, Places)>,
        why: &mut Option<MeshError>,
    ) -> Option<(DeviceId, Connection)> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let mut dials = JoinSet::new();
            for (delay, (device, places)) in (0..).map(|nth| HEAD_START * nth).zip(doors.iter().cloned()) {
                let endpoint = self.endpoint.clone();
                dials.spawn(async move {
                    tokio::time::sleep(delay).await;
                    (device, links::connect(&endpoint, device, &places, KNOCK_ALPN, TRY_TIMEOUT).await)
                });
            }
            while let Some(dialled) = dials.join_next().await {
                match dialled {
                    Ok((device, Ok(connection))) => return Some((device, connection)),
                    Ok((device, Err(WelcomeError { reason, refused: true, .. }))) => {
                        doors.retain(|(other, _)| *other != device);
                        why.get_or_insert_with(|| {
                            MeshError::Unreachable(format!(
                                "The device turned the connection away. {reason} Try again later."
                            ))
                        });
                    }
                    Ok((device, Err(WelcomeError { reason, .. }))) => {
                        tracing::info!(attempt, device = %device.short(), reason, "a device does not answer");
                    }
                    Err(error) => tracing::error!(%error, "a dial failed"),
                }
            }
        }
        None
    }

    /// Knocks at one device. Tells the outcome, and whether the knock came as far as a screen.
    async fn knock(&self, host: DeviceId, connection: Connection) -> (GuestOutcome, bool) {
        let (invite, secret) = match &self.target {
            Target::Invite(invite) => (Some(invite.payload().id), invite.payload().secret),
            Target::Nearby { .. } => (None, None),
        };
        let setup = GuestSetup {
            me: self.me,
            name: self.name.clone(),
            os: self.os.clone(),
            app_version: self.app_version.clone(),
            addresses: self.reach.own_places().addresses().to_vec(),
            host,
            network: self.target.network(),
            invite,
            secret,
            nonce: Nonce(rand::random()),
        };
        let (guest, hello) = Guest::start(setup, now_ms());
        let mut shown = false;
        let outcome = self.converse(guest, hello, &connection, &mut shown).await;
        CloseCode::Done.close(&connection);
        (outcome, shown)
    }

    async fn converse(
        &self,
        mut guest: Guest,
        hello: GuestFrame,
        connection: &Connection,
        shown: &mut bool,
    ) -> GuestOutcome {
        let Ok((mut send, recv)) = connection.open_bi().await else { return GuestOutcome::Lost };
        if wire::write(&mut send, &hello, HELLO_LIMIT).await.is_err() {
            return self.refused_at_once(connection);
        }
        let mut frames = FrameReader::new(recv, HOST_LIMIT);
        loop {
            let left = guest.deadline().map_or(0, |at| u64::try_from(at.saturating_sub(now_ms())).unwrap_or(0));
            let event = tokio::select! {
                biased;
                frame = frames.next::<HostFrame>() => match frame {
                    Ok(frame) => GuestEvent::Frame(frame),
                    Err(WireError::Broken(error)) => GuestEvent::Broken(error),
                    Err(WireError::Ended) => GuestEvent::Closed,
                    Err(WireError::Lost(_)) => return self.refused_at_once(connection),
                },
                () = self.cancel.cancelled() => GuestEvent::Withdraw,
                () = tokio::time::sleep(Duration::from_millis(left)) => GuestEvent::Tick,
            };
            for effect in guest.handle(event, now_ms()) {
                match effect {
                    GuestEffect::Send(frame) => {
                        // A lost connection shows at the next read.
                        let _ = wire::write(&mut send, &frame, HELLO_LIMIT).await;
                    }
                    GuestEffect::Connected { device_name } => {
                        let unnamed = || DeviceName::parse("Unnamed device").ok();
                        if let Some(device_name) = device_name.or_else(unnamed) {
                            self.tell(JoinStep::Connected { device_name }).await;
                        }
                    }
                    GuestEffect::Knocking { code, expires_at, invite, .. } => {
                        *shown = true;
                        self.tell(JoinStep::Knocking { code, expires_at, invite }).await;
                    }
                    GuestEffect::Done(outcome) => {
                        let stopped = send.stopped();
                        if matches!(outcome, GuestOutcome::Withdrawn) && send.finish().is_ok() {
                            // Let the withdrawal arrive, so that the card leaves the other screen.
                            let _ = tokio::time::timeout(Duration::from_millis(500), stopped).await;
                        }
                        return outcome;
                    }
                }
            }
        }
    }

    /// A connection closed by the host before it said anything in the protocol.
    #[expect(clippy::unused_self, reason = "reads as what happens to this knocker")]
    fn refused_at_once(&self, connection: &Connection) -> GuestOutcome {
        match connection.close_reason().as_ref().and_then(CloseCode::of) {
            Some(CloseCode::OtherNetwork) => GuestOutcome::Denied { kind: DenyKind::WrongNetwork, reason: None },
            Some(CloseCode::Busy) => GuestOutcome::Busy { retry_after_ms: 30_000 },
            _ => GuestOutcome::Lost,
        }
    }

    async fn tell(&self, step: JoinStep) {
        // Whoever asked may have gone away; the cancel token says so.
        let _ = self.steps.send(step).await;
    }
}

fn judge(outcome: GuestOutcome) -> Result<Admission, MeshError> {
    Err(match outcome {
        GuestOutcome::Admitted(admission) => return Ok(*admission),
        GuestOutcome::Denied { kind: DenyKind::Denied, reason } => MeshError::Denied { reason },
        GuestOutcome::Denied { kind: DenyKind::CodesDiffer, .. } => MeshError::CodesDiffer,
        GuestOutcome::Denied { kind: DenyKind::WrongNetwork, .. } => MeshError::InvalidInvite(
            "The other device does not have that network active now. Ask its owner to switch to it, or for a new invite.".to_owned(),
        ),
        GuestOutcome::Denied { kind: DenyKind::CannotAdmit, reason } => MeshError::NotAllowed(
            reason.unwrap_or_else(|| "The other device may not admit others, and nobody who may is connected to it. Ask an owner of the network for an invite, or try again later.".to_owned()),
        ),
        GuestOutcome::Denied { kind: DenyKind::Version, .. } => MeshError::VersionMismatch,
        GuestOutcome::Denied { kind: DenyKind::Protocol, .. } => {
            MeshError::Protocol("it could not understand this device".to_owned())
        }
        GuestOutcome::Expired => MeshError::KnockExpired,
        GuestOutcome::Busy { retry_after_ms } => MeshError::RateLimited { retry_after_ms },
        GuestOutcome::Withdrawn => MeshError::Cancelled,
        GuestOutcome::Lost => MeshError::Unreachable(
            "The connection to the other device was lost while knocking. Check that it is on, then knock again.".to_owned(),
        ),
        GuestOutcome::Faulty(fault) => MeshError::Protocol(fault.to_string()),
    })
}
