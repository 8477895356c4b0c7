//! Finds out what an engine is and which models it has, by asking it.

use serde::Deserialize;

use crate::client::Peer;
use crate::error::hides;
use crate::{ComputeError, EngineId, EngineKind, ModelInfo, ModelState, Purpose, ollama};

/// Most models that are listed of one engine.
const MAX_MODELS: usize = 2000;
/// Longest model name, in bytes.
const MAX_NAME: usize = 256;

/// What an engine told about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) kind: EngineKind,
    pub(crate) models: Vec<ModelInfo>,
}

/// `GET /api/version` of Ollama.
#[derive(Deserialize)]
struct OllamaVersion {
    #[serde(rename = "version")]
    _version: String,
}

/// `GET /api/tags` of Ollama.
#[derive(Deserialize)]
struct OllamaTags {
    #[serde(default)]
    models: Vec<OllamaModel>,
}

#[derive(Deserialize)]
struct OllamaModel {
    name: String,
    size: Option<u64>,
    #[serde(default)]
    details: OllamaDetails,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OllamaDetails {
    family: Option<String>,
}

/// `GET /v1/models` of OpenAI; `owned_by` and `meta` tell llama-server apart.
#[derive(Deserialize)]
struct ModelList {
    data: Vec<ListedModel>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: String,
    owned_by: Option<String>,
    meta: Option<LlamaMeta>,
}

#[derive(Deserialize)]
struct LlamaMeta {
    n_ctx: Option<u32>,
    n_ctx_train: Option<u32>,
    size: Option<u64>,
}

/// `GET /props` of llama-server. It is asked because, unlike the model list, it is protected by the key.
#[derive(Deserialize)]
struct Props {}

/// Asks the engine at `peer`. With `kind` none, Ollama's own API is tried first, then OpenAI's.
pub(crate) async fn probe(peer: &Peer, id: &EngineId, kind: Option<EngineKind>) -> Result<Probe, ComputeError> {
    match kind {
        Some(EngineKind::Ollama) => of_ollama(peer, id).await,
        Some(kind) => open_ai(peer, id, Some(kind)).await,
        None => match peer.get::<OllamaVersion>("/api/version").await {
            Ok(_) => of_ollama(peer, id).await,
            Err(
                error @ (ComputeError::Unreachable { .. } | ComputeError::Slow { .. } | ComputeError::Setup { .. }),
            ) => Err(error),
            Err(_) => open_ai(peer, id, None).await,
        },
    }
}

async fn of_ollama(peer: &Peer, id: &EngineId) -> Result<Probe, ComputeError> {
    let tags: OllamaTags = peer.get("/api/tags").await?;
    let loaded = ollama::loaded(peer).await;
    let models = tags.models.into_iter().filter(|model| is_name(&model.name)).take(MAX_MODELS);
    let models = models.map(|model| {
        let state = if loaded.contains(&model.name) { ModelState::Ready } else { ModelState::Available };
        let embeds = model.details.family.is_some_and(|family| family.contains("bert"));
        let purpose = if embeds { Purpose::Embedding } else { Purpose::Chat };
        listed(id, model.name, state, None, model.size, purpose)
    });
    Ok(Probe { kind: EngineKind::Ollama, models: models.collect() })
}

async fn open_ai(peer: &Peer, id: &EngineId, kind: Option<EngineKind>) -> Result<Probe, ComputeError> {
    let list: ModelList = peer.get("/v1/models").await?;
    let looks_like_llama = list.data.iter().any(|model| model.owned_by.as_deref() == Some("llamacpp"));
    let kind = match kind {
        Some(kind) => kind,
        None if looks_like_llama => EngineKind::LlamaServer,
        None => EngineKind::OpenAi,
    };
    let mut state = ModelState::Available;
    if kind == EngineKind::LlamaServer {
        state = ModelState::Ready;
        // Someone may have switched it off; the model list is what counts.
        if let Err(error @ (ComputeError::KeyNeeded { .. } | ComputeError::KeyRefused { .. })) =
            peer.get::<Props>("/props").await
        {
            return Err(error);
        }
    }
    let models = list.data.into_iter().filter(|model| is_name(&model.id)).take(MAX_MODELS);
    let models = models.map(|model| {
        let (context, size) = model.meta.map_or((None, None), |meta| (meta.n_ctx.or(meta.n_ctx_train), meta.size));
        let purpose = if model.id.to_lowercase().contains("embed") { Purpose::Embedding } else { Purpose::Chat };
        listed(id, model.id, state, context, size, purpose)
    });
    Ok(Probe { kind, models: models.collect() })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(hides)
}

fn listed(
    engine: &EngineId,
    id: String,
    state: ModelState,
    context_length: Option<u32>,
    size_bytes: Option<u64>,
    purpose: Purpose,
) -> ModelInfo {
    ModelInfo {
        id,
        engine: engine.clone(),
        state,
        reason: None,
        percent: None,
        context_length,
        size_bytes,
        demo: false,
        purpose,
    }
}
