//! `fenghuo audit`: who asked for what, and whether the record of it is whole.

use std::collections::BTreeSet;
use std::path::Path;

use crate::audit::{Broken, Chain, Decision, Entry, Head, batches, schema, table, verify};
use crate::cli::clock::{SystemClock, run_id};
use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
use crate::config::text::cut;
use crate::engine::{Bounds, Session};
use crate::error::{Kind, Result, fail, io_error};
use crate::time::Clock;

/// Read and verify the record of who asked for what
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Verify every line of the record, its checkpoints, and the heads that others hold
    Verify {
        /// A head that somebody else holds, `number:hash`, or a file of them; more than once for more
        #[arg(long, value_name = "HEAD")]
        witness: Vec<String>,
    },
    /// Run one SELECT on the record, the table `audit.entry`; the reading is recorded
    Query {
        /// The SELECT
        #[arg(
            value_name = "SQL",
            default_value = "SELECT at, who, act, object, release, decision, reason, rows, bytes FROM audit.entry ORDER BY seq DESC LIMIT 50"
        )]
        sql: String,
        #[command(flatten)]
        output: Output,
    },
    /// Write the whole record; the reading is recorded
    Export {
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(args: &Args, site: &Path, printer: &Printer) -> Result<()> {
    let opened = Opened::at(site)?;
    match &args.verb {
        Verb::Verify { witness } => verified(&opened, witness, printer),
        Verb::Query { sql, output } => {
            let deed = Deed::begin(&opened, vec![question("audit.query", &[], sql, 0)])?;
            let bounds = Bounds::from(&opened.site.settings.limits);
            let session = Session::new(bounds)?;
            session.register("audit.entry", table(&opened.lake)?)?;
            let rows = opened.site.settings.limits.query_rows;
            let found = session.query("audit", sql, rows).await;
            deed.shown(found.as_ref().ok().map(|found| found.rows()))?;
            output.write(&found?, printer)
        }
        Verb::Export { output } => {
            let deed = Deed::begin(&opened, vec![question("audit.export", &[], "", 0)])?;
            let batches = batches(&opened.lake)?.collect::<Result<Vec<_>>>()?;
            let schema = schema();
            let table = crate::engine::session::Table { schema, batches };
            deed.shown(Some(table.rows()))?;
            output.write(&table, printer)
        }
    }
}

/// Something that somebody at this site does, recorded before it is done.
#[derive(Debug)]
pub(super) struct Deed {
    chain: Chain,
    entries: Vec<Entry>,
}

impl Deed {
    /// Records what is about to be done, to one object after the other.
    ///
    /// # Errors
    /// As the record cannot be written: then it is not done.
    pub(super) fn begin(opened: &Opened, entries: Vec<Entry>) -> Result<Deed> {
        let now = SystemClock.now();
        let request = run_id(now)?;
        let fill = |(at, entry): (usize, Entry)| Entry {
            request: format!("{request}-{at}"),
            decision: Decision::Allow,
            who: if entry.who.is_empty() { account() } else { entry.who },
            ..entry
        };
        let entries: Vec<Entry> = entries.into_iter().enumerate().map(fill).collect();
        // whoever may not see the key may still be recorded
        let mut chain = Chain::open(&opened.lake, opened.key().ok().as_ref(), now)?;
        chain.add(&entries, now)?;
        Ok(Deed { chain, entries })
    }

    /// The head of the record with it.
    pub(super) fn head(&mut self) -> Result<Head> {
        self.chain.add(&[], SystemClock.now())
    }

    /// Records how it ended, and vouches for the record.
    ///
    /// # Errors
    /// As the record cannot be written.
    pub(super) fn end(mut self, done: bool) -> Result<()> {
        for entry in &mut self.entries {
            entry.decision = if done { Decision::Whole } else { Decision::Part };
            if !done {
                (entry.rows, entry.bytes) = (0, 0);
            }
        }
        self.chain.add(&self.entries, SystemClock.now())?;
        self.chain.checkpoint(SystemClock.now()).map(drop)
    }

    /// Records how it ended, with the rows that were shown.
    ///
    /// # Errors
    /// As the record cannot be written.
    pub(super) fn shown(mut self, rows: Option<usize>) -> Result<()> {
        for entry in &mut self.entries {
            entry.rows = rows.unwrap_or(0) as u64;
        }
        self.end(rows.is_some())
    }
}

/// A question in SQL, as it is recorded: its tables, its digest, and the cells that it names, so that it can be told
/// who asked about a place; other values of a question may be of somebody and are not kept.
pub(super) fn question(act: &str, tables: &[String], sql: &str, release: u64) -> Entry {
    let digest = blake3::hash(sql.as_bytes()).to_hex();
    let words = sql.split(|c: char| !c.is_ascii_alphanumeric());
    let cells: BTreeSet<&str> = words.filter(|word| is_cell(word)).collect();
    let cells = cells.into_iter().collect::<Vec<_>>().join(" ");
    Entry {
        act: act.to_owned(),
        object: cut(&tables.join(" "), 400),
        release,
        reason: cut(
            format!("sql {} cells {cells}", &digest[..16]).trim_end_matches(" cells "),
            400,
        ),
        ..Entry::default()
    }
}

/// Whether a word is an H3 cell, as text or as a number.
fn is_cell(word: &str) -> bool {
    let hex = word.len() == 15 && word.starts_with('8') && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex || word.parse::<u64>().is_ok_and(|number| number >> 59 == 1)
}

/// The account of whoever sits at this machine.
pub(super) fn account() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"];
    let found = named
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    found.map_or_else(|| "site".to_owned(), |name| format!("site/{name}"))
}

fn verified(opened: &Opened, witness: &[String], printer: &Printer) -> Result<()> {
    let mut heads: Vec<Head> = Vec::new();
    for given in witness {
        match given.parse() {
            Ok(head) => heads.push(head),
            Err(_) if !Path::new(given).is_file() => {
                return Err(fail(Kind::Missing, "audit_witness_missing", &[given]));
            }
            Err(_) => heads.extend(heads_of(Path::new(given))?),
        }
    }
    let verdict = verify(&opened.lake, &opened.key()?, &heads, SystemClock.now())?;
    let Some(broken) = verdict.broken else {
        if verdict.first > 1 {
            printer.say("audit_begins", &[&verdict.first, &verdict.older]);
        }
        printer.say("audit_holds", &[&verdict.lines, &verdict.checkpoints, &heads.len()]);
        return printer.data(&format!("{}\n", verdict.head));
    };
    let (key, at): (&'static str, String) = match broken {
        Broken::Line(at) => ("audit_broken_line", at.to_string()),
        Broken::Checkpoint(at) => ("audit_broken_checkpoint", at.to_string()),
        Broken::Sealed(at) => ("audit_broken_sealed", at.to_string()),
        Broken::Short(at) => ("audit_broken_short", at.to_string()),
        Broken::Witness(head) => ("audit_broken_witness", head.to_string()),
    };
    Err(fail(Kind::Check, key, &[&at]).hint("audit_broken_hint", &[]))
}

/// The heads of a file: one a line, or the record of a county's pulls.
fn heads_of(path: &Path) -> Result<Vec<Head>> {
    let text = std::fs::read_to_string(path).map_err(|cause| io_error(path, &cause))?;
    let mut heads = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let said: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let head = said.as_ref().and_then(|said| said["head"].as_str()).unwrap_or(line);
        if !head.is_empty() {
            heads.push(head.parse()?);
        }
    }
    Ok(heads)
}
