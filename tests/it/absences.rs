//! Pulls that meet a city at work, and counties that were away for long.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::door::{County, Door, SHARES, city, recipient, settled};
use crate::sharing::{all_files, same, sorted};
use crate::support::{fenghuo, ok, rows};
use crate::town::FIRST_DAY;

/// A county behind a thin line.
fn slow(profile: &std::path::Path) -> County {
    let county = County::new(profile);
    let path = county.site.path().join("fenghuo.toml");
    let said = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(&path, format!("{said}mebibytes_per_second = 0.1\nparallel = 1\n")).expect("settings");
    county
}

/// A pull that stands still among its files, until it is told to go on.
struct Standing(Child);

impl Standing {
    fn begin(county: &County) -> Standing {
        let child = fenghuo().args(["--site", &county.path(), "--quiet", "pull"]).spawn();
        let pull = Standing(child.expect("the program starts"));
        let begun = Instant::now();
        while all_files(&county.site.path().join("lake/tables"), "part").is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no file was begun");
            std::thread::sleep(Duration::from_millis(10));
        }
        pull.signal("STOP");
        pull
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill")
            .args([format!("-{name}"), self.0.id().to_string()])
            .status();
        assert!(told.is_ok_and(|told| told.success()));
    }

    fn end(mut self) {
        assert!(
            self.0.try_wait().expect("a child").is_none(),
            "the pull was over before the city moved"
        );
        self.signal("CONT");
        assert!(self.0.wait().expect("a pull").success());
    }
}

#[test]
fn a_pull_ends_with_the_release_that_it_began_with_or_begins_anew() {
    let mut city = city(72, 200);
    let site = city.site.path().to_owned();
    let Some(_door) = Door::open(&site, "") else { return };
    let county = slow(&recipient(&site, "c990101", "990101", &SHARES));
    let pulling = Standing::begin(&county);
    city.calls("d1.csv", &[FIRST_DAY + 3], 90);
    city.correct();
    city.night();
    ok(&["--site", &city.path(), "table", "vacuum"]);
    pulling.end();
    // what came is of one piece: the release that it says
    let release = county.last()["release"].as_u64().expect("a release");
    let newest = city
        .table(&["release", "list"])
        .iter()
        .filter_map(|row| row["release"].as_u64())
        .max();
    assert_eq!(Some(release + 1), newest, "it was not kept at what it began with");
    let at = release.to_string();
    for share in ["county_day", "county_health"] {
        let own = if share == "county_day" {
            ""
        } else {
            " WHERE recipient = '990101'"
        };
        let sql = format!("SELECT * FROM share.{share}{own}");
        let then = ok(&[
            "--site",
            &city.path(),
            "query",
            &sql,
            "--as-of",
            &at,
            "--output",
            "json",
        ]);
        let then = sorted(serde_json::from_str(&then).expect("JSON"));
        let here = sorted(rows(county.site.path(), &format!("SELECT * FROM shared.town.{share}")));
        assert_eq!(then, here, "{share}");
    }
    county.pull();
    same(&site, county.site.path(), "990101", "after the next pull");
    // a release that is taken back under way is shown to nobody
    let other = slow(&recipient(&site, "c990102", "990102", &SHARES));
    let pulling = Standing::begin(&other);
    ok(&["--site", &city.path(), "release", "withdraw"]);
    std::thread::sleep(Duration::from_secs(3));
    pulling.end();
    let taken = other.last()["release"].as_u64();
    assert_eq!(taken, newest.map(|newest| newest + 1), "it did not begin anew");
    same(&site, other.site.path(), "990102", "after a withdrawal under way");
    settled(&site);
}

#[test]
fn a_county_that_was_away_for_a_month_is_there_again_with_one_pull() {
    let mut city = city(73, 20);
    let site = city.site.path().to_owned();
    let Some(_door) = Door::open(&site, "") else { return };
    let county = County::new(&recipient(&site, "c990103", "990103", &SHARES));
    county.pull();
    same(&site, county.site.path(), "990103", "before");
    let nights = if std::env::var("FENGHUO_TEST_KILLS").is_ok() {
        30
    } else {
        println!("8 nights away; tests/run long is away for 30");
        8
    };
    for night in 0..nights {
        city.calls(&format!("n{night}.csv"), &[FIRST_DAY + 2 + night % 24], 60);
        match night % 4 {
            1 => city.correct(),
            3 => drop(ok(&["--site", &city.path(), "table", "optimize"])),
            _ => {}
        }
        city.night();
    }
    ok(&["--site", &city.path(), "table", "vacuum"]);
    std::thread::sleep(Duration::from_secs(3));
    let said = county.pull();
    assert!(said.contains("release"), "{said}");
    same(&site, county.site.path(), "990103", "after a month");
    assert!(county.pull().contains("nothing is new"));
    settled(&site);
}
