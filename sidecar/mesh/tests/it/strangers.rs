//! What somebody who is no member can do: knock, within bounds, and nothing else.

use std::time::Duration;

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, RelayMode, SecretKey};
use myownmesh_mesh::proto::code::{Commitment, Nonce};
use myownmesh_mesh::proto::frame::{self, FrameDecoder};
use myownmesh_mesh::proto::knock::{DenyKind, GuestFrame, Hello, HostFrame, KNOCK_ALPN, KNOCK_PROTOCOL};
use myownmesh_mesh::proto::welcome::MESH_ALPN;

use super::support::*;

/// A device that speaks whatever the test wants.
pub(crate) struct Stranger {
    endpoint: Endpoint,
}

impl Stranger {
    pub(crate) async fn new(seed: u8) -> Self {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&[seed; 32]))
            .relay_mode(RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .unwrap()
            .bind()
            .await
            .unwrap();
        Self { endpoint }
    }

    pub(crate) async fn connect(&self, device: &Device, alpn: &[u8]) -> Result<Connection, String> {
        let mut addr = EndpointAddr::new(device.id().into());
        for socket in &device.mesh.snapshot().listen {
            addr = addr.with_ip_addr(*socket);
        }
        self.endpoint.connect(addr, alpn).await.map_err(|error| error.to_string())
    }

    pub(crate) fn id(&self) -> myownmesh_mesh::DeviceId {
        self.endpoint.id().into()
    }

    fn hello(&self, device: &Device, name: &str) -> Hello {
        let network = device.mesh.snapshot().active.unwrap();
        Hello {
            protocol: KNOCK_PROTOCOL,
            app_version: "0.1.0".to_owned(),
            network,
            device_name: name.to_owned(),
            os: "Linux".to_owned(),
            commitment: Commitment::to(network, self.endpoint.id().into(), &Nonce([9; 32])),
            invite: None,
            addresses: Vec::new(),
        }
    }

    /// Knocks until the other side waits for a person.
    async fn knock(&self, device: &Device, name: &str) -> (Connection, SendStream, HostFrame) {
        let connection = self.connect(device, KNOCK_ALPN).await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        write(&mut send, &GuestFrame::Hello(self.hello(device, name))).await;
        let mut decoder = FrameDecoder::new(1 << 20);
        let mut answer = read(&mut recv, &mut decoder).await;
        if matches!(answer, HostFrame::Challenge { .. }) {
            write(&mut send, &GuestFrame::Reveal { nonce: Nonce([9; 32]) }).await;
            answer = read(&mut recv, &mut decoder).await;
        }
        (connection, send, answer)
    }
}

async fn write(send: &mut SendStream, frame: &GuestFrame) {
    send.write_all(&frame::encode(frame, 1 << 20).unwrap()).await.unwrap();
}

async fn read(recv: &mut RecvStream, decoder: &mut FrameDecoder) -> HostFrame {
    loop {
        if let Some(frame) = decoder.next().unwrap() {
            return frame;
        }
        let chunk = tokio::time::timeout(PATIENCE, recv.read_chunk(1 << 16)).await.expect("a frame in time");
        decoder.push(&chunk.unwrap().expect("one more frame")).unwrap();
    }
}

/// How a knock connection ends when `bytes` are sent on it.
async fn told(device: &Device, seed: u8, bytes: &[u8], finish: bool) -> Option<HostFrame> {
    let stranger = Stranger::new(seed).await;
    let connection = stranger.connect(device, KNOCK_ALPN).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    if finish {
        send.finish().unwrap();
    }
    let mut decoder = FrameDecoder::new(1 << 20);
    let reading = async {
        while let Ok(Some(chunk)) = recv.read_chunk(1 << 16).await {
            decoder.push(&chunk).unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the other side ends it");
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("the connection is closed");
    decoder.next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_on_the_mesh_protocol_and_gets_nothing() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let stranger = Stranger::new(66).await;
    for _ in 0..5 {
        // The refusal can come after the handshake looked like a success.
        let Ok(connection) = stranger.connect(&host, MESH_ALPN).await else { continue };
        if let Ok((mut send, mut recv)) = connection.open_bi().await {
            let _ = send.write_all(b"GET /who HTTP/1.1\r\nhost: mesh\r\n\r\n").await;
            let read = tokio::time::timeout(PATIENCE, recv.read_to_end(1 << 16)).await.unwrap();
            assert!(read.is_err(), "a stranger read {read:?}");
        }
        let ConnectionError::ApplicationClosed(close) = connection.closed().await else { panic!("not refused") };
        assert_eq!(close.error_code.into_inner(), 1);
        assert_eq!(&close.reason[..], b"not a member of this network");
    }
    assert!(stranger.connect(&host, b"other/1").await.is_err(), "no other protocol is spoken");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_knocks_gets_nothing_else_until_approved() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let stranger = Stranger::new(66).await;
    let (connection, _send, answer) = stranger.knock(&host, "Nice phone").await;
    assert!(matches!(answer, HostFrame::Waiting { .. }));
    host.knock().await;
    // A second stream is never read, and no other protocol is spoken, while the knock waits.
    if let Ok(Ok((mut send, mut recv))) = tokio::time::timeout(Duration::from_secs(1), connection.open_bi()).await {
        let _ = send.write_all(b"GET /who HTTP/1.1\r\nhost: mesh\r\n\r\n").await;
        let read = tokio::time::timeout(Duration::from_secs(1), recv.read_chunk(100)).await;
        assert!(!matches!(read, Ok(Ok(Some(_)))), "a stranger read {read:?}");
    }
    if let Ok(mesh) = stranger.connect(&host, MESH_ALPN).await {
        let ConnectionError::ApplicationClosed(close) = mesh.closed().await else { panic!("not refused") };
        assert_eq!(close.error_code.into_inner(), 1);
    }
    connection.close(0_u32.into(), b"");
    host.until(|picture| picture.knocks.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_knocks_are_refused_and_leave_nothing_behind() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let refused = |frame: Option<HostFrame>| matches!(frame, Some(HostFrame::Denied { kind: DenyKind::Protocol, .. }));
    // Announces four gigabytes.
    assert!(refused(told(&host, 60, &[0xff; 8], false).await));
    // Garbage of an announced size.
    assert!(refused(told(&host, 61, &[0, 0, 0, 5, 9, 9, 9, 9, 9], false).await));
    // Stops in the middle of a frame.
    assert!(refused(told(&host, 62, &[0, 0, 0, 200, 1, 2, 3], true).await));
    // Sends more than it announced.
    let stranger = Stranger::new(63).await;
    let mut hello = frame::encode(&GuestFrame::Hello(stranger.hello(&host, "Phone")), 1 << 20).unwrap();
    drop(stranger);
    hello[3] += 7;
    hello.extend([0; 7]);
    assert!(refused(told(&host, 64, &hello, false).await));
    // A name that cannot be shown.
    let stranger = Stranger::new(65).await;
    let (_connection, _send, answer) = stranger.knock(&host, "\u{202E}\u{200B}").await;
    assert!(refused(Some(answer)));
    // Reveals another nonce than it committed to.
    let stranger = Stranger::new(66).await;
    let connection = stranger.connect(&host, KNOCK_ALPN).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    write(&mut send, &GuestFrame::Hello(stranger.hello(&host, "Phone"))).await;
    let mut decoder = FrameDecoder::new(1 << 20);
    assert!(matches!(read(&mut recv, &mut decoder).await, HostFrame::Challenge { .. }));
    write(&mut send, &GuestFrame::Reveal { nonce: Nonce([8; 32]) }).await;
    assert!(refused(Some(read(&mut recv, &mut decoder).await)));
    assert!(host.mesh.snapshot().knocks.is_empty());

    // And an honest one still gets through.
    let guest = Device::start("Laptop", 2).await;
    join(&host, &guest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_knock_that_never_finishes_its_frame_is_ended() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let began = std::time::Instant::now();
    let slow = told(&host, 66, &[0, 0, 0, 200, 1, 2, 3], false);
    // One that opens no stream at all is closed as well.
    let silent = async {
        let stranger = Stranger::new(67).await;
        let connection = stranger.connect(&host, KNOCK_ALPN).await.unwrap();
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed")
    };
    let (answer, _) = tokio::join!(slow, silent);
    assert_eq!(answer, Some(HostFrame::Expired));
    assert!(began.elapsed() < Duration::from_secs(12), "took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_knocks_is_bounded() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let mut held = Vec::new();
    let mut waiting = 0;
    let mut busy = 0;
    for seed in 100..124 {
        let stranger = Stranger::new(seed).await;
        let (connection, send, answer) = stranger.knock(&host, &format!("Phone {seed}")).await;
        match answer {
            HostFrame::Waiting { .. } => waiting += 1,
            HostFrame::Busy { retry_after_ms } => {
                assert!(retry_after_ms > 0);
                busy += 1;
            }
            other => panic!("{other:?}"),
        }
        held.push((stranger, connection, send));
    }
    assert_eq!((waiting, busy), (16, 8), "sixteen from one address may wait");
    assert_eq!(host.mesh.snapshot().knocks.len(), 16);
    // One device knocks once: the later knock takes the place of the earlier.
    let knocks = host.mesh.snapshot().knocks.clone();
    assert!(knocks.iter().all(|knock| knock.code.compact().len() == 6));
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_name_is_pointed_out() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let stranger = Stranger::new(66).await;
    let held = stranger.knock(&host, "\u{0410}ttic").await;
    let knock = host.knock().await;
    assert_eq!(knock.resembles.as_ref().map(myownmesh_mesh::DeviceName::as_str), Some("Attic"));
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_says_so() {
    let device = Device::start("Attic", 1).await;
    let taken = device.mesh.snapshot().listen[0];
    let home = tempfile::tempdir().unwrap();
    let mut config = config("Other", 5, home.path(), axum::Router::new());
    config.listen = vec![taken];
    let error = myownmesh_mesh::Mesh::start(config).await.err().expect("the port is taken");
    assert_eq!(error.kind(), myownmesh_mesh::ErrorKind::PortInUse);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    assert!(device.home().join("mesh.db").exists());
}
