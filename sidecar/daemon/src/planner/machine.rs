//! What a device works with, as far as it matters for how fast it answers: on its card for others, and for itself.

use std::time::Duration;

use myownmesh_compute::{Gauge, GpuVendor, Hardware, HardwareRoots};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::capabilities::in_background;

/// How often a device with a battery looks whether it is plugged in: nothing tells when a plug is pulled.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// More threads than a machine has; a larger number is not believed.
const MAX_THREADS: u32 = 4096;
/// More memory than a machine has, in bytes: 1 PiB.
const MAX_MEMORY: u64 = 1 << 50;

/// A graphics processor, by the memory it works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Graphics {
    /// Memory of its own.
    Own,
    /// The working memory, which it reads as fast as a card reads its own: Apple's and NVIDIA's chips.
    Unified,
    /// The working memory, no faster than the processor.
    Shared,
}

/// What a device works with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Threads that run at once.
    #[serde(default)]
    pub(crate) threads: u32,
    /// The best kind of graphics processor it has.
    #[serde(default)]
    pub(crate) graphics: Option<Graphics>,
    /// Memory that graphics works in fast, in bytes.
    #[serde(default)]
    pub(crate) graphics_bytes: u64,
    /// Whether it has a processor for neural networks.
    #[serde(default)]
    pub(crate) npu: bool,
    /// Whether it draws from its battery now.
    #[serde(default)]
    pub(crate) on_battery: bool,
}

impl Machine {
    /// What compute reads, without the battery.
    pub(crate) fn of(hardware: &Hardware) -> Self {
        let fast = |vendor: &GpuVendor| matches!(vendor, GpuVendor::Apple | GpuVendor::Nvidia);
        let kind = |gpu: &myownmesh_compute::Gpu| match gpu.unified {
            false => Graphics::Own,
            true if fast(&gpu.vendor) => Graphics::Unified,
            true => Graphics::Shared,
        };
        let own = hardware.gpus.iter().filter(|gpu| !gpu.unified).filter_map(|gpu| gpu.vram_bytes);
        let graphics = hardware.gpus.iter().map(kind).min_by_key(|kind| *kind as u8);
        Self {
            threads: hardware.cpu.threads,
            graphics,
            graphics_bytes: match graphics {
                Some(Graphics::Own) => own.fold(0, u64::saturating_add),
                // macOS lets graphics have two thirds of the memory (`recommendedMaxWorkingSetSize`).
                Some(Graphics::Unified) => hardware.memory_bytes / 3 * 2,
                Some(Graphics::Shared) | None => 0,
            },
            npu: hardware.npu.is_some(),
            on_battery: false,
        }
    }

    /// What another device says of itself, with what cannot be left out.
    pub(crate) fn bounded(self) -> Self {
        Self {
            threads: self.threads.min(MAX_THREADS),
            graphics_bytes: if self.graphics_bytes <= MAX_MEMORY { self.graphics_bytes } else { 0 },
            ..self
        }
    }

    /// This device's, as soon as it is read, and kept up to date until `stop`.
    pub(crate) fn follow(stop: CancellationToken) -> watch::Receiver<Option<Self>> {
        let (told, machine) = watch::channel(None);
        tokio::spawn(stop.run_until_cancelled_owned(async move { keep(&told).await }));
        machine
    }
}

async fn keep(told: &watch::Sender<Option<Machine>>) {
    let read = in_background(|| {
        let battery = battery();
        let machine = Machine::of(&Hardware::read(&HardwareRoots::default()));
        (Machine { on_battery: battery == Some(false), ..machine }, battery.is_some())
    });
    let has_battery = match read.await {
        Some((machine, has_battery)) => {
            told.send_replace(Some(machine));
            has_battery
        }
        None => false,
    };
    if !has_battery {
        // Whoever follows it goes on following.
        std::future::pending::<()>().await;
    }
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(on_mains) = in_background(battery).await.flatten() else { continue };
        told.send_if_modified(|machine| {
            let before = machine.replace(Machine { on_battery: !on_mains, ..machine.unwrap_or_default() });
            before != *machine
        });
    }
}

/// Whether it draws from the mains; none without a battery.
fn battery() -> Option<bool> {
    Gauge::new(HardwareRoots::default(), ".").read().battery.map(|battery| battery.on_mains)
}

#[cfg(test)]
mod tests {
    use myownmesh_compute::{Cpu, Gpu};

    use super::*;

    fn gpu(vendor: GpuVendor, vram_bytes: Option<u64>, unified: bool) -> Gpu {
        Gpu { name: "x".to_owned(), vendor, vram_bytes, unified }
    }

    #[test]
    fn a_card_counts_before_what_shares_the_memory() {
        let of = |gpus| {
            Machine::of(&Hardware { cpu: Cpu::default(), memory_bytes: 30 << 30, gpus, npu: Some("n".to_owned()) })
        };
        let both = of(vec![gpu(GpuVendor::Intel, None, true), gpu(GpuVendor::Nvidia, Some(8 << 30), false)]);
        assert_eq!((both.graphics, both.graphics_bytes, both.npu), (Some(Graphics::Own), 8 << 30, true));
        let apple = of(vec![gpu(GpuVendor::Apple, None, true)]);
        assert_eq!((apple.graphics, apple.graphics_bytes), (Some(Graphics::Unified), 20 << 30));
        assert_eq!(of(vec![gpu(GpuVendor::Intel, None, true)]).graphics, Some(Graphics::Shared));
        assert_eq!(of(vec![]).graphics, None);
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let told = Machine { threads: u32::MAX, graphics_bytes: u64::MAX, ..Machine::default() }.bounded();
        assert_eq!((told.threads, told.graphics_bytes), (MAX_THREADS, 0));
    }
}
