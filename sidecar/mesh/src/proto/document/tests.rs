//! The names, the codec and its bounds.

use iroh::SecretKey;
use proptest::prelude::*;

use super::*;
use crate::proto::ids::NetworkId;
use crate::proto::record::{Record, RecordError};

fn entry(value: Option<Vec<u8>>) -> Entry {
    Entry {
        collection: Collection::parse("prompts").unwrap(),
        own: false,
        id: DocumentId::parse("greeting").unwrap(),
        value,
    }
}

fn signed(entry: Entry) -> Result<Record, RecordError> {
    let secret = SecretKey::from_bytes(&[7; 32]);
    Record::sign(&secret, NetworkId::from_bytes([9; 32]), 3, Hlc { ms: 1_000, counter: 2 }, Body::Document(entry))
}

#[test]
fn names_are_checked() {
    for good in ["a", "prompts", "mcp_tools", &"z".repeat(32)] {
        assert_eq!(Collection::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "Prompts", "a b", "a-b", "ä", &"z".repeat(33)] {
        assert_eq!(Collection::parse(bad), Err(DocumentError::BadCollection), "{bad}");
    }
    for good in ["a", "mcp:files/read", "A.b-c_9~", &"z".repeat(128)] {
        assert_eq!(DocumentId::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "a b", "tab\t", "nul\0", "ümlaut", &"z".repeat(129)] {
        assert_eq!(DocumentId::parse(bad), Err(DocumentError::BadId), "{bad}");
    }
}

#[test]
fn a_document_has_golden_bytes() {
    let record = signed(entry(Some(b"hi".to_vec()))).unwrap();
    // Version, network, author, seq, hlc, kind 12, then the payload: its length, and in it the collection, own, the id,
    // that there is a value, and the value.
    let payload = b"\x07prompts\x00\x08greeting\x01\x02hi";
    let mut expected = vec![1];
    expected.extend([9; 32]);
    expected.extend(SecretKey::from_bytes(&[7; 32]).public().as_bytes());
    expected.extend([3, 0xe8, 0x07, 2, 12, u8::try_from(payload.len()).unwrap()]);
    expected.extend(payload);
    let bytes = record.as_bytes();
    assert_eq!(bytes[..bytes.len() - 64], expected);
    assert_eq!(Record::decode(bytes).unwrap(), record);
    let head = Head::of(&record).unwrap();
    assert_eq!((head.seq, head.size, head.deleted, head.key.owner), (3, bytes.len(), false, None));
}

#[test]
fn a_document_may_be_larger_than_a_record_of_the_membership() {
    let largest = signed(entry(Some(vec![b'x'; MAX_VALUE_BYTES]))).unwrap();
    assert!(largest.as_bytes().len() <= MAX_DOCUMENT_RECORD_BYTES);
    assert_eq!(Record::decode(largest.as_bytes()).unwrap(), largest);
    assert!(signed(entry(Some(vec![b'x'; MAX_VALUE_BYTES + 1]))).is_err());
}

#[test]
fn what_is_stored_is_read_without_the_signature() {
    let record = signed(entry(None)).unwrap();
    let mut bytes = record.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(Record::decode(&bytes), Err(RecordError::BadSignature));
    let read = Record::decode_stored(record.network(), &bytes).unwrap();
    assert_eq!(read.body(), record.body());
    assert_eq!(Record::decode_stored(NetworkId::from_bytes([1; 32]), &bytes), Err(RecordError::OtherNetwork));
}

proptest! {
    #[test]
    fn every_entry_reads_back(
        collection in "[a-z_]{1,32}",
        own: bool,
        id in "[!-~]{1,128}",
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
    ) {
        let collection = Collection::parse(&collection).unwrap();
        let entry = Entry { collection, own, id: DocumentId::parse(&id).unwrap(), value };
        let record = signed(entry.clone()).unwrap();
        let read = Record::decode(record.as_bytes()).unwrap();
        prop_assert_eq!(read.body(), &Body::Document(entry));
    }

    #[test]
    fn a_broken_document_is_refused_and_harms_nothing(at in 0_usize..200, flip in 1_u8..=255) {
        let record = signed(entry(Some(vec![b'x'; 60]))).unwrap();
        let mut bytes = record.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert!(Record::decode(&bytes).is_err());
    }
}
