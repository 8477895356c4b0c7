//! How long an answer may take, from what was learned and, where nothing was, from sizes and hardware.
//!
//! ```text
//! first word = round trip + queue + load (0 when loaded) + overhead + prompt tokens x prefill
//! whole      = first word + answer tokens x decode
//! ```
//!
//! `prefill` and `decode` are milliseconds for one token. What was learned ([`Rate`]) stands in for the seed part by part;
//! seeds say what a typical machine of that kind does:
//!
//! * **decode**: each token reads all weights once, so it takes `weights / bandwidth` (see `compute::library::fit`), and
//!   [`TOKEN_MS`] besides;
//! * **prefill**: two operations for each parameter and token (Kaplan et al. 2020, section 2.1), with a parameter in
//!   [`BYTES_PER_PARAMETER`], over what the machine computes in a second;
//! * **load**: [`START_MS`] for an engine's start, and the weights read from a disk.

use super::machine::{Graphics, Machine};
use super::rates::Rate;
use crate::card::CardModel;
use crate::route::Offer;
use myownmesh_compute::ModelState;

/// Bytes a second that two channels of DDR4-2666 give (2 x 8 bytes x 2.666 GT/s = 42.7), as in `compute::library::fit`.
const MEMORY_BANDWIDTH: f64 = 40e9;
/// A middle-class card: NVIDIA's RTX 3060 has 360 GB/s, AMD's RX 6700 XT 384, both by their makers' data sheets.
const CARD_BANDWIDTH: f64 = 360e9;
/// Apple's M2 and M3 by their data sheets; Pro and Max have two to four times as much.
const UNIFIED_BANDWIDTH: f64 = 100e9;
/// What of a bandwidth a model gets: llama.cpp's tables of Apple chips (its discussion 4167, a model of seven billion
/// parameters in four bits) lie between 0.5 and 0.8.
const OF_BANDWIDTH: f64 = 0.6;
/// Operations a second of one thread: AVX2 does 16 in a cycle of 3 GHz twice over (96e9); with quantised weights and two
/// threads on a core about a sixth is left.
const THREAD_OPERATIONS: f64 = 16e9;
/// The same of a middle-class card: an RTX 3060 has 12.7e12 by its data sheet, of which two thirds are left.
const CARD_OPERATIONS: f64 = 8e12;
/// The same of Apple's M2: 3.6e12 by its data sheet, two thirds left.
const UNIFIED_OPERATIONS: f64 = 2.4e12;
/// Bytes of a parameter at the usual quantisation: `Q4_K_M` takes 4.9 bits (llama.cpp, `tools/quantize/README.md`).
const BYTES_PER_PARAMETER: f64 = 0.6;
/// Threads of a machine that does not tell: half of today's usual eight.
const THREADS: f64 = 4.0;
/// What a token takes besides its weights: sampling and passing it on, in milliseconds; measured with a model of 100 kB.
const TOKEN_MS: f64 = 0.5;
/// What an answer takes besides: template, tokens, a slot; measured with a model of 100 kB, in milliseconds.
pub(super) const OVERHEAD_MS: f64 = 10.0;
/// The start of an engine, measured with a model of 100 kB, in milliseconds.
const START_MS: f64 = 500.0;
/// Bytes a second of a disk: what SATA gives to an SSD (6 Gbit/s, 550 MB/s usable).
const DISK: f64 = 550e6;
/// Bytes of text in a token: about four of English (OpenAI's tokenizer documentation).
const BYTES_PER_TOKEN: f64 = 4.0;
/// What is around the question in a request, in bytes: the names of its fields.
const ENVELOPE: usize = 150;
/// What a model's template puts around a question.
const TEMPLATE_TOKENS: f64 = 8.0;
/// Tokens of an answer of unknown length.
const ANSWER_TOKENS: f64 = 256.0;

/// What an answer may take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prediction {
    /// From sending the question to the first word, in milliseconds.
    pub(crate) first_ms: f64,
    /// From sending the question to the end, in milliseconds.
    pub(crate) total_ms: f64,
    /// What of that is waiting for others, in milliseconds.
    pub(crate) wait_ms: f64,
    /// What of that is loading the model, in milliseconds.
    pub(crate) load_ms: f64,
    /// Milliseconds for each token of the answer.
    pub(crate) token_ms: f64,
    /// How sure that is: 0 for a seed, towards 1 with each answer that was measured, `n / (n + 2)`.
    pub(crate) confidence: f64,
}

/// How large the question and the answer are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    /// Bytes of the request.
    pub(crate) prompt_bytes: usize,
    /// Most tokens of the answer.
    pub(crate) max_tokens: Option<u32>,
}

impl Default for Size {
    /// A short question.
    fn default() -> Self {
        Self { prompt_bytes: ENVELOPE + 50, max_tokens: None }
    }
}

/// About how many tokens the question in a request of so many bytes has.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn tokens_in(bytes: usize) -> f64 {
    bytes.saturating_sub(ENVELOPE) as f64 / BYTES_PER_TOKEN + TEMPLATE_TOKENS
}

/// Milliseconds that a model takes by its size and its machine.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seed {
    prefill: f64,
    decode: f64,
    load: f64,
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn seed(machine: Option<&Machine>, weights: u64) -> Seed {
    let need = memory(weights);
    let on_graphics = machine.filter(|machine| machine.graphics_bytes >= need).and_then(|machine| machine.graphics);
    let threads = machine.map(|machine| f64::from(machine.threads)).filter(|threads| *threads > 0.0);
    let (bandwidth, operations) = match on_graphics {
        Some(Graphics::Own) => (CARD_BANDWIDTH, CARD_OPERATIONS),
        Some(Graphics::Unified) => (UNIFIED_BANDWIDTH, UNIFIED_OPERATIONS),
        Some(Graphics::Shared) | None => (MEMORY_BANDWIDTH, THREAD_OPERATIONS * threads.unwrap_or(THREADS)),
    };
    let weights = weights as f64;
    Seed {
        prefill: 2.0 * weights / BYTES_PER_PARAMETER / operations * 1e3,
        decode: weights / (bandwidth * OF_BANDWIDTH) * 1e3 + TOKEN_MS,
        load: START_MS + weights / DISK * 1e3,
    }
}

/// Memory that a model takes, in bytes: its weights, and a tenth or 300 MB for the rest, as `compute::library::fit` has it.
pub(crate) fn memory(weights: u64) -> u64 {
    weights.saturating_add((weights / 10).max(300_000_000))
}

/// What an answer of this model may take; none where nothing is known of it.
pub(crate) fn predict(offer: &Offer, model: &CardModel, size: Size, answer: Option<f64>) -> Option<Prediction> {
    let learned = offer.rates.get(&model.id).filter(|rate| rate.answers() > 0);
    let weights = model.size_bytes.or(learned.map(|_| 0))?;
    Some(of_weights(offer, model, weights, learned, size, answer))
}

/// The same for a model of unknown size, as if it had `weights` bytes.
pub(super) fn assumed(offer: &Offer, model: &CardModel, weights: u64, size: Size, answer: Option<f64>) -> Prediction {
    of_weights(offer, model, weights, None, size, answer)
}

fn of_weights(
    offer: &Offer,
    model: &CardModel,
    weights: u64,
    learned: Option<&Rate>,
    size: Size,
    answer: Option<f64>,
) -> Prediction {
    let seed = seed(offer.machine.as_ref(), weights);
    let known = |part: fn(&Rate) -> Option<f64>, seed: f64| learned.and_then(part).unwrap_or(seed);
    let load = known(|rate| rate.load.value(), seed.load);
    let load_ms = match model.state {
        ModelState::Ready => 0.0,
        // Where it does not say how far it is, half of it is over, on average.
        ModelState::Loading => load * (1.0 - model.percent.map_or(0.5, |percent| f64::from(percent.min(100)) / 100.0)),
        ModelState::Available | ModelState::Downloading | ModelState::Failed => load,
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    let wait_ms = if offer.this_device { 0.0 } else { offer.queue.wait_ms as f64 };
    let prompt = tokens_in(size.prompt_bytes) * known(|rate| rate.prompt_scale.value(), 1.0);
    let overhead = known(|rate| rate.overhead.value(), OVERHEAD_MS);
    let first_ms = offer.rtt_ms.unwrap_or(0.0)
        + wait_ms
        + load_ms
        + overhead
        + prompt * known(|rate| rate.prefill.value(), seed.prefill);
    let token_ms = known(|rate| rate.decode.value(), seed.decode);
    let answer = answer.unwrap_or(ANSWER_TOKENS).min(size.max_tokens.map_or(f64::MAX, f64::from));
    let samples = f64::from(learned.map_or(0, Rate::answers));
    Prediction {
        first_ms,
        // The first word is one of them.
        total_ms: first_ms + (answer - 1.0).max(0.0) * token_ms,
        wait_ms,
        load_ms,
        token_ms,
        confidence: samples / (samples + 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_follow_size_and_machine() {
        let card =
            Machine { threads: 8, graphics: Some(Graphics::Own), graphics_bytes: 12 << 30, ..Machine::default() };
        let plain = Machine { graphics: None, graphics_bytes: 0, ..card };
        let (small, large) = (2_000_000_000, 20_000_000_000);
        assert!(seed(Some(&card), small).decode * 5.0 < seed(Some(&plain), small).decode);
        assert_eq!(seed(Some(&card), large), seed(Some(&plain), large), "it does not fit the card");
        assert!(seed(None, small).decode < seed(None, large).decode);
        let eight_billion = seed(Some(&plain), 5_000_000_000);
        // What people see with such a model on such a machine: some five words a second.
        assert!((150.0..300.0).contains(&eight_billion.decode), "{eight_billion:?}");
    }
}
