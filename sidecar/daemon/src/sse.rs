//! Server-sent events, as much of them as OpenAI's streams use: cutting a byte stream at event boundaries, and reading
//! the data of each event.

use bytes::{Bytes, BytesMut};

/// Longest event that is waited for, in bytes. A longer one is no chat answer.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// What ends an OpenAI stream.
pub(crate) const DONE: &str = "[DONE]";

/// The event is longer than any this app speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one event of the stream is larger than 4 MiB")]
pub(crate) struct EventTooLong;

/// Cuts a stream into whole events, so that a reader never sees half of one.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    rest: BytesMut,
    /// How much of `rest` is known to hold no boundary.
    scanned: usize,
}

impl Cutter {
    /// Takes what came; gives all complete events, boundaries included. Usually that is `piece` itself, not copied.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<Bytes, EventTooLong> {
        if self.rest.is_empty() && ends_event(&piece) {
            return Ok(piece);
        }
        self.rest.extend_from_slice(&piece);
        let from = self.scanned.saturating_sub(3);
        let Some(end) = last_boundary(&self.rest[from..]) else {
            self.scanned = self.rest.len();
            return if self.rest.len() > MAX_EVENT { Err(EventTooLong) } else { Ok(Bytes::new()) };
        };
        let whole = self.rest.split_to(from + end).freeze();
        self.scanned = 0;
        Ok(whole)
    }

    /// What came after the last boundary.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.scanned = 0;
        self.rest.split().freeze()
    }
}

fn ends_event(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n")
}

/// End of the last boundary in `bytes`.
fn last_boundary(bytes: &[u8]) -> Option<usize> {
    (1..=bytes.len()).rev().find(|end| ends_event(&bytes[..*end]))
}

/// Every event in `events` (whole events, as [`Cutter`] gives them), boundaries included.
pub(crate) fn each(events: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // From the end of a line on another end of a line: LF LF, or CR LF CR LF.
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let end = ends.into_iter().find(|end| ends_event(&rest[..*end])).unwrap_or(rest.len());
        let (event, after) = rest.split_at(end);
        rest = after;
        Some(event)
    })
}

/// The data of every event in `events` (whole events, as [`Cutter`] gives them); comments and other fields are skipped.
pub(crate) fn data(events: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(events);
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in text.trim_start_matches('\u{feff}').split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            found.extend(current.take());
        } else if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut current {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => current = Some(value.to_owned()),
            }
        }
    }
    found.extend(current);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_events_pass_untouched() {
        let mut cutter = Cutter::default();
        let piece = Bytes::from_static(b"data: 1\n\n");
        assert_eq!(cutter.push(piece.clone()), Ok(piece));
        assert!(cutter.rest().is_empty());
    }

    #[test]
    fn half_an_event_waits() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.push(Bytes::from_static(b"data: 1\n\ndata: 2\n")), Ok(Bytes::from_static(b"data: 1\n\n")));
        assert_eq!(cutter.push(Bytes::from_static(b"\nda")), Ok(Bytes::from_static(b"data: 2\n\n")));
        assert_eq!(cutter.rest(), Bytes::from_static(b"da"));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut cutter = Cutter::default();
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let results: Vec<_> = (0..6).map(|_| cutter.push(piece.clone())).collect();
        assert_eq!(results.last(), Some(&Err(EventTooLong)));
    }

    #[test]
    fn data_is_read_as_the_standard_says() {
        let events = b"\xef\xbb\xbf: comment\nevent: x\ndata: a\r\ndata:b\r\n\r\nid: 3\n\ndata: [DONE]\n\n";
        assert_eq!(data(events), ["a\nb", DONE]);
        assert_eq!(data(b"data: last without end"), ["last without end"]);
        assert!(data(b"").is_empty());
    }

    #[test]
    fn events_are_told_apart() {
        let events = b"data: 1\n\n: x\n\ndata: 2\r\n\r\nid: 3\ndata: 3\n\n";
        let told: Vec<&[u8]> = each(events).collect();
        assert_eq!(told, [&b"data: 1\n\n"[..], b": x\n\n", b"data: 2\r\n\r\n", b"id: 3\ndata: 3\n\n"]);
        assert_eq!(each(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn cutting_anywhere_changes_nothing(
            events in prop::collection::vec("[a-z ü\r]{0,12}", 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream: String = events.iter().map(|e| format!("data: {e}x\r\n\r\ndata: {e}y\n\n")).collect();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let mut cutter = Cutter::default();
            let mut seen = Vec::new();
            for pair in at.windows(2) {
                let piece = Bytes::copy_from_slice(&stream.as_bytes()[pair[0]..pair[1]]);
                let whole = cutter.push(piece).expect("short");
                prop_assert!(whole.is_empty() || ends_event(&whole));
                seen.extend(data(&whole));
            }
            prop_assert!(cutter.rest().is_empty());
            prop_assert_eq!(seen, data(stream.as_bytes()));
        }
    }
}
