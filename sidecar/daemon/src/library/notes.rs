//! What is kept in mind of the models on this device: which are pinned, when each came and was last asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use myownmesh_compute::{EngineId, Used};
use rusqlite::params;
use tokio::sync::watch;

use crate::store::{Store, StoreError};
use crate::text::now_ms;

/// How old what is written down of the last use may get: a busy model is not written down with every question.
const STALE: Duration = Duration::from_secs(60);

/// A model, by its engine and its id there.
type Key = (String, String);

/// What is kept in mind of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// Whether it stays.
    pub(crate) pinned: bool,
    /// When it was first seen.
    pub(crate) since: i64,
    /// When it last answered.
    pub(crate) last_used_at: Option<i64>,
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Notes {
    store: Store,
    notes: Arc<watch::Sender<BTreeMap<Key, Note>>>,
}

impl Notes {
    /// Reads what is kept.
    pub(crate) async fn start(store: Store) -> Result<Self, StoreError> {
        let rows = store
            .call(|connection| {
                let sql = "SELECT engine, model, pinned, since, last_used_at FROM kept_models";
                let mut statement = connection.prepare(sql)?;
                let rows = statement.query_map([], |row| {
                    let note = Note { pinned: row.get(2)?, since: row.get(3)?, last_used_at: row.get(4)? };
                    Ok(((row.get(0)?, row.get(1)?), note))
                })?;
                Ok(rows.collect::<Result<BTreeMap<Key, Note>, _>>()?)
            })
            .await?;
        Ok(Self { store, notes: Arc::new(watch::Sender::new(rows)) })
    }

    /// What is kept in mind of a model.
    pub(crate) fn of(&self, engine: &str, model: &str) -> Option<Note> {
        self.notes.borrow().get(&(engine.to_owned(), model.to_owned())).copied()
    }

    /// The pinned models of an engine.
    pub(crate) fn pinned(&self, engine: &EngineId) -> BTreeSet<String> {
        let notes = self.notes.borrow();
        let pinned = notes.iter().filter(|((of, _), note)| of == engine.as_str() && note.pinned);
        pinned.map(|((_, model), _)| model.clone()).collect()
    }

    /// Pins a model, or no longer.
    pub(crate) async fn pin(&self, engine: &str, model: &str, on: bool) -> Result<(), StoreError> {
        self.change(engine, model, |note| note.pinned = on).await
    }

    /// A model was asked.
    pub(crate) async fn used(&self, used: &Used) -> Result<(), StoreError> {
        let (engine, now) = (used.engine.as_str(), now_ms());
        let stale = i64::try_from(STALE.as_millis()).unwrap_or(i64::MAX);
        let written = self.of(engine, &used.model).and_then(|note| note.last_used_at);
        if written.is_some_and(|at| (0..stale).contains(&(now - at))) {
            return Ok(());
        }
        self.change(engine, &used.model, |note| note.last_used_at = Some(now)).await
    }

    /// A model is there.
    pub(crate) async fn seen(&self, engine: &str, model: &str) -> Result<(), StoreError> {
        match self.of(engine, model) {
            Some(_) => Ok(()),
            None => self.change(engine, model, |_| ()).await,
        }
    }

    /// A model was deleted by a person: one that comes later under its name is another one.
    pub(crate) async fn forget(&self, engine: &str, model: &str) -> Result<(), StoreError> {
        let key = (engine.to_owned(), model.to_owned());
        let row = key.clone();
        let sql = "DELETE FROM kept_models WHERE engine = ?1 AND model = ?2";
        self.store.call(move |connection| Ok(connection.execute(sql, params![row.0, row.1])?)).await?;
        self.notes.send_modify(|notes| {
            notes.remove(&key);
        });
        Ok(())
    }

    async fn change(&self, engine: &str, model: &str, change: impl FnOnce(&mut Note)) -> Result<(), StoreError> {
        let key = (engine.to_owned(), model.to_owned());
        let mut note = self.of(engine, model).unwrap_or(Note { since: now_ms(), ..Note::default() });
        change(&mut note);
        let row = key.clone();
        let sql = "INSERT OR REPLACE INTO kept_models (engine, model, pinned, since, last_used_at)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = move |connection: &mut rusqlite::Connection| {
            Ok(connection.execute(sql, params![row.0, row.1, note.pinned, note.since, note.last_used_at])?)
        };
        self.store.call(values).await?;
        self.notes.send_modify(|notes| {
            notes.insert(key, note);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pins_and_uses_are_kept() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (store, _) = Store::open(&path).expect("opened");
        let notes = Notes::start(store).await.expect("started");
        notes.seen("builtin", "tiny").await.expect("written");
        let first = notes.of("builtin", "tiny").expect("seen");
        assert!(!first.pinned && first.last_used_at.is_none() && first.since > 0, "{first:?}");
        notes.pin("builtin", "tiny", true).await.expect("written");
        let used = Used { engine: EngineId::builtin(), model: "tiny".to_owned() };
        notes.used(&used).await.expect("written");
        let once = notes.of("builtin", "tiny").expect("seen");
        assert!(once.last_used_at >= Some(once.since) && once.since == first.since, "{once:?}");
        notes.used(&used).await.expect("a moment later");
        assert_eq!(notes.of("builtin", "tiny"), Some(once), "it is not written down each time");
        notes.pin("ollama", "tiny", false).await.expect("written");

        let (store, _) = Store::open(&path).expect("opened");
        let notes = Notes::start(store).await.expect("started");
        assert_eq!(notes.of("builtin", "tiny"), Some(once));
        assert_eq!(notes.pinned(&EngineId::builtin()), ["tiny".to_owned()].into());
        assert!(notes.pinned(&EngineId::ollama()).is_empty());
        notes.forget("builtin", "tiny").await.expect("forgotten");
        assert_eq!(notes.of("builtin", "tiny"), None);
    }
}
