//! What the public picture does not show: how many connections there are between two devices.

use std::time::Duration;

use axum::routing::get;
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(15);

async fn device(name: &str, seed: u8) -> (Mesh, TempDir) {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    let home = tempfile::tempdir().expect("a folder");
    let config = MeshConfig {
        secret: [seed; 32],
        device_name: DeviceName::parse(name).expect("a name"),
        os: "Linux".to_owned(),
        app_version: "0.1.0".to_owned(),
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        relay: None,
        mdns: false,
        database: rusqlite::Connection::open(home.path().join("mesh.db")).expect("a database"),
        service: axum::Router::new().route("/hi", get(|| async { "hi" })),
    };
    (Mesh::start(config).await.expect("a mesh"), home)
}

async fn hi(from: &Mesh, to: DeviceId) {
    let request = Request::get("/hi").body(Body::empty()).expect("a request");
    let answer = tokio::time::timeout(PATIENCE, from.request(to, request)).await.expect("in time").expect("an answer");
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a whole answer");
    assert_eq!(body.to_bytes(), "hi");
}

/// Follows the table until there were several connections, and then exactly one; returns the most there were.
async fn settle(table: &mut watch::Receiver<Arc<LinkTable>>, peer: DeviceId) -> usize {
    let mut most = 0;
    let settling = async {
        loop {
            table.changed().await.expect("a table");
            let now = table.borrow_and_update().get(&peer).map_or(0, |view| view.connections);
            most = most.max(now);
            if most > 1 && now == 1 {
                break most;
            }
        }
    };
    tokio::time::timeout(PATIENCE, settling).await.expect("one connection in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_dial_each_other_at_once_keep_one_connection_and_lose_no_request() {
    let ((a, _home_a), (b, _home_b)) = tokio::join!(device("Attic", 1), device("Laptop", 2));
    a.create_network(NetworkName::parse("Home").expect("a name"), NetworkKind::Open).await.expect("founded");
    let options = InviteOptions { approved: true, ..InviteOptions::default() };
    let invite = a.create_invite(options).await.expect("an invite").link.parse().expect("a link");
    let mut join = b.join(invite).await.expect("a knock");
    while let Some(step) = join.next().await {
        assert!(!matches!(step, JoinStep::Failed(_)), "{step:?}");
    }
    let (a_id, b_id) = (a.device_id(), b.device_id());
    tokio::join!(hi(&a, b_id), hi(&b, a_id));
    let (mut doubled, mut answered) = (0, 0);
    for _ in 0..20 {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (a, b) = (a.clone(), b.clone());
            asking.spawn(async move {
                for _ in 0..10 {
                    tokio::join!(hi(&a, b_id), hi(&b, a_id));
                }
            });
        }
        let (mut seen_a, mut seen_b) = (a.inner.links.table(), b.inner.links.table());
        seen_a.mark_unchanged();
        seen_b.mark_unchanged();
        tokio::join!(a.inner.links.dial_anyway(b_id), b.inner.links.dial_anyway(a_id));
        let (asked, most_a, most_b) =
            tokio::join!(asking.join_all(), settle(&mut seen_a, b_id), settle(&mut seen_b, a_id));
        answered += asked.len() * 20;
        doubled += usize::from(most_a > 1 && most_b > 1);
        // Both settled on the same connection: it still carries requests both ways.
        tokio::join!(hi(&a, b_id), hi(&b, a_id));
    }
    println!("{answered} requests while there was more than one connection in {doubled} of 20 rounds");
    assert_eq!(doubled, 20);
    a.shutdown().await;
    b.shutdown().await;
}
