//! One model of the built-in engine: its file, its child, and who waits for it or is being answered.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::UnloadReply;
use super::child::Running;
use super::scan::ModelFile;
use super::supervisor::{Phase, Supervisor};
use crate::forward::{RouteReply, Target};
use crate::library::Need;
use crate::{ComputeError, EngineId, ModelState, Purpose};

/// Memory for the key-value cache of one loaded model, in bytes: a model with a longer context is loaded with what
/// fits. An 8 B model with grouped attention gets 8,192 tokens.
const CACHE_BUDGET: u64 = 1 << 30;
/// No model gets less than this many tokens (or all it has), whatever its cache costs.
const MIN_CONTEXT: u64 = 2048;
/// How often it is looked how far loading is.
const LOOK: Duration = Duration::from_secs(1);
/// The most that is told of a model that is still loading: how long the rest takes nobody knows.
const NEARLY: u64 = 95;

/// Held by an answer as long as it runs: the child is not ended meanwhile.
#[derive(Debug)]
pub(crate) struct InUse {
    model: String,
    generation: u64,
    freed: mpsc::UnboundedSender<Freed>,
}

impl Drop for InUse {
    fn drop(&mut self) {
        // The actor is gone only when everything ends.
        let _ = self.freed.send(Freed { model: std::mem::take(&mut self.model), generation: self.generation });
    }
}

/// An answer has ended.
#[derive(Debug)]
pub(crate) struct Freed {
    pub(super) model: String,
    pub(super) generation: u64,
}

/// One model.
pub(super) struct Model {
    pub(super) file: ModelFile,
    pub(super) supervisor: Supervisor,
    pub(super) reason: Option<String>,
    pub(super) child: Option<LiveChild>,
    pub(super) waiters: Vec<RouteReply>,
    /// Who is to be told when its child has ended.
    pub(super) unloads: Vec<UnloadReply>,
    /// When it was asked last, or came into memory.
    pub(super) used: Instant,
}

/// Its child.
pub(super) struct LiveChild {
    pub(super) generation: u64,
    pub(super) stop: CancellationToken,
    pub(super) running: Option<Running>,
    pub(super) started: Instant,
    /// Answers under way.
    answering: usize,
    /// When it is looked next how far loading is.
    look: Instant,
}

impl LiveChild {
    pub(super) fn new(generation: u64, stop: CancellationToken, now: Instant) -> Self {
        Self { generation, stop, running: None, started: now, answering: 0, look: now + LOOK }
    }
}

impl Model {
    pub(super) fn new(file: ModelFile, now: Instant) -> Self {
        let (supervisor, waiters, unloads) = (Supervisor::new(), Vec::new(), Vec::new());
        Self { file, supervisor, reason: None, child: None, waiters, unloads, used: now }
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.child.as_ref()?.running.as_ref()
    }

    /// The way to its child, if that answers, for one request.
    pub(super) fn lend(
        &mut self,
        id: &str,
        client: &reqwest::Client,
        freed: &mpsc::UnboundedSender<Freed>,
        now: Instant,
    ) -> Option<Target> {
        let child = self.child.as_mut()?;
        let running = child.running.as_ref()?;
        child.answering += 1;
        self.used = now;
        let in_use = InUse { model: id.to_owned(), generation: child.generation, freed: freed.clone() };
        Some(Target {
            engine: EngineId::builtin(),
            model: id.to_owned(),
            url: running.url.clone(),
            key: Some(running.key.clone()),
            client: client.clone(),
            ended: Some(running.ended.clone()),
            doubt: Some(running.doubt.clone()),
            vital: None,
            in_use: Some(in_use),
        })
    }

    /// An answer of this child has ended.
    pub(super) fn freed(&mut self, generation: u64, now: Instant) {
        let Some(child) = self.child.as_mut().filter(|child| child.generation == generation) else { return };
        child.answering = child.answering.saturating_sub(1);
        self.used = now;
        if matches!(self.supervisor.phase(), Phase::Ending { .. }) {
            self.end_when_free();
        }
    }

    /// Whether it is in memory and nobody waits for it or is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.supervisor.phase() == Phase::Ready
            && self.waiters.is_empty()
            && self.child.as_ref().is_some_and(|child| child.answering == 0)
    }

    /// Whether somebody still waits for it.
    pub(super) fn is_wanted(&mut self) -> bool {
        self.waiters.retain(|waiter| !waiter.0.is_closed());
        !self.waiters.is_empty()
    }

    /// Tells its child to end, unless it is answering.
    pub(super) fn end_when_free(&mut self) {
        if self.child.as_ref().is_some_and(|child| child.answering == 0) {
            self.end();
        }
    }

    /// Tells its child to end.
    pub(super) fn end(&mut self) {
        if let Some(child) = &self.child {
            child.stop.cancel();
        }
    }

    pub(super) fn answer_all(&mut self, answer: impl Fn() -> Result<Target, ComputeError>) {
        self.waiters.drain(..).for_each(|waiter| waiter.send(answer()));
    }

    pub(super) fn forgive(&mut self) {
        self.supervisor.reset();
        if self.state() == ModelState::Available {
            self.reason = None;
        }
    }

    pub(super) fn state(&self) -> ModelState {
        match self.supervisor.phase() {
            Phase::Stopped | Phase::Ending { again: false } => ModelState::Available,
            Phase::Waiting | Phase::Loading | Phase::Pausing(_) | Phase::Ending { again: true } => ModelState::Loading,
            Phase::Ready => ModelState::Ready,
            Phase::Failed => ModelState::Failed,
        }
    }

    /// Bytes a second that it was loaded with; none for a file of less than `from` bytes, with which starting the process
    /// takes longer than reading it.
    pub(super) fn rate(&self, took: Duration, from: u64) -> Option<u64> {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        (self.file.size >= from).then(|| self.file.size.saturating_mul(1000) / millis).filter(|rate| *rate > 0)
    }

    /// How far loading should be at this rate.
    pub(super) fn percent(&self, rate: Option<u64>, now: Instant) -> Option<u8> {
        let child = self.child.as_ref().filter(|_| self.supervisor.phase() == Phase::Loading)?;
        let millis = now.saturating_duration_since(child.started).as_millis();
        let read = u128::from(rate?) * millis / 1000;
        let percent = (read * 100 / u128::from(self.file.size.max(1))).min(NEARLY.into());
        u8::try_from(percent / 5 * 5).ok()
    }

    /// When there may be more to tell of its loading.
    pub(super) fn look(&self, rate: Option<u64>) -> Option<Instant> {
        let child = self.child.as_ref().filter(|_| self.supervisor.phase() == Phase::Loading)?;
        rate.map(|_| child.look)
    }

    /// It was looked.
    pub(super) fn looked(&mut self, now: Instant) {
        if let Some(child) = self.child.as_mut().filter(|child| child.look <= now) {
            child.look = now + LOOK;
        }
    }

    pub(super) fn purpose(&self) -> Purpose {
        let embedding = self.file.header.as_ref().is_some_and(|header| header.embedding);
        if embedding { Purpose::Embedding } else { Purpose::Chat }
    }

    /// Tokens it is loaded with: all it was trained for, unless their cache would not fit the budget.
    pub(super) fn context(&self) -> Option<u32> {
        let header = self.file.header.as_ref()?;
        let trained = u64::from(header.context_length?);
        let fits = header.cache_bytes_per_token.map_or(8192, |bytes| CACHE_BUDGET / bytes.max(1));
        // Whole blocks of 256, as llama.cpp would round it anyway.
        let chosen = if fits >= trained { trained } else { (fits / 256 * 256).max(MIN_CONTEXT).min(trained) };
        u32::try_from(chosen).ok()
    }

    /// Memory that it takes when it is loaded, in bytes.
    pub(super) fn needs(&self) -> u64 {
        let per_token = self.file.header.as_ref().and_then(|header| header.cache_bytes_per_token).unwrap_or(0);
        let cache = per_token.saturating_mul(self.context().unwrap_or(0).into());
        Need::of_file(self.file.size, cache).total_bytes()
    }

    pub(super) fn unsuitable(&self, id: &str, wants_embedding: bool) -> Option<ComputeError> {
        let (is, asked) = match (self.purpose(), wants_embedding) {
            (Purpose::Chat, true) => ("a chat model", "make embeddings"),
            (Purpose::Embedding, false) => ("an embedding model", "answer"),
            _ => return None,
        };
        Some(ComputeError::Unsupported { model: id.to_owned(), is, asked })
    }

    pub(super) fn failure(&self, id: &str) -> ComputeError {
        let reason = self.reason.clone().unwrap_or_else(|| "it failed before.".to_owned());
        ComputeError::ModelFailed { model: id.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::gguf::GgufHeader;

    fn model(context: u32, bytes: Option<u64>, size: u64) -> Model {
        let header =
            GgufHeader { name: None, context_length: Some(context), cache_bytes_per_token: bytes, embedding: false };
        let file = ModelFile { path: PathBuf::new(), size, modified: None, header: Some(header), demo: false };
        Model::new(file, Instant::now())
    }

    fn with(context: u32, bytes: Option<u64>) -> Option<u32> {
        model(context, bytes, 0).context()
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

    #[test]
    fn how_far_loading_is_follows_from_how_fast_others_were_loaded() {
        let mut model = model(4096, Some(1000), 1_000_000_000);
        assert_eq!(model.rate(Duration::from_secs(4), 100_000_000), Some(250_000_000));
        assert_eq!(model.rate(Duration::from_secs(4), 2_000_000_000), None, "too small to tell");
        let now = Instant::now();
        let _ = model.supervisor.want();
        model.child = Some(LiveChild::new(1, CancellationToken::new(), now));
        let at = |seconds_hundredths: u64| now + Duration::from_millis(seconds_hundredths * 10);
        let rate = Some(250_000_000);
        assert_eq!(model.percent(None, at(100)), None, "nobody knows yet");
        assert_eq!([0, 99, 100, 390, 9000].map(|at_| model.percent(rate, at(at_))), [0, 20, 25, 95, 95].map(Some));
        model.supervisor.ready();
        assert_eq!(model.percent(rate, at(100)), None);
        assert_eq!(model.needs(), 1_000_000_000 + 4096 * 1000 + 300_000_000);
    }
}
