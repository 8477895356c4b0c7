//! Decides when a model's child is started, started again, or given up. No IO: time comes in as an argument.
//!
//! A child that crashes is started again after a growing pause, at most [`MAX_RESTARTS`] times within [`WINDOW`]; the
//! next crash gives it up until a person asks again ([`Supervisor::reset`]). A child that refuses its model (it ends
//! by itself while loading) would refuse again: it is given up at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Restarts within [`WINDOW`] before giving up.
pub(crate) const MAX_RESTARTS: usize = 3;
/// How long a crash counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);
/// The pause after the first, second and third crash within [`WINDOW`].
const PAUSES: [Duration; MAX_RESTARTS] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)];

/// Where a child stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No child, and none wanted.
    Stopped,
    /// Wanted, and waiting for room in memory.
    Waiting,
    /// A child is starting or loading its model.
    Loading,
    /// A child answers.
    Ready,
    /// It crashed and is started again at this moment.
    Pausing(Instant),
    /// Told to end; `again` when it is wanted once more after that.
    Ending {
        /// Whether it is.
        again: bool,
    },
    /// Given up.
    Failed,
}

/// How a child ended without being told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ended by itself while loading, or was never ready: trying again would not help.
    Refused,
    /// Anything else.
    Crashed,
}

/// What the caller has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    /// Nothing.
    Nothing,
    /// Start a child.
    Start,
    /// Call [`Supervisor::tick`] at [`Supervisor::due`].
    Pause,
    /// Tell people that it failed.
    GiveUp,
}

/// The state of one model's child.
#[derive(Debug)]
pub(crate) struct Supervisor {
    phase: Phase,
    crashes: VecDeque<Instant>,
}

impl Supervisor {
    /// No child, none wanted.
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Stopped, crashes: VecDeque::new() }
    }

    /// Where the child stands.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Pausing(until) => Some(until),
            _ => None,
        }
    }

    /// A request needs the model.
    pub(crate) fn want(&mut self) -> Next {
        match &mut self.phase {
            Phase::Stopped | Phase::Waiting => {
                self.phase = Phase::Loading;
                return Next::Start;
            }
            Phase::Ending { again } => *again = true,
            Phase::Loading | Phase::Ready | Phase::Pausing(_) | Phase::Failed => {}
        }
        Next::Nothing
    }

    /// A request needs the model, and there is no room for it yet.
    pub(crate) fn hold(&mut self) {
        if self.phase == Phase::Stopped {
            self.phase = Phase::Waiting;
        }
    }

    /// It is to be out of memory. Whether there is a child to end; [`gone`](Self::gone) follows then.
    pub(crate) fn stop(&mut self) -> bool {
        match self.phase {
            Phase::Loading | Phase::Ready => {
                self.phase = Phase::Ending { again: false };
                true
            }
            Phase::Waiting | Phase::Pausing(_) => {
                self.phase = Phase::Stopped;
                false
            }
            Phase::Ending { .. } => true,
            Phase::Stopped | Phase::Failed => false,
        }
    }

    /// The child that was to end has ended. Whether the model is wanted again.
    pub(crate) fn gone(&mut self) -> bool {
        let Phase::Ending { again } = self.phase else { return false };
        self.phase = Phase::Stopped;
        again
    }

    /// The child answers.
    pub(crate) fn ready(&mut self) {
        if self.phase == Phase::Loading {
            self.phase = Phase::Ready;
        }
    }

    /// The child ended although nobody asked it to.
    pub(crate) fn ended(&mut self, how: Ending, now: Instant) -> Next {
        if !matches!(self.phase, Phase::Loading | Phase::Ready) {
            return Next::Nothing;
        }
        if how == Ending::Crashed {
            while self.crashes.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
                self.crashes.pop_front();
            }
            if let Some(pause) = PAUSES.get(self.crashes.len()) {
                self.crashes.push_back(now);
                self.phase = Phase::Pausing(now + *pause);
                return Next::Pause;
            }
        }
        self.phase = Phase::Failed;
        Next::GiveUp
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Next {
        match self.phase {
            Phase::Pausing(until) if now >= until => {
                self.phase = Phase::Loading;
                Next::Start
            }
            _ => Next::Nothing,
        }
    }

    /// A person asks to try again, or the model's file is another one now: forgets failures and crashes.
    pub(crate) fn reset(&mut self) {
        self.crashes.clear();
        if self.phase == Phase::Failed {
            self.phase = Phase::Stopped;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn crash(supervisor: &mut Supervisor, now: Instant) -> Next {
        supervisor.ready();
        supervisor.ended(Ending::Crashed, now)
    }

    #[test]
    fn many_requests_start_one_child() {
        let mut supervisor = Supervisor::new();
        assert_eq!(supervisor.want(), Next::Start);
        for _ in 0..8 {
            assert_eq!(supervisor.want(), Next::Nothing);
        }
        supervisor.ready();
        assert_eq!(supervisor.phase(), Phase::Ready);
        assert_eq!(supervisor.want(), Next::Nothing);
    }

    #[test]
    fn three_restarts_with_growing_pauses_then_failed() {
        let mut supervisor = Supervisor::new();
        let mut now = Instant::now();
        assert_eq!(supervisor.want(), Next::Start);
        for pause in PAUSES {
            assert_eq!(crash(&mut supervisor, now), Next::Pause);
            assert_eq!(supervisor.due(), Some(now + pause));
            assert_eq!(supervisor.tick(now + pause / 2), Next::Nothing);
            assert_eq!(supervisor.want(), Next::Nothing, "a request waits for the pause to end");
            now += pause;
            assert_eq!(supervisor.tick(now), Next::Start);
            assert_eq!(supervisor.tick(now), Next::Nothing);
        }
        assert_eq!(crash(&mut supervisor, now), Next::GiveUp);
        assert_eq!(supervisor.phase(), Phase::Failed);
        assert_eq!(supervisor.want(), Next::Nothing);
        assert_eq!(supervisor.tick(now + WINDOW), Next::Nothing, "failed until a person asks");
        supervisor.reset();
        assert_eq!(supervisor.want(), Next::Start);
    }

    #[test]
    fn old_crashes_are_forgotten() {
        let mut supervisor = Supervisor::new();
        let mut now = Instant::now();
        assert_eq!(supervisor.want(), Next::Start);
        for _ in 0..10 {
            assert_eq!(crash(&mut supervisor, now), Next::Pause);
            assert_eq!(supervisor.due(), Some(now + PAUSES[0]));
            assert_eq!(supervisor.tick(now + PAUSES[0]), Next::Start);
            now += WINDOW;
        }
    }

    #[test]
    fn a_refused_model_is_not_tried_again() {
        let mut supervisor = Supervisor::new();
        assert_eq!(supervisor.want(), Next::Start);
        assert_eq!(supervisor.ended(Ending::Refused, Instant::now()), Next::GiveUp);
        assert_eq!(supervisor.phase(), Phase::Failed);
    }

    #[test]
    fn a_child_that_is_to_end_is_started_again_only_when_it_is_wanted() {
        let mut supervisor = Supervisor::new();
        assert!(!supervisor.stop(), "there is none");
        assert_eq!(supervisor.want(), Next::Start);
        supervisor.ready();
        assert!(supervisor.stop());
        assert!(!supervisor.gone());
        assert_eq!((supervisor.phase(), supervisor.want()), (Phase::Stopped, Next::Start));
        assert!(supervisor.stop(), "while it loads, too");
        assert_eq!(supervisor.want(), Next::Nothing);
        assert_eq!(supervisor.ended(Ending::Crashed, Instant::now()), Next::Nothing, "it was to end");
        assert!(supervisor.gone());
        supervisor.hold();
        assert_eq!(supervisor.phase(), Phase::Waiting);
        assert!(!supervisor.stop());
        assert_eq!(supervisor.phase(), Phase::Stopped);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Want,
        Ready,
        Crash,
        Stop,
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Want),
            Just(Step::Ready),
            Just(Step::Crash),
            Just(Step::Stop),
            (0u64..200_000).prop_map(Step::Wait)
        ]
    }

    proptest! {
        #[test]
        fn never_more_than_three_restarts_in_five_minutes(steps in proptest::collection::vec(step(), 0..200)) {
            let mut supervisor = Supervisor::new();
            let mut now = Instant::now();
            let mut restarts = Vec::new();
            for step in steps {
                match step {
                    Step::Want => { let _ = supervisor.want(); }
                    Step::Ready => supervisor.ready(),
                    Step::Crash => { let _ = supervisor.ended(Ending::Crashed, now); }
                    Step::Stop => if supervisor.stop() { supervisor.gone(); },
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                }
                if supervisor.tick(now) == Next::Start {
                    restarts.push(now);
                }
                // A restart comes up to one pause after its crash, so the window is measured that much shorter.
                let span = WINDOW.checked_sub(Duration::from_secs(200)).expect("shorter");
                let recent = restarts.iter().filter(|at| now.duration_since(**at) < span).count();
                prop_assert!(recent <= MAX_RESTARTS, "{recent} restarts");
            }
        }
    }
}
