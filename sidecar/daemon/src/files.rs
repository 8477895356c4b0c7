//! Files and folders that only this user may read, and writes that a crash cannot tear.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::platform;
use crate::text::{now_ms, random_id};

/// Makes a folder (and those above it) that only this user can enter, and tightens it when it is there already.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    platform::create_private_dir(path)?;
    platform::make_private_dir(path)
}

/// Replaces a file in one step: readers see the old content or the new one, also after a crash. Mode 0600.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("the file has no folder"))?;
    let temporary = sibling(path, &format!("new-{}", random_id()));
    let written = write_new(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: the cause is what matters to the caller.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    platform::sync_dir(folder)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open_private(OpenOptions::new().write(true).create_new(true), path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Opens with `options`; a file that this makes has mode 0600.
pub(crate) fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    platform::private_file(options).open(path)
}

/// Renames a damaged file to `NAME.broken-<time>` beside itself, so that nothing of it is lost. Returns its new path.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = sibling(path, &format!("broken-{}", now_ms()));
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// `path` with `.suffix` appended to its name.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        write_private(&path, b"one").expect("first");
        write_private(&path, b"two").expect("second");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn setting_aside_keeps_the_content() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.toml");
        fs::write(&path, "broken").expect("write");
        let aside = set_aside(&path).expect("aside");
        assert!(!path.exists());
        assert_eq!(fs::read_to_string(&aside).expect("read"), "broken");
        assert!(aside.to_string_lossy().contains("config.toml.broken-"));
    }
}
