//! The routes that answer: chat completions, completions, embeddings.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{HeaderMap, Response};
use myownmesh_compute::OpenAiPath;
use myownmesh_control::types::MemberScope;
use myownmesh_mesh::{Asker, LinkLoss};

use super::body::{self, Question};
use super::lent::{self, Job};
use super::relay::Held;
use super::tally::{Direction, Tally};
use super::{Api, ApiError, Caller, Find, edge};
use crate::ledger::RequestName;
use crate::lending::{Guest, Turn};
use crate::route::{self, Via};

/// One request of any of the three.
pub(super) async fn complete(
    path: OpenAiPath,
    State(api): State<Api>,
    caller: Caller,
    loss: Option<Extension<LinkLoss>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let question = Question::parse(path, body::read(&headers, body).await?)?;
    match caller {
        Caller::Local => {
            let purpose = edge::purpose(path);
            let model = question.model.clone();
            let size = question.size();
            let find: Find = Arc::new(move |offers| route::resolve_id(&model, purpose, size, offers));
            let routes = api.routes(|offers| find(offers)).await?;
            api.ask(&routes, &find, path, &question, &mut |_| {}).await
        }
        Caller::Member(asker) => {
            let name = RequestName::of(&headers);
            let resumable = question.stream && matches!(path, OpenAiPath::ChatCompletions | OpenAiPath::Completions);
            let id = headers.get(&lent::ANSWER).filter(|_| resumable).map(|value| value.to_str().unwrap_or_default());
            match id {
                None => serve(&api, path, &asker, question, name).await,
                Some(id) => serve_stream(&api, path, &asker, (question, name), (id, lost(loss))).await,
            }
        }
    }
}

/// Reads an answer on whose link was lost.
pub(super) async fn resume(
    State(api): State<Api>,
    caller: Caller,
    loss: Option<Extension<LinkLoss>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    match caller {
        Caller::Local => Err(ApiError::no_route()),
        Caller::Member(asker) => {
            api.leave(&asker, MemberScope::Chat)?;
            api.lent.resume(&asker, &id, &headers, lost(loss)).await
        }
    }
}

fn lost(loss: Option<Extension<LinkLoss>>) -> LinkLoss {
    loss.map(|Extension(loss)| loss).unwrap_or_default()
}

/// What a member asks: a person here lets it ask, and the rules of lending give it a place.
fn enter(
    api: &Api,
    path: OpenAiPath,
    asker: &Asker,
    question: Question,
    request: RequestName,
) -> Result<Job, ApiError> {
    tracing::debug!(asker = %asker.device_id.short(), model = question.model, "a member asks");
    let leave = api.leave(asker, MemberScope::Chat)?;
    let routes = route::resolve(Via::Local, Some(&question.model), &[api.own_offer()])?;
    let model = routes[0].model.clone();
    let (device, name) = (asker.device_id, asker.name.to_string());
    let guest = Guest { network: asker.network, device, name: name.clone(), model: model.clone() };
    let waiting = api.lending.enter(&guest)?;
    let tally = Tally::begin(api.activity.clone(), Some(asker.network), Direction::Lent, (device, name), &model)
        .in_ledger(&api.ledger, request);
    Ok(Job { path, question, model, leave, waiting, tally })
}

/// Serves a member whose answer cannot be resumed.
async fn serve(
    api: &Api,
    path: OpenAiPath,
    asker: &Asker,
    question: Question,
    request: RequestName,
) -> Result<Response<Body>, ApiError> {
    let Job { path, question, model, leave, mut waiting, tally } = enter(api, path, asker, question, request)?;
    let permit = loop {
        let turn = tokio::select! {
            biased;
            error = leave.ended() => return Err(error),
            turn = waiting.next() => turn?,
        };
        match turn {
            Turn::Go(permit) => break permit,
            Turn::Queued { ahead, wait } => tracing::debug!(ahead, ?wait, "it waits"),
        }
    };
    let held = Held { tally: Some(tally), ..Held::default() };
    api.ask_here(path, &model, question.body_for(&model), Some(leave.with(permit)), held).await
}

/// Serves a member that names its answer, so that it can come back for it.
async fn serve_stream(
    api: &Api,
    path: OpenAiPath,
    asker: &Asker,
    (question, request): (Question, RequestName),
    (id, loss): (&str, LinkLoss),
) -> Result<Response<Body>, ApiError> {
    api.lent.answer(asker, id, loss, || Ok(enter(api, path, asker, question, request)?.steps(api.clone()))).await
}
