//! Where a file comes from: a hub, or somebody else who has it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use reqwest::Url;

use super::super::hub::{Hub, HubFile, Opened};
use super::super::names::{FileName, Sha256};
use super::super::web::{Body, HubError, Patience};

/// Most files that are read of what somebody offers.
const MAX_OFFERED: usize = 64;

/// A file that somebody has, as they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name there.
    pub name: FileName,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Its hash.
    pub sha256: Sha256,
}

/// Why somebody does not give a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// They cannot be reached; a moment later they may be.
    #[error("{0}")]
    Away(String),
    /// They do not have it.
    #[error("It is not there.")]
    Missing,
    /// They do not give it, for this reason, as a sentence.
    #[error("{0}")]
    Refused(String),
    /// They answer, but not as holders do; what came instead.
    #[error("{0}")]
    Nonsense(String),
}

/// Bytes of a file on their way; an error says why there are no more.
pub type HeldBytes = BoxStream<'static, Result<Bytes, String>>;

/// Somebody else who has the files of one download. Nothing they say is believed: names, sizes and hashes are held
/// against what the catalogue or the hub says, and what they send is verified like anything else.
pub trait Holder: fmt::Debug + Send + Sync {
    /// What people know them by.
    fn name(&self) -> &str;

    /// The files they have.
    fn files(&self) -> BoxFuture<'_, Result<Vec<Offered>, HolderError>>;

    /// The bytes `from..to` of a file.
    fn open<'a>(&'a self, file: &'a FileName, from: u64, to: u64) -> BoxFuture<'a, Result<HeldBytes, HolderError>>;
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Hub(Hub),
    Holder { holder: Arc<dyn Holder>, patience: Patience },
}

/// Where a source has a file.
#[derive(Debug, Clone)]
pub(super) enum At {
    Url(Url),
    Named(FileName),
}

/// What a source says of a file.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<Sha256>,
    pub(super) at: At,
}

impl Source {
    /// What people know it by.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Hub(hub) => hub.host(),
            Self::Holder { holder, .. } => holder.name().to_owned(),
        }
    }

    /// Whose name is told with the progress; none for the hub.
    pub(super) fn holder(&self) -> Option<String> {
        match self {
            Self::Hub(_) => None,
            Self::Holder { holder, .. } => Some(holder.name().to_owned()),
        }
    }

    /// Asks what a file is, without fetching it.
    pub(super) async fn ask(&self, file: &HubFile) -> Result<Said, HubError> {
        let (holder, patience) = match self {
            Self::Hub(hub) => {
                let told = hub.ask(file).await?;
                return Ok(Said { size: told.size, sha256: told.sha256, at: At::Url(told.url) });
            }
            Self::Holder { holder, patience } => (holder, patience),
        };
        let late = |_| HubError::Silent { host: self.host(), after: patience.head };
        let offered = tokio::time::timeout(patience.head, holder.files()).await.map_err(late)?;
        let name = file.path.file_name();
        let offered = offered.map_err(|error| self.error(error, &name))?;
        let found = offered.into_iter().take(MAX_OFFERED).find(|offered| offered.name == name);
        let found = found.ok_or_else(|| HubError::NotFound { host: self.host(), what: name.to_string() })?;
        Ok(Said { size: Some(found.size_bytes), sha256: Some(found.sha256), at: At::Named(name) })
    }

    /// Opens `from..to` of a file.
    pub(super) async fn open(
        &self,
        at: &At,
        (from, to): (u64, u64),
        size: u64,
        validator: Option<&str>,
    ) -> Result<Opened, HubError> {
        match (self, at) {
            (Self::Hub(hub), At::Url(url)) => hub.open(url, from, to, size, validator).await,
            (Self::Holder { holder, patience }, At::Named(name)) => {
                let late = |_| HubError::Silent { host: self.host(), after: patience.head };
                let opened = tokio::time::timeout(patience.head, holder.open(name, from, to)).await.map_err(late)?;
                let pieces = opened.map_err(|error| self.error(error, name))?;
                Ok(Opened { ranged: true, validator: None, body: Body::of(pieces.boxed(), self.host(), *patience) })
            }
            // Each source is asked about its own places only.
            (Self::Hub(_), At::Named(name)) => Err(HubError::NotFound { host: self.host(), what: name.to_string() }),
            (Self::Holder { .. }, At::Url(url)) => Err(HubError::NotFound { host: self.host(), what: url.to_string() }),
        }
    }

    fn error(&self, error: HolderError, file: &FileName) -> HubError {
        match error {
            HolderError::Missing => HubError::NotFound { host: self.host(), what: file.to_string() },
            HolderError::Nonsense(what) => HubError::Nonsense { host: self.host(), what },
            HolderError::Away(cause) => HubError::BrokeOff { host: self.host(), cause },
            HolderError::Refused(reason) => HubError::Refused { host: self.host(), reason },
        }
    }
}
