//! The device's folder: made private, held by one daemon at a time, and where clients find the control socket.
//!
//! The lock is the kernel's (`flock`), so it ends with the process however it ends; the process id in the file only
//! serves the sentence that a second daemon prints.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use myownmesh_control::home::Home;

use crate::files::{open_private, private_dir, write_private};
use crate::platform;

/// Longest path a Unix socket can have with some room to spare; the kernel's limit is 108 bytes on Linux, 104 on macOS.
const SOCKET_PATH_MAX: usize = 100;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    /// Another daemon holds the lock.
    #[error(
        "Another daemon{} already serves {}. Use that one, stop it with `myownmesh stop`, or name another folder with --home.",
        pid_text(*pid), path.display()
    )]
    InUse {
        /// The home.
        path: PathBuf,
        /// The other daemon, when it told.
        pid: Option<u32>,
    },
    /// It cannot be read or written.
    #[error("{what}: {cause}. {}", next_step(cause))]
    Unusable {
        /// What was attempted.
        what: String,
        /// As the system words it.
        cause: io::Error,
    },
}

impl HomeError {
    fn unusable(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Unusable { what, cause }
    }
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn next_step(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "Give this user the right to write there, or name another folder with --home."
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Free some space on that disk, then start again.",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "A file is in the way: move it, or name another folder with --home."
        }
        _ => "Check the disk, or name another folder with --home.",
    }
}

/// A home that this process holds. Dropping it gives the home back.
#[derive(Debug)]
pub(crate) struct HeldHome {
    home: Home,
    /// Holds the lock; the file itself stays, so that nobody races to make it anew.
    _lock: File,
}

impl HeldHome {
    /// Makes the home if needed and takes its lock.
    ///
    /// # Errors
    /// See [`HomeError`].
    pub(crate) fn take(home: Home) -> Result<Self, HomeError> {
        let path = home.path();
        platform::create_private_dir(path)
            .map_err(HomeError::unusable(format!("The folder {} cannot be made", path.display())))?;
        let lock = lock(path)?;
        for folder in [home.run_dir(), path.join("logs"), path.join("models")] {
            private_dir(&folder)
                .map_err(HomeError::unusable(format!("The folder {} cannot be made", folder.display())))?;
        }
        Ok(Self { home, _lock: lock })
    }

    /// The home's folder.
    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// A file or folder in the home.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The path for the control socket, in a folder only this user can enter, with nothing left at it.
    pub(crate) fn socket_path(&self) -> Result<PathBuf, HomeError> {
        let near = self.home.run_dir().join("control.sock");
        let path = if near.as_os_str().len() <= SOCKET_PATH_MAX { near } else { self.short_socket_path()? };
        // We hold the lock, so a socket that is there was left by a daemon that is gone.
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(HomeError::unusable(format!("The old control socket {} cannot be removed", path.display()))(cause))
            }
            _ => Ok(path),
        }
    }

    /// A socket path for homes whose own path is too long for one.
    fn short_socket_path(&self) -> Result<PathBuf, HomeError> {
        let digest = blake3::hash(self.path().as_os_str().as_encoded_bytes()).to_hex();
        let base = platform::runtime_dir();
        let folder = base.join(format!("myownmesh-{}", &digest[..16]));
        let made = platform::create_private_dir(&folder).and_then(|()| platform::check_private_dir(&folder));
        made.map_err(HomeError::unusable(format!(
            "The folder {} for the control socket cannot be used",
            folder.display()
        )))?;
        Ok(folder.join("control.sock"))
    }

    /// Tells clients where the control socket is.
    pub(crate) fn announce(&self, socket: &Path) -> Result<(), HomeError> {
        let file = self.home.control_file();
        let text = format!("unix:{}\n", socket.display());
        write_private(&file, text.as_bytes())
            .map_err(HomeError::unusable(format!("The file {} cannot be written", file.display())))
    }

    /// Takes the announcement and the socket back.
    pub(crate) fn withdraw(&self, socket: &Path) {
        for path in [self.home.control_file(), socket.to_path_buf()] {
            if let Err(cause) = fs::remove_file(&path)
                && cause.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %cause, "could not be removed");
            }
        }
    }
}

fn lock(home: &Path) -> Result<File, HomeError> {
    let path = home.join("daemon.lock");
    let failed = |cause| HomeError::unusable(format!("The folder {} cannot be used", home.display()))(cause);
    let mut file =
        open_private(OpenOptions::new().read(true).write(true).create(true).truncate(false), &path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(HomeError::InUse { path: home.to_path_buf(), pid });
        }
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .and_then(|()| file.sync_all());
    written.map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(path: &Path) -> Home {
        Home::find(Some(path)).expect("a home")
    }

    #[test]
    fn a_home_is_private_and_held_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("deep").join("home");
        let held = HeldHome::take(home(&path)).expect("free");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            for private in [path.clone(), path.join("run")] {
                assert_eq!(fs::metadata(&private).expect("there").permissions().mode() & 0o777, 0o700);
            }
        }
        let error = HeldHome::take(home(&path)).expect_err("held");
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        HeldHome::take(home(&path)).expect("free again");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("home");
        fs::write(&path, "not a folder").expect("write");
        let error = HeldHome::take(home(&path)).expect_err("a file");
        assert!(matches!(error, HomeError::Unusable { .. }));
        assert!(error.to_string().contains("--home"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("untouched"), "not a folder");
    }

    #[test]
    fn a_long_home_gets_a_short_socket() {
        let folder = tempfile::tempdir().expect("folder");
        let long = home(&folder.path().join("x".repeat(120)));
        let held = HeldHome::take(long.clone()).expect("free");
        let socket = held.socket_path().expect("path");
        assert!(socket.as_os_str().len() <= SOCKET_PATH_MAX, "{}", socket.display());
        held.announce(&socket).expect("announced");
        let text = fs::read_to_string(long.control_file()).expect("control file");
        assert_eq!(text.trim(), format!("unix:{}", socket.display()));
        held.withdraw(&socket);
        assert!(!long.control_file().exists());
        fs::remove_dir(socket.parent().expect("folder")).expect("clean");
    }

    #[test]
    fn a_stale_socket_is_removed() {
        let folder = tempfile::tempdir().expect("folder");
        let held = HeldHome::take(home(folder.path())).expect("free");
        let path = held.socket_path().expect("path");
        fs::write(&path, "left behind").expect("write");
        assert_eq!(held.socket_path().expect("again"), path);
        assert!(!path.exists());
    }
}
