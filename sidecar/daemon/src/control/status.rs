//! The daemon at a glance, and its end.

use myownmesh_control::types::{Event, Status};
use myownmesh_control::{CONTROL_PROTOCOL, VERSION};

use super::compute;
use crate::daemon::Daemon;
use crate::phase::phase;
use crate::platform;

/// Everything in one answer.
pub(super) fn status(daemon: &Daemon) -> Status {
    let mesh = daemon.picture();
    let (phase, reason) = phase(&mesh);
    let active = mesh.active.and_then(|id| mesh.networks.iter().find(|network| network.id == id));
    Status {
        version: VERSION.to_owned(),
        protocol: CONTROL_PROTOCOL,
        device_id: mesh.device_id.to_string(),
        device_name: mesh.device_name.to_string(),
        os: platform::os_name().to_owned(),
        identity_store: daemon.facts.identity_store,
        api: daemon.facts.api_url.clone(),
        listen: mesh.listen.iter().map(ToString::to_string).collect(),
        network: active.map(|network| network.name.to_string()),
        network_id: active.map(|network| network.id.to_string()),
        phase,
        reason,
        peers: daemon.devices().into_iter().filter(|device| !device.this_device).collect(),
        engines: compute::engines(daemon),
        knocks: u32::try_from(mesh.knocks.len()).unwrap_or(u32::MAX),
        warnings: daemon.facts.warnings.iter().chain(daemon.notices.borrow().iter()).cloned().collect(),
    }
}

/// Begins the end; whoever asked still gets the answer.
pub(super) fn stop(daemon: &Daemon) {
    daemon.events.push(Event::Stopping);
    daemon.stop.cancel();
}
