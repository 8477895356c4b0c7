//! Answers of other devices live as long as what binds the two devices: this device's network is the active one, and
//! both are members. When that ends, the answer ends at once and says why.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use myownmesh_control::error::ErrorCode;
use myownmesh_mesh::{DeviceId, Mesh, MeshSnapshot, NetworkId};
use tokio::sync::watch;
use tokio::time::timeout;

use super::ApiError;
use crate::route::Route;

/// How long the cause of a lost connection is waited for: the cut may be heard before the record that ordered it.
const CAUSE: Duration = Duration::from_millis(300);

/// What binds this device to another one.
pub(super) struct Bond {
    pictures: watch::Receiver<Arc<MeshSnapshot>>,
    network: Option<NetworkId>,
    device: DeviceId,
    name: String,
}

impl Bond {
    /// The bond of this moment.
    pub(super) fn to(route: &Route, mesh: &Mesh) -> Self {
        let pictures = mesh.watch();
        let network = pictures.borrow().active;
        Self { pictures, network, device: route.device, name: route.device_name.clone() }
    }

    /// The network it belongs to.
    pub(super) fn network(&self) -> Option<NetworkId> {
        self.network
    }

    /// Waits until it has ended, and tells why.
    pub(super) async fn ended(&mut self) -> ApiError {
        let (network, device) = (self.network, self.device);
        loop {
            let ended = end(&self.pictures.borrow_and_update(), network, device);
            if let Some(end) = ended {
                return end.error(&self.name);
            }
            if self.pictures.changed().await.is_err() {
                // The mesh stops with the daemon, which ends all answers in its own words.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Why the connection was lost.
    pub(super) async fn cause(&mut self) -> ApiError {
        timeout(CAUSE, self.ended()).await.unwrap_or_else(|_| lost(&self.name))
    }

    /// The device is there and the answer is not: its program was restarted, or had to let go of it.
    pub(super) fn forgotten(&self) -> ApiError {
        let name = &self.name;
        ApiError::new(ErrorCode::EngineFailed, format!("{name} has lost the answer in the middle. Ask again."))
    }

    /// Gives pieces as long as it holds.
    pub(super) fn hold<E: Send + 'static>(
        self,
        pieces: BoxStream<'static, Result<Bytes, E>>,
    ) -> BoxStream<'static, Result<Bytes, ApiError>> {
        let held = unfold(Some((self, pieces)), |held| async move {
            let (mut bond, mut pieces) = held?;
            let piece = tokio::select! {
                biased;
                piece = pieces.next() => piece,
                error = bond.ended() => return Some((Err(error), None)),
            };
            match piece? {
                Ok(piece) => Some((Ok(piece), Some((bond, pieces)))),
                Err(_) => Some((Err(bond.cause().await), None)),
            }
        });
        held.boxed()
    }
}

/// How a bond ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Another network is active, or none.
    Switched,
    /// This device is no member any more; who removed it, when that is known.
    Removed(Option<String>),
    /// The other device is no member any more.
    Gone,
}

fn end(mesh: &MeshSnapshot, network: Option<NetworkId>, device: DeviceId) -> Option<End> {
    let saved = mesh.networks.iter().find(|saved| Some(saved.id) == network);
    if let Some(saved) = saved.filter(|saved| saved.role.is_none()) {
        let by = saved.removed.as_ref().and_then(|removed| removed.by.as_ref());
        return Some(End::Removed(by.map(ToString::to_string)));
    }
    if mesh.active != network {
        return Some(End::Switched);
    }
    mesh.member(device).is_none().then_some(End::Gone)
}

impl End {
    fn error(&self, name: &str) -> ApiError {
        match self {
            Self::Switched => ApiError::new(
                ErrorCode::Conflict,
                format!(
                    "This device has left the network in which {name} was answering, so the answer ended. Switch \
                     back to that network, then ask again."
                ),
            ),
            Self::Removed(by) => {
                let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
                let message = format!(
                    "This device was removed from the network{by}, so the answer of {name} ended. Knock again to come \
                     back."
                );
                ApiError::new(ErrorCode::NotMember, message)
            }
            Self::Gone => ApiError::new(
                ErrorCode::NotMember,
                format!("{name} is no longer a member of the network, so its answer ended. Ask another device."),
            ),
        }
    }
}

fn lost(name: &str) -> ApiError {
    ApiError::new(
        ErrorCode::Unreachable,
        format!("The connection to {name} was lost before the answer was complete. Ask again, or use another device."),
    )
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use myownmesh_mesh::{
        DeviceName, LinkState, MemberInfo, NetworkInfo, NetworkKind, NetworkName, NetworkSettings, PathKind, Removed,
        Role,
    };

    use super::*;

    const NETWORK: NetworkId = NetworkId::from_bytes([5; 32]);

    fn name(text: &str) -> DeviceName {
        DeviceName::parse(text).expect("a name")
    }

    fn device(n: u8) -> DeviceId {
        DeviceId::of_secret(&[n; 32])
    }

    fn mesh() -> MeshSnapshot {
        let network = NetworkInfo {
            id: NETWORK,
            name: NetworkName::parse("Home").expect("a name"),
            kind: NetworkKind::Open,
            active: true,
            role: Some(Role::Member),
            members: 2,
            founded_at: 0,
            settings: NetworkSettings::default(),
            removed: None,
        };
        let desk = MemberInfo {
            device_id: device(2),
            name: name("Desk"),
            os: "Linux".to_owned(),
            role: Role::Owner,
            this_device: false,
            link: LinkState::Online { path: PathKind::Direct, rtt_ms: 1.0, since: 0 },
            card: None,
            version: None,
            last_seen: None,
        };
        MeshSnapshot {
            device_id: device(1),
            device_name: name("Lap"),
            listen: vec![],
            networks: vec![network],
            active: Some(NETWORK),
            members: vec![desk],
            knocks: vec![],
            nearby: vec![],
            relays: vec![],
        }
    }

    /// The last words of an answer that goes on until `change` happens; `cut`: its connection is lost first.
    async fn after(cut: bool, change: impl FnOnce(&mut MeshSnapshot)) -> ApiError {
        let (sender, pictures) = watch::channel(Arc::new(mesh()));
        let bond = Bond { pictures, network: Some(NETWORK), device: device(2), name: "Desk".to_owned() };
        let first = stream::iter([Ok::<_, ()>(Bytes::from_static(b"one"))]);
        let pieces =
            if cut { first.chain(stream::iter([Err(())])).boxed() } else { first.chain(stream::pending()).boxed() };
        let mut held = bond.hold(pieces);
        assert_eq!(held.next().await, Some(Ok(Bytes::from_static(b"one"))));
        let mut changed = mesh();
        change(&mut changed);
        let later = async {
            if cut {
                // The cut is noticed first.
                tokio::time::sleep(CAUSE / 2).await;
            }
            sender.send_replace(Arc::new(changed));
            // It stays until the answer has ended.
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            piece = held.next() => piece.expect("a last word").expect_err("an error"),
            () = later => unreachable!("it never completes"),
        };
        assert_eq!(held.next().await, None);
        error
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_with_its_reason() {
        for cut in [false, true] {
            let switched = after(cut, |mesh| mesh.active = None).await;
            assert!(switched.to_string().contains("left the network in which Desk was answering"), "{switched}");
            let removed = after(cut, |mesh| {
                mesh.networks[0].role = None;
                mesh.networks[0].removed = Some(Removed { by: Some(name("Pad")), at: 1 });
            })
            .await;
            assert!(removed.to_string().contains("removed from the network by Pad"), "{removed}");
            let gone = after(cut, |mesh| mesh.members.clear()).await;
            assert!(gone.to_string().contains("Desk is no longer a member"), "{gone}");
        }
        let lost = after(true, |_| {}).await;
        assert!(lost.to_string().contains("connection to Desk was lost"), "{lost}");
    }
}
