//! Real cities through embedded models: contracts and core adapters only, checked against
//! independent computations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{number, ok, python, rows, shared, site};

fn inbox(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("real data")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (path, name)
        })
        .collect()
}

fn named(files: &[(PathBuf, String)]) -> Vec<(PathBuf, &str)> {
    files.iter().map(|(path, name)| (path.clone(), name.as_str())).collect()
}

fn gunzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(std::fs::File::open(path).expect("real data"));
    std::io::Read::read_to_end(&mut reader, &mut bytes).expect("gzip");
    bytes
}

#[test]
fn san_antonio_in_one_ingest() {
    let Some(folder) = shared("calls/san_antonio") else {
        return;
    };
    let files = inbox(&folder, ".csv.gz");
    assert_eq!(files.len(), 34);
    let dir = site("san_antonio", &named(&files));
    let path = dir.path();
    ok(&["--site", &path.display().to_string(), "run", "nightly"]);
    // rows counted by another reader: no field of these files holds a line break
    let counted: usize = files
        .iter()
        .map(|(path, _)| gunzip(path).iter().filter(|byte| **byte == b'\n').count() - 1)
        .sum();
    let sums = &rows(
        path,
        "SELECT sum(read) AS read, sum(accepted) AS accepted, sum(duplicate) AS duplicate, sum(rejected) AS rejected, \
        sum(blanked) AS blanked FROM ops.ingest WHERE table_name = 'source.alarm'",
    )[0];
    let sum = |key: &str| sums[key].as_u64().expect("a number");
    println!("San Antonio: {sums}");
    assert_eq!(sum("read"), counted as u64);
    assert_eq!(sum("read"), sum("accepted") + sum("duplicate") + sum("rejected"));
    assert_eq!(
        (sum("duplicate"), sum("rejected")),
        (0, 0),
        "nine rows without a number must stay nine calls"
    );
    assert_eq!(number(path, "SELECT count(*) AS n FROM core.alarm"), counted as f64);

    // the one row with a quoted comma
    let quoted = rows(
        path,
        "SELECT category, area, round(lon, 6) AS lon, round(lat, 6) AS lat, CAST(reported_at AS VARCHAR) AS at \
        FROM core.alarm WHERE area = 'NOT SAPD BEX - 6' AND reported_at = TIMESTAMP '2024-01-05T09:55:52Z'",
    );
    assert_eq!(quoted.len(), 1, "{quoted:?}");
    assert_eq!(
        (quoted[0]["category"].as_str(), quoted[0]["lon"].as_f64()),
        (Some("SAPD Emergency Call"), Some(-98.608_994))
    );

    // both days on which the clock changes: every instant is the file's epoch, the day is the local one
    for (name, day) in [("cfs_2024-11", "2024-11-03"), ("cfs_2025-11", "2025-11-02")] {
        let file = files.iter().find(|(_, file)| file.contains(name)).expect("a file");
        let text = gunzip(&file.0);
        let mut instants: Vec<i64> = Vec::new();
        let mut reader = csv::Reader::from_reader(text.as_slice());
        for record in reader.records() {
            let millis: i64 = record.expect("a row")[11].parse().expect("an instant");
            // 00:00 was in daylight time (UTC-5), 24:00 in standard time (UTC-6)
            let midnight = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d")
                .expect("a date")
                .and_hms_opt(5, 0, 0)
                .expect("a time")
                .and_utc()
                .timestamp_millis();
            if (midnight..midnight + 25 * 3_600_000).contains(&millis) {
                instants.push(millis);
            }
        }
        let found = &rows(
            path,
            &format!(
                "SELECT count(*) AS n, sum(arrow_cast(reported_at, 'Int64') / 1000) AS total FROM core.alarm WHERE biz_date = DATE '{day}'"
            ),
        )[0];
        assert_eq!(
            (found["n"].as_i64(), found["total"].as_i64()),
            (Some(instants.len() as i64), Some(instants.iter().sum())),
            "{day}"
        );
        assert!(instants.len() > 100, "{day}");
    }

    let gaps = number(path, "SELECT count(*) AS n FROM mart.feed_gap WHERE days > 20");
    assert!(gaps >= 25.0, "partial months must be named as gaps, found {gaps}");
    assert!(number(path, "SELECT count(*) AS n FROM risk.hot_cell") > 10.0);
    let page = std::fs::read_to_string(path.join("pages/overview.html")).expect("a page");
    assert!(page.contains("San Antonio calls for service") && page.contains("source.camera"));

    let before = number(path, "SELECT count(*) AS n FROM ops.ingest");
    ok(&["--site", &path.display().to_string(), "run", "nightly"]);
    assert_eq!(
        number(path, "SELECT count(*) AS n FROM ops.ingest"),
        before,
        "ingesting everything again adds nothing"
    );
    assert_eq!(number(path, "SELECT count(*) AS n FROM core.alarm"), counted as f64);
}

#[test]
fn four_versions_of_a_growing_month_end_with_each_call_once() {
    let Some(folder) = shared("calls/san_antonio_increments") else {
        return;
    };
    let files = inbox(&folder, ".csv.gz");
    let dir = site("san_antonio", &[]);
    let path = dir.path().display().to_string();
    for (file, _) in &files {
        ok(&["--site", &path, "ingest", "alarm", &file.display().to_string()]);
    }
    ok(&["--site", &path, "run", "nightly"]);
    assert_eq!(number(dir.path(), "SELECT count(*) AS n FROM core.alarm"), 17_248.0);
    assert_eq!(
        number(dir.path(), "SELECT count(DISTINCT alarm_id) AS n FROM core.alarm"),
        17_248.0
    );
    let read: Vec<u64> = rows(
        dir.path(),
        "SELECT read FROM ops.ingest WHERE table_name = 'source.alarm' ORDER BY read",
    )
    .iter()
    .map(|row| row["read"].as_u64().expect("a number"))
    .collect();
    assert_eq!(read, [3_576, 7_115, 13_645, 17_248]);
}

#[test]
fn montgomery_has_no_numbers_and_loses_no_row() {
    let Some(file) = shared("calls/montgomery_pa_911.csv.gz") else {
        return;
    };
    let dir = site("montgomery", &[(file, "montgomery.csv.gz")]);
    ok(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
    let sums = &rows(
        dir.path(),
        "SELECT read, accepted, duplicate, rejected FROM ops.ingest WHERE table_name = 'source.alarm'",
    )[0];
    println!("Montgomery: {sums}");
    assert_eq!(sums["read"].as_u64(), Some(99_492));
    assert_eq!(
        sums["accepted"].as_u64(),
        Some(99_492),
        "equal rows without a number are calls of their own"
    );
    let mapped = "SELECT count(*) AS n FROM core.alarm WHERE category_group = 'urgent_help' AND lon IS NOT NULL";
    assert_eq!(number(dir.path(), mapped), 0.0, "a medical call is not mapped");
    let page = std::fs::read_to_string(dir.path().join("pages/overview.html")).expect("a page");
    assert!(
        page.contains("the public&#x27;s line")
            || page.contains("the public's line")
            || page.contains("the public&#39;s line"),
        "a constant origin prints its reason"
    );
}

const INDEPENDENT: &str = r#"
import sys, json, duckdb
calls, cameras = sys.argv[1:]
con = duckdb.connect()
con.execute("""create table calls as select row_number() over () as id,
  strptime(TimeCreate, '%m/%d/%Y %H:%M') as t0, try_strptime(nullif(TimeDispatch, ''), '%m/%d/%Y %H:%M') as t1,
  try_strptime(nullif(TimeArrive, ''), '%m/%d/%Y %H:%M') as t2,
  cast(regexp_extract(Location, 'POINT \\(([-0-9.]+) ', 1) as double) as lon,
  cast(regexp_extract(Location, ' ([-0-9.]+)\\)', 1) as double) as lat, TypeText
  from read_csv(?, all_varchar=true)""", [calls])
con.execute("create table cameras as select cast(longitude as double) as lon, cast(latitude as double) as lat from read_csv(?, all_varchar=true)", [cameras])
con.execute("""create table s as select *, epoch(t2) - epoch(t0) as r, epoch(t2) - epoch(t1) as d from calls""")
valid = "r is not null and r > 0 and r <= 86400 and not coalesce(d < 0, false)"
out = con.execute(f"""select count(*) as n, count(*) filter (where {valid}) as valid,
  quantile_cont(r, 0.5) filter (where {valid}) as p50, quantile_cont(r, 0.8) filter (where {valid}) as p80,
  quantile_cont(r, 0.9) filter (where {valid}) as p90 from s""").fetchone()
near = con.execute("""with pair as (select c.id, min(2*6371008.8*asin(sqrt(pow(sin(radians(k.lat-c.lat)/2),2)
  + cos(radians(c.lat))*cos(radians(k.lat))*pow(sin(radians(k.lon-c.lon)/2),2)))) as m
  from calls c, cameras k where c.lon between -90.3 and -89.5 and c.lat between 29.7 and 30.3
  and not regexp_matches(c.TypeText, 'DOMESTIC|RAPE|SEXUAL|MISSING|SUICIDE|DEATH|MEDICAL|PROTECTION') group by c.id)
  select count(*), sum(m), min(m), max(m) from pair""").fetchone()
print(json.dumps({"n": out[0], "valid": out[1], "p50": out[2], "p80": out[3], "p90": out[4], "near": list(near)}))
"#;

#[test]
fn new_orleans_percentiles_and_camera_distances_equal_an_independent_computation() {
    let (Some(calls), Some(cameras)) = (
        shared("calls/neworleans_timed_600.csv"),
        shared("cameras/neworleans_cameras_432.csv"),
    ) else {
        return;
    };
    let dir = site(
        "new_orleans",
        &[
            (calls.clone(), "calls/calls.csv"),
            (cameras.clone(), "cameras/cameras.csv"),
        ],
    );
    ok(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
    let found = &rows(dir.path(), "SELECT * FROM indicator.response")[0];
    assert_eq!(found["dispatched"].as_u64(), Some(600));
    assert!(
        found["excluded_share"].as_f64().expect("a share") > 0.0,
        "the excluded share is stated"
    );
    assert_eq!(
        found["is_plausible"].as_bool(),
        Some(false),
        "times to the minute are not measured times"
    );
    let near = "WITH near AS (SELECT a.alarm_id, min(distance_metres(c.lon, c.lat, a.lon, a.lat)) AS metres FROM core.alarm AS a \
        CROSS JOIN core.camera AS c WHERE a.is_mappable AND a.lon IS NOT NULL GROUP BY a.alarm_id) \
        SELECT count(*) AS n, sum(metres) AS total, min(metres) AS least, max(metres) AS most FROM near";
    let near = &rows(dir.path(), near)[0];
    let off: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(dir.path().join("lake/releases/1.json")).expect("a release"))
            .expect("JSON");
    assert!(
        off["off"]["risk.camera_gap"]
            .as_str()
            .is_some_and(|input| input.starts_with("source.")),
        "{:?}",
        off["off"]
    );
    let arguments = [calls.display().to_string(), cameras.display().to_string()];
    let Some(independent) = python(&["duckdb"], INDEPENDENT, &[&arguments[0], &arguments[1]]) else {
        return;
    };
    let independent: Value = serde_json::from_str(&independent).expect("JSON");
    println!("New Orleans: {found}\nindependent: {independent}");
    assert_eq!(found["valid"].as_f64(), independent["valid"].as_f64());
    for (ours, theirs) in [
        ("response_seconds_p50", "p50"),
        ("response_seconds_p80", "p80"),
        ("response_seconds_p90", "p90"),
    ] {
        assert!(
            (found[ours].as_f64().expect("a number") - independent[theirs].as_f64().expect("a number")).abs() < 1e-6,
            "{ours}"
        );
    }
    for (at, key) in ["n", "total", "least", "most"].into_iter().enumerate() {
        let (ours, theirs) = (
            near[key].as_f64().expect("a number"),
            independent["near"][at].as_f64().expect("a number"),
        );
        assert!(
            (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0),
            "{key}: {ours} against {theirs}"
        );
    }
}

/// Runs a site and gives the account of one of its tables: read, accepted, duplicate, rejected.
fn accounted(path: &Path, table: &str) -> [u64; 4] {
    ok(&["--site", &path.display().to_string(), "run", "nightly"]);
    let sql = format!(
        "SELECT sum(read) AS read, sum(accepted) AS accepted, sum(duplicate) AS duplicate, sum(rejected) AS rejected \
         FROM ops.ingest WHERE table_name = '{table}'"
    );
    let sums = &rows(path, &sql)[0];
    println!("{table}: {sums}");
    ["read", "accepted", "duplicate", "rejected"].map(|key| sums[key].as_u64().expect("a number"))
}

#[test]
fn milwaukee_dispatches_with_two_coordinates_and_no_origin_of_its_own() {
    let Some(file) = shared("calls/milwaukee_pd_calls_2018-05.csv.gz") else {
        return;
    };
    let lines = gunzip(&file).iter().filter(|byte| **byte == b'\n').count() as u64;
    let dir = site("milwaukee", &[(file, "alarm/milwaukee.csv.gz")]);
    let [read, accepted, duplicate, rejected] = accounted(dir.path(), "source.alarm");
    assert_eq!([read, accepted, duplicate, rejected], [lines - 1, lines - 1, 0, 0]);
    let blanked = number(
        dir.path(),
        "SELECT sum(blanked) FROM ops.ingest WHERE table_name = 'source.alarm'",
    );
    assert!((blanked - 464.0).abs() < 0.5, "{blanked}");
    let police = number(dir.path(), "SELECT count(*) FROM core.alarm WHERE origin = 'police'");
    assert!((police - 15_279.0).abs() < 0.5, "{police}");
}

#[test]
fn san_luis_obispo_writes_a_date_and_times_of_the_day() {
    let Some(file) = shared("calls/slo_400.csv") else {
        return;
    };
    let dir = site("slo", &[(file, "alarm/slo.csv")]);
    assert_eq!(accounted(dir.path(), "source.alarm"), [400, 400, 0, 0]);
    let sql = "SELECT count(*) AS n, count(arrived_at) AS arrived, \
               min(arrow_cast(arrived_at, 'Int64') - arrow_cast(dispatched_at, 'Int64')) AS shortest FROM core.dispatch";
    let found = &rows(dir.path(), sql)[0];
    assert_eq!((found["n"].as_u64(), found["arrived"].as_u64()), (Some(254), Some(200)));
    // three of them arrived after midnight: on the next day, never before they were sent
    assert_eq!(found["shortest"].as_i64(), Some(0));
}

#[test]
fn terrebonne_counts_by_the_quarter_hour() {
    let Some(file) = shared("counts/montreal_terrebonne_15min.csv.gz") else {
        return;
    };
    let dir = site("montreal", &[(file, "montreal_terrebonne_15min/counts.csv.gz")]);
    // the quarter hours of the hour that clocks repeat are not taken for duplicates
    assert_eq!(accounted(dir.path(), "source.video_count"), [64_235, 64_235, 0, 0]);
    let sums = rows(
        dir.path(),
        "SELECT class, sum(n) AS n FROM core.video_count GROUP BY class ORDER BY class",
    );
    let sums: Vec<_> = sums.iter().map(|row| row["n"].as_u64().expect("a number")).collect();
    assert_eq!(sums, [558_816, 178_265, 280_520]);
}

#[test]
fn every_rare_place_name_of_xuzhou_comes_through_exactly() {
    let (Some(rare), Some(plain), Some(streets)) = (
        shared("china/rare_placenames.gb18030.csv"),
        shared("china/rare_placenames.utf8.csv"),
        shared("china/xuzhou_streets_2023.gbk.csv"),
    ) else {
        return;
    };
    let links = [
        (rare, "rare_placenames/rare.csv"),
        (streets, "xuzhou_streets_2023/streets.csv"),
    ];
    let dir = site("xuzhou", &links);
    assert_eq!(accounted(dir.path(), "source.place_name"), [232, 232, 0, 0]);
    let found = rows(dir.path(), "SELECT place_no, name_zh FROM ref.place_name");
    let found: BTreeMap<_, _> = found
        .iter()
        .map(|row| {
            (
                row["place_no"].as_str().unwrap_or_default(),
                row["name_zh"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let text = std::fs::read_to_string(plain).expect("real data");
    let expected: BTreeMap<_, _> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.trim_end().split_once(','))
        .collect();
    assert_eq!(expected.len(), 232);
    assert_eq!(found, expected);
    assert!((number(dir.path(), "SELECT count(*) FROM ref.area") - 186.0).abs() < 0.5);
}
