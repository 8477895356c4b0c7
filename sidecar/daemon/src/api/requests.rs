//! The requests of programs at the local API, for the owner of this device to look at: when, which protocol, by which
//! key, where to, how long. Never a word of question or answer, and nothing of it is kept over a restart.
//!
//! A request is listed by the innermost layer around the routes. What is decided deeper (the device, the model) is told
//! through a task-local value, as a tracing span would be: the routes between need not carry it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use myownmesh_control::types::{ApiKind, ApiRequest, Event};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shape::Shape;
use crate::events::Events;
use crate::route::Route;
use crate::scan::number_behind;
use crate::text::{now_ms, quotable};

/// How many requests are listed; of those that have ended, the oldest make room.
const KEPT: usize = 256;
/// How often those who look are told of changes at most.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Names of the number of tokens of an answer, as OpenAI, Ollama and Anthropic call it.
const COUNTS: [&[u8]; 3] = [b"\"completion_tokens\":", b"\"eval_count\":", b"\"output_tokens\":"];

tokio::task_local! {
    /// The request that is being answered.
    static CURRENT: Seen;
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Requests {
    listed: Arc<watch::Sender<Listed>>,
}

#[derive(Default)]
struct Listed {
    last: u64,
    entries: VecDeque<ApiRequest>,
}

/// One request as long as it is being answered; the end of the last clone is its end.
#[derive(Clone)]
struct Seen(Arc<Entry>);

struct Entry {
    listed: Arc<watch::Sender<Listed>>,
    id: u64,
    began: Instant,
}

impl Requests {
    /// An empty list, whose changes are told until `stop`.
    pub(crate) fn start(events: Events, stop: CancellationToken) -> Self {
        let listed = Arc::new(watch::Sender::new(Listed::default()));
        let mut changes = listed.subscribe();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            while changes.changed().await.is_ok() {
                events.push(Event::ApiRequestsChanged);
                // Not a wait for something: a limit on how often is told.
                tokio::time::sleep(TELL_EVERY).await;
            }
        }));
        Self { listed }
    }

    /// The newest, those that run first.
    pub(crate) fn list(&self) -> Vec<ApiRequest> {
        let listed = self.listed.borrow();
        let newest = || listed.entries.iter().rev();
        newest()
            .filter(|entry| entry.ms.is_none())
            .chain(newest().filter(|entry| entry.ms.is_some()))
            .cloned()
            .collect()
    }

    /// Lists a request while it is answered, and how that ended.
    pub(super) async fn watch(&self, key: Option<String>, request: Request, next: Next) -> Response {
        let api = match Shape::of(request.uri().path(), request.headers()) {
            Shape::OpenAi => ApiKind::OpenAi,
            Shape::Ollama => ApiKind::Ollama,
            Shape::Anthropic => ApiKind::Anthropic,
        };
        let seen = self.begin(api, quotable(request.uri().path()), key);
        let response = CURRENT.scope(seen.clone(), next.run(request)).await;
        seen.change(|entry| entry.status = Some(response.status().as_u16()));
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(piece) = frame.data_ref() {
                    seen.passes(piece);
                }
                frame
            }))
        })
    }

    fn begin(&self, api: ApiKind, path: String, key: Option<String>) -> Seen {
        let mut id = 0;
        self.listed.send_modify(|listed| {
            listed.last += 1;
            id = listed.last;
            if listed.entries.len() >= KEPT
                && let Some(at) = listed.entries.iter().position(|entry| entry.ms.is_some())
            {
                listed.entries.remove(at);
            }
            let (model, device_name, status, ms, tokens) = (None, None, None, None, None);
            let at = now_ms();
            listed.entries.push_back(ApiRequest { id, at, api, path, key, model, device_name, status, ms, tokens });
        });
        Seen(Arc::new(Entry { listed: Arc::clone(&self.listed), id, began: Instant::now() }))
    }
}

/// The current request, if it is one of the local API, is tried there.
pub(super) fn tried(route: &Route) {
    // Questions of the app itself come by another way.
    let _ = CURRENT.try_with(|seen| {
        seen.change(|entry| {
            entry.model = Some(quotable(&route.model));
            entry.device_name = Some(route.device_name.clone());
        });
    });
}

impl Seen {
    fn change(&self, change: impl FnOnce(&mut ApiRequest)) {
        self.0.change(change);
    }

    fn passes(&self, piece: &Bytes) {
        if let Some(tokens) = tokens(piece) {
            self.change(|entry| entry.tokens = Some(tokens));
        }
    }
}

impl Entry {
    fn change(&self, change: impl FnOnce(&mut ApiRequest)) {
        self.listed.send_modify(|listed| {
            if let Some(entry) = listed.entries.iter_mut().rev().find(|entry| entry.id == self.id) {
                change(entry);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.change(|entry| entry.ms = Some(ms));
    }
}

/// The number of tokens that a piece tells of, in whichever protocol.
fn tokens(piece: &[u8]) -> Option<u64> {
    COUNTS.iter().find_map(|key| number_behind(key, piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Requests {
        Requests::start(Events::new(), CancellationToken::new())
    }

    #[tokio::test]
    async fn those_that_run_come_first_and_those_that_ended_make_room() {
        let requests = requests();
        let first = requests.begin(ApiKind::Ollama, "/api/chat".to_owned(), Some("editor".to_owned()));
        for _ in 0..KEPT + 5 {
            drop(requests.begin(ApiKind::OpenAi, "/v1/models".to_owned(), None));
        }
        let listed = requests.list();
        assert_eq!(listed.len(), KEPT);
        assert_eq!((listed[0].id, listed[0].ms, listed[0].key.as_deref()), (1, None, Some("editor")));
        assert!(listed[1..].windows(2).all(|pair| pair[0].id > pair[1].id), "the newest first");
        first.change(|entry| entry.status = Some(200));
        drop(first);
        let ended = requests.list().into_iter().find(|entry| entry.id == 1).expect("still listed");
        assert!(ended.ms.is_some() && ended.status == Some(200));
    }

    #[test]
    fn tokens_are_read_in_every_protocol() {
        for (piece, told) in [
            (r#"data: {"usage":{"completion_tokens": 12,"total_tokens":30}}"#, Some(12)),
            (r#"{"prompt_eval_count":3,"eval_count":7}"#, Some(7)),
            (r#"{"usage":{"output_tokens":9}}"#, Some(9)),
            (r#"{"prompt_eval_count":3}"#, None),
            (r#"{"usage":{"output_tokens":null}}"#, None),
            (r#"{"usage":{"output_tokens":99999999999999999999}}"#, None),
            ("", None),
        ] {
            assert_eq!(tokens(piece.as_bytes()), told, "{piece}");
        }
    }
}
