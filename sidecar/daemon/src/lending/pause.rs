//! A pause of lending: how long it lasts, and how it is told. Pure.

use myownmesh_control::types::LendingPause;

/// What is left of a pause at `now` (milliseconds since the Unix epoch); nothing once it is over.
pub(super) fn left(pause: Option<LendingPause>, now: i64) -> Option<LendingPause> {
    pause.filter(|pause| pause.until.is_none_or(|until| now < until))
}

/// A pause of so many seconds from `now` on, or until somebody ends it.
pub(super) fn begin(seconds: Option<u32>, at_once: bool, now: i64) -> LendingPause {
    LendingPause { until: seconds.map(|seconds| now.saturating_add(i64::from(seconds) * 1000)), at_once }
}

/// Until when, as part of a sentence: ` for 5 min more`; nothing where a person ends it.
pub(super) fn lasting(pause: LendingPause, now: i64) -> String {
    let Some(until) = pause.until else { return String::new() };
    let seconds = until.saturating_sub(now).max(0).saturating_add(999) / 1000;
    match seconds {
        0..=90 => format!(" for {seconds} s more"),
        91..=5400 => format!(" for {} min more", (seconds + 30) / 60),
        _ => format!(" for {} h more", (seconds + 1800) / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_or_by_a_person() {
        let hour = begin(Some(3600), true, 1000);
        assert_eq!(hour, LendingPause { until: Some(3_601_000), at_once: true });
        assert_eq!((left(Some(hour), 3_600_999), left(Some(hour), 3_601_000)), (Some(hour), None));
        let open = begin(None, false, 1000);
        assert_eq!(left(Some(open), i64::MAX), Some(open));
        assert_eq!(left(None, 0), None);
        let until = |seconds| lasting(begin(Some(seconds), false, 0), 0);
        assert_eq!([until(30), until(3600), until(7200)], [" for 30 s more", " for 60 min more", " for 2 h more"]);
        assert_eq!(lasting(open, 5), "");
    }
}
