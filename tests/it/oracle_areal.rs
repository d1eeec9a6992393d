//! The numbers of esda for functions over neighbourhoods. Synthetic cases lie in `tests/oracle`; data of others is read
//! beside the checkout, where it is there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::oracle_sets::{ask, near, read, structs};
use crate::oracles::{Row, apart, cases, number};

/// A kind of neighbourhood as arguments after the value, with what the case names it.
fn around(case: &Path, name: &str) -> (Vec<Row>, &'static str, String) {
    let mut rows = read(case, "input.csv");
    let options = match name {
        name if name.contains("queen") => "'weights': 'queen', 'columns': 24",
        name if name.contains("rook") => "'weights': 'rook', 'columns': 24",
        name if name.contains("band1500") => "'band': 1500",
        name if name.contains("knn8") => "'knn': 8",
        _ => "",
    };
    let arguments = if options.contains("columns") {
        ""
    } else if !options.is_empty() {
        ", x_m, y_m"
    } else {
        let weights = read(case, "weights.csv");
        for row in &mut rows {
            let own = weights.iter().filter(|weight| weight["i"] == row["id"]);
            let list: Vec<String> = own.map(|weight| weight["j"].clone()).collect();
            row.insert("near".to_owned(), list.join("|"));
        }
        // the lists are cast from texts
        ", arrow_cast(string_to_array(near, '|'), 'List(Int64)')"
    };
    (rows, options, arguments.to_owned())
}

/// The grid of the case is as wide as its highest column is far.
fn width(rows: &[Row]) -> usize {
    let columns = rows.iter().filter_map(|row| row.get("col")?.parse::<usize>().ok());
    columns.max().map_or(0, |most| most + 1)
}

/// Expected files of a kind with the column that they are of.
fn files(case: &Path, kind: &str) -> Vec<(String, &'static str)> {
    let entries = std::fs::read_dir(case).expect("a folder").flatten();
    let names = entries.map(|entry| entry.file_name().display().to_string());
    let mut found: Vec<(String, &'static str)> = names
        .filter(|name| name.starts_with(&format!("expected_{kind}_")))
        .map(|name| match &name {
            name if name.contains("CRIME") => (name.clone(), "\"CRIME\""),
            name if name.contains("SIDR74") => (name.clone(), "\"SIDR74\""),
            name => (name.clone(), "count"),
        })
        .collect();
    found.sort();
    found
}

fn by_id(found: Vec<Value>) -> BTreeMap<String, Value> {
    found.into_iter().map(|row| (row["id"].to_string(), row)).collect()
}

/// Whether the p-values of permutations lie where those of the reference do. Sums of counts are often equal: a tie belongs
/// to both sides, while esda's falls to either by the rounding of its weights. So counts are held to the lower bound
/// alone, and all else to both.
fn within(found: &BTreeMap<String, Value>, expected: &[Row], what: &str) {
    let counts = expected.iter().all(|row| !row["value"].contains('.'));
    let held = |row: &&Row, both: bool| match found[&row["id"]]["p_sim"].as_f64() {
        Some(p) => Some(p) >= number(row, "p_sim_lo") && (!both || Some(p) <= number(row, "p_sim_hi")),
        None => true,
    };
    let share = |both: bool| expected.iter().filter(|row| held(row, both)).count();
    println!(
        "{what}: {} of {} permutation p-values are inside",
        share(true),
        expected.len()
    );
    assert!(share(!counts) * 100 >= expected.len() * 99, "{what}");
}

#[test]
fn hot_spots_are_those_of_esda() {
    let (mut rows, mut worst) = (0, 0.0);
    for case in cases("areal") {
        for (kind, with_self) in [("gistar", "true"), ("gi", "false")] {
            for (name, value) in files(&case, kind) {
                let (input, options, arguments) = around(&case, &name);
                let options = options.replace("24", &width(&input).to_string());
                let more = if options.is_empty() {
                    String::new()
                } else {
                    format!("{options}, ")
                };
                let call = format!(
                    "gi_star(id, {value}{arguments}, {{{more}'with_self': {with_self}, 'permutations': 999, 'seed': 5}})"
                );
                let found = by_id(structs(&[("t", &input)], &call));
                let expected = read(&case, &name);
                assert_eq!(found.len(), expected.len());
                for row in &expected {
                    let seen = &found[&row["id"]];
                    for (ours, theirs) in [("g", "G"), ("z", "z"), ("p", "p_two_sided"), ("q", "q_bh")] {
                        near(&seen[ours], row, theirs, 1e-8, &mut worst);
                    }
                    let (q, z) = (seen["q"].as_f64().expect("q"), seen["z"].as_f64().expect("z"));
                    assert_eq!((q <= 0.05 && z > 0.0).to_string(), row["hot"].to_lowercase(), "{row:?}");
                    assert_eq!(
                        (q <= 0.05 && z < 0.0).to_string(),
                        row["cold"].to_lowercase(),
                        "{row:?}"
                    );
                    rows += 1;
                }
                within(&found, &expected, &name);
            }
        }
    }
    println!("gi_star: {rows} units, worst difference {worst:e}");
    assert!(rows > 2_000);
}

#[test]
fn autocorrelation_is_that_of_esda() {
    let (mut rows, mut worst, mut all) = (0, 0.0, 0.0);
    for case in cases("areal") {
        for (name, value) in files(&case, "local_moran") {
            let (input, options, arguments) = around(&case, &name);
            let options = options.replace("24", &width(&input).to_string());
            let more = if options.is_empty() {
                String::new()
            } else {
                format!("{options}, ")
            };
            let call = format!("(id, {value}{arguments}, {{{more}'permutations': 999, 'seed': 7}})");
            let found = by_id(structs(&[("t", &input)], &format!("local_moran{call}")));
            let expected = read(&case, &name);
            for row in &expected {
                let seen = &found[&row["id"]];
                for (ours, theirs) in [
                    ("i", "I"),
                    ("expected", "EI_cond"),
                    ("variance", "VI_cond"),
                    ("z", "z_cond"),
                    ("p", "p_cond_two_sided"),
                    ("q", "q_bh"),
                ] {
                    near(&seen[ours], row, theirs, 1e-8, &mut worst);
                }
                let quadrant = ["HH", "LH", "LL", "HL"][row["quadrant"].parse::<usize>().expect("a quadrant") - 1];
                assert_eq!(seen["quadrant"], quadrant, "{row:?}");
                rows += 1;
            }
            within(&found, &expected, &name);
            let global = structs(&[("t", &input)], &format!("global_moran{call}"));
            let expected = &read(&case, &name.replace("local", "global"))[0];
            for (ours, theirs) in [
                ("i", "I"),
                ("expected", "EI"),
                ("variance_normal", "VI_norm"),
                ("variance_random", "VI_rand"),
                ("z", "z_rand"),
                ("p", "p_rand_two_sided"),
            ] {
                near(&global[0][ours], expected, theirs, 1e-9, &mut all);
            }
            assert!(global[0]["p_sim"].as_f64().expect("p") <= 0.003);
        }
    }
    println!("local_moran: {rows} units, worst difference {worst:e}; global_moran {all:e}");
    assert!(rows > 1_000);
}

#[test]
fn rates_are_those_of_esda() {
    let (mut rows, mut worst) = (0, 0.0_f64);
    for case in cases("areal") {
        for (name, _) in files(&case, "eb") {
            let (mut input, options, arguments) = around(&case, &name);
            let options = options.replace("24", &width(&input).to_string());
            for row in &mut input {
                for (from, to) in [("SID74", "events"), ("BIR74", "population")] {
                    if let Some(value) = row.get(from).cloned() {
                        row.insert(to.to_owned(), value);
                    }
                }
            }
            let braces = if options.is_empty() {
                String::new()
            } else {
                format!(", {{{options}}}")
            };
            let call = format!("eb_rate_spatial(id, events, population{arguments}{braces})");
            let found = by_id(structs(&[("t", &input)], &call));
            let sql = "SELECT id, e['raw'] AS raw, e['rate'] AS rate, e['z'] AS z FROM \
                       (SELECT id, eb_rate(events, population) OVER () AS e FROM data.t) AS s";
            let all = by_id(ask(&[("t", &input)], sql));
            for row in &read(&case, &name) {
                let (near, all) = (&found[&row["id"]], &all[&row["id"]]);
                for (seen, name, floor) in [
                    (&near["raw"], "raw_rate", 1e-6),
                    (&near["rate"], "eb_spatial", 1e-6),
                    (&all["rate"], "eb_global", 1e-6),
                    (&all["z"], "assuncao_reis_z", 1.0),
                ] {
                    let off = apart(seen, number(row, name), floor);
                    assert!(off <= 1e-10, "{name} is {off:e} off: {seen} for {row:?}");
                    worst = worst.max(off);
                }
                rows += 1;
            }
        }
    }
    println!("eb_rate: {rows} units, worst difference {worst:e}");
    assert!(rows > 500);
}
