//! The demonstration city through the whole house: the account, running again, and what it leaves on
//! disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use fenghuo::config::settings::Pack;
use fenghuo::protect::scan;
use serde_json::Value;

use crate::support::{fenghuo, folder, number, ok, rows, run, text};

/// A small city, made once for the tests that only read it. The folder lives as long as the process.
pub fn city() -> &'static Path {
    static CITY: OnceLock<PathBuf> = OnceLock::new();
    CITY.get_or_init(|| {
        let dir = folder().keep().join("demo");
        let output = fenghuo()
            .args(["demo", &dir.display().to_string(), "--scale", "0.004"])
            .output()
            .expect("the program starts");
        assert!(
            output.status.success(),
            "{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        dir
    })
}

fn release(site: &Path) -> Value {
    let list = ok(&[
        "--site",
        &site.display().to_string(),
        "release",
        "list",
        "--output",
        "json",
    ]);
    let list: Vec<Value> = serde_json::from_str(&list).expect("JSON");
    list.last().expect("a release").clone()
}

#[test]
fn every_feed_is_accounted_for_reason_by_reason() {
    let site = city();
    let truth: Value = serde_json::from_slice(&std::fs::read(site.join("truth.json")).expect("a truth")).expect("JSON");
    for (feed, expected) in truth["feeds"].as_object().expect("feeds") {
        let sql = format!(
            "SELECT coalesce(sum(read), 0) AS read, coalesce(sum(accepted), 0) AS accepted, \
             coalesce(sum(duplicate), 0) AS duplicate FROM ops.ingest WHERE table_name = 'source.{feed}'"
        );
        let found = &rows(site, &sql)[0];
        for key in ["read", "accepted", "duplicate"] {
            assert_eq!(found[key].as_u64(), expected[key].as_u64(), "{feed} {key}");
        }
        for (reason, count) in expected["rejected"].as_object().expect("reasons") {
            let sql = format!(
                "SELECT count(*) AS n FROM ops.reject AS r JOIN ops.ingest AS i ON i.batch = r.batch \
                 WHERE i.table_name = 'source.{feed}' AND r.reason = '{reason}'"
            );
            assert_eq!(number(site, &sql), count.as_f64().expect("a number"), "{feed} {reason}");
        }
    }
    assert!(
        number(
            site,
            "SELECT count(*) AS n FROM ops.reject WHERE line IS NULL OR reason = ''"
        ) == 0.0
    );
}

#[test]
fn running_again_adds_nothing_and_keeps_the_release() {
    let site = city();
    let before = (release(site), number(site, "SELECT count(*) AS n FROM ops.ingest"));
    ok(&["--site", &site.display().to_string(), "run", "nightly"]);
    let after = (release(site), number(site, "SELECT count(*) AS n FROM ops.ingest"));
    assert_eq!(before, after);
}

#[test]
fn another_seed_in_the_same_folder_is_refused() {
    let output = run(&["demo", &city().display().to_string(), "--seed", "2", "--scale", "0.004"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
}

#[test]
fn a_forbidden_column_stops_its_file_and_nothing_of_it_is_written() {
    let site = city();
    let before = number(site, "SELECT count(*) AS n FROM core.alarm");
    let output = run(&["--site", &site.display().to_string(), "ingest", "alarm_optional"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("重点人员类别") && text(&output.stderr).contains("`mz`"),
        "{}",
        text(&output.stderr)
    );
    ok(&["--site", &site.display().to_string(), "run", "nightly"]);
    assert_eq!(number(site, "SELECT count(*) AS n FROM core.alarm"), before);
}

#[test]
fn calls_that_may_not_be_mapped_have_no_position_and_no_place() {
    let site = city();
    assert!(number(site, "SELECT count(*) AS n FROM core.alarm WHERE NOT is_mappable") > 0.0);
    let sql = "SELECT count(*) AS n FROM core.alarm WHERE NOT is_mappable AND (lon IS NOT NULL OR lat IS NOT NULL OR cell IS NOT NULL)";
    assert_eq!(number(site, sql), 0.0);
}

#[test]
fn the_gcj02_county_lies_where_the_others_say() {
    let site = city();
    // planted events of that county are given in WGS-84; GCJ-02 would move every call by hundreds of metres
    let sql = "SELECT avg(distance_metres(a.lon, a.lat, r.lon, r.lat)) AS metres FROM core.alarm AS a \
               JOIN ref.area AS r ON r.code = a.area WHERE a.county = '990108' AND a.lon IS NOT NULL";
    let own = number(site, sql);
    let others = number(site, &sql.replace("= '990108'", "IN ('990107', '990109', '990110')"));
    assert!(own < 1.5 * others + 200.0, "{own} against {others}");
    let outside =
        "SELECT count(*) AS n FROM core.alarm WHERE county = '990108' AND lon IS NOT NULL AND area NOT LIKE '990108%'";
    assert!(
        number(site, outside) <= number(site, "SELECT count(*) AS n FROM core.alarm WHERE county = '990108'") * 0.05
    );
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found
}

/// All text of a file: its bytes, and the decoded text columns of Parquet, since pages are compressed.
/// Numbers are left out: among a million keyed tokens some look like an identity number by chance.
fn texts(path: &Path) -> Vec<Vec<u8>> {
    let mut bytes = std::fs::read(path).expect("a file");
    if path.extension().is_some_and(|ending| ending == "parquet") {
        // in compressed pages digits stand beside each other by chance; the values are read below, and
        // what is not compressed is the footer with its statistics
        let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().expect("four bytes"));
        bytes.drain(..bytes.len() - 8 - length as usize);
    }
    let mut texts = vec![bytes];
    if path.extension().is_some_and(|ending| ending == "parquet") {
        let file = std::fs::File::open(path).expect("a file");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
            .expect("Parquet")
            .build();
        for batch in reader.expect("Parquet") {
            let batch = batch.expect("rows");
            for column in batch
                .columns()
                .iter()
                .filter(|column| column.data_type() == &DataType::Utf8)
            {
                let column = column.as_string::<i32>();
                texts.push(column.iter().flatten().collect::<Vec<_>>().join("\n").into_bytes());
            }
        }
    }
    texts
}

fn identifiers(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        for text in texts(&path) {
            scan::each(&text, Pack::Cn, &mut |hit| {
                found.push(format!("{}: {} at {}", path.display(), hit.pattern, hit.at));
                true
            });
        }
    }
    found
}

#[test]
fn no_file_that_the_demo_writes_holds_an_identifier() {
    let site = city();
    let planted = identifiers(&site.join("inbox/alarm"));
    assert!(
        planted.len() > 1_000,
        "the scan is blind: {} planted identifiers found",
        planted.len()
    );
    for folder in ["lake", "pages"] {
        let found = identifiers(&site.join(folder));
        assert!(
            found.is_empty(),
            "{} identifiers, first {:?}",
            found.len(),
            &found[..found.len().min(3)]
        );
    }
}

#[test]
fn no_name_number_or_address_of_the_sources_reaches_the_lake() {
    let site = city();
    let mut secrets = BTreeSet::new();
    let mut reader = csv::Reader::from_path(site.join("inbox/alarm/990101.csv")).expect("a source");
    for record in reader.records().filter_map(std::result::Result::ok).take(400) {
        for at in [0, 10, 12, 13, 14, 15] {
            secrets.extend(
                record
                    .get(at)
                    .filter(|text| text.chars().count() >= 6)
                    .map(str::to_owned),
            );
        }
    }
    assert!(secrets.len() > 500);
    for path in files(&site.join("lake")).into_iter().chain(files(&site.join("pages"))) {
        for text in texts(&path) {
            let text = String::from_utf8_lossy(&text);
            let leaked = secrets.iter().find(|secret| text.contains(secret.as_str()));
            assert_eq!(leaked, None, "{}", path.display());
        }
    }
}

#[test]
fn a_signal_ends_a_run_with_its_code_and_leaves_the_lake_readable() {
    // SIGTERM first, then SIGINT, in the same folder: each stops one run short of its end
    let dir = folder();
    let site = dir.path().join("demo");
    for (signal, code, commit) in [("-TERM", 143, 1), ("-INT", 130, 6)] {
        let mut child = fenghuo()
            .args(["demo", &site.display().to_string(), "--scale", "0.004", "--quiet"])
            .spawn()
            .expect("the program starts");
        let log = site.join("lake/tables/ops/ingest/1/_delta_log");
        while !log.join(format!("{commit:020}.json")).exists() {
            assert!(child.try_wait().expect("a child").is_none(), "the demo ended early");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
        assert_eq!(child.wait().expect("an end").code(), Some(code), "{signal}");
    }
    ok(&["--site", &site.display().to_string(), "table", "list"]);
    ok(&["demo", &site.display().to_string(), "--scale", "0.004"]);
    assert_eq!(
        number(
            &site,
            "SELECT count(*) AS n FROM ops.ingest WHERE read <> accepted + duplicate + rejected"
        ),
        0.0
    );
}
