//! A city's door for those who pull: certificates, a running server, and counties that know it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{fenghuo, folder, ok, run, text, write_key};
use crate::town::{City, FIRST_DAY, word};

/// The last day of every approval in these tests.
pub const UNTIL: &str = "2999-12-31";

/// Approves a share of a site.
pub fn approve(site: &Path, name: &str, until: &str) {
    let path = site.join(format!("pipelines/shares/{name}.toml"));
    let said = std::fs::read_to_string(&path).expect("a share");
    let said = said
        .replace("approver = \"\"", "approver = \"data protection officer\"")
        .replace("expires = \"\"", &format!("expires = \"{until}\""));
    std::fs::write(path, said).expect("a share");
}

/// An authority and a certificate for this machine, or `None` with the reason printed.
pub fn certificates() -> Option<&'static Path> {
    static MADE: OnceLock<Option<TempDir>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = folder();
        let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem && \
            openssl req -newkey rsa:2048 -nodes -subj /CN=city -keyout serve.key -out serve.csr && \
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > names && \
            openssl x509 -req -in serve.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out serve.crt";
        let made = Command::new("sh").args(["-c", script]).current_dir(dir.path()).output();
        match made {
            Ok(made) if made.status.success() => Some(dir),
            _ => {
                println!("SKIPPED: openssl is absent; tests of the door need certificates");
                None
            }
        }
    });
    made.as_ref().map(TempDir::path)
}

/// A port that nobody has now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A running server.
pub struct Door {
    site: PathBuf,
    pub port: u16,
    child: Option<Child>,
    pub said: Arc<Mutex<String>>,
}

impl Door {
    /// Gives a site certificates and an address, further settings, and opens its door.
    pub fn open(site: &Path, settings: &str) -> Option<Door> {
        use std::os::unix::fs::PermissionsExt;
        let from = certificates()?;
        let port = free_port();
        for name in ["serve.crt", "serve.key", "ca.pem"] {
            let to = site.join("keys").join(name);
            std::fs::copy(from.join(name), &to).expect("a certificate");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        let path = site.join("fenghuo.toml");
        let said = std::fs::read_to_string(&path).expect("settings");
        let serve = format!(
            "\n[serve]\nlisten = \"127.0.0.1:{port}\"\nurl = \"https://127.0.0.1:{port}/delta-sharing\"\n\
             authority = \"keys/ca.pem\"\n{settings}\n"
        );
        std::fs::write(&path, format!("{said}{serve}")).expect("settings");
        let mut door = Door {
            site: site.to_owned(),
            port,
            child: None,
            said: Arc::default(),
        };
        door.start();
        Some(door)
    }

    /// Starts the server, and waits until it is open.
    pub fn start(&mut self) {
        let mut child = fenghuo()
            .args([
                "--site",
                &self.site.display().to_string(),
                "--lang",
                "en",
                "serve",
                "--share",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        assert!(first.contains("serving"), "the door did not open: {first}");
        let said = self.said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                said.lock().expect("words").push_str(&format!("{line}\n"));
            }
        });
        self.child = Some(child);
    }

    /// Opens the door of a site that has its settings.
    pub fn again(site: &Path) -> Door {
        let said = std::fs::read_to_string(site.join("fenghuo.toml")).expect("settings");
        let port = said.split("listen = \"127.0.0.1:").nth(1).expect("an address");
        let mut door = Door {
            site: site.to_owned(),
            port: port
                .split('"')
                .next()
                .and_then(|port| port.parse().ok())
                .expect("a port"),
            child: None,
            said: Arc::default(),
        };
        door.start();
        door
    }

    /// Tells the server to end, and its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let told = Command::new("kill").arg(child.id().to_string()).status();
        assert!(told.is_ok_and(|told| told.success()));
        child.wait().expect("an end").code()
    }

    /// Kills the server as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/delta-sharing/{path}", self.port)
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.site.join("keys/ca.pem")
    }

    /// A client that trusts it, before it is built.
    pub fn builder(&self) -> reqwest::ClientBuilder {
        let pem = std::fs::read(self.authority()).expect("a certificate");
        let authority = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        reqwest::Client::builder()
            .use_rustls_tls()
            .add_root_certificate(authority)
    }

    /// A client that trusts it.
    pub fn client(&self) -> reqwest::Client {
        self.builder().build().expect("a client")
    }

    /// A client that sends a token with every request.
    pub fn client_of(&self, token: &str) -> reqwest::Client {
        let value = format!("Bearer {token}").parse().expect("a header");
        let headers = [(reqwest::header::AUTHORIZATION, value)].into_iter().collect();
        self.builder().default_headers(headers).build().expect("a client")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A new recipient of a city: its profile file.
pub fn recipient(city: &Path, name: &str, county: &str, shares: &[&str]) -> PathBuf {
    let site = city.display().to_string();
    let profile = city.join("keys").join(format!("{name}.share"));
    let file = profile.display().to_string();
    let county = if county.is_empty() {
        Vec::new()
    } else {
        vec!["--county", county]
    };
    ok(&[
        &["--site", &site, "share", "add", name, "--profile", &file],
        &county[..],
    ]
    .concat());
    grant(city, name, shares);
    profile
}

/// Grants shares to a recipient, for as long as may be.
pub fn grant(city: &Path, name: &str, shares: &[&str]) {
    if shares.is_empty() {
        return;
    }
    let until = days_from_now(100);
    let site = city.display().to_string();
    let words = ["--site", &site, "share", "grant", name];
    let who = [
        "--requester",
        "county chief",
        "--approver",
        "data protection officer",
        "--until",
        &until,
    ];
    ok(&[&words, shares, &who].concat());
    // a server that runs knows it within two seconds
    std::thread::sleep(Duration::from_millis(2_200));
}

pub fn days_from_now(days: u64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock");
    let day = i64::try_from(now.as_secs() / 86_400 + days).expect("a day");
    let date = chrono::DateTime::from_timestamp(day * 86_400, 0).expect("a date");
    date.format("%Y-%m-%d").to_string()
}

/// A county that pulls with a profile.
pub struct County {
    pub site: TempDir,
}

impl County {
    pub fn new(profile: &Path) -> County {
        let site = folder();
        ok(&[
            "init",
            &site.path().display().to_string(),
            "--defaults",
            "--profile",
            "county",
        ]);
        write_key(site.path());
        std::fs::copy(profile, site.path().join("keys/city.share")).expect("a profile");
        let path = site.path().join("fenghuo.toml");
        let said = std::fs::read_to_string(&path).expect("settings");
        std::fs::write(&path, format!("{said}\n[pull]\nprofiles = [\"keys/city.share\"]\n")).expect("settings");
        County { site }
    }

    pub fn path(&self) -> String {
        self.site.path().display().to_string()
    }

    /// Pulls, and what was said of it.
    pub fn pull(&self) -> String {
        let output = run(&["--site", &self.path(), "--lang", "en", "pull"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    }

    /// What the last pull brought.
    pub fn last(&self) -> Value {
        let folder = self.site.path().join("lake/pulls");
        let path = std::fs::read_dir(folder)
            .expect("pulls")
            .flatten()
            .next()
            .expect("a provider")
            .path();
        let lines = std::fs::read_to_string(path).expect("pulls");
        serde_json::from_str(lines.lines().last().expect("a pull")).expect("JSON")
    }
}

/// The files of a site's record, oldest first.
pub fn months(site: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(site.join("lake/audit")).expect("a record");
    let found = found.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = found
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    found.sort();
    found
}

/// The lines of a site's record.
pub fn record(site: &Path) -> Vec<Value> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a record");
    let text: String = months(site).iter().map(read).collect();
    let lines = text.lines().map(|line| line.split_once(' ').expect("a hash").1);
    lines.map(|json| serde_json::from_str(json).expect("JSON")).collect()
}

pub const COUNTIES: [&str; 3] = ["990101", "990102", "990103"];
pub const SHARES: [&str; 3] = ["county_day", "county_health", "big"];

/// A share of each county's own rows that is large enough to be cut.
pub fn large_share(site: &Path, each: u64) {
    let share = "title_zh = \"大\"\ntitle_en = \"large\"\nquestion = \"How much?\"\naudience = \"each county\"\nclass = \"own\"\n\
        purpose = \"test\"\nlegal_basis = \"test\"\napprover = \"data protection officer\"\nexpires = \"2999-12-31\"\n";
    std::fs::write(site.join("pipelines/shares/big.toml"), share).expect("a share");
    let sql = format!(
        "SELECT county, alarm_id % 1000003 AS call, CAST(1e12 * (1 + sin(alarm_id % 1000003 * 7919 + n)) AS BIGINT) AS noise\n\
         FROM core.alarm CROSS JOIN (SELECT unnest(range(0, {each})) AS n)\n"
    );
    std::fs::write(site.join("sql/share/big.sql"), sql).expect("a share");
}

/// A city with two days of calls and three shares.
pub fn city(seed: u64, each: u64) -> City {
    let mut city = City::new(seed);
    let site = city.site.path().to_owned();
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1], 380);
    city.answers("a0", FIRST_DAY + 2);
    large_share(&site, each);
    approve(&site, "county_day", UNTIL);
    approve(&site, "county_health", UNTIL);
    city.night();
    city
}

/// Whether the record holds: an end for every beginning.
pub fn complete(site: &Path) -> Vec<Value> {
    let found = record(site);
    let of = |decision: &[&str]| -> BTreeSet<String> {
        let lines = found
            .iter()
            .filter(|line| decision.contains(&line["decision"].as_str().unwrap_or_default()));
        lines.map(|line| word(line, "request")).collect()
    };
    let (begun, ended) = (of(&["allow"]), of(&["whole", "part"]));
    assert_eq!(begun, ended, "a request without its end");
    ok(&["--site", &site.display().to_string(), "audit", "verify"]);
    found
}

/// Waits until every request has its end on the disk.
pub fn settled(site: &Path) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = record(site);
        let count = |decisions: &[&str]| {
            let lines = found.iter();
            lines
                .filter(|line| decisions.contains(&line["decision"].as_str().unwrap_or_default()))
                .count()
        };
        if count(&["allow"]) == count(&["whole", "part"]) || begun.elapsed() > Duration::from_secs(180) {
            return complete(site);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks, and what comes back: status, headers, body.
pub async fn ask(request: reqwest::RequestBuilder) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.expect("a body").to_vec())
}

/// The token of a profile.
pub fn token(profile: &Path) -> String {
    let said: Value = serde_json::from_slice(&std::fs::read(profile).expect("a profile")).expect("JSON");
    word(&said, "bearerToken")
}

/// Addresses of files with their sizes, as a table's query gives them.
pub async fn addresses(door: &Door, token: &str, table: &str) -> Vec<(String, u64)> {
    let url = door.url(&format!("shares/town/schemas/share/tables/{table}/query"));
    let (status, _, body) = ask(door.client().post(url).bearer_auth(token).body("{}")).await;
    assert_eq!(status, 200, "{}", text(&body));
    let lines = text(&body);
    let files = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let files =
        files.filter_map(|line| Some((line["file"]["url"].as_str()?.to_owned(), line["file"]["size"].as_u64()?)));
    files.collect()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
