//! A table of a real PostgreSQL server, pulled by watermark: whatever happens to the line and to the rows
//! meanwhile, the lake holds exactly the keys and states of the table in the end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering};

use crate::support::{bare_site, folder, run, select, text};

/// A server of its own, until dropped.
struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

/// Runs a command as somebody whom the server accepts as its owner: it refuses to run as root.
fn as_owner(command: &str) -> Command {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    let mut shell = if is_root {
        let mut shell = Command::new("runuser");
        shell.args(["-u", "postgres", "--"]);
        shell.arg("sh");
        shell
    } else {
        Command::new("sh")
    };
    shell.args(["-c", command]).current_dir("/");
    shell
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A folder that the owner of a server may write into.
fn open_folder() -> tempfile::TempDir {
    let folder = folder();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("a mode");
    folder
}

impl Server {
    fn start() -> Option<Server> {
        let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        found.sort();
        let Some(bin) = found.pop() else {
            println!("SKIPPED: PostgreSQL is absent; tests/run installs it");
            return None;
        };
        let (folder, port) = (open_folder(), free_port());
        let server = Server { folder, bin, port };
        server.owner(
            "printf 'a word of the test' > {at}/word && {bin}/initdb -D {at}/data -U owner -A scram-sha-256 --pwfile {at}/word \
             -E UTF8 --no-sync >/dev/null",
        );
        server.up();
        Some(server)
    }

    /// Runs a command as the owner; `{at}` is its folder, `{bin}` that of the programs, `{port}` its port.
    fn owner(&self, command: &str) {
        let command = command
            .replace("{at}", &self.folder.path().display().to_string())
            .replace("{bin}", &self.bin.display().to_string())
            .replace("{port}", &self.port.to_string());
        let output = as_owner(&command).output().expect("a shell");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn up(&self) {
        self.owner(
            "{bin}/pg_ctl -D {at}/data -w -l {at}/log -o '-p {port} -k {at} -c fsync=off -c listen_addresses=127.0.0.1' start \
             >/dev/null",
        );
    }

    /// A server that follows this one.
    fn replica(&self) -> Server {
        let replica = Server {
            folder: open_folder(),
            bin: self.bin.clone(),
            port: free_port(),
        };
        replica.owner(&format!(
            "PGPASSWORD='a word of the test' {{bin}}/pg_basebackup -h 127.0.0.1 -p {} -U owner -D {{at}}/data -R --no-sync \
             -c fast && chmod 700 {{at}}/data",
            self.port
        ));
        replica.up();
        replica
    }

    fn sql(&self, sql: &str) -> String {
        let output = Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "owner",
                "-d",
                "postgres",
            ])
            .args(["-p", &self.port.to_string(), "-c", sql])
            .env("PGPASSWORD", "a word of the test")
            .output()
            .expect("psql starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stop = format!(
            "{}/pg_ctl -D {}/data -m immediate stop",
            self.bin.display(),
            self.folder.path().display()
        );
        as_owner(&stop).output().ok();
        // what the server's owner made, the test's folder cannot remove
        as_owner(&format!("rm -rf {}/data", self.folder.path().display()))
            .output()
            .ok();
    }
}

/// Passes bytes on to the server, and cuts each connection when its allowance is used up.
struct Proxy {
    port: u16,
    /// Bytes from the server until the cut; negative passes everything.
    allowance: Arc<AtomicI64>,
    connections: Arc<AtomicUsize>,
    /// The port of the server that answers.
    server: Arc<AtomicU16>,
}

impl Proxy {
    fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let allowance = Arc::new(AtomicI64::new(-1));
        let connections = Arc::new(AtomicUsize::new(0));
        let server = Arc::new(AtomicU16::new(server));
        let (rule, count, answers) = (allowance.clone(), connections.clone(), server.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let allowed = rule.load(Ordering::SeqCst);
                let upstream = TcpStream::connect(("127.0.0.1", answers.load(Ordering::SeqCst))).expect("the server");
                let (mut from, mut to) = (
                    client.try_clone().expect("a stream"),
                    upstream.try_clone().expect("a stream"),
                );
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let (mut from, mut to) = (upstream, client);
                std::thread::spawn(move || {
                    let mut left = if allowed < 0 { i64::MAX } else { allowed };
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        let part = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                        if to.write_all(&buffer[..part]).is_err() || part < count {
                            break;
                        }
                        left -= part as i64;
                    }
                    to.shutdown(Shutdown::Both).ok();
                    from.shutdown(Shutdown::Both).ok();
                });
            }
        });
        Proxy {
            port,
            allowance,
            connections,
            server,
        }
    }
}

const TABLE: &str = "CREATE TABLE alarm (alarm_no text PRIMARY KEY, reported_at timestamptz NOT NULL, category text,
     priority int, note text, is_open boolean, updated_at timestamp NOT NULL);
   CREATE ROLE reader LOGIN PASSWORD 'reads only'; GRANT SELECT ON alarm TO reader;
   INSERT INTO alarm SELECT 'A' || n, '2025-01-01 00:00+08'::timestamptz + n * interval '90 seconds',
     CASE n % 3 WHEN 0 THEN '纠纷' WHEN 1 THEN 'a, \"b\"' ELSE E'two\\nlines' END, nullif(n % 5, 0), 'x', n % 2 = 0,
     '2025-02-01'::timestamp + n * interval '1 second' FROM generate_series(1, 40000) n;";

fn site(port: u16, extra: &str) -> (tempfile::TempDir, String) {
    let (site, contracts) = bare_site();
    let contract = format!(
        "from = \"postgres://reader@127.0.0.1:{port}/postgres#public.alarm\"\ninto = \"source.pulled\"\ncounty = \"990101\"\n\
         watermark = \"updated_at\"\npassword_file = \"keys/database.word\"\nkey = [\"alarm_no\"]\nevent_time = \"reported_at\"\n\
         {extra}\n[columns]\n\
         alarm_no = {{ protect = \"public\", required = true }}\nreported_at = {{ type = \"timestamp\", protect = \"public\" }}\n\
         category = {{ protect = \"public\" }}\npriority = {{ type = \"int\", protect = \"public\" }}\n\
         note = {{ protect = \"drop\" }}\nupdated_at = {{ type = \"timestamp\", protect = \"public\" }}\nis_open = {{ type = \"bool\", protect = \"public\" }}\n"
    );
    std::fs::write(contracts.join("pulled.toml"), contract).expect("a contract");
    let word = site.path().join("keys/database.word");
    std::fs::write(&word, "reads only\n").expect("a word");
    std::fs::set_permissions(&word, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    let at = site.path().display().to_string();
    (site, at)
}

/// Every key with its state, on either side.
fn stored(site: &Path) -> Vec<String> {
    let sql = "SELECT alarm_no, to_char(reported_at, '%Y-%m-%d %H:%M:%S') AS at, category, priority, is_open FROM source.pulled ORDER BY alarm_no";
    let field = |row: &serde_json::Value, name: &str| match &row[name] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let names = ["alarm_no", "at", "category", "priority", "is_open"];
    let rows = select(site, "source.pulled", sql);
    rows.iter()
        .map(|row| names.map(|name| field(row, name)).join("|"))
        .collect()
}

fn there(server: &Server) -> Vec<String> {
    let sql = "SELECT replace(concat_ws('|', alarm_no, to_char(reported_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), \
               coalesce(category, ''), coalesce(priority::text, ''), coalesce(is_open::text, '')), E'\\n', '¶') \
               FROM alarm ORDER BY alarm_no COLLATE \"C\"";
    server.sql(sql).lines().map(|line| line.replace('¶', "\n")).collect()
}

fn same(site: &Path, server: &Server, what: &str) {
    let (found, expected) = (stored(site), there(server));
    let first = found.iter().zip(&expected).find(|(left, right)| left != right);
    assert!(
        found == expected,
        "{what}: {} rows of {}, first difference {first:?}",
        found.len(),
        expected.len()
    );
}

#[test]
fn a_pulled_table_is_the_table_whatever_happens_to_the_line() {
    let Some(server) = Server::start() else { return };
    server.sql(TABLE);
    let proxy = Proxy::to(server.port);
    let (site, at) = site(proxy.port, "");
    let ingest = || {
        let output = run(&["--site", &at, "--lang", "en", "ingest"]);
        (output.status.code(), text(&output.stderr))
    };
    // the first pull, its line cut twenty times at growing distances
    let (mut cuts, mut distance) = (0, 20_000);
    while cuts < 20 {
        proxy.allowance.store(distance, Ordering::SeqCst);
        let before = proxy.connections.load(Ordering::SeqCst);
        let (code, said) = ingest();
        assert!(matches!(code, Some(0 | 1 | 6)), "{said}");
        cuts += proxy.connections.load(Ordering::SeqCst) - before;
        distance += 100_000;
        // rows are edited while the pull is cut
        server.sql(&format!(
            "UPDATE alarm SET category = 'edit {cuts}', updated_at = '2025-02-02'::timestamp + interval '{cuts} minutes' WHERE alarm_no IN ('A{cuts}', 'A{0}')",
            20_000 + cuts
        ));
    }
    println!("{cuts} connections cut");
    proxy.allowance.store(-1, Ordering::SeqCst);
    let (code, said) = ingest();
    assert_eq!(code, Some(0), "{said}");
    same(site.path(), &server, "after the cuts");
    // only what is new is asked for
    server.sql("INSERT INTO alarm VALUES ('B1', '2025-03-01 00:00+08', 'new', 1, 'x', true, '2025-03-01')");
    server.sql("UPDATE alarm SET priority = 9, updated_at = '2025-03-01 00:00:01' WHERE alarm_no = 'A7'");
    let (code, said) = ingest();
    assert_eq!(code, Some(0), "{said}");
    same(site.path(), &server, "incremental");
    let last = "SELECT read, accepted, changed FROM ops.ingest ORDER BY ingested_at DESC LIMIT 1";
    let last = &select(site.path(), "ops.ingest", last)[0];
    assert!(last["read"].as_i64().expect("rows") < 1_000, "{last}");
    assert_eq!(
        (last["accepted"].as_i64(), last["changed"].as_i64()),
        (Some(2), Some(1)),
        "{last}"
    );
    // a change that was committed late lies behind the watermark, within the overlap
    server.sql("INSERT INTO alarm VALUES ('B2', '2025-03-01 00:00+08', 'late', 1, 'x', true, '2025-02-28 23:50')");
    let (code, said) = ingest();
    assert_eq!(code, Some(0), "{said}");
    same(site.path(), &server, "late commit");
    // nothing new, and again
    let rows = "SELECT count(*) AS n FROM ops.ingest";
    let before = select(site.path(), "ops.ingest", rows)[0]["n"].clone();
    let (code, said) = ingest();
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = ingest();
    assert_eq!(code, Some(0), "{said}");
    let after = select(site.path(), "ops.ingest", rows)[0]["n"].clone();
    assert!(after.as_i64() <= before.as_i64().map(|n| n + 1), "{before} {after}");
    same(site.path(), &server, "again");
}

#[test]
fn a_table_is_edited_while_it_is_pulled() {
    let Some(server) = Server::start() else { return };
    server.sql(TABLE);
    let (site, at) = site(server.port, "");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..20 {
                server.sql(&format!(
                    "UPDATE alarm SET category = 'round {round}', updated_at = '2025-03-01'::timestamp + interval '{round} seconds' WHERE alarm_no LIKE 'A1{round}%'"
                ));
                server.sql(&format!("INSERT INTO alarm VALUES ('C{round}', '2025-03-01 00:00+08', 'c', 1, 'x', true, '2025-03-01'::timestamp + interval '{round} seconds')"));
            }
        });
        for _ in 0..3 {
            let output = run(&["--site", &at, "--quiet", "ingest"]);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
    });
    let output = run(&["--site", &at, "--quiet", "ingest"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    same(site.path(), &server, "edited meanwhile");
}

#[test]
fn what_a_pull_may_not_have_stops_it_and_is_named() {
    let Some(server) = Server::start() else { return };
    server.sql(TABLE);
    let (_dir, at) = site(server.port, "");
    let ingest = |at: &str| {
        let output = run(&["--site", at, "--lang", "en", "ingest"]);
        (output.status.code(), text(&output.stderr))
    };
    server.sql("ALTER ROLE reader PASSWORD 'another'");
    let (code, said) = ingest(&at);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("28P01") && !said.contains("reads only"), "{said}");
    server.sql("ALTER ROLE reader PASSWORD 'reads only'; ALTER TABLE alarm ADD COLUMN ethnicity text");
    let (code, said) = ingest(&at);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("ethnicity"), "{said}");
    server.sql("ALTER TABLE alarm DROP COLUMN ethnicity; ALTER TABLE alarm RENAME COLUMN category TO kind");
    let (code, said) = ingest(&at);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`category` is missing"), "{said}");
    // an address that is not of this machine takes a certificate, or a word that says otherwise
    let (other, at) = site(server.port, "");
    let contract = other.path().join("pipelines/contracts/pulled.toml");
    let far = std::fs::read_to_string(&contract)
        .expect("a contract")
        .replace("127.0.0.1", "192.0.2.1");
    std::fs::write(&contract, far).expect("a contract");
    let (_, said) = ingest(&at);
    assert!(said.contains("the line is encrypted"), "{said}");
}

#[test]
fn a_replica_that_lags_takes_nothing_back() {
    let Some(server) = Server::start() else { return };
    server.sql(TABLE);
    let replica = server.replica();
    let proxy = Proxy::to(server.port);
    let (site, at) = site(proxy.port, "");
    let ingest = |from: &Server| {
        proxy.server.store(from.port, Ordering::SeqCst);
        let output = run(&["--site", &at, "--lang", "en", "--quiet", "ingest"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    ingest(&server);
    same(site.path(), &server, "the first pull");
    // the replica stops following; rows of the last minutes change and come, and are pulled
    replica.sql("SELECT pg_wal_replay_pause()");
    server.sql(
        "UPDATE alarm SET category = 'edited', updated_at = '2025-02-01'::timestamp + interval '40001 seconds' WHERE alarm_no LIKE 'A3999%'; \
         INSERT INTO alarm VALUES ('D1', '2025-03-01 00:00+08', 'd', 1, 'x', true, '2025-02-01'::timestamp + interval '40002 seconds')",
    );
    ingest(&server);
    same(site.path(), &server, "before the replica answers");
    // the replica answers: it has the edited rows as they were, and has never heard of the new one
    assert_eq!(
        replica
            .sql("SELECT count(*) FROM alarm WHERE category = 'edited' OR alarm_no = 'D1'")
            .trim(),
        "0"
    );
    ingest(&replica);
    same(site.path(), &server, "while the replica lags");
    ingest(&replica);
    // it follows again, and has rows that its first answers lacked
    server.sql("INSERT INTO alarm VALUES ('D2', '2025-03-01 00:00+08', 'd', 1, 'x', true, '2025-02-01'::timestamp + interval '39990 seconds')");
    replica.sql("SELECT pg_wal_replay_resume()");
    let since = std::time::Instant::now();
    while replica.sql("SELECT count(*) FROM alarm WHERE alarm_no = 'D2'").trim() != "1" {
        assert!(since.elapsed().as_secs() < 60, "the replica does not follow");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    ingest(&replica);
    same(site.path(), &server, "after the replica caught up");
}

#[test]
fn a_line_is_encrypted_for_the_authority_that_is_named() {
    let Some(server) = Server::start() else { return };
    server.sql(TABLE);
    server.owner(
        "cd {at} && for who in city other; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$who-authority \
           -keyout $who.key -out $who.pem; done 2>/dev/null \
         && openssl req -newkey rsa:2048 -nodes -subj /CN=database -keyout data/server.key -out server.csr 2>/dev/null \
         && printf 'subjectAltName=DNS:localhost' > names \
         && openssl x509 -req -in server.csr -CA city.pem -CAkey city.key -CAcreateserial -days 2 -extfile names \
           -out data/server.crt 2>/dev/null && chmod 644 *.pem",
    );
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("SELECT pg_reload_conf()");
    let secret = server.folder.path();
    let (site, at) = site(server.port, "ca_file = \"keys/authority.pem\"");
    let contract = site.path().join("pipelines/contracts/pulled.toml");
    let written = std::fs::read_to_string(&contract).expect("a contract");
    let ingest = |host: &str, authority: &str| {
        std::fs::write(&contract, written.replace("127.0.0.1", host)).expect("a contract");
        std::fs::copy(secret.join(authority), site.path().join("keys/authority.pem")).expect("a certificate");
        let output = run(&["--site", &at, "--lang", "en", "--quiet", "ingest"]);
        (output.status.code(), text(&output.stderr))
    };
    // another authority, or a name that the certificate lacks: no row is asked for
    for (host, authority, reason) in [
        ("localhost", "other.pem", "UnknownIssuer"),
        ("127.0.0.1", "city.pem", "certificate"),
    ] {
        let (code, said) = ingest(host, authority);
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(select(site.path(), "source.pulled", "SELECT 1 FROM source.pulled").is_empty());
    }
    server.sql("ALTER SYSTEM SET log_connections = on");
    server.sql("SELECT pg_reload_conf()");
    let (code, said) = ingest("localhost", "city.pem");
    assert_eq!(code, Some(0), "{said}");
    same(site.path(), &server, "over an encrypted line");
    let log = std::fs::read_to_string(secret.join("log")).unwrap_or_default();
    assert!(log.contains("SSL enabled"), "{log}");
}
