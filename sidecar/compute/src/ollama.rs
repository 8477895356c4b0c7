//! What Ollama is asked beside answers: which models it has in memory, and to load, unload or delete one.
//!
//! Source: its `docs/api.md`. An empty request to `/api/generate` loads a model, with `keep_alive` 0 it unloads it.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ComputeError;
use crate::client::Peer;
use crate::error::quotable;

/// How long loading a model may take.
const LOAD: Duration = Duration::from_secs(300);
/// How long anything else may take that it does to a model.
const WORK: Duration = Duration::from_secs(30);
/// Longest answer that is read of a refusal, in bytes.
const MAX_REFUSAL: usize = 4096;

/// `GET /api/ps`.
#[derive(Deserialize)]
struct Loaded {
    #[serde(default)]
    models: Vec<LoadedModel>,
}

#[derive(Deserialize)]
struct LoadedModel {
    name: String,
}

/// The names of the models in memory. Older versions do not tell: none then.
pub(crate) async fn loaded(peer: &Peer) -> Vec<String> {
    match peer.get::<Loaded>("/api/ps").await {
        Ok(loaded) => loaded.models.into_iter().map(|model| model.name).collect(),
        Err(error) => {
            tracing::debug!(%error, "what Ollama has in memory is not known");
            Vec::new()
        }
    }
}

/// Loads a model; `stays` keeps it in memory until it is unloaded, or asked by somebody who wants it otherwise.
pub(crate) async fn load(peer: &Peer, model: &str, stays: bool) -> Result<(), ComputeError> {
    let mut body = json!({ "model": model });
    if stays {
        body["keep_alive"] = json!(-1);
    }
    work(peer, Method::POST, "/api/generate", &body, LOAD).await
}

/// Takes a model out of memory.
pub(crate) async fn unload(peer: &Peer, model: &str) -> Result<(), ComputeError> {
    let body = json!({ "model": model, "keep_alive": 0 });
    work(peer, Method::POST, "/api/generate", &body, WORK).await
}

/// Deletes a model.
pub(crate) async fn delete(peer: &Peer, model: &str) -> Result<(), ComputeError> {
    work(peer, Method::DELETE, "/api/delete", &json!({ "model": model }), WORK).await
}

async fn work(peer: &Peer, method: Method, path: &str, body: &Value, limit: Duration) -> Result<(), ComputeError> {
    let work = async {
        let response = peer.send(method, path, body).await?;
        // What it says about its work is not needed; that it has ended is.
        collect(response, peer).await.map(drop)
    };
    let late = |_| ComputeError::Slow { url: peer.url.clone(), after: limit };
    tokio::time::timeout(limit, work).await.map_err(late)?
}

/// Reads an answer up to a limit; one that is a refusal becomes an error in Ollama's words.
async fn collect(response: Response, peer: &Peer) -> Result<Vec<u8>, ComputeError> {
    use futures_util::StreamExt as _;

    let status = response.status();
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| crate::client::broke_off(&peer.url, &error))?;
        let room = MAX_REFUSAL.saturating_sub(body.len());
        body.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    if status.is_success() {
        return Ok(body);
    }
    let told = serde_json::from_slice::<Value>(&body).ok();
    let told = told.as_ref().and_then(|value| value["error"].as_str()).map(quotable).filter(|text| !text.is_empty());
    let reason = told.unwrap_or_else(|| format!("it answers with status {}", status.as_u16()));
    Err(ComputeError::Refused { url: peer.url.clone(), reason: reason.trim_end_matches('.').to_owned() })
}
