//! Where a device keeps its things, and how its daemon is found.

use std::path::{Path, PathBuf};

/// Environment variable that names the home when no argument does.
pub const HOME_VARIABLE: &str = "MYOWNMESH_HOME";

/// The folder of one device: identity, database, configuration, control socket, models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

/// The platform has no folder for a user's data.
#[derive(Debug, thiserror::Error)]
#[error("This user has no data folder. Name one with --home or with {HOME_VARIABLE}.")]
pub struct NoHome;

impl Home {
    /// The home named by `explicit`, else by `MYOWNMESH_HOME`, else the platform's data folder for this user.
    pub fn find(explicit: Option<&Path>) -> Result<Self, NoHome> {
        let named = explicit
            .map(Path::to_path_buf)
            .or_else(|| std::env::var_os(HOME_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from));
        let folder = match named {
            Some(folder) => std::path::absolute(folder).map_err(|_| NoHome)?,
            None => directories::ProjectDirs::from("", "", "myownmesh").ok_or(NoHome)?.data_dir().to_path_buf(),
        };
        Ok(Self(folder))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Folder of the control socket; only its user can enter it (mode 0700).
    pub fn run_dir(&self) -> PathBuf {
        self.0.join("run")
    }

    /// File that tells clients how to reach the daemon, written by the daemon when it is ready: the path of its control
    /// socket (`unix:PATH`) or the name of its pipe (`pipe:NAME`).
    pub fn control_file(&self) -> PathBuf {
        self.run_dir().join("control")
    }
}
