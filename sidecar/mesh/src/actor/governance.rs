//! Governing a network: its kind, its settings, its past decisions, and who has acknowledged a removal.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::members::allowed;
use super::{Actor, Command, RemovalBegun, Reply, answer};
use crate::api::{DecisionInfo, DecisionKind, MeshEvent, NetworkInfo, Removal, SettingsPatch};
use crate::clock::now_ms;
use crate::decisions;
use crate::error::MeshError;
use crate::net::link::Link;
use crate::net::sync::{self, Push, RECORDS, pack};
use crate::net::why;
use crate::proto::fold::Membership;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::record::{Body, NetworkKind, Policy, Record, Remove, Role};
use crate::proto::settings::NetworkSettings;

/// Removals that are asked about at once; the rest follows when the member is met again.
const MAX_ASKED: usize = 256;
/// Removals that a former member is told of.
const MAX_TOLD: usize = 8;

impl Actor {
    /// What the records of a saved network say.
    pub(super) fn membership_of(&self, network: NetworkId) -> Result<Arc<Membership>, MeshError> {
        match self.ledger_of(network) {
            Ok(ledger) => Ok(ledger.membership().clone()),
            Err(_) => self.store.membership(network)?.map(Arc::new).ok_or(MeshError::UnknownNetwork),
        }
    }

    pub(super) async fn set_network_kind(
        &mut self,
        network: NetworkId,
        kind: NetworkKind,
    ) -> Result<NetworkInfo, MeshError> {
        let membership = self.governed(network, "change who may admit")?;
        if membership.kind != kind {
            let honours = match kind {
                NetworkKind::Closed => membership.honours_when_closing(),
                NetworkKind::Open => Vec::new(),
            };
            self.write(network, Body::Policy(Policy { kind, honours })).await?;
        }
        self.saved.get(&network).cloned().ok_or(MeshError::UnknownNetwork)
    }

    pub(super) async fn set_network_settings(
        &mut self,
        network: NetworkId,
        patch: SettingsPatch,
    ) -> Result<NetworkInfo, MeshError> {
        let membership = self.governed(network, "change how its devices find each other")?;
        let settings = patched(&membership.settings, patch);
        settings.check().map_err(|error| MeshError::InvalidArgument(error.to_string()))?;
        if membership.settings != settings {
            self.write(network, Body::Settings(settings)).await?;
        }
        self.saved.get(&network).cloned().ok_or(MeshError::UnknownNetwork)
    }

    /// The membership of a network that this device is an owner of.
    fn governed(&self, network: NetworkId, what: &str) -> Result<Arc<Membership>, MeshError> {
        if !self.saved.contains_key(&network) {
            return Err(MeshError::UnknownNetwork);
        }
        let membership = self.membership_of(network)?;
        if membership.may_govern(self.me) {
            Ok(membership)
        } else {
            Err(MeshError::NotAllowed(format!("Only an owner of the network may {what}. Ask one of them.")))
        }
    }

    pub(super) fn decisions(&self, network: NetworkId) -> Result<Vec<DecisionInfo>, MeshError> {
        if !self.saved.contains_key(&network) {
            return Err(MeshError::UnknownNetwork);
        }
        let acknowledged = self.store.acknowledgements(network)?;
        if let Ok(ledger) = self.ledger_of(network) {
            return Ok(decisions::all(ledger.records(), ledger.membership(), &acknowledged, self.me));
        }
        let records = self.store.records(network)?;
        let membership = crate::proto::fold::fold(network, &records).ok_or(MeshError::UnknownNetwork)?;
        Ok(decisions::all(&records, &membership, &acknowledged, self.me))
    }

    /// Tells about what `added` decided, apart from members that come and go.
    pub(super) fn tell_decisions(&self, added: &[Record], before: &Membership, after: &Membership) {
        for record in added.iter().filter(|record| after.counted.contains(&record.id())) {
            if let Some(decision) = decisions::decision(record, after).filter(is_news) {
                self.tell(MeshEvent::Decided(decision));
            }
        }
        if after.role(self.me) != Some(Role::Owner) {
            return;
        }
        let known = |dropped: RecordId| before.equivocations.iter().any(|known| known.dropped == dropped);
        for news in after.equivocations.iter().filter(|news| !known(news.dropped)) {
            let record = self.active.as_ref().and_then(|ledger| ledger.records().find(|it| it.id() == news.dropped));
            if let Some(decision) = record.and_then(|record| decisions::decision(record, after)) {
                self.tell(MeshEvent::Decided(decision));
            }
        }
    }

    // ---- removals ----------------------------------------------------------------------------------------------

    /// Writes the removal. The answer tells whom to wait for.
    pub(super) async fn remove_device(&mut self, device: DeviceId) -> Result<RemovalBegun, MeshError> {
        let membership = self.ledger()?.membership().clone();
        if device == self.me {
            return Err(MeshError::InvalidArgument(
                "This is this very device. To leave a network, use `myownmesh network leave` or `network forget`."
                    .to_owned(),
            ));
        }
        allowed(membership.may_remove(self.me, device), "remove this device")?;
        let network = membership.network;
        let last_seq = self.last_seen_number(&membership, device);
        let record = self.write(network, Body::Remove(Remove { device, last_seq })).await?.id();
        let table = self.table_watch.borrow().clone();
        let linked = table.iter().filter(|(other, view)| **other != device && view.link.is_some());
        Ok(RemovalBegun { network, record, online: linked.map(|(other, _)| *other).collect() })
    }

    /// Who has confirmed the removal `record`.
    pub(super) fn removal(&self, network: NetworkId, record: RecordId) -> Result<Removal, MeshError> {
        let ledger = self.ledger_of(network)?;
        let record = ledger.records().find(|it| it.id() == record).ok_or(MeshError::NotMember)?;
        let acknowledged = self.store.acknowledgements(network)?;
        Ok(decisions::removal(record, ledger.membership(), &acknowledged, self.me))
    }

    /// Asks a linked member to confirm the removals that it has not confirmed yet. Its author asks, and every owner, so
    /// that the answer outlives the device that removed.
    pub(super) fn ask_to_confirm(&mut self, link: &Arc<Link>) {
        let (network, by) = (link.network, link.device);
        let Ok(ledger) = self.ledger_of(network) else { return };
        let membership = ledger.membership();
        let Some(member) = membership.members.get(&by) else { return };
        let owner = membership.role(self.me) == Some(Role::Owner);
        let asked = |record: &&Record| {
            matches!(record.body(), Body::Remove(_))
                && membership.counted.contains(&record.id())
                && (owner || record.author() == self.me)
                && record.author() != by
                && member.admitted_at < record.hlc()
        };
        let removals: Vec<&Record> = ledger.records().filter(asked).collect();
        if removals.is_empty() {
            return;
        }
        let known = self.store.acknowledgements(network).unwrap_or_default();
        let confirmed = |id: RecordId| known.get(&id).is_some_and(|devices| devices.contains(&by));
        let open: Vec<&Record> =
            removals.into_iter().filter(|record| !confirmed(record.id())).take(MAX_ASKED).collect();
        if open.is_empty() {
            return;
        }
        let records: Vec<RecordId> = open.iter().map(|record| record.id()).collect();
        let push =
            pack(&Push { records: open.iter().map(|record| record.as_bytes().to_vec()).collect(), ..Push::default() });
        let (link, inbox) = (link.clone(), self.inbox.clone());
        self.tasks.spawn(async move {
            match sync::post(&link, RECORDS, push).await {
                Ok(_) => drop(inbox.send(Command::Acknowledged { network, by, records }).await),
                Err(error) => tracing::debug!(device = %by.short(), %error, "a removal was not confirmed"),
            }
        });
    }

    /// As [`Actor::ask_to_confirm`], of everybody who is linked.
    pub(super) fn ask_all_to_confirm(&mut self) {
        let table = self.table_watch.borrow().clone();
        for link in table.values().filter_map(|view| view.link.as_ref()) {
            self.ask_to_confirm(link);
        }
    }

    /// A member has confirmed removals: it has cut those devices off.
    pub(super) fn acknowledged(&mut self, network: NetworkId, by: DeviceId, records: &[RecordId]) {
        for id in records {
            match self.store.acknowledge(network, *id, by, now_ms()) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a member's confirmation could not be kept");
                    continue;
                }
            }
            let Ok(ledger) = self.ledger_of(network) else { continue };
            let removed = ledger.records().find(|record| record.id() == *id).map(Record::body);
            if let (Some(Body::Remove(Remove { device, .. })), Some(by_name)) =
                (removed, decisions::name_of(ledger.membership(), by))
            {
                self.tell(MeshEvent::RemovalAcknowledged { device_id: *device, by, by_name });
            }
        }
    }

    /// The records that removed `device`, the latest last.
    pub(super) fn removals_of(&self, device: DeviceId) -> Result<Vec<Vec<u8>>, MeshError> {
        let ledger = self.ledger()?;
        let counts = |record: &&Record| {
            let against = matches!(record.body(), Body::Remove(remove) if remove.device == device);
            against && ledger.membership().counted.contains(&record.id())
        };
        let mut removals: Vec<&Record> = ledger.records().filter(counts).collect();
        removals.sort_by_key(|record| std::cmp::Reverse((record.hlc(), record.id())));
        Ok(removals.into_iter().take(MAX_TOLD).rev().map(|record| record.as_bytes().to_vec()).collect())
    }

    /// A member refuses this device as none: asks it for the record, and takes that in as if it had been pushed.
    pub(super) fn ask_why(&mut self, network: NetworkId, member: DeviceId) {
        let Some(places) = self.met.get(&member).map(|met| met.places.clone()) else { return };
        let (endpoint, inbox) = (self.endpoint.clone(), self.inbox.clone());
        self.tasks.spawn(async move {
            if let Some(records) = why::ask(&endpoint, member, &places, network).await {
                let push = Push { records, ..Push::default() };
                let (reply, _) = oneshot::channel();
                let _ = inbox.send(Command::PeerRecords { from: member, network, push, reply }).await;
            }
        });
    }

    /// Answers once the devices that were removed just now are cut off here.
    pub(super) fn answer_when_cut<T: Send + 'static>(&mut self, reply: Reply<T>, outcome: Result<T, MeshError>) {
        self.publish_snapshot();
        self.cuts.retain(|cut| !cut.is_cancelled());
        if self.cuts.is_empty() || outcome.is_err() {
            return answer(reply, outcome);
        }
        let cuts = self.cuts.clone();
        self.tasks.spawn(async move {
            for cut in cuts {
                cut.cancelled().await;
            }
            answer(reply, outcome);
        });
    }
}

/// Whether a decision has no event of its own.
fn is_news(decision: &DecisionInfo) -> bool {
    !matches!(
        decision.what,
        DecisionKind::Founded(_)
            | DecisionKind::Admitted { .. }
            | DecisionKind::Removed { .. }
            | DecisionKind::Left
            | DecisionKind::Unknown(_)
    )
}

fn patched(settings: &NetworkSettings, patch: SettingsPatch) -> NetworkSettings {
    let now = settings.clone();
    NetworkSettings {
        relays: patch.relays.unwrap_or(now.relays),
        lookup: patch.lookup.unwrap_or(now.lookup),
        mdns: patch.mdns.unwrap_or(now.mdns),
        announce: patch.announce.unwrap_or(now.announce),
        air_gapped: patch.air_gapped.unwrap_or(now.air_gapped),
    }
}

/// Devices that answered out of `online`, until nobody is waited for.
pub(crate) fn is_settled(removal: &Removal, online: &BTreeSet<DeviceId>) -> bool {
    !removal.waiting.iter().any(|device| online.contains(device))
}
