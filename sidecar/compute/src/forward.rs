//! Sends one request to the engine that has the model, and streams the answer back.
//!
//! All of it runs in the caller's future: dropping the future or the [`EngineResponse`] closes the connection, which
//! is how engines learn that nobody waits any more.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::builtin::{ExitWatch, InUse};
use crate::client::{Failure, Pieces, check, with_key};
use crate::direct;
use crate::{ComputeError, EngineId, EngineUrl, Secret};

/// How long an engine may say nothing before it is looked after.
const QUIET: Duration = Duration::from_secs(2);
/// How long an engine that is no child of ours may take to show that it is alive; with [`QUIET`] less than 5 s.
const ALIVE: Duration = Duration::from_millis(2500);
/// How long the end of a child may take to be known after its connection broke.
const EXIT_KNOWN: Duration = Duration::from_millis(1500);
/// Headers of an engine's answer that are handed on. An allow list: llama-server, for one, sends headers that open
/// its answers to web pages of any origin.
const PASSED: [HeaderName; 4] = [CONTENT_TYPE, CACHE_CONTROL, RETRY_AFTER, HeaderName::from_static("x-request-id")];

/// The routes of OpenAI's HTTP API that engines serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenAiPath {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/chat/completions/input_tokens`: how many tokens a chat request has, without an answer. Only llama-server
    /// counts.
    InputTokens,
}

impl OpenAiPath {
    /// The path, with its leading slash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::InputTokens => "/v1/chat/completions/input_tokens",
        }
    }
}

/// The pieces of an answer as they come. After an error nothing more comes.
pub type EngineBody = BoxStream<'static, Result<Bytes, ComputeError>>;

/// An engine's answer. Dropping it ends the work in the engine.
pub struct EngineResponse {
    /// The engine's status; engines report a bad request of the caller this way, with a JSON body.
    pub status: StatusCode,
    /// Content type and the few other headers worth handing on.
    pub headers: HeaderMap,
    /// The body, as it comes.
    pub body: EngineBody,
    /// The model that answers.
    pub model: String,
    /// The engine it runs on.
    pub engine: EngineId,
}

impl fmt::Debug for EngineResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineResponse")
            .field("status", &self.status)
            .field("model", &self.model)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// The way to a model, handed out by the actor.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) engine: EngineId,
    pub(crate) model: String,
    pub(crate) url: EngineUrl,
    pub(crate) key: Option<Secret>,
    pub(crate) client: reqwest::Client,
    /// For a child of ours: tells how it ended.
    pub(crate) ended: Option<ExitWatch>,
    /// For a child of ours: has it looked after.
    pub(crate) doubt: Option<Arc<Notify>>,
    /// For another engine: where it answers at once, and what other answers of it show.
    pub(crate) vital: Option<(&'static str, Signs)>,
    /// For a child of ours: keeps it, as long as it answers.
    #[expect(dead_code, reason = "held to be dropped")]
    pub(crate) in_use: Option<InUse>,
}

/// When something of an engine was last heard, in any of its answers; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signs(Arc<watch::Sender<Option<Instant>>>);

impl Signs {
    fn note(&self) {
        self.0.send_replace(Some(Instant::now()));
    }

    fn are_fresh(&self) -> bool {
        self.0.borrow().is_some_and(|heard| heard.elapsed() < QUIET + ALIVE)
    }
}

/// Where the actor sends a [`Target`]. The receiver may be gone: the request was cancelled.
pub(crate) struct RouteReply(pub(crate) oneshot::Sender<Result<Target, ComputeError>>);

impl RouteReply {
    pub(crate) fn send(self, answer: Result<Target, ComputeError>) {
        // A cancelled request needs no answer.
        let _ = self.0.send(answer);
    }
}

/// How sending went.
pub(crate) enum Sent {
    /// The engine answers.
    Answer(EngineResponse),
    /// A child of ours had ended before it could take the request: worth another try.
    ChildGone(ComputeError),
}

impl Target {
    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn send(self, path: OpenAiPath, body: Bytes) -> Result<Sent, ComputeError> {
        let mut alarm = Alarm::default();
        let sent = self.awaited(&mut alarm, Box::pin(self.ask(path, body))).await?;
        let response = match sent {
            Ok(response) => response,
            Err(failure) if self.ended.is_some() => {
                let gone = failure.connecting;
                let told = self.explain(failure).await;
                return if gone { Ok(Sent::ChildGone(told)) } else { Err(told) };
            }
            Err(failure) => return Err(failure.into_unsent(&self.url)),
        };
        let (head, pieces) = response.into_parts();
        check(&self.url, self.key.is_some(), head.status, &head.headers)?;
        let mut headers = HeaderMap::new();
        for name in PASSED {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let (model, engine) = (self.model.clone(), self.engine.clone());
        Ok(Sent::Answer(EngineResponse {
            status: head.status,
            headers,
            body: self.stream(alarm, pieces),
            model,
            engine,
        }))
    }

    async fn ask(&self, path: OpenAiPath, body: Bytes) -> Result<Response<Pieces>, Failure> {
        if !self.url.is_https() {
            return direct::post(&self.url, path.as_str(), self.key.as_ref(), body).await;
        }
        let request = self.client.post(self.url.join(path.as_str())).header(CONTENT_TYPE, "application/json");
        let sent = with_key(request, self.key.as_ref()).body(body).send().await;
        let (head, body) = Response::from(sent.map_err(|error| Failure::from(&error))?).into_parts();
        let pieces = body.into_data_stream().map_err(|error| Failure::from(&error));
        Ok(Response::from_parts(head, pieces.boxed()))
    }

    fn stream(self, alarm: Alarm, pieces: Pieces) -> EngineBody {
        let pieces = unfold((self, alarm, pieces), |(target, mut alarm, mut pieces)| async move {
            let piece = match target.awaited(&mut alarm, pieces.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(bytes))) => Ok(bytes),
                Ok(Some(Err(failure))) => Err(target.explain(failure).await),
                Err(error) => Err(error),
            };
            Some((piece, (target, alarm, pieces)))
        });
        pieces.boxed()
    }

    /// Waits for something of the engine, and looks after one that says nothing for a while. A child of ours that stands
    /// still is ended, and its connections break. Another engine has to answer a question that costs it nothing, unless
    /// something of it is heard elsewhere: one that cannot keeps its connections open and would be waited for without end.
    async fn awaited<F: Future + Unpin>(&self, alarm: &mut Alarm, mut something: F) -> Result<F::Output, ComputeError> {
        loop {
            tokio::select! {
                biased;
                output = &mut something => {
                    if let Some((_, signs)) = &self.vital {
                        signs.note();
                    }
                    return Ok(output);
                }
                () = alarm.quiet_since(Instant::now()) => {}
            }
            self.doubt.iter().for_each(|doubt| doubt.notify_one());
            let Some((path, signs)) = &self.vital else { continue };
            tokio::select! {
                biased;
                output = &mut something => return Ok(output),
                alive = self.answers(path) => if !alive && !signs.are_fresh() {
                    return Err(ComputeError::Slow { url: self.url.clone(), after: QUIET + ALIVE });
                },
            }
        }
    }

    /// Whether the engine answers anything at all.
    async fn answers(&self, path: &str) -> bool {
        let asked = with_key(self.client.get(self.url.join(path)), self.key.as_ref()).send();
        timeout(ALIVE, asked).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Why the connection broke: for a child of ours how it ended, else what the connection says.
    async fn explain(&self, failure: Failure) -> ComputeError {
        let Some(mut ended) = self.ended.clone() else { return failure.into_broke_off(&self.url) };
        let report = match timeout(EXIT_KNOWN, ended.wait_for(Option::is_some)).await {
            Ok(Ok(report)) => report.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        match report {
            Some(report) => {
                ComputeError::Died { model: self.model.clone(), cause: report.cause.clone(), tail: report.tail.clone() }
            }
            None => failure.into_broke_off(&self.url),
        }
    }
}

/// A clock for silences. It is set anew when it rings and not with every word.
struct Alarm(Pin<Box<Sleep>>);

impl Default for Alarm {
    fn default() -> Self {
        Self(Box::pin(sleep(QUIET)))
    }
}

impl Alarm {
    /// Waits until the silence since `begin` has lasted [`QUIET`].
    async fn quiet_since(&mut self, begin: Instant) {
        loop {
            self.0.as_mut().await;
            let due = begin + QUIET;
            let is_due = Instant::now() >= due;
            self.0.as_mut().reset(if is_due { due + QUIET } else { due });
            if is_due {
                return;
            }
        }
    }
}
