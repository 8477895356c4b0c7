//! Networks: found, list, switch, leave, forget, rename.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Event, Network, NetworkKind, SettingsPatch};
use myownmesh_mesh::{MeshSnapshot, NetworkId, NetworkInfo, NetworkName};

use crate::convert::{self, OrControl};
use crate::daemon::Daemon;
use crate::text::{listed, quotable, sentence};

/// Shortest prefix of an id that counts as one.
const MIN_PREFIX: usize = 4;

fn name(text: &str) -> Result<NetworkName, ControlError> {
    NetworkName::parse(text).map_err(|error| ControlError::new(ErrorCode::InvalidArgument, sentence(&error)))
}

/// The saved network that `text` names: by id, by name, or by the start of its id.
pub(super) fn find<'a>(mesh: &'a MeshSnapshot, text: &str) -> Result<&'a NetworkInfo, ControlError> {
    let text = text.trim();
    let lower = text.to_lowercase();
    if let Ok(id) = text.parse::<NetworkId>()
        && let Some(network) = mesh.networks.iter().find(|network| network.id == id)
    {
        return Ok(network);
    }
    let tests: [&dyn Fn(&NetworkInfo) -> bool; 3] = [
        &|network| network.name.as_str() == text,
        &|network| network.name.as_str().to_lowercase() == lower,
        &|network| lower.len() >= MIN_PREFIX && network.id.to_string().starts_with(&lower),
    ];
    for fits in tests {
        let found: Vec<_> = mesh.networks.iter().filter(|network| fits(network)).collect();
        match found.as_slice() {
            [] => {}
            [network] => return Ok(network),
            several => {
                let ids: Vec<_> = several.iter().map(|n| format!("{} ({:.10})", n.name, n.id.to_string())).collect();
                let message =
                    format!("\"{}\" fits several networks: {}. Name one by its id.", quotable(text), listed(&ids, 4));
                return Err(ControlError::new(ErrorCode::Ambiguous, message));
            }
        }
    }
    let message = format!("This device knows no network \"{}\". `myownmesh network list` shows them.", quotable(text));
    Err(ControlError::new(ErrorCode::NotFound, message))
}

/// The active network.
pub(super) fn active(mesh: &MeshSnapshot) -> Result<&NetworkInfo, ControlError> {
    let found = mesh.active.and_then(|id| mesh.networks.iter().find(|network| network.id == id));
    found.ok_or_else(|| {
        let message = "No network is active. Create one, join one, or switch to a saved one first.";
        ControlError::new(ErrorCode::NoNetwork, message)
    })
}

pub(super) async fn create(daemon: &Daemon, given: &str, kind: NetworkKind) -> Result<Network, ControlError> {
    let founded = daemon.mesh.create_network(name(given)?, convert::mesh_kind(kind)).await.or_control()?;
    Ok(convert::network(&founded))
}

pub(super) fn list(daemon: &Daemon) -> Vec<Network> {
    daemon.picture().networks.iter().map(convert::network).collect()
}

pub(super) fn show(daemon: &Daemon, network: Option<&str>) -> Result<Network, ControlError> {
    let mesh = daemon.picture();
    let found = match network {
        Some(text) => find(&mesh, text)?,
        None => active(&mesh)?,
    };
    Ok(convert::network(found))
}

pub(super) async fn use_one(daemon: &Daemon, network: &str) -> Result<Network, ControlError> {
    let id = find(&daemon.picture(), network)?.id;
    Ok(convert::network(&daemon.mesh.use_network(id).await.or_control()?))
}

pub(super) async fn leave(daemon: &Daemon) -> Result<(), ControlError> {
    daemon.mesh.leave_network().await.or_control()
}

pub(super) async fn forget(daemon: &Daemon, network: &str) -> Result<(), ControlError> {
    let id = find(&daemon.picture(), network)?.id;
    daemon.mesh.forget_network(id).await.or_control()?;
    daemon.conversations.forget_network(id.to_string()).await.or_control()?;
    daemon.showing.forget(id).await.or_control()?;
    daemon.activity.forget_network(id).await.or_control()?;
    daemon.permissions.forget_network(id).await.or_control()?;
    daemon.scopes.forget_network(id).await.or_control()?;
    daemon.lending.forget_network(id).await.or_control()?;
    daemon.ledger.forget_network(id).await.or_control()?;
    daemon.events.push(Event::ConversationsChanged);
    Ok(())
}

pub(super) async fn set_kind(daemon: &Daemon, network: &str, kind: NetworkKind) -> Result<Network, ControlError> {
    let id = find(&daemon.picture(), network)?.id;
    Ok(convert::network(&daemon.mesh.set_network_kind(id, convert::mesh_kind(kind)).await.or_control()?))
}

pub(super) async fn set_settings(
    daemon: &Daemon,
    network: &str,
    patch: SettingsPatch,
) -> Result<Network, ControlError> {
    let id = find(&daemon.picture(), network)?.id;
    let patch = convert::mesh_settings(patch);
    Ok(convert::network(&daemon.mesh.set_network_settings(id, patch).await.or_control()?))
}

pub(super) async fn rename(daemon: &Daemon, network: &str, to: &str) -> Result<Network, ControlError> {
    let id = find(&daemon.picture(), network)?.id;
    Ok(convert::network(&daemon.mesh.rename_network(id, name(to)?).await.or_control()?))
}
