//! The gate: which counts of a share are shown, block by block.
//!
//! A block is one county's counts of one period with their totals. Whoever attacks it is taken to know every other
//! county's rows and everything that was ever published, so that blocks are decided each for itself, on what was
//! published of them before. A count that did not change since keeps its decision. Where a change cannot be shown
//! without giving a hidden count away, the block stays as it was published.

use std::collections::{BTreeMap, BTreeSet};

use crate::protect::suppress::{Count, Exposed, State, Sum, Table};

/// What tells a count from the others of its block; `None` for all values of a column.
pub type Key = Vec<Option<String>>;

/// One county's counts of one period: rows that are absent count nothing.
pub type Counts = BTreeMap<Key, u64>;

/// A count as it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Its value.
    pub value: u64,
    /// Whether it was hidden.
    pub hidden: bool,
}

/// A block as it was published once.
pub type Epoch = BTreeMap<Key, Decided>;

/// What becomes of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It says what it said.
    Same,
    /// It is published anew.
    Anew(Epoch),
    /// It changed, and stays as it was published: the change would give a hidden count away.
    Stays,
}

/// What another share says of the calls of a block: each of them is in one count of one of its days.
#[derive(Debug)]
pub struct Around<'a> {
    /// The publications of each day, oldest first.
    pub days: BTreeMap<i32, &'a [Epoch]>,
    /// The totals of a day.
    pub totals: &'a [Vec<usize>],
    /// For each column of a day its place among the columns of the block.
    pub columns: &'a [usize],
}

/// The counts of a block with its totals: `totals` are the places of the columns that each is taken over.
pub fn with_totals(rows: &Counts, totals: &[Vec<usize>]) -> Counts {
    let mut all = rows.clone();
    for over in totals {
        for (key, value) in rows {
            *all.entry(summed(key, over)).or_insert(0) += value;
        }
    }
    all
}

fn summed(key: &Key, over: &[usize]) -> Key {
    let part = |(at, value): (usize, &Option<String>)| value.clone().filter(|_| !over.contains(&at));
    key.iter().enumerate().map(part).collect()
}

/// Decides a block, given how it was published before, oldest first, and what else its readers have.
pub fn decide(
    counts: &Counts,
    totals: &[Vec<usize>],
    before: &[Epoch],
    around: Option<&Around<'_>>,
    k: u64,
) -> Verdict {
    if let Some(last) = before.last()
        && last.len() == counts.len()
        && last
            .iter()
            .all(|(key, decided)| counts.get(key) == Some(&decided.value))
    {
        return Verdict::Same;
    }
    let mut known = Known::default();
    for epoch in before {
        known.published(epoch, totals);
    }
    let decided = known.now(counts, totals, before.last(), k);
    if let Some(around) = around {
        known.among(counts, !totals.is_empty(), around, k);
    }
    match known.table.protect(k) {
        Ok(()) if decided => Verdict::Anew(
            counts
                .iter()
                .map(|(key, value)| {
                    let hidden = known.state(key, *value) == State::Hidden;
                    (key.clone(), Decided { value: *value, hidden })
                })
                .collect(),
        ),
        _ => Verdict::Stays,
    }
}

/// The hidden counts that the publications of a block give away to fewer than k values, and those of the days around
/// it that they give away with it.
pub fn exposed(epochs: &[Epoch], totals: &[Vec<usize>], around: Option<&Around<'_>>, k: u64) -> Vec<Exposed> {
    let mut known = Known::default();
    for epoch in epochs {
        known.published(epoch, totals);
    }
    if let (Some(around), Some(last)) = (around, epochs.last()) {
        known.among(&values(last), !totals.is_empty(), around, k);
    }
    known.table.exposed(k)
}

fn values(epoch: &Epoch) -> Counts {
    epoch
        .iter()
        .map(|(key, decided)| (key.clone(), decided.value))
        .collect()
}

/// Everything that an attacker has of a block: a count that was published twice with one value is one count, since
/// he may know that it did not change.
#[derive(Default)]
struct Known {
    table: Table,
    at: BTreeMap<(Option<i32>, Key, u64), usize>,
    /// The day whose counts are placed, where they are those around the block.
    day: Option<i32>,
}

impl Known {
    fn published(&mut self, epoch: &Epoch, totals: &[Vec<usize>]) {
        for (key, decided) in epoch {
            let state = if decided.hidden { State::Hidden } else { State::Shown };
            let at = self.place(key, decided.value, state);
            // shown once is shown for good
            if state == State::Shown {
                self.table.counts[at].state = State::Shown;
            }
        }
        self.tie(&values(epoch), totals);
    }

    /// Ties the block's counts to those of the days around it: what the days count besides is the rest, which nobody
    /// is told. Days that were left as they once were, and count less than the block, say nothing of it.
    fn among(&mut self, counts: &Counts, has_totals: bool, around: &Around<'_>, k: u64) {
        let mut sums: BTreeMap<Key, (Vec<usize>, u64, u64)> = BTreeMap::new();
        for (key, value) in counts.iter().filter(|(key, _)| key.iter().all(Option::is_some)) {
            let outer = around.columns.iter().map(|at| key[*at].clone()).collect();
            let (parts, inner, _) = sums.entry(outer).or_default();
            parts.push(self.at[&(None, key.clone(), *value)]);
            *inner += value;
        }
        let last = |epochs: &&[Epoch]| epochs.last().map(values).unwrap_or_default();
        let days: Vec<(i32, Counts)> = around.days.iter().map(|(day, epochs)| (*day, last(epochs))).collect();
        for (key, value) in days.iter().flat_map(|(_, counts)| counts) {
            if let Some((_, _, outer)) = sums.get_mut(key) {
                *outer += value;
            }
        }
        sums.retain(|_, (_, inner, outer)| inner <= outer);
        // counts without totals that can grow by k each are bound by nothing
        if !has_totals && sums.values().all(|(_, inner, outer)| outer - inner >= k) {
            return;
        }
        for (day, epochs) in &around.days {
            self.day = Some(*day);
            epochs.iter().for_each(|epoch| self.published(epoch, around.totals));
        }
        self.day = None;
        for (key, (mut parts, inner, outer)) in sums {
            let mut rest = |value| {
                self.table.counts.push(Count {
                    value,
                    least: 0,
                    state: State::Rest,
                });
                self.table.counts.len() - 1
            };
            let (total, left) = (rest(outer), rest(outer - inner));
            parts.push(left);
            let of_days = days
                .iter()
                .filter_map(|(day, counts)| Some(self.at[&(Some(*day), key.clone(), *counts.get(&key)?)]));
            let of_days = of_days.collect();
            self.table.sums.push(Sum { total, parts });
            self.table.sums.push(Sum { total, parts: of_days });
        }
    }

    /// The counts of now: one that was decided before stays shown or hidden, whatever it is now. `false` where one
    /// that was shown has become too small for it.
    fn now(&mut self, counts: &Counts, totals: &[Vec<usize>], last: Option<&Epoch>, k: u64) -> bool {
        let mut decided = true;
        for (key, value) in counts {
            let before = last.and_then(|last| last.get(key));
            let state = match before {
                None => State::Open,
                Some(before) if before.hidden => State::Hidden,
                Some(before) => {
                    decided &= before.value == *value || *value >= k;
                    State::Shown
                }
            };
            self.place(key, *value, state);
        }
        self.tie(counts, totals);
        decided
    }

    fn place(&mut self, key: &Key, value: u64, state: State) -> usize {
        let counts = &mut self.table.counts;
        *self.at.entry((self.day, key.clone(), value)).or_insert_with(|| {
            // a row that is there counts one at least
            counts.push(Count { value, least: 1, state });
            counts.len() - 1
        })
    }

    /// The sums of one publication.
    fn tie(&mut self, counts: &Counts, totals: &[Vec<usize>]) {
        let place = |key: &Key| counts.get(key).map(|value| self.at[&(self.day, key.clone(), *value)]);
        let rows: Vec<&Key> = counts.keys().filter(|key| key.iter().all(Option::is_some)).collect();
        let mut sums: BTreeSet<(usize, Vec<usize>)> = BTreeSet::new();
        for over in totals {
            let mut parts: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
            for key in &rows {
                parts.entry(summed(key, over)).or_default().extend(place(key));
            }
            sums.extend(
                parts
                    .into_iter()
                    .filter_map(|(total, parts)| Some((place(&total)?, parts))),
            );
        }
        self.table
            .sums
            .extend(sums.into_iter().map(|(total, parts)| Sum { total, parts }));
    }

    fn state(&self, key: &Key, value: u64) -> State {
        self.at
            .get(&(self.day, key.clone(), value))
            .map_or(State::Hidden, |at| self.table.counts[*at].state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(rows: &[(&str, u64)]) -> Counts {
        let rows = rows
            .iter()
            .map(|(name, value)| (vec![Some((*name).to_owned())], *value))
            .collect();
        with_totals(&rows, &[vec![0]])
    }

    fn hidden(epoch: &Epoch) -> Vec<&str> {
        let hidden = epoch.iter().filter(|(_, decided)| decided.hidden);
        hidden.map(|(key, _)| key[0].as_deref().unwrap_or("all")).collect()
    }

    fn anew(verdict: Verdict) -> Epoch {
        match verdict {
            Verdict::Anew(epoch) => epoch,
            other => panic!("{other:?}"),
        }
    }

    const OVER: &[&[usize]] = &[&[0]];

    fn totals() -> Vec<Vec<usize>> {
        OVER.iter().map(|over| over.to_vec()).collect()
    }

    #[test]
    fn a_small_count_takes_another_with_it() {
        let counts = block(&[("a", 3), ("b", 14), ("c", 40)]);
        let epoch = anew(decide(&counts, &totals(), &[], None, 10));
        assert_eq!(hidden(&epoch), ["a", "b"]);
        assert!(exposed(&[epoch], &totals(), None, 10).is_empty());
        // nothing small, nothing hidden
        let counts = block(&[("a", 30), ("b", 14)]);
        assert!(hidden(&anew(decide(&counts, &totals(), &[], None, 10))).is_empty());
    }

    #[test]
    fn what_did_not_change_is_as_it_was() {
        let counts = block(&[("a", 3), ("b", 14), ("c", 40)]);
        let epoch = anew(decide(&counts, &totals(), &[], None, 10));
        assert_eq!(decide(&counts, &totals(), &[epoch], None, 10), Verdict::Same);
    }

    #[test]
    fn a_late_call_that_would_be_seen_by_subtraction_waits() {
        let first = anew(decide(&block(&[("b", 14), ("c", 40)]), &totals(), &[], None, 10));
        assert!(hidden(&first).is_empty());
        // the total alone would tell that a has one
        let late = block(&[("a", 1), ("b", 14), ("c", 40)]);
        assert_eq!(
            decide(&late, &totals(), std::slice::from_ref(&first), None, 10),
            Verdict::Stays
        );
        // twelve are enough to be shown
        let more = block(&[("a", 12), ("b", 14), ("c", 40)]);
        assert!(hidden(&anew(decide(&more, &totals(), std::slice::from_ref(&first), None, 10))).is_empty());
        // one that was shown does not fall below k, nor is it hidden now
        let fewer = block(&[("b", 4), ("c", 40)]);
        assert_eq!(decide(&fewer, &totals(), &[first], None, 10), Verdict::Stays);
    }

    #[test]
    fn a_hidden_count_that_stays_is_not_shown_beside_a_new_total() {
        let first = anew(decide(
            &block(&[("a", 3), ("b", 14), ("c", 40)]),
            &totals(),
            &[],
            None,
            10,
        ));
        let later = block(&[("a", 3), ("b", 14), ("c", 60)]);
        let second = anew(decide(&later, &totals(), std::slice::from_ref(&first), None, 10));
        assert_eq!(hidden(&second), ["a", "b"]);
        assert!(exposed(&[first, second], &totals(), None, 10).is_empty());
    }

    #[test]
    fn an_attack_sees_what_two_publications_give_away_together() {
        let decided = |rows: &[(&str, u64, bool)]| -> Epoch {
            let of = |(name, value, hidden): &(&str, u64, bool)| {
                let key = vec![Some((*name).to_owned()).filter(|name| name != "all")];
                (
                    key,
                    Decided {
                        value: *value,
                        hidden: *hidden,
                    },
                )
            };
            rows.iter().map(of).collect()
        };
        let first = decided(&[("a", 3, true), ("b", 14, true), ("all", 17, false)]);
        let second = decided(&[("a", 3, true), ("b", 30, false), ("all", 33, false)]);
        assert!(exposed(std::slice::from_ref(&first), &totals(), None, 10).is_empty());
        assert_eq!(exposed(&[first, second], &totals(), None, 10).len(), 2);
    }

    /// Numbers from a seed.
    fn dice(seed: &mut u64, below: u64) -> u64 {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    }

    #[test]
    fn ninety_days_of_late_and_corrected_calls_give_nothing_away() {
        let means = [90, 60, 45, 30, 22, 14, 9, 6, 4, 2, 1, 1];
        let mut seed = 7;
        let mut days: Vec<(Counts, Vec<Epoch>)> = Vec::new();
        let (mut shown, mut all, mut stays, mut anew) = (0, 0, 0, 0);
        let mut exposed_alone = 0;
        for night in 0..90 {
            let class = |at: usize| vec![Some(format!("c{at:02}"))];
            let mut rows = Counts::new();
            for (at, mean) in means.iter().enumerate() {
                let value = mean / 2 + dice(&mut seed, mean + 1);
                if value > 0 {
                    rows.insert(class(at), value);
                }
            }
            days.push((rows, Vec::new()));
            // calls of the last week come late, go, or change their class
            for _ in 0..6 {
                let day = night.max(6) - dice(&mut seed, 7) as usize;
                let Some((rows, _)) = days.get_mut(day) else { continue };
                let at = class(dice(&mut seed, means.len() as u64) as usize);
                let value = rows.remove(&at).unwrap_or(0);
                let value = if dice(&mut seed, 3) == 0 {
                    value.saturating_sub(1)
                } else {
                    value + 1
                };
                if value > 0 {
                    rows.insert(at, value);
                }
            }
            for (rows, epochs) in &mut days {
                match decide(&with_totals(rows, &totals()), &totals(), epochs, None, 10) {
                    Verdict::Anew(epoch) => {
                        anew += 1;
                        epochs.push(epoch);
                    }
                    Verdict::Stays => stays += 1,
                    Verdict::Same => {}
                }
            }
        }
        for (_, epochs) in &days {
            assert!(exposed(epochs, &totals(), None, 10).is_empty());
            let last = epochs.last().expect("published");
            let alone: Epoch = last
                .iter()
                .map(|(key, decided)| {
                    let hidden = decided.value < 10;
                    (key.clone(), Decided { hidden, ..*decided })
                })
                .collect();
            exposed_alone += exposed(&[alone], &totals(), None, 10).len();
            for (key, decided) in last.iter().filter(|(key, _)| key[0].is_some()) {
                assert!(decided.hidden || decided.value >= 10, "{key:?} {decided:?}");
                all += decided.value;
                shown += if decided.hidden { 0 } else { decided.value };
            }
        }
        let percent = shown * 100 / all;
        println!(
            "{percent} % of the calls are shown; {anew} publications, {stays} times a block stayed; hiding small ones alone would give {exposed_alone} away"
        );
        assert!(percent >= 60, "{percent} %");
        assert!(exposed_alone > 0, "the attack is blind");
        assert!(anew > 90, "nothing was ever corrected");
    }

    /// Days of classes and spans of 28 days of places by class, with a few calls that have no place.
    #[test]
    fn places_within_days_give_nothing_away_together() {
        const DAYS: i32 = 84;
        const MEANS: [u64; 4] = [400, 30, 9, 3];
        let mut seed = 11;
        let class = |at: usize| Some(format!("c{at}"));
        let mut days: BTreeMap<i32, (Counts, Vec<Epoch>)> = BTreeMap::new();
        let mut spans: BTreeMap<i32, (Counts, Vec<Epoch>)> = BTreeMap::new();
        let mut add = |seed: &mut u64, day: i32, at: usize| {
            let (rows, _) = days.entry(day).or_default();
            *rows.entry(vec![class(at)]).or_insert(0) += 1;
            // one place is rarely called from
            let place = if dice(seed, 2_000) == 0 { 11 } else { dice(seed, 11) };
            if dice(seed, 4_000) > 0 {
                let (rows, _) = spans.entry(day / 28 * 28).or_default();
                *rows.entry(vec![Some(format!("p{place}")), class(at)]).or_insert(0) += 1;
            }
        };
        for day in 0..DAYS {
            for (at, mean) in MEANS.iter().enumerate() {
                for _ in 0..mean / 2 + dice(&mut seed, mean + 1) {
                    add(&mut seed, day, at);
                }
            }
        }
        let late: Vec<(i32, usize)> = (0..40)
            .map(|_| (dice(&mut seed, DAYS as u64) as i32, dice(&mut seed, 4) as usize))
            .collect();
        let mut nights = vec![(days.clone(), spans.clone())];
        // the late calls come in one night
        let mut add_late = |seed: &mut u64, day: i32, at: usize| {
            *days.entry(day).or_default().0.entry(vec![class(at)]).or_insert(0) += 1;
            let key = vec![Some(format!("p{}", dice(seed, 12))), class(at)];
            *spans.entry(day / 28 * 28).or_default().0.entry(key).or_insert(0) += 1;
        };
        late.iter().for_each(|(day, at)| add_late(&mut seed, *day, *at));
        nights.push((days, spans));
        let (columns, over) = ([1], totals());
        let around = |days: &BTreeMap<i32, Vec<Epoch>>, first: i32, judge: &mut dyn FnMut(&Around<'_>)| {
            let days = days
                .range(first..first + 28)
                .map(|(day, epochs)| (*day, epochs.as_slice()));
            judge(&Around {
                days: days.collect(),
                totals: &over,
                columns: &columns,
            });
        };
        let (mut of_days, mut given_away) = (BTreeMap::<i32, Vec<Epoch>>::new(), 0);
        let (mut apart, mut together): (BTreeMap<i32, Vec<Epoch>>, BTreeMap<i32, Vec<Epoch>>) = Default::default();
        for (days, spans) in &nights {
            for (day, (rows, _)) in days {
                let before = of_days.entry(*day).or_default();
                if let Verdict::Anew(epoch) = decide(&with_totals(rows, &over), &over, before, None, 10) {
                    before.push(epoch);
                    let first = day / 28 * 28;
                    let mut gives_away = false;
                    around(&of_days, first, &mut |around| {
                        let epochs = together.get(&first).map_or(&[][..], Vec::as_slice);
                        gives_away = !exposed(epochs, &[], Some(around), 10).is_empty();
                    });
                    if gives_away {
                        of_days.entry(*day).or_default().pop();
                    }
                }
            }
            for (first, (rows, _)) in spans {
                let before = apart.entry(*first).or_default();
                if let Verdict::Anew(epoch) = decide(rows, &[], before, None, 10) {
                    before.push(epoch);
                }
                around(&of_days, *first, &mut |around| {
                    let before = together.entry(*first).or_default();
                    if let Verdict::Anew(epoch) = decide(rows, &[], before, Some(around), 10) {
                        before.push(epoch);
                    }
                });
            }
            let found = |spans: &BTreeMap<i32, Vec<Epoch>>| {
                let mut found = 0;
                for (first, epochs) in spans {
                    around(&of_days, *first, &mut |around| {
                        found += exposed(epochs, &[], Some(around), 10).len();
                    });
                }
                found
            };
            assert_eq!(found(&together), 0);
            given_away += found(&apart);
        }
        let corrected = together.values().filter(|epochs| epochs.len() > 1).count();
        let shown: usize = together
            .values()
            .filter_map(|epochs| epochs.last())
            .map(|epoch| epoch.len() - hidden(epoch).len())
            .sum();
        println!(
            "{shown} places are shown, {corrected} spans corrected; decided apart, {given_away} counts are given away"
        );
        assert!(given_away > 0, "the attack is blind");
        assert!(shown > 0);
    }
}
