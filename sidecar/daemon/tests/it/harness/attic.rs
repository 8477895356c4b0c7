//! A member of the network that a test controls: the real mesh, and a service of its own that gives model files, honestly
//! or not.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt as _;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::InviteOptions;
use myownmesh_mesh::{DeviceName, JoinStep, Mesh, MeshConfig};
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;
use tokio::sync::watch;

use super::hub::range;
use super::story::invite;
use super::{Daemon, in_time};

/// Bytes of a piece of an answer.
const PIECE: usize = 256 << 10;

/// The member. It is called Attic.
pub(crate) struct Attic {
    mesh: Mesh,
    shelf: Arc<Shelf>,
    #[expect(dead_code, reason = "held to be dropped")]
    folder: TempDir,
}

struct Shelf {
    /// What it lists, as `GET /mesh/v1/models/VARIANT` is answered.
    list: watch::Sender<Value>,
    bytes: Bytes,
    /// What lies beyond this is held back.
    gate: watch::Sender<usize>,
    /// Answers break off here.
    breaks: watch::Sender<usize>,
    /// Whether answers go on for ever.
    endless: watch::Sender<bool>,
    /// Where each range that was asked for begins.
    asked: watch::Sender<Vec<usize>>,
}

impl Attic {
    /// A member of `host`'s network that gives `bytes` under this name and lists them as they are; each sees the other.
    pub(crate) async fn enter(host: &Daemon, file: &str, bytes: Vec<u8>) -> Self {
        let sha256 = format!("{:x}", sha2::Sha256::digest(&bytes));
        let list = json!({ "files": [{ "name": file, "size": bytes.len(), "sha256": sha256 }] });
        let shelf = Arc::new(Shelf {
            list: watch::Sender::new(list),
            bytes: bytes.into(),
            gate: watch::Sender::new(usize::MAX),
            breaks: watch::Sender::new(usize::MAX),
            endless: watch::Sender::new(false),
            asked: watch::Sender::new(Vec::new()),
        });
        let answering = Arc::clone(&shelf);
        let service = Router::new().fallback(move |request: Request| {
            let shelf = Arc::clone(&answering);
            async move { shelf.answer(&request) }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let config = MeshConfig {
            secret: rand::random(),
            device_name: DeviceName::parse("Attic").expect("a name"),
            os: "Linux".to_owned(),
            app_version: "1.0.0".to_owned(),
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            relay: None,
            mdns: false,
            database: rusqlite::Connection::open(folder.path().join("attic.sqlite")).expect("a database"),
            service,
        };
        let mesh = Mesh::start(config).await.expect("it starts");
        let link = invite(host, InviteOptions { approved: true, ..InviteOptions::default() }).await;
        let link = link.invite.expect("whoever makes an invite has its link").parse().expect("an invite");
        let mut joining = mesh.join(link).await.expect("the invite is good");
        let joined = async {
            while let Some(step) = joining.next().await {
                if let JoinStep::Failed(error) = step {
                    panic!("{error}");
                }
            }
        };
        in_time("joining", joined).await;
        let attic = Self { mesh, shelf, folder };
        attic.online(host).await;
        attic
    }

    /// Waits until `host` sees it.
    pub(crate) async fn online(&self, host: &Daemon) {
        let id = self.mesh.device_id().to_string();
        host.until("Attic being online", async |control| {
            let devices = control.device_list().await.expect("devices can be listed");
            let online = myownmesh_control::types::DeviceState::Online;
            devices.into_iter().find(|device| device.device_id == id && device.state == online)
        })
        .await;
    }

    /// Says that it has this model, and waits until `host` has heard it.
    pub(crate) async fn shows(&self, host: &Daemon, model: &str) {
        let card = json!({ "models": [{ "id": model, "engine": "builtin", "state": "available" }] });
        self.mesh.publish_card(card).await.expect("it can be shown");
        host.until("Attic's model", async |control| {
            let models = control.model_list().await.expect("models can be listed");
            models.into_iter().find(|found| found.device_name == "Attic" && found.id == model)
        })
        .await;
    }

    /// Lists this from now on.
    pub(crate) fn lists(&self, list: Value) {
        self.shelf.list.send_replace(list);
    }

    /// Holds back what lies beyond `at`; `usize::MAX` lets everything through.
    pub(crate) fn hold_beyond(&self, at: usize) {
        self.shelf.gate.send_replace(at);
    }

    /// Breaks off what goes beyond `at`.
    pub(crate) fn break_at(&self, at: usize) {
        self.shelf.breaks.send_replace(at);
    }

    /// Sends on for ever.
    pub(crate) fn never_end(&self) {
        self.shelf.endless.send_replace(true);
    }

    /// Where the ranges begin that were asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.shelf.asked.send_replace(Vec::new())
    }

    /// Asks another member for something; status and body.
    pub(crate) async fn asks(&self, host: &Daemon, path: &str, range: Option<&str>) -> (StatusCode, Bytes) {
        let mut request = http::Request::get(path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let request = request.body(Body::empty()).expect("a request");
        let id = host.id().parse().expect("a device id");
        let answer = in_time("an answer", self.mesh.request(id, request)).await.expect("an answer");
        let status = answer.status();
        (status, in_time("the body", answer.into_body().collect()).await.expect("a body").to_bytes())
    }
}

impl Shelf {
    fn answer(&self, request: &Request) -> Response {
        let path = request.uri().path();
        if path.split('/').count() == 5 {
            let list = self.list.borrow().clone();
            return if list.is_null() {
                StatusCode::NOT_FOUND.into_response()
            } else {
                axum::Json(list).into_response()
            };
        }
        let size = self.bytes.len();
        let Some((from, to)) = range(request.headers()) else { return StatusCode::BAD_REQUEST.into_response() };
        self.asked.send_modify(|asked| asked.push(from));
        let ranged = Response::builder()
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", format!("bytes {from}-{to}/{size}"));
        ranged.body(self.body(from, (to + 1).min(size))).expect("a response")
    }

    /// The bytes from `from` to `end`, in pieces that pass the gate.
    fn body(&self, from: usize, end: usize) -> Body {
        let (bytes, gate, breaks) = (self.bytes.clone(), self.gate.subscribe(), *self.breaks.borrow());
        let endless = *self.endless.borrow();
        Body::from_stream(stream::unfold((from, bytes, gate), move |(at, bytes, mut gate)| async move {
            if at >= end && endless {
                return Some((Ok(Bytes::from_static(&[0; 4096])), (at, bytes, gate)));
            }
            if at >= end {
                return None;
            }
            let next = end.min(at + PIECE);
            if next > breaks {
                return Some((Err(std::io::Error::other("switched off")), (end, bytes, gate)));
            }
            // The gate lives as long as the member.
            gate.wait_for(|open| next <= *open).await.ok()?;
            let piece = bytes.slice(at..next);
            Some((Ok::<_, std::io::Error>(piece), (next, bytes, gate)))
        }))
    }
}
