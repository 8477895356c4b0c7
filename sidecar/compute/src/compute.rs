//! The handle.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::Instrument as _;

use crate::actor::{Actor, Message};
use crate::builtin::Builtin;
use crate::client::{Clients, Peer};
use crate::config::Tuning;
use crate::forward::{RouteReply, Sent};
use crate::{
    ComputeConfig, ComputeError, ComputeSnapshot, EngineId, EngineInfo, EngineKind, EngineResponse, EngineSpec,
    EngineState, EngineUrl, OpenAiPath, Pull, Purpose, Used, ollama,
};

/// Messages that may wait for the actor, which answers each in microseconds.
const INBOX: usize = 256;
/// Uses of models that may wait for whoever keeps count of them.
const USES: usize = 256;
/// Where Ollama listens when it is not told otherwise.
const OLLAMA: &str = "http://127.0.0.1:11434";

/// A handle on all engines of this device; clones share them.
///
/// [`shutdown`](Self::shutdown) ends the built-in engine's children in order and waits for it. Dropping the last handle
/// does the same without waiting.
#[derive(Debug, Clone)]
pub struct Compute {
    inbox: mpsc::Sender<Message>,
    snapshot: watch::Receiver<Arc<ComputeSnapshot>>,
    uses: broadcast::Sender<Used>,
}

impl Compute {
    /// Starts. The models of the built-in engine are in the first snapshot; the state of other engines follows when
    /// they have answered. A built-in engine without a binary is no error here: it is listed as failed, with the reason.
    ///
    /// # Errors
    /// [`ComputeError::Setup`] when the run folder, a thread or an HTTP client cannot be made;
    /// [`ComputeError::EngineExists`] when two engines have one id.
    pub async fn start(config: ComputeConfig) -> Result<Self, ComputeError> {
        let ollama = if config.discover_ollama { Some(EngineUrl::parse(OLLAMA)?) } else { None };
        Self::start_with(config, ollama, Tuning::default()).await
    }

    pub(crate) async fn start_with(
        config: ComputeConfig,
        ollama: Option<EngineUrl>,
        tuning: Tuning,
    ) -> Result<Self, ComputeError> {
        let clients = Clients::new()?;
        let (inbox, messages) = mpsc::channel(INBOX);
        let (events_in, events) = mpsc::channel(INBOX);
        let (freed_in, freed) = mpsc::unbounded_channel();
        let (publish, snapshot) = watch::channel(Arc::new(ComputeSnapshot::default()));
        let mut builtin = match config.builtin {
            Some(config) => Some(Builtin::new(config, tuning, clients.plain(), events_in, freed_in)?),
            None => None,
        };
        if let Some(builtin) = &mut builtin {
            let files = tokio::task::spawn_blocking(builtin.scanner()).await;
            builtin.found(
                files.map_err(|error| ComputeError::Setup {
                    what: "reading the model folders".to_owned(),
                    cause: error.to_string(),
                })?,
                std::time::Instant::now(),
            );
        }
        let mut actor = Actor::new(messages, (events, freed), publish, clients, tuning, builtin);
        let mut ids = vec![EngineId::builtin()];
        let added = config.engines.iter().any(|spec| Some(&spec.url) == ollama.as_ref());
        for spec in config.engines {
            if ids.contains(&spec.id) {
                return Err(ComputeError::EngineExists { id: spec.id });
            }
            ids.push(spec.id.clone());
            actor.insert(spec, false);
        }
        if let Some(url) = ollama.filter(|_| !added && !ids.contains(&EngineId::ollama())) {
            let spec = EngineSpec { id: EngineId::ollama(), kind: Some(EngineKind::Ollama), url, key: None };
            actor.insert(spec, true);
        }
        actor.publish();
        tokio::spawn(actor.run().instrument(tracing::info_span!("compute")));
        Ok(Self { inbox, snapshot, uses: broadcast::Sender::new(USES) })
    }

    /// Engines and models as they are now. Cheap.
    pub fn snapshot(&self) -> Arc<ComputeSnapshot> {
        self.snapshot.borrow().clone()
    }

    /// A receiver that changes whenever a reader of [`snapshot`](Self::snapshot) would see something else.
    pub fn watch(&self) -> watch::Receiver<Arc<ComputeSnapshot>> {
        self.snapshot.clone()
    }

    /// Adds an engine after it has answered once.
    ///
    /// # Errors
    /// Why it cannot be used, when it does not answer like an engine within a few seconds;
    /// [`ComputeError::EngineExists`] when its id or address is taken.
    pub async fn add_engine(&self, spec: EngineSpec) -> Result<EngineInfo, ComputeError> {
        self.ask(|reply| Message::Add { spec: Box::new(spec), reply }).await?
    }

    /// Forgets an engine. Answers that are under way go on.
    ///
    /// # Errors
    /// [`ComputeError::EngineNotFound`]; [`ComputeError::BuiltinStays`] for the built-in one.
    pub async fn remove_engine(&self, id: EngineId) -> Result<(), ComputeError> {
        self.ask(|reply| Message::Remove { id, reply }).await?
    }

    /// Asks an engine now. For the built-in one: looks for its binary and models again and forgets failures, so that
    /// a model that was given up is tried again by the next request.
    ///
    /// # Errors
    /// Why it does not work; [`ComputeError::EngineNotFound`].
    pub async fn test_engine(&self, id: EngineId) -> Result<EngineInfo, ComputeError> {
        self.ask(|reply| Message::Test { id, reply }).await?
    }

    /// Asks every engine and reads the model folders now; returns when all have answered or were given up on.
    /// Forgets failures of models, as [`test_engine`](Self::test_engine) does.
    pub async fn refresh(&self) {
        let (done, mut finished) = mpsc::channel(1);
        if self.inbox.send(Message::Refresh { done }).await.is_ok() {
            // Nothing is ever sent: the channel closes when the last task has let go of it.
            finished.recv().await;
        }
    }

    /// Every use of a model from now on.
    pub fn uses(&self) -> broadcast::Receiver<Used> {
        self.uses.subscribe()
    }

    /// Loads `model` as a person asks: one of the built-in engine, or of an Ollama, which is told whether it `stays`.
    ///
    /// # Errors
    /// As [`load`](Self::load) gives them, and [`ComputeError::KeepsItself`] for a model of another engine.
    pub async fn preload(&self, model: &str, stays: bool) -> Result<(), ComputeError> {
        match self.keeper(model).await? {
            Some((id, peer)) => {
                ollama::load(&peer, model, stays).await?;
                self.test_engine(id).await.map(drop)
            }
            None => self.load(model).await,
        }
    }

    /// Loads `model` if it is one of the built-in engine's and not loaded yet, so that the next request need not wait.
    ///
    /// # Errors
    /// [`ComputeError::ModelNotFound`], [`ComputeError::ModelFailed`], [`ComputeError::Unloaded`], or why there is no
    /// engine to load it.
    pub async fn load(&self, model: &str) -> Result<(), ComputeError> {
        let wants_embedding = self.snapshot().model(model).is_some_and(|model| model.purpose == Purpose::Embedding);
        let route = |reply| Message::Route { model: model.to_owned(), wants_embedding, reply: RouteReply(reply) };
        self.ask(route).await?.map(drop)
    }

    /// Takes `model` out of memory; returns when it is. Answers that it is giving are let end first.
    ///
    /// # Errors
    /// [`ComputeError::ModelNotFound`], [`ComputeError::KeepsItself`], or why its engine does not do so.
    pub async fn unload(&self, model: &str) -> Result<(), ComputeError> {
        if let Some((id, peer)) = self.keeper(model).await? {
            ollama::unload(&peer, model).await?;
            return self.test_engine(id).await.map(drop);
        }
        self.ask(|reply| Message::Unload { model: model.to_owned(), reply }).await?
    }

    /// Keeps a model of the built-in engine in memory, once it is there, or no longer.
    ///
    /// # Errors
    /// [`ComputeError::Stopping`].
    pub async fn pin(&self, model: &str, on: bool) -> Result<(), ComputeError> {
        self.inbox.send(Message::Pin { model: model.to_owned(), on }).await.map_err(|_| ComputeError::Stopping)
    }

    /// Has Ollama delete `model`. Whether it was one of its models.
    ///
    /// # Errors
    /// Why it was not deleted.
    pub async fn delete(&self, model: &str) -> Result<bool, ComputeError> {
        match self.keeper(model).await {
            Ok(Some((id, peer))) => {
                ollama::delete(&peer, model).await?;
                self.test_engine(id).await.map(|_| true)
            }
            Ok(None) | Err(ComputeError::KeepsItself { .. } | ComputeError::ModelNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the Ollama of this device fetch `model` (`llama3.2:1b`), and tells how far it is. Also gives its id; it is to
    /// be asked for its models ([`test_engine`](Self::test_engine)) when it is done.
    ///
    /// # Errors
    /// [`ComputeError::NoOllama`], or why it refuses.
    pub async fn pull(&self, model: &str) -> Result<(EngineId, Pull), ComputeError> {
        let snapshot = self.snapshot();
        let is_ollama = |engine: &&EngineInfo| engine.kind == EngineKind::Ollama && engine.state == EngineState::Ready;
        let id = snapshot.engines.iter().find(is_ollama).map(|engine| engine.id.clone());
        let id = id.ok_or(ComputeError::NoOllama)?;
        let (peer, _) = self.ask(|reply| Message::Peer { id: id.clone(), reply }).await??;
        Ok((id, ollama::pull(peer, model).await?))
    }

    /// The Ollama that has `model`; none when the built-in engine has it.
    async fn keeper(&self, model: &str) -> Result<Option<(EngineId, Peer)>, ComputeError> {
        let snapshot = self.snapshot();
        let found = snapshot.model(model).ok_or_else(|| ComputeError::ModelNotFound { model: model.to_owned() })?;
        if found.engine == EngineId::builtin() {
            return Ok(None);
        }
        let id = found.engine.clone();
        let (peer, kind) = self.ask(|reply| Message::Peer { id: id.clone(), reply }).await??;
        if kind != EngineKind::Ollama {
            return Err(ComputeError::KeepsItself { engine: id, model: model.to_owned() });
        }
        Ok(Some((id, peer)))
    }

    /// Forwards the body of an OpenAI request (valid JSON whose `model` is `model`) to the engine that has `model`,
    /// loading it first if needed. Returns with the head of the answer. Dropping this future or the answer ends the
    /// work in the engine.
    ///
    /// # Errors
    /// [`ComputeError::ModelNotFound`], [`ComputeError::ModelFailed`], [`ComputeError::Unsupported`], or what is wrong
    /// with the engine. A request the engine itself refuses is no error: its status and body are the answer.
    pub async fn forward(&self, path: OpenAiPath, model: &str, body: Bytes) -> Result<EngineResponse, ComputeError> {
        let wants_embedding = path == OpenAiPath::Embeddings;
        let mut again = true;
        loop {
            let route = |reply| Message::Route { model: model.to_owned(), wants_embedding, reply: RouteReply(reply) };
            let target = self.ask(route).await??;
            match target.send(path, body.clone()).await? {
                Sent::Answer(answer) => {
                    // It need not be counted by anybody.
                    let _ = self.uses.send(Used { engine: answer.engine.clone(), model: answer.model.clone() });
                    return Ok(answer);
                }
                // It died with nothing to do, a moment before; the next route waits for its successor.
                Sent::ChildGone(_) if again => again = false,
                Sent::ChildGone(error) => return Err(error),
            }
        }
    }

    /// Ends the children (SIGTERM, then SIGKILL) and returns when they are gone: under 2 s. Requests that wait are
    /// answered with [`ComputeError::Stopping`]. Calling it on a second handle returns at once.
    pub async fn shutdown(self) {
        // An error means that the actor has ended already.
        let _ = self.ask(|reply| Message::Shutdown { reply }).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, ComputeError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(message(reply)).await.map_err(|_| ComputeError::Stopping)?;
        answer.await.map_err(|_| ComputeError::Stopping)
    }
}

#[cfg(test)]
mod tests;
