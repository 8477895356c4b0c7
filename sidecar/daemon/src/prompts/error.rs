//! Why a prompt could not be used, changed, or taken from a file. Each is a sentence with the next step.

use myownmesh_mesh::MeshError;

use super::text::{MAX_LABEL, MAX_TOOLS, MAX_VARIABLES};

/// Why a prompt could not be used or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// No prompt has this id.
    #[error("There is no prompt \"{0}\" in this network. `myownmesh prompt list` shows them.")]
    NotFound(String),
    /// Nothing was ever known of this id.
    #[error("Nothing is known of a prompt \"{0}\" in this network. `myownmesh prompt list` shows the prompts.")]
    NoHistory(String),
    /// It is to be made, and something is missing.
    #[error("There is no prompt \"{0}\" yet. To make it, give both a label and a text.")]
    Incomplete(String),
    /// The id is malformed.
    #[error(
        "\"{0}\" cannot be the id of a prompt. An id has 1 to 64 letters (a to z), digits, dots, dashes and underscores."
    )]
    BadId(String),
    /// The label is empty or too long.
    #[error("A label needs at least one visible character, and at most {MAX_LABEL}.")]
    BadLabel,
    /// There is nothing to tell a model.
    #[error("The text of the prompt is empty. Write what a model should be told.")]
    NoBody,
    /// A text is too long.
    #[error("The {what} has {bytes} bytes, and {most} are the most. Shorten it.")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// A text has a character that shows nothing and may do something.
    #[error("The {what} contains the control character U+{code:04X}. Remove it; line ends and tabs may stay.")]
    ControlCharacter {
        /// Which text.
        what: &'static str,
        /// Its code point.
        code: u32,
    },
    /// Too much to fill in.
    #[error("The prompt has {0} variables, and {MAX_VARIABLES} are the most. Use fewer.")]
    TooManyVariables(usize),
    /// The name of a variable is malformed.
    #[error("\"{0}\" cannot be the name of a variable. A name has 1 to 64 letters (a to z), digits and underscores.")]
    BadVariable(String),
    /// A variable is given twice.
    #[error("The variable \"{0}\" is given twice. Give it once.")]
    VariableTwice(String),
    /// Too many tools are suggested.
    #[error("The prompt suggests {0} tools, and {MAX_TOOLS} are the most. Suggest fewer.")]
    TooManyTools(usize),
    /// The name of a tool is malformed.
    #[error(
        "\"{0}\" cannot be the name of a tool. Write for example read_file, shell or mcp:SERVER/TOOL, without spaces."
    )]
    BadTool(String),
    /// All parts together are more than a document holds.
    #[error("The prompt as a whole has {bytes} bytes, and {most} are the most. Shorten its texts.")]
    TooLarge {
        /// How much it is.
        bytes: usize,
        /// How much it may be.
        most: usize,
    },
    /// No version has this id.
    #[error("The prompt has no version \"{0}\". `myownmesh prompt history` shows them.")]
    NoVersion(String),
    /// The start of an id fits several versions.
    #[error("Several versions of the prompt begin with \"{0}\". Give more of its id.")]
    AmbiguousVersion(String),
    /// A version that deleted it is to be brought back.
    #[error("That version deleted the prompt, so there is no text to bring back. Choose another one.")]
    DeletedVersion,
    /// There is nothing to go back to.
    #[error("There is no earlier version of this prompt to bring back.")]
    NoEarlierVersion,
    /// They make a file that could not be taken again.
    #[error("These prompts make a file of {bytes} bytes, and {most} are the most. Export some of them at a time.")]
    LargeExport {
        /// How large it would be.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// The daemon ended meanwhile.
    #[error(
        "The import was interrupted because the daemon is ending. Nothing was imported; try again when it is back."
    )]
    Interrupted,
    /// A file could not be taken.
    #[error(transparent)]
    File(#[from] FileError),
    /// The mesh refused or failed.
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

/// Why a file of prompts is not taken. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is too large.
    #[error("The file has {bytes} bytes, and {most} are the most. Split it. Nothing was imported.")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// It holds no prompt.
    #[error("There is no prompt in the file. Nothing was imported.")]
    Empty,
    /// It holds too many.
    #[error("The file has more than {most} prompts. Split it. Nothing was imported.")]
    TooMany {
        /// How many it may have.
        most: usize,
    },
    /// It is not JSON, or ends in the middle.
    #[error(
        "The file is not whole JSON (line {line}, column {column}): it may be cut off or damaged. Nothing was imported."
    )]
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// It is JSON of something else.
    #[error(
        "The file is JSON, but not a file of prompts of this app. Choose one that was exported here. Nothing was imported."
    )]
    NotPrompts,
    /// A later version of the app wrote it.
    #[error(
        "The file was written by a newer version of the app (format {found}, this one knows {known}). Update this one. Nothing was imported."
    )]
    Newer {
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// Its Markdown does not begin, or go on, as it should.
    #[error("Line {line} of the file: {problem}. Nothing was imported.")]
    Markdown {
        /// Where, from 1.
        line: usize,
        /// What is wrong and what is expected, without a full stop.
        problem: String,
    },
    /// One prompt in it is not valid.
    #[error("Prompt {number} in the file ({name}): {error} Nothing was imported.")]
    Prompt {
        /// Its place in the file, from 1.
        number: usize,
        /// Its label or id, as far as it has one.
        name: String,
        /// What is wrong with it.
        error: Box<PromptError>,
    },
    /// Two prompts in it have the same id.
    #[error("Two prompts in the file have the id \"{0}\". Give one of them another id. Nothing was imported.")]
    Twice(String),
}
