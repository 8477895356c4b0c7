//! One question over one HTTP/1.1 connection, whatever carries it: a QUIC stream to another device or a TCP connection
//! to an engine.
//!
//! Whoever reads the answer drives the connection. A task in between would have to be woken for every piece, and
//! everything that came meanwhile can be read at once.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
pub use hyper::client::conn::http1::Builder;
use hyper::client::conn::http1::Connection;
use hyper::rt::{Read, Write};

/// Asks `request` over `io`, and ends the connection with the answer. `held` is dropped when the answer was read to its
/// end or dropped; dropping the answer, or this future, drops `io`.
///
/// # Errors
/// What hyper says where the connection breaks before the head of the answer, or brings no HTTP.
pub async fn request<T, B, G>(
    io: T,
    builder: &Builder,
    request: Request<B>,
    held: G,
) -> Result<Response<Answer<T, B, G>>, hyper::Error>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = builder.handshake::<_, B>(io).await?;
    let mut driver = Driver(Some((connection, held)));
    let mut answered = pin!(sender.send_request(request));
    let response = poll_fn(|cx| {
        if let Poll::Ready(answered) = answered.as_mut().poll(cx) {
            return Poll::Ready(answered);
        }
        driver.drive(cx);
        answered.as_mut().poll(cx)
    });
    let response = response.await?;
    Ok(response.map(|body| Answer { body, driver }))
}

/// The connection as hyper sees it, and what is held as long as it lasts.
struct Driver<T, B, G>(Option<(Connection<T, B>, G)>)
where
    T: Read + Write,
    B: Body + 'static;

impl<T, B, G> Driver<T, B, G>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Reads and writes what there is to read and write.
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some((connection, _)) = &mut self.0 else { return };
        if let Poll::Ready(ended) = Pin::new(connection).poll(cx) {
            // The request, or the body of its answer, tells what is to be told.
            if let Err(error) = ended {
                tracing::trace!(%error, "a request ended early");
            }
            self.0 = None;
        }
    }
}

/// The body of an answer. It drives its connection itself.
pub struct Answer<T, B, G>
where
    T: Read + Write,
    B: Body + 'static,
{
    body: Incoming,
    driver: Driver<T, B, G>,
}

impl<T, B, G> Body for Answer<T, B, G>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    G: Unpin,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, driver } = self.get_mut();
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => return Poll::Ready(Some(frame)),
            // The connection still has to end, properly and not by being dropped.
            Poll::Ready(None) => {
                driver.drive(cx);
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        driver.drive(cx);
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        // Only poll_frame ends the connection.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt as _, Empty};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    type Asked<G> = Result<Response<Answer<TokioIo<DuplexStream>, Empty<Bytes>, G>>, hyper::Error>;

    /// Asks, and gives the other end and what the question came to.
    async fn asked<G>(answer: &[u8], held: G) -> (DuplexStream, Asked<G>) {
        let (here, mut there) = duplex(64 * 1024);
        let answering = async {
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                question.push(there.read_u8().await.expect("more"));
            }
            there.write_all(answer).await.expect("room");
            question
        };
        let question = Request::get("/").body(Empty::new()).expect("a request");
        let builder = Builder::new();
        let (asked, question) = tokio::join!(request(TokioIo::new(here), &builder, question, held), answering);
        assert!(question.starts_with(b"GET / HTTP/1.1\r\n"));
        (there, asked)
    }

    #[tokio::test]
    async fn all_that_has_come_is_read_without_waiting() {
        let (mut there, answer) = asked(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ()).await;
        let mut body = answer.expect("a head").into_body();
        there.write_all(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n").await.expect("room");
        let mut pieces = Vec::new();
        poll_fn(|cx| {
            while let Poll::Ready(frame) = Pin::new(&mut body).poll_frame(cx) {
                pieces.extend(frame.expect("more").expect("a good one").into_data().expect("data"));
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(pieces, b"abc");
    }

    #[tokio::test]
    async fn what_is_held_goes_with_the_end_of_the_answer() {
        let held = Arc::new(());
        let (_there, answer) = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", held.clone()).await;
        let mut body = answer.expect("a head").into_body();
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!(body.frame().await.expect("a piece").expect("a good one").into_data().expect("data"), "a");
        assert!(body.frame().await.is_none());
        assert_eq!(Arc::strong_count(&held), 1, "before the answer is dropped");
    }

    #[tokio::test]
    async fn dropping_the_answer_ends_the_connection() {
        let held = Arc::new(());
        let (mut there, answer) =
            asked(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n", held.clone()).await;
        drop(answer.expect("a head"));
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(there.read(&mut [0]).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error() {
        let (there, answer) = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", ()).await;
        drop(there);
        let mut body = answer.expect("a head").into_body();
        assert!(body.frame().await.expect("a piece").is_ok());
        assert!(body.frame().await.expect("an end").is_err());
        let (_there, answer) = asked(b"SSH-2.0-x\r\n", ()).await;
        assert!(answer.is_err(), "this is no HTTP");
    }
}
