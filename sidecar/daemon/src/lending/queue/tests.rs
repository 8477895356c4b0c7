use proptest::prelude::*;

use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Where a request stands in a list.
fn index(ticket: Ticket) -> usize {
    usize::try_from(ticket).expect("few")
}

/// One place, no limit of members.
fn one(_: u8, _: usize, all: usize) -> bool {
    all < 1
}

#[test]
fn members_take_turns_and_each_keeps_its_order() {
    let mut queue = Queue::new();
    for (ticket, member) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
        queue.enter(ticket, member, "m", at(0.0)).expect("room");
    }
    let mut served = Vec::new();
    let mut now = 0.0;
    while let [ticket] = queue.advance(at(now), one)[..] {
        served.push(ticket);
        let left: Vec<Ticket> = queue.order(at(now), 1).into_iter().map(|(ticket, _)| ticket).collect();
        assert_eq!(left.len(), queue.waiting());
        now += 1.0;
        queue.leave(ticket, at(now));
        assert_eq!(queue.running(), 0);
    }
    assert_eq!(served, [0, 3, 5, 1, 4, 2]);
}

#[test]
fn what_is_told_is_what_comes() {
    let mut queue = Queue::new();
    queue.enter(0, 1, "m", at(0.0)).expect("room");
    queue.advance(at(0.0), one);
    queue.leave(0, at(2.0));
    for (ticket, member) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        queue.enter(ticket, member, "m", at(2.0)).expect("room");
    }
    assert_eq!(queue.advance(at(2.0), one), [1]);
    let order = queue.order(at(3.0), 1);
    assert_eq!(order, [(3, Some(at(1.0))), (2, Some(at(3.0))), (4, Some(at(5.0)))]);
    let wide = queue.order(at(3.0), 2);
    assert_eq!(wide[0].1, Some(at(0.0)), "a place is free");
}

#[test]
fn nothing_measured_nothing_told() {
    let mut queue = Queue::new();
    queue.enter(0, 1, "m", at(0.0)).expect("room");
    queue.enter(1, 2, "m", at(0.0)).expect("room");
    queue.advance(at(0.0), one);
    assert_eq!(queue.order(at(0.0), 1), [(1, None)]);
}

#[test]
fn waiting_earns_nothing_and_nobody_waits_for_old_debts() {
    let mut queue = Queue::new();
    // One member alone for an hour.
    for ticket in 0..3600 {
        queue.enter(ticket, 1, "m", at(0.0) + Duration::from_secs(ticket)).expect("room");
        assert_eq!(queue.advance(Duration::from_secs(ticket), one), [ticket]);
        queue.leave(ticket, Duration::from_secs(ticket + 1));
    }
    let now = at(3600.0);
    for ticket in 0..10 {
        queue.enter(4000 + 2 * ticket, 1, "m", now).expect("room");
        queue.enter(4001 + 2 * ticket, 2, "m", now).expect("room");
    }
    let order: Vec<u64> = queue.order(now, 1).into_iter().map(|(ticket, _)| ticket % 2).collect();
    assert_eq!(order, [0, 1].repeat(10), "both begin at the same place");
}

#[test]
fn it_is_bounded() {
    let mut queue = Queue::new();
    let (mut all, mut ticket) = (0, 0);
    for member in 0..=u8::MAX {
        for turn in 0..=MOST_OF_ONE {
            match queue.enter(ticket, member, "m", at(0.0)) {
                Ok(()) => all += 1,
                Err(Full::Member) => assert_eq!(turn, MOST_OF_ONE),
                Err(Full::All) => assert_eq!(all, MOST_WAITING),
            }
            ticket += 1;
        }
    }
    assert_eq!((all, queue.waiting()), (MOST_WAITING, MOST_WAITING));
    for ticket in 0..ticket {
        queue.leave(ticket, at(0.0));
    }
    assert_eq!((queue.waiting(), queue.running(), queue.shares.len()), (0, 0, 0), "nothing stays behind");
}

#[test]
fn one_greedy_among_four_gets_no_more_than_the_others() {
    // 64 requests: 28 of one member, 12 of each of the others, the greedy one first.
    let mut queue = Queue::new();
    let requests = [(0_u8, 28), (1, 12), (2, 12), (3, 12)];
    let members: Vec<u8> = requests.iter().flat_map(|(member, count)| vec![*member; *count]).collect();
    for (ticket, member) in (0..).zip(&members) {
        queue.enter(ticket, *member, "m", at(0.0)).expect("room");
    }
    let mut served = [0.0; 4];
    let (mut running, mut now): (Vec<(f64, Ticket, f64)>, f64) = (Vec::new(), 0.0);
    let mut ended = 0;
    while queue.waiting() > 0 || !running.is_empty() {
        for ticket in queue.advance(at(now), |_, _, all| all < 4) {
            // Answers of different lengths, the same for all.
            let cost = 1.0 + f64::from(u32::try_from(ticket % 3).expect("small")) / 10.0;
            running.push((now + cost, ticket, cost));
        }
        running.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (end, ticket, cost) = running.remove(0);
        now = end;
        queue.leave(ticket, at(now));
        ended += 1;
        // As long as all four want more.
        if ended <= 44 {
            served[usize::from(members[index(ticket)])] += cost;
        }
    }
    assert_eq!(ended, 64, "nothing is lost");
    let fair = served.iter().sum::<f64>() / 4.0;
    for share in served {
        assert!((share - fair).abs() <= fair * 0.1, "{served:?}");
    }
}

/// What a member does.
#[derive(Clone, Debug)]
struct Step {
    member: u8,
    /// Seconds until the next step.
    gap: f64,
    cost: f64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..4, 0.0..0.3_f64, 0.1..2.0_f64).prop_map(|(member, gap, cost)| Step { member, gap, cost });
    proptest::collection::vec(step, 1..150)
}

proptest! {
    /// Over any time in which two members want more than they get, neither gets more than the other by more than what
    /// is on its way: the bound of start-time fair queueing, with several places.
    #[test]
    fn whoever_wants_more_gets_its_share(steps in steps(), places in 1_u8..5) {
        let (mut queue, many) = (Queue::new(), usize::from(places));
        let mut costs = Vec::new();
        let mut served = [0.0_f64; 4];
        let mut running: Vec<(f64, Ticket)> = Vec::new();
        let (mut next_step, mut arrives) = (0, 0.0);
        // For each pair, what each had when both began to want more.
        let mut since: HashMap<(usize, usize), (f64, f64)> = HashMap::new();
        let mut wants = [0_usize; 4];
        let mut ended = 0;
        while ended < steps.len() {
            running.sort_by(|a, b| a.0.total_cmp(&b.0));
            let ends = running.first().map(|(end, _)| *end);
            let entering = next_step < steps.len() && ends.is_none_or(|end| arrives <= end);
            let now;
            if entering {
                now = arrives;
                let step = &steps[next_step];
                if queue.enter(Ticket::try_from(next_step).expect("few"), step.member, "m", at(now)).is_ok() {
                    wants[usize::from(step.member)] += 1;
                } else {
                    ended += 1;
                }
                costs.push(step.cost);
                arrives = now + step.gap;
                next_step += 1;
            } else {
                let (end, ticket) = running.remove(0);
                now = end;
                queue.leave(ticket, at(now));
                served[usize::from(steps[index(ticket)].member)] += costs[index(ticket)];
                ended += 1;
            }
            let began = queue.advance(at(now), |_, _, all| all < many);
            prop_assert!(queue.running() <= many);
            prop_assert!(queue.waiting() == 0 || queue.running() == many, "no place stays empty");
            for ticket in began {
                wants[usize::from(steps[index(ticket)].member)] -= 1;
                running.push((now + costs[index(ticket)], ticket));
            }
            prop_assert_eq!(queue.waiting(), wants.iter().sum::<usize>());
            prop_assert_eq!(queue.order(at(now), many).len(), queue.waiting());
            for a in 0..4 {
                for b in a + 1..4 {
                    if wants[a] == 0 || wants[b] == 0 {
                        since.remove(&(a, b));
                        continue;
                    }
                    let (from_a, from_b) = *since.entry((a, b)).or_insert((served[a], served[b]));
                    let apart = ((served[a] - from_a) - (served[b] - from_b)).abs();
                    // On its way at the beginning and now, and a share taken on an estimate that was too low.
                    let bound = 2.0 * 2.0 * (f64::from(places) + 1.0);
                    prop_assert!(apart <= bound, "{a} and {b} are {apart} s apart with {places} places");
                }
            }
        }
    }
}
