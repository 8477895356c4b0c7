//! From one network to another and back while answers run.

use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::DeviceState;

use crate::harness::story::{self, first_words, offers, online, question};
use crate::harness::{Daemon, process};
use crate::net::{Net, Quality};
use crate::roles::{Player, engine_url};
use crate::steps::failure;

/// The promise for a switch.
const SWITCH: Duration = Duration::from_millis(500);
/// There and back this often.
const ROUNDS: usize = 50;

/// What a process holds: sockets, threads, and memory in kilobytes.
fn held(pid: u32) -> (usize, usize, usize) {
    let entries = |folder: &str| std::fs::read_dir(format!("/proc/{pid}/{folder}")).into_iter().flatten().flatten();
    let socket = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    (entries("fd").filter(socket).count(), entries("task").count(), memory.unwrap_or(0))
}

async fn switch(daemon: &Daemon, network: &str) -> Duration {
    let asked = Instant::now();
    let now = daemon.control.network_use(network.to_owned()).await.expect("it is saved");
    assert!(now.active && now.name == network, "{now:?}");
    asked.elapsed()
}

pub(crate) async fn a_hundred_switches_leave_nothing_behind() {
    let net = Net::new(3);
    net.set(Quality::delay(5));
    let mut engine = Player::engine(&net, 0).await;
    let desk = net.place(0, "Desk").with(["--engine", &engine_url()]);
    let (lap, pad) = (net.place(1, "Lap"), net.place(2, "Pad"));
    let (desk, lap, pad) = tokio::join!(desk.start(), lap.start(), pad.start());
    story::pair(&desk, &lap).await;
    story::found(&pad, "Club").await;
    story::admit(&pad, &lap).await;
    let (mut times, mut early) = (Vec::new(), (0, 0, 0));
    for round in 0..ROUNDS {
        times.push(switch(&lap, "Home").await);
        online(&lap, &desk).await;
        offers(&lap, &desk, "talk").await;
        let names: Vec<String> =
            lap.control.device_list().await.expect("a list").into_iter().map(|device| device.name).collect();
        assert_eq!(names, ["Lap", "Desk"], "only the devices of this network");
        let answer = first_words(&lap, question("Desk", "talk")).await;
        assert_eq!(engine.line().await, "start");
        times.push(switch(&lap, "Club").await);
        let reason = failure(&lap, &answer).await;
        assert!(reason.ends_with('.'), "not a sentence: {reason:?}");
        assert_eq!(engine.line().await, "end", "it ends where it runs");
        online(&lap, &pad).await;
        if round == ROUNDS / 5 {
            early = held(lap.pid());
        }
    }
    let late = held(lap.pid());
    times.sort_unstable();
    let (median, slow) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    println!("{} switches: median {median:?}, 95 % within {slow:?}, slowest {:?}", times.len(), times[times.len() - 1]);
    println!("sockets, threads, kB: {early:?} after {} switches, {late:?} at the end", 2 * (ROUNDS / 5 + 1));
    assert!(slow < SWITCH, "95 % of switches within {slow:?}");
    assert!(late.0 <= early.0 + 2, "sockets: {early:?}, then {late:?}");
    assert!(late.1 <= early.1 + 2, "threads: {early:?}, then {late:?}");
    assert!(late.2 < early.2 + 10_000, "memory: {early:?}, then {late:?}");
    assert!(process::children(lap.pid()).is_empty());

    // While the link is down a switch is as quick, and what is shown is true.
    net.link(0, 1).cut();
    assert!(switch(&lap, "Home").await < SWITCH);
    story::state(&lap, &desk, DeviceState::Away).await;
    net.link(0, 1).mend();
    online(&lap, &desk).await;
    net.assert_closed();
}
