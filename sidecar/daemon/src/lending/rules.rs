//! The rules of lending, decided: what is given goes in, and out comes whether a request may be served, why not, and
//! when it may. Pure.

use myownmesh_control::types::{LendingHours, LendingRules, MemberRules};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// How things are on this device now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Around {
    /// Minutes since midnight by this device's clock.
    pub(super) minute: u16,
    /// Whether it draws from the mains.
    pub(super) on_mains: bool,
    /// Whether somebody uses it: its own models, or its processor otherwise.
    pub(super) in_use: bool,
}

/// What a member asks, and what it had today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish<'a> {
    /// The model.
    pub(super) model: &'a str,
    /// Tokens of answers since midnight.
    pub(super) tokens_today: u64,
}

/// A rule that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It lends at other times.
    Hours(LendingHours),
    /// It lends to this member at other times.
    HoursOfMember(LendingHours),
    /// Somebody uses it.
    InUse,
    /// It runs on its battery.
    OnBattery,
    /// The model is not lent.
    Model(String),
    /// The tokens of a day are used.
    Tokens {
        /// How many there are.
        limit: u64,
        /// Minutes until midnight.
        minutes: u16,
    },
}

/// Whether anything is lent to anybody now.
pub(super) fn open(rules: &LendingRules, around: Around) -> Result<(), Closed> {
    if let Some(hours) = rules.hours.filter(|hours| !within(*hours, around.minute)) {
        return Err(Closed::Hours(hours));
    }
    if rules.only_mains && !around.on_mains {
        return Err(Closed::OnBattery);
    }
    if rules.only_idle && around.in_use {
        return Err(Closed::InUse);
    }
    Ok(())
}

/// Whether a wish may be served now. Of the rules for everybody and those for the member, the stricter holds.
pub(super) fn allow(
    rules: &LendingRules,
    member: Option<&MemberRules>,
    wish: Wish<'_>,
    around: Around,
) -> Result<(), Closed> {
    let lists = [rules.models.as_ref(), member.and_then(|member| member.models.as_ref())];
    if lists.into_iter().flatten().any(|list| list.iter().all(|model| model != wish.model)) {
        return Err(Closed::Model(wish.model.to_owned()));
    }
    open(rules, around)?;
    let hours = member.and_then(|member| member.hours);
    if let Some(hours) = hours.filter(|hours| !within(*hours, around.minute)) {
        return Err(Closed::HoursOfMember(hours));
    }
    let limits = [rules.tokens_per_day, member.and_then(|member| member.tokens_per_day)];
    if let Some(limit) = limits.into_iter().flatten().min().filter(|limit| wish.tokens_today >= *limit) {
        return Err(Closed::Tokens { limit, minutes: DAY - around.minute.min(DAY - 1) });
    }
    Ok(())
}

/// Whether a minute of the day is within a span, which may run over midnight.
pub(super) fn within(hours: LendingHours, minute: u16) -> bool {
    if hours.from < hours.to {
        (hours.from..hours.to).contains(&minute)
    } else {
        minute >= hours.from || minute < hours.to
    }
}

impl Closed {
    /// Told to the member that asked, by the device called `host`.
    pub(super) fn told(&self, host: &str) -> String {
        match self {
            Self::Hours(hours) => {
                format!("{host} lends {}. Ask again then, or choose another device.", span(*hours))
            }
            Self::HoursOfMember(hours) => {
                format!("{host} lends to this device {}. Ask again then, or choose another device.", span(*hours))
            }
            Self::InUse => {
                format!("{host} lends only while nobody uses it. Ask again later, or choose another device.")
            }
            Self::OnBattery => format!(
                "{host} lends only on mains power and runs on its battery. Ask again later, or choose another device."
            ),
            Self::Model(model) => {
                format!("{host} does not lend {model}. Ask another model, or choose another device.")
            }
            Self::Tokens { limit, minutes } => format!(
                "This device has used the {limit} tokens that {host} lends it in a day. Ask again after midnight there \
                 (in {}), or choose another device.",
                lasting(*minutes)
            ),
        }
    }

    /// Shown to a person at the device that lends.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Hours(hours) | Self::HoursOfMember(hours) => format!("This device lends {}.", span(*hours)),
            Self::InUse => "This device lends only while nobody uses it, and somebody does.".to_owned(),
            Self::OnBattery => "This device lends only on mains power, and it runs on its battery.".to_owned(),
            Self::Model(model) => format!("{model} is not lent."),
            Self::Tokens { limit, .. } => format!("The {limit} tokens of this day are used."),
        }
    }
}

fn span(hours: LendingHours) -> String {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("from {} to {}", clock(hours.from), clock(hours.to))
}

fn lasting(minutes: u16) -> String {
    match minutes {
        0..60 => format!("{} min", minutes.max(1)),
        _ => format!("{} h", (minutes + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: Around = Around { minute: 12 * 60, on_mains: true, in_use: false };
    const NIGHT: LendingHours = LendingHours { from: 22 * 60, to: 7 * 60 };

    fn ask(tokens_today: u64) -> Wish<'static> {
        Wish { model: "chain", tokens_today }
    }

    #[test]
    fn each_rule_says_no_in_its_own_words() {
        let none = LendingRules::default();
        let list = |model: &str| Some(vec![model.to_owned()]);
        let member = |rules: MemberRules| Some(rules);
        let busy = Around { in_use: true, ..NOON };
        let battery = Around { on_mains: false, ..NOON };
        for (rules, of_member, tokens, around, says) in [
            (
                LendingRules { hours: Some(NIGHT), ..none.clone() },
                None,
                0,
                NOON,
                "Desk lends from 22:00 to 07:00. Ask again then, or choose another device.",
            ),
            (
                none.clone(),
                member(MemberRules { hours: Some(NIGHT), ..MemberRules::default() }),
                0,
                NOON,
                "Desk lends to this device from 22:00 to 07:00. Ask again then, or choose another device.",
            ),
            (
                LendingRules { only_idle: true, ..none.clone() },
                None,
                0,
                busy,
                "Desk lends only while nobody uses it. Ask again later, or choose another device.",
            ),
            (
                LendingRules { only_mains: true, ..none.clone() },
                None,
                0,
                battery,
                "Desk lends only on mains power and runs on its battery. Ask again later, or choose another device.",
            ),
            (
                LendingRules { models: list("other"), ..none.clone() },
                None,
                0,
                NOON,
                "Desk does not lend chain. Ask another model, or choose another device.",
            ),
            (
                LendingRules { models: list("chain"), tokens_per_day: Some(9), ..none.clone() },
                member(MemberRules { tokens_per_day: Some(5), ..MemberRules::default() }),
                5,
                NOON,
                "This device has used the 5 tokens that Desk lends it in a day. Ask again after midnight there (in 12 \
                 h), or choose another device.",
            ),
        ] {
            assert_eq!(allow(&none, None, ask(tokens), around), Ok(()), "no rule, no limit");
            let closed = allow(&rules, of_member.as_ref(), ask(tokens), around).expect_err(says);
            assert_eq!(closed.told("Desk"), says);
            assert!(closed.shown().ends_with('.'));
        }
    }

    #[test]
    fn the_last_minutes_of_a_day_are_told() {
        let rules = LendingRules { tokens_per_day: Some(1), ..LendingRules::default() };
        for (minute, text) in [(0, "in 24 h"), (23 * 60 + 1, "in 59 min"), (DAY - 1, "in 1 min")] {
            let told = allow(&rules, None, ask(1), Around { minute, ..NOON }).expect_err("used").told("Desk");
            assert!(told.contains(text), "{told}");
        }
    }

    proptest! {
        #[test]
        fn a_span_and_its_rest_share_the_day(from in 0..DAY, to in 0..DAY, minute in 0..DAY) {
            prop_assume!(from != to);
            let span = LendingHours { from, to };
            let rest = LendingHours { from: to, to: from };
            prop_assert_ne!(within(span, minute), within(rest, minute));
            prop_assert!(within(span, from) && !within(span, to));
        }

        #[test]
        fn a_rule_more_never_opens(
            minute in 0..DAY, on_mains: bool, in_use: bool, tokens in 0_u64..20, limit in proptest::option::of(1_u64..20),
            own in proptest::option::of(1_u64..20), only_idle: bool, only_mains: bool, lent: bool,
        ) {
            let around = Around { minute, on_mains, in_use };
            let models = (!lent).then(|| vec!["other".to_owned()]);
            let rules = LendingRules { tokens_per_day: limit, only_idle, only_mains, models, ..LendingRules::default() };
            let member = MemberRules { tokens_per_day: own, ..MemberRules::default() };
            let served = allow(&rules, Some(&member), ask(tokens), around).is_ok();
            let expected = lent
                && !(only_idle && in_use)
                && (on_mains || !only_mains)
                && limit.is_none_or(|limit| tokens < limit)
                && own.is_none_or(|limit| tokens < limit);
            prop_assert_eq!(served, expected);
        }
    }
}
