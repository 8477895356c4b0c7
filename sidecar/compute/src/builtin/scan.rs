//! Reads the model folders: every `*.gguf` is a model named by its file stem. Blocks; called off the runtime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::hides;
use crate::gguf::GgufHeader;

/// The id of the demo model that comes with the app.
pub const DEMO_MODEL: &str = "myownllm-demo";
/// Most models that are listed.
const MAX_MODELS: usize = 1000;
/// Longest id, in bytes.
const MAX_ID: usize = 128;

/// One model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
    /// None when the head could not be read; llama-server has the last word when the model is loaded.
    pub(crate) header: Option<GgufHeader>,
    pub(crate) demo: bool,
}

impl ModelFile {
    /// Whether `other` is the same file with the same content, as far as size and time tell.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        (&self.path, self.size, self.modified) == (&other.path, other.size, other.modified)
    }
}

/// The models by id.
pub(crate) type ModelFiles = BTreeMap<String, ModelFile>;

/// Reads the folders. Heads of files that did not change since `before` are not read again. A name that appears
/// twice belongs to the first folder.
pub(crate) fn scan(dirs: &[PathBuf], demo: Option<&Path>, before: &ModelFiles) -> ModelFiles {
    let mut found = ModelFiles::new();
    let mut add = |id: String, path: &Path, demo: bool| {
        if found.len() >= MAX_MODELS || found.contains_key(&id) {
            return;
        }
        if let Some(file) = examine(path, demo, before.get(&id)) {
            found.insert(id, file);
        }
    };
    if let Some(path) = demo {
        add(DEMO_MODEL.to_owned(), path, true);
    }
    for dir in dirs {
        let mut paths: Vec<PathBuf> = match dir.read_dir() {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!(folder = %dir.display(), %error, "cannot read a model folder");
                }
                continue;
            }
        };
        paths.sort();
        for path in paths {
            if let Some(id) = model_id(&path) {
                add(id, &path, false);
            }
        }
    }
    found
}

/// The id under which the built-in engine offers the model in this file; none when it is no model of its own.
pub fn model_id(path: &Path) -> Option<String> {
    if !path.extension()?.eq_ignore_ascii_case("gguf") {
        return None;
    }
    let stem = path.file_stem()?.to_str()?;
    // A model in parts is loaded by its first; a projector belongs to another model.
    let stem = match split_part(stem) {
        Some((base, 1)) => base,
        Some(_) => return None,
        None => stem,
    };
    let usable = !stem.is_empty()
        && stem.len() <= MAX_ID
        && !stem.starts_with(['.', '-'])
        && !stem.starts_with("mmproj")
        && !stem.chars().any(|c| hides(c) || c == ',');
    usable.then(|| stem.to_owned())
}

/// Splits `name-00002-of-00003` into `name` and 2.
fn split_part(stem: &str) -> Option<(&str, u32)> {
    let (rest, total) = stem.rsplit_once("-of-")?;
    let (base, part) = rest.rsplit_once('-')?;
    let number = |text: &str| if text.len() == 5 { text.parse::<u32>().ok() } else { None };
    number(total)?;
    Some((base, number(part)?))
}

fn examine(path: &Path, demo: bool, before: Option<&ModelFile>) -> Option<ModelFile> {
    let data = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let path = std::path::absolute(path).ok()?;
    let mut file = ModelFile { path, size: data.len(), modified: data.modified().ok(), header: None, demo };
    file.header = match before {
        Some(known) if known.same_content(&file) => known.header.clone(),
        _ => GgufHeader::read(&file.path)
            .inspect_err(|error| tracing::debug!(file = %file.path.display(), %error, "the head cannot be read"))
            .ok(),
    };
    Some(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_come_from_files() {
        for (file, id) in [
            ("llama.gguf", Some("llama")),
            ("Qwen 3.GGUF", Some("Qwen 3")),
            ("big-00001-of-00003.gguf", Some("big")),
            ("big-00002-of-00003.gguf", None),
            ("state-of-mind.gguf", Some("state-of-mind")),
            ("mmproj-f16.gguf", None),
            ("-rf.gguf", None),
            (".hidden.gguf", None),
            ("a,b.gguf", None),
            ("half.gguf.part", None),
            ("notes.txt", None),
        ] {
            assert_eq!(model_id(Path::new(file)).as_deref(), id, "{file}");
        }
    }

    #[test]
    fn folders_are_read_and_strange_things_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir_all(first.join("dir.gguf")).expect("made");
        fs::create_dir_all(&second).expect("made");
        fs::write(first.join("twice.gguf"), include_bytes!("../../fixtures/chain.gguf")).expect("written");
        fs::write(second.join("twice.gguf"), "other").expect("written");
        fs::write(second.join("junk.gguf"), "junk").expect("written");
        let dirs = [first.clone(), folder.path().join("missing"), second];
        let found = scan(&dirs, None, &ModelFiles::new());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["junk", "twice"]);
        assert!(found["twice"].path.starts_with(&first));
        assert_eq!(found["twice"].header.as_ref().and_then(|head| head.context_length), Some(2048));
        assert_eq!(found["junk"].header, None);
        assert_eq!(scan(&dirs, None, &found), found);
    }

    #[test]
    fn the_demo_model_has_its_own_name() {
        let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/chain.gguf"));
        let found = scan(&[], Some(demo), &ModelFiles::new());
        assert!(found[DEMO_MODEL].demo);
        assert!(scan(&[], Some(Path::new("/no/such.gguf")), &found).is_empty());
    }
}
