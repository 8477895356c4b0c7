//! Records always end up everywhere, and so do documents (`documents`): seeded histories of a lossy, split, restarting network with clocks that are off.

mod documents;
mod story;
mod world;

use std::time::Instant;

use story::{Ending, Scale, live};
use world::{HOUR, SECOND, Weather, World};

const CALM: Weather = Weather { lost: 0, doubled: 0, reach: 100, latency: 20 };

/// Every set and every fold is equal in the end.
fn all_end_equal(scale: Scale) -> Ending {
    let begun = Instant::now();
    let (world, ending) = live(scale).unwrap();
    assert_eq!(world.written(), scale.records);
    assert!(world.all_equal());
    let mut memberships = world.memberships();
    let first = memberships.next().unwrap();
    assert!(memberships.all(|other| other == first), "the same records fold to the same membership");
    println!("{} in {:.1} s", serde_json::to_string(&ending).unwrap(), begun.elapsed().as_secs_f64());
    ending
}

#[test]
fn two_hundred_devices_with_two_thousand_records_end_equal() {
    let ending = all_end_equal(Scale { seed: 1, devices: 200, records: 2_000, losing: 5, reach: 25, burst: 5 });
    let tally = ending.tally;
    assert!(tally.lost > 0 && tally.doubled > 0 && tally.cut_short > 0 && tally.repaired > 0 && tally.refused > 0);
}

#[test]
fn many_small_networks_end_equal_whatever_happens() {
    for seed in 0..6 {
        all_end_equal(Scale { seed, devices: 24, records: 240, losing: 30, reach: 60, burst: 1 });
    }
}

#[test]
fn one_seed_is_one_history() {
    let scale = Scale { seed: 5, devices: 12, records: 150, losing: 30, reach: 60, burst: 1 };
    let tell = || serde_json::to_string(&live(scale).unwrap().1).unwrap();
    assert_eq!(tell(), tell());
}

#[test]
fn in_calm_weather_a_record_is_everywhere_at_once() {
    let mut world = World::new(3, 50, HOUR, CALM);
    world.relink();
    world.admit_all();
    world.settle(60 * SECOND).unwrap();
    world.run_for(60 * SECOND);
    let before = world.tally;
    world.write_something(1);
    let took = world.settle(SECOND).unwrap();
    assert!(took <= SECOND, "{took} ms");
    assert_eq!(world.tally.repaired, before.repaired, "no comparison was needed");
}

#[test]
fn a_clock_far_ahead_keeps_its_own_records_out_and_nobody_elses() {
    let mut world = World::new(4, 10, 0, CALM);
    world.relink();
    world.admit_all();
    world.settle(60 * SECOND).unwrap();
    world.set_skew(9, 30 * HOUR);
    let name = myownmesh_mesh::DeviceName::parse("Tomorrow").unwrap();
    let info = myownmesh_mesh::proto::record::DeviceInfo { name, os: String::new() };
    world.write(9, myownmesh_mesh::proto::record::Body::DeviceInfo(info));
    world.run_for(300 * SECOND);
    assert!(world.settle(SECOND).is_err(), "nobody takes it yet");
    let asked = world.tally.refused;
    world.write_something(1);
    world.run_for(300 * SECOND);
    let first = world.memberships().next().unwrap();
    assert_eq!(first.counted.len() + first.void.len(), world.written() - 1, "all but that one are there");
    assert!(world.tally.refused - asked <= 9, "a refused record is not fetched again and again");
    world.sleep(7 * HOUR);
    world.settle(300 * SECOND).unwrap();
    assert!(world.all_equal(), "its time has come");
}
