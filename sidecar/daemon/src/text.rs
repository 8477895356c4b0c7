//! Small things said in many places: the time, fresh ids, text fit to be quoted in a sentence.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE32_DNSSEC;
use myownmesh_mesh::proto::name::clean_text;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A fresh id of 80 random bits: 16 small letters and digits.
pub(crate) fn random_id() -> String {
    BASE32_DNSSEC.encode(&rand::random::<[u8; 10]>())
}

/// Text from outside, cut to 80 characters and without control characters, fit for a sentence.
pub(crate) fn quotable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// A short text of another device: cleaned as names are, cut to `most` characters; may end up empty.
pub(crate) fn clean_cut(text: &str, most: usize) -> String {
    // A bound before the work: what is hidden or folded away costs time as well.
    let end = text.char_indices().nth(4 * most).map_or(text.len(), |(at, _)| at);
    clean_text(&text[..end], most)
}

/// An error as a sentence: with a capital letter and a full stop.
pub(crate) fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let rest = chars.as_str().trim_end_matches('.');
    format!("{first}{rest}.")
}

/// Several things in one sentence: `a`, `a and b`, `a, b and c`; after `most` of them `and 4 more`.
pub(crate) fn listed(items: &[String], most: usize) -> String {
    let (shown, hidden) = items.split_at(items.len().min(most.max(1)));
    match (shown, hidden.len()) {
        ([], _) => String::new(),
        (shown, more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        ([only], _) => only.clone(),
        ([head @ .., last], _) => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_well() {
        let items: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(listed(&[], 3), "");
        assert_eq!(listed(&items[..1], 3), "a");
        assert_eq!(listed(&items[..2], 3), "a and b");
        assert_eq!(listed(&items[..3], 3), "a, b and c");
        assert_eq!(listed(&items, 2), "a, b and 2 more");
    }

    #[test]
    fn an_error_becomes_a_sentence() {
        assert_eq!(sentence(&"the name is empty"), "The name is empty.");
        assert_eq!(sentence(&"Done."), "Done.");
    }

    #[test]
    fn a_short_text_of_another_device_is_cleaned_and_cut() {
        assert_eq!(clean_cut(" a\u{202e}b\n\n c\u{7} ", 10), "ab c");
        assert_eq!(clean_cut(&"ü".repeat(100), 10), "ü".repeat(10));
        assert_eq!(clean_cut(&"\u{200b}".repeat(1 << 20), 10), "");
    }

    #[test]
    fn ids_are_fresh_and_plain() {
        let id = random_id();
        assert_eq!(id.len(), 16);
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        assert_ne!(id, random_id());
    }
}
