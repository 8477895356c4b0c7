//! A part file: what has arrived of a file, and beside it what is known of that, so that any later process can go on.
//!
//! `model.gguf.part` has the size of the whole from the beginning; `model.gguf.part.json` says which chunks of it are
//! there. The latter is written after the former is on the disk, so it never promises too much. A lock on
//! `model.gguf.part.lock` keeps two downloads from writing the same one; the system lets go of it when a process dies. It
//! is a file of its own because on Windows nobody else, and no other handle of ours, may touch what is locked.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::hub::{HubFile, HubUrl};
use super::super::names::{FileName, Sha256};
use super::DownloadError;
use crate::platform;

/// Most chunks of a file: larger files have larger ones.
const MAX_CHUNKS: u64 = 4_096;
/// Largest description that is read, in bytes.
const MAX_NOTES: u64 = 1 << 20;
/// Ends of the names of part files and their descriptions.
const PART: &str = ".part";
const NOTES: &str = ".part.json";
const LOCK: &str = ".part.lock";

/// Whether a file may be called this: not like a part of another.
pub(super) fn is_free_name(name: &FileName) -> bool {
    ![PART, NOTES, LOCK].iter().any(|end| name.as_str().to_lowercase().ends_with(end))
}

/// A download that an earlier process left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Where it came from.
    pub hub: HubUrl,
    /// The file.
    pub file: HubFile,
    /// What is here, in bytes.
    pub bytes: u64,
    /// Its size, in bytes.
    pub size_bytes: u64,
}

/// What is written down of a part file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notes {
    hub: HubUrl,
    file: HubFile,
    size: u64,
    sha256: Sha256,
    chunk: u64,
    validator: Option<String>,
    /// Chunks that are there, as ranges without their ends.
    done: Vec<(u32, u32)>,
}

impl Notes {
    fn read(path: &Path) -> Option<Self> {
        if path.metadata().ok()?.len() > MAX_NOTES {
            return None;
        }
        let notes: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let chunks = chunks_of(notes.size, notes.chunk)?;
        notes.done.iter().all(|(from, to)| from < to && *to <= chunks).then_some(notes)
    }
}

/// How many chunks a file has; none when the numbers cannot be.
fn chunks_of(size: u64, chunk: u64) -> Option<u32> {
    if size == 0 || chunk == 0 {
        return None;
    }
    let chunks = size.div_ceil(chunk);
    u32::try_from(chunks).ok().filter(|_| chunks <= MAX_CHUNKS)
}

/// A part file that this process writes.
#[derive(Debug)]
pub(super) struct Part {
    folder: PathBuf,
    name: FileName,
    file: File,
    /// Locked as long as this lives.
    #[expect(dead_code, reason = "held to be dropped")]
    lock: File,
    notes: Notes,
    done: Vec<bool>,
    /// Whether some of it was there when it was opened.
    resumed: bool,
}

impl Part {
    /// Opens the part file of `file` in `folder`, or makes it. What is there of another file of that name is thrown away.
    /// Blocks.
    pub(super) fn open(
        folder: &Path,
        hub: &HubUrl,
        file: &HubFile,
        size: u64,
        sha256: &Sha256,
        chunk: u64,
    ) -> Result<Self, DownloadError> {
        let name = file.path.file_name();
        let at = |end: &str| folder.join(format!("{name}{end}"));
        let disk = |error: io::Error| DownloadError::Disk { path: at(PART), cause: error.to_string() };
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(at(LOCK)).map_err(disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DownloadError::Running { file: name }),
            Err(TryLockError::Error(error)) => return Err(disk(error)),
        }
        // A part file of another program (browsers make such) has no notes of ours, and is left alone.
        let is_foreign = !at(NOTES).exists() && std::fs::symlink_metadata(at(PART)).is_ok_and(|data| data.len() > 0);
        if is_foreign {
            return Err(DownloadError::InTheWay { path: at(PART) });
        }
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(at(PART)).map_err(disk)?;
        let known = Notes::read(&at(NOTES))
            .filter(|notes| notes.size == size && notes.sha256 == *sha256)
            .filter(|_| opened.metadata().is_ok_and(|data| data.len() == size));
        let resumed = known.as_ref().is_some_and(|notes| !notes.done.is_empty());
        let mut notes = known.unwrap_or_else(|| Notes {
            hub: hub.clone(),
            file: file.clone(),
            size,
            sha256: sha256.clone(),
            chunk: chunk.max(size.div_ceil(MAX_CHUNKS)),
            validator: None,
            done: Vec::new(),
        });
        // What is here may come from another hub: it is the same file by its hash, and that one's tags mean nothing here.
        if notes.hub != *hub {
            (notes.hub, notes.validator) = (hub.clone(), None);
        }
        let mut done = vec![false; chunks_of(size, notes.chunk).unwrap_or(0) as usize];
        for (from, to) in &notes.done {
            done[*from as usize..*to as usize].fill(true);
        }
        let part = Self { folder: folder.to_owned(), name: name.clone(), file: opened, lock, notes, done, resumed };
        if !resumed {
            part.file.set_len(0).map_err(disk)?;
        }
        // Before the file has its size: one with a size and without notes is somebody else's.
        part.saver()().and_then(|()| part.file.set_len(size)).map_err(disk)?;
        Ok(part)
    }

    /// What it will be called.
    pub(super) fn name(&self) -> &FileName {
        &self.name
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}{PART}", self.name))
    }

    /// The hash it must have.
    pub(super) fn sha256(&self) -> &Sha256 {
        &self.notes.sha256
    }

    /// Its whole size, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.notes.size
    }

    /// What names its state in requests.
    pub(super) fn validator(&self) -> Option<&str> {
        self.notes.validator.as_deref()
    }

    /// Remembers what names its state; none to forget it.
    pub(super) fn set_validator(&mut self, validator: Option<String>) {
        self.notes.validator = validator;
    }

    /// Whether some of it came from an earlier process.
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    /// The bytes of a chunk.
    pub(super) fn bytes_of(&self, chunk: u32) -> Range<u64> {
        let from = u64::from(chunk) * self.notes.chunk;
        from..(from + self.notes.chunk).min(self.notes.size)
    }

    /// How many chunks it has.
    pub(super) fn chunks(&self) -> u32 {
        // Bounded when it was opened.
        u32::try_from(self.done.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of all chunks that are there.
    pub(super) fn here(&self) -> u64 {
        let there = (0..self.chunks()).filter(|chunk| self.done[*chunk as usize]);
        there.map(|chunk| self.bytes_of(chunk)).map(|bytes| bytes.end - bytes.start).sum()
    }

    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.done.iter().all(|done| *done)
    }

    /// A chunk is there; tells whether that is new.
    pub(super) fn mark(&mut self, chunk: u32) -> bool {
        match self.done.get_mut(chunk as usize) {
            Some(done) => !std::mem::replace(done, true),
            None => false,
        }
    }

    /// The next chunks in a row, at most so many, that are missing and that `taken` does not hold.
    pub(super) fn missing(&self, most: u32, taken: impl Fn(u32) -> bool) -> Option<Range<u32>> {
        let wanted = |chunk: &u32| !self.done[*chunk as usize] && !taken(*chunk);
        let from = (0..self.chunks()).find(wanted)?;
        let to = (from..self.chunks()).take(most.max(1) as usize).take_while(wanted).last()? + 1;
        Some(from..to)
    }

    /// How many chunks are missing.
    pub(super) fn count_missing(&self) -> u32 {
        u32::try_from(self.done.iter().filter(|done| !**done).count()).unwrap_or(u32::MAX)
    }

    /// Forgets everything that is there.
    pub(super) fn clear(&mut self) {
        self.done.fill(false);
        self.notes.validator = None;
        self.resumed = false;
    }

    /// A closure that brings the file to the disk and then writes down what is there now. It blocks.
    pub(super) fn saver(&self) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let mut notes = self.notes.clone();
        notes.done.clear();
        let mut chunk = 0;
        while let Some(from) = (chunk..self.chunks()).find(|chunk| self.done[*chunk as usize]) {
            let to = (from..self.chunks()).find(|chunk| !self.done[*chunk as usize]).unwrap_or(self.chunks());
            notes.done.push((from, to));
            chunk = to;
        }
        let path = self.folder.join(format!("{}{NOTES}", self.name));
        let file = self.file.try_clone();
        move || {
            file?.sync_data()?;
            platform::replace_file(&path, &serde_json::to_vec(&notes)?)
        }
    }

    /// Gives the file its name, unless another has it, and deletes the description. Blocks.
    pub(super) fn finish(self) -> Result<PathBuf, DownloadError> {
        let target = self.folder.join(self.name.as_str());
        let disk = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => DownloadError::InTheWay { path: target.clone() },
            _ => DownloadError::Disk { path: target.clone(), cause: error.to_string() },
        };
        self.file.sync_all().and_then(|()| platform::rename_new(&self.path(), &target)).map_err(disk)?;
        // The file is complete: what stays beside it would only be of nothing.
        for end in [NOTES, LOCK] {
            let _ = std::fs::remove_file(self.folder.join(format!("{}{end}", self.name)));
        }
        Ok(target)
    }
}

/// Deletes what is there of a file that is not finished. Blocks.
pub(super) fn discard(folder: &Path, name: &FileName) -> io::Result<()> {
    for end in [PART, NOTES, LOCK] {
        match std::fs::remove_file(folder.join(format!("{name}{end}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What is left in `folder` of downloads that nobody runs. Blocks.
pub(super) fn unfinished(folder: &Path) -> Vec<Unfinished> {
    let mut left = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let Some(notes) =
            entry.file_name().to_str().filter(|name| name.ends_with(NOTES)).and_then(|_| Notes::read(&entry.path()))
        else {
            continue;
        };
        let lock = folder.join(format!("{}{LOCK}", notes.file.path.file_name()));
        let is_run = OpenOptions::new().write(true).open(lock).is_ok_and(|file| file.try_lock().is_err());
        if !is_run {
            let of = |(from, to): &(u32, u32)| {
                (u64::from(*to) * notes.chunk).min(notes.size) - u64::from(*from) * notes.chunk
            };
            let bytes = notes.done.iter().map(of).sum();
            left.push(Unfinished { hub: notes.hub, file: notes.file, bytes, size_bytes: notes.size });
        }
    }
    left.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::names::{RepoName, RepoPath, Revision};
    use super::*;

    fn hub() -> HubUrl {
        HubUrl::parse("https://hub.example.org").expect("an address")
    }

    fn file() -> HubFile {
        let path = RepoPath::parse("q8/tiny.gguf").expect("a path");
        HubFile { repo: RepoName::parse("us/tiny").expect("one"), revision: Revision::default(), path, sha256: None }
    }

    fn hash(digit: &str) -> Sha256 {
        Sha256::parse(&digit.repeat(64)).expect("a hash")
    }

    fn open(folder: &Path, size: u64) -> Result<Part, DownloadError> {
        Part::open(folder, &hub(), &file(), size, &hash("a"), 10)
    }

    #[test]
    fn what_is_written_down_is_there_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut part = open(folder.path(), 95).expect("new");
        assert_eq!((part.chunks(), part.here(), part.resumed()), (10, 0, false));
        assert_eq!(part.missing(3, |chunk| chunk < 2), Some(2..5));
        for chunk in [0, 1, 4, 9] {
            assert!(part.mark(chunk) && !part.mark(chunk));
        }
        assert_eq!((part.here(), part.bytes_of(9), part.missing(9, |_| false)), (35, 90..95, Some(2..4)));
        part.set_validator(Some("\"v1\"".to_owned()));
        part.saver()().expect("saved");
        assert!(matches!(open(folder.path(), 95), Err(DownloadError::Running { .. })), "it is locked");
        assert!(unfinished(folder.path()).is_empty(), "somebody runs it");
        drop(part);

        let left = unfinished(folder.path());
        assert_eq!(left, [Unfinished { hub: hub(), file: file(), bytes: 35, size_bytes: 95 }]);
        let part = open(folder.path(), 95).expect("there");
        assert_eq!((part.here(), part.resumed(), part.validator()), (35, true, Some("\"v1\"")));
        drop(part);
        let other = HubUrl::parse("https://mirror.example.org").expect("an address");
        let part = Part::open(folder.path(), &other, &file(), 95, &hash("a"), 10).expect("there");
        assert_eq!((part.here(), part.validator()), (35, None), "the same file on another hub");
    }

    #[test]
    fn what_belongs_to_another_file_is_thrown_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut part = open(folder.path(), 95).expect("new");
        part.mark(0);
        part.saver()().expect("saved");
        drop(part);
        let part = Part::open(folder.path(), &hub(), &file(), 95, &hash("b"), 10).expect("another hash");
        assert_eq!((part.here(), part.resumed()), (0, false));
        drop(part);
        assert_eq!(open(folder.path(), 96).expect("another size").here(), 0);
    }

    #[test]
    fn damaged_descriptions_are_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut part = open(folder.path(), 95).expect("new");
        part.mark(3);
        part.saver()().expect("saved");
        drop(part);
        let notes = folder.path().join("tiny.gguf.part.json");
        let sound = std::fs::read_to_string(&notes).expect("notes");
        for (from, to) in [
            ("[[3,4]]", "[[3,11]]"),
            ("[[3,4]]", "[[4,3]]"),
            ("\"chunk\":10", "\"chunk\":0"),
            ("q8/tiny.gguf", "../tiny.gguf"),
            ("{", "["),
        ] {
            std::fs::write(&notes, sound.replace(from, to)).expect("written");
            assert!(unfinished(folder.path()).is_empty(), "{to}");
        }
        std::fs::write(&notes, &sound).expect("written");
        std::fs::write(folder.path().join("tiny.gguf.part"), "short").expect("written");
        assert_eq!(open(folder.path(), 95).expect("opened").here(), 0, "the part file is not what it was");
    }

    #[test]
    fn a_part_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tiny.gguf.part");
        std::fs::write(&path, "a browser's").expect("written");
        assert_eq!(open(folder.path(), 95).expect_err("not ours"), DownloadError::InTheWay { path: path.clone() });
        assert_eq!(std::fs::read(&path).expect("there"), b"a browser's");
        for (name, free) in [("a.gguf", true), ("a.gguf.part", false), ("a.PART.json", false), ("a.part.lock", false)] {
            assert_eq!(is_free_name(&FileName::parse(name).expect("a name")), free, "{name}");
        }
    }

    #[test]
    fn a_finished_file_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("tiny.gguf");
        std::fs::write(&target, "mine").expect("written");
        let error = open(folder.path(), 5).expect("new").finish().expect_err("in the way");
        assert_eq!(error, DownloadError::InTheWay { path: target.clone() });
        assert_eq!(std::fs::read(&target).expect("there"), b"mine");
        std::fs::remove_file(&target).expect("moved");
        assert_eq!(open(folder.path(), 5).expect("there").finish().expect("finished"), target);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        discard(folder.path(), &file().path.file_name()).expect("nothing to do");
    }

    proptest! {
        #[test]
        fn chunks_cover_a_file_exactly(size in 1_u64..5_000, chunk in 1_u64..600, marks in prop::collection::vec(0_u32..5_000, 0..40)) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut part = Part::open(folder.path(), &hub(), &file(), size, &hash("a"), chunk).expect("new");
            let mut at = 0;
            for chunk in 0..part.chunks() {
                prop_assert_eq!(part.bytes_of(chunk).start, at);
                at = part.bytes_of(chunk).end;
            }
            prop_assert_eq!(at, size);
            marks.into_iter().for_each(|chunk| { part.mark(chunk); });
            part.saver()().expect("saved");
            let (here, missing) = (part.here(), part.count_missing());
            drop(part);
            let again = Part::open(folder.path(), &hub(), &file(), size, &hash("a"), chunk).expect("there");
            prop_assert_eq!((again.here(), again.count_missing()), (here, missing));
        }
    }
}
