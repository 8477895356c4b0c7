//! What the doctor is told: each stage of reaching a device or the network of an invite, and the cause where it fails.

use myownmesh_mesh::{Invite, LinkState, MeshEvent, NetworkKind, NetworkName, ProbeCause, ProbeReport};

use super::support::*;

fn causes(report: &ProbeReport) -> [Option<ProbeCause>; 4] {
    let cause = |check: &Option<myownmesh_mesh::ProbeCheck>| check.as_ref().and_then(|check| check.cause);
    [report.found.cause, cause(&report.reachable), cause(&report.direct), cause(&report.admitted)]
}

/// Every stage passed.
fn all_well(report: &ProbeReport) -> bool {
    let passed = |check: &Option<myownmesh_mesh::ProbeCheck>| check.as_ref().is_some_and(|check| check.ok);
    report.found.ok && passed(&report.reachable) && passed(&report.direct) && passed(&report.admitted)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_can_be_tried_without_knocking() {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    let home = host.mesh.snapshot().active.unwrap();
    let invite = host.invite().await;
    let mut events = host.mesh.events();
    // More often than a device may knock.
    for _ in 0..6 {
        let report = guest.mesh.probe_invite(&invite).await;
        assert!(all_well(&report), "{report:#?}");
    }
    assert!(host.mesh.snapshot().knocks.is_empty());
    join(&host, &guest).await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, MeshEvent::Refused { .. }), "{event:?}");
    }
    let report = guest.mesh.probe_invite(&invite).await;
    assert!(report.admitted.unwrap().detail.contains("already a member"));

    let stranger = Device::start("Phone", 3).await;
    host.found("Work").await;
    let report = stranger.mesh.probe_invite(&invite).await;
    assert_eq!(causes(&report), [None, None, None, Some(ProbeCause::WrongNetwork)], "{report:#?}");
    host.mesh.leave_network().await.unwrap();
    let report = stranger.mesh.probe_invite(&invite).await;
    assert_eq!(causes(&report)[3], Some(ProbeCause::WrongNetwork), "{report:#?}");
    host.mesh.use_network(home).await.unwrap();

    let mut payload = invite.payload().clone();
    payload.expires_at = 1;
    let expired = Invite::sign(&iroh::SecretKey::from_bytes(&[1; 32]), payload).unwrap();
    let report = stranger.mesh.probe_invite(&expired).await;
    assert_eq!(causes(&report), [Some(ProbeCause::InviteExpired), None, None, None]);
    let own = host.mesh.probe_invite(&invite).await;
    assert_eq!(causes(&own), [Some(ProbeCause::Unknown), None, None, None]);

    host.mesh.shutdown().await;
    guest.mesh.shutdown().await;
    let report = stranger.mesh.probe_invite(&invite).await;
    assert_eq!(causes(&report), [None, Some(ProbeCause::NoRoute), None, None], "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_speaks_another_version_is_named() {
    let later = iroh::Endpoint::builder(iroh::endpoint::presets::Minimal)
        .relay_mode(iroh::RelayMode::Disabled)
        .alpns(vec![b"myownmesh-knock/99".to_vec()])
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap();
    let accepting = {
        let later = later.clone();
        tokio::spawn(async move {
            while let Some(incoming) = later.accept().await {
                let _ = incoming.await;
            }
        })
    };
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let mut payload = host.invite().await.payload().clone();
    payload.inviter = later.id().into();
    payload.addresses = later.bound_sockets();
    payload.others.clear();
    let invite = Invite::sign(later.secret_key(), payload).unwrap();
    let report = Device::start("Laptop", 2).await.mesh.probe_invite(&invite).await;
    assert_eq!(causes(&report), [None, None, None, Some(ProbeCause::VersionMismatch)], "{report:#?}");
    accepting.abort();
    later.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_switched_is_in_another_network_and_a_removed_device_has_none() {
    let (host, guest) = pair().await;
    let home = host.mesh.snapshot().active.unwrap();
    assert!(all_well(&guest.mesh.probe(host.id()).await));

    let away = |picture: &myownmesh_mesh::MeshSnapshot| {
        matches!(picture.member(host.id()).unwrap().link, LinkState::Away { .. })
    };
    let work = NetworkName::parse("Work").unwrap();
    host.mesh.create_network(work, NetworkKind::Open).await.unwrap();
    guest.until(away).await;
    let report = guest.mesh.probe(host.id()).await;
    assert_eq!(causes(&report), [None, None, None, Some(ProbeCause::WrongNetwork)], "{report:#?}");

    // Back, it is reached again without being asked.
    host.mesh.use_network(home).await.unwrap();
    guest.until_linked(&[host.id()]).await;

    // Removed while it was away, it hears of it when it comes back, and has nobody left to look for.
    let guest_id = guest.id();
    guest.mesh.shutdown().await;
    host.until(|picture| !picture.member(guest_id).unwrap().link.is_online()).await;
    host.mesh.remove_device(guest_id).await.unwrap();
    let guest = guest.restart().await;
    guest.until(|picture| picture.networks[0].role.is_none()).await;
    let report = guest.mesh.probe(host.id()).await;
    assert_eq!(causes(&report), [Some(ProbeCause::Unknown), None, None, None], "{report:#?}");
}
