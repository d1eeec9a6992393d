//! Warnings that can be believed: they can be made again from what they were made of, and a rule warns only after it
//! was run over its own past.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::demo;
use crate::support::{copy, folder, kills, ok, rows, run, text};

/// A site of its own, a copy of the demonstration city.
struct Site {
    _home: TempDir,
    path: PathBuf,
}

impl Site {
    fn new() -> Site {
        let home = folder();
        let path = home.path().join("city");
        copy(demo::city(), &path);
        Site { _home: home, path }
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let at = self.path.display().to_string();
        let output = run(&[&["--site", &at, "--lang", "en"], args].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn ok(&self, args: &[&str]) -> String {
        let at = self.path.display().to_string();
        ok(&[&["--site", &at, "--lang", "en"], args].concat())
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        serde_json::from_str(&self.ok(&[args, &["--output", "json"]].concat())).expect("JSON")
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        rows(&self.path, sql)
    }

    /// Writes a file of the standard site with something else in it.
    fn edit(&self, path: &str, edits: &[(&str, &str)]) {
        let standard = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut said = std::fs::read_to_string(standard).expect("a standard file");
        for (from, to) in edits {
            assert!(said.contains(from), "{path} says no {from}");
            said = said.replace(from, to);
        }
        let own = self.path.join(path);
        std::fs::create_dir_all(own.parent().expect("a folder")).expect("a folder");
        std::fs::write(own, said).expect("a file");
    }

    fn settings(&self, from: &str, to: &str) {
        let path = self.path.join("fenghuo.toml");
        let said = std::fs::read_to_string(&path).expect("settings");
        let said = match said.contains(from) {
            true => said.replace(from, to),
            false => format!("{said}\n{to}\n"),
        };
        std::fs::write(path, said).expect("settings");
    }
}

/// The names of replayed warnings with how it ended, and how many were not the same.
fn replayed(site: &Site) -> (usize, usize) {
    let all = site.json(&["warn", "replay"]);
    let same = all.iter().filter(|row| row["replay"] == "same").count();
    (all.len(), all.len() - same)
}

#[test]
fn a_warning_is_made_again_to_the_last_digit_until_what_it_was_made_of_is_gone() {
    let site = Site::new();
    let listed = site.json(&["warn", "list"]);
    assert!(!listed.is_empty(), "the demonstration warns of nothing");
    let (told, differing) = replayed(&site);
    assert!(
        told >= listed.len() && differing == 0,
        "{told} made again, {differing} differ"
    );
    let id = listed[0]["warning_id"].as_str().expect("a name");
    let shown = site.ok(&["warn", "show", id]);
    for word in [
        "reason",
        "left out",
        "beware",
        "evidence",
        "receipt",
        "mart.citizen_alarm",
        "opened",
    ] {
        assert!(shown.contains(word), "no {word} in {shown}");
    }
    // the inputs move on: another model of the calls, files put together, old versions cleared away
    site.edit(
        "sql/mart/citizen_alarm.sql",
        &[("  source_line\n", "  source_line,\n  1 AS added\n")],
    );
    site.edit("sql/ref/calendar.sql", &[("SELECT", "SELECT 1 AS added,")]);
    site.settings("[limits]", "[limits]\norphan_hours = 0\nkeep_days = 0");
    site.ok(&["run"]);
    for verb in ["optimize", "vacuum"] {
        site.ok(&["table", verb]);
    }
    assert_eq!(replayed(&site), (told, 0), "after upkeep and a column more");
    // its pins taken by force, the version goes with the next upkeep, and the message names it
    let pinned = site.rows("SELECT inputs FROM ops.receipt LIMIT 1");
    let inputs: Value = serde_json::from_str(pinned[0]["inputs"].as_str().expect("inputs")).expect("JSON");
    let version = inputs["mart.citizen_alarm"]
        .as_str()
        .and_then(|state| state.rsplit('@').next());
    let version = version.expect("a version").to_owned();
    site.ok(&["table", "unpin", "mart.citizen_alarm"]);
    site.ok(&["table", "vacuum"]);
    let (code, _, said) = site.run(&["warn", "replay"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("mart.citizen_alarm") && said.contains(&format!("version {version}")),
        "{said}"
    );
}

#[test]
fn a_thousand_warnings_are_made_again() {
    if kills() < 100 {
        println!("skipped: a thousand replays are for the long run (tests/run long)");
        return;
    }
    let site = Site::new();
    site.edit(
        "pipelines/rules/surge.toml",
        &[
            ("alerts_per_week = 20", "alerts_per_week = 5000"),
            ("fresh_days = 14", "fresh_days = 200"),
            ("expires_days = 14", "expires_days = 400"),
            ("level = 0.9998", "level = 0.05"),
        ],
    );
    site.edit(
        "sql/warning/surge.sql",
        &[
            ("in_range(observed, 5,", "in_range(observed, 2,"),
            ("d.n >= 5", "d.n >= 2"),
            ("j.ratio > 1\n", "j.ratio > 0.3\n"),
        ],
    );
    site.ok(&["run"]);
    for verb in ["optimize", "vacuum"] {
        site.ok(&["table", verb]);
    }
    let (told, differing) = replayed(&site);
    println!("{told} made again, {differing} differ");
    assert!(told >= 1_000 && differing == 0, "{told} made again, {differing} differ");
}

#[test]
fn a_rule_warns_after_it_was_run_over_its_own_past_and_not_before() {
    const RULE: &str = "pipelines/rules/surge.toml";
    const PEEK: &str = "d.n + coalesce(t.n, 0) AS observed\n  FROM day AS d\n  LEFT JOIN day AS t ON t.county = d.county \
        AND t.area = d.area AND t.category = d.category AND t.day_no = d.day_no + 1\n";
    let site = Site::new();
    let warnings = || site.rows("SELECT count(*) AS n FROM ops.warning WHERE rule = 'surge'")[0]["n"].as_u64();
    let shown =
        site.rows("SELECT count(*) AS n, count(DISTINCT basis) AS bases FROM ops.backtest WHERE rule = 'surge'");
    assert_eq!((shown[0]["n"].as_u64(), shown[0]["bases"].as_u64()), (Some(1), Some(1)));
    let before = warnings();
    assert!(before > Some(0));
    let told = |said: &str| {
        let (code, _, heard) = site.run(&["run"]);
        assert_eq!(code, Some(0), "{heard}");
        assert!(heard.contains(said), "{heard}");
    };
    // as it is it was run once, and is not again
    site.ok(&["run"]);
    let again = site.rows("SELECT count(*) AS n FROM ops.backtest WHERE rule = 'surge'");
    assert_eq!(again[0]["n"].as_u64(), Some(1));
    // more history than there is
    site.edit(RULE, &[("history_weeks = 19 ", "history_weeks = 99 ")]);
    told("surge: waiting for history (52 of 99 weeks)");
    // a week that has room for one
    site.edit(
        RULE,
        &[
            ("alerts_per_week = 20", "alerts_per_week = 1"),
            ("level = 0.9998", "level = 0.9"),
        ],
    );
    told("have no room in a budget of 1 warnings a week");
    // a card whose last day is over
    site.edit(RULE, &[("ends = \"2027-12-31\"", "ends = \"2026-01-01\"")]);
    told("its last day was 2026-01-01");
    assert_eq!(warnings(), before, "a rule that may not warn did");
    // one that knows tomorrow's calls: what it says of a day is another once the day after is there
    site.edit(RULE, &[]);
    site.edit(
        "sql/warning/surge.sql",
        &[
            ("@lookback 105 days", "@lookback 105 days\n-- @lookahead 1 days"),
            ("d.n AS observed\n  FROM day AS d\n", PEEK),
        ],
    );
    told("depends on later days; it does not warn");
    let (code, _, said) = site.run(&["warn", "backtest", "surge"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(warnings(), before, "a rule that sees the future warned");
    // what is wrong is told before anything runs
    for (args, code, said) in [
        (&["warn", "backtest", "surg"][..], 3, "surge"),
        (&["warn", "backtest", "surge", "--from", "2025-13-01"], 2, "2025-13-01"),
        (&["warn", "backtest", "surge", "--from", "1999-01-01"], 2, "reach from"),
        (&["warn", "show", "surge-1"], 3, "surge-1"),
        (&["warn", "replay", "surge-1"], 3, "surge-1"),
    ] {
        let (found, _, heard) = site.run(args);
        assert_eq!(found, Some(code), "{args:?}: {heard}");
        assert!(heard.contains(said), "{args:?}: {heard}");
    }
    let broken = |edits: &[(&str, &str)], said: &str| {
        site.edit(RULE, edits);
        let (code, _, heard) = site.run(&["plan"]);
        assert_eq!(code, Some(2), "{heard}");
        assert!(heard.contains(RULE) && heard.contains(said), "{heard}");
    };
    broken(&[("warning.surge\"", "warning.surges\"")], "warning.surge");
    broken(&[("[gate]", "[gates]")], "gates");
    broken(&[("weeks = 4", "weeks = 0")], "weeks of 1 at least");
    broken(&[("owner = \"station\"", "owner = \"somebody\"")], "somebody");
    site.edit(RULE, &[("yellow = 2.0", "yello = 2.0")]);
    let (code, _, heard) = site.run(&["run"]);
    assert_eq!(code, Some(2), "{heard}");
    assert!(
        heard.contains("sql/warning/surge.sql") && heard.contains("$yello"),
        "{heard}"
    );
}

#[test]
fn a_rule_that_weighs_on_some_waits_for_a_signature_and_what_was_decided_is_on_the_page() {
    const RULE: &str = "pipelines/rules/surge.toml";
    let decision = |table: &str| {
        format!(
            "[{table}]\nby = \"prevention office\"\nfirst = \"2026-01-01\"\nuntil = \"2099-12-31\"\nreason_zh = \"复核中\"\n\
             reason_en = \"under review\"\n\n[card]"
        )
    };
    let site = Site::new();
    let told = |said: &str| {
        let (code, _, heard) = site.run(&["run"]);
        assert_eq!(code, Some(0), "{heard}");
        assert!(heard.contains(said), "no `{said}` in {heard}");
        heard
    };
    let page = || std::fs::read_to_string(site.path.join("pages/overview.html")).expect("a page");
    // what nobody closed weighs on nobody
    let of_rule = |column: &str| {
        site.rows(&format!(
            "SELECT {column} AS said FROM indicator.disparity WHERE rule = 'surge'"
        ))
    };
    assert_eq!(of_rule("needs_signature")[0]["said"], false);
    // the table of the night is of the warnings of that night
    let counted = site.rows(
        "SELECT (SELECT sum(opened) FROM indicator.warning) AS a, \
         (SELECT count(DISTINCT warning_id) FROM ops.warning WHERE unit <> 'pool') AS b",
    );
    assert!(
        counted[0]["a"] == counted[0]["b"] && counted[0]["a"] != 0,
        "{counted:?}"
    );
    // the day on which a table says that its false alarms weigh on some more than on others
    site.edit(
        "sql/indicator/disparity.sql",
        &[("  coalesce(lower > 1", "  rule = 'surge' OR coalesce(lower > 1")],
    );
    told("");
    assert!(told("surge: its false alarms of a year weigh").contains("[signed]"));
    site.edit(RULE, &[("[card]", &decision("signed"))]);
    assert!(!told("").contains("its false alarms"));
    assert!(page().contains("signed by prevention office until 2099-12-31: under review"));
    site.edit(RULE, &[("[card]", &decision("suspended"))]);
    told("surge: suspended by prevention office until 2099-12-31");
    assert!(page().contains("are suspended by prevention office until 2099-12-31: under review"));
    for (from, to, said) in [
        ("until = \"2099-12-31\"", "until = \"2025-12-31\"", "until"),
        ("first = \"2026-01-01\"", "first = \"soon\"", "soon"),
        ("by = \"prevention office\"", "by = \" \"", "by"),
    ] {
        site.edit(RULE, &[("[card]", &decision("suspended").replace(from, to))]);
        let (code, _, heard) = site.run(&["plan"]);
        assert_eq!(code, Some(2), "{heard}");
        assert!(heard.contains(RULE) && heard.contains(said), "{heard}");
    }
}

#[test]
fn what_was_planted_is_found_as_it_was_known_then() {
    let site = Site::new();
    let truth = site.path.join("truth.json").display().to_string();
    let told = site.json(&["warn", "backtest", "surge", "--truth", &truth]);
    let found = &told[0];
    assert_eq!(found["leaks"], "", "{found}");
    assert_eq!(found["pooled"], 0, "{found}");
    let (hits, all) = found["about_planted"]
        .as_str()
        .and_then(|said| said.split_once('/'))
        .expect("a share");
    let (hits, all): (u32, u32) = (hits.parse().expect("a number"), all.parse().expect("a number"));
    assert!(all > 0 && hits * 2 >= all, "{found}");
    let surges = found["surge"]
        .as_str()
        .and_then(|said| said.split_once('/'))
        .expect("a share");
    assert!(surges.1 != "0" && surges.0 == surges.1, "{found}");
    let clusters = site.json(&["warn", "list", "--days", "30"]);
    let of_scan = clusters.iter().filter(|row| {
        row["warning_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("emerging_cluster-"))
    });
    assert!(
        of_scan.count() > 0,
        "the planted cluster of the last days was not found: {clusters:?}"
    );
}
