//! The lying client, and a careful look at its victim.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, RelayMode, SecretKey};
use myownmesh_mesh::proto::code::{Code, Commitment, Nonce, Transcript};
use myownmesh_mesh::proto::fold::{Membership, fold};
use myownmesh_mesh::proto::frame::{self, FrameDecoder};
use myownmesh_mesh::proto::hlc::Hlc;
use myownmesh_mesh::proto::ids::RecordId;
use myownmesh_mesh::proto::knock::{
    DenyKind, GuestFrame, Hello, HostFrame, InviteClaim, KNOCK_ALPN, KNOCK_PROTOCOL, PeerAddress,
};
use myownmesh_mesh::proto::record::{Body, Record};
use myownmesh_mesh::proto::welcome::{GREETING_LIMIT, Greeting, MESH_ALPN, PROTOCOL, Welcome};
use myownmesh_mesh::{DeviceId, MeshEvent, NetworkId, NetworkKind, NetworkName, Role};
use tokio::sync::broadcast;

use crate::support::*;

/// Larger than any frame that is sent here.
const ANY_SIZE: usize = 8 << 20;
/// An introduction without addresses, of run 1.
pub(super) const INTRODUCTION: [u8; 7] = [0, 0, 0, 3, 1, 0, 0];

pub(super) fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A key and an endpoint; says whatever the test wants.
pub(super) struct Liar {
    pub(super) secret: SecretKey,
    pub(super) endpoint: Endpoint,
}

impl Liar {
    pub(super) async fn new(seed: u8) -> Self {
        Self::with([seed; 32], Ipv4Addr::LOCALHOST, &[]).await
    }

    /// With a key, at an address of its own, listening for these protocols.
    pub(super) async fn with(key: [u8; 32], ip: Ipv4Addr, alpns: &[&[u8]]) -> Self {
        let secret = SecretKey::from_bytes(&key);
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(secret.clone())
            .relay_mode(RelayMode::Disabled)
            .alpns(alpns.iter().map(|alpn| alpn.to_vec()).collect())
            .clear_ip_transports()
            .bind_addr((ip, 0))
            .unwrap()
            .bind()
            .await
            .unwrap();
        Self { secret, endpoint }
    }

    pub(super) fn id(&self) -> DeviceId {
        self.endpoint.id().into()
    }

    pub(super) async fn connect_to(
        &self,
        device: DeviceId,
        at: &[SocketAddr],
        alpn: &[u8],
    ) -> Result<Connection, String> {
        let addr = at.iter().fold(EndpointAddr::new(device.into()), |addr, socket| addr.with_ip_addr(*socket));
        let connecting = self.endpoint.connect(addr, alpn);
        let connected = tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| "no answer".to_owned())?;
        connected.map_err(|error| error.to_string())
    }

    pub(super) async fn connect(&self, device: &Device, alpn: &[u8]) -> Result<Connection, String> {
        self.connect_to(device.id(), &device.mesh.snapshot().listen, alpn).await
    }

    pub(super) fn hello(&self, network: NetworkId, name: &str, nonce: Nonce) -> Hello {
        Hello {
            protocol: KNOCK_PROTOCOL,
            app_version: "0.1.0".to_owned(),
            network,
            device_name: name.to_owned(),
            os: "Linux".to_owned(),
            commitment: Commitment::to(network, self.id(), &nonce),
            invite: None,
            addresses: Vec::new(),
        }
    }

    /// Opens the stream of a knock, and says nothing yet.
    pub(super) async fn begin(&self, device: &Device) -> Knocking {
        let connection = self.connect(device, KNOCK_ALPN).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        let decoder = FrameDecoder::new(ANY_SIZE);
        Knocking { connection, send, recv, decoder, host: device.id(), _endpoint: self.endpoint.clone() }
    }

    /// Opens a knock with this first frame.
    pub(super) async fn knock(&self, device: &Device, hello: Hello) -> Knocking {
        let mut knocking = self.begin(device).await;
        knocking.say(&GuestFrame::Hello(hello)).await;
        knocking
    }

    /// Knocks properly, with an invite's claim if there is one, until the other side says something final or waits.
    pub(super) async fn knock_through(
        &self,
        device: &Device,
        name: &str,
        invite: Option<InviteClaim>,
    ) -> (Knocking, HostFrame) {
        let nonce = Nonce(rand::random());
        let hello = Hello { invite, ..self.hello(network_of(device), name, nonce) };
        let mut knocking = self.knock(device, hello).await;
        let answer = knocking.answer().await;
        if !matches!(answer, HostFrame::Challenge { .. }) {
            return (knocking, answer);
        }
        knocking.say(&GuestFrame::Reveal { nonce }).await;
        let answer = knocking.answer().await;
        (knocking, answer)
    }

    /// Becomes linked, as the member whose key this is.
    pub(super) async fn link(&self, device: &Device, network: NetworkId) -> Linked {
        let (linked, greeting) = self.greet(device, network).await;
        assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
        linked
    }

    /// Says hello on the members' protocol; the answer may be a refusal.
    pub(super) async fn greet(&self, device: &Device, network: NetworkId) -> (Linked, Greeting) {
        let connection = self.connect(device, MESH_ALPN).await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&greeting(network)).await.unwrap();
        send.write_all(&INTRODUCTION).await.unwrap();
        let mut decoder = FrameDecoder::new(GREETING_LIMIT);
        let greeting = loop {
            let chunk = tokio::time::timeout(PATIENCE, recv.read_chunk(1 << 16)).await.expect("a greeting in time");
            decoder.push(&chunk.unwrap().expect("a greeting")).unwrap();
            if let Some(greeting) = decoder.next().unwrap() {
                break greeting;
            }
        };
        (Linked { connection, control: (send, recv), _endpoint: self.endpoint.clone() }, greeting)
    }

    /// A statement with this key's honest signature.
    pub(super) fn record(&self, network: NetworkId, seq: u64, ms: u64, body: Body) -> Record {
        Record::sign(&self.secret, network, seq, Hlc::at(ms), body).unwrap()
    }
}

pub(super) fn greeting(network: NetworkId) -> Vec<u8> {
    let welcome = Welcome { protocol: PROTOCOL, app_version: "0.1.0".into(), network, device_name: "Laptop".into() };
    frame::encode(&Greeting::Welcome(welcome), GREETING_LIMIT).unwrap()
}

/// One knock, as the guest speaks it.
pub(super) struct Knocking {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    recv: RecvStream,
    decoder: FrameDecoder,
    host: DeviceId,
    /// A connection ends with its endpoint.
    _endpoint: Endpoint,
}

impl Knocking {
    pub(super) async fn say(&mut self, frame: &GuestFrame) {
        // A side that has hung up shows when its answer is read.
        let _ = self.send.write_all(&frame::encode(frame, ANY_SIZE).unwrap()).await;
    }

    /// The next frame of the host.
    pub(super) async fn answer(&mut self) -> HostFrame {
        self.try_answer().await.expect("one more frame")
    }

    /// As [`answer`](Self::answer); `None` when the host hung up.
    pub(super) async fn try_answer(&mut self) -> Option<HostFrame> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return Some(frame);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.recv.read_chunk(1 << 16)).await.expect("a frame in time");
            self.decoder.push(&chunk.ok()??).unwrap();
        }
    }

    /// The nonce that the host answers a hello with.
    pub(super) async fn challenge(&mut self) -> Nonce {
        match self.answer().await {
            HostFrame::Challenge { nonce, .. } => nonce,
            other => panic!("expected a challenge, not {other:?}"),
        }
    }

    /// The code that this side would show.
    pub(super) fn code(&self, network: NetworkId, guest: DeviceId, host_nonce: Nonce, guest_nonce: Nonce) -> Code {
        Transcript { network, host: self.host, guest, host_nonce, guest_nonce }.code()
    }
}

/// Whether a knock was turned down because it broke the protocol.
pub(super) fn is_fault(frame: &HostFrame) -> bool {
    matches!(frame, HostFrame::Denied { kind: DenyKind::Protocol, .. })
}

/// A link, as a member has it.
pub(super) struct Linked {
    pub(super) connection: Connection,
    pub(super) control: (SendStream, RecvStream),
    /// A connection ends with its endpoint.
    _endpoint: Endpoint,
}

impl Linked {
    /// Posts these bytes; the answer's status and body. `None` when the connection ends instead.
    pub(super) async fn post(&self, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: mesh\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.exchange(&[head.as_bytes(), body].concat()).await
    }

    /// Gets a path.
    pub(super) async fn get(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: mesh\r\n\r\n").as_bytes()).await
    }

    async fn exchange(&self, request: &[u8]) -> Option<(u16, Vec<u8>)> {
        let exchange = async {
            let (mut send, mut recv) = self.connection.open_bi().await.ok()?;
            // A body that is refused early ends the writing, not the answer.
            let _ = send.write_all(request).await;
            let mut answer = Vec::new();
            while let Ok(Some(chunk)) = recv.read_chunk(1 << 16).await {
                answer.extend_from_slice(&chunk);
            }
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
            let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
            Some((status, answer.split_off(end + 4)))
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time")
    }

    /// Pushes records; the answer's status, 0 when the connection ended.
    pub(super) async fn push(&self, records: &[Vec<u8>]) -> u16 {
        let peers: Vec<PeerAddress> = Vec::new();
        let body = postcard::to_stdvec(&(records, peers)).unwrap();
        self.post("/mesh/v1/records", &body).await.map_or(0, |(status, _)| status)
    }
}

/// How the other side closed a connection.
pub(super) async fn close_code(connection: &Connection) -> u64 {
    match tokio::time::timeout(PATIENCE, connection.closed()).await.expect("closed") {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn network_of(device: &Device) -> NetworkId {
    device.mesh.snapshot().active.unwrap()
}

/// Every record that a device keeps of a network, read from its disk.
pub(super) fn kept(device: &Device, network: NetworkId) -> Vec<Record> {
    let database = rusqlite::Connection::open(device.home().join("mesh.db")).unwrap();
    let mut query = database.prepare("SELECT bytes FROM mesh_records WHERE network = ?1").unwrap();
    let rows = query.query_map([network.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|bytes| Record::decode_for(network, &bytes.unwrap()).unwrap()).collect()
}

/// What those records amount to.
pub(super) fn believed(device: &Device, network: NetworkId) -> Membership {
    fold(network, &kept(device, network)).unwrap()
}

/// An honest pair and, in place of a third member "Laptop" that is away, a liar with its key.
pub(super) struct Scene {
    pub(super) host: Device,
    pub(super) honest: Device,
    pub(super) liar: Liar,
    pub(super) network: NetworkId,
    events: broadcast::Receiver<MeshEvent>,
    /// What the victim told so far.
    heard: Vec<MeshEvent>,
    before: Picture,
}

/// What a lie must not change.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    members: BTreeMap<DeviceId, (Role, String)>,
    name: String,
    kind: String,
    settings: String,
    counted: BTreeSet<RecordId>,
    knocks: usize,
    active: Option<NetworkId>,
}

impl Picture {
    fn of(device: &Device, network: NetworkId) -> Self {
        let (snapshot, membership) = (device.mesh.snapshot(), believed(device, network));
        let members = snapshot.members.iter();
        Self {
            members: members.map(|member| (member.device_id, (member.role, member.name.to_string()))).collect(),
            name: membership.name.to_string(),
            kind: format!("{:?}", membership.kind),
            settings: format!("{:?}", membership.settings),
            counted: membership.counted,
            knocks: snapshot.knocks.len(),
            active: snapshot.active,
        }
    }
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::of(NetworkKind::Open).await
    }

    pub(super) async fn of(kind: NetworkKind) -> Self {
        let (host, honest) = (Device::start("Attic", 1).await, Device::start("Desk", 3).await);
        host.mesh.create_network(NetworkName::parse("Home").unwrap(), kind).await.unwrap();
        join(&host, &honest).await;
        let laptop = Device::start("Laptop", 2).await;
        join(&host, &laptop).await;
        laptop.mesh.shutdown().await;
        let (network, events) = (network_of(&host), host.mesh.events());
        let before = Picture::of(&host, network);
        Self { liar: Liar::new(2).await, network, events, heard: Vec::new(), before, host, honest }
    }

    pub(super) async fn link(&self) -> Linked {
        self.liar.link(&self.host, self.network).await
    }

    /// Takes what is there now as what must not change.
    pub(super) fn look_again(&mut self) {
        self.before = Picture::of(&self.host, self.network);
    }

    /// The next number of the liar's own records.
    pub(super) fn next_seq(&self) -> u64 {
        believed(&self.host, self.network).head(self.liar.id()) + 1
    }

    /// Waits until the victim tells that `device` was refused, with these words.
    pub(super) async fn told(&mut self, device: DeviceId, words: &str) {
        let meant = |event: &MeshEvent| match event {
            MeshEvent::Refused { device_id, what, .. } => *device_id == Some(device) && what.contains(words),
            _ => false,
        };
        while !self.heard.iter().any(meant) {
            match tokio::time::timeout(PATIENCE, self.events.recv()).await {
                Ok(event) => self.heard.push(event.unwrap()),
                Err(_) => panic!("nobody told that {} {words:?}; heard {:#?}", device.short(), self.heard),
            }
        }
    }

    /// How many knocks were announced so far.
    pub(super) fn heard_knocks(&mut self) -> usize {
        while let Ok(event) = self.events.try_recv() {
            self.heard.push(event);
        }
        self.heard.iter().filter(|event| matches!(event, MeshEvent::KnockArrived(_))).count()
    }

    /// The victim shows, believes and counts what it did, and answers an honest member.
    pub(super) async fn unharmed(&self) {
        let after = Picture::of(&self.host, self.network);
        let more: Vec<&RecordId> = after.counted.difference(&self.before.counted).take(5).collect();
        assert!(more.is_empty(), "now these count as well: {more:?}, ...");
        assert_eq!(after, self.before);
        assert_eq!(self.honest.text(self.host.id(), "/who").await.unwrap(), "Desk Member");
    }
}
