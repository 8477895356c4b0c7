//! Models in Ollama's words. No IO.

use myownmesh_compute::{ModelState, Purpose};
use serde_json::{Map, Value, json};

use super::super::models::Reachable;
use super::super::stamp;

/// A moment that never comes: a model stays loaded as long as its engine likes.
const NEVER: &str = "9999-12-31T23:59:59Z";

/// The answer of `/api/tags`.
pub(super) fn tags(models: &[Reachable<'_>]) -> Value {
    let models: Vec<Value> = models.iter().map(|model| Value::Object(entry(model))).collect();
    json!({ "models": models })
}

/// The answer of `/api/ps`: what is loaded now.
pub(super) fn loaded(models: &[Reachable<'_>]) -> Value {
    let ready = models.iter().filter(|model| model.model.state == ModelState::Ready);
    let models: Vec<Value> = ready
        .map(|model| {
            let mut entry = entry(model);
            entry.remove("modified_at");
            entry.insert("expires_at".to_owned(), NEVER.into());
            // Engines do not tell how much of it is in the memory of a GPU.
            entry.insert("size_vram".to_owned(), 0.into());
            entry.insert("context_length".to_owned(), model.model.context_length.unwrap_or_default().into());
            Value::Object(entry)
        })
        .collect();
    json!({ "models": models })
}

/// The answer of `/api/show`.
pub(super) fn show(model: &Reachable<'_>) -> Value {
    let mut info = Map::new();
    info.insert("general.basename".to_owned(), model.model.id.clone().into());
    if let Some(length) = model.model.context_length {
        // Named by the architecture in Ollama, which is not known of a model elsewhere.
        info.insert("general.context_length".to_owned(), length.into());
    }
    let capabilities = match model.model.purpose {
        Purpose::Chat => json!(["completion", "tools"]),
        Purpose::Embedding => json!(["embedding"]),
    };
    json!({
        "modelfile": "", "parameters": "", "template": "", "license": "",
        "modified_at": stamp::of(0),
        "details": details(),
        "model_info": info,
        "capabilities": capabilities,
    })
}

fn entry(model: &Reachable<'_>) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("name".to_owned(), model.id.clone().into());
    entry.insert("model".to_owned(), model.id.clone().into());
    // Engines do not tell when a model came.
    entry.insert("modified_at".to_owned(), stamp::of(0).into());
    entry.insert("size".to_owned(), model.model.size_bytes.unwrap_or_default().into());
    entry.insert("digest".to_owned(), digest(model).into());
    entry.insert("details".to_owned(), details());
    entry
}

/// Stands for the digest of the weights, which clients expect and nobody knows of a model elsewhere: the same as long as
/// name, device and size are.
fn digest(model: &Reachable<'_>) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("myownllm ollama digest v1");
    hasher.update(model.device.as_bytes()).update(&[0]).update(model.model.id.as_bytes()).update(&[0]);
    hasher.update(&model.model.size_bytes.unwrap_or_default().to_be_bytes());
    hasher.finalize().to_hex().to_string()
}

fn details() -> Value {
    json!({
        "parent_model": "", "format": "gguf", "family": "", "families": [], "parameter_size": "",
        "quantization_level": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::CardModel;

    fn card(state: ModelState, purpose: Purpose) -> CardModel {
        CardModel {
            id: "m".to_owned(),
            engine: "builtin".to_owned(),
            context_length: Some(512),
            size_bytes: Some(9),
            demo: false,
            state,
            percent: None,
            purpose,
        }
    }

    #[test]
    fn models_are_listed_as_ollama_does() {
        let (cold, hot) = (card(ModelState::Available, Purpose::Embedding), card(ModelState::Ready, Purpose::Chat));
        let entry = |id: &str, model| Reachable { id: id.to_owned(), device: "Desk", model };
        let models = [entry("m", &cold), entry("Desk/m", &hot)];
        let tags = tags(&models);
        assert_eq!((&tags["models"][1]["name"], &tags["models"][1]["size"]), (&json!("Desk/m"), &json!(9)));
        let digest = tags["models"][0]["digest"].as_str().expect("text");
        assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()));
        let loaded = loaded(&models);
        assert_eq!(loaded["models"].as_array().map(Vec::len), Some(1));
        assert_eq!(loaded["models"][0]["context_length"], 512);
        assert_eq!(show(&models[0])["capabilities"], json!(["embedding"]));
        assert_eq!(show(&models[1])["model_info"]["general.context_length"], 512);
    }
}
