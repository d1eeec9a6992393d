//! `fenghuo warn`: the warnings of a release, and what was done about them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::DateTime;
use serde::de::DeserializeOwned;

use crate::audit::Entry;
use crate::cli::audit::Deed;
use crate::cli::backtest;
use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::output::{Output, texts};
use crate::cli::print::Printer;
use crate::engine::session::Table;
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::{Release, SHARED};
use crate::message::Language;
use crate::model::{Models, Product, pinned};
use crate::pipeline::pull::{OUTBOX, SENT};
use crate::time::{Clock, calendar, rfc3339};
use crate::warn::replay::{self, Remade, Told};
use crate::warn::table::{self, MOST_ROWS, WARNING};
use crate::warn::{Act, Action, INBOX, Outcome, lines};

/// Read warnings, and say what was done about them
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the warnings of the last days with what was done about them
    List {
        /// Days back from the newest warning
        #[arg(long = "days", id = "warn_days", value_name = "DAYS", default_value_t = 14)]
        days: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Show a warning with its evidence, its life and what it was made of
    Show {
        /// Name of the warning
        #[arg(id = "warning_id", value_name = "WARNING")]
        warning: String,
    },
    /// Make warnings again from what they were made of, and hold them against what was told
    Replay {
        /// Names of warnings; all that are open where none is given
        #[arg(id = "warning_ids", value_name = "WARNING")]
        warnings: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Run a rule again over days that have passed, each seeing only what was known then
    Backtest(backtest::Args),
    /// Say that a warning was seen
    Ack(Said),
    /// Say what came of a warning
    Close {
        #[command(flatten)]
        said: Said,
        /// With what it is closed
        #[arg(long = "as", id = "warn_result", value_name = "RESULT", value_enum)]
        result: Outcome,
    },
}

/// A warning and what is said of it.
#[derive(Debug, clap::Args)]
struct Said {
    /// Name of the warning
    #[arg(id = "warning_id", value_name = "WARNING")]
    warning: String,
    /// What others should know; no names, no numbers of persons
    #[arg(long = "note", id = "warn_note", value_name = "TEXT")]
    note: Option<String>,
}

/// A table of warnings: that of the site, or what a publisher raised.
struct Raised {
    table: String,
    publisher: Option<String>,
}

fn raised(release: &Release) -> Vec<Raised> {
    let tables = release.tables.keys().filter_map(|name| match name.as_str() {
        WARNING => Some((name, None)),
        name_of => {
            let shared = name_of.strip_prefix(SHARED)?.strip_prefix('.')?;
            let publisher = shared.strip_suffix(".county_warning")?;
            Some((name, Some(publisher.to_owned())))
        }
    });
    let tables = tables.map(|(table, publisher)| Raised {
        table: table.clone(),
        publisher,
    });
    tables.collect()
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    let release = opened.release(None).await?;
    let raised = raised(&release);
    let wanted: BTreeSet<&str> = raised.iter().map(|raised| raised.table.as_str()).collect();
    let bounds = Bounds::from(&opened.site.settings.limits);
    let wanted = |name: &str| wanted.contains(name);
    let session = pinned::session_on(&opened.lake, bounds, &release, wanted).await?;
    match &args.verb {
        Verb::List { days, output } => {
            session.register_batch("own.action", own(&opened, &raised)?)?;
            let rows = list(&opened, &session, &raised, *days, printer.language()).await?;
            output.write(&rows, printer)
        }
        Verb::Show { warning } => {
            session.register_batch("own.action", own(&opened, &raised)?)?;
            show(&opened, &session, &raised, warning, printer).await
        }
        Verb::Replay { warnings, output } => replay(&opened, &session, &raised, warnings, output, printer).await,
        Verb::Backtest(args) => backtest::run(args, &opened, &release, printer).await,
        Verb::Ack(said) => act(&opened, &session, &raised, said, (Act::Acknowledged, None), printer).await,
        Verb::Close { said, result } => {
            let closed = (Act::Closed, Some(*result));
            act(&opened, &session, &raised, said, closed, printer).await
        }
    }
}

/// All events of the release, and what was done here and is not in it yet.
fn events(raised: &[Raised], language: Language) -> Result<String> {
    if raised.is_empty() {
        return Err(fail(Kind::Missing, "warn_none", &[]).hint("warn_none_hint", &[]));
    }
    let suffix = language.pick("zh", "en");
    let each = raised.iter().map(|raised| {
        let by = raised.publisher.as_deref().unwrap_or_default();
        let result = match raised.publisher {
            None => "result",
            Some(_) => "CAST(NULL AS VARCHAR) AS result",
        };
        format!(
            "SELECT '{by}' AS raised_by, warning_id, rule, number, act, biz_date, county, grade, level, pool, \
             place_{suffix} AS place, reason_{suffix} AS reason, {result} FROM {}",
            raised.table
        )
    });
    let all = each.collect::<Vec<_>>().join(" UNION ALL ");
    // what was done here counts at once, before the city or the next night knows of it
    Ok(format!(
        "WITH told AS ({all}), done AS (\
           SELECT warning_id, act, result, row_number() OVER (ORDER BY acted_at) AS number FROM own.action), \
         event AS (\
           SELECT * FROM told UNION ALL \
           SELECT t.raised_by, d.warning_id, t.rule, 1000000000 + d.number, d.act, NULL, t.county, NULL, NULL, NULL, NULL, NULL, d.result \
           FROM done AS d JOIN told AS t ON t.warning_id = d.warning_id AND t.act = 'opened') "
    ))
}

async fn list(opened: &Opened, session: &Session, raised: &[Raised], days: u32, language: Language) -> Result<Table> {
    let sql = format!(
        "{}, life AS (SELECT raised_by, warning_id, \
           last_value(grade ORDER BY number) FILTER (WHERE grade IS NOT NULL) AS grade, \
           last_value(level ORDER BY number) FILTER (WHERE level IS NOT NULL) AS level, \
           last_value(act ORDER BY number) FILTER (WHERE act <> 'updated') AS state, \
           last_value(result ORDER BY number) AS result, \
           min(biz_date) AS since, max(biz_date) FILTER (WHERE act IN ('opened', 'updated')) AS last_day, \
           count(DISTINCT biz_date) FILTER (WHERE act IN ('opened', 'updated')) AS days, max(county) AS county, \
           last_value(place ORDER BY number) FILTER (WHERE place IS NOT NULL) AS place, \
           last_value(reason ORDER BY number) FILTER (WHERE reason IS NOT NULL) AS reason, max(pool) AS told_with \
           FROM event GROUP BY raised_by, warning_id) \
         SELECT raised_by, warning_id, since, last_day, days, grade, level, county, place, reason, state, result, told_with FROM life \
         WHERE last_day > (SELECT max(last_day) FROM life) - INTERVAL '{days} days' \
         ORDER BY last_day DESC, CASE grade WHEN 'red' THEN 1 WHEN 'orange' THEN 2 WHEN 'yellow' THEN 3 ELSE 4 END, warning_id",
        events(raised, language)?
    );
    session
        .query("warn", &sql, opened.site.settings.limits.query_rows)
        .await
}

/// The texts of a table, row by row.
fn cells(table: &Table) -> Result<Vec<Vec<String>>> {
    let broken = |cause| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let mut rows = Vec::new();
    for batch in &table.batches {
        let columns = batch.columns().iter();
        let columns = columns.map(|column| cast(column, &DataType::Utf8).map_err(broken));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cell = |column: &ArrayRef| match column.is_valid(row) {
                true => column.as_string::<i32>().value(row).to_owned(),
                false => String::new(),
            };
            rows.push(columns.iter().map(cell).collect());
        }
    }
    Ok(rows)
}

/// A warning, to be read at night: what, where, why, what to do; then its life, its evidence and its receipt.
async fn show(opened: &Opened, session: &Session, raised: &[Raised], warning: &str, printer: &Printer) -> Result<()> {
    let all = list(opened, session, raised, u32::MAX >> 12, printer.language()).await?;
    let found = cells(&all)?.into_iter().find(|row| row[1] == warning);
    let Some(row) = found else {
        return Err(unknown(warning));
    };
    let models = Models::load(&opened.site)?;
    let product = models.ordered.iter().filter_map(|model| model.product.as_ref());
    let product = product
        .filter(|product| warning.starts_with(&format!("{}-", product.name)))
        .max_by_key(|product| product.name.len());
    let language = printer.language();
    let title = |product: &Product| format!("{}\n", language.pick(&product.file.title_zh, &product.file.title_en));
    let mut page = product.map_or_else(String::new, title);
    let mut say = |key: &'static str, value: &str| {
        if !value.is_empty() {
            page.push_str(&printer.words(key, &[&value]));
            page.push('\n');
        }
    };
    for (key, at) in [
        ("warn_show_id", 1),
        ("warn_show_grade", 5),
        ("warn_show_level", 6),
        ("warn_show_place", 8),
        ("warn_show_reason", 9),
        ("warn_show_state", 10),
        ("warn_show_result", 11),
        ("warn_show_pool", 12),
    ] {
        say(key, &row[at]);
    }
    if let Some(Product { file, .. }) = product {
        say("warn_show_action", language.pick(&file.action_zh, &file.action_en));
        let card = &file.card;
        say(
            "warn_show_excluded",
            language.pick(&card.excluded_zh, &card.excluded_en),
        );
        say("warn_show_biases", language.pick(&card.biases_zh, &card.biases_en));
    }
    let name = warning.replace('\'', "''");
    let own = raised.iter().any(|raised| raised.publisher.is_none());
    if own {
        let sql = format!(
            "SELECT CAST(biz_date AS VARCHAR), act, grade, result, note, evidence, receipt, run_id FROM {WARNING} \
             WHERE warning_id = '{name}' ORDER BY number"
        );
        let lines = cells(&session.query("warn", &sql, MOST_ROWS).await?)?;
        say("warn_show_life", ":");
        for line in &lines {
            let said = [&line[1], &line[2], &line[3], &line[4]].map(String::as_str).join(" ");
            say("warn_show_event", &format!("{}  {}", line[0], said.trim_end()));
        }
        if let Some(line) = lines.iter().rev().find(|line| !line[5].is_empty()) {
            say("warn_show_evidence", &line[5]);
            let bounds = Bounds::from(&opened.site.settings.limits);
            let receipt = table::receipt(&opened.lake, bounds, &line[6]).await?;
            if let Some(receipt) = receipt {
                say("warn_show_receipt", &receipt.receipt);
                say("warn_show_inputs", &receipt.inputs);
                say("warn_show_parameters", &receipt.parameters);
                say("warn_show_functions", &receipt.functions);
                say("warn_show_program", &format!("{}, {}", receipt.program, line[7]));
            }
        }
    }
    printer.data(&page)
}

/// Makes warnings again; any that differs is a failure.
async fn replay(
    opened: &Opened,
    session: &Session,
    raised: &[Raised],
    warnings: &[String],
    output: &Output,
    printer: &Printer,
) -> Result<()> {
    if !raised.iter().any(|raised| raised.publisher.is_none()) {
        return Err(fail(Kind::Missing, "warn_none", &[]).hint("warn_none_hint", &[]));
    }
    let open = format!(
        "SELECT warning_id FROM {WARNING} GROUP BY warning_id \
         HAVING last_value(act ORDER BY number) FILTER (WHERE act <> 'updated') IN ('opened', 'acknowledged')"
    );
    let sql = format!(
        "SELECT warning_id, CAST(biz_date AS VARCHAR), unit, evidence, receipt FROM {WARNING} WHERE evidence IS NOT NULL ORDER BY number"
    );
    let all = cells(&session.query("warn", &sql, MOST_ROWS).await?)?;
    let wanted: BTreeSet<String> = match warnings {
        [] => {
            let open = cells(&session.query("warn", &open, MOST_ROWS).await?)?;
            open.into_iter().map(|mut row| row.swap_remove(0)).collect()
        }
        named => named.iter().cloned().collect(),
    };
    if let Some(strange) = wanted.iter().find(|name| !all.iter().any(|row| row[0] == **name)) {
        // one under which others are told has no evidence of its own
        if !warnings.is_empty() {
            return Err(unknown(strange));
        }
    }
    let mut told = Vec::new();
    let rows = all.into_iter().filter(|row| wanted.contains(&row[0]));
    for row in rows {
        let day = calendar::day(&row[1]).ok_or_else(|| unknown(&row[0]))?;
        told.push(Told {
            warning_id: row[0].clone(),
            day,
            unit: row[2].clone(),
            evidence: row[3].clone(),
            receipt: row[4].clone(),
        });
    }
    let bounds = Bounds::from(&opened.site.settings.limits);
    let remade = replay::again(&opened.lake, bounds, &told).await?;
    let texts_of = |of: &dyn Fn(&Remade) -> String| texts(remade.iter().map(of).collect());
    output.columns(
        vec![
            ("warning_id", texts_of(&|one| one.told.warning_id.clone())),
            ("biz_date", texts_of(&|one| calendar::text(one.told.day))),
            (
                "replay",
                texts_of(&|one| if one.same() { "same" } else { "differs" }.to_owned()),
            ),
            ("told", texts_of(&|one| one.told.evidence.clone())),
            ("now", texts_of(&|one| one.now.clone().unwrap_or_default())),
            ("receipt", texts_of(&|one| one.receipt.receipt.clone())),
        ],
        printer,
    )?;
    let differs = remade.iter().filter(|one| !one.same()).count();
    match differs {
        0 => {
            printer.say("replay_same", &[&remade.len()]);
            Ok(())
        }
        differs => Err(fail(Kind::Check, "replay_differs", &[&differs, &remade.len()])),
    }
}

fn unknown(warning: &str) -> crate::Error {
    fail(Kind::Missing, "warn_unknown", &[&warning]).hint("warn_unknown_hint", &[])
}

/// The actions that were taken here and lie in files, whether they have left or not.
fn own(opened: &Opened, raised: &[Raised]) -> Result<RecordBatch> {
    let outboxes = raised.iter().filter_map(|raised| raised.publisher.as_ref());
    let outboxes = outboxes.map(|share| opened.site.path(OUTBOX).join(share));
    let folders = outboxes.flat_map(|folder| [folder.join(SENT), folder]);
    let mut actions: Vec<Action> = Vec::new();
    for folder in folders.chain([opened.site.path(INBOX)]) {
        let read: Vec<Action> = laid(&folder)?;
        actions.extend(
            read.into_iter()
                .filter(|action| DateTime::parse_from_rfc3339(&action.acted_at).is_ok()),
        );
    }
    let word =
        |of: fn(&Action) -> Option<String>| -> ArrayRef { Arc::new(actions.iter().map(of).collect::<StringArray>()) };
    let written = |value: serde_json::Result<serde_json::Value>| Some(value.ok()?.as_str()?.to_owned());
    let acts = actions.iter().map(|action| written(serde_json::to_value(action.act)));
    let results = actions
        .iter()
        .map(|action| written(serde_json::to_value(action.result)));
    let columns = [
        ("warning_id", word(|action| Some(action.warning_id.clone()))),
        ("act", Arc::new(acts.collect::<StringArray>()) as ArrayRef),
        ("result", Arc::new(results.collect::<StringArray>())),
        ("acted_at", word(|action| Some(action.acted_at.clone()))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .map_err(|cause| fail(Kind::Bug, "batch_shape", &[]).because(cause))
}

/// Lays an action down where it belongs: in the site's own feed, and for what a publisher raised, in what goes back.
async fn act(
    opened: &Opened,
    session: &Session,
    raised: &[Raised],
    said: &Said,
    done: (Act, Option<Outcome>),
    printer: &Printer,
) -> Result<()> {
    let (now, pack) = (SystemClock.now(), opened.site.settings.site.identifier_pack);
    let mut laid: Vec<(PathBuf, String)> = Vec::new();
    for raised in raised {
        let Some(county) = county(session, &raised.table, &said.warning).await? else {
            continue;
        };
        let action = Action::new(
            (&said.warning, &county),
            done,
            (said.note.as_deref(), pack),
            &rfc3339(now),
        )?;
        let (folder, name) = match &raised.publisher {
            None => (opened.site.path(INBOX), format!("own-{}.ndjson", action.action_id)),
            Some(share) => (
                opened.site.path(OUTBOX).join(share),
                format!("{}.ndjson", action.action_id),
            ),
        };
        laid.push((folder.join(name), lines(&[action])?));
    }
    if laid.is_empty() {
        return Err(unknown(&said.warning));
    }
    let entry = Entry {
        act: "warn.action".to_owned(),
        object: said.warning.clone(),
        ..Entry::default()
    };
    let deed = Deed::begin(opened, vec![entry])?;
    let written = laid.iter().try_for_each(|(path, text)| lay(path, text));
    deed.end(written.is_ok())?;
    written?;
    for (path, _) in &laid {
        printer.say("warn_laid", &[&said.warning, &path.display()]);
    }
    Ok(())
}

/// The county of a warning, where the table has it.
async fn county(session: &Session, table: &str, warning: &str) -> Result<Option<String>> {
    let name = warning.replace('\'', "''");
    let sql = format!("SELECT county FROM {table} WHERE warning_id = '{name}' AND county IS NOT NULL LIMIT 1");
    let found = session.query("warn", &sql, 1).await?;
    Ok(cells(&found)?.into_iter().flatten().next())
}

/// What lies in the files of a folder, a line each; nothing where there is no folder.
pub(super) fn laid<L: DeserializeOwned>(folder: &Path) -> Result<Vec<L>> {
    let entries = match std::fs::read_dir(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|cause| io_error(folder, &cause))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|cause| io_error(folder, &cause))?.path();
        if path.extension().is_some_and(|ending| ending == "ndjson") {
            let text = std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?;
            // a line that is none is told by whoever reads the file for good
            found.extend(text.lines().filter_map(|line| serde_json::from_str::<L>(line).ok()));
        }
    }
    Ok(found)
}

/// Writes a file whole or not at all.
pub(super) fn lay(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    let staged = path.with_extension("part");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&staged, text))
        .and_then(|()| std::fs::rename(&staged, path))
        .map_err(|cause| io_error(path, &cause))
}
