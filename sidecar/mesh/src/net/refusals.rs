//! What was tried here and refused, told so that a person can see it, and bounded so that nobody can drown them in it.
//!
//! Whoever refuses something calls [`Refusals::tell`], which never waits. One small actor turns that into
//! [`MeshEvent::Refused`]: the same attempt of the same device once a minute (then every two, four, ...), and of all
//! strangers together, and of all members together, a few a minute; the rest is counted and told in one sentence at the
//! end of the minute. Strangers and members have budgets of their own: a flood of strangers hides no lying member.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::api::MeshEvent;
use crate::clock::now_ms;
use crate::proto::Millis;
use crate::proto::fold::{Membership, Void};
use crate::proto::ids::DeviceId;
use crate::proto::limits::{Backoff, BackoffRule};
use crate::proto::name::DeviceName;
use crate::proto::record::{Record, RecordError};
use crate::roster::RosterWatch;

/// Refusals that may wait to be told. What comes while it is full was refused all the same, and is only not told.
const INBOX: usize = 256;
/// Pairs of device and attempt that are remembered.
const REMEMBERED: usize = 512;
/// Most that is told one by one in a minute: of all strangers, and again of all members.
const PER_MINUTE: u32 = 20;
const MINUTE_MS: Millis = 60_000;
/// The same again: after a minute, then two, four, and so on up to an hour.
const AGAIN: BackoffRule = BackoffRule {
    attempts: 1,
    pause_ms: MINUTE_MS,
    cooling_ms: MINUTE_MS,
    longest_ms: 60 * MINUTE_MS,
    forget_ms: 60 * MINUTE_MS,
};

/// Something that somebody may not do. The sentences hold nothing that the other side wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attempt {
    /// A stranger opened the members' protocol, or asked on it after its removal.
    NotMember,
    /// A member asked for another network than the active one.
    OtherNetwork,
    /// The members' protocol, spoken wrongly.
    Protocol,
    /// A connection that said nothing, or too slowly.
    Silent,
    /// The knock protocol, spoken wrongly.
    KnockFault,
    /// A knock at a network that is not the active one.
    KnockElsewhere,
    /// More knocks than anybody has a reason for.
    KnockFlood,
    /// A record that another key signed, or that was altered.
    ForgedRecord,
    /// A record of another network.
    ForeignRecord,
    /// A record over the size limit.
    LargeRecord,
    /// More records than a device ever needs.
    RecordFlood,
    /// Documents changed faster than anybody can.
    DocumentFlood,
    /// More documents than there is room for.
    DocumentsFull,
    /// A record whose clock is far ahead.
    FutureRecord,
    /// Bytes that are no record.
    BadRecord,
    /// A decision by somebody who may not make it.
    NoAuthority,
    /// A decision by somebody who is no member (any more).
    AfterRemoval,
    /// A record that claims to be older than its author's record before it.
    BackDated,
    /// Two different records with one number.
    Equivocation,
    /// An admission by an invite that does not hold.
    BadInvite,
}

impl Attempt {
    /// As a sentence about the device.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::NotMember => "It is not a member of the network, and tried to use it.",
            Self::OtherNetwork => "It asked for a network that is not active here.",
            Self::Protocol => "It sent something that members never send.",
            Self::Silent => "It opened a connection and did not say what it wants in time.",
            Self::KnockFault => "It knocked in a way that the app never does.",
            Self::KnockElsewhere => "It knocked at a network that is not active here.",
            Self::KnockFlood => "It knocked too often.",
            Self::ForgedRecord => "It sent a record that was not signed by the device it names.",
            Self::ForeignRecord => "It sent a record of another network.",
            Self::LargeRecord => "It sent a record that is too large.",
            Self::RecordFlood => "It sent more records than a device ever needs. Remove it if nobody knows why.",
            Self::DocumentFlood => {
                "It changes documents faster than anybody can. Its last word on each is taken later."
            }
            Self::DocumentsFull => "It wrote more documents than there is room for in this network.",
            Self::FutureRecord => "It sent a record whose time is more than a day ahead. Check the clocks.",
            Self::BadRecord => "It sent a record that is damaged.",
            Self::NoAuthority => "It signed a decision that it may not make.",
            Self::AfterRemoval => "It signed a record although it is not a member.",
            Self::BackDated => "It signed a record that claims to be older than it is.",
            Self::Equivocation => "It signed two different records with one number.",
            Self::BadInvite => "It admitted a device by an invite that does not hold.",
        }
    }

    /// What sending bytes that are refused with `error` amounts to; `None` for what only a newer version understands.
    pub(crate) fn of_record(error: &RecordError) -> Option<Self> {
        match error {
            RecordError::TooLarge => Some(Self::LargeRecord),
            RecordError::BadSignature => Some(Self::ForgedRecord),
            RecordError::OtherNetwork => Some(Self::ForeignRecord),
            RecordError::Malformed(_) | RecordError::OutOfBounds(_) => Some(Self::BadRecord),
            RecordError::NewerVersion(_) => None,
        }
    }

    /// What the records `added` amount to, given the memberships before and after them: each of their authors that may
    /// not say what it said, and each number that is used twice now.
    pub(crate) fn of_added(added: &[Record], before: &Membership, after: &Membership) -> Vec<(DeviceId, Self)> {
        // Only what is new: older records that a removal makes void were honest when they were made.
        let void = |record: &Record| Some((record.author(), Self::of_void(*after.void.get(&record.id())?)?));
        let twice = after.equivocations.iter().filter(|it| !before.equivocations.contains(it));
        added.iter().filter_map(void).chain(twice.map(|it| (it.author, Self::Equivocation))).collect()
    }

    /// What signing a record that does not count amounts to; `None` where honest devices that had not heard of each
    /// other can come to it.
    fn of_void(void: Void) -> Option<Self> {
        match void {
            Void::NotMember => Some(Self::AfterRemoval),
            Void::NoAuthority | Void::Genesis => Some(Self::NoAuthority),
            Void::BackDated => Some(Self::BackDated),
            Void::Invite => Some(Self::BadInvite),
            // Told by the number, whichever of the two was here first.
            Void::Equivocation | Void::LastOwner | Void::NoEffect => None,
        }
    }
}

/// Handle: cheap to clone, never waits.
#[derive(Debug, Clone)]
pub(crate) struct Refusals {
    inbox: mpsc::Sender<(DeviceId, Attempt)>,
}

impl Refusals {
    /// Starts the actor; the future ends after `stop` was cancelled.
    pub(crate) fn start(
        roster: RosterWatch,
        events: broadcast::Sender<MeshEvent>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (inbox, attempts) = mpsc::channel(INBOX);
        (Self { inbox }, run(attempts, roster, events, stop))
    }

    /// Tells that `device` tried this and got nothing.
    pub(crate) fn tell(&self, device: DeviceId, attempt: Attempt) {
        let _ = self.inbox.try_send((device, attempt));
    }
}

async fn run(
    mut attempts: mpsc::Receiver<(DeviceId, Attempt)>,
    roster: RosterWatch,
    events: broadcast::Sender<MeshEvent>,
    stop: CancellationToken,
) {
    let mut throttle = Throttle::new();
    let tell = |device_id, name, what: String| {
        // Nobody listening is fine.
        let _ = events.send(MeshEvent::Refused { device_id, name, what });
    };
    loop {
        let due = throttle.due().map(|at| u64::try_from(at.saturating_sub(now_ms())).unwrap_or(0));
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            attempt = attempts.recv() => {
                let Some((device, attempt)) = attempt else { return };
                let name = name_of(&roster, device);
                tracing::info!(device = device.short(), ?attempt, "refused");
                if throttle.allows(device, name.is_some(), attempt, now_ms()) {
                    tell(Some(device), name, attempt.sentence().to_owned());
                }
            }
            () = tokio::time::sleep(Duration::from_millis(due.unwrap_or(0))), if due.is_some() => {
                let untold = throttle.next_minute(now_ms());
                if untold > 0 {
                    tell(None, None, format!("{untold} more attempts were refused in the last minute."));
                }
            }
        }
    }
}

/// The name of a device that is or was a member.
fn name_of(roster: &RosterWatch, device: DeviceId) -> Option<DeviceName> {
    let roster = roster.borrow();
    let membership = roster.membership.as_ref()?;
    let member = membership.members.get(&device).map(|member| &member.name);
    member.or_else(|| membership.former.get(&device).map(|former| &former.name)).cloned()
}

/// How much is told.
struct Throttle {
    known: Backoff<(DeviceId, Attempt)>,
    /// When the minute that is being counted ends; `None` while nothing was told.
    ends: Option<Millis>,
    strangers: u32,
    members: u32,
    untold: u64,
}

impl Throttle {
    fn new() -> Self {
        Self { known: Backoff::new(AGAIN, REMEMBERED), ends: None, strangers: 0, members: 0, untold: 0 }
    }

    /// Whether this one is told by itself.
    fn allows(&mut self, device: DeviceId, member: bool, attempt: Attempt, now: Millis) -> bool {
        self.ends.get_or_insert(now.saturating_add(MINUTE_MS));
        let told = if member { &mut self.members } else { &mut self.strangers };
        let fine = *told < PER_MINUTE && self.known.attempt(&(device, attempt), now).is_ok();
        if fine {
            *told += 1;
        } else {
            self.untold += 1;
        }
        fine
    }

    fn due(&self) -> Option<Millis> {
        self.ends
    }

    /// Ends the minute; tells how many were not told in it.
    fn next_minute(&mut self, now: Millis) -> u64 {
        if self.ends.is_none_or(|at| at > now) {
            return 0;
        }
        (self.ends, self.strangers, self.members) = (None, 0, 0);
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(seed: u8) -> DeviceId {
        DeviceId::of_secret(&[seed; 32])
    }

    #[test]
    fn the_same_attempt_is_told_once_a_minute_then_less_often() {
        let mut throttle = Throttle::new();
        let mut at = |now| {
            throttle.next_minute(now);
            throttle.allows(device(1), true, Attempt::ForgedRecord, now)
        };
        let told: Vec<bool> = [0, 1, 59_999, 60_000, 120_000, 179_999, 180_000].into_iter().map(&mut at).collect();
        assert_eq!(told, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_flood_of_strangers_is_counted_and_hides_no_member() {
        let mut throttle = Throttle::new();
        let mut told = 0;
        for seed in 0..=255 {
            told += u32::from(throttle.allows(device(seed), false, Attempt::NotMember, 5));
        }
        assert_eq!(told, PER_MINUTE);
        assert!(throttle.allows(device(1), true, Attempt::ForgedRecord, 6), "a member's attempt is still told");
        assert_eq!(throttle.due(), Some(60_005));
        assert_eq!(throttle.next_minute(60_004), 0, "not yet");
        assert_eq!(throttle.next_minute(60_005), 256 - u64::from(PER_MINUTE));
        assert_eq!(throttle.due(), None);
        assert!(throttle.allows(device(2), false, Attempt::Silent, 60_006), "the next minute has room again");
    }
}
