use super::*;

async fn fresh() -> (tempfile::TempDir, Activity, Events, CancellationToken) {
    let folder = tempfile::tempdir().expect("folder");
    let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
    let (events, stop) = (Events::new(), CancellationToken::new());
    let activity = Activity::start(store, events.clone(), stop.clone()).await.expect("started");
    (folder, activity, events, stop)
}

fn network(n: u8) -> NetworkId {
    NetworkId::from_bytes([n; 32])
}

fn device(n: u8) -> DeviceId {
    DeviceId::of_secret(&[n; 32])
}

fn told(n: u8, kind: ActivityKind, text: &str) -> Told {
    Told::new(Some(network(n)), kind, text)
}

async fn texts(activity: &Activity, of: Option<NetworkId>, filter: ActivityFilter) -> Vec<String> {
    let listed = activity.list(of, None, filter).await.expect("listed");
    listed.into_iter().map(|entry| entry.text).collect()
}

#[tokio::test]
async fn what_was_told_is_listed_newest_first_and_per_network() {
    let (_folder, activity, events, _stop) = fresh().await;
    let mut follow = events.follow(0);
    activity.tell(told(1, ActivityKind::Member, "one"));
    activity.tell(told(2, ActivityKind::Member, "two"));
    activity.tell(Told::new(None, ActivityKind::Network, "three"));
    assert_eq!(texts(&activity, Some(network(1)), ActivityFilter::default()).await, ["three", "one"]);
    assert_eq!(texts(&activity, None, ActivityFilter::default()).await, ["three", "two", "one"]);
    assert_eq!(follow.next().await.expect("told")[0].event, Event::ActivityChanged);
}

#[tokio::test]
async fn filters_choose_and_pages_follow_each_other() {
    let (_folder, activity, _events, _stop) = fresh().await;
    activity.tell(told(1, ActivityKind::Member, "Ärger mit 100 % Last").about(device(1), "Desk"));
    activity.tell(told(1, ActivityKind::Lending, "Lap used a model").about(device(2), "Lap"));
    activity.tell(told(1, ActivityKind::Security, "Somebody knocked too often"));
    let only = |filter: ActivityFilter| texts(&activity, Some(network(1)), filter);
    let kinds = vec![ActivityKind::Lending, ActivityKind::Security];
    let found = only(ActivityFilter { kinds, ..ActivityFilter::default() }).await;
    assert_eq!(found, ["Somebody knocked too often", "Lap used a model"]);
    for (search, hits) in [("ärger", 1), ("100 %", 1), ("1_0", 0), ("%", 1), ("DESK", 1), ("", 3), ("'; DROP", 0)] {
        let found = only(ActivityFilter { search: Some(search.to_owned()), ..ActivityFilter::default() }).await;
        assert_eq!(found.len(), hits, "{search}");
    }
    let of = |text: &str| ActivityFilter { device: Some(text.to_owned()), ..ActivityFilter::default() };
    assert_eq!(only(of("lap")).await, ["Lap used a model"], "by the name it had");
    assert_eq!(only(of(&device(2).short())).await, ["Lap used a model"], "by how its id begins");
    assert!(only(of("%%%%")).await.is_empty());
    let first = activity.list(None, None, ActivityFilter { limit: Some(2), ..ActivityFilter::default() }).await;
    let first = first.expect("listed");
    let before = Some(first[1].id);
    let rest = only(ActivityFilter { before, ..ActivityFilter::default() }).await;
    assert_eq!((first.len(), rest), (2, vec!["Ärger mit 100 % Last".to_owned()]));
    let later = ActivityFilter { since: Some(i64::MAX), before: Some(u64::MAX), ..ActivityFilter::default() };
    assert!(only(later).await.is_empty());
    assert!(only(ActivityFilter { limit: Some(0), ..ActivityFilter::default() }).await.is_empty());
}

#[tokio::test]
async fn text_from_elsewhere_is_cut_and_cleaned() {
    let (_folder, activity, _events, _stop) = fresh().await;
    activity.tell(told(1, ActivityKind::Security, &format!("a\u{1b}[2J\n{}", "x".repeat(100_000))));
    let kept = texts(&activity, None, ActivityFilter::default()).await.remove(0);
    assert_eq!(kept.chars().count(), MAX_TEXT);
    assert!(kept.starts_with("a [2J xx"), "{}", &kept[..20]);
}

#[tokio::test]
async fn a_forgotten_network_leaves_nothing_and_takes_nothing() {
    let (_folder, activity, _events, _stop) = fresh().await;
    activity.tell(told(1, ActivityKind::Member, "one"));
    activity.tell(told(2, ActivityKind::Member, "two"));
    activity.forget_network(network(1)).await.expect("forgotten");
    activity.tell(told(1, ActivityKind::Network, "a late word"));
    assert_eq!(texts(&activity, None, ActivityFilter::default()).await, ["two"]);
    activity.joined(network(1));
    activity.tell(told(1, ActivityKind::Member, "back again"));
    assert_eq!(texts(&activity, None, ActivityFilter::default()).await, ["back again", "two"]);
}

/// Twenty thousand at once neither block whoever tells them nor push other kinds out, and what is lost is counted.
#[tokio::test]
async fn a_flood_is_bounded_and_leaves_the_rest_alone() {
    let (_folder, activity, _events, _stop) = fresh().await;
    activity.tell(told(1, ActivityKind::Member, "Desk admitted Lap as member."));
    for n in 0..20_000 {
        activity.tell(told(1, ActivityKind::Security, &format!("attempt {n}")));
    }
    let all = |kinds| ActivityFilter { kinds, limit: Some(1000), ..ActivityFilter::default() };
    let security = texts(&activity, None, all(vec![ActivityKind::Security])).await;
    assert!(security.iter().any(|text| text.starts_with("So much happened at once")), "{:?}", security.first());
    for _ in 0..4 {
        for n in 0..4_000 {
            activity.tell(told(1, ActivityKind::Security, &format!("attempt {n}")));
        }
        texts(&activity, None, ActivityFilter::default()).await;
    }
    let count = |connection: &mut rusqlite::Connection| {
        Ok(connection.query_row("SELECT count(*) FROM activities", [], |row| row.get::<_, u32>(0))?)
    };
    assert!(activity.store.call(count).await.expect("counted") <= 3_001, "its share and no more");
    let members = texts(&activity, None, all(vec![ActivityKind::Member])).await;
    assert_eq!(members, ["Desk admitted Lap as member."]);
}

#[tokio::test]
async fn what_is_too_old_goes_at_the_start() {
    let (folder, activity, events, _stop) = fresh().await;
    activity.tell(told(1, ActivityKind::Member, "old"));
    texts(&activity, None, ActivityFilter::default()).await;
    let age = |connection: &mut rusqlite::Connection| {
        Ok(connection.execute("UPDATE activities SET at = at - 91 * 24 * 60 * 60 * 1000", [])?)
    };
    activity.store.call(age).await.expect("aged");
    let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
    let again = Activity::start(store, events, CancellationToken::new()).await.expect("started");
    assert!(texts(&again, None, ActivityFilter::default()).await.is_empty());
}

#[tokio::test]
async fn the_end_writes_what_was_told() {
    let (folder, activity, _events, stop) = fresh().await;
    activity.tell(told(1, ActivityKind::Member, "the last word"));
    stop.cancel();
    activity.ended().await;
    let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
    let again = Activity::start(store, Events::new(), CancellationToken::new()).await.expect("started");
    assert_eq!(texts(&again, None, ActivityFilter::default()).await, ["the last word"]);
}
