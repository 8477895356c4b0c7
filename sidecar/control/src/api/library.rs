//! The requests about the model library: what can be had, and getting it. A trait of its own, at the same socket.

use jsonrpsee::core::SubscriptionResult;
use jsonrpsee::proc_macros::rpc;

use crate::error::ControlError;
use crate::types::{CatalogueSource, KeptModel, ModelFamily, ModelGetItem, ModelImported, ModelRemoved, ModelShelf};

/// Models that can be downloaded. The trait generates `LibraryApiServer` for the daemon and `LibraryApiClient` for
/// everyone else.
#[rpc(server, client)]
pub trait LibraryApi {
    /// The models of the catalogue, and how well each fits this device. `search` keeps those that have each of its
    /// words in a name, an id, the publisher, the licence or a purpose.
    #[method(name = "model_search", param_kind = map)]
    async fn model_search(&self, search: Option<String>) -> Result<Vec<ModelFamily>, ControlError>;

    /// Starts to download a model into the models folder, or goes on with it; follow it with `model_get_events`. `model`
    /// is the id of a variant, of a model or of a family; of the latter two, what fits this device best is taken.
    /// `from` is `auto`, `hub`, `ollama`, or a member that has it;
    /// `auto` when not given. One that is being downloaded is not started twice.
    #[method(name = "model_get_start", param_kind = map)]
    async fn model_get_start(&self, model: String, from: Option<String>) -> Result<String, ControlError>;

    /// The events of a download, resumable.
    #[subscription(name = "model_get_subscribe" => "model_get_item", unsubscribe = "model_get_unsubscribe", item = ModelGetItem, param_kind = map)]
    async fn model_get_events(&self, id: String, after: u64) -> SubscriptionResult;

    /// Stops a download; what has arrived stays.
    #[method(name = "model_get_stop", param_kind = map)]
    async fn model_get_stop(&self, id: String) -> Result<(), ControlError>;

    /// Deletes a model of this device. `model` is the id of a variant, or what a model is offered under. Files that
    /// another variant needs stay, and so does an imported file.
    #[method(name = "model_remove", param_kind = map)]
    async fn model_remove(&self, model: String) -> Result<ModelRemoved, ControlError>;

    /// Offers the GGUF file at this absolute path, which stays where it is.
    #[method(name = "model_import", param_kind = map)]
    async fn model_import(&self, path: String) -> Result<ModelImported, ControlError>;

    /// The models that are kept on this device.
    #[method(name = "model_shelf", param_kind = map)]
    async fn model_shelf(&self) -> Result<ModelShelf, ControlError>;

    /// Keeps a model, in memory too, or no longer.
    #[method(name = "model_pin", param_kind = map)]
    async fn model_pin(&self, model: String, on: bool) -> Result<KeptModel, ControlError>;

    /// Loads a model into memory; answers when it is loaded.
    #[method(name = "model_load", param_kind = map)]
    async fn model_load(&self, model: String) -> Result<KeptModel, ControlError>;

    /// Takes a model out of memory; answers that it is giving are let end.
    #[method(name = "model_unload", param_kind = map)]
    async fn model_unload(&self, model: String) -> Result<KeptModel, ControlError>;

    /// Takes a catalogue from a URL in as well, or (without one) only the bundled one, and fetches it at once.
    #[method(name = "catalogue_source", param_kind = map)]
    async fn catalogue_source(&self, url: Option<String>) -> Result<CatalogueSource, ControlError>;
}
