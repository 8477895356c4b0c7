//! A hub on loopback with one file, as far as a download needs one: what the file is, and any range of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use sha2::Digest as _;
use tokio::sync::watch;

/// Bytes of a piece of an answer.
const PIECE: usize = 256 << 10;

/// The hub.
pub(crate) struct Hub {
    /// Its base URL.
    pub(crate) url: String,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
    shelf: Arc<Shelf>,
}

struct Shelf {
    path: String,
    bytes: Bytes,
    /// The hash that it announces.
    announced: String,
    /// The size that it announces.
    size: u64,
    /// What lies beyond this is held back.
    gate: watch::Sender<usize>,
    /// The key it wants.
    key: watch::Sender<Option<String>>,
    /// Where each range that was asked for begins.
    asked: watch::Sender<Vec<usize>>,
}

impl Hub {
    /// A hub that has `bytes` as `path` (`owner/name/resolve/main/file`).
    pub(crate) async fn with(path: &str, bytes: Vec<u8>) -> Self {
        let sha256 = format!("{:x}", sha2::Sha256::digest(&bytes));
        let size = bytes.len() as u64;
        Self::serve(path, bytes, (sha256.clone(), size), sha256).await
    }

    /// One that announces a larger file than it has.
    pub(crate) async fn boasting(path: &str, bytes: Vec<u8>, size: u64) -> Self {
        let sha256 = format!("{:x}", sha2::Sha256::digest(&bytes));
        Self::serve(path, bytes, (sha256.clone(), size), sha256).await
    }

    /// One that announces another file than it sends.
    pub(crate) async fn lying(path: &str, bytes: Vec<u8>) -> Self {
        let sha256 = format!("{:x}", sha2::Sha256::digest(&bytes));
        let size = bytes.len() as u64;
        Self::serve(path, bytes, ("0".repeat(64), size), sha256).await
    }

    async fn serve(path: &str, bytes: Vec<u8>, (announced, size): (String, u64), sha256: String) -> Self {
        let shelf = Arc::new(Shelf {
            path: format!("/{path}"),
            bytes: bytes.into(),
            announced,
            size,
            gate: watch::Sender::new(usize::MAX),
            key: watch::Sender::new(None),
            asked: watch::Sender::new(Vec::new()),
        });
        let answering = Arc::clone(&shelf);
        let router = Router::new().fallback(move |request: Request| {
            let shelf = Arc::clone(&answering);
            async move { shelf.answer(&request) }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, sha256, shelf }
    }

    /// Holds back what lies beyond `at`; `usize::MAX` lets everything through.
    pub(crate) fn hold_beyond(&self, at: usize) {
        self.shelf.gate.send_replace(at);
    }

    /// Gives the file only to who shows this key.
    pub(crate) fn wants_key(&self, key: &str) {
        self.shelf.key.send_replace(Some(key.to_owned()));
    }

    /// Where the ranges begin that were asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.shelf.asked.send_replace(Vec::new())
    }
}

impl Shelf {
    fn answer(&self, request: &Request) -> Response {
        if request.uri().path() != self.path {
            return StatusCode::NOT_FOUND.into_response();
        }
        let wanted = self.key.borrow().as_ref().map(|key| format!("Bearer {key}"));
        let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if wanted.is_some() && wanted.as_deref() != shown {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let size = self.bytes.len();
        let response = Response::builder().header("etag", format!("\"{}\"", self.announced));
        if request.method() == Method::HEAD {
            let told = response
                .header("x-linked-size", self.size)
                .header("x-linked-etag", format!("\"{}\"", self.announced))
                .header("content-length", size);
            return told.body(Body::empty()).expect("a response");
        }
        let Some((from, to)) = range(request.headers()) else { return StatusCode::BAD_REQUEST.into_response() };
        let to = to.min(size - 1);
        self.asked.send_modify(|asked| asked.push(from));
        let ranged = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", format!("bytes {from}-{to}/{size}"))
            .header("content-length", to + 1 - from);
        ranged.body(self.body(from, to + 1)).expect("a response")
    }

    /// The bytes from `from` to `end`, in pieces that pass the gate.
    fn body(&self, from: usize, end: usize) -> Body {
        let (bytes, gate) = (self.bytes.clone(), self.gate.subscribe());
        Body::from_stream(stream::unfold((from, bytes, gate), move |(at, bytes, mut gate)| async move {
            if at >= end {
                return None;
            }
            let next = end.min(at + PIECE);
            // The gate lives as long as the hub.
            gate.wait_for(|open| next <= *open).await.ok()?;
            let piece = bytes.slice(at..next);
            Some((Ok::<_, std::io::Error>(piece), (next, bytes, gate)))
        }))
    }
}

/// `bytes=FROM-TO`, the only form that is asked for.
pub(super) fn range(headers: &HeaderMap) -> Option<(usize, usize)> {
    let (from, to) = headers.get("range")?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// The model that always says the same, in the place of the real one, as large as asked.
pub(crate) fn stand_in(size: usize) -> Vec<u8> {
    let mut bytes = std::fs::read(super::fixture("chain")).expect("the model");
    // What follows the tensors is of no concern to an engine.
    bytes.resize(size.max(bytes.len()), 0x5a);
    bytes
}
