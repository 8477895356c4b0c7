//! One connection to one member: the welcome that opens it, the requests it serves, and how it is replaced.
//!
//! Two devices that dial each other at once end up with two connections. The device with the smaller id decides which
//! one stays ("newest wins": it is the one known to work); the other is *retired*: neither side opens new requests on
//! it, and it is closed only when everything begun on it has been delivered, so no request is lost. The first stream of
//! a connection carries the welcome and, later, that agreement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream};
use iroh::{RelayUrl, TransportAddr};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;

use super::close::{self, CloseCode};
use super::hello::{CONTROL_LIMIT, Control, INTRODUCTION_LIMIT, Introduction, Places};
use super::http;
use super::pulse::{Gone, Pulse};
use super::refusals::Attempt;
use super::serve::{Gate, Turns};
use super::wire::{self, FrameReader, WireError};
use crate::api::{ConnectionInfo, LinkLoss, PathKind, ProbeCause};
use crate::clock::now_ms;
use crate::proto::Millis;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::name::clean_text;
use crate::proto::welcome::{GREETING_LIMIT, Greeting, PROTOCOL, Refusal, Welcome};

/// The welcome must be exchanged within this time of the handshake.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a refused device may take to read why.
const REFUSAL_LINGER: Duration = Duration::from_secs(1);
/// Longest app version that is shown, in characters.
const MAX_VERSION_CHARS: usize = 32;
/// Opening a stream waits silently while too many are open; this bounds the wait.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Set in [`Link::opened`] once no more streams may be opened.
const RETIRED: u64 = 1 << 63;

/// A welcomed connection to a member, shared by everybody who sends requests through it.
#[derive(Debug)]
pub(crate) struct Link {
    /// The other device.
    pub(crate) device: DeviceId,
    /// The network through which it was made; it serves no other.
    pub(crate) network: NetworkId,
    /// App version it told, cleaned.
    pub(crate) app_version: String,
    /// Number of the run of its program.
    pub(crate) run: u64,
    /// Where it says it can be reached.
    places: Places,
    connection: Connection,
    since: Millis,
    /// Request streams opened by this side, and the [`RETIRED`] bit.
    opened: AtomicU64,
    /// Requests of the other side, not yet answered to their end.
    lending: AtomicUsize,
    /// Requests of this side, likewise.
    borrowing: AtomicUsize,
    ended: Notify,
    retire: CancellationToken,
    revoked: CancellationToken,
    turns: Turns,
}

/// Why no request stream could be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Another connection replaces this one.
    Retired,
    /// The connection is lost.
    Lost,
    /// The other side has too many requests open.
    Full,
}

/// Counts one request as being under way until dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    link: Arc<Link>,
    lent: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.link.under_way(self.lent).fetch_sub(1, Ordering::AcqRel);
        self.link.ended.notify_one();
    }
}

/// What the other side says on the first stream, beside what the link does by itself.
#[derive(Debug)]
pub(crate) enum News {
    /// It asks to replace this connection.
    Retired,
    /// It can be reached elsewhere from now on.
    Moved(Places),
}

/// The first stream of a connection, after the welcome.
pub(crate) struct ControlStream {
    send: SendStream,
    frames: FrameReader,
}

/// What this side says of itself when a connection begins.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    /// The greeting.
    pub(crate) welcome: Welcome,
    /// What follows it.
    pub(crate) introduction: Introduction,
}

impl Ours {
    async fn send(&self, send: &mut SendStream) -> Result<(), WireError> {
        wire::write(send, &Greeting::Welcome(self.welcome.clone()), GREETING_LIMIT).await?;
        wire::write(send, &self.introduction, INTRODUCTION_LIMIT).await
    }

    /// Why `theirs` cannot become a link with us.
    fn objection(&self, theirs: &Welcome) -> Option<(Refusal, CloseCode)> {
        if theirs.protocol != PROTOCOL {
            return Some((Refusal::Version { spoken: PROTOCOL }, CloseCode::Version));
        }
        (theirs.network != self.welcome.network).then_some((Refusal::OtherNetwork, CloseCode::OtherNetwork))
    }
}

impl ControlStream {
    async fn introduction(&mut self, connection: &Connection) -> Result<Introduction, WelcomeError> {
        self.frames.set_limit(INTRODUCTION_LIMIT);
        let outcome = tokio::time::timeout(WELCOME_TIMEOUT, self.frames.next::<Introduction>()).await;
        let introduction = settle(connection, outcome)?;
        self.frames.set_limit(CONTROL_LIMIT);
        Ok(introduction)
    }

    /// Says why, gives the other side a moment to read it, and closes.
    async fn refuse(&mut self, connection: &Connection, refusal: Refusal, code: CloseCode) {
        if wire::write(&mut self.send, &Greeting::Refused(refusal), GREETING_LIMIT).await.is_ok() {
            let _ = self.send.finish();
            let _ = tokio::time::timeout(REFUSAL_LINGER, connection.closed()).await;
        }
        code.close(connection);
    }
}

/// What a newcomer did that no member does, if that is why the exchange failed.
fn fault<T>(outcome: &Result<Result<T, WireError>, Elapsed>) -> Option<Attempt> {
    match outcome {
        Ok(Err(WireError::Broken(_))) => Some(Attempt::Protocol),
        Err(_) => Some(Attempt::Silent),
        _ => None,
    }
}

/// Closes the connection when an exchange failed, and says why.
fn settle<T>(connection: &Connection, outcome: Result<Result<T, WireError>, Elapsed>) -> Result<T, WelcomeError> {
    match outcome {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(WireError::Lost(error))) => Err(refusal_of(&error)),
        Ok(Err(error)) => {
            CloseCode::Protocol.close(connection);
            Err(WelcomeError {
                reason: format!("It does not speak our protocol: {error}."),
                refused: false,
                cause: None,
            })
        }
        Err(_) => {
            CloseCode::TooSlow.close(connection);
            Err(WelcomeError { reason: "It answered, but too slowly.".to_owned(), refused: false, cause: None })
        }
    }
}

/// Why a connection did not become a link, as a sentence about the other device.
#[derive(Debug)]
pub(crate) struct WelcomeError {
    /// The sentence.
    pub(crate) reason: String,
    /// Whether the other side refused on purpose, so that trying again soon is pointless.
    pub(crate) refused: bool,
    /// Why, where it said so.
    pub(crate) cause: Option<ProbeCause>,
}

impl Link {
    /// Dialling side: says who we are, waits for the answer.
    pub(crate) async fn dialled(connection: Connection, ours: Ours) -> Result<(Self, ControlStream), WelcomeError> {
        let exchange = async {
            let (mut send, recv) = connection.open_bi().await.map_err(WireError::from)?;
            ours.send(&mut send).await?;
            let mut frames = FrameReader::new(recv, GREETING_LIMIT);
            let theirs = frames.next::<Greeting>().await?;
            Ok((theirs, ControlStream { send, frames }))
        };
        let outcome = tokio::time::timeout(WELCOME_TIMEOUT, exchange).await;
        let (theirs, mut control) = settle(&connection, outcome)?;
        let welcome = match theirs {
            Greeting::Welcome(welcome) => welcome,
            Greeting::Refused(refusal) => {
                CloseCode::Done.close(&connection);
                let cause = cause_of(refusal);
                return Err(WelcomeError { reason: format!("It refused: {refusal}."), refused: true, cause });
            }
        };
        if let Some((refusal, _)) = ours.objection(&welcome) {
            CloseCode::Protocol.close(&connection);
            let cause = cause_of(refusal);
            return Err(WelcomeError { reason: format!("It does not fit: {refusal}."), refused: true, cause });
        }
        let introduction = control.introduction(&connection).await?;
        Ok((Self::new(connection, welcome, introduction), control))
    }

    /// Accepting side: hears who they are and answers in kind, or refuses with the reason.
    pub(crate) async fn accepted(
        connection: Connection,
        ours: Ours,
        gate: &Gate,
    ) -> Result<(Self, ControlStream), WelcomeError> {
        let device = DeviceId::from(connection.remote_id());
        let exchange = async {
            let (send, recv) = connection.accept_bi().await.map_err(WireError::from)?;
            let mut frames = FrameReader::new(recv, GREETING_LIMIT);
            let theirs = frames.next::<Greeting>().await?;
            Ok((theirs, ControlStream { send, frames }))
        };
        let outcome = tokio::time::timeout(WELCOME_TIMEOUT, exchange).await;
        if let Some(attempt) = fault(&outcome) {
            gate.refused(device, attempt);
        }
        let (theirs, mut control) = settle(&connection, outcome)?;
        let Greeting::Welcome(welcome) = theirs else {
            CloseCode::Protocol.close(&connection);
            return Err(WelcomeError {
                reason: "It refused the connection that it made.".to_owned(),
                refused: true,
                cause: None,
            });
        };
        if let Some((refusal, code)) = ours.objection(&welcome) {
            if refusal == Refusal::OtherNetwork {
                gate.refused(device, Attempt::OtherNetwork);
            }
            control.refuse(&connection, refusal, code).await;
            return Err(WelcomeError { reason: format!("Refused: {refusal}."), refused: true, cause: None });
        }
        let introduction = control.introduction(&connection).await?;
        let answered = tokio::time::timeout(WELCOME_TIMEOUT, ours.send(&mut control.send)).await;
        settle(&connection, answered)?;
        Ok((Self::new(connection, welcome, introduction), control))
    }

    fn new(connection: Connection, welcome: Welcome, introduction: Introduction) -> Self {
        Self {
            device: DeviceId::from(connection.remote_id()),
            network: welcome.network,
            app_version: clean_text(&welcome.app_version, MAX_VERSION_CHARS),
            run: introduction.run,
            places: introduction.places.checked(),
            connection,
            since: now_ms(),
            opened: AtomicU64::new(0),
            lending: AtomicUsize::new(0),
            borrowing: AtomicUsize::new(0),
            ended: Notify::new(),
            retire: CancellationToken::new(),
            revoked: CancellationToken::new(),
            turns: Turns::new(),
        }
    }

    /// Tells this connection from others of this process.
    pub(crate) fn id(&self) -> usize {
        self.connection.stable_id()
    }

    /// Whether no new requests go through it.
    pub(crate) fn is_retired(&self) -> bool {
        self.opened.load(Ordering::Acquire) & RETIRED != 0
    }

    /// Asks the other side to agree on replacing this connection; see the module's head.
    pub(crate) fn retire(&self) {
        self.opened.fetch_or(RETIRED, Ordering::AcqRel);
        self.retire.cancel();
    }

    /// Cuts every request of the other side at once and lets no new one in.
    pub(crate) fn revoke(&self) {
        self.revoked.cancel();
    }

    /// Whether the other side has closed it because this device is no member any more.
    pub(crate) fn was_removed(&self) -> bool {
        self.connection.close_reason().as_ref().and_then(CloseCode::of) == Some(CloseCode::Removed)
    }

    /// Closes it at once, whatever is under way.
    pub(crate) fn close(&self, code: CloseCode) {
        self.opened.fetch_or(RETIRED, Ordering::AcqRel);
        code.close(&self.connection);
    }

    /// The path that data takes now and its round-trip time in milliseconds.
    pub(crate) fn path(&self) -> (PathKind, f64) {
        let (path, rtt_ms, _) = self.chosen();
        (path, rtt_ms)
    }

    /// The relay that data takes now.
    pub(crate) fn relay(&self) -> Option<RelayUrl> {
        if let (PathKind::Relay, _, Some(TransportAddr::Relay(url))) = self.chosen() { Some(url) } else { None }
    }

    fn chosen(&self) -> (PathKind, f64, Option<TransportAddr>) {
        let paths = self.connection.paths();
        let chosen = paths.iter().find(iroh::endpoint::Path::is_selected).or_else(|| paths.iter().next());
        chosen.map_or((PathKind::Direct, 0.0, None), |path| {
            let kind = if path.is_relay() { PathKind::Relay } else { PathKind::Direct };
            (kind, path.rtt().as_secs_f64() * 1000.0, Some(path.remote_addr().clone()))
        })
    }

    /// What flows through it, for screens.
    pub(crate) fn info(&self) -> ConnectionInfo {
        let (path, rtt_ms, address) = self.chosen();
        let stats = self.connection.stats();
        let count = |counter: &AtomicUsize| u32::try_from(counter.load(Ordering::Acquire)).unwrap_or(u32::MAX);
        ConnectionInfo {
            device_id: self.device,
            path,
            address: match address {
                Some(TransportAddr::Ip(addr)) => addr.to_string(),
                Some(TransportAddr::Relay(url)) => url.to_string(),
                _ => String::new(),
            },
            rtt_ms,
            since: self.since,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            lending: count(&self.lending),
            borrowing: count(&self.borrowing),
        }
    }

    /// Where the other side is: what it told, and the address it is reached at now.
    pub(crate) fn current_places(&self) -> Places {
        let paths = self.connection.paths();
        let selected = paths.iter().find(iroh::endpoint::Path::is_selected).map(|path| path.remote_addr().clone());
        self.places.merged(&Places::of(selected))
    }

    /// Opens a stream for one request.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<(SendStream, RecvStream, InFlight), OpenError> {
        let reserved = self
            .opened
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |opened| (opened & RETIRED == 0).then_some(opened + 1));
        if reserved.is_err() {
            return Err(OpenError::Retired);
        }
        let held = self.begin(false);
        match tokio::time::timeout(OPEN_TIMEOUT, self.connection.open_bi()).await {
            Ok(Ok((send, recv))) => Ok((send, recv, held)),
            Ok(Err(_)) => Err(OpenError::Lost),
            Err(_) => Err(OpenError::Full),
        }
    }

    fn begin(self: &Arc<Self>, lent: bool) -> InFlight {
        self.under_way(lent).fetch_add(1, Ordering::AcqRel);
        InFlight { link: self.clone(), lent }
    }

    fn under_way(&self, lent: bool) -> &AtomicUsize {
        if lent { &self.lending } else { &self.borrowing }
    }

    fn is_idle(&self) -> bool {
        self.lending.load(Ordering::Acquire) == 0 && self.borrowing.load(Ordering::Acquire) == 0
    }

    /// Serves the other side's requests until the connection ends, tells it each new value of `own`, and hands on what
    /// it tells. Returns why it ended.
    pub(crate) async fn run(
        self: Arc<Self>,
        control: ControlStream,
        gate: Gate,
        mut own: watch::Receiver<Places>,
        tell: impl Fn(News) + Send,
    ) -> ConnectionError {
        let ControlStream { mut send, mut frames } = control;
        let mut serving = JoinSet::new();
        let mut pulse = Pulse::new();
        let mut served: u64 = 0;
        // How many requests the other side began on this connection, once it has agreed to begin no more.
        let mut agreed: Option<u64> = None;
        let mut asked = false;
        // Shared by the requests being served; those that come after a loss are told of the next.
        let mut loss = LinkLoss::default();
        loop {
            if agreed.is_some_and(|begun| served >= begun) && self.is_idle() {
                CloseCode::Replaced.close(&self.connection);
            }
            tokio::select! {
                biased;
                reason = self.connection.closed() => {
                    if http::is_loss(&reason) {
                        loss.note();
                    }
                    return reason;
                }
                frame = frames.next::<Control>() => match frame {
                    Ok(Control::Retire) => {
                        let opened = self.opened.fetch_or(RETIRED, Ordering::AcqRel) & !RETIRED;
                        tell(News::Retired);
                        // A failure shows as a lost connection in the next turn.
                        let _ = wire::write(&mut send, &Control::Retired { opened }, CONTROL_LIMIT).await;
                    }
                    Ok(Control::Retired { opened }) => agreed = Some(opened),
                    Ok(Control::Moved { places }) => tell(News::Moved(places.checked())),
                    Err(WireError::Lost(error)) => return error,
                    Err(error) => {
                        tracing::debug!(device = %self.device.short(), %error, "closed a connection that broke the protocol");
                        gate.refused(self.device, Attempt::Protocol);
                        CloseCode::Protocol.close(&self.connection);
                        return self.connection.closed().await;
                    }
                },
                () = self.retire.cancelled(), if !asked => {
                    asked = true;
                    let _ = wire::write(&mut send, &Control::Retire, CONTROL_LIMIT).await;
                }
                Ok(()) = own.changed() => {
                    let places = own.borrow_and_update().clone();
                    let _ = wire::write(&mut send, &Control::Moved { places }, CONTROL_LIMIT).await;
                }
                Some(_) = serving.join_next(), if !serving.is_empty() => {
                    if !self.revoked.is_cancelled() && let Some(code) = gate.expels(self.network, self.device) {
                        code.close(&self.connection);
                    }
                }
                () = self.ended.notified() => {}
                () = pulse.beat(), if !serving.is_empty() => if let Some(gone) = pulse.look(&self.connection) {
                    tracing::info!(device = %self.device.short(), ?gone, "a device that asked is gone; its requests end here");
                    if gone == Gone::Silent {
                        std::mem::take(&mut loss).note();
                    }
                    serving.abort_all();
                },
                // The other side's pulse.
                Ok(_) = self.connection.read_datagram() => {}
                stream = self.connection.accept_bi() => if let Ok((send, recv)) = stream {
                    served += 1;
                    if serving.is_empty() {
                        pulse.begin();
                    }
                    // Counted before the task first runs, or the connection could be closed in between.
                    let held = self.begin(true);
                    serving.spawn(self.clone().serve_one(gate.clone(), send, recv, loss.clone(), held));
                },
            }
        }
    }

    async fn serve_one(
        self: Arc<Self>,
        gate: Gate,
        mut send: SendStream,
        recv: RecvStream,
        loss: LinkLoss,
        _held: InFlight,
    ) {
        if self.revoked.is_cancelled() {
            // Dropped alone it would look like an empty answer.
            let _ = send.reset(CloseCode::Removed.code());
            return;
        }
        let service = gate.for_member(self.network, self.device, self.turns.clone(), loss.clone());
        tokio::select! {
            biased;
            () = self.revoked.cancelled() => {}
            () = http::serve(send, recv, &loss, service) => {}
        }
    }
}

/// A connection that ended before it was welcomed.
pub(crate) fn refusal_of(error: &ConnectionError) -> WelcomeError {
    use CloseCode::{Busy, Left, NotMember, OtherNetwork, Removed, Shutdown, Version};
    let code = CloseCode::of(error);
    let refused = matches!(code, Some(Busy | Left | NotMember | OtherNetwork | Removed | Shutdown | Version));
    let cause = match code {
        Some(NotMember | Removed) => Some(ProbeCause::NotAdmitted),
        Some(OtherNetwork | Left) => Some(ProbeCause::WrongNetwork),
        Some(Version) => Some(ProbeCause::VersionMismatch),
        _ => None,
    };
    WelcomeError { reason: close::sentence(error), refused, cause }
}

fn cause_of(refusal: Refusal) -> Option<ProbeCause> {
    match refusal {
        Refusal::NotMember | Refusal::Removed => Some(ProbeCause::NotAdmitted),
        Refusal::OtherNetwork => Some(ProbeCause::WrongNetwork),
        Refusal::Version { .. } => Some(ProbeCause::VersionMismatch),
        Refusal::Busy => None,
    }
}
