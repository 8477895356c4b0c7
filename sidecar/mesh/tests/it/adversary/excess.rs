//! Too much, too large, too far ahead.

use myownmesh_mesh::proto::hlc::{Hlc, MAX_AHEAD_MS};
use myownmesh_mesh::proto::record::{Body, DeviceInfo, MAX_RECORD_BYTES, Record, RecordError};
use myownmesh_mesh::{DeviceName, NetworkName};

use super::liar::*;

/// A kind that no version knows: kept and passed on, which is what makes it good for filling a disk.
const UNKNOWN: u16 = 60_000;

fn filler(bytes: usize) -> Body {
    Body::Unknown { kind: UNKNOWN, payload: vec![7; bytes] }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_record_is_refused() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let largest = scene.liar.record(scene.network, scene.next_seq(), now(), filler(MAX_RECORD_BYTES - 200));
    assert_eq!(
        Record::sign(&scene.liar.secret, scene.network, 9, Hlc::at(now()), filler(MAX_RECORD_BYTES)).unwrap_err(),
        RecordError::TooLarge
    );
    // The library will not make one, so it is made by hand: a longer payload, announced and signed properly.
    let oversized = by_hand(&scene, &largest, MAX_RECORD_BYTES);
    assert!(oversized.len() > MAX_RECORD_BYTES);
    assert_eq!(link.push(&[oversized]).await, 400);
    scene.told(scene.liar.id(), "too large").await;
    // A body over the limit of the route is not read to its end.
    let body = vec![0; 3 << 20];
    for path in ["/mesh/v1/records", "/mesh/v1/records/fetch", "/mesh/v1/reconcile"] {
        let status = link.post(path, &body).await.map(|(status, _)| status);
        assert_eq!(status, Some(413), "{path}");
    }
    scene.unharmed().await;
}

/// The record with its payload grown to `bytes`, signed again by the liar.
fn by_hand(scene: &Scene, record: &Record, bytes: usize) -> Vec<u8> {
    let signed = &record.as_bytes()[..record.as_bytes().len() - 64];
    let head = signed.len() - (MAX_RECORD_BYTES - 200);
    let mut longer = signed[..head].to_vec();
    // The payload's length is the last thing before it: a number of three bytes, seven bits each.
    for (at, shift) in [(3, 0), (2, 7), (1, 14)] {
        let more = if at > 1 { 0x80 } else { 0 };
        longer[head - at] = u8::try_from((bytes >> shift) & 0x7f).unwrap() | more;
    }
    longer.extend(vec![7; bytes]);
    let signature = scene.liar.secret.sign(&[b"myownmesh record signature v1\0".as_slice(), &longer].concat());
    longer.extend_from_slice(&signature.to_bytes());
    longer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_far_ahead_is_not_followed() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let seq = scene.next_seq();
    let said = |seq, ms| {
        let info = DeviceInfo { name: DeviceName::parse("From the future").unwrap(), os: String::new() };
        scene.liar.record(scene.network, seq, ms, Body::DeviceInfo(info)).as_bytes().to_vec()
    };
    let far = [said(seq, now() + MAX_AHEAD_MS + 60_000), said(seq + 1, u64::MAX - 1), said(seq + 2, u64::MAX)];
    for record in &far {
        link.push(std::slice::from_ref(record)).await;
    }
    scene.told(scene.liar.id(), "more than a day ahead").await;
    scene.unharmed().await;
    // What this device writes next has the time of its own clock.
    scene.host.mesh.rename_network(scene.network, NetworkName::parse("Our home").unwrap()).await.unwrap();
    let latest = kept(&scene.host, scene.network).iter().map(Record::hlc).max().unwrap();
    assert!(latest.ms <= now(), "{latest:?}");
}
