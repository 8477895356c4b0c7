//! What happens to the models of this device: kept in mind, and told to those who follow.

use std::collections::BTreeSet;

use myownmesh_control::types::Event;
use tokio::sync::broadcast::error::RecvError;

use crate::daemon::Daemon;

/// Keeps it up.
pub(super) async fn keep(daemon: &Daemon) {
    tokio::join!(models(daemon), uses(daemon), catalogue(daemon), daemon.library.catalogues().keep_up());
}

/// What can be had.
async fn catalogue(daemon: &Daemon) {
    let catalogues = daemon.library.catalogues();
    let mut seen = catalogues.source();
    loop {
        catalogues.changed(&seen).await;
        seen = catalogues.source();
        daemon.events.push(Event::ShelfChanged);
    }
}

/// Models that come, go, are loaded or downloaded.
async fn models(daemon: &Daemon) {
    let (mut compute, mut underway) = (daemon.compute.watch(), daemon.library.underway().watch());
    let mut seen = BTreeSet::new();
    loop {
        let now = compute.borrow_and_update().clone();
        underway.mark_unchanged();
        for model in &now.models {
            let key = (model.engine.to_string(), model.id.clone());
            if seen.contains(&key) {
                continue;
            }
            if let Err(error) = daemon.library.notes().seen(&key.0, &key.1).await {
                tracing::warn!(%error, model = key.1, "since when it is here was not written down");
            }
            seen.insert(key);
        }
        let before = now.models.clone();
        loop {
            let coming = tokio::select! {
                changed = compute.changed() => changed.map(|()| false),
                changed = underway.changed() => changed.map(|()| true),
            };
            match coming {
                Err(_) => return,
                // A member sees it as well.
                Ok(true) => daemon.events.push(Event::ModelsChanged),
                Ok(false) if compute.borrow().models == before => continue,
                Ok(false) => {}
            }
            break;
        }
        daemon.events.push(Event::ShelfChanged);
    }
}

/// Models that are asked.
async fn uses(daemon: &Daemon) {
    let mut uses = daemon.compute.uses();
    loop {
        match uses.recv().await {
            Ok(used) => {
                if let Err(error) = daemon.library.notes().used(&used).await {
                    tracing::warn!(%error, model = used.model, "its use was not written down");
                }
            }
            // They are written down once a minute at most: others of the same model follow.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
