//! What a tool is confined to: folders, commands, hosts. Each list is a set of things that are let through with all that
//! lies within them; an absent list lets everything through.
//!
//! Lists are kept in one form: entries are normalised, and an entry that lies within another is left out. So two lists
//! that let the same through are equal, and [`Limits::meet`] is a plain intersection.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use myownmesh_control::types;

use super::tool::Tool;
use crate::text::quotable;

/// Most entries that a person or a statement gives a list.
pub(crate) const MAX_ENTRIES: usize = 64;
/// Longest entry, in bytes.
pub(crate) const MAX_ENTRY: usize = 512;
/// Longest name of a host (RFC 1035).
const MAX_HOST: usize = 253;
/// Longest part of it.
const MAX_LABEL: usize = 63;

/// A limit that means nothing, as a sentence with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitError {
    /// Not a folder.
    #[error(
        "\"{0}\" is no folder that can be a limit. Give its whole path without \"..\", for example /home/sam/notes."
    )]
    Folder(String),
    /// Not the beginning of a command.
    #[error(
        "\"{0}\" is no command that can be a limit. Give its first words, for example `git status`, without signs that \
         mean something to a shell."
    )]
    Command(String),
    /// Not a host.
    #[error(
        "\"{0}\" is no host that can be a limit. Give its name alone, for example example.org, or *.example.org for all \
         below it; letters beyond ASCII in their xn-- form."
    )]
    Host(String),
    /// Over [`MAX_ENTRIES`].
    #[error("A limit has at most {MAX_ENTRIES} entries. Name a folder or a domain above them.")]
    TooMany,
    /// It says nothing about this tool.
    #[error("{tool} is not limited by {what}. {instead}")]
    Foreign {
        /// The tool.
        tool: Tool,
        /// What was given.
        what: &'static str,
        /// What would be.
        instead: &'static str,
    },
}

/// What is let through; all lists at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    folders: List<Folder>,
    commands: List<Command>,
    hosts: List<Host>,
}

impl Limits {
    /// Everything is let through.
    pub(crate) const fn none() -> Self {
        Self { folders: List::Any, commands: List::Any, hosts: List::Any }
    }

    /// Reads what a person or another device gave.
    pub(crate) fn parse(given: &types::Limits) -> Result<Self, LimitError> {
        let longest = [given.folders.len(), given.commands.len(), given.hosts.len()].into_iter().max();
        if longest.is_some_and(|longest| longest > MAX_ENTRIES) {
            return Err(LimitError::TooMany);
        }
        Self::read(given)
    }

    /// Reads what this device has written. What several devices confine to may have more entries than each of them gave.
    pub(super) fn read(given: &types::Limits) -> Result<Self, LimitError> {
        Ok(Self {
            folders: List::parse(&given.folders)?,
            commands: List::parse(&given.commands)?,
            hosts: List::parse(&given.hosts)?,
        })
    }

    /// Refuses lists that say nothing about a tool: whoever gives one expects something of it that would not come.
    pub(crate) fn check_fit(&self, tool: &Tool) -> Result<(), LimitError> {
        let (folders, commands, hosts, instead) = match tool {
            Tool::ReadFile | Tool::WriteFile => (true, false, false, "Limit it by folders."),
            Tool::Shell => (true, true, false, "Limit it by the commands it runs and the folders it runs them in."),
            Tool::FetchUrl => (false, false, true, "Limit it by hosts."),
            Tool::Mcp { .. } => {
                (false, false, false, "What such a tool does is up to its server: deny it, or be asked.")
            }
        };
        let foreign = [
            ("folders", !folders && self.folders != List::Any),
            ("commands", !commands && self.commands != List::Any),
            ("hosts", !hosts && self.hosts != List::Any),
        ];
        match foreign.into_iter().find(|(_, given)| *given) {
            Some((what, _)) => Err(LimitError::Foreign { tool: tool.clone(), what, instead }),
            None => Ok(()),
        }
    }

    /// What both let through.
    pub(crate) fn meet(&self, other: &Self) -> Self {
        Self {
            folders: self.folders.meet(&other.folders),
            commands: self.commands.meet(&other.commands),
            hosts: self.hosts.meet(&other.hosts),
        }
    }

    /// Whether a list lets nothing through.
    pub(crate) fn is_nothing(&self) -> bool {
        self.folders.is_nothing() || self.commands.is_nothing() || self.hosts.is_nothing()
    }
}

impl From<&Limits> for types::Limits {
    fn from(limits: &Limits) -> Self {
        Self { folders: limits.folders.texts(), commands: limits.commands.texts(), hosts: limits.hosts.texts() }
    }
}

/// One entry of a list.
trait Entry: Ord + Clone {
    /// Reads and normalises it.
    fn parse(text: &str) -> Option<Self>;
    /// What is said when it cannot be read.
    fn refuse(text: String) -> LimitError;
    /// The entries that it lies within, itself left out.
    fn within(&self) -> Vec<Self>;
    /// As people write it.
    fn text(&self) -> &str;
}

/// One list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum List<E> {
    /// Lets everything through.
    #[default]
    Any,
    /// Lets through what lies within one of these; with none, nothing.
    Only(BTreeSet<E>),
}

impl<E: Entry> List<E> {
    /// No entry confines nothing: that is how the contract says it.
    fn parse(texts: &[String]) -> Result<Self, LimitError> {
        if texts.is_empty() {
            return Ok(Self::Any);
        }
        let read = |text: &String| {
            let fits = text.len() <= MAX_ENTRY && !text.chars().any(char::is_control);
            fits.then(|| E::parse(text)).flatten().ok_or_else(|| E::refuse(quotable(text)))
        };
        Ok(Self::Only(widest(texts.iter().map(read).collect::<Result<_, _>>()?)))
    }

    fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, only) | (only, Self::Any) => only.clone(),
            (Self::Only(one), Self::Only(two)) => {
                let inside = |entries: &BTreeSet<E>, of: &BTreeSet<E>| {
                    let inside =
                        |entry: &&E| of.contains(entry) || entry.within().iter().any(|wider| of.contains(wider));
                    entries.iter().filter(inside).cloned().collect::<BTreeSet<E>>()
                };
                let mut both = inside(one, two);
                both.append(&mut inside(two, one));
                Self::Only(both)
            }
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(entries) if entries.is_empty())
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Any => Vec::new(),
            Self::Only(entries) => entries.iter().map(|entry| entry.text().to_owned()).collect(),
        }
    }
}

/// Without the entries that lie within another.
fn widest<E: Entry>(entries: BTreeSet<E>) -> BTreeSet<E> {
    let covered = |entry: &&E| entry.within().iter().any(|wider| entries.contains(wider));
    entries.iter().filter(|entry| !covered(entry)).cloned().collect()
}

/// A folder with all below it. `/a/b`, or `C:\a\b`; a folder of another system simply does not exist here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Folder(String);

impl Folder {
    /// The root that the path begins with, and what separates its parts.
    fn root(text: &str) -> Option<(String, char)> {
        let mut chars = text.chars();
        match (chars.next()?, chars.next(), chars.next()) {
            ('/', _, _) => Some(("/".to_owned(), '/')),
            (drive, Some(':'), Some('\\' | '/')) if drive.is_ascii_alphabetic() => {
                Some((format!("{}:\\", drive.to_ascii_uppercase()), '\\'))
            }
            _ => None,
        }
    }
}

impl Entry for Folder {
    fn parse(text: &str) -> Option<Self> {
        let (mut path, separator) = Self::root(text)?;
        let windows = separator == '\\';
        let rest = &text[if windows { 3 } else { 1 }..];
        let parts = rest.split(|c| c == separator || (windows && c == '/')).filter(|part| !matches!(*part, "" | "."));
        for (at, part) in parts.enumerate() {
            // Windows takes dots and spaces at the end of a name away, so that "... " would mean something else there.
            if part == ".." || (windows && part.ends_with(['.', ' '])) {
                return None;
            }
            if at > 0 {
                path.push(separator);
            }
            path.push_str(part);
        }
        Some(Self(path))
    }

    fn refuse(text: String) -> LimitError {
        LimitError::Folder(text)
    }

    fn within(&self) -> Vec<Self> {
        let Some((root, separator)) = Self::root(&self.0) else { return Vec::new() };
        let ends = self.0.match_indices(separator).map(|(at, _)| at).filter(|at| *at >= root.len());
        let wider = ends.map(|at| Self(self.0[..at].to_owned())).chain([Self(root.clone())]);
        wider.filter(|wider| wider != self).collect()
    }

    fn text(&self) -> &str {
        &self.0
    }
}

/// The first words of a command, one space apart; all that begin with the same words lie within.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Command(String);

impl Entry for Command {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        // What a shell would read as more than words cannot be compared word by word.
        let plain = |c: char| {
            !matches!(
                c,
                ';' | '&'
                    | '|'
                    | '<'
                    | '>'
                    | '('
                    | ')'
                    | '$'
                    | '`'
                    | '\\'
                    | '"'
                    | '\''
                    | '*'
                    | '?'
                    | '['
                    | ']'
                    | '{'
                    | '}'
                    | '#'
                    | '~'
                    | '!'
                    | '='
                    | '%'
                    | '^'
            )
        };
        let fits = !words.is_empty() && text.chars().all(|c| plain(c) && (c == ' ' || !c.is_whitespace()));
        fits.then(|| Self(words.join(" ")))
    }

    fn refuse(text: String) -> LimitError {
        LimitError::Command(text)
    }

    fn within(&self) -> Vec<Self> {
        self.0.match_indices(' ').map(|(at, _)| Self(self.0[..at].to_owned())).collect()
    }

    fn text(&self) -> &str {
        &self.0
    }
}

/// A host, or `*.` and a domain for all hosts below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Host(String);

const BELOW: &str = "*.";

impl Host {
    fn is_label(label: &str) -> bool {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    }

    /// Whether programs read the name as an address of IPv4, in whatever form.
    fn ends_in_number(name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or_default();
        last.bytes().all(|c| c.is_ascii_digit()) || last.starts_with("0x")
    }
}

impl Entry for Host {
    fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        if let Some(address) = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse::<Ipv6Addr>().ok().map(|address| Self(format!("[{address}]")));
        }
        let pattern = lower.strip_suffix('.').unwrap_or(&lower);
        let name = pattern.strip_prefix(BELOW).unwrap_or(pattern);
        if name.len() > MAX_HOST || !name.split('.').all(Self::is_label) {
            return None;
        }
        if Self::ends_in_number(name) {
            // Only the usual form of an address, so that there is one way to write each.
            return (name == pattern && name.parse::<Ipv4Addr>().is_ok()).then(|| Self(name.to_owned()));
        }
        Some(Self(pattern.to_owned()))
    }

    fn refuse(text: String) -> LimitError {
        LimitError::Host(text)
    }

    fn within(&self) -> Vec<Self> {
        let name = self.0.strip_prefix(BELOW).unwrap_or(&self.0);
        if self.0.starts_with('[') || Self::ends_in_number(name) {
            return Vec::new();
        }
        name.match_indices('.').map(|(at, _)| Self(format!("{BELOW}{}", &name[at + 1..]))).collect()
    }

    fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
pub(super) mod tests;
