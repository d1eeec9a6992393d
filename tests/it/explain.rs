//! What a person reads of a file that breaks its contract: both languages, any width of characters, no
//! line wider than the narrowest terminal but what is one sentence.

use unicode_width::UnicodeWidthStr;

use crate::support::{bare_site, fenghuo, text};

const CONTRACT: &str = "from = \"inbox/*.csv\"\ninto = \"source.calls\"\ncounty = \"none\"\nkey = []\n\
    [columns]\nnumber = { from = \"报警单号\", protect = \"key\" }\n\
    place = { from = \"地点,名称\", protect = \"public\" }\n\
    note = { from = \"备注\", protect = \"drop\" }\n\
    kind = { from = \"类别\", protect = \"public\" }\n\
    people = { from = \"人数\", type = \"int\", protect = \"public\", range = [0, 99] }\n";

/// Text, and the character under which the caret has to stand.
const ROWS: [(&str, &str, &str); 6] = [
    ("plain", "a", "x"),
    ("汉字与全角ＡＢ", "黄桥街道", "九"),
    ("𠮷野家🚓🔥", "㐂", "十"),
    ("cafe\u{301}\u{200b}", "e\u{301}", "many"),
    ("👨\u{200d}👩\u{200d}👧", "Ünïcödé", "-5"),
    (
        "a very long place name that alone takes more room than an excerpt has and a little more",
        "说了很多很多很多很多很多很多很多很多很多很多很多很多很多很多很多很多很多很多很多很多",
        "100",
    ),
];

fn check(language: &str, rows: usize) -> (String, String) {
    let (dir, contracts) = bare_site();
    std::fs::write(contracts.join("calls.toml"), CONTRACT).expect("a contract");
    let mut file = "报警单号,\"地点,名称\",备注,类别,人数\n".to_owned();
    for at in 0..rows {
        let (place, kind, people) = ROWS[at % ROWS.len()];
        file.push_str(&format!("{at},{place},秘密,{kind},{people}\n"));
    }
    let path = dir.path().join("inbox/a.csv");
    std::fs::write(&path, file).expect("a file");
    let output = fenghuo()
        .env("LANG", language)
        .args(["--site", &dir.path().display().to_string(), "contract", "check"])
        .arg(&path)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn carets_stand_under_the_refused_field_and_excerpts_fit_eighty_columns() {
    for language in ["C.UTF-8", "zh_CN.UTF-8"] {
        let (_, said) = check(language, ROWS.len());
        let lines: Vec<&str> = said.lines().collect();
        let carets: Vec<usize> = (0..lines.len())
            .filter(|at| lines[*at].trim() == "| ^" || lines[*at].trim_end().ends_with(" ^"))
            .collect();
        assert_eq!(carets.len(), ROWS.len(), "{said}");
        for at in carets {
            let (excerpt, caret) = (lines[at - 1], lines[at]);
            assert!(excerpt.width() <= 80 && caret.width() <= 80, "{said}");
            // the field of people is the last: a delimiter stands before its first character
            let before = caret.width() - 1;
            let mut prefix = String::new();
            for c in excerpt.chars() {
                if prefix.width() == before && prefix.ends_with('│') {
                    break;
                }
                prefix.push(c);
            }
            assert_eq!(prefix.width(), before, "{said}");
            assert!(!excerpt[prefix.len()..].contains('│'), "{said}");
        }
        assert!(!said.contains("秘密"), "{said}");
    }
}

#[test]
fn the_account_is_of_one_language_and_tells_how_much_is_not_shown() {
    let (table, english) = check("C.UTF-8", 45);
    assert!(english.contains("`人数` is not of its type: x"), "{english}");
    assert!(english.contains("25 more problems"), "{english}");
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>().expect("CSV");
    assert_eq!(rows.len(), 2, "{table}");
    let (_, chinese) = check("zh_CN.UTF-8", 45);
    assert!(chinese.contains("另有 25 处问题"), "{chinese}");
    for line in chinese.lines().filter(|line| !line.trim_start().starts_with('|')) {
        let words = line
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| word.len() > 3);
        // a masked text is made of x
        let words = words.filter(|word| !word.trim_matches('x').is_empty());
        let foreign: Vec<&str> = words.filter(|word| !["inbox", "calls"].contains(word)).collect();
        assert!(foreign.is_empty(), "{line}: {foreign:?}");
    }
}
