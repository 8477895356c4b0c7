//! How fast one author may write documents: a bucket of tokens for each, refilled with time.
//!
//! A person types, an import comes as one burst, a device publishes what changed: all of it stays far below. What is
//! beyond is not lost: the last write of each key is offered again at the next comparison, and those between are
//! superseded by then.

use std::collections::BTreeMap;

use crate::proto::Millis;
use crate::proto::ids::DeviceId;

/// Entries that an author may write at once: two full imports.
pub const BURST: u32 = 4_096;
/// Entries a second after that.
pub const PER_SECOND: u32 = 20;
/// How long what was too fast is put off.
pub const PUT_OFF_MS: Millis = 5_000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Thousandths of an entry.
    tokens: u64,
    at: Millis,
}

/// The buckets of all authors that were heard of. Bounded by the number of members.
#[derive(Debug, Default)]
pub struct Pace {
    buckets: BTreeMap<DeviceId, Bucket>,
}

impl Pace {
    /// Takes one entry of `author` out of its bucket; `false` when it is empty.
    pub fn take(&mut self, author: DeviceId, now: Millis) -> bool {
        const FULL: u64 = BURST as u64 * 1_000;
        let bucket = self.buckets.entry(author).or_insert(Bucket { tokens: FULL, at: now });
        // One thousandth each millisecond for each entry a second. A clock that was set back refills nothing.
        let passed = u64::try_from(now.saturating_sub(bucket.at)).unwrap_or(0);
        bucket.tokens = bucket.tokens.saturating_add(passed.saturating_mul(u64::from(PER_SECOND))).min(FULL);
        bucket.at = now;
        let enough = bucket.tokens >= 1_000;
        if enough {
            bucket.tokens -= 1_000;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let (fast, other) = (DeviceId::of_secret(&[1; 32]), DeviceId::of_secret(&[2; 32]));
        let mut pace = Pace::default();
        let taken = (0..10_000).filter(|_| pace.take(fast, 0)).count();
        assert_eq!(taken, BURST as usize);
        assert!(pace.take(other, 0), "others have their own");
        let second = (0..1_000).filter(|ms| pace.take(fast, ms + 1)).count();
        assert_eq!(second, PER_SECOND as usize);
        assert!(!pace.take(fast, -50_000), "a clock that was set back gives nothing");
        let later = (0..10_000).filter(|_| pace.take(fast, 10_000_000)).count();
        assert_eq!(later, BURST as usize, "it fills up again, and not further");
    }
}
