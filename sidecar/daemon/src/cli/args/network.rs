//! The words and flags of `network`.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use myownmesh_control::types::{NetworkKind, SettingsPatch};

use super::word;

/// What `network` does.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkAction {
    /// Found a network and make it the active one.
    Create {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Only owners and managers may admit devices.
        #[arg(long)]
        closed: bool,
    },
    /// List the saved networks.
    List,
    /// Show one network; the active one when no name is given.
    Show {
        /// Name or id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
    },
    /// Make a saved network the active one.
    Use {
        /// Name or id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Leave the active network; it stays saved.
    Leave,
    /// End this device's membership in a network and delete what it kept of it.
    Forget {
        /// Name or id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Rename a network for all its members.
    Rename {
        /// Name or id now.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// New name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        new: String,
    },
    /// Change who may admit devices. Owners may.
    Kind {
        /// Every member, or owners and managers only.
        #[arg(value_parser = word::<NetworkKind>(&["open", "closed"]))]
        kind: NetworkKind,
        /// Name or id; the active one when not given.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
    },
    /// Show or change how the devices of a network find and reach each other. Owners may change it, for all.
    #[command(after_help = "Examples:\n  myownmesh network settings\n  \
                            myownmesh network settings --relay https://relay.example.org --announce on\n  \
                            myownmesh network settings Home --air-gapped on")]
    Settings {
        /// Name or id; the active one when not given.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        #[command(flatten)]
        changes: SettingsFlags,
    },
    /// List what was decided in a network, by whom, and whether it counts.
    Decisions {
        /// Name or id; the active one when not given.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
    },
}

/// Changes of a network's settings; what is not given stays as it is.
#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct SettingsFlags {
    /// Use this relay, most preferred first; replaces those before. Can be given more than once.
    #[arg(long = "relay", value_name = "URL", conflicts_with = "no_relays", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) relays: Vec<String>,
    /// Use no relay.
    #[arg(long)]
    pub(crate) no_relays: bool,
    /// Publish and look up addresses at this pkarr server, or nowhere.
    #[arg(long, value_name = "URL|off", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) lookup: Option<String>,
    /// Find members by multicast DNS on the local network.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) mdns: Option<bool>,
    /// Announce the network's name on the local network, so that devices nearby can knock.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) announce: Option<bool>,
    /// Contact nothing beyond the local network, whatever else is set.
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub(crate) air_gapped: Option<bool>,
}

impl SettingsFlags {
    /// The changes; `None` when there are none.
    pub(crate) fn patch(self) -> Option<SettingsPatch> {
        if self == Self::default() {
            return None;
        }
        let Self { relays, no_relays, lookup, mdns, announce, air_gapped } = self;
        Some(SettingsPatch {
            relays: (no_relays || !relays.is_empty()).then_some(relays),
            // The contract says "off" with an empty text.
            lookup: lookup.map(|url| if url == "off" { String::new() } else { url }),
            mdns,
            announce,
            air_gapped,
        })
    }
}

/// A parser for `on` and `off`.
pub(super) fn switch() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|word| word == "on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_is_no_change_and_off_is_one() {
        assert_eq!(SettingsFlags::default().patch(), None);
        let off = SettingsFlags { no_relays: true, lookup: Some("off".to_owned()), ..SettingsFlags::default() };
        let patch = off.patch().expect("a change");
        assert_eq!((patch.relays, patch.lookup), (Some(Vec::new()), Some(String::new())));
        let on = SettingsFlags { mdns: Some(true), ..SettingsFlags::default() };
        assert_eq!(on.patch(), Some(SettingsPatch { mdns: Some(true), ..SettingsPatch::default() }));
    }
}
