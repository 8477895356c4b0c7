use super::*;

fn home() -> NetworkId {
    NetworkId::from_bytes([1; 32])
}

fn device(n: u8) -> DeviceId {
    DeviceId::of_secret(&[n; 32])
}

fn named(text: &str) -> RequestName {
    RequestName::try_from(format!("{text:-<16}")).expect("a name")
}

fn entry(direction: UsageDirection, n: u8, request: &str, tokens: u64) -> Entry {
    Entry {
        direction,
        network: Some(home()),
        device: (device(n), format!("Device {n}")),
        request: named(request),
        model: "chain".to_owned(),
        amount: Amount { tokens, prompt: 3, seconds: 0.5 },
        sure: true,
    }
}

async fn open(path: &std::path::Path) -> Ledger {
    let (store, _) = Store::open(path).expect("opened");
    let lending = Lending::start(store.clone()).await.expect("started");
    Ledger::start(store, lending, Events::new(), CancellationToken::new()).await.expect("started")
}

#[test]
fn only_plain_names_name_a_request() {
    assert_eq!(RequestName::try_from(RequestName::fresh().0.clone()).map(|name| name.0.len()), Ok(16));
    for odd in ["", "short", "with space------", "ünïcödé---------", &"x".repeat(65)] {
        assert_eq!(RequestName::try_from(odd.to_owned()), Err(NoName), "{odd}");
    }
    let mut headers = HeaderMap::new();
    assert_ne!(RequestName::of(&headers), RequestName::of(&headers), "one of our own");
    headers.insert(REQUEST, http::HeaderValue::from_static("0123456789abcdef"));
    assert_eq!(RequestName::of(&headers).as_str(), "0123456789abcdef");
}

#[tokio::test]
async fn what_was_lent_and_borrowed_adds_up() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("device.sqlite");
    let ledger = open(&path).await;
    ledger.tell(entry(UsageDirection::Lent, 1, "a", 5));
    ledger.tell(entry(UsageDirection::Lent, 1, "b", 7));
    ledger.tell(entry(UsageDirection::Lent, 2, "a", 100));
    ledger.tell(entry(UsageDirection::Borrowed, 1, "a", 4));
    // The same name again: what it used before stays used.
    ledger.tell(entry(UsageDirection::Lent, 1, "b", 1));
    ledger.tell(Entry { sure: false, ..entry(UsageDirection::Borrowed, 1, "c", 0) });
    let usage = ledger.usage(Some(home()), 0).await.expect("read");
    let rows: Vec<_> =
        usage.rows.iter().map(|row| (row.direction, &*row.device_name, row.requests, row.tokens)).collect();
    assert_eq!(
        rows,
        [
            (UsageDirection::Lent, "Device 2", 1, 100),
            (UsageDirection::Lent, "Device 1", 2, 13),
            (UsageDirection::Borrowed, "Device 1", 1, 4)
        ]
    );
    assert_eq!((usage.lent.requests, usage.lent.tokens, usage.borrowed.tokens), (3, 113, 4));
    assert!((usage.lent.seconds - 2.0).abs() < 1e-9);
    assert_eq!(ledger.usage(Some(NetworkId::from_bytes([2; 32])), 0).await.expect("read").rows, []);
    assert_eq!(ledger.usage(None, now_ms() + 1000).await.expect("read").rows, []);

    // What was lent today counts after a restart too.
    drop(ledger);
    let ledger = open(&path).await;
    let rules = myownmesh_control::types::LendingRules { tokens_per_day: Some(13), ..Default::default() };
    ledger.lending.set_rules(home(), rules).await.expect("set");
    let guest = |n| crate::lending::Guest {
        network: home(),
        device: device(n),
        name: String::new(),
        model: "chain".to_owned(),
    };
    assert!(ledger.lending.enter(&guest(1)).is_err() && ledger.lending.enter(&guest(3)).is_ok());
    ledger.forget_network(home()).await.expect("forgotten");
    assert_eq!(ledger.usage(None, 0).await.expect("read").rows, []);
}

#[tokio::test]
async fn rows_are_kept_for_400_days() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let folder = tempfile::tempdir().expect("folder");
    let ledger = open(&folder.path().join("device.sqlite")).await;
    let unsure = |request| Entry { sure: false, ..entry(UsageDirection::Borrowed, 1, request, 0) };
    let now = now_ms();
    let entries = vec![
        (now - 401 * DAY, entry(UsageDirection::Lent, 1, "old", 1)),
        (now - 399 * DAY, entry(UsageDirection::Lent, 1, "kept", 2)),
        (now - 8 * DAY, unsure("given-up")),
        (now - 6 * DAY, unsure("open")),
    ];
    ledger.store.call(move |connection| rows::write(connection, &entries, now)).await.expect("written");
    assert_eq!(ledger.usage(None, 0).await.expect("read").lent.tokens, 2);
    assert_eq!(ledger.open(home()).await.expect("read").get(&device(1)), Some(&vec![named("open")]));
}

#[tokio::test]
async fn the_device_that_lent_is_believed_within_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let ledger = open(&folder.path().join("device.sqlite")).await;
    for (request, tokens) in [("a", 4), ("b", 2)] {
        ledger.tell(entry(UsageDirection::Borrowed, 1, request, tokens));
    }
    ledger.tell(Entry { sure: false, ..entry(UsageDirection::Borrowed, 1, "c", 0) });
    ledger.usage(None, 0).await.expect("written");
    let open = ledger.open(home()).await.expect("read");
    assert_eq!(open.get(&device(1)).map(Vec::len), Some(3));
    let counted = |request: &str, tokens, seconds| Counted {
        request: named(request),
        amount: Amount { tokens, prompt: 3, seconds },
    };
    // Of another device, of no request, and numbers that cannot be.
    ledger.agree(device(2), vec![counted("a", 1000, 1.0)]).await.expect("taken");
    let odd = vec![counted("x", 9, 1.0), counted("a", u64::MAX, 1.0), counted("b", 9, f64::NAN), counted("b", 9, -1.0)];
    ledger.agree(device(1), odd).await.expect("taken");
    let usage = ledger.usage(None, 0).await.expect("read");
    assert_eq!((usage.borrowed.requests, usage.borrowed.tokens, usage.rows[0].agreed), (2, 6, false));
    let counts = vec![counted("a", 5, 0.25), counted("b", 2, 0.25), counted("c", 1, 0.25)];
    ledger.agree(device(1), counts).await.expect("taken");
    let usage = ledger.usage(None, 0).await.expect("read");
    assert_eq!((usage.borrowed.requests, usage.borrowed.tokens, usage.rows[0].agreed), (3, 8, true));
    assert!(ledger.open(home()).await.expect("read").is_empty());
    ledger.agree(device(1), vec![counted("a", 900, 0.25)]).await.expect("taken");
    assert_eq!(ledger.usage(None, 0).await.expect("read").borrowed.tokens, 8, "what is agreed stays");
}

#[tokio::test]
async fn a_member_gets_its_own_rows_and_no_others() {
    let folder = tempfile::tempdir().expect("folder");
    let ledger = open(&folder.path().join("device.sqlite")).await;
    ledger.tell(entry(UsageDirection::Lent, 1, "a", 5));
    ledger.tell(entry(UsageDirection::Borrowed, 2, "b", 7));
    let asked = vec![named("a"), named("b"), named("x")];
    assert_eq!(ledger.lent_to(home(), device(2), asked.clone()).await.expect("read"), [], "lent to another one");
    let elsewhere = NetworkId::from_bytes([2; 32]);
    assert_eq!(ledger.lent_to(elsewhere, device(1), asked.clone()).await.expect("read"), [], "in another network");
    assert!(!ledger.usage(None, 0).await.expect("read").rows[1].agreed, "nobody was told");
    let counted = ledger.lent_to(home(), device(1), asked).await.expect("read");
    assert_eq!(counted, [Counted { request: named("a"), amount: Amount { tokens: 5, prompt: 3, seconds: 0.5 } }]);
    let usage = ledger.usage(None, 0).await.expect("read");
    assert!(usage.rows.iter().any(|row| row.direction == UsageDirection::Lent && row.agreed));
}
