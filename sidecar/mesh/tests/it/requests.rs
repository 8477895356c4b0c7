//! Requests between members: streams, cancel, many at once, and peers that are gone.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use myownmesh_mesh::{ErrorKind, LinkState};

use super::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_answer_drops_the_handler_at_once() {
    let (mut host, guest) = pair().await;
    for _ in 0..20 {
        let mut answer = guest.get(host.id(), "/endless").await.unwrap();
        let first = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "first");
        let began = Instant::now();
        drop(answer);
        let dropped = tokio::time::timeout(Duration::from_millis(500), host.dropped.recv()).await;
        assert_eq!(dropped.expect("dropped within 500 ms"), Some("endless"));
        println!("cancel in the middle: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_request_before_its_answer_drops_the_handler_at_once() {
    let (mut host, guest) = pair().await;
    for _ in 0..20 {
        let (mesh, device) = (guest.mesh.clone(), host.id());
        let asking = tokio::spawn(async move {
            let request = Request::get("/never").body(Body::empty()).unwrap();
            mesh.request(device, request).await.map(|_| ())
        });
        assert_eq!(host.begun.recv().await, Some("never"));
        let began = Instant::now();
        asking.abort();
        let dropped = tokio::time::timeout(Duration::from_millis(500), host.dropped.recv()).await;
        assert_eq!(dropped.expect("dropped within 500 ms"), Some("never"));
        println!("cancel before the answer: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_requester_drops_the_handler() {
    let (mut host, guest) = pair().await;
    let answer = guest.get(host.id(), "/endless").await.unwrap();
    guest.mesh.shutdown().await;
    let dropped = tokio::time::timeout(Duration::from_millis(500), host.dropped.recv()).await;
    assert_eq!(dropped.expect("dropped within 500 ms"), Some("endless"));
    drop(answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_streams_at_once_in_both_directions() {
    let (host, guest) = pair().await;
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..64_usize {
        for (from, to) in [(&guest, &host), (&host, &guest)] {
            let (mesh, device) = (from.mesh.clone(), to.id());
            asking.spawn(async move {
                let sent = Bytes::from(vec![u8::try_from(n).unwrap(); 10_000 + n]);
                let request = Request::post("/echo").body(Body::from(sent.clone())).unwrap();
                let answer = mesh.request(device, request).await.unwrap();
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), sent);
            });
        }
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    // Held open together, then more: nothing leaks and nothing waits for anything else.
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(guest.get(host.id(), "/endless").await.unwrap());
    }
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
    drop(open);
    for _ in 0..200 {
        drop(guest.get(host.id(), "/endless").await.unwrap());
    }
    assert_eq!(guest.text(host.id(), "/who").await.unwrap(), "Laptop Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_of_an_upload_is_not_lost() {
    let (host, guest) = pair().await;
    for _ in 0..30 {
        let chunks = (0..512).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 64 * 1024])));
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let request = Request::post("/too-large").body(body).unwrap();
        let answer = tokio::time::timeout(PATIENCE, guest.mesh.request(host.id(), request)).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "too large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_goes_through_both_ways() {
    let (host, guest) = pair().await;
    let sent = Bytes::from((0..8_000_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<u8>>());
    let request = Request::post("/echo").body(Body::from(sent.clone())).unwrap();
    let answer = guest.mesh.request(host.id(), request).await.unwrap();
    assert!(answer.into_body().collect().await.unwrap().to_bytes() == sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_an_error_not_a_short_answer() {
    let (host, guest) = pair().await;
    // The reset may overtake the head.
    if let Ok(answer) = guest.get(host.id(), "/cut").await {
        assert!(answer.into_body().collect().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_dead_device_fails_in_bounded_time_with_a_reason() {
    let (host, guest) = pair().await;
    guest.mesh.shutdown().await;
    host.until(|picture| matches!(picture.member(guest.id()).unwrap().link, LinkState::Away { .. })).await;
    let began = Instant::now();
    let error = host.get(guest.id(), "/who").await.unwrap_err();
    let took = began.elapsed();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("Laptop"), "{error}");
    assert!(took < Duration::from_secs(7), "took {took:?}");
    println!("gave up after {took:?}: {error}");
    let nobody = Device::start("Phone", 9).await;
    assert_eq!(host.get(nobody.id(), "/who").await.unwrap_err().kind(), ErrorKind::NotMember);
}
