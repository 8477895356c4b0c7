//! The words and flags of what only looks: `activity`, `doctor`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use myownmesh_control::types::ActivityKind;

use super::word;
use crate::cli::units::parse_duration;

const KINDS: [&str; 7] = ["knock", "member", "network", "invite", "connection", "lending", "security"];

/// Flags of `activity`.
#[derive(Debug, Args)]
pub(crate) struct ActivityArgs {
    /// Only this kind. Can be given more than once.
    #[arg(long = "kind", value_name = "KIND", value_parser = word::<ActivityKind>(&KINDS))]
    pub(crate) kinds: Vec<ActivityKind>,
    /// Only what is about this device: its id, a unique prefix of it, or its name.
    #[arg(long, value_name = "D", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) device: Option<String>,
    /// Only what contains this text.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) search: Option<String>,
    /// Only what happened within this time, for example 30m, 24h or 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<u32>,
    /// How many at most, up to 1000; 100 when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
    /// Only those before this number: the next page.
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<u64>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Member to check the way to, or an invite before joining; this device when not given.
    #[arg(value_name = "DEVICE|INVITE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) target: Option<String>,
    /// Print the report with keys, addresses and names masked, fit to be shown to others.
    #[arg(long)]
    pub(crate) masked: bool,
}
