//! Processors for engines, and others for everything else.
//!
//! People's engines compute on a GPU, where nothing else runs. A benchmark whose engine computes on a processor keeps one
//! free for it, so that what the daemons use is not taken from the engine.

use anyhow::Result;

/// Which processors are whose.
pub(crate) struct Cores {
    #[cfg(target_os = "linux")]
    split: Option<(rustix::thread::CpuSet, rustix::thread::CpuSet)>,
}

impl Cores {
    /// Engines get the first processor, everything else the others; one processor alone is shared.
    #[cfg(target_os = "linux")]
    pub(crate) fn apart() -> Result<Self> {
        let mut rest = rustix::thread::sched_getaffinity(None)?;
        let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| rest.is_set(*cpu));
        let mut engines = rustix::thread::CpuSet::new();
        if let Some(first) = first {
            engines.set(first);
            rest.unset(first);
        }
        Ok(Self { split: (rest.count() > 0).then_some((engines, rest)) })
    }

    /// Other systems pin no process.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn apart() -> Result<Self> {
        Ok(Self::together())
    }

    /// All processors are for all.
    pub(crate) fn together() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            split: None,
        }
    }

    /// What this thread starts from now on are engines.
    pub(crate) fn for_engines(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Some((engines, _)) = &self.split {
            rustix::thread::sched_setaffinity(None, engines)?;
        }
        Ok(())
    }

    /// What this thread starts from now on, and itself, is everything else.
    pub(crate) fn for_the_rest(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Some((_, rest)) = &self.split {
            rustix::thread::sched_setaffinity(None, rest)?;
        }
        Ok(())
    }

    /// In words, for the record beside the figures.
    pub(crate) fn describe(&self) -> &'static str {
        #[cfg(target_os = "linux")]
        if self.split.is_some() {
            return "the engines have a processor of their own, client and daemons share the rest";
        }
        "the engines share the processors with client and daemons"
    }
}
