//! One planted violation per door: what the loader, the taint walk and people's sessions refuse.

use std::path::Path;

use crate::demo::city;
use crate::support::{copy, folder, ok, run, text};

/// A copy of the demonstration site without its lake of data: loading and planning are enough.
fn site() -> tempfile::TempDir {
    let dir = folder();
    for part in ["sql", "pipelines", "keys", "lake"] {
        copy(&city().join(part), &dir.path().join(part));
    }
    std::fs::copy(city().join("fenghuo.toml"), dir.path().join("fenghuo.toml")).expect("a copy");
    crate::support::write_key(dir.path());
    // a contract that keeps a token of callers, which the standard one does not
    let contract = dir.path().join("pipelines/contracts/alarm.toml");
    let changed = std::fs::read_to_string(&contract).expect("a contract").replace(
        "caller_phone  = { protect = \"drop\" }",
        "caller_phone  = { protect = \"token\" }",
    );
    std::fs::write(contract, changed).expect("a contract");
    std::fs::remove_dir_all(dir.path().join("lake")).expect("a lake");
    for feed in ["alarm", "feedback", "area", "calendar"] {
        copy(&city().join("inbox").join(feed), &dir.path().join("inbox").join(feed));
    }
    dir
}

fn model(dir: &Path, name: &str, sql: &str) {
    let path = dir.join("sql").join(format!("{name}.sql"));
    std::fs::write(path, format!("-- 试。 A test.\n-- @grain n\n{sql}\n")).expect("a model");
}

fn refused(dir: &Path, code: i32, expected: &str) {
    let output = run(&["--site", &dir.display().to_string(), "--quiet", "run", "nightly"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(expected), "expected {expected:?} in {said}");
}

#[test]
fn a_token_of_a_person_is_refused_at_every_door() {
    let dir = site();
    let doors: &[(&str, &str)] = &[
        (
            "GROUP BY",
            "SELECT count(*) AS n FROM source.alarm GROUP BY caller_phone",
        ),
        (
            "GROUP BY",
            "SELECT count(*) AS n FROM (SELECT caller_phone + 1 AS x FROM source.alarm) AS t GROUP BY x",
        ),
        (
            "PARTITION BY",
            "SELECT row_number() OVER (PARTITION BY caller_phone) AS n FROM source.alarm",
        ),
        (
            "ORDER BY",
            "SELECT row_number() OVER (ORDER BY caller_phone) AS n FROM source.alarm",
        ),
        (
            "JOIN",
            "SELECT 1 AS n FROM source.alarm AS a JOIN source.alarm AS b ON a.caller_phone = b.caller_phone",
        ),
        ("DISTINCT", "SELECT count(DISTINCT caller_phone) AS n FROM source.alarm"),
        (
            "IN",
            "SELECT 1 AS n FROM source.alarm WHERE caller_phone IN (1, 2, 3, 4, 5, 6, 7, 8, 9)",
        ),
        (
            "IN",
            "SELECT 1 AS n FROM source.area WHERE source_line IN (SELECT caller_phone FROM source.alarm)",
        ),
        (
            "ORDER BY",
            "SELECT 1 AS n FROM source.alarm ORDER BY caller_phone LIMIT 1",
        ),
        ("OUTPUT", "SELECT caller_phone AS n FROM source.alarm"),
        ("OUTPUT", "SELECT max(caller_phone) AS n FROM source.alarm"),
        (
            "OUTPUT",
            "SELECT CASE WHEN caller_phone > 0 THEN 1 ELSE 0 END AS n FROM source.alarm",
        ),
        (
            "OUTPUT",
            "WITH t AS (SELECT caller_phone AS p FROM source.alarm) SELECT p AS n FROM t UNION ALL SELECT 1",
        ),
        (
            "OUTPUT",
            "SELECT (SELECT max(caller_phone) FROM source.alarm) AS n FROM source.area",
        ),
        (
            "WHERE",
            "SELECT count(*) AS n FROM source.alarm AS x, source.alarm AS y WHERE x.caller_phone = y.caller_phone",
        ),
        (
            "WHERE",
            "SELECT count(*) AS n FROM source.alarm WHERE caller_phone BETWEEN 0 AND 1000000000000000000",
        ),
        (
            "WHERE",
            "SELECT 1 AS n FROM source.alarm AS x WHERE EXISTS (SELECT 1 FROM source.alarm AS y WHERE y.caller_phone = x.caller_phone)",
        ),
        (
            "WHERE",
            "SELECT (SELECT count(*) FROM source.alarm AS y WHERE y.caller_phone = x.caller_phone) AS n FROM source.alarm AS x",
        ),
        (
            "WHERE",
            "SELECT 1 AS n FROM (SELECT caller_phone AS p FROM source.alarm) AS x WHERE EXISTS (SELECT 1 FROM source.area AS y WHERE y.source_line = x.p)",
        ),
        (
            "OUTPUT",
            "SELECT a.caller_phone AS n FROM source.area AS r RIGHT SEMI JOIN source.alarm AS a ON r.code = a.area",
        ),
    ];
    for &(door, sql) in doors {
        model(dir.path(), "core/planted", sql);
        refused(dir.path(), 4, door);
    }
    // the control: the same table without the token passes
    model(
        dir.path(),
        "core/planted",
        "SELECT count(*) AS n FROM source.alarm WHERE caller_phone IS NOT NULL GROUP BY county",
    );
    ok(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
}

#[test]
fn a_place_token_needs_a_model_that_says_so() {
    let dir = site();
    let sql = "SELECT count(*) AS n FROM source.alarm WHERE place IS NOT NULL GROUP BY place";
    model(dir.path(), "core/planted", sql);
    refused(dir.path(), 4, "GROUP BY");
    let path = dir.path().join("sql/core/planted.sql");
    std::fs::write(path, format!("-- 试。 A test.\n-- @grain n\n-- @place_token\n{sql}\n")).expect("a model");
    ok(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
}

#[test]
fn a_spatial_product_reads_citizen_alarms_or_is_refused() {
    let dir = site();
    let way = "mart.detour";
    model(dir.path(), "mart/detour", "SELECT alarm_id AS n FROM core.alarm");
    model(dir.path(), "risk/planted", "SELECT n FROM mart.detour");
    refused(dir.path(), 2, way);
    std::fs::remove_file(dir.path().join("sql/risk/planted.sql")).expect("a model");
    let warning = "-- 试。 A test.\n-- @grain cell\nSELECT cell FROM core.alarm\n";
    std::fs::write(dir.path().join("sql/warning/planted.sql"), warning).expect("a model");
    refused(dir.path(), 2, "core.alarm");
}

#[test]
fn a_cycle_an_unknown_table_and_a_bad_header_are_named_together_with_their_places() {
    let dir = site();
    model(dir.path(), "mart/a", "SELECT n FROM mart.b");
    model(dir.path(), "mart/b", "SELECT n FROM mart.a");
    model(dir.path(), "mart/c", "SELECT n FROM core.alarn");
    std::fs::write(
        dir.path().join("sql/mart/d.sql"),
        "-- 试。 A test.\n-- @grain n\n-- @chek rows(1)\nSELECT 1 AS n\n",
    )
    .expect("a model");
    model(dir.path(), "mart/e", "DROP TABLE core.alarm");
    let output = run(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
    assert_eq!(output.status.code(), Some(2));
    std::fs::remove_file(dir.path().join("sql/mart/e.sql")).expect("a model");
    let output = run(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
    let said = text(&output.stderr);
    for expected in [
        "mart.a → mart.b → mart.a",
        "did you mean `core.alarm`",
        "sql/mart/d.sql:3:5",
        "did you mean `check`",
    ] {
        assert!(said.contains(expected), "expected {expected:?} in {said}");
    }
}

#[test]
fn people_see_no_source_table_and_cannot_write() {
    let site = city().display().to_string();
    for sql in [
        "SELECT * FROM source.alarm",
        "COPY core.alarm TO '/tmp/x.csv'",
        "INSERT INTO core.alarm SELECT * FROM core.alarm",
        "CREATE TABLE t AS SELECT 1",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "DROP TABLE core.alarm",
    ] {
        let output = run(&["--site", &site, "query", sql]);
        assert_eq!(output.status.code(), Some(2), "{sql}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{sql}");
    }
}

#[test]
fn a_failed_check_publishes_nothing() {
    let dir = site();
    let path = dir.path().display().to_string();
    ok(&["--site", &path, "run", "nightly"]);
    let before = ok(&["--site", &path, "release", "list", "--output", "csv"]);
    std::fs::write(
        dir.path().join("sql/check/planted.sql"),
        "SELECT alarm_id FROM core.alarm LIMIT 3",
    )
    .expect("a check");
    std::fs::write(
        dir.path().join("sql/mart/x.sql"),
        "-- 试。 A test.\n-- @grain n\n-- @check in_range(n, 5, 9)\nSELECT 1 AS n\n",
    )
    .expect("a model");
    refused(dir.path(), 1, "in_range(n, 5, 9): 1 rows");
    assert_eq!(ok(&["--site", &path, "release", "list", "--output", "csv"]), before);
}

#[test]
fn a_contract_without_protection_or_reference_system_is_refused_with_every_problem() {
    let dir = site();
    let contract = dir.path().join("pipelines/contracts/alarm.toml");
    let text_of = std::fs::read_to_string(&contract).expect("a contract");
    let broken = text_of
        .replace("crs = \"wgs84\"\n", "")
        .replace("area          = { protect = \"public\" }", "area          = { }");
    std::fs::write(&contract, broken).expect("a contract");
    let output = run(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("column `area` says no protect") && said.contains("must declare its crs"),
        "{said}"
    );
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = site();
    std::fs::set_permissions(dir.path().join("keys/site.key"), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let output = run(&["--site", &dir.path().display().to_string(), "run", "nightly"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
}

#[test]
fn a_column_about_a_person_cannot_be_public() {
    let dir = site();
    let contract = dir.path().join("pipelines/contracts/alarm.toml");
    let text_of = std::fs::read_to_string(&contract).expect("a contract");
    let open = text_of.replace(
        "caller_name   = { protect = \"drop\" }",
        "caller_name   = { protect = \"public\" }",
    );
    assert_ne!(open, text_of);
    std::fs::write(&contract, open).expect("a contract");
    refused(dir.path(), 2, "column `caller_name` is about a person");
}

#[test]
fn another_key_on_the_same_lake_is_refused() {
    let dir = site();
    ok(&["--site", &dir.path().display().to_string(), "ingest", "area"]);
    let key = dir.path().join("keys/site.key");
    std::fs::write(key, "fedcba9876543210".repeat(4)).expect("a key");
    refused(dir.path(), 5, "not the one this lake was made with");
}

#[test]
fn a_pipeline_that_names_nothing_and_a_changed_check_are_noticed() {
    let dir = site();
    let path = dir.path().display().to_string();
    ok(&["--site", &path, "run", "nightly"]);
    let model = dir.path().join("sql/ref/category.sql");
    let text_of = std::fs::read_to_string(&model).expect("a model");
    std::fs::write(
        &model,
        text_of.replace("-- @check unique(code)", "-- @check rows(1000)"),
    )
    .expect("a model");
    refused(dir.path(), 1, "rows(1000)");
    std::fs::write(
        &model,
        text_of.replace("-- @check unique(code)", "-- @check unique(coed)"),
    )
    .expect("a model");
    refused(dir.path(), 2, "did you mean `code`");
    std::fs::write(&model, text_of).expect("a model");
    let pipeline = dir.path().join("pipelines/nightly.toml");
    let text_of = std::fs::read_to_string(&pipeline).expect("a pipeline");
    std::fs::write(&pipeline, text_of.replace("build = [\"*\"]", "build = [\"waring\"]")).expect("a pipeline");
    refused(dir.path(), 2, "did you mean `warning`");
}
