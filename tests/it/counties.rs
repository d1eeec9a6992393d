//! What else goes on between a city and its counties: bundles, renewals, what is sent back, every county at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::demo;
use crate::door::{
    County, Door, SHARES, UNTIL, approve, ask, city, days_from_now, grant, recipient, record, runtime, settled, token,
};
use crate::sharing::{python_client, same, sorted};
use crate::support::{copy, folder, ok, python, rows, run, text};
use crate::town::{City, FIRST_DAY};

#[test]
fn a_bundle_travels_where_no_line_leads() {
    let mut city = city(67, 40);
    let site = city.site.path().to_owned();
    let Some(_door) = Door::open(&site, "") else { return };
    let profile = recipient(&site, "c990103", "990103", &SHARES);
    let county = County::new(&profile);
    let at = city.path();
    let bundle = |name: &str| {
        let path = site.join(name).display().to_string();
        ok(&["--site", &at, "share", "export", "c990103", "--out", &path]);
        path
    };
    let first = bundle("first.fenghuo");
    let from = |path: &str, more: &[&str]| {
        let county = county.path();
        let words = [&["--site", &county, "--lang", "en", "pull", "--from", path], more].concat();
        run(&words)
    };
    let plan = from(&first, &["--dry-run"]);
    assert!(
        plan.status.success() && text(&plan.stderr).contains("town: release"),
        "{}",
        text(&plan.stderr)
    );
    assert!(
        !county.site.path().join("lake/tables/shared").exists(),
        "a trial changed something"
    );
    // what was made for another, and what was changed by a hand that knows zip files, is not taken
    let stranger = County::new(&recipient(&site, "c990101", "990101", &SHARES));
    let refused = |county: &County, path: &str| {
        let output = run(&["--site", &county.path(), "--lang", "en", "pull", "--from", path]);
        assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
        assert!(!county.site.path().join("lake/tables/shared").exists());
    };
    refused(&stranger, &first);
    let forged = site.join("forged.fenghuo").display().to_string();
    let script = "
import sys, zipfile
old, new = zipfile.ZipFile(sys.argv[1]), zipfile.ZipFile(sys.argv[2], 'w')
for name in old.namelist():
    text = old.read(name)
    if name.endswith('.json'):
        text = text.replace(b'\"made_at\"', b'\"made_at\" ', 1)
    new.writestr(name, text)
new.close()
";
    if python(&[], script, &[&first, &forged]).is_some() {
        refused(&county, &forged);
    }
    assert!(from(&first, &[]).status.success());
    same(&site, county.site.path(), "990103", "from a bundle");
    // a byte of a file that is another is found, and nothing is taken
    city.calls("d1.csv", &[FIRST_DAY + 4], 70);
    city.night();
    let second = bundle("second.fenghuo");
    let whole = std::fs::read(&second).expect("a bundle");
    let mut changed = whole.clone();
    let at = whole
        .windows(4)
        .rposition(|part| part == b"PAR1")
        .expect("a Parquet file")
        - 40;
    changed[at] ^= 1;
    let wrong = site.join("wrong.fenghuo");
    std::fs::write(&wrong, &changed).expect("a bundle");
    let refused = from(&wrong.display().to_string(), &[]);
    assert!(
        [Some(1), Some(2)].contains(&refused.status.code()),
        "{}",
        text(&refused.stderr)
    );
    assert!(from(&second, &[]).status.success());
    same(&site, county.site.path(), "990103", "from the next bundle");
    // what is older is not taken over what is newer
    let older = from(&first, &[]);
    assert_eq!(older.status.code(), Some(5), "{}", text(&older.stderr));
    let exports = record(&site);
    let exports = exports
        .iter()
        .filter(|line| line["act"] == "share.export" && line["decision"] == "whole");
    assert!(exports.clone().count() >= 6 && exports.clone().all(|line| line["rows"].as_u64() > Some(0)));
}

#[test]
fn a_bundle_for_a_desk_holds_what_the_release_holds() {
    let city = city(69, 4);
    let site = city.site.path().to_owned();
    let Some(_door) = Door::open(&site, "") else { return };
    recipient(&site, "c990102", "990102", &SHARES);
    let at = city.path();
    let out = |name: &str| site.join(name).display().to_string();
    let (book, archive) = (out("desk.xlsx"), out("desk.zip"));
    for path in [&book, &archive] {
        ok(&["--site", &at, "share", "export", "c990102", "--out", path]);
        let mode = std::fs::metadata(path).expect("a file").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    }
    let refused = run(&["--site", &at, "share", "export", "c990102", "--out", &book]);
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused.stderr));
    // read back as a spreadsheet does
    let script = "
import csv, io, json, sys, zipfile, xml.etree.ElementTree as tree
ns = {'m': 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'}
def sheet(zip, name):
    rows = []
    for row in tree.fromstring(zip.read(name)).iter('{%s}row' % ns['m']):
        rows.append([''.join(c.itertext()) for c in row])
    return rows
book, archive = zipfile.ZipFile(sys.argv[1]), zipfile.ZipFile(sys.argv[2])
names = [s.get('name') for s in tree.fromstring(book.read('xl/workbook.xml')).iter('{%s}sheet' % ns['m'])]
sheets = {name: sheet(book, f'xl/worksheets/sheet{at + 1}.xml') for at, name in enumerate(names)}
files = {}
for name in archive.namelist():
    raw = archive.read(name)
    assert raw.startswith(chr(0xfeff).encode()), name
    files[name] = list(csv.reader(io.StringIO(raw[3:].decode(), newline='')))
print(json.dumps({
    'sheets': {name: len(rows) - 1 for name, rows in sheets.items()},
    'files': {name[:-4]: len(rows) - 1 for name, rows in files.items()},
    'counties': sorted({row[0] for row in files['county_health.csv'][1:]}),
    'calls': sum(int(row[files['county_day.csv'][0].index('calls')] or 0) for row in files['county_day.csv'][1:]),
    'formulas': sum(part.count(b'<f>') for part in (book.read(n) for n in book.namelist())),
}))
";
    let output = Command::new("python3")
        .args(["-c", script, &book, &archive])
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let seen: Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    let number = |sql: &str| rows(&site, sql)[0]["n"].as_u64();
    for share in SHARES {
        let own = if share == "county_day" {
            ""
        } else {
            " WHERE recipient = '990102'"
        };
        let expected = number(&format!("SELECT count(*) AS n FROM share.{share}{own}"));
        assert!(expected > Some(0));
        assert_eq!(seen["sheets"][share].as_u64(), expected, "{share}: {seen}");
        assert_eq!(seen["files"][share].as_u64(), expected, "{share}: {seen}");
    }
    assert_eq!(
        seen["calls"].as_u64(),
        number("SELECT sum(calls) AS n FROM share.county_day")
    );
    assert_eq!(seen["counties"], serde_json::json!(["990102"]));
    assert_eq!(seen["formulas"], 0);
    let exports = record(&site);
    let exports = exports
        .iter()
        .filter(|line| line["act"] == "share.export" && line["decision"] == "whole");
    assert!(exports.count() >= 6);
}

#[test]
fn a_token_renews_itself_while_a_grant_stands_and_a_county_sends_back() {
    let city = city(68, 4);
    let site = city.site.path().to_owned();
    let Some(_door) = Door::open(&site, "") else { return };
    let profile = site.join("keys/short.share");
    let file = profile.display().to_string();
    let name = [
        "share",
        "add",
        "short",
        "--county",
        "990101",
        "--profile",
        &file,
        "--days",
        "5",
    ];
    ok(&[&["--site", &city.path()], &name[..]].concat());
    grant(&site, "short", &SHARES);
    let county = County::new(&profile);
    let outbox = county.site.path().join("outbox/town");
    std::fs::create_dir_all(&outbox).expect("a folder");
    let action = |id: &str, county: &str| {
        format!(
            "{{\"action_id\":\"{id}\",\"warning_id\":\"surge-1\",\"county\":\"{county}\",\"act\":\"closed\",\
             \"result\":\"nothing_found\",\"note\":\"巡查无异常\",\"acted_at\":\"2025-03-12T08:00:00Z\"}}\n"
        )
    };
    std::fs::write(outbox.join("a.ndjson"), action("a1", "990101")).expect("a note");
    // one for a county that is not its own holds up nothing else
    std::fs::write(outbox.join("0.ndjson"), action("a2", "990102")).expect("a note");
    std::thread::sleep(Duration::from_secs(3));
    let said = county.pull();
    assert!(said.contains("was renewed") && said.contains("was not sent"), "{said}");
    let own = county.site.path().join("keys/city.share");
    assert_ne!(token(&own), token(&profile));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&own).expect("a profile").permissions());
    assert_eq!(mode & 0o777, 0o600);
    // the token before ends within a day, and makes no other one
    let again = County::new(&profile);
    assert!(!again.pull().contains("was renewed"));
    county.pull();
    assert!(outbox.join("0.ndjson").is_file(), "what was refused is lost");
    std::fs::remove_file(outbox.join("0.ndjson")).expect("a note");
    // sent once, laid down once, also where it comes twice
    let laid = || -> Vec<_> {
        let folder = std::fs::read_dir(site.join("inbox/warning_action"));
        folder.expect("actions").flatten().map(|entry| entry.path()).collect()
    };
    assert_eq!(laid().len(), 1);
    std::fs::write(outbox.join("a.ndjson"), action("a1", "990101")).expect("a note");
    std::fs::write(
        outbox.join("b.ndjson"),
        action("a1", "990101") + &action("a3", "990101"),
    )
    .expect("a note");
    county.pull();
    assert_eq!(laid().len(), 2);
    city.night();
    let acts = rows(
        &site,
        "SELECT action_id, county, act, result, note FROM core.warning_action ORDER BY action_id",
    );
    assert_eq!(acts.len(), 2, "{acts:?}");
    assert_eq!(
        (&acts[0]["action_id"], &acts[1]["action_id"]),
        (&"a1".into(), &"a3".into())
    );
    assert_eq!(acts[0]["note"], "巡查无异常");
    // what left the county stands in its own record as well
    let sent = record(county.site.path());
    let sent = sent
        .iter()
        .filter(|line| line["act"] == "outbox.send" && line["decision"] == "whole");
    assert_eq!(sent.count(), 3);
    // grants end; whoever asked may not say yes
    let until = days_from_now(100);
    let own = [
        "share",
        "grant",
        "short",
        "county_day",
        "--requester",
        "a",
        "--approver",
        "a",
        "--until",
        &until,
    ];
    let refused = run(&[&["--site", &city.path()], &own[..]].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    let listed = city.table(&["share", "recipients"]);
    assert!(
        listed
            .iter()
            .any(|row| row["recipient"] == "short" && row["state"] == "stands"),
        "{listed:?}"
    );
    ends_at_once(&city, &county);
    settled(&site);
}

/// A token that others may know, and the last grant.
fn ends_at_once(city: &City, county: &County) {
    let site = city.site.path();
    let next = site.join("keys/next.share").display().to_string();
    ok(&[
        "--site",
        &city.path(),
        "share",
        "rotate",
        "short",
        "--now",
        "--profile",
        &next,
    ]);
    std::thread::sleep(Duration::from_secs(3));
    let refused = run(&["--site", &county.path(), "pull"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    // with the last grant everything ends, and nobody takes what is here for fresh
    std::fs::copy(&next, county.site.path().join("keys/city.share")).expect("a profile");
    for share in SHARES {
        ok(&["--site", &city.path(), "share", "revoke", "short", "--share", share]);
    }
    std::thread::sleep(Duration::from_secs(3));
    let said = county.pull();
    assert!(said.contains("offers us no table any more"), "{said}");
}

#[test]
fn a_server_ends_in_good_order_and_is_alone() {
    let city = city(70, 20_000);
    let site = city.site.path().to_owned();
    let Some(mut door) = Door::open(&site, "") else { return };
    let profile = recipient(&site, "c990101", "990101", &SHARES);
    let second = run(&["--site", &city.path(), "--lang", "en", "serve", "--share"]);
    assert!(
        [Some(5), Some(6)].contains(&second.status.code()),
        "{}",
        text(&second.stderr)
    );
    runtime().block_on(async {
        let files = crate::door::addresses(&door, &token(&profile), "big").await;
        let (url, size) = files.iter().max_by_key(|file| file.1).expect("a file").clone();
        let mut slow = door.client().get(&url).send().await.expect("an answer");
        slow.chunk().await.expect("a part");
        assert_eq!(door.terminate(), Some(143));
        // its end was written before the process was gone, with what had left
        let found = settled(&site);
        let cut = found
            .iter()
            .rev()
            .find(|line| line["decision"] == "part")
            .expect("an end");
        assert_eq!(cut["reason"], "the server ended");
        let sent = cut["bytes"].as_u64().expect("bytes");
        assert!(sent > 0 && sent < size, "{sent} of {size}");
    });
    door.start();
    // requests beyond the limit are answered so, and are one line of the record
    drop(door);
    let path = site.join("fenghuo.toml");
    let said = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(&path, said.replace("[serve]", "[serve]\nrequests_per_minute = 20")).expect("settings");
    let door = Door::again(&site);
    runtime().block_on(async {
        let mut busy = 0;
        for _ in 0..200 {
            let (status, headers, _) = ask(door.client().get(door.url("shares")).bearer_auth(token(&profile))).await;
            if status == 429 {
                assert!(headers.contains_key("retry-after"));
                busy += 1;
            }
        }
        assert!(busy >= 170, "{busy}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        let found = settled(&site);
        let told = found.iter().filter(|line| line["act"] == "share.refused").map(|line| {
            assert_eq!(line["who"], "c990101");
            let words: Vec<&str> = line["reason"].as_str().expect("a reason").split(' ').collect();
            words[words.len() - 2].parse::<u64>().expect("a count")
        });
        let told: Vec<u64> = told.collect();
        assert_eq!(told.iter().sum::<u64>(), busy, "{told:?}");
        assert!(told.len() < 20, "a line for each");
    });
}

/// All counties of the demonstration city with their codes.
fn counties(site: &Path) -> Vec<String> {
    let found = rows(
        site,
        "SELECT DISTINCT county FROM core.alarm WHERE county IS NOT NULL ORDER BY county",
    );
    found
        .iter()
        .map(|row| row["county"].as_str().expect("a code").to_owned())
        .collect()
}

const OF_THE_CITY: [&str; 5] = [
    "county_day",
    "cell_month",
    "county_health",
    "county_warning",
    "county_response",
];

#[test]
fn every_county_of_a_city_holds_what_the_release_holds() {
    let home = folder();
    let site = home.path().join("qingyuan");
    copy(demo::city(), &site);
    for share in OF_THE_CITY {
        approve(&site, share, UNTIL);
    }
    let at = site.display().to_string();
    ok(&["--site", &at, "run"]);
    let Some(door) = Door::open(&site, "") else { return };
    let codes = counties(&site);
    assert_eq!(codes.len(), 11, "{codes:?}");
    let profiles: BTreeMap<&String, _> = codes
        .iter()
        .map(|code| (code, recipient(&site, &format!("c{code}"), code, &OF_THE_CITY)))
        .collect();
    let pulls: Vec<County> = profiles.values().map(|profile| County::new(profile)).collect();
    // all at once, as on any morning
    std::thread::scope(|scope| {
        let threads: Vec<_> = pulls.iter().map(|county| scope.spawn(|| county.pull())).collect();
        threads
            .into_iter()
            .for_each(|thread| drop(thread.join().expect("a pull")));
    });
    let mut acts = 0;
    for (code, county) in codes.iter().zip(&pulls) {
        let mut all = 0;
        for share in OF_THE_CITY {
            let own = if share.starts_with("county_") && share != "county_day" {
                format!(" WHERE recipient = '{code}'")
            } else {
                String::new()
            };
            let there = sorted(rows(&site, &format!("SELECT * FROM share.{share}{own}")));
            let here = match rows_of(county, share) {
                Some(here) => sorted(here),
                None => Vec::new(),
            };
            assert_eq!(there, here, "{share} of {code}");
            all += here.len();
        }
        assert!(all > 0);
        // a warning of its own is dealt with, and the city hears of it with the next pull
        let warning = rows_of(county, "county_warning").and_then(|rows| rows.into_iter().next());
        if let Some(warning) = warning.filter(|_| acts < 2) {
            let id = warning["warning_id"].as_str().expect("a name");
            let own = county.path();
            let close = ["--site", &own, "warn", "close", id, "--as", "useful", "--note"];
            let refused = run(&[&close[..], &["联系人 13800138000"]].concat());
            assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
            ok(&[
                "--site",
                &county.path(),
                "warn",
                "close",
                id,
                "--as",
                "useful",
                "--note",
                "增派巡逻",
            ]);
            let state = || {
                let listed = ok(&[
                    "--site",
                    &county.path(),
                    "warn",
                    "list",
                    "--days",
                    "1000",
                    "--output",
                    "json",
                ]);
                let listed: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
                let own = listed.into_iter().find(|row| row["warning_id"] == id);
                own.map(|row| row["state"].clone())
            };
            assert_eq!(state(), Some("closed".into()), "before it left");
            ok(&["--site", &county.path(), "pull"]);
            assert_eq!(state(), Some("closed".into()), "after it left");
            acts += 1;
        }
    }
    if let Some(seen) = python_client(&door, &profiles[&codes[10]]) {
        for share in OF_THE_CITY.iter().filter(|share| seen.contains_key(**share)) {
            assert_eq!(seen[*share]["same"], true, "{share}");
        }
        assert!(seen.len() >= 4, "{seen:?}");
    }
    ok(&["--site", &at, "run"]);
    let known = rows(
        &site,
        "SELECT count(*) AS n FROM core.warning_action AS a JOIN ops.warning AS w \
        ON w.event_id = a.action_id AND w.county = a.county AND w.act = 'closed' WHERE a.result = 'useful'",
    );
    assert_eq!(known[0]["n"].as_u64(), Some(acts), "actions that the city knows");
    assert!(acts > 0, "no county had a warning");
    let listed = run(&["--site", &at, "warn", "list", "--days", "1000", "--output", "json"]);
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).expect("JSON");
    let closed = listed
        .iter()
        .filter(|row| row["state"] == "closed" && row["result"] == "useful");
    assert_eq!(closed.count() as u64, acts);
    settled(&site);
}

/// The rows of a table as a county pulled it; `None` where it was not offered to it.
fn rows_of(county: &County, share: &str) -> Option<Vec<Value>> {
    let sql = format!("SELECT * FROM shared.qingyuan.{share}");
    let output = run(&["--site", &county.path(), "query", &sql, "--output", "json"]);
    output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
}
