//! Devices for tests: a mesh with a database file, and a service whose handlers tell when they are dropped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::Request;
use http_body_util::BodyExt as _;
use myownmesh_mesh::{
    Asker, Code, DenyKind, DeviceId, DeviceName, Invite, InviteOptions, JoinProgress, JoinStep, KnockInfo, Mesh,
    MeshConfig, MeshError, MeshSnapshot, NetworkKind, NetworkName, Role,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// One device, with its home.
pub(crate) struct Device {
    pub(crate) mesh: Mesh,
    pub(crate) name: &'static str,
    seed: u8,
    home: TempDir,
    /// Says which handler was dropped before it was done.
    pub(crate) dropped: mpsc::UnboundedReceiver<&'static str>,
    /// Says which handler began.
    pub(crate) begun: mpsc::UnboundedReceiver<&'static str>,
}

impl Device {
    pub(crate) async fn start(name: &'static str, seed: u8) -> Self {
        Self::start_with(name, seed, |_| {}).await
    }

    /// As `start`, with options of its own.
    pub(crate) async fn start_with(name: &'static str, seed: u8, options: impl FnOnce(&mut MeshConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::start_in(name, seed, home, options).await
    }

    async fn start_in(name: &'static str, seed: u8, home: TempDir, options: impl FnOnce(&mut MeshConfig)) -> Self {
        // Logs of failed tests, with RUST_LOG; the first device of a process sets it up.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let (dropped_tx, dropped) = mpsc::unbounded_channel();
        let (begun_tx, begun) = mpsc::unbounded_channel();
        let service = service(Told { dropped: dropped_tx, begun: begun_tx });
        let mut config = config(name, seed, home.path(), service);
        options(&mut config);
        let mesh = Mesh::start(config).await.unwrap();
        Self { mesh, name, seed, home, dropped, begun }
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.mesh.device_id()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// Stops it in order, and starts it again on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// As `restart`, with options of its own.
    pub(crate) async fn restart_with(self, options: impl FnOnce(&mut MeshConfig)) -> Self {
        self.mesh.shutdown().await;
        Self::start_in(self.name, self.seed, self.home, options).await
    }

    pub(crate) async fn found(&self, name: &str) {
        self.mesh.create_network(NetworkName::parse(name).unwrap(), NetworkKind::Open).await.unwrap();
    }

    pub(crate) async fn invite(&self) -> Invite {
        self.mesh.create_invite(InviteOptions::default()).await.unwrap().link.parse().unwrap()
    }

    /// Waits until the picture satisfies `what`.
    pub(crate) async fn until(&self, what: impl FnMut(&MeshSnapshot) -> bool) -> std::sync::Arc<MeshSnapshot> {
        let mut what = what;
        let mut pictures = self.mesh.watch();
        match tokio::time::timeout(PATIENCE, pictures.wait_for(|picture| what(picture))).await {
            Ok(picture) => picture.unwrap().clone(),
            Err(_) => panic!("{} never got there; it shows {:#?}", self.name, self.mesh.snapshot()),
        }
    }

    pub(crate) async fn until_linked(&self, others: &[DeviceId]) {
        let online = |picture: &MeshSnapshot, id| picture.member(id).is_some_and(|member| member.link.is_online());
        self.until(|picture| others.iter().all(|id| online(picture, *id))).await;
    }

    /// The knock that waits here.
    pub(crate) async fn knock(&self) -> KnockInfo {
        self.until(|picture| !picture.knocks.is_empty()).await.knocks[0].clone()
    }

    pub(crate) async fn get(&self, from: DeviceId, path: &str) -> Result<http::Response<Body>, MeshError> {
        let request = Request::get(path).body(Body::empty()).unwrap();
        tokio::time::timeout(PATIENCE, self.mesh.request(from, request)).await.expect("an answer in time")
    }

    pub(crate) async fn text(&self, from: DeviceId, path: &str) -> Result<String, MeshError> {
        let answer = self.get(from, path).await?;
        assert!(answer.status().is_success(), "{}", answer.status());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn deny(&self, kind: DenyKind, reason: Option<&str>) {
        let knock = self.knock().await;
        self.mesh.deny(knock.id, kind, reason.map(str::to_owned)).await.unwrap();
    }
}

pub(crate) fn config(name: &str, seed: u8, home: &Path, service: Router) -> MeshConfig {
    let database = rusqlite::Connection::open(home.join("mesh.db")).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.pragma_update(None, "synchronous", "NORMAL").unwrap();
    MeshConfig {
        secret: [seed; 32],
        device_name: DeviceName::parse(name).unwrap(),
        os: "Linux".to_owned(),
        app_version: "0.1.0".to_owned(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        relay: None,
        mdns: false,
        database,
        service,
    }
}

/// Two devices, the second admitted by the first, linked.
pub(crate) async fn pair() -> (Device, Device) {
    let host = Device::start("Attic", 1).await;
    let guest = Device::start("Laptop", 2).await;
    host.found("Home").await;
    join(&host, &guest).await;
    (host, guest)
}

/// `guest` knocks at `host` and is approved with the code it shows.
pub(crate) async fn join(host: &Device, guest: &Device) {
    let mut progress = guest.mesh.join(host.invite().await).await.unwrap();
    let code = until_knocking(&mut progress).await;
    let knock = host.until(|picture| picture.knocks.iter().any(|knock| knock.code == code)).await;
    let knock = knock.knocks.iter().find(|knock| knock.code == code).unwrap().clone();
    host.mesh.approve(knock.id, Role::Member, Some(code)).await.unwrap();
    let JoinStep::Joined { network } = last(&mut progress).await else { panic!("not joined") };
    assert!(network.active);
    host.until_linked(&[guest.id()]).await;
    guest.until_linked(&[host.id()]).await;
}

/// Follows a join until the code is shown.
pub(crate) async fn until_knocking(progress: &mut JoinProgress) -> Code {
    loop {
        match step(progress).await {
            JoinStep::Finding { .. } | JoinStep::Connected { .. } => {}
            JoinStep::Knocking { code, .. } => return code,
            other => panic!("expected a knock, not {other:?}"),
        }
    }
}

/// The last step of a join.
pub(crate) async fn last(progress: &mut JoinProgress) -> JoinStep {
    loop {
        let step = step(progress).await;
        if matches!(step, JoinStep::Joined { .. } | JoinStep::Failed(_)) {
            return step;
        }
    }
}

pub(crate) async fn step(progress: &mut JoinProgress) -> JoinStep {
    tokio::time::timeout(PATIENCE, progress.next()).await.expect("a step in time").expect("one more step")
}

#[derive(Clone)]
struct Told {
    dropped: mpsc::UnboundedSender<&'static str>,
    begun: mpsc::UnboundedSender<&'static str>,
}

/// Tells when it is dropped.
struct Guard(&'static str, mpsc::UnboundedSender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.1.send(self.0);
    }
}

fn service(told: Told) -> Router {
    Router::new()
        .route(
            "/who",
            get(|Extension(asker): Extension<Asker>| async move { format!("{} {:?}", asker.name, asker.role) }),
        )
        .route("/echo", post(|body: Body| async move { body }))
        .route("/too-large", post(|| async { (http::StatusCode::PAYLOAD_TOO_LARGE, "too large") }))
        .route("/never", get(never))
        .route("/endless", get(endless))
        .route("/cut", get(cut))
        .with_state(told)
}

/// Never answers.
async fn never(State(told): State<Told>) {
    let _guard = Guard("never", told.dropped);
    let _ = told.begun.send("never");
    std::future::pending::<()>().await;
}

/// One chunk, then silence; the stream never ends.
async fn endless(State(told): State<Told>) -> Body {
    let guard = Guard("endless", told.dropped);
    let _ = told.begun.send("endless");
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"first"))]);
    let rest = futures_util::stream::once(async move {
        let _guard = guard;
        std::future::pending::<Result<Bytes, std::io::Error>>().await
    });
    Body::from_stream(futures_util::StreamExt::chain(first, rest))
}

/// Fails in the middle of its answer.
async fn cut() -> Body {
    let parts = [Ok(Bytes::from_static(b"half of")), Err(std::io::Error::other("broken"))];
    Body::from_stream(futures_util::stream::iter(parts))
}
