//! The one error shape of the control boundary: a stable code for programs, a sentence with the next step for people.

use jsonrpsee::core::ClientError;
use jsonrpsee::types::ErrorObjectOwned;
use serde::{Deserialize, Serialize};

/// JSON-RPC error number used for every [`ControlError`]; the meaning is in its `code`, not in the number.
const RPC_ERROR: i32 = -32_000;

/// Stable reason of a refusal or failure. Codes are added, never renamed: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument is malformed or out of range.
    InvalidArgument,
    /// What the request names does not exist.
    NotFound,
    /// The name fits several things; the message lists them.
    Ambiguous,
    /// It exists already, or the state forbids it now.
    Conflict,
    /// This device's role does not allow it.
    NotAllowed,
    /// No network is active.
    NoNetwork,
    /// The invite is malformed or not for this app.
    InvalidInvite,
    /// The invite's time is over.
    InviteExpired,
    /// The invite was revoked or used up.
    InviteUsedUp,
    /// The other side denied the knock; the message carries its reason.
    Denied,
    /// Nobody answered the knock within five minutes.
    KnockExpired,
    /// The code given with the approval is not the code of the knock.
    CodeMismatch,
    /// The other side asked for patience; try again later.
    RateLimited,
    /// The device cannot be reached now.
    Unreachable,
    /// The device is not a member, or no longer one.
    NotMember,
    /// No device offers this model.
    ModelNotFound,
    /// The model could not be loaded.
    ModelFailed,
    /// No model is there at all.
    NoModel,
    /// The engine cannot be reached.
    EngineUnreachable,
    /// The engine answered something that is not its protocol.
    EngineBadAnswer,
    /// The engine died or refused.
    EngineFailed,
    /// The device is not accepting work now.
    Busy,
    /// The other side speaks another version.
    VersionMismatch,
    /// Another daemon holds this home.
    HomeInUse,
    /// The home cannot be read or written.
    HomeUnusable,
    /// The port is taken by another program.
    PortInUse,
    /// No daemon runs for this home.
    NoDaemon,
    /// The request was cancelled by the person.
    Cancelled,
    /// The request is larger than the limit.
    TooLarge,
    /// Took too long.
    TimedOut,
    /// A file could not be downloaded, or what arrived is not what it should be.
    DownloadFailed,
    /// The disk has no room.
    DiskFull,
    /// A fault of ours; the message says where to find the log.
    Internal,
}

/// An error at the control boundary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// Stable reason, for programs.
    pub code: ErrorCode,
    /// One or two sentences for a person: what happened and what to do next. Never holds secrets.
    pub message: String,
}

impl ControlError {
    /// Makes an error of `code` with the sentence a person reads.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The code as it is printed in JSON, for example `not_found`.
    pub fn code_str(&self) -> String {
        match serde_json::to_value(self.code) {
            Ok(serde_json::Value::String(code)) => code,
            _ => "internal".to_owned(),
        }
    }
}

impl From<ControlError> for ErrorObjectOwned {
    fn from(error: ControlError) -> Self {
        let message = error.message.clone();
        Self::owned(RPC_ERROR, message, Some(error))
    }
}

impl From<ClientError> for ControlError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Call(object) => from_error_object(&object),
            ClientError::RequestTimeout => {
                Self::new(ErrorCode::TimedOut, "The daemon did not answer in time. Try again, or look at its log.")
            }
            ClientError::RestartNeeded(_) | ClientError::Transport(_) | ClientError::ServiceDisconnect => Self::new(
                ErrorCode::NoDaemon,
                "The connection to the daemon was lost. Start it with `myownmesh serve`, or open the app.",
            ),
            other => Self::new(ErrorCode::Internal, format!("The daemon's answer could not be read: {other}.")),
        }
    }
}

/// Rebuilds the error that the daemon sent; errors of the transport itself (unknown method, bad parameters) keep their text.
fn from_error_object(object: &ErrorObjectOwned) -> ControlError {
    let carried = object.data().and_then(|raw| serde_json::from_str(raw.get()).ok());
    carried.unwrap_or_else(|| match object.code() {
        jsonrpsee::types::error::INVALID_PARAMS_CODE => ControlError::new(
            ErrorCode::InvalidArgument,
            format!("The daemon could not read the request: {}.", object.message()),
        ),
        jsonrpsee::types::error::METHOD_NOT_FOUND_CODE => ControlError::new(
            ErrorCode::VersionMismatch,
            "The daemon does not know this request. App and daemon are of different versions: restart the daemon.",
        ),
        _ => ControlError::new(ErrorCode::Internal, object.message().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let error = ControlError::new(ErrorCode::CodeMismatch, "The codes differ.");
        let object = ErrorObjectOwned::from(error.clone());
        assert_eq!(ControlError::from(ClientError::Call(object)), error);
        assert_eq!(error.code_str(), "code_mismatch");
    }

    #[test]
    fn an_unknown_method_is_a_version_mismatch() {
        let object =
            ErrorObjectOwned::owned(jsonrpsee::types::error::METHOD_NOT_FOUND_CODE, "Method not found", None::<()>);
        assert_eq!(ControlError::from(ClientError::Call(object)).code, ErrorCode::VersionMismatch);
    }
}
