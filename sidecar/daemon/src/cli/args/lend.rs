//! The words and flags of `lend` and `usage`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use myownmesh_control::types::LendingHours;

use super::network::switch;
use crate::cli::units::{parse_duration, parse_since};

/// What `lend` does.
#[derive(Debug, Subcommand)]
pub(crate) enum LendAction {
    /// Show the rules, the pause, and who is served and waits.
    Show,
    /// Lend nothing more on any network, for so long or until `lend resume`; running answers are let end.
    #[command(
        after_help = "Examples:\n  myownmesh lend pause\n  myownmesh lend pause 1h\n  myownmesh lend pause --now"
    )]
    Pause {
        /// How long, for example 30m or 2h; until `lend resume` when not given.
        #[arg(value_name = "DURATION", value_parser = parse_duration)]
        duration: Option<u32>,
        /// End running answers as well.
        #[arg(long)]
        now: bool,
    },
    /// End the pause.
    Resume,
    /// Change rules for everybody on the active network; what is not named stays.
    #[command(after_help = "Examples:\n  myownmesh lend set --concurrent 2 --tokens-per-day 100000\n  \
                            myownmesh lend set --hours 22:00-07:00 --only-mains on\n  \
                            myownmesh lend set --model qwen3-8b --no-hours")]
    Set(LendSetArgs),
    /// Change rules for one member, on top of those for everybody; what is not named stays.
    #[command(after_help = "Examples:\n  myownmesh lend member Laptop --tokens-per-day 5000\n  \
                            myownmesh lend member Laptop --no-limits")]
    Member(LendMemberArgs),
}

/// Limits that everybody and single members can have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct LimitArgs {
    /// Most requests that run at once.
    #[arg(long, value_name = "N", conflicts_with = "no_concurrent", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrent: Option<u32>,
    /// As many as the engines do at once.
    #[arg(long)]
    pub(crate) no_concurrent: bool,
    /// Most tokens of answers in a day, for each member.
    #[arg(long, value_name = "N", conflicts_with = "no_tokens_per_day", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tokens_per_day: Option<u64>,
    /// As many tokens as they like.
    #[arg(long)]
    pub(crate) no_tokens_per_day: bool,
    /// Only this model. Can be given more than once.
    #[arg(long = "model", value_name = "M", conflicts_with = "all_models", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) models: Vec<String>,
    /// All models.
    #[arg(long)]
    pub(crate) all_models: bool,
    /// Only in these hours of each day, by this device's clock.
    #[arg(long, value_name = "HH:MM-HH:MM", conflicts_with = "no_hours", value_parser = hours)]
    pub(crate) hours: Option<LendingHours>,
    /// At all hours.
    #[arg(long)]
    pub(crate) no_hours: bool,
}

impl LimitArgs {
    /// Puts what was named in place of what was there.
    pub(crate) fn apply(
        self,
        concurrent: &mut Option<u32>,
        tokens_per_day: &mut Option<u64>,
        models: &mut Option<Vec<String>>,
        hours: &mut Option<LendingHours>,
    ) {
        change(concurrent, self.concurrent, self.no_concurrent);
        change(tokens_per_day, self.tokens_per_day, self.no_tokens_per_day);
        change(models, Some(self.models).filter(|models| !models.is_empty()), self.all_models);
        change(hours, self.hours, self.no_hours);
    }
}

fn change<T>(limit: &mut Option<T>, given: Option<T>, lifted: bool) {
    if lifted || given.is_some() {
        *limit = given;
    }
}

/// Arguments of `lend set`.
#[derive(Debug, Args)]
pub(crate) struct LendSetArgs {
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Whether it lends only while nobody uses this device.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) only_idle: Option<bool>,
    /// Whether it lends only on mains power.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) only_mains: Option<bool>,
    /// Whether requests of this device go before those of members that wait.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) owner_first: Option<bool>,
    /// Whether they also end running answers of members.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) owner_stops_guests: Option<bool>,
}

/// Arguments of `lend member`.
#[derive(Debug, Args)]
pub(crate) struct LendMemberArgs {
    /// Id, unique prefix of it, or name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Lift all limits of this member.
    #[arg(long, conflicts_with = "LimitArgs")]
    pub(crate) no_limits: bool,
}

impl LendMemberArgs {
    /// Whether no limit is named.
    pub(crate) fn limits_are_none(&self) -> bool {
        self.limits == LimitArgs::default()
    }
}

/// Arguments of `usage`.
#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// From when on: how long ago, for example 24h or 7d, or a day, for example 2026-11-01; 30 days when not given.
    #[arg(long, value_name = "TIME|DATE", value_parser = parse_since)]
    pub(crate) since: Option<i64>,
}

fn hours(text: &str) -> Result<LendingHours, String> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let read = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    match read {
        Some((from, to)) if from != to => Ok(LendingHours { from, to }),
        _ => Err("write two different times of day, for example 22:00-07:00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_two_times_of_day() {
        assert_eq!(hours("22:00-07:30"), Ok(LendingHours { from: 1320, to: 450 }));
        for odd in ["", "22:00", "22-7", "24:00-01:00", "08:60-09:00", "08:00-08:00", "a:b-c:d"] {
            assert!(hours(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let (mut concurrent, mut tokens, mut models, mut hours) = (Some(2), Some(5), None, None);
        LimitArgs::default().apply(&mut concurrent, &mut tokens, &mut models, &mut hours);
        assert_eq!((concurrent, tokens), (Some(2), Some(5)));
        let args = LimitArgs {
            no_concurrent: true,
            tokens_per_day: Some(9),
            models: vec!["m".to_owned()],
            ..LimitArgs::default()
        };
        args.apply(&mut concurrent, &mut tokens, &mut models, &mut hours);
        assert_eq!((concurrent, tokens, models, hours), (None, Some(9), Some(vec!["m".to_owned()]), None));
    }
}
