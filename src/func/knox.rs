//! `knox(x DOUBLE, y DOUBLE, day, {options}) LIST<STRUCT<space_from DOUBLE, space_to DOUBLE, time_from BIGINT, time_to BIGINT,
//! observed BIGINT, expected DOUBLE, variance DOUBLE, z DOUBLE, ratio DOUBLE, p DOUBLE, metric VARCHAR, reps BIGINT,
//! seed BIGINT>>`
//!
//! Does an incident raise the risk nearby for days? Pairs of incidents by bands of distance and lag, each `[from, to)`,
//! against what is expected if days had nothing to do with places. Options: `space`, the edges in metres ([0, 1, 100, 200,
//! 400, 800]; the first band is the same place), `time`, the edges in days ([0, 1, 4, 8, 15, 29]), `metric` 'euclidean' or
//! 'manhattan', `reps` (999), `seed` (1). `expected` and `variance` are exact, `p` is that of the replications; `z` and
//! `ratio` are NULL where nothing is expected. Tell a band only where p < 0.05, the ratio is 1.2 or more and it has some
//! twenty pairs; it is guidance for streets, never a score of a household or a person. Use a year or two at most; an
//! address that many incidents are filed under makes pairs in the same place. Source: Knox 1964; Mantel 1967; Johnson et
//! al. 2007.
//!
//! ```sql
//! SELECT unnest(knox(x, y, day, {'space': [0, 100], 'time': [0, 4], 'reps': 99})) AS band
//! FROM (VALUES (0, 0, 1), (20, 0, 2), (900, 5, 40), (910, 5, 41), (4000, 0, 90)) AS t (x, y, day)
//! ```

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::error::Result;

use super::columns::{doubles, field, integers, metres, numbers_named, whole, words};
use super::gathered::{Columns, Of, Set, Work, stopped, wrong};
use super::options::Options;
use crate::stat::knox::{self, Band, Error, MOST_PAIRS, Metric, Points};

/// The usual bands.
const SPACE: [f64; 6] = [0.0, 1.0, 100.0, 200.0, 400.0, 800.0];
const TIME: [f64; 6] = [0.0, 1.0, 4.0, 8.0, 15.0, 29.0];
const MOST_REPLICATIONS: i64 = 1_000_000;

/// What is asked.
#[derive(Debug)]
pub(super) struct Knox {
    knox: knox::Knox,
    metric: &'static str,
    replications: u32,
    seed: u64,
}

impl Set for Knox {
    const NAME: &'static str = "knox";
    const FORMS: &'static [Columns] = &[&[("x", Of::Number), ("y", Of::Number), ("day", Of::Day)]];
    const OPTIONS: &'static [&'static str] = &["space", "time", "metric", "reps", "seed"];

    fn of(options: &Options, _form: usize) -> Result<Self> {
        let (metric, word) = match options
            .word("metric", "euclidean", &["euclidean", "manhattan"])?
            .as_str()
        {
            "manhattan" => (Metric::Manhattan, "manhattan"),
            _ => (Metric::Euclidean, "euclidean"),
        };
        let (space, time) = (options.numbers("space", &SPACE)?, options.numbers("time", &TIME)?);
        let found = format!("space {space:?}, time {time:?}");
        let expected = || {
            options.error(
                "space and time as 2 to 65 rising edges from 0 on, time in whole days",
                &found,
            )
        };
        if time.iter().any(|edge| edge.fract() != 0.0) {
            return Err(expected());
        }
        let replications = u32::try_from(options.whole("reps", 999, 0, MOST_REPLICATIONS)?).unwrap_or(0);
        let seed = options.seed()?;
        let knox = knox::Knox::new(knox::Options {
            space,
            time: time.iter().map(|edge| *edge as i64).collect(),
            metric,
            replications,
            seed,
            most_pairs: MOST_PAIRS,
        });
        Ok(Knox {
            knox: knox.ok_or_else(expected)?,
            metric: word,
            replications,
            seed,
        })
    }

    fn fields(_: &[DataType]) -> Fields {
        let whole = |name: &str| field(name, DataType::Int64);
        let mut fields = numbers_named(&["space_from", "space_to"]);
        fields.extend(["time_from", "time_to", "observed"].map(whole));
        fields.extend(numbers_named(&["expected", "variance", "z", "ratio", "p"]));
        fields.push(field("metric", DataType::Utf8));
        fields.extend(["reps", "seed"].map(whole));
        fields.into()
    }

    fn answer(&self, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let name = Self::NAME;
        let (x, y) = metres(name, &columns[0], &columns[1])?;
        let days = whole(name, "day", &columns[2])?;
        let points = Points {
            x: &x,
            y: &y,
            days: &days,
        };
        let bands = self
            .knox
            .bands(points, work.threads, &work.stop)
            .map_err(|why| match why {
                Error::Stopped => stopped(name),
                Error::TooManyPairs => wrong(
                    name,
                    &format!("{MOST_PAIRS} pairs near in space at most"),
                    "more; a smaller largest distance or a shorter time has fewer",
                ),
                Error::TooMany => wrong(name, "incidents and days below 2³²", "more"),
                Error::Shape | Error::NotFinite(_) => wrong(name, "x and y as finite numbers", "none"),
            })?;
        let of = |number: fn(&Band) -> Option<f64>| doubles(bands.iter().map(number));
        let count = |number: fn(&Band) -> i64| integers(bands.iter().map(number));
        Ok(vec![
            of(|band| Some(band.space.0)),
            of(|band| Some(band.space.1)),
            count(|band| band.time.0),
            count(|band| band.time.1),
            count(|band| band.observed.cast_signed()),
            of(|band| Some(band.expected)),
            of(|band| Some(band.variance)),
            of(|band| band.z),
            of(|band| band.ratio),
            of(|band| band.p),
            words(bands.iter().map(|_| Some(self.metric))),
            integers(bands.iter().map(|_| i64::from(self.replications))),
            integers(bands.iter().map(|_| self.seed.cast_signed())),
        ])
    }
}
