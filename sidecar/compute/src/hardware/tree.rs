//! Bounded reading of `/sys` and `/proc`, below a root that tests choose.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Longest attribute that is read, in bytes; they hold a line or a page.
const MAX_TEXT: u64 = 16 << 10;
/// Most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 512;

/// A machine's files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'a> {
    root: &'a Path,
}

impl<'a> Tree<'a> {
    /// The files below `root`.
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// The text of a file, without white space around it; its first part when it is long.
    pub(super) fn text(self, path: &str) -> Option<String> {
        self.text_up_to(path, MAX_TEXT)
    }

    /// The same, with a limit of the caller's.
    pub(super) fn text_up_to(self, path: &str, limit: u64) -> Option<String> {
        let path = self.root.join(path);
        // A pipe or a device could make us wait for ever.
        path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let mut bytes = Vec::new();
        // Drivers answer some of their files with an error; then they do not tell.
        File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that holds one whole number that is not negative.
    pub(super) fn number(self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A file that holds a hexadecimal number of 16 bits, as `0x10de`.
    pub(super) fn hex(self, path: &str) -> Option<u16> {
        u16::from_str_radix(self.text(path)?.trim_start_matches("0x"), 16).ok()
    }

    /// The value of `key` in a file of lines as `KEY=value`.
    pub(super) fn property(self, path: &str, key: &str) -> Option<String> {
        let text = self.text(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim().to_owned())
    }

    /// Names in a folder, sorted.
    pub(super) fn names(self, folder: &str) -> Vec<String> {
        let entries = self.root.join(folder).read_dir().into_iter().flatten().take(MAX_ENTRIES);
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}
