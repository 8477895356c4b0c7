//! A thousand keys at the door. The attackers are a process of their own, so that this one's memory is the victim's.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use myownmesh_mesh::proto::code::Nonce;
use myownmesh_mesh::proto::frame::{self, FrameDecoder};
use myownmesh_mesh::proto::knock::{GuestFrame, HostFrame, KNOCK_ALPN};
use myownmesh_mesh::{DeviceId, MeshEvent, NetworkId};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::liar::*;
use crate::support::*;

/// Names the order for the attackers' process; without it that test is not one.
const ORDER: &str = "MYOWNMESH_TEST_ATTACK";
/// How many keys knock.
const KEYS: u32 = 1_000;
/// How many of them at a time.
const WAVE: u32 = 25;
/// More knocks than this are never shown.
const MOST_SHOWN: usize = 32;
/// What the flood may leave in memory. 1,000 endpoints of their own would be 9,000 MB.
const MOST_GROWTH_KIB: u64 = 48 * 1024;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    host: DeviceId,
    at: Vec<SocketAddr>,
    network: NetworkId,
    /// Whether every wave comes from an address of its own.
    many_addresses: bool,
}

/// How the knocks ended.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    waiting: u32,
    busy: u32,
    turned_away: u32,
    denied: u32,
}

/// Memory of this process in KiB; `None` where that cannot be told.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

fn key(number: u32) -> [u8; 32] {
    let mut key = [0xaa; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    key
}

/// One key's knock, held open when it may wait.
async fn knock(order: &Order, number: u32, tally: &mut Tally) -> Option<(Liar, iroh::endpoint::Connection)> {
    // 127.1.n.1: every wave somewhere else.
    let wave = u8::try_from(number / WAVE).unwrap_or(255);
    let ip = if order.many_addresses { Ipv4Addr::new(127, 1, wave, 1) } else { Ipv4Addr::LOCALHOST };
    let liar = Liar::with(key(number), ip, &[]).await;
    let nonce = Nonce(key(number));
    let conversation = async {
        let connection = liar.connect_to(order.host, &order.at, KNOCK_ALPN).await.ok()?;
        let (mut send, mut recv) = connection.open_bi().await.ok()?;
        let hello = GuestFrame::Hello(liar.hello(order.network, &format!("Phone {number}"), nonce));
        send.write_all(&frame::encode(&hello, 1 << 16).ok()?).await.ok()?;
        let mut decoder = FrameDecoder::new(1 << 20);
        loop {
            decoder.push(&recv.read_chunk(1 << 16).await.ok()??).ok()?;
            match decoder.next().ok()? {
                None => {}
                Some(HostFrame::Challenge { .. }) => {
                    let reveal = GuestFrame::Reveal { nonce };
                    send.write_all(&frame::encode(&reveal, 64).ok()?).await.ok()?;
                }
                Some(last) => return Some((connection, send, last)),
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, conversation).await.ok().flatten();
    match ended {
        Some((connection, send, HostFrame::Waiting { .. })) => {
            tally.waiting += 1;
            // The stream stays open with the connection.
            tokio::spawn(async move {
                let mut send = send;
                let _ = send.stopped().await;
                let _ = send.finish();
            });
            return Some((liar, connection));
        }
        Some((_, _, HostFrame::Busy { .. })) => tally.busy += 1,
        Some(_) => tally.denied += 1,
        None => tally.turned_away += 1,
    }
    liar.endpoint.close().await;
    None
}

/// Not a test by itself: the attackers' side, in a process that `flood` starts.
#[test]
#[ignore = "the other half of the two floods below, which start it"]
fn attackers() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut tally, mut held) = (Tally::default(), Vec::new());
        for number in 0..KEYS {
            held.extend(knock(&order, number, &mut tally).await);
        }
        println!("\nTALLY {}", serde_json::to_string(&tally).unwrap());
        // They go on waiting until the victim has been looked at.
        let _ = BufReader::new(tokio::io::stdin()).read_line(&mut String::new()).await;
    });
}

/// Lets the attackers loose on a host with an honest member; tells how their knocks ended.
async fn flood(many_addresses: bool) -> Tally {
    let (host, honest) = pair().await;
    let (pictures, mut events) = (host.mesh.watch(), host.mesh.events());
    let most = tokio::spawn(most_knocks(pictures));
    let network = network_of(&host);
    // A first answer, so that what grows once has grown.
    honest.text(host.id(), "/who").await.unwrap();
    let before = resident();
    let order = Order { host: host.id(), at: host.mesh.snapshot().listen.clone(), network, many_addresses };
    let mut attackers = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "adversary::flood::attackers", "--ignored", "--nocapture"])
        .env(ORDER, serde_json::to_string(&order).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(attackers.stdout.take().unwrap()).lines();
    let (mut slowest, mut answers) = (Duration::ZERO, 0);
    let tally: Tally = loop {
        tokio::select! {
            line = lines.next_line() => {
                let line = line.unwrap().expect("the attackers end with their tally");
                if let Some(tally) = line.strip_prefix("TALLY ") {
                    break serde_json::from_str(tally).unwrap();
                }
            }
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                // All the while an honest member is served.
                let began = Instant::now();
                assert_eq!(honest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
                (slowest, answers) = (slowest.max(began.elapsed()), answers + 1);
            }
        }
    };
    let after = resident();
    let shown = host.mesh.snapshot().knocks.len();
    let (mut arrived, mut refused) = (0, 0);
    while let Ok(event) = events.try_recv() {
        arrived += usize::from(matches!(event, MeshEvent::KnockArrived(_)));
        refused += usize::from(matches!(event, MeshEvent::Refused { .. }));
    }
    println!(
        "{KEYS} keys, many addresses: {many_addresses}: {tally:?}; shown {shown}, arrivals told {arrived}, refusals told \
         {refused}; memory {before:?} -> {after:?} KiB; {answers} honest answers, the slowest {slowest:?}"
    );
    assert!(shown <= MOST_SHOWN && arrived <= MOST_SHOWN, "{shown} shown, {arrived} told");
    assert!(refused > 0 && refused <= 100, "{refused} refusals told");
    assert!(answers > 0);
    if let (Some(before), Some(after)) = (before, after) {
        assert!(after.saturating_sub(before) < MOST_GROWTH_KIB, "{before} -> {after} KiB");
    }
    attackers.stdin.take().unwrap().write_all(b"\n").await.unwrap();
    attackers.wait().await.unwrap();
    host.until(|picture| picture.knocks.is_empty()).await;
    assert!(most.await.unwrap() <= MOST_SHOWN, "never more on the screen");
    // What the flood kept out, and honest devices that knock after it.
    assert_eq!(host.mesh.snapshot().members.len(), 2);
    assert_eq!(honest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
    tally
}

/// The most knocks that were on the screen at once, until there are none again.
async fn most_knocks(
    mut pictures: tokio::sync::watch::Receiver<std::sync::Arc<myownmesh_mesh::MeshSnapshot>>,
) -> usize {
    let mut most = 0;
    while pictures.changed().await.is_ok() {
        let now = pictures.borrow_and_update().knocks.len();
        most = most.max(now);
        if most > 0 && now == 0 {
            break;
        }
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_keys_from_one_address_leave_the_screen_usable() {
    let tally = Box::pin(flood(false)).await;
    assert_eq!(tally.waiting, 16, "sixteen of one address may wait");
    assert_eq!(tally.waiting + tally.busy + tally.turned_away + tally.denied, KEYS);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_keys_from_forty_addresses_leave_the_screen_usable() {
    let tally = Box::pin(flood(true)).await;
    assert!(tally.waiting >= 16 && tally.waiting <= 32, "{tally:?}");
    assert_eq!(tally.denied, 0, "{tally:?}");
}
