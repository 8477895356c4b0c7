//! How often words go onto the link.
//!
//! A packet costs both devices more than the word in it. Up to a thousand words a second go out one by one; what comes
//! faster goes out together, a millisecond or two later, where nobody could see it come one by one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Between two packets of an answer that comes faster than that. tokio's clock rounds up to the next millisecond.
const GAP: Duration = Duration::from_millis(1);
/// So many packets more may go out at once, when there were fewer before: no first word waits.
const AHEAD: u32 = 7;

/// A bucket of tokens that gets another one every [`GAP`]; a packet takes one.
pub(super) struct Pace {
    /// Something went out, and what comes now goes with it.
    sending: bool,
    /// When the bucket is full.
    full_at: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Pace {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { sending: false, full_at: now, alarm: Box::pin(sleep_until(now)) }
    }

    /// Waits until something may go out.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sending || self.full_at <= Instant::now() + AHEAD * GAP {
            return Poll::Ready(());
        }
        let due = self.full_at - AHEAD * GAP;
        if self.alarm.deadline() != due {
            self.alarm.as_mut().reset(due);
        }
        ready!(self.alarm.as_mut().poll(cx));
        Poll::Ready(())
    }

    /// Something goes out.
    pub(super) fn send(&mut self) {
        self.sending = true;
    }

    /// There is nothing more for now: what went out is on its way.
    pub(super) fn rest(&mut self) {
        if std::mem::take(&mut self.sending) {
            self.full_at = self.full_at.max(Instant::now()) + GAP;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Sends a word every `every` and counts how often something went out.
    async fn packets(words: u32, every: Duration) -> u32 {
        let (mut pace, begin, mut told, mut packets) = (Pace::new(), Instant::now(), 0, 0);
        while told < words {
            poll_fn(|cx| pace.poll_ready(cx)).await;
            sleep_until(begin + told * every).await;
            let there = (begin.elapsed().as_micros() / every.as_micros()).min(u128::from(words - 1)) + 1;
            told = u32::try_from(there).expect("few");
            pace.send();
            pace.rest();
            packets += 1;
        }
        packets
    }

    #[tokio::test(start_paused = true)]
    async fn what_people_read_goes_out_word_by_word() {
        assert_eq!(packets(200, Duration::from_millis(2)).await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_faster_goes_out_together() {
        let together = packets(2_000, Duration::from_micros(500)).await;
        assert!((300..=1_010).contains(&together), "{together}");
        assert!(packets(16_000, Duration::from_micros(100)).await <= 1_610);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_words_wait_for_nothing() {
        let (mut pace, begin) = (Pace::new(), Instant::now());
        for _ in 0..=AHEAD {
            poll_fn(|cx| pace.poll_ready(cx)).await;
            pace.send();
            pace.rest();
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        poll_fn(|cx| pace.poll_ready(cx)).await;
        assert!(begin.elapsed() >= GAP);
    }
}
