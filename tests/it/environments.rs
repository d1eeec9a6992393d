//! Environments: a changed model is built beside the published tables, says what it would change, and changes
//! nothing of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{ok, run, text};
use crate::town::{City, FIRST_DAY, digests, from_scratch};

const MODEL: &str = "sql/mart/citizen_alarm.sql";

/// Every file below a folder with its bytes, but for those of environments.
fn published(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut pending) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name().display().to_string());
            if path.is_dir() && !name.starts_with("dev-") && name != "environments" {
                pending.push(path);
            } else if path.is_file() {
                found.insert(path.display().to_string(), std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

fn names(rows: &[Value], column: &str) -> Vec<String> {
    rows.iter()
        .map(|row| row[column].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_changed_model_is_built_beside_what_is_published() {
    let mut city = City::new(5);
    let settings = city.site.path().join("fenghuo.toml");
    let said = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(&settings, said.replace("[limits]\n", "[limits]\norphan_hours = 0\n")).expect("settings");
    city.calls("d0.csv", &[FIRST_DAY, FIRST_DAY + 1, FIRST_DAY + 2], 150);
    city.answers("a0", FIRST_DAY + 3);
    city.night();
    let site = city.path();
    let model = city.site.path().join(MODEL);
    let as_published = std::fs::read_to_string(&model).expect("a model");
    std::fs::write(
        &model,
        as_published.replace("AND is_mappable", "AND is_mappable AND category <> '0303'"),
    )
    .expect("a model");
    let before = published(&city.site.path().join("lake"));
    // files that are new are no matter of an environment
    city.calls("d1.csv", &[FIRST_DAY + 3], 30);
    let planned = city.table(&["plan", "--env", "dev"]);
    let due = planned
        .iter()
        .filter(|row| row["action"] == "build")
        .cloned()
        .collect::<Vec<_>>();
    let due = names(&due, "name");
    assert!(
        due.contains(&"mart.citizen_alarm".to_owned()) && due.contains(&"mart.alarm_cell_day".to_owned()),
        "{due:?}"
    );
    assert!(!due.contains(&"core.alarm".to_owned()), "{due:?}");
    ok(&["--site", &site, "run", "--env", "dev"]);
    let after = published(&city.site.path().join("lake"));
    assert!(
        before.keys().eq(after.keys()),
        "an environment wrote among what is published"
    );
    assert!(before == after, "an environment changed what is published");

    let changed = city.table(&["diff", "--env", "dev"]);
    let found = names(&changed, "table");
    assert!(found.contains(&"mart.alarm_cell_day".to_owned()), "{found:?}");
    assert!(found.iter().all(|table| due.contains(table)), "{found:?} of {due:?}");
    let count = "SELECT sum(alarms) AS n FROM mart.alarm_cell_day";
    let here = city.table(&["query", count])[0]["n"].as_u64();
    let there = city.table(&["query", count, "--env", "dev"])[0]["n"].as_u64();
    assert!(there < here, "{there:?} of {here:?}");
    let page = std::fs::read_to_string(city.site.path().join("pages/dev/overview.html")).expect("a page");
    assert!(page.contains("环境 dev"));

    // again with nothing changed, nothing is built; a night then takes the model as published
    let again = ok(&["--site", &site, "run", "--env", "dev"]);
    assert!(again.is_empty(), "{again}");
    assert_eq!(city.table(&["release", "list", "--env", "dev"]).len(), 1);
    std::fs::write(&model, &as_published).expect("a model");
    city.night();
    assert_eq!(digests(city.site.path()), from_scratch(city.site.path()));
    // the environment follows the day that came, and has the change no more
    ok(&["--site", &site, "run", "--env", "dev"]);
    assert!(city.table(&["diff", "--env", "dev"]).is_empty());

    for words in [vec!["ingest"], vec!["retry"], vec!["table", "vacuum"]] {
        let mut all = vec!["--site", &site, "--env", "dev"];
        all.extend(words);
        let refused = run(&all);
        assert_eq!(refused.status.code(), Some(2), "{all:?}: {}", text(&refused.stderr));
    }
    let kept = |city: &City| city.site.path().join("lake/tables/mart/alarm_cell_day/dev-1").exists();
    ok(&["--site", &site, "table", "vacuum"]);
    assert!(kept(&city), "a release of the environment shows it");
    ok(&["--site", &site, "release", "drop", "--env", "dev"]);
    ok(&["--site", &site, "table", "vacuum"]);
    let left = published(&city.site.path().join("lake/tables/mart/alarm_cell_day"));
    assert!(left.keys().all(|path| !path.contains("dev-1")), "{left:?}");
    city.night();
}
