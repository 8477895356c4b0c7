//! What a device is made of.

use serde::{Deserialize, Serialize};
use specta::Type;

/// What a device is made of, as far as its system tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Hardware {
    /// The processor.
    pub cpu: Cpu,
    /// Working memory.
    pub memory_bytes: u64,
    /// Graphics processors.
    pub gpus: Vec<Gpu>,
    /// Name of a processor for neural networks; `null` where there is none, or the system does not tell.
    pub npu: Option<String>,
    /// The battery; `null` where there is none.
    pub battery: Option<Battery>,
    /// What changes from minute to minute; not there in what a device publishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[specta(optional)]
    pub readings: Option<Readings>,
}

/// How things stand on a device now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Readings {
    /// How busy the processor is over all threads, 0 to 100.
    pub busy_percent: u8,
    /// The same for each thread.
    pub threads_percent: Vec<u8>,
    /// Work that ran or waited on average in the last minute, in hundredths of a thread (800: eight threads were
    /// busy); `null` where the system does not count it.
    pub load_hundredths: Option<u32>,
    /// Working memory that could be had now, in bytes.
    pub memory_available_bytes: u64,
    /// The disk that models are kept on; `null` where the system does not tell.
    pub disk: Option<Disk>,
}

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Disk {
    /// What may still be written, in bytes.
    pub free_bytes: u64,
    /// Its size, in bytes.
    pub total_bytes: u64,
}

/// A processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Cpu {
    /// What it calls itself.
    pub name: String,
    /// For example `x86_64` or `aarch64`.
    pub architecture: String,
    /// Cores; `null` where the system does not tell.
    pub cores: Option<u32>,
    /// Threads that run at once.
    pub threads: u32,
}

/// A graphics processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Gpu {
    /// What it calls itself.
    pub name: String,
    /// `nvidia`, `amd`, `intel`, `apple`, or what the system says.
    pub vendor: String,
    /// Memory of its own; `null` where the system does not tell.
    pub vram_bytes: Option<u64>,
    /// Whether it shares the working memory.
    pub unified: bool,
}

/// A battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Battery {
    /// How full it is, 0 to 100; `null` where the system does not tell.
    pub percent: Option<u8>,
    /// Whether the device draws from the mains.
    pub on_mains: bool,
}
