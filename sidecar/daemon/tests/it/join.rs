//! Joining a network: the knock, the code on both screens, the decision.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{AnswerEvent, DenyKind, DeviceState, Event, InviteOptions, Phase};
use rustix::process::Signal;

use crate::harness::story::{self, found, invite, knock, knock_of, outcome, own_code};
use crate::harness::{Place, Running, SENTENCE, cli, ok, refused};

/// The story of the README, typed into two terminals.
#[tokio::test]
async fn knock_approve_chat() {
    let (desk, lap) = (Place::new("Desk").model("chain"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);

    let network = ok(&desk, ["network", "create", "Home"]).await;
    assert_eq!((network["name"].as_str(), network["role"].as_str()), (Some("Home"), Some("owner")));
    assert_eq!((network["active"].as_bool(), network["members"].as_u64()), (Some(true), Some(1)));
    let invite = ok(&desk, ["invite"]).await;
    let link = invite["invite"].as_str().expect("a link");
    assert!(link.starts_with("myownllm://join/"), "{link}");

    let mut join = Running::start(&lap, ["join", link, "--wait", "30"]);
    let knocking = join.line().await;
    assert_eq!(knocking["event"], "knocking");
    let waiting = knock_of(&host, &guest).await;
    let knocks = ok(&desk, ["knocks"]).await;
    assert_eq!(knocks[0]["code"], knocking["code"], "both screens show the same code");
    assert_eq!(knocks[0]["device_name"], "Lap");
    assert_eq!(knocks[0]["id"], waiting.id.as_str());
    let code = knocks[0]["code"].as_str().expect("a code");
    assert_eq!(code.chars().count(), 6);
    let decision = ok(&desk, ["approve", "Lap", "--code", code]).await;
    assert_eq!(decision["device_id"], guest.id());
    let joined = join.line().await;
    assert_eq!((joined["event"].as_str(), joined["network"].as_str()), (Some("joined"), Some("Home")));
    assert_eq!(join.end().await, 0);

    story::online(&guest, &host).await;
    story::offers(&guest, &host, "chain").await;
    let answer = crate::harness::cli_json(&lap, ["chat", "Hello", "--via", "Desk"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let lines = answer.lines();
    assert_eq!(lines[0]["type"], "route");
    assert_eq!(lines[0]["device_id"], host.id());
    let done = lines.last().expect("a last line");
    assert_eq!((done["type"].as_str(), done["text"].as_str()), (Some("done"), Some(SENTENCE)));
    assert_eq!((done["model"].as_str(), done["device_id"].as_str()), (Some("chain"), Some(host.id())));
    assert_eq!(done["finish_reason"], "stop");
    assert!(done["tokens"].as_u64().is_some_and(|tokens| tokens > 5), "{done}");
    assert!(done["first_token_ms"].as_f64().is_some_and(|time| time > 0.0), "{done}");
    let told: String =
        lines.iter().filter_map(|line| (line["type"] == "delta").then(|| line["text"].as_str())?).collect();
    assert_eq!(told, SENTENCE);

    let plain = cli(&lap, ["chat", "Hello", "--via", "Desk"]).await;
    assert_eq!((plain.code, plain.out.trim_end()), (0, SENTENCE));
    assert!(plain.err.contains("Desk"), "{plain:?}");
}

#[tokio::test]
async fn a_denial_carries_its_reason() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let link = invite(&host, InviteOptions::default()).await.invite.expect("a link");
    let mut join = Running::start(&lap, ["join", &link, "--wait", "30"]);
    assert_eq!(join.line().await["event"], "knocking");
    knock_of(&host, &guest).await;
    ok(&desk, ["deny", "Lap", "--reason", "Not on a Sunday"]).await;
    let error = join.line().await["error"].clone();
    assert_eq!(error["code"], "denied");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("Not on a Sunday")), "{error}");
    assert_eq!(join.end().await, 1);
    assert!(host.control.knock_list().await.expect("a list").is_empty());
    assert_eq!(guest.control.status().await.expect("a status").phase, Phase::NoNetwork);
}

#[tokio::test]
async fn an_unexpected_knock_is_a_plain_no() {
    let (host, guest) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    found(&host, "Home").await;
    let join = knock(&guest, &invite(&host, InviteOptions::default()).await).await;
    let waiting = knock_of(&host, &guest).await;
    host.control.knock_deny(waiting.id, DenyKind::Unexpected, None).await.expect("it can be denied");
    let error = outcome(&guest, &join).await.expect_err("denied");
    assert_eq!(error.code, ErrorCode::Denied);
}

#[tokio::test]
async fn a_wrong_code_admits_nobody() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let join = knock(&guest, &invite(&host, InviteOptions::default()).await).await;
    let waiting = knock_of(&host, &guest).await;
    assert_eq!(own_code(&guest, &join).await, waiting.code);
    let mut wrong: Vec<char> = waiting.code.chars().collect();
    wrong[5] = if wrong[5] == '7' { '8' } else { '7' };
    let wrong: String = wrong.into_iter().collect();
    let (code, _) = refused(&desk, ["approve", &waiting.id, "--code", &wrong]).await;
    assert_eq!(code, "code_mismatch");
    assert_eq!(host.control.device_list().await.expect("a list").len(), 1, "nobody was admitted");
    // The right code still works: a typing error is no decision.
    host.control.knock_approve(waiting.id, None, Some(waiting.code)).await.expect("the right code");
    outcome(&guest, &join).await.expect("admitted");
}

#[tokio::test]
async fn both_sides_restart_without_a_new_approval() {
    let (desk, lap) = (Place::new("Desk").model("chain"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    story::pair(&host, &guest).await;
    let (host_id, guest_id) = (host.id().to_owned(), guest.id().to_owned());
    let desk = desk.listen(host.ready["listen"][0].as_str().expect("it listens"));
    host.terminate().await;
    guest.terminate().await;

    let (guest, host) = (lap.start().await, desk.start().await);
    assert_eq!((host.id(), guest.id()), (&*host_id, &*guest_id), "the identity survives");
    assert_eq!(guest.control.status().await.expect("a status").network.as_deref(), Some("Home"));
    story::online(&guest, &host).await;
    story::online(&host, &guest).await;
    assert!(host.control.knock_list().await.expect("a list").is_empty(), "nobody had to ask");
    story::offers(&guest, &host, "chain").await;
    let answer = story::ask(&guest, story::question("Desk", "chain")).await;
    assert!(matches!(answer.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE), "{answer:?}");
}

#[tokio::test]
async fn a_restarted_guest_is_back_at_once() {
    let (desk, lap) = (Place::new("Desk").model("chain"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    story::pair(&host, &guest).await;
    guest.terminate().await;
    let started = std::time::Instant::now();
    let guest = lap.start().await;
    story::online(&guest, &host).await;
    story::offers(&guest, &host, "chain").await;
    let answer = story::ask(&guest, story::question("Desk", "chain")).await;
    eprintln!("from start to the whole first remote answer: {:?}", started.elapsed());
    assert!(matches!(answer.last(), Some(AnswerEvent::Done { text, .. }) if text == SENTENCE));
}

#[tokio::test]
async fn an_open_knock_shows_as_event_and_ends_when_withdrawn() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let link = invite(&host, InviteOptions::default()).await.invite.expect("a link");
    let mut events = host.watch().await;
    let mut join = Running::start(&lap, ["join", &link, "--wait", "30"]);
    let code = join.line().await["code"].clone();
    let knock = events.until("the knock", |event| match event {
        Event::Knock { knock } => Some(knock),
        _ => None,
    });
    let knock = knock.await;
    assert_eq!((&*knock.device_id, code.as_str()), (guest.id(), Some(&*knock.code)));
    join.signal(Signal::INT);
    assert_eq!(join.end().await, 130);
    let outcome = events.until("its end", |event| match event {
        Event::KnockEnded { id, outcome, .. } if id == knock.id => Some(outcome),
        _ => None,
    });
    assert_eq!(outcome.await, "withdrawn");
}

#[tokio::test]
async fn waiting_ends_in_time_and_the_knock_stays() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let link = invite(&host, InviteOptions::default()).await.invite.expect("a link");
    let (code, message) = refused(&lap, ["join", &link, "--wait", "1"]).await;
    assert_eq!(code, "timed_out", "{message}");
    let waiting = knock_of(&host, &guest).await;
    host.control.knock_approve(waiting.id, None, None).await.expect("it still waits");
    story::online(&guest, &host).await;
}

#[tokio::test]
async fn an_approved_invite_admits_once() {
    let (desk, lap, pad) = (Place::new("Desk"), Place::new("Lap"), Place::new("Pad"));
    let (host, guest, third) = (desk.start().await, lap.start().await, pad.start().await);
    found(&host, "Home").await;
    let invite = ok(&desk, ["invite", "--approved", "--uses", "1", "--expires", "1h"]).await;
    assert_eq!(invite["uses_left"], 1);
    let link = invite["invite"].as_str().expect("a link");
    let mut join = Running::start(&lap, ["join", link, "--wait", "30"]);
    assert_eq!(join.line().await["event"], "joined", "no knock, no question");
    assert_eq!(join.end().await, 0);
    story::state(&host, &guest, DeviceState::Online).await;
    // Used up, it still finds the network: the next device has to knock.
    let mut join = Running::start(&pad, ["join", link, "--wait", "30"]);
    assert_eq!(join.line().await["event"], "knocking");
    knock_of(&host, &third).await;
}
