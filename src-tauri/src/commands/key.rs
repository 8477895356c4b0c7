//! Keys for the local API.

use myownmesh_control::types::{ApiKey, NewApiKey};

delegate! {
    /// Makes a key for the local API; its secret is told this once.
    key_create(name: String) -> NewApiKey;
    /// The keys for the local API.
    key_list() -> Vec<ApiKey>;
    /// Ends a key for the local API.
    key_revoke(name: String) -> ApiKey;
}
