//! Rules of tools over several devices: what is stricter holds at once, what is looser waits for a person on each.

use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{Event, Limits, NetworkKind, Permission, PermissionProposal, Role, Rule};
use serde_json::Value;

use crate::harness::story::{self, found, online};
use crate::harness::{Daemon, Place, ok, refused};

/// The promise for a stricter rule to hold on the devices that are online.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What holds for a tool on a device.
async fn explain(daemon: &Daemon, tool: &str) -> Permission {
    daemon.control.permission_explain(tool.to_owned()).await.expect("it can be explained")
}

async fn rule(daemon: &Daemon, tool: &str) -> Rule {
    explain(daemon, tool).await.rule
}

async fn set(daemon: &Daemon, tool: &str, rule: Rule) -> Permission {
    daemon.control.permission_set(tool.to_owned(), rule, None).await.expect("it can be set")
}

/// Waits until a rule holds on a device.
async fn holds(daemon: &Daemon, tool: &str, rule: Rule) -> Permission {
    daemon
        .until(&format!("{rule:?} for {tool} on {}", daemon.ready["device_name"]), async |control| {
            let permission = control.permission_explain(tool.to_owned()).await.expect("it can be explained");
            (permission.rule == rule).then_some(permission)
        })
        .await
}

/// Waits until a proposal of a device waits on another one.
async fn waits(daemon: &Daemon, tool: &str, from: &Daemon) -> PermissionProposal {
    daemon
        .until(&format!("a proposal for {tool} on {}", daemon.ready["device_name"]), async |control| {
            let waiting = control.permission_proposals().await.expect("proposals can be listed");
            waiting.into_iter().find(|proposal| proposal.tool == tool && proposal.device_id == from.id())
        })
        .await
}

/// Waits until nothing waits on a device.
async fn nothing_waits(daemon: &Daemon) {
    daemon
        .until("nothing waiting", async |control| {
            control.permission_proposals().await.expect("proposals can be listed").is_empty().then_some(())
        })
        .await;
}

async fn three() -> (Daemon, Daemon, Daemon) {
    let (desk, lap, pad) =
        (Place::new("Desk").start().await, Place::new("Lap").start().await, Place::new("Pad").start().await);
    story::pair(&desk, &lap).await;
    story::admit(&desk, &pad).await;
    online(&lap, &pad).await;
    (desk, lap, pad)
}

#[tokio::test]
async fn a_stricter_rule_holds_everywhere_at_once() {
    let (desk, lap, pad) = three().await;
    let list = ok(&lap.place, ["permission", "list"]).await;
    let listed: Vec<_> =
        list.as_array().expect("a list").iter().map(|one| (one["tool"].as_str(), one["rule"].as_str())).collect();
    let careful = [("read_file", "ask"), ("write_file", "ask"), ("shell", "deny"), ("fetch_url", "ask")];
    assert_eq!(listed, careful.map(|(tool, rule)| (Some(tool), Some(rule))), "how every device starts");
    assert!(list[0]["set_by"].is_null() && list[0]["proposal"].is_null(), "{list}");
    assert_eq!(list[0]["reason"], "Ask: nobody has set it.");

    let mut events = pad.watch().await;
    let written = ok(&desk.place, ["permission", "set", "fetch_url", "deny"]).await;
    assert_eq!((&written["rule"], &written["set_by"]), (&Value::from("deny"), &Value::from(desk.id())));
    let asked = Instant::now();
    for device in [&lap, &pad] {
        let permission = holds(device, "fetch_url", Rule::Deny).await;
        assert!(permission.reason.starts_with("Deny, because Desk set it on "), "{}", permission.reason);
        assert_eq!(permission.set_by.as_deref(), Some(desk.id()));
        assert_eq!(permission.set_by_name.as_deref(), Some("Desk"));
    }
    assert!(asked.elapsed() < AT_ONCE, "it took {:?}", asked.elapsed());
    events.until("the event", |event| (event == Event::PermissionsChanged).then_some(())).await;

    // Limits tighten too, and those of several devices add up.
    let limits = ["permission", "set", "read_file", "ask", "--folder", "/home/sam", "--folder", "/srv/notes"];
    ok(&desk.place, limits).await;
    ok(&lap.place, ["permission", "set", "read_file", "ask", "--folder", "/home"]).await;
    pad.until("the limits of both", async |control| {
        let permission = control.permission_explain("read_file".to_owned()).await.expect("it can be explained");
        (permission.limits.folders == ["/home/sam"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_looser_rule_waits_for_a_person_on_each_device() {
    let (desk, lap, pad) = three().await;
    let mut events = pad.watch().await;
    assert_eq!(set(&desk, "shell", Rule::Allow).await.rule, Rule::Allow, "here its person has just said so");
    let proposal = waits(&lap, "shell", &desk).await;
    assert_eq!((proposal.rule, proposal.now, &*proposal.device_name), (Rule::Allow, Rule::Deny, "Desk"));
    let told = events.until("the event", |event| match event {
        Event::Proposal { proposal } => Some(proposal),
        _ => None,
    });
    assert_eq!(told.await, waits(&pad, "shell", &desk).await);
    assert_eq!(
        explain(&pad, "shell").await.reason,
        "Deny: nobody has set it here, and the proposal of Desk to allow it has not been accepted here."
    );

    let accepted = ok(&lap.place, ["permission", "accept", &proposal.id[..12]]).await;
    assert_eq!((&accepted["rule"], &accepted["proposal"]), (&Value::from("allow"), &Value::Null));
    assert!(accepted["reason"].as_str().is_some_and(|text| text.ends_with(" and it was accepted here.")), "{accepted}");
    assert_eq!(rule(&pad, "shell").await, Rule::Deny, "nobody has said yes there");
    let declined = ok(&pad.place, ["permission", "decline", &proposal.id]).await;
    assert_eq!((&declined["rule"], &declined["proposal"]), (&Value::from("deny"), &Value::Null));
    assert!(declined["reason"].as_str().is_some_and(|text| text.ends_with(" was declined here.")), "{declined}");
    let (code, message) = refused(&pad.place, ["permission", "accept", &proposal.id]).await;
    assert_eq!(code, "not_found", "{message}");

    // Both answers outlive the daemons, even if these are killed.
    let (lap_place, pad_place) = (lap.place.clone(), pad.place.clone());
    lap.kill().await;
    pad.kill().await;
    let (lap, pad) = (lap_place.start().await, pad_place.start().await);
    online(&lap, &desk).await;
    online(&pad, &desk).await;
    assert_eq!((rule(&lap, "shell").await, rule(&pad, "shell").await), (Rule::Allow, Rule::Deny));
    assert!(pad.control.permission_proposals().await.expect("a list").is_empty(), "it is not shown again");

    // A later no holds on those who said yes as well, and taking it back waits again.
    set(&pad, "shell", Rule::Deny).await;
    holds(&lap, "shell", Rule::Deny).await;
    set(&pad, "shell", Rule::Ask).await;
    let anew = waits(&lap, "shell", &pad).await;
    assert_eq!((anew.rule, rule(&lap, "shell").await), (Rule::Ask, Rule::Deny));
    let reason = explain(&lap, "shell").await.reason;
    assert!(
        reason.starts_with("Deny, because Pad set it on ")
            && reason.ends_with(", and the newer proposal of Pad to ask each time has not been accepted here."),
        "{reason}"
    );
}

#[tokio::test]
async fn a_late_device_is_careful_first() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    found(&desk, "Home").await;
    set(&desk, "read_file", Rule::Deny).await;
    set(&desk, "mcp:notes/search", Rule::Allow).await;
    story::admit(&desk, &lap).await;
    holds(&lap, "read_file", Rule::Deny).await;
    waits(&lap, "mcp:notes/search", &desk).await;
    assert_eq!(rule(&lap, "mcp:notes/search").await, Rule::Ask);
    assert_eq!(rule(&lap, "mcp:notes/delete").await, Rule::Ask, "one that nobody has spoken about");
}

#[tokio::test]
async fn a_trusted_device_loosens_from_then_on() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    set(&desk, "shell", Rule::Ask).await;
    waits(&lap, "shell", &desk).await;
    let trust = ok(&lap.place, ["permission", "trust", "Desk", "on"]).await;
    assert_eq!((&trust["device_id"], &trust["trusted"]), (&Value::from(desk.id()), &Value::from(true)));
    assert_eq!(rule(&lap, "shell").await, Rule::Deny, "what was said before still waits");
    set(&desk, "shell", Rule::Allow).await;
    let permission = holds(&lap, "shell", Rule::Allow).await;
    assert!(permission.reason.ends_with("and this device trusts it with that."), "{}", permission.reason);
    assert!(permission.proposal.is_none());

    let lap_place = lap.place.clone();
    lap.terminate().await;
    let lap = lap_place.start().await;
    let list = ok(&lap_place, ["permission", "trust"]).await;
    assert_eq!((list.as_array().map(Vec::len), &list[0]["trusted"]), (Some(1), &Value::from(true)), "{list}");
    ok(&lap_place, ["permission", "trust", "Desk", "off"]).await;
    online(&lap, &desk).await;
    set(&desk, "fetch_url", Rule::Allow).await;
    waits(&lap, "fetch_url", &desk).await;
    assert_eq!(rule(&lap, "fetch_url").await, Rule::Ask);
    assert_eq!(rule(&lap, "shell").await, Rule::Allow, "what it had set stays");
    let (code, message) = refused(&lap_place, ["permission", "trust", "Lap", "on"]).await;
    assert_eq!(code, "invalid_argument", "{message}");
}

#[tokio::test]
async fn plain_members_of_a_closed_network_only_tighten() {
    let (desk, lap) = (Place::new("Desk").start().await, Place::new("Lap").start().await);
    desk.control.network_create("Home".to_owned(), NetworkKind::Closed).await.expect("founded");
    story::admit(&desk, &lap).await;
    for command in [&["shell", "ask"], &["read_file", "allow"]] {
        let (code, message) = refused(&lap.place, ["permission", "set", command[0], command[1]]).await;
        assert_eq!(code, "not_allowed");
        assert!(message.contains("Ask an owner or manager"), "{message}");
    }
    let (code, message) = refused(&desk.place, ["permission", "trust", "Lap", "on"]).await;
    assert_eq!(code, "not_allowed", "{message}");
    set(&lap, "read_file", Rule::Deny).await;
    holds(&desk, "read_file", Rule::Deny).await;
    // What an owner proposes waits for the person there.
    set(&desk, "shell", Rule::Ask).await;
    let proposal = waits(&lap, "shell", &desk).await;
    lap.control.permission_accept(proposal.id).await.expect("it can be accepted");
    assert_eq!(rule(&lap, "shell").await, Rule::Ask);
    // A plain member's own loosening is refused; a manager's is a proposal.
    let (code, message) = refused(&lap.place, ["permission", "set", "shell", "allow"]).await;
    assert_eq!(code, "not_allowed", "{message}");
    ok(&desk.place, ["device", "role", "Lap", "manager"]).await;
    lap.until("the role", async |control| {
        let devices = control.device_list().await.expect("a list");
        devices.iter().any(|device| device.this_device && device.role == Role::Manager).then_some(())
    })
    .await;
    set(&lap, "shell", Rule::Allow).await;
    waits(&desk, "shell", &lap).await;
    // And it is one no longer when the role is gone.
    ok(&desk.place, ["device", "role", "Lap", "member"]).await;
    nothing_waits(&desk).await;
    assert_eq!(rule(&desk, "shell").await, Rule::Ask);
}

#[tokio::test]
async fn a_removed_device_has_no_say() {
    let (desk, lap, pad) = three().await;
    set(&lap, "shell", Rule::Allow).await;
    waits(&desk, "shell", &lap).await;
    let at_pad = waits(&pad, "shell", &lap).await;
    ok(&desk.place, ["device", "remove", "Lap"]).await;
    nothing_waits(&desk).await;
    nothing_waits(&pad).await;
    let (code, message) = refused(&pad.place, ["permission", "accept", &at_pad.id]).await;
    assert_eq!(code, "not_found", "{message}");
    assert_eq!((rule(&desk, "shell").await, rule(&pad, "shell").await), (Rule::Deny, Rule::Deny));
    lap.until("its end", async |control| {
        let refused = control.permission_set("read_file".to_owned(), Rule::Deny, None).await.err()?;
        matches!(ControlError::from(refused).code, ErrorCode::NoNetwork | ErrorCode::NotMember).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_network_has_rules_of_its_own() {
    let desk = Place::new("Desk").start().await;
    found(&desk, "Home").await;
    set(&desk, "read_file", Rule::Allow).await;
    let mut events = desk.watch().await;
    found(&desk, "Club").await;
    events.until("the event", |event| (event == Event::PermissionsChanged).then_some(())).await;
    assert_eq!(rule(&desk, "read_file").await, Rule::Ask);
    set(&desk, "shell", Rule::Ask).await;
    ok(&desk.place, ["network", "use", "Home"]).await;
    assert_eq!((rule(&desk, "read_file").await, rule(&desk, "shell").await), (Rule::Allow, Rule::Deny));
    ok(&desk.place, ["network", "leave"]).await;
    let (code, message) = refused(&desk.place, ["permission", "list"]).await;
    assert_eq!(code, "no_network", "{message}");
}

#[tokio::test]
async fn limits_stay_until_they_are_changed() {
    let desk = Place::new("Desk").start().await;
    found(&desk, "Home").await;
    let limits = async || explain(&desk, "shell").await.limits;
    let git = Limits { commands: vec!["git log".to_owned(), "git status".to_owned()], ..Limits::default() };
    let command = ["permission", "set", "shell", "ask", "--command", "git  status", "--command", "git log"];
    ok(&desk.place, command).await;
    assert_eq!(limits().await, git);
    set(&desk, "shell", Rule::Allow).await;
    assert_eq!(limits().await, git);
    set(&desk, "shell", Rule::Deny).await;
    assert_eq!(limits().await, Limits::default(), "nothing is let through at all");
    set(&desk, "shell", Rule::Ask).await;
    assert_eq!(limits().await, git, "they come back");
    ok(&desk.place, ["permission", "set", "shell", "ask", "--no-limits"]).await;
    assert_eq!(limits().await, Limits::default());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let desk = Place::new("Desk").start().await;
    let (code, message) = refused(&desk.place, ["permission", "set", "shell", "deny"]).await;
    assert_eq!(code, "no_network", "{message}");
    found(&desk, "Home").await;
    let before = desk.control.permission_list().await.expect("a list");
    let long = format!("/{}", "x".repeat(600));
    for command in [
        ["set", "sudo", "allow", "--no-limits"],
        ["set", "mcp:a", "allow", "--no-limits"],
        ["set", "read_file", "allow", "--folder=notes"],
        ["set", "read_file", "allow", "--folder=/a/../etc"],
        ["set", "read_file", "allow", &format!("--folder={long}")],
        ["set", "read_file", "allow", "--host=example.org"],
        ["set", "shell", "allow", "--command=ls; rm -rf /"],
        ["set", "fetch_url", "allow", "--host=https://example.org"],
        ["set", "fetch_url", "allow", "--host=*"],
        ["set", "mcp:a/b", "allow", "--host=example.org"],
    ] {
        let [action, tool, rule, limit] = command;
        let (code, message) = refused(&desk.place, ["permission", action, tool, rule, limit]).await;
        assert!(code == "invalid_argument" && message.ends_with('.'), "{command:?}: {code}: {message}");
    }
    let (code, message) = refused(&desk.place, ["permission", "explain", "sudo\u{1b}[2J"]).await;
    assert!(code == "invalid_argument" && !message.contains('\u{1b}'), "{message}");
    for id in ["0", "zz", "  "] {
        let (code, message) = refused(&desk.place, ["permission", "accept", id]).await;
        assert_eq!(code, "not_found", "{message}");
    }
    let (code, _) = refused(&desk.place, ["permission", "trust", "Nobody", "on"]).await;
    assert_eq!(code, "not_found");
    let many = Limits { folders: (0..65).map(|n| format!("/{n}")).collect(), ..Limits::default() };
    let error = desk.control.permission_set("read_file".to_owned(), Rule::Ask, Some(many)).await.expect_err("too many");
    assert_eq!(ControlError::from(error).code, ErrorCode::InvalidArgument);
    assert_eq!(desk.control.permission_list().await.expect("a list"), before);
}
