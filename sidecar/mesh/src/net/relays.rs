//! The relays of the active network, put in and taken out while everything runs, and what can truthfully be said of
//! each.
//!
//! iroh keeps a connection to one relay, the *home relay*, picked by how fast each answers; the others stand by. It
//! looks again only every 25 seconds or so, so this file asks it to as soon as the home relay is lost, and tries the
//! others itself to say more than "unknown". A relay that is struck is cut off by the [`Outlet`]; where others take its
//! place it is kept for [`GRACE`], so that every member has heard of the others before links move over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::RelayStatus;
use iroh::{Endpoint, RelayConfig, RelayUrl};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::outlet::{Outlet, target_of};
use crate::api::{RelayInfo, RelayState};

/// How long a relay that was replaced by another one is still used.
const GRACE: Duration = Duration::from_secs(3);
/// How long a relay may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// How often relays that this device is not connected to are tried: while none is connected, and otherwise.
const CHECK_SOON: Duration = Duration::from_secs(3);
const CHECK_LATER: Duration = Duration::from_secs(30);
/// A server that answers for this long without becoming the home relay is none.
const NO_RELAY_AFTER: Duration = Duration::from_secs(12);
/// Stands in for the last relay while that is taken out: iroh lets go of its home relay only when it has another one to
/// try. The outlet never lets it through, and the name exists nowhere.
const NONE: &str = "http://none.invalid";
/// How long it stands in at most.
const NONE_FOR: Duration = Duration::from_secs(10);

/// What was found when a relay was tried.
#[derive(Debug, Clone)]
enum Found {
    /// It takes connections, since then.
    Answers(Instant),
    /// It does not, because.
    Silent(String),
}

/// See the module's head.
pub(crate) struct Relays {
    endpoint: Endpoint,
    outlet: Outlet,
    /// Of this device's own options.
    own: Option<RelayUrl>,
    /// All that should be used, the own one last.
    wanted: Vec<RelayUrl>,
    /// Struck, and used until then.
    leaving: BTreeMap<RelayUrl, Instant>,
    /// The lookup server, which passes the same outlet.
    lookup: Option<RelayUrl>,
    /// The one iroh has chosen, and how it is.
    home: Vec<RelayStatus>,
    /// What was found of the others.
    found: BTreeMap<RelayUrl, Found>,
    checks: JoinSet<(RelayUrl, Result<(), String>)>,
    next_check: Instant,
    /// Since when [`NONE`] stands in.
    stand_in: Option<Instant>,
}

impl Relays {
    /// With no relays yet.
    pub(crate) fn new(endpoint: Endpoint, outlet: Outlet, own: Option<RelayUrl>) -> Self {
        Self {
            endpoint,
            outlet,
            own,
            wanted: Vec::new(),
            leaving: BTreeMap::new(),
            lookup: None,
            home: Vec::new(),
            found: BTreeMap::new(),
            checks: JoinSet::new(),
            next_check: Instant::now(),
            stand_in: None,
        }
    }

    /// Uses exactly these from now on, and this lookup server; `gently` lets links move over from a relay that is
    /// replaced.
    pub(crate) async fn apply(&mut self, wanted: Vec<RelayUrl>, lookup: Option<RelayUrl>, gently: bool) {
        let now = Instant::now();
        let before = std::mem::replace(&mut self.wanted, wanted);
        self.lookup = lookup;
        for url in &self.wanted {
            self.leaving.remove(url);
        }
        let struck = before.into_iter().filter(|url| !self.wanted.contains(url));
        if gently && !self.wanted.is_empty() {
            self.leaving.extend(struck.map(|url| (url, now + GRACE)));
        } else {
            let leaving = std::mem::take(&mut self.leaving).into_keys();
            let struck: Vec<RelayUrl> = struck.chain(leaving).collect();
            self.remove(struck).await;
        }
        self.open_outlet();
        for url in self.wanted.clone() {
            self.insert(&url).await;
        }
        self.found.retain(|url, _| self.wanted.contains(url));
        self.next_check = now;
    }

    /// Relays that a device may be reached through, most preferred first.
    pub(crate) fn usable(&self) -> Vec<RelayUrl> {
        self.wanted.clone()
    }

    /// iroh has chosen another home relay, or that one has changed.
    pub(crate) fn home_changed(&mut self, home: Vec<RelayStatus>) {
        self.home = home;
        if !self.is_connected() {
            self.next_check = Instant::now();
        }
    }

    /// Relays that are struck and still carry what goes through them.
    pub(crate) fn leaving(&self) -> Vec<RelayUrl> {
        self.leaving.keys().cloned().collect()
    }

    /// Does what is due; tells whether a relay was cut off.
    pub(crate) async fn tick(&mut self) -> bool {
        let now = Instant::now();
        let due: Vec<RelayUrl> =
            self.leaving.iter().filter(|(_, until)| **until <= now).map(|(url, _)| url.clone()).collect();
        let cut = !due.is_empty();
        if cut {
            self.leaving.retain(|url, _| !due.contains(url));
            self.remove(due).await;
            self.open_outlet();
        }
        if self.stand_in.is_some_and(|since| self.home.is_empty() || since + NONE_FOR <= now) {
            self.end_stand_in().await;
        }
        if self.next_check <= now && self.checks.is_empty() {
            self.check();
        }
        cut
    }

    /// Waits for what a check found; for ever while none runs.
    pub(crate) async fn checked(&mut self) {
        match self.checks.join_next().await {
            Some(Ok((url, result))) => self.note(url, result).await,
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// What can be said of each.
    pub(crate) fn info(&self) -> Vec<RelayInfo> {
        let info = |url: &RelayUrl| {
            let (state, reason) = self.state_of(url);
            RelayInfo { url: url.to_string(), own: self.own.as_ref() == Some(url), state, reason }
        };
        self.wanted.iter().map(info).collect()
    }

    fn state_of(&self, url: &RelayUrl) -> (RelayState, String) {
        let silent = |cause: &str| {
            let reason = format!("It does not answer ({cause}). Check that it runs and that its address is right.");
            (RelayState::Failed, reason)
        };
        if let Some(home) = self.home.iter().find(|home| home.url() == url) {
            if home.is_connected() {
                return (RelayState::Connected, "Connected: other devices can reach this one through it.".to_owned());
            }
            if let Some(reason) = home.auth_denied_reason() {
                let reason = crate::proto::name::clean_text(reason, 120);
                let reason = format!("It refuses this device ({reason}). Ask whoever runs it to let this device in.");
                return (RelayState::Failed, reason);
            }
            if let Some(Found::Silent(cause)) = self.found.get(url) {
                return silent(cause);
            }
            if home.last_error().is_some() {
                return silent("the connection was lost");
            }
            return (RelayState::Connecting, "Connecting to it.".to_owned());
        }
        match self.found.get(url) {
            Some(Found::Silent(cause)) => silent(cause),
            Some(Found::Answers(_)) if self.is_connected() => {
                (RelayState::Standby, "It answers, and stands by while another relay is used.".to_owned())
            }
            Some(Found::Answers(since)) if since.elapsed() > NO_RELAY_AFTER => {
                let reason = "Something answers there, but not as a relay. Check the address.".to_owned();
                (RelayState::Failed, reason)
            }
            _ => (RelayState::Connecting, "Trying it.".to_owned()),
        }
    }

    fn is_connected(&self) -> bool {
        self.home.iter().any(|home| home.is_connected() && self.wanted.contains(home.url()))
    }

    fn open_outlet(&self) {
        self.outlet.set(self.wanted.iter().chain(self.leaving.keys()).chain(&self.lookup).cloned());
    }

    async fn insert(&self, url: &RelayUrl) {
        // Plain http means a relay without certificates, and so without QUIC address discovery.
        let config =
            if url.scheme() == "https" { RelayConfig::from(url.clone()) } else { RelayConfig::new(url.clone(), None) };
        self.endpoint.insert_relay(url.clone(), Arc::new(config)).await;
    }

    async fn remove(&mut self, urls: Vec<RelayUrl>) {
        if urls.is_empty() {
            return;
        }
        if self.wanted.is_empty()
            && self.leaving.is_empty()
            && let Ok(none) = NONE.parse::<RelayUrl>()
        {
            self.stand_in = Some(Instant::now());
            self.insert(&none).await;
        }
        for url in urls {
            self.endpoint.remove_relay(&url).await;
        }
    }

    async fn end_stand_in(&mut self) {
        self.stand_in = None;
        if let Ok(none) = NONE.parse::<RelayUrl>() {
            self.endpoint.remove_relay(&none).await;
        }
    }

    /// Tries every relay that this device is not connected to.
    fn check(&mut self) {
        let connected = self.is_connected();
        self.next_check = Instant::now() + if connected { CHECK_LATER } else { CHECK_SOON };
        let home = |url: &&RelayUrl| self.home.iter().any(|home| home.url() == *url && home.is_connected());
        for url in self.wanted.iter().filter(|url| !home(url)) {
            let url = url.clone();
            self.checks.spawn(async move {
                let answer = answers(&url).await;
                (url, answer)
            });
        }
    }

    async fn note(&mut self, url: RelayUrl, result: Result<(), String>) {
        if !self.wanted.contains(&url) {
            return;
        }
        let answers = result.is_ok();
        let since = match self.found.get(&url) {
            Some(Found::Answers(since)) => *since,
            _ => Instant::now(),
        };
        self.found.insert(url.clone(), result.map_or_else(Found::Silent, |()| Found::Answers(since)));
        if answers && !self.is_connected() && !self.home.iter().any(|home| home.url() == &url) {
            // Putting it in again makes iroh measure all of them now.
            self.insert(&url).await;
        }
    }
}

/// Whether a server takes connections, or why not.
async fn answers(url: &RelayUrl) -> Result<(), String> {
    let (host, port) = target_of(url).ok_or_else(|| "its address has no host".to_owned())?;
    match tokio::time::timeout(CHECK_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err("nothing runs there".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it stays silent".to_owned()),
    }
}
