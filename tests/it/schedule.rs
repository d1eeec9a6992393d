//! Thirty days of a scheduler in accelerated time: restarts, a clock that leaps, three days of outage, and
//! the night on which clocks go forward. Every moment at which a pipeline was due stands once in `ops.run`,
//! run or left out as its catch-up says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{Datelike, TimeZone, Timelike};
use chrono_tz::America::Chicago;
use fenghuo::config::Site;
use fenghuo::ingest::{Progress, Report};
use fenghuo::lake::Lake;
use fenghuo::message::Message;
use fenghuo::pipeline::schedule::{Holidays, Steady, Turn, done, jobs};
use fenghuo::pipeline::{Request, Run, Watch};
use fenghuo::protect::SiteKey;
use fenghuo::time::{Calendar, Clock};

use crate::support::{bare_site, fenghuo, ok, rows, text};
use crate::town::Dice;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1_440 * MINUTE;
const DAYS: i64 = 30;

/// A clock that the test turns.
#[derive(Debug, Default)]
struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Deaf;

impl Watch for Deaf {
    fn said(&self, _: Message) {}
    fn reading(&self, _: &str, _: u64, _: Arc<Progress>) {}
    fn read(&self, _: &Report) {}
}

fn pipeline(site: &Path, name: &str, schedule: &str) {
    let text = format!("title_zh = \"试\"\ntitle_en = \"{name}\"\n{schedule}\n");
    std::fs::write(site.join(format!("pipelines/{name}.toml")), text).expect("a pipeline");
}

/// How the clock of the machine differs from the true one at a minute of the month.
fn error(minute: i64) -> i64 {
    let (day, of_day) = (minute / 1_440, minute % 1_440);
    match (day, of_day) {
        (17, 600..620) => 60 * MINUTE,
        (19, 300..340) => -DAY,
        (21, 100..109) => 13 * 365 * DAY,
        (22, 100..109) => -55 * 365 * DAY,
        (24, 700..735) => 2 * DAY,
        _ => 0,
    }
}

/// What became of the moments of a pipeline, by its name and local day and hour.
type Moments = BTreeMap<(String, u32, u32), Vec<String>>;

/// What stands in the records.
fn recorded(path: &Path) -> Moments {
    let found = rows(
        path,
        "SELECT pipeline, status, arrow_cast(due_at, 'Int64') AS due FROM ops.run ORDER BY due_at, pipeline",
    );
    let mut records = Moments::new();
    for row in &found {
        let due = row["due"].as_i64().expect("a moment");
        let local = Chicago.timestamp_micros(due).single().expect("a moment");
        let name = row["pipeline"].as_str().expect("a name").to_owned();
        let status = row["status"].as_str().expect("a status").to_owned();
        records
            .entry((name, local.day(), local.hour()))
            .or_default()
            .push(status);
    }
    records
}

/// What the calendar and the catch-up of each pipeline ask for.
fn expected() -> Moments {
    let mut expected = Moments::new();
    for day in 1..=30_u32 {
        // on the ninth, half past two does not exist: it is run when the clock has gone forward
        let (hour, out) = (if day == 9 { 3 } else { 2 }, [12, 13, 14].contains(&day));
        let word = |skipped: bool| vec![if skipped { "skipped" } else { "ok" }.to_owned()];
        // power went at five on the twelfth and came at five on the fifteenth: the newest is caught up
        let missed = [13, 14].contains(&day);
        expected.insert(("night".to_owned(), day, hour), word(missed));
        for hour in [6, 18] {
            expected.insert(("watch".to_owned(), day, hour), word(false));
        }
        let weekday = chrono::NaiveDate::from_ymd_opt(2025, 3, day)
            .expect("a day")
            .weekday()
            .number_from_monday();
        if (weekday < 6 || day == 8) && day != 5 {
            expected.insert(("office".to_owned(), day, 9), word(out));
        }
    }
    expected
}

#[test]
fn every_moment_of_thirty_days_is_run_once_or_left_out() {
    let (dir, _) = bare_site();
    let path = dir.path();
    let settings = path.join("fenghuo.toml");
    let written = std::fs::read_to_string(&settings).expect("settings");
    let zoned = written.replace("timezone = \"Asia/Shanghai\"", "timezone = \"America/Chicago\"");
    assert_ne!(written, zoned, "the zone stands in the settings");
    std::fs::write(&settings, zoned).expect("settings");
    pipeline(path, "night", "cron = \"30 2 * * *\"");
    pipeline(path, "watch", "cron = \"15 6,18 * * *\"\ncatch_up = \"all\"");
    pipeline(
        path,
        "office",
        "cron = \"0 9 * * *\"\non = \"workdays\"\ncatch_up = \"none\"\nlate_minutes = 30",
    );
    let site = Site::open(path).expect("a site");
    let lake = Lake::open(site.root(), &site.settings.lake.url).expect("a lake");
    let key = SiteKey::from_hex(&"0123456789abcdef".repeat(4)).expect("a key");
    let (clock, calendar) = (
        Turned::default(),
        Calendar::new("America/Chicago", "00:00").expect("a zone"),
    );
    let jobs = jobs(&site).expect("jobs");
    // a holiday on a Wednesday, and a Saturday that is worked on in exchange
    let day =
        |month, day| fenghuo::time::calendar::days(chrono::NaiveDate::from_ymd_opt(2025, month, day).expect("a day"));
    let holidays = Holidays::from([
        (day(3, 5), "holiday".to_owned()),
        (day(3, 8), "swapped_workday".to_owned()),
    ]);
    let first = Chicago
        .with_ymd_and_hms(2025, 3, 1, 0, 0, 0)
        .single()
        .expect("a moment")
        .timestamp_micros();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (mut dice, mut number, mut restarts) = (Dice(3), 0_u32, 0);
    let (mut since, mut steady) = (first, Steady::default());
    let mut known = BTreeMap::<String, BTreeSet<i64>>::new();
    for minute in (0..DAYS * 1_440).step_by(5) {
        // three days without power, and restarts
        if (11 * 1_440 + 300..14 * 1_440 + 300).contains(&minute) {
            steady = Steady::default();
            continue;
        }
        let now = first + minute * MINUTE + error(minute);
        clock.0.store(now, Ordering::Relaxed);
        if dice.below(400) == 0 && error(minute) == 0 {
            restarts += 1;
            (since, steady) = (now, Steady::default());
            known = runtime.block_on(done(&site, &lake)).expect("records");
        }
        if !steady.believes(now, 5 * MINUTE) {
            continue;
        }
        for job in &jobs {
            let before = known.entry(job.pipeline.clone()).or_default().clone();
            for (due, turn) in job.turns(&before, since, now, &calendar, &holidays) {
                number += 1;
                let run = Run {
                    site: &site,
                    lake: &lake,
                    key: &key,
                    clock: &clock,
                    entropy: [0; 32],
                    run_id: format!("r{number:05}"),
                };
                let request = Request {
                    due_at: Some(due),
                    ..Request::all(&job.pipeline)
                };
                runtime.block_on(async {
                    match turn {
                        Turn::Skip => run.skip(&job.pipeline, due).await.expect("a record"),
                        Turn::Run => drop(run.pipeline(&request, &Deaf).await.expect("a run")),
                    }
                });
                known.entry(job.pipeline.clone()).or_default().insert(due);
            }
        }
    }
    let records = recorded(path);
    println!("{} moments of {DAYS} days with {restarts} restarts", records.len());
    assert!(restarts > 5);
    let expected = expected();
    for (moment, statuses) in &expected {
        assert_eq!(records.get(moment), Some(statuses), "{moment:?}");
    }
    assert_eq!(records.len(), expected.len());
}

#[test]
fn a_schedule_is_shown_and_what_is_wrong_in_it_is_named() {
    let (dir, _) = bare_site();
    let site = dir.path().display().to_string();
    let run = |arguments: &[&str]| {
        fenghuo()
            .args([&["--site", &site], arguments].concat())
            .output()
            .expect("starts")
    };
    let nothing = run(&["schedule", "--once"]);
    assert_eq!(nothing.status.code(), Some(3));
    assert!(
        text(&nothing.stderr).contains("cron = \"30 2 * * *\""),
        "{}",
        text(&nothing.stderr)
    );
    pipeline(dir.path(), "night", "cron = \"30 25 * * *\"");
    let wrong = run(&["schedule", "--next"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("pipelines/night.toml:3:"),
        "{}",
        text(&wrong.stderr)
    );
    pipeline(dir.path(), "night", "cron = \"* * * * *\"");
    let next = ok(&["--site", &site, "schedule", "--next", "--output", "json"]);
    assert!(next.contains("\"pipeline\":\"night\""), "{next}");
    assert!(run(&["schedule", "--once"]).status.success());
}
