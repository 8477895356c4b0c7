//! Looks for words in JSON that only passes through here, without parsing it: what else it says is none of our business,
//! and every token of an answer passes here.

use memchr::memmem;

/// How near to the end of a piece a number is looked for, in bytes; a long list of embeddings before it is not worth a look.
const NUMBER_WITHIN: usize = 4096;

/// Whether a word stands in it.
pub(crate) fn holds(bytes: &[u8], word: &[u8]) -> bool {
    memmem::find(bytes, word).is_some()
}

/// The number behind the last `key`, as in `"completion_tokens":`, of those near the end.
pub(crate) fn number_behind(key: &[u8], json: &[u8]) -> Option<u64> {
    let json = &json[json.len().saturating_sub(NUMBER_WITHIN)..];
    let rest = json[memmem::rfind(json, key)? + key.len()..].trim_ascii_start();
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_count() {
        let key = b"\"completion_tokens\":";
        for (json, number) in [
            (r#"{"usage":{"completion_tokens": 12,"total_tokens":30}}"#, Some(12)),
            (r#"{"completion_tokens":1,"usage":{"completion_tokens":7}}"#, Some(7)),
            (r#"{"usage":{"completion_tokens":null}}"#, None),
            (r#"{"usage":{"completion_tokens":99999999999999999999}}"#, None),
            (r#"{"usage":{"completion_tokens":"#, None),
            ("", None),
        ] {
            assert_eq!(number_behind(key, json.as_bytes()), number, "{json}");
        }
        let far = format!("\"completion_tokens\":1,{}", "0.5,".repeat(NUMBER_WITHIN));
        assert_eq!(number_behind(key, far.as_bytes()), None);
    }
}
