//! How a member that is not linked is tried, from what is quick and likely to what is slow and rarely of use.
//!
//! The ladder, from the bottom:
//!
//! 1. **Path change.** While a connection lives, QUIC moves it to another path by itself: a path that is silent for 3 s
//!    is given up for another one. Nothing here has a part in that.
//! 2. **Reconnect.** A connection that is lost (5 s of silence, or a reset) is made again at once, then after 0.1, 0.2,
//!    0.4 ... up to 30 s, each give or take a quarter so that devices do not move in step. Dialled is every place the
//!    device told, and where multicast DNS sees it now; within an attempt again and again, because a packet that was
//!    lost is repeated only after ever longer pauses.
//! 3. **Resolve again.** From the second attempt on the lookup server is asked, if the network has one.
//! 4. **Relay.** From the second attempt on it is dialled through every relay of the network too, not only the one it
//!    told: it may have moved to another.
//! 5. **Give up, with a reason.** A device whose link fell silent is away at that moment, any other after two attempts;
//!    the reason says what was tried. It is still tried every 30 s, and at once when there is news: it connects itself,
//!    tells new places, is seen on the local network, somebody waits for it, this device changes networks or wakes.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use iroh::endpoint::{ConnectError, ConnectingError, Connection, ConnectionError, TransportErrorCode};
use iroh::{Endpoint, EndpointAddr, RelayUrl};
use tokio::time::{interval, timeout};

use crate::api::ProbeCause;
use crate::net::close::{self, CloseCode};
use crate::net::endpoint;
use crate::net::hello::Places;
use crate::net::link::{self, ControlStream, Link, Ours, WelcomeError};
use crate::net::reach::Ways;
use crate::proto::ids::DeviceId;
use crate::proto::welcome::MESH_ALPN;

/// One attempt to reach a device ends after this time; iroh's own limit is far longer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(4);
/// Within an attempt it is dialled anew after this time, while what was dialled before goes on. QUIC repeats its first
/// packet after 1, 3 and 7 s (RFC 9002, section 6.2.2); a link that comes back should not have to wait for that.
const DIAL_AGAIN: Duration = Duration::from_millis(400);
/// Waits between attempts, in milliseconds: fast at first, since a device that just started is back at once.
const BACKOFF_MS: [u64; 9] = [0, 100, 200, 400, 800, 1_600, 4_000, 10_000, 30_000];
/// As [`BACKOFF_MS`], after a refusal: it may be that the other side has not heard of us yet.
const REFUSED_MS: [u64; 5] = [300, 1_000, 3_000, 10_000, 30_000];

/// How long to wait after `failures` attempts, give or take a quarter so that devices do not move in step.
pub(super) fn backoff(failures: u32, refused: bool) -> Duration {
    let steps: &[u64] = if refused { &REFUSED_MS } else { &BACKOFF_MS };
    let step = usize::try_from(failures).unwrap_or(usize::MAX).min(steps.len() - 1);
    Duration::from_millis(steps[step]).mul_f64(rand::random_range(0.75..=1.25))
}

/// One attempt.
pub(super) struct Attempt {
    pub(super) endpoint: Endpoint,
    pub(super) device: DeviceId,
    /// Where it is, as far as is known.
    pub(super) places: Places,
    pub(super) ways: Ways,
    /// How many attempts have failed before.
    pub(super) failures: u32,
    pub(super) ours: Ours,
}

impl Attempt {
    /// Whether there is anything to try at all.
    pub(super) fn is_possible(places: &Places, ways: &Ways) -> bool {
        !ways.fit(places).is_empty() || !ways.relays.is_empty() || ways.can_look_up()
    }

    /// Connects and exchanges welcomes.
    pub(super) async fn run(self) -> Result<(Link, ControlStream), WelcomeError> {
        let Self { endpoint, device, places, ways, failures, ours } = self;
        let mut places = ways.fit(&places);
        let wide = failures > 0 || places.is_empty();
        if wide && ways.can_look_up() {
            places = places.merged(&ways.look_up(device).await);
        }
        let relays = if wide { ways.relays.as_slice() } else { &[] };
        let addr = endpoint::dial_addr(device, &places, relays);
        let connection = connect_to(&endpoint, addr, MESH_ALPN, DIAL_TIMEOUT, &tried(&places, relays)).await?;
        Link::dialled(connection, ours).await
    }
}

/// Connects within `limit`, or says why not.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    device: DeviceId,
    places: &Places,
    alpn: &[u8],
    limit: Duration,
) -> Result<Connection, WelcomeError> {
    connect_to(endpoint, endpoint::dial_addr(device, places, &[]), alpn, limit, &places.to_string()).await
}

async fn connect_to(
    endpoint: &Endpoint,
    addr: EndpointAddr,
    alpn: &[u8],
    limit: Duration,
    tried: &str,
) -> Result<Connection, WelcomeError> {
    match timeout(limit, first_to_answer(endpoint, addr, alpn)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(
            ConnectError::Connection { source, .. }
            | ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. },
        )) if speaks_another_version(&source) => Err(WelcomeError {
            reason: close::sentence_of(CloseCode::Version),
            refused: true,
            cause: Some(ProbeCause::VersionMismatch),
        }),
        Ok(Err(
            ConnectError::Connection { source, .. }
            | ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. },
        )) if source != ConnectionError::TimedOut => Err(if CloseCode::of(&source).is_some() {
            link::refusal_of(&source)
        } else {
            WelcomeError { reason: close::sentence(&source), refused: false, cause: None }
        }),
        Ok(Err(error)) if !matches!(error, ConnectError::Connection { .. } | ConnectError::Connecting { .. }) => {
            Err(WelcomeError { reason: format!("It cannot be dialled: {error}."), refused: false, cause: None })
        }
        Ok(Err(_)) | Err(_) => {
            Err(WelcomeError { reason: format!("Nobody answers at {tried}."), refused: false, cause: None })
        }
    }
}

/// Dials again and again; what comes first of it counts, and the rest is dropped.
async fn first_to_answer(endpoint: &Endpoint, addr: EndpointAddr, alpn: &[u8]) -> Result<Connection, ConnectError> {
    let (mut dialled, mut again) = (FuturesUnordered::new(), interval(DIAL_AGAIN));
    loop {
        tokio::select! {
            biased;
            Some(answered) = dialled.next(), if !dialled.is_empty() => return answered,
            _ = again.tick() => dialled.push(endpoint.connect(addr.clone(), alpn)),
        }
    }
}

/// Whether the other side speaks none of our protocols: TLS alert 120, `no_application_protocol` (RFC 7301).
fn speaks_another_version(error: &ConnectionError) -> bool {
    let code = match error {
        ConnectionError::ConnectionClosed(close) => close.error_code,
        ConnectionError::TransportError(error) => error.code,
        _ => return false,
    };
    code == TransportErrorCode::crypto(120)
}

/// What was dialled, in words.
fn tried(places: &Places, relays: &[RelayUrl]) -> String {
    let told = places.relay().unwrap_or_default();
    let more = relays.iter().map(ToString::to_string).filter(|url| url != told);
    let all: Vec<String> = (!places.is_empty()).then(|| places.to_string()).into_iter().chain(more).collect();
    if all.is_empty() { "any address that the lookup server knows".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_nothing_to_half_a_minute() {
        assert_eq!(backoff(0, false), Duration::ZERO);
        for failures in 1..40 {
            let wait = backoff(failures, false);
            assert!(wait >= Duration::from_millis(75) && wait <= Duration::from_millis(37_500), "{wait:?}");
        }
        assert!(backoff(0, true) >= Duration::from_millis(225));
        assert!(backoff(u32::MAX, true) >= Duration::from_millis(22_500));
    }

    #[test]
    fn what_was_tried_names_each_place_once() {
        let relay = |text: &str| text.parse::<RelayUrl>().expect("a URL");
        let relays = [relay("https://one.example/"), relay("https://two.example/")];
        let places = Places::new(["10.0.0.1:5".parse().expect("an address")], Some("https://one.example/".into()));
        assert_eq!(tried(&places, &relays), "10.0.0.1:5, https://one.example/, https://two.example/");
        assert_eq!(tried(&Places::default(), &relays[..1]), "https://one.example/");
        assert_eq!(tried(&Places::default(), &[]), "any address that the lookup server knows");
    }
}
