//! Steps and observations that tests share.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use jsonrpsee::core::client::Subscription;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::home::Home;
use myownmesh_control::types::{
    AnswerEvent, ChatRequest, DeviceState, DeviceSummary, Event, EventItem, PathKind, WaitState,
};

use serde_json::{Value, json};

use crate::harness::story::{self, ask};
use crate::harness::{Daemon, follow, in_time};
use crate::net::Net;

/// Three devices in one network on the first three nodes, all of which see each other.
pub(crate) async fn trio(net: &Net) -> [Daemon; 3] {
    let places = [net.place(0, "Desk"), net.place(1, "Lap"), net.place(2, "Pad")];
    let (desk, lap, pad) = tokio::join!(places[0].start(), places[1].start(), places[2].start());
    story::pair(&desk, &lap).await;
    story::admit(&desk, &pad).await;
    story::online(&lap, &pad).await;
    story::online(&pad, &lap).await;
    [desk, lap, pad]
}

/// Connects to the control socket again.
pub(crate) async fn reconnect(daemon: &mut Daemon) {
    let home = Home::find(Some(daemon.place.home())).expect("a home");
    daemon.control = myownmesh_control::client::connect(&home).await.expect("a daemon that runs answers");
}

/// What one device knows of another.
pub(crate) async fn seen(daemon: &Daemon, other: &Daemon) -> DeviceSummary {
    daemon.control.device_show(other.id().to_owned()).await.expect("it is known")
}

/// Waits until a device reaches another one by this kind of path.
pub(crate) async fn path(daemon: &Daemon, other: &Daemon, path: PathKind) {
    daemon
        .until(&format!("the path {path:?}"), async |control| {
            let device = control.device_show(other.id().to_owned()).await.ok()?;
            (device.state == DeviceState::Online && device.path == Some(path)).then_some(())
        })
        .await;
}

/// Waits until `other` is no member any more, as `daemon` knows it.
pub(crate) async fn gone(daemon: &Daemon, other: &Daemon) {
    daemon
        .until("its absence", async |control| {
            let devices = control.device_list().await.expect("a list");
            devices.iter().all(|device| device.device_id != other.id()).then_some(())
        })
        .await;
}

/// Waits until nothing is seen of what `other` announced.
pub(crate) async fn gone_nearby(daemon: &Daemon, other: &Daemon) {
    daemon
        .until("the end of the announcement", async |control| {
            let nearby = control.nearby_list().await.expect("a list");
            nearby.iter().all(|one| one.device_id != other.id() || one.network.is_none()).then_some(())
        })
        .await;
}

/// What a device knows of its network that all members should know alike.
async fn view(daemon: &Daemon) -> Value {
    let network = daemon.control.network_show(None).await.expect("a network");
    let devices = daemon.control.device_list().await.expect("a list");
    let mut devices: Vec<_> = devices.into_iter().map(|one| json!([one.device_id, one.name, one.role])).collect();
    devices.sort_by_key(Value::to_string);
    let decisions = daemon.control.decision_list(None).await.expect("a list");
    let mut decisions: Vec<_> = decisions.into_iter().map(|one| json!([one.id, one.counts])).collect();
    decisions.sort_by_key(Value::to_string);
    json!({
        "name": network.name,
        "kind": network.kind,
        "settings": network.settings,
        "members": network.members,
        "devices": devices,
        "decisions": decisions,
    })
}

/// Waits until all see the same, and it is what `complete` looks for; gives it.
pub(crate) async fn until_equal(daemons: &[&Daemon], complete: impl Fn(&Value) -> bool) -> Value {
    let (first, others) = daemons.split_first().expect("somebody");
    let mut last = Value::Null;
    let look = async |_: &ControlClient| {
        last = view(first).await;
        for other in others {
            if view(other).await != last {
                return None;
            }
        }
        complete(&last).then(|| last.clone())
    };
    first.until("all seeing the same", look).await
}

/// Why an answer ended early.
pub(crate) async fn failure(daemon: &Daemon, answer: &str) -> String {
    let items = daemon.control.answer_events(answer.to_owned(), 0).await.expect("it can be followed");
    follow(items, |item| match item.event {
        AnswerEvent::Error { message, .. } => ControlFlow::Break(message),
        AnswerEvent::Done { finish_reason, .. } => panic!("done: {finish_reason}"),
        _ => ControlFlow::Continue(()),
    })
    .await
}

/// Waits until an answer says that it waits for its device.
pub(crate) async fn waits(daemon: &Daemon, answer: &str) {
    let items = daemon.control.answer_events(answer.to_owned(), 0).await.expect("it can be followed");
    follow(items, |item| match item.event {
        AnswerEvent::Waiting { state: WaitState::Reconnecting, .. } => ControlFlow::Break(()),
        AnswerEvent::Error { message, .. } => panic!("it ended: {message}"),
        AnswerEvent::Done { finish_reason, .. } => panic!("done: {finish_reason}"),
        _ => ControlFlow::Continue(()),
    })
    .await;
}

/// The whole text of an answer.
pub(crate) async fn answered(daemon: &Daemon, request: ChatRequest) -> String {
    let events = ask(daemon, request).await;
    match events.last() {
        Some(AnswerEvent::Done { text, .. }) => text.clone(),
        other => panic!("no answer: {other:?}"),
    }
}

/// The events of a daemon with their times.
pub(crate) struct Diary {
    items: Subscription<EventItem>,
}

impl Diary {
    /// The events from now on.
    pub(crate) async fn open(daemon: &Daemon) -> Self {
        Self { items: daemon.control.events(0).await.expect("events can be followed") }
    }

    /// Waits for an event; gives when it happened, in milliseconds since 1970, and what `choose` takes from it.
    pub(crate) async fn until<T>(&mut self, what: &str, mut choose: impl FnMut(Event) -> Option<T>) -> (i64, T) {
        let found = async {
            loop {
                let item = self.items.next().await.expect("events go on").expect("an event can be read");
                if let Some(found) = choose(item.event) {
                    return (item.at, found);
                }
            }
        };
        in_time(what, found).await
    }

    /// Waits until `other` comes into this state; gives when and why.
    pub(crate) async fn state(&mut self, other: &str, wanted: DeviceState) -> (i64, String) {
        let told = |event| match event {
            Event::Device { device_id, state, reason, .. } => {
                ((&*device_id, state) == (other, wanted)).then_some(reason)
            }
            _ => None,
        };
        self.until(&format!("{wanted:?}"), told).await
    }

    /// Whether an event tells that `other` came into this state.
    pub(crate) fn tells(event: &Event, other: &str, wanted: DeviceState) -> bool {
        matches!(event, Event::Device { device_id, state, .. } if (&**device_id, *state) == (other, wanted))
    }

    /// Everything that has come so far.
    pub(crate) async fn so_far(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(Some(Ok(item))) = tokio::time::timeout(Duration::from_millis(50), self.items.next()).await {
            events.push(item.event);
        }
        events
    }
}

/// Milliseconds since 1970, as events are stamped.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("not in a million years")
}
