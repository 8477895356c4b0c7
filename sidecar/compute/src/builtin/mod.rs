//! The built-in engine: llama-server, one child per loaded model, started by the first request that needs it and ended
//! when nobody has asked for a while, when another model needs its memory (`room`), or when a person says so.
//!
//! [`Builtin`] is state owned by the actor; it starts tasks and is told of their ends, and never waits. A child that is
//! answering is not ended but for its file being gone or the daemon ending: whoever asked holds an [`InUse`].

mod child;
mod locate;
mod model;
mod room;
mod scan;
mod supervisor;
mod tail;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use child::{ChildEvent, ExitWatch};
pub(crate) use scan::ModelFiles;
pub use scan::{DEMO_MODEL, model_id};

pub(crate) use model::{Freed, InUse};

use self::child::{ChildNews, ExitReport, Plan};
use self::model::{LiveChild, Model};
use self::room::Memory;
use self::supervisor::{MAX_RESTARTS, Next, Phase, WINDOW};
use crate::config::Tuning;
use crate::forward::RouteReply;
use crate::platform::{Spawner, private_dir};
use crate::{
    BuiltinConfig, ComputeError, EngineId, EngineInfo, EngineKind, EngineState, Hardware, ModelInfo, ModelState,
    Purpose,
};

/// Where it is answered that a model is out of memory.
pub(crate) type UnloadReply = oneshot::Sender<Result<(), ComputeError>>;

/// The built-in engine's state.
pub(crate) struct Builtin {
    config: BuiltinConfig,
    tuning: Tuning,
    binary: Result<PathBuf, String>,
    spawner: Spawner,
    client: reqwest::Client,
    models: BTreeMap<String, Model>,
    children: JoinSet<()>,
    events: mpsc::Sender<ChildEvent>,
    stop: CancellationToken,
    generation: u64,
    memory: Memory,
    /// Models that wait for room, the first first.
    queue: VecDeque<String>,
    pinned: BTreeSet<String>,
    /// Where answers say that they have ended.
    freed: mpsc::UnboundedSender<Freed>,
    /// Bytes a second that the last large model was loaded with.
    rate: Option<u64>,
}

impl Builtin {
    /// Sets up; loads nothing.
    pub(crate) fn new(
        config: BuiltinConfig,
        tuning: Tuning,
        client: reqwest::Client,
        events: mpsc::Sender<ChildEvent>,
        freed: mpsc::UnboundedSender<Freed>,
    ) -> Result<Self, ComputeError> {
        let setup = |what: String| move |error: std::io::Error| ComputeError::Setup { what, cause: error.to_string() };
        private_dir(&config.run_dir).map_err(setup(format!("making the folder {}", config.run_dir.display())))?;
        let spawner = Spawner::start().map_err(setup("starting a thread".to_owned()))?;
        let binary = locate::locate(config.binary.as_deref(), |name| std::env::var_os(name));
        let (memory, pinned) = (Memory::new(config.memory_bytes), config.pinned.clone());
        Ok(Self {
            config,
            tuning,
            binary,
            spawner,
            client,
            models: BTreeMap::new(),
            children: JoinSet::new(),
            events,
            stop: CancellationToken::new(),
            generation: 0,
            memory,
            queue: VecDeque::new(),
            pinned,
            freed,
            rate: None,
        })
    }

    /// A closure that reads the model folders; it blocks, so it is to run off the runtime.
    pub(crate) fn scanner(&self) -> impl FnOnce() -> ModelFiles + Send + 'static {
        let (dirs, demo) = (self.config.model_dirs.clone(), self.config.demo_model.clone());
        let before: ModelFiles = self.models.iter().map(|(id, model)| (id.clone(), model.file.clone())).collect();
        move || scan::scan(&dirs, demo.as_deref(), &before)
    }

    /// Takes what a scan found. A model whose file is gone is unloaded; one whose file changed may be tried again.
    pub(crate) fn found(&mut self, files: ModelFiles, now: Instant) {
        self.models.retain(|id, model| {
            let stays = files.contains_key(id);
            if !stays {
                model.answer_all(|| Err(ComputeError::ModelNotFound { model: id.clone() }));
                model.unloads.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
                model.end();
            }
            stays
        });
        for (id, file) in files {
            match self.models.get_mut(&id) {
                Some(model) if model.file.same_content(&file) => {}
                Some(model) => {
                    model.file = file;
                    model.forgive();
                }
                None => {
                    self.models.insert(id, Model::new(file, now));
                }
            }
        }
        self.admit(now);
    }

    /// Takes what the device is made of, which tells how much memory models may take.
    pub(crate) fn made_of(&mut self, hardware: &Hardware, now: Instant) {
        self.memory.made_of(hardware);
        self.admit(now);
    }

    /// A person asks to try again: looks for the binary once more and forgets failures.
    pub(crate) fn forgive(&mut self) {
        self.binary = locate::locate(self.config.binary.as_deref(), |name| std::env::var_os(name));
        self.models.values_mut().for_each(Model::forgive);
    }

    /// Whether there is something to run.
    pub(crate) fn check(&self) -> Result<(), ComputeError> {
        self.binary.as_ref().map(|_| ()).map_err(|reason| no_binary(reason))
    }

    /// Whether there is a model with this id, and whether it can be used.
    pub(crate) fn has(&self, id: &str) -> Option<bool> {
        self.models.get(id).map(|model| model.supervisor.phase() != Phase::Failed && self.binary.is_ok())
    }

    /// Answers with the way to `id`, now or when it is loaded.
    pub(crate) fn route(&mut self, id: &str, wants_embedding: bool, reply: RouteReply, now: Instant) {
        let Some(model) = self.models.get_mut(id) else {
            return reply.send(Err(ComputeError::ModelNotFound { model: id.to_owned() }));
        };
        if let Err(reason) = &self.binary {
            return reply.send(Err(no_binary(reason)));
        }
        if let Some(error) = model.unsuitable(id, wants_embedding) {
            return reply.send(Err(error));
        }
        match model.supervisor.phase() {
            Phase::Ready => {
                if let Some(target) = model.lend(id, &self.client, &self.freed, now) {
                    return reply.send(Ok(target));
                }
            }
            Phase::Failed => return reply.send(Err(model.failure(id))),
            Phase::Stopped => {
                model.supervisor.hold();
                self.queue.push_back(id.to_owned());
            }
            // Once it has ended it is wanted again; until then there is nothing to do.
            Phase::Ending { .. } => {
                let _ = model.supervisor.want();
            }
            Phase::Waiting | Phase::Loading | Phase::Pausing(_) => {}
        }
        model.waiters.push(reply);
        self.admit(now);
    }

    /// Takes a model out of memory, and answers when it is. Answers that it is giving are let end; requests that come
    /// meanwhile wait for it to be loaded again.
    pub(crate) fn unload(&mut self, id: &str, reply: UnloadReply, now: Instant) {
        let Some(model) = self.models.get_mut(id) else {
            // Here and below: who asked may be gone.
            let _ = reply.send(Err(ComputeError::ModelNotFound { model: id.to_owned() }));
            return;
        };
        if matches!(model.supervisor.phase(), Phase::Waiting | Phase::Loading | Phase::Pausing(_)) {
            model.answer_all(|| Err(ComputeError::Unloaded { model: id.to_owned() }));
        }
        model.reason = model.reason.take().filter(|_| model.supervisor.phase() == Phase::Failed);
        if model.supervisor.stop() {
            model.unloads.push(reply);
            model.end_when_free();
        } else {
            let _ = reply.send(Ok(()));
        }
        self.admit(now);
    }

    /// Keeps a model in memory, once it is there, or no longer.
    pub(crate) fn pin(&mut self, id: String, on: bool) {
        if on {
            self.pinned.insert(id);
        } else {
            self.pinned.remove(&id);
        }
    }

    /// An answer has ended.
    pub(crate) fn freed(&mut self, freed: &Freed, now: Instant) {
        if let Some(model) = self.models.get_mut(&freed.model) {
            model.freed(freed.generation, now);
        }
        self.admit(now);
    }

    /// Takes the news of a child. News of a child that was given up for another is old and dropped.
    pub(crate) fn news(&mut self, event: ChildEvent, now: Instant) {
        let Some(model) = self.models.get_mut(&event.model) else { return };
        let Some(child) = model.child.as_mut().filter(|child| child.generation == event.generation) else { return };
        match event.what {
            ChildNews::Ready(running) => {
                let took = now.saturating_duration_since(child.started);
                child.running = Some(running);
                model.supervisor.ready();
                if model.supervisor.phase() != Phase::Ready {
                    // It was told to end just then.
                    return;
                }
                model.reason = None;
                self.rate = model.rate(took, self.tuning.measured_from).or(self.rate);
                for waiter in std::mem::take(&mut model.waiters) {
                    if let Some(target) = model.lend(&event.model, &self.client, &self.freed, now) {
                        waiter.send(Ok(target));
                    }
                }
                self.admit(now);
            }
            ChildNews::Ended(report) => {
                model.child = None;
                if matches!(model.supervisor.phase(), Phase::Ending { .. }) {
                    let again = model.supervisor.gone();
                    model.unloads.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
                    if again {
                        model.supervisor.hold();
                        self.queue.push_back(event.model);
                    }
                    return self.admit(now);
                }
                let Some(ending) = report.ending else { return };
                match model.supervisor.ended(ending, now) {
                    Next::GiveUp => {
                        model.reason = Some(given_up(&report, ending == supervisor::Ending::Crashed));
                        let error = model.failure(&event.model);
                        tracing::warn!(%error, "model given up");
                        model.answer_all(|| Err(error.clone()));
                    }
                    Next::Pause => model.reason = Some(format!("llama-server {}; starting it again", report.cause)),
                    Next::Start | Next::Nothing => {}
                }
                self.admit(now);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let restarts = self.models.values().filter_map(|model| model.supervisor.due());
        let looks = self.models.values().filter_map(|model| model.look(self.rate));
        let idle = self.config.idle.and_then(|idle| self.idle_longest().map(|(_, used)| used + idle));
        restarts.chain(looks).chain(idle).min()
    }

    /// Starts what has paused long enough, and ends what nobody has asked for long enough.
    pub(crate) fn tick(&mut self, now: Instant) {
        let due: Vec<String> = self
            .models
            .iter_mut()
            .filter_map(|(id, model)| (model.supervisor.tick(now) == Next::Start).then(|| id.clone()))
            .collect();
        due.iter().for_each(|id| self.start(id, now));
        self.models.values_mut().for_each(|model| model.looked(now));
        while let (Some(idle), Some((id, used))) = (self.config.idle, self.idle_longest())
            && used + idle <= now
        {
            tracing::info!(model = id, "nobody has asked it for a while");
            self.end(&id);
        }
        // Finished tasks are of no further interest.
        while self.children.try_join_next().is_some() {}
    }

    fn start(&mut self, id: &str, now: Instant) {
        let (Some(model), Ok(binary)) = (self.models.get_mut(id), &self.binary) else { return };
        self.generation += 1;
        let plan = Plan {
            model: id.to_owned(),
            generation: self.generation,
            binary: binary.clone(),
            file: model.file.path.clone(),
            run_dir: self.config.run_dir.clone(),
            threads: self.config.threads,
            context: model.context(),
            embedding: model.purpose() == Purpose::Embedding,
            load: self.tuning.load,
            grace: self.tuning.grace,
        };
        let stop = self.stop.child_token();
        model.child = Some(LiveChild::new(self.generation, stop.clone(), now));
        let task = child::run(plan, self.spawner.clone(), self.client.clone(), stop, self.events.clone());
        self.children.spawn(task);
    }

    /// Tells every child to end. Their ends are awaited with [`join`](Self::join).
    pub(crate) fn begin_shutdown(&mut self) {
        self.stop.cancel();
        for model in self.models.values_mut() {
            model.answer_all(|| Err(ComputeError::Stopping));
        }
    }

    /// Waits until every child has ended; each task ends its child by force when asking did not help.
    pub(crate) async fn join(mut self) {
        while self.children.join_next().await.is_some() {}
    }

    /// The engine as a reader sees it.
    pub(crate) fn info(&self) -> EngineInfo {
        let any = |wanted: fn(&Model) -> bool| self.models.values().any(wanted);
        let (state, reason) = match &self.binary {
            Err(reason) => (EngineState::Failed, Some(no_binary(reason).to_string())),
            Ok(_) if any(|model| model.running().is_some()) => (EngineState::Ready, None),
            Ok(_) if any(|model| model.state() == ModelState::Loading) => (EngineState::Starting, None),
            Ok(_) if self.models.is_empty() => {
                (EngineState::Idle, Some("There is no model on this device.".to_owned()))
            }
            Ok(_) => (EngineState::Idle, None),
        };
        EngineInfo {
            id: EngineId::builtin(),
            kind: EngineKind::LlamaServer,
            url: None,
            state,
            reason,
            models: self.models.keys().cloned().collect(),
            builtin: true,
        }
    }

    /// Its models as a reader sees them.
    pub(crate) fn model_infos(&self) -> impl Iterator<Item = ModelInfo> + '_ {
        let (broken, now) = (self.check().err(), Instant::now());
        self.models.iter().map(move |(id, model)| ModelInfo {
            id: id.clone(),
            engine: EngineId::builtin(),
            state: if broken.is_some() { ModelState::Failed } else { model.state() },
            percent: model.percent(self.rate, now),
            reason: broken.as_ref().map(ToString::to_string).or_else(|| model.reason.clone()),
            context_length: model.context(),
            size_bytes: Some(model.file.size),
            demo: model.file.demo,
            purpose: model.purpose(),
        })
    }
}

fn no_binary(reason: &str) -> ComputeError {
    ComputeError::NoBinary { reason: reason.to_owned() }
}

fn given_up(report: &Arc<ExitReport>, crashed: bool) -> String {
    let lines =
        if report.tail.is_empty() { String::new() } else { format!(" Its last lines: {}.", report.tail.join(" | ")) };
    if crashed {
        let minutes = WINDOW.as_secs() / 60;
        return format!(
            "llama-server {} after {MAX_RESTARTS} restarts within {minutes} minutes.{lines} Test the engine to try again.",
            report.cause
        );
    }
    format!("llama-server {}.{lines} Replace the file, or test the engine to try again.", report.cause)
}
