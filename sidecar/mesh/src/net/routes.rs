//! The mesh's own routes for members, `/mesh/v1/*`: records, documents, cards, knocks. Every one hands its bounded, parsed
//! body to the mesh's actor and answers with what that says.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{StatusCode, header};
use tokio::sync::{mpsc, oneshot};

use super::refusals::Attempt;
use super::serve::Turns;
use super::sync::{
    CARD, CardPush, DECIDE, DOCUMENTS, DocumentPush, FETCH, FETCH_DOCUMENTS, KNOCKS, MAX_BODY, MAX_CARD, PING, Push,
    RECONCILE, RECONCILE_DOCUMENTS, RECORDS, Stock, TIME, pack, unpack,
};
use crate::actor::{Command, DocumentCommand, KnockCommand};
use crate::api::Asker;
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::proto::ids::RecordId;
use crate::proto::knock::share::{BOARD_LIMIT, DECIDE_LIMIT};
use crate::proto::knock::{Board, Decide};

/// Room for the JSON around a card.
const CARD_SLACK: usize = 256;

/// The mesh's way in.
type Inbox = mpsc::Sender<Command>;

/// The routes; `inbox` is the actor's.
pub(crate) fn routes(inbox: Inbox) -> Router {
    Router::new()
        .route(RECORDS, post(records))
        .route(FETCH, post(|inbox, asker, body| fetch(Stock::Records, inbox, asker, body)))
        .route(RECONCILE, post(|inbox, asker, body| reconcile(Stock::Records, inbox, asker, body)))
        .route(DOCUMENTS, post(documents))
        .route(FETCH_DOCUMENTS, post(|inbox, asker, body| fetch(Stock::Documents, inbox, asker, body)))
        .route(RECONCILE_DOCUMENTS, post(|inbox, asker, body| reconcile(Stock::Documents, inbox, asker, body)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route(CARD, post(card).layer(DefaultBodyLimit::max(MAX_CARD + CARD_SLACK)))
        .route(KNOCKS, post(knocks).layer(DefaultBodyLimit::max(BOARD_LIMIT)))
        .route(DECIDE, post(decide).layer(DefaultBodyLimit::max(DECIDE_LIMIT)))
        .route_layer(middleware::from_fn(in_turn))
        // Answered out of turn: it tells how quickly this device answers.
        .route(PING, get(|| async { (StatusCode::NO_CONTENT, [(TIME, now_ms().to_string())]) }))
        .with_state(inbox)
}

/// A request waits, its body unread, until few others of its link are being looked at.
async fn in_turn(Extension(turns): Extension<Turns>, request: Request, next: Next) -> Response {
    let _turn = turns.take().await;
    next.run(request).await
}

async fn records(State(inbox): State<Inbox>, Extension(asker): Extension<Asker>, body: Bytes) -> Response {
    let Some(push) = unpack::<Push>(&body) else { return malformed() };
    let answer =
        ask(&inbox, |reply| Command::PeerRecords { from: asker.device_id, network: asker.network, push, reply });
    empty(answer.await)
}

async fn documents(State(inbox): State<Inbox>, Extension(asker): Extension<Asker>, body: Bytes) -> Response {
    let Some(push) = unpack::<DocumentPush>(&body) else { return malformed() };
    let (from, network) = (asker.device_id, asker.network);
    bytes(ask(&inbox, |reply| DocumentCommand::PeerPush { from, network, push, reply }).await.map(|it| pack(&it)))
}

async fn fetch(stock: Stock, State(inbox): State<Inbox>, Extension(asker): Extension<Asker>, body: Bytes) -> Response {
    let Some(ids) = unpack::<Vec<RecordId>>(&body) else { return malformed() };
    let found = ask(&inbox, |reply| Command::PeerFetch { stock, network: asker.network, ids, reply }).await;
    bytes(found.map(|found| pack(&found)))
}

async fn reconcile(
    stock: Stock,
    State(inbox): State<Inbox>,
    Extension(asker): Extension<Asker>,
    body: Bytes,
) -> Response {
    let network = asker.network;
    let answer = ask(&inbox, |reply| Command::PeerReconcile { stock, network, message: body, reply }).await;
    if matches!(answer, Err(MeshError::Protocol(_))) { malformed() } else { bytes(answer) }
}

async fn card(State(inbox): State<Inbox>, Extension(asker): Extension<Asker>, Json(push): Json<CardPush>) -> Response {
    let answer = ask(&inbox, |reply| Command::PeerCard { from: asker.device_id, network: asker.network, push, reply });
    empty(answer.await)
}

async fn knocks(State(inbox): State<Inbox>, Extension(asker): Extension<Asker>, body: Bytes) -> Response {
    let Some(board) = unpack::<Board>(&body) else { return malformed() };
    let answer =
        ask(&inbox, |reply| KnockCommand::PeerBoard { from: asker.device_id, network: asker.network, board, reply })
            .await;
    if matches!(answer, Err(MeshError::Protocol(_))) { malformed() } else { empty(answer) }
}

async fn decide(State(inbox): State<Inbox>, Extension(asker): Extension<Asker>, body: Bytes) -> Response {
    let Some(decide) = unpack::<Decide>(&body) else { return malformed() };
    let by = asker.device_id;
    let answer = ask(&inbox, |reply| KnockCommand::PeerDecide { by, network: asker.network, decide, reply }).await;
    bytes(answer.map(|verdict| pack(&verdict)))
}

async fn ask<T, C: Into<Command>>(
    inbox: &Inbox,
    command: impl FnOnce(oneshot::Sender<Result<T, MeshError>>) -> C,
) -> Result<T, MeshError> {
    let (reply, answer) = oneshot::channel();
    inbox.send(command(reply).into()).await.map_err(|_| MeshError::Stopped)?;
    answer.await.map_err(|_| MeshError::Stopped)?
}

fn empty(answer: Result<(), MeshError>) -> Response {
    answer.map_or_else(|error| refused(&error), |()| StatusCode::NO_CONTENT.into_response())
}

fn bytes(answer: Result<Bytes, MeshError>) -> Response {
    answer.map_or_else(
        |error| refused(&error),
        |bytes| ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
    )
}

fn malformed() -> Response {
    (StatusCode::BAD_REQUEST, Extension(Attempt::Protocol), "The body is not what this route takes.").into_response()
}

fn refused(error: &MeshError) -> Response {
    let status = match error {
        MeshError::Stopped | MeshError::Storage(_) => StatusCode::SERVICE_UNAVAILABLE,
        MeshError::Conflict(_) => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, error.to_string()).into_response()
}
