//! Real files of many places, each by a contract that `contract infer` drafted and a person decided.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{ok, python, select, shared, site};

const FILES: [(&str, &str); 7] = [
    ("calls/milwaukee_pd_calls_2018-05.csv.gz", "milwaukee/2018-05.csv.gz"),
    ("calls/slo_400.csv", "slo/slo.csv"),
    ("counts/montreal_terrebonne_15min.csv.gz", "montreal/terrebonne.csv.gz"),
    ("china/xuzhou_streets_2023.gbk.csv", "street_gbk/streets.csv"),
    ("china/xuzhou_streets_2023.csv", "street_utf8/streets.csv"),
    ("china/rare_placenames.gb18030.csv", "place_gb18030/places.csv"),
    ("china/rare_placenames.utf8.csv", "place_utf8/places.csv"),
];

/// An independent reading: rows, distinct keys, and the stages of the calls without dates.
const PLAIN: &str = r#"
import csv, gzip, io, json, sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo
def rows(path):
    raw = open(path, "rb").read()
    if path.endswith(".gz"): raw = gzip.decompress(raw)
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
milwaukee, slo, montreal = (rows(path) for path in sys.argv[1:4])
zone = ZoneInfo("America/Los_Angeles")
late, seconds, negative = 0, 0, 0
for row in slo:
    day = datetime.strptime(row["date"], "%m/%d/%y")
    at = lambda text: day.replace(hour=int(text[:2]), minute=int(text[3:]))
    received = at(row["received"])
    if not row["arrived"]: continue
    arrived = at(row["arrived"])
    if received - arrived > timedelta(hours=12): arrived += timedelta(days=1); late += 1
    seconds += int((arrived.replace(tzinfo=zone) - received.replace(tzinfo=zone)).total_seconds())
    negative += arrived < received
toronto = ZoneInfo("America/Toronto")
def instant(text): return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=toronto).timestamp())
def skipped(text):
    local = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=toronto)
    return local.astimezone(ZoneInfo("UTC")).astimezone(toronto).replace(tzinfo=None) != local.replace(tzinfo=None)
keys = {}
for row in montreal:
    if not skipped(row["Date and Time (Local)"]): keys.setdefault((row["Installation ID"], instant(row["Date and Time (Local)"])), row)
print(json.dumps({
    "milwaukee": [len(milwaukee), len({row["id"] for row in milwaukee})], "slo": [len(slo), late, seconds, negative],
    "montreal": [len(montreal), len(keys), sum(int(row["Car Total"] or 0) for row in keys.values())],
}))
"#;

#[test]
fn files_of_many_places_are_read_as_others_read_them() {
    let mut links = Vec::new();
    for (from, to) in FILES {
        let Some(path) = shared(from) else { return };
        links.push((path, to));
    }
    let paths: Vec<PathBuf> = links.iter().map(|(path, _)| path.clone()).collect();
    let dir = site("field", &links);
    ok(&["--site", &dir.path().display().to_string(), "--quiet", "ingest"]);
    let ingested = |table: &str| {
        let sql =
            format!("SELECT read, accepted, duplicate, rejected FROM ops.ingest WHERE table_name = 'source.{table}'");
        let row = select(dir.path(), "ops.ingest", &sql).pop().expect("a batch");
        ["read", "accepted", "duplicate", "rejected"].map(|key| row[key].as_i64().expect("a number"))
    };
    for (_, to) in FILES {
        let table = to.split('/').next().expect("a folder");
        let [read, accepted, duplicate, rejected] = ingested(table);
        println!("{table}: read {read}, accepted {accepted}, duplicate {duplicate}, rejected {rejected}");
        assert_eq!(read, accepted + duplicate + rejected);
    }
    // every name, also those of four bytes, is the same in both encodings
    for (table, gbk, count) in [("street", "gbk", 186), ("place", "gb18030", 232)] {
        let names = |encoding: &str| {
            let table = format!("source.{table}_{encoding}");
            select(
                dir.path(),
                &table,
                &format!("SELECT code, name_zh FROM {table} ORDER BY code, name_zh"),
            )
        };
        assert_eq!(names(gbk), names("utf8"), "{table}");
        assert!(names(gbk).len() >= count, "{table}: {}", names(gbk).len());
    }
    let plain: Vec<String> = paths[..3].iter().map(|path| path.display().to_string()).collect();
    let arguments: Vec<&str> = plain.iter().map(String::as_str).collect();
    let Some(said) = python(&["zoneinfo"], PLAIN, &arguments) else {
        return;
    };
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let [read, accepted, ..] = ingested("milwaukee");
    assert_eq!(said["milwaukee"], serde_json::json!([read, accepted]));
    let stages = select(
        dir.path(),
        "source.slo",
        "SELECT count(*) AS n, sum(CAST(CAST(arrived_at - INTERVAL '7 hours' AS DATE) > date AS INT)) AS late, \
        sum((arrow_cast(arrived_at, 'Int64') - arrow_cast(received_at, 'Int64')) / 1000000) AS seconds, \
        sum(CAST(arrived_at < received_at AS INT)) AS negative FROM source.slo",
    );
    let stage = |key: &str| stages[0][key].as_i64().expect("a number");
    let found = [stage("n"), stage("late"), stage("seconds"), stage("negative")];
    println!("SLO: calls, arrivals past midnight, seconds to arrival, arrivals before the call: {found:?}");
    assert_eq!(said["slo"], serde_json::json!(found));
    let [read, accepted, ..] = ingested("montreal");
    let cars = select(
        dir.path(),
        "source.montreal",
        "SELECT sum(cars) AS cars FROM source.montreal",
    );
    assert_eq!(said["montreal"], serde_json::json!([read, accepted, cars[0]["cars"]]));
}
