//! Documents that are forged, foreign, too many, too large, or none.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use iroh::SecretKey;
use iroh::endpoint::{RecvStream, SendStream};
use myownmesh_mesh::proto::document::{Collection, DocumentId, Entry};
use myownmesh_mesh::proto::hlc::{Hlc, MAX_AHEAD_MS};
use myownmesh_mesh::proto::ids::NetworkId;
use myownmesh_mesh::proto::record::{Body, DeviceInfo, Record};
use myownmesh_mesh::{DeviceId, DeviceName, DocumentEdit, MeshEvent};
use tokio::sync::oneshot;

use super::liar::*;
use crate::support::*;

/// More than an author may write at once, see `proto::document::pace`.
const FLOOD: usize = 4_096 + 500;

fn entry(id: &str, value: &[u8]) -> Entry {
    Entry {
        collection: Collection::parse("prompts").unwrap(),
        own: false,
        id: DocumentId::parse(id).unwrap(),
        value: Some(value.to_vec()),
    }
}

fn document(scene: &Scene, seq: u64, id: &str, value: &[u8]) -> Record {
    scene.liar.record(scene.network, seq, now(), Body::Document(entry(id, value)))
}

/// A push of documents as it goes over the wire: no word about oneself, then the records.
async fn push(link: &Linked, records: &[Vec<u8>]) -> u16 {
    let body = postcard::to_stdvec(&(None::<()>, records)).unwrap();
    link.post("/mesh/v1/documents", &body).await.map_or(0, |(status, _)| status)
}

async fn shown(device: &Device) -> BTreeMap<String, Vec<u8>> {
    let documents = device.mesh.documents(&Collection::parse("prompts").unwrap()).await.unwrap();
    documents.into_iter().map(|it| (it.id.to_string(), it.value.unwrap().to_vec())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_document_is_refused_and_told() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let seq = scene.next_seq();
    for garbage in [&b""[..], b"\x00", b"\xff\xff\xff\xff", &[7; 4_000]] {
        let status = link.post("/mesh/v1/documents", garbage).await.map(|(status, _)| status);
        assert!(matches!(status, Some(400)), "{status:?}");
    }
    let large = vec![0; 3 << 20];
    for path in ["/mesh/v1/documents", "/mesh/v1/documents/fetch", "/mesh/v1/documents/reconcile"] {
        let status = link.post(path, &large).await.map(|(status, _)| status);
        assert_eq!(status, Some(413), "{path}");
    }
    // A decision among documents, and a document among decisions.
    let info = DeviceInfo { name: DeviceName::parse("Owner").unwrap(), os: String::new() };
    let decision = scene.liar.record(scene.network, seq, now(), Body::DeviceInfo(info));
    assert_eq!(push(&link, &[decision.as_bytes().to_vec()]).await, 400);
    let misplaced = document(&scene, seq + 1, "misplaced", b"x");
    assert_eq!(link.push(&[misplaced.as_bytes().to_vec()]).await, 400);
    scene.told(scene.liar.id(), "damaged").await;
    assert!(shown(&scene.host).await.is_empty());
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_altered_and_foreign_documents_are_refused() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let honest = scene.host.mesh.write_documents(vec![edit("a", b"of the host")]).await.unwrap();
    assert_eq!(honest.len(), 1);
    // Altered: what the host signed, with another text.
    let seq = scene.next_seq();
    let mut altered = document(&scene, seq, "a", b"of the liar").as_bytes().to_vec();
    let at = altered.len() - 70;
    altered[at] ^= 1;
    assert_eq!(push(&link, &[altered]).await, 400);
    scene.told(scene.liar.id(), "not signed by the device it names").await;
    // Of another network.
    let foreign = scene.liar.record(NetworkId::from_bytes([9; 32]), seq, now(), Body::Document(entry("a", b"foreign")));
    assert_eq!(push(&link, &[foreign.as_bytes().to_vec()]).await, 400);
    scene.told(scene.liar.id(), "of another network").await;
    // Of somebody who was never a member: passed over, for its admission may be on the way.
    let stranger = SecretKey::from_bytes(&[77; 32]);
    let body = Body::Document(entry("a", b"of a stranger"));
    let strange = Record::sign(&stranger, scene.network, 1, Hlc::at(now()), body).unwrap();
    assert_eq!(push(&link, &[strange.as_bytes().to_vec()]).await, 200);
    // From the day after tomorrow.
    let body = Body::Document(entry("a", b"of the future"));
    let future = scene.liar.record(scene.network, seq + 1, now() + MAX_AHEAD_MS + 60_000, body);
    assert_eq!(push(&link, &[future.as_bytes().to_vec()]).await, 200);
    scene.told(scene.liar.id(), "more than a day ahead").await;
    assert_eq!(shown(&scene.host).await, BTreeMap::from([("a".to_owned(), b"of the host".to_vec())]));
    scene.unharmed().await;
}

fn edit(id: &str, value: &[u8]) -> DocumentEdit {
    let Entry { collection, own, id, value } = entry(id, value);
    DocumentEdit { collection, own, id, value }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_edits_is_slowed_down_and_shown_and_others_are_served() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let seq = scene.next_seq();
    let records: Vec<Vec<u8>> = (0..FLOOD)
        .map(|n| document(&scene, seq + n as u64, "noise", n.to_string().as_bytes()).as_bytes().to_vec())
        .collect();
    for batch in records.chunks(500) {
        assert_eq!(push(&link, batch).await, 200);
    }
    scene.told(scene.liar.id(), "faster than anybody can").await;
    let noise = String::from_utf8(shown(&scene.host).await["noise"].clone()).unwrap();
    assert!(noise.parse::<usize>().unwrap() < FLOOD - 1, "the last ones were put off");
    assert_eq!(scene.host.mesh.sync_info().await.unwrap().records, 1, "one document, however often it is changed");
    // Nobody else is slowed down.
    scene.honest.mesh.write_documents(vec![edit("a", b"of the desk")]).await.unwrap();
    let mut events = scene.host.mesh.events();
    let arrives = async {
        while !shown(&scene.host).await.contains_key("a") {
            while !matches!(events.recv().await.unwrap(), MeshEvent::DocumentsChanged { .. }) {}
        }
    };
    tokio::time::timeout(PATIENCE, arrives).await.expect("the desk's edit");
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_without_end_fill_one_share_and_no_more() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let seq = scene.next_seq();
    // Large values fill it with fewer records than the pace allows.
    let value = vec![b'x'; 130 * 1024];
    for n in 0..100_u64 {
        let record = document(&scene, seq + n, &format!("f{n}"), &value);
        assert_eq!(push(&link, &[record.as_bytes().to_vec()]).await, 200);
    }
    scene.told(scene.liar.id(), "more documents than there is room for").await;
    let info = scene.host.mesh.sync_info().await.unwrap();
    assert!(info.bytes <= 10 * 1024 * 1024, "{info:?}");
    scene.host.mesh.write_documents(vec![edit("mine", &value)]).await.unwrap();
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_under_the_name_of_another() {
    let scene = Scene::new().await;
    let link = scene.link().await;
    let own = |owner: &str| DocumentEdit { own: true, ..edit("device", owner.as_bytes()) };
    scene.host.mesh.write_documents(vec![own("the host's")]).await.unwrap();
    let body = Body::Document(Entry { own: true, ..entry("device", b"the liar's") });
    let record = scene.liar.record(scene.network, scene.next_seq(), now(), body);
    assert_eq!(push(&link, &[record.as_bytes().to_vec()]).await, 200);
    let found = scene.host.mesh.documents(&Collection::parse("prompts").unwrap()).await.unwrap();
    let owners: BTreeMap<DeviceId, Vec<u8>> =
        found.into_iter().map(|it| (it.owner.unwrap(), it.value.unwrap().to_vec())).collect();
    let expected = [(scene.host.id(), b"the host's".to_vec()), (scene.liar.id(), b"the liar's".to_vec())];
    assert_eq!(owners, BTreeMap::from(expected), "each has its own");
    scene.unharmed().await;
}

/// Waits for a request of the other side that is `meant`, and answers none.
fn hear(link: &Linked, meant: impl Fn(&str) -> bool + Send + Sync + 'static) -> oneshot::Receiver<()> {
    let (heard, hears) = oneshot::channel();
    let connection = link.connection.clone();
    tokio::spawn(async move {
        let mut requests = FuturesUnordered::new();
        loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok((send, recv)) => requests.push(hear_one(send, recv, &meant)),
                    Err(_) => return,
                },
                Some(true) = requests.next() => break,
            }
        }
        // The test may have ended.
        let _ = heard.send(());
    });
    hears
}

/// Whether this request is `meant`, as far as it has come. The stream stays open until it has all come.
async fn hear_one(_unanswered: SendStream, mut recv: RecvStream, meant: &impl Fn(&str) -> bool) -> bool {
    let mut request = Vec::new();
    while let Ok(Some(chunk)) = recv.read_chunk(1 << 16).await {
        request.extend_from_slice(&chunk);
        if meant(&String::from_utf8_lossy(&request)) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_member_said_that_it_takes_documents_is_compared_when_it_does() {
    let scene = Scene::new().await;
    assert!(scene.liar.id() < scene.host.id(), "it is the liar's turn to begin the comparison of a new link");
    let link = scene.link().await;
    let compares = hear(&link, |request| request.starts_with("POST /mesh/v1/documents/reconcile HTTP"));
    scene.host.until_linked(&[scene.liar.id()]).await;
    scene.host.mesh.write_documents(vec![edit("a", b"after the liar has compared")]).await.unwrap();
    let word = postcard::to_stdvec(&(Some((1_u64, true, [7_u8; 32])), Vec::<Vec<u8>>::new())).unwrap();
    assert_eq!(link.post("/mesh/v1/documents", &word).await.map(|(status, _)| status), Some(200));
    tokio::time::timeout(PATIENCE, compares).await.expect("a comparison").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_overtaken_before_anybody_compared_reaches_whoever_overtook_it() {
    let scene = Scene::new().await;
    let link = scene.link().await;
    // It has not said that it takes documents, so this is not sent to it.
    scene.host.mesh.write_documents(vec![edit("a", b"of the host, written apart")]).await.unwrap();
    let overtaken =
        hear(&link, |request| request.starts_with("POST /mesh/v1/documents HTTP") && request.contains("written apart"));
    // A later text of the same prompt comes by a push, with the word that documents are taken from now on.
    let body = Body::Document(entry("a", b"later"));
    let later = scene.liar.record(scene.network, scene.next_seq(), now() + 1_000, body);
    let push = (Some((1_u64, true, [7_u8; 32])), vec![later.as_bytes().to_vec()]);
    let push = postcard::to_stdvec(&push).unwrap();
    assert_eq!(link.post("/mesh/v1/documents", &push).await.map(|(status, _)| status), Some(200));
    assert_eq!(shown(&scene.host).await["a"], b"later");
    tokio::time::timeout(PATIENCE, overtaken).await.expect("the text that lost").unwrap();
}
