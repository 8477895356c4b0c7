//! The hybrid logical clock that orders records.
//!
//! A reading is `(milliseconds, counter)`. It follows the wall clock, never runs backwards, and is later than every
//! reading this device has seen, so what was written in answer to a record sorts after it even when the clocks of the
//! two devices disagree (Kulkarni et al., "Logical Physical Clocks", 2014).

use serde::{Deserialize, Serialize};

use super::Millis;

/// How far ahead of this device's clock a record's may be before it is refused for now: 24 hours.
///
/// A device whose clock was set in local time and read as UTC is up to 14 hours off; refusing that would lock honest
/// devices out. Anything further is a broken or lying clock, which would otherwise drag everybody's clock along and win
/// every later conflict. A refused record is not lost: it is taken once its time is near.
pub const MAX_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// One reading. Orders by time, then counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Distinguishes readings of one millisecond.
    pub counter: u32,
}

impl Hlc {
    /// The reading at `ms` milliseconds since the Unix epoch, counter 0.
    pub const fn at(ms: u64) -> Self {
        Self { ms, counter: 0 }
    }

    /// Its time in the unit that the rest of the program uses.
    pub fn millis(self) -> Millis {
        Millis::try_from(self.ms).unwrap_or(Millis::MAX)
    }

    /// Refuses a reading that is more than [`MAX_AHEAD_MS`] ahead of `now`.
    pub fn check_not_ahead(self, now: Millis) -> Result<(), FarFuture> {
        let ahead_ms = self.ms.saturating_sub(wall(now));
        if ahead_ms > MAX_AHEAD_MS { Err(FarFuture { ahead_ms }) } else { Ok(()) }
    }

    /// From when on [`check_not_ahead`](Self::check_not_ahead) passes.
    pub fn believed_from(self) -> Millis {
        Millis::try_from(self.ms.saturating_sub(MAX_AHEAD_MS)).unwrap_or(Millis::MAX)
    }

    /// The smallest reading after this one.
    fn next(self) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self { ms: self.ms, counter },
            None => Self::at(self.ms.saturating_add(1)),
        }
    }
}

/// A reading too far ahead to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its clock is {} hours ahead of this device's: check the date and time on both", self.ahead_ms / 3_600_000)]
pub struct FarFuture {
    /// How far, in milliseconds.
    pub ahead_ms: u64,
}

/// This device's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// A clock that has seen `last`, the latest reading in the store.
    pub fn starting_at(last: Hlc) -> Self {
        Self { last }
    }

    /// A reading for a new record: later than all before it.
    pub fn tick(&mut self, now: Millis) -> Hlc {
        let wall = Hlc::at(wall(now));
        self.last = if wall > self.last { wall } else { self.last.next() };
        self.last
    }

    /// Takes note of another device's reading.
    ///
    /// Fails, and changes nothing, when it is too far ahead of `now`.
    pub fn observe(&mut self, seen: Hlc, now: Millis) -> Result<(), FarFuture> {
        seen.check_not_ahead(now)?;
        self.last = self.last.max(seen);
        Ok(())
    }
}

/// A clock before 1970 reads as 1970.
fn wall(now: Millis) -> u64 {
    u64::try_from(now).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readings_rise_when_the_wall_clock_stands_or_steps_back() {
        let mut clock = Clock::default();
        let a = clock.tick(1000);
        let b = clock.tick(1000);
        let c = clock.tick(10);
        let d = clock.tick(-5);
        assert!(a < b && b < c && c < d);
        assert_eq!(a, Hlc::at(1000));
        assert_eq!(d, Hlc { ms: 1000, counter: 3 });
        assert_eq!(clock.tick(1001), Hlc::at(1001));
    }

    #[test]
    fn an_answer_sorts_after_what_it_answers() {
        let mut ahead = Clock::default();
        let mut behind = Clock::default();
        let question = ahead.tick(60_000);
        behind.observe(question, 1000).expect("a minute ahead is fine");
        assert!(behind.tick(1000) > question);
    }

    #[test]
    fn a_far_future_reading_is_refused_and_does_not_move_the_clock() {
        let mut clock = Clock::default();
        clock.tick(1000);
        let limit = Hlc::at(1000 + MAX_AHEAD_MS);
        assert_eq!(clock.observe(Hlc::at(limit.ms + 1), 1000), Err(FarFuture { ahead_ms: MAX_AHEAD_MS + 1 }));
        assert_eq!(clock.observe(Hlc::at(u64::MAX), -1).expect_err("far").ahead_ms, u64::MAX);
        assert_eq!(clock.tick(1001), Hlc::at(1001));
        clock.observe(limit, 1000).expect("just inside");
    }

    #[test]
    fn a_full_counter_carries() {
        let mut clock = Clock::starting_at(Hlc { ms: 5, counter: u32::MAX });
        assert_eq!(clock.tick(0), Hlc::at(6));
    }

    proptest! {
        #[test]
        fn readings_always_rise(steps in prop::collection::vec((any::<bool>(), 0i64..100_000, 0u64..100_000), 1..60)) {
            let mut clock = Clock::default();
            let mut last = Hlc::default();
            for (see, now, other) in steps {
                if see {
                    let _ = clock.observe(Hlc::at(other), now);
                }
                let next = clock.tick(now);
                prop_assert!(next > last);
                last = next;
            }
        }
    }
}
