//! How documents keep in step between real daemons: an edit on its way to everybody, a device that missed ten among a
//! thousand, and what ten thousand edits of one prompt leave on the disk.
//!
//! `npm run bench -- sync` runs it; `--quick` runs a small version, to see that it works. Every daemon is a process of its
//! own on loopback, watched over the control socket as the app does it.

#[path = "../parts/daemon.rs"]
mod daemon;
#[expect(dead_code, reason = "the other benchmarks use the rest")]
#[path = "../parts/fleet.rs"]
mod fleet;
#[path = "../parts/machine.rs"]
mod machine;
#[path = "../parts/report.rs"]
mod report;
#[path = "../parts/stats.rs"]
mod stats;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fleet::{Fleet, Member};
use futures_util::future::try_join_all;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::types::{PromptDraft, PromptFormat, SyncState};
use report::{MS, Report, always_below, ms, p95_below};

/// How much is measured.
struct Plan {
    rounds: usize,
    /// Sizes of the network over which one edit is measured.
    sizes: [usize; 2],
    /// Prompts that are there; a tenth of them beside it, to show what the bytes grow with.
    prompts: usize,
    /// How many of them a device misses.
    missed: usize,
    absences: usize,
    edits: usize,
}

const FULL: Plan = Plan { rounds: 40, sizes: [5, 20], prompts: 1_000, missed: 10, absences: 10, edits: 10_000 };
const QUICK: Plan = Plan { rounds: 4, sizes: [2, 4], prompts: 50, missed: 3, absences: 2, edits: 100 };

/// The command line: `[--quick] [--json FILE]`.
struct Options {
    plan: Plan,
    json: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { plan: FULL, json: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.plan = QUICK,
                "--json" => options.json = Some(arguments.next().context("--json needs a file")?.into()),
                // What cargo adds.
                "--bench" => {}
                other => bail!("{other} is unknown; there are --quick and --json FILE"),
            }
        }
        Ok(options)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // `cargo test --benches` asks for a list or a quick pass; a benchmark is neither.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return Ok(());
    }
    let Options { plan, json } = Options::parse(std::env::args().skip(1))?;
    let machine = machine::describe();
    println!("Machine: {machine}; all daemons share it\n");
    let mut report = Report::default();
    let mut fleet = Fleet::found(u32::try_from(plan.sizes[1])?).await?;
    for size in plan.sizes {
        fleet.grow(size).await?;
        edits(&mut report, &fleet, plan.rounds).await?;
    }
    fleet.stop().await?;
    ratio(&report, "an edit", plan.sizes.map(|size| format!("1 edit over {size} devices, to each")));
    for (prompts, target) in [(plan.prompts / 10, false), (plan.prompts, true)] {
        catch_up(&mut report, &plan, prompts, target).await?;
    }
    let sizes = [plan.prompts / 10, plan.prompts];
    let row = |prompts| format!("{} of {prompts} prompts changed, bytes both ways", plan.missed);
    ratio(&report, "what was missed, in bytes,", sizes.map(row));
    disk(&mut report, plan.edits).await?;
    if let Some(path) = &json {
        report.save(path, &machine)?;
        println!("\nEvery sample is in {}.", path.display());
    }
    if !report.all_met() {
        println!("\nA target was missed.");
    }
    Ok(())
}

/// Says how the second of two rows compares with the first.
fn ratio(report: &Report, what: &str, rows: [String; 2]) {
    if let [Some(small), Some(large)] = rows.each_ref().map(|row| report.p50(row)) {
        println!("\n{}: {:.1} times {what} of {}.\n", rows[1], large / small, rows[0]);
    }
}

fn draft(id: &str, body: &str) -> PromptDraft {
    PromptDraft {
        id: Some(id.to_owned()),
        label: Some(id.to_owned()),
        body: Some(body.to_owned()),
        ..PromptDraft::default()
    }
}

/// Whether a device shows this text for this prompt.
fn shows(id: &str, body: &str) -> impl AsyncFnMut(&ControlClient) -> Result<Option<()>> {
    async move |client| {
        let prompts = client.prompt_list(None).await?;
        Ok(prompts.iter().any(|prompt| prompt.id == id && prompt.body == body).then_some(()))
    }
}

/// One device after the other changes a prompt; measures until each of the others shows the new text.
async fn edits(report: &mut Report, fleet: &Fleet, rounds: usize) -> Result<()> {
    let size = fleet.members.len();
    let (mut each, mut last) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let author = &fleet.members[round % size];
        let body = format!("Edit {round} among {size}");
        let others = fleet.members.iter().filter(|member| !std::ptr::eq(*member, author));
        let started = Instant::now();
        let seeing = try_join_all(others.map(|member| member.when("the edit is here", shows("greeting", &body))));
        let writing = async { Ok(author.client.prompt_set(draft("greeting", &body)).await?) };
        let (_, seen) = tokio::try_join!(writing, seeing)?;
        let took: Vec<f64> = seen.into_iter().map(|(at, ())| ms(started, at)).collect();
        last.push(took.iter().copied().fold(0.0, f64::max));
        each.extend(took);
    }
    let target = Some(p95_below(Duration::from_millis(500)));
    report.add(&format!("1 edit over {size} devices, to each"), MS, each, target);
    report.add(&format!("1 edit over {size} devices, to the last"), MS, last, None);
    Ok(())
}

/// Two devices with `prompts` prompts; one is switched off while the other changes some of them. Measures from switching on
/// until it shows all of them, and the bytes between the two until they say that they are equal.
async fn catch_up(report: &mut Report, plan: &Plan, prompts: usize, target: bool) -> Result<()> {
    let mut fleet = Fleet::found(1).await?;
    fleet.grow(2).await?;
    let [founder, other] = &fleet.members[..] else { bail!("two members") };
    founder.client.prompt_import(file(prompts)?, PromptFormat::Json).await?;
    other
        .when("all prompts are here", async |client| {
            Ok((client.prompt_list(None).await?.len() == prompts).then_some(()))
        })
        .await?;
    let (mut took, mut bytes) = (Vec::new(), Vec::new());
    for round in 0..plan.absences {
        equal(founder).await?;
        other.client.sync_set(false).await?;
        let changed: Vec<(String, String)> =
            (0..plan.missed).map(|n| (format!("p{}", n * prompts / plan.missed), format!("changed {round}"))).collect();
        for (id, body) in &changed {
            founder.client.prompt_set(draft(id, body)).await?;
        }
        let before = traffic(other).await?;
        let started = Instant::now();
        other.client.sync_set(true).await?;
        let (at, ()) = other
            .when("what was missed is here", async |client| {
                let list = client.prompt_list(None).await?;
                let has = |(id, body): &(String, String)| list.iter().any(|it| it.id == *id && it.body == *body);
                Ok(changed.iter().all(has).then_some(()))
            })
            .await?;
        took.push(ms(started, at));
        equal(founder).await?;
        let after = traffic(other).await?;
        bytes.push(f64::from(u32::try_from(after - before)?) / 1e3);
    }
    let what = format!("{} of {prompts} prompts changed, to having them", plan.missed);
    report.add(&what, MS, took, target.then(|| p95_below(Duration::from_millis(150))));
    let what = format!("{} of {prompts} prompts changed, bytes both ways", plan.missed);
    report.add(&what, "kB", bytes, target.then(|| always_below(50.0)));
    fleet.stop().await
}

/// Waits until a device knows that every other one has everything.
async fn equal(member: &Member) -> Result<()> {
    member
        .when("everybody has everything", async |client| {
            let status = client.sync_status().await?;
            Ok(status.devices.iter().all(|device| device.state == SyncState::Equal).then_some(()))
        })
        .await?;
    Ok(())
}

/// Bytes between a device and its one peer so far.
async fn traffic(member: &Member) -> Result<u64> {
    let connections = member.client.connection_list().await?;
    ensure!(connections.len() == 1, "one connection");
    Ok(connections[0].sent_bytes + connections[0].received_bytes)
}

/// A file of prompts as an export writes it.
fn file(prompts: usize) -> Result<String> {
    let prompt = |n| serde_json::json!({ "id": format!("p{n}"), "label": format!("Prompt {n}"), "body": "You are a patient teacher. ".repeat(20) });
    let prompts: Vec<_> = (0..prompts).map(prompt).collect();
    Ok(serde_json::to_string(&serde_json::json!({ "format": "myownllm prompts", "version": 1, "prompts": prompts }))?)
}

/// One prompt, changed again and again; measures each change, and what the home has on the disk then.
async fn disk(report: &mut Report, edits: usize) -> Result<()> {
    let fleet = Fleet::found(1).await?;
    let member = fleet.founder();
    let mut each = Vec::with_capacity(edits);
    for n in 0..edits {
        let body = format!("{n} {}", "You are a patient teacher. ".repeat(20));
        let started = Instant::now();
        member.client.prompt_set(draft("changing", &body)).await?;
        each.push(ms(started, Instant::now()));
    }
    report.add("writing one edit (answer of the daemon)", MS, each, None);
    // An orderly end writes everything into the one file; the home goes with the fleet.
    member.stop().await?;
    let size = std::fs::metadata(member.daemon.home.path().join("device.sqlite"))?.len();
    let megabytes = f64::from(u32::try_from(size)?) / 1e6;
    report.add(&format!("database after {edits} edits of one prompt"), "MB", vec![megabytes], None);
    Ok(())
}
