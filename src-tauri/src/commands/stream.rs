//! Subscriptions of the daemon as Tauri channels.
//!
//! Each returns a handle for [`stream_stop`]. When the daemon is lost the channel gets nothing more; the UI subscribes
//! again with the last `seq` it saw once `shell-state` says `attached`.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{AnswerItem, EventItem, JoinItem, ModelGetItem};
use tauri::ipc::Channel;
use tauri::{State, Webview};

use crate::daemon::Daemon;
use crate::streams::{self, Answer, Events, Join, ModelGet};

/// Everything that happens, from the first event after `after` (0: only what happens from now on).
#[tauri::command]
#[specta::specta]
pub async fn events_stream(
    webview: Webview,
    daemon: State<'_, Daemon>,
    after: u64,
    channel: Channel<EventItem>,
) -> Result<u32, ControlError> {
    streams::forward(webview, daemon.client()?, Events, after, channel).await
}

/// The events of an answer, from the first after `after`; ends with `done` or `error`.
#[tauri::command]
#[specta::specta]
pub async fn answer_stream(
    webview: Webview,
    daemon: State<'_, Daemon>,
    id: String,
    after: u64,
    channel: Channel<AnswerItem>,
) -> Result<u32, ControlError> {
    streams::forward(webview, daemon.client()?, Answer(id), after, channel).await
}

/// The steps of a join, from the first after `after`; ends with `joined` or `failed`.
#[tauri::command]
#[specta::specta]
pub async fn join_stream(
    webview: Webview,
    daemon: State<'_, Daemon>,
    id: String,
    after: u64,
    channel: Channel<JoinItem>,
) -> Result<u32, ControlError> {
    streams::forward(webview, daemon.client()?, Join(id), after, channel).await
}

/// The events of a download, from the first after `after`; ends with `done`, `paused` or `error`.
#[tauri::command]
#[specta::specta]
pub async fn model_get_stream(
    webview: Webview,
    daemon: State<'_, Daemon>,
    id: String,
    after: u64,
    channel: Channel<ModelGetItem>,
) -> Result<u32, ControlError> {
    streams::forward(webview, daemon.client()?, ModelGet(id), after, channel).await
}

/// Ends a stream by its handle. The work behind it goes on; stopping that is `answer_stop`, `join_stop` and
/// `model_get_stop`.
#[tauri::command]
#[specta::specta]
#[expect(clippy::needless_pass_by_value, reason = "Tauri hands its arguments over by value")]
pub fn stream_stop(webview: Webview, handle: u32) {
    streams::stop(&webview, handle);
}
