//! The device's database: opened, checked, migrated, and owned by one thread.
//!
//! [`Store`] is a handle; work is sent to the thread as closures over its connection, so SQLite never blocks the
//! runtime and every statement sequence runs undisturbed. A damaged file is set aside with a warning, never overwritten.
//! The mesh gets a connection of its own to the same file ([`connect`]).

mod later;
mod schema;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::later::{Later, Rows};
use crate::files::open_private;
use crate::text::now_ms;

/// Work that may wait for the thread.
const INBOX: usize = 256;

/// How long a statement waits for the other connection's transaction.
const BUSY: Duration = Duration::from_secs(5);

/// Why the database failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It cannot be opened or written at all.
    #[error("The database {} cannot be used: {cause}. Check that this user may write there and that the disk is not full.", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// As SQLite or the system words it.
        cause: String,
    },
    /// A newer version of the app wrote it.
    #[error(
        "The database was written by a newer version of the app (schema {found}, this one knows {known}). Update this one."
    )]
    TooNew {
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A statement failed.
    #[error("The database failed: {0}. Check the disk; nothing was changed.")]
    Sql(#[from] rusqlite::Error),
    /// The daemon is ending.
    #[error("The daemon is shutting down. Try again when it is back.")]
    Closed,
}

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the database; clones share it. The thread ends, and the file is closed, with the last one.
#[derive(Clone)]
pub(crate) struct Store {
    inbox: mpsc::Sender<Work>,
}

impl Store {
    /// Opens the database at `path`, making it if needed. Gives sentences to warn a person with.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let mut warnings = Vec::new();
        let mut connection = match prepare(path) {
            Ok(connection) => connection,
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::Damaged(reason)) => {
                warnings.push(replace(path, &reason)?);
                prepare(path).map_err(|trouble| trouble.into_error(path))?
            }
        };
        let (inbox, mut work) = mpsc::channel::<Work>(INBOX);
        let thread = std::thread::Builder::new().name("store".to_owned());
        let spawned = thread.spawn(move || {
            while let Some(work) = work.blocking_recv() {
                work(&mut connection);
            }
        });
        spawned.map_err(|error| unusable(path, &error))?;
        Ok((Self { inbox }, warnings))
    }

    /// Moves everything into the main file, so that it is complete by itself. For the end of the daemon.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        self.call(|connection| Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)).await
    }

    /// Runs `work` on the connection.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Who asked may be gone.
            let _ = reply.send(work(connection));
        });
        self.inbox.send(work).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// A connection with the settings every part of this process uses.
pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    configured(path).map_err(|error| unusable(path, &error))
}

fn configured(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

enum Trouble {
    /// The content is damaged: a new database can take its place.
    Damaged(String),
    /// Nothing can be done here.
    Fatal(StoreError),
}

impl Trouble {
    fn into_error(self, path: &Path) -> StoreError {
        match self {
            Self::Fatal(error) => error,
            Self::Damaged(reason) => StoreError::Unusable { path: path.to_path_buf(), cause: reason },
        }
    }

    fn of(path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Fatal(unusable(path, error)),
        }
    }
}

fn prepare(path: &Path) -> Result<Connection, Trouble> {
    // Made by us first, so that it has mode 0600; SQLite gives its side files the same.
    open_private(fs::OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
        .map_err(|cause| Trouble::Fatal(unusable(path, &cause)))?;
    let mut connection = configured(path).map_err(|error| Trouble::of(path, &error))?;
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| Trouble::of(path, &error))?;
    if verdict != "ok" {
        return Err(Trouble::Damaged(verdict));
    }
    match schema::migrate(&mut connection) {
        Ok(()) => Ok(connection),
        Err(StoreError::Sql(error)) => Err(Trouble::of(path, &error)),
        Err(error) => Err(Trouble::Fatal(error)),
    }
}

/// Moves a damaged database and its side files away; returns the sentence to warn with.
fn replace(path: &Path, reason: &str) -> Result<String, StoreError> {
    let stamp = now_ms();
    let aside = with_suffix(path, &format!(".broken-{stamp}"));
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(unusable(path, &cause)),
            _ => {}
        }
    }
    tracing::warn!(path = %path.display(), reason, "the database is damaged and was set aside");
    Ok(format!(
        "The database was damaged, so it was set aside as {} and a new one was made: networks and conversations on this device start empty.",
        aside.display()
    ))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text: OsString = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

fn unusable(path: &Path, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable { path: path.to_path_buf(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_in_order_and_answers() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, warnings) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        assert!(warnings.is_empty());
        let one: i64 = store.call(|c| Ok(c.query_row("SELECT 1", [], |row| row.get(0))?)).await.expect("answered");
        assert_eq!(one, 1);
        let failed = store.call(|c| Ok(c.execute("nonsense", [])?)).await;
        assert!(matches!(failed, Err(StoreError::Sql(_))));
    }

    #[tokio::test]
    async fn a_damaged_database_is_set_aside() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let garbage = b"this is no database, and long enough to be taken for one".repeat(40);
        fs::write(&path, &garbage).expect("written");
        let (store, warnings) = Store::open(&path).expect("a new one");
        assert!(warnings[0].contains(".broken-"), "{warnings:?}");
        store.call(|c| Ok(c.execute("DELETE FROM conversations", [])?)).await.expect("a working schema");
        let aside = fs::read_dir(folder.path())
            .expect("list")
            .map(|entry| entry.expect("entry").path())
            .find(|path| path.to_string_lossy().contains(".broken-"))
            .expect("kept");
        assert_eq!(fs::read(aside).expect("read"), garbage);
    }

    #[tokio::test]
    async fn a_settled_database_is_one_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (store, _) = Store::open(&path).expect("opened");
        store.settle().await.expect("settled");
        assert_eq!(fs::metadata(with_suffix(&path, "-wal")).map(|it| it.len()).unwrap_or_default(), 0);
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        drop(Store::open(&path).expect("opened"));
        Connection::open(&path).expect("open").pragma_update(None, "user_version", 999).expect("set");
        let error = Store::open(&path).err().expect("refused");
        assert!(matches!(error, StoreError::TooNew { found: 999, .. }), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        fs::create_dir(&path).expect("a folder in the way");
        assert!(matches!(Store::open(&path).err(), Some(StoreError::Unusable { .. })));
    }
}
