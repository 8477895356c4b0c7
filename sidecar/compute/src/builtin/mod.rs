//! The built-in engine: llama-server, one child per loaded model, started by the first request that needs it.
//!
//! [`Builtin`] is state owned by the actor; it starts tasks and is told of their ends, and never waits.

mod child;
mod locate;
mod scan;
mod supervisor;
mod tail;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use child::{ChildEvent, ExitWatch};
pub(crate) use scan::ModelFiles;
pub use scan::{DEMO_MODEL, model_id};

use self::child::{ChildNews, ExitReport, Plan, Running};
use self::scan::ModelFile;
use self::supervisor::{MAX_RESTARTS, Next, Phase, Supervisor, WINDOW};
use crate::config::Tuning;
use crate::forward::{RouteReply, Target};
use crate::platform::{Spawner, private_dir};
use crate::{
    BuiltinConfig, ComputeError, EngineId, EngineInfo, EngineKind, EngineState, ModelInfo, ModelState, Purpose,
};

/// Memory for the key-value cache of one loaded model, in bytes: a model with a longer context is loaded with what
/// fits. An 8 B model with grouped attention gets 8,192 tokens.
const CACHE_BUDGET: u64 = 1 << 30;
/// No model gets less than this many tokens (or all it has), whatever its cache costs.
const MIN_CONTEXT: u64 = 2048;

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
}

struct Model {
    file: ModelFile,
    supervisor: Supervisor,
    reason: Option<String>,
    child: Option<LiveChild>,
    waiters: Vec<RouteReply>,
}

struct LiveChild {
    generation: u64,
    stop: CancellationToken,
    running: Option<Running>,
}

impl Builtin {
    /// Sets up; loads nothing.
    pub(crate) fn new(
        config: BuiltinConfig,
        tuning: Tuning,
        client: reqwest::Client,
        events: mpsc::Sender<ChildEvent>,
    ) -> Result<Self, ComputeError> {
        let setup = |what: String| move |error: std::io::Error| ComputeError::Setup { what, cause: error.to_string() };
        private_dir(&config.run_dir).map_err(setup(format!("making the folder {}", config.run_dir.display())))?;
        let spawner = Spawner::start().map_err(setup("starting a thread".to_owned()))?;
        let binary = locate::locate(config.binary.as_deref(), |name| std::env::var_os(name));
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
        })
    }

    /// A closure that reads the model folders; it blocks, so it is to run off the runtime.
    pub(crate) fn scanner(&self) -> impl FnOnce() -> ModelFiles + Send + 'static {
        let (dirs, demo) = (self.config.model_dirs.clone(), self.config.demo_model.clone());
        let before: ModelFiles = self.models.iter().map(|(id, model)| (id.clone(), model.file.clone())).collect();
        move || scan::scan(&dirs, demo.as_deref(), &before)
    }

    /// Takes what a scan found. A model whose file is gone is unloaded; one whose file changed may be tried again.
    pub(crate) fn found(&mut self, files: ModelFiles) {
        self.models.retain(|id, model| {
            let stays = files.contains_key(id);
            if !stays {
                model.answer_all(|| Err(ComputeError::ModelNotFound { model: id.clone() }));
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
                    self.models.insert(id, Model::new(file));
                }
            }
        }
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
    pub(crate) fn route(&mut self, id: &str, wants_embedding: bool, reply: RouteReply) {
        let Some(model) = self.models.get_mut(id) else {
            return reply.send(Err(ComputeError::ModelNotFound { model: id.to_owned() }));
        };
        if let Err(reason) = &self.binary {
            return reply.send(Err(no_binary(reason)));
        }
        if let Some(error) = model.unsuitable(id, wants_embedding) {
            return reply.send(Err(error));
        }
        if let Some(running) = model.running() {
            return reply.send(Ok(target(id, running, &self.client)));
        }
        if model.supervisor.phase() == Phase::Failed {
            return reply.send(Err(model.failure(id)));
        }
        model.waiters.push(reply);
        if model.supervisor.want() == Next::Start {
            self.start(id);
        }
    }

    /// Takes the news of a child. News of a child that was given up for another is old and dropped.
    pub(crate) fn news(&mut self, event: ChildEvent, now: Instant) {
        let Some(model) = self.models.get_mut(&event.model) else { return };
        let Some(child) = model.child.as_mut().filter(|child| child.generation == event.generation) else { return };
        match event.what {
            ChildNews::Ready(running) => {
                model.supervisor.ready();
                model.reason = None;
                child.running = Some(running.clone());
                model.answer_all(|| Ok(target(&event.model, &running, &self.client)));
            }
            ChildNews::Ended(report) => {
                model.child = None;
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
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.models.values().filter_map(|model| model.supervisor.due()).min()
    }

    /// Starts what has paused long enough.
    pub(crate) fn tick(&mut self, now: Instant) {
        let due: Vec<String> = self
            .models
            .iter_mut()
            .filter_map(|(id, model)| (model.supervisor.tick(now) == Next::Start).then(|| id.clone()))
            .collect();
        due.iter().for_each(|id| self.start(id));
        // Finished tasks are of no further interest.
        while self.children.try_join_next().is_some() {}
    }

    fn start(&mut self, id: &str) {
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
        model.child = Some(LiveChild { generation: self.generation, stop: stop.clone(), running: None });
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
        let broken = self.check().err();
        self.models.iter().map(move |(id, model)| ModelInfo {
            id: id.clone(),
            engine: EngineId::builtin(),
            state: if broken.is_some() { ModelState::Failed } else { model.state() },
            reason: broken.as_ref().map(ToString::to_string).or_else(|| model.reason.clone()),
            context_length: model.context(),
            size_bytes: Some(model.file.size),
            demo: model.file.demo,
            purpose: model.purpose(),
        })
    }
}

impl Model {
    fn new(file: ModelFile) -> Self {
        Self { file, supervisor: Supervisor::new(), reason: None, child: None, waiters: Vec::new() }
    }

    fn running(&self) -> Option<&Running> {
        self.child.as_ref()?.running.as_ref()
    }

    fn answer_all(&mut self, answer: impl Fn() -> Result<Target, ComputeError>) {
        self.waiters.drain(..).for_each(|waiter| waiter.send(answer()));
    }

    fn end(&mut self) {
        if let Some(child) = &self.child {
            child.stop.cancel();
        }
    }

    fn forgive(&mut self) {
        self.supervisor.reset();
        if self.state() == ModelState::Available {
            self.reason = None;
        }
    }

    fn state(&self) -> ModelState {
        match self.supervisor.phase() {
            Phase::Stopped => ModelState::Available,
            Phase::Loading | Phase::Pausing(_) => ModelState::Loading,
            Phase::Ready => ModelState::Ready,
            Phase::Failed => ModelState::Failed,
        }
    }

    fn purpose(&self) -> Purpose {
        let embedding = self.file.header.as_ref().is_some_and(|header| header.embedding);
        if embedding { Purpose::Embedding } else { Purpose::Chat }
    }

    /// Tokens it is loaded with: all it was trained for, unless their cache would not fit the budget.
    fn context(&self) -> Option<u32> {
        let header = self.file.header.as_ref()?;
        let trained = u64::from(header.context_length?);
        let fits = header.cache_bytes_per_token.map_or(8192, |bytes| CACHE_BUDGET / bytes.max(1));
        // Whole blocks of 256, as llama.cpp would round it anyway.
        let chosen = if fits >= trained { trained } else { (fits / 256 * 256).max(MIN_CONTEXT).min(trained) };
        u32::try_from(chosen).ok()
    }

    fn unsuitable(&self, id: &str, wants_embedding: bool) -> Option<ComputeError> {
        let (is, asked) = match (self.purpose(), wants_embedding) {
            (Purpose::Chat, true) => ("a chat model", "make embeddings"),
            (Purpose::Embedding, false) => ("an embedding model", "answer"),
            _ => return None,
        };
        Some(ComputeError::Unsupported { model: id.to_owned(), is, asked })
    }

    fn failure(&self, id: &str) -> ComputeError {
        let reason = self.reason.clone().unwrap_or_else(|| "it failed before.".to_owned());
        ComputeError::ModelFailed { model: id.to_owned(), reason }
    }
}

fn target(id: &str, running: &Running, client: &reqwest::Client) -> Target {
    Target {
        engine: EngineId::builtin(),
        model: id.to_owned(),
        url: running.url.clone(),
        key: Some(running.key.clone()),
        client: client.clone(),
        ended: Some(running.ended.clone()),
        doubt: Some(running.doubt.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::GgufHeader;

    fn with(context: u32, bytes: Option<u64>) -> Option<u32> {
        let header =
            GgufHeader { name: None, context_length: Some(context), cache_bytes_per_token: bytes, embedding: false };
        let file = ModelFile { path: PathBuf::new(), size: 0, modified: None, header: Some(header), demo: false };
        Model::new(file).context()
    }

    #[test]
    fn the_context_fits_the_memory() {
        // 32 layers, 8 key-value heads of 128 numbers, two sides, two bytes.
        let grouped = 32 * 8 * 128 * 2 * 2;
        assert_eq!(with(131_072, Some(grouped)), Some(8192));
        assert_eq!(with(4096, Some(grouped)), Some(4096));
        assert_eq!(with(131_072, Some(u64::MAX)), Some(2048));
        assert_eq!(with(512, Some(u64::MAX)), Some(512));
        assert_eq!(with(262_144, Some(128)), Some(262_144));
        assert_eq!(with(131_072, None), Some(8192));
        assert_eq!(with(1000, None), Some(1000));
    }
}
