//! What a network of real daemons costs and how quick it is: coming in, going out, switching, records, idling.
//!
//! `npm run bench -- mesh` runs it; `--quick` runs a small version, to see that it works. Every daemon is a process of its
//! own on loopback with a home of its own, watched over the control socket as the app does it: an event comes, the
//! question is asked, the answer is the time. All share the machine, so times are upper bounds of what devices of their
//! own would show.

#[path = "../parts/daemon.rs"]
mod daemon;
mod doors;
#[path = "../parts/fleet.rs"]
mod fleet;
#[path = "../parts/machine.rs"]
mod machine;
mod records;
#[path = "../parts/report.rs"]
mod report;
#[path = "../parts/stats.rs"]
mod stats;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fleet::Fleet;
use report::Report;

/// How much is measured.
struct Plan {
    /// Rounds of a knock, of a removal, and of a new record.
    rounds: usize,
    switches: usize,
    /// Records that a device misses, and how often it does.
    missed: usize,
    absences: usize,
    /// Sizes of the network at which idling is measured.
    sizes: [usize; 3],
    /// Devices over which one new record is measured, beside the same over 2.
    spread: usize,
    idle: Duration,
}

const FULL: Plan = Plan {
    rounds: 20,
    switches: 40,
    missed: 1000,
    absences: 5,
    sizes: [2, 10, 25],
    spread: 20,
    idle: Duration::from_secs(20),
};

const QUICK: Plan =
    Plan { rounds: 3, switches: 6, missed: 50, absences: 1, sizes: [2, 4, 6], spread: 5, idle: Duration::from_secs(2) };

/// The parts, by the name that `--only` takes.
const PARTS: [&str; 5] = ["knock", "switch", "removal", "catch-up", "fleet"];

/// The command line: `[--quick] [--only PART] [--json FILE]`.
struct Options {
    plan: Plan,
    only: Option<String>,
    json: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { plan: FULL, only: None, json: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.plan = QUICK,
                "--only" => options.only = Some(arguments.next().context("--only needs the name of a part")?),
                "--json" => options.json = Some(arguments.next().context("--json needs a file")?.into()),
                // What cargo adds.
                "--bench" => {}
                other => bail!("{other} is unknown; there are --quick, --only PART and --json FILE"),
            }
        }
        if let Some(name) = &options.only
            && !PARTS.contains(&name.as_str())
        {
            bail!("there is no part {name}; there are {}", PARTS.join(", "));
        }
        Ok(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // `cargo test --benches` asks for a list or a quick pass; a benchmark is neither.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return Ok(());
    }
    let options = Options::parse(std::env::args().skip(1))?;
    let plan = &options.plan;
    let machine = machine::describe();
    println!("Machine: {machine}; all daemons share it\n");
    let mut report = Report::default();
    if options.wants("knock") {
        doors::decision(&mut report, plan.rounds).await?;
    }
    if options.wants("switch") {
        doors::switch(&mut report, plan.switches).await?;
    }
    if options.wants("removal") {
        doors::removal(&mut report, 5, plan.rounds).await?;
    }
    if options.wants("catch-up") {
        records::catch_up(&mut report, plan.missed, plan.absences).await?;
    }
    if options.wants("fleet") {
        grow(&mut report, plan).await?;
    }
    if let Some(path) = &options.json {
        report.save(path, &machine)?;
        println!("\nEvery sample is in {}.", path.display());
    }
    if !report.all_met() {
        println!("\nA target was missed.");
    }
    Ok(())
}

/// One network that grows, and what depends on its size.
async fn grow(report: &mut Report, plan: &Plan) -> Result<()> {
    let most = plan.sizes[2].max(plan.spread);
    let mut fleet = Fleet::found(u32::try_from(most)?).await?;
    let mut steps: Vec<usize> = plan.sizes.iter().copied().chain([plan.spread]).collect();
    steps.sort_unstable();
    steps.dedup();
    for size in steps {
        fleet.grow(size).await?;
        if plan.sizes.contains(&size) {
            records::idle(report, &fleet, plan.idle).await?;
        }
        if size == 2 || size == plan.spread {
            records::convergence(report, &fleet, plan.rounds * 2).await?;
        }
    }
    let [pair, many] = [2, plan.spread].map(|size| report.p50(&format!("1 new record over {size} devices, to each")));
    if let (Some(pair), Some(many)) = (pair, many) {
        println!(
            "\nOne new record takes {:.1} times as long to each of {} devices as to one.\n",
            many / pair,
            plan.spread
        );
    }
    fleet.stop().await
}
