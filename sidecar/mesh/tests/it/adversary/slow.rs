//! Connections that trickle or stop, and random bytes, on every stream there is.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use iroh::endpoint::{Connection, SendStream};
use myownmesh_mesh::proto::knock::KNOCK_ALPN;
use myownmesh_mesh::proto::welcome::MESH_ALPN;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::liar::*;
use crate::support::*;

/// Sends one byte at a time, for as long as the other side takes them.
async fn trickle(mut send: SendStream, bytes: Vec<u8>) {
    for byte in bytes {
        if send.write_all(&[byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A stream on which bytes trickle in, and when its connection ended.
async fn trickled(connection: Connection, bytes: Vec<u8>) -> Duration {
    let began = Instant::now();
    let (send, _recv) = connection.open_bi().await.unwrap();
    let writing = tokio::spawn(trickle(send, bytes));
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the other side ends it");
    writing.abort();
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_loris_is_ended_at_every_door() {
    let mut scene = Scene::new().await;
    let endless = [vec![0, 0, 15, 0], vec![0; 4_000]].concat();
    let (slow, silent) = (Liar::new(60).await, Liar::new(61).await);
    // The knock protocol: a frame that comes a byte at a time, and no stream at all.
    let knock = trickled(slow.connect(&scene.host, KNOCK_ALPN).await.unwrap(), endless);
    let nothing = async {
        let connection = silent.connect(&scene.host, KNOCK_ALPN).await.unwrap();
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed")
    };
    // The members' protocol, the same by a member: the greeting, and nothing at all.
    let greeting =
        trickled(scene.liar.connect(&scene.host, MESH_ALPN).await.unwrap(), [vec![0, 0, 3, 0], vec![0; 700]].concat());
    let mute = async {
        let connection = scene.liar.connect(&scene.host, MESH_ALPN).await.unwrap();
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed")
    };
    let (knock, _, greeting, _) = tokio::join!(knock, nothing, greeting, mute);
    println!("slow knock ended after {knock:?}, slow greeting after {greeting:?}");
    scene.told(silent.id(), "did not say what it wants").await;
    scene.told(scene.liar.id(), "did not say what it wants").await;
    scene.host.until(|picture| picture.knocks.is_empty()).await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_hold_up_nobody_else() {
    let scene = Scene::new().await;
    let link = scene.link().await;
    // Heads that never end, and bodies that never come, on as many streams as are let through at once.
    let mut held = Vec::new();
    for at in 0..300 {
        let opened = tokio::time::timeout(Duration::from_secs(1), link.connection.open_bi()).await;
        let Ok(Ok((mut send, recv))) = opened else { break };
        let start: &[u8] = if at % 2 == 0 {
            b"GET /who HTTP/1.1\r\nx-slow: "
        } else {
            b"POST /mesh/v1/records HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n0"
        };
        let _ = send.write_all(start).await;
        held.push((send, recv));
    }
    assert!(held.len() >= 100, "{} streams", held.len());
    let began = Instant::now();
    scene.unharmed().await;
    println!("{} slow requests open; an honest one took {:?}", held.len(), began.elapsed());
    // A member is answered beside its own slow requests as well.
    assert_eq!(link.get("/who").await.map(|(status, _)| status), Some(200));
    // Heads are ended; what is held costs a stream of this member and nothing else.
    let (_, recv) = &mut held[0];
    let end = tokio::time::timeout(PATIENCE, recv.read_chunk(1000)).await.expect("ended");
    assert!(!matches!(end, Ok(Some(chunk)) if chunk.starts_with(b"HTTP/1.1 200")));
}

/// Bytes of one seed; a failure names the seed and can be run again.
fn garbage(seed: u8) -> Vec<u8> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // Half of it looks like a frame at first sight: a small length, then noise.
    let noise = prop::collection::vec(any::<u8>(), 0..600);
    let framed = (0u8..4, noise.clone()).prop_map(|(high, noise)| {
        let length = u8::try_from(noise.len() & 0xff).unwrap_or(0);
        [vec![0, 0, high, length], noise].concat()
    });
    prop_oneof![noise, framed].new_tree(&mut runner).unwrap().current()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_any_stream_harms_nobody() {
    let scene = Scene::new().await;
    // At the knock protocol, by strangers; few enough that none is turned away unheard.
    for seed in 0..20 {
        let stranger = Liar::new(100 + seed).await;
        let connection = stranger.connect(&scene.host, KNOCK_ALPN).await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let _ = send.write_all(&garbage(seed)).await;
        let _ = send.finish();
        let heard = tokio::time::timeout(PATIENCE, recv.read_to_end(1 << 20)).await.expect("an end");
        assert!(heard.is_err() || heard.is_ok_and(|bytes| bytes.len() < 100), "seed {seed}");
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed");
    }
    assert!(scene.host.mesh.snapshot().knocks.is_empty());
    // As a member: in place of the greeting, then on the control stream, then as requests.
    for seed in 20..30 {
        let connection = scene.liar.connect(&scene.host, MESH_ALPN).await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        let _ = send.write_all(&garbage(seed)).await;
        let _ = send.finish();
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed");
    }
    for seed in 30..40 {
        let mut link = scene.link().await;
        let _ = link.control.0.write_all(&garbage(seed)).await;
        let _ = link.control.0.finish();
        tokio::time::timeout(PATIENCE, link.connection.closed()).await.expect("closed");
    }
    let link = scene.link().await;
    for seed in 40..120 {
        let noise = garbage(seed);
        let (mut send, mut recv) = link.connection.open_bi().await.unwrap();
        let _ = send.write_all(&noise).await;
        let _ = send.finish();
        let answer = tokio::time::timeout(PATIENCE, recv.read_to_end(1 << 20)).await.expect("an end");
        assert!(!answer.is_ok_and(|bytes| bytes.starts_with(b"HTTP/1.1 2")), "seed {seed}");
        for path in ["/mesh/v1/records", "/mesh/v1/records/fetch", "/mesh/v1/reconcile", "/mesh/v1/card"] {
            let status = link.post(path, &noise).await.map(|(status, _)| status);
            // An empty list is well formed, and so is some noise to a reconciliation.
            let refused = matches!(status, Some(400 | 413 | 415 | 422));
            assert!(refused || path.ends_with("reconcile") || noise.len() < 4, "seed {seed}, {path}: {status:?}");
        }
    }
    for _ in 0..200 {
        let _ = link.connection.send_datagram(garbage(7).into());
    }
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_the_socket_harms_nobody() {
    let scene = Scene::new().await;
    let target = scene.host.mesh.snapshot().listen[0];
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for seed in 0..=255 {
        let mut noise = garbage(seed);
        for first in [noise.first().copied().unwrap_or(0), 0xc0, 0x40, 0xff] {
            if let Some(byte) = noise.first_mut() {
                *byte = first;
            }
            let _ = socket.send_to(&noise, target);
        }
        // As long as a first packet must be.
        noise.resize(1_200, 0);
        let _ = socket.send_to(&noise, target);
    }
    scene.unharmed().await;
    let guest = Device::start("Phone", 70).await;
    join(&scene.host, &guest).await;
}
