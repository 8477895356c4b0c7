//! How fast something arrives.

use std::time::{Duration, Instant};

/// How much time the past is worth: after this long an old rate counts for a third.
const MEMORY: Duration = Duration::from_secs(3);
/// Shortest time that a rate is measured over.
const SHORTEST: Duration = Duration::from_millis(200);

/// A rate that forgets: each measurement counts the less, the longer ago it was.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    bytes: u64,
    rate: Option<f64>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, rate: None }
    }

    /// So many bytes have arrived.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Bytes a second.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people; it is never negative"
    )]
    pub(super) fn rate(&mut self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.since);
        if passed >= SHORTEST {
            let latest = self.bytes as f64 / passed.as_secs_f64();
            let keep = (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
            self.rate = Some(self.rate.map_or(latest, |rate| rate * keep + latest * (1.0 - keep)));
            (self.since, self.bytes) = (now, 0);
        }
        self.rate.unwrap_or(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_and_a_pause_is_noticed() {
        let begin = Instant::now();
        let at = |millis: u64| begin + Duration::from_millis(millis);
        let mut pace = Pace::new(begin);
        assert_eq!(pace.rate(at(100)), 0, "nothing is known yet");
        for step in 1..=20 {
            pace.add(1_000);
            let rate = pace.rate(at(step * 1_000));
            assert!((999..=1_000).contains(&rate), "{rate}");
        }
        let after_a_while = pace.rate(at(30_000));
        assert!(after_a_while < 50, "{after_a_while}");
        pace.add(u64::MAX);
        pace.add(u64::MAX);
        assert!(pace.rate(at(31_000)) > 1 << 60);
        assert!(pace.rate(at(0)) > 1 << 60, "a clock that goes back does no harm");
    }
}
