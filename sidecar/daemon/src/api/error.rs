//! Errors in OpenAI's shape, each with a sentence: `{"error": {"message", "type", "param", "code"}}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use myownmesh_compute::{ComputeError, ErrorKind as ComputeKind};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_mesh::{ErrorKind as MeshKind, MeshError};
use serde_json::{Value, json};

use crate::keys::KeyRefusal;
use crate::lending::Refusal;
use crate::route::RouteError;
use crate::scopes::ScopeRefusal;
use crate::store::StoreError;

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    param: Option<&'static str>,
}

impl ApiError {
    /// An error with the status that fits its code.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = match code {
            ErrorCode::InvalidArgument => StatusCode::BAD_REQUEST,
            ErrorCode::NotFound | ErrorCode::ModelNotFound | ErrorCode::NoModel => StatusCode::NOT_FOUND,
            ErrorCode::NotAllowed | ErrorCode::NotMember => StatusCode::FORBIDDEN,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            ErrorCode::Unreachable
            | ErrorCode::EngineUnreachable
            | ErrorCode::EngineBadAnswer
            | ErrorCode::EngineFailed
            | ErrorCode::ModelFailed => StatusCode::BAD_GATEWAY,
            ErrorCode::Busy | ErrorCode::Conflict => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, code, message: message.into(), param: None }
    }

    fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn with_param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    /// A request that is wrong in `param`.
    pub(crate) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message).with_param(param)
    }

    /// The body is no JSON object of the expected form.
    pub(crate) fn not_json(reason: &str) -> Self {
        Self::new(
            ErrorCode::InvalidArgument,
            format!("The request body is not the JSON this route takes: {reason}. Send an object with a model."),
        )
    }

    /// The body is over the limit.
    pub(crate) fn too_large() -> Self {
        Self::new(ErrorCode::TooLarge, "The request body is larger than 32 MB. Send less text, or smaller images.")
    }

    /// The request carries no mark of who asks.
    pub(crate) fn unknown_caller() -> Self {
        Self::new(ErrorCode::NotAllowed, "This request came by no known way and is refused.")
    }

    /// A page of another origin, or a foreign host name.
    pub(crate) fn foreign(message: &str) -> Self {
        Self::new(ErrorCode::NotAllowed, message)
    }

    /// A key is needed, and none came or a wrong one.
    pub(crate) fn key(refusal: KeyRefusal) -> Self {
        let status = match refusal {
            KeyRefusal::Missing | KeyRefusal::Unknown => StatusCode::UNAUTHORIZED,
            KeyRefusal::OutOfScope(_) => StatusCode::FORBIDDEN,
        };
        Self::new(ErrorCode::NotAllowed, refusal.to_string()).with_status(status)
    }

    /// This API has such a request, this program does not.
    pub(crate) fn not_offered(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message).with_status(StatusCode::NOT_IMPLEMENTED)
    }

    /// An answer of an engine that is not of the form it should have.
    pub(crate) fn bad_answer(reason: &str) -> Self {
        Self::new(
            ErrorCode::EngineBadAnswer,
            format!("The engine's answer cannot be read: {reason}. Ask again, or choose another model."),
        )
    }

    /// An answer that ended in the middle.
    pub(crate) fn broke_off() -> Self {
        Self::new(ErrorCode::EngineFailed, "The answer broke off before it was complete. Ask again.")
    }

    /// An engine or another device refused the request.
    pub(crate) fn refused(status: StatusCode) -> Self {
        Self::from_answer(status, b"")
    }

    /// No such path.
    pub(crate) fn no_route() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is nothing at this path. OpenAI's API is under /v1 (models, chat/completions, completions, \
             embeddings, responses), Anthropic's under /v1/messages, Ollama's under /api.",
        )
    }

    /// The path is there, the method is not.
    pub(crate) fn wrong_method() -> Self {
        Self::new(
            ErrorCode::InvalidArgument,
            "This path does not take this method: GET what lists or shows something, POST the others.",
        )
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// Its HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the engine or the other device does not know the path at all, rather than the model.
    pub(crate) fn no_such_path(&self) -> bool {
        let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
        self.code == ErrorCode::InvalidArgument && unknown.contains(&self.status)
    }

    /// Whether it is worth the wait: the device is busy.
    pub(crate) fn is_busy(&self) -> bool {
        self.code == ErrorCode::Busy
    }

    /// Whether another device may still succeed.
    pub(crate) fn worth_another(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::Busy
                | ErrorCode::Unreachable
                | ErrorCode::NotMember
                | ErrorCode::NotAllowed
                | ErrorCode::TimedOut
        )
    }

    /// Whether an answer that broke for it may go on elsewhere.
    pub(crate) fn may_go_on(&self) -> bool {
        self.is_crash() || matches!(self.code, ErrorCode::Busy | ErrorCode::Unreachable | ErrorCode::TimedOut)
    }

    /// Whether it is an engine that failed, not the device.
    pub(crate) fn is_crash(&self) -> bool {
        matches!(self.code, ErrorCode::EngineFailed | ErrorCode::EngineUnreachable | ErrorCode::ModelFailed)
    }

    /// The same with more to do at its end.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.message.push_str(hint);
        self
    }

    /// The JSON body.
    pub(crate) fn to_json(&self) -> Value {
        let kind = if self.status.is_client_error() { "invalid_request_error" } else { "server_error" };
        let code = ControlError::new(self.code, "").code_str();
        json!({ "error": { "message": self.message, "type": kind, "param": self.param, "code": code } })
    }

    /// The error that another device or an engine answered with.
    pub(crate) fn from_answer(status: StatusCode, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &value["error"];
        let text = error["message"].as_str().or_else(|| error.as_str()).unwrap_or_default();
        let text: String = text.chars().filter(|c| !c.is_control()).take(1000).collect();
        let code = serde_json::from_value(error["code"].clone()).unwrap_or(match status.as_u16() {
            413 => ErrorCode::TooLarge,
            400..500 => ErrorCode::InvalidArgument,
            _ => ErrorCode::EngineFailed,
        });
        let message = if text.is_empty() {
            format!("The engine refused the request (status {}). Try another model.", status.as_u16())
        } else {
            text
        };
        Self::new(code, message).with_status(status)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        if self.code == ErrorCode::Busy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        // For whoever has to tell it in the shape of another API.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ApiError> for ControlError {
    fn from(error: ApiError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        Self::new(error.code(), error.to_string()).with_param("model")
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.is_lasting() { ErrorCode::NotAllowed } else { ErrorCode::Busy };
        Self::new(code, refusal.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorCode::Internal, error.to_string())
    }
}

impl From<ScopeRefusal> for ApiError {
    fn from(refusal: ScopeRefusal) -> Self {
        Self::new(ErrorCode::NotAllowed, refusal.to_string())
    }
}

impl From<ComputeError> for ApiError {
    fn from(error: ComputeError) -> Self {
        let made = Self::new(crate::convert::compute_code(error.kind()), error.to_string());
        match error.kind() {
            ComputeKind::ModelNotFound | ComputeKind::Unsupported => made.with_param("model"),
            ComputeKind::Stopping => made.with_status(StatusCode::SERVICE_UNAVAILABLE),
            _ => made,
        }
    }
}

impl From<MeshError> for ApiError {
    fn from(error: MeshError) -> Self {
        let made = Self::new(crate::convert::mesh_code(error.kind()), error.to_string());
        match error.kind() {
            MeshKind::Stopped => made.with_status(StatusCode::SERVICE_UNAVAILABLE),
            _ => made,
        }
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::MemberScope;

    use super::*;

    #[test]
    fn an_error_reads_back_from_another_device() {
        let busy = ApiError::from(Refusal::busy("Desk"));
        let body = busy.to_json().to_string();
        let read = ApiError::from_answer(StatusCode::SERVICE_UNAVAILABLE, body.as_bytes());
        assert_eq!(read, busy);
        assert!(read.worth_another());
        let refused = ApiError::from(ScopeRefusal { host: "Desk".to_owned(), scope: MemberScope::Chat });
        let read = ApiError::from_answer(StatusCode::FORBIDDEN, refused.to_json().to_string().as_bytes());
        assert_eq!(read, refused);
        assert!(read.worth_another(), "another device may let it ask");
    }

    #[test]
    fn an_engine_s_own_errors_are_understood() {
        let llama = br#"{"error":{"code":400,"message":"context is full","type":"invalid_request_error"}}"#;
        let read = ApiError::from_answer(StatusCode::BAD_REQUEST, llama);
        assert_eq!((read.code, read.to_string().as_str()), (ErrorCode::InvalidArgument, "context is full"));
        let text = ApiError::from_answer(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(text.code, ErrorCode::EngineFailed);
        let plain = ApiError::from_answer(StatusCode::NOT_FOUND, br#"{"error":"model \"x\" not found"}"#);
        assert!(plain.to_string().contains("not found"));
    }
}
