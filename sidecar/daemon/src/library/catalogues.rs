//! Where the catalogue comes from: the bundled one, and one from an address that a person named, with what that imports.
//! It is read again when its own time is over; what was read before stays in use when that fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use myownmesh_compute::library::{Catalogue, CatalogueFolder, CatalogueUrl, Collection, Family, collect};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::CatalogueSource;
use rusqlite::OptionalExtension as _;
use tokio::sync::{Semaphore, watch};

use crate::convert::OrControl;
use crate::store::{Store, StoreError};
use crate::text::now_ms;

/// How long after a failure it is tried again, in milliseconds.
const RETRY: i64 = 60 * 60 * 1000;
/// Problems that are told at once.
const TOLD: usize = 3;

/// What is known now.
#[derive(Clone, Debug)]
struct Shown {
    families: Arc<Vec<Family>>,
    source: CatalogueSource,
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Catalogues {
    store: Store,
    folder: CatalogueFolder,
    shown: Arc<watch::Sender<Shown>>,
    /// Lets one reading run at a time.
    turn: Arc<Semaphore>,
}

impl Catalogues {
    /// Begins with the bundled one; [`keep_up`](Self::keep_up) adds what a person named earlier. Copies are in `folder`.
    pub(crate) async fn start(store: Store, folder: PathBuf) -> Result<Self, StoreError> {
        let sql = "SELECT url FROM catalogue_sources";
        let url = store.call(move |db| Ok(db.query_row(sql, [], |row| row.get(0)).optional()?)).await?;
        let source = CatalogueSource { url, ..CatalogueSource::default() };
        let shown = Shown { families: Arc::new(Catalogue::bundled().families), source };
        let (folder, turn) = (CatalogueFolder::new(folder), Arc::new(Semaphore::new(1)));
        Ok(Self { store, folder, shown: Arc::new(watch::Sender::new(shown)), turn })
    }

    /// The families of all catalogues.
    pub(crate) fn families(&self) -> Arc<Vec<Family>> {
        Arc::clone(&self.shown.borrow().families)
    }

    /// Where they come from.
    pub(crate) fn source(&self) -> CatalogueSource {
        self.shown.borrow().source.clone()
    }

    /// Completes when something about them changed after `seen` was looked at.
    pub(crate) async fn changed(&self, seen: &CatalogueSource) {
        let mut shown = self.shown.subscribe();
        // The sender lives as long as this handle.
        let _ = shown.wait_for(|shown| shown.source != *seen).await;
    }

    /// Takes the catalogue at this address in as well, or none; reads it at once. What goes wrong with that is in the
    /// answer: the address stays, and is tried again.
    pub(crate) async fn set(&self, url: Option<&str>) -> Result<CatalogueSource, ControlError> {
        let url = url.map(str::trim).filter(|url| !url.is_empty());
        let url = url.map(CatalogueUrl::parse).transpose();
        let url = url.map_err(|error| ControlError::new(ErrorCode::InvalidArgument, error.to_string()))?;
        let text = url.map(|url| url.to_string());
        let row = text.clone();
        let write = move |db: &mut rusqlite::Connection| {
            let change = db.transaction()?;
            change.execute("DELETE FROM catalogue_sources", [])?;
            if let Some(url) = row {
                change.execute("INSERT INTO catalogue_sources (url) VALUES (?1)", [url])?;
            }
            Ok(change.commit()?)
        };
        self.store.call(write).await.or_control()?;
        let source = CatalogueSource { url: text, ..CatalogueSource::default() };
        self.shown.send_modify(|shown| shown.source = source);
        self.read(true).await;
        Ok(self.source())
    }

    /// Reads what is due, as long as it is polled.
    pub(crate) async fn keep_up(&self) {
        self.read(false).await;
        loop {
            let source = self.source();
            let wait = source.due_at.map(|due| Duration::from_millis(u64::try_from(due - now_ms()).unwrap_or(0)));
            tokio::select! {
                () = sleep(wait) => self.read(false).await,
                () = self.changed(&source) => {}
            }
        }
    }

    /// Reads everything that is due, or all of it `anew`.
    async fn read(&self, anew: bool) {
        // Closed never.
        let _turn = self.turn.acquire().await;
        let url = self.source().url;
        let parsed = url.as_deref().and_then(|url| CatalogueUrl::parse(url).ok());
        let added: Vec<CatalogueUrl> = parsed.into_iter().collect();
        let now = now_ms();
        let Collection { families, problems } = collect(&added, &self.folder, now, anew).await;
        let mut source = CatalogueSource { url: url.clone(), ..CatalogueSource::default() };
        if let Some(url) = added.first() {
            let (folder, at) = (self.folder.clone(), url.clone());
            let stored = tokio::task::spawn_blocking(move || folder.get(&at, now)).await.ok().flatten();
            source.fetched_at = stored.as_ref().map(|stored| stored.fetched_at);
            let lives_until = stored.map(|stored| stored.due_at).filter(|due| *due > now && problems.is_empty());
            source.due_at = Some(lives_until.unwrap_or(now + RETRY));
            let told: Vec<String> = problems.into_iter().take(TOLD).collect();
            source.error = (!told.is_empty()).then(|| told.join(" "));
        }
        self.shown.send_if_modified(|shown| {
            // Another one may have been named meanwhile; its own reading follows.
            if shown.source.url != url {
                return false;
            }
            *shown = Shown { families: Arc::new(families), source };
            true
        });
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        // A device that sleeps wakes up late, so it is looked now and then.
        Some(wait) => tokio::time::sleep(wait.min(Duration::from_secs(600))).await,
        None => std::future::pending().await,
    }
}
