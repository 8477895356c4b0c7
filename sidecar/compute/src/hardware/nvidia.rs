//! NVIDIA's cards: by the driver's management library (NVML), which is loaded when it is there, else by what the
//! driver writes to `/proc/driver/nvidia`, which does not tell their memory.

use std::ffi::OsStr;
use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::pci::Address;
use super::tree::Tree;
use super::{Gpu, GpuVendor, MAX_GPUS, named, narrow, plausible};

/// A card, and where it sits.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) address: Option<Address>,
    pub(super) gpu: Gpu,
}

/// The cards its driver knows.
pub(super) fn found(tree: Tree<'_>, library: &Path) -> Vec<Card> {
    match by_library(library.as_os_str()) {
        Ok(cards) => cards,
        Err(error) => {
            tracing::debug!(%error, library = %library.display(), "NVIDIA's library tells nothing");
            by_proc(tree)
        }
    }
}

fn by_library(library: &OsStr) -> Result<Vec<Card>, NvmlError> {
    let nvml = Nvml::builder().lib_path(library).init()?;
    let mut cards = Vec::new();
    for index in 0..nvml.device_count()?.min(narrow(MAX_GPUS)) {
        // One broken card must not hide the others.
        let Ok(device) = nvml.device_by_index(index) else { continue };
        let (vram_bytes, unified) = match device.memory_info() {
            Ok(memory) => (plausible(memory.total), false),
            // Chips that hold processor and graphics have no memory of their own to tell of.
            Err(NvmlError::NotSupported) => (None, true),
            Err(_) => (None, false),
        };
        cards.push(Card {
            address: device.pci_info().ok().and_then(|pci| Address::parse(&pci.bus_id)),
            gpu: Gpu { name: called(device.name().ok()), vendor: GpuVendor::Nvidia, vram_bytes, unified },
        });
    }
    Ok(cards)
}

fn by_proc(tree: Tree<'_>) -> Vec<Card> {
    let card = |place: String| {
        let text = tree.text(&format!("proc/driver/nvidia/gpus/{place}/information"))?;
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'));
        Some(Card {
            address: Address::parse(line("Bus Location").unwrap_or(&place)),
            gpu: Gpu {
                name: called(line("Model").map(str::to_owned)),
                vendor: GpuVendor::Nvidia,
                vram_bytes: None,
                unified: false,
            },
        })
    };
    tree.names("proc/driver/nvidia/gpus").into_iter().take(MAX_GPUS).filter_map(card).collect()
}

fn called(told: Option<String>) -> String {
    let name = told.and_then(|name| named(&name)).unwrap_or_else(|| "graphics".to_owned());
    if name.starts_with("NVIDIA") { name } else { format!("NVIDIA {name}") }
}
