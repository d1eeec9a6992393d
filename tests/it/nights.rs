//! The life of runs: what fails holds its branch and is retried, what is killed is told of and goes on, days
//! are built again under a name, and two releases are compared.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{copy, fenghuo, folder, kills, ok, rows, run, text};
use crate::town::{City, Dice, FIRST_DAY, digests, from_scratch, word};

fn runs(city: &City) -> Vec<Value> {
    rows(
        city.site.path(),
        "SELECT run_id, act, part_of, status, arrow_cast(clock_at, 'Int64') AS clock FROM ops.run ORDER BY started_at",
    )
}

fn town() -> City {
    let mut city = City::new(5);
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 2], 90);
    city.answers("a0", FIRST_DAY + 3);
    city
}

#[test]
fn a_retry_does_what_was_left_undone_and_nothing_else() {
    let mut city = town();
    city.night();
    let said = |arguments: &[&str]| text(&run(&[&["--site", &city.path(), "--lang", "en"], arguments].concat()).stderr);
    assert!(said(&["retry"]).contains("left nothing undone"));
    // a model that cannot be built and a file that cannot be read
    let model = city.site.path().join("sql/mart/feed_gap.sql");
    std::fs::create_dir_all(model.parent().expect("a folder")).expect("a folder");
    let broken = "-- 缺口。 Gaps.\n-- @grain feed\nSELECT feed, 1 / (count(*) - count(*)) AS boom FROM mart.feed_day GROUP BY feed\n";
    std::fs::write(&model, broken).expect("a model");
    let late = city.site.path().join("inbox/alarm/late.csv");
    std::fs::write(&late, "no,header,of,ours\n1,2,3,4\n").expect("a file");
    city.calls("d1.csv", &[FIRST_DAY + 3], 20);
    let output = run(&["--site", &city.path(), "run", "nightly"]);
    assert!(!output.status.success());
    let failed = runs(&city).pop().expect("a run");
    assert_eq!(word(&failed, "status"), "partial");
    // everything else was published
    let new = rows(
        city.site.path(),
        "SELECT count(*) AS n FROM core.alarm WHERE biz_date = DATE '2025-03-06'",
    );
    assert_eq!(new[0]["n"].as_u64(), Some(20));
    std::fs::remove_file(&model).expect("a model");
    std::fs::remove_file(&late).expect("a file");
    city.calls("late.csv", &[FIRST_DAY], 7);
    // what came in since is not of that night
    city.calls("d2.csv", &[FIRST_DAY + 4], 11);
    ok(&["--site", &city.path(), "retry"]);
    let all = runs(&city);
    let retry = all.last().expect("a run");
    assert_eq!(
        (word(retry, "act"), word(retry, "status")),
        ("retry".to_owned(), "ok".to_owned())
    );
    assert_eq!(word(retry, "part_of"), word(&failed, "run_id"));
    assert_eq!(retry["clock"], failed["clock"]);
    let sql = "SELECT name FROM ops.step WHERE kind = 'ingest' AND run_id = (SELECT max(run_id) FROM ops.step)";
    let read: Vec<_> = rows(city.site.path(), sql)
        .iter()
        .map(|row| word(row, "name"))
        .collect();
    assert_eq!(read, ["inbox/alarm/late.csv"]);
    std::fs::remove_file(city.site.path().join("inbox/alarm/d2.csv")).expect("a file");
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
    // of a run that failed one model alone, that model is built, and nothing else is said to be otherwise
    let off = |city: &City| newest(city)["off"].clone();
    let before = off(&city);
    assert!(before.as_object().is_some_and(|off| off.len() > 3), "{before}");
    std::fs::write(&model, broken).expect("a model");
    assert!(!run(&["--site", &city.path(), "run", "nightly"]).status.success());
    std::fs::remove_file(&model).expect("a model");
    ok(&["--site", &city.path(), "retry"]);
    assert_eq!((off(&city), newest(&city).get("held")), (before, None));
    let sql = "SELECT name FROM ops.step WHERE kind = 'build' AND run_id = (SELECT max(run_id) FROM ops.step)";
    let built: Vec<_> = rows(city.site.path(), sql)
        .iter()
        .map(|row| word(row, "name"))
        .collect();
    assert_eq!(built, ["mart.feed_gap"]);
}

#[test]
fn a_run_that_ends_before_it_begins_is_told_of_and_repeated() {
    let city = town();
    let model = city.site.path().join("sql/mart/feed_gap.sql");
    std::fs::create_dir_all(model.parent().expect("a folder")).expect("a folder");
    std::fs::write(
        &model,
        "-- 缺口。 Gaps.\n-- @grain feed\nSELECT feed FORM mart.feed_day GROUP\n",
    )
    .expect("a model");
    let output = run(&["--site", &city.path(), "run", "nightly"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    std::fs::remove_file(&model).expect("a model");
    ok(&["--site", &city.path(), "retry"]);
    let statuses: Vec<_> = runs(&city)
        .iter()
        .map(|run| word(run, "act") + " " + &word(run, "status"))
        .collect();
    assert_eq!(statuses, ["run failed", "retry ok"]);
}

/// The newest release.
fn newest(city: &City) -> Value {
    let folder = city.site.path().join("lake/releases");
    let numbers = std::fs::read_dir(&folder).expect("releases").flatten();
    let number = numbers.filter_map(|entry| entry.path().file_stem()?.to_str()?.parse::<u64>().ok());
    let path = folder.join(format!("{}.json", number.max().expect("a release")));
    serde_json::from_slice(&std::fs::read(path).expect("a release")).expect("JSON")
}

#[test]
fn a_backfill_goes_on_where_it_was_stopped() {
    let city = town();
    city.night();
    let before = digests(city.site.path());
    let path = city.path();
    let span = [
        "--site",
        &path,
        "--lang",
        "en",
        "backfill",
        "--start",
        "2025-02-27",
        "--end",
        "2025-03-04",
        "--name",
        "b",
    ];
    let stopped = fenghuo()
        .args(span)
        .env("FENGHUO_CRASH_POINT", "before_release:2")
        .output()
        .expect("starts");
    assert!(!stopped.status.success());
    assert_eq!(text(&stopped.stderr).matches("backfill b: 2025-0").count(), 2);
    let again = text(&run(&span).stderr);
    assert!(
        again.contains("backfill b: 2025-03, 4 days") && !again.contains("backfill b: 2025-02"),
        "{again}"
    );
    assert!(text(&run(&span).stderr).contains("was done before"));
    assert_eq!(digests(city.site.path()), before);
    let statuses: Vec<_> = runs(&city)
        .iter()
        .map(|run| word(run, "act") + " " + &word(run, "status"))
        .collect();
    assert_eq!(
        statuses,
        ["run ok", "backfill ok", "backfill interrupted", "backfill ok"]
    );
}

#[test]
fn two_releases_differ_by_key() {
    let mut city = town();
    city.night();
    let calls = city.alarms.get_mut("d0.csv").expect("a file");
    calls[0].3 = if calls[0].3 == "0101" { "0102" } else { "0101" };
    let gone = calls.pop().expect("a call");
    city.write("d0.csv");
    city.calls("d1.csv", &[FIRST_DAY + 3], 9);
    city.night();
    let path = city.path();
    let table = |arguments: &[&str]| -> Vec<Value> {
        let found = ok(&[&["--site", &path, "diff", "--output", "json"], arguments].concat());
        serde_json::from_str(&found).expect("JSON")
    };
    let alarm = table(&["1:2"]);
    let alarm = alarm
        .iter()
        .find(|row| word(row, "table") == "core.alarm")
        .expect("the calls differ");
    let counts = ["before", "after", "added", "removed", "changed"].map(|key| alarm[key].as_u64());
    assert_eq!(counts, [Some(90), Some(98), Some(9), Some(1), Some(1)]);
    let keys = table(&["--table", "core.alarm"]);
    assert_eq!(keys.len(), 11, "{keys:?} without {gone:?}");
    let back = table(&["2:1", "--table", "core.alarm"]);
    let added = |rows: &[Value], kind: &str| rows.iter().filter(|row| word(row, "kind") == kind).count();
    assert_eq!((added(&keys, "added"), added(&back, "removed")), (9, 9));
}

/// Every table of a release was built from the tables beside it.
fn is_of_one_piece(release: &Value) -> Result<(), String> {
    let tables = release["tables"].as_object().ok_or("no tables")?;
    let state = |name: &str| {
        let table = tables.get(name)?;
        Some(format!("{}@{}", table["location"].as_str()?, table["version"]))
    };
    for (name, table) in tables {
        for (input, built_on) in table["inputs"].as_object().into_iter().flatten() {
            // run records are no input of a model that must be shown beside it
            if !input.starts_with("ops.") && state(input).as_deref() != built_on.as_str() {
                return Err(format!(
                    "{name} was built on {input} {built_on}, beside it is {:?}",
                    state(input)
                ));
            }
        }
    }
    Ok(())
}

/// Looks at the newest release until told to stop; how often it looked.
fn poll(site: &Path, stop: &AtomicBool, looks: &AtomicU64) -> Vec<String> {
    let mut wrong = Vec::new();
    let folder = site.join("lake/releases");
    while !stop.load(Ordering::Relaxed) {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let bytes = std::fs::read(&path).expect("a release");
            match serde_json::from_slice(&bytes) {
                Ok(release) => wrong.extend(is_of_one_piece(&release).err()),
                Err(cause) => wrong.push(format!("{}: {cause}", path.display())),
            }
            looks.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    wrong
}

fn begin(site: &Path) -> Child {
    let mut command = fenghuo();
    command.args(["--site", &site.display().to_string(), "run", "nightly"]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts")
}

#[test]
fn killed_runs_leave_nothing_mixed_and_nothing_lost() {
    let mut city = town();
    city.night();
    city.calls("d1.csv", &[FIRST_DAY + 3], 25);
    city.answers("a1", FIRST_DAY + 4);
    // an undisturbed night, and how long it takes
    let calm = folder();
    copy(city.site.path(), calm.path());
    let since = Instant::now();
    assert!(begin(calm.path()).wait().expect("ends").success());
    let (whole, expected) = (since.elapsed(), digests(calm.path()));
    let mut dice = Dice(11);
    let (mut cut_off, looks) = (0, AtomicU64::new(0));
    for kill in 0..kills() {
        let trial = folder();
        copy(city.site.path(), trial.path());
        let stop = AtomicBool::new(false);
        let wrong = std::thread::scope(|scope| {
            let poller = scope.spawn(|| poll(trial.path(), &stop, &looks));
            let mut night = begin(trial.path());
            std::thread::sleep(whole.mul_f64(dice.below(1_000) as f64 / 1_000.0));
            night.kill().expect("a signal");
            night.wait().expect("ends");
            assert!(
                begin(trial.path()).wait().expect("ends").success(),
                "the rerun of kill {kill}"
            );
            stop.store(true, Ordering::Relaxed);
            poller.join().expect("a poller")
        });
        assert!(wrong.is_empty(), "kill {kill}: {wrong:?}");
        assert_eq!(digests(trial.path()), expected, "kill {kill}");
        let sql = "SELECT count(*) AS n FROM ops.run WHERE status = 'interrupted'";
        cut_off += rows(trial.path(), sql)[0]["n"].as_u64().expect("a number");
        assert_eq!(
            std::fs::read_dir(trial.path().join("lake/runs")).expect("runs").count(),
            0
        );
    }
    println!(
        "{} kills, {cut_off} within a run; {} looks at releases",
        kills(),
        looks.into_inner()
    );
    assert!(cut_off > 0, "no kill fell into a run");
}

#[test]
fn what_a_killed_run_built_is_not_built_again() {
    let mut city = town();
    let path = city.path();
    let kill = |city: &City| {
        let killed = fenghuo()
            .args(["--site", &city.path(), "run", "nightly"])
            .env("FENGHUO_CRASH_POINT", "before_release")
            .output()
            .expect("starts");
        assert_eq!(killed.status.code(), None, "{}", text(&killed.stderr));
    };
    let rerun = || {
        let said = text(&run(&["--site", &path, "--lang", "en", "run", "nightly"]).stderr);
        let built = said
            .lines()
            .filter(|line| line.ends_with(" rows") && !line.contains('→'))
            .count();
        let found = said
            .lines()
            .filter(|line| line.contains("as a run before built them"))
            .count();
        (built, found, said)
    };
    kill(&city);
    let (built, found, said) = rerun();
    assert!(built == 0 && found > 10, "{said}");
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
    // by days too; a new file makes what was built on older rows worth nothing
    city.calls("d1.csv", &[FIRST_DAY + 3], 20);
    kill(&city);
    city.calls("d2.csv", &[FIRST_DAY + 3], 10);
    let (built, _, said) = rerun();
    assert!(built > 5, "{said}");
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
    city.calls("d3.csv", &[FIRST_DAY + 1], 10);
    kill(&city);
    let (built, found, said) = rerun();
    assert!(built == 0 && found > 5, "{said}");
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}

#[test]
fn a_check_compares_with_the_last_release() {
    let mut city = town();
    let site = city.site.path().to_owned();
    let model = site.join("sql/core/alarm.sql");
    let written = std::fs::read_to_string(&model).expect("a model");
    let checked = written.replacen("\n-- @grain", "\n-- @check rows_change(40)\n-- @grain", 1);
    assert_ne!(checked, written);
    std::fs::write(&model, checked).expect("a model");
    let shrinks = "-- 电话不应变少。 Calls do not grow fewer.\n-- @check warn\nSELECT a.n AS now, b.n AS before\n\
                   FROM (SELECT count(*) AS n FROM core.alarm) AS a\n\
                   CROSS JOIN (SELECT count(*) AS n FROM last.core.alarm) AS b\nWHERE a.n < b.n\n";
    std::fs::write(site.join("sql/check/fewer.sql"), shrinks).expect("a check");
    // a first release has nothing to be compared with, and a new day nothing on its day
    city.night();
    city.calls("d1.csv", &[FIRST_DAY + 3], 20);
    city.night();
    let found = |name: &str| -> Vec<Value> {
        rows(
            &site,
            &format!("SELECT \"rows\" AS n, status FROM ops.check WHERE \"check\" = '{name}' ORDER BY run_id"),
        )
    };
    assert_eq!(found("fewer.sql").len(), 1, "{:?}", found("fewer.sql"));
    let calls = city.alarms.get_mut("d1.csv").expect("a file");
    calls.truncate(13);
    city.write("d1.csv");
    city.night();
    let warned = found("fewer.sql");
    assert_eq!(
        warned.last().map(|row| row["n"].clone()),
        Some(Value::from(1)),
        "{warned:?}"
    );
    city.alarms.get_mut("d1.csv").expect("a file").truncate(6);
    city.write("d1.csv");
    let output = run(&["--site", &city.path(), "--lang", "en", "run", "nightly"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("rows_change(40)"),
        "{}",
        text(&output.stderr)
    );
    let shown = "SELECT count(*) AS n FROM core.alarm";
    assert_eq!(rows(&site, shown)[0]["n"], 103, "the branch was not held");
    // a model may not look back
    let model = site.join("sql/mart/before.sql");
    std::fs::write(
        &model,
        "-- 前。 Before.\n-- @grain alarm_id\nSELECT alarm_id FROM last.core.alarm\n",
    )
    .expect("a model");
    assert_eq!(run(&["--site", &city.path(), "run", "nightly"]).status.code(), Some(2));
}

#[test]
fn a_window_that_is_known_to_be_absent_is_waived_until_its_end() {
    let city = town();
    city.night();
    let at = |day: &str| {
        run(&[
            "--site",
            &city.path(),
            "--lang",
            "en",
            "freshness",
            "--at",
            day,
            "--output",
            "json",
        ])
    };
    assert_eq!(at("2025-03-07").status.code(), Some(1));
    let folder = city.site.path().join("pipelines/waivers");
    std::fs::create_dir_all(&folder).expect("a folder");
    let waive = |name: &str, what: &str, until: &str| {
        let waiver = format!(
            "{what}\nfirst = \"2025-03-05\"\nlast = \"2025-03-07\"\nreason = \"the line was cut\"\nby = \"duty desk\"\nuntil = \"{until}\"\n"
        );
        std::fs::write(folder.join(format!("{name}.toml")), waiver).expect("a waiver");
    };
    let behind: Value = serde_json::from_slice(&at("2025-03-07").stdout).expect("JSON");
    let behind: Vec<(String, String)> = behind
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| !matches!(word(row, "state").as_str(), "" | "fresh"))
        .map(|row| (word(row, "what"), word(row, "name")))
        .collect();
    assert!(behind.len() >= 4, "{behind:?}");
    for (what, name) in &behind {
        waive(&format!("{what}-{name}"), &format!("{what} = \"{name}\""), "2025-03-20");
    }
    let waived = at("2025-03-07");
    let said: Value = serde_json::from_slice(&waived.stdout).expect("JSON");
    assert_eq!(waived.status.code(), Some(0), "{said}");
    let reasons = said
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["waived"] == "the line was cut");
    assert_eq!(reasons.count(), behind.len());
    // a day more than was waived is behind again, and so is everything after the waiver's end
    assert_eq!(at("2025-03-08").status.code(), Some(1));
    let (what, name) = &behind[0];
    waive(&format!("{what}-{name}"), &format!("{what} = \"{name}\""), "2025-03-06");
    assert_eq!(at("2025-03-07").status.code(), Some(1));
    let doctor = text(&run(&["--site", &city.path(), "--lang", "en", "doctor"]).stdout);
    assert!(doctor.contains("waivers") && doctor.contains("expired"), "{doctor}");
    waive("wrong", "feed = \"alrm\"", "soon");
    let wrong = text(&run(&["--site", &city.path(), "--lang", "en", "freshness"]).stderr);
    assert!(
        wrong.contains("wrong.toml:1") && wrong.contains("`alarm`") && wrong.contains("soon"),
        "{wrong}"
    );
}

/// A run that has begun.
fn begun(city: &City) -> Child {
    let night = begin(city.site.path());
    let journals = city.site.path().join("lake/runs");
    let since = Instant::now();
    while std::fs::read_dir(&journals).into_iter().flatten().count() == 0 {
        assert!(since.elapsed() < Duration::from_mins(1), "the run did not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    night
}

fn signal(night: &Child, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([name, &night.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

#[test]
fn a_run_that_stands_still_keeps_the_site_and_ends_well() {
    let city = town();
    let settings = city.site.path().join("fenghuo.toml");
    let said = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(
        &settings,
        said.replace("[limits]\n", "[limits]\nlease_wait_seconds = 1\n"),
    )
    .expect("settings");
    let mut night = begun(&city);
    signal(&night, "-STOP");
    let second = run(&["--site", &city.path(), "--lang", "en", "run"]);
    assert_eq!(second.status.code(), Some(5), "{}", text(&second.stderr));
    assert!(
        text(&second.stderr).contains("another run holds the site"),
        "{}",
        text(&second.stderr)
    );
    signal(&night, "-CONT");
    assert!(night.wait().expect("ends").success());
    let statuses: Vec<_> = runs(&city).iter().map(|run| word(run, "status")).collect();
    assert_eq!(statuses, ["ok"]);
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}

#[test]
fn a_signal_ends_a_run_and_the_next_one_tells_of_it() {
    let city = town();
    let mut night = begun(&city);
    signal(&night, "-TERM");
    let since = Instant::now();
    let status = night.wait().expect("ends");
    println!("a run ended {} ms after the signal", since.elapsed().as_millis());
    assert_eq!(status.code(), Some(143));
    ok(&["--site", &city.path(), "retry"]);
    let statuses: Vec<_> = runs(&city)
        .iter()
        .map(|run| word(run, "act") + " " + &word(run, "status"))
        .collect();
    assert_eq!(statuses, ["run interrupted", "retry ok"]);
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}

#[test]
fn a_sweep_takes_what_no_kept_release_shows_and_nothing_else() {
    let mut city = town();
    let settings = city.site.path().join("fenghuo.toml");
    let written = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(&settings, format!("{written}keep_days = 0\norphan_hours = 0\n")).expect("settings");
    city.night();
    for night in 1..4_u32 {
        city.calls(&format!("d{night}.csv"), &[FIRST_DAY + 2 + night], 15);
        city.correct();
        city.night();
    }
    // what a killed run left, and a table that another SELECT took the place of
    let orphan = city.site.path().join("lake/tables/core/alarm/1/orphan.parquet");
    std::fs::write(&orphan, "nobody's").expect("a file");
    let before = digests(city.site.path());
    let path = city.path();
    let sweep = |arguments: &[&str]| -> Vec<Value> {
        let words = [&["--site", &path, "table", "vacuum", "--output", "json"], arguments].concat();
        serde_json::from_str(&ok(&words)).expect("JSON")
    };
    let files = |found: &[Value]| found.iter().filter_map(|row| row["files"].as_u64()).sum::<u64>();
    let trial = sweep(&["--dry-run"]);
    assert!(files(&trial) > 20 && orphan.exists(), "{trial:?}");
    // killed in the middle, it goes on
    let killed = fenghuo()
        .args(["--site", &city.path(), "table", "vacuum"])
        .env("FENGHUO_CRASH_POINT", "file_removed:5")
        .output()
        .expect("starts");
    assert!(!killed.status.success());
    assert_eq!(files(&sweep(&[])), files(&trial) - 5);
    assert!(!orphan.exists() && files(&sweep(&[])) == 0);
    // the newest release reads as before, and nights go on as if nothing had been removed
    let kept = rows(city.site.path(), "SELECT count(*) AS n FROM core.alarm");
    assert!(kept[0]["n"].as_u64() > Some(100), "{kept:?}");
    assert_eq!(digests(city.site.path()), before);
    let older = run(&[
        "--site",
        &city.path(),
        "query",
        "--as-of",
        "1",
        "SELECT max(alarm_id) FROM core.alarm",
    ]);
    assert!(!older.status.success(), "the first release was not kept");
    city.correct();
    city.answers("late", FIRST_DAY + 7);
    city.night();
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}

#[test]
fn a_run_is_told_as_openlineage_events() {
    let city = town();
    let path = city.site.path().join("events.jsonl");
    ok(&[
        "--site",
        &city.path(),
        "run",
        "--openlineage",
        &path.display().to_string(),
    ]);
    let lines = std::fs::read_to_string(&path).expect("a file");
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |job: &str, kind: &str| {
        events
            .iter()
            .find(|event| event["job"]["name"] == job && event["eventType"] == kind)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(events.first(), Some(&of("nightly", "START")));
    assert_eq!(events.last(), Some(&of("nightly", "COMPLETE")));
    let built = of("nightly.core.alarm", "COMPLETE");
    let inputs: Vec<_> = built["inputs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|input| word(input, "name"))
        .collect();
    assert!(inputs.contains(&"source.alarm".to_owned()), "{built}");
    assert_eq!(built["outputs"][0]["name"], "core.alarm");
    assert_eq!(built["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 90);
    let runs: std::collections::BTreeSet<String> = events.iter().map(|event| word(&event["run"], "runId")).collect();
    // two events of each run, and every name is a UUID of its own
    assert_eq!(runs.len() * 2, events.len());
    let shaped = |id: &String| id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    assert!(runs.iter().all(shaped), "{runs:?}");
    assert_eq!(
        built["run"]["facets"]["parent"]["run"]["runId"],
        of("nightly", "START")["run"]["runId"]
    );
}
