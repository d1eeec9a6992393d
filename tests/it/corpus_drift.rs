//! What sources do to their files over the years: each drift ends as the contract says, is told with
//! file and column, and never leaves values empty in silence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::Value;

use crate::support::{bare_site, run, select, text};

const CORPUS: &str = include_str!("corpus/drift.toml");
const THREADS: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    base: Base,
    case: Vec<Case>,
}

/// What holds where a case is silent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    contract: String,
    columns: Vec<String>,
    csv: String,
    ndjson: String,
}

/// One drift; the head of the corpus says what its fields mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    contract: String,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default = "csv")]
    format: String,
    #[serde(default = "utf_8")]
    encoding: String,
    first: Option<String>,
    second: String,
    exit: i32,
    counts: Option<[i64; 3]>,
    #[serde(default)]
    says: Vec<String>,
    #[serde(default)]
    unknown: String,
    #[serde(default)]
    rejects: Vec<String>,
    #[serde(default)]
    nulls: Vec<String>,
    holds: Option<Vec<String>>,
}

fn csv() -> String {
    "csv".to_owned()
}

fn utf_8() -> String {
    "utf-8".to_owned()
}

impl Case {
    /// The name of the file that drifted.
    fn drifted(&self) -> String {
        format!("second.{}", self.format)
    }

    fn contract(&self, base: &Base) -> String {
        let own = |line: &String| {
            let mut own = self.columns.iter();
            own.find(|own| column_name(own) == column_name(line)).cloned()
        };
        let columns: Vec<String> = base
            .columns
            .iter()
            .map(|line| own(line).unwrap_or_else(|| line.clone()))
            .collect();
        format!(
            "from = \"inbox/*.{}\"\nformat = \"{}\"\n{}{}\n[columns]\n{}\n",
            self.format,
            self.format,
            base.contract,
            self.contract,
            columns.join("\n")
        )
    }
}

fn column_name(line: &str) -> &str {
    line.split_once(" = ").expect("a column").0
}

/// A text with its repeated lines written out.
fn written(template: &str) -> String {
    let mut written = String::new();
    let mut number = 0;
    for line in template.split_inclusive('\n') {
        let Some((times, line)) = line.strip_prefix('*').and_then(|rest| rest.split_once(' ')) else {
            written.push_str(line);
            continue;
        };
        for _ in 0..times.parse::<usize>().expect("a number of lines") {
            number += 1;
            written.push_str(&line.replace('#', &format!("{number:02}")));
        }
    }
    written
}

/// What became of a case.
struct Found {
    exit: Option<i32>,
    said: String,
    /// Rows of the source table before and after the second file.
    before: Vec<Value>,
    after: Vec<Value>,
    accounts: Vec<Value>,
    rejects: Vec<Value>,
}

fn stored(site: &Path) -> Vec<Value> {
    let sql = "SELECT * FROM source.calls ORDER BY called_at, level, row_key";
    select(site, "source.calls", sql)
}

/// Ingests the file as it was, then the file that drifted, on a site of their own.
fn drift(base: &Base, case: &Case) -> Found {
    let (dir, contracts) = bare_site();
    let inbox = dir.path().join("inbox");
    std::fs::write(contracts.join("calls.toml"), case.contract(base)).expect("a contract");
    let usual = if case.format == "csv" { &base.csv } else { &base.ndjson };
    let first = written(case.first.as_ref().unwrap_or(usual));
    std::fs::write(inbox.join(format!("first.{}", case.format)), first).expect("a file");
    let site = dir.path().display().to_string();
    let output = run(&["--site", &site, "ingest"]);
    let name = &case.name;
    assert!(output.status.success(), "{name}, at first: {}", text(&output.stderr));
    let before = stored(dir.path());
    let encoding = encoding_rs::Encoding::for_label(case.encoding.as_bytes()).expect("an encoding");
    let second = written(&case.second);
    std::fs::write(inbox.join(case.drifted()), encoding.encode(&second).0).expect("a file");
    let output = run(&["--site", &site, "ingest"]);
    Found {
        exit: output.status.code(),
        said: text(&output.stderr),
        before,
        after: stored(dir.path()),
        accounts: select(dir.path(), "ops.ingest", "SELECT * FROM ops.ingest"),
        rejects: select(dir.path(), "ops.reject", "SELECT * FROM ops.reject"),
    }
}

/// Whether a word is said, and not as a part of another: the column `level` is not named by `levels`.
fn says(said: &str, word: &str) -> bool {
    let ends = |next: Option<char>| next.is_none_or(|next| !next.is_alphanumeric() && next != '_');
    let mut places = said.match_indices(word);
    places.any(|(at, _)| ends(said[..at].chars().next_back()) && ends(said[at + word.len()..].chars().next()))
}

fn count(account: &Value, name: &str) -> i64 {
    account[name].as_i64().unwrap_or(-1)
}

/// Adds what differs, with what was expected.
fn hold<T: PartialEq + std::fmt::Debug>(wrong: &mut Vec<String>, what: &str, found: &T, expected: &T) {
    if found != expected {
        wrong.push(format!("{what}: {found:?}, expected {expected:?}"));
    }
}

/// The account of a file that was stored, and its rows in the table.
fn check_stored(case: &Case, found: &Found, account: &Value, counts: [i64; 3], wrong: &mut Vec<String>) {
    let counted = ["accepted", "duplicate", "rejected"].map(|name| count(account, name));
    hold(wrong, "accepted, duplicate, rejected", &counted, &counts);
    let unknown = account["unknown_columns"].as_str().unwrap_or_default();
    hold(wrong, "unknown columns", &unknown, &case.unknown.as_str());
    let of_file = |row: &&Value| row["source_batch"] == account["batch"];
    let rows: Vec<&Value> = found.after.iter().filter(of_file).collect();
    hold(
        wrong,
        "rows of the file",
        &i64::try_from(rows.len()).unwrap_or(-1),
        &counts[0],
    );
    // where a value is missing, a row of the table has no field
    for column in ["call_no", "called_at", "level", "amount", "kind", "road"] {
        let empty = rows.iter().filter(|row| row[column].is_null()).count();
        if empty > 0 && !case.nulls.iter().any(|name| name == column) {
            wrong.push(format!("{empty} values of `{column}` are empty"));
        }
    }
}

/// Refused rows by column and reason, as the corpus writes them.
fn refused(rejects: &[Value]) -> Vec<String> {
    let mut refused: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for reject in rejects {
        let column = reject["column_name"].as_str().filter(|name| !name.is_empty());
        let reason = reject["reason"].as_str().unwrap_or_default();
        *refused.entry((column.unwrap_or("-"), reason)).or_default() += 1;
    }
    let line = |((column, reason), rows): (&(&str, &str), &usize)| format!("{column} {reason} {rows}");
    refused.iter().map(line).collect()
}

/// What of a case is not as expected.
fn check(case: &Case, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    let drifted = case.drifted();
    hold(&mut wrong, "exit code", &found.exit, &Some(case.exit));
    for word in case.says.iter().chain([&drifted]) {
        if !says(&found.said, word) {
            wrong.push(format!("\"{word}\" is not said"));
        }
    }
    for account in &found.accounts {
        let sum = ["accepted", "duplicate", "rejected"].map(|name| count(account, name));
        hold(
            &mut wrong,
            "rows read",
            &count(account, "read"),
            &sum.iter().sum::<i64>(),
        );
    }
    let of_file = |account: &&Value| account["file"].as_str().is_some_and(|file| file.ends_with(&drifted));
    let accounts: Vec<&Value> = found.accounts.iter().filter(of_file).collect();
    match (case.counts, &accounts[..]) {
        (Some(counts), [account]) => check_stored(case, found, account, counts, &mut wrong),
        (None, []) => hold(&mut wrong, "rows of the table", &found.after, &found.before),
        (expected, _) => wrong.push(format!("{} accounts of the file for {expected:?}", accounts.len())),
    }
    hold(&mut wrong, "refused rows", &refused(&found.rejects), &case.rejects);
    if let Some(holds) = &case.holds {
        let shown = |row: &Value| format!("{} {}", count(row, "level"), row["road"].as_str().unwrap_or_default());
        let rows: Vec<String> = found.after.iter().map(shown).collect();
        hold(&mut wrong, "rows that hold", &rows, holds);
    }
    wrong
}

#[test]
fn every_drift_ends_as_its_contract_says() {
    let corpus: Corpus = toml::from_str(CORPUS).expect("the corpus");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(case) = corpus.case.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = drift(&corpus.base, case);
            let differs = check(case, &found);
            if !differs.is_empty() {
                wrong.push(format!("{}\n  {}\n{}", case.name, differs.join("\n  "), found.said));
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let results = threads.into_iter().map(|thread| thread.join().expect("a thread"));
        results.flatten().collect()
    });
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        corpus.case.len(),
        wrong.join("\n")
    );
}
