//! What differs between operating systems: how a child is tied to this process, and how it is asked to end; in
//! [`hardware`], how a machine is asked what it is made of.
//!
//! The promise is "never an orphan". On Linux the kernel keeps it: each child asks to be killed when its parent dies
//! (`PR_SET_PDEATHSIG`). The kernel's "parent" there is the *thread* that forked, so all children are started from one
//! thread that lives as long as the [`Spawner`]. On macOS and Windows nothing like it is within reach of this small
//! module: children end when this process ends in order or its runtime is dropped (`kill_on_drop`), and a process that
//! is killed by force leaves them behind. This is the only module of the crate with unsafe code.

pub(crate) mod hardware;

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Job {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts children from one long-lived thread. Dropping it ends the thread, and on Linux its children with it.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("engine-parent".to_owned()).spawn(move || {
            for mut job in inbox {
                let _inside = job.runtime.enter();
                tie_to_parent(&mut job.command);
                // A caller that went away drops the child, and `kill_on_drop` ends it.
                let _ = job.reply.send(job.command.kill_on_drop(true).spawn());
            }
        })?;
        Ok(Self { jobs })
    }

    /// Starts `command`, tied to this process.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts engines has ended");
        self.jobs.send(Job { command, runtime: Handle::current(), reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "code between fork and exec can only be given through an unsafe function")]
fn tie_to_parent(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    // Its own process group: Ctrl-C in a terminal reaches this process only, which then ends the children in order.
    command.process_group(0);
    let parent = getpid();
    let before_exec = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the line above: then no signal will ever come.
        if getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    // SAFETY: after fork the closure makes two system calls through rustix and touches no memory but its own copy of
    // a process id: no allocation, no locks, nothing that another thread could have left in the middle.
    unsafe {
        command.pre_exec(before_exec);
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn tie_to_parent(command: &mut Command) {
    command.process_group(0);
}

#[cfg(windows)]
fn tie_to_parent(command: &mut Command) {
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NO_WINDOW);
}

/// Asks a child to end (SIGTERM; on Windows it is ended at once). Nothing happens when it has ended already.
pub(crate) fn ask_to_end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        // `id` is none once the child was waited for, so the number cannot belong to somebody else.
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only when it ended a moment ago, which the caller sees next.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    #[cfg(not(unix))]
    {
        let _ = child.start_kill();
    }
}

/// How a child ended, in words that follow its name, and whether a signal (not a decision of its own) ended it.
pub(crate) fn describe_exit(status: ExitStatus) -> (String, bool) {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            let hint = if signal == 9 { " (by hand, or because memory ran out)" } else { "" };
            return (format!("was killed by signal {signal}{hint}"), true);
        }
    }
    match status.code() {
        Some(code) => (format!("ended with code {code}"), false),
        None => ("ended".to_owned(), true),
    }
}

/// Makes a folder that only this user can enter.
pub(crate) fn private_dir(path: &std::path::Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Puts `content` in the place of a file, whole or not at all: whoever reads it sees the old one or the new one.
pub(crate) fn replace_file(path: &std::path::Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// Renames a file unless there is one of the new name already, and makes that last.
pub(crate) fn rename_new(from: &std::path::Path, to: &std::path::Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return sync_parent(to),
            // Not every file system can; then it is looked at first, which is nearly as good.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)?;
    sync_parent(to)
}

fn sync_parent(path: &std::path::Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
