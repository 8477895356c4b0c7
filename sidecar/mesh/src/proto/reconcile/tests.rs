//! Two sets end equal, whatever they were; and nothing a peer sends does harm.

use std::collections::BTreeMap;

use iroh::SecretKey;
use proptest::prelude::*;

use super::*;
use crate::proto::{hlc::Hlc, ids::NetworkId, record::Body};

fn record(seq: u64, ms: u64) -> Record {
    let secret = SecretKey::from_bytes(&[1; 32]);
    Record::sign(&secret, NetworkId::from_bytes([9; 32]), seq, Hlc::at(ms), Body::Leave).expect("a record")
}

/// An item without the cost of a signature.
fn plain(time: u64, n: u64) -> Item {
    Item::with_timestamp_and_id(time, Id::from_byte_array(*blake3::hash(&n.to_le_bytes()).as_bytes()))
}

fn set(items: impl IntoIterator<Item = Item>) -> RecordSet {
    let mut set = RecordSet::default();
    for item in items {
        set.insert_item(item);
    }
    set
}

/// Runs a reconciliation and exchanges what it found. Returns rounds and bytes.
fn reconcile(a: &mut RecordSet, b: &mut RecordSet) -> (usize, usize) {
    let by_id = |set: &RecordSet| -> BTreeMap<[u8; 32], Item> {
        set.items.iter().map(|item| (item.id.to_bytes(), *item)).collect()
    };
    let (of_a, of_b) = (by_id(a), by_id(b));
    let (mut initiator, mut message) = Initiator::start(a).expect("a start");
    let (mut bytes, mut have, mut need) = (0, Vec::new(), Vec::new());
    loop {
        let answer = respond(b, &message).expect("an answer");
        bytes += message.len() + answer.len();
        let step = initiator.step(a, &answer).expect("a step");
        have.extend(step.have);
        need.extend(step.need);
        match step.next {
            Some(next) => message = next,
            None => break,
        }
    }
    for id in have {
        b.insert_item(of_a[id.as_bytes()]);
    }
    for id in need {
        a.insert_item(of_b[id.as_bytes()]);
    }
    (initiator.rounds(), bytes)
}

#[test]
fn a_set_keeps_its_order_and_forgets_duplicates() {
    let (a, b, c) = (record(1, 30), record(2, 10), record(3, 20));
    let mut set: RecordSet = [&a, &b, &a].into_iter().collect();
    assert_eq!(set.len(), 2);
    assert!(set.insert(&c) && !set.insert(&c));
    assert!(set.items.is_sorted() && set.contains(&c));
    assert!(set.remove(&a) && !set.remove(&a) && !set.contains(&a));
    assert!(!set.is_empty());
}

#[test]
fn equal_sets_cost_one_round_of_a_few_hundred_bytes() {
    let all = || set((0..2000).map(|n| plain(n / 3, n)));
    let (rounds, bytes) = reconcile(&mut all(), &mut all());
    assert_eq!(rounds, 1);
    assert!(bytes < 1000, "{bytes}");
}

#[test]
fn a_device_that_was_away_catches_up_in_few_rounds() {
    let mut fresh = set((0..2000).map(|n| plain(n, n)));
    let mut stale = set((0..1900).map(|n| plain(n, n)));
    let (rounds, bytes) = reconcile(&mut stale, &mut fresh);
    assert_eq!(stale.items, fresh.items);
    assert!(rounds <= 4 && bytes < 16_000, "{rounds} rounds, {bytes} bytes");
    let (_, bytes) = reconcile(&mut RecordSet::default(), &mut fresh);
    assert!(bytes < 120_000, "{bytes}");
}

#[test]
fn large_sets_are_cut_into_frames() {
    let mut a = set((0..6000).map(|n| plain(n, n)));
    let mut b = set((6000..12_000).map(|n| plain(n, n)));
    let (rounds, _) = reconcile(&mut a, &mut b);
    assert_eq!(a.items, b.items);
    assert_eq!(a.len(), 12_000);
    assert!(rounds > 1 && rounds < MAX_ROUNDS, "{rounds}");
}

#[test]
fn hostile_messages_are_errors() {
    let set = set((0..100).map(|n| plain(n, n)));
    assert_eq!(respond(&set, &vec![0; MESSAGE_LIMIT + 1]), Err(ReconcileError::TooLarge(MESSAGE_LIMIT + 1)));
    assert!(matches!(respond(&set, &[]), Err(ReconcileError::Garbage(_))));
    assert!(matches!(respond(&set, &[0x61, 0, 0, 2, 0xc0, 0x80, 0x80, 0x80, 0]), Err(ReconcileError::Garbage(_))));
    let (mut initiator, message) = Initiator::start(&set).expect("a start");
    let echo = (0..=MAX_ROUNDS).map(|_| initiator.step(&set, &message)).find(Result::is_err);
    assert_eq!(echo, Some(Err(ReconcileError::TooManyRounds)));
}

#[test]
fn refused_records_are_not_asked_for_again_and_memory_is_bounded() {
    let id = |n: u64| RecordId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
    let mut refused = Refused::default();
    refused.add(id(1), 100);
    refused.add(id(1), 100);
    assert_eq!(refused.filter(vec![id(1), id(2)], 99), [id(2)]);
    assert_eq!(refused.filter(vec![id(1), id(2)], 100), [id(1), id(2)], "its time has come");
    for n in 2..10_000 {
        refused.add(id(n), 100);
    }
    assert_eq!(refused.until.len(), MAX_REFUSED);
    assert!(!refused.contains(&id(1), 0) && refused.contains(&id(9999), 0));
    refused.clear();
    assert!(!refused.contains(&id(9999), 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn two_sets_end_equal(
        both in prop::collection::vec((0u64..500, any::<u64>()), 0..400),
        only_a in prop::collection::vec((0u64..500, any::<u64>()), 0..120),
        only_b in prop::collection::vec((0u64..500, any::<u64>()), 0..120),
    ) {
        let items = |list: &[(u64, u64)]| list.iter().map(|(time, n)| plain(*time, *n)).collect::<Vec<_>>();
        let mut a = set(items(&both).into_iter().chain(items(&only_a)));
        let mut b = set(items(&both).into_iter().chain(items(&only_b)));
        reconcile(&mut a, &mut b);
        prop_assert_eq!(&a.items, &b.items);
        let union = set(items(&both).into_iter().chain(items(&only_a)).chain(items(&only_b)));
        prop_assert_eq!(&a.items, &union.items);
    }

    #[test]
    fn random_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), seq in 1u64..50) {
        let set: RecordSet = [record(seq, seq)].iter().collect();
        let mut message = vec![0x61];
        message.extend(bytes);
        let _ = respond(&set, &message);
        let (mut initiator, _) = Initiator::start(&set).expect("a start");
        let _ = initiator.step(&set, &message);
    }
}
