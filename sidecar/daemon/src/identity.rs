//! This device's identity: one ed25519 key, made at the first start and never replaced silently.
//!
//! `identity.json` says where the key is kept, under which mark, and which public key belongs to it. A key that cannot
//! be read, or is not that key, stops the daemon: a new identity would be a stranger to every network.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use myownmesh_control::types::IdentityStore;
use myownmesh_mesh::DeviceId;
use serde::{Deserialize, Serialize};

use crate::files::write_private;
use crate::secrets::{SecretError, Secrets};
use crate::text::random_id;

/// Name the key is kept under.
const KEY: &str = "identity";

/// Why there is no identity to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// `identity.json` cannot be read as such.
    #[error(
        "{} is damaged ({reason}). It names this device's key: restore it from a backup. To start over as a new device, move it away.",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{} cannot be used: {cause}. Give this user the right to read and write it.", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// As the system words it.
        cause: io::Error,
    },
    /// The key cannot be reached in its place.
    #[error(
        "This device's key cannot be read. {0} Unlock the keychain or restore the file, then start again; the identity was not replaced."
    )]
    Unreadable(SecretError),
    /// The key is not in its place.
    #[error(
        "This device's key is missing from {0}. Restore it; the identity was not replaced. To start over as a new device, move identity.json away."
    )]
    Missing(&'static str),
    /// What is in its place is not the key.
    #[error(
        "This device's key in {0} is damaged. Restore it from a backup; it was left as it is. To start over as a new device, move it and identity.json away."
    )]
    BadKey(&'static str),
    /// `MYOWNMESH_SECRETS` has a value we do not know.
    #[error("MYOWNMESH_SECRETS is \"{0}\". It can be auto, keychain or file.")]
    BadPolicy(String),
    /// The new key could not be kept.
    #[error(
        "This device's new key cannot be kept. {0} Unlock the keychain, or set MYOWNMESH_SECRETS=file to keep it in a file."
    )]
    NotKept(SecretError),
}

/// Where a new identity may go; `MYOWNMESH_SECRETS`. An identity that is there stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretsPolicy {
    /// The keychain if it works, else a file.
    Auto,
    /// The keychain or nothing.
    Keychain,
    /// A file.
    File,
}

impl SecretsPolicy {
    /// Reads the variable's value; none or empty means [`SecretsPolicy::Auto`].
    pub(crate) fn parse(value: Option<&str>) -> Result<Self, IdentityError> {
        match value.unwrap_or_default() {
            "" | "auto" => Ok(Self::Auto),
            "keychain" => Ok(Self::Keychain),
            "file" => Ok(Self::File),
            other => Err(IdentityError::BadPolicy(crate::text::quotable(other))),
        }
    }
}

/// `identity.json`.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the file's fields")]
struct Entry {
    store: IdentityStore,
    /// Sets this home's keychain entries apart from those of other homes.
    entry: String,
    public_key: DeviceId,
}

/// The identity and the place of this home's secrets.
pub(crate) struct Identity {
    /// The secret key.
    pub(crate) secret: [u8; 32],
    /// Where it and other secrets are kept.
    pub(crate) secrets: Secrets,
}

/// Reads the identity of `home`, or makes one at the first start.
pub(crate) async fn load(home: &Path, policy: SecretsPolicy) -> Result<Identity, IdentityError> {
    let path = home.join("identity.json");
    let io = |cause| IdentityError::Io { path: path.clone(), cause };
    match fs::read_to_string(&path) {
        Ok(text) => open(home, &path, &text).await,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let (identity, entry) = make(home, policy).await?;
            let text = serde_json::to_string_pretty(&entry).map_err(|error| io(error.into()))?;
            write_private(&path, format!("{text}\n").as_bytes()).map_err(io)?;
            Ok(identity)
        }
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            Err(IdentityError::Damaged { path, reason: "it is not text".to_owned() })
        }
        Err(cause) => Err(io(cause)),
    }
}

async fn open(home: &Path, path: &Path, text: &str) -> Result<Identity, IdentityError> {
    let entry: Entry = serde_json::from_str(text)
        .map_err(|error| IdentityError::Damaged { path: path.to_path_buf(), reason: error.to_string() })?;
    let secrets = match entry.store {
        IdentityStore::Keychain => Secrets::Keychain { mark: entry.entry },
        IdentityStore::File => files(home),
    };
    let kept = secrets.get(KEY).await.map_err(|error| unreadable(&secrets, error))?;
    let text = kept.ok_or_else(|| IdentityError::Missing(place(&secrets)))?;
    let secret = parse(&text).filter(|secret| DeviceId::of_secret(secret) == entry.public_key);
    let secret = secret.ok_or_else(|| IdentityError::BadKey(place(&secrets)))?;
    Ok(Identity { secret, secrets })
}

async fn make(home: &Path, policy: SecretsPolicy) -> Result<(Identity, Entry), IdentityError> {
    let mark = random_id();
    let file = files(home);
    // A key without its `identity.json` was left by a crash between the two: it is the identity.
    let left = file.get(KEY).await.map_err(|error| unreadable(&file, error))?;
    let (secret, secrets) = if let Some(text) = left {
        (parse(&text).ok_or_else(|| IdentityError::BadKey(place(&file)))?, file)
    } else {
        let secret = rand::random::<[u8; 32]>();
        let secrets = keep(&secret, &mark, file, policy).await?;
        (secret, secrets)
    };
    let entry = Entry { store: secrets.place(), entry: mark, public_key: DeviceId::of_secret(&secret) };
    Ok((Identity { secret, secrets }, entry))
}

/// Keeps a new key in the best place that the policy and the system allow.
async fn keep(secret: &[u8; 32], mark: &str, file: Secrets, policy: SecretsPolicy) -> Result<Secrets, IdentityError> {
    let text = HEXLOWER.encode(secret);
    if policy != SecretsPolicy::File {
        let keychain = Secrets::Keychain { mark: mark.to_owned() };
        match round_trip(&keychain, &text).await {
            Ok(()) => return Ok(keychain),
            Err(error) if policy == SecretsPolicy::Keychain => return Err(IdentityError::NotKept(error)),
            Err(error) => tracing::info!(%error, "the identity key goes to a file"),
        }
    }
    file.set(KEY, &text).await.map_err(IdentityError::NotKept)?;
    Ok(file)
}

/// Some keychains take an entry and lose it: only one that gives it back is used.
async fn round_trip(keychain: &Secrets, text: &str) -> Result<(), SecretError> {
    keychain.set(KEY, text).await?;
    if keychain.get(KEY).await?.as_deref() == Some(text) {
        return Ok(());
    }
    Err(crate::platform::keychain::KeychainError::forgetful().into())
}

fn files(home: &Path) -> Secrets {
    Secrets::Files { folder: home.join("secrets") }
}

fn place(secrets: &Secrets) -> &'static str {
    match secrets {
        Secrets::Keychain { .. } => "the keychain",
        Secrets::Files { .. } => "the file secrets/identity.key of its home",
    }
}

/// A key file that is not even text is a damaged key, not an unreadable place.
fn unreadable(secrets: &Secrets, error: SecretError) -> IdentityError {
    match &error {
        SecretError::File { cause, .. } if cause.kind() == io::ErrorKind::InvalidData => {
            IdentityError::BadKey(place(secrets))
        }
        _ => IdentityError::Unreadable(error),
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn load_file(home: &Path) -> Result<Identity, IdentityError> {
        load(home, SecretsPolicy::File).await
    }

    #[tokio::test]
    async fn an_identity_stays() {
        let home = tempfile::tempdir().expect("home");
        let first = load_file(home.path()).await.expect("made");
        assert_eq!(first.secrets.place(), IdentityStore::File);
        let again = load(home.path(), SecretsPolicy::Keychain).await.expect("found where it is");
        assert_eq!(first.secret, again.secret);
        let json = fs::read_to_string(home.path().join("identity.json")).expect("json");
        assert!(!json.contains(&HEXLOWER.encode(&first.secret)));
    }

    #[tokio::test]
    async fn a_crash_before_the_json_loses_nothing() {
        let home = tempfile::tempdir().expect("home");
        let first = load_file(home.path()).await.expect("made");
        fs::remove_file(home.path().join("identity.json")).expect("removed");
        assert_eq!(load_file(home.path()).await.expect("adopted").secret, first.secret);
    }

    #[tokio::test]
    async fn damage_is_told_and_left() {
        let home = tempfile::tempdir().expect("home");
        load_file(home.path()).await.expect("made");
        let key = home.path().join("secrets").join("identity.key");
        let other = HEXLOWER.encode(&[7; 32]);
        for bad in [&b"garbage"[..], b"", b"\xff\xfe", other.as_bytes()] {
            fs::write(&key, bad).expect("broken");
            let error = load_file(home.path()).await.err().expect("refused");
            assert!(matches!(error, IdentityError::BadKey(_)), "{error}");
            assert_eq!(fs::read(&key).expect("there"), bad);
        }
        fs::remove_file(&key).expect("removed");
        assert!(matches!(load_file(home.path()).await.err(), Some(IdentityError::Missing(_))));
        let json = home.path().join("identity.json");
        for bad in [&b"{"[..], b"{}", b"\xff"] {
            fs::write(&json, bad).expect("broken");
            assert!(matches!(load_file(home.path()).await.err(), Some(IdentityError::Damaged { .. })));
            assert_eq!(fs::read(&json).expect("there"), bad);
        }
    }

    #[test]
    fn the_policy_is_one_of_three() {
        assert_eq!(SecretsPolicy::parse(None).expect("auto"), SecretsPolicy::Auto);
        assert_eq!(SecretsPolicy::parse(Some("file")).expect("file"), SecretsPolicy::File);
        assert!(SecretsPolicy::parse(Some("plain")).is_err());
    }
}
