//! Members of the active network, this device's name, its lending policy.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Accepting, ActivityKind, DeviceSummary, Event, Removal, Role};
use myownmesh_mesh::{DeviceId, DeviceName, MeshError};

use super::networks;
use crate::activity::Told;
use crate::convert::{self, IntoControl, Names, OrControl};
use crate::daemon::Daemon;
use crate::text::sentence;

fn summary(daemon: &Daemon, id: DeviceId) -> Result<DeviceSummary, ControlError> {
    daemon.device(id).ok_or_else(|| MeshError::NotMember.into_control())
}

pub(super) fn show(daemon: &Daemon, device: &str) -> Result<DeviceSummary, ControlError> {
    summary(daemon, daemon.find_device(device)?)
}

pub(super) async fn remove(daemon: &Daemon, device: &str) -> Result<Removal, ControlError> {
    networks::active(&daemon.picture())?;
    let id = daemon.find_device(device)?;
    let device_name = summary(daemon, id)?.name;
    let removal = daemon.mesh.remove_device(id).await.or_control()?;
    let names = Names::of(&daemon.picture());
    let (acknowledged, waiting) = (names.all(&removal.acknowledged), names.all(&removal.waiting));
    Ok(Removal { device_id: id.to_string(), device_name, acknowledged, waiting })
}

pub(super) async fn set_role(daemon: &Daemon, device: &str, role: Role) -> Result<DeviceSummary, ControlError> {
    networks::active(&daemon.picture())?;
    let id = daemon.find_device(device)?;
    let member = daemon.mesh.set_role(id, convert::mesh_role(role)).await.or_control()?;
    Ok(convert::device(&member, &daemon.card(&daemon.picture())))
}

pub(super) async fn rename(daemon: &Daemon, name: &str) -> Result<DeviceSummary, ControlError> {
    let name =
        DeviceName::parse(name).map_err(|error| ControlError::new(ErrorCode::InvalidArgument, sentence(&error)))?;
    // Saved first: a name that others see and that is gone after a restart would confuse them.
    let (config, text) = (daemon.config.clone(), name.to_string());
    let saved = tokio::task::spawn_blocking(move || config.set_device_name(&text)).await;
    saved
        .map_err(|error| ControlError::new(ErrorCode::Internal, format!("The name could not be saved: {error}.")))?
        .or_control()?;
    daemon.mesh.rename_device(name.clone()).await.or_control()?;
    let mut own = summary(daemon, daemon.mesh.device_id())?;
    // The picture may be a moment behind.
    own.name = name.to_string();
    Ok(own)
}

pub(super) async fn set_accepting(daemon: &Daemon, accepting: Accepting) -> Result<Accepting, ControlError> {
    let network = networks::active(&daemon.picture())?.id;
    daemon.lending.set(network, accepting).await.or_control()?;
    daemon.events.push(Event::DevicesChanged);
    let text = match accepting {
        Accepting::Available => "This device serves every member now.",
        Accepting::Limited => "This device serves one request of others at a time now.",
        Accepting::Busy => "This device serves nobody else now.",
    };
    daemon.activity.tell(Told::new(Some(network), ActivityKind::Lending, text));
    Ok(accepting)
}
