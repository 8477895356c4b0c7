//! [`Mesh`]: the cloneable handle. Commands go to the actor's inbox; pictures come by a watch channel; requests to other
//! devices take their connection straight from the link table, so that they never queue behind anything.

mod documents;
mod governance;
mod probe;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::Stream;
use http::{Request, Response};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::actor::{self, Command, MemberCommand, NetworkCommand};
use crate::api::{
    DenyKind, InviteInfo, InviteOptions, JoinStep, MemberInfo, MeshConfig, MeshEvent, MeshSnapshot, NetworkInfo,
};
use crate::error::MeshError;
use crate::net::http as streams;
use crate::net::join::Target;
use crate::net::knock::Knocks;
use crate::net::link::OpenError;
use crate::net::links::{LinkTable, Links};
use crate::net::reach::Reach;
use crate::proto::code::Code;
use crate::proto::ids::{DeviceId, InviteId, KnockId, NetworkId};
use crate::proto::invite::Invite;
use crate::proto::knock::{self as wire, Decision};
use crate::proto::name::{DeviceName, NetworkName};
use crate::proto::record::{NetworkKind, Role};
use crate::roster::RosterWatch;

/// How long a request waits for a link that is being made again.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// How long the answer to a decision waits for the knock to leave the screen.
const CARD_PATIENCE: Duration = Duration::from_secs(1);

/// Handle to the mesh of this device. Cheap to clone; when the last one is dropped the mesh stops.
#[derive(Clone)]
pub struct Mesh {
    inner: Arc<Inner>,
}

/// What [`actor::start`] gives the handle.
pub(crate) struct Inner {
    pub(crate) device_id: DeviceId,
    pub(crate) inbox: mpsc::Sender<Command>,
    pub(crate) snapshot: watch::Receiver<Arc<MeshSnapshot>>,
    pub(crate) events: broadcast::Sender<MeshEvent>,
    pub(crate) links: Links,
    pub(crate) reach: Reach,
    pub(crate) knocks: Knocks,
    pub(crate) roster: RosterWatch,
    pub(crate) stop: DropGuard,
    pub(crate) stopped: CancellationToken,
}

impl Mesh {
    /// Opens the database's tables, binds the sockets and rejoins the last active network.
    pub async fn start(config: MeshConfig) -> Result<Self, MeshError> {
        let inner = actor::start(config).await?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This device.
    pub fn device_id(&self) -> DeviceId {
        self.inner.device_id
    }

    /// The picture of this moment.
    pub fn snapshot(&self) -> Arc<MeshSnapshot> {
        self.inner.snapshot.borrow().clone()
    }

    /// The picture, and each later one. Pictures in between may be skipped by a slow reader.
    pub fn watch(&self) -> watch::Receiver<Arc<MeshSnapshot>> {
        self.inner.snapshot.clone()
    }

    /// What happens from now on. A reader slower than 256 events is told how many it missed.
    pub fn events(&self) -> broadcast::Receiver<MeshEvent> {
        self.inner.events.subscribe()
    }

    /// Founds a network, with this device as owner, and makes it the active one.
    pub async fn create_network(&self, name: NetworkName, kind: NetworkKind) -> Result<NetworkInfo, MeshError> {
        self.ask(|reply| NetworkCommand::CreateNetwork { name, kind, reply }).await
    }

    /// Makes a saved network the active one.
    pub async fn use_network(&self, network: NetworkId) -> Result<NetworkInfo, MeshError> {
        self.ask(|reply| NetworkCommand::UseNetwork { network, reply }).await
    }

    /// Lets go of the active network; it stays saved.
    pub async fn leave_network(&self) -> Result<(), MeshError> {
        self.ask(|reply| NetworkCommand::LeaveNetwork { reply }).await
    }

    /// Ends this device's membership in a saved network and deletes the network here. The last owner names another one
    /// first, unless nobody else is left. Members that can be reached within a second are told; when none can, they go on
    /// counting this device as a member until somebody removes it.
    pub async fn forget_network(&self, network: NetworkId) -> Result<(), MeshError> {
        self.ask(|reply| NetworkCommand::ForgetNetwork { network, reply }).await
    }

    /// Renames a network for all its members. Owners may.
    pub async fn rename_network(&self, network: NetworkId, name: NetworkName) -> Result<NetworkInfo, MeshError> {
        self.ask(|reply| NetworkCommand::RenameNetwork { network, name, reply }).await
    }

    /// Makes an invite to the active network.
    pub async fn create_invite(&self, options: InviteOptions) -> Result<InviteInfo, MeshError> {
        self.ask(|reply| MemberCommand::CreateInvite { options, reply }).await
    }

    /// Invites of the active network: those made on this device, newest first, then the pre-approved ones of others.
    pub async fn invites(&self) -> Result<Vec<InviteInfo>, MeshError> {
        self.ask(|reply| MemberCommand::Invites { reply }).await
    }

    /// Makes an invite useless from now on.
    pub async fn revoke_invite(&self, invite: InviteId) -> Result<(), MeshError> {
        self.ask(|reply| MemberCommand::RevokeInvite { invite, reply }).await
    }

    /// Knocks at the network of `invite`. The steps end with `Joined` or `Failed`. A network that was joined is saved and
    /// made the active one, also when another one was switched to while the knock waited.
    pub async fn join(&self, invite: Invite) -> Result<JoinProgress, MeshError> {
        let target = Box::new(Target::Invite(Box::new(invite)));
        self.ask(|reply| NetworkCommand::Join { target, reply }).await
    }

    /// Admits the device that knocks, if `code`, when given, is the code of the knock.
    pub async fn approve(&self, knock: KnockId, role: Role, code: Option<Code>) -> Result<MemberInfo, MeshError> {
        let member = self.inner.knocks.decide(knock, Decision::Approve { role, code }).await?;
        self.until_gone(knock).await;
        member.ok_or(MeshError::UnknownKnock)
    }

    /// Turns a knock down; `reason` reaches the other screen.
    pub async fn deny(&self, knock: KnockId, kind: DenyKind, reason: Option<String>) -> Result<(), MeshError> {
        let kind = match kind {
            DenyKind::Denied | DenyKind::Unexpected => wire::DenyKind::Denied,
            DenyKind::CodesDiffer => wire::DenyKind::CodesDiffer,
        };
        self.inner.knocks.decide(knock, Decision::Deny { kind, reason }).await?;
        self.until_gone(knock).await;
        Ok(())
    }

    /// Whoever has decided also sees that the knock waits no more.
    async fn until_gone(&self, knock: KnockId) {
        let mut pictures = self.watch();
        let gone = pictures.wait_for(|picture| picture.knocks.iter().all(|waiting| waiting.id != knock));
        // A knock at another member ends here when that member has said so.
        let _ = tokio::time::timeout(CARD_PATIENCE, gone).await;
    }

    /// Gives a member of the active network another role.
    pub async fn set_role(&self, device: DeviceId, role: Role) -> Result<MemberInfo, MeshError> {
        self.ask(|reply| MemberCommand::SetRole { device, role, reply }).await
    }

    /// Renames this device, here and in its networks.
    pub async fn rename_device(&self, name: DeviceName) -> Result<(), MeshError> {
        self.ask(|reply| MemberCommand::RenameDevice { name, reply }).await
    }

    /// Publishes what this device wants members to know of it, at most 64 KiB of JSON. Connected members have it within
    /// a second, others when they connect.
    pub async fn publish_card(&self, card: serde_json::Value) -> Result<(), MeshError> {
        self.ask(|reply| MemberCommand::PublishCard { card, reply }).await
    }

    /// Sends `request` to a member of the active network and returns its answer as soon as the head is there.
    ///
    /// Waits up to five seconds for a link that is being made. Dropping the answer, or this future, cancels the work on
    /// the other device. The target's path and query are sent; `Host` and `Connection` are set by the transport.
    pub async fn request(&self, device: DeviceId, request: Request<Body>) -> Result<Response<Body>, MeshError> {
        let deadline = Instant::now() + LINK_PATIENCE;
        let mut table = self.inner.links.table();
        loop {
            // The roster says who is a member; the links follow it a moment later.
            if !self.inner.roster.borrow().members.contains_key(&device) {
                return Err(MeshError::NotMember);
            }
            let link = table.borrow_and_update().get(&device).and_then(|view| view.link.clone());
            if let Some(link) = link {
                match link.open().await {
                    Ok((send, recv, held)) => {
                        return streams::request(send, recv, request, held)
                            .await
                            .map_err(|error| self.no_answer(device, &error));
                    }
                    Err(OpenError::Full) => {
                        let name = self.name_of(device);
                        return Err(MeshError::Unreachable(format!(
                            "{name} has too many requests of this device open. Try again when some have ended."
                        )));
                    }
                    Err(OpenError::Retired | OpenError::Lost) => {}
                }
            } else {
                self.inner.links.hurry(device).await;
            }
            match tokio::time::timeout_at(deadline, table.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(MeshError::Stopped),
                Err(_) => return Err(self.unreachable(device, &table.borrow())),
            }
        }
    }

    fn name_of(&self, device: DeviceId) -> String {
        self.snapshot().member(device).map_or_else(|| device.short(), |member| member.name.to_string())
    }

    fn unreachable(&self, device: DeviceId, table: &LinkTable) -> MeshError {
        let name = self.name_of(device);
        let reason = table.get(&device).map_or_else(String::new, |view| view.state.reason());
        MeshError::Unreachable(format!(
            "{name} cannot be reached now. {reason} Check that it is on and connected, or pick another device."
        ))
    }

    fn no_answer(&self, device: DeviceId, error: &hyper::Error) -> MeshError {
        tracing::debug!(device = %device.short(), %error, "a request got no answer");
        let name = self.name_of(device);
        MeshError::Lost(format!("The connection to {name} was lost before it answered. Try again."))
    }

    /// Ends links, knocks and sockets in order. Returns when all is closed, in under two seconds.
    pub async fn shutdown(&self) {
        self.inner.stop.token().cancel();
        self.inner.stopped.cancelled().await;
    }

    async fn ask<T, C: Into<Command>>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, MeshError>>) -> C,
    ) -> Result<T, MeshError> {
        let (reply, answer) = oneshot::channel();
        self.inner.inbox.send(command(reply).into()).await.map_err(|_| MeshError::Stopped)?;
        answer.await.map_err(|_| MeshError::Stopped)?
    }
}

/// The steps of one attempt to join. Dropping it withdraws the knock.
#[derive(Debug)]
pub struct JoinProgress {
    steps: mpsc::Receiver<JoinStep>,
    cancel: DropGuard,
}

impl JoinProgress {
    pub(crate) fn new(steps: mpsc::Receiver<JoinStep>, cancel: DropGuard) -> Self {
        Self { steps, cancel }
    }

    /// The next step; `None` after `Joined` or `Failed`.
    pub async fn next(&mut self) -> Option<JoinStep> {
        self.steps.recv().await
    }

    /// Withdraws the knock; the steps still end with `Failed`.
    pub fn cancel(&self) {
        self.cancel.token().cancel();
    }
}

impl Stream for JoinProgress {
    type Item = JoinStep;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<JoinStep>> {
        self.steps.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests;
