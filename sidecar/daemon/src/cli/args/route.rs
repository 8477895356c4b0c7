//! Flags that say how a device is chosen for a question.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use myownmesh_control::types::{RoutePolicy, RoutePreference, RoutePurpose};

use super::word;

/// How a device is chosen, and whether it is only planned or several are asked.
#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// Whose devices come first; whichever answers soonest when not given.
    #[arg(long, value_name = "here|others", value_parser = word::<RoutePreference>(&["here", "others"]))]
    pub(crate) prefer: Option<RoutePreference>,
    /// Only devices with such a processor. Can be given more than once.
    #[arg(long, value_name = "gpu|npu", value_parser = ["gpu", "npu"])]
    pub(crate) require: Vec<String>,
    /// Only models whose name begins with this, for example qwen3.
    #[arg(long, value_name = "F", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) family: Option<String>,
    /// What the model is for, where none is named.
    #[arg(long, value_name = "P", value_parser = word::<RoutePurpose>(&["chat", "code", "summarise", "vision", "embeddings"]))]
    pub(crate) purpose: Option<RoutePurpose>,
    /// Show where it would run, and why, without asking.
    #[arg(long, conflicts_with = "fan_out")]
    pub(crate) plan: bool,
    /// Ask the best N devices, 8 at most, and show their answers beside each other.
    #[arg(long, value_name = "N", conflicts_with = "conversation", value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) fan_out: Option<u32>,
}

impl RouteArgs {
    /// The policy of these flags.
    pub(crate) fn policy(&self) -> RoutePolicy {
        let requires = |what: &str| self.require.iter().any(|required| required == what);
        RoutePolicy {
            prefer: self.prefer,
            require_gpu: requires("gpu"),
            require_npu: requires("npu"),
            family: self.family.clone(),
        }
    }
}
