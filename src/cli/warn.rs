//! `fenghuo warn`: the warnings of a release, and what was done about them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::DateTime;

use crate::audit::Entry;
use crate::cli::audit::Deed;
use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail, io_error};
use crate::lake::{Release, SHARED};
use crate::model::pinned;
use crate::pipeline::pull::{OUTBOX, SENT};
use crate::time::{Clock, rfc3339};
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
        "warning.surge" => Some((name, None)),
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
    let done = "core.warning_action";
    let bounds = Bounds::from(&opened.site.settings.limits);
    let wanted = |name: &str| wanted.contains(name) || name == done;
    let session = pinned::session_on(&opened.lake, bounds, &release, wanted).await?;
    match &args.verb {
        Verb::List { days, output } => {
            let known = release.tables.contains_key(done);
            session.register_batch("own.action", own(&opened, &raised)?)?;
            list(&opened, &session, &raised, (*days, known), output, printer).await
        }
        Verb::Ack(said) => act(&opened, &session, &raised, said, (Act::Acknowledged, None), printer).await,
        Verb::Close { said, result } => {
            let closed = (Act::Closed, Some(*result));
            act(&opened, &session, &raised, said, closed, printer).await
        }
    }
}

async fn list(
    opened: &Opened,
    session: &Session,
    raised: &[Raised],
    (days, known): (u32, bool),
    output: &Output,
    printer: &Printer,
) -> Result<()> {
    if raised.is_empty() {
        return Err(fail(Kind::Missing, "warn_none", &[]).hint("warn_none_hint", &[]));
    }
    let each = raised.iter().map(|raised| {
        let by = raised.publisher.as_deref().unwrap_or_default();
        format!(
            "SELECT '{by}' AS raised_by, warning_id, biz_date, county, area, category, grade, observed, expected FROM {}",
            raised.table
        )
    });
    let all = each.collect::<Vec<_>>().join(" UNION ALL ");
    // what was done here counts at once, before the city or the next night knows of it
    let own = "SELECT warning_id, act, result, CAST(acted_at AS TIMESTAMP) AS acted_at FROM own.action";
    let acts = match known {
        true => format!(
            "{own} UNION ALL SELECT warning_id, act, result, CAST(acted_at AS TIMESTAMP) FROM core.warning_action"
        ),
        false => own.to_owned(),
    };
    let last = "SELECT warning_id, last_value(act ORDER BY acted_at) AS act, \
                last_value(result ORDER BY acted_at) AS result FROM acts GROUP BY warning_id";
    let sql = format!(
        "WITH w AS ({all}), acts AS ({acts}), a AS ({last}) SELECT w.*, coalesce(a.act, 'open') AS state, a.result FROM w \
         LEFT JOIN a ON a.warning_id = w.warning_id \
         WHERE w.biz_date > (SELECT max(biz_date) FROM w) - INTERVAL '{days} days' ORDER BY w.biz_date DESC, w.warning_id"
    );
    let rows = opened.site.settings.limits.query_rows;
    output.write(&session.query("warn", &sql, rows).await?, printer)
}

/// The actions that were taken here and lie in files, whether they have left or not.
fn own(opened: &Opened, raised: &[Raised]) -> Result<RecordBatch> {
    let outboxes = raised.iter().filter_map(|raised| raised.publisher.as_ref());
    let outboxes = outboxes.map(|share| opened.site.path(OUTBOX).join(share));
    let folders = outboxes.flat_map(|folder| [folder.join(SENT), folder]);
    let mut actions: Vec<Action> = Vec::new();
    for folder in folders.chain([opened.site.path(INBOX)]) {
        let entries = match std::fs::read_dir(&folder) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|cause| io_error(&folder, &cause))?,
        };
        for entry in entries {
            let path = entry.map_err(|cause| io_error(&folder, &cause))?.path();
            if path.extension().is_some_and(|ending| ending == "ndjson") {
                let text = std::fs::read_to_string(&path).map_err(|cause| io_error(&path, &cause))?;
                // a line that is no action is told by whoever reads the file for good
                let read = text
                    .lines()
                    .filter_map(|line| serde_json::from_str::<Action>(line).ok());
                actions.extend(read.filter(|action| DateTime::parse_from_rfc3339(&action.acted_at).is_ok()));
            }
        }
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
        return Err(fail(Kind::Missing, "warn_unknown", &[&said.warning]).hint("warn_unknown_hint", &[]));
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
    let sql = format!("SELECT county FROM {table} WHERE warning_id = '{name}' LIMIT 1");
    let found = session.query("warn", &sql, 1).await?;
    let batch = found.batches.iter().find(|batch| batch.num_rows() > 0);
    let broken = |cause| fail(Kind::Bug, "batch_shape", &[]).because(cause);
    let Some(batch) = batch else { return Ok(None) };
    let text = cast(batch.column(0), &DataType::Utf8).map_err(broken)?;
    Ok(Some(text.as_string::<i32>().value(0).to_owned()))
}

fn lay(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    let staged = path.with_extension("part");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&staged, text))
        .and_then(|()| std::fs::rename(&staged, path))
        .map_err(|cause| io_error(path, &cause))
}
