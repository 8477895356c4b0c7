//! Everything a running daemon is made of, in one place for those who answer at the control socket.

use std::path::PathBuf;
use std::sync::Arc;

use myownmesh_compute::Compute;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{DeviceState, DeviceSummary, IdentityStore, JoinEvent, Role};
use myownmesh_mesh::{Mesh, MeshSnapshot, NetworkId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::api::{Api, Requests};
use crate::card::Card;
use crate::catalogue::Showing;
use crate::chat::Answers;
use crate::config::ConfigFile;
use crate::conversations::{Conversations, Scope};
use crate::convert::Names;
use crate::engines::SavedEngines;
use crate::events::Events;
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::lending::Lending;
use crate::library::Library;
use crate::permissions::Permissions;
use crate::planner::{Machine, Rates};
use crate::prompts::Prompts;
use crate::scopes::Scopes;
use crate::streams::Streams;
use crate::{convert, devices, platform};

/// The parts. Each is a handle; the struct itself holds no state.
pub(crate) struct Daemon {
    /// Devices, networks, connections.
    pub(crate) mesh: Mesh,
    /// Engines and models.
    pub(crate) compute: Compute,
    /// Routing of questions.
    pub(crate) api: Api,
    /// What this device does for others.
    pub(crate) lending: Lending,
    /// What it works with, as soon as that is read.
    pub(crate) machine: watch::Receiver<Option<Machine>>,
    /// How fast devices answer.
    pub(crate) rates: Rates,
    /// What was lent and borrowed.
    pub(crate) ledger: Ledger,
    /// What each member may do here.
    pub(crate) scopes: Scopes,
    /// What tools may do here.
    pub(crate) permissions: Permissions,
    /// Conversations kept here.
    pub(crate) conversations: Conversations,
    /// Texts that the devices of a network share.
    pub(crate) prompts: Prompts,
    /// Whether titles of conversations are shown.
    pub(crate) showing: Showing,
    /// Answers being given.
    pub(crate) answers: Answers,
    /// What happened, kept.
    pub(crate) activity: Activity,
    /// Things a person should know that came up while it runs.
    pub(crate) notices: watch::Sender<Vec<String>>,
    /// Knocks of this device.
    pub(crate) joins: Streams<JoinEvent>,
    /// Engines a person added.
    pub(crate) engines: SavedEngines,
    /// Requests of programs at the local API.
    pub(crate) requests: Requests,
    /// Keys for the local API.
    pub(crate) keys: Keys,
    /// Models that can be had.
    pub(crate) library: Library,
    /// Everything that happens.
    pub(crate) events: Events,
    /// The person's configuration.
    pub(crate) config: ConfigFile,
    /// What does not change while it runs.
    pub(crate) facts: Facts,
    /// Ends the daemon.
    pub(crate) stop: CancellationToken,
}

/// What does not change while a daemon runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Where the identity key is.
    pub(crate) identity_store: IdentityStore,
    /// Base URL of the local API.
    pub(crate) api_url: String,
    /// Whether the local API is reached from other devices of the local network too.
    pub(crate) api_beyond_loopback: bool,
    /// Folder that models are kept in.
    pub(crate) models: PathBuf,
    /// Things a person should know.
    pub(crate) warnings: Vec<String>,
}

impl Daemon {
    /// The mesh at this moment.
    pub(crate) fn picture(&self) -> Arc<MeshSnapshot> {
        self.mesh.snapshot()
    }

    /// The conversations of the active network.
    pub(crate) fn scope(&self) -> Scope {
        Scope(self.picture().active.as_ref().map(NetworkId::to_string).unwrap_or_default())
    }

    /// What this device tells members: the models it lends, and whether it does now.
    pub(crate) fn lent_card(&self, mesh: &MeshSnapshot) -> Card {
        let mut card = self.card(mesh);
        if let Some(network) = mesh.active {
            card.accepting = self.lending.accepting(network);
            card.models.retain(|model| self.lending.lends(network, &model.id));
        }
        card
    }

    /// What this device can do, whether it lends it now or not.
    pub(crate) fn card(&self, mesh: &MeshSnapshot) -> Card {
        let mut card = Card::of(&self.compute.snapshot(), self.lending.policy(mesh.active));
        card.coming(&self.library.underway().list());
        Card { queue: self.lending.load(), machine: *self.machine.borrow(), ..card }
    }

    /// The members of the active network, this device first; without one, this device alone.
    pub(crate) fn devices(&self) -> Vec<DeviceSummary> {
        let mesh = self.picture();
        let card = self.card(&mesh);
        if mesh.members.iter().any(|member| member.this_device) {
            return mesh.members.iter().map(|member| convert::device(member, &card)).collect();
        }
        vec![DeviceSummary {
            device_id: mesh.device_id.to_string(),
            name: mesh.device_name.to_string(),
            os: platform::os_name().to_owned(),
            this_device: true,
            role: Role::Member,
            state: DeviceState::Online,
            reason: "This device.".to_owned(),
            path: None,
            rtt_ms: None,
            models: card.models.iter().filter(|model| model.usable()).map(|model| model.id.clone()).collect(),
            accepting: card.accepting,
            version: Some(myownmesh_control::VERSION.to_owned()),
            last_seen: None,
        }]
    }

    /// The member that `text` names.
    pub(crate) fn find_device(&self, text: &str) -> Result<myownmesh_mesh::DeviceId, ControlError> {
        let mesh = self.picture();
        let own = std::iter::once((mesh.device_id, mesh.device_name.as_str()));
        let others = mesh.members.iter().filter(|member| !member.this_device);
        Ok(devices::find(own.chain(others.map(|member| (member.device_id, member.name.as_str()))), text)?)
    }

    /// What devices are called; those in `of` also when they are no members any more.
    pub(crate) async fn names(&self, of: impl IntoIterator<Item = myownmesh_mesh::DeviceId>) -> Names {
        let mesh = self.picture();
        let mut names = Names::of(&mesh);
        let gone = of.into_iter().any(|device| mesh.member(device).is_none());
        if let (true, Some(network)) = (gone, mesh.active) {
            match self.mesh.decisions(network).await {
                Ok(decisions) => names.learn(&decisions),
                Err(error) => tracing::debug!(%error, "former members are called by their short ids"),
            }
        }
        names
    }

    /// One member as the contract shows it.
    pub(crate) fn device(&self, id: myownmesh_mesh::DeviceId) -> Option<DeviceSummary> {
        let id = id.to_string();
        self.devices().into_iter().find(|device| device.device_id == id)
    }
}
