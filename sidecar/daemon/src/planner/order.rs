//! The order of candidates. See the module above for what counts in which order, and why.

use std::cmp::Ordering;

use myownmesh_compute::ModelState;
use myownmesh_control::types::{Accepting, RoutePreference};

use super::predict::{self, Prediction, tokens_in};
use super::suits::{Suits, suits};
use super::{ASSUMED_BYTES, Ask, ELSEWHERE_MS, PATIENCE_MS, READING_MS};
use crate::card::CardModel;
use crate::route::Offer;

/// What another device's time counts more, and what one's that draws from its battery does.
const ELSEWHERE: f64 = 1.1;
const ON_BATTERY: f64 = 1.5;
/// Bytes of weights at which a class of models begins; at the usual quantisation about 1.5, 5, 16 and 50 billion parameters.
const CLASSES: [u64; 4] = [1_000_000_000, 3_000_000_000, 10_000_000_000, 30_000_000_000];

/// Where a candidate stands; less is better.
#[expect(clippy::struct_excessive_bools, reason = "each is a step of the order")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rank {
    failed: bool,
    demo: bool,
    preferred: bool,
    too_short: bool,
    suits: Suits,
    class: u8,
    time: f64,
    loaded: u8,
    limited: bool,
}

/// What tells two candidates apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decider {
    /// One failed.
    Failed,
    /// One is the demo.
    Demo,
    /// The person prefers one.
    Preference,
    /// One takes the whole question.
    Context,
    /// One is made for the purpose.
    Suits,
    /// One is larger.
    Class,
    /// One is sooner.
    Time,
    /// One is this device.
    Here,
    /// One is loaded.
    Loaded,
    /// One has no limits.
    Limited,
    /// One is nearer.
    Way,
    /// Their ids.
    Ids,
}

impl Rank {
    pub(super) fn of(
        ask: &Ask,
        offer: &Offer,
        model: &CardModel,
        prediction: Option<&Prediction>,
        answer: Option<f64>,
    ) -> Self {
        let unnamed = ask.model.is_none();
        let tokens = tokens_in(ask.size.prompt_bytes) + ask.size.max_tokens.map_or(0.0, f64::from);
        let time = match prediction {
            Some(prediction) => prediction.total_ms,
            None if offer.this_device => 0.0,
            None => predict::assumed(offer, model, ASSUMED_BYTES, ask.size, answer).total_ms,
        };
        let battery = offer.machine.is_some_and(|machine| machine.on_battery);
        Self {
            failed: !model.usable(),
            demo: unnamed && model.demo,
            preferred: match ask.policy.prefer {
                None => false,
                Some(RoutePreference::Here) => !offer.this_device,
                Some(RoutePreference::Others) => offer.this_device,
            },
            too_short: model.context_length.is_some_and(|context| tokens > f64::from(context)),
            suits: if unnamed { suits(model, ask.purpose) } else { Suits::Can },
            class: if unnamed { class(model, prediction) } else { 0 },
            time: match offer.this_device {
                true => time,
                false if battery => time * ELSEWHERE * ON_BATTERY + ELSEWHERE_MS,
                false => time * ELSEWHERE + ELSEWHERE_MS,
            },
            loaded: match model.state {
                ModelState::Ready => 0,
                ModelState::Available => 1,
                ModelState::Loading => 2,
                ModelState::Downloading | ModelState::Failed => 3,
            },
            limited: offer.accepting == Accepting::Limited && !offer.this_device,
        }
    }
}

/// The class of a model, the largest first; of those that do not answer well the last.
fn class(model: &CardModel, prediction: Option<&Prediction>) -> u8 {
    let well = |told: &Prediction| told.first_ms <= PATIENCE_MS && told.token_ms <= READING_MS;
    if !prediction.is_none_or(well) {
        return u8::MAX;
    }
    let bytes = model.size_bytes.unwrap_or(ASSUMED_BYTES);
    CLASSES.iter().filter(|start| bytes < **start).fold(0, |class, _| class + 1)
}

type Standing<'a> = (&'a Offer, &'a CardModel, &'a Rank);

/// The total order of candidates.
pub(super) fn compare(a: Standing<'_>, b: Standing<'_>) -> Ordering {
    decided(a, b).1
}

/// What decides between two candidates, and how.
pub(super) fn decided((a_offer, a_model, a): Standing<'_>, (b_offer, b_model, b): Standing<'_>) -> (Decider, Ordering) {
    let way = |offer: &Offer| offer.rtt_ms.unwrap_or(f64::MAX);
    let ids = |offer: &Offer, model: &CardModel| (offer.device.to_string(), model.id.clone(), model.engine.clone());
    let steps = [
        (Decider::Failed, a.failed.cmp(&b.failed)),
        (Decider::Demo, a.demo.cmp(&b.demo)),
        (Decider::Preference, a.preferred.cmp(&b.preferred)),
        (Decider::Context, a.too_short.cmp(&b.too_short)),
        (Decider::Suits, a.suits.cmp(&b.suits)),
        (Decider::Class, a.class.cmp(&b.class)),
        (Decider::Time, a.time.total_cmp(&b.time)),
        (Decider::Here, b_offer.this_device.cmp(&a_offer.this_device)),
        (Decider::Loaded, a.loaded.cmp(&b.loaded)),
        (Decider::Limited, a.limited.cmp(&b.limited)),
        (Decider::Way, way(a_offer).total_cmp(&way(b_offer))),
    ];
    let step = steps.into_iter().find(|(_, order)| order.is_ne());
    step.unwrap_or_else(|| (Decider::Ids, ids(a_offer, a_model).cmp(&ids(b_offer, b_model))))
}
