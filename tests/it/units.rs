//! `fenghuo test` runs the cases of the standard site, finds a model that is wrong, and runs no program;
//! models see neither clock nor chance.

use std::path::Path;

use crate::support::{bare_site, fenghuo, ok, text};
use crate::town::word;

/// The exit code and the words of a command on a site.
fn said(site: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let site = site.display().to_string();
    let output = fenghuo()
        .args([&["--site", &site, "--lang", "en"], arguments].concat())
        .output()
        .expect("starts");
    (output.status.code(), text(&output.stderr))
}

fn write(site: &Path, path: &str, words: &str) {
    let path = site.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, words).expect("a file");
}

#[test]
fn the_cases_of_the_standard_site_hold_and_a_wrong_model_is_found() {
    let (dir, _) = bare_site();
    let (code, words) = said(dir.path(), &["test"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("0 failed"), "{words}");
    // the filter of spatial products forgets who called
    let model = include_str!("../../sql/mart/citizen_alarm.sql");
    let wrong = model.replace("WHERE origin IN ('citizen', ", "WHERE origin IN ('police', 'citizen', ");
    assert_ne!(model, wrong);
    write(dir.path(), "sql/mart/citizen_alarm.sql", &wrong);
    let (code, words) = said(dir.path(), &["test", "citizen_alarm"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("sql/test/citizen_alarm.slt:17"), "{words}");
    assert!(
        words
            .lines()
            .any(|line| line.trim_start().trim_start_matches("| ") == "+   b"),
        "{words}"
    );
}

#[test]
fn a_test_that_is_wrong_says_so_and_runs_no_program() {
    let (dir, _) = bare_site();
    write(
        dir.path(),
        "sql/test/own.slt",
        "query T\nSELECT county FROM indicator.data_health\n----\n",
    );
    let (code, words) = said(dir.path(), &["test", "own"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(
        words.contains("write CREATE TABLE source.") || words.contains("is not given"),
        "{words}"
    );
    let mark = dir.path().join("ran");
    write(
        dir.path(),
        "sql/test/own.slt",
        &format!("system ok\ntouch {}\n", mark.display()),
    );
    let (_, words) = said(dir.path(), &["test", "own"]);
    assert!(words.contains("must not run a program") && !mark.exists(), "{words}");
}

#[test]
fn models_see_neither_clock_nor_chance() {
    let (dir, _) = bare_site();
    for (expression, named) in [
        ("now()", "now"),
        ("random()", "random"),
        (
            "stddev(n) OVER (ORDER BY n ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)",
            "stddev",
        ),
        (
            "approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY n)",
            "approx_percentile_cont",
        ),
    ] {
        let model =
            format!("-- 试。 A trial.\n-- @grain x\nSELECT {expression} AS x FROM (VALUES (1.0), (2.0)) AS v(n)\n");
        write(dir.path(), "sql/mart/trial.sql", &model);
        let (code, words) = said(dir.path(), &["run", "nightly"]);
        assert_eq!(code, Some(2), "{expression}: {words}");
        assert!(
            words.contains("sql/mart/trial.sql:3:") && words.contains(named),
            "{expression}: {words}"
        );
    }
}

#[test]
fn a_column_leads_back_to_its_sources_and_on_to_what_uses_it() {
    let site = crate::demo::city();
    let path = site.display().to_string();
    let steps = |arguments: &[&str]| -> Vec<(String, String)> {
        let words = [&["--site", &path, "lineage", "--output", "json"], arguments].concat();
        let found: Vec<serde_json::Value> = serde_json::from_str(&ok(&words)).expect("JSON");
        found.iter().map(|row| (word(row, "name"), word(row, "from"))).collect()
    };
    let pair = |to: &str, from: &str| (to.to_owned(), from.to_owned());
    // a final class comes from the feedback, else from the call, through a common table expression
    let category = steps(&["core.alarm.category"]);
    assert_eq!(
        category,
        [
            pair("core.alarm.category", "source.alarm.category"),
            pair("core.alarm.category", "source.feedback.category_final"),
        ]
    );
    let observed = steps(&["warning.surge.observed"]);
    assert!(
        !observed.is_empty() || steps(&["warning.surge"]).len() > 3,
        "{observed:?}"
    );
    let county = steps(&["warning.surge.county"]);
    assert!(
        county.contains(&pair("core.alarm.county", "source.alarm.county")),
        "{county:?}"
    );
    let down = steps(&["source.feedback.category_final", "--down"]);
    assert!(
        down.contains(&pair("mart.citizen_alarm.category", "core.alarm.category")),
        "{down:?}"
    );
    let chart = ok(&["--site", &path, "lineage", "mart.feed_gap", "--mermaid"]);
    assert!(
        chart.starts_with("flowchart LR\n") && chart.contains("  mart.feed_day --> mart.feed_gap\n"),
        "{chart}"
    );
    let (code, words) = said(site, &["lineage", "mart.feed_gap.nosuch"]);
    assert_eq!(code, Some(3), "{words}");
}
