//! `models`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Model, ModelState};

use super::Context;
use super::output::{Failure, Output, Style, Table};
use super::units::size;

/// Lists every model that can be reached.
pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let models = context.connect().await?.model_list().await?;
    context.out.document(&models[..], table)
}

fn table(out: Output, models: &[Model]) -> String {
    if models.is_empty() {
        return "No model can be reached. Download one with `myownmesh model get`, put a GGUF file into the models folder, or add an engine.".to_owned();
    }
    let mut table = Table::new(&["MODEL", "DEVICE", "ENGINE", "STATE", "CONTEXT", "SIZE", ""]);
    for model in models {
        let (state, style) = state_of(model.state, model.percent);
        let own = if model.this_device { " (this device)" } else { "" };
        let demo = if model.demo { "demo: knows only this app" } else { "" };
        table.styled([
            (model.id.clone(), Style::Strong),
            (format!("{}{own}", model.device_name), Style::Plain),
            (model.engine.clone(), Style::Plain),
            (state, style),
            (model.context_length.map_or_else(String::new, |length| length.to_string()), Style::Plain),
            (model.size_bytes.map_or_else(String::new, size), Style::Plain),
            (model.reason.clone().unwrap_or_else(|| demo.to_owned()), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

/// Where a model stands, and how far it is.
pub(super) fn state_of(state: ModelState, percent: Option<u8>) -> (String, Style) {
    let (word, style) = match state {
        ModelState::Available => ("available", Style::Plain),
        ModelState::Downloading => ("downloading", Style::Waiting),
        ModelState::Loading => ("loading", Style::Waiting),
        ModelState::Ready => ("ready", Style::Good),
        ModelState::Failed => ("failed", Style::Bad),
    };
    (percent.map_or_else(|| word.to_owned(), |percent| format!("{word} {percent} %")), style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_model_is_labelled() {
        let model = Model {
            id: "myownllm-demo".to_owned(),
            device: "0".repeat(64),
            device_name: "Desk".to_owned(),
            this_device: true,
            engine: "builtin".to_owned(),
            state: ModelState::Ready,
            reason: None,
            percent: None,
            context_length: Some(512),
            size_bytes: Some(2_000_000),
            demo: true,
        };
        assert_eq!(
            table(Output::new(true), &[model]),
            "MODEL          DEVICE              ENGINE   STATE  CONTEXT  SIZE\n\
             myownllm-demo  Desk (this device)  builtin  ready  512      2.0 MB  demo: knows only this app"
        );
    }
}
