//! How well a model fits a device, and why.
//!
//! A model needs memory for three things:
//!
//! * its **weights**: the size of its files, which llama.cpp maps or copies as they are;
//! * its **cache**: keys and values of every token of the conversation, `2 x layers x kv_heads x head_length` numbers of
//!   two bytes each (llama.cpp's default type for both is f16);
//! * **overhead**: buffers to compute in, and the driver's own. One rule of thumb is at most a fifth on top of the
//!   weights for everything else ("Transformer Math 101" by Eleuther AI, on inference); as the cache is counted by itself here,
//!   a tenth of the weights is taken, and 300 MB at least.
//!
//! Where it runs decides how fast it is: each word that is written reads every weight that takes part, so speed is
//! bandwidth divided by those weights. Graphics memory has ten times the bandwidth of working memory and more, hence the
//! ranking: wholly on the graphics processor, on the processor when the model is small, in both when nothing else is left.

use super::{CatalogueModel, Variant};
use crate::{GpuVendor, Hardware};

/// Tokens of conversation that are counted, if the model takes as many.
const CONTEXT: u32 = 8_192;
/// Least overhead, in bytes.
const MIN_OVERHEAD: u64 = 300_000_000;
/// What the screen and the driver take of each graphics processor's memory, in bytes.
const SCREEN: u64 = 512 << 20;
/// What the system and other programs keep of the working memory: a fifth, and this many bytes at least.
const SYSTEM: u64 = 2 << 30;
/// Weights that a processor reads in a tenth of a second, in bytes: 40 GB/s are what two channels of DDR4-2666 give, and
/// ten words a second are as fast as people read.
const READ_WELL: u64 = 4_000_000_000;

/// How well a model fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It cannot run here.
    TooBig,
    /// It runs, slowly or with nothing to spare.
    Tight,
    /// It runs.
    Fits,
    /// It runs fast and leaves room.
    Recommended,
}

/// What a model needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its weights.
    pub weights_bytes: u64,
    /// The cache for a conversation of `context_tokens`.
    pub cache_bytes: u64,
    /// Buffers.
    pub overhead_bytes: u64,
    /// The tokens that the cache is for.
    pub context_tokens: u32,
    /// The weights that one word reads.
    pub read_bytes: u64,
}

impl Need {
    /// What a variant of a model needs.
    pub fn of(model: &CatalogueModel, variant: &Variant) -> Self {
        let weights_bytes = variant.size_bytes();
        let context_tokens = model.context_length.unwrap_or(0).min(CONTEXT);
        let per_token = model.cache.map_or(0, super::CacheShape::bytes_per_token);
        let active = u128::from(weights_bytes) * u128::from(model.active_millions);
        let read = active / u128::from(model.parameters_millions.max(1));
        Self {
            weights_bytes,
            cache_bytes: per_token.saturating_mul(u64::from(context_tokens)),
            overhead_bytes: MIN_OVERHEAD.max(weights_bytes / 10),
            context_tokens,
            read_bytes: u64::try_from(read).unwrap_or(u64::MAX).min(weights_bytes),
        }
    }

    /// What a file of weights needs beside a cache of this size.
    pub(crate) fn of_file(weights_bytes: u64, cache_bytes: u64) -> Self {
        let overhead_bytes = MIN_OVERHEAD.max(weights_bytes / 10);
        Self { weights_bytes, cache_bytes, overhead_bytes, context_tokens: 0, read_bytes: weights_bytes }
    }

    /// All of it together.
    pub fn total_bytes(&self) -> u64 {
        self.weights_bytes.saturating_add(self.cache_bytes).saturating_add(self.overhead_bytes)
    }
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// How well it fits.
    pub fit: Fit,
    /// Why, as a sentence.
    pub reason: String,
}

/// What a device can give to a model, in bytes.
pub(crate) struct Room {
    /// Memory that a graphics processor works in fast: its own, or its share of the working memory.
    graphics: u64,
    /// Memory that is a graphics processor's own.
    own: u64,
    /// Working memory.
    working: u64,
}

impl Room {
    pub(crate) fn of(hardware: &Hardware) -> Self {
        let memory = hardware.memory_bytes;
        let working = memory.saturating_sub(SYSTEM.max(memory / 5));
        // llama.cpp spreads a model over all cards that one of its backends drives, so those of one maker count together.
        let of_vendor = |vendor: &GpuVendor| {
            let cards = hardware.gpus.iter().filter(|gpu| gpu.vendor == *vendor && !gpu.unified);
            cards
                .filter_map(|gpu| gpu.vram_bytes)
                .fold(0, |sum: u64, own| sum.saturating_add(own.saturating_sub(SCREEN)))
        };
        let own = hardware.gpus.iter().map(|gpu| of_vendor(&gpu.vendor)).max().unwrap_or(0);
        // Apple's and NVIDIA's chips read the one memory they have as fast as a card reads its own. Others that share it
        // are no faster than the processor. macOS lets graphics have two thirds of it (`recommendedMaxWorkingSetSize`).
        let fast = |vendor: &GpuVendor| matches!(vendor, GpuVendor::Apple | GpuVendor::Nvidia);
        let unified = hardware.gpus.iter().any(|gpu| gpu.unified && fast(&gpu.vendor));
        let shared = if unified { (memory / 3 * 2).min(working) } else { 0 };
        Self { graphics: own.max(shared), own, working }
    }

    /// All that a model can be spread over.
    pub(crate) fn together(&self) -> u64 {
        self.working.saturating_add(self.own)
    }

    /// What is left for one more model beside loaded ones that need `taken`, while `free` of the working memory can be had.
    pub(crate) fn left(&self, taken: u64, free: u64) -> u64 {
        // Graphics' own memory is filled first, and what is free of it is not told by every driver: it is counted.
        let own = self.own.saturating_sub(taken);
        self.together().saturating_sub(taken).min(free.saturating_add(own))
    }
}

/// Says how well a model that needs this fits `hardware`.
pub fn assess(hardware: &Hardware, need: &Need) -> Assessment {
    let room = Room::of(hardware);
    let on_graphics = by_graphics(&room, need);
    let on_processor = by_processor(&room, need);
    // The better place counts; of two equal ones the faster.
    let better = match (on_graphics, on_processor) {
        (Some(first), Some(second)) if second.fit > first.fit => Some(second),
        (Some(first), _) => Some(first),
        (None, second) => second,
    };
    better.unwrap_or_else(|| by_both(&room, need))
}

fn by_graphics(room: &Room, need: &Need) -> Option<Assessment> {
    let (total, all) = (need.total_bytes(), room.graphics);
    if total > all {
        return None;
    }
    let what = format!("it needs {} of the {} that graphics can use", size(total), size(all));
    Some(if total <= all / 5 * 4 {
        Assessment {
            fit: Fit::Recommended,
            reason: format!("It runs wholly on the graphics processor and leaves room: {what}."),
        }
    } else {
        let reason = format!("It runs wholly on the graphics processor: {what}. Long conversations may not fit.");
        Assessment { fit: Fit::Fits, reason }
    })
}

fn by_processor(room: &Room, need: &Need) -> Option<Assessment> {
    let (total, all) = (need.total_bytes(), room.working);
    if total > all {
        return None;
    }
    let what = format!("it needs {} of the {} of memory that a model can have", size(total), size(all));
    let (fit, reason) = if total > all / 5 * 4 {
        (Fit::Tight, format!("It just fits: {what}. Close other programs first."))
    } else if need.read_bytes > READ_WELL {
        (
            Fit::Fits,
            format!("It runs on the processor, slowly, since every word reads {}: {what}.", size(need.read_bytes)),
        )
    } else if total > all / 5 * 3 {
        (Fit::Fits, format!("It runs on the processor: {what}."))
    } else {
        (Fit::Recommended, format!("It runs well on the processor and leaves room: {what}."))
    };
    Some(Assessment { fit, reason })
}

fn by_both(room: &Room, need: &Need) -> Assessment {
    let (total, all) = (need.total_bytes(), room.together());
    if total <= all {
        let reason = format!(
            "It is spread over graphics and working memory, which is slow: it needs {}, graphics have {}.",
            size(total),
            size(room.graphics)
        );
        return Assessment { fit: Fit::Tight, reason };
    }
    let reason = format!(
        "It needs {}, and this device can give {} to a model. Choose a smaller model or a stronger quantisation.",
        size(total),
        size(all)
    );
    Assessment { fit: Fit::TooBig, reason }
}

/// A size with one decimal, as `5.6 GB`.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    if bytes < 1_000_000_000 { format!("{} MB", tenths(1_000_000)) } else { format!("{} GB", tenths(1_000_000_000)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Catalogue;
    use super::*;
    use crate::{Cpu, Gpu};

    const GB: u64 = 1_000_000_000;

    fn device(memory: u64, gpus: Vec<Gpu>) -> Hardware {
        Hardware { cpu: Cpu::default(), memory_bytes: memory, gpus, npu: None }
    }

    fn card(vendor: GpuVendor, vram: u64) -> Gpu {
        Gpu { name: "a card".to_owned(), vendor, vram_bytes: Some(vram), unified: false }
    }

    fn inside(vendor: GpuVendor) -> Gpu {
        Gpu { name: "inside".to_owned(), vendor, vram_bytes: None, unified: true }
    }

    /// What a variant of the bundled catalogue needs.
    fn need(id: &str) -> Need {
        let catalogue = Catalogue::bundled();
        let models = catalogue.families.iter().flat_map(|family| &family.models);
        let pairs = models.flat_map(|model| model.variants.iter().map(move |variant| (model, variant)));
        let found = pairs.into_iter().find(|(_, variant)| variant.id.as_str() == id);
        found.map_or_else(|| panic!("no {id}"), |(model, variant)| Need::of(model, variant))
    }

    #[test]
    fn a_need_is_weights_cache_and_overhead() {
        // Llama 3.1 8B keeps 128 KiB of each token: a gibibyte for 8,192 of them.
        let llama = need("llama-3.1-8b-instruct-q4_k_m");
        assert_eq!(
            (llama.weights_bytes, llama.cache_bytes, llama.overhead_bytes),
            (4_920_000_000, 1 << 30, 492_000_000)
        );
        assert_eq!(llama.context_tokens, 8_192);
        // A mixture reads a ninth of its weights for a word.
        let mixture = need("qwen3-30b-a3b-q4_k_m");
        assert_eq!(mixture.read_bytes, 18_560_000_000 * 3_300 / 30_532);
        // Nothing is kept of what is only turned into vectors.
        assert_eq!(need("nomic-embed-text-v1.5-f16").cache_bytes, 0);
    }

    #[test]
    fn devices_and_what_suits_them() {
        use Fit::{Fits, Recommended, Tight, TooBig};
        let old_laptop = device(8 * GB, vec![inside(GpuVendor::Intel)]);
        let laptop = device(32 * GB, vec![inside(GpuVendor::Intel)]);
        let gaming = device(32 * GB, vec![card(GpuVendor::Nvidia, 12 * GB), inside(GpuVendor::Amd)]);
        let two_cards = device(64 * GB, vec![card(GpuVendor::Nvidia, 24 * GB), card(GpuVendor::Nvidia, 24 * GB)]);
        let mixed = device(16 * GB, vec![card(GpuVendor::Nvidia, 8 * GB), card(GpuVendor::Amd, 8 * GB)]);
        let mac = device(24 * GB, vec![inside(GpuVendor::Apple)]);
        let rows = [
            (
                "llama-3.2-1b-instruct-q4_k_m",
                [Recommended, Recommended, Recommended, Recommended, Recommended, Recommended],
            ),
            ("llama-3.1-8b-instruct-q4_k_m", [TooBig, Fits, Recommended, Recommended, Fits, Recommended]),
            ("phi-4-q4_k_m", [TooBig, Fits, Fits, Recommended, Tight, Recommended]),
            ("qwen3-30b-a3b-q4_k_m", [TooBig, Tight, Tight, Recommended, TooBig, TooBig]),
            ("qwen3-32b-q8_0", [TooBig, TooBig, TooBig, Fits, TooBig, TooBig]),
            ("whisper-base-f16", [Recommended, Recommended, Recommended, Recommended, Recommended, Recommended]),
        ];
        for (id, expected) in rows {
            let need = need(id);
            let devices = [&old_laptop, &laptop, &gaming, &two_cards, &mixed, &mac];
            let found = devices.map(|device| assess(device, &need));
            assert_eq!(found.each_ref().map(|verdict| verdict.fit), expected, "{id}: {found:#?}");
        }
    }

    #[test]
    fn the_reason_is_a_sentence_with_the_numbers() {
        let verdict = assess(&device(8 * GB, vec![]), &need("qwen3-32b-q4_k_m"));
        assert_eq!(
            verdict.reason,
            "It needs 23.9 GB, and this device can give 5.9 GB to a model. Choose a smaller model or a stronger quantisation."
        );
        let verdict =
            assess(&device(32 * GB, vec![card(GpuVendor::Amd, 24 * GB)]), &need("llama-3.1-8b-instruct-q4_k_m"));
        assert_eq!(
            verdict.reason,
            "It runs wholly on the graphics processor and leaves room: it needs 6.5 GB of the 23.5 GB that graphics can use."
        );
        assert_eq!(
            [size(0), size(81_500_000), size(999_960_000), size(u64::MAX)],
            ["0.0 MB", "81.5 MB", "1000.0 MB", "18446744073.7 GB"]
        );
    }

    fn any_gpu() -> impl Strategy<Value = Gpu> {
        let vendors = prop_oneof![
            Just(GpuVendor::Nvidia),
            Just(GpuVendor::Amd),
            Just(GpuVendor::Apple),
            Just(GpuVendor::Other("arm".to_owned()))
        ];
        (vendors, prop::option::of(any::<u64>()), any::<bool>()).prop_map(|(vendor, vram_bytes, unified)| Gpu {
            name: "any".to_owned(),
            vendor,
            vram_bytes,
            unified,
        })
    }

    fn any_need() -> impl Strategy<Value = Need> {
        let small = prop_oneof![any::<u64>(), 0..100 * GB];
        (small.clone(), small.clone(), small).prop_map(|(weights_bytes, cache_bytes, read)| Need {
            weights_bytes,
            cache_bytes,
            overhead_bytes: MIN_OVERHEAD,
            context_tokens: CONTEXT,
            read_bytes: read.min(weights_bytes),
        })
    }

    proptest! {
        #[test]
        fn more_memory_or_another_card_never_makes_it_worse(
            memory in prop_oneof![any::<u64>(), 0..200 * GB],
            more in 0..200 * GB,
            gpus in prop::collection::vec(any_gpu(), 0..4),
            another in any_gpu(),
            need in any_need(),
        ) {
            let now = assess(&device(memory, gpus.clone()), &need);
            prop_assert!(assess(&device(memory.saturating_add(more), gpus.clone()), &need).fit >= now.fit);
            let mut with_another = gpus.clone();
            with_another.push(another);
            prop_assert!(assess(&device(memory, with_another), &need).fit >= now.fit);
            prop_assert!(now.reason.ends_with('.') && now.reason.len() < 300);
        }

        #[test]
        fn what_does_not_fit_anywhere_is_too_big(memory in 0..200 * GB, own in 0..200 * GB, need in any_need()) {
            let verdict = assess(&device(memory, vec![card(GpuVendor::Nvidia, own)]), &need);
            prop_assert!(need.total_bytes() <= memory.saturating_add(own) || verdict.fit == Fit::TooBig);
        }
    }
}
