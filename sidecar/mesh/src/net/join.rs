//! The other side of the door: drives [`Guest`](crate::proto::knock::Guest) from an invite to membership.

use std::time::Duration;

use iroh::Endpoint;
use iroh::endpoint::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::close::CloseCode;
use super::endpoint;
use super::hello::Places;
use super::link::WelcomeError;
use super::links;
use super::wire::{self, FrameReader, WireError};
use crate::actor::Command;
use crate::api::{JoinStep, NetworkInfo};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::proto::code::Nonce;
use crate::proto::ids::DeviceId;
use crate::proto::invite::{Invite, Payload};
use crate::proto::knock::message::{HELLO_LIMIT, HOST_LIMIT};
use crate::proto::knock::{
    Admission, DenyKind, Guest, GuestEffect, GuestEvent, GuestOutcome, GuestSetup, HostFrame, KNOCK_ALPN,
};
use crate::proto::name::DeviceName;

/// How often the inviter is tried, and for how long each time.
const TRIES: u32 = 3;
const TRY_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause between tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Who knocks, with what, and whom it tells.
pub(crate) struct Knocker {
    pub(crate) endpoint: Endpoint,
    pub(crate) me: DeviceId,
    pub(crate) name: DeviceName,
    pub(crate) os: String,
    pub(crate) app_version: String,
    pub(crate) invite: Invite,
    pub(crate) steps: mpsc::Sender<JoinStep>,
    pub(crate) cancel: CancellationToken,
    pub(crate) mesh: mpsc::Sender<Command>,
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
        let payload = self.invite.payload();
        self.tell(JoinStep::Finding { network: payload.name.clone() }).await;
        let admission = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(MeshError::Cancelled),
            connection = self.find(payload) => self.knock(payload, connection?).await?,
        };
        let (reply, answer) = oneshot::channel();
        let adopt = Command::Adopt { admission: Box::new(admission), reply };
        self.mesh.send(adopt).await.map_err(|_| MeshError::Stopped)?;
        answer.await.map_err(|_| MeshError::Stopped)?
    }

    /// Connects to the device that made the invite.
    async fn find(&self, payload: &Payload) -> Result<Connection, MeshError> {
        let places = Places::new(payload.addresses.iter().copied(), payload.relays.first().cloned());
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match links::connect(&self.endpoint, payload.inviter, &places, KNOCK_ALPN, TRY_TIMEOUT).await {
                Ok(connection) => return Ok(connection),
                Err(WelcomeError { reason, refused: true }) => {
                    return Err(MeshError::Unreachable(format!(
                        "The device that made the invite turned the connection away. {reason} Try again later."
                    )));
                }
                Err(WelcomeError { reason, .. }) => tracing::info!(attempt, reason, "the inviter does not answer"),
            }
        }
        Err(MeshError::NobodyAnswered { addresses: places.to_string() })
    }

    async fn knock(&self, payload: &Payload, connection: Connection) -> Result<Admission, MeshError> {
        let setup = GuestSetup {
            me: self.me,
            name: self.name.clone(),
            os: self.os.clone(),
            app_version: self.app_version.clone(),
            addresses: endpoint::own_places(&self.endpoint).addresses().to_vec(),
            host: payload.inviter,
            network: payload.network,
            invite: Some(payload.id),
            secret: payload.secret,
            nonce: Nonce(rand::random()),
        };
        let (guest, hello) = Guest::start(setup, now_ms());
        let outcome = self.converse(guest, hello, &connection).await;
        CloseCode::Done.close(&connection);
        judge(outcome)
    }

    async fn converse(
        &self,
        mut guest: Guest,
        hello: crate::proto::knock::GuestFrame,
        connection: &Connection,
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
            "The device that made this invite does not have that network active now. Ask its owner to switch to it, or for a new invite.".to_owned(),
        ),
        GuestOutcome::Denied { kind: DenyKind::CannotAdmit, reason } => MeshError::NotAllowed(
            reason.unwrap_or_else(|| "The device that made this invite may not admit others. Ask an owner of the network for an invite.".to_owned()),
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
