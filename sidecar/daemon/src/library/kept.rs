//! The shelf: the models that are kept on this device, those of its own folder and those of an Ollama that runs here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use myownmesh_compute::library::{Family, FilePart};
use myownmesh_compute::{ComputeSnapshot, Disk, EngineId, EngineKind, EngineUrl, ModelInfo, model_id};
use myownmesh_control::types::{CatalogueSource, KeptModel, ModelShelf, ModelState};

use super::keep::is_part;
use super::notes::{Note, Notes};
use super::shelf;
use super::underway::Underway;
use crate::convert;
use crate::text::now_ms;

/// How the name of a part of a model ends, but for its numbers.
const PART: &str = "-00001-of-00002";
/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// The files of one model in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OnDisk {
    /// Its file, or the first of its parts.
    pub(super) path: PathBuf,
    /// What all its files hold, in bytes; what a reference leads to counts.
    pub(super) bytes: u64,
    /// Whether it is a reference.
    pub(super) imported: bool,
}

/// What is in the models folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Its models, by the ids they are offered under.
    pub(super) models: BTreeMap<String, OnDisk>,
    /// What everything in it takes, in bytes; what references lead to is elsewhere.
    pub(super) used_bytes: u64,
}

/// Looks into the folder. Blocks. What cannot be read counts nothing.
pub(super) fn contents(folder: &Path) -> Contents {
    let mut found = Contents::default();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(own) = std::fs::symlink_metadata(&path) else { continue };
        if own.is_file() {
            found.used_bytes = found.used_bytes.saturating_add(own.len());
        }
        let Some(id) = model_of(&path) else { continue };
        let Ok(data) = std::fs::metadata(&path).map(|data| data.len()) else { continue };
        let model = found.models.entry(id).or_insert_with(|| OnDisk { path, bytes: 0, imported: own.is_symlink() });
        model.bytes = model.bytes.saturating_add(data);
    }
    found
}

/// The id of the model that a file is of: its first part's, when there are several.
fn model_of(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let is_gguf = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    let parts = stem.len().checked_sub(PART.len()).and_then(|cut| stem.split_at_checked(cut));
    match parts.and_then(|(name, part)| Some((name, part.strip_prefix('-')?))) {
        Some((name, part)) if is_gguf && is_part(part) => {
            let (_, count) = part.rsplit_once('-')?;
            model_id(&path.with_file_name(format!("{name}-00001-of-{count}.gguf")))
        }
        _ => model_id(path),
    }
}

/// Whether the models of an engine are kept on this device: the built-in one's, and those of an Ollama that runs here.
fn keeps(compute: &ComputeSnapshot, engine: &EngineId) -> bool {
    let Some(engine) = compute.engine(engine) else { return false };
    let here = || engine.url.as_deref().and_then(|url| EngineUrl::parse(url).ok()).is_some_and(|url| url.is_loopback());
    engine.builtin || (engine.kind == EngineKind::Ollama && here())
}

/// What the shelf is made from.
pub(super) struct Stock<'a> {
    pub(super) folder: &'a Path,
    pub(super) families: &'a [Family],
    pub(super) compute: &'a ComputeSnapshot,
    pub(super) notes: &'a Notes,
    pub(super) underway: &'a [Underway],
    pub(super) catalogue: CatalogueSource,
}

impl Stock<'_> {
    /// Everything that is kept. Blocks.
    pub(super) fn shelf(self) -> ModelShelf {
        let contents = contents(self.folder);
        let variants = self.variants();
        let kept = self.compute.models.iter().filter(|model| keeps(self.compute, &model.engine));
        let mut models: Vec<KeptModel> = kept.map(|model| self.kept(model, &contents, &variants)).collect();
        let coming = self.underway.iter().filter(|coming| models.iter().all(|model| model.id != coming.model));
        let coming: Vec<KeptModel> = coming.map(|coming| self.coming(coming)).collect();
        models.extend(coming);
        models.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.id.cmp(&b.id)));
        ModelShelf {
            models,
            folder: self.folder.display().to_string(),
            used_bytes: contents.used_bytes,
            free_bytes: Disk::under(self.folder).ok().map(|disk| disk.free_bytes),
            catalogue: self.catalogue,
        }
    }

    /// The variants of the catalogue by what they are offered under.
    fn variants(&self) -> BTreeMap<String, String> {
        let weights = shelf::variants(self.families).filter_map(|variant| {
            let file = variant.files.iter().find(|file| file.part == FilePart::Weights)?;
            Some((model_id(Path::new(file.name.file_name().as_str()))?, variant.id.to_string()))
        });
        weights.collect()
    }

    fn kept(&self, model: &ModelInfo, contents: &Contents, variants: &BTreeMap<String, String>) -> KeptModel {
        let builtin = model.engine == EngineId::builtin();
        let on_disk = contents.models.get(&model.id).filter(|_| builtin && !model.demo);
        let engine = model.engine.to_string();
        let note = self.notes.of(&engine, &model.id).unwrap_or(Note { since: now_ms(), ..Note::default() });
        KeptModel {
            id: model.id.clone(),
            engine,
            variant: variants.get(&model.id).filter(|_| on_disk.is_some()).cloned(),
            path: on_disk.map(|on_disk| on_disk.path.display().to_string()),
            size_bytes: on_disk.map(|on_disk| on_disk.bytes).or(model.size_bytes),
            imported: on_disk.is_some_and(|on_disk| on_disk.imported),
            demo: model.demo,
            pinned: note.pinned,
            state: convert::model_state(model.state),
            percent: model.percent,
            reason: model.reason.clone(),
            last_used_at: note.last_used_at,
            unused_days: days(note),
        }
    }

    fn coming(&self, coming: &Underway) -> KeptModel {
        KeptModel {
            id: coming.model.clone(),
            engine: coming.engine.clone(),
            variant: coming.variant.clone(),
            path: None,
            size_bytes: coming.size_bytes,
            imported: false,
            demo: false,
            pinned: self.notes.of(&coming.engine, &coming.model).is_some_and(|note| note.pinned),
            state: ModelState::Downloading,
            percent: coming.percent,
            reason: None,
            last_used_at: None,
            unused_days: 0,
        }
    }
}

/// Whole days since it was last asked, or since it came.
fn days(note: Note) -> u32 {
    let apart = now_ms().saturating_sub(note.last_used_at.unwrap_or(note.since));
    u32::try_from(apart.max(0) / DAY).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_model_count_together() {
        for (file, id) in [
            ("tiny.gguf", Some("tiny")),
            ("big-00001-of-00003.gguf", Some("big")),
            ("big-00003-of-00003.gguf", Some("big")),
            ("a-of-00003.gguf", Some("a-of-00003")),
            ("odd-of-b.gguf", Some("odd-of-b")),
            ("big.gguf.part", None),
            ("notes.txt", None),
        ] {
            assert_eq!(model_of(Path::new(file)).as_deref(), id, "{file}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "tiny.gguf", "rest.gguf.part"] {
            std::fs::write(folder.path().join(file), "12345").expect("written");
        }
        let found = contents(folder.path());
        assert_eq!(found.used_bytes, 20);
        assert_eq!(found.models["big"].bytes, 10);
        assert!(found.models["big"].path.ends_with("big-00001-of-00002.gguf"));
        assert_eq!(found.models.keys().collect::<Vec<_>>(), ["big", "tiny"]);
        assert_eq!(contents(&folder.path().join("missing")), Contents::default());
    }

    #[test]
    fn days_are_counted_from_the_last_use() {
        let now = now_ms();
        let note = |since, last_used_at| Note { pinned: false, since, last_used_at };
        assert_eq!(days(note(now - 3 * DAY - 5, None)), 3);
        assert_eq!(days(note(now - 30 * DAY, Some(now - DAY / 2))), 0);
        assert_eq!(days(note(now + DAY, None)), 0, "a clock that was set back");
    }
}
