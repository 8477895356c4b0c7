//! Reads the few facts this crate needs from the head of a GGUF file.
//!
//! The file may be anything a person dropped into a folder, so everything is bounded: bytes read, pairs, depth of
//! nested arrays, length of kept text. The verdict on a file in a models folder is llama-server's; a head that cannot be
//! read here only means that its facts stay unknown. What comes from elsewhere is judged before an engine sees it: see
//! [`check`]. Format: the GGUF specification of the ggml project, versions 2 and 3.

pub(crate) mod check;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Largest head that is read, in bytes; the biggest vocabularies need about 12 MB.
const MAX_HEAD: u64 = 64 << 20;
/// Most key-value pairs that are looked at; real files have under 100.
const MAX_PAIRS: u64 = 10_000;
/// Longest key or kept text, in bytes.
const MAX_TEXT: u64 = 1024;
/// Arrays inside arrays.
const MAX_DEPTH: u8 = 3;
/// Keys whose numbers are kept, by their end; the beginning is the architecture's name.
const NUMBERS: [&str; 8] = [
    ".context_length",
    ".block_count",
    ".embedding_length",
    ".attention.head_count",
    ".attention.head_count_kv",
    ".attention.key_length",
    ".attention.value_length",
    ".pooling_type",
];

/// What the head of a model file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GgufHeader {
    /// The name its maker gave it.
    pub(crate) name: Option<String>,
    /// Tokens it was trained to take at once.
    pub(crate) context_length: Option<u32>,
    /// Bytes of key-value cache for one token at 16 bits per number, when the shape is known.
    pub(crate) cache_bytes_per_token: Option<u64>,
    /// Whether it makes vectors and not answers.
    pub(crate) embedding: bool,
}

impl GgufHeader {
    /// Reads the head of the file at `path`. Blocks.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Self::parse(BufReader::new(File::open(path)?))
    }

    fn parse(source: impl Read) -> io::Result<Self> {
        let mut reader = Reader { source: source.take(MAX_HEAD) };
        if reader.bytes::<4>()? != *b"GGUF" {
            return bad("it does not begin with GGUF");
        }
        if !matches!(reader.u32()?, 2 | 3) {
            return bad("its version is neither 2 nor 3");
        }
        let _tensors = reader.u64()?;
        Ok(Facts::read(&mut reader)?.into_header())
    }
}

/// What the pairs of a head say.
#[derive(Default)]
struct Facts {
    architecture: Option<String>,
    name: Option<String>,
    /// Where a tensor may begin; none for the usual 32 bytes.
    alignment: Option<u64>,
    numbers: HashMap<String, u64>,
}

impl Facts {
    /// Reads the number of pairs and the pairs.
    fn read(reader: &mut Reader<impl Read>) -> io::Result<Self> {
        let pairs = reader.u64()?;
        if pairs > MAX_PAIRS {
            return bad("it announces too many pairs");
        }
        let mut facts = Self::default();
        for _ in 0..pairs {
            let key = reader.text()?;
            let kind = reader.u32()?;
            match (key.as_deref(), kind) {
                (Some("general.architecture"), STRING) => facts.architecture = reader.text()?,
                (Some("general.name"), STRING) => facts.name = reader.text()?,
                (Some("general.alignment"), _) => facts.alignment = reader.number(kind, 0)?,
                (Some(key), _) if NUMBERS.iter().any(|end| key.ends_with(end)) => {
                    if let Some(number) = reader.number(kind, 0)? {
                        facts.numbers.insert(key.to_owned(), number);
                    }
                }
                _ => {
                    reader.number(kind, 0)?;
                }
            }
        }
        Ok(facts)
    }

    fn into_header(self) -> GgufHeader {
        let architecture = self.architecture.unwrap_or_default();
        let number = |end: &str| self.numbers.get(&format!("{architecture}{end}")).copied();
        let name = self.name.map(|name| name.chars().filter(|c| !c.is_control()).collect());
        let heads = number(".attention.head_count");
        let width = |key: &str| number(key).or_else(|| number(".embedding_length")?.checked_div(heads?));
        let cache = || -> Option<u64> {
            let sides = width(".attention.key_length")?.checked_add(width(".attention.value_length")?)?;
            let kv_heads = number(".attention.head_count_kv").or(heads)?;
            number(".block_count")?.checked_mul(kv_heads)?.checked_mul(sides)?.checked_mul(2)
        };
        GgufHeader {
            name,
            context_length: number(".context_length").and_then(|n| u32::try_from(n).ok()),
            cache_bytes_per_token: cache().filter(|bytes| *bytes > 0),
            embedding: number(".pooling_type").is_some_and(|pooling| pooling != 0) || architecture.contains("bert"),
        }
    }
}

const STRING: u32 = 8;
const ARRAY: u32 = 9;

struct Reader<R> {
    source: io::Take<R>,
}

impl<R: Read> Reader<R> {
    /// Bytes read so far.
    fn position(&self) -> u64 {
        MAX_HEAD - self.source.limit()
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        if length > self.source.limit() {
            return bad("it announces more than a head can hold");
        }
        let skipped = io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
        if skipped < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// A text, or none (and skipped) when it is too long or not UTF-8.
    fn text(&mut self) -> io::Result<Option<String>> {
        let length = self.u64()?;
        if length > MAX_TEXT {
            self.skip(length)?;
            return Ok(None);
        }
        let mut bytes = Vec::new();
        (&mut self.source).take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8(bytes).ok())
    }

    /// Steps over a value; tells its number when it is a whole one, or the largest of an array of them.
    fn number(&mut self, kind: u32, depth: u8) -> io::Result<Option<u64>> {
        Ok(match kind {
            0 | 7 => Some(u64::from(self.bytes::<1>()?[0])),
            1 => u64::try_from(i8::from_le_bytes(self.bytes()?)).ok(),
            2 => Some(u64::from(u16::from_le_bytes(self.bytes()?))),
            3 => u64::try_from(i16::from_le_bytes(self.bytes()?)).ok(),
            4 => Some(u64::from(self.u32()?)),
            5 => u64::try_from(i32::from_le_bytes(self.bytes()?)).ok(),
            6 => {
                self.skip(4)?;
                None
            }
            STRING => {
                let length = self.u64()?;
                self.skip(length)?;
                None
            }
            ARRAY if depth < MAX_DEPTH => {
                let item = self.u32()?;
                let mut largest = None;
                for _ in 0..self.u64()? {
                    largest = largest.max(self.number(item, depth + 1)?);
                }
                largest
            }
            10 => Some(self.u64()?),
            11 => u64::try_from(i64::from_le_bytes(self.bytes()?)).ok(),
            12 => {
                self.skip(8)?;
                None
            }
            _ => return bad("it has a value of unknown type"),
        })
    }
}

fn bad<T>(why: &'static str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAIN: &[u8] = include_bytes!("../fixtures/chain.gguf");
    const EMBED: &[u8] = include_bytes!("../fixtures/embed.gguf");

    #[test]
    fn reads_the_test_models() {
        let head = GgufHeader::parse(CHAIN).expect("our own file");
        assert_eq!(head.name.as_deref(), Some("test-chain"));
        assert_eq!(head.context_length, Some(2048));
        // One layer, one head, 32 numbers for the key and 32 for the value, two bytes each.
        assert_eq!(head.cache_bytes_per_token, Some(128));
        assert!(!head.embedding);
        assert!(GgufHeader::parse(EMBED).expect("our own file").embedding);
    }

    #[test]
    fn a_head_cut_anywhere_is_an_error() {
        // The pairs end after the tokens and the chat template, well past the first 4,000 bytes.
        for length in 0..4_000 {
            assert!(GgufHeader::parse(&CHAIN[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn announced_sizes_are_not_believed() {
        let mut huge_pairs = b"GGUF\x03\0\0\0".to_vec();
        huge_pairs.extend([0; 8]);
        huge_pairs.extend(u64::MAX.to_le_bytes());
        assert!(GgufHeader::parse(huge_pairs.as_slice()).is_err());

        let mut huge_array = b"GGUF\x03\0\0\0".to_vec();
        huge_array.extend([0; 8]);
        huge_array.extend(1u64.to_le_bytes());
        huge_array.extend(1u64.to_le_bytes());
        huge_array.push(b'k');
        for _ in 0..2 {
            huge_array.extend(ARRAY.to_le_bytes());
        }
        huge_array.extend(u64::MAX.to_le_bytes());
        assert!(GgufHeader::parse(huge_array.as_slice()).is_err());
    }

    #[test]
    fn arrays_in_arrays_end_somewhere() {
        let mut deep = b"GGUF\x03\0\0\0".to_vec();
        deep.extend([0; 8]);
        deep.extend(1u64.to_le_bytes());
        deep.extend(1u64.to_le_bytes());
        deep.push(b'k');
        deep.extend(ARRAY.to_le_bytes());
        for _ in 0..100_000 {
            deep.extend(ARRAY.to_le_bytes());
            deep.extend(1u64.to_le_bytes());
        }
        assert!(GgufHeader::parse(deep.as_slice()).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = GgufHeader::parse(bytes.as_slice());
            let mut with_magic = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0".to_vec();
            with_magic.extend(&bytes);
            let _ = GgufHeader::parse(with_magic.as_slice());
        }

        #[test]
        fn a_flipped_byte_never_panics(at in 0usize..6_000, value: u8) {
            let mut bytes = CHAIN[..8_000].to_vec();
            bytes[at] = value;
            let _ = GgufHeader::parse(bytes.as_slice());
        }
    }
}
