//! Follows one download to its end, and has what arrived offered at once.

use std::path::Path;

use myownmesh_compute::library::{Download, DownloadState, Finished, Progress};
use myownmesh_compute::{Compute, EngineId, model_id};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{ModelFile, ModelGetEvent, ModelGetState};

use super::Chosen;
use super::lent::Lent;
use super::underway::Telling;
use crate::convert::IntoControl;
use crate::streams::Stream;

/// What the hub is called.
const HUB: &str = "hub";

/// Tells what becomes of `download`; the end of `stream` pauses it. The last event is `done`, `paused` or `error`.
pub(super) async fn follow(
    download: Download,
    chosen: Chosen,
    (compute, lent): (Compute, Lent),
    mut telling: Telling,
    stream: Stream<ModelGetEvent>,
) {
    let mut watched = download.watch();
    let mut asked = false;
    loop {
        let now = watched.borrow_and_update().clone();
        telling.tell(now.bytes, now.total);
        if let DownloadState::Done(files) = &now.state {
            lent.verified(files).await;
        }
        match happened(now, &chosen, &compute).await {
            Happened::Going(event) => stream.ring.push(event),
            Happened::Ended(event) => {
                stream.ring.push(event);
                return;
            }
        };
        tokio::select! {
            changed = watched.changed() => if changed.is_err() {
                let message = "The download ended without saying how. Start it again; the daemon's log may tell why.";
                stream.ring.push(failed(ControlError::new(ErrorCode::Internal, message)));
                return;
            },
            () = stream.cancel.cancelled(), if !asked => {
                asked = true;
                download.pause().await;
            }
        }
    }
}

/// What a change means to a reader.
enum Happened {
    Going(ModelGetEvent),
    Ended(ModelGetEvent),
}

async fn happened(now: Progress, chosen: &Chosen, compute: &Compute) -> Happened {
    let Progress { state, bytes, total, rate, source } = now;
    let going = |state| {
        let (variant, source) = (chosen.id.clone(), source.clone().unwrap_or_else(|| HUB.to_owned()));
        Happened::Going(ModelGetEvent::Progress { variant, source, state, bytes, total, rate })
    };
    match state {
        DownloadState::Queued => going(ModelGetState::Queued),
        DownloadState::Asking => going(ModelGetState::Asking),
        DownloadState::Downloading => going(ModelGetState::Downloading),
        DownloadState::Verifying => going(ModelGetState::Verifying),
        DownloadState::Paused | DownloadState::Cancelled => Happened::Ended(ModelGetEvent::Paused { bytes, total }),
        DownloadState::Failed(error) => Happened::Ended(failed(error.into_control())),
        DownloadState::Done(files) => {
            let source = source.as_deref().unwrap_or(HUB);
            Happened::Ended(done(&files, chosen, source, compute).await)
        }
    }
}

pub(super) fn failed(error: ControlError) -> ModelGetEvent {
    ModelGetEvent::Error { code: error.code, message: error.message }
}

async fn done(files: &[Finished], chosen: &Chosen, source: &str, compute: &Compute) -> ModelGetEvent {
    let vouched = files.iter().all(|file| file.vouched);
    let sha256 = files.iter().find(|file| file.path == chosen.weights).map(|file| file.sha256.to_string());
    let shown = |path: &Path| path.display().to_string();
    ModelGetEvent::Done {
        variant: chosen.id.clone(),
        model: offer(&chosen.weights, compute).await,
        path: shown(&chosen.weights),
        sha256: sha256.unwrap_or_default(),
        files: files
            .iter()
            .map(|file| ModelFile {
                path: shown(&file.path),
                sha256: file.sha256.to_string(),
                size_bytes: file.size_bytes,
            })
            .collect(),
        note: (!vouched).then(|| {
            format!("Neither the catalogue nor the hub could say which file this is: only {source} vouches for it.")
        }),
    }
}

/// Has the models folder read again; the id that the model is offered under, if an engine runs it.
pub(super) async fn offer(weights: &Path, compute: &Compute) -> Option<String> {
    read_folder(compute).await;
    let id = model_id(weights)?;
    let builtin = EngineId::builtin();
    compute.snapshot().models.iter().any(|model| model.id == id && model.engine == builtin).then_some(id)
}

/// Has the models folder read now.
pub(super) async fn read_folder(compute: &Compute) {
    if let Err(error) = compute.test_engine(EngineId::builtin()).await {
        // It says so itself among the engines; what was done to the folder is done all the same.
        tracing::info!(%error, "there is no engine to run what is in the models folder");
    }
}
