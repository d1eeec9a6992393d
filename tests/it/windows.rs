//! Models that are built day by day: after any history of new, late, corrected and withdrawn files their
//! tables equal those built from scratch, and a night builds the days that changed and no others. What
//! fails a check holds its branch.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{ok, rows, run, text};
use crate::town::{CATEGORIES, City, FIRST_DAY, digests, from_scratch, word};

const SEEDS: [u64; 2] = [1, 7];
const NIGHTS: usize = 7;

#[test]
fn any_history_ends_in_the_tables_of_a_build_from_scratch() {
    for seed in SEEDS {
        let mut city = City::new(seed);
        city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 2], 120);
        city.answers("a0", FIRST_DAY + 3);
        city.night();
        for night in 1..NIGHTS {
            let day = FIRST_DAY + 2 + night as u32;
            let mut done = vec![format!("night {night}")];
            city.calls(&format!("d{night}.csv"), &[day], 30);
            for _ in 0..2 {
                match city.dice.below(7) {
                    0 => {
                        done.push("late".to_owned());
                        let name = format!("late{night}_{}.csv", done.len());
                        city.calls(&name, &[FIRST_DAY, day - 1], 8);
                    }
                    1 => {
                        done.push("answers".to_owned());
                        city.answers(&format!("a{night}_{}", done.len()), day + 1);
                    }
                    2 => {
                        done.push("corrected".to_owned());
                        city.correct();
                    }
                    3 => {
                        done.push("calls withdrawn".to_owned());
                        city.withdraw("alarm");
                    }
                    4 => {
                        done.push("category changed".to_owned());
                        city.change_category();
                    }
                    5 if night > 1 => {
                        done.push("release withdrawn".to_owned());
                        ok(&["--site", &city.path(), "release", "withdraw"]);
                    }
                    _ => {
                        done.push("feedback withdrawn".to_owned());
                        city.withdraw("feedback");
                    }
                }
            }
            city.night();
            let (found, expected) = (digests(city.site.path()), from_scratch(city.site.path()));
            assert!(expected.len() > 8, "{expected:?}");
            for (name, digest) in &expected {
                assert_eq!(found.get(name), Some(digest), "seed {seed}: {name} after {done:?}");
            }
        }
    }
}

#[test]
fn a_night_builds_the_days_that_changed() {
    let mut city = City::new(3);
    city.calls("d0.csv", &[3, 4, 5, 6, 7, 8], 200);
    city.answers("a0", 9);
    city.night();
    let built = |city: &City| -> BTreeMap<String, String> {
        let sql = "SELECT name, message FROM ops.step WHERE kind = 'build' AND status = 'ok' AND run_id = \
                   (SELECT max(run_id) FROM ops.step)";
        let found = rows(city.site.path(), sql);
        found
            .iter()
            .map(|row| (word(row, "name"), word(row, "message")))
            .collect()
    };
    city.calls("d1.csv", &[9], 30);
    city.night();
    let new = built(&city);
    for model in [
        "core.alarm",
        "mart.citizen_alarm",
        "mart.alarm_cell_day",
        "mart.feed_day",
    ] {
        assert_eq!(
            new.get(model).map(String::as_str),
            Some("2025-03-09"),
            "{model} of {new:?}"
        );
    }
    assert!(!new.contains_key("core.dispatch"), "{new:?}");
    // one final class of an old call reopens the day of that call alone
    let inbox = city.site.path().join("inbox/feedback/late.csv");
    let (number, day, _, category) = city.alarms["d0.csv"][0];
    let other = CATEGORIES.iter().find(|other| **other != category).expect("another");
    let line = format!("Flate,A{number:06},true,{other},done,,2025-03-11 10:00:00,,\n");
    let head = "feedback_no,alarm_no,is_final,category_final,result,handled_at,fed_back_at,officer_name,detail\n";
    std::fs::write(inbox, format!("{head}{line}")).expect("a file");
    city.night();
    let late = built(&city);
    assert_eq!(late.get("core.alarm"), Some(&format!("2025-03-{day:02}")), "{late:?}");
    assert_eq!(
        late.get("core.feedback").map(String::as_str),
        Some("2025-03-11"),
        "{late:?}"
    );
    city.night();
    let nothing = built(&city);
    assert!(nothing.is_empty(), "{nothing:?}");
}

/// The only number of a query on the newest release.
fn count(city: &City, sql: &str) -> u64 {
    rows(city.site.path(), sql)[0]["n"].as_u64().expect("a number")
}

#[test]
fn a_failed_check_holds_its_branch_and_no_other() {
    let mut city = City::new(5);
    city.calls("d0.csv", &[3, 4, 5], 60);
    city.answers("a0", 6);
    city.night();
    let old = count(&city, "SELECT sum(n) AS n FROM mart.feed_day");
    let check = city.site.path().join("sql/check/planted.sql");
    let sql = "-- 试。 A test.\nSELECT feed, county, n FROM mart.feed_day WHERE biz_date = DATE '2025-03-06'\n";
    std::fs::write(&check, sql).expect("a check");
    city.calls("d1.csv", &[6], 12);
    let output = run(&["--site", &city.path(), "run", "nightly"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("mart.feed_gap is held because of sql/check/planted.sql"),
        "{said}"
    );
    assert_eq!(
        count(&city, "SELECT sum(n) AS n FROM mart.feed_day"),
        old,
        "the held branch keeps its rows"
    );
    assert_eq!(
        count(&city, "SELECT count(*) AS n FROM core.alarm"),
        old + 12,
        "the others go on"
    );
    let found = rows(
        city.site.path(),
        "SELECT path, severity, rows, sample FROM ops.check WHERE status = 'failed'",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["severity"], "hold");
    assert!(
        found[0]["sample"].as_str().is_some_and(|rows| rows.contains("990101")),
        "{found:?}"
    );
    // a warning is told and holds nothing
    std::fs::write(&check, sql.replace("-- 试", "-- @check warn\n-- 试")).expect("a check");
    let output = run(&["--site", &city.path(), "run", "nightly"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("note planted.sql: "), "{said}");
    assert_eq!(count(&city, "SELECT sum(n) AS n FROM mart.feed_day"), old + 12);
    let from_scratch = from_scratch(city.site.path());
    assert_eq!(digests(city.site.path()), from_scratch);
    // rows are counted as far as they are borne, and one more
    let many = "-- @check at_most 15000\n-- 试。 A test.\nSELECT unnest(range(0, N)) AS n FROM (SELECT count(*) FROM core.alarm) AS one\n";
    for (rows, code) in [("15000", 0), ("15001", 1)] {
        std::fs::write(&check, many.replace('N', rows)).expect("a check");
        let output = run(&["--site", &city.path(), "run", "nightly"]);
        assert_eq!(output.status.code(), Some(code), "{rows}: {}", text(&output.stderr));
    }
    // what fails in the first run of all has no older rows to show
    std::fs::write(&check, sql).expect("a check");
    std::fs::remove_dir_all(city.site.path().join("lake/releases")).expect("releases");
    std::fs::remove_dir_all(city.site.path().join("lake/tables/mart")).expect("tables");
    assert_eq!(run(&["--site", &city.path(), "run", "nightly"]).status.code(), Some(1));
    let held = run(&[
        "--site",
        &city.path(),
        "query",
        "SELECT count(*) AS n FROM mart.feed_day",
    ]);
    assert_eq!(held.status.code(), Some(2), "{}", text(&held.stderr));
    assert_eq!(count(&city, "SELECT count(*) AS n FROM core.alarm"), old + 12);
}

#[test]
fn a_plan_names_the_days_before_they_are_built() {
    let mut city = City::new(9);
    city.calls("d0.csv", &[3, 4, 5], 60);
    city.answers("a0", 6);
    let plan = |city: &City| -> BTreeMap<String, (String, String)> {
        let said = ok(&["--site", &city.path(), "plan", "--output", "json"]);
        let found: Vec<Value> = serde_json::from_str(&said).expect("JSON");
        found
            .iter()
            .map(|row| (word(row, "name"), (word(row, "action"), word(row, "days"))))
            .collect()
    };
    assert_eq!(plan(&city)["core.alarm"], ("build".to_owned(), "all".to_owned()));
    city.night();
    assert_eq!(plan(&city)["core.alarm"].0, "keep");
    city.calls("d1.csv", &[6], 12);
    assert_eq!(plan(&city)["core.alarm"].1, "those of the new files");
    // files that are stored and not built on yet
    ok(&["--site", &city.path(), "ingest", "alarm"]);
    let found = plan(&city);
    for model in [
        "core.alarm",
        "mart.citizen_alarm",
        "mart.alarm_cell_day",
        "mart.feed_day",
    ] {
        assert_eq!(
            found[model],
            ("build".to_owned(), "2025-03-06".to_owned()),
            "{model}: {found:?}"
        );
    }
    assert_eq!(found["core.dispatch"].0, "keep", "{found:?}");
    assert_eq!(found["mart.feed_gap"].1, "all", "{found:?}");
}

#[test]
fn a_release_is_taken_back_and_the_next_run_goes_on() {
    let mut city = City::new(11);
    city.calls("d0.csv", &[3, 4], 40);
    city.answers("a0", 5);
    let withdraw = |city: &City| run(&["--site", &city.path(), "release", "withdraw"]);
    assert_eq!(withdraw(&city).status.code(), Some(3), "there is none");
    city.night();
    assert_eq!(withdraw(&city).status.code(), Some(3), "there is none before it");
    let first = digests(city.site.path());
    for (name, day) in [("d1.csv", 5), ("d2.csv", 6)] {
        city.calls(name, &[day], 10);
        city.night();
    }
    let third = digests(city.site.path());
    // once more, and the release before that holds
    assert!(withdraw(&city).status.success() && withdraw(&city).status.success());
    assert_eq!(digests(city.site.path()), first);
    assert_eq!(count(&city, "SELECT count(*) AS n FROM core.alarm"), 40);
    city.night();
    assert_eq!(digests(city.site.path()), third);
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}
