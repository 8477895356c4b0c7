//! The names of tools that rules are about.

use std::fmt;
use std::str::FromStr;

use myownmesh_control::types::Rule;

use crate::text::quotable;

/// Longest name of a server or of one of its tools; both fit into the id of a document.
const MAX_NAME: usize = 60;
/// How a tool of an MCP server begins.
const MCP: &str = "mcp:";

/// Not the name of a tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "There is no tool \"{}\". Tools are read_file, write_file, shell, fetch_url, and mcp:SERVER/TOOL, where SERVER and \
     TOOL have at most {MAX_NAME} letters, digits, dots, dashes and underscores.",
    quotable(.0)
)]
pub(crate) struct BadTool(String);

/// A tool. Those that every device has come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    /// Reads files.
    ReadFile,
    /// Writes files.
    WriteFile,
    /// Runs commands.
    Shell,
    /// Fetches from a host.
    FetchUrl,
    /// A tool of an MCP server.
    Mcp {
        /// The server.
        server: String,
        /// Its tool.
        tool: String,
    },
}

impl Tool {
    /// The tools that every device has.
    pub(crate) const BUILT_IN: [Self; 4] = [Self::ReadFile, Self::WriteFile, Self::Shell, Self::FetchUrl];

    /// What holds before anybody has said anything: a person is asked, and nothing runs commands.
    pub(crate) fn start(&self) -> Rule {
        match self {
            // A command can do all that the others can, and a model writes it: somebody has to want that first.
            Self::Shell => Rule::Deny,
            Self::ReadFile | Self::WriteFile | Self::FetchUrl | Self::Mcp { .. } => Rule::Ask,
        }
    }
}

impl FromStr for Tool {
    type Err = BadTool;

    fn from_str(text: &str) -> Result<Self, BadTool> {
        let bad = || BadTool(text.to_owned());
        match text {
            "read_file" => return Ok(Self::ReadFile),
            "write_file" => return Ok(Self::WriteFile),
            "shell" => return Ok(Self::Shell),
            "fetch_url" => return Ok(Self::FetchUrl),
            _ => {}
        }
        let (server, tool) = text.strip_prefix(MCP).and_then(|rest| rest.split_once('/')).ok_or_else(bad)?;
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        let fits = |name: &str| (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain);
        if fits(server) && fits(tool) {
            Ok(Self::Mcp { server: server.to_owned(), tool: tool.to_owned() })
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadFile => f.write_str("read_file"),
            Self::WriteFile => f.write_str("write_file"),
            Self::Shell => f.write_str("shell"),
            Self::FetchUrl => f.write_str("fetch_url"),
            Self::Mcp { server, tool } => write!(f, "{MCP}{server}/{tool}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_mesh::DocumentId;

    use super::*;

    #[test]
    fn names_read_back_and_fit_the_id_of_a_document() {
        let longest = format!("mcp:{}/{}", "s".repeat(MAX_NAME), "t".repeat(MAX_NAME));
        for name in ["read_file", "write_file", "shell", "fetch_url", "mcp:git.hub-1/create_issue", &longest] {
            assert_eq!(name.parse::<Tool>().expect(name).to_string(), name);
            DocumentId::parse(name).expect(name);
        }
    }

    #[test]
    fn anything_else_is_no_tool() {
        let long = format!("mcp:{}/t", "s".repeat(MAX_NAME + 1));
        let names = ["", "Shell", " shell", "mcp:", "mcp:a", "mcp:/b", "mcp:a/", "mcp:a/b/c", "mcp:a b/c", "mcp:é/c"];
        for name in names.into_iter().chain([long.as_str(), "mcp:a/b\n", "sudo"]) {
            let error = name.parse::<Tool>().expect_err(name);
            assert!(error.to_string().contains("read_file, write_file"), "{error}");
        }
    }

    #[test]
    fn nothing_is_allowed_from_the_start() {
        for tool in Tool::BUILT_IN.into_iter().chain(["mcp:a/b".parse().expect("a tool")]) {
            assert!(tool.start() < Rule::Allow, "{tool}");
        }
    }
}
