//! One download: waits for its turn, asks, fetches, verifies, and listens to its person meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sha2::Digest as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::super::hub::{Hub, HubFile};
use super::super::names::{FileName, Sha256};
use super::fetch::Fetch;
use super::pace::Pace;
use super::part::{Part, discard};
use super::source::{At, Said, Source};
use super::{Command, DownloadConfig, DownloadError, DownloadState, Downloads, Finished, Progress, Tuning};
use crate::Disk;
use crate::gguf::check::{GgufError, GgufSummary};

/// Bytes that are read at once to be hashed.
const BLOCK: usize = 1 << 20;

/// Why an attempt ended without the files.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody asked for it.
    Asked,
    /// It cannot go on.
    Error(DownloadError),
}

impl<E: Into<DownloadError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// The task.
pub(super) struct Task {
    config: Arc<DownloadConfig>,
    tuning: Tuning,
    hub: Hub,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    files: Vec<HubFile>,
    sources: Vec<Source>,
    progress: watch::Sender<Progress>,
    commands: mpsc::Receiver<Command>,
}

/// What an attempt works with; the task listens while it runs.
struct Attempt {
    config: Arc<DownloadConfig>,
    tuning: Tuning,
    hub: Hub,
    slots: Arc<Semaphore>,
    files: Vec<HubFile>,
    sources: Vec<Source>,
    report: Report,
    stop: CancellationToken,
}

impl Task {
    pub(super) fn new(
        downloads: &Downloads,
        (files, sources): (Vec<HubFile>, Vec<Source>),
        progress: watch::Sender<Progress>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        Self {
            config: Arc::clone(&downloads.config),
            tuning: downloads.tuning,
            hub: downloads.hub.clone(),
            slots: Arc::clone(&downloads.slots),
            stop: downloads.stop.clone(),
            files,
            sources,
            progress,
            commands,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let (result, asked) = self.attempt().await;
            let state = match result {
                Ok(finished) => DownloadState::Done(finished),
                Err(_) if asked == Some(Command::Cancel) => return self.cancelled().await,
                Err(Stop::Asked) => DownloadState::Paused,
                Err(Stop::Error(error)) => {
                    tracing::info!(%error, "a download stands still");
                    DownloadState::Failed(error)
                }
            };
            let over = state.is_over() || self.stop.is_cancelled();
            self.progress.send_modify(|progress| {
                progress.state = state;
                progress.rate = 0;
            });
            if over {
                return;
            }
            loop {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return,
                    command = self.commands.recv() => match command {
                        Some(Command::Resume) => break,
                        Some(Command::Cancel) => return self.cancelled().await,
                        // A failure stays one until somebody decides.
                        Some(Command::Pause) => {}
                        // Nobody can ask for anything any more; what is here stays.
                        None => return,
                    },
                }
            }
        }
    }

    /// Runs until it ends by itself or a command ends it; tells which.
    async fn attempt(&mut self) -> (Result<Vec<Finished>, Stop>, Option<Command>) {
        let stop = self.stop.child_token();
        let attempt = Attempt {
            config: Arc::clone(&self.config),
            tuning: self.tuning,
            hub: self.hub.clone(),
            slots: Arc::clone(&self.slots),
            files: self.files.clone(),
            sources: self.sources.clone(),
            report: Report::new(self.progress.clone()),
            stop: stop.clone(),
        };
        let mut attempt = Box::pin(attempt.run());
        let mut asked = None;
        let mut listening = true;
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv(), if listening => match command {
                    Some(Command::Resume) => {}
                    Some(command) => {
                        asked = Some(command);
                        stop.cancel();
                    }
                    None => listening = false,
                },
                result = &mut attempt => return (result, asked),
            }
        }
    }

    async fn cancelled(self) {
        let folder = self.config.folder.clone();
        let names: Vec<FileName> = self.files.iter().map(|file| file.path.file_name()).collect();
        let deleted = blocking(move || names.iter().try_for_each(|name| discard(&folder, name))).await;
        let state = match deleted.and_then(|result| result) {
            Ok(()) => DownloadState::Cancelled,
            Err(error) => {
                let path = self.config.folder.clone();
                DownloadState::Failed(DownloadError::Disk { path, cause: error.to_string() })
            }
        };
        self.progress.send_modify(|progress| {
            let (total, source) = (progress.total, progress.source.take());
            *progress = Progress { state, bytes: 0, total, rate: 0, source };
        });
    }
}

/// Where progress goes: the bytes of this file on top of those of the files before it.
#[derive(Clone)]
struct Report {
    progress: watch::Sender<Progress>,
    before: u64,
}

impl Report {
    fn new(progress: watch::Sender<Progress>) -> Self {
        Self { progress, before: 0 }
    }

    fn state(&self, state: DownloadState) {
        self.progress.send_modify(|progress| {
            progress.state = state;
            progress.rate = 0;
        });
    }

    fn bytes(&self, bytes: u64, rate: u64) {
        let bytes = self.before + bytes;
        self.progress.send_if_modified(|progress| {
            let changed = (progress.bytes, progress.rate) != (bytes, rate);
            (progress.bytes, progress.rate) = (bytes, rate);
            changed
        });
    }
}

/// The source of an attempt.
struct Supply {
    source: Source,
    /// Whether there is none after it.
    is_last: bool,
}

impl Supply {
    /// How often it may fail in a row.
    fn failures(&self, tuning: &Tuning) -> u32 {
        if self.is_last { tuning.failures } else { tuning.failures_before_next }
    }
}

/// The file that is meant, and where it is had.
struct Meant {
    size: u64,
    sha256: Sha256,
    at: At,
    /// Whether somebody else than the source says so.
    vouched: bool,
}

impl Attempt {
    async fn run(mut self) -> Result<Vec<Finished>, Stop> {
        self.report.state(DownloadState::Queued);
        let slots = Arc::clone(&self.slots);
        // Closed never, so an error is a stop as well.
        let Some(Ok(_slot)) = self.stop.run_until_cancelled(slots.acquire_owned()).await else {
            return Err(Stop::Asked);
        };
        let folder = self.config.folder.clone();
        let made = blocking(move || std::fs::create_dir_all(folder)).await.and_then(|made| made);
        made.map_err(|error| disk(&self.config.folder, &error))?;
        let sources = std::mem::take(&mut self.sources);
        let mut left = sources.len();
        for source in sources {
            left -= 1;
            let got = self.get_all(&Supply { source, is_last: left == 0 }).await;
            match got {
                Err(Stop::Error(error)) if left > 0 && error.is_of_source() => {
                    tracing::info!(%error, "the next source is asked");
                }
                got => return got,
            }
        }
        Err(DownloadError::Nothing.into())
    }

    /// Gets all files from one source.
    async fn get_all(&mut self, from: &Supply) -> Result<Vec<Finished>, Stop> {
        self.report.before = 0;
        self.report.progress.send_modify(|progress| progress.source = from.source.holder());
        self.report.state(DownloadState::Asking);
        let mut told = Vec::new();
        for file in &self.files {
            told.push(self.ask(file, from).await?);
        }
        let total = told.iter().map(|meant| meant.size).sum();
        self.report.progress.send_modify(|progress| progress.total = Some(total));

        let mut finished = Vec::new();
        let mut parts = Vec::new();
        for (file, meant) in self.files.clone().into_iter().zip(told) {
            let Meant { size, sha256, at, vouched } = meant;
            match self.is_here(&file, size, &sha256).await? {
                Some(path) => finished.push(Finished { path, sha256, size_bytes: size, vouched }),
                None => parts.push((self.open(&file, size, &sha256).await?, at, vouched)),
            }
        }
        self.report.before = finished.iter().map(|file| file.size_bytes).sum();
        self.check_room(&parts).await?;
        for (part, at, vouched) in parts {
            let size = part.size();
            let (path, sha256) = self.get(part, &at, from).await?;
            finished.push(Finished { path, sha256, size_bytes: size, vouched });
            self.report.before += size;
            self.report.bytes(0, 0);
        }
        Ok(finished)
    }

    /// Asks what a file is, more than once if need be, and holds it to the rules.
    async fn ask(&self, file: &HubFile, from: &Supply) -> Result<Meant, Stop> {
        let name = file.path.file_name();
        let mut failures = 0;
        let Said { size, sha256, at } = loop {
            let asked = self.stop.run_until_cancelled(from.source.ask(file)).await;
            match asked.ok_or(Stop::Asked)? {
                Ok(said) => break said,
                Err(error) if error.is_passing() && failures < from.failures(&self.tuning) => {
                    failures += 1;
                    let pause = self.tuning.pause.saturating_mul(1 << failures.min(6));
                    tracing::info!(%error, ?pause, "it is asked again");
                    self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.ok_or(Stop::Asked)?;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let host = from.source.host();
        let size = size.filter(|size| *size > 0);
        let size = size.ok_or_else(|| DownloadError::NoSize { host: host.clone(), file: name.clone() })?;
        let most = self.config.max_file_bytes;
        if size > most {
            return Err(DownloadError::TooLarge { file: name, bytes: size, most }.into());
        }
        let wanted = match (&file.sha256, &from.source) {
            (Some(wanted), _) => Some(wanted.clone()),
            (None, Source::Hub(_)) => None,
            (None, Source::Holder { .. }) => self.vouched(file).await?,
        };
        let vouched = wanted.is_some() || matches!(from.source, Source::Hub(_));
        match (wanted, sha256) {
            (Some(wanted), Some(said)) if wanted != said => Err(DownloadError::OtherHash { host, file: name }.into()),
            (Some(sha256), _) | (None, Some(sha256)) => Ok(Meant { size, sha256, at, vouched }),
            (None, None) => Err(DownloadError::NoHash { host, file: name }.into()),
        }
    }

    /// The hash that the hub names for a file that somebody else has, if the hub can be reached.
    async fn vouched(&self, file: &HubFile) -> Result<Option<Sha256>, Stop> {
        let asked = tokio::time::timeout(self.tuning.vouch, self.hub.ask(file));
        match self.stop.run_until_cancelled(asked).await.ok_or(Stop::Asked)? {
            Ok(Ok(told)) => Ok(told.sha256),
            Ok(Err(error)) => {
                tracing::info!(%error, "the hub does not vouch for the file");
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// Where the file is, if it is here already; another file of that name is an error.
    async fn is_here(&self, file: &HubFile, size: u64, sha256: &Sha256) -> Result<Option<PathBuf>, Stop> {
        let path = self.config.folder.join(file.path.file_name().as_str());
        let in_the_way = || Stop::Error(DownloadError::InTheWay { path: path.clone() });
        let at = path.clone();
        let data = blocking(move || std::fs::symlink_metadata(at)).await.and_then(|data| data);
        match data {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk(&path, &error).into()),
            Ok(data) if !data.is_file() || data.len() != size => Err(in_the_way()),
            Ok(_) => {
                self.report.state(DownloadState::Verifying);
                if self.hash(path.clone()).await? == *sha256 { Ok(Some(path)) } else { Err(in_the_way()) }
            }
        }
    }

    async fn open(&self, file: &HubFile, size: u64, sha256: &Sha256) -> Result<Part, Stop> {
        let (folder, hub, chunk) = (self.config.folder.clone(), self.hub.url().clone(), self.tuning.chunk);
        let (file, sha256) = (file.clone(), sha256.clone());
        let opened = blocking(move || Part::open(&folder, &hub, &file, size, &sha256, chunk)).await;
        Ok(opened.map_err(|error| disk(&self.config.folder, &error))??)
    }

    async fn check_room(&self, parts: &[(Part, At, bool)]) -> Result<(), Stop> {
        let missing: u64 = parts.iter().map(|(part, ..)| part.size() - part.here()).sum();
        if missing == 0 {
            return Ok(());
        }
        let folder = self.config.folder.clone();
        let room = blocking(move || Disk::under(&folder)).await.and_then(|room| room);
        let free = room.map_err(|error| disk(&self.config.folder, &error))?.free_bytes;
        let needed = missing.saturating_add(self.config.keep_free_bytes);
        if needed > free {
            return Err(DownloadError::NoRoom { folder: self.config.folder.clone(), needed, free }.into());
        }
        Ok(())
    }

    /// Fetches, verifies and names one file.
    async fn get(&self, mut part: Part, at: &At, from: &Supply) -> Result<(PathBuf, Sha256), Stop> {
        loop {
            self.report.state(DownloadState::Downloading);
            let mut pace = Pace::new(Instant::now());
            let mut last = part.here();
            self.report.bytes(last, 0);
            let fetch = Fetch {
                source: &from.source,
                at,
                part: &mut part,
                connections: self.config.connections,
                tuning: Tuning { failures: from.failures(&self.tuning), ..self.tuning },
                stop: &self.stop,
            };
            fetch
                .run(|here| {
                    pace.add(here.saturating_sub(last));
                    last = here;
                    self.report.bytes(here, pace.rate(Instant::now()));
                })
                .await?;
            self.report.state(DownloadState::Verifying);
            if self.hash(part.path()).await? == *part.sha256() {
                break;
            }
            // What an earlier process left may be what is wrong: a disk that was switched off forgets.
            if !part.resumed() {
                let (host, file) = (from.source.host(), part.name().clone());
                self.throw_away(part).await?;
                return Err(DownloadError::WrongHash { host, file }.into());
            }
            tracing::warn!(file = %part.name(), "what was left of an earlier download is damaged and fetched again");
            part.clear();
        }
        if part.name().is_gguf() {
            let path = part.path();
            let judged = blocking(move || GgufSummary::check(&path)).await;
            let judged = judged.unwrap_or_else(|error| Err(GgufError::Unreadable { cause: error.to_string() }));
            if let Err(error) = judged {
                let file = part.name().clone();
                self.throw_away(part).await?;
                return Err(DownloadError::NotAModel { file, error }.into());
            }
        }
        let sha256 = part.sha256().clone();
        let named = blocking(move || part.finish()).await;
        let path = named.map_err(|error| disk(&self.config.folder, &error))??;
        Ok((path, sha256))
    }

    async fn throw_away(&self, part: Part) -> Result<(), Stop> {
        let (folder, name) = (self.config.folder.clone(), part.name().clone());
        drop(part);
        let deleted = blocking(move || discard(&folder, &name)).await.and_then(|deleted| deleted);
        Ok(deleted.map_err(|error| disk(&self.config.folder, &error))?)
    }

    async fn hash(&self, path: PathBuf) -> Result<Sha256, Stop> {
        let (at, stop) = (path.clone(), self.stop.clone());
        let hashed = blocking(move || hash_file(&at, &stop)).await.and_then(|hashed| hashed);
        hashed.map_err(|error| disk(&path, &error))?.ok_or(Stop::Asked)
    }
}

fn disk(path: &Path, error: &io::Error) -> DownloadError {
    DownloadError::Disk { path: path.to_owned(), cause: error.to_string() }
}

/// Runs what blocks beside the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// The hash of a file; none when it was stopped. Blocks.
///
/// # Errors
/// As the system words it.
pub fn hash_file(path: &Path, stop: &CancellationToken) -> io::Result<Option<Sha256>> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match io::Read::read(&mut file, &mut block)? {
            0 => break,
            read => hasher.update(&block[..read]),
        }
    }
    Sha256::parse(&format!("{:x}", hasher.finalize())).map(Some).map_err(io::Error::other)
}
