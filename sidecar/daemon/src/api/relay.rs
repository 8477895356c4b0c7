//! The way back of an answer: streams pass through event by event, and one that breaks ends with an error event, never
//! with silence that looks like an end. Answers that are no streams are read whole first, so that a break is a proper
//! error as well.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use myownmesh_control::error::ErrorCode;

use super::ApiError;
use super::prefill::Prefill;
use super::tally::Tally;
use crate::lending::{Own, Permit};
use crate::planner::Meter;
use crate::sse::{self, Cutter};

/// Largest answer that is no stream, in bytes: embeddings of many texts take a few.
const MAX_ANSWER: usize = 128 * 1024 * 1024;

/// The pieces of an answer as an engine or another device sends them.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, ApiError>>;

/// What is held until the last byte of an answer.
#[derive(Default)]
pub(super) struct Held {
    /// What counts it; dropped before the permit, so that the next request finds it counted.
    pub(super) tally: Option<Tally>,
    /// Leave to serve it.
    #[expect(dead_code, reason = "held to be dropped")]
    pub(super) permit: Option<Permit>,
    /// The mark of a request of this device's own.
    #[expect(dead_code, reason = "held to be dropped")]
    pub(super) own: Option<Own>,
    /// What times it.
    pub(super) meter: Option<Meter>,
    /// What tells how far the question is read.
    pub(super) prefill: Prefill,
}

/// Whether an answer is a stream of events.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Hands an answer on. `held` is held until its last byte.
pub(super) async fn answer(
    status: StatusCode,
    headers: &HeaderMap,
    pieces: Pieces,
    mut held: Held,
) -> Result<Response<Body>, ApiError> {
    if let Some(tally) = &mut held.tally {
        tally.head(status);
    }
    if let Some(meter) = &mut held.meter {
        meter.head(status);
    }
    let content_type = headers.get(header::CONTENT_TYPE).cloned();
    let is_stream = is_stream(headers);
    let body = if is_stream {
        Body::from_stream(whole_events(pieces, held).map(Ok::<_, std::convert::Infallible>))
    } else {
        let whole = collect(pieces).await?;
        if let Some(tally) = &mut held.tally {
            tally.whole(&whole);
        }
        if let Some(meter) = &mut held.meter {
            meter.whole(&whole);
        }
        Body::from(whole)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if is_stream {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    if let Some(wait) = headers.get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    Ok(response)
}

async fn collect(mut pieces: Pieces) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if whole.len() + piece.len() > MAX_ANSWER {
            return Err(ApiError::new(
                ErrorCode::EngineBadAnswer,
                "The answer is larger than 128 MB. Ask for less at once.",
            ));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

struct Passing {
    // First, so that it is counted before its place is given up.
    held: Held,
    pieces: Pieces,
    cutter: Cutter,
    done: bool,
}

/// Whole events, then their proper end or an error event.
fn whole_events(pieces: Pieces, held: Held) -> impl Stream<Item = Bytes> {
    events(pieces, held).map(|events| events.unwrap_or_else(|error| event(&error)))
}

/// Whole events; one that ends early ends with why.
pub(super) fn events(pieces: Pieces, held: Held) -> impl Stream<Item = Result<Bytes, ApiError>> {
    let passing = Passing { pieces, cutter: Cutter::default(), done: false, held };
    unfold(Some(passing), |passing| async move {
        let mut passing = passing?;
        loop {
            let cut = match passing.pieces.next().await {
                Some(Ok(piece)) => passing.cutter.push(piece).map(|events| passing.held.prefill.pass(events)),
                Some(Err(error)) => return Some((Err(error), None)),
                None => return passing.end(),
            };
            match cut {
                Ok(events) if events.is_empty() => {}
                Ok(events) => {
                    passing.done |= is_last(&events);
                    if let Some(tally) = &mut passing.held.tally {
                        tally.events(&events);
                    }
                    if let Some(meter) = &mut passing.held.meter {
                        meter.events(&events);
                    }
                    return Some((Ok(events), Some(passing)));
                }
                Err(error) => {
                    let error =
                        ApiError::new(ErrorCode::EngineBadAnswer, format!("The answer cannot be read: {error}."));
                    return Some((Err(error), None));
                }
            }
        }
    })
}

impl Passing {
    /// The stream ended: properly, or without its last event.
    fn end(mut self) -> Option<(Result<Bytes, ApiError>, Option<Self>)> {
        let rest = self.cutter.rest();
        if self.done {
            return None;
        }
        let text = String::from_utf8_lossy(&rest);
        if text.trim_end() == format!("data: {}", sse::DONE) {
            if let Some(tally) = &mut self.held.tally {
                tally.events(&rest);
            }
            return Some((Ok(Bytes::from(format!("{}\n\n", text.trim_end()))), None));
        }
        Some((Err(ApiError::broke_off()), None))
    }
}

/// Whether the last of these events ends the answer: the mark of the end, or an error.
pub(super) fn is_last(events: &[u8]) -> bool {
    let trimmed = events.trim_ascii_end();
    let start = trimmed.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = &trimmed[start..];
    line.ends_with(sse::DONE.as_bytes()) || line.starts_with(b"data: {\"error\"")
}

/// The error that ends these events, if one does.
pub(super) fn last_error(events: &[u8]) -> Option<ApiError> {
    let trimmed = events.trim_ascii_end();
    let start = trimmed.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let data = trimmed[start..].strip_prefix(b"data: ").filter(|data| data.starts_with(b"{\"error\""))?;
    Some(ApiError::from_answer(StatusCode::BAD_GATEWAY, data))
}

/// An error as an event.
pub(super) fn event(error: &ApiError) -> Bytes {
    Bytes::from(format!("data: {}\n\n", error.to_json()))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn passed(
        content_type: &'static str,
        pieces: Vec<Result<&'static str, ApiError>>,
    ) -> Result<String, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let pieces = stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from))).boxed();
        let response = answer(StatusCode::OK, &headers, pieces, Held::default()).await?;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        Ok(String::from_utf8(body.to_vec()).expect("text"))
    }

    fn died() -> ApiError {
        ApiError::new(ErrorCode::EngineFailed, "It died.")
    }

    #[tokio::test]
    async fn a_complete_stream_passes_as_it_is() {
        for text in ["data: {\"a\":1}\n\ndata: [DONE]\n\n", "data: 1\r\n\r\ndata: [DONE]\r\n\r\n"] {
            assert_eq!(passed("text/event-stream; charset=utf-8", vec![Ok(text)]).await.expect("fine"), text);
        }
        let short = passed("text/event-stream", vec![Ok("data: 1\n\ndata: [D"), Ok("ONE]\n")]).await.expect("fine");
        assert_eq!(short, "data: 1\n\ndata: [DONE]\n\n");
    }

    #[tokio::test]
    async fn a_broken_stream_ends_with_an_error() {
        let broken = passed("text/event-stream", vec![Ok("data: 1\n\ndata: {\"ha"), Err(died())]).await.expect("head");
        let (whole, error) = broken.split_at("data: 1\n\n".len());
        assert_eq!(whole, "data: 1\n\n");
        assert_eq!(error, format!("data: {}\n\n", died().to_json()));
        let silent = passed("text/event-stream", vec![Ok("data: 1\n\n")]).await.expect("head");
        assert!(silent.contains("broke off"), "{silent}");
        let told = "data: 1\n\ndata: {\"error\":{\"message\":\"x\"}}\n\n";
        assert_eq!(passed("text/event-stream", vec![Ok(told)]).await.expect("head"), told, "not told twice");
    }

    #[tokio::test]
    async fn a_broken_answer_is_an_error() {
        assert_eq!(passed("application/json", vec![Ok("{\"a\""), Ok(":1}")]).await.expect("fine"), "{\"a\":1}");
        assert_eq!(passed("application/json", vec![Ok("{\"a\""), Err(died())]).await, Err(died()));
    }
}
