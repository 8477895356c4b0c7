//! HTTP to engines: the two clients, and questions with bounded answers.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;

use crate::error::quotable;
use crate::{ComputeError, EngineUrl, Secret};

/// How long connecting may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);
/// What engines are told of who asks.
pub(crate) const AGENT: &str = concat!("myownmesh/", env!("CARGO_PKG_VERSION"));
/// Largest answer to a question of ours, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// The clients engines are reached with.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// For http. It never reuses a connection: llama-server promises keep-alive after a streamed answer and closes
    /// all the same, so a reused connection fails in a quarter of all cases.
    plain: Client,
    /// For https, where a fresh connection costs two round trips and more, so it keeps them. Made when first needed:
    /// reading the system's root certificates takes a while. None when there are none to check a server with.
    tls: Arc<OnceLock<Option<Client>>>,
}

impl Clients {
    pub(crate) fn new() -> Result<Self, ComputeError> {
        // The same provider iroh uses. It is there already when the daemon installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = base().no_proxy().pool_max_idle_per_host(0).tls_certs_only([]).build();
        let plain = plain.map_err(|error| ComputeError::Setup {
            what: "making an HTTP client".to_owned(),
            cause: cause_of(&error),
        })?;
        Ok(Self { plain, tls: Arc::default() })
    }

    /// The client for `url`.
    pub(crate) fn for_url(&self, url: &EngineUrl) -> Result<Client, ComputeError> {
        if !url.is_https() {
            return Ok(self.plain.clone());
        }
        let make = || {
            let failed = |error: &reqwest::Error| tracing::warn!(cause = cause_of(error), "https cannot be spoken");
            base().build().inspect_err(failed).ok()
        };
        self.tls.get_or_init(make).clone().ok_or_else(|| ComputeError::Setup {
            what: format!("reaching {url}"),
            cause: "this system has no root certificates; install the package ca-certificates".to_owned(),
        })
    }

    /// The client for engines on this machine.
    pub(crate) fn plain(&self) -> Client {
        self.plain.clone()
    }
}

/// What both clients have in common.
fn base() -> reqwest::ClientBuilder {
    Client::builder().redirect(redirect::Policy::none()).connect_timeout(CONNECT).tcp_nodelay(true).user_agent(AGENT)
}

/// One engine to ask.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) url: EngineUrl,
    pub(crate) key: Option<Secret>,
    /// How long one question may take, its answer included.
    pub(crate) limit: Duration,
}

impl Peer {
    /// Asks `path` and reads the JSON answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ComputeError> {
        let request = with_key(self.client.get(self.url.join(path)), self.key.as_ref());
        let work = async {
            let response = request.send().await.map_err(|error| send_error(&self.url, self.limit, &error))?;
            check(&self.url, self.key.is_some(), response.status(), response.headers())?;
            self.json(path, response).await
        };
        let late = |_| ComputeError::Slow { url: self.url.clone(), after: self.limit };
        tokio::time::timeout(self.limit, work).await.map_err(late)?
    }

    /// Sends JSON and gives the head of the answer, whatever its status. There is no limit of time but the caller's.
    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Response, ComputeError> {
        let request = self.client.request(method, self.url.join(path)).header(CONTENT_TYPE, "application/json");
        let sent = with_key(request, self.key.as_ref()).body(body.to_string()).send().await;
        let response = sent.map_err(|error| send_error(&self.url, self.limit, &error))?;
        check(&self.url, self.key.is_some(), response.status(), response.headers())?;
        Ok(response)
    }

    async fn json<T: DeserializeOwned>(&self, path: &str, response: Response) -> Result<T, ComputeError> {
        if !response.status().is_success() {
            let what = format!("it answers {path} with status {}", response.status().as_u16());
            return Err(self.bad(what));
        }
        let mut stream = response.bytes_stream();
        let mut body = BytesMut::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| broke_off(&self.url, &error))?;
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(self.bad(format!("its answer to {path} is larger than {} MiB", MAX_ANSWER >> 20)));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|_| {
            let begin = quotable(&String::from_utf8_lossy(&body[..body.len().min(40)]));
            self.bad(format!("its answer to {path} is not the expected JSON (it begins with \"{begin}\")"))
        })
    }

    fn bad(&self, what: String) -> ComputeError {
        ComputeError::BadAnswer { url: self.url.clone(), what: format!("{what}. Check the address and the port") }
    }
}

pub(crate) fn with_key(request: RequestBuilder, key: Option<&Secret>) -> RequestBuilder {
    match key {
        Some(key) => request.bearer_auth(key.expose()),
        None => request,
    }
}

/// Refuses what is no engine's answer at all: a redirect, a web page, a question for a key.
pub(crate) fn check(
    url: &EngineUrl,
    has_key: bool,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), ComputeError> {
    let bad = |what: String| Err(ComputeError::BadAnswer { url: url.clone(), what });
    if status.is_redirection() {
        // Where it leads is only told to a person; what is no text is not.
        let to = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("elsewhere");
        // Without the query, which may hold somebody's token.
        let to = quotable(to.split(['?', '#']).next().unwrap_or_default());
        return bad(format!("it redirects to {to}. Use the address the engine itself listens on"));
    }
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let url = url.clone();
        return Err(if has_key { ComputeError::KeyRefused { url } } else { ComputeError::KeyNeeded { url } });
    }
    // A kind that is no text is no web page's; whether the answer can be read shows where it is read.
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/html") {
        return bad(
            "it sends a web page. Check the port: this may be the engine's page for people and not its API".to_owned()
        );
    }
    Ok(())
}

/// Why a request could not be sent.
pub(crate) fn send_error(url: &EngineUrl, limit: Duration, error: &reqwest::Error) -> ComputeError {
    if error.is_timeout() && !error.is_connect() {
        return ComputeError::Slow { url: url.clone(), after: limit };
    }
    Failure::from(error).into_unsent(url)
}

/// The connection broke while an answer came.
pub(crate) fn broke_off(url: &EngineUrl, error: &reqwest::Error) -> ComputeError {
    Failure::from(error).into_broke_off(url)
}

/// The pieces of an answer as they come.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, Failure>>;

/// What went wrong with a connection.
#[derive(Debug)]
pub(crate) struct Failure {
    /// There was none.
    pub(crate) connecting: bool,
    cause: String,
}

impl Failure {
    /// It could not be made.
    pub(crate) fn unconnected(error: &dyn Error) -> Self {
        Self { connecting: true, cause: innermost(error) }
    }

    /// It was there, and brought nothing or too little.
    pub(crate) fn unsent(error: &dyn Error) -> Self {
        Self { connecting: false, cause: innermost(error) }
    }

    /// As the end of a request that nothing was heard of.
    pub(crate) fn into_unsent(self, url: &EngineUrl) -> ComputeError {
        if self.connecting {
            return ComputeError::Unreachable { url: url.clone(), cause: self.cause };
        }
        let what = format!("it does not speak HTTP as expected ({}). Check the port", self.cause);
        ComputeError::BadAnswer { url: url.clone(), what }
    }

    /// As the end of an answer that had begun.
    pub(crate) fn into_broke_off(self, url: &EngineUrl) -> ComputeError {
        ComputeError::BrokeOff { url: url.clone(), cause: self.cause }
    }
}

impl From<&reqwest::Error> for Failure {
    fn from(error: &reqwest::Error) -> Self {
        Self { connecting: error.is_connect(), cause: cause_of(error) }
    }
}

/// The innermost cause of an error, which is the part that tells people something, and never an address.
pub(crate) fn cause_of(error: &reqwest::Error) -> String {
    error.source().map_or_else(|| "no cause given".to_owned(), innermost)
}

fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    quotable(&innermost.to_string())
}
