//! The routing table, as a table.

use super::*;

fn id(n: u8) -> DeviceId {
    DeviceId::of_secret(&[n; 32])
}

/// `demo`, `failed` and `embed` in an id make the model so; `hot` makes it loaded.
fn model(id: &str) -> CardModel {
    CardModel {
        id: id.to_owned(),
        engine: "e".to_owned(),
        context_length: None,
        size_bytes: None,
        demo: id.contains("demo"),
        state: match id {
            id if id.contains("failed") => ModelState::Failed,
            id if id.contains("hot") => ModelState::Ready,
            _ => ModelState::Available,
        },
        percent: None,
        reason: None,
        purpose: if id.contains("embed") { Purpose::Embedding } else { Purpose::Chat },
    }
}

fn offer(n: u8, name: &str, rtt_ms: Option<f64>, models: &[&str]) -> Offer {
    Offer {
        device: id(n),
        name: name.to_owned(),
        this_device: n == 1,
        rtt_ms,
        arriving: false,
        reason: "It went to sleep.".to_owned(),
        accepting: Accepting::Available,
        models: models.iter().map(|id| model(id)).collect(),
        queue: QueueLoad::default(),
        machine: None,
        rates: HashMap::new(),
    }
}

fn told(routes: Result<Vec<Route>, RouteError>) -> String {
    match routes {
        Ok(routes) => {
            let texts: Vec<_> = routes.iter().map(|route| format!("{}:{}", route.device_name, route.model)).collect();
            texts.join(" ")
        }
        Err(error) => ControlError::from(error).code_str(),
    }
}

fn network() -> Vec<Offer> {
    vec![
        offer(1, "Here", Some(0.0), &["demo", "both", "failed-here", "embed"]),
        offer(2, "Desk", Some(9.0), &["both", "far", "hot", "failed-here"]),
        offer(3, "Lap", Some(2.0), &["far", "org/far:7b", "demo"]),
        offer(4, "Away", None, &["lost"]),
    ]
}

#[test]
fn a_named_model_runs_here_else_nearest() {
    let network = network();
    for (via, model, expected) in [
        (Via::Auto, "both", "Here:both Desk:both"),
        (Via::Auto, "far", "Lap:far Desk:far"),
        (Via::Auto, "failed-here", "Here:failed-here Desk:failed-here"),
        (Via::Auto, "lost", "model_not_found"),
        (Via::Auto, "", "model_not_found"),
        (Via::Local, "both", "Here:both"),
        (Via::Local, "far", "model_not_found"),
        (Via::Device(id(2)), "far", "Desk:far"),
        (Via::Device(id(2)), "org/far:7b", "model_not_found"),
        (Via::Device(id(4)), "lost", "unreachable"),
        (Via::Device(id(7)), "far", "not_found"),
        (Via::Device(id(1)), "demo", "Here:demo"),
    ] {
        assert_eq!(told(resolve(via, Some(model), &network)), expected, "{via:?} {model}");
    }
}

#[test]
fn a_working_peer_wins_over_a_failed_model_here() {
    let offers = [offer(1, "Here", Some(0.0), &["failed"]), {
        let mut desk = offer(2, "Desk", Some(5.0), &["failed"]);
        desk.models[0].state = ModelState::Ready;
        desk
    }];
    assert_eq!(told(resolve(Via::Auto, Some("failed"), &offers)), "Desk:failed Here:failed");
}

#[test]
fn without_a_model_real_ones_win_over_the_demo() {
    let network = network();
    for (via, expected) in [
        (Via::Auto, "Here:both Desk:hot Lap:far Lap:org/far:7b Desk:both Desk:far Here:demo Lap:demo"),
        (Via::Local, "Here:both Here:demo"),
        (Via::Device(id(3)), "Lap:far Lap:org/far:7b Lap:demo"),
    ] {
        assert_eq!(told(resolve(via, None, &network)), expected, "{via:?}");
    }
    let only_demo = [offer(1, "Here", Some(0.0), &["demo"]), offer(2, "Desk", Some(9.0), &["real"])];
    assert_eq!(told(resolve(Via::Auto, None, &only_demo)), "Desk:real Here:demo");
    let nothing = [offer(1, "Here", Some(0.0), &["embed", "failed"])];
    assert_eq!(told(resolve(Via::Auto, None, &nothing)), "no_model");
    assert_eq!(told(resolve(Via::Local, None, &nothing)), "no_model");
}

#[test]
fn a_busy_device_is_passed_over_and_named() {
    let mut network = network();
    network[2].accepting = Accepting::Busy;
    assert_eq!(told(resolve(Via::Auto, Some("far"), &network)), "Desk:far");
    assert_eq!(
        told(resolve(Via::Device(id(3)), Some("far"), &network)),
        "Lap:far",
        "it tells why and until when itself"
    );
    assert_eq!(told(resolve(Via::Auto, Some("org/far:7b"), &network)), "busy");
    network[0].accepting = Accepting::Busy;
    assert_eq!(told(resolve(Via::Auto, Some("both"), &network)), "Here:both Desk:both", "lending binds others only");
}

#[test]
fn ids_of_the_local_api_name_a_device_or_not() {
    let mut network = network();
    network[2].name = "Sam's / Lap".to_owned();
    for (text, expected) in [
        ("both", "Here:both Desk:both"),
        ("Desk/both", "Desk:both"),
        ("desk/both", "Desk:both"),
        ("Desk/nothing", "model_not_found"),
        ("org/far:7b", "Sam's / Lap:org/far:7b"),
        ("Sam's / Lap/org/far:7b", "Sam's / Lap:org/far:7b"),
        ("Away/lost", "unreachable"),
        ("Nobody/both", "model_not_found"),
        ("Here/demo", "Here:demo"),
        ("/", "model_not_found"),
    ] {
        assert_eq!(told(resolve_id(text, Purpose::Chat, Size::default(), &network)), expected, "{text}");
    }
    let by_id = format!("{}/both", id(2));
    assert_eq!(told(resolve_id(&by_id, Purpose::Chat, Size::default(), &network)), "Desk:both");
    let by_prefix = format!("{}/both", &id(2).to_string()[..10]);
    assert_eq!(told(resolve_id(&by_prefix, Purpose::Chat, Size::default(), &network)), "Desk:both");
    network[0].models.push(model("Desk/both"));
    assert_eq!(
        told(resolve_id("Desk/both", Purpose::Chat, Size::default(), &network)),
        "Here:Desk/both",
        "what is here wins"
    );
}

#[test]
fn the_virtual_model_is_the_best_for_its_purpose() {
    let mut network = network();
    let ask = |text: &str, purpose, network: &[Offer]| told(resolve_id(text, purpose, Size::default(), network));
    assert_eq!(ask("myownllm", Purpose::Chat, &network), told(resolve(Via::Auto, None, &network)));
    assert_eq!(ask("myownllm", Purpose::Embedding, &network), "Here:embed");
    assert_eq!(ask("Lap/myownllm", Purpose::Chat, &network), "Lap:far Lap:org/far:7b Lap:demo");
    assert_eq!(ask("Lap/myownllm", Purpose::Embedding, &network), "no_model");
    network[1].models.push(model("myownllm"));
    assert_eq!(ask("myownllm", Purpose::Chat, &network), "Desk:myownllm", "a real one of this name wins");
    assert_eq!(ask("myownllm", Purpose::Chat, &[]), "no_model");
}

#[test]
fn errors_name_what_there_is() {
    let error = resolve(Via::Auto, Some("gone\u{7}"), &network()).expect_err("unknown").to_string();
    assert!(error.starts_with("No device has a model \"gone\" now. There is both, demo, embed"), "{error}");
    assert!(error.ends_with("more."), "{error}");
    let error = resolve(Via::Device(id(4)), None, &network()).expect_err("away").to_string();
    assert_eq!(error, "Away cannot be reached now. It went to sleep.");
}

#[test]
fn what_the_policy_asks_for_is_named_when_nobody_has_it() {
    let network = network();
    let with = |change: fn(&mut Ask)| {
        let mut ask = Ask::new(Via::Auto, None, RoutePurpose::Chat);
        change(&mut ask);
        resolve_ask(&ask, &network).expect_err("nobody").to_string()
    };
    for (error, what) in [
        (with(|ask| ask.policy.require_gpu = true), "a graphics processor"),
        (with(|ask| ask.policy.require_npu = true), "a neural processor"),
        (with(|ask| ask.policy.family = Some("qwen3\u{7}".to_owned())), "a model of the family \"qwen3\""),
        (with(|ask| ask.purpose = RoutePurpose::Vision), "a model that looks at pictures"),
    ] {
        assert!(error.starts_with("Nothing that can be reached now has what was asked for: "), "{error}");
        assert!(error.contains(what) && error.ends_with("that has it."), "{error}");
    }
    let model = Ask { model: Some("far".to_owned()), ..Ask::new(Via::Local, None, RoutePurpose::Vision) };
    let error = resolve_ask(&model, &network).expect_err("not here");
    assert!(matches!(error, RouteError::NotThere { .. }), "{error}");
}
