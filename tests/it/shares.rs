//! What leaves the city: small counts hidden for good, each county's own rows to itself alone, nothing without an
//! approval, and an attack that finds what a careless gate would give away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::door::approve;
use crate::support::{ok, rows, run, select, text};
use crate::town::{City, FIRST_DAY, digests, from_scratch, word};

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut pending) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() && !path.ends_with("_delta_log") => pending.push(path),
                path if path.extension().is_some_and(|ending| ending == "parquet") => {
                    found.insert(path);
                }
                _ => {}
            }
        }
    }
    found
}

const SHOWN: &str = "SELECT county, biz_date, category_group, calls, hidden FROM share.county_day ORDER BY biz_date, county, category_group";

#[test]
fn counts_of_counties_pass_the_gate_and_what_was_shown_stays_shown() {
    let mut city = City::new(41);
    let site = city.site.path().to_owned();
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1], 380);
    city.answers("a0", FIRST_DAY + 2);
    city.night();
    let none = select(&site, "share.county_day", "SELECT 1 FROM share.county_day");
    assert!(none.is_empty(), "shared without an approval");
    approve(&site, "county_day", "2999-12-31");
    city.night();
    let first = rows(&site, SHOWN);
    let hidden: Vec<&Value> = first.iter().filter(|row| row["hidden"] == true).collect();
    assert!(
        !hidden.is_empty() && hidden.len() * 2 < first.len(),
        "{} of {}",
        hidden.len(),
        first.len()
    );
    assert!(hidden.iter().all(|row| row["calls"].is_null()));
    let shown = first.iter().filter(|row| row["hidden"] == false);
    assert!(
        shown.clone().all(|row| row["calls"].as_u64() >= Some(10)),
        "a small count was shown"
    );
    // a total of the city is the sum of what its counties show, or hidden
    let all: u64 = rows(&site, "SELECT sum(calls) AS n FROM share.county_day WHERE county IS NOT NULL AND category_group IS NULL AND biz_date = DATE '2025-03-03'")[0]["n"]
        .as_u64()
        .expect("a number");
    let total = rows(
        &site,
        "SELECT calls FROM share.county_day WHERE county IS NULL AND category_group IS NULL AND biz_date = DATE '2025-03-03'",
    );
    assert_eq!(total[0]["calls"].as_u64(), Some(all));
    let audit = city.table(&["share", "audit"]);
    assert_eq!(
        (audit[0]["exposed"].as_u64(), audit[0]["small"].as_u64()),
        (Some(0), Some(0)),
        "{audit:?}"
    );
    assert!(
        audit[0]["exposed_if_small_alone"].as_u64() > Some(0),
        "the attack is blind: {audit:?}"
    );
    assert!(audit[0]["shown_percent"].as_f64() >= Some(60.0), "{audit:?}");

    // nothing new: nothing is written; new days: their month, in one file
    let before = files(&site.join("lake/tables/share/county_day"));
    city.night();
    assert_eq!(files(&site.join("lake/tables/share/county_day")), before);
    city.calls("d1.csv", &[FIRST_DAY + 27, FIRST_DAY + 28], 150);
    city.night();
    let now = files(&site.join("lake/tables/share/county_day"));
    assert!(before.is_subset(&now) && now.len() == before.len() + 1, "{now:?}");

    // one late call of a day that was shown changes nothing that can be subtracted
    let shown_before = rows(&site, SHOWN);
    city.calls("late.csv", &[FIRST_DAY], 1);
    city.night();
    let shown_after = rows(&site, SHOWN);
    let keys = |rows: &[Value]| -> Vec<(String, String, String, Value)> {
        let key = |row: &Value| {
            (
                word(row, "county"),
                word(row, "biz_date"),
                word(row, "category_group"),
                row["hidden"].clone(),
            )
        };
        rows.iter().map(key).collect()
    };
    assert_eq!(keys(&shown_before), keys(&shown_after), "a decision was changed");
    let audit = city.table(&["share", "audit", "county_day"]);
    assert_eq!(audit[0]["safe"], true, "{audit:?}");
    assert_eq!(digests(&site), from_scratch(&site));

    // other totals of the same name would make what readers hold into something else
    let path = site.join("pipelines/shares/county_day.toml");
    let said = std::fs::read_to_string(&path).expect("a share");
    let fewer = "totals = [[\"category_group\"], [\"county\"], [\"county\", \"category_group\"]]";
    std::fs::write(&path, said.replace(fewer, "totals = []")).expect("a share");
    let output = run(&["--site", &city.path(), "--lang", "en", "run", "nightly"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let blind = run(&["--site", &city.path(), "share", "audit"]);
    assert_eq!(blind.status.code(), Some(2), "{}", text(&blind.stdout));
    std::fs::write(&path, &said).expect("a share");

    // what cannot be read any more keeps what was shown
    let model = site.join("sql/share/county_day.sql");
    let sql = std::fs::read_to_string(&model).expect("a share");
    std::fs::write(&model, sql.replace("count(*) AS calls", "alarm_id AS calls")).expect("a share");
    let output = run(&["--site", &city.path(), "--lang", "en", "run", "nightly"]);
    assert!(!output.status.success(), "a broken share passed");
    assert_eq!(rows(&site, SHOWN), shown_after, "the old share was not kept");
    std::fs::write(&model, sql).expect("a share");
    // expired, it is gone from the next release
    let path = site.join("pipelines/shares/county_day.toml");
    let said = std::fs::read_to_string(&path).expect("a share");
    std::fs::write(&path, said.replace("2999-12-31", "2020-12-31")).expect("a share");
    city.night();
    let gone = run(&["--site", &city.path(), "query", SHOWN]);
    assert_eq!(gone.status.code(), Some(2), "{}", text(&gone.stdout));
    let listed = city.table(&["share", "list"]);
    let state = |name: &str| {
        listed
            .iter()
            .find(|row| row["share"] == name)
            .map(|row| word(row, "state"))
    };
    assert_eq!(state("county_day").as_deref(), Some("expired"));
    assert_eq!(state("county_health").as_deref(), Some("unapproved"));
}

#[test]
fn a_county_gets_its_own_rows_and_no_byte_of_another() {
    let mut city = City::new(42);
    let site = city.site.path().to_owned();
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1], 120);
    city.answers("a0", FIRST_DAY + 2);
    approve(&site, "county_health", "2999-12-31");
    city.night();
    let counties = ["990101", "990102", "990103"];
    let files = files(&site.join("lake/tables/share/county_health"));
    assert_eq!(files.len(), counties.len(), "{files:?}");
    for path in &files {
        let own = counties
            .iter()
            .find(|county| path.display().to_string().contains(&format!("recipient={county}/")));
        let own = own.expect("a folder of its recipient");
        let bytes = std::fs::read(path).expect("a file");
        for other in counties.iter().filter(|other| *other != own) {
            let found = bytes.windows(other.len()).any(|part| part == other.as_bytes());
            assert!(!found, "{other} stands in the file of {own}");
        }
    }
    let before = rows(
        &site,
        "SELECT county, recipient FROM share.county_health ORDER BY county",
    );
    assert!(before.iter().all(|row| row["county"] == row["recipient"]), "{before:?}");
}

#[test]
fn a_share_that_may_not_be_is_refused_with_its_place() {
    let city = City::new(43);
    let site = city.site.path().to_owned();
    let path = site.join("pipelines/shares/county_day.toml");
    let said = std::fs::read_to_string(&path).expect("a share");
    let sql = site.join("sql/share/county_day.sql");
    let select = std::fs::read_to_string(&sql).expect("a share");
    let refused = |share: &str, sql_text: &str, expected: &str| {
        std::fs::write(&path, share).expect("a share");
        std::fs::write(&sql, sql_text).expect("a share");
        let output = run(&["--site", &city.path(), "--lang", "en", "share", "list"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{expected}: {told}");
        assert!(
            told.contains(expected) && told.contains("county_day."),
            "{expected}: {told}"
        );
    };
    refused(
        &said.replace("count = \"calls\"", "count = \"calls\"\nk = 5"),
        &select,
        "it is 10 at least",
    );
    refused(
        &said.replace("purpose = \"comparison of the counties' demand\"", "purpose = \" \""),
        &select,
        "it has to say purpose",
    );
    refused(
        &said.replace("[\"category_group\"], [\"county\"]", "[\"county\"]"),
        &select,
        "the same total of each county",
    );
    refused(
        &said,
        &select.replace("core.alarm", "source.alarm"),
        "may not read source.alarm",
    );
    refused(
        &said.replace("dims = [\"category_group\"]", "dims = [\"category_group\", \"cell\"]"),
        &select,
        "mart.citizen_alarm",
    );
    refused(
        &said.replace("totals = [", "totals = [[], "),
        &select,
        "is empty or stands twice",
    );
    refused(&said.replace("audience", "audiance"), &select, "audience");
    std::fs::write(&path, &said).expect("a share");
    std::fs::write(&sql, &select).expect("a share");
    ok(&["--site", &city.path(), "share", "list"]);
}
