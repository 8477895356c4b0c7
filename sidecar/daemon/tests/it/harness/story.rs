//! What people do with their devices, as steps that tests share.

use std::ops::ControlFlow;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{
    AnswerEvent, ChatRequest, DeviceState, EngineSpec, Invite, InviteOptions, JoinEvent, Knock, NetworkKind,
};

use super::daemon::{Daemon, follow};
use super::engine::Engine;
use super::place::Place;

/// Founds a network.
pub(crate) async fn found(daemon: &Daemon, name: &str) {
    daemon.control.network_create(name.to_owned(), NetworkKind::Open).await.expect("a network can be founded");
}

/// Makes an invite link to the active network.
pub(crate) async fn invite(daemon: &Daemon, options: InviteOptions) -> Invite {
    daemon.control.invite_create(options).await.expect("an invite can be made")
}

/// Starts to join; gives the join's id.
pub(crate) async fn knock(daemon: &Daemon, invite: &Invite) -> String {
    let link = invite.invite.clone().expect("whoever makes an invite has its link");
    daemon.control.join_start(link).await.expect("the invite is good")
}

/// The code that the knocking side shows.
pub(crate) async fn own_code(daemon: &Daemon, join: &str) -> String {
    let steps = daemon.control.join_events(join.to_owned(), 0).await.expect("a join can be followed");
    follow(steps, |item| match item.event {
        JoinEvent::Knocking { code, .. } => ControlFlow::Break(code),
        JoinEvent::Failed { error } => panic!("the knock failed: {error}"),
        _ => ControlFlow::Continue(()),
    })
    .await
}

/// The end of a join: the network's name, or why not.
pub(crate) async fn outcome(daemon: &Daemon, join: &str) -> Result<String, ControlError> {
    let steps = daemon.control.join_events(join.to_owned(), 0).await.expect("a join can be followed");
    follow(steps, |item| match item.event {
        JoinEvent::Joined { network, .. } => ControlFlow::Break(Ok(network)),
        JoinEvent::Failed { error } => ControlFlow::Break(Err(error)),
        _ => ControlFlow::Continue(()),
    })
    .await
}

/// The knock of `guest` that waits at `host`.
pub(crate) async fn knock_of(host: &Daemon, guest: &Daemon) -> Knock {
    host.until("the knock", async |control| {
        let knocks = control.knock_list().await.expect("knocks can be listed");
        knocks.into_iter().find(|knock| knock.device_id == guest.id())
    })
    .await
}

/// Lets `guest` in: invite, knock, equal codes, approval; returns when each sees the other.
pub(crate) async fn admit(host: &Daemon, guest: &Daemon) {
    let invite = invite(host, InviteOptions::default()).await;
    let join = knock(guest, &invite).await;
    let waiting = knock_of(host, guest).await;
    assert_eq!(own_code(guest, &join).await, waiting.code);
    host.control.knock_approve(waiting.id, None, Some(waiting.code)).await.expect("it can be approved");
    outcome(guest, &join).await.expect("it is approved");
    online(host, guest).await;
    online(guest, host).await;
}

/// Two devices in one network, each seeing the other.
pub(crate) async fn pair(host: &Daemon, guest: &Daemon) {
    found(host, "Home").await;
    admit(host, guest).await;
}

/// Waits until `daemon` sees `other` online.
pub(crate) async fn online(daemon: &Daemon, other: &Daemon) {
    state(daemon, other, DeviceState::Online).await;
}

/// Waits until `daemon` sees `other` in this state.
pub(crate) async fn state(daemon: &Daemon, other: &Daemon, state: DeviceState) {
    daemon
        .until(&format!("{} being {state:?}", other.ready["device_name"]), async |control| {
            let devices = control.device_list().await.expect("devices can be listed");
            devices.into_iter().find(|device| device.device_id == other.id() && device.state == state)
        })
        .await;
}

/// Waits until `daemon` can reach `model` on `other`.
pub(crate) async fn offers(daemon: &Daemon, other: &Daemon, model: &str) {
    daemon
        .until(&format!("{model} being offered"), async |control| {
            let models = control.model_list().await.expect("models can be listed");
            models.into_iter().find(|found| found.device == other.id() && found.id == model)
        })
        .await;
}

/// A question by a route to a model.
pub(crate) fn question(via: &str, model: &str) -> ChatRequest {
    ChatRequest {
        prompt: "Hello".to_owned(),
        via: Some(via.to_owned()),
        model: Some(model.to_owned()),
        ..ChatRequest::default()
    }
}

/// Asks, and gives all events of the answer.
pub(crate) async fn ask(daemon: &Daemon, request: ChatRequest) -> Vec<AnswerEvent> {
    let id = daemon.control.chat_start(request).await.expect("it can be asked");
    let items = daemon.control.answer_events(id, 0).await.expect("the answer can be followed");
    let mut events = Vec::new();
    follow(items, |item| {
        let last = matches!(item.event, AnswerEvent::Done { .. } | AnswerEvent::Error { .. });
        events.push(item.event);
        if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await;
    events
}

/// Starts an answer and returns its id when its first words are there.
pub(crate) async fn first_words(daemon: &Daemon, request: ChatRequest) -> String {
    let id = daemon.control.chat_start(request).await.expect("it can be asked");
    let items = daemon.control.answer_events(id.clone(), 0).await.expect("the answer can be followed");
    follow(items, |item| match item.event {
        AnswerEvent::Delta { .. } => ControlFlow::Break(()),
        AnswerEvent::Error { message, .. } => panic!("no answer: {message}"),
        _ => ControlFlow::Continue(()),
    })
    .await;
    id
}

/// The same, and somebody goes on reading: an answer that nobody reads is given up.
pub(crate) async fn read_on(daemon: &Daemon, request: ChatRequest) -> String {
    let id = first_words(daemon, request).await;
    keep_reading(daemon, &id).await;
    id
}

/// Reads an answer to its end on the side: one that nobody reads is soon given up.
pub(crate) async fn keep_reading(daemon: &Daemon, id: &str) {
    let items = daemon.control.answer_events(id.to_owned(), 0).await.expect("the answer can be followed");
    tokio::spawn(follow(items, |item| match item.event {
        AnswerEvent::Done { .. } | AnswerEvent::Error { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }));
}

/// Two devices; the first has a llama-server of the test's own with a model that never ends.
pub(crate) async fn endless_pair() -> (Engine, Daemon, Daemon) {
    let engine = Engine::start("endless").await;
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    let spec = EngineSpec { url: engine.url.clone(), kind: None, key: None };
    host.control.engine_add(spec).await.expect("it answers");
    pair(&host, &guest).await;
    offers(&guest, &host, "endless").await;
    (engine, host, guest)
}
