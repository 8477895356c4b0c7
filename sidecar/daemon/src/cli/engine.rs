//! `engines` and `engine ...`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{Engine, EngineKind, EngineSpec};
use tokio::io::AsyncReadExt;

use super::args::EngineAction;
use super::device::state_style;
use super::output::{Failure, Output, Style, Table, printable};
use super::{Context, pick};

/// Longest key that is read, in bytes. Real ones have a few hundred at most.
const KEY_LIMIT: u64 = 16 * 1024;

/// Lists the engines.
pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let engines = context.connect().await?.engine_list().await?;
    context.out.document(&engines[..], table)
}

/// Runs an `engine` command. Each prints the engine it was about.
pub(super) async fn run(action: EngineAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let engine = match action {
        EngineAction::Add { url, kind, key_stdin } => {
            let key = if key_stdin { Some(read_key().await?) } else { None };
            client.engine_add(EngineSpec { url, kind, key }).await?
        }
        EngineAction::Remove { id } => {
            let engines = client.engine_list().await?;
            let engine = pick(&engines, &id, |engine| vec![&engine.id], "engine", "engines")?;
            client.engine_remove(engine.id.clone()).await?;
            return context.out.document(engine, |_, engine| format!("{} was removed.", printable(&engine.id)));
        }
        EngineAction::Test { id } => client.engine_test(id).await?,
    };
    context.out.document(&engine, describe)
}

/// Reads a key from standard input, so that it stands in no argument.
async fn read_key() -> Result<String, Failure> {
    let refused = |message: &str| Failure::new(ErrorCode::InvalidArgument, message);
    let mut bytes = Vec::new();
    tokio::io::stdin()
        .take(KEY_LIMIT + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|_| refused("The key cannot be read from standard input."))?;
    if bytes.len() as u64 > KEY_LIMIT {
        return Err(refused("This is too long for a key. Give the key alone on standard input."));
    }
    let key = String::from_utf8(bytes).map_err(|_| refused("The key is not text. Give it as UTF-8."))?;
    let key = key.trim();
    if key.is_empty() || key.chars().any(char::is_control) {
        return Err(refused("Give the key as one line on standard input, for example `... --key-stdin < key.txt`."));
    }
    Ok(key.to_owned())
}

fn table(out: Output, engines: &[Engine]) -> String {
    if engines.is_empty() {
        return "No engine. Add one with `myownmesh engine add URL`, or restart without --no-builtin-engine."
            .to_owned();
    }
    let mut table = Table::new(&["ID", "KIND", "STATE", "URL", "MODELS", "WHY"]);
    for engine in engines {
        let (state, style) = state_style(engine.state);
        table.styled([
            (engine.id.clone(), Style::Strong),
            (kind_word(engine.kind).to_owned(), Style::Plain),
            (state.to_owned(), style),
            (engine.url.clone().unwrap_or_else(|| "built in".to_owned()), Style::Plain),
            (engine.models.join(", "), Style::Plain),
            (engine.reason.clone(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn describe(_: Output, engine: &Engine) -> String {
    let (state, _) = state_style(engine.state);
    let models = if engine.models.is_empty() { "none".to_owned() } else { engine.models.join(", ") };
    printable(&format!(
        "{} ({})\n\nState   {state}: {}\nURL     {}\nModels  {models}",
        engine.id,
        kind_word(engine.kind),
        engine.reason,
        engine.url.as_deref().unwrap_or("built in"),
    ))
}

fn kind_word(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Ollama => "ollama",
        EngineKind::OpenAi => "openai",
        EngineKind::LlamaServer => "llama-server",
    }
}
