//! Documents on their way between devices: who is told what, and which entries of others are taken in.
//!
//! Nothing is sent to a member before it has said, on the present link, that its switch is on; nothing is taken while
//! the switch here is off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::{Actor, Command};
use super::{DocumentCommand, Documents};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::link::{Link, OpenError};
use crate::net::refusals::Attempt;
use crate::net::sync::{self, BATCH_BYTES, DOCUMENTS, DocumentPush, Stock, SyncError, pack, unpack};
use crate::proto::Millis;
use crate::proto::document::Head;
use crate::proto::document::pace::PUT_OFF_MS;
use crate::proto::document::peers::State;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::record::{Body, Record, RecordError};
use crate::proto::spread::{Effect, Event};

/// After a greeting that failed, until the next on the same link; doubles.
const GREET_AGAIN: Duration = Duration::from_secs(2);
/// The longest of these pauses.
const GREET_AGAIN_MOST: Duration = Duration::from_secs(60);
/// How long what there is no room for is put off.
const FULL_MS: Millis = 10 * 60 * 1000;

impl Actor {
    /// A member is linked anew: tells it how this device is, and hears how it is.
    pub(in crate::actor) fn greet_with_documents(&mut self, link: &Arc<Link>) {
        self.documents_unlinked(link.device);
        let (link, inbox) = (link.clone(), self.inbox.clone());
        self.tasks.spawn(async move { greet(&link, &inbox).await });
    }

    /// A link was lost.
    pub(in crate::actor) fn documents_unlinked(&mut self, device: DeviceId) {
        self.documents.peers.relinked(device);
        self.documents.eager.remove(&device);
        self.documents.tell_soon(now_ms());
        self.spread_documents(Event::LinkDown(device));
    }

    /// A member has said how it is.
    pub(super) fn peer_said(&mut self, network: NetworkId, device: DeviceId, state: Option<State>, has: Vec<RecordId>) {
        if self.ledger_of(network).is_err() {
            return;
        }
        self.documents.tell_soon(now_ms());
        let documents = &mut self.documents;
        let Some(state) = state else {
            documents.peers.unsupported(device);
            return self.spread_documents(Event::LinkDown(device));
        };
        documents.peers.has(device, has);
        if !documents.peers.said(device, state, &documents.shelf, &documents.digest) {
            return;
        }
        let known = documents.spread.linked().any(|linked| linked == device);
        let linked = self.table_watch.borrow().get(&device).is_some_and(|view| view.link.is_some());
        match (state.on && self.documents.on && linked, known) {
            (true, false) => self.spread_documents(Event::LinkUp(device)),
            (false, true) => self.spread_documents(Event::LinkDown(device)),
            _ => {}
        }
        if state.on && self.documents.on && self.documents.eager.remove(&device) {
            self.spread_documents(Event::PushFailed(device));
        }
    }

    /// Lets `event` have its effects, other than pushes: those come from [`push_documents`](Self::push_documents) alone.
    pub(in crate::actor) fn spread_documents(&mut self, event: Event) {
        for effect in self.documents.spread.handle(event, now_ms(), &mut rand::rng()) {
            if let Effect::Reconcile { with } = effect {
                self.compare_documents(with);
            }
        }
    }

    fn compare_documents(&mut self, with: DeviceId) {
        let Ok(network) = self.ledger().map(crate::ledger::Ledger::network) else { return };
        let link = self.table_watch.borrow().get(&with).and_then(|view| view.link.clone());
        let (link, inbox) = (link.filter(|link| link.network == network), self.inbox.clone());
        self.tasks.spawn(async move {
            let ok = match link {
                Some(link) => compare(&link, &inbox).await,
                None => false,
            };
            let event = Event::ReconcileEnded { with, ok };
            // A mesh that is stopping compares nothing any more.
            let _ = inbox.send(Command::Spread { stock: Stock::Documents, network, event }).await;
        });
    }

    /// Sends entries that stand since a moment ago on their way.
    pub(super) fn push_documents(&mut self, network: NetworkId, records: &[Record], from: Option<DeviceId>) {
        if records.is_empty() || !self.documents.on {
            return;
        }
        self.note_new_links();
        self.note_unheard(from);
        let added = Event::Added { from, urgent: false };
        let mut audience = Vec::new();
        for effect in self.documents.spread.handle(added, now_ms(), &mut rand::rng()) {
            match effect {
                Effect::Push { to } => audience.extend(to),
                Effect::Reconcile { with } => self.compare_documents(with),
            }
        }
        audience.retain(|device| self.documents.peers.takes(*device));
        if audience.is_empty() {
            return;
        }
        let pushes = pushes(self.documents.state(), records);
        for device in audience {
            self.push_documents_to(network, device, pushes.clone());
        }
    }

    /// Notes the linked members that an entry cannot be pushed to, since they have not said yet that they take any: the
    /// one comparison of the new link may have been over before the entry was here.
    fn note_unheard(&mut self, from: Option<DeviceId>) {
        let Documents { eager, peers, .. } = &mut self.documents;
        let linked = self.table.iter().filter(|(_, view)| view.link.is_some()).map(|(device, _)| *device);
        eager.extend(linked.filter(|device| Some(*device) != from && !peers.takes(*device)));
    }

    /// Entries that stand here and could lose against `fresh` before `from` has ever had them: they were written while the
    /// two did not hear each other, and what overtakes them came before a comparison.
    fn at_stake(&self, from: DeviceId, fresh: &[Record]) -> Vec<RecordId> {
        let shelf = &self.documents.shelf;
        let standing = fresh.iter().filter_map(Head::of).filter_map(|head| shelf.standing(&head.key));
        let unseen = standing.filter(|head| self.documents.peers.lacks(from, &head.record, head.arrived));
        unseen.map(|head| head.record).collect()
    }

    /// Sends those of `records` that lost to the member they lost against: they belong into the history on both.
    fn hand_over_lost(&mut self, network: NetworkId, to: DeviceId, records: &[RecordId]) -> Result<(), MeshError> {
        let mut lost = Vec::new();
        for id in records.iter().filter(|id| self.documents.shelf.head(id).is_none()) {
            if let Some(bytes) = self.store.document_bytes(network, id)? {
                // What is kept was checked when it came.
                lost.extend(Record::decode_for(network, &bytes));
            }
        }
        if !lost.is_empty() && self.documents.peers.takes(to) {
            let pushes = pushes(self.documents.state(), &lost);
            self.push_documents_to(network, to, pushes);
        }
        Ok(())
    }

    fn push_documents_to(&mut self, network: NetworkId, device: DeviceId, batches: Vec<(Bytes, Vec<RecordId>)>) {
        let link = self.table_watch.borrow().get(&device).and_then(|view| view.link.clone());
        let Some(link) = link.filter(|link| link.network == network) else { return };
        let inbox = self.inbox.clone();
        self.tasks.spawn(async move {
            for (push, ids) in batches {
                let Err(error) = exchange(&link, &inbox, push, ids).await else { continue };
                tracing::debug!(device = %device.short(), %error, "documents could not be pushed");
                let event = Event::PushFailed(device);
                // A mesh that is stopping pushes nothing any more.
                let _ = inbox.send(Command::Spread { stock: Stock::Documents, network, event }).await;
                return;
            }
        });
    }

    /// Takes in what a member says, and the entries it sends. The answer is how this device is then.
    pub(super) fn peer_documents(
        &mut self,
        from: DeviceId,
        network: NetworkId,
        push: DocumentPush,
    ) -> Result<State, MeshError> {
        self.ledger_of(network)?;
        let mut at_stake = Vec::new();
        if self.documents.on && !push.records.is_empty() {
            let fresh = self.read_documents(from, network, &push.records)?;
            at_stake = self.at_stake(from, &fresh);
            let judged = self.judge(network, &fresh)?;
            for (record, _) in &judged.refused {
                self.documents.refused.add(record.id(), now_ms().saturating_add(FULL_MS));
                self.refusals.tell(record.author(), Attempt::DocumentsFull);
            }
            self.documents.peers.has(from, fresh.iter().map(Record::id));
            self.keep_judged(network, judged, Some(from))?;
        }
        if let Some(state) = push.state {
            self.peer_said(network, from, Some(state), Vec::new());
        }
        self.hand_over_lost(network, from, &at_stake)?;
        Ok(self.documents.state())
    }

    /// Those of `records` that are new here and count, checked. What is known, does not count or comes too fast is passed
    /// over before its signature is looked at.
    fn read_documents(
        &mut self,
        from: DeviceId,
        network: NetworkId,
        records: &[Vec<u8>],
    ) -> Result<Vec<Record>, MeshError> {
        let (membership, now) = (self.ledger_of(network)?.membership().clone(), now_ms());
        let mut fresh = Vec::new();
        for bytes in records {
            let named = Record::id_in(bytes).zip(Record::author_in(bytes));
            if let Some((id, author)) = named {
                if self.documents.shelf.contains(&id) || self.documents.refused.contains(&id, now) {
                    continue;
                }
                if !membership.terms.contains_key(&author) {
                    // Perhaps its admission is on the way.
                    self.documents.refused.add(id, Millis::MAX);
                    self.documents.ahead.insert(from);
                    continue;
                }
                if !self.documents.pace.take(author, now) {
                    self.documents.refused.add(id, now.saturating_add(PUT_OFF_MS));
                    self.refusals.tell(author, Attempt::DocumentFlood);
                    continue;
                }
            }
            match Record::decode_for(network, bytes) {
                Ok(record) if !matches!(record.body(), Body::Document(_)) => {
                    self.refusals.tell(from, Attempt::BadRecord);
                    return Err(MeshError::Protocol("a record that is no document".to_owned()));
                }
                // Written before its author heard of its removal, or after; either way it does not count.
                Ok(record) if !membership.honours(record.author(), record.seq()) => {
                    self.documents.refused.add(record.id(), Millis::MAX);
                    self.documents.ahead.insert(from);
                }
                Ok(record) => fresh.push(record),
                // Understood once this device is updated; it is offered again then.
                Err(RecordError::NewerVersion(_)) => {}
                Err(error) => {
                    if let Some(attempt) = Attempt::of_record(&error) {
                        self.refusals.tell(from, attempt);
                    }
                    return Err(MeshError::Protocol(error.to_string()));
                }
            }
        }
        fresh.retain(|record| {
            let believed = self.is_of_this_day(record, now);
            if !believed {
                self.documents.refused.add(record.id(), record.hlc().believed_from());
            }
            believed
        });
        Ok(fresh)
    }

    /// The entries of a member's question that are here, as many as fit.
    pub(in crate::actor) fn fetch_documents(
        &self,
        network: NetworkId,
        ids: &[RecordId],
    ) -> Result<Vec<Vec<u8>>, MeshError> {
        self.documents_on(network)?;
        let mut size = 0;
        let mut found = Vec::new();
        for id in ids {
            let Some(bytes) = self.store.document_bytes(network, id)? else { continue };
            size += bytes.len();
            if size > BATCH_BYTES && !found.is_empty() {
                break;
            }
            found.push(bytes);
        }
        Ok(found)
    }

    /// The set for reconciliation.
    pub(in crate::actor) fn document_set(
        &self,
        network: NetworkId,
    ) -> Result<&Arc<crate::proto::reconcile::RecordSet>, MeshError> {
        self.documents_on(network)?;
        Ok(self.documents.shelf.set())
    }

    /// Which of `ids` are neither here nor refused.
    pub(in crate::actor) fn wanted_documents(
        &self,
        network: NetworkId,
        ids: Vec<RecordId>,
    ) -> Result<Vec<RecordId>, MeshError> {
        self.documents_on(network)?;
        let wanted = self.documents.refused.filter(ids, now_ms()).into_iter();
        Ok(wanted.filter(|id| !self.documents.shelf.contains(id)).collect())
    }

    fn documents_on(&self, network: NetworkId) -> Result<(), MeshError> {
        self.ledger_of(network)?;
        if self.documents.on {
            return Ok(());
        }
        Err(MeshError::Conflict("Documents of this network are switched off on this device.".to_owned()))
    }
}

/// Pushes of records, each with the ids of what is in it.
fn pushes(state: State, records: &[Record]) -> Vec<(Bytes, Vec<RecordId>)> {
    batches(records)
        .map(|batch| {
            let bytes = batch.iter().map(|record| record.as_bytes().to_vec()).collect();
            let push = DocumentPush { state: Some(state), records: bytes };
            (pack(&push), batch.iter().map(Record::id).collect())
        })
        .collect()
}

/// Records in groups that fit into one push.
fn batches(records: &[Record]) -> impl Iterator<Item = &[Record]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let mut size = 0;
        let fits = |record: &&Record| {
            size += record.as_bytes().len();
            size <= BATCH_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (batch, left) = rest.split_at(count);
        rest = left;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Sends a push and reports what the other side says to it.
async fn exchange(
    link: &Arc<Link>,
    inbox: &mpsc::Sender<Command>,
    push: Bytes,
    ids: Vec<RecordId>,
) -> Result<(), SyncError> {
    let (state, has) = match sync::post(link, DOCUMENTS, push).await {
        Ok(answer) => {
            let state: State = unpack(&answer).ok_or_else(|| SyncError::Answer("no state".to_owned()))?;
            (Some(state), if state.on { ids } else { Vec::new() })
        }
        // A version before documents.
        Err(SyncError::Status(http::StatusCode::NOT_FOUND)) => (None, Vec::new()),
        Err(error) => return Err(error),
    };
    let said = DocumentCommand::Said { network: link.network, device: link.device, state, has };
    inbox.send(said.into()).await.map_err(|_| SyncError::Over)
}

/// Tells a member how this device is and hears how it is, again and again until that has worked or the link is gone.
async fn greet(link: &Arc<Link>, inbox: &mpsc::Sender<Command>) {
    let mut pause = GREET_AGAIN;
    loop {
        let Ok(state) = sync::document_state(link.network, inbox).await else { return };
        let push = DocumentPush { state: Some(state), records: Vec::new() };
        match exchange(link, inbox, pack(&push), Vec::new()).await {
            // Another link has taken its place, or will.
            Ok(()) | Err(SyncError::Open(OpenError::Retired | OpenError::Lost) | SyncError::Over) => return,
            Err(error) => tracing::debug!(device = %link.device.short(), %error, "not greeted with documents"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(GREET_AGAIN_MOST);
    }
}

/// Compares with a member, and tells each other how that ended. Whether it came to its end.
async fn compare(link: &Arc<Link>, inbox: &mpsc::Sender<Command>) -> bool {
    let device = link.device.short();
    let outcome = async {
        let compared = sync::reconcile(link, inbox, Stock::Documents).await?;
        let state = sync::document_state(link.network, inbox).await?;
        let push = DocumentPush { state: Some(state), records: Vec::new() };
        exchange(link, inbox, pack(&push), Vec::new()).await?;
        Ok::<_, SyncError>(compared)
    };
    match outcome.await {
        Ok(sync::Compared { rounds, bytes, gave, took }) => {
            tracing::debug!(device, rounds, bytes, gave, took, "documents compared");
            true
        }
        Err(error) => {
            tracing::debug!(device, %error, "the comparison of documents ended early");
            false
        }
    }
}
