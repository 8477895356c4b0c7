//! What the doctor says of links that are well, relayed, cut, and of machines without multicast.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{DeviceState, DoctorCause, DoctorReport, InviteOptions, PathKind};

use crate::harness::Daemon;
use crate::harness::story;
use crate::net::Net;
use crate::roles::{Player, engine_url};
use crate::steps::path;

/// The stages that passed, and the first that did not with its cause; after checking that the report tells no secrets.
fn judged(report: &DoctorReport, secrets: &[&str]) -> (Vec<String>, Option<(String, Option<DoctorCause>)>) {
    let passed = report.checks.iter().filter(|check| check.ok).map(|check| check.name.clone()).collect();
    for check in &report.checks {
        let sentences = [Some(&check.detail), check.fix.as_ref()];
        assert!(sentences.into_iter().flatten().all(|text| text.ends_with('.')), "not sentences: {check:?}");
        assert_eq!(check.fix.is_none(), check.ok, "a fix for what is broken, and only for that: {check:?}");
    }
    for secret in secrets.iter().copied().chain(["10.87.0."]) {
        assert!(!report.report.contains(secret), "{secret:?} in {}", report.report);
    }
    let failed = report.checks.iter().find(|check| !check.ok).map(|check| (check.name.clone(), check.cause));
    (passed, failed)
}

async fn examine(daemon: &Daemon, other: &Daemon) -> (Vec<String>, Option<(String, Option<DoctorCause>)>) {
    let report = daemon.control.doctor(Some(other.id().to_owned())).await.expect("a report");
    judged(&report, &["Desk", "Lap", "Home", daemon.id(), other.id()])
}

pub(crate) async fn the_doctor_finds_where_a_link_breaks() {
    let net = Net::new(3);
    let (relay, url) = Player::relay(&net, 2).await;
    let _engine = Player::engine(&net, 0).await;
    let (mut desk, mut lap) = (net.place(0, "Desk").with(["--engine", &engine_url()]), net.place(1, "Lap"));
    for place in [&mut desk, &mut lap] {
        place.discovery = ["--relay", &url, "--no-mdns"].map(str::to_owned).to_vec();
    }
    let (desk, lap) = tokio::join!(desk.start(), lap.start());
    story::found(&desk, "Home").await;

    // Before joining: an invite that leads somewhere, and one whose network cannot be reached.
    let invite = story::invite(&desk, InviteOptions::default()).await.invite.expect("its maker has the link");
    let report = lap.control.doctor(Some(invite.clone())).await.expect("a report");
    assert_eq!(judged(&report, &["Home", desk.id()]).1, None, "{report:?}");
    net.links(0).for_each(crate::net::Link::cut);
    let report = lap.control.doctor(Some(invite)).await.expect("a report");
    let failed = judged(&report, &["Home", desk.id()]).1.expect("nobody can answer");
    assert_eq!(failed, ("reachable".to_owned(), Some(DoctorCause::NoRoute)), "{report:?}");
    net.links(0).for_each(crate::net::Link::mend);

    story::admit(&desk, &lap).await;
    story::offers(&lap, &desk, "talk").await;
    path(&lap, &desk, PathKind::Direct).await;
    let (passed, failed) = examine(&lap, &desk).await;
    assert_eq!((passed.join(" "), failed), ("found reachable direct admitted answering".to_owned(), None));

    net.link(0, 1).cut();
    path(&lap, &desk, PathKind::Relay).await;
    let (passed, failed) = examine(&lap, &desk).await;
    assert_eq!(failed, Some(("direct".to_owned(), Some(DoctorCause::Relayed))));
    assert_eq!(passed.join(" "), "found reachable admitted answering");

    relay.kill().await;
    story::state(&lap, &desk, DeviceState::Away).await;
    lap.until("the relay being given up", async |control| {
        let report = control.doctor(Some(desk.id().to_owned())).await.expect("a report");
        let failed = judged(&report, &["Desk", "Home"]).1.expect("nothing is left");
        (failed == ("reachable".to_owned(), Some(DoctorCause::RelayRefused))).then_some(())
    })
    .await;
    net.assert_closed();
}

/// Without a route for multicast everything looks well, and nothing is ever found.
pub(crate) async fn the_doctor_misses_multicast() {
    let net = Net::new(2);
    let mut places = [net.place(0, "Desk"), net.place(1, "Lap")];
    places.iter_mut().for_each(|place| place.discovery = ["--relay", "none"].map(str::to_owned).to_vec());
    net.isolate(1);
    let (desk, lap) = tokio::join!(places[0].start(), places[1].start());
    story::pair(&desk, &lap).await;
    let (_, failed) = examine(&lap, &desk).await;
    assert_eq!(failed.expect("there is no model").0, "answering", "a link that works is not doubted");
    net.link(0, 1).cut();
    story::state(&lap, &desk, DeviceState::Away).await;
    let (_, failed) = examine(&lap, &desk).await;
    assert_eq!(failed, Some(("reachable".to_owned(), Some(DoctorCause::MulticastMissing))));
}
