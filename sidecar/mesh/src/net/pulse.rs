//! Hears within half a second that a device we work for is gone.
//!
//! A killed process says nothing, and QUIC's own time-out has to be long enough for a phone that changes networks. While
//! we work for somebody we therefore send a tiny datagram with every beat, which the other side's transport acknowledges
//! without its program doing anything. There are two ways to be taken for gone:
//!
//! - **The door is shut.** A dead process has no socket, and its system says so to whoever sends there ("port
//!   unreachable", RFC 1122 section 4.1.3.1). QUIC's shared socket cannot hear that, a connected one can: after a few
//!   beats without an answer a [`Door`] of our own asks. This needs no guess about how steady the connection is.
//! - **Silence**, where nobody answers for the dead: no packet of any kind for [`SILENCE`], or for several times the
//!   longest gap this connection has shown of late.
//!
//! Then the work for it ends. The connection itself stays: should the device come back, it only has to ask again.

use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use iroh::TransportAddr;
use iroh::endpoint::{Connection, Path};
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
/// Too short for any packet of QUIC, so that a living endpoint drops it unread.
const KNOCK: [u8; 1] = [0];

/// How the other side was found to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its process is dead: its system says so.
    Dead,
    /// Nothing is heard of it: it may be the link alone.
    Silent,
}

/// The beats of one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: Interval,
    hearing: Hearing,
    door: Option<Door>,
}

impl Pulse {
    /// A pulse that has not begun to beat.
    pub(crate) fn new() -> Self {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { beats, hearing: Hearing::new(Instant::now()), door: None }
    }

    /// Work begins after a rest: the request is a sign of life itself, so the first beat is not for now, when there is better
    /// to do. Short answers need none.
    pub(crate) fn begin(&mut self) {
        self.beats.reset();
    }

    /// Waits for the next beat. Called only while there is work; the pulse rests otherwise.
    pub(crate) async fn beat(&mut self) {
        self.beats.tick().await;
    }

    /// Asks the other side for a sign of life, and tells when it is gone.
    pub(crate) fn look(&mut self, connection: &Connection) -> Option<Gone> {
        // Where datagrams are refused, other traffic has to do; a closed connection ends the work by itself.
        let _ = connection.send_datagram(Bytes::new());
        let paths = connection.paths();
        let path = paths.iter().find(Path::is_selected);
        let round_trip = path.as_ref().map(Path::rtt).unwrap_or_default();
        let remote = match path.as_ref().map(Path::remote_addr) {
            Some(TransportAddr::Ip(remote)) => Some(*remote),
            _ => None,
        };
        if self.door.as_ref().map(|door| door.remote) != remote {
            self.door = remote.and_then(|remote| Door::at(remote).ok());
        }
        let shut = self.door.as_mut().is_some_and(Door::is_shut);
        let heard = connection.stats().udp_rx.datagrams;
        let lost = self.hearing.listen(heard, round_trip, shut, Instant::now());
        if let Some(door) = self.door.as_mut().filter(|_| self.hearing.knocks()) {
            door.knock();
        }
        lost.then_some(if shut { Gone::Dead } else { Gone::Silent })
    }
}

/// Asks the other side's system whether anybody has the port open.
#[derive(Debug)]
struct Door {
    remote: SocketAddr,
    socket: UdpSocket,
    shut: bool,
}

impl Door {
    fn at(remote: SocketAddr) -> Result<Self, Error> {
        let any: SocketAddr =
            if remote.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        // Only a connected socket is told what became of its datagrams.
        socket.connect(remote)?;
        Ok(Self { remote, socket, shut: false })
    }

    /// Sends a datagram that nobody reads; the answer shows in [`Door::is_shut`].
    fn knock(&mut self) {
        if let Err(error) = self.socket.send(&KNOCK) {
            self.note(&error);
        }
    }

    /// Whether the other side's system has said since the last look that nobody is there.
    fn is_shut(&mut self) -> bool {
        let mut nothing = [0; 1];
        if let Err(error) = self.socket.recv(&mut nothing) {
            self.note(&error);
        }
        std::mem::take(&mut self.shut)
    }

    fn note(&mut self, error: &Error) {
        self.shut |= matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset);
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
    /// How far a shut door is believed.
    door: Belief,
}

/// How far a shut door is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    /// Nothing is known yet: knock once while the other side is alive.
    Untried,
    /// That knock is on its way.
    Asked,
    /// It is open while the other side is alive.
    Sound,
    /// It was shut while the other side was alive: a firewall answers, not the device.
    Unsound,
}

impl Hearing {
    fn new(now: Instant) -> Self {
        Self { heard: 0, since: now, unanswered: 0, last_beat: now, gap: BEAT, door: Belief::Untried }
    }

    /// Whether the door is knocked at in this beat.
    fn knocks(&mut self) -> bool {
        match self.door {
            Belief::Untried => {
                self.door = Belief::Asked;
                true
            }
            Belief::Asked | Belief::Sound => self.unanswered > 0,
            Belief::Unsound => false,
        }
    }

    /// Takes note of the number of packets received and of a shut door; tells whether the other side is gone.
    fn listen(&mut self, heard: u64, round_trip: Duration, shut: bool, now: Instant) -> bool {
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
            self.door = match self.door {
                _ if shut => Belief::Unsound,
                Belief::Asked if !rested => Belief::Sound,
                belief => belief,
            };
            return false;
        }
        self.unanswered += 1;
        if self.unanswered < UNANSWERED {
            return false;
        }
        let limit = SILENCE.max(PATIENCE * self.gap).min(LONGEST_SILENCE) + PATIENCE * round_trip;
        silent >= limit || (shut && self.door != Belief::Unsound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Listens beat by beat; `packets` tells how many had come by then. Gives the beat at which the other side was lost.
    fn lost_at(packets: impl Fn(u32) -> u64, round_trip: Duration, beats: u32) -> Option<u32> {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        (1..=beats).find(|&beat| hearing.listen(packets(beat), round_trip, false, start + beat * BEAT))
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
        let beat = (1..200).find(|&beat| hearing.listen(0, Duration::ZERO, false, start + beat * BEAT));
        assert_eq!(beat.map(|beat| beat * BEAT), Some(LONGEST_SILENCE));
    }

    #[test]
    fn a_rest_is_no_silence() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        assert!(!hearing.listen(7, Duration::ZERO, false, start + BEAT));
        let later = start + Duration::from_secs(60);
        assert!(!hearing.listen(7, Duration::ZERO, false, later));
        assert!((1..7).all(|beat| !hearing.listen(7, Duration::ZERO, false, later + beat * BEAT)));
        assert!(hearing.listen(7, Duration::ZERO, false, later + 7 * BEAT));
    }

    #[test]
    fn waiting_for_our_own_turn_is_no_silence() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        assert!(!hearing.listen(7, Duration::ZERO, false, start + BEAT));
        // The process stood still for 800 ms; what came meanwhile has not been read yet.
        let late = start + BEAT + Duration::from_millis(800);
        assert!(!hearing.listen(7, Duration::ZERO, false, late));
        assert!(!hearing.listen(8, Duration::ZERO, false, late + BEAT));
    }

    #[test]
    fn a_shut_door_ends_the_wait_on_any_connection() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        // Shaky: silence alone would be given four seconds.
        hearing.gap = Duration::from_secs(60);
        for beat in 1..=4 {
            assert!(!hearing.listen(beat, Duration::ZERO, false, start + u32::try_from(beat).expect("few") * BEAT));
        }
        let lost = (5..100).find(|&beat| hearing.listen(4, Duration::ZERO, true, start + beat * BEAT)).expect("lost");
        assert_eq!(lost - 4, UNANSWERED);
    }

    #[test]
    fn a_firewall_that_says_no_for_a_living_device_is_not_believed() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        assert!(!hearing.listen(1, Duration::ZERO, false, start + BEAT) && hearing.knocks());
        assert!(!hearing.listen(2, Duration::ZERO, true, start + 2 * BEAT));
        assert!(!hearing.knocks());
        // A gap of 300 ms, and the firewall still says no.
        assert!((3..9).all(|beat| !hearing.listen(2, Duration::ZERO, true, start + beat * BEAT)));
    }

    #[test]
    fn the_system_tells_a_closed_port_from_an_open_one() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(living) = UdpSocket::bind(host) else { continue };
            let mut door = Door::at(living.local_addr().expect("bound")).expect("a door");
            door.knock();
            assert!(!door.is_shut());
            drop(living);
            door.knock();
            assert!(door.is_shut(), "{host}");
            assert!(!door.is_shut(), "told once");
        }
    }
}
