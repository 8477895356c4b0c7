//! The model library. Downloads are followed through `model_get_stream`.

use myownmesh_control::types::{ModelFamily, ModelImported, ModelRemoved};

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
}
