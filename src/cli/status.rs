//! `fenghuo status`: last night on one screen.

use crate::cli::clock::SystemClock;
use crate::cli::open::At;
use crate::cli::output::drawn;
use crate::cli::print::Printer;
use crate::cli::run::switched_off;
use crate::engine::Bounds;
use crate::error::Result;
use crate::model::pinned;
use crate::pipeline::files::contracts;
use crate::pipeline::leftovers::leftovers;
use crate::pipeline::notify::Teller;
use crate::pipeline::record;
use crate::time::Clock;

/// Show the last run, the release and its warnings on one screen
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Each part of the screen: its title in the catalogue, its tables, its query.
const PARTS: [(&str, &[&str], &str); 3] = [
    (
        "status_runs",
        &["ops.run"],
        "SELECT run_id, pipeline, act, status, release, \
         CAST((arrow_cast(ended_at, 'Int64') - arrow_cast(started_at, 'Int64')) / 1000000 AS BIGINT) AS seconds \
         FROM ops.run ORDER BY started_at DESC LIMIT 5",
    ),
    (
        "status_feeds",
        &["ops.ingest"],
        "SELECT table_name, count(*) AS files, sum(read) AS read, sum(accepted) AS accepted, sum(duplicate) AS duplicate, \
         sum(rejected) AS rejected, max(last_day) AS last_day FROM ops.ingest GROUP BY table_name ORDER BY table_name",
    ),
    (
        "status_warnings",
        &["warning.surge"],
        "SELECT biz_date, grade, place_zh, category_zh, observed, expected FROM warning.surge \
         WHERE biz_date > (SELECT max(biz_date) FROM warning.surge) - INTERVAL '7 days' ORDER BY biz_date DESC, observed DESC LIMIT 10",
    ),
];

pub(super) async fn run(_: &Args, at: At<'_>, printer: &Printer) -> Result<()> {
    let opened = at.look()?;
    let release = opened.release(None).await?;
    let limits = &opened.site.settings.limits;
    let session = pinned::session(&opened.lake, Bounds::from(limits), &release).await?;
    let digest = release.digest.get(..16).unwrap_or_default();
    let mut screen = format!(
        "{}\n",
        printer.words(
            "status_release",
            &[&release.release, &release.made_at, &release.tables.len(), &digest]
        )
    );
    for (share, pulled) in &release.pulled {
        let words: [&dyn std::fmt::Display; 4] = [share, &pulled.release, &pulled.made_at, &pulled.pulled_at];
        screen.push_str(&format!("{}\n", printer.words("status_pulled", &words)));
    }
    for (run_id, lines) in opened.lake.journals()? {
        // of a run under way, or of one that was cut off: the lease tells which
        if let Some((head, steps)) = record::told(&lines) {
            let free = opened.lake.lease("site", 0).await.is_ok();
            let key = if free { "status_cut_off" } else { "status_runs_now" };
            let step = steps.last().map(|step| step.name.as_str()).unwrap_or_default();
            screen.push_str(&format!(
                "{}\n",
                printer.words(key, &[&run_id, &head.pipeline, &steps.len(), &step])
            ));
        }
    }
    let teller = Teller {
        site: &opened.site,
        lake: &opened.lake,
        now: SystemClock.now(),
        run_id: "",
    };
    for text in teller.texts(printer.language()).await? {
        screen.push_str(&format!("{text}\n"));
    }
    // a site that has only pulled has no run yet
    let has_run = opened.lake.table("ops.run").await?.is_some();
    let there = |table: &str| release.tables.contains_key(table) || (table == "ops.run" && has_run);
    for (title, tables, sql) in PARTS {
        if !tables.iter().all(|table| there(table)) {
            continue;
        }
        let table = session.query("status", sql, limits.query_rows).await?;
        if table.rows() == 0 {
            continue;
        }
        let text = drawn(&table, printer.width())?;
        screen.push_str(&format!("\n{}\n{text}\n", printer.words(title, &[])));
    }
    let contracts = contracts(&opened.site)?;
    let lying = leftovers(&opened.site, &opened.lake, &contracts, SystemClock.now()).await?;
    if !lying.is_empty() {
        screen.push_str(&format!("\n{}\n", printer.words("status_lying", &[])));
        for ((contract, lying), heap) in lying {
            screen.push_str(&format!(
                "  {:<8} {:>6}  {:>14}  {contract}\n",
                lying.word(),
                heap.files,
                heap.bytes
            ));
        }
    }
    for line in switched_off(&release.off, printer) {
        screen.push_str(&format!("{line}\n"));
    }
    printer.data(&screen)
}
