//! A backtest held against what is known to have happened: the planted events of a synthetic city.

use serde::Deserialize;
use serde_json::Value;

use crate::time::calendar;
use crate::warn::life::{Event, Step};

/// An event that a product should find.
#[derive(Debug, Clone, Deserialize)]
pub struct Planted {
    /// Its street.
    pub area: String,
    /// The category of its calls.
    pub category: String,
    /// Its first day, `YYYY-MM-DD`.
    pub first_day: String,
    /// Its last day.
    pub last_day: String,
    /// The calls that it adds.
    pub extra_calls: u32,
}

/// What is planted in a city, as its truth file tells.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Truth {
    /// A few days with many calls each.
    #[serde(default)]
    pub surges: Vec<Planted>,
    /// More days with some calls each.
    #[serde(default)]
    pub clusters: Vec<Planted>,
}

/// How the planted events of a kind were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The kind.
    pub kind: &'static str,
    /// Events that lie within the days.
    pub planted: usize,
    /// Those that were found, while they lasted or on the day after.
    pub found: usize,
    /// Days from the beginning of each that was found to its first warning.
    pub delays: Vec<i32>,
}

impl Scored {
    /// The median delay; of an even number the lower one.
    pub fn median_delay(&self) -> Option<i32> {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        delays.get(delays.len().checked_sub(1)? / 2).copied()
    }
}

/// Whether a line of a warning's life is about a planted event.
fn is_about(event: &Event, planted: &Planted) -> bool {
    let days = calendar::day(&planted.first_day).zip(calendar::day(&planted.last_day));
    let within = days.is_some_and(|(first, last)| (first..=last + 1).contains(&event.day));
    let evidence = event.finding.as_ref().map(|finding| finding.evidence.as_str());
    let row: Option<Value> = evidence.and_then(|row| serde_json::from_str(row).ok());
    let says = |column: &str, value: &str| row.as_ref().is_some_and(|row| row[column] == value);
    within && says("area", &planted.area) && says("category", &planted.category)
}

/// How the events of some days find what was planted in them; and how many of the opened warnings are about any of it.
pub fn score(truth: &Truth, events: &[Event], (first, last): (i32, i32)) -> (Vec<Scored>, usize, usize) {
    let inside = |planted: &&Planted| {
        let days = calendar::day(&planted.first_day).zip(calendar::day(&planted.last_day));
        days.is_some_and(|(from, to)| from >= first && to <= last)
    };
    let kinds = [("surges", &truth.surges), ("clusters", &truth.clusters)];
    let scored = kinds.map(|(kind, all)| {
        let planted: Vec<&Planted> = all.iter().filter(inside).collect();
        let delay = |planted: &&Planted| {
            let day = events
                .iter()
                .filter(|event| is_about(event, planted))
                .map(|event| event.day)
                .min();
            Some(day? - calendar::day(&planted.first_day)?)
        };
        let delays: Vec<i32> = planted.iter().filter_map(delay).collect();
        Scored {
            kind,
            planted: planted.len(),
            found: delays.len(),
            delays,
        }
    });
    let is_alone = |event: &&Event| event.step == Step::Opened && event.pool.is_none() && event.finding.is_some();
    let opened: Vec<&Event> = events.iter().filter(is_alone).collect();
    // a warning is about an event that it grew into as well
    let of_one = |opened: &&&Event| {
        let life = events.iter().filter(|event| event.warning_id == opened.warning_id);
        let all = truth.surges.iter().chain(&truth.clusters);
        life.clone()
            .any(|event| all.clone().any(|planted| is_about(event, planted)))
    };
    let hits = opened.iter().filter(of_one).count();
    (scored.to_vec(), hits, opened.len())
}
