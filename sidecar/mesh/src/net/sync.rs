//! Keeping records, documents and cards in step with one linked member: what is sent to its `/mesh/v1/*` routes.
//!
//! New records, documents and cards are pushed at once; a set reconciliation at each connect repairs what a push missed,
//! of the membership's records and of documents alike ([`Stock`]). Bodies are postcard (records) or JSON (cards); every one is bounded on the receiving side as well.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::http as streams;
use super::link::{Link, OpenError};
use crate::actor::{Command, DocumentCommand};
use crate::error::MeshError;
use crate::proto::document::peers::State;
use crate::proto::ids::{NetworkId, RecordId};
use crate::proto::knock::PeerAddress;
use crate::proto::reconcile::{Initiator, ReconcileError};

/// Answers 204 to any member, with [`TIME`].
pub(crate) const PING: &str = "/mesh/v1/ping";
/// Header with the clock of whoever answers, in milliseconds since the Unix epoch.
pub(crate) const TIME: &str = "x-mesh-time";
/// Takes a [`Push`].
pub(crate) const RECORDS: &str = "/mesh/v1/records";
/// Takes record ids, answers with those records.
pub(crate) const FETCH: &str = "/mesh/v1/records/fetch";
/// One round of reconciliation.
pub(crate) const RECONCILE: &str = "/mesh/v1/reconcile";
/// Takes a [`DocumentPush`], answers with a [`State`].
pub(crate) const DOCUMENTS: &str = "/mesh/v1/documents";
/// Takes record ids, answers with those documents.
pub(crate) const FETCH_DOCUMENTS: &str = "/mesh/v1/documents/fetch";
/// One round of reconciliation of documents.
pub(crate) const RECONCILE_DOCUMENTS: &str = "/mesh/v1/documents/reconcile";
/// Takes a [`CardPush`].
pub(crate) const CARD: &str = "/mesh/v1/card";
/// Takes the [`Board`](crate::proto::knock::Board) of a member.
pub(crate) const KNOCKS: &str = "/mesh/v1/knocks";
/// Takes a [`Decide`](crate::proto::knock::Decide), answers with a [`Verdict`](crate::proto::knock::Verdict).
pub(crate) const DECIDE: &str = "/mesh/v1/knocks/decide";

/// Most bytes of a body on these routes, and of their answers.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
/// Most bytes of a card, as JSON.
pub(crate) const MAX_CARD: usize = 64 * 1024;
/// Records of one push or answer stay below this many bytes.
pub(crate) const BATCH_BYTES: usize = 512 * 1024;
/// Most ids asked for at once.
pub(crate) const BATCH_IDS: usize = 1024;
/// One exchange ends within this time.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// New records, and where their subjects can be found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Push {
    /// Records in their canonical bytes.
    pub(crate) records: Vec<Vec<u8>>,
    /// Places of members that these records admit.
    pub(crate) peers: Vec<PeerAddress>,
}

/// How a device's documents are, and new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DocumentPush {
    /// How the sender is; `None`: it says nothing about that.
    pub(crate) state: Option<State>,
    /// Records in their canonical bytes.
    pub(crate) records: Vec<Vec<u8>>,
}

/// Which set of records is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stock {
    /// Those of the membership.
    Records,
    /// Documents.
    Documents,
}

impl Stock {
    fn fetch(self) -> &'static str {
        match self {
            Self::Records => FETCH,
            Self::Documents => FETCH_DOCUMENTS,
        }
    }

    fn reconcile(self) -> &'static str {
        match self {
            Self::Records => RECONCILE,
            Self::Documents => RECONCILE_DOCUMENTS,
        }
    }

    /// What gives records of it to the other side: the route and the body.
    fn push(self, records: Vec<Vec<u8>>) -> (&'static str, Bytes) {
        match self {
            Self::Records => (RECORDS, pack(&Push { records, peers: Vec::new() })),
            Self::Documents => (DOCUMENTS, pack(&DocumentPush { state: None, records })),
        }
    }
}

/// A device's card. The higher number is the newer card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CardPush {
    /// Rises with every change, also across restarts.
    pub(crate) seq: u64,
    /// Opaque to the mesh.
    pub(crate) card: serde_json::Value,
}

/// Why an exchange with a member failed; for logs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// No stream could be opened.
    #[error("no stream: {0:?}")]
    Open(OpenError),
    /// The link was lost.
    #[error("no answer: {0}")]
    Lost(#[from] hyper::Error),
    /// The other side refused.
    #[error("answered {0}")]
    Status(http::StatusCode),
    /// The answer is broken or too large.
    #[error("bad answer: {0}")]
    Answer(String),
    /// It took too long.
    #[error("took too long")]
    TimedOut,
    /// This side refused, or has switched networks.
    #[error(transparent)]
    Mesh(MeshError),
    /// This side is stopping.
    #[error("no longer wanted")]
    Over,
}

/// Posts `body` to `path` over `link` and reads the whole answer.
pub(crate) async fn post(link: &Arc<Link>, path: &'static str, body: Bytes) -> Result<Bytes, SyncError> {
    post_as(link, path, body, "application/octet-stream").await
}

/// As [`post`], with a body of JSON.
pub(crate) async fn post_json(link: &Arc<Link>, path: &'static str, body: Bytes) -> Result<Bytes, SyncError> {
    post_as(link, path, body, "application/json").await
}

async fn post_as(
    link: &Arc<Link>,
    path: &'static str,
    body: Bytes,
    content_type: &'static str,
) -> Result<Bytes, SyncError> {
    let exchange = async {
        let (send, recv, held) = link.open().await.map_err(SyncError::Open)?;
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(path);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let response = streams::request(send, recv, request, held).await?;
        if !response.status().is_success() {
            return Err(SyncError::Status(response.status()));
        }
        let answer = Limited::new(response.into_body(), MAX_BODY).collect().await;
        answer.map(http_body_util::Collected::to_bytes).map_err(|error| SyncError::Answer(error.to_string()))
    };
    tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await.map_err(|_| SyncError::TimedOut)?
}

/// What a reconciliation took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Questions and answers.
    pub(crate) rounds: usize,
    /// Bytes of both, records aside.
    pub(crate) bytes: usize,
    /// Records that the other side lacked.
    pub(crate) gave: usize,
    /// Records that this side lacked.
    pub(crate) took: usize,
}

/// Finds out what either side lacks and exchanges it.
pub(crate) async fn reconcile(
    link: &Arc<Link>,
    mesh: &mpsc::Sender<Command>,
    stock: Stock,
) -> Result<Compared, SyncError> {
    let network = link.network;
    let (mut bytes, mut gave, mut took) = (0, 0, 0);
    // A message stands for itself; what changes meanwhile is found the next time.
    let set = ask(mesh, |reply| Command::RecordSet { stock, network, reply }).await?;
    let broken = |error: ReconcileError| SyncError::Answer(error.to_string());
    let (mut initiator, first) = Initiator::start(&set).map_err(broken)?;
    let mut next = Some(first);
    while let Some(message) = next {
        bytes += message.len();
        let answer = post(link, stock.reconcile(), Bytes::from(message)).await?;
        bytes += answer.len();
        let step = initiator.step(&set, &answer).map_err(broken)?;
        (gave, took) = (gave + step.have.len(), took + step.need.len());
        give(link, mesh, stock, step.have).await?;
        take(link, mesh, stock, step.need).await?;
        next = step.next;
    }
    Ok(Compared { rounds: initiator.rounds(), bytes, gave, took })
}

/// Sends the records that the other side lacks.
async fn give(
    link: &Arc<Link>,
    mesh: &mpsc::Sender<Command>,
    stock: Stock,
    mut ids: Vec<RecordId>,
) -> Result<(), SyncError> {
    let network = link.network;
    while !ids.is_empty() {
        let wanted = ids.iter().take(BATCH_IDS).copied().collect();
        let records = ask(mesh, |reply| Command::PeerFetch { stock, network, ids: wanted, reply }).await?;
        if records.is_empty() {
            return Ok(());
        }
        // Answers come in the order of the ids, and this side had every one of them a moment ago.
        ids.drain(..records.len().min(ids.len()));
        let (path, body) = stock.push(records);
        post(link, path, body).await?;
    }
    Ok(())
}

/// Fetches the records that this side lacks.
async fn take(
    link: &Arc<Link>,
    mesh: &mpsc::Sender<Command>,
    stock: Stock,
    ids: Vec<RecordId>,
) -> Result<(), SyncError> {
    let network = link.network;
    let mut wanted = ask(mesh, |reply| Command::Wanted { stock, network, ids, reply }).await?;
    while !wanted.is_empty() {
        let batch: Vec<RecordId> = wanted.iter().take(BATCH_IDS).copied().collect();
        let answer = post(link, stock.fetch(), pack(&batch)).await?;
        let records =
            unpack::<Vec<Vec<u8>>>(&answer).ok_or_else(|| SyncError::Answer("no list of records".to_owned()))?;
        let from = link.device;
        match stock {
            Stock::Records => {
                let push = Push { records, peers: Vec::new() };
                ask(mesh, |reply| Command::PeerRecords { from, network, push, reply }).await?;
            }
            Stock::Documents => {
                let push = DocumentPush { state: None, records };
                ask(mesh, |reply| DocumentCommand::PeerPush { from, network, push, reply }.into()).await?;
            }
        }
        let before = wanted.len();
        wanted = ask(mesh, |reply| Command::Wanted { stock, network, ids: wanted, reply }).await?;
        if wanted.len() >= before {
            // It offers what it does not hand out, or what this device cannot read.
            return Ok(());
        }
    }
    Ok(())
}

/// How the documents of this device are.
pub(crate) async fn document_state(network: NetworkId, mesh: &mpsc::Sender<Command>) -> Result<State, SyncError> {
    ask(mesh, |reply| DocumentCommand::State { network, reply }.into()).await
}

async fn ask<T>(
    mesh: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<Result<T, MeshError>>) -> Command,
) -> Result<T, SyncError> {
    let (reply, answer) = oneshot::channel();
    mesh.send(command(reply)).await.map_err(|_| SyncError::Over)?;
    answer.await.map_err(|_| SyncError::Over)?.map_err(SyncError::Mesh)
}

/// Postcard of plain values in memory, which cannot fail.
pub(crate) fn pack<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(postcard::to_stdvec(value).unwrap_or_default())
}

/// Reads what [`pack`] made, all of it.
pub(crate) fn unpack<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_has_golden_bytes() {
        let push = Push { records: vec![vec![1, 2, 3], vec![4]], peers: Vec::new() };
        assert_eq!(pack(&push)[..], [2, 3, 1, 2, 3, 1, 4, 0]);
        assert_eq!(unpack::<Push>(&[2, 3, 1, 2, 3, 1, 4, 0]), Some(push));
        assert_eq!(unpack::<Push>(&[2, 3, 1, 2, 3, 1, 4, 0, 0]), None);
        assert_eq!(unpack::<Push>(&[2, 3, 1]), None);
    }
}
