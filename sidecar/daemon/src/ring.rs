//! A numbered, bounded log with any number of readers: the one mechanism behind every resumable stream of the control
//! contract (daemon events, answers, steps of a join).
//!
//! Writers never wait. Readers pull at their own speed and may start again anywhere; one that comes back too late is
//! told so instead of being given a gap it cannot see.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

/// Most items handed to a reader at once, so that a long replay does not copy the whole log in one go.
const BATCH: usize = 256;

/// The writing end; clones write to the same log.
pub(crate) struct Ring<T> {
    state: Arc<watch::Sender<State<T>>>,
    readers: Arc<watch::Sender<usize>>,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), readers: Arc::clone(&self.readers) }
    }
}

struct State<T> {
    items: VecDeque<T>,
    /// Number of `items[0]`; the next number when empty.
    first: u64,
    capacity: usize,
    closed: bool,
}

impl<T> State<T> {
    fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Batch<T> {
    /// The next items with their numbers; never empty.
    Items(Vec<(u64, T)>),
    /// Items between the asked-for number and the oldest kept one are gone; reading goes on at the latter.
    Missed,
    /// The log was closed and everything was read.
    End,
}

impl<T: Clone + Send + Sync> Ring<T> {
    /// An empty log that numbers from `first` (at least 1) and keeps the newest `capacity` items (at least 1).
    pub(crate) fn new(first: u64, capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), first: first.max(1), capacity: capacity.max(1), closed: false };
        Self { state: Arc::new(watch::Sender::new(state)), readers: Arc::new(watch::Sender::new(0)) }
    }

    /// Appends an item; returns its number. A closed log takes nothing more.
    pub(crate) fn push(&self, item: T) -> u64 {
        let mut seq = 0;
        self.state.send_if_modified(|state| {
            seq = state.next();
            if state.closed {
                return false;
            }
            if state.items.len() == state.capacity {
                state.items.pop_front();
                state.first += 1;
            }
            state.items.push_back(item);
            true
        });
        seq
    }

    /// Ends the log: readers get what is left, then [`Batch::End`].
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Number of the newest item; one less than the first number when there was none.
    pub(crate) fn last(&self) -> u64 {
        self.state.borrow().next() - 1
    }

    /// Reads every item numbered above `after`.
    pub(crate) fn read(&self, after: u64) -> Reader<T> {
        self.readers.send_modify(|readers| *readers += 1);
        Reader {
            state: self.state.subscribe(),
            next: after.saturating_add(1),
            _presence: Presence(Arc::clone(&self.readers)),
        }
    }

    /// How many readers there are, as it changes.
    pub(crate) fn readers(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }
}

/// The reading end.
pub(crate) struct Reader<T> {
    state: watch::Receiver<State<T>>,
    next: u64,
    _presence: Presence,
}

/// Counts a reader as long as it lives.
struct Presence(Arc<watch::Sender<usize>>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.send_modify(|readers| *readers = readers.saturating_sub(1));
    }
}

impl<T: Clone> Reader<T> {
    /// Waits for what comes next.
    pub(crate) async fn next(&mut self) -> Batch<T> {
        let wanted = self.next;
        // A number from the future belongs to another life of this log: it counts as missed, not as something to await.
        let news = |state: &State<T>| state.next() > wanted || state.closed || wanted > state.next();
        let Ok(state) = self.state.wait_for(news).await else { return Batch::End };
        if wanted < state.first || wanted > state.next() {
            self.next = state.first;
            return Batch::Missed;
        }
        let skip = usize::try_from(wanted - state.first).unwrap_or(usize::MAX);
        let items: Vec<_> = (wanted..).zip(state.items.iter().skip(skip).take(BATCH).cloned()).collect();
        self.next = wanted + items.len() as u64;
        if items.is_empty() { Batch::End } else { Batch::Items(items) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn items_are_numbered_and_replayed() {
        let ring = Ring::new(1, 8);
        assert_eq!(ring.last(), 0);
        assert_eq!(ring.push("a"), 1);
        assert_eq!(ring.push("b"), 2);
        let mut reader = ring.read(1);
        assert_eq!(reader.next().await, Batch::Items(vec![(2, "b")]));
        ring.push("c");
        ring.close();
        assert_eq!(reader.next().await, Batch::Items(vec![(3, "c")]));
        assert_eq!(reader.next().await, Batch::End);
        assert_eq!(ring.push("late"), 4);
        assert_eq!(ring.last(), 3);
    }

    #[tokio::test]
    async fn a_late_reader_is_told() {
        let ring = Ring::new(10, 2);
        for n in 0..5 {
            ring.push(n);
        }
        let mut reader = ring.read(10);
        assert_eq!(reader.next().await, Batch::Missed);
        assert_eq!(reader.next().await, Batch::Items(vec![(13, 3), (14, 4)]));
    }

    #[tokio::test]
    async fn a_number_of_another_life_is_missed() {
        let ring = Ring::new(1, 2);
        ring.push(());
        let mut reader = ring.read(900);
        assert_eq!(reader.next().await, Batch::Missed);
        assert_eq!(reader.next().await, Batch::Items(vec![(1, ())]));
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes() {
        let ring = Ring::new(1, 2);
        let mut reader = ring.read(0);
        let waiting = tokio::spawn(async move { reader.next().await });
        ring.push(7);
        assert_eq!(waiting.await.expect("reader"), Batch::Items(vec![(1, 7)]));
    }

    #[test]
    fn readers_are_counted() {
        let ring = Ring::<()>::new(1, 2);
        let count = ring.readers();
        let (one, two) = (ring.read(0), ring.read(0));
        assert_eq!(*count.borrow(), 2);
        drop((one, two));
        assert_eq!(*count.borrow(), 0);
    }

    #[tokio::test]
    async fn a_long_replay_comes_in_batches() {
        let ring = Ring::new(1, 1000);
        for n in 0..600_u64 {
            ring.push(n);
        }
        ring.close();
        let mut reader = ring.read(0);
        let mut seen = 0;
        while let Batch::Items(items) = reader.next().await {
            assert!(items.len() <= BATCH);
            seen += items.len();
        }
        assert_eq!(seen, 600);
    }
}
