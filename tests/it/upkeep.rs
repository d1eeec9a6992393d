//! Upkeep of the lake: small files are put together without a change, pins hold, and what has to go goes from
//! every version, whoever keeps it.

use std::path::Path;

use crate::support::{copy, fenghuo, folder, kills, ok, rows, run, select, text};
use crate::town::{City, FIRST_DAY, digests, from_scratch, word};

/// Adds lines to the limits of a site.
fn limits(city: &City, lines: &str) {
    let settings = city.site.path().join("fenghuo.toml");
    let said = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(&settings, said.replace("[limits]\n", &format!("[limits]\n{lines}\n"))).expect("settings");
}

fn files(folder: &Path) -> usize {
    let mut pending = vec![folder.to_owned()];
    let mut count = 0;
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true if !path.ends_with("_delta_log") => pending.push(path),
                _ => count += usize::from(path.extension().is_some_and(|end| end == "parquet")),
            }
        }
    }
    count
}

const CALLS: &str = "SELECT row_key, alarm_id, biz_date, source_batch, source_line FROM source.alarm ORDER BY source_batch, source_line";

#[test]
fn small_files_are_put_together_and_the_next_night_builds_nothing_for_it() {
    let mut city = City::new(21);
    limits(&city, "orphan_hours = 0\nkeep_days = 0");
    for night in 0..4 {
        city.calls(&format!("d{night}.csv"), &[FIRST_DAY + night, FIRST_DAY], 25);
        city.answers(&format!("a{night}"), FIRST_DAY + night + 1);
        city.night();
    }
    let site = city.path();
    let before = select(city.site.path(), "source.alarm", CALLS);
    let trial = city.table(&["table", "optimize", "--dry-run"]);
    assert!(
        trial
            .iter()
            .any(|row| row["table"] == "source.alarm" && row["files"].as_u64() >= Some(4)),
        "{trial:?}"
    );
    assert_eq!(
        trial,
        city.table(&["table", "optimize", "--dry-run"]),
        "a trial changed something"
    );
    let done = city.table(&["table", "optimize"]);
    assert!(
        done.iter()
            .any(|row| row["table"] == "source.alarm" && row["into"] == 1),
        "{done:?}"
    );
    assert_eq!(select(city.site.path(), "source.alarm", CALLS), before);
    let history = city.table(&["table", "history", "source.alarm"]);
    assert_eq!(history[0]["operation"], "OPTIMIZE");
    // the rows are what they were: nothing is built, and the same file again is known
    city.night();
    let built = "SELECT count(*) AS n FROM ops.step WHERE kind = 'build' AND status = 'ok' AND run_id = (SELECT max(run_id) FROM ops.run)";
    assert_eq!(rows(city.site.path(), built)[0]["n"], 0);
    city.calls("d9.csv", &[FIRST_DAY + 1], 10);
    city.correct();
    city.night();
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));

    // a pinned version stays, the others go with the releases that showed them
    let folder = city.site.path().join("lake/tables/mart/alarm_cell_day");
    let held = city.table(&["release", "show", "1"]);
    let held = held
        .iter()
        .find(|row| row["table"] == "mart.alarm_cell_day")
        .expect("a table");
    let version = held["version"].as_u64().expect("a number").to_string();
    let pin = [
        "--site",
        &site,
        "table",
        "pin",
        "mart.alarm_cell_day",
        "--version",
        &version,
        "--until",
        "2999-01-01",
        "--owner",
        "review",
    ];
    ok(&pin);
    let many = files(&folder);
    ok(&["--site", &site, "table", "vacuum"]);
    let kept = files(&folder);
    assert!(kept < many, "{kept} of {many}");
    ok(&[
        "--site",
        &site,
        "query",
        "SELECT count(*) FROM mart.alarm_cell_day",
        "--quiet",
    ]);
    ok(&["--site", &site, "table", "unpin", "mart.alarm_cell_day"]);
    ok(&["--site", &site, "table", "vacuum"]);
    assert!(files(&folder) < kept, "the pin held nothing");
    assert_eq!(
        run(&["--site", &site, "table", "unpin", "mart.alarm_cell_day"])
            .status
            .code(),
        Some(3)
    );
}

#[test]
fn a_log_is_tidied_and_what_was_stored_is_known() {
    let mut city = City::new(23);
    limits(&city, "orphan_hours = 0\nkeep_days = 0");
    for file in 0..24 {
        city.calls(&format!("d{file}.csv"), &[FIRST_DAY, FIRST_DAY + 1], 4);
    }
    city.answers("a0", FIRST_DAY + 2);
    city.night();
    let log = city.site.path().join("lake/tables/source/alarm/1/_delta_log");
    let commits = || {
        let entries = std::fs::read_dir(&log).expect("a log").flatten();
        entries
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "json"))
            .count()
    };
    assert_eq!(commits(), 25);
    // the upkeep of the standard site
    ok(&["--site", &city.path(), "run", "weekly"]);
    let steps = rows(
        city.site.path(),
        "SELECT name, status FROM ops.step WHERE kind = 'upkeep' ORDER BY name",
    );
    let steps: Vec<_> = steps
        .iter()
        .map(|step| word(step, "name") + " " + &word(step, "status"))
        .collect();
    assert_eq!(steps, ["optimize ok", "vacuum ok"]);
    assert!(commits() < 10, "{} commits", commits());
    // a file that comes again under another name is known, and nights go on
    let inbox = city.site.path().join("inbox/alarm");
    std::fs::copy(inbox.join("d3.csv"), inbox.join("e3.csv")).expect("a copy");
    city.correct();
    city.calls("d30.csv", &[FIRST_DAY + 1], 5);
    city.night();
    let again = select(
        city.site.path(),
        "ops.ingest",
        "SELECT file, action FROM ops.ingest WHERE file = 'inbox/alarm/e3.csv'",
    );
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(word(&again[0], "action"), "received_again");
    std::fs::remove_file(inbox.join("e3.csv")).expect("a file");
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}

#[test]
fn one_call_is_erased_from_every_version_and_stays_away() {
    let mut city = City::new(22);
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1], 40);
    city.answers("a0", FIRST_DAY + 2);
    city.night();
    city.calls("d1.csv", &[FIRST_DAY + 1, FIRST_DAY + 2], 40);
    city.night();
    let site = city.path();
    ok(&[
        "--site",
        &site,
        "table",
        "pin",
        "core.alarm",
        "--until",
        "2999-01-01",
        "--owner",
        "review",
    ]);
    // a copy of the rows in an environment has to go as well
    let model = city.site.path().join("sql/mart/citizen_alarm.sql");
    let sound = std::fs::read_to_string(&model).expect("a model");
    std::fs::write(&model, sound.replace("AND is_mappable", "AND is_mappable AND true")).expect("a model");
    ok(&["--site", &site, "run", "--env", "dev"]);
    std::fs::write(&model, sound).expect("a model");

    let number = "A000007";
    let count = |sql: &str| rows(city.site.path(), sql)[0]["n"].as_u64();
    let calls = count("SELECT count(*) AS n FROM core.alarm");
    let trial = city.table(&["purge", number, "--dry-run"]);
    let of = |name: &str| {
        trial
            .iter()
            .find(|row| row["table"] == name)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(
        (of("source.alarm")["rows"].as_u64(), of("core.alarm")["rows"].as_u64()),
        (Some(1), Some(1)),
        "{trial:?}"
    );
    assert!(trial.iter().any(|row| row["location"] == "dev-1"), "{trial:?}");
    assert_eq!(
        count("SELECT count(*) AS n FROM core.alarm"),
        calls,
        "a trial changed something"
    );

    // the file that brought it lies in the inbox: what is left is said, and it is no success
    let left = run(&["--site", &site, "--lang", "en", "purge", number]);
    assert_eq!(left.status.code(), Some(1), "{}", text(&left.stderr));
    assert!(text(&left.stderr).contains("d0.csv"), "{}", text(&left.stderr));
    for feed in ["alarm", "dispatch", "feedback"] {
        for entry in std::fs::read_dir(city.site.path().join("inbox").join(feed))
            .expect("a folder")
            .flatten()
        {
            let lines = std::fs::read_to_string(entry.path()).expect("a file");
            let kept: Vec<&str> = lines.lines().filter(|line| !line.contains(number)).collect();
            std::fs::write(entry.path(), format!("{}\n", kept.join("\n"))).expect("a file");
        }
    }
    let done = run(&["--site", &site, "--lang", "en", "purge", number]);
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    assert!(city.table(&["purge", number, "--dry-run"]).is_empty());
    assert_eq!(
        count("SELECT count(*) AS n FROM core.alarm"),
        calls.map(|calls| calls - 1)
    );
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));

    // who sends it again brings nothing, in the same file or in another
    let mut again = std::fs::read_to_string(city.site.path().join("inbox/alarm/d0.csv")).expect("a file");
    again.push_str("A000007,,2025-03-04 11:00:00,0101,0101,2,990102,9901020003,101.4,40.3,x,street,,,,\n");
    for name in ["d0.csv", "other.csv"] {
        std::fs::write(city.site.path().join("inbox/alarm").join(name), &again).expect("a file");
        city.night();
        assert_eq!(
            count("SELECT count(*) AS n FROM core.alarm"),
            calls.map(|calls| calls - 1),
            "{name}"
        );
    }
    let accounts = rows(
        city.site.path(),
        "SELECT read, accepted, duplicate, rejected FROM ops.ingest",
    );
    for account in &accounts {
        let of = |name: &str| account[name].as_u64().unwrap_or_default();
        assert_eq!(
            of("read"),
            of("accepted") + of("duplicate") + of("rejected"),
            "{account}"
        );
    }
}

#[test]
fn a_purge_wants_a_number_and_the_lakes_own_key() {
    let mut city = City::new(24);
    city.calls("d0.csv", &[FIRST_DAY], 10);
    city.answers("a0", FIRST_DAY + 1);
    city.night();
    let (site, number) = (city.path(), "A000007");
    assert!(!city.table(&["purge", number, "--dry-run"]).is_empty());
    assert_eq!(
        run(&["--site", &site, "purge", "A9", "--contract", "alrm"])
            .status
            .code(),
        Some(3)
    );
    for nothing in ["", " "] {
        assert_eq!(
            run(&["--site", &site, "purge", nothing]).status.code(),
            Some(2),
            "'{nothing}'"
        );
    }
    // under another key nothing is found, and that is no proof
    let key = city.site.path().join("keys/site.key");
    let text = std::fs::read_to_string(&key).expect("a key");
    let other = if text.starts_with('0') { "1" } else { "0" };
    std::fs::write(&key, format!("{other}{}", &text[1..])).expect("a key");
    assert_eq!(
        run(&["--site", &site, "purge", number, "--dry-run"]).status.code(),
        Some(5)
    );
}

#[test]
fn what_is_older_than_a_contract_keeps_goes_from_every_version() {
    let mut city = City::new(23);
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 2], 60);
    city.answers("a0", FIRST_DAY + 3);
    city.night();
    let site = city.path();
    let refused = run(&["--site", &site, "purge", "--old"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    // as many days as there are since the second day
    let today = chrono::Utc::now().date_naive();
    let since = chrono::NaiveDate::from_ymd_opt(2025, 3, FIRST_DAY + 1).expect("a day");
    let path = city.site.path().join("pipelines/contracts/alarm.toml");
    let contract = std::fs::read_to_string(&path).expect("a contract");
    let days = (today - since).num_days();
    std::fs::write(
        &path,
        contract.replace("[columns]", &format!("keep_days = {days}\n\n[columns]")),
    )
    .expect("a contract");
    // another contract of the same table keeps its rows for good, and they cannot be told apart
    let other = city.site.path().join("pipelines/contracts/other.toml");
    std::fs::write(&other, contract.replace("inbox/alarm/", "inbox/other/")).expect("a contract");
    assert_eq!(run(&["--site", &site, "purge", "--old"]).status.code(), Some(3));
    std::fs::remove_file(&other).expect("a contract");
    ok(&["--site", &site, "purge", "--old"]);
    let left = rows(
        city.site.path(),
        "SELECT min(biz_date) AS first, count(*) AS n FROM core.alarm",
    );
    assert!(word(&left[0], "first") >= since.to_string(), "{left:?}");
    assert!(left[0]["n"].as_u64() > Some(10));
    assert!(city.table(&["purge", "--old", "--dry-run"]).is_empty());
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
}

#[test]
fn upkeep_that_is_killed_loses_nothing_and_disturbs_no_reader() {
    let mut city = City::new(31);
    limits(&city, "orphan_hours = 0\nkeep_days = 0");
    for night in 0..4 {
        city.calls(&format!("d{night}.csv"), &[FIRST_DAY + night], 25);
        city.answers(&format!("a{night}"), FIRST_DAY + night + 1);
        city.night();
    }
    let (expected, calls) = (
        digests(city.site.path()),
        select(city.site.path(), "source.alarm", CALLS),
    );
    let verbs = [["table", "optimize"], ["table", "vacuum"]];
    let calm = folder();
    copy(city.site.path(), calm.path());
    let since = std::time::Instant::now();
    for verb in verbs {
        ok(&[&["--site", &calm.path().display().to_string()], &verb[..]].concat());
    }
    let whole = since.elapsed();
    let mut dice = crate::town::Dice(5);
    let mut cut_off = 0;
    for kill in 0..kills() {
        let trial = folder();
        copy(city.site.path(), trial.path());
        let site = trial.path().display().to_string();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let looks = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut looks = Vec::new();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    looks.push(select(trial.path(), "source.alarm", CALLS));
                }
                looks
            });
            let at = whole.mul_f64(dice.below(1_000) as f64 / 1_000.0);
            let since = std::time::Instant::now();
            for verb in verbs {
                let mut child = fenghuo()
                    .args(["--site", &site, "--quiet"])
                    .args(verb)
                    .stdout(std::process::Stdio::null())
                    .spawn()
                    .expect("starts");
                loop {
                    if let Some(status) = child.try_wait().expect("a process") {
                        assert!(status.success(), "kill {kill}: {verb:?}");
                        break;
                    }
                    if since.elapsed() >= at {
                        child.kill().expect("a signal");
                        child.wait().expect("ends");
                        cut_off += 1;
                        break;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            reader.join().expect("a reader")
        });
        assert!(
            looks.iter().all(|look| *look == calls),
            "kill {kill}: a reader saw other rows"
        );
        // a run comes after it, and the next upkeep leaves exactly what is shown
        ok(&["--site", &site, "run", "nightly"]);
        assert_eq!(select(trial.path(), "source.alarm", CALLS), calls, "kill {kill}");
        assert_eq!(digests(trial.path()), expected, "kill {kill}");
        // the release that shows the files as they are now lets the others go
        for verb in [&verbs[0][..], &["run", "nightly"], &verbs[1][..]] {
            ok(&[&["--site", &site], verb].concat());
        }
        let folder = trial.path().join("lake/tables/source/alarm/1");
        let shown = "SELECT DISTINCT source_batch FROM source.alarm";
        assert!(!select(trial.path(), "source.alarm", shown).is_empty());
        assert_eq!(files(&folder), 1, "kill {kill}: files are left over");
    }
    println!("{} kills, {cut_off} processes cut off", kills());
    assert!(cut_off > 0, "no kill fell into upkeep");
}
