//! Processors for engines, and others for everything else.
//!
//! People's engines compute on a GPU, where nothing else runs. A benchmark whose engine computes on a processor keeps one
//! free for it while words come, so that what the daemons use is not taken from the engine. Until the first word, one
//! waits for the other: there nothing is taken from anybody, and all may have all.

use anyhow::Result;
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

/// Which processors are whose.
pub(crate) struct Cores {
    engines: Vec<u32>,
    others: Vec<u32>,
    #[cfg(target_os = "linux")]
    sets: Sets,
}

#[cfg(target_os = "linux")]
struct Sets {
    all: CpuSet,
    first: CpuSet,
    rest: CpuSet,
}

impl Cores {
    /// Looks at what there is, for the processes `engines` and `others`; this one is one of the others.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(engines: Vec<u32>, mut others: Vec<u32>) -> Result<Self> {
        others.push(std::process::id());
        let all = sched_getaffinity(None)?;
        let (mut first, mut rest) = (CpuSet::new(), all);
        if let Some(cpu) = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).filter(|_| all.count() > 1) {
            first.set(cpu);
            rest.unset(cpu);
        } else {
            first = all;
        }
        Ok(Self { engines, others, sets: Sets { all, first, rest } })
    }

    /// Other systems pin no process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(engines: Vec<u32>, others: Vec<u32>) -> Result<Self> {
        Ok(Self { engines, others })
    }

    /// Engines get the first processor, everything else the others; one processor alone is shared.
    pub(crate) fn apart(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            pin(&self.engines, &self.sets.first)?;
            pin(&self.others, &self.sets.rest)?;
        }
        Ok(())
    }

    /// All processors are for all.
    pub(crate) fn together(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        for processes in [&self.engines, &self.others] {
            pin(processes, &self.sets.all)?;
        }
        Ok(())
    }
}

/// Pins every thread of these processes, and with them those that they start from now on.
#[cfg(target_os = "linux")]
fn pin(processes: &[u32], to: &CpuSet) -> Result<()> {
    for process in processes {
        for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let id = thread?.file_name().to_string_lossy().parse()?;
            match sched_setaffinity(Pid::from_raw(id), to) {
                // It has ended meanwhile.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
