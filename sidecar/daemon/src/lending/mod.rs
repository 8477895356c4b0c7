//! What this device does for others: policy and rules per network, and the one place that enforces them.
//!
//! `rules` and `pause` decide whether a request may be served, `queue` whose turn it is; all are pure. `state` holds what
//! they work on, `rows` keeps it in the database, `keeper` follows the clock, the mains and the load. The state sits
//! behind a watch channel: every change is made in one short step without waiting, and whoever waits for a turn looks
//! again after it.

mod keeper;
mod pause;
mod queue;
mod refusal;
mod rows;
mod rules;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use myownmesh_control::types::{Accepting, Lending as Shown, LendingPause, LendingRules, MemberRules};
use myownmesh_mesh::{DeviceId, NetworkId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use self::queue::Ticket;
pub(crate) use self::refusal::Refusal;
use self::refusal::Why;
use self::state::{Moment, Openings, Place, State, Surroundings};
use crate::store::{Store, StoreError};
use crate::text::now_ms;

/// How often somebody who waits is told so when nothing changes; a bit more often than streams say that they live, which
/// would hide it.
const TELL_AGAIN: Duration = Duration::from_millis(700);

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Lending {
    store: Store,
    state: Arc<watch::Sender<State>>,
    openings: Arc<watch::Sender<Openings>>,
    /// Wakes the keeper.
    rules_changed: Arc<watch::Sender<()>>,
    began: Instant,
}

/// A request of a member that wants to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The network it comes through.
    pub(crate) network: NetworkId,
    /// Who asks.
    pub(crate) device: DeviceId,
    /// Its name.
    pub(crate) name: String,
    /// The model it asks.
    pub(crate) model: String,
}

/// What runs and waits here for members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueLoad {
    /// Requests that run.
    #[serde(default)]
    pub(crate) running: u32,
    /// Requests that wait.
    #[serde(default)]
    pub(crate) waiting: u32,
    /// How long one more would wait, in milliseconds.
    #[serde(default)]
    pub(crate) wait_ms: u64,
}

/// What a waiting request is told.
#[derive(Debug)]
pub(crate) enum Turn {
    /// So many go first; how long that may take, where it is known.
    Queued {
        /// How many.
        ahead: u32,
        /// How long.
        wait: Option<Duration>,
    },
    /// It is served now.
    Go(Permit),
}

/// A request's place, from its entry to its end; given up when dropped.
struct Seat {
    lending: Lending,
    ticket: Ticket,
}

/// A request's place among those that wait; dropping it gives it up.
pub(crate) struct Waiting {
    seat: Option<Seat>,
    changes: watch::Receiver<State>,
    /// How many went first when that was last told, and when.
    told: Option<(u32, tokio::time::Instant)>,
}

/// Leave to serve one request; held until its answer has ended.
pub(crate) struct Permit {
    seat: Seat,
}

/// Held while a request of this device's own runs.
pub(crate) struct Own(Lending);

impl Waiting {
    /// Its turn, or how many go first: as often as that changes, and now and then, so that a word that was lost on its way
    /// does not mislead for long. Nothing more comes after [`Turn::Go`] or a refusal.
    pub(crate) async fn next(&mut self) -> Result<Turn, Refusal> {
        loop {
            let Some(seat) = &self.seat else { return std::future::pending().await };
            let (place, settled) = {
                let state = self.changes.borrow_and_update();
                (state.place(seat.ticket).cloned(), state.settled())
            };
            match place {
                Some(Place::Waiting { ahead, wait }) => {
                    if self.told.is_none_or(|(before, at)| before != ahead || at.elapsed() >= TELL_AGAIN) {
                        self.told = Some((ahead, tokio::time::Instant::now()));
                        let since = seat.lending.began.elapsed().saturating_sub(settled);
                        return Ok(Turn::Queued { ahead, wait: wait.map(|wait| wait.saturating_sub(since)) });
                    }
                }
                Some(Place::Served(None)) => {
                    if let Some(seat) = self.seat.take() {
                        return Ok(Turn::Go(Permit { seat }));
                    }
                }
                Some(Place::Served(Some(refusal)) | Place::Refused(refusal)) => {
                    self.seat = None;
                    return Err(refusal);
                }
                // A seat has a place until it is dropped.
                None => return std::future::pending().await,
            }
            let again = self.told.map_or_else(tokio::time::Instant::now, |(_, at)| at) + TELL_AGAIN;
            tokio::select! {
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                }
                () = tokio::time::sleep_until(again) => {}
            }
        }
    }
}

impl Permit {
    /// Waits until the answer is to end early, and tells why.
    pub(crate) async fn ended(&self) -> Refusal {
        let mut changes = self.seat.lending.state.subscribe();
        loop {
            if let Some(Place::Served(Some(refusal))) = changes.borrow_and_update().place(self.seat.ticket) {
                return refusal.clone();
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Permit({})", self.seat.ticket)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lending.alter(|state, now| state.leave(self.ticket, now));
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.0.alter(|state, _| state.own = state.own.saturating_sub(1));
    }
}

impl Lending {
    /// Reads what is saved.
    pub(crate) async fn start(store: Store) -> Result<Self, StoreError> {
        let saved = store.call(|connection| rows::read(connection)).await?;
        let clock_ahead = store.call(|connection| rows::clock_ahead(connection)).await?;
        let around = Surroundings { clock_ahead, on_mains: true, loaded: false };
        let lending = Self {
            store,
            state: Arc::new(watch::Sender::new(State::new(saved, around))),
            openings: Arc::default(),
            rules_changed: Arc::default(),
            began: Instant::now(),
        };
        // A pause may have ended meanwhile.
        lending.alter(|_, _| ());
        Ok(lending)
    }

    /// Gives a member's request a place, unless it cannot be served at all.
    pub(crate) fn enter(&self, guest: &Guest) -> Result<Waiting, Refusal> {
        // Replaced at once: a change is always made.
        let mut entered = Err(Refusal { host: String::new(), why: Why::Full });
        self.alter(|state, now| entered = state.enter(guest, now));
        let seat = Seat { lending: self.clone(), ticket: entered? };
        Ok(Waiting { seat: Some(seat), changes: self.state.subscribe(), told: None })
    }

    /// A request of this device's own, which waits for nobody.
    pub(crate) fn own(&self) -> Own {
        self.alter(|state, _| state.own_begins());
        Own(self.clone())
    }

    /// The policy on a network.
    pub(crate) fn policy(&self, network: Option<NetworkId>) -> Accepting {
        self.state.borrow().policy(network)
    }

    /// Completes when the policy on a network is another one than `before`.
    pub(crate) async fn policy_changed(&self, network: Option<NetworkId>, before: Accepting) {
        // The sender lives as long as this handle, so the wait cannot fail.
        let _ = self.state.subscribe().wait_for(|state| state.policy(network) != before).await;
    }

    /// What members are told of the policy: `busy` while a pause or a rule closes it.
    pub(crate) fn accepting(&self, network: NetworkId) -> Accepting {
        self.with(|state, now| state.accepting(network, now))
    }

    /// Whether a model is lent to everybody on a network.
    pub(crate) fn lends(&self, network: NetworkId, model: &str) -> bool {
        self.state.borrow().lends(network, model)
    }

    /// Everything, for a screen.
    pub(crate) fn show(&self, network: NetworkId) -> Shown {
        self.with(|state, now| state.show(network, now))
    }

    /// What runs and waits here for members.
    pub(crate) fn load(&self) -> QueueLoad {
        self.openings.borrow().load
    }

    /// Changes whenever members are to be told something else.
    pub(crate) fn watch(&self) -> watch::Receiver<Openings> {
        self.openings.subscribe()
    }

    /// Completes with the next change of anything that [`show`](Self::show) tells. To be called again and again on what
    /// [`follow`](Self::follow) gave.
    pub(crate) fn follow(&self) -> Changes {
        Changes(self.state.subscribe())
    }

    /// What this device is called in what members are told.
    pub(crate) fn called(&self, name: &str) {
        if self.state.borrow().host != name {
            self.alter(|state, _| state.host = name.to_owned());
        }
    }

    /// Counts what a member had.
    pub(crate) fn count(&self, network: NetworkId, device: DeviceId, tokens: u64) {
        self.alter(|state, now| state.count((network, device), tokens, now));
    }

    /// Since when tokens count as today's, in milliseconds since the Unix epoch.
    pub(crate) fn midnight(&self) -> i64 {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let ahead = self.state.borrow().around.clock_ahead;
        (now_ms() + ahead).div_euclid(DAY) * DAY - ahead
    }

    /// Changes the policy on a network. Requests that are being served go on.
    pub(crate) async fn set(&self, network: NetworkId, accepting: Accepting) -> Result<(), StoreError> {
        let key = network.to_string();
        self.store.call(move |connection| rows::set_policy(connection, &key, accepting)).await?;
        self.alter(|state, _| {
            state.saved.policies.insert(network, accepting);
        });
        Ok(())
    }

    /// Replaces the rules on a network. Requests that are being served go on.
    pub(crate) async fn set_rules(&self, network: NetworkId, rules: LendingRules) -> Result<(), StoreError> {
        let (key, saved) = (network.to_string(), rules.clone());
        self.store.call(move |connection| rows::set_rules(connection, &key, &saved)).await?;
        self.alter(|state, _| drop(state.saved.rules.insert(network, rules)));
        self.rules_changed.send_replace(());
        Ok(())
    }

    /// Replaces the rules for a member; rules without a limit end them.
    pub(crate) async fn set_member(
        &self,
        network: NetworkId,
        device: DeviceId,
        rules: MemberRules,
    ) -> Result<(), StoreError> {
        let MemberRules { concurrent, tokens_per_day, models, hours, .. } = &rules;
        let limited = concurrent.is_some() || tokens_per_day.is_some() || models.is_some() || hours.is_some();
        let rules = limited.then_some(rules);
        let (key, member, saved) = (network.to_string(), device.to_string(), rules.clone());
        self.store.call(move |connection| rows::set_member(connection, &key, &member, saved.as_ref())).await?;
        self.alter(|state, _| match rules {
            Some(rules) => drop(state.saved.members.insert((network, device), rules)),
            None => drop(state.saved.members.remove(&(network, device))),
        });
        self.rules_changed.send_replace(());
        Ok(())
    }

    /// Lends nothing more, for so many seconds or until [`resume`](Self::resume). Running answers end at once, or are let
    /// end.
    pub(crate) async fn pause(&self, seconds: Option<u32>, at_once: bool) -> Result<LendingPause, StoreError> {
        let pause = pause::begin(seconds, at_once, now_ms());
        self.save_pause(Some(pause)).await?;
        Ok(pause)
    }

    /// Ends the pause; whether there was one.
    pub(crate) async fn resume(&self) -> Result<bool, StoreError> {
        let paused = self.with(|state, now| pause::left(state.saved.pause, now.ms).is_some());
        self.save_pause(None).await?;
        Ok(paused)
    }

    async fn save_pause(&self, pause: Option<LendingPause>) -> Result<(), StoreError> {
        self.store.call(move |connection| rows::set_pause(connection, pause)).await?;
        self.alter(|state, _| state.saved.pause = pause);
        self.rules_changed.send_replace(());
        Ok(())
    }

    /// Deletes what is kept of a network that this device forgets.
    pub(crate) async fn forget_network(&self, network: NetworkId) -> Result<(), StoreError> {
        let key = network.to_string();
        self.store.call(move |connection| rows::forget_network(connection, &key)).await?;
        self.alter(|state, _| {
            state.saved.policies.remove(&network);
            state.saved.rules.remove(&network);
            state.saved.members.retain(|(of, _), _| *of != network);
        });
        Ok(())
    }

    fn moment(&self) -> Moment {
        Moment { ms: now_ms(), since: self.began.elapsed() }
    }

    fn with<T>(&self, look: impl FnOnce(&State, Moment) -> T) -> T {
        look(&self.state.borrow(), self.moment())
    }

    /// The one way to change something: afterwards the queue is what the rules allow, and everybody looks again.
    fn alter(&self, change: impl FnOnce(&mut State, Moment)) {
        self.state.send_modify(|state| {
            let now = self.moment();
            change(state, now);
            state.settle(now);
            let openings = state.openings(now);
            self.openings.send_if_modified(|shown| {
                let changed = *shown != openings;
                *shown = openings;
                changed
            });
        });
    }
}

/// News of lending.
pub(crate) struct Changes(watch::Receiver<State>);

impl Changes {
    /// The next one; false when there will be none.
    pub(crate) async fn next(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests;
