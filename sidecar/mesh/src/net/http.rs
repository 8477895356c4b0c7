//! HTTP/1.1 over one QUIC stream: one request and its answer per stream, both ends.
//!
//! The traps this file avoids: the client's send half is never finished early (hyper would answer nothing); a stopped
//! send half reads as "pending" so that an early answer is not lost; a stream dropped half-way is reset, not finished,
//! so that a cut-off answer cannot pass for a whole one; and a requester that goes away drops the handler at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use iroh::endpoint::{ConnectionError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::close::CloseCode;
use crate::api::LinkLoss;

/// The head of a request must have come after this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Most headers of one message.
const MAX_HEADERS: usize = 64;
/// Most bytes of a head, and the size of hyper's buffers.
const MAX_HEAD: usize = 64 * 1024;
/// How long the last bytes of an answer may wait for the other side's acknowledgement.
const LINGER: Duration = Duration::from_secs(10);

/// Both halves of a QUIC stream as one reader and writer.
pub(crate) struct BiStream {
    send: SendStream,
    recv: RecvStream,
    finished: bool,
}

impl BiStream {
    /// Joins the halves.
    pub(crate) fn new(send: SendStream, recv: RecvStream) -> Self {
        Self { send, recv, finished: false }
    }
}

impl AsyncRead for BiStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.recv), cx, buf)
    }
}

impl AsyncWrite for BiStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match SendStream::poll_write(Pin::new(&mut self.send), cx, buf) {
            // The other side wants no more; what it still has to say comes by the read half.
            Poll::Ready(Err(WriteError::Stopped(_))) => Poll::Pending,
            other => other.map_err(io::Error::from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finished = true;
        // An error means that the stream is finished or reset already, which is what was asked for.
        let _ = self.send.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for BiStream {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.send.reset(VarInt::from_u32(CloseCode::Done as u32));
        }
    }
}

/// Answers the one request of a stream with `service`. Returns when the answer was delivered, or at once, dropping the
/// handler, when the requester went away; `loss` is told before that when it did not mean to.
pub(crate) async fn serve<S>(send: SendStream, recv: RecvStream, loss: &LinkLoss, service: S)
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = std::convert::Infallible>,
{
    let stopped = send.stopped();
    tokio::pin!(stopped);
    let answered = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .half_close(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(BiStream::new(send, recv)), service);
    tokio::select! {
        biased;
        why = &mut stopped => {
            if let Err(StoppedError::ConnectionLost(error)) = &why && is_loss(error) {
                loss.note();
            }
            return tracing::trace!("the requester went away");
        }
        result = answered => if let Err(error) = result {
            return tracing::trace!(%error, "a stream ended early");
        },
    }
    // The connection may be closed once this returns: first let the other side have every byte.
    let _ = tokio::time::timeout(LINGER, stopped).await;
}

/// Whether a connection ended without anybody wanting it to. A program that was restarted wants nothing of what it
/// asked before.
pub(crate) fn is_loss(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::TimedOut | ConnectionError::TransportError(_) | ConnectionError::ConnectionClosed(_)
    )
}

/// Sends `request` on a fresh stream. `held` is dropped when the answer was read to its end or dropped; dropping the
/// answer, or this future, resets the stream and so cancels the work on the other side.
pub(crate) async fn request<G: Send + Unpin + 'static>(
    send: SendStream,
    recv: RecvStream,
    mut request: Request<Body>,
    held: G,
) -> Result<Response<Body>, hyper::Error> {
    prepare(&mut request);
    let io = TokioIo::new(BiStream::new(send, recv));
    let mut builder = myownmesh_http1::Builder::new();
    builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
    let response = myownmesh_http1::request(io, &builder, request, held).await?;
    Ok(response.map(Body::new))
}

/// Origin-form target and a host, whatever the caller gave; hop-by-hop headers are the transport's.
fn prepare(request: &mut Request<Body>) {
    let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = target.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = http::Version::HTTP_11;
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    headers.insert(header::HOST, HeaderValue::from_static("mesh"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_out_in_origin_form() {
        let mut request = Request::builder()
            .uri("http://127.0.0.1:1473/v1/models?x=1")
            .header(header::CONNECTION, "keep-alive")
            .body(Body::empty())
            .expect("a request");
        prepare(&mut request);
        assert_eq!(request.uri(), "/v1/models?x=1");
        assert_eq!(request.headers()[header::HOST], "mesh");
        assert!(!request.headers().contains_key(header::CONNECTION));
    }
}
