//! `fenghuo freshness`: how far behind each feed and each county is.

use std::path::Path;

use arrow::array::AsArray;
use chrono::DateTime;

use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::lake::{Pulled, Release};
use crate::model::pinned;
use crate::pipeline::files::contracts;
use crate::pipeline::run;
use crate::pipeline::waiver::{Waiver, waivers};
use crate::time::{Calendar, Clock, calendar};

/// Show how far behind each feed and county is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Day at whose end it is judged, the day before today by default
    #[arg(long, value_name = "DAY", id = "at_day")]
    at: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// A row for each contract, as its files came, against the day; what has no days is not late. What stands in
/// the release counts, since that is what pages show.
fn feeds(day: i32) -> String {
    let behind = format!("greatest({day} - arrow_cast(max(last_day), 'Int32'), 0)");
    let state = bands(&behind);
    format!(
        "SELECT 'feed' AS what, contract AS name, CASE WHEN max(last_day) IS NOT NULL THEN {state} END AS state, \
         max(last_day) AS last_day, CAST({behind} AS BIGINT) AS days_behind, max(ingested_at) AS received_at, \
         CAST(NULL AS BIGINT) AS observed, CAST(NULL AS DOUBLE) AS expected, CAST(NULL AS VARCHAR) AS volume \
         FROM ops.ingest WHERE action IN ('stored', 'resent') GROUP BY contract"
    )
}

/// The words for days behind, as `indicator.data_health` has them.
fn bands(behind: &str) -> String {
    format!(
        "CASE WHEN {behind} >= 7 THEN 'silent' WHEN {behind} >= 3 THEN 'stale' WHEN {behind} >= 1 THEN 'late' ELSE 'fresh' END"
    )
}

/// A row for each county, as its calls came, against the day: where all fell silent together, none stands out.
fn counties(day: i32) -> String {
    let behind = format!("greatest({day} - arrow_cast(last_day, 'Int32'), 0)");
    format!(
        "SELECT 'county', county, {} AS state, last_day, CAST({behind} AS BIGINT), CAST(NULL AS TIMESTAMP), observed, \
         expected, volume FROM indicator.data_health",
        bands(&behind)
    )
}

/// A row for what was pulled of each provider, against the day: its release shows the day before it was made.
fn pulled(release: &Release, zone: &Calendar, day: i32) -> Vec<String> {
    let row = |(share, pulled): (&String, &Pulled)| {
        let made = DateTime::parse_from_rfc3339(&pulled.made_at).map_or(0, |at| at.timestamp_micros());
        let last = zone.day_and_hour(made).map_or(0, |(day, _)| day) - 1;
        let behind = (day - last).max(0);
        format!(
            "SELECT 'shared' AS what, '{share}' AS name, {} AS state, \
             arrow_cast(arrow_cast({last}, 'Int32'), 'Date32') AS last_day, CAST({behind} AS BIGINT) AS days_behind, \
             CAST('{}' AS TIMESTAMP) AS received_at, CAST(NULL AS BIGINT) AS observed, \
             CAST(NULL AS DOUBLE) AS expected, CAST(NULL AS VARCHAR) AS volume",
            match pulled.stale.is_empty() {
                true => bands(&behind.to_string()),
                // some of its tables were not renewed there, whatever the release says
                false => "'stale'".to_owned(),
            },
            pulled.pulled_at
        )
    };
    release.pulled.iter().map(row).collect()
}

/// The rows with the state `waived` and the reason where every day that is missing is known to be absent.
fn waived(rows: &str, waivers: &[Waiver], day: i32, today: i32) -> String {
    let cases = waivers
        .iter()
        .filter(|waiver| day <= waiver.last && today <= waiver.until)
        .filter_map(|waiver| {
            let (what, name) = match (&waiver.feed, &waiver.county) {
                (Some(feed), None) => ("feed", feed),
                (_, Some(county)) if waiver.calls => ("county", county),
                _ => return None,
            };
            let quoted = |text: &str| text.replace('\'', "''");
            Some(format!(
                "WHEN what = '{what}' AND name = '{}' AND arrow_cast(last_day, 'Int32') + 1 >= {} THEN '{}' ",
                quoted(name),
                waiver.first,
                quoted(&waiver.reason)
            ))
        });
    let reason = format!(
        "CAST(CASE WHEN state = 'fresh' THEN NULL {}END AS VARCHAR)",
        cases.collect::<String>()
    );
    format!(
        "SELECT what, name, CASE WHEN waived IS NULL THEN state ELSE 'waived' END AS state, last_day, days_behind, received_at, \
         observed, expected, volume, waived FROM (SELECT *, {reason} AS waived FROM ({rows}) AS f) AS w"
    )
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let release = opened.release(None).await?;
    let settings = &opened.site.settings;
    let zone = run::calendar(&opened.site)?;
    let today = zone.day_and_hour(SystemClock.now()).map_or(0, |(day, _)| day);
    let day = match &args.at {
        Some(text) => calendar::day(text).ok_or_else(|| fail(Kind::Input, "not_a_day", &[text]))?,
        None => today - 1,
    };
    // a past day is judged as on the day after it
    let today = today.min(day + 1);
    let waivers = waivers(&opened.site, &contracts(&opened.site)?)?;
    let limit = settings.limits.query_rows;
    let session = pinned::session(&opened.lake, Bounds::from(&settings.limits), &release).await?;
    let parts = [(feeds(day), "ops.ingest"), (counties(day), "indicator.data_health")];
    let there = parts.iter().filter(|(_, table)| release.tables.contains_key(*table));
    let shared = pulled(&release, &zone, day);
    let parts: Vec<&str> = there
        .map(|(sql, _)| sql.as_str())
        .chain(shared.iter().map(String::as_str))
        .collect();
    if parts.is_empty() {
        return Err(fail(Kind::Missing, "no_release_yet", &[]).hint("no_release_hint", &[]));
    }
    let all = waived(&parts.join(" UNION ALL "), &waivers, day, today);
    let table = session
        .query("freshness", &format!("{all} ORDER BY what DESC, name"), limit)
        .await?;
    args.output.write(&table, printer)?;
    let behind = format!(
        "SELECT DISTINCT arrow_cast(name, 'Utf8') AS name FROM ({all}) AS b WHERE state NOT IN ('fresh', 'waived') OR volume = 'low' ORDER BY name"
    );
    let late = session.query("freshness", &behind, limit).await?;
    let names = late
        .batches
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(fail(Kind::Check, "counties_behind", &[&names.join(", ")]).hint("counties_behind_hint", &[]))
}
