//! The engines a person added: saved in the database, their keys among the secrets.

use myownmesh_compute::{EngineId, EngineKind, EngineSpec, EngineUrl, Secret};

use crate::secrets::{SecretError, Secrets};
use crate::store::{Store, StoreError};

/// An engine could not be saved or forgotten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedEngineError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its key could not be kept.
    #[error("The engine's key cannot be kept. {0} Unlock the keychain, then try again.")]
    Key(SecretError),
}

/// The handle.
#[derive(Clone)]
pub(crate) struct SavedEngines {
    store: Store,
    secrets: Secrets,
}

struct Row {
    id: String,
    url: String,
    kind: Option<String>,
    has_key: bool,
}

impl SavedEngines {
    /// The saved engines are in `store`, their keys in `secrets`.
    pub(crate) fn new(store: Store, secrets: Secrets) -> Self {
        Self { store, secrets }
    }

    /// All of them. One that cannot be used any more comes as a sentence instead.
    pub(crate) async fn load(&self) -> Result<(Vec<EngineSpec>, Vec<String>), StoreError> {
        let rows = self
            .store
            .call(|connection| {
                let mut statement = connection.prepare("SELECT id, url, kind, has_key FROM engines ORDER BY rowid")?;
                let rows = statement.query_map([], |row| {
                    Ok(Row { id: row.get(0)?, url: row.get(1)?, kind: row.get(2)?, has_key: row.get(3)? })
                })?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        let (mut specs, mut warnings) = (Vec::new(), Vec::new());
        for row in rows {
            match self.read(&row).await {
                Ok(spec) => specs.push(spec),
                Err(reason) => warnings.push(format!(
                    "The engine {} is left out: {reason} Remove it and add it again.",
                    crate::text::quotable(&row.id)
                )),
            }
        }
        Ok((specs, warnings))
    }

    async fn read(&self, row: &Row) -> Result<EngineSpec, String> {
        let id = EngineId::parse(&row.id).map_err(|error| error.to_string())?;
        let url = EngineUrl::parse(&row.url).map_err(|error| error.to_string())?;
        let key = if row.has_key {
            let kept = self.secrets.get(&secret_name(&id)).await.map_err(|error| error.to_string())?;
            let kept = kept.ok_or_else(|| "its key is missing.".to_owned())?;
            Some(Secret::parse(&kept).map_err(|error| error.to_string())?)
        } else {
            None
        };
        Ok(EngineSpec { id, kind: row.kind.as_deref().and_then(parse_kind), url, key })
    }

    /// Saves one, replacing one of the same id.
    pub(crate) async fn save(&self, spec: &EngineSpec) -> Result<(), SavedEngineError> {
        if let Some(key) = &spec.key {
            self.secrets.set(&secret_name(&spec.id), key.expose()).await.map_err(SavedEngineError::Key)?;
        }
        let (id, url) = (spec.id.to_string(), spec.url.to_string());
        let (kind, has_key) = (spec.kind.map(kind_name), spec.key.is_some());
        self.store
            .call(move |connection| {
                let sql = "INSERT OR REPLACE INTO engines (id, url, kind, has_key) VALUES (?1, ?2, ?3, ?4)";
                Ok(connection.execute(sql, rusqlite::params![id, url, kind, has_key])?)
            })
            .await?;
        Ok(())
    }

    /// Forgets one and its key; one that is not saved is fine.
    pub(crate) async fn forget(&self, id: &EngineId) -> Result<(), SavedEngineError> {
        let key = id.to_string();
        let sql = "DELETE FROM engines WHERE id = ?1 RETURNING has_key";
        let had_key = self
            .store
            .call(move |connection| {
                let mut statement = connection.prepare(sql)?;
                let rows = statement.query_map([key], |row| row.get::<_, bool>(0))?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?.contains(&true))
            })
            .await?;
        if had_key {
            self.secrets.delete(&secret_name(id)).await.map_err(SavedEngineError::Key)?;
        }
        Ok(())
    }
}

fn secret_name(id: &EngineId) -> String {
    format!("engine-{id}")
}

fn kind_name(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Ollama => "ollama",
        EngineKind::OpenAi => "openai",
        EngineKind::LlamaServer => "llama-server",
    }
}

fn parse_kind(text: &str) -> Option<EngineKind> {
    [EngineKind::Ollama, EngineKind::OpenAi, EngineKind::LlamaServer].into_iter().find(|kind| kind_name(*kind) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn engines_are_kept_with_their_keys_elsewhere() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (store, _) = Store::open(&path).expect("opened");
        let saved = SavedEngines::new(store, Secrets::Files { folder: folder.path().join("secrets") });
        let mut spec = EngineSpec::from_url(EngineUrl::parse("http://127.0.0.1:9").expect("url"));
        spec.kind = Some(EngineKind::OpenAi);
        spec.key = Some(Secret::parse("hunter2").expect("key"));
        saved.save(&spec).await.expect("saved");
        let (specs, warnings) = saved.load().await.expect("loaded");
        assert!(warnings.is_empty());
        assert_eq!((&specs[0].id, specs[0].kind, &specs[0].key), (&spec.id, spec.kind, &spec.key));
        let database = std::fs::read(&path).expect("read");
        assert!(!database.windows(7).any(|bytes| bytes == b"hunter2"));

        std::fs::remove_file(folder.path().join("secrets").join(format!("{}.key", secret_name(&spec.id))))
            .expect("gone");
        let (specs, warnings) = saved.load().await.expect("loaded");
        assert!(specs.is_empty() && warnings[0].contains("its key is missing"), "{warnings:?}");
        saved.forget(&spec.id).await.expect("forgotten");
        saved.forget(&spec.id).await.expect("twice is fine");
        assert!(saved.load().await.expect("loaded").1.is_empty());
    }
}
