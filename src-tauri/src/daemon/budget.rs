//! How often a daemon that keeps ending is started again. Pure: time comes in as an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Starts that are allowed within [`WINDOW`].
pub(super) const STARTS: usize = 3;

/// For how long a start counts.
pub(super) const WINDOW: Duration = Duration::from_secs(5 * 60);

/// The recent starts.
#[derive(Debug, Default)]
pub(super) struct StartBudget {
    starts: VecDeque<Instant>,
}

impl StartBudget {
    /// Takes one start, if there is one left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.starts.front().is_some_and(|start| now.duration_since(*start) >= WINDOW) {
            self.starts.pop_front();
        }
        let left = self.starts.len() < STARTS;
        if left {
            self.starts.push_back(now);
        }
        left
    }

    /// A person asked for a start: count from zero again.
    pub(super) fn refill(&mut self) {
        self.starts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_starts_in_five_minutes_and_no_more() {
        let mut budget = StartBudget::default();
        let start = Instant::now();
        for second in 0..3 {
            assert!(budget.take(start + Duration::from_secs(second)));
        }
        assert!(!budget.take(start + Duration::from_secs(4)));
        assert!(!budget.take(start + Duration::from_secs(299)));
        assert!(budget.take(start + WINDOW), "the first start no longer counts");
        assert!(!budget.take(start + WINDOW));
    }

    #[test]
    fn a_person_may_always_ask_again() {
        let mut budget = StartBudget::default();
        let now = Instant::now();
        while budget.take(now) {}
        budget.refill();
        assert!(budget.take(now));
    }
}
