//! Broken files: set aside with a warning, or left as they are; never overwritten.

use std::fs;
use std::path::PathBuf;

use myownmesh_control::api::ControlApiClient;

use crate::harness::story::found;
use crate::harness::{Place, ok};

/// Files beside `name` that were set aside.
fn set_aside(place: &Place, name: &str) -> Vec<PathBuf> {
    let prefix = format!("{name}.broken-");
    let entries = fs::read_dir(place.home()).expect("a home").flatten();
    let aside = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix));
    entries.map(|entry| entry.path()).filter(aside).collect()
}

/// The database: the file that begins like one.
fn database(place: &Place) -> PathBuf {
    let is_database = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
    let entries = fs::read_dir(place.home()).expect("a home").flatten();
    entries.map(|entry| entry.path()).find(is_database).expect("a database")
}

#[tokio::test]
async fn a_broken_configuration_is_set_aside() {
    let desk = Place::new("Desk");
    fs::create_dir_all(desk.home()).expect("a home");
    let broken = "device_name = \"Des\nthis is = not [toml";
    fs::write(desk.file("config.toml"), broken).expect("written");
    let host = desk.start().await;
    let aside = set_aside(&desk, "config.toml");
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(fs::read_to_string(&aside[0]).expect("it is there"), broken);
    let status = host.control.status().await.expect("a status");
    assert!(status.warnings.iter().any(|warning| warning.contains("config.toml")), "{:?}", status.warnings);
    let doubtful = "api_port = \"many\"\nlisten = 7\nunknown = true\n";
    host.terminate().await;
    fs::write(desk.file("config.toml"), doubtful).expect("written");
    let host = desk.start().await;
    assert!(!host.control.status().await.expect("a status").warnings.is_empty(), "each wrong value is told");
    assert_eq!(fs::read_to_string(desk.file("config.toml")).expect("it is there"), doubtful, "it is the person's file");
}

#[tokio::test]
async fn a_broken_database_is_set_aside() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    let id = host.id().to_owned();
    host.terminate().await;
    let path = database(&desk);
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let noise: Vec<u8> = (0..20_000_u32).map(|number| number.to_le_bytes()[0] ^ 0x5a).collect();
    fs::write(&path, &noise).expect("written");
    for suffix in ["-wal", "-shm"] {
        // They need not be there after an ordered end.
        let _ = fs::remove_file(desk.file(&format!("{name}{suffix}")));
    }

    let host = desk.start().await;
    assert_eq!(host.id(), id, "the identity is not in it");
    let aside = set_aside(&desk, &name);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(fs::read(&aside[0]).expect("it is there"), noise, "nothing of it is lost");
    let status = host.control.status().await.expect("a status");
    assert!(status.warnings.iter().any(|warning| warning.contains(&name)), "{:?}", status.warnings);
    assert!(ok(&desk, ["network", "list"]).await.as_array().is_some_and(Vec::is_empty));
    found(&host, "Home").await;
}

#[tokio::test]
async fn a_broken_identity_stops_the_start_and_stays() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    host.terminate().await;
    for file in ["secrets/identity.key", "identity.json"] {
        let whole = fs::read(desk.file(file)).expect("it is there");
        for broken in [&b"garbage"[..], b"", b"\xff\xfe\x00", &whole[..whole.len() / 2]] {
            fs::write(desk.file(file), broken).expect("written");
            let error = desk.refusal().await;
            assert_eq!(error["code"], "home_unusable", "{error}");
            assert_eq!(fs::read(desk.file(file)).expect("it is there"), broken, "it is not overwritten");
        }
        fs::write(desk.file(file), whole).expect("written");
    }
    fs::remove_file(desk.file("secrets/identity.key")).expect("removed");
    assert_eq!(desk.refusal().await["code"], "home_unusable", "and no new identity is made in its place");
    assert!(!desk.file("secrets/identity.key").exists());
}
