//! When a row with a planted defect or an exact repeat is due. A defective row is always an extra one with its own record, so that
//! the documents of real calls stay joined; each carries one defect only, or a reader's reason would depend on its order of checks.

use crate::stat::random::{Stream, lane};

const DIRT: u64 = lane("dirt");
const REPEAT: u64 = lane("repeat");

/// Rows between the forced defects at the start of a file, which show every reason once even in a small city.
const SPACING: u64 = 9;

/// Decides, row by row, which defect comes next.
#[derive(Debug)]
pub struct Dirt {
    stream: Stream,
    rate: f64,
    reasons: Vec<&'static str>,
    rows: u64,
    /// Defective rows so far.
    pub made: u64,
}

impl Dirt {
    /// Defects of one file: `rate` per row, reasons in turn.
    pub fn of(seed: u64, feed: &str, county: usize, rate: f64, reasons: &[&'static str]) -> Self {
        let stream = Stream::keyed(seed, DIRT, lane(feed), county as u64);
        Self {
            stream,
            rate,
            reasons: reasons.to_vec(),
            rows: 0,
            made: 0,
        }
    }

    /// The reason of the defective row that follows the current row, if one does, and its running number.
    pub fn due(&mut self) -> Option<(&'static str, u64)> {
        self.rows += 1;
        let forced = self.rows.is_multiple_of(SPACING) && self.rows / SPACING <= self.reasons.len() as u64;
        if !(self.stream.chance(self.rate) || forced) {
            return None;
        }
        let reason = self.reasons[self.made as usize % self.reasons.len().max(1)];
        self.made += 1;
        Some((reason, self.made))
    }

    /// Chooses among the ways to commit the same defect.
    pub fn variant(&mut self, count: u64) -> u64 {
        self.stream.below(count)
    }
}

/// Decides which rows are remembered and where they are repeated.
#[derive(Debug)]
pub struct Repeats {
    stream: Stream,
    rate: f64,
    rows: u64,
}

/// What to do after an accepted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// Nothing.
    Pass,
    /// Remember this row.
    Remember,
    /// Write the remembered row again.
    Repeat,
}

impl Repeats {
    /// Exact repeats of one file: `rate` per row.
    pub fn of(seed: u64, feed: &str, county: usize, rate: f64) -> Self {
        Self {
            stream: Stream::keyed(seed, REPEAT, lane(feed), county as u64),
            rate,
            rows: 0,
        }
    }

    /// What to do after the row just accepted.
    pub fn next(&mut self) -> Recall {
        self.rows += 1;
        // The remembered row changes every few rows, at random, so that most repeats differ from each other.
        if self.rows == 1 || self.stream.chance(0.02) {
            return Recall::Remember;
        }
        if self.stream.chance(self.rate) {
            Recall::Repeat
        } else {
            Recall::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_shows_early_and_the_rate_holds() {
        let mut dirt = Dirt::of(1, "alarm", 0, 0.001, &["type", "range", "code"]);
        let early: Vec<&str> = (0..30).filter_map(|_| dirt.due()).map(|(reason, _)| reason).collect();
        assert!(early.len() >= 3 && early.contains(&"code"));
        let made = (0..1_000_000).filter_map(|_| dirt.due()).count();
        assert!((800..1_200).contains(&made), "{made}");
    }
}
