//! Forwards the daemon's subscriptions to the window.
//!
//! A stream is a task that owns one subscription and one Tauri channel, and an entry in the webview's resource table that
//! ends the task when it is closed: by the UI, by a reload of the page, or with the webview.

use std::borrow::Cow;
use std::sync::Arc;

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Subscription;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::library::LibraryApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{AnswerEvent, AnswerItem, EventItem, JoinEvent, JoinItem, ModelGetEvent, ModelGetItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tauri::ipc::Channel;
use tauri::{Manager, Resource, Webview};
use tokio::sync::oneshot;

/// Name of our entries in the resource table.
const NAME: &str = "daemon stream";

/// A resumable subscription of the control contract.
pub trait Source: Send + Sync + 'static {
    /// What it delivers.
    type Item: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Subscribes to what follows `after`.
    fn subscribe(
        &self,
        client: &ControlClient,
        after: u64,
    ) -> impl Future<Output = Result<Subscription<Self::Item>, ClientError>> + Send;

    /// Position of an item.
    fn seq(item: &Self::Item) -> u64;

    /// Whether nothing follows this item.
    fn is_last(item: &Self::Item) -> bool;
}

/// Everything that happens; never ends by itself.
pub struct Events;

/// The answer with this id.
pub struct Answer(pub String);

/// The join with this id.
pub struct Join(pub String);

/// The download with this id.
pub struct ModelGet(pub String);

impl Source for Events {
    type Item = EventItem;

    async fn subscribe(&self, client: &ControlClient, after: u64) -> Result<Subscription<EventItem>, ClientError> {
        client.events(after).await
    }

    fn seq(item: &EventItem) -> u64 {
        item.seq
    }

    fn is_last(_item: &EventItem) -> bool {
        false
    }
}

impl Source for Answer {
    type Item = AnswerItem;

    async fn subscribe(&self, client: &ControlClient, after: u64) -> Result<Subscription<AnswerItem>, ClientError> {
        client.answer_events(self.0.clone(), after).await
    }

    fn seq(item: &AnswerItem) -> u64 {
        item.seq
    }

    fn is_last(item: &AnswerItem) -> bool {
        matches!(item.event, AnswerEvent::Done { .. } | AnswerEvent::Error { .. })
    }
}

impl Source for Join {
    type Item = JoinItem;

    async fn subscribe(&self, client: &ControlClient, after: u64) -> Result<Subscription<JoinItem>, ClientError> {
        client.join_events(self.0.clone(), after).await
    }

    fn seq(item: &JoinItem) -> u64 {
        item.seq
    }

    fn is_last(item: &JoinItem) -> bool {
        matches!(item.event, JoinEvent::Joined { .. } | JoinEvent::Failed { .. })
    }
}

impl Source for ModelGet {
    type Item = ModelGetItem;

    async fn subscribe(&self, client: &ControlClient, after: u64) -> Result<Subscription<ModelGetItem>, ClientError> {
        client.model_get_events(self.0.clone(), after).await
    }

    fn seq(item: &ModelGetItem) -> u64 {
        item.seq
    }

    fn is_last(item: &ModelGetItem) -> bool {
        !matches!(item.event, ModelGetEvent::Progress { .. })
    }
}

/// Closing the entry drops this sender, and with it the task ends.
struct Stop {
    _sender: oneshot::Sender<()>,
}

impl Resource for Stop {
    fn name(&self) -> Cow<'_, str> {
        NAME.into()
    }
}

/// Subscribes and forwards until the last item, the loss of the daemon, or [`stop`]; returns the handle for that.
pub async fn forward<S: Source>(
    webview: Webview,
    client: Arc<ControlClient>,
    source: S,
    after: u64,
    channel: Channel<S::Item>,
) -> Result<u32, ControlError> {
    let subscription = source.subscribe(&client, after).await?;
    let (sender, stopped) = oneshot::channel();
    let handle = webview.resources_table().add(Stop { _sender: sender });
    tauri::async_runtime::spawn(async move {
        tokio::select! {
            _ = stopped => {}
            () = pump(&client, &source, subscription, after, |item| channel.send(item).is_ok()) => stop(&webview, handle),
        }
    });
    Ok(handle)
}

/// Hands every item on, once, until `deliver` refuses, the last item, or the loss of the daemon. A reader that lagged is
/// closed by the client: it resumes where it was.
pub(crate) async fn pump<S: Source>(
    client: &ControlClient,
    source: &S,
    mut subscription: Subscription<S::Item>,
    mut after: u64,
    deliver: impl Fn(S::Item) -> bool,
) {
    loop {
        while let Some(item) = subscription.next().await {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    tracing::warn!("an item of a stream could not be read: {error}");
                    return;
                }
            };
            after = S::seq(&item);
            let last = S::is_last(&item);
            if !deliver(item) || last {
                return;
            }
        }
        if !client.is_connected() {
            return;
        }
        subscription = match source.subscribe(client, after).await {
            Ok(subscription) => subscription,
            Err(error) => {
                tracing::warn!("a stream could not be resumed: {error}");
                return;
            }
        };
    }
}

/// Ends one stream; a handle that has ended already is no error.
pub fn stop(webview: &Webview, handle: u32) {
    let mut table = webview.resources_table();
    if table.get::<Stop>(handle).is_ok() && table.close(handle).is_err() {
        tracing::debug!("stream {handle} had ended");
    }
}

/// Ends every stream of a page that goes away.
pub fn stop_all(webview: &Webview) {
    let handles: Vec<u32> =
        webview.resources_table().names().filter(|(_, name)| name == NAME).map(|(handle, _)| handle).collect();
    for handle in handles {
        stop(webview, handle);
    }
}
