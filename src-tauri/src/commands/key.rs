//! The local API: how it is reached, what it is asked, its keys.

use myownmesh_control::types::{ApiKey, ApiRequest, KeyScope, LocalApi, NewApiKey};

delegate! {
    /// How programs reach this device's models.
    local_api() -> LocalApi;
    /// The newest requests at the local API.
    api_request_list() -> Vec<ApiRequest>;
    /// Makes a key for the local API; its secret is told this once.
    key_create(name: String, scopes: Option<Vec<KeyScope>>) -> NewApiKey;
    /// The keys for the local API.
    key_list() -> Vec<ApiKey>;
    /// Ends a key for the local API.
    key_revoke(name: String) -> ApiKey;
}
