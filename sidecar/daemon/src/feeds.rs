//! What happens in mesh and compute, told onward: as events to those who follow, and as this device's card to the other
//! members; and, in `activities`, kept for people to read later. `notices` looks out for what an owner should know, `permissions`
//! for what changes the rules of tools. `lending` follows what changes it, `ledger` compares what was borrowed. `abilities` and
//! `showing` keep the documents of this device's own: its capabilities and its catalogue; `shelf` tells of the models that are
//! kept here.

mod abilities;
mod activities;
mod ledger;
mod lending;
mod notices;
mod permissions;
mod shelf;
mod showing;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use myownmesh_compute::ComputeSnapshot;
use myownmesh_control::types::{Event, Phase};
use myownmesh_mesh::{Collection, DecisionKind, DeviceId, LinkState, MeshEvent, MeshSnapshot, NetworkId};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::card::Card;
use crate::collections;
use crate::convert;
use crate::daemon::Daemon;
use crate::phase::phase;

/// Changes that come together are published together, four times a second at most: a queue changes with every request.
/// Well under the second a member may wait for a new list.
const COALESCE: Duration = Duration::from_millis(250);

/// Starts all of them; they end with the daemon.
pub(crate) fn start(daemon: &Arc<Daemon>, tasks: &TaskTracker) {
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { mesh_pictures(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { mesh_events(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { activities::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { notices::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { permissions::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { compute_pictures(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { cards(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { lending::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { ledger::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { abilities::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { showing::keep(&daemon).await }));
    tasks.spawn(until_stop(Arc::clone(daemon), |daemon| async move { shelf::keep(&daemon).await }));
}

async fn until_stop<F: Future<Output = ()>>(daemon: Arc<Daemon>, feed: impl FnOnce(Arc<Daemon>) -> F) {
    let stop = daemon.stop.clone();
    stop.run_until_cancelled_owned(feed(daemon)).await;
}

/// What of a picture of the mesh makes a difference to a screen. Round-trip times do not: they change all the time, and
/// whoever shows them asks now and then.
#[derive(PartialEq)]
struct Seen {
    phase: (Phase, String),
    devices: Vec<(DeviceId, String, myownmesh_mesh::Role, Reach)>,
    cards: Vec<(DeviceId, Option<Arc<Value>>)>,
}

/// How a device is reached, without the numbers.
#[derive(PartialEq)]
enum Reach {
    Online(myownmesh_mesh::PathKind),
    Connecting(String),
    Away(String),
}

impl Seen {
    fn of(mesh: &MeshSnapshot) -> Self {
        let reach = |link: &LinkState| match link {
            LinkState::Online { path, .. } => Reach::Online(*path),
            LinkState::Connecting { reason, .. } => Reach::Connecting(reason.clone()),
            LinkState::Away { reason } => Reach::Away(reason.clone()),
        };
        let devices = mesh.members.iter().map(|m| (m.device_id, m.name.to_string(), m.role, reach(&m.link))).collect();
        let online = mesh.members.iter().filter(|m| m.link.is_online());
        Self { phase: phase(mesh), devices, cards: online.map(|m| (m.device_id, m.card.clone())).collect() }
    }
}

async fn mesh_pictures(daemon: &Daemon) {
    let mut pictures = daemon.mesh.watch();
    let mut before = pictures.borrow_and_update().clone();
    let mut seen = Seen::of(&before);
    while pictures.changed().await.is_ok() {
        let now = pictures.borrow_and_update().clone();
        let sees = Seen::of(&now);
        if now.networks != before.networks || now.active != before.active {
            daemon.events.push(Event::NetworksChanged);
        }
        if now.active != before.active {
            daemon.events.push(Event::ConversationsChanged);
            daemon.events.push(Event::InvitesChanged);
            daemon.events.push(Event::DecisionsChanged);
            daemon.events.push(Event::ActivityChanged);
            daemon.events.push(Event::PromptsChanged);
            daemon.events.push(Event::CapabilitiesChanged);
            daemon.events.push(Event::CatalogueChanged);
            daemon.events.push(Event::SyncChanged);
        }
        if now.nearby != before.nearby {
            daemon.events.push(Event::NearbyChanged);
        }
        if now.relays != before.relays {
            daemon.events.push(Event::RelaysChanged);
        }
        if sees.devices != seen.devices || now.device_name != before.device_name {
            daemon.events.push(Event::DevicesChanged);
        }
        if sees.cards != seen.cards {
            daemon.events.push(Event::ModelsChanged);
            daemon.events.push(Event::DevicesChanged);
        }
        if sees.phase != seen.phase {
            let (phase, reason) = sees.phase.clone();
            daemon.events.push(Event::Phase { phase, reason });
        }
        (before, seen) = (now, sees);
    }
}

async fn mesh_events(daemon: &Daemon) {
    let mut events = daemon.mesh.events();
    loop {
        match events.recv().await {
            Ok(event) => mesh_event(daemon, event),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events of the mesh came faster than they were told");
                daemon.events.push(Event::Missed);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn mesh_event(daemon: &Daemon, event: MeshEvent) {
    match event {
        MeshEvent::KnockArrived(knock) => {
            let networks = &daemon.picture().networks;
            daemon.events.push(Event::Knock { knock: convert::knock(&knock, networks) });
        }
        MeshEvent::KnockEnded { id, device_name, outcome, decided_by } => {
            daemon.events.push(Event::KnockEnded {
                id: id.to_string(),
                device_name: device_name.to_string(),
                outcome: convert::outcome(outcome).to_owned(),
                decided_by: decided_by.as_ref().map(ToString::to_string),
            });
        }
        MeshEvent::Device { device_id, name, state } => daemon.events.push(Event::Device {
            device_id: device_id.to_string(),
            name: name.to_string(),
            state: convert::device_state(&state),
            reason: state.reason(),
        }),
        // A pre-approved invite may have been used up by it.
        MeshEvent::MemberAdded { .. } => {
            daemon.events.push(Event::InvitesChanged);
            daemon.events.push(Event::DecisionsChanged);
        }
        MeshEvent::MemberRemoved { .. } | MeshEvent::RemovalAcknowledged { .. } => {
            daemon.events.push(Event::DecisionsChanged);
        }
        MeshEvent::Decided(decision) => {
            if matches!(decision.what, DecisionKind::Invited { .. } | DecisionKind::Revoked(_)) {
                daemon.events.push(Event::InvitesChanged);
            }
            daemon.events.push(Event::DecisionsChanged);
        }
        MeshEvent::DocumentsChanged { collections, .. } => documents_changed(daemon, &collections),
        MeshEvent::SyncChanged => daemon.events.push(Event::SyncChanged),
        // The rest shows in the pictures.
        _ => {}
    }
}

fn documents_changed(daemon: &Daemon, changed: &BTreeSet<Collection>) {
    for (collection, event) in [
        (collections::prompts(), Event::PromptsChanged),
        (collections::capabilities(), Event::CapabilitiesChanged),
        (collections::catalogue(), Event::CatalogueChanged),
    ] {
        if changed.contains(&collection) {
            daemon.events.push(event);
        }
    }
}

/// The active network, while this device is a member of it.
fn joined(mesh: &MeshSnapshot) -> Option<NetworkId> {
    mesh.active.filter(|_| mesh.member(mesh.device_id).is_some())
}

/// Completes when this device has joined another network than `before`; with an error when there will be no more news.
async fn joined_another(
    mesh: &mut watch::Receiver<Arc<MeshSnapshot>>,
    before: Option<NetworkId>,
) -> Result<(), watch::error::RecvError> {
    mesh.wait_for(|mesh| joined(mesh) != before).await.map(drop)
}

async fn compute_pictures(daemon: &Daemon) {
    let mut pictures = daemon.compute.watch();
    let mut before: Arc<ComputeSnapshot> = pictures.borrow_and_update().clone();
    while pictures.changed().await.is_ok() {
        let now = pictures.borrow_and_update().clone();
        if now.engines != before.engines {
            daemon.events.push(Event::EnginesChanged);
        }
        if now.models != before.models {
            daemon.events.push(Event::ModelsChanged);
        }
        before = now;
    }
}

/// Keeps the card that members see up to date.
async fn cards(daemon: &Daemon) {
    let (mut compute, mut lending, mut mesh) = (daemon.compute.watch(), daemon.lending.watch(), daemon.mesh.watch());
    let mut machine = daemon.machine.clone();
    let mut underway = daemon.library.underway().watch();
    let (mut published, mut waited) = (None::<(Option<NetworkId>, Card)>, false);
    loop {
        // Marked as seen before they are looked at, so that no change falls in between.
        compute.mark_unchanged();
        lending.mark_unchanged();
        machine.mark_unchanged();
        underway.mark_unchanged();
        let (active, card) = {
            let picture = mesh.borrow_and_update().clone();
            daemon.lending.called(picture.device_name.as_str());
            (picture.active, daemon.lent_card(&picture))
        };
        let told = published.as_ref().filter(|(network, _)| *network == active).map(|(_, card)| card);
        // Requests come and go; only a queue that lasts is worth a word to everybody.
        let passing = told.is_some_and(|told| *told != card && Card { queue: told.queue, ..card.clone() } == *told);
        if passing && !std::mem::replace(&mut waited, true) {
            tokio::time::sleep(COALESCE).await;
            continue;
        }
        waited = false;
        if active.is_some() && told != Some(&card) {
            match daemon.mesh.publish_card(card.to_value()).await {
                Ok(()) => published = Some((active, card)),
                Err(error) => tracing::warn!(%error, "what this device offers could not be told"),
            }
            // The first change is told at once; those that follow closely wait for each other.
            tokio::time::sleep(COALESCE).await;
        }
        let changed = tokio::select! {
            changed = compute.changed() => changed,
            changed = lending.changed() => changed,
            changed = underway.changed() => changed,
            changed = mesh.changed() => changed,
            changed = machine.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
