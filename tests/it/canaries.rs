//! What a county can find in the files that it gets: rows of its own, and no byte of another's, however they are read.

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::door::{
    COUNTIES, County, Door, SHARES, UNTIL, addresses, approve, ask, city, recipient, runtime, settled, token,
};
use crate::support::{python, rows};
use crate::town::word;

/// A share of words and numbers that stand for one county each.
fn canaries(site: &std::path::Path) {
    let share = "title_zh = \"识\"\ntitle_en = \"canaries\"\nquestion = \"Whose?\"\naudience = \"each county\"\nclass = \"own\"\n\
        purpose = \"test\"\nlegal_basis = \"test\"\napprover = \"\"\nexpires = \"\"\n";
    std::fs::write(site.join("pipelines/shares/canary.toml"), share).expect("a share");
    let sql = "SELECT county, concat('canary-', county, '-', CAST(alarm_id % 97 AS VARCHAR)) AS word,\n\
         CAST(county AS BIGINT) * 1000000007 AS number\nFROM core.alarm\n";
    std::fs::write(site.join("sql/share/canary.sql"), sql).expect("a share");
    approve(site, "canary", UNTIL);
}

/// What stands for a county, as it would lie in a file.
fn marks(code: &str) -> [Vec<u8>; 3] {
    let number = code.parse::<i64>().expect("a code") * 1_000_000_007;
    [
        format!("canary-{code}").into_bytes(),
        code.as_bytes().to_vec(),
        number.to_le_bytes().to_vec(),
    ]
}

fn holds(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|part| part == mark)
}

/// Everything of a Parquet file as it lies there and as it unpacks: footer, dictionaries, pages; and its rows.
fn unpacked(bytes: &[u8]) -> (Vec<Vec<u8>>, u64) {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).expect("a Parquet file");
    let mut parts = vec![bytes.to_vec()];
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).expect("a row group");
        for column in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(column).expect("pages");
            while let Some(page) = pages.get_next_page().expect("a page") {
                parts.push(page.buffer().to_vec());
            }
        }
    }
    let rows = reader.metadata().file_metadata().num_rows();
    (parts, u64::try_from(rows).expect("rows"))
}

#[test]
fn no_byte_of_another_county_is_in_any_file_that_leaves() {
    let city = city(71, 40);
    let site = city.site.path().to_owned();
    canaries(&site);
    city.night();
    let Some(door) = Door::open(&site, "") else { return };
    let shares = ["canary", "county_day", "county_health", "big"];
    let profiles = COUNTIES.map(|code| recipient(&site, &format!("c{code}"), code, &shares));
    for (code, profile) in COUNTIES.iter().zip(&profiles) {
        let (mut files, mut all_rows, mut all_bytes, mut own) = (0, 0, 0, [false; 3]);
        for share in shares {
            for (url, size) in runtime().block_on(addresses(&door, &token(profile), share)) {
                let (status, _, bytes) = runtime().block_on(ask(door.client().get(&url)));
                assert_eq!((status, bytes.len() as u64), (200, size));
                let (parts, rows) = unpacked(&bytes);
                files += 1;
                all_rows += rows;
                all_bytes += size;
                if share == "county_day" {
                    continue;
                }
                for part in &parts {
                    for (found, mark) in own.iter_mut().zip(marks(code)) {
                        *found |= holds(part, &mark);
                    }
                    for other in COUNTIES.iter().filter(|other| *other != code) {
                        let found = marks(other).iter().any(|mark| holds(part, mark));
                        assert!(!found, "{other} stands in a file of {share} for {code}");
                    }
                }
            }
        }
        assert!(
            files >= shares.len() && own == [true; 3],
            "the look is blind: {files} files, {own:?}"
        );
        // A50: what left stands in the record, to the row and the byte
        let found = settled(&site);
        let told = found.iter().filter(|line| {
            line["act"] == "share.file" && line["decision"] == "whole" && word(line, "who") == format!("c{code}")
        });
        let sum = |name: &str| told.clone().filter_map(|line| line[name].as_u64()).sum::<u64>();
        assert_eq!(
            (sum("rows"), sum("bytes")),
            (all_rows, all_bytes),
            "the record of {code}"
        );
    }
    other_engines(&site, &profiles[0]);
}

/// What was pulled is plain Parquet to whoever reads it.
fn other_engines(site: &std::path::Path, profile: &std::path::Path) {
    let county = County::new(profile);
    county.pull();
    let script = "
import duckdb, json, sys
found = {}
for share in sys.argv[2:]:
    files = f'{sys.argv[1]}/lake/tables/shared/town/{share}/**/*.parquet'
    found[share] = duckdb.sql(f\"SELECT count(*) FROM read_parquet('{files}')\").fetchall()[0][0]
files = f'{sys.argv[1]}/lake/tables/shared/town/big/**/*.parquet'
found['noise'] = int(duckdb.sql(f\"SELECT sum(noise) FROM read_parquet('{files}')\").fetchall()[0][0])
print(json.dumps(found))
";
    let at = county.path();
    let Some(seen) = python(&["duckdb"], script, &[&[at.as_str()], &SHARES[..]].concat()) else {
        return;
    };
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("JSON");
    for share in SHARES {
        let own = if share == "county_day" {
            ""
        } else {
            " WHERE recipient = '990101'"
        };
        let expected = rows(site, &format!("SELECT count(*) AS n FROM share.{share}{own}"));
        assert_eq!(seen[share], expected[0]["n"], "{share}");
    }
    let expected = rows(site, "SELECT sum(noise) AS n FROM share.big WHERE recipient = '990101'");
    assert_eq!(seen["noise"], expected[0]["n"]);
}
