//! Archives, sheets and Parquet files of every maker, and those made to hurt: what each must come to.
//!
//! A file is read whole, or is refused in words that say why; the good file beside it is read every time,
//! the program ends with a code of its own, soon, and in bounded memory. The tables say what a careful
//! person wants of each file, whatever the libraries below make of it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{bare_site, fenghuo, folder, python, select};

/// Memory of a debug build at work on any of these files.
const MOST_KIB: u64 = 512 << 10;
/// A run over some files that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// Files of one run: the program shows the first twenty of its problems.
const TOGETHER: usize = 12;

/// What a file must come to.
#[derive(Clone, Copy)]
enum Verdict {
    /// This many rows, each accepted.
    Read(i64),
    /// Rows accepted, rows refused, and for what reason.
    Part(i64, i64, &'static str),
    /// Refused as a whole, with this word.
    Refused(&'static str),
    /// Every one of these rows accounted for, or the file refused as a whole.
    Either(i64),
}

use Verdict::{Either, Part, Read, Refused};

impl Verdict {
    /// Codes that a run over such files, and a good one, may end with.
    fn codes(self) -> &'static [i32] {
        match self {
            Read(_) | Part(..) => &[0],
            Refused(_) => &[1],
            Either(_) => &[0, 1, 2, 5, 6, 7],
        }
    }
}

/// A text that a cell holds, or one that it must not become. A row that is refused holds neither.
enum Cell {
    Is(i64, &'static str),
    IsNot(i64, &'static str),
}

/// Files of one kind.
struct Corpus {
    ending: &'static str,
    format: &'static str,
    /// Makes the files in a folder, with this module of Python.
    script: &'static str,
    module: &'static str,
    /// Names of files, each with what it must come to; `*` at the end stands for every other file.
    cases: &'static [Case<'static>],
    cells: &'static [Cell],
}

type Case<'a> = (&'a str, Verdict);

/// How a run ended: its code, what it said, the most memory it held.
struct Ended {
    code: Option<i32>,
    said: String,
    peak_kib: u64,
}

/// Ingests a site, and looks at the memory while it does; a run without end is killed and has no code.
fn watched(site: &Path) -> Ended {
    let path = site.join("said");
    let file = std::fs::File::create(&path).expect("a file");
    let mut child = fenghuo()
        .args(["--site", &site.display().to_string(), "--lang", "en", "ingest"])
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let started = Instant::now();
    let mut peak_kib = 0;
    let code = loop {
        // the line is gone as soon as the program is
        let held = std::fs::read_to_string(&status).unwrap_or_default();
        let line = held.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("a child") {
            break status.code();
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("a child");
            child.wait().expect("a child");
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let said = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
    Ended { code, said, peak_kib }
}

/// Whether a line or a row of the account is about this file or a member of it.
fn is_of(words: &str, file: &str) -> bool {
    let rest = words
        .trim_start()
        .strip_prefix("inbox/")
        .and_then(|words| words.strip_prefix(file));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['!', ':']))
}

/// The problems of a file as the run told them, with the lines of their causes.
fn problems(said: &str, file: &str) -> String {
    let mut found = String::new();
    let mut within = false;
    for line in said.lines().skip_while(|line| !line.starts_with("error:")) {
        within = is_of(line, file) || within && line.starts_with("    |");
        if within {
            found.push_str(line.trim());
            found.push('\n');
        }
    }
    found
}

/// What is wrong about a file after its run; `None` where it is as its verdict says.
fn fault(file: &str, verdict: Verdict, account: &[Value], said: &str) -> Option<String> {
    let own: Vec<&Value> = account
        .iter()
        .filter(|row| row["file"].as_str().is_some_and(|name| is_of(name, file)))
        .collect();
    let sum = |column: &str| own.iter().filter_map(|row| row[column].as_i64()).sum::<i64>();
    let reasons: String = own.iter().filter_map(|row| row["reasons"].as_str()).collect();
    let told = problems(said, file);
    let counts = (sum("read"), sum("accepted"), sum("rejected"));
    let right = match verdict {
        Read(rows) => counts == (rows, rows, 0) && !own.is_empty() && told.is_empty(),
        Part(accepted, rejected, reason) => {
            counts == (accepted + rejected, accepted, rejected) && reasons.contains(reason) && told.is_empty()
        }
        Refused(word) => own.is_empty() && told.contains(word) && !told.is_empty(),
        Either(_) if own.is_empty() => !told.is_empty(),
        Either(rows) => counts.0 == rows && counts.1 + sum("duplicate") + counts.2 == rows && told.is_empty(),
    };
    (!right).then(|| format!("{file}: read, accepted, rejected {counts:?} {reasons} {told}"))
}

/// Cells that hold what they must not.
fn false_cells(site: &Path, corpus: &Corpus) -> Vec<String> {
    if corpus.cells.is_empty() {
        return Vec::new();
    }
    let table = format!("source.{}", corpus.ending);
    let stored = select(site, &table, &format!("SELECT a, b FROM {table}"));
    let mut found = Vec::new();
    for cell in corpus.cells {
        let (Cell::Is(a, _) | Cell::IsNot(a, _)) = cell;
        let Some(row) = stored.iter().find(|row| row["a"].as_i64() == Some(*a)) else {
            continue;
        };
        let b = row["b"].as_str().unwrap_or_default();
        match cell {
            Cell::Is(_, text) if b != *text => found.push(format!("row {a}: {text:?} became {b:?}")),
            Cell::IsNot(_, text) if b.starts_with(text) => found.push(format!("row {a} became {b:?}")),
            _ => {}
        }
    }
    found
}

/// Ingests some files beside a good one. Where something is wrong, each file is tried alone, so that it
/// is named and stands for nothing but itself.
fn judged(folder: &Path, corpus: &Corpus, cases: &[Case<'_>]) -> (Vec<String>, u64) {
    let (dir, contracts) = bare_site();
    let Corpus { ending, format, .. } = corpus;
    let contract = format!(
        "from = \"inbox/*.{ending}\"\ninto = \"source.{ending}\"\ncounty = \"none\"\nkey = []\nformat = \"{format}\"\n[columns]\n\
         a = {{ type = \"int\", protect = \"public\", required = true }}\nb = {{ protect = \"public\" }}\n"
    );
    std::fs::write(contracts.join("one.toml"), contract).expect("a contract");
    let file = |name: &str| format!("{name}.{ending}");
    for name in cases.iter().map(|(name, _)| *name).chain(["good"]) {
        let from = folder.join(file(name));
        std::fs::copy(&from, dir.path().join("inbox").join(file(name))).expect(name);
    }
    let ended = watched(dir.path());
    let mut faults = Vec::new();
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    if !ended.code.is_some_and(|code| cases[0].1.codes().contains(&code)) {
        faults.push(format!("{names:?}: exit code {:?}: {}", ended.code, ended.said.trim()));
    }
    if ended.peak_kib > MOST_KIB {
        faults.push(format!("{names:?}: {} MiB of memory", ended.peak_kib >> 10));
    }
    // after a crash there may be no lake to look into
    if matches!(ended.code, Some(0..=7)) {
        let sql = "SELECT file, read, accepted, duplicate, rejected, reasons FROM ops.ingest";
        let account = select(dir.path(), "ops.ingest", sql);
        for (name, verdict) in cases.iter().chain([&("good", Read(1))]) {
            faults.extend(fault(&file(name), *verdict, &account, &ended.said));
        }
        faults.extend(false_cells(dir.path(), corpus));
    }
    if faults.is_empty() || cases.len() == 1 {
        return (faults, ended.peak_kib);
    }
    let alone: Vec<_> = cases.chunks(1).map(|case| judged(folder, corpus, case)).collect();
    let peak = alone.iter().map(|(_, peak)| *peak).chain([ended.peak_kib]).max();
    let found: Vec<String> = alone.into_iter().flat_map(|(faults, _)| faults).collect();
    // what is wrong only together stays wrong
    (if found.is_empty() { faults } else { found }, peak.unwrap_or(0))
}

/// Holds every case of a corpus, in few runs of files that end with the same code.
fn hold(corpus: &Corpus) {
    let folder = folder();
    if python(&[corpus.module], corpus.script, &[&folder.path().display().to_string()]).is_none() {
        return;
    }
    let fits = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    let entries = std::fs::read_dir(folder.path()).expect("a folder");
    let names = entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.display().to_string()));
    let mut made: Vec<String> = names.filter(|name| name != "good").collect();
    made.sort();
    for (pattern, _) in corpus.cases {
        assert!(made.iter().any(|name| fits(pattern, name)), "no file {pattern}");
    }
    let case = |name: &str| corpus.cases.iter().find(|(pattern, _)| fits(pattern, name));
    let verdict = |name: &str| case(name).expect(name).1;
    let (mut faults, mut most) = (Vec::new(), 0);
    for alike in [Read(0), Refused(""), Either(0)] {
        let cases = made.iter().map(|name| (name.as_str(), verdict(name)));
        let cases: Vec<Case<'_>> = cases.filter(|(_, verdict)| verdict.codes() == alike.codes()).collect();
        for some in cases.chunks(TOGETHER) {
            let (found, peak) = judged(folder.path(), corpus, some);
            faults.extend(found);
            most = most.max(peak);
        }
    }
    println!("{} files .{}: {} MiB at most", made.len(), corpus.ending, most >> 10);
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// Archives as `zipfile` writes them, and the same with bytes changed.
const ARCHIVES: &str = r##"
import gzip, io, struct, sys, warnings, zlib
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo
folder = sys.argv[1]; warnings.simplefilter("ignore") # of two entries of one name
count = iter(range(1, 1 << 40))
def csv(rows): # rows that no other file has: the same again would be duplicates
    return b"a,b\n" + b"".join(b"%d,text\n" % next(count) for _ in range(rows))
def save(name, data):
    with open(f"{folder}/{name}.zip", "wb") as file: file.write(data)
def packed(members, method=ZIP_DEFLATED, comment=b"", before=b""):
    out = io.BytesIO(before)
    out.seek(len(before))
    with ZipFile(out, "w" if not before else "a", method) as archive:
        for name, data in members:
            info = name if isinstance(name, ZipInfo) else ZipInfo(name)
            archive.writestr(info, data, method)
        archive.comment = comment
    return out.getvalue()
def info(name, mode=0o100644):
    made = ZipInfo(name)
    made.create_system, made.external_attr = 3, mode << 16
    return made
def edited(data, *changes): # each: which header, offset in it, format, value
    data = bytearray(data)
    for mark, offset, form, value in changes:
        at = data.index(mark)
        struct.pack_into(form, data, at + offset, value)
    return bytes(data)
def named(raw): # one file under a name of raw bytes, as other programs write it
    return packed([("N" * len(raw), csv(2))]).replace(b"N" * len(raw), raw)
LOCAL, DIRECTORY, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
def one(method=ZIP_DEFLATED): return packed([("a.csv", csv(3))], method)
# archives of every maker that people use
save("one", one())
save("stored", one(ZIP_STORED))
class Pipe(io.RawIOBase): # cannot be sought in
    data = b""
    def write(self, data): self.data += bytes(data); return len(data)
pipe = Pipe()
with ZipFile(pipe, "w", ZIP_DEFLATED) as archive:
    archive.writestr("a.csv", csv(3)); archive.writestr("b.csv", csv(4))
save("data_descriptor", pipe.data)
out = io.BytesIO()
with ZipFile(out, "w", ZIP_DEFLATED) as archive:
    with archive.open("a.csv", "w", force_zip64=True) as member: member.write(csv(3))
save("zip64", out.getvalue())
save("comment", packed([("a.csv", csv(3))], comment=b"made by \xb5\xc4 " * 100))
save("extractor", packed([("a.csv", csv(3))], before=b"MZ" + b"\x90" * 5000))
save("prefix_unknown", b"MZ" + b"\x90" * 5000 + one())
save("bytes_behind", one() + b"\0" * 500)
# names made to climb
for name, path in [("climbs", "../x.csv"), ("climbs_inside", "a/../../x.csv"), ("rooted", "/etc/x.csv"), ("drive", "C:/x.csv"),
                   ("300", "n" * 296 + ".csv"), ("255", "n" * 251 + ".csv")]: save(f"name_{name}", packed([(path, csv(2))]))
for name, raw in [("backslash", b"..\\..\\x.csv"), ("backslash_rooted", b"\\\\host\\x.csv"), ("nul", b"a\0.csv"), ("control", b"a\x1b[2J.csv"),
                  ("no_text", b"\xff\xff\xff.csv"), ("gbk", "一月.csv".encode("gbk")), ("utf8", "警情.csv".encode())]: save(f"name_{name}", named(raw))
for name, *changes in [("encrypted", (LOCAL, 6, "<H", 1), (DIRECTORY, 8, "<H", 1)), ("encrypted_directory_only", (DIRECTORY, 8, "<H", 1))]: save(name, edited(one(), *changes))
# directories that lie
two = packed([("a.csv", csv(3)), ("b.csv", csv(3))], ZIP_STORED); second = two.rindex(DIRECTORY)
save("one_header_twice", two[:second] + edited(two[second:], (DIRECTORY, 42, "<I", 0)))
def quoted(files): # Fifield: the bytes of each file quote the headers of those behind it
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    whole = csv(1000)
    body = coder.compress(whole) + coder.flush()
    heads, behind = [], b""
    for n in reversed(range(files)):
        if behind:
            body, whole = b"\0" + struct.pack("<HH", len(head), len(head) ^ 0xFFFF) + head + body, head + whole
        name = b"%03d.csv" % n
        sizes = struct.pack("<III", zlib.crc32(whole), len(body), len(whole))
        head = struct.pack("<IHHHHH", 0x04034B50, 20, 0, 8, 0, 0x21) + sizes + struct.pack("<HH", len(name), 0) + name
        heads.insert(0, (name, sizes, len(body)))
        behind = head + body
    entries, end = b"", len(behind)
    for name, sizes, size in heads:
        entries += struct.pack("<IHHHHHH", 0x02014B50, 20, 20, 0, 8, 0, 0x21) + sizes
        entries += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, end - size - 30 - len(name)) + name
    return behind + entries + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, files, files, len(entries), end, 0)
save("quoted_overlap", quoted(50))
save("entries_1000", packed([("a.csv", csv(2))] + [(f".{n}", b"") for n in range(999)]))
save("entries_1001", packed([("a.csv", csv(2))] + [(f".{n}", b"") for n in range(1000)]))
save("entries_lie", edited(one(), (END, 8, "<H", 60000), (END, 10, "<H", 60000)))
zeros = b"a,b\n1," + b"0" * (100 << 20)
save("ratio", packed([("a.csv", zeros)]))
bulk = packed([("a.csv", csv(10_000))])
for name, *changes in [
    ("size_short", (LOCAL, 22, "<I", 500), (DIRECTORY, 24, "<I", 500)), ("size_long", (LOCAL, 22, "<I", 200_000), (DIRECTORY, 24, "<I", 200_000)),
    ("packed_short", (LOCAL, 18, "<I", 50), (DIRECTORY, 20, "<I", 50)), ("packed_long", (LOCAL, 18, "<I", 1 << 30), (DIRECTORY, 20, "<I", 1 << 30)),
    ("size_4gib", (DIRECTORY, 24, "<I", 0xFFFFFFFE)), ("crc", (LOCAL, 14, "<I", 1), (DIRECTORY, 16, "<I", 1)), ("extra_long", (LOCAL, 28, "<H", 65535)),
    ("header_behind_end", (DIRECTORY, 42, "<I", 1 << 30)), ("header_elsewhere", (DIRECTORY, 42, "<I", 3)),
    ("directory_behind_end", (END, 16, "<I", 1 << 30)), ("disk_2", (END, 4, "<H", 1)),
]: save(name, edited(bulk, *changes))
save("ratio_lies", edited(packed([("a.csv", zeros)]), (LOCAL, 22, "<I", 1000), (DIRECTORY, 24, "<I", 1000)))
save("flipped", one(ZIP_STORED).replace(b",text\n", b",texT\n", 1))
for tenth in range(1, 10): save(f"cut_{tenth}", bulk[:len(bulk) * tenth // 10])
save("deflate_broken", edited(one(), (LOCAL, 36, "<Q", 0xFFFFFFFFFFFFFFFF)))
save("member_gz_bomb", packed([("a.csv.gz", gzip.compress(zeros))], ZIP_STORED))
for name, method in [("bzip2", ZIP_BZIP2), ("lzma", ZIP_LZMA)]: save(name, one(method))
for name, data in [("text", csv(2)), ("gzip", gzip.compress(csv(3))), ("rar", b"Rar!\x1a\7\1\0" + b"\0" * 200), ("no_bytes", b""), ("end_only", one()[-22:])]: save(name, data)
save("good", packed([("good.csv", csv(1))]))
for name, members in [
    ("two", [("a.csv", csv(3)), ("b.csv", csv(4))]), ("folders", [("一月/", b""), ("一月/a.csv", csv(3)), ("二月/deep/er/b.csv", csv(4))]),
    ("utf8_flag", [("警情_一月.csv", csv(2))]), ("empty_archive", []), ("only_apple", [("__MACOSX/._a.csv", b"x"), (".DS_Store", b"x"), ("月/.DS_Store", b"x")]),
    ("beside_apple", [("a.csv", csv(3)), ("__MACOSX/._a.csv", b"x"), (".DS_Store", b"x")]), ("empty_folder", [("月/", b"")]), ("empty_member", [("a.csv", b"")]),
    ("member_gz", [("a.csv.gz", gzip.compress(csv(3)))]), ("member_gz_cut", [("a.csv.gz", gzip.compress(csv(1000))[:200])]),
    ("nested_folder_name", [("a.zip/b.csv", csv(3))]), ("utf8_file", [("a.csv", "a,b\n99001,一\n".encode())]),
    ("name_climbs_second", [("a.csv", csv(2)), ("../b.csv", csv(2))]), ("link", [(info("x.csv", 0o120777), b"/etc/passwd")]), ("nested", [("inner.zip", one())]),
    ("nested_beside", [("a.csv", csv(3)), ("INNER.ZIP", one())]), ("same_names", [("a.csv", csv(2)), ("a.csv", csv(3))]),
]: save(name, packed(members))
"##;

#[rustfmt::skip]
const ARCHIVE_CASES: &[Case] = &[
    ("one", Read(3)), ("stored", Read(3)), ("two", Read(7)), ("folders", Read(7)), ("name_gbk", Read(2)),
    ("utf8_flag", Read(2)), ("name_utf8", Read(2)), ("data_descriptor", Read(7)), ("zip64", Read(3)),
    ("beside_apple", Read(3)), ("comment", Read(3)), ("extractor", Read(3)),
    ("prefix_unknown", Read(3)), ("bytes_behind", Read(3)), ("member_gz", Read(3)), ("name_255", Read(2)),
    ("nested_folder_name", Read(3)), ("utf8_file", Read(1)), ("entries_1000", Read(2)),
    ("empty_archive", Refused("no file")), ("only_apple", Refused("no file")), ("empty_folder", Refused("no file")),
    ("name_climbs", Refused("refused: name")), ("name_climbs_inside", Refused("refused: name")),
    ("name_climbs_second", Refused("refused: name")), ("name_rooted", Refused("refused: name")),
    ("name_drive", Refused("refused: name")), ("name_backslash", Refused("refused: name")),
    ("name_backslash_rooted", Refused("refused: name")), ("name_nul", Refused("refused: name")),
    ("name_control", Refused("refused: name")), ("name_300", Refused("refused: name")),
    ("name_no_text", Refused("refused: name")), ("link", Refused("refused: link")),
    ("encrypted", Refused("refused: encrypted")), ("encrypted_directory_only", Refused("refused: encrypted")),
    ("nested", Refused("refused: nested")), ("nested_beside", Refused("refused: nested")),
    ("same_names", Refused("overlap")), ("one_header_twice", Refused("overlap")),
    ("quoted_overlap", Refused("overlap")), ("packed_long", Refused("overlap")), ("extra_long", Refused("overlap")),
    ("entries_1001", Refused("1001 entries")),
    ("entries_lie", Refused("refused")), ("disk_2", Refused("refused")),
    ("ratio", Refused("unpacks to 10")), ("size_4gib", Refused("unpacks to 4294967294")),
    ("ratio_lies", Refused("longer than stated")), ("size_short", Refused("longer than stated")),
    ("size_long", Refused("not what was packed")), ("packed_short", Refused("incomplete")),
    ("crc", Refused("not what was packed")), ("flipped", Refused("not what was packed")),
    ("deflate_broken", Refused("cannot use")), ("member_gz_cut", Refused("incomplete")),
    ("member_gz_bomb", Refused("bytes out of")), ("empty_member", Refused("without even a header")),
    ("header_behind_end", Refused("refused")),
    ("header_elsewhere", Refused("refused")), ("directory_behind_end", Refused("refused")),
    ("cut_*", Refused("refused")),
    ("bzip2", Refused("Bzip2")), ("lzma", Refused("Lzma")), ("text", Refused("invalid Zip")),
    ("gzip", Refused("invalid Zip")), ("rar", Refused("invalid Zip")), ("no_bytes", Refused("invalid Zip")),
    ("end_only", Refused("invalid Zip")),
];

#[test]
#[rustfmt::skip]
fn an_archive_of_any_maker_is_read_and_one_that_is_built_to_hurt_is_refused() {
    hold(&Corpus { ending: "zip", format: "csv", module: "zipfile", script: ARCHIVES, cases: ARCHIVE_CASES, cells: &[] });
}

/// Workbooks written part by part.
const SHEETS: &str = r##"
import io, sys
from zipfile import ZIP_DEFLATED, ZipFile
folder = sys.argv[1]
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
count = iter(range(1, 1 << 40))
def inline(at, text): return f'<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'
def row(n, *cells): return f'<row r="{n}">{"".join(cells)}</row>'
NAMES = row(1, inline("A1", "a"), inline("B1", "b"))
def plain(rows): return NAMES + "".join(row(n, f'<c r="A{n}"><v>{next(count)}</v></c>', inline(f"B{n}", "text")) for n in range(2, rows + 2))
def sheet(rows, before="", doctype=""):
    return f'{HEAD}{doctype}<worksheet xmlns="{SHEET}">{before}<sheetData>{rows}</sheetData></worksheet>'
def book(sheets, texts=None, state=(), of_book="", parts=(), links="worksheets"): # by hand: no library writes what is wrong
    tabs = [(f"s{n}", f' state="{state[n]}"' if n < len(state) and state[n] else "") for n in range(len(sheets))]
    listed = "".join(f'<sheet name="{name}" sheetId="{n + 1}"{how} r:id="r{n + 1}"/>' for n, (name, how) in enumerate(tabs))
    linked = "".join(f'<Relationship Id="r{n + 1}" Type="{DOCUMENT}/worksheet" Target="{links}/s{n + 1}.xml"/>' for n in range(len(sheets)))
    if texts is not None: linked += f'<Relationship Id="t" Type="{DOCUMENT}/sharedStrings" Target="sharedStrings.xml"/>'
    linked += f'<Relationship Id="y" Type="{DOCUMENT}/styles" Target="styles.xml"/>'
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'{HEAD}<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr("_rels/.rels", f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        archive.writestr("xl/workbook.xml", f'{HEAD}<workbook xmlns="{SHEET}" xmlns:r="{DOCUMENT}">{of_book}<sheets>{listed}</sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{linked}</Relationships>')
        archive.writestr("xl/styles.xml", f'{HEAD}<styleSheet xmlns="{SHEET}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>')
        if texts is not None: archive.writestr("xl/sharedStrings.xml", f'{HEAD}<sst xmlns="{SHEET}">{texts}</sst>' if isinstance(texts, str) else texts)
        for n, text in enumerate(sheets): archive.writestr(f"xl/{links}/s{n + 1}.xml", text)
        for name, data in parts: archive.writestr(name, data)
    return out.getvalue()
def save(name, data):
    with open(f"{folder}/{name}.xlsx", "wb") as file: file.write(data)
save("good", book([sheet(plain(1))]))
save("hidden", book([sheet(plain(2)), sheet(plain(3))], state=["hidden"]))
save("very_hidden", book([sheet(plain(2)), sheet(plain(3))], state=["veryHidden", ""]))
save("all_hidden", book([sheet(plain(2))], state=["hidden"]))
save("sheet_missing", book([sheet(plain(2))]).replace(b"xl/worksheets/s1.xml", b"xl/worksheets/s9.xml"))
linked = "<f>'[http://example.invalid/x.xlsx]s'!A1</f>"
save("dates_1904", book([sheet(NAMES + row(2, '<c r="A2"><v>777012</v></c>', '<c r="B2" s="1"><v>44481</v></c>'))], of_book='<workbookPr date1904="1"/>'))
save("shared", book([sheet(NAMES + row(2, '<c r="A2"><v>777017</v></c>', '<c r="B2" t="s"><v>1</v></c>'))], "<si><t>x</t></si><si><r><t>rich</t></r><r><t xml:space='preserve'> text</t></r></si>"))
save("shared_beyond", book([sheet(NAMES + row(2, '<c r="A2"><v>777018</v></c>', '<c r="B2" t="s"><v>99</v></c>') + row(3, '<c r="A3"><v>777019</v></c>'))], "<si><t>x</t></si>"))
laughs = '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)) + "]>"
save("laughs_shared", book([sheet(NAMES + row(2, '<c r="A2"><v>777025</v></c>', '<c r="B2" t="s"><v>0</v></c>'))], f'{HEAD}{laughs}<sst xmlns="{SHEET}"><si><t>&a9;</t></si></sst>'.encode()))
whole = book([sheet(plain(2000))])
for tenth in range(1, 10): save(f"cut_{tenth}", whole[:len(whole) * tenth // 10])
def ole(stream): return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504 + stream.encode("utf-16-le") + b"\0" * 4000
for name, data in [("xls", ole("Workbook")), ("password", ole("EncryptedPackage")), ("csv", b"a,b\n1,2\n"), ("no_bytes", b"")]: save(name, data)
save("ods", book([]).replace(b"_rels/.rels", b"content.xml"))
save("part_elsewhere", book([sheet(NAMES + row(2, '<c r="A99999999999"><v>777004</v></c>'))], links="x"))
save("bomb_texts", book([sheet(plain(1))], "<si><t>x</t></si>" * (5 << 20)))
save("bomb_part", book([sheet(plain(1))], parts=[("xl/media/a.bin", b"\0" * (100 << 20))]))
save("shared_negative", book([sheet(NAMES + row(2, '<c r="A2"><v>777117</v></c>', '<c r="B2" t="s"><v>-1</v></c>'))], "<si><t>x</t></si>"))
for name, a, b in [
    ("dates_1900", 777011, '<c r="B2" s="1"><v>45943</v></c>'), ("date_huge", 777013, '<c r="B2" s="1"><v>1e300</v></c>'),
    ("date_negative", 777014, '<c r="B2" s="1"><v>-5e9</v></c>'), ("digits_17", 777021, '<c r="B2"><v>12345678901234567</v></c>'),
    ("digits_18", 777022, '<c r="B2"><v>320302199001011230</v></c>'), ("control", 777026, inline("B2", "x&#0;y")), ("date_nan", 777123, '<c r="B2" s="1"><v>NaN</v></c>'),
    ("date_beyond", 777125, '<c r="B2" s="1"><v>2958466</v></c>'),
]: save(name, book([sheet(NAMES + row(2, f'<c r="A2"><v>{a}</v></c>', b))]))
for name, rows in [
    ("last_cell", row(1048576, '<c r="A1048576"><v>777001</v></c>')), ("behind_last_column", row(3, '<c r="A3"><v>777002</v></c><c r="ZZZZZZ3"><v>1</v></c>')),
    ("row_zero", row(3, '<c r="A0"><v>777003</v></c>')), ("row_endless", row(3, '<c r="A99999999999"><v>777004</v></c>')),
    ("rows_backwards", row(3, '<c r="A3"><v>777006</v></c>') + row(2, '<c r="A2"><v>777007</v></c>')),
    ("formula_no_value", row(2, '<c r="A2"><f>1+1</f></c>', inline("B2", "x"))),
    ("error_cell", row(2, '<c r="A2" t="e"><v>#N/A</v></c>', inline("B2", "x")) + row(3, '<c r="A3"><v>777009</v></c>')),
    ("name_spaced", row(2, '<c r = "A99999999999"><v>777004</v></c>')), ("name_tab", row(2, '<c\tr="A99999999999"><v>777004</v></c>')),
    ("name_in_text", row(2, '<c r="A2"><v>777131</v></c>', inline("B2", 'say r="ZZZZ99" here'))), ("name_array", row(2, '<c r="A2"><f t="array" ref="A2">1</f><v>777132</v></c>')),
    ("style_missing", row(2, '<c r="A2" s="99"><v>777015</v></c>')), ("number_no_number", row(2, '<c r="A2"><v>12x</v></c>')), ("deep", row(2, '<c r="A2"><v>777130</v></c>') + "<x>" * 100_000 + "</x>" * 100_000),
    ("row_twice", row(2, '<c r="A2"><v>777101</v></c>') + row(2, '<c r="A2"><v>777102</v></c>')),
    ("cell_twice", row(2, '<c r="A2"><v>777103</v></c>', '<c r="A2"><v>777104</v></c>')),
    ("error_spill", row(2, '<c r="A2" t="e"><v>#SPILL!</v></c>') + row(3, '<c r="A3"><v>777106</v></c>')),
    ("column_endless", row(2, '<c r="AAAAAAAAAAAAAAAA2"><v>777107</v></c>') + row(3, '<c r="A3"><v>777108</v></c>')),
    ("row_4gib", '<row r="4294967295"><c><v>777110</v></c></row><row><c><v>777111</v></c></row>'), ("cell_4gib", '<row r="2"><c r="A4294967295"><v>777112</v></c></row>'),
]: save(name, book([sheet(NAMES + rows)]))
for name, sheets in [
    ("ordinary", [sheet(plain(5))]), ("two_filled", [sheet(plain(2)), sheet(plain(2))]), ("no_sheet", []), ("header_only", [sheet(NAMES)]), ("no_rows", [sheet("")]),
    ("whole_dimension", [sheet(NAMES + row(2, f'<c r="A2"><v>{next(count)}</v></c>'), '<dimension ref="A1:XFD1048576"/>')]),
    ("no_references", [sheet('<row><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><t>b</t></is></c></row><row><c><v>777005</v></c><c><v>1</v></c></row>')]),
    ("external_link", [sheet(NAMES + row(2, f'<c r="A2">{linked}<v>777008</v></c>', f'<c r="B2" t="str">{linked}<v>cached</v></c>'))]),
    ("inline", [sheet(NAMES + row(2, inline("A2", "777016"), inline("B2", "行内")))]),
    ("digits_as_text", [sheet(NAMES + row(2, inline("A2", "777020"), inline("B2", "001234567890123456")))]),
    ("laughs", [sheet(NAMES + row(2, '<c r="A2"><v>777023</v></c>', inline("B2", "&a9;")), doctype=laughs)]),
    ("entity_file", [sheet(NAMES + row(2, '<c r="A2"><v>777024</v></c>', inline("B2", "&e;")), doctype='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>')]),
    ("attributes", [sheet(plain(1).replace('<row r="2">', '<row r="2" ' + " ".join(f'x{n}="1"' for n in range(200_000)) + ">"))]),
    ("not_closed", [sheet(plain(2))[:-40]]), ("not_xml", [b"a,b\n1,2\n"]), ("xml_utf16", [sheet(plain(2)).replace("UTF-8", "UTF-16").encode("utf-16")]),
    ("bomb_sheet", [HEAD + f'<worksheet xmlns="{SHEET}"><sheetData>' + NAMES + '<row r="2">' + " " * (80 << 20)]),
    ("header_twice", [sheet(row(1, inline("A1", "a"), inline("B1", "b"), inline("C1", "b")) + row(2, '<c r="A2"><v>777105</v></c>', inline("B2", "x"), inline("C2", "y")))]),
    ("dimension_endless", [sheet(NAMES, '<dimension ref="A99999999999:B1"/>')]), ("name_of_link", [sheet(plain(1)).replace("</sheetData>", '</sheetData><hyperlinks><hyperlink ref="B2:A1"/></hyperlinks>')]),
    ("dimension_backwards", [sheet(plain(1), '<dimension ref="B9:A1"/>')]),
    ("bool_7", [sheet(NAMES + row(2, '<c r="A2"><v>777118</v></c>', '<c r="B2" t="b"><v>7</v></c>'))]),
]: save(name, book(sheets))
"##;

#[rustfmt::skip]
const SHEET_CASES: &[Case] = &[
    ("ordinary", Read(5)), ("hidden", Read(3)), ("very_hidden", Read(3)), ("header_only", Read(0)),
    ("whole_dimension", Read(1)), ("last_cell", Read(1)), ("no_references", Read(1)),
    ("external_link", Read(1)), ("formula_no_value", Part(0, 1, "missing")), ("error_cell", Part(1, 1, "type")),
    ("number_no_number", Part(0, 1, "type")), ("dates_1900", Read(1)), ("dates_1904", Read(1)),
    ("style_missing", Read(1)), ("inline", Read(1)), ("shared", Read(1)), ("digits_as_text", Read(1)),
    ("attributes", Read(1)), ("deep", Read(1)), ("name_in_text", Read(1)), ("name_array", Read(1)), ("name_of_link", Read(1)),
    // a number of too many digits, a day that is none: as it stands or refused, never another one
    ("digits_17", Either(1)), ("digits_18", Either(1)), ("date_huge", Either(1)), ("date_negative", Either(1)), ("date_nan", Either(1)),
    ("date_beyond", Either(1)),
    // a dimension is a hint; the cells hold whatever it says
    ("dimension_backwards", Either(1)), ("dimension_endless", Either(0)),
    // no program writes rows like these; none of them may go without a word
    ("rows_backwards", Either(2)), ("row_twice", Either(2)), ("cell_twice", Refused("")),
    ("row_endless", Refused("cannot use")), ("row_4gib", Refused("cannot use")), ("cell_4gib", Refused("cannot use")),
    ("column_endless", Refused("cannot use")), ("name_spaced", Refused("cannot use")), ("name_tab", Refused("cannot use")),
    ("part_elsewhere", Refused("cannot use")), ("row_zero", Refused("cannot use")),
    ("shared_negative", Refused("shared strings")), ("shared_beyond", Refused("shared strings")),
    ("behind_last_column", Refused("cannot use")), ("error_spill", Refused("#SPILL!")), ("bool_7", Refused("boolean")),
    ("two_filled", Refused("several sheets")), ("all_hidden", Refused("no visible sheet")),
    ("no_sheet", Refused("no visible sheet")), ("no_rows", Refused("no visible sheet")),
    ("sheet_missing", Refused("not found")), ("header_twice", Refused("twice")),
    ("laughs", Refused("entity")), ("laughs_shared", Refused("entity")), ("entity_file", Refused("entity")),
    ("control", Refused("character")), ("not_closed", Refused("cannot use")), ("not_xml", Refused("cannot use")),
    ("xml_utf16", Refused("cannot use")), ("bomb_sheet", Refused("unpacks to")), ("bomb_texts", Refused("unpacks to")),
    ("bomb_part", Refused("unpacks to")), ("xls", Refused("cannot use")), ("password", Refused("cannot use")),
    ("ods", Refused("cannot use")), ("csv", Refused("cannot use")), ("no_bytes", Refused("cannot use")),
    ("cut_*", Refused("invalid Zip")),
];

#[rustfmt::skip]
const SHEET_CELLS: &[Cell] = &[
    Cell::Is(777_005, "1"), Cell::Is(777_008, "cached"), Cell::Is(777_011, "2025-10-13"),
    Cell::Is(777_012, "2025-10-13"), Cell::Is(777_016, "行内"), Cell::Is(777_017, "rich text"),
    Cell::Is(777_020, "001234567890123456"), Cell::Is(777_021, "12345678901234567"),
    Cell::Is(777_022, "320302199001011230"), Cell::IsNot(777_013, "9999-12-31"), Cell::IsNot(777_014, "00:00:00"),
    Cell::IsNot(777_123, "00:00:00"), Cell::IsNot(777_125, "9999-12-31"),
];

#[test]
#[rustfmt::skip]
fn a_sheet_is_read_as_a_person_sees_it_and_one_that_is_built_to_hurt_is_refused() {
    hold(&Corpus { ending: "xlsx", format: "xlsx", module: "zipfile", script: SHEETS, cases: SHEET_CASES, cells: SHEET_CELLS });
}

/// Parquet files as `pyarrow` writes them, and the same with bytes changed.
const PARQUET: &str = r##"
import struct, sys
import pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1]
count = iter(range(1, 1 << 40))
def save(name, data):
    with open(f"{folder}/{name}.parquet", "wb") as file: file.write(data)
def table(rows, **columns):
    ids = [next(count) for _ in range(rows)]
    return pa.table({"a": pa.array(ids, pa.int64()), "b": [f"text {n}" for n in ids], **columns})
def packed(data, **options):
    out = pa.BufferOutputStream()
    pq.write_table(data, out, **options)
    return out.getvalue().to_pybytes()
def ints(values): return pa.array(values, pa.int64())
save("good", packed(table(1)))
save("ordinary", packed(table(5000), row_group_size=700))
for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]: save(f"codec_{codec}", packed(table(100), compression=codec))
save("no_rows", packed(table(0)))
save("not_utf8", packed(pa.table({"a": ints([9014]), "b": ["QQQQQQQQ"]}), compression="none", use_dictionary=False).replace(b"QQQQQQQQ", b"\xff" * 8))
whole = packed(table(3000), row_group_size=1000)
for tenth in range(1, 10): save(f"cut_{tenth}", whole[:len(whole) * tenth // 10])
def footer(length): return whole[:-8] + struct.pack("<I", length) + b"PAR1"
for name, length in [("0", 0), ("short", struct.unpack("<I", whole[-8:-4])[0] - 9), ("long", len(whole) + 1), ("4gib", 0xFFFFFFFF)]: save(f"footer_{name}", footer(length))
for name, data in [("magic_end", whole[:-4] + b"PAR2"), ("magic_encrypted", whole[:-4] + b"PARE"), ("magic_start", b"XXXX" + whole[4:]), ("magic_only", b"PAR1"),
                   ("magic_twice", b"PAR1\0\0\0\0PAR1"), ("zeros", b"\0" * 4096), ("no_bytes", b""), ("csv", b"a,b\n1,2\n")]: save(name, data)
rest = struct.unpack("<I", whole[-8:-4])[0] + 8
for step in range(12):
    for part, start, end in [("data", 4, len(whole) - rest), ("footer", len(whole) - rest, len(whole) - 8)]:
        at = start + (end - start) * step // 12
        save(f"flip_{part}_{step:02}", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:])
data = packed(pa.table({"a": ints([9100, 9101]), "b": ["QQQQQQQQ", "x"]}), compression="none", use_dictionary=False, write_page_checksum=True)
save("checksum_right", data)
save("checksum_wrong", data.replace(b"QQQQQQQQ", b"QQQQQQQR", 1))
save("bomb", packed(pa.table({"a": ints(range(70_000, 70_300)), "b": ["0" * 900_000] * 300}), compression="zstd"))
for name, data in [
    ("all_null", pa.table({"a": ints([9001, 9002]), "b": pa.array([None, None], pa.string())})),
    ("type_null", pa.table({"a": ints([9003, 9004]), "b": pa.nulls(2)})), ("key_null", pa.table({"a": ints([9005, None]), "b": ["x", "y"]})),
    ("list", pa.table({"a": pa.array([[1], [2]]), "b": ["x", "y"]})), ("struct", pa.table({"a": pa.array([{"n": 1}, {"n": 2}]), "b": ["x", "y"]})),
    ("nested_beside", pa.table({"a": ints([9006, 9007]), "b": ["x", "y"], "c": pa.array([[{"n": [1]}], None])})),
    ("binary", pa.table({"a": ints([9008]), "b": pa.array([b"\xff\xfe"], pa.binary())})),
    ("names_twice", pa.Table.from_arrays([ints([9009]), pa.array(["x"]), pa.array(["y"])], names=["a", "b", "b"])), ("other_columns", pa.table({"x": [1]})),
    ("dictionary", pa.table({"a": ints([9010, 9011]), "b": pa.array(["x", "x"]).dictionary_encode()})),
    ("decimal", pa.table({"a": pa.array([9012, 9013], pa.decimal128(38, 0)), "b": ["x", "y"]})),
]: save(name, packed(data))
"##;

#[rustfmt::skip]
const PARQUET_CASES: &[Case] = &[
    ("ordinary", Read(5000)), ("codec_none", Read(100)), ("codec_snappy", Read(100)), ("codec_gzip", Read(100)),
    ("codec_zstd", Read(100)), ("codec_lz4", Read(100)), ("codec_brotli", Read(100)), ("no_rows", Read(0)),
    ("all_null", Read(2)), ("type_null", Read(2)), ("dictionary", Read(2)), ("decimal", Read(2)),
    ("nested_beside", Read(2)), ("checksum_right", Read(2)), ("key_null", Part(1, 1, "missing")),
    ("list", Part(0, 2, "type")), ("struct", Part(0, 2, "type")),
    // bytes are no text: what they become is for the program to say
    ("binary", Either(1)), ("magic_start", Either(3000)),
    // this page says itself that it is not what was written
    ("checksum_wrong", Either(2)),
    // 270 MB of text in a thousand bytes, and one batch of the reader
    ("bomb", Read(300)),
    ("not_utf8", Refused("UTF-8")), ("names_twice", Refused("twice")), ("other_columns", Refused("missing")),
    ("footer_0", Refused("cannot use")), ("footer_short", Refused("cannot use")),
    ("footer_long", Refused("too small")), ("footer_4gib", Refused("too small")),
    ("magic_end", Refused("footer")), ("magic_encrypted", Refused("encrypted")), ("magic_only", Refused("too small")),
    ("magic_twice", Refused("cannot use")), ("no_bytes", Refused("too small")), ("zeros", Refused("footer")),
    ("csv", Refused("footer")),
    ("cut_*", Refused("footer")),
    ("flip_*", Either(3000)),
];

#[test]
#[rustfmt::skip]
fn a_broken_parquet_file_ends_in_an_error_that_says_so() {
    hold(&Corpus { ending: "parquet", format: "parquet", module: "pyarrow", script: PARQUET, cases: PARQUET_CASES, cells: &[] });
}
