//! The lookup server, by a faithful double of a pkarr relay: `PUT` and `GET /{key}` with the key in z-base-32, the body
//! being signature (64 bytes), time stamp (8 bytes, big-endian microseconds) and a DNS packet of at most 1000 bytes,
//! signed as BEP 44 says.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::get;
use data_encoding::Specification;
use http::StatusCode;
use myownmesh_mesh::{DeviceId, MeshConfig, SettingsPatch};
use tokio::sync::watch;

use super::support::*;

/// The newest packet by key, and how many were taken.
#[derive(Debug, Default, Clone)]
struct Shelf {
    packets: BTreeMap<[u8; 32], Bytes>,
    taken: usize,
}

type Shared = Arc<watch::Sender<Shelf>>;

fn key_of(text: &str) -> Option<[u8; 32]> {
    let mut zbase32 = Specification::new();
    zbase32.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    zbase32.encoding().unwrap().decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The time stamp, if the packet is whole and the key's.
fn check(key: &[u8; 32], body: &[u8]) -> Option<u64> {
    let (signature, rest) = body.split_first_chunk::<64>()?;
    let (stamp, packet) = rest.split_first_chunk::<8>()?;
    let stamp = u64::from_be_bytes(*stamp);
    let message = [format!("3:seqi{stamp}e1:v{}:", packet.len()).as_bytes(), packet].concat();
    let key = iroh::PublicKey::from_bytes(key).ok()?;
    let genuine = key.verify(&message, &iroh::Signature::from_bytes(signature)).is_ok();
    (genuine && packet.len() <= 1_000).then_some(stamp)
}

async fn put(State(shelf): State<Shared>, Path(key): Path<String>, body: Bytes) -> StatusCode {
    let Some(key) = key_of(&key) else { return StatusCode::BAD_REQUEST };
    let Some(stamp) = check(&key, &body) else { return StatusCode::BAD_REQUEST };
    if shelf.borrow().packets.get(&key).and_then(|old| check(&key, old)).is_some_and(|old| old > stamp) {
        return StatusCode::CONFLICT;
    }
    shelf.send_modify(|shelf| {
        shelf.packets.insert(key, body);
        shelf.taken += 1;
    });
    StatusCode::NO_CONTENT
}

async fn look(State(shelf): State<Shared>, Path(key): Path<String>) -> Result<Bytes, StatusCode> {
    let key = key_of(&key).ok_or(StatusCode::BAD_REQUEST)?;
    shelf.borrow().packets.get(&key).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn start() -> (String, Shared) {
    let shelf: Shared = Arc::new(watch::Sender::new(Shelf::default()));
    let router = Router::new().route("/pkarr/{key}", get(look).put(put)).with_state(shelf.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/pkarr", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, shelf)
}

async fn until_published(shelf: &Shared, device: DeviceId) {
    let mut watching = shelf.subscribe();
    let there = watching.wait_for(|shelf| shelf.packets.contains_key(device.as_bytes()));
    assert!(tokio::time::timeout(PATIENCE, there).await.is_ok(), "never published");
}

fn at(address: &'static str) -> impl FnOnce(&mut MeshConfig) {
    move |config| config.listen = vec![address.parse().unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_both_moved_find_each_other_by_the_lookup_server_while_it_is_set() {
    let (url, shelf) = start().await;
    let (host, guest) = pair().await;
    let (host_id, guest_id) = (host.id(), guest.id());
    assert!(shelf.borrow().packets.is_empty(), "nothing is published unless a setting says so");
    let network = host.mesh.snapshot().active.unwrap();
    let on = SettingsPatch { lookup: Some(Some(url)), ..SettingsPatch::default() };
    host.mesh.set_network_settings(network, on).await.unwrap();
    until_published(&shelf, host_id).await;
    until_published(&shelf, guest_id).await;

    host.mesh.shutdown().await;
    guest.mesh.shutdown().await;
    let host = host.restart_with(at("127.0.0.2:0")).await;
    let guest = guest.restart_with(at("127.0.0.3:0")).await;
    guest.until_linked(&[host_id]).await;
    host.until_linked(&[guest_id]).await;
    assert_eq!(guest.text(host_id, "/who").await.unwrap(), "Laptop Member");

    // Behind an air gap nothing is published any more, whatever changes.
    let gap = SettingsPatch { air_gapped: Some(true), ..SettingsPatch::default() };
    host.mesh.set_network_settings(network, gap).await.unwrap();
    guest.until(|picture| picture.networks[0].settings.air_gapped).await;
    let taken = shelf.borrow().taken;
    let guest = guest.restart_with(at("127.0.0.4:0")).await;
    guest.until_linked(&[host_id]).await;
    assert_eq!(shelf.borrow().taken, taken);
}
