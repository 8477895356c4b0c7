//! The supervision against daemons that are played here: a control server in this process, and shell scripts for what a
//! process says and how it ends. The real daemon meets the real window in `scripts/e2e/window.test.mjs`.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jsonrpsee::RpcModule;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use jsonrpsee::server::{Server, serve_with_graceful_shutdown, stop_channel};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::home::Home;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::version::Version;
use super::{Daemon, Launcher, ShellPhase, ShellState};

/// Longer than the patience with a daemon that is away.
const LIMIT: Duration = Duration::from_secs(25);

/// A home that vanishes with the test.
struct Place {
    folder: TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path())).unwrap();
        std::fs::create_dir_all(home.run_dir()).unwrap();
        Self { folder, home }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A daemon's control socket, on a runtime of its own: dropping it is the daemon's sudden death, connections included.
struct Played {
    runtime: Option<Runtime>,
    stops: Arc<AtomicUsize>,
}

impl Drop for Played {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Played {
    /// Serves `home` as a daemon of `version`; `daemon_stop` creates the file `stopped` in the home.
    fn serve(place: &Place, version: &str, protocol: u32) -> Self {
        let stops = Arc::new(AtomicUsize::new(0));
        let mut methods = RpcModule::new(());
        let status = serde_json::json!({ "version": version, "protocol": protocol, "phase": "of another time" });
        methods.register_method("status", move |_, (), _| status.clone()).unwrap();
        let (counter, mark) = (Arc::clone(&stops), place.file("stopped"));
        methods
            .register_method("daemon_stop", move |_, (), _| {
                counter.fetch_add(1, Ordering::SeqCst);
                std::fs::write(&mark, "").map_err(|error| ControlError::new(ErrorCode::Internal, error.to_string()))
            })
            .unwrap();

        let socket = place.home.run_dir().join("control.sock");
        if socket.exists() {
            std::fs::remove_file(&socket).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _guard = runtime.enter();
            UnixListener::bind(&socket).unwrap()
        };
        std::fs::write(place.home.control_file(), format!("unix:{}", socket.display())).unwrap();
        runtime.spawn(async move {
            // A dropped handle would stop its connection.
            let mut servers = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (stop, server) = stop_channel();
                servers.push(server);
                let service = Server::builder().to_service_builder().build(methods.clone(), stop);
                tokio::spawn(serve_with_graceful_shutdown(stream, service, std::future::pending()));
            }
        });
        Self { runtime: Some(runtime), stops }
    }

    fn fitting(place: &Place) -> Self {
        Self::serve(place, myownmesh_control::VERSION, myownmesh_control::CONTROL_PROTOCOL)
    }
}

/// A program that the app could start: a shell script.
fn script(text: String) -> Launcher {
    Box::new(move || {
        let mut command = Command::new("/bin/sh");
        // What the app adds (--home, serve, --json) become the script's own arguments.
        command.arg("-c").arg(&text).arg("played-daemon");
        Ok(command)
    })
}

/// A start that the test does not expect.
fn nothing_to_start() -> Launcher {
    Box::new(|| Err(ControlError::new(ErrorCode::NotFound, "There is nothing to start.")))
}

fn supervise(place: &Place, launcher: Launcher) -> Daemon {
    Daemon::supervise(place.home.clone(), launcher, |_| {})
}

async fn reaches(daemon: &Daemon, state: ShellPhase) -> ShellState {
    let mut states = daemon.state.clone();
    let reached = timeout(LIMIT, states.wait_for(|shown| shown.state == state)).await;
    match reached {
        Ok(shown) => shown.unwrap().clone(),
        Err(_) => panic!("never {state:?}; it is {:?}", daemon.state()),
    }
}

/// What another process does shows in the file system only.
async fn appears(file: &Path) {
    let poll = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, poll).await.unwrap();
}

#[tokio::test]
async fn it_attaches_to_a_daemon_that_runs_and_leaves_it_running() {
    let place = Place::new();
    let played = Played::fitting(&place);
    let daemon = supervise(&place, nothing_to_start());

    let state = reaches(&daemon, ShellPhase::Attached).await;
    assert_eq!(state.found, Some(state.expected));
    assert_eq!(state.log_path, None, "somebody else started it");
    let version: Version = daemon.client().unwrap().request("status", rpc_params![]).await.unwrap();
    assert_eq!(version, Version::expected());

    daemon.shutdown().await;
    assert!(daemon.is_shut_down());
    assert_eq!(played.stops.load(Ordering::SeqCst), 0, "it was not ours to stop");
}

#[tokio::test]
async fn another_version_is_shown_with_both_versions_and_not_used() {
    let place = Place::new();
    let old = Played::serve(&place, "0.0.9", 7);
    let daemon = supervise(&place, nothing_to_start());

    let state = reaches(&daemon, ShellPhase::Mismatch).await;
    assert_eq!(state.found.as_deref(), Some("0.0.9 (control protocol 7)"));
    assert!(state.message.contains("0.0.9") && state.message.contains(&state.expected), "{}", state.message);
    assert_eq!(daemon.client().unwrap_err().message, state.message);

    // Somebody updates it: the app notices by itself.
    drop(old);
    let _new = Played::fitting(&place);
    reaches(&daemon, ShellPhase::Attached).await;
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_lost_daemon_is_found_again() {
    let place = Place::new();
    let first = Played::fitting(&place);
    let daemon = supervise(&place, nothing_to_start());
    reaches(&daemon, ShellPhase::Attached).await;

    drop(first);
    reaches(&daemon, ShellPhase::Lost).await;
    assert_eq!(daemon.client().unwrap_err().code, ErrorCode::NoDaemon);
    let _second = Played::fitting(&place);
    reaches(&daemon, ShellPhase::Attached).await;
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_refusal_to_start_is_shown_word_for_word() {
    let place = Place::new();
    let refusal = r#"{"error":{"code":"port_in_use","message":"Port 1473 is taken by another program."}}"#;
    let daemon = supervise(&place, script(format!("echo '{refusal}'; exit 1")));

    let state = reaches(&daemon, ShellPhase::Failed).await;
    assert_eq!(state.message, "Port 1473 is taken by another program.");
    assert_eq!(state.code, Some(ErrorCode::PortInUse));
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_restart_passes_the_port_on() {
    let place = Place::new();
    let said = place.file("arguments");
    let daemon = supervise(&place, script(format!("echo \"$*\" >> '{}'; exit 1", said.display())));
    reaches(&daemon, ShellPhase::Failed).await;
    daemon.restart(Some(0)).await.unwrap();
    reaches(&daemon, ShellPhase::Starting).await;
    reaches(&daemon, ShellPhase::Failed).await;

    let home = place.home.path().display();
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(said, format!("--home {home} serve --json\n--home {home} serve --json --api-port 0\n"));
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_daemon_that_dies_at_once_leaves_its_last_words() {
    let place = Place::new();
    let daemon = supervise(&place, script("echo 'disk on fire' >&2; exit 9".to_owned()));
    let state = reaches(&daemon, ShellPhase::Failed).await;
    assert!(state.message.contains("disk on fire") && state.message.contains('9'), "{}", state.message);
    assert!(state.log_path.is_some());
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_program_that_is_no_daemon_is_told_as_such() {
    let place = Place::new();
    let daemon = supervise(&place, script("echo hello; exec sleep 60".to_owned()));
    let state = reaches(&daemon, ShellPhase::Failed).await;
    assert!(state.message.contains("hello"), "{}", state.message);
    assert_eq!(state.code, Some(ErrorCode::VersionMismatch));
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_missing_program_is_told_as_such() {
    let place = Place::new();
    let daemon = supervise(&place, nothing_to_start());
    let state = reaches(&daemon, ShellPhase::Failed).await;
    assert_eq!(state.message, "There is nothing to start.");
    daemon.shutdown().await;
}

#[tokio::test]
async fn what_the_app_started_it_ends_in_order() {
    let place = Place::new();
    let (started, ended, stopped) = (place.file("started"), place.file("ended"), place.file("stopped"));
    let text = format!(
        "touch '{}'; echo '{{\"event\":\"ready\"}}'; while [ ! -e '{}' ]; do sleep 0.02; done; echo done > '{}'",
        started.display(),
        stopped.display(),
        ended.display()
    );
    // A control socket that comes up only once the process has been started: before, there is nothing to attach to.
    let daemon = supervise(&place, script(text));
    appears(&started).await;
    let _played = Played::fitting(&place);
    let state = reaches(&daemon, ShellPhase::Attached).await;
    assert!(state.log_path.is_some(), "the app started it");

    daemon.shutdown().await;
    assert_eq!(std::fs::read_to_string(ended).unwrap(), "done\n", "it was asked, and it had the time to end by itself");
}

#[tokio::test]
async fn a_daemon_that_does_not_end_is_killed_after_its_time() {
    let place = Place::new();
    let _played = Played::fitting(&place);
    let pid = place.file("pid");
    let daemon = supervise(&place, nothing_to_start());
    reaches(&daemon, ShellPhase::Attached).await;
    daemon.shutdown().await;

    let text = format!(
        "echo $$ > '{}'; echo '{{\"event\":\"ready\"}}'; trap '' TERM; while :; do sleep 1; done",
        pid.display()
    );
    let mut process = super::process::Process::start(script(text)().unwrap(), &place.home, None).unwrap();
    process.ready().await.unwrap();
    let started = Instant::now();
    process.end(&place.home).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!PathBuf::from(format!("/proc/{}", pid.trim())).exists(), "process {pid} is still there");
}

#[tokio::test]
async fn what_it_writes_to_standard_error_is_bounded() {
    let place = Place::new();
    let text = "head -c 5000000 /dev/zero >&2; echo '{\"event\":\"ready\"}'; read line; echo after >&2";
    let mut command = script(text.to_owned())().unwrap();
    command.env("LC_ALL", "C");
    let mut process = super::process::Process::start(command, &place.home, None).unwrap();
    process.ready().await.unwrap();
    let log = process.log().unwrap().to_path_buf();
    assert!(std::fs::metadata(&log).unwrap().len() >= 5_000_000);
    process.trim_log();
    assert!(std::fs::metadata(&log).unwrap().len() < 100);
    process.end(&place.home).await;
}
