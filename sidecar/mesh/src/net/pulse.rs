//! Hears within half a second that a device we work for is gone.
//!
//! A killed process says nothing, and QUIC's own time-out has to be long enough for a phone that changes networks. While
//! we work for somebody we therefore send a tiny datagram with every beat, which the other side's transport acknowledges
//! without its program doing anything. When no packet of any kind comes for [`SILENCE`], or for several times the longest
//! gap this connection has shown of late, whoever asked is taken for gone and the work for it ends. The connection itself
//! stays: should the device come back, it only has to ask again.

use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::Connection;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Time between two beats.
const BEAT: Duration = Duration::from_millis(50);
/// Silence on a connection that has been steady; the rest of the 500 ms we promise is for ending the work.
const SILENCE: Duration = Duration::from_millis(350);
/// Silence on the least steady of connections.
const LONGEST_SILENCE: Duration = Duration::from_secs(4);
/// How many times the longest recent gap a silence has to last.
const PATIENCE: u32 = 3;
/// Beats that must have gone unanswered: fewer may only mean that this process had to wait for its turn.
const UNANSWERED: u32 = 3;
/// What is left of the longest gap after each beat: half of it after 17 s.
const FADE: f64 = 0.998;
/// Without a beat for this long there was no work, or this device slept.
const REST: Duration = Duration::from_secs(1);

/// The beats of one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: Interval,
    hearing: Hearing,
}

impl Pulse {
    /// A pulse that has not begun to beat.
    pub(crate) fn new() -> Self {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { beats, hearing: Hearing::new(Instant::now()) }
    }

    /// Waits for the next beat. Called only while there is work; the pulse rests otherwise.
    pub(crate) async fn beat(&mut self) {
        self.beats.tick().await;
    }

    /// Asks the other side for a sign of life, and tells whether it has been silent for too long.
    pub(crate) fn is_lost(&mut self, connection: &Connection) -> bool {
        // Where datagrams are refused, other traffic has to do; a closed connection ends the work by itself.
        let _ = connection.send_datagram(Bytes::new());
        let round_trip = connection.paths().iter().find(iroh::endpoint::Path::is_selected).map(|path| path.rtt());
        let heard = connection.stats().udp_rx.datagrams;
        self.hearing.listen(heard, round_trip.unwrap_or_default(), Instant::now())
    }
}

/// What was heard, beat by beat.
#[derive(Debug)]
struct Hearing {
    /// Packets received in all.
    heard: u64,
    /// When that number was first seen.
    since: Instant,
    /// Beats since then.
    unanswered: u32,
    /// The beat before this one.
    last_beat: Instant,
    /// The longest recent time without a packet.
    gap: Duration,
}

impl Hearing {
    fn new(now: Instant) -> Self {
        Self { heard: 0, since: now, unanswered: 0, last_beat: now, gap: BEAT }
    }

    /// Takes note of the number of packets received; tells whether the silence is too long.
    fn listen(&mut self, heard: u64, round_trip: Duration, now: Instant) -> bool {
        // After a rest nothing is known about the other side.
        let rested = now - self.last_beat > REST;
        self.last_beat = now;
        let silent = now - self.since;
        if heard != self.heard || rested {
            if !rested {
                self.gap = silent.max(self.gap.mul_f64(FADE)).max(BEAT);
            }
            self.heard = heard;
            self.since = now;
            self.unanswered = 0;
            return false;
        }
        self.unanswered += 1;
        let limit = SILENCE.max(PATIENCE * self.gap).min(LONGEST_SILENCE) + PATIENCE * round_trip;
        self.unanswered >= UNANSWERED && silent >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Listens beat by beat; `packets` tells how many had come by then. Gives the beat at which the other side was lost.
    fn lost_at(packets: impl Fn(u32) -> u64, round_trip: Duration, beats: u32) -> Option<u32> {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        (1..=beats).find(|&beat| hearing.listen(packets(beat), round_trip, start + beat * BEAT))
    }

    #[test]
    fn a_steady_device_that_stops_is_lost_within_the_promise() {
        let beat = lost_at(|beat| u64::from(beat.min(50)), Duration::from_micros(200), 100).expect("lost");
        assert!((beat - 50) * BEAT <= Duration::from_millis(400), "after {:?}", (beat - 50) * BEAT);
    }

    #[test]
    fn one_that_answers_is_never_lost() {
        assert_eq!(lost_at(u64::from, Duration::ZERO, 10_000), None);
        assert_eq!(lost_at(|beat| u64::from(beat / 6), Duration::ZERO, 10_000), None);
    }

    #[test]
    fn a_shaky_connection_gets_more_patience() {
        // Silent for 300 ms again and again, and once for 800 ms.
        let packets = |beat: u32| u64::from(if (120..136).contains(&beat) { 20 } else { beat / 6 });
        assert_eq!(lost_at(packets, Duration::ZERO, 400), None);
        let far = Duration::from_millis(200);
        assert_eq!(lost_at(|beat| u64::from(if (60..76).contains(&beat) { 60 } else { beat }), far, 200), None);
    }

    #[test]
    fn even_the_shakiest_is_lost_in_the_end() {
        let start = Instant::now();
        let mut hearing = Hearing { gap: Duration::from_secs(60), ..Hearing::new(start) };
        let beat = (1..200).find(|&beat| hearing.listen(0, Duration::ZERO, start + beat * BEAT));
        assert_eq!(beat.map(|beat| beat * BEAT), Some(LONGEST_SILENCE));
    }

    #[test]
    fn a_rest_is_no_silence() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        assert!(!hearing.listen(7, Duration::ZERO, start + BEAT));
        let later = start + Duration::from_secs(60);
        assert!(!hearing.listen(7, Duration::ZERO, later));
        assert!((1..7).all(|beat| !hearing.listen(7, Duration::ZERO, later + beat * BEAT)));
        assert!(hearing.listen(7, Duration::ZERO, later + 7 * BEAT));
    }

    #[test]
    fn waiting_for_our_own_turn_is_no_silence() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        assert!(!hearing.listen(7, Duration::ZERO, start + BEAT));
        // The process stood still for 800 ms; what came meanwhile has not been read yet.
        let late = start + BEAT + Duration::from_millis(800);
        assert!(!hearing.listen(7, Duration::ZERO, late));
        assert!(!hearing.listen(8, Duration::ZERO, late + BEAT));
    }
}
