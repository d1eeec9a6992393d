//! What the door keeps in: nothing opens it but a token, nothing behind it but a grant, and an end is an end within
//! seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::door::{Door, SHARES, addresses, ask, city, recipient, runtime, settled, token};
use crate::support::{ok, run, text};
use crate::town::{Dice, word};

#[test]
fn nothing_opens_the_door_but_a_token_and_nothing_behind_it_but_a_grant() {
    let city = city(63, 40);
    let site = city.site.path().to_owned();
    let settings = "failures_per_minute = 100000\nrequests_per_minute = 100000\naddress_requests_per_minute = 100000";
    let Some(door) = Door::open(&site, settings) else {
        return;
    };
    let one = token(&recipient(&site, "c990101", "990101", &SHARES));
    let two = token(&recipient(&site, "c990102", "990102", &["county_day"]));
    std::thread::sleep(Duration::from_secs(3));
    let count = runtime().block_on(async {
        let asked = wrong_tokens(&door, &one, &two).await + others(&door, &two).await;
        asked + addresses_changed(&door, &one).await + no_requests(&door, &two).await
    });
    assert!(!door.said.lock().expect("words").contains("panicked"));
    // A50: every one of them stands in the record, and no token does
    let found = settled(&site);
    let decided = found.iter().filter(|line| {
        word(line, "address") == "127.0.0.1"
            && ["allow", "deny"].contains(&line["decision"].as_str().unwrap_or_default())
    });
    assert_eq!(decided.count() as u64, count);
    let chain = std::fs::read_to_string(site.join("lake/audit/chain.jsonl")).expect("a record");
    for secret in [&one, &two] {
        assert!(!chain.contains(secret.rsplit('.').next().expect("a secret")));
    }
}

/// A01: every token that is not one; how many were tried.
async fn wrong_tokens(door: &Door, one: &str, two: &str) -> u64 {
    let (client, shares, mut asked) = (door.client(), door.url("shares"), 0);
    let mut wrong: Vec<String> = (0..one.len())
        .map(|at| {
            let mut bytes = one.as_bytes().to_vec();
            bytes[at] ^= 1;
            format!("Bearer {}", text(&bytes))
        })
        .collect();
    wrong.extend((1..one.len()).map(|end| format!("Bearer {}", &one[..end])));
    wrong.extend(["", "Bearer", "Bearer ", "bearer", &format!("Basic {one}"), one].map(str::to_owned));
    wrong.extend([
        format!("Bearer  {one}"),
        format!("Bearer {one}."),
        format!("Bearer {}", one.to_uppercase()),
    ]);
    let mut bodies = BTreeSet::new();
    for value in &wrong {
        let (status, _, body) = ask(client.get(&shares).header("authorization", value)).await;
        assert_eq!(status, 401, "{value}");
        bodies.insert(body);
        asked += 1;
    }
    let twice = client.get(&shares).header("authorization", format!("Bearer {one}"));
    let (status, _, _) = ask(twice.header("authorization", format!("Bearer {two}"))).await;
    assert_eq!(status, 401);
    let (status, _, body) = ask(client.get(format!("{shares}?token={one}&bearerToken={one}"))).await;
    assert_eq!(
        (status, bodies.insert(body)),
        (401, false),
        "one answer to all who are unknown"
    );
    asked += 2;
    asked
}

/// A11: what is another's looks like what is not there; how many were asked for.
async fn others(door: &Door, two: &str) -> u64 {
    let (client, mut asked) = (door.client(), 0);
    let paths = [
        "shares/town/schemas/share/tables/big/query",
        "shares/town/schemas/share/tables/county_health/query",
        "shares/town/schemas/share/tables/none/query",
        "shares/town/schemas/share/tables/County_day/query",
        "shares/town/schemas/share/tables/county_day./query",
        "shares/town/schemas/share/tables/county_day/query/",
        "shares/town/schemas/share/tables/county%2Fday/query",
        "shares/town/schemas/core/tables/alarm/query",
        "shares/town/schemas/source/tables/alarm/query",
        "shares/town/schemas/gate/tables/decision/query",
        "shares/town/schemas/share/tables/../core/alarm/query",
        "shares/other/schemas/share/tables/county_day/query",
        "shares/town/schemas/share/tables/_delta_log/query",
        "files/county_day/1/_delta_log",
    ];
    let mut bodies = BTreeSet::new();
    for path in paths {
        let (status, _, body) = ask(client.post(door.url(path)).bearer_auth(two).body("{}")).await;
        assert_eq!(status, 404, "{path}: {}", text(&body));
        bodies.insert(body);
        asked += 1;
    }
    assert_eq!(bodies.len(), 1, "absent and forbidden differ");
    asked
}

/// A25: addresses that were changed in any way, and parts of the one that was not; how many were asked for.
async fn addresses_changed(door: &Door, one: &str) -> u64 {
    let (client, mut asked) = (door.client(), 0);
    let files = addresses(door, one, "big").await;
    let (url, length) = files.first().expect("a file").clone();
    asked += 1;
    let mut dice = Dice(9);
    let query = url.find('?').expect("a query");
    for _ in 0..400 {
        let mut bytes = url.as_bytes().to_vec();
        let from = door.url("files/").len();
        let at = from + dice.below((bytes.len() - from) as u64) as usize;
        let other = b"0123456789abcdef"[dice.below(16) as usize];
        if bytes[at] == other || at == query {
            continue;
        }
        bytes[at] = other;
        let (status, _, body) = ask(client.get(text(&bytes))).await;
        assert!([400, 401, 404].contains(&status), "{status} for {}", text(&bytes));
        assert!(body.len() < 200);
        asked += 1;
    }
    // the same file for HEAD, parts and ends that are not there
    let (status, headers, body) = ask(client.head(&url)).await;
    let header = |headers: &reqwest::header::HeaderMap, name: &str| text(headers[name].as_bytes());
    assert_eq!(
        (status, header(&headers, "content-length"), body.len()),
        (200, length.to_string(), 0)
    );
    assert_eq!(header(&headers, "cache-control"), "private, no-store");
    let (status, headers, body) = ask(client.get(&url).header("range", "bytes=4-7")).await;
    assert_eq!((status, body.len()), (206, 4));
    assert_eq!(header(&headers, "content-range"), format!("bytes 4-7/{length}"));
    let (status, ..) = ask(client.get(&url).header("range", format!("bytes={length}-"))).await;
    assert_eq!(status, 416);
    let (status, _, whole) = ask(client.get(&url)).await;
    assert_eq!((status, whole.len() as u64), (200, length));
    asked += 4;
    asked
}

/// B27: what is no request of the protocol; how many were sent.
async fn no_requests(door: &Door, two: &str) -> u64 {
    let (client, mut dice, mut asked) = (door.client(), Dice(10), 0);
    let table = door.url("shares/town/schemas/share/tables/county_day/query");
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut statuses = BTreeMap::new();
    let most = if std::env::var("FENGHUO_TEST_KILLS").is_ok() {
        10_000
    } else {
        1_000
    };
    for number in 0..most {
        let body = match dice.below(8) {
            0 => deep.clone(),
            1 => format!(
                "{{\"limitHint\": {}}}",
                ["-1", "1e99", "\"a\"", "null", "[]"][dice.below(5) as usize]
            ),
            2 => format!(
                "{{\"version\": {}}}",
                ["-1", "9223372036854775808", "\"x\"", "1"][dice.below(4) as usize]
            ),
            3 => serde_json::json!({ "jsonPredicateHints": deep }).to_string(),
            4 => serde_json::json!({ "predicateHints": ["county = '990102' OR 1=1", "x" ] }).to_string(),
            5 => "{\"startingVersion\": 0, \"endingVersion\": 9}".to_owned(),
            6 => format!("{{\"pageToken\": \"{}\"}}", dice.below(u64::MAX)),
            _ => (0..dice.below(60)).map(|_| char::from(dice.below(128) as u8)).collect(),
        };
        let url = match dice.below(6) {
            0 => format!("{table}?x=%ff%fe"),
            1 => door.url(&format!("shares/%E4%B8%AD%ff/{number}")),
            2 => format!(
                "{}?maxResults={}&pageToken={}",
                door.url("shares"),
                dice.below(u64::MAX),
                number
            ),
            _ => table.clone(),
        };
        let method =
            [reqwest::Method::POST, reqwest::Method::GET, reqwest::Method::DELETE][dice.below(3) as usize].clone();
        let (status, ..) = ask(client.request(method, &url).bearer_auth(two).body(body)).await;
        assert!(status < 500, "{status} for {url}");
        *statuses.entry(status).or_insert(0u32) += 1;
        asked += 1;
    }
    println!("answers to what is no request: {statuses:?}");
    assert!(statuses.len() >= 4, "{statuses:?}");
    let (status, ..) = ask(client.post(&table).bearer_auth(two).body(vec![b' '; 2 << 20])).await;
    assert_eq!(status, 413);
    asked + 1
}

#[test]
fn a_revocation_ends_addresses_and_streams_within_seconds() {
    let city = city(64, 20_000);
    let site = city.site.path().to_owned();
    let Some(door) = Door::open(&site, "") else { return };
    let profile = recipient(&site, "c990101", "990101", &SHARES);
    let other = recipient(&site, "c990102", "990102", &SHARES);
    std::thread::sleep(Duration::from_secs(3));
    runtime().block_on(async {
        let client = door.client();
        let files = addresses(&door, &token(&profile), "big").await;
        let (url, size) = files.iter().max_by_key(|file| file.1).expect("a file").clone();
        assert!(size > 4 << 20, "{size} bytes are no stream");
        // a stream that is read slowly is under way
        let mut slow = client.get(&url).send().await.expect("an answer");
        slow.chunk().await.expect("a part");
        ok(&["--site", &city.path(), "share", "revoke", "c990101"]);
        let revoked = Instant::now();
        loop {
            let (status, ..) = ask(client.head(&url)).await;
            let (query, ..) = ask(client.get(door.url("shares")).bearer_auth(token(&profile))).await;
            if status == 404 && query == 401 {
                break;
            }
            assert!(
                revoked.elapsed() < Duration::from_secs(5),
                "{status} and {query} after five seconds"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("revoked everywhere after {:?}", revoked.elapsed());
        let mut came = 0;
        let broken = loop {
            match slow.chunk().await {
                Ok(Some(bytes)) => came += bytes.len() as u64,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken && came < size, "a stream went on to its end");
        // nobody else is concerned; the end of one grant ends that share alone
        let files = addresses(&door, &token(&other), "big").await;
        ok(&["--site", &city.path(), "share", "revoke", "c990102", "--share", "big"]);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (status, ..) = ask(client.get(&files[0].0)).await;
        assert_eq!(status, 404);
        assert!(!addresses(&door, &token(&other), "county_day").await.is_empty());
    });
    // a token that is replaced lives a day beside the next one
    let next = site.join("keys/next.share");
    ok(&[
        "--site",
        &city.path(),
        "share",
        "rotate",
        "c990102",
        "--profile",
        &next.display().to_string(),
    ]);
    std::thread::sleep(Duration::from_secs(3));
    runtime().block_on(async {
        for profile in [&other, &next] {
            let (status, ..) = ask(door.client().get(door.url("shares")).bearer_auth(token(profile))).await;
            assert_eq!(status, 200);
        }
    });
    let stream = settled(&site);
    let cut = stream
        .iter()
        .find(|line| line["decision"] == "part")
        .expect("a stream that was cut");
    assert_eq!(word(cut, "reason"), "the token was revoked");
    let refused = run(&[
        "--site",
        &city.path(),
        "share",
        "rotate",
        "c990101",
        "--profile",
        "/dev/null/x",
    ]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
}
