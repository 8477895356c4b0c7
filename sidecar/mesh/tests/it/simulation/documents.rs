//! Documents in the same world: edits on all devices, partitions, restarts, clocks up to a day off either way, devices that
//! come back after a hundred days. In the end all show the same, no update that was causally last is lost, and nothing that
//! was deleted is back.

use std::collections::{BTreeMap, BTreeSet};

use myownmesh_mesh::proto::document::{Collection, DocumentId, Entry};
use myownmesh_mesh::proto::ids::RecordId;
use rand::Rng as _;

use super::world::{HOUR, SECOND, Weather, World};

const DAY: i64 = 24 * HOUR;
const MINUTE: i64 = 60 * SECOND;
const DOCUMENTS: usize = 40;

/// One write, and which writes of the same document its author had come by.
struct Write {
    record: RecordId,
    deleted: bool,
    after: BTreeSet<RecordId>,
}

/// Who wrote what, knowing what.
#[derive(Default)]
struct Annals {
    documents: BTreeMap<usize, Vec<Write>>,
}

impl Annals {
    /// A random device that is up writes or deletes a random document.
    fn write_something(&mut self, world: &mut World, devices: usize) {
        let up: Vec<usize> = (0..devices).filter(|node| world.is_up(*node)).collect();
        let author = up[world.rng.random_range(0..up.len())];
        let (document, deleted) = (world.rng.random_range(0..DOCUMENTS), world.rng.random_range(0..4) == 0);
        let writes = self.documents.entry(document).or_default();
        let seen = writes.iter().map(|write| write.record).filter(|record| world.has_seen(author, record));
        let after: BTreeSet<RecordId> = seen.collect();
        let entry = Entry {
            collection: Collection::parse("prompts").unwrap(),
            own: false,
            id: DocumentId::parse(&format!("d{document}")).unwrap(),
            value: (!deleted).then(|| vec![b'x'; world.rng.random_range(1..200)]),
        };
        let record = world.edit(author, entry).id();
        writes.push(Write { record, deleted, after });
    }

    /// Of each document, the writes that nobody wrote on top of: one of them has to stand.
    fn last_words(&self) -> impl Iterator<Item = (usize, Vec<&Write>)> {
        self.documents.iter().map(|(document, writes)| {
            let followed = |write: &&Write| !writes.iter().any(|other| other.after.contains(&write.record));
            (*document, writes.iter().filter(followed).collect())
        })
    }
}

fn check(world: &World, annals: &Annals, devices: usize) {
    for node in 0..devices {
        let shelf = world.shelf(node);
        let shown: BTreeSet<RecordId> = shelf.heads().filter(|head| !head.deleted).map(|head| head.record).collect();
        for (document, last) in annals.last_words() {
            let stands: Vec<&&Write> = last.iter().filter(|write| shown.contains(&write.record)).collect();
            let deleted = last.iter().any(|write| write.deleted);
            assert!(stands.len() == 1 || (stands.is_empty() && deleted), "d{document} at {node}: a last word is lost");
        }
        let known: BTreeSet<RecordId> = annals.last_words().flat_map(|(_, last)| last).map(|it| it.record).collect();
        assert!(shown.is_subset(&known), "{node} shows what was overwritten or deleted");
    }
}

/// Turmoil, then quiet until all are equal.
fn live(seed: u64, devices: usize, losing: u32, reach: usize) {
    let weather = Weather { lost: losing, doubled: 20, reach, latency: 400 };
    let mut world = World::of_documents(seed, devices, DAY, weather);
    let mut annals = Annals::default();
    // The founder, whom everybody reaches, has the right time: everybody else is up to a day off it.
    world.set_skew(0, 0);
    world.relink();
    world.run_for(MINUTE);
    let away: Vec<usize> = (3..devices).step_by(10).collect();
    let mut resting: Vec<usize> = Vec::new();
    for step in 0..120 {
        match step {
            30 => world.partition(3),
            50 | 90 => world.partition(1),
            70 => world.partition(2),
            20 => away.iter().for_each(|node| world.stop(*node)),
            _ => {}
        }
        if let Some(node) = resting.pop() {
            world.start(node);
        } else {
            let node = 1 + step % (devices - 1);
            if !away.contains(&node) {
                world.stop(node);
                resting.push(node);
            }
        }
        for _ in 0..4 {
            annals.write_something(&mut world, devices);
            world.run_for(SECOND);
        }
    }
    resting.into_iter().for_each(|node| world.start(node));
    // What was ahead of somebody's clock is believed by then; and what was deleted is buried before the last come back.
    world.sleep(3 * DAY);
    world.run_for(10 * MINUTE);
    world.sleep(100 * DAY);
    world.bury_all();
    away.iter().for_each(|node| world.start(*node));
    let took = world.settle_documents(30 * MINUTE).unwrap();
    world.run_for(5 * MINUTE);
    world.settle_documents(SECOND).unwrap();
    check(&world, &annals, devices);
    let tally = world.tally;
    assert!(losing == 0 || tally.lost > 0);
    println!("seed {seed}: {} writes, equal {took} ms after the last came back, {tally:?}", world.written());
}

#[test]
fn documents_of_fifty_devices_end_equal_and_no_last_word_is_lost() {
    live(1, 50, 5, 40);
}

#[test]
fn documents_of_many_small_networks_end_equal_whatever_happens() {
    for seed in 2..10 {
        live(seed, 12, 30, 60);
    }
}
