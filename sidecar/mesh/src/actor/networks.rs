//! Networks: found, use, leave, forget, rename, join.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::documents::Documents;
use super::members::allowed;
use super::{Actor, Met};
use crate::api::{JoinStep, MeshEvent, NetworkInfo};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::ledger::Ledger;
use crate::mesh::JoinProgress;
use crate::net::hello::{Introduction, Places};
use crate::net::join::{self, Knocker, Target};
use crate::net::leave;
use crate::net::link::Ours;
use crate::net::sync::{CardPush, Push, pack};
use crate::proto::fold::Membership;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::knock::{Admission, PeerAddress};
use crate::proto::name::NetworkName;
use crate::proto::record::{Body, DeviceInfo, Genesis, NetworkKind, Record, Rename};
use crate::proto::spread::Spread;
use crate::proto::welcome::{PROTOCOL, Welcome};
use crate::store::SavedPeer;

/// Steps of joining that may wait to be read.
const STEPS: usize = 16;

impl Actor {
    /// Brings the state of the last run back.
    pub(super) async fn restore(&mut self, active: Option<NetworkId>) -> Result<(), MeshError> {
        self.load_saved()?;
        if let Some(network) = active {
            self.activate(network).await?;
        }
        self.publish_snapshot();
        Ok(())
    }

    fn load_saved(&mut self) -> Result<(), MeshError> {
        let active = self.active.as_ref().map(Ledger::network);
        let mut saved = BTreeMap::new();
        for network in self.store.networks()? {
            if let Some(membership) = self.store.membership(network.id)? {
                self.keep_members(&membership);
                saved.insert(network.id, self.network_info(&membership, active == Some(network.id)));
            }
        }
        self.saved = saved;
        Ok(())
    }

    pub(super) async fn create_network(
        &mut self,
        name: NetworkName,
        kind: NetworkKind,
    ) -> Result<NetworkInfo, MeshError> {
        let now = now_ms();
        let genesis = Genesis {
            name: name.clone(),
            kind,
            founder_name: self.name.clone(),
            founder_os: self.os.clone(),
            nonce: rand::random(),
        };
        let record = Record::found(&self.secret, self.clock.tick(now), genesis)
            .map_err(|error| MeshError::InvalidArgument(format!("The network cannot be founded: {error}.")))?;
        let network = record.network();
        self.store.save_network(network, &name, &[record], now)?;
        self.use_network(network).await
    }

    pub(super) async fn use_network(&mut self, network: NetworkId) -> Result<NetworkInfo, MeshError> {
        if self.active.as_ref().is_none_or(|ledger| ledger.network() != network) {
            self.activate(network).await?;
        }
        self.saved.get(&network).cloned().ok_or(MeshError::UnknownNetwork)
    }

    pub(super) fn leave_network(&mut self) -> Result<(), MeshError> {
        self.ledger()?;
        self.store.set_active(None)?;
        self.deactivate();
        self.tell(MeshEvent::NetworkChanged { active: None });
        Ok(())
    }

    /// Ends this device's membership and deletes what is kept of the network. Gives back the word to the other members,
    /// which takes a second at most. When none of them can be reached, they go on counting this device as a member until
    /// somebody removes it: there is nothing left here that could tell them later.
    pub(super) fn forget_network(
        &mut self,
        network: NetworkId,
    ) -> Result<impl Future<Output = ()> + Send + use<>, MeshError> {
        if !self.saved.contains_key(&network) {
            return Err(MeshError::UnknownNetwork);
        }
        let membership = self.membership_of(network)?;
        let mut word = None;
        if membership.is_member(self.me) && membership.members.len() > 1 {
            allowed(membership.may_leave(self.me), "leave this network")?;
            let members = self.doors_of(&membership)?;
            let now = now_ms();
            let (secret, hlc) = (&self.secret, self.clock.tick(now));
            let record = self.store.write(network, now, |seq| Record::sign(secret, network, seq, hlc, Body::Leave))?;
            let records = pack(&Push { records: vec![record.as_bytes().to_vec()], ..Push::default() });
            word = Some(leave::tell(self.endpoint.clone(), self.introduction(network), members, records));
        }
        if self.ledger_of(network).is_ok() {
            self.leave_network()?;
        }
        self.store.forget_network(network)?;
        self.saved.remove(&network);
        self.kept.remove(&network);
        self.publish_roster();
        Ok(async move {
            if let Some(word) = word {
                word.await;
            }
        })
    }

    /// The other members of a saved network that may be found, those that are linked, or were lately, first.
    fn doors_of(&self, membership: &Membership) -> Result<Vec<(DeviceId, Places)>, MeshError> {
        let mut known: Vec<(DeviceId, Met)> = if self.ledger_of(membership.network).is_ok() {
            self.met.iter().map(|(device, met)| (*device, met.clone())).collect()
        } else {
            self.store.peers(membership.network)?.into_iter().map(|(device, peer)| (device, met(peer))).collect()
        };
        known.retain(|(device, met)| *device != self.me && membership.is_member(*device) && !met.places.is_empty());
        known.sort_by_key(|(device, met)| std::cmp::Reverse((self.is_linked(*device), met.last_seen)));
        Ok(known.into_iter().map(|(device, met)| (device, met.places)).collect())
    }

    /// Other members that a newcomer can knock at when this device is away: those that may admit, the most promising
    /// first.
    pub(super) fn other_doors(&self, membership: &Membership) -> Result<Vec<PeerAddress>, MeshError> {
        let mut doors = self.doors_of(membership)?;
        doors.retain(|(device, _)| membership.may_admit(*device));
        Ok(doors.iter().map(|(device, places)| peer_address(*device, places)).collect())
    }

    fn is_linked(&self, device: DeviceId) -> bool {
        self.table.get(&device).is_some_and(|view| view.link.is_some())
    }

    /// What this device says of itself on a connection that is no link.
    fn introduction(&self, network: NetworkId) -> Ours {
        let welcome = Welcome {
            protocol: PROTOCOL,
            app_version: self.app_version.clone(),
            network,
            device_name: self.name.to_string(),
        };
        Ours { welcome, introduction: Introduction { run: rand::random(), places: Places::default() } }
    }

    pub(super) async fn rename_network(
        &mut self,
        network: NetworkId,
        name: NetworkName,
    ) -> Result<NetworkInfo, MeshError> {
        let info = self.saved.get(&network).ok_or(MeshError::UnknownNetwork)?;
        if info.role != Some(crate::proto::record::Role::Owner) {
            return Err(MeshError::NotAllowed("Only an owner of the network may rename it.".to_owned()));
        }
        self.write(network, Body::Rename(Rename { name })).await?;
        self.saved.get(&network).cloned().ok_or(MeshError::UnknownNetwork)
    }

    /// Loads a saved network and makes it the one that is served and shown. Everything that can fail comes first: a
    /// switch that fails leaves the active network as it was.
    async fn activate(&mut self, network: NetworkId) -> Result<(), MeshError> {
        if !self.store.networks()?.iter().any(|saved| saved.id == network) {
            return Err(MeshError::UnknownNetwork);
        }
        let ledger = Ledger::new(network, self.store.records(network)?)
            .ok_or_else(|| MeshError::Storage("a network's first record is missing".to_owned()))?;
        let documents = Documents::load(&self.store, network, self.me)?;
        let peers = self.store.peers(network)?;
        self.store.set_active(Some(network))?;
        self.deactivate();
        for (device, peer) in peers {
            let met = met(peer);
            if device != self.me && ledger.membership().is_member(device) {
                self.links.learn(device, met.places.clone()).await;
                self.met.insert(device, met);
            }
        }
        let bound = PeerAddress { device: self.me, addresses: self.endpoint.bound_sockets(), relay: None };
        self.store.set_peer_address(network, &bound)?;
        let own = ledger.membership().members.get(&self.me);
        let changed = own.is_some_and(|own| own.name != self.name || own.os != self.os);
        self.active = Some(ledger);
        self.documents = documents;
        self.note_active();
        self.publish_roster();
        tracing::info!(%network, "network active");
        self.tell(MeshEvent::NetworkChanged { active: Some(network) });
        if changed {
            self.write(network, Body::DeviceInfo(self.device_info())).await?;
        }
        Ok(())
    }

    fn deactivate(&mut self) {
        self.settle_documents();
        if let Some(ledger) = self.active.take() {
            self.keep_members(ledger.membership());
            let info = self.network_info(ledger.membership(), false);
            self.saved.insert(info.id, info);
        }
        self.met.clear();
        self.hearsay.clear();
        self.refused.clear();
        self.spread = Spread::new(self.me);
        self.documents = Documents::none(self.me);
        self.publish_roster();
    }

    pub(super) fn device_info(&self) -> DeviceInfo {
        DeviceInfo { name: self.name.clone(), os: self.os.clone() }
    }

    /// Begins to knock at a network.
    pub(super) async fn join(&mut self, target: Target) -> Result<JoinProgress, MeshError> {
        target.check_current()?;
        if target.doors().iter().all(|(device, _)| *device == self.me) {
            return Err(MeshError::InvalidInvite(
                "This invite was made on this very device. Open it on the device that should join.".to_owned(),
            ));
        }
        let (steps, receiver) = mpsc::channel(STEPS);
        let cancel = CancellationToken::new();
        let network = target.network();
        if self.saved.get(&network).is_some_and(|info| info.role.is_some()) {
            let network = self.use_network(network).await?;
            // The channel was made a moment ago and has room.
            let _ = steps.try_send(JoinStep::Joined { network });
            return Ok(JoinProgress::new(receiver, cancel.drop_guard()));
        }
        self.tasks.spawn(join::run(Knocker {
            endpoint: self.endpoint.clone(),
            me: self.me,
            name: self.name.clone(),
            os: self.os.clone(),
            app_version: self.app_version.clone(),
            target,
            steps,
            cancel: cancel.clone(),
            mesh: self.inbox.clone(),
            reach: self.reach.clone(),
        }));
        Ok(JoinProgress::new(receiver, cancel.drop_guard()))
    }

    /// Keeps what an admission brought and makes its network the active one, also when the person has switched to another
    /// one while the knock waited: what was asked for last and took effect last is what is shown.
    pub(super) async fn adopt(&mut self, admission: Admission) -> Result<NetworkInfo, MeshError> {
        let Admission { records, membership, peers } = admission;
        let (network, now) = (membership.network, now_ms());
        for record in &records {
            // One far ahead is kept out of this clock; the record itself counts as the others count it.
            let _ = self.clock.observe(record.hlc(), now);
        }
        self.store.save_network(network, &membership.name, &records, now)?;
        for peer in peers {
            let places = Places::new(peer.addresses, peer.relay);
            self.store.set_peer_address(network, &peer_address(peer.device, &places))?;
        }
        if let Err(error) = self.activate(network).await {
            // It is saved, and can be switched to later.
            self.load_saved()?;
            return Err(error);
        }
        self.saved.get(&network).cloned().ok_or(MeshError::UnknownNetwork)
    }
}

/// What was kept of a peer; a card that does not read back is left out, it will be sent again.
fn met(peer: SavedPeer) -> Met {
    let places = peer.address.map(|address| Places::new(address.addresses, address.relay)).unwrap_or_default();
    let card = peer.card.and_then(|json| serde_json::from_str::<CardPush>(&json).ok());
    Met {
        places,
        version: peer.app_version,
        card: card.map(|push| (push.seq, std::sync::Arc::new(push.card))),
        last_seen: peer.last_seen,
    }
}

/// Places in the form that is stored and sent.
pub(super) fn peer_address(device: DeviceId, places: &Places) -> PeerAddress {
    PeerAddress { device, addresses: places.addresses().to_vec(), relay: places.relay().map(str::to_owned) }
}
