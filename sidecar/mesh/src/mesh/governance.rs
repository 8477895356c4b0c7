//! [`Mesh`]: removing devices and governing networks.

use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;

use super::Mesh;
use crate::actor::{MemberCommand, NetworkCommand, RemovalBegun, is_settled};
use crate::api::{DecisionInfo, MeshEvent, NetworkInfo, Removal, SettingsPatch};
use crate::error::MeshError;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::record::NetworkKind;

/// How long a removal is waited for. Members that are online confirm it sooner; the others when they are met again.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);

impl Mesh {
    /// Changes who may admit. Owners may.
    pub async fn set_network_kind(&self, network: NetworkId, kind: NetworkKind) -> Result<NetworkInfo, MeshError> {
        self.ask(|reply| NetworkCommand::SetNetworkKind { network, kind, reply }).await
    }

    /// Changes how the devices of a network find and reach each other; takes effect at once, here and on every member.
    /// Owners may.
    pub async fn set_network_settings(
        &self,
        network: NetworkId,
        patch: SettingsPatch,
    ) -> Result<NetworkInfo, MeshError> {
        self.ask(|reply| NetworkCommand::SetNetworkSettings { network, patch: Box::new(patch), reply }).await
    }

    /// The governing decisions of a saved network, newest first, those that do not count included.
    pub async fn decisions(&self, network: NetworkId) -> Result<Vec<DecisionInfo>, MeshError> {
        self.ask(|reply| NetworkCommand::Decisions { network, reply }).await
    }

    /// Removes a member from the active network and cuts it off at once. Returns as soon as every member that is online
    /// has confirmed that it did the same, after a second at most; the others do when they are met again.
    pub async fn remove_device(&self, device: DeviceId) -> Result<Removal, MeshError> {
        let mut events = self.events();
        let deadline = Instant::now() + ACKNOWLEDGE;
        let RemovalBegun { network, record, online } =
            self.ask(|reply| MemberCommand::RemoveDevice { device, reply }).await?;
        let mut known = Removal::default();
        // Switching to another network meanwhile ends the waiting, not the removal.
        while let Ok(removal) = self.ask(|reply| MemberCommand::RemovalOf { network, record, reply }).await {
            known = removal;
            let confirmed = tokio::time::timeout_at(deadline, next_confirmation(&mut events, device));
            if is_settled(&known, &online) || confirmed.await.is_err() {
                break;
            }
        }
        Ok(known)
    }
}

/// Waits for a member to confirm the removal of `device`, or for what may have been one among missed events.
async fn next_confirmation(events: &mut Receiver<MeshEvent>, device: DeviceId) {
    loop {
        match events.recv().await {
            Ok(MeshEvent::RemovalAcknowledged { device_id, .. }) if device_id == device => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            // The mesh stops; the deadline ends the waiting.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
