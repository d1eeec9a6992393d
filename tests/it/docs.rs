//! The manual is executed: every console block of the README and the guide, on the demo city.
//!
//! A line after `$ ` is run; the lines below it are what it must say, where `…` stands for anything
//! inside a line, and a line of `…` alone for any lines.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::demo::city;
use crate::door;
use crate::support::{copy, folder, text};

struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step {
                    line: number + 1,
                    command: command.to_owned(),
                    expected: Vec::new(),
                }),
                None => match steps.last_mut() {
                    Some(step) if step.command.ends_with('\\') => {
                        step.command.push('\n');
                        step.command.push_str(line);
                    }
                    Some(step) => step.expected.push(line.to_owned()),
                    None => panic!("line {}: output before a command", number + 1),
                },
            }
        }
    }
    steps
}

fn line_fits(pattern: &str, line: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else {
        return pattern.trim_end() == line.trim_end();
    };
    let Some(tail) = line.strip_prefix(first) else {
        return false;
    };
    (0..=tail.len())
        .filter(|at| tail.is_char_boundary(*at))
        .any(|at| line_fits(rest, &tail[at..]))
}

fn fits(expected: &[String], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any == "…" => (0..=lines.len()).any(|at| fits(rest, &lines[at..])),
        Some((pattern, rest)) => lines
            .split_first()
            .is_some_and(|(line, tail)| line_fits(pattern, line) && fits(rest, tail)),
    }
}

fn execute(page: &str) {
    execute_in(page, |dir| {
        let site = dir.join("demo");
        copy(city(), &site);
        crate::support::write_key(&site);
        std::fs::copy(city().join("keys/site.key"), site.join("keys/site.key")).expect("the city's own key");
    });
}

/// Executes a page in a folder that `prepare` has filled.
fn execute_in(page: &str, prepare: impl FnOnce(&Path)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let steps = steps(&std::fs::read_to_string(&path).expect("a page"));
    assert!(steps.len() >= 3, "{page} has no console blocks to execute");
    let dir = folder();
    prepare(dir.path());
    let program = PathBuf::from(env!("CARGO_BIN_EXE_fenghuo"));
    let mut script = String::new();
    for (at, step) in steps.iter().enumerate() {
        script.push_str(&format!("{}\nprintf '\\n@@@{at} %s\\n' \"$?\"\n", step.command));
    }
    let path_variable = format!(
        "{}:{}",
        program.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!("exec 2>&1\n{script}"))
        .current_dir(dir.path())
        .env("PATH", path_variable)
        .env("LANG", "C.UTF-8")
        .env_remove("FENGHUO_SITE")
        .output()
        .expect("bash");
    let said = text(&output.stdout);
    let mut rest = said.as_str();
    for (at, step) in steps.iter().enumerate() {
        let (own, tail) = rest
            .split_once(&format!("\n@@@{at} "))
            .unwrap_or_else(|| panic!("{page}:{}: the shell ended\n{said}", step.line));
        let (_, tail) = tail.split_once('\n').expect("a status line");
        rest = tail;
        let lines: Vec<&str> = own.lines().collect();
        let lines = match lines.split_last() {
            Some((&"", head)) => head,
            _ => &lines,
        };
        assert!(
            fits(&step.expected, lines),
            "{page}:{}: $ {}\nexpected\n{}\nfound\n{}",
            step.line,
            step.command,
            step.expected.join("\n"),
            lines.join("\n")
        );
    }
}

#[test]
fn the_readme_tour_runs_as_printed() {
    execute("README.md");
}

#[test]
fn the_chinese_readme_tour_runs_as_printed() {
    execute("README.zh-CN.md");
}

#[test]
fn one_warning_is_traced_back_to_its_source_lines() {
    execute("docs/guide/trace.md");
}

#[test]
fn a_newcomer_takes_a_file_of_calls_to_a_map() {
    let Some(calls) = crate::support::shared("calls/montgomery_pa_911.csv.gz") else {
        return;
    };
    execute_in("docs/guide/your-city.md", |dir| {
        std::fs::copy(calls, dir.join("calls.csv.gz")).expect("a copy");
    });
}

#[test]
fn three_nights_of_an_operator_run_as_printed() {
    let Some(feed) = crate::support::shared("calls/san_antonio_increments") else {
        return;
    };
    execute_in("docs/guide/operate.md", |dir| {
        let site = dir.join("site");
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sites/san_antonio"),
            &site,
        );
        crate::support::write_key(&site);
        std::fs::create_dir_all(site.join("inbox")).expect("a folder");
        copy(&feed, &dir.join("feed"));
    });
}

#[test]
fn the_matcher_knows_a_difference() {
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(fits(&expected(&["a … c", "…"]), &["a b c", "d", "e"]));
    assert!(!fits(&expected(&["a … c"]), &["a b d"]));
    assert!(!fits(&expected(&["a"]), &["a", "b"]));
}

#[test]
fn a_city_defines_publishes_serves_and_revokes_its_shares() {
    if door::certificates().is_some() {
        execute("docs/guide/share.md");
    }
}

#[test]
fn a_county_comes_from_a_profile_file_to_its_first_page() {
    use std::os::unix::fs::PermissionsExt;
    if door::certificates().is_none() {
        return;
    }
    let mut served = None;
    execute_in("docs/guide/county.md", |dir| {
        let site = dir.join("city");
        copy(city(), &site);
        std::fs::copy(city().join("keys/site.key"), site.join("keys/site.key")).expect("the city's own key");
        for share in ["county_day", "county_health"] {
            door::approve(&site, share, door::UNTIL);
        }
        crate::support::ok(&["--site", &site.display().to_string(), "run", "nightly"]);
        served = door::Door::open(&site, "");
        let profile = door::recipient(&site, "yanxi", "990101", &["county_day", "county_health"]);
        let own = dir.join("city.share");
        std::fs::copy(profile, &own).expect("a profile");
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let (site, bundle) = (
            site.display().to_string(),
            dir.join("yanxi.fenghuo").display().to_string(),
        );
        crate::support::ok(&["--site", &site, "share", "export", "yanxi", "--out", &bundle]);
    });
}
