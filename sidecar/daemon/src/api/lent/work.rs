//! The work behind a streamed answer to a member: it waits for its turn, asks the engine, and tells each step. It ends
//! as soon as the member's leave or its place among the lent ones does.

use axum::body::Body;
use futures_util::StreamExt;
use http::{Response, header};
use myownmesh_compute::OpenAiPath;
use tokio::time::{Instant, interval_at};

use super::{Step, Steps};
use crate::api::body::Question;
use crate::api::dispatch::LOOK;
use crate::api::leave::Leave;
use crate::api::relay::Held;
use crate::api::side::Side;
use crate::api::tally::Tally;
use crate::api::{Api, ApiError};
use crate::lending::{Permit, Turn, Waiting};

/// One question of a member.
pub(in crate::api) struct Job {
    /// The API's path.
    pub(in crate::api) path: OpenAiPath,
    /// The question.
    pub(in crate::api) question: Question,
    /// The model of this device.
    pub(in crate::api) model: String,
    /// The member's leave to ask.
    pub(in crate::api) leave: Leave,
    /// Its place among those that wait.
    pub(in crate::api) waiting: Waiting,
    /// What counts it.
    pub(in crate::api) tally: Tally,
}

impl Job {
    /// Does it all. Telling waits while nobody takes; when nobody is left to be told, it ends.
    pub(in crate::api) async fn run(self, api: Api, steps: Steps) {
        let Self { path, question, model, leave, mut waiting, tally } = self;
        let ended = async {
            let permit = tokio::select! {
                biased;
                error = leave.ended() => return Err(error),
                turn = turn(&mut waiting, &steps) => turn?,
            };
            let asked = ask(&api, path, &question, &model, tally, &steps);
            tokio::select! {
                biased;
                error = leave.ended() => Err(error),
                refusal = permit.ended() => Err(refusal.into()),
                done = asked => done,
            }
        };
        if let Err(error) = ended.await {
            // The keeper may be gone.
            let _ = steps.send(Step::Failed(error)).await;
        }
    }
}

async fn turn(waiting: &mut Waiting, steps: &Steps) -> Result<Permit, ApiError> {
    loop {
        match waiting.next().await? {
            Turn::Go(permit) => return Ok(permit),
            Turn::Queued { ahead, wait } => {
                let wait_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                let _ = steps.send(Step::Waits(Side::Queued { ahead, wait_ms })).await;
            }
        }
    }
}

async fn ask(
    api: &Api,
    path: OpenAiPath,
    question: &Question,
    model: &str,
    tally: Tally,
    steps: &Steps,
) -> Result<(), ApiError> {
    let held = Held { tally: Some(tally), ..Held::default() };
    let asked = api.ask_here(path, model, question.body_for(model), None, held);
    tokio::pin!(asked);
    let mut looks = interval_at(Instant::now() + LOOK, LOOK);
    let response = loop {
        tokio::select! {
            biased;
            response = &mut asked => break response?,
            _ = looks.tick() => if let Some(side) = api.loading(model) {
                let _ = steps.send(Step::Waits(side)).await;
            },
        }
    };
    tell(response, steps).await;
    Ok(())
}

async fn tell(response: Response<Body>, steps: &Steps) {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")) {
        // A refusal of the engine, or one that cannot stream.
        let _ = steps.send(Step::Whole(response)).await;
        return;
    }
    let mut events = response.into_body().into_data_stream();
    while let Some(Ok(events)) = events.next().await {
        let side = if events.starts_with(b":") { Side::read(&events) } else { None };
        if steps.send(side.map_or_else(|| Step::Events(events), Step::Waits)).await.is_err() {
            return;
        }
    }
}
