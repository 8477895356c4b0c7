//! `config.toml`: what a person may set down for this device. Flags of `serve` win over it and are not written to it.
//!
//! The file belongs to the person: comments and unknown keys survive our writes, and a file that cannot be read is
//! renamed aside, never overwritten.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use myownmesh_compute::library::HubUrl;
use toml_edit::{DocumentMut, Item, value};

use crate::files::{set_aside, write_private};
use crate::options::RelayChoice;
use crate::text::{listed, quotable};

const DEVICE_NAME: &str = "device_name";
const API_PORT: &str = "api_port";
const LISTEN: &str = "listen";
const RELAY: &str = "relay";
const API_LISTEN: &str = "api_listen";
const API_REQUIRES_KEY: &str = "api_requires_key";
const HUB: &str = "hub";
const MODEL_IDLE_MINUTES: &str = "model_idle_minutes";
const MODEL_MEMORY_MB: &str = "model_memory_mb";
const KNOWN: [&str; 9] =
    [DEVICE_NAME, API_PORT, LISTEN, RELAY, API_LISTEN, API_REQUIRES_KEY, HUB, MODEL_IDLE_MINUTES, MODEL_MEMORY_MB];

/// The file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: {cause}. Give this user the right to read and write it.", path.display())]
pub(crate) struct ConfigError {
    path: PathBuf,
    cause: io::Error,
}

/// What the file says; everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Name of this device as others see it.
    pub(crate) device_name: Option<String>,
    /// Port of the local API; 0 picks a free one.
    pub(crate) api_port: Option<u16>,
    /// Address to reach this device at.
    pub(crate) listen: Option<SocketAddr>,
    /// Relay to use.
    pub(crate) relay: Option<RelayChoice>,
    /// Address of this device that the local API listens on.
    pub(crate) api_listen: Option<IpAddr>,
    /// Whether the local API asks for a key, also on loopback.
    pub(crate) api_requires_key: Option<bool>,
    /// Hub that models are downloaded from.
    pub(crate) hub: Option<HubUrl>,
    /// Minutes that a model stays in memory that nobody asks; 0 for as long as there is room.
    pub(crate) model_idle_minutes: Option<u32>,
    /// Most memory that loaded models take together, in MB.
    pub(crate) model_memory_mb: Option<u64>,
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
}

impl ConfigFile {
    /// The file at `path`; it need not be there.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The home it lies in.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Reads it. What is wrong with it comes as sentences; a file that is no TOML at all is set aside.
    pub(crate) fn load(&self) -> Result<(Config, Vec<String>), ConfigError> {
        let document = match self.read()? {
            Ok(document) => document,
            Err(reason) => {
                let aside = set_aside(&self.path).map_err(|cause| self.failed(cause))?;
                let warning = format!(
                    "config.toml could not be read ({reason}), so it was set aside as {} and the defaults are used.",
                    aside.display()
                );
                return Ok((Config::default(), vec![warning]));
            }
        };
        Ok(interpret(&document))
    }

    /// Writes this device's name and leaves everything else as it is.
    pub(crate) fn set_device_name(&self, name: &str) -> Result<(), ConfigError> {
        let mut document = if let Ok(document) = self.read()? {
            document
        } else {
            set_aside(&self.path).map_err(|cause| self.failed(cause))?;
            DocumentMut::new()
        };
        document[DEVICE_NAME] = value(name);
        write_private(&self.path, document.to_string().as_bytes()).map_err(|cause| self.failed(cause))
    }

    /// The document, or why it is none.
    fn read(&self) -> Result<Result<DocumentMut, String>, ConfigError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Ok(DocumentMut::new())),
            Err(cause) => return Err(self.failed(cause)),
        };
        let Ok(text) = String::from_utf8(bytes) else { return Ok(Err("it is not text".to_owned())) };
        Ok(text.parse::<DocumentMut>().map_err(|error| quotable(error.message())))
    }

    fn failed(&self, cause: io::Error) -> ConfigError {
        ConfigError { path: self.path.clone(), cause }
    }
}

fn interpret(document: &DocumentMut) -> (Config, Vec<String>) {
    let mut warnings = Vec::new();
    let mut read = Reading { document, warnings: &mut warnings };
    let config = Config {
        device_name: read.key(DEVICE_NAME, "a name in quotes", |item| item.as_str().map(str::to_owned)),
        api_port: read.key(API_PORT, "a port from 0 to 65535", |item| item.as_integer()?.try_into().ok()),
        listen: read.key(LISTEN, "an address like \"0.0.0.0:4000\"", |item| item.as_str()?.parse().ok()),
        relay: read.key(RELAY, "a URL or \"none\", in quotes", |item| item.as_str()?.parse().ok()),
        api_listen: read.key(API_LISTEN, "an address like \"0.0.0.0\"", |item| item.as_str()?.parse().ok()),
        api_requires_key: read.key(API_REQUIRES_KEY, "true or false", Item::as_bool),
        hub: read.key(HUB, "the address of a hub like \"https://hub.example.org\"", |item| {
            HubUrl::parse(item.as_str()?).ok()
        }),
        model_idle_minutes: read
            .key(MODEL_IDLE_MINUTES, "a number of minutes", |item| item.as_integer()?.try_into().ok()),
        model_memory_mb: read.key(MODEL_MEMORY_MB, "a number of MB", |item| item.as_integer()?.try_into().ok()),
    };
    let unknown: Vec<String> =
        document.iter().map(|(key, _)| quotable(key)).filter(|key| !KNOWN.contains(&key.as_str())).collect();
    if !unknown.is_empty() {
        warnings.push(format!("config.toml has settings this version does not know: {}.", listed(&unknown, 5)));
    }
    (config, warnings)
}

struct Reading<'a> {
    document: &'a DocumentMut,
    warnings: &'a mut Vec<String>,
}

impl Reading<'_> {
    fn key<T>(&mut self, key: &str, expected: &str, read: impl FnOnce(&Item) -> Option<T>) -> Option<T> {
        let item = self.document.get(key)?;
        let read = read(item);
        if read.is_none() {
            self.warnings.push(format!("{key} in config.toml is not {expected}; the default is used."));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, ConfigFile) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.toml");
        fs::write(&path, text).expect("written");
        (folder, ConfigFile::at(path))
    }

    #[test]
    fn a_missing_file_means_the_defaults() {
        let folder = tempfile::tempdir().expect("folder");
        let file = ConfigFile::at(folder.path().join("config.toml"));
        assert_eq!(file.load().expect("fine"), (Config::default(), vec![]));
    }

    #[test]
    fn every_setting_is_read() {
        let text = b"device_name = \"Desk\"\napi_port = 0\nlisten = \"[::1]:9\"\nrelay = \"none\"\n\
                    api_listen = \"0.0.0.0\"\napi_requires_key = true\nhub = \"http://127.0.0.1:9/\"\n\
                    model_idle_minutes = 0\nmodel_memory_mb = 8000\n";
        let (_folder, file) = file(text);
        let (config, warnings) = file.load().expect("read");
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(
            config,
            Config {
                device_name: Some("Desk".to_owned()),
                api_port: Some(0),
                listen: Some("[::1]:9".parse().expect("address")),
                relay: Some(RelayChoice::Off),
                api_listen: Some("0.0.0.0".parse().expect("address")),
                api_requires_key: Some(true),
                hub: Some(HubUrl::parse("http://127.0.0.1:9").expect("address")),
                model_idle_minutes: Some(0),
                model_memory_mb: Some(8000),
            }
        );
    }

    #[test]
    fn wrong_and_unknown_settings_are_told_and_kept() {
        let text = "# mine\napi_port = 70000\nlisten = 4000\ncolour = \"blue\"\n";
        let (_folder, file) = file(text.as_bytes());
        let (config, warnings) = file.load().expect("read");
        assert_eq!(config, Config::default());
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[2].contains("colour"));
        file.set_device_name("Tür \"7\"").expect("written");
        let kept = fs::read_to_string(&file.path).expect("read");
        assert!(kept.starts_with(text), "{kept}");
        assert_eq!(file.load().expect("read").0.device_name.as_deref(), Some("Tür \"7\""));
    }

    #[test]
    fn a_broken_file_is_set_aside() {
        for broken in [&b"api_port = = 3"[..], b"\xff\xfe", b"[[["] {
            let (folder, file) = file(broken);
            let (config, warnings) = file.load().expect("read");
            assert_eq!(config, Config::default());
            assert!(warnings[0].contains("config.toml.broken-"), "{warnings:?}");
            assert!(!file.path.exists());
            let aside = fs::read_dir(folder.path()).expect("list").next().expect("one").expect("entry").path();
            assert_eq!(fs::read(aside).expect("kept"), broken);
        }
    }
}
