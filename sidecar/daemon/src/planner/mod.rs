//! Plans where a question runs: every device and model that could answer, best first, each with what that would be like
//! and why it stands where it stands; and those that cannot answer, each with why not. Pure: what devices offer and what is asked go
//! in, a [`Plan`] comes out. `route` makes routes and errors of it, `chat` shows it to people.
//!
//! **Who can answer.** A device that is reached, accepts requests and has what the policy asks for (a graphics or neural
//! processor); a model of it that is the one named, or, where none is named, suits the purpose and is of the family asked for.
//!
//! **Order.** The first of these that tells two candidates apart decides (`rank`):
//!
//! 1. a model that works before one that failed;
//! 2. where none is named, a real model before the demo;
//! 3. whose device the person prefers;
//! 4. a model that takes the whole question before one whose context is too short;
//! 5. where none is named, one made for the purpose before one that can do it; then, among models that answer
//!    well (first word within [`PATIENCE_MS`], [`READING_MS`] for a token at most), one of a larger class: doubling a speed that is
//!    enough gives nothing, a larger model better answers;
//! 6. the smaller predicted time for the whole answer (`predict`), where every other device counts [`ELSEWHERE_MS`] and a
//!    tenth more, half as much again when it draws from its battery: a question leaves this device only for a difference that is
//!    felt;
//! 7. this device, a loaded model, a device without limits, the shorter way, and at last the ids, so that the order is total.
//!
//! A model of unknown size that never answered has no prediction. On this device it counts as if it took no time, so that
//! it is used and measured; elsewhere as if it had [`ASSUMED_BYTES`].

mod machine;
mod meter;
mod order;
mod predict;
mod rates;
mod reason;
mod suits;

use std::cmp::Ordering;

use myownmesh_control::types::{Accepting, RoutePolicy, RoutePurpose};

use self::order::Rank;
use self::suits::{Suits, of_family, suits};
use crate::card::CardModel;
use crate::route::{Offer, Via};

pub(crate) use self::machine::Machine;
pub(crate) use self::meter::Meter;
pub(crate) use self::predict::{Prediction, Size, memory};
pub(crate) use self::rates::{Rate, Rates};

/// How long people wait for a first word before their thoughts wander: ten seconds (Nielsen, "Usability Engineering",
/// 1993, chapter 5), half of it to be safe.
const PATIENCE_MS: f64 = 5_000.0;
/// As fast as people read: ten words a second, as in `compute::library::fit`.
const READING_MS: f64 = 100.0;
/// What keeps the flow of thought: a second (Nielsen, as above).
const ELSEWHERE_MS: f64 = 1_000.0;
/// Size of a model that tells none: one of eight billion parameters at the usual quantisation.
const ASSUMED_BYTES: u64 = 5_000_000_000;

/// What is asked, as far as it matters for where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    /// Which devices may answer.
    pub(crate) via: Via,
    /// The model, where one is named.
    pub(crate) model: Option<String>,
    /// What it is for.
    pub(crate) purpose: RoutePurpose,
    /// How a device is chosen.
    pub(crate) policy: RoutePolicy,
    /// How large it is.
    pub(crate) size: Size,
}

impl Ask {
    /// A short question without wishes.
    pub(crate) fn new(via: Via, model: Option<&str>, purpose: RoutePurpose) -> Self {
        let (model, policy) = (model.map(str::to_owned), RoutePolicy::default());
        Self { via, model, purpose, policy, size: Size::default() }
    }
}

/// A device and a model that can answer.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    /// The device.
    pub(crate) offer: &'a Offer,
    /// The model.
    pub(crate) model: &'a CardModel,
    /// What that would be like.
    pub(crate) prediction: Option<Prediction>,
    /// Why it stands where it stands, as a sentence.
    pub(crate) reason: String,
    rank: Rank,
}

/// A device, or one of its models, that cannot answer.
#[derive(Clone, Debug)]
pub(crate) struct Unfit<'a> {
    /// The device.
    pub(crate) offer: &'a Offer,
    /// The model; none where the device has none that would do.
    pub(crate) model: Option<&'a CardModel>,
    /// Why not.
    pub(crate) why: Why,
}

/// Why a device or a model cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The person asked for another device.
    NotAsked,
    /// It is not connected.
    Away,
    /// It accepts nothing.
    Busy,
    /// It has no graphics processor.
    NoGpu,
    /// It has no neural processor.
    NoNpu,
    /// It does not have the model.
    NotThere,
    /// None of its models is of the family.
    OtherFamily,
    /// None of its models suits the purpose.
    Unsuitable,
    /// The model is still on its way to the device.
    Coming,
    /// The model failed.
    Failed,
}

/// Where a question could run.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    /// Those that can answer, best first.
    pub(crate) ranked: Vec<Candidate<'a>>,
    /// Those that cannot.
    pub(crate) unfit: Vec<Unfit<'a>>,
}

/// Plans where `ask` runs.
pub(crate) fn plan<'a>(ask: &Ask, offers: &'a [Offer]) -> Plan<'a> {
    let mut plan = Plan { ranked: Vec::new(), unfit: Vec::new() };
    let answer = answer_tokens(ask.model.as_deref(), offers);
    for offer in offers {
        match excluded(ask, offer) {
            Some(why) => plan.unfit.push(Unfit { offer, model: None, why }),
            None => plan.consider(ask, offer, answer),
        }
    }
    plan.ranked.sort_by(|a, b| order::compare((a.offer, a.model, &a.rank), (b.offer, b.model, &b.rank)));
    let reasons: Vec<String> = (0..plan.ranked.len()).map(|at| reason::of(&plan.ranked, at)).collect();
    for (candidate, reason) in plan.ranked.iter_mut().zip(reasons) {
        candidate.reason = reason;
    }
    // The nearest to being possible first; devices keep their order.
    plan.unfit.sort_by(|a, b| a.why.distance().cmp(&b.why.distance()).then(Ordering::Equal));
    plan
}

impl<'a> Plan<'a> {
    /// Puts the models of a device that may answer where they belong.
    fn consider(&mut self, ask: &Ask, offer: &'a Offer, answer: Option<f64>) {
        let (before, mut best) = (self.ranked.len(), None::<Why>);
        // One that is named is asked all the same: its own words tell why it serves nobody, and until when.
        let named = ask.via == Via::Device(offer.device);
        let busy = !offer.this_device && offer.accepting == Accepting::Busy && !named;
        for model in &offer.models {
            match unfit(ask, model) {
                None if busy => self.unfit.push(Unfit { offer, model: Some(model), why: Why::Busy }),
                None => self.ranked.push(candidate(ask, offer, model, answer)),
                Some(why @ (Why::Failed | Why::Coming)) => {
                    self.unfit.push(Unfit { offer, model: Some(model), why });
                }
                Some(why) => {
                    best = Some(best.map_or(why, |best| if why.distance() < best.distance() { why } else { best }));
                }
            }
        }
        let told = self.unfit.last().is_some_and(|unfit| unfit.offer.device == offer.device && unfit.model.is_some());
        if self.ranked.len() == before && !told {
            let none = if ask.model.is_some() { Why::NotThere } else { Why::Unsuitable };
            self.unfit.push(Unfit { offer, model: None, why: best.unwrap_or(none) });
        }
    }
}

impl Why {
    /// How far it is from being possible.
    fn distance(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Busy | Self::Coming => 1,
            Self::Away => 2,
            Self::NoGpu | Self::NoNpu => 3,
            Self::OtherFamily => 4,
            Self::Unsuitable | Self::NotThere => 5,
            Self::NotAsked => 6,
        }
    }
}

/// Why nothing of a device can answer.
fn excluded(ask: &Ask, offer: &Offer) -> Option<Why> {
    let asked = match ask.via {
        Via::Auto => true,
        Via::Local => offer.this_device,
        Via::Device(device) => offer.device == device,
    };
    let machine = offer.machine.unwrap_or_default();
    if !asked {
        Some(Why::NotAsked)
    } else if offer.rtt_ms.is_none() {
        Some(Why::Away)
    } else if ask.policy.require_gpu && machine.graphics.is_none() {
        Some(Why::NoGpu)
    } else if ask.policy.require_npu && !machine.npu {
        Some(Why::NoNpu)
    } else {
        None
    }
}

/// Why a model cannot answer. One that was named is asked even when it failed: its engine then tells what is wrong.
fn unfit(ask: &Ask, model: &CardModel) -> Option<Why> {
    let family = ask.policy.family.as_deref();
    match &ask.model {
        Some(named) if *named != model.id => Some(Why::NotThere),
        _ if !model.is_here() => Some(Why::Coming),
        _ if family.is_some_and(|family| !of_family(&model.id, family)) => Some(Why::OtherFamily),
        Some(_) => None,
        None if suits(model, ask.purpose) == Suits::Cannot => Some(Why::Unsuitable),
        None if !model.usable() => Some(Why::Failed),
        None => None,
    }
}

fn candidate<'a>(ask: &Ask, offer: &'a Offer, model: &'a CardModel, answer: Option<f64>) -> Candidate<'a> {
    let prediction = predict::predict(offer, model, ask.size, answer);
    let rank = Rank::of(ask, offer, model, prediction.as_ref(), answer);
    Candidate { offer, model, prediction, reason: String::new(), rank }
}

/// How long answers of a model are, whichever device gave them, so that devices are compared by the same answer.
fn answer_tokens(model: Option<&str>, offers: &[Offer]) -> Option<f64> {
    let rates = offers.iter().filter_map(|offer| offer.rates.get(model?));
    rates.filter(|rate| rate.answer.value().is_some()).max_by_key(|rate| rate.answers())?.answer.value()
}

#[cfg(test)]
mod tests;
