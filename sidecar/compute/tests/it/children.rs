//! llama-server as a child process: how many there are, how they end, what is told about it. Linux: it reads /proc.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use myownmesh_compute::{Compute, EngineId, ErrorKind, ModelState};

use crate::support::{Home, SENTENCE, ask, open_stream, seen, soon, start_in};

/// The processes that run in `folder`: every child of one built-in engine does, and nothing else.
fn children_in(folder: &Path) -> Vec<i32> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let pids =
        fs::read_dir("/proc").expect("a /proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)).collect()
}

pub(crate) fn only_child_in(folder: &Path) -> i32 {
    let children = children_in(folder);
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a process of ours");
}

/// Waits for another process's state, which nobody reports to us.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn state_of(compute: &Compute, model: &str) -> Option<ModelState> {
    compute.snapshot().model(model).map(|model| model.state)
}

#[tokio::test]
async fn eight_first_requests_at_once_start_one_child() {
    let home = Home::with(&["chain.gguf", "endless.gguf"]).await;
    let answers = join_all((0..8).map(|_| ask(&home.compute, "chain"))).await;
    for answer in answers {
        assert_eq!(answer.expect("an answer"), SENTENCE);
    }
    assert_eq!(children_in(&home.run_dir()).len(), 1);
    ask(&home.compute, "endless").await.expect("another model");
    assert_eq!(children_in(&home.run_dir()).len(), 2);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn a_model_can_be_loaded_before_anybody_asks_it() {
    let home = Home::with(&["chain.gguf", "embed.gguf"]).await;
    soon(home.compute.load("chain")).await.expect("loaded");
    soon(home.compute.load("embed")).await.expect("loaded");
    seen(&home.compute, |now| now.models.iter().all(|model| model.state == ModelState::Ready)).await;
    assert_eq!(soon(home.compute.load("none")).await.expect_err("none").kind(), ErrorKind::ModelNotFound);
    ask(&home.compute, "chain").await.expect("an answer");
    assert_eq!(children_in(&home.run_dir()).len(), 2);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn the_key_is_not_on_the_command_line() {
    let home = Home::with(&["chain.gguf"]).await;
    ask(&home.compute, "chain").await.expect("an answer");
    let pid = only_child_in(&home.run_dir());
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("ours to read");
    let key = environment
        .split(|byte| *byte == 0)
        .find_map(|pair| pair.strip_prefix(b"LLAMA_API_KEY="))
        .expect("a key in the environment");
    assert_eq!(key.len(), 64);
    let line = fs::read(format!("/proc/{pid}/cmdline")).expect("anybody's to read");
    assert!(!line.windows(key.len()).any(|part| part == key));
    home.compute.shutdown().await;
}

#[tokio::test]
async fn a_child_killed_in_the_middle_of_an_answer_is_told_and_started_again() {
    let home = Home::with(&["endless.gguf"]).await;
    let mut answer = open_stream(&home.compute, "endless").await.expect("a stream");
    soon(answer.body.next()).await.expect("a piece").expect("a good one");
    let first = only_child_in(&home.run_dir());
    kill(first);
    let error = loop {
        match soon(answer.body.next()).await.expect("an error before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::EngineFailed);
    let text = error.to_string();
    assert!(text.contains("\"endless\" was killed by signal 9") && text.contains("Its last lines:"), "{text}");

    // The next request waits for the restart.
    let mut answer = open_stream(&home.compute, "endless").await.expect("a stream again");
    soon(answer.body.next()).await.expect("a piece").expect("a good one");
    assert_ne!(only_child_in(&home.run_dir()), first);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn the_fourth_crash_within_five_minutes_gives_up_until_tested() {
    let home = Home::with(&["chain.gguf"]).await;
    ask(&home.compute, "chain").await.expect("an answer");
    for crash in 1..=4 {
        let pid = only_child_in(&home.run_dir());
        kill(pid);
        if crash < 4 {
            // It comes back by itself.
            eventually("another child", || !children_in(&home.run_dir()).contains(&pid)).await;
            seen(&home.compute, |now| now.model("chain").is_some_and(|model| model.state == ModelState::Loading)).await;
            seen(&home.compute, |now| now.model("chain").is_some_and(|model| model.state == ModelState::Ready)).await;
        }
    }
    let failed = seen(&home.compute, |now| now.models[0].state == ModelState::Failed).await;
    let reason = failed.models[0].reason.clone().expect("a reason");
    assert!(reason.contains("after 3 restarts within 5 minutes"), "{reason}");
    let error = ask(&home.compute, "chain").await.expect_err("given up");
    assert_eq!(error.kind(), ErrorKind::ModelFailed);
    assert!(children_in(&home.run_dir()).is_empty());

    soon(home.compute.test_engine(EngineId::builtin())).await.expect("it can be tried");
    assert_eq!(state_of(&home.compute, "chain"), Some(ModelState::Available));
    assert_eq!(ask(&home.compute, "chain").await.expect("an answer"), SENTENCE);
    home.compute.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_busy_children_within_two_seconds() {
    let home = Home::with(&["chain.gguf", "endless.gguf"]).await;
    ask(&home.compute, "chain").await.expect("an answer");
    let mut answer = open_stream(&home.compute, "endless").await.expect("a stream");
    soon(answer.body.next()).await.expect("a piece").expect("a good one");
    assert_eq!(children_in(&home.run_dir()).len(), 2);
    let run_dir = home.run_dir();
    let begin = Instant::now();
    home.compute.shutdown().await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(children_in(&run_dir).is_empty());
    // Whoever still reads is told.
    while let Some(piece) = soon(answer.body.next()).await {
        if let Err(error) = piece {
            assert!(error.to_string().contains("was told to end"), "{error}");
            return;
        }
    }
    panic!("the stream ended as if it were complete");
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_children() {
    let home = Home::with(&["chain.gguf"]).await;
    ask(&home.compute, "chain").await.expect("an answer");
    let run_dir = home.run_dir();
    only_child_in(&run_dir);
    drop(home.compute);
    eventually("no child", || children_in(&run_dir).is_empty()).await;
}

#[tokio::test]
async fn a_removed_models_child_is_ended() {
    let home = Home::with(&["chain.gguf"]).await;
    ask(&home.compute, "chain").await.expect("an answer");
    fs::remove_file(home.model_path("chain.gguf")).expect("removed");
    soon(home.compute.refresh()).await;
    eventually("no child", || children_in(&home.run_dir()).is_empty()).await;
    home.compute.shutdown().await;
}

/// Set in the process that plays the parent in the test below: the folder it works in.
const PLAY_PARENT: &str = "MYOWNMESH_TEST_PARENT_IN";

/// The test starts itself once more as the parent, and kills that process.
#[tokio::test]
async fn a_parent_killed_by_force_leaves_no_child() {
    if let Some(folder) = std::env::var_os(PLAY_PARENT).map(PathBuf::from) {
        let compute = start_in(&folder).await;
        let _answer = open_stream(&compute, "endless").await.expect("a stream");
        println!("\nbusy");
        return std::future::pending().await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("models")).expect("made");
    fs::copy(crate::support::fixture("endless.gguf"), folder.path().join("models/endless.gguf")).expect("copied");
    let mut parent = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "children::a_parent_killed_by_force_leaves_no_child", "--nocapture"])
        .env(PLAY_PARENT, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(parent.stdout.take().expect("piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "busy"), "the parent did not get as far as an answer");
    let run_dir = folder.path().join("run");
    only_child_in(&run_dir);
    parent.kill().expect("killed");
    parent.wait().expect("ended");
    eventually("no child", || children_in(&run_dir).is_empty()).await;
}

/// A process that is stopped keeps its connections open and would be waited for without end.
#[tokio::test]
async fn a_child_that_stands_still_is_ended_and_started_again() {
    let home = Home::with(&["endless.gguf"]).await;
    let mut answer = open_stream(&home.compute, "endless").await.expect("a stream");
    soon(answer.body.next()).await.expect("a piece").expect("a good one");
    let first = only_child_in(&home.run_dir());
    let pid = rustix::process::Pid::from_raw(first).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("a process of ours");
    let stopped = Instant::now();
    let error = loop {
        match soon(answer.body.next()).await.expect("an error before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    eprintln!("ended after {:?}", stopped.elapsed());
    assert!(error.to_string().contains("stood still"), "{error}");
    let mut answer = open_stream(&home.compute, "endless").await.expect("a stream again");
    soon(answer.body.next()).await.expect("a piece").expect("a good one");
    assert_ne!(only_child_in(&home.run_dir()), first);
    home.compute.shutdown().await;
}

/// Processes of ours that have ended and were not collected.
fn zombies() -> usize {
    let ours = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("a /proc").flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let fields = stats.filter_map(|stat| stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned()));
    fields.filter(|fields| fields.starts_with(&format!("Z {ours} "))).count()
}

fn held() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).expect("a /proc").count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[tokio::test]
async fn two_hundred_crashes_leave_nothing_behind() {
    const EACH: usize = 67;
    let models = ["chain", "endless", "embed"];
    let home = Home::with(&["chain.gguf", "endless.gguf", "embed.gguf"]).await;
    for model in models {
        soon(home.compute.load(model)).await.expect("loaded");
    }
    let before = held();
    for crash in 0..EACH {
        let children = children_in(&home.run_dir());
        assert_eq!(children.len(), models.len(), "after {crash} crashes of each");
        children.iter().for_each(|child| kill(*child));
        eventually("their end", || !children_in(&home.run_dir()).iter().any(|child| children.contains(child))).await;
        // As a person who tries again would: what crashes too often is left alone otherwise.
        home.compute.refresh().await;
        let loaded = join_all(models.map(|model| soon(home.compute.load(model)))).await;
        loaded.into_iter().for_each(|loaded| loaded.expect("loaded again"));
        eventually("all of them", || children_in(&home.run_dir()).len() == models.len()).await;
    }
    assert_eq!(zombies(), 0);
    let after = held();
    assert!(after.0 <= before.0 + 8 && after.1 <= before.1 + 4, "files and threads: {before:?}, then {after:?}");
    assert_eq!(soon(ask(&home.compute, "chain")).await.expect("an answer"), SENTENCE);
    home.compute.clone().shutdown().await;
    assert!(children_in(&home.run_dir()).is_empty());
}
