//! What was decided in a network, by whom, and who has heard of it.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::Decision;

use super::networks;
use crate::convert::{self, Names, OrControl};
use crate::daemon::Daemon;

pub(super) async fn decisions(daemon: &Daemon, network: Option<&str>) -> Result<Vec<Decision>, ControlError> {
    let mesh = daemon.picture();
    let network = match network {
        Some(text) => networks::find(&mesh, text)?,
        None => networks::active(&mesh)?,
    };
    let decisions = daemon.mesh.decisions(network.id).await.or_control()?;
    let mut names = if network.active { Names::of(&mesh) } else { Names::default() };
    names.learn(&decisions);
    Ok(decisions.iter().map(|decision| convert::decision(decision, &names)).collect())
}
