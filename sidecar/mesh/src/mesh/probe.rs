//! [`Mesh`]: who is near, what flows, and how far another device can be reached.
//!
//! A probe goes stage by stage, as a person would who looks for the fault: is there anything to try, does anybody answer,
//! is the path direct, does the other side let this device in. Each failure has a cause for programs, and a fix.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use iroh::endpoint::Connection;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{JoinProgress, Mesh};
use crate::actor::{MemberCommand, NetworkCommand};
use crate::api::{ConnectionInfo, LinkState, PathKind, ProbeCause, ProbeCheck, ProbeReport, RelayState};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::close::CloseCode;
use crate::net::hello::Places;
use crate::net::join::Target;
use crate::net::link::WelcomeError;
use crate::net::links;
use crate::net::sync::{PING, TIME};
use crate::net::wire::{self, FrameReader};
use crate::proto::code::{Commitment, Nonce};
use crate::proto::ids::DeviceId;
use crate::proto::invite::Invite;
use crate::proto::knock::message::{HELLO_LIMIT, HOST_LIMIT};
use crate::proto::knock::{DenyKind, GuestFrame, Hello, HostFrame, KNOCK_ALPN};

/// A device of an invite has this long to answer, and again this long to speak.
const ANSWER: Duration = Duration::from_secs(4);
/// A relayed connection has this long to find a direct path.
const UPGRADE: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Clocks that differ by more than this are worth saying.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// No version of the knock protocol.
const NO_PROTOCOL: u16 = 0;
const CHECK_UDP: &str =
    "Check that it is on and runs the app, and that firewalls let UDP pass between the two devices.";

impl Mesh {
    /// What flows between this device and each linked member, now.
    #[expect(clippy::unused_async, reason = "what a caller awaits may become a question to an actor")]
    pub async fn connections(&self) -> Vec<ConnectionInfo> {
        let table = self.inner.links.table();
        let table = table.borrow();
        table.values().filter_map(|view| view.link.as_ref()).map(|link| link.info()).collect()
    }

    /// Knocks at the network that a nearby device announces. The steps end with `Joined` or `Failed`.
    pub async fn join_nearby(&self, device: DeviceId) -> Result<JoinProgress, MeshError> {
        let found = self.inner.reach.nearby();
        let gone =
            || MeshError::Unreachable("That device is not seen on the local network any more. Look again.".into());
        let seen = found.get(&device).ok_or_else(gone)?;
        let announced = seen.announcement.as_ref().and_then(|announcement| announcement.network.clone());
        let (network, name) = announced.ok_or_else(|| {
            MeshError::NotAllowed("That device announces no network. Ask its owner for an invite.".to_owned())
        })?;
        let target = Box::new(Target::Nearby { device, places: seen.places.clone(), network, name });
        self.ask(|reply| NetworkCommand::Join { target, reply }).await
    }

    /// Checks how far a member can be reached, stage by stage. Takes at most about ten seconds.
    pub async fn probe(&self, device: DeviceId) -> ProbeReport {
        if !self.inner.roster.borrow().members.contains_key(&device) {
            let fix = "Name a member of the active network; `myownmesh devices` shows them.";
            return only_found(failed("It is not another member of the active network.", fix, ProbeCause::Unknown));
        }
        let found = match self.is_known(device).await {
            Ok(found) => found,
            Err(check) => return only_found(check),
        };
        let began = now_ms();
        let ping = Request::get(PING).body(Body::empty()).unwrap_or_default();
        let answer = self.request(device, ping).await;
        let ended = now_ms();
        let view = self.inner.links.table().borrow().get(&device).cloned();
        let (state, cause) = view.map_or((None, None), |view| (Some(view.state), view.cause));
        match (answer, state) {
            (Ok(answer), Some(LinkState::Online { path, rtt_ms, .. })) => {
                let theirs = answer.headers().get(TIME).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
                let ahead = theirs.map(|theirs| theirs.saturating_sub(began.midpoint(ended)));
                ProbeReport {
                    found,
                    reachable: Some(passed(format!("It answers in {rtt_ms:.1} ms."))),
                    direct: Some(directness(path)),
                    admitted: Some(admission(answer.status().is_success(), ahead)),
                }
            }
            (Ok(_), _) => {
                let fix = "Try again.";
                let lost = failed("It answered, and the link was lost right after.", fix, ProbeCause::NoRoute);
                ProbeReport { found, reachable: Some(lost), direct: None, admitted: None }
            }
            (Err(error), state) => {
                let reason = match state {
                    Some(state) if !state.is_online() => state.reason(),
                    _ => error.to_string(),
                };
                self.unreachable_report(found, reason, cause)
            }
        }
    }

    /// Whether there is anything to try for `device`.
    async fn is_known(&self, device: DeviceId) -> Result<ProbeCheck, ProbeCheck> {
        let linked = self.inner.links.table().borrow().get(&device).is_some_and(|view| view.link.is_some());
        let ways = self.inner.reach.ways();
        if linked || self.ask(|reply| MemberCommand::Places { device, reply }).await.is_ok_and(|known| known) {
            return Ok(passed("Its address is known."));
        }
        if self.inner.reach.nearby().contains_key(&device) {
            return Ok(passed("It is on this local network."));
        }
        if !ways.relays.is_empty() || ways.can_look_up() {
            return Ok(passed("No address of it is known; it is looked for by the network's servers."));
        }
        let fault = self.inner.reach.picture().borrow().mdns_fault.clone();
        Err(match fault {
            Some(fault) => failed(fault, MULTICAST_FIX, ProbeCause::MulticastMissing),
            None => failed(
                "No address of it is known here.",
                "Start it: it knows where this device is and will connect. Or put both on one local network.",
                ProbeCause::Unknown,
            ),
        })
    }

    /// Nobody answered, or whoever did refused.
    fn unreachable_report(&self, found: ProbeCheck, reason: String, cause: Option<ProbeCause>) -> ProbeReport {
        let (fix, cause) = match cause {
            Some(cause @ ProbeCause::NotAdmitted) => {
                ("Ask for an invite and knock again; somebody removed this device there.", cause)
            }
            Some(cause @ ProbeCause::WrongNetwork) => ("Switch to the same network on both devices.", cause),
            Some(cause @ ProbeCause::VersionMismatch) => ("Update the older of the two apps.", cause),
            _ => {
                let reachable = self.no_route(reason);
                return ProbeReport { found, reachable: Some(reachable), direct: None, admitted: None };
            }
        };
        let admitted = Some(failed(reason, fix, cause));
        ProbeReport { found, reachable: Some(passed("It answers.")), direct: None, admitted }
    }

    fn no_route(&self, reason: String) -> ProbeCheck {
        let picture = self.inner.reach.picture().borrow().clone();
        if let Some(fault) = &picture.mdns_fault {
            return failed(format!("{reason} {fault}"), MULTICAST_FIX, ProbeCause::MulticastMissing);
        }
        let relays = &picture.relays;
        match relays.iter().find(|relay| relay.state == RelayState::Failed) {
            Some(relay) if relays.iter().all(|relay| relay.state == RelayState::Failed) => failed(
                format!("{reason} The relay {} cannot be used either. {}", relay.url, relay.reason),
                "Start or replace the relay, or bring both devices to one local network.",
                ProbeCause::RelayRefused,
            ),
            _ => failed(reason, CHECK_UDP, ProbeCause::NoRoute),
        }
    }

    /// Checks how far the network of an invite can be reached, before joining. Does not knock.
    pub async fn probe_invite(&self, invite: &Invite) -> ProbeReport {
        let target = Target::Invite(Box::new(invite.clone()));
        if let Err(error) = target.check_current() {
            return only_found(failed(error.to_string(), "Ask for a new invite.", ProbeCause::InviteExpired));
        }
        let doors = target.doors();
        if doors.iter().all(|(device, _)| *device == self.inner.device_id) {
            let fix = "Open it on the device that should join.";
            return only_found(failed("This invite was made on this very device.", fix, ProbeCause::Unknown));
        }
        let found = passed(match doors.len() {
            1 => "The invite says where its device is.".to_owned(),
            several => format!("The invite says where {several} devices of the network are."),
        });
        // Whoever looks at an invite wants its relays used, as when joining by it.
        let _permit = self.inner.reach.permit(doors.iter().filter_map(|(_, places)| places.relay()));
        let connection = match self.first_answer(doors).await {
            Ok(connection) => connection,
            Err(WelcomeError { reason, cause, .. }) => return self.unreachable_report(found, reason, cause),
        };
        let admitted = self.would_hear(&connection, invite).await;
        let path = settled_path(&connection).await;
        CloseCode::Done.close(&connection);
        ProbeReport {
            found,
            reachable: Some(passed("It answers.")),
            direct: Some(directness(path)),
            admitted: Some(admitted),
        }
    }

    /// Connects to whichever device of an invite answers first.
    async fn first_answer(&self, doors: Vec<(DeviceId, Places)>) -> Result<Connection, WelcomeError> {
        let nobody = || WelcomeError { reason: "Nobody answers.".to_owned(), refused: false, cause: None };
        let endpoint = self.inner.reach.endpoint().ok_or_else(nobody)?;
        let mut dials = JoinSet::new();
        for (device, places) in doors.into_iter().filter(|(device, _)| *device != self.inner.device_id) {
            let endpoint = endpoint.clone();
            dials.spawn(async move { links::connect(&endpoint, device, &places, KNOCK_ALPN, ANSWER).await });
        }
        let mut why = None;
        while let Some(dialled) = dials.join_next().await {
            match dialled {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => drop(why.get_or_insert(error)),
                Err(error) => tracing::error!(%error, "a dial failed"),
            }
        }
        Err(why.unwrap_or_else(nobody))
    }

    /// Says hello in a version that nobody speaks: the other side first says whether the network is active, then that it
    /// does not understand, and neither shows nor counts a knock.
    async fn would_hear(&self, connection: &Connection, invite: &Invite) -> ProbeCheck {
        let snapshot = self.snapshot();
        let network = invite.payload().network;
        if snapshot.networks.iter().any(|saved| saved.id == network && saved.role.is_some()) {
            return passed("This device is already a member.");
        }
        let hello = Hello {
            protocol: NO_PROTOCOL,
            app_version: String::new(),
            network,
            device_name: snapshot.device_name.to_string(),
            os: String::new(),
            commitment: Commitment::to(network, self.inner.device_id, &Nonce(rand::random())),
            invite: None,
            addresses: Vec::new(),
        };
        let exchange = async {
            let (mut send, recv) = connection.open_bi().await.ok()?;
            wire::write(&mut send, &GuestFrame::Hello(hello), HELLO_LIMIT).await.ok()?;
            FrameReader::new(recv, HOST_LIMIT).next::<HostFrame>().await.ok()
        };
        let answer = tokio::time::timeout(ANSWER, exchange).await.ok().flatten();
        let elsewhere = |what: &str| {
            let fix = "Ask its owner to switch to the network of the invite, or for a new invite.";
            failed(what, fix, ProbeCause::WrongNetwork)
        };
        match answer {
            Some(HostFrame::Denied { kind: DenyKind::Version, .. }) => passed("The network is active there: knock."),
            Some(HostFrame::Denied { kind: DenyKind::WrongNetwork, .. }) => {
                elsewhere("Another network is active there.")
            }
            Some(HostFrame::Busy { retry_after_ms }) => {
                let fix = format!("Wait {} s, then knock.", retry_after_ms.div_ceil(1_000));
                failed("It takes no more knocks of this device for now.", &fix, ProbeCause::NotAdmitted)
            }
            Some(_) => failed(
                "It does not understand this version of the app.",
                "Update the older of the two apps.",
                ProbeCause::VersionMismatch,
            ),
            None => match connection.close_reason().as_ref().and_then(CloseCode::of) {
                Some(CloseCode::OtherNetwork) => elsewhere("No network is active there now."),
                _ => failed("It answered, and then fell silent.", "Try again.", ProbeCause::NoRoute),
            },
        }
    }
}

const MULTICAST_FIX: &str = "Connect to a network, or add a multicast route (`ip route add 224.0.0.0/4 dev NAME`).";

/// The path of a fresh connection, once it had time to leave the relay.
async fn settled_path(connection: &Connection) -> PathKind {
    let until = Instant::now() + UPGRADE;
    loop {
        let direct = connection.paths().iter().any(|path| path.is_selected() && !path.is_relay());
        if direct || Instant::now() >= until {
            return if direct { PathKind::Direct } else { PathKind::Relay };
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn directness(path: PathKind) -> ProbeCheck {
    match path {
        PathKind::Direct => passed("The path is direct."),
        PathKind::Relay => failed(
            "The path goes through a relay: slower, still end-to-end encrypted.",
            "Put both devices on one network, or let UDP through the firewalls.",
            ProbeCause::Relayed,
        ),
    }
}

/// Whether it lets this device in, and by how many milliseconds its clock is ahead.
fn admission(admitted: bool, ahead: Option<i64>) -> ProbeCheck {
    if !admitted {
        return failed(
            "It does not count this device as a member.",
            "Knock again with a new invite.",
            ProbeCause::NotAdmitted,
        );
    }
    match ahead {
        Some(ahead) if ahead.unsigned_abs() > CLOCK_TOLERANCE_MS => {
            let direction = if ahead > 0 { "ahead of" } else { "behind" };
            let apart = in_words(ahead.unsigned_abs() / 1_000);
            failed(
                format!("It counts this device as a member, but its clock is {apart} {direction} this one."),
                "Set the clock of both devices by the network's time; decisions of the later one would win.",
                ProbeCause::ClockOff,
            )
        }
        _ => passed("It counts this device as a member."),
    }
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

fn only_found(found: ProbeCheck) -> ProbeReport {
    ProbeReport { found, reachable: None, direct: None, admitted: None }
}

fn passed(detail: impl Into<String>) -> ProbeCheck {
    ProbeCheck { ok: true, detail: detail.into(), fix: None, cause: None }
}

fn failed(detail: impl Into<String>, fix: &str, cause: ProbeCause) -> ProbeCheck {
    ProbeCheck { ok: false, detail: detail.into(), fix: Some(fix.to_owned()), cause: Some(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_worth_saying_after_a_minute() {
        assert_eq!(admission(true, None).cause, None);
        assert_eq!(admission(true, Some(-60_000)).cause, None);
        let late = admission(true, Some(-600_000));
        assert_eq!(late.cause, Some(ProbeCause::ClockOff));
        assert!(late.detail.contains("10 min behind"), "{}", late.detail);
        assert!(admission(true, Some(7_200_000)).detail.contains("2 h ahead of"));
        assert_eq!(admission(false, Some(i64::MIN)).cause, Some(ProbeCause::NotAdmitted));
        assert_eq!(admission(true, Some(i64::MIN)).cause, Some(ProbeCause::ClockOff));
    }
}
