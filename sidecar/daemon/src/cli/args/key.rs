//! The words of `key`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Subcommand, ValueEnum};
use myownmesh_control::types::KeyScope;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeName {
    /// Asking models.
    Chat,
    /// Turning text into vectors.
    Embeddings,
    /// Listing models.
    Models,
}

impl From<ScopeName> for KeyScope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Chat => Self::Chat,
            ScopeName::Embeddings => Self::Embeddings,
            ScopeName::Models => Self::Models,
        }
    }
}

/// What `key` does.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a key for a program and show it, this once.
    Create {
        /// What to call it, for example after the program.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// What it may be used for; everything when not given. May be given several times.
        #[arg(long = "for", value_name = "WHAT", value_enum, value_delimiter = ',')]
        scopes: Vec<ScopeName>,
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
