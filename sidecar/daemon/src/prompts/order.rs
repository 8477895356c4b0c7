//! Places in a list that devices change without asking each other: each prompt carries a number, the list is sorted by
//! it, and what is put between two others gets a number between theirs. Then one record moves one prompt.

/// Numbers closer than this are spread out before something is put between them. Well above what a number loses on its
/// way through JSON.
const CLOSEST: f64 = 1e-6;
/// Beyond this no more room is made at the ends.
const FARTHEST: f64 = 1e8;

/// Makes room among `orders` (ascending) for a newcomer in front of the one at `at`. Gives its number, and new numbers
/// for as few of the others as there have to be.
pub(super) fn make_room(orders: &[f64], at: usize) -> (f64, Vec<(usize, f64)>) {
    // `first..end` of the others get new numbers beside the newcomer; widened until they fit.
    let (mut first, mut end) = (at, at);
    loop {
        let lower = first.checked_sub(1).and_then(|below| orders.get(below)).copied();
        let upper = orders.get(end).copied();
        if let Some((start, step)) = spread(lower, upper, end - first + 1) {
            return assign(first, end, at, start, step);
        }
        if upper.is_some() && (end - at <= at - first || lower.is_none()) {
            end += 1;
        } else {
            first -= 1;
        }
    }
}

/// The first of `count` numbers above `lower` and below `upper`, and how far they are apart.
fn spread(lower: Option<f64>, upper: Option<f64>, count: usize) -> Option<(f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "a list has far fewer prompts than a number has digits")]
    let count = count as f64;
    match (lower, upper) {
        (None, None) => Some((1.0, 1.0)),
        (Some(lower), None) => (lower < FARTHEST).then_some((lower + 1.0, 1.0)),
        (None, Some(upper)) => (upper > -FARTHEST).then_some((upper - count, 1.0)),
        (Some(lower), Some(upper)) => {
            let step = (upper - lower) / (count + 1.0);
            (step >= CLOSEST).then_some((lower + step, step))
        }
    }
}

fn assign(first: usize, end: usize, at: usize, start: f64, step: f64) -> (f64, Vec<(usize, f64)>) {
    let mut number = start;
    let mut next = || {
        let this = number;
        number += step;
        this
    };
    let mut moved: Vec<(usize, f64)> = (first..at).map(|index| (index, next())).collect();
    let own = next();
    moved.extend((at..end).map(|index| (index, next())));
    (own, moved)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn between_two_others_nobody_moves() {
        assert_eq!(make_room(&[], 0), (1.0, vec![]));
        assert_eq!(make_room(&[1.0, 2.0], 2), (3.0, vec![]));
        assert_eq!(make_room(&[1.0, 2.0], 0), (0.0, vec![]));
        assert_eq!(make_room(&[1.0, 2.0], 1), (1.5, vec![]));
    }

    #[test]
    fn between_equals_as_few_as_needed_move() {
        // Two devices appended at the same time; something is put between the two.
        let (own, moved) = make_room(&[1.0, 2.0, 2.0, 3.0], 2);
        assert_eq!(moved.len(), 1, "{moved:?}");
        assert!(moved[0].0 == 2 && 2.0 < own && own < moved[0].1 && moved[0].1 < 3.0, "{own} {moved:?}");
    }

    #[test]
    fn halving_for_ever_never_runs_out() {
        let mut orders = vec![1.0, 2.0];
        for _ in 0..200 {
            let (own, moved) = make_room(&orders, 1);
            moved.into_iter().for_each(|(index, number)| orders[index] = number);
            orders.insert(1, own);
            assert!(orders.is_sorted_by(|a, b| a < b), "{orders:?}");
        }
    }

    proptest! {
        #[test]
        fn the_newcomer_stands_where_it_was_put(
            mut orders in prop::collection::vec(prop_oneof![-1e9..1e9, 0.0..3.0, Just(1.0), Just(1e9), Just(-1e9)], 0..20),
            place in 0..21_usize,
        ) {
            orders.sort_by(f64::total_cmp);
            let at = place.min(orders.len());
            let (own, moved) = make_room(&orders, at);
            let before = orders.clone();
            moved.into_iter().for_each(|(index, number)| orders[index] = number);
            prop_assert!(orders.is_sorted(), "the others changed places: {before:?} {orders:?}");
            prop_assert!(at == 0 || orders[at - 1] < own, "{orders:?} {own}");
            prop_assert!(at == orders.len() || own < orders[at], "{orders:?} {own}");
        }
    }
}
