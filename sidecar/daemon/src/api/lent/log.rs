//! The events of one answer, numbered from 1, as many as fit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, Bytes, BytesMut};

use super::{AWAY, KEEP, KEEP_LITTLE, TOTAL};
use crate::sse;

/// Room for `id: ` and a number.
const NUMBER: usize = 26;

/// The log.
pub(super) struct Log {
    events: VecDeque<Bytes>,
    /// Number of `events[0]`; the next number when empty.
    first: u64,
    bytes: usize,
    /// Bytes that all logs hold.
    stock: Arc<AtomicUsize>,
}

impl Log {
    /// An empty one that counts towards `stock`.
    pub(super) fn new(stock: Arc<AtomicUsize>) -> Self {
        Self { events: VecDeque::new(), first: 1, bytes: 0, stock }
    }

    /// Takes whole events and numbers each.
    pub(super) fn push(&mut self, events: &[u8]) {
        for event in sse::each(events) {
            let number = self.first + self.events.len() as u64;
            let mut numbered = BytesMut::with_capacity(NUMBER + event.len());
            numbered.put_slice(format!("id: {number}\n").as_bytes());
            numbered.put_slice(event);
            self.bytes += numbered.len();
            self.stock.fetch_add(numbered.len(), Ordering::Relaxed);
            self.events.push_back(numbered.freeze());
        }
    }

    /// The event of this number.
    pub(super) fn get(&self, number: u64) -> Option<&Bytes> {
        self.events.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Whether reading can go on at this number: nothing is missing before it.
    pub(super) fn reaches(&self, number: u64) -> bool {
        (self.first..=self.first + self.events.len() as u64).contains(&number)
    }

    /// Lets go of what comes before this number.
    pub(super) fn forget_before(&mut self, number: u64) {
        while self.first < number && self.pop() {}
    }

    /// Lets go of what a reader was handed, the oldest first, where there is need; `next` is the number that it gets next.
    pub(super) fn make_room(&mut self, next: u64) {
        let keep = if self.is_crowded() { KEEP_LITTLE } else { KEEP };
        while self.bytes >= keep && self.first < next && self.pop() {}
    }

    /// Whether more fits while there is no reader and everything is kept.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < if self.is_crowded() { KEEP_LITTLE } else { KEEP + AWAY }
    }

    /// Whether all logs together hold more than they should.
    pub(super) fn is_crowded(&self) -> bool {
        self.stock.load(Ordering::Relaxed) > TOTAL
    }

    fn pop(&mut self) -> bool {
        let Some(event) = self.events.pop_front() else { return false };
        self.first += 1;
        self.bytes -= event.len();
        self.stock.fetch_sub(event.len(), Ordering::Relaxed);
        true
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.stock.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
