//! Faults of the machine while files are read: a full disk, a folder that may not be written or is gone,
//! a signal, many processes at once, a log that was tidied. The program says what is wrong and ends; what
//! was stored before is there; and when the fault is over a rerun ends where an undisturbed one ends.
//!
//! Kills at every named point of an ingest are in `crash.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{bare_site, copy, folder, select, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fenghuo");

/// Tables that an ingest writes and that have to end the same.
const TABLES: [&str; 4] = ["source.call", "source.visit", "ops.ingest", "ops.reject"];

/// A site with contracts of calls and of visits; a visit has a long note.
pub fn site() -> TempDir {
    let (dir, contracts) = bare_site();
    for (name, note) in [("call", ""), ("visit", "note = { protect = \"public\" }\n")] {
        let contract = format!(
            "from = \"inbox/{name}/*.csv\"\ninto = \"source.{name}\"\nsystem = \"test\"\ncounty = \"990101\"\n\
            key = [\"id\"]\nevent_time = \"at\"\n[columns]\nid = {{ protect = \"public\", required = true }}\n\
            at = {{ type = \"timestamp\", protect = \"public\", required = true }}\n\
            n = {{ type = \"int\", protect = \"public\" }}\n{note}"
        );
        std::fs::write(contracts.join(format!("{name}.toml")), contract).expect("a contract");
        std::fs::create_dir_all(dir.path().join("inbox").join(name)).expect("a folder");
    }
    dir
}

fn put(site: &Path, name: &str, text: &str) {
    std::fs::write(site.join("inbox").join(name), text).expect("a file");
}

/// Calls over eight months; a fifth is refused, a seventh stands twice.
fn calls(ids: Range<u64>) -> String {
    let mut text = "id,at,n\n".to_owned();
    for id in ids {
        let n = if id % 5 == 0 { "x".to_owned() } else { id.to_string() };
        let (month, day) = (1 + id % 8, 1 + id % 28);
        let row = format!("c{id:05},2025-{month:02}-{day:02} 10:{:02}:00,{n}\n", id % 60);
        text.push_str(&row.repeat(if id % 7 == 0 { 2 } else { 1 }));
    }
    text
}

/// Visits over three months, each with more of them than the one before, so that files differ in size. A
/// visit has a thousand bytes, cut from a text that packs badly and is the same in every run.
fn visits(ids: Range<usize>) -> String {
    let word = |at: u64| {
        let mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:016x}", (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9))
    };
    let pool: String = (0..65_536).map(word).collect();
    let mut text = "id,at,n,note\n".to_owned();
    for id in ids {
        let month = [1, 2, 2, 2, 3, 3, 3, 3, 3, 3][id % 10];
        let when = format!("2025-{month:02}-{:02} 10:{:02}:00", 1 + id % 28, id % 60);
        let from = id * 941 % (pool.len() - 940);
        text.push_str(&format!("v{id:08},{when},{id},{}\n", &pool[from..from + 940]));
    }
    text
}

/// The program behind another one that starts it.
fn behind(wrapper: &[&str], program: &Path, site: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(program).arg("--site").arg(site);
    command.args(["--lang", "en", "ingest"]).args(more);
    command.env("LANG", "C.UTF-8").env_remove("FENGHUO_SITE");
    command
}

fn ingest(site: &Path, more: &[&str]) -> Output {
    let mut command = behind(&["env"], Path::new(PROGRAM), site, more);
    command.output().expect("a start")
}

/// Rows of a table in an order of their own, without what names the run and its time.
fn table(site: &Path, name: &str) -> Vec<String> {
    let plain = |mut row: Value| {
        let object = row.as_object_mut().expect("a row");
        for column in ["run_id", "fence", "ingested_at", "known_at"] {
            object.remove(column);
        }
        row.to_string()
    };
    let sql = format!("SELECT * FROM {name}");
    let mut rows: Vec<String> = select(site, name, &sql).into_iter().map(plain).collect();
    rows.sort();
    rows
}

type State = Vec<Vec<String>>;
type Wrong = Vec<String>;

fn state(site: &Path) -> State {
    TABLES.iter().map(|name| table(site, name)).collect()
}

/// Every batch of a state stands once, and its rows are all accounted for and all there.
fn accounted(state: &State) {
    for row in &state[2] {
        let fields: Value = serde_json::from_str(row).expect("JSON");
        let number = |key: &str| fields[key].as_u64().expect("a number") as usize;
        let batch = fields["batch"].as_str().expect("a batch");
        let count = |at: usize| state[at].iter().filter(|row| row.contains(batch)).count();
        let refused = number("duplicate") + number("rejected");
        assert_eq!(number("read"), number("accepted") + refused, "{row}");
        assert_eq!(count(0) + count(1), number("accepted"), "{row}");
        assert_eq!((count(2), count(3)), (1, number("rejected")), "{row}");
    }
}

/// The same site in another folder.
pub fn again(site: &Path) -> TempDir {
    let dir = folder();
    copy(site, dir.path());
    dir
}

/// A site with files of both contracts that are stored.
pub fn stored() -> TempDir {
    let dir = site();
    put(dir.path(), "call/old.csv", &calls(0..40));
    put(dir.path(), "visit/old.csv", &visits(0..20));
    assert!(ingest(dir.path(), &[]).status.success());
    dir
}

/// A site with files to read: its rows before that, and after an undisturbed ingest.
pub struct Trial {
    pub base: TempDir,
    before: State,
    after: State,
}

impl Trial {
    /// New files of both contracts, in a site with stored ones or without a lake.
    pub fn new(base: TempDir) -> Trial {
        put(base.path(), "call/new.csv", &calls(100..260));
        put(base.path(), "visit/new.csv", &visits(100..400));
        Trial::of(base)
    }

    fn of(base: TempDir) -> Trial {
        let calm = again(base.path());
        let has_lake = base.path().join("lake").exists();
        let before = if has_lake { state(calm.path()) } else { Vec::new() };
        let output = ingest(calm.path(), &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        // what equals this state later is accounted for and not doubled either
        let after = state(calm.path());
        accounted(&after);
        Trial { base, before, after }
    }

    /// What is wrong with the end of a disturbed ingest: it is a success or a typed error, and leaves every
    /// source table as it was or with the whole batch.
    fn hurt(&self, site: &Path, output: &Output) -> Option<String> {
        let (code, said) = (output.status.code(), text(&output.stderr));
        let typed = code == Some(0) || (matches!(code, Some(1..=7)) && said.contains("error: "));
        if !typed || said.contains("panicked") {
            return Some(format!("ended with {code:?}: {said}"));
        }
        let torn = |at: &usize| {
            let rows = table(site, TABLES[*at]);
            rows != self.before[*at] && rows != self.after[*at]
        };
        let torn = (0..2).filter(|_| !self.before.is_empty()).find(torn)?;
        Some(format!("{} is torn: {said}", TABLES[torn]))
    }

    /// What a rerun lacks of the state of an undisturbed ingest.
    fn rerun(&self, site: &Path, output: &Output) -> Option<String> {
        if !output.status.success() {
            return Some(format!("the rerun failed: {}", text(&output.stderr)));
        }
        let found = state(site);
        let at = (0..TABLES.len()).find(|at| found[*at] != self.after[*at])?;
        let rows = [&found[at], &self.after[at]].map(Vec::len);
        Some(format!("{} has other rows, {rows:?}", TABLES[at]))
    }

    /// One fault after another, each on a site of its own: an ingest under it, its end, a rerun. The number
    /// of ingests that ended in an error, or `None` where the fault cannot be made here.
    pub fn sweep(&self, faults: &[u64], under: impl Fn(&Path, u64) -> Option<Hurt>) -> Option<usize> {
        let (mut errors, mut wrong) = (0, Vec::new());
        for number in faults {
            let dir = again(self.base.path());
            let (output, disk) = under(dir.path(), *number)?;
            errors += usize::from(!output.status.success());
            let found = self.hurt(dir.path(), &output);
            let filler = disk.as_ref().map(|disk| disk.0.join("filler"));
            filler.iter().for_each(|path| std::fs::remove_file(path).expect("room"));
            let found = found.or_else(|| self.rerun(dir.path(), &ingest(dir.path(), &[])));
            wrong.extend(found.map(|found| format!("{number}: {found}")));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        println!("{errors} of {} ingests ended in an error", faults.len());
        Some(errors)
    }

    /// What is wrong about an ingest of a site where something is spoilt, until it is mended and read again:
    /// `named` has to be told, and where `others` the files of the other contract are read all the same.
    fn spoilt(&self, site: &Path, named: &str, others: bool, start: &dyn Fn() -> Output, mend: &dyn Fn()) -> Wrong {
        let output = start();
        mend();
        let said = text(&output.stderr);
        let mut wrong: Wrong = self.hurt(site, &output).into_iter().collect();
        if !said.contains(named) || (!named.is_empty() && output.status.success()) {
            wrong.push(format!("not named: {said}"));
        }
        if others && table(site, "source.visit") != self.after[1] {
            wrong.push(format!("the other files were not read: {said}"));
        }
        wrong.extend(self.rerun(site, &start()));
        wrong
    }
}

/// The end of an ingest, and the disk that it wrote to.
pub type Hurt = (Output, Option<Mounted>);

/// One ingest under a limit of so many blocks a file.
fn limited(site: &Path, blocks: u64) -> Option<Hurt> {
    // the signal of the limit is ignored, so that the write fails as on a full disk
    let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
    let wrapper = ["sh", "-c", script, "sh", &blocks.to_string()];
    let output = behind(&wrapper, Path::new(PROGRAM), site, &[]).output();
    Some((output.expect("a shell"), None))
}

/// One ingest into a disk that has so many pages of 4 KiB left.
fn crowded(site: &Path, free: u64) -> Option<Hurt> {
    let (lake, old) = (site.join("lake"), site.join("old"));
    std::fs::create_dir_all(&lake).expect("a lake");
    std::fs::rename(&lake, &old).expect("a lake");
    let disk = Mounted::new(lake)?;
    copy(&old, &disk.0);
    let filler = disk.0.join("filler");
    std::fs::write(&filler, vec![0; 9 << 20]).expect_err("a small disk");
    let filler = std::fs::File::options().write(true).open(filler).expect("a file");
    let full = filler.metadata().expect("a file").len();
    filler.set_len(full - free * 4_096).expect("some room");
    Some((ingest(site, &[]), Some(disk)))
}

/// Whether another program did its work on a path; it says itself why it did not.
fn done(program: &str, arguments: &[&str], path: &Path) -> bool {
    let status = Command::new(program).args(arguments).arg(path).status();
    status.is_ok_and(|status| status.success())
}

/// A small file system in a folder, until dropped.
pub struct Mounted(pub PathBuf);

impl Mounted {
    /// `None` where this process may not mount.
    pub fn new(at: PathBuf) -> Option<Mounted> {
        std::fs::create_dir_all(&at).expect("a folder");
        let mounted = done("mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs"], &at);
        if !mounted {
            println!("SKIPPED: no tmpfs can be mounted here");
        }
        mounted.then(|| Mounted(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        done("umount", &["-l"], &self.0);
    }
}

#[test]
fn a_write_that_fails_in_the_middle_loses_nothing() {
    // small limits stop locks, logs and accounts, large ones the data files of each month
    let blocks: Vec<u64> = (0..25).chain([32, 48, 64, 80, 112]).collect();
    let errors = Trial::new(stored()).sweep(&blocks, limited);
    assert!(errors >= Some(30), "only {errors:?} limits were hit");
}

#[test]
fn a_full_disk_loses_nothing() {
    let errors = Trial::new(stored()).sweep(&[0, 1, 2, 4, 8, 14, 18, 22, 24, 26, 40, 60], crowded);
    assert!(errors.unwrap_or(10) >= 10, "only {errors:?} disks were full");
}

/// The first ingest of a site makes its tables; one that could not must not bar the next.
#[test]
fn a_first_ingest_that_could_not_write_can_be_repeated() {
    Trial::new(site()).sweep(&[0, 1, 8, 12, 16], limited);
}

#[test]
fn a_first_ingest_into_a_full_disk_can_be_repeated() {
    Trial::new(site()).sweep(&[1, 2, 3, 4, 5, 6, 7], crowded);
}

#[test]
fn the_number_of_a_holder_grows_although_the_disk_was_full() {
    let dir = site();
    put(dir.path(), "call/new.csv", &calls(0..10));
    let fence = || {
        assert!(ingest(dir.path(), &[]).status.success());
        let text = std::fs::read_to_string(dir.path().join("lake/leases/site.lock"));
        text.expect("a lock").trim().parse::<u64>().expect("a number")
    };
    let before = [fence(), fence(), fence()];
    limited(dir.path(), 0);
    let after = fence();
    assert!(after > before[2], "{after} comes after {before:?}");
}

/// How to start the program as somebody whom permissions bind, or `None` with the reason printed. `dir`
/// takes a copy of the program, since the build may lie where only root can go.
fn bound(dir: &Path) -> Option<(Vec<&'static str>, PathBuf)> {
    if Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|who| who.stdout != b"0\n")
    {
        return Some((vec!["env"], PathBuf::from(PROGRAM)));
    }
    let program = dir.join("fenghuo");
    std::fs::copy(PROGRAM, &program).expect("a copy");
    assert!(done("chmod", &["755"], dir));
    let wrapper = vec!["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let probe = [&wrapper[1..], &[program.to_str().expect("a name")]].concat();
    if done(wrapper[0], &probe, Path::new("--version")) {
        return Some((wrapper, program));
    }
    println!("SKIPPED: permissions do not bind root, and setpriv does not start the program as another");
    None
}

/// What may not be touched, how, and whether the files of the other contract are read all the same.
const FORBIDDEN: [(&str, &[&str], bool); 9] = [
    ("lake", &["-R", "a-w"], false),
    ("lake", &["a-rwx"], false),
    ("lake/tables/source/call/1/_delta_log", &["a-w"], false),
    ("lake/tables/source/call/1", &["-R", "a-w"], false),
    ("keys/site.key", &["a-rwx"], false),
    ("inbox/call/new.csv", &["a-rwx"], true),
    ("inbox", &["a-rwx"], false),
    ("inbox/call", &["a-rwx"], false),
    ("inbox/call", &["a-wx"], false), // its names can be read, its files cannot be looked at
];

#[test]
fn what_may_not_be_read_or_written_is_named() {
    let place = folder();
    let Some((wrapper, program)) = bound(place.path()) else {
        return;
    };
    let trial = Trial::new(stored());
    let mut wrong = Vec::new();
    for (at, (named, mode, others)) in FORBIDDEN.into_iter().enumerate() {
        let site = &place.path().join(format!("site{at}"));
        copy(trial.base.path(), site);
        if wrapper[0] != "env" {
            assert!(done("chown", &["-R", "65534:65534"], site));
        }
        assert!(done("chmod", mode, &site.join(named)));
        let start = || behind(&wrapper, &program, site, &[]).output().expect("a start");
        let mend = || assert!(done("chmod", &["-R", "u+rwX"], site));
        let found = trial.spoilt(site, named, others, &start, &mend);
        wrong.extend(found.iter().map(|found| format!("{named} {mode:?}: {found}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_file_is_named_and_the_others_are_read() {
    let trial = Trial::new(stored());
    let mut wrong = Vec::new();
    for what in ["a folder", "gone.csv", "new.csv"] {
        // a folder in the inbox is nobody's file; a link to nothing or to itself is one that is missed
        let named = if what == "a folder" { "" } else { "call/new.csv" };
        let dir = again(trial.base.path());
        let (path, whole) = (dir.path().join("inbox/call/new.csv"), dir.path().join("whole.csv"));
        std::fs::rename(&path, &whole).expect("a file");
        match what {
            "a folder" => std::fs::create_dir(&path).expect("a folder"),
            target => std::os::unix::fs::symlink(target, &path).expect("a link"),
        }
        let output = ingest(dir.path(), &["call", path.to_str().expect("a name")]);
        let said = text(&output.stderr);
        let told = !output.status.success() && said.contains("call/new.csv");
        assert!(told, "{what}: {said}");
        let mend = || {
            let removed = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
            removed.and_then(|()| std::fs::rename(&whole, &path)).expect("a file");
        };
        let found = trial.spoilt(dir.path(), named, true, &|| ingest(dir.path(), &[]), &mend);
        wrong.extend(found.iter().map(|found| format!("{what}: {found}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_lake_that_was_away_is_found_as_it_was() {
    let trial = Trial::new(stored());
    for (what, named) in [("nothing", ""), ("a file", "lake"), ("a link", "lake")] {
        let dir = again(trial.base.path());
        let (lake, away) = (dir.path().join("lake"), dir.path().join("away"));
        std::fs::rename(&lake, &away).expect("a lake");
        match what {
            "a file" => std::fs::write(&lake, "x").expect("a file"),
            "a link" => std::os::unix::fs::symlink("gone", &lake).expect("a link"),
            _ => {}
        }
        let mend = || {
            // a new lake may have been made in the place of nothing
            let _ = std::fs::remove_file(&lake).or_else(|_| std::fs::remove_dir_all(&lake));
            std::fs::rename(&away, &lake).expect("a lake");
        };
        let wrong = trial.spoilt(dir.path(), named, false, &|| ingest(dir.path(), &[]), &mend);
        assert!(wrong.is_empty(), "{what} in place of the lake: {}", wrong.join("\n"));
    }
}

/// The commits of a log, in order.
fn commits(log: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(log).expect("a log");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    paths
}

/// Has the table sum its log up after every so many commits; the standard hundred take minutes here.
fn sum_up_every(log: &Path, every: u64) {
    let known = commits(log);
    let first = std::fs::read_to_string(&known[0]).expect("a commit");
    let birth = first.lines().find(|line| line.contains("\"metaData\""));
    let mut birth: Value = serde_json::from_str(birth.expect("a birth")).expect("JSON");
    birth["metaData"]["configuration"]["delta.checkpointInterval"] = every.to_string().into();
    std::fs::write(log.join(format!("{:020}.json", known.len())), birth.to_string()).expect("a commit");
}

#[test]
fn a_batch_is_known_after_its_log_was_summed_up_and_tidied() {
    let dir = stored();
    let logs = ["source/call", "ops/ingest"].map(|table| dir.path().join(format!("lake/tables/{table}/1/_delta_log")));
    for log in &logs {
        sum_up_every(log, 5);
        // as after a quarter
        for commit in commits(log) {
            assert!(done("touch", &["-t", "202501010000"], &commit));
        }
    }
    for day in 0..16 {
        let first = 1_000 + day * 10;
        put(dir.path(), &format!("call/day{day:02}.csv"), &calls(first..first + 3));
    }
    assert!(ingest(dir.path(), &[]).status.success());
    let expected = state(dir.path());
    accounted(&expected);
    let repeat = |what: &str| assert!(ingest(dir.path(), &[]).status.success(), "{what}");
    repeat("summed up");
    assert_eq!(state(dir.path()), expected, "summed up");
    for log in &logs {
        let last = std::fs::read(log.join("_last_checkpoint")).expect("a sum");
        let last: Value = serde_json::from_slice(&last).expect("JSON");
        let version = last["version"].as_u64().expect("a version") as usize;
        assert!(version >= 10, "{last}");
        // from here on the sum alone knows of the first batch
        for commit in &commits(log)[..version] {
            std::fs::remove_file(commit).expect("a commit");
        }
    }
    repeat("tidied");
    assert_eq!(state(dir.path()), expected, "tidied");
    let sql = "SELECT batch FROM ops.ingest WHERE file = 'inbox/call/day03.csv'";
    let batch = select(dir.path(), "ops.ingest", sql)[0]["batch"].clone();
    let output = ingest(dir.path(), &["withdraw", batch.as_str().expect("a batch")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut others = expected[0].clone();
    others.retain(|row| !row.contains(batch.as_str().expect("a batch")));
    assert!(others.len() < expected[0].len(), "nothing was taken back");
    repeat("after another batch was taken back");
    assert_eq!(table(dir.path(), "source.call"), others, "after a withdrawal");
    put(dir.path(), "call/renamed.csv", &calls(0..40));
    repeat("renamed");
    assert_eq!(table(dir.path(), "source.call"), others, "renamed");
    assert_eq!(table(dir.path(), "ops.reject"), expected[3], "refused rows");
}

#[test]
fn of_many_ingests_of_one_batch_at_once_one_stores() {
    let base = stored();
    put(base.path(), "call/new.csv", &calls(100..260));
    let trial = Trial::of(base);
    for many in [2, 4, 16] {
        for round in 0..5 {
            let dir = again(trial.base.path());
            let case = format!("{many} at once, round {round}");
            // each waits for its input to end, so that all start together
            let wrapper = ["sh", "-c", "read -r go; exec \"$@\"", "sh"];
            let start = |_| {
                let mut command = behind(&wrapper, Path::new(PROGRAM), dir.path(), &["call"]);
                command.stdin(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().expect("a shell")
            };
            let mut children: Vec<_> = (0..many).map(start).collect();
            children.iter_mut().for_each(|child| drop(child.stdin.take()));
            let end = |child: Child| child.wait_with_output().expect("an end");
            let ends: Vec<Output> = children.into_iter().map(end).collect();
            let said: String = ends.iter().map(|end| text(&end.stderr)).collect();
            // 5: somebody else holds the lease
            let typed = |end: &Output| matches!(end.status.code(), Some(0 | 5));
            assert!(ends.iter().all(typed), "{case}: {said}");
            assert_eq!(said.matches("call/new.csv: read ").count(), 1, "{case}: {said}");
            assert_eq!(state(dir.path()), trial.after, "{case}");
        }
    }
}

/// What of a large table can be compared at once: each row changes some of it.
fn sums(site: &Path) -> Vec<String> {
    let sql = "SELECT count(*) AS visits, count(DISTINCT id) AS ids, sum(n) AS total, sum(length(note)) AS notes, \
               sum(source_line) AS lines, sum(row_key % 1000003) AS keys FROM source.visit";
    let sums = select(site, "source.visit", sql).into_iter().map(|row| row.to_string());
    sums.chain(table(site, "source.call")).collect()
}

/// Waits for the end of a process and looks at it meanwhile; how long it took.
fn ended(child: &mut Child, seconds: u64, mut look: impl FnMut()) -> (ExitStatus, Duration) {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(seconds) {
        look();
        if let Some(status) = child.try_wait().expect("a process") {
            return (status, since.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().ok();
    panic!("an ingest goes on after {seconds} seconds");
}

#[test]
fn a_signal_ends_an_ingest_and_a_rerun_goes_on() {
    let base = stored();
    put(base.path(), "visit/new.csv", &visits(100..60_000));
    let calm = again(base.path());
    let before = sums(calm.path());
    let timed = |site: &Path| {
        let since = Instant::now();
        assert!(ingest(site, &[]).status.success());
        since.elapsed()
    };
    // the first one finds the machine cold
    let whole = timed(calm.path()).min(timed(again(base.path()).path()));
    let (after, ops) = (sums(calm.path()), table(calm.path(), "ops.ingest"));
    let (mut stopped, mut longest) = (0, Duration::ZERO);
    for tenth in [1, 3, 4, 6, 8] {
        let dir = again(base.path());
        for (signal, times, code) in [("TERM", 1, 143), ("INT", 1, 130), ("TERM", 2, 143), ("INT", 2, 130)] {
            let case = format!("{times} × {signal} after {tenth} tenths");
            let mut command = behind(&["env"], Path::new(PROGRAM), dir.path(), &[]);
            let mut child = command.stderr(Stdio::null()).spawn().expect("a start");
            std::thread::sleep(whole * tenth / 10);
            for _ in 0..times {
                done("kill", &["-s", signal], Path::new(&child.id().to_string()));
            }
            let (status, time) = ended(&mut child, 60, || {});
            longest = longest.max(time);
            let found = sums(dir.path());
            assert!(found == before || found == after, "{case}: torn: {found:?}");
            if status.success() {
                break; // it had ended by itself, and there is nothing more to stop
            }
            stopped += 1;
            assert_eq!(status.code(), Some(code), "{case}");
        }
        assert!(ingest(dir.path(), &[]).status.success());
        assert_eq!(sums(dir.path()), after, "after {tenth} tenths");
        assert_eq!(table(dir.path(), "ops.ingest"), ops, "after {tenth} tenths");
    }
    println!("{stopped} of 20 stopped an ingest of {whole:?}; the longest took {longest:?} to end");
    assert!(stopped >= 5, "only {stopped} signals came in the middle");
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let mut peaks = Vec::new();
    // on a busy machine the files lag behind the workers by a few groups more: the best of two runs counts
    for rows in [60_000, 60_000, 240_000, 240_000] {
        let dir = site();
        put(dir.path(), "visit/new.csv", &visits(0..rows));
        let mut command = behind(&["env"], Path::new(PROGRAM), dir.path(), &[]);
        let mut child = command.stderr(Stdio::null()).spawn().expect("a start");
        let path = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        let (status, _) = ended(&mut child, 600, || {
            let account = std::fs::read_to_string(&path).unwrap_or_default();
            let line = account.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            peak = peak.max(kibibytes.unwrap_or(0));
        });
        assert!(status.success());
        if peak == 0 {
            println!("SKIPPED: {path} tells no memory");
            return;
        }
        println!("{rows} rows of 1 kB were read in {} MiB of memory", peak >> 10);
        peaks.push(peak);
    }
    let (few, many) = (peaks[0].min(peaks[1]), peaks[2].min(peaks[3]));
    assert!(many <= few * 13 / 10 + (32 << 10), "{peaks:?} KiB");
}
