//! Files as they really come: half, twice, again with corrections; and batches that are taken back.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{bare_site, fenghuo, run, select, text};

/// A site with one contract of calls; `more` are further lines of it.
fn site(more: &str) -> TempDir {
    let (dir, contracts) = bare_site();
    let contract = format!(
        "from = \"inbox/*.csv\"\ninto = \"source.call\"\nsystem = \"test\"\ncounty = \"990101\"\nkey = [\"id\"]\n\
        event_time = \"at\"\n{more}\n[columns]\nid = {{ protect = \"public\", required = true }}\n\
        at = {{ type = \"timestamp\", protect = \"public\", required = true }}\n\
        n = {{ type = \"int\", protect = \"public\" }}\n"
    );
    std::fs::write(contracts.join("call.toml"), contract).expect("a contract");
    dir
}

fn ingest(dir: &TempDir, more: &[&str]) -> std::process::Output {
    let site = dir.path().display().to_string();
    let mut arguments = vec!["--site", &site, "ingest"];
    arguments.extend(more);
    run(&arguments)
}

/// id → n of the stored calls. An id that stands twice fails the test.
fn calls(dir: &TempDir) -> BTreeMap<String, i64> {
    let found = select(dir.path(), "source.call", "SELECT id, n FROM source.call");
    let call = |row: &Value| {
        let id = row["id"].as_str().expect("an id").to_owned();
        (id, row["n"].as_i64().expect("a number"))
    };
    let calls: BTreeMap<String, i64> = found.iter().map(call).collect();
    assert_eq!(calls.len(), found.len(), "a call stands twice");
    calls
}

fn file(calls: &BTreeMap<String, i64>) -> String {
    let mut text = "id,at,n\n".to_owned();
    for (at, (id, n)) in calls.iter().enumerate() {
        // spread over months, so that a resend touches some partitions and leaves others
        let (month, day) = (1 + at % 5, 1 + at % 28);
        text.push_str(&format!("{id},2025-{month:02}-{day:02} 10:{:02}:00,{n}\n", at % 60));
    }
    text
}

fn some(count: usize) -> BTreeMap<String, i64> {
    (0..count).map(|at| (format!("c{at:04}"), at as i64)).collect()
}

fn put(dir: &TempDir, name: &str, text: &str) {
    std::fs::write(dir.path().join("inbox").join(name), text).expect("a file");
}

fn ops(dir: &TempDir) -> Vec<Value> {
    select(
        dir.path(),
        "ops.ingest",
        "SELECT * FROM ops.ingest ORDER BY ingested_at",
    )
}

#[test]
fn a_file_cut_anywhere_is_never_taken_for_whole() {
    let whole = file(&some(200));
    let digest = {
        use sha2::Digest;
        fenghuo::lake::digest::hex(&sha2::Sha256::digest(whole.as_bytes()))
    };
    let manifests = [
        format!("{{\"bytes\": {}}}", whole.len()),
        format!("{{\"sha256\": \"{digest}\"}}"),
        "{\"rows\": 200}".to_owned(),
    ];
    let mut cuts = 0;
    for manifest in &manifests {
        let dir = site("complete = \"manifest\"");
        put(&dir, "a.csv.manifest", manifest);
        for tenth in 1..10 {
            let at = whole.len() * tenth / 10;
            let line_end = whole[..at].rfind('\n').expect("a line") + 1;
            for cut in [at, line_end] {
                put(&dir, "a.csv", &whole[..cut]);
                let output = ingest(&dir, &[]);
                assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
                assert!(calls(&dir).is_empty(), "{manifest}: cut at {cut} was taken for whole");
                cuts += 1;
            }
        }
        put(&dir, "a.csv", &whole);
        assert_eq!(ingest(&dir, &[]).status.code(), Some(0));
        assert_eq!(calls(&dir), some(200), "{manifest}");
    }
    assert_eq!(cuts, 54);
}

#[test]
fn a_mark_or_lying_still_tells_that_a_file_is_whole() {
    let dir = site("complete = \"marker\"");
    put(&dir, "a.csv", &file(&some(3)));
    let output = ingest(&dir, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("waits for its mark"),
        "{}",
        text(&output.stderr)
    );
    assert!(calls(&dir).is_empty());
    put(&dir, "a.csv.done", "");
    ingest(&dir, &[]);
    assert_eq!(calls(&dir), some(3));

    let dir = site("complete = \"stable 120s\"");
    put(&dir, "a.csv", &file(&some(3)));
    ingest(&dir, &[]);
    assert!(calls(&dir).is_empty(), "a file written now is not lying still");
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(300);
    let handle = std::fs::File::options()
        .append(true)
        .open(dir.path().join("inbox/a.csv"))
        .expect("a file");
    handle.set_modified(past).expect("a time");
    ingest(&dir, &[]);
    assert_eq!(calls(&dir), some(3));
}

/// The file of a night: it grows, a seventh of the old rows is corrected, one row is gone from the
/// third night on.
fn night(number: usize) -> BTreeMap<String, i64> {
    let mut calls = some(40 * number);
    for (at, n) in calls.values_mut().enumerate() {
        if at % 7 == number % 7 && at < 40 * (number - 1) {
            *n += 1_000 * number as i64;
        }
    }
    if number >= 3 {
        calls.remove("c0005");
    }
    calls
}

#[test]
fn a_file_that_grows_for_ten_nights_ends_right_under_each_policy() {
    for policy in ["refuse", "replace", "upsert"] {
        let dir = site(&format!("resend = \"{policy}\""));
        let mut expected = BTreeMap::new();
        for number in 1..=10 {
            let calls_of_night = night(number);
            put(&dir, "month.csv", &file(&calls_of_night));
            let output = ingest(&dir, &[]);
            let said = text(&output.stderr);
            match policy {
                "refuse" if number > 1 => assert_eq!(output.status.code(), Some(1), "{said}"),
                _ => assert_eq!(output.status.code(), Some(0), "{said}"),
            }
            match policy {
                "refuse" if number > 1 => {}
                "upsert" => expected.extend(calls_of_night),
                _ => expected = calls_of_night,
            }
            assert_eq!(calls(&dir), expected, "{policy}, night {number}");
            // the same night again changes nothing
            ingest(&dir, &[]);
            assert_eq!(calls(&dir), expected, "{policy}, night {number} again");
        }
        for row in ops(&dir) {
            let number = |key: &str| row[key].as_i64().expect("a number");
            assert_eq!(
                number("read"),
                number("accepted") + number("duplicate") + number("rejected"),
                "{policy}: {row}"
            );
        }
        if policy != "refuse" {
            let last = ops(&dir).pop().expect("a row");
            assert_eq!(last["action"], "resent");
            assert_eq!(last["added"], 40, "{last}");
        }
    }
}

#[test]
fn a_replacement_that_lacks_much_is_refused_and_nothing_is_lost() {
    let dir = site("resend = \"replace\"");
    put(&dir, "a.csv", &file(&some(100)));
    ingest(&dir, &[]);
    put(&dir, "a.csv", &file(&some(50)));
    let output = ingest(&dir, &[]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(calls(&dir), some(100));
}

#[test]
fn the_same_content_under_another_name_is_noted_and_not_stored() {
    let dir = site("");
    put(&dir, "a.csv", &file(&some(10)));
    ingest(&dir, &[]);
    put(&dir, "b.csv", &file(&some(10)));
    for _ in 0..2 {
        assert_eq!(ingest(&dir, &[]).status.code(), Some(0));
        let actions: Vec<Value> = ops(&dir).into_iter().map(|row| row["action"].clone()).collect();
        assert_eq!(actions, ["stored", "received_again"]);
        assert_eq!(calls(&dir), some(10));
    }
}

#[test]
fn a_batch_is_taken_back_and_stays_away_until_somebody_names_it() {
    let dir = site("");
    let (first, mut second) = (some(30), some(60));
    second.retain(|id, _| !first.contains_key(id));
    put(&dir, "a.csv", &file(&first));
    put(&dir, "b.csv", &file(&second));
    ingest(&dir, &[]);
    assert_eq!(calls(&dir), some(60));
    let batch = ops(&dir)
        .iter()
        .find(|row| row["file"] == "inbox/a.csv")
        .and_then(|row| row["batch"].as_str().map(str::to_owned))
        .expect("a batch");
    assert_eq!(ingest(&dir, &["withdraw", &batch]).status.code(), Some(0));
    assert_eq!(calls(&dir), second);
    ingest(&dir, &[]);
    assert_eq!(calls(&dir), second, "what was taken back came again by itself");
    assert_eq!(
        ingest(&dir, &["withdraw", &batch]).status.code(),
        Some(3),
        "it is gone already"
    );
    let path = dir.path().join("inbox/a.csv").display().to_string();
    assert_eq!(ingest(&dir, &["call", &path]).status.code(), Some(0));
    assert_eq!(calls(&dir), some(60));
}

#[test]
fn a_source_that_returns_to_an_earlier_version_is_followed() {
    let dir = site("resend = \"replace\"");
    let (right, mut wrong) = (some(100), some(100));
    wrong.values_mut().for_each(|n| *n += 7);
    for version in [&right, &wrong, &right, &wrong, &right] {
        put(&dir, "a.csv", &file(version));
        let output = ingest(&dir, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(&calls(&dir), version);
    }
}

#[test]
fn rows_that_stay_after_an_upsert_are_known_to_the_next_file() {
    let dir = site("resend = \"upsert\"");
    put(&dir, "a.csv", &file(&some(10)));
    ingest(&dir, &[]);
    let mut second = some(15);
    second.retain(|id, _| id.as_str() > "c0004");
    put(&dir, "a.csv", &file(&second));
    // the same ingest reads a file that states a row which the second version lacks
    put(&dir, "b.csv", &file(&some(3)));
    ingest(&dir, &[]);
    assert_eq!(calls(&dir), some(15));
}

#[test]
fn content_that_was_taken_back_stays_away_under_another_name() {
    let dir = site("");
    put(&dir, "a.csv", &file(&some(10)));
    ingest(&dir, &[]);
    put(&dir, "b.csv", &file(&some(10)));
    ingest(&dir, &[]);
    let batch = ops(&dir)[0]["batch"].as_str().expect("a batch").to_owned();
    assert_eq!(ingest(&dir, &["withdraw", &batch]).status.code(), Some(0));
    for _ in 0..2 {
        ingest(&dir, &[]);
        assert!(
            calls(&dir).is_empty(),
            "what was taken back came again by its other name"
        );
    }
    // named, stored, and taken back once more
    let path = dir.path().join("inbox/a.csv").display().to_string();
    ingest(&dir, &["call", &path]);
    assert_eq!(calls(&dir), some(10));
    assert_eq!(ingest(&dir, &["withdraw", &batch]).status.code(), Some(0));
    assert!(calls(&dir).is_empty());
}

#[test]
fn only_files_whose_rows_are_released_are_purged() {
    let dir = site("after = \"purge 0h\"");
    let site = dir.path().display().to_string();
    put(&dir, "a.csv", &file(&some(10)));
    put(&dir, "b.csv", &file(&some(20)));
    put(&dir, "b.csv.manifest", "{}");
    ingest(&dir, &[]);
    let batch = ops(&dir)[0]["batch"].as_str().expect("a batch").to_owned();
    assert_eq!(ingest(&dir, &["withdraw", &batch]).status.code(), Some(0));
    let output = run(&["--site", &site, "run", "nightly"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let there = |name: &str| dir.path().join("inbox").join(name).exists();
    assert!(there("a.csv"), "the only copy of what was taken back is gone");
    assert!(
        !there("b.csv") && !there("b.csv.manifest"),
        "a released file is still there"
    );
}

#[test]
fn a_file_of_many_groups_is_checked_to_its_end() {
    let dir = site("");
    let mut text = "id,at,n\n".to_owned();
    let mut row = 0;
    while text.len() < 100 << 20 {
        text.push_str(&format!("call-with-a-long-number-{row:010},2025-01-01 10:00:00,1\n"));
        row += 1;
    }
    put(&dir, "large.csv", &text);
    let path = dir.path().join("inbox/large.csv").display().to_string();
    let output = run(&["--site", &dir.path().display().to_string(), "contract", "check", &path]);
    let said = crate::support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("read {row}, acceptable {row}")), "{said}");
}

/// Row groups of a data file by their rows, and line and identity of each row in its order.
type DataFile = (Vec<i64>, Vec<(i64, i64)>);

/// Every data file, without what names the run.
fn written(dir: &TempDir) -> Vec<DataFile> {
    let mut files = Vec::new();
    let folder = dir.path().join("lake/tables/source/call/1");
    for month in std::fs::read_dir(folder).expect("a table") {
        let month = month.expect("an entry").path();
        if !month.is_dir() || month.ends_with("_delta_log") {
            continue;
        }
        for path in std::fs::read_dir(&month).expect("a month") {
            use arrow::array::AsArray;
            let file = std::fs::File::open(path.expect("an entry").path()).expect("a file");
            let builder =
                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
            let groups = builder
                .metadata()
                .row_groups()
                .iter()
                .map(|group| group.num_rows())
                .collect();
            let mut rows = Vec::new();
            for batch in builder.build().expect("Parquet") {
                let batch = batch.expect("rows");
                let column = |name: &str| batch.column_by_name(name).expect("a column").clone();
                let (lines, keys) = (column("source_line"), column("row_key"));
                let lines = lines.as_primitive::<arrow::datatypes::Int64Type>();
                let keys = keys.as_primitive::<arrow::datatypes::Int64Type>();
                rows.extend(lines.values().iter().copied().zip(keys.values().iter().copied()));
            }
            files.push((groups, rows));
        }
    }
    files.sort();
    files
}

#[test]
fn one_worker_and_four_write_the_same_rows_in_the_same_groups() {
    let mut text = "id,at,n\n".to_owned();
    for at in 0..700_000u64 {
        // some calls come twice, and months are mixed
        let id = if at % 1_000 == 999 { at - 500 } else { at };
        let (month, day, minute) = (1 + at * 7 % 12, 1 + at % 28, at % 60);
        text.push_str(&format!(
            "call-of-a-test-{id:08},2025-{month:02}-{day:02} 10:{minute:02}:00,{at}\n"
        ));
    }
    assert!(text.len() > 32 << 20, "the file is one group: {} bytes", text.len());
    let mut all = Vec::new();
    for workers in [1, 4] {
        let dir = site("");
        let settings = dir.path().join("fenghuo.toml");
        let more = format!("\n[limits]\ntarget_partitions = {workers}\n");
        let settings_text = std::fs::read_to_string(&settings).expect("settings");
        std::fs::write(&settings, settings_text + &more).expect("settings");
        put(&dir, "a.csv", &text);
        let output = ingest(&dir, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
        assert!(
            text_of(&output).contains("read 700000, accepted 699300, duplicate 700, rejected 0"),
            "{}",
            text_of(&output)
        );
        all.push(written(&dir));
    }
    assert!(
        all[0].iter().any(|(groups, _)| groups.len() > 1),
        "one row group a file shows nothing"
    );
    assert_eq!(all[0], all[1]);
}

fn text_of(output: &std::process::Output) -> String {
    text(&output.stderr)
}

/// What an ingest comes to that would end as soon as it looks into a file.
fn looks_into_no_file(dir: &TempDir) -> bool {
    let mut command = fenghuo();
    command.args(["--site", &dir.path().display().to_string(), "ingest"]);
    let output = command
        .env("FENGHUO_CRASH_POINT", "batch_hashed")
        .output()
        .expect("starts");
    output.status.success()
}

#[test]
fn a_file_that_was_not_touched_is_not_read_again_and_one_that_was_is() {
    let dir = site("resend = \"replace\"");
    let lying = std::time::Duration::from_millis(2_300);
    let path = dir.path().join("inbox/a.csv");
    put(&dir, "a.csv", &file(&some(40)));
    // while it was read it may have been written: it is read once more
    assert!(ingest(&dir, &[]).status.success());
    assert!(!looks_into_no_file(&dir));
    let other = site("resend = \"replace\"");
    put(&other, "a.csv", &file(&some(40)));
    std::thread::sleep(lying);
    // the account was written and the power went before the rows were: nothing is taken for stored
    let mut killed = fenghuo();
    killed.args(["--site", &other.path().display().to_string(), "ingest"]);
    assert!(
        !killed
            .env("FENGHUO_CRASH_POINT", "before_source")
            .output()
            .expect("starts")
            .status
            .success()
    );
    assert!(!looks_into_no_file(&other));
    assert!(ingest(&other, &[]).status.success());
    assert_eq!(calls(&other), some(40));
    assert!(looks_into_no_file(&other));
    // other content of the same length under the same name, with the old time put back on it
    let path = other.path().join(path.strip_prefix(dir.path()).expect("inside"));
    let before = std::fs::metadata(&path).expect("a file").modified().expect("a time");
    let mut changed = some(40);
    changed.insert("c0007".to_owned(), 8);
    put(&other, "a.csv", &file(&changed));
    let handle = std::fs::File::options().write(true).open(&path).expect("a file");
    handle.set_modified(before).expect("a time");
    assert!(!looks_into_no_file(&other));
    assert!(ingest(&other, &[]).status.success());
    assert_eq!(calls(&other), changed);
}
