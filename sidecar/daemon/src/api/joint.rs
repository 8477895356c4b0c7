//! Where one part of an answer meets the next. llama-server begins the continuation of a text by repeating the text:
//! that is cut, and so is the chunk that opens an answer once more.

use bytes::Bytes;
use serde_json::Value;

use super::ApiError;
use crate::sse;

/// The joint of an answer whose text so far is known.
#[derive(Debug)]
pub(super) struct Joint {
    /// The text so far.
    before: String,
    /// What the new part has said, while it may be the text so far.
    said: String,
    /// The last chunk of that, which carries its form.
    held: Option<Value>,
    /// The text so far was told before; the opening chunk is not wanted.
    opened: bool,
    passed: bool,
}

impl Joint {
    /// `opened`: whether the reader has had the opening of the answer.
    pub(super) fn new(before: String, opened: bool) -> Self {
        Self { passed: before.is_empty() && !opened, before, said: String::new(), held: None, opened }
    }

    /// Whether everything passes as it is from here on.
    pub(super) fn is_passed(&self) -> bool {
        self.passed
    }

    /// What of these events is new.
    pub(super) fn pass(&mut self, events: &[u8]) -> Result<Bytes, ApiError> {
        let mut fresh = String::new();
        for data in sse::data(events) {
            if self.passed || data.trim_end() == sse::DONE {
                self.release(&mut fresh);
                push(&mut fresh, data.trim_end());
                continue;
            }
            let chunk: Value = serde_json::from_str(&data).map_err(|error| ApiError::bad_answer(&error.to_string()))?;
            self.take(chunk, &mut fresh);
        }
        Ok(Bytes::from(fresh))
    }

    fn take(&mut self, mut chunk: Value, fresh: &mut String) {
        let delta = &chunk["choices"][0]["delta"];
        let text = delta["content"].as_str().unwrap_or_default();
        let ends = chunk["choices"][0]["finish_reason"].is_string();
        let opens = delta["role"].is_string() && text.is_empty() && !ends;
        let other = ["reasoning_content", "reasoning", "tool_calls"].iter().any(|key| !delta[key].is_null());
        if opens && !other {
            if !self.opened {
                push(fresh, &chunk.to_string());
            }
            return;
        }
        if text.is_empty() {
            if ends {
                self.release(fresh);
            }
            push(fresh, &chunk.to_string());
            return;
        }
        self.said.push_str(text);
        if self.said.len() < self.before.len() && self.before.starts_with(&self.said) {
            self.held = Some(chunk);
            return;
        }
        // Either all of it was repeated, or none of it is a repetition.
        let new = self.said.strip_prefix(self.before.as_str()).unwrap_or(&self.said).to_owned();
        (self.passed, self.held) = (true, None);
        if !new.is_empty() || ends {
            chunk["choices"][0]["delta"]["content"] = new.into();
            if self.opened
                && let Some(delta) = chunk["choices"][0]["delta"].as_object_mut()
            {
                delta.remove("role");
            }
            push(fresh, &chunk.to_string());
        }
    }

    /// It ends before it has repeated all: what it said is its own.
    fn release(&mut self, fresh: &mut String) {
        self.passed = true;
        if let Some(mut chunk) = self.held.take() {
            chunk["choices"][0]["delta"]["content"] = std::mem::take(&mut self.said).into();
            push(fresh, &chunk.to_string());
        }
    }
}

fn push(events: &mut String, data: &str) {
    events.push_str("data: ");
    events.push_str(data);
    events.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The text that comes out for these pieces after `before`, and whether an opening does.
    fn joined(before: &str, opened: bool, pieces: &[&str]) -> (String, bool) {
        let mut joint = Joint::new(before.to_owned(), opened);
        let chunk =
            |delta: Value| format!("data: {}\n\n", json!({"choices": [{"delta": delta, "finish_reason": null}]}));
        let mut all = chunk(json!({"role": "assistant", "content": null}));
        pieces.iter().for_each(|piece| all.push_str(&chunk(json!({ "content": piece }))));
        all.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        let (mut text, mut opening, mut end) = (String::new(), false, false);
        for event in sse::each(all.as_bytes()) {
            let passed =
                if joint.is_passed() { Bytes::copy_from_slice(event) } else { joint.pass(event).expect("fine") };
            for data in sse::data(&passed) {
                if data == sse::DONE {
                    end = true;
                    continue;
                }
                let chunk: Value = serde_json::from_str(&data).expect("JSON");
                let delta = &chunk["choices"][0]["delta"];
                opening |= delta["role"].is_string();
                text.push_str(delta["content"].as_str().unwrap_or_default());
            }
        }
        assert!(end, "the end is told");
        (text, opening)
    }

    #[test]
    fn a_repeated_text_is_cut() {
        for pieces in [&["Hello from a", " tiny"][..], &["Hello", " from", " a tiny"], &["Hello from a tiny"]] {
            assert_eq!(joined("Hello from", true, pieces), (" a tiny".to_owned(), false), "{pieces:?}");
        }
        assert_eq!(joined("Hello", true, &["Hello", " you"]), (" you".to_owned(), false));
        assert_eq!(joined("Grüße", true, &["Gr", "üße!"]), ("!".to_owned(), false));
    }

    #[test]
    fn what_is_not_repeated_is_not_cut() {
        assert_eq!(joined("Hello from", true, &[" a", " tiny"]), (" a tiny".to_owned(), false));
        assert_eq!(joined("Hello from", true, &["Hello", " you"]), ("Hello you".to_owned(), false));
        assert_eq!(joined("Hello from", true, &["Hell"]), ("Hell".to_owned(), false), "it ends early");
        assert_eq!(joined("", true, &["Hello"]), ("Hello".to_owned(), false), "afresh");
        assert_eq!(joined("Hello", false, &["Hello!"]), ("!".to_owned(), true), "the reader knows the text alone");
    }
}
