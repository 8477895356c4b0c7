//! The actor behind the handle: what this device keeps of permissions, one question after the other.

use std::sync::Arc;

use myownmesh_control::types::{self, ActivityKind, Event, Permission, PermissionProposal, PermissionTrust, Rule};
use myownmesh_mesh::{DeviceId, Hlc, Mesh, MeshError, MeshSnapshot, NetworkId, NetworkInfo};
use tokio::sync::{mpsc, oneshot};

use super::error::PermissionError;
use super::fold::How;
use super::limits::Limits;
use super::rows::{self, Kept};
use super::rule::Setting;
use super::statement::{self, MAX_MCP_TOOLS, Statement};
use super::tool::Tool;
use super::view::{self, View};
use crate::activity::{Activity, Told};
use crate::collections;
use crate::convert::Names;
use crate::events::Events;
use crate::store::Store;
use crate::text::now_ms;

/// Who asked, and waits.
type Reply<T> = oneshot::Sender<Result<T, PermissionError>>;

/// What can be asked.
pub(super) enum Message {
    /// All tools.
    List(Reply<Vec<Permission>>),
    /// One tool.
    Explain { tool: String, reply: Reply<Permission> },
    /// Set a rule.
    Set { tool: String, rule: Rule, limits: Option<types::Limits>, reply: Reply<Permission> },
    /// What waits.
    Proposals(Reply<Vec<PermissionProposal>>),
    /// Accept or decline.
    Answer { id: String, accept: bool, reply: Reply<Permission> },
    /// Trust a device, or no longer.
    Trust { device: DeviceId, on: bool, reply: Reply<PermissionTrust> },
    /// Who is trusted.
    Trusted(Reply<Vec<PermissionTrust>>),
    /// Something has changed around this device.
    Look(Reply<()>),
    /// This device forgets a network.
    Forget { network: NetworkId, reply: Reply<()> },
}

/// What was told last; changes are told against it.
struct Shown {
    network: NetworkId,
    permissions: Vec<Permission>,
    trusted: Vec<PermissionTrust>,
}

/// What there is to see at one moment.
struct Sight {
    mesh: Arc<MeshSnapshot>,
    network: NetworkId,
    names: Names,
    view: View,
}

/// The actor.
pub(super) struct Keeper {
    store: Store,
    mesh: Mesh,
    events: Events,
    activity: Activity,
    /// What is kept of the network that was looked at last.
    kept: Option<(NetworkId, Kept)>,
    shown: Option<Shown>,
}

impl Keeper {
    pub(super) fn new(store: Store, mesh: Mesh, events: Events, activity: Activity) -> Self {
        Self { store, mesh, events, activity, kept: None, shown: None }
    }

    /// Answers until nobody can ask any more.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            self.answer(message).await;
        }
    }

    async fn answer(&mut self, message: Message) {
        // Whoever asked may be gone; what was asked is done all the same.
        match message {
            Message::List(reply) => drop(reply.send(self.list().await)),
            Message::Explain { tool, reply } => drop(reply.send(self.explain(&tool).await)),
            Message::Set { tool, rule, limits, reply } => drop(reply.send(self.set(&tool, rule, limits).await)),
            Message::Proposals(reply) => drop(reply.send(self.proposals().await)),
            Message::Answer { id, accept, reply } => drop(reply.send(self.decide(&id, accept).await)),
            Message::Trust { device, on, reply } => drop(reply.send(self.trust(device, on).await)),
            Message::Trusted(reply) => drop(reply.send(self.trusted().await)),
            Message::Look(reply) => drop(reply.send(self.look_around().await)),
            Message::Forget { network, reply } => drop(reply.send(self.forget(network).await)),
        }
    }

    async fn list(&mut self) -> Result<Vec<Permission>, PermissionError> {
        let Sight { view, names, .. } = self.look().await?;
        Ok(view.permissions(&names, now_ms()))
    }

    async fn explain(&mut self, tool: &str) -> Result<Permission, PermissionError> {
        self.permission(&tool.parse()?).await
    }

    async fn permission(&mut self, tool: &Tool) -> Result<Permission, PermissionError> {
        let Sight { view, names, .. } = self.look().await?;
        Ok(view.permission(tool, &names, now_ms()))
    }

    async fn proposals(&mut self) -> Result<Vec<PermissionProposal>, PermissionError> {
        Ok(self.list().await?.into_iter().filter_map(|permission| permission.proposal).collect())
    }

    async fn set(
        &mut self,
        tool: &str,
        rule: Rule,
        given: Option<types::Limits>,
    ) -> Result<Permission, PermissionError> {
        let tool: Tool = tool.parse()?;
        let given = given.map(|given| Limits::parse(&given)).transpose()?;
        if let Some(limits) = &given {
            limits.check_fit(&tool)?;
        }
        let Sight { mesh, network, view, names } = self.look().await?;
        let limits = given.map_or_else(|| Limits::parse(&types::Limits::from(&view.limits(&tool))), Ok)?;
        let setting = Setting::new(rule, limits.clone());
        if !view.may_set(&tool, &setting) {
            let network = active(&mesh)?.name.to_string();
            return Err(PermissionError::OnlyTighten { network });
        }
        let own = view.own(&tool);
        if matches!(tool, Tool::Mcp { .. }) && own.is_none() && view.own_mcp_tools() >= MAX_MCP_TOOLS {
            return Err(PermissionError::TooManyTools);
        }
        let state = view.outcome(&tool).state;
        let said =
            own.is_some_and(|own| own.setting == setting && own.limits == limits && state.base.at == Some(own.at));
        if said && state.held.is_empty() {
            return Ok(view.permission(&tool, &names, now_ms()));
        }
        self.mesh.write_documents_in(network, vec![Statement::edit(&tool, rule, &limits)]).await?;
        self.permission(&tool).await
    }

    async fn decide(&mut self, id: &str, accept: bool) -> Result<Permission, PermissionError> {
        let Sight { network, view, .. } = self.look().await?;
        let (tool, statement) = view.find_proposal(id)?;
        let mut state = view.outcome(&tool).state;
        if accept {
            state.agree(&statement, How::Accepted);
        } else {
            state.declined.insert(statement.record);
        }
        self.keep(network, vec![(tool.clone(), state)]).await?;
        self.permission(&tool).await
    }

    async fn trust(&mut self, device: DeviceId, on: bool) -> Result<PermissionTrust, PermissionError> {
        let Sight { mesh, network, names, view } = self.look().await?;
        if device == mesh.device_id {
            return Err(PermissionError::OwnDevice);
        }
        if on && mesh.member(device).is_none() {
            return Err(MeshError::NotMember.into());
        }
        if on && !view.may_propose(device) {
            return Err(PermissionError::PlainMember { device: names.of_device(device) });
        }
        if view.trust(device, &names).trusted == on {
            return Ok(view.trust(device, &names));
        }
        // What anybody has said before does not count, however wrong their clock is.
        let now = Hlc::at(u64::try_from(now_ms()).unwrap_or_default());
        let since = on.then(|| now.max(view.latest()));
        let key = network.to_string();
        self.store.call(move |connection| rows::set_trust(connection, &key, device, since)).await?;
        self.kept = None;
        let Sight { view, names, .. } = self.look().await?;
        Ok(view.trust(device, &names))
    }

    async fn trusted(&mut self) -> Result<Vec<PermissionTrust>, PermissionError> {
        let Sight { view, names, .. } = self.look().await?;
        Ok(view.trusted(&names))
    }

    async fn look_around(&mut self) -> Result<(), PermissionError> {
        if self.mesh.snapshot().active.is_none() {
            self.kept = None;
            if self.shown.take().is_some() {
                self.events.push(Event::PermissionsChanged);
            }
            return Ok(());
        }
        self.look().await.map(drop)
    }

    async fn forget(&mut self, network: NetworkId) -> Result<(), PermissionError> {
        let key = network.to_string();
        self.store.call(move |connection| rows::forget_network(connection, &key)).await?;
        if self.kept.as_ref().is_some_and(|(kept, _)| *kept == network) {
            self.kept = None;
        }
        Ok(())
    }

    /// Looks at what the devices say now, keeps what follows from it, and tells what has changed.
    async fn look(&mut self) -> Result<Sight, PermissionError> {
        let mesh = self.mesh.snapshot();
        let network = active(&mesh)?;
        // Refused when another network is active by now: nothing of one may be kept for another.
        let documents = self.mesh.documents_in(network.id, &collections::permissions()).await?;
        let kept = self.kept_of(network.id).await?;
        let view = View::new(view::here(&mesh, network, kept), statement::read_all(&documents), kept);
        let changed = view.changed(kept);
        self.keep(network.id, changed).await?;
        let names = self.names(&mesh, network.id, &view).await;
        self.tell(network.id, &view, &names);
        let network = network.id;
        Ok(Sight { mesh, network, names, view })
    }

    async fn kept_of(&mut self, network: NetworkId) -> Result<&Kept, PermissionError> {
        let loaded = match self.kept.take() {
            Some((of, kept)) if of == network => kept,
            _ => {
                let key = network.to_string();
                self.store.call(move |connection| rows::load(connection, &key)).await?
            }
        };
        Ok(&self.kept.insert((network, loaded)).1)
    }

    async fn keep(
        &mut self,
        network: NetworkId,
        states: Vec<(Tool, super::fold::State)>,
    ) -> Result<(), PermissionError> {
        if states.is_empty() {
            return Ok(());
        }
        let (key, rows) = (network.to_string(), states.clone());
        self.store.call(move |connection| rows::save(connection, &key, &rows)).await?;
        if let Some((_, kept)) = self.kept.as_mut().filter(|(of, _)| *of == network) {
            kept.states.extend(states);
        }
        Ok(())
    }

    /// Names of the members, and of those that are gone where one of them has a say.
    async fn names(&self, mesh: &MeshSnapshot, network: NetworkId, view: &View) -> Names {
        let mut names = Names::of(mesh);
        if view.authors().into_iter().any(|author| !names.knows(author)) {
            // Without them a device is called by the start of its id.
            names.learn(&self.mesh.decisions(network).await.unwrap_or_default());
        }
        names
    }

    fn tell(&mut self, network: NetworkId, view: &View, names: &Names) {
        let (permissions, trusted) = (view.permissions(names, now_ms()), view.trusted(names));
        // What there is at the start, or in another network, is no news: whoever shows it asks for it.
        if let Some(shown) = self.shown.as_ref().filter(|shown| shown.network == network) {
            if shown.permissions == permissions && shown.trusted == trusted {
                return;
            }
            let before =
                |permission: &Permission| shown.permissions.iter().find(|before| before.tool == permission.tool);
            for permission in &permissions {
                let before = before(permission);
                if let Some(told) = before.and_then(|before| changed(network, before, permission)) {
                    self.activity.tell(told);
                }
                let known = before.and_then(|before| before.proposal.as_ref()).map(|proposal| &proposal.id);
                if let Some(proposal) = permission.proposal.clone().filter(|proposal| known != Some(&proposal.id)) {
                    self.events.push(Event::Proposal { proposal });
                }
            }
        }
        self.events.push(Event::PermissionsChanged);
        self.shown = Some(Shown { network, permissions, trusted });
    }
}

/// What to keep among the activities when another rule holds than before.
fn changed(network: NetworkId, before: &Permission, now: &Permission) -> Option<Told> {
    if (before.rule, &before.limits) == (now.rule, &now.limits) {
        return None;
    }
    let told = Told::new(Some(network), ActivityKind::Security, format!("The tool {}: {}", now.tool, now.reason));
    match (now.set_by.as_ref().and_then(|device| device.parse().ok()), &now.set_by_name) {
        (Some(device), Some(name)) => Some(told.about(device, name)),
        _ => Some(told),
    }
}

fn active(mesh: &MeshSnapshot) -> Result<&NetworkInfo, PermissionError> {
    let found = mesh.networks.iter().find(|network| Some(network.id) == mesh.active);
    found.ok_or(PermissionError::Mesh(MeshError::NoNetwork))
}
