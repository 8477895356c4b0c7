//! Documents: what the devices of a network keep in step besides their membership.
//!
//! A document is a value under a key. Each write is a signed [`Record`] of kind 12 that carries an [`Entry`]; of all
//! entries of one key the latest by hybrid logical clock, then author, then record id stands, and the others are
//! superseded. A deletion is an entry without a value, a tombstone. Values are opaque here.
//!
//! Documents form a set of records of their own beside the membership's: they can be many, large and short-lived, may be
//! switched off, and never change who is a member. What they share with it is the author's numbering, so that a removal
//! names the last number it honours for both.
//!
//! - [`shelf`]: the set of one network: what stands, what is buried, how much there is
//! - [`pace`]: how fast one author may write
//! - [`peers`]: how far the other members are
//!
//! The rules and their reasons in words: docs/PROTOCOL.md, "Documents".

pub mod pace;
pub mod peers;
pub mod shelf;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, de};

use super::hlc::Hlc;
use super::ids::{DeviceId, RecordId};
use super::record::{Body, Record};

/// Most bytes of one value. A prompt of 64 KiB fits whatever JSON makes of its line breaks and quotation marks.
pub const MAX_VALUE_BYTES: usize = 136 * 1024;
/// Most bytes of a record that carries an entry, signature included.
pub const MAX_DOCUMENT_RECORD_BYTES: usize = MAX_VALUE_BYTES + 1024;
/// Most bytes of all standing entries of a network, as records: 20 MiB.
pub const MAX_NETWORK_BYTES: u64 = 20 * 1024 * 1024;
/// Most standing entries of a network, tombstones included.
pub const MAX_ENTRIES: usize = 50_000;
/// Longest name of a collection.
pub const MAX_COLLECTION_CHARS: usize = 32;
/// Longest id of a document.
pub const MAX_ID_BYTES: usize = 128;

/// Why a name or a value is refused. Reads as a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not the name of a collection.
    #[error("a collection is named by 1 to {MAX_COLLECTION_CHARS} small letters and underscores")]
    BadCollection,
    /// Not the id of a document.
    #[error("a document is named by 1 to {MAX_ID_BYTES} visible ASCII characters without spaces")]
    BadId,
    /// Over [`MAX_VALUE_BYTES`].
    #[error("a document has at most {} KiB", MAX_VALUE_BYTES / 1024)]
    ValueTooLarge,
}

/// Defines a checked text that serialises as itself.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $error:expr, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses it.
            pub fn parse(text: &str) -> Result<Self, DocumentError> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }

            /// As text.
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

        impl FromStr for $name {
            type Err = DocumentError;

            fn from_str(text: &str) -> Result<Self, DocumentError> {
                Self::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

checked_text!(
    /// The name of a collection: small letters and underscores.
    Collection,
    DocumentError::BadCollection,
    |text| (1..=MAX_COLLECTION_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
);

checked_text!(
    /// The id of a document within its collection: visible ASCII without spaces.
    DocumentId,
    DocumentError::BadId,
    |text| (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
);

/// What a record of kind 12 says: the value of a key from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The collection.
    pub collection: Collection,
    /// Whether the key is the author's own: nobody else can write it. Otherwise every member can.
    pub own: bool,
    /// The id within the collection.
    pub id: DocumentId,
    /// The value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// Checks what the types of the fields do not.
    pub fn check(&self) -> Result<(), DocumentError> {
        let size = self.value.as_ref().map_or(0, Vec::len);
        if size > MAX_VALUE_BYTES { Err(DocumentError::ValueTooLarge) } else { Ok(()) }
    }
}

/// What an entry is the value of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// The collection.
    pub collection: Collection,
    /// The id within the collection.
    pub id: DocumentId,
    /// Whose own key it is; `None`: everybody's.
    pub owner: Option<DeviceId>,
}

/// Decides between entries of one key: the greatest stands. Depends on signed content alone.
pub type Rank = (Hlc, DeviceId, RecordId);

/// A record of an entry, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The record.
    pub record: RecordId,
    /// What it is the value of.
    pub key: DocumentKey,
    /// Who signed it.
    pub author: DeviceId,
    /// Its number among its author's records.
    pub seq: u64,
    /// When it was made.
    pub hlc: Hlc,
    /// Bytes of the record.
    pub size: usize,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// In which order this device came by it; later is greater. 0 until it is stored.
    pub arrived: u64,
}

impl Head {
    /// Of a record of kind 12; `None` for every other.
    pub fn of(record: &Record) -> Option<Self> {
        let Body::Document(entry) = record.body() else { return None };
        let key = DocumentKey {
            collection: entry.collection.clone(),
            id: entry.id.clone(),
            owner: entry.own.then(|| record.author()),
        };
        Some(Self {
            record: record.id(),
            key,
            author: record.author(),
            seq: record.seq(),
            hlc: record.hlc(),
            size: record.as_bytes().len(),
            deleted: entry.value.is_none(),
            arrived: 0,
        })
    }

    /// Its rank among entries of its key.
    pub fn rank(&self) -> Rank {
        (self.hlc, self.author, self.record)
    }
}

#[cfg(test)]
mod tests;
