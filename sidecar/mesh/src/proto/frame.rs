//! Frames on a stream: a 32-bit big-endian length, then that many bytes of postcard.
//!
//! [`FrameDecoder`] is fed whatever chunks arrive and never holds more than one frame of the size that the reader's
//! state allows. Each way a peer can misbehave has its own error, so that what is logged and told is what happened.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes of the length in front of each frame.
const HEADER: usize = 4;
/// How much may wait behind a frame: what one read of a stream can bring along.
const SLACK: usize = 64 * 1024;

/// What is wrong with the bytes a peer sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame announced more than its state allows.
    #[error("the other device announced a message of {announced} bytes; {limit} are allowed here")]
    TooLarge {
        /// What it announced.
        announced: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More bytes came than were announced, or than can be waited for.
    #[error("the other device sent {extra} bytes more than it announced")]
    Excess {
        /// How many too many.
        extra: usize,
    },
    /// The stream ended within a frame.
    #[error("the other device stopped in the middle of a message ({have} of {announced} bytes came)")]
    Truncated {
        /// What came, header included.
        have: usize,
        /// What should have come, header included.
        announced: usize,
    },
    /// The frame's content does not decode.
    #[error("the other device sent a message that cannot be understood")]
    Garbage,
    /// A frame is larger than the receiver would take; nothing was sent.
    #[error("the message has {size} bytes; the other device takes {limit}")]
    Unsendable {
        /// Its size.
        size: usize,
        /// The receiver's limit.
        limit: usize,
    },
}

/// Encodes `message` as one frame; `limit` is the receiver's.
pub fn encode<T: Serialize>(message: &T, limit: usize) -> Result<Vec<u8>, FrameError> {
    let body = postcard::to_extend(message, vec![0; HEADER]).map_err(|_| FrameError::Garbage)?;
    let size = body.len() - HEADER;
    let header = u32::try_from(size).ok().filter(|_| size <= limit).ok_or(FrameError::Unsendable { size, limit })?;
    let mut frame = body;
    frame[..HEADER].copy_from_slice(&header.to_be_bytes());
    Ok(frame)
}

/// Takes chunks in, gives messages out.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    limit: usize,
}

impl FrameDecoder {
    /// A decoder for frames of at most `limit` bytes of content.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), limit }
    }

    /// Changes the limit with the reader's state; it holds for frames not yet taken.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds what arrived. Fails when an announced length is over the limit, or the peer runs ahead of the reader.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), FrameError> {
        self.buffer.extend_from_slice(chunk);
        self.announced()?;
        let most = HEADER + self.limit + SLACK;
        if self.buffer.len() > most {
            return Err(FrameError::Excess { extra: self.buffer.len() - most });
        }
        Ok(())
    }

    /// The next message, when all of it is here.
    #[expect(clippy::should_implement_trait, reason = "it fails, and its caller chooses the type")]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(size) = self.announced()? else { return Ok(None) };
        let Some(body) = self.buffer.get(HEADER..HEADER + size) else { return Ok(None) };
        let (message, rest) = postcard::take_from_bytes::<T>(body).map_err(|_| FrameError::Garbage)?;
        if !rest.is_empty() {
            return Err(FrameError::Excess { extra: rest.len() });
        }
        self.buffer.drain(..HEADER + size);
        Ok(Some(message))
    }

    /// Fails when bytes are here although the peer has nothing to say in this state.
    pub fn expect_silence(&self) -> Result<(), FrameError> {
        match self.buffer.len() {
            0 => Ok(()),
            extra => Err(FrameError::Excess { extra }),
        }
    }

    /// Says whether the stream may end here: fails when it ended within a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        let have = self.buffer.len();
        if have == 0 {
            return Ok(());
        }
        let announced = self.announced()?.map_or(HEADER, |size| HEADER + size);
        if have < announced { Err(FrameError::Truncated { have, announced }) } else { Ok(()) }
    }

    /// The announced size of the frame at the front, once its header is here.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let announced = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if announced > self.limit {
            return Err(FrameError::TooLarge { announced, limit: self.limit });
        }
        Ok(Some(announced))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        encode(&text, 1024).expect("fits")
    }

    #[test]
    fn a_frame_is_its_length_then_its_content() {
        assert_eq!(frame("hi"), [0, 0, 0, 3, 2, b'h', b'i']);
    }

    #[test]
    fn messages_come_out_however_the_bytes_are_cut() {
        let mut decoder = FrameDecoder::new(64);
        for byte in [frame("one"), frame("two")].concat() {
            decoder.push(&[byte]).expect("within the limit");
        }
        assert_eq!(decoder.next::<String>(), Ok(Some("one".to_owned())));
        assert_eq!(decoder.next::<String>(), Ok(Some("two".to_owned())));
        assert_eq!(decoder.next::<String>(), Ok(None));
        assert_eq!(decoder.finish(), Ok(()));
        assert_eq!(decoder.expect_silence(), Ok(()));
    }

    #[test]
    fn an_oversize_frame_is_refused_by_its_header_alone() {
        let mut decoder = FrameDecoder::new(10);
        assert_eq!(decoder.push(&[0, 0, 0]), Ok(()));
        assert_eq!(decoder.push(&[11]), Err(FrameError::TooLarge { announced: 11, limit: 10 }));
        let mut decoder = FrameDecoder::new(10);
        let huge = usize::try_from(u32::MAX).expect("64-bit");
        assert_eq!(decoder.push(&[0xff; 4]), Err(FrameError::TooLarge { announced: huge, limit: 10 }));
        assert_eq!(encode(&"much too long", 5), Err(FrameError::Unsendable { size: 14, limit: 5 }));
    }

    #[test]
    fn stopping_within_a_frame_is_told_with_what_is_missing() {
        let mut decoder = FrameDecoder::new(64);
        decoder.push(&frame("hello")[..6]).expect("within the limit");
        assert_eq!(decoder.next::<String>(), Ok(None));
        assert_eq!(decoder.finish(), Err(FrameError::Truncated { have: 6, announced: 10 }));
        let mut decoder = FrameDecoder::new(64);
        decoder.push(&[0, 0]).expect("part of a header");
        assert_eq!(decoder.finish(), Err(FrameError::Truncated { have: 2, announced: 4 }));
    }

    #[test]
    fn sending_more_than_announced_is_told() {
        // Within the frame: the content ends before the announced length.
        let mut decoder = FrameDecoder::new(64);
        decoder.push(&[0, 0, 0, 4, 1, b'a', 9, 9]).expect("within the limit");
        assert_eq!(decoder.next::<String>(), Err(FrameError::Excess { extra: 2 }));
        // Behind the frame, where nothing may follow.
        let mut decoder = FrameDecoder::new(64);
        decoder.push(&[frame("a"), vec![7; 3]].concat()).expect("within the limit");
        decoder.next::<String>().expect("a frame");
        assert_eq!(decoder.expect_silence(), Err(FrameError::Excess { extra: 3 }));
        // A flood that nobody reads.
        let mut decoder = FrameDecoder::new(64);
        let flood = frame("a").repeat(20_000);
        assert!(matches!(decoder.push(&flood), Err(FrameError::Excess { .. })));
    }

    #[test]
    fn garbage_is_told() {
        let mut decoder = FrameDecoder::new(64);
        decoder.push(&[0, 0, 0, 3, 9, b'a', b'b']).expect("within the limit");
        assert_eq!(decoder.next::<String>(), Err(FrameError::Garbage));
        let mut decoder = FrameDecoder::new(64);
        decoder.push(&[0, 0, 0, 3, 2, 0xff, 0xfe]).expect("within the limit");
        assert_eq!(decoder.next::<String>(), Err(FrameError::Garbage));
    }

    #[test]
    fn the_limit_follows_the_state() {
        let mut decoder = FrameDecoder::new(4);
        decoder.set_limit(100);
        decoder.push(&frame("longer than four")).expect("within the new limit");
        assert_eq!(decoder.next::<String>(), Ok(Some("longer than four".to_owned())));
    }

    proptest! {
        #[test]
        fn random_chunks_never_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut decoder = FrameDecoder::new(64);
            for chunk in chunks {
                if decoder.push(&chunk).is_err() {
                    break;
                }
                while let Ok(Some(_)) = decoder.next::<(String, u64)>() {}
            }
            let _ = decoder.finish();
        }
    }
}
