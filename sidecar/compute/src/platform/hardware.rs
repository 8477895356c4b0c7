//! Where each system is asked about its hardware. Linux is read by us; macOS and Windows are asked through the programs
//! that come with them, whose answers are read by code that is tested everywhere.

use std::io;
use std::path::Path;

use crate::hardware::{Battery, Disk, Gpu, HardwareRoots};

#[cfg(target_os = "linux")]
mod system {
    use super::{Battery, Gpu, HardwareRoots};
    use crate::hardware::{self, Tree};

    pub(crate) fn gpus(roots: &HardwareRoots) -> Vec<Gpu> {
        hardware::gpus(Tree::new(&roots.root), &roots.nvml)
    }

    pub(crate) fn npu(roots: &HardwareRoots) -> Option<String> {
        hardware::npu(Tree::new(&roots.root))
    }

    pub(crate) fn battery(roots: &HardwareRoots) -> Option<Battery> {
        hardware::battery(Tree::new(&roots.root))
    }
}

#[cfg(target_os = "macos")]
mod system {
    use super::{Battery, Gpu, HardwareRoots, asked};
    use crate::hardware;

    pub(crate) fn gpus(_roots: &HardwareRoots) -> Vec<Gpu> {
        let told = asked("/usr/sbin/system_profiler", &["SPDisplaysDataType", "-json"]);
        told.map(|told| hardware::gpus(&told)).unwrap_or_default()
    }

    /// Every chip of Apple's own has one.
    pub(crate) fn npu(_roots: &HardwareRoots) -> Option<String> {
        cfg!(target_arch = "aarch64").then(|| "Apple Neural Engine".to_owned())
    }

    pub(crate) fn battery(_roots: &HardwareRoots) -> Option<Battery> {
        hardware::battery(&asked("/usr/bin/pmset", &["-g", "batt"])?)
    }
}

#[cfg(target_os = "windows")]
mod system {
    use super::{Battery, Gpu, HardwareRoots, asked};
    use crate::hardware::{self, SCRIPT, Told};

    fn ask() -> Told {
        let arguments = ["-NoProfile", "-NonInteractive", "-Command", SCRIPT];
        asked("powershell.exe", &arguments).map(|told| Told::read(&told)).unwrap_or_default()
    }

    pub(crate) fn gpus(_roots: &HardwareRoots) -> Vec<Gpu> {
        hardware::gpus(&ask())
    }

    pub(crate) fn npu(_roots: &HardwareRoots) -> Option<String> {
        hardware::npu(&ask())
    }

    pub(crate) fn battery(_roots: &HardwareRoots) -> Option<Battery> {
        hardware::battery(&ask())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
mod system {
    use super::{Battery, Gpu, HardwareRoots};

    pub(crate) fn gpus(_roots: &HardwareRoots) -> Vec<Gpu> {
        Vec::new()
    }

    pub(crate) fn npu(_roots: &HardwareRoots) -> Option<String> {
        None
    }

    pub(crate) fn battery(_roots: &HardwareRoots) -> Option<Battery> {
        None
    }
}

pub(crate) use system::{battery, gpus, npu};

/// The disk under a folder that exists.
pub(crate) fn disk(folder: &Path) -> io::Result<Disk> {
    #[cfg(unix)]
    {
        let told = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Ok(Disk { free_bytes: bytes(told.f_bavail), total_bytes: bytes(told.f_blocks) })
    }
    #[cfg(not(unix))]
    {
        let disks = sysinfo::Disks::new_with_refreshed_list();
        let holding = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
        holding
            .max_by_key(|disk| disk.mount_point().as_os_str().len())
            .map(|disk| Disk { free_bytes: disk.available_space(), total_bytes: disk.total_space() })
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no disk holds this folder"))
    }
}

/// What a program of the system prints; none when it fails or takes longer than [`PATIENCE`].
#[cfg(any(test, target_os = "macos", target_os = "windows"))]
fn asked(program: &str, arguments: &[&str]) -> Option<String> {
    use std::io::Read as _;
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::time::Duration;

    /// A cold PowerShell needs two seconds.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// Largest answer that is read, in bytes.
    const MAX_ANSWER: u64 = 4 << 20;

    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(windows)]
    {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        std::os::windows::process::CommandExt::creation_flags(&mut command, CREATE_NO_WINDOW);
    }
    let mut child = command.spawn().ok()?;
    let answer = child.stdout.take()?;
    let (done, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = answer.take(MAX_ANSWER).read_to_end(&mut bytes);
        // Nobody waits any more when it took too long.
        let _ = done.send(read.map(|_| bytes));
    });
    let bytes = told.recv_timeout(PATIENCE).ok().and_then(Result::ok);
    // It has said all it had to say, or took too long. Its verdict does not matter; but it must not stay as a zombie.
    let _ = child.kill();
    let _ = child.wait();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_asked_and_a_missing_one_is_silent() {
        assert_eq!(asked("/bin/echo", &["hello"]).as_deref(), Some("hello\n"));
        assert_eq!(asked("/no/such/program", &[]), None);
    }
}
