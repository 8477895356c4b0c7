//! Members that misbehave: the right key, the wrong words.

use std::time::{Duration, Instant};

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream};
use myownmesh_mesh::NetworkId;
use myownmesh_mesh::proto::frame::{self, FrameDecoder};
use myownmesh_mesh::proto::welcome::{GREETING_LIMIT, Greeting, MESH_ALPN, PROTOCOL, Refusal, Welcome};

use super::strangers::Stranger;
use super::support::*;

/// An introduction without addresses, of run 1.
pub(crate) const INTRODUCTION: [u8; 7] = [0, 0, 0, 3, 1, 0, 0];

/// A host and, in place of its member "Laptop", a device that says what the test wants.
pub(crate) async fn member() -> (Device, Stranger, NetworkId) {
    let (host, guest) = pair().await;
    let network = host.mesh.snapshot().active.unwrap();
    guest.mesh.shutdown().await;
    (host, Stranger::new(2).await, network)
}

pub(crate) fn greeting(network: NetworkId, protocol: u16) -> Vec<u8> {
    let welcome = Welcome { protocol, app_version: "0.1.0".into(), network, device_name: "Laptop".into() };
    frame::encode(&Greeting::Welcome(welcome), GREETING_LIMIT).unwrap()
}

pub(crate) async fn say(member: &Stranger, host: &Device, bytes: &[u8]) -> (Connection, SendStream, RecvStream) {
    let connection = member.connect(host, MESH_ALPN).await.unwrap();
    let (mut send, recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    (connection, send, recv)
}

pub(crate) async fn answer(recv: &mut RecvStream) -> Greeting {
    let mut decoder = FrameDecoder::new(GREETING_LIMIT);
    loop {
        let chunk = tokio::time::timeout(PATIENCE, recv.read_chunk(1 << 16)).await.unwrap().unwrap().unwrap();
        decoder.push(&chunk).unwrap();
        if let Some(frame) = decoder.next().unwrap() {
            return frame;
        }
    }
}

async fn close_code(connection: &Connection) -> u64 {
    match tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed") {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other:?}"),
    }
}

/// Sends a request by hand and reads the whole answer.
pub(crate) async fn ask(connection: &Connection, request: &[u8]) -> Option<String> {
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    send.write_all(request).await.ok()?;
    let bytes = tokio::time::timeout(PATIENCE, recv.read_to_end(1 << 20)).await.expect("an end").ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn greetings_that_do_not_fit_are_refused_with_the_reason() {
    let (host, member, network) = member().await;
    let other = NetworkId::from_bytes([7; 32]);
    let (connection, _send, mut recv) = say(&member, &host, &greeting(other, PROTOCOL)).await;
    assert_eq!(answer(&mut recv).await, Greeting::Refused(Refusal::OtherNetwork));
    assert_eq!(close_code(&connection).await, 2);

    let (connection, _send, mut recv) = say(&member, &host, &greeting(network, 99)).await;
    assert_eq!(answer(&mut recv).await, Greeting::Refused(Refusal::Version { spoken: PROTOCOL }));
    assert_eq!(close_code(&connection).await, 10);

    // Too large, garbage, cut short, and too slow.
    let (connection, ..) = say(&member, &host, &[0xff; 6]).await;
    assert_eq!(close_code(&connection).await, 6);
    let (connection, ..) = say(&member, &host, &[0, 0, 0, 3, 9, 9, 9]).await;
    assert_eq!(close_code(&connection).await, 6);
    let (connection, mut send, _recv) = say(&member, &host, &[0, 0, 0, 90, 0, 1]).await;
    send.finish().unwrap();
    assert_eq!(close_code(&connection).await, 6);
    let began = Instant::now();
    let (connection, _send, _recv) = say(&member, &host, &[0, 0, 0, 90, 0, 1]).await;
    assert_eq!(close_code(&connection).await, 9);
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_by_hand_are_bounded_and_checked_one_by_one() {
    let (host, member, network) = member().await;
    let hello = [greeting(network, PROTOCOL), INTRODUCTION.to_vec()].concat();
    let (connection, mut control, mut recv) = say(&member, &host, &hello).await;
    assert!(matches!(answer(&mut recv).await, Greeting::Welcome(_)));
    host.until_linked(&[member.id()]).await;

    let who = b"GET /who HTTP/1.1\r\n\r\n";
    assert!(ask(&connection, who).await.unwrap().ends_with("Laptop Member"));
    let post = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    };
    // The mesh's own routes take nothing that is not theirs.
    let routes = [
        "/mesh/v1/records",
        "/mesh/v1/records/fetch",
        "/mesh/v1/reconcile",
        "/mesh/v1/knocks",
        "/mesh/v1/knocks/decide",
    ];
    for path in routes {
        let answer = ask(&connection, &post(path, "application/octet-stream", "\u{ff}garbage")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    let large = format!("{{\"seq\":1,\"card\":\"{}\"}}", "x".repeat(70_000));
    let answer_to_large = ask(&connection, &post("/mesh/v1/card", "application/json", &large)).await.unwrap();
    assert!(answer_to_large.starts_with("HTTP/1.1 413"), "{answer_to_large}");
    let not_json = ask(&connection, &post("/mesh/v1/card", "application/json", "{")).await.unwrap();
    assert!(not_json.starts_with("HTTP/1.1 400"), "{not_json}");
    // A head without end, and one that never comes.
    let endless = [b"GET /who HTTP/1.1\r\n".to_vec(), b"x: yyyyyyyyyyyyyyyy\r\n".repeat(10_000)].concat();
    let refused = ask(&connection, &endless).await;
    assert!(refused.is_none_or(|answer| answer.starts_with("HTTP/1.1 431")));
    let began = Instant::now();
    let slow = ask(&connection, b"GET /who HT").await;
    assert!(slow.is_none_or(|answer| !answer.contains("200")));
    assert!(began.elapsed() < Duration::from_secs(7), "took {:?}", began.elapsed());

    // A request held open is cut by the removal, and no later one gets anything, on the same connection.
    let (mut send, mut held) = connection.open_bi().await.unwrap();
    send.write_all(b"GET /endless HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(held.read_chunk(1000).await.unwrap().is_some());
    let began = Instant::now();
    host.mesh.remove_device(member.id()).await.unwrap();
    while let Ok(Some(_)) = tokio::time::timeout(PATIENCE, held.read_chunk(1000)).await.expect("cut") {}
    println!("removal to cut stream: {:?}", began.elapsed());
    let after = ask(&connection, who).await;
    assert!(after.as_ref().is_none_or(|answer| answer.starts_with("HTTP/1.1 403")), "{after:?}");
    assert_eq!(close_code(&connection).await, 4);
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
    // The handshake looks like a success, the connection does not live.
    if let Ok(again) = member.connect(&host, MESH_ALPN).await {
        assert_eq!(close_code(&again).await, 1);
    }
    let _ = control.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_breaks_the_control_stream_is_cut() {
    let (host, member, network) = member().await;
    let hello = [greeting(network, PROTOCOL), INTRODUCTION.to_vec(), vec![0xff; 8]].concat();
    let (connection, ..) = say(&member, &host, &hello).await;
    assert_eq!(close_code(&connection).await, 6);
}
