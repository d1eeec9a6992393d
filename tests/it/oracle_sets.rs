//! The numbers of the reference packages for functions over sets: scans, near repeats, posts, maps that are judged, models.
//! Synthetic cases lie in `tests/oracle`; data of others is read beside the checkout, where it is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use fenghuo::engine::{Bounds, Session};
use serde_json::Value;

use crate::oracles::{Row, apart, number, table};
use crate::support::as_json;

/// Rows as a table: a column is of whole numbers, of numbers, or of texts, whichever it can be.
fn batch(rows: &[Row]) -> RecordBatch {
    let names: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.keys()).collect();
    let column = |name: &&String| -> ArrayRef {
        let cells: Vec<Option<&String>> = rows.iter().map(|row| row.get(*name)).collect();
        let whole = || {
            cells
                .iter()
                .map(|cell| cell.map(|cell| cell.parse::<i64>()).transpose())
        };
        if let Ok(whole) = whole().collect::<Result<Vec<_>, _>>() {
            return Arc::new(Int64Array::from(whole));
        }
        let numbers = cells
            .iter()
            .map(|cell| cell.map(|cell| cell.parse::<f64>()).transpose());
        match numbers.collect::<Result<Vec<_>, _>>() {
            Ok(numbers) => Arc::new(Float64Array::from(numbers)),
            Err(_) => Arc::new(StringArray::from_iter(cells)),
        }
    };
    let columns = names.iter().map(|name| (name.as_str(), column(name), true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("rows")
}

/// Rows of a query over tables.
pub fn ask(tables: &[(&str, &[Row])], sql: &str) -> Vec<Value> {
    answer(tables, sql, 2).unwrap_or_else(|error| panic!("{error}: {sql}"))
}

fn answer(tables: &[(&str, &[Row])], sql: &str, partitions: usize) -> Result<Vec<Value>, String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions,
        });
        let session = session.expect("a session");
        for (name, rows) in tables {
            session
                .register_batch(&format!("data.{name}"), batch(rows))
                .expect("a table");
        }
        let found = session.query("test", sql, 1_000_000).await;
        let told = |error: fenghuo::Error| error.render(fenghuo::message::Language::English);
        found.map(|found| as_json(&found.batches)).map_err(told)
    })
}

/// The structs of a function over a set of rows, unnested.
pub fn structs(tables: &[(&str, &[Row])], call: &str) -> Vec<Value> {
    let found = ask(tables, &format!("SELECT unnest({call}) AS found FROM data.t AS t"));
    found.into_iter().map(|mut row| row["found"].take()).collect()
}

pub fn read(case: &Path, name: &str) -> Vec<Row> {
    table(&case.join(name))
}

fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(path)
}

/// How far a number is from what is expected, and the largest so far.
pub fn near(found: &Value, row: &Row, name: &str, bound: f64, worst: &mut f64) {
    let off = match (found.as_f64(), number(row, name)) {
        (None, None) => 0.0,
        (Some(found), Some(expected)) => (found - expected).abs(),
        other => panic!("{name}: {other:?} for {row:?}"),
    };
    assert!(off <= bound, "{name} is {off:e} off: {found} for {row:?}");
    *worst = worst.max(off);
}

/// Days from a date as `2024-01-02` or `2024/1/2`.
fn day(text: &str) -> i64 {
    let parts: Vec<i64> = text
        .split(['-', '/'])
        .map(|part| part.parse().expect("a number"))
        .collect();
    let date = chrono::NaiveDate::from_ymd_opt(parts[0] as i32, parts[1] as u32, parts[2] as u32).expect("a date");
    i64::from(date.to_epoch_days())
}

/// Cases of a scan as rows with the place's coordinates; a row without events says that the last day was there.
fn scanned(case: &Path, first: Option<i64>, last: i64) -> Vec<Row> {
    let places: BTreeMap<String, Row> = read(case, "locations.csv")
        .into_iter()
        .map(|row| (row["loc"].clone(), row))
        .collect();
    let row = |place: &Row, day: i64, events: &str| {
        let mut row = place.clone();
        row.insert("day".to_owned(), day.to_string());
        row.insert("events".to_owned(), events.to_owned());
        row
    };
    let events = read(case, "cases.csv");
    let mut rows: Vec<Row> = events
        .iter()
        .map(|event| row(&places[&event["loc"]], day(&event["date"]), &event["cases"]))
        .collect();
    for place in places.values() {
        rows.extend(
            [Some(last), first]
                .into_iter()
                .flatten()
                .map(|day| row(place, day, "0")),
        );
    }
    rows
}

#[test]
fn clusters_are_those_of_satscan() {
    let synth = own("scan/synth");
    let (first, last) = (day("2024-01-01"), day("2024-02-29"));
    let input = scanned(&synth, Some(first), last);
    let mut worst = 0.0;
    for (run, call) in [
        (
            "stp_circle",
            "scan_permutation(loc, x_km, y_km, day, events, {OPTIONS})",
        ),
        (
            "stp_3km",
            "scan_permutation(loc, x_km, y_km, day, events, {OPTIONS, 'max_radius': 3})",
        ),
        (
            "poisson",
            "scan_poisson(loc, x_km, y_km, population, day, events, {OPTIONS})",
        ),
        (
            "poisson_nonpar_time",
            "scan_poisson(loc, x_km, y_km, population, day, events, {OPTIONS, 'by_day': true})",
        ),
    ] {
        let call = call.replace("OPTIONS", "'max_days': 7, 'clusters': 1000");
        let found = structs(&[("t", &input)], &call);
        judge(run, &found, &read(&synth, &format!("expected_{run}.csv")), &mut worst);
    }
    let others = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/oracle/scan/thirdparty_nycfever");
    if others.is_dir() {
        let input = scanned(&others, Some(day("2001-11-01")), day("2001-11-24"));
        let call =
            "scan_permutation(loc, lon, lat, day, events, {'metric': 'sphere', 'max_radius': 3000, 'clusters': 1000})";
        let found = structs(&[("t", &input)], call);
        judge("nycfever", &found, &read(&others, "expected_stp_3km.csv"), &mut worst);
    } else {
        println!("SKIPPED: scan data of others are absent; this case runs beside the checkout");
    }
    println!("scans: worst difference of a likelihood ratio {worst:e}");
}

fn judge(run: &str, found: &[Value], expected: &[Row], worst: &mut f64) {
    assert!(
        found.len() >= expected.len(),
        "{run}: {} of {}",
        found.len(),
        expected.len()
    );
    for (seen, row) in found.iter().zip(expected) {
        let at = format!("{run}: {seen} for {row:?}");
        near(&seen["llr"], row, "llr", 1e-5, worst);
        let members: Vec<String> = seen["members"]
            .as_array()
            .expect("members")
            .iter()
            .map(|member| member.to_string().trim_matches('"').to_owned())
            .collect();
        // clusters that are equally good may come in another order
        if members.join("|") != row["members"] {
            let equal = expected.iter().filter(|other| other["llr"] == row["llr"]).count();
            assert!(equal > 1, "{at}");
            continue;
        }
        assert_eq!(seen["first_day"].as_i64(), Some(day(&row["start"])), "{at}");
        assert_eq!(seen["last_day"].as_i64(), Some(day(&row["end"])), "{at}");
        assert_eq!(seen["observed"].to_string(), row["observed"], "{at}");
        let mut printed = 0.0;
        near(&seen["expected"], row, "expected", 0.006, &mut printed);
        let p = seen["p"].as_f64().expect("p");
        assert!((number(row, "p_lo")..=number(row, "p_hi")).contains(&Some(p)), "{at}");
        let gumbel = number(row, "p_gumbel").expect("p");
        if gumbel > 1e-4 {
            let factor = seen["p_gumbel"].as_f64().expect("p") / gumbel;
            assert!((0.5..=2.0).contains(&factor), "{at}");
        }
    }
}

#[test]
fn near_repeats_are_those_of_near_repeat() {
    let case = own("knox/synth");
    let input = read(&case, "input.csv");
    let mut worst = 0.0_f64;
    for metric in ["euclidean", "manhattan"] {
        let expected = read(&case, &format!("expected_{metric}.csv"));
        let found = structs(
            &[("t", &input)],
            &format!("knox(x_m, y_m, day, {{'metric': '{metric}', 'reps': 999}})"),
        );
        assert_eq!(found.len(), expected.len());
        for (seen, row) in found.iter().zip(&expected) {
            assert_eq!(seen["space_from"].as_f64(), number(row, "s_lo"));
            assert_eq!(seen["time_from"].as_f64(), number(row, "t_lo"));
            assert_eq!(seen["observed"].to_string(), row["observed"], "{row:?}");
            for (ours, theirs) in [
                ("expected", "expected_exact"),
                ("variance", "variance_exact"),
                ("z", "z"),
                ("ratio", "knox_ratio"),
            ] {
                let off = apart(&seen[ours], number(row, theirs), 1e-3);
                assert!(off <= 1e-9, "{ours} is {off:e} off: {seen} for {row:?}");
                worst = worst.max(off);
            }
            let p = seen["p"].as_f64();
            assert!(
                p >= number(row, "p_lo") && p <= number(row, "p_hi"),
                "{seen} for {row:?}"
            );
        }
    }
    println!("knox: worst difference {worst:e}");
}

#[test]
fn posts_are_as_good_as_those_of_spopt() {
    let case = own("coverage/synth");
    let (demand, sites) = (read(&case, "demand.csv"), read(&case, "sites.csv"));
    let tables: [(&str, &[Row]); 2] = [("d", &demand), ("s", &sites)];
    let pairs = "SELECT d.demand_id, d.weight, s.site_id, abs(d.x_m - s.x_m) + abs(d.y_m - s.y_m) AS far \
                 FROM data.d AS d CROSS JOIN data.s AS s";
    let existing: Vec<&str> = sites
        .iter()
        .filter(|site| site["existing"] == "1")
        .map(|site| site["site_id"].as_str())
        .collect();
    let existing = existing.join(", ");
    let objective = |call: &str, keep: &str| -> Value {
        let sql = format!("SELECT unnest({call}) AS found FROM ({pairs}) AS t {keep}");
        ask(&tables, &sql)[0]["found"].take()
    };
    let (mut rows, mut proven) = (0, 0);
    for row in &read(&case, "expected_optima.csv") {
        let optimum = number(row, "optimum").expect("an optimum");
        let radius = row.get("radius_m").cloned().unwrap_or_default();
        let fixed = match row.get("existing_fixed").map(|fixed| fixed.to_lowercase()).as_deref() {
            Some("true") => format!(", 'fixed': [{existing}]"),
            _ => String::new(),
        };
        let (found, bounds) = match row["model"].split('_').next() {
            Some("MCLP") => {
                let call = format!(
                    "mclp(demand_id, weight, site_id, far, {{'p': {}, 'within': {radius}{fixed}}})",
                    row["p"]
                );
                (objective(&call, ""), (0.97, 1.0))
            }
            Some("LSCP") => {
                let call = format!("lscp(demand_id, site_id, far, {{'within': {radius}{fixed}}})");
                (objective(&call, ""), (1.0, 1.0 + (1.0 / optimum).max(0.05)))
            }
            _ => {
                let call = format!(
                    "p_median(demand_id, weight, site_id, far, {{'p': {}{fixed}}})",
                    row["p"]
                );
                (objective(&call, ""), (1.0, 1.03))
            }
        };
        let share = found["objective"].as_f64().expect("an objective") / optimum;
        assert!(
            share >= bounds.0 - 1e-9 && share <= bounds.1 + 1e-9,
            "{share}: {found} for {row:?}"
        );
        // where it says that nothing is better, nothing is
        if found["gap"].as_f64() == Some(0.0) {
            assert!((share - 1.0).abs() < 1e-9, "{found} for {row:?}");
            proven += 1;
        }
        rows += 1;
    }
    for row in &read(&case, "expected_existing_135.csv") {
        let reach = number(row, "minutes").expect("minutes") * number(row, "metres_per_minute").expect("metres");
        let call =
            format!("mclp(demand_id, weight, site_id, far, {{'p': 1, 'within': {reach}, 'fixed': [{existing}]}})");
        let found = objective(&call, "");
        assert_eq!(found["objective"].as_f64(), number(row, "covered_weight"), "{row:?}");
        assert_eq!(found["total"].as_f64(), number(row, "total_weight"));
    }
    println!("coverage: {rows} problems, {proven} proven to be the best");
    assert!(rows >= 25 && proven > 10);
}

#[test]
fn maps_are_judged_as_they_are_defined() {
    let case = own("backtest/cells");
    let input = read(&case, "input.csv");
    let expected = read(&case, "expected_pai_pei.csv");
    let shares: Vec<&str> = expected.iter().map(|row| row["area_fraction"].as_str()).collect();
    let found = structs(
        &[("t", &input)],
        &format!(
            "pai(cell, score, future_events, area_km2, {{'shares': [{}]}})",
            shares.join(", ")
        ),
    );
    let mut worst = 0.0_f64;
    for (seen, row) in found.iter().zip(&expected) {
        for (ours, theirs) in [("cells", "cells"), ("cells_best", "cells_best")] {
            assert_eq!(seen[ours].to_string(), row[theirs], "{row:?}");
        }
        for (ours, theirs) in [
            ("area", "area_km2"),
            ("captured", "captured"),
            ("hit_rate", "hit_rate"),
            ("pai", "pai"),
            ("captured_best", "captured_best"),
            ("pai_best", "pai_best"),
            ("pei", "pei"),
            ("pei_star_same_budget", "pei_star_same_budget"),
            ("pei_star_range", "pei_star_range"),
            ("events_by_area", "ser_per_km2"),
        ] {
            let off = apart(&seen[ours], number(row, theirs), 1e-3);
            assert!(off <= 1e-10, "{ours} is {off:e} off: {seen} for {row:?}");
            worst = worst.max(off);
        }
    }
    let curve = structs(&[("t", &input)], "capture_curve(cell, score, future_events, area_km2)");
    let expected = &read(&case, "expected_capture_curve.csv")[0];
    assert_eq!(curve.len(), input.len() + 1);
    for (ours, theirs) in [
        ("auc", "capture_auc_trapezoid"),
        ("gini", "gini"),
        ("rank_correlation", "spearman_score_events"),
    ] {
        let off = apart(&curve[0][ours], number(expected, theirs), 1e-3);
        assert!(off <= 1e-10, "{ours}: {off:e}");
        worst = worst.max(off);
    }
    let events = read(&own("backtest/kde"), "input.csv");
    let expected = read(&own("backtest/kde"), "expected_bw600.csv");
    for (kernel, column, floor) in [
        ("gaussian", "gaussian_per_km2", 1e-4),
        ("epanechnikov", "epanechnikov_per_km2", 1e-4),
        ("quartic", "quartic_per_km2", 1e-4),
    ] {
        let call = format!(
            "kde(x_m, y_m, {{'bandwidth': 600, 'kernel': '{kernel}', 'cell': 500, 'box': [0, 0, 10000, 10000]}})"
        );
        let found = structs(&[("t", &events)], &call);
        assert_eq!(found.len(), expected.len());
        for (seen, row) in found.iter().zip(&expected) {
            assert_eq!(seen["x"].as_f64(), number(row, "x_m"));
            assert_eq!(seen["y"].as_f64(), number(row, "y_m"));
            let off = apart(&seen["density"], number(row, column), floor);
            assert!(off <= 1e-8, "{kernel}: {off:e}, {seen} for {row:?}");
            worst = worst.max(off);
        }
    }
    println!("backtest and kde: worst difference {worst:e}");
}

#[test]
fn models_of_counts_are_those_of_mass() {
    let case = own("nb_baseline/daily_glm");
    let input = read(&case, "input.csv");
    let known = input.len() - 56;
    let numbers = "array_concat(indicators(CAST(dow AS VARCHAR), ['1', '2', '3', '4', '5', '6']), [s1, c1, t])";
    let rows = "data.t AS t";
    let model = |options: &str| -> Value {
        let sql = format!(
            "SELECT unnest(nb_glm_fit(observed, {numbers}, {{{options}}})) AS found FROM {rows} WHERE t <= {known}"
        );
        ask(&[("t", &input)], &sql)[0]["found"].take()
    };
    let mut worst = [0.0_f64; 3];
    let fitted = model("'family': 'nb'");
    for (at, row) in read(&case, "expected_coefficients.csv").iter().enumerate() {
        let (estimate, error, bounds) = match row["term"].as_str() {
            "theta" => (&fitted["theta"], Some(&fitted["theta_error"]), (1e-6, 0.02)),
            "loglik2" => (&fitted["likelihood"], None, (1e-6, 0.0)),
            _ => (&fitted["coefficients"][at], Some(&fitted["errors"][at]), (1e-6, 0.02)),
        };
        let off = apart(estimate, number(row, "estimate"), 1e-4);
        assert!(off <= bounds.0, "{row:?}: {estimate}");
        worst[0] = worst[0].max(off);
        if let Some(error) = error {
            let off = apart(error, number(row, "se"), 1e-6);
            assert!(off <= bounds.1, "{row:?}: {error}");
            worst[1] = worst[1].max(off);
        }
    }
    let quasi = model("'family': 'quasipoisson'");
    for (at, row) in read(&case, "expected_quasipoisson.csv").iter().enumerate() {
        let estimate = match row["term"].as_str() {
            "dispersion" => &quasi["dispersion"],
            "deviance" => &quasi["deviance"],
            _ => &quasi["coefficients"][at],
        };
        assert!(
            apart(estimate, number(row, "estimate"), 1e-4) <= 1e-7,
            "{row:?}: {estimate}"
        );
    }
    let sql = format!(
        "SELECT t, p['expected'] AS mu, p['upper'] AS upper, p['p'] AS p, p['alarm'] AS alarm FROM (\
         SELECT t.t, nb_glm_predict(m.found['coefficients'], m.found['theta'], {numbers}, observed, 0.01) AS p \
         FROM {rows} CROSS JOIN (SELECT unnest(nb_glm_fit(observed, {numbers})) AS found FROM {rows} WHERE t <= {known}) AS m) AS s"
    );
    let found: BTreeMap<String, Value> = ask(&[("t", &input)], &sql)
        .into_iter()
        .map(|row| (row["t"].to_string(), row))
        .collect();
    for row in &read(&case, "expected_forecast_a0.01.csv") {
        let seen = &found[&row["t"]];
        assert!(apart(&seen["mu"], number(row, "mu"), 1.0) <= 1e-6, "{seen} for {row:?}");
        assert_eq!(seen["upper"].as_f64(), number(row, "upper"), "{seen} for {row:?}");
        let off = apart(&seen["p"], number(row, "p_upper"), 1e-6);
        assert!(off <= 1e-5, "{seen} for {row:?}");
        worst[2] = worst[2].max(off);
        assert_eq!(seen["alarm"].to_string(), row["alarm"], "{row:?}");
    }
    println!("nb_glm: worst differences of estimates, errors and chances {worst:?}");
}

#[test]
fn drifts_are_those_of_r_surveillance() {
    let case = own("ears/daily_dense");
    let input = read(&case, "input.csv");
    let rows = |call: &str, number: &str| -> BTreeMap<String, Value> {
        let sql = format!(
            "SELECT t, d['{number}'] AS seen, d['upper'] AS upper, d['alarm'] AS alarm FROM (SELECT t, {call} OVER (ORDER BY t) AS d FROM data.t) AS s"
        );
        let sql = if number == "sum" {
            sql.replace(" d['upper'] AS upper,", "")
        } else {
            sql
        };
        let found = ask(&[("t", &input)], &sql);
        found.into_iter().map(|row| (row["t"].to_string(), row)).collect()
    };
    let mut worst = 0.0;
    let found = rows("ewma(t, observed, {'min_sigma': 0})", "average");
    for row in &read(&case, "expected_ewma_lambda0.3_L3_train56.csv") {
        let seen = &found[&row["t"]];
        near(&seen["seen"], row, "ewma", 1e-9, &mut worst);
        near(&seen["upper"], row, "ucl", 1e-9, &mut worst);
        assert_eq!(seen["alarm"].to_string(), row["alarm"], "{row:?}");
    }
    for transform in ["standard", "rossi", "anscombe"] {
        let found = rows(&format!("cusum(t, observed, {{'transform': '{transform}'}})"), "sum");
        let expected = read(&case, "expected_cusum_k1.04_h2.26_train56.csv");
        let own = expected.iter().filter(|row| row["trans"] == transform);
        assert!(own.clone().count() > 300);
        for row in own {
            let seen = &found[&row["t"]];
            near(&seen["seen"], row, "cusum", 1e-9, &mut worst);
            assert_eq!(seen["alarm"].to_string(), row["alarm"], "{row:?}");
        }
    }
    println!("ewma and cusum: worst difference {worst:e}");
}
