//! The third part of the contract, answered: the model library.

use std::path::Path;

use jsonrpsee::PendingSubscriptionSink;
use jsonrpsee::core::{SubscriptionResult, async_trait};
use myownmesh_control::api::library::LibraryApiServer;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{
    CatalogueSource, Event, KeptModel, ModelFamily, ModelImported, ModelRemoved, ModelShelf,
};

use super::{Control, follow, hardware};
use crate::convert::{IntoControl, OrControl};
use crate::daemon::Daemon;
use crate::library::{From, LibraryError, Meaning};

#[async_trait]
impl LibraryApiServer for Control {
    async fn model_search(&self, search: Option<String>) -> Result<Vec<ModelFamily>, ControlError> {
        let library = self.daemon.library.clone();
        hardware::look(move |hardware| library.search(search.as_deref().unwrap_or_default(), hardware)).await
    }

    async fn model_get_start(&self, model: String, from: Option<String>) -> Result<String, ControlError> {
        get(&self.daemon, model, from.as_deref()).await
    }

    async fn model_get_events(&self, pending: PendingSubscriptionSink, id: String, after: u64) -> SubscriptionResult {
        follow::download(&self.daemon, pending, &id, after).await
    }

    async fn model_get_stop(&self, id: String) -> Result<(), ControlError> {
        self.daemon.library.find(&id).await?.cancel.cancel();
        Ok(())
    }

    async fn model_remove(&self, model: String) -> Result<ModelRemoved, ControlError> {
        self.daemon.library.remove(model).await
    }

    async fn model_import(&self, path: String) -> Result<ModelImported, ControlError> {
        self.daemon.library.import(Path::new(&path)).await
    }

    async fn model_shelf(&self) -> Result<ModelShelf, ControlError> {
        self.daemon.library.shelf().await
    }

    async fn model_pin(&self, model: String, on: bool) -> Result<KeptModel, ControlError> {
        let kept = self.daemon.library.pin(&model, on).await?;
        self.daemon.events.push(Event::ShelfChanged);
        Ok(kept)
    }

    async fn model_load(&self, model: String) -> Result<KeptModel, ControlError> {
        self.daemon.library.load(&model).await
    }

    async fn model_unload(&self, model: String) -> Result<KeptModel, ControlError> {
        self.daemon.library.unload(&model).await
    }

    async fn catalogue_source(&self, url: Option<String>) -> Result<CatalogueSource, ControlError> {
        self.daemon.library.catalogues().set(url.as_deref()).await
    }
}

async fn get(daemon: &Daemon, model: String, from: Option<&str>) -> Result<String, ControlError> {
    let from = match from.map(str::trim) {
        None | Some("" | "auto") => From::Auto,
        Some("hub") => From::Hub,
        Some("ollama") => return daemon.library.pull(&model).await,
        Some(name) => {
            let device = daemon.find_device(name)?;
            if device == daemon.picture().device_id {
                return Err(LibraryError::FromHere.into_control());
            }
            From::Member(device)
        }
    };
    let chosen = match daemon.library.meaning(&model).or_control()? {
        Meaning::One(chosen) => chosen,
        Meaning::Several => {
            let library = daemon.library.clone();
            hardware::look(move |hardware| library.best(&model, hardware)).await?.or_control()?
        }
    };
    daemon.library.get(chosen, from).await.or_control()
}
