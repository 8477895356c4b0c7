//! Both devices of what was borrowed count the same: this one asks the other for what it counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, header};
use myownmesh_mesh::{DeviceId, MeshSnapshot, NetworkId};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::joined;
use crate::api::{LEDGER, Told};
use crate::daemon::Daemon;
use crate::ledger::RequestName;

/// What was borrowed closely together is asked for together; by then the other device has written it as well.
const GATHER: Duration = Duration::from_millis(200);
/// How long the other device may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited after each round that left something open.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(60), Duration::from_secs(900)];
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Asks until the daemon ends.
pub(super) async fn keep(daemon: &Daemon) {
    let (mut borrowed, mut mesh) = (daemon.ledger.borrowed(), daemon.mesh.watch());
    let mut round = 0;
    loop {
        borrowed.mark_unchanged();
        let here = Here::of(&mesh.borrow_and_update());
        let open = match here.network {
            Some(network) => settle(daemon, network, &here.online).await,
            None => false,
        };
        let wait = AGAIN.get(round).or(AGAIN.last()).copied().filter(|_| open).unwrap_or(Duration::MAX);
        let wake = Instant::now().checked_add(wait);
        tokio::select! {
            changed = borrowed.changed() => {
                if changed.is_err() {
                    return;
                }
                round = 0;
                sleep(GATHER).await;
            }
            changed = others(&mut mesh, &here) => {
                if changed.is_err() {
                    return;
                }
                round = 0;
            }
            () = at(wake) => round += 1,
        }
    }
}

/// Completes when others can be asked than `before`.
async fn others(mesh: &mut watch::Receiver<Arc<MeshSnapshot>>, before: &Here) -> Result<(), watch::error::RecvError> {
    mesh.wait_for(|mesh| Here::of(mesh) != *before).await.map(drop)
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// Whom can be asked.
#[derive(PartialEq, Eq)]
struct Here {
    network: Option<NetworkId>,
    online: BTreeSet<DeviceId>,
}

impl Here {
    fn of(mesh: &MeshSnapshot) -> Self {
        let online = mesh.members.iter().filter(|member| !member.this_device && member.link.is_online());
        Self { network: joined(mesh), online: online.map(|member| member.device_id).collect() }
    }
}

/// One round; whether something of a device that is here stays open.
async fn settle(daemon: &Daemon, network: NetworkId, online: &BTreeSet<DeviceId>) -> bool {
    let open = match daemon.ledger.open(network).await {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(%error, "what was borrowed cannot be compared");
            return true;
        }
    };
    let mut left = false;
    for (device, requests) in open.into_iter().filter(|(device, _)| online.contains(device)) {
        let asked = requests.len();
        match timeout(PATIENCE, ask(daemon, device, &requests)).await {
            Ok(Ok(told)) => {
                let known = told.counted.len();
                if let Err(error) = daemon.ledger.agree(device, told.counted).await {
                    tracing::warn!(%error, "what another device counted could not be written");
                }
                left |= known < asked;
            }
            Ok(Err(reason)) => {
                tracing::debug!(device = %device.short(), reason, "it does not tell what it lent");
                left = true;
            }
            Err(_) => left = true,
        }
    }
    left
}

async fn ask(daemon: &Daemon, device: DeviceId, requests: &[RequestName]) -> Result<Told, String> {
    let names: Vec<&str> = requests.iter().map(RequestName::as_str).collect();
    let body = json!({ "requests": names }).to_string();
    let request = Request::post(LEDGER)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .map_err(|error| error.to_string())?;
    let answer = daemon.mesh.request(device, request).await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}
