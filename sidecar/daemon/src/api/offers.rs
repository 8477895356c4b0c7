//! What every device offers now, as the router wants to know it.

use std::collections::HashMap;
use std::sync::Arc;

use myownmesh_compute::ComputeSnapshot;
use myownmesh_mesh::{DeviceId, LinkState, MeshSnapshot};
use serde_json::Value;
use tokio::sync::watch;

use crate::card::{Card, CardModel};
use crate::lending::Lending;
use crate::planner::{Machine, Rate, Rates};
use crate::route::Offer;

/// What this device offers.
pub(crate) fn own(
    mesh: Option<&MeshSnapshot>,
    compute: &ComputeSnapshot,
    lending: &Lending,
    machine: Option<Machine>,
    rates: &Rates,
) -> Offer {
    let device = mesh.map_or_else(nobody, |mesh| mesh.device_id);
    let accepting = lending.policy(mesh.and_then(|mesh| mesh.active));
    let models = Card::of(compute, accepting).models;
    Offer {
        device,
        name: mesh.map_or_else(|| "This device".to_owned(), |mesh| mesh.device_name.to_string()),
        this_device: true,
        rtt_ms: Some(0.0),
        arriving: false,
        reason: String::new(),
        accepting,
        rates: known(rates, device, &models),
        models,
        queue: lending.load(),
        machine,
    }
}

/// What the other members of the active network offer. Without a mesh yet there are none.
pub(crate) fn others(mesh: Option<&MeshSnapshot>, cards: &Cards, rates: &Rates) -> Vec<Offer> {
    let others = mesh.map(|mesh| mesh.members.as_slice()).unwrap_or_default();
    let others = others.iter().filter(|member| !member.this_device).map(|member| {
        // Who has told nothing yet offers nothing.
        let card = member.card.as_ref().map(|told| cards.read(member.device_id, told)).unwrap_or_default();
        Offer {
            device: member.device_id,
            name: member.name.to_string(),
            this_device: false,
            rtt_ms: match member.link {
                LinkState::Online { rtt_ms, .. } => Some(rtt_ms),
                LinkState::Connecting { .. } | LinkState::Away { .. } => None,
            },
            arriving: match member.link {
                LinkState::Connecting { attempt, .. } => attempt == 1,
                LinkState::Online { .. } => member.card.is_none(),
                LinkState::Away { .. } => false,
            },
            reason: member.link.reason(),
            accepting: card.accepting,
            rates: known(rates, member.device_id, &card.models),
            models: card.models.clone(),
            queue: card.queue,
            machine: card.machine,
        }
    });
    others.collect()
}

fn known(rates: &Rates, device: DeviceId, models: &[CardModel]) -> HashMap<String, Rate> {
    rates.of(device, models.iter().map(|model| model.id.as_str()))
}

/// Cards of others that were read: a card comes seldom, and questions often.
#[derive(Clone, Default)]
pub(crate) struct Cards(Arc<watch::Sender<HashMap<DeviceId, Read>>>);

/// What was told, and the card that was read of it.
type Read = (Arc<Value>, Arc<Card>);

impl Cards {
    /// The card that a device tells.
    fn read(&self, device: DeviceId, told: &Arc<Value>) -> Arc<Card> {
        if let Some((_, card)) = self.0.borrow().get(&device).filter(|(read, _)| Arc::ptr_eq(read, told)) {
            return card.clone();
        }
        let card = Arc::new(Card::read(told));
        self.0.send_modify(|cards| {
            // Nobody else holds what was told before.
            cards.retain(|_, (told, _)| Arc::strong_count(told) > 1);
            cards.insert(device, (told.clone(), card.clone()));
        });
        card
    }
}

/// Stands for this device in the moment before the mesh runs; never leaves the process.
fn nobody() -> DeviceId {
    DeviceId::of_secret(&[0; 32])
}
