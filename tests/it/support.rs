//! What the tests share: the program, temporary folders, the data beside the checkout, a clear reason
//! where something is absent.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fenghuo::engine::{Bounds, Session};
use fenghuo::lake::Lake;
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub fn fenghuo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fenghuo"));
    command.env("LANG", "C.UTF-8").env_remove("FENGHUO_SITE");
    command
}

/// Runs the program; the output with its exit code.
pub fn run(arguments: &[&str]) -> Output {
    fenghuo().args(arguments).output().expect("the program starts")
}

/// Runs the program and expects success.
pub fn ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}\n{}",
        output.status,
        text(&output.stderr)
    );
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rows of a query on a site, as JSON objects.
pub fn rows(site: &Path, sql: &str) -> Vec<Value> {
    let output = ok(&["--site", &site.display().to_string(), "query", sql, "--output", "json"]);
    serde_json::from_str(&output).expect("JSON")
}

/// The single number of a query.
pub fn number(site: &Path, sql: &str) -> f64 {
    let rows = rows(site, sql);
    let value = rows[0]
        .as_object()
        .expect("an object")
        .values()
        .next()
        .expect("a column")
        .clone();
    value.as_f64().unwrap_or_else(|| panic!("no number in {value}"))
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The real data beside the checkout, or `None` with the reason printed.
pub fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    println!(
        "SKIPPED: {} is absent; this test runs on real data beside the checkout",
        full.display()
    );
    None
}

/// Copies a folder of the repository.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A key that is the same in every test, so that digests compare across sites.
pub fn write_key(site: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let path = site.join("keys/site.key");
    std::fs::create_dir_all(site.join("keys")).expect("a folder");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).expect("a key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// A site of `tests/sites` in a temporary folder, with source files linked into its inbox.
pub fn site(name: &str, links: &[(PathBuf, &str)]) -> TempDir {
    let dir = folder();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sites").join(name),
        dir.path(),
    );
    write_key(dir.path());
    for (from, to) in links {
        let target = dir.path().join("inbox").join(to);
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        std::os::unix::fs::symlink(from.canonicalize().expect("real data"), target).expect("a link");
    }
    dir
}

/// A site without contracts, sources and lake, and the folder of its contracts.
pub fn bare_site() -> (TempDir, PathBuf) {
    let dir = folder();
    ok(&["init", &dir.path().display().to_string(), "--defaults"]);
    write_key(dir.path());
    let contracts = dir.path().join("pipelines/contracts");
    std::fs::remove_dir_all(&contracts).expect("contracts");
    std::fs::create_dir_all(&contracts).expect("a folder");
    std::fs::create_dir_all(dir.path().join("inbox")).expect("a folder");
    std::fs::remove_dir_all(dir.path().join("lake")).ok();
    (dir, contracts)
}

/// The output of a Python script, or `None` with the reason printed where a module is absent.
/// `tests/run` installs the modules; `cargo test` alone must not need them.
pub fn python(modules: &[&str], script: &str, arguments: &[&str]) -> Option<String> {
    let imports = modules
        .iter()
        .map(|module| format!("import {module}\n"))
        .collect::<String>();
    let interpreter = std::env::var("FENGHUO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&interpreter).args(["-c", &imports]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("SKIPPED: python3 with {modules:?} is absent; tests/run installs it");
        return None;
    }
    let output = Command::new(&interpreter)
        .arg("-c")
        .arg(script)
        .args(arguments)
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(text(&output.stdout))
}

/// Rows of a table at its head; no release is needed, and none of the people's rules holds here.
pub fn select(site: &Path, table: &str, sql: &str) -> Vec<Value> {
    let json = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let lake = Lake::open(site, "lake").expect("a lake");
        let opened = lake.table(table).await.expect("a table")?;
        let session = Session::new(Bounds {
            memory_bytes: 1 << 30,
            partitions: 2,
        })
        .expect("a session");
        let provider = opened.provider(session.state()).await.expect("a provider");
        session.register(table, provider).expect("a name");
        let found = session.query("test", sql, 10_000_000).await.expect("rows");
        Some(as_json(&found.batches))
    });
    json.unwrap_or_default()
}

/// Batches as rows.
pub fn as_json(batches: &[arrow::array::RecordBatch]) -> Vec<Value> {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    batches.iter().for_each(|batch| writer.write(batch).expect("JSON"));
    writer.finish().expect("JSON");
    match writer.into_inner() {
        nothing if nothing.is_empty() => Vec::new(),
        text => serde_json::from_slice(&text).expect("JSON"),
    }
}

/// Kills of a process; `tests/run long` asks for more.
pub fn kills() -> u64 {
    std::env::var("FENGHUO_TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12)
}
