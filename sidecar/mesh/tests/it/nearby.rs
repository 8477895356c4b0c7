//! The local network: multicast DNS between real devices, each test in a network namespace of its own with nothing but
//! loopback, so that nothing of the machine's network is heard or disturbed.

use std::process::Command;

use myownmesh_mesh::{ErrorKind, LinkState, ProbeCause, Role, SettingsPatch};

use super::support::*;

/// Says inside which namespace a test runs.
const INSIDE: &str = "MYOWNMESH_TEST_NAMESPACE";
const MULTICAST: &str = "ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo";
const NO_MULTICAST: &str = "ip link set lo up";

/// Whether this process is in the namespace. If not, runs the test again in a fresh one, prepared by `setup`.
fn inside(test: &str, setup: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let fits = |flags: &&[&str]| Command::new("unshare").args(*flags).arg("true").status().is_ok_and(|it| it.success());
    let Some(flags) = [&["-n"][..], &["-r", "-n"][..]].into_iter().find(fits) else {
        println!("left out: this machine lets nobody make a network namespace");
        return false;
    };
    let program = std::env::current_exe().unwrap();
    let script = format!("{setup} && exec \"$0\" --exact nearby::{test} --nocapture");
    let status =
        Command::new("unshare").args(flags).args(["sh", "-c", &script]).arg(program).env(INSIDE, test).status();
    assert!(status.unwrap().success(), "it failed in its namespace");
    false
}

async fn device(name: &'static str, seed: u8) -> Device {
    Device::start_with(name, seed, |config| config.mdns = true).await
}

fn announce(on: bool) -> SettingsPatch {
    SettingsPatch { announce: Some(on), ..SettingsPatch::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_nearby_is_seen_knocked_at_and_missed() {
    if !inside("a_device_nearby_is_seen_knocked_at_and_missed", MULTICAST) {
        return;
    }
    let host = device("Attic", 1).await;
    let guest = device("Laptop", 2).await;
    host.found("Home").await;
    let seen = guest.until(|picture| !picture.nearby.is_empty()).await.nearby[0].clone();
    assert_eq!((seen.device_id, seen.name.as_str(), seen.network), (host.id(), "Attic", None));
    let refused = guest.mesh.join_nearby(host.id()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotAllowed);

    let network = host.mesh.snapshot().active.unwrap();
    host.mesh.set_network_settings(network, announce(true)).await.unwrap();
    let seen = guest.until(|picture| picture.nearby.iter().any(|it| it.network.is_some())).await.nearby[0].clone();
    let announced = seen.network.unwrap();
    assert_eq!((announced.id, announced.name.as_str()), (network, "Home"));

    let mut progress = guest.mesh.join_nearby(host.id()).await.unwrap();
    let code = until_knocking(&mut progress).await;
    host.mesh.approve(host.knock().await.id, Role::Member, Some(code)).await.unwrap();
    last(&mut progress).await;
    guest.until_linked(&[host.id()]).await;
    host.until(|picture| picture.nearby.iter().any(|it| it.device_id == guest.id())).await;

    // What is taken back is gone from the air, and so is a device that left.
    host.mesh.set_network_settings(network, announce(false)).await.unwrap();
    guest.until(|picture| picture.nearby.iter().any(|it| it.network.is_none())).await;
    let id = host.id();
    host.mesh.shutdown().await;
    guest.until(|picture| picture.nearby.is_empty()).await;
    assert_eq!(guest.mesh.join_nearby(id).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_both_moved_find_each_other_nearby() {
    if !inside("members_that_both_moved_find_each_other_nearby", MULTICAST) {
        return;
    }
    let (host, guest) = pair().await;
    let (host_id, guest_id) = (host.id(), guest.id());
    host.mesh.shutdown().await;
    guest.mesh.shutdown().await;
    let moved = |address: &'static str| {
        move |config: &mut myownmesh_mesh::MeshConfig| {
            config.listen = vec![address.parse().unwrap()];
            config.mdns = true;
        }
    };
    let host = host.restart_with(moved("127.0.0.2:0")).await;
    let guest = guest.restart_with(moved("127.0.0.3:0")).await;
    guest.until_linked(&[host_id]).await;
    host.until_linked(&[guest_id]).await;
    // Switched off by the network, nobody is seen any more; the link stays.
    let network = host.mesh.snapshot().active.unwrap();
    let patch = SettingsPatch { mdns: Some(false), ..SettingsPatch::default() };
    host.mesh.set_network_settings(network, patch).await.unwrap();
    guest.until(|picture| picture.nearby.is_empty()).await;
    assert_eq!(guest.text(host_id, "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_multicast_route_is_named() {
    if !inside("a_missing_multicast_route_is_named", NO_MULTICAST) {
        return;
    }
    let host = device("Attic", 1).await;
    let guest = device("Laptop", 2).await;
    host.found("Home").await;
    join(&host, &guest).await;
    guest.mesh.shutdown().await;
    host.until(|picture| matches!(picture.member(guest.id()).unwrap().link, LinkState::Away { .. })).await;
    let report = host.mesh.probe(guest.id()).await;
    assert!(report.found.ok);
    let reachable = report.reachable.unwrap();
    assert_eq!(reachable.cause, Some(ProbeCause::MulticastMissing), "{}", reachable.detail);
    assert!(reachable.detail.contains("multicast route"), "{}", reachable.detail);
}
