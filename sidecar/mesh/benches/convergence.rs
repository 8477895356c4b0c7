//! What it takes until every device has every record: the simulation of `tests/it/simulation`, at full size. One line of
//! JSON for each seed. `cargo bench -p myownmesh-mesh --bench convergence -- [SEEDS]`, three when not told.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/simulation/world.rs"]
mod world;

#[path = "../tests/it/simulation/story.rs"]
mod story;

use std::process::ExitCode;

use story::{Scale, live};

fn main() -> ExitCode {
    let seeds = std::env::args().skip(1).find_map(|seeds| seeds.parse().ok()).unwrap_or(3);
    for seed in 1..=seeds {
        let begun = std::time::Instant::now();
        match live(Scale { seed, devices: 200, records: 2_000, losing: 5, reach: 25, burst: 5 }) {
            Ok((_, ending)) => {
                let mut line = serde_json::to_value(&ending).unwrap_or_default();
                line["wall_s"] = begun.elapsed().as_secs_f64().into();
                println!("{line}");
            }
            Err(error) => {
                eprintln!("seed {seed}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
