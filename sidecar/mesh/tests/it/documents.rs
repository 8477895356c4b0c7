//! Documents between meshes: they converge, survive, stay apart, and stop where the switch says so.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use myownmesh_mesh::{
    Collection, DeviceId, Document, DocumentEdit, DocumentId, ErrorKind, MAX_VALUE_BYTES, MeshEvent, SyncState,
};
use tokio::time::timeout;

use super::support::*;

fn prompts() -> Collection {
    Collection::parse("prompts").unwrap()
}

fn edit(id: &str, value: Option<&str>) -> DocumentEdit {
    DocumentEdit {
        collection: prompts(),
        own: false,
        id: DocumentId::parse(id).unwrap(),
        value: value.map(|value| value.as_bytes().to_vec()),
    }
}

fn text(document: &Document) -> String {
    String::from_utf8(document.value.as_deref().unwrap_or_default().to_vec()).unwrap()
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

impl Device {
    async fn set(&self, id: &str, value: &str) -> Document {
        self.mesh.write_documents(vec![edit(id, Some(value))]).await.unwrap().remove(0)
    }

    async fn values(&self) -> BTreeMap<String, String> {
        let documents = self.mesh.documents(&prompts()).await.unwrap();
        documents.iter().map(|document| (document.id.to_string(), text(document))).collect()
    }

    /// Every version of a document, the present one first; a deletion is empty.
    async fn versions(&self, id: &str) -> Vec<String> {
        let id = DocumentId::parse(id).unwrap();
        self.mesh.document_history(&prompts(), None, &id).await.unwrap().iter().map(text).collect()
    }

    /// Waits for an event after which `what` holds.
    async fn until_documents(&self, what: impl Fn(&BTreeMap<String, String>) -> bool) {
        let mut events = self.mesh.events();
        let waiting = async {
            while !what(&self.values().await) {
                while !matches!(events.recv().await.unwrap(), MeshEvent::DocumentsChanged { .. }) {}
            }
        };
        let in_time = timeout(PATIENCE, waiting).await.is_ok();
        assert!(in_time, "{} never got there; it has {:?}", self.name, self.values().await);
    }

    async fn until_value(&self, id: &str, value: &str) {
        self.until_documents(|values| values.get(id).is_some_and(|found| found == value)).await;
    }

    async fn until_sync(&self, other: DeviceId, state: SyncState, behind: u32) {
        let mut events = self.mesh.events();
        let waiting = async {
            loop {
                let info = self.mesh.sync_info().await.unwrap();
                let device = info.devices.iter().find(|device| device.device_id == other).unwrap();
                if (device.state, device.behind) == (state, behind) {
                    return;
                }
                while !matches!(events.recv().await.unwrap(), MeshEvent::SyncChanged) {}
            }
        };
        let in_time = timeout(PATIENCE, waiting).await.is_ok();
        assert!(in_time, "{} never got there; it shows {:?}", self.name, self.mesh.sync_info().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_on_the_other_device_a_moment_later_and_survives() {
    let (host, guest) = pair().await;
    host.set("greeting", "Be kind.").await;
    guest.until_value("greeting", "Be kind.").await;
    guest.set("greeting", "Be brief.").await;
    host.until_value("greeting", "Be brief.").await;
    assert_eq!(host.versions("greeting").await, ["Be brief.", "Be kind."]);
    assert_eq!(guest.versions("greeting").await, ["Be brief.", "Be kind."]);
    guest.mesh.write_documents(vec![edit("greeting", None)]).await.unwrap();
    host.until_documents(BTreeMap::is_empty).await;
    let host = host.restart().await;
    assert!(host.values().await.is_empty());
    assert_eq!(host.versions("greeting").await, ["", "Be brief.", "Be kind."]);
    guest.until_linked(&[host.id()]).await;
    host.set("greeting", "Back again.").await;
    guest.until_value("greeting", "Back again.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_joiner_gets_everything_and_is_known_to_have_it() {
    let (host, guest) = pair().await;
    let edits = (0..300).map(|n| edit(&format!("p{n}"), Some(&"x".repeat(4_000)))).collect();
    host.mesh.write_documents(edits).await.unwrap();
    guest.until_documents(|values| values.len() == 300).await;
    let late = Device::start("Phone", 3).await;
    join(&host, &late).await;
    late.until_documents(|values| values.len() == 300).await;
    host.until_sync(late.id(), SyncState::Equal, 0).await;
    late.until_sync(host.id(), SyncState::Equal, 0).await;
    let info = host.mesh.sync_info().await.unwrap();
    assert_eq!((info.on, info.records), (true, 300));
    assert!(info.bytes > 300 * 4_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_misses_while_it_is_away_is_counted_and_comes() {
    let (host, guest) = pair().await;
    host.set("a", "1").await;
    guest.until_value("a", "1").await;
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
    guest.mesh.leave_network().await.unwrap();
    host.until(|picture| picture.member(guest.id()).is_some_and(|member| !member.link.is_online())).await;
    host.set("b", "2").await;
    host.set("a", "3").await;
    host.until_sync(guest.id(), SyncState::Behind, 2).await;
    let host = host.restart().await;
    let info = host.mesh.sync_info().await.unwrap();
    assert_eq!((info.devices[0].state, info.devices[0].behind), (SyncState::Behind, 2), "a restart forgets nothing");
    let network = guest.mesh.snapshot().networks[0].id;
    guest.mesh.use_network(network).await.unwrap();
    guest.until_value("a", "3").await;
    guest.until_value("b", "2").await;
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_two_devices_at_once_end_equal_and_the_losing_text_is_kept() {
    let (host, guest) = pair().await;
    host.set("a", "before").await;
    guest.until_value("a", "before").await;
    guest.mesh.set_gossip(false).await.unwrap();
    host.until_sync(guest.id(), SyncState::Off, 0).await;
    let first = host.set("a", "of the host").await;
    // The guest has not heard of it: only the time tells which of the two is later.
    while now_ms() <= first.at() {
        tokio::task::yield_now().await;
    }
    let later = guest.set("a", "of the guest").await;
    guest.mesh.set_gossip(true).await.unwrap();
    host.until_value("a", "of the guest").await;
    guest.until_sync(host.id(), SyncState::Equal, 0).await;
    assert_eq!(guest.values().await, host.values().await);
    for device in [&host, &guest] {
        assert_eq!(device.versions("a").await, ["of the guest", "of the host", "before"], "{}", device.name);
    }
    assert_eq!(later.author, guest.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_off_for_a_moment_only_loses_nothing() {
    let (host, guest) = pair().await;
    host.set("a", "before").await;
    guest.until_value("a", "before").await;
    // Whoever is switched, the other one may hear of "on" before "off", or of neither; and whoever has the smaller id.
    for (round, switched, other) in (0..10).flat_map(|round| [(round, &host, &guest), (round, &guest, &host)]) {
        switched.mesh.set_gossip(false).await.unwrap();
        let (id, value) = (format!("{}{round}", switched.name), format!("of {}", switched.name));
        switched.set(&id, &value).await;
        switched.mesh.set_gossip(true).await.unwrap();
        other.until_value(&id, &value).await;
    }
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
    assert_eq!(host.values().await, guest.values().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_switch_off_nothing_leaves_and_nothing_enters() {
    let (host, guest) = pair().await;
    host.set("shared", "known to both").await;
    guest.until_value("shared", "known to both").await;
    host.mesh.set_gossip(false).await.unwrap();
    guest.until_sync(host.id(), SyncState::Off, 0).await;
    host.set("secret", "not for others").await;
    guest.set("shared", "changed by the guest").await;
    guest.set("new", "of the guest").await;
    // Not by asking either: by hand, as a member that lies would.
    for path in ["/mesh/v1/documents/fetch", "/mesh/v1/documents/reconcile"] {
        let body = axum::body::Body::from(vec![0]);
        let request = http::Request::post(path).body(body).unwrap();
        let answer = guest.mesh.request(host.id(), request).await.unwrap();
        assert_eq!(answer.status(), http::StatusCode::CONFLICT, "{path}");
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!said.windows(6).any(|window| window == b"secret"));
    }
    // A push is answered, and nothing comes of it.
    let request = http::Request::post("/mesh/v1/documents").body(axum::body::Body::from(vec![0, 0])).unwrap();
    let answer = guest.mesh.request(host.id(), request).await.unwrap();
    let said = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(said[said.len() - 33..], [0; 33], "off, and no digest");
    let host = host.restart().await;
    assert!(!host.mesh.sync_info().await.unwrap().on, "the switch is kept");
    guest.until_linked(&[host.id()]).await;
    guest.until_sync(host.id(), SyncState::Off, 0).await;
    assert_eq!(host.values().await["shared"], "known to both");
    assert!(!host.values().await.contains_key("new"));
    assert!(!guest.values().await.contains_key("secret"));
    host.mesh.set_gossip(true).await.unwrap();
    guest.until_value("secret", "not for others").await;
    host.until_value("new", "of the guest").await;
    host.until_value("shared", "changed by the guest").await;
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_changes_nothing_any_more_and_what_it_overwrote_since_stands_again() {
    let (host, guest) = pair().await;
    let third = Device::start("Phone", 3).await;
    join(&host, &third).await;
    host.set("a", "of the host").await;
    guest.set("b", "of the guest, before").await;
    for device in [&host, &guest, &third] {
        device.until_documents(|values| values.len() == 2).await;
    }
    // The guest goes on writing where only the third device hears it.
    host.mesh.leave_network().await.unwrap();
    guest.set("a", "of the guest, unseen by the host").await;
    third.until_value("a", "of the guest, unseen by the host").await;
    guest.mesh.shutdown().await;
    third.until(|picture| picture.member(guest.id()).is_some_and(|member| !member.link.is_online())).await;
    third.mesh.set_gossip(false).await.unwrap();
    let network = host.mesh.snapshot().networks[0].id;
    host.mesh.use_network(network).await.unwrap();
    host.until_linked(&[third.id()]).await;
    host.mesh.remove_device(guest.id()).await.unwrap();
    // What the host had not seen does not count; what it had seen does.
    third.until_documents(|values| values["a"] == "of the host" && values["b"] == "of the guest, before").await;
    assert_eq!(third.versions("a").await, ["of the host"]);
    third.mesh.set_gossip(true).await.unwrap();
    host.until_sync(third.id(), SyncState::Equal, 0).await;
    assert_eq!(host.values().await, third.values().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_one_network_never_show_in_another() {
    let (host, guest) = pair().await;
    let home = host.mesh.snapshot().active.unwrap();
    host.set("a", "of home").await;
    guest.until_value("a", "of home").await;
    host.found("Office").await;
    assert!(host.values().await.is_empty());
    host.set("a", "of the office").await;
    host.mesh.set_gossip(false).await.unwrap();
    host.mesh.use_network(home).await.unwrap();
    assert_eq!(host.values().await["a"], "of home");
    assert!(host.mesh.sync_info().await.unwrap().on, "each network has its own switch");
    guest.until_linked(&[host.id()]).await;
    host.set("b", "of home as well").await;
    guest.until_value("b", "of home as well").await;
    assert_eq!(guest.values().await["a"], "of home");
    host.mesh.leave_network().await.unwrap();
    let error = host.mesh.documents(&prompts()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNetwork);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_network_takes_its_documents_along_and_they_come_back_from_the_others() {
    let (host, guest) = pair().await;
    let network = host.mesh.snapshot().active.unwrap();
    guest.set("a", "kept by the host").await;
    host.until_value("a", "kept by the host").await;
    guest.mesh.forget_network(network).await.unwrap();
    host.until(|picture| picture.members.len() == 1).await;
    assert_eq!(host.values().await["a"], "kept by the host", "who leaves was trusted until then");
    join(&host, &guest).await;
    guest.until_value("a", "kept by the host").await;
    guest.set("a", "and again").await;
    host.until_value("a", "and again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_or_too_many_is_refused_whole() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    let large = "x".repeat(MAX_VALUE_BYTES + 1);
    let edits = vec![edit("fits", Some("small")), edit("large", Some(&large))];
    let error = host.mesh.write_documents(edits).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(host.values().await.is_empty(), "all or none");
    let many = (0..5_000).map(|n| edit(&format!("p{n}"), Some("x"))).collect();
    assert_eq!(host.mesh.write_documents(many).await.unwrap_err().kind(), ErrorKind::TooLarge);
    // Half of the room is for one device.
    let filling = "x".repeat(MAX_VALUE_BYTES);
    let mut filled = 0;
    let error = loop {
        let edits = (0..10).map(|n| edit(&format!("f{filled}.{n}"), Some(&filling))).collect();
        match host.mesh.write_documents(edits).await {
            Ok(_) => filled += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!(host.values().await.len(), filled * 10, "the batch that did not fit left nothing behind");
    let before = host.mesh.sync_info().await.unwrap();
    let host = host.restart().await;
    assert_eq!(host.mesh.sync_info().await.unwrap(), before);
    host.mesh.write_documents(vec![edit("f0.0", None)]).await.unwrap();
    host.set("f0.1", "shorter").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_changed_ten_thousand_times_stays_small() {
    let host = Device::start("Attic", 1).await;
    host.found("Home").await;
    for round in 0..10 {
        let edits = (0..1_000).map(|n| edit("a", Some(&format!("{round} {n} {}", "x".repeat(1_000))))).collect();
        host.mesh.write_documents(edits).await.unwrap();
    }
    assert_eq!(host.mesh.sync_info().await.unwrap().records, 1);
    assert_eq!(host.versions("a").await.len(), 51, "the present one and fifty before");
    host.mesh.shutdown().await;
    let size = std::fs::metadata(host.home().join("mesh.db")).unwrap().len();
    assert!(size < 4 * 1024 * 1024, "{size} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_documents_cannot_be_written_by_others() {
    let (host, guest) = pair().await;
    let own = |value: &str| DocumentEdit {
        collection: Collection::parse("capabilities").unwrap(),
        own: true,
        id: DocumentId::parse("device").unwrap(),
        value: Some(value.as_bytes().to_vec()),
    };
    host.mesh.write_documents(vec![own("the host's")]).await.unwrap();
    guest.mesh.write_documents(vec![own("the guest's")]).await.unwrap();
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
    guest.until_sync(host.id(), SyncState::Equal, 0).await;
    let capabilities = Collection::parse("capabilities").unwrap();
    for device in [&host, &guest] {
        let found = device.mesh.documents(&capabilities).await.unwrap();
        let mut found: Vec<_> = found.iter().map(|it| (it.owner.unwrap(), text(it))).collect();
        found.sort();
        let mut expected = vec![(host.id(), "the host's".to_owned()), (guest.id(), "the guest's".to_owned())];
        expected.sort();
        assert_eq!(found, expected, "{}", device.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_buried_once_everybody_has_them() {
    let (host, guest) = pair().await;
    host.set("a", "1").await;
    guest.until_value("a", "1").await;
    host.mesh.write_documents(vec![edit("a", None)]).await.unwrap();
    guest.until_documents(BTreeMap::is_empty).await;
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
    // Burying follows the telling; both see it in how many records stand.
    for device in [&host, &guest] {
        let mut events = device.mesh.events();
        let buried = async {
            while device.mesh.sync_info().await.unwrap().records > 0 {
                let _ = timeout(Duration::from_secs(1), events.recv()).await;
            }
        };
        timeout(PATIENCE, buried).await.expect("buried");
    }
    let host = host.restart().await;
    assert_eq!(host.versions("a").await, ["", "1"], "the history still tells");
    guest.until_linked(&[host.id()]).await;
    host.until_sync(guest.id(), SyncState::Equal, 0).await;
    host.set("a", "a new life").await;
    guest.until_value("a", "a new life").await;
}
