//! Why a candidate stands where it stands, and why a device cannot answer, in sentences.

use std::fmt::Write as _;

use super::order::{Decider, decided};
use super::{Ask, Candidate, Prediction, Unfit, Why};
use crate::text::quotable;

/// A time as people say it: `40 ms`, `2.1 s`, `95 s`.
fn time(ms: f64) -> String {
    match ms {
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 10_000.0 => format!("{:.1} s", ms / 1e3),
        ms => format!("{:.0} s", ms / 1e3),
    }
}

/// Why the candidate at `at` stands there.
pub(super) fn of(ranked: &[Candidate<'_>], at: usize) -> String {
    let standing = |at: usize| {
        let candidate: &Candidate<'_> = &ranked[at];
        (candidate.offer, candidate.model, &candidate.rank)
    };
    let mut reason = match (at, ranked.len()) {
        (0, 1) if !ranked[0].model.usable() => "It failed before, and nobody else has it.".to_owned(),
        (0, 1) => "Nothing else can answer.".to_owned(),
        (0, _) => first(decided(standing(0), standing(1)).0, &ranked[0], &ranked[1]),
        (at, _) => later(decided(standing(0), standing(at)).0, &ranked[0], &ranked[at]),
    };
    if let Some(prediction) = &ranked[at].prediction {
        reason.push_str(&basis(prediction));
    } else {
        reason.push_str(" How fast it is will be known after its first answer.");
    }
    reason
}

/// Why the best one is the best.
fn first(decider: Decider, best: &Candidate<'_>, next: &Candidate<'_>) -> String {
    match decider {
        Decider::Failed => "The others have failed.".to_owned(),
        Decider::Demo => "Besides it there is only the demo, which knows nothing but this app.".to_owned(),
        Decider::Preference if best.offer.this_device => "This device is preferred.".to_owned(),
        Decider::Preference => "Other devices are preferred.".to_owned(),
        Decider::Context => "It takes the whole question; others are too short for it.".to_owned(),
        Decider::Suits => "It is made for this purpose.".to_owned(),
        Decider::Class => "It is the largest model that answers as fast as people read.".to_owned(),
        Decider::Time if best.offer.this_device => "It is this device, and no other is noticeably sooner.".to_owned(),
        Decider::Time => match (&best.prediction, &next.prediction) {
            (Some(best), Some(next)) if best.total_ms < next.total_ms => {
                format!("It is the soonest: about {}, the next one {}.", time(best.total_ms), time(next.total_ms))
            }
            _ => "It is likely the soonest.".to_owned(),
        },
        Decider::Here => "It is this device.".to_owned(),
        Decider::Loaded => "Its model is loaded.".to_owned(),
        Decider::Limited => "It lends without limits.".to_owned(),
        Decider::Way => "It is the nearest.".to_owned(),
        Decider::Ids => "It is as good as the next one.".to_owned(),
    }
}

/// Why another one comes later.
fn later(decider: Decider, best: &Candidate<'_>, other: &Candidate<'_>) -> String {
    match decider {
        Decider::Failed => "Its model has failed.".to_owned(),
        Decider::Demo => "It is the demo, which knows nothing but this app.".to_owned(),
        Decider::Preference if best.offer.this_device => "This device is preferred.".to_owned(),
        Decider::Preference => "Other devices are preferred.".to_owned(),
        Decider::Context => "Its context may be too short for this question.".to_owned(),
        Decider::Suits => "It is not made for this purpose.".to_owned(),
        Decider::Class if other.prediction.is_some_and(|told| told.token_ms > super::READING_MS) => {
            "It writes slower than people read.".to_owned()
        }
        Decider::Class => "Its model is smaller, or its first word takes long.".to_owned(),
        Decider::Time => slower(best, other),
        Decider::Here => "It is another device, and not sooner.".to_owned(),
        Decider::Loaded => "Its model is not loaded.".to_owned(),
        Decider::Limited => "It lends with limits.".to_owned(),
        Decider::Way => "The way to it is longer.".to_owned(),
        Decider::Ids => "It is as good as the chosen one.".to_owned(),
    }
}

/// What makes the other one slower.
fn slower(best: &Candidate<'_>, other: &Candidate<'_>) -> String {
    let (Some(least), Some(most)) = (&best.prediction, &other.prediction) else {
        return "It is likely later.".to_owned();
    };
    if most.total_ms <= least.total_ms {
        let battery = other.offer.machine.is_some_and(|machine| machine.on_battery);
        let why = if battery { "and draws from its battery" } else { "and not noticeably sooner" };
        return format!("It is another device {why}: about {} against {}.", time(most.total_ms), time(least.total_ms));
    }
    let mut reason = format!("It is later: about {} against {}", time(most.total_ms), time(least.total_ms));
    let most_of = (most.total_ms - least.total_ms) / 2.0;
    let cause = match most {
        most if most.wait_ms > most_of => Some(("waiting for others", most.wait_ms)),
        most if most.load_ms > most_of => Some(("loading its model", most.load_ms)),
        _ => None,
    };
    if let Some((what, ms)) = cause {
        // Writing to a String cannot fail.
        let _ = write!(reason, ", {} of it for {what}", time(ms));
    }
    reason + "."
}

/// What a prediction rests on.
fn basis(prediction: &Prediction) -> String {
    if prediction.confidence > 0.0 { String::new() } else { " Estimated by size and hardware.".to_owned() }
}

impl Unfit<'_> {
    /// Why it cannot answer, as a sentence.
    pub(crate) fn reason(&self, ask: &Ask) -> String {
        let policy = &ask.policy;
        match self.why {
            Why::NotAsked => "Another device was asked for.".to_owned(),
            Why::Away if self.offer.reason.is_empty() => "It cannot be reached now.".to_owned(),
            Why::Away => format!("It cannot be reached now. {}", self.offer.reason),
            Why::Busy => "It is not accepting requests now.".to_owned(),
            Why::NoGpu => "It has no graphics processor that computes, or does not tell.".to_owned(),
            Why::NoNpu => "It has no neural processor, or does not tell.".to_owned(),
            Why::NotThere => format!("It does not have {}.", quotable(ask.model.as_deref().unwrap_or("this model"))),
            Why::OtherFamily => {
                format!("It has no model of the family {}.", quotable(policy.family.as_deref().unwrap_or_default()))
            }
            Why::Unsuitable => "It has no model for this purpose.".to_owned(),
            Why::Coming => "It is still downloading this model.".to_owned(),
            Why::Failed => "This model failed to load there.".to_owned(),
        }
    }
}
