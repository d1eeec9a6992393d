//! `fenghuo audit`: who asked for what, and whether the record of it is whole.

use std::path::{Path, PathBuf};

use crate::audit::{Broken, Chain, Decision, Entry, Head, entries, verify};
use crate::cli::clock::{SystemClock, run_id};
use crate::cli::open::Opened;
use crate::cli::output::Output;
use crate::cli::print::Printer;
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
            read(&opened, "audit.query", sql).await?;
            let bounds = Bounds::from(&opened.site.settings.limits);
            let session = Session::new(bounds)?;
            session.register_batch("audit.entry", entries(&opened.lake)?)?;
            let rows = opened.site.settings.limits.query_rows;
            output.write(&session.query("audit", sql, rows).await?, printer)
        }
        Verb::Export { output } => {
            read(&opened, "audit.export", "").await?;
            let batch = entries(&opened.lake)?;
            let table = crate::engine::session::Table {
                schema: batch.schema(),
                batches: vec![batch],
            };
            output.write(&table, printer)
        }
    }
}

/// Records that the record is read.
async fn read(opened: &Opened, act: &str, object: &str) -> Result<()> {
    let now = SystemClock.now();
    let mut chain = Chain::open(&opened.lake, &opened.key()?)?;
    let entry = Entry {
        request: run_id(now)?,
        who: account(),
        act: act.to_owned(),
        object: crate::config::text::cut(object, 400),
        decision: Decision::Allow,
        ..Entry::default()
    };
    let ended = Entry {
        decision: Decision::Whole,
        ..entry.clone()
    };
    chain.add(&[entry, ended], now).map(drop)
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
            Err(error) if !PathBuf::from(given).is_file() => return Err(error),
            Err(_) => heads.extend(heads_of(Path::new(given))?),
        }
    }
    let verdict = verify(&opened.lake, &opened.key()?, &heads)?;
    let Some(broken) = verdict.broken else {
        printer.say("audit_holds", &[&verdict.lines, &verdict.checkpoints, &heads.len()]);
        return printer.data(&format!("{}\n", verdict.head));
    };
    let (key, at): (&'static str, String) = match broken {
        Broken::Line(at) => ("audit_broken_line", at.to_string()),
        Broken::Checkpoint(at) => ("audit_broken_checkpoint", at.to_string()),
        Broken::Sealed(at) => ("audit_broken_sealed", at.to_string()),
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
