//! What is heard of where devices are: told by themselves, by others, seen on the local network; and what becomes of the
//! links when this device is elsewhere, has other ways, or was asleep.

use std::time::Duration;

use super::{Actor, Dial, Outcome};
use crate::net::close::CloseCode;
use crate::net::endpoint;
use crate::net::hello::Places;
use crate::proto::ids::DeviceId;

impl Actor {
    pub(super) fn learn(&mut self, device: DeviceId, news: &Places) {
        let known = self.places.entry(device).or_default();
        let merged = known.merged(news);
        if merged != *known {
            *known = merged;
            self.dial_soon(device, Duration::ZERO);
        }
    }

    /// `device` is on the local network, or not any more.
    pub(super) fn seen_nearby(&mut self, device: DeviceId, places: Places) {
        if places.is_empty() {
            self.nearby.remove(&device);
        } else if self.peers.contains_key(&device) {
            self.nearby.insert(device, places);
            self.try_again(device);
        }
    }

    /// `device` says itself where it is.
    pub(super) fn told(&mut self, device: DeviceId, places: Places) {
        if self.peers.contains_key(&device) {
            self.places.insert(device, places);
            self.try_again(device);
        }
    }

    /// There is news of `device`: what failed before may work now.
    pub(super) fn try_again(&mut self, device: DeviceId) {
        if let Some(peer) = self.peers.get_mut(&device).filter(|peer| peer.links.is_empty()) {
            peer.failures = peer.failures.min(1);
        }
        self.dial_soon(device, Duration::ZERO);
    }

    /// This device is elsewhere, or has other ways.
    pub(super) fn moved(&mut self) {
        self.note_own_places();
        self.setup.ways.mark_unchanged();
        let devices: Vec<DeviceId> = self.peers.keys().copied().collect();
        devices.into_iter().for_each(|device| self.try_again(device));
        self.leave_relays();
    }

    /// Links whose only path was a relay that is cut off by now are dead: they are made again without waiting for that
    /// to show.
    pub(super) fn leave_relays(&mut self) {
        let ways = self.setup.ways.borrow().clone();
        for (device, peer) in &mut self.peers {
            for link in peer.links.iter().filter(|link| link.relay().is_some_and(|relay| !ways.carries(&relay))) {
                tracing::info!(device = %device.short(), "left a relay that is no longer used");
                link.close(CloseCode::Replaced);
            }
        }
    }

    /// This device slept, or its program was stopped: no link can be trusted, and the network may be another one.
    pub(super) fn woke(&mut self) {
        tracing::info!("awake again; looking for everybody");
        let endpoint = self.setup.endpoint.clone();
        self.tasks.spawn(async move {
            endpoint.network_change().await;
            Outcome::Done
        });
        let devices: Vec<DeviceId> = self.peers.keys().copied().collect();
        for device in devices {
            if self.peers.get(&device).is_some_and(|peer| peer.links.is_empty()) {
                self.try_again(device);
            } else {
                self.replace(device);
            }
        }
    }

    /// Makes a new connection to a linked device; it takes the place of the old one without losing a request.
    pub(super) fn replace(&mut self, device: DeviceId) {
        if let Some(peer) = self.peers.get_mut(&device).filter(|peer| peer.dial != Dial::Running) {
            peer.dial = Dial::Running;
            // Where it was may be nowhere now: everything is tried.
            peer.failures = peer.failures.max(1);
            self.spawn_dial(device);
        }
    }

    pub(super) fn note_own_places(&mut self) {
        let own = endpoint::own_places(&self.setup.endpoint, &self.setup.ways.borrow());
        self.own.send_if_modified(|told| {
            let changed = *told != own;
            *told = own;
            changed
        });
    }

    /// Where `device` is seen, and behind that where it was told to be.
    pub(super) fn known_places(&self, device: DeviceId) -> Places {
        let told = self.places.get(&device).cloned().unwrap_or_default();
        self.nearby.get(&device).map_or_else(|| told.clone(), |nearby| nearby.merged(&told))
    }
}
