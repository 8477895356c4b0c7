//! The model library. Downloads are followed through `model_get_stream`.

use myownmesh_control::types::ModelFamily;

delegate! { library:
    /// The models of the catalogue, and how well each fits this device.
    model_search(search: Option<String>) -> Vec<ModelFamily>;
    /// Starts to download a model, or goes on with it; follow it with `model_get_stream`.
    model_get_start(model: String, from: Option<String>) -> String;
    /// Stops a download; what has arrived stays.
    model_get_stop(id: String) -> ();
}
