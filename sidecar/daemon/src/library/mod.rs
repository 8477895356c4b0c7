//! The model library at work: what of the catalogue suits this device, and downloads that are followed like answers.
//!
//! A download belongs to the daemon, not to who started it: a second start of the same one follows the first, and one
//! that was stopped, or cut off by the end of the process, goes on where it was when it is started again.

mod catalogues;
mod get;
mod keep;
mod kept;
mod lent;
mod member;
mod notes;
mod pull;
mod shelf;
mod underway;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use myownmesh_compute::library::{
    Download, DownloadConfig, DownloadError, Downloads, FilePart, Holder, HubUrl, Variant,
};
use myownmesh_compute::{Compute, EngineId, Hardware, model_id};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{
    KeptModel, ModelFamily, ModelGetEvent, ModelImported, ModelRemoved, ModelShelf, ModelState,
};
use myownmesh_mesh::{DeviceId, Mesh};
use tokio_util::sync::CancellationToken;

use crate::convert::OrControl;
use crate::streams::{Stream, Streams};

use member::Member;

pub(crate) use catalogues::Catalogues;
pub(crate) use keep::KeepError;
pub(crate) use lent::{Lent, LentError, Sending};
pub(crate) use member::PATH as MODELS_PATH;
pub(crate) use notes::Notes;
pub(crate) use underway::{AllUnderway, Underway};

/// How many of the newest events of a download are kept; its last one says all that counts.
const KEPT_EVENTS: usize = 64;

/// The library did not do what was asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LibraryError {
    /// The catalogue has no such id.
    #[error("There is no model \"{id}\" in the catalogue. `myownmesh model search` shows what there is.")]
    Unknown {
        /// The id.
        id: String,
    },
    /// Nothing of what the id means can run here.
    #[error(
        "None of it can run on this device. `myownmesh model search` shows what can. To download it all the same, name a variant, for example {least}."
    )]
    TooBig {
        /// The smallest variant.
        least: String,
    },
    /// It is to come from this very device.
    #[error("Models come to this device from others. Name another member, the hub, or nothing.")]
    FromHere,
    /// Nothing on this device is called this.
    #[error("There is no model \"{id}\" on this device. `myownmesh model list` shows what there is.")]
    NotKept {
        /// What was asked for.
        id: String,
    },
    /// It is on its way.
    #[error("\"{id}\" is still being downloaded. Wait for that to end, then try again.")]
    Coming {
        /// What was asked for.
        id: String,
    },
    /// There is no such download.
    #[error("There is no such download. It may have ended long ago; start it again.")]
    NoDownload,
    /// The download could not be started.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// The handle; clones share the downloads.
#[derive(Clone)]
pub(crate) struct Library {
    folder: PathBuf,
    compute: Compute,
    downloads: Downloads,
    gets: Streams<ModelGetEvent>,
    notes: Notes,
    underway: AllUnderway,
    lent: Lent,
    mesh: Mesh,
    catalogues: Catalogues,
}

/// Where a download may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A member that is near and has it, else the hub.
    Auto,
    /// The hub.
    Hub,
    /// This member.
    Member(DeviceId),
}

/// A variant that was chosen, ready to be downloaded.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    id: String,
    files: Vec<myownmesh_compute::library::HubFile>,
    /// Path of its weights, when it is here.
    weights: PathBuf,
}

impl Chosen {
    /// What others see of its download.
    fn underway(&self) -> Underway {
        Underway {
            variant: Some(self.id.clone()),
            // What no engine here runs has no such id; its file's name is what people know it by.
            model: model_id(&self.weights).unwrap_or_else(|| self.id.clone()),
            engine: EngineId::builtin().to_string(),
            size_bytes: None,
            percent: None,
        }
    }
}

/// What an id means.
pub(crate) enum Meaning {
    /// This variant.
    One(Chosen),
    /// It depends on the hardware.
    Several,
}

impl Library {
    /// Models go into `folder`, which an engine of `compute` reads, and come from `hub`. `stop` pauses all downloads.
    pub(crate) fn start(
        (compute, mesh): (Compute, Mesh),
        (notes, lent, catalogues): (Notes, Lent, Catalogues),
        folder: PathBuf,
        hub: HubUrl,
        stop: CancellationToken,
    ) -> Self {
        let downloads = Downloads::new(DownloadConfig::new(folder.clone(), hub));
        let gets = Streams::start(KEPT_EVENTS, stop);
        Self { folder, compute, downloads, gets, notes, underway: AllUnderway::default(), lent, mesh, catalogues }
    }

    /// What is on its way to this device.
    pub(crate) fn underway(&self) -> &AllUnderway {
        &self.underway
    }

    /// Where the catalogue comes from.
    pub(crate) fn catalogues(&self) -> &Catalogues {
        &self.catalogues
    }

    /// What is kept in mind of the models here.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The models that are kept on this device.
    pub(crate) async fn shelf(&self) -> Result<ModelShelf, ControlError> {
        let library = self.clone();
        let look = move || {
            let (families, compute, underway) =
                (library.catalogues.families(), library.compute.snapshot(), library.underway.list());
            let stock = kept::Stock {
                folder: &library.folder,
                families: &families,
                compute: &compute,
                notes: &library.notes,
                underway: &underway,
                catalogue: library.catalogues.source(),
            };
            stock.shelf()
        };
        tokio::task::spawn_blocking(look).await.map_err(|error| ended_badly(&error))
    }

    /// The model on this device that `id` names: what it is offered under, or its variant.
    async fn kept(&self, id: &str) -> Result<KeptModel, ControlError> {
        let id = id.trim();
        let models = self.shelf().await?.models;
        let variant = id.to_lowercase();
        let found = models.iter().find(|model| model.id == id);
        let found = found.or_else(|| models.iter().find(|model| model.variant.as_ref() == Some(&variant)));
        let found = found.ok_or_else(|| LibraryError::NotKept { id: crate::text::quotable(id) }).or_control()?;
        if found.state == ModelState::Downloading {
            return Err(LibraryError::Coming { id: crate::text::quotable(id) }).or_control();
        }
        Ok(found.clone())
    }

    /// Keeps a model, or no longer.
    pub(crate) async fn pin(&self, id: &str, on: bool) -> Result<KeptModel, ControlError> {
        let model = self.kept(id).await?;
        self.notes.pin(&model.engine, &model.id, on).await.or_control()?;
        if model.engine == EngineId::builtin().as_str() {
            self.compute.pin(&model.id, on).await.or_control()?;
        }
        self.kept(&model.id).await
    }

    /// Loads a model into memory.
    pub(crate) async fn load(&self, id: &str) -> Result<KeptModel, ControlError> {
        let model = self.kept(id).await?;
        self.compute.preload(&model.id, model.pinned).await.or_control()?;
        self.kept(&model.id).await
    }

    /// Takes a model out of memory.
    pub(crate) async fn unload(&self, id: &str) -> Result<KeptModel, ControlError> {
        let model = self.kept(id).await?;
        self.compute.unload(&model.id).await.or_control()?;
        self.kept(&model.id).await
    }

    /// The models that `search` finds, and how well they fit. Blocks: it looks at the models folder.
    pub(crate) fn search(&self, search: &str, hardware: &Hardware) -> Vec<ModelFamily> {
        shelf::search(&self.catalogues.families(), search, hardware, |variant| self.has(variant))
    }

    /// Whether all files of a variant are here. A file gets its name when it is complete and verified.
    fn has(&self, variant: &Variant) -> bool {
        variant.files.iter().all(|file| self.folder.join(file.name.file_name().as_str()).is_file())
    }

    /// What an id means.
    pub(crate) fn meaning(&self, id: &str) -> Result<Meaning, LibraryError> {
        let families = self.catalogues.families();
        let found = shelf::candidates(&families, id)?;
        Ok(match found.as_slice() {
            [one] => Meaning::One(self.chosen(one)),
            _ => Meaning::Several,
        })
    }

    /// What of all that an id means fits this hardware best.
    pub(crate) fn best(&self, id: &str, hardware: &Hardware) -> Result<Chosen, LibraryError> {
        let families = self.catalogues.families();
        let found = shelf::candidates(&families, id)?;
        Ok(self.chosen(&shelf::best(&found, hardware)?))
    }

    fn chosen(&self, entry: &shelf::Entry<'_>) -> Chosen {
        // Every variant has weights: the catalogue is refused otherwise.
        let weights = entry.variant.files.iter().find(|file| file.part == FilePart::Weights);
        let name = weights.map(|file| file.name.file_name().to_string()).unwrap_or_default();
        Chosen { id: entry.variant.id.to_string(), files: entry.files(), weights: self.folder.join(name) }
    }

    /// Starts to download it, or finds the download that runs; gives the stream's id.
    pub(crate) async fn get(&self, chosen: Chosen, from: From) -> Result<String, LibraryError> {
        if let Some(running) = self.gets.running().await.remove(&chosen.id) {
            return Ok(running);
        }
        let members = match from {
            From::Hub => Vec::new(),
            From::Member(device) => vec![device],
            From::Auto => {
                let model = model_id(&chosen.weights).unwrap_or_default();
                member::near(&self.mesh.snapshot(), &model)
            }
        };
        let holder = |device| Arc::new(Member::new(&self.mesh, device, &chosen.id)) as Arc<dyn Holder>;
        let holders = members.into_iter().map(holder).collect();
        let hub = !matches!(from, From::Member(_));
        let download: Download = self.downloads.start_from(chosen.files.clone(), holders, hub)?;
        let (parts, topic) = ((self.compute.clone(), self.lent.clone()), chosen.id.clone());
        let telling = self.underway.begin(topic.clone(), chosen.underway());
        Ok(self.gets.spawn(Some(topic), |stream| get::follow(download, chosen, parts, telling, stream)).await)
    }

    /// Has Ollama fetch a model by its name there, or finds the fetching that runs; gives the stream's id.
    pub(crate) async fn pull(&self, name: &str) -> Result<String, ControlError> {
        let (name, topic) = (name.trim().to_owned(), format!("{}/{}", pull::OLLAMA, name.trim()));
        if let Some(running) = self.gets.running().await.remove(&topic) {
            return Ok(running);
        }
        let (id, pulling) = self.compute.pull(&name).await.or_control()?;
        let what =
            Underway { variant: None, model: name.clone(), engine: id.to_string(), size_bytes: None, percent: None };
        let (telling, compute) = (self.underway.begin(topic.clone(), what), self.compute.clone());
        let work = |stream| pull::follow((id, pulling), name, compute, telling, stream);
        Ok(self.gets.spawn(Some(topic), work).await)
    }

    /// Deletes the model that `id` names; it is not offered any more when this returns.
    pub(crate) async fn remove(&self, id: String) -> Result<ModelRemoved, ControlError> {
        let running = self.gets.running().await;
        if running.contains_key(&id.trim().to_lowercase()) {
            return Err(KeepError::Downloading { id: crate::text::quotable(&id) }).or_control();
        }
        let kept = self.kept(&id).await.ok();
        if let Some(model) = kept.as_ref().filter(|model| model.engine != EngineId::builtin().as_str())
            && self.compute.delete(&model.id).await.or_control()?
        {
            self.notes.forget(&model.engine, &model.id).await.or_control()?;
            // Parts that other models share stay, so it may be less that is freed.
            return Ok(ModelRemoved { files: Vec::new(), freed_bytes: model.size_bytes.unwrap_or_default() });
        }
        let (folder, families) = (self.folder.clone(), self.catalogues.families());
        let work = move || keep::remove(&folder, &families, &id);
        let removed = tokio::task::spawn_blocking(work).await.map_err(|error| ended_badly(&error))?.or_control()?;
        get::read_folder(&self.compute).await;
        if let Some(model) = kept {
            self.notes.forget(&model.engine, &model.id).await.or_control()?;
            self.compute.pin(&model.id, false).await.or_control()?;
        }
        Ok(removed)
    }

    /// Takes in the model at `path`, which stays where it is; it is offered when this returns.
    pub(crate) async fn import(&self, path: &Path) -> Result<ModelImported, ControlError> {
        let (folder, path) = (self.folder.clone(), path.to_owned());
        let work = move || keep::import(&folder, &path);
        let (at, _) = tokio::task::spawn_blocking(work).await.map_err(|error| ended_badly(&error))?.or_control()?;
        Ok(ModelImported { model: get::offer(&at, &self.compute).await, path: at.display().to_string() })
    }

    /// The download with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Stream<ModelGetEvent>, ControlError> {
        self.gets.find(id).await.ok_or(LibraryError::NoDownload).or_control()
    }

    /// Waits until every download is written down; call it after the stop.
    pub(crate) async fn ended(&self) {
        tokio::join!(self.gets.ended(), self.downloads.shutdown());
    }
}

fn ended_badly(error: &tokio::task::JoinError) -> ControlError {
    tracing::error!(%error, "work on the models folder ended badly");
    let message = "The models folder could not be changed; the daemon's log tells why. Please report this.";
    ControlError::new(ErrorCode::Internal, message)
}
