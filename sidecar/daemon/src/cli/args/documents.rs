//! The words and flags of `prompt`, `sync` and `catalogue`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use myownmesh_control::types::{PromptDraft, PromptFormat, PromptVariable};

use super::network::switch;
use super::word;

const FORMATS: [&str; 2] = ["json", "markdown"];

/// What `prompt` does.
#[derive(Debug, Subcommand)]
pub(crate) enum PromptAction {
    /// List the prompts in their order.
    List {
        /// Only those with this text in their label or text.
        search: Option<String>,
    },
    /// Show a prompt with its text.
    Show {
        /// Its id, or its label.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Make a prompt, or change what is given of one.
    #[command(after_help = "Examples:\n  \
                            myownmesh prompt set review --label \"Review a change\" --body \"You review changes.\"\n  \
                            myownmesh prompt set review --body - < review.txt\n  \
                            myownmesh prompt set review --variable diff --variable language=English --tool shell")]
    Set(PromptSetArgs),
    /// Make a copy of a prompt, right below it.
    Duplicate {
        /// Its id, or its label.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Move a prompt to the end of the list, or in front of another one.
    Move {
        /// Its id, or its label.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// In front of this one.
        #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
        before: Option<String>,
    },
    /// Delete a prompt on all devices; `restore` brings it back.
    Delete {
        /// Its id, or its label.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// List what a prompt said, and who changed it; deletions and what lost against another change included.
    History {
        /// Its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Bring an earlier version back.
    Restore {
        /// Its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// A version from `history`, or a unique prefix of it; the newest earlier one with a text when not given.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        version: Option<String>,
    },
    /// Take prompts from a file, all of them or none.
    #[command(after_help = "Examples:\n  myownmesh prompt import prompts.md\n  \
                            curl https://example.org/prompts.json | myownmesh prompt import - --format json")]
    Import {
        /// The file; `-` reads standard input.
        file: PathBuf,
        /// How it is written; told by its name or its beginning when not given.
        #[arg(long, value_parser = word::<PromptFormat>(&FORMATS))]
        format: Option<PromptFormat>,
    },
    /// Write prompts to a file or to standard output.
    #[command(after_help = "Examples:\n  myownmesh prompt export --output prompts.md\n  \
                            myownmesh prompt export review --format markdown")]
    Export {
        /// Their ids or labels; all of them when not given.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        ids: Vec<String>,
        /// How to write them; told by the name of the file, else JSON.
        #[arg(long, value_parser = word::<PromptFormat>(&FORMATS))]
        format: Option<PromptFormat>,
        /// The file; standard output when not given.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Arguments of `prompt set`.
#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct PromptSetArgs {
    /// Its id; a new prompt gets one from its label when not given.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) id: Option<String>,
    /// What it is called.
    #[arg(long, value_name = "L")]
    pub(crate) label: Option<String>,
    /// What a model is told; `{{name}}` stands for a variable, and `-` reads standard input.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) body: Option<String>,
    /// Text for the composer; an empty one takes it away.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) user_text: Option<String>,
    /// A variable and what is filled in at first; replaces those before. Can be given more than once.
    #[arg(long = "variable", value_name = "NAME[=DEFAULT]", value_parser = variable)]
    pub(crate) variables: Option<Vec<PromptVariable>>,
    /// A tool that it works well with; replaces those before. Can be given more than once.
    #[arg(long = "tool", value_name = "T", conflicts_with = "no_tools", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tools: Option<Vec<String>>,
    /// Suggest no tools.
    #[arg(long)]
    pub(crate) no_tools: bool,
}

impl PromptSetArgs {
    /// The changes; `None` when there are none.
    pub(crate) fn draft(self) -> Option<PromptDraft> {
        let Self { id, label, body, user_text, variables, tools, no_tools } = self;
        let suggested_tools = if no_tools { Some(Vec::new()) } else { tools };
        let draft = PromptDraft { id: None, label, body, variables, suggested_tools, user_text };
        (draft != PromptDraft::default()).then_some(PromptDraft { id, ..draft })
    }
}

fn variable(text: &str) -> Result<PromptVariable, String> {
    let (name, default) = text.split_once('=').map_or((text, None), |(name, default)| (name, Some(default.to_owned())));
    if name.is_empty() {
        return Err("a variable has a name, for example --variable language=English".to_owned());
    }
    Ok(PromptVariable { name: name.to_owned(), label: None, default })
}

/// What `sync` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum SyncAction {
    /// Show the switch, and how far each device is.
    Status,
    /// Let documents leave and enter this device.
    On,
    /// Let no document leave or enter this device. Asking models of other devices still works.
    Off,
}

/// Arguments of `catalogue`.
#[derive(Debug, Args)]
pub(crate) struct CatalogueArgs {
    /// Show the titles of this device's conversations to the active network, or end that; shown when not given.
    #[arg(value_name = "on|off", value_parser = switch())]
    pub(crate) show: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_is_no_change_and_an_empty_one_is() {
        let nothing = PromptSetArgs { id: Some("a".to_owned()), ..PromptSetArgs::default() };
        assert_eq!(nothing.draft(), None);
        let cleared = PromptSetArgs { user_text: Some(String::new()), no_tools: true, ..PromptSetArgs::default() };
        let draft = cleared.draft().expect("a change");
        assert_eq!((draft.user_text.as_deref(), draft.suggested_tools), (Some(""), Some(Vec::new())));
        assert_eq!((draft.label, draft.variables), (None, None));
    }

    #[test]
    fn a_variable_has_a_name_and_perhaps_a_default() {
        let parsed = |text: &str| variable(text).map(|one| (one.name, one.default));
        assert_eq!(parsed("a"), Ok(("a".to_owned(), None)));
        assert_eq!(parsed("a=b=c"), Ok(("a".to_owned(), Some("b=c".to_owned()))));
        assert!(parsed("=b").is_err());
    }
}
