//! The links to the members of the active network: dialled, accepted, replaced, given up and tried again.
//!
//! One actor owns every link. It follows the roster (who should be linked) and publishes a [`LinkTable`] by a `watch`
//! channel: the mesh's actor makes presence of it, and requests take their connection from it without asking anybody.
//! A watch channel, not events: whoever reads late sees the present, and nobody can block the actor.
//!
//! - `dial`: the ladder by which a member is reached again
//! - `news`: what is heard of where devices are, this one included
//! - `wake`: notices that this device slept

mod dial;
mod news;
mod wake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use iroh::Endpoint;
use iroh::endpoint::{Connection, ConnectionError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::dial::connect;
use self::dial::{Attempt, backoff};
use self::wake::Wake;
use super::close::CloseCode;
use super::endpoint;
use super::hello::{Introduction, Places};
use super::link::{self, ControlStream, Link, News, Ours, WelcomeError};
use super::reach::Ways;
use super::serve::Gate;
use super::sync;
use crate::api::{LinkState, ProbeCause};
use crate::clock::now_ms;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::name::DeviceName;
use crate::proto::welcome::{PROTOCOL, Welcome};
use crate::roster::RosterWatch;

/// A removed device may be told so for this long before its connection is closed.
const FAREWELL: Duration = Duration::from_millis(500);
/// After this many failures a device counts as away; it is tried on.
const AWAY_AFTER: u32 = 2;
/// How often paths are looked at.
const PATH_TICK: Duration = Duration::from_secs(2);
/// Most connections of one device at once, replaced ones included.
const MAX_PER_DEVICE: usize = 4;
/// Commands that may wait.
const INBOX: usize = 256;

/// Every member of the active network but this device.
pub(crate) type LinkTable = BTreeMap<DeviceId, LinkView>;

/// How one member is reached.
#[derive(Clone, Debug)]
pub(crate) struct LinkView {
    /// For people.
    pub(crate) state: LinkState,
    /// For requests.
    pub(crate) link: Option<Arc<Link>>,
    /// How many connections there are, those being replaced included.
    pub(crate) connections: usize,
    /// Why the other side refused, if that is why there is no link.
    pub(crate) cause: Option<ProbeCause>,
}

/// Handle to the actor.
#[derive(Clone)]
pub(crate) struct Links {
    inbox: mpsc::Sender<Command>,
    table: watch::Receiver<Arc<LinkTable>>,
}

/// What the actor is given once.
pub(crate) struct Setup {
    pub(crate) endpoint: Endpoint,
    pub(crate) roster: RosterWatch,
    pub(crate) gate: Gate,
    pub(crate) name: DeviceName,
    pub(crate) app_version: String,
    /// How members may be reached now.
    pub(crate) ways: watch::Receiver<Ways>,
    pub(crate) stop: CancellationToken,
}

enum Command {
    Incoming(Connection),
    Learn(DeviceId, Places),
    Nearby(DeviceId, Places),
    Told(DeviceId, Places),
    Moved,
    Hurry(DeviceId),
    Named(DeviceName),
    Farewell(DeviceId, Bytes, Arc<DropGuard>),
    LookAgain,
    /// Makes one more connection to a device that is linked.
    #[cfg(test)]
    DialAnyway(DeviceId),
}

impl Links {
    /// Starts the actor; the future ends after `stop` was cancelled and every link is closed.
    pub(crate) fn start(setup: Setup) -> (Self, impl Future<Output = ()> + Send) {
        let (inbox, commands) = mpsc::channel(INBOX);
        let (table, watching) = watch::channel(Arc::default());
        let actor = Actor {
            run: rand::random(),
            network: None,
            peers: BTreeMap::new(),
            places: BTreeMap::new(),
            nearby: BTreeMap::new(),
            own: watch::Sender::new(Places::default()),
            tasks: JoinSet::new(),
            inbox: inbox.clone(),
            commands,
            table,
            setup,
        };
        (Self { inbox, table: watching }, actor.run())
    }

    /// The links as they are, and as they change.
    pub(crate) fn table(&self) -> watch::Receiver<Arc<LinkTable>> {
        self.table.clone()
    }

    /// A connection on the mesh protocol that a member made.
    pub(crate) async fn incoming(&self, connection: Connection) {
        self.send(Command::Incoming(connection)).await;
    }

    /// Where a device may be found, as others tell; tried behind what it told itself.
    pub(crate) async fn learn(&self, device: DeviceId, places: Places) {
        self.send(Command::Learn(device, places)).await;
    }

    /// Where a device is seen on the local network now; nothing when it is not seen any more.
    pub(crate) async fn nearby(&self, device: DeviceId, places: Places) {
        self.send(Command::Nearby(device, places)).await;
    }

    /// This device can be reached elsewhere now, or has other ways to reach others.
    pub(crate) async fn moved(&self) {
        self.send(Command::Moved).await;
    }

    /// Somebody waits for this device: try now.
    pub(crate) async fn hurry(&self, device: DeviceId) {
        self.send(Command::Hurry(device)).await;
    }

    /// This device has a new name.
    pub(crate) async fn named(&self, name: DeviceName) {
        self.send(Command::Named(name)).await;
    }

    /// `device` is no member any more: cut its requests at once, tell it with `records`, close. The token is cancelled
    /// when no connection to it is left, after half a second at most.
    pub(crate) async fn farewell(&self, device: DeviceId, records: Bytes) -> CancellationToken {
        let cut = CancellationToken::new();
        self.send(Command::Farewell(device, records, Arc::new(cut.clone().drop_guard()))).await;
        cut
    }

    /// As if this device did not know that it is linked.
    #[cfg(test)]
    pub(crate) async fn dial_anyway(&self, device: DeviceId) {
        self.send(Command::DialAnyway(device)).await;
    }

    async fn send(&self, command: Command) {
        // The actor only ends when the mesh does.
        let _ = self.inbox.send(command).await;
    }
}

struct Peer {
    links: Vec<Arc<Link>>,
    accepting: usize,
    dial: Dial,
    failures: u32,
    state: LinkState,
    cause: Option<ProbeCause>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dial {
    Idle,
    At(Instant),
    Running,
}

enum Outcome {
    Dialled(DeviceId, Result<Box<(Link, ControlStream)>, WelcomeError>),
    Accepted(DeviceId, Result<Box<(Link, ControlStream)>, WelcomeError>),
    Ended(DeviceId, usize, ConnectionError),
    Done,
}

struct Actor {
    setup: Setup,
    run: u64,
    network: Option<NetworkId>,
    peers: BTreeMap<DeviceId, Peer>,
    /// Where devices say they are, or others say of them.
    places: BTreeMap<DeviceId, Places>,
    /// Where members are on the local network now.
    nearby: BTreeMap<DeviceId, Places>,
    /// Where this device is, as linked members are told.
    own: watch::Sender<Places>,
    tasks: JoinSet<Outcome>,
    inbox: mpsc::Sender<Command>,
    commands: mpsc::Receiver<Command>,
    table: watch::Sender<Arc<LinkTable>>,
}

impl Actor {
    async fn run(mut self) {
        let stop = self.setup.stop.clone();
        let mut tick = tokio::time::interval(PATH_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut wake = Wake::new(Instant::now(), SystemTime::now());
        self.follow_roster();
        loop {
            let next_dial = self.next_dial();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(command) = self.commands.recv() => self.command(command),
                Ok(()) = self.setup.roster.changed() => self.follow_roster(),
                Ok(()) = self.setup.ways.changed() => self.moved(),
                Some(outcome) = self.tasks.join_next(), if !self.tasks.is_empty() => match outcome {
                    Ok(outcome) => self.outcome(outcome),
                    Err(error) => tracing::error!(%error, "a link's task failed"),
                },
                () = tokio::time::sleep_until(next_dial.unwrap_or_else(Instant::now)), if next_dial.is_some() => self.dial_due(),
                _ = tick.tick() => {
                    self.look_at_paths();
                    if wake.looked(Instant::now(), SystemTime::now(), PATH_TICK) {
                        self.woke();
                    }
                }
            }
            self.publish();
        }
        for link in self.peers.values().flat_map(|peer| &peer.links) {
            link.close(CloseCode::Shutdown);
        }
        self.tasks.shutdown().await;
        // Whoever still holds the table must not hold connections, and with them the sockets.
        self.table.send_replace(Arc::default());
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Incoming(connection) => self.accept(connection),
            Command::Learn(device, places) => self.learn(device, &places),
            Command::Nearby(device, places) => self.seen_nearby(device, places),
            Command::Told(device, places) => self.told(device, places),
            Command::Moved => self.moved(),
            Command::Hurry(device) => self.dial_soon(device, Duration::ZERO),
            Command::Named(name) => self.setup.name = name,
            Command::Farewell(device, records, cut) => self.say_farewell(device, &records, &cut),
            Command::LookAgain => {}
            #[cfg(test)]
            Command::DialAnyway(device) => self.spawn_dial(device),
        }
    }

    fn follow_roster(&mut self) {
        let roster = self.setup.roster.borrow_and_update().clone();
        let switched = self.network != roster.network;
        let code = if switched { CloseCode::Left } else { CloseCode::Removed };
        self.peers.retain(|device, peer| {
            let stays = !switched && roster.members.contains_key(device);
            if !stays {
                for link in &peer.links {
                    link.revoke();
                    link.close(code);
                }
            }
            stays
        });
        self.network = roster.network;
        self.nearby.retain(|device, _| roster.members.contains_key(device));
        self.note_own_places();
        for device in roster.members.keys() {
            self.peers.entry(*device).or_insert_with(|| Peer {
                links: Vec::new(),
                accepting: 0,
                dial: Dial::At(Instant::now()),
                failures: 0,
                state: LinkState::Connecting { attempt: 1, reason: "Looking for it.".to_owned() },
                cause: None,
            });
        }
    }

    /// Tries `device` after `delay`, unless it is linked or being dialled.
    fn dial_soon(&mut self, device: DeviceId, delay: Duration) {
        let Some(peer) = self.peers.get_mut(&device) else { return };
        if peer.links.is_empty() && peer.dial != Dial::Running {
            peer.dial = Dial::At(Instant::now() + delay);
        }
    }

    fn next_dial(&self) -> Option<Instant> {
        let due = self.peers.values().filter_map(|peer| if let Dial::At(at) = peer.dial { Some(at) } else { None });
        due.min()
    }

    fn dial_due(&mut self) {
        let now = Instant::now();
        let due = |peer: &Peer| matches!(peer.dial, Dial::At(at) if at <= now);
        let due: Vec<DeviceId> = self.peers.iter().filter(|(_, peer)| due(peer)).map(|(device, _)| *device).collect();
        for device in due {
            self.dial(device);
        }
    }

    fn dial(&mut self, device: DeviceId) {
        let Some(peer) = self.peers.get_mut(&device) else { return };
        peer.dial = Dial::Idle;
        if !peer.links.is_empty() || self.setup.ways.borrow().network != self.network {
            // The ways of this network come in a moment, and start it again.
            return;
        }
        if !Attempt::is_possible(&self.known_places(device), &self.setup.ways.borrow()) {
            let reason = "No address of it is known yet. It will be linked as soon as it connects.".to_owned();
            self.set_state(device, LinkState::Away { reason });
            return;
        }
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.dial = Dial::Running;
        }
        self.spawn_dial(device);
    }

    fn set_state(&mut self, device: DeviceId, state: LinkState) {
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.state = state;
        }
    }

    fn spawn_dial(&mut self, device: DeviceId) {
        let Some(ours) = self.ours() else { return };
        let attempt = Attempt {
            endpoint: self.setup.endpoint.clone(),
            device,
            places: self.known_places(device),
            ways: self.setup.ways.borrow().clone(),
            failures: self.peers.get(&device).map_or(0, |peer| peer.failures),
            ours,
        };
        self.tasks.spawn(async move { Outcome::Dialled(device, attempt.run().await.map(Box::new)) });
    }

    fn accept(&mut self, connection: Connection) {
        let device = DeviceId::from(connection.remote_id());
        let (Some(ours), Some(peer)) = (self.ours(), self.peers.get_mut(&device)) else {
            return CloseCode::NotMember.close(&connection);
        };
        if peer.accepting + peer.links.len() >= MAX_PER_DEVICE {
            return CloseCode::Busy.close(&connection);
        }
        peer.accepting += 1;
        let gate = self.setup.gate.clone();
        self.tasks.spawn(async move {
            Outcome::Accepted(device, Link::accepted(connection, ours, &gate).await.map(Box::new))
        });
    }

    /// What this device says of itself now; `None` while no network is active.
    fn ours(&self) -> Option<Ours> {
        let welcome = Welcome {
            protocol: PROTOCOL,
            app_version: self.setup.app_version.clone(),
            network: self.network?,
            device_name: self.setup.name.to_string(),
        };
        let places = endpoint::own_places(&self.setup.endpoint, &self.setup.ways.borrow());
        Some(Ours { welcome, introduction: Introduction { run: self.run, places } })
    }

    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Dialled(device, result) => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.dial = Dial::Idle;
                }
                match result {
                    Ok(made) => self.established(*made),
                    Err(error) => self.failed(device, error),
                }
            }
            Outcome::Accepted(device, result) => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.accepting = peer.accepting.saturating_sub(1);
                }
                match result {
                    Ok(made) => self.established(*made),
                    Err(error) => {
                        tracing::debug!(device = %device.short(), error.reason, "a connection was not welcomed");
                    }
                }
            }
            Outcome::Ended(device, id, reason) => self.ended(device, id, &reason),
            Outcome::Done => {}
        }
    }

    fn established(&mut self, (link, control): (Link, ControlStream)) {
        let device = link.device;
        let fits = self.network == Some(link.network);
        let Some(peer) = self.peers.get_mut(&device).filter(|_| fits) else {
            // It was welcomed; since then the other device was removed, or this one has switched.
            return link.close(if fits { CloseCode::NotMember } else { CloseCode::Left });
        };
        let link = Arc::new(link);
        // Connections of an earlier run of the other program lead nowhere.
        for dead in peer.links.extract_if(.., |old| old.run != link.run) {
            dead.close(CloseCode::Replaced);
        }
        if DeviceId::from(self.setup.endpoint.id()) < device {
            peer.links.iter().for_each(|old| old.retire());
        }
        peer.links.push(link.clone());
        peer.dial = Dial::Idle;
        peer.failures = 0;
        peer.cause = None;
        tracing::info!(device = %device.short(), links = peer.links.len(), "linked");
        self.places.insert(device, link.current_places());
        let (gate, inbox, own) = (self.setup.gate.clone(), self.inbox.clone(), self.own.subscribe());
        // Whoever is asked over this link can see that it is there.
        self.publish();
        self.tasks.spawn(async move {
            let id = link.id();
            // A full inbox makes the actor look again anyway, and places are told again at the next connect.
            let tell = move |news| {
                let _ = inbox.try_send(match news {
                    News::Retired => Command::LookAgain,
                    News::Moved(places) => Command::Told(device, places),
                });
            };
            let reason = link.run(control, gate, own, tell).await;
            Outcome::Ended(device, id, reason)
        });
    }

    fn ended(&mut self, device: DeviceId, id: usize, reason: &ConnectionError) {
        let Some(peer) = self.peers.get_mut(&device) else { return };
        let before = peer.links.len();
        peer.links.retain(|link| link.id() != id);
        if peer.links.len() == before || !peer.links.is_empty() {
            return;
        }
        tracing::info!(device = %device.short(), %reason, "link lost");
        let silent = matches!(reason, ConnectionError::TimedOut);
        let left = matches!(reason, ConnectionError::LocallyClosed);
        let WelcomeError { reason, refused, cause } = link::refusal_of(reason);
        peer.cause = cause;
        // One that fell silent is gone for all we know; it is looked for all the same.
        // Where a link that was left had gone nobody is any more: everything is tried.
        peer.failures = if silent { AWAY_AFTER } else { u32::from(left) };
        if refused || silent {
            peer.state = LinkState::Away { reason };
        } else {
            peer.state = LinkState::Connecting { attempt: 1, reason };
        }
        self.dial_soon(device, backoff(0, refused));
    }

    fn failed(&mut self, device: DeviceId, WelcomeError { reason, refused, cause }: WelcomeError) {
        let Some(peer) = self.peers.get_mut(&device) else { return };
        peer.failures = peer.failures.saturating_add(1);
        let failures = peer.failures;
        if peer.links.is_empty() {
            peer.cause = cause;
            peer.state = if refused || failures >= AWAY_AFTER {
                LinkState::Away { reason }
            } else {
                LinkState::Connecting { attempt: failures + 1, reason }
            };
        }
        self.dial_soon(device, backoff(failures, refused));
    }

    fn say_farewell(&mut self, device: DeviceId, records: &Bytes, cut: &Arc<DropGuard>) {
        let Some(peer) = self.peers.remove(&device) else { return };
        self.places.remove(&device);
        for link in peer.links {
            link.revoke();
            let (records, cut) = (records.clone(), cut.clone());
            self.tasks.spawn(async move {
                let told = sync::post(&link, sync::RECORDS, records);
                let _ = tokio::time::timeout(FAREWELL, told).await;
                link.close(CloseCode::Removed);
                drop(cut);
                Outcome::Done
            });
        }
    }

    /// Brings the state of every linked peer up to date.
    fn look_at_paths(&mut self) {
        for peer in self.peers.values_mut() {
            if let (Some(link), LinkState::Online { path, rtt_ms, .. }) = (current(&peer.links), &mut peer.state) {
                let (now_path, now_rtt) = link.path();
                // Small changes are noise to people, and each one costs every reader a new snapshot.
                if now_path != *path || (now_rtt - *rtt_ms).abs() > (0.25 * *rtt_ms).max(0.5) {
                    (*path, *rtt_ms) = (now_path, now_rtt);
                }
            }
        }
    }

    fn publish(&mut self) {
        for peer in self.peers.values_mut() {
            if let Some(link) = current(&peer.links)
                && !peer.state.is_online()
            {
                let (path, rtt_ms) = link.path();
                peer.state = LinkState::Online { path, rtt_ms, since: now_ms() };
            }
        }
        let table: LinkTable = self
            .peers
            .iter()
            .map(|(device, peer)| {
                let link = current(&peer.links).cloned();
                (
                    *device,
                    LinkView { state: peer.state.clone(), link, connections: peer.links.len(), cause: peer.cause },
                )
            })
            .collect();
        self.table.send_if_modified(|published| {
            let changed = **published != table;
            if changed {
                *published = Arc::new(table);
            }
            changed
        });
    }
}

impl PartialEq for LinkView {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
            && self.connections == other.connections
            && self.cause == other.cause
            && self.link.as_ref().map(|link| link.id()) == other.link.as_ref().map(|link| link.id())
    }
}

/// The link that new requests take: the newest that is not being replaced.
fn current(links: &[Arc<Link>]) -> Option<&Arc<Link>> {
    links.iter().rev().find(|link| !link.is_retired()).or(links.last())
}
