//! The address of a catalogue, parsed once.

use std::fmt;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::CatalogueError;
use crate::error::quotable;

/// Longest address, in bytes.
const MAX_LEN: usize = 2048;

/// An address of a catalogue: http or https, without user name, password or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CatalogueUrl(Url);

impl CatalogueUrl {
    /// Parses what a person wrote.
    ///
    /// # Errors
    /// [`CatalogueError::Url`], with the reason.
    pub fn parse(given: &str) -> Result<Self, CatalogueError> {
        let text = given.trim();
        Self::check(text, Url::parse(text).ok())
    }

    /// Parses what a catalogue at this address imports: another address, or one seen from here.
    ///
    /// # Errors
    /// [`CatalogueError::Url`], with the reason.
    pub fn import(&self, given: &str) -> Result<Self, CatalogueError> {
        let text = given.trim();
        Self::check(text, self.0.join(text).ok())
    }

    fn check(text: &str, url: Option<Url>) -> Result<Self, CatalogueError> {
        let refuse = |reason| Err(CatalogueError::Url { given: quotable(text), reason });
        if text.is_empty() || text.len() > MAX_LEN {
            return refuse("it is empty or too long");
        }
        let Some(mut url) = url else { return refuse("it cannot be read") };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return refuse("only http and https are spoken");
        }
        if !url.username().is_empty() || url.password().is_some() {
            let reason = "it contains a user name or password";
            return Err(CatalogueError::Url { given: "(hidden)".to_owned(), reason });
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// As a URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for CatalogueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for CatalogueUrl {
    type Error = CatalogueError;

    fn try_from(text: String) -> Result<Self, CatalogueError> {
        Self::parse(&text)
    }
}

impl From<CatalogueUrl> for String {
    fn from(url: CatalogueUrl) -> Self {
        url.to_string()
    }
}
