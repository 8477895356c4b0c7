//! Keeps a text that a person exports in their downloads folder. The window itself never touches the disk.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Largest text that is kept, in bytes: every activity there can be, several times over.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Longest file name, in characters, before a number is added.
const MAX_NAME: usize = 100;
/// How many files of one name are kept side by side.
const MAX_COPIES: u32 = 999;

/// Writes `text` to a new file in `folder` and returns its path. Never overwrites: a name that is taken gets a number.
pub fn keep(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let name = file_name(name);
    let (stem, ending) = name.rsplit_once('.').map_or((name.as_str(), String::new()), |(a, b)| (a, format!(".{b}")));
    for copy in 1..=MAX_COPIES {
        let number = if copy == 1 { String::new() } else { format!(" ({copy})") };
        let path = folder.join(format!("{stem}{number}{ending}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many files of this name"))
}

/// A plain file name: no folders, nothing hidden, no characters that a system refuses.
fn file_name(text: &str) -> String {
    let plain = |c: char| if c.is_control() || r#"\/:*?"<>|"#.contains(c) { '-' } else { c };
    let name: String = text.chars().map(plain).take(MAX_NAME).collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if name.is_empty() { "export.txt".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("Downloads");
        let first = keep(&below, "home-activity.json", "one").unwrap();
        let second = keep(&below, "home-activity.json", "two").unwrap();
        assert_eq!(second.file_name().unwrap(), "home-activity (2).json");
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one");
        assert_eq!(std::fs::read_to_string(second).unwrap(), "two");
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        for (name, expected) in [
            ("../../etc/passwd", "-..-etc-passwd"),
            ("/etc/passwd", "-etc-passwd"),
            (".bashrc", "bashrc"),
            ("...", "export.txt"),
            ("", "export.txt"),
            ("a\u{0}b\nc.txt", "a-b-c.txt"),
        ] {
            assert_eq!(file_name(name), expected);
        }
        assert_eq!(file_name(&"x".repeat(500)).len(), MAX_NAME);
    }
}
