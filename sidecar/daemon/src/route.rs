//! Decides where a request runs. Pure: what every device offers goes in, the candidates come out, best first. Their order
//! is the planner's; what a name means, and why nothing can answer, is told here.

use std::collections::HashMap;

use myownmesh_compute::{ModelState, Purpose};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Accepting, RoutePurpose};
use myownmesh_mesh::DeviceId;

use crate::card::CardModel;
use crate::devices;
use crate::lending::QueueLoad;
use crate::planner::{self, Ask, Candidate, Machine, Plan, Prediction, Rate, Size, Why};
use crate::text::{listed, quotable};

/// How many known models an error names.
const NAMED: usize = 5;

/// The model id that always means the best there is; a model of that very name hides it.
pub(crate) const VIRTUAL: &str = "myownllm";

/// What one device offers now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    /// The device.
    pub(crate) device: DeviceId,
    /// Its name.
    pub(crate) name: String,
    /// Whether it is this one.
    pub(crate) this_device: bool,
    /// Round-trip time when it is connected; none when it is away. 0 for this device.
    pub(crate) rtt_ms: Option<f64>,
    /// Whether it is being reached for the first time, or has not told yet what it offers: a moment later it may answer.
    pub(crate) arriving: bool,
    /// Why it is away, as a sentence.
    pub(crate) reason: String,
    /// Its lending policy; for this device it does not matter.
    pub(crate) accepting: Accepting,
    /// Its models.
    pub(crate) models: Vec<CardModel>,
    /// What runs and waits there for members; for this device it does not matter: its own requests go first.
    pub(crate) queue: QueueLoad,
    /// What it works with, as soon as it tells.
    pub(crate) machine: Option<Machine>,
    /// How fast it was with its models.
    pub(crate) rates: HashMap<String, Rate>,
}

/// Which devices may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// Whichever is best.
    Auto,
    /// This device only.
    Local,
    /// That device only.
    Device(DeviceId),
}

/// Where a request runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    /// The device.
    pub(crate) device: DeviceId,
    /// Its name.
    pub(crate) device_name: String,
    /// Whether it is this one.
    pub(crate) this_device: bool,
    /// The model, as that device names it.
    pub(crate) model: String,
    /// Whether it is the demo model.
    pub(crate) demo: bool,
    /// Round-trip time to the device, in milliseconds.
    pub(crate) rtt_ms: f64,
    /// Whether the model is loaded.
    pub(crate) loaded: bool,
    /// What the answer may take.
    pub(crate) predicted: Option<Prediction>,
}

/// Why a request can run nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// There is no model at all.
    #[error(
        "There is no model here or on a connected device. Add an engine, put a GGUF file into the models folder, or connect a device that has one."
    )]
    NoModel,
    /// The device has no model.
    #[error("{0} has no model that can answer. Choose another device, or add an engine there.")]
    NoneThere(String),
    /// Nobody has the model.
    #[error("No device has a model \"{model}\" now.{}", known_text(known))]
    UnknownModel {
        /// What was asked for.
        model: String,
        /// Some that are known.
        known: Vec<String>,
    },
    /// The device does not have the model.
    #[error("{device} has no model \"{model}\".{}", known_text(known))]
    NotThere {
        /// The device.
        device: String,
        /// What was asked for.
        model: String,
        /// Some that it has.
        known: Vec<String>,
    },
    /// The device is not connected.
    #[error("{device} cannot be reached now. {reason}")]
    Away {
        /// The device.
        device: String,
        /// Why.
        reason: String,
    },
    /// The only devices that could answer accept nothing.
    #[error("{0} is not accepting requests now. Ask its owner, or choose another device.")]
    Busy(String),
    /// Nothing has what the policy or the purpose asks for.
    #[error(
        "Nothing that can be reached now has what was asked for: {0}. Ask for less, or connect a device that has it."
    )]
    Unmet(String),
    /// The device is not in the network.
    #[error("There is no such device in this network. `myownmesh devices` shows the members.")]
    NoDevice,
}

fn known_text(known: &[String]) -> String {
    if known.is_empty() {
        return " There is no model at all: add an engine, or connect a device that has one.".to_owned();
    }
    format!(" There is {}.", listed(known, NAMED))
}

impl RouteError {
    /// The stable reason.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NoModel | Self::NoneThere(_) | Self::Unmet(_) => ErrorCode::NoModel,
            Self::UnknownModel { .. } | Self::NotThere { .. } => ErrorCode::ModelNotFound,
            Self::Away { .. } => ErrorCode::Unreachable,
            Self::Busy(_) => ErrorCode::Busy,
            Self::NoDevice => ErrorCode::NotFound,
        }
    }
}

impl From<RouteError> for ControlError {
    fn from(error: RouteError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Candidates for a request, best first; never empty. `planner` says in which order.
pub(crate) fn resolve(via: Via, model: Option<&str>, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    resolve_ask(&Ask::new(via, model, RoutePurpose::Chat), offers)
}

/// The same with everything that is asked.
pub(crate) fn resolve_ask(ask: &Ask, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    if let Via::Device(id) = ask.via {
        let offer = offers.iter().find(|offer| offer.device == id).ok_or(RouteError::NoDevice)?;
        if offer.rtt_ms.is_none() {
            return Err(RouteError::Away { device: offer.name.clone(), reason: offer.reason.clone() });
        }
    }
    let plan = planner::plan(ask, offers);
    if plan.ranked.is_empty() {
        return Err(why_none(ask, &plan, offers));
    }
    Ok(plan.ranked.iter().map(to_route).collect())
}

/// Why nothing can answer.
fn why_none(ask: &Ask, plan: &Plan<'_>, offers: &[Offer]) -> RouteError {
    if let Some(busy) = plan.unfit.iter().find(|unfit| unfit.why == Why::Busy) {
        return RouteError::Busy(busy.offer.name.clone());
    }
    let lacks = |why: Why| plan.unfit.iter().any(|unfit| unfit.why == why);
    let (family, pictures) = (ask.policy.family.as_deref(), ask.purpose == RoutePurpose::Vision);
    match family {
        _ if lacks(Why::NoGpu) => {
            return RouteError::Unmet("a graphics processor, and a model that would do".to_owned());
        }
        _ if lacks(Why::NoNpu) => return RouteError::Unmet("a neural processor, and a model that would do".to_owned()),
        Some(family) if lacks(Why::OtherFamily) => {
            return RouteError::Unmet(format!("a model of the family \"{}\"", quotable(family)));
        }
        None if pictures && ask.model.is_none() && lacks(Why::Unsuitable) => {
            return RouteError::Unmet("a model that looks at pictures".to_owned());
        }
        _ => {}
    }
    let asked: Vec<&Offer> = match ask.via {
        Via::Auto => offers.iter().collect(),
        Via::Local => offers.iter().filter(|offer| offer.this_device).collect(),
        Via::Device(id) => offers.iter().filter(|offer| offer.device == id).collect(),
    };
    nothing(ask.via, ask.model.as_deref(), &asked)
}

/// Candidates for a model id of the local API: a plain id, `DEVICE/MODEL`, or in place of a model [`VIRTUAL`], the best
/// for `purpose`; for a question of this size.
pub(crate) fn resolve_id(id: &str, purpose: Purpose, size: Size, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    let purpose = match purpose {
        Purpose::Chat => RoutePurpose::Chat,
        Purpose::Embedding => RoutePurpose::Embeddings,
    };
    let has = |offer: &&Offer, id: &str| offer.models.iter().any(|model| model.id == id);
    let named = |via: Via, id: &str| {
        let mut asked = offers.iter().filter(|offer| match via {
            Via::Auto => true,
            Via::Local => offer.this_device,
            Via::Device(device) => offer.device == device,
        });
        let best = id == VIRTUAL && !asked.any(|offer| has(&offer, id));
        resolve_ask(&Ask { size, ..Ask::new(via, Some(id).filter(|_| !best), purpose) }, offers)
    };
    let here = offers.iter().any(|offer| offer.this_device && has(&offer, id));
    if !here {
        let names = || offers.iter().map(|offer| (offer.device, offer.name.as_str()));
        // Names may contain slashes, and so may model ids: every cut is tried.
        for (at, _) in id.match_indices('/') {
            let (device, model) = (&id[..at], &id[at + 1..]);
            if let Ok(device) = devices::find(names(), device) {
                return named(Via::Device(device), model);
            }
        }
    }
    named(Via::Auto, id)
}

fn to_route(candidate: &Candidate<'_>) -> Route {
    let Candidate { offer, model, prediction, .. } = candidate;
    Route {
        device: offer.device,
        device_name: offer.name.clone(),
        this_device: offer.this_device,
        model: model.id.clone(),
        demo: model.demo,
        rtt_ms: offer.rtt_ms.unwrap_or_default(),
        loaded: model.state == ModelState::Ready,
        predicted: *prediction,
    }
}

fn nothing(via: Via, model: Option<&str>, asked: &[&Offer]) -> RouteError {
    let mut known: Vec<String> = asked
        .iter()
        .filter(|offer| offer.rtt_ms.is_some())
        .flat_map(|offer| offer.models.iter().map(|model| model.id.clone()))
        .collect();
    known.sort();
    known.dedup();
    let device = || asked.first().map_or_else(|| "This device".to_owned(), |offer| offer.name.clone());
    match (via, model.map(quotable)) {
        (Via::Auto, None) => RouteError::NoModel,
        (_, None) => RouteError::NoneThere(device()),
        (Via::Auto, Some(model)) => RouteError::UnknownModel { model, known },
        (_, Some(model)) => RouteError::NotThere { device: device(), model, known },
    }
}

#[cfg(test)]
mod tests;
