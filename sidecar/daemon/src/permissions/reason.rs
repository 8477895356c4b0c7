//! Why a rule holds, as a sentence.

use std::collections::BTreeSet;

use myownmesh_control::types::Rule;
use myownmesh_mesh::DeviceId;

use super::fold::{Held, How, Looser, Outcome};
use super::rule::Setting;
use super::statement::Stamp;
use crate::convert::Names;
use crate::text::listed;

/// Most names in one sentence.
const MAX_NAMES: usize = 3;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Why a rule holds, and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// As a sentence.
    pub(super) text: String,
    /// Whose statement it is; none where nobody has said anything.
    pub(super) set: Option<Stamp>,
}

/// The reason of an outcome; `now` in milliseconds since the epoch.
pub(super) fn reason(outcome: &Outcome, names: &Names, now: i64) -> Reason {
    let Outcome { state, setting, looser } = outcome;
    let (cause, set) = cause(outcome, names, now);
    let waits = looser.as_ref().map(|looser| waits(looser, setting, names));
    let word = rule_word(setting.rule());
    let text = match (cause, waits) {
        (Some(cause), None) => format!("{word}, because {cause}."),
        (Some(cause), Some(waits)) => format!("{word}, because {cause}, and the newer {waits}."),
        (None, None) if state.base.how == How::Lost => {
            format!("{word}: what was kept of it here cannot be read. Set it again.")
        }
        (None, None) => format!("{word}: nobody has set it."),
        (None, Some(waits)) => format!("{word}: nobody has set it here, and the {waits}."),
    };
    Reason { text, set }
}

/// Who has brought it about, as a clause, and the statement that counts most.
fn cause(outcome: &Outcome, names: &Names, now: i64) -> (Option<String>, Option<Stamp>) {
    let Outcome { state, setting, .. } = outcome;
    let base = &state.base;
    let did =
        |what: &str, at: &Stamp| format!("{} {what} it {}", names.of_device(at.author), day(at.hlc.millis(), now));
    let narrowing: Vec<&Held> = state.held.iter().filter(|held| !base.setting.tightens(&held.setting)).collect();
    let Some(latest) = narrowing.last().map(|held| held.at) else {
        let said = base.at.as_ref().map(|at| match base.how {
            How::Own => format!("it was set on this device {}", day(at.hlc.millis(), now)),
            How::Trusted => format!("{}, and this device trusts it with that", did("set", at)),
            How::Accepted | How::Start | How::Lost => format!("{} and it was accepted here", did("set", at)),
        });
        return (said, base.at);
    };
    let who = |held: &[&Held]| {
        let devices: BTreeSet<DeviceId> = held.iter().map(|held| held.at.author).collect();
        listed(&names.all(&devices.into_iter().collect::<Vec<_>>()), MAX_NAMES)
    };
    let by_rule = narrowing.iter().rfind(|held| held.setting.rule() == setting.rule());
    match (by_rule, narrowing.as_slice()) {
        (Some(held), _) if setting.rule() < base.setting.rule() => {
            let others: Vec<&Held> =
                narrowing.iter().copied().filter(|other| !held.setting.tightens(&other.setting)).collect();
            let further =
                if others.is_empty() { String::new() } else { format!(" and {} limited it further", who(&others)) };
            (Some(did("set", &held.at) + &further), Some(held.at))
        }
        (None, all) if setting.rule() < base.setting.rule() => {
            let text = format!("the limits of {} have nothing in common with what else was set", who(all));
            (Some(text), Some(latest))
        }
        (_, [one]) => (Some(did("limited", &one.at)), Some(latest)),
        (_, several) => (Some(format!("{} limited it", who(several))), Some(latest)),
    }
}

fn waits(looser: &Looser, now: &Setting, names: &Names) -> String {
    let what = match looser.would.rule() {
        rule if rule == now.rule() => "to limit it less or otherwise",
        Rule::Allow => "to allow it",
        Rule::Ask => "to ask each time",
        Rule::Deny => "to deny it",
    };
    let answer = if looser.declined { "was declined here" } else { "has not been accepted here" };
    format!("proposal of {} {what} {answer}", names.of_device(looser.statement.at.author))
}

fn rule_word(rule: Rule) -> &'static str {
    match rule {
        Rule::Deny => "Deny",
        Rule::Ask => "Ask",
        Rule::Allow => "Allow",
    }
}

/// A moment as `on Tuesday 24 November at 14:05 UTC`, with the year where it is another one.
fn day(at: i64, now: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let days = at.div_euclid(DAY_MS);
    let minutes = at.rem_euclid(DAY_MS) / 60_000;
    let (year, month, day) = civil(days);
    let pick = |names: &[&'static str], n: i64| usize::try_from(n).ok().and_then(|n| names.get(n).copied());
    // The first of January 1970 was a Thursday.
    let weekday = pick(&WEEKDAYS, (days + 3).rem_euclid(7)).unwrap_or_default();
    let month = pick(&MONTHS, month - 1).unwrap_or_default();
    let year = if year == civil(now.div_euclid(DAY_MS)).0 { String::new() } else { format!(" {year}") };
    format!("on {weekday} {day} {month}{year} at {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Year, month and day of a number of days since 1970-01-01, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + carry, month, day)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use myownmesh_control::types;
    use myownmesh_mesh::{Hlc, RecordId, Role};

    use super::super::fold::{Here, State, fold};
    use super::super::limits::Limits;
    use super::super::statement::Statement;
    use super::super::tool::Tool;
    use super::*;

    /// Tuesday 24 November 2026, 14:05 UTC.
    const TUESDAY: i64 = 1_795_529_100_000;

    fn device(n: u8) -> DeviceId {
        DeviceId::of_secret(&[n; 32])
    }

    fn said(author: u8, after_minutes: i64, rule: Rule, folders: &[&str]) -> Statement {
        let folders = folders.iter().map(|&folder| folder.to_owned()).collect();
        let limits = Limits::parse(&types::Limits { folders, ..Default::default() }).expect("limits");
        let ms = u64::try_from(TUESDAY + after_minutes * 60_000).expect("a time");
        let mut record = [author; 32];
        record[..8].copy_from_slice(&ms.to_le_bytes());
        Statement {
            record: RecordId::from_bytes(record),
            at: Stamp { hlc: Hlc::at(ms), author: device(author) },
            setting: Setting::new(rule, limits.clone()),
            limits,
        }
    }

    /// The sentence, told on this device, number 1, of three; 2 is called Desk and 3 Laptop.
    fn told(
        tool: &Tool,
        statements: &[Statement],
        prepare: impl FnOnce(&mut State, &mut Here),
    ) -> (String, Option<Stamp>) {
        let roles = (1..4).map(|n| (device(n), Role::Member)).collect();
        let mut here = Here { me: device(1), closed: false, roles, trusted: BTreeMap::new() };
        let mut state = State::start(tool);
        prepare(&mut state, &mut here);
        let names = Names::from_iter([(device(1), "Pad"), (device(2), "Desk"), (device(3), "Laptop")]);
        let reason = reason(&fold(statements, &here, state), &names, TUESDAY);
        (reason.text, reason.set)
    }

    fn text(tool: &Tool, statements: &[Statement]) -> String {
        told(tool, statements, |_, _| {}).0
    }

    #[test]
    fn the_reason_is_a_sentence() {
        let (read, shell) = (Tool::ReadFile, Tool::Shell);
        assert_eq!(text(&read, &[]), "Ask: nobody has set it.");
        assert_eq!(text(&shell, &[]), "Deny: nobody has set it.");
        let allow = said(3, 0, Rule::Allow, &[]);
        assert_eq!(
            text(&read, std::slice::from_ref(&allow)),
            "Ask: nobody has set it here, and the proposal of Laptop to allow it has not been accepted here."
        );
        let deny = said(2, 0, Rule::Deny, &[]);
        assert_eq!(
            told(&read, std::slice::from_ref(&deny), |_, _| {}),
            ("Deny, because Desk set it on Tuesday 24 November at 14:05 UTC.".to_owned(), Some(deny.at))
        );
        let newer = said(3, 60, Rule::Allow, &[]);
        assert_eq!(
            text(&read, &[deny.clone(), newer.clone()]),
            "Deny, because Desk set it on Tuesday 24 November at 14:05 UTC, and the newer proposal of Laptop to allow it has \
             not been accepted here."
        );
        let declined = told(&read, &[deny, newer.clone()], |state, _| {
            state.declined.insert(newer.record);
        });
        assert!(declined.0.ends_with("the newer proposal of Laptop to allow it was declined here."), "{declined:?}");
        let own = said(1, 0, Rule::Allow, &[]);
        assert_eq!(
            text(&read, &[own]),
            "Allow, because it was set on this device on Tuesday 24 November at 14:05 UTC."
        );
        let accepted = told(&read, &[], |state, _| state.agree(&allow, How::Accepted));
        assert_eq!(
            accepted.0,
            "Allow, because Laptop set it on Tuesday 24 November at 14:05 UTC and it was accepted here."
        );
        let trusted = told(&read, std::slice::from_ref(&allow), |_, here| {
            here.trusted.insert(device(3), Hlc::at(0));
        });
        assert_eq!(
            trusted.0,
            "Allow, because Laptop set it on Tuesday 24 November at 14:05 UTC, and this device trusts it with that."
        );
        let lost = told(&read, &[], |state, _| *state = State::lost());
        assert_eq!(lost.0, "Deny: what was kept of it here cannot be read. Set it again.");
    }

    #[test]
    fn limits_are_explained_too() {
        let read = Tool::ReadFile;
        let limited = text(&read, &[said(2, 0, Rule::Ask, &["/a", "/b"])]);
        assert_eq!(limited, "Ask, because Desk limited it on Tuesday 24 November at 14:05 UTC.");
        let twice = text(&read, &[said(2, 0, Rule::Ask, &["/a", "/b"]), said(3, 1, Rule::Allow, &["/a/c"])]);
        assert!(twice.starts_with("Ask, because Desk and Laptop limited it"), "{twice}");
        let both = told(&read, &[said(2, 1, Rule::Ask, &[]), said(3, 2, Rule::Allow, &["/a"])], |state, _| {
            state.agree(&said(3, 0, Rule::Allow, &[]), How::Accepted);
        });
        assert!(
            both.0.starts_with(
                "Ask, because Desk set it on Tuesday 24 November at 14:06 UTC and Laptop limited it further"
            ),
            "{both:?}"
        );
        let apart = text(&read, &[said(2, 0, Rule::Ask, &["/a"]), said(3, 1, Rule::Allow, &["/b"])]);
        assert!(
            apart.starts_with(
                "Deny, because the limits of Desk and Laptop have nothing in common with what else was set"
            ),
            "{apart}"
        );
        let own = said(1, 0, Rule::Allow, &["/a"]);
        let wider = text(&read, &[own, said(3, 1, Rule::Allow, &["/a", "/b"])]);
        assert!(
            wider.ends_with("the newer proposal of Laptop to limit it less or otherwise has not been accepted here."),
            "{wider}"
        );
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ms, expected) in [
            (TUESDAY, "on Tuesday 24 November at 14:05 UTC"),
            (0, "on Thursday 1 January 1970 at 00:00 UTC"),
            (-1, "on Wednesday 31 December 1969 at 23:59 UTC"),
            (951_782_400_000, "on Tuesday 29 February 2000 at 00:00 UTC"),
            (1_798_761_599_999, "on Thursday 31 December at 23:59 UTC"),
            (1_798_761_600_000, "on Friday 1 January 2027 at 00:00 UTC"),
        ] {
            assert_eq!(day(ms, TUESDAY), expected);
        }
        for far in [i64::MIN, i64::MAX] {
            assert!(day(far, TUESDAY).ends_with("UTC"), "no time is too far");
        }
    }
}
