//! What can go wrong with a download, each as a sentence with the next step.

use std::path::PathBuf;

use super::super::fit::size;
use super::super::names::FileName;
use super::super::web::HubError;
use crate::gguf::check::GgufError;

/// Why a download does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// There is nothing to download.
    #[error("There are no files to download. Choose a model.")]
    Nothing,
    /// Two files would have the same name.
    #[error("Two of these files are called \"{file}\", and both cannot be kept. Download them one by one.")]
    SameName {
        /// The name.
        file: FileName,
    },
    /// A file is called like a part of another.
    #[error(
        "\"{file}\" is called like a part of another file, and cannot be kept under this name. Choose another file."
    )]
    OddName {
        /// The name.
        file: FileName,
    },
    /// The hub did not give it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Nothing vouches for the file.
    #[error(
        "{host} does not name the SHA-256 of \"{file}\", so what arrives cannot be verified. Get the file another way and import it."
    )]
    NoHash {
        /// The hub.
        host: String,
        /// The file.
        file: FileName,
    },
    /// The hub has another file than the catalogue means.
    #[error(
        "{host} has another \"{file}\" than the catalogue names (its SHA-256 differs). Refresh the catalogue, or use another hub."
    )]
    OtherHash {
        /// The hub.
        host: String,
        /// The file.
        file: FileName,
    },
    /// The hub does not tell the size, or says that the file is empty.
    #[error("{host} does not tell how large \"{file}\" is. Use another hub.")]
    NoSize {
        /// The hub.
        host: String,
        /// The file.
        file: FileName,
    },
    /// It is larger than anything that is fetched.
    #[error("\"{file}\" has {}, and no more than {} are downloaded. Choose another file.", size(*bytes), size(*most))]
    TooLarge {
        /// The file.
        file: FileName,
        /// Its size, in bytes.
        bytes: u64,
        /// The largest, in bytes.
        most: u64,
    },
    /// The disk has no room.
    #[error("There is no room: {} are needed in {}, and {} are free. Delete something there, then go on.", size(*needed), folder.display(), size(*free))]
    NoRoom {
        /// The folder.
        folder: PathBuf,
        /// What it takes, in bytes, with what should stay free.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
    },
    /// What arrived is not what was announced.
    #[error(
        "What arrived as \"{file}\" is not what {host} announced (its SHA-256 differs), so it was thrown away. Try again, and use another hub if it stays so."
    )]
    WrongHash {
        /// The hub.
        host: String,
        /// The file.
        file: FileName,
    },
    /// What arrived is what was announced, and no model.
    #[error("\"{file}\" was thrown away. {error}")]
    NotAModel {
        /// The file.
        file: FileName,
        /// Why.
        error: GgufError,
    },
    /// Another file has the name.
    #[error("There is another file at {} already. Move or delete it, then go on.", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// It is being downloaded already.
    #[error("\"{file}\" is being downloaded already. Wait for it, or cancel it.")]
    Running {
        /// The file.
        file: FileName,
    },
    /// The disk or the folder did not do what was asked.
    #[error("{} cannot be written ({cause}). Check the folder's permissions and the disk, then go on.", path.display())]
    Disk {
        /// What was to be written.
        path: PathBuf,
        /// As the system words it.
        cause: String,
    },
}

impl DownloadError {
    /// Whether another source may still give what is wanted.
    pub(super) fn is_of_source(&self) -> bool {
        match self {
            Self::Hub(_)
            | Self::NoHash { .. }
            | Self::OtherHash { .. }
            | Self::NoSize { .. }
            | Self::TooLarge { .. }
            | Self::WrongHash { .. }
            | Self::NotAModel { .. } => true,
            Self::Nothing
            | Self::SameName { .. }
            | Self::OddName { .. }
            | Self::NoRoom { .. }
            | Self::InTheWay { .. }
            | Self::Running { .. }
            | Self::Disk { .. } => false,
        }
    }
}
