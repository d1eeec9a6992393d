//! Suppression: which counts of a table stay hidden so that no small one can be worked out.
//!
//! A published table is a set of counts tied by sums: a day's total is the sum of its categories. A count below k
//! is hidden; since a reader subtracts, further counts are hidden until every hidden one could be any of k
//! values at least, as far as everything that is shown allows (complementary suppression: Kelly, Golden and
//! Assad 1992; Fischetti and Salazar-González 2000). What a reader cannot rule out is decided by linear programs
//! over the hidden counts; counts are not negative, and nothing else is assumed of them.

use good_lp::{Expression, ProblemVariables, Solution, SolverModel, Variable, constraint, microlp, variable};

/// What is decided of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet: it may be shown or hidden.
    Open,
    /// Shown, now or once before: readers know it.
    Shown,
    /// Hidden.
    Hidden,
    /// Never shown, and nobody's secret: what is left between sums.
    Rest,
}

/// A count of a table, margins included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its value.
    pub value: u64,
    /// The least that readers know it to be.
    pub least: u64,
    /// What is decided of it.
    pub state: State,
}

/// One count that is the sum of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The total.
    pub total: usize,
    /// Its parts.
    pub parts: Vec<usize>,
}

/// Counts that are published together, with the sums that tie them.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The counts.
    pub counts: Vec<Count>,
    /// The sums, by positions of `counts`.
    pub sums: Vec<Sum>,
}

/// A hidden count that can be worked out too well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposed {
    /// Its position.
    pub count: usize,
    /// The least that it can be.
    pub low: f64,
    /// The most that it can be, no further than k above it.
    pub high: f64,
}

/// What is smaller than this is a rounding of the solver.
const SLACK: f64 = 1e-6;

impl Table {
    /// Decides every open count: small ones (below `k` and not 0) are hidden, and as few calls beside them as are
    /// needed. What was decided before stays.
    ///
    /// # Errors
    /// The count that nothing protects, where what was shown before gives it away.
    pub fn protect(&mut self, k: u64) -> Result<(), Exposed> {
        for count in &mut self.counts {
            if count.state == State::Open && count.value > 0 && count.value < k {
                count.state = State::Hidden;
            }
        }
        while let Some(exposed) = self.exposed(k).first().copied() {
            if !self.hide_beside(exposed.count, k) {
                return Err(exposed);
            }
        }
        for count in &mut self.counts {
            if count.state == State::Open {
                count.state = State::Shown;
            }
        }
        Ok(())
    }

    /// The hidden counts that a reader who knows all others can tell more closely than to `k` values.
    pub fn exposed(&self, k: u64) -> Vec<Exposed> {
        self.components(|count| matches!(count.state, State::Hidden | State::Rest))
            .iter()
            .flat_map(|component| self.exposed_among(component, k))
            .collect()
    }

    /// The counts of a kind in groups that no sum ties to each other.
    fn components(&self, wanted: impl Fn(&Count) -> bool) -> Vec<Vec<usize>> {
        let mut parent: Vec<usize> = (0..self.counts.len()).collect();
        fn root(parent: &mut [usize], mut at: usize) -> usize {
            while parent[at] != at {
                parent[at] = parent[parent[at]];
                at = parent[at];
            }
            at
        }
        for sum in &self.sums {
            let mut members = sum.members().filter(|(at, _)| wanted(&self.counts[*at]));
            let Some((first, _)) = members.next() else { continue };
            for (other, _) in members {
                let (left, right) = (root(&mut parent, first), root(&mut parent, other));
                parent[right] = left;
            }
        }
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); self.counts.len()];
        for at in (0..self.counts.len()).filter(|at| wanted(&self.counts[*at])) {
            groups[root(&mut parent, at)].push(at);
        }
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// Each solution shows values that all counts can take; only what none has freed yet is asked for itself.
    fn exposed_among(&self, component: &[usize], k: u64) -> Vec<Exposed> {
        let k = real(k);
        let mut ranges: Vec<(f64, f64)> = component
            .iter()
            .map(|at| (real(self.counts[*at].value), real(self.counts[*at].value)))
            .collect();
        let program = Program::new(self, component, k);
        let mut exposed = Vec::new();
        for at in (0..component.len()).filter(|at| self.counts[component[*at]].state == State::Hidden) {
            for upwards in [true, false] {
                if ranges[at].1 - ranges[at].0 >= k - SLACK {
                    break;
                }
                let waiting = |other: usize, range: &(f64, f64)| other > at && range.1 - range.0 < k - SLACK;
                let others = ranges
                    .iter()
                    .enumerate()
                    .filter(|(other, range)| waiting(*other, range));
                let others: Vec<usize> = others.map(|(other, _)| other).collect();
                for (range, value) in ranges.iter_mut().zip(program.extreme(at, &others, upwards)) {
                    *range = (range.0.min(value), range.1.max(value));
                }
            }
            let (low, high) = ranges[at];
            if high - low < k - SLACK {
                exposed.push(Exposed {
                    count: component[at],
                    low,
                    high,
                });
            }
        }
        exposed
    }

    /// Hides open counts so that this one could be `k` more than it is, with as few calls in them as possible;
    /// whether that can be done.
    fn hide_beside(&mut self, target: usize, k: u64) -> bool {
        let components = self.components(|count| count.state != State::Shown);
        let Some(component) = components.into_iter().find(|component| component.contains(&target)) else {
            return false;
        };
        let Some(moved) = Program::new(self, &component, real(k)).cheapest(self, &component, target) else {
            return false;
        };
        let mut hidden = false;
        for (at, by) in component.iter().zip(moved) {
            let count = &mut self.counts[*at];
            if by > SLACK && count.state == State::Open {
                count.state = State::Hidden;
                hidden = true;
            }
        }
        hidden
    }
}

impl Sum {
    /// Its counts with their signs.
    fn members(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        std::iter::once((self.total, -1.0)).chain(self.parts.iter().map(|part| (*part, 1.0)))
    }
}

/// The sums that bind some counts, and how far each may move from its value.
struct Program {
    values: Vec<f64>,
    least: Vec<f64>,
    k: f64,
    /// For each sum the counts of it by their place in the program, with their signs.
    sums: Vec<Vec<(usize, f64)>>,
}

impl Program {
    fn new(table: &Table, component: &[usize], k: f64) -> Program {
        let place = |at: usize| component.binary_search(&at).ok();
        let bound = table.sums.iter().map(|sum| {
            sum.members()
                .filter_map(|(at, sign)| Some((place(at)?, sign)))
                .collect::<Vec<_>>()
        });
        Program {
            values: component.iter().map(|at| real(table.counts[*at].value)).collect(),
            least: component.iter().map(|at| real(table.counts[*at].least)).collect(),
            k,
            sums: bound.filter(|sum| !sum.is_empty()).collect(),
        }
    }

    /// Values of all counts that agree with every sum and in which one is as large or as small as can be, within k
    /// of its value; the others are drawn the same way where that costs nothing.
    fn extreme(&self, target: usize, others: &[usize], upwards: bool) -> Vec<f64> {
        let mut variables = ProblemVariables::new();
        let all: Vec<Variable> = self
            .values
            .iter()
            .zip(&self.least)
            .map(|(value, least)| variables.add(variable().min((value - self.k).max(*least)).max(value + self.k)))
            .collect();
        let weight = 0.5 / (others.len() as f64 + 1.0);
        let drawn = others.iter().map(|other| all[*other] * weight);
        let objective = drawn.fold(Expression::from(all[target]), |sum, part| sum + part);
        let problem = if upwards {
            variables.maximise(objective)
        } else {
            variables.minimise(objective)
        };
        let mut problem = problem.using(microlp);
        for sum in &self.sums {
            let (left, right) = self.side(sum, |at| Expression::from(all[at]));
            problem = problem.with(constraint!(left == right));
        }
        match problem.solve() {
            Ok(found) => all.iter().map(|variable| found.value(*variable)).collect(),
            // a program that has the true values for a solution has one: nothing new was learnt
            Err(_) => self.values.clone(),
        }
    }

    /// How far each count is moved by the cheapest move of `target` by k; `None` where there is none.
    fn cheapest(&self, table: &Table, component: &[usize], target: usize) -> Option<Vec<f64>> {
        let mut variables = ProblemVariables::new();
        let mut moves = Vec::with_capacity(component.len());
        let mut cost = Expression::from(0.0);
        for ((at, value), least) in component.iter().zip(&self.values).zip(&self.least) {
            let up = variables.add(variable().min(0.0).max(self.k));
            let down = variables.add(variable().min(0.0).max((value - least).min(self.k)));
            let price = match table.counts[*at].state {
                State::Hidden | State::Rest => SLACK,
                State::Open | State::Shown => 1.0 + value,
            };
            cost = cost + up * price + down * price;
            moves.push((up, down));
        }
        let mut problem = variables.minimise(cost).using(microlp);
        for sum in &self.sums {
            let terms = sum.iter().map(|(at, sign)| (moves[*at].0 - moves[*at].1) * *sign);
            let sum: Expression = terms.sum();
            problem = problem.with(constraint!(sum == 0.0));
        }
        let (up, down) = moves[component.binary_search(&target).ok()?];
        problem = problem.with(constraint!(up - down == self.k));
        let found = problem.solve().ok()?;
        Some(
            moves
                .iter()
                .map(|(up, down)| (found.value(*up) - found.value(*down)).abs())
                .collect(),
        )
    }

    /// A sum as an equation: what its counts give with their signs, and what they give now.
    fn side(&self, sum: &[(usize, f64)], of: impl Fn(usize) -> Expression) -> (Expression, f64) {
        let left = sum.iter().map(|(at, sign)| of(*at) * *sign).sum();
        let right = sum.iter().map(|(at, sign)| self.values[*at] * sign).sum();
        (left, right)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn real(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table of rows and columns with the totals of both and of all.
    fn grid(rows: &[Vec<u64>]) -> Table {
        let (height, width) = (rows.len(), rows[0].len());
        let mut table = Table::default();
        let mut add = |value| {
            table.counts.push(Count {
                value,
                least: 0,
                state: State::Open,
            });
            table.counts.len() - 1
        };
        let cells: Vec<Vec<usize>> = rows
            .iter()
            .map(|row| row.iter().map(|value| add(*value)).collect())
            .collect();
        let across: Vec<usize> = rows.iter().map(|row| add(row.iter().sum())).collect();
        let down: Vec<usize> = (0..width).map(|at| add(rows.iter().map(|row| row[at]).sum())).collect();
        let all = add(rows.iter().flatten().sum());
        for at in 0..height {
            table.sums.push(Sum {
                total: across[at],
                parts: cells[at].clone(),
            });
        }
        for at in 0..width {
            table.sums.push(Sum {
                total: down[at],
                parts: cells.iter().map(|row| row[at]).collect(),
            });
        }
        table.sums.push(Sum {
            total: all,
            parts: across,
        });
        table.sums.push(Sum {
            total: all,
            parts: down,
        });
        table
    }

    fn states(table: &Table) -> Vec<State> {
        table.counts.iter().map(|count| count.state).collect()
    }

    #[test]
    fn a_small_count_alone_in_its_sums_is_joined_by_the_cheapest_others() {
        let mut table = grid(&[vec![3, 40, 50], vec![20, 60, 70], vec![90, 80, 30]]);
        table.protect(10).expect("can be protected");
        let hidden: Vec<u64> = table
            .counts
            .iter()
            .filter(|count| count.state == State::Hidden)
            .map(|count| count.value)
            .collect();
        // a rectangle: 3 and 40 in its row, 20 and 60 below them
        assert_eq!(hidden, [3, 40, 20, 60]);
        assert!(table.exposed(10).is_empty());
    }

    #[test]
    fn hiding_small_counts_alone_gives_them_away() {
        let mut table = grid(&[vec![3, 40], vec![20, 60]]);
        for count in &mut table.counts {
            count.state = if count.value < 10 { State::Hidden } else { State::Shown };
        }
        let exposed = table.exposed(10);
        assert_eq!(exposed.len(), 1);
        assert_eq!((exposed[0].low, exposed[0].high), (3.0, 3.0));
    }

    #[test]
    fn what_was_shown_before_can_make_a_count_unprotectable() {
        let mut table = grid(&[vec![3, 40], vec![20, 60]]);
        for count in &mut table.counts {
            count.state = if count.value < 10 { State::Open } else { State::Shown };
        }
        let exposed = table.protect(10).expect_err("everything beside it is known");
        assert_eq!(exposed.count, 0);
    }

    #[test]
    fn a_table_of_nothing_but_small_counts_hides_its_totals_too() {
        let mut table = grid(&[vec![1, 2], vec![1, 0]]);
        table.protect(10).expect("can be protected");
        assert!(table.exposed(10).is_empty());
        assert!(states(&table).iter().filter(|state| **state == State::Shown).count() <= 1);
    }

    /// How many values a hidden count takes in all tables of whole numbers that agree with what is shown.
    fn spread(table: &Table, most: u64) -> Vec<(usize, u64)> {
        let hidden: Vec<usize> = (0..table.counts.len())
            .filter(|at| table.counts[*at].state == State::Hidden)
            .collect();
        let mut values: Vec<u64> = table.counts.iter().map(|count| count.value).collect();
        let mut seen = vec![(u64::MAX, 0_u64); hidden.len()];
        fn walk(
            table: &Table,
            hidden: &[usize],
            at: usize,
            most: u64,
            values: &mut Vec<u64>,
            seen: &mut Vec<(u64, u64)>,
        ) {
            if at == hidden.len() {
                let holds = |sum: &Sum| sum.parts.iter().map(|part| values[*part]).sum::<u64>() == values[sum.total];
                if table.sums.iter().all(holds) {
                    for (place, range) in hidden.iter().zip(seen.iter_mut()) {
                        *range = (range.0.min(values[*place]), range.1.max(values[*place]));
                    }
                }
                return;
            }
            for value in 0..=most {
                values[hidden[at]] = value;
                walk(table, hidden, at + 1, most, values, seen);
            }
        }
        walk(table, &hidden, 0, most, &mut values, &mut seen);
        hidden
            .into_iter()
            .zip(seen)
            .map(|(at, (low, high))| (at, high - low))
            .collect()
    }

    #[test]
    fn whole_numbers_spread_as_the_programs_say() {
        // small enough to try every table of whole numbers
        let mut table = grid(&[vec![1, 4], vec![5, 6]]);
        table.protect(3).expect("can be protected");
        for (at, spread) in spread(&table, 12) {
            assert!(spread >= 3, "count {at} of {:?}", states(&table));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn every_table_of_whole_numbers_agrees(
            rows in prop::collection::vec(prop::collection::vec(0_u64..9, 2), 2)
        ) {
            let mut table = grid(&rows);
            prop_assert!(table.protect(3).is_ok());
            let hidden = table.counts.iter().filter(|count| count.state == State::Hidden);
            let most = hidden.clone().map(|count| count.value).max().unwrap_or(0) + 4;
            // as many tables as can be tried
            if hidden.count() <= 5 {
                for (at, spread) in spread(&table, most) {
                    prop_assert!(spread >= 3, "count {at} of {:?}", states(&table));
                }
            }
        }

        #[test]
        fn no_hidden_count_can_be_worked_out(
            rows in prop::collection::vec(prop::collection::vec(prop_oneof![0_u64..12, 0_u64..200], 4), 3)
        ) {
            let mut table = grid(&rows);
            let small = table.counts.iter().filter(|count| count.value > 0 && count.value < 10).count();
            prop_assert!(table.protect(10).is_ok());
            prop_assert!(table.exposed(10).is_empty());
            let shown = table.counts.iter().filter(|count| count.state == State::Shown);
            prop_assert!(shown.clone().all(|count| count.value == 0 || count.value >= 10));
            prop_assert!(small > 0 || shown.count() == table.counts.len(), "nothing small, and something was hidden");
        }
    }
}
