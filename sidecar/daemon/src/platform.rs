//! What differs between operating systems: permissions, the folder for sockets, the keychain, the name of the system,
//! the signals that end a process. Linux is what runs in the tests; the rest is kept this small on purpose.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

/// Name of this operating system as other devices show it.
pub(crate) fn os_name() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "macOS",
        "windows" => "Windows",
        other => other,
    }
}

/// Name of this device when nobody gave it one: the host's name.
pub(crate) fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    let short = name.split('.').next().unwrap_or_default().trim();
    (!short.is_empty() && short != "localhost").then(|| short.to_owned())
}

/// Whether this device has a microphone; none where the system does not tell.
pub(crate) fn microphone() -> Option<bool> {
    #[cfg(target_os = "linux")]
    return std::fs::read_to_string("/proc/asound/pcm").ok().map(|devices| records_sound(&devices));
    #[cfg(not(target_os = "linux"))]
    None
}

/// Whether one of ALSA's devices captures: lines such as `00-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1`.
#[cfg(target_os = "linux")]
fn records_sound(devices: &str) -> bool {
    devices.lines().any(|line| line.split(':').any(|part| part.trim_start().starts_with("capture ")))
}

/// Makes a folder and those above it; new ones have mode 0700. One that is there is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Tightens a folder of ours to mode 0700.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    #[cfg(not(unix))]
    let _ = path; // A user's profile folder is private by its access list.
    Ok(())
}

/// Tightens a file of ours to mode 0600.
pub(crate) fn make_private_file(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Refuses a folder in a shared place that somebody else made, or that others can enter.
pub(crate) fn check_private_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::symlink_metadata(path)?;
        let ours =
            metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
        if !ours {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can enter it"));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// `options` for a file that only this user can read.
pub(crate) fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a rename in `folder` last.
pub(crate) fn sync_dir(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Makes `at` refer to the file `to`, which stays where it is. Windows lets only some users do that, and says so.
pub(crate) fn refer(to: &Path, at: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, at);
    #[cfg(windows)]
    return std::os::windows::fs::symlink_file(to, at);
    #[cfg(not(any(unix, windows)))]
    return Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("no links from {} to {}", at.display(), to.display()),
    ));
}

/// A short folder for sockets: the user's runtime folder, else the one for temporary files.
pub(crate) fn runtime_dir() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

/// Completes when the system asks this process to end (SIGTERM, SIGINT; Ctrl-C elsewhere).
pub(crate) async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// The operating system's keychain. All calls block, and may wait for a person to unlock it.
pub(crate) mod keychain {
    /// Service that entries are filed under.
    #[cfg(target_os = "linux")]
    const SERVICE: &str = "myownmesh";

    /// Why an entry could not be read or written, in words without secrets.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    pub(crate) struct KeychainError(String);

    impl KeychainError {
        pub(super) fn new(text: impl Into<String>) -> Self {
            Self(text.into())
        }

        /// The keychain did not answer in time.
        pub(crate) fn silent() -> Self {
            Self::new("it does not answer; it may be locked")
        }

        /// The keychain took an entry and does not have it.
        pub(crate) fn forgetful() -> Self {
            Self::new("it does not keep what it is given")
        }
    }

    #[cfg(target_os = "linux")]
    mod stored {
        use keyring_core::api::CredentialStoreApi;
        use keyring_core::{Entry, Error};
        use zbus_secret_service_keyring_store::Store;

        use super::{KeychainError, SERVICE};

        fn said(error: &Error) -> KeychainError {
            // The variants with payloads may hold what was stored: only kinds are told.
            KeychainError::new(match error {
                Error::NoStorageAccess(_) => "it is locked or refuses access",
                Error::PlatformFailure(_) => "no keychain service answers in this session",
                Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => "the entry is damaged",
                Error::Ambiguous(_) => "several entries have the same name",
                _ => "it refuses the entry",
            })
        }

        fn entry(name: &str) -> Result<Entry, KeychainError> {
            let store = Store::new().map_err(|error| said(&error))?;
            store.build(SERVICE, name, None).map_err(|error| said(&error))
        }

        pub(crate) fn get(name: &str) -> Result<Option<String>, KeychainError> {
            match entry(name)?.get_password() {
                Ok(text) => Ok(Some(text)),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(said(&error)),
            }
        }

        pub(crate) fn set(name: &str, secret: &str) -> Result<(), KeychainError> {
            entry(name)?.set_password(secret).map_err(|error| said(&error))
        }

        pub(crate) fn delete(name: &str) -> Result<(), KeychainError> {
            match entry(name)?.delete_credential() {
                Ok(()) | Err(Error::NoEntry) => Ok(()),
                Err(error) => Err(said(&error)),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod stored {
        use super::KeychainError;

        fn absent() -> KeychainError {
            KeychainError::new("this build does not use the keychain of this system")
        }

        pub(crate) fn get(_name: &str) -> Result<Option<String>, KeychainError> {
            Err(absent())
        }

        pub(crate) fn set(_name: &str, _secret: &str) -> Result<(), KeychainError> {
            Err(absent())
        }

        pub(crate) fn delete(_name: &str) -> Result<(), KeychainError> {
            Err(absent())
        }
    }

    pub(crate) use stored::{delete, get, set};
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_microphone_is_a_device_that_captures() {
        let laptop =
            "00-00: ALC257 Analog : ALC257 Analog : playback 1 : capture 1\n00-03: HDMI 0 : HDMI 0 : playback 1\n";
        assert!(records_sound(laptop));
        assert!(records_sound("02-00: USB Audio : USB Audio : capture 1"));
        assert!(!records_sound("00-03: HDMI 0 : Flag capture 1 : playback 1\n"));
        assert!(!records_sound(""));
    }
}
