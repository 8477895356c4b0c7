//! What changes from minute to minute: load, free memory and disk, the battery.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System};

use super::{HardwareRoots, MAX_MEMORY};
use crate::platform;

/// Highest load average that is told, in hundredths: ten thousand threads that want to run.
const MAX_LOAD: f64 = 1_000_000.0;

/// How things stand now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// How busy the processor is.
    pub load: Load,
    /// Working memory that could be had now without pushing others out, in bytes.
    pub memory_available_bytes: u64,
    /// The battery; none where there is none.
    pub battery: Option<Battery>,
    /// The disk under the folder that was asked about; none where the system does not tell.
    pub disk: Option<Disk>,
}

/// How busy the processor is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// Share of the time since the last reading in which each thread had work, 0 to 100.
    pub threads_percent: Vec<u8>,
    /// Work that ran or waited on average in the last minute, in hundredths of a thread: with 8 threads, 800 means all
    /// were busy. None on Windows, which does not count it.
    pub average_hundredths: Option<u32>,
}

impl Load {
    /// The share over all threads, 0 to 100.
    pub fn busy_percent(&self) -> u8 {
        let sum: usize = self.threads_percent.iter().map(|share| usize::from(*share)).sum();
        u8::try_from(sum.checked_div(self.threads_percent.len()).unwrap_or(0)).unwrap_or(100)
    }
}

/// A battery, or several as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// How full it is, 0 to 100.
    pub percent: Option<u8>,
    /// Whether the device draws from the mains.
    pub on_mains: bool,
}

/// The file system a folder is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// What this user may still write, in bytes.
    pub free_bytes: u64,
    /// Its size, in bytes.
    pub total_bytes: u64,
}

impl Disk {
    /// The disk under `folder`, or under the nearest folder above it that exists. Blocks.
    ///
    /// # Errors
    /// As the system words it.
    pub fn under(folder: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let there = folder.ancestors().find(|above| above.exists()).unwrap_or(&folder);
        platform::hardware::disk(there)
    }
}

/// Reads what changes, and remembers the last look at the processor: how busy it was is told for the time between.
#[derive(Debug)]
pub struct Gauge {
    roots: HardwareRoots,
    folder: PathBuf,
    system: System,
    looked: Instant,
}

impl Gauge {
    /// Takes the first look at the processor. `folder` is where the disk is measured.
    pub fn new(roots: HardwareRoots, folder: impl Into<PathBuf>) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self { roots, folder: folder.into(), system, looked: Instant::now() }
    }

    /// How things stand. Blocks: a fifth of a second when the last look was less than that ago (the counters of the
    /// system need as much to tell something), and on macOS and Windows as long as they take to tell of the battery.
    pub fn read(&mut self) -> Readings {
        std::thread::sleep(MINIMUM_CPU_UPDATE_INTERVAL.saturating_sub(self.looked.elapsed()));
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.looked = Instant::now();
        let free = self.system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
        Readings {
            load: Load {
                threads_percent: self.system.cpus().iter().map(|cpu| percent(cpu.cpu_usage())).collect(),
                average_hundredths: if cfg!(windows) { None } else { Some(hundredths(System::load_average().one)) },
            },
            memory_available_bytes: self.system.available_memory().min(free).min(MAX_MEMORY),
            battery: platform::hardware::battery(&self.roots),
            disk: Disk::under(&self.folder)
                .inspect_err(|error| tracing::debug!(folder = %self.folder.display(), %error, "no word of the disk"))
                .ok(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 100, or no number")]
fn percent(share: f32) -> u8 {
    share.round().clamp(0.0, 100.0) as u8
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded, or no number")]
fn hundredths(load: f64) -> u32 {
    (load * 100.0).round().clamp(0.0, MAX_LOAD) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_loads_stay_within_their_bounds() {
        assert_eq!([f32::NAN, -3.0, 0.4, 99.6, f32::INFINITY].map(percent), [0, 0, 0, 100, 100]);
        assert_eq!([f64::NAN, -1.0, 1.234, 1e300].map(hundredths), [0, 0, 123, 1_000_000]);
        let load = Load { threads_percent: vec![100, 0, 50], average_hundredths: None };
        assert_eq!((load.busy_percent(), Load::default().busy_percent()), (50, 0));
    }

    #[test]
    fn a_thread_at_work_is_seen() {
        let mut gauge = Gauge::new(HardwareRoots::default(), std::env::temp_dir());
        let stop = std::sync::atomic::AtomicBool::new(false);
        let readings = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let readings = gauge.read();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            readings
        });
        assert!(readings.load.threads_percent.iter().any(|share| *share > 0), "{readings:?}");
        assert!(readings.load.busy_percent() <= 100 && readings.memory_available_bytes > 0);
        let disk = readings.disk.expect("the folder for temporary files is on a disk");
        assert!(disk.free_bytes <= disk.total_bytes && disk.total_bytes > 0, "{disk:?}");
    }

    #[test]
    fn the_disk_of_a_folder_to_be_made_is_that_of_its_parent() {
        let folder = tempfile::tempdir().expect("a folder");
        let (there, to_be) = (Disk::under(folder.path()), Disk::under(&folder.path().join("a/b/c")));
        assert_eq!(there.expect("told").total_bytes, to_be.expect("told").total_bytes);
    }
}
