//! Decides where a request runs. Pure: what every device offers goes in, the candidates come out, best first.

use myownmesh_compute::{ModelState, Purpose};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::Accepting;
use myownmesh_mesh::DeviceId;

use crate::card::CardModel;
use crate::devices;
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
            Self::NoModel | Self::NoneThere(_) => ErrorCode::NoModel,
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

/// Candidates for a request, best first; never empty.
///
/// With a model: this device if it has it, then connected members that do, the nearest first. Without one: a real model
/// here, then on a member, then the demo model here, then on a member; loaded ones before others.
pub(crate) fn resolve(via: Via, model: Option<&str>, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    resolve_for(Purpose::Chat, via, model, offers)
}

/// The same, for a model of `purpose` where none is named.
fn resolve_for(purpose: Purpose, via: Via, model: Option<&str>, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    let asked: Vec<&Offer> = match via {
        Via::Auto => offers.iter().collect(),
        Via::Local => offers.iter().filter(|offer| offer.this_device).collect(),
        Via::Device(id) => vec![offers.iter().find(|offer| offer.device == id).ok_or(RouteError::NoDevice)?],
    };
    if let (Via::Device(_), [offer]) = (via, asked.as_slice())
        && offer.rtt_ms.is_none()
    {
        return Err(RouteError::Away { device: offer.name.clone(), reason: offer.reason.clone() });
    }
    let wanted = |candidate: &CardModel| match model {
        Some(model) => candidate.id == model && candidate.is_here(),
        None => candidate.purpose == purpose && candidate.usable(),
    };
    let mut found: Vec<(&Offer, &CardModel)> = asked
        .iter()
        .filter(|offer| offer.rtt_ms.is_some())
        .flat_map(|offer| offer.models.iter().filter(|model| wanted(model)).map(|model| (*offer, model)))
        .collect();
    let refusing = found.iter().find(|(offer, _)| refuses(offer)).map(|(offer, _)| offer.name.clone());
    found.retain(|(offer, _)| !refuses(offer));
    if found.is_empty() {
        return Err(refusing.map_or_else(|| nothing(via, model, &asked), RouteError::Busy));
    }
    // A model that failed here is asked only when nobody else has it: its engine then tells what is wrong.
    if model.is_some() {
        found.sort_by(|a, b| by_model(a).partial_cmp(&by_model(b)).unwrap_or(std::cmp::Ordering::Equal));
    } else {
        found.sort_by(|a, b| by_worth(a).partial_cmp(&by_worth(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    Ok(found.into_iter().map(to_route).collect())
}

/// Candidates for a model id of the local API: a plain id, `DEVICE/MODEL`, or in place of a model [`VIRTUAL`], the best
/// for `purpose`.
pub(crate) fn resolve_id(id: &str, purpose: Purpose, offers: &[Offer]) -> Result<Vec<Route>, RouteError> {
    let has = |offer: &&Offer, id: &str| offer.models.iter().any(|model| model.id == id);
    let named = |via: Via, id: &str| {
        let mut asked = offers.iter().filter(|offer| match via {
            Via::Auto => true,
            Via::Local => offer.this_device,
            Via::Device(device) => offer.device == device,
        });
        let best = id == VIRTUAL && !asked.any(|offer| has(&offer, id));
        resolve_for(purpose, via, Some(id).filter(|_| !best), offers)
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

fn refuses(offer: &Offer) -> bool {
    !offer.this_device && offer.accepting == Accepting::Busy
}

fn by_model((offer, model): &(&Offer, &CardModel)) -> (bool, bool, f64) {
    (!model.usable(), !offer.this_device, offer.rtt_ms.unwrap_or(f64::MAX))
}

fn by_worth((offer, model): &(&Offer, &CardModel)) -> (bool, bool, u8, bool, f64) {
    let loaded = match model.state {
        ModelState::Ready => 0,
        ModelState::Available => 1,
        ModelState::Loading => 2,
        ModelState::Downloading | ModelState::Failed => 3,
    };
    let limited = offer.accepting == Accepting::Limited && !offer.this_device;
    (model.demo, !offer.this_device, loaded, limited, offer.rtt_ms.unwrap_or(f64::MAX))
}

fn to_route((offer, model): (&Offer, &CardModel)) -> Route {
    Route {
        device: offer.device,
        device_name: offer.name.clone(),
        this_device: offer.this_device,
        model: model.id.clone(),
        demo: model.demo,
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
