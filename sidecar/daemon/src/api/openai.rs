//! The routes that answer: chat completions, completions, embeddings.

use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Response};
use myownmesh_compute::OpenAiPath;
use myownmesh_control::types::MemberScope;
use myownmesh_mesh::Asker;

use super::body::{self, Question};
use super::relay::Held;
use super::tally::{Direction, Tally};
use super::{Api, ApiError, Caller, edge};
use crate::ledger::RequestName;
use crate::lending::{Guest, Turn};
use crate::route::{self, Via};

/// One request of any of the three.
pub(super) async fn complete(
    path: OpenAiPath,
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let question = Question::parse(path, body::read(&headers, body).await?)?;
    match caller {
        Caller::Local => {
            let purpose = edge::purpose(path);
            let routes = api.routes(|offers| route::resolve_id(&question.model, purpose, offers)).await?;
            api.ask(&routes, path, &question, &mut |_| {}).await
        }
        Caller::Member(asker) => serve(&api, path, &asker, &question, RequestName::of(&headers)).await,
    }
}

/// Serves a member: a person here lets it ask, and when the rules of lending have a place for it.
async fn serve(
    api: &Api,
    path: OpenAiPath,
    asker: &Asker,
    question: &Question,
    request: RequestName,
) -> Result<Response<Body>, ApiError> {
    tracing::debug!(asker = %asker.device_id.short(), model = question.model, "a member asks");
    let leave = api.leave(asker, MemberScope::Chat)?;
    let routes = route::resolve(Via::Local, Some(&question.model), &api.offers())?;
    let model = &routes[0].model;
    let (device, name) = (asker.device_id, asker.name.to_string());
    let guest = Guest { network: asker.network, device, name: name.clone(), model: model.clone() };
    let mut waiting = api.lending.enter(&guest)?;
    let permit = loop {
        match waiting.next().await? {
            Turn::Go(permit) => break permit,
            Turn::Queued { ahead, wait } => tracing::debug!(ahead, ?wait, "it waits"),
        }
    };
    let tally = Tally::begin(api.activity.clone(), Some(asker.network), Direction::Lent, (device, name), model);
    let tally = tally.in_ledger(&api.ledger, request);
    let held = Held { tally: Some(tally), ..Held::default() };
    api.ask_here(path, model, question.body_for(model), Some(leave.with(permit)), held).await
}
