//! Who hears of a record, and when two devices compare.

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

use super::*;

/// Devices in the order of their ids.
fn devices(count: u8) -> Vec<DeviceId> {
    let mut devices: Vec<DeviceId> = (1..=count).map(|n| DeviceId::of_secret(&[n; 32])).collect();
    devices.sort_unstable();
    devices
}

struct World {
    spread: Spread,
    devices: Vec<DeviceId>,
    now: Millis,
    rng: StdRng,
}

impl World {
    /// The device at `me` among `count`, nobody linked.
    fn new(me: usize, count: u8) -> Self {
        let devices = devices(count);
        Self { spread: Spread::new(devices[me]), devices, now: 1_000_000, rng: StdRng::seed_from_u64(7) }
    }

    fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.spread.handle(event, self.now, &mut self.rng)
    }

    fn up(&mut self, device: usize) -> Vec<Effect> {
        self.handle(Event::LinkUp(self.devices[device]))
    }

    fn reconcile(&self, device: usize) -> Effect {
        Effect::Reconcile { with: self.devices[device] }
    }

    fn ended(&mut self, device: usize, ok: bool) -> Vec<Effect> {
        self.handle(Event::ReconcileEnded { with: self.devices[device], ok })
    }

    /// Lets time pass until the next deadline.
    fn pass(&mut self) -> Vec<Effect> {
        self.now = self.spread.deadline().expect("something is due").max(self.now);
        self.handle(Event::Tick)
    }
}

fn pushed(effects: &[Effect]) -> Vec<DeviceId> {
    let to = effects.iter().find_map(|effect| match effect {
        Effect::Push { to } => Some(to.clone()),
        Effect::Reconcile { .. } => None,
    });
    to.unwrap_or_default()
}

#[test]
fn the_smaller_id_compares_on_connect_and_the_other_waits() {
    let mut world = World::new(1, 3);
    assert_eq!(world.up(2), [world.reconcile(2)]);
    assert_eq!(world.up(0), [], "the smaller one begins");
    assert_eq!(world.ended(2, true), []);
}

#[test]
fn a_link_that_is_made_anew_is_compared_again() {
    let mut world = World::new(0, 2);
    assert_eq!(world.up(1), [world.reconcile(1)]);
    assert_eq!(world.up(1), [world.reconcile(1)], "the old one went with its link");
    world.handle(Event::LinkDown(world.devices[1]));
    assert_eq!(world.spread.deadline(), None, "nobody is left to compare with");
    assert_eq!(world.ended(1, false), [], "and nothing is retried");
    assert_eq!(world.up(1), [world.reconcile(1)]);
}

#[test]
fn own_records_go_to_everybody_and_others_are_passed_on_to_a_few() {
    let mut world = World::new(0, 20);
    (1..20).for_each(|device| drop(world.up(device)));
    let own = pushed(&world.handle(Event::Added { from: None, urgent: false }));
    assert_eq!(own, world.devices[1..]);
    let from = world.devices[5];
    let passed = pushed(&world.handle(Event::Added { from: Some(from), urgent: false }));
    assert_eq!(passed.len(), FANOUT);
    assert!(!passed.contains(&from));
    let other = pushed(&world.handle(Event::Added { from: Some(from), urgent: false }));
    assert_ne!(passed, other, "not always the same");
    let urgent = pushed(&world.handle(Event::Added { from: Some(from), urgent: true }));
    assert_eq!(urgent.len(), FANOUT_URGENT);
}

#[test]
fn with_nobody_else_nothing_is_pushed() {
    let mut world = World::new(0, 2);
    assert_eq!(world.handle(Event::Added { from: None, urgent: true }), []);
    world.up(1);
    assert_eq!(world.handle(Event::Added { from: Some(world.devices[1]), urgent: true }), []);
}

#[test]
fn a_failed_push_is_repaired_by_either_side_and_a_failed_comparison_is_tried_again_less_and_less_often() {
    let mut world = World::new(1, 2);
    world.up(0);
    let failed = world.handle(Event::PushFailed(world.devices[0]));
    assert_eq!(failed, [world.reconcile(0)]);
    assert_eq!(world.handle(Event::PushFailed(world.devices[0])), [], "one at a time");
    assert_eq!(world.ended(0, true), [world.reconcile(0)], "it may have come too late for the first");
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(world.ended(0, false), []);
        let before = world.now;
        while world.pass().is_empty() {}
        pauses.push(world.now - before);
    }
    assert!(pauses[0] <= RETRY_MS && pauses[3] > RETRY_MS, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= INTERVAL_MS), "{pauses:?}");
}

#[test]
fn now_and_then_somebody_is_compared_with_and_in_time_everybody() {
    let mut world = World::new(5, 6);
    // The greatest id: the others begin when they connect.
    for device in 0..5 {
        assert_eq!(world.up(device), []);
    }
    let mut met = std::collections::BTreeSet::new();
    let begun = world.now;
    for round in 1..=60 {
        for effect in world.pass() {
            let Effect::Reconcile { with } = effect else { panic!("a push of nothing") };
            met.insert(with);
            world.handle(Event::ReconcileEnded { with, ok: true });
        }
        let passed = world.now - begun;
        assert!((INTERVAL_MS * 3 / 4 * (round - 1)..=INTERVAL_MS * 5 / 4 * round).contains(&passed), "{passed}");
    }
    assert_eq!(met.len(), 5);
}

#[test]
fn many_links_at_once_are_compared_a_few_at_a_time_and_spread_out() {
    let mut world = World::new(0, 200);
    let mut begun = 0;
    for device in 1..200 {
        begun += world.up(device).len();
    }
    assert!(begun <= AT_ONCE);
    let start = world.now;
    let mut done = std::collections::BTreeSet::new();
    while done.len() < 199 {
        let busy: Vec<DeviceId> =
            world.spread.peers.iter().filter(|(_, peer)| peer.busy).map(|(device, _)| *device).collect();
        assert!(busy.len() <= AT_ONCE);
        for with in busy {
            done.insert(with);
            world.handle(Event::ReconcileEnded { with, ok: true });
        }
        if world.spread.under_way() == 0 && done.len() < 199 {
            world.pass();
        }
    }
    let took = world.now - start;
    assert!((STAGGER_MS * 100..=STAGGER_MS * 200).contains(&took), "{took}");
}

#[test]
fn a_clock_that_is_set_back_puts_nothing_off() {
    let mut world = World::new(1, 2);
    world.up(0);
    world.now -= 24 * 60 * 60 * 1000;
    world.handle(Event::Tick);
    let due = world.spread.deadline().expect("a time");
    assert!(due <= world.now + INTERVAL_MS * 5 / 4);
}

proptest! {
    /// Whatever happens: comparisons are with linked members that are not busy, and never more than a few at once.
    #[test]
    fn effects_concern_linked_members(events in prop::collection::vec((0u8..7, 0usize..8, any::<bool>(), 0i64..90_000), 0..200)) {
        let mut world = World::new(3, 8);
        let mut linked = std::collections::BTreeSet::new();
        for (kind, device, flag, pause) in events {
            let device = world.devices[device];
            if device == world.devices[3] {
                continue;
            }
            world.now += pause;
            let event = match kind {
                0 | 1 => { linked.insert(device); Event::LinkUp(device) }
                2 => { linked.remove(&device); Event::LinkDown(device) }
                3 => Event::Added { from: flag.then_some(device), urgent: pause % 2 == 0 },
                4 => Event::PushFailed(device),
                5 => Event::ReconcileEnded { with: device, ok: flag },
                _ => Event::Tick,
            };
            for effect in world.handle(event) {
                match effect {
                    Effect::Push { to } => prop_assert!(!to.is_empty() && to.iter().all(|to| linked.contains(to))),
                    Effect::Reconcile { with } => prop_assert!(linked.contains(&with)),
                }
            }
            prop_assert!(world.spread.under_way() <= AT_ONCE);
            prop_assert_eq!(world.spread.deadline().is_some(), !linked.is_empty());
        }
    }
}
