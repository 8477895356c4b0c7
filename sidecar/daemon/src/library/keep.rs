//! The models folder of this device: deleting what is in it, and taking in files that stay where they are. Blocks.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use myownmesh_compute::library::{Family, FileName, GgufError, GgufSummary, Variant};
use myownmesh_compute::model_id;
use myownmesh_control::types::ModelRemoved;

use super::shelf;
use crate::platform;
use crate::text::quotable;

/// The models folder could not be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// Nothing in the folder is called this.
    #[error("There is no model \"{id}\" in the models folder. `myownmesh models` shows what is on this device.")]
    NotHere {
        /// The id.
        id: String,
    },
    /// It is being downloaded.
    #[error("\"{id}\" is being downloaded. Pause that with Ctrl-C, then delete it.")]
    Downloading {
        /// The id.
        id: String,
    },
    /// The file has no name that a model can have.
    #[error("{} cannot be a model: {reason}. Rename it, then import it.", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        reason: String,
    },
    /// The file is no model.
    #[error("{} is left alone. {error}", path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// Why.
        error: GgufError,
    },
    /// Something has the name.
    #[error("There is a model called \"{id}\" already. Delete it with `myownmesh model rm`, or rename the file.")]
    Taken {
        /// The id.
        id: String,
    },
    /// The disk or the folder did not do what was asked.
    #[error("{} cannot be changed ({cause}). Check the folder's permissions and the disk.", path.display())]
    Disk {
        /// What was to be changed.
        path: PathBuf,
        /// As the system words it.
        cause: io::Error,
    },
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> KeepError + '_ {
    |cause| KeepError::Disk { path: path.to_owned(), cause }
}

/// Deletes the model that `id` names: a variant of the catalogue, or a model by the id it is offered under. Files that
/// another variant that is here needs stay; of an imported model only the reference goes.
pub(super) fn remove(folder: &Path, families: &[Family], id: &str) -> Result<ModelRemoved, KeepError> {
    let id = id.trim();
    let paths = match shelf::variant(families, id) {
        Some(variant) => of_variant(folder, families, variant),
        None => of_model(folder, id).map_err(disk(folder))?,
    };
    let mut removed = ModelRemoved::default();
    for path in paths {
        // What a link leads to is not ours.
        let data = match fs::symlink_metadata(&path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(disk(&path)(error)),
        };
        fs::remove_file(&path).map_err(disk(&path))?;
        removed.freed_bytes += if data.is_file() { data.len() } else { 0 };
        removed.files.push(path.display().to_string());
    }
    if removed.files.is_empty() { Err(KeepError::NotHere { id: quotable(id) }) } else { Ok(removed) }
}

/// The files of a variant that no other variant that is here needs.
fn of_variant(folder: &Path, families: &[Family], variant: &Variant) -> Vec<PathBuf> {
    let at = |variant: &Variant| -> BTreeSet<PathBuf> {
        variant.files.iter().map(|file| folder.join(file.name.file_name().as_str())).collect()
    };
    let here = |files: &BTreeSet<PathBuf>| files.iter().all(|path| path.is_file());
    let others = shelf::variants(families).filter(|other| other.id != variant.id).map(at).filter(here);
    let needed: BTreeSet<PathBuf> = others.flatten().collect();
    at(variant).difference(&needed).cloned().collect()
}

/// The files in the folder that make up a model by the id it is offered under: one, or all its parts.
fn of_model(folder: &Path, id: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let gguf = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
        let later_part = stem.strip_prefix(id).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_part);
        if model_id(&path).as_deref() == Some(id) || (gguf && later_part) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Whether a text is `00002-of-00003`.
pub(super) fn is_part(text: &str) -> bool {
    let number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once("-of-").is_some_and(|(part, of)| number(part) && number(of))
}

/// Takes in the model at `path`, which stays where it is; gives where the folder refers to it, and its id.
pub(super) fn import(folder: &Path, path: &Path) -> Result<(PathBuf, String), KeepError> {
    let path = fs::canonicalize(path).map_err(|error| KeepError::NotAModel {
        path: path.to_owned(),
        error: GgufError::Unreadable { cause: error.to_string() },
    })?;
    GgufSummary::check(&path).map_err(|error| KeepError::NotAModel { path: path.clone(), error })?;
    let unnamed = |reason: String| KeepError::Name { path: path.clone(), reason };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = FileName::parse(name).map_err(|error| unnamed(error.to_string().trim_end_matches('.').to_owned()))?;
    let id = model_id(&path).ok_or_else(|| unnamed("models are called like name.gguf".to_owned()))?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if stem != id {
        return Err(unnamed("it is one part of several; put them all into the models folder instead".to_owned()));
    }
    let taken = || KeepError::Taken { id: id.clone() };
    if !of_model(folder, &id).map_err(disk(folder))?.is_empty() {
        return Err(taken());
    }
    fs::create_dir_all(folder).map_err(disk(folder))?;
    let at = folder.join(name.as_str());
    match platform::refer(&path, &at) {
        Ok(()) => Ok((at, id)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken()),
        Err(error) => Err(disk(&at)(error)),
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_compute::library::Catalogue;

    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        names.iter().for_each(|name| fs::write(folder.path().join(name), "123").expect("written"));
        folder
    }

    fn left(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("read").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_model_goes_with_all_its_parts_and_nothing_else() {
        let names = ["big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "big-b.gguf", "bigger.gguf", "big.txt"];
        let folder = folder_with(&names);
        let families = Catalogue::bundled().families;
        let removed = remove(folder.path(), &families, "big").expect("it is here");
        assert_eq!((removed.files.len(), removed.freed_bytes), (2, 6));
        assert_eq!(left(&folder), ["big-b.gguf", "big.txt", "bigger.gguf"]);
        for id in ["big", "../big-b", "", "big.txt", "qwen3-0.6b-q8_0"] {
            assert!(matches!(remove(folder.path(), &families, id), Err(KeepError::NotHere { .. })), "{id}");
        }
    }

    #[test]
    fn what_another_variant_needs_stays() {
        let families = Catalogue::bundled().families;
        let vision: Vec<&Variant> = shelf::variants(&families).filter(|variant| variant.files.len() > 1).collect();
        let shares = |a: &&&Variant| {
            let names = |variant: &Variant| variant.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
            vision.iter().any(|b| b.id != a.id && names(b).iter().any(|name| names(a).contains(name)))
        };
        let shared = vision.iter().find(shares);
        let Some(first) = shared else { panic!("no two variants of the bundled catalogue share a projector") };
        let all: BTreeSet<String> =
            vision.iter().flat_map(|variant| &variant.files).map(|file| file.name.file_name().to_string()).collect();
        let folder = folder_with(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let removed = remove(folder.path(), &families, first.id.as_str()).expect("it is here");
        assert!(removed.files.len() < first.files.len(), "{removed:?}");
    }

    #[cfg(unix)]
    #[test]
    fn an_imported_file_stays_where_it_is() {
        let chain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compute/fixtures/chain.gguf");
        let (elsewhere, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let models = folder.path().join("models");
        let file = elsewhere.path().join("mine.gguf");
        fs::copy(&chain, &file).expect("copied");
        let (at, id) = import(&models, &file).expect("it is a model");
        assert_eq!((at, id.as_str()), (models.join("mine.gguf"), "mine"));
        assert!(matches!(import(&models, &file), Err(KeepError::Taken { .. })));
        let removed = remove(&models, &[], "mine").expect("it is here");
        assert_eq!((removed.files.len(), removed.freed_bytes), (1, 0));
        assert!(file.is_file());

        let part = elsewhere.path().join("mine-00001-of-00002.gguf");
        fs::copy(&chain, &part).expect("copied");
        assert!(matches!(import(&models, &part), Err(KeepError::Name { .. })));
        let noise = elsewhere.path().join("noise.gguf");
        fs::write(&noise, "noise").expect("written");
        assert!(matches!(import(&models, &noise), Err(KeepError::NotAModel { .. })));
        assert!(matches!(import(&models, &elsewhere.path().join("gone.gguf")), Err(KeepError::NotAModel { .. })));
    }
}
