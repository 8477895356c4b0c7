//! How the devices of one network find and reach each other: the part of the membership document that owners set by
//! [`Settings`](super::record::Body::Settings) records. Values are parsed here, once; everything past this file holds
//! addresses that are well formed and within bounds.

use serde::{Deserialize, Serialize};

/// Most relays a network may name.
pub const MAX_RELAYS: usize = 8;
/// Longest address of a relay or lookup server, in bytes.
pub const MAX_URL_BYTES: usize = 256;

/// How devices of a network find and reach each other.
///
/// The defaults contact nothing outside the local network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSettings {
    /// Relays for devices that cannot reach each other directly; `http` or `https` URLs, most preferred first.
    pub relays: Vec<String>,
    /// A pkarr server where members publish and look up each other's addresses; `None`: nothing is published.
    pub lookup: Option<String>,
    /// Whether members find each other by multicast DNS on the local network.
    pub mdns: bool,
    /// Whether members announce the network's name on the local network, so that devices nearby can knock.
    pub announce: bool,
    /// One switch that overrules relays and lookup: nothing beyond the local network is contacted.
    pub air_gapped: bool,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { relays: Vec::new(), lookup: None, mdns: true, announce: false, air_gapped: false }
    }
}

/// Why settings are refused. Reads as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// More than [`MAX_RELAYS`].
    #[error("A network names at most {MAX_RELAYS} relays. Leave some out.")]
    TooManyRelays,
    /// Not an `http` or `https` URL within bounds.
    #[error(
        "\"{0}\" is not the address of a server. It begins with https:// or http:// and has at most {MAX_URL_BYTES} bytes."
    )]
    BadUrl(String),
}

impl NetworkSettings {
    /// Checks bounds and addresses.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.relays.len() > MAX_RELAYS {
            return Err(SettingsError::TooManyRelays);
        }
        self.relays.iter().chain(&self.lookup).try_for_each(|url| check_url(url))
    }

    /// The relays that are used: none behind an air gap.
    pub fn active_relays(&self) -> &[String] {
        if self.air_gapped { &[] } else { &self.relays }
    }

    /// The lookup server that is used: none behind an air gap.
    pub fn active_lookup(&self) -> Option<&str> {
        if self.air_gapped { None } else { self.lookup.as_deref() }
    }
}

fn check_url(text: &str) -> Result<(), SettingsError> {
    // `RelayUrl` is a parsed URL with a host; what it takes is what the endpoint will be given.
    let parsed = (text.len() <= MAX_URL_BYTES).then(|| text.parse::<iroh::RelayUrl>().ok()).flatten();
    match parsed {
        Some(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(()),
        _ => Err(SettingsError::BadUrl(text.chars().take(64).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_contact_nothing_outside() {
        let settings = NetworkSettings::default();
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.active_relays().is_empty() && settings.active_lookup().is_none() && !settings.announce);
    }

    #[test]
    fn an_air_gap_overrules_servers_and_keeps_them() {
        let settings = NetworkSettings {
            relays: vec!["https://relay.example".into()],
            lookup: Some("https://pkarr.example/".into()),
            air_gapped: true,
            ..NetworkSettings::default()
        };
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.active_relays().is_empty() && settings.active_lookup().is_none());
        assert_eq!(settings.relays.len(), 1);
    }

    #[test]
    fn addresses_are_checked() {
        let with = |relay: &str| NetworkSettings { relays: vec![relay.to_owned()], ..NetworkSettings::default() };
        for bad in ["", "relay.example", "ftp://relay.example", "https://", "file:///etc/passwd", "javascript:1"] {
            assert!(matches!(with(bad).check(), Err(SettingsError::BadUrl(_))), "{bad}");
        }
        assert!(matches!(with(&format!("https://{}.example", "a".repeat(300))).check(), Err(SettingsError::BadUrl(_))));
        let many = NetworkSettings { relays: vec!["http://10.0.0.1:3340".into(); 9], ..NetworkSettings::default() };
        assert_eq!(many.check(), Err(SettingsError::TooManyRelays));
    }
}
