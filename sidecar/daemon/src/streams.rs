//! Work that is followed as a resumable stream (answers, joins): started, found again by id, stopped, and kept for a
//! while after its end so that a reader who was away still gets the last item.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::ring::Ring;
use crate::text::random_id;

/// Requests that may wait for the registry, which answers each in microseconds.
const INBOX: usize = 64;
/// How long a stream is kept after its end.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// How often ended streams are looked through.
const SWEEP: Duration = Duration::from_secs(60);

/// One stream: its log, and the switch that ends its work.
pub(crate) struct Stream<T> {
    /// What came of it so far.
    pub(crate) ring: Ring<T>,
    /// Ends the work.
    pub(crate) cancel: CancellationToken,
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        Self { ring: self.ring.clone(), cancel: self.cancel.clone() }
    }
}

/// The registry's handle; clones share it.
pub(crate) struct Streams<T> {
    inbox: mpsc::Sender<Message<T>>,
    tasks: TaskTracker,
    capacity: usize,
    stop: CancellationToken,
}

impl<T> Clone for Streams<T> {
    fn clone(&self) -> Self {
        let (inbox, tasks, stop) = (self.inbox.clone(), self.tasks.clone(), self.stop.clone());
        Self { inbox, tasks, capacity: self.capacity, stop }
    }
}

enum Message<T> {
    Add { id: String, topic: Option<String>, stream: Stream<T> },
    Ended { id: String },
    Find { id: String, reply: oneshot::Sender<Option<Stream<T>>> },
    Running { reply: oneshot::Sender<HashMap<String, String>> },
}

struct Entry<T> {
    topic: Option<String>,
    stream: Stream<T>,
    ended: Option<Instant>,
}

impl<T: Clone + Send + Sync + 'static> Streams<T> {
    /// A registry whose streams keep the newest `capacity` items. `stop` ends all work.
    pub(crate) fn start(capacity: usize, stop: CancellationToken) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX);
        tokio::spawn(run(messages));
        Self { inbox, tasks: TaskTracker::new(), capacity, stop }
    }

    /// Starts `work` and returns the stream's id. The log is closed when the work ends. `topic` says what it works on,
    /// for [`running`](Self::running).
    pub(crate) async fn spawn<F>(&self, topic: Option<String>, work: impl FnOnce(Stream<T>) -> F) -> String
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = random_id();
        let stream = Stream { ring: Ring::new(1, self.capacity), cancel: self.stop.child_token() };
        let add = Message::Add { id: id.clone(), topic, stream: stream.clone() };
        // The registry lives as long as its handles.
        let _ = self.inbox.send(add).await;
        let (inbox, ended, ring) = (self.inbox.clone(), id.clone(), stream.ring.clone());
        let work = work(stream).instrument(tracing::info_span!("stream", %id));
        self.tasks.spawn(async move {
            work.await;
            ring.close();
            let _ = inbox.send(Message::Ended { id: ended }).await;
        });
        id
    }

    /// The stream with this id, if it runs or ended not long ago.
    pub(crate) async fn find(&self, id: &str) -> Option<Stream<T>> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Message::Find { id: id.to_owned(), reply }).await.ok()?;
        answer.await.ok()?
    }

    /// What is being worked on now: topic to stream id.
    pub(crate) async fn running(&self) -> HashMap<String, String> {
        let (reply, answer) = oneshot::channel();
        match self.inbox.send(Message::Running { reply }).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => HashMap::new(),
        }
    }

    /// Waits until all work has ended; call it after the stop.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn run<T: Clone + Send + Sync>(mut messages: mpsc::Receiver<Message<T>>) {
    let mut entries: HashMap<String, Entry<T>> = HashMap::new();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            now = sweep.tick() => {
                entries.retain(|_, entry| entry.ended.is_none_or(|ended| now.duration_since(ended) < KEPT));
                continue;
            }
        };
        match message {
            None => return,
            Some(Message::Add { id, topic, stream }) => {
                entries.insert(id, Entry { topic, stream, ended: None });
            }
            Some(Message::Ended { id }) => {
                if let Some(entry) = entries.get_mut(&id) {
                    entry.ended = Some(Instant::now());
                }
            }
            Some(Message::Find { id, reply }) => {
                // Who asked may be gone.
                let _ = reply.send(entries.get(&id).map(|entry| entry.stream.clone()));
            }
            Some(Message::Running { reply }) => {
                let running = entries.iter().filter(|(_, entry)| entry.ended.is_none());
                let topics = running.filter_map(|(id, entry)| Some((entry.topic.clone()?, id.clone()))).collect();
                let _ = reply.send(topics);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Batch;

    #[tokio::test]
    async fn a_stream_is_found_stopped_and_kept() {
        let streams = Streams::<u8>::start(8, CancellationToken::new());
        let id = streams
            .spawn(Some("talk".to_owned()), |stream| async move {
                stream.ring.push(1);
                stream.cancel.cancelled().await;
                stream.ring.push(2);
            })
            .await;
        assert_eq!(streams.running().await.get("talk"), Some(&id));
        let stream = streams.find(&id).await.expect("runs");
        let mut reader = stream.ring.read(0);
        assert_eq!(reader.next().await, Batch::Items(vec![(1, 1)]));
        stream.cancel.cancel();
        assert_eq!(reader.next().await, Batch::Items(vec![(2, 2)]));
        assert_eq!(reader.next().await, Batch::End);
        streams.ended().await;
        assert!(streams.running().await.is_empty());
        assert!(streams.find(&id).await.is_some(), "kept for late readers");
        assert!(streams.find("nothing").await.is_none());
    }

    #[tokio::test]
    async fn a_stop_ends_everything() {
        let stop = CancellationToken::new();
        let streams = Streams::<u8>::start(8, stop.clone());
        streams.spawn(None, |stream| async move { stream.cancel.cancelled().await }).await;
        stop.cancel();
        streams.ended().await;
    }

    #[tokio::test(start_paused = true)]
    async fn ended_streams_are_forgotten_in_time() {
        let streams = Streams::<u8>::start(8, CancellationToken::new());
        let id = streams.spawn(None, |_| async {}).await;
        streams.ended().await;
        tokio::time::sleep(KEPT + SWEEP + SWEEP).await;
        assert!(streams.find(&id).await.is_none());
    }
}
