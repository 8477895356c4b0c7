//! The client end of the control socket.

use std::time::Duration;

use jsonrpsee::ws_client::{PingConfig, WsClient, WsClientBuilder};

use crate::MAX_MESSAGE_BYTES;
use crate::error::{ControlError, ErrorCode};
use crate::home::Home;

/// A connection to a daemon; cheap to share behind an `Arc`. Call it through `api::ControlApiClient`.
pub type ControlClient = WsClient;

/// How long a unary request may take before the client gives up. Long work is a stream, so this is generous.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the client asks whether the daemon is alive, and after how long a silence it counts as gone.
const PING_EVERY: Duration = Duration::from_secs(1);
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// Most items a subscription may lag behind before it is closed; the caller then subscribes again with `after`.
const SUBSCRIPTION_BUFFER: usize = 4096;

/// Connects to the daemon that serves `home`.
///
/// # Errors
/// [`ErrorCode::NoDaemon`] when none runs there, or it does not answer.
pub async fn connect(home: &Home) -> Result<ControlClient, ControlError> {
    let stream = platform::connect(home).await.map_err(|cause| no_daemon(home, &cause))?;
    let ping = PingConfig::new().ping_interval(PING_EVERY).inactive_limit(SILENCE_LIMIT).max_failures(2);
    WsClientBuilder::new()
        .max_request_size(MAX_MESSAGE_BYTES)
        .max_response_size(MAX_MESSAGE_BYTES)
        .max_buffer_capacity_per_subscription(SUBSCRIPTION_BUFFER)
        .request_timeout(REQUEST_TIMEOUT)
        .enable_ws_ping(ping)
        .build_with_stream("ws://localhost/", stream)
        .await
        .map_err(|cause| no_daemon(home, &cause))
}

fn no_daemon(home: &Home, cause: &dyn std::fmt::Display) -> ControlError {
    ControlError::new(
        ErrorCode::NoDaemon,
        format!(
            "No daemon is running for {} ({cause}). Start it with `myownmesh serve`, or open the app.",
            home.path().display()
        ),
    )
}

/// Where the control socket is, per platform. Unix runs in the tests; the Windows half is small and compiles only there.
mod platform {
    use std::io;

    use crate::home::Home;

    #[cfg(unix)]
    pub(super) async fn connect(home: &Home) -> io::Result<tokio::net::UnixStream> {
        let path = tokio::fs::read_to_string(home.control_file()).await?;
        let path = path.trim().strip_prefix("unix:").ok_or_else(|| io::Error::other("its control file is damaged"))?;
        tokio::net::UnixStream::connect(path).await
    }

    #[cfg(windows)]
    pub(super) async fn connect(home: &Home) -> io::Result<tokio::net::windows::named_pipe::NamedPipeClient> {
        let name = tokio::fs::read_to_string(home.control_file()).await?;
        let name = name.trim().strip_prefix("pipe:").ok_or_else(|| io::Error::other("its control file is damaged"))?;
        tokio::net::windows::named_pipe::ClientOptions::new().open(name)
    }
}
