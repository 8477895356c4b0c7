//! The fold of documents: any order gives the same, deletions stay deleted, room is bounded.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::proto::document::{Collection, DocumentId};

fn device(seed: u8) -> DeviceId {
    DeviceId::of_secret(&[seed; 32])
}

fn key(id: &str, owner: Option<DeviceId>) -> DocumentKey {
    DocumentKey { collection: Collection::parse("prompts").unwrap(), id: DocumentId::parse(id).unwrap(), owner }
}

fn head(n: u64, id: &str, author: u8, ms: u64, deleted: bool) -> Head {
    let mut record = [0; 32];
    record[..8].copy_from_slice(&n.to_be_bytes());
    Head {
        record: RecordId::from_bytes(record),
        key: key(id, None),
        author: device(author),
        seq: n + 1,
        hlc: Hlc::at(ms),
        size: 200,
        deleted,
        arrived: 0,
    }
}

fn standing(shelf: &Shelf) -> BTreeMap<DocumentKey, RecordId> {
    shelf.heads().map(|head| (head.key.clone(), head.record)).collect()
}

#[test]
fn the_latest_stands_then_the_author_decides() {
    let mut shelf = Shelf::default();
    let (first, later, same_time) =
        (head(1, "a", 1, 10, false), head(2, "a", 2, 20, false), head(3, "a", 3, 20, false));
    assert_eq!(shelf.take(later.clone()), Outcome::Stands { replaced: None });
    assert_eq!(shelf.take(first), Outcome::Superseded);
    assert_eq!(shelf.take(later.clone()), Outcome::Known);
    let expected =
        if device(3) > device(2) { Outcome::Stands { replaced: Some(later.record) } } else { Outcome::Superseded };
    assert_eq!(shelf.take(same_time), expected);
    assert_eq!(shelf.len(), 1);
    assert_eq!(shelf.number(device(2)), 3);
}

#[test]
fn own_keys_are_apart() {
    let mut shelf = Shelf::default();
    let mut mine = head(1, "a", 1, 10, false);
    mine.key.owner = Some(device(1));
    let mut theirs = head(2, "a", 2, 20, false);
    theirs.key.owner = Some(device(2));
    shelf.take(mine);
    shelf.take(theirs);
    shelf.take(head(3, "a", 3, 30, false));
    assert_eq!(shelf.len(), 3);
}

#[test]
fn a_buried_tombstone_comes_back_against_what_it_deleted() {
    let mut shelf = Shelf::default();
    let (old, grave) = (head(1, "a", 1, 10, false), head(2, "a", 2, 20, true));
    shelf.take(grave.clone());
    shelf.arrived(&grave.record, 7);
    assert_eq!(shelf.bury(6, 30), (vec![], vec![]), "somebody has not seen it");
    assert_eq!(shelf.bury(7, 30), (vec![grave.record], vec![]));
    assert!(shelf.is_empty() && shelf.contains(&grave.record) && shelf.set().is_empty());
    assert_eq!(shelf.take(grave.clone()), Outcome::Known, "it is not taken again");
    assert_eq!(shelf.take(old), Outcome::Unburied { tombstone: grave.record });
    assert_eq!(standing(&shelf), BTreeMap::from([(grave.key.clone(), grave.record)]));
    shelf.bury(u64::MAX, 30);
    let new = head(3, "a", 1, 40, false);
    assert_eq!(shelf.take(new.clone()), Outcome::Stands { replaced: None }, "a later value is a new life");
    assert_eq!(shelf.take(grave), Outcome::Superseded);
}

#[test]
fn an_old_tombstone_is_buried_whoever_has_not_seen_it() {
    let mut shelf = Shelf::default();
    let (old, young) = (head(1, "a", 1, 1_000, true), head(2, "b", 1, 3_000, true));
    for grave in [&old, &young] {
        shelf.take((*grave).clone());
        shelf.arrived(&grave.record, grave.seq);
    }
    assert_eq!(shelf.bury(0, TOMBSTONE_MS + 2_000).0, [old.record]);
}

#[test]
fn buried_tombstones_are_bounded() {
    let graves = (0..u64::try_from(MAX_BURIED).unwrap() + 10).map(|n| head(n, &format!("k{n}"), 1, n, true));
    let mut shelf = Shelf::load([], graves);
    let (buried, forgotten) = shelf.bury(0, 0);
    assert!(buried.is_empty());
    assert_eq!(forgotten.len(), 10);
    assert!(!shelf.contains(&head(0, "k0", 1, 0, true).record), "the oldest went");
}

#[test]
fn one_author_leaves_room_for_the_others() {
    let mut shelf = Shelf::default();
    let mut taken = 0;
    for n in 0..60_000 {
        let refused = matches!(shelf.take(head(n, &format!("k{n}"), 1, n, n % 2 == 0)), Outcome::Refused(_));
        taken += usize::from(!refused);
    }
    assert_eq!(taken, MAX_ENTRIES / 2, "tombstones count as well");
    assert_eq!(shelf.take(head(99_999, "other", 2, 1, false)), Outcome::Stands { replaced: None });
    let shorter = Head { size: 100, ..head(70_000, "k1", 1, 99_999, false) };
    assert!(matches!(shelf.take(shorter), Outcome::Stands { replaced: Some(_) }), "what is there can still change");

    let mut shelf = Shelf::default();
    let large = |n: u64, author| Head { size: 130_000, ..head(n, &format!("k{n}"), author, n, false) };
    let fits = |shelf: &mut Shelf, author: u8, from: u64| {
        (from..from + 500).take_while(|n| matches!(shelf.take(large(*n, author)), Outcome::Stands { .. })).count()
    };
    let first = fits(&mut shelf, 1, 0);
    assert_eq!(first as u64, MAX_NETWORK_BYTES / 2 / 130_000);
    assert_eq!(fits(&mut shelf, 2, 1_000), first);
    assert!(shelf.bytes() <= MAX_NETWORK_BYTES);
    assert!(matches!(shelf.take(large(5_000, 3)), Outcome::Stands { .. } | Outcome::Refused(Full::NetworkBytes)));
    assert_eq!(shelf.take(large(5_001, 3)), Outcome::Refused(Full::NetworkBytes));
}

#[test]
fn what_does_not_count_any_more_goes() {
    let mut shelf = Shelf::default();
    for n in 0..10 {
        shelf.take(head(n, &format!("k{n}"), 1, n, n == 3));
    }
    shelf.bury(u64::MAX, 0);
    let digest = shelf.digest();
    let gone = shelf.retain(|author, seq| author != device(1) || seq <= 2);
    assert_eq!(gone.len(), 8);
    assert_eq!((shelf.len(), shelf.set().len()), (2, 2));
    assert!(!shelf.contains(&head(3, "k3", 1, 3, true).record), "buried ones too");
    assert_ne!(shelf.digest(), digest);
}

/// One write in a story: which document, who, when, whether it deletes.
fn writes() -> impl Strategy<Value = Vec<(u8, u8, u64, bool)>> {
    proptest::collection::vec((0_u8..5, 1_u8..5, 0_u64..20, any::<bool>()), 1..60)
}

fn heads(writes: &[(u8, u8, u64, bool)]) -> Vec<Head> {
    let write = |(n, (document, author, ms, deleted)): (usize, &(u8, u8, u64, bool))| {
        head(n as u64, &format!("d{document}"), *author, *ms, *deleted)
    };
    writes.iter().enumerate().map(write).collect()
}

proptest! {
    #[test]
    fn any_order_with_doubles_gives_the_same(
        writes in writes(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let heads = heads(&writes);
        let mut straight = Shelf::default();
        for head in &heads {
            straight.take(head.clone());
        }
        let mut shuffled = Shelf::default();
        for at in &order {
            shuffled.take(at.get(&heads).clone());
        }
        for head in heads.iter().rev() {
            shuffled.take(head.clone());
        }
        prop_assert_eq!(standing(&straight), standing(&shuffled));
        prop_assert_eq!(straight.digest(), shuffled.digest());
        prop_assert_eq!((straight.len(), straight.bytes()), (shuffled.len(), shuffled.bytes()));
        let greatest: BTreeMap<DocumentKey, RecordId> = heads.iter().fold(BTreeMap::new(), |mut best, head| {
            let known = best.get(&head.key).and_then(|id| heads.iter().find(|it| it.record == *id));
            if known.is_none_or(|known: &Head| known.rank() < head.rank()) {
                best.insert(head.key.clone(), head.record);
            }
            best
        });
        prop_assert_eq!(standing(&straight), greatest, "the greatest rank of each key, and nothing else");
    }

    /// Two devices exchange all they have, again and again, burying at different times: no deletion is undone, and both
    /// show the same.
    #[test]
    fn burying_at_different_times_resurrects_nothing(
        writes in writes(),
        buries in proptest::collection::vec((any::<bool>(), any::<bool>()), 1..8),
    ) {
        let all = heads(&writes);
        let mut devices = [Shelf::default(), Shelf::default()];
        for (n, head) in all.iter().enumerate() {
            devices[n % 2].take(head.clone());
        }
        for (first, second) in buries {
            for (shelf, bury) in devices.iter_mut().zip([first, second]) {
                if bury {
                    shelf.bury(u64::MAX, 0);
                }
            }
            for _ in 0..2 {
                let offers: Vec<Vec<Head>> = devices.iter().map(|shelf| shelf.heads().cloned().collect()).collect();
                for (shelf, offered) in devices.iter_mut().zip(offers.into_iter().rev()) {
                    for head in offered {
                        shelf.take(head);
                    }
                }
            }
        }
        let shown = |shelf: &Shelf| -> BTreeSet<RecordId> {
            shelf.heads().filter(|head| !head.deleted).map(|head| head.record).collect()
        };
        prop_assert_eq!(shown(&devices[0]), shown(&devices[1]));
        prop_assert_eq!(devices[0].digest(), devices[1].digest());
        let mut whole = Shelf::default();
        for head in &all {
            whole.take(head.clone());
        }
        let never_deleted_since = shown(&whole);
        prop_assert_eq!(shown(&devices[0]), never_deleted_since);
    }

    #[test]
    fn what_is_counted_stays_right(writes in writes(), keep in 0_u64..30) {
        let mut shelf = Shelf::default();
        for head in heads(&writes) {
            shelf.take(head);
        }
        shelf.retain(|_, seq| seq > keep);
        shelf.bury(u64::MAX, 0);
        prop_assert_eq!(shelf.len(), shelf.heads().count());
        prop_assert_eq!(shelf.bytes(), shelf.heads().map(|head| head.size as u64).sum::<u64>());
        prop_assert_eq!(shelf.set().len(), shelf.len());
    }
}
