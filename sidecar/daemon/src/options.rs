//! What `serve` can be told at the start, and what it tells when it is ready.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use myownmesh_control::home::Home;
use serde::Serialize;

/// Port of the local API when nobody says otherwise.
pub const DEFAULT_API_PORT: u16 = 1473;

/// Flags of `serve`. They win over `config.toml` and are not saved in it.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The device's folder.
    pub home: Home,
    /// Port of the local API; 0 picks a free one; none: as configured, else [`DEFAULT_API_PORT`].
    pub api_port: Option<u16>,
    /// Address of this device that the local API listens on; none: as configured, else loopback. Beyond loopback it asks
    /// for a key.
    pub api_listen: Option<IpAddr>,
    /// Address to reach this device at; port 0 picks a free one.
    pub listen: Option<SocketAddr>,
    /// Relay to use; none: as configured, else no relay.
    pub relay: Option<RelayChoice>,
    /// Whether other devices may be found in the local network by multicast. Nothing in this version does, so `false`
    /// is kept as it is.
    pub mdns: bool,
    /// Engines to use besides those that are saved, by their base URLs.
    pub engines: Vec<String>,
    /// Whether the engine that comes with the app is used.
    pub builtin_engine: bool,
    /// Name of this device as others see it.
    pub device_name: Option<String>,
    /// Port of the WebSocket bridge for browsers (0 picks one); none: no bridge. Only in development builds.
    pub bridge_port: Option<u16>,
}

impl ServeOptions {
    /// The defaults of `serve` for this home.
    pub fn new(home: Home) -> Self {
        Self {
            home,
            api_port: None,
            api_listen: None,
            listen: None,
            relay: None,
            mdns: true,
            engines: Vec::new(),
            builtin_engine: true,
            device_name: None,
            bridge_port: None,
        }
    }
}

/// Which relay forwards (still encrypted) traffic when two devices cannot reach each other directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayChoice {
    /// None.
    Off,
    /// The relay at this `http` or `https` URL.
    Url(String),
}

/// The text is neither `none` nor the URL of a relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a relay. Give its URL, for example https://relay.example.org, or \"none\".")]
pub struct InvalidRelay(String);

impl FromStr for RelayChoice {
    type Err = InvalidRelay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::Off);
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace) => {
                Ok(Self::Url(text.to_owned()))
            }
            _ => Err(InvalidRelay(text.chars().filter(|c| !c.is_control()).take(80).collect())),
        }
    }
}

impl fmt::Display for RelayChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("none"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// What a daemon tells once it serves: the first line of `serve --json`, next to `"event":"ready"`.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// Version of the daemon.
    pub version: String,
    /// This device's id.
    pub device_id: String,
    /// This device's name.
    pub device_name: String,
    /// Base URL of the local API, `http://127.0.0.1:PORT/v1`.
    pub api: String,
    /// Path of the control socket.
    pub control: PathBuf,
    /// Addresses other devices can reach this one at, `IP:PORT`.
    pub listen: Vec<String>,
    /// URL of the WebSocket bridge, its token included, in development builds that were asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_none_or_a_url() {
        assert_eq!("none".parse(), Ok(RelayChoice::Off));
        assert_eq!("https://relay.example.org".parse(), Ok(RelayChoice::Url("https://relay.example.org".to_owned())));
        for bad in ["", "relay.example.org", "ftp://x", "https://", "https:///x", "http://a b"] {
            assert!(bad.parse::<RelayChoice>().is_err(), "{bad}");
        }
    }
}
