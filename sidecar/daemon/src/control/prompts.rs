//! Prompts of the active network.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{Prompt, PromptDraft, PromptExport, PromptFormat, PromptImport, PromptVersion};

use super::activities::check_search;
use crate::convert::{self, OrControl};
use crate::daemon::Daemon;
use crate::prompts::{Kept, PromptId};

fn id(text: &str) -> Result<PromptId, ControlError> {
    PromptId::parse(text).or_control()
}

async fn shown(daemon: &Daemon, kept: Kept) -> Prompt {
    let names = daemon.names([kept.author]).await;
    convert::prompt(kept, &names)
}

pub(super) async fn list(daemon: &Daemon, search: Option<String>) -> Result<Vec<Prompt>, ControlError> {
    check_search(search.as_deref())?;
    let prompts = daemon.prompts.list(search.as_deref()).await.or_control()?;
    let names = daemon.names(prompts.iter().map(|kept| kept.author)).await;
    Ok(prompts.into_iter().map(|kept| convert::prompt(kept, &names)).collect())
}

pub(super) async fn show(daemon: &Daemon, prompt: &str) -> Result<Prompt, ControlError> {
    Ok(shown(daemon, daemon.prompts.show(&id(prompt)?).await.or_control()?).await)
}

pub(super) async fn set(daemon: &Daemon, draft: PromptDraft) -> Result<Prompt, ControlError> {
    Ok(shown(daemon, daemon.prompts.set(draft).await.or_control()?).await)
}

pub(super) async fn duplicate(daemon: &Daemon, prompt: &str) -> Result<Prompt, ControlError> {
    Ok(shown(daemon, daemon.prompts.duplicate(&id(prompt)?).await.or_control()?).await)
}

pub(super) async fn put_before(daemon: &Daemon, prompt: &str, before: Option<&str>) -> Result<Prompt, ControlError> {
    let before = before.map(id).transpose()?;
    Ok(shown(daemon, daemon.prompts.put_before(&id(prompt)?, before.as_ref()).await.or_control()?).await)
}

pub(super) async fn delete(daemon: &Daemon, prompt: &str) -> Result<(), ControlError> {
    daemon.prompts.delete(&id(prompt)?).await.or_control()
}

pub(super) async fn history(daemon: &Daemon, prompt: &str) -> Result<Vec<PromptVersion>, ControlError> {
    let versions = daemon.prompts.history(&id(prompt)?).await.or_control()?;
    let names = daemon.names(versions.iter().map(|version| version.author)).await;
    Ok(versions.into_iter().map(|version| convert::prompt_version(version, &names)).collect())
}

pub(super) async fn restore(daemon: &Daemon, prompt: &str, version: Option<&str>) -> Result<Prompt, ControlError> {
    Ok(shown(daemon, daemon.prompts.restore(&id(prompt)?, version).await.or_control()?).await)
}

pub(super) async fn import(daemon: &Daemon, text: String, format: PromptFormat) -> Result<PromptImport, ControlError> {
    let imported = daemon.prompts.import(text, format).await.or_control()?;
    let ids = |ids: Vec<PromptId>| ids.iter().map(PromptId::to_string).collect();
    Ok(PromptImport { added: ids(imported.added), changed: ids(imported.changed), unchanged: imported.unchanged })
}

pub(super) async fn export(
    daemon: &Daemon,
    ids: &[String],
    format: PromptFormat,
) -> Result<PromptExport, ControlError> {
    let ids = ids.iter().map(|prompt| id(prompt)).collect::<Result<Vec<_>, _>>()?;
    let exported = daemon.prompts.export(&ids, format).await.or_control()?;
    let ending = match format {
        PromptFormat::Json => "json",
        PromptFormat::Markdown => "md",
    };
    let name = match ids.as_slice() {
        [only] => only.as_str(),
        _ => "prompts",
    };
    Ok(PromptExport {
        file_name: format!("{name}.{ending}"),
        text: exported.text,
        prompts: u32::try_from(exported.prompts).unwrap_or(u32::MAX),
    })
}
