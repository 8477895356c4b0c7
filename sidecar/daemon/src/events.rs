//! Everything that happens, numbered, for whoever follows it.

use myownmesh_control::types::{Event, EventItem};

use crate::ring::{Batch, Reader, Ring};
use crate::text::now_ms;

/// How many events are kept for readers that were away.
const KEPT: usize = 4096;

/// The log of events; clones share it.
#[derive(Clone)]
pub(crate) struct Events {
    ring: Ring<(i64, Event)>,
}

impl Events {
    /// An empty log. Numbers begin at the present time, so those of an earlier daemon are never mistaken for its own.
    pub(crate) fn new() -> Self {
        Self { ring: Ring::new(u64::try_from(now_ms()).unwrap_or(1), KEPT) }
    }

    /// Tells everyone.
    pub(crate) fn push(&self, event: Event) {
        self.ring.push((now_ms(), event));
    }

    /// Follows events from the first after `after`; 0: from now on.
    pub(crate) fn follow(&self, after: u64) -> EventReader {
        let from = if after == 0 { self.ring.last() } else { after };
        EventReader { reader: self.ring.read(from), last: from }
    }
}

/// A reader of events.
pub(crate) struct EventReader {
    reader: Reader<(i64, Event)>,
    last: u64,
}

impl EventReader {
    /// The next events; none when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Vec<EventItem>> {
        match self.reader.next().await {
            Batch::Items(items) => {
                self.last = items.last().map_or(self.last, |(seq, _)| *seq);
                Some(items.into_iter().map(|(seq, (at, event))| EventItem { seq, at, event }).collect())
            }
            Batch::Missed => Some(vec![EventItem { seq: self.last, at: now_ms(), event: Event::Missed }]),
            Batch::End => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_start_now_or_where_they_left() {
        let events = Events::new();
        events.push(Event::NetworksChanged);
        let mut fresh = events.follow(0);
        events.push(Event::ModelsChanged);
        let items = fresh.next().await.expect("one");
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].event, Event::ModelsChanged);
        let mut back = events.follow(items[0].seq - 1);
        assert_eq!(back.next().await.expect("again"), items);
    }

    #[tokio::test]
    async fn another_life_is_missed() {
        let events = Events::new();
        for after in [1, u64::MAX - 1] {
            let mut reader = events.follow(after);
            assert_eq!(reader.next().await.expect("told")[0].event, Event::Missed, "{after}");
        }
    }
}
