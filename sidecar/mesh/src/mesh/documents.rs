//! [`Mesh`]: documents of the active network.

use super::Mesh;
use crate::actor::DocumentCommand;
use crate::api::{Document, DocumentEdit, SyncInfo};
use crate::error::MeshError;
use crate::proto::document::{Collection, DocumentId, DocumentKey};
use crate::proto::ids::{DeviceId, NetworkId};

impl Mesh {
    /// The documents of a collection of the active network that have a value, by id and owner.
    pub async fn documents(&self, collection: &Collection) -> Result<Vec<Document>, MeshError> {
        self.documents_of(None, collection).await
    }

    /// [`Self::documents`], refused when another network is active by now: for whoever combines several steps.
    pub async fn documents_in(&self, network: NetworkId, collection: &Collection) -> Result<Vec<Document>, MeshError> {
        self.documents_of(Some(network), collection).await
    }

    async fn documents_of(
        &self,
        network: Option<NetworkId>,
        collection: &Collection,
    ) -> Result<Vec<Document>, MeshError> {
        let collection = collection.clone();
        self.ask(|reply| DocumentCommand::List { network, collection, reply }).await
    }

    /// The present version of a document first, then earlier ones and those that lost against another, newest first;
    /// deletions included. Of a document that everybody writes the last fifty are kept.
    pub async fn document_history(
        &self,
        collection: &Collection,
        owner: Option<DeviceId>,
        id: &DocumentId,
    ) -> Result<Vec<Document>, MeshError> {
        self.history_of(None, collection, owner, id).await
    }

    /// [`Self::document_history`], refused when another network is active by now.
    pub async fn document_history_in(
        &self,
        network: NetworkId,
        collection: &Collection,
        owner: Option<DeviceId>,
        id: &DocumentId,
    ) -> Result<Vec<Document>, MeshError> {
        self.history_of(Some(network), collection, owner, id).await
    }

    async fn history_of(
        &self,
        network: Option<NetworkId>,
        collection: &Collection,
        owner: Option<DeviceId>,
        id: &DocumentId,
    ) -> Result<Vec<Document>, MeshError> {
        let key = DocumentKey { collection: collection.clone(), id: id.clone(), owner };
        self.ask(|reply| DocumentCommand::History { network, key, reply }).await
    }

    /// Signs and keeps edits of the active network's documents, all or none, and sends them to the linked members. When
    /// this returns, nothing of it is lost, whatever happens.
    pub async fn write_documents(&self, edits: Vec<DocumentEdit>) -> Result<Vec<Document>, MeshError> {
        self.ask(|reply| DocumentCommand::Write { network: None, edits, reply }).await
    }

    /// [`Self::write_documents`], refused when another network is active by now: what was worked out from one network must
    /// never be written into another.
    pub async fn write_documents_in(
        &self,
        network: NetworkId,
        edits: Vec<DocumentEdit>,
    ) -> Result<Vec<Document>, MeshError> {
        self.ask(|reply| DocumentCommand::Write { network: Some(network), edits, reply }).await
    }

    /// The gossip switch of the active network and how far its members are.
    pub async fn sync_info(&self) -> Result<SyncInfo, MeshError> {
        self.ask(|reply| DocumentCommand::Info { reply }).await
    }

    /// Turns the gossip of the active network on or off, on this device; kept across restarts. Off: nothing of its
    /// documents leaves or enters. On again: what happened meanwhile is merged.
    pub async fn set_gossip(&self, on: bool) -> Result<SyncInfo, MeshError> {
        self.ask(|reply| DocumentCommand::SetGossip { on, reply }).await
    }
}
