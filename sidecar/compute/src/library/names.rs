//! Names of things on a hub, parsed once: repositories, files in them, revisions, hashes.
//!
//! All of them come from elsewhere (a catalogue, a person, another device) and end up in addresses or in paths on this
//! disk, so what could leave a folder, hide, or mean something to a system is refused and not repaired.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{hides, quotable};

/// Longest file name, in bytes: systems allow 255, and a suffix is added while it is downloaded.
const MAX_FILE_NAME: usize = 200;
/// Most folders above a file in a repository.
const MAX_DEPTH: usize = 8;
/// Names that Windows takes for devices, whatever follows their first dot.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not {what}: {reason}.")]
pub struct NameError {
    given: String,
    what: &'static str,
    reason: &'static str,
}

fn refuse<T>(given: &str, what: &'static str, reason: &'static str) -> Result<T, NameError> {
    Err(NameError { given: quotable(given), what, reason })
}

/// Makes a name readable from JSON, shown as it is, and usable as text.
macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

/// The name of a file in one folder of this disk: no separators, nothing hidden, nothing a system reserves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);
name!(FileName);

impl FileName {
    /// Parses a name.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |reason| refuse(text, "a file name", reason);
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > MAX_FILE_NAME {
            return refuse("it is longer than 200 bytes");
        }
        if text.chars().any(|c| hides(c) || "/\\:*?\"<>|".contains(c)) {
            return refuse("it contains characters that are not allowed in file names");
        }
        if text.starts_with(['.', '-', ' ', '~']) || text.ends_with(['.', ' ']) {
            return refuse("it begins or ends with a character that hides it or means something to programs");
        }
        let stem = text.split('.').next().unwrap_or_default().trim_end().to_lowercase();
        if DEVICES.contains(&stem.as_str()) {
            return refuse("systems reserve this name");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the file is a GGUF model by its name.
    pub fn is_gguf(&self) -> bool {
        self.0.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("gguf"))
    }
}

/// A file in a repository: file names separated by slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);
name!(RepoPath);

impl RepoPath {
    /// Parses a path.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let segments: Vec<&str> = text.split('/').collect();
        if segments.len() > MAX_DEPTH {
            return refuse(text, "a file in a repository", "it lies too deep");
        }
        for segment in segments {
            FileName::parse(segment).map_err(|error| NameError { given: quotable(text), ..error })?;
        }
        Ok(Self(text.to_owned()))
    }

    /// Its last part: what it is called on this disk.
    pub fn file_name(&self) -> FileName {
        FileName(self.0.rsplit('/').next().unwrap_or_default().to_owned())
    }
}

/// A repository on a hub: `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName(String);
name!(RepoName);

impl RepoName {
    /// Parses a name.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let refuse = |reason| refuse(text, "a repository", reason);
        let Some((owner, name)) = text.split_once('/') else { return refuse("write it as owner/name") };
        for part in [owner, name] {
            if part.is_empty() || part.len() > 96 {
                return refuse("owner and name have 1 to 96 characters");
            }
            if !part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                return refuse("owner and name are written with letters, digits, dots, dashes and underscores");
            }
            if part.starts_with(['.', '-']) || part.ends_with(['.', '-']) || part.contains("..") {
                return refuse("owner and name begin and end with a letter, a digit or an underscore");
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// A branch, tag or commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);
name!(Revision);

impl Revision {
    /// Parses a revision.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if text.is_empty() || text.len() > 100 || !text.chars().all(allowed) || text.starts_with('.') {
            return refuse(text, "a revision", "write a branch, tag or commit such as main");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Default for Revision {
    /// The main branch.
    fn default() -> Self {
        Self("main".to_owned())
    }
}

/// A SHA-256: 64 hexadecimal digits, kept small.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);
name!(Sha256);

impl Sha256 {
    /// Parses a hash.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return refuse(text, "a SHA-256", "it has 64 hexadecimal digits");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A word to name a family or a model by: 1 to 80 small letters, digits, dots, dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);
name!(Slug);

impl Slug {
    /// Parses a word.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if text.len() > 80 || !begins || !text.chars().all(allowed) {
            let reason = "it has 1 to 80 small letters, digits, dots, dashes and underscores, a letter or digit first";
            return refuse(text, "an id", reason);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A line for people: 1 to 120 characters, none of them hidden.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);
name!(Label);

impl Label {
    /// Parses a line.
    ///
    /// # Errors
    /// With the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 120 || text.chars().any(hides) {
            return refuse(text, "a name for people", "it has 1 to 120 characters on one line, none of them hidden");
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_real_models_are_taken() {
        for name in ["Qwen3-8B-Q4_K_M.gguf", "nomic-embed-text-v1.5.Q8_0.gguf", "ggml-base.bin", "Qwen 3 (new).gguf"] {
            assert_eq!(FileName::parse(name).expect(name).as_str(), name);
        }
        assert_eq!(
            RepoPath::parse("Q8_0/a-00001-of-00002.gguf").expect("a path").file_name().as_str(),
            "a-00001-of-00002.gguf"
        );
        assert!(RepoName::parse("Qwen/Qwen3-8B-GGUF").is_ok() && RepoName::parse("ggml-org/gpt-oss-20b-GGUF").is_ok());
        assert_eq!(Sha256::parse(&"AB".repeat(32)).expect("a hash").as_str(), "ab".repeat(32));
        assert_eq!(Revision::default(), Revision::parse("main").expect("a branch"));
    }

    #[test]
    fn names_that_leave_a_folder_or_hide_are_refused() {
        let long = "x".repeat(201);
        for name in [
            "",
            ".",
            "..",
            "../x.gguf",
            "a/b",
            "a\\b",
            "/etc/passwd",
            "C:x",
            ".hidden",
            "-rf",
            "~x",
            "x.",
            "x ",
            "con",
            "NUL.gguf",
            "com1.x",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a?b",
            "a\"b",
            &long,
        ] {
            assert!(FileName::parse(name).is_err(), "{name:?}");
        }
        for path in ["", "a//b", "/a", "a/", "a/../b", "a/./b", "a/b/c/d/e/f/g/h/i"] {
            assert!(RepoPath::parse(path).is_err(), "{path:?}");
        }
        for repo in ["", "a", "a/b/c", "/b", "a/", "../b", "a/..", "a b/c", "a/b?x", "a/b#x", "a/%2e%2e", "a/b..c"] {
            assert!(RepoName::parse(repo).is_err(), "{repo:?}");
        }
        for revision in ["", "a/b", "..", "a b", "a?b"] {
            assert!(Revision::parse(revision).is_err(), "{revision:?}");
        }
        let error = RepoPath::parse("a/../b").expect_err("it leaves").to_string();
        assert!(error.starts_with("\"a/../b\" is not a file name: it begins"), "{error}");
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_stays_in_its_folder(text in "[a-zA-Z0-9./\\\\~: \\-\u{0}\u{202e}]{0,12}") {
            if let Ok(name) = FileName::parse(&text) {
                let mut parts = Path::new(name.as_str()).components();
                prop_assert!(matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none());
            }
            if let Ok(path) = RepoPath::parse(&text) {
                prop_assert!(Path::new(path.as_str()).components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(FileName::parse(path.file_name().as_str()).is_ok());
            }
        }
    }
}
