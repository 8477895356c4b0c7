//! Starting and ending: locks, ports, signals, and nothing left behind.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::Event;

use crate::harness::story::{self, ask, first_words, offers, question};
use crate::harness::{Place, cli, cli_json, ok, process, refused};

/// The promise for an ordered end.
const END: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_home_has_one_daemon() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    let error = desk.refusal().await;
    assert_eq!(error["code"], "home_in_use");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(&host.pid().to_string())), "{error}");
    assert_eq!(ok(&desk, ["status"]).await["device_id"], host.id(), "the first one is undisturbed");
    // A crash leaves no lock.
    host.kill().await;
    assert_eq!(cli(&desk, ["status"]).await.code, 3);
    desk.start().await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let error = Place::new("Desk").api_port(port).refusal().await;
    assert_eq!(error["code"], "port_in_use");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(&port.to_string())), "{error}");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let error = Place::new("Desk").listen(address).refusal().await;
    assert_eq!(error["code"], "port_in_use");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(&address.port().to_string())), "{error}");
}

#[tokio::test]
async fn a_home_that_cannot_be_written_is_refused() {
    let error = Place::new("Desk").at("/proc/myownmesh").refusal().await;
    assert_eq!(error["code"], "home_unusable");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").expect("written");
    let error = Place::new("Desk").at(&file).refusal().await;
    assert_eq!(error["code"], "home_unusable");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("--home")), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "in the way");
}

#[tokio::test]
async fn flags_that_make_no_sense_are_refused() {
    for (flag, value) in [("--engine", "not a url"), ("--engine", "ftp://127.0.0.1")] {
        let error = Place::new("Desk").with([flag, value]).refusal().await;
        assert_eq!(error["code"], "invalid_argument", "{error}");
    }
    assert_eq!(Place::new("\u{200b}").refusal().await["code"], "invalid_argument");
}

#[tokio::test]
async fn only_its_user_enters_the_folder_of_the_socket() {
    let desk = Place::new("Desk").start().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let socket = desk.ready["control"].as_str().expect("a path");
    assert_eq!(mode(std::path::Path::new(socket).parent().expect("a folder")), 0o700);
    assert_eq!(mode(socket.as_ref()) & 0o077, 0, "nor the socket itself");
    assert_eq!(mode(desk.place.home()), 0o700);
    assert_eq!(mode(&desk.place.file("secrets/identity.key")), 0o600);
    for entry in std::fs::read_dir(desk.place.home()).expect("a folder").flatten() {
        assert_eq!(mode(&entry.path()) & 0o077, 0, "others can read {}", entry.path().display());
    }
}

#[tokio::test]
async fn sigterm_ends_everything_in_time() {
    let (host, guest) =
        (Place::new("Desk").model("endless").model("chain").start().await, Place::new("Lap").start().await);
    story::pair(&host, &guest).await;
    offers(&guest, &host, "endless").await;
    ask(&host, question("local", "chain")).await;
    first_words(&guest, question("Desk", "endless")).await;
    let engines = process::engines(host.pid());
    assert_eq!(engines.len(), 2, "{engines:?}");
    let mut events = guest.watch().await;
    let id = host.id().to_owned();
    let (place, pid) = (host.place.clone(), host.pid());
    let took = host.terminate().await;
    assert!(took < END, "it took {took:?}");
    assert!(engines.iter().all(|engine| !process::alive(engine.pid)), "a child outlived it");
    assert!(!process::alive(pid) && !place.file("run/control").exists());
    // It said goodbye: its peer does not have to wait for a time-out.
    let asked = Instant::now();
    let left = events.until("the device going", |event| match event {
        Event::Device { device_id, state, .. } if device_id == id => Some(state),
        _ => None,
    });
    left.await;
    assert!(asked.elapsed() < Duration::from_secs(2), "it was missed after {:?}", asked.elapsed());
}

#[tokio::test]
async fn sigkill_leaves_no_child() {
    let host = Place::new("Desk").model("endless").start().await;
    first_words(&host, question("local", "endless")).await;
    let engines = process::engines(host.pid());
    assert_eq!(engines.len(), 1, "{engines:?}");
    host.kill().await;
    let gone = || !process::alive(engines[0].pid);
    assert!(process::within(Duration::from_secs(2), gone), "the engine outlived its daemon");
}

#[tokio::test]
async fn stop_ends_the_daemon() {
    let desk = Place::new("Desk").model("chain");
    let host = desk.start().await;
    ask(&host, question("local", "chain")).await;
    let mut events = host.watch().await;
    let asked = Instant::now();
    let stopped = cli_json(&desk, ["stop"]).await;
    assert_eq!((stopped.code, stopped.out.trim()), (0, "{}"));
    events.until("the last event", |event| (event == Event::Stopping).then_some(())).await;
    host.ended().await;
    assert!(asked.elapsed() < END, "it took {:?}", asked.elapsed());
    assert_eq!(cli(&desk, ["status"]).await.code, 3);
}

/// Fifty questions at once end, whoever asks, and no request is lost.
#[tokio::test]
async fn many_questions_at_once_are_answered() {
    let host = Place::new("Desk").model("chain").start().await;
    let asked = (0..50).map(|_| ask(&host, question("local", "chain")));
    for answer in futures_util::future::join_all(asked).await {
        let done = matches!(answer.last(), Some(myownmesh_control::types::AnswerEvent::Done { .. }));
        assert!(done, "{answer:?}");
    }
    assert_eq!(process::engines(host.pid()).len(), 1, "one child per loaded model");
    host.control.status().await.expect("it still answers");
}

#[tokio::test]
async fn networks_are_kept_and_forgotten() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    story::found(&host, "Home").await;
    story::found(&host, "Lab").await;
    let names = |list: &serde_json::Value| -> Vec<(String, bool)> {
        let network =
            |one: &serde_json::Value| (one["name"].as_str().unwrap_or_default().to_owned(), one["active"] == true);
        let mut found: Vec<_> = list.as_array().expect("a list").iter().map(network).collect();
        found.sort();
        found
    };
    let list = ok(&desk, ["network", "list"]).await;
    assert_eq!(names(&list), [("Home".to_owned(), false), ("Lab".to_owned(), true)]);
    ok(&desk, ["network", "use", "Home"]).await;
    host.terminate().await;
    let host = desk.start().await;
    assert_eq!(ok(&desk, ["network", "show"]).await["name"], "Home", "the choice survives");
    ok(&desk, ["network", "forget", "Lab"]).await;
    let (code, _) = refused(&desk, ["network", "show", "Lab"]).await;
    assert_eq!(code, "not_found");
    ok(&desk, ["network", "forget", "Home"]).await;
    let (code, message) = refused(&desk, ["invite"]).await;
    assert_eq!(code, "no_network", "{message}");
    drop(host);
}
