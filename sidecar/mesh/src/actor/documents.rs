//! Documents of the active network: read, written, and kept in step with what membership says. What goes between devices
//! is in `exchange`.

mod exchange;

use std::collections::BTreeSet;

use super::{Actor, Reply, answer};
use crate::api::{Document, DocumentEdit, LinkState, MeshEvent, SyncDevice, SyncInfo, SyncState};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::sync::DocumentPush;
use crate::proto::Millis;
use crate::proto::document::pace::Pace;
use crate::proto::document::peers::{Peers, State};
use crate::proto::document::shelf::{Full, Outcome, Shelf};
use crate::proto::document::{Collection, DocumentKey, Entry, Head};
use crate::proto::fold::Membership;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::reconcile::Refused;
use crate::proto::record::{Body, Record};
use crate::proto::spread::{Event, Spread};
use crate::store::{DocumentChange, Place, Store, StoreError};

/// Most edits of one call.
const MAX_EDITS: usize = 4_096;
/// Changes of how far members are that come together are told together.
const TELL_MS: Millis = 200;

/// What can be asked about documents; where a `network` is given, it must be the active one.
pub(crate) enum DocumentCommand {
    /// The values of a collection.
    List { network: Option<NetworkId>, collection: Collection, reply: Reply<Vec<Document>> },
    /// The versions of one document.
    History { network: Option<NetworkId>, key: DocumentKey, reply: Reply<Vec<Document>> },
    /// Write.
    Write { network: Option<NetworkId>, edits: Vec<DocumentEdit>, reply: Reply<Vec<Document>> },
    /// The switch, and how far members are.
    Info { reply: Reply<SyncInfo> },
    /// Turn it on or off.
    SetGossip { on: bool, reply: Reply<SyncInfo> },
    /// A member says how it is, and sends records.
    PeerPush { from: DeviceId, network: NetworkId, push: DocumentPush, reply: Reply<State> },
    /// How this device is.
    State { network: NetworkId, reply: Reply<State> },
    /// A member answered a push: how it is (`None`: it knows no documents), and what it has confirmed.
    Said { network: NetworkId, device: DeviceId, state: Option<State>, has: Vec<RecordId> },
}

impl From<DocumentCommand> for super::Command {
    fn from(command: DocumentCommand) -> Self {
        Self::Document(command)
    }
}

/// The documents of the active network, and what is under way with them. Empty while none is active.
pub(super) struct Documents {
    /// The gossip switch.
    on: bool,
    /// Of the last state that was said.
    turn: u64,
    shelf: Shelf,
    /// Of the shelf as it is.
    digest: [u8; 32],
    pub(super) spread: Spread,
    pub(super) refused: Refused,
    /// Members that offered what does not count as far as this device has heard.
    ahead: BTreeSet<DeviceId>,
    /// Members to compare with as soon as they say, on the present link, that they are on. Either this device was switched
    /// on, and they may not even have heard that it was off; or something came here that could not be pushed to them.
    eager: BTreeSet<DeviceId>,
    pace: Pace,
    peers: Peers,
    /// When to tell that it has changed how far members are.
    tell_at: Option<Millis>,
}

impl Documents {
    /// Of no network.
    pub(super) fn none(me: DeviceId) -> Self {
        let shelf = Shelf::default();
        Self {
            on: false,
            // Whoever knew an earlier run of this device takes what it says now for newer.
            turn: u64::try_from(now_ms()).unwrap_or(0).saturating_mul(1_000),
            digest: shelf.digest(),
            shelf,
            spread: Spread::new(me),
            refused: Refused::default(),
            ahead: BTreeSet::new(),
            eager: BTreeSet::new(),
            pace: Pace::default(),
            peers: Peers::default(),
            tell_at: None,
        }
    }

    /// Of a network, from what is kept.
    pub(super) fn load(store: &Store, network: NetworkId, me: DeviceId) -> Result<Self, StoreError> {
        let shelf = load_shelf(store, network)?;
        let peers = Peers::load(store.document_peers(network)?);
        Ok(Self { on: store.gossip(network)?, digest: shelf.digest(), shelf, peers, ..Self::none(me) })
    }

    /// What this device says of itself.
    fn state(&mut self) -> State {
        self.turn += 1;
        State { turn: self.turn, on: self.on, digest: if self.on { self.digest } else { [0; 32] } }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.spread.deadline().into_iter().chain(self.tell_at).min()
    }

    fn tell_soon(&mut self, now: Millis) {
        self.tell_at.get_or_insert(now.saturating_add(TELL_MS));
    }
}

fn load_shelf(store: &Store, network: NetworkId) -> Result<Shelf, StoreError> {
    let standing = store.document_heads(network, Place::Standing)?;
    let mut shelf = Shelf::load(standing, store.document_heads(network, Place::Buried)?);
    shelf.note_numbers(store.document_numbers(network)?);
    Ok(shelf)
}

/// Entries judged together, and what follows for the store.
#[derive(Default)]
struct Judged {
    changes: Vec<DocumentChange>,
    /// What stands now and did not before.
    standing: Vec<Record>,
    /// The collections that changed.
    collections: BTreeSet<Collection>,
    /// Tombstones that stand again.
    unburied: bool,
    /// What there was no room for.
    refused: Vec<(Record, Full)>,
}

impl Judged {
    fn take(&mut self, shelf: &mut Shelf, record: &Record, head: Head) {
        let keep = |head, place| DocumentChange::Keep(record.clone(), head, place);
        match shelf.take(head.clone()) {
            Outcome::Known => {}
            Outcome::Stands { replaced } => {
                self.collections.insert(head.key.collection.clone());
                self.changes.extend(replaced.map(|replaced| DocumentChange::Move(replaced, Place::Past)));
                self.changes.push(keep(head, Place::Standing));
                self.standing.push(record.clone());
            }
            Outcome::Superseded => self.changes.push(keep(head, Place::Past)),
            Outcome::Unburied { tombstone } => {
                self.unburied = true;
                self.changes.push(DocumentChange::Move(tombstone, Place::Standing));
                self.changes.push(keep(head, Place::Past));
            }
            Outcome::Refused(full) => self.refused.push((record.clone(), full)),
        }
    }
}

impl Actor {
    pub(super) fn handle_document(&mut self, command: DocumentCommand) {
        match command {
            DocumentCommand::List { network, collection, reply } => {
                answer(reply, self.still_in(network).and_then(|()| self.documents_of(&collection)));
            }
            DocumentCommand::History { network, key, reply } => {
                answer(reply, self.still_in(network).and_then(|()| self.document_history(&key)));
            }
            DocumentCommand::Write { network, edits, reply } => {
                let written = self.still_in(network).and_then(|()| self.write_documents(edits));
                answer(reply, written);
            }
            DocumentCommand::Info { reply } => answer(reply, self.sync_info()),
            DocumentCommand::SetGossip { on, reply } => answer(reply, self.set_gossip(on)),
            DocumentCommand::PeerPush { from, network, push, reply } => {
                answer(reply, self.peer_documents(from, network, push));
            }
            DocumentCommand::State { network, reply } => {
                let known = self.ledger_of(network).map(|_| ());
                answer(reply, known.map(|()| self.documents.state()));
            }
            DocumentCommand::Said { network, device, state, has } => self.peer_said(network, device, state, has),
        }
    }

    /// Refuses what was begun in another network than the active one.
    fn still_in(&self, network: Option<NetworkId>) -> Result<(), MeshError> {
        let active = self.ledger()?.network();
        if network.is_some_and(|network| network != active) {
            let message = "Another network is active by now, so nothing was done. Try again.";
            return Err(MeshError::Conflict(message.to_owned()));
        }
        Ok(())
    }

    fn documents_of(&self, collection: &Collection) -> Result<Vec<Document>, MeshError> {
        let records = self.store.documents(self.ledger()?.network(), collection)?;
        Ok(records.iter().filter_map(Document::of).collect())
    }

    fn document_history(&self, key: &DocumentKey) -> Result<Vec<Document>, MeshError> {
        let versions = self.store.document_versions(self.ledger()?.network(), key)?;
        let mut versions: Vec<Document> = versions.iter().filter_map(Document::of).collect();
        versions.sort_by_key(|version| std::cmp::Reverse((version.hlc, version.author, version.record)));
        Ok(versions)
    }

    fn write_documents(&mut self, edits: Vec<DocumentEdit>) -> Result<Vec<Document>, MeshError> {
        let membership = self.ledger()?.membership().clone();
        if !membership.is_member(self.me) {
            return Err(MeshError::Removed);
        }
        if edits.len() > MAX_EDITS {
            return Err(MeshError::TooLarge(format!("At most {MAX_EDITS} documents can be changed at once.")));
        }
        let (network, now) = (membership.network, now_ms());
        let first = self.store.last_number(network)? + 1;
        let mut records = Vec::with_capacity(edits.len());
        for (edit, seq) in edits.into_iter().zip(first..) {
            let DocumentEdit { collection, own, id, value } = edit;
            let entry = Entry { collection, own, id, value };
            entry.check().map_err(|error| MeshError::TooLarge(format!("It is too large: {error}.")))?;
            let record = Record::sign(&self.secret, network, seq, self.clock.tick(now), Body::Document(entry))
                .map_err(|error| MeshError::InvalidArgument(format!("This cannot be recorded: {error}.")))?;
            records.push(record);
        }
        let judged = self.judge(network, &records)?;
        if let Some((_, full)) = judged.refused.first() {
            let message =
                format!("There is no room for it: {full}. Delete some prompts, or shorten them, then try again.");
            self.reload_documents(network);
            return Err(MeshError::TooLarge(message));
        }
        self.keep_judged(network, judged, None)?;
        Ok(records.iter().filter_map(Document::of).collect())
    }

    /// Judges records whose authors count. Whatever it says must be kept or taken back.
    fn judge(&mut self, network: NetworkId, records: &[Record]) -> Result<Judged, MeshError> {
        self.ledger_of(network)?;
        let mut judged = Judged::default();
        for record in records {
            if let Some(head) = Head::of(record) {
                judged.take(&mut self.documents.shelf, record, head);
            }
        }
        Ok(judged)
    }

    /// Keeps what was judged, tells about it and sends it on. When it cannot be kept, nothing has happened.
    fn keep_judged(&mut self, network: NetworkId, judged: Judged, from: Option<DeviceId>) -> Result<(), MeshError> {
        if judged.changes.is_empty() {
            return Ok(());
        }
        let arrived = match self.store.change_documents(&judged.changes) {
            Ok(arrived) => arrived,
            Err(error) => {
                self.reload_documents(network);
                return Err(error.into());
            }
        };
        let kept = judged.changes.iter().filter_map(|change| match change {
            DocumentChange::Keep(record, ..) => Some(record.id()),
            _ => None,
        });
        for (record, arrived) in kept.zip(arrived) {
            self.documents.shelf.arrived(&record, arrived);
        }
        self.documents_changed(network, judged.collections);
        if judged.unburied
            && let Some(from) = from
        {
            self.spread_documents(Event::PushFailed(from));
        }
        self.push_documents(network, &judged.standing, from);
        Ok(())
    }

    fn documents_changed(&mut self, network: NetworkId, collections: BTreeSet<Collection>) {
        let documents = &mut self.documents;
        documents.digest = documents.shelf.digest();
        documents.peers.compare(&documents.shelf, &documents.digest);
        documents.tell_soon(now_ms());
        if !collections.is_empty() {
            self.tell(MeshEvent::DocumentsChanged { network, collections });
        }
    }

    /// Makes the shelf what the store says again.
    fn reload_documents(&mut self, network: NetworkId) {
        match load_shelf(&self.store, network) {
            Ok(shelf) => {
                self.documents.digest = shelf.digest();
                self.documents.shelf = shelf;
            }
            Err(error) => tracing::error!(%error, "the documents could not be read again"),
        }
    }

    /// The last number of `device` that this device has seen, in records and documents alike: what a removal honours.
    pub(super) fn last_seen_number(&self, membership: &Membership, device: DeviceId) -> u64 {
        membership.head(device).max(self.documents.shelf.number(device))
    }

    /// Membership has changed: entries that do not count any more go, what they had superseded stands again, and what did
    /// not count may count now.
    pub(super) fn documents_follow(&mut self, before: &Membership, after: &Membership) {
        if before.terms == after.terms {
            return;
        }
        let network = after.network;
        for device in before.members.keys().filter(|device| !after.is_member(**device)) {
            self.documents.peers.forget(*device);
            if let Err(error) = self.store.forget_document_peer(network, *device) {
                tracing::warn!(%error, "how far a removed device was could not be deleted");
            }
        }
        if let Err(error) = self.drop_what_counts_no_more(after) {
            tracing::error!(%error, "documents of a removed device could not be taken out");
            self.reload_documents(network);
        }
        self.documents.refused.clear();
        for device in std::mem::take(&mut self.documents.ahead) {
            self.spread_documents(Event::PushFailed(device));
        }
    }

    fn drop_what_counts_no_more(&mut self, membership: &Membership) -> Result<(), MeshError> {
        let network = membership.network;
        let gone = self.documents.shelf.retain(|author, seq| membership.honours(author, seq));
        for (author, terms) in membership.terms.iter().filter(|(author, _)| !membership.is_member(**author)) {
            let last = terms.iter().filter_map(|term| term.last_seq).max().unwrap_or(0);
            self.store.delete_past_of(network, *author, last)?;
        }
        if gone.is_empty() {
            return Ok(());
        }
        let mut judged = Judged::default();
        judged.changes.extend(gone.iter().map(|head| DocumentChange::Delete(head.record)));
        let mut keys: BTreeSet<DocumentKey> = BTreeSet::new();
        for head in gone {
            judged.collections.insert(head.key.collection.clone());
            keys.insert(head.key);
        }
        for key in keys {
            let versions = self.store.document_versions(network, &key)?;
            let counted = versions.iter().filter(|record| membership.honours(record.author(), record.seq()));
            let heads = counted.filter_map(|record| Some((record, Head::of(record)?)));
            if let Some((record, head)) = heads.max_by_key(|(_, head)| head.rank()) {
                judged.take(&mut self.documents.shelf, record, head);
            }
        }
        self.keep_judged(network, judged, None)
    }

    pub(super) fn sync_info(&self) -> Result<SyncInfo, MeshError> {
        let membership = self.ledger()?.membership();
        let Documents { on, shelf, digest, peers, .. } = &self.documents;
        let others = membership.members.keys().filter(|device| **device != self.me);
        let device = |device: &DeviceId| {
            let view = self.table.get(device);
            let online = view.is_some_and(|view| matches!(view.state, LinkState::Online { .. }));
            let (state, behind) = peers.standing(*device, online, shelf, digest);
            let state = if *on { state } else { SyncState::Off };
            SyncDevice { device_id: *device, online, state, behind }
        };
        Ok(SyncInfo {
            network: membership.network,
            on: *on,
            records: u32::try_from(shelf.len()).unwrap_or(u32::MAX),
            bytes: shelf.bytes(),
            devices: others.map(device).collect(),
        })
    }

    fn set_gossip(&mut self, on: bool) -> Result<SyncInfo, MeshError> {
        let network = self.ledger()?.network();
        if self.documents.on != on {
            self.store.set_gossip(network, on)?;
            self.documents.on = on;
            self.documents.spread = Spread::new(self.me);
            self.tell(MeshEvent::SyncChanged);
            // The others hear of it, and those that are on answer so.
            let links: Vec<_> = self.table.values().filter_map(|view| view.link.clone()).collect();
            self.documents.eager.clear();
            for link in links.into_iter().filter(|link| link.network == network) {
                self.greet_with_documents(&link);
                if on {
                    self.documents.eager.insert(link.device);
                }
            }
        }
        self.sync_info()
    }

    /// Time has passed.
    pub(super) fn documents_tick(&mut self) {
        let now = now_ms();
        self.spread_documents(Event::Tick);
        // A clock that was set back puts nothing off for longer than usual.
        if self.documents.tell_at.is_some_and(|at| at <= now || at > now.saturating_add(TELL_MS)) {
            self.documents.tell_at = None;
            self.tell(MeshEvent::SyncChanged);
            self.settle_documents();
        }
    }

    /// Keeps how far members are, and buries the tombstones that everybody has.
    pub(super) fn settle_documents(&mut self) {
        let Ok(membership) = self.ledger().map(|ledger| ledger.membership().clone()) else { return };
        let network = membership.network;
        let seen = self.documents.peers.take_changed();
        if !seen.is_empty()
            && let Err(error) = self.store.set_document_peers(network, &seen)
        {
            tracing::warn!(%error, "how far members are could not be kept");
        }
        let others = membership.members.keys().copied().filter(|device| *device != self.me);
        let seen_by_all = self.documents.peers.seen_by_all(others);
        let (buried, forgotten) = self.documents.shelf.bury(seen_by_all, now_ms());
        if buried.is_empty() && forgotten.is_empty() {
            return;
        }
        let moves = buried.into_iter().map(|record| DocumentChange::Move(record, Place::Buried));
        let changes: Vec<_> = moves.chain(forgotten.into_iter().map(DocumentChange::Delete)).collect();
        if let Err(error) = self.store.change_documents(&changes) {
            tracing::warn!(%error, "tombstones could not be buried");
            self.reload_documents(network);
        }
    }
}
