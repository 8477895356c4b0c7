//! Members who ask for a network that is none of their business, and devices that are no members yet.

use std::time::Duration;

use myownmesh_mesh::proto::ids::RecordId;
use myownmesh_mesh::proto::knock::{HostFrame, KNOCK_ALPN};
use myownmesh_mesh::proto::reconcile::{Initiator, RecordSet};
use myownmesh_mesh::proto::record::Record;
use myownmesh_mesh::proto::welcome::{Greeting, MESH_ALPN, Refusal};
use myownmesh_mesh::{NetworkId, NetworkKind, NetworkName};

use super::liar::*;
use crate::support::*;

/// What a member learns from another of which records there are, by the protocol's own means.
async fn reconciled(link: &Linked, mine: &[Record]) -> Vec<RecordId> {
    let set: RecordSet = mine.iter().collect();
    let (mut initiator, first) = Initiator::start(&set).unwrap();
    let (mut next, mut need) = (Some(first), Vec::new());
    while let Some(message) = next {
        let (status, answer) = link.post("/mesh/v1/reconcile", &message).await.unwrap();
        assert_eq!(status, 200);
        let step = initiator.step(&set, &answer).unwrap();
        need.extend(step.need);
        next = step.next;
    }
    need
}

async fn fetched(link: &Linked, ids: &[RecordId]) -> Vec<Vec<u8>> {
    let (status, answer) = link.post("/mesh/v1/records/fetch", &postcard::to_stdvec(ids).unwrap()).await.unwrap();
    assert_eq!(status, 200);
    postcard::from_bytes(&answer).unwrap()
}

/// The victim returns to the network that the scene is about. The honest member has seen its old link end before it looks for
/// the new one, so that it does not take the one for the other.
async fn come_back(scene: &Scene) {
    let (victim, honest) = (scene.host.id(), scene.honest.id());
    scene.honest.until(|picture| picture.member(victim).is_some_and(|member| !member.link.is_online())).await;
    scene.host.mesh.use_network(scene.network).await.unwrap();
    let (with_honest, with_victim) = ([honest], [victim]);
    tokio::join!(scene.host.until_linked(&with_honest), scene.honest.until_linked(&with_victim));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_gets_nothing_of_another_network() {
    let mut scene = Scene::new().await;
    // The victim has a second network that the liar has nothing to do with.
    let private = NetworkName::parse("Private").unwrap();
    let other = scene.host.mesh.create_network(private, NetworkKind::Closed).await.unwrap().id;
    let ids = |records: &[Record]| records.iter().map(Record::id).collect::<Vec<_>>();
    let secret = ids(&kept(&scene.host, other));
    assert!(!secret.is_empty());

    // While it is active, the liar hears that another network is, whatever it greets with.
    for network in [scene.network, other] {
        let connection = scene.liar.connect(&scene.host, MESH_ALPN).await;
        let Ok(connection) = connection else { continue };
        if let Ok((mut send, _recv)) = connection.open_bi().await {
            let _ = send.write_all(&greeting(network)).await;
        }
        assert_eq!(close_code(&connection).await, 2);
    }

    // While its own is active, it may not greet with the other one, and gets nothing of it by asking.
    come_back(&scene).await;
    let (refused, answer) = scene.liar.greet(&scene.host, other).await;
    assert_eq!(answer, Greeting::Refused(Refusal::OtherNetwork));
    assert_eq!(close_code(&refused.connection).await, 2);
    scene.told(scene.liar.id(), "not active here").await;
    let link = scene.link().await;
    assert!(fetched(&link, &secret).await.is_empty());
    let offered = reconciled(&link, &[]).await;
    assert_eq!(offered.len(), kept(&scene.host, scene.network).len(), "all of its own network");
    assert!(offered.iter().all(|id| !secret.contains(id)), "none of the other");

    // A connection that was made before the switch carries nothing after it.
    scene.host.mesh.use_network(other).await.unwrap();
    assert_eq!(close_code(&link.connection).await, 3);
    assert!(link.get("/who").await.is_none());
    come_back(&scene).await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_device_gets_nothing_whatever_it_asks() {
    let mut scene = Scene::new().await;
    let pending = Liar::new(60).await;
    let (mut knocking, answer) = pending.knock_through(&scene.host, "Nice phone", None).await;
    assert!(matches!(answer, HostFrame::Waiting { .. }));
    scene.host.knock().await;

    // Every path a member has, on the members' protocol: the connection does not live.
    for path in ["/who", "/mesh/v1/ping", "/mesh/v1/records", "/mesh/v1/records/fetch", "/mesh/v1/reconcile"] {
        let Ok(connection) = pending.connect(&scene.host, MESH_ALPN).await else { continue };
        for request in
            [format!("GET {path} HTTP/1.1\r\n\r\n"), format!("POST {path} HTTP/1.1\r\ncontent-length: 0\r\n\r\n")]
        {
            let Ok((mut send, mut recv)) = connection.open_bi().await else { break };
            let _ = send.write_all(&greeting(scene.network)).await;
            let _ = send.write_all(request.as_bytes()).await;
            let read = tokio::time::timeout(PATIENCE, recv.read_to_end(1 << 16)).await.expect("an end");
            assert!(read.is_err(), "{path}: {read:?}");
        }
        assert_eq!(close_code(&connection).await, 1);
    }
    scene.told(pending.id(), "tried to use it").await;

    // On its own connection: other streams, one-way streams and datagrams lead nowhere, and the knock stays as it was.
    let opened = tokio::time::timeout(Duration::from_millis(300), knocking.connection.open_bi()).await;
    if let Ok(Ok((mut send, mut recv))) = opened {
        let _ = send.write_all(b"GET /who HTTP/1.1\r\n\r\n").await;
        let read = tokio::time::timeout(Duration::from_millis(300), recv.read_chunk(100)).await;
        assert!(!matches!(read, Ok(Ok(Some(_)))), "{read:?}");
    }
    let one_way = tokio::time::timeout(Duration::from_millis(300), knocking.connection.open_uni()).await;
    assert!(!matches!(one_way, Ok(Ok(_))), "one-way streams are not taken");
    for _ in 0..100 {
        let _ = knocking.connection.send_datagram(vec![0; 1000].into());
    }
    assert_eq!(scene.host.mesh.snapshot().knocks.len(), 1);
    // A request in place of a frame ends the knock.
    let _ = knocking.send.write_all(b"GET /who HTTP/1.1\r\n\r\n").await;
    assert!(is_fault(&knocking.answer().await));
    assert_eq!(knocking.try_answer().await, None);
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    // Nor does a knock at a network that it only guesses tell whether that exists here.
    let guess =
        pending.hello(NetworkId::from_bytes([7; 32]), "Nice phone", myownmesh_mesh::proto::code::Nonce([1; 32]));
    let connection = Liar::new(61).await;
    let mut guessing = connection.knock(&scene.host, guess).await;
    assert!(matches!(guessing.answer().await, HostFrame::Denied { reason: None, .. }));
    assert!(pending.connect(&scene.host, b"myownmesh/2").await.is_err(), "no other protocol is spoken");
    assert!(pending.connect(&scene.host, KNOCK_ALPN).await.is_ok());
    scene.unharmed().await;
}
