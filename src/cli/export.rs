//! `fenghuo share export`: what a recipient may read, as one file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::Entry;
use crate::cli::audit::{Deed, account};
use crate::cli::clock::SystemClock;
use crate::cli::open::Opened;
use crate::cli::print::Printer;
use crate::cli::serve::share_name;
use crate::engine::Bounds;
use crate::error::{Kind, Result, fail, io_error};
use crate::model::pinned;
use crate::serve::{Watched, bundle};
use crate::share::Class;
use crate::share::desk::Desk;
use crate::share::profile::BUNDLE;
use crate::share::publish::RECIPIENT;
use crate::time::Clock;

/// What is written, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the recipient: small letters, digits, - and _
    #[arg(id = "recipient_name", value_name = "RECIPIENT")]
    name: String,
    /// File to write: .fenghuo for `fenghuo pull --from`; .xlsx or .zip (of CSV files) for a desk without Fenghuo
    #[arg(long = "out", id = "bundle_out", value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn run(opened: &Opened, args: &Args, printer: &Printer) -> Result<()> {
    let ending = args.out.extension().and_then(|ending| ending.to_str());
    if !matches!(ending, Some("fenghuo" | "xlsx" | "zip")) {
        let error = fail(Kind::Input, "export_ending", &[&args.out.display()]);
        return Err(error.hint("export_ending_hint", &[]));
    }
    if args.out.exists() {
        return Err(fail(Kind::Conflict, "profile_exists", &[&args.out.display()]));
    }
    let watched = Watched::new(opened.site.clone(), opened.lake.clone(), Arc::new(SystemClock)).await?;
    let state = watched
        .now()
        .ok_or_else(|| fail(Kind::Unavailable, "runtime_failed", &[]))?;
    let share = share_name(&opened.site.settings.site.name)?;
    let mut gathered = bundle::gather(&opened.lake, &state, (&args.name, &share), SystemClock.now()).await?;
    let entry = |part: &bundle::Part| Entry {
        who: args.name.clone(),
        credential: account(),
        purpose: part.purpose.clone(),
        act: "share.export".to_owned(),
        object: part.object.clone(),
        release: gathered.offer.release,
        rows: part.rows,
        bytes: part.bytes,
        ..Entry::default()
    };
    let seals = opened.key()?.seals(BUNDLE);
    let mut deed = Deed::begin(opened, gathered.parts.iter().map(entry).collect())?;
    gathered.offer.head = deed.head()?.to_string();
    let written = match ending {
        Some("xlsx" | "zip") => for_a_desk(opened, &gathered, &args.out).await,
        _ => gathered.write(&args.out, &seals).await,
    };
    deed.end(written.is_ok())?;
    written?;
    let rows: u64 = gathered.parts.iter().map(|part| part.rows).sum();
    let bytes = std::fs::metadata(&args.out)
        .map_err(|cause| io_error(&args.out, &cause))?
        .len();
    let words: [&dyn std::fmt::Display; 4] = [&args.name, &args.out.display(), &rows, &bytes];
    printer.say("share_exported", &words);
    Ok(())
}

/// Writes the tables for whoever has a spreadsheet and nothing else.
async fn for_a_desk(opened: &Opened, gathered: &bundle::Gathered, path: &Path) -> Result<()> {
    let bounds = Bounds::from(&opened.site.settings.limits);
    let mut desk = Desk::begin(path)?;
    let mut cover = Vec::new();
    for open in &gathered.tables {
        let name = open.share.table();
        let table = opened
            .lake
            .table_at(&name, &open.entry.location, open.entry.version)
            .await?;
        let session = pinned::on(bounds, &[&table]).await?;
        let columns = session.plan(&name, &format!("SELECT * FROM {name}")).await?;
        // cells leave as people write them
        let column = |name: &String| match name.as_str() {
            "cell" => "h3_text(cell) AS cell".to_owned(),
            name => format!("\"{name}\""),
        };
        let names: Vec<String> = columns
            .schema()
            .fields()
            .iter()
            .map(|field| column(field.name()))
            .collect();
        let own = open.counties.as_ref().map(|counties| {
            let quoted = counties
                .iter()
                .map(|county| format!("'{}'", county.replace('\'', "''")));
            format!(" WHERE {RECIPIENT} IN ({})", quoted.collect::<Vec<_>>().join(", "))
        });
        let order = (1..=names.len())
            .map(|at| at.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let own = own.unwrap_or_default();
        let sql = format!("SELECT {} FROM {name}{own} ORDER BY {order}", names.join(", "));
        let plan = session.plan(&name, &sql).await?;
        let mut rows = session.stream(&name, &sql, plan).await?;
        desk.table(&open.share.name, rows.schema().as_ref())?;
        let mut count = 0;
        while let Some(batch) = rows.next().await? {
            count += batch.num_rows();
            desk.rows(&batch)?;
        }
        let file = &open.share.file;
        let hidden = match file.class {
            Class::Own => String::new(),
            Class::Compared => format!("k = {}", file.k),
        };
        let words = [&open.share.name, &file.title_zh, &file.title_en, &file.purpose, &hidden];
        let mut line: Vec<String> = words.into_iter().cloned().collect();
        line.extend([
            gathered.offer.release.to_string(),
            gathered.offer.made_at.clone(),
            count.to_string(),
        ]);
        cover.push(line);
    }
    let names = [
        "table",
        "title_zh",
        "title_en",
        "purpose",
        "least_count",
        "release",
        "made_at",
        "rows",
    ];
    desk.end(&names, &cover)
}
