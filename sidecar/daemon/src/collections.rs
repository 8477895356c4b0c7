//! The collections of documents that this app knows. The mesh keeps them in step without knowing what is in them; their
//! values are JSON, described in docs/PROTOCOL.md. Whoever reads one ignores what it does not know.

use myownmesh_mesh::{Collection, Document, DocumentEdit, DocumentId, Mesh, MeshError, NetworkId};

/// Texts that everybody may write.
pub(crate) fn prompts() -> Collection {
    named("prompts")
}

/// What each device wants of tools; one document of its own for each tool.
pub(crate) fn permissions() -> Collection {
    named("permissions")
}

/// What each device can do; one document of its own for each, [`device`].
pub(crate) fn capabilities() -> Collection {
    named("capabilities")
}

/// What each device shows of its conversations; one document of its own for each, [`conversations`].
pub(crate) fn catalogue() -> Collection {
    named("catalogue")
}

/// Id of a device's document among the [`capabilities`].
pub(crate) fn device() -> DocumentId {
    DocumentId::parse("device").expect("visible ASCII")
}

/// Id of a device's document in the [`catalogue`].
pub(crate) fn conversations() -> DocumentId {
    DocumentId::parse("conversations").expect("visible ASCII")
}

fn named(name: &str) -> Collection {
    Collection::parse(name).expect("small letters")
}

/// The document of this device's own in a network, if it has one there.
pub(crate) async fn own(
    mesh: &Mesh,
    network: NetworkId,
    collection: &Collection,
    id: &DocumentId,
) -> Result<Option<Document>, MeshError> {
    let me = mesh.device_id();
    let documents = mesh.documents_in(network, collection).await?;
    Ok(documents.into_iter().find(|document| document.owner == Some(me) && document.id == *id))
}

/// Brings a document of this device's own to `value`; none deletes it. Whether something was written: what is so already
/// makes no new record.
pub(crate) async fn keep_own(
    mesh: &Mesh,
    network: NetworkId,
    collection: Collection,
    id: DocumentId,
    value: Option<Vec<u8>>,
) -> Result<bool, MeshError> {
    let before = own(mesh, network, &collection, &id).await?.and_then(|document| document.value);
    if before.as_deref() == value.as_deref() {
        return Ok(false);
    }
    mesh.write_documents_in(network, vec![DocumentEdit { collection, own: true, id, value }]).await?;
    Ok(true)
}
