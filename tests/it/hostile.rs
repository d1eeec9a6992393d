//! Files made to hurt: each ends in a typed error or in refused rows, in bounded memory, and the files
//! beside it are read all the same.

use std::io::Write;

use crate::support::{bare_site, ok, rows, run, text};

/// A site with one contract of three text columns.
fn site() -> tempfile::TempDir {
    let (dir, contracts) = bare_site();
    for (name, format) in [("text", "csv"), ("list", "json")] {
        let contract = format!(
            "from = \"inbox/*.{name}*\"\ninto = \"source.{name}\"\ncounty = \"none\"\nkey = []\nformat = \"{format}\"\n\
            [columns]\na = {{ protect = \"public\" }}\nb = {{ protect = \"public\" }}\nc = {{ protect = \"drop\" }}\n"
        );
        std::fs::write(contracts.join(format!("{name}.toml")), contract).expect("a contract");
    }
    dir
}

/// Ingests one hostile file beside a good one, which has to be read; exit code and what was said.
fn ingest(name: &str, bytes: &[u8]) -> (Option<i32>, String) {
    let dir = site();
    std::fs::write(dir.path().join("inbox/good.text"), "a,b,c\n0,good,0\n").expect("a file");
    std::fs::write(dir.path().join("inbox").join(name), bytes).expect("a file");
    let site = dir.path().display().to_string();
    let output = run(&["--site", &site, "ingest"]);
    let said = text(&output.stderr);
    assert!(
        said.contains("inbox/good.text: read 1, accepted 1"),
        "{name}: the good file was not read: {said}"
    );
    (output.status.code(), said)
}

fn gzipped(chunk: &[u8], times: usize) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(b"a,b,c\n").expect("memory");
    for _ in 0..times {
        writer.write_all(chunk).expect("memory");
    }
    writer.finish().expect("memory")
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = gzipped(&vec![b'0'; 1 << 20], 300);
    assert!(bomb.len() < 1 << 20);
    let (code, said) = ingest("bomb.text.gz", &bomb);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("bomb.text.gz") && said.contains("bytes out of"), "{said}");
}

#[test]
fn a_packed_file_or_list_that_was_cut_is_refused_whole() {
    let whole = gzipped(b"1,2,3\n4,5,6\n", 40_000);
    for tenth in 1..10 {
        let (code, said) = ingest("cut.text.gz", &whole[..whole.len() * tenth / 10]);
        assert_eq!(code, Some(1), "{said}");
        assert!(!said.contains("cut.text.gz: read"), "{said}");
    }
    let list = "[{\"a\": 1, \"b\": \"x\"}, {\"a\": 2, \"b\": \"y\"}]";
    for cut in 1..list.len() {
        let (code, said) = ingest("cut.list", &list.as_bytes()[..cut]);
        assert_eq!(code, Some(1), "{cut}: {said}");
    }
    let (code, said) = ingest("whole.list", list.as_bytes());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("whole.list: read 2, accepted 2"), "{said}");
}

#[test]
fn what_is_no_gzip_says_so() {
    let (code, said) = ingest("no.text.gz", b"a,b,c\n1,2,3\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no.text.gz"), "{said}");
}

#[test]
fn a_field_of_a_megabyte_ten_thousand_columns_and_an_open_quote_are_refused_rows() {
    let long = format!("a,b,c\n1,{},3\n4,5,6\n", "x".repeat(1_100_000));
    let (code, said) = ingest("long.text", long.as_bytes());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("long.text: read 2, accepted 1, duplicate 0, rejected 1"),
        "{said}"
    );

    let wide = format!("a,b,c{}\n1,2,3{}\n", ",d".repeat(10_000), ",x".repeat(10_000));
    let (code, said) = ingest("wide.text", wide.as_bytes());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("wide.text: read 1, accepted 1"), "{said}");

    let mut open = String::from("a,b,c\n\"1,2,3\n");
    open.push_str(&"4,5,6\n".repeat(400_000));
    let (code, said) = ingest("open.text", open.as_bytes());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("open.text: read 400001, accepted 400000, duplicate 0, rejected 1"),
        "{said}"
    );
}

#[test]
fn an_endless_line_costs_itself_and_no_other() {
    let mut endless = b"a,b,c\n1,2,3\n".to_vec();
    endless.extend(std::iter::repeat_n(b'x', 60 << 20));
    endless.extend(b"\n4,5,6\n");
    let (code, said) = ingest("endless.text", &endless);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("endless.text: read 3, accepted 2, duplicate 0, rejected 1"),
        "{said}"
    );
}

#[test]
fn a_nul_is_refused_and_a_path_of_another_folder_is_only_a_name() {
    let (code, said) = ingest("nul.text", b"a,b,c\n1,x\0y,3\n4,5,6\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("nul.text: read 2, accepted 1, duplicate 0, rejected 1"),
        "{said}"
    );
    let (code, said) = ingest("..%2f..%2fetc.text", b"a,b,c\n1,2,4\n");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn lines_of_rejects_are_those_of_the_file() {
    let dir = site();
    let text = "a,b,c\n1,\"two\nlines\",3\n\n4,5\n6,7,8\n9,\"open,1\n2,3,4\n5,x\0y,6\n";
    std::fs::write(dir.path().join("inbox/lines.text"), text).expect("a file");
    let site = dir.path().display().to_string();
    ok(&["--site", &site, "--quiet", "run", "nightly"]);
    let found = rows(dir.path(), "SELECT line, reason FROM ops.reject ORDER BY line");
    let found: Vec<(i64, String)> = found
        .iter()
        .map(|row| {
            (
                row["line"].as_i64().unwrap_or(0),
                row["reason"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let expected = [(5, "ragged"), (7, "quote"), (9, "nul")];
    assert_eq!(found, expected.map(|(line, reason)| (line, reason.to_owned())));
}

#[test]
fn a_file_without_its_header_does_not_show_its_first_row() {
    let (dir, contracts) = bare_site();
    let contract = "from = \"inbox/*.csv\"\ninto = \"source.calls\"\ncounty = \"none\"\nkey = []\n\
        [columns]\nnumber = { from = \"报警单号\", protect = \"key\" }\nkind = { from = \"类别\", protect = \"public\" }\n";
    std::fs::write(contracts.join("calls.toml"), contract).expect("a contract");
    let row = "JQ1,报警人称车牌苏C12345被刮 张三丰13912345678,交通,黄楼街道\n";
    let steers = "\u{1b}[2J车牌,报警单号,类别,\u{1b}[31m红\n";
    for (name, content) in [("row", row), ("steers", steers), ("empty", "")] {
        let file = dir.path().join(format!("inbox/{name}.csv"));
        std::fs::write(&file, content).expect("a file");
        let site = dir.path().display().to_string();
        let shown = file.display().to_string();
        let mut said = String::new();
        for arguments in [
            &["--site", &site, "ingest"][..],
            &["--site", &site, "run", "nightly"],
            &["--site", &site, "contract", "check", &shown],
        ] {
            let output = run(arguments);
            assert!(!output.status.success(), "{name}: {arguments:?}");
            said.push_str(&text(&output.stderr));
            said.push_str(&text(&output.stdout));
        }
        said.push_str(&ok(&[
            "--site",
            &site,
            "query",
            "SELECT message FROM ops.step",
            "--output",
            "csv",
        ]));
        for clear in ["苏C12345", "张三丰", "13912345678", "黄楼", "\u{1b}["] {
            assert!(!said.contains(clear), "{name}: {clear} in {said}");
        }
        let word = if name == "empty" {
            "without even a header"
        } else {
            "车牌"
        };
        assert!(said.contains(word), "{name}: {said}");
        std::fs::remove_file(file).expect("a file");
    }
}
