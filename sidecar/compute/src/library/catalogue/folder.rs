//! Catalogues from elsewhere, kept in a folder: each is used until its own time to live is over, and beyond that when
//! its address cannot be reached.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Catalogue, CatalogueError, CatalogueUrl, MAX_DOCUMENT};
use crate::platform;

/// Milliseconds in an hour.
const HOUR: i64 = 3_600_000;

/// A folder of catalogues.
#[derive(Debug, Clone)]
pub struct CatalogueFolder {
    folder: PathBuf,
}

/// A catalogue that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// Whether it is time to read it from its address again.
    pub due: bool,
    /// When it was read, in milliseconds since the Unix epoch.
    pub fetched_at: i64,
    /// Until when it lives.
    pub due_at: i64,
    /// What its server calls this state of it.
    pub tag: Option<String>,
}

/// The form of a file.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: CatalogueUrl,
    /// Milliseconds since the Unix epoch.
    fetched_at: i64,
    #[serde(default)]
    tag: Option<String>,
    text: String,
}

impl CatalogueFolder {
    /// Keeps them in `folder`, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The catalogue of an address, if it is kept; `now` in milliseconds since the Unix epoch. One that cannot be read
    /// any more is not there. Blocks.
    pub fn get(&self, url: &CatalogueUrl, now: i64) -> Option<Stored> {
        let path = self.path(url);
        // What is written around the text is small; a larger file is not ours.
        let size = path.metadata().ok()?.len();
        if size > 2 * MAX_DOCUMENT as u64 {
            return None;
        }
        let kept: Kept = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let catalogue = Catalogue::parse(&kept.text).ok().filter(|_| kept.url == *url)?;
        let lives_until = kept.fetched_at.saturating_add(i64::from(catalogue.ttl_hours) * HOUR);
        // A clock that was set back must not keep a catalogue for ever.
        let due = now >= lives_until || now < kept.fetched_at;
        Some(Stored { catalogue, due, fetched_at: kept.fetched_at, due_at: lives_until, tag: kept.tag })
    }

    /// Keeps what an address gave, if it is a catalogue. Blocks.
    ///
    /// # Errors
    /// Why it is none; [`CatalogueError::Folder`].
    pub fn put(
        &self,
        url: &CatalogueUrl,
        text: &str,
        tag: Option<&str>,
        now: i64,
    ) -> Result<Catalogue, CatalogueError> {
        let catalogue = Catalogue::parse(text)?;
        let kept = Kept { url: url.clone(), fetched_at: now, tag: tag.map(str::to_owned), text: text.to_owned() };
        self.write(url, &kept)?;
        Ok(catalogue)
    }

    /// What is kept of an address is still what it has. Blocks.
    ///
    /// # Errors
    /// [`CatalogueError::Folder`].
    pub fn renew(&self, url: &CatalogueUrl, now: i64) -> Result<(), CatalogueError> {
        let failed = |error: io::Error| CatalogueError::Folder {
            folder: self.folder.display().to_string(),
            cause: error.to_string(),
        };
        let bytes = fs::read(self.path(url)).map_err(failed)?;
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        self.write(url, &Kept { fetched_at: now, ..kept })
    }

    fn write(&self, url: &CatalogueUrl, kept: &Kept) -> Result<(), CatalogueError> {
        let written = serde_json::to_vec(kept).map_err(io::Error::from).and_then(|bytes| {
            fs::create_dir_all(&self.folder)?;
            platform::replace_file(&self.path(url), &bytes)
        });
        written.map_err(|error| CatalogueError::Folder {
            folder: self.folder.display().to_string(),
            cause: error.to_string(),
        })
    }

    fn path(&self, url: &CatalogueUrl) -> PathBuf {
        // An address is too long for a file name, and means something to paths.
        Path::new(&self.folder).join(format!("{:x}.json", Sha256::digest(url.to_string())))
    }
}
