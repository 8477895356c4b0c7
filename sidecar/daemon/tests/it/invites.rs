//! Links that do not lead anywhere, and names that are not what they seem.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::InviteOptions;

use crate::harness::story::{found, invite, knock, knock_of, own_code};
use crate::harness::{Place, cli, ok, refused};

#[tokio::test]
async fn what_is_no_invite_is_refused_with_a_sentence() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, _guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let link = invite(&host, InviteOptions::default()).await.invite.expect("a link");
    let truncated = &link[..link.len() - 7];
    let mut letters: Vec<char> = link.chars().collect();
    let middle = "myownllm://join/".len() + (letters.len() - "myownllm://join/".len()) / 2;
    letters[middle] = if letters[middle] == 'a' { 'b' } else { 'a' };
    let changed: String = letters.into_iter().collect();
    let long = format!("myownllm://join/{}", "a".repeat(100_000));
    let bad = [
        "nonsense",
        "https://example.org/join/abc",
        "otherapp://join/abc",
        "myownllm://join/",
        "myownllm://join/!!!!",
        "myownllm://leave/abc",
        truncated,
        &changed,
        &long,
        "myownllm://join/\u{202e}abc",
    ];
    for link in bad {
        let (code, message) = refused(&lap, ["join", link, "--wait", "10"]).await;
        assert_eq!(code, "invalid_invite", "{message} for {link:.60}");
        assert!(message.len() < 400, "the sentence repeats the link: {message}");
    }
    assert!(host.control.knock_list().await.expect("a list").is_empty());
}

#[tokio::test]
async fn an_expired_invite_says_so() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, _guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let invite = ok(&desk, ["invite", "--expires", "1s"]).await;
    let link = invite["invite"].as_str().expect("a link");
    let expires_at = invite["expires_at"].as_i64().expect("a time");
    host.until("the invite's end", async |_| (now() > expires_at).then_some(())).await;
    let (code, message) = refused(&lap, ["join", link, "--wait", "10"]).await;
    assert_eq!(code, "invite_expired", "{message}");
    assert!(host.control.invite_list().await.expect("a list").is_empty(), "it is not listed any more");
}

/// It still finds the network, so it falls back to a knock that a person has to answer.
#[tokio::test]
async fn a_revoked_invite_admits_nobody() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let invite = invite(&host, InviteOptions { approved: true, ..InviteOptions::default() }).await;
    assert_eq!(ok(&desk, ["invite", "list"]).await[0]["id"], &*invite.id);
    assert_eq!(ok(&desk, ["invite", "revoke", &invite.id[..invite.id.len() - 1]]).await["revoked"], true);
    assert!(ok(&desk, ["invite", "list"]).await.as_array().is_some_and(Vec::is_empty));
    let join = knock(&guest, &invite).await;
    let waiting = knock_of(&host, &guest).await;
    assert_eq!(own_code(&guest, &join).await, waiting.code);
    assert_eq!(host.control.device_list().await.expect("a list").len(), 1, "nobody was admitted");
}

#[tokio::test]
async fn an_invite_to_a_device_that_is_off_fails_in_time() {
    let (desk, lap) = (Place::new("Desk"), Place::new("Lap"));
    let (host, _guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    let link = invite(&host, InviteOptions::default()).await.invite.expect("a link");
    host.terminate().await;
    let (code, message) = refused(&lap, ["join", &link, "--wait", "25"]).await;
    assert!(code == "unreachable" || code == "timed_out", "{code}: {message}");
}

#[tokio::test]
async fn an_invite_of_ones_own_is_for_others() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    let link = invite(&host, InviteOptions::default()).await.invite.expect("a link");
    let (code, message) = refused(&desk, ["join", &link, "--wait", "10"]).await;
    assert_eq!(code, "invalid_invite", "{message}");
}

#[tokio::test]
async fn a_device_name_cannot_pretend() {
    let desk = Place::new("Desk");
    // Cyrillic letters that look like Latin ones, a direction override, a bell and a zero-width space.
    let lap = Place::new("D\u{435}sk\u{202e}\u{7}\u{200b}");
    let (host, guest) = (desk.start().await, lap.start().await);
    found(&host, "Home").await;
    knock(&guest, &invite(&host, InviteOptions::default()).await).await;
    let waiting = knock_of(&host, &guest).await;
    assert_eq!(waiting.device_name, "D\u{435}sk", "only what can be seen is left");
    assert_eq!(waiting.resembles.as_deref(), Some("Desk"), "and the person is warned");
    let plain = cli(&desk, ["knocks"]).await;
    assert!(plain.out.contains("resembles Desk"), "{plain:?}");
    assert!(!plain.out.contains(['\u{202e}', '\u{7}', '\u{200b}', '\u{1b}']), "{plain:?}");
}

#[tokio::test]
async fn names_that_are_nothing_are_refused() {
    let desk = Place::new("Desk");
    let host = desk.start().await;
    found(&host, "Home").await;
    for name in ["\u{200b}", "   ", "\u{202e}\u{7}"] {
        let (code, message) = refused(&desk, ["device", "name", name]).await;
        assert_eq!(code, "invalid_argument", "{message}");
        let (code, message) = refused(&desk, ["network", "create", name]).await;
        assert_eq!(code, "invalid_argument", "{message}");
    }
    let long = "x".repeat(5_000);
    let renamed = cli(&desk, ["--json", "device", "name", &long]).await;
    match renamed.code {
        0 => assert!(renamed.json()["name"].as_str().is_some_and(|name| name.chars().count() <= 64)),
        code => assert_eq!((code, renamed.json()["error"]["code"].as_str()), (1, Some("invalid_argument"))),
    }
    assert_eq!(ok(&desk, ["device", "name", "Wörk\u{301}shop"]).await["this_device"], true);
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("this millennium")
}
