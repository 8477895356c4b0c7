//! The catalogue: what a device shows its network of its conversations, if its person wants that. Titles, folders, times
//! and sizes; never a word of what was said.
//!
//! [`Showing`] is the switch, off by default, one for each network. The feed in `feeds` keeps the document of this device
//! as the switch and the conversations say; here is what stands in it, and how those of others are read.

use std::collections::HashSet;
use std::sync::Arc;

use myownmesh_mesh::{MAX_VALUE_BYTES, NetworkId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::conversations::{FOLDER_MAX, Showable, TITLE_MAX};
use crate::store::{Store, StoreError};
use crate::text::clean_cut;

/// Most conversations that a device shows: the newest. Each change writes all of them again.
pub(crate) const MAX_SHOWN: usize = 500;
/// Most that are read from one device.
const MAX_READ: usize = 2_000;
/// Longest id that is read, in bytes.
const MAX_ID: usize = 64;

type Networks = HashSet<String>;

/// The switch; clones share it.
#[derive(Clone)]
pub(crate) struct Showing {
    store: Store,
    /// The networks that titles are shown to.
    networks: Arc<watch::Sender<Networks>>,
}

impl Showing {
    /// Reads what was saved.
    pub(crate) async fn start(store: Store) -> Result<Self, StoreError> {
        let networks = store
            .call(|connection| {
                let mut statement = connection.prepare("SELECT network FROM catalogue WHERE showing")?;
                Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<Networks, _>>()?)
            })
            .await?;
        Ok(Self { store, networks: Arc::new(watch::Sender::new(networks)) })
    }

    /// Whether titles are shown to a network.
    pub(crate) fn to(&self, network: NetworkId) -> bool {
        self.networks.borrow().contains(&network.to_string())
    }

    /// Shows titles to a network, or ends that.
    pub(crate) async fn set(&self, network: NetworkId, on: bool) -> Result<(), StoreError> {
        let key = network.to_string();
        let row = key.clone();
        self.store
            .call(move |connection| {
                let sql = "INSERT INTO catalogue (network, showing) VALUES (?1, ?2)
                           ON CONFLICT (network) DO UPDATE SET showing = excluded.showing";
                Ok(connection.execute(sql, (row, on))?)
            })
            .await?;
        self.networks.send_modify(|networks| {
            if on {
                networks.insert(key)
            } else {
                networks.remove(&key)
            };
        });
        Ok(())
    }

    /// A network is forgotten: should this device come back to it, nothing is shown.
    pub(crate) async fn forget(&self, network: NetworkId) -> Result<(), StoreError> {
        let key = network.to_string();
        let row = key.clone();
        let sql = "DELETE FROM catalogue WHERE network = ?1";
        self.store.call(move |connection| Ok(connection.execute(sql, [row])?)).await?;
        self.networks.send_if_modified(|networks| networks.remove(&key));
        Ok(())
    }

    /// Changes whenever a switch does.
    pub(crate) fn watch(&self) -> watch::Receiver<Networks> {
        self.networks.subscribe()
    }
}

/// The document, in the order in which it is told.
#[derive(Serialize)]
struct Shown<'a> {
    conversations: &'a [Showable],
    /// How many more there are.
    more: usize,
}

/// The value of the document: the newest first, as many as fit; `all` is how many there are.
pub(crate) fn to_bytes(newest: &[Showable], all: usize) -> Vec<u8> {
    let mut shown = newest;
    loop {
        let document = Shown { conversations: shown, more: all.saturating_sub(shown.len()) };
        // Plain data: it always serialises.
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        let excess = bytes.len().saturating_sub(MAX_VALUE_BYTES);
        if excess == 0 || shown.is_empty() {
            return bytes;
        }
        // An entry takes at most about a thousand bytes.
        shown = &shown[..shown.len().saturating_sub((excess / 1024).max(1))];
    }
}

/// What another device shows; `now` bounds its times. What is malformed or too much is left out.
pub(crate) fn read(value: &[u8], now: i64) -> Vec<Showable> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(value) else { return Vec::new() };
    let Some(Value::Array(entries)) = fields.remove("conversations") else { return Vec::new() };
    let read = entries.into_iter().take(MAX_READ).filter_map(|entry| Showable::deserialize(entry).ok());
    read.filter_map(|entry| entry.cleaned(now)).collect()
}

impl Showable {
    /// As it may be shown here; `None` when there is nothing to show.
    fn cleaned(self, now: i64) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if self.id.is_empty() || self.id.len() > MAX_ID || !self.id.chars().all(plain) {
            return None;
        }
        let title = clean_cut(&self.title, TITLE_MAX);
        let folder = self.folder.map(|folder| clean_cut(&folder, FOLDER_MAX)).filter(|folder| !folder.is_empty());
        let updated_at = self.updated_at.clamp(0, now);
        (!title.is_empty()).then_some(Self { title, folder, updated_at, ..self })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn showable(id: &str, title: &str) -> Showable {
        Showable {
            id: id.to_owned(),
            title: title.to_owned(),
            folder: Some("Work".to_owned()),
            updated_at: 7,
            bytes: 12,
        }
    }

    #[tokio::test]
    async fn nothing_is_shown_unless_somebody_says_so() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (home, other) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let (store, _) = Store::open(&path).expect("opened");
        let showing = Showing::start(store).await.expect("started");
        assert!(!showing.to(home));
        showing.set(home, true).await.expect("set");
        showing.set(other, true).await.expect("set");
        showing.set(other, false).await.expect("set");
        drop(showing);
        let (store, _) = Store::open(&path).expect("opened");
        let showing = Showing::start(store.clone()).await.expect("started");
        assert!(showing.to(home) && !showing.to(other));
        showing.forget(home).await.expect("forgotten");
        assert!(!showing.to(home));
        assert!(!Showing::start(store).await.expect("started").to(home));
    }

    #[test]
    fn what_is_shown_reads_back_and_fits() {
        let some = [showable("a", "One"), showable("b", "Two")];
        let bytes = to_bytes(&some, 5);
        assert_eq!(read(&bytes, 100), some);
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(value["more"], 3);
        let many: Vec<_> = (0..2000).map(|n| showable(&n.to_string(), &"\"".repeat(120))).collect();
        let bytes = to_bytes(&many, many.len());
        assert!(bytes.len() <= MAX_VALUE_BYTES);
        let shown = read(&bytes, 100);
        assert!(shown.len() > 300, "{}", shown.len());
        assert_eq!(shown[..], many[..shown.len()], "the newest stay");
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(value["more"], 2000 - shown.len());
    }

    #[test]
    fn a_hostile_catalogue_does_no_harm() {
        for odd in [json!(null), json!([]), json!({}), json!({"conversations": {}}), json!("x")] {
            assert!(read(odd.to_string().as_bytes(), 100).is_empty(), "{odd}");
        }
        for garbage in [&b""[..], b"\xff", &[b'['; 100_000]] {
            assert!(read(garbage, 100).is_empty());
        }
        let good = json!({"id": "a", "title": "T", "folder": null, "updated_at": 5, "bytes": 1, "later": [1]});
        let with = |field: &str, value: Value| {
            let mut entry = good.clone();
            entry[field] = value;
            entry
        };
        let entries = json!({"conversations": [
            good,
            with("id", json!("../../etc")),
            with("id", json!("x".repeat(65))),
            with("id", json!("")),
            with("title", json!("\u{200b}")),
            with("title", json!(7)),
            with("bytes", json!(-1)),
            with("updated_at", json!("now")),
            "text",
            with("title", json!(format!("\u{202e}{}\u{1b}[2J", "y".repeat(500)))),
            with("folder", json!("\u{7}")),
            with("updated_at", json!(i64::MAX)),
            with("updated_at", json!(-5)),
        ]});
        let read = read(entries.to_string().as_bytes(), 100);
        assert_eq!(read.len(), 5, "{read:?}");
        assert_eq!(read[1].title, "y".repeat(TITLE_MAX));
        assert_eq!(read[2].folder, None);
        assert_eq!((read[3].updated_at, read[4].updated_at), (100, 0));
    }
}
