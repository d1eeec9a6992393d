//! Place hints: at most three facts about a place, each with its age, from the standard site on the demonstration city.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::demo;
use crate::support::{copy, fenghuo, folder, rows, run, text};

struct Site {
    home: TempDir,
}

impl Site {
    fn new() -> Site {
        let home = folder();
        copy(demo::city(), &home.path().join("city"));
        Site { home }
    }

    fn path(&self) -> String {
        self.home.path().join("city").display().to_string()
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = run(&[&["--site", &self.path(), "--lang", "en"], args].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn at(&self, place: &Value, category: &str) -> Vec<Value> {
        let [lon, lat] = ["lon", "lat"].map(|name| place[name].to_string());
        let asked = [
            "hints",
            "--lon",
            &lon,
            "--lat",
            &lat,
            "--category",
            category,
            "--output",
            "json",
        ];
        let (code, said, heard) = self.run(&asked);
        assert_eq!(code, Some(0), "{heard}");
        serde_json::from_str(&said).expect("JSON")
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        rows(Path::new(&self.path()), sql)
    }
}

/// A cell with a hazard and calls of the last year.
const BUSY: &str = "SELECT m.lon, m.lat, m.cell FROM mart.cell_place AS m JOIN risk.place_hint AS f ON f.cell = m.cell \
     GROUP BY m.lon, m.lat, m.cell HAVING count(*) FILTER (WHERE f.kind = 'hazard') > 0 AND count(*) FILTER (WHERE f.subject = '0301') > 0 \
     ORDER BY m.cell LIMIT 1";

#[test]
fn what_a_crew_reads_is_short_dated_and_about_the_place() {
    let site = Site::new();
    let place = site.rows(BUSY).remove(0);
    let hints = site.at(&place, "0301");
    assert!((1..=3).contains(&hints.len()), "{hints:?}");
    assert_eq!(hints[0]["kind"], "hazard", "{hints:?}");
    let history = hints
        .iter()
        .find(|hint| hint["kind"] == "history")
        .expect("calls of the last year");
    let households: u32 = history["households"]
        .as_str()
        .expect("a number")
        .parse()
        .expect("a number");
    assert!(households >= 10, "{history}");
    assert!(
        history["age_days"].as_str().expect("an age").parse::<u32>().is_ok(),
        "{history}"
    );
    // nothing that could name a dwelling or a person is among the columns
    let columns: Vec<&String> = hints[0].as_object().expect("a row").keys().collect();
    assert_eq!(
        columns,
        ["hint_id", "kind", "text", "fact_on", "age_days", "households", "as_of"]
    );
    let [lon, lat] = ["lon", "lat"].map(|name| place[name].to_string());
    let (_, page, _) = site.run(&["hints", "--lon", &lon, "--lat", &lat, "--category", "0301"]);
    for word in [
        "facts as of 2025-12-31",
        "days ago",
        "no record does not mean no danger",
        "valid until",
    ] {
        assert!(page.contains(word), "no {word} in {page}");
    }
    let few =
        site.rows("SELECT count(*) AS n FROM risk.place_hint WHERE kind = 'history' AND coalesce(households, 0) < 10");
    assert_eq!(few[0]["n"], 0, "calls of a place that few share");
}

#[test]
fn a_call_is_found_by_its_number_whether_it_is_held_ready_or_looked_up() {
    let site = Site::new();
    let calls = std::fs::read_to_string(site.home.path().join("city/inbox/alarm/990101.csv")).expect("calls");
    let numbers: Vec<&str> = calls
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .take(40)
        .collect();
    let asked = || -> Vec<Value> {
        let mut pipe = fenghuo()
            .args(["--site", &site.path(), "--lang", "en", "--quiet", "hints", "--pipe"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut questions = pipe.stdin.take().expect("its input");
        for number in numbers.iter().chain(&["nosuchnumber"]) {
            writeln!(questions, "{}", json!({ "alarm": number })).expect("a question");
        }
        drop(questions);
        let answers = BufReader::new(pipe.stdout.take().expect("its output")).lines();
        let answers = answers.map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON"));
        // until when it holds is another moment each time
        let answers = answers.map(|mut answer| {
            answer.as_object_mut().expect("an answer").remove("valid_until");
            answer
        });
        let answers = answers.collect();
        assert!(pipe.wait().expect("an end").success());
        answers
    };
    let ready = asked();
    assert_eq!(ready.len(), numbers.len() + 1);
    let told = ready.iter().filter(|answer| answer["hints"].is_array()).count();
    let nowhere = ready
        .iter()
        .filter(|answer| answer["error"].to_string().contains("no position"))
        .count();
    assert!(told > 0 && nowhere > 0, "{told} told, {nowhere} without a position");
    assert!(
        ready[numbers.len()]["error"].to_string().contains("no call record"),
        "{ready:?}"
    );
    // with room for no day at all each is looked for in the table
    let path = site.home.path().join("city/fenghuo.toml");
    let said = std::fs::read_to_string(&path).expect("settings");
    assert!(!said.contains("[limits]"));
    std::fs::write(&path, format!("{said}\n[limits]\nhint_calls = 0\n")).expect("settings");
    assert_eq!(asked(), ready);
}

#[test]
fn what_is_wrong_goes_at_once_and_stays_away_after_the_next_night() {
    let site = Site::new();
    let place = site.rows(BUSY).remove(0);
    let wrong = site.at(&place, "0301")[0]["hint_id"]
        .as_str()
        .expect("a name")
        .to_owned();
    let shown = |site: &Site| {
        site.at(&place, "0301")
            .iter()
            .any(|hint| hint["hint_id"] == wrong.as_str())
    };
    let mut pipe = fenghuo()
        .args(["--site", &site.path(), "--lang", "en", "--quiet", "hints", "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut asked = pipe.stdin.take().expect("an input");
    let mut answers = BufReader::new(pipe.stdout.take().expect("an output"));
    let mut ask = |question: &str| -> Value {
        writeln!(asked, "{question}").expect("asked");
        let mut line = String::new();
        answers.read_line(&mut line).expect("answered");
        serde_json::from_str(&line).expect("JSON")
    };
    let question = json!({ "lon": place["lon"], "lat": place["lat"], "category": "0301" }).to_string();
    assert_eq!(ask(&question)["hints"][0]["hint_id"], wrong.as_str());
    let (code, _, heard) = site.run(&["hints", "mark", &wrong, "--as", "wrong"]);
    assert_eq!(code, Some(0), "{heard}");
    // the process that was open before hides it as well
    assert_ne!(ask(&question)["hints"][0]["hint_id"], wrong.as_str());
    assert!(
        ask("nonsense")["error"]
            .as_str()
            .is_some_and(|said| said.contains("category"))
    );
    assert!(ask(&question)["hints"].is_array(), "a bad question ends nothing");
    drop(asked);
    assert!(pipe.wait().expect("an end").success());
    assert!(!shown(&site));
    let (code, _, heard) = site.run(&["run"]);
    assert_eq!(code, Some(0), "{heard}");
    assert_eq!(site.rows("SELECT mark FROM core.hint_mark").len(), 1);
    assert!(!shown(&site), "the night forgot it");
    let (_, _, heard) = site.run(&["hints", "mark", &wrong, "--as", "useful"]);
    assert!(shown(&site), "{heard}");
}

#[test]
fn a_call_is_found_by_its_number_and_one_that_may_not_be_mapped_tells_no_place() {
    let site = Site::new();
    let calls = Path::new(&site.path()).join("inbox/alarm/990101.csv");
    let said = text(&std::fs::read(calls).expect("a file"));
    let number = |category: &str| {
        let rows = said.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
        let mut rows =
            rows.filter(|row| row.get(4) == Some(&category) && row.get(8).is_some_and(|lon| !lon.is_empty()));
        rows.next().map(|row| row[0].to_owned()).expect("such a call")
    };
    let (code, page, heard) = site.run(&["hints", "--alarm", &number("0301")]);
    assert_eq!(code, Some(0), "{heard}");
    assert!(page.contains("no record does not mean no danger"), "{page}");
    let (code, page, heard) = site.run(&["hints", "--alarm", &number("0801")]);
    assert_eq!((code, page.as_str()), (Some(3), ""), "{heard}");
    assert!(heard.contains("no position is kept"), "{heard}");
    for (args, code, word) in [
        (vec!["hints", "--alarm", "none such"], 3, "no call record"),
        (
            vec!["hints", "--lon", "117", "--lat", "95", "--category", "0301"],
            2,
            "no longitude and latitude",
        ),
        (
            vec!["hints", "--lon", "117", "--lat", "34", "--category", "0391"],
            2,
            "no category 0391",
        ),
        (vec!["hints", "--lon", "117", "--category", "0301"], 2, "--lat"),
        (vec!["hints"], 2, "--alarm"),
        (vec!["hints", "mark", "hint-0", "--as", "wrong"], 3, "no hint hint-0"),
    ] {
        let (found, _, heard) = site.run(&args);
        assert!(
            found == Some(code) && heard.contains(word),
            "{args:?}: {found:?} {heard}"
        );
    }
}
