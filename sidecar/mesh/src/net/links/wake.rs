//! Notices that this device slept, or that its program was stopped for a while: the time between two looks at the clock
//! is longer than it can be.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// What cannot be explained by a busy machine.
const ODD: Duration = Duration::from_secs(4);

/// Looks at two clocks: one that stands still while the device sleeps (on Linux), and one that people set.
#[derive(Debug)]
pub(super) struct Wake {
    steady: Instant,
    wall: SystemTime,
}

impl Wake {
    /// Begins to look.
    pub(super) fn new(steady: Instant, wall: SystemTime) -> Self {
        Self { steady, wall }
    }

    /// Whether more time has passed since the last look than `expected` and a bit. A clock that is set forward looks the
    /// same, and does no harm.
    pub(super) fn looked(&mut self, steady: Instant, wall: SystemTime, expected: Duration) -> bool {
        let passed = steady.saturating_duration_since(self.steady);
        // A clock that went back says nothing.
        let wall_passed = wall.duration_since(self.wall).unwrap_or_default();
        (self.steady, self.wall) = (steady, wall);
        passed.max(wall_passed) > expected + ODD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_either_clock_is_a_wake_and_a_clock_set_back_is_none() {
        let tick = Duration::from_secs(2);
        let (start, wall) = (Instant::now(), SystemTime::now());
        let mut wake = Wake::new(start, wall);
        assert!(!wake.looked(start + tick, wall + tick, tick));
        assert!(!wake.looked(start + tick * 4, wall + tick * 4, tick), "a busy machine");
        let slept = Duration::from_secs(3_600);
        assert!(wake.looked(start + tick * 5, wall + tick * 5 + slept, tick), "asleep");
        assert!(wake.looked(start + tick * 5 + slept, wall + tick * 6 + slept * 2, tick), "stopped");
        assert!(!wake.looked(start + tick * 6 + slept, wall, tick), "set back");
    }
}
