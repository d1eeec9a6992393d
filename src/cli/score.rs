//! The demo's verdict: the account of every feed against the truth, planted surges found and
//! missed, decoys raised.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde_json::Value;

use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::engine::Bounds;
use crate::engine::session::{Session, Table};
use crate::error::{Kind, Result, fail, io_error};
use crate::model::pinned;

/// What the demo prints, and whether every feed's account equals the truth.
#[derive(Debug)]
pub(super) struct Verdict {
    pub text: String,
    pub agrees: bool,
}

/// Rows of one feed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    read: u64,
    accepted: u64,
    duplicate: u64,
    rejected: BTreeMap<String, u64>,
}

/// One warning: street, category, day.
type Warning = (String, String, String);

pub(super) fn read_truth(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).map_err(|cause| io_error(path, &cause))?;
    serde_json::from_slice(&bytes).map_err(|cause| fail(Kind::Input, "truth_broken", &[&path.display()]).because(cause))
}

pub(super) async fn score(opened: &Opened, truth: &Path, printer: &Printer) -> Result<Verdict> {
    let truth = read_truth(truth)?;
    let release = opened.release(None).await?;
    let limits = &opened.site.settings.limits;
    let session = pinned::session(&opened.lake, Bounds::from(limits), &release).await?;
    let found = accounts(&session).await?;
    let mut verdict = Verdict {
        text: String::new(),
        agrees: true,
    };
    feeds(&truth, &found, &mut verdict, printer);
    let warnings = warnings(&session).await?;
    surges(&truth, &warnings, &mut verdict, printer);
    Ok(verdict)
}

async fn query(session: &Session, sql: &str) -> Result<Table> {
    session.query("demo", sql, 1_000_000).await
}

fn texts(table: &Table, column: usize) -> Vec<String> {
    let cast = |batch: &arrow::array::RecordBatch| {
        arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8)
    };
    table
        .batches
        .iter()
        .filter_map(|batch| cast(batch).ok())
        .flat_map(|array| {
            array
                .as_string::<i32>()
                .iter()
                .map(|text| text.unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn numbers(table: &Table, column: usize) -> Vec<u64> {
    let of = |batch: &arrow::array::RecordBatch| batch.column(column).as_primitive::<Int64Type>().values().to_vec();
    table.batches.iter().flat_map(of).map(i64::cast_unsigned).collect()
}

async fn accounts(session: &Session) -> Result<BTreeMap<String, Account>> {
    let table = query(
        session,
        "SELECT table_name, read, accepted, duplicate, reasons FROM ops.ingest",
    )
    .await?;
    let columns = (
        numbers(&table, 1),
        numbers(&table, 2),
        numbers(&table, 3),
        texts(&table, 4),
    );
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for (at, name) in texts(&table, 0).iter().enumerate() {
        let account = accounts
            .entry(name.trim_start_matches("source.").to_owned())
            .or_default();
        account.read += columns.0[at];
        account.accepted += columns.1[at];
        account.duplicate += columns.2[at];
        let reasons: BTreeMap<String, u64> = serde_json::from_str(&columns.3[at]).unwrap_or_default();
        for (reason, rows) in reasons {
            *account.rejected.entry(reason).or_insert(0) += rows;
        }
    }
    Ok(accounts)
}

fn feeds(truth: &Value, found: &BTreeMap<String, Account>, verdict: &mut Verdict, printer: &Printer) {
    let _ = writeln!(verdict.text, "{}", printer.words("demo_feeds", &[]));
    let _ = writeln!(
        verdict.text,
        "{:<14} {:>10} {:>10} {:>9} {:>8}  reasons",
        "feed", "read", "accepted", "duplicate", "rejected"
    );
    let Some(expected) = truth["feeds"].as_object() else {
        verdict.agrees = false;
        return;
    };
    for (feed, expected) in expected {
        let number = |key: &str| expected[key].as_u64().unwrap_or(0);
        let reasons = expected["rejected"].as_object().into_iter().flatten();
        let expected = Account {
            read: number("read"),
            accepted: number("accepted"),
            duplicate: number("duplicate"),
            rejected: reasons
                .filter_map(|(reason, rows)| Some((reason.clone(), rows.as_u64().filter(|rows| *rows > 0)?)))
                .collect(),
        };
        let empty = Account::default();
        let account = found.get(feed).unwrap_or(&empty);
        let reasons = account
            .rejected
            .iter()
            .map(|(reason, rows)| format!("{reason} {rows}"))
            .collect::<Vec<_>>()
            .join(", ");
        let mark = if *account == expected { "= truth" } else { "≠ truth" };
        let rejected: u64 = account.rejected.values().sum();
        let _ = writeln!(
            verdict.text,
            "{feed:<14} {:>10} {:>10} {:>9} {rejected:>8}  {mark} {reasons}",
            account.read, account.accepted, account.duplicate
        );
        if *account != expected {
            verdict.agrees = false;
            let _ = writeln!(verdict.text, "{:<14} expected {expected:?}", "");
        }
    }
}

async fn warnings(session: &Session) -> Result<Vec<Warning>> {
    let table = query(
        session,
        "SELECT area, category, CAST(biz_date AS VARCHAR) AS day FROM warning.surge",
    )
    .await?;
    let (categories, days) = (texts(&table, 1), texts(&table, 2));
    Ok(texts(&table, 0)
        .into_iter()
        .zip(categories)
        .zip(days)
        .map(|((area, category), day)| (area, category, day))
        .collect())
}

/// Whether a warning is about a planted event: its street, its category, one of its days.
fn is_about(warning: &Warning, planted: &Value) -> bool {
    let text = |key: &str| planted[key].as_str().unwrap_or_default();
    warning.0 == text("area")
        && warning.1 == text("category")
        && *warning.2 >= *text("first_day")
        && *warning.2 <= *text("last_day")
}

fn surges(truth: &Value, warnings: &[Warning], verdict: &mut Verdict, printer: &Printer) {
    let list = |key: &str| truth[key].as_array().cloned().unwrap_or_default();
    let planted = list("surges");
    let found = planted
        .iter()
        .filter(|surge| warnings.iter().any(|warning| is_about(warning, surge)))
        .count();
    let _ = writeln!(
        verdict.text,
        "\n{}",
        printer.words("demo_surges", &[&planted.len(), &found, &(planted.len() - found)])
    );
    for missed in planted
        .iter()
        .filter(|surge| !warnings.iter().any(|warning| is_about(warning, surge)))
    {
        let (area, category, day) = (&missed["area"], &missed["category"], &missed["first_day"]);
        let _ = writeln!(
            verdict.text,
            "  {}",
            printer.words("demo_missed", &[area, category, day])
        );
    }
    let decoys = list("decoys");
    for decoy in &decoys {
        let kind = decoy["kind"].as_str().unwrap_or_default();
        let raised = warnings.iter().filter(|warning| raises(warning, decoy)).count();
        let _ = writeln!(verdict.text, "  {}", printer.words("demo_decoy", &[&kind, &raised]));
    }
    let events: Vec<Value> = ["surges", "clusters", "near_repeat_chains"]
        .iter()
        .flat_map(|key| list(key))
        .collect();
    let others = warnings.iter().filter(|warning| {
        !events.iter().any(|event| is_about(warning, event)) && !decoys.iter().any(|decoy| raises(warning, decoy))
    });
    let _ = writeln!(
        verdict.text,
        "  {}\n",
        printer.words("demo_others", &[&others.count(), &warnings.len()])
    );
}

/// Whether a warning was raised by a decoy.
fn raises(warning: &Warning, decoy: &Value) -> bool {
    let text = |key: &str| decoy[key].as_str().unwrap_or_default();
    match text("kind") {
        "holiday_noise" => {
            let days = decoy["days"].as_array().into_iter().flatten();
            warning.1 == text("category") && days.filter_map(Value::as_str).any(|day| day == warning.2)
        }
        "merged_station" => {
            // within the 15 weeks in which the baseline still remembers the time before
            let day = |text: &str| text.parse::<chrono::NaiveDate>().ok();
            let since = day(text("first_day"))
                .zip(day(&warning.2))
                .map(|(first, day)| (day - first).num_days());
            warning.0 == text("into_area") && since.is_some_and(|days| (0..=105).contains(&days))
        }
        "bulk_callers" | "assembly_as_noise" => is_about(warning, &decoy["at"]),
        _ => false,
    }
}
