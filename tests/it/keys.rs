//! The site's key: one person has one token however a number is written; a new key renews every token,
//! also across kills, and nothing that was stored is stored again.

use std::path::Path;

use serde_json::Value;

use crate::support::{bare_site, fenghuo, ok, run, select, text};

const CONTRACT: &str = "from = \"inbox/*.csv\"\ninto = \"source.TABLE\"\ncounty = \"990101\"\nsystem = \"110\"\nkey = [\"no\"]\n\
    event_time = \"at\"\n[columns]\nno = { protect = \"key\", required = true }\n\
    at = { type = \"timestamp\", protect = \"public\", format = \"%Y-%m-%d\" }\n\
    phone = { protect = \"token\" }\nid_no = { protect = \"token\" }\ntext = { protect = \"public\" }\n";

fn rows_of(site: &Path, table: &str) -> Vec<Value> {
    let sql = format!("SELECT row_key, no, phone, id_no, text FROM source.{table} ORDER BY text");
    select(site, &format!("source.{table}"), &sql)
}

#[test]
fn one_person_has_one_token_in_two_hundred_spellings() {
    let (site, contracts) = bare_site();
    std::fs::write(contracts.join("calls.toml"), CONTRACT.replace("TABLE", "calls")).expect("a contract");
    let mut lines = String::from("no,at,phone,id_no,text\n");
    let wide = |text: &str| -> String {
        text.chars()
            .map(|c| {
                char::from_u32(c as u32 + 0xFEE0)
                    .filter(|_| c.is_ascii_graphic())
                    .unwrap_or(c)
            })
            .collect()
    };
    let mut spellings = 0;
    for prefix in ["", "+86", "86", "0086", "+86-", "+86 "] {
        for mobile in ["13800138000", "138 0013 8000", "138-0013-8000", "138.0013.8000"] {
            for id in [
                "11010519491231002X",
                "11010519491231002x",
                "110105491231002",
                " 110105 19491231 002X ",
            ] {
                for full in [false, true] {
                    let phone = format!("{prefix}{mobile}");
                    let (phone, id) = if full {
                        (wide(&phone), wide(id))
                    } else {
                        (phone, id.to_owned())
                    };
                    lines.push_str(&format!("N{spellings},2025-01-01,{phone},{id},t{spellings:03}\n"));
                    spellings += 1;
                }
            }
        }
    }
    lines.push_str("Z,2025-01-01,13800138001,110105194912310038,z\n");
    assert!(spellings >= 190);
    std::fs::write(site.path().join("inbox/a.csv"), lines).expect("a file");
    ok(&["--site", &site.path().display().to_string(), "--quiet", "ingest"]);
    let sql = "SELECT count(DISTINCT phone) AS phones, count(DISTINCT id_no) AS ids, count(*) AS n FROM source.calls";
    let found = &select(site.path(), "source.calls", sql)[0];
    assert_eq!(
        (&found["phones"], &found["ids"]),
        (&Value::from(2), &Value::from(2)),
        "{found}"
    );
    assert_eq!(found["n"], spellings + 1);
}

#[test]
fn a_new_key_renews_every_token_once_also_across_kills() {
    let (site, contracts) = bare_site();
    for table in ["calls", "again"] {
        let contract = CONTRACT
            .replace("TABLE", table)
            .replace("inbox/*", &format!("inbox/{table}/*"));
        std::fs::write(contracts.join(format!("{table}.toml")), contract).expect("a contract");
    }
    // rows without a number are told apart by their content, and how often it came
    let content = CONTRACT
        .replace("TABLE", "content")
        .replace("inbox/*", "inbox/content/*")
        .replace("key = [\"no\"]", "key = []");
    std::fs::write(contracts.join("content.toml"), content).expect("a contract");
    let mut lines = String::from("no,at,phone,id_no,text\n");
    for n in 0..3_000 {
        lines.push_str(&format!("N{n},2025-{:02}-01,1380000{n:04},,t{n:04}\n", n % 12 + 1));
    }
    lines.push_str(&format!(
        "N0,2025-01-01,13800000000,,t0000\n{}",
        "N1,2025-02-01,,,same\n".repeat(3)
    ));
    for folder in ["calls", "again", "content"] {
        let inbox = site.path().join("inbox").join(folder);
        std::fs::create_dir_all(&inbox).expect("a folder");
        std::fs::write(inbox.join("a.csv"), &lines).expect("a file");
    }
    let at = site.path().display().to_string();
    ok(&["--site", &at, "--quiet", "ingest"]);
    let before = ["calls", "again", "content"].map(|table| rows_of(site.path(), table));
    let shown = ok(&["--site", &at, "key", "show"]);
    assert!(shown.ends_with(",1\n"), "{shown}");
    for point in ["renew_table", "renew_staged", "renew_done"] {
        let output = fenghuo()
            .args(["--site", &at, "key", "rotate"])
            .env("FENGHUO_CRASH_POINT", point)
            .output()
            .expect("the program starts");
        assert!(!output.status.success(), "{point} was not met");
        let refused = run(&["--site", &at, "--lang", "en", "ingest"]);
        assert_eq!(refused.status.code(), Some(5), "{}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains("key rotate"));
    }
    ok(&["--site", &at, "key", "rotate"]);
    let shown = ok(&["--site", &at, "key", "show"]);
    assert!(shown.lines().nth(1).is_some_and(|line| line.ends_with(",2")), "{shown}");
    for (table, before) in ["calls", "again", "content"].into_iter().zip(&before) {
        let after = rows_of(site.path(), table);
        assert_eq!(after.len(), before.len());
        for (old, new) in before.iter().zip(&after) {
            assert_eq!(old["text"], new["text"]);
            assert_eq!(old["phone"].is_null(), new["phone"].is_null());
            for name in ["row_key", "no"] {
                assert_ne!(old[name], new[name], "{table} {name}");
            }
        }
    }
    // numbers of one system still join, and what comes again is known
    assert_eq!(
        rows_of(site.path(), "calls")[7]["no"],
        rows_of(site.path(), "again")[7]["no"]
    );
    for folder in ["calls", "again", "content"] {
        let more = lines.clone() + "NEW,2025-03-01,13900000000,,zz\n";
        std::fs::write(site.path().join(format!("inbox/{folder}/b.csv")), more).expect("a file");
    }
    ok(&["--site", &at, "--quiet", "ingest"]);
    let sql = "SELECT accepted, duplicate FROM ops.ingest WHERE file LIKE '%b.csv'";
    for row in select(site.path(), "ops.ingest", sql) {
        assert_eq!(row["accepted"], 1, "{row}");
    }
    // over a key that is not the lake's nothing is laid
    std::fs::write(site.path().join("keys/site.key"), "fedcba9876543210".repeat(4)).expect("a key");
    let refused = run(&["--site", &at, "--lang", "en", "key", "rotate"]);
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused.stderr));
}
