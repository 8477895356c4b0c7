//! The actor behind [`Compute`](crate::Compute): one task that owns every engine's state.
//!
//! It never waits for an engine. Questions to engines, reading of folders and children run in tasks of their own and
//! report back; whoever needs a model that is loading is answered when it is loaded. A change is published before it is
//! confirmed to whoever asked for it, so that they see it in the next snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::builtin::{Builtin, ChildEvent, Freed, ModelFiles, UnloadReply};
use crate::client::{Clients, Peer};
use crate::config::Tuning;
use crate::external::External;
use crate::forward::{RouteReply, Target};
use crate::probe::{Probe, probe};
use crate::{
    ComputeError, ComputeSnapshot, EngineId, EngineInfo, EngineKind, EngineSpec, EngineState, Hardware, HardwareRoots,
};

/// Where the actor answers a question about one engine.
pub(crate) type InfoReply = oneshot::Sender<Result<EngineInfo, ComputeError>>;

/// What the handle asks of the actor.
pub(crate) enum Message {
    Route {
        model: String,
        wants_embedding: bool,
        reply: RouteReply,
    },
    /// Takes a model of the built-in engine out of memory.
    Unload {
        model: String,
        reply: UnloadReply,
    },
    /// Keeps a model of the built-in engine in memory, or no longer.
    Pin {
        model: String,
        on: bool,
    },
    /// How to ask an engine, and what it is.
    Peer {
        id: EngineId,
        reply: oneshot::Sender<Result<(Peer, EngineKind), ComputeError>>,
    },
    Add {
        spec: Box<EngineSpec>,
        reply: InfoReply,
    },
    Remove {
        id: EngineId,
        reply: oneshot::Sender<Result<(), ComputeError>>,
    },
    Test {
        id: EngineId,
        reply: InfoReply,
    },
    /// `done` is dropped when everything was asked once.
    Refresh {
        done: mpsc::Sender<()>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}

/// Who waits for a task's result.
enum Waiter {
    Nobody,
    Adds(Box<EngineSpec>, InfoReply),
    Tests(InfoReply),
    Refreshes(#[expect(dead_code, reason = "held to be dropped")] mpsc::Sender<()>),
}

/// What a task found out.
enum Done {
    Probed { id: EngineId, generation: u64, answer: Result<Probe, ComputeError>, waiter: Waiter },
    Scanned { files: ModelFiles, waiter: Waiter },
    Looked { hardware: Box<Hardware> },
}

/// The state. See the module's text.
pub(crate) struct Actor {
    inbox: mpsc::Receiver<Message>,
    events: mpsc::Receiver<ChildEvent>,
    freed: mpsc::UnboundedReceiver<Freed>,
    publish: watch::Sender<Arc<ComputeSnapshot>>,
    clients: Clients,
    tuning: Tuning,
    builtin: Option<Builtin>,
    externals: BTreeMap<EngineId, External>,
    tasks: JoinSet<Done>,
    generation: u64,
    rescan: Option<Instant>,
}

impl Actor {
    pub(crate) fn new(
        inbox: mpsc::Receiver<Message>,
        (events, freed): (mpsc::Receiver<ChildEvent>, mpsc::UnboundedReceiver<Freed>),
        publish: watch::Sender<Arc<ComputeSnapshot>>,
        clients: Clients,
        tuning: Tuning,
        builtin: Option<Builtin>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        if builtin.is_some() {
            // Drivers may take their time; until they have told, there is no limit.
            tasks.spawn_blocking(|| Done::Looked { hardware: Box::new(Hardware::read(&HardwareRoots::default())) });
        }
        let rescan = builtin.as_ref().map(|_| Instant::now() + tuning.poll);
        Self {
            inbox,
            events,
            freed,
            publish,
            clients,
            tuning,
            builtin,
            externals: BTreeMap::new(),
            tasks,
            generation: 0,
            rescan,
        }
    }

    /// Takes an engine in without asking it first; it is asked as soon as the actor runs.
    pub(crate) fn insert(&mut self, spec: EngineSpec, discovered: bool) {
        self.generation += 1;
        let id = spec.id.clone();
        self.externals.insert(id, External::new(spec, discovered, self.generation, Instant::now()));
    }

    /// Runs until told to stop, or until every handle is gone; ends the children before it returns.
    pub(crate) async fn run(mut self) {
        let asked = loop {
            self.publish();
            let due = self.due().map(tokio::time::Instant::from_std);
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Some(builtin) = &mut self.builtin {
                        builtin.news(event, Instant::now());
                    }
                }
                Some(freed) = self.freed.recv() => {
                    if let Some(builtin) = &mut self.builtin {
                        builtin.freed(&freed, Instant::now());
                    }
                }
                message = self.inbox.recv() => match message {
                    Some(message) => if let Some(reply) = self.handle(message) { break Some(reply) },
                    None => break None,
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.take(done),
                    Err(error) => tracing::error!(%error, "a task about an engine ended badly"),
                },
                () = wait_until(due) => self.tick(Instant::now()),
            }
        };
        self.shut_down().await;
        if let Some(reply) = asked {
            // The caller may have stopped waiting.
            let _ = reply.send(());
        }
    }

    async fn shut_down(mut self) {
        self.inbox.close();
        self.tasks.abort_all();
        let Some(mut builtin) = self.builtin.take() else { return };
        builtin.begin_shutdown();
        // Children report their end to a channel that must not fill up, so it is emptied meanwhile.
        let mut join = std::pin::pin!(builtin.join());
        loop {
            tokio::select! {
                () = &mut join => return,
                Some(_) = self.events.recv() => {}
            }
        }
    }

    /// Deals with a message; one that asks for the end is handed back.
    fn handle(&mut self, message: Message) -> Option<oneshot::Sender<()>> {
        match message {
            Message::Route { model, wants_embedding, reply } => self.route(&model, wants_embedding, reply),
            Message::Unload { model, reply } => match &mut self.builtin {
                Some(builtin) => builtin.unload(&model, reply, Instant::now()),
                None => drop(reply.send(Err(ComputeError::ModelNotFound { model }))),
            },
            Message::Pin { model, on } => {
                if let Some(builtin) = &mut self.builtin {
                    builtin.pin(model, on);
                }
            }
            Message::Peer { id, reply } => {
                // Who asked may be gone.
                let _ = reply.send(self.peer(&id));
            }
            Message::Add { spec, reply } => self.add(spec, reply),
            Message::Remove { id, reply } => {
                let removed = self.remove(&id);
                self.publish();
                // The caller may have stopped waiting; here and below.
                let _ = reply.send(removed);
            }
            Message::Test { id, reply } => self.test(id, reply),
            Message::Refresh { done } => self.refresh(&done),
            Message::Shutdown { reply } => return Some(reply),
        }
        None
    }

    fn route(&mut self, model: &str, wants_embedding: bool, reply: RouteReply) {
        let here = self.builtin.as_ref().and_then(|builtin| builtin.has(model));
        let external = self.externals.values().find(|engine| engine.has(model));
        match (here, external, &mut self.builtin) {
            (Some(true), _, Some(builtin)) | (Some(false), None, Some(builtin)) => {
                builtin.route(model, wants_embedding, reply, Instant::now());
            }
            (_, Some(engine), _) => {
                let spec = &engine.spec;
                reply.send(self.clients.for_url(&spec.url).map(|client| Target {
                    engine: spec.id.clone(),
                    model: model.to_owned(),
                    url: spec.url.clone(),
                    key: spec.key.clone(),
                    client,
                    ended: None,
                    doubt: None,
                    vital: engine.vital().map(|path| (path, engine.signs.clone())),
                    in_use: None,
                }));
            }
            _ => reply.send(Err(ComputeError::ModelNotFound { model: model.to_owned() })),
        }
    }

    fn peer(&self, id: &EngineId) -> Result<(Peer, EngineKind), ComputeError> {
        let engine = self.externals.get(id).ok_or_else(|| ComputeError::EngineNotFound { id: id.clone() })?;
        let spec = &engine.spec;
        let client = self.clients.for_url(&spec.url)?;
        let peer = Peer { client, url: spec.url.clone(), key: spec.key.clone(), limit: self.tuning.probe };
        Ok((peer, engine.info().kind))
    }

    fn add(&mut self, spec: Box<EngineSpec>, reply: InfoReply) {
        if let Err(error) = self.check_free(&spec) {
            let _ = reply.send(Err(error));
            return;
        }
        let copy = (*spec).clone();
        self.ask(&copy, 0, Waiter::Adds(spec, reply));
    }

    fn check_free(&self, spec: &EngineSpec) -> Result<(), ComputeError> {
        let taken =
            |engine: &&External| !engine.discovered && (engine.spec.id == spec.id || engine.spec.url == spec.url);
        if spec.id == EngineId::builtin() {
            return Err(ComputeError::EngineExists { id: spec.id.clone() });
        }
        match self.externals.values().find(taken) {
            Some(engine) => Err(ComputeError::EngineExists { id: engine.spec.id.clone() }),
            None => Ok(()),
        }
    }

    fn remove(&mut self, id: &EngineId) -> Result<(), ComputeError> {
        if *id == EngineId::builtin() && self.builtin.is_some() {
            return Err(ComputeError::BuiltinStays);
        }
        match self.externals.remove(id) {
            Some(_) => Ok(()),
            None => Err(ComputeError::EngineNotFound { id: id.clone() }),
        }
    }

    fn test(&mut self, id: EngineId, reply: InfoReply) {
        if id == EngineId::builtin() && self.builtin.is_some() {
            return self.scan(Waiter::Tests(reply));
        }
        let known = self.externals.get(&id).map(|engine| (engine.spec.clone(), engine.generation));
        match known {
            Some((spec, generation)) => self.ask(&spec, generation, Waiter::Tests(reply)),
            None => {
                let _ = reply.send(Err(ComputeError::EngineNotFound { id }));
            }
        }
    }

    fn refresh(&mut self, done: &mpsc::Sender<()>) {
        let known: Vec<_> = self.externals.values().map(|engine| (engine.spec.clone(), engine.generation)).collect();
        for (spec, generation) in known {
            self.ask(&spec, generation, Waiter::Refreshes(done.clone()));
        }
        self.scan(Waiter::Refreshes(done.clone()));
    }

    /// Asks an engine in a task of its own.
    fn ask(&mut self, spec: &EngineSpec, generation: u64, waiter: Waiter) {
        let peer = self.clients.for_url(&spec.url).map(|client| Peer {
            client,
            url: spec.url.clone(),
            key: spec.key.clone(),
            limit: self.tuning.probe,
        });
        let (id, kind) = (spec.id.clone(), spec.kind);
        self.tasks.spawn(async move {
            let answer = match peer {
                Ok(peer) => probe(&peer, &id, kind).await,
                Err(error) => Err(error),
            };
            Done::Probed { id, generation, answer, waiter }
        });
    }

    /// Reads the model folders in a thread made for blocking.
    fn scan(&mut self, waiter: Waiter) {
        let Some(builtin) = &self.builtin else { return };
        let scanner = builtin.scanner();
        self.tasks.spawn_blocking(move || Done::Scanned { files: scanner(), waiter });
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Probed { id, generation, answer, waiter } => self.probed(&id, generation, answer, waiter),
            Done::Scanned { files, waiter } => self.scanned(files, waiter),
            Done::Looked { hardware } => {
                if let Some(builtin) = &mut self.builtin {
                    builtin.made_of(&hardware, Instant::now());
                }
            }
        }
    }

    fn probed(&mut self, id: &EngineId, generation: u64, answer: Result<Probe, ComputeError>, waiter: Waiter) {
        let now = Instant::now();
        if let Waiter::Adds(spec, reply) = waiter {
            // Another one with this name may have come meanwhile.
            let added = answer.and_then(|probe| self.check_free(&spec).map(|()| probe)).map(|probe| {
                self.externals.retain(|_, engine| !(engine.discovered && engine.spec.url == spec.url));
                self.insert(*spec, false);
                self.apply(id, self.generation, &Ok(probe), now)
            });
            self.publish();
            let _ = reply.send(added.and_then(|info| info.ok_or(ComputeError::Stopping)));
            return;
        }
        let info = self.apply(id, generation, &answer, now);
        self.publish();
        if let Waiter::Tests(reply) = waiter {
            let gone = || ComputeError::EngineNotFound { id: id.clone() };
            let _ = reply.send(answer.and_then(|_| info.ok_or_else(gone)));
        }
    }

    fn apply(
        &mut self,
        id: &EngineId,
        generation: u64,
        answer: &Result<Probe, ComputeError>,
        now: Instant,
    ) -> Option<EngineInfo> {
        let engine = self.externals.get_mut(id).filter(|engine| engine.generation == generation)?;
        let before = engine.info().state;
        engine.answered(answer, now, &self.tuning);
        let info = engine.info();
        if info.state != before && (info.state == EngineState::Ready || !engine.discovered) {
            tracing::info!(engine = %id, state = ?info.state, reason = info.reason, "engine");
        }
        Some(info)
    }

    fn scanned(&mut self, files: ModelFiles, waiter: Waiter) {
        let Some(builtin) = &mut self.builtin else { return };
        self.rescan = Some(Instant::now() + self.tuning.poll);
        if !matches!(waiter, Waiter::Nobody) {
            builtin.forgive();
        }
        builtin.found(files, Instant::now());
        let told = builtin.check().map(|()| builtin.info());
        self.publish();
        if let Waiter::Tests(reply) = waiter {
            let _ = reply.send(told);
        }
    }

    fn due(&self) -> Option<Instant> {
        let externals = self.externals.values().filter_map(External::due);
        let builtin = self.builtin.as_ref().and_then(Builtin::due);
        externals.chain(builtin).chain(self.rescan).min()
    }

    fn tick(&mut self, now: Instant) {
        if let Some(builtin) = &mut self.builtin {
            builtin.tick(now);
        }
        if self.rescan.is_some_and(|at| at <= now) {
            self.rescan = None;
            self.scan(Waiter::Nobody);
        }
        let mut due = Vec::new();
        for engine in self.externals.values_mut().filter(|engine| engine.due().is_some_and(|at| at <= now)) {
            engine.asking();
            due.push((engine.spec.clone(), engine.generation));
        }
        for (spec, generation) in due {
            self.ask(&spec, generation, Waiter::Nobody);
        }
    }

    /// Shows readers the state, when it is another one than they know.
    pub(crate) fn publish(&self) {
        let snapshot = self.snapshot();
        self.publish.send_if_modified(|shown| {
            let changed = **shown != snapshot;
            if changed {
                *shown = Arc::new(snapshot);
            }
            changed
        });
    }

    fn snapshot(&self) -> ComputeSnapshot {
        let mut snapshot = ComputeSnapshot::default();
        if let Some(builtin) = &self.builtin {
            snapshot.engines.push(builtin.info());
            snapshot.models.extend(builtin.model_infos());
        }
        for engine in self.externals.values().filter(|engine| engine.listed()) {
            snapshot.engines.push(engine.info());
            snapshot.models.extend(engine.models.iter().cloned());
        }
        // A stable sort: the demo goes last, the rest stays in order.
        snapshot.models.sort_by_key(|model| model.demo);
        snapshot
    }
}

async fn wait_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
