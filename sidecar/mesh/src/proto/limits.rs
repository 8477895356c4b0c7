//! How often a stranger may try: exponential back-off per key, in bounded memory.

use std::collections::BTreeMap;

use super::Millis;

/// The schedule of one kind of key. All times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffRule {
    /// Attempts before the cooling-off.
    pub attempts: u32,
    /// Pause after the first of them; doubles with each.
    pub pause_ms: i64,
    /// Cooling-off after the last of them; doubles with each further attempt.
    pub cooling_ms: i64,
    /// The longest pause.
    pub longest_ms: i64,
    /// How long after the end of its pause a key is forgotten, and starts anew.
    pub forget_ms: i64,
}

impl BackoffRule {
    /// The pause after the `n`th attempt (from 1).
    fn pause(&self, n: u32) -> i64 {
        let (base, doublings) =
            if n < self.attempts { (self.pause_ms, n.saturating_sub(1)) } else { (self.cooling_ms, n - self.attempts) };
        let factor = 1i64.checked_shl(doublings).filter(|factor| *factor > 0).unwrap_or(i64::MAX);
        base.saturating_mul(factor).min(self.longest_ms)
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    attempts: u32,
    blocked_until: Millis,
}

/// Attempts of many keys.
#[derive(Debug)]
pub struct Backoff<K> {
    rule: BackoffRule,
    capacity: usize,
    entries: BTreeMap<K, Entry>,
}

impl<K: Ord + Clone> Backoff<K> {
    /// Remembers at most `capacity` keys.
    pub fn new(rule: BackoffRule, capacity: usize) -> Self {
        Self { rule, capacity, entries: BTreeMap::new() }
    }

    /// How many milliseconds `key` still has to wait; `None` when it may try.
    pub fn wait(&self, key: &K, now: Millis) -> Option<u64> {
        let left = self.entries.get(key)?.blocked_until.saturating_sub(now);
        u64::try_from(left).ok().filter(|left| *left > 0)
    }

    /// Counts an attempt of `key`, or tells how many milliseconds it has to wait. An attempt within a pause does not
    /// lengthen it.
    pub fn attempt(&mut self, key: &K, now: Millis) -> Result<(), u64> {
        if let Some(left) = self.wait(key, now) {
            return Err(left);
        }
        let forgotten = |entry: &Entry| now.saturating_sub(entry.blocked_until) >= self.rule.forget_ms;
        let before = self.entries.get(key).filter(|entry| !forgotten(entry)).map_or(0, |entry| entry.attempts);
        if !self.entries.contains_key(key) && self.entries.len() >= self.capacity {
            self.make_room(now);
        }
        let attempts = before.saturating_add(1);
        let blocked_until = now.saturating_add(self.rule.pause(attempts));
        self.entries.insert(key.clone(), Entry { attempts, blocked_until });
        Ok(())
    }

    /// Forgets a key that turned out to be welcome.
    pub fn forgive(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops what may be forgotten; when that is nothing, the key whose pause ends first.
    fn make_room(&mut self, now: Millis) {
        let forget_ms = self.rule.forget_ms;
        self.entries.retain(|_, entry| now.saturating_sub(entry.blocked_until) < forget_ms);
        if self.entries.len() >= self.capacity {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.blocked_until).map(|(key, _)| key.clone());
            if let Some(key) = first {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BackoffRule =
        BackoffRule { attempts: 3, pause_ms: 1000, cooling_ms: 600_000, longest_ms: 3_600_000, forget_ms: 600_000 };

    #[test]
    fn pauses_double_then_cool_off_then_double_again() {
        let pauses: Vec<i64> = (1..=8).map(|n| RULE.pause(n)).collect();
        let cool = 600_000;
        assert_eq!(pauses, [1000, 2000, cool, 2 * cool, 4 * cool, 3_600_000, 3_600_000, 3_600_000]);
        assert_eq!(RULE.pause(u32::MAX), 3_600_000);
    }

    #[test]
    fn a_key_waits_out_its_pause() {
        let mut backoff = Backoff::new(RULE, 10);
        assert_eq!(backoff.attempt(&1, 0), Ok(()));
        assert_eq!(backoff.attempt(&1, 400), Err(600));
        assert_eq!(backoff.attempt(&1, 400), Err(600), "trying again does not lengthen it");
        assert_eq!(backoff.attempt(&2, 400), Ok(()), "other keys are not affected");
        assert_eq!(backoff.attempt(&1, 1000), Ok(()));
        assert_eq!(backoff.attempt(&1, 3000), Ok(()));
        assert_eq!(backoff.attempt(&1, 3001), Err(599_999));
    }

    #[test]
    fn a_key_is_forgotten_after_its_pause_and_can_be_forgiven() {
        let mut backoff = Backoff::new(RULE, 10);
        for now in [0, 1000, 3000] {
            backoff.attempt(&1, now).expect("within the attempts");
        }
        assert_eq!(backoff.attempt(&1, 603_000 + 600_000), Ok(()));
        assert_eq!(backoff.wait(&1, 603_000 + 600_000), Some(1000), "it starts anew");
        backoff.forgive(&1);
        assert_eq!(backoff.wait(&1, 603_000 + 600_000), None);
    }

    #[test]
    fn memory_stays_bounded_and_the_worst_offenders_are_kept() {
        let mut backoff = Backoff::new(RULE, 100);
        for now in [0, 1000, 3000] {
            backoff.attempt(&0, now).expect("within the attempts");
        }
        for key in 1..10_000 {
            backoff.attempt(&key, 3000).expect("a new key");
            assert!(backoff.len() <= 100);
        }
        assert!(backoff.attempt(&0, 4000).is_err(), "its long pause outlives the flood");
    }
}
