//! Models that are built day by day: after any history of new, late, corrected and withdrawn files their
//! tables equal those built from scratch, and a night builds the days that changed and no others. What
//! fails a check holds its branch.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{copy, folder, ok, rows, run, select, text, write_key};

const SEEDS: [u64; 2] = [1, 7];
const NIGHTS: usize = 7;
const FIRST_DAY: u32 = 3;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// The files of a county's 110 system as they stand.
struct City {
    site: TempDir,
    dice: Dice,
    /// Calls of each alarm file: number, day and second of the day, category.
    alarms: BTreeMap<String, Vec<(u64, u32, u64, &'static str)>>,
    next: u64,
}

const CATEGORIES: [&str; 5] = ["0101", "0102", "0103", "0104", "0303"];

impl City {
    fn new(seed: u64) -> City {
        let site = folder();
        ok(&["init", &site.path().display().to_string(), "--defaults"]);
        write_key(site.path());
        std::fs::remove_dir_all(site.path().join("inbox")).ok();
        for feed in ["alarm", "dispatch", "feedback"] {
            std::fs::create_dir_all(site.path().join("inbox").join(feed)).expect("a folder");
            let path = site.path().join(format!("pipelines/contracts/{feed}.toml"));
            let contract = std::fs::read_to_string(&path).expect("a contract");
            let contract = contract.replace("[columns]", "resend = \"replace\"\n\n[columns]");
            std::fs::write(path, contract).expect("a contract");
        }
        let settings = site.path().join("fenghuo.toml");
        let text = std::fs::read_to_string(&settings).expect("settings");
        std::fs::write(settings, format!("{text}\n[limits]\nvanished_percent = 60\n")).expect("settings");
        City {
            site,
            dice: Dice(seed),
            alarms: BTreeMap::new(),
            next: 1,
        }
    }

    fn path(&self) -> String {
        self.site.path().display().to_string()
    }

    /// A new file of calls of these days, with dispatches and feedback of a later day.
    fn calls(&mut self, name: &str, days: &[u32], count: u64) {
        let mut calls = Vec::new();
        for _ in 0..count {
            let day = days[self.dice.below(days.len() as u64) as usize];
            let category = CATEGORIES[self.dice.below(CATEGORIES.len() as u64) as usize];
            calls.push((self.next, day, self.dice.below(86_400), category));
            self.next += 1;
        }
        self.alarms.insert(name.to_owned(), calls);
        self.write(name);
    }

    fn write(&self, name: &str) {
        let mut file = "alarm_no,main_alarm_no,reported_at,report_mode,category,priority,county,area,lon,lat,address,\
            place_kind,caller_name,caller_phone,caller_id_no,content\n"
            .to_owned();
        for (number, day, second, category) in &self.alarms[name] {
            let at = moment(*day, *second);
            let (lon, lat) = (101.4 + (number % 7) as f64 * 0.01, 40.3 + (number % 5) as f64 * 0.01);
            writeln!(
                file,
                "A{number:06},,{at},0101,{category},2,99010{},99010{}00{},{lon},{lat},x,street,,,,",
                number % 3 + 1,
                number % 3 + 1,
                number % 4 + 1
            )
            .expect("memory");
        }
        std::fs::write(self.site.path().join("inbox/alarm").join(name), file).expect("a file");
    }

    /// Dispatches and feedback that came on a day, about calls of any day before.
    fn answers(&mut self, name: &str, day: u32) {
        let known: Vec<u64> = self
            .alarms
            .values()
            .flatten()
            .filter(|call| call.1 <= day)
            .map(|call| call.0)
            .collect();
        let mut dispatches =
            "dispatch_no,alarm_no,unit_kind,station,dispatched_at,acknowledged_at,enroute_at,arrived_at,\
            call_sign\n"
                .to_owned();
        let mut feedback =
            "feedback_no,alarm_no,is_final,category_final,result,handled_at,fed_back_at,officer_name,detail\n"
                .to_owned();
        for at in 0..20 {
            let call = known[self.dice.below(known.len() as u64) as usize];
            let second = self.dice.below(80_000);
            let (sent, came) = (moment(day, second), moment(day, second + self.dice.below(900)));
            writeln!(dispatches, "D{name}{at},A{call:06},car,S1,{sent},{sent},{sent},{came},").expect("memory");
            let category = CATEGORIES[self.dice.below(CATEGORIES.len() as u64) as usize];
            writeln!(feedback, "F{name}{at},A{call:06},true,{category},done,{came},{came},,").expect("memory");
        }
        let inbox = self.site.path().join("inbox");
        std::fs::write(inbox.join(format!("dispatch/{name}.csv")), dispatches).expect("a file");
        std::fs::write(inbox.join(format!("feedback/{name}.csv")), feedback).expect("a file");
    }

    /// Some calls of an earlier file are of another category or day, one is gone.
    fn correct(&mut self) {
        let names: Vec<String> = self.alarms.keys().cloned().collect();
        let name = names[self.dice.below(names.len() as u64) as usize].clone();
        for _ in 0..3 {
            let (at, day, category) = (self.dice.below(1_000), self.dice.below(4), self.dice.below(5));
            let calls = self.alarms.get_mut(&name).expect("a file");
            let at = at as usize % calls.len();
            calls[at].1 = FIRST_DAY + day as u32;
            calls[at].3 = CATEGORIES[category as usize];
        }
        self.alarms.get_mut(&name).expect("a file").pop();
        self.write(&name);
    }

    /// Takes the newest batch of a feed back; its file goes with it.
    fn withdraw(&mut self, feed: &str) {
        let sql = format!(
            "SELECT batch_id, file FROM ops.ingest WHERE contract = '{feed}' AND action IN ('stored', 'resent') \
             AND batch_id NOT IN (SELECT batch_id FROM ops.ingest WHERE action = 'withdrawn') ORDER BY ingested_at DESC"
        );
        let found = select(self.site.path(), "ops.ingest", &sql);
        // a feed without any row would switch its models off
        let [found, _, ..] = &found[..] else { return };
        let (batch, file) = (found["batch_id"].as_str(), found["file"].as_str());
        let (batch, file) = (batch.expect("a batch"), file.expect("a file"));
        ok(&["--site", &self.path(), "ingest", "withdraw", batch]);
        std::fs::remove_file(self.site.path().join(file)).expect("a file");
        self.alarms.remove(file.trim_start_matches("inbox/alarm/"));
    }

    /// Calls of one category may be mapped, or may no longer.
    fn change_category(&self) {
        let path = self.site.path().join("pipelines/codes/category.csv");
        let list = std::fs::read_to_string(&path).expect("codes");
        let line = list.lines().find(|line| line.starts_with("0303,")).expect("a category");
        let other = match line.strip_suffix(",true,false") {
            Some(start) => format!("{start},false,false"),
            None => line.replace(",false,false", ",true,false"),
        };
        std::fs::write(path, list.replace(line, &other)).expect("codes");
    }

    fn night(&self) {
        let output = run(&["--site", &self.path(), "run", "nightly"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

fn moment(day: u32, second: u64) -> String {
    let second = second.min(86_399);
    format!(
        "2025-03-{day:02} {:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The text of a column.
fn word(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

/// Digests of the models in the newest release.
fn digests(site: &Path) -> BTreeMap<String, String> {
    let releases = std::fs::read_dir(site.join("lake/releases")).expect("releases");
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let newest = releases
        .flatten()
        .map(|entry| entry.path())
        .max_by_key(|path| number(path))
        .expect("a release");
    let release: Value = serde_json::from_slice(&std::fs::read(newest).expect("a release")).expect("JSON");
    let tables = release["tables"].as_object().expect("tables");
    let digest = |(name, table): (&String, &Value)| Some((name.clone(), table["digest"].as_str()?.to_owned()));
    tables.iter().filter_map(digest).collect()
}

/// The same sources with every model built anew.
fn from_scratch(site: &Path) -> BTreeMap<String, String> {
    let other = folder();
    copy(site, other.path());
    std::fs::remove_dir_all(other.path().join("lake/releases")).expect("releases");
    for schema in ["core", "ref", "mart", "warning", "risk", "indicator"] {
        std::fs::remove_dir_all(other.path().join("lake/tables").join(schema)).ok();
    }
    ok(&["--site", &other.path().display().to_string(), "run", "nightly"]);
    digests(other.path())
}

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
