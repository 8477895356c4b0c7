//! `model ...`: what can be downloaded, downloading it, and what is done with models that are here.

mod kept;

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use myownmesh_control::api::library::LibraryApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{
    ModelFamily, ModelFit, ModelGetEvent, ModelGetItem, ModelGetState, ModelPurpose, ModelVariant,
};

use super::Context;
use super::args::ModelAction;
use super::output::{Failure, INTERRUPTED, Output, Style, Table, paint, printable};
use super::signals::interrupted;
use super::stream::{follow, last_line};
use super::units::size;

/// How long a download that was stopped may take to write down what has arrived.
const PAUSE_LIMIT: Duration = Duration::from_secs(5);

/// Runs a `model` command.
pub(super) async fn run(action: ModelAction, context: &Context) -> Result<(), Failure> {
    match action {
        ModelAction::Search { text } => {
            let text = Some(text.join(" ")).filter(|text| !text.trim().is_empty());
            let families = context.connect().await?.model_search(text).await?;
            context.out.document(&families[..], shelf)
        }
        ModelAction::Rm { id } => {
            let removed = context.connect().await?.model_remove(id).await?;
            context.out.document(&removed, |_, removed| {
                let freed = format!("Deleted, {} freed", size(removed.freed_bytes));
                let files: Vec<String> = removed.files.iter().map(|file| printable(file)).collect();
                if files.is_empty() { format!("{freed}.") } else { format!("{freed}:\n{}", files.join("\n")) }
            })
        }
        ModelAction::List => context.out.document(&context.connect().await?.model_shelf().await?, kept::table),
        ModelAction::Pin { id, on } => {
            let model = context.connect().await?.model_pin(id, on == "on").await?;
            context.out.document(&model, kept::pinned)
        }
        ModelAction::Load { id } => {
            let model = context.connect().await?.model_load(id).await?;
            context.out.document(&model, |_, model| format!("{} is in memory.", printable(&model.id)))
        }
        ModelAction::Unload { id } => {
            let model = context.connect().await?.model_unload(id).await?;
            context.out.document(&model, |_, model| format!("{} is out of memory.", printable(&model.id)))
        }
        ModelAction::Catalogue { url } => {
            let client = context.connect().await?;
            let source = match url {
                None => client.model_shelf().await?.catalogue,
                Some(url) => client.catalogue_source(Some(url).filter(|url| url != "none")).await?,
            };
            context.out.document(&source, kept::catalogue)
        }
        ModelAction::Import { file } => import(&file, context).await,
        ModelAction::Get { id, from } => get(&id, from, context).await.map_err(|failure| match failure {
            Failure::Refused(error) if context.out.is_json() && error.code != ErrorCode::NoDaemon => {
                last_line(context.out, &error)
            }
            other => other,
        }),
    }
}

async fn import(file: &Path, context: &Context) -> Result<(), Failure> {
    let refuse = |why: &str| Failure::new(ErrorCode::InvalidArgument, format!("{}: {why}.", file.display()));
    // The daemon has another working folder.
    let path = std::path::absolute(file).map_err(|error| refuse(&error.to_string()))?;
    let path = path.to_str().ok_or_else(|| refuse("its name is not text. Rename it"))?.to_owned();
    let imported = context.connect().await?.model_import(path).await?;
    context.out.document(&imported, |_, imported| done(imported.model.as_deref(), &imported.path))
}

fn shelf(out: Output, families: &[ModelFamily]) -> String {
    if families.is_empty() {
        return "The catalogue has nothing like that. `myownmesh model search` shows everything.".to_owned();
    }
    let mut table = Table::new(&["ID", "DOWNLOAD", "MEMORY", "FIT", "WHY"]);
    for model in families.iter().flat_map(|family| &family.models) {
        for variant in &model.variants {
            table.styled(row(variant));
        }
    }
    let table = table.render(out.colour());
    let mut lines = table.lines();
    let mut text: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for family in families {
        let purposes: Vec<&str> = family.purposes.iter().copied().map(purpose).collect();
        let about = format!(" by {} · {} · {}", family.publisher, family.licence, purposes.join(", "));
        text.push(String::new());
        text.push(format!("{}{}", paint(out.colour(), Style::Strong, &printable(&family.name)), printable(&about)));
        let rows = family.models.iter().map(|model| model.variants.len()).sum();
        text.extend(lines.by_ref().take(rows).map(str::to_owned));
    }
    text.join("\n")
}

fn row(variant: &ModelVariant) -> [(String, Style); 5] {
    let (fit, style) = match variant.fit {
        ModelFit::Recommended => ("recommended", Style::Good),
        ModelFit::Fits => ("fits", Style::Plain),
        ModelFit::Tight => ("tight", Style::Waiting),
        ModelFit::TooBig => ("too big", Style::Bad),
    };
    let here = if variant.here { "It is here. " } else { "" };
    [
        (variant.id.clone(), Style::Plain),
        (size(variant.size_bytes), Style::Plain),
        (size(variant.memory_bytes), Style::Plain),
        (fit.to_owned(), style),
        (format!("{here}{}", variant.reason), Style::Quiet),
    ]
}

fn purpose(purpose: ModelPurpose) -> &'static str {
    match purpose {
        ModelPurpose::Chat => "chat",
        ModelPurpose::Code => "code",
        ModelPurpose::Vision => "vision",
        ModelPurpose::Embeddings => "embeddings",
        ModelPurpose::Speech => "speech",
    }
}

async fn get(model: &str, from: String, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let id = client.model_get_start(model.to_owned(), Some(from)).await?;
    let mut printer = Printer::new(context.out);
    let items = follow(
        &client,
        async |after| client.model_get_events(id.clone(), after).await,
        |item: &ModelGetItem| item.seq,
        |item| printer.show(&item),
    );
    let mut items = pin!(items);
    let ended = tokio::select! {
        result = &mut items => Some(result),
        () = interrupted() => None,
    };
    match ended {
        Some(Err(failure @ Failure::Reported(_))) => {
            // Our reader is gone: whoever wants the rest asks again.
            client.model_get_stop(id.clone()).await?;
            Err(failure)
        }
        Some(result) => result,
        None => {
            client.model_get_stop(id.clone()).await?;
            // Whatever it says last, it was interrupted.
            let _ = tokio::time::timeout(PAUSE_LIMIT, items).await;
            Err(Failure::Reported(INTERRUPTED))
        }
    }
}

/// Prints a download: JSON lines, or one line on the error stream that changes, and at the end where it is.
struct Printer {
    out: Output,
    /// Whether the error stream is a terminal, where a line can be written over.
    terminal: bool,
    state: Option<(ModelGetState, String)>,
}

impl Printer {
    fn new(out: Output) -> Self {
        Self { out, terminal: !out.is_json() && io::stderr().is_terminal(), state: None }
    }

    /// Prints one item; breaks at the last one.
    fn show(&mut self, item: &ModelGetItem) -> Result<ControlFlow<()>, Failure> {
        if let ModelGetEvent::Error { code, message } = &item.event {
            self.clear();
            return Err(Failure::new(*code, message.clone()));
        }
        if self.out.is_json() {
            self.out.json_line(item)?;
        }
        match &item.event {
            ModelGetEvent::Progress { source, state, bytes, total, rate, .. } => {
                self.progress(source, *state, (*bytes, *total), *rate);
                Ok(ControlFlow::Continue(()))
            }
            ModelGetEvent::Done { model, path, note, .. } => {
                self.clear();
                if !self.out.is_json() {
                    self.out.line(&done(model.as_deref(), path))?;
                    if let Some(note) = note {
                        self.out.aside(&printable(note));
                    }
                }
                Ok(ControlFlow::Break(()))
            }
            ModelGetEvent::Paused { bytes, total } => {
                self.clear();
                let here = of(*bytes, *total);
                self.out.aside(&format!("Paused at {here}. The same command goes on from there."));
                Err(Failure::Reported(INTERRUPTED))
            }
            ModelGetEvent::Error { .. } => Ok(ControlFlow::Break(())),
        }
    }

    fn progress(&mut self, source: &str, state: ModelGetState, (bytes, total): (u64, Option<u64>), rate: u64) {
        let line = progress_line(source, state, (bytes, total), rate);
        if self.terminal {
            // Nothing is left to tell when even the error stream is closed.
            let _ = write!(io::stderr(), "\r\u{1b}[K{line}");
        } else if self.state.as_ref() != Some(&(state, source.to_owned())) {
            self.out.aside(&line);
        }
        self.state = Some((state, source.to_owned()));
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn progress_line(source: &str, state: ModelGetState, (bytes, total): (u64, Option<u64>), rate: u64) -> String {
    let source = match source {
        "hub" => "the hub".to_owned(),
        "ollama" => "Ollama".to_owned(),
        name => printable(name),
    };
    match state {
        ModelGetState::Queued => "Waiting for other downloads to end.".to_owned(),
        ModelGetState::Asking => format!("Asking {source}."),
        ModelGetState::Verifying => "Verifying what arrived.".to_owned(),
        ModelGetState::Downloading => {
            let mut line = format!("Downloading from {source}: {}", of(bytes, total));
            if let Some(left) = total.map(|total| total.saturating_sub(bytes)).filter(|_| rate > 0) {
                line += &format!(", {}/s, {} left", size(rate), time(left / rate));
            }
            line
        }
    }
}

/// `1.2 GB of 2.5 GB (48 %)`.
fn of(bytes: u64, total: Option<u64>) -> String {
    match total {
        Some(total) if total > 0 => {
            let percent = u128::from(bytes) * 100 / u128::from(total);
            format!("{} of {} ({percent} %)", size(bytes), size(total))
        }
        _ => size(bytes),
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

fn done(model: Option<&str>, path: &str) -> String {
    let path = if path.is_empty() { "Ollama keeps it.".to_owned() } else { printable(path) };
    match model.map(printable) {
        Some(model) => {
            format!("{model} is here: {path}\nAsk it: myownmesh chat \"Hello\" --model \"{model}\"")
        }
        None => {
            format!("It is here: {path}\nNo engine of this device runs it; `myownmesh engines` says why.")
        }
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::FamilyModel;

    use super::*;

    fn variant(id: &str, fit: ModelFit, here: bool) -> ModelVariant {
        ModelVariant {
            id: id.to_owned(),
            quantisation: "Q8_0".to_owned(),
            size_bytes: 639_000_000,
            memory_bytes: 1_900_000_000,
            fit,
            reason: "It runs.".to_owned(),
            here,
        }
    }

    #[test]
    fn families_stand_above_their_variants_in_one_alignment() {
        let family = |name: &str, variants: Vec<ModelVariant>| ModelFamily {
            id: name.to_lowercase(),
            name: name.to_owned(),
            publisher: "Some\u{1b}body".to_owned(),
            licence: "MIT".to_owned(),
            purposes: vec![ModelPurpose::Chat, ModelPurpose::Code],
            models: vec![FamilyModel {
                id: "one".to_owned(),
                name: "One".to_owned(),
                parameters_millions: 596,
                active_millions: 596,
                context_length: None,
                variants,
            }],
        };
        let families = [
            family("Short", vec![variant("short-q8_0", ModelFit::Recommended, true)]),
            family("Long", vec![variant("a-longer-one-q8_0", ModelFit::TooBig, false)]),
        ];
        assert_eq!(
            shelf(Output::new(true), &families),
            "ID                 DOWNLOAD  MEMORY  FIT          WHY\n\n\
             Short by Somebody · MIT · chat, code\n\
             short-q8_0         639.0 MB  1.9 GB  recommended  It is here. It runs.\n\n\
             Long by Somebody · MIT · chat, code\n\
             a-longer-one-q8_0  639.0 MB  1.9 GB  too big      It runs."
        );
    }

    #[test]
    fn progress_tells_how_far_how_fast_and_how_long() {
        let line = |bytes, total, rate| progress_line("hub", ModelGetState::Downloading, (bytes, total), rate);
        assert_eq!(
            line(1_200_000_000, Some(2_500_000_000), 10_000_000),
            "Downloading from the hub: 1.2 GB of 2.5 GB (48 %), 10.0 MB/s, 2 min left"
        );
        assert_eq!(line(0, Some(2_500_000_000), 0), "Downloading from the hub: 0 B of 2.5 GB (0 %)");
        assert_eq!(line(5_000, None, 10), "Downloading from the hub: 5.0 kB");
        assert_eq!([time(119), time(7_199), time(7_200)], ["119 s", "119 min", "2 h"]);
    }
}
