//! Where a question would run, without running it; and the same question to several devices.

use std::collections::HashSet;

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{ChatRequest, FanOutAnswer, Message, PlannedRoute, RoutePlan, RoutePurpose};

use super::record::Record;
use super::{Answers, Job, request};
use crate::conversations::Scope;
use crate::convert::OrControl;
use crate::planner::{self, Ask, Candidate, Size, Unfit, memory};
use crate::route::{self, Via};

/// Most devices that are asked at once.
const MAX_FAN_OUT: u32 = 8;
/// What the JSON of a request has around its texts, in bytes; and of each message.
const ENVELOPE: usize = 120;
const MESSAGE: usize = 30;

/// What the planner is to know of a question.
pub(super) fn asked(via: Via, request: &ChatRequest, history: &[Message]) -> Ask {
    let said = history.iter().map(|message| message.text.len() + MESSAGE);
    let system = request.system.as_ref().map_or(0, |text| text.len() + MESSAGE);
    let prompt_bytes = ENVELOPE + MESSAGE + request.prompt.len() + system + said.sum::<usize>();
    Ask {
        via,
        model: request.model.clone(),
        purpose: request.purpose.unwrap_or(RoutePurpose::Chat),
        policy: request.policy.clone(),
        size: Size { prompt_bytes, max_tokens: request.max_tokens },
    }
}

/// Refuses a question that no answer in words can be given to.
pub(super) fn can_be_answered(request: &ChatRequest) -> Result<(), ControlError> {
    if request.purpose == Some(RoutePurpose::Embeddings) {
        let message = "A model for embeddings does not talk. Use /v1/embeddings of the local API, or another purpose.";
        return Err(ControlError::new(ErrorCode::InvalidArgument, message));
    }
    Ok(())
}

impl Answers {
    /// Where a question would run, and where else.
    pub(crate) async fn plan(&self, scope: Scope, request: &ChatRequest) -> Result<RoutePlan, ControlError> {
        request::check(request)?;
        let via = self.via(request.via.as_deref())?;
        let history = match request.conversation.clone() {
            None => Vec::new(),
            Some(id) => self.conversations.open(scope, id).await.or_control()?.messages,
        };
        let ask = asked(via, request, &history);
        // What keeps it from being answered is told as it would be when asking.
        self.api.routes(|offers| route::resolve_ask(&ask, offers)).await?;
        let offers = self.api.offers();
        let plan = planner::plan(&ask, &offers);
        let mut routes = plan.ranked.iter().map(candidate).chain(plan.unfit.iter().map(|one| unfit(one, &ask)));
        match routes.next() {
            Some(chosen) if !plan.ranked.is_empty() => Ok(RoutePlan { chosen, alternatives: routes.collect() }),
            // It changed in the moment between the two looks.
            _ => Err(route::RouteError::NoModel.into()),
        }
    }

    /// Asks the best `count` devices, each once.
    pub(crate) async fn fan_out(&self, request: &ChatRequest, count: u32) -> Result<Vec<FanOutAnswer>, ControlError> {
        let invalid = |message: &str| Err(ControlError::new(ErrorCode::InvalidArgument, message));
        if !(1..=MAX_FAN_OUT).contains(&count) {
            return invalid("Between one and eight devices can be asked at once.");
        }
        if request.conversation.is_some() || request.replace_from.is_some() {
            return invalid("Answers of several devices are not kept in a conversation. Leave the conversation out.");
        }
        request::check(request)?;
        can_be_answered(request)?;
        let ask = asked(self.via(request.via.as_deref())?, request, &[]);
        let routes = self.api.routes(|offers| route::resolve_ask(&ask, offers)).await?;
        let (mut devices, mut answers) = (HashSet::new(), Vec::new());
        for route in routes {
            if answers.len() >= count as usize || !devices.insert(route.device) {
                continue;
            }
            let model = Some(route.model.clone());
            let pinned = ChatRequest { via: Some(route.device.to_string()), model, ..request.clone() };
            let job = Job { request: pinned, via: Via::Device(route.device), history: Vec::new(), begun: None };
            let record = Record::new(self.conversations.clone(), None);
            let answers_of_it = self.clone();
            let id = self.streams.spawn(None, |stream| answers_of_it.run(job, record, stream)).await;
            answers.push(FanOutAnswer {
                id,
                device_id: route.device.to_string(),
                device_name: route.device_name,
                this_device: route.this_device,
                model: route.model,
            });
        }
        Ok(answers)
    }
}

fn candidate(candidate: &Candidate<'_>) -> PlannedRoute {
    let Candidate { offer, model, prediction, reason, .. } = candidate;
    PlannedRoute {
        device_id: offer.device.to_string(),
        device_name: offer.name.clone(),
        this_device: offer.this_device,
        model: model.id.clone(),
        demo: model.demo,
        usable: model.usable(),
        first_token_ms: prediction.map(|told| told.first_ms),
        total_ms: prediction.map(|told| told.total_ms),
        memory_bytes: model.size_bytes.map(memory),
        queue: if offer.this_device { 0 } else { offer.queue.waiting },
        loaded: model.state == myownmesh_compute::ModelState::Ready,
        reason: reason.clone(),
    }
}

fn unfit(unfit: &Unfit<'_>, ask: &Ask) -> PlannedRoute {
    let Unfit { offer, model, .. } = unfit;
    PlannedRoute {
        device_id: offer.device.to_string(),
        device_name: offer.name.clone(),
        this_device: offer.this_device,
        model: model.map(|model| model.id.clone()).unwrap_or_default(),
        demo: model.is_some_and(|model| model.demo),
        usable: false,
        first_token_ms: None,
        total_ms: None,
        memory_bytes: model.and_then(|model| model.size_bytes).map(memory),
        queue: if offer.this_device { 0 } else { offer.queue.waiting },
        loaded: false,
        reason: unfit.reason(ask),
    }
}
