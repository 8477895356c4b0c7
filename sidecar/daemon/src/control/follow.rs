//! Subscriptions: each reads its own place in a log and sends at the speed of its reader. A reader that goes away and
//! comes back with the last number it has gets the rest.

use jsonrpsee::core::{SubscriptionError, SubscriptionResult};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionSink};
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{AnswerItem, JoinItem, ModelGetItem};
use serde::Serialize;

use super::invites;
use crate::daemon::Daemon;
use crate::ring::{Batch, Reader};
use crate::streams::Stream;

pub(super) async fn events(daemon: &Daemon, pending: PendingSubscriptionSink, after: u64) -> SubscriptionResult {
    let sink = pending.accept().await?;
    let mut reader = daemon.events.follow(after);
    loop {
        let items = tokio::select! {
            () = sink.closed() => return Ok(()),
            items = reader.next() => items,
        };
        let Some(items) = items else { return Ok(()) };
        for item in &items {
            send(&sink, item).await?;
        }
    }
}

pub(super) async fn answer(
    daemon: &Daemon,
    pending: PendingSubscriptionSink,
    id: &str,
    after: u64,
) -> SubscriptionResult {
    let found = daemon.answers.find(id).await;
    stream(pending, found, after, |seq, event| AnswerItem { seq, event }).await
}

pub(super) async fn join(
    daemon: &Daemon,
    pending: PendingSubscriptionSink,
    id: &str,
    after: u64,
) -> SubscriptionResult {
    let found = invites::find_join(daemon, id).await;
    stream(pending, found, after, |seq, event| JoinItem { seq, event }).await
}

pub(super) async fn download(
    daemon: &Daemon,
    pending: PendingSubscriptionSink,
    id: &str,
    after: u64,
) -> SubscriptionResult {
    let found = daemon.library.find(id).await;
    stream(pending, found, after, |seq, event| ModelGetItem { seq, event }).await
}

async fn stream<T: Clone + Send + Sync, I: Serialize>(
    pending: PendingSubscriptionSink,
    found: Result<Stream<T>, ControlError>,
    after: u64,
    item: impl Fn(u64, T) -> I,
) -> SubscriptionResult {
    let mut reader: Reader<T> = match found {
        Ok(stream) => stream.ring.read(after),
        Err(error) => {
            pending.reject(ErrorObjectOwned::from(error)).await;
            return Ok(());
        }
    };
    let sink = pending.accept().await?;
    loop {
        let batch = tokio::select! {
            () = sink.closed() => return Ok(()),
            batch = reader.next() => batch,
        };
        match batch {
            Batch::Items(items) => {
                for (seq, event) in items {
                    send(&sink, &item(seq, event)).await?;
                }
            }
            // Only a very long answer or download outgrows its log; its last item carries all that counts.
            Batch::Missed => {}
            Batch::End => return Ok(()),
        }
    }
}

async fn send(sink: &SubscriptionSink, item: &impl Serialize) -> Result<(), SubscriptionError> {
    let json = serde_json::value::to_raw_value(item).map_err(|error| SubscriptionError::from(error.to_string()))?;
    sink.send(json).await.map_err(|error| SubscriptionError::from(error.to_string()))
}
