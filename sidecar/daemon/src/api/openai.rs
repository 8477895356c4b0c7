//! The routes that answer: chat completions, completions, embeddings.

use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Response};
use myownmesh_compute::OpenAiPath;
use myownmesh_control::types::MemberScope;
use myownmesh_mesh::Asker;

use super::body::{self, Question};
use super::leave::Leave;
use super::relay::Held;
use super::tally::{Direction, Tally};
use super::{Api, ApiError, Caller, edge};
use crate::lending::Permit;
use crate::route::{self, Via};

/// One request of any of the three.
pub(super) async fn complete(
    path: OpenAiPath,
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let admitted = match &caller {
        Caller::Local => None,
        Caller::Member(asker) => match admit(&api, asker) {
            Ok(admitted) => Some(admitted),
            Err(refusal) => {
                // Read first, so that the refusal arrives whatever is still being sent.
                body::read(&headers, body).await?;
                return Err(refusal);
            }
        },
    };
    let question = Question::parse(path, body::read(&headers, body).await?)?;
    match caller {
        Caller::Local => {
            let purpose = edge::purpose(path);
            let routes = api.routes(|offers| route::resolve_id(&question.model, purpose, offers)).await?;
            api.ask(&routes, path, &question, &mut |_| {}).await
        }
        Caller::Member(asker) => {
            tracing::debug!(asker = %asker.device_id.short(), model = question.model, "a member asks");
            let routes = route::resolve(Via::Local, Some(&question.model), &api.offers())?;
            let model = &routes[0].model;
            let device = (asker.device_id, asker.name.to_string());
            let tally = Tally::begin(api.activity.clone(), Some(asker.network), Direction::Lent, device, model);
            let (leave, permit) = admitted.unzip();
            api.ask_here(path, model, question.body_for(model), leave, Held { permit, tally: Some(tally) }).await
        }
    }
}

/// Whether a member is served: a person here lets it ask, and the lending policy has a place for it.
fn admit(api: &Api, asker: &Asker) -> Result<(Leave, Permit), ApiError> {
    let leave = api.leave(asker, MemberScope::Chat)?;
    Ok((leave, api.lending.admit(asker.network)?))
}
