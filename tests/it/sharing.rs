//! From a city to its counties: what is pulled is what was shared, whatever breaks on the way, and nothing else can be
//! had at the door.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::door::{COUNTIES, County, Door, SHARES, city, free_port, recipient, settled};
use crate::support::{ok, rows, run, text};
use crate::town::{Dice, FIRST_DAY};

/// Rows as texts, in no order of their own.
pub fn sorted(rows: Vec<Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}

/// Holds a county's copy against its slice of the city's release.
pub fn same(city: &Path, county: &Path, code: &str, when: &str) {
    for share in SHARES {
        let own = if share == "county_day" {
            String::new()
        } else {
            format!(" WHERE recipient = '{code}'")
        };
        let columns = match share {
            "big" => "county, recipient, count(*) AS n, sum(noise) AS s, max(call) AS m",
            _ => "*",
        };
        let group = if share == "big" {
            " GROUP BY county, recipient"
        } else {
            ""
        };
        let there = sorted(rows(city, &format!("SELECT {columns} FROM share.{share}{own}{group}")));
        let here = sorted(rows(
            county,
            &format!("SELECT {columns} FROM shared.town.{share}{group}"),
        ));
        assert!(!there.is_empty(), "{share} is empty");
        assert_eq!(there, here, "{share} of {code} {when}");
    }
}

const CLIENT: &str = "
import json, sys
import delta_sharing
profile = sys.argv[1]
client = delta_sharing.SharingClient(profile)
found = {}
for table in client.list_all_tables():
    url = f'{profile}#{table.share}.{table.schema}.{table.name}'
    both = [delta_sharing.load_as_pandas(url, use_delta_format=delta) for delta in (False, True)]
    rows = []
    for frame in both:
        frame = frame[sorted(frame.columns)]
        rows.append(sorted(frame.astype(str).values.tolist()))
    few = delta_sharing.load_as_pandas(url, limit=5)
    found[table.name] = {
        'same': rows[0] == rows[1], 'rows': len(rows[0]), 'few': len(few),
        'version': delta_sharing.get_table_version(url),
        'columns': sorted(both[0].columns),
        'sums': {c: int(both[0][c].fillna(0).sum()) for c in ('calls', 'noise') if c in both[0]},
    }
print(json.dumps(found))
";

/// What the Python client of the protocol sees with a profile, or `None` with the reason printed.
pub fn python_client(door: &Door, profile: &Path) -> Option<BTreeMap<String, Value>> {
    let python = std::env::var("FENGHUO_TEST_SHARING_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import delta_sharing"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("SKIPPED: python3 with delta_sharing is absent; tests/run installs it");
        return None;
    }
    let output = Command::new(&python)
        .args(["-c", CLIENT, &profile.display().to_string()])
        .env("REQUESTS_CA_BUNDLE", door.authority())
        .env("SSL_CERT_FILE", door.authority())
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(serde_json::from_str(&text(&output.stdout)).expect("JSON"))
}

#[test]
fn a_client_of_the_protocol_reads_what_the_release_holds() {
    let mut city = city(61, 400);
    let site = city.site.path().to_owned();
    let Some(door) = Door::open(&site, "") else { return };
    let profile = recipient(&site, "c990101", "990101", &SHARES);
    let Some(first) = python_client(&door, &profile) else {
        return;
    };
    let own = |share: &str| {
        if share == "county_day" {
            ""
        } else {
            " WHERE recipient = '990101'"
        }
    };
    let expected = |share: &str, what: &str| -> u64 {
        let found = rows(&site, &format!("SELECT {what} AS n FROM share.{share}{}", own(share)));
        found[0]["n"].as_u64().expect("a number")
    };
    let held = |seen: &BTreeMap<String, Value>| {
        assert_eq!(
            seen.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            BTreeSet::from(SHARES)
        );
        for (share, what) in seen {
            assert_eq!(what["same"], true, "{share}: the two formats differ");
            assert_eq!(what["rows"].as_u64(), Some(expected(share, "count(*)")), "{share}");
            assert!(what["few"].as_u64() <= Some(5), "{share}: {what}");
        }
        assert_eq!(
            seen["county_day"]["sums"]["calls"].as_u64(),
            Some(expected("county_day", "sum(calls)"))
        );
        assert_eq!(
            seen["big"]["sums"]["noise"].as_u64(),
            Some(expected("big", "sum(noise)"))
        );
    };
    held(&first);
    // a new night has a new version for what changed, and the old one for what did not
    city.calls("d1.csv", &[FIRST_DAY + 3], 150);
    city.night();
    std::thread::sleep(Duration::from_secs(3));
    let second = python_client(&door, &profile).expect("a client");
    held(&second);
    let version = |seen: &BTreeMap<String, Value>, share: &str| seen[share]["version"].as_u64();
    assert!(version(&second, "county_day") > version(&first, "county_day"));
    let nothing_new = city.table(&["release", "list"]).len();
    city.night();
    assert_eq!(city.table(&["release", "list"]).len(), nothing_new);
    let third = python_client(&door, &profile).expect("a client");
    assert_eq!(third, second);
    settled(&site);
}

#[test]
fn counties_hold_their_slices_through_a_week_of_corrections() {
    let mut city = city(62, 40);
    let site = city.site.path().to_owned();
    let Some(door) = Door::open(&site, "") else { return };
    let counties: Vec<County> = COUNTIES
        .iter()
        .map(|code| County::new(&recipient(&site, &format!("c{code}"), code, &SHARES)))
        .collect();
    let all = |when: &str| {
        for (county, code) in counties.iter().zip(COUNTIES) {
            county.pull();
            same(&site, county.site.path(), code, when);
        }
    };
    all("on the first day");
    let mut city_files = shared_files(&site);
    for day in 1..7u32 {
        city.calls(&format!("d{day}.csv"), &[FIRST_DAY + 2 + day], 60 + u64::from(day));
        match day {
            2 | 4 => city.correct(),
            5 => city.withdraw("alarm"),
            _ => {}
        }
        city.night();
        // what the day changed, file by file, as the city holds it
        std::thread::sleep(Duration::from_secs(3));
        all(&format!("on day {day}"));
        let now = shared_files(&site);
        for (county, code) in counties.iter().zip(COUNTIES) {
            let own = |path: &&String| !path.contains("recipient=") || path.contains(&format!("recipient={code}"));
            let changed: u64 = now.difference(&city_files).filter(own).map(|path| size(path)).sum();
            let moved = county.last()["bytes"].as_u64().expect("bytes");
            assert!(
                moved <= changed + changed / 10,
                "{moved} bytes moved for {changed} changed"
            );
            assert!(changed == 0 || moved > 0, "{changed} bytes changed and none moved");
        }
        city_files = now;
        let said = counties[0].pull();
        assert!(said.contains("nothing is new"), "{said}");
        assert_eq!(
            counties[0].last()["bytes"].as_u64(),
            Some(0),
            "a second pull moved bytes"
        );
    }
    // a release that is taken back is taken back everywhere, and each copy says which release it shows
    ok(&["--site", &city.path(), "release", "withdraw"]);
    std::thread::sleep(Duration::from_secs(3));
    all("after a withdrawal");
    let shown = run(&[
        "--site",
        &counties[0].path(),
        "--lang",
        "en",
        "query",
        "SELECT count(*) FROM shared.town.county_day",
    ]);
    let newest = city.table(&["release", "list"]);
    let newest = newest
        .iter()
        .filter_map(|row| row["release"].as_u64())
        .max()
        .expect("a release");
    assert!(
        text(&shown.stderr).contains(&format!("release {newest} of")),
        "{}",
        text(&shown.stderr)
    );
    // every byte that a county got stands in the record, and its heads are in the chain
    let found = settled(&site);
    for (county, code) in counties.iter().zip(COUNTIES) {
        let files = found
            .iter()
            .filter(|line| line["act"] == "share.file" && line["who"] == format!("c{code}"));
        let told: u64 = files
            .filter(|line| line["decision"] == "whole")
            .filter_map(|line| line["bytes"].as_u64())
            .sum();
        let log = std::fs::read_to_string(county.site.path().join("lake/pulls/town.jsonl")).expect("pulls");
        let pulls = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let got: u64 = pulls.filter_map(|pull| pull["bytes"].as_u64()).sum();
        assert_eq!(told, got, "bytes of {code}");
        let log = county.site.path().join("lake/pulls/town.jsonl").display().to_string();
        ok(&["--site", &city.path(), "audit", "verify", "--witness", &log]);
    }
    // not a byte of another county in what is its own
    for (county, code) in counties.iter().zip(COUNTIES) {
        for path in copies(county.site.path()) {
            let own = path.contains("/big/") || path.contains("/county_health/");
            let bytes = std::fs::read(&path).expect("a file");
            for other in COUNTIES.iter().filter(|other| own && **other != code) {
                let found = bytes.windows(other.len()).any(|part| part == other.as_bytes());
                assert!(!found, "{other} stands in {path} of {code}");
            }
        }
    }
    drop(door);
}

/// The data files of what was pulled.
pub fn copies(county: &Path) -> BTreeSet<String> {
    all_files(&county.join("lake/tables/shared"), "parquet")
}

/// The data files of what is shared.
pub fn shared_files(city: &Path) -> BTreeSet<String> {
    all_files(&city.join("lake/tables/share"), "parquet")
}

/// The files below a folder with an ending, but for those of the logs.
pub fn all_files(folder: &Path, ending: &str) -> BTreeSet<String> {
    let (mut found, mut pending) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("_delta_log") {
                pending.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.insert(path.display().to_string());
            }
        }
    }
    found
}

pub fn size(path: &str) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// A line that carries a number of bytes from the door, and then breaks.
struct Line {
    port: u16,
    left: Arc<AtomicU64>,
}

impl Line {
    fn new(to: u16) -> Line {
        let listener = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
        let line = Line {
            port: listener.local_addr().expect("an address").port(),
            left: Arc::new(AtomicU64::new(u64::MAX)),
        };
        let left = line.left.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let (mut up, mut to_server) = (
                    client.try_clone().expect("a socket"),
                    server.try_clone().expect("a socket"),
                );
                std::thread::spawn(move || std::io::copy(&mut up, &mut to_server));
                let left = left.clone();
                std::thread::spawn(move || carry(server, client, &left));
            }
        });
        line
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut bytes = [0; 4096];
    while let Ok(read) = from.read(&mut bytes) {
        let may = left.load(Ordering::Relaxed).min(read as u64) as usize;
        left.fetch_sub(may as u64, Ordering::Relaxed);
        if read == 0 || to.write_all(&bytes[..may]).is_err() || may < read {
            break;
        }
    }
    from.shutdown(std::net::Shutdown::Both).ok();
    to.shutdown(std::net::Shutdown::Both).ok();
}

#[test]
fn a_line_that_breaks_anywhere_loses_nothing() {
    let city = city(65, 1_000);
    let site = city.site.path().to_owned();
    let Some(door) = Door::open(&site, "") else { return };
    let profile = recipient(&site, "c990101", "990101", &SHARES);
    let county = County::new(&profile);
    let line = Line::new(door.port);
    let own = county.site.path().join("keys/city.share");
    let said = std::fs::read_to_string(&own).expect("a profile");
    std::fs::write(
        &own,
        said.replace(&format!(":{}/", door.port), &format!(":{}/", line.port)),
    )
    .expect("a profile");
    let settings = county.site.path().join("fenghuo.toml");
    let text_of = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(&settings, format!("{text_of}attempts = 1\npatience_seconds = 5\n")).expect("settings");
    // a city behind a line has to name the line in its addresses
    let listed = std::fs::read_to_string(site.join("fenghuo.toml")).expect("settings");
    let listed = listed.replace(
        &format!("url = \"https://127.0.0.1:{}/", door.port),
        &format!("url = \"https://127.0.0.1:{}/", line.port),
    );
    std::fs::write(site.join("fenghuo.toml"), listed).expect("settings");
    let mut door = door;
    door.kill();
    door.start();
    let pull = || run(&["--site", &county.path(), "--lang", "en", "pull"]);
    let shown = || {
        run(&[
            "--site",
            &county.path(),
            "query",
            "SELECT count(*) AS n FROM shared.town.big",
        ])
    };
    // cut in the handshake, in the lists, in each file from its first to its last bytes
    let mut dice = Dice(5);
    let mut cuts: Vec<u64> = vec![0, 1, 100, 1_500, 3_000, 6_000, 9_000, 12_000];
    let most = if std::env::var("FENGHUO_TEST_KILLS").is_ok() {
        60
    } else {
        8
    };
    cuts.extend((0..most).map(|_| 4_000 + dice.below(900_000)));
    let mut broken = 0;
    for cut in cuts {
        line.left.store(cut, Ordering::Relaxed);
        let output = pull();
        let torn = text(&output.stderr);
        assert!(
            output.status.success() || output.status.code() == Some(6),
            "{cut}: {torn}"
        );
        broken += u32::from(!output.status.success());
        if !output.status.success() {
            // what is not whole is not there
            assert!(!shown().status.success(), "a torn pull was shown");
        } else {
            break;
        }
    }
    assert!(broken >= 6, "{broken} lines broke");
    line.left.store(u64::MAX, Ordering::Relaxed);
    assert!(pull().status.success());
    same(&site, county.site.path(), "990101", "after broken lines");

    println!("{broken} broken lines");
    settled(&site);
}
