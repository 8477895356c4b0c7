//! Judges a whole GGUF file: its head, and whether every tensor that the head announces lies inside the file.
//!
//! An engine maps the file and follows its numbers, so a file from elsewhere is judged first. The rules are those of
//! ggml's own reader (`gguf.cpp`), which refuses the same files later and in other words.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::{Facts, MAX_HEAD, Reader};
use crate::error::quotable;

/// Most tensors; the largest models have a few thousand.
const MAX_TENSORS: u64 = 65_536;
/// Dimensions of a tensor (`GGML_MAX_DIMS`).
const MAX_DIMENSIONS: u32 = 4;
/// Longest name of a tensor, in bytes (`GGML_MAX_NAME`, less the zero that ends it).
const MAX_NAME: usize = 63;
/// Where tensors begin when the file does not say.
const ALIGNMENT: u64 = 32;
/// Numbers in a block, and bytes of a block, by the number of the type (`ggml.h`, `ggml-common.h`).
const TYPES: [(u32, u64, u64); 33] = [
    (0, 1, 4),
    (1, 1, 2),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (8, 32, 34),
    (9, 32, 36),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
    (15, 256, 292),
    (16, 256, 66),
    (17, 256, 74),
    (18, 256, 98),
    (19, 256, 50),
    (20, 32, 18),
    (21, 256, 110),
    (22, 256, 82),
    (23, 256, 136),
    (24, 1, 1),
    (25, 1, 2),
    (26, 1, 4),
    (27, 1, 8),
    (28, 1, 8),
    (29, 256, 56),
    (30, 1, 2),
    (34, 256, 54),
    (35, 256, 66),
    (39, 32, 17),
    (40, 64, 36),
];

/// Why a file is no model that an engine should see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// It is something else.
    #[error(
        "This is not a GGUF model: it begins with \"{begins}\". Check that the file is the model itself, and not a page or an archive around it."
    )]
    NotGguf {
        /// Its first characters.
        begins: String,
    },
    /// It is of a version that no engine here reads.
    #[error("This GGUF model is of version {found}; versions 2 and 3 can be read. Get a newer file of the model.")]
    Version {
        /// Its version.
        found: u32,
    },
    /// Its head contradicts itself.
    #[error("The head of this model file is damaged: {what}. Get the file again.")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// It ends too early.
    #[error("This model file is cut off: {needs} bytes belong to it, and {has} are there. Get the file again.")]
    Truncated {
        /// What is there, in bytes.
        has: u64,
        /// What should be, in bytes.
        needs: u64,
    },
    /// The file cannot be read.
    #[error("The model file cannot be read ({cause}). Check its permissions and the disk.")]
    Unreadable {
        /// As the system words it.
        cause: String,
    },
}

/// What a sound file tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufSummary {
    /// The name its maker gave it.
    pub name: Option<String>,
    /// What kind of network it is, as `llama`.
    pub architecture: Option<String>,
    /// Tokens it was trained to take at once.
    pub context_length: Option<u32>,
    /// Bytes of key-value cache for one token at 16 bits per number, when the shape is known.
    pub cache_bytes_per_token: Option<u64>,
    /// Whether it makes vectors and not answers.
    pub embedding: bool,
    /// Its tensors.
    pub tensors: u64,
    /// The size of the file, in bytes.
    pub size_bytes: u64,
}

impl GgufSummary {
    /// Judges the file at `path`. Reads its head only. Blocks.
    ///
    /// # Errors
    /// Why no engine should see it.
    pub fn check(path: &Path) -> Result<Self, GgufError> {
        let unreadable = |error: io::Error| GgufError::Unreadable { cause: error.to_string() };
        let data = path.metadata().map_err(unreadable)?;
        if !data.is_file() {
            return Err(GgufError::Unreadable { cause: "it is not a file".to_owned() });
        }
        let file = File::open(path).map_err(unreadable)?;
        Self::judge(BufReader::new(file), data.len())
    }

    fn judge(source: impl Read, size: u64) -> Result<Self, GgufError> {
        let mut reader = Reader { source: source.take(MAX_HEAD) };
        let broken = |error: io::Error| explain(&error, size);
        let begin = reader.bytes::<4>().map_err(broken)?;
        if begin != *b"GGUF" {
            return Err(GgufError::NotGguf { begins: quotable(&String::from_utf8_lossy(&begin)) });
        }
        let version = reader.u32().map_err(broken)?;
        if matches!(version.swap_bytes(), 1..=3) {
            return Err(GgufError::Damaged { what: "it is made for processors of another byte order" });
        }
        if !matches!(version, 2 | 3) {
            return Err(GgufError::Version { found: version });
        }
        let tensors = reader.u64().map_err(broken)?;
        if tensors > MAX_TENSORS {
            return Err(GgufError::Damaged { what: "it announces more tensors than a model has" });
        }
        let facts = Facts::read(&mut reader).map_err(broken)?;
        let alignment = facts.alignment.unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > u64::from(u32::MAX) {
            return Err(GgufError::Damaged { what: "its alignment is no power of two" });
        }
        let last = tensors_end(&mut reader, tensors, alignment, size)?;
        // What the tensors are counted from.
        let begin = reader.position().checked_next_multiple_of(alignment);
        let needs = begin.and_then(|begin| begin.checked_add(last));
        let needs = needs.ok_or(GgufError::Damaged { what: "its tensors are larger than any file" })?;
        if tensors > 0 && needs > size {
            return Err(GgufError::Truncated { has: size, needs });
        }
        let architecture = facts.architecture.clone();
        let header = facts.into_header();
        Ok(Self {
            name: header.name,
            architecture: architecture.map(|name| quotable(&name)),
            context_length: header.context_length,
            cache_bytes_per_token: header.cache_bytes_per_token,
            embedding: header.embedding,
            tensors,
            size_bytes: size,
        })
    }
}

/// Reads the list of tensors; gives where the last one ends, counted from where they begin.
fn tensors_end(reader: &mut Reader<impl Read>, count: u64, alignment: u64, size: u64) -> Result<u64, GgufError> {
    let broken = |error: io::Error| explain(&error, size);
    let damaged = |what| GgufError::Damaged { what };
    let too_large = || damaged("its tensors are larger than any file");
    let mut names = HashSet::new();
    // Where the next one should begin; none behind one of a type that is not known here.
    let mut expected = Some(0_u64);
    let mut last = 0_u64;
    for _ in 0..count {
        let name = reader.text().map_err(broken)?.ok_or(damaged("a tensor has a name that is too long or no text"))?;
        if name.len() > MAX_NAME {
            return Err(damaged("a tensor has a name that is too long or no text"));
        }
        if !names.insert(name) {
            return Err(damaged("two tensors have the same name"));
        }
        let dimensions = reader.u32().map_err(broken)?;
        if dimensions > MAX_DIMENSIONS {
            return Err(damaged("a tensor has more dimensions than there can be"));
        }
        let (mut row, mut rows) = (1_u64, 1_u64);
        for dimension in 0..dimensions {
            let length = reader.u64().map_err(broken)?;
            if dimension == 0 {
                row = length;
            } else {
                rows = rows.checked_mul(length).ok_or_else(too_large)?;
            }
        }
        let kind = reader.u32().map_err(broken)?;
        let offset = reader.u64().map_err(broken)?;
        if !offset.is_multiple_of(alignment) {
            return Err(damaged("a tensor begins where none can begin"));
        }
        if expected.is_some_and(|expected| expected != offset) {
            return Err(damaged("a tensor does not follow the one before it"));
        }
        let bytes = match TYPES.iter().find(|(number, ..)| *number == kind) {
            Some((_, block, _)) if !row.is_multiple_of(*block) => {
                return Err(damaged("a row of a tensor is no whole number of blocks"));
            }
            Some((_, block, bytes)) => {
                Some((row / block).checked_mul(*bytes).and_then(|row| row.checked_mul(rows)).ok_or_else(too_large)?)
            }
            // A newer type: the engine knows how long it is, or refuses it.
            None => None,
        };
        let end = offset.checked_add(bytes.unwrap_or(0)).ok_or_else(too_large)?;
        last = last.max(end);
        expected = match bytes {
            Some(_) => Some(end.checked_next_multiple_of(alignment).ok_or_else(too_large)?),
            None => None,
        };
    }
    Ok(last)
}

fn explain(error: &io::Error, size: u64) -> GgufError {
    match error.kind() {
        // The head alone may be as long as `MAX_HEAD`; where the file is longer the end is one of ours.
        io::ErrorKind::UnexpectedEof if size >= MAX_HEAD => {
            GgufError::Damaged { what: "it is longer than that of any model" }
        }
        io::ErrorKind::UnexpectedEof => GgufError::Damaged { what: "the file ends in the middle of it" },
        io::ErrorKind::InvalidData => GgufError::Damaged { what: "it announces what cannot be" },
        _ => GgufError::Unreadable { cause: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAIN: &[u8] = include_bytes!("../../fixtures/chain.gguf");
    const EMBED: &[u8] = include_bytes!("../../fixtures/embed.gguf");

    fn judge(bytes: &[u8]) -> Result<GgufSummary, GgufError> {
        GgufSummary::judge(bytes, bytes.len() as u64)
    }

    /// A tensor as a head lists it.
    struct Listed {
        name: &'static str,
        sides: Vec<u64>,
        kind: u32,
        offset: u64,
    }

    fn tensor(name: &'static str, sides: &[u64], kind: u32, offset: u64) -> Listed {
        Listed { name, sides: sides.to_vec(), kind, offset }
    }

    /// A file with these tensors, and as many bytes behind its head.
    fn file(tensors: &[Listed], alignment: Option<u32>, data: usize) -> Vec<u8> {
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((tensors.len() as u64).to_le_bytes());
        bytes.extend(u64::from(alignment.is_some()).to_le_bytes());
        if let Some(alignment) = alignment {
            text(&mut bytes, "general.alignment");
            bytes.extend(4_u32.to_le_bytes());
            bytes.extend(alignment.to_le_bytes());
        }
        for tensor in tensors {
            text(&mut bytes, tensor.name);
            bytes.extend(u32::try_from(tensor.sides.len()).expect("few").to_le_bytes());
            tensor.sides.iter().for_each(|side| bytes.extend(side.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend(tensor.offset.to_le_bytes());
        }
        let begin = bytes.len().next_multiple_of(alignment.map_or(32, |alignment| alignment as usize).max(1));
        bytes.resize(begin + data, 0);
        bytes
    }

    fn damaged(bytes: &[u8]) -> &'static str {
        match judge(bytes) {
            Err(GgufError::Damaged { what }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sound_files_are_told_of() {
        let chain = judge(CHAIN).expect("our own file");
        assert_eq!((chain.name.as_deref(), chain.architecture.as_deref()), (Some("test-chain"), Some("llama")));
        assert_eq!((chain.context_length, chain.cache_bytes_per_token), (Some(2048), Some(128)));
        assert!(chain.tensors > 0 && !chain.embedding && judge(EMBED).expect("our own file").embedding);
        let two = [tensor("a", &[32, 2], 8, 0), tensor("b", &[3], 0, 96)];
        assert_eq!(judge(&file(&two, None, 108)).expect("two tensors").tensors, 2);
        assert_eq!(judge(&file(&[], None, 0)).expect("none").tensors, 0);
        // Written with ggml's own `gguf` package.
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/myownllm-demo.gguf");
        assert!(GgufSummary::check(&demo).expect("the demo model").tensors > 10);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let needs = match judge(&CHAIN[..CHAIN.len() - 1]) {
            Err(GgufError::Truncated { has, needs }) => {
                assert_eq!(has, CHAIN.len() as u64 - 1);
                usize::try_from(needs).expect("small")
            }
            // The last bytes of our own file may be padding.
            other => panic!("{other:?}"),
        };
        assert_eq!(needs, CHAIN.len());
        for length in (0..CHAIN.len()).step_by(97) {
            assert!(judge(&CHAIN[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_no_model_is_named() {
        assert!(matches!(judge(b"<!doctype html>"), Err(GgufError::NotGguf { begins }) if begins == "<!do"));
        assert!(matches!(judge(b"PK\x03\x04rest"), Err(GgufError::NotGguf { .. })));
        assert!(matches!(judge(b"GGUF\x01\0\0\0"), Err(GgufError::Version { found: 1 })));
        assert!(damaged(b"GGUF\0\0\0\x03").contains("byte order"));
        assert!(damaged(b"GG").contains("ends in the middle"));
    }

    #[test]
    fn lies_about_sizes_are_refused() {
        let one = |sides: &[u64], kind, offset| file(&[tensor("a", sides, kind, offset)], None, 64);
        assert!(matches!(judge(&one(&[17], 0, 0)), Err(GgufError::Truncated { .. })));
        assert!(damaged(&one(&[u64::MAX, u64::MAX], 0, 0)).contains("larger than any file"));
        assert!(damaged(&one(&[1, u64::MAX, 2], 0, 0)).contains("larger than any file"));
        assert!(damaged(&one(&[1 << 62], 0, 0)).contains("larger than any file"));
        assert!(damaged(&one(&[1], 0, u64::MAX - 31)).contains("does not follow"));
        assert!(damaged(&one(&[31], 8, 0)).contains("whole number of blocks"));
        assert!(damaged(&one(&[1], 0, 4)).contains("begins where none"));
        assert!(damaged(&one(&[1, 1, 1, 1, 1], 0, 0)).contains("dimensions"));
        let overlapping = [tensor("a", &[16], 0, 0), tensor("b", &[16], 0, 0)];
        assert!(damaged(&file(&overlapping, None, 256)).contains("does not follow"));
        let twins = [tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)];
        assert!(damaged(&file(&twins, None, 256)).contains("same name"));
        let long = [tensor("a-name-that-is-longer-than-the-sixty-three-bytes-that-ggml-has-room-for", &[8], 0, 0)];
        assert!(damaged(&file(&long, None, 256)).contains("too long"));
        for alignment in [0, 3, 48] {
            assert!(damaged(&file(&[], Some(alignment), 0)).contains("power of two"), "{alignment}");
        }
        let mut many = file(&[], None, 0);
        many[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(damaged(&many).contains("more tensors"));
        // A type of tomorrow: only what can be known is held against it.
        assert!(judge(&one(&[64], 9_999, 0)).is_ok());
        assert!(matches!(
            judge(&file(&[tensor("a", &[1], 9_999, 0), tensor("b", &[1], 0, 1 << 40)], None, 9)),
            Err(GgufError::Truncated { .. })
        ));
    }

    #[test]
    fn a_file_on_disk_is_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, CHAIN).expect("written");
        assert_eq!(GgufSummary::check(&path).expect("sound").size_bytes, CHAIN.len() as u64);
        assert!(matches!(GgufSummary::check(folder.path()), Err(GgufError::Unreadable { .. })));
        assert!(matches!(GgufSummary::check(&folder.path().join("none")), Err(GgufError::Unreadable { .. })));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_passes_lies_inside(
            at in 0..CHAIN.len(),
            value: u8,
            cut in 0..CHAIN.len(),
            noise in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut bytes = CHAIN.to_vec();
            bytes[at] = value;
            let _ = judge(&bytes);
            prop_assert!(judge(&bytes[..cut]).is_err() || cut == bytes.len());
            let mut with_magic = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
            with_magic.extend(&noise);
            let _ = judge(&with_magic);
        }

        #[test]
        fn any_listed_tensors_are_inside_or_refused(
            sides in prop::collection::vec(prop_oneof![any::<u64>(), 0_u64..300], 0..5),
            kind in prop_oneof![0_u32..42, any::<u32>()],
            offset in prop_oneof![Just(0_u64), any::<u64>()],
            data in 0_usize..2_000,
        ) {
            let bytes = file(&[tensor("a", &sides, kind, offset)], None, data);
            if let Ok(sound) = judge(&bytes)
                && let Some((_, block, size)) = TYPES.iter().find(|(number, ..)| *number == kind)
            {
                let numbers: u128 = sides.iter().map(|side| u128::from(*side)).product();
                prop_assert!(numbers / u128::from(*block) * u128::from(*size) <= u128::from(sound.size_bytes));
            }
        }
    }
}
