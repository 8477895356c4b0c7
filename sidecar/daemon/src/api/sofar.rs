//! What has come of a streamed chat, as far as another device needs it to go on: kept as it came, and read only when
//! that is needed or much has gathered.

use bytes::BytesMut;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::sse;

/// When what has gathered is read, in bytes.
const READ_AT: usize = 256 * 1024;
/// More text than any answer has.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// What has come.
#[derive(Default)]
pub(super) struct SoFar {
    unread: BytesMut,
    begun: bool,
    text: String,
    /// Pieces of text and thinking; nearly always one token each.
    pieces: u64,
    thought: bool,
    finished: bool,
    /// Something came that cannot be gone on with.
    closed: bool,
}

/// How an answer can be gone on with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GoingOn {
    /// Nothing came yet: it is asked afresh.
    Afresh,
    /// From this text.
    From {
        /// The text.
        text: String,
        /// Whether the model thought before it.
        thought: bool,
        /// Tokens it took, about.
        tokens: u64,
    },
    /// All was said; only the mark of the end is missing.
    Finished,
    /// Not at all.
    Never,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
    tool_calls: Option<IgnoredAny>,
    function_call: Option<IgnoredAny>,
}

impl SoFar {
    /// Takes whole events.
    pub(super) fn add(&mut self, events: &[u8]) {
        self.begun = true;
        if self.closed {
            return;
        }
        self.unread.extend_from_slice(events);
        if self.unread.len() > READ_AT {
            self.read();
        }
    }

    /// How it can be gone on with.
    pub(super) fn going_on(&mut self) -> GoingOn {
        self.read();
        if self.finished {
            GoingOn::Finished
        } else if self.closed {
            GoingOn::Never
        } else if self.text.is_empty() {
            GoingOn::Afresh
        } else {
            GoingOn::From { text: self.text.clone(), thought: self.thought, tokens: self.pieces }
        }
    }

    /// Whether anything came.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    fn read(&mut self) {
        for data in sse::data(&self.unread.split()) {
            if data.trim_end() == sse::DONE {
                continue;
            }
            let Ok(chunk) = serde_json::from_str::<Chunk>(&data) else {
                self.closed = true;
                return;
            };
            for choice in chunk.choices {
                let Delta { content, reasoning_content, tool_calls, function_call } = choice.delta;
                self.closed |= choice.index > 0 || tool_calls.is_some() || function_call.is_some();
                self.finished |= choice.finish_reason.is_some();
                let thinking = reasoning_content.is_some_and(|text| !text.is_empty());
                self.thought |= thinking;
                let text = content.unwrap_or_default();
                self.pieces += u64::from(thinking || !text.is_empty());
                self.text.push_str(&text);
            }
        }
        self.closed |= self.text.len() > MAX_TEXT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sofar(chunks: &[&str]) -> GoingOn {
        let mut sofar = SoFar::default();
        chunks.iter().for_each(|chunk| sofar.add(format!("data: {chunk}\n\n").as_bytes()));
        sofar.going_on()
    }

    #[test]
    fn text_is_gone_on_with() {
        let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#;
        let one = r#"{"choices":[{"index":0,"delta":{"content":"One"},"finish_reason":null}]}"#;
        let thought = r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}"#;
        let tool = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#;
        let second = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
        let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        let from = |text: &str, thought, tokens| GoingOn::From { text: text.to_owned(), thought, tokens };
        assert_eq!(sofar(&[]), GoingOn::Afresh);
        assert_eq!(sofar(&[role, thought]), GoingOn::Afresh);
        assert_eq!(sofar(&[role, one, one]), from("OneOne", false, 2));
        assert_eq!(sofar(&[role, thought, one]), from("One", true, 2));
        assert_eq!(sofar(&[role, one, tool]), GoingOn::Never);
        assert_eq!(sofar(&[role, one, second]), GoingOn::Never);
        assert_eq!(sofar(&[role, one, end]), GoingOn::Finished);
        assert_eq!(sofar(&["nonsense"]), GoingOn::Never);
    }

    #[test]
    fn much_is_read_as_it_comes() {
        let mut sofar = SoFar::default();
        for _ in 0..20_000 {
            sofar.add(b"data: {\"choices\":[{\"delta\":{\"content\":\"ab\"}}]}\n\n");
        }
        assert!(sofar.unread.len() <= READ_AT);
        assert!(matches!(sofar.going_on(), GoingOn::From { text, tokens: 20_000, .. } if text.len() == 40_000));
    }
}
