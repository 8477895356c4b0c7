//! The gate in front of what this device offers: every request of a member is checked against the membership of that
//! moment, not only the handshake.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use super::close::CloseCode;
use super::refusals::{Attempt, Refusals};
use crate::api::{Asker, LinkLoss};
use crate::proto::ids::{DeviceId, NetworkId};
use crate::roster::RosterWatch;

/// How many requests of one link the mesh's own routes look at at once; the others wait unread. It bounds what a member
/// can make this device hold and queue, however many streams it opens.
const AT_ONCE: usize = 8;

/// Whose turn it is on one link, for the mesh's own routes.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// For a new link.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Waits for a turn; it ends when what is given is dropped.
    pub(crate) async fn take(self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        self.0.acquire_owned().await.ok()
    }
}

/// The service and who may use it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    roster: RosterWatch,
    router: axum::Router,
    refusals: Refusals,
}

impl Gate {
    /// A gate in front of `router`; whom it turns away is told to `refusals`.
    pub(crate) fn new(roster: RosterWatch, router: axum::Router, refusals: Refusals) -> Self {
        Self { roster, router, refusals }
    }

    /// Why a link of `device` through `network` is to end now; `None`: both are as they were.
    pub(crate) fn expels(&self, network: NetworkId, device: DeviceId) -> Option<CloseCode> {
        let roster = self.roster.borrow();
        if roster.network != Some(network) {
            // This device has switched; the other one is as much a member there as ever.
            return Some(CloseCode::Left);
        }
        (!roster.members.contains_key(&device)).then_some(CloseCode::NotMember)
    }

    /// Tells that a member tried what it may not.
    pub(crate) fn refused(&self, device: DeviceId, attempt: Attempt) {
        self.refusals.tell(device, attempt);
    }

    /// The hyper service for one stream of `device`, which connected through `network`.
    pub(crate) fn for_member(
        &self,
        network: NetworkId,
        device: DeviceId,
        turns: Turns,
        loss: LinkLoss,
    ) -> MemberService {
        MemberService { gate: self.clone(), network, device, turns, loss }
    }

    async fn answer(
        self,
        network: NetworkId,
        device: DeviceId,
        turns: Turns,
        mut request: Request<Body>,
    ) -> Response<Body> {
        let member = self.roster.borrow().member_of(network, device).cloned();
        let Some(member) = member else {
            tracing::debug!(device = %device.short(), path = request.uri().path(), "refused a request of a non-member");
            self.refusals.tell(device, Attempt::NotMember);
            return refusal();
        };
        request.extensions_mut().insert(turns);
        request.extensions_mut().insert(Asker { device_id: device, name: member.name, role: member.role, network });
        match self.router.oneshot(request).await {
            Ok(mut response) => {
                // A route says so when it was sent what no member sends; see `routes`.
                if let Some(attempt) = response.extensions_mut().remove::<Attempt>() {
                    self.refusals.tell(device, attempt);
                }
                response
            }
            Err(never) => match never {},
        }
    }
}

/// Answers requests of one member. See [`Gate::for_member`].
#[derive(Clone)]
pub(crate) struct MemberService {
    gate: Gate,
    network: NetworkId,
    device: DeviceId,
    turns: Turns,
    loss: LinkLoss,
}

impl hyper::service::Service<Request<Incoming>> for MemberService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { gate, network, device, turns, loss } = self.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(loss);
        Box::pin(async move { Ok(gate.answer(network, device, turns, request).await) })
    }
}

fn refusal() -> Response<Body> {
    let text = r#"{"error":{"code":"not_member","message":"This device is not a member of the network, or no longer one. Knock to join."}}"#;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::Extension;
    use axum::routing::get;
    use tokio::sync::{broadcast, watch};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::proto::name::DeviceName;
    use crate::proto::record::Role;
    use crate::roster::{Roster, RosterMember};

    fn device(seed: u8) -> DeviceId {
        DeviceId::from(iroh::SecretKey::from_bytes(&[seed; 32]).public())
    }

    #[tokio::test]
    async fn every_request_is_checked_against_the_membership_of_its_moment() {
        let network = NetworkId::from_bytes([1; 32]);
        let member = RosterMember { name: DeviceName::parse("Attic").expect("a name"), role: Role::Member };
        let members = BTreeMap::from([(device(1), member)]);
        let (roster, watching) = watch::channel(Arc::new(Roster { network: Some(network), members, membership: None }));
        let router = axum::Router::new()
            .route("/who", get(|Extension(asker): Extension<Asker>| async move { asker.name.to_string() }));
        let (refusals, _) = Refusals::start(watching.clone(), broadcast::channel(1).0, CancellationToken::new());
        let gate = Gate::new(watching, router, refusals);
        let ask = |network, device| {
            let request = Request::get("/who").body(Body::empty()).expect("a request");
            gate.clone().answer(network, device, Turns::new(), request)
        };

        assert_eq!(gate.expels(network, device(1)), None);
        assert_eq!(ask(network, device(1)).await.status(), StatusCode::OK);
        assert_eq!(ask(network, device(2)).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(ask(NetworkId::from_bytes([2; 32]), device(1)).await.status(), StatusCode::FORBIDDEN);
        roster.send_replace(Arc::new(Roster { network: Some(network), ..Roster::default() }));
        assert_eq!(ask(network, device(1)).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(gate.expels(network, device(1)), Some(CloseCode::NotMember), "it was removed");
        roster.send_replace(Arc::default());
        assert_eq!(gate.expels(network, device(1)), Some(CloseCode::Left), "this device has switched");
    }
}
