//! What a careless hand types: every wrong call has its exit code and says what to do, in the
//! language of the locale.

use std::process::Stdio;

use crate::demo::city;
use crate::support::{fenghuo, folder, ok, run, text};

#[test]
fn every_wrong_call_has_its_exit_code_and_its_words() {
    let empty = folder();
    let empty = empty.path().display().to_string();
    let site = city().display().to_string();
    let cases: [(&[&str], i32, &str); 14] = [
        (&[], 2, "Usage"),
        (&["demoo"], 2, "demo"),
        (&["--site", &empty, "status"], 3, "is no site"),
        (&["--site", "/nowhere/at/all", "plan"], 3, "is no site"),
        (&["--site", &site, "release", "show", "99"], 3, "no release 99"),
        (
            &["--site", &site, "query", "SELECT 1 AS n", "--as-of", "99"],
            3,
            "no release 99",
        ),
        (&["--site", &site, "table", "history", "core.alarn"], 3, "core.alarn"),
        (&["--site", &site, "query", "SELEC 1"], 2, "query:1:1"),
        (
            &["--site", &site, "query", "SELECT 1 AS n", "--output", "parquet"],
            2,
            "--out",
        ),
        (
            &["--site", &site, "query", "SELECT [1] AS n", "--output", "csv"],
            2,
            "array_to_string",
        ),
        (&["--site", &site, "ingest", "alarms"], 3, "nearest: alarm"),
        (&["--site", &site, "ingest", "alarm", "/no/such.csv"], 3, "/no/such.csv"),
        (&["--site", &site, "run", "nightlyy"], 3, "nightlyy"),
        (&["demo", &empty, "--scale", "huge"], 2, "small, medium, large"),
    ];
    for (arguments, code, words) in cases {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?} should say {words:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?} put talk on stdout");
    }
}

#[test]
fn init_never_guesses_and_never_overwrites() {
    let dir = folder();
    let site = dir.path().join("site").display().to_string();
    let asked = fenghuo()
        .args(["init", &site])
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    assert_eq!(asked.status.code(), Some(2));
    assert!(text(&asked.stderr).contains("--timezone") && text(&asked.stderr).contains("--defaults"));
    let wrong = run(&["init", &site, "--defaults", "--timezone", "Asia/Shanghia"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    ok(&["init", &site, "--defaults"]);
    ok(&["--site", &site, "doctor"]);
    assert_eq!(run(&["init", &site, "--defaults"]).status.code(), Some(5));
    let key = std::path::Path::new(&site).join("keys/site.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(key).expect("a key").permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn messages_follow_the_locale_and_the_flag() {
    let speak = |locale: &str, flag: &[&str]| {
        let mut command = fenghuo();
        command
            .env("LANG", locale)
            .args(flag)
            .args(["--site", "/nowhere", "status"]);
        text(&command.output().expect("the program starts").stderr)
    };
    assert!(speak("zh_CN.UTF-8", &[]).contains("不是站点"));
    assert!(speak("en_GB.UTF-8", &[]).contains("is no site"));
    assert!(speak("en_GB.UTF-8", &["--lang", "zh"]).contains("不是站点"));
    assert!(speak("zh_CN.UTF-8", &["--lang=en"]).contains("is no site"));
    let help = fenghuo()
        .env("LANG", "zh_CN.UTF-8")
        .arg("--help")
        .output()
        .expect("the program starts");
    assert!(text(&help.stdout).contains("生成虚构城市"));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let script = "\"$0\" --site \"$1\" query 'SELECT alarm_id FROM core.alarm' --output csv | head -1; echo \"${PIPESTATUS[0]}\"";
    let output = std::process::Command::new("bash")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_fenghuo"),
            &city().display().to_string(),
        ])
        .output()
        .expect("bash");
    assert_eq!(text(&output.stdout), "alarm_id\n0\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn data_alone_is_on_stdout_and_every_form_says_the_same() {
    let site = city().display().to_string();
    let sql = "SELECT code, name_zh FROM ref.category WHERE code = '0101'";
    assert_eq!(
        ok(&["--site", &site, "query", sql, "--output", "csv"]),
        "code,name_zh\n0101,盗窃\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&ok(&["--site", &site, "query", sql, "--output", "json"])).expect("JSON");
    assert_eq!(json, serde_json::json!([{"code": "0101", "name_zh": "盗窃"}]));
    let dir = folder();
    let out = dir.path().join("rows.parquet").display().to_string();
    assert_eq!(
        ok(&["--site", &site, "query", sql, "--output", "parquet", "--out", &out]),
        ""
    );
    assert!(std::fs::read(out).expect("a file").starts_with(b"PAR1"));
    for file in ["settings", "contract", "pipeline"] {
        let schema: serde_json::Value = serde_json::from_str(&ok(&["schema", file])).expect("JSON");
        assert!(schema["properties"].is_object(), "{file}");
    }
    assert!(ok(&["completions", "bash"]).contains("fenghuo"));
}
