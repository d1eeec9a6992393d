//! Kills at every named point of an ingest, and two ingests at once: nothing lost, nothing doubled.

use std::path::Path;

use fenghuo::engine::{Bounds, Session};
use fenghuo::lake::{Lake, RowDigest, crash::POINTS};

use crate::demo::city;
use crate::support::{copy, fenghuo, folder, ok, text, write_key};

/// Files of one ingest; every crash point is passed once a file.
const FILES: [&str; 5] = [
    "alarm/990101.csv",
    "alarm/990103.csv",
    "dispatch/990101.csv",
    "population/990101.csv",
    "camera_status/status.ndjson",
];

/// A site with its sources and no lake.
fn sources(dir: &Path) {
    ok(&["init", &dir.display().to_string(), "--defaults"]);
    write_key(dir);
    for file in FILES {
        let target = dir.join("inbox").join(file);
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        std::fs::copy(city().join("inbox").join(file), target).expect("a copy");
    }
    std::fs::remove_dir_all(dir.join("lake")).expect("an empty lake");
}

/// Rows and digest of every table, without what names the run.
async fn state(site: &Path) -> Vec<(String, u64, String)> {
    let lake = Lake::open(site, "lake").expect("a lake");
    let mut states = Vec::new();
    for name in lake.table_names().await.expect("tables") {
        if matches!(name.as_str(), "ops.run" | "ops.step") {
            continue;
        }
        let table = lake.table(&name).await.expect("a table").expect("a location");
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        })
        .expect("a session");
        session
            .register(&name, table.provider(session.state()).await.expect("a provider"))
            .expect("a name");
        let schema = table.schema().expect("a schema");
        let columns: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .filter(|name| {
                // counted tables state when they were counted as the time they were known
                !matches!(*name, "run_id" | "fence" | "ingested_at" | "known_at")
            })
            .collect();
        let sql = format!("SELECT {} FROM {name}", columns.join(", "));
        let rows = session.query("test", &sql, 10_000_000).await.expect("rows");
        let mut digest = RowDigest::new(&rows.schema).expect("types");
        rows.batches
            .iter()
            .for_each(|batch| digest.update(batch).expect("a batch"));
        states.push((name, digest.rows(), digest.finish()));
    }
    states
}

fn state_of(site: &Path) -> Vec<(String, u64, String)> {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(state(site))
}

#[test]
fn sixty_kills_lose_nothing_and_double_nothing() {
    let base = folder();
    sources(base.path());
    let calm = folder();
    copy(base.path(), calm.path());
    write_key(calm.path());
    ok(&["--site", &calm.path().display().to_string(), "ingest"]);
    let expected = state_of(calm.path());
    assert!(
        expected
            .iter()
            .any(|(name, rows, _)| name == "source.alarm" && *rows > 500)
    );
    let (mut kills, mut before, mut after) = (0, 0, 0);
    let points = POINTS.iter().filter(|point| !point.ends_with("_release"));
    for point in points {
        for passage in 1..=FILES.len() {
            let dir = folder();
            copy(base.path(), dir.path());
            write_key(dir.path());
            let site = dir.path().display().to_string();
            let killed = fenghuo()
                .args(["--site", &site, "--quiet", "ingest"])
                .env("FENGHUO_CRASH_POINT", format!("{point}:{passage}"))
                .output()
                .expect("the program starts");
            // a counting contract writes one batch, others more: a point may be passed less often
            if killed.status.success() {
                continue;
            }
            assert_eq!(
                killed.status.code(),
                None,
                "{point}:{passage} ended by itself: {}",
                text(&killed.stderr)
            );
            kills += 1;
            if matches!(*point, "after_source" | "batch_done") {
                after += 1
            } else {
                before += 1
            }
            ok(&["--site", &site, "--quiet", "ingest"]);
            assert_eq!(state_of(dir.path()), expected, "{point}:{passage}");
            // and once more: a batch that is stored stays stored once
            ok(&["--site", &site, "--quiet", "ingest"]);
            assert_eq!(state_of(dir.path()), expected, "{point}:{passage}, ingested again");
        }
    }
    println!("{kills} kills, {before} before the last commit of a batch, {after} after");
    assert!(
        kills >= 55 && before >= 15 && after >= 5,
        "{kills} kills, {before} before, {after} after"
    );
}

#[test]
fn of_two_ingests_of_one_batch_at_once_one_stores() {
    let base = folder();
    sources(base.path());
    for _ in 0..20 {
        let dir = folder();
        copy(base.path(), dir.path());
        write_key(dir.path());
        let site = dir.path().display().to_string();
        let start = || {
            fenghuo()
                .args(["--site", &site, "ingest", "alarm"])
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("the program starts")
        };
        let outputs = [start(), start()].map(|child| child.wait_with_output().expect("an end"));
        let said = outputs.iter().map(|output| text(&output.stderr)).collect::<String>();
        assert!(outputs.iter().all(|output| output.status.success()), "{said}");
        // the city's own layout covers one of the alarm files here
        assert_eq!(said.matches("stored before").count(), 1, "{said}");
        let state = state_of(dir.path());
        let rows = |table: &str| {
            state
                .iter()
                .find(|(name, _, _)| name == table)
                .map(|(_, rows, _)| *rows)
        };
        assert_eq!(rows("ops.ingest"), Some(1), "{said}");
    }
}
