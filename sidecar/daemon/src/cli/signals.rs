//! Waiting for the person, or the system, to end a command.

use std::io;

/// Returns when Ctrl-C is pressed or the system asks the process to end. Where neither can be watched, never returns.
pub(crate) async fn interrupted() {
    if platform::interrupted().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
mod platform {
    use tokio::signal::unix::{SignalKind, signal};

    use super::io;

    pub(super) async fn interrupted() -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod platform {
    use super::io;

    pub(super) async fn interrupted() -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
