//! When pipelines are due, and what becomes of what was missed.
//!
//! What was done stands in `ops.run` under the moment at which it was due, so that a restart, a clock that
//! jumps or a second scheduler never does it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;

use crate::config::{Site, text};
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::ingest::tables;
use crate::lake::Lake;
use crate::message::Message;
use crate::model::pinned;
use crate::pipeline::Definition;
use crate::pipeline::definition::{CatchUp, Days};
use crate::pipeline::files::contracts;
use crate::pipeline::leftovers::{Lying, leftovers};
use crate::pipeline::record::{Act, Head, RunRecord};
use crate::pipeline::run::{self, Run};
use crate::pipeline::waiver::waivers;
use crate::time::Calendar;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How far back missed moments are looked for.
const HORIZON: i64 = 62 * DAY;

/// A pipeline with the moments at which it is due.
#[derive(Debug, Clone)]
pub struct Job {
    /// The pipeline.
    pub pipeline: String,
    /// What it says of itself.
    pub definition: Definition,
    cron: Cron,
    zone: Tz,
}

/// What to do with a moment at which a pipeline was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Run it.
    Run,
    /// Note that it was left out.
    Skip,
}

/// Tells whether the clock can be believed: one that leapt is believed when it has gone steadily for a while,
/// so that a machine that woke up in 2038 for a minute runs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steady {
    /// The clock at the last look.
    seen: Option<i64>,
    /// Microseconds for which it has to go steadily yet.
    doubt: i64,
}

/// A clock that is off by so much leapt, and is doubted for so long at least.
const LEAP: i64 = 10 * MINUTE;
/// The longest doubt: longer than any hand needs to set a clock right.
const LONGEST_DOUBT: i64 = DAY / 4;

impl Steady {
    /// Looks at the clock, `elapsed` microseconds after the look before by a clock that cannot leap.
    pub fn believes(&mut self, now: i64, elapsed: i64) -> bool {
        let expected = self.seen.map_or(now, |seen| seen.saturating_add(elapsed));
        let leap = now.saturating_sub(expected).saturating_abs();
        self.doubt = match leap > LEAP {
            // the further it leapt, the longer it has to prove itself
            true => (leap / 24).clamp(LEAP, LONGEST_DOUBT),
            false => (self.doubt - elapsed).max(0),
        };
        self.seen = Some(now);
        self.doubt == 0
    }
}

/// The days of the site that are no plain ones.
pub type Holidays = BTreeMap<i32, String>;

/// The scheduled pipelines of a site, by name.
///
/// # Errors
/// `Input` with the place of what is no cron expression.
pub fn jobs(site: &Site) -> Result<Vec<Job>> {
    let mut found = Vec::new();
    let zone = Tz::from_str(&site.settings.site.timezone)
        .map_err(|cause| fail(Kind::Input, "settings_invalid", &[&"timezone"]).because(cause))?;
    for file in site.files("pipelines", ".toml")? {
        // contracts, shares and rules lie in folders of their own
        if file.path.matches('/').count() != 1 {
            continue;
        }
        let definition = Definition::load(site, file.stem())?;
        let Some(words) = &definition.cron else { continue };
        let cron = Cron::from_str(words).map_err(|cause| {
            let message = Message::new("cron_invalid", &[words]);
            let problem = text::problem_at_word(&file.path, &file.text, words, message);
            fail(Kind::Input, "settings_invalid", &[&file.path])
                .with_problems(vec![problem])
                .because(cause)
        })?;
        found.push(Job {
            pipeline: file.stem().to_owned(),
            definition,
            cron,
            zone,
        });
    }
    Ok(found)
}

impl Job {
    /// The next moment after `after` at which it is due, on the days on which it runs.
    pub fn next(&self, after: i64, calendar: &Calendar, holidays: &Holidays) -> Option<i64> {
        let start = DateTime::from_timestamp_micros(after)?.with_timezone(&self.zone);
        let moments = self.cron.iter_after(start).map(|at| at.timestamp_micros());
        let mut near = moments.take_while(|at| *at <= after.saturating_add(400 * DAY));
        near.find(|at| self.is_on(*at, calendar, holidays))
    }

    fn is_on(&self, at: i64, calendar: &Calendar, holidays: &Holidays) -> bool {
        let Some(date) = calendar.local(at).map(|local| local.date()) else {
            return true;
        };
        let day = crate::time::calendar::days(date);
        let off = match holidays.get(&day).map(String::as_str) {
            Some("holiday" | "weekend") => true,
            // a day off that is worked on in exchange for another
            Some(_) => false,
            None => chrono::Datelike::weekday(&date).number_from_monday() > 5,
        };
        match self.definition.on {
            Days::Every => true,
            Days::Workdays => !off,
            Days::Holidays => off,
        }
    }

    /// What to do now with every moment that is due and not `done`, in order: catch-up decides which of
    /// those that were missed are still run.
    pub fn turns(
        &self,
        done: &BTreeSet<i64>,
        since: i64,
        now: i64,
        calendar: &Calendar,
        holidays: &Holidays,
    ) -> Vec<(i64, Turn)> {
        let known = done.range(..=now).next_back().copied();
        let mut at = known.unwrap_or(since).max(now.saturating_sub(HORIZON));
        let mut due = Vec::new();
        while let Some(next) = self.next(at, calendar, holidays).filter(|next| *next <= now) {
            if !done.contains(&next) {
                due.push(next);
            }
            at = next;
        }
        let newest = due.last().copied();
        let grace = i64::from(self.definition.late_minutes) * MINUTE;
        let turn = |at: i64| match self.definition.catch_up {
            CatchUp::All => Turn::Run,
            CatchUp::Last if Some(at) == newest => Turn::Run,
            CatchUp::None if Some(at) == newest && now - at <= grace => Turn::Run,
            CatchUp::Last | CatchUp::None => Turn::Skip,
        };
        due.into_iter().map(|at| (at, turn(at))).collect()
    }

    /// The feeds that it waits for and that did not come yet; none when it has waited long enough.
    ///
    /// # Errors
    /// As the lake or a folder cannot be read.
    pub async fn missing(&self, site: &Site, lake: &Lake, due: i64, now: i64) -> Result<Vec<String>> {
        let until = due + i64::from(self.definition.wait_minutes) * MINUTE;
        if self.definition.wait_for.is_empty() || now >= until {
            return Ok(Vec::new());
        }
        let contracts = contracts(site)?;
        // one that is wrong waives nothing; the run that begins says what is wrong with it
        let waivers = waivers(site, &contracts).unwrap_or_default();
        let calendar = run::calendar(site)?;
        // what it waits for are the rows of the day before
        let (day, today) = (calendar.day_and_hour(due - DAY), calendar.day_and_hour(now));
        let (day, today) = (day.map_or(0, |(day, _)| day), today.map_or(0, |(day, _)| day));
        let waived = |feed: &str| waivers.iter().any(|waiver| waiver.covers_feed(feed, day, day, today));
        let lying = leftovers(site, lake, &contracts, now).await?;
        let mut came: BTreeSet<String> = lying
            .into_keys()
            .filter(|(_, lying)| *lying == Lying::New)
            .map(|(contract, _)| contract)
            .collect();
        came.extend(stored_since(site, lake, due - DAY).await?);
        let wanted = self.definition.wait_for.iter();
        Ok(wanted
            .filter(|feed| !came.contains(*feed) && !waived(feed))
            .cloned()
            .collect())
    }
}

/// Contracts of which something was stored since a moment.
async fn stored_since(site: &Site, lake: &Lake, since: i64) -> Result<BTreeSet<String>> {
    let Some(table) = lake.table(tables::INGEST).await? else {
        return Ok(BTreeSet::new());
    };
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&table]).await?;
    let sql = format!(
        "SELECT DISTINCT arrow_cast(contract, 'Utf8') FROM ops.ingest WHERE action IN ('stored', 'resent') \
         AND arrow_cast(ingested_at, 'Int64') >= {since}"
    );
    let found = session.query("schedule", &sql, site.settings.limits.query_rows).await?;
    let names = found
        .batches
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    Ok(names.map(str::to_owned).collect())
}

/// The moments of each pipeline that were run or left out.
///
/// # Errors
/// As the lake cannot be read.
pub async fn done(site: &Site, lake: &Lake) -> Result<BTreeMap<String, BTreeSet<i64>>> {
    let mut found: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    // a run that was cut off was begun: what it left is for a retry
    for (head, _) in lake
        .journals()?
        .iter()
        .filter_map(|(_, lines)| crate::pipeline::record::told(lines))
    {
        found.entry(head.pipeline).or_default().extend(head.due_at);
    }
    let Some(table) = lake.table("ops.run").await? else {
        return Ok(found);
    };
    let session = pinned::on(Bounds::from(&site.settings.limits), &[&table]).await?;
    let sql = "SELECT arrow_cast(pipeline, 'Utf8'), due_at FROM ops.run WHERE due_at IS NOT NULL AND act <> 'retry'";
    let plan = session.plan("schedule", sql).await?;
    let mut rows = session.stream("schedule", sql, plan).await?;
    while let Some(batch) = rows.next().await? {
        let pipelines = batch.column(0).as_string::<i32>();
        let moments = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        for (pipeline, at) in pipelines.iter().zip(moments.values()) {
            found
                .entry(pipeline.unwrap_or_default().to_owned())
                .or_default()
                .insert(*at);
        }
    }
    Ok(found)
}

/// The calendar of the newest release, by day, and its last day.
///
/// # Errors
/// As the lake cannot be read.
pub async fn holidays(site: &Site, lake: &Lake) -> Result<Holidays> {
    let Some(release) = lake.latest_release().await? else {
        return Ok(Holidays::new());
    };
    let calendar = "ref.calendar";
    if !release.tables.contains_key(calendar) {
        return Ok(Holidays::new());
    }
    let bounds = Bounds::from(&site.settings.limits);
    let session = pinned::session_on(lake, bounds, &release, |name| name == calendar).await?;
    let sql =
        "SELECT arrow_cast(date, 'Date32'), arrow_cast(day_type, 'Utf8') FROM ref.calendar WHERE date IS NOT NULL";
    let found = session.query("schedule", sql, site.settings.limits.query_rows).await?;
    let mut holidays = Holidays::new();
    for batch in &found.batches {
        let (days, types) = (
            batch.column(0).as_primitive::<Date32Type>(),
            batch.column(1).as_string::<i32>(),
        );
        let typed = days.values().iter().zip(types.iter());
        holidays.extend(typed.filter_map(|(day, kind)| Some((*day, kind?.to_owned()))));
    }
    Ok(holidays)
}

impl Run<'_> {
    /// Notes that a moment at which a pipeline was due was left out.
    ///
    /// # Errors
    /// `Conflict` where the lease is held; as the store fails.
    pub async fn skip(&self, pipeline: &str, due_at: i64) -> Result<()> {
        let wait = self.site.settings.limits.lease_wait_seconds;
        let lease = self.lake.lease("site", wait).await?;
        let now = self.clock.now();
        let skipped = RunRecord {
            head: Head {
                run_id: self.run_id.clone(),
                pipeline: pipeline.to_owned(),
                act: Act::Run,
                part_of: None,
                due_at: Some(due_at),
                clock_at: now,
                started_at: now,
                fence: lease.fence(),
            },
            status: "skipped",
            release: 0,
            ended_at: now,
            steps: Vec::new(),
            checks: Vec::new(),
        };
        skipped.write(self.lake).await
    }
}
