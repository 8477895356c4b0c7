//! What lending knows at one moment: policies, rules, the pause, how things are around, and who waits and is served.
//! Every change goes through [`State::settle`], which brings the queue to what the rules of that moment allow.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use myownmesh_control::types::{Accepting, Lending as Shown, LendingPause, LendingRules, LentRequest, MemberRules};
use myownmesh_mesh::{DeviceId, NetworkId};

use super::queue::{Queue, Ticket};
use super::refusal::{Refusal, Why};
use super::rules::{self, Around, Wish};
use super::{Guest, QueueLoad, pause};

/// How many requests of members run at once where no rule says: what llama-server takes at once when it is not told.
const AT_ONCE: usize = 4;

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(super) ms: i64,
    /// Since lending began; never runs back.
    pub(super) since: Duration,
}

/// Who waits: a member of a network.
type Member = (NetworkId, DeviceId);

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It waits.
    Waiting { ahead: u32, wait: Option<Duration> },
    /// It is served, until this reason ends it.
    Served(Option<Refusal>),
    /// It will not be served.
    Refused(Refusal),
}

#[derive(Debug)]
struct Request {
    guest: Guest,
    since: i64,
    place: Place,
}

/// What is kept over a restart.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) policies: HashMap<NetworkId, Accepting>,
    pub(super) rules: HashMap<NetworkId, LendingRules>,
    pub(super) members: HashMap<Member, MemberRules>,
    pub(super) pause: Option<LendingPause>,
}

/// What members are told of lending.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Openings {
    /// What runs and waits.
    pub(super) load: QueueLoad,
    paused: bool,
    networks: BTreeMap<NetworkId, (Accepting, Option<Vec<String>>)>,
}

/// What the keeper looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// What this device's clock is ahead of UTC, in milliseconds.
    pub(super) clock_ahead: i64,
    /// Whether it draws from the mains.
    pub(super) on_mains: bool,
    /// Whether its processor is busy with something else than members' requests.
    pub(super) loaded: bool,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct State {
    pub(super) host: String,
    pub(super) saved: Saved,
    pub(super) around: Surroundings,
    /// Requests of this device's own that run.
    pub(super) own: usize,
    queue: Queue<Member>,
    requests: BTreeMap<Ticket, Request>,
    next: Ticket,
    /// When everything was last brought to what the rules allow; waits are counted from then.
    settled: Duration,
    /// Tokens of answers since midnight of this day.
    today: (i64, HashMap<Member, u64>),
}

impl State {
    pub(super) fn new(saved: Saved, around: Surroundings) -> Self {
        Self {
            host: "This device".to_owned(),
            saved,
            around,
            own: 0,
            queue: Queue::new(),
            requests: BTreeMap::new(),
            next: 0,
            settled: Duration::ZERO,
            today: (0, HashMap::new()),
        }
    }

    /// The policy on a network.
    pub(super) fn policy(&self, network: Option<NetworkId>) -> Accepting {
        network.and_then(|network| self.saved.policies.get(&network).copied()).unwrap_or_default()
    }

    /// The rules on a network.
    pub(super) fn rules(&self, network: NetworkId) -> LendingRules {
        self.saved.rules.get(&network).cloned().unwrap_or_default()
    }

    /// Takes a request in, unless it cannot be served at all.
    pub(super) fn enter(&mut self, guest: &Guest, now: Moment) -> Result<Ticket, Refusal> {
        self.judge(guest, now).map_err(|why| self.refusal(why))?;
        let ticket = self.next;
        let member = (guest.network, guest.device);
        self.queue.enter(ticket, member, &guest.model, now.since).map_err(|full| self.refusal(full.into()))?;
        self.next += 1;
        let place = Place::Waiting { ahead: 0, wait: None };
        self.requests.insert(ticket, Request { guest: guest.clone(), since: now.ms, place });
        Ok(ticket)
    }

    /// A request ended, or is given up.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Moment) {
        self.requests.remove(&ticket);
        self.queue.leave(ticket, now.since);
    }

    /// Where a request stands.
    pub(super) fn place(&self, ticket: Ticket) -> Option<&Place> {
        self.requests.get(&ticket).map(|request| &request.place)
    }

    /// Refuses what the rules no longer allow, ends what the pause ends, and gives free places out.
    pub(super) fn settle(&mut self, now: Moment) {
        self.settled = now.since;
        self.saved.pause = pause::left(self.saved.pause, now.ms);
        if self.saved.pause.is_some_and(|pause| pause.at_once) {
            self.cut(Why::CutByPause, |_| true);
        }
        let waiting = self.requests.iter().filter(|(_, request)| matches!(request.place, Place::Waiting { .. }));
        let refused: Vec<_> =
            waiting.filter_map(|(ticket, request)| Some((*ticket, self.judge(&request.guest, now).err()?))).collect();
        for (ticket, why) in refused {
            self.queue.leave(ticket, now.since);
            let refusal = self.refusal(why);
            if let Some(request) = self.requests.get_mut(&ticket) {
                request.place = Place::Refused(refusal);
            }
        }
        let mut queue = std::mem::replace(&mut self.queue, Queue::new());
        let began = queue.advance(now.since, |member, own, all| self.may_begin(member, own, all));
        let order = queue.order(now.since, self.places());
        self.queue = queue;
        for ticket in began {
            if let Some(request) = self.requests.get_mut(&ticket) {
                request.place = Place::Served(None);
            }
        }
        for (ahead, (ticket, wait)) in (0..).zip(order) {
            if let Some(request) = self.requests.get_mut(&ticket) {
                request.place = Place::Waiting { ahead, wait };
            }
        }
    }

    /// This device's own request begins.
    pub(super) fn own_begins(&mut self) {
        self.own += 1;
        let stops = |network: &NetworkId| self.saved.rules.get(network).is_some_and(|rules| rules.owner_stops_guests);
        let networks: Vec<NetworkId> = self.saved.rules.keys().filter(|network| stops(network)).copied().collect();
        self.cut(Why::CutByOwner, |guest| networks.contains(&guest.network));
    }

    fn cut(&mut self, why: Why, whom: impl Fn(&Guest) -> bool) {
        let refusal = self.refusal(why);
        for request in self.requests.values_mut().filter(|request| whom(&request.guest)) {
            if let Place::Served(end @ None) = &mut request.place {
                *end = Some(refusal.clone());
            }
        }
    }

    /// Whether nothing is served to anybody on this network, and why.
    pub(super) fn closed(&self, network: NetworkId, now: Moment) -> Result<(), Why> {
        if self.policy(Some(network)) == Accepting::Busy {
            return Err(Why::Busy);
        }
        if let Some(pause) = pause::left(self.saved.pause, now.ms) {
            return Err(Why::Paused(pause));
        }
        rules::open(&self.rules(network), self.around_at(now)).map_err(Why::Closed)
    }

    /// The policy that members are told: `busy` while nothing is served.
    pub(super) fn accepting(&self, network: NetworkId, now: Moment) -> Accepting {
        match self.closed(network, now) {
            Ok(()) => self.policy(Some(network)),
            Err(_) => Accepting::Busy,
        }
    }

    /// What members are told on every network.
    pub(super) fn openings(&self, now: Moment) -> Openings {
        let known = self.saved.policies.keys().chain(self.saved.rules.keys());
        let models = |network| self.saved.rules.get(network).and_then(|rules| rules.models.clone());
        let networks = known.map(|network| (*network, (self.accepting(*network, now), models(network))));
        Openings { load: self.load(now), paused: self.saved.pause.is_some(), networks: networks.collect() }
    }

    fn load(&self, now: Moment) -> QueueLoad {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let wait = self.queue.next_wait(now.since, self.places());
        QueueLoad {
            running: narrow(self.queue.running()),
            waiting: narrow(self.queue.waiting()),
            // To the tenth: it is told to others with each change.
            wait_ms: u64::try_from(wait.as_millis() / 100 * 100).unwrap_or(u64::MAX),
        }
    }

    /// The capacity of the networks that wait or are served; nearly always there is one.
    fn places(&self) -> usize {
        let places = self.requests.values().map(|request| self.capacity(request.guest.network));
        places.max().unwrap_or(AT_ONCE)
    }

    fn judge(&self, guest: &Guest, now: Moment) -> Result<(), Why> {
        self.closed(guest.network, now)?;
        let member = (guest.network, guest.device);
        let wish = Wish { model: &guest.model, tokens_today: self.tokens_today(&member, now) };
        let own = self.saved.members.get(&member);
        rules::allow(&self.rules(guest.network), own, wish, self.around_at(now)).map_err(Why::Closed)
    }

    fn may_begin(&self, member: Member, of_member: usize, all: usize) -> bool {
        let network = member.0;
        let most = self.saved.members.get(&member).and_then(|member| member.concurrent);
        let rules = self.saved.rules.get(&network);
        let first = rules.is_none_or(|rules| rules.owner_first);
        let held = if first { self.own } else { 0 };
        all + held < self.capacity(network) && most.is_none_or(|most| of_member < count(most))
    }

    /// How many requests of members run at once.
    fn capacity(&self, network: NetworkId) -> usize {
        if self.policy(Some(network)) == Accepting::Limited {
            return 1;
        }
        self.saved.rules.get(&network).and_then(|rules| rules.concurrent).map_or(AT_ONCE, count)
    }

    fn around_at(&self, now: Moment) -> Around {
        let minute = now.ms.saturating_add(self.around.clock_ahead).div_euclid(60_000).rem_euclid(24 * 60);
        Around {
            minute: u16::try_from(minute).unwrap_or_default(),
            on_mains: self.around.on_mains,
            in_use: self.around.loaded || self.own > 0,
        }
    }

    fn refusal(&self, why: Why) -> Refusal {
        Refusal { host: self.host.clone(), why }
    }

    /// Counts what a member had.
    pub(super) fn count(&mut self, member: Member, tokens: u64, now: Moment) {
        let day = self.day(now);
        if self.today.0 != day {
            self.today = (day, HashMap::new());
        }
        let had = self.today.1.entry(member).or_default();
        *had = had.saturating_add(tokens);
    }

    fn tokens_today(&self, member: &Member, now: Moment) -> u64 {
        let today = self.today.1.get(member).filter(|_| self.today.0 == self.day(now));
        today.copied().unwrap_or_default()
    }

    fn day(&self, now: Moment) -> i64 {
        now.ms.saturating_add(self.around.clock_ahead).div_euclid(24 * 60 * 60 * 1000)
    }

    /// When waits were last told anew, since lending began.
    pub(super) fn settled(&self) -> Duration {
        self.settled
    }

    /// Whether somebody is served.
    pub(super) fn is_lending(&self) -> bool {
        self.queue.running() > 0
    }

    /// Everything, for a screen.
    pub(super) fn show(&self, network: NetworkId, now: Moment) -> Shown {
        let closed = self.closed(network, now).err().map(|why| match why {
            Why::Paused(pause) => {
                let lasting = pause::lasting(pause, now.ms);
                format!("Lending is paused{lasting}.")
            }
            Why::Closed(closed) => closed.shown(),
            _ => "This device serves nobody else.".to_owned(),
        });
        let mut members: Vec<MemberRules> =
            self.saved.members.iter().filter(|((of, _), _)| *of == network).map(|(_, rules)| rules.clone()).collect();
        members.sort_by(|a, b| (&a.device_name, &a.device_id).cmp(&(&b.device_name, &b.device_id)));
        let here = || self.requests.values().filter(|request| request.guest.network == network);
        let lent = |request: &Request| LentRequest {
            device_id: request.guest.device.to_string(),
            device_name: request.guest.name.clone(),
            model: request.guest.model.clone(),
            since: request.since,
        };
        let mut waiting: Vec<(u32, LentRequest)> = here()
            .filter_map(|request| match request.place {
                Place::Waiting { ahead, .. } => Some((ahead, lent(request))),
                Place::Served(_) | Place::Refused(_) => None,
            })
            .collect();
        waiting.sort_by_key(|(ahead, _)| *ahead);
        Shown {
            accepting: self.policy(Some(network)),
            pause: pause::left(self.saved.pause, now.ms),
            closed,
            rules: self.rules(network),
            members,
            running: here().filter(|request| matches!(request.place, Place::Served(_))).map(lent).collect(),
            waiting: waiting.into_iter().map(|(_, request)| request).collect(),
        }
    }

    /// Whether a model may be shown to everybody on a network.
    pub(super) fn lends(&self, network: NetworkId, model: &str) -> bool {
        let models = self.saved.rules.get(&network).and_then(|rules| rules.models.as_ref());
        models.is_none_or(|models| models.iter().any(|lent| lent == model))
    }

    /// When the next thing changes by the clock alone, in milliseconds since the Unix epoch.
    pub(super) fn due(&self) -> Option<i64> {
        self.saved.pause.and_then(|pause| pause.until)
    }

    /// Whether a rule asks what is around: the clock, the mains, the load.
    pub(super) fn looks_around(&self) -> (bool, bool) {
        let rules = || self.saved.rules.values();
        let clock = rules().any(|rules| rules.hours.is_some() || rules.tokens_per_day.is_some())
            || self.saved.members.values().any(|member| member.hours.is_some() || member.tokens_per_day.is_some());
        (clock, rules().any(|rules| rules.only_mains || rules.only_idle))
    }
}

fn count(most: u32) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}
