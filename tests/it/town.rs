//! A town whose 110 system sends files of calls, dispatches and feedback, corrects them and takes them back.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{copy, folder, ok, run, select, text, write_key};

/// The first day of calls, in March 2025.
pub const FIRST_DAY: u32 = 3;

/// Numbers from a seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// The files of a county's 110 system as they stand.
pub struct City {
    pub site: TempDir,
    pub dice: Dice,
    /// Calls of each alarm file: number, day and second of the day, category.
    pub alarms: BTreeMap<String, Vec<(u64, u32, u64, &'static str)>>,
    next: u64,
}

pub const CATEGORIES: [&str; 5] = ["0101", "0102", "0103", "0104", "0303"];

impl City {
    pub fn new(seed: u64) -> City {
        let site = folder();
        let path = site.path().display().to_string();
        ok(&["init", &path, "--defaults", "--name", "town"]);
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

    pub fn path(&self) -> String {
        self.site.path().display().to_string()
    }

    /// What a command answers, as rows.
    pub fn table(&self, words: &[&str]) -> Vec<Value> {
        let site = self.path();
        let all = [&["--site", &site], words, &["--output", "json"]].concat();
        serde_json::from_str(&ok(&all)).expect("JSON")
    }

    /// A new file of calls of these days, with dispatches and feedback of a later day.
    pub fn calls(&mut self, name: &str, days: &[u32], count: u64) {
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

    pub fn write(&self, name: &str) {
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
    pub fn answers(&mut self, name: &str, day: u32) {
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
    pub fn correct(&mut self) {
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
    pub fn withdraw(&mut self, feed: &str) {
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
    pub fn change_category(&self) {
        let path = self.site.path().join("pipelines/codes/category.csv");
        let list = std::fs::read_to_string(&path).expect("codes");
        let line = list.lines().find(|line| line.starts_with("0303,")).expect("a category");
        let other = match line.strip_suffix(",true,false") {
            Some(start) => format!("{start},false,false"),
            None => line.replace(",false,false", ",true,false"),
        };
        std::fs::write(path, list.replace(line, &other)).expect("codes");
    }

    pub fn night(&self) {
        let output = run(&["--site", &self.path(), "run", "nightly"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

pub fn moment(day: u32, second: u64) -> String {
    let second = second.min(86_399);
    format!(
        "2025-03-{day:02} {:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The text of a column.
pub fn word(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

/// Digests of the models in the newest release.
pub fn digests(site: &Path) -> BTreeMap<String, String> {
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
pub fn from_scratch(site: &Path) -> BTreeMap<String, String> {
    let other = folder();
    copy(site, other.path());
    std::fs::remove_dir_all(other.path().join("lake/releases")).expect("releases");
    for schema in ["core", "ref", "mart", "warning", "risk", "indicator"] {
        std::fs::remove_dir_all(other.path().join("lake/tables").join(schema)).ok();
    }
    ok(&["--site", &other.path().display().to_string(), "run", "nightly"]);
    digests(other.path())
}
