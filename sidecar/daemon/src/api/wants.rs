//! What a request wants that an engine is known to leave out without a word. Those are refused before the engine is asked.

use myownmesh_compute::EngineKind;
use serde::Deserialize;
use serde_json::Value;

use super::ApiError;

/// Fields that Ollama's own OpenAI API takes and does nothing with.
#[derive(Deserialize)]
struct Wants {
    #[serde(default)]
    n: Value,
    #[serde(default)]
    best_of: Value,
    #[serde(default)]
    echo: Value,
    #[serde(default)]
    logit_bias: Value,
    #[serde(default)]
    tool_choice: Value,
}

/// Refuses what an engine of this kind would leave out.
pub(super) fn check(kind: EngineKind, body: &[u8]) -> Result<(), ApiError> {
    match kind {
        EngineKind::Ollama => {}
        // They say themselves what they cannot do.
        EngineKind::LlamaServer | EngineKind::OpenAi => return Ok(()),
    }
    let wants: Wants = serde_json::from_slice(body).map_err(|error| ApiError::not_json(&error.to_string()))?;
    let several = |value: &Value| value.as_u64().is_some_and(|count| count > 1);
    let refused: [(bool, &'static str); 5] = [
        (several(&wants.n), "n"),
        (several(&wants.best_of), "best_of"),
        (wants.echo == true, "echo"),
        (wants.logit_bias.as_object().is_some_and(|bias| !bias.is_empty()), "logit_bias"),
        (!matches!(wants.tool_choice, Value::Null) && wants.tool_choice != "auto", "tool_choice"),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        None => Ok(()),
        Some((_, field)) => {
            let why =
                format!("This model runs in Ollama, which has no {field}. Leave it out, or choose another model.");
            Err(ApiError::invalid(field, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ollama_leaves_out_is_refused() {
        for (field, value, fine) in [
            ("n", json!(1), true),
            ("n", json!(2), false),
            ("best_of", json!(3), false),
            ("echo", json!(true), false),
            ("echo", json!(false), true),
            ("logit_bias", json!({}), true),
            ("logit_bias", json!({"1": 5}), false),
            ("tool_choice", json!("auto"), true),
            ("tool_choice", json!("required"), false),
            ("tool_choice", Value::Null, true),
            ("temperature", json!(1), true),
        ] {
            let body = json!({"model": "m", field: value}).to_string();
            let checked = check(EngineKind::Ollama, body.as_bytes());
            assert_eq!(checked.is_ok(), fine, "{body}");
            if let Err(error) = checked {
                assert_eq!(error.to_json()["error"]["param"], field);
            }
            assert!(check(EngineKind::LlamaServer, body.as_bytes()).is_ok(), "it answers for itself");
        }
        assert!(check(EngineKind::Ollama, b"nonsense").is_err());
    }
}
