use std::path::Path;

use myownmesh_control::types::LendingHours;

use super::*;

fn home() -> NetworkId {
    NetworkId::from_bytes([1; 32])
}

fn device(n: u8) -> DeviceId {
    DeviceId::of_secret(&[n; 32])
}

fn guest(n: u8) -> Guest {
    Guest { network: home(), device: device(n), name: format!("Guest {n}"), model: "chain".to_owned() }
}

async fn open(path: &Path) -> Lending {
    let (store, _) = Store::open(path).expect("opened");
    let lending = Lending::start(store).await.expect("started");
    lending.called("Desk");
    lending
}

async fn go(waiting: &mut Waiting) -> Permit {
    loop {
        if let Turn::Go(permit) = waiting.next().await.expect("served") {
            return permit;
        }
    }
}

async fn queued(waiting: &mut Waiting) -> u32 {
    match waiting.next().await.expect("it waits") {
        Turn::Queued { ahead, .. } => ahead,
        Turn::Go(_) => panic!("served at once"),
    }
}

async fn served(lending: &Lending, n: u8) -> (Waiting, Permit) {
    let mut waiting = lending.enter(&guest(n)).expect("a place");
    let permit = go(&mut waiting).await;
    (waiting, permit)
}

#[tokio::test]
async fn policy_rules_and_pause_are_kept_and_obeyed() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("device.sqlite");
    let lending = open(&path).await;
    for accepting in [Accepting::Available, Accepting::Limited, Accepting::Busy] {
        assert_eq!(rows::parse(rows::name(accepting)), Some(accepting));
        lending.set(home(), accepting).await.expect("set");
    }
    let refusal = lending.enter(&guest(1)).err().expect("busy");
    assert_eq!(refusal, Refusal::busy("Desk"));
    let elsewhere = Guest { network: NetworkId::from_bytes([2; 32]), ..guest(1) };
    drop(go(&mut lending.enter(&elsewhere).expect("another network, another policy")).await);
    lending.set(home(), Accepting::Limited).await.expect("set");
    let rules = LendingRules { models: Some(vec!["chain".to_owned()]), ..LendingRules::default() };
    lending.set_rules(home(), rules.clone()).await.expect("set");
    let member = MemberRules { device_id: device(1).to_string(), concurrent: Some(1), ..MemberRules::default() };
    lending.set_member(home(), device(1), member.clone()).await.expect("set");
    let pause = lending.pause(Some(3600), false).await.expect("paused");
    drop(lending);
    let lending = open(&path).await;
    let shown = lending.show(home());
    assert_eq!((shown.accepting, shown.rules, shown.members), (Accepting::Limited, rules, vec![member]));
    assert_eq!(shown.pause, Some(pause));
    assert_eq!(lending.accepting(home()), Accepting::Busy, "that is what others are told");
    assert!(shown.closed.expect("closed").starts_with("Lending is paused for "));
    assert!(lending.resume().await.expect("resumed"));
    assert_eq!((lending.accepting(home()), lending.policy(None)), (Accepting::Limited, Accepting::Available));
    assert!(!lending.lends(home(), "other"));
    lending.set_member(home(), device(1), MemberRules::default()).await.expect("set");
    assert_eq!(lending.show(home()).members, []);
    lending.forget_network(home()).await.expect("forgotten");
    assert_eq!(lending.show(home()).rules, LendingRules::default());
}

#[tokio::test]
async fn who_does_not_fit_waits_and_is_told_how_many_go_first() {
    let folder = tempfile::tempdir().expect("folder");
    let lending = open(&folder.path().join("device.sqlite")).await;
    lending.set(home(), Accepting::Limited).await.expect("set");
    let (_, first) = served(&lending, 1).await;
    let mut second = lending.enter(&guest(1)).expect("it waits");
    let mut third = lending.enter(&guest(2)).expect("it waits");
    assert_eq!(queued(&mut third).await, 0, "another member goes before more of the same");
    assert_eq!(queued(&mut second).await, 1);
    let shown = lending.show(home());
    let names = |list: &[myownmesh_control::types::LentRequest]| {
        list.iter().map(|request| request.device_name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&shown.running), names(&shown.waiting)),
        (vec!["Guest 1".into()], vec!["Guest 2".into(), "Guest 1".into()])
    );
    assert_eq!((lending.load().running, lending.load().waiting), (1, 2));
    drop(third);
    assert_eq!(queued(&mut second).await, 0, "one has given up");
    drop(first);
    drop(go(&mut second).await);
    assert!(lending.show(home()).running.is_empty());
}

#[tokio::test]
async fn members_and_networks_have_their_own_limits() {
    let folder = tempfile::tempdir().expect("folder");
    let lending = open(&folder.path().join("device.sqlite")).await;
    lending.set_rules(home(), LendingRules { concurrent: Some(3), ..LendingRules::default() }).await.expect("set");
    let rules = MemberRules { concurrent: Some(1), ..MemberRules::default() };
    lending.set_member(home(), device(1), rules).await.expect("set");
    let (_, first) = served(&lending, 1).await;
    let mut second = lending.enter(&guest(1)).expect("it waits");
    queued(&mut second).await;
    let held = (served(&lending, 2).await, served(&lending, 2).await);
    let mut third = lending.enter(&guest(3)).expect("it waits");
    queued(&mut third).await;
    drop(first);
    drop(go(&mut second).await);
    drop(go(&mut third).await);
    drop(held);
}

#[tokio::test]
async fn the_owner_goes_first() {
    let folder = tempfile::tempdir().expect("folder");
    let lending = open(&folder.path().join("device.sqlite")).await;
    lending.set_rules(home(), LendingRules { concurrent: Some(1), ..LendingRules::default() }).await.expect("set");
    let (_, running) = served(&lending, 1).await;
    let own = lending.own();
    let mut waiting = lending.enter(&guest(2)).expect("it waits");
    queued(&mut waiting).await;
    drop(running);
    assert!(lending.show(home()).running.is_empty(), "the place is the owner's");
    drop(own);
    drop(go(&mut waiting).await);

    let rules = LendingRules { owner_stops_guests: true, ..LendingRules::default() };
    lending.set_rules(home(), rules).await.expect("set");
    let (_, running) = served(&lending, 1).await;
    let own = lending.own();
    assert!(running.ended().await.to_string().starts_with("The owner of Desk uses it now"), "told why");
    drop((own, running));

    let rules = LendingRules { only_idle: true, ..LendingRules::default() };
    lending.set_rules(home(), rules).await.expect("set");
    let own = lending.own();
    assert_eq!(lending.accepting(home()), Accepting::Busy);
    assert!(lending.enter(&guest(1)).is_err_and(|refusal| refusal.to_string().contains("while nobody uses it")));
    drop(own);
    served(&lending, 1).await;
}

#[tokio::test]
async fn on_battery_it_lends_only_where_nobody_minds() {
    let folder = tempfile::tempdir().expect("folder");
    let lending = open(&folder.path().join("device.sqlite")).await;
    let around = |on_mains, loaded| {
        lending.alter(|state, _| (state.around.on_mains, state.around.loaded) = (on_mains, loaded));
    };
    around(false, true);
    served(&lending, 1).await;
    let rules = LendingRules { only_mains: true, ..LendingRules::default() };
    lending.set_rules(home(), rules).await.expect("set");
    let refusal = lending.enter(&guest(1)).err().expect("on its battery").to_string();
    assert!(refusal.starts_with("Desk lends only on mains power and runs on its battery."), "{refusal}");
    assert_eq!(
        lending.show(home()).closed.as_deref(),
        Some("This device lends only on mains power, and it runs on its battery.")
    );
    around(true, true);
    served(&lending, 1).await;
    lending.set_rules(home(), LendingRules { only_idle: true, ..LendingRules::default() }).await.expect("set");
    assert!(lending.enter(&guest(1)).is_err(), "its processor is busy");
    around(true, false);
    served(&lending, 1).await;
}

#[tokio::test]
async fn a_pause_lets_end_or_cuts_and_ends_by_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let lending = open(&folder.path().join("device.sqlite")).await;
    let changed = tokio::spawn({
        let lending = lending.clone();
        async move { lending.policy_changed(Some(home()), Accepting::Available).await }
    });
    lending.set(home(), Accepting::Limited).await.expect("set");
    changed.await.expect("told");
    let mut openings = lending.watch();
    let (_, running) = served(&lending, 1).await;
    let mut waiting = lending.enter(&guest(2)).expect("it waits");
    queued(&mut waiting).await;
    lending.pause(None, false).await.expect("paused");
    let refusal = waiting.next().await.expect_err("no longer");
    assert_eq!(refusal.to_string(), "Desk has paused lending. Ask its owner, or choose another device.");
    assert_eq!(lending.accepting(home()), Accepting::Busy, "others are told");
    assert!(tokio::time::timeout(Duration::from_millis(20), running.ended()).await.is_err(), "it may end");
    lending.pause(Some(1), true).await.expect("paused");
    let cut = running.ended().await.to_string();
    assert!(cut.starts_with("Desk has paused lending, which ended this answer."), "{cut}");
    drop(running);
    assert!(lending.enter(&guest(1)).is_err());
    let keeping = tokio::spawn({
        let lending = lending.clone();
        async move { lending.keep().await }
    });
    let over = async {
        while lending.show(home()).pause.is_some() {
            openings.changed().await.expect("it lives");
        }
    };
    tokio::time::timeout(Duration::from_secs(10), over).await.expect("it ends by itself");
    assert_eq!(lending.accepting(home()), Accepting::Limited);
    served(&lending, 1).await;
    keeping.abort();
}

#[tokio::test]
async fn tokens_of_a_day_and_hours_close_for_who_waits_too() {
    let folder = tempfile::tempdir().expect("folder");
    let lending = open(&folder.path().join("device.sqlite")).await;
    let rules = LendingRules { concurrent: Some(1), tokens_per_day: Some(10), ..LendingRules::default() };
    lending.set_rules(home(), rules.clone()).await.expect("set");
    let (_, running) = served(&lending, 1).await;
    let mut waiting = lending.enter(&guest(1)).expect("it waits");
    queued(&mut waiting).await;
    lending.count(home(), device(1), 9);
    lending.count(home(), device(2), 100);
    lending.count(home(), device(1), 1);
    let refusal = waiting.next().await.expect_err("used").to_string();
    assert!(refusal.starts_with("This device has used the 10 tokens that Desk lends it in a day."), "{refusal}");
    drop(running);
    served(&lending, 3).await;
    let ahead = lending.state.borrow().around.clock_ahead;
    let minute = u16::try_from((now_ms() + ahead).div_euclid(60_000).rem_euclid(1440)).expect("of a day");
    // Closed for the next hours, whatever the time is.
    let hours = Some(LendingHours { from: (minute + 300) % 1440, to: (minute + 600) % 1440 });
    lending.set_rules(home(), LendingRules { hours, ..rules }).await.expect("set");
    let refusal = lending.enter(&guest(3)).err().expect("closed").to_string();
    assert!(refusal.starts_with("Desk lends from "), "{refusal}");
    assert!(lending.midnight() <= now_ms() && now_ms() - lending.midnight() < 24 * 60 * 60 * 1000);
}
