//! An engine's address, parsed once.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::ComputeError;
use crate::error::quotable;

/// Longest accepted address, in bytes.
const MAX_LEN: usize = 2048;

/// The base address of an engine: http or https, no user name, password, query or fragment, without the trailing
/// `/v1` that people paste along. `Display` is safe for logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineUrl(Url);

impl EngineUrl {
    /// Parses what a person wrote: `http://host:port`, `https://host/path/v1`, or `host:port`.
    ///
    /// # Errors
    /// [`ComputeError::InvalidUrl`], with the reason.
    pub fn parse(given: &str) -> Result<Self, ComputeError> {
        let refused = |Refusal { given, reason }| ComputeError::InvalidUrl { given, reason };
        let mut url = base(given).map_err(refused)?;
        let path = url.path().trim_end_matches('/');
        let base = path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/').to_owned();
        url.set_path(&base);
        Ok(Self(url))
    }

    /// The address of `path` (which starts with a slash) below this base.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the host is this machine, by name or number.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Host and port as an engine id: `127.0.0.1-8080`.
    pub(crate) fn id_text(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port_or_known_default().unwrap_or_default();
        format!("{host}-{port}{}", self.0.path().trim_end_matches('/'))
    }
}

/// Why a text is no address. What is said of it never holds a password.
pub(crate) struct Refusal {
    /// The text, shortened and without control characters; `(hidden)` when it may hold a secret.
    pub(crate) given: String,
    /// What is wrong with it.
    pub(crate) reason: &'static str,
}

/// Reads the base address of a server from what a person wrote: http or https (http when they left it out), no user
/// name, password, query or fragment.
pub(crate) fn base(given: &str) -> Result<Url, Refusal> {
    let text = given.trim();
    let refuse = |reason| Err(Refusal { given: quotable(text), reason });
    // Never echo what may hold a password.
    let hidden = |reason| Err(Refusal { given: "(hidden)".to_owned(), reason });
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > MAX_LEN {
        return refuse("it is too long");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("it contains spaces or control characters");
    }
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let Ok(url) = Url::parse(&full) else {
        if text.contains('@') {
            return hidden("it cannot be read");
        }
        return refuse("it cannot be read");
    };
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return hidden("it contains a user name or password; give a key with --key-stdin instead");
    }
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("only http and https are spoken");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return hidden("it contains a query or fragment; only the base address is needed");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return refuse("it names no host");
    }
    Ok(url)
}

/// Whether the host of `url` is this machine, by name or number.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for EngineUrl {
    type Err = ComputeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EngineUrl {
    type Error = ComputeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EngineUrl> for String {
    fn from(url: EngineUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_paste_becomes_one_base() {
        for given in [
            "http://127.0.0.1:8080",
            " http://127.0.0.1:8080/ ",
            "http://127.0.0.1:8080/v1",
            "http://127.0.0.1:8080/v1/",
            "127.0.0.1:8080",
            "127.0.0.1:8080/v1",
        ] {
            let url = EngineUrl::parse(given).expect(given);
            assert_eq!(url.to_string(), "http://127.0.0.1:8080", "{given}");
            assert_eq!(url.join("/v1/models").as_str(), "http://127.0.0.1:8080/v1/models", "{given}");
        }
        let deep = EngineUrl::parse("https://example.org/api/v1").expect("deep");
        assert_eq!(deep.to_string(), "https://example.org/api");
        assert_eq!(deep.join("/v1/models").as_str(), "https://example.org/api/v1/models");
        assert_eq!(EngineUrl::parse("localhost:11434").expect("name").to_string(), "http://localhost:11434");
    }

    #[test]
    fn what_is_no_engine_address_says_why() {
        for (given, reason) in [
            ("", "empty"),
            ("ftp://host", "http and https"),
            ("http://", "cannot be read"),
            ("http://a b", "spaces"),
            ("http://host:99999", "cannot be read"),
            ("http://host/?key=abc", "query"),
            ("http://host/#x", "query or fragment"),
        ] {
            let error = EngineUrl::parse(given).expect_err(given);
            assert_eq!(error.kind().as_str(), "invalid_url");
            assert!(error.to_string().contains(reason), "{given}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for given in ["http://me:hunter2@host", "http://me:hunter2@host:bad", "http://host/?api_key=hunter2"] {
            let error = EngineUrl::parse(given).expect_err(given).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        for given in ["localhost:1", "127.0.0.1:1", "127.9.9.9:1", "http://[::1]:1"] {
            assert!(EngineUrl::parse(given).expect(given).is_loopback(), "{given}");
        }
        for given in ["10.0.0.1:1", "https://example.org", "localhost.example.org:1"] {
            assert!(!EngineUrl::parse(given).expect(given).is_loopback(), "{given}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(given in ".{0,80}") {
            if let Ok(url) = EngineUrl::parse(&given) {
                prop_assert_eq!(EngineUrl::parse(&url.to_string()).expect("its own text"), url);
            }
        }
    }
}
