//! The model library. Downloads are followed through `model_get_stream`.

use myownmesh_control::types::{CatalogueSource, KeptModel, ModelFamily, ModelImported, ModelRemoved, ModelShelf};

delegate! { library:
    /// The models of the catalogue, and how well each fits this device.
    model_search(search: Option<String>) -> Vec<ModelFamily>;
    /// Starts to download a model, or goes on with it; follow it with `model_get_stream`.
    model_get_start(model: String, from: Option<String>) -> String;
    /// Stops a download; what has arrived stays.
    model_get_stop(id: String) -> ();
    /// Deletes a model of this device.
    model_remove(model: String) -> ModelRemoved;
    /// Offers a GGUF file, which stays where it is.
    model_import(path: String) -> ModelImported;
    /// The models that are kept on this device.
    model_shelf() -> ModelShelf;
    /// Keeps a model, or no longer.
    model_pin(model: String, on: bool) -> KeptModel;
    /// Loads a model into memory.
    model_load(model: String) -> KeptModel;
    /// Takes a model out of memory.
    model_unload(model: String) -> KeptModel;
    /// Takes a catalogue from a URL in, or only the bundled one.
    catalogue_source(url: Option<String>) -> CatalogueSource;
}
