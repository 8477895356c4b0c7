//! Decisions as a table, each with its reason, and what holds for all of them.

use std::collections::HashMap;

use myownmesh_compute::{ModelState, Purpose};
use myownmesh_control::types::RoutePreference;
use myownmesh_mesh::DeviceId;
use proptest::prelude::*;

use super::machine::Graphics;
use super::rates::{Sample, Timings};
use super::*;
use crate::lending::QueueLoad;

const GB: u64 = 1_000_000_000;

fn id(n: u8) -> DeviceId {
    DeviceId::of_secret(&[n; 32])
}

fn model(id: &str, size: u64, state: ModelState) -> CardModel {
    CardModel {
        id: id.to_owned(),
        engine: "e".to_owned(),
        context_length: Some(8192),
        size_bytes: Some(size),
        percent: None,
        reason: None,
        demo: id.contains("demo"),
        state,
        purpose: if id.contains("embed") { Purpose::Embedding } else { Purpose::Chat },
    }
}

fn plain() -> Machine {
    Machine { threads: 8, ..Machine::default() }
}

fn card() -> Machine {
    Machine { graphics: Some(Graphics::Own), graphics_bytes: 24 << 30, ..plain() }
}

/// Device 1 is this one.
fn offer(n: u8, name: &str, machine: Machine, models: Vec<CardModel>) -> Offer {
    Offer {
        device: id(n),
        name: name.to_owned(),
        this_device: n == 1,
        rtt_ms: Some(if n == 1 { 0.0 } else { f64::from(n) }),
        arriving: false,
        reason: String::new(),
        accepting: Accepting::Available,
        models,
        queue: QueueLoad::default(),
        machine: Some(machine),
        rates: HashMap::new(),
    }
}

fn rate(first_ms: f64, token_ms: f64) -> Rate {
    let mut rate = Rate::default();
    for _ in 0..3 {
        rate.learn(&Sample {
            loaded: true,
            first_ms: Some(first_ms),
            rest_ms: token_ms * 99.0,
            prompt: Some(10),
            expected_prompt: 10.0,
            answer: 100,
            complete: true,
            timings: Some(Timings { prompt_n: 10, prompt_ms: 10.0, predicted_n: 100, predicted_ms: token_ms * 100.0 }),
            ..Sample::default()
        });
    }
    rate
}

fn named(model: &str) -> Ask {
    Ask::new(Via::Auto, Some(model), RoutePurpose::Chat)
}

fn best(purpose: RoutePurpose) -> Ask {
    Ask::new(Via::Auto, None, purpose)
}

/// `DEVICE:MODEL` of each candidate, then `!DEVICE` of those that cannot answer.
fn told(ask: &Ask, offers: &[Offer]) -> String {
    let plan = plan(ask, offers);
    let ranked = plan.ranked.iter().map(|one| format!("{}:{}", one.offer.name, one.model.id));
    let unfit = plan.unfit.iter().map(|one| format!("!{}", one.offer.name));
    ranked.chain(unfit).collect::<Vec<_>>().join(" ")
}

fn reasons(ask: &Ask, offers: &[Offer]) -> Vec<String> {
    let plan = plan(ask, offers);
    let ranked = plan.ranked.iter().map(|one| one.reason.clone());
    ranked.chain(plan.unfit.iter().map(|one| one.reason(ask))).collect()
}

use ModelState::{Available, Failed, Loading, Ready};

/// What it shows, what is asked of whom, the order, and how each reason begins.
type Decision = (&'static str, Ask, Vec<Offer>, &'static str, &'static [&'static str]);

#[test]
fn decisions_have_reasons() {
    let here = |models| offer(1, "Here", plain(), models);
    let desk = |models| offer(2, "Desk", card(), models);
    let lap = |models| offer(3, "Lap", plain(), models);
    let m = |state| vec![model("m", 5 * GB, state)];
    let mut busy = lap(m(Ready));
    busy.accepting = Accepting::Busy;
    let mut away = lap(m(Ready));
    (away.rtt_ms, away.reason) = (None, "It went to sleep.".to_owned());
    let mut queued = desk(m(Ready));
    queued.queue = QueueLoad { running: 1, waiting: 3, wait_ms: 90_000 };
    let mut battery = lap(m(Ready));
    battery.machine = Some(Machine { on_battery: true, ..plain() });
    let table: Vec<Decision> = vec![
        (
            "the fast one wins although this device has it",
            named("m"),
            vec![here(m(Ready)), desk(m(Ready))],
            "Desk:m Here:m",
            &["It is the soonest: about ", "It is later: about "],
        ),
        (
            "equals: this device",
            named("m"),
            vec![lap(m(Ready)), here(m(Ready))],
            "Here:m Lap:m",
            &["It is this device, and no other is noticeably sooner.", "It is "],
        ),
        (
            "loading is told",
            named("m"),
            vec![here(m(Available)), lap(m(Ready))],
            "Lap:m Here:m",
            &["It is the soonest", "It is later: about 66 s against 56 s, 9.6 s of it for loading its model."],
        ),
        (
            "a long queue loses",
            named("m"),
            vec![here(m(Ready)), queued],
            "Here:m Desk:m",
            &["It is this device", "It is later: about 96 s against 56 s, 90 s of it for waiting for others."],
        ),
        (
            "busy and away are told",
            named("m"),
            vec![here(m(Ready)), busy, away],
            "Here:m !Lap !Lap",
            &[
                "Nothing else can answer.",
                "It is not accepting requests now.",
                "It cannot be reached now. It went to sleep.",
            ],
        ),
        (
            "a battery counts",
            named("m"),
            vec![battery, offer(4, "Board", plain(), m(Ready))],
            "Board:m Lap:m",
            &["It is ", "It is another device and draws from its battery"],
        ),
        (
            "the largest that is fast enough",
            best(RoutePurpose::Chat),
            vec![here(vec![model("small", GB / 2, Ready)]), desk(vec![model("large", 12 * GB, Ready)])],
            "Desk:large Here:small",
            &["It is the largest model that answers as fast as people read.", "Its model is smaller"],
        ),
        (
            "one that is too slow is not better for being large",
            best(RoutePurpose::Chat),
            vec![here(vec![model("small", GB / 2, Ready), model("large", 20 * GB, Ready)])],
            "Here:small Here:large",
            &["It is the largest model that", "It writes slower than people read."],
        ),
        (
            "the demo comes last",
            best(RoutePurpose::Chat),
            vec![here(vec![model("demo", 3_000_000, Ready)]), lap(m(Available))],
            "Lap:m Here:demo",
            &["Besides it there is only the demo", "It is the demo"],
        ),
        (
            "made for code",
            best(RoutePurpose::Code),
            vec![here(vec![model("llama", 2 * GB, Ready), model("qwen2.5-coder", 2 * GB, Available)])],
            "Here:qwen2.5-coder Here:llama",
            &["It is made for this purpose.", "It is not made for this purpose."],
        ),
        (
            "pictures and vectors",
            best(RoutePurpose::Vision),
            vec![
                here(vec![model("llama", GB, Ready), model("embed", GB, Ready)]),
                lap(vec![model("llava", GB, Ready)]),
            ],
            "Lap:llava !Here",
            &["Nothing else can answer.", "It has no model for this purpose."],
        ),
        (
            "a failed one is the last hope",
            named("m"),
            vec![here(m(Failed)), lap(m(Loading))],
            "Lap:m Here:m",
            &["The others have failed.", "Its model has failed."],
        ),
    ];
    for (what, ask, offers, order, why) in table {
        assert_eq!(told(&ask, &offers), order, "{what}");
        let reasons = reasons(&ask, &offers);
        assert_eq!(reasons.len(), why.len(), "{what}: {reasons:?}");
        for (reason, begin) in reasons.iter().zip(why) {
            assert!(reason.starts_with(begin), "{what}: {reasons:?}");
        }
    }
}

#[test]
fn policies_choose_and_exclude() {
    let m = || vec![model("qwen3-8b", 5 * GB, Ready)];
    let other = Machine { npu: true, ..plain() };
    let offers = [
        offer(1, "Here", plain(), m()),
        offer(2, "Desk", card(), m()),
        offer(3, "Lap", other, vec![model("llama", GB, Ready)]),
    ];
    let with = |change: fn(&mut RoutePolicy)| {
        let mut ask = best(RoutePurpose::Chat);
        change(&mut ask.policy);
        ask
    };
    for (ask, order) in [
        (with(|policy| policy.prefer = Some(RoutePreference::Here)), "Here:qwen3-8b Desk:qwen3-8b Lap:llama"),
        (with(|policy| policy.prefer = Some(RoutePreference::Others)), "Desk:qwen3-8b Lap:llama Here:qwen3-8b"),
        (with(|policy| policy.require_gpu = true), "Desk:qwen3-8b !Here !Lap"),
        (with(|policy| policy.require_npu = true), "Lap:llama !Here !Desk"),
        (with(|policy| policy.family = Some("Qwen3".to_owned())), "Desk:qwen3-8b Here:qwen3-8b !Lap"),
        (Ask { via: Via::Local, ..best(RoutePurpose::Chat) }, "Here:qwen3-8b !Desk !Lap"),
        (Ask { via: Via::Device(id(3)), ..best(RoutePurpose::Chat) }, "Lap:llama !Here !Desk"),
    ] {
        assert_eq!(told(&ask, &offers), order, "{ask:?}");
    }
    let family = with(|policy| policy.family = Some("Qwen3".to_owned()));
    assert_eq!(reasons(&family, &offers)[2], "It has no model of the family Qwen3.");
    let npu = with(|policy| policy.require_npu = true);
    assert!(reasons(&npu, &offers)[1].starts_with("It has no neural processor"), "{:?}", reasons(&npu, &offers));
}

#[test]
fn what_was_measured_counts_more_than_what_was_assumed() {
    let m = || vec![model("m", GB, Ready)];
    let mut offers = [offer(2, "Slow", card(), m()), offer(3, "Fast", plain(), m())];
    assert_eq!(told(&named("m"), &offers), "Slow:m Fast:m", "by hardware");
    offers[0].rates.insert("m".to_owned(), rate(900.0, 80.0));
    offers[1].rates.insert("m".to_owned(), rate(90.0, 8.0));
    assert_eq!(told(&named("m"), &offers), "Fast:m Slow:m", "by measure");
    let plan = plan(&named("m"), &offers);
    let prediction = plan.ranked[0].prediction.expect("measured");
    assert!((prediction.first_ms - 103.5).abs() < 5.0, "{prediction:?}");
    assert!((prediction.total_ms - (103.5 + 99.0 * 8.0)).abs() < 10.0, "{prediction:?}");
    assert!((prediction.confidence - 0.6).abs() < 1e-9, "{prediction:?}");
    assert!(!plan.ranked[0].reason.contains("Estimated"), "{}", plan.ranked[0].reason);
}

fn any_state() -> impl Strategy<Value = ModelState> {
    prop_oneof![Just(Available), Just(Loading), Just(Ready), Just(Failed), Just(ModelState::Downloading)]
}

fn any_model() -> impl Strategy<Value = CardModel> {
    let ids =
        prop_oneof![Just("m"), Just("qwen3-8b"), Just("qwen2.5-coder"), Just("llava"), Just("embed"), Just("demo")];
    (ids, any_state(), proptest::option::of(1_u64..40_000_000_000), proptest::option::of(1_u32..100_000)).prop_map(
        |(id, state, size, context_length)| CardModel { size_bytes: size, context_length, ..model(id, 0, state) },
    )
}

fn any_machine() -> impl Strategy<Value = Option<Machine>> {
    let graphics =
        proptest::option::of(prop_oneof![Just(Graphics::Own), Just(Graphics::Unified), Just(Graphics::Shared)]);
    let machine = (0_u32..64, graphics, 0_u64..1 << 36, any::<bool>(), any::<bool>()).prop_map(
        |(threads, graphics, graphics_bytes, npu, on_battery)| Machine {
            threads,
            graphics,
            graphics_bytes,
            npu,
            on_battery,
        },
    );
    proptest::option::of(machine)
}

prop_compose! {
    fn any_offer(n: u8)(
        models in proptest::collection::vec(any_model(), 0..5),
        machine in any_machine(),
        rtt in proptest::option::of(0.0..500.0),
        accepting in prop_oneof![Just(Accepting::Available), Just(Accepting::Limited), Just(Accepting::Busy)],
        waiting in 0_u32..50,
        wait_ms in 0_u64..100_000,
        measured in proptest::option::of((0.0..10_000.0, 0.0..1_000.0)),
    ) -> Offer {
        let rates = measured.map(|(first, token)| ("m".to_owned(), rate(first, token))).into_iter().collect();
        Offer {
            rtt_ms: if n == 1 { Some(0.0) } else { rtt },
            accepting,
            queue: QueueLoad { running: 1, waiting, wait_ms },
            machine,
            rates,
            ..offer(n, &format!("D{n}"), Machine::default(), models)
        }
    }
}

prop_compose! {
    fn any_ask()(
        via in prop_oneof![Just(Via::Auto), Just(Via::Local), (1_u8..5).prop_map(|n| Via::Device(id(n)))],
        model in proptest::option::of(prop_oneof![Just("m"), Just("qwen3-8b")]),
        purpose in prop_oneof![
            Just(RoutePurpose::Chat), Just(RoutePurpose::Code), Just(RoutePurpose::Summarise),
            Just(RoutePurpose::Vision), Just(RoutePurpose::Embeddings)
        ],
        prefer in proptest::option::of(prop_oneof![Just(RoutePreference::Here), Just(RoutePreference::Others)]),
        require_gpu in any::<bool>(),
        require_npu in any::<bool>(),
        family in proptest::option::of(prop_oneof![Just("qwen".to_owned()), Just("M".to_owned())]),
        prompt_bytes in 0_usize..100_000,
        max_tokens in proptest::option::of(1_u32..100_000),
    ) -> Ask {
        Ask {
            via,
            model: model.map(str::to_owned),
            purpose,
            policy: RoutePolicy { prefer, require_gpu, require_npu, family },
            size: Size { prompt_bytes, max_tokens },
        }
    }
}

/// Whether a candidate can run, put down anew from what the issue of routing says.
fn can_run(ask: &Ask, offer: &Offer, model: &CardModel) -> bool {
    let machine = offer.machine.unwrap_or_default();
    let asked = match ask.via {
        Via::Auto => true,
        Via::Local => offer.this_device,
        Via::Device(device) => offer.device == device,
    };
    let purpose = match ask.purpose {
        RoutePurpose::Embeddings => model.id == "embed",
        RoutePurpose::Vision => model.id == "llava",
        _ => model.id != "embed",
    };
    let by_model = match &ask.model {
        Some(named) => model.id == *named,
        None => purpose && model.state != Failed,
    };
    let family = ask.policy.family.as_ref().is_none_or(|family| model.id.starts_with(&family.to_lowercase()));
    asked
        && model.is_here()
        && by_model
        && family
        && offer.rtt_ms.is_some()
        && (offer.this_device || offer.accepting != Accepting::Busy || ask.via == Via::Device(offer.device))
        && (!ask.policy.require_gpu || machine.graphics.is_some())
        && (!ask.policy.require_npu || machine.npu)
}

proptest! {
    #[test]
    fn only_what_can_run_is_chosen_and_the_rest_is_explained(
        ask in any_ask(),
        offers in (any_offer(1), any_offer(2), any_offer(3), any_offer(4)).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
    ) {
        let plan = plan(&ask, &offers);
        let mut count = 0;
        for offer in &offers {
            count += offer.models.iter().filter(|model| can_run(&ask, offer, model)).count();
            let named = plan.ranked.iter().any(|one| one.offer.device == offer.device)
                || plan.unfit.iter().any(|one| one.offer.device == offer.device);
            prop_assert!(named, "{} is not explained", offer.name);
        }
        prop_assert_eq!(plan.ranked.len(), count);
        for one in &plan.ranked {
            prop_assert!(can_run(&ask, one.offer, one.model), "{}:{}", one.offer.name, one.model.id);
            prop_assert!(one.reason.ends_with('.'), "{}", one.reason);
            if let Some(told) = one.prediction {
                prop_assert!(told.first_ms.is_finite() && told.first_ms >= 0.0 && told.total_ms >= told.first_ms);
            }
        }
        // A failed model is asked only when no other has it.
        let failed = plan.ranked.iter().position(|one| one.model.state == Failed).unwrap_or(usize::MAX);
        prop_assert!(plan.ranked.iter().skip(failed).all(|one| one.model.state == Failed));
        prop_assert!(plan.unfit.iter().all(|one| one.reason(&ask).ends_with('.')));
    }

    #[test]
    fn the_order_is_total_and_does_not_depend_on_who_came_first(
        ask in any_ask(),
        offers in (any_offer(1), any_offer(2), any_offer(3), any_offer(4)).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
    ) {
        let listed = |plan: &Plan<'_>| -> Vec<(DeviceId, String)> {
            plan.ranked.iter().map(|one| (one.offer.device, one.model.id.clone())).collect()
        };
        let forward = plan(&ask, &offers);
        let mut turned = offers.clone();
        turned.reverse();
        let backward = plan(&ask, &turned);
        prop_assert_eq!(listed(&forward), listed(&backward));
        let standing = |at: usize| {
            let one: &Candidate<'_> = &forward.ranked[at];
            (one.offer, one.model, &one.rank)
        };
        for later in 1..forward.ranked.len() {
            for sooner in 0..later {
                prop_assert!(order::compare(standing(sooner), standing(later)).is_le());
                prop_assert!(order::compare(standing(later), standing(sooner)).is_ge());
            }
        }
    }
}
