//! Coming in, going out, and changing networks: a decision until the device is active, a removal until it is cut off, a
//! switch.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::types::InviteOptions;
use tokio::try_join;

use crate::fleet::{Fleet, Member};
use crate::report::{MS, Report, always_below, ms, p95_below};

/// From the approval on the member's screen until the knocking device is an active member.
pub(crate) async fn decision(report: &mut Report, rounds: usize) -> Result<()> {
    let desk = Member::start("Desk").await?;
    desk.found("home").await?;
    let (mut active, mut linked) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let guest = Member::start(&format!("Guest {round}")).await?;
        let link = desk.link(InviteOptions::default()).await?;
        let id = guest.client.join_start(link).await?;
        let mut decided = Instant::now();
        let joined = guest
            .joined(id, async |code| {
                let (_, knock) = desk.when("the knock lies here", knock_with(code)).await?;
                decided = Instant::now();
                desk.client.knock_approve(knock, None, Some(code.to_owned())).await?;
                Ok(())
            })
            .await?;
        active.push(ms(decided, joined));
        linked.push(ms(decided, guest.connected_to(1).await?));
        // The next round must not pay for members that are away.
        desk.client.device_remove(guest.id()?.to_owned()).await?;
        guest.stop().await?;
    }
    report.add("decision on a knock to active member", MS, active, Some(p95_below(Duration::from_millis(300))));
    report.add("decision on a knock to connected with the first member", MS, linked, None);
    desk.stop().await
}

/// Finds the knock that shows this code.
fn knock_with(code: &str) -> impl AsyncFnMut(&ControlClient) -> Result<Option<String>> {
    async move |client| {
        let knocks = client.knock_list().await?;
        Ok(knocks.into_iter().find(|knock| knock.code == code).map(|knock| knock.id))
    }
}

/// From asking for the other network until the answer, and until its first member is connected.
pub(crate) async fn switch(report: &mut Report, rounds: usize) -> Result<()> {
    let hosts = [Member::start("Desk").await?, Member::start("Office").await?];
    let laptop = Member::start("Laptop").await?;
    let names = ["home", "work"];
    for (host, name) in hosts.iter().zip(names) {
        host.found(name).await?;
        laptop.join(&host.pre_approved(1).await?).await?;
        laptop.connected_to(1).await?;
    }
    let (mut answered, mut connected) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let started = Instant::now();
        laptop.client.network_use(names[round % 2].to_owned()).await?;
        answered.push(ms(started, Instant::now()));
        connected.push(ms(started, laptop.connected_to(1).await?));
    }
    report.add("switch of the network to its answer", MS, answered, Some(p95_below(Duration::from_millis(500))));
    report.add(
        "switch of the network to connected with a member",
        MS,
        connected,
        Some(p95_below(Duration::from_millis(500))),
    );
    try_join_all(hosts.iter().chain([&laptop]).map(Member::stop)).await?;
    Ok(())
}

/// From the removal on the founder's screen until the removed device knows, and until every other member has cut it off.
pub(crate) async fn removal(report: &mut Report, size: usize, rounds: usize) -> Result<()> {
    // The guests use the link up too.
    let mut fleet = Fleet::found(u32::try_from(size + rounds)?).await?;
    fleet.grow(size).await?;
    let (mut answered, mut told, mut cut) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let guest = fleet.guest(&format!("Guest {round}")).await?;
        let id = guest.id()?.to_owned();
        let started = Instant::now();
        let removing = async {
            let removal = fleet.founder().client.device_remove(id.clone()).await?;
            Ok((Instant::now(), removal))
        };
        let hearing = guest.when("the removed device knows", async |client| {
            let networks = client.network_list().await?;
            Ok(networks.iter().any(|network| network.ended.is_some()).then_some(()))
        });
        let cutting = try_join_all(fleet.members[1..].iter().map(|member| {
            member.when("the removed device is cut off", async |client| {
                let devices = client.device_list().await?;
                Ok(devices.iter().all(|device| device.device_id != id).then_some(()))
            })
        }));
        let ((returned, removal), (heard, ()), all) = try_join!(removing, hearing, cutting)?;
        answered.push(ms(started, returned));
        told.push(ms(started, heard));
        let last = all.into_iter().map(|(at, ())| at).max().context("no other member")?;
        cut.push(ms(started, last));
        anyhow::ensure!(removal.waiting.is_empty(), "not all confirmed a removal: {removal:?}");
        guest.stop().await?;
    }
    let limit = 1000.0;
    report.add("removal to the removed device being told", MS, told, Some(always_below(limit)));
    report.add(&format!("removal to cut off on all {} others", size - 1), MS, cut, Some(always_below(limit)));
    report.add("removal to all confirmations shown to the remover", MS, answered, None);
    fleet.stop().await
}
