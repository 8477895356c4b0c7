//! On a real file, reopened, broken off and damaged.

use std::path::Path;

use iroh::SecretKey;

use super::*;
use crate::proto::{
    document::{Collection, DocumentId, Entry, Head},
    invite::{InviteSecret, Payload},
    name::DeviceName,
    record::{Body, DeviceInfo, Genesis, NetworkKind},
};

fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> DeviceId {
    secret(n).public().into()
}

fn name(text: &str) -> NetworkName {
    NetworkName::parse(text).expect("a name")
}

fn open(path: &Path) -> Store {
    Store::open(Connection::open(path).expect("a database"), id(1)).expect("a store")
}

fn genesis(n: u8) -> Record {
    let genesis = Genesis {
        name: name("Home"),
        kind: NetworkKind::Open,
        founder_name: DeviceName::parse("Attic").expect("a name"),
        founder_os: "linux".into(),
        nonce: [n; 16],
    };
    Record::found(&secret(1), Hlc::at(100), genesis).expect("a record")
}

fn info(author: u8, network: NetworkId, seq: u64, ms: u64) -> Record {
    let name = DeviceName::parse(&format!("device {author}")).expect("a name");
    let body = Body::DeviceInfo(DeviceInfo { name, os: "linux".into() });
    Record::sign(&secret(author), network, seq, Hlc::at(ms), body).expect("a record")
}

#[test]
fn networks_and_records_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db.sqlite");
    let (home, work) = (genesis(1), genesis(2));
    let mut store = open(&path);
    store
        .save_network(home.network(), &name("Home"), &[home.clone(), info(1, home.network(), 2, 200)], 5)
        .expect("saved");
    store.save_network(work.network(), &name("Work"), std::slice::from_ref(&work), 6).expect("saved");
    store.set_active(Some(home.network())).expect("active");
    store.set_active(Some(work.network())).expect("active");
    drop(store);
    let store = open(&path);
    let networks = store.networks().expect("networks");
    let shown: Vec<_> =
        networks.iter().map(|network| (network.name.as_str(), network.active, network.joined_at)).collect();
    assert_eq!(shown, [("Home", false, 5), ("Work", true, 6)]);
    assert_eq!(store.records(home.network()).expect("records").len(), 2);
    assert!(store.membership(home.network()).expect("a fold").expect("a network").is_member(id(1)));
    assert_eq!(store.membership(NetworkId::from_bytes([0; 32])).expect("a fold"), None);
    assert_eq!(store.latest_hlc().expect("a reading"), Hlc::at(200));
}

#[test]
fn a_network_that_is_saved_again_keeps_its_join_time() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    store.save_network(network, &name("Home 2"), &[genesis(1)], 9).expect("saved");
    store.set_network_name(network, &name("Home 3")).expect("renamed");
    let saved = &store.networks().expect("networks")[0];
    assert_eq!((saved.joined_at, saved.name.as_str()), (5, "Home 3"));
    let unknown = NetworkId::from_bytes([0; 32]);
    assert!(matches!(store.set_network_name(unknown, &name("x")), Err(StoreError::UnknownNetwork)));
    assert!(matches!(store.set_active(Some(unknown)), Err(StoreError::UnknownNetwork)));
    assert!(matches!(store.forget_network(unknown), Err(StoreError::UnknownNetwork)));
}

#[test]
fn a_failed_switch_leaves_the_active_network_as_it_was() {
    let mut store = open(Path::new(":memory:"));
    store.save_network(genesis(1).network(), &name("Home"), &[], 5).expect("saved");
    store.set_active(Some(genesis(1).network())).expect("active");
    store.set_active(Some(NetworkId::from_bytes([0; 32]))).expect_err("unknown");
    assert!(store.networks().expect("networks")[0].active);
    store.set_active(None).expect("none");
    assert!(!store.networks().expect("networks")[0].active);
}

#[test]
fn records_are_kept_once_and_come_in_order() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    let (late, early) = (info(2, network, 2, 900), info(3, network, 1, 300));
    assert_eq!(store.insert_all(std::slice::from_ref(&late), 1).expect("inserted"), std::slice::from_ref(&late));
    assert_eq!(store.insert_all(std::slice::from_ref(&late), 2).expect("known"), []);
    let added = store.insert_all(&[late.clone(), early.clone(), genesis(1)], 3).expect("inserted");
    assert_eq!(added, [early.clone(), genesis(1)]);
    assert_eq!(store.records(network).expect("records"), [genesis(1), early.clone(), late]);
    let elsewhere = NetworkId::from_bytes([0; 32]);
    assert_eq!(store.records(elsewhere).expect("records"), []);
}

#[test]
fn numbers_rise_by_one_across_restarts() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db.sqlite");
    let network = genesis(1).network();
    let mut store = open(&path);
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    let mut written = Vec::new();
    for _ in 0..3 {
        let record = store.write(network, 7, |seq| Ok(info(1, network, seq, 100 + seq))).expect("written");
        written.push(record.seq());
        drop(store);
        store = open(&path);
    }
    assert_eq!(written, [2, 3, 4]);
}

#[test]
fn a_number_is_used_only_with_its_record() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    let failed = store.write(network, 7, |_| Err(RecordError::TooLarge));
    assert!(matches!(failed, Err(StoreError::Record(RecordError::TooLarge))));
    let record = store.write(network, 7, |seq| Ok(info(1, network, seq, 200))).expect("written");
    assert_eq!(record.seq(), 2);
}

#[test]
fn own_records_from_elsewhere_move_the_numbers_on() {
    // A restored backup: others know later records of this device.
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    store.insert_all(&[info(1, network, 40, 300)], 6).expect("inserted");
    store.insert_all(&[info(1, network, 12, 250)], 6).expect("inserted");
    store.insert_all(&[info(2, network, 99, 300)], 6).expect("another device's do not matter");
    let record = store.write(network, 7, |seq| Ok(info(1, network, seq, 400))).expect("written");
    assert_eq!(record.seq(), 41);
}

#[test]
fn a_forgotten_network_leaves_only_its_number_behind() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1), info(1, network, 2, 200)], 5).expect("saved");
    store.set_peer_card(network, id(2), "{}").expect("kept");
    store.forget_network(network).expect("forgotten");
    assert_eq!(store.networks().expect("networks"), []);
    assert_eq!(store.records(network).expect("records"), []);
    assert_eq!(store.peers(network).expect("peers"), []);
    store.save_network(network, &name("Home"), &[genesis(1)], 9).expect("saved");
    let record = store.write(network, 10, |seq| Ok(info(1, network, seq, 300))).expect("written");
    assert_eq!(record.seq(), 3);
}

#[test]
fn peers_are_kept_piece_by_piece() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    let address = PeerAddress {
        device: id(2),
        addresses: vec![([10, 0, 0, 1], 5).into()],
        relay: Some("https://relay.example.org/".into()),
    };
    store.set_peer_address(network, &address).expect("kept");
    store.set_peer_card(network, id(2), r#"{"models":[]}"#).expect("kept");
    store.set_peer_version(network, id(2), "0.1.0").expect("kept");
    store.set_peer_seen(network, id(2), 77).expect("kept");
    store.set_peer_seen(network, id(3), 78).expect("kept");
    let full = SavedPeer {
        address: Some(address),
        app_version: Some("0.1.0".into()),
        card: Some(r#"{"models":[]}"#.into()),
        last_seen: Some(77),
    };
    let mut expected = vec![(id(2), full), (id(3), SavedPeer { last_seen: Some(78), ..SavedPeer::default() })];
    expected.sort_by_key(|(device, _)| *device);
    assert_eq!(store.peers(network).expect("peers"), expected);
    store.forget_peer(network, id(2)).expect("forgotten");
    assert_eq!(store.peers(network).expect("peers").len(), 1);
}

#[test]
fn invites_are_kept_with_their_links() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    let secret_key = InviteSecret::from_bytes([4; 16]);
    let payload = Payload {
        network,
        name: name("Home"),
        inviter: id(1),
        addresses: vec![],
        relays: vec![],
        expires_at: 1000,
        id: secret_key.id(),
        secret: Some(secret_key),
        others: vec![],
    };
    let invite = Invite::sign(&secret(1), payload).expect("an invite");
    store.save_invite(&invite, 5).expect("saved");
    let saved = SavedInvite { invite, created_at: 5, revoked: false };
    assert_eq!(store.invites(network).expect("invites"), [saved]);
    assert!(store.revoke_invite(secret_key.id()).expect("revoked"));
    assert!(!store.revoke_invite(InviteId::from_bytes([0; 8])).expect("unknown"));
    assert!(store.invites(network).expect("invites")[0].revoked);
}

#[test]
fn it_lives_beside_other_tables() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db.sqlite");
    let daemon = Connection::open(&path).expect("a database");
    daemon.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE conversations (id INTEGER)").expect("a table");
    drop(open(&path));
    drop(open(&path));
    let tables: i64 = daemon
        .query_row(
            // SQLite's own table of the numbers it has given out is nobody's.
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name <> 'sqlite_sequence'
             AND name NOT LIKE 'mesh\\_%' ESCAPE '\\'",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(tables, 1);
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db.sqlite");
    drop(open(&path));
    let db = Connection::open(&path).expect("a database");
    db.execute("UPDATE mesh_schema SET version = 99", []).expect("changed");
    let error = Store::open(db, id(1)).expect_err("newer");
    assert!(matches!(error, StoreError::NewerSchema { found: 99 }));
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db.sqlite");
    std::fs::write(&path, "not a database at all, but long enough to be looked at as one".repeat(100))
        .expect("written");
    let db = Connection::open(&path).expect("opened lazily");
    assert!(matches!(Store::open(db, id(1)), Err(StoreError::Sqlite(_))));
}

#[test]
fn a_damaged_record_is_told_and_not_folded() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    store.db.execute("UPDATE mesh_records SET bytes = x'00'", []).expect("damaged");
    assert!(matches!(store.records(network), Err(StoreError::Corrupt(_))));
    assert!(matches!(store.membership(network), Err(StoreError::Corrupt(_))));
}

fn document(seq: u64, ms: u64, id: &str, value: Option<&[u8]>) -> (Record, Head) {
    let entry = Entry {
        collection: Collection::parse("prompts").expect("a collection"),
        own: false,
        id: DocumentId::parse(id).expect("an id"),
        value: value.map(<[u8]>::to_vec),
    };
    let body = Body::Document(entry);
    let record = Record::sign(&secret(1), genesis(1).network(), seq, Hlc::at(ms), body).expect("a record");
    let head = Head::of(&record).expect("a document");
    (record, head)
}

#[test]
fn documents_survive_a_restart_with_their_place_and_their_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db.sqlite");
    let network = genesis(1).network();
    let mut store = open(&path);
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    let (first, first_head) = document(2, 1_000, "a", Some(b"one"));
    let (second, second_head) = document(3, 2_000, "a", Some(b"two"));
    let (grave, grave_head) = document(4, 3_000, "b", None);
    let changes = [
        DocumentChange::Keep(first.clone(), first_head, Place::Standing),
        DocumentChange::Move(first.id(), Place::Past),
        DocumentChange::Keep(second.clone(), second_head.clone(), Place::Standing),
        DocumentChange::Keep(grave.clone(), grave_head.clone(), Place::Standing),
        DocumentChange::Move(grave.id(), Place::Buried),
    ];
    let arrived = store.change_documents(&changes).expect("kept");
    assert!(arrived.is_sorted() && arrived.len() == 3, "{arrived:?}");
    store.set_gossip(network, false).expect("kept");
    store.set_document_peers(network, &[(id(2), 7)]).expect("kept");
    drop(store);

    let mut store = open(&path);
    assert_eq!(store.latest_hlc().expect("a reading"), Hlc::at(3_000));
    assert_eq!(store.last_number(network).expect("a number"), 4);
    assert!(!store.gossip(network).expect("a switch"));
    assert_eq!(store.document_peers(network).expect("peers"), [(id(2), 7)]);
    let standing = store.document_heads(network, Place::Standing).expect("heads");
    assert_eq!(standing, [Head { arrived: arrived[1], ..second_head.clone() }]);
    let buried = store.document_heads(network, Place::Buried).expect("heads");
    assert_eq!(buried, [Head { arrived: arrived[2], ..grave_head }]);
    let collection = Collection::parse("prompts").expect("a collection");
    assert_eq!(store.documents(network, &collection).expect("values"), [second]);
    assert_eq!(store.document_versions(network, &second_head.key).expect("versions").len(), 2);
    assert_eq!(store.document_bytes(network, &first.id()).expect("bytes").as_deref(), Some(first.as_bytes()));
    store.forget_network(network).expect("forgotten");
    assert!(store.document_heads(network, Place::Buried).expect("heads").is_empty());
    assert!(store.document_peers(network).expect("peers").is_empty());
    assert_eq!(store.last_number(network).expect("a number"), 4, "a number is never used twice");
}

#[test]
fn a_change_of_documents_is_kept_whole_or_not_at_all() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    let (first, head) = document(2, 1_000, "a", Some(b"one"));
    store
        .db
        .execute_batch(
            "CREATE TRIGGER mesh_full BEFORE INSERT ON mesh_documents WHEN NEW.document = 'b'
         BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
        )
        .expect("a trigger");
    let (second, second_head) = document(3, 2_000, "b", Some(b"two"));
    let changes = [
        DocumentChange::Keep(first, head, Place::Standing),
        DocumentChange::Keep(second, second_head, Place::Standing),
    ];
    assert!(matches!(store.change_documents(&changes), Err(StoreError::Sqlite(_))));
    assert!(store.document_heads(network, Place::Standing).expect("heads").is_empty());
    assert_eq!(store.last_number(network).expect("a number"), 1, "nor is its number used");
}

#[test]
fn a_damaged_document_hides_no_other() {
    let mut store = open(Path::new(":memory:"));
    let network = genesis(1).network();
    store.save_network(network, &name("Home"), &[genesis(1)], 5).expect("saved");
    let (broken, head) = document(2, 1_000, "a", Some(b"one"));
    let (whole, whole_head) = document(3, 2_000, "b", Some(b"two"));
    let changes = [
        DocumentChange::Keep(broken.clone(), head, Place::Standing),
        DocumentChange::Keep(whole.clone(), whole_head, Place::Standing),
    ];
    store.change_documents(&changes).expect("kept");
    store
        .db
        .execute("UPDATE mesh_documents SET bytes = x'00' WHERE id = ?1", [broken.id().as_bytes()])
        .expect("damaged");
    let collection = Collection::parse("prompts").expect("a collection");
    assert_eq!(store.documents(network, &collection).expect("values"), [whole]);
}
