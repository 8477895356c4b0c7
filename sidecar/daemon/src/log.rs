//! The log: to standard error, and to `logs/daemon.log` of the home, which never grows beyond two files of 4 MiB.
//!
//! `MYOWNMESH_LOG` sets what is logged, for example `debug` or `info,myownmesh_mesh=trace`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::files::{open_private, sibling};

/// Size at which a log file is put aside, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// What is logged when nobody says: our own news, and only trouble of the libraries.
const DEFAULT: &str = "warn,myownmesh=info,myownmesh_mesh=info,myownmesh_compute=info,compute=info";

/// Begins logging. A process that already logs (a test, say) is left as it is.
pub(crate) fn start(folder: &Path) {
    let filter = std::env::var("MYOWNMESH_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let file = LogFile::open(folder.join("daemon.log")).map(Mutex::new);
    let told = file.as_ref().err().map(ToString::to_string);
    let to_file = file.ok().map(|file| tracing_subscriber::fmt::layer().with_ansi(false).with_writer(file));
    let to_person = tracing_subscriber::fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    let begun = tracing_subscriber::registry().with(filter).with(to_person).with(to_file).try_init();
    if let (Ok(()), Some(cause)) = (begun, told) {
        tracing::warn!(cause, "the log file cannot be written; the log goes to standard error alone");
    }
}

struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = open_private(OpenOptions::new().create(true).append(true), &path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, file, written })
    }

    fn turn(&mut self) -> io::Result<()> {
        fs::rename(&self.path, sibling(&self.path, "1"))?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written >= MAX_BYTES {
            self.turn()?;
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("daemon.log");
        let mut log = LogFile::open(path.clone()).expect("opened");
        let line = [b'x'; 1024 * 1024];
        for _ in 0..11 {
            log.write_all(&line).expect("written");
        }
        let total: u64 =
            fs::read_dir(folder.path()).expect("list").map(|e| e.expect("entry").metadata().expect("size").len()).sum();
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 2);
        assert!(total <= 2 * MAX_BYTES, "{total}");
    }
}
