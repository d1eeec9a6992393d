//! One table in every container and from every place: the rows are the same.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{bare_site, fenghuo, ok, python, run, select, text};

/// Writes the same 2,500 calls as CSV, XLSX, Parquet and a ZIP archive of two CSV files.
const CONTAINERS: &str = r#"
import csv, datetime, io, os, sys, zipfile
import openpyxl, pyarrow as pa, pyarrow.parquet as pq
inbox = sys.argv[1]
rows = []
for n in range(2500):
    when = datetime.datetime(2025, 1, 1) + datetime.timedelta(minutes=7 * n, seconds=n % 60)
    rows.append([f"A{n:05d}", when, ["纠纷", "盗窃, 入室", "求助\n二次"][n % 3], n % 7 if n % 11 else None, 117.1 + n / 1e5])
names = ["警情编号", "reported_at", "category", "priority", "lon"]
def text(row): return [row[0], row[1].isoformat(" "), row[2], "" if row[3] is None else row[3], repr(row[4])]
def sheet(part):
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows(text(row) for row in part)
    return out.getvalue().encode()
for kind in ["csv", "xlsx", "parquet", "zip"]: os.makedirs(f"{inbox}/{kind}", exist_ok=True)
open(f"{inbox}/csv/calls.csv", "wb").write(sheet(rows))
book = openpyxl.Workbook()
page = book.active
page.title = "警情"
page.append(["某市警情台账"])
page.append(names)
for at, row in enumerate(rows):
    if at == 100: page.append([])
    page.append(row)
book.create_sheet("Sheet2")
book.save(f"{inbox}/xlsx/calls.xlsx")
columns = list(zip(*rows))
table = pa.table({names[0]: columns[0], names[1]: pa.array(columns[1], pa.timestamp("us")), names[2]: columns[2],
                  names[3]: pa.array(columns[3], pa.int32()), names[4]: columns[4], "extra": columns[0]})
pq.write_table(table, f"{inbox}/parquet/calls.parquet", row_group_size=300, compression="snappy")
with zipfile.ZipFile(f"{inbox}/zip/calls.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("一月/calls_1.csv", sheet(rows[:1000]))
    archive.writestr("一月/calls_2.csv", sheet(rows[1000:]))
    archive.writestr("__MACOSX/._calls", b"x")
"#;

fn contract(kind: &str, from: &str, rest: &str) -> String {
    format!(
        "title_zh = \"警情\"\ntitle_en = \"calls\"\nfrom = \"{from}\"\ninto = \"source.{kind}\"\ncounty = \"990101\"\n\
         crs = \"wgs84\"\nkey = [\"alarm_no\"]\n{rest}\n[columns]\n\
         alarm_no = {{ from = \"警情编号\", protect = \"key\", required = true }}\n\
         reported_at = {{ type = \"timestamp\", protect = \"public\", format = [\"%Y-%m-%d %H:%M:%S\", \"%Y-%m-%dT%H:%M:%S\"] }}\n\
         category = {{ protect = \"public\", required = true }}\n\
         priority = {{ type = \"int\", protect = \"public\" }}\n\
         lon = {{ type = \"lon\", protect = \"public\" }}\n"
    )
}

fn stored(site: &Path, kind: &str) -> Vec<serde_json::Value> {
    let sql = format!("SELECT row_key, reported_at, category, priority, lon FROM source.{kind} ORDER BY reported_at");
    select(site, &format!("source.{kind}"), &sql)
}

fn count(site: &Path, sql: &str) -> i64 {
    select(site, "ops.ingest", sql)[0]["n"].as_i64().expect("a number")
}

#[test]
fn every_container_gives_the_rows_of_the_table_in_it() {
    let (site, contracts) = bare_site();
    let inbox = site.path().join("inbox");
    let modules = ["openpyxl", "pyarrow"];
    if python(&modules, CONTAINERS, &[&inbox.display().to_string()]).is_none() {
        return;
    }
    for (kind, rest) in [
        ("csv", ""),
        ("xlsx", "skip_lines = 1"),
        ("parquet", ""),
        ("zip", "format = \"csv\""),
    ] {
        let from = format!("inbox/{kind}/*.{kind}");
        std::fs::write(contracts.join(format!("{kind}.toml")), contract(kind, &from, rest)).expect("a contract");
    }
    let at = site.path().display().to_string();
    ok(&["--site", &at, "--quiet", "ingest"]);
    let expected = stored(site.path(), "csv");
    assert_eq!(expected.len(), 2_500);
    for kind in ["xlsx", "parquet", "zip"] {
        let mut found = stored(site.path(), kind);
        // keys are of their source systems
        let strip = |rows: &mut Vec<serde_json::Value>| {
            for row in rows {
                row.as_object_mut().expect("a row").remove("row_key");
            }
        };
        let mut expected = expected.clone();
        strip(&mut expected);
        strip(&mut found);
        assert!(
            found == expected,
            "{kind}: {} rows, first {:?}",
            found.len(),
            found.first()
        );
    }
    // two files of the archive are two batches, and each is skipped when it comes again
    let batches = "SELECT count(DISTINCT batch_id) AS n FROM ops.ingest WHERE table_name = 'source.zip'";
    assert_eq!(count(site.path(), batches), 2);
    let unknown = "SELECT unknown_columns FROM ops.ingest WHERE table_name = 'source.parquet'";
    assert_eq!(
        select(site.path(), "ops.ingest", unknown)[0]["unknown_columns"],
        "extra"
    );
    ok(&["--site", &at, "--quiet", "ingest"]);
    assert_eq!(count(site.path(), "SELECT count(*) AS n FROM ops.ingest"), 5);
    // what was read still lies there, and the operator is told
    std::fs::write(inbox.join("csv/late.csv"), "x").expect("a file");
    let doctor = ok(&["--site", &at, "doctor"]);
    assert!(doctor.contains("new 1, stored 5"), "{doctor}");
    // a draft reads what an ingest reads
    let file = inbox.join("parquet/calls.parquet").display().to_string();
    let draft = ok(&["--site", &at, "contract", "infer", &file]);
    assert!(
        draft.contains("*.parquet\"") && !draft.contains("format = \"ndjson\""),
        "{draft}"
    );
    assert!(
        draft.contains("from = \"警情编号\"") && draft.contains("type = \"timestamp\""),
        "{draft}"
    );
}

/// Rows of a sheet are told by the numbers a person sees beside them.
#[test]
fn a_refused_row_of_a_sheet_is_named_by_its_row() {
    let (site, contracts) = bare_site();
    let script = r#"
import openpyxl, sys
book = openpyxl.Workbook()
page = book.active
page.append(["no", "n"])
page.append(["a\nb", 1])
page.append([])
page.append(["c", "one"])
page.append(["d", "=1/0"])
book.save(sys.argv[1] + "/a.xlsx")
two = openpyxl.Workbook()
two.active.append(["no", "n"])
two.create_sheet("other").append(["no", "n"])
two.save(sys.argv[1] + "/b.xlsx")
"#;
    let inbox = site.path().join("inbox").display().to_string();
    if python(&["openpyxl"], script, &[&inbox]).is_none() {
        return;
    }
    let contract = "from = \"inbox/*.xlsx\"\ninto = \"source.sheet\"\ncounty = \"990101\"\nkey = [\"no\"]\n[columns]\n\
                    no = { protect = \"public\" }\nn = { type = \"int\", protect = \"public\", required = true }\n";
    std::fs::write(contracts.join("sheet.toml"), contract).expect("a contract");
    let output = run(&["--site", &site.path().display().to_string(), "--lang", "en", "ingest"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("several sheets [\"Sheet\", \"other\"]"), "{said}");
    let refused = select(
        site.path(),
        "ops.reject",
        "SELECT line, reason, value_masked FROM ops.reject ORDER BY line",
    );
    let lines: Vec<_> = refused
        .iter()
        .map(|row| (row["line"].as_i64(), row["reason"].as_str()))
        .collect();
    assert_eq!(
        lines,
        [(Some(4), Some("type")), (Some(5), Some("missing"))],
        "{refused:?}"
    );
}

/// A real S3 server with a bucket of two files, until dropped.
struct Server(Child, u16);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const SERVER: &str = r#"
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                      aws_access_key_id="test", aws_secret_access_key="test")
client.create_bucket(Bucket="county")
body = "no,n\n" + "".join(f"r{n},{n}\n" for n in range(200000))
client.put_object(Bucket="county", Key="in/a.csv", Body=body.encode())
client.put_object(Bucket="county", Key="in/b.csv", Body=b"no,n\nx,1\n")
client.put_object(Bucket="county", Key="in/a.csv.manifest", Body=b'{"rows": 200000}')
client.put_object(Bucket="county", Key="in/deeper/c.csv", Body=b"no,n\ny,1\n")
print("port", port, flush=True)
for line in sys.stdin:
    client.put_object(Bucket="county", Key="in/b.csv.manifest", Body=b'{"rows": 1}')
    print("put", flush=True)
"#;

#[test]
fn files_of_an_object_store_are_read_where_they_lie() {
    if python(&["moto.server", "boto3"], "", &[]).is_none() {
        return;
    }
    let interpreter = std::env::var("FENGHUO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let child = Command::new(interpreter)
        .args(["-c", SERVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python starts");
    let mut server = Server(child, 0);
    let mut said = BufReader::new(server.0.stdout.take().expect("a pipe"));
    let mut line = String::new();
    // the server talks before it is there
    while !line.starts_with("port ") {
        line.clear();
        assert!(said.read_line(&mut line).expect("a line") > 0, "the server ended");
    }
    server.1 = line[5..].trim().parse().expect("a port");

    let (site, contracts) = bare_site();
    let contract = "from = \"s3://county/in/*.csv\"\ninto = \"source.remote\"\ncounty = \"990101\"\nkey = [\"no\"]\n\
                    complete = \"manifest\"\n[columns]\nno = { protect = \"key\" }\nn = { type = \"int\", protect = \"public\" }\n";
    std::fs::write(contracts.join("remote.toml"), contract).expect("a contract");
    let ingest = || {
        let output = fenghuo()
            .args(["--site", &site.path().display().to_string(), "--lang", "en", "ingest"])
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", server.1))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .expect("the program starts");
        (output.status.code(), text(&output.stderr))
    };
    let (code, words) = ingest();
    assert_eq!(code, Some(0), "{words}");
    assert!(
        words.contains("s3://county/in/b.csv"),
        "the one without manifest waits: {words}"
    );
    let all = "SELECT sum(accepted) AS n FROM ops.ingest";
    assert_eq!(count(site.path(), all), 200_000);
    use std::io::Write;
    server
        .0
        .stdin
        .as_mut()
        .expect("a pipe")
        .write_all(b"\n")
        .expect("a word");
    said.read_line(&mut line).expect("an answer");
    let (code, words) = ingest();
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(count(site.path(), all), 200_001);
    let names = select(
        site.path(),
        "ops.ingest",
        "SELECT DISTINCT file FROM ops.ingest ORDER BY file",
    );
    assert_eq!(names[0]["file"], "s3://county/in/a.csv");
}
