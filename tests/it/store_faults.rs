//! Every operation of the store fails once, in five ways, before its effect or after it: what comes out is whole
//! or a typed error, and a rerun ends where an undisturbed one ends. `tests/run long` tries all of an ingest and a
//! query, and four hundred of a night.

use std::path::Path;
use std::process::{Command, Output};

use crate::faults::{Mounted, Trial, stored};
use crate::support::{copy, fenghuo, folder, ok, run, text};
use crate::town::{City, FIRST_DAY, digests};

/// The ways in which an operation fails.
const KINDS: [&str; 5] = ["unavailable", "denied", "absent", "taken", "changed"];
/// Each before its effect and after it.
const WAYS: u64 = 2 * KINDS.len() as u64;

/// A fault as the program is told it: the operation, and the way in which it fails.
fn named(fault: u64) -> String {
    let (operation, way) = (fault / WAYS, fault % WAYS);
    let when = if way < WAYS / 2 { "before" } else { "after" };
    format!("{operation}:{}:{when}", KINDS[(way % (WAYS / 2)) as usize])
}

fn faulty(site: &Path, fault: &str, trace: Option<&Path>, arguments: &[&str]) -> Command {
    let mut command = fenghuo();
    command
        .args(["--site", &site.display().to_string(), "--lang", "en"])
        .args(arguments);
    command.env("FENGHUO_STORE_FAULT", fault);
    if let Some(trace) = trace {
        command.env("FENGHUO_STORE_TRACE", trace);
    }
    command
}

/// The operations of an undisturbed command, on a copy of a site.
fn operations(site: &Path, arguments: &[&str]) -> Vec<String> {
    let dir = folder();
    copy(site, dir.path());
    let trace = dir.path().join("trace");
    let output = faulty(dir.path(), "0", Some(&trace), arguments)
        .output()
        .expect("starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trace = std::fs::read_to_string(trace).expect("a trace");
    trace.lines().map(str::to_owned).collect()
}

/// The faults to try of so many operations: some forty, `long` where it may take long; evenly over the operations,
/// and one after the other in another way.
fn faults(operations: usize, long: u64) -> Vec<u64> {
    let most = std::env::var("FENGHUO_TEST_KILLS").map_or(40, |_| long);
    let all = operations as u64 * WAYS;
    let mut step = (all / most).max(1);
    // a step that shares no factor with the ways goes through all of them
    while step > 1 && (step.is_multiple_of(2) || step.is_multiple_of(5)) {
        step += 1;
    }
    (WAYS..WAYS + all).step_by(step as usize).collect()
}

#[test]
fn an_ingest_bears_a_store_that_fails_once() {
    let trial = Trial::new(stored());
    let operations = operations(trial.base.path(), &["ingest"]);
    let faults = faults(operations.len(), 4_000);
    let under = |site: &Path, fault: u64| {
        let output = faulty(site, &named(fault), None, &["ingest"]).output().expect("starts");
        Some((output, None))
    };
    let errors = trial.sweep(&faults, under).expect("faults");
    println!("{} operations of the store, {} faults", operations.len(), faults.len());
    assert!(errors * 3 > faults.len(), "{errors} errors");
}

/// Whether a command ended well, or in an error of one of our kinds.
fn typed(output: &Output) -> Result<bool, String> {
    let (code, said) = (output.status.code(), text(&output.stderr));
    match code {
        _ if said.contains("panicked") => Err(said),
        Some(0) => Ok(true),
        Some(1..=7) if said.contains("error: ") => Ok(false),
        _ => Err(format!("ended with {code:?}: {said}")),
    }
}

#[test]
fn a_night_and_its_upkeep_bear_a_store_that_fails_once() {
    let mut city = City::new(31);
    let settings = city.site.path().join("fenghuo.toml");
    let said = std::fs::read_to_string(&settings).expect("settings");
    let limits = "[limits]\nstep_wait_seconds = 0\norphan_hours = 0\nkeep_days = 0\n";
    std::fs::write(&settings, said.replace("[limits]\n", limits)).expect("settings");
    let small = "title_zh = \"小\"\ntitle_en = \"small\"\ningest = [\"*\"]\nbuild = [\"ref.category\", \"core.alarm\", \"mart.citizen_alarm\", \
                 \"mart.alarm_cell_day\"]\nupkeep = [\"optimize\", \"vacuum\"]\n";
    std::fs::write(city.site.path().join("pipelines/small.toml"), small).expect("a pipeline");
    for night in 0..4 {
        city.calls(&format!("d{night}.csv"), &[FIRST_DAY + night], 12);
        city.answers(&format!("a{night}"), FIRST_DAY + night);
        ok(&["--site", &city.path(), "--quiet", "run", "small"]);
    }
    city.calls("new.csv", &[FIRST_DAY + 2, FIRST_DAY + 4], 12);
    let calm = folder();
    copy(city.site.path(), calm.path());
    ok(&["--site", &calm.path().display().to_string(), "run", "small"]);
    let expected = digests(calm.path());
    let query = "SELECT count(*) AS n, sum(arrow_cast(biz_date, 'Int32')) AS days FROM core.alarm";
    let before = ok(&["--site", &city.path(), "query", query, "--output", "json"]);
    let after = ok(&[
        "--site",
        &calm.path().display().to_string(),
        "query",
        query,
        "--output",
        "json",
    ]);
    assert_ne!(before, after);
    let operations = operations(city.site.path(), &["run", "small"]);
    let (mut errors, mut wrong) = (0, Vec::new());
    let faults = faults(operations.len(), 400);
    for fault in &faults {
        let dir = folder();
        copy(city.site.path(), dir.path());
        let site = dir.path().display().to_string();
        let about = format!("{} {}", named(*fault), operations[(*fault / WAYS) as usize - 1]);
        let output = faulty(dir.path(), &named(*fault), None, &["run", "small"])
            .output()
            .expect("starts");
        match typed(&output) {
            Ok(well) => errors += usize::from(!well),
            Err(said) => wrong.push(format!("{about}: {said}")),
        }
        // what people see meanwhile is the release before or this one, never a part of it
        let shown = run(&["--site", &site, "query", query, "--output", "json"]);
        let shown = text(&shown.stdout);
        if shown != before && shown != after {
            wrong.push(format!("{about}: {shown} was shown"));
        }
        let rerun = run(&["--site", &site, "--lang", "en", "run", "small"]);
        if !rerun.status.success() {
            wrong.push(format!("{about}: the rerun failed: {}", text(&rerun.stderr)));
        } else if digests(dir.path()) != expected {
            wrong.push(format!("{about}: other rows after the rerun; {}", text(&output.stderr)));
        }
    }
    println!(
        "{} operations of the store, {errors} of {} runs ended in an error",
        operations.len(),
        faults.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(errors * 3 > faults.len(), "{errors} errors");
}

#[test]
fn a_query_bears_a_store_that_fails_once() {
    let mut city = City::new(32);
    city.calls("d0.csv", &[FIRST_DAY], 30);
    city.answers("a0", FIRST_DAY);
    city.night();
    let query = [
        "query",
        "SELECT county, count(*) AS n FROM core.alarm GROUP BY county ORDER BY county",
        "--output",
        "csv",
    ];
    let expected = ok(&[&["--site", &city.path()], &query[..]].concat());
    let operations = operations(city.site.path(), &query);
    let (mut errors, mut wrong) = (0, Vec::new());
    let faults = faults(operations.len(), 4_000);
    for fault in &faults {
        let output = faulty(city.site.path(), &named(*fault), None, &query)
            .output()
            .expect("starts");
        match typed(&output) {
            Ok(true) if text(&output.stdout) != expected => {
                wrong.push(format!("{}: {}", named(*fault), text(&output.stdout)))
            }
            Ok(well) => errors += usize::from(!well),
            Err(said) => wrong.push(format!("{}: {said}", named(*fault))),
        }
    }
    println!(
        "{} operations of the store, {errors} of {} queries ended in an error",
        operations.len(),
        faults.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(errors * 3 > faults.len(), "{errors} errors");
}

#[test]
fn a_spill_into_a_full_disk_holds_its_branch_and_a_rerun_goes_on() {
    let mut city = City::new(33);
    let settings = city.site.path().join("fenghuo.toml");
    let said = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(
        &settings,
        said.replace("[limits]\n", "[limits]\nquery_memory_mebibytes = 96\n"),
    )
    .expect("settings");
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1], 150);
    city.answers("a0", FIRST_DAY + 1);
    // three million rows to be sorted
    let model = "-- 大。 Large.\n-- @grain n\nSELECT max(x.n) AS n, max(x.m) AS m FROM (\n  SELECT row_number() OVER (ORDER BY \
                 concat(c.alarm_id, b.alarm_id, a.alarm_id)) AS n, concat(a.alarm_id, b.alarm_id) AS m\n  FROM core.alarm AS a CROSS JOIN \
                 core.alarm AS b CROSS JOIN core.alarm AS c) AS x\n";
    std::fs::create_dir_all(city.site.path().join("sql/mart")).expect("a folder");
    std::fs::write(city.site.path().join("sql/mart/large.sql"), model).expect("a model");
    let small = "title_zh = \"小\"\ntitle_en = \"small\"\ningest = [\"*\"]\nbuild = [\"ref.category\", \"core.alarm\", \"mart.feed_day\", \"mart.large\"]\n";
    std::fs::write(city.site.path().join("pipelines/small.toml"), small).expect("a pipeline");
    let temporary = folder();
    let Some(disk) = Mounted::new(temporary.path().join("disk")) else {
        return;
    };
    let output = fenghuo()
        .args(["--site", &city.path(), "--lang", "en", "run", "small"])
        .env("TMPDIR", &disk.0)
        .output()
        .expect("starts");
    let said = text(&output.stderr);
    assert!(typed(&output) == Ok(false), "{said}");
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("mart.large") || said.contains("mart/large.sql"), "{said}");
    let left = std::fs::read_dir(&disk.0).expect("a disk").count();
    assert_eq!(left, 0, "spilled rows were left behind");
    // the others were published
    let shown = ok(&[
        "--site",
        &city.path(),
        "query",
        "SELECT count(*) AS n FROM mart.feed_day",
        "--output",
        "csv",
    ]);
    assert!(shown.lines().count() == 2, "{shown}");
    drop(disk);
    ok(&["--site", &city.path(), "retry"]);
    let shown = ok(&[
        "--site",
        &city.path(),
        "query",
        "SELECT n FROM mart.large",
        "--output",
        "csv",
    ]);
    assert_eq!(shown.trim(), "n\n3375000");
}
