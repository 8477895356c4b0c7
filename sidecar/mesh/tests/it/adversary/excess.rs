//! Too much, too large, too far ahead.

use std::time::{Duration, Instant};

use myownmesh_mesh::proto::hlc::{Hlc, MAX_AHEAD_MS};
use myownmesh_mesh::proto::quota::{MAX_BYTES, MAX_FOREIGN_BYTES};
use myownmesh_mesh::proto::record::{Body, DeviceInfo, MAX_RECORD_BYTES, Record, RecordError};
use myownmesh_mesh::{DeviceId, DeviceName, NetworkName};

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
    // The payload's length is the last thing before it, seven bits a byte: two bytes there, three here.
    let mut longer = signed[..head - 2].to_vec();
    for shift in [0, 7, 14] {
        let more = if shift < 14 { 0x80 } else { 0 };
        longer.push(u8::try_from((bytes >> shift) & 0x7f).unwrap() | more);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_records_is_cut_off_and_others_are_served() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let (start, began) = (scene.next_seq(), Instant::now());
    let mut slowest = Duration::ZERO;
    // More bytes than one author may have kept, in the largest records there are.
    let size = MAX_RECORD_BYTES - 200;
    let rounds = u64::try_from(MAX_BYTES / (32 * size)).unwrap() + 3;
    for round in 0..rounds {
        let at = now();
        let next = |n| scene.liar.record(scene.network, start + round * 32 + n, at + n, filler(size));
        let records: Vec<Vec<u8>> = (0..32).map(|n| next(n).as_bytes().to_vec()).collect();
        link.push(&records).await;
        let asked = Instant::now();
        assert_eq!(scene.honest.text(scene.host.id(), "/who").await.unwrap(), "Desk Member");
        slowest = slowest.max(asked.elapsed());
    }
    scene.told(scene.liar.id(), "more records than a device ever needs").await;
    let of = |device: DeviceId| kept(&scene.host, scene.network).into_iter().filter(move |it| it.author() == device);
    let (records, bytes) = of(scene.liar.id()).fold((0, 0), |(n, sum), it| (n + 1, sum + it.as_bytes().len()));
    println!(
        "{} records sent in {:?}: {records} kept; slowest honest answer {slowest:?}",
        rounds * 32,
        began.elapsed()
    );
    assert!(bytes <= MAX_BYTES, "{bytes} bytes of the liar are kept");

    // Records of devices that never were members have one small share together.
    for seed in 100..140 {
        let stranger = Liar::new(seed).await;
        let record = |seq| stranger.record(scene.network, seq, now() + seq, filler(size)).as_bytes().to_vec();
        link.push(&(1..=4).map(record).collect::<Vec<_>>()).await;
    }
    let strangers = kept(&scene.host, scene.network);
    let members = believed(&scene.host, scene.network).members;
    let foreign = strangers.iter().filter(|it| !members.contains_key(&it.author())).map(|it| it.as_bytes().len());
    assert!(foreign.sum::<usize>() <= MAX_FOREIGN_BYTES);
    // An honest member's statements are taken as before, and so is what the victim itself decides.
    scene.honest.mesh.rename_device(DeviceName::parse("Bureau").unwrap()).await.unwrap();
    scene.host.until(|picture| picture.members.iter().any(|it| it.name.as_str() == "Bureau")).await;
    scene.host.mesh.remove_device(scene.liar.id()).await.unwrap();
    assert_eq!(scene.honest.text(scene.host.id(), "/who").await.unwrap(), "Bureau Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_the_same_again_and_again_holds_up_nobody() {
    let scene = Scene::new().await;
    let link = scene.link().await;
    let start = scene.next_seq();
    let at = now();
    let record = |n| scene.liar.record(scene.network, start + n, at + n, filler(0)).as_bytes().to_vec();
    let many: Vec<Vec<u8>> = (0..3_000).map(record).collect();
    link.push(&many).await;
    // Many at once, each of thousands of signatures.
    let pushes = futures_util::future::join_all((0..40).map(|_| link.push(&many)));
    let honest = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let asked = Instant::now();
            scene.host.mesh.invites().await.unwrap();
            assert_eq!(scene.honest.text(scene.host.id(), "/who").await.unwrap(), "Desk Member");
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let began = Instant::now();
    let (_, slowest) = tokio::join!(pushes, honest);
    println!("40 pushes of 3,000 known records in {:?}; slowest honest answer meanwhile {slowest:?}", began.elapsed());
    // The same with bodies that never end: only as many are read as have their turn.
    let mut held = Vec::new();
    for _ in 0..200 {
        let (mut send, recv) = link.connection.open_bi().await.unwrap();
        let _ = send.write_all(b"POST /mesh/v1/records HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n").await;
        held.push((send, recv));
    }
    scene.host.mesh.invites().await.unwrap();
    assert_eq!(scene.honest.text(scene.host.id(), "/who").await.unwrap(), "Desk Member");
    assert_eq!(link.get("/mesh/v1/ping").await.map(|(status, _)| status), Some(204));
}
