//! `GET /mesh/v1/models/VARIANT` and `/mesh/v1/models/VARIANT/FILE`: model files for members of the network. Not for
//! programs of this device, which have the files themselves.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream::{StreamExt as _, unfold};
use http::{HeaderMap, StatusCode, header};
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::MemberScope;
use serde_json::json;

use super::leave::Leave;
use super::relay::Pieces;
use super::{Api, ApiError, Caller};
use crate::library::{Lent, LentError, MODELS_PATH, Sending};

/// Bytes that are read and sent at once.
const PIECE: u64 = 256 << 10;

/// The routes. What `lent` has is behind the scope of models.
pub(crate) fn routes(api: Api, lent: Lent) -> Router {
    Router::new()
        .route(&format!("{MODELS_PATH}/{{variant}}"), get(list))
        .route(&format!("{MODELS_PATH}/{{variant}}/{{file}}"), get(read))
        .with_state((api, lent))
}

type Parts = (Api, Lent);

fn leave(api: &Api, caller: &Caller) -> Result<Leave, ApiError> {
    match caller {
        Caller::Local => Err(ApiError::no_route()),
        Caller::Member(asker) => api.leave(asker, MemberScope::Models),
    }
}

/// The files of a variant.
async fn list(
    State((api, lent)): State<Parts>,
    caller: Caller,
    Path(variant): Path<String>,
) -> Result<Response, ApiError> {
    let leave = leave(&api, &caller)?;
    let files = tokio::select! {
        biased;
        error = leave.ended() => return Err(error),
        files = lent.files(&variant) => files?,
    };
    Ok(Json(json!({ "files": files })).into_response())
}

/// A part of a file.
async fn read(
    State((api, lent)): State<Parts>,
    caller: Caller,
    Path((variant, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let leave = leave(&api, &caller)?;
    let sending = lent.open(&variant, &file).await?;
    let (size, sha256) = (sending.size, sending.sha256.clone());
    let range = headers.get(header::RANGE).and_then(|value| range(value.to_str().ok()?, size));
    let (from, to) = range.ok_or_else(|| {
        ApiError::invalid("range", "Ask for a part of the file, as Range: bytes=FIRST-LAST within its size.")
    })?;
    let body = Body::from_stream(leave.hold(pieces(sending, from, to)));
    Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, to - from)
        .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", to - 1))
        .header(header::ETAG, format!("\"{sha256}\""))
        .body(body)
        .map_err(|error| ApiError::new(ErrorCode::Internal, format!("The answer could not be made: {error}.")))
}

/// First byte and the one after the last, from `bytes=FIRST-LAST` within the size.
fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    (first <= last && last < size).then(|| (first, last + 1))
}

/// The bytes, read as they are sent.
fn pieces(sending: Sending, from: u64, to: u64) -> Pieces {
    unfold(Some((sending, from)), move |at| async move {
        let (sending, at) = at.filter(|(_, at)| *at < to)?;
        let reading = move || -> io::Result<(Sending, Vec<u8>)> {
            let length = PIECE.min(to - at);
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            (&sending.file).seek(SeekFrom::Start(at))?;
            (&sending.file).read_exact(&mut bytes)?;
            Ok((sending, bytes))
        };
        let read = tokio::task::spawn_blocking(reading).await.map_err(io::Error::other).and_then(|read| read);
        match read {
            Ok((sending, bytes)) => {
                let next = at + bytes.len() as u64;
                Some((Ok(Bytes::from(bytes)), Some((sending, next))))
            }
            Err(error) => {
                tracing::warn!(%error, "a model file cannot be read to its end");
                Some((Err(LentError::Disk(error).into()), None))
            }
        }
    })
    .boxed()
}

impl From<LentError> for ApiError {
    fn from(error: LentError) -> Self {
        if let LentError::Disk(cause) = &error {
            tracing::warn!(%cause, "a model file cannot be given to a member");
        }
        let code = match &error {
            LentError::NotHere => ErrorCode::NotFound,
            LentError::Busy => ErrorCode::Busy,
            LentError::Unsound | LentError::Disk(_) | LentError::Store(_) => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lies_within_the_file() {
        assert_eq!(range("bytes=0-9", 10), Some((0, 10)));
        assert_eq!(range("bytes=9-9", 10), Some((9, 10)));
        for odd in [
            "",
            "bytes=",
            "bytes=0-10",
            "bytes=5-4",
            "bytes=-5",
            "bytes=5-",
            "0-9",
            "bytes=0-4,6-8",
            "bytes=0x0-5",
            "bytes=0-18446744073709551615",
        ] {
            assert_eq!(range(odd, 10), None, "{odd}");
        }
        assert_eq!(range("bytes=0-0", 0), None);
    }
}
