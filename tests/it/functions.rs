//! Aggregates in whole queries: equal to plain SQL, whatever the partitions, in every place an aggregate may stand.

use fenghuo::engine::{Bounds, Session};
use serde_json::Value;

use crate::support::as_json;

/// 5,000 moments of thirteen keys within 200 days.
const MOMENTS: &str =
    "(SELECT value % 13 AS k, (value * 7919 + value * value) % 200 AS day FROM generate_series(1, 5000))";

fn ask(partitions: usize, sql: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions,
        })
        .expect("a session");
        let found = session
            .query("test", &sql.replace("{t}", MOMENTS), 100_000)
            .await
            .expect("rows");
        as_json(&found.batches)
    })
}

#[test]
fn bursts_and_surges_are_those_of_plain_sql() {
    let bursts = "SELECT k, b['at'] AS at, b['n'] AS n FROM (SELECT k, unnest(burst(day, 3, 5)) AS b FROM {t} AS t GROUP BY k) AS u ORDER BY k, at";
    let plain = "SELECT a.k, a.day AS at, count(*) AS n FROM (SELECT DISTINCT k, day FROM {t} AS t) AS a JOIN {t} AS b \
                 ON b.k = a.k AND b.day <= a.day AND b.day >= a.day - 5 GROUP BY a.k, a.day HAVING count(*) >= 3 ORDER BY k, at";
    let expected = ask(2, plain);
    assert!(expected.len() > 500, "{}", expected.len());
    let surges = "SELECT k, s['day'] AS day, s['n'] AS n, round(s['mean'], 9) AS mean, round(s['sd'], 9) AS sd FROM \
                  (SELECT k, unnest(surge_days(day, 28)) AS s FROM {t} AS t GROUP BY k) AS u ORDER BY k, day";
    let plain = "WITH d AS (SELECT k, day, count(*) AS n FROM {t} AS t GROUP BY k, day) \
                 SELECT a.k, a.day, a.n, round(coalesce(sum(b.n), 0) / 28.0, 9) AS mean, \
                 round(sqrt((28.0 * coalesce(sum(b.n * b.n), 0) - coalesce(sum(b.n), 0) * coalesce(sum(b.n), 0)) / (28.0 * 27.0)), 9) AS sd \
                 FROM d AS a LEFT JOIN d AS b ON b.k = a.k AND b.day >= a.day - 28 AND b.day < a.day GROUP BY a.k, a.day, a.n ORDER BY a.k, a.day";
    let days = ask(2, plain);
    assert!(days.len() > 500, "{}", days.len());
    for partitions in [1, 2, 7] {
        // compared as a whole, told as one word: a thousand rows say nothing
        assert!(ask(partitions, bursts) == expected, "bursts, {partitions} partitions");
        assert!(ask(partitions, surges) == days, "surges, {partitions} partitions");
    }
}

#[test]
fn they_stand_wherever_an_aggregate_may() {
    let one = |sql: &str| ask(2, sql)[0]["n"].as_u64();
    // a half that is counted and a half that is not
    let halves = "SELECT cardinality(burst(day, 3, 5) FILTER (WHERE k < 6)) AS n FROM {t} AS t";
    let half = "SELECT cardinality(burst(day, 3, 5)) AS n FROM {t} AS t WHERE k < 6";
    assert!(one(half) > Some(10));
    assert_eq!(one(halves), one(half));
    let twice = "SELECT cardinality(surge_days(day, 7)) AS n FROM (SELECT day FROM {t} AS t UNION ALL SELECT day FROM {t} AS u) AS v";
    assert_eq!(one(twice), one("SELECT count(DISTINCT day) AS n FROM {t} AS t"));
    let nothing = ask(
        2,
        "SELECT burst(day, 3, 5) IS NULL AS b, surge_days(day, 28) IS NULL AS s FROM {t} AS t WHERE day > 999",
    );
    assert_eq!(
        (&nothing[0]["b"], &nothing[0]["s"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
}

#[test]
fn unnested_rows_are_not_taken_for_what_their_group_was() {
    let unnested = "(SELECT k, unnest(array_agg(day)) AS day FROM {t} AS t GROUP BY k)";
    let same = |mended: &str, plain: &str| {
        let mended = mended.replace("{u}", unnested);
        // compared as a whole, told as one word: a thousand rows say nothing
        assert!(
            ask(2, &mended) == ask(2, plain),
            "the engine answers otherwise: {mended}"
        );
    };
    same(
        "SELECT k, day FROM {u} AS u ORDER BY k, day",
        "SELECT k, day FROM {t} AS t ORDER BY k, day",
    );
    same(
        "SELECT count(*) AS n FROM (SELECT DISTINCT k FROM {u} AS u) AS d",
        "SELECT count(*) AS n FROM (SELECT DISTINCT k FROM {t} AS t) AS d",
    );
    same(
        "SELECT count(*) AS n FROM (SELECT DISTINCT k, day FROM {u} AS u) AS d",
        "SELECT count(*) AS n FROM (SELECT DISTINCT k, day FROM {t} AS t) AS d",
    );
    same(
        "SELECT count(*) AS n FROM (SELECT DISTINCT k FROM {t} AS t) AS c JOIN {u} AS u ON u.k = c.k",
        "SELECT count(*) AS n FROM (SELECT DISTINCT k FROM {t} AS t) AS c JOIN {t} AS u ON u.k = c.k",
    );
    same(
        "SELECT day, count(*) AS n FROM {u} AS u GROUP BY day ORDER BY day",
        "SELECT day, count(*) AS n FROM {t} AS t GROUP BY day ORDER BY day",
    );
    for refused in [
        "SELECT k, count(*) AS n FROM {u} AS u GROUP BY k",
        "SELECT k, count(*) AS n FROM (SELECT DISTINCT k, day FROM {u} AS u) AS d GROUP BY k",
        "SELECT count(*) AS n FROM (SELECT k FROM {u} AS u GROUP BY k, day) AS g",
    ] {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let sql = refused.replace("{u}", unnested).replace("{t}", MOMENTS);
        let bounds = Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        };
        let planned = runtime.block_on(async { Session::new(bounds).expect("a session").plan("test", &sql).await });
        let error = planned.expect_err("refused");
        assert!(error.to_string().contains("grouped by the key"), "{error}");
    }
}

#[test]
fn the_products_are_those_that_the_program_prints() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/products.md");
    let dir = crate::support::folder();
    let site = dir.path().join("site").display().to_string();
    crate::support::ok(&["init", &site, "--defaults"]);
    let printed = crate::support::ok(&["--site", &site, "--lang", "en", "docs", "products"]);
    if std::env::var("FENGHUO_FILL_SLT").is_ok() {
        std::fs::write(&path, &printed).expect("a file");
    }
    let written = std::fs::read_to_string(&path).expect("the products");
    assert!(
        printed == written,
        "run `fenghuo docs products --lang en > docs/products.md` in a new site"
    );
    let one = crate::support::ok(&["--site", &site, "docs", "products", "W01", "--lang", "zh"]);
    assert!(
        one.starts_with("## W01 警情异常升高\n") && one.contains("`source.alarm`"),
        "{one}"
    );
    let unknown = crate::support::run(&["--site", &site, "docs", "products", "surg"]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(crate::support::text(&unknown.stderr).contains("surge"), "{unknown:?}");
}

#[test]
fn the_reference_is_what_the_program_prints_and_its_examples_run() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/functions.md");
    let printed = crate::support::ok(&["docs", "functions"]);
    if std::env::var("FENGHUO_FILL_SLT").is_ok() {
        std::fs::write(&path, &printed).expect("a file");
    }
    let written = std::fs::read_to_string(&path).expect("the reference");
    assert!(printed == written, "run `fenghuo docs functions > docs/functions.md`");
    for page in fenghuo::func::docs::pages() {
        let rows = ask(2, &page.example);
        assert!(!rows.is_empty(), "{:?}", page.names);
        for partitions in [1, 7] {
            assert_eq!(ask(partitions, &page.example), rows, "{:?}", page.names);
        }
    }
    let one = crate::support::ok(&["docs", "functions", "ears_c2"]);
    assert!(one.starts_with("## ears_c1, ears_c2, ears_c3\n"), "{one}");
    let unknown = crate::support::run(&["docs", "functions", "ears_c4"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(crate::support::text(&unknown.stderr).contains("ears_c"), "{unknown:?}");
    let completions = crate::support::ok(&["completions", "bash"]);
    assert!(
        completions.contains("scan_permutation"),
        "completions do not know the functions"
    );
}
