//! What an answer tells besides its words: comments of the event stream, which programs that know nothing of them skip.
//!
//! `: myownmesh {"heartbeat":true}`, `{"queued":{"ahead":2,"wait_ms":9000}}`, `{"loading":{"percent":40}}`,
//! `{"reconnecting":true}`, `{"seam":{...}}`. Each is a block of its own.

use bytes::Bytes;
use myownmesh_control::types::Seam;
use serde::{Deserialize, Serialize};

/// What begins such a comment.
const MARK: &str = ": myownmesh ";
/// Longest comment that is read, in bytes.
const MAX: usize = 4 * 1024;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// It is still under way.
    #[serde(with = "yes")]
    Heartbeat,
    /// Others go first.
    Queued {
        /// How many.
        ahead: u32,
        /// How long that may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// The model is being loaded.
    Loading {
        /// How far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<u8>,
    },
    /// The question is being read.
    Prefill {
        /// How far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<u8>,
    },
    /// The link to the device is being made again.
    #[serde(with = "yes")]
    Reconnecting,
    /// Another device, or another attempt, goes on.
    Seam(Seam),
}

/// A variant that says nothing more is written as `true`.
mod yes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        bool::deserialize(deserializer).map(|_| ())
    }
}

impl Side {
    /// As it stands in a stream.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let json = serde_json::to_string(self).unwrap_or_default();
        Bytes::from(format!("{MARK}{json}\n\n"))
    }

    /// Whether it is for the answering device to say; the others are for the asking one.
    pub(crate) fn is_of_the_answer(&self) -> bool {
        !matches!(self, Self::Seam(_) | Self::Reconnecting)
    }

    /// Reads a block of a stream; nothing where it is none of ours.
    pub(crate) fn read(block: &[u8]) -> Option<Self> {
        // First of all, because nearly every block is a word of an answer.
        let json = block.strip_prefix(MARK.as_bytes())?;
        if block.len() > MAX {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_reads_back() {
        for side in [
            Side::Heartbeat,
            Side::Queued { ahead: 2, wait_ms: Some(9000) },
            Side::Queued { ahead: 1, wait_ms: None },
            Side::Loading { percent: None },
            Side::Prefill { percent: Some(60) },
            Side::Reconnecting,
        ] {
            let bytes = side.to_bytes();
            assert!(bytes.starts_with(b": myownmesh {") && bytes.ends_with(b"}\n\n"), "{bytes:?}");
            assert_eq!(Side::read(&bytes), Some(side));
        }
        assert_eq!(&Side::Heartbeat.to_bytes()[..], b": myownmesh {\"heartbeat\":true}\n\n");
    }

    #[test]
    fn nonsense_is_nothing() {
        let long = format!("{MARK}{{\"loading\":{{\"x\":\"{}\"}}}}\n\n", "x".repeat(MAX));
        for text in
            [": hello\n\n", ": myownmesh\n\n", ": myownmesh {\n\n", ": myownmesh {\"x\":1}\n\n", "data: 1\n\n", &long]
        {
            assert_eq!(Side::read(text.as_bytes()), None, "{}", &text[..20.min(text.len())]);
        }
        assert_eq!(Side::read(b"\xff\n\n"), None);
    }
}
