//! The taste, made executable: layers, owners, headers, catalogue, files (docs/architecture.md).
//! Every finding is `path:line: what`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The ranks. A module imports only from ranks below its own; equals do not see each other.
const RANKS: [(&str, i8); 22] = [
    ("error", 0),
    ("message", -1),
    ("config", 1),
    ("place", 1),
    ("time", 1),
    ("contract", 2),
    ("protect", 2),
    ("stat", 2),
    ("func", 3),
    ("city", 3),
    ("lake", 4),
    ("audit", 5),
    ("engine", 6),
    ("model", 7),
    ("ingest", 8),
    ("share", 8),
    ("warn", 8),
    ("workbook", 8),
    ("pipeline", 9),
    ("serve", 9),
    ("cli", 10),
    ("main", 11),
];

/// Names and the only places that may use them.
const OWNERS: [(&str, &[&str]); 8] = [
    ("deltalake", &["lake/"]),
    ("object_store", &["lake/"]),
    ("SessionContext", &["engine/"]),
    ("println!", &[]),
    ("eprintln!", &[]),
    ("std::env::", &["cli/"]),
    ("SystemTime::now", &["cli/clock.rs"]),
    ("std::io::stdout", &["cli/print.rs"]),
];

/// Sizes past which a file is usually two; tables of data are exempt.
const LINES: usize = 620;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root().join(folder)];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let relative = path
                    .strip_prefix(root())
                    .expect("inside")
                    .to_string_lossy()
                    .replace('\\', "/");
                found.push((relative, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    found
}

/// The lines of a file before its tests, comments and doc comments blanked.
fn code(text: &str) -> Vec<&str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect()
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

fn module(path: &str) -> &str {
    let inside = path.trim_start_matches("src/");
    inside.split(['/', '.']).next().unwrap_or(inside)
}

#[test]
fn a_module_imports_only_from_lower_ranks() {
    let ranks: BTreeMap<&str, i8> = RANKS.into_iter().collect();
    let mut findings = Vec::new();
    for (path, text) in files("src", ".rs") {
        let own = module(&path);
        if own == "lib" {
            continue;
        }
        let Some(rank) = ranks.get(own) else {
            findings.push(format!("{path}: module {own} has no rank"));
            continue;
        };
        for (number, line) in code(&text).into_iter().enumerate() {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let allowed = used == own
                    || matches!(used.as_str(), "Error" | "Result")
                    || ranks.get(used.as_str()).is_some_and(|used| used < rank);
                if rest.starts_with('{') {
                    findings.push(format!(
                        "{path}:{}: a group right after crate:: hides its modules",
                        number + 1
                    ));
                } else if !allowed {
                    findings.push(format!("{path}:{}: {own} (rank {rank}) may not use {used}", number + 1));
                }
            }
        }
    }
    report(&findings);
}

#[test]
fn owners_keep_their_names() {
    let mut findings = Vec::new();
    for (path, text) in files("src", ".rs") {
        let inside = path.trim_start_matches("src/");
        for (number, line) in code(&text).into_iter().enumerate() {
            for (name, owners) in OWNERS {
                if line.contains(name) && !owners.iter().any(|owner| inside.starts_with(owner)) {
                    findings.push(format!("{path}:{}: {name} belongs to {owners:?}", number + 1));
                }
            }
        }
    }
    report(&findings);
}

#[test]
fn every_file_opens_with_what_it_is_for_and_stays_readable() {
    let mut findings = Vec::new();
    for (path, text) in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        if !text.starts_with("//!") {
            findings.push(format!("{path}:1: say with //! what the file is for"));
        }
        let lines = code(&text).len();
        if lines > LINES {
            findings.push(format!("{path}: {lines} lines, is it two files?"));
        }
        for (number, line) in text.lines().enumerate() {
            let forbidden = [
                "todo!",
                "unimplemented!",
                "dbg!",
                concat!("FIX", "ME"),
                concat!("TO", "DO"),
            ];
            if forbidden.iter().any(|word| line.contains(word)) && !path.ends_with("tidy.rs") {
                findings.push(format!("{path}:{}: left open", number + 1));
            }
        }
    }
    report(&findings);
}

#[test]
fn every_text_is_in_the_catalogue_and_every_entry_is_used() {
    let sources: String = files("src", ".rs").into_iter().map(|(_, text)| text).collect();
    let known: BTreeSet<&str> = fenghuo::message::keys().into_iter().collect();
    let mut findings = Vec::new();
    for key in &known {
        let named = sources.contains(&format!("\"{key}\"")) || key.starts_with("help") || key.starts_with("arg_");
        if !named {
            findings.push(format!("messages.toml: {key} is never said"));
        }
    }
    for opening in [
        "fail(Kind::",
        "Error::new(Kind::",
        "Message::new(",
        ".hint(",
        ".say(",
        ".words(",
    ] {
        for (at, _) in sources.match_indices(opening) {
            // the first text inside the call is the key; multi-line calls included
            let rest: String = sources[at + opening.len()..].chars().take(120).collect();
            let Some(key) = rest.split('"').nth(1) else { continue };
            let plain = key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
            let direct = rest
                .split('"')
                .next()
                .is_some_and(|before| !before.contains(';') && !before.contains(')'));
            if plain && direct && !key.is_empty() && !known.contains(key) {
                findings.push(format!("messages.toml lacks {key}"));
            }
        }
    }
    report(&findings);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let mut findings = Vec::new();
    let mut inside = false;
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains(" = ") && !line.starts_with('#') && !line.contains(" # ") {
            findings.push(format!("Cargo.toml:{}: no reason beside the dependency", number + 1));
        }
    }
    report(&findings);
}

#[test]
fn the_rank_table_of_the_architecture_page_is_this_one() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let mut findings = Vec::new();
    for (name, rank) in RANKS {
        let named = page
            .lines()
            .any(|line| line.starts_with(&format!("| {rank} |")) && line.contains(&format!("`{name}`")));
        if !named {
            findings.push(format!("docs/architecture.md: no row `| {rank} |` names `{name}`"));
        }
    }
    report(&findings);
}

#[test]
fn no_file_is_large_and_no_path_of_a_machine_is_tracked() {
    let mut findings = Vec::new();
    for folder in ["src", "sql", "pipelines", "tests", "docs", "web"] {
        for (path, text) in files(folder, "").into_iter() {
            if path.contains("web/vendor/") || Path::new(&path).extension().is_none() {
                continue;
            }
            if text.len() > 512 << 10 {
                findings.push(format!("{path}: {} bytes", text.len()));
            }
            for prefix in [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")] {
                if text.contains(prefix) {
                    findings.push(format!("{path}: a path of one machine, {prefix}"));
                }
            }
        }
    }
    report(&findings);
}
