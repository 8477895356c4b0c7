//! Keys for the local API.

use serde::{Deserialize, Serialize};
use specta::Type;

/// A key for the local API, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ApiKey {
    /// Its name; unique on this device.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used; `null` for never.
    pub last_used_at: Option<i64>,
}

/// A key that was made a moment ago.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct NewApiKey {
    /// Its name; unique on this device.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last used; `null`, for it is new.
    pub last_used_at: Option<i64>,
    /// What programs send. Told this once; this device keeps only a hash of it.
    pub secret: String,
}

impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey").field("name", &self.name).field("secret", &"hidden").finish_non_exhaustive()
    }
}
