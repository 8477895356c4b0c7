//! The life of a daemon: start order, ready, one ordered shutdown.

use myownmesh_control::error::{ControlError, ErrorCode};

pub use crate::options::{Ready, RelayChoice, ServeOptions};

/// Runs a daemon until it is asked to end (SIGTERM, SIGINT, `daemon_stop`); calls `ready` once, when it serves.
///
/// # Errors
/// What kept it from starting, as a sentence with the next step: [`ErrorCode::HomeInUse`],
/// [`ErrorCode::HomeUnusable`], [`ErrorCode::PortInUse`], [`ErrorCode::InvalidArgument`], ...
pub async fn run(options: ServeOptions, ready: impl FnOnce(&Ready) + Send) -> Result<(), ControlError> {
    drop((options, ready));
    Err(ControlError::new(ErrorCode::Internal, "This build cannot serve yet."))
}
