//! The words and flags of `permission` and `scope`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use myownmesh_control::types::{Limits, MemberScope, Rule};

use super::network::switch;
use super::word;

/// What `permission` does.
#[derive(Debug, Subcommand)]
pub(crate) enum PermissionAction {
    /// List what tools may do on this device, and why.
    List,
    /// Set the rule of a tool, here and for the network.
    #[command(after_help = "Examples:\n  myownmesh permission set shell deny\n  \
                            myownmesh permission set shell ask --command \"git status\" --command ls\n  \
                            myownmesh permission set read_file allow --folder /home/sam/notes\n  \
                            myownmesh permission set fetch_url allow --host example.org --host \"*.example.org\"")]
    Set(PermissionSetArgs),
    /// Show what holds for one tool, and why.
    Explain {
        /// `read_file`, `write_file`, `shell`, `fetch_url` or `mcp:SERVER/TOOL`.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        tool: String,
    },
    /// List looser rules of other devices that wait for you.
    Proposals,
    /// Let a proposal hold on this device.
    Accept {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Keep what holds on this device; the proposal is not shown again.
    Decline {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Say whether looser rules of a member apply here without asking, from now on; lists the members when none is named.
    Trust {
        /// Id, unique prefix of it, or name.
        #[arg(requires = "on", value_parser = NonEmptyStringValueParser::new())]
        device: Option<String>,
        /// Whether they do.
        #[arg(value_name = "on|off", value_parser = switch())]
        on: Option<bool>,
    },
}

/// Arguments of `permission set`.
#[derive(Debug, Args)]
pub(crate) struct PermissionSetArgs {
    /// `read_file`, `write_file`, `shell`, `fetch_url` or `mcp:SERVER/TOOL`.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tool: String,
    /// Never, asking each time, or without asking.
    #[arg(value_parser = word::<Rule>(&["deny", "ask", "allow"]))]
    pub(crate) rule: Rule,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
}

/// What a tool is confined to. Limits stay as they are when none is given.
#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct LimitFlags {
    /// Confine it to this folder and all below; replaces the limits before. Can be given more than once.
    #[arg(long = "folder", value_name = "F", value_parser = NonEmptyStringValueParser::new())]
    folders: Vec<String>,
    /// Confine it to commands that begin with these words. Can be given more than once.
    #[arg(long = "command", value_name = "C", value_parser = NonEmptyStringValueParser::new())]
    commands: Vec<String>,
    /// Confine it to this host, or with `*.` to all hosts below it. Can be given more than once.
    #[arg(long = "host", value_name = "H", value_parser = NonEmptyStringValueParser::new())]
    hosts: Vec<String>,
    /// Take all limits away.
    #[arg(long, conflicts_with_all = ["folders", "commands", "hosts"])]
    no_limits: bool,
}

impl LimitFlags {
    /// The limits; `None` when they stay as they are.
    pub(crate) fn limits(self) -> Option<Limits> {
        if self == Self::default() {
            return None;
        }
        let Self { folders, commands, hosts, no_limits: _ } = self;
        Some(Limits { folders, commands, hosts })
    }
}

/// Arguments of `scope`.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// Id, unique prefix of it, or name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) device: String,
    /// What it may do here or not; all of it is shown when not given.
    #[arg(requires = "on", value_parser = word::<MemberScope>(&["chat", "files", "transcribe", "conversations", "models"]))]
    pub(crate) scope: Option<MemberScope>,
    /// Whether it may.
    #[arg(value_name = "on|off", value_parser = switch())]
    pub(crate) on: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stay_unless_some_are_given_or_taken_away() {
        assert_eq!(LimitFlags::default().limits(), None);
        let folder = LimitFlags { folders: vec!["/a".to_owned()], ..LimitFlags::default() };
        assert_eq!(folder.limits(), Some(Limits { folders: vec!["/a".to_owned()], ..Limits::default() }));
        let none = LimitFlags { no_limits: true, ..LimitFlags::default() };
        assert_eq!(none.limits(), Some(Limits::default()));
    }
}
