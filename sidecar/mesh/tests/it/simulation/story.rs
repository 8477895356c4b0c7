//! What a world goes through: everything that can happen to a network of some hundred devices in a month.

use serde::Serialize;

use super::world::{HOUR, SECOND, Tally, Weather, World};

const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * HOUR;

/// How large, and how bad.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scale {
    /// Decides everything that is random.
    pub(crate) seed: u64,
    /// Devices.
    pub(crate) devices: usize,
    /// Records in the end.
    pub(crate) records: usize,
    /// How many of 1,000 messages are lost.
    pub(crate) losing: u32,
    /// How many of 100 pairs of devices can reach each other at all.
    pub(crate) reach: usize,
    /// How many records a device writes at once.
    pub(crate) burst: usize,
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ending {
    /// What was simulated.
    #[serde(flatten)]
    pub(crate) scale: Scale,
    /// From the founding until everybody had heard of every admission, in virtual milliseconds.
    pub(crate) founding_ms: i64,
    /// From the end of the turmoil until all that were there were equal, clocks far ahead aside: how long the last
    /// devices, away for a month, took once they were back, in virtual milliseconds.
    pub(crate) month_away_ms: i64,
    /// What it took altogether.
    #[serde(flatten)]
    pub(crate) tally: Tally,
}

/// Messages are lost, 2 % doubled, up to 400 ms each, clocks up to six hours off either way and two of them thirty
/// hours; admissions, then twenty minutes in which everybody talks while the network falls apart twice, devices restart
/// all the time and one in twenty is away; then a month of silence, and those who were away come back.
///
/// # Errors
/// When some device does not end with every record; says how many each lacks.
pub(crate) fn live(scale: Scale) -> Result<(World, Ending), String> {
    let Scale { seed, devices, records, losing, reach, burst } = scale;
    let mut world = World::new(seed, devices, 6 * HOUR, Weather { lost: losing, doubled: 20, reach, latency: 400 });
    world.relink();
    world.admit_all();
    let founding_ms = world.settle(10 * MINUTE)?;
    // From now on one is a day and more ahead of everybody, and one as far behind.
    world.set_skew(1, 30 * HOUR);
    world.set_skew(2, -30 * HOUR);
    let away: Vec<usize> = (3..devices).step_by(20).collect();
    away.iter().for_each(|node| world.stop(*node));

    let steps = 20 * 6;
    let each = (records - world.written()) / steps / burst;
    let mut resting = Vec::new();
    for step in 0..steps {
        match step {
            24 => world.partition(3),
            54 | 90 => world.partition(1),
            72 => world.partition(2),
            _ => {}
        }
        if let Some(node) = resting.pop() {
            world.start(node);
        } else {
            let node = 4 + step % (devices - 4);
            if !away.contains(&node) {
                world.stop(node);
                resting.push(node);
            }
        }
        for _ in 0..each {
            world.run_for(10 * SECOND / i64::try_from(each).unwrap_or(1).max(1));
            world.write_something(burst);
        }
        world.run_for(SECOND);
    }
    while world.written() < records {
        world.write_something(1);
    }
    resting.into_iter().for_each(|node| world.start(node));
    world.run_for(2 * MINUTE);
    world.sleep(30 * DAY);
    away.iter().for_each(|node| world.start(*node));
    let month_away_ms = world.settle(10 * MINUTE)?;
    let ending = Ending { scale, founding_ms, month_away_ms, tally: world.tally };
    Ok((world, ending))
}
