//! Downloads from a hub, or from somebody else who has the files: several ranges at once, resumable after anything, verified before a file gets its name.
//!
//! [`Downloads`] starts them; each runs in a task of its own (`task`) that fetches (`fetch`) into a part file beside the
//! target (`part`), from which another process can go on. A file appears under its final name only when its SHA-256 is
//! what the catalogue or the hub named, and a GGUF only when its head is sound.

mod error;
mod fetch;
mod pace;
mod part;
mod source;
mod task;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::hub::{Hub, HubFile, HubUrl};
use super::names::{FileName, Sha256};
use super::web::Patience;
use crate::Secret;

pub use error::DownloadError;
pub use part::Unfinished;
pub use source::{HeldBytes, Holder, HolderError, Offered};

pub use task::hash_file;

use source::Source;
use task::Task;

/// How downloads are done.
#[derive(Debug, Clone)]
pub struct DownloadConfig {
    /// Where files go; made when it is needed.
    pub folder: PathBuf,
    /// Where they come from.
    pub hub: HubUrl,
    /// What the hub knows this person by.
    pub key: Option<Secret>,
    /// Downloads that run at once; more wait.
    pub at_once: usize,
    /// Requests at once for one file.
    pub connections: usize,
    /// Largest file that is fetched, in bytes.
    pub max_file_bytes: u64,
    /// What is left free on the disk, in bytes.
    pub keep_free_bytes: u64,
}

impl DownloadConfig {
    /// The usual, into `folder`.
    pub fn new(folder: impl Into<PathBuf>, hub: HubUrl) -> Self {
        Self {
            folder: folder.into(),
            hub,
            key: None,
            at_once: 2,
            connections: 4,
            max_file_bytes: 1 << 40,
            keep_free_bytes: 1 << 30,
        }
    }
}

/// Times and sizes that tests shorten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// How long the hub may be silent.
    pub(super) patience: Patience,
    /// Bytes of a chunk: what is fetched again at most, per connection, after a kill.
    pub(super) chunk: u64,
    /// The first pause after something went wrong; it doubles.
    pub(super) pause: Duration,
    /// Things that go wrong in a row, without a chunk that arrives, until it is given up.
    pub(super) failures: u32,
    /// How often it is written down what has arrived.
    pub(super) save: Duration,
    /// The same number as long as there is another source to turn to.
    pub(super) failures_before_next: u32,
    /// How long the hub may take to vouch for a file that somebody else has.
    pub(super) vouch: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            patience: Patience::default(),
            chunk: 8 << 20,
            pause: Duration::from_millis(500),
            failures: 6,
            save: Duration::from_secs(1),
            failures_before_next: 2,
            vouch: Duration::from_secs(5),
        }
    }
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub state: DownloadState,
    /// Bytes that are here, of all its files.
    pub bytes: u64,
    /// All bytes, once the hub has told.
    pub total: Option<u64>,
    /// Bytes a second lately; 0 when nothing arrives.
    pub rate: u64,
    /// Who it comes from; none for the hub.
    pub source: Option<String>,
}

/// What a download is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadState {
    /// Waiting for others to end.
    Queued,
    /// Asking the hub what the files are.
    Asking,
    /// Fetching.
    Downloading,
    /// Reading what has arrived, to compare its hash.
    Verifying,
    /// Stopped by a person or by the end of the process; it can go on.
    Paused,
    /// All files are here.
    Done(Vec<Finished>),
    /// It cannot go on by itself; [`Download::resume`] tries again with what is here.
    Failed(DownloadError),
    /// Given up; what had arrived is deleted.
    Cancelled,
}

impl DownloadState {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Cancelled)
    }

    /// Whether it waits for a person.
    pub fn is_idle(&self) -> bool {
        self.is_over() || matches!(self, Self::Paused | Self::Failed(_))
    }
}

/// A file that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its path on this disk.
    pub path: PathBuf,
    /// Its hash, as it was verified.
    pub sha256: Sha256,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Whether somebody else than who sent it says that this is its hash: the catalogue or the hub.
    pub vouched: bool,
}

/// What a person may ask of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Pause,
    Resume,
    Cancel,
}

/// One download. Clones are the same; it goes on when all of them are dropped.
#[derive(Debug, Clone)]
pub struct Download {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
}

impl Download {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// A receiver that changes with it, some times a second.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Stops it; what has arrived stays. Does nothing to one that is over.
    pub async fn pause(&self) {
        self.tell(Command::Pause).await;
    }

    /// Lets it go on, or try again after a failure.
    pub async fn resume(&self) {
        self.tell(Command::Resume).await;
    }

    /// Gives it up and deletes what has arrived.
    pub async fn cancel(&self) {
        self.tell(Command::Cancel).await;
    }

    /// Waits until it is over, failed or paused.
    pub async fn idle(&self) -> Progress {
        let mut progress = self.progress.clone();
        match progress.wait_for(|progress| progress.state.is_idle()).await {
            Ok(progress) => progress.clone(),
            // Its task has ended, and with the last state.
            Err(_) => self.progress(),
        }
    }

    async fn tell(&self, command: Command) {
        // One that is over listens no more.
        let _ = self.commands.send(command).await;
    }
}

/// Starts downloads into one folder. Clones share them.
#[derive(Debug, Clone)]
pub struct Downloads {
    config: Arc<DownloadConfig>,
    tuning: Tuning,
    hub: Hub,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Downloads {
    /// Begins with none.
    pub fn new(config: DownloadConfig) -> Self {
        Self::tuned(config, Tuning::default())
    }

    pub(crate) fn tuned(config: DownloadConfig, tuning: Tuning) -> Self {
        let hub = Hub::new(config.hub.clone(), config.key.clone(), tuning.patience);
        let slots = Arc::new(Semaphore::new(config.at_once.max(1)));
        Self { config: Arc::new(config), tuning, hub, slots, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Starts to download `files`, which belong together: all are here at the end, or it fails.
    ///
    /// # Errors
    /// [`DownloadError::Nothing`]; [`DownloadError::SameName`] when two of them would have one name here;
    /// [`DownloadError::OddName`].
    pub fn start(&self, files: Vec<HubFile>) -> Result<Download, DownloadError> {
        self.start_from(files, Vec::new(), true)
    }

    /// The same from these holders, one after the other, and at last from the hub, if that may be asked: who does not give
    /// all of it, or something else, is followed by the next, which goes on from what has arrived.
    ///
    /// # Errors
    /// As [`start`](Self::start); [`DownloadError::Nothing`] without any source as well.
    pub fn start_from(
        &self,
        files: Vec<HubFile>,
        holders: Vec<Arc<dyn Holder>>,
        hub: bool,
    ) -> Result<Download, DownloadError> {
        let mut names: Vec<FileName> = files.iter().map(|file| file.path.file_name()).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(DownloadError::SameName { file: twice[0].clone() });
        }
        if let Some(odd) = names.iter().find(|name| !part::is_free_name(name)) {
            return Err(DownloadError::OddName { file: odd.clone() });
        }
        let patience = self.tuning.patience;
        let holders = holders.into_iter().map(|holder| Source::Holder { holder, patience });
        let sources: Vec<Source> = holders.chain(hub.then(|| Source::Hub(self.hub.clone()))).collect();
        if files.is_empty() || sources.is_empty() {
            return Err(DownloadError::Nothing);
        }
        let (commands, inbox) = mpsc::channel(8);
        let start = Progress { state: DownloadState::Queued, bytes: 0, total: None, rate: 0, source: None };
        let (publish, progress) = watch::channel(start);
        let span = tracing::info_span!("download", file = %files[0].path);
        let task = Task::new(self, (files, sources), publish, inbox);
        self.tasks.spawn(task.run().instrument(span));
        Ok(Download { commands, progress })
    }

    /// What an earlier process left behind: each can be started again, and goes on where it was. Blocks.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        part::unfinished(&self.config.folder)
    }

    /// Stops all, writes down what has arrived, and returns when that is done.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
