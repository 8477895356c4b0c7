//! Fetches what is missing of one part file, over several connections when the hub gives ranges.
//!
//! One loop owns the part and decides; each connection is a task that writes a stretch of chunks in its place and tells
//! what it does. The first one shows whether the hub gives ranges; if it does not, one connection fetches the whole.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, SeekFrom};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::web::HubError;
use super::part::Part;
use super::source::{At, Source};
use super::task::Stop;
use super::{DownloadError, Tuning};

/// Most chunks that one request asks for.
const MAX_STRETCH: u32 = 16;
/// Bytes that a connection gathers before it tells of them.
const TELL: u64 = 256 << 10;
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How often progress is told.
const TICK: Duration = Duration::from_millis(250);

/// What a connection tells.
enum News {
    /// It has the head of an answer.
    Opened { ranged: bool, validator: Option<String> },
    /// More bytes are written.
    Bytes(u64),
    /// A chunk is complete.
    Chunk(u32),
}

/// Why a connection ended early.
enum Trouble {
    Hub(HubError),
    Disk(io::Error),
    /// The hub sent the whole file where a part was asked for.
    Whole,
}

impl From<HubError> for Trouble {
    fn from(error: HubError) -> Self {
        Self::Hub(error)
    }
}

/// What one connection does.
struct Connection {
    source: Source,
    at: At,
    validator: Option<String>,
    path: PathBuf,
    /// Its chunks, as the bytes of each.
    chunks: Vec<(u32, Range<u64>)>,
    size: u64,
    /// Number of this connection, and where it tells.
    number: u64,
    news: mpsc::Sender<(u64, News)>,
}

/// What the loop knows of a connection.
struct Running {
    stretch: Range<u32>,
    /// Bytes that are written of chunks that are not complete.
    written: u64,
}

/// Fetches what is missing of `part`.
pub(super) struct Fetch<'a> {
    pub(super) source: &'a Source,
    pub(super) at: &'a At,
    pub(super) part: &'a mut Part,
    pub(super) connections: usize,
    pub(super) tuning: Tuning,
    pub(super) stop: &'a CancellationToken,
}

/// The loop's state.
struct Work<'a> {
    part: &'a mut Part,
    running: HashMap<u64, Running>,
    tasks: JoinSet<(u64, Result<(), Trouble>)>,
    /// Whether the hub gives ranges, once that is known.
    ranged: Option<bool>,
    failures: u32,
    /// Before this nothing is tried again.
    not_before: Instant,
    saving: Option<JoinHandle<io::Result<()>>>,
}

impl Fetch<'_> {
    /// Fetches; calls `report` with the bytes that are here.
    pub(super) async fn run(self, mut report: impl FnMut(u64)) -> Result<(), Stop> {
        let (tell, mut news) = mpsc::channel(256);
        let mut work = Work {
            part: self.part,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            ranged: None,
            failures: 0,
            not_before: Instant::now(),
            saving: None,
        };
        let mut number = 0;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saved = Instant::now();
        while !work.part.is_whole() {
            while let Some(stretch) = work.next_stretch(self.connections) {
                number += 1;
                let chunks = stretch.clone().map(|chunk| (chunk, work.part.bytes_of(chunk))).collect();
                let connection = Connection {
                    source: self.source.clone(),
                    at: self.at.clone(),
                    // The first request of all may have nothing to compare with.
                    validator: work.part.validator().map(str::to_owned),
                    path: work.part.path(),
                    chunks,
                    size: work.part.size(),
                    number,
                    news: tell.clone(),
                };
                work.running.insert(number, Running { stretch, written: 0 });
                work.tasks.spawn(async move { (number, connection.run().await) });
            }
            let waits = work.not_before;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    work.tasks.shutdown().await;
                    while let Ok((from, news)) = news.try_recv() {
                        work.hear(from, news);
                    }
                    report(work.here());
                    work.save().await.map_err(|error| work.disk(&error))?;
                    return Err(Stop::Asked);
                }
                Some((from, item)) = news.recv() => work.hear(from, item),
                Some(end) = work.tasks.join_next(), if !work.running.is_empty() => {
                    // What it told before it ended counts first.
                    while let Ok((from, news)) = news.try_recv() {
                        work.hear(from, news);
                    }
                    if let Err(error) = work.ended(end, self.tuning) {
                        work.tasks.shutdown().await;
                        while let Ok((from, news)) = news.try_recv() {
                            work.hear(from, news);
                        }
                        report(work.here());
                        work.save().await.map_err(|error| work.disk(&error))?;
                        return Err(error.into());
                    }
                }
                () = sleep_until(waits.into()), if work.running.is_empty() => {}
                _ = tick.tick() => {
                    report(work.here());
                    if saved.elapsed() >= self.tuning.save {
                        saved = Instant::now();
                        work.save_beside().await.map_err(|error| work.disk(&error))?;
                    }
                }
            }
        }
        work.tasks.shutdown().await;
        report(work.here());
        work.save().await.map_err(|error| work.disk(&error))?;
        Ok(())
    }
}

impl Work<'_> {
    /// What another connection could do now.
    fn next_stretch(&self, connections: usize) -> Option<Range<u32>> {
        let most = if self.ranged == Some(true) { connections.max(1) } else { 1 };
        if self.running.len() >= most || Instant::now() < self.not_before {
            return None;
        }
        if self.ranged == Some(false) {
            return Some(0..self.part.chunks());
        }
        let taken = |chunk: u32| self.running.values().any(|running| running.stretch.contains(&chunk));
        // Small files are shared out as well, and towards the end of a large one all still have something to do.
        let share = self.part.count_missing() / u32::try_from(2 * connections.max(1)).unwrap_or(u32::MAX);
        self.part.missing(share.clamp(1, MAX_STRETCH), taken)
    }

    fn hear(&mut self, from: u64, news: News) {
        match news {
            News::Opened { ranged, validator } => {
                if ranged {
                    self.ranged = self.ranged.or(Some(true));
                } else {
                    // It writes on to the end; nobody else need do anything.
                    self.ranged = Some(false);
                    if let Some(running) = self.running.get_mut(&from) {
                        running.stretch = 0..self.part.chunks();
                    }
                }
                if self.part.validator().is_none() {
                    self.part.set_validator(validator);
                }
            }
            News::Bytes(count) => {
                if let Some(running) = self.running.get_mut(&from) {
                    running.written += count;
                }
            }
            News::Chunk(chunk) => {
                self.failures = 0;
                let bytes = self.part.bytes_of(chunk);
                if let Some(running) = self.running.get_mut(&from) {
                    running.written = running.written.saturating_sub(bytes.end - bytes.start);
                }
                self.part.mark(chunk);
            }
        }
    }

    /// A connection has ended; an error ends the download.
    fn ended(
        &mut self,
        end: Result<(u64, Result<(), Trouble>), tokio::task::JoinError>,
        tuning: Tuning,
    ) -> Result<(), DownloadError> {
        let (number, result) = match end {
            Ok(end) => end,
            Err(error) => return Err(self.disk(&io::Error::other(error.to_string()))),
        };
        self.running.remove(&number);
        match result {
            Ok(()) => Ok(()),
            Err(Trouble::Disk(error)) => Err(self.disk(&error)),
            Err(Trouble::Whole) => {
                if self.part.validator().is_some() {
                    // It may only mean that the tag changed, as where a file is stored does; the hash will tell.
                    self.part.set_validator(None);
                    return Ok(());
                }
                self.tasks.abort_all();
                self.running.clear();
                self.part.clear();
                self.ranged = Some(false);
                Ok(())
            }
            Err(Trouble::Hub(error)) if error.is_passing() && self.failures < tuning.failures => {
                self.failures += 1;
                let pause = tuning.pause.saturating_mul(1 << (self.failures - 1).min(16)).min(MAX_PAUSE);
                let pause = if let HubError::Busy { after, .. } = &error { pause.max(*after) } else { pause };
                tracing::info!(%error, ?pause, "it is tried again");
                self.not_before = Instant::now() + pause;
                Ok(())
            }
            Err(Trouble::Hub(error)) => Err(error.into()),
        }
    }

    fn here(&self) -> u64 {
        let written: u64 = self.running.values().map(|running| running.written).sum();
        (self.part.here() + written).min(self.part.size())
    }

    fn disk(&self, error: &io::Error) -> DownloadError {
        DownloadError::Disk { path: self.part.path(), cause: error.to_string() }
    }

    /// Writes down what is here while others go on; one that is still at it is left alone.
    async fn save_beside(&mut self) -> io::Result<()> {
        if let Some(saving) = self.saving.take_if(|saving| saving.is_finished()) {
            saving.await.map_err(io::Error::other)??;
        }
        if self.saving.is_none() {
            self.saving = Some(tokio::task::spawn_blocking(self.part.saver()));
        }
        Ok(())
    }

    /// Writes down what is here and waits for it.
    async fn save(&mut self) -> io::Result<()> {
        if let Some(saving) = self.saving.take() {
            saving.await.map_err(io::Error::other)??;
        }
        tokio::task::spawn_blocking(self.part.saver()).await.map_err(io::Error::other)?
    }
}

impl Connection {
    async fn run(self) -> Result<(), Trouble> {
        let (Some((_, first)), Some((_, last))) = (self.chunks.first(), self.chunks.last()) else { return Ok(()) };
        let (from, mut to) = (first.start, last.end);
        let validator = self.validator.as_deref();
        let opened = self.source.open(&self.at, (from, to), self.size, validator).await?;
        if !opened.ranged {
            if from != 0 {
                return Err(Trouble::Whole);
            }
            to = self.size;
        }
        self.tell(News::Opened { ranged: opened.ranged, validator: opened.validator }).await;
        let file = tokio::fs::OpenOptions::new().write(true).open(&self.path).await;
        let mut file = file.map_err(Trouble::Disk)?;
        file.seek(SeekFrom::Start(from)).await.map_err(Trouble::Disk)?;
        let mut body = opened.body;
        let (mut at, mut untold) = (from, 0);
        // Chunks are all of one size, but for the last one of a file.
        let (mut chunk, length) = (self.chunks[0].0, first.end - first.start);
        let mut chunk_end = first.end;
        while at < to {
            let Some(piece) = body.next().await? else {
                let (host, cause) = (self.source.host(), "it ended early".to_owned());
                return Err(HubError::BrokeOff { host, cause }.into());
            };
            let count = piece.len() as u64;
            if count > to - at {
                let what = "it sends more than it announced".to_owned();
                return Err(HubError::Nonsense { host: self.source.host(), what }.into());
            }
            file.write_all(&piece).await.map_err(Trouble::Disk)?;
            at += count;
            untold += count;
            if untold >= TELL || at >= chunk_end {
                self.tell(News::Bytes(std::mem::take(&mut untold))).await;
            }
            if at >= chunk_end {
                file.flush().await.map_err(Trouble::Disk)?;
            }
            while at >= chunk_end && at > 0 {
                self.tell(News::Chunk(chunk)).await;
                if chunk_end >= to {
                    break;
                }
                chunk += 1;
                chunk_end = (chunk_end + length).min(to);
            }
        }
        Ok(())
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more when the download is stopped, and then this task is too.
        let _ = self.news.send((self.number, news)).await;
    }
}
