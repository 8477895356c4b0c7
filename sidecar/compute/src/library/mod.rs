//! The model library: which open models there are, which of them suit this hardware, and how they get here.
//!
//! * [`Catalogue`] is one document of model families; [`Composer`] puts the bundled one, those a person adds and what
//!   they import together, without IO; [`CatalogueFolder`] keeps those that came from elsewhere.
//! * [`assess`] says how well a model fits a device, and why.
//! * [`Downloads`] fetches files from a hub and verifies them.
//! * [`GgufSummary::check`] judges a model file before an engine sees it.
//!
//! Everything here comes from elsewhere and is believed only as far as it was checked.

mod catalogue;
mod download;
mod fit;
mod hub;
mod names;
mod reach;
mod reading;
mod web;

pub use crate::gguf::check::{GgufError, GgufSummary};
pub use catalogue::{
    BUNDLED, CacheShape, Catalogue, CatalogueError, CatalogueFolder, CatalogueModel, CatalogueUrl, Collection,
    Composer, Family, FilePart, ModelFile, ModelPurpose, Stored, Variant,
};
pub use download::{
    Download, DownloadConfig, DownloadError, DownloadState, Downloads, Finished, HeldBytes, Holder, HolderError,
    Offered, Progress, Unfinished, hash_file,
};
pub(crate) use fit::Room;
pub use fit::{Assessment, Fit, Need, assess};
pub use hub::{HubFile, HubUrl};
pub use names::{FileName, Label, NameError, RepoName, RepoPath, Revision, Sha256, Slug};
pub use reading::collect;
pub use web::HubError;
