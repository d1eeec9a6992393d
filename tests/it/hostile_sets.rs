//! Functions over sets and series on what nobody should give them: an answer with a reason, or an error that names the
//! function. And a long answer that nobody waits for any more.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use fenghuo::engine::{Bounds, Session};
use fenghuo::message::Language;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::as_json;

/// Every function over rows `id, name, a, b, c, day, n, flag`.
const CALLS: [&str; 33] = [
    "gi_star(id, a, {'weights': 'queen', 'columns': 5, 'permutations': 19})",
    "gi_star(name, a, b, c, {'band': 100, 'with_self': false})",
    "gi_star(id, a, [id, n], {'permutations': 9})",
    "gi_star(id, a)",
    "local_moran(name, a, b, c, {'knn': 3, 'permutations': 19})",
    "global_moran(id, a, {'weights': 'rook', 'columns': 3, 'permutations': 9})",
    "eb_rate_spatial(id, a, b, {'weights': 'rook', 'columns': 4})",
    "eb_rate_spatial(name, a, b, c, a, {'knn': 1})",
    "scan_permutation(name, b, c, day, n, {'reps': 19})",
    "scan_permutation(id, a, b, day, n, {'reps': 9, 'metric': 'sphere', 'max_radius': 5000})",
    "scan_poisson(name, b, c, a, day, n, {'reps': 19, 'by_day': true})",
    "knox(a, b, day, {'reps': 19})",
    "knox(a, b, day, {'reps': 0, 'space': [0, 1e300], 'time': [0, 1], 'metric': 'manhattan'})",
    "kde(a, b, {'cell': 100})",
    "kde(a, b, c, {'kernel': 'gaussian', 'bandwidth': 1e-3, 'box': [0, 0, 10, 10], 'cell': 1})",
    "mclp(name, a, id, b, {'p': 3, 'within': 10})",
    "mclp(id, a, name, b, {'p': 1000000, 'within': 1e308})",
    "lscp(name, id, b, {'within': 5})",
    "p_median(name, a, id, b, {'p': 2})",
    "pai(name, a, b, c)",
    "hit_rate(id, a, b, c)",
    "capture_curve(name, a, b, c)",
    "nb_glm_fit(a, [b, c])",
    "nb_glm_fit(n, [b], {'family': 'quasipoisson'})",
    "ears_c1(day, a) OVER (ORDER BY day)",
    "ears_c3(day, a, flag, {'min_sigma': 0}) OVER (PARTITION BY name ORDER BY day)",
    "ewma(day, a, {'train': 2}) OVER (ORDER BY day)",
    "cusum(day, a, {'train': 3}) OVER (ORDER BY day DESC)",
    "farrington(day, a, {'b': 1, 'freq': 4, 'w': 1, 'periods': 1, 'left_out': 0}) OVER (ORDER BY day)",
    "calendar_baseline(day, a, {'period': 2, 'k': 3}) OVER (ORDER BY day)",
    "same_period(day, a, name, {'span': 2, 'before': 'period'}) OVER (ORDER BY day)",
    "eb_rate(a, b) OVER (PARTITION BY flag)",
    "bh_fdr(a) OVER ()",
];

type Row = (
    Option<i64>,
    Option<String>,
    [Option<f64>; 3],
    Option<i64>,
    Option<i64>,
    Option<bool>,
);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let number = || {
        prop_oneof![
            4 => (-2..12_i32).prop_map(|number| Some(f64::from(number))),
            2 => (0.0..1e4_f64).prop_map(Some),
            1 => prop::sample::select(vec![
                Some(f64::NAN), Some(f64::INFINITY), Some(f64::MAX), Some(f64::MIN_POSITIVE), Some(-0.0), Some(1e-300), None
            ]),
        ]
    };
    let whole = || {
        prop_oneof![
            8 => (-2..20_i64).prop_map(Some),
            1 => prop::sample::select(vec![Some(i64::MIN), Some(i64::MAX), Some(1 << 40), None]),
        ]
    };
    let name = prop::option::weighted(0.95, "[a-d]{0,1}");
    let row = (
        whole(),
        name,
        [number(), number(), number()],
        whole(),
        whole(),
        any::<Option<bool>>(),
    );
    prop_oneof![
        prop::collection::vec(row.clone(), 0..3),
        prop::collection::vec(row.clone(), 3..40),
        // each id once, sound days and counts: what gets past the first checks
        prop::collection::vec(row, 3..40).prop_map(|rows| {
            let sound = |(at, (_, _, numbers, _, n, flag)): (usize, Row)| {
                let at = at as i64;
                (
                    Some(at),
                    Some(format!("p{at}")),
                    numbers,
                    Some(at),
                    n.map(|n| n.rem_euclid(9)),
                    flag,
                )
            };
            rows.into_iter().enumerate().map(sound).collect()
        }),
    ]
}

fn batch(rows: &[Row]) -> RecordBatch {
    let numbers = |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row.2[at]).collect::<Float64Array>()) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        (
            "name",
            Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringArray>()),
        ),
        ("a", numbers(0)),
        ("b", numbers(1)),
        ("c", numbers(2)),
        ("day", Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>())),
        ("n", Arc::new(rows.iter().map(|row| row.4).collect::<Int64Array>())),
        ("flag", Arc::new(rows.iter().map(|row| row.5).collect::<BooleanArray>())),
    ];
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("rows")
}

/// The answer as JSON, or what the error says.
async fn answer(rows: &[Row], call: &str, partitions: usize) -> Result<String, String> {
    let session = Session::new(Bounds {
        memory_bytes: 1 << 30,
        partitions,
    });
    let session = session.expect("a session");
    session.register_batch("data.t", batch(rows)).expect("a table");
    let sql = format!("SELECT {call} AS found FROM data.t AS t");
    let found = session.query("test", &sql, 100_000).await;
    found
        .map(|found| {
            let mut lines: Vec<String> = as_json(&found.batches).iter().map(ToString::to_string).collect();
            lines.sort();
            lines.join("\n")
        })
        .map_err(|error| error.render(Language::English))
}

#[test]
fn whatever_the_rows_are_there_is_an_answer_or_an_error_that_names_the_function() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cases = if std::env::var("FENGHUO_TEST_KILLS").is_ok() {
        200
    } else {
        4
    };
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // the same cases each time: what fails here fails again
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (answers, errors) = (Cell::new(0), Cell::new(0));
    let outcome = runner.run(&(rows(), 0..2_usize), |(rows, offset)| {
        // half of the calls a case
        for call in CALLS.iter().skip(offset).step_by(2) {
            let name = call.split('(').next().unwrap_or_default();
            let found = runtime.block_on(answer(&rows, call, 2));
            match &found {
                Ok(_) => answers.set(answers.get() + 1),
                Err(error) => {
                    errors.set(errors.get() + 1);
                    prop_assert!(error.contains(&format!("{name}: expected")), "{call}: {error}");
                }
            }
            let again = runtime.block_on(answer(&rows, call, 1));
            prop_assert!(again == found, "{call} on one partition: {again:?}, on two: {found:?}");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let (answers, errors) = (answers.get(), errors.get());
    println!("{answers} answers and {errors} errors");
    assert!(answers > 0 && errors > 0);
}

#[test]
fn absurd_options_are_refused_with_function_option_and_what_was_meant() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let row: Row = (Some(1), Some("p".to_owned()), [Some(1.0); 3], Some(1), Some(1), None);
    for (call, words) in [
        (
            "gi_star(id, a, {'weight': 'queen'})",
            "gi_star: expected options weights",
        ),
        (
            "gi_star(id, a, {'weights': 'queen'})",
            "gi_star: expected columns, the width of the grid",
        ),
        ("gi_star(id, a, b, c)", "gi_star: expected band or knn"),
        (
            "gi_star(id, a, b, c, {'band': -1})",
            "gi_star: expected band as a distance above 0",
        ),
        (
            "gi_star(id, a, b, c, {'band': 1, 'weights': 'h3'})",
            "'weights' with other arguments",
        ),
        (
            "local_moran(id, name)",
            "local_moran: expected local_moran(id BIGINT, value DOUBLE, {options}) or",
        ),
        (
            "scan_permutation(name, a, b, day, n, {'max_share': 2})",
            "max_share as a share above 0, at most 1",
        ),
        (
            "scan_permutation(name, a, b, day, n, {'reps': 1e9})",
            "reps as a whole number from 0 to 1000000",
        ),
        (
            "scan_poisson(name, a, b, day, n)",
            "scan_poisson: expected scan_poisson(place BIGINT or VARCHAR",
        ),
        (
            "knox(a, b, day, {'space': [5, 1]})",
            "knox: expected space and time as 2 to 65 rising edges",
        ),
        ("knox(a, b, day, {'metrc': 'euclidean'})", "did you mean 'metric'?"),
        (
            "kde(a, b, {'box': [0, 0, 1]})",
            "kde: expected box as [left, low, right, high]",
        ),
        (
            "kde(a + 116.12345, b + 34.54321)",
            "kde: expected x and y in metres, found numbers that look like degrees",
        ),
        ("knox(a + 116.12345, b, day)", "project(lon, lat, epsg) makes metres"),
        (
            "gi_star(id, a, b, c + 0.00001, {'knn': 2})",
            "gi_star: expected x and y in metres",
        ),
        (
            "scan_permutation(name, a + 0.00001, b, day, n)",
            "scan_permutation: expected x and y in metres",
        ),
        ("kde(a, b, {'cell': 1e-9})", "kde: expected 4000000 cells at most"),
        (
            "mclp(id, a, id, b, {'p': 3})",
            "mclp: expected p, the number of sites, and within",
        ),
        (
            "mclp(id, a, id, b, {'p': 1, 'within': 1, 'fixed': [77]})",
            "mclp: expected fixed sites that some row has",
        ),
        ("lscp(id, id, b)", "lscp: expected within"),
        ("p_median(id, a, id, b, {'p': 0})", "p as a whole number from 1"),
        (
            "pai(id, a, b, c, {'shares': [0]})",
            "pai: expected shares above 0, at most 1",
        ),
        (
            "nb_glm_fit(a, [b], {'family': 'poisson'})",
            "family as nb | quasipoisson",
        ),
        (
            "same_period(day, a, {'span': 1}) OVER (ORDER BY day)",
            "span as a whole number from 2 to 731",
        ),
        (
            "ewma(day, a, {'lambda': 0}) OVER (ORDER BY day)",
            "lambda as a weight above 0, at most 1",
        ),
        (
            "cusum(day, a, {'transform': 'log'}) OVER (ORDER BY day)",
            "transform as standard | rossi | anscombe",
        ),
        ("project(a, b, 2385)", "project: expected epsg"),
        ("heaping(id, 1)", "heaping: expected base"),
        ("gi_star(DISTINCT id, a)", "gi_star: expected every row, found DISTINCT"),
    ] {
        let error = runtime
            .block_on(answer(std::slice::from_ref(&row), call, 2))
            .expect_err(call);
        assert!(error.contains(words), "{call}: {error}");
    }
}

#[test]
fn a_million_groups_are_answered() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let groups: i64 = if std::env::var("FENGHUO_TEST_KILLS").is_ok() {
        1_000_000
    } else {
        50_000
    };
    let found = runtime.block_on(async {
        let session = Session::new(Bounds {
            memory_bytes: 4 << 30,
            partitions: 2,
        });
        let sql = format!(
            "SELECT count(*) AS n, count(f) AS known FROM (SELECT value / 2 AS k, gi_star(value, value % 3, \
             {{'weights': 'rook', 'columns': 2}}) AS f FROM generate_series(0, {}) GROUP BY k) AS t",
            2 * groups - 1
        );
        session.expect("a session").query("test", &sql, 10).await.expect("rows")
    });
    let found = &as_json(&found.batches)[0];
    assert_eq!(
        (found["n"].as_i64(), found["known"].as_i64()),
        (Some(groups), Some(groups))
    );
}

#[test]
fn a_scan_that_nobody_waits_for_ends() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // hours of work
    let sql = "SELECT scan_permutation(place, x, y, day, n, {'reps': 1000000, 'max_days': 60}) AS found FROM (\
               SELECT value % 900 AS place, value % 900 % 30 AS x, value % 900 / 30 AS y, value / 900 AS day, \
               value * 7 % 3 AS n FROM generate_series(0, 89999)) AS t";
    runtime.block_on(async {
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        });
        let session = session.expect("a session");
        let plan = session.plan("test", sql).await.expect("a plan");
        let mut rows = session.stream("test", sql, plan).await.expect("rows");
        // whoever asks can still hear that it is to stop
        let waited = tokio::time::timeout(Duration::from_secs(3), rows.next()).await;
        assert!(waited.is_err(), "it was done at once");
        drop(rows);
    });
    // the runtime ends when its last task does
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(runtime);
        told.send(()).ok();
    });
    assert!(ended.recv_timeout(Duration::from_secs(60)).is_ok(), "the scan goes on");
}
