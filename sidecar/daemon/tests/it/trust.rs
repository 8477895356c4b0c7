//! Networks that people can trust: who may answer a knock, what a removal does and who has heard of it, what owners
//! govern, what is kept of it, and who may not even speak to the daemon.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{
    ActivityFilter, ActivityKind, AnswerEvent, Event, InviteOptions, JoinEvent, NetworkKind, Phase, Role,
};
use serde_json::Value;

use crate::harness::story::{
    self, first_words, found, invite, knock, knock_of, offers, online, outcome, own_code, question,
};
use crate::harness::{BINARY, Daemon, Place, cli, follow, in_time, ok, refused};

/// The promise for a removal to cut what runs.
const CUT: Duration = Duration::from_secs(1);

/// Desk founded the network; Pad is a member; both are connected.
async fn home() -> (Daemon, Daemon) {
    let (desk, pad) = (Place::new("Desk").start().await, Place::new("Pad").start().await);
    story::pair(&desk, &pad).await;
    (desk, pad)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|one| one["text"].as_str()).collect()
}

#[tokio::test]
async fn any_member_answers_a_knock_and_the_others_see_who() {
    let ((desk, pad), lap) = (home().await, Place::new("Lap").start().await);
    let mut events = desk.watch().await;
    let join = knock(&lap, &invite(&desk, InviteOptions::default()).await).await;
    let at_pad = knock_of(&pad, &lap).await;
    let at_desk = knock_of(&desk, &lap).await;
    let code = own_code(&lap, &join).await;
    assert_eq!((&at_pad.code, &at_desk.code), (&code, &code), "every screen shows the same code");
    assert_eq!((at_pad.via.as_deref(), at_desk.via.as_deref()), (Some("Desk"), None));
    let wrong = if code == "AAAAAA" { "BBBBBB" } else { "AAAAAA" };
    let (refusal, _) = refused(&pad.place, ["approve", "Lap", "--code", wrong]).await;
    assert_eq!(refusal, "code_mismatch", "a member elsewhere is as careful");
    ok(&pad.place, ["approve", "Lap", "--code", &code]).await;
    outcome(&lap, &join).await.expect("it is approved");
    let by = events
        .until("the end of the knock", |event| match event {
            Event::KnockEnded { device_name, outcome, decided_by, .. } if device_name == "Lap" => {
                Some((outcome, decided_by))
            }
            _ => None,
        })
        .await;
    assert_eq!(by, ("approved".to_owned(), Some("Pad".to_owned())));
    assert!(desk.control.knock_list().await.expect("a list").is_empty());
    online(&desk, &lap).await;
    // All three can read later who let it in.
    for device in [&desk, &pad, &lap] {
        let decisions = ok(&device.place, ["network", "decisions"]).await;
        assert!(texts(&decisions).contains(&"Pad admitted Lap as member."), "{decisions}");
        let founded = decisions.as_array().and_then(|list| list.last()).expect("the first one");
        assert_eq!((founded["kind"].as_str(), founded["text"].as_str()), (Some("founded"), Some("Desk founded Home.")));
        assert_eq!(founded["counts"], true);
    }
    let told = activity(&desk, "Pad admitted Lap as member.").await;
    assert_eq!((told.kind, told.device_name.as_deref()), (ActivityKind::Member, Some("Lap")));
    activity(&desk, "The knock of Lap was approved by Pad.").await;
}

/// Waits until an activity of this sentence is kept.
async fn activity(daemon: &Daemon, text: &str) -> myownmesh_control::types::ActivityEntry {
    daemon
        .until(&format!("the activity {text:?}"), async |control| {
            let kept = control.activity_list(ActivityFilter::default()).await.expect("a list");
            kept.into_iter().find(|entry| entry.text.contains(text))
        })
        .await
}

#[tokio::test]
async fn a_removal_cuts_at_once_and_tells_who_has_heard() {
    let (desk, lap) = (Place::new("Desk").model("endless").start().await, Place::new("Lap").start().await);
    let pad_place = Place::new("Pad");
    let pad = pad_place.start().await;
    story::pair(&desk, &pad).await;
    story::admit(&desk, &lap).await;
    online(&pad, &lap).await;
    offers(&lap, &desk, "endless").await;
    let answer = first_words(&lap, question("Desk", "endless")).await;
    let ended = async {
        let items = lap.control.answer_events(answer, 0).await.expect("it can be followed");
        let reason = follow(items, |item| match item.event {
            AnswerEvent::Error { message, .. } => std::ops::ControlFlow::Break(message),
            AnswerEvent::Done { finish_reason, .. } => panic!("done with {finish_reason}"),
            _ => std::ops::ControlFlow::Continue(()),
        });
        (reason.await, Instant::now())
    };
    let began = Instant::now();
    let ((reason, cut), removed) = tokio::join!(ended, ok(&desk.place, ["device", "remove", "Lap"]));
    println!("from asking on the command line to the cut: {:?}", cut - began);
    assert!(cut - began < CUT, "it went on for {:?}", cut - began);
    assert!(reason.contains("removed from the network by Desk"), "{reason}");
    assert_eq!((removed["name"].as_str(), removed["device_id"].as_str()), (Some("Lap"), Some(lap.id())));
    assert_eq!(removed["acknowledged"], serde_json::json!(["Pad"]), "{removed}");
    assert_eq!(removed["waiting"], serde_json::json!([]));

    // The removed device is told by whom, keeps its data, and comes back only by a new knock.
    let status = lap
        .until("being told", async |control| {
            let status = control.status().await.expect("a status");
            (status.phase == Phase::Trouble).then_some(status)
        })
        .await;
    assert!(status.reason.starts_with("Desk removed this device from Home."), "{}", status.reason);
    let network = ok(&lap.place, ["network", "show"]).await;
    assert!(network["role"].is_null() && network["ended"].as_str().is_some_and(|text| text.contains("Desk")));
    assert!(cli(&lap.place, ["network", "show"]).await.out.contains("Desk removed this device from Home."));
    let report = ok(&lap.place, ["doctor"]).await;
    let failed = report["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "network");
    assert_eq!(failed.expect("a check")["cause"], "not_admitted", "{report}");
    for report in [report, ok(&lap.place, ["doctor", "Desk"]).await] {
        let names: Vec<_> = report["checks"].as_array().expect("checks").iter().map(|check| &check["name"]).collect();
        assert!(names.iter().any(|name| *name == "network") && names.iter().all(|name| *name != "found"), "{names:?}");
    }

    // A member that is away hears of it when it is met again.
    story::admit(&desk, &lap).await;
    pad.terminate().await;
    story::state(&desk, &lap, myownmesh_control::types::DeviceState::Online).await;
    desk.until("Pad being away", async |control| {
        let devices = control.device_list().await.expect("a list");
        devices
            .iter()
            .any(|one| one.name == "Pad" && one.state != myownmesh_control::types::DeviceState::Online)
            .then_some(())
    })
    .await;
    let removed = ok(&desk.place, ["device", "remove", "Lap"]).await;
    assert_eq!((&removed["acknowledged"], &removed["waiting"]), (&serde_json::json!([]), &serde_json::json!(["Pad"])));
    let pad = pad_place.start().await;
    online(&desk, &pad).await;
    desk.until("the confirmation", async |control| {
        let decisions = control.decision_list(None).await.expect("a list");
        let newest = decisions.into_iter().find(|decision| decision.text == "Desk removed Lap.")?;
        (newest.acknowledged == ["Pad"] && newest.waiting.is_empty()).then_some(())
    })
    .await;
    activity(&desk, "Pad has cut Lap off.").await;
}

#[tokio::test]
async fn a_pre_approved_invite_that_is_over_falls_back_to_a_knock_and_says_so() {
    let desk = Place::new("Desk").start().await;
    found(&desk, "Home").await;
    let approved = || InviteOptions { approved: true, ..InviteOptions::default() };
    let used = invite(&desk, approved()).await;
    let first = Place::new("First").start().await;
    outcome(&first, &knock(&first, &used).await).await.expect("it admits one");
    let revoked = invite(&desk, approved()).await;
    desk.control.invite_revoke(revoked.id.clone()).await.expect("it can be revoked");
    // The other member sees what is open; the link itself it does not learn.
    let open = invite(&desk, InviteOptions { uses: Some(2), ..approved() }).await;
    let seen = first
        .until("the invite of another member", async |control| {
            let invites = control.invite_list().await.expect("a list");
            invites.into_iter().find(|one| one.id == open.id)
        })
        .await;
    assert_eq!((seen.by.as_deref(), seen.invite, seen.uses_left), (Some("Desk"), None, Some(2)));
    let (code, _) = refused(&first.place, ["invite", "revoke", "0000"]).await;
    assert_eq!(code, "not_found");
    let ended = desk.control.invite_revoke(open.id).await.expect("it can be revoked");
    assert!(ended.revoked && ended.by.is_none(), "{ended:?}");
    let short = invite(&desk, InviteOptions { expires_in_s: Some(1), ..approved() }).await;
    desk.until("its end", async |_| (now() > short.expires_at).then_some(())).await;
    for (name, invite, words) in
        [("Used", used, "used up"), ("Revoked", revoked, "revoked"), ("Late", short, "expired")]
    {
        let device = Place::new(name).start().await;
        let join = knock(&device, &invite).await;
        let steps = device.control.join_events(join, 0).await.expect("it can be followed");
        let problem = follow(steps, |item| match item.event {
            JoinEvent::Knocking { invite, .. } => std::ops::ControlFlow::Break(invite),
            JoinEvent::Failed { error } => panic!("{name}: {error}"),
            JoinEvent::Joined { .. } => panic!("{name} was let in"),
            _ => std::ops::ControlFlow::Continue(()),
        })
        .await
        .unwrap_or_else(|| panic!("{name} was not told why"));
        assert!(problem.contains(words) && problem.ends_with('.'), "{name}: {problem}");
        knock_of(&desk, &device).await;
    }
    assert_eq!(desk.control.device_list().await.expect("a list").len(), 2, "nobody but the first was let in");
}

#[tokio::test]
async fn owners_govern_and_members_read_it() {
    let (desk, pad) = home().await;
    let network = ok(&desk.place, ["network", "kind", "closed"]).await;
    assert_eq!(network["kind"], "closed");
    let (code, message) = refused(&pad.place, ["network", "kind", "open", "Home"]).await;
    assert_eq!(code, "not_allowed", "{message}");
    let changed = ok(
        &desk.place,
        [
            "network",
            "settings",
            "--relay",
            "http://127.0.0.1:9",
            "--announce",
            "on",
            "--air-gapped",
            "on",
            "--mdns",
            "off",
        ],
    )
    .await;
    let settings = &changed["settings"];
    assert_eq!(settings["relays"], serde_json::json!(["http://127.0.0.1:9"]));
    assert_eq!(
        (&settings["announce"], &settings["mdns"], &settings["air_gapped"]),
        (&true.into(), &false.into(), &true.into())
    );
    let spread = pad
        .until("the settings", async |control| {
            let network = control.network_show(None).await.expect("a network");
            (network.settings.air_gapped && network.kind == NetworkKind::Closed).then_some(network.settings)
        })
        .await;
    assert_eq!(serde_json::to_value(&spread).expect("JSON"), *settings, "the same on every member");
    assert_eq!(ok(&pad.place, ["network", "settings"]).await["settings"], *settings, "without flags it shows");
    let (code, message) = refused(&pad.place, ["network", "settings", "--mdns", "on"]).await;
    assert_eq!(code, "not_allowed", "{message}");
    for bad in ["nonsense", "ftp://relay.example", "https://", &format!("https://{}.example", "a".repeat(400))] {
        let (code, message) = refused(&desk.place, ["network", "settings", "--relay", bad]).await;
        assert_eq!(code, "invalid_argument", "{message}");
    }
    let looked_up =
        ok(&desk.place, ["network", "settings", "--lookup", "http://127.0.0.1:9/pkarr", "--no-relays"]).await;
    assert_eq!(looked_up["settings"]["lookup"], "http://127.0.0.1:9/pkarr");
    assert_eq!(looked_up["settings"]["relays"], serde_json::json!([]));
    let off = ok(&desk.place, ["network", "settings", "--lookup", "off"]).await;
    assert!(off["settings"]["lookup"].is_null() && off["settings"]["air_gapped"] == true, "{off}");
    ok(&desk.place, ["device", "role", "Pad", "owner"]).await;
    pad.until("the role", async |control| {
        let network = control.network_show(None).await.expect("a network");
        (network.role == Some(Role::Owner)).then_some(())
    })
    .await;
    assert_eq!(ok(&pad.place, ["network", "kind", "open"]).await["kind"], "open", "an owner may");
    let decisions = ok(&desk.place, ["network", "decisions"]).await;
    let told = texts(&decisions);
    for sentence in ["Desk made Pad owner.", "Desk made the network closed: only owners and managers admit devices."] {
        assert!(told.contains(&sentence), "{decisions}");
    }
    assert!(cli(&pad.place, ["network", "decisions"]).await.out.contains("Desk made Pad owner."));
}

#[tokio::test]
async fn what_happened_is_kept_filtered_and_exported() {
    let desk_place = Place::new("Desk").model("chain");
    let (desk, lap) = (desk_place.start().await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    story::ask(&lap, question("Desk", "chain")).await;
    let lent = activity(&desk, "Lap used chain on this device: ").await;
    assert_eq!((lent.kind, lent.device_id.as_deref()), (ActivityKind::Lending, Some(lap.id())));
    assert!(lent.text.contains(" tokens in "), "{}", lent.text);
    activity(&lap, "This device used chain on Desk: ").await;
    activity(&desk, "Lap is here.").await;

    let lending = ok(&desk_place, ["activity", "--kind", "lending"]).await;
    assert!(lending.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(|one| one["kind"] == "lending")));
    assert!(
        ok(&desk_place, ["activity", "--search", "USED CHAIN"]).await.as_array().is_some_and(|list| list.len() == 1)
    );
    assert!(
        ok(&desk_place, ["activity", "--device", "Lap", "--since", "1h"]).await.as_array().is_some_and(|l| l.len() > 1)
    );
    assert!(ok(&desk_place, ["activity", "--search", "no such thing"]).await.as_array().is_some_and(Vec::is_empty));
    let page = ok(&desk_place, ["activity", "--limit", "2"]).await;
    let last = page[1]["id"].as_u64().expect("a number");
    let next = ok(&desk_place, ["activity", "--limit", "2", "--before", &last.to_string()]).await;
    assert!(next[0]["id"].as_u64().is_some_and(|id| id < last), "{next}");
    let all = ok(&desk_place, ["activity", "--limit", "1000"]).await;
    assert!(!all.to_string().contains("Hello"), "never what was said");
    for entry in all.as_array().expect("a list") {
        for field in ["id", "at", "network_id", "kind", "device_id", "device_name", "text"] {
            assert!(entry.get(field).is_some(), "no {field} in {entry}");
        }
    }

    // It survives a restart; of a network that is forgotten nothing is left.
    desk.terminate().await;
    let desk = desk_place.start().await;
    activity(&desk, "Lap used chain on this device: ").await;
    ok(&lap.place, ["network", "forget", "Home"]).await;
    let left = lap.control.activity_list(ActivityFilter::default()).await.expect("a list");
    assert!(left.iter().all(|entry| entry.network_id.is_none() && !entry.text.contains("chain")), "{left:?}");
}

#[tokio::test]
async fn the_doctor_looks_at_an_invite_and_hides_whose_it_is() {
    let (desk, lap) = (Place::new("Desk Ünique").start().await, Place::new("Lap").start().await);
    found(&desk, "Home Sweet").await;
    let link = invite(&desk, InviteOptions::default()).await.invite.expect("a link");
    let report = ok(&lap.place, ["doctor", &link]).await;
    let checks = report["checks"].as_array().expect("checks");
    let names: Vec<&str> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert!(names.starts_with(&["found", "reachable"]), "{report}");
    assert!(checks.iter().take(2).all(|check| check["ok"] == true), "{report}");
    assert!(desk.control.knock_list().await.expect("a list").is_empty(), "looking is not knocking");
    let masked = ok(&lap.place, ["doctor", &link, "--masked"]).await;
    let text = masked["report"].as_str().expect("a report");
    let address = desk.ready["listen"][0].as_str().expect("it listens");
    for secret in ["Ünique", "Sweet", "127.0.0.1", address, desk.id(), &desk.id()[..10], &link] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    desk.terminate().await;
    let report = ok(&lap.place, ["doctor", &link]).await;
    let failed = report["checks"].as_array().expect("checks").iter().find(|check| check["ok"] == false);
    let failed = failed.unwrap_or_else(|| panic!("nobody is there: {report}"));
    assert!(failed["cause"].is_string() && failed["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{failed}");
    let (code, _) = refused(&lap.place, ["doctor", "myownllm://join/!!!!"]).await;
    assert_eq!(code, "invalid_invite");
}

/// Another user of this machine gets no word out of the daemon, even if somebody opens the folders to them.
#[tokio::test]
async fn another_user_at_the_control_socket_is_refused() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        println!("not tried: only root can become another user");
        return;
    }
    let desk = Place::new("Desk").start().await;
    let tools = tempfile::tempdir().expect("a folder");
    let program = tools.path().join("myownmesh");
    std::fs::copy(BINARY, &program).expect("copied");
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode can be set");
    };
    open(tools.path(), 0o755);
    let as_nobody = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(&program);
        command.arg("--home").arg(desk.place.home()).arg("--json").args(arguments).uid(NOBODY).gid(NOBODY);
        in_time("the command", command.kill_on_drop(true).output()).await.expect("it can be started")
    };
    let refused = as_nobody(&["status"]).await;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    // Somebody opens every folder and the socket itself: the daemon still looks at who it is.
    let socket = Path::new(desk.ready["control"].as_str().expect("a path"));
    for folder in socket.ancestors().skip(1).take_while(|folder| *folder != Path::new("/tmp")) {
        open(folder, 0o755);
    }
    open(socket, 0o777);
    for entry in std::fs::read_dir(desk.place.file("run")).expect("a folder").flatten() {
        open(&entry.path(), 0o777);
    }
    for arguments in [&["status"][..], &["network", "create", "Mine"], &["stop"]] {
        let refused = as_nobody(arguments).await;
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        assert!(!String::from_utf8_lossy(&refused.stdout).contains(desk.id()), "{refused:?}");
    }
    assert!(desk.place.logs().contains("another user at the control socket was refused"));
    assert_eq!(ok(&desk.place, ["network", "list"]).await, serde_json::json!([]), "nothing happened");
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("this millennium")
}
