//! Steps and observations that tests share.

use std::time::Duration;

use jsonrpsee::core::client::Subscription;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{AnswerEvent, ChatRequest, DeviceSummary, Event, EventItem};

use crate::harness::Daemon;
use crate::harness::story::ask;

/// What one device knows of another.
pub(crate) async fn seen(daemon: &Daemon, other: &Daemon) -> DeviceSummary {
    daemon.control.device_show(other.id().to_owned()).await.expect("it is known")
}

/// The whole text of an answer.
pub(crate) async fn answered(daemon: &Daemon, request: ChatRequest) -> String {
    let events = ask(daemon, request).await;
    match events.last() {
        Some(AnswerEvent::Done { text, .. }) => text.clone(),
        other => panic!("no answer: {other:?}"),
    }
}

/// The events of a daemon with their times.
pub(crate) struct Diary {
    items: Subscription<EventItem>,
}

impl Diary {
    /// The events from now on.
    pub(crate) async fn open(daemon: &Daemon) -> Self {
        Self { items: daemon.control.events(0).await.expect("events can be followed") }
    }

    /// Everything that has come so far.
    pub(crate) async fn so_far(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(Some(Ok(item))) = tokio::time::timeout(Duration::from_millis(50), self.items.next()).await {
            events.push(item.event);
        }
        events
    }
}
