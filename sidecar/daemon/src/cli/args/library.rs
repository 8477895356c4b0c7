//! The words and flags of `model`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};

/// What `model` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelAction {
    /// Search the catalogue of open models, and show how well each fits this device.
    #[command(after_help = "Examples:\n  myownmesh model search\n  myownmesh model search code\n  \
                            myownmesh model search qwen3 8b")]
    Search {
        /// Words to look for in names, publishers, licences and purposes; everything when not given.
        #[arg(value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Download a model, verify it, and offer it; Ctrl-C pauses, and the same command goes on.
    #[command(after_help = "Examples:\n  myownmesh model get qwen3-4b-q4_k_m\n  myownmesh model get qwen3-4b\n  \
                            myownmesh model get qwen3-4b --from Tower\n  \
                            myownmesh model get llama3.2:1b --from ollama")]
    Get {
        /// Id of a variant, as `model search` shows it; of a model or a family, what fits this device best is taken.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Where it comes from: `hub` (the one that config.toml names), `ollama` (by its name there), a member that has it, or `auto` (a near member that
        /// has it, else the hub).
        #[arg(long, value_name = "SOURCE", default_value = "auto", value_parser = NonEmptyStringValueParser::new())]
        from: String,
    },
    /// List the models that are kept on this device: what they take, which are in memory, how long each is unused.
    #[command(alias = "shelf")]
    List,
    /// Keep a model: in memory when it is idle, and out of what is suggested for deletion.
    Pin {
        /// What it is offered under, or the id of a variant.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Whether it is kept.
        #[arg(default_value = "on", value_parser = PossibleValuesParser::new(["on", "off"]))]
        on: String,
    },
    /// Load a model into memory, so that the next question need not wait.
    Load {
        /// What it is offered under, or the id of a variant.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Take a model out of memory; answers that it is giving are let end.
    Unload {
        /// What it is offered under, or the id of a variant.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Take a catalogue of models from an address in as well; without one, show where the catalogue comes from.
    Catalogue {
        /// Its address, or `none` for the bundled one only.
        #[arg(value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
        url: Option<String>,
    },
    /// Delete a model of this device; of an imported one only the reference goes.
    Rm {
        /// What it is offered under, or the id of a variant.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Offer a GGUF file of this device, which stays where it is.
    Import {
        /// The file.
        #[arg(value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
        file: PathBuf,
    },
}
