//! How far llama-server has read a question. Asked for it, it says so in chunks of the stream, each a repetition of the
//! answer's opening; they become comments ([`Side::Prefill`]), so that programs see the stream they know.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;

use super::side::Side;
use crate::scan::holds;
use crate::sse;

/// The field of a request that asks for it.
const ASK: &[u8] = b"\"return_progress\"";
/// The field of a chunk that tells it.
const KEY: &[u8] = b"\"prompt_progress\"";
/// Tokens that are read before it is worth telling: llama-server reads so many at once.
const WORTH: u64 = 2048;

/// The chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct Prefill {
    /// It was asked for, and the answer has not begun.
    looking: bool,
}

#[derive(Deserialize)]
struct Chunk {
    prompt_progress: Told,
}

#[derive(Deserialize)]
struct Told {
    total: u64,
    #[serde(default)]
    cache: u64,
    processed: u64,
}

impl Prefill {
    /// A request for a stream that asks for it as well. One that says something about it itself is left alone, and so is a
    /// short one: a token has a byte at least, so nothing would be worth telling.
    pub(super) fn ask(body: Bytes) -> (Bytes, Self) {
        if body.len() as u64 <= WORTH || !body.starts_with(b"{") || holds(&body, ASK) {
            return (body, Self::default());
        }
        let mut asking = BytesMut::with_capacity(body.len() + ASK.len() + 6);
        asking.put_slice(b"{");
        asking.put_slice(ASK);
        asking.put_slice(b":true,");
        asking.put_slice(&body[1..]);
        (asking.freeze(), Self { looking: true })
    }

    /// Events with comments in place of those chunks. Once the answer has begun they pass untouched.
    pub(super) fn pass(&mut self, events: Bytes) -> Bytes {
        if !self.looking || !holds(&events, KEY) {
            self.looking = false;
            return events;
        }
        let mut passed = BytesMut::new();
        for event in sse::each(&events) {
            match told(event) {
                // One that is not worth a word goes without one.
                Some(told) => passed.put_slice(&told.side().map(|side| side.to_bytes()).unwrap_or_default()),
                None => passed.put_slice(event),
            }
        }
        passed.freeze()
    }
}

impl Told {
    /// In a comment, if it is worth a word.
    fn side(&self) -> Option<Side> {
        let worth = self.total.saturating_sub(self.cache) > WORTH && self.processed < self.total;
        // In 128 bits, so that no number of an engine overflows.
        let percent = u128::from(self.processed) * 100 / u128::from(self.total.max(1));
        worth.then(|| Side::Prefill { percent: u8::try_from(percent).ok() })
    }
}

/// What such a chunk tells; none for any other event.
fn told(event: &[u8]) -> Option<Told> {
    if !holds(event, KEY) {
        return None;
    }
    let data = sse::data(event).pop()?;
    serde_json::from_str::<Chunk>(&data).ok().map(|chunk| chunk.prompt_progress)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chunk(more: Value) -> String {
        let mut chunk = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]});
        if !more.is_null() {
            chunk["prompt_progress"] = more;
        }
        format!("data: {chunk}\n\n")
    }

    #[test]
    fn it_is_asked_for_once_and_only_where_nobody_did() {
        let words = "x".repeat(2100);
        let (body, prefill) = Prefill::ask(Bytes::from(format!("{{\"model\":\"{words}\",\"stream\":true}}")));
        let asked: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(asked, json!({"return_progress": true, "model": words, "stream": true}));
        assert!(prefill.looking);
        let own = format!("{{\"return_progress\":false,\"model\":\"{words}\"}}");
        for left in [own, format!("[\"{words}\"]"), "{\"model\":\"m\"}".to_owned(), String::new()] {
            let (body, prefill) = Prefill::ask(Bytes::from(left.clone()));
            assert_eq!((&body[..], prefill.looking), (left.as_bytes(), false));
        }
    }

    #[test]
    fn its_chunks_become_comments_until_the_answer_begins() {
        let mut prefill = Prefill { looking: true };
        let at = |processed: u64| chunk(json!({"total": 10_000, "cache": 0, "processed": processed, "time_ms": 1}));
        let mut pass = |text: String| String::from_utf8(prefill.pass(Bytes::from(text)).to_vec()).expect("text");
        assert_eq!(pass(at(0)), ": myownmesh {\"prefill\":{\"percent\":0}}\n\n");
        assert_eq!(pass(at(6000)), ": myownmesh {\"prefill\":{\"percent\":60}}\n\n");
        assert_eq!(
            pass(at(10_000) + &chunk(Value::Null)),
            chunk(Value::Null),
            "the end of it is the answer's beginning"
        );
        let short = chunk(json!({"total": 20, "cache": 6, "processed": 6}));
        assert_eq!(pass(short), "", "a short question is not worth a word");
        assert_eq!(pass(chunk(Value::Null)), chunk(Value::Null));
        let quoted = "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"prompt_progress\\\"\"}}]}\n\n";
        assert_eq!(pass(quoted.to_owned()), quoted);
        let late = at(6000);
        assert_eq!(pass(late.clone()), late, "what comes later is left alone");
    }
}
