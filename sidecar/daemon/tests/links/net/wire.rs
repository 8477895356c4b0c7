//! One direction of a link: when, if ever, a packet arrives. Time and chance come in as arguments.

use std::time::{Duration, Instant};

use rand::Rng;

/// What waits for its turn on a slow link at most; more is dropped, as a router with a full buffer does.
const BUFFER: Duration = Duration::from_millis(300);

/// How a link treats packets, in each direction alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Quality {
    /// Time on the way.
    pub(crate) delay: Duration,
    /// Up to this much more, for each packet anew; so packets overtake each other.
    pub(crate) jitter: Duration,
    /// Share of packets that are lost, from 0 to 1.
    pub(crate) loss: f64,
    /// Bits per second; none: no limit.
    pub(crate) rate: Option<f64>,
}

impl Quality {
    /// A perfect link with this delay in each direction.
    pub(crate) fn delay(milliseconds: u64) -> Self {
        Self { delay: Duration::from_millis(milliseconds), ..Self::default() }
    }
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wire {
    pub(crate) quality: Quality,
    pub(crate) cut: bool,
    /// When the last packet has been sent out.
    free_at: Option<Instant>,
}

impl Wire {
    /// When a packet of this many bytes arrives; `None` when it is lost.
    pub(crate) fn carry(&mut self, now: Instant, bytes: usize, chance: &mut impl Rng) -> Option<Instant> {
        let Quality { delay, jitter, loss, rate } = self.quality;
        if self.cut || chance.random::<f64>() < loss {
            return None;
        }
        let mut sent = now;
        if let Some(rate) = rate {
            #[expect(clippy::cast_precision_loss, reason = "packets are small")]
            let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / rate);
            sent = self.free_at.map_or(now, |free_at| free_at.max(now)) + takes;
            if sent - now > BUFFER {
                return None;
            }
            self.free_at = Some(sent);
        }
        Some(sent + delay + jitter.mul_f64(chance.random::<f64>()))
    }
}
