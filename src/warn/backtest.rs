//! A product run again over days that have passed, each day seeing only what was known by its next noon.
//!
//! The rows of every input that says when it was known are cut at that moment; inputs that do not say it are models,
//! whose SELECTs are evaluated on such rows, or reference data and inventories, which are taken as they are. A class that
//! a later feedback changed is seen as it is now. What the days find lives and is budgeted as a night would do it. Where a
//! day says something else with all days after it than without them, the product has looked into the future.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use serde::{Deserialize, Serialize};

use crate::engine::{Bounds, Parameters, Session};
use crate::error::{Kind, Result, fail};
use crate::lake::days::{DAY, Span};
use crate::lake::{Lake, ReleaseTable};
use crate::message::Message;
use crate::model::product::Warning;
use crate::model::{Model, Models, Product, window};
use crate::time::{Calendar, calendar};
use crate::warn::life::{Event, Finding, Life, Step};
use crate::warn::table::{self, MOST_ROWS};

/// After the end of a day, the time at which its night's result is read: the next noon, microseconds.
const READ_AFTER: i64 = 12 * 3_600_000_000;
/// The length of a day, microseconds.
const DAY_MICROS: i64 = 86_400_000_000;
/// Days on which a product is asked for its view of the future in any case.
const PEEKS: i32 = 5;
/// The catalog of the rows as they are.
const WHOLE: &str = "whole";
/// Reference data: taken as they are.
const REF: &str = "ref.";
/// Where more of the rows than this share were known too late, a past says nothing.
const MOST_LATE: f64 = 0.5;
/// The column that says when a row was known.
const KNOWN: &str = "known_at";

/// On what a product is run again.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// Bounds of its sessions.
    pub bounds: Bounds,
    /// The models of the site.
    pub models: &'a Models,
    /// The tables.
    pub tables: &'a BTreeMap<String, ReleaseTable>,
    /// The parameters of the site.
    pub parameters: &'a Parameters,
    /// The site's calendar.
    pub calendar: &'a Calendar,
    /// The day on which it is asked: later ones are slips of the pen.
    pub today: i32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// The product.
    pub rule: String,
    /// What of the product it holds for: SELECT, parameters, functions and rule file.
    pub basis: String,
    /// The first day.
    pub first_day: String,
    /// The last day.
    pub last_day: String,
    /// Rows that the days found.
    pub findings: i64,
    /// Warnings that they opened, those that are told together left out.
    pub opened: i64,
    /// Warnings of the fullest seven days.
    pub most_per_week: i64,
    /// Findings that a week had no room for.
    pub pooled: i64,
    /// Share of the rows of these days that were known only after their day was read.
    pub late_share: f64,
    /// The first day on which it looked into the future.
    pub leaks: Option<String>,
}

/// Which rows a day sees.
#[derive(Debug, Clone, Copy)]
enum Sees {
    /// Those that were known at a moment, UTC microseconds.
    KnownBefore(i64),
    /// Those of days up to one.
    Until(i32),
    /// All.
    All,
}

/// What a backtest of a product holds for: its rule file, and the SELECTs from the sources to it.
pub fn basis(models: &Models, model: &Model, product: &Product, site: &Parameters) -> String {
    let all = models.behind(model).models.into_iter().chain([model]);
    let mut words: Vec<String> = all.map(|inner| inner.fingerprint(site)).collect();
    words.sort_unstable();
    words.push(product.source.text.clone());
    blake3::hash(words.join("\n").as_bytes()).to_hex()[..32].to_owned()
}

/// Why a product that showed this may not warn, where it may not.
pub fn refused(product: &Product, rule: &Warning, shown: &Backtest) -> Option<Message> {
    let name = &product.name;
    if let Some(day) = &shown.leaks {
        return Some(Message::new("gate_leaks", &[name, day]));
    }
    if shown.late_share > MOST_LATE {
        #[expect(clippy::cast_possible_truncation, reason = "a share")]
        let percent = (shown.late_share * 100.0).round() as i64;
        return Some(Message::new("gate_late", &[name, &percent]));
    }
    (shown.pooled > 0).then(|| Message::new("gate_budget", &[name, &shown.pooled, &rule.alerts_per_week]))
}

/// A product with its inputs laid out.
#[derive(Debug)]
pub struct Desk<'a> {
    ground: Ground<'a>,
    model: &'a Model,
    product: &'a Product,
    session: Session,
    /// The inputs whose rows say when they were known.
    dated: BTreeSet<String>,
    /// Reference data and inventories, taken as they are.
    fixed: BTreeSet<String>,
    /// The models between, each after what it reads.
    between: Vec<&'a Model>,
    /// The inputs as they are built, and whether they have a day.
    built: Vec<(&'a str, bool)>,
}

impl<'a> Desk<'a> {
    /// Lays out all that a product is made of.
    ///
    /// # Errors
    /// `Input` for an input that does not say when its rows were known and is no model; `Missing` for one that is not
    /// there.
    pub async fn open(ground: Ground<'a>, model: &'a Model, product: &'a Product) -> Result<Desk<'a>> {
        let mut desk = Desk {
            ground,
            model,
            product,
            session: Session::new(ground.bounds)?,
            dated: BTreeSet::new(),
            fixed: BTreeSet::new(),
            between: Vec::new(),
            built: Vec::new(),
        };
        for input in &model.inputs {
            desk.lay(input).await?;
            // as it is built, for the question whether a day looks beyond itself
            let entry = ground.tables.get(input);
            let entry = entry.ok_or_else(|| fail(Kind::Missing, "backtest_input", &[&product.name, input]))?;
            let table = ground.lake.table_at(input, &entry.location, entry.version).await?;
            let provider = table.provider(desk.session.state()).await?;
            let has_day = table.schema().is_ok_and(|schema| schema.field_with_name(DAY).is_ok());
            desk.session.register(&format!("{WHOLE}.{input}"), provider)?;
            desk.built.push((input, has_day));
        }
        Ok(desk)
    }

    async fn lay(&mut self, name: &'a str) -> Result<()> {
        let laid = self.dated.contains(name) || self.fixed.contains(name);
        if laid || self.between.iter().any(|inner| inner.name == name) {
            return Ok(());
        }
        let missing = || fail(Kind::Missing, "backtest_input", &[&self.product.name, &name]);
        let entry = self.ground.tables.get(name).ok_or_else(missing)?;
        let table = self.ground.lake.table_at(name, &entry.location, entry.version).await?;
        let has = |column: &str| {
            table
                .schema()
                .is_ok_and(|schema| schema.field_with_name(column).is_ok())
        };
        let undated = !has(DAY) && self.ground.models.get(name).is_none();
        let fixed = name.starts_with(REF) || undated;
        if fixed || has(KNOWN) && has(DAY) {
            let provider = table.provider(self.session.state()).await?;
            self.session.register(&format!("{WHOLE}.{name}"), provider)?;
            let place = if fixed { &mut self.fixed } else { &mut self.dated };
            place.insert(name.to_owned());
            return Ok(());
        }
        let Some(inner) = self.ground.models.get(name) else {
            let error = fail(Kind::Input, "backtest_unknown", &[&self.product.name, &name]);
            return Err(error.hint("backtest_unknown_hint", &[]));
        };
        for input in &inner.inputs {
            Box::pin(self.lay(input)).await?;
        }
        self.between.push(inner);
        Ok(())
    }

    /// The first and the last day that all inputs have, days since 1970-01-01; `None` without any.
    ///
    /// # Errors
    /// As the tables cannot be read.
    pub async fn extent(&self) -> Result<Option<(i32, i32)>> {
        let mut extent: Option<(i32, i32)> = None;
        for name in &self.dated {
            let days = table::days_of(&self.session, &format!("{WHOLE}.{name}"), self.ground.today).await?;
            // an input without a day has no past
            let Some((a, b)) = days else { return Ok(None) };
            extent = extent.map_or(Some((a, b)), |(first, last)| Some((first.max(a), last.min(b))));
        }
        let extent = extent.filter(|(first, last)| first <= last);
        Ok(extent)
    }

    /// Runs the product again over some days, and the events that would have been told.
    ///
    /// # Errors
    /// As a query fails.
    pub async fn run(&self, (first, last): (i32, i32)) -> Result<(Backtest, Vec<Event>)> {
        let mut events: Vec<Event> = Vec::new();
        let (mut count, mut leaks, mut seen) = (0, None, BTreeSet::new());
        let step = (last - first) / PEEKS + 1;
        let span = Span { first, last };
        // a model that is not built day by day knows its newest day alone, and nothing after it
        let all = match self.model.header.window {
            Some(_) => Some(self.on(Sees::All, span).await?),
            None => None,
        };
        for day in first..=last {
            let only = Span { first: day, last: day };
            let found = self.on(Sees::KnownBefore(self.read_at(day)?), only).await?;
            let is_new = |finding: &&Finding| seen.insert((finding.day, finding.unit.clone()));
            count += found.iter().filter(is_new).count();
            if let Some(all) = all.as_ref().filter(|_| leaks.is_none()) {
                let with: Vec<&Finding> = all.iter().filter(|finding| finding.day == day).collect();
                // what came late may be the reason as well: so the days as they are built are held against those with
                // all that come after them
                if found.iter().collect::<Vec<_>>() != with || (day - first) % step == 0 {
                    let without = self.on(Sees::Until(day), only).await?;
                    leaks = (without.iter().collect::<Vec<_>>() != with).then_some(day);
                }
            }
            if let Some(mut life) = Life::of(self.product, &events) {
                life.found(found, day);
                events.extend(life.end(day));
            }
        }
        let late_share = self.late_share((first, last)).await?;
        let opened = events.iter().filter(|event| event.step == Step::Opened);
        let (pooled, alone): (Vec<&Event>, Vec<&Event>) = opened.partition(|event| event.pool.is_some());
        let within = |day: i32| {
            alone
                .iter()
                .filter(|event| (day - 6..=day).contains(&event.day))
                .count()
        };
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let backtest = Backtest {
            rule: self.product.name.clone(),
            basis: basis(self.ground.models, self.model, self.product, self.ground.parameters),
            first_day: calendar::text(first),
            last_day: calendar::text(last),
            findings: number(count),
            opened: number(alone.len()),
            most_per_week: number((first..=last).map(within).max().unwrap_or(0)),
            pooled: number(pooled.len()),
            late_share,
            leaks: leaks.map(calendar::text),
        };
        Ok((backtest, events))
    }

    /// The moment at which the night of a day is read, UTC microseconds.
    fn read_at(&self, day: i32) -> Result<i64> {
        let next = calendar::date(day + 1).and_then(|date| date.and_hms_opt(0, 0, 0));
        let midnight = next.ok_or_else(|| fail(Kind::Bug, "batch_shape", &[]))?;
        // where the clocks are put forward at midnight there is none, and that of UTC serves as well
        let midnight = self.ground.calendar.instant(midnight);
        let midnight = midnight.unwrap_or(i64::from(day + 1) * DAY_MICROS);
        Ok(midnight + self.ground.calendar.cutoff_micros() + READ_AFTER)
    }

    /// Shows the inputs as a day sees them.
    async fn show(&self, sees: Sees) -> Result<()> {
        let until = match sees {
            Sees::KnownBefore(at) => return self.show_known(at).await,
            Sees::Until(day) => format!(" WHERE arrow_cast({DAY}, 'Int32') <= {day}"),
            Sees::All => String::new(),
        };
        for (name, has_day) in &self.built {
            let until = if *has_day { until.as_str() } else { "" };
            self.view(name, until).await?;
        }
        Ok(())
    }

    /// Shows the inputs as they were known at a moment: the rows that say when, and the models on them.
    async fn show_known(&self, at: i64) -> Result<()> {
        for name in &self.fixed {
            self.view(name, "").await?;
        }
        for name in &self.dated {
            self.view(name, &format!(" WHERE arrow_cast({KNOWN}, 'Int64') < {at}"))
                .await?;
        }
        for inner in &self.between {
            let own = inner.parameters(self.ground.parameters);
            let (path, sql) = (&inner.file.path, &inner.file.text);
            let plan = self.session.plan_with(path, sql, &own).await?;
            self.session
                .register(&inner.name, Arc::new(ViewTable::new(plan, None)))?;
        }
        Ok(())
    }

    async fn view(&self, name: &str, condition: &str) -> Result<()> {
        let sql = format!("SELECT * FROM {WHOLE}.{name}{condition}");
        let plan = self.session.plan(name, &sql).await?;
        self.session.register(name, Arc::new(ViewTable::new(plan, None)))
    }

    /// What the product finds on some days, by day and unit.
    async fn on(&self, sees: Sees, span: Span) -> Result<Vec<Finding>> {
        self.show(sees).await?;
        let own = self.model.parameters(self.ground.parameters);
        let days = (self.model.header.window.as_ref(), span);
        let rows = window::rows(&self.session, &self.model.file, &own, days, MOST_ROWS).await?;
        let mut found = table::findings(self.product, &self.model.name, &rows)?;
        match self.model.header.window {
            Some(_) => found.retain(|finding| (span.first..=span.last).contains(&finding.day)),
            // it tells of its newest complete day, which may be an earlier one
            None => found.retain(|finding| finding.day <= span.last),
        }
        found.sort_by(|a, b| a.day.cmp(&b.day).then_with(|| a.unit.cmp(&b.unit)));
        Ok(found)
    }

    /// The share of the rows of some days that were known only after their day was read.
    async fn late_share(&self, (first, last): (i32, i32)) -> Result<f64> {
        let (mut late, mut all) = (0, 0);
        // of a zone that changes its clocks, by those of the first day
        let after = self.read_at(first)? - i64::from(first) * DAY_MICROS;
        for name in &self.dated {
            let sql = format!(
                "SELECT count(*) AS rows, count(*) FILTER (WHERE arrow_cast({KNOWN}, 'Int64') >= \
                 CAST(arrow_cast({DAY}, 'Int32') AS BIGINT) * {DAY_MICROS} + {after}) AS late FROM {WHOLE}.{name} \
                 WHERE arrow_cast({DAY}, 'Int32') BETWEEN {first} AND {last}"
            );
            let (of_all, of_late) = table::counts(&self.session, &sql).await?;
            (late, all) = (late + of_late, all + of_all);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        Ok(if all > 0 { late as f64 / all as f64 } else { 0.0 })
    }
}
