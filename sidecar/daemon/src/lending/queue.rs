//! The queue of those that wait to be served: fair between members by the service they received, bounded, and free of
//! IO; the time comes in with every call.
//!
//! Each member has used so many seconds of service. A free place goes to the member that has used the least, and within
//! a member to its oldest request (start-time fair queueing, Goyal, Vin and Cheng 1996, with seconds of a place as the
//! cost). A member that was away begins where the least of the others stands: waiting earns nothing.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Most requests that wait.
pub(super) const MOST_WAITING: usize = 256;
/// Most requests of one member that wait.
pub(super) const MOST_OF_ONE: usize = 64;
/// Most models whose pace is remembered.
const MOST_PACES: usize = 256;
/// How much the newest answer says about the next one.
const NEWEST: f64 = 0.25;
/// What an answer is taken to cost as long as none was measured, in seconds.
const UNMEASURED: f64 = 1.0;

/// Names a request.
pub(super) type Ticket = u64;

/// No more can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// In all.
    All,
    /// Of this member.
    Member,
}

/// The queue. `M` is who waits.
#[derive(Debug)]
pub(super) struct Queue<M> {
    requests: BTreeMap<Ticket, Request<M>>,
    shares: HashMap<M, Share>,
    /// Where a member that was away begins; never falls.
    floor: f64,
    paces: HashMap<String, f64>,
    waiting: usize,
}

#[derive(Debug)]
struct Request<M> {
    member: M,
    model: String,
    /// What it will cost, in seconds; estimated when it began.
    expected: f64,
    /// When it began to be served.
    began: Option<Duration>,
}

/// What a member has had and wants.
#[derive(Debug, Default)]
struct Share {
    /// Seconds of service of all that ended, counted from where it began.
    used: f64,
    waiting: VecDeque<Ticket>,
    running: Vec<Ticket>,
}

impl<M: Copy + Eq + Hash> Queue<M> {
    pub(super) fn new() -> Self {
        Self { requests: BTreeMap::new(), shares: HashMap::new(), floor: 0.0, paces: HashMap::new(), waiting: 0 }
    }

    /// Puts a request at the end of its member's line. Tickets rise.
    pub(super) fn enter(&mut self, ticket: Ticket, member: M, model: &str, now: Duration) -> Result<(), Full> {
        if self.waiting >= MOST_WAITING {
            return Err(Full::All);
        }
        self.raise_floor(now);
        let share = self.shares.entry(member).or_default();
        if share.waiting.len() >= MOST_OF_ONE {
            return Err(Full::Member);
        }
        if share.waiting.is_empty() && share.running.is_empty() {
            share.used = share.used.max(self.floor);
        }
        share.waiting.push_back(ticket);
        self.waiting += 1;
        let request = Request { member, model: model.to_owned(), expected: UNMEASURED, began: None };
        self.requests.insert(ticket, request);
        Ok(())
    }

    /// A request ends or is given up. What it took is its member's, and tells how long the next one may take.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Duration) {
        let Some(request) = self.requests.remove(&ticket) else { return };
        if let Some(share) = self.shares.get_mut(&request.member) {
            share.waiting.retain(|waiting| *waiting != ticket);
            share.running.retain(|running| *running != ticket);
            if let Some(began) = request.began {
                share.used += now.saturating_sub(began).as_secs_f64();
            }
        }
        match request.began {
            Some(began) => self.learn(request.model, now.saturating_sub(began).as_secs_f64()),
            None => self.waiting -= 1,
        }
        self.raise_floor(now);
        // Whoever stands at the floor is nobody to remember.
        let floor = self.floor;
        self.shares.retain(|_, share| !share.idle() || share.used > floor);
    }

    /// Gives free places out, as long as `may` lets a member with so many running begin while so many run in all; tells
    /// who begins.
    pub(super) fn advance(&mut self, now: Duration, may: impl Fn(M, usize, usize) -> bool) -> Vec<Ticket> {
        let mut began = Vec::new();
        loop {
            let running = self.running();
            let next = self
                .shares
                .iter()
                .filter(|(member, share)| may(**member, share.running.len(), running))
                .filter_map(|(member, share)| Some((self.standing(share, now), *share.waiting.front()?, *member)))
                .min_by(|a, b| before(&a.0, &b.0).then(a.1.cmp(&b.1)));
            let Some(((used, _), ticket, member)) = next else { return began };
            self.floor = self.floor.max(used);
            let Some((request, share)) = self.requests.get_mut(&ticket).zip(self.shares.get_mut(&member)) else {
                return began;
            };
            share.waiting.pop_front();
            share.running.push(ticket);
            self.waiting -= 1;
            request.began = Some(now);
            request.expected = pace(&self.paces, &request.model).unwrap_or(UNMEASURED);
            began.push(ticket);
        }
    }

    /// Those that wait, in the order in which they will begin as far as can be seen now, each with how long that may
    /// take where something was measured, when `places` run at once.
    pub(super) fn order(&self, now: Duration, places: usize) -> Vec<(Ticket, Option<Duration>)> {
        self.foresee(now, places).0
    }

    /// How long one more may wait when `places` run at once.
    pub(super) fn next_wait(&self, now: Duration, places: usize) -> Duration {
        let free = self.foresee(now, places).1;
        Duration::from_secs_f64(free.into_iter().min_by(f64::total_cmp).unwrap_or_default())
    }

    /// The order, and when the places are free after all of it.
    fn foresee(&self, now: Duration, places: usize) -> (Vec<(Ticket, Option<Duration>)>, Vec<f64>) {
        let mut lines: Vec<(Standing, VecDeque<Ticket>)> = self
            .shares
            .values()
            .filter(|share| !share.waiting.is_empty())
            .map(|share| (self.standing(share, now), share.waiting.clone()))
            .collect();
        let mut free = self.free_times(now, places.max(1));
        let mut order = Vec::with_capacity(self.waiting);
        loop {
            let next = lines.iter_mut().filter(|line| !line.1.is_empty());
            let Some(line) = next.min_by(|a, b| before(&a.0, &b.0).then(a.1.front().cmp(&b.1.front()))) else {
                return (order, free);
            };
            let Some(ticket) = line.1.pop_front() else { return (order, free) };
            let expected = self.requests.get(&ticket).and_then(|request| pace(&self.paces, &request.model));
            line.0.0 += expected.unwrap_or(UNMEASURED);
            line.0.1 += 1;
            // The place that is free first.
            let Some(at) = (0..free.len()).min_by(|a, b| free[*a].total_cmp(&free[*b])) else { return (order, free) };
            let first = &mut free[at];
            let wait = expected.map(|_| Duration::from_secs_f64(*first));
            *first += expected.unwrap_or(UNMEASURED);
            order.push((ticket, wait));
        }
    }

    /// How many are served.
    pub(super) fn running(&self) -> usize {
        self.requests.len() - self.waiting
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// When each of `places` is free, in seconds from now.
    fn free_times(&self, now: Duration, places: usize) -> Vec<f64> {
        let left = |request: &Request<M>| {
            request.began.map(|began| (request.expected - now.saturating_sub(began).as_secs_f64()).max(0.0))
        };
        let mut free: Vec<f64> = self.requests.values().filter_map(left).collect();
        free.sort_by(|a, b| b.total_cmp(a));
        free.resize(places, 0.0);
        free
    }

    /// What a member has used, what runs counted as what it is expected to take at least; and how much runs.
    fn standing(&self, share: &Share, now: Duration) -> Standing {
        (share.used + self.costs(share, now, |request| request.expected), share.running.len())
    }

    /// What the running requests of a member cost until now, or at least so much.
    fn costs(&self, share: &Share, now: Duration, least: impl Fn(&Request<M>) -> f64) -> f64 {
        let running = share.running.iter().filter_map(|ticket| self.requests.get(ticket));
        let cost = |request: &Request<M>| {
            request.began.map_or(0.0, |began| now.saturating_sub(began).as_secs_f64()).max(least(request))
        };
        running.map(cost).sum()
    }

    fn raise_floor(&mut self, now: Duration) {
        let active = self.shares.values().filter(|share| !share.idle());
        let least = active.map(|share| share.used + self.costs(share, now, |_| 0.0)).min_by(f64::total_cmp);
        // With nobody there all begin anew.
        let most = || self.shares.values().map(|share| share.used).max_by(f64::total_cmp);
        self.floor = least.or_else(most).map_or(self.floor, |used| used.max(self.floor));
    }

    fn learn(&mut self, model: String, took: f64) {
        if let Some(known) = self.paces.get_mut(&model) {
            *known += (took - *known) * NEWEST;
        } else {
            if self.paces.len() >= MOST_PACES {
                self.paces.clear();
            }
            self.paces.insert(model, took);
        }
    }
}

/// Seconds a member has used, and how many of its requests run.
type Standing = (f64, usize);

/// Whose turn it is first: who has used less, else who has less running.
fn before(a: &Standing, b: &Standing) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Share {
    fn idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }
}

/// What an answer of this model takes; where it has not been asked, what those of others take; in seconds.
#[expect(clippy::cast_precision_loss, reason = "a few hundred models")]
fn pace(paces: &HashMap<String, f64>, model: &str) -> Option<f64> {
    let mean = || (!paces.is_empty()).then(|| paces.values().sum::<f64>() / paces.len() as f64);
    paces.get(model).copied().or_else(mean)
}

#[cfg(test)]
mod tests;
