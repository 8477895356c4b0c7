//! Secrets of this device (its identity key, keys of engines): in the operating system's keychain, else in files that
//! only this user can read. Nothing here ever puts a secret into a log, an error or a `Debug` text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use myownmesh_control::types::IdentityStore;
use tokio::sync::oneshot;

use crate::files::{private_dir, write_private};
use crate::platform::keychain::{self, KeychainError};
use crate::platform::make_private_file;

/// A locked keychain waits for a person; a daemon does not.
const KEYCHAIN_PATIENCE: Duration = Duration::from_secs(3);

/// Why a secret could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The keychain failed.
    #[error("The keychain cannot be used: {0}.")]
    Keychain(#[from] KeychainError),
    /// A file failed.
    #[error("The file {} cannot be used: {cause}.", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// As the system words it.
        cause: io::Error,
    },
}

/// Where the secrets of one home are kept.
#[derive(Clone, Debug)]
pub(crate) enum Secrets {
    /// In the keychain, filed under names that begin with this home's own mark.
    Keychain {
        /// The mark.
        mark: String,
    },
    /// One file each in this folder.
    Files {
        /// The folder.
        folder: PathBuf,
    },
}

impl Secrets {
    /// Which kind of place this is.
    pub(crate) fn place(&self) -> IdentityStore {
        match self {
            Self::Keychain { .. } => IdentityStore::Keychain,
            Self::Files { .. } => IdentityStore::File,
        }
    }

    /// Reads a secret.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<String>, SecretError> {
        match self {
            Self::Keychain { mark } => {
                let entry = format!("{mark}/{name}");
                off_thread(move || keychain::get(&entry)).await
            }
            Self::Files { folder } => {
                let path = file(folder, name);
                match fs::read_to_string(&path) {
                    Ok(text) => {
                        make_private_file(&path).map_err(|cause| SecretError::File { path, cause })?;
                        Ok(Some(text.trim().to_owned()))
                    }
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(cause) => Err(SecretError::File { path, cause }),
                }
            }
        }
    }

    /// Keeps a secret, replacing one of the same name.
    pub(crate) async fn set(&self, name: &str, secret: &str) -> Result<(), SecretError> {
        match self {
            Self::Keychain { mark } => {
                let (entry, secret) = (format!("{mark}/{name}"), secret.to_owned());
                off_thread(move || keychain::set(&entry, &secret)).await
            }
            Self::Files { folder } => {
                let path = file(folder, name);
                let written = private_dir(folder).and_then(|()| write_private(&path, format!("{secret}\n").as_bytes()));
                written.map_err(|cause| SecretError::File { path, cause })
            }
        }
    }

    /// Forgets a secret; one that is not there is fine.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), SecretError> {
        match self {
            Self::Keychain { mark } => {
                let entry = format!("{mark}/{name}");
                off_thread(move || keychain::delete(&entry)).await
            }
            Self::Files { folder } => {
                let path = file(folder, name);
                match fs::remove_file(&path) {
                    Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(SecretError::File { path, cause }),
                    _ => Ok(()),
                }
            }
        }
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key"))
}

/// Runs a blocking call on a thread of its own, so that one that never returns holds up nobody, the end of the process
/// included.
async fn off_thread<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KeychainError> + Send + 'static,
) -> Result<T, SecretError> {
    let (reply, answer) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody waits any more after the time-out.
        let _ = reply.send(call());
    });
    match tokio::time::timeout(KEYCHAIN_PATIENCE, answer).await {
        Ok(Ok(result)) => Ok(result?),
        Ok(Err(_)) | Err(_) => Err(KeychainError::silent().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_keep_secrets_private() {
        let folder = tempfile::tempdir().expect("folder");
        let secrets = Secrets::Files { folder: folder.path().join("secrets") };
        assert_eq!(secrets.get("a").await.expect("read"), None);
        secrets.set("a", "hunter2").await.expect("written");
        assert_eq!(secrets.get("a").await.expect("read").as_deref(), Some("hunter2"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join("secrets").join("a.key");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("loosened");
            secrets.get("a").await.expect("read");
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        secrets.delete("a").await.expect("deleted");
        secrets.delete("a").await.expect("deleting twice is fine");
        assert_eq!(secrets.get("a").await.expect("read"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_keychain_is_given_up_on() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let waited = off_thread::<()>(move || {
            let _ = held.recv();
            Ok(())
        });
        let error = waited.await.expect_err("given up");
        assert!(error.to_string().contains("locked"), "{error}");
        drop(hold);
    }
}
