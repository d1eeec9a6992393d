//! Pullers and servers that are killed: what was fetched stays, what is served is whole, and the record tells of all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::door::{COUNTIES, County, Door, SHARES, ask, city, months, recipient, record, runtime, settled, token};
use crate::sharing::{all_files, copies, same, shared_files, size};
use crate::support::{fenghuo, kills, ok, text};
use crate::town::Dice;

/// The bytes of the files and of their parts that a county has on its disk.
fn on_disk(county: &Path) -> u64 {
    let tables = county.join("lake/tables/shared");
    let files = copies(county).into_iter().chain(all_files(&tables, "part"));
    files.map(|path| size(&path)).sum()
}

/// The bytes of files that left a city for a recipient, as its record tells.
fn left_for(site: &Path, who: &str) -> u64 {
    let lines = settled(site).into_iter();
    let files = lines.filter(|line| line["act"] == "share.file" && line["who"] == who);
    files.filter_map(|line| line["bytes"].as_u64()).sum()
}

/// What a killed puller may have to fetch again: a page that was under way to it, as large as what comes in a second.
const PAGE: u64 = 1 << 20;

#[test]
fn a_puller_that_is_killed_again_and_again_fetches_what_it_has_not() {
    let city = city(67, 50_000);
    let site = city.site.path().to_owned();
    let Some(_door) = Door::open(&site, "") else { return };
    let profile = recipient(&site, "c990101", "990101", &SHARES);
    let mut dice = Dice(7);
    let (mut killed, mut pulls, mut again) = (0, 0, 0);
    while killed < kills() {
        let county = County::new(&profile);
        let path = county.site.path().join("fenghuo.toml");
        let said = std::fs::read_to_string(&path).expect("settings");
        std::fs::write(&path, format!("{said}mebibytes_per_second = 1.0\n")).expect("settings");
        let (before, mut had, mut hit) = (left_for(&site, "c990101"), 0, 0);
        loop {
            let mut child = fenghuo()
                .args(["--site", &county.path(), "--quiet", "pull"])
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program starts");
            std::thread::sleep(Duration::from_millis(150 + dice.below(900)));
            let ended = child.try_wait().expect("a child");
            if ended.is_none() {
                child.kill().ok();
            }
            let output = child.wait_with_output().expect("a child");
            if let Some(ended) = ended {
                assert!(ended.success(), "{}", text(&output.stderr));
                break;
            }
            let has = on_disk(county.site.path());
            assert!(has >= had, "{had} bytes were there, and {has} after a kill");
            hit += u64::from(has > had);
            had = has;
        }
        same(&site, county.site.path(), "990101", "after kills");
        let files = on_disk(county.site.path());
        assert!(files > 30 * PAGE, "{files} bytes are no match for a kill");
        // what lies on the disk is not asked for again; what was under way to a process that died is
        assert_eq!(county.last()["bytes"].as_u64(), Some(files - had));
        let twice = left_for(&site, "c990101") - before - files;
        assert!(twice <= hit * PAGE, "{twice} bytes left twice for {hit} kills");
        (killed, pulls, again) = (killed + hit, pulls + 1, again + twice);
    }
    println!(
        "{pulls} pulls ended under {killed} kills, {} bytes a kill left twice",
        again / killed
    );
}

/// The digests of the files that a city shares with a county.
fn digests_for(city: &Path, code: &str) -> BTreeSet<String> {
    let own = |path: &String| !path.contains("recipient=") || path.contains(&format!("recipient={code}/"));
    shared_files(city)
        .iter()
        .filter(|path| own(path))
        .map(|path| digest(path))
        .collect()
}

fn digest(path: &str) -> String {
    blake3::hash(&std::fs::read(path).expect("a file")).to_hex().to_string()
}

/// The digests of a county's files, each of which has it for a name.
fn named_as_they_are(county: &Path) -> BTreeSet<String> {
    let named = |path: String| {
        let found = digest(&path);
        assert!(path.ends_with(&format!("/{found}.parquet")), "{path} holds {found}");
        found
    };
    copies(county).into_iter().map(named).collect()
}

const BIG: &str = "shares/town/schemas/share/tables/big/query";

/// Reads a table again and again until it is told to end; how many answers came whole.
async fn read_on(client: &reqwest::Client, query: &str, ends: &AtomicBool) -> u64 {
    let mut whole = 0;
    while !ends.load(Ordering::Relaxed) {
        let Ok(answer) = client.post(query).body("{}").send().await else {
            break;
        };
        let Ok(lines) = answer.text().await else { break };
        whole += 1;
        let files = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for url in files.filter_map(|line| line["file"]["url"].as_str().map(str::to_owned)) {
            let Ok(answer) = client.get(url).send().await else {
                break;
            };
            let Ok(_) = answer.bytes().await else { break };
            whole += 1;
        }
    }
    whole
}

#[test]
fn a_server_that_is_killed_is_back_with_a_whole_record() {
    let city = city(66, 20_000);
    let site = city.site.path().to_owned();
    let Some(mut door) = Door::open(&site, "") else { return };
    let codes: [&str; 8] = std::array::from_fn(|at| COUNTIES[at % COUNTIES.len()]);
    let profiles: Vec<_> = (0..)
        .zip(codes)
        .map(|(at, code)| recipient(&site, &format!("c{code}-{at}"), code, &SHARES))
        .collect();
    let profile = profiles[0].clone();
    let rounds = if std::env::var("FENGHUO_TEST_KILLS").is_ok() {
        100
    } else {
        3
    };
    let mut dice = Dice(11);
    let mut cut_off = 0;
    let mut answered = 0;
    let mut longest = Duration::ZERO;
    let shared: BTreeMap<&str, BTreeSet<String>> = codes.iter().map(|code| (*code, digests_for(&site, code))).collect();
    for round in 0..rounds {
        let counties: Vec<_> = profiles.iter().map(|profile| County::new(profile)).collect();
        let pulling = counties.iter().map(|county| {
            let path = county.site.path().join("fenghuo.toml");
            let said = std::fs::read_to_string(&path).expect("settings");
            std::fs::write(&path, format!("{said}mebibytes_per_second = 2.0\nattempts = 20\n")).expect("settings");
            fenghuo()
                .args(["--site", &county.path(), "--quiet", "pull"])
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program starts")
        });
        let pulling: Vec<_> = pulling.collect();
        // four readers besides, who ask again and again for all files of a table and read them
        let ends = Arc::new(AtomicBool::new(false));
        let reading: Vec<_> = profiles[..4]
            .iter()
            .map(|profile| {
                let (client, at, ends) = (door.client_of(&token(profile)), door.url(BIG), ends.clone());
                std::thread::spawn(move || runtime().block_on(read_on(&client, &at, &ends)))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(1_500 + dice.below(1_500)));
        door.kill();
        ends.store(true, Ordering::Relaxed);
        let record_then = record(&site).len();
        let begun = Instant::now();
        door.start();
        longest = longest.max(begun.elapsed());
        for reader in reading {
            answered += reader.join().expect("a reader");
        }
        for ((mut pulling, county), code) in pulling.into_iter().zip(&counties).zip(codes) {
            let output = pulling.wait().expect("a pull");
            let mut words = String::new();
            pulling.stderr.take().expect("stderr").read_to_string(&mut words).ok();
            // a pull that was at its questions ends, one that was at files goes on
            assert!(output.success() || output.code() == Some(6), "{words}");
            ok(&["--site", &county.path(), "pull"]);
            assert_eq!(named_as_they_are(county.site.path()), shared[code], "{code}");
            if round == 0 {
                same(&site, county.site.path(), code, "after the server was killed");
            }
        }
        let record_now = settled(&site);
        let ended = record_now
            .iter()
            .skip(record_then)
            .filter(|line| line["reason"] == "the process ended");
        cut_off += ended.count();
    }
    println!(
        "{rounds} kills of the server under eight pulls and four readers, back after {longest:?} at most; \
         {answered} answers were read whole, {cut_off} cut off"
    );
    assert!(answered > 0, "no reader had an answer");
    assert!(cut_off > 0, "no answer was under way");
    // where the record cannot be written, nothing leaves
    std::thread::sleep(Duration::from_secs(3));
    let chain = months(&site).pop().expect("a month");
    let aside = site.join("lake/audit/aside");
    std::fs::rename(&chain, &aside).expect("a record");
    std::os::unix::fs::symlink("/dev/full", &chain).expect("a full disk");
    runtime().block_on(async {
        let (status, _, body) = ask(door.client().get(door.url("shares")).bearer_auth(token(&profile))).await;
        assert_eq!(status, 503, "{}", text(&body));
        let health = format!("https://127.0.0.1:{}/health", door.port);
        let (status, ..) = ask(door.client().get(&health)).await;
        assert_eq!(status, 503, "a server that cannot record is well");
        // it stays so while the disk is full, and is well by itself again
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (status, ..) = ask(door.client().get(&health)).await;
        assert_eq!(status, 503);
    });
    std::fs::remove_file(&chain).expect("a full disk");
    std::fs::rename(&aside, &chain).expect("a record");
    runtime().block_on(async {
        let (status, ..) = ask(door.client().get(door.url("shares")).bearer_auth(token(&profile))).await;
        assert_eq!(status, 200);
        let health = format!("https://127.0.0.1:{}/health", door.port);
        let (status, ..) = ask(door.client().get(&health)).await;
        assert_eq!(status, 200);
    });
    settled(&site);
}
