//! What every device offers now, as the router wants to know it.

use std::collections::HashMap;

use myownmesh_compute::ComputeSnapshot;
use myownmesh_mesh::{DeviceId, LinkState, MeshSnapshot};

use crate::card::{Card, CardModel};
use crate::lending::Lending;
use crate::planner::{Machine, Rate, Rates};
use crate::route::Offer;

/// This device first, then the other members of the active network. Without a mesh yet, this device alone.
pub(crate) fn offers(
    mesh: Option<&MeshSnapshot>,
    compute: &ComputeSnapshot,
    lending: &Lending,
    machine: Option<Machine>,
    rates: &Rates,
) -> Vec<Offer> {
    let known = |device: DeviceId, models: &[CardModel]| -> HashMap<String, Rate> {
        rates.of(device, models.iter().map(|model| model.id.as_str()))
    };
    let device = mesh.map_or_else(nobody, |mesh| mesh.device_id);
    let accepting = lending.policy(mesh.and_then(|mesh| mesh.active));
    let models = Card::of(compute, accepting).models;
    let mut offers = vec![Offer {
        device,
        name: mesh.map_or_else(|| "This device".to_owned(), |mesh| mesh.device_name.to_string()),
        this_device: true,
        rtt_ms: Some(0.0),
        arriving: false,
        reason: String::new(),
        accepting,
        rates: known(device, &models),
        models,
        queue: lending.load(),
        machine,
    }];
    let others = mesh.map(|mesh| mesh.members.as_slice()).unwrap_or_default();
    offers.extend(others.iter().filter(|member| !member.this_device).map(|member| {
        let card = member.card.as_deref().map(Card::read).unwrap_or_default();
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
            rates: known(member.device_id, &card.models),
            models: card.models,
            queue: card.queue,
            machine: card.machine,
        }
    }));
    offers
}

/// Stands for this device in the moment before the mesh runs; never leaves the process.
fn nobody() -> DeviceId {
    DeviceId::of_secret(&[0; 32])
}
