//! Engines and models.

use myownmesh_control::types::{Engine, EngineSpec, Hardware, Model};

delegate! {
    /// Local compute backends.
    engine_list() -> Vec<Engine>;
    /// Adds an engine after asking it who it is.
    engine_add(spec: EngineSpec) -> Engine;
    /// Removes an engine.
    engine_remove(id: String) -> ();
    /// Asks an engine again and tells what it says.
    engine_test(id: String) -> Engine;
    /// Every model reachable now, here and on peers.
    model_list() -> Vec<Model>;
    /// What this device is made of.
    hardware() -> Hardware;
}
