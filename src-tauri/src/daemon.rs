//! The daemon as the shell sees it: one handle, one state, one owner.
//!
//! [`Daemon`] is a cloneable handle. Behind it one task ([`supervisor`]) owns the connection and, when the app started
//! it, the process. [`find`] says which program to start, [`process`] starts and ends it, [`version`] decides whether it
//! fits, [`budget`] how often it may be started again.

mod budget;
pub mod find;
mod process;
mod supervisor;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use myownmesh_control::client::ControlClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::home::Home;
use serde::{Deserialize, Serialize};
use specta::Type;
use tokio::sync::{mpsc, oneshot, watch};

pub use process::Launcher;

/// Whether the daemon is attached, and if not, why. Also the `shell-state` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, tauri_specta::Event)]
pub struct ShellState {
    /// Where we are with the daemon.
    pub state: ShellPhase,
    /// The same as a sentence, with the next step where there is one.
    pub message: String,
    /// Stable reason of a failure, for example `port_in_use`.
    pub code: Option<ErrorCode>,
    /// Daemon version and control protocol that this app was built for.
    pub expected: String,
    /// Those of the daemon that runs; `null` until it was asked.
    pub found: Option<String>,
    /// Log of the daemon that the app started; `null` when it was started elsewhere.
    pub log_path: Option<String>,
}

/// Where the shell is with the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ShellPhase {
    /// Being looked for or started.
    Starting,
    /// Connected, and it fits.
    Attached,
    /// The connection was lost; it is being found again.
    Lost,
    /// A daemon runs, of another version.
    Mismatch,
    /// There is none, and the app will not start one by itself again.
    Failed,
}

/// What a handle asks of the supervisor.
enum Request {
    Restart { api_port: Option<u16>, done: oneshot::Sender<Result<(), ControlError>> },
    Shutdown { done: oneshot::Sender<()> },
}

/// Handle of the supervisor.
#[derive(Clone)]
pub struct Daemon {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<ShellState>,
    client: watch::Receiver<Option<Arc<ControlClient>>>,
}

impl Daemon {
    /// Starts to look after the daemon of `home`. `announce` is called with every new state.
    pub fn supervise(home: Home, launcher: Launcher, announce: impl Fn(ShellState) + Send + Sync + 'static) -> Self {
        // Two requests at most make sense at a time: a restart and the shutdown.
        let (requests, inbox) = mpsc::channel(4);
        let (supervisor, state, client) = supervisor::Supervisor::new(home, launcher, inbox, Box::new(announce));
        tauri::async_runtime::spawn(supervisor.run());
        Self { requests, state, client }
    }

    /// The connection, for as long as there is one.
    ///
    /// # Errors
    /// [`ErrorCode::NoDaemon`], with what the shell is doing about it.
    pub fn client(&self) -> Result<Arc<ControlClient>, ControlError> {
        let client = self.client.borrow().clone();
        client.ok_or_else(|| ControlError::new(ErrorCode::NoDaemon, self.state.borrow().message.clone()))
    }

    /// The connection as it comes and goes.
    pub fn clients(&self) -> watch::Receiver<Option<Arc<ControlClient>>> {
        let mut clients = self.client.clone();
        clients.mark_changed();
        clients
    }

    /// The state now.
    pub fn state(&self) -> ShellState {
        self.state.borrow().clone()
    }

    /// Ends the daemon of this home, whoever started it, and starts the app's own.
    pub async fn restart(&self, api_port: Option<u16>) -> Result<(), ControlError> {
        let (done, answer) = oneshot::channel();
        let closing = || ControlError::new(ErrorCode::NoDaemon, "The app is closing.");
        self.requests.send(Request::Restart { api_port, done }).await.map_err(|_| closing())?;
        answer.await.map_err(|_| closing())?
    }

    /// Ends the daemon if the app started it, and the supervision. Returns when both are done.
    pub async fn shutdown(&self) {
        let (done, answer) = oneshot::channel();
        if self.requests.send(Request::Shutdown { done }).await.is_ok() && answer.await.is_err() {
            tracing::debug!("the supervision had ended");
        }
        self.requests.closed().await;
    }

    /// Whether [`Daemon::shutdown`] has been done.
    pub fn is_shut_down(&self) -> bool {
        self.requests.is_closed()
    }
}
