//! Asks a member that refuses this device whether it was removed, and by which record: a device that was away when it
//! was removed learns of it like this. Spoken over the knock protocol, the only one that is open to it.

use std::time::Duration;

use iroh::Endpoint;

use super::close::CloseCode;
use super::hello::Places;
use super::links;
use super::wire::{self, FrameReader};
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::knock::message::{GUEST_LIMIT, HOST_LIMIT};
use crate::proto::knock::{GuestFrame, HostFrame, KNOCK_ALPN};

/// All of it ends within this time.
const PATIENCE: Duration = Duration::from_secs(4);

/// The records by which `member` says that this device was removed; `None` when it says nothing.
pub(crate) async fn ask(
    endpoint: &Endpoint,
    member: DeviceId,
    places: &Places,
    network: NetworkId,
) -> Option<Vec<Vec<u8>>> {
    let asking = async {
        let connection = links::connect(endpoint, member, places, KNOCK_ALPN, PATIENCE).await.ok()?;
        let (mut send, recv) = connection.open_bi().await.ok()?;
        wire::write(&mut send, &GuestFrame::Why { network }, GUEST_LIMIT).await.ok()?;
        let told = FrameReader::new(recv, HOST_LIMIT).next::<HostFrame>().await;
        CloseCode::Done.close(&connection);
        match told {
            Ok(HostFrame::Removed { records }) => Some(records),
            _ => None,
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.ok().flatten()
}
