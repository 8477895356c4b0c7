//! A hub on loopback that can do everything a hub may do, good and bad: redirects to a store of its own, ranges, entity
//! tags, and all ways to fail. It writes down what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::Digest as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::super::super::hub::{HubFile, HubUrl};
use super::super::super::names::{RepoName, RepoPath, Revision, Sha256};

/// How the hub behaves.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that a hub may do")]
pub(super) struct Manners {
    /// What it has, under any name.
    pub(super) content: Vec<u8>,
    /// What it sends instead, when that differs from what it announces.
    pub(super) sends: Option<Vec<u8>>,
    /// The entity tag of what is stored.
    pub(super) tag: &'static str,
    /// Whether it gives ranges.
    pub(super) ranges: bool,
    /// Whether it answers `HEAD`.
    pub(super) head: bool,
    /// Whether it tells hash and size.
    pub(super) tells_hash: bool,
    pub(super) tells_size: bool,
    /// The size it tells.
    pub(super) size: Option<u64>,
    /// Where it leads instead of to its store.
    pub(super) leads: Option<String>,
    /// Statuses that the next requests to the store are answered with.
    pub(super) statuses: VecDeque<u16>,
    /// Answers that break off after this many bytes, and how many of them do.
    pub(super) breaks: (usize, usize),
    /// Bytes of each answer before it waits until the gate is open.
    pub(super) holds: Option<usize>,
    /// Whether it goes on for ever.
    pub(super) endless: bool,
    /// Whether it sends the part after the one that was asked for.
    pub(super) shifts: bool,
}

impl Manners {
    pub(super) fn good(content: &[u8]) -> Self {
        Self {
            content: content.to_vec(),
            sends: None,
            tag: "\"v1\"",
            ranges: true,
            head: true,
            tells_hash: true,
            tells_size: true,
            size: None,
            leads: None,
            statuses: VecDeque::new(),
            breaks: (0, 0),
            holds: None,
            endless: false,
            shifts: false,
        }
    }
}

/// A request to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// First and last byte of the range.
    pub(super) range: Option<(u64, u64)>,
    pub(super) if_range: Option<String>,
    /// Whether a key came along.
    pub(super) key: bool,
}

/// The double.
#[derive(Clone)]
pub(super) struct Double {
    pub(super) url: HubUrl,
    manners: Arc<Mutex<Manners>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    gate: watch::Sender<bool>,
    /// How many answers wait at the gate.
    waiting: watch::Sender<usize>,
    store: String,
}

impl Double {
    pub(super) async fn start(manners: Manners) -> Self {
        let [hub, store] = [bind().await, bind().await];
        let double = Self {
            url: HubUrl::parse(&format!("http://{}", hub.local_addr().expect("bound"))).expect("an address"),
            manners: Arc::new(Mutex::new(manners)),
            asked: Arc::default(),
            gate: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            store: format!("http://{}", store.local_addr().expect("bound")),
        };
        for (listener, router) in [
            (hub, Router::new().fallback(resolve).with_state(double.clone())),
            (store, Router::new().fallback(stored).with_state(double.clone())),
        ] {
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        double
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().expect("nobody panicked"));
    }

    fn manners(&self) -> Manners {
        self.manners.lock().expect("nobody panicked").clone()
    }

    /// What the store was asked since the last time this was called.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().expect("nobody panicked"))
    }

    pub(super) fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// Waits until so many answers wait at the gate.
    pub(super) async fn waiting(&self, count: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting >= count).await.expect("the double lives");
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// A file of the double.
pub(super) fn file(path: &str) -> HubFile {
    HubFile {
        repo: RepoName::parse("us/tiny").expect("a repository"),
        revision: Revision::default(),
        path: RepoPath::parse(path).expect("a path"),
        sha256: None,
    }
}

pub(super) fn hash(content: &[u8]) -> Sha256 {
    Sha256::parse(&format!("{:x}", sha2::Sha256::digest(content))).expect("a hash")
}

/// The hub: tells what a file is and leads to the store.
async fn resolve(State(double): State<Double>, method: Method, uri: Uri) -> Response {
    let manners = double.manners();
    if method == Method::HEAD && !manners.head {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if !uri.path().starts_with("/us/tiny/resolve/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut headers = HeaderMap::new();
    let mut tell = |name: &'static str, value: String| headers.insert(name, value.parse().expect("a header"));
    if manners.tells_hash {
        tell("x-linked-etag", format!("\"{}\"", hash(&manners.content)));
    }
    if manners.tells_size {
        tell("x-linked-size", manners.size.unwrap_or(manners.content.len() as u64).to_string());
    }
    tell("x-repo-commit", "0123456789abcdef0123456789abcdef01234567".to_owned());
    tell("location", manners.leads.unwrap_or_else(|| format!("{}/stored?token=secret", double.store)));
    (StatusCode::FOUND, headers).into_response()
}

/// The store: sends bytes.
async fn stored(State(double): State<Double>, method: Method, headers: HeaderMap) -> Response {
    let manners = double.manners();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let range = text("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse().ok()?, to.parse().ok()?))
    });
    let content = manners.sends.unwrap_or(manners.content);
    if method == Method::HEAD {
        let length = if manners.tells_size { content.len().to_string() } else { String::new() };
        return [("content-length", length)].into_response();
    }
    let asked = Asked { range, if_range: text("if-range"), key: headers.contains_key("authorization") };
    double.asked.lock().expect("nobody panicked").push(asked.clone());
    let status = double.manners.lock().expect("nobody panicked").statuses.pop_front();
    if let Some(status) = status {
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, [("retry-after", "0")]).into_response();
    }
    let same = asked.if_range.as_deref().is_none_or(|tag| tag == manners.tag);
    let ranged = range.filter(|_| manners.ranges && same);
    let size = content.len();
    let (status, from, to) = match ranged {
        Some((from, to)) => {
            let cut = |at: u64| usize::try_from(at).expect("small").min(size);
            (StatusCode::PARTIAL_CONTENT, cut(from), cut(to + 1))
        }
        None => (StatusCode::OK, 0, size),
    };
    let mut answer = Response::builder().status(status).header("etag", manners.tag);
    if ranged.is_some() {
        let from = if manners.shifts { from + 1 } else { from };
        answer = answer.header("content-range", format!("bytes {from}-{}/{size}", to.saturating_sub(1)));
    }
    let bytes = Bytes::from(content).slice(from..to);
    let breaks = {
        let mut manners = double.manners.lock().expect("nobody panicked");
        let breaks = (manners.breaks.1 > 0).then_some(manners.breaks.0);
        manners.breaks.1 = manners.breaks.1.saturating_sub(1);
        breaks
    };
    answer.body(body(&double, bytes, breaks, manners.holds, manners.endless)).expect("an answer")
}

fn body(double: &Double, bytes: Bytes, breaks: Option<usize>, holds: Option<usize>, endless: bool) -> Body {
    if let Some(after) = breaks {
        let sent = bytes.slice(..after.min(bytes.len()));
        let cut = stream::once(async { Err(std::io::Error::other("cut")) });
        return Body::from_stream(stream::iter([Ok(sent)]).chain(cut));
    }
    if endless {
        let piece = Bytes::from(vec![7; 1 << 16]);
        return Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())));
    }
    let Some(after) = holds.map(|after| after.min(bytes.len())) else { return Body::from(bytes) };
    let (first, rest) = (bytes.slice(..after), bytes.slice(after..));
    let (mut gate, waiting) = (double.gate.subscribe(), double.waiting.clone());
    let later = stream::once(async move {
        waiting.send_modify(|waiting| *waiting += 1);
        // An error means that the double is gone, and the test with it.
        let _ = gate.wait_for(|open| *open).await;
        Ok::<_, std::io::Error>(rest)
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(later))
}
