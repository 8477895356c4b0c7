//! What Ollama is asked beside answers: which models it has in memory, and to load, unload, delete or fetch one.
//!
//! Source: its `docs/api.md`. An empty request to `/api/generate` loads a model, with `keep_alive` 0 it unloads it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
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
/// How long it may say nothing while it fetches one: it compares gigabytes with their hash without a word.
const PULL_SILENCE: Duration = Duration::from_secs(600);
/// Longest line of what it says meanwhile, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Most layers of a model that are counted.
const MAX_LAYERS: usize = 256;
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

/// How far Ollama is with fetching a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulled {
    /// What it does, in its words: "pulling manifest", "verifying sha256 digest".
    pub status: String,
    /// Bytes that are here, of all layers it has spoken of.
    pub bytes: u64,
    /// All bytes of those layers; none before it has spoken of any.
    pub total: Option<u64>,
    /// Whether it has said that all is here.
    pub done: bool,
    /// SHA-256 of its largest layer, which are the weights.
    pub sha256: Option<String>,
}

/// One line of `POST /api/pull`.
#[derive(Deserialize)]
struct PullLine {
    #[serde(default)]
    status: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    completed: Option<u64>,
    #[serde(default)]
    error: Option<String>,
}

/// A model that Ollama is fetching. Dropping it makes Ollama stop; what it has stays there, and the next pull goes on.
pub struct Pull {
    peer: Peer,
    pieces: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    read: BytesMut,
    /// Bytes that are here and all bytes of each layer.
    layers: BTreeMap<String, (u64, u64)>,
    now: Pulled,
}

impl std::fmt::Debug for Pull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Has Ollama fetch a model.
pub(crate) async fn pull(peer: Peer, model: &str) -> Result<Pull, ComputeError> {
    let body = json!({ "model": model, "stream": true });
    let asked = peer.send(Method::POST, "/api/pull", &body);
    let late = |_| ComputeError::Slow { url: peer.url.clone(), after: LOAD };
    let response = tokio::time::timeout(LOAD, asked).await.map_err(late)??;
    if !response.status().is_success() {
        collect(response, &peer).await?;
        return Err(refused(&peer, "it does not fetch it"));
    }
    let pieces = response.bytes_stream().boxed();
    Ok(Pull { peer, pieces, read: BytesMut::new(), layers: BTreeMap::new(), now: Pulled::default() })
}

fn refused(peer: &Peer, reason: &str) -> ComputeError {
    ComputeError::Refused { url: peer.url.clone(), reason: quotable(reason).trim_end_matches('.').to_owned() }
}

impl Pull {
    /// How far it is, when it has said something new; none after it was done.
    ///
    /// # Errors
    /// Why it does not go on. Nothing more comes after that.
    pub async fn next(&mut self) -> Result<Option<Pulled>, ComputeError> {
        if self.now.done {
            return Ok(None);
        }
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(at + 1);
                if self.take(line.trim_ascii())? {
                    return Ok(Some(self.now.clone()));
                }
                continue;
            }
            if self.read.len() > MAX_LINE {
                return Err(refused(&self.peer, "it says more at once than can be"));
            }
            let late = |_| ComputeError::Slow { url: self.peer.url.clone(), after: PULL_SILENCE };
            match tokio::time::timeout(PULL_SILENCE, self.pieces.next()).await.map_err(late)? {
                Some(Ok(piece)) => self.read.extend_from_slice(&piece),
                Some(Err(error)) => return Err(crate::client::broke_off(&self.peer.url, &error)),
                None if self.read.is_empty() => return Err(refused(&self.peer, "it stopped before all was there")),
                // A last line may lack its end.
                None => self.read.extend_from_slice(b"\n"),
            }
        }
    }

    /// Takes one line; whether it says something.
    fn take(&mut self, line: &[u8]) -> Result<bool, ComputeError> {
        if line.is_empty() {
            return Ok(false);
        }
        // A list would be read as a line without words.
        let read = line.starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten();
        let line: PullLine = read.ok_or_else(|| refused(&self.peer, "it says what cannot be understood"))?;
        if let Some(error) = line.error {
            return Err(refused(&self.peer, &error));
        }
        if let (Some(digest), Some(total)) = (line.digest, line.total)
            && (self.layers.len() < MAX_LAYERS || self.layers.contains_key(&digest))
        {
            let completed = line.completed.unwrap_or(0).min(total);
            self.layers.insert(digest, (completed, total));
        }
        let sum = |part: fn(&(u64, u64)) -> u64| self.layers.values().map(part).fold(0, u64::saturating_add);
        let weights = self.layers.iter().max_by_key(|(_, (_, total))| *total).map(|(digest, _)| digest);
        let sha256 = weights.and_then(|digest| crate::library::Sha256::parse(digest.strip_prefix("sha256:")?).ok());
        self.now = Pulled {
            done: line.status == "success",
            status: quotable(&line.status),
            bytes: sum(|(completed, _)| *completed),
            total: (!self.layers.is_empty()).then(|| sum(|(_, total)| *total)),
            sha256: sha256.map(|sha256| sha256.to_string()),
        };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::EngineUrl;
    use crate::client::Clients;

    /// What comes of these bytes, in pieces of an odd length.
    async fn told(text: &str) -> (Vec<Pulled>, Option<ComputeError>) {
        let pieces: Vec<reqwest::Result<bytes::Bytes>> =
            text.as_bytes().chunks(13).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
        let url = EngineUrl::parse("127.0.0.1:9").expect("an address");
        let client = Clients::new().expect("clients").plain();
        let peer = Peer { client, url, key: None, limit: WORK };
        let pieces = stream::iter(pieces).boxed();
        let mut pull = Pull { peer, pieces, read: BytesMut::new(), layers: BTreeMap::new(), now: Pulled::default() };
        let mut told = Vec::new();
        loop {
            match pull.next().await {
                Ok(Some(pulled)) => told.push(pulled),
                Ok(None) => return (told, None),
                Err(error) => return (told, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn layers_are_added_up() {
        let (big, small) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "{{\"status\":\"pulling manifest\"}}\n\
             {{\"status\":\"pulling aaaaaaaaaaaa\",\"digest\":\"sha256:{big}\",\"total\":1000}}\n\
             {{\"status\":\"pulling aaaaaaaaaaaa\",\"digest\":\"sha256:{big}\",\"total\":1000,\"completed\":400}}\n\
             {{\"status\":\"pulling bbbbbbbbbbbb\",\"digest\":\"sha256:{small}\",\"total\":10,\"completed\":10}}\n\n\
             {{\"status\":\"pulling aaaaaaaaaaaa\",\"digest\":\"sha256:{big}\",\"total\":1000,\"completed\":2000}}\n\
             {{\"status\":\"verifying sha256 digest\"}}\n{{\"status\":\"success\"}}"
        );
        let (told, error) = told(&text).await;
        assert_eq!(error, None);
        let bytes: Vec<_> = told.iter().map(|pulled| (pulled.bytes, pulled.total)).collect();
        let all = Some(1010);
        assert_eq!(
            bytes,
            [(0, None), (0, Some(1000)), (400, Some(1000)), (410, all), (1010, all), (1010, all), (1010, all)]
        );
        let last = told.last().expect("something");
        assert!(last.done && last.sha256.as_ref() == Some(&big), "{last:?}");
    }

    #[tokio::test]
    async fn whatever_it_says_ends_with_a_sentence() {
        for (text, words) in [
            ("", "stopped before all was there"),
            ("{\"status\":\"pulling manifest\"}\n", "stopped before all was there"),
            ("{\"error\":\"pull model manifest: file does not exist\"}", "file does not exist"),
            ("<html>", "cannot be understood"),
            ("[]", "cannot be understood"),
            (&"x".repeat(MAX_LINE + 100), "more at once than can be"),
        ] {
            let (_, error) = told(text).await;
            let error = error.expect("it is not done").to_string();
            assert!(error.contains(words) && error.contains("Ollama"), "{error}");
        }
        let many: String = (0..2 * MAX_LAYERS)
            .map(|n| format!("{{\"status\":\"x\",\"digest\":\"{n}\",\"total\":18446744073709551615}}\n"))
            .collect();
        let (told, _) = told(&many).await;
        assert_eq!(told.last().expect("something").total, Some(u64::MAX));
    }
}
