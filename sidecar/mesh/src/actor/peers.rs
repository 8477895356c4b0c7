//! Other members: links that come and go, their records and their cards.

use std::mem::discriminant;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::networks::peer_address;
use super::{Actor, Command};
use crate::api::{LinkState, MeshEvent, ProbeCause};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::link::Link;
use crate::net::sync::{self, BATCH_BYTES, BATCH_IDS, CARD, CardPush, MAX_CARD, Push, RECORDS, Stock, pack};
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::knock::PeerAddress;
use crate::proto::reconcile::{self, RecordSet};
use crate::proto::spread::{Effect, Event};

impl Actor {
    /// Compares the links with what they were: tells about changes, and brings newly linked members up to date.
    pub(super) fn links_changed(&mut self) {
        let table = self.table_watch.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.table, table.clone());
        let Ok(network) = self.ledger().map(crate::ledger::Ledger::network) else { return };
        for (device, view) in table.iter() {
            let old = before.get(device);
            let old_link = old.and_then(|old| old.link.as_ref());
            match &view.link {
                Some(link) if link.network != network => {}
                Some(link) if old_link.is_none_or(|old| old.id() != link.id()) => self.linked(network, link),
                None if old_link.is_some() => self.unlinked(network, *device),
                _ => {}
            }
            if view.cause == Some(ProbeCause::NotAdmitted) && old.is_none_or(|old| old.cause != view.cause) {
                self.ask_why(network, *device);
            }
            if old.is_none_or(|old| differs(&old.state, &view.state))
                && let Some(name) = self.name_of(*device)
            {
                self.tell(MeshEvent::Device { device_id: *device, name, state: view.state.clone() });
            }
        }
        // Also those that were removed, and have no entry any more.
        let linked = |device: &DeviceId| table.get(device).and_then(|view| view.link.as_ref());
        let lost: Vec<DeviceId> = self.spread.linked().filter(|device| linked(device).is_none()).collect();
        for device in lost {
            self.spread(Event::LinkDown(device));
            self.documents_unlinked(device);
        }
    }

    /// Before something is sent on: a link that came up a moment ago gets it as well.
    pub(super) fn note_new_links(&mut self) {
        if self.table_watch.has_changed().unwrap_or(false) {
            self.links_changed();
        }
    }

    pub(super) fn name_of(&self, device: DeviceId) -> Option<crate::proto::name::DeviceName> {
        self.active.as_ref()?.membership().members.get(&device).map(|member| member.name.clone())
    }

    fn linked(&mut self, network: NetworkId, link: &Arc<Link>) {
        let device = link.device;
        let met = self.met.entry(device).or_default();
        met.version = Some(link.app_version.clone());
        met.last_seen = Some(now_ms());
        // What it tells itself takes the place of everything older.
        met.places = link.current_places();
        let kept = self
            .store
            .set_peer_address(network, &peer_address(device, &met.places))
            .and_then(|()| self.store.set_peer_version(network, device, &link.app_version))
            .and_then(|()| self.store.set_peer_seen(network, device, now_ms()));
        if let Err(error) = kept {
            tracing::warn!(%error, "what a device told could not be kept");
        }
        if let Some(card) = &self.card {
            self.tasks.spawn(push_card(link.clone(), card_bytes(card)));
        }
        self.tell_places(link.clone());
        self.ask_to_confirm(link);
        self.spread(Event::LinkUp(device));
        self.greet_with_documents(link);
    }

    /// Lets `event` have its effects, other than pushes: those come from [`Actor::push_records`] alone.
    pub(super) fn spread(&mut self, event: Event) {
        for effect in self.spread.handle(event, now_ms(), &mut rand::rng()) {
            if let Effect::Reconcile { with } = effect {
                self.reconcile(with);
            }
        }
    }

    fn reconcile(&mut self, with: DeviceId) {
        let Ok(network) = self.ledger().map(crate::ledger::Ledger::network) else { return };
        let link = self.table.get(&with).and_then(|view| view.link.clone());
        let (link, inbox) = (link.filter(|link| link.network == network), self.inbox.clone());
        self.tasks.spawn(async move {
            let ok = match link {
                Some(link) => reconcile_with(&link, &inbox).await,
                None => false,
            };
            let event = Event::ReconcileEnded { with, ok };
            // A mesh that is stopping compares nothing any more.
            let _ = inbox.send(Command::Spread { stock: Stock::Records, network, event }).await;
        });
    }

    /// Tells a newly linked member where the others are: while it was away they may have come or moved.
    fn tell_places(&mut self, link: Arc<Link>) {
        let others = self.met.iter().filter(|(device, met)| **device != link.device && !met.places.is_empty());
        let peers: Vec<PeerAddress> = others.map(|(device, met)| peer_address(*device, &met.places)).collect();
        if peers.is_empty() {
            return;
        }
        let push = pack(&Push { records: Vec::new(), peers });
        self.tasks.spawn(async move {
            if let Err(error) = sync::post(&link, RECORDS, push).await {
                tracing::debug!(device = %link.device.short(), %error, "the others' places could not be told");
            }
        });
    }

    fn unlinked(&mut self, network: NetworkId, device: DeviceId) {
        if let Some(met) = self.met.get_mut(&device) {
            met.last_seen = Some(now_ms());
            if let Err(error) = self.store.set_peer_seen(network, device, now_ms()) {
                tracing::warn!(%error, "when a device was last seen could not be kept");
            }
        }
    }

    /// Whether any place of `device` is known.
    pub(super) fn knows_places(&self, device: DeviceId) -> bool {
        self.met.get(&device).is_some_and(|met| !met.places.is_empty())
    }

    /// Sends the records that were just added on their way.
    pub(super) fn push_records(&mut self, network: NetworkId, push: &Bytes, from: Option<DeviceId>, urgent: bool) {
        self.note_new_links();
        for effect in self.spread.handle(Event::Added { from, urgent }, now_ms(), &mut rand::rng()) {
            match effect {
                Effect::Push { to } => to.into_iter().for_each(|device| self.push_to(network, device, push.clone())),
                Effect::Reconcile { with } => self.reconcile(with),
            }
        }
    }

    fn push_to(&mut self, network: NetworkId, device: DeviceId, push: Bytes) {
        // The newest state: a link may have come or gone since it was last looked at.
        let link = self.table_watch.borrow().get(&device).and_then(|view| view.link.clone());
        let Some(link) = link.filter(|link| link.network == network) else { return };
        let inbox = self.inbox.clone();
        self.tasks.spawn(async move {
            if let Err(error) = sync::post(&link, RECORDS, push).await {
                tracing::debug!(device = %device.short(), %error, "records could not be pushed");
                let _ = inbox
                    .send(Command::Spread { stock: Stock::Records, network, event: Event::PushFailed(device) })
                    .await;
            }
        });
    }

    /// Records that a member asks for, as many as fit.
    pub(super) fn peer_fetch(
        &self,
        stock: Stock,
        network: NetworkId,
        ids: &[RecordId],
    ) -> Result<Vec<Vec<u8>>, MeshError> {
        if stock == Stock::Documents {
            return self.fetch_documents(network, &ids[..ids.len().min(BATCH_IDS)]);
        }
        let ledger = self.ledger_of(network)?;
        let mut size = 0;
        let mut found = Vec::new();
        for bytes in ids.iter().take(BATCH_IDS).filter_map(|id| ledger.bytes(id)) {
            size += bytes.len();
            if size > BATCH_BYTES && !found.is_empty() {
                break;
            }
            found.push(bytes.to_vec());
        }
        Ok(found)
    }

    /// The set that is compared.
    pub(super) fn record_set(&self, stock: Stock, network: NetworkId) -> Result<&Arc<RecordSet>, MeshError> {
        match stock {
            Stock::Records => Ok(self.ledger_of(network)?.set()),
            Stock::Documents => self.document_set(network),
        }
    }

    /// Answers one round of a member's reconciliation.
    pub(super) fn peer_reconcile(&self, stock: Stock, network: NetworkId, message: &[u8]) -> Result<Bytes, MeshError> {
        let answer = reconcile::respond(self.record_set(stock, network)?, message);
        answer.map(Bytes::from).map_err(|error| MeshError::Protocol(error.to_string()))
    }

    /// Which of `ids` are neither here nor refused.
    pub(super) fn wanted(
        &self,
        stock: Stock,
        network: NetworkId,
        ids: Vec<RecordId>,
    ) -> Result<Vec<RecordId>, MeshError> {
        if stock == Stock::Documents {
            return self.wanted_documents(network, ids);
        }
        let ledger = self.ledger_of(network)?;
        Ok(self.refused.filter(ids, now_ms()).into_iter().filter(|id| !ledger.contains(id)).collect())
    }

    /// Takes in a member's card.
    pub(super) fn peer_card(&mut self, from: DeviceId, network: NetworkId, push: CardPush) -> Result<(), MeshError> {
        self.ledger_of(network)?;
        let size = serde_json::to_vec(&push.card).map_or(usize::MAX, |json| json.len());
        if size > MAX_CARD {
            return Err(MeshError::TooLarge(format!("A card has at most {MAX_CARD} bytes.")));
        }
        let met = self.met.entry(from).or_default();
        if met.card.as_ref().is_some_and(|(seq, _)| *seq >= push.seq) {
            return Ok(());
        }
        if let Ok(json) = serde_json::to_string(&push) {
            self.store.set_peer_card(network, from, &json)?;
        }
        met.card = Some((push.seq, Arc::new(push.card)));
        self.tell(MeshEvent::CardChanged { device_id: from });
        Ok(())
    }

    /// Keeps this device's card and sends it to every linked member.
    pub(super) fn publish_card(&mut self, card: serde_json::Value) -> Result<(), MeshError> {
        let size = serde_json::to_vec(&card).map_or(usize::MAX, |json| json.len());
        if size > MAX_CARD {
            return Err(MeshError::TooLarge(format!(
                "What this device tells of itself has {size} bytes; {MAX_CARD} are the most. Offer fewer models."
            )));
        }
        if self.card.as_ref().is_some_and(|own| own.card == card) {
            return Ok(());
        }
        let last = self.card.as_ref().map_or(0, |own| own.seq);
        let seq = u64::try_from(now_ms()).unwrap_or(0).max(last + 1);
        let push = CardPush { seq, card };
        let bytes = card_bytes(&push);
        self.card = Some(push);
        let table = self.table_watch.borrow().clone();
        for link in table.values().filter_map(|view| view.link.clone()) {
            self.tasks.spawn(push_card(link, bytes.clone()));
        }
        Ok(())
    }
}

/// Whether a change of state is worth telling; a new round-trip time is not.
fn differs(old: &LinkState, new: &LinkState) -> bool {
    match (old, new) {
        (LinkState::Online { path: old, .. }, LinkState::Online { path: new, .. }) => old != new,
        _ => discriminant(old) != discriminant(new),
    }
}

fn card_bytes(card: &CardPush) -> Bytes {
    Bytes::from(serde_json::to_vec(card).unwrap_or_default())
}

async fn push_card(link: Arc<Link>, card: Bytes) {
    if let Err(error) = sync::post_json(&link, CARD, card).await {
        tracing::debug!(device = %link.device.short(), %error, "the card could not be pushed");
    }
}

/// Whether it came to its end.
async fn reconcile_with(link: &Arc<Link>, inbox: &mpsc::Sender<Command>) -> bool {
    let device = link.device.short();
    match sync::reconcile(link, inbox, Stock::Records).await {
        Ok(sync::Compared { rounds, bytes, gave, took }) => {
            tracing::debug!(device, rounds, bytes, gave, took, "records compared");
            true
        }
        Err(error) => {
            tracing::debug!(device, %error, "reconciliation ended early");
            false
        }
    }
}
