//! Three APIs, three shapes of an error. Routes answer with [`ApiError`], which is OpenAI's; on the way out it gets the
//! shape of the API that was called.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::ApiError;

/// The status by which Anthropic tells that nobody has time now.
const OVERLOADED: u16 = 529;

/// Whose API was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// OpenAI's.
    OpenAi,
    /// Ollama's.
    Ollama,
    /// Anthropic's.
    Anthropic,
}

impl Shape {
    /// Tells by path and headers.
    pub(super) fn of(path: &str, headers: &HeaderMap) -> Self {
        let under =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if under("/api") {
            Self::Ollama
        } else if under("/v1/messages") || headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }

    /// The body that tells an error.
    pub(super) fn json(self, error: &ApiError) -> Value {
        match self {
            Self::OpenAi => error.to_json(),
            Self::Ollama => json!({ "error": error.to_string() }),
            Self::Anthropic => {
                json!({ "type": "error", "error": { "type": anthropic_type(error), "message": error.to_string() } })
            }
        }
    }
}

/// The type that Anthropic's clients look at.
fn anthropic_type(error: &ApiError) -> &'static str {
    match error.status().as_u16() {
        _ if error.is_busy() => "overloaded_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        400..=499 | 501 => "invalid_request_error",
        _ => "api_error",
    }
}

/// Gives the errors of all routes behind it the shape of the API that was called.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let shape = Shape::of(request.uri().path(), request.headers());
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    if shape == Shape::OpenAi {
        return response;
    }
    let mut status = response.status();
    if shape == Shape::Anthropic && error.is_busy() {
        status = StatusCode::from_u16(OVERLOADED).unwrap_or(status);
    }
    let mut dressed = (status, Json(shape.json(&error))).into_response();
    if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
        dressed.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    dressed
}

#[cfg(test)]
mod tests {
    use myownmesh_control::error::ErrorCode;

    use super::*;
    use crate::keys::KeyRefusal;

    #[test]
    fn the_path_or_a_header_tells_the_api() {
        let mut anthropic = HeaderMap::new();
        anthropic.insert("anthropic-version", "2023-06-01".parse().expect("a value"));
        let none = HeaderMap::new();
        for (path, headers, shape) in [
            ("/api/chat", &none, Shape::Ollama),
            ("/api", &none, Shape::Ollama),
            ("/apiary", &none, Shape::OpenAi),
            ("/v1/messages", &none, Shape::Anthropic),
            ("/v1/messages/count_tokens", &none, Shape::Anthropic),
            ("/v1/models", &none, Shape::OpenAi),
            ("/v1/models", &anthropic, Shape::Anthropic),
            ("/v1/chat/completions", &none, Shape::OpenAi),
        ] {
            assert_eq!(Shape::of(path, headers), shape, "{path}");
        }
    }

    #[test]
    fn each_shape_carries_the_sentence() {
        let error = ApiError::new(ErrorCode::ModelNotFound, "No device has it.");
        assert_eq!(Shape::Ollama.json(&error), json!({ "error": "No device has it." }));
        let anthropic = Shape::Anthropic.json(&error);
        assert_eq!(anthropic["type"], "error");
        assert_eq!(anthropic["error"], json!({ "type": "not_found_error", "message": "No device has it." }));
        for (error, kind) in [
            (ApiError::key(KeyRefusal::Missing), "authentication_error"),
            (ApiError::too_large(), "request_too_large"),
            (ApiError::not_offered("No."), "invalid_request_error"),
            (ApiError::wrong_method(), "invalid_request_error"),
            (ApiError::foreign("No."), "permission_error"),
            (ApiError::new(ErrorCode::Busy, "Later."), "overloaded_error"),
            (ApiError::new(ErrorCode::TimedOut, "Late."), "timeout_error"),
            (ApiError::broke_off(), "api_error"),
        ] {
            assert_eq!(Shape::Anthropic.json(&error)["error"]["type"], kind);
        }
    }
}
