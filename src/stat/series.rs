//! A series of counts as detectors see it: slots that follow one another, and names for what is not there.
//!
//! A slot is a whole number, such as a day. A slot that is missing, a count that is not known and a number that is no
//! count are told apart: none of them is a zero.

/// The largest count whose successor is a number of its own, 2⁵³.
const MOST: f64 = 9_007_199_254_740_992.0;

/// Why there is no verdict on a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too few slots before it.
    History,
    /// A slot that is needed is missing.
    Gap,
    /// The slots do not rise.
    Order,
    /// A count that is needed is not known.
    Unknown,
    /// A slot that is needed is masked: something else than the world changed in it.
    Masked,
    /// A number that is needed is no count: negative, not finite or above 2⁵³.
    NoCount,
    /// The counts before it are all equal, and no least deviation is given.
    Flat,
}

impl Reason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Reason::History => "history",
            Reason::Gap => "gap",
            Reason::Order => "order",
            Reason::Unknown => "unknown",
            Reason::Masked => "masked",
            Reason::NoCount => "no_count",
            Reason::Flat => "flat",
        }
    }
}

/// Counts in slots.
#[derive(Debug, Clone)]
pub struct Series {
    /// The counts; where one is not known or is none, no number.
    counts: Vec<f64>,
    /// For each row, the first row from which on slots follow one another, and why they did not before it.
    runs: Vec<(usize, Reason)>,
    /// For each row, the last one up to it that has no count, by its place counted from 1, and why it has none.
    holes: Vec<(usize, Reason)>,
}

impl Series {
    /// Counts of the same length as their slots, which are `step` apart; `None` for what is not known.
    #[must_use]
    pub fn new(slots: &[i64], counts: &[Option<f64>], step: i64) -> Series {
        Series::with_mask(slots, counts, None, step)
    }

    /// The same, with slots that are masked: they count nowhere, and what needs one has no verdict.
    #[must_use]
    pub fn with_mask(slots: &[i64], counts: &[Option<f64>], masked: Option<&[bool]>, step: i64) -> Series {
        let mut series = Series {
            counts: Vec::with_capacity(counts.len()),
            runs: Vec::with_capacity(counts.len()),
            holes: Vec::with_capacity(counts.len()),
        };
        let (mut run, mut hole) = ((0, Reason::History), (0, Reason::Unknown));
        for (at, (slot, count)) in slots.iter().zip(counts).enumerate() {
            if at > 0 {
                match slot.checked_sub(slots[at - 1]) {
                    Some(apart) if apart == step => {}
                    Some(apart) if apart > 0 => run = (at, Reason::Gap),
                    _ => run = (at, Reason::Order),
                }
            }
            match count {
                _ if masked.is_some_and(|masked| masked[at]) => {
                    hole = (at + 1, Reason::Masked);
                    series.counts.push(f64::NAN);
                }
                Some(count) if (0.0..=MOST).contains(count) => series.counts.push(*count),
                Some(_) => {
                    hole = (at + 1, Reason::NoCount);
                    series.counts.push(f64::NAN);
                }
                None => {
                    hole = (at + 1, Reason::Unknown);
                    series.counts.push(f64::NAN);
                }
            }
            series.runs.push(run);
            series.holes.push(hole);
        }
        series
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The count of a row.
    ///
    /// # Errors
    /// Why it has none.
    pub fn count(&self, at: usize) -> Result<f64, Reason> {
        self.back(at, 0)
    }

    /// The count of the slot `back` slots before a row.
    ///
    /// # Errors
    /// Why it has none, or is not there.
    pub fn back(&self, at: usize, back: usize) -> Result<f64, Reason> {
        self.before(at, back, back).map(|counts| counts[0])
    }

    /// The counts from `last` slots before a row up to `first` slots before it, oldest first; `first ≤ last`.
    ///
    /// # Errors
    /// Why they are not all there.
    pub fn before(&self, at: usize, first: usize, last: usize) -> Result<&[f64], Reason> {
        let (run, why) = self.runs[at];
        if at - run < last {
            return Err(why);
        }
        let rows = at - last..=at - first;
        match self.holes[at - first] {
            (hole, why) if hole > *rows.start() => Err(why),
            _ => Ok(&self.counts[rows]),
        }
    }
}

/// Follows the first rows of a series: a state begins with the first `train` counts and takes a step with each count
/// after them. The first thing that is wrong ends it, whatever comes later.
pub(super) fn follow<S, V>(
    series: &Series,
    rows: usize,
    train: usize,
    begin: impl Fn(&[f64]) -> Result<S, Reason>,
    mut step: impl FnMut(&mut S, f64) -> V,
) -> Vec<Result<V, Reason>> {
    let first = (0..rows).find(|at| series.count(*at).is_ok()).unwrap_or(rows);
    let mut verdicts: Vec<Result<V, Reason>> = (0..first).map(|at| Err(why(series.count(at)))).collect();
    let mut state = Err(Reason::History);
    let mut ended = None;
    for at in first..rows {
        // a row and the one before it: the slots between them, and the count itself
        let count = series
            .before(at, 0, usize::from(at > first))
            .map(|counts| counts[counts.len() - 1]);
        if ended.is_none() && at - first == train {
            state = series.before(at, 1, train).and_then(&begin);
            ended = state.as_ref().err().copied();
        }
        ended = ended.or(count.err());
        verdicts.push(match (ended, count, &mut state) {
            (None, Ok(count), Ok(state)) => Ok(step(state, count)),
            (reason, ..) => Err(reason.unwrap_or(Reason::History)),
        });
    }
    verdicts
}

fn why(count: Result<f64, Reason>) -> Reason {
    count.err().unwrap_or(Reason::Unknown)
}

/// The mean of at least one count.
pub(super) fn mean(counts: &[f64]) -> f64 {
    counts.iter().sum::<f64>() / counts.len() as f64
}

#[cfg(test)]
impl Series {
    /// Known counts of slots that follow one another.
    pub(super) fn without_gaps(counts: &[f64]) -> Series {
        let slots: Vec<i64> = (0..).take(counts.len()).collect();
        let counts: Vec<Option<f64>> = counts.iter().map(|count| Some(*count)).collect();
        Series::new(&slots, &counts, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_its_name() {
        let slots = [1, 2, 3, 5, 6, 6, 7, 8, 9];
        let counts = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, -1.0, 9.0].map(Some);
        let mut counts = counts.to_vec();
        counts[1] = None;
        let series = Series::new(&slots, &counts, 1);
        assert_eq!(series.before(2, 1, 3), Err(Reason::History));
        assert_eq!(series.before(2, 1, 2), Err(Reason::Unknown));
        assert_eq!(series.before(2, 0, 0), Ok(&[3.0][..]));
        assert_eq!(series.before(4, 1, 1), Ok(&[4.0][..]));
        assert_eq!(series.before(4, 1, 2), Err(Reason::Gap));
        assert_eq!(series.before(5, 0, 1), Err(Reason::Order));
        assert_eq!(series.before(8, 1, 1), Err(Reason::NoCount));
        assert_eq!((series.count(8), series.count(7)), (Ok(9.0), Err(Reason::NoCount)));
        assert_eq!(series.before(8, 2, 3), Ok(&[6.0, 7.0][..]));
        // the ends of the numbers are slots as well
        let far = Series::new(&[i64::MIN, i64::MAX], &[Some(0.0); 2], 1);
        assert_eq!(far.before(1, 1, 1), Err(Reason::Order));
        assert!(Series::new(&[], &[], 1).is_empty());
    }
}
