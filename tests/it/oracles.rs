//! The numbers of the reference packages: what the functions give in SQL is held against tables that those made.
//!
//! Synthetic cases lie in `tests/oracle`; data of others is read beside the checkout, where it is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use fenghuo::engine::{Bounds, Session};
use serde_json::Value;

use crate::support::as_json;

pub type Row = BTreeMap<String, String>;

/// The rows of a table as texts; what is blank or no number is absent.
pub fn table(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).expect("a table");
    let names = reader.headers().expect("a header").clone();
    let read = |record: csv::Result<csv::StringRecord>| {
        let record = record.expect("a row");
        let cells = names
            .iter()
            .zip(&record)
            .filter(|(_, cell)| !cell.is_empty() && *cell != "NaN");
        cells.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(read).collect()
}

pub fn number(row: &Row, name: &str) -> Option<f64> {
    Some(row.get(name)?.parse().expect("a number"))
}

/// The folders of a kind of case: those of the repository, and those of others beside the checkout.
pub fn cases(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let mut found = list(root.join("tests/oracle").join(kind));
    assert!(!found.is_empty(), "no case of {kind}");
    let others = list(root.join("../shared/oracle").join(kind));
    let others: Vec<PathBuf> = others
        .into_iter()
        .filter(|path| path.display().to_string().contains("thirdparty_"))
        .collect();
    if others.is_empty() {
        println!("SKIPPED: data of others for {kind} is absent; these cases run beside the checkout");
    }
    found.extend(others);
    found.sort();
    found
}

/// Rows of a query over a series `s(t, y)`, `y` being the column `name`.
fn ask(series: &[Row], name: &str, sql: &str) -> Vec<Value> {
    answer(series, name, sql).unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// Why a query over a series is refused.
fn refused(series: &[Row], sql: &str) -> String {
    answer(series, "y", sql).expect_err("it was answered")
}

fn answer(series: &[Row], name: &str, sql: &str) -> Result<Vec<Value>, String> {
    let slots: Vec<i64> = series.iter().map(|row| row["t"].parse().expect("a slot")).collect();
    let counts: Vec<Option<f64>> = series.iter().map(|row| number(row, name)).collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("t", Arc::new(Int64Array::from(slots))),
        ("y", Arc::new(Float64Array::from(counts))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        });
        let session = session.expect("a session");
        session.register_batch("data.s", batch.expect("rows")).expect("a table");
        let found = session.query("test", sql, 1_000_000).await;
        let told = |error: fenghuo::Error| error.render(fenghuo::message::Language::English);
        found.map(|found| as_json(&found.batches)).map_err(told)
    })
}

/// The part of a file's name between two marks.
fn part<'n>(name: &'n str, from: &str, to: &str) -> &'n str {
    let rest = name.split_once(from).expect("a mark").1;
    rest.split_once(to).expect("a mark").0
}

#[test]
fn ears_gives_the_limits_of_r_surveillance() {
    let (mut rows, mut flat, mut worst) = (0, 0, 0.0_f64);
    for case in cases("ears") {
        let series = table(&case.join("input.csv"));
        for entry in std::fs::read_dir(&case).expect("a folder").flatten() {
            let name = entry.file_name().display().to_string();
            if !name.starts_with("expected_b") {
                continue;
            }
            let options = format!(
                "{{'baseline': {}, 'alpha': {}, 'min_sigma': {}}}",
                part(&name, "_b", "_"),
                part(&name, "_a", "_"),
                part(&name, "_s", ".csv")
            );
            let expected = table(&entry.path());
            for method in ["C1", "C2", "C3"] {
                let function = format!("ears_{}", method.to_lowercase());
                let sql = format!(
                    "SELECT t, e['upper'] AS upper, e['alarm'] AS alarm, e['reason'] AS reason FROM \
                     (SELECT t, {function}(t, y, {options}) OVER (ORDER BY t) AS e FROM data.s) AS s"
                );
                let found: BTreeMap<i64, Value> = ask(&series, "observed", &sql)
                    .into_iter()
                    .map(|row| (row["t"].as_i64().expect("a slot"), row))
                    .collect();
                let own = expected.iter().filter(|row| row["method"] == method);
                for row in own {
                    let seen = &found[&row["t"].parse::<i64>().expect("a slot")];
                    let at = format!("{} {method} t = {}: {seen} for {row:?}", case.display(), row["t"]);
                    rows += 1;
                    // without deviation the package gives a limit of its own making; we say that there is none
                    if seen["reason"] == "flat" {
                        flat += 1;
                        assert!(name.contains("_s0.csv") && seen["alarm"].is_null(), "{at}");
                        continue;
                    }
                    let upper = number(row, "upperbound").unwrap_or(f64::NAN);
                    let off = (seen["upper"].as_f64().unwrap_or(f64::NAN) - upper).abs();
                    assert!(off <= 1e-9 * upper.abs().max(1.0), "{at}");
                    worst = worst.max(off);
                    assert_eq!(seen["alarm"].to_string(), row["alarm"], "{at}");
                }
                // what the package leaves out is not defined here either
                let first = found.values().find(|row| row["reason"].is_null()).expect("a verdict");
                let begins = expected
                    .iter()
                    .filter(|row| row["method"] == method && row.contains_key("upperbound"));
                assert_eq!(
                    first["t"].to_string(),
                    begins.clone().next().expect("a row")["t"],
                    "{name} {method}"
                );
            }
        }
    }
    println!("ears: {rows} limits, {flat} of them flat, worst difference {worst:e}");
    assert!(rows > 3_000 && flat * 10 < rows);
}

/// The options of a variant in SQL.
fn farrington_options(params: &Value) -> String {
    let method = match params["thresholdMethod"].as_str() {
        Some("nbPlugin") => "nb_plugin",
        Some(other) => other,
        None => panic!("no method"),
    };
    let of = |key: &str| params[key].to_string();
    format!(
        "'b': {}, 'w': {}, 'periods': {}, 'left_out': {}, 'cut': {}, 'trend_level': {}, 'alpha': {}, \
         'least_events': {}, 'method': '{method}'",
        of("b"),
        of("w"),
        of("noPeriods"),
        of("pastWeeksNotIncluded"),
        of("weightsThreshold"),
        of("pThresholdTrend"),
        of("alpha"),
        params["limit54"][0],
    )
}

/// How far two numbers are apart, as a share of the larger and of a floor.
pub fn apart(found: &Value, expected: Option<f64>, floor: f64) -> f64 {
    match (found.as_f64(), expected) {
        (None, None) => 0.0,
        (Some(found), Some(expected)) => (found - expected).abs() / expected.abs().max(floor),
        _ => f64::INFINITY,
    }
}

#[test]
fn farrington_gives_the_limits_of_r_surveillance_as_shipped_and_as_corrected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/farrington/params.json");
    let params: Value = serde_json::from_slice(&std::fs::read(root).expect("options")).expect("JSON");
    let (mut rows, mut worst) = (0, BTreeMap::new());
    for case in cases("farrington") {
        let input = table(&case.join("input.csv"));
        for (variant, options) in params.as_object().expect("options") {
            for (suffix, compat) in [("_corrected", "corrected"), ("", "r")] {
                let expected = table(&case.join(format!("expected_{variant}{suffix}.csv")));
                // whole numbers are met exactly; the package's fit ends early as it is shipped
                let exact = compat == "corrected";
                let bounds = if exact {
                    [1e-7, 1e-7, 1e-6, 2e-6, 1e-6]
                } else {
                    [1e-4, 1e-4, 1e-3, 1e-3, 1e-3]
                };
                let mut series: Vec<&String> = expected.iter().map(|row| &row["series"]).collect();
                series.dedup();
                for name in series {
                    let sql = format!(
                        "SELECT t, f['upper'] AS upper, f['expected'] AS expected, f['phi'] AS phi, f['p'] AS p, \
                         f['trend'] AS trend, f['alarm'] AS alarm, f['score'] AS score FROM (SELECT t, \
                         farrington(t, y, {{{}, 'compat': '{compat}'}}) OVER (ORDER BY t) AS f FROM data.s) AS s",
                        farrington_options(options)
                    );
                    let found: BTreeMap<String, Value> = ask(&input, name, &sql)
                        .into_iter()
                        .map(|row| (row["t"].to_string(), row))
                        .collect();
                    for row in expected.iter().filter(|row| row["series"] == *name) {
                        let seen = &found[&row["t"]];
                        let at = format!("{} {variant}{suffix} {name}: {seen} for {row:?}", case.display());
                        let few = !row.contains_key("upperbound");
                        let off = [
                            apart(&seen["upper"], number(row, "upperbound"), 1.0),
                            // the package leaves out the forecast where it gives no bound
                            if few {
                                0.0
                            } else {
                                apart(&seen["expected"], number(row, "expected"), 1e-3)
                            },
                            apart(&seen["phi"], number(row, "phi"), 1.0),
                            (seen["p"].as_f64().expect("a chance") - number(row, "pvalue").expect("a chance")).abs(),
                            apart(&seen["trend"], number(row, "trend_coef"), 1e-3),
                        ];
                        for ((off, bound), what) in
                            off.iter().zip(bounds).zip(["upper", "expected", "phi", "p", "trend"])
                        {
                            assert!(*off <= bound, "{what} is {off} off at {at}");
                            let most = worst.entry((compat, what)).or_insert(0.0_f64);
                            *most = most.max(*off);
                        }
                        assert_eq!(seen["alarm"].to_string(), row["alarm"], "{at}");
                        assert_eq!((!seen["trend"].is_null()).to_string(), row["trend_used"], "{at}");
                        rows += 1;
                    }
                }
            }
        }
    }
    println!("farrington: {rows} limits, worst differences {worst:?}");
    assert!(rows > 3_000, "{rows}");
}

#[test]
fn a_calendar_baseline_gives_the_limits_of_scipy() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/nb_baseline/hour_of_week");
    let mut input = table(&case.join("input.csv"));
    for (at, row) in input.iter_mut().enumerate() {
        row.insert("t".to_owned(), at.to_string());
    }
    let sql = "SELECT t, c['expected'] AS expected, c['variance'] AS variance, c['size'] AS size, c['upper'] AS upper, \
               c['p'] AS p, c['alarm'] AS alarm FROM (SELECT t, calendar_baseline(t, y, {'k': 12, 'alpha': 0.001, \
               'floor': 0.05}) OVER (ORDER BY t) AS c FROM data.s) AS s ORDER BY t";
    let found = ask(&input, "observed", sql);
    let found: BTreeMap<&String, &Value> = input.iter().map(|row| &row["ts"]).zip(&found).collect();
    let expected = table(&case.join("expected_K12_a0.001_floor0.05.csv"));
    let (mut worst, mut nearly) = ([0.0_f64; 3], 0);
    for row in &expected {
        let seen = found[&row["ts"]];
        let mean = number(row, "mean").map(|mean| mean.max(0.05));
        let p = number(row, "p_upper").expect("a chance");
        // a variance that is the mean but for its last digit: scipy's quantile of such a size is off by one
        if number(row, "size").is_some_and(|size| size > 1e8) {
            nearly += 1;
            assert!(
                seen["size"].is_null() && apart(&seen["expected"], mean, 1e-9) <= 1e-9,
                "{seen} for {row:?}"
            );
            continue;
        }
        let off = [
            apart(&seen["expected"], mean, 1e-9).max(apart(&seen["variance"], number(row, "var_sample"), 1e-3)),
            apart(&seen["size"], number(row, "size"), 1e-9),
            (seen["p"].as_f64().expect("a chance") - p).abs() / p.max(1e-5),
        ];
        for (worst, off) in worst.iter_mut().zip(off) {
            assert!(off <= 1e-9, "{seen} for {row:?}");
            *worst = worst.max(off);
        }
        assert_eq!(seen["upper"].as_f64(), number(row, "upper"), "{seen} for {row:?}");
        assert_eq!(seen["alarm"].to_string(), row["alarm"].to_lowercase(), "{row:?}");
    }
    println!(
        "calendar_baseline: {} limits, {nearly} nearly Poisson, worst {worst:?}",
        expected.len()
    );
    assert!(expected.len() > 1_000 && nearly * 100 < expected.len());
}

#[test]
fn what_cannot_be_judged_says_why_and_what_cannot_be_asked_is_refused() {
    let rows: Vec<Row> = (1..=30)
        .filter(|slot| *slot != 12)
        .map(|slot| {
            let mut row = Row::from([("t".to_owned(), slot.to_string())]);
            // one count is not known, one is none
            if slot != 20 {
                row.insert(
                    "y".to_owned(),
                    if slot == 28 {
                        "-1".to_owned()
                    } else {
                        (slot % 5).to_string()
                    },
                );
            }
            row
        })
        .collect();
    let reasons = |sql: &str| -> Vec<String> {
        ask(&rows, "y", sql)
            .iter()
            .map(|row| row["r"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let found = reasons(
        "SELECT e['reason'] AS r FROM (SELECT t, ears_c1(t, y) OVER (ORDER BY t) AS e FROM data.s) AS s ORDER BY t",
    );
    let expected = |slot: i64| match slot {
        1..=7 => "history",
        13..=19 => "gap",
        20..=27 => "unknown",
        28..=30 => "no_count",
        _ => "",
    };
    let slots = (1..=30).filter(|slot| *slot != 12);
    for (slot, found) in slots.zip(&found) {
        assert_eq!(found, expected(slot), "slot {slot}");
    }
    let last = "SELECT CAST(e IS NULL AS VARCHAR) AS r FROM (SELECT t, ears_c2(t, y, {'last': 2}) OVER (ORDER BY t) AS e FROM data.s) AS s ORDER BY t";
    assert_eq!(reasons(last).iter().filter(|is_null| *is_null == "false").count(), 2);
    for (call, words) in [
        ("ears_c1(t, y, {'alfa': 0.1})", "did you mean 'alpha'?"),
        ("ears_c1(t, y, {'alpha': 2})", "alpha as a level between 0 and 1"),
        (
            "ears_c1(t, y, {'baseline': 1})",
            "baseline as a whole number from 2 to 366",
        ),
        ("ears_c1(t, y, {'alpha': y})", "options as a constant"),
        (
            "ears_c1(t, 'a')",
            "ears_c1(slot BIGINT or DATE, count DOUBLE, {options}) or",
        ),
        (
            "farrington(t, y, {'method': 'nb'})",
            "method as nb_plugin | muan | delta",
        ),
        ("farrington(t, y, {'w': 30})", "2 w + periods ≤ freq"),
    ] {
        let error = refused(&rows, &format!("SELECT {call} OVER (ORDER BY t) AS e FROM data.s"));
        assert!(error.contains(words), "{call}: {error}");
    }
}
