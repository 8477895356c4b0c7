//! The last lines a child wrote to stderr, for the error a person sees.

use std::collections::VecDeque;

use crate::error::hides;

/// Lines kept per child.
const LINES: usize = 40;
/// Bytes kept of one line.
const LINE_BYTES: usize = 400;
/// Lines that go into an error message.
const TOLD: usize = 4;

/// A ring of lines, fed with raw bytes. Control characters are dropped, so nothing a model file makes llama-server
/// print can play with a terminal.
#[derive(Debug, Default)]
pub(crate) struct LogTail {
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

impl LogTail {
    /// Takes what was read; calls `seen` with every line that is complete now.
    pub(crate) fn push(&mut self, bytes: &[u8], mut seen: impl FnMut(&str)) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line(&mut seen);
            } else if self.partial.len() < LINE_BYTES {
                self.partial.push(*byte);
            }
        }
    }

    /// The child closed its stderr: what is left is a line too.
    pub(crate) fn finish(&mut self) {
        self.end_line(&mut |_| {});
    }

    fn end_line(&mut self, seen: &mut impl FnMut(&str)) {
        let raw = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
        let line: String = raw.chars().filter(|c| !hides(*c)).collect();
        if line.trim().is_empty() {
            return;
        }
        seen(&line);
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines worth telling: errors (level `E` in llama-server's log) without repeats, of which the first ones name the
    /// cause and the last what came of it; without any, the last lines.
    pub(crate) fn telling(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut all = Vec::new();
        for line in &self.lines {
            let (level, text) = split_prefix(line);
            let text = text.to_owned();
            if level == Some('E') && !errors.contains(&text) {
                errors.push(text.clone());
            }
            all.push(text);
        }
        if errors.is_empty() {
            return all.split_off(all.len().saturating_sub(TOLD));
        }
        let last = errors.split_off((TOLD - 1).min(errors.len()));
        errors.extend(last.into_iter().next_back());
        errors
    }
}

/// Splits `0.00.003.768 E srv  load_model: text` into its level and `srv  load_model: text`.
fn split_prefix(line: &str) -> (Option<char>, &str) {
    let mut parts = line.splitn(3, ' ');
    let (Some(time), Some(level), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return (None, line);
    };
    let is_time = time.contains('.') && time.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match (is_time, level.as_bytes()) {
        (true, [level @ (b'E' | b'W' | b'I' | b'D' | b'T')]) => (Some(char::from(*level)), text.trim_start()),
        _ => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(text: &str) -> LogTail {
        let mut tail = LogTail::default();
        // In pieces, as a pipe delivers.
        for piece in text.as_bytes().chunks(7) {
            tail.push(piece, |_| {});
        }
        tail.finish();
        tail
    }

    #[test]
    fn errors_are_told_before_anything_else() {
        let tail = tail_of(
            "0.00.001.000 I srv  load_model: loading model 'x.gguf'\n\
             0.00.002.000 E gguf_init: invalid magic characters\n\
             0.00.003.000 E gguf_init: invalid magic characters\n\
             0.00.004.000 I srv  cleaning up\n\
             0.00.005.000 E srv  exiting due to model loading error",
        );
        assert_eq!(tail.telling(), ["gguf_init: invalid magic characters", "srv  exiting due to model loading error"]);
    }

    #[test]
    fn of_many_errors_the_first_and_the_last_are_told() {
        let text: String = (0..10).map(|n| format!("0.00.001.000 E error {n}\n")).collect();
        assert_eq!(tail_of(&text).telling(), ["error 0", "error 1", "error 2", "error 9"]);
    }

    #[test]
    fn without_errors_the_last_lines_are_told() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let tail = tail_of(&text);
        assert_eq!(tail.telling(), ["line 96", "line 97", "line 98", "line 99"]);
        assert_eq!(tail.lines.len(), LINES);
    }

    #[test]
    fn hostile_output_is_harmless() {
        let mut tail = LogTail::default();
        tail.push(&vec![b'x'; 1 << 20], |_| {});
        tail.push(b"\n\x1b[31mred\xff\n\n", |_| {});
        assert_eq!(tail.lines[0].len(), LINE_BYTES);
        assert_eq!(tail.lines[1], "[31mred\u{fffd}");
        assert_eq!(tail.lines.len(), 2);
        assert!(tail_of("").telling().is_empty());
    }
}
