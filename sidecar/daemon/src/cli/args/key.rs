//! The words of `key`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

/// What `key` does.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a key for a program and show it, this once.
    Create {
        /// What to call it, for example after the program.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List the keys and when each was last used.
    List,
    /// End a key; whoever has it is refused from then on.
    Revoke {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}
