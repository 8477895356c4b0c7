//! `prompt ...`

use std::io::Read;
use std::path::Path;

use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Prompt, PromptExport, PromptFormat, PromptImport, PromptVersion};
use serde_json::json;

use super::args::{PromptAction, PromptSetArgs};
use super::output::{Failure, Output, Style, Table, paint, printable};
use super::units::{now, relative};
use super::{Context, misuse};

/// Largest file that is sent to the daemon, in bytes; it takes as much.
const MAX_FILE: u64 = 20_000_000;

/// How many prompts of an import are named to a person.
const NAMED: usize = 8;

/// Runs a `prompt` command.
pub(super) async fn run(action: PromptAction, context: &Context) -> Result<(), Failure> {
    let out = context.out;
    match action {
        PromptAction::List { search } => {
            let prompts = context.connect().await?.prompt_list(search).await?;
            out.document(&prompts[..], list)
        }
        PromptAction::Show { id } => out.document(&find(&context.connect().await?, &id).await?, describe),
        PromptAction::Set(args) => set(args, context).await,
        PromptAction::Duplicate { id } => {
            let client = context.connect().await?;
            let copy = client.prompt_duplicate(find(&client, &id).await?.id).await?;
            out.document(&copy, |_, copy| format!("{} is the copy.", printable(&copy.id)))
        }
        PromptAction::Move { id, before } => {
            let client = context.connect().await?;
            let id = find(&client, &id).await?.id;
            let before = match before {
                Some(before) => Some(find(&client, &before).await?),
                None => None,
            };
            let moved = client.prompt_move(id, before.as_ref().map(|before| before.id.clone())).await?;
            out.document(&moved, |_, moved| {
                let place = before.map_or_else(|| "last".to_owned(), |before| format!("in front of {}", before.label));
                printable(&format!("{} is now {place}.", moved.label))
            })
        }
        PromptAction::Delete { id } => {
            let client = context.connect().await?;
            let prompt = find(&client, &id).await?;
            client.prompt_delete(prompt.id.clone()).await?;
            out.document(&prompt, |_, Prompt { id, label, .. }| {
                printable(&format!("{label} was deleted. `myownmesh prompt restore {id}` brings it back."))
            })
        }
        PromptAction::History { id } => {
            let versions = context.connect().await?.prompt_history(id).await?;
            out.document(&versions[..], history)
        }
        PromptAction::Restore { id, version } => {
            let prompt = context.connect().await?.prompt_restore(id, version).await?;
            out.document(&prompt, |_, prompt| format!("{} is back.", printable(&prompt.label)))
        }
        PromptAction::Import { file, format } => import(&file, format, context).await,
        PromptAction::Export { ids, format, output } => export(&ids, format, output.as_deref(), context).await,
    }
}

async fn find(client: &ControlClient, name: &str) -> Result<Prompt, Failure> {
    Ok(named(client.prompt_list(None).await?, name)?)
}

/// The prompt with this id, else the one with this label. No prefixes: a prompt that is gone must not be taken for its
/// copy.
fn named(all: Vec<Prompt>, name: &str) -> Result<Prompt, ControlError> {
    let name = name.trim();
    let (mut with_id, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|prompt| prompt.id == name);
    if let Some(prompt) = with_id.pop() {
        return Ok(prompt);
    }
    let mut called: Vec<_> = others.into_iter().filter(|prompt| prompt.label == name).collect();
    match (called.pop(), called.len()) {
        (Some(prompt), 0) => Ok(prompt),
        (Some(_), more) => {
            let message = format!("{} prompts are called \"{name}\". Name one by its id.", more + 1);
            Err(ControlError::new(ErrorCode::Ambiguous, message))
        }
        (None, _) => {
            let message = format!("There is no prompt called \"{name}\". `myownmesh prompt list` shows them.");
            Err(ControlError::new(ErrorCode::NotFound, message))
        }
    }
}

async fn set(args: PromptSetArgs, context: &Context) -> Result<(), Failure> {
    let Some(mut draft) = args.draft() else {
        return Err(misuse("give what is to be changed, for example --label or --body"));
    };
    let client = context.connect().await?;
    if draft.body.as_deref() == Some("-") {
        draft.body = Some(text_of(Path::new("-"))?);
    }
    let prompt = client.prompt_set(draft).await?;
    context.out.document(&prompt, |_, prompt| printable(&format!("{} is kept as {}.", prompt.label, prompt.id)))
}

async fn import(file: &Path, format: Option<PromptFormat>, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let text = text_of(file)?;
    let Some(format) = format.or_else(|| by_name(file)).or_else(|| by_content(&text)) else {
        let message = "It does not show how the file is written. Say so with --format json or --format markdown.";
        return Err(Failure::new(ErrorCode::InvalidArgument, message));
    };
    let imported = client.prompt_import(text, format).await?;
    context.out.document(&imported, summary)
}

async fn export(
    names: &[String],
    format: Option<PromptFormat>,
    output: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    let client = context.connect().await?;
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(find(&client, name).await?.id);
    }
    let format = format.or_else(|| output.and_then(by_name)).unwrap_or_default();
    let exported = client.prompt_export(ids, format).await?;
    let Some(file) = output else {
        return if context.out.is_json() { context.out.json_line(&exported) } else { context.out.raw(&exported.text) };
    };
    write_file(file, &exported)?;
    let PromptExport { prompts, .. } = exported;
    context.out.document(&json!({ "file": file.display().to_string(), "prompts": prompts }), |_, _| {
        printable(&format!("{} written to {}.", counted(prompts as usize), file.display()))
    })
}

/// Writes beside the file first, so that a full disk leaves what was there.
fn write_file(file: &Path, exported: &PromptExport) -> Result<(), Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    let written = std::fs::write(&beside, &exported.text).and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| {
        // Best effort: the cause is what matters.
        let _ = std::fs::remove_file(&beside);
        let message = format!("{} cannot be written: {error}. Choose another file.", file.display());
        Failure::new(ErrorCode::InvalidArgument, message)
    })
}

/// The text of a file, or of standard input for `-`; never more than the daemon takes.
fn text_of(file: &Path) -> Result<String, Failure> {
    let name = if file == Path::new("-") { "Standard input".to_owned() } else { file.display().to_string() };
    let refuse = |problem: String| Failure::new(ErrorCode::InvalidArgument, format!("{name} {problem}"));
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| refuse(format!("cannot be read: {error}. Check its name.")))?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("{name} has more than {} MB, which is the most. Split it.", MAX_FILE / 1_000_000);
        return Err(Failure::new(ErrorCode::TooLarge, message));
    }
    String::from_utf8(bytes).map_err(|_| refuse("is no text in UTF-8. Save it as UTF-8, then try again.".to_owned()))
}

fn by_name(file: &Path) -> Option<PromptFormat> {
    let ending = file.extension()?.to_str()?.to_lowercase();
    match ending.as_str() {
        "json" => Some(PromptFormat::Json),
        "md" | "markdown" => Some(PromptFormat::Markdown),
        _ => None,
    }
}

fn by_content(text: &str) -> Option<PromptFormat> {
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    match begin {
        _ if begin.starts_with('{') => Some(PromptFormat::Json),
        _ if begin.starts_with("---") => Some(PromptFormat::Markdown),
        _ => None,
    }
}

fn counted(prompts: usize) -> String {
    if prompts == 1 { "1 prompt".to_owned() } else { format!("{prompts} prompts") }
}

fn summary(_: Output, imported: &PromptImport) -> String {
    let PromptImport { added, changed, unchanged } = imported;
    let with = |ids: &[String]| match ids {
        [] => String::new(),
        ids if ids.len() <= NAMED => format!(": {}", ids.join(", ")),
        ids => format!(": {} and {} more", ids[..NAMED].join(", "), ids.len() - NAMED),
    };
    printable(&format!(
        "{} new{}.\n{} changed{}.\n{unchanged} there already.",
        added.len(),
        with(added),
        changed.len(),
        with(changed)
    ))
}

fn list(out: Output, prompts: &[Prompt]) -> String {
    if prompts.is_empty() {
        return "No prompt. `myownmesh prompt set ID --label L --body TEXT` makes one.".to_owned();
    }
    let mut table = Table::new(&["ID", "LABEL", "CHANGED", "BY", "TEXT"]);
    for prompt in prompts {
        let begin: String = prompt.body.chars().take(40).collect();
        let more = if begin.len() < prompt.body.len() { "…" } else { "" };
        table.styled([
            (prompt.id.clone(), Style::Quiet),
            (prompt.label.clone(), Style::Strong),
            (relative(prompt.updated_at, now()), Style::Plain),
            (prompt.device_name.clone(), Style::Plain),
            (format!("{begin}{more}"), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn describe(out: Output, prompt: &Prompt) -> String {
    let mut lines = vec![
        paint(out.colour(), Style::Strong, &printable(&prompt.label)),
        String::new(),
        format!("Id         {}", prompt.id),
        format!("Changed    {} by {}", relative(prompt.updated_at, now()), prompt.device_name),
    ];
    for variable in &prompt.variables {
        let label = variable.label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
        let default = variable.default.as_ref().map(|text| format!(" = {text}")).unwrap_or_default();
        lines.push(format!("Variable   {}{default}{label}", variable.name).replace('\n', " "));
    }
    if !prompt.suggested_tools.is_empty() {
        lines.push(format!("Tools      {}", prompt.suggested_tools.join(", ")));
    }
    if let Some(text) = &prompt.user_text {
        lines.push(format!("Composer   {text}"));
    }
    lines.extend([String::new(), prompt.body.clone()]);
    // The first line is clean already, and may carry colours.
    let first = lines.remove(0);
    format!("{first}\n{}", printable(&lines.join("\n")))
}

fn history(out: Output, versions: &[PromptVersion]) -> String {
    let mut table = Table::new(&["VERSION", "WHEN", "BY", "LABEL", "TEXT"]);
    for version in versions {
        let begin: String = version.body.chars().take(40).collect();
        let more = if begin.len() < version.body.len() { "…" } else { "" };
        let text = if version.deleted { "deleted".to_owned() } else { format!("{begin}{more}") };
        let mark = if version.current { " (now)" } else { "" };
        table.styled([
            (version.version.chars().take(10).collect(), Style::Quiet),
            (format!("{}{mark}", relative(version.at, now())), Style::Plain),
            (version.device_name.clone(), Style::Plain),
            (version.label.clone(), Style::Strong),
            (text, if version.deleted { Style::Bad } else { Style::Plain }),
        ]);
    }
    table.render(out.colour())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Prompt {
        Prompt {
            id: "review".to_owned(),
            label: "Review\u{1b}[2J".to_owned(),
            body: "You review {{what}}.\u{202e}\nSecond line, which is long enough to be cut.".to_owned(),
            variables: vec![myownmesh_control::types::PromptVariable {
                name: "what".to_owned(),
                label: Some("What".to_owned()),
                default: Some("a change".to_owned()),
            }],
            suggested_tools: vec!["shell".to_owned()],
            user_text: None,
            order: 1.0,
            updated_at: now(),
            device_id: "0".repeat(64),
            device_name: "Desk".to_owned(),
        }
    }

    #[test]
    fn prompts_are_listed_and_cannot_command_the_terminal() {
        assert_eq!(
            list(Output::new(true), &[prompt()]),
            "ID      LABEL      CHANGED  BY    TEXT\n\
             review  Review[2J  now      Desk  You review {{what}}. Second line, which…"
        );
        assert!(list(Output::new(true), &[]).contains("prompt set"));
        assert_eq!(
            describe(Output::new(true), &prompt()),
            "Review[2J\n\nId         review\nChanged    now by Desk\nVariable   what = a change, What\n\
             Tools      shell\n\nYou review {{what}}.\nSecond line, which is long enough to be cut."
        );
    }

    #[test]
    fn a_prompt_is_named_by_its_id_or_its_label() {
        let with = |id: &str, label: &str| Prompt { id: id.to_owned(), label: label.to_owned(), ..prompt() };
        let all =
            vec![with("a", "First"), with("First", "Other"), with("c", "Twin"), with("d", "Twin"), with("e-2", "E")];
        let found = |name: &str| named(all.clone(), name).map(|prompt| prompt.id).map_err(|error| error.code);
        assert_eq!(found("a").as_deref(), Ok("a"));
        assert_eq!(found("First").as_deref(), Ok("First"), "an id comes before a label");
        assert_eq!(found("Other").as_deref(), Ok("First"));
        assert_eq!(found("Twin"), Err(ErrorCode::Ambiguous));
        assert_eq!(found("e"), Err(ErrorCode::NotFound), "the start of an id is no id");
    }

    #[test]
    fn versions_tell_who_deleted() {
        let version = PromptVersion {
            version: "ab".repeat(32),
            at: now(),
            device_id: "0".repeat(64),
            device_name: "Lap".to_owned(),
            deleted: true,
            label: String::new(),
            body: String::new(),
            current: true,
        };
        assert_eq!(
            history(Output::new(true), &[version]),
            "VERSION     WHEN       BY   LABEL  TEXT\nababababab  now (now)  Lap         deleted"
        );
    }

    #[test]
    fn the_form_of_a_file_shows_in_its_name_or_its_beginning() {
        assert_eq!(by_name(Path::new("a.JSON")), Some(PromptFormat::Json));
        assert_eq!(by_name(Path::new("a.md")), Some(PromptFormat::Markdown));
        assert_eq!(by_name(Path::new("-")), None);
        assert_eq!(by_content("\u{feff}\n {"), Some(PromptFormat::Json));
        assert_eq!(by_content("---\nid: a"), Some(PromptFormat::Markdown));
        assert_eq!(by_content("# A heading"), None);
    }

    #[test]
    fn an_import_tells_what_came_of_it() {
        let imported = PromptImport { added: vec!["a".to_owned(), "b".to_owned()], changed: Vec::new(), unchanged: 3 };
        assert_eq!(summary(Output::new(true), &imported), "2 new: a, b.\n0 changed.\n3 there already.");
        let many = PromptImport { changed: (0..10).map(|n| n.to_string()).collect(), ..imported };
        assert!(summary(Output::new(true), &many).contains("10 changed: 0, 1, 2, 3, 4, 5, 6, 7 and 2 more."));
        assert_eq!((counted(1), counted(2)), ("1 prompt".to_owned(), "2 prompts".to_owned()));
    }
}
