//! The models that are kept here, as a table.

use myownmesh_control::types::{CatalogueSource, KeptModel, ModelShelf, ModelState};

use super::super::model::state_of;
use super::super::output::{Output, Style, Table, printable};
use super::super::units::{now, relative, size};

/// Days after which a model that is not pinned is pointed out.
const LONG: u32 = 30;

/// The shelf.
pub(super) fn table(out: Output, shelf: &ModelShelf) -> String {
    let free = shelf.free_bytes.map_or_else(String::new, |free| format!(", {} free", size(free)));
    let place = format!("{}: {} used{free}.", printable(&shelf.folder), size(shelf.used_bytes));
    if shelf.models.is_empty() {
        return format!("There is no model on this device. Download one with `myownmesh model get`.\n{place}");
    }
    let mut table = Table::new(&["MODEL", "ENGINE", "STATE", "SIZE", "UNUSED", ""]);
    for model in &shelf.models {
        let (state, style) = state_of(model.state, model.percent);
        let unused = match (model.last_used_at, model.unused_days) {
            (None, _) if model.state == ModelState::Downloading => String::new(),
            (None, _) => "never used".to_owned(),
            (Some(_), 0) => "used today".to_owned(),
            (Some(_), 1) => "1 day".to_owned(),
            (Some(_), days) => format!("{days} days"),
        };
        let long = model.unused_days >= LONG && !model.pinned && !model.demo;
        table.styled([
            (model.id.clone(), Style::Strong),
            (model.engine.clone(), Style::Plain),
            (state, style),
            (model.size_bytes.map_or_else(String::new, size), Style::Plain),
            (unused, if long { Style::Waiting } else { Style::Plain }),
            (remarks(model), Style::Quiet),
        ]);
    }
    format!("{}\n\n{place}", table.render(out.colour()))
}

fn remarks(model: &KeptModel) -> String {
    let mut remarks: Vec<String> = Vec::new();
    remarks.extend(model.pinned.then(|| "pinned".to_owned()));
    remarks.extend(model.imported.then(|| "imported".to_owned()));
    remarks.extend(model.demo.then(|| "demo: knows only this app".to_owned()));
    remarks.extend(model.reason.clone());
    remarks.join(", ")
}

/// Where the catalogue comes from.
pub(super) fn catalogue(_: Output, source: &CatalogueSource) -> String {
    let Some(url) = &source.url else { return "The catalogue is the one that comes with the app.".to_owned() };
    let when = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), |at| relative(at, now()));
    let read = format!(
        "The catalogue is the one that comes with the app and {}, read {}, and again {}.",
        printable(url),
        when(source.fetched_at),
        when(source.due_at)
    );
    match &source.error {
        Some(error) => format!("{read}\n{}", printable(error)),
        None => read,
    }
}

/// What pinning did.
pub(super) fn pinned(_: Output, model: &KeptModel) -> String {
    let id = printable(&model.id);
    if model.pinned {
        format!("{id} is kept, in memory too once it is loaded.")
    } else {
        format!("{id} is kept no longer: it is unloaded when nobody asks it for a while.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shelf_says_what_models_take_and_who_is_idle() {
        let model = |id: &str, state, percent, last_used_at, unused_days| KeptModel {
            id: id.to_owned(),
            engine: "builtin".to_owned(),
            variant: None,
            path: None,
            size_bytes: Some(2_000_000),
            imported: false,
            demo: false,
            pinned: id == "kept",
            state,
            percent,
            reason: None,
            last_used_at,
            unused_days,
        };
        let shelf = ModelShelf {
            models: vec![
                model("kept", ModelState::Ready, None, Some(1), 0),
                model("coming", ModelState::Downloading, Some(30), None, 0),
                model("old", ModelState::Available, None, Some(1), 41),
            ],
            folder: "/models".to_owned(),
            used_bytes: 4_000_000,
            free_bytes: Some(10_000_000_000),
            catalogue: CatalogueSource::default(),
        };
        assert_eq!(
            table(Output::new(true), &shelf),
            "MODEL   ENGINE   STATE             SIZE    UNUSED\n\
             kept    builtin  ready             2.0 MB  used today  pinned\n\
             coming  builtin  downloading 30 %  2.0 MB\n\
             old     builtin  available         2.0 MB  41 days\n\n\
             /models: 4.0 MB used, 10.0 GB free."
        );
    }
}
