//! What tools may do on this device, and why.
//!
//! Every device says what it wants of a tool in a document of its own; the mesh keeps these in step. What holds here
//! follows from all of them and from what a person here has agreed to: what tightens applies at once, what loosens waits.
//!
//! [`Permissions`] is a handle; one actor (`keeper`) owns what this device keeps, so that a person's answer and a
//! statement that arrives at the same moment cannot undo each other.
//!
//! - `tool`, `limits`, `rule`: names, limits, and which of two settings is the stricter
//! - `statement`: what devices say, as documents
//! - `fold`: what holds, a pure function; `reason` puts it into words, `view` shows all tools at one moment
//! - `rows`: the SQL

mod error;
mod fold;
mod keeper;
mod limits;
mod reason;
mod rows;
mod rule;
mod statement;
mod tool;
mod view;

use myownmesh_control::types::{Limits, Permission, PermissionProposal, PermissionTrust, Rule};
use myownmesh_mesh::{DeviceId, Mesh, NetworkId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::events::Events;
use crate::store::Store;

pub(crate) use self::error::PermissionError;
use self::keeper::{Keeper, Message};

/// Questions that may wait.
const INBOX: usize = 64;

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Permissions {
    inbox: mpsc::Sender<Message>,
}

impl Permissions {
    /// Starts the actor; it ends with `stop`.
    pub(crate) fn start(store: Store, mesh: Mesh, events: Events, activity: Activity, stop: CancellationToken) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX);
        let keeper = Keeper::new(store, mesh, events, activity);
        tokio::spawn(async move { stop.run_until_cancelled_owned(keeper.run(messages)).await });
        Self { inbox }
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, PermissionError>>) -> Message,
    ) -> Result<T, PermissionError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(message(reply)).await.map_err(|_| PermissionError::Closed)?;
        answer.await.map_err(|_| PermissionError::Closed)?
    }

    /// What holds for each tool that anybody has said something about, those that every device has first.
    pub(crate) async fn list(&self) -> Result<Vec<Permission>, PermissionError> {
        self.ask(Message::List).await
    }

    /// What holds for one tool.
    pub(crate) async fn explain(&self, tool: String) -> Result<Permission, PermissionError> {
        self.ask(|reply| Message::Explain { tool, reply }).await
    }

    /// Sets the rule of a tool, here and for the network. The limits stay as they are when not given.
    pub(crate) async fn set(
        &self,
        tool: String,
        rule: Rule,
        limits: Option<Limits>,
    ) -> Result<Permission, PermissionError> {
        self.ask(|reply| Message::Set { tool, rule, limits, reply }).await
    }

    /// Looser rules of others that wait for a person here.
    pub(crate) async fn proposals(&self) -> Result<Vec<PermissionProposal>, PermissionError> {
        self.ask(Message::Proposals).await
    }

    /// Accepts or declines a proposal, which a unique prefix of its id names.
    pub(crate) async fn answer(&self, id: String, accept: bool) -> Result<Permission, PermissionError> {
        self.ask(|reply| Message::Answer { id, accept, reply }).await
    }

    /// Says whether looser rules of a member apply here without asking, from now on.
    pub(crate) async fn trust(&self, device: DeviceId, on: bool) -> Result<PermissionTrust, PermissionError> {
        self.ask(|reply| Message::Trust { device, on, reply }).await
    }

    /// The other members, and whether they are trusted with that.
    pub(crate) async fn trusted(&self) -> Result<Vec<PermissionTrust>, PermissionError> {
        self.ask(Message::Trusted).await
    }

    /// Takes in what has changed around this device, and tells about it.
    pub(crate) async fn look(&self) -> Result<(), PermissionError> {
        self.ask(Message::Look).await
    }

    /// Deletes what was kept of a network that this device forgets.
    pub(crate) async fn forget_network(&self, network: NetworkId) -> Result<(), PermissionError> {
        self.ask(|reply| Message::Forget { network, reply }).await
    }
}
