//! Records on their way: one new one to everybody, and a thousand to a device that was away.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;

use crate::fleet::{Fleet, Member};
use crate::machine::cpu_seconds;
use crate::report::{MS, Report, always_below, ms, p95_below};

/// One device after the other renames itself; measures until each of the others shows the new name.
pub(crate) async fn convergence(report: &mut Report, fleet: &Fleet, rounds: usize) -> Result<()> {
    let size = fleet.members.len();
    let (mut each, mut last, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let before = fleet.cpu_ms();
        let author = &fleet.members[round % size];
        let id = author.id()?;
        let name = format!("Renamed {size} {round}");
        let others = fleet.members.iter().filter(|member| !std::ptr::eq(*member, author));
        let started = Instant::now();
        let seeing = try_join_all(others.map(|member| member.when("the new name is here", shows(id, &name))));
        let (_, seen) = tokio::try_join!(async { Ok(author.client.device_name(name.clone()).await?) }, seeing)?;
        let took: Vec<f64> = seen.into_iter().map(|(at, ())| ms(started, at)).collect();
        last.push(took.iter().copied().fold(0.0, f64::max));
        each.extend(took);
        cpu.push(fleet.cpu_ms() - before);
    }
    report.add(
        &format!("1 new record over {size} devices, to each"),
        MS,
        each,
        Some(p95_below(Duration::from_millis(500))),
    );
    report.add(&format!("1 new record over {size} devices, to the last"), MS, last, None);
    report.add(&format!("CPU of all {size} together for 1 new record"), MS, cpu, None);
    Ok(())
}

/// Whether a member shows this name for this device.
fn shows(id: &str, name: &str) -> impl AsyncFnMut(&ControlClient) -> Result<Option<()>> {
    async move |client| {
        let devices = client.device_list().await?;
        Ok(devices.iter().any(|device| device.device_id == id && device.name == name).then_some(()))
    }
}

/// A device is away while the founder writes `records`; measures from the start of its process until it has them all,
/// beside the same start with nothing missed.
pub(crate) async fn catch_up(report: &mut Report, records: usize, rounds: usize) -> Result<()> {
    let mut fleet = Fleet::found(1).await?;
    fleet.grow(2).await?;
    let (mut nothing, mut missed, mut writing) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        fleet.members[1].stop().await?;
        let started = fleet.members[1].start_again().await?;
        nothing.push(ms(started, fleet.members[1].connected_to(1).await?));

        fleet.members[1].stop().await?;
        let founder = fleet.founder();
        let mut network = founder.client.network_show(None).await?.name;
        let began = Instant::now();
        for number in 0..records {
            let next = format!("bench {round} {number}");
            founder.client.network_rename(network, next.clone()).await?;
            network = next;
        }
        writing.push(ms(began, Instant::now()) / f64::from(u32::try_from(records)?));
        let wanted = decisions(&founder.client).await?;
        let started = fleet.members[1].start_again().await?;
        let (at, ()) = fleet.members[1]
            .when("all records are here", async |client| Ok((decisions(client).await? == wanted).then_some(())))
            .await?;
        missed.push(ms(started, at));
    }
    report.add("start of a device that missed nothing, to connected", MS, nothing, None);
    report.add(&format!("start of a device that missed {records} records, to having all"), MS, missed, None);
    report.add("writing one record (answer of the daemon)", MS, writing, None);
    fleet.stop().await
}

/// How many decisions a device knows of, and the newest.
async fn decisions(client: &ControlClient) -> Result<(usize, String)> {
    let list = client.decision_list(None).await?;
    let newest = list.first().context("a network has a founding")?;
    Ok((list.len(), newest.id.clone()))
}

/// What each daemon of a fleet costs while nothing happens.
pub(crate) async fn idle(report: &mut Report, fleet: &Fleet, window: Duration) -> Result<()> {
    let size = fleet.members.len();
    // What joining left to do is not idleness.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let cpu = |member: &Member| cpu_seconds(member.daemon.pid);
    let before: Vec<f64> = fleet.members.iter().map(cpu).collect();
    let started = Instant::now();
    tokio::time::sleep(window).await;
    let wall = started.elapsed().as_secs_f64();
    let used = fleet.members.iter().zip(before).map(|(member, before)| (cpu(member) - before) / wall * 100.0).collect();
    let memory = fleet.members.iter().map(|member| resident_mb(member.daemon.pid)).collect::<Result<_>>()?;
    let ten = size == 10;
    report.add(
        &format!("idle CPU of a daemon among {size} devices"),
        "% of a core",
        used,
        ten.then(|| always_below(1.0)),
    );
    report.add(&format!("memory of a daemon among {size} devices"), "MB", memory, ten.then(|| always_below(60.0)));
    Ok(())
}

/// Resident memory of a process in MB (10^6 bytes), from `/proc/PID/status`.
fn resident_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
