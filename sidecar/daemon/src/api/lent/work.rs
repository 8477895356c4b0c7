//! The work behind a streamed answer to a member: it waits for its turn, asks the engine, and tells each step. It runs in
//! the task of whoever takes its steps, and ends as soon as the member's leave or its place among the lent ones does.

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};
use futures_util::{FutureExt, StreamExt};
use http::Response;
use myownmesh_compute::OpenAiPath;
use tokio::time::{Instant, Interval, interval_at};

use crate::api::body::Question;
use crate::api::dispatch::LOOK;
use crate::api::leave::Leave;
use crate::api::relay::{Held, is_stream};
use crate::api::side::Side;
use crate::api::tally::Tally;
use crate::api::{Api, ApiError};
use crate::lending::{Turn, Waiting};

/// What the work tells.
pub(in crate::api) enum Step {
    /// The engine answers with a stream. Its words come later.
    Begins,
    /// It waits; told to who reads, not kept.
    Waits(Side),
    /// Whole events.
    Events(Bytes),
    /// An answer that is no stream.
    Whole(Response<Body>),
    /// It came to nothing.
    Failed(ApiError),
}

/// What the work tells, one after the other. Dropping it ends the work.
pub(in crate::api) type Steps = BoxStream<'static, Step>;

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

/// How far it is.
enum Stage {
    /// Others go first.
    Waits(Box<Job>),
    /// The engine was asked.
    Asks(Box<Asks>),
    /// The engine answers.
    Tells(Tells),
    /// Nothing more comes.
    Done,
}

struct Asks {
    api: Api,
    model: String,
    asked: BoxFuture<'static, Result<Response<Body>, ApiError>>,
    looks: Interval,
    ended: BoxFuture<'static, ApiError>,
}

struct Tells {
    // First, so that it is counted before its place is given up.
    events: BodyDataStream,
    ended: BoxFuture<'static, ApiError>,
}

impl Job {
    /// Does it all.
    pub(in crate::api) fn steps(self, api: Api) -> Steps {
        let begin = (api, Stage::Waits(Box::new(self)));
        let steps = unfold(begin, |(api, mut stage)| async move {
            loop {
                let step = match stage {
                    Stage::Waits(job) => job.turn(&api).await,
                    Stage::Asks(asks) => asks.step().await,
                    Stage::Tells(tells) => tells.step().await,
                    Stage::Done => return None,
                };
                match step {
                    (Some(step), then) => return Some((step, (api, then))),
                    (None, then) => stage = then,
                }
            }
        });
        steps.boxed()
    }

    async fn turn(mut self: Box<Self>, api: &Api) -> (Option<Step>, Stage) {
        let turn = tokio::select! {
            biased;
            error = self.leave.ended() => Err(error),
            turn = self.waiting.next() => turn.map_err(ApiError::from),
        };
        match turn {
            Err(error) => (Some(Step::Failed(error)), Stage::Done),
            Ok(Turn::Queued { ahead, wait }) => {
                let wait_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                (Some(Step::Waits(Side::Queued { ahead, wait_ms })), Stage::Waits(self))
            }
            Ok(Turn::Go(permit)) => {
                let Self { path, question, model, leave, tally, .. } = *self;
                let leave = leave.with(permit);
                let held = Held { tally: Some(tally), ..Held::default() };
                let (asking, name, body) = (api.clone(), model.clone(), question.body_for(&model));
                let asks = Asks {
                    api: api.clone(),
                    model,
                    asked: async move { asking.ask_here(path, &name, body, None, held).await }.boxed(),
                    looks: interval_at(Instant::now() + LOOK, LOOK),
                    ended: async move { leave.ended().await }.boxed(),
                };
                (None, Stage::Asks(Box::new(asks)))
            }
        }
    }
}

impl Asks {
    async fn step(mut self: Box<Self>) -> (Option<Step>, Stage) {
        let response = loop {
            tokio::select! {
                biased;
                error = &mut self.ended => return (Some(Step::Failed(error)), Stage::Done),
                response = &mut self.asked => break response,
                _ = self.looks.tick() => if let Some(side) = self.api.loading(&self.model) {
                    return (Some(Step::Waits(side)), Stage::Asks(self));
                },
            }
        };
        match response {
            Err(error) => (Some(Step::Failed(error)), Stage::Done),
            Ok(response) if is_stream(response.headers()) => {
                let events = response.into_body().into_data_stream();
                (Some(Step::Begins), Stage::Tells(Tells { events, ended: self.ended }))
            }
            // A refusal of the engine, or one that cannot stream.
            Ok(response) => (Some(Step::Whole(response)), Stage::Done),
        }
    }
}

impl Tells {
    async fn step(mut self) -> (Option<Step>, Stage) {
        tokio::select! {
            biased;
            error = &mut self.ended => (Some(Step::Failed(error)), Stage::Done),
            piece = self.events.next() => match piece {
                Some(Ok(events)) => {
                    let step = Side::read(&events).map_or_else(|| Step::Events(events), Step::Waits);
                    (Some(step), Stage::Tells(self))
                }
                Some(Err(_)) | None => (None, Stage::Done),
            },
        }
    }
}
