//! Files in many dialects and encodings, held against three other readers: where Python's csv, pandas
//! and DuckDB agree, the accepted rows are theirs; where they do not, the case says what ours are and why.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{bare_site, ok, python, select};

/// One file: how it is written, and what the contract declares.
#[derive(Clone)]
struct Case {
    name: Cow<'static, str>,
    text: Cow<'static, str>,
    /// Declared settings of the contract, in TOML.
    declared: &'static str,
    encoding: &'static str,
    /// Our rows where the three disagree, fields joined by `|` and rows by `/`, and why they are these.
    ours: Option<(&'static str, &'static str)>,
}

const fn case(name: &'static str, declared: &'static str, text: &'static str) -> Case {
    Case {
        name: Cow::Borrowed(name),
        text: Cow::Borrowed(text),
        declared,
        encoding: "utf-8",
        ours: None,
    }
}

const fn in_encoding(name: &'static str, encoding: &'static str, text: &'static str) -> Case {
    Case {
        name: Cow::Borrowed(name),
        text: Cow::Borrowed(text),
        declared: "",
        encoding,
        ours: None,
    }
}

const fn disputed(
    name: &'static str,
    declared: &'static str,
    text: &'static str,
    ours: &'static str,
    why: &'static str,
) -> Case {
    Case {
        name: Cow::Borrowed(name),
        text: Cow::Borrowed(text),
        declared,
        encoding: "utf-8",
        ours: Some((ours, why)),
    }
}

const SEMICOLON: &str = "delimiter = \";\"";
const TAB: &str = "delimiter = \"\\t\"";
const PIPE: &str = "delimiter = \"|\"";
const CARET: &str = "delimiter = \"^\"";
const APOSTROPHE: &str = "quote = \"'\"";
const BACKSLASH: &str = "escape = \"\\\\\"";
const BARE: &str = "quote = \"\"";
const SKIP: &str = "skip_lines = 2";
const PLACE: &str = "a,b,c\n1,黄桥街道,青云路\n2,𠮷野家,㐂\n3,東京,x\n";

const CASES: &[Case] = &[
    case("plain", "", "a,b,c\n1,2,3\n4,5,6\n"),
    case("no last line end", "", "a,b,c\n1,2,3\n4,5,6"),
    case("CRLF", "", "a,b,c\r\n1,2,3\r\n4,5,6\r\n"),
    case("CRLF without the last", "", "a,b,c\r\n1,2,3\r\n4,5,6"),
    case("empty fields", "", "a,b,c\n,,3\n4,,\n,5,\n"),
    case("header alone", "", "a,b,c\n"),
    case("one row", "", "a,b,c\n1,2,3\n"),
    case("quoted", "", "a,b,c\n\"1\",\"2\",\"3\"\n"),
    case("quoted header", "", "\"a\",\"b\",\"c\"\n1,2,3\n"),
    case("quoted delimiter", "", "a,b,c\n1,\"x,y\",3\n"),
    case("quoted line end", "", "a,b,c\n1,\"x\ny\",3\n4,5,6\n"),
    case("quoted CRLF", "", "a,b,c\r\n1,\"x\r\ny\",3\r\n4,5,6\r\n"),
    case("doubled quote", "", "a,b,c\n1,\"say \"\"hi\"\"\",3\n"),
    case("doubled quote alone", "", "a,b,c\n1,\"\"\"\",3\n"),
    case("empty quoted", "", "a,b,c\n1,\"\",3\n"),
    case("quoted at the end", "", "a,b,c\n1,2,\"3\"\n4,5,\"6\""),
    case(
        "quoted everything with line ends",
        "",
        "a,b,c\n\"1\n\",\"\n2\",\"3\n3\"\n",
    ),
    case(
        "many quoted rows",
        "",
        "a,b,c\n\"1\",\"x,\",\"\"\n\"2\",\",y\",\"z\"\n\"3\",\",\",\",\"\n",
    ),
    case("stray quote inside", "", "a,b,c\n1,5\"screen,3\n4,5,6\n"),
    case("stray quote at the end of a field", "", "a,b,c\n1,6\",3\n4,5,6\n"),
    case("two stray quotes", "", "a,b,c\n1,a\"b\"c,3\n4,5,6\n"),
    case("semicolons", SEMICOLON, "a;b;c\n1;2,5;3\n"),
    case("semicolons quoted", SEMICOLON, "a;b;c\n1;\"x;y\";3\n"),
    case("tabs", TAB, "a\tb\tc\n1\t2\t3\n4\t5,6\t7\n"),
    case("tabs quoted", TAB, "a\tb\tc\n1\t\"x\ty\"\t3\n"),
    case("pipes", PIPE, "a|b|c\n1|2|3\n"),
    case("pipes quoted", PIPE, "a|b|c\n1|\"x|y\"|3\n"),
    case("carets", CARET, "a^b^c\n1^2^3\n"),
    case("apostrophes", APOSTROPHE, "a,b,c\n1,'x,y',3\n"),
    case("apostrophes doubled", APOSTROPHE, "a,b,c\n1,'it''s',3\n"),
    case(
        "double quotes where apostrophes quote",
        APOSTROPHE,
        "a,b,c\n1,\"x\",3\n",
    ),
    case("backslash before a quote", BACKSLASH, "a,b,c\n1,\"say \\\"hi\\\"\",3\n"),
    case(
        "backslash before a delimiter in quotes",
        BACKSLASH,
        "a,b,c\n1,\"x,y\",3\n",
    ),
    case("nothing is quoted", BARE, "a,b,c\n1,\"x,3\n4,y\",6\n"),
    case("lines before the header", SKIP, "export of\n2025-03-04\na,b,c\n1,2,3\n"),
    case(
        "long field",
        "",
        concat!(
            "a,b,c\n1,",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ",3\n"
        ),
    ),
    case("wide characters", "", PLACE),
    case("full-width comma is text", "", "a,b,c\n1,甲，乙,3\n"),
    case("full-width quotes are text", "", "a,b,c\n1,“甲”,3\n"),
    case("combining characters", "", "a,b,c\n1,e\u{301},3\n"),
    case("emoji", "", "a,b,c\n1,🚓🚨,3\n"),
    case("byte order mark", "", "\u{feff}a,b,c\n1,2,3\n"),
    case("byte order mark and quotes", "", "\u{feff}\"a\",\"b\",\"c\"\n1,2,3\n"),
    case("digits with leading zeros", "", "a,b,c\n007,0.50,1e5\n"),
    case("looks like a date", "", "a,b,c\n2025-03-04,03/04/2025,10:00\n"),
    case("looks like nothing", "", "a,b,c\nNULL,NA,nan\n"),
    case("formula", "", "a,b,c\n=1+1,@x,-3\n"),
    case("quote behind a delimiter in text", "", "a,b,c\n1,x \"y\" z,3\n"),
    case("only quotes", "", "a,b,c\n\"\",\"\",\"x\"\n"),
    in_encoding("GB18030", "gb18030", PLACE),
    in_encoding("GBK", "gbk", "a,b,c\n1,黄桥街道,青云路\n2,镕,x\n"),
    in_encoding("GB2312 text as GB18030", "gb18030", "a,b,c\n1,中文,报警\n"),
    in_encoding(
        "GB18030 quoted",
        "gb18030",
        "a,b,c\n1,\"黄桥,街道\",\"青\"\"云\"\"路\"\n",
    ),
    in_encoding("Big5", "big5", "a,b,c\n1,報警,經一\n2,許功蓋,x\n"),
    in_encoding("UTF-16 little endian", "utf-16le", PLACE),
    in_encoding("UTF-16 big endian", "utf-16be", PLACE),
    disputed(
        "mixed line ends",
        "",
        "a,b,c\n1,2,3\r\n4,5,6\n7,8,9\r\n",
        "1|2|3/4|5|6/7|8|9",
        "each record ends by its own mark; no row is lost because another ends otherwise",
    ),
    disputed(
        "blank line",
        "",
        "a,b,c\n1,2,3\n\n4,5,6\n",
        "1|2|3/4|5|6",
        "an empty line is no record",
    ),
    disputed(
        "blank lines at the end",
        "",
        "a,b,c\n1,2,3\n\n\n",
        "1|2|3",
        "an empty line is no record",
    ),
    disputed(
        "comments",
        "comment = \"#\"",
        "# made by\na,b,c\n# note, with \"quote\n1,2,3\n",
        "1|2|3",
        "a declared comment is passed over with whatever stands in it; two of the readers know none",
    ),
    disputed(
        "too few fields",
        "",
        "a,b,c\n1,2\n4,5,6\n",
        "4|5|6",
        "a row of another width is refused, not filled up",
    ),
    disputed(
        "too many fields",
        "",
        "a,b,c\n1,2,3,4\n4,5,6\n",
        "4|5|6",
        "a row of another width is refused, not cut",
    ),
    disputed(
        "text behind a closing quote",
        "",
        "a,b,c\n1,\"x\"y,3\n4,5,6\n",
        "4|5|6",
        "nobody knows what was meant: the line is refused",
    ),
    disputed(
        "quote that never closes",
        "",
        "a,b,c\n1,\"x,3\n4,5,6\n7,8,9\n",
        "4|5|6/7|8|9",
        "the line it opens in is refused and swallows no other",
    ),
    disputed(
        "quote that closes rows later",
        "",
        "a,b,c\n1,\"x,3\n4,5,6\n7,\"8\",9\n",
        "4|5|6/7|8|9",
        "the line it opens in is refused and swallows no other",
    ),
    disputed(
        "carriage returns alone",
        "",
        "a,b,c\r1,2,3\r4,5,6\r",
        "1|2|3/4|5|6",
        "files of old systems end their lines so",
    ),
    disputed(
        "blanks around fields",
        "",
        "a,b,c\n 1 , 2 ,3\n",
        "1|2|3",
        "blanks around a value mean nothing in a contract",
    ),
    disputed(
        "blank before a quote",
        "",
        "a,b,c\n1, \"x\",3\n",
        "1|\"x\"|3",
        "a quote behind a blank opens nothing: it is text",
    ),
];

/// Encodings and a few words of each; in the two-byte ones the second byte of some is a pipe, a caret or a
/// backslash.
const WORDS: [(&str, [&str; 3]); 6] = [
    ("utf-8", ["黄桥", "𠮷野家", "青云路"]),
    ("gb18030", ["東縷乛", "區規俓", "乗淺㐂𠮷"]),
    ("gbk", ["東縷乛", "區哵俓", "乗淺"]),
    ("big5", ["育四院", "回吾英", "許功蓋"]),
    ("utf-16le", ["黄桥", "𠮷野家", "青云路"]),
    ("utf-16be", ["黄桥", "𠮷野家", "青云路"]),
];

/// How a file is written, with places for three words.
const FORMS: [(&str, &str, &str); 9] = [
    ("CRLF", "", "a,b,c\r\n1,{0},{1}\r\n2,{2},x\r\n"),
    ("no last line end", "", "a,b,c\n1,{0},{1}\n2,{2},x"),
    ("quoted line end", "", "a,b,c\n1,\"{0}\n{1}\",{2}\n2,x,y\n"),
    ("doubled quotes", "", "a,b,c\n1,\"{0} \"\"{1}\"\"\",{2}\n"),
    ("quoted semicolons", SEMICOLON, "a;b;c\n1;\"{0};{1}\";{2}\n"),
    ("tabs", TAB, "a\tb\tc\n{0}\t{1}\t{2}\n"),
    ("pipes", PIPE, "a|b|c\n{0}|{1}|{2}\n"),
    ("carets", CARET, "a^b^c\n{0}^{1}^{2}\n"),
    ("backslashes", BACKSLASH, "a,b,c\n1,\"{0} \\\"{1}\\\"\",{2}\n"),
];

/// The written cases, and every form in every encoding.
fn cases() -> Vec<Case> {
    let crossed = WORDS.iter().flat_map(|(encoding, words)| {
        FORMS.iter().map(move |(name, declared, form)| Case {
            name: Cow::Owned(format!("{name} in {encoding}")),
            text: Cow::Owned(
                form.replace("{0}", words[0])
                    .replace("{1}", words[1])
                    .replace("{2}", words[2]),
            ),
            declared,
            encoding,
            ours: None,
        })
    });
    CASES.iter().cloned().chain(crossed).collect()
}

fn encoded(case: &Case) -> Vec<u8> {
    match case.encoding {
        "utf-8" => case.text.as_bytes().to_vec(),
        "utf-16le" => case.text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => case.text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        name => {
            let encoding = encoding_rs::Encoding::for_label(name.as_bytes()).expect("an encoding");
            let (bytes, _, lost) = encoding.encode(&case.text);
            assert!(!lost, "{}: not in {name}", case.name);
            bytes.into_owned()
        }
    }
}

const PEERS: &str = r##"
import csv, io, json, sys
import duckdb, pandas
out = []
for case in json.load(open(sys.argv[1])):
    d, q, e, enc = case["delimiter"], case["quote"], case["escape"], case["python"]
    raw = open(case["path"], "rb").read().decode(enc)
    skip = case["skip"]
    found = {}
    try:
        text = raw.lstrip("\ufeff")
        for _ in range(skip): text = text[text.index("\n") + 1:]
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=d, quotechar=q or None, doublequote=not e,
                          escapechar=e or None, quoting=csv.QUOTE_MINIMAL if q else csv.QUOTE_NONE)
        found["csv"] = [row for row in rows][1:]
    except Exception as error: found["csv"] = "error: %s" % error
    try:
        frame = pandas.read_csv(io.BytesIO(raw.encode("utf-8")), sep=d, quotechar=q or '"', quoting=0 if q else 3, escapechar=e or None,
                                doublequote=not e, dtype=str, keep_default_na=False, na_values=[], skiprows=skip, index_col=False, encoding="utf-8-sig")
        found["pandas"] = [[str(value) for value in row] for row in frame.values.tolist()]
    except Exception as error: found["pandas"] = "error: %s" % error
    try:
        copy = case["path"] + ".utf8"
        open(copy, "wb").write(raw.encode("utf-8"))
        options = f"delim={json.dumps(d)[1:-1]!r}".replace('"', "'") if d != "\t" else "delim='\\t'"
        quote = (q or "").replace("'", "''")
        escape = (e or q or "").replace("'", "''")
        relation = duckdb.sql(f"SELECT * FROM read_csv('{copy}', all_varchar=true, header=true, auto_detect=false, columns={{'a':'VARCHAR','b':'VARCHAR','c':'VARCHAR'}}, {options}, quote='{quote}', escape='{escape}', skip={skip}, nullstr='@none@')")
        found["duckdb"] = [["" if value is None else value for value in row] for row in relation.fetchall()]
    except Exception as error: found["duckdb"] = "error: %s" % error
    out.append(found)
print(json.dumps(out))
"##;

/// A setting of the contract, as a peer is told it.
fn declared(case: &Case, key: &str, default: &str) -> String {
    let table: toml::Table = case.declared.parse().expect("TOML");
    table
        .get(key)
        .and_then(toml::Value::as_str)
        .unwrap_or(default)
        .to_owned()
}

fn rows(site: &Path, at: usize) -> Vec<Vec<String>> {
    let name = format!("source.case_{at}");
    let sql = format!(
        "SELECT coalesce(a, '') AS a, coalesce(b, '') AS b, coalesce(c, '') AS c FROM {name} ORDER BY source_line"
    );
    let row = |row: &Value| -> Vec<String> {
        let field = |name| row[name].as_str().unwrap_or_default().to_owned();
        ["a", "b", "c"].map(field).to_vec()
    };
    select(site, &name, &sql).iter().map(row).collect()
}

/// Blanks around a value mean nothing in a contract.
fn trimmed(found: &Value) -> Option<Vec<Vec<String>>> {
    let rows = found.as_array()?.iter();
    let row = |row: &Value| -> Vec<String> {
        let fields = row.as_array().into_iter().flatten();
        fields
            .map(|field| field.as_str().unwrap_or_default().trim().to_owned())
            .collect()
    };
    Some(rows.map(row).collect())
}

#[test]
fn the_accepted_rows_are_those_of_three_other_readers_where_they_agree() {
    let (dir, contracts) = bare_site();
    let site = dir.path();
    let mut peers = Vec::new();
    let cases = cases();
    for (at, case) in cases.iter().enumerate() {
        let path = site.join(format!("inbox/case_{at}.csv"));
        std::fs::write(&path, encoded(case)).expect("a file");
        let contract = format!(
            "from = \"inbox/case_{at}.csv\"\ninto = \"source.case_{at}\"\ncounty = \"none\"\nkey = []\nencoding = \"{}\"\n{}\n\
            [columns]\na = {{ protect = \"public\" }}\nb = {{ protect = \"public\" }}\nc = {{ protect = \"public\" }}\n",
            case.encoding, case.declared
        );
        std::fs::write(contracts.join(format!("case_{at}.toml")), contract).expect("a contract");
        let skip = if case.declared == SKIP { 2 } else { 0 };
        peers.push(json!({
            "path": path, "delimiter": declared(case, "delimiter", ","), "quote": declared(case, "quote", "\""),
            "escape": declared(case, "escape", ""), "skip": skip, "python": case.encoding.replace("utf-16", "utf-16-"),
        }));
    }
    ok(&["--site", &site.display().to_string(), "--quiet", "ingest"]);
    for (at, case) in cases.iter().enumerate() {
        if let Some((ours, why)) = case.ours {
            println!("{}: {ours}: {why}", case.name);
            let expected: Vec<Vec<String>> = ours
                .split('/')
                .map(|row| row.split('|').map(str::to_owned).collect())
                .collect();
            assert_eq!(rows(site, at), expected, "{}", case.name);
        }
    }
    let list = site.join("cases.json");
    std::fs::write(&list, serde_json::to_vec(&peers).expect("JSON")).expect("a file");
    let Some(said) = python(&["duckdb", "pandas"], PEERS, &[&list.display().to_string()]) else {
        return;
    };
    let said: Vec<Value> = serde_json::from_str(&said).expect("JSON");
    let (mut agreed, mut wrong) = (0, Vec::new());
    for (at, (case, found)) in cases.iter().zip(&said).enumerate() {
        let theirs = [&found["csv"], &found["pandas"], &found["duckdb"]].map(trimmed);
        let [Some(csv), Some(pandas), Some(duckdb)] = theirs else {
            if case.ours.is_none() {
                wrong.push(format!(
                    "{}: a reader failed, and no verdict is written: {found}",
                    case.name
                ));
            }
            continue;
        };
        if csv == pandas && pandas == duckdb {
            agreed += 1;
            if rows(site, at) != csv {
                wrong.push(format!("{}: {:?}, the others {csv:?}", case.name, rows(site, at)));
            }
        } else if case.ours.is_none() {
            wrong.push(format!(
                "{}: the others disagree, and no verdict is written: {found}",
                case.name
            ));
        }
    }
    println!("{} cases, {agreed} on which the three readers agree", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        agreed * 10 >= cases.len() * 9,
        "only {agreed} of {} cases are agreed on",
        cases.len()
    );
}
