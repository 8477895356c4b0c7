//! Frames over a QUIC stream: [`frame`](crate::proto::frame) with the reading and writing added.

use iroh::endpoint::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use serde::{Serialize, de::DeserializeOwned};

use crate::proto::frame::{self, FrameDecoder, FrameError};

/// Most bytes taken from the stream at once.
const CHUNK: usize = 16 * 1024;

/// Why no frame came, or could be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The other side broke the framing.
    #[error(transparent)]
    Broken(#[from] FrameError),
    /// The stream ended between two frames, or was abandoned by the other side.
    #[error("the other device ended the conversation")]
    Ended,
    /// The connection is gone.
    #[error("the connection was lost")]
    Lost(#[from] ConnectionError),
}

impl From<ReadError> for WireError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => Self::Lost(error),
            _ => Self::Ended,
        }
    }
}

impl From<WriteError> for WireError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => Self::Lost(error),
            _ => Self::Ended,
        }
    }
}

/// Reads frames; a dropped read loses nothing.
pub(crate) struct FrameReader {
    recv: RecvStream,
    decoder: FrameDecoder,
}

impl FrameReader {
    /// A reader for frames of at most `limit` bytes.
    pub(crate) fn new(recv: RecvStream, limit: usize) -> Self {
        Self { recv, decoder: FrameDecoder::new(limit) }
    }

    /// Changes the limit for frames not yet taken.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.decoder.set_limit(limit);
    }

    /// The next frame.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, WireError> {
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            if let Some(chunk) = self.recv.read_chunk(CHUNK).await? {
                self.decoder.push(&chunk)?;
            } else {
                self.decoder.finish()?;
                return Err(WireError::Ended);
            }
        }
    }
}

/// Writes one frame; `limit` is the receiver's.
pub(crate) async fn write<T: Serialize>(send: &mut SendStream, message: &T, limit: usize) -> Result<(), WireError> {
    let bytes = frame::encode(message, limit)?;
    send.write_all(&bytes).await?;
    Ok(())
}
