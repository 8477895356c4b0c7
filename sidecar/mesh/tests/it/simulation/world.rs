//! A world of devices in one thread and in virtual time: real records, real sets, the real state machine that decides
//! whom to send what, and a network that loses, doubles, delays, cuts and heals. One seed, one history.
//!
//! Shared by the tests beside it and by `benches/convergence.rs`. Nothing here checks whether an author may say what it
//! says: that is for the fold, which has to come to the same end everywhere, whatever was said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use iroh::SecretKey;
use myownmesh_mesh::proto::Millis;
use myownmesh_mesh::proto::document::shelf::{Outcome, Shelf};
use myownmesh_mesh::proto::document::{Entry, Head};
use myownmesh_mesh::proto::fold::{Membership, fold};
use myownmesh_mesh::proto::hlc::Clock;
use myownmesh_mesh::proto::ids::{DeviceId, NetworkId, RecordId};
use myownmesh_mesh::proto::name::{DeviceName, NetworkName};
use myownmesh_mesh::proto::reconcile::{Initiator, RecordSet, Refused, respond};
use myownmesh_mesh::proto::record::{Admit, Body, DeviceInfo, Genesis, NetworkKind, Record, Remove, Rename, Role, Via};
use myownmesh_mesh::proto::settings::NetworkSettings;
use myownmesh_mesh::proto::spread::{Effect, Event, Spread};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

pub(crate) const SECOND: Millis = 1_000;
pub(crate) const HOUR: Millis = 3_600 * SECOND;
/// When it all begins: some day in 2026.
const DAWN: Millis = 1_780_000_000_000;
/// Whoever sent what did not arrive knows after this long.
const TIMEOUT: Millis = 10 * SECOND;
/// Bytes around a message: HTTP and QUIC headers, roughly.
const ENVELOPE: usize = 120;

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// How many of 1,000 messages are lost.
    pub(crate) lost: u32,
    /// How many of 1,000 arrive twice.
    pub(crate) doubled: u32,
    /// How many of 100 pairs of devices can reach each other at all.
    pub(crate) reach: usize,
    /// The longest that one takes, in milliseconds; each takes its own time, so later ones overtake.
    pub(crate) latency: Millis,
}

/// What it took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Pushes sent, first hand and passed on.
    pub(crate) pushes: u64,
    /// Their bytes.
    pub(crate) push_bytes: u64,
    /// Comparisons begun.
    pub(crate) reconciliations: u64,
    /// Of these, cut short by a loss.
    pub(crate) cut_short: u64,
    /// Rounds of all of them.
    pub(crate) rounds: u64,
    /// Rounds of the longest.
    pub(crate) most_rounds: usize,
    /// Bytes of their questions and answers.
    pub(crate) reconcile_bytes: u64,
    /// Records that comparisons brought.
    pub(crate) repaired: u64,
    /// Bytes of these.
    pub(crate) repair_bytes: u64,
    /// Messages that were lost.
    pub(crate) lost: u64,
    /// Messages that came twice.
    pub(crate) doubled: u64,
    /// Records that came and were refused for now.
    pub(crate) refused: u64,
}

struct Node {
    id: DeviceId,
    secret: SecretKey,
    /// How far its wall clock is off.
    skew: Millis,
    /// Records in the order in which they came.
    records: Vec<Record>,
    known: HashMap<RecordId, usize>,
    set: Arc<RecordSet>,
    /// Where the world is about documents.
    shelf: Option<Shelf>,
    seq: u64,
    clock: Clock,
    refused: Refused,
    spread: Spread,
    up: bool,
    /// Which part of a partition it is in.
    part: usize,
    /// When its next tick is planned.
    tick: Option<Millis>,
}

impl Node {
    /// Whether it needs nobody to send it this record. A document that was superseded may be news again: when it was
    /// deleted, and the deletion is forgotten elsewhere.
    fn has(&self, record: &RecordId) -> bool {
        self.shelf.as_ref().map_or_else(|| self.known.contains_key(record), |shelf| shelf.contains(record))
    }
}

enum Message {
    Push(Arc<[Record]>),
    Question(u64, Vec<u8>),
    Answer(u64, Vec<u8>),
    Fetch(u64, Vec<RecordId>),
    /// Records of a comparison, to either side.
    Repair(u64, Arc<[Record]>),
}

enum Happening {
    Tick(usize),
    LinkUp { node: usize, peer: usize, link: u32 },
    LinkDown { node: usize, peer: usize, link: u32 },
    Arrives { from: usize, to: usize, link: u32, message: Message },
    PushFailed { node: usize, peer: usize, link: u32 },
    SessionFailed(u64),
}

/// A comparison under way.
struct Session {
    from: usize,
    to: usize,
    link: u32,
    set: Arc<RecordSet>,
    initiator: Initiator,
    /// Messages that have still to arrive.
    open: usize,
}

/// All devices and what is between them.
pub(crate) struct World {
    pub(crate) now: Millis,
    pub(crate) weather: Weather,
    pub(crate) tally: Tally,
    pub(crate) rng: StdRng,
    network: NetworkId,
    nodes: Vec<Node>,
    by_id: HashMap<DeviceId, usize>,
    /// Number of the present link of each pair, the smaller index first; even: there is none.
    links: Vec<u32>,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    happenings: HashMap<u64, Happening>,
    sessions: BTreeMap<u64, Session>,
    counter: u64,
    written: usize,
}

impl World {
    /// `count` devices that belong to one network, all of whom know its first record, each with a clock that is up to
    /// `skew` off. Nobody is linked.
    pub(crate) fn new(seed: u64, count: usize, skew: Millis, weather: Weather) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let secrets: Vec<SecretKey> = (0..count).map(|_| SecretKey::from_bytes(&rng.random())).collect();
        let genesis = Genesis {
            name: NetworkName::parse("Home").expect("a name"),
            kind: NetworkKind::Open,
            founder_name: DeviceName::parse("Founder").expect("a name"),
            founder_os: "linux".to_owned(),
            nonce: rng.random(),
        };
        let first = Record::found(&secrets[0], Clock::default().tick(DAWN), genesis).expect("a record");
        let mut world = Self {
            now: DAWN,
            weather,
            tally: Tally::default(),
            network: first.network(),
            nodes: Vec::new(),
            by_id: HashMap::new(),
            links: vec![0; count * count],
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            sessions: BTreeMap::new(),
            counter: 0,
            written: 1,
            rng,
        };
        for (index, secret) in secrets.into_iter().enumerate() {
            let id = DeviceId::from(secret.public());
            world.by_id.insert(id, index);
            let skew = if skew == 0 { 0 } else { world.rng.random_range(-skew..=skew) };
            world.nodes.push(Node {
                id,
                secret,
                skew,
                records: Vec::new(),
                known: HashMap::new(),
                set: Arc::default(),
                shelf: None,
                seq: u64::from(index == 0),
                clock: Clock::default(),
                refused: Refused::default(),
                spread: Spread::new(id),
                up: true,
                part: 0,
                tick: None,
            });
            world.take(index, std::slice::from_ref(&first), None);
        }
        world
    }

    /// A world about documents: all devices are members, and have none yet.
    pub(crate) fn of_documents(seed: u64, count: usize, skew: Millis, weather: Weather) -> Self {
        let mut world = Self::new(seed, count, skew, weather);
        for node in &mut world.nodes {
            node.shelf = Some(Shelf::default());
            node.set = Arc::default();
            node.records.clear();
            node.known.clear();
        }
        world.written = 0;
        world
    }

    /// A device writes a document. Gives back the record.
    pub(crate) fn edit(&mut self, node: usize, entry: Entry) -> Record {
        self.write(node, Body::Document(entry));
        self.nodes[node].records.last().cloned().expect("it was just written")
    }

    /// Whether a device has come by a document, standing or not.
    pub(crate) fn has_seen(&self, node: usize, record: &RecordId) -> bool {
        self.nodes[node].known.contains_key(record)
    }

    /// The documents that a device shows.
    pub(crate) fn shelf(&self, node: usize) -> &Shelf {
        self.nodes[node].shelf.as_ref().expect("a world about documents")
    }

    /// Every device buries the tombstones that are old enough by its own clock.
    pub(crate) fn bury_all(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.up) {
            if let Some(shelf) = &mut node.shelf {
                shelf.bury(0, self.now + node.skew);
                node.set = shelf.set().clone();
            }
        }
    }

    /// Whether a device is up.
    pub(crate) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].up
    }

    /// Runs until all devices show the same documents; how long that took, in virtual milliseconds.
    pub(crate) fn settle_documents(&mut self, most: Millis) -> Result<Millis, String> {
        let start = self.now;
        while self.now - start <= most {
            let first = self.shelf(0).digest();
            if (1..self.nodes.len()).all(|node| self.shelf(node).digest() == first) {
                return Ok(self.now - start);
            }
            self.run_for(SECOND / 4);
        }
        let shown: Vec<usize> = (0..self.nodes.len()).map(|node| self.shelf(node).len()).collect();
        Err(format!("not equal after {} s; entries: {shown:?}", most / SECOND))
    }

    // ---- what a test does --------------------------------------------------------------------------------------

    /// Sets how far a device's clock is off.
    pub(crate) fn set_skew(&mut self, node: usize, skew: Millis) {
        self.nodes[node].skew = skew;
    }

    /// How many records there are in the world.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// A device says something.
    pub(crate) fn write(&mut self, node: usize, body: Body) {
        self.write_all(node, vec![body]);
    }

    /// A device says several things in one breath.
    fn write_all(&mut self, node: usize, bodies: Vec<Body>) {
        let writer = &mut self.nodes[node];
        let mut sign = |body| {
            writer.seq += 1;
            let hlc = writer.clock.tick(self.now + writer.skew);
            Record::sign(&writer.secret, self.network, writer.seq, hlc, body).expect("a record")
        };
        let records: Vec<Record> = bodies.into_iter().map(&mut sign).collect();
        self.written += records.len();
        self.take(node, &records, None);
    }

    /// The founder admits everybody, some as owners and managers.
    pub(crate) fn admit_all(&mut self) {
        let role = |index: usize| [Role::Owner, Role::Manager, Role::Member, Role::Member][index % 4];
        let admit_one = |(index, node): (usize, &Node)| admit(node.id, index, role(index));
        let bodies = self.nodes.iter().enumerate().skip(1).map(admit_one).collect();
        self.write_all(0, bodies);
    }

    /// A random device that is up says `count` random things: honest, contradictory or without authority.
    pub(crate) fn write_something(&mut self, count: usize) {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].up).collect();
        let Some(author) = up.get(self.rng.random_range(0..up.len().max(1))).copied() else { return };
        let bodies = (0..count).map(|_| self.something()).collect();
        self.write_all(author, bodies);
    }

    fn something(&mut self) -> Body {
        let n = self.rng.random_range(0..40usize);
        let ghost = DeviceId::of_secret(&[u8::try_from(n).unwrap_or(0) + 1; 32]);
        let member = self.nodes[self.rng.random_range(0..self.nodes.len())].id;
        let role = [Role::Member, Role::Manager, Role::Owner][n % 3];
        match self.rng.random_range(0..20) {
            0..=9 => Body::DeviceInfo(DeviceInfo { name: device_name(n), os: "linux".to_owned() }),
            10..=13 => admit(ghost, n, Role::Member),
            14 => Body::Remove(Remove { device: ghost, last_seq: 0 }),
            15 => Body::Remove(Remove { device: member, last_seq: self.rng.random_range(0..10) }),
            16 => Body::Role(myownmesh_mesh::proto::record::SetRole { device: member, role, last_seq: 1_000 }),
            17 => Body::Rename(Rename { name: NetworkName::parse(&format!("Home {n}")).expect("a name") }),
            18 => Body::Unknown { kind: 99, payload: vec![7; n * 20] },
            _ => Body::Settings(NetworkSettings { announce: n % 2 == 0, ..NetworkSettings::default() }),
        }
    }

    /// Deals the devices into parts that do not reach each other. One part: all do.
    pub(crate) fn partition(&mut self, parts: usize) {
        for node in 0..self.nodes.len() {
            self.nodes[node].part = self.rng.random_range(0..parts);
        }
        self.relink();
    }

    /// Ends a device's process: what was on its way is lost, its records stay.
    pub(crate) fn stop(&mut self, node: usize) {
        let stopped = &mut self.nodes[node];
        stopped.up = false;
        stopped.spread = Spread::new(stopped.id);
        stopped.refused.clear();
        stopped.tick = None;
        self.relink();
    }

    /// Starts it again.
    pub(crate) fn start(&mut self, node: usize) {
        self.nodes[node].up = true;
        self.relink();
    }

    /// All those who can reach each other do, and nobody else.
    pub(crate) fn relink(&mut self) {
        for low in 0..self.nodes.len() {
            for high in low + 1..self.nodes.len() {
                let (a, b) = (&self.nodes[low], &self.nodes[high]);
                // Not every pair can reach each other; the founder reaches everybody.
                let possible = low == 0 || (low * 31 + high * 17) % 100 < self.weather.reach;
                let reach = possible && a.up && b.up && a.part == b.part;
                let link = &mut self.links[low * self.nodes.len() + high];
                if (*link % 2 == 1) == reach {
                    continue;
                }
                *link += 1;
                let link = *link;
                for (node, peer) in [(low, high), (high, low)] {
                    let delay = self.rng.random_range(0..4 * SECOND);
                    let happening = if reach {
                        Happening::LinkUp { node, peer, link }
                    } else {
                        Happening::LinkDown { node, peer, link: link - 1 }
                    };
                    self.plan(delay, happening);
                }
            }
        }
    }

    /// Lets virtual time pass.
    pub(crate) fn run_for(&mut self, span: Millis) {
        let end = self.now + span;
        while let Some(Reverse((at, number))) = self.queue.peek().copied()
            && at <= end
        {
            self.queue.pop();
            self.now = self.now.max(at);
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
        }
        self.now = end;
    }

    /// Everybody sleeps for this long.
    pub(crate) fn sleep(&mut self, span: Millis) {
        self.now += span;
    }

    /// Runs until every device has every record; how long that took, in virtual milliseconds.
    pub(crate) fn settle(&mut self, most: Millis) -> Result<Millis, String> {
        let start = self.now;
        while self.now - start <= most {
            if self.nodes.iter().all(|node| node.records.len() == self.written) {
                return Ok(self.now - start);
            }
            self.run_for(SECOND / 4);
        }
        let behind: Vec<usize> = self.nodes.iter().map(|node| self.written - node.records.len()).collect();
        Err(format!("not equal after {} s; lacking: {behind:?}", most / SECOND))
    }

    /// What each device makes of its records, folded in the order in which they came.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = Membership> {
        self.nodes.iter().map(|node| fold(self.network, &node.records).expect("a network"))
    }

    /// Whether all sets are equal, record by record.
    pub(crate) fn all_equal(&self) -> bool {
        let known = |node: &Node| node.known.keys().copied().collect::<std::collections::BTreeSet<_>>();
        let first = known(&self.nodes[0]);
        self.nodes.iter().all(|node| known(node) == first && node.set.len() == first.len())
    }

    // ---- how it goes -------------------------------------------------------------------------------------------

    fn plan(&mut self, delay: Millis, happening: Happening) {
        self.counter += 1;
        self.queue.push(Reverse((self.now + delay, self.counter)));
        self.happenings.insert(self.counter, happening);
    }

    fn link(&self, a: usize, b: usize) -> u32 {
        self.links[a.min(b) * self.nodes.len() + a.max(b)]
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(node) => {
                if self.nodes[node].tick.is_some_and(|at| at <= self.now) {
                    self.nodes[node].tick = None;
                    self.tell(node, Event::Tick);
                }
            }
            Happening::LinkUp { node, peer, link } => {
                if self.link(node, peer) == link {
                    self.tell(node, Event::LinkUp(self.nodes[peer].id));
                }
            }
            Happening::LinkDown { node, peer, link } => {
                // A newer link may have been told already.
                if self.link(node, peer) <= link + 1 {
                    self.tell(node, Event::LinkDown(self.nodes[peer].id));
                }
            }
            Happening::PushFailed { node, peer, link } => {
                if self.link(node, peer) == link {
                    self.tell(node, Event::PushFailed(self.nodes[peer].id));
                }
            }
            Happening::SessionFailed(session) => self.end_session(session, false),
            Happening::Arrives { from, to, link, message } => {
                if self.link(from, to) == link {
                    self.receive(from, to, message);
                } else if let Some(session) = message.session() {
                    self.end_session(session, false);
                }
            }
        }
    }

    /// Sends a message into the weather.
    fn send(&mut self, from: usize, to: usize, link: u32, message: Message) {
        let mut times = 1;
        if self.chance(self.weather.lost) {
            self.tally.lost += 1;
            let failed = match message.session() {
                Some(session) => Happening::SessionFailed(session),
                None => Happening::PushFailed { node: from, peer: to, link },
            };
            self.plan(TIMEOUT, failed);
            return;
        }
        if self.chance(self.weather.doubled)
            && let Message::Push(records) = &message
        {
            self.tally.doubled += 1;
            times = 2;
            let (delay, message) = (self.delay(), Message::Push(records.clone()));
            self.plan(delay, Happening::Arrives { from, to, link, message });
        }
        let delay = self.delay();
        // It may have come, and its answer not: the sender cannot tell.
        if times == 1 && message.session().is_none() && self.chance(self.weather.lost) {
            self.plan(TIMEOUT, Happening::PushFailed { node: from, peer: to, link });
        }
        self.plan(delay, Happening::Arrives { from, to, link, message });
    }

    fn chance(&mut self, of_thousand: u32) -> bool {
        of_thousand > 0 && self.rng.random_range(0..1_000) < of_thousand
    }

    fn delay(&mut self) -> Millis {
        self.rng.random_range(1..=self.weather.latency)
    }

    /// Gives an event to a device's state machine, and does what it says.
    fn tell(&mut self, index: usize, event: Event) {
        let effects = self.ask(index, event);
        self.follow(index, effects, &Arc::from([]));
    }

    fn ask(&mut self, index: usize, event: Event) -> Vec<Effect> {
        let node = &mut self.nodes[index];
        if !node.up {
            return Vec::new();
        }
        let effects = node.spread.handle(event, self.now + node.skew, &mut self.rng);
        let due = node.spread.deadline().map(|due| (due - node.skew).max(self.now));
        if let Some(due) = due.filter(|due| node.tick.is_none_or(|tick| *due < tick)) {
            node.tick = Some(due);
            self.plan(due - self.now, Happening::Tick(index));
        }
        effects
    }

    fn follow(&mut self, index: usize, effects: Vec<Effect>, added: &Arc<[Record]>) {
        for effect in effects {
            match effect {
                Effect::Push { to } => {
                    let bytes: usize = added.iter().map(|record| record.as_bytes().len() + 2).sum();
                    for peer in to {
                        self.tally.pushes += 1;
                        self.tally.push_bytes += (bytes + ENVELOPE) as u64;
                        let to = self.by_id[&peer];
                        self.send(index, to, self.link(index, to), Message::Push(added.clone()));
                    }
                }
                Effect::Reconcile { with } => self.begin_session(index, self.by_id[&with]),
            }
        }
    }

    /// Takes records in, as the mesh's actor does.
    fn take(&mut self, index: usize, records: &[Record], from: Option<usize>) -> usize {
        let node = &mut self.nodes[index];
        let now = self.now + node.skew;
        let (mut added, mut unburied) = (Vec::new(), false);
        for record in records {
            if node.has(&record.id()) || node.refused.contains(&record.id(), now) {
                continue;
            }
            if node.clock.observe(record.hlc(), now).is_err() {
                // One's own clock may be the broken one; its own words are kept all the same.
                if from.is_some() {
                    self.tally.refused += 1;
                    node.refused.add(record.id(), record.hlc().believed_from());
                    continue;
                }
            }
            node.known.insert(record.id(), node.records.len());
            node.records.push(record.clone());
            let Some(shelf) = &mut node.shelf else {
                Arc::make_mut(&mut node.set).insert(record);
                added.push(record.clone());
                continue;
            };
            let head = Head::of(record).expect("a document");
            match shelf.take(head) {
                Outcome::Stands { .. } => added.push(record.clone()),
                Outcome::Unburied { .. } => unburied = true,
                Outcome::Superseded | Outcome::Known => {}
                Outcome::Refused(full) => panic!("{full}"),
            }
            shelf.arrived(&record.id(), node.records.len() as u64);
            node.set = shelf.set().clone();
        }
        if let Some(from) = from.filter(|_| unburied) {
            let peer = self.nodes[from].id;
            self.tell(index, Event::PushFailed(peer));
        }
        let count = added.len();
        if count > 0 {
            let urgent = added.iter().any(|record| record.body().takes_power());
            let from = from.map(|from| self.nodes[from].id);
            let effects = self.ask(index, Event::Added { from, urgent });
            self.follow(index, effects, &added.into());
        }
        count
    }

    // ---- comparisons -------------------------------------------------------------------------------------------

    fn begin_session(&mut self, from: usize, to: usize) {
        let set = self.nodes[from].set.clone();
        let (initiator, question) = Initiator::start(&set).expect("a start");
        self.counter += 1;
        let (number, link) = (self.counter, self.link(from, to));
        self.tally.reconciliations += 1;
        self.sessions.insert(number, Session { from, to, link, set, initiator, open: 0 });
        self.say(number, true, Message::Question(number, question));
    }

    /// Sends a message of a comparison, from its initiator or back.
    fn say(&mut self, number: u64, forth: bool, message: Message) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.open += 1;
        let (from, to) = if forth { (session.from, session.to) } else { (session.to, session.from) };
        let link = session.link;
        match &message {
            Message::Question(_, bytes) | Message::Answer(_, bytes) => {
                self.tally.reconcile_bytes += (bytes.len() + ENVELOPE) as u64;
            }
            Message::Fetch(_, ids) => self.tally.reconcile_bytes += (ids.len() * 32 + ENVELOPE) as u64,
            Message::Repair(_, records) | Message::Push(records) => {
                let bytes: usize = records.iter().map(|record| record.as_bytes().len() + 2).sum();
                self.tally.repair_bytes += (bytes + ENVELOPE) as u64;
            }
        }
        self.send(from, to, link, message);
    }

    fn end_session(&mut self, number: u64, ok: bool) {
        let Some(session) = self.sessions.remove(&number) else { return };
        self.tally.cut_short += u64::from(!ok);
        let rounds = session.initiator.rounds();
        self.tally.rounds += rounds as u64;
        self.tally.most_rounds = self.tally.most_rounds.max(rounds);
        if self.link(session.from, session.to) == session.link {
            self.tell(session.from, Event::ReconcileEnded { with: self.nodes[session.to].id, ok });
        }
    }

    fn receive(&mut self, from: usize, to: usize, message: Message) {
        let number = message.session();
        match message {
            Message::Push(records) => drop(self.take(to, &records, Some(from))),
            Message::Question(number, question) => {
                let answer = respond(&self.nodes[to].set, &question).expect("an answer");
                self.say(number, false, Message::Answer(number, answer));
            }
            Message::Answer(number, answer) => self.step(number, &answer),
            Message::Fetch(number, ids) => {
                let records = self.records_of(to, &ids);
                self.say(number, false, Message::Repair(number, records));
            }
            Message::Repair(_, records) => self.tally.repaired += self.take(to, &records, Some(from)) as u64,
        }
        if let Some(number) = number
            && let Some(session) = self.sessions.get_mut(&number)
        {
            session.open -= 1;
            if session.open == 0 {
                self.end_session(number, true);
            }
        }
    }

    /// The initiator takes an answer in.
    fn step(&mut self, number: u64, answer: &[u8]) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let step = session.initiator.step(&session.set, answer).expect("a step");
        let from = session.from;
        let node = &self.nodes[from];
        let known = |id: &RecordId| node.has(id);
        let mut need = node.refused.filter(step.need, self.now + node.skew);
        need.retain(|id| !known(id));
        let have = self.records_of(from, &step.have);
        if !have.is_empty() {
            self.say(number, true, Message::Repair(number, have));
        }
        if !need.is_empty() {
            self.say(number, true, Message::Fetch(number, need));
        }
        if let Some(next) = step.next {
            self.say(number, true, Message::Question(number, next));
        }
    }

    fn records_of(&self, index: usize, ids: &[RecordId]) -> Arc<[Record]> {
        let node = &self.nodes[index];
        ids.iter().filter_map(|id| node.known.get(id)).map(|at| node.records[*at].clone()).collect()
    }
}

impl Message {
    fn session(&self) -> Option<u64> {
        match self {
            Self::Push(_) => None,
            Self::Question(number, _) | Self::Answer(number, _) => Some(*number),
            Self::Fetch(number, _) | Self::Repair(number, _) => Some(*number),
        }
    }
}

fn device_name(n: usize) -> DeviceName {
    DeviceName::parse(&format!("Device {n}")).expect("a name")
}

fn admit(device: DeviceId, n: usize, role: Role) -> Body {
    Body::Admit(Admit { device, name: device_name(n), os: "linux".to_owned(), role, via: Via::Knock })
}
