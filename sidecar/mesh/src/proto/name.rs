//! Names that people give to devices and networks, made safe to show.
//!
//! A name comes from somebody else's keyboard and is shown next to buttons that admit devices, so it must not be able
//! to reorder the text around it, hide characters, or run off the card. [`DeviceName::parse`] cleans; decoding from the
//! wire ([`serde::Deserialize`]) only checks, with rules that never change between Unicode versions, so that every
//! device agrees for ever on which record is valid.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_security::skeleton;

/// Longest name, in characters.
pub const MAX_CHARS: usize = 64;
/// Longest name, in bytes of UTF-8.
pub const MAX_BYTES: usize = 256;
/// Longest run of combining marks kept on one character; more only serves to smear a name over its neighbours.
const MAX_MARKS: usize = 2;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was left after cleaning.
    #[error("the name is empty: give it at least one visible character")]
    Empty,
    /// It is longer than [`MAX_CHARS`] characters or [`MAX_BYTES`] bytes.
    #[error("the name is too long: {MAX_CHARS} characters are the most")]
    TooLong,
    /// It came from another device with characters that a name never has.
    #[error("the name contains hidden, control or direction characters")]
    Unclean,
}

/// Defines a cleaned name.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Cleans `text` as a person or another device gave it: compatibility-normalised, hidden, control and
            /// direction characters removed, white space collapsed.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                clean(text).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                check(&text).map_err(de::Error::custom)?;
                Ok(Self(text))
            }
        }
    };
}

name_type!(
    /// What a device calls itself.
    DeviceName
);
name_type!(
    /// What a network is called.
    NetworkName
);

/// Cleans a short text from another device that is shown but is no name: a reason, an operating system, a version.
/// Cut to `max_chars`; may end up empty.
pub fn clean_text(text: &str, max_chars: usize) -> String {
    let cleaned: String = cleaned_chars(text).into_iter().take(max_chars).collect();
    cleaned.trim_end().to_owned()
}

/// Whether two names could be taken for each other: equal after merging look-alike characters of Latin, Cyrillic,
/// Greek and other scripts (the skeleton of UTS #39), folding case, and dropping accents, spaces and punctuation.
pub fn resembles(a: impl AsRef<str>, b: impl AsRef<str>) -> bool {
    let (a, b) = (a.as_ref(), b.as_ref());
    if a == b {
        return true;
    }
    // A capital and its small letter can have different look-alikes, so both forms are compared.
    let alike = |a: &str, b: &str| {
        let key = resemblance_key(a);
        !key.is_empty() && key == resemblance_key(b)
    };
    alike(a, b) || alike(&a.to_lowercase(), &b.to_lowercase())
}

fn resemblance_key(name: &str) -> String {
    let merged: String = skeleton(name).collect();
    merged
        .to_lowercase()
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' | '|' => 'l',
            '5' => 's',
            '8' => 'b',
            other => other,
        })
        .filter(|c| c.is_alphanumeric())
        .collect()
}

fn clean(text: &str) -> Result<String, NameError> {
    // A bound before the work: NFKC can make one character eighteen.
    if text.len() > 16 * MAX_BYTES {
        return Err(NameError::TooLong);
    }
    let chars = cleaned_chars(text);
    if chars.is_empty() {
        return Err(NameError::Empty);
    }
    let name: String = chars.iter().collect();
    if chars.len() > MAX_CHARS || name.len() > MAX_BYTES {
        return Err(NameError::TooLong);
    }
    Ok(name)
}

fn cleaned_chars(text: &str) -> Vec<char> {
    let mut out: Vec<char> = Vec::with_capacity(text.len().min(MAX_BYTES));
    let mut marks = 0;
    // Two normalisations: removing a hidden character can bring together what composes.
    let visible: String =
        text.nfkc().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
    for c in visible.nfkc() {
        if c == ' ' && out.last().is_none_or(|last| *last == ' ') {
            continue;
        }
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        if marks > MAX_MARKS || (marks > 0 && out.last().is_none_or(|last| *last == ' ')) {
            continue;
        }
        out.push(c);
    }
    if out.last() == Some(&' ') {
        out.pop();
    }
    out
}

/// The check that decides whether a record is valid: it uses fixed tables only.
fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_BYTES || name.chars().count() > MAX_CHARS {
        return Err(NameError::TooLong);
    }
    let bad_space = name.starts_with(' ') || name.ends_with(' ') || name.contains("  ");
    if bad_space || !is_clean_text(name) {
        return Err(NameError::Unclean);
    }
    Ok(())
}

/// Whether `text` has no hidden, control or direction characters and no white space but single blanks.
pub(crate) fn is_clean_text(text: &str) -> bool {
    text.chars().all(|c| !is_hidden(c) && (c == ' ' || !c.is_whitespace()))
}

/// Control, format, direction, zero-width, filler, variation, tag, private-use and non-characters.
/// A fixed table on purpose: see the module's head.
fn is_hidden(c: char) -> bool {
    if c.is_control() {
        return true;
    }
    matches!(u32::from(c),
        0x00AD | 0x034F | 0x061C | 0x06DD | 0x070F | 0x08E2 | 0x115F | 0x1160 | 0x2800 | 0x3164 | 0xFEFF | 0xFFA0
        | 0x0600..=0x0605 | 0x0890..=0x0891 | 0x17B4..=0x17B5 | 0x180B..=0x180F
        | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
        | 0xE000..=0xF8FF | 0xFDD0..=0xFDEF | 0xFE00..=0xFE0F | 0xFFF0..=0xFFFB | 0xFFFE..=0xFFFF
        | 0x110BD | 0x110CD | 0x13430..=0x1345F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
        | 0x1FFFE..=0x1FFFF | 0xE0000..=0xE0FFF | 0xF0000..=0x10_FFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str) -> String {
        DeviceName::parse(text).expect("a name").to_string()
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["Attic", "Mac mini (2)", "Büro-PC", "Живой", "書斎", "Zoë's 💻", "नमस्ते"] {
            assert_eq!(cleaned(name), name.nfkc().collect::<String>());
        }
    }

    #[test]
    fn hidden_control_and_direction_characters_disappear() {
        assert_eq!(cleaned("At\u{202E}tic\u{202C}"), "Attic");
        assert_eq!(cleaned("A\u{200B}t\u{200D}t\u{FEFF}ic"), "Attic");
        assert_eq!(cleaned("At\u{0}t\u{7}ic\u{1b}[31m"), "Attic[31m");
        assert_eq!(cleaned("\u{2066}Attic\u{2069}"), "Attic");
        assert_eq!(cleaned("A\u{E0041}ttic\u{3164}"), "Attic");
    }

    #[test]
    fn white_space_collapses_and_width_variants_fold() {
        assert_eq!(cleaned("  My\t\n\u{3000}\u{A0} attic \u{2028} "), "My attic");
        assert_eq!(cleaned("\u{FF21}\u{FF54}\u{FF54}ic"), "Attic");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("A{}", "\u{0301}\u{0302}\u{0303}".repeat(20));
        assert!(cleaned(&piled).chars().count() <= 4);
    }

    #[test]
    fn empty_and_long_names_are_refused() {
        assert_eq!(DeviceName::parse(""), Err(NameError::Empty));
        assert_eq!(DeviceName::parse(" \u{200B}\u{202E}\n"), Err(NameError::Empty));
        assert_eq!(DeviceName::parse("\u{0301}"), Err(NameError::Empty));
        assert!(DeviceName::parse(&"a".repeat(64)).is_ok());
        assert_eq!(DeviceName::parse(&"a".repeat(65)), Err(NameError::TooLong));
        assert_eq!(DeviceName::parse(&"\u{FDFA}".repeat(5)), Err(NameError::TooLong));
        assert_eq!(DeviceName::parse(&"a".repeat(1 << 20)), Err(NameError::TooLong));
    }

    #[test]
    fn the_wire_takes_only_clean_names() {
        for bad in ["", " a", "a ", "a  b", "a\u{202E}b", "a\tb", "a\u{0}"] {
            let bytes = postcard::to_stdvec(bad).expect("text");
            assert!(postcard::from_bytes::<DeviceName>(&bytes).is_err(), "{bad:?}");
        }
        let bytes = postcard::to_stdvec("My attic").expect("text");
        assert_eq!(postcard::from_bytes::<NetworkName>(&bytes).expect("a name").as_str(), "My attic");
    }

    #[test]
    fn look_alikes_resemble_each_other() {
        for (a, b) in [
            ("Attic", "attic"),
            ("Attic", "\u{0410}ttic"),          // Cyrillic A
            ("paypal", "p\u{0430}yp\u{0430}l"), // Cyrillic a
            ("Omega", "\u{039F}mega"),          // Greek Omicron
            ("laptop1", "Iaptopl"),
            ("Room O", "Room 0"),
            ("my-attic", "My Attic"),
        ] {
            assert!(resembles(a, b), "{a} and {b}");
            assert!(resembles(b, a), "{b} and {a}");
        }
        for (a, b) in [("Attic", "Cellar"), ("Attic", "Attic 2"), ("---", "..."), ("A", "B"), ("书", "本")] {
            assert!(!resembles(a, b), "{a} and {b}");
        }
    }

    proptest! {
        #[test]
        fn what_was_cleaned_passes_the_check_and_stays_clean(text in ".{0,80}") {
            if let Ok(name) = DeviceName::parse(&text) {
                prop_assert_eq!(check(name.as_str()), Ok(()));
                let again = DeviceName::parse(name.as_str());
                prop_assert_eq!(again, Ok(name));
            }
        }
    }
}
