//! A catalogue: one versioned JSON document of open model families, bundled or from a URL.
//!
//! A document is taken whole or not at all; what a later version adds to it is ignored. Sizes are what hubs list, and
//! rounded: they serve to choose. What is downloaded is measured by what the hub says of the file itself.

mod compose;
mod folder;
mod url;

use std::collections::HashSet;

use serde::Deserialize;

use crate::error::hides;

use super::names::{Label, RepoName, RepoPath, Revision, Sha256, Slug};

pub use compose::{Collection, Composer};
pub use folder::{CatalogueFolder, Stored};
pub use url::CatalogueUrl;

/// The catalogue that comes with the app.
pub const BUNDLED: &str = include_str!("../../../catalogue/models.json");

/// The version of the form that is read here. A document of a later one is refused: it says so when it cannot be
/// understood by older apps.
const FORMAT: u32 = 1;
/// Largest document, in bytes; the bundled one has 22 kB.
pub(in crate::library) const MAX_DOCUMENT: usize = 4 << 20;
/// Most families in a document, models in a family, variants of a model, files of a variant, imports.
const MAX_FAMILIES: usize = 1_000;
const MAX_MODELS: usize = 200;
const MAX_VARIANTS: usize = 50;
const MAX_FILES: usize = 100;
const MAX_IMPORTS: usize = 16;
/// Largest file that is believed, in bytes: 16 TiB.
const MAX_FILE: u64 = 16 << 40;
/// Longest time to live, in hours: a year.
const MAX_TTL: u32 = 24 * 366;

/// Why a catalogue is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// It is no JSON, or not of this form.
    #[error("This is not a model catalogue: {0}. Check the address, or tell whoever keeps it.")]
    Malformed(String),
    /// It is written for a later app.
    #[error(
        "This catalogue is written for a newer version of the app (form {found}, this one reads {FORMAT}). Update the app."
    )]
    TooNew {
        /// The version of its form.
        found: u32,
    },
    /// There is too much of something in it.
    #[error("This catalogue has too many {what}. Tell whoever keeps it.")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
    /// Two things in it have the same id.
    #[error("This catalogue names \"{id}\" twice. Tell whoever keeps it.")]
    Twice {
        /// The id.
        id: String,
    },
    /// A number in it cannot be.
    #[error("This catalogue says of \"{id}\" what cannot be: {what}. Tell whoever keeps it.")]
    Impossible {
        /// The model.
        id: Slug,
        /// What it says.
        what: &'static str,
    },
    /// The text is no address of a catalogue.
    #[error("\"{given}\" is not the address of a catalogue: {reason}. Write it like https://example.org/models.json.")]
    Url {
        /// The text, shortened.
        given: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It could not be read from this disk, or kept on it.
    #[error("The catalogues kept in {folder} cannot be used ({cause}). Check the folder's permissions and the disk.")]
    Folder {
        /// The folder.
        folder: String,
        /// As the system words it.
        cause: String,
    },
}

/// What a model is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModelPurpose {
    /// Talking.
    Chat,
    /// Writing programs.
    Code,
    /// Looking at pictures.
    Vision,
    /// Turning text into vectors.
    Embeddings,
    /// Turning speech into text.
    Speech,
}

impl ModelPurpose {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Chat, Self::Code, Self::Vision, Self::Embeddings, Self::Speech];

    /// The word in a catalogue.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Code => "code",
            Self::Vision => "vision",
            Self::Embeddings => "embeddings",
            Self::Speech => "speech",
        }
    }
}

/// One catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// What it calls itself.
    pub name: Label,
    /// The day it was last changed, as it says.
    pub updated: Option<Label>,
    /// After how many hours it should be read again.
    pub ttl_hours: u32,
    /// Other catalogues that belong to it, as it writes them; relative ones are seen from its own address.
    pub imports: Vec<String>,
    /// Its families.
    pub families: Vec<Family>,
}

/// Models of one make in several sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its id.
    pub id: Slug,
    /// Its name.
    pub name: Label,
    /// Who made it.
    pub publisher: Label,
    /// Its licence, by its usual name.
    pub licence: Label,
    /// What its models are good for, the best first.
    pub purposes: Vec<ModelPurpose>,
    /// Its models.
    pub models: Vec<CatalogueModel>,
}

/// A model of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueModel {
    /// Its id.
    pub id: Slug,
    /// Its name.
    pub name: Label,
    /// Its parameters, in millions.
    pub parameters_millions: u32,
    /// How many of them work on each token, in millions; less than all in mixtures of experts.
    pub active_millions: u32,
    /// Tokens it takes at once, where that means something.
    pub context_length: Option<u32>,
    /// The shape of its key-value cache; none for models that keep none.
    pub cache: Option<CacheShape>,
    /// Its repository on a hub.
    pub repo: RepoName,
    /// The revision there.
    pub revision: Revision,
    /// Its files by how strongly they are quantised.
    pub variants: Vec<Variant>,
}

/// What a model remembers of each token while it reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct CacheShape {
    /// Layers that attend (`num_hidden_layers` in a model's `config.json`).
    pub layers: u32,
    /// Heads for keys and values (`num_key_value_heads`).
    pub kv_heads: u32,
    /// Numbers in a head (`head_dim`).
    pub head_length: u32,
}

impl CacheShape {
    /// Bytes for one token: a key and a value in each head of each layer, of 16 bits a number (llama.cpp's default,
    /// `--cache-type-k f16`).
    pub fn bytes_per_token(self) -> u64 {
        // Each is below 100,000, so the product stays far below 2^64.
        2 * 2 * u64::from(self.layers) * u64::from(self.kv_heads) * u64::from(self.head_length)
    }
}

/// A model at one quantisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its id, unique in the catalogue: the model's and the quantisation's, as `qwen3-8b-q4_k_m`.
    pub id: Slug,
    /// Its quantisation, as `Q4_K_M`.
    pub quantisation: Label,
    /// Its files.
    pub files: Vec<ModelFile>,
}

impl Variant {
    /// All its files together, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// A file in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelFile {
    /// Its place there.
    pub name: RepoPath,
    /// About how large it is, in bytes.
    pub size_bytes: u64,
    /// Its hash, where the catalogue vouches for it.
    #[serde(default)]
    pub sha256: Option<Sha256>,
    /// What it is to the model.
    #[serde(default)]
    pub part: FilePart,
}

/// What a file is to a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilePart {
    /// Its weights, or a part of them.
    #[default]
    Weights,
    /// What turns pictures into what the model reads.
    Projector,
}

impl Catalogue {
    /// Reads a document.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        if text.len() > MAX_DOCUMENT {
            return Err(CatalogueError::TooMuch { what: "bytes" });
        }
        let malformed = |error: serde_json::Error| CatalogueError::Malformed(shown(&error.to_string()));
        let form: Form = serde_json::from_str(text).map_err(malformed)?;
        if form.format > FORMAT {
            return Err(CatalogueError::TooNew { found: form.format });
        }
        serde_json::from_str::<Document>(text).map_err(malformed)?.check()
    }

    /// The bundled one.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn bundled() -> Self {
        Self::parse(BUNDLED).expect("the bundled catalogue is tested")
    }
}

/// What an error says of a document, without what hides in it, at a length that can be read.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !hides(*c)).take(300).collect()
}

/// The document as it is written.
#[derive(Deserialize)]
struct Document {
    name: Label,
    updated: Option<Label>,
    #[serde(default = "a_week")]
    ttl_hours: u32,
    #[serde(default)]
    imports: Vec<String>,
    #[serde(default)]
    families: Vec<WrittenFamily>,
}

#[derive(Deserialize)]
struct WrittenFamily {
    id: Slug,
    name: Label,
    publisher: Label,
    licence: Label,
    #[serde(default)]
    purposes: Vec<String>,
    models: Vec<WrittenModel>,
}

#[derive(Deserialize)]
struct WrittenModel {
    id: Slug,
    name: Label,
    parameters_millions: u32,
    active_millions: Option<u32>,
    context_length: Option<u32>,
    cache: Option<CacheShape>,
    repo: RepoName,
    #[serde(default)]
    revision: Revision,
    variants: Vec<WrittenVariant>,
}

#[derive(Deserialize)]
struct WrittenVariant {
    quantisation: Label,
    files: Vec<ModelFile>,
}

fn a_week() -> u32 {
    7 * 24
}

impl Document {
    fn check(self) -> Result<Catalogue, CatalogueError> {
        bound(self.families.len(), MAX_FAMILIES, "families")?;
        bound(self.imports.len(), MAX_IMPORTS, "imports")?;
        let mut ids = HashSet::new();
        let mut families = Vec::new();
        for family in self.families {
            unique(&mut ids, format!("family {}", family.id))?;
            bound(family.models.len(), MAX_MODELS, "models in a family")?;
            let models = family.models.into_iter().map(|model| model.check(&mut ids)).collect::<Result<_, _>>()?;
            // A purpose that this version does not know is a later one's.
            let known = |word: &String| ModelPurpose::ALL.into_iter().find(|purpose| purpose.as_str() == word);
            let mut purposes: Vec<ModelPurpose> = Vec::new();
            for purpose in family.purposes.iter().filter_map(known) {
                if !purposes.contains(&purpose) {
                    purposes.push(purpose);
                }
            }
            let WrittenFamily { id, name, publisher, licence, .. } = family;
            families.push(Family { id, name, publisher, licence, purposes, models });
        }
        let ttl_hours = self.ttl_hours.clamp(1, MAX_TTL);
        Ok(Catalogue { name: self.name, updated: self.updated, ttl_hours, imports: self.imports, families })
    }
}

impl WrittenModel {
    fn check(self, ids: &mut HashSet<String>) -> Result<CatalogueModel, CatalogueError> {
        let impossible = |what| Err(CatalogueError::Impossible { id: self.id.clone(), what });
        unique(ids, format!("model {}", self.id))?;
        bound(self.variants.len(), MAX_VARIANTS, "variants of a model")?;
        let active_millions = self.active_millions.unwrap_or(self.parameters_millions);
        if self.parameters_millions == 0 || active_millions == 0 || active_millions > self.parameters_millions {
            return impossible("its parameters");
        }
        if self.context_length == Some(0) {
            return impossible("a context of no tokens");
        }
        if let Some(CacheShape { layers, kv_heads, head_length }) = self.cache
            && [layers, kv_heads, head_length].iter().any(|side| !(1..100_000).contains(side))
        {
            return impossible("the shape of its cache");
        }
        let mut variants = Vec::new();
        for variant in self.variants {
            bound(variant.files.len(), MAX_FILES, "files of a variant")?;
            let mut names = HashSet::new();
            for file in &variant.files {
                if !(1..=MAX_FILE).contains(&file.size_bytes) {
                    return Err(CatalogueError::Impossible { id: self.id, what: "the size of a file" });
                }
                unique(&mut names, file.name.file_name().to_string())?;
            }
            if !variant.files.iter().any(|file| file.part == FilePart::Weights) {
                return Err(CatalogueError::Impossible { id: self.id, what: "a variant without weights" });
            }
            let id = format!("{}-{}", self.id, variant.quantisation.as_str().to_lowercase());
            let id = Slug::parse(&id).map_err(|error| CatalogueError::Malformed(error.to_string()))?;
            unique(ids, id.to_string())?;
            variants.push(Variant { id, quantisation: variant.quantisation, files: variant.files });
        }
        Ok(CatalogueModel {
            id: self.id,
            name: self.name,
            parameters_millions: self.parameters_millions,
            active_millions,
            context_length: self.context_length,
            cache: self.cache,
            repo: self.repo,
            revision: self.revision,
            variants,
        })
    }
}

fn bound(count: usize, most: usize, what: &'static str) -> Result<(), CatalogueError> {
    if count > most { Err(CatalogueError::TooMuch { what }) } else { Ok(()) }
}

fn unique(ids: &mut HashSet<String>, id: String) -> Result<(), CatalogueError> {
    if ids.contains(&id) {
        return Err(CatalogueError::Twice { id });
    }
    ids.insert(id);
    Ok(())
}

#[cfg(test)]
mod tests;
