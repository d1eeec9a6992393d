//! What both scans share: rows as places, days and events, and clusters as rows.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Fields, Int64Type};
use datafusion::error::{DataFusionError, Result};

use super::columns::{doubles, field, finite, integers, list_of, metres, named, named_lists, numbers_named, whole};
use super::gathered::{Work, stopped, wrong};
use super::options::Options;
use crate::stat::scan::{Cluster, Data, Found, MOST_EVENTS, MOST_MEMBERS, Metric, Model, Refused, Scan};

/// The options of both.
pub(super) const OPTIONS: [&str; 8] = [
    "max_days",
    "max_share",
    "max_radius",
    "metric",
    "reps",
    "seed",
    "every_days",
    "clusters",
];
/// Ten years.
const MOST_DAYS: i64 = 3_660;
const MOST_REPLICATIONS: i64 = 1_000_000;

/// A scan as it is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub scan: Scan,
    /// Days between two analyses.
    every: f64,
    /// Clusters that are told at most.
    most: usize,
}

impl Asked {
    /// Reads the options.
    ///
    /// # Errors
    /// A plan error naming function and option.
    pub(super) fn of(options: &Options, model: Model) -> Result<Asked> {
        let share = |share: f64| share > 0.0 && share <= 1.0;
        let above = |number: f64| number.is_finite() && number > 0.0;
        let most_radius = match options.has("max_radius") {
            true => Some(options.number("max_radius", 0.0, "a distance above 0", above)?),
            false => None,
        };
        let metric = match options.word("metric", "plane", &["plane", "sphere"])?.as_str() {
            "sphere" => Metric::Sphere,
            _ => Metric::Plane,
        };
        let count = |key: &str, default: i64, least: i64, most: i64| -> Result<usize> {
            Ok(usize::try_from(options.whole(key, default, least, most)?).unwrap_or(1))
        };
        Ok(Asked {
            scan: Scan {
                model,
                metric,
                most_days: count("max_days", 7, 1, MOST_DAYS)?,
                most_share: options.number("max_share", 0.5, "a share above 0, at most 1", share)?,
                most_radius,
                replications: u32::try_from(options.whole("reps", 999, 0, MOST_REPLICATIONS)?).unwrap_or(0),
                seed: options.seed()?,
                ..Scan::default()
            },
            every: options.number("every_days", 1.0, "days above 0", above)?,
            most: count("clusters", 10, 1, 1_000_000)?,
        })
    }

    /// The rows of the clusters; columns are place, x, y, population where it is read, day and events.
    ///
    /// # Errors
    /// What is wrong with the rows.
    pub(super) fn clusters(&self, name: &str, columns: &[ArrayRef], work: &Work) -> Result<Vec<ArrayRef>> {
        let rows = Rows::of(name, columns, self.scan.metric)?;
        let scan = Scan {
            threads: work.threads,
            ..self.scan.clone()
        };
        let found = scan.scan(rows.data(), &work.stop).map_err(|why| refused(name, why));
        let found = match found {
            Ok(found) => found,
            Err(Some(error)) => return Err(error),
            // too little to scan holds no cluster
            Err(None) => Found {
                clusters: Vec::new(),
                null: Vec::new(),
            },
        };
        let told: Vec<&Cluster> = found.clusters.iter().take(self.most).collect();
        let of = |number: &dyn Fn(&Cluster) -> Option<f64>| doubles(told.iter().map(|cluster| number(cluster)));
        let count = |number: &dyn Fn(&Cluster) -> i64| integers(told.iter().map(|cluster| number(cluster)));
        let recurrence = |cluster: &Cluster| match (cluster.p, cluster.p_gumbel) {
            (Some(p), Some(gumbel)) => Some(self.every / p.min(gumbel)),
            (p, _) => p.map(|p| self.every / p),
        };
        Ok(vec![
            integers((1..).take(told.len())),
            named(&rows.ids, told.iter().map(|cluster| cluster.cylinder.centre))?,
            named_lists(
                &rows.ids,
                told.iter().map(|cluster| cluster.cylinder.members.as_slice()),
            )?,
            count(&|cluster| rows.last - cluster.cylinder.days as i64 + 1),
            count(&|_| rows.last),
            count(&|cluster| cluster.cylinder.days as i64),
            count(&|cluster| cluster.cylinder.observed.cast_signed()),
            of(&|cluster| Some(cluster.cylinder.expected)),
            of(&|cluster| Some(cluster.cylinder.observed as f64 / cluster.cylinder.expected)),
            of(&|cluster| Some(cluster.cylinder.llr)),
            of(&|cluster| cluster.p),
            of(&|cluster| cluster.p_gumbel),
            of(&recurrence),
            count(&|_| i64::from(self.scan.replications)),
            count(&|_| self.scan.seed.cast_signed()),
        ])
    }
}

/// The fields of a cluster.
pub(super) fn fields(types: &[DataType]) -> Fields {
    let whole = |name: &str| field(name, DataType::Int64);
    let mut fields = vec![
        whole("rank"),
        field("centre", types[0].clone()),
        field("members", list_of(types[0].clone())),
        whole("first_day"),
        whole("last_day"),
        whole("days"),
        whole("observed"),
    ];
    fields.extend(numbers_named(&[
        "expected",
        "ratio",
        "llr",
        "p",
        "p_gumbel",
        "recurrence_days",
    ]));
    fields.extend(["reps", "seed"].map(whole));
    fields.into()
}

/// What a scan refused; `None` where there is too little to scan.
fn refused(name: &str, why: Refused) -> Option<DataFusionError> {
    match why {
        Refused::Stopped => Some(stopped(name)),
        Refused::TooFew => None,
        Refused::Invalid => Some(wrong(
            name,
            "places on earth and populations of 0 or more",
            "one that is none",
        )),
        Refused::TooMany => Some(wrong(
            name,
            &format!("circles of {MOST_MEMBERS} members in all and {MOST_EVENTS} events at most"),
            "more; max_radius or a smaller max_share makes fewer",
        )),
    }
}

/// Rows as the scan sees them, sorted by place.
struct Rows {
    /// The places.
    ids: ArrayRef,
    x: Vec<f64>,
    y: Vec<f64>,
    population: Vec<f64>,
    days: usize,
    last: i64,
    events: Vec<(u32, u32, u32)>,
}

impl Rows {
    fn of(name: &str, columns: &[ArrayRef], metric: Metric) -> Result<Rows> {
        let [ids, x, y, between @ .., day, events] = columns else {
            return Err(DataFusionError::Internal(format!("{name}: other columns")));
        };
        if ids.null_count() > 0 {
            return Err(wrong(name, "a place in every row", "NULL"));
        }
        let (x, y) = match metric {
            Metric::Plane => metres(name, x, y)?,
            Metric::Sphere => (finite(name, "x", x)?, finite(name, "y", y)?),
        };
        let day = whole(name, "day", day)?;
        let people = between
            .first()
            .map(|people| finite(name, "population", people))
            .transpose()?;
        let same = same_as_before(ids);
        let (first, last) = (
            day.iter().copied().min().unwrap_or(0),
            day.iter().copied().max().unwrap_or(0),
        );
        let span = last.checked_sub(first).filter(|span| *span < MOST_DAYS * 10);
        let Some(span) = span else {
            return Err(wrong(name, "days of a century at most", &format!("{first} to {last}")));
        };
        let mut rows = Rows {
            ids: ids.clone(),
            x: Vec::new(),
            y: Vec::new(),
            population: Vec::new(),
            days: usize::try_from(span).unwrap_or(0) + 1,
            last,
            events: Vec::with_capacity(day.len()),
        };
        let mut places: Vec<u32> = Vec::new();
        for (at, count) in events.as_primitive::<Int64Type>().iter().enumerate() {
            let population = people.as_ref().map_or(0.0, |people| people[at]);
            if !same[at] {
                places.push(u32::try_from(at).unwrap_or(u32::MAX));
                rows.x.push(x[at]);
                rows.y.push(y[at]);
                rows.population.push(population);
            }
            let unit = places.len() - 1;
            let as_before = rows.x[unit] == x[at] && rows.y[unit] == y[at] && rows.population[unit] == population;
            if !as_before {
                let found = format!("two of place {}", text(ids, at));
                let expected = match people {
                    Some(_) => "one x, y and population of each place",
                    None => "one x and y of each place",
                };
                return Err(wrong(name, expected, &found));
            }
            let count = count.and_then(|count| u32::try_from(count).ok());
            let Some(count) = count else {
                return Err(wrong(name, "events as a count of 0 or more in every row", "none"));
            };
            let day = u32::try_from(day[at] - first).unwrap_or(0);
            rows.events.push((u32::try_from(unit).unwrap_or(0), day, count));
        }
        rows.ids = named(ids, places)?;
        Ok(rows)
    }

    fn data(&self) -> Data<'_> {
        Data {
            x: &self.x,
            y: &self.y,
            population: &self.population,
            days: self.days,
            events: &self.events,
        }
    }
}

/// Whether each row has the id of the row before it.
pub(super) fn same_as_before(ids: &ArrayRef) -> Vec<bool> {
    let same = |at: usize| match (ids.as_string_opt::<i32>(), ids.as_primitive_opt::<Int64Type>()) {
        (Some(ids), _) => ids.value(at) == ids.value(at - 1),
        (_, Some(ids)) => ids.value(at) == ids.value(at - 1),
        _ => false,
    };
    (0..ids.len()).map(|at| at > 0 && same(at)).collect()
}

/// An id as text.
fn text(ids: &ArrayRef, at: usize) -> String {
    match (ids.as_string_opt::<i32>(), ids.as_primitive_opt::<Int64Type>()) {
        (Some(ids), _) => ids.value(at).to_owned(),
        (_, Some(ids)) => ids.value(at).to_string(),
        _ => String::new(),
    }
}
