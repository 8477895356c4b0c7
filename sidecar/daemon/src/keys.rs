//! Keys for the local API. Only hashes are kept: what a program sends is hashed and compared with each, in constant time.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, header};
use myownmesh_control::types::{ApiKey, KeyScope, NewApiKey};
use tokio::sync::watch;

use crate::store::{Store, StoreError};
use crate::text::now_ms;

/// What a secret begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "mollm-";
/// Longest secret that is looked at, in bytes; ours have 58.
const MAX_SECRET: usize = 256;
/// Longest name, in characters.
const MAX_NAME: usize = 64;
/// What a key is for that is for everything.
const EVERYTHING: [KeyScope; 3] = [KeyScope::Chat, KeyScope::Embeddings, KeyScope::Models];
/// Most keys.
const MAX_KEYS: i64 = 256;
/// How exactly the last use is written down, in milliseconds.
const USE_STEP: i64 = 10_000;

/// Why a key cannot be made or revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The name is no name.
    #[error("A key's name has 1 to 64 characters and no line breaks. Give it another name.")]
    BadName,
    /// The name is taken.
    #[error("There is a key \"{0}\" already. Revoke it first, or use another name.")]
    Taken(KeyName),
    /// It would open nothing.
    #[error("A key must be for something. Name at least one of chat, embeddings and models, or none for all three.")]
    ForNothing,
    /// There are too many.
    #[error("There are 256 keys already. Revoke one that is not used any more.")]
    TooMany,
    /// No key has this name.
    #[error("There is no key \"{0}\". `myownmesh key list` shows them.")]
    NotFound(KeyName),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyRefusal {
    /// It brought none.
    #[error(
        "This API asks for a key. Make one with `myownmesh key create NAME` and send it as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\"."
    )]
    Missing,
    /// Its key is for other things.
    #[error("This key may not be used for {}. Make one that may with `myownmesh key create NAME`.", what(*.0))]
    OutOfScope(KeyScope),
    /// It brought one that is not known, or no longer.
    #[error("This key is not known here. Check it, or make another with `myownmesh key create NAME`.")]
    Unknown,
}

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyName(String);

impl KeyName {
    /// Takes a name as a person typed it.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
            return Err(KeyError::BadName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One key. The equality of [`blake3::Hash`] takes the same time whatever differs.
#[derive(Clone, Debug)]
struct Key {
    name: String,
    hash: blake3::Hash,
    created_at: i64,
    last_used_at: Option<i64>,
    scopes: Vec<KeyScope>,
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Keys {
    store: Store,
    known: Arc<watch::Sender<Vec<Key>>>,
    required: bool,
}

impl Keys {
    /// Reads the saved keys. `required`: who brings none is not let in.
    pub(crate) async fn start(store: Store, required: bool) -> Result<Self, StoreError> {
        let known = store
            .call(|connection| {
                let sql = "SELECT name, hash, created_at, last_used_at, scopes FROM api_keys ORDER BY created_at, name";
                let mut statement = connection.prepare(sql)?;
                let rows = statement.query_map([], |row| {
                    let hash = blake3::Hash::from_bytes(row.get(1)?);
                    let scopes = read_scopes(&row.get::<_, String>(4)?);
                    Ok(Key { name: row.get(0)?, hash, created_at: row.get(2)?, last_used_at: row.get(3)?, scopes })
                })?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        Ok(Self { store, known: Arc::new(watch::Sender::new(known)), required })
    }

    /// Makes a key for `scopes` (for everything without); its secret is told this once.
    pub(crate) async fn create(&self, name: KeyName, scopes: Option<Vec<KeyScope>>) -> Result<NewApiKey, KeyError> {
        let asked = scopes.unwrap_or_else(|| EVERYTHING.to_vec());
        let scopes: Vec<KeyScope> = EVERYTHING.into_iter().filter(|scope| asked.contains(scope)).collect();
        if scopes.is_empty() {
            return Err(KeyError::ForNothing);
        }
        let secret = format!("{PREFIX}{}", data_encoding::BASE32_DNSSEC.encode(&rand::random::<[u8; 32]>()));
        let (hash, created_at) = (hashed(&secret), now_ms());
        let key = Key { name: name.0.clone(), hash, created_at, last_used_at: None, scopes: scopes.clone() };
        let row = key.clone();
        let made = self
            .store
            .call(move |connection| {
                let count: i64 = connection.query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0))?;
                if count >= MAX_KEYS {
                    return Ok(None);
                }
                let sql = "INSERT INTO api_keys (name, hash, created_at, scopes) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT DO NOTHING";
                let scopes = write_scopes(&row.scopes);
                let values = rusqlite::params![row.name, row.hash.as_bytes(), row.created_at, scopes];
                Ok(Some(connection.execute(sql, values)?))
            })
            .await?;
        match made {
            None => return Err(KeyError::TooMany),
            Some(0) => return Err(KeyError::Taken(name)),
            Some(_) => {}
        }
        let made = NewApiKey { name: key.name.clone(), created_at: key.created_at, last_used_at: None, scopes, secret };
        self.known.send_modify(|known| known.push(key));
        Ok(made)
    }

    /// All keys, the oldest first.
    pub(crate) fn list(&self) -> Vec<ApiKey> {
        self.known.borrow().iter().map(Key::shown).collect()
    }

    /// Ends a key at once.
    pub(crate) async fn revoke(&self, name: KeyName) -> Result<ApiKey, KeyError> {
        let text = name.0.clone();
        self.store
            .call(move |connection| Ok(connection.execute("DELETE FROM api_keys WHERE name = ?1", [text])?))
            .await?;
        let mut ended = None;
        self.known.send_modify(|known| {
            let at = known.iter().position(|key| key.name == name.0);
            ended = at.map(|at| known.remove(at).shown());
        });
        ended.ok_or(KeyError::NotFound(name))
    }

    /// Whether a request must bring a key.
    pub(crate) fn required(&self) -> bool {
        self.required
    }

    /// Lets a request for `scope` (none: for what everybody may) in and tells the name of its key, or tells why not. A
    /// known key is noted as used and may do what it is for, also where none is required.
    pub(crate) fn admit(&self, headers: &HeaderMap, scope: Option<KeyScope>) -> Result<Option<String>, KeyRefusal> {
        let secret = secret(headers);
        match (secret.and_then(|secret| self.find(secret)), secret) {
            (Some((name, scopes)), _) => {
                if let Some(scope) = scope.filter(|scope| !scopes.contains(scope)) {
                    return Err(KeyRefusal::OutOfScope(scope));
                }
                self.note_use(&name);
                Ok(Some(name))
            }
            (None, Some(_)) if self.required => Err(KeyRefusal::Unknown),
            (None, None) if self.required => Err(KeyRefusal::Missing),
            // Clients that insist on a key send whatever they are given.
            (None, _) => Ok(None),
        }
    }

    /// Name and scopes of the key with this secret. Every key is looked at, so that the time tells nothing.
    fn find(&self, secret: &str) -> Option<(String, Vec<KeyScope>)> {
        let hash = hashed(secret);
        let known = self.known.borrow();
        let mut found = None;
        for key in known.iter() {
            if key.hash == hash {
                found = Some(key);
            }
        }
        found.map(|key| (key.name.clone(), key.scopes.clone()))
    }

    fn note_use(&self, name: &str) {
        let now = now_ms();
        let noted = self.known.send_if_modified(|known| {
            let Some(key) = known.iter_mut().find(|key| key.name == name) else { return false };
            let due = key.last_used_at.is_none_or(|last| now - last >= USE_STEP);
            if due {
                key.last_used_at = Some(now);
            }
            due
        });
        if noted {
            let (store, name) = (self.store.clone(), name.to_owned());
            // Nobody waits for it: a request is not held up by a note.
            tokio::spawn(async move {
                let sql = "UPDATE api_keys SET last_used_at = ?2 WHERE name = ?1";
                let noted =
                    store.call(move |connection| Ok(connection.execute(sql, rusqlite::params![name, now])?)).await;
                if let Err(error) = noted {
                    tracing::warn!(%error, "the use of a key was not written down");
                }
            });
        }
    }
}

impl Key {
    fn shown(&self) -> ApiKey {
        ApiKey {
            name: self.name.clone(),
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            scopes: self.scopes.clone(),
        }
    }
}

/// What a scope lets a key do, as the object of a sentence.
fn what(scope: KeyScope) -> &'static str {
    match scope {
        KeyScope::Chat => "asking models",
        KeyScope::Embeddings => "turning text into vectors",
        KeyScope::Models => "listing models",
    }
}

fn write_scopes(scopes: &[KeyScope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
}

/// A word that is not known opens nothing.
fn read_scopes(text: &str) -> Vec<KeyScope> {
    EVERYTHING.into_iter().filter(|scope| text.split(',').any(|word| word == scope.as_str())).collect()
}

/// The secrets are random and long: a fast hash is enough.
fn hashed(secret: &str) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key("myownllm local api key v1", secret.as_bytes()))
}

/// The secret that a request brings, in OpenAI's way or in Anthropic's.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| {
        let (scheme, secret) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(secret)
    });
    let plain = || headers.get("x-api-key").and_then(|value| value.to_str().ok());
    bearer.or_else(plain).map(str::trim).filter(|secret| !secret.is_empty() && secret.len() <= MAX_SECRET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a value"));
        headers
    }

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).expect("a name")
    }

    #[tokio::test]
    async fn a_key_opens_until_it_is_revoked() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (store, _) = Store::open(&path).expect("opened");
        let keys = Keys::start(store.clone(), true).await.expect("started");
        assert_eq!(keys.admit(&HeaderMap::new(), None), Err(KeyRefusal::Missing));
        let made = keys.create(name(" editor "), None).await.expect("made");
        assert!(made.secret.starts_with(PREFIX) && !format!("{made:?}").contains(&made.secret));
        assert!(matches!(keys.create(name("editor"), None).await, Err(KeyError::Taken(_))));
        assert_eq!(keys.list()[0].last_used_at, None);
        keys.admit(&with("authorization", &format!("bearer {}", made.secret)), None).expect("OpenAI's way");
        keys.admit(&with("x-api-key", &made.secret), None).expect("Anthropic's way");
        assert!(keys.list()[0].last_used_at.is_some());
        for wrong in ["mollm-", &made.secret[1..], &made.secret.to_uppercase(), &"k".repeat(5000)] {
            assert!(keys.admit(&with("x-api-key", wrong), None).is_err(), "{wrong}");
        }
        assert_eq!(keys.admit(&with("authorization", "Basic eA=="), None), Err(KeyRefusal::Missing));

        store.settle().await.expect("settled");
        let file = std::fs::read(&path).expect("read");
        assert!(!file.windows(20).any(|bytes| bytes == &made.secret.as_bytes()[6..26]), "no secret in the database");
        let again = Keys::start(store, true).await.expect("started");
        again.admit(&with("x-api-key", &made.secret), None).expect("kept");
        assert!(again.list()[0].last_used_at.is_some(), "the use is kept");
        assert_eq!(again.revoke(name("editor")).await.expect("revoked").name, "editor");
        assert_eq!(again.admit(&with("x-api-key", &made.secret), None), Err(KeyRefusal::Unknown));
        assert!(matches!(again.revoke(name("editor")).await, Err(KeyError::NotFound(_))));
    }

    #[tokio::test]
    async fn where_none_is_required_any_is_fine() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let keys = Keys::start(store, false).await.expect("started");
        keys.admit(&HeaderMap::new(), None).expect("none");
        keys.admit(&with("authorization", "Bearer none"), None).expect("what a client insists on");
        let made = keys.create(name("k"), None).await.expect("made");
        keys.admit(&with("x-api-key", &made.secret), None).expect("a real one");
        assert!(keys.list()[0].last_used_at.is_some(), "its use is noted all the same");
    }

    #[tokio::test]
    async fn a_key_is_for_what_it_was_made_for() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        for required in [false, true] {
            let keys = Keys::start(store.clone(), required).await.expect("started");
            let label = name(&format!("{required}"));
            assert!(matches!(keys.create(label.clone(), Some(Vec::new())).await, Err(KeyError::ForNothing)));
            let scopes = vec![KeyScope::Models, KeyScope::Embeddings, KeyScope::Models];
            let made = keys.create(label, Some(scopes)).await.expect("made");
            assert_eq!(made.scopes, [KeyScope::Embeddings, KeyScope::Models]);
            let again = Keys::start(store.clone(), required).await.expect("started again");
            let sent = with("x-api-key", &made.secret);
            for scope in [None, Some(KeyScope::Embeddings), Some(KeyScope::Models)] {
                assert_eq!(again.admit(&sent, scope), Ok(Some(made.name.clone())));
            }
            let refusal = again.admit(&sent, Some(KeyScope::Chat)).expect_err("out of scope");
            assert_eq!(refusal, KeyRefusal::OutOfScope(KeyScope::Chat));
            assert!(refusal.to_string().contains("asking models"), "{refusal}");
        }
        assert!(read_scopes("fly,chats").is_empty(), "an unknown word opens nothing");
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for bad in ["", " ", "a\nb", &"x".repeat(65)] {
            assert!(matches!(KeyName::parse(bad), Err(KeyError::BadName)), "{bad:?}");
        }
        assert_eq!(name(" My editor ").to_string(), "My editor");
    }
}
