//! How documents keep in step: the gossip switch, how far members are, what they can do and show.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{Capabilities, Catalogue, Event, SyncStatus};
use myownmesh_mesh::{Document, MAX_NETWORK_BYTES, MemberInfo, MeshSnapshot, SyncInfo};

use super::networks;
use crate::capabilities::Abilities;
use crate::convert::{self, OrControl};
use crate::daemon::Daemon;
use crate::text::now_ms;
use crate::{catalogue, collections};

pub(super) async fn status(daemon: &Daemon) -> Result<SyncStatus, ControlError> {
    Ok(shown(daemon, daemon.mesh.sync_info().await.or_control()?).await)
}

pub(super) async fn set(daemon: &Daemon, on: bool) -> Result<SyncStatus, ControlError> {
    Ok(shown(daemon, daemon.mesh.set_gossip(on).await.or_control()?).await)
}

async fn shown(daemon: &Daemon, info: SyncInfo) -> SyncStatus {
    let mesh = daemon.picture();
    let network = mesh.networks.iter().find(|network| network.id == info.network);
    let names = daemon.names(info.devices.iter().map(|device| device.device_id)).await;
    let mut devices: Vec<_> = info.devices.iter().map(|device| convert::device_sync(device, info.on, &names)).collect();
    devices.sort_by_cached_key(|device| (device.device_name.to_lowercase(), device.device_id.clone()));
    SyncStatus {
        network: network.map_or_else(|| info.network.to_string(), |network| network.name.to_string()),
        network_id: info.network.to_string(),
        auto_gossip: info.on,
        records: info.records,
        bytes: info.bytes,
        limit_bytes: MAX_NETWORK_BYTES,
        devices,
    }
}

/// Documents of members' own with the member each is of. What former members said is nobody's word any more.
fn of_members<'a>(
    mesh: &'a MeshSnapshot,
    documents: &'a [Document],
) -> impl Iterator<Item = (&'a MemberInfo, &'a Document, &'a [u8])> {
    documents.iter().filter_map(|document| {
        let member = mesh.member(document.owner?)?;
        Some((member, document, document.value.as_deref()?))
    })
}

pub(super) async fn capabilities(daemon: &Daemon) -> Result<Vec<Capabilities>, ControlError> {
    let (mesh, id) = (daemon.picture(), collections::device());
    let network = networks::active(&mesh)?.id;
    let documents = daemon.mesh.documents_in(network, &collections::capabilities()).await.or_control()?;
    let told: Vec<_> = of_members(&mesh, &documents)
        .filter(|(_, document, _)| document.id == id)
        .filter_map(|(member, document, value)| Some((member, document.at(), Abilities::read(value)?)))
        .collect();
    let own = told.iter().find(|(member, ..)| member.this_device).map(|(_, _, own)| own.clone());
    let mut list: Vec<_> =
        told.into_iter().map(|(member, at, told)| convert::capabilities(member, at, told, own.as_ref())).collect();
    list.sort_by_cached_key(|one| (!one.this_device, one.device_name.to_lowercase(), one.device_id.clone()));
    Ok(list)
}

pub(super) async fn catalogue(daemon: &Daemon) -> Result<Catalogue, ControlError> {
    let mesh = daemon.picture();
    let network = networks::active(&mesh)?.id;
    let documents = daemon.mesh.documents_in(network, &collections::catalogue()).await.or_control()?;
    let showing = daemon.showing.to(network);
    let (id, now) = (collections::conversations(), now_ms());
    let mut conversations = Vec::new();
    for (member, document, value) in of_members(&mesh, &documents) {
        if document.id == id {
            conversations.extend(catalogue::read(value, now).into_iter().map(|one| convert::shown(member, one)));
        }
    }
    conversations.sort_by_key(|one| std::cmp::Reverse(one.updated_at));
    Ok(Catalogue { showing, conversations })
}

pub(super) async fn show(daemon: &Daemon, on: bool) -> Result<Catalogue, ControlError> {
    let network = networks::active(&daemon.picture())?.id;
    daemon.showing.set(network, on).await.or_control()?;
    daemon.events.push(Event::CatalogueChanged);
    catalogue(daemon).await
}
