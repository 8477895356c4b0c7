//! Prompts: texts that the devices of a network share.
//!
//! Each is a document of the collection `prompts`, which every member may write. [`Prompts`] is the handle: it reads the
//! documents of the active network, works out what a change comes to (`list`), and has the mesh sign and spread it. `text`
//! says what a prompt may be, `variables` what a person fills in, `order` how places are given, `file` how prompts are
//! written to a file and taken from one.

mod error;
mod file;
mod list;
mod order;
mod text;
mod variables;

use std::sync::Arc;

use myownmesh_control::types::{PromptDraft, PromptFormat};
use myownmesh_mesh::{DeviceId, Document, DocumentEdit, DocumentId, Mesh, MeshError, NetworkId, RecordId};
use tokio::sync::Semaphore;

pub(crate) use error::{FileError, PromptError};
pub(crate) use list::Kept;
pub(crate) use text::{PromptId, PromptText};
pub(crate) use variables::Variable;

use self::list::{Plan, PromptList};
use crate::collections;

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Prompts {
    mesh: Mesh,
    /// One change at a time: each is worked out from what the one before left.
    turn: Arc<Semaphore>,
}

/// One version of a prompt, the present one included.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    /// The record.
    pub(crate) record: RecordId,
    /// Who wrote it.
    pub(crate) author: DeviceId,
    /// When, by the author's clock.
    pub(crate) at: i64,
    /// What it says, and its place; `None` for a deletion.
    pub(crate) text: Option<(PromptText, f64)>,
    /// Whether it is the present one.
    pub(crate) current: bool,
}

/// Prompts as the text of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exported {
    /// The text.
    pub(crate) text: String,
    /// How many are in it.
    pub(crate) prompts: usize,
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Imported {
    /// New ones.
    pub(crate) added: Vec<PromptId>,
    /// Those that say something else now.
    pub(crate) changed: Vec<PromptId>,
    /// How many were there already.
    pub(crate) unchanged: u32,
}

impl Prompts {
    /// The prompts of this mesh.
    pub(crate) fn new(mesh: Mesh) -> Self {
        Self { mesh, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Those whose label or text contains `search`, in their order.
    pub(crate) async fn list(&self, search: Option<&str>) -> Result<Vec<Kept>, PromptError> {
        Ok(self.here()?.read().await?.search(search))
    }

    /// One of them.
    pub(crate) async fn show(&self, id: &PromptId) -> Result<Kept, PromptError> {
        let list = self.here()?.read().await?;
        list.find(id).cloned().ok_or_else(|| PromptError::NotFound(id.to_string()))
    }

    /// Makes one, or changes one.
    pub(crate) async fn set(&self, draft: PromptDraft) -> Result<Kept, PromptError> {
        let _turn = self.turn.acquire().await;
        let here = self.here()?;
        let list = here.read().await?;
        let (id, plan) = list.set(draft)?;
        here.carry_out(&list, &id, plan).await
    }

    /// Makes a copy right below one.
    pub(crate) async fn duplicate(&self, id: &PromptId) -> Result<Kept, PromptError> {
        let _turn = self.turn.acquire().await;
        let here = self.here()?;
        let list = here.read().await?;
        let (copy, plan) = list.duplicate(id)?;
        here.carry_out(&list, &copy, plan).await
    }

    /// Moves one in front of another; to the end when `before` is none.
    pub(crate) async fn put_before(&self, id: &PromptId, before: Option<&PromptId>) -> Result<Kept, PromptError> {
        let _turn = self.turn.acquire().await;
        let here = self.here()?;
        let list = here.read().await?;
        let plan = list.put_before(id, before)?;
        here.carry_out(&list, id, plan).await
    }

    /// Deletes one everywhere. One that cannot be read here can be deleted as well.
    pub(crate) async fn delete(&self, id: &PromptId) -> Result<(), PromptError> {
        let _turn = self.turn.acquire().await;
        let here = self.here()?;
        let document = id.document()?;
        let known = here.documents().await?.into_iter().any(|known| known.owner.is_none() && known.id == document);
        if !known {
            return Err(PromptError::NotFound(id.to_string()));
        }
        here.write(vec![edit(document, None)]).await?;
        Ok(())
    }

    /// The versions of one, the present one first, then earlier ones and those that lost, newest first.
    pub(crate) async fn history(&self, id: &PromptId) -> Result<Vec<Version>, PromptError> {
        self.here()?.history(id).await
    }

    /// Brings a version back, as a new one; `None`: the newest with a text that is not the present one.
    pub(crate) async fn restore(&self, id: &PromptId, wanted: Option<&str>) -> Result<Kept, PromptError> {
        let _turn = self.turn.acquire().await;
        let here = self.here()?;
        let (text, order) = choose(here.history(id).await?, wanted)?;
        let list = here.read().await?;
        let plan = list.restore(id, text, order);
        here.carry_out(&list, id, plan).await
    }

    /// Takes the prompts of a file, as a whole or not at all.
    pub(crate) async fn import(&self, text: String, format: PromptFormat) -> Result<Imported, PromptError> {
        let here = self.here()?;
        // Up to 20 MB of text: not on a thread that serves others meanwhile.
        let parsed = tokio::task::spawn_blocking(move || file::parse(&text, format)).await;
        let prompts = parsed.map_err(|_| PromptError::Interrupted)??;
        let _turn = self.turn.acquire().await;
        let import = here.read().await?.import(prompts);
        here.write_plan(import.plan).await?;
        Ok(Imported { added: import.added, changed: import.changed, unchanged: import.unchanged })
    }

    /// Writes those with these ids to a file; all of them when `ids` is empty.
    pub(crate) async fn export(&self, ids: &[PromptId], format: PromptFormat) -> Result<Exported, PromptError> {
        let chosen = self.here()?.read().await?.chosen(ids)?;
        let text = file::write(&chosen, format);
        if text.len() > file::MAX_FILE {
            return Err(PromptError::LargeExport { bytes: text.len(), most: file::MAX_FILE });
        }
        Ok(Exported { text, prompts: chosen.len() })
    }

    /// The network that is active now.
    fn here(&self) -> Result<Here<'_>, PromptError> {
        let network = self.mesh.snapshot().active.ok_or(MeshError::NoNetwork)?;
        Ok(Here { mesh: &self.mesh, network })
    }
}

/// The network in which something was begun. Each step is refused once another one is active: what was read in one is
/// never written into another.
struct Here<'a> {
    mesh: &'a Mesh,
    network: NetworkId,
}

impl Here<'_> {
    async fn documents(&self) -> Result<Vec<Document>, MeshError> {
        self.mesh.documents_in(self.network, &collections::prompts()).await
    }

    async fn read(&self) -> Result<PromptList, PromptError> {
        Ok(PromptList::read(&self.documents().await?))
    }

    async fn history(&self, id: &PromptId) -> Result<Vec<Version>, PromptError> {
        let (collection, document) = (collections::prompts(), id.document()?);
        let documents = self.mesh.document_history_in(self.network, &collection, None, &document).await?;
        let versions: Vec<_> = documents.iter().enumerate().filter_map(|(at, one)| version(one, at == 0)).collect();
        if versions.is_empty() { Err(PromptError::NoHistory(id.to_string())) } else { Ok(versions) }
    }

    /// Writes a plan; gives the prompt with this id as it is then.
    async fn carry_out(&self, before: &PromptList, id: &PromptId, plan: Plan) -> Result<Kept, PromptError> {
        let written = self.write_plan(plan).await?;
        let now = written.iter().find(|document| document.id.as_str() == id.as_str()).and_then(Kept::read);
        now.or_else(|| before.find(id).cloned()).ok_or_else(|| PromptError::NotFound(id.to_string()))
    }

    async fn write_plan(&self, plan: Plan) -> Result<Vec<Document>, PromptError> {
        if plan.writes.is_empty() {
            return Ok(Vec::new());
        }
        let edits = plan.writes.into_iter().map(|(id, text, order)| {
            let value = text::write(&text, order);
            Ok(edit(id.document()?, Some(value)))
        });
        Ok(self.write(edits.collect::<Result<_, PromptError>>()?).await?)
    }

    async fn write(&self, edits: Vec<DocumentEdit>) -> Result<Vec<Document>, MeshError> {
        self.mesh.write_documents_in(self.network, edits).await
    }
}

fn edit(id: DocumentId, value: Option<Vec<u8>>) -> DocumentEdit {
    DocumentEdit { collection: collections::prompts(), own: false, id, value }
}

/// A version; `None` for one that is no prompt.
fn version(document: &Document, current: bool) -> Option<Version> {
    let text = match &document.value {
        Some(value) => Some(text::read(value)?),
        None => None,
    };
    Some(Version { record: document.record, author: document.author, at: document.at(), text, current })
}

/// The text of the version that is wanted.
fn choose(versions: Vec<Version>, wanted: Option<&str>) -> Result<(PromptText, f64), PromptError> {
    let Some(wanted) = wanted.map(|wanted| wanted.trim().to_lowercase()) else {
        let present = versions.iter().find(|version| version.current).and_then(|version| version.text.clone());
        // A version that only stands elsewhere in the list says nothing else.
        let differs = |(text, _): &(PromptText, f64)| present.as_ref().is_none_or(|(present, _)| present != text);
        return versions.into_iter().filter_map(|one| one.text).find(differs).ok_or(PromptError::NoEarlierVersion);
    };
    let fits = |version: &Version| !wanted.is_empty() && version.record.to_string().starts_with(&wanted);
    let mut found = versions.into_iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(version), None) => version.text.ok_or(PromptError::DeletedVersion),
        (Some(_), Some(_)) => Err(PromptError::AmbiguousVersion(crate::text::quotable(&wanted))),
        (None, _) => Err(PromptError::NoVersion(crate::text::quotable(&wanted))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> Vec<Version> {
        let version = |first: u8, label: Option<&str>, current| Version {
            record: RecordId::from_bytes([first; 32]),
            author: DeviceId::of_secret(&[1; 32]),
            at: 0,
            text: label.map(|label| (PromptText { label: label.to_owned(), ..PromptText::default() }, 0.0)),
            current,
        };
        vec![version(0xaa, None, true), version(0xab, Some("B"), false), version(0xcd, Some("C"), false)]
    }

    fn chosen(wanted: Option<&str>) -> Result<String, PromptError> {
        choose(versions(), wanted).map(|(text, _)| text.label)
    }

    #[test]
    fn a_version_is_named_by_the_start_of_its_id() {
        assert_eq!(chosen(Some(" CD ")).expect("one"), "C");
        assert_eq!(chosen(Some("ab")).expect("one"), "B");
        assert!(matches!(chosen(Some("a")), Err(PromptError::AmbiguousVersion(_))));
        assert!(matches!(chosen(Some("aa")), Err(PromptError::DeletedVersion)));
        assert!(matches!(chosen(Some("ee")), Err(PromptError::NoVersion(_))));
        assert!(matches!(chosen(Some("")), Err(PromptError::NoVersion(_))));
    }

    #[test]
    fn without_a_name_the_newest_earlier_text_is_meant() {
        assert_eq!(chosen(None).expect("one"), "B");
        let mut moved = versions();
        moved[0].text = moved[1].text.clone();
        assert_eq!(choose(moved, None).expect("one").0.label, "C", "a prompt that was only moved says the same");
        assert!(matches!(choose(versions()[..1].to_vec(), None), Err(PromptError::NoEarlierVersion)));
    }
}
