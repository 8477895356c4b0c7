//! Following a resumable stream of the daemon to its end.

use std::ops::ControlFlow;

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Subscription;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::output::{Failure, Output, exit_code};

/// How often a subscription may close without having brought anything before it counts as broken.
const EMPTY_SUBSCRIPTIONS: u32 = 3;

/// Gives every item of a stream to `on_item` until that breaks with a result, subscribing again where it left off when
/// the reader was too slow.
///
/// `subscribe` subscribes after a position; `position` tells the position of an item.
///
/// # Errors
/// What `on_item` refused, or [`ErrorCode::NoDaemon`] when the daemon ended.
pub(crate) async fn follow<T: DeserializeOwned, R>(
    client: &ControlClient,
    subscribe: impl AsyncFn(u64) -> Result<Subscription<T>, ClientError>,
    position: impl Fn(&T) -> u64,
    mut on_item: impl FnMut(T) -> Result<ControlFlow<R>, Failure>,
) -> Result<R, Failure> {
    let mut after = 0;
    let mut empty = 0;
    while empty < EMPTY_SUBSCRIPTIONS {
        let mut items = subscribe(after).await?;
        empty += 1;
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| unreadable(&error))?;
            after = position(&item);
            empty = 0;
            if let ControlFlow::Break(result) = on_item(item)? {
                return Ok(result);
            }
        }
        if !client.is_connected() {
            return Err(ControlError::from(ClientError::ServiceDisconnect).into());
        }
    }
    Err(Failure::new(ErrorCode::Internal, "The daemon ended the stream without saying how. Look at its log."))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(
        ErrorCode::VersionMismatch,
        format!("The daemon said something this version does not know ({error}). Restart the daemon."),
    )
}

/// Ends the stream of lines with the error in the form of a stream's last item, and in the form of every refusal.
pub(crate) fn last_line(out: Output, error: &ControlError) -> Failure {
    let line = json!({ "type": "error", "code": error.code, "message": error.message, "error": error });
    match out.json_line(&line) {
        Ok(()) => Failure::Reported(exit_code(error)),
        Err(failure) => failure,
    }
}
