//! Model files that members of the network may copy from this device: those of the catalogue whose hash is known.
//!
//! A hash is written down when a download ends. Other files of the catalogue (put here by hand, imported) are read once
//! when they are first asked for; what is written down is good as long as size and time of the file stay.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use myownmesh_compute::library::{FileName, Finished, GgufSummary, Sha256, hash_file};
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Catalogues;
use super::shelf;
use crate::store::{Store, StoreError};

/// Files that are sent at once, to all members together.
const AT_ONCE: usize = 8;

/// A file as it is offered: `GET /mesh/v1/models/VARIANT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LentFile {
    /// Its name.
    pub(crate) name: FileName,
    /// Its size, in bytes.
    pub(crate) size: u64,
    /// Its hash.
    pub(crate) sha256: Sha256,
}

/// Why a file is not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LentError {
    /// The variant is not here, or not all of it.
    #[error("This device does not have that model. Get it from the hub, or from another device.")]
    NotHere,
    /// It is not what it is called.
    #[error("What this device has under that name is no sound model. Get it from the hub, or from another device.")]
    Unsound,
    /// Too many are being sent.
    #[error("This device sends as many model files as it can at once. Try again in a moment.")]
    Busy,
    /// The disk failed.
    #[error("This device cannot read that model. Get it from the hub, or from another device.")]
    Disk(#[from] io::Error),
    /// The database failed.
    #[error("This device cannot look up that model. Get it from the hub, or from another device.")]
    Store(#[from] StoreError),
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Lent {
    folder: PathBuf,
    store: Store,
    catalogues: Catalogues,
    /// Lets one file be hashed at a time.
    hashing: Arc<Semaphore>,
    sending: Arc<Semaphore>,
    stop: CancellationToken,
}

/// A file that is being sent.
pub(crate) struct Sending {
    /// It, open.
    pub(crate) file: std::fs::File,
    /// Its size, in bytes.
    pub(crate) size: u64,
    /// Its hash.
    pub(crate) sha256: Sha256,
    /// Held until it is sent.
    #[expect(dead_code, reason = "held to be dropped")]
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    size: u64,
    modified_ms: i64,
}

impl State {
    fn of(data: &std::fs::Metadata) -> Self {
        let since = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Self { size: data.len(), modified_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
    }
}

impl Lent {
    /// Those of `folder`.
    pub(crate) fn new(folder: PathBuf, store: Store, catalogues: Catalogues, stop: CancellationToken) -> Self {
        let (hashing, sending) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(AT_ONCE)));
        Self { folder, store, catalogues, hashing, sending, stop }
    }

    /// The files of a variant, when all of them are here. One whose hash is not known is read for it, once.
    pub(crate) async fn files(&self, variant: &str) -> Result<Vec<LentFile>, LentError> {
        let mut files = Vec::new();
        for name in self.names(variant).ok_or(LentError::NotHere)? {
            let path = self.folder.join(name.as_str());
            let state = look(&path).await?;
            let sha256 = match self.known(&name, state).await? {
                Some(sha256) => sha256,
                None => self.learn(&name, &path, state).await?,
            };
            files.push(LentFile { name, size: state.size, sha256 });
        }
        Ok(files)
    }

    /// Opens a file of a variant, to be sent.
    pub(crate) async fn open(&self, variant: &str, file: &str) -> Result<Sending, LentError> {
        let permit = Arc::clone(&self.sending).try_acquire_owned().map_err(|_| LentError::Busy)?;
        // It is looked for among the names of the catalogue, so what was asked for never becomes a path.
        let name = self.names(variant).into_iter().flatten().find(|name| name.as_str() == file);
        let name = name.ok_or(LentError::NotHere)?;
        let path = self.folder.join(name.as_str());
        let opened = blocking(move || {
            let file = std::fs::File::open(&path)?;
            let data = file.metadata()?;
            if data.is_file() { Ok((file, State::of(&data))) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
        });
        let (file, state) = opened.await.map_err(missing)?;
        // Whoever was told another hash asks again.
        let sha256 = self.known(&name, state).await?.ok_or(LentError::NotHere)?;
        Ok(Sending { file, size: state.size, sha256, permit })
    }

    /// Writes down the hashes of files that were verified.
    pub(crate) async fn verified(&self, files: &[Finished]) {
        for file in files {
            let name = file.path.file_name().and_then(|name| FileName::parse(name.to_str()?).ok());
            let written = match (name, look(&file.path).await) {
                (Some(name), Ok(state)) => self.write(&name, state, &file.sha256).await.map_err(LentError::from),
                (_, Err(error)) => Err(error),
                (None, Ok(_)) => Ok(()),
            };
            if let Err(error) = written {
                tracing::warn!(%error, file = %file.path.display(), "its hash was not written down");
            }
        }
    }

    /// The files of a variant of the catalogue.
    fn names(&self, variant: &str) -> Option<Vec<FileName>> {
        let families = self.catalogues.families();
        let found = shelf::variant(&families, variant)?;
        Some(found.files.iter().map(|file| file.name.file_name()).collect())
    }

    async fn known(&self, name: &FileName, state: State) -> Result<Option<Sha256>, StoreError> {
        let name = name.to_string();
        let found = self
            .store
            .call(move |connection| {
                let sql = "SELECT sha256 FROM model_hashes WHERE name = ?1 AND size = ?2 AND modified_ms = ?3";
                let size = i64::try_from(state.size).unwrap_or(i64::MAX);
                let values = params![name, size, state.modified_ms];
                Ok(connection.query_row(sql, values, |row| row.get::<_, String>(0)).optional()?)
            })
            .await?;
        Ok(found.and_then(|text| Sha256::parse(&text).ok()))
    }

    async fn write(&self, name: &FileName, state: State, sha256: &Sha256) -> Result<(), StoreError> {
        let (name, sha256) = (name.to_string(), sha256.to_string());
        let write = move |connection: &mut rusqlite::Connection| {
            let sql = "INSERT OR REPLACE INTO model_hashes (name, size, modified_ms, sha256) VALUES (?1, ?2, ?3, ?4)";
            let size = i64::try_from(state.size).unwrap_or(i64::MAX);
            Ok(connection.execute(sql, params![name, size, state.modified_ms, sha256])?)
        };
        self.store.call(write).await.map(drop)
    }

    /// Reads a file for its hash. The work goes on when nobody waits for it any more: the next one finds it done.
    async fn learn(&self, name: &FileName, path: &Path, state: State) -> Result<Sha256, LentError> {
        let (lent, name, path) = (self.clone(), name.clone(), path.to_owned());
        let work = tokio::spawn(async move {
            // Closed never.
            let _turn = lent.hashing.acquire().await;
            if let Some(sha256) = lent.known(&name, state).await? {
                return Ok(sha256);
            }
            let stop = lent.stop.clone();
            let read = blocking(move || {
                if name_is_gguf(&path) && GgufSummary::check(&path).is_err() {
                    return Ok(None);
                }
                let sha256 = hash_file(&path, &stop)?;
                // What changed while it was read has another hash.
                let same = State::of(&std::fs::metadata(&path)?) == state;
                Ok(sha256.filter(|_| same))
            });
            let sha256 = read.await?.ok_or(LentError::Unsound)?;
            lent.write(&name, state, &sha256).await?;
            Ok(sha256)
        });
        work.await.map_err(|error| LentError::Disk(io::Error::other(error)))?
    }
}

fn name_is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

async fn look(path: &Path) -> Result<State, LentError> {
    let data = tokio::fs::metadata(path).await.map_err(missing)?;
    if data.is_file() { Ok(State::of(&data)) } else { Err(LentError::NotHere) }
}

fn missing(error: io::Error) -> LentError {
    if error.kind() == io::ErrorKind::NotFound { LentError::NotHere } else { LentError::Disk(error) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIANT: &str = "qwen3-0.6b-q8_0";
    const FILE: &str = "Qwen3-0.6B-Q8_0.gguf";

    async fn lent() -> (tempfile::TempDir, Lent) {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let catalogues = Catalogues::start(store.clone(), folder.path().join("catalogues")).await.expect("started");
        let lent = Lent::new(folder.path().to_owned(), store, catalogues, CancellationToken::new());
        (folder, lent)
    }

    #[tokio::test]
    async fn a_file_of_the_catalogue_is_lent_as_it_is_now() {
        let (folder, lent) = lent().await;
        assert!(matches!(lent.files(VARIANT).await, Err(LentError::NotHere)));
        let chain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compute/fixtures/chain.gguf");
        let at = folder.path().join(FILE);
        std::fs::copy(&chain, &at).expect("copied");
        assert!(matches!(lent.open(VARIANT, FILE).await, Err(LentError::NotHere)), "its hash is not known");
        let files = lent.files(VARIANT).await.expect("it is here");
        let hash = hash_file(&chain, &CancellationToken::new()).expect("read").expect("not stopped");
        assert_eq!((files.len(), files[0].name.as_str(), &files[0].sha256), (1, FILE, &hash));
        let sending = lent.open(VARIANT, FILE).await.expect("it is known");
        assert_eq!((sending.size, &sending.sha256), (files[0].size, &hash));
        // A changed file is another one.
        let mut bytes = std::fs::read(&chain).expect("read");
        bytes.push(0);
        std::fs::write(&at, bytes).expect("written");
        assert!(matches!(lent.open(VARIANT, FILE).await, Err(LentError::NotHere)));
        assert_ne!(lent.files(VARIANT).await.expect("it is here")[0].sha256, hash);
        std::fs::write(&at, "this is no model").expect("written");
        assert!(matches!(lent.files(VARIANT).await, Err(LentError::Unsound)));
    }

    #[tokio::test]
    async fn nothing_but_the_catalogue_s_files_is_lent() {
        let (folder, lent) = lent().await;
        std::fs::write(folder.path().join("private.gguf"), "mine").expect("written");
        for (variant, file) in [
            (VARIANT, "private.gguf"),
            (VARIANT, "../device.sqlite"),
            (VARIANT, "device.sqlite"),
            (VARIANT, "/etc/hostname"),
            (VARIANT, ""),
            ("private", "private.gguf"),
            ("..", "device.sqlite"),
            ("", FILE),
        ] {
            assert!(matches!(lent.open(variant, file).await, Err(LentError::NotHere)), "{variant} {file}");
        }
        let mut held = Vec::new();
        let chain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compute/fixtures/chain.gguf");
        std::fs::copy(chain, folder.path().join(FILE)).expect("copied");
        lent.files(VARIANT).await.expect("it is here");
        for _ in 0..AT_ONCE {
            held.push(lent.open(VARIANT, FILE).await.expect("there is room"));
        }
        assert!(matches!(lent.open(VARIANT, FILE).await, Err(LentError::Busy)));
        held.pop();
        lent.open(VARIANT, FILE).await.expect("there is room again");
    }
}
