//! A real daemon in its own process.

use std::ops::ControlFlow;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jsonrpsee::core::client::Subscription;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::home::Home;
use myownmesh_control::types::{Event, EventItem};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use super::place::Place;
use super::{LIMIT, in_time, process};

/// How often a condition is looked at again when no event says that something changed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A running daemon. Dropping it kills it, and fails the test if it leaves a child behind.
pub(crate) struct Daemon {
    /// Its home.
    pub(crate) place: Place,
    /// Its first line.
    pub(crate) ready: Value,
    /// A connection to its control socket.
    pub(crate) control: ControlClient,
    child: Child,
}

impl Daemon {
    /// Starts a daemon and waits until it is ready.
    pub(super) async fn start(place: &Place) -> Self {
        let mut child = place.serve().stdout(Stdio::piped()).spawn().expect("the daemon can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = in_time("the ready line", lines.next_line()).await.expect("it can be read");
        let ready: Value = match line.as_deref().map(serde_json::from_str) {
            Some(Ok(ready)) => ready,
            other => panic!("no ready line but {other:?}; its log:\n{}", place.logs()),
        };
        assert_eq!(ready["event"], "ready", "{ready}\n{}", place.logs());
        let home = Home::find(Some(place.home())).expect("a home");
        let control = myownmesh_control::client::connect(&home).await.expect("a daemon that is ready answers");
        Self { place: place.clone(), ready, control, child }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Its device id.
    pub(crate) fn id(&self) -> &str {
        self.ready["device_id"].as_str().expect("the ready line has it")
    }

    /// Base URL of its local API, without a slash at the end.
    pub(crate) fn api(&self) -> &str {
        self.ready["api"].as_str().expect("the ready line has it").trim_end_matches('/')
    }

    /// `IP:PORT` of its local API.
    pub(crate) fn api_address(&self) -> &str {
        let rest = self.api().trim_start_matches("http://");
        rest.split_once('/').map_or(rest, |(address, _)| address)
    }

    /// Its events from now on.
    pub(crate) async fn watch(&self) -> Watch {
        Watch { items: self.control.events(0).await.expect("events can be followed") }
    }

    /// Waits until `check` finds what it looks for, looking again with every event.
    pub(crate) async fn until<T>(&self, what: &str, mut check: impl AsyncFnMut(&ControlClient) -> Option<T>) -> T {
        let mut watch = self.watch().await;
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = check(&self.control).await {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} did not come true; its log:\n{}", self.place.logs());
            // Not every condition has an event of its own (an engine's slot, a file), hence the second look.
            let _ = tokio::time::timeout(LOOK_AGAIN, watch.items.next()).await;
        }
    }

    /// Asks it to end with SIGTERM; gives how long that took.
    pub(crate) async fn terminate(mut self) -> Duration {
        let asked = Instant::now();
        process::signal(self.pid(), Signal::TERM);
        let status = in_time("the end of the daemon", self.child.wait()).await.expect("it ends");
        assert!(status.success(), "{status}; its log:\n{}", self.place.logs());
        asked.elapsed()
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) {
        let status = in_time("the end of the daemon", self.child.wait()).await.expect("it ends");
        assert!(status.success(), "{status}; its log:\n{}", self.place.logs());
    }

    /// Kills it, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            let log = self.place.logs();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("log of {}:", self.ready["device_name"]);
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        let Some(pid) = self.child.id() else { return };
        let children = process::children(pid);
        // It may have ended a moment ago.
        let _ = self.child.start_kill();
        let ended = process::within(LIMIT, || matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)));
        let orphans = |child: &&process::Process| process::alive(child.pid);
        let gone = process::within(Duration::from_secs(3), || !children.iter().any(|child| process::alive(child.pid)));
        if gone && ended {
            return;
        }
        let left: Vec<&process::Process> = children.iter().filter(orphans).collect();
        left.iter().for_each(|child| process::signal(child.pid, Signal::KILL));
        assert!(failed, "the daemon was killed and left {left:?} behind");
    }
}

/// Events of a daemon as they come.
pub(crate) struct Watch {
    items: Subscription<EventItem>,
}

impl Watch {
    /// The first event that `choose` wants.
    pub(crate) async fn until<T>(&mut self, what: &str, mut choose: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let item = self.items.next().await.expect("events go on").expect("an event can be read");
                if let Some(found) = choose(item.event) {
                    return found;
                }
            }
        };
        in_time(what, found).await
    }
}

/// Follows a resumable stream from its beginning to its last item.
pub(crate) async fn follow<T: serde::de::DeserializeOwned, R>(
    mut items: Subscription<T>,
    mut on_item: impl FnMut(T) -> ControlFlow<R>,
) -> R {
    let whole = async {
        loop {
            let item = items.next().await.expect("the stream has a last item").expect("an item can be read");
            if let ControlFlow::Break(result) = on_item(item) {
                return result;
            }
        }
    };
    in_time("the end of the stream", whole).await
}
