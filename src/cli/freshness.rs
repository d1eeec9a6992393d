//! `fenghuo freshness`: how far behind each feed and each county is.

use std::path::Path;

use arrow::array::{Array, AsArray};

use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail};
use crate::model::pinned;

/// Show how far behind each feed and county is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

/// A row for each contract, as its files came, and one for each county, as its calls did. What stands in
/// the release counts, since that is what pages show.
const FEEDS: &str = "SELECT 'feed' AS what, contract AS name, CAST(NULL AS VARCHAR) AS state, max(last_day) AS last_day, \
    CAST(NULL AS BIGINT) AS days_behind, max(ingested_at) AS received_at, CAST(NULL AS BIGINT) AS observed, \
    CAST(NULL AS DOUBLE) AS expected, CAST(NULL AS VARCHAR) AS volume FROM ops.ingest WHERE action IN ('stored', 'resent') GROUP BY contract";
const COUNTIES: &str = "SELECT 'county', county, state, last_day, days_behind, CAST(NULL AS TIMESTAMP), observed, expected, volume \
    FROM indicator.data_health";

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let release = opened.release(None).await?;
    let limits = &opened.site.settings.limits;
    let session = pinned::session(&opened.lake, Bounds::from(limits), &release).await?;
    let there = |table: &str| release.tables.contains_key(table);
    let parts = [(FEEDS, "ops.ingest"), (COUNTIES, "indicator.data_health")];
    let parts: Vec<&str> = parts
        .iter()
        .filter(|(_, table)| there(table))
        .map(|(sql, _)| *sql)
        .collect();
    if parts.is_empty() {
        return Err(fail(Kind::Missing, "no_release_yet", &[]).hint("no_release_hint", &[]));
    }
    let sql = format!(
        "SELECT * FROM ({}) AS f ORDER BY what DESC, name",
        parts.join(" UNION ALL ")
    );
    let table = session.query("freshness", &sql, limits.query_rows).await?;
    args.output.write(&table, printer)?;
    let behind = "SELECT arrow_cast(county, 'Utf8') FROM indicator.data_health WHERE state <> 'fresh' OR volume = 'low' ORDER BY county";
    if there("indicator.data_health") {
        let late = session.query("freshness", behind, limits.query_rows).await?;
        let names = late.batches.iter().flat_map(|batch| {
            let names = batch.column(0).as_string::<i32>();
            (0..names.len())
                .map(|row| names.value(row).to_owned())
                .collect::<Vec<_>>()
        });
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            return Err(fail(Kind::Check, "counties_behind", &[&names.join(", ")]).hint("counties_behind_hint", &[]));
        }
    }
    Ok(())
}
