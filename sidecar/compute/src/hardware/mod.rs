//! What this device is made of, and what changes about it from minute to minute.
//!
//! [`Hardware`] holds what stays the same until somebody opens the case; [`Gauge`] reads what changes: load, memory and
//! disk that are free, the battery. Processor, memory and load come from the running system (the `sysinfo` crate), all
//! else on Linux from `/sys` and `/proc` below a root folder, so that tests can give it another machine's. What differs
//! between systems is in `platform`; this module reads what they tell.
//!
//! Drivers are not believed: files are read up to a limit, numbers beyond what a machine can have are left out, names
//! are cut and lose what hides in them. Nothing here fails; what a system does not tell is none.

#[cfg(any(test, target_os = "macos"))]
mod apple;
mod gauge;
#[cfg(target_os = "linux")]
mod graphics;
#[cfg(target_os = "linux")]
mod neural;
#[cfg(target_os = "linux")]
mod nvidia;
#[cfg(target_os = "linux")]
mod pci;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(any(test, target_os = "windows"))]
mod windows;

use std::path::PathBuf;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::error::hides;
use crate::platform;

#[cfg(target_os = "macos")]
pub(crate) use apple::{battery, gpus};
pub use gauge::{Battery, Disk, Gauge, Load, Readings};
#[cfg(target_os = "linux")]
pub(crate) use graphics::gpus;
#[cfg(target_os = "linux")]
pub(crate) use neural::npu;
#[cfg(target_os = "linux")]
pub(crate) use power::battery;
#[cfg(target_os = "linux")]
pub(crate) use tree::Tree;
#[cfg(target_os = "windows")]
pub(crate) use windows::{SCRIPT, Told, battery, gpus, npu};

/// More memory than a machine has, in bytes: 1 PiB. A larger number is not believed.
const MAX_MEMORY: u64 = 1 << 50;
/// Longest name, in characters.
const MAX_NAME: usize = 80;
/// Most graphics processors that are listed.
const MAX_GPUS: usize = 32;

/// Where a machine is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardwareRoots {
    /// The folder that `sys`, `proc`, `dev` and `usr` are in; only looked at on Linux.
    pub root: PathBuf,
    /// The library of NVIDIA's driver that tells about its graphics processors (NVML), as the system's loader finds it;
    /// only loaded on Linux. A missing one is no error.
    pub nvml: PathBuf,
}

impl Default for HardwareRoots {
    /// The machine this runs on.
    fn default() -> Self {
        Self { root: PathBuf::from("/"), nvml: PathBuf::from("libnvidia-ml.so.1") }
    }
}

/// What this device is made of, as far as its system tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// The processor.
    pub cpu: Cpu,
    /// Working memory that this process may use, in bytes: the machine's, or the container's when that is less.
    pub memory_bytes: u64,
    /// Graphics processors, those with memory of their own first.
    pub gpus: Vec<Gpu>,
    /// Name of a processor for neural networks.
    pub npu: Option<String>,
}

/// A processor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// What it calls itself, or its architecture where it does not tell.
    pub name: String,
    /// For example `x86_64` or `aarch64`.
    pub architecture: &'static str,
    /// Cores that this process may use.
    pub cores: Option<u32>,
    /// Threads that run at once for this process.
    pub threads: u32,
}

/// A graphics processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// What it calls itself.
    pub name: String,
    /// Who made it.
    pub vendor: GpuVendor,
    /// Memory of its own, in bytes.
    pub vram_bytes: Option<u64>,
    /// Whether it works in the working memory, which it shares with the processor.
    pub unified: bool,
}

/// Who made a graphics processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuVendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
    /// Intel.
    Intel,
    /// Apple.
    Apple,
    /// Another, by the word its system uses.
    Other(String),
}

impl GpuVendor {
    /// One small word: `nvidia`, `amd`, `intel`, `apple`, or what the system says.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
            Self::Intel => "intel",
            Self::Apple => "apple",
            Self::Other(word) => word,
        }
    }

    /// By the number that the PCI consortium gave the maker.
    #[cfg(any(test, target_os = "linux", target_os = "windows"))]
    fn of_pci(number: u16) -> Self {
        match number {
            0x10de => Self::Nvidia,
            0x1002 => Self::Amd,
            0x8086 => Self::Intel,
            0x106b => Self::Apple,
            0x1af4 => Self::Other("virtio".to_owned()),
            0x15ad => Self::Other("vmware".to_owned()),
            0x1414 => Self::Other("microsoft".to_owned()),
            other => Self::Other(format!("pci-{other:04x}")),
        }
    }

    /// As people write it.
    #[cfg(any(test, target_os = "linux"))]
    fn proper(&self) -> &str {
        match self {
            Self::Nvidia => "NVIDIA",
            Self::Amd => "AMD",
            Self::Intel => "Intel",
            Self::Apple => "Apple",
            Self::Other(word) => word,
        }
    }
}

impl Hardware {
    /// Reads the machine. Blocks: a few milliseconds, with NVIDIA's driver or on macOS and Windows up to some seconds.
    pub fn read(roots: &HardwareRoots) -> Self {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(memory.with_cpu(CpuRefreshKind::nothing()));
        let mut gpus = platform::hardware::gpus(roots);
        gpus.sort_by_key(|gpu| gpu.unified);
        gpus.truncate(MAX_GPUS);
        Self { cpu: Cpu::of(&system), memory_bytes: total_memory(&system), gpus, npu: platform::hardware::npu(roots) }
    }
}

impl Cpu {
    fn of(system: &System) -> Self {
        let architecture = std::env::consts::ARCH;
        let name = system.cpus().first().and_then(|cpu| named(cpu.brand()));
        // Counts what this process may use: a container's quota and a pinned process get less than the machine has.
        let threads = std::thread::available_parallelism().map_or(1, |count| narrow(count.get()));
        let cores = System::physical_core_count().map(|count| narrow(count).min(threads));
        Self { name: name.unwrap_or_else(|| architecture.to_owned()), architecture, cores, threads }
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn total_memory(system: &System) -> u64 {
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    system.total_memory().min(limit).min(MAX_MEMORY)
}

/// A name a driver gave: one line without what hides in it; none when nothing is left.
fn named(text: &str) -> Option<String> {
    let seen: String = text.chars().map(|c| if hides(c) { ' ' } else { c }).collect();
    let name: String = seen.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_NAME).collect();
    (!name.is_empty()).then_some(name)
}

/// A number of bytes a driver gave: none when there are none or more than a machine can have.
fn plausible(bytes: u64) -> Option<u64> {
    (1..=MAX_MEMORY).contains(&bytes).then_some(bytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
