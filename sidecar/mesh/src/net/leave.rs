//! A word on leaving: takes the record by which this device leaves a network to its members.
//!
//! Over connections of its own, so that it also works for a network that is not the active one, and so that switching
//! away never waits for anybody. One member that is told is enough: the others hear it from there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iroh::Endpoint;
use tokio::task::JoinSet;

use super::close::CloseCode;
use super::hello::Places;
use super::link::{Link, Ours};
use super::links;
use super::sync::{self, RECORDS};
use crate::proto::ids::DeviceId;
use crate::proto::welcome::MESH_ALPN;

/// All of it ends within this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most members that are told from here.
pub(crate) const MAX_TOLD: usize = 16;

/// Sends `records` to `members`, all at once. Returns when each was told, or could not be told in time.
pub(crate) async fn tell(endpoint: Endpoint, ours: Ours, members: Vec<(DeviceId, Places)>, records: Bytes) {
    let mut telling = JoinSet::new();
    for (device, places) in members.into_iter().take(MAX_TOLD) {
        let (endpoint, ours, records) = (endpoint.clone(), ours.clone(), records.clone());
        telling.spawn(async move {
            match tell_one(&endpoint, device, &places, ours, records).await {
                Ok(()) => tracing::info!(device = %device.short(), "told that this device leaves the network"),
                Err(reason) => tracing::info!(device = %device.short(), reason, "not told that this device leaves"),
            }
        });
    }
    let all = async { while telling.join_next().await.is_some() {} };
    // What is under way after that is dropped with the set.
    let _ = tokio::time::timeout(PATIENCE, all).await;
}

async fn tell_one(
    endpoint: &Endpoint,
    device: DeviceId,
    places: &Places,
    ours: Ours,
    records: Bytes,
) -> Result<(), String> {
    let connection =
        links::connect(endpoint, device, places, MESH_ALPN, PATIENCE).await.map_err(|error| error.reason)?;
    // It must stay open until the records are taken.
    let (link, _control) = Link::dialled(connection, ours).await.map_err(|error| error.reason)?;
    let link = Arc::new(link);
    let told = sync::post(&link, RECORDS, records).await;
    // Taking the record, the other side cuts this device off, which can be quicker than its answer.
    let cut = link.was_removed();
    link.close(CloseCode::Left);
    match told {
        Ok(_) => Ok(()),
        Err(_) if cut => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
