//! Many within a short time: when at least so many values lie within a span that ends at one of them.

/// Calls `take` with every distinct value at which at least `k` values lie in `value - within ..= value`, and
/// with their number, in rising order. Sorts `values`.
pub fn bursts(values: &mut [i64], k: u64, within: i64, mut take: impl FnMut(i64, u64)) {
    values.sort_unstable();
    let mut from = 0;
    for (at, value) in values.iter().enumerate() {
        // equal values are one moment, told at the last of them
        if values.get(at + 1) == Some(value) {
            continue;
        }
        while values[from] < value.saturating_sub(within) {
            from += 1;
        }
        let held = (at - from + 1) as u64;
        if held >= k {
            take(*value, held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plainly(values: &[i64], k: u64, within: i64) -> Vec<(i64, u64)> {
        let distinct: std::collections::BTreeSet<i64> = values.iter().copied().collect();
        let held = |at: i64| {
            values
                .iter()
                .filter(|value| **value <= at && **value >= at - within)
                .count() as u64
        };
        distinct
            .into_iter()
            .map(|at| (at, held(at)))
            .filter(|(_, held)| *held >= k)
            .collect()
    }

    proptest! {
        #[test]
        fn as_counted_by_hand(values in proptest::collection::vec(-40i64..40, 0..60), k in 1u64..6, within in 0i64..20) {
            let (mut sorted, mut found) = (values.clone(), Vec::new());
            bursts(&mut sorted, k, within, |at, held| found.push((at, held)));
            prop_assert_eq!(found, plainly(&values, k, within));
        }
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let mut found = Vec::new();
        bursts(&mut [i64::MIN, i64::MAX, i64::MIN], 2, i64::MAX, |at, held| {
            found.push((at, held))
        });
        assert_eq!(found, [(i64::MIN, 2)]);
    }
}
