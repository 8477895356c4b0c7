//! HTTP to hubs: requests that follow redirects by hand, each held to [`Reach`], with a limit on everything.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};

use super::reach::{NotPublic, Reach};
use crate::Secret;
use crate::client::cause_of;
use crate::error::quotable;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Most redirects in a row.
const MAX_REDIRECTS: usize = 6;
/// Longest pause that a server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(120);

/// Why a hub did not give what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The text is no address of a hub.
    #[error("\"{given}\" is not the address of a hub: {reason}. Write it like https://huggingface.co.")]
    Address {
        /// The text, shortened; `(hidden)` when it may hold a secret.
        given: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing answers there.
    #[error("{host} cannot be reached ({cause}). Check the network, then try again.")]
    Unreachable {
        /// The host.
        host: String,
        /// The innermost cause, as the system words it.
        cause: String,
    },
    /// It answers and then says nothing.
    #[error("{host} said nothing for {} s. Try again later.", after.as_secs())]
    Silent {
        /// The host.
        host: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection broke.
    #[error("The connection to {host} broke ({cause}). Try again; what has arrived is kept.")]
    BrokeOff {
        /// The host.
        host: String,
        /// The innermost cause.
        cause: String,
    },
    /// It leads to an address that is not public.
    #[error("{host} leads to {to}, which is not a public address. That is refused. Use another hub.")]
    Elsewhere {
        /// The host.
        host: String,
        /// Where it leads.
        to: String,
    },
    /// It leads from an encrypted connection to one that is not, or to something that is no web address.
    #[error("{host} leads to {to}, where nothing protects what is sent. That is refused. Use another hub.")]
    Insecure {
        /// The host.
        host: String,
        /// Where it leads.
        to: String,
    },
    /// It leads from one address to the next and to no end.
    #[error("{host} leads in circles. Try again later, or use another hub.")]
    Circle {
        /// The host.
        host: String,
    },
    /// What was asked for is not there.
    #[error("{host} has no {what}. Check the name.")]
    NotFound {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// It wants to know who asks.
    #[error(
        "{host} gives {what} only to those it knows. Accept its licence there if it has one, and add your key of that hub."
    )]
    Forbidden {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// It asks to come back later.
    #[error("{host} is busy. Try again in {} s.", after.as_secs().max(1))]
    Busy {
        /// The host.
        host: String,
        /// The pause it asks for.
        after: Duration,
    },
    /// It has trouble of its own.
    #[error("{host} has trouble (status {status}). Try again later.")]
    Trouble {
        /// The host.
        host: String,
        /// The status it answers with.
        status: u16,
    },
    /// It answers, but not as a hub does.
    #[error("{host} does not answer like a hub: {what}. Check the address, or use another hub.")]
    Nonsense {
        /// The host.
        host: String,
        /// What came instead.
        what: String,
    },
    /// It has the file and does not give it.
    #[error("{host} does not give it: {reason}")]
    Refused {
        /// Who.
        host: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// This system cannot check who it speaks to.
    #[error(
        "{host} cannot be reached safely: this system has no root certificates. Install the package ca-certificates."
    )]
    NoCertificates {
        /// The host.
        host: String,
    },
}

impl HubError {
    /// Whether the same request may work a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Silent { .. }
                | Self::BrokeOff { .. }
                | Self::Busy { .. }
                | Self::Trouble { .. }
        )
    }
}

/// How long a server may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Before the head of its answer.
    pub(super) head: Duration,
    /// Between two pieces of its body.
    pub(super) piece: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), piece: Duration::from_secs(30) }
    }
}

/// A way to one base address and to where it leads.
#[derive(Debug, Clone)]
pub(super) struct Web {
    base: Url,
    reach: Reach,
    key: Option<Secret>,
    patience: Patience,
    clients: Arc<Clients>,
}

/// Clients are made when they are needed: reading the system's certificates takes a while, and a hub on this machine
/// needs none. Neither uses a proxy of the system, which would resolve names in our place.
#[derive(Debug)]
struct Clients {
    reach: Reach,
    plain: OnceLock<Option<Client>>,
    tls: OnceLock<Option<Client>>,
    #[cfg(test)]
    pinned: Option<(String, std::net::SocketAddr)>,
}

impl Clients {
    fn for_url(&self, url: &Url) -> Option<Client> {
        if url.scheme() == "https" {
            return self.tls.get_or_init(|| built(self.builder())).clone();
        }
        self.plain.get_or_init(|| built(self.builder().tls_certs_only([]))).clone()
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        // The same provider iroh uses. It is there already when the daemon installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .no_proxy()
            .dns_resolver(Arc::new(self.reach.clone()))
            .user_agent(concat!("myownmesh/", env!("CARGO_PKG_VERSION")));
        #[cfg(test)]
        let builder = match &self.pinned {
            Some((host, address)) => builder.resolve(host, *address),
            None => builder,
        };
        builder
    }
}

fn built(builder: reqwest::ClientBuilder) -> Option<Client> {
    builder.build().inspect_err(|error| tracing::warn!(cause = cause_of(error), "no HTTP client can be made")).ok()
}

impl Web {
    /// To `base`; `key` is shown to its own host only.
    pub(super) fn new(base: Url, key: Option<Secret>, patience: Patience) -> Self {
        let reach = Reach::of(&base);
        let clients = Clients {
            reach: reach.clone(),
            plain: OnceLock::new(),
            tls: OnceLock::new(),
            #[cfg(test)]
            pinned: None,
        };
        Self { base, reach, key, patience, clients: Arc::new(clients) }
    }

    /// The same, with the address that a name means given, whatever it is.
    #[cfg(test)]
    pub(super) fn pinned(base: Url, to: std::net::SocketAddr) -> Self {
        let mut web = Self::new(base, None, Patience::default());
        let host = web.base.host_str().expect("a host").to_owned();
        let (reach, plain, tls) = (web.reach.clone(), OnceLock::new(), OnceLock::new());
        web.clients = Arc::new(Clients { reach, plain, tls, pinned: Some((host, to)) });
        web
    }

    /// Asks for `url`, follows redirects while `goes_on` says so, and gives the last answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
        mut goes_on: impl FnMut(&Response) -> bool,
    ) -> Result<Response, HubError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(method.clone(), &url, headers).await?;
            if !response.status().is_redirection()
                || response.status() == StatusCode::NOT_MODIFIED
                || !goes_on(&response)
            {
                return Ok(response);
            }
            url = lead(&url, &response)?;
        }
        Err(HubError::Circle { host: host(&self.base) })
    }

    async fn once(&self, method: Method, url: &Url, headers: &HeaderMap) -> Result<Response, HubError> {
        self.reach.check(url).map_err(|refused| self.elsewhere(&refused))?;
        let client = self.clients.for_url(url).ok_or_else(|| HubError::NoCertificates { host: host(url) })?;
        let mut request = client.request(method, url.clone()).headers(headers.clone());
        // What is compressed on the way has other lengths and ranges than the file.
        request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(key) = self.key.as_ref().filter(|_| url.origin() == self.base.origin()) {
            request = request.bearer_auth(key.expose());
        }
        let late = |_| HubError::Silent { host: host(url), after: self.patience.head };
        let answer = tokio::time::timeout(self.patience.head, request.send()).await.map_err(late)?;
        answer.map_err(|error| match refused(&error) {
            Some(refused) => self.elsewhere(refused),
            None if error.is_connect() || error.is_timeout() => {
                HubError::Unreachable { host: host(url), cause: cause_of(&error) }
            }
            None => HubError::BrokeOff { host: host(url), cause: cause_of(&error) },
        })
    }

    fn elsewhere(&self, refused: &NotPublic) -> HubError {
        HubError::Elsewhere { host: host(&self.base), to: quotable(&refused.host) }
    }

    /// The body of an answer, piece by piece; a server that stops in the middle is an error.
    pub(super) fn body(&self, response: Response) -> Body {
        let host = host(response.url());
        let pieces = response.bytes_stream().map(|piece| piece.map_err(|error| cause_of(&error)));
        Body::of(pieces.boxed(), host, self.patience)
    }
}

/// Where a redirect leads.
fn lead(from: &Url, response: &Response) -> Result<Url, HubError> {
    let nonsense = |what: &str| HubError::Nonsense { host: host(from), what: what.to_owned() };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| nonsense("it redirects and does not say where to"))?;
    let to = from.join(location).map_err(|_| nonsense("it redirects to what is no address"))?;
    let insecure = from.scheme() == "https" && to.scheme() != "https";
    if insecure || !matches!(to.scheme(), "http" | "https") || !to.username().is_empty() || to.password().is_some() {
        return Err(HubError::Insecure { host: host(from), to: shown(&to) });
    }
    Ok(to)
}

/// The body of an answer.
pub(super) struct Body {
    /// An error is the cause, as people are told it.
    pieces: BoxStream<'static, Result<Bytes, String>>,
    host: String,
    patience: Duration,
}

impl Body {
    /// These pieces, which may come as slowly as `patience` says.
    pub(super) fn of(pieces: BoxStream<'static, Result<Bytes, String>>, host: String, patience: Patience) -> Self {
        Self { pieces, host, patience: patience.piece }
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, HubError> {
        let late = |_| HubError::Silent { host: self.host.clone(), after: self.patience };
        let piece = tokio::time::timeout(self.patience, self.pieces.next()).await.map_err(late)?;
        piece.transpose().map_err(|cause| HubError::BrokeOff { host: self.host.clone(), cause })
    }

    /// All of it as text, if it is no longer than `most` bytes.
    pub(super) async fn text(mut self, most: usize) -> Result<String, HubError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            if bytes.len() + piece.len() > most {
                let what = format!("it sends more than {most} bytes");
                return Err(HubError::Nonsense { host: self.host, what });
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes)
            .map_err(|_| HubError::Nonsense { host: self.host, what: "it sends what is no text".to_owned() })
    }
}

/// Refuses an answer that is not what was asked for; `what` names that.
pub(super) fn check(response: &Response, what: &str) -> Result<(), HubError> {
    let (host, what) = (host(response.url()), quotable(what));
    let status = response.status();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(HubError::Forbidden { host, what }),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(HubError::NotFound { host, what }),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(HubError::Busy { host, after: pause(response.headers()) })
        }
        _ if status.is_server_error() => Err(HubError::Trouble { host, status: status.as_u16() }),
        _ if !status.is_success() && !status.is_redirection() => {
            Err(HubError::Nonsense { host, what: format!("it answers with status {}", status.as_u16()) })
        }
        _ => match response.headers().get(CONTENT_ENCODING) {
            Some(coding) if coding != "identity" => {
                Err(HubError::Nonsense { host, what: "it compresses what it sends, though asked not to".to_owned() })
            }
            _ => Ok(()),
        },
    }
}

/// The pause that a server asks for, in seconds; the form with a date is rare, and a second will do.
fn pause(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = text.and_then(|text| text.trim().parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds).min(MAX_PAUSE)
}

/// Host and port, as people know a server.
pub(super) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// An address without its query, which may hold somebody's token.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Fails for addresses that have no host, and then there is nothing to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    quotable(url.as_str())
}

fn refused(error: &reqwest::Error) -> Option<&NotPublic> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref() {
            return Some(refused);
        }
        cause = inner.source();
    }
    None
}

#[cfg(test)]
mod tests;
