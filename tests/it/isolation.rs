//! What the door keeps in: nothing opens it but a token, nothing behind it but a grant, and an end is an end within
//! seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::door::{Door, SHARES, addresses, ask, city, free_port, recipient, runtime, settled, token};
use crate::support::{folder, ok, run, text};
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
    let none = token(&recipient(&site, "branch", "", &[]));
    std::thread::sleep(Duration::from_secs(3));
    let holders: [Holder; 3] = [(&one, &SHARES), (&two, &["county_day"]), (&none, &[])];
    let count = runtime().block_on(async {
        let asked = wrong_tokens(&door, &one, &two).await + others(&door, holders).await;
        let asked = asked + hints_and_history(&door, &one).await;
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
    let chain = format!("{found:?}");
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

/// A token, and the shares that it may read.
type Holder<'a> = (&'a str, &'a [&'a str]);

/// The ways in which a name may be written, as it stands in an address.
fn spellings(name: &str) -> [String; 8] {
    let first = &name[..1];
    [
        name.to_owned(),
        format!("%{:02X}{}", name.as_bytes()[0], &name[1..]),
        format!("{}{}", first.to_uppercase(), &name[1..]),
        format!("{name}."),
        format!("{name}%20"),
        format!("{name}%00"),
        format!("..%2F{name}"),
        format!("%EF%BD%83{}", &name[1..]),
    ]
}

/// A11: what is another's looks like what is not there, whoever asks and however it is spelled; how many were asked for.
async fn others(door: &Door, holders: [Holder<'_>; 3]) -> u64 {
    let names = [
        "county_day",
        "county_health",
        "big",
        "none",
        "alarm",
        "decision",
        "_delta_log",
        "county_warning",
        "cell_month",
        "run",
        "entry",
        "*",
    ];
    let mut requests = Vec::new();
    for (token, own) in holders {
        let client = door.client_of(token);
        for schema in ["share", "core", "source", "gate", "ops", "Share", "..%2Fshare"] {
            for (name, spelled) in names
                .iter()
                .flat_map(|name| spellings(name).map(|spelled| (name, spelled)))
            {
                let is_own =
                    schema == "share" && own.contains(name) && [*name, &spellings(name)[1]].contains(&&*spelled);
                let at = door.url(&format!("shares/town/schemas/{schema}/tables/{spelled}"));
                if !is_own {
                    requests.push(client.post(format!("{at}/query")).body("{}"));
                    requests.push(client.get(format!("{at}/metadata")));
                    requests.push(client.get(format!("{at}/version")));
                }
            }
        }
    }
    // a file of one, with the words of another in its address
    let [(one, _), (two, _), (none, _)] = holders;
    let id = |token: &str| token.split('.').nth(1).expect("a name").to_owned();
    let mut files = Vec::new();
    for share in SHARES {
        files.extend(addresses(door, one, share).await);
    }
    let client = door.client();
    let of_two = addresses(door, two, "county_day").await;
    let digest = |url: &str| {
        url.split(".parquet")
            .next()
            .and_then(|url| url.rsplit('/').next())
            .expect("a digest")
            .to_owned()
    };
    for (url, size) in &files {
        let own = id(one);
        let mut changed = vec![
            url.replace(&own, &id(two)),
            url.replace(&own, &id(none)),
            url.replace(&format!("bytes={size}"), &format!("bytes={}", size + 1)),
            url.replace("/county_day/", "/big/").replace("/county_health/", "/big/"),
            url.replace(".parquet", ".Parquet"),
            url.split('?').next().expect("a path").to_owned(),
        ];
        changed.extend(
            of_two
                .iter()
                .map(|(other, _)| url.replace(&digest(url), &digest(other))),
        );
        requests.extend(changed.iter().filter(|other| *other != url).map(|url| client.get(url)));
    }
    let asked = requests.len() as u64;
    let answers = futures::stream::iter(requests.into_iter().map(ask)).buffer_unordered(8);
    let answers: Vec<_> = answers.collect().await;
    let mut bodies = BTreeMap::new();
    for (status, _, body) in answers {
        *bodies.entry((status, text(&body))).or_insert(0u64) += 1;
    }
    assert_eq!(bodies.len(), 1, "absent and forbidden differ: {bodies:?}");
    assert!(bodies.keys().all(|(status, _)| *status == 404), "{bodies:?}");
    assert!(asked >= 5_000, "{asked} requests");
    println!("{asked} requests for what is another's, one answer");
    asked + SHARES.len() as u64 + 1
}

/// A23, A24: hints of any kind give the same files, and nothing but the present is there; how many were asked for.
async fn hints_and_history(door: &Door, one: &str) -> u64 {
    let at = door.url("shares/town/schemas/share/tables/big/query");
    let client = door.client_of(one);
    let query = |body: String| client.post(&at).body(body);
    let ids = |body: &[u8]| -> BTreeSet<String> {
        let lines = text(body);
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        lines
            .filter_map(|line| Some(line["file"]["id"].as_str()?.to_owned()))
            .collect()
    };
    let (_, _, body) = ask(query("{}".to_owned())).await;
    let (all, mut asked, mut dice) = (ids(&body), 1, Dice(12));
    assert!(!all.is_empty());
    for _ in 0..200 {
        let county = ["990101", "990102", "990103", "%", ""][dice.below(5) as usize];
        let column = ["recipient", "county", "RECIPIENT", "token", "alarm_id", "1=1 OR county"][dice.below(6) as usize];
        let op = ["equal", "notEqual", "isNull", "or", "lessThan", "nothing"][dice.below(6) as usize];
        let leaf = serde_json::json!({ "op": "column", "name": column, "valueType": "string" });
        let value = serde_json::json!({ "op": "literal", "value": county, "valueType": "string" });
        let json = serde_json::json!({ "op": op, "children": [leaf, value] }).to_string();
        let body = match dice.below(3) {
            0 => serde_json::json!({ "predicateHints": [format!("{column} = '{county}'"), "FALSE"] }),
            1 => serde_json::json!({ "jsonPredicateHints": json }),
            _ => {
                serde_json::json!({ "predicateHints": [format!("{column} <> '{county}'")], "jsonPredicateHints": json })
            }
        };
        let (status, _, answer) = ask(query(body.to_string())).await;
        assert_eq!((status, ids(&answer)), (200, all.clone()), "{body}");
        asked += 1;
    }
    // a version before the present one, a moment, changes: none of them is told apart from what never was
    let (_, headers, _) = ask(query("{}".to_owned())).await;
    let version: u64 = text(headers["delta-table-version"].as_bytes())
        .parse()
        .expect("a version");
    asked += 1;
    let mut history: Vec<String> = (0..version)
        .map(|version| format!("{{\"version\": {version}}}"))
        .collect();
    for key in ["timestamp", "startingTimestamp", "endingTimestamp"] {
        history.push(format!("{{\"{key}\": \"2020-01-01T00:00:00Z\"}}"));
    }
    history.extend(["startingVersion", "endingVersion"].map(|key| format!("{{\"{key}\": 0}}")));
    for body in history {
        let (status, _, answer) = ask(query(body.clone())).await;
        assert_eq!(status, 403, "{body}: {}", text(&answer));
        asked += 1;
    }
    for path in [
        "changes?startingVersion=0",
        "changes",
        "version?startingTimestamp=2020-01-01T00:00:00Z",
    ] {
        let at = door.url(&format!("shares/town/schemas/share/tables/big/{path}"));
        let (status, ..) = ask(client.get(at)).await;
        assert_eq!(status, 403, "{path}");
        asked += 1;
    }
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

#[test]
fn a_token_in_two_networks_is_told_of_and_a_crowd_keeps_nobody_else_out() {
    let city = city(74, 40);
    let site = city.site.path().to_owned();
    let Some(door) = Door::open(&site, "address_connections = 8") else {
        return;
    };
    let one = token(&recipient(&site, "c990101", "990101", &SHARES));
    let from = |address: &str| {
        let client = door.builder().local_address(Some(address.parse().expect("an address")));
        let request = client.build().expect("a client").get(door.url("shares"));
        request.bearer_auth(&one).send()
    };
    runtime().block_on(async {
        // A05: one network is as good as another, two within the hour are told of
        for (address, told) in [
            ("127.0.0.1", false),
            ("127.0.0.9", false),
            ("127.0.7.1", true),
            ("127.0.0.1", true),
        ] {
            assert_eq!(from(address).await.expect("an answer").status(), 200);
            let count = || door.said.lock().expect("words").matches("is used from").count();
            // what is told is told with a look, which comes every two seconds
            let patience = Duration::from_secs(if told { 20 } else { 3 });
            let begun = Instant::now();
            while begun.elapsed() < patience && !(told && count() > 0) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(count(), usize::from(told));
        }
        // whoever sits at the door and says nothing takes the places of its own address
        let sit = || std::net::TcpStream::connect(("127.0.0.1", door.port)).expect("a connection");
        let mut silent: Vec<_> = (0..8).map(|_| sit()).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // one of the eight found no place where a connection from before had not ended yet
        for _ in 0..4 {
            if from("127.0.0.1").await.is_err() {
                break;
            }
            silent.push(sit());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(from("127.0.0.1").await.is_err(), "a ninth connection had a place");
        assert_eq!(from("127.0.0.9").await.expect("an answer").status(), 200);
        drop(silent);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(from("127.0.0.1").await.expect("an answer").status(), 200);
    });
    let found = settled(&site);
    let noticed = found
        .iter()
        .filter(|line| line["decision"] == "allow" && word(line, "reason").contains("within the hour from"));
    assert_eq!(noticed.count(), 1);
}

/// A process that ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// nginx before a door: `kept/` keeps what it may, `blind/` keeps everything, whatever it is told.
fn cache(door: &Door, folder: &Path) -> Option<(u16, Process)> {
    let (port, below) = (free_port(), folder.display());
    let at = |path: &str, more: &str| {
        format!(
            "location /{path}/ {{ proxy_pass https://127.0.0.1:{}/; proxy_cache {path}; proxy_cache_valid 200 404 10m; \
             proxy_cache_methods GET HEAD; add_header x-cache $upstream_cache_status always; {more} }}\n",
            door.port
        )
    };
    let conf = format!(
        "daemon off; master_process off; pid {below}/pid; error_log {below}/log; events {{}}\nhttp {{ access_log off; \
         client_body_temp_path {below}/body; proxy_temp_path {below}/proxy; fastcgi_temp_path {below}/fastcgi; \
         uwsgi_temp_path {below}/uwsgi; scgi_temp_path {below}/scgi;\n\
         proxy_cache_path {below}/kept keys_zone=kept:1m; proxy_cache_path {below}/blind keys_zone=blind:1m;\nserver {{ listen 127.0.0.1:{port};\n{}{} }} }}\n",
        at("kept", ""),
        at("blind", "proxy_ignore_headers Cache-Control Expires;")
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, conf).expect("a file");
    let nginx = Command::new("nginx").arg("-c").arg(&path).stderr(Stdio::null()).spawn();
    let Ok(nginx) = nginx else {
        println!("SKIPPED: nginx is absent; the test of a cache needs one");
        return None;
    };
    let nginx = Process(nginx);
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nginx does not open");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some((port, nginx))
}

#[test]
fn a_cache_between_two_counties_keeps_nothing() {
    let city = city(76, 40);
    let site = city.site.path().to_owned();
    let Some(door) = Door::open(&site, "") else { return };
    let folder = folder();
    let Some((port, _nginx)) = cache(&door, folder.path()) else {
        return;
    };
    let profiles = ["990101", "990102"].map(|code| recipient(&site, &format!("c{code}"), code, &SHARES));
    let client = reqwest::Client::new();
    let through = |way: &str, url: &str| {
        let path = url.split_once("/delta-sharing").expect("an address").1;
        format!("http://127.0.0.1:{port}/{way}/delta-sharing{path}")
    };
    let hit = |headers: &reqwest::header::HeaderMap| text(headers["x-cache"].as_bytes()) == "HIT";
    runtime().block_on(async {
        let mut asked = 0;
        for table in SHARES {
            let at = door.url(&format!("shares/town/schemas/share/tables/{table}/metadata"));
            for profile in [&profiles[0], &profiles[0], &profiles[1], &profiles[1]] {
                let own = ask(door.client().get(&at).bearer_auth(token(profile))).await;
                let (status, headers, body) = ask(client.get(through("kept", &at)).bearer_auth(token(profile))).await;
                assert_eq!((status, hit(&headers)), (200, false), "{table}");
                assert_eq!(text(&body), text(&own.2), "{table}");
                asked += 1;
            }
            let (status, headers, _) = ask(client.get(through("kept", &at))).await;
            assert_eq!((status, hit(&headers)), (401, false), "a stranger behind a county");
        }
        let files = addresses(&door, &token(&profiles[0]), "big").await;
        for (url, length) in &files {
            for _ in 0..2 {
                let (status, headers, body) = ask(client.get(through("kept", url))).await;
                assert_eq!((status, body.len() as u64, hit(&headers)), (200, *length, false));
                asked += 1;
            }
        }
        // a cache that does as it pleases shows that this one could have kept something
        let url = through("blind", &files[0].0);
        let found = [ask(client.get(&url)).await.1, ask(client.get(&url)).await.1];
        assert_eq!(
            found.each_ref().map(hit),
            [false, true],
            "the cache keeps nothing of anybody"
        );
        ok(&["--site", &city.path(), "share", "revoke", "c990101"]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        for (url, _) in &files {
            let (status, headers, _) = ask(client.get(through("kept", url))).await;
            assert_eq!((status, hit(&headers)), (404, false));
        }
        println!("{asked} answers through a cache, none kept");
    });
    settled(&site);
}
